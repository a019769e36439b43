-- access: a rep sees their own and their unit's customers, a coach those of the units coached, a director those of the territory,
-- and everyone what revops.permission adds; what it denies nobody sees, whatever else allows it.

CREATE TABLE revops.permission (
    permission_id bigint GENERATED ALWAYS AS IDENTITY,
    grantee_kind text COLLATE "C" NOT NULL CONSTRAINT permission_grantee_check CHECK (grantee_kind IN ('rep', 'unit')),
    grantee     text COLLATE "C" NOT NULL,
    what        text COLLATE "C" NOT NULL CONSTRAINT permission_what_check CHECK (what IN ('read', 'write', 'own')),
    scope_kind  text COLLATE "C" NOT NULL
                CONSTRAINT permission_scope_kind_check CHECK (scope_kind IN ('all', 'account', 'unit', 'territory', 'industry', 'segment')),
    scope       text COLLATE "C",
    until       timestamptz NOT NULL DEFAULT 'infinity',
    deny        boolean NOT NULL DEFAULT false,
    granted_by  text COLLATE "C" NOT NULL DEFAULT session_user,
    granted_at  timestamptz NOT NULL DEFAULT revops.now(),
    PRIMARY KEY (grantee, permission_id),
    CONSTRAINT permission_scope_check CHECK ((scope IS NULL) = (scope_kind = 'all'))
);
CREATE INDEX permission_granted_by_idx ON revops.permission (granted_by);
CREATE INDEX permission_denied_idx ON revops.permission (what) WHERE deny;
COMMENT ON TABLE revops.permission IS 'What a rep or a unit may do with which customers, beyond what ownership gives; asked by revops.may()';
COMMENT ON COLUMN revops.permission.what IS 'read (the history), write (work on it), own (take it over)';
COMMENT ON COLUMN revops.permission.scope_kind IS 'Which customers: all, one account, those owned in a unit, those of a territory, an industry or a segment';
COMMENT ON COLUMN revops.permission.deny IS 'true: it is forbidden, whatever else allows it';
COMMENT ON COLUMN revops.permission.granted_by IS 'Who granted it; ''substitution 7'': ends with that substitution';
SELECT pg_catalog.pg_extension_config_dump('revops.permission', '');
SELECT pg_catalog.pg_extension_config_dump('revops.permission_permission_id_seq', '');

ALTER TABLE revops.rep ADD COLUMN login text COLLATE "C" CONSTRAINT rep_login_key UNIQUE;
COMMENT ON COLUMN revops.rep.login IS 'Database role of the rep: that role sees only what the rep may see; NULL: the rep has none';
CREATE INDEX opportunity_seen_idx ON revops.opportunity (owner) WHERE owner IS NOT NULL;

-- what holds for a rep. These take the rep as an argument, so nobody but the owner may call them.

CREATE FUNCTION revops.rep_permissions(rep text) RETURNS SETOF revops.permission
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT p.* FROM revops.rep r
    JOIN revops.permission p ON p.grantee IN (r.rep, r.unit) AND p.grantee = CASE p.grantee_kind WHEN 'rep' THEN r.rep ELSE r.unit END
    WHERE r.rep = $1 COLLATE "C" AND (p.what = 'read' OR NOT p.deny)
      -- revops.as_of is anybody's to set: it takes sight away, and gives none
      AND p.until > CASE WHEN p.deny THEN least(revops.now(), statement_timestamp()) ELSE greatest(revops.now(), statement_timestamp()) END
$$;
COMMENT ON FUNCTION revops.rep_permissions(text) IS 'The permissions that say what a rep may read: who may write or own may read';

