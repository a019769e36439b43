-- Figures that people are judged by, where what counts is not plain: whose event it is, which customer, and what was known when
SET client_min_messages = warning;
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
RESET client_min_messages;
SET revops.as_of = '2026-03-11 12:00Z';
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

-- a customer who shows two intents that ask for a skill asks for it once
INSERT INTO revops.territory (territory, name) VALUES ('east', 'East');
INSERT INTO revops.unit (unit, name, territory) VALUES ('u1', 'One', 'east');
INSERT INTO revops.rep (rep, name, unit) VALUES ('r1', 'R', 'u1');
INSERT INTO revops.account (account, owner, territory) VALUES ('C', 'r1', 'east');
INSERT INTO revops.skill (skill, dimension, intents) VALUES ('bank', 'industry_knowledge', '{i1,i2}');
INSERT INTO revops.rep_skill VALUES ('r1', 'bank', 3);
SELECT revops.put_signal('s1', 'i1', 5, '{"kind": "k1"}'), revops.put_signal('s2', 'i2', 5, '{"kind": "k2"}');
SELECT revops.put_rule('acc', '{"per": "account", "when": {"kind": "hot"}}'), revops.put_rule('own', '{"per": "person", "when": {"kind": "warm"}}');
SELECT count(revops.track(k, account => 'C')) FROM unnest('{k1,k2}'::text[]) k;
SELECT revops.process();
SELECT scope, demand, supply, gap FROM revops.capability_map ORDER BY scope_kind;

-- work for a visitor is for the account of the known person, before the visitor's own; a known person without one has the visitor's
INSERT INTO revops.account (account) VALUES ('A'), ('B');
INSERT INTO revops.person (person, account) VALUES ('k', 'B'), ('v', 'A'), ('n', NULL), ('w', 'A'), ('j', 'A');
SELECT revops.identify('v', 'k'), revops.identify('w', 'n');
SELECT revops.track('message', person => 'v', rep => 'r1', side => 'rep', occurred_at => '2026-03-10 10:00Z') IS NOT NULL AS t;
SELECT revops.process();
SELECT revops.refresh_collaboration();
SELECT account, rep FROM revops.service;
-- who bought: people of the account where their events name no other
SELECT count(revops.track(k, account => a, person => p, occurred_at => t))
FROM (VALUES ('hot', 'A', NULL, '2026-03-01 12:00Z'::timestamptz), ('purchase', NULL, 'w', '2026-03-01 14:00Z'), ('hot', 'A', NULL, '2026-03-06 12:00Z'), ('purchase', 'B', 'j', '2026-03-06 14:00Z'),
             ('warm', NULL, 'j', '2026-03-06 13:00Z'), ('hot', 'B', NULL, '2026-03-01 13:00Z'), ('purchase', NULL, 'v', '2026-03-01 15:00Z')) x (k, a, p, t);
SELECT revops.process();
SELECT subject, occurred_at, converted_at FROM revops.moment_outcome ORDER BY 2, 1;

-- what a person says they need goes with them to another account; what was said in the name of one stays
SELECT revops.put_intent('need_x', '{"topic": "x", "patterns": [{"include": "xylophone"}]}'), revops.publish_intents() > 0;
SET revops.as_of = '2026-03-11 12:10Z';
SELECT count(revops.track('message', person => 'j', account => a, body => 'a xylophone')) FROM unnest('{NULL,A}'::text[]) a;
SELECT revops.process();
SELECT account, topic, events FROM revops.need_profile;
UPDATE revops.person SET account = 'B' WHERE person = 'j';
SELECT revops.process();
SELECT account, topic, events FROM revops.need_profile ORDER BY 1;
UPDATE revops.person SET account = 'A' WHERE person = 'j';
SELECT revops.process();
SELECT account, topic, events FROM revops.need_profile ORDER BY 1;

-- a stage that was written later than the instant was not known at it; what came with the deal was
INSERT INTO revops.opportunity (opportunity, account, stage, stage_since, opened_at, status) VALUES ('o1', 'A', 'contact', '2026-01-01', '2026-01-01', 'open');
SET revops.as_of = '2026-03-12 12:00Z';
UPDATE revops.opportunity SET stage = 'won', stage_since = '2026-01-02', status = 'won', closed_at = '2026-03-11' WHERE opportunity = 'o1';
SELECT at < '2026-03-11' AS earlier, stage, stage_moves FROM revops.win_snapshot WHERE opportunity = 'o1';
INSERT INTO revops.stage_history (opportunity, entered_at, stage, origin, recorded_at) VALUES ('o1', '2026-01-03', 'loaded', 'backfill', '2026-03-12');
SELECT stage, stage_moves FROM revops.win_snapshot WHERE opportunity = 'o1';
-- a key of properties that is called like a column is not that column
INSERT INTO revops.opportunity (opportunity, owner, properties) VALUES ('o2', 'r1', '{"owner": "x", "budget": 5}');
SELECT field, opportunities, filled FROM revops.field_fill_rate WHERE field IN ('owner', 'budget') ORDER BY 1;

