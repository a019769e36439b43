-- capture: what is written, what is not, and where it lies
SET client_min_messages = warning;
DROP DATABASE IF EXISTS revops_capture;
CREATE DATABASE revops_capture;
\c revops_capture
SET client_min_messages = warning;
CREATE EXTENSION pg_revops;
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
SET client_min_messages = notice;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET revops.as_of = '2026-01-31 09:00+00';

-- event ids: version 7, of the clock's time, ascending
SELECT substr(id::text, 15, 1) AS version, substr(id::text, 20, 1) IN ('8', '9', 'a', 'b') AS variant,
       to_timestamp(('x' || lpad(replace(left(id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint / 1000.0) AS at
FROM revops.uuid_v7() AS id;
SELECT count(*) AS ids, count(DISTINCT id) AS different, bool_and(id > before) AS ascending
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM (SELECT n, revops.uuid_v7() AS id FROM generate_series(1, 10000) n) a) b;
SELECT revops.stream_epoch() > 0 AS positive, revops.stream_epoch() = revops.stream_epoch() AS stable;

-- nothing is partitioned yet; events are taken all the same
SELECT * FROM revops.event_partitions();
SELECT revops.track('page_view', 'ada', object => '/pricing', dwell => '95 seconds', properties => '{"utm": "x"}') IS NOT NULL AS tracked;
SELECT tableoid::regclass, occurred_at, received_at, person, side, channel, kind, object, dwell, properties, ahead,
       epoch = revops.stream_epoch() AS local, txid < pg_current_xact_id() AS earlier
FROM revops.event;

-- partitions ahead of time: UTC months; the event above has moved, with its stamps, now that its month has a partition
SELECT txid AS written_by, event_id AS first_id FROM revops.event \gset
SELECT revops.make_partitions();
SELECT revops.make_partitions();
SELECT * FROM revops.event_partitions();
SELECT count(*) FROM revops.event_default;
SELECT tableoid::regclass, txid = :'written_by' AS same_txid, event_id = :'first_id' AS same_id FROM revops.event;
SELECT revops.make_partition('2026-02-28 23:59:59.999999+00'), revops.make_partition('2026-02-28 23:00-05');
SELECT revops.make_partition('infinity');
SELECT revops.make_partition(NULL);
SELECT revops.make_partitions('-1 day');

-- each leaf has its own indexes and trigger, the parent none
SELECT replace(pg_get_indexdef(indexrelid), 'event_20260101', 'LEAF') FROM pg_index WHERE indrelid = 'revops.event_20260101'::regclass ORDER BY 1;
SELECT t.tgrelid::regclass, t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relname ~ '^event' AND c.relnamespace = 'revops'::regnamespace ORDER BY 1;
SELECT (SELECT count(*) FROM pg_index WHERE indrelid IN ('revops.event_default'::regclass)) AS default_indexes,
       (SELECT count(*) FROM pg_index WHERE indrelid IN ('revops.event'::regclass)) AS parent_indexes;

-- the same event again changes nothing: INSERT, also within one statement and under another time
INSERT INTO revops.event (event_id, kind, person) VALUES ('00000000-0000-4000-8000-000000000001', 'search', 'ada');
INSERT INTO revops.event (event_id, kind, person) VALUES ('00000000-0000-4000-8000-000000000001', 'search', 'bob') RETURNING event_id;
INSERT INTO revops.event (event_id, kind, occurred_at) VALUES ('00000000-0000-4000-8000-000000000001', 'search', '2026-02-03'), ('00000000-0000-4000-8000-000000000001', 'search', '1999-01-01');
INSERT INTO revops.event (event_id, kind, occurred_at) VALUES
    ('00000000-0000-4000-8000-000000000002', 'a', '2026-01-03'), ('00000000-0000-4000-8000-000000000002', 'b', '2026-01-03'),
    ('00000000-0000-4000-8000-000000000002', 'c', '2026-02-03'), ('00000000-0000-4000-8000-000000000002', 'd', '1999-01-01');
WITH one AS MATERIALIZED (SELECT revops.uuid_v7() AS id) INSERT INTO revops.event (event_id, kind, person) SELECT id, 'twice', 'own id' FROM one, generate_series(1, 3);
SELECT kind, person, occurred_at FROM revops.event WHERE event_id <> :'first_id' ORDER BY event_id;
-- in a transaction that saw nothing of it, and after a rollback
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO revops.event (event_id, kind) VALUES ('00000000-0000-4000-8000-000000000003', 'kept');
SAVEPOINT s;
INSERT INTO revops.event (event_id, kind) VALUES ('00000000-0000-4000-8000-000000000003', 'dropped'), ('00000000-0000-4000-8000-000000000004', 'undone');
ROLLBACK TO s;
INSERT INTO revops.event (event_id, kind) VALUES ('00000000-0000-4000-8000-000000000003', 'dropped'), ('00000000-0000-4000-8000-000000000004', 'kept');
COMMIT;
SELECT kind, count(*) FROM revops.event WHERE event_id IN ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000004') GROUP BY 1;
-- a partition made in the middle of a transaction is looked into as well
BEGIN;
INSERT INTO revops.event (event_id, kind, occurred_at) VALUES ('00000000-0000-4000-8000-000000000005', 'old', '2025-12-05');
SELECT revops.make_partition('2025-12-05');
INSERT INTO revops.event (event_id, kind, occurred_at) VALUES ('00000000-0000-4000-8000-000000000005', 'again', '2025-12-05'), ('00000000-0000-4000-8000-000000000005', 'again', '2026-01-05');
SELECT tableoid::regclass, kind FROM revops.event WHERE event_id = '00000000-0000-4000-8000-000000000005';
ROLLBACK;
-- COPY
COPY revops.event (event_id, kind, occurred_at) FROM stdin;
00000000-0000-4000-8000-000000000001	copied	2026-01-01
00000000-0000-4000-8000-000000000006	copied	2026-01-01
00000000-0000-4000-8000-000000000006	copied	2026-01-02
00000000-0000-4000-8000-000000000006	copied	2026-02-02
\.
COPY revops.event (kind, person) FROM stdin;
copied	a
copied	b
\.
SELECT kind, count(*) FROM revops.event WHERE kind = 'copied' GROUP BY 1;
-- track() returns the id of the one that is there
SELECT revops.track('search', event_id => '00000000-0000-4000-8000-000000000001'), revops.track('new', event_id => '00000000-0000-4000-8000-000000000007');
SELECT event_id, kind FROM revops.event WHERE event_id IN ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000007') ORDER BY 1;
SELECT accepted, duplicates, rejected FROM revops.track_batch('[{"event_id": "00000000-0000-4000-8000-000000000001", "kind": "search"}, {"event_id": "00000000-0000-4000-8000-000000000008", "kind": "search"}, {"event_id": "00000000-0000-4000-8000-000000000008", "kind": "search", "occurred_at": "2026-02-01T00:00:00Z"}]');

-- bad input
INSERT INTO revops.event (kind, person) VALUES ('x', repeat('p', 512));
INSERT INTO revops.event (kind, person) VALUES ('x', repeat('p', 513));
INSERT INTO revops.event (kind, person) VALUES ('x', repeat('客', 171));
INSERT INTO revops.event (kind, account) VALUES ('x', repeat('p', 100000));
INSERT INTO revops.event (kind, object) VALUES ('x', repeat('p', 2001));
\set VERBOSITY terse
INSERT INTO revops.event (kind, event_id) VALUES ('x', NULL);
INSERT INTO revops.event (kind, occurred_at) VALUES ('x', 'infinity');
INSERT INTO revops.event (kind, side) VALUES ('x', 'nobody');
SELECT revops.track(NULL);
SELECT revops.track('x', side => 'nobody');
\set VERBOSITY default
DELETE FROM revops.event WHERE kind = 'x';
CREATE TABLE stranger (event_id uuid);
CREATE TRIGGER t BEFORE INSERT ON stranger FOR EACH ROW EXECUTE FUNCTION revops.event_before_insert();
INSERT INTO stranger VALUES (NULL);
DROP TABLE stranger;

-- clock skew: kept, and marked
SHOW revops.clock_tolerance;
INSERT INTO revops.event (kind, occurred_at) VALUES ('skew', '2026-01-31 09:05+00'), ('skew', '2026-01-31 09:05:00.000001+00'), ('skew', '2031-01-31');
SELECT occurred_at, ahead FROM revops.event WHERE kind = 'skew' ORDER BY 1;
SET revops.clock_tolerance = '1h';
SELECT revops.track('skew2', occurred_at => '2026-01-31 09:59+00') IS NOT NULL AS tracked;
SELECT ahead FROM revops.event WHERE kind = 'skew2';
RESET revops.clock_tolerance;

-- stamps: kept as they are when given, as a restore gives them; a replicated row is stamped anew
INSERT INTO revops.event (kind, epoch, txid, ahead) VALUES ('restored', 7, '42', true);
SET session_replication_role = replica;
INSERT INTO revops.event (kind, epoch, txid, occurred_at) VALUES ('replicated', 7, '42', '2026-01-30'), ('replicated', 7, '42', '2026-03-30');
RESET session_replication_role;
SELECT kind, epoch = revops.stream_epoch() AS local, txid > '42' AS anew, ahead FROM revops.event WHERE kind IN ('restored', 'replicated') ORDER BY kind DESC, ahead;

-- backfill of last year: into the default partition, then, on demand, into its own
TRUNCATE revops.event;
INSERT INTO revops.event (event_id, kind, person, occurred_at, epoch, txid)
SELECT revops.message_uuid('backfill ' || n), 'backfill', 'p' || n % 7, '2025-01-01 12:00+00'::timestamptz + n * interval '1 day', 1, (n + 5)::text::xid8
FROM generate_series(0, 364) n;
SELECT tableoid::regclass, count(*) FROM revops.event GROUP BY 1;
SELECT revops.make_partition('2025-03-08');
SELECT revops.make_partitions();
SELECT tableoid::regclass AS partition, count(*), min(txid::text::bigint), max(txid::text::bigint), bool_and(epoch = 1) AS verbatim FROM revops.event GROUP BY 1 ORDER BY 1;
INSERT INTO revops.event (event_id, kind, occurred_at) SELECT revops.message_uuid('backfill ' || n), 'again', '2025-06-01' FROM generate_series(0, 364) n;
SELECT count(*) FROM revops.event;

-- another interval: what is free of it
SET revops.partition_interval = 'week';
SELECT revops.make_partition('2024-12-31'), revops.make_partition('2024-12-18');
SET revops.partition_interval = 'day';
SELECT revops.make_partition('2024-12-31'), revops.make_partition('2024-12-11');
SET revops.partition_interval = 'month';
SELECT revops.make_partitions('0', '2024-12-05');
SELECT * FROM revops.event_partitions() WHERE since < '2025-02-01';
SET revops.partition_interval = 'year';
CREATE TABLE revops.event_20240201 ();
SELECT revops.make_partition('2024-02-14');
DROP TABLE revops.event_20240201;

-- retention
SELECT revops.drop_expired_partitions();
SET revops.retention = 'long';
SET revops.retention = '-1 day';
SET revops.retention = '6 months';
INSERT INTO revops.event (kind, occurred_at) VALUES ('ancient', '2001-01-01');
INSERT INTO revops.rejected_event VALUES ('2001-01-01', '{}', 'ancient'), (revops.now(), '{}', 'of today');
SELECT revops.process() >= 0 AS taken;
SELECT revops.drop_expired_partitions();
SELECT revops.drop_expired_partitions();
SELECT * FROM revops.event_partitions() LIMIT 1;
SELECT min(occurred_at), count(*) FILTER (WHERE kind = 'ancient') AS ancient FROM revops.event;
SELECT reason FROM revops.rejected_event;
-- what is expired gets no partition
INSERT INTO revops.event (kind, occurred_at) VALUES ('ancient', '2001-01-01');
SELECT revops.make_partitions();
RESET revops.retention;
TRUNCATE revops.event, revops.rejected_event;

-- track_batch: our own names
SELECT * FROM revops.track_batch('[
  {"kind": "page_view", "person": "ada", "account": "acme", "opportunity": "o1", "rep": "r1", "side": "rep", "channel": "email", "object": "/compare",
   "dwell": 95.5, "body": "hello", "occurred_at": "2026-01-31T08:00:00+08:00", "event_id": "11111111-1111-4111-8111-111111111111", "properties": {"a": 1}, "extra": [1, 2]},
  {"kind": "search", "dwell": "2 minutes"}]');
SELECT event_id = '11111111-1111-4111-8111-111111111111' AS given, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties
FROM revops.event ORDER BY occurred_at;
TRUNCATE revops.event;
-- Segment
SELECT * FROM revops.track_batch('[
  {"type": "page", "messageId": "ajs-1", "anonymousId": "anon-1", "timestamp": "2026-01-30T10:00:00.123Z", "name": "Pricing", "properties": {"title": "P"},
   "context": {"page": {"path": "/pricing", "url": "https://x.example/pricing?a=1"}}},
  {"type": "page", "messageId": "ajs-2", "anonymousId": "anon-1", "originalTimestamp": "2026-01-30T10:00:01Z", "properties": {"url": "https://x.example?a=1"}},
  {"type": "track", "messageId": "ajs-3", "anonymousId": "anon-1", "event": "Demo Requested", "timestamp": "2026-01-30T10:00:02Z", "properties": {"size": 5}, "channel": "browser"},
  {"type": "screen", "messageId": "ajs-4", "userId": 123, "name": "Home", "timestamp": "2026-01-30T10:00:03Z"},
  {"type": "identify", "messageId": "ajs-5", "userId": "ada", "anonymousId": "anon-1", "traits": {"email": "a@x.example"}, "timestamp": "2026-01-30T10:00:04Z"},
  {"type": "alias", "messageId": "ajs-6", "userId": "ada", "previousId": "anon-2", "timestamp": "2026-01-30T10:00:05Z"},
  {"type": "group", "messageId": "ajs-7", "userId": "ada", "groupId": "acme", "timestamp": "2026-01-30T10:00:06Z"},
  {"type": "page", "messageId": "ajs-1", "anonymousId": "anon-1", "timestamp": "2026-01-30T10:00:00.123Z"},
  {"type": "delete", "messageId": "ajs-9"}]');
SELECT event_id, occurred_at, person, account, channel, kind, object, properties FROM revops.event ORDER BY occurred_at;
SELECT person, identity FROM revops.person ORDER BY 1;
TRUNCATE revops.event, revops.person;
-- Snowplow, enriched and raw
SELECT * FROM revops.track_batch('[
  {"event": "page_view", "event_id": "22222222-2222-4222-8222-222222222222", "domain_userid": "duid-1", "user_id": "ada", "page_urlpath": "/docs", "platform": "web", "derived_tstamp": "2026-01-30 10:00:00.5", "geo_country": "CN"},
  {"event": "page_ping", "event_id": "22222222-2222-4222-8222-222222222223", "domain_userid": "duid-1", "page_url": "https://x.example/docs/a#b", "dvce_created_tstamp": "2026-01-30 10:00:10"},
  {"event": "struct", "event_id": "22222222-2222-4222-8222-222222222224", "domain_userid": "duid-1", "se_action": "play", "se_category": "video", "platform": "mob", "collector_tstamp": "2026-01-30 10:00:11"},
  {"e": "pv", "eid": "22222222-2222-4222-8222-222222222225", "duid": "duid-1", "url": "https://x.example/", "dtm": "1769767212345", "p": "web"},
  {"e": "pp", "eid": "22222222-2222-4222-8222-222222222226", "duid": "duid-1", "uid": "ada", "url": "https://x.example/", "dtm": 1769767222345},
  {"e": "se", "eid": "22222222-2222-4222-8222-222222222227", "duid": "duid-1", "se_ac": "add", "dtm": 1769767223},
  {"e": "ue", "eid": "22222222-2222-4222-8222-222222222227", "duid": "duid-1"}]');
SELECT event_id, occurred_at, person, channel, kind, object, dwell, properties FROM revops.event ORDER BY occurred_at;
TRUNCATE revops.event;
-- what cannot be taken is kept, and holds up nothing
SELECT * FROM revops.track_batch('[1, null, "x", [], {}, {"kind": ""}, {"type": "track"}, {"kind": {"a": 1}}, {"kind": "k", "person": ["x"]}, {"kind": "k", "side": "nobody"},
  {"kind": "k", "occurred_at": "yesterday"}, {"kind": "k", "occurred_at": "2026-13-45T00:00:00Z"}, {"kind": "k", "occurred_at": 9999999999999999999999}, {"kind": "k", "dwell": "a while"},
  {"type": "identify", "userId": "c", "anonymousId": "b"}, {"type": "identify", "userId": "b", "anonymousId": "c"},
  {"kind": "good", "person": "p1"}, {"kind": "good", "person": "p2"}]');
SELECT reason, document FROM revops.rejected_event ORDER BY reason COLLATE "C", document;
SELECT kind, count(*) FROM revops.event GROUP BY 1 ORDER BY 1;
TRUNCATE revops.rejected_event;
SELECT * FROM revops.track_batch(jsonb_build_array(jsonb_build_object('kind', 'k', 'person', repeat('p', 513)), jsonb_build_object('kind', 'good'),
                                                   jsonb_build_object('kind', 'k', 'body', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 40000) n))));
SELECT reason, jsonb_typeof(document), length(document::text) FROM revops.rejected_event ORDER BY reason;
SELECT * FROM revops.track_batch('[]');
SELECT * FROM revops.track_batch('{"kind": "page_view"}');
SELECT * FROM revops.track_batch(NULL);
SELECT * FROM revops.track_batch((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 100001)));
SELECT * FROM revops.track_batch((SELECT jsonb_agg(jsonb_build_object('kind', 'many', 'messageId', n)) FROM generate_series(1, 2000) n));
SELECT * FROM revops.track_batch((SELECT jsonb_agg(jsonb_build_object('kind', CASE WHEN n % 500 = 0 THEN NULL ELSE 'many' END, 'messageId', n, 'dwell', CASE n WHEN 2222 THEN 'x' END)) FROM generate_series(1001, 3000) n));
SELECT count(*) FROM revops.event WHERE kind = 'many';
SELECT revops.message_uuid('some id'), revops.message_uuid('some id') = revops.message_uuid('some  id') AS same, revops.message_uuid('22222222222242228222222222222227');

