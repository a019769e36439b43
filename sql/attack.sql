-- ways around what one may see, and names that try to be SQL
SET client_min_messages = warning;
DROP DATABASE IF EXISTS revops_attack;
CREATE DATABASE revops_attack;
\c revops_attack
SET client_min_messages = warning;
CREATE EXTENSION pg_revops;
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET revops.as_of = '2026-03-02 09:00+00';
CREATE ROLE attack_rep LOGIN IN ROLE revops_reader, revops_app;
CREATE ROLE attack_other LOGIN IN ROLE revops_reader;
CREATE ROLE attack_admin LOGIN IN ROLE revops_admin;
-- a schema of the attacker's, in which anything may be made
CREATE SCHEMA attack AUTHORIZATION attack_rep;
GRANT USAGE ON SCHEMA attack TO PUBLIC;
-- where somebody tells what was done with rights that are not the attacker's
CREATE TABLE attack_won (who text, how text);
GRANT INSERT ON attack_won TO PUBLIC;
-- and how often, which no rollback undoes
CREATE SEQUENCE attack_wins;
GRANT ALL ON SEQUENCE attack_wins TO PUBLIC;

-- customers of two reps; whatever is the other's says so
INSERT INTO revops.unit (unit, name) VALUES ('attack-u1', 'U1'), ('attack-u2', 'U2');
INSERT INTO revops.rep (rep, name, unit, login) VALUES ('attack-li', 'Li', 'attack-u1', 'attack_rep'), ('attack-secret-wu', 'Wu', 'attack-u2', 'attack_other');
INSERT INTO revops.account (account, name, owner, industry) VALUES ('attack-a1', 'A1', 'attack-li', 'bank'), ('attack-secret-a2', 'attack-secret', 'attack-secret-wu', 'bank');
INSERT INTO revops.person (person, account, name) VALUES ('attack-p1', 'attack-a1', 'P1'), ('attack-secret-p2', 'attack-secret-a2', 'attack-secret');
SELECT revops.put_pipeline('attack', '{"stages": [{"stage": "contact", "symbols": ["attack_call"]}, {"stage": "demo", "symbols": ["attack_demo"]}, {"stage": "won", "kind": "won"}]}');
INSERT INTO revops.opportunity (opportunity, account, owner, name, pipeline, stage, amount) VALUES ('attack-o1', 'attack-a1', 'attack-li', 'O1', 'attack', 'contact', 1),
    ('attack-secret-o2', 'attack-secret-a2', 'attack-secret-wu', 'attack-secret', 'attack', 'contact', 2);
SELECT revops.put_signal('attack', 'attack_intent', 1, '{"kind": "attack_view"}');
SELECT revops.put_playbook('attack', 'Call {{person}}', '[{"title": "Call", "channel": "call", "message": "Hello {{person}}"}]') IS NOT NULL AS playbook;
SELECT revops.put_rule('attack', '{"when": {"kind": "attack_view"}, "count": {"at_least": 3, "within": "1 day"}, "playbook": "attack"}');
SELECT count(revops.track('attack_view', person => p, account => a, opportunity => o, object => p, body => p || ': our budget is 50,000 EUR, too expensive', occurred_at => revops.now() - n * interval '1 minute'))
FROM (VALUES ('attack-p1', 'attack-a1', 'attack-o1'), ('attack-secret-p2', 'attack-secret-a2', 'attack-secret-o2')) AS e (p, a, o), generate_series(1, 4) n;
SELECT count(revops.track('attack_call', person => p, account => a, opportunity => o, rep => r, side => 'rep', channel => 'call'))
FROM (VALUES ('attack-p1', 'attack-a1', 'attack-o1', 'attack-li'), ('attack-secret-p2', 'attack-secret-a2', 'attack-secret-o2', 'attack-secret-wu')) AS e (p, a, o, r);
SELECT revops.process() > 0 AS processed;
SELECT revops.train_stages('attack') > 0 AS trained;
SELECT revops.process() >= 0 AS processed;
SELECT revops.suggest_fields() >= 0 AS suggested, revops.refresh_collaboration() >= 0 AS counted, revops.refresh_profiles() >= 0 AS profiled;

