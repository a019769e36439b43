-- models trained inside the database
SET client_min_messages = warning;
CREATE TABLE pg_temp.said (label text, text text);
INSERT INTO said
SELECT l, format(t, w)
FROM (VALUES ('price', 'the %s is too expensive for us'), ('price', '%s 的价格太贵了'), ('price', 'what does the %s cost'),
             ('delivery', 'when will the %s be delivered'), ('delivery', '%s 什么时候发货'), ('delivery', 'the %s has not arrived yet'),
             ('security', 'is our data safe in the %s'), ('security', '%s 安全吗，数据在哪里'), ('security', 'who can read what is in the %s')) x(l, t),
     unnest(ARRAY['basic plan', 'gateway', 'pump', 'licence', '网关', '套餐', 'server', 'module']) w;
SELECT count(*) FROM said;
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM said');
SELECT model, task, deployed, previous FROM revops.model;
SELECT model, version, labels, options, examples, size > 0 AS sized, trained_by = session_user AS mine,
       metrics ?& ARRAY['examples', 'labels', 'features', 'epochs', 'objective', 'held_out', 'scale'] AS told
FROM revops.model_version;

-- best first, and the probabilities sum to 1
SELECT label FROM revops.classify('topics', 'The CRM is far too EXPENSIVE') LIMIT 1;
SELECT label FROM revops.classify('topics', '请问什么时候发货？') LIMIT 1;
SELECT round(sum(probability)::numeric, 6), count(*), bool_and(ordered) FROM
    (SELECT probability, probability <= lag(probability, 1, 1.0::float8) OVER (ORDER BY n) AS ordered FROM revops.classify('topics', 'is it safe') WITH ORDINALITY c(label, probability, n)) x;
SELECT count(*), min(label) FROM revops.classify('topics', 'is our data safe', 1);
SELECT revops.best_label('topics', 'is our data safe');
-- case and width fold
SELECT (SELECT array_agg(c) FROM revops.classify('topics', 'ＴＯＯ ＥＸＰＥＮＳＩＶＥ！') c) = (SELECT array_agg(c) FROM revops.classify('topics', 'too expensive') c) AS folded;

-- odd texts: empty, punctuation, a megabyte, every plane
SELECT b, (SELECT count(*) FROM revops.classify('topics', t)) FROM (VALUES ('empty', ''), ('punctuation', '?!…。'), ('long', repeat('too expensive 太贵 ', 50000)),
    ('planes', U&'\0001\00AD\FDFA\+01F600\+020000\+0E0001\+10FFFF\FFFD\FF76\FF9E\0130\1E9E')) x(b, t);
SELECT count(*) FROM revops.classify('topics', NULL);
SELECT revops.best_label('topics', NULL) IS NULL AS none;

-- the same data in another order is the same model, another seed is not another fingerprint
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM said ORDER BY md5(text)');
SELECT count(DISTINCT fingerprint), count(DISTINCT parameters), count(DISTINCT metrics) FROM revops.model_version;
SELECT revops.train('topics', 'classify', 'SELECT text, label AS topic FROM said', 'topic', '{"loss": "logistic", "cost": 5, "seed": 7, "pairs": false, "words": 2, "keep": 0.9}');
SELECT count(DISTINCT fingerprint), count(DISTINCT parameters) FROM revops.model_version;

-- versions: trained, not deployed until told; back again
SELECT deployed, previous FROM revops.model;
SELECT revops.deploy('topics', 3);
SELECT deployed, previous FROM revops.model;
SELECT revops.best_label('topics', 'is our data safe in the pump');
SELECT label IS NULL AS abstains FROM revops.classify('topics', 'mmm') LIMIT 1;
SELECT revops.rollback('topics');
SELECT deployed, previous FROM revops.model;
SELECT revops.rollback('topics');
BEGIN;
SELECT revops.train('gone', 'classify', 'SELECT text, label FROM said');
SELECT revops.best_label('gone', 'too expensive');
ROLLBACK;
SELECT revops.best_label('gone', 'too expensive');

