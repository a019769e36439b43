-- the aggregates of analysis: what they mean, on equal times too, and their errors
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET jit = off;

-- chain('A@0 B@5'): events with their minute, as rows
CREATE FUNCTION chain(events text) RETURNS TABLE (k text, ts timestamptz) LANGUAGE sql AS $$
    SELECT split_part(e, '@', 1), timestamptz '2026-03-02 09:00Z' + split_part(e, '@', 2)::float8 * interval '1 minute'
    FROM regexp_split_to_table(events, ' +') e WHERE e <> '' $$;
CREATE FUNCTION funnel(events text, modes text[] DEFAULT '{}', "window" interval DEFAULT '1 hour') RETURNS int LANGUAGE sql AS
    $$ SELECT revops.window_funnel("window", modes, ts, k ~ 'A', k ~ 'B', k ~ 'C', k ~ 'D') FROM chain(events) $$;

-- funnels: in order, in any order of arrival, gaps allowed
SELECT funnel('A@0 B@1 C@2 D@3') AS all_steps, funnel('D@3 C@2 B@1 A@0') AS shuffled, funnel('A@0 X@1 B@2 A@3 C@4') AS with_others,
       funnel('B@0 C@1 D@2') AS no_start, funnel('A@0 C@1 D@2') AS step_missing, funnel('') AS nothing;
-- the window counts from step 1 to the last step, and includes its end; a later start may get further
SELECT funnel('A@0 B@59 C@60') AS at_the_end, funnel('A@0 B@59 C@60.01') AS after_it, funnel('A@0 A@30 B@59 C@80') AS later_start, funnel('A@0 B@1 A@200 B@201 C@202') AS second_try,
       funnel('A@0 B@0', '{}', '0') AS no_window;
-- equal times: without modes any order will do; a row may serve several steps
SELECT funnel('C@0 B@0 A@0') AS equal, funnel('ABCD@0') AS one_row, funnel('AC@0 B@0') AS two_rows, funnel('ABCD@0', '{strict_increase}') AS increase, funnel('A@0 B@1 C@1 D@2', '{strict_increase}') AS equal_increase,
       funnel('ABCD@0', '{once}') AS once, funnel('ABCD@0 ABCD@0', '{once}') AS once_twice, funnel('B@0 A@0', '{once}') AS once_equal;
-- strict_order: no other listed event between; repeats of the present step are none; events that are not listed do not exist
SELECT funnel('A@0 B@1 D@2 C@3', '{strict_order}') AS d_between, funnel('A@0 X@1 B@2', '{strict_order}') AS x_between, funnel('A@0 B@1 B@2 C@3', '{strict_order}') AS repeated,
       funnel('A@0 B@1 A@2 C@3', '{strict_order}') AS back, funnel('A@0 B@1 A@2 C@3', '{strict_order,allow_reentry}') AS reentry, funnel('A@0 A@1 B@2', '{strict_order}') AS new_start,
       funnel('A@0 B@1 C@2 B@3 D@4', '{strict_order}') AS earlier_step, funnel('A@0 B@1 C@2 B@3 D@4') AS without;
-- strict_dedup: a step that the chain has taken stops it when it comes again
SELECT funnel('A@0 B@1 B@2 C@3', '{strict_dedup}') AS repeated, funnel('A@0 B@1 D@2 C@3', '{strict_dedup}') AS d_between, funnel('A@0 A@1 B@2', '{strict_dedup}') AS new_start,
       funnel('A@0 B@1 A@2 C@3', '{strict_dedup}') AS back, funnel('A@0 B@1 A@2 C@3', '{strict_order,strict_dedup,allow_reentry}') AS reentry;
-- in strict modes rows of equal time come in the order of their steps
SELECT funnel('D@1 B@1 C@1 A@0', '{strict_order}') AS sorted, funnel('A@0 C@1 B@1 D@2', '{strict_order}') AS also, funnel('A@0 B@1 C@1', '{strict_order,strict_increase}') AS increase;
-- NULL conditions are false, NULL times are no rows, FILTER and VARIADIC work
SELECT revops.window_funnel('1 hour', ts, k = 'A', NULL::boolean, k = 'B') AS null_condition, revops.window_funnel('1 hour', CASE WHEN k <> 'B' THEN ts END, k = 'A', k = 'B') AS null_ts,
       revops.window_funnel('1 hour', ts, k = 'A', k = 'B') FILTER (WHERE k <> 'B') AS filtered, revops.window_funnel('1 hour', ts, VARIADIC ARRAY[k = 'A', k = 'B', NULL]) AS an_array
