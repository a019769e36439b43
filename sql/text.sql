-- intents in texts: definitions, publication, what texts show, and the stream
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.signal, revops.stream_lane,
         revops.failed_event, revops.repair_request, revops.late_event, revops.task, revops.task_plan, revops.escalation, revops.event_intent,
         revops.intent_publication;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook CASCADE;
DELETE FROM revops.intent;
SET revops.as_of = '2026-03-02 09:00+00';
\set VERBOSITY terse
CREATE FUNCTION found(body text, side text DEFAULT NULL, channel text DEFAULT NULL, lang text DEFAULT NULL) RETURNS TABLE (f text)
LANGUAGE sql AS $$ SELECT format('%s %s %s %s', intent, confidence, span, evidence) FROM revops.detect_intents(body, side, channel, lang) $$;

SELECT revops.put_intent('price_objection', '{"title": "Price objection", "title_zh": "价格异议", "topic": "price", "sides": ["customer"], "first": true,
  "patterns": [{"lang": "zh", "include": "贵"}, {"lang": "zh", "include": "太贵"}, {"lang": "zh", "exclude": "不贵"}, {"lang": "zh", "exclude": "贵公司"},
               {"lang": "zh", "include": "价格", "near": "高", "within": 3}, {"lang": "zh", "exclude_regex": "价格.{0,4}不高"},
               {"lang": "en", "regex": "too (expensive|pricey)"}, {"lang": "en", "exclude_regex": "not too (expensive|pricey)"},
               {"lang": "en", "include": "over budget"}],
  "examples": {"zh": {"positive": ["太貴了", "价格有点高", "比别家多出一截"], "negative": ["不贵", "贵公司在哪里"]}, "en": {"positive": ["Over budget."], "negative": ["pricey"]}}}');
SELECT revops.put_intent('delivery', '{"topic": "delivery", "channels": ["email", "wecom"], "threshold": 0.8,
  "patterns": [{"include": "deliver"}, {"include": "交期"}, {"lang": "de", "include": "lieferung"}, {"regex": "when (will|does) it (ship|arrive)"}]}');
-- nothing is used before it is published
SELECT found('太贵了');
SELECT revops.publish_intents();
-- the same again is the same publication
SELECT revops.publish_intents();

-- what was published under a savepoint that is rolled back is not taken for the next of its number
BEGIN;
SAVEPOINT s;
SELECT revops.put_intent('demo', '{"topic": "need", "patterns": [{"include": "demo"}]}');
SELECT revops.publish_intents();
SELECT found('a demo, a trial');
ROLLBACK TO s;
SELECT found('a demo, a trial');
SELECT revops.put_intent('demo', '{"topic": "need", "patterns": [{"include": "trial"}]}');
SELECT revops.publish_intents();
SELECT found('a demo, a trial');
ROLLBACK;
SELECT found('a demo, a trial');

-- case, full and half width, traditional and simplified, white space; positions are those of the original
SELECT found('你们的報價實在太貴了');
SELECT found('It is ＴＯＯ Expensive');
SELECT found(E'is it over\r\n  BUDGET?');
SELECT found('𝒳🙂太贵🙂');
-- excludes
SELECT found('不贵'), found('贵公司'), found('贵公司太贵');
SELECT found('not too expensive'), found('not too expensive, only too pricey');
SELECT found('价格不高'), found('价格高，不是价格不高');
-- near, in either order, within 3 characters
SELECT found('价格真的很高'), found('价格真的是很高'), found('高的价格'), found('价格,高价格');
-- words have borders
SELECT found('too expensively'), found('tattoo expensive'), found('我觉得too expensive啊'), found('(too expensive)'), found('over budgets');
-- who says it, where, in which language; thresholds take more than one place
SELECT found('太贵', 'rep'), found('太贵', 'customer', 'call', 'zh'), found('太贵', lang => 'en');
SELECT found('deliver'), found('deliver; when will it ship?'), found('deliver 交期', 'rep', 'email'), found('deliver 交期', 'rep', 'call'),
       found('Lieferung, deliver', lang => 'de'), found('Lieferung, deliver', lang => 'en');