-- identify: chains are flat, circles are refused, and the stream is asked for repairs
TRUNCATE revops.event, revops.person, revops.rejected_event;
BEGIN;
DO $$ BEGIN
    IF to_regprocedure('revops.request_repair(revops.subject_kind, text, timestamptz)') IS NOT NULL THEN
        ALTER FUNCTION revops.request_repair(revops.subject_kind, text, timestamptz) RENAME TO request_repair_kept;
    END IF;
END $$;
CREATE FUNCTION revops.request_repair(subject_kind revops.subject_kind, subject text, since timestamptz) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE 'repair % % since %', subject_kind, subject, since; END $$;
INSERT INTO revops.person (person, account) VALUES ('ada', 'acme'), ('v0', 'zeta');
SELECT revops.identify('nobody', 'ada');
INSERT INTO revops.event (kind, person, occurred_at) VALUES ('k', 'v1', '2026-01-10'), ('k', 'v1', '2026-01-12'), ('k', 'v2', '2026-01-05'), ('k', 'v0', '2026-01-11');
INSERT INTO revops.event (kind, person, account, occurred_at) VALUES ('k', 'v1', 'own', '2026-01-13');
SELECT revops.identify('v2', 'v1');
SELECT revops.identify('v1', 'ada');
SELECT revops.identify('v1', 'ada');
SELECT revops.identify('v0', 'v2');
SELECT person, identity, account FROM revops.person ORDER BY 1;
UPDATE revops.person SET account = 'beta' WHERE person = 'ada';
UPDATE revops.person SET name = 'Ada' WHERE person = 'ada';
UPDATE revops.person SET identity = NULL WHERE person = 'v1';
INSERT INTO revops.event (kind, person, occurred_at) VALUES ('k', 'eve', '2026-01-20'), ('k', 'old', '2026-01-21');
INSERT INTO revops.person (person, account) VALUES ('eve', 'acme'), ('old', 'acme'), ('mute', 'acme');
DELETE FROM revops.person WHERE person IN ('old', 'mute');
\set VERBOSITY terse
SAVEPOINT s;
SELECT revops.identify('ada', 'v0');
ROLLBACK TO s;
SELECT revops.identify('ada', 'ada');
ROLLBACK TO s;
SELECT revops.identify('', 'ada');
ROLLBACK TO s;
SELECT revops.identify('ada', NULL);
ROLLBACK TO s;
SELECT revops.identify(repeat('v', 513), 'ada');
ROLLBACK;
\set VERBOSITY default