-- how good it is
SELECT metric, value FROM revops.evaluate('topics', 'SELECT text, label FROM said') WHERE metric IN ('examples', 'accuracy', 'macro_f1', 'coverage', 'oos_recall', 'unknown_labels');
SELECT * FROM revops.evaluate('topics', $$SELECT text, label FROM said WHERE label = 'price' UNION ALL SELECT 'too expensive', 'other'$$) WHERE label IS NOT NULL OR metric = 'unknown_labels';
SELECT metric, value_a, value_b, difference FROM revops.compare_models('topics', 1, 2, 'SELECT text, label FROM said') WHERE metric = 'accuracy';
SELECT * FROM revops.evaluate('topics', 'SELECT text, label FROM said WHERE false') WHERE metric IN ('examples', 'accuracy');

-- out of scope: examples of none
SELECT revops.train('scoped', 'classify', $$SELECT text, label FROM said UNION ALL SELECT 'the weather is nice in ' || g, 'oos' FROM generate_series(1, 30) g$$);
SELECT labels FROM revops.model_version WHERE model = 'scoped';
SELECT label FROM revops.classify('scoped', 'nice weather today') LIMIT 1;
SELECT revops.best_label('scoped', 'nice weather') IS NULL AS abstains, revops.best_label('scoped', 'the gateway is too expensive for us');
SELECT metric, value FROM revops.evaluate('scoped', $$SELECT 'nice weather' AS text, 'oos' AS label$$) WHERE metric = 'oos_recall';

-- sentiment
SELECT revops.train('mood', 'classify', $$SELECT t AS text, l AS label FROM (VALUES ('good', 'positive'), ('bad', 'negative'), ('so so', 'neutral')) v(t, l), generate_series(1, 5)$$);
SELECT revops.sentiment_score('mood', 'good') > 0.5, revops.sentiment_score('mood', 'bad') < -0.5, abs(revops.sentiment_score('mood', 'so so')) < 0.2;
SELECT revops.sentiment_score('topics', 'good');

-- what the lexicon says is learned where labels say how a text feels: words that no example has count too
CREATE TABLE pg_temp.felt AS SELECT t || ' ' || g AS text, l AS label FROM (VALUES ('great', 'positive'), ('terrible', 'negative'), ('we met', 'neutral')) v(t, l), generate_series(1, 30) g;
SELECT revops.train('felt', 'classify', 'SELECT text, label FROM felt');
SELECT t, revops.best_label('felt', t) FROM unnest(ARRAY['superb', 'flawless', '非常满意', 'awful', 'not superb', '太差了']) t;
SELECT revops.train('blind', 'classify', 'SELECT text, label FROM felt', options => '{"feeling": false}');
SELECT revops.best_label('blind', 'flawless'), revops.best_label('blind', '非常满意');
-- other labels are learned without it, unless it is asked for
SELECT revops.train('plain', 'classify', 'SELECT text, label FROM said', options => '{"feeling": false}');
SELECT a.parameters = b.parameters AS same FROM revops.model_version a, revops.model_version b WHERE a.model = 'plain' AND b.model = 'topics' AND b.version = 1;
SELECT revops.train('plain', 'classify', $$SELECT text, CASE label WHEN 'positive' THEN '+' ELSE '-' END AS label FROM felt WHERE label <> 'neutral'$$,
    options => '{"feeling": true, "words": 0, "pairs": false, "char_max": 0}');
SELECT revops.deploy('plain', 2);
SELECT revops.best_label('plain', 'excellent'), revops.best_label('plain', '糟糕');

-- few examples, and contradictions
SELECT revops.train('tiny', 'classify', $$SELECT t AS text, l AS label FROM (VALUES ('yes', 'x'), ('no', 'y')) v(t, l)$$);
SELECT revops.best_label('tiny', 'no');
SELECT revops.train('torn', 'classify', $$SELECT 'the same' AS text, l AS label FROM unnest(ARRAY['x', 'y']) l, generate_series(1, 50)$$);
SELECT label, round(probability::numeric, 2) FROM revops.classify('torn', 'the same');
SET client_min_messages = notice;
SELECT revops.train('tiny', 'classify', $$SELECT t AS text, l AS label FROM (VALUES ('yes', 'x'), ('no', 'y'), ('', 'y'), (NULL, 'x'), ('?', 'y'), ('none', NULL)) v(t, l)$$);
SET client_min_messages = warning;

