-- yes-or-no questions over rows
SET client_min_messages = warning;
CREATE TYPE pg_temp.size AS ENUM ('small', 'large');
CREATE TABLE deal AS
SELECT g AS id, (('x' || left(md5('c' || g), 7))::bit(28)::int % 5) AS contacts, ('x' || left(md5('b' || g), 7))::bit(28)::int / 2.0 ^ 28 * 100 AS budget,
       (ARRAY['web', 'fair', 'partner', NULL])[1 + ('x' || left(md5('s' || g), 7))::bit(28)::int % 4] AS source,
       (('x' || left(md5('z' || g), 7))::bit(28)::int % 2 = 0) AS trial, timestamptz '2026-01-01 00:00+00' + g * interval '7 hours' AS opened_at,
       (ARRAY['small', 'large'])[1 + ('x' || left(md5('e' || g), 7))::bit(28)::int % 2]::pg_temp.size AS size
FROM generate_series(1, 1500) g;
ALTER TABLE deal ADD label boolean;
UPDATE deal SET label = ('x' || left(md5('l' || id), 7))::bit(28)::int / 2.0 ^ 28 < 1 / (1 + exp(-(contacts - 2.5 + (budget - 50) / 25 + CASE source WHEN 'partner' THEN 1.5 WHEN 'fair' THEN -1 ELSE 0 END + CASE WHEN trial THEN 1 ELSE -1 END)));
CREATE VIEW deals AS SELECT label, contacts, budget, source, trial, opened_at, size FROM deal;
SELECT revops.train('deal', 'predict', 'SELECT * FROM deals');
SELECT model, task, deployed FROM revops.model;
SELECT labels, examples, metrics ->> 'method' AS method, metrics ->> 'split' AS split, (metrics ->> 'learnt')::bool AS learnt, (metrics ->> 'auc')::float8 > 0.8 AS good FROM revops.model_version;
SELECT count(*), min(p) >= 0, max(p) <= 1, abs(avg(p) - avg(label::int)) < 0.03 AS calibrated FROM (SELECT label, revops.predict('deal', d) AS p FROM deals d) x;

-- what it says goes the way that the data was made
SELECT revops.predict('deal', r) > 0.8 AS likely FROM (SELECT 4 AS contacts, 95.0 AS budget, 'partner' AS source, true AS trial, timestamptz '2026-03-01' AS opened_at, 'large'::pg_temp.size AS size) r;
SELECT revops.predict('deal', r) < 0.2 AS unlikely FROM (SELECT 0 AS contacts, 5.0 AS budget, 'fair' AS source, false AS trial, timestamptz '2026-03-01' AS opened_at, 'large'::pg_temp.size AS size) r;
-- other types of the same kind, columns in another order, more of them, missing and new values
SELECT revops.predict('deal', a) = revops.predict('deal', b) AS same
FROM (SELECT 3 AS contacts, 40.0 AS budget, 'web' AS source, true AS trial, timestamptz '2026-03-01 10:00+00' AS opened_at, 'large'::pg_temp.size AS size) a,
     (SELECT 'large'::text AS size, 'x' AS more, timestamp '2026-03-01 10:00' AS opened_at, true AS trial, 'web'::varchar AS source, 40::float4 AS budget, 3::numeric AS contacts) b;
SELECT revops.predict('deal', r) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::int AS contacts, 'NaN'::float8 AS budget, 'never seen' AS source, NULL::bool AS trial, NULL::timestamptz AS opened_at, NULL::text AS size) r;
SELECT revops.predict('deal', r) BETWEEN 0 AND 1 AS answered FROM (SELECT 9000000000000 AS contacts, b AS budget, repeat('x', 100000) AS source, NULL::bool AS trial, t AS opened_at, NULL::text AS size
    FROM unnest(ARRAY['infinity', '-infinity', 0, -1e308]::float8[], ARRAY['infinity', '-infinity', '4713-01-01 BC', '294276-12-31']::timestamptz[]) x(b, t)) r;
SELECT revops.predict('deal', NULL::deals) IS NULL AS none, revops.predict(NULL, d) IS NULL AS none FROM deals d LIMIT 1;

