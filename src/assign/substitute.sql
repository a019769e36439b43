-- assign: who takes over when a unit or a territory falls out, and handing over and back

CREATE FUNCTION revops.substitution_case(unit text, OUT kind text, OUT lost text[], OUT customers text[], OUT total bigint, OUT vector bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    which CONSTANT text COLLATE "C" := substitution_case.unit;
BEGIN
    IF EXISTS (SELECT FROM revops.unit u WHERE u.unit = which) THEN
        kind := 'unit';
        lost := ARRAY(SELECT r.rep FROM revops.rep r WHERE r.unit = which ORDER BY r.rep);
    ELSIF EXISTS (SELECT FROM revops.territory t WHERE t.territory = which) THEN
        kind := 'territory';
        lost := ARRAY(SELECT r.rep FROM revops.unit u JOIN revops.rep r ON r.unit = u.unit WHERE u.territory = which ORDER BY r.rep);
    ELSE
        RAISE EXCEPTION 'there is no unit or territory "%"', which
            USING ERRCODE = 'undefined_object', HINT = 'Units are in revops.unit, territories in revops.territory.';
    END IF;
    IF lost = '{}' THEN
        RAISE EXCEPTION '% "%" has no reps', kind, which
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Set unit in revops.rep, or ask for the unit that the reps belong to.';
    END IF;
    SELECT count(*), (array_agg(a.account ORDER BY a.account))[:5000] INTO total, customers FROM revops.account a WHERE a.owner = ANY (lost);
    IF total = 0 THEN
        RAISE EXCEPTION 'no rep of % "%" owns a customer', kind, which
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'There is nothing to take over. The owner of a customer is in revops.account.';
    END IF;
    SELECT revops.profile_sum(p.vector, p.customers) INTO vector FROM revops.rep_profile p WHERE p.rep = ANY (lost);
END $$;
COMMENT ON FUNCTION revops.substitution_case(text) IS
'Whom a substitution replaces: the reps of a unit, or else of a territory, their customers (the first 5,000 by key, and how many in all), and what those are like';

CREATE FUNCTION revops.substitution_needs(customers text[])
RETURNS TABLE (skill text, languages text[], level int, weight float8, required boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20 AS $$
    (SELECT n.skill, NULL::text[], coalesce(max(n.level) FILTER (WHERE n.required), max(n.level)),
            count(*) FILTER (WHERE n.required) + 0.5 * count(*) FILTER (WHERE NOT n.required), bool_or(n.required)
     FROM unnest($1) AS c (account) JOIN revops.account_need n ON n.account = c.account COLLATE "C"
     GROUP BY n.skill ORDER BY bool_or(n.required) DESC, count(*) DESC, n.skill LIMIT 48)
    UNION ALL
    (SELECT NULL, a.languages, 0, count(*), true
     FROM unnest($1) AS c (account) JOIN revops.account a ON a.account = c.account COLLATE "C"
     WHERE a.languages <> '{}' GROUP BY a.languages ORDER BY count(*) DESC, a.languages LIMIT 16)
$$;
COMMENT ON FUNCTION revops.substitution_needs(text[]) IS
'What customers need: skills at the highest level asked for, weighted by how many need them (an optional one counts half), and languages of which somebody must speak one; the 48 and 16 most needed';

CREATE FUNCTION revops.similar_units(vector bytea, n int) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = on ROWS 40 AS $$
    SELECT p.unit FROM revops.unit_profile p ORDER BY revops.profile_similarity(p.vector, $1) DESC, p.unit LIMIT $2
$$;
COMMENT ON FUNCTION revops.similar_units(bytea, int) IS 'The units whose customers are most like a vector';

-- Planned once, with nothing known of how many there will be: every table is reached by an index, row by row.
CREATE FUNCTION revops.substitution_known(lost text[], customers text[])
RETURNS TABLE (rep text, points float8, served bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET max_parallel_workers_per_gather = 0 ROWS 1000 AS $$
    SELECT x.rep, sum(x.points), count(x.account)
    FROM (
        SELECT s.rep, s.account, revops.decayed(s.rank, h.half_life, revops.now()) AS points
        FROM revops.collaboration_state h CROSS JOIN unnest($2) AS c (account) JOIN revops.service s ON s.account = c.account COLLATE "C"
        UNION ALL
        SELECT c.other, NULL, revops.decayed(c.rank, h.half_life, revops.now())
        FROM revops.collaboration_state h CROSS JOIN unnest($1) AS l (rep) JOIN revops.collaboration c ON c.rep = l.rep COLLATE "C"
    ) x
    GROUP BY x.rep
$$;
COMMENT ON FUNCTION revops.substitution_known(text[], text[]) IS
'Who knows these customers or these reps: the decayed sum of all service and collaboration, and how many of the customers the rep has served';

-- Who can matter: whoever knows the customers or the lost reps best, holds what is needed, is in no unit, or in one that knows them or has
-- customers like these. The lists are bounded, so the cost does not grow with the number of reps, only with that of units (a scan of their vectors).
CREATE FUNCTION revops.substitution_candidates(lost text[], customers text[], vector bytea, skills text[], levels int[], known text[])
RETURNS TABLE (rep text, unit text, whole boolean, similarity float8, room bigint, languages text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET max_parallel_workers_per_gather = 0 ROWS 500 AS $$
#variable_conflict use_column
DECLARE
    at      CONSTANT timestamptz := revops.now();
    overlap CONSTANT float8 := coalesce(nullif(current_setting('revops.substitution_overlap', true), ''), '0.5')::float8;
    most    CONSTANT int := 2000;
    units   text[];
    members text[];
    cut     bigint;
    denied  text[];
    barred  text[];
    listed  text[];
    open_calendars text[];
    open_always boolean;
BEGIN
    -- units that have similar customers, and those that know these, the best of both first
    units := ARRAY(
        SELECT u.unit
        FROM (
            SELECT s.unit, s.place FROM revops.similar_units(vector, 40) WITH ORDINALITY AS s (unit, place)
            UNION ALL
            (SELECT r.unit, row_number() OVER (ORDER BY count(*) DESC, r.unit)
             FROM unnest(known) AS k (rep) JOIN revops.rep r ON r.rep = k.rep COLLATE "C" WHERE r.unit IS NOT NULL
             GROUP BY r.unit ORDER BY 2 LIMIT 12)
        ) u
        GROUP BY u.unit ORDER BY min(u.place), u.unit);
    -- where there are few of these: units of which nothing is known yet
    units := units || ARRAY(SELECT u.unit::text FROM revops.unit u WHERE u.unit <> ALL (units) ORDER BY u.unit LIMIT greatest(40 - cardinality(units), 0));
    -- their members; a unit that the bound cuts is none that could take over as it is
    SELECT array_agg(m.rep ORDER BY m.place, m.rep), max(m.place) INTO members, cut
    FROM (SELECT r.rep, u.place
          FROM unnest(units) WITH ORDINALITY AS u (unit, place)
          CROSS JOIN LATERAL (SELECT x.rep FROM revops.rep x WHERE x.unit = u.unit COLLATE "C" ORDER BY x.rep LIMIT most + 1) r
          ORDER BY u.place, r.rep LIMIT most + 1) m;
    IF cardinality(members) > most THEN
        members := members[:most];
        units := units[:cut - 1];
    END IF;
    SELECT array_agg(DISTINCT p.grantee) FILTER (WHERE p.grantee_kind = 'rep'), array_agg(DISTINCT p.grantee) FILTER (WHERE p.grantee_kind = 'unit')
    INTO denied, barred
    FROM revops.permission p
    WHERE p.deny AND p.what IN ('own', 'read') AND p.until > at
      AND CASE p.scope_kind
              WHEN 'all' THEN true
              WHEN 'account' THEN p.scope = ANY (customers)
              WHEN 'unit' THEN EXISTS (SELECT FROM revops.rep r WHERE r.rep = ANY (lost) AND r.unit = p.scope)
              ELSE EXISTS (SELECT FROM unnest(customers) AS c (account) JOIN revops.account a ON a.account = c.account COLLATE "C"
                           WHERE p.scope = CASE p.scope_kind WHEN 'territory' THEN a.territory WHEN 'industry' THEN a.industry ELSE a.segment END)
          END;
    -- calendars that are open long enough in the hours of those who are lost, at best; NULL is round the clock
    SELECT array_agg(o.calendar) FILTER (WHERE o.calendar IS NOT NULL), bool_or(o.calendar IS NULL) INTO open_calendars, open_always
    FROM (
        SELECT c.calendar
        FROM (SELECT x.calendar, x.time_zone, x.week FROM revops.calendar x UNION ALL SELECT NULL, NULL, NULL) c
        CROSS JOIN (SELECT DISTINCT coalesce(v.calendar, w.calendar) AS calendar
                    FROM revops.rep v LEFT JOIN revops.unit w ON w.unit = v.unit WHERE v.rep = ANY (lost)) y
        LEFT JOIN revops.calendar z ON z.calendar = y.calendar
        GROUP BY c.calendar
        HAVING coalesce(max(revops.hours_overlap(z.time_zone, z.week, c.time_zone, c.week, at)), 1) >= overlap
    ) o;
    listed := ARRAY(
        SELECT k.rep FROM unnest(known[:200]) AS k (rep)
        UNION
        SELECT m.rep FROM unnest(members) AS m (rep)
        UNION
        -- in the order of the index
        (SELECT r.rep FROM revops.rep r WHERE r.unit IS NULL ORDER BY r.unit, r.rep LIMIT 400)
        UNION
        SELECT s.rep FROM unnest(skills, levels) AS n (skill, level) CROSS JOIN LATERAL (
            SELECT x.rep FROM revops.rep_skill x WHERE x.skill = n.skill COLLATE "C" AND x.level >= n.level ORDER BY x.level DESC, x.rep LIMIT 20) s
    );
    RETURN QUERY
    SELECT p.rep, p.unit, coalesce(p.unit = ANY (units), false),
           coalesce(revops.profile_similarity(f.vector, substitution_candidates.vector), 0), p.room, p.languages
    FROM (
        SELECT r.rep, r.unit, r.languages, r.calendar, o.room
        FROM unnest(listed) AS l (rep)
        JOIN revops.rep r ON r.rep = l.rep COLLATE "C"
        CROSS JOIN LATERAL (
            SELECT CASE WHEN r.max_accounts IS NOT NULL THEN
                r.max_accounts - (SELECT count(*) FROM revops.account a WHERE a.owner = r.rep) END AS room OFFSET 0) o
        WHERE r.active
          AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = r.rep AND b.starts_at <= at AND b.ends_at > at)
          AND (denied IS NULL OR r.rep <> ALL (denied)) AND (barred IS NULL OR r.unit IS NULL OR r.unit <> ALL (barred))
        OFFSET 0
    ) p
    LEFT JOIN revops.rep_profile f ON f.rep = p.rep
    LEFT JOIN revops.unit u ON u.unit = p.unit
    WHERE p.rep <> ALL (lost) AND (p.room IS NULL OR p.room > 0)
      AND CASE WHEN coalesce(p.calendar, u.calendar) IS NULL THEN open_always ELSE coalesce(p.calendar, u.calendar) = ANY (open_calendars) END;
END $$;
COMMENT ON FUNCTION revops.substitution_candidates(text[], text[], bytea, text[], int[], text[]) IS
'Reps who may take over: active, present, with room, allowed to, with overlapping hours, and how like the lost customers theirs are. known: who knows them, the best first. whole: all such reps of the unit are listed';

CREATE FUNCTION revops.substitute_units(unit text, top int DEFAULT 3, size int DEFAULT NULL)
RETURNS TABLE (rank int, unit text, members text[], score float8, customer_similarity float8, collaboration float8, skill_match float8,
               weights float8[], room bigint, customers bigint, served_before text[], missing text[], exact boolean, bound float8,
               reasons text[], plan jsonb)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 3 AS 'MODULE_PATHNAME', 'revops_substitute_units';
COMMENT ON FUNCTION revops.substitute_units(text, int, int) IS
'Who can take over from a unit or a territory: existing units, and teams composed of single reps (unit NULL), the best first, no person in two plans. The score is the weighted mean of three factors from 0 to 1; a composed team covers the skills and languages that the customers require, as far as anybody has them, and no team of its size scores above bound. Give plan to revops.activate_substitution()';

CREATE TABLE revops.substitution (
    substitution_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replaces    text COLLATE "C" NOT NULL,
    unit        text COLLATE "C",
    members     text[] COLLATE "C" NOT NULL,
    plan        jsonb NOT NULL,
    until       timestamptz,
    started_at  timestamptz NOT NULL DEFAULT revops.now(),
    started_by  text NOT NULL DEFAULT session_user,
    ended_at    timestamptz,
    ended_by    text
);
COMMENT ON TABLE revops.substitution IS 'Who stands in for whom since when; written by activate_substitution() and end_substitution()';
COMMENT ON COLUMN revops.substitution.replaces IS 'The unit or territory';
COMMENT ON COLUMN revops.substitution.until IS 'Until when access to the customers'' history is granted; NULL: until it is ended';

CREATE TABLE revops.substitution_item (
    kind        text COLLATE "C" NOT NULL CONSTRAINT substitution_item_kind_check CHECK (kind IN ('account', 'opportunity', 'task')),
    subject     text COLLATE "C" NOT NULL,
    substitution_id bigint NOT NULL,
    former      text COLLATE "C" NOT NULL,
    given       text COLLATE "C" NOT NULL,
    given_back  boolean,
    PRIMARY KEY (subject, kind, substitution_id)
);
CREATE INDEX substitution_item_id_idx ON revops.substitution_item (substitution_id);
COMMENT ON TABLE revops.substitution_item IS 'What each substitution handed over: customers, open opportunities and cards, with their owner before and after';
COMMENT ON COLUMN revops.substitution_item.subject IS 'Key of the account or opportunity, or number of the card';
COMMENT ON COLUMN revops.substitution_item.given_back IS 'Since it ended: whether it went back; false: somebody had changed it, or closed it, meanwhile';
SELECT pg_catalog.pg_extension_config_dump('revops.substitution', '');
SELECT pg_catalog.pg_extension_config_dump('revops.substitution_substitution_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('revops.substitution_item', '');

CREATE FUNCTION revops.activate_substitution(plan jsonb, until timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whom    CONSTANT text COLLATE "C" := activate_substitution.plan ->> 'for';
    team    text[];
    case_   record;
    a       record;
    pick    text;
    stuck   text;
    n       bigint;
    id      bigint;
BEGIN
    IF whom IS NULL OR jsonb_typeof(activate_substitution.plan -> 'members') IS DISTINCT FROM 'array' OR activate_substitution.plan -> 'members' = '[]' THEN
        RAISE EXCEPTION 'a plan names whom it replaces, and its members'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Take the column plan of revops.substitute_units(), or give {"for": "east-1", "members": ["li.na", ...]}.';
    ELSIF activate_substitution.until <= revops.now() THEN
        RAISE EXCEPTION 'a substitution cannot end at %, which is past', activate_substitution.until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    team := ARRAY(SELECT DISTINCT m FROM jsonb_array_elements_text(activate_substitution.plan -> 'members') m ORDER BY m);
    -- one at a time: two would divide the same customers
    LOCK TABLE revops.substitution IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO case_ FROM revops.substitution_case(whom);
    SELECT string_agg(m, ', ') INTO stuck FROM unnest(team) m WHERE NOT revops.is_present(m) OR m = ANY (case_.lost);
    IF stuck IS NOT NULL THEN
        RAISE EXCEPTION 'these cannot stand in for "%": %', whom, stuck
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'They do not exist, are not active, are away, or are replaced themselves.',
                  HINT = 'Ask revops.substitute_units() again.';
    END IF;
    INSERT INTO revops.substitution (replaces, unit, members, plan, until)
    VALUES (whom, activate_substitution.plan ->> 'unit', team, activate_substitution.plan, activate_substitution.until)
    RETURNING substitution_id INTO id;

    -- each customer to a member who may own it and has room: who speaks its language, has the skills that it
    -- requires, knows it best, has got less than an even share, has customers like it.
    -- Those whom fewest members suit come first, then the dearest
    PERFORM FROM revops.account x WHERE x.owner = ANY (case_.lost) ORDER BY x.account FOR UPDATE;
    CREATE TEMP TABLE handover ON COMMIT DROP AS
    SELECT m.rep COLLATE "C" AS rep, r.languages, p.vector, 0::bigint AS got,
           r.max_accounts - (SELECT count(*) FROM revops.account x WHERE x.owner = r.rep) AS room
    FROM unnest(team) AS m (rep) JOIN revops.rep r ON r.rep = m.rep COLLATE "C" LEFT JOIN revops.rep_profile p ON p.rep = r.rep;
    FOR a IN
        SELECT x.account, x.owner, x.languages, p.vector
        FROM revops.account x
        LEFT JOIN revops.account_profile p ON p.account = x.account
        LEFT JOIN LATERAL (SELECT sum(o.amount) AS amount FROM revops.opportunity o WHERE o.account = x.account AND o.status = 'open') v ON true
        CROSS JOIN LATERAL (
            SELECT count(*) AS n FROM pg_temp.handover h
            WHERE (h.room IS NULL OR h.room > 0) AND revops.may(h.rep, 'own', x.account)
              AND (x.languages IS NULL OR x.languages = '{}' OR h.languages && x.languages)
              AND NOT EXISTS (SELECT FROM revops.account_need d WHERE d.account = x.account AND d.required
                              AND NOT EXISTS (SELECT FROM revops.rep_skill k WHERE k.rep = h.rep AND k.skill = d.skill AND k.level >= d.level))
        ) suit
        WHERE x.owner = ANY (case_.lost)
        ORDER BY nullif(suit.n, 0) NULLS LAST, v.amount DESC NULLS LAST, x.account
    LOOP
        SELECT h.rep INTO pick
        FROM pg_temp.handover h LEFT JOIN revops.service s ON s.account = a.account AND s.rep = h.rep
        WHERE (h.room IS NULL OR h.got < h.room) AND revops.may(h.rep, 'own', a.account)
        ORDER BY a.languages IS NULL OR a.languages = '{}' OR coalesce(h.languages && a.languages, false) DESC,
                 (SELECT count(*) FROM revops.account_need d WHERE d.account = a.account AND d.required
                  AND NOT EXISTS (SELECT FROM revops.rep_skill k WHERE k.rep = h.rep AND k.skill = d.skill AND k.level >= d.level)),
                 s.rank DESC NULLS LAST, h.got / greatest(case_.total / cardinality(team), 1),
                 coalesce(revops.profile_similarity(h.vector, a.vector), 0) DESC, h.got, h.rep
        LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no member may take over customer "%"', a.account
                USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Each is full (max_accounts) or not permitted to own it. Nothing was handed over.',
                      HINT = 'Ask revops.substitute_units() again, or raise max_accounts in revops.rep.';
        END IF;
        UPDATE pg_temp.handover h SET got = h.got + 1 WHERE h.rep = pick;
        INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given) VALUES ('account', a.account, id, a.owner, pick);
    END LOOP;
    UPDATE revops.account x SET owner = i.given
    FROM revops.substitution_item i WHERE i.substitution_id = id AND i.kind = 'account' AND x.account = i.subject;

    -- open opportunities and cards go where their customer went, or else to the members in turn
    INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given)
    SELECT 'opportunity', o.opportunity, id, o.owner,
           coalesce(i.given, w.owner, team[1 + (hashtextextended(o.opportunity, 0) & 2147483647) % cardinality(team)])
    FROM revops.opportunity o
    LEFT JOIN revops.substitution_item i ON i.subject = o.account AND i.kind = 'account' AND i.substitution_id = id
    LEFT JOIN revops.account w ON w.account = o.account AND w.owner = ANY (team)
    WHERE o.status = 'open' AND o.owner = ANY (case_.lost);
    -- what somebody closed or gave to another in this very moment stays theirs
    WITH handed AS (
        UPDATE revops.opportunity o SET owner = i.given
        FROM revops.substitution_item i
        WHERE i.substitution_id = id AND i.kind = 'opportunity' AND o.opportunity = i.subject AND o.status = 'open' AND o.owner = i.former
        RETURNING i.subject
    )
    DELETE FROM revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'opportunity' AND i.subject NOT IN (SELECT h.subject FROM handed h);
    INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given)
    SELECT 'task', t.task_id, id, t.owner,
           coalesce(oi.given, i.given, w.owner, team[1 + (hashtextextended(t.subject, 0) & 2147483647) % cardinality(team)])
    FROM revops.task t
    LEFT JOIN revops.substitution_item oi ON oi.subject = t.opportunity AND oi.kind = 'opportunity' AND oi.substitution_id = id
    LEFT JOIN revops.substitution_item i ON i.subject = t.account AND i.kind = 'account' AND i.substitution_id = id
    LEFT JOIN revops.account w ON w.account = t.account AND w.owner = ANY (team)
    WHERE t.status IN ('open', 'claimed') AND t.owner = ANY (case_.lost);
    -- lines and escalation stand: the customer waits no longer because of us
    WITH handed AS (
        UPDATE revops.task t SET owner = i.given, unit = coalesce(r.unit, t.unit), status = 'open', claimed_by = NULL, claimed_at = NULL
        FROM revops.substitution_item i LEFT JOIN revops.rep r ON r.rep = i.given
        WHERE i.substitution_id = id AND i.kind = 'task' AND t.task_id = i.subject::bigint
          AND t.status IN ('open', 'claimed') AND t.owner = i.former
        RETURNING i.subject
    )
    DELETE FROM revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'task' AND i.subject NOT IN (SELECT h.subject FROM handed h);
    SELECT count(pg_notify('revops_task', json_build_object('event', 'handed_over', 'task', t.task_id,
               'owner', t.owner, 'due_at', t.due_at)::text)) INTO n
    FROM revops.substitution_item i JOIN revops.task t ON t.task_id = i.subject::bigint WHERE i.substitution_id = id AND i.kind = 'task';

    -- each member may read and write what was handed to anyone of the team: they work on it together
    INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, until, granted_by)
    SELECT 'rep', m, w, 'account', i.subject, coalesce(activate_substitution.until, 'infinity'), 'substitution ' || id
    FROM unnest(team) m, unnest('{read,write}'::text[]) w, revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'account' AND (w = 'read' OR i.given = m);
    DROP TABLE pg_temp.handover;
    RETURN id;
END $$;
COMMENT ON FUNCTION revops.activate_substitution(jsonb, timestamptz) IS
'Carries out a plan of revops.substitute_units(), all or nothing: customers, open opportunities and cards with their deadlines go to its members, who get access to the customers'' history. Returns the number of the substitution';

CREATE FUNCTION revops.end_substitution(id bigint, OUT given_back bigint, OUT kept bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s revops.substitution;
BEGIN
    SELECT * INTO s FROM revops.substitution x WHERE x.substitution_id = end_substitution.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'substitution % does not exist', coalesce(end_substitution.id::text, 'NULL') USING ERRCODE = 'undefined_object';
    ELSIF s.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'substitution % ended at %', s.substitution_id, s.ended_at USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- what somebody gave to another since stays there
    WITH back AS (
        UPDATE revops.account a SET owner = i.former FROM revops.substitution_item i
        WHERE i.substitution_id = s.substitution_id AND i.kind = 'account' AND a.account = i.subject AND a.owner = i.given
        RETURNING i.kind, i.subject
    ), back_opportunity AS (
        UPDATE revops.opportunity o SET owner = i.former FROM revops.substitution_item i
        WHERE i.substitution_id = s.substitution_id AND i.kind = 'opportunity' AND o.opportunity = i.subject AND o.owner = i.given AND o.status = 'open'
        RETURNING i.kind, i.subject
    ), back_task AS (
        UPDATE revops.task t SET owner = i.former, unit = coalesce(r.unit, t.unit), status = 'open', claimed_by = NULL, claimed_at = NULL
        FROM revops.substitution_item i LEFT JOIN revops.rep r ON r.rep = i.former
        WHERE i.substitution_id = s.substitution_id AND i.kind = 'task' AND t.task_id = i.subject::bigint AND t.owner = i.given
          AND t.status IN ('open', 'claimed')
        RETURNING i.kind, i.subject
    ), returned AS (
        SELECT * FROM back UNION ALL SELECT * FROM back_opportunity UNION ALL SELECT * FROM back_task
    ), noted AS (
        UPDATE revops.substitution_item i SET given_back = (i.kind, i.subject) IN (SELECT r.kind, r.subject FROM returned r)
        WHERE i.substitution_id = s.substitution_id
        RETURNING i.given_back
    )
    SELECT count(*) FILTER (WHERE n.given_back), count(*) FILTER (WHERE NOT n.given_back) INTO given_back, kept FROM noted n;
    DELETE FROM revops.permission p WHERE p.granted_by = 'substitution ' || s.substitution_id;
    UPDATE revops.substitution x SET ended_at = revops.now(), ended_by = session_user WHERE x.substitution_id = s.substitution_id;
END $$;
COMMENT ON FUNCTION revops.end_substitution(bigint) IS
'Gives back what a substitution handed over, but for what a person has changed since, and takes back the access that came with it. Returns how much went back, and how much stayed';
