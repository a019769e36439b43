-- What follows a moment: intents, who is told at once; rules applied to the past, and what they would have been worth.
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET revops.as_of = '2026-03-10 12:00Z';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.signal, revops.stream_lane,
         revops.failed_event, revops.repair_request, revops.late_event, revops.rule_count, revops.task, revops.task_plan, revops.escalation;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook CASCADE;
DELETE FROM revops.intent;
RESET client_min_messages;
CREATE SCHEMA f;

-- intents: a rule makes the one it names, with the half-life of a new one
SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}', half_life => '3 days') AS version;
SELECT revops.put_signal('price', 'price', 4, '{"kind": "view", "object": "/price"}', daily_cap => 9) AS version;
SELECT revops.put_rule('long', '{"title": "Long look", "when": {"kind": "view", "dwell": {"gt": "90s"}}, "cooldown": "2 hours",
  "intent": {"intent": "interest", "weight": 2.5}}') AS version;
SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "3 hours"},
  "intent": {"intent": "evaluation", "weight": 5}}') AS version;
SELECT revops.put_rule('company', '{"title": "Company on prices", "per": "account", "when": {"object": "/price"}, "count": {"at_least": 4, "within": "8 hours"},
  "cooldown": "6 hours", "intent": {"intent": "price", "weight": 7}}') AS version;
SELECT revops.put_rule('plain', '{"title": "No intent", "when": {"kind": "view", "dwell": {"gt": "140s"}}}') AS version;
SELECT intent, half_life FROM revops.intent ORDER BY 1;
SELECT revops.ensure_intent('price'), revops.ensure_intent(NULL);
SELECT intent, half_life FROM revops.intent WHERE intent = 'price';
SELECT revops.ensure_intent('');
SELECT revops.put_rule('x', json_build_object('when', json_build_object('kind', 'x'), 'intent', json_build_object('intent', repeat('x', 201), 'weight', 1)));

CREATE TABLE f.feed AS
SELECT md5(g::text)::uuid AS event_id,
       timestamptz '2026-03-01 00:00Z' + ('x' || substr(md5('t' || g), 1, 6))::bit(24)::int % 600000 * interval '1 s' AS occurred_at,
       'p' || ('x' || substr(md5('p' || g), 1, 4))::bit(16)::int % 15 AS person,
       CASE WHEN g % 5 = 0 THEN 'a9' END AS account,
       'view'::text AS kind,
       CASE WHEN g % 3 = 0 THEN '/price' ELSE '/doc' END AS object,
       ('x' || substr(md5('d' || g), 1, 4))::bit(16)::int % 150 * interval '1 s' AS dwell
FROM generate_series(1, 1500) g;
INSERT INTO revops.person (person, account) SELECT 'p' || g, 'a' || g % 4 FROM generate_series(0, 11) g;

CREATE FUNCTION f.reset() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
END $$;
CREATE VIEW f.result AS
SELECT 'score' AS what, subject_kind::text, subject, intent AS name, round(rank::numeric, 6)::text AS value, events::text AS n, last_at AS at FROM revops.intent_state
UNION ALL
SELECT 'moment', subject_kind::text, subject, rule || ' ' || version, array_to_string(evidence, ','), account, occurred_at FROM revops.moment WHERE retracted_at IS NULL;

INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM f.feed ORDER BY occurred_at;
SELECT revops.process();
CREATE TABLE f.truth AS SELECT * FROM f.result;
SELECT what, name, count(*) FROM f.truth GROUP BY 1, 2 ORDER BY 1, 2;
CREATE FUNCTION f.differences() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM ((TABLE f.truth EXCEPT TABLE f.result) UNION ALL (TABLE f.result EXCEPT TABLE f.truth)) x
$$;
-- scores whose ledger has another sum
CREATE FUNCTION f.unexplained() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM revops.intent_score i LEFT JOIN LATERAL (
        SELECT sum(points) AS points FROM revops.explain_intent(i.subject_kind, i.subject, i.intent)) x ON true
    WHERE abs(x.points - i.score) > 1e-9 * greatest(i.score, 1) OR x.points IS NULL
