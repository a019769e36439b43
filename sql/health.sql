-- revops.health(): each check turns bad, and good again
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- a database of its own, which no other test has left anything in
SELECT current_database() AS home \gset
CREATE DATABASE revops_health TEMPLATE template0;
\c revops_health
SET client_min_messages = warning;
CREATE EXTENSION pg_revops;
SET revops.as_of = '2026-03-02 10:00+00';
-- how this server is set up is not under test here. The workers are stopped, so that only process() moves things
SELECT count(*) >= 0 AS done FROM (SELECT revops.stop_worker() WHERE current_setting('shared_preload_libraries') LIKE '%pg_revops%') s;
SELECT revops.make_partitions(since => revops.now()) >= 0 AS made;
SELECT revops.process() >= 0 AS done;
CREATE VIEW bad AS SELECT check_name, detail, hint IS NOT NULL AS has_hint FROM revops.health() WHERE NOT ok AND check_name NOT IN ('preload', 'worker', 'jobs');
SELECT * FROM bad;
SELECT check_name FROM revops.health();
SELECT count(*) AS hints_of_what_is_well FROM revops.health() WHERE ok AND hint IS NOT NULL;

-- lag
SELECT revops.track('health_view', person => 'health-1') IS NOT NULL AS tracked;
SET revops.as_of = '2026-03-02 10:00:50+00';
SELECT * FROM bad;
SET revops.as_of = '2026-03-02 10:01:30+00';
SELECT * FROM bad;
SELECT ok FROM revops.health('5 minutes') WHERE check_name = 'lag';
SELECT revops.process();
SELECT * FROM bad;

-- quarantine
INSERT INTO revops.failed_event (event_id, lane, occurred_at, sqlstate, error) VALUES ('00000000-0000-7000-8000-000000000001', 0, revops.now(), 'P0001', 'a trigger said no');
SELECT * FROM bad;
DELETE FROM revops.failed_event;
-- repairs: one that failed, one that waits for long
INSERT INTO revops.repair_request (subject_kind, subject, since, error) VALUES ('person', 'health-1', '-infinity', 'out of luck');
SELECT * FROM bad;
DELETE FROM revops.repair_request;
INSERT INTO revops.repair_request (subject_kind, subject, since, requested_at) VALUES ('person', 'health-1', '-infinity', revops.now() - interval '2 hours');
SELECT * FROM bad;
SELECT revops.process();
SELECT * FROM bad;
-- rejected
SELECT * FROM revops.track_batch('[{"person": "health-1"}]');
SELECT * FROM bad;
DELETE FROM revops.rejected_event;
-- partitions
BEGIN;
SET LOCAL revops.as_of = '2031-01-01 00:00+00';
SELECT check_name, has_hint FROM bad;
ROLLBACK;
-- the default partition
INSERT INTO revops.event (person, kind, occurred_at) VALUES ('health-1', 'health_view', '2009-01-01 00:00+00');
SELECT revops.process();
SELECT * FROM bad;
SELECT revops.make_partition('2009-01-01');
SELECT * FROM bad;
-- late events
INSERT INTO revops.late_event (event_id, occurred_at, rule, version, subject_kind, subject, behind)
VALUES ('00000000-0000-7000-8000-000000000002', '2025-01-01 00:00+00', 'some rule', 1, 'person', 'health-1', '400 days');
SELECT * FROM bad;
SET revops.as_of = '2026-03-04 10:00+00';
SELECT * FROM bad;
DELETE FROM revops.late_event;
SET revops.as_of = '2026-03-02 10:01:30+00';
-- cards: an escalation that nobody sends
SELECT revops.put_playbook('health call', 'Call', '[{"title": "Call", "channel": "call", "message": "Hello"}]');
SELECT revops.put_rule('health rule', '{"when": {"kind": "health_call"}, "playbook": "health call"}');
SELECT revops.track('health_call', person => 'health-2') IS NOT NULL AS tracked;
SELECT revops.process();
SELECT * FROM bad;
SET revops.as_of = '2026-03-02 10:09:10+00';
SELECT * FROM bad;
SET revops.as_of = '2026-03-02 10:11:00+00';
SELECT * FROM bad;
SELECT revops.process();
SELECT * FROM bad;
-- epoch: as after a restore
BEGIN;
UPDATE revops.stream_lane SET epoch = epoch + 1;
SELECT check_name, has_hint FROM bad WHERE check_name <> 'lag';
SELECT revops.process() >= 0 AS adopted;
SELECT * FROM bad;
ROLLBACK;
-- publication: as on another machine
SELECT revops.put_intent('health_price', '{"patterns": [{"include": "price"}]}');
SELECT revops.publish_intents() > 0 AS published;
SELECT * FROM bad;
BEGIN;
UPDATE revops.intent_publication SET fingerprint = 'elsewhere' WHERE valid_to = 'infinity';
SELECT check_name, has_hint FROM bad;
SELECT revops.publish_intents() > 0 AS published;
SELECT * FROM bad;
ROLLBACK;
-- configuration
BEGIN;
INSERT INTO revops.territory (territory, name, director, time_zone) VALUES ('north', 'North', 'nobody', 'Mars/Olympus');
INSERT INTO revops.unit (unit, name, territory, coach, calendar) VALUES ('u9', 'Nine', 'nowhere', 'nobody', 'never');
INSERT INTO revops.rep (rep, name, unit) VALUES ('rob', 'Rob', 'u8');
INSERT INTO revops.duty (unit, territory) VALUES ('u7', 'nowhere');
SET LOCAL revops.fallback_rep = 'ghost';
SELECT revops.put_rule('health rule', '{"when": {"kind": "health_call"}, "playbook": "no such"}');
-- an intent that a rule adds to comes with the rule
SELECT revops.put_rule('health intent', '{"when": {"kind": "health_call"}, "intent": {"intent": "health talk", "weight": 2}}');
SELECT u FROM revops.unknown_names() u ORDER BY u COLLATE "C";
SELECT check_name, has_hint FROM bad;
ROLLBACK;
SELECT * FROM bad;
-- clock
ALTER ROLE CURRENT_USER SET revops.as_of = '2026-03-02 10:00+00';
\c -
SELECT check_name, detail, hint FROM revops.health() WHERE check_name = 'clock';
ALTER ROLE CURRENT_USER RESET revops.as_of;
\c -
SELECT check_name, ok FROM revops.health() WHERE check_name = 'clock';

-- who may ask
CREATE ROLE revops_health_reader IN ROLE revops_reader;
SET ROLE revops_health_reader;
SELECT count(*) > 10 AS answered FROM revops.health();
SELECT revops.unknown_names();
RESET ROLE;
DROP ROLE revops_health_reader;
\c :home
DROP DATABASE revops_health;
