-- Every view, and every table that reps may read, column by column: a function of next to no cost that tells what it is shown, in every place of a
-- query and under many plans. What belongs to customers whom the role does not see has "secret" or 777777 in it, what belongs to reps, units and territories of
-- others "hidden". A warning "was shown" is a leak. For 087_leaks.pl, as superuser in a database of its own.
\set QUIET on
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
SET revops.as_of = '2026-03-02 09:00+00';
CREATE ROLE leak_reader LOGIN IN ROLE revops_reader;
CREATE ROLE leak_app LOGIN IN ROLE revops_reader, revops_app;
CREATE ROLE leak_denied LOGIN IN ROLE revops_reader;    -- sees all, but for what is denied
CREATE SCHEMA leak;
GRANT USAGE ON SCHEMA leak TO PUBLIC;
-- two worlds, the same but for the names: 'own-...' of whoever asks, and 'secret-...'
INSERT INTO revops.territory (territory, name, director, time_zone) VALUES ('own-t', 'own', NULL, 'UTC'), ('hidden-t', 'hidden', 'hidden-dir', 'Asia/Tokyo');
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('own-u', 'own', 'own-t', NULL), ('hidden-u', 'hidden', 'hidden-t', 'hidden-dir');
INSERT INTO revops.rep (rep, name, unit, login, properties) VALUES ('own-r', 'own', 'own-u', 'leak_reader', '{}'), ('own-s', 'own', 'own-u', 'leak_app', '{}'), ('own-d', 'own', NULL, 'leak_denied', '{}'),
    ('hidden-r', 'hidden name', 'hidden-u', NULL, '{"x": "hidden"}'), ('hidden-dir', 'hidden name', NULL, NULL, '{}');
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, deny) VALUES ('rep', 'own-d', 'read', 'all', NULL, false), ('rep', 'own-d', 'read', 'account', 'secret-a', true), ('rep', 'own-d', 'read', 'account', 'secret-b', true);
INSERT INTO revops.account (account, name, owner, territory, segment, industry, time_zone, properties)
SELECT w || '-' || k, w || ' name', CASE w WHEN 'own' THEN 'own-r' ELSE 'hidden-r' END, CASE w WHEN 'own' THEN 'own-t' ELSE 'hidden-t' END, w || ' segment', w || ' industry', 'UTC', jsonb_build_object('note', w || ' note')
FROM unnest('{own,secret}'::text[]) w, unnest('{a,b}'::text[]) k;
INSERT INTO revops.person (person, account, name, title, properties) SELECT w || '-p' || n, w || '-a', w || ' name', w || ' title', jsonb_build_object('note', w) FROM unnest('{own,secret}'::text[]) w, generate_series(1, 3) n;
INSERT INTO revops.person (person, identity) SELECT w || '-v', w || '-p1' FROM unnest('{own,secret}'::text[]) w;
SELECT revops.put_pipeline('leak', '{"default": true, "stages": [{"stage": "contact", "symbols": ["call"]}, {"stage": "demo", "symbols": ["demo"]}, {"stage": "won", "kind": "won"}, {"stage": "lost", "kind": "lost"}]}') \g /dev/null
INSERT INTO revops.opportunity (opportunity, account, owner, name, pipeline, stage, amount, status, opened_at, closed_at, properties)
SELECT w || '-o' || n, w || '-a', CASE w WHEN 'own' THEN 'own-r' ELSE 'hidden-r' END, w || ' name', 'leak', CASE WHEN n > 3 THEN 'won' ELSE 'contact' END, CASE w WHEN 'own' THEN 1 ELSE 777777 END,
       CASE WHEN n > 3 THEN 'won' ELSE 'open' END, '2026-02-01', CASE WHEN n > 3 THEN timestamptz '2026-02-28' END, jsonb_build_object('competitor', w)
