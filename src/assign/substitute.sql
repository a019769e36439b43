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
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off ROWS 1000 AS $$
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

-- Who can matter: whoever knows the customers or the lost reps best, holds what is needed, or is in a unit that does or has customers like
-- these. The lists are bounded, so the cost does not grow with the number of reps, only with that of units (a scan of their vectors).
CREATE FUNCTION revops.substitution_candidates(lost text[], customers text[], vector bytea, skills text[], levels int[], known text[])
RETURNS TABLE (rep text, unit text, whole boolean, similarity float8, room bigint, languages text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off ROWS 500 AS $$
#variable_conflict use_column
DECLARE
    at      CONSTANT timestamptz := revops.now();
    overlap CONSTANT float8 := coalesce(nullif(current_setting('revops.substitution_overlap', true), ''), '0.5')::float8;
    units   text[];
    denied  text[];
    barred  text[];
    listed  text[];
    open_calendars text[];
    open_always boolean;
BEGIN
    -- units that have similar customers, and those that know these
    units := ARRAY(
        SELECT revops.similar_units(vector, 40)
        UNION
        (SELECT r.unit FROM unnest(known) AS k (rep) JOIN revops.rep r ON r.rep = k.rep COLLATE "C" WHERE r.unit IS NOT NULL
         GROUP BY r.unit ORDER BY count(*) DESC, r.unit LIMIT 12));
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
        (SELECT r.rep FROM unnest(units) AS u (unit) JOIN revops.rep r ON r.unit = u.unit COLLATE "C" LIMIT 2000)
        UNION
        SELECT s.rep FROM unnest(skills, levels) AS n (skill, level) CROSS JOIN LATERAL (
            SELECT x.rep FROM revops.rep_skill x WHERE x.skill = n.skill COLLATE "C" AND x.level >= n.level ORDER BY x.level DESC LIMIT 20) s
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