$$;
SELECT f.unexplained();

-- against plain SQL, where no cap is involved
CREATE FUNCTION f.wrong(wanted text) RETURNS bigint LANGUAGE sql AS $$
    WITH points AS (
        SELECT m.subject_kind, m.subject, (r.definition -> 'intent' ->> 'weight')::float8 AS weight, m.occurred_at AS at
        FROM revops.moment m JOIN revops.moment_rule r USING (rule, version)
        WHERE m.retracted_at IS NULL AND r.definition -> 'intent' ->> 'intent' = wanted
        UNION ALL
        SELECT k.kind::revops.subject_kind, k.key, 1, e.occurred_at
        FROM revops.event e LEFT JOIN revops.person p USING (person),
             LATERAL (VALUES ('person', e.person), ('account', coalesce(e.account, p.account))) k (kind, key)
        WHERE wanted = 'interest' AND k.key IS NOT NULL
    ), expected AS (
        SELECT subject_kind, subject, sum(weight * 2 ^ (-extract(epoch FROM revops.now() - at) / extract(epoch FROM half_life)))::float8 AS score, count(*) AS events, max(at) AS last_at
        FROM points, revops.intent WHERE intent = wanted GROUP BY 1, 2
    )
    SELECT count(*) FROM expected x FULL JOIN (SELECT * FROM revops.intent_score WHERE intent = wanted) s USING (subject_kind, subject)
    WHERE (x.events, x.last_at) IS DISTINCT FROM (s.events, s.last_at) OR abs(x.score - s.score) > 1e-9 * greatest(x.score, 1)
$$;
SELECT f.wrong('interest') AS interest, f.wrong('evaluation') AS evaluation;
SELECT signal, kind, share, count(*) > 0 AS some FROM revops.explain_intent('person', 'p3', 'interest') GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(*) > 0 AS moments, bool_and(weight = 7 AND share = 1 AND kind = 'moment') AS uncapped
FROM revops.explain_intent('account', 'a1', 'price') WHERE signal = 'moment:company';

-- in any order, in pieces
SELECT f.reset();
DO $$
DECLARE
    part int;
BEGIN
    FOR part IN 0 .. 11 LOOP
        INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell)
        SELECT * FROM f.feed WHERE ('x' || substr(md5('part' || event_id), 1, 4))::bit(16)::int % 12 = part;
        COMMIT;
        PERFORM revops.process(CASE WHEN part % 3 = 0 THEN 50 END);
        COMMIT;
    END LOOP;
END $$;
SELECT revops.process();
SELECT f.differences(), f.unexplained(), f.wrong('interest') AS interest, f.wrong('evaluation') AS evaluation;
SELECT count(DISTINCT rule) AS retracted_of_rules FROM revops.moment WHERE retracted_at IS NOT NULL;
-- by several lanes
SELECT f.reset();
SELECT revops.set_lanes(3);
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM f.feed ORDER BY event_id;
SELECT revops.process() > 0 AS done;
SELECT f.differences();
SELECT revops.set_lanes(1);

-- recomputed, they are the same; with another half-life the ledger follows
SELECT revops.rebuild_scores() > 15 AS asked;
SELECT revops.process();
SELECT f.differences();
SELECT revops.set_half_life('evaluation', '36 hours') > 15 AS asked;
SELECT revops.process();
SELECT f.unexplained(), f.wrong('evaluation') AS evaluation;
SELECT revops.set_half_life('evaluation', '7 days') > 15 AS asked;
SELECT revops.process();
SELECT f.differences();

-- a visitor who turns out to be somebody
SELECT f.reset();
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell)
SELECT event_id, occurred_at, CASE WHEN person = 'p7' AND event_id < '80000000-0000-0000-0000-000000000000' THEN 'visitor-1' ELSE person END, account, kind, object, dwell FROM f.feed;
SELECT revops.process();
SELECT f.unexplained(), f.wrong('evaluation') AS evaluation;
SELECT revops.identify('visitor-1', 'p7');
SELECT revops.process();
SELECT f.differences(), f.unexplained();
SELECT count(*) FROM revops.intent_state WHERE subject = 'visitor-1';
DELETE FROM revops.person WHERE person = 'visitor-1';
SELECT f.reset();