FROM chain('A@0 B@1');
-- mistakes
SELECT funnel('A@0', '{strict_ordre}');
SELECT funnel('A@0', '{allow_reentry}');
SELECT funnel('A@0', '{NULL}');
SELECT funnel('A@0', NULL);
SELECT funnel('A@0', '{}', '1 month');
SELECT funnel('A@0', '{}', '-1 s');
SELECT funnel('A@0', '{}', NULL);
SELECT revops.window_funnel('1 hour', ts, k = 'A', k) FROM chain('A@0');
SELECT revops.window_funnel('1 hour', ts, VARIADIC ARRAY[k]) FROM chain('A@0');
SELECT revops.window_funnel('1 hour', ts, VARIADIC ARRAY[]::boolean[]) FROM chain('A@0');
SELECT revops.window_funnel('1 hour', ts, VARIADIC array_fill(true, ARRAY[33])) FROM chain('A@0');
SELECT revops.window_funnel(CASE k WHEN 'A' THEN interval '1 hour' ELSE '2 hours' END, ts, k = 'A', k = 'B') FROM chain('A@0 B@1');
SELECT revops.window_funnel('1 hour', ts, VARIADIC CASE k WHEN 'A' THEN ARRAY[true, false] ELSE ARRAY[true] END) FROM chain('A@0 B@1');

-- sequences
CREATE FUNCTION seq(pattern text, events text) RETURNS text LANGUAGE sql AS
    $$ SELECT revops.sequence_match(pattern, ts, k ~ 'A', k ~ 'B', k ~ 'C') || ' ' || revops.sequence_count(pattern, ts, k ~ 'A', k ~ 'B', k ~ 'C') FROM chain(events) $$;
SELECT seq('(?1)(?2)', 'A@0 B@1 A@2 B@3') AS twice, seq('(?1)(?2)', 'A@0 X@1 B@2') AS unlisted_between, seq('(?1)(?2)', 'A@0 C@1 B@2') AS c_between, seq('(?1).*(?2)', 'A@0 C@1 B@2') AS any_between,
       seq('(?1).(?2)', 'A@0 C@1 B@2') AS one_between, seq('(?1).(?2)', 'A@0 B@1') AS none_between, seq('.', 'A@0 B@1 X@2') AS each, seq('(?1)', '') AS nothing;
-- an event belongs to one match; a row takes one place in it
SELECT seq('(?1)(?2)(?1)', 'A@0 B@1 A@2 B@3 A@4') AS overlapping, seq('(?1)(?1)', 'A@0 A@1 A@2') AS pairs, seq('(?1)(?2)', 'AB@0') AS one_row, seq('(?1)(?2)', 'AB@0 AB@1') AS two_rows;
-- times: seconds or an interval, any events between
SELECT seq('(?1)(?t<=60)(?2)', 'A@0 B@1') AS le, seq('(?1)(?t<60)(?2)', 'A@0 B@1') AS lt, seq('(?1)(?t>=60)(?2)', 'A@0 B@1') AS ge, seq('(?1)(?t>60)(?2)', 'A@0 B@1') AS gt, seq('(?1)(?t==60)(?2)', 'A@0 B@1') AS eq,
       seq('(?1)(?t==60.5)(?2)', 'A@0 B@1') AS decimals, seq('(?1)(?t<=''1 min 30 s'')(?2)', 'A@0 C@0.5 B@1') AS an_interval, seq('(?1) (?t>30) (?t<=90) (?2)', 'A@0 B@0.1 B@1') AS from_to,
       seq('(?1)(?t>=60)(?2).*(?3)', 'A@0 B@0.5 B@2 C@3') AS first_too_early;