-- a look at the past sees no later events
SELECT count(revops.track('x', channel => 'mail', occurred_at => t)) FROM unnest('{2026-03-05 10:00Z,2026-03-10 10:00Z}'::timestamptz[]) t;
SET revops.as_of = '2026-03-06 12:00Z';
SELECT events, last_seen_at, ahead FROM revops.touchpoint_audit WHERE channel = 'mail';
SET revops.as_of = '2026-03-12 12:00Z';
SELECT events, last_seen_at, ahead FROM revops.touchpoint_audit WHERE channel = 'mail';

-- a session lasts as long as its longest dwell, whatever lies in between
SELECT count(revops.track('pv', person => 'vis', object => o, dwell => d, occurred_at => t))
FROM (VALUES ('/long', interval '60 min', '2026-03-12 10:00Z'::timestamptz), ('/b', NULL, '2026-03-12 10:10Z'), ('/c', '4 min', '2026-03-12 10:50Z')) x (o, d, t);
SELECT revops.process();
SELECT started_at, dwell, events, longest_object FROM revops.silent_high_intent WHERE visitor = 'vis';

-- a deal whose closing has a day and no time was won after the moments of that day; a customer who has an account by now
SET revops.as_of = '2026-03-13 12:00Z';
SELECT count(revops.track('hot', account => 'P')), count(revops.track('warm', person => 'late')) FROM generate_series(1, 1);
SELECT revops.process();
INSERT INTO revops.account (account) VALUES ('L');
INSERT INTO revops.person (person, account) VALUES ('late', 'L');
INSERT INTO revops.opportunity (opportunity, account, status, opened_at, closed_at) VALUES ('d1', 'P', 'won', '2026-03-01', '2026-03-13'), ('d2', 'L', 'won', '2026-03-01', '2026-03-13 13:00Z');
SET revops.as_of = '2026-03-14 12:00Z';
SELECT subject, account, converted_at FROM revops.moment_outcome WHERE occurred_at > '2026-03-12' ORDER BY 1;
SELECT revops.render_message('{{object}} of {{person}}', '{{account}}', 'A', 'x{{person}}');

-- one product in two spellings is one
INSERT INTO revops.account (account, properties) VALUES ('P', '{"products": ["CRM", "crm"]}');
SELECT * FROM revops.account_features('P');

-- the quality of a label's patterns is theirs alone, whatever the model finds; a model with few examples abstains
SELECT revops.put_intent('px', '{"patterns": [{"include": "zzzz"}], "examples": {"en": {"positive": ["that is more than we can pay 77", "more than we can pay for this"], "negative": ["your competitor asks half"]}}}'),
       revops.put_intent('cx', '{"patterns": [{"include": "yyyy"}]}'), revops.publish_intents() > 0;
CREATE TEMP TABLE labelled AS SELECT x || ' ' || n AS text, l AS label FROM generate_series(1, 20) n, (VALUES ('that is more than we can pay', 'px'), ('your competitor asks half of it for item', 'cx')) v (x, l);
SELECT revops.train('figures', 'classify', 'SELECT * FROM pg_temp.labelled'), revops.use_model('figures');
SELECT method FROM revops.detect_intents('more than we can pay for this');
SELECT precision, recall FROM revops.label_quality WHERE intent = 'px';
SELECT revops.put_intent('px', '{"patterns": [{"include": "pay"}], "examples": {"en": {"positive": ["that is more than we can pay 77", "more than we can afford"], "negative": ["you pay us half"]}}}'), revops.publish_intents() > 0;
SELECT precision, recall FROM revops.label_quality WHERE intent = 'px';
SELECT revops.use_model(NULL);
CREATE TEMP TABLE known AS
SELECT (ARRAY['price cost money pay', 'ship deliver late truck', 'crash error screen bug'])[1 + n % 3] || ' n' || n AS text, (ARRAY['a', 'b', 'c'])[1 + n % 3] AS label FROM generate_series(1, 300) n
UNION ALL SELECT 'q' || n % 17 || ' q' || n % 13 || ' q' || n % 7 || ' w' || n, 'oos' FROM generate_series(1, 80) n;
SELECT revops.train('figures', 'classify', 'SELECT * FROM pg_temp.known') AS version \gset
SELECT revops.deploy('figures', :version);
SELECT revops.best_label('figures', 'q1 q2 q3') AS unknown, revops.best_label('figures', 'crash error screen bug again') AS known;
SELECT metric, round(value::numeric, 2) AS value FROM revops.evaluate('figures', 'SELECT * FROM pg_temp.known') WHERE metric IN ('coverage', 'oos_recall') AND label IS NULL ORDER BY 1;

SET client_min_messages = warning;
SELECT pg_temp.clear();
INSERT INTO revops.collaboration_state DEFAULT VALUES ON CONFLICT DO NOTHING;
DELETE FROM revops.skill WHERE skill = 'bank';
DELETE FROM revops.model_version WHERE model = 'figures';
DELETE FROM revops.model WHERE model = 'figures';
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