-- a late event undoes a moment: what it added goes; another makes it stand again
INSERT INTO revops.event (occurred_at, person, kind, object, dwell) VALUES ('2026-03-09 10:00Z', 'late', 'look', '/x', '2 minutes');
SELECT revops.put_rule('look', '{"title": "Looks", "when": {"kind": "look"}, "cooldown": "2 hours", "intent": {"intent": "looking", "weight": 8}}') AS version;
SELECT revops.process();
SELECT occurred_at, signal, weight, points FROM revops.explain_intent('person', 'late', 'looking');
SELECT moment_id, score FROM revops.intent_score JOIN revops.moment USING (subject) WHERE intent = 'looking' \gset before_
INSERT INTO revops.event (occurred_at, person, kind, object) VALUES ('2026-03-09 09:00Z', 'late', 'look', '/x');
SELECT revops.process();
SELECT rule, occurred_at, retracted_at IS NOT NULL AS retracted, moment_id = :'before_moment_id' AS first FROM revops.moment WHERE rule = 'look' ORDER BY occurred_at;
SELECT occurred_at, signal, weight, points FROM revops.explain_intent('person', 'late', 'looking');
SELECT round(score::numeric, 6) AS score, events, last_at FROM revops.intent_score WHERE intent = 'looking';
INSERT INTO revops.event (occurred_at, person, kind, object) VALUES ('2026-03-09 08:00Z', 'late', 'look', '/x');
SELECT revops.process();
SELECT rule, occurred_at, retracted_at IS NOT NULL AS retracted, moment_id = :'before_moment_id' AS first FROM revops.moment WHERE rule = 'look' ORDER BY occurred_at;
SELECT round(score::numeric, 6) AS score, events, last_at, f.unexplained(), f.wrong('looking') FROM revops.intent_score WHERE intent = 'looking';
-- looked at from before, only what had occurred counts
BEGIN;
SET LOCAL revops.as_of = '2026-03-09 08:30Z';
SELECT round(score::numeric, 6) AS score, f.unexplained() FROM revops.intent_score WHERE intent = 'looking';
ROLLBACK;
SELECT f.reset();

-- moments of a timer: they add when they occur, a late event undoes them, and rebuilding moves them
SELECT revops.put_rule('silent', '{"title": "No reply", "sequence": {"steps": [{"when": {"kind": "quote"}}, {"absent": {"kind": "reply"}, "for": "48 hours"}]},
  "intent": {"intent": "silence", "weight": 3}}') AS version;
INSERT INTO revops.event (occurred_at, person, kind) VALUES ('2026-03-10 10:00Z', 'q1', 'quote'), ('2026-03-10 10:00Z', 'q2', 'quote');
SELECT revops.process();
SET revops.as_of = '2026-03-12 11:00Z';
SELECT revops.process();
SELECT subject, round(score::numeric, 6) AS score, events, last_at FROM revops.intent_score WHERE intent = 'silence' ORDER BY 1;
SELECT x.occurred_at, x.signal, x.weight, e.occurred_at AS quoted FROM revops.explain_intent('person', 'q2', 'silence') x JOIN revops.event e USING (event_id);
INSERT INTO revops.event (occurred_at, person, kind) VALUES ('2026-03-11 09:00Z', 'q2', 'reply'), ('2026-03-12 10:00Z', 'q3', 'quote');
SELECT revops.process();
SELECT subject, occurred_at, retracted_at IS NOT NULL AS retracted FROM revops.moment WHERE rule = 'silent' ORDER BY 1;
SELECT subject FROM revops.intent_score WHERE intent = 'silence';
-- the old version waits for q3 no more: the new one begins before that would be due, and after the quote
SELECT revops.put_rule('silent', '{"title": "No reply", "sequence": {"steps": [{"when": {"kind": "quote"}}, {"absent": {"kind": "reply"}, "for": "24 hours"}]},
  "intent": {"intent": "silence", "weight": 4}}') AS version;