FROM unnest('{own,secret}'::text[]) w, generate_series(1, 5) n;
INSERT INTO revops.skill (skill, dimension, intents) VALUES ('leak', 'industry_knowledge', '{leak_intent}');
INSERT INTO revops.rep_skill VALUES ('own-r', 'leak', 3), ('hidden-r', 'leak', 3);
INSERT INTO revops.account_need (account, skill) SELECT w || '-a', 'leak' FROM unnest('{own,secret}'::text[]) w;
SELECT revops.put_signal('leak', 'leak_intent', 1, '{"kind": "view"}') \g /dev/null
SELECT revops.put_intent('leak_words', '{"topic": "price", "patterns": [{"include": "too expensive"}], "examples": {"en": {"positive": ["too expensive"], "negative": ["hello"]}}}') \g /dev/null
SELECT revops.publish_intents(), revops.add_answers() \g /dev/null
SELECT revops.put_playbook('leak', 'Call {{person}} of {{account}}', '[{"title": "Call", "channel": "call", "message": "Hello {{person}}, {{object}}", "fits": {"title": "x"}}]') \g /dev/null
SELECT revops.put_rule('leak ' || per, json_build_object('per', per, 'when', '{"kind": "view"}'::json, 'count', '{"at_least": 3, "within": "1 day"}'::json, 'playbook', 'leak')) FROM unnest('{person,account,opportunity}'::text[]) per \g /dev/null
SELECT revops.put_rule('leak said', '{"when": {"intent": "leak_words"}, "count": {"at_least": 1, "within": "1 day"}, "playbook": "leak"}') \g /dev/null
SELECT revops.put_rule('leak near', '{"when": {"kind": "near"}, "count": {"at_least": 3, "within": "1 day"}, "playbook": "leak"}') \g /dev/null
-- (the day before too, for the board of yesterday; and a visitor who stayed long)
SELECT count(revops.track(k, person => w || '-p' || n, account => CASE WHEN i < 5 THEN w || '-a' END, opportunity => CASE WHEN i < 4 THEN w || '-o' || n END, object => w || ' object', channel => w || ' channel',
                          dwell => '3 minutes', body => CASE WHEN k = 'view' THEN w || ': too expensive, our budget is 50,000 EUR, we also look at ' || w END, properties => jsonb_build_object('note', w),
                          occurred_at => revops.now() - d * interval '1 day' - i * interval '1 minute'))
