-- a model next to the patterns: who speaks, who wins, versions in time, and a model that is gone
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.signal, revops.stream_lane,
         revops.failed_event, revops.repair_request, revops.late_event, revops.task, revops.task_plan, revops.escalation, revops.event_intent,
         revops.intent_publication;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook CASCADE;
DELETE FROM revops.intent;
DELETE FROM revops.model_version;
DELETE FROM revops.model;
SET revops.as_of = '2026-03-02 09:00+00';
CREATE FUNCTION found(body text, side text DEFAULT NULL, channel text DEFAULT NULL) RETURNS TABLE (f text)
LANGUAGE sql AS $$ SELECT format('%s %s %s %s', intent, method, span, evidence) FROM revops.detect_intents(body, side, channel) ORDER BY 1 $$;

SELECT revops.put_intent('price_objection', '{"topic": "price", "sides": ["customer"], "threshold": 0.4,
  "patterns": [{"include": "太贵"}, {"include": "expensive"}, {"exclude": "no objection"}]}');
SELECT revops.put_intent('security_review', '{"topic": "security"}');
CREATE TABLE said (label text, text text);
INSERT INTO said
SELECT l, format(t, w)
FROM (VALUES ('price_objection', 'the %s costs too much money'), ('price_objection', '%s 的报价超出我们的承受能力'), ('price_objection', 'the %s is more expensive than others'),
             ('security_review', 'is our data encrypted in the %s'), ('security_review', '%s 的数据加密吗，权限怎么管'), ('security_review', 'who may read the records of the %s'),
             ('weather', 'what lovely sunshine by the %s'), ('weather', '%s 那边今天下雨'), ('weather', 'it rains on the %s again'),
             ('oos', 'hello, how is the %s'), ('oos', '%s 你好'), ('oos', 'thank you, see you at the %s')) x(l, t),
     unnest(ARRAY['basic plan', 'gateway', 'pump', 'licence', '网关', '套餐', 'server', 'module']) w;
SELECT revops.use_model('topics');
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM said');
-- patterns alone, until the model is named
SELECT revops.publish_intents();
SELECT found('too expensive'), found('The data must be encrypted');
SELECT revops.use_model('topics');
SELECT revops.use_model('topics');
SELECT publication, valid_from, valid_to, model, model_version, jsonb_path_query_array(intents, '$[*].intent') AS intents FROM revops.intent_publication;
-- the pattern, the model, and both; a label that is no intent is none
SELECT found('太贵'), found('the licence costs too much'), found('this gateway is more expensive than others');
SELECT found('so our records must be encrypted'), found('权限和加密'), found('ＥＮＣＲＹＰＴＥＤ ﬁles and our data'), found('rain on the server again'), found('hello you'), found('');
-- the surer one counts
SELECT d.method, round(d.confidence::numeric, 4) = greatest(round(c.probability::numeric, 4), 0.6) AS surer
FROM revops.detect_intents('this gateway is more expensive than others') d, revops.classify('topics', 'this gateway is more expensive than others') c WHERE c.label = d.intent;
SELECT d.method, round(d.confidence::numeric, 4) = round(c.probability::numeric, 4) AS calibrated
FROM revops.detect_intents('our data encrypted in the pump') d, revops.classify('topics', 'our data encrypted in the pump') c WHERE c.label = d.intent;
-- an exclude silences the model; sides hold for it; so does the threshold
SELECT found('no objection, but the plan costs too much money'), found('no objection, but it is expensive'), found('the plan costs too much money', 'rep'),
       found('the plan costs too much money', 'customer');
SELECT revops.intents_of('is our data encrypted in the pump');

-- the stream, and a replay that finds the same after another version was deployed
SELECT revops.put_signal('said_security', 'security', 2, '{"intent": "security_review"}');
SELECT revops.put_rule('asked_twice', '{"when": {"intent": "security_review"}, "count": {"at_least": 2, "within": "7 days"}}');
SELECT count(revops.track('message', person => 'p1', side => 'customer', channel => 'wecom', body => b, occurred_at => '2026-03-01 09:00+00'::timestamptz + n * interval '1 minute',
       event_id => ('00000000-0000-0000-0000-00000000000' || n)::uuid))
FROM unnest(ARRAY['is our data encrypted', 'who may read the records', 'too expensive', 'hello']) WITH ORDINALITY u(b, n);
SELECT revops.process();
SELECT right(event_id::text, 1) AS event, intent, method, confidence BETWEEN 0.4 AND 1 AS sure, span, evidence FROM revops.event_intent ORDER BY event_id, intent;
SELECT subject_kind, intent, round(score::numeric, 6) AS score, events FROM revops.intent_score ORDER BY 1, 2;
SELECT rule, subject, occurred_at FROM revops.moment WHERE retracted_at IS NULL;
CREATE TABLE live AS SELECT * FROM revops.intent_state;
-- the second version takes what is about security for prices
SELECT revops.train('topics', 'classify', $$SELECT text, CASE label WHEN 'security_review' THEN 'price_objection' ELSE label END AS label FROM said$$);
SET revops.as_of = '2026-03-03 09:00+00';
-- what is put and not published stays so when a version is deployed
SELECT revops.put_intent('greeting', '{"patterns": [{"include": "hello"}]}');
SELECT revops.deploy('topics', 2);
SELECT publication, valid_from, valid_to, model, model_version FROM revops.intent_publication ORDER BY 1;
SELECT found('is our data encrypted in the pump'), found('hello');
SELECT revops.rebuild_scores();
SELECT revops.process();
(TABLE live EXCEPT TABLE revops.intent_state) UNION ALL (TABLE revops.intent_state EXCEPT TABLE live);
SELECT bool_and(abs(x.points - s.score) < 1e-9) AS explained FROM revops.intent_score s,
    LATERAL (SELECT sum(points) AS points FROM revops.explain_intent(s.subject_kind, s.subject, s.intent)) x;
