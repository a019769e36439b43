-- assignment: the interface, the reasons and the errors; test/t/070_assignment.pl has the optima
SET client_min_messages = warning;
CREATE TABLE pair (task text, unit text, benefit float8, load float8);
INSERT INTO pair VALUES ('A1', 'east', 9, 2), ('A1', 'west', 8, 3), ('A2', 'east', 9, 2), ('A2', 'west', 1, 3), ('A3', 'east', 5, 1), ('A3', 'west', 4, 1);

-- one to one: the third customer stays out
SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair') ORDER BY task;
SELECT method, tasks, units, pairs, assigned, unassigned, objective, bound, gap, memory > 0 AS counted FROM revops.assignment_report('SELECT task, unit, benefit FROM pair');
SELECT task, unit, benefit FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair', maximize => false) ORDER BY task;

-- capacities; loads; one load for all in a unit is a number of places
SELECT task, unit, benefit FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair', $$VALUES ('east', 2), ('west', 5)$$) ORDER BY task;
SELECT task, unit, benefit FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair', $$SELECT * FROM (VALUES ('east', 2), ('west', 5.9)) v(unit, capacity)$$) ORDER BY task;
SELECT task, unit, benefit, reason, gap FROM revops.optimal_assignment('TABLE pair', $$SELECT * FROM (VALUES ('east', 3), ('west', 3.5)) v(unit, capacity)$$) ORDER BY task;
SELECT method, assigned, objective, gap FROM revops.assignment_report('TABLE pair', $$SELECT * FROM (VALUES ('east', 3), ('west', 3.5)) v(unit, capacity)$$);
SELECT method, assigned, objective, gap FROM revops.assignment_report('SELECT task, unit, benefit, 0.1 AS load FROM pair', $$SELECT unit, 0.3 AS capacity FROM pair GROUP BY 1$$);

-- what cannot be, and why
SELECT task, unit, reason FROM revops.optimal_assignment($$SELECT task, unit, benefit FROM pair UNION ALL VALUES ('B1', NULL, NULL), ('B2', 'north', 1), ('B3', 'south', 2)$$,
    $$SELECT * FROM (VALUES ('east', 1), ('west', 1), ('north', 0), ('south', 1), ('nobody', 7)) v(unit, capacity)$$) ORDER BY task;
SELECT task, unit, reason FROM revops.optimal_assignment($$SELECT task, unit, benefit, load FROM pair UNION ALL VALUES ('B1', 'east', 1, 99)$$,
    $$SELECT unit, 3 AS capacity FROM pair GROUP BY 1$$) ORDER BY task;
SELECT task, unit, reason FROM revops.optimal_assignment('SELECT task, unit, benefit - 4.5 AS benefit FROM pair', optional => true) ORDER BY task;

-- keys of any type; all candidates of a task in one row; the same either way
SELECT task, unit, benefit FROM revops.optimal_assignment('SELECT 1::bigint AS task, 2::smallint AS unit, 3::numeric AS benefit');
SELECT task, unit, benefit FROM revops.optimal_assignment($$SELECT '2026-01-01'::date AS task, '00000000-0000-0000-0000-000000000001'::uuid AS unit, 3::real AS benefit$$);
SELECT count(*) FROM (
  SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair') EXCEPT
  SELECT * FROM revops.optimal_assignment('SELECT task, array_agg(unit ORDER BY unit) AS unit, array_agg(benefit ORDER BY unit) AS benefit FROM pair GROUP BY task')) x;

-- ties: the same for one seed, not by the order of ids, and not always the same with other seeds
CREATE TABLE tie AS SELECT t AS task, u AS unit, 1 AS benefit FROM generate_series(1, 12) t, generate_series(1, 12) u;
SELECT count(DISTINCT unit) > 3 AS varied, bool_and(same) AS repeated
FROM (SELECT a.unit, a.unit = b.unit AS same FROM generate_series(1, 30) s, revops.optimal_assignment('TABLE tie', seed => s) a, revops.optimal_assignment('SELECT * FROM tie ORDER BY unit DESC', seed => s) b
      WHERE a.task = '1' AND b.task = '1') x;
SELECT bool_and(task = unit) AS by_id FROM revops.optimal_assignment('TABLE tie');