FROM unnest('{own,secret}'::text[]) w, unnest('{view,near,near,purchase}'::text[]) WITH ORDINALITY AS k (k, j), generate_series(1, 3) n, generate_series(1, 5) i, generate_series(0, 1) d
WHERE k <> 'near' OR j = 2 AND i < 3 \g /dev/null
SELECT count(revops.track('view', person => 'visitor-of-' || left(w, 3), account => w || '-a', object => w || ' object', channel => w || ' channel', dwell => '5 minutes', occurred_at => revops.now() - interval '1 hour')) FROM unnest('{own,secret}'::text[]) w \g /dev/null
SELECT count(revops.track(k, person => w || '-p1', account => w || '-a', opportunity => w || '-o1', rep => CASE w WHEN 'own' THEN 'own-r' ELSE 'hidden-r' END, side => 'rep', channel => w || ' channel', occurred_at => revops.now() - interval '3 days'))
FROM unnest('{own,secret}'::text[]) w, unnest('{call,demo}'::text[]) k \g /dev/null
SELECT revops.process() \g /dev/null
SELECT revops.process() \g /dev/null
UPDATE revops.opportunity SET stage = 'demo' WHERE opportunity ~ 'o2$';
SELECT revops.train_stages('leak') \g /dev/null
SELECT revops.process() \g /dev/null
SELECT revops.suggest_fields(), revops.refresh_collaboration(), revops.refresh_profiles() \g /dev/null
SELECT revops.train('win', 'predict', 'SELECT n % 7 + n * 7919 % 13 > 9 AS won, n % 7 AS days_open, n * 7919 % 13 AS moments FROM generate_series(1, 400) n', 'won') \g /dev/null
SELECT revops.record_win_probability() \g /dev/null
ANALYZE;
-- those who tell
CREATE FUNCTION leak.tell(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.0000001 AS $$
BEGIN IF t ~ 'secret|777777|hidden' THEN RAISE WARNING '% was shown %', current_setting('leak.at'), left(substring(t from '[^,(]*(?:secret|777777|hidden)[^,)]*'), 60); END IF; RETURN true; END $$;
CREATE FUNCTION leak.tell_strict(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RETURN leak.tell(t); END $$;
CREATE FUNCTION leak.tell(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RETURN leak.tell(a); END $$;
CREATE FUNCTION leak.same(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 0.0000001 AS $$ BEGIN PERFORM leak.tell(t); RETURN t; END $$;
CREATE OPERATOR leak.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = leak.tell, RESTRICT = eqsel, JOIN = eqjoinsel);
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA leak TO PUBLIC;
CREATE VIEW leak.columns AS
SELECT c.oid::regclass AS relation, c.relname::text AS name, a.attname::text AS col,
       c.relkind = 'v' AND NOT coalesce(c.reloptions @> '{security_barrier=true}', false) AS open   -- conditions may go below it
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'revops'::regnamespace AND (c.relkind = 'v' OR c.relrowsecurity AND has_table_privilege('revops_reader', c.oid, 'SELECT'));
GRANT SELECT ON leak.columns TO PUBLIC;
-- one query; place: {r} is the relation, {c} the column as text
CREATE FUNCTION leak.try(at text, relation regclass, cols text[], place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q text := replace(place, '{r}', relation::text);
    e text;
BEGIN
    PERFORM set_config('leak.at', at, false);
    -- {all:F}: F(column) of every column, joined by AND
    IF q ~ '\{all\}' THEN
        SELECT string_agg(format('leak.tell(x.%I::text)', c), ' AND ') INTO e FROM unnest(cols) c;
        q := replace(q, '{all}', e);
    END IF;
    EXECUTE replace(q, '{c}', format('x.%I::text', cols[1]));
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING '% failed: %', at, SQLERRM;
END $$;
CREATE FUNCTION leak.attack(shapes text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v record; p record; s text; n bigint := 0; shown text[];
BEGIN
    FOR v IN SELECT relation, name, open, array_agg(col ORDER BY col) AS cols FROM leak.columns GROUP BY 1, 2, 3 ORDER BY 2 LOOP
        -- what it shows to whoever may read it is no leak (to be checked by eye)
        EXECUTE format('SELECT array_agg(DISTINCT e.key ORDER BY e.key) FROM %s x, LATERAL (SELECT to_jsonb(x) AS j OFFSET 0) y, jsonb_each_text(y.j) e WHERE e.value ~ ''secret|777777|hidden''', v.relation) INTO shown;
        IF shown IS NOT NULL AND shapes[1] = 'default' THEN
            RAISE WARNING '% shows % by itself', v.name, shown;
        END IF;
        v.cols := ARRAY(SELECT c FROM unnest(v.cols) c WHERE c <> ALL (coalesce(shown, '{}')));
        FOREACH s IN ARRAY shapes LOOP
            IF s <> 'default' THEN PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true); END IF;
            -- all columns at once, in each place
            FOR p IN SELECT * FROM (VALUES
                ('where', 'SELECT count(*) FROM {r} x WHERE {all}', true),
                ('case', 'SELECT count(*) FROM {r} x WHERE CASE WHEN {all} THEN true END', false),
                ('join', 'SELECT count(*) FROM (VALUES (1), (2)) z (k) JOIN {r} x ON {all} AND z.k > 0', false),
                ('lateral', 'SELECT count(*) FROM {r} x, LATERAL (SELECT {all} AS t OFFSET 0) y WHERE y.t', false),
                ('having', 'SELECT count(*) FROM {r} x HAVING bool_and({all})', false)) AS t (place, q, always)
                WHERE t.always OR s = 'default' LOOP
                PERFORM leak.try(v.name || ' (' || p.place || ', ' || s || ')', v.relation, v.cols, p.q);
                n := n + 1;
            END LOOP;
            -- each column alone, strictly: an outer join above it becomes an inner one, and the condition goes down; not below a barrier
            FOR p IN SELECT c, t.* FROM unnest(v.cols) c, (VALUES
                ('strict', 'SELECT count(*) FROM {r} x WHERE leak.tell_strict({c})', '(default|collapse)'),
                ('group', 'SELECT leak.same({c}), count(*) FROM {r} x GROUP BY 1 HAVING leak.tell_strict(leak.same({c})) ORDER BY 1', 'enable_sort'),
                ('operator', 'SELECT count(*) FROM {r} x WHERE {c} OPERATOR(leak.<<<) ''x''', 'enable_sort')) AS t (place, q, shapes)
                WHERE v.open AND s ~ t.shapes LOOP
                PERFORM leak.try(v.name || '.' || p.c || ' (' || p.place || ', ' || s || ')', v.relation, ARRAY[p.c], p.q);
                n := n + 1;
            END LOOP;
            IF s <> 'default' THEN EXECUTE 'RESET ' || split_part(s, '=', 1); END IF;
        END LOOP;
    END LOOP;
    RETURN n;
END $$;
-- (a superuser is shown secrets by all the others)
SELECT set_config('leak.at', 'x', false) \g /dev/null
CREATE FUNCTION leak.with_secrets() RETURNS text LANGUAGE plpgsql AS $$
DECLARE v record; r text[] := '{}'; b boolean;
BEGIN
    FOR v IN SELECT DISTINCT relation, name FROM leak.columns ORDER BY 2 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s x WHERE x::text ~ ''secret|777777'')', v.relation) INTO b;
        IF NOT b THEN r := r || v.name; END IF;
    END LOOP;
    RETURN array_to_string(r, ' ');
END $$;
SELECT leak.with_secrets() AS without_secrets;
SET jit = off;
SET SESSION AUTHORIZATION leak_reader;
SELECT leak.attack('{default,from_collapse_limit=1,enable_hashjoin=off,enable_mergejoin=off,enable_seqscan=off,enable_indexscan=off}') > 0 AS tried;
SELECT set_config(name, 'on', false) AS parallel FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT leak.attack('{parallel_setup_cost=0}') > 0 AS tried;
SELECT set_config(name, 'off', false) AS parallel FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION leak_app;
SELECT leak.attack('{enable_sort=off}') > 0 AS tried;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION leak_denied;
SELECT leak.attack('{enable_nestloop=off}') > 0 AS tried;
RESET SESSION AUTHORIZATION;