-- odd texts
SELECT found(''), found(NULL), found(' '), found(repeat('太贵', 3)), found(U&'\FEFF\D7FF\E000\+10FFFF');
SELECT length(evidence), span FROM revops.detect_intents(repeat('贵', 300));
SELECT span FROM revops.detect_intents(repeat('x', 1048570) || '太贵'), (VALUES (1)) v;
SELECT span FROM revops.detect_intents(repeat('x', 1048571) || '太贵');

-- a bad definition names its place
SELECT revops.put_intent('x', '[]');
SELECT revops.put_intent('', '{}');
SELECT revops.put_intent(NULL, '{}');
SELECT revops.put_intent('x', '{"titel": "x"}');
SELECT revops.put_intent('x', '{"intent": "y"}');
SELECT revops.put_intent('x', '{"sides": ["seller"]}');
SELECT revops.put_intent('x', '{"threshold": 2}');
SELECT revops.put_intent('x', '{"first": 1}');
SELECT revops.put_intent('x', '{"patterns": {}}');
SELECT revops.put_intent('x', '{"patterns": [{}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "a", "regex": "b"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": ""}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "　"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "a", "near": "b"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "a", "near": "b", "within": 5000}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "a", "near": "b", "within": 5}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "a", "lang": "Chinese"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"include": "a"}, {"regex": "(贵|高"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "贵)"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "[贵"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "贵**"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "a*"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "(a)\\1"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "(?<!不)贵"}]}');
SELECT revops.put_intent('x', '{"patterns": [{"regex": "((a{1,30}){1,30}){1,30}"}]}');
SELECT revops.put_intent('x', '{"examples": {"zh": {"yes": []}}}');
SELECT revops.put_intent('x', '{"examples": {"zh": {"positive": [1]}}}');
SELECT count(*) FROM revops.intent WHERE intent = 'x';

-- a pattern that came past put_intent() is refused by name and position, and what was published stays
INSERT INTO revops.intent_pattern (intent, n, include, kind, pattern) VALUES ('delivery', 9, true, 'regex', '交(货');
SELECT revops.publish_intents();
SELECT found('太贵了');
DELETE FROM revops.intent_pattern WHERE n = 9;

-- the stream: rows of event_intent, conditions of signals, and a moment
SELECT revops.put_signal('said_price', 'price', 2, '{"intent": "price_objection"}');
SELECT revops.put_signal('said_any', 'talk', 1, '{"intent": {"exists": true}}');
SELECT revops.put_signal('said_nothing', 'quiet', 1, '{"kind": "message", "not": {"intent": {"exists": true}}}');
INSERT INTO revops.account (account, name) VALUES ('a1', 'One');
INSERT INTO revops.person (person, account) VALUES ('p1', 'a1');
SELECT count(revops.track('message', person => 'p1', side => 'customer', channel => 'wecom', body => b, occurred_at => '2026-03-01 09:00+00'::timestamptz + n * interval '1 minute',
       event_id => ('00000000-0000-0000-0000-00000000000' || n)::uuid))
FROM unnest(ARRAY['太贵了', '价格不高', '交期？when will it arrive', NULL, '']) WITH ORDINALITY u(b, n);
SELECT revops.track('message', person => 'p1', side => 'rep', body => '太贵了', properties => '{"intents": ["price_objection"]}', event_id => '00000000-0000-0000-0000-000000000009', occurred_at => '2026-03-01 10:00+00');
SELECT revops.process();
SELECT right(event_id::text, 1) AS event, occurred_at, person, account, side, intent, confidence, method, span, evidence FROM revops.event_intent ORDER BY event_id, intent;
SELECT subject_kind, intent, round(score::numeric, 6) AS score, events FROM revops.intent_score ORDER BY 1, 2;
CREATE TABLE live AS SELECT * FROM revops.intent_state;
SELECT bool_and(abs(x.points - s.score) < 1e-9) AS explained FROM revops.intent_score s,
    LATERAL (SELECT sum(points) AS points FROM revops.explain_intent(s.subject_kind, s.subject, s.intent)) x;