-- equal times: the order of the conditions
SELECT seq('(?1)(?2)(?3)', 'C@0 B@0 A@0') AS sorted, seq('(?2)(?1)', 'B@0 A@0') AS never, seq('(?1)(?t==0)(?2)', 'B@0 A@0') AS at_once;
-- mistakes, with their place
SELECT seq('(?1)(?4)', 'A@0');
SELECT seq('(?1)(?0)', 'A@0');
SELECT seq('(?1', 'A@0');
SELECT seq('(?1)x', 'A@0');
SELECT seq('(?1)(?)', 'A@0');
SELECT seq('', 'A@0');
SELECT seq('.*', 'A@0');
SELECT seq('(?t<1)(?1)', 'A@0');
SELECT seq('(?1)(?t<1)', 'A@0');
SELECT seq('(?1)(?t!1)(?2)', 'A@0');
SELECT seq('(?1)(?t=1)(?2)', 'A@0');
SELECT seq('(?1)(?t<)(?2)', 'A@0');
SELECT seq('(?1)(?t<99999999999999)(?2)', 'A@0');
SELECT seq('(?1)(?t<5)(?t>=5)(?2)', 'A@0');
SELECT seq('(?1)(?t<''1 month'')(?2)', 'A@0');
SELECT seq('(?1)(?t<''1 hour)(?2)', 'A@0');
\set SHOW_CONTEXT always
SELECT revops.sequence_match('(?1)(?t<''soon'')(?2)', ts, k = 'A', k = 'B') FROM chain('A@0');
\set SHOW_CONTEXT never
SELECT revops.sequence_match(repeat('(?1)', 65), ts, k = 'A') FROM chain('A@0');
SELECT revops.sequence_match(repeat(' ', 9000), ts, k = 'A') FROM chain('A@0');
SELECT revops.sequence_match(NULL, ts, k = 'A') FROM chain('A@0');
-- a pattern that makes back-tracking explode, over 20,000 equal rows
SELECT revops.sequence_match(repeat('(?1).*', 60) || '(?2)', timestamptz '2026-01-01Z' + g * interval '1 s', true, false),
       revops.sequence_count(repeat('(?1)(?t<=3600)', 60) || '(?1)', timestamptz '2026-01-01Z' + g * interval '1 s', true) FROM generate_series(1, 20000) g;

-- sessions: a gap as long as given is none
SELECT s.* FROM (SELECT revops.sessionize('30 minutes', ts) a FROM chain('A@90 A@0 A@10 A@40 A@71 A@71')) x, unnest(x.a) s;
SELECT revops.sessionize('30 minutes', ts) FROM chain('');
-- engaged: pings in spans of ten seconds, and the minimum visit
SELECT s.* FROM (SELECT revops.sessionize('30 minutes', ts, k = 'P', '10 s', '5 s') a FROM chain('V@0 P@0.2 P@0.21 P@0.4 P@2 V@60 V@120 P@121')) x, unnest(x.a) s;
SELECT revops.sessionize('30 minutes', ts, true, '0', '5 s') FROM chain('A@0');
SELECT revops.sessionize('1 year', ts) FROM chain('A@0');

-- streaks: local days, over switches of the clock, with a minimum
SELECT revops.day_streak(ts) AS utc, revops.day_streak(ts, 'Asia/Shanghai') AS shanghai, revops.day_streak(ts, NULL) AS no_zone
FROM unnest('{2026-01-01 15:00Z,2026-01-02 17:00Z,2026-01-03 12:00Z,2026-01-05 00:00Z,infinity,-infinity}'::timestamptz[]) ts;
SELECT revops.day_streak(ts, 'America/New_York') AS new_york, revops.day_streak(ts, 'Pacific/Apia') AS apia
FROM generate_series('2011-10-28 12:00Z'::timestamptz, '2012-04-01 12:00Z', '1 day') ts;
SELECT revops.day_streak(d, w, '1 hour') AS an_hour, revops.day_streak(d, 'UTC', w, '0') AS nothing, revops.day_streak(d, w, '90 minutes') AS more
FROM (VALUES (timestamptz '2026-01-01Z', interval '40 min'), ('2026-01-01 09:00Z', '20 min'), ('2026-01-02Z', '2 hours'), ('2026-01-03Z', NULL), ('2026-01-04Z', '1 day'), ('2026-01-05Z', '1 hour')) v (d, w);
SET timezone = 'Asia/Tokyo';
SELECT revops.day_streak(ts) FROM unnest('{2026-01-01 14:00Z,2026-01-01 16:00Z}'::timestamptz[]) ts;
SET timezone = 'UTC';
SELECT revops.day_streak(ts, 'Mars/Olympus') FROM chain('A@0');
SELECT revops.day_streak(ts, interval '1 hour', '1 month') FROM chain('A@0');
SELECT revops.day_streak(ts, interval '2000000000 days', '1 hour') FROM chain('A@0 A@1 A@2 A@3 A@4 A@5 A@6');