-- what is expired stays until the stream has taken it; what the quarantine and the late have of it goes too
SELECT revops.process() >= 0 AS some;
SET revops.retention = '3 months';
SELECT revops.drop_expired_partitions() >= 0 AS dropped;
INSERT INTO revops.event (kind, person, occurred_at) VALUES ('old', 'p1', '2025-03-01');
INSERT INTO revops.failed_event (event_id, lane, occurred_at, sqlstate, error) VALUES (revops.uuid_v7(), 0, '2025-02-01', 'XX000', 'gone');
SELECT revops.drop_expired_partitions();
SELECT count(*) FROM revops.event WHERE kind = 'old';
SELECT revops.process();
SELECT revops.drop_expired_partitions() >= 0 AS dropped;
SELECT count(*) FROM revops.event WHERE kind = 'old';
SELECT count(*) FROM revops.failed_event;

-- events of long before any calendar, and of no time at all
INSERT INTO revops.event (kind, occurred_at) VALUES ('bc', '4714-11-24 00:00+00 BC');
SELECT revops.make_partitions() >= 0 AS made;
INSERT INTO revops.event (kind, received_at) VALUES ('never', '-infinity');

-- the whole leaves with the extension
DROP EXTENSION pg_revops;
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'revops';
\c postgres
DROP DATABASE revops_capture;
