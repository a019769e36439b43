-- who may do what
CREATE ROLE revops_test_app IN ROLE revops_app;
CREATE ROLE revops_test_reader IN ROLE revops_reader;
CREATE ROLE revops_test_nobody;

-- PUBLIC may execute nothing
SELECT count(*) FROM pg_proc p WHERE pronamespace = 'revops'::regnamespace
   AND has_function_privilege('revops_test_nobody', p.oid, 'EXECUTE');
-- every SECURITY DEFINER function pins its search_path, and every function, view and table has a comment
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'revops'::regnamespace AND prosecdef
   AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=pg_catalog, pg_temp%') ORDER BY 1;
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'revops'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'revops'::regnamespace AND relkind IN ('r', 'v', 'p') AND NOT relispartition
   AND obj_description(oid, 'pg_class') IS NULL ORDER BY 1;
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, 2;
-- every table of data is dumped; the templates and the starter pack are the extension's own
SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'revops'::regnamespace AND relkind = 'r' AND c.relname NOT LIKE 'event\_2%' AND c.relname NOT IN ('rule_template', 'intent_pack')
   AND NOT EXISTS (SELECT FROM pg_extension e WHERE extname = 'pg_revops' AND c.oid = ANY (extconfig)) ORDER BY 1;

SET ROLE revops_test_nobody;
SELECT revops.now();
SELECT * FROM revops.intent_score;
RESET ROLE;

SET ROLE revops_test_app;
SELECT revops.track('view', person => 'grants-1') IS NOT NULL AS tracked;
INSERT INTO revops.event (kind, person) VALUES ('view', 'grants-1');
INSERT INTO revops.event (kind, person, txid) VALUES ('view', 'grants-1', '3');
SELECT count(*) FROM revops.event;
SELECT revops.process();
SELECT revops.put_signal('x', 'x', 1);
SELECT count(*) >= 0 AS readable FROM revops.intent_score;
RESET ROLE;

SET ROLE revops_test_reader;
SELECT revops.track('view');
SELECT count(*) >= 0 AS readable FROM revops.intent_score;
SELECT count(*) >= 0 AS readable FROM revops.moment_board;
SELECT count(*) >= 0 AS readable FROM revops.top_moments;
SELECT count(*) >= 0 AS readable FROM revops.silent_high_intent;
SELECT count(*) >= 0 AS readable FROM revops.moment_heatmap;
SELECT count(*) >= 0 AS readable FROM revops.touchpoint_audit;
SELECT count(*) >= 0 AS readable FROM revops.task_board;
SELECT count(*) >= 0 AS readable FROM revops.stream_status;
DELETE FROM revops.moment;
RESET ROLE;

-- nothing of a user's stands in for ours
CREATE SCHEMA trap;
CREATE FUNCTION trap.greatest(float8, float8) RETURNS float8 LANGUAGE sql AS 'SELECT 1 / 0';
CREATE TABLE trap.event (i int);
SET search_path = trap, pg_catalog;
SELECT revops.process() >= 0 AS done;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
DROP ROLE revops_test_app, revops_test_reader, revops_test_nobody;