SELECT revops.rebuild_moments('silent', '2026-03-12 10:30Z') AS subjects;
SET revops.as_of = '2026-03-14 11:00Z';
SELECT revops.process();
SELECT version, subject, occurred_at FROM revops.moment WHERE rule = 'silent' AND retracted_at IS NULL ORDER BY subject;
SELECT revops.rebuild_moments('silent') AS subjects;
SELECT revops.process();
SELECT version, subject, occurred_at, retracted_at IS NOT NULL AS retracted FROM revops.moment WHERE rule = 'silent' ORDER BY subject, version;
SELECT f.unexplained(), f.wrong('silence') AS silence;
SELECT f.reset();
SET revops.as_of = '2026-03-10 12:00Z';
TRUNCATE revops.moment_rule;

-- who is told at once: coach and director when the card opens, each once, and the levels go on
INSERT INTO revops.rep (rep, name) VALUES ('carl', 'Carl'), ('dora', 'Dora');
INSERT INTO revops.territory (territory, name, director) VALUES ('north', 'North', 'dora');
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('n1', 'North one', 'north', 'carl');
INSERT INTO revops.rep (rep, name, unit) VALUES ('ann', 'Ann', 'n1');
INSERT INTO revops.account (account, name, owner, territory) VALUES ('acme', 'Acme', 'ann', 'north');
INSERT INTO revops.person (person, account) VALUES ('paul', 'acme'), ('pia', 'acme');
SELECT revops.put_playbook('delivery', 'Delivery', '[{"title": "Call", "channel": "call", "message": "Hello"}]',
    escalation => '[{"share": 0.5, "role": "owner"}, {"share": 1, "role": "coach"}]');
SELECT revops.put_rule('dodged', '{"title": "Dodged", "when": {"kind": "dodged"}, "playbook": "delivery", "tell": ["director", "coach"]}') AS version;
SELECT revops.put_rule('coached', '{"title": "Coached", "when": {"kind": "coached"}, "playbook": "delivery", "tell": ["coach"]}') AS version;
SELECT revops.put_rule('quiet', '{"title": "Quiet", "when": {"kind": "quiet"}, "playbook": "delivery"}') AS version;
CREATE VIEW f.told AS
SELECT t.rule, t.subject, t.status, e.level, e.role, e.due_at - t.opened_at AS due_after, e.fired_at - t.opened_at AS fired_after, e.told, e.stopped_at IS NOT NULL AS stopped
FROM revops.task t JOIN revops.escalation e USING (subject, task_id);
INSERT INTO revops.event (occurred_at, person, kind) VALUES
    ('2026-03-10 11:59Z', 'paul', 'dodged'), ('2026-03-10 11:59Z', 'paul', 'coached'), ('2026-03-10 11:59Z', 'paul', 'quiet');
SELECT revops.process();
SELECT * FROM f.told ORDER BY rule DESC, level;
SELECT rule, level, told FROM revops.task_board ORDER BY rule;
SET revops.as_of = '2026-03-10 12:08Z';
SELECT revops.process(), revops.escalate_due();
SELECT rule, level, fired_after, told FROM f.told WHERE fired_after IS NOT NULL ORDER BY rule, level;
SELECT rule, level, told FROM revops.task_board ORDER BY rule;
-- answered already when the stream finds it: the levels stop, but who is to be told is told
INSERT INTO revops.event (occurred_at, person, rep, side, channel, kind) VALUES
    ('2026-03-10 12:05Z', 'pia', NULL, 'customer', 'web', 'dodged'), ('2026-03-10 12:06Z', 'pia', 'ann', 'rep', 'call', 'call');
