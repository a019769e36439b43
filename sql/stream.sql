-- The stream: whatever the order of arrival, the size of batches and the number of lanes, results are those of one pass.
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
CREATE SCHEMA s;
SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}') AS version;
SELECT revops.put_signal('price', 'price', 4, '{"kind": "view", "object": {"prefix": "/price"}}', daily_cap => 9) AS version;
SELECT revops.put_signal('call', 'interest', 3.5, '{"kind": "call"}', subjects => '{account,rep}') AS version;
SELECT revops.put_rule('long', '{"title": "Long look", "when": {"kind": "view", "dwell": {"gt": "90s"}}, "cooldown": "2 hours"}') AS version;
SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "30 minutes"}}') AS version;
SELECT revops.put_rule('stay', '{"title": "Stays", "per": "account", "when": {"kind": "view"}, "sum": {"of": "dwell", "at_least": "5 minutes", "within": "1 hour"}, "cooldown": "6 hours"}') AS version;
SELECT revops.put_rule('night', '{"title": "At night", "when": {"kind": "view"}, "local_time": {"from": "22:00", "to": "06:00", "time_zone": "Asia/Shanghai"}, "cooldown": "1 day"}') AS version;

CREATE TABLE s.feed AS
SELECT md5(g::text)::uuid AS event_id,
       timestamptz '2026-03-01 00:00+00' + ('x' || substr(md5('t' || g), 1, 6))::bit(24)::int % 600000 * interval '1 s' AS occurred_at,
       'p' || ('x' || substr(md5('p' || g), 1, 4))::bit(16)::int % 20 AS person,
       CASE WHEN g % 5 = 0 THEN 'a9' END AS account,
       CASE WHEN g % 11 = 0 THEN 'call' ELSE 'view' END AS kind,
       CASE WHEN g % 3 = 0 THEN '/price' ELSE '/doc' END AS object,
       ('x' || substr(md5('d' || g), 1, 4))::bit(16)::int % 150 * interval '1 s' AS dwell
FROM generate_series(1, 3000) g;
INSERT INTO revops.person (person, account) SELECT 'p' || g, 'a' || g % 4 FROM generate_series(0, 15) g;

CREATE FUNCTION s.reset() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event,
             revops.repair_request;
END $$;
CREATE VIEW s.result AS
SELECT 'score' AS what, subject_kind::text, subject, intent AS name, round(rank::numeric, 6)::text AS value, events::text AS n, NULL::timestamptz AS at
FROM revops.intent_state
UNION ALL
SELECT 'moment', subject_kind::text, subject, rule, array_to_string(evidence, ','), account, occurred_at FROM revops.moment WHERE retracted_at IS NULL;

-- one pass, in the order of time
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM s.feed ORDER BY occurred_at;
SELECT revops.process();
CREATE TABLE s.truth AS SELECT * FROM s.result;
SELECT what, name, count(*) FROM s.truth GROUP BY 1, 2 ORDER BY 1, 2;

CREATE FUNCTION s.differences() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM ((TABLE s.truth EXCEPT TABLE s.result) UNION ALL (TABLE s.result EXCEPT TABLE s.truth)) x
$$;
SELECT s.differences();

-- every score is the sum of its ledger
SELECT count(*) FILTER (WHERE abs(x.points - i.score) > 1e-9 * greatest(i.score, 1)) AS wrong, count(*) >= 50 AS enough
FROM revops.intent_score i, LATERAL (SELECT sum(points) AS points FROM revops.explain_intent(i.subject_kind, i.subject, i.intent)) x;
SELECT count(*) FROM revops.explain_intent('person', 'nobody', 'interest');

-- shuffled arrival in batches of random size
DO $$
DECLARE
    size int;
    r uuid[];
    all_ids uuid[] := ARRAY(SELECT event_id FROM s.feed ORDER BY md5('shuffle' || event_id));
    i int := 1;
BEGIN
    PERFORM s.reset();
    WHILE i <= cardinality(all_ids) LOOP
        size := 1 + ('x' || substr(md5('size' || i), 1, 4))::bit(16)::int % 400;
        r := all_ids[i : i + size - 1];
        INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM s.feed WHERE event_id = ANY (r);
        i := i + size;
        EXIT WHEN i > 1500;
    END LOOP;
END $$;
SELECT revops.process(700);
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell)
SELECT * FROM s.feed f WHERE NOT EXISTS (SELECT FROM revops.event e WHERE e.event_id = f.event_id) ORDER BY md5('again' || f.event_id);
SELECT revops.process(1) FROM generate_series(1, 3);
SELECT revops.process(333) > 0 AS more FROM generate_series(1, 4);
SELECT revops.process() > 0 AS rest;
SELECT s.differences();
SELECT count(*) > 0 AS some_were_retracted FROM revops.moment WHERE retracted_at IS NOT NULL;

-- several lanes, changed on the way
SELECT s.reset();
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM s.feed WHERE event_id < 'aaaaaaaa-0000-0000-0000-000000000000';
SELECT revops.process(500);
SELECT revops.set_lanes(4);
SELECT lane, lanes, events FROM revops.stream_lane ORDER BY lane;
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM s.feed WHERE event_id >= 'aaaaaaaa-0000-0000-0000-000000000000';
SELECT revops.process();
SELECT s.differences();
SELECT revops.set_lanes(1);
SELECT s.differences();
SELECT revops.set_lanes(0);

-- rebuilding from history changes nothing
SELECT revops.rebuild_scores() > 20 AS asked;
SELECT revops.process();
SELECT s.differences();

