-- base: roles, types, the clock

-- What is called here is called by name, with the rights of the owner: nobody else may have put anything into the schema, or be able to.
DO $$
DECLARE
    other text;
BEGIN
    SELECT pg_catalog.pg_get_userbyid(n.nspowner) INTO other FROM pg_catalog.pg_namespace n
    WHERE n.nspname = 'revops' AND n.nspowner <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = n.nspowner AND r.rolsuper);
    IF FOUND THEN
        RAISE EXCEPTION 'schema "revops" belongs to role "%"', other
            USING ERRCODE = 'insufficient_privilege', HINT = 'Drop or rename it: CREATE EXTENSION makes the schema that it needs.';
    END IF;
    SELECT x.name INTO other FROM (
        SELECT p.proname AS name, p.proowner AS owner FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'revops'::pg_catalog.regnamespace
        UNION ALL SELECT c.relname, c.relowner FROM pg_catalog.pg_class c WHERE c.relnamespace = 'revops'::pg_catalog.regnamespace
        UNION ALL SELECT t.typname, t.typowner FROM pg_catalog.pg_type t WHERE t.typnamespace = 'revops'::pg_catalog.regnamespace
        UNION ALL SELECT o.oprname, o.oprowner FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'revops'::pg_catalog.regnamespace) x
    WHERE x.owner <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = x.owner AND r.rolsuper) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'schema "revops" has an object "%" of another role', other
            USING ERRCODE = 'insufficient_privilege', HINT = 'Drop or rename the schema: CREATE EXTENSION makes the one that it needs.';
    END IF;
END $$;

DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['revops_admin', 'revops_app', 'revops_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', r);
        END IF;
    END LOOP;
END $$;

CREATE TYPE revops.subject_kind AS ENUM ('person', 'account', 'opportunity', 'rep');
COMMENT ON TYPE revops.subject_kind IS 'What state is kept for';

CREATE FUNCTION revops.now() RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_now';
COMMENT ON FUNCTION revops.now() IS 'The clock that all of pg_revops reads: revops.as_of if it is set, otherwise the start of the statement';
