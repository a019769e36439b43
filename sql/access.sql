-- who sees which customers
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.task, revops.task_plan, revops.escalation, revops.stream_lane;
SET timezone = 'UTC';
SET revops.as_of = '2026-03-02 09:00+00';
CREATE ROLE access_li IN ROLE revops_reader, revops_app;
CREATE ROLE access_wu IN ROLE revops_reader;
CREATE ROLE access_chen IN ROLE revops_reader;
CREATE ROLE access_dong IN ROLE revops_reader;
CREATE ROLE access_boss IN ROLE revops_reader;
CREATE ROLE access_report IN ROLE revops_reader;
CREATE ROLE access_clerk IN ROLE revops_reader, revops_admin;
INSERT INTO revops.territory (territory, name, director) VALUES ('access-north', 'North', 'access-dong'), ('access-south', 'South', NULL);
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('access-n1', 'N1', 'access-north', NULL), ('access-n2', 'N2', 'access-north', 'access-chen'), ('access-s1', 'S1', 'access-south', NULL);
INSERT INTO revops.rep (rep, name, unit, login) VALUES ('access-li', 'Li', 'access-n1', 'access_li'), ('access-wu', 'Wu', 'access-n2', 'access_wu'),
    ('access-chen', 'Chen', 'access-s1', 'access_chen'), ('access-dong', 'Dong', NULL, 'access_dong'), ('access-boss', 'Boss', NULL, 'access_boss'),
    ('access-clerk', 'Clerk', 'access-s1', 'access_clerk'), ('access-su', 'Su', 'access-s1', NULL);
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind) VALUES ('rep', 'access-boss', 'read', 'all');
INSERT INTO revops.account (account, name, owner, territory, industry) VALUES
    ('access-a1', 'A1', 'access-li', 'access-north', 'bank'), ('access-a2', 'A2', 'access-wu', 'access-north', 'bank'), ('access-a3', 'A3', 'access-su', 'access-south', 'retail'),
    ('access-a4', 'A4', NULL, 'access-north', 'retail'), ('access-a5', 'A5', NULL, NULL, 'retail');
INSERT INTO revops.person (person, account, identity) VALUES ('access-p1', 'access-a1', NULL), ('access-p2', 'access-a2', NULL), ('access-p3', 'access-a3', NULL),
    ('access-v2', NULL, 'access-p2'), ('access-v9', NULL, NULL);
INSERT INTO revops.opportunity (opportunity, account, owner, stage) VALUES ('access-o1', 'access-a1', 'access-li', 'demo'), ('access-o3', 'access-a3', 'access-su', 'demo'), ('access-o9', NULL, 'access-wu', 'demo');
SELECT revops.put_signal('access', 'access_intent', 1, '{"kind": "access_view"}');
SELECT revops.put_playbook('access_call', 'Call {{person}}', '[{"title": "Call", "channel": "call", "message": "Hello {{person}}"}, {"title": "Mail", "channel": "email", "message": "Hello"}, {"title": "Visit", "channel": "visit", "message": "Hello"}]') IS NOT NULL AS playbook;
SELECT revops.put_rule('access_rule', '{"per": "person", "when": {"kind": "access_view"}, "count": {"at_least": 3, "within": "1 day"}, "playbook": "access_call"}');
SELECT count(revops.track('access_view', person => p, account => a, object => 'page', occurred_at => revops.now() - n * interval '1 minute')) AS events
FROM (VALUES ('access-p1', NULL), ('access-p2', 'access-a2'), ('access-p3', NULL), ('access-v2', NULL), ('access-v9', NULL), ('access-new', NULL)) AS e (p, a), generate_series(1, 3) n;
SELECT count(revops.track('note', rep => r, side => 'rep')) AS notes FROM (VALUES ('access-li'), ('access-su')) x (r);
SELECT count(revops.track('note', opportunity => o, side => 'rep')) AS notes FROM (VALUES ('access-o1'), ('access-o3'), ('access-o9')) x (o);
SELECT revops.process() > 0 AS processed;

