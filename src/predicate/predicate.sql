-- predicate: what the tables of compiled configuration (signals, rules) share

CREATE FUNCTION revops.config_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'revops_config_changed';
COMMENT ON FUNCTION revops.config_changed() IS 'Trigger: makes every session and worker read the changed configuration table anew';