-- A function of next to no cost, and an operator of it, that tell each row which they are shown; and what else the attacker may think of.
SET ROLE attack_rep;
CREATE FUNCTION attack.tell(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN IF t ~ 'attack-secret' THEN RAISE WARNING 'told'; END IF; RETURN true; END $$;
CREATE FUNCTION attack.tell(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN RETURN attack.tell(a); END $$;
CREATE OPERATOR attack.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.tell, RESTRICT = eqsel, JOIN = eqjoinsel);
-- everything that a rep may read, read in every way; who reads it whole is told how much there is
CREATE FUNCTION attack.read(relation regclass, how text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
    c refcursor;
    n bigint := 0;
    q text := format('SELECT x::text AS t FROM %s x', relation);
BEGIN
    CASE how
        WHEN 'plain' THEN EXECUTE format('SELECT count(*) FROM (%s) y WHERE t ~ ''attack-secret''', q) INTO n;
        WHEN 'function' THEN EXECUTE format('SELECT count(*) FROM %s x WHERE attack.tell(x::text)', relation) INTO n;
        WHEN 'operator' THEN EXECUTE format('SELECT count(*) FROM %s x WHERE x::text OPERATOR(attack.<<<) ''x''', relation) INTO n;
        WHEN 'error' THEN EXECUTE format('SELECT count(*) FROM %s x WHERE 1 / (CASE WHEN x::text ~ ''attack-secret'' THEN 0 ELSE 1 END) = 1', relation) INTO n;
        WHEN 'join' THEN EXECUTE format('SELECT count(*) FROM (SELECT ''x'' AS k) z JOIN %s x ON x::text OPERATOR(attack.<<<) z.k', relation) INTO n;
        WHEN 'lateral' THEN EXECUTE format('SELECT count(*) FROM %s x, LATERAL (SELECT attack.tell(x::text) OFFSET 0) y', relation) INTO n;
        WHEN 'cursor' THEN
            OPEN c SCROLL FOR EXECUTE q;
            LOOP
                FETCH c INTO r;
                EXIT WHEN NOT FOUND;
                n := n + (r.t ~ 'attack-secret')::int;
            END LOOP;
        WHEN 'explain' THEN
            FOR r IN EXECUTE format('EXPLAIN (ANALYZE, VERBOSE, COSTS off) SELECT * FROM %s x WHERE attack.tell(x::text)', relation) LOOP
                n := n + (r."QUERY PLAN" ~ 'attack-secret')::int;
            END LOOP;
        WHEN 'view' THEN
            EXECUTE format('CREATE VIEW attack.over AS SELECT x::text AS t FROM %s x WHERE attack.tell(x::text)', relation);
            EXECUTE 'CREATE VIEW attack.over_over AS SELECT t FROM attack.over WHERE attack.tell(t)';
            EXECUTE 'SELECT count(*) FROM attack.over_over WHERE t ~ ''attack-secret''' INTO n;
            EXECUTE 'DROP VIEW attack.over CASCADE';
    END CASE;
    RETURN CASE WHEN how IN ('plain', 'cursor', 'explain', 'view') THEN n ELSE 0 END;
END $$;
RESET ROLE;
-- the statistics know the secrets, so a planner that asks the attacker's operator would tell them
ANALYZE revops.account, revops.person, revops.opportunity, revops.event, revops.moment, revops.task, revops.intent_state, revops.stage_state;
-- a superuser sees them, so what follows would find them
SELECT count(*) > 20 AS shows FROM pg_class c WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind IN ('v', 'r', 'p') AND has_table_privilege('attack_rep', c.oid, 'SELECT');
SELECT string_agg(c.relname, ' ' ORDER BY c.relname) AS with_secrets FROM pg_class c
WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind IN ('v', 'r', 'p') AND has_table_privilege('attack_rep', c.oid, 'SELECT') AND attack.read(c.oid, 'plain') > 0;
SET SESSION AUTHORIZATION attack_rep;
SELECT how, count(*) > 20 AS tried, sum(attack.read(c.oid, how)) AS secrets
FROM unnest('{plain,function,operator,error,join,lateral,cursor,explain,view}'::text[]) how, pg_class c
WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind IN ('v', 'r', 'p') AND has_table_privilege(c.oid, 'SELECT')
GROUP BY how ORDER BY how;
-- the same in processes that work in parallel
SELECT set_config(name, 'on', false) AS parallel FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT sum(attack.read(c.oid, 'plain')) AS secrets FROM pg_class c
WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind IN ('v', 'r', 'p') AND has_table_privilege(c.oid, 'SELECT');
SELECT count(*) AS own FROM revops.my_account WHERE account LIKE 'attack-%';
SELECT set_config(name, 'off', false) AS parallel FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
RESET SESSION AUTHORIZATION;
-- what the planner knows of columns
SET SESSION AUTHORIZATION attack_rep;
SELECT count(*) AS secrets FROM pg_stats s WHERE s::text ~ 'attack-secret';
-- functions tell no more
SELECT subject FROM revops.hottest('person', 'attack_intent', 100);
SELECT count(*) FROM revops.explain_intent('person', 'attack-secret-p2', 'attack_intent');
SELECT count(*) FROM revops.moment_progress() m WHERE m::text ~ 'attack-secret';
SELECT count(*) FROM revops.health() h WHERE h::text ~ 'attack-secret-(a|p|o)';
-- a statement that was prepared, and a cursor that was opened, before the role was taken
RESET SESSION AUTHORIZATION;
PREPARE customers AS SELECT count(*) AS customers FROM revops.my_account WHERE account LIKE 'attack-%';
PREPARE moments AS SELECT count(*) AS moments FROM revops.moment WHERE rule = 'attack';
SET plan_cache_mode = force_generic_plan;
EXECUTE customers;
EXECUTE moments;
BEGIN;
DECLARE before_role CURSOR FOR SELECT account FROM revops.my_account WHERE account LIKE 'attack-%' ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION attack_rep;
EXECUTE customers;
EXECUTE moments;
FETCH ALL FROM before_role;
ROLLBACK;
SET SESSION AUTHORIZATION attack_rep;
EXECUTE customers;
EXECUTE moments;
SET ROLE revops_app;
EXECUTE customers;
EXECUTE moments;
RESET ROLE;
RESET SESSION AUTHORIZATION;
EXECUTE customers;
EXECUTE moments;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- Rights that are not the attacker's: operators and functions of theirs, found before those of pg_catalog, that note who runs them
CREATE FUNCTION attack.note(how text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_user NOT IN ('attack_rep', 'attack_admin') THEN
        PERFORM nextval('public.attack_wins');
        INSERT INTO public.attack_won VALUES (current_user, how);
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION attack.note(text) TO PUBLIC;
DO $$
DECLARE
    r record;
    f text;
    n int := 0;
    types CONSTANT regtype[] := '{text,int4,int8,float8,numeric,timestamptz,jsonb,bool,oid,name,interval,uuid}';
BEGIN
    -- what our functions are made of, for the types that they use
    FOR r IN
        SELECT o.oprname AS name, format_type(o.oprleft, NULL) AS a, format_type(o.oprright, NULL) AS b, format_type(o.oprresult, NULL) AS result
        FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft = ANY (types) AND o.oprright = ANY (types)
    LOOP
        n := n + 1;
        f := 'attack.operator_' || n;
        EXECUTE format('CREATE FUNCTION %s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM attack.note(%L); RETURN $1 OPERATOR(pg_catalog.%s) $2; END $f$',
                       f, r.a, r.b, r.result, 'operator ' || r.name, r.name);
        EXECUTE format('CREATE OPERATOR attack.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)', r.name, r.a, r.b, f);
    END LOOP;
    FOR r IN
        SELECT p.proname AS name, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result, p.pronargs,
               (SELECT string_agg('$' || g, ', ') FROM generate_series(1, p.pronargs) g) AS given
        FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0 AND p.prorettype = ANY (types) AND p.pronargs BETWEEN 1 AND 3
          AND p.proargtypes::oid[] <@ types::oid[] AND p.proargnames IS NULL AND p.proname !~ '(in|out|recv|send)$' AND p.proname ~ '^(lower|upper|length|octet_length|left|right|substr|btrim|round|floor|ceil|exp|ln|isfinite|date_trunc|date_part|hashtext|md5|to_jsonb|jsonb_typeof|split_part|replace|strpos|current_setting|set_config|abs|power|extract|text|timezone|num_nulls|jsonb_array_length|regexp_replace|nextval|to_char|initcap)'
    LOOP
        EXECUTE format('CREATE FUNCTION attack.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM attack.note(%L); RETURN pg_catalog.%I(%s); END $f$',
                       r.name, r.arguments, r.result, 'function ' || r.name, r.name, r.given);
    END LOOP;
END $$;
SELECT count(*) > 50 AS operators FROM pg_operator WHERE oprnamespace = 'attack'::regnamespace;
SELECT count(*) > 50 AS functions FROM pg_proc WHERE pronamespace = 'attack'::regnamespace AND proname NOT LIKE 'operator%';
CREATE FUNCTION attack.try(statement text) RETURNS text LANGUAGE plpgsql SET search_path = attack, revops, pg_catalog AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
-- (it finds what is found)
SELECT attack.try($$SELECT lower('X') = 'x'$$);
SELECT DISTINCT who, how FROM attack_won ORDER BY how;
TRUNCATE attack_won;
ALTER SEQUENCE attack_wins RESTART;
SET SESSION AUTHORIZATION attack_rep;
SELECT s, attack.try(s) FROM unnest(ARRAY[
    $$SELECT count(*) FROM revops.claim_tasks('attack-li', 1)$$,
    $$SELECT revops.respond((SELECT min(task_id) FROM revops.task))$$,
    $$SELECT revops.complete((SELECT min(task_id) FROM revops.task), 'won')$$,
    $$SELECT revops.track('attack_view', person => 'attack-p1', properties => '{"a": 1}')$$,
    $$SELECT accepted FROM revops.track_batch('[{"kind": "attack_view", "person": "attack-p1", "properties": {"a": 1}, "occurred_at": "2026-03-01T00:00:00Z"}, {"kind": 1}, {"type": "identify"}]')$$,
    $$SELECT revops.identify('attack-v1', 'attack-p1')$$,
    $$SELECT count(*) FROM revops.health()$$,
    $$SELECT count(*) FROM revops.explain_intent('person', 'attack-p1', 'attack_intent')$$,
    $$SELECT count(*) FROM revops.moment_progress()$$,
    $$SELECT count(*) FROM revops.substitute_units('attack-u2')$$,
    $$SELECT count(*) FROM revops.infer_stages('attack', '{attack_call}', '{2026-01-01}')$$,
    $$SELECT revops.may('attack-li', 'own', 'attack-a1')$$,
    $$SELECT revops.is_present('attack-li')$$,
    $$SELECT revops.next_escalation_at()$$,
    $$SELECT revops.sees('account', 'attack-a1')$$,
    $$SELECT revops.accept_suggestion((SELECT min(suggestion) FROM revops.open_suggestion), 'attack-li')$$,
    $$SELECT revops.refuse_suggestion(0, 'attack-li')$$,
    $$SELECT count(*) FROM revops.detect_intents('too expensive')$$,
    $$SELECT count(*) FROM revops.my_account$$,
    $$SELECT count(*) FROM revops.task_board$$,
    $$INSERT INTO revops.event (kind, person) VALUES ('attack_view', 'attack-p1')$$]) s;
SET SESSION AUTHORIZATION attack_admin;
SELECT s, attack.try(s) FROM unnest(ARRAY[
    $$SELECT revops.put_signal('attack2', 'attack_intent', 1, '{"kind": "x"}')$$,
    $$SELECT revops.put_rule('attack2', '{"when": {"kind": "x"}, "count": {"at_least": 3, "within": "1 day"}}')$$,
    $$SELECT revops.put_playbook('attack2', 'Call', '[{"title": "Call", "channel": "call", "message": "Hello"}]')$$,
    $$SELECT revops.put_intent('attack_words', '{"patterns": [{"include": "attack words"}]}')$$,
    $$SELECT revops.put_calendar('attack', 'Asia/Shanghai')$$,
    $$SELECT revops.put_pipeline('attack2', '{"stages": ["a", "b"]}')$$,
    $$SELECT revops.use_template((SELECT template FROM revops.rule_template ORDER BY 1 LIMIT 1), 'attack3')$$,
    $$SELECT revops.publish_intents()$$,
    $$SELECT revops.process()$$,
    $$SELECT revops.rebuild_scores()$$,
    $$SELECT revops.rebuild_moments('attack')$$,
    $$SELECT revops.rebuild_intents()$$,
    $$SELECT revops.rebuild_stages('attack')$$,
    $$SELECT revops.train_stages('attack')$$,
    $$SELECT count(*) FROM revops.calibrate_stages('attack', 0.9, true)$$,
    $$SELECT revops.retry_failed()$$,
    $$SELECT revops.make_partitions()$$,
    $$SELECT revops.drop_expired_partitions()$$,
    $$SELECT revops.set_field('account', 'attack-a1', 'note', 'x')$$,
    $$SELECT revops.set_field('opportunity', 'attack-o1', 'stage', 'demo')$$,
    $$SELECT revops.suggest_fields()$$,
    $$SELECT revops.refresh_collaboration()$$,
    $$SELECT revops.refresh_profiles()$$,
    $$SELECT revops.propose_assignments()$$,
    $$SELECT revops.apply_assignments((SELECT max(proposal_id) FROM revops.proposal))$$,
    $$SELECT revops.record_win_probability()$$,
    $$SELECT count(*) FROM revops.calibrate_models()$$,
    $$SELECT count(*) FROM revops.substitute_units('attack-u2')$$,
    $$SELECT revops.apply_attachments()$$,
    $$INSERT INTO revops.rep (rep, name) VALUES ('attack-new', 'New')$$,
    $$INSERT INTO revops.account (account, name) VALUES ('attack-new', 'New')$$,
    $$UPDATE revops.opportunity SET stage = 'contact' WHERE opportunity = 'attack-o1'$$,
    $$DELETE FROM revops.account WHERE account = 'attack-new'$$,
    $$SELECT revops.drop_rule('attack2')$$,
    $$SELECT revops.drop_rule('attack3')$$,
    $$SELECT revops.drop_signal('attack2')$$,
    $$SELECT revops.drop_intent('attack_words')$$]) s;
RESET SESSION AUTHORIZATION;
-- by the worker, and by whoever calls process() for all
SELECT revops.process() >= 0 AS processed;
SELECT DISTINCT who, how FROM attack_won;

-- Code that the attacker hands over: queries, expressions, triggers. It runs with the attacker's rights, and cannot take others'.
GRANT CREATE ON SCHEMA attack TO attack_admin;
SET SESSION AUTHORIZATION attack_admin;
-- also by taking on the role that began the session, or by a setting that stays for what comes next
CREATE FUNCTION attack.take(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM attack.note('took ' || t);
    PERFORM pg_catalog.set_config('search_path', 'attack, pg_catalog', false);
    BEGIN
        PERFORM set_config('role', 'none', false);
        PERFORM attack.note('reset ' || t);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    RETURN t;
END $$;
-- (not folded into the plan: a server with assertions ends where planning changes the search_path)
CREATE FUNCTION attack.on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM attack.take('trigger' || left(NEW.phase, 0)); RETURN NEW; END $$;
CREATE TABLE attack.deals (id int PRIMARY KEY, company text, phase text);
INSERT INTO attack.deals VALUES (1, 'attack-a1', 'contact');
CREATE TRIGGER taking BEFORE UPDATE ON attack.deals FOR EACH ROW EXECUTE FUNCTION attack.on_write();
SELECT revops.attach('attack.deals', 'opportunity', '{"opportunity": "attack.take(''attack-d'' || id)", "account": "company", "name": "phase", "where": "attack.take(phase) IS NOT NULL"}', write_back => true) > 0 AS attached;
SELECT revops.train('attack', 'classify', $$SELECT attack.take(x || n) AS text, x AS label FROM unnest('{good day sir,what a bug}'::text[]) x, generate_series(1, 20) n$$) AS trained;
SELECT count(*) > 0 AS evaluated FROM revops.evaluate('attack', $$SELECT attack.take(x || n) AS text, x AS label FROM unnest('{good day sir,what a bug}'::text[]) x, generate_series(1, 20) n$$);
SELECT revops.train_stages('attack', $$SELECT 'c' || n AS "case", now() + n * interval '1 hour' AS at, attack.take('attack_call') AS symbol, 'contact' AS stage FROM generate_series(1, 20) n$$) > 0 AS trained;
SELECT count(*) AS dealt FROM revops.optimal_assignment($$SELECT attack.take('t') AS task, 'u' AS unit, 1 AS benefit$$, $$SELECT attack.take('u') AS unit, 1 AS capacity$$);
SELECT revops.schedule_training('attack_scheduled', $$SELECT attack.take('scheduled') <> '' AND n * 7919 % 13 > 5 AS label, n * 7919 % 13 AS x, now() - n * interval '1 minute' AS at FROM generate_series(1, 400) n$$, options => '{"time": "at"}');
-- scheduled by what somebody else's maintenance calls
CREATE FUNCTION attack.schedule(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM revops.schedule_training('attack_lent', $q$SELECT attack.take('lent') <> '' AND n * 7919 % 13 > 5 AS label, n * 7919 % 13 AS x, now() - n * interval '1 minute' AS at FROM generate_series(1, 400) n$q$, options => '{"time": "at"}');
    RETURN t;
END $$;
CREATE TABLE attack.lent (x text);
INSERT INTO attack.lent VALUES ('x');
CREATE INDEX ON attack.lent (attack.schedule(x));
RESET SESSION AUTHORIZATION;
RESET search_path;
REINDEX TABLE attack.lent;
SELECT scheduled_by FROM revops.model_schedule WHERE model = 'attack_lent';
-- somebody else applies, writes back, trains
SELECT revops.apply_attachments() > 0 AS applied;
SELECT name FROM revops.opportunity WHERE opportunity = 'attack-d1';
SELECT revops.set_field('opportunity', 'attack-d1', 'name', 'demo');
SELECT phase FROM attack.deals;
SELECT revops.process() >= 0 AS processed;
SELECT model, result FROM revops.calibrate_models();
SELECT DISTINCT who, how FROM attack_won;
TRUNCATE attack_won;
SELECT is_called AS won FROM attack_wins;
-- nobody lends it theirs
SELECT revops.calibrate_model('attack_scheduled');
SELECT is_called AS won FROM attack_wins;
-- (the same query with the rights of who calls: it would be told)
SELECT count(attack.take('scheduled')) AS tried;
RESET search_path;
SELECT is_called AS won FROM attack_wins;
SELECT revops.unschedule_training('attack_scheduled'), revops.unschedule_training('attack_lent');
-- whose role is not there any more
CREATE ROLE attack_none IN ROLE revops_admin;
SET SESSION AUTHORIZATION attack_none;
SELECT revops.schedule_training('attack_scheduled', 'SELECT true AS label, now() AS at', options => '{"time": "at"}');
RESET SESSION AUTHORIZATION;
ALTER ROLE attack_none RENAME TO attack_renamed;
SELECT result FROM revops.calibrate_models() WHERE model = 'attack_scheduled';
SELECT revops.unschedule_training('attack_scheduled');
SELECT revops.calibrate_scheduled('attack_scheduled');
SELECT revops.detach('attack.deals', 'opportunity');

-- Names that try to be SQL, or a format, wherever a user chooses one. What has such a name works as what has another, and nothing is run.
CREATE TABLE attack_names (n int, name text);
INSERT INTO attack_names VALUES (1, $$a"b'c;$$ || '$$' || $$d$q$%s%I%1$s$$ || E'\n--\\'), (2, $$'); SELECT nextval('attack_wins'); --$$), (3, '";SELECT nextval(''attack_wins'')'), (4, repeat('字', 21)), (5, '%'), (6, '$1');
ALTER SEQUENCE attack_wins RESTART;
CREATE FUNCTION attack_name(n int, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := (SELECT a.name FROM attack_names a WHERE a.n = attack_name.n);
    r text;
BEGIN
    EXECUTE replace(statement, '<L>', quote_literal(name)) INTO r;
    RETURN r;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
-- schemas, tables, columns
CREATE FUNCTION attack_attach(n int, name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE SCHEMA %I', name);
    EXECUTE format('CREATE TABLE %I.%I (%I text, %I text, PRIMARY KEY (%3$I, %4$I)) PARTITION BY LIST (%4$I)', name, name, name, left(name, 20) || '2');
    EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I DEFAULT', name, left(name, 20) || '3', name, name);
    EXECUTE format('INSERT INTO %I.%I VALUES (''k'', %L)', name, name, name);
    PERFORM revops.attach(format('%I.%I', name, name)::regclass, 'opportunity',
        jsonb_build_object('opportunity', quote_literal('attack-n' || n), 'name', quote_ident(left(name, 20) || '2'), 'properties', jsonb_build_object(name, quote_ident(name))), write_back => true);
    PERFORM revops.apply_attachments();
    EXECUTE format('UPDATE %I.%I SET %I = ''j''', name, name, name);
    PERFORM revops.apply_attachments();
    PERFORM revops.set_field('opportunity', 'attack-n' || n, 'name', 'written');
    PERFORM revops.apply_attachments();
    RETURN (SELECT o.name || ' ' || (o.properties ->> attack_attach.name) FROM revops.opportunity o WHERE o.opportunity = 'attack-n' || n)
           || CASE WHEN EXISTS (SELECT FROM revops.attachment_error) THEN ' error' ELSE '' END;
END $$;
SELECT n, attack_attach(n, name) FROM attack_names ORDER BY n;
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT name FROM attack_names LOOP
        PERFORM revops.detach(format('%I.%I', r.name, r.name)::regclass, 'opportunity');
        EXECUTE format('DROP SCHEMA %I CASCADE', r.name);
    END LOOP;
END $$;
SET revops.as_of = '2026-03-03 09:00+00';
-- what is configured, and what it says; a few of the names are none that a zone, say, may have: then that is an error
CREATE TABLE attack_statements (n int GENERATED ALWAYS AS IDENTITY, what text, statement text);
INSERT INTO attack_statements (what, statement) VALUES
    ('signal', $$SELECT revops.put_signal(<L>, <L>, 1, json_build_object('kind', <L>))$$),
    ('rule', $$SELECT revops.put_rule(<L>, json_build_object('when', json_build_object('kind', <L>), 'count', json_build_object('at_least', 2, 'within', '1 day'), 'playbook', 'attack'))$$),
    ('playbook', $$SELECT revops.put_playbook(<L>, <L>, jsonb_build_array(jsonb_build_object('title', <L>, 'channel', 'call', 'message', <L> || ' {{person}}'))) IS NOT NULL$$),
    ('intent', $$SELECT revops.put_intent(<L>, jsonb_build_object('patterns', jsonb_build_array(jsonb_build_object('include', left(<L>, 4) || ' attacks'))))$$),
    ('publish', $$SELECT revops.publish_intents() IS NOT NULL$$),
    ('detect', $$SELECT string_agg((d.intent = <L>)::text, ',') FROM revops.detect_intents('so ' || left(<L>, 4) || ' attacks, they say') d$$),
    ('events', $$SELECT count(revops.track(<L>, person => <L>, account => <L>, opportunity => <L>, rep => <L>, channel => <L>, object => <L>, body => <L> || ' x', properties => jsonb_build_object(<L>, <L>), occurred_at => revops.now() + g * interval '1 second')) FROM generate_series(1, 3) g$$),
    ('batch', $$SELECT accepted FROM revops.track_batch(jsonb_build_array(jsonb_build_object('kind', <L>, 'person', <L>, <L>, <L>)))$$),
    ('identify', $$SELECT revops.identify('v' || <L>, <L>) IS NOT NULL$$),
    ('scores', $$SELECT count(*) FROM revops.intent_score WHERE intent = <L>$$),
    ('reasons', $$SELECT count(*) > 0 FROM revops.explain_intent('person', <L>, <L>)$$),
    ('moments', $$SELECT count(*) > 0 FROM revops.moment WHERE rule = <L>$$),
    ('backtest', $$SELECT count(*) > 0 FROM revops.backtest(json_build_object('when', json_build_object('kind', <L>), 'count', json_build_object('at_least', 2, 'within', '1 day')))$$),
    ('cards', $$SELECT count(*) > 0 FROM revops.task WHERE rule = <L>$$),
    ('drop rule', $$SELECT revops.drop_rule(<L>)$$),
    ('drop signal', $$SELECT revops.drop_signal(<L>)$$),
    ('drop intent', $$SELECT revops.drop_intent(<L>)$$),
    ('calendar', $$SELECT revops.put_calendar(<L>, <L>)$$),
    ('zone', $$SELECT revops.local_time(revops.now(), <L>) IS NULL$$),
    ('template', $$SELECT revops.use_template(<L>, <L>, jsonb_build_object(<L>, <L>))$$),
    ('pipeline', $$SELECT revops.put_pipeline(<L>, jsonb_build_object('stages', jsonb_build_array(jsonb_build_object('stage', <L>, 'symbols', jsonb_build_array(<L>)), 'b', jsonb_build_object('stage', 'w', 'kind', 'won'))))::text = ''$$),
    ('stages', $$SELECT revops.train_stages(<L>)$$),
    ('infer', $$SELECT count(*) FROM revops.infer_stages(<L>, ARRAY[<L>], '{2026-01-01}')$$),
    ('classify', $$SELECT revops.train(<L>, 'classify', 'SELECT x || n AS text, x AS ' || quote_ident(<L>) || ' FROM unnest(ARRAY[''good day'', ' || quote_literal(<L>) || ']) x, generate_series(1, 20) n', <L>)$$),
    ('label', $$SELECT revops.best_label(<L>, 'good day 3')$$),
    ('predict', $$SELECT revops.train('p' || <L>, 'predict', 'SELECT n % 7 + n * 7919 % 13 > 9 AS ' || quote_ident(<L>) || ', n % 7 AS ' || quote_ident(left(<L>, 20) || '1') || ', ' || quote_literal(<L>) || ' || n % 3 AS y FROM generate_series(1, 400) n', <L>)$$),
    ('scheduled', $$SELECT revops.schedule_training('q' || <L>, 'SELECT n % 7 + n * 7919 % 13 > 9 AS ' || quote_ident(<L>) || ', n % 7 AS x, now() + n * interval ''1 s'' AS ' || quote_ident(left(<L>, 20) || '1') || ' FROM generate_series(1, 400) n', <L>, jsonb_build_object('time', left(<L>, 20) || '1'))::text = ''$$),
    ('trained', $$SELECT count(*) FROM revops.calibrate_models() WHERE model = 'q' || <L>$$),
    ('trial', $$SELECT replace(result, ' ', '_') FROM revops.model_trial WHERE model = 'q' || <L>$$),
    ('unscheduled', $$SELECT revops.unschedule_training('q' || <L>)$$),
    ('assignment', $$SELECT string_agg((task = <L> AND unit = <L>)::text, ',') FROM revops.optimal_assignment('SELECT ' || quote_literal(<L>) || ' AS task, ' || quote_literal(<L>) || ' AS unit, 1 AS benefit')$$),
    ('units', $$INSERT INTO revops.unit (unit, name) VALUES (<L>, <L>) RETURNING 'ok'$$),
    ('reps', $$INSERT INTO revops.rep (rep, name, unit, login) VALUES (<L>, <L>, <L>, <L>) RETURNING 'ok'$$),
    ('accounts', $$INSERT INTO revops.account (account, name, owner, industry, properties) VALUES (<L>, <L>, <L>, <L>, jsonb_build_object(<L>, <L>)) RETURNING 'ok'$$),
    ('field', $$SELECT revops.set_field('account', <L>, <L>, <L>) IS NOT NULL$$),
    ('substitutes', $$SELECT count(*) >= 0 FROM revops.substitute_units(<L>)$$),
    ('proposal', $$SELECT revops.propose_assignments(<L>) > 0$$),
    ('claim', $$SELECT count(*) >= 0 FROM revops.claim_tasks(<L>)$$),
    ('may', $$SELECT revops.may(<L>, 'own', <L>)$$),
    ('health', $$SELECT count(*) FROM revops.health()$$);
CREATE PROCEDURE attack_names(first int, last int) LANGUAGE plpgsql AS $$
DECLARE s record;
BEGIN
    FOR s IN SELECT * FROM attack_statements a WHERE a.n BETWEEN first AND last ORDER BY n LOOP
        RAISE WARNING '%: %', s.what, (SELECT string_agg(coalesce(attack_name(a.n, s.statement), 'NULL'), ' ' ORDER BY a.n) FROM attack_names a);
    END LOOP;
END $$;
CALL attack_names(1, 9);
SELECT revops.process() > 0 AS processed;
CALL attack_names(10, 100);
-- a role that has such a name is the rep whose login it is
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM attack_names ORDER BY n LOOP
        EXECUTE format('CREATE ROLE %I IN ROLE revops_reader', r.name);
        EXECUTE format('SET LOCAL ROLE %I', r.name);
        RAISE WARNING '% sees %', r.n, (SELECT count(*) FROM revops.my_account WHERE account = r.name) || ' of ' || (SELECT count(*) FROM revops.my_account);
        RESET ROLE;
        EXECUTE format('DROP ROLE %I', r.name);
    END LOOP;
END $$;
SELECT is_called AS run FROM attack_wins;

-- default privileges of the owner do not open what is made later
ALTER DEFAULT PRIVILEGES IN SCHEMA revops GRANT ALL ON TABLES TO PUBLIC;
SELECT revops.make_partition('2031-01-15') AS made;
SELECT count(*) AS open FROM revops.event_partitions() p WHERE p.since > '2030-01-01' AND has_table_privilege('attack_rep', p.partition, 'SELECT');
ALTER DEFAULT PRIVILEGES IN SCHEMA revops REVOKE ALL ON TABLES FROM PUBLIC;
DROP TABLE revops.event_20310101;

-- the whole leaves with its database
\c postgres
SET client_min_messages = warning;
DROP DATABASE revops_attack;
DROP ROLE attack_rep, attack_other, attack_admin, attack_renamed;
