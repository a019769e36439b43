-- Cards whose moment takes the place of another one, and answers that turn out to be one: what people did stands
SET client_min_messages = warning;
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
RESET client_min_messages;
SET revops.as_of = '2426-03-11 12:00Z';
SET TimeZone = 'UTC';
CREATE FUNCTION pg_temp.clear() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE revops.event, revops.stream_lane, revops.intent_state, revops.signal, revops.moment, revops.moment_state, revops.moment_rule, revops.failed_event, revops.repair_request,
             revops.late_event, revops.task, revops.task_plan, revops.escalation, revops.calendar, revops.playbook, revops.playbook_level, revops.playbook_plan, revops.territory, revops.unit,
             revops.rep, revops.account, revops.opportunity, revops.duty, revops.absence, revops.permission, revops.person, revops.account_profile, revops.rep_profile, revops.unit_profile,
             revops.service, revops.service_week, revops.collaboration, revops.collaboration_state, revops.proposal, revops.proposal_row, revops.proposal_pair, revops.proposal_change,
             revops.substitution, revops.substitution_item, revops.event_intent, revops.intent, revops.intent_pattern, revops.intent_publication, revops.pipeline, revops.stage_history, revops.stage_state CASCADE;
END $$;
SET client_min_messages = warning;
SELECT pg_temp.clear();
RESET client_min_messages;
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;
INSERT INTO revops.rep (rep, name) VALUES ('li', 'Li'), ('wang', 'Wang');
INSERT INTO revops.account (account, owner) VALUES ('A1', 'li');
INSERT INTO revops.person (person, account) VALUES ('P1', 'A1');
SELECT revops.put_playbook('pb', '{{person}}', '[{"title": "t", "channel": "call", "message": "m"}]');
SELECT revops.put_rule('says', '{"title": "Says", "when": {"kind": "message", "side": "customer"}, "playbook": "pb"}'),
       revops.put_rule('twice', '{"when": {"kind": "look"}, "count": {"at_least": 2, "within": "1 hour"}, "playbook": "pb", "tell": ["coach"]}'),
       revops.put_rule('hot', '{"per": "account", "when": {"kind": "hot"}, "playbook": "pb"}');
CREATE VIEW pg_temp.cards AS
SELECT t.rule, t.subject, t.status, t.claimed_by, t.answered_at::time(0) AS answered, t.answered_by AS by, t.note, t.outcome, t.opened_at::time(0) AS opened, m.retracted_at IS NOT NULL AS replaced,
       (SELECT count(*) FROM revops.escalation e WHERE e.task_id = t.task_id AND e.fired_at IS NULL AND e.stopped_at IS NULL) AS waits
FROM revops.task t JOIN revops.moment m USING (subject, moment_id);

-- a visitor's card is completed, another one's claimed, a third one's open, when they become known
SELECT count(revops.track('message', person => p)) FROM unnest('{v1,v2,v3}'::text[]) p;
SELECT revops.process();
SET revops.as_of = '2426-03-11 12:05Z';
SELECT revops.respond(task_id, note => 'called') FROM revops.task WHERE subject = 'v1';
SELECT revops.complete(task_id, 'ok') FROM revops.task WHERE subject = 'v1';
UPDATE revops.task SET status = 'claimed', claimed_by = 'wang', claimed_at = revops.now() WHERE subject = 'v2';
SET revops.as_of = '2426-03-11 12:06Z';
INSERT INTO revops.person (person, account) VALUES ('P2', 'A1'), ('P3', 'A1');
SELECT count(revops.identify('v' || n, 'P' || n)) FROM generate_series(1, 3) n;
SELECT revops.process();
SELECT * FROM pg_temp.cards ORDER BY subject;
-- a late event moves the moment; a rule is written anew
SELECT count(revops.track('look', person => 'P1', occurred_at => t)) FROM unnest('{2426-03-11 11:40Z,2426-03-11 11:50Z}'::timestamptz[]) t;
SELECT revops.process();
SELECT revops.respond(task_id, note => 'mailed') FROM revops.task WHERE rule = 'twice';
SELECT revops.track('look', person => 'P1', occurred_at => '2426-03-11 11:30Z') IS NOT NULL AS late;
SELECT revops.process();
SELECT * FROM pg_temp.cards WHERE rule = 'twice' ORDER BY replaced DESC;
-- of moments that share events, the next one has a card of its own
SELECT count(revops.track('look', person => 'P1', occurred_at => t)) FROM unnest('{2426-03-11 11:56Z,2426-03-11 11:58Z}'::timestamptz[]) t;
SELECT revops.process();
SELECT * FROM pg_temp.cards WHERE rule = 'twice' ORDER BY replaced DESC, answered;
SELECT revops.put_rule('says', '{"title": "Says it", "when": {"kind": "message", "side": "customer"}, "playbook": "pb"}'), revops.rebuild_moments('says');
SELECT revops.process();
SELECT * FROM pg_temp.cards WHERE rule = 'says' AND NOT replaced ORDER BY subject;

-- an answer to somebody who turns out to be the card's customer, or one of its people
SELECT count(revops.track(k, person => p, account => a)) FROM (VALUES ('message', 'P9', NULL), ('hot', NULL, 'A1')) x (k, p, a);
SELECT revops.process();
UPDATE revops.account SET owner = 'li' WHERE account = 'A1';
INSERT INTO revops.person (person, account) VALUES ('P9', 'A1') ON CONFLICT (person) DO UPDATE SET account = 'A1';
UPDATE revops.task SET owner = 'li' WHERE subject = 'P9';
UPDATE revops.moment SET owner = 'li' WHERE subject = 'P9';
SET revops.as_of = '2426-03-11 12:08Z';
SELECT count(revops.track('call', person => p, rep => 'li', side => 'rep', channel => 'call')) FROM unnest('{v9,new}'::text[]) p;
SELECT revops.process();
SELECT * FROM pg_temp.cards WHERE subject IN ('P9', 'A1') ORDER BY subject;
SELECT revops.identify('v9', 'P9');
INSERT INTO revops.person (person, account) VALUES ('new', 'A1') ON CONFLICT (person) DO UPDATE SET account = 'A1';
SELECT revops.process();
SELECT * FROM pg_temp.cards WHERE subject IN ('P9', 'A1') ORDER BY subject;

SET client_min_messages = warning;
SELECT pg_temp.clear();
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
