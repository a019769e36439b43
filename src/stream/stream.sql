-- stream: the cursor of each lane, quarantine, repairs, and the pass by hand

CREATE TABLE revops.stream_lane (
    lane          int PRIMARY KEY CHECK (lane >= 0),
    lanes         int NOT NULL CHECK (lanes > lane),
    epoch         int NOT NULL,
    done          pg_snapshot NOT NULL,
    target        pg_snapshot,
    adopting      boolean NOT NULL DEFAULT false,
    position_txid xid8,
    position_id   uuid,
    past_epochs   int[] NOT NULL DEFAULT '{}',
    frontier      timestamptz NOT NULL DEFAULT '-infinity',
    events        bigint NOT NULL DEFAULT 0,
    failed        bigint NOT NULL DEFAULT 0,
    passes        bigint NOT NULL DEFAULT 0,
    last_pass_at  timestamptz,
    past_until    bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
COMMENT ON TABLE revops.stream_lane IS 'Where each lane of the stream stands; written by the stream alone, in the transaction of its results';
COMMENT ON COLUMN revops.stream_lane.epoch IS 'The cluster and database whose transaction ids the cursor means';
COMMENT ON COLUMN revops.stream_lane.done IS 'All events that this snapshot sees are taken';
COMMENT ON COLUMN revops.stream_lane.target IS 'The open batch: what this snapshot sees and done does not; NULL where none is open';
COMMENT ON COLUMN revops.stream_lane.position_txid IS 'Of the open batch, what is not after (position_txid, position_id) is taken';
COMMENT ON COLUMN revops.stream_lane.past_epochs IS 'Epochs of which everything is taken';
COMMENT ON COLUMN revops.stream_lane.past_until IS 'The last transaction id of each, should a restore come back to that cluster and database';
COMMENT ON COLUMN revops.stream_lane.frontier IS 'The latest time at which an event that was taken occurred';
SELECT pg_catalog.pg_extension_config_dump('revops.stream_lane', '');

CREATE TABLE revops.failed_event (
    event_id    uuid NOT NULL,
    lane        int NOT NULL,
    occurred_at timestamptz NOT NULL,
    person      text COLLATE "C",
    account     text COLLATE "C",
    kind        text COLLATE "C",
    sqlstate    text NOT NULL,
    error       text NOT NULL,
    failed_at   timestamptz NOT NULL DEFAULT revops.now(),
    attempts    int NOT NULL DEFAULT 1,
    PRIMARY KEY (event_id, lane)
);
COMMENT ON TABLE revops.failed_event IS 'Events whose analysis failed, with the error: they count for nothing until revops.retry_failed() succeeds';
SELECT pg_catalog.pg_extension_config_dump('revops.failed_event', '');

CREATE TABLE revops.repair_request (
    request_id  bigint GENERATED ALWAYS AS IDENTITY,
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    since       timestamptz NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT revops.now(),
    error       text,
    PRIMARY KEY (subject, request_id)
);
CREATE INDEX repair_request_order ON revops.repair_request (request_id);
COMMENT ON TABLE revops.repair_request IS 'Subjects whose results the stream is asked to compute anew from their history';
SELECT pg_catalog.pg_extension_config_dump('revops.repair_request', '');
SELECT pg_catalog.pg_extension_config_dump('revops.repair_request_request_id_seq', '');

CREATE FUNCTION revops.request_repair(subject_kind revops.subject_kind, subject text, since timestamptz DEFAULT '-infinity') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO revops.repair_request (subject_kind, subject, since)
    SELECT $1, $2, coalesce($3, '-infinity') WHERE $1 IS NOT NULL AND $2 IS NOT NULL
$$;
COMMENT ON FUNCTION revops.request_repair(revops.subject_kind, text, timestamptz) IS
'Asks the stream to compute a subject''s scores, and its moments since a time, anew from its history';

CREATE FUNCTION revops.config_valid_from() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN coalesce(sum(events), 0) = 0 THEN '-infinity'
                ELSE greatest(revops.now(), max(frontier) + interval '1 microsecond') END FROM revops.stream_lane
$$;
COMMENT ON FUNCTION revops.config_valid_from() IS 'From when a change of rules or signals applies: after all events that were processed; everything, if none was';

CREATE FUNCTION revops.process(max_events bigint DEFAULT NULL) RETURNS bigint
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'stream_process';
COMMENT ON FUNCTION revops.process(bigint) IS
'Works off at most max_events events (NULL: all that are committed) in this transaction, with repairs and due escalations, as the workers do; returns how many';

CREATE FUNCTION revops.retry_failed() RETURNS bigint
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'stream_retry_failed';
COMMENT ON FUNCTION revops.retry_failed() IS 'Tries the events in quarantine and the failed repairs again; returns how many events succeeded';

CREATE FUNCTION revops.set_lanes(lanes int) RETURNS int
LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'stream_set_lanes';
COMMENT ON FUNCTION revops.set_lanes(int) IS
'Splits the stream into so many lanes (1 to 16), each with a worker of its own: works off the backlog first; returns how many there were';

CREATE FUNCTION revops.request_score_repairs() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    WITH keys AS (
        SELECT 'person'::revops.subject_kind AS kind, coalesce(p.identity, e.person) AS key
        FROM (SELECT DISTINCT person FROM revops.event WHERE person IS NOT NULL) e LEFT JOIN revops.person p USING (person)
        UNION SELECT 'account', account FROM revops.event WHERE account IS NOT NULL
        UNION SELECT 'account', account FROM revops.person WHERE account IS NOT NULL
        UNION SELECT 'opportunity', opportunity FROM revops.event WHERE opportunity IS NOT NULL
        UNION SELECT 'rep', rep FROM revops.event WHERE rep IS NOT NULL
        UNION SELECT subject_kind, subject FROM revops.moment WHERE retracted_at IS NULL
        UNION SELECT subject_kind, subject FROM revops.intent_state)
    INSERT INTO revops.repair_request (subject_kind, subject, since) SELECT kind, key, 'infinity' FROM keys;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.request_score_repairs() IS 'Asks the stream to compute the scores of every subject anew from its history; returns how many subjects';

CREATE FUNCTION revops.rebuild_scores() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    UPDATE revops.signal SET valid_to = '-infinity', valid_from = '-infinity' WHERE valid_to < 'infinity';
    UPDATE revops.signal SET valid_from = '-infinity' WHERE valid_to = 'infinity' AND valid_from > '-infinity';
    RETURN revops.request_score_repairs();
END $$;
COMMENT ON FUNCTION revops.rebuild_scores() IS
'Applies the present signals to all events that are kept, and adds standing moments: asks the stream to compute every subject''s scores anew; returns how many subjects';

CREATE FUNCTION revops.set_half_life(intent text, half_life interval) RETURNS bigint
LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    UPDATE revops.intent i SET half_life = set_half_life.half_life WHERE i.intent = set_half_life.intent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no intent "%"', intent USING ERRCODE = 'undefined_object',
            HINT = 'Intents are made by revops.put_signal(), and by revops.put_rule() for rules that name one.';
    END IF;
    DELETE FROM revops.intent_state s WHERE s.intent = set_half_life.intent;
    RETURN revops.request_score_repairs();
END $$;
COMMENT ON FUNCTION revops.set_half_life(text, interval) IS
'Changes the half-life of an intent: its scores are computed anew by the stream; returns how many subjects it was asked to look at';