-- in parallel plans
CREATE TABLE public.texts AS SELECT text FROM said, generate_series(1, 20);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(revops.best_label('topics', text)) FROM public.texts;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE public.texts;

-- training can be cancelled
SET statement_timeout = '300ms';
SELECT revops.train('bad', 'classify', 'SELECT md5(g::text) AS text, g % 100 AS label FROM generate_series(1, 200000) g');
RESET statement_timeout;

-- errors
SELECT revops.train('bad', 'classify', $$SELECT 'a' AS text, 'x' AS label$$);
SELECT revops.train('bad', 'classify', $$SELECT 'a' AS text, 'x' AS label WHERE false$$);
SELECT revops.train('bad', 'classify', $$SELECT '' AS text, 'x' AS label$$);
SELECT revops.train('bad', 'guess', 'SELECT 1');
SELECT revops.train('', 'classify', 'SELECT 1');
SELECT revops.train('bad', 'classify', $$VALUES ('a', 'x'), ('b', 'y')$$);
SELECT revops.train('bad', 'classify', 'SELECT text FROM said');
SELECT revops.train('bad', 'classify', 'SELECT label FROM said', 'label');
SELECT revops.train('bad', 'classify', 'SELECT text, text AS label FROM said; SELECT 1');
SELECT revops.train('bad', 'classify', 'DELETE FROM said');
SELECT revops.train('bad', 'classify', 'DELETE FROM said RETURNING text, label');
SELECT revops.train('bad', 'classify', $$SELECT 'a' AS text, repeat('x', 300) AS label$$);
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '[]');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"depth": 3}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"cost": -1}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"words": 1.5}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"loss": "hinge"}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"feeling": "yes"}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"char_min": 4, "char_max": 3}');
SELECT revops.train('bad', 'classify', 'SELECT text, label FROM said', options => '{"words": 0, "char_max": 0, "pairs": false}');
SELECT revops.classify('nobody', 'x');
SELECT revops.classify('topics', 'x', 0);
SELECT revops.deploy('nobody', 1);
SELECT revops.deploy('topics', 99);
SELECT revops.rollback('nobody');
SELECT revops.evaluate_version('topics', 99, 'SELECT 1', 'label', 'oos');
SET revops.train_memory = '1MB';
SELECT revops.train('bad', 'classify', 'SELECT md5(g::text) AS text, g % 3 AS label FROM generate_series(1, 20000) g');
RESET revops.train_memory;
SELECT count(*) FROM revops.model_version WHERE model = 'bad';

-- a damaged model says so
UPDATE revops.model_version SET parameters = set_byte(parameters, 500, get_byte(parameters, 500) # 1), version_id = gen_random_uuid() WHERE model = 'mood';
SELECT revops.best_label('mood', 'good');
UPDATE revops.model_version SET parameters = '\x00', version_id = gen_random_uuid() WHERE model = 'mood';
SELECT revops.best_label('mood', 'good');

-- with the caller's rights; apps may classify, and not train
CREATE ROLE revops_test_learn IN ROLE revops_app;
CREATE TABLE public.secret AS SELECT 'a' AS text, 'x' AS label UNION ALL SELECT 'b', 'y';
GRANT EXECUTE ON FUNCTION revops.train(text, text, text, text, jsonb), revops.deploy(text, int) TO revops_test_learn;
SET ROLE revops_test_learn;
SELECT revops.best_label('topics', 'is our data safe');
SELECT revops.train('bad', 'classify', 'SELECT * FROM public.secret');
SELECT revops.train('bad', 'classify', $$SELECT 'a' || g AS text, g % 2 AS label FROM generate_series(1, 9) g$$);
RESET ROLE;
DROP TABLE public.secret;
DROP OWNED BY revops_test_learn;
DROP ROLE revops_test_learn;
-- models loaded by turns, one copy each
SELECT count(*), count(DISTINCT revops.best_label(m, 'too expensive')) FROM generate_series(1, 5), unnest(ARRAY['topics', 'scoped', 'torn', 'tiny']) m;
SELECT model, count(*), bool_and(bytes > 0 AND sessions > 0) FROM revops.model_status WHERE deployed GROUP BY model ORDER BY model;
DELETE FROM revops.model_version;
DELETE FROM revops.model;
SELECT revops.best_label('topics', 'x');
