-- score: signals, and the intent scores that they make of events

CREATE TABLE revops.intent (
    intent      text COLLATE "C" PRIMARY KEY CHECK (intent <> '' AND octet_length(intent) <= 200),
    half_life   interval NOT NULL CHECK (half_life > interval '0' AND half_life <= interval '3650 days'),
    title       text,
    title_zh    text,
    description text,
    description_zh text,
    topic       text,
    sides       text[] CHECK (sides <> '{}'),
    channels    text[] CHECK (channels <> '{}'),
    threshold   float8 NOT NULL DEFAULT 0.5 CHECK (threshold >= 0 AND threshold <= 1),
    first       boolean NOT NULL DEFAULT false,
    dropped     boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN revops.intent.topic IS 'The group of intents that it is of: price, delivery ...';
COMMENT ON COLUMN revops.intent.sides IS 'Whose words show it: customer, rep, system; NULL is anybody''s';
COMMENT ON COLUMN revops.intent.channels IS 'The channels in which words show it; NULL is all';
COMMENT ON COLUMN revops.intent.threshold IS 'The least confidence with which words show it';
COMMENT ON COLUMN revops.intent.first IS 'One of those that matter first';
COMMENT ON COLUMN revops.intent.dropped IS 'Ended by drop_intent(): words show it no more; kept for what counts towards its scores';
COMMENT ON TABLE revops.intent IS 'The intents that signals and moments add to. All that adds to one intent shares its half-life, so that scores rank by index';
SELECT pg_catalog.pg_extension_config_dump('revops.intent', '');

CREATE TABLE revops.signal (
    signal      text COLLATE "C" NOT NULL CHECK (signal <> '' AND octet_length(signal) <= 200),
    version     int NOT NULL,
    signal_no   int NOT NULL UNIQUE,
    intent      text COLLATE "C" NOT NULL CONSTRAINT signal_intent REFERENCES revops.intent,
    weight      float8 NOT NULL CHECK (weight > 0 AND weight <= 1e9),
    daily_cap   float8 CHECK (daily_cap > 0 AND daily_cap <= 1e12),
    subjects    text[] NOT NULL CHECK (subjects <> '{}' AND subjects <@ ARRAY['person', 'account', 'opportunity', 'rep']),
    match       json NOT NULL,
    title       text,
    valid_from  timestamptz NOT NULL,
    valid_to    timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (signal, version)
);
COMMENT ON TABLE revops.signal IS 'Signals and their versions: which events add how much to which intent. Written by put_signal() and drop_signal()';
COMMENT ON COLUMN revops.signal.valid_from IS 'The version counts events that occurred from this time on';
COMMENT ON COLUMN revops.signal.valid_to IS 'and before this one';
COMMENT ON COLUMN revops.signal.daily_cap IS 'What the signal adds at most to one subject in one UTC day; NULL is no limit';
SELECT pg_catalog.pg_extension_config_dump('revops.signal', '');

CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.signal
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.intent
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();

CREATE TABLE revops.intent_state (
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    intent      text COLLATE "C" NOT NULL,
    rank        float8 NOT NULL,
    events      bigint NOT NULL,
    last_at     timestamptz NOT NULL,
    capped      bytea,
    PRIMARY KEY (subject_kind, subject, intent)
) WITH (fillfactor = 85);
CREATE INDEX intent_state_rank ON revops.intent_state (subject_kind, intent, rank DESC);
COMMENT ON TABLE revops.intent_state IS 'Intent scores as they are kept; read the view intent_score';
COMMENT ON COLUMN revops.intent_state.rank IS 'log2 of the sum of weight * 2^(t/half-life), t in seconds since 2000-01-01 UTC: ranks subjects at any time';
SELECT pg_catalog.pg_extension_config_dump('revops.intent_state', '');

CREATE FUNCTION revops.check_match(match text) RETURNS void
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_match';
COMMENT ON FUNCTION revops.check_match(text) IS 'Raises an error that names line, column and what was expected if the JSON is no condition on an event';

CREATE FUNCTION revops.put_signal(signal text, intent text, weight float8, match json DEFAULT '{}',
    half_life interval DEFAULT NULL, daily_cap float8 DEFAULT NULL,
    subjects text[] DEFAULT '{person,account,opportunity}', title text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    was revops.signal;
    has interval;
    since timestamptz;
BEGIN
    IF signal IS NULL OR intent IS NULL OR weight IS NULL OR match IS NULL OR subjects IS NULL THEN
        RAISE EXCEPTION 'a signal needs a name, an intent, a weight, a match and subjects' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT (weight > 0 AND weight <= 1e9) THEN
        RAISE EXCEPTION 'weight % of signal "%" is out of range', weight, signal
            USING ERRCODE = 'numeric_value_out_of_range', HINT = 'Give a weight above 0 and up to 1e9.';
    END IF;
    IF half_life <= '0' OR daily_cap <= 0 THEN
        RAISE EXCEPTION 'the half-life and the daily cap of signal "%" must be more than 0', signal
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave them out for the half-life of the intent, and for no cap.';
    END IF;
    PERFORM revops.check_match(match::text);
    -- waits for the passes that are under way, so that no event is scored by half of a change
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    SELECT i.half_life INTO has FROM revops.intent i WHERE i.intent = put_signal.intent;
    IF NOT FOUND THEN
        INSERT INTO revops.intent (intent, half_life) VALUES (intent, coalesce(half_life, '7 days'));
    ELSIF has <> half_life THEN
        RAISE EXCEPTION 'intent "%" decays with a half-life of %, not %', intent, has, half_life
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'All signals of one intent share its half-life, so that its scores rank by index.',
                  HINT = 'Leave half_life out, or change it for all with revops.set_half_life().';
    END IF;
    SELECT * INTO was FROM revops.signal s WHERE s.signal = put_signal.signal ORDER BY s.version DESC LIMIT 1;
    IF was.valid_to = 'infinity' AND was.intent = intent AND was.weight = weight AND was.daily_cap IS NOT DISTINCT FROM daily_cap
       AND was.subjects = subjects AND was.match::text = match::text THEN
        UPDATE revops.signal s SET title = put_signal.title WHERE s.signal_no = was.signal_no AND s.title IS DISTINCT FROM put_signal.title;
        RETURN was.version;
    END IF;
    since := revops.config_valid_from();
    UPDATE revops.signal s SET valid_to = greatest(since, s.valid_from) WHERE s.signal_no = was.signal_no AND s.valid_to = 'infinity';
    INSERT INTO revops.signal (signal, version, signal_no, intent, weight, daily_cap, subjects, match, title, valid_from)
    VALUES (signal, coalesce(was.version, 0) + 1, (SELECT coalesce(max(s.signal_no), 0) + 1 FROM revops.signal s),
            intent, weight, daily_cap, subjects, match, title, since);
    RETURN coalesce(was.version, 0) + 1;
END $$;
COMMENT ON FUNCTION revops.put_signal(text, text, float8, json, interval, float8, text[], text) IS
'Sets a signal: events that match add weight to the intent of their subjects. Counts events from now on (all, if none was processed yet); returns its version';

CREATE FUNCTION revops.ensure_intent(intent text) RETURNS void
LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(intent) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'the name of an intent has 1 to 200 bytes, this one has %', octet_length(intent) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO revops.intent (intent, half_life) VALUES ($1, '7 days') ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION revops.ensure_intent(text) IS
'Makes the intent, with a half-life of 7 days, if it does not exist yet; NULL does nothing. put_rule() calls it for the intent of a rule';

CREATE FUNCTION revops.drop_signal(signal text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    UPDATE revops.signal s SET valid_to = greatest(revops.config_valid_from(), s.valid_from)
    WHERE s.signal = drop_signal.signal AND s.valid_to = 'infinity';
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION revops.drop_signal(text) IS 'Ends a signal: later events do not count. What it added decays; true if there was one';

CREATE FUNCTION revops.explain_intent(subject_kind revops.subject_kind, subject text, intent text)
RETURNS TABLE (event_id uuid, occurred_at timestamptz, kind text, object text, signal text, weight float8, share float8, points float8)
LANGUAGE c STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'explain_intent';
COMMENT ON FUNCTION revops.explain_intent(revops.subject_kind, text, text) IS
'The ledger of a score: each event with its weight, the share that the daily cap leaves of it, and its points at revops.now(); a standing moment is a line of signal moment:<rule> with its last event; the points sum to the score';

CREATE VIEW revops.intent_score WITH (security_barrier) AS
SELECT s.subject_kind, s.subject, s.intent,
       CASE WHEN s.last_at <= revops.now() + current_setting('revops.clock_tolerance')::interval
            THEN revops.decayed(s.rank, i.half_life, revops.now())
            ELSE (SELECT coalesce(sum(x.points), 0) FROM revops.explain_intent(s.subject_kind, s.subject, s.intent) x)
       END AS score,
       s.last_at, s.events
FROM revops.intent_state s JOIN revops.intent i USING (intent);
COMMENT ON VIEW revops.intent_score IS 'Each subject''s decayed intent scores at revops.now()';
COMMENT ON COLUMN revops.intent_score.subject_kind IS 'person, account, opportunity or rep';
COMMENT ON COLUMN revops.intent_score.subject IS 'Its key';
COMMENT ON COLUMN revops.intent_score.intent IS 'The intent';
COMMENT ON COLUMN revops.intent_score.score IS 'The sum of the weights of signals and moments, halved every half-life';
COMMENT ON COLUMN revops.intent_score.last_at IS 'When the last event or moment that counts occurred';
COMMENT ON COLUMN revops.intent_score.events IS 'How many events and moments counted, ever';

CREATE FUNCTION revops.hottest(subject_kind revops.subject_kind, intent text, n int DEFAULT 10)
RETURNS TABLE (subject text, score float8, last_at timestamptz, events bigint)
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp ROWS 10 AS $$
#variable_conflict use_column
BEGIN
    IF revops.now() >= statement_timestamp() THEN
        RETURN QUERY
        SELECT s.subject::text, revops.decayed(s.rank, i.half_life, revops.now()), s.last_at, s.events
        FROM revops.intent_state s, revops.intent i
        WHERE s.subject_kind = $1 AND s.intent = $2 COLLATE "C" AND i.intent = $2 COLLATE "C"
        ORDER BY s.rank DESC LIMIT greatest($3, 0);
    ELSE
        -- a look at the past: the ranks hold what has come since
        RETURN QUERY
        SELECT s.subject::text, s.score, s.last_at, s.events
        FROM revops.intent_score s
        WHERE s.subject_kind = $1 AND s.intent = $2 COLLATE "C" AND s.score > 0
        ORDER BY s.score DESC, s.subject LIMIT greatest($3, 0);
    END IF;
END $$;
COMMENT ON FUNCTION revops.hottest(revops.subject_kind, text, int) IS
'The n subjects with the highest score of an intent, hottest first: an index scan, whatever the number of subjects; where revops.as_of lies in the past, as it was then, which reads them all';
