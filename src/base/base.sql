-- base: roles, types, the clock

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