-- nothing to do
SELECT * FROM revops.optimal_assignment('SELECT * FROM pair WHERE false', 'SELECT unit, 1 AS capacity FROM pair GROUP BY 1');
SELECT method, tasks, units, assigned, objective, gap FROM revops.assignment_report('SELECT task, unit, benefit FROM pair WHERE false');

-- errors
SELECT * FROM revops.optimal_assignment(NULL);
SELECT * FROM revops.optimal_assignment('TABLE pair', maximize => NULL);
SELECT * FROM revops.optimal_assignment('');
SELECT * FROM revops.optimal_assignment('SELEC');
SELECT * FROM revops.optimal_assignment('DELETE FROM pair RETURNING *');
SELECT * FROM revops.optimal_assignment('DELETE FROM pair');
SELECT * FROM revops.optimal_assignment('SELECT 1 AS task, 1 AS unit, 1 AS benefit; SELECT 1 AS task, 1 AS unit, 1 AS benefit');
SELECT * FROM revops.optimal_assignment('SELECT task, unit FROM pair');
SELECT * FROM revops.optimal_assignment('SELECT task, unit, task AS benefit FROM pair');
SELECT * FROM revops.optimal_assignment('SELECT NULL AS task, 1 AS unit, 1 AS benefit');
SELECT * FROM revops.optimal_assignment('SELECT 1 AS task, 1 AS unit, NULL::int AS benefit');
SELECT * FROM revops.optimal_assignment($$SELECT 'A1' AS task, 'east' AS unit, 'NaN'::float8 AS benefit$$);
SELECT * FROM revops.optimal_assignment($$SELECT 'A1' AS task, 'east' AS unit, '-infinity'::float8 AS benefit$$);
SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit FROM pair UNION ALL SELECT task, unit, 0 FROM pair WHERE benefit = 1');
SELECT * FROM revops.optimal_assignment($$SELECT task, unit, benefit FROM pair UNION ALL VALUES ('A2', 'west', 0)$$, 'SELECT unit, 1 AS capacity FROM pair GROUP BY 1');
SELECT * FROM revops.optimal_assignment('TABLE pair');
SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit, -load AS load FROM pair', 'SELECT unit, 1 AS capacity FROM pair GROUP BY 1');
SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit, NULL::int AS load FROM pair', 'SELECT unit, 1 AS capacity FROM pair GROUP BY 1');
SELECT * FROM revops.optimal_assignment('TABLE pair', $$SELECT 'east' AS unit, 1 AS capacity$$);
SELECT * FROM revops.optimal_assignment('TABLE pair', $$SELECT 'east' AS unit, 1 AS capacity FROM generate_series(1, 2)$$);
SELECT * FROM revops.optimal_assignment('TABLE pair', $$SELECT 'west' AS unit, -1 AS capacity$$);
SELECT * FROM revops.optimal_assignment('TABLE pair', $$SELECT 'west' AS unit, 'NaN'::numeric AS capacity$$);
SELECT * FROM revops.optimal_assignment('TABLE pair', 'SELECT unit, NULL::int AS capacity FROM pair GROUP BY 1');
SELECT * FROM revops.optimal_assignment('TABLE pair', 'SELECT NULL::text AS unit, 1 AS capacity');
SELECT * FROM revops.optimal_assignment('TABLE pair', 'SELECT 1 AS unit, 1 AS capacity');
SELECT * FROM revops.optimal_assignment('SELECT task, array_agg(unit) AS unit, 1 AS benefit FROM pair GROUP BY 1');
SELECT * FROM revops.optimal_assignment($$SELECT 1 AS task, '{a,b}'::text[] AS unit, '{1}'::int[] AS benefit$$);
SELECT * FROM revops.optimal_assignment($$SELECT 1 AS task, '{a,b}'::text[] AS unit, '{1,NULL}'::int[] AS benefit$$);
SELECT count(*) FROM pair;
SET revops.solver_memory = '4MB';
SELECT * FROM revops.optimal_assignment('SELECT t AS task, t AS unit, 1 AS benefit FROM generate_series(1, 200000) t');
RESET revops.solver_memory;

-- with the caller's rights, and only for those who may
CREATE ROLE revops_test_assign IN ROLE revops_admin;
SET ROLE revops_test_assign;
SELECT * FROM revops.optimal_assignment('SELECT task, unit, benefit FROM public.pair');
RESET ROLE;
DROP ROLE revops_test_assign;
DROP TABLE pair, tie;
