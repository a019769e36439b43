-- Row security of the tables behind the views. The views belong to a role that the policies bind; a policy asks who reads, not whose view it is.
-- Writing is for the owner's functions alone, which no policy binds.

DO $$
DECLARE
    r record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'revops_view') THEN
        CREATE ROLE revops_view NOLOGIN;
    END IF;
    FOR r IN
        SELECT * FROM (VALUES
            -- table, and where it names its account, opportunity, person and rep
            ('moment', 'coalesce(account, CASE subject_kind WHEN ''account'' THEN subject END)', 'coalesce(opportunity, CASE subject_kind WHEN ''opportunity'' THEN subject END)',
                       'coalesce(person, CASE subject_kind WHEN ''person'' THEN subject END)', 'CASE subject_kind WHEN ''rep'' THEN subject END'),
            ('task', 'coalesce(account, CASE subject_kind WHEN ''account'' THEN subject END)', 'coalesce(opportunity, CASE subject_kind WHEN ''opportunity'' THEN subject END)',
                     'coalesce(person, CASE subject_kind WHEN ''person'' THEN subject END)', 'CASE subject_kind WHEN ''rep'' THEN subject END'),
            ('event_intent', 'account', 'opportunity', 'person', 'rep'),
            ('failed_event', 'account', 'NULL', 'person', 'NULL'),
            ('stage_history', 'NULL', 'opportunity', 'NULL', 'NULL'),
            ('stage_state', 'NULL', 'opportunity', 'NULL', 'NULL'), ('stage_confirmation', 'NULL', 'opportunity', 'NULL', 'NULL'),
            ('stage_request', 'NULL', 'opportunity', 'NULL', 'NULL'), ('calibration', 'NULL', 'opportunity', 'NULL', 'NULL'),
            ('calibration_refusal', 'NULL', 'opportunity', 'NULL', 'NULL'), ('win_history', 'NULL', 'opportunity', 'NULL', 'NULL'),
            ('field_suggestion', 'NULL', 'opportunity', 'NULL', 'NULL'),
            ('account_need', 'account', 'NULL', 'NULL', 'NULL'), ('account_profile', 'account', 'NULL', 'NULL', 'NULL'),
            ('service', 'account', 'NULL', 'NULL', 'NULL'), ('service_week', 'account', 'NULL', 'NULL', 'NULL'),
            ('proposal_row', 'account', 'NULL', 'NULL', 'NULL'), ('proposal_pair', 'account', 'NULL', 'NULL', 'NULL'), ('proposal_change', 'CASE kind WHEN ''account'' THEN subject END', 'CASE kind WHEN ''opportunity'' THEN subject END', 'NULL', 'NULL'),
            ('substitution_item', 'CASE kind WHEN ''account'' THEN subject END', 'CASE kind WHEN ''opportunity'' THEN subject END', 'NULL', 'NULL'),
            ('intent_state', NULL, NULL, NULL, NULL), ('moment_state', NULL, NULL, NULL, NULL), ('late_event', NULL, NULL, NULL, NULL)
        ) AS t (name, account, opportunity, person, rep)
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE revops.%I ENABLE ROW LEVEL SECURITY', r.name);
        EXECUTE pg_catalog.format(
            $policy$CREATE POLICY seen ON revops.%I USING ((SELECT revops.sees_all()) OR
                CASE WHEN %2$s IS NOT NULL THEN %2$s IN (SELECT revops.seen('account'))
                     WHEN %3$s IS NOT NULL THEN %3$s IN (SELECT revops.seen('opportunity'))
                     WHEN %4$s IS NOT NULL THEN %4$s IN (SELECT revops.seen('person')) OR revops.is_stranger(%4$s)
                     ELSE %5$s IN (SELECT revops.seen('rep')) END)$policy$, r.name,
            -- a table of one subject a row
            coalesce(r.account, 'CASE subject_kind WHEN ''account'' THEN subject END'), coalesce(r.opportunity, 'CASE subject_kind WHEN ''opportunity'' THEN subject END'),
            coalesce(r.person, 'CASE subject_kind WHEN ''person'' THEN subject END'), coalesce(r.rep, 'CASE subject_kind WHEN ''rep'' THEN subject END'));
    END LOOP;
    -- what belongs to a card is seen with it
    FOR r IN SELECT x.name FROM (VALUES ('task_plan'), ('escalation')) AS x (name) LOOP
        EXECUTE pg_catalog.format('ALTER TABLE revops.%I ENABLE ROW LEVEL SECURITY', r.name);
        EXECUTE pg_catalog.format('CREATE POLICY seen ON revops.%1$I USING ((SELECT revops.sees_all()) OR EXISTS (
            SELECT FROM revops.task t WHERE t.subject = %1$I.subject AND t.task_id = %1$I.task_id))', r.name);
    END LOOP;
    GRANT USAGE ON SCHEMA revops TO revops_view;
    GRANT SELECT ON ALL TABLES IN SCHEMA revops TO revops_view;
    FOR r IN
        SELECT c.oid::pg_catalog.regclass AS v FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'revops'::pg_catalog.regnamespace AND c.relkind = 'v'
    LOOP
        EXECUTE pg_catalog.format('ALTER VIEW %s OWNER TO revops_view', r.v);
    END LOOP;
END $$;

-- what is audited: configuration, people, permissions, assignments and calibrations; not what customers do
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['signal', 'intent', 'intent_publication', 'moment_rule', 'playbook', 'playbook_level', 'playbook_plan', 'calendar', 'model', 'model_version',
                             'territory', 'unit', 'rep', 'duty', 'permission', 'absence', 'skill', 'rep_skill', 'competitor', 'answer_pack', 'pipeline', 'pipeline_stage',
                             'pipeline_move', 'stage_model', 'calibration', 'proposal', 'proposal_change', 'substitution', 'account_need'] LOOP
        -- what is trained or compiled comes row by row: a table of new rows would hold it whole
        IF t IN ('model_version', 'stage_model', 'intent_publication') THEN
            EXECUTE pg_catalog.format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON revops.%I FOR EACH ROW EXECUTE FUNCTION revops.audit()', t);
            EXECUTE pg_catalog.format('CREATE TRIGGER audit_truncate AFTER TRUNCATE ON revops.%I FOR EACH STATEMENT EXECUTE FUNCTION revops.audit()', t);
            CONTINUE;
        END IF;
        EXECUTE pg_catalog.format('CREATE TRIGGER audit AFTER UPDATE OR DELETE ON revops.%I FOR EACH ROW EXECUTE FUNCTION revops.audit()', t);
        EXECUTE pg_catalog.format('CREATE TRIGGER audit_insert AFTER INSERT ON revops.%I REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION revops.audit()', t);
        EXECUTE pg_catalog.format('CREATE TRIGGER audit_truncate AFTER TRUNCATE ON revops.%I FOR EACH STATEMENT EXECUTE FUNCTION revops.audit()', t);
    END LOOP;
    -- whose customers and deals they are
    CREATE TRIGGER audit AFTER UPDATE OF owner ON revops.account FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION revops.audit();
    CREATE TRIGGER audit AFTER UPDATE OF owner ON revops.opportunity FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION revops.audit();
    -- its row also counts what was applied; and this one notes when it was tried
    CREATE TRIGGER audit AFTER INSERT OR DELETE ON revops.attached FOR EACH ROW EXECUTE FUNCTION revops.audit();
    CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF query, label, options, every, scheduled_by ON revops.model_schedule FOR EACH ROW EXECUTE FUNCTION revops.audit();
END $$;
