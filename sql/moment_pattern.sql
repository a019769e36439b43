-- patterns beyond a predicate and a count: what stands in a state, what a timeout does, what comes too late
SET client_min_messages = warning;
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.stream_lane, revops.failed_event,
    revops.repair_request, revops.late_event, revops.rule_count, revops.task, revops.task_plan, revops.escalation;
DELETE FROM revops.person;
RESET client_min_messages;
SET revops.as_of = '2026-03-01 00:00+00';
SET timezone = 'UTC';

-- in words
SELECT revops.explain_rule('{"when": {"kind": ["page_view", "search"], "any": [{"object": {"prefix": "/pricing"}}, {"not": {"dwell": {"lt": "3s"}}}]},
  "count": {"at_least": 3, "session": "30 minutes"}, "distinct": {"of": "object", "at_least": 2, "within": "1 day"}, "local_time": {"from": "22:00", "to": "06:00"},
  "once": "per_episode", "strength": "0.1 * count"}');
SELECT revops.explain_rule('{"per": "account", "sequence": {"within": "2 days", "until": {"kind": "won"}, "steps": [
  {"as": "first", "when": {"kind": "page_view"}, "times": {"at_least": 2, "at_most": 3}}, {"absent": {"kind": "demo"}},
  {"when": {"kind": "call"}, "optional": true},
  {"when": {"kind": "page_view"}, "contiguity": "strict", "gap": {"at_least": "1 hour", "at_most": "1 day"}, "same": ["object"], "where": {"dwell": {"gt": "first.dwell"}}},
  {"absent": {"kind": "search"}, "same": ["object"], "for": "3 hours"}]},
  "once": {"until": {"kind": "reset"}}, "playbook": "p", "tell": ["coach"], "intent": {"intent": "buying", "weight": 5}}');
SELECT revops.explain_rule('{"streak": {"days": 5, "weekdays": true, "each": {"max": {"of": "dwell", "at_least": "2 minutes"}}}, "when": {"kind": "page_view"}, "cooldown": "7 days"}');

-- what is refused, and why
DO $$
DECLARE
    d text;
    m text;
BEGIN
    FOREACH d IN ARRAY ARRAY[
        '{"sequence": {"steps": []}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}]}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}}]}}',
        '{"sequence": {"steps": [{"absent": {"kind": "a"}}, {"when": {"kind": "b"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}, "optional": true}, {"when": {"kind": "b"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}, "times": {"at_least": 2}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"absent": {"kind": "b"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"absent": {"kind": "b"}, "for": "1h"}, {"when": {"kind": "c"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"absent": {"kind": "b"}}, {"absent": {"kind": "d"}}, {"when": {"kind": "c"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}, "same": ["object"]}, {"when": {"kind": "b"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"as": "x", "when": {"kind": "a"}}, {"as": "x", "when": {"kind": "b"}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"as": "x", "when": {"kind": "a"}}, {"when": {"kind": "b"}, "where": {"dwell": {"gt": "y.dwell"}}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"as": "x", "when": {"kind": "a"}}, {"when": {"kind": "b"}, "where": {"object": {"gt": "x.object"}}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"as": "x", "when": {"kind": "a"}}, {"when": {"kind": "b"}, "where": {"dwell": {"gt": "x.object"}}}], "within": "1h"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}, "gap": {"at_least": "2h", "at_most": "1h"}}], "within": "1d"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}}], "within": "1d", "skip": "all"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}}], "within": "1d"}, "count": {"at_least": 2, "within": "1d"}}',
        '{"sequence": {"steps": [{"when": {"kind": "a"}}, {"when": {"kind": "b"}}], "within": "1d"}, "once": "per_episode"}',
        '{"streak": {"days": 0}, "when": {"kind": "a"}}',
        '{"streak": {"days": 3, "each": {"count": 2, "sum": {"of": "dwell", "at_least": "1s"}}}}',
        '{"streak": {"days": 3, "time_zone": "Mars"}}',
        '{"distinct": {"of": "object", "at_least": 0, "within": "1d"}}',
        '{"distinct": {"of": "dwell", "at_least": 2, "within": "1d"}}',
        '{"when": {"kind": "a"}, "strength": "sum / 2"}',
        '{"when": {"kind": "a"}, "strength": "1 +"}',
        '{"when": {"kind": "a"}, "tell": ["coach"]}',
        '{"when": {"kind": "a"}, "playbook": "p", "tell": ["owner"]}',
        '{"when": {"kind": "a"}, "intent": {"intent": "x", "weight": 0}}',
        '{"when": {"kind": "a"}, "once": "always"}'] LOOP
        BEGIN
            PERFORM revops.check_rule(d::json);
            RAISE NOTICE 'accepted: %', d;
        EXCEPTION WHEN data_exception THEN
            GET STACKED DIAGNOSTICS m = MESSAGE_TEXT;
            RAISE NOTICE '%', m;
        END;
    END LOOP;