SELECT revops.process();
SELECT rule, status, level, fired_after, told, stopped FROM f.told WHERE subject = 'pia' ORDER BY level;
-- retracted before anybody was told: nobody is
BEGIN;
INSERT INTO revops.moment (moment_id, rule, version, subject_kind, subject, person, occurred_at, detected_at, strength, evidence, playbook)
SELECT gen_random_uuid(), 'coached', 1, 'person', 'piet', 'piet', '2026-03-10 12:07Z', revops.now(), 1, ARRAY[gen_random_uuid()], 'delivery';
SELECT revops.open_tasks(ARRAY(SELECT moment_id FROM revops.moment WHERE subject = 'piet'));
SELECT revops.cancel_tasks(ARRAY(SELECT moment_id FROM revops.moment WHERE subject = 'piet'));
SELECT revops.escalate_due();
SELECT level, fired_after, told, stopped FROM f.told WHERE subject = 'piet' ORDER BY level;
ROLLBACK;

-- a rule applied to the past, as if it had always been there
SET revops.as_of = '2026-03-10 12:00Z';
SET client_min_messages = warning;
TRUNCATE revops.moment_rule, revops.task, revops.task_plan, revops.escalation;
RESET client_min_messages;
SELECT f.reset();
INSERT INTO revops.event (event_id, occurred_at, person, account, kind, object, dwell) SELECT * FROM f.feed;
SELECT revops.process();
SELECT count(*) FROM revops.moment;
SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "3 hours"},
  "intent": {"intent": "evaluation", "weight": 5}}') AS version;
SELECT revops.put_rule('company', '{"title": "Company on prices", "per": "account", "when": {"object": "/price"}, "count": {"at_least": 4, "within": "8 hours"},
  "cooldown": "6 hours", "intent": {"intent": "price", "weight": 7}}') AS version;
SELECT revops.process();
SELECT count(*) FROM revops.moment;
SELECT revops.rebuild_moments('thrice');
SELECT revops.rebuild_moments('company', '-infinity');
SELECT rule, version, valid_from, valid_to FROM revops.moment_rule ORDER BY 1, 2;
SELECT revops.process();
SELECT count(*) FROM ((SELECT * FROM f.truth WHERE what = 'moment' AND name IN ('thrice 1', 'company 1') OR what = 'score' AND name IN ('evaluation', 'price')
                       EXCEPT TABLE f.result)
                      UNION ALL (SELECT * FROM f.result WHERE name <> 'interest' EXCEPT TABLE f.truth)) x;
