-- Work between people: who may have them, who answered, and what is known of customers under other keys
SET client_min_messages = warning;
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
RESET client_min_messages;
SET revops.as_of = '2426-06-01 09:00Z';
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

-- what was hot at another time is asked of that time
SET revops.as_of = '2026-01-01 00:00Z';
SELECT revops.put_signal('s', 'price', 1, '{"kind": "look"}', half_life => '1 day');
SET revops.as_of = '2026-03-01 10:00Z';
SELECT count(revops.track('look', person => p, occurred_at => t)) FROM (VALUES ('old', '2026-01-01 10:00Z'::timestamptz), ('new', '2026-03-01 10:00Z')) x (p, t);
SELECT revops.process();
SELECT subject, round(score::numeric, 3) AS score FROM revops.hottest('person', 'price');
SET revops.as_of = '2026-01-01 12:00Z';
SELECT subject, round(score::numeric, 3) AS score FROM revops.hottest('person', 'price');
SET revops.as_of = '2426-06-01 09:00Z';
SELECT subject, round(score::numeric, 3) AS score FROM revops.hottest('person', 'price');
SET client_min_messages = warning;
SELECT pg_temp.clear();
RESET client_min_messages;
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE ROLE revops_test_wa;
CREATE ROLE revops_test_eb;
GRANT revops_app TO revops_test_wa, revops_test_eb;
INSERT INTO revops.territory (territory, name) VALUES ('east', 'East'), ('west', 'West');
INSERT INTO revops.unit (unit, name, territory) VALUES ('e1', 'East one', 'east'), ('w1', 'West one', 'west');
INSERT INTO revops.rep (rep, name, unit, login) VALUES ('ea', 'Ea', 'e1', NULL), ('eb', 'Eb', 'e1', 'revops_test_eb'), ('wa', 'Wa', 'w1', 'revops_test_wa'), ('wb', 'Wb', 'w1', NULL);
INSERT INTO revops.account (account, name, territory, owner) VALUES ('A1', 'One', 'east', 'ea'), ('A2', 'Two', 'east', 'eb'), ('A9', 'Nine', 'east', NULL);
INSERT INTO revops.person (person, account, name) VALUES ('P1', 'A1', 'Zhang'), ('P2', 'A2', 'Li'), ('P9', 'A9', 'Wu');
SELECT revops.put_playbook('pb', '{{person}} ({{account}})', '[{"title": "a", "channel": "call", "message": "m"}]');
SELECT revops.put_rule('r', '{"when": {"kind": "page_view"}, "playbook": "pb"}');

-- a card that is nobody's and no unit's is claimed only by who may see its customer
SELECT revops.track('page_view', person => 'P9') IS NOT NULL AS t;
SELECT revops.process();
SET ROLE revops_test_wa;
SELECT count(*) AS seen FROM revops.task_board;
SELECT account FROM revops.claim_tasks('wa', 5);
SET ROLE revops_test_eb;
SELECT account, status, owner FROM revops.claim_tasks('eb', 5);
RESET ROLE;

-- who answered is who says so, where that is known
SELECT revops.track('page_view', person => 'P1') IS NOT NULL AS t;
SELECT revops.process();
SET ROLE revops_test_eb;
SELECT revops.respond(task_id) FROM revops.task_board WHERE account = 'A1';
RESET ROLE;
SELECT account, owner, answered_by FROM revops.task WHERE account = 'A1';

-- a customer who is answered stays so when the visitor turns out to be somebody, and when the card comes after the answer
SELECT revops.track('page_view', person => 'vz', account => 'A2') IS NOT NULL AS t;
SELECT revops.process();
SELECT revops.track('chat', person => 'vz', rep => 'eb', side => 'rep', channel => 'wecom') IS NOT NULL AS t;
SELECT revops.process();
SELECT revops.identify('vz', 'P2');
SELECT revops.process();
SELECT subject, owner, status FROM revops.task WHERE account = 'A2' ORDER BY task_id;
SELECT revops.track('chat', person => 'vq', rep => 'eb', side => 'rep', channel => 'wecom', occurred_at => revops.now() + interval '1 minute') IS NOT NULL AS t,
       revops.identify('vq', 'P2');
SELECT revops.process();
SET revops.as_of = '2426-06-01 09:02Z';
INSERT INTO revops.person (person, account) VALUES ('P3', 'A2');
SELECT revops.put_rule('a', '{"when": {"kind": "page_view"}, "per": "account", "playbook": "pb"}');
SELECT revops.track('page_view', person => 'vq', occurred_at => '2426-06-01 09:00:30Z') IS NOT NULL AS t;
SELECT revops.process();
SELECT rule, subject, owner, status, answered_by FROM revops.task WHERE moment_at > '2426-06-01 09:00Z' ORDER BY 1;