CREATE VIEW access_seen WITH (security_invoker) AS
SELECT string_agg(DISTINCT x.what || ' ' || x.seen, '; ' ORDER BY x.what || ' ' || x.seen) AS seen FROM (
    SELECT 'account' AS what, string_agg(substr(account, 8), ' ' ORDER BY account) AS seen FROM revops.my_account WHERE account LIKE 'access-%'
    UNION ALL SELECT 'person', string_agg(substr(person, 8), ' ' ORDER BY person) FROM revops.my_person WHERE person LIKE 'access-%'
    UNION ALL SELECT 'opportunity', string_agg(substr(opportunity, 8), ' ' ORDER BY opportunity) FROM revops.my_opportunity WHERE opportunity LIKE 'access-%'
    UNION ALL SELECT 'event', string_agg(DISTINCT substr(coalesce(opportunity, person, rep), 8), ' ') FROM revops.my_event WHERE coalesce(opportunity, person, rep) LIKE 'access-%'
    UNION ALL SELECT 'score', string_agg(substr(subject, 8), ' ' ORDER BY subject) FROM revops.intent_score WHERE intent = 'access_intent'
    UNION ALL SELECT 'moment', string_agg(DISTINCT substr(subject, 8), ' ') FROM revops.moment WHERE rule = 'access_rule'
    UNION ALL SELECT 'card', string_agg(DISTINCT substr(person, 8), ' ') FROM revops.task_board WHERE rule = 'access_rule'
    UNION ALL SELECT 'plans of', string_agg(DISTINCT substr(subject, 8), ' ') FROM revops.task_plan WHERE subject LIKE 'access-%'
    UNION ALL SELECT 'hottest', string_agg(substr(subject, 8), ' ' ORDER BY subject) FROM revops.hottest('person', 'access_intent', 100)
    UNION ALL SELECT 'near', string_agg(DISTINCT substr(subject, 8), ' ') FROM revops.moment_progress() WHERE rule = 'access_rule'
    UNION ALL SELECT 'heat', sum(subjects)::text FROM revops.moment_heatmap WHERE object = 'page'
    UNION ALL SELECT 'audited', sum(events)::text FROM revops.touchpoint_audit WHERE channel = 'web') x;
GRANT SELECT ON access_seen TO PUBLIC;
-- (a view over the tables themselves must be security_invoker: else it is its owner who reads them)
SET ROLE access_li;     SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_wu;     SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_chen;   SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_dong;   SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_boss;   SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_report; SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;
SET ROLE access_clerk;  SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen; RESET ROLE;

-- permissions add, end, and deny; deny wins
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, until) VALUES
    ('rep', 'access-wu', 'read', 'account', 'access-a3', 'infinity'), ('unit', 'access-n2', 'write', 'industry', 'bank', 'infinity'),
    ('rep', 'access-wu', 'read', 'account', 'access-a5', '2026-03-01');
SET ROLE access_wu; SELECT account FROM revops.my_account WHERE account LIKE 'access-%' ORDER BY 1; RESET ROLE;
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, deny) VALUES ('rep', 'access-wu', 'read', 'account', 'access-a2', true),
    ('rep', 'access-boss', 'read', 'territory', 'access-south', true);
SET ROLE access_wu; SELECT seen FROM access_seen; RESET ROLE;
SET ROLE access_boss; SELECT seen FROM access_seen; RESET ROLE;