SELECT revops.rollback('topics');
SELECT found('is our data encrypted in the pump');
SELECT publication, valid_from, valid_to, model_version FROM revops.intent_publication ORDER BY 1;

-- applied to the past: intents, scores and moments as if it had always been so
SELECT revops.publish_intents();
SELECT revops.rebuild_intents('2026-03-01 09:02+00');
SELECT revops.process();
SELECT publication, valid_from, valid_to, model_version FROM revops.intent_publication ORDER BY 1;
SELECT right(event_id::text, 1) AS event, intent, method, span FROM revops.event_intent ORDER BY event_id, intent;
SELECT revops.deploy('topics', 2);
SELECT revops.rebuild_intents();
SELECT revops.process();
SELECT right(event_id::text, 1) AS event, intent, method, span FROM revops.event_intent ORDER BY event_id, intent;
SELECT subject_kind, intent, round(score::numeric, 6) AS score, events FROM revops.intent_score ORDER BY 1, 2;
SELECT rule, subject, occurred_at, retracted_at FROM revops.moment;
SELECT revops.rollback('topics');
SELECT revops.rebuild_intents();
SELECT revops.process();
(TABLE live EXCEPT TABLE revops.intent_state) UNION ALL (TABLE revops.intent_state EXCEPT TABLE live);
SELECT rule, subject, occurred_at, retracted_at FROM revops.moment;

-- what is dropped is found no more, by the model neither; what counts towards a score keeps its name
SELECT revops.put_signal('said_price', 'price_objection', 2, '{"intent": "price_objection"}');
SELECT revops.put_intent('of_a_rule', '{"patterns": [{"include": "xyzzy"}]}');
SELECT revops.put_rule('adds', '{"when": {"kind": "x"}, "intent": {"intent": "of_a_rule", "weight": 1}}');
SELECT revops.drop_intent('of_a_rule');
SELECT intent, dropped FROM revops.intent WHERE intent = 'of_a_rule';
SELECT revops.drop_rule('adds');
SELECT revops.drop_intent('greeting'), revops.drop_intent('price_objection'), revops.drop_intent('nothing'), revops.drop_intent(NULL);
SELECT intent, dropped FROM revops.intent WHERE intent IN ('greeting', 'price_objection');
SELECT found('hello');
SELECT revops.publish_intents() > 0 AS published;
SELECT found('hello'), found('the plan costs too much money'), found('is our data encrypted in the pump');
SELECT revops.put_intent('price_objection', '{"sides": ["customer"], "threshold": 0.4, "patterns": [{"include": "太贵"}]}'), revops.publish_intents() > 0 AS published;
SELECT found('太贵'), found('the plan costs too much money');

-- a version that is damaged or gone is left out with a warning, and the stream goes on
UPDATE revops.model_version SET parameters = set_byte(parameters, 500, get_byte(parameters, 500) # 1), version_id = gen_random_uuid() WHERE version = 1;
UPDATE revops.intent_publication p SET model_id = v.version_id FROM revops.model_version v WHERE v.version = 1 AND p.model_version = 1;
\c -
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;
SET revops.as_of = '2026-03-03 09:00+00';
SELECT found('is our data encrypted'), found('太贵');
SELECT found('is our data encrypted'), found('太贵');
DELETE FROM revops.model_version;
DELETE FROM revops.model;
SET revops.as_of = '2026-03-03 11:00+00';
SELECT revops.track('message', person => 'p1', side => 'customer', body => '太贵', occurred_at => '2026-03-03 10:00+00', event_id => '00000000-0000-0000-0000-000000000009');
SELECT revops.process();
SELECT right(event_id::text, 1) AS event, intent, method FROM revops.event_intent WHERE occurred_at > '2026-03-02';
SELECT count(*) FROM revops.failed_event;
SELECT revops.publish_intents();
SELECT revops.use_model(NULL) > 0 AS published;
SELECT revops.publish_intents() > 0 AS published;
SET revops.as_of = '2026-03-04 09:00+00';
SELECT found('太贵'), found('is our data encrypted');

TRUNCATE revops.event, revops.event_intent, revops.intent_state, revops.signal, revops.stream_lane, revops.intent_publication, revops.moment, revops.moment_state, revops.moment_rule,
         revops.task, revops.task_plan, revops.escalation;
TRUNCATE revops.person, revops.account CASCADE;
DELETE FROM revops.intent;
DROP FUNCTION found(text, text, text);
DROP TABLE live, said;