-- a rep at capacity gets no more by duty, counting what comes in the same call
SELECT revops.drop_rule('a');
UPDATE revops.rep SET active = false WHERE rep = 'ea';
UPDATE revops.rep SET capacity = 1 WHERE rep = 'eb';
UPDATE revops.task SET status = 'cancelled';
INSERT INTO revops.duty (unit, territory) VALUES ('e1', 'east');
SELECT revops.track('page_view', person => 'P2'), revops.track('page_view', person => 'P9') \gset
SELECT revops.process();
SELECT account, owner, unit FROM revops.task WHERE status = 'open' ORDER BY 1;
UPDATE revops.rep SET active = true, capacity = NULL;

-- people's events count towards their account's deals and its score, visitors' too once they are known
INSERT INTO revops.opportunity (opportunity, account, owner, status, opened_at) VALUES ('O2', 'A2', 'eb', 'open', revops.now() - interval '10 days'), ('O1', 'A1', 'ea', 'open', revops.now() - interval '10 days');
SELECT count(revops.track('download', person => p)) FROM unnest('{P1,P1,v1,v1,v1}'::text[]) p;
SELECT revops.identify('v1', 'P1');
SELECT opportunity, customer_events, activity IS NOT NULL AS active, days_since_customer IS NOT NULL AS heard FROM revops.win_snapshot WHERE closed_at IS NULL ORDER BY 1;
SELECT account, relationship > 0 AS known FROM revops.account_score ORDER BY 1;

-- the speed of an answer is of the time that the line runs in
SELECT revops.put_calendar('office', 'UTC', '{"mon-fri": "09:00-18:00"}');
SELECT revops.put_playbook('pc', '{{person}}', '[{"title": "a", "channel": "call", "message": "m"}]', calendar => 'office');
SELECT revops.put_rule('c', '{"when": {"kind": "ask"}, "playbook": "pc"}');
SET revops.as_of = '2426-06-05 18:00Z';
SELECT revops.track('ask', person => 'P1') IS NOT NULL AS t;
SELECT revops.process();
SET revops.as_of = '2426-06-08 09:10Z';
SELECT revops.respond(task_id) FROM revops.task WHERE rule = 'c';
SELECT round(response_speed::numeric, 2) AS speed FROM revops.moment_value WHERE rule = 'c';

-- work that lies a little ahead of the clock counts once that comes, and once
SELECT revops.refresh_collaboration() >= 0 AS refreshed;
SELECT revops.track('call', account => 'A1', rep => 'wb', side => 'rep', channel => 'call', occurred_at => revops.now() + interval '2 minutes') IS NOT NULL AS t;
SELECT revops.refresh_collaboration() > 0 AS counted;
SET revops.as_of = '2426-06-08 10:00Z';
SELECT revops.refresh_collaboration();
SELECT account, rep FROM revops.service WHERE rep = 'wb';

-- a customer of whom nothing is known any more has no vector
INSERT INTO revops.account (account, owner, industry) VALUES ('AP', 'wa', 'bank');
SELECT revops.refresh_profiles() > 0 AS refreshed;
UPDATE revops.account SET industry = NULL WHERE account = 'AP';
SELECT revops.refresh_profiles() > 0 AS refreshed;
SELECT count(*) FROM revops.account_profile WHERE account = 'AP';

-- a unit that is called like a territory gets its own reps' customers only; an owner stays among the candidates; a deal that was won stays
INSERT INTO revops.unit (unit, name, territory) VALUES ('west', 'West two', 'west');
INSERT INTO revops.rep (rep, name, unit) VALUES ('wc', 'Wc', 'west');
INSERT INTO revops.account (account, territory, owner) VALUES ('W1', 'west', 'wa'), ('W2', 'west', 'wc');
SELECT revops.propose_assignments('west') AS proposal \gset
SELECT account FROM revops.proposal_row WHERE proposal_id = :proposal;
SELECT revops.propose_assignments('east', switch_cost => 0, candidates => 1, fairness => 10) AS proposal \gset
SELECT account, owner, rep FROM revops.proposal_row WHERE proposal_id = :proposal AND owner IS NOT NULL ORDER BY 1;
UPDATE revops.rep SET active = false WHERE rep = 'ea';
SELECT revops.propose_assignments('e1') AS proposal \gset
SELECT revops.apply_assignments(:proposal) > 0 AS applied;
SELECT opportunity, owner FROM revops.opportunity ORDER BY 1;
UPDATE revops.opportunity SET status = 'won', closed_at = revops.now() WHERE opportunity = 'O1';
SELECT revops.undo_assignments(:proposal) > 0 AS undone;
SELECT opportunity, owner, status FROM revops.opportunity ORDER BY 1;