-- ways around
SET ROLE access_li;
CREATE FUNCTION pg_temp.tell(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN IF t ~ '[23]$' THEN RAISE WARNING 'told %', t; END IF; RETURN true; END $$;
SELECT count(*) FROM revops.my_account WHERE pg_temp.tell(account) AND account LIKE 'access-%';
SELECT count(*) FROM revops.task WHERE pg_temp.tell(subject) AND rule = 'access_rule';
SELECT count(*) FROM revops.moment m WHERE 1 / (CASE WHEN subject = 'access-p3' THEN 0 ELSE 1 END) = 1 AND rule = 'access_rule';
COPY (SELECT subject FROM revops.moment WHERE rule = 'access_rule' ORDER BY 1) TO STDOUT;
SELECT * FROM revops.explain_intent('person', 'access-p3', 'access_intent');
SELECT count(*) AS own FROM revops.explain_intent('person', 'access-p1', 'access_intent');
SELECT revops.rep_sees_accounts('access-boss');
SELECT * FROM revops.account;
SELECT * FROM revops.event;
SELECT * FROM revops.permission;
UPDATE revops.rep SET login = 'access_boss' WHERE rep = 'access-li';
SET row_security = off;
SELECT count(*) FROM revops.moment;
RESET row_security;
SET search_path = pg_temp, revops, pg_catalog;
CREATE FUNCTION pg_temp.sees_all() RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT count(*) FROM revops.my_account WHERE account LIKE 'access-%';
RESET search_path;
SELECT * FROM revops.claim_tasks('access-wu');
RESET ROLE;
-- a role that one is a member of shows no more, nor does a function of that role; a role that is another rep's shows what that rep sees
SET SESSION AUTHORIZATION access_li;
SET ROLE revops_reader;
SELECT revops.current_rep(), revops.sees_all(), seen FROM access_seen;
CREATE FUNCTION pg_temp.count_accounts() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT count(*) FROM revops.my_account WHERE account LIKE 'access-%' $$;
SET ROLE revops_app;
SELECT pg_temp.count_accounts() AS accounts;
SELECT * FROM revops.claim_tasks('access-wu');
-- whom one does not see cannot be made one's own customer's visitor, nor the other way round; whom one sees can
SELECT revops.identify('access-p3', 'access-p1');
SELECT revops.identify('access-v2', 'access-p1');
SELECT revops.identify('access-v9', 'access-p3');
BEGIN;
SELECT revops.identify('access-v9', 'access-p1');
ROLLBACK;
-- what others may do is told of those whom one sees
SELECT revops.may('access-li', 'own', 'access-a1') AS own, revops.may('access-su', 'own', 'access-a1') AS of_another, revops.may('access-li', 'own', 'access-a3') AS unseen;
RESET SESSION AUTHORIZATION;
DO $$
DECLARE
    other bigint := (SELECT t.task_id FROM revops.task t WHERE t.person = 'access-p3');
BEGIN
    SET LOCAL SESSION AUTHORIZATION access_li;
    PERFORM revops.respond(other);
    RAISE WARNING 'answered what it cannot see';
EXCEPTION WHEN undefined_object THEN NULL;
END $$;
SELECT format('SELECT revops.respond(%s) IS NOT NULL AS answered', t.task_id) AS own FROM revops.task t WHERE t.person = 'access-p1' \gset
SET ROLE access_li;
:own;
RESET ROLE;
-- an application still loads with COPY
SET ROLE revops_app;
COPY revops.event (kind, person) FROM STDIN;
access_loaded	access-p1
\.
RESET ROLE;

-- every table that tells of customers has a policy, but those that applications load, and those that nobody but administrators reads
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT c.relrowsecurity
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('account', 'person', 'opportunity', 'subject') AND a.attnum > 0)
  AND c.relname NOT IN ('account', 'person', 'opportunity', 'event', 'repair_request', 'attached_row', 'attachment_error')
ORDER BY 1;
-- what was changed is kept, and nobody takes it back
SELECT what, action, changed_by = session_user AS by_us, acting_as, before ->> 'what' AS before, after ->> 'what' AS after
FROM revops.audit_log WHERE what = 'permission' AND coalesce(before, after) ->> 'grantee' = 'access-boss' ORDER BY audit_id;
SET ROLE revops_admin;
UPDATE revops.rep SET active = false WHERE rep = 'access-su';
UPDATE revops.rep SET active = false WHERE rep = 'access-su';
DELETE FROM revops.audit_log;
RESET ROLE;
SELECT what, action, acting_as, before ->> 'active' AS before, after ->> 'active' AS after
FROM revops.audit_log WHERE before ->> 'rep' = 'access-su' ORDER BY audit_id;
DELETE FROM revops.audit_log;
TRUNCATE revops.audit_log;
UPDATE revops.audit_log SET what = '';
DELETE FROM revops.permission WHERE grantee LIKE 'access-%';
DELETE FROM revops.opportunity WHERE opportunity LIKE 'access-%';
DELETE FROM revops.stage_history WHERE opportunity LIKE 'access-%';
DELETE FROM revops.person WHERE person LIKE 'access-%';
DELETE FROM revops.account WHERE account LIKE 'access-%';
DELETE FROM revops.rep WHERE rep LIKE 'access-%';
DELETE FROM revops.unit WHERE unit LIKE 'access-%';
DELETE FROM revops.territory WHERE territory LIKE 'access-%';
DROP VIEW access_seen;
SELECT revops.drop_rule('access_rule'), revops.drop_signal('access');
DROP FUNCTION pg_temp.tell(text), pg_temp.sees_all();
DROP ROLE access_li, access_wu, access_chen, access_dong, access_boss, access_report, access_clerk;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.task, revops.task_plan, revops.escalation, revops.stream_lane;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
