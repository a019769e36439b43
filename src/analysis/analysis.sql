-- analysis: aggregates for funnels, sequences, sessions, streaks, retention and paths; docs/analysis.md has their semantics

CREATE TYPE revops.event_buffer;
CREATE FUNCTION revops.event_buffer_in(cstring) RETURNS revops.event_buffer
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_event_buffer_in';
COMMENT ON FUNCTION revops.event_buffer_in(cstring) IS 'Text input of revops.event_buffer';
CREATE FUNCTION revops.event_buffer_out(revops.event_buffer) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_event_buffer_out';
COMMENT ON FUNCTION revops.event_buffer_out(revops.event_buffer) IS 'Text output of revops.event_buffer: hexadecimal';
CREATE FUNCTION revops.event_buffer_recv(internal) RETURNS revops.event_buffer
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_event_buffer_recv';
COMMENT ON FUNCTION revops.event_buffer_recv(internal) IS 'Binary input of revops.event_buffer';
CREATE FUNCTION revops.event_buffer_send(revops.event_buffer) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_event_buffer_send';
COMMENT ON FUNCTION revops.event_buffer_send(revops.event_buffer) IS 'Binary output of revops.event_buffer';
CREATE TYPE revops.event_buffer (
    INPUT = revops.event_buffer_in, OUTPUT = revops.event_buffer_out,
    RECEIVE = revops.event_buffer_recv, SEND = revops.event_buffer_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE revops.event_buffer IS 'The state of an aggregate of pg_revops over one group: its settings and packed events';

CREATE FUNCTION revops.event_buffer_merge(revops.event_buffer, revops.event_buffer) RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_event_buffer_merge';
COMMENT ON FUNCTION revops.event_buffer_merge(revops.event_buffer, revops.event_buffer) IS 'Combine function: both states'' events in one state';

CREATE TYPE revops.session AS (
    started_at  timestamptz,
    ended_at    timestamptz,
    events      int,
    engaged     interval
);
COMMENT ON TYPE revops.session IS 'A session, of revops.sessionize()';
COMMENT ON COLUMN revops.session.started_at IS 'Its first event';
COMMENT ON COLUMN revops.session.ended_at IS 'Its last event';
COMMENT ON COLUMN revops.session.events IS 'Number of its events';
COMMENT ON COLUMN revops.session.engaged IS 'Time engaged: from pings where they are given, otherwise from first to last event';

CREATE FUNCTION revops.window_funnel_result(revops.event_buffer) RETURNS int
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_window_funnel_result';
COMMENT ON FUNCTION revops.window_funnel_result(revops.event_buffer) IS 'Final function of revops.window_funnel()';
CREATE FUNCTION revops.window_funnel_add(revops.event_buffer, "window" interval, ts timestamptz, VARIADIC conditions "any") RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_window_funnel_add';
COMMENT ON FUNCTION revops.window_funnel_add(revops.event_buffer, "window" interval, ts timestamptz, VARIADIC conditions "any") IS 'Transition function of revops.window_funnel()';
CREATE AGGREGATE revops.window_funnel("window" interval, ts timestamptz, VARIADIC conditions "any") (
    SFUNC = revops.window_funnel_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.window_funnel_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.window_funnel("window" interval, ts timestamptz, VARIADIC conditions "any") IS 'The furthest step of the conditions that events reach in their order, within the window from step 1';

CREATE FUNCTION revops.window_funnel_add(revops.event_buffer, "window" interval, modes text[], ts timestamptz, VARIADIC conditions "any") RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_window_funnel_modes_add';
COMMENT ON FUNCTION revops.window_funnel_add(revops.event_buffer, "window" interval, modes text[], ts timestamptz, VARIADIC conditions "any") IS 'Transition function of revops.window_funnel()';
CREATE AGGREGATE revops.window_funnel("window" interval, modes text[], ts timestamptz, VARIADIC conditions "any") (
    SFUNC = revops.window_funnel_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.window_funnel_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.window_funnel("window" interval, modes text[], ts timestamptz, VARIADIC conditions "any") IS 'The furthest step within the window from step 1; modes: strict_order, strict_dedup, strict_increase, once, allow_reentry';

CREATE FUNCTION revops.sequence_add(revops.event_buffer, pattern text, ts timestamptz, VARIADIC conditions "any") RETURNS revops.event_buffer
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sequence_add';
COMMENT ON FUNCTION revops.sequence_add(revops.event_buffer, pattern text, ts timestamptz, VARIADIC conditions "any") IS 'Transition function of revops.sequence_match() and revops.sequence_count()';
CREATE FUNCTION revops.sequence_match_result(revops.event_buffer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sequence_match_result';
COMMENT ON FUNCTION revops.sequence_match_result(revops.event_buffer) IS 'Final function of revops.sequence_match()';
CREATE FUNCTION revops.sequence_count_result(revops.event_buffer) RETURNS bigint
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sequence_count_result';
COMMENT ON FUNCTION revops.sequence_count_result(revops.event_buffer) IS 'Final function of revops.sequence_count()';
CREATE AGGREGATE revops.sequence_match(pattern text, ts timestamptz, VARIADIC conditions "any") (
    SFUNC = revops.sequence_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.sequence_match_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.sequence_match(pattern text, ts timestamptz, VARIADIC conditions "any") IS 'Whether the events, in the order of time, hold a match of a pattern such as (?1).*(?t<=3600)(?2)';

CREATE AGGREGATE revops.sequence_count(pattern text, ts timestamptz, VARIADIC conditions "any") (
    SFUNC = revops.sequence_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.sequence_count_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.sequence_count(pattern text, ts timestamptz, VARIADIC conditions "any") IS 'Number of matches of a pattern that do not overlap';

CREATE FUNCTION revops.sessionize_result(revops.event_buffer) RETURNS revops.session[]
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sessionize_result';
COMMENT ON FUNCTION revops.sessionize_result(revops.event_buffer) IS 'Final function of revops.sessionize()';
CREATE FUNCTION revops.sessionize_add(revops.event_buffer, gap interval, ts timestamptz) RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sessionize_add';
COMMENT ON FUNCTION revops.sessionize_add(revops.event_buffer, gap interval, ts timestamptz) IS 'Transition function of revops.sessionize()';
CREATE AGGREGATE revops.sessionize(gap interval, ts timestamptz) (
    SFUNC = revops.sessionize_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.sessionize_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.sessionize(gap interval, ts timestamptz) IS 'The sessions, in the order of time: events with no gap between them longer than given';

CREATE FUNCTION revops.sessionize_add(revops.event_buffer, gap interval, ts timestamptz, heartbeat boolean, ping interval, visit interval) RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sessionize_add';
COMMENT ON FUNCTION revops.sessionize_add(revops.event_buffer, gap interval, ts timestamptz, heartbeat boolean, ping interval, visit interval) IS 'Transition function of revops.sessionize()';
CREATE AGGREGATE revops.sessionize(gap interval, ts timestamptz, heartbeat boolean, ping interval, visit interval) (
    SFUNC = revops.sessionize_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.sessionize_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.sessionize(gap interval, ts timestamptz, heartbeat boolean, ping interval, visit interval) IS 'The sessions, with the time engaged from pings: the minimum visit, and an interval for each further one in which a ping came';

CREATE FUNCTION revops.day_streak_result(revops.event_buffer) RETURNS int
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_day_streak_result';
COMMENT ON FUNCTION revops.day_streak_result(revops.event_buffer) IS 'Final function of revops.day_streak()';
CREATE FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz) RETURNS revops.event_buffer
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_day_streak_add';
COMMENT ON FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz) IS 'Transition function of revops.day_streak()';
CREATE AGGREGATE revops.day_streak(ts timestamptz) (
    SFUNC = revops.day_streak_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.day_streak_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.day_streak(ts timestamptz) IS 'The longest run of consecutive days with an event, in the time zone of the session';

CREATE FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, time_zone text) RETURNS revops.event_buffer
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_day_streak_zone_add';
COMMENT ON FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, time_zone text) IS 'Transition function of revops.day_streak()';
CREATE AGGREGATE revops.day_streak(ts timestamptz, time_zone text) (
    SFUNC = revops.day_streak_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.day_streak_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.day_streak(ts timestamptz, time_zone text) IS 'The longest run of consecutive local days with an event';

CREATE FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, dwell interval, at_least interval) RETURNS revops.event_buffer
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_day_streak_sum_add';
COMMENT ON FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, dwell interval, at_least interval) IS 'Transition function of revops.day_streak()';
CREATE AGGREGATE revops.day_streak(ts timestamptz, dwell interval, at_least interval) (
    SFUNC = revops.day_streak_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.day_streak_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.day_streak(ts timestamptz, dwell interval, at_least interval) IS 'The longest run of consecutive days on which the dwell times sum to at least so much, in the time zone of the session';

CREATE FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, time_zone text, dwell interval, at_least interval) RETURNS revops.event_buffer
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_day_streak_zone_sum_add';
COMMENT ON FUNCTION revops.day_streak_add(revops.event_buffer, ts timestamptz, time_zone text, dwell interval, at_least interval) IS 'Transition function of revops.day_streak()';
CREATE AGGREGATE revops.day_streak(ts timestamptz, time_zone text, dwell interval, at_least interval) (
    SFUNC = revops.day_streak_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.day_streak_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.day_streak(ts timestamptz, time_zone text, dwell interval, at_least interval) IS 'The longest run of consecutive local days on which the dwell times sum to at least so much';

CREATE FUNCTION revops.retention_merge(bigint, bigint) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_retention_merge';
COMMENT ON FUNCTION revops.retention_merge(bigint, bigint) IS 'Combine function of revops.retention()';
CREATE FUNCTION revops.retention_result(bigint) RETURNS boolean[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_retention_result';
COMMENT ON FUNCTION revops.retention_result(bigint) IS 'Final function of revops.retention()';
CREATE FUNCTION revops.retention_add(bigint, VARIADIC conditions "any") RETURNS bigint
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_retention_add';
COMMENT ON FUNCTION revops.retention_add(bigint, VARIADIC conditions "any") IS 'Transition function of revops.retention()';
CREATE AGGREGATE revops.retention(VARIADIC conditions "any") (
    SFUNC = revops.retention_add, STYPE = bigint, FINALFUNC = revops.retention_result, COMBINEFUNC = revops.retention_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.retention(VARIADIC conditions "any") IS 'For each condition, whether some event met it and some event met the first one';

CREATE FUNCTION revops.next_node_result(revops.event_buffer) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_next_node_result';
COMMENT ON FUNCTION revops.next_node_result(revops.event_buffer) IS 'Final function of revops.next_node()';
CREATE FUNCTION revops.next_node_add(revops.event_buffer, direction text, base text, ts timestamptz, node text, base_condition boolean, VARIADIC conditions "any") RETURNS revops.event_buffer
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_next_node_add';
COMMENT ON FUNCTION revops.next_node_add(revops.event_buffer, direction text, base text, ts timestamptz, node text, base_condition boolean, VARIADIC conditions "any") IS 'Transition function of revops.next_node()';
CREATE AGGREGATE revops.next_node(direction text, base text, ts timestamptz, node text, base_condition boolean, VARIADIC conditions "any") (
    SFUNC = revops.next_node_add, STYPE = revops.event_buffer, SSPACE = 256, FINALFUNC = revops.next_node_result, COMBINEFUNC = revops.event_buffer_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.next_node(direction text, base text, ts timestamptz, node text, base_condition boolean, VARIADIC conditions "any") IS 'The node that follows (forward) or precedes (backward) a chain of events from a base: head, tail, first_match, last_match';