-- a visitor's own account counts while the known person has none, and no longer
SELECT revops.put_signal('s', 'price', 1, '{"kind": "look"}');
INSERT INTO revops.account (account) VALUES ('B1'), ('B2');
INSERT INTO revops.person (person, account) VALUES ('w1', 'B1');
SELECT revops.track('look', person => 'w1') IS NOT NULL AS t;
SELECT revops.process();
SELECT revops.identify('w1', 'q1');
SELECT revops.process();
UPDATE revops.person SET account = 'B2' WHERE person = 'q1';
SELECT revops.process();
SELECT subject, score FROM revops.intent_score WHERE subject_kind = 'account' AND intent = 'price' ORDER BY 1;
UPDATE revops.person SET account = NULL WHERE person = 'q1';
SELECT revops.process();
SELECT subject, score FROM revops.intent_score WHERE subject_kind = 'account' AND intent = 'price' ORDER BY 1;

-- the tests on an intent are all of one intent, whether the words show it or the sender says so
SET revops.as_of = '2426-06-08 11:00Z';
SELECT revops.put_intent('price_a', '{"patterns": [{"include": "alpha words"}]}'), revops.put_intent('price_b', '{"patterns": [{"include": "beta words"}]}'), revops.publish_intents() > 0;
SELECT revops.put_rule('only_a', '{"when": {"intent": {"prefix": "price", "like": "%_a"}}}'), revops.put_rule('only_a2', '{"when": {"intent": {"like": "%_a", "prefix": "price"}}}');
SET revops.as_of = '2426-06-08 11:01Z';
SELECT count(revops.track('message', person => p, body => b)) FROM (VALUES ('says-a', 'these are alpha words'), ('says-b', 'these are beta words')) x (p, b);
SELECT revops.process();
SELECT rule, subject FROM revops.moment WHERE rule LIKE 'only%' ORDER BY 1, 2;
-- what a publication that was rolled back finds is not found
SET revops.as_of = '2426-06-08 12:00Z';
BEGIN;
SELECT revops.put_intent('rolled', '{"patterns": [{"include": "apple"}]}'), revops.publish_intents() > 0;
SET LOCAL revops.as_of = '2426-06-08 12:01Z';
SELECT intent, evidence FROM revops.detect_intents('apple banana');
ROLLBACK;
SELECT revops.put_intent('rolled', '{"patterns": [{"include": "banana"}]}'), revops.publish_intents() > 0;
SET revops.as_of = '2426-06-08 12:01Z';
SELECT intent, evidence FROM revops.detect_intents('apple banana');

-- numbers beyond 2^53 are different ones
SELECT revops.put_rule('orders', '{"when": {"kind": "order"}, "distinct": {"of": "properties.no", "at_least": 3, "within": "7 days"}}');
SELECT count(revops.track('order', person => 'P1', properties => ('{"no": 2026030112000000' || n || '}')::jsonb)) FROM generate_series(10, 12) n;
SELECT revops.process();
SELECT count(*) FROM revops.moment WHERE rule = 'orders';

-- a late event leaves what stands before it alone, though an attribute has changed since
SELECT revops.put_rule('large', '{"when": {"kind": "visit", "account.segment": "large"}, "count": {"at_least": 2, "within": "7 days"}, "cooldown": "30 days"}');
SET revops.as_of = '2426-06-13 10:00Z';
SELECT revops.track('visit', person => 'P1', occurred_at => '2426-06-09 10:00Z'), revops.track('visit', person => 'P1', occurred_at => '2426-06-10 10:00Z') \gset
SELECT revops.process();
UPDATE revops.account SET segment = 'large' WHERE account = 'A1';
SELECT revops.track('visit', person => 'P1', occurred_at => '2426-06-11 10:00Z'), revops.track('visit', person => 'P1', occurred_at => '2426-06-12 10:00Z') \gset
SELECT revops.process();
SELECT revops.track('visit', person => 'P1', occurred_at => '2426-06-11 12:00Z') IS NOT NULL AS late;
SELECT revops.process();
SELECT occurred_at, retracted_at IS NOT NULL AS retracted FROM revops.moment WHERE rule = 'large' ORDER BY 1;