END $$;

-- a timeout comes by itself, is moved by what comes in between, and undone by what comes late
SELECT revops.put_rule('silent', '{"sequence": {"steps": [{"when": {"kind": "pricing"}}, {"absent": {"side": "customer"}, "for": "2 hours"}]}}');
SELECT revops.put_rule('once', '{"when": {"kind": "pricing"}, "count": {"at_least": 2, "within": "1 day"}, "once": {"until": {"kind": "reset"}}}');
SET revops.as_of = '2026-03-01 11:00+00';
INSERT INTO revops.event (event_id, occurred_at, person, kind) VALUES
    ('00000000-0000-0000-0000-000000000001', '2026-03-01 10:00+00', 'a', 'pricing'),
    ('00000000-0000-0000-0000-000000000002', '2026-03-01 10:00+00', 'b', 'pricing'),
    ('00000000-0000-0000-0000-000000000003', '2026-03-01 11:00+00', 'b', 'pricing');
SET revops.as_of = '2026-03-01 11:59:59.999999+00';
SELECT revops.process();
SELECT rule, subject, occurred_at, by_timer, channel FROM revops.moment WHERE rule = 'silent' ORDER BY subject;
SELECT subject, due_at FROM revops.moment_state ORDER BY subject;
SELECT subject_kind, subject, rule, have, need, missing, until FROM revops.moment_partial ORDER BY subject, rule;
SET revops.as_of = '2026-03-01 12:00+00';
SELECT revops.process();
SELECT rule, subject, occurred_at, by_timer, channel FROM revops.moment WHERE rule = 'silent' ORDER BY subject;
INSERT INTO revops.event (event_id, occurred_at, person, kind) VALUES ('00000000-0000-0000-0000-000000000004', '2026-03-01 12:00+00', 'a', 'mail');
SELECT revops.process();
SELECT rule, subject, occurred_at, retracted_at FROM revops.moment WHERE rule = 'silent' ORDER BY subject;
SET revops.as_of = '2026-03-05 00:00+00';
SELECT revops.process();
SELECT rule, subject, occurred_at, by_timer, retracted_at FROM revops.moment ORDER BY subject, rule;
-- the same by backtest
SELECT subject, occurred_at, strength, evidence FROM revops.backtest((SELECT definition FROM revops.rule WHERE rule = 'silent')) ORDER BY 1, 2;
SELECT subject, occurred_at FROM revops.backtest((SELECT definition FROM revops.rule WHERE rule = 'silent'), '2026-03-01', '2026-03-01 13:00+00') ORDER BY 1, 2;

-- too late: kept, counted, without effect; allowed: repaired
SET revops.allowed_lateness = '1h';
INSERT INTO revops.event (event_id, occurred_at, person, kind) VALUES
    ('00000000-0000-0000-0000-000000000005', '2026-03-01 11:59+00', 'b', 'mail');
SELECT revops.process();
SELECT event_id, occurred_at, rule, subject, behind FROM revops.late_event ORDER BY rule;
SELECT rule, subject, occurred_at, retracted_at FROM revops.moment WHERE subject = 'b' ORDER BY rule;
SET revops.allowed_lateness = '10d';
INSERT INTO revops.event (event_id, occurred_at, person, kind) VALUES
    ('00000000-0000-0000-0000-000000000006', '2026-03-01 11:58+00', 'b', 'mail');
SELECT revops.process();
SELECT rule, subject, occurred_at, retracted_at FROM revops.moment WHERE subject = 'b' ORDER BY rule;
RESET revops.allowed_lateness;
SELECT rule, version, moments, retracted, late_events, capped FROM revops.rule_status ORDER BY rule;

-- a version has no timeout once it has ended
INSERT INTO revops.event (occurred_at, person, kind) VALUES ('2026-03-05 00:00+00', 'c', 'pricing');
SELECT revops.process();
SET revops.as_of = '2026-03-05 01:00+00';
SELECT revops.drop_rule('silent');
SET revops.as_of = '2026-03-07 00:00+00';
SELECT revops.process();
SELECT count(*) FROM revops.moment WHERE subject = 'c';