-- retention
SELECT revops.retention(k = 'A', k = 'B', k = 'C', NULL::boolean) AS some, revops.retention(k = 'C', k = 'A') AS not_first, revops.retention(k = 'A') AS one FROM chain('A@0 B@1');
SELECT revops.retention(k = 'A') FROM chain('');
SELECT revops.retention(k) FROM chain('A@0');

-- next_node
CREATE FUNCTION node(direction text, base text, events text) RETURNS text LANGUAGE sql AS
    $$ SELECT revops.next_node(direction, base, ts, NULLIF(k, 'N'), k <> 'X', k = 'A', k = 'B') FROM chain(events) $$;
SELECT node('forward', 'head', 'A@0 B@1 C@2') AS head, node('forward', 'head', 'X@0 A@1 B@2 C@3') AS not_base, node('forward', 'first_match', 'X@0 A@1 B@2 C@3') AS first_match,
       node('forward', 'first_match', 'A@0 C@1 A@2 B@3 D@4') AS only_the_first, node('forward', 'last_match', 'A@0 C@1 A@2 B@3 D@4') AS last_match, node('forward', 'head', 'A@0 B@1') AS nothing_after,
       node('backward', 'tail', 'D@0 B@1 A@2') AS tail, node('backward', 'last_match', 'D@0 B@1 A@2 C@3') AS backward, node('forward', 'head', 'A@0 B@1 N@2') AS null_node, node('forward', 'head', '') AS nothing;
-- equal times: the order of conditions, then base, then text; many texts, long ones
SELECT node('forward', 'head', 'E@0 D@0 A@-1 B@-0.5') AS sorted, node('forward', 'head', 'B@0 A@0 C@1') AS conditions;
SELECT length(revops.next_node('forward', 'head', timestamptz '2026-01-01Z' + g * interval '1 s', repeat(chr(65 + g % 26), g), true, g = 1, g = 2)) FROM generate_series(3000, 1, -1) g;
SELECT node('sideways', 'head', 'A@0');
SELECT node('forward', 'middle', 'A@0');
SELECT node(NULL, 'head', 'A@0');

-- states: text that comes back, and text that is none
CREATE TEMP TABLE state AS SELECT revops.window_funnel_add(NULL, '1 hour', '2026-01-01Z'::timestamptz, true, false) AS s;
SELECT s::text, revops.window_funnel_result(s::text::revops.event_buffer) FROM state;
SELECT revops.window_funnel_result(revops.event_buffer_merge(s, revops.window_funnel_add(NULL, '1 hour', '2026-01-01 00:30Z'::timestamptz, false, true))) FROM state;
SELECT revops.event_buffer_merge(s, revops.window_funnel_add(NULL, '2 hours', '2026-01-01Z'::timestamptz, true, false)) FROM state;
SELECT revops.sequence_match_result(s) FROM state;
SELECT ''::revops.event_buffer;
SELECT '\x01'::revops.event_buffer;
SELECT '\xzz'::revops.event_buffer;
SELECT (overlay(s::text PLACING '02' FROM 3))::revops.event_buffer FROM state;
SELECT (overlay(s::text PLACING '09' FROM 5))::revops.event_buffer FROM state;
SELECT (overlay(s::text PLACING 'ff' FROM 7))::revops.event_buffer FROM state;
SELECT (overlay(s::text PLACING '7fffffff' FROM 11))::revops.event_buffer FROM state;
SELECT (left(s::text, -2) || 'ff')::revops.event_buffer FROM state;
SELECT (s::text || '00')::revops.event_buffer FROM state;

-- what a reader may call
SET ROLE revops_reader;
SELECT revops.window_funnel('1 hour', ts, k = 'A', k = 'B'), revops.retention(k = 'A') FROM (VALUES ('A', timestamptz '2026-01-01Z'), ('B', '2026-01-01Z')) v (k, ts);
SELECT revops.window_funnel_result(NULL);
RESET ROLE;
DROP FUNCTION funnel, seq, node, chain;
