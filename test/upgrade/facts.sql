-- What a database with pg_revops holds and shows, as lines that two servers of different versions can be compared by; revops.as_of is set.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;
SET timezone = 'UTC';
SET search_path = pg_catalog;
SET max_parallel_workers_per_gather = 0;
-- every table, of the extension and of the company, and every view, whose sums may be added up in any order. stream_status is of the
-- server; restoring adds to audit_log.
SELECT format('SELECT %L, count(*), md5(string_agg(r::text, E''\n'' ORDER BY r::text COLLATE "C")) FROM (SELECT %s FROM %s) r', CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.oid::regclass,
              (SELECT string_agg(CASE WHEN c.relkind = 'v' AND a.atttypid = 'float8'::regtype THEN format('round(%I::numeric, 9)', a.attname) ELSE quote_ident(a.attname) END, ', ' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), c.oid::regclass)
FROM pg_class c WHERE c.relnamespace::regnamespace::text IN ('revops', 'public', 'crm', 'cron') AND c.relkind IN ('r', 'v')
  AND c.oid::regclass::text NOT IN ('revops.stream_status', 'revops.model_status', 'revops.audit_log', 'cron.job_run_details') ORDER BY c.oid::regclass::text COLLATE "C" \gexec
SELECT 'audit lines that were there before and are not', count(*) FROM (SELECT * FROM public.audit_before EXCEPT SELECT * FROM revops.audit_log) x;
SELECT 'backlog', lane, backlog, events FROM revops.stream_status ORDER BY lane;
SELECT format('SELECT %L, last_value, is_called FROM %s', 'sequence ' || c.oid::regclass, c.oid::regclass) FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace::regnamespace::text IN ('revops', 'crm') ORDER BY c.oid::regclass::text COLLATE "C" \gexec
-- settings, as each of these finds them
SELECT revops.now() IS NULL;
SELECT 'setting', name, setting FROM pg_settings WHERE name LIKE 'revops.%' AND name NOT IN ('revops.worker', 'revops.naptime') ORDER BY name COLLATE "C";
SELECT 'settings of', coalesce(d.datname, '-'), coalesce(r.rolname, '-'), s.setconfig FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole ORDER BY 2, 3;
SELECT 'member', r.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member WHERE r.rolname LIKE 'revops%' ORDER BY 2, 3;
SELECT 'policies', count(*), md5(string_agg(format('%s %s %s %s', p.polrelid::regclass, p.polname, pg_get_expr(p.polqual, p.polrelid), p.polroles::regrole[]), ';' ORDER BY p.polrelid::regclass::text COLLATE "C", p.polname)) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid AND c.relnamespace = 'revops'::regnamespace;
SELECT 'partitions', partition, since, until FROM revops.event_partitions() ORDER BY since;
-- models, patterns, stages at work
SELECT 'classify', b, label, round(probability::numeric, 6) FROM unnest(ARRAY['the gateway costs too much money', '数据加密吗', 'rain on the pump']) b CROSS JOIN LATERAL revops.classify('topics', b) ORDER BY 2, 4, 3;
SELECT 'predict', contacts, source, round(revops.predict('deal', x)::numeric, 9) FROM (SELECT DISTINCT contacts, 7.5 AS budget, source FROM public.crm_past) x ORDER BY 2, 3;
SELECT 'explain', e.* FROM revops.explain('deal', (SELECT x FROM (SELECT 3 AS contacts, 90.0 AS budget, 'source 1' AS source) x)) e ORDER BY 2;
SELECT 'intents of', b, d.* FROM unnest(ARRAY['这个太贵了', '不太贵', 'The licence costs us rather much', 'We are under GDPR, is it encrypted?', '能给个折扣吗？', 'so our records must be encrypted']) b CROSS JOIN LATERAL revops.detect_intents(b, side => 'customer') d ORDER BY 2, 3;
SELECT 'stages', n, stage, round(probability::numeric, 9) FROM revops.infer_stages('sales', '{page_view,download,call,message}', '{2026-01-01,2026-01-03,2026-01-09,2026-01-20}') ORDER BY 2, 3;
SELECT 'win', opportunity, round(probability::numeric, 9) FROM revops.win_probability ORDER BY 2;
SELECT 'why', x.signal, round(x.points::numeric, 6) FROM revops.explain_intent('account', 'A003', 'price') x ORDER BY 2, 3;
-- whom each rep sees
SET ROLE rep_li; SELECT 'rep_li sees', (SELECT count(*) FROM revops.my_account), (SELECT count(*) FROM revops.my_person), (SELECT count(*) FROM revops.my_event), (SELECT count(*) FROM revops.task_board), (SELECT md5(string_agg(b::text, ';' ORDER BY b::text COLLATE "C")) FROM revops.moment_board b); RESET ROLE;
SET ROLE rep_zhou; SELECT 'rep_zhou sees', (SELECT count(*) FROM revops.my_account), (SELECT count(*) FROM revops.my_person), (SELECT count(*) FROM revops.my_event), (SELECT count(*) FROM revops.task_board), (SELECT md5(string_agg(b::text, ';' ORDER BY b::text COLLATE "C")) FROM revops.moment_board b); RESET ROLE;
SET ROLE rep_sam; SELECT 'rep_sam sees', (SELECT count(*) FROM revops.my_account), (SELECT count(*) FROM revops.my_person), (SELECT count(*) FROM revops.my_event), (SELECT count(*) FROM revops.task_board), (SELECT md5(string_agg(b::text, ';' ORDER BY b::text COLLATE "C")) FROM revops.moment_board b); RESET ROLE;
SET ROLE bi; SELECT 'bi sees', has_table_privilege('revops.moment_board', 'SELECT'), has_table_privilege('revops.audit_log', 'SELECT'), has_table_privilege('revops.rule', 'SELECT'), has_function_privilege('revops.process(bigint)', 'EXECUTE'); RESET ROLE;
