-- roles: what each may do. PUBLIC may do nothing, nor may whom default privileges of the owner let in.

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END AS who, g.what
        FROM (SELECT DISTINCT x.grantee, o.what
              FROM (SELECT p.proacl AS acl, p.proowner AS owner, 'FUNCTIONS' AS what FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'revops'::pg_catalog.regnamespace
                    UNION ALL
                    SELECT c.relacl, c.relowner, CASE c.relkind WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END FROM pg_catalog.pg_class c WHERE c.relnamespace = 'revops'::pg_catalog.regnamespace) o,
                   pg_catalog.aclexplode(o.acl) x
              WHERE x.grantee <> o.owner) g
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON ALL %s IN SCHEMA revops FROM %s', r.what, r.who);
    END LOOP;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA revops FROM PUBLIC;
GRANT USAGE ON SCHEMA revops TO revops_admin, revops_app, revops_reader;
GRANT USAGE ON TYPE revops.subject_kind TO revops_admin, revops_app, revops_reader;

-- revops_admin: configures and operates
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA revops TO revops_admin;
-- but triggers': on a table of one's own, with types of one's own, they would run one's own code as their owner
DO $$
DECLARE
    f text;
BEGIN
    FOR f IN SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = 'revops'::pg_catalog.regnamespace AND p.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM revops_admin', f);
    END LOOP;
    -- this takes a table's triggers away without a line in the audit log: for detach() alone
    REVOKE EXECUTE ON FUNCTION revops.strip_attachment(int, text, regclass) FROM revops_admin;
END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA revops TO revops_admin;
GRANT INSERT, UPDATE, DELETE ON revops.territory, revops.unit, revops.rep, revops.account, revops.person, revops.opportunity, revops.duty, revops.competitor, revops.answer_pack
    TO revops_admin;

GRANT INSERT, UPDATE, DELETE ON revops.skill, revops.rep_skill, revops.absence, revops.account_need, revops.permission TO revops_admin;
GRANT DELETE ON revops.rejected_event, revops.failed_event, revops.calendar, revops.playbook TO revops_admin;

-- what a view calls is called as whoever reads the view
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT p.oid::pg_catalog.regprocedure AS f, p.proname IN ('track', 'track_batch', 'identify', 'uuid_v7', 'claim_tasks', 'respond', 'complete', 'accept_suggestion', 'refuse_suggestion') AS writes
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'revops'::pg_catalog.regnamespace
          AND (p.prokind = 'a' OR p.proname IN ('track', 'track_batch', 'identify', 'uuid_v7', 'claim_tasks', 'respond', 'complete',
                            'now', 'decayed', 'hottest', 'explain_intent', 'subject_lane', 'stream_epoch', 'worker_stats',
                            'add_business_time', 'business_time_between', 'business_time_add', 'business_time_span',
                            'local_time', 'moment_progress', 'setting_list', 'board_since', 'next_escalation_at', 'detect_intents', 'intents_of', 'patterns_show', 'lane_backlog', 'current_rep', 'sees_all', 'seen', 'sees', 'caller_sees', 'caller_bound', 'is_stranger', 'classify', 'best_label', 'sentiment_score', 'predict', 'explain', 'loaded_models', 'sentiment', 'extract_fields', 'accept_suggestion', 'refuse_suggestion', 'render_message', 'health', 'infer_stages', 'likeliest_stages', 'is_present', 'may', 'substitute_units'))
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO revops_app%s', r.f, CASE WHEN r.writes THEN '' ELSE ', revops_reader' END);
    END LOOP;
    FOR r IN
        SELECT c.oid::pg_catalog.regclass AS v FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'revops'::pg_catalog.regnamespace AND c.relkind = 'v'
    LOOP
        EXECUTE pg_catalog.format('GRANT SELECT ON %s TO revops_app, revops_reader', r.v);
    END LOOP;
END $$;

-- revops_app: writes events, works on cards
GRANT INSERT (event_id, occurred_at, received_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
    ON revops.event TO revops_app;
GRANT SELECT ON revops.model, revops.model_version, revops.moment, revops.task, revops.task_plan, revops.calendar,
    revops.rule_template, revops.intent_pack, revops.intent_publication, revops.intent, revops.intent_state, revops.competitor,
    revops.field_suggestion, revops.answer_pack, revops.pipeline, revops.pipeline_stage, revops.pipeline_move,
    revops.stage_model, revops.calibration, revops.calibration_refusal TO revops_app, revops_reader;