-- explanations sum to the log-odds
SELECT max(abs(ln(p / (1 - p)) - s)) < 1e-9 AS sums FROM (SELECT revops.predict('deal', d) AS p, (SELECT sum(contribution) FROM revops.explain('deal', d)) AS s FROM deals d) x;
SELECT bool_and(s), count(*) FROM (SELECT abs(contribution) <= lag(abs(contribution)) OVER (ORDER BY n) AS s FROM (SELECT d FROM deals d LIMIT 1) x, revops.explain('deal', d) WITH ORDINALITY e(feature, value, contribution, n) WHERE n > 1) y;
SELECT feature, value FROM revops.explain('deal', (SELECT r FROM (SELECT 3 AS contacts, 40.0 AS budget, 'never seen' AS source, true AS trial, timestamptz '2026-03-01 10:00+00' AS opened_at, NULL::text AS size) r))
 WHERE feature !~ ' with ' ORDER BY feature COLLATE "C";
SELECT count(*) FROM revops.explain('deal', NULL::deals);

-- rows that cannot be asked about
SELECT revops.predict('deal', r) FROM (SELECT 3 AS contacts) r;
SELECT revops.predict('deal', r) FROM (SELECT 'three' AS contacts, 40.0 AS budget, 'web' AS source, true AS trial, now() AS opened_at, NULL::text AS size) r;
SELECT revops.predict('deal', r) FROM (SELECT 3 AS contacts, 40.0 AS budget, 'web' AS source, true AS trial, now() AS opened_at, '{}'::json AS size) r;
SELECT revops.predict('deal', 1);
SELECT revops.predict('deal', ROW(1, 2));
SELECT revops.predict('none', d) FROM deals d LIMIT 1;

-- the same rows in another order are the same model; another seed is not
SELECT revops.train('deal', 'predict', 'SELECT * FROM deals ORDER BY md5(budget::text)');
SELECT count(DISTINCT fingerprint), count(DISTINCT parameters), count(DISTINCT metrics) FROM revops.model_version WHERE model = 'deal';
SELECT revops.train('deal', 'predict', 'SELECT * FROM deals', options => '{"seed": 5, "bins": 4, "strength": 10, "interactions": 0}');
SELECT count(DISTINCT fingerprint), count(DISTINCT parameters) FROM revops.model_version WHERE model = 'deal';

-- versions
SELECT deployed FROM revops.model;
SELECT revops.deploy('deal', 3);
SELECT sum(revops.predict('deal', d)) AS p3 FROM deals d \gset
SELECT revops.rollback('deal');
SELECT sum(revops.predict('deal', d)) <> :p3 AS another FROM deals d;

-- how good it is
SELECT metric, value FROM revops.evaluate('deal', 'SELECT * FROM deals') WHERE metric IN ('examples', 'positives');
SELECT bool_and(CASE metric WHEN 'auc' THEN value BETWEEN 0.8 AND 1 WHEN 'log_loss' THEN value < 0.55 WHEN 'brier' THEN value < 0.2 WHEN 'calibration_error' THEN value < 0.06 END)
  FROM revops.evaluate('deal', 'SELECT * FROM deals') WHERE metric IN ('auc', 'log_loss', 'brier', 'calibration_error');
SELECT sum(value) FILTER (WHERE metric = 'reliability_rows'), sum(value) FILTER (WHERE metric = 'decile_rows'), count(*) FILTER (WHERE metric = 'lift') FROM revops.evaluate('deal', 'SELECT * FROM deals');
SELECT metric, value FROM revops.evaluate('deal', 'SELECT * FROM deals WHERE label') WHERE label IS NULL AND metric IN ('examples', 'base_rate', 'auc');
SELECT metric, value FROM revops.evaluate('deal', 'SELECT * FROM deals WHERE false') WHERE metric IN ('examples', 'auc', 'brier');
SELECT metric, round(difference::numeric, 9) FROM revops.compare_models('deal', 1, 2, 'SELECT * FROM deals') WHERE metric = 'auc';
SELECT * FROM revops.evaluate('deal', 'SELECT contacts FROM deals');
SELECT * FROM revops.evaluate('deal', 'SELECT label, contacts FROM deals');
-- metrics against their definitions
SELECT abs(auc.value - d.auc) < 1e-12 AS auc, abs(brier.value - d.brier) < 1e-12 AS brier, abs(loss.value - d.loss) < 1e-12 AS log_loss
FROM (SELECT avg((p.p > n.p)::int + (p.p = n.p)::int / 2.0)::float8 AS auc FROM (SELECT revops.predict('deal', x) AS p FROM deals x WHERE label) p, (SELECT revops.predict('deal', x) AS p FROM deals x WHERE NOT label) n) a,
     LATERAL (SELECT a.auc, avg((p - label::int) ^ 2) AS brier, -avg(ln(CASE WHEN label THEN p ELSE 1 - p END)) AS loss FROM (SELECT label, revops.predict('deal', x) AS p FROM deals x) y) d,
     revops.evaluate('deal', 'SELECT * FROM deals') auc, revops.evaluate('deal', 'SELECT * FROM deals') brier, revops.evaluate('deal', 'SELECT * FROM deals') loss