SELECT revops.rebuild_scores();
SELECT revops.process();
(TABLE live EXCEPT TABLE revops.intent_state) UNION ALL (TABLE revops.intent_state EXCEPT TABLE live);
SELECT account, topic, round(share::numeric, 4) AS share, round(intensity::numeric, 4) AS intensity, events FROM revops.need_profile ORDER BY 1, 2;
SELECT intent, first, positives, negatives, precision, round(recall::numeric, 4) AS recall, events_7d, events_28d_before, drift FROM revops.label_quality ORDER BY 1;

-- a new publication is for what happens from then on; the past stays what it was
SELECT revops.put_intent('price_objection', '{"topic": "price", "patterns": [{"include": "discount"}]}');
SET revops.as_of = '2026-03-03 09:00+00';
SELECT revops.publish_intents();
SELECT found('太贵了'), found('A discount?');
SET revops.as_of = '2026-03-03 11:00+00';
SELECT count(revops.track('message', person => 'p1', side => 'customer', body => 'Discount, 太贵', occurred_at => t))
FROM unnest('{2026-03-02 18:00+00,2026-03-03 10:00+00}'::timestamptz[]) t;
SELECT revops.process();
SELECT occurred_at, intent, evidence FROM revops.event_intent WHERE occurred_at > '2026-03-02' ORDER BY 1;
-- stored for another machine, it is compiled anew
UPDATE revops.intent_publication SET fingerprint = 'elsewhere';
SELECT found('A discount?');
-- what a session keeps of patterns: what has room in revops.pattern_memory, but for the publication in use
CREATE VIEW kept AS SELECT count(*) AS publications FROM pg_backend_memory_contexts WHERE name = 'revops text matcher';
SET revops.as_of = '2026-03-02 09:00+00';
SELECT found('A discount?');
SET revops.as_of = '2026-03-03 11:00+00';
SELECT found('A discount?');
TABLE kept;
SET revops.pattern_memory = 0;
SET revops.as_of = '2026-03-02 09:00+00';
SELECT found('A discount?');
TABLE kept;
RESET revops.pattern_memory;
SET revops.as_of = '2026-03-03 11:00+00';
SELECT found('A discount?');
TABLE kept;
-- and nothing of one that was replaced, once the transaction that used it has ended
SELECT revops.put_intent('price_objection', '{"topic": "price", "patterns": [{"include": "rebate"}]}');
SET revops.as_of = '2026-03-03 12:00+00';
BEGIN;
SELECT found('A discount?');
SELECT revops.publish_intents();
SET revops.as_of = '2026-03-03 13:00+00';
SELECT found('A discount?'), found('A rebate?');
TABLE kept;
COMMIT;
UPDATE revops.intent_publication SET fingerprint = 'elsewhere', valid_to = valid_to;
SELECT found('A rebate?');
TABLE kept;
DROP VIEW kept;
-- repeats that are nested deeply are read once each
SELECT revops.put_intent('nested', jsonb_build_object('patterns', jsonb_build_array(jsonb_build_object('lang', 'en', 'regex',
    'budget' || repeat('(?: x', 45) || repeat(')?', 45) || '[a-z ]{0,9}k'))));
SELECT revops.publish_intents();
SET revops.as_of = '2026-03-03 14:00+00';
SELECT found('our budget x x x k');
-- no patterns at all
DELETE FROM revops.intent_pattern;
SELECT revops.publish_intents() > 0 AS published;
SET revops.as_of = '2026-03-04 09:00+00';
SELECT found('A discount?');
-- gone with the events
SET revops.retention = '30 days';
SET revops.as_of = '2026-06-04 09:00+00';
SELECT revops.drop_expired_partitions() >= 0 AS dropped;
SELECT count(*) FROM revops.event_intent;
TRUNCATE revops.event, revops.intent_state, revops.signal, revops.stream_lane;
TRUNCATE revops.person, revops.account CASCADE;
DELETE FROM revops.intent;
DROP FUNCTION found(text, text, text, text);
DROP TABLE live;
TRUNCATE revops.intent_publication;