SELECT f.unexplained(), f.wrong('evaluation') AS evaluation, (SELECT count(*) FROM revops.task) AS cards;
SELECT revops.rebuild_moments('company') > 0 AS again;
SELECT revops.process();
SELECT count(*) FROM (SELECT * FROM f.result WHERE name <> 'interest' EXCEPT TABLE f.truth) x;
SELECT revops.rebuild_moments('nothing');
SELECT revops.rebuild_moments(NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT revops.rebuild_moments('company');
ROLLBACK;

-- a changed rule from some day on: what it would have found there by itself; before, the old version's moments stay
CREATE TABLE f.old AS SELECT * FROM f.result WHERE name IN ('thrice 1');
SELECT revops.put_rule('thrice', '{"title": "Two views", "when": {"kind": "view"}, "count": {"at_least": 2, "within": "90 minutes"},
  "intent": {"intent": "evaluation", "weight": 3}}') AS version;
SELECT revops.rebuild_moments('thrice', '2026-03-04 00:00Z') > 0 AS asked;
SELECT rule, version, valid_from, valid_to FROM revops.moment_rule WHERE rule = 'thrice' ORDER BY 1, 2;
SELECT revops.process();
SELECT count(*) FROM ((SELECT * FROM f.old WHERE at < '2026-03-04 00:00Z') EXCEPT TABLE f.result) x;
SELECT count(*) AS old_left FROM f.result WHERE name = 'thrice 1' AND at >= '2026-03-04 00:00Z';
SELECT count(*) > 20 AS retracted FROM revops.moment WHERE rule = 'thrice' AND retracted_at IS NOT NULL;
-- an oracle written apart: walk each person's views from that day on
CREATE FUNCTION f.walk() RETURNS TABLE (subject text, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    r record;
    who text := '';
    one timestamptz;
BEGIN
    FOR r IN SELECT e.person, e.occurred_at FROM revops.event e WHERE e.kind = 'view' AND e.occurred_at >= '2026-03-04 00:00Z' ORDER BY e.person, e.occurred_at, e.event_id LOOP
        IF r.person <> who OR r.occurred_at >= one + interval '90 minutes' THEN
            one := NULL;
        END IF;
        IF one IS NOT NULL THEN
            subject := r.person; at := r.occurred_at; one := NULL;
            RETURN NEXT;
        ELSE
            one := r.occurred_at;
        END IF;
        who := r.person;
    END LOOP;
END $$;
SELECT count(*) FILTER (WHERE w.subject IS NULL) AS too_many, count(*) FILTER (WHERE m.subject IS NULL) AS lacking, count(*) > 50 AS enough
FROM (SELECT subject, at FROM f.result WHERE name = 'thrice 2') m FULL JOIN f.walk() w USING (subject, at);
SELECT f.unexplained(), f.wrong('evaluation') AS evaluation;
-- back before both: the first version is empty, and all its moments are retracted
SELECT revops.rebuild_moments('thrice', '-infinity') > 0 AS asked;
SELECT rule, version, valid_from, valid_to FROM revops.moment_rule WHERE rule = 'thrice' ORDER BY 1, 2;
SELECT revops.process();
SELECT count(*) FROM f.result WHERE name = 'thrice 1';
SELECT f.unexplained(), f.wrong('evaluation') AS evaluation;

-- the cards of what is retracted are cancelled; for another kind of subject, too
SET revops.as_of = '2026-03-10 13:00Z';
INSERT INTO revops.event (event_id, occurred_at, person, kind) VALUES
    (md5('c1')::uuid, '2026-03-10 12:30Z', 'paul', 'ask'), (md5('c2')::uuid, '2026-03-10 12:40Z', 'paul', 'ask');
SELECT revops.put_rule('ask', '{"title": "Asks", "when": {"kind": "ask"}, "playbook": "delivery", "intent": {"intent": "asking", "weight": 1}}') AS version;
SELECT revops.rebuild_moments('ask') AS subjects;
SELECT revops.process();
SELECT rule, subject, status FROM revops.task ORDER BY task_id;
SELECT revops.put_rule('ask', '{"title": "Company asks", "per": "account", "when": {"kind": "ask"}, "cooldown": "1 hour", "playbook": "delivery", "intent": {"intent": "asking", "weight": 2}}') AS version;
SELECT revops.rebuild_moments('ask', '2026-03-10 12:35Z') AS subjects;
SELECT revops.process();
SELECT rule, version, subject_kind, subject, occurred_at, retracted_at IS NOT NULL AS retracted, (SELECT status FROM revops.task t WHERE t.moment_id = m.moment_id) AS card
FROM revops.moment m WHERE rule = 'ask' ORDER BY occurred_at, version;
SELECT subject_kind, subject, round(score::numeric, 3) AS score FROM revops.intent_score WHERE intent = 'asking' ORDER BY 1;
SELECT revops.drop_rule('ask');
SELECT revops.rebuild_moments('ask');

-- what came too late for the engine is listed until its time is replayed
INSERT INTO revops.late_event (event_id, occurred_at, rule, version, subject_kind, subject, behind)
VALUES (md5('l1')::uuid, '2026-03-01Z', 'thrice', 2, 'person', 'p1', '9 days'), (md5('l2')::uuid, '2026-03-03Z', 'thrice', 2, 'person', 'p1', '7 days'),
       (md5('l2')::uuid, '2026-03-03Z', 'company', 1, 'account', 'a1', '7 days');
SELECT revops.request_repair('person', 'p1', '2026-03-02Z');
SELECT revops.process();
SELECT subject_kind, subject, occurred_at FROM revops.late_event ORDER BY 1, 3;
SELECT revops.request_repair(subject_kind, subject, min(occurred_at)) FROM revops.late_event GROUP BY subject_kind, subject;
SELECT revops.process();
SELECT count(*) FROM revops.late_event;

-- what a rule would have been worth: seven moments of six people, worked out by hand
SET client_min_messages = warning;
TRUNCATE revops.moment_rule, revops.person CASCADE;
RESET client_min_messages;
SELECT f.reset();
SET revops.as_of = '2026-03-31 00:00Z';
INSERT INTO revops.event (occurred_at, person, side, kind, object) VALUES
    ('2026-03-01 10:00Z', 'p1', 'customer', 'view', '/price'), ('2026-03-01 12:00Z', 'p1', 'customer', 'order', NULL),
    ('2026-03-10 09:00Z', 'p1', 'customer', 'view', '/doc'),
    -- 72 and a half hours after the day's first view, but less after the second
    ('2026-03-01 10:00Z', 'p2', 'customer', 'view', '/price'), ('2026-03-01 11:00Z', 'p2', 'customer', 'view', '/price'), ('2026-03-04 10:30Z', 'p2', 'customer', 'order', NULL),
    -- exactly at the horizon
    ('2026-03-01 10:00Z', 'p3', 'customer', 'view', '/price'), ('2026-03-04 10:00Z', 'p3', 'customer', 'order', NULL),
    -- at the same instant: not after it
    ('2026-03-01 10:00Z', 'p4', 'customer', 'view', '/price'), ('2026-03-01 10:00Z', 'p4', 'customer', 'order', NULL),
    -- only the seller was active
    ('2026-03-01 10:00Z', 'p5', 'rep', 'mail', '/price'),
    -- too near to tell
    ('2026-03-30 10:00Z', 'p6', 'customer', 'view', '/price'), ('2026-03-30 11:00Z', 'p6', 'customer', 'order', NULL),
    -- a visitor, later known
    ('2026-03-01 10:00Z', 'v7', 'customer', 'view', '/price'), ('2026-03-02 10:00Z', 'p7', 'customer', 'order', NULL),
    -- out of the time looked at
    ('2025-12-01 10:00Z', 'p8', 'customer', 'view', '/price'), ('2025-12-01 11:00Z', 'p8', 'customer', 'order', NULL);
SELECT revops.identify('v7', 'p7');
SELECT revops.process();
SELECT moments, subjects, converted_subjects, moment_days, conversion_rate, active_days, base_rate, lift
FROM revops.backtest_summary('{"when": {"kind": "view", "object": "/price"}}');
SELECT moments, subjects, converted_subjects, moment_days, conversion_rate, active_days, round(base_rate::numeric, 6) AS base_rate, round(lift::numeric, 6) AS lift
FROM revops.backtest_summary('{"when": {"kind": "view", "object": "/price"}}', converted => '{"kind": "view", "object": "/doc"}', horizon => '10 days');
SELECT * FROM revops.backtest_summary('{"when": {"kind": "nothing"}}');
SELECT * FROM revops.backtest_summary('{"per": "account", "when": {"kind": "view"}}');
SELECT * FROM revops.backtest_summary('{"when": {"kind": "view"}}', since => '2026-04-01Z');
SELECT * FROM revops.backtest_summary('{"when": {"kind": "view"}}', until => 'infinity');
SELECT * FROM revops.backtest_summary('{"when": {"kind": "view"}}', horizon => '-1 day');
SELECT * FROM revops.backtest_summary(NULL);
\set VERBOSITY terse
SELECT * FROM revops.backtest_summary('{"when": {"knd": "view"}}');
SELECT * FROM revops.backtest_summary('{"when": {"kind": "view"}}', converted => '{"knd": "order"}');
\set VERBOSITY default
SELECT count(*) FROM revops.moment;

SELECT f.reset();
SET client_min_messages = warning;
TRUNCATE revops.late_event, revops.rule_count, revops.signal, revops.moment_rule, revops.task, revops.task_plan, revops.escalation;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook CASCADE;
DELETE FROM revops.intent;
DROP SCHEMA f CASCADE;
RESET revops.as_of;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