CREATE FUNCTION revops.rep_sees_all(rep text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(bool_or(NOT p.deny AND p.scope_kind = 'all'), false) AND NOT coalesce(bool_or(p.deny), false) FROM revops.rep_permissions($1) p
$$;
COMMENT ON FUNCTION revops.rep_sees_all(text) IS 'Whether a rep may read everything: permitted for all, and denied nothing';

CREATE FUNCTION revops.rep_sees_units(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.unit FROM revops.rep r WHERE r.rep = $1 COLLATE "C" AND r.unit IS NOT NULL
    UNION SELECT u.unit FROM revops.unit u WHERE u.coach = $1 COLLATE "C"
    UNION SELECT u.unit FROM revops.unit u JOIN revops.territory t ON t.territory = u.territory WHERE t.director = $1 COLLATE "C"
    UNION SELECT p.scope FROM revops.rep_permissions($1) p WHERE p.scope_kind = 'unit' AND NOT p.deny
$$;
COMMENT ON FUNCTION revops.rep_sees_units(text) IS 'The units whose customers a rep sees: their own, those coached, those of the territories directed, and those permitted';

CREATE FUNCTION revops.rep_sees_reps(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT $1
    UNION SELECT r.rep FROM revops.rep_sees_units($1) u JOIN revops.rep r ON r.unit = u COLLATE "C"
$$;
COMMENT ON FUNCTION revops.rep_sees_reps(text) IS 'The reps of whom a rep sees scores and moments: those of the units seen';

CREATE FUNCTION revops.rep_sees_accounts(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH allowed AS (
        SELECT a.account FROM revops.rep_sees_reps($1) s JOIN revops.account a ON a.owner = s COLLATE "C"
        UNION SELECT a.account FROM revops.territory t JOIN revops.account a ON a.territory = t.territory WHERE t.director = $1 COLLATE "C"
        UNION SELECT a.account FROM revops.rep r JOIN revops.unit u ON u.unit = r.unit
              JOIN revops.account a ON a.territory = u.territory AND a.owner IS NULL WHERE r.rep = $1 COLLATE "C"
        UNION SELECT o.account FROM revops.opportunity o WHERE o.owner = $1 COLLATE "C" AND o.account IS NOT NULL
        UNION SELECT a.account FROM revops.rep_permissions($1) p JOIN revops.account a ON a.account = p.scope WHERE p.scope_kind = 'account' AND NOT p.deny
        UNION SELECT a.account FROM revops.rep_permissions($1) p JOIN revops.account a ON a.territory = p.scope WHERE p.scope_kind = 'territory' AND NOT p.deny
        UNION SELECT a.account FROM revops.rep_permissions($1) p
              JOIN revops.account a ON CASE p.scope_kind WHEN 'industry' THEN a.industry = p.scope WHEN 'segment' THEN a.segment = p.scope ELSE p.scope_kind = 'all' END
              WHERE p.scope_kind IN ('industry', 'segment', 'all') AND NOT p.deny
    )
    SELECT w.account FROM allowed w
    WHERE NOT EXISTS (SELECT FROM revops.rep_permissions($1) p WHERE p.deny)
       OR NOT EXISTS (
           SELECT FROM revops.rep_permissions($1) p JOIN revops.account a ON a.account = w.account LEFT JOIN revops.rep o ON o.rep = a.owner
           WHERE p.deny AND CASE p.scope_kind WHEN 'all' THEN true WHEN 'account' THEN p.scope = a.account WHEN 'unit' THEN p.scope = o.unit
                                WHEN 'territory' THEN p.scope = a.territory WHEN 'industry' THEN p.scope = a.industry ELSE p.scope = a.segment END)
$$;
COMMENT ON FUNCTION revops.rep_sees_accounts(text) IS
'The accounts that a rep sees: owned in the units seen, of the territories directed, unowned in the unit''s territory, with an opportunity of theirs, and permitted; less those denied';

CREATE FUNCTION revops.rep_sees_opportunities(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT o.opportunity FROM revops.rep_sees_accounts($1) s JOIN revops.opportunity o ON o.account = s COLLATE "C"
    UNION SELECT o.opportunity FROM revops.rep_sees_reps($1) s JOIN revops.opportunity o ON o.owner = s COLLATE "C" AND o.account IS NULL
    WHERE NOT EXISTS (SELECT FROM revops.rep_permissions($1) p LEFT JOIN revops.rep r ON r.rep = o.owner
                      WHERE p.deny AND (p.scope_kind = 'all' OR p.scope_kind = 'unit' AND p.scope = r.unit))
$$;
COMMENT ON FUNCTION revops.rep_sees_opportunities(text) IS 'The opportunities that a rep sees: of the accounts seen, or without an account, owned in the units seen and not denied with all or with their unit';

CREATE FUNCTION revops.rep_sees_persons(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH known AS (
        SELECT p.person FROM revops.rep_sees_accounts($1) s JOIN revops.person p ON p.account = s COLLATE "C"
        UNION SELECT p.person FROM revops.person p WHERE p.account IS NULL AND p.identity IS NULL
    )
    SELECT k.person FROM known k
    UNION SELECT v.person FROM known k JOIN revops.person v ON v.identity = k.person
$$;
COMMENT ON FUNCTION revops.rep_sees_persons(text) IS 'The persons that a rep sees: of the accounts seen, or of none, and the visitors who turned out to be one of them';

CREATE FUNCTION revops.rep_sees(rep text, kind int, key text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE $2 WHEN 0 THEN $3 IN (SELECT revops.rep_sees_persons($1)) OR NOT EXISTS (SELECT FROM revops.person p WHERE p.person = $3 COLLATE "C")
                   WHEN 1 THEN $3 IN (SELECT revops.rep_sees_accounts($1)) WHEN 2 THEN $3 IN (SELECT revops.rep_sees_opportunities($1))
                   ELSE $3 IN (SELECT revops.rep_sees_reps($1)) END
$$;
COMMENT ON FUNCTION revops.rep_sees(text, int, text) IS 'Whether a rep sees one subject; kind counts the values of revops.subject_kind from 0';

-- what holds for whoever asks

CREATE FUNCTION revops.current_rep() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_current_rep';
COMMENT ON FUNCTION revops.current_rep() IS 'The rep whose login is the current role, or else the session''s; NULL: neither is a rep''s';

CREATE FUNCTION revops.sees_all() RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sees_all';
COMMENT ON FUNCTION revops.sees_all() IS 'Whether the current role sees every customer: neither it nor the session''s is a rep''s, or it is of revops_admin, or permitted to';

CREATE FUNCTION revops.seen(kind revops.subject_kind) RETURNS SETOF text
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1000 COST 1000 AS 'MODULE_PATHNAME', 'revops_seen';
COMMENT ON FUNCTION revops.seen(revops.subject_kind) IS 'Keys of what the rep of the current role sees; where revops.sees_all() is true, ask that instead';

CREATE FUNCTION revops.sees(kind revops.subject_kind, key text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'revops_sees';
COMMENT ON FUNCTION revops.sees(revops.subject_kind, text) IS 'Whether the current role sees a person, account, opportunity or rep';

CREATE FUNCTION revops.caller_sees(kind revops.subject_kind, key text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'revops_caller_sees';
COMMENT ON FUNCTION revops.caller_sees(revops.subject_kind, text) IS 'As sees(), for functions that run as their owner: of the role that called them';

CREATE FUNCTION revops.caller_bound() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_caller_bound';
COMMENT ON FUNCTION revops.caller_bound() IS 'For functions that run as their owner: the rep who bounds what the role that called them sees; NULL: none does';

CREATE FUNCTION revops.is_stranger(person text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT $1 IS NOT NULL AND NOT EXISTS (SELECT FROM revops.person p WHERE p.person = $1 COLLATE "C")
$$;
COMMENT ON FUNCTION revops.is_stranger(text) IS 'Whether a visitor is not among the persons yet: every rep sees what strangers do';

CREATE FUNCTION revops.caller_sees_row(account text, opportunity text, person text, subject_kind revops.subject_kind, subject text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 IS NOT NULL THEN revops.caller_sees('account', $1) WHEN $2 IS NOT NULL THEN revops.caller_sees('opportunity', $2)
                WHEN $3 IS NOT NULL THEN revops.caller_sees('person', $3) ELSE coalesce(revops.caller_sees($4, $5), false) END
$$;
COMMENT ON FUNCTION revops.caller_sees_row(text, text, text, revops.subject_kind, text) IS
'Whether the role that called a function sees what is of an account, or else of an opportunity, a person or another subject';

-- What an application loads with COPY has no row security, which would refuse that: these views show what one may see of it.

CREATE VIEW revops.my_account WITH (security_barrier) AS
SELECT a.account, a.name, a.owner, a.territory, a.segment, a.industry, a.time_zone, a.properties
FROM revops.account a
WHERE (SELECT revops.sees_all()) OR a.account IN (SELECT revops.seen('account'));

CREATE VIEW revops.my_person WITH (security_barrier) AS
SELECT p.person, p.identity, p.account, p.name, p.title, p.time_zone, p.properties
FROM revops.person p
WHERE (SELECT revops.sees_all()) OR p.person IN (SELECT revops.seen('person'));

CREATE VIEW revops.my_opportunity WITH (security_barrier) AS
SELECT o.opportunity, o.account, o.name, o.owner, o.pipeline, o.stage, o.stage_since, o.amount, o.status, o.opened_at, o.closed_at, o.properties
FROM revops.opportunity o
WHERE (SELECT revops.sees_all()) OR o.opportunity IN (SELECT revops.seen('opportunity'));

CREATE VIEW revops.my_event WITH (security_barrier) AS
SELECT e.event_id, e.occurred_at, e.received_at, e.person, e.account, e.opportunity, e.rep, e.side, e.channel, e.kind, e.object, e.dwell,
       e.body, e.properties, e.ahead
FROM revops.event e
WHERE (SELECT revops.sees_all()) OR
      CASE WHEN e.account IS NOT NULL THEN e.account IN (SELECT revops.seen('account'))
           WHEN e.opportunity IS NOT NULL THEN e.opportunity IN (SELECT revops.seen('opportunity'))
           WHEN e.person IS NOT NULL THEN e.person IN (SELECT revops.seen('person')) OR revops.is_stranger(e.person)
           ELSE e.rep IN (SELECT revops.seen('rep')) END;
COMMENT ON VIEW revops.my_account IS 'Accounts that one may see';
COMMENT ON VIEW revops.my_person IS 'Persons that one may see: of the accounts seen, of none, and visitors who turned out to be one of them';
COMMENT ON VIEW revops.my_opportunity IS 'Opportunities that one may see';
COMMENT ON VIEW revops.my_event IS 'Events that one may see: of the accounts, opportunities and persons seen, and of strangers';

DO $$
DECLARE
    r record;
BEGIN
    -- the columns are those of the tables, and so are what they mean
    FOR r IN
        SELECT v.oid::regclass AS view, a.attname, coalesce(col_description(t.oid, b.attnum), initcap(left(replace(a.attname, '_', ' '), 1)) || substr(replace(a.attname, '_', ' '), 2)) AS meaning
        FROM pg_class v JOIN pg_class t ON t.relnamespace = v.relnamespace AND t.relname = substr(v.relname, 4)
        JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 JOIN pg_attribute b ON b.attrelid = t.oid AND b.attname = a.attname
        WHERE v.relnamespace = 'revops'::regnamespace AND v.relname IN ('my_account', 'my_person', 'my_opportunity', 'my_event')
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', r.view, r.attname, r.meaning);
    END LOOP;
END $$;