-- another default pipeline: who names none is estimated by that one
SELECT revops.put_pipeline('wa', '{"default": true, "stages": ["a1", "a2", {"stage": "won", "kind": "won"}]}'), revops.put_pipeline('wb', '{"stages": ["b1", "b2", {"stage": "won", "kind": "won"}]}');
SELECT revops.train_stages('wa') > 0, revops.train_stages('wb') > 0;
INSERT INTO revops.opportunity (opportunity, stage) VALUES ('w1', 'b1');
SELECT revops.track(repeat('x', 199) || '价', opportunity => 'w1', person => 'P1') IS NOT NULL AS t;
SELECT revops.process();
SELECT pipeline FROM revops.stage_estimate WHERE opportunity = 'w1';
SELECT max(octet_length(convert_to(x, 'UTF8'))) AS bytes FROM revops.stage_state, unnest(evidence_symbols) x WHERE opportunity = 'w1';
SELECT revops.put_pipeline('wb', '{"default": true, "stages": ["b1", "b2", {"stage": "won", "kind": "won"}]}');
SELECT revops.process();
SELECT pipeline FROM revops.stage_estimate WHERE opportunity = 'w1';

-- revops.as_of shows nobody more: a permission that has ended, a denial that has not begun to end
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, until, deny) VALUES
    ('rep', 'wa', 'read', 'account', 'A1', now() - interval '1 day', false), ('rep', 'wa', 'read', 'account', 'W1', now() + interval '10 days', true);
INSERT INTO revops.opportunity (opportunity, owner) VALUES ('w2', 'wa');
SET ROLE revops_test_wa;
SET revops.as_of = '2026-01-01 00:00Z';
SELECT account FROM revops.my_account WHERE account IN ('A1', 'W1');
SET revops.as_of = '2426-06-13 10:02Z';
SELECT account FROM revops.my_account WHERE account IN ('A1', 'W1');
SELECT opportunity FROM revops.my_opportunity WHERE opportunity = 'w2';
RESET ROLE;
-- a denial of everything, deals without a customer included
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, deny) VALUES ('rep', 'wa', 'read', 'all', true);
SET ROLE revops_test_wa;
SELECT count(*) FROM revops.my_opportunity WHERE opportunity = 'w2';
-- nor do the views of predictions show others' deals to a function of one's own
CREATE FUNCTION pg_temp.tell(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT COST 0.0000001 AS $$ BEGIN RAISE WARNING 'told %', t; RETURN true; END $$;
SET enable_nestloop = off; SET enable_indexscan = off; SET enable_bitmapscan = off;
SELECT count(*) FROM revops.win_probability x WHERE pg_temp.tell(x.opportunity);
SELECT count(*) FROM revops.win_snapshot x WHERE pg_temp.tell(x.opportunity);
RESET enable_nestloop; RESET enable_indexscan; RESET enable_bitmapscan;
DROP FUNCTION pg_temp.tell(text);
RESET ROLE;

-- what is scheduled and what customers need is in the audit log, trials are not
SELECT count(*) AS before FROM revops.audit_log \gset
SELECT revops.schedule_training('work', 'SELECT 1 AS x', 'y', '{"time": "at"}') \gset
UPDATE revops.model_schedule SET tried_at = revops.now();
INSERT INTO revops.skill (skill, dimension) VALUES ('work', 'local_resources');
INSERT INTO revops.account_need (account, skill) VALUES ('A1', 'work');
DELETE FROM revops.model_schedule;
DELETE FROM revops.skill WHERE skill = 'work';
SELECT what, action FROM revops.audit_log ORDER BY audit_id OFFSET :before;

-- events that fail while the lanes are counted anew are not left with a lane that is no more
SELECT revops.set_lanes(2);
CREATE FUNCTION pg_temp.fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = 'CR001'; END $$;
CREATE TRIGGER fails BEFORE INSERT ON revops.moment FOR EACH ROW WHEN (new.rule = 'r') EXECUTE FUNCTION pg_temp.fails();
SELECT count(revops.track('page_view', person => 'x' || i)) FROM generate_series(1, 4) i;
SELECT revops.set_lanes(1);
SELECT revops.process();
SELECT count(*), min(sqlstate) AS state FROM revops.failed_event;
DROP TRIGGER fails ON revops.moment;
SELECT revops.retry_failed();
SELECT revops.set_lanes(1);
SELECT count(*) FROM revops.moment WHERE rule = 'r' AND subject LIKE 'x%';

-- a card that was opened long ago counts when it is answered
SELECT revops.track('ask', person => 'P2') IS NOT NULL AS t;
SELECT revops.process();
SET revops.as_of = '2426-09-08 10:00Z';
SELECT revops.refresh_collaboration() AS counted;
UPDATE revops.task SET claimed_by = 'wb' WHERE rule = 'c' AND status = 'open';
SELECT revops.respond(task_id) FROM revops.task WHERE rule = 'c' AND status = 'open';
SELECT revops.refresh_collaboration() AS counted;
SELECT account, rep FROM revops.service WHERE rep = 'wb' ORDER BY 1;

SET client_min_messages = warning;
SELECT pg_temp.clear();
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;
DROP ROLE revops_test_wa, revops_test_eb;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
