-- access: what was changed, by whom. Written by triggers; nothing takes a line out of it again.

CREATE TABLE revops.audit_log (
    audit_id    uuid PRIMARY KEY DEFAULT revops.uuid_v7(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by  text NOT NULL DEFAULT current_user,
    acting_as   text,
    what        text NOT NULL,
    action      text NOT NULL CONSTRAINT audit_log_action_check CHECK (action IN ('insert', 'update', 'delete', 'truncate')),
    before      jsonb,
    after       jsonb
);
CREATE INDEX audit_log_changed_at ON revops.audit_log USING brin (changed_at);
COMMENT ON TABLE revops.audit_log IS 'Every change of configuration, permission, assignment and calibration, with what was there before and after. It only grows; restoring a dump adds the rows that it writes';
COMMENT ON COLUMN revops.audit_log.changed_at IS 'When, by the server''s clock';
COMMENT ON COLUMN revops.audit_log.changed_by IS 'The role that logged in';
COMMENT ON COLUMN revops.audit_log.acting_as IS 'The role it had taken, where it is another';
COMMENT ON COLUMN revops.audit_log.what IS 'The table, without its schema';
COMMENT ON COLUMN revops.audit_log.before IS 'The row before; of large compiled or trained forms the size only';
COMMENT ON COLUMN revops.audit_log.after IS 'The row after';
SELECT pg_catalog.pg_extension_config_dump('revops.audit_log', '');

CREATE FUNCTION revops.audit_image(r jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT jsonb_object_agg(f.key, CASE WHEN length(f.value::text) > 100000 THEN to_jsonb(format('%s bytes', octet_length(f.value::text))) ELSE f.value END)
    FROM jsonb_each($1) f
$$;
COMMENT ON FUNCTION revops.audit_image(jsonb) IS 'A row as the audit log keeps it: values of over 100,000 characters by their size';

CREATE FUNCTION revops.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    former jsonb;
    latter jsonb;
    changed boolean;
    gone   jsonb := '{}';
    come   jsonb := '{}';
    role   CONSTANT text := nullif(current_setting('role'), 'none');
BEGIN
    -- what is trained or compiled only by its size: as jsonb it would be there many times over, and might be larger than a jsonb can be
    IF TG_LEVEL = 'ROW' AND TG_TABLE_NAME IN ('model_version', 'stage_model') THEN
        IF TG_OP <> 'INSERT' AND octet_length(OLD.parameters) > 50000 THEN
            gone := jsonb_build_object('parameters', format('%s bytes', octet_length(OLD.parameters)));
            OLD.parameters := '';
        END IF;
        IF TG_OP <> 'DELETE' AND octet_length(NEW.parameters) > 50000 THEN
            come := jsonb_build_object('parameters', format('%s bytes', octet_length(NEW.parameters)));
            NEW.parameters := '';
        END IF;
    ELSIF TG_LEVEL = 'ROW' AND TG_TABLE_NAME = 'intent_publication' THEN
        IF TG_OP <> 'INSERT' AND octet_length(OLD.compiled) > 50000 THEN
            gone := jsonb_build_object('compiled', format('%s bytes', octet_length(OLD.compiled)));
            OLD.compiled := '';
        END IF;
        IF TG_OP <> 'DELETE' AND octet_length(NEW.compiled) > 50000 THEN
            come := jsonb_build_object('compiled', format('%s bytes', octet_length(NEW.compiled)));
            NEW.compiled := '';
        END IF;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        former := to_jsonb(OLD) || gone;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') AND TG_LEVEL = 'ROW' THEN
        latter := to_jsonb(NEW) || come;
    END IF;
    changed := former IS DISTINCT FROM latter;
    former := revops.audit_image(former);
    latter := revops.audit_image(latter);
    IF TG_LEVEL = 'STATEMENT' AND TG_OP = 'INSERT' THEN
        INSERT INTO revops.audit_log (changed_by, acting_as, what, action, after)
        SELECT session_user, nullif(role, session_user), TG_TABLE_NAME, 'insert', CASE WHEN length(i.after::text) > 100000 THEN revops.audit_image(i.after) ELSE i.after END
        FROM (SELECT to_jsonb(n) AS after FROM fresh n OFFSET 0) i;
    ELSIF changed OR TG_OP = 'TRUNCATE' THEN
        INSERT INTO revops.audit_log (changed_by, acting_as, what, action, before, after)
        VALUES (session_user, nullif(role, session_user), TG_TABLE_NAME, lower(TG_OP), former, latter);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.audit() IS 'Trigger of what is audited: writes revops.audit_log';

CREATE FUNCTION revops.audit_log_keep() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'revops.audit_log only grows' USING ERRCODE = 'insufficient_privilege',
        HINT = 'To keep it small, copy old rows elsewhere, and have a superuser disable its trigger for the deletion.';
END $$;
COMMENT ON FUNCTION revops.audit_log_keep() IS 'Trigger of revops.audit_log: refuses changes';
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON revops.audit_log FOR EACH STATEMENT EXECUTE FUNCTION revops.audit_log_keep();