-- what a state cannot keep is counted
SELECT revops.put_rule('many', '{"sequence": {"steps": [{"as": "x", "when": {"kind": "k"}}, {"when": {"kind": "z"}, "same": ["object"]}], "within": "30 days"}}');
INSERT INTO revops.event (occurred_at, person, kind, object) SELECT '2026-03-07 00:00+00'::timestamptz + g * interval '1 ms', 'd', 'k', 'o' || g FROM generate_series(1, 1100) g;
INSERT INTO revops.event (occurred_at, person, kind, object) VALUES ('2026-03-07 00:01+00', 'd', 'z', 'o76'), ('2026-03-07 00:02+00', 'd', 'z', 'o77');
SELECT revops.process();
SELECT rule, subject, occurred_at, object FROM revops.moment WHERE rule = 'many';
SELECT rule, capped FROM revops.rule_status WHERE capped > 0;

-- damaged states: errors, never a crash; the events wait in quarantine, the rest goes on
SELECT revops.put_rule('window', '{"when": {"kind": "w"}, "sum": {"of": "dwell", "at_least": "1 h", "within": "2 days"}, "distinct": {"of": "object", "at_least": 5, "within": "3 days"}}');
SELECT revops.put_rule('days', '{"when": {"kind": "w"}, "streak": {"days": 2, "each": {"sum": {"of": "dwell", "at_least": "20 min"}}}}');
SELECT revops.put_rule('chain', '{"sequence": {"steps": [{"as": "x", "when": {"kind": "w"}, "times": {"at_least": 2}}, {"when": {"kind": "v"}, "where": {"dwell": {"gt": "x.dwell"}}, "optional": true},
    {"when": {"kind": "u"}}, {"absent": {"kind": "t"}, "for": "1 min"}], "within": "3 days", "skip": "to_next"}}');
SET revops.as_of = '2026-03-12 00:00+00';
INSERT INTO revops.event (occurred_at, person, kind, object, dwell)
    SELECT '2026-03-07 01:00+00'::timestamptz + g * interval '3 hours', 'e', (ARRAY['w', 'w', 'v', 'u'])[1 + g % 4], 'o' || g % 7, '10 min' FROM generate_series(1, 24) g;
SELECT revops.process();
CREATE TEMP TABLE good AS SELECT * FROM revops.moment_state WHERE subject = 'e';
DO $$
DECLARE
    s bytea := (SELECT states FROM good);
    d bytea;
    done int := 0;
BEGIN
    PERFORM setseed(0.5);
    FOR i IN 1 .. 400 LOOP
        d := s;
        FOR k IN 0 .. i % 3 LOOP
            d := set_byte(d, floor(random() * length(d))::int, floor(random() * 256)::int);
        END LOOP;
        IF i % 5 = 0 THEN
            d := substr(d, 1, floor(random() * length(d))::int);
        END IF;
        UPDATE revops.moment_state SET states = d, due_at = CASE WHEN i % 2 = 0 THEN '2026-03-07'::timestamptz END WHERE subject = 'e';
        INSERT INTO revops.event (occurred_at, person, kind, object, dwell)
            VALUES ('2026-03-10 02:00+00'::timestamptz + i * interval '1 s', 'e', (ARRAY['w', 'v', 'u', 't'])[1 + i % 4], 'o1', '1 min');
        COMMIT;
        done := done + revops.process();
        COMMIT;
        BEGIN
            PERFORM * FROM revops.moment_progress();
        EXCEPTION WHEN data_corrupted THEN NULL;
        END;
    END LOOP;
    RAISE NOTICE '% events were met, some with errors: %', done, (SELECT count(*) > 0 FROM revops.failed_event WHERE sqlstate = 'XX001');
END $$;
-- a repair mends it all
DELETE FROM revops.moment_state WHERE subject = 'e';
SELECT revops.retry_failed() > 0;
SELECT revops.request_repair('person', 'e');
SELECT revops.process();
SELECT count(*) FROM revops.failed_event;
SELECT count(*) FROM revops.repair_request;
SELECT r.rule, (SELECT count(*) FROM revops.moment m WHERE m.rule = r.rule AND m.subject = 'e' AND m.retracted_at IS NULL) AS moments,
       (SELECT count(*) FROM revops.backtest(r.definition, r.since) b WHERE b.subject = 'e') AS by_backtest
FROM revops.rule r WHERE r.rule IN ('window', 'days', 'chain') ORDER BY 1;
TRUNCATE revops.event, revops.moment, revops.moment_state, revops.moment_rule, revops.stream_lane, revops.late_event, revops.rule_count;
