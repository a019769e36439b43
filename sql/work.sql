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
             revops.substitution, revops.substitution_item, revops.stage_history, revops.stage_state CASCADE;
END $$;
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

SET client_min_messages = warning;
SELECT pg_temp.clear();
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;
DROP ROLE revops_test_wa, revops_test_eb;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