WHERE auc.metric = 'auc' AND brier.metric = 'brier' AND loss.metric = 'log_loss';

-- time: the latest rows are held out
SELECT revops.train('timed', 'predict', 'SELECT * FROM deals', options => '{"time": "opened_at"}');
SELECT metrics ->> 'split' AS split, metrics ->> 'held_out' AS held_out, metrics ->> 'inputs' AS inputs FROM revops.model_version WHERE model = 'timed';
-- small groups fall back on the whole: with few rows a group's own rate does not count
SELECT revops.train('grouped', 'predict', $$SELECT d.*, CASE WHEN budget > 97 THEN 'tiny' WHEN trial THEN 'north' ELSE 'south' END AS territory FROM deals d$$, options => '{"group": "territory"}');
SELECT revops.predict('grouped', t) = revops.predict('grouped', n) AS like_the_whole FROM (SELECT d.*, 'tiny' AS territory FROM deals d WHERE budget < 97) t JOIN LATERAL (SELECT t.*) x ON true,
       LATERAL (SELECT t.contacts, t.budget, t.source, t.trial, t.opened_at, t.size, 'new' AS territory) n LIMIT 1;

-- refused, with the reason
SELECT revops.train('few', 'predict', 'SELECT * FROM deals ORDER BY opened_at LIMIT 50');
SELECT revops.train('few', 'predict', 'SELECT * FROM deals WHERE label UNION ALL (SELECT * FROM deals WHERE NOT label LIMIT 19)');
SELECT revops.train('one', 'predict', 'SELECT * FROM deals WHERE NOT label');
SELECT revops.train('none', 'predict', 'SELECT * FROM deals WHERE false');
SELECT revops.train('leak', 'predict', $$SELECT d.*, CASE WHEN label THEN budget END AS invoice, CASE WHEN label THEN 'paid' ELSE 'dropped' END AS state FROM deals d$$);
SET client_min_messages = notice;
SELECT revops.train('leak', 'predict', $$SELECT d.*, CASE WHEN label THEN budget END AS invoice FROM deals d$$, options => '{"leak": "drop"}');
SET client_min_messages = warning;
SELECT (metrics ->> 'inputs')::int AS inputs, (metrics ->> 'auc')::float8 < 0.98 AS honest FROM revops.model_version WHERE model = 'leak';
SELECT revops.train('leak', 'predict', $$SELECT d.*, CASE WHEN label THEN budget END AS invoice FROM deals d$$, options => '{"leak": "allow"}');
SELECT (metrics ->> 'auc')::float8 > 0.98 AS gives_it_away FROM revops.model_version WHERE model = 'leak' AND version = 2;
SET client_min_messages = notice;
SELECT revops.train('noise', 'predict', $$SELECT label, ('x' || left(md5('noise' || id), 7))::bit(28)::int % 100 AS a, ('x' || left(md5('louder' || id), 7))::bit(28)::int % 7 AS b FROM deal$$, options => '{"held_out": 0.4}');
SELECT metrics ->> 'learnt' AS learnt FROM revops.model_version WHERE model = 'noise';
SELECT revops.train('same', 'predict', 'SELECT label, 1 AS one FROM deals');
SELECT revops.train('gaps', 'predict', 'SELECT nullif(label, CASE WHEN contacts = 4 THEN true END) AS label, budget, NULL::text AS nothing FROM deals');
SET client_min_messages = warning;
SELECT revops.train('words', 'predict', $$SELECT CASE WHEN label THEN 'yes' ELSE 'no' END AS label, budget FROM deals$$);
SELECT revops.train('words', 'predict', $$SELECT label::int AS label, budget FROM deals$$);
SELECT revops.train('words', 'predict', $$SELECT CASE WHEN label THEN 'won' ELSE 'lost' END AS label, budget FROM deals$$);
SELECT revops.train('words', 'predict', $$SELECT contacts AS label, budget FROM deals$$);
SELECT revops.train('words', 'predict', 'SELECT label, ARRAY[budget] AS budget FROM deals');
SELECT revops.train('words', 'predict', 'SELECT label, budget, contacts AS budget FROM deals');
SELECT revops.train('words', 'predict', 'SELECT budget FROM deals');
SELECT revops.train('words', 'predict', 'SELECT label FROM deals');
SELECT revops.train('words', 'predict', 'DELETE FROM deal');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"words": 1}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"bins": 1}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"bins": 2.5}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"time": "nowhere"}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"time": "source"}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"group": "budget"}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"exclude": "budget"}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"exclude": ["budgets"]}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '{"leak": "maybe"}');
SELECT revops.train('words', 'predict', 'SELECT * FROM deals', options => '[1]');
SET revops.train_memory = '1MB';
SELECT revops.train('words', 'predict', 'SELECT * FROM deals, generate_series(1, 20)');
RESET revops.train_memory;
SELECT count(*) FROM revops.model_version WHERE model = 'words';

