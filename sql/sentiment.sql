-- sentiment without training, one's own model in its place, and the quality of labels
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.event_intent, revops.model, revops.model_version, revops.intent_publication;
TRUNCATE revops.person, revops.account CASCADE;
DELETE FROM revops.intent;
-- what a text shows, in words
CREATE FUNCTION feels(body text, lang text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN s < -0.6 THEN 'bad' WHEN s < -0.05 THEN 'rather bad' WHEN s <= 0.05 THEN 'neither' WHEN s <= 0.6 THEN 'rather good' ELSE 'good' END FROM revops.sentiment(body, lang) s $$;
CREATE TABLE said (n serial, body text, answer text);
INSERT INTO said (body, answer) VALUES
('你们的服务非常好', 'good'), ('服务不好', 'rather bad'), ('不太满意', 'rather bad'), ('我们非常失望', 'bad'), ('我們非常失望', 'bad'), ('太贵了', 'rather bad'), ('不贵', 'rather good'),
('还可以，但是交付太慢了', 'rather bad'), ('交付有点慢，不过质量非常好', 'rather good'), ('没有不满意的地方', 'rather good'), ('没什么问题，合作愉快', 'good'), ('报价什么时候给？', 'neither'),
('你好', 'neither'), ('好的，谢谢', 'good'), ('请问什么时候发货', 'neither'), ('再也不会买了，骗子！', 'bad'), ('垃圾，要求退款', 'bad'), ('ＯＫ', 'rather good'), ('很不专业', 'bad'),
('明天下午三点开会', 'neither'), ('银行流程需要执行两天', 'neither'), ('👍👍', 'good'), ('😡', 'rather bad'),
('The demo was great', 'good'), ('The demo was not great', 'rather bad'), ('The demo wasn’t great', 'rather bad'), ('not bad at all', 'rather good'), ('I don''t like it', 'rather bad'),
('It isn''t very good', 'rather bad'), ('great product but the support is terrible!!!', 'rather bad'), ('The setup was slow, but we absolutely love the result', 'good'), ('VERY SLOW RESPONSE', 'bad'),
('Please send the invoice to accounting', 'neither'), ('best regards', 'neither'), ('Could you send the quote?', 'neither'), ('We are extremely disappointed', 'bad'),
('no problems so far, works great', 'good'), ('never again', 'bad'), ('', 'neither'), ('   ', 'neither'), ('12345', 'neither');
SELECT count(*) FROM said;
SELECT body, answer, feels(body), round(revops.sentiment(body)::numeric, 3) FROM said WHERE feels(body) <> answer ORDER BY n;
-- more of it, more strongly; in bounds; by language
SELECT revops.sentiment('好') < revops.sentiment('很好') AS stronger, revops.sentiment('有点慢') > revops.sentiment('太慢') AS weaker, revops.sentiment('good') < revops.sentiment('good!!') AS louder,
       revops.sentiment('good') < revops.sentiment('very good') AS very, revops.sentiment('slightly slow') > revops.sentiment('slow') AS slightly;
SELECT bool_and(revops.sentiment(more) > revops.sentiment(less)) AS ordered, string_agg(more || ' > ' || less, '; ') FILTER (WHERE revops.sentiment(more) <= revops.sentiment(less)) AS wrong FROM (VALUES
    ('满意', '不满意'), ('非常满意', '满意'), ('满意', '不太满意'), ('不太满意', '非常不满意'), ('有点不满意', '很不满意'), ('好', '不好'), ('不差', '差'), ('没有迟到', '迟到'), ('及时', '不及时'), ('便宜', '有点贵'),
    ('问题解决了', '问题没解决'), ('质量可以，就是贵', '质量可以，贵得离谱'), ('虽然贵，但是很好用', '很好用，但是贵'), ('比以前好多了', '不如以前'), ('extremely good', 'good'), ('good', 'slightly good'),
    ('slightly good', 'not good'), ('not bad', 'bad'), ('bad', 'very bad'), ('better than before', 'worse than before'), ('never fails', 'always fails'), ('no complaints', 'many complaints'), ('slow, but great', 'great, but slow'),
    ('it would be nice', 'it would be nice if it worked'), ('I like it', 'I wanted to like it'), ('thanks', 'thanks for nothing')) v (more, less);
-- what no word of the lexicon tells, the model may; what is told by neither is nothing
SELECT feels('the driver left it in the rain'), feels('the driver left it in the rain', 'zh') AS by_zh, feels('I bought this for my daughter') AS fact, feels('客户询问了交货地点') AS question, feels('zork') AS unknown;
-- one language's words only, of the lexicon and of the model
SELECT revops.sentiment(zh || ', ' || en, 'zh') = revops.sentiment(zh || ', ' || repeat(' ', length(en)), 'zh') AS zh, revops.sentiment(zh || ', ' || en, 'en') = revops.sentiment(repeat(' ', length(zh)) || ', ' || en, 'en') AS en
FROM (VALUES ('没有按时送到', 'the courier left it in the rain'), ('很好', 'terrible')) v (zh, en);
SELECT feels('great, 但是很差', 'en'), feels('great, 但是很差', 'zh'), feels('great', 'zh'), revops.sentiment(NULL) IS NULL AS none, feels('great', 'de');
SELECT abs(revops.sentiment(repeat(x, 1000000))) <= 1 AS bounded FROM unnest(ARRAY['very ', '不', '好', 'not good ', 'terrible!', '', '🙂', ''' ', E'\u0001']) x;
-- accounts
SET revops.as_of = '2026-03-20 12:00+00';
INSERT INTO revops.account (account) VALUES ('A'), ('B');
INSERT INTO revops.person (person, account) VALUES ('pa', 'A');
SELECT count(revops.track(kind => 'message', person => p, account => a, side => s, body => b, occurred_at => t::timestamptz)) FROM (VALUES
    ('pa', NULL, 'customer', '非常满意', '2026-03-01 09:00+00'), ('pa', NULL, 'customer', '太慢了，非常失望', '2026-03-19 09:00+00'), (NULL, 'A', 'rep', '太好了', '2026-03-19 10:00+00'),
    (NULL, 'B', 'customer', 'great', '2026-03-19 09:00+00'), (NULL, 'B', 'customer', 'terrible', '2026-01-19 09:00+00')) v (p, a, s, b, t);
SELECT account, sentiment < 0 AS bad, events, negative_events, positive_events, change < -1 AS worse, last_at, last_sentiment < -0.5 AS last_bad FROM revops.account_sentiment ORDER BY account;
-- a model of one's own goes before
SELECT revops.train('sentiment', 'classify', $$SELECT 'zork ' || i || ' is it' AS text, 'positive' AS label FROM generate_series(1, 30) i UNION ALL
    SELECT 'grum ' || i || ' is so', 'negative' FROM generate_series(1, 30) i$$);
SELECT revops.sentiment('zork') > 0.2 AS zork, revops.sentiment('grum') < -0.2 AS grum, revops.sentiment('zork', 'en') = revops.sentiment_score('sentiment', 'zork') AS same;
BEGIN;
DELETE FROM revops.model;
SELECT feels('great'), revops.sentiment('zork') AS nothing;
ROLLBACK;
SELECT revops.sentiment('zork') > 0.2 AS zork;
DELETE FROM revops.model;
DELETE FROM revops.model_version;
SELECT feels('great'), revops.sentiment('zork') AS nothing;

-- each label of a model, on what it had not seen: held out, or by cross-validation
CREATE TABLE example AS
SELECT CASE i % 3 WHEN 0 THEN 'apples ' WHEN 1 THEN 'pears ' ELSE 'either ' END || i % 7 || ' and ' || i AS text,
       CASE i % 3 WHEN 0 THEN 'apple' WHEN 1 THEN 'pear' ELSE CASE WHEN i % 2 = 0 THEN 'apple' ELSE 'mixed' END END AS label FROM generate_series(1, 300) i;
SELECT revops.train('fruit', 'classify', 'SELECT text, label FROM example');
SELECT intent, title, positives, precision, recall, model, model_version, model_tried, model_precision > 0.6 AS precise, model_recall BETWEEN 0 AND 1 AS recalls, model_folds
FROM revops.label_quality ORDER BY intent;
SELECT revops.train('fruit', 'classify', 'SELECT text, label FROM example', options => '{"folds": 5}');
SELECT revops.deploy('fruit', 2);
SELECT intent, model_version, model_tried, model_tried = (SELECT count(*) FROM example e WHERE e.label = q.intent) AS "all", model_recall > 0.9 AS good, model_folds FROM revops.label_quality q ORDER BY intent;
-- which one needs work
SELECT intent FROM revops.label_quality ORDER BY model_recall LIMIT 1;
-- an intent of that name shows both
SELECT revops.put_intent('apple', '{"title": "Apple", "patterns": [{"include": "apples"}], "examples": {"en": {"positive": ["apples 1", "an apple"], "negative": ["pears"]}}}');
SELECT revops.publish_intents();
SELECT intent, title, positives, negatives, precision, recall, model, model_folds FROM revops.label_quality ORDER BY intent;
SELECT revops.train('fruit', 'classify', 'SELECT text, label FROM example', options => '{"folds": 1}');
SELECT revops.train('fruit', 'classify', 'SELECT text, label FROM example', options => '{"folds": 21}');
-- a label that one word tells for certain is found in every fold
WITH fold AS (SELECT (metrics -> 'by_label' -> 'pear' ->> 'recall')::float8 AS recall FROM revops.model_version WHERE model = 'fruit' AND version = 2) SELECT recall = 1 AS pears_are_certain FROM fold;
-- the condition: the event's property, else how its body feels by the word lists, whatever model there is
SELECT revops.train('sentiment', 'classify', $$SELECT 'terrible ' || i || ' is fine' AS text, 'positive' AS label FROM generate_series(1, 30) i UNION ALL
    SELECT 'grum ' || i || ' is so', 'negative' FROM generate_series(1, 30) i$$);
TRUNCATE revops.event, revops.intent_state, revops.stream_lane;
SET revops.as_of = '2026-03-20 12:00+00';
SELECT count(revops.put_signal(s, s, 1, d::json)) FROM (VALUES ('sad', '{"sentiment": {"lt": -0.3}}'), ('even', '{"sentiment": 0}'), ('felt', '{"sentiment": {"exists": true}}')) v (s, d);
SELECT count(revops.track(kind => 'message', person => p, body => b, properties => j::jsonb, occurred_at => '2026-03-20 11:00+00')) FROM (VALUES
    ('body', 'terrible', NULL), ('other', 'terrible', '{"a": 1}'), ('null', 'terrible', '{"sentiment": null}'), ('said', 'terrible', '{"sentiment": 0.5}'), ('text', 'terrible', '{"sentiment": "bad"}'),
    ('plain', 'see you at nine', NULL), ('none', NULL, NULL), ('sum', NULL, '{"sentiment": -0.9}')) v (p, b, j);
SELECT revops.process();
SELECT intent, array_agg(subject ORDER BY subject) FROM revops.intent_state WHERE subject_kind = 'person' GROUP BY intent ORDER BY intent;
SELECT count(revops.drop_signal(s)) FROM unnest(ARRAY['sad', 'even', 'felt']) s;
TRUNCATE revops.intent_state, revops.signal;
TRUNCATE revops.event, revops.event_intent, revops.model, revops.model_version, revops.intent_publication, revops.stream_lane;
TRUNCATE revops.person, revops.account CASCADE;
DELETE FROM revops.intent;
DROP TABLE said, example;
DROP FUNCTION feels;
RESET revops.as_of;