-- a visitor who turns out to be somebody: as if it had always been so
SELECT s.reset();
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell)
SELECT event_id, occurred_at, CASE WHEN person = 'p7' AND event_id < '80000000-0000-0000-0000-000000000000' THEN 'visitor-1' ELSE person END, account, kind, object, dwell FROM s.feed;
SELECT revops.process();
SELECT s.differences() > 0 AS differ;
SELECT revops.identify('visitor-1', 'p7');
SELECT revops.process();
SELECT s.differences();
SELECT count(*) FROM revops.intent_state WHERE subject = 'visitor-1';

-- a poisonous event goes to quarantine, and the rest goes on
SELECT s.reset();
DELETE FROM revops.person WHERE person = 'visitor-1';
TRUNCATE revops.repair_request;
CREATE FUNCTION s.poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.subject = 'p3' AND EXISTS (SELECT FROM pg_settings WHERE name = 'revops.batch_size' AND setting <> '7') THEN
        RAISE EXCEPTION 'no moments of % here', NEW.subject;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE INSERT ON revops.moment FOR EACH ROW EXECUTE FUNCTION s.poison();
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM s.feed ORDER BY occurred_at;
SELECT revops.process();
SELECT count(*) > 0 AS failed, count(DISTINCT person) AS people, min(error) AS error, min(sqlstate) AS sqlstate FROM revops.failed_event;
SELECT count(*) FROM ((SELECT * FROM s.truth WHERE subject_kind = 'person' AND subject <> 'p3')
                      EXCEPT SELECT * FROM s.result) x;
SELECT count(*) = 0 AS sums_hold FROM revops.intent_score i, LATERAL (SELECT sum(points) AS points FROM revops.explain_intent(i.subject_kind, i.subject, i.intent)) x
WHERE abs(x.points - i.score) > 1e-9 * greatest(i.score, 1);
SELECT revops.set_lanes(2);
SELECT revops.retry_failed();
SET revops.batch_size = 7;
SELECT revops.retry_failed() > 0 AS retried;
SELECT count(*) FROM revops.failed_event;
SELECT s.differences();
RESET revops.batch_size;
DROP TRIGGER poison ON revops.moment;

-- what is ahead of the clock is kept and counts for nothing
INSERT INTO revops.event (occurred_at, person, kind) VALUES (revops.now() + interval '1 day', 'p1', 'view');
SELECT revops.process();
SELECT s.differences();

-- a changed signal counts from its change on; the past by rebuild_scores()
SELECT revops.put_signal('view', 'interest', 2, '{"kind": "view"}') AS version;
SELECT count(*) = 0 AS sums_hold FROM revops.intent_score i, LATERAL (SELECT sum(points) AS points FROM revops.explain_intent(i.subject_kind, i.subject, i.intent)) x
WHERE abs(x.points - i.score) > 1e-9 * greatest(i.score, 1);
SELECT s.differences();
SELECT revops.put_signal('view', 'interest', 2, '{"kind": "view"}', half_life => '1 day');

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT revops.process();
ROLLBACK;
SELECT revops.process(0);

-- a rep's call that was taken before the late event that makes the moment answers the card all the same; an automatic mail does not
SELECT s.reset();
SET revops.as_of = '2026-06-01 09:10+00';
INSERT INTO revops.rep (rep, name) VALUES ('late-rep', 'Late');
INSERT INTO revops.account (account, name, owner) VALUES ('late-a', 'Late', 'late-rep');
INSERT INTO revops.person (person, account) VALUES ('late-p', 'late-a');
SELECT revops.put_playbook('late', 'Late', '[{"title": "Call", "channel": "call", "message": "Hello"}]') IS NULL AS x;
SELECT revops.put_rule('late', '{"title": "Late", "when": {"kind": "late"}, "playbook": "late"}') AS version;
INSERT INTO revops.event (occurred_at, person, rep, side, channel, kind, properties)
VALUES ('2026-06-01 09:02+00', 'late-p', 'late-rep', 'rep', 'email', 'mail', '{"automatic": true}'),
       ('2026-06-01 09:05+00', 'late-p', 'late-rep', 'rep', 'call', 'call', NULL);
SELECT revops.process();
INSERT INTO revops.event (occurred_at, person, kind) VALUES ('2026-06-01 09:00+00', 'late-p', 'late');
SELECT revops.process();
SELECT owner, status, answered_at AT TIME ZONE 'UTC' AS answered_at FROM revops.task WHERE rule = 'late';
RESET revops.as_of;
SELECT revops.drop_rule('late');
DELETE FROM revops.escalation; DELETE FROM revops.task_plan; DELETE FROM revops.task;
DELETE FROM revops.playbook WHERE playbook = 'late';
DELETE FROM revops.rep WHERE rep = 'late-rep';
DELETE FROM revops.account WHERE account = 'late-a';

-- process() takes all that is committed, also what came after a batch that was left open
SELECT s.reset();
INSERT INTO revops.event (person, kind) VALUES ('x', 'k'), ('x', 'k'), ('x', 'k');
SELECT revops.process(1);
INSERT INTO revops.event (person, kind) VALUES ('x', 'k');
SELECT revops.process();

SELECT s.reset();
SELECT revops.drop_signal(n) FROM unnest(ARRAY['view', 'price', 'call']) n;
SELECT revops.drop_rule(n) FROM unnest(ARRAY['long', 'thrice', 'stay', 'night']) n;
TRUNCATE revops.signal, revops.moment_rule, revops.person, revops.repair_request;
DELETE FROM revops.intent;
SET client_min_messages = warning;
DROP SCHEMA s CASCADE;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