-- one name, one task
SELECT revops.train('deal', 'classify', $$SELECT t AS text, t AS label FROM unnest(ARRAY['a', 'b']) t$$);
SELECT revops.classify('deal', 'text');
SELECT revops.train('topics', 'classify', $$SELECT t AS text, t AS label FROM unnest(ARRAY['a', 'b']) t$$);
SELECT revops.predict('topics', d) FROM deals d LIMIT 1;
SELECT revops.train('topics', 'guess', 'SELECT 1');

-- damaged parameters are an error, whatever the damage
CREATE FUNCTION pg_temp.damage(seed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole bytea := (SELECT parameters FROM revops.model_version WHERE model = 'deal' AND version = 1);
    bad   bytea;
    answers int := 0;
    errors  int := 0;
BEGIN
    PERFORM setseed(seed / 1000.0);
    FOR i IN 1..150 LOOP
        bad := whole;
        IF i % 5 = 0 THEN
            bad := substr(bad, 1, (random() * octet_length(bad))::int);
        ELSE
            FOR k IN 1..1 + (random() * 3)::int LOOP
                bad := set_byte(bad, (random() * (octet_length(bad) - 1))::int, (random() * 255)::int);
            END LOOP;
        END IF;
        UPDATE revops.model_version SET parameters = bad, version_id = gen_random_uuid() WHERE model = 'deal' AND version = 1;
        BEGIN
            PERFORM revops.predict('deal', d) FROM deals d LIMIT 3;
            answers := answers + (bad <> whole)::int;
        EXCEPTION WHEN data_corrupted THEN
            errors := errors + 1;
        END;
    END LOOP;
    UPDATE revops.model_version SET parameters = whole, version_id = gen_random_uuid() WHERE model = 'deal' AND version = 1;
    RETURN CASE WHEN answers = 0 AND errors > 140 THEN 'refused' ELSE format('%s answers, %s errors', answers, errors) END;
END $$;
SELECT revops.deploy('deal', 1);
SELECT pg_temp.damage(7);
SELECT count(revops.predict('deal', d)) FROM deals d;

-- who may
CREATE ROLE revops_test_app IN ROLE revops_app;
GRANT SELECT ON deals TO revops_test_app;
SET ROLE revops_test_app;
SELECT revops.predict('deal', d) BETWEEN 0 AND 1 AS asked FROM deals d LIMIT 1;
SELECT count(*) > 0 AS told FROM revops.explain('deal', (SELECT d FROM deals d LIMIT 1));
SELECT revops.train('app', 'predict', 'SELECT * FROM deals');
RESET ROLE;
DROP OWNED BY revops_test_app;
DROP ROLE revops_test_app;

DELETE FROM revops.model_version;
DELETE FROM revops.model;
DROP VIEW deals;
DROP TABLE deal;
