-- What make soak has beyond the sample of the random queries: rules of each kind, texts, a pattern publication, and functions that fail on purpose.
SET client_min_messages = warning;
SELECT count(revops.use_template(template)) FROM (SELECT template FROM revops.rule_template ORDER BY template) t;
-- of a few topics: what a session keeps of earlier publications is to be smaller than what would be growth
SELECT revops.add_intents('{price,budget}');
SELECT revops.publish_intents();
CREATE TABLE soak_text AS SELECT row_number() OVER (ORDER BY md5(body)) - 1 AS n, body, lang FROM revops.intent_example;
CREATE INDEX ON soak_text (n);
CREATE TABLE soak_pair AS SELECT 'task ' || t AS task, 'unit ' || u AS unit, (t * 7919 + u * 104729) % 97 / 97.0 AS benefit FROM generate_series(1, 60) t, generate_series(1, 60) u;
CREATE FUNCTION fails(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION 'it did not fail: %', statement USING ERRCODE = 'assert_failure';
EXCEPTION
    WHEN assert_failure THEN RAISE;
    WHEN OTHERS THEN RETURN SQLERRM;
END $$;
