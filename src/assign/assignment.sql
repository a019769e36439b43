-- assign: who gets what, to a proven optimum

CREATE FUNCTION revops.optimal_assignment(query text, capacity_query text DEFAULT NULL, maximize bool DEFAULT true, optional bool DEFAULT false, seed int DEFAULT 0,
                                          OUT task text, OUT unit text, OUT benefit float8, OUT reason text, OUT gap float8) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 COST 100000 AS 'MODULE_PATHNAME', 'revops_optimal_assignment';
COMMENT ON FUNCTION revops.optimal_assignment(text, text, bool, bool, int) IS 'Tasks to units at the greatest (or least) total benefit. query gives task, unit, benefit and perhaps load, capacity_query unit and capacity; both run with the caller''s rights. One row for each task; without a unit, the reason. gap is how far from the optimum the whole may be: 0 is proven';

CREATE FUNCTION revops.assignment_report(query text, capacity_query text DEFAULT NULL, maximize bool DEFAULT true, optional bool DEFAULT false, seed int DEFAULT 0,
                                         OUT method text, OUT tasks bigint, OUT units bigint, OUT pairs bigint, OUT assigned bigint, OUT unassigned bigint,
                                         OUT objective float8, OUT bound float8, OUT gap float8, OUT memory bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000 AS 'MODULE_PATHNAME', 'revops_assignment_report';
COMMENT ON FUNCTION revops.assignment_report(text, text, bool, bool, int) IS 'The same assignment in one row: method, sizes, total benefit, the bound that no assignment of these tasks passes, their gap, and the bytes that it took';
