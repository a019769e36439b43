-- task: cards opened for moments, and cancelled with them

-- Planned once for all calls, knowing little about how many moments and how much history there are. So that ten thousand are no
-- worse than ten thousand times one, every table has an index to be reached by (and is, also while it is still small), lists go
-- from step to step as arrays (which count as short), and two long ones meet by FULL JOIN, which can only be hashed or merged.
CREATE FUNCTION revops.open_tasks(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    at          CONSTANT timestamptz := revops.now();
    oldest      CONSTANT timestamptz := at - coalesce(nullif(current_setting('revops.task_max_age', true), ''), '24 hours')::interval;
    ids         uuid[];
    subjects    text[];
    owners      text[];
    given       text[];		-- who gets cards of this call already, as owner or stand-in
    free_ids    uuid[];		-- moments of customers whom nobody owns
    free_subjects text[];
    territories text[];
    opened      int;
    back        int;
BEGIN
    IF coalesce(cardinality(open_tasks.moments), 0) = 0 THEN
        RETURN 0;
    END IF;

    -- each moment is looked up by its id (OFFSET 0): a plan made while the table was small must not go over all of it later
    -- a moment that came back after it was retracted gets its card back
    WITH again AS (
        UPDATE revops.task t
        SET status = CASE WHEN t.claimed_by IS NULL THEN 'open' ELSE 'claimed' END, cancelled_at = NULL
        FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest
          AND t.subject = m.subject AND t.moment_id = m.moment_id AND t.status = 'cancelled'
        RETURNING t.subject, t.task_id
    ), resumed AS (
        UPDATE revops.escalation e SET stopped_at = NULL
        FROM again a WHERE e.subject = a.subject AND e.task_id = a.task_id AND e.fired_at IS NULL
    )
    SELECT count(*) INTO back FROM again;

    -- who owns the opportunity, or else the account
    SELECT array_agg(r.moment_id) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered), array_agg(r.subject) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered),
           array_agg(r.rep) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered), array_agg(r.rep) FILTER (WHERE r.rep IS NOT NULL AND r.card),
           array_agg(r.moment_id) FILTER (WHERE r.rep IS NULL), array_agg(r.subject) FILTER (WHERE r.rep IS NULL),
           array_agg(r.territory) FILTER (WHERE r.rep IS NULL)
    INTO ids, subjects, owners, given, free_ids, free_subjects, territories
    FROM (
        SELECT m.moment_id, m.subject, coalesce(m.owner, rs.rep, ro.rep, ra.rep) AS rep, m.owner IS NOT NULL AS covered, a.territory,
               m.playbook IS NOT NULL AND NOT EXISTS (SELECT FROM revops.task t WHERE t.subject = m.subject AND t.moment_id = m.moment_id) AS card
        FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        LEFT JOIN revops.person p ON p.person = coalesce(m.person, CASE WHEN m.subject_kind = 'person' THEN m.subject END)
        LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(m.opportunity, CASE WHEN m.subject_kind = 'opportunity' THEN m.subject END)
        LEFT JOIN revops.account a ON a.account = coalesce(m.account, CASE WHEN m.subject_kind = 'account' THEN m.subject END, o.account, p.account)
        LEFT JOIN revops.rep rs ON rs.rep = CASE WHEN m.subject_kind = 'rep' THEN m.subject END AND rs.active
        LEFT JOIN revops.rep ro ON ro.rep = o.owner AND ro.active
        LEFT JOIN revops.rep ra ON ra.rep = a.owner AND ra.active
        WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest
        ORDER BY m.occurred_at, m.moment_id
    ) r;

    -- or else the reps of the units on duty in the territory who are there, or else the fallback rep
    IF free_ids IS NOT NULL THEN
        WITH free AS MATERIALIZED (
            SELECT f.moment_id, f.subject, coalesce(f.territory, '') AS pool, f.territory,
                   row_number() OVER (PARTITION BY coalesce(f.territory, '') ORDER BY f.ordinality) AS n
            FROM unnest(free_ids, free_subjects, territories) WITH ORDINALITY AS f (moment_id, subject, territory, ordinality)
        ),
        need AS MATERIALIZED (
            SELECT f.pool, min(f.territory) AS territory, count(*) AS k, hashtextextended(min(f.moment_id::text), 0) AS seed
            FROM free f GROUP BY f.pool
        ),
        present AS NOT MATERIALIZED (
            SELECT r.rep, r.unit, r.capacity FROM revops.rep r
            WHERE r.active AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = r.rep AND b.starts_at <= at AND b.ends_at > at)
        ),
        on_duty AS MATERIALIZED (
            SELECT d.pool, d.unit, d.k, d.seed
            FROM (
                SELECT n.pool, n.k, n.seed, d.unit, rank() OVER (PARTITION BY n.pool ORDER BY bool_or(d.territory IS NOT NULL) DESC) AS rank
                FROM need n JOIN revops.duty d ON d.territory IS NULL OR d.territory = n.territory COLLATE "C"
                WHERE at >= d.starts_at AND at < d.ends_at AND EXISTS (SELECT FROM present r WHERE r.unit = d.unit)
                GROUP BY n.pool, n.k, n.seed, d.unit
            ) d
            WHERE d.rank = 1
        ),
        promised AS MATERIALIZED (
            SELECT g.rep, count(*) AS n FROM unnest(given) AS g (rep) GROUP BY g.rep
        ),
        -- the least loaded are filled up first: a rep's next cards are numbered on from those he has, and the k lowest numbers are taken
        slot AS MATERIALIZED (
            SELECT r.pool, r.rep, row_number() OVER (PARTITION BY r.pool ORDER BY s.nth, hashtextextended(r.rep, r.seed), r.rep) AS n
            FROM (
                SELECT d.pool, d.k, d.seed, r.rep, r.capacity, l.load + coalesce(g.n, 0) AS load,
                       max(l.load + coalesce(g.n, 0)) OVER (PARTITION BY d.pool) AS highest,
                       greatest(1, count(*) FILTER (WHERE r.capacity IS NULL) OVER (PARTITION BY d.pool)) AS unlimited
                FROM on_duty d
                JOIN present r ON r.unit = d.unit
                CROSS JOIN LATERAL (SELECT count(*) AS load FROM revops.task t WHERE t.owner = r.rep AND t.status IN ('open', 'claimed')) l
                LEFT JOIN promised g ON g.rep = r.rep
            ) r
            CROSS JOIN LATERAL generate_series(r.load, least(r.load + r.k, r.capacity, r.highest + (r.k + r.unlimited - 1) / r.unlimited) - 1) AS s (nth)
        ),
        spare AS MATERIALIZED (
            SELECT r.rep FROM present r WHERE r.rep = current_setting('revops.fallback_rep', true) COLLATE "C"
        )
        SELECT ids || array_agg(x.moment_id), subjects || array_agg(x.subject), owners || array_agg(x.rep)
        INTO ids, subjects, owners
        FROM (
            SELECT f.moment_id, f.subject, coalesce(s.rep, (SELECT y.rep FROM spare y)) AS rep
            FROM free f FULL JOIN slot s ON s.pool = f.pool AND s.n = f.n
        ) x
        WHERE x.moment_id IS NOT NULL AND x.rep IS NOT NULL;
    END IF;
    UPDATE revops.moment m SET owner = r.owner
    FROM unnest(ids, subjects, owners) AS r (moment_id, subject, owner)
    WHERE m.subject = r.subject COLLATE "C" AND m.moment_id = r.moment_id;

    IF NOT EXISTS (SELECT FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m WHERE m.playbook IS NOT NULL) THEN
        RETURN back;
    END IF;
    WITH
    card AS MATERIALIZED (
        SELECT nextval('revops.task_id_seq') AS task_id, c.*
        FROM (
            SELECT r.*, b.title AS playbook_title, b.line, u.unit, coalesce(r.territory, u.territory) AS card_territory,
                   k.calendar, k.time_zone, k.week, k.holidays, i.intents, i.intent, x.touches, y.contact,
                   f.claimed_by, f.claimed_at, f.answered_at, f.answered_by, f.answered_by_event, f.followed, f.note, f.outcome, f.completed_at,
                   f.opened_at AS first_opened_at, f.due_at AS first_due_at,
                   coalesce(r.person_name, r.account_name, r.person_key, r.subject) AS to_person,
                   coalesce(r.account_name, r.account) AS to_account,
                   jsonb_build_object('segment', r.segment, 'industry', r.industry, 'title', r.person_title, 'stage', r.stage,
                                      'territory', coalesce(r.territory, u.territory), 'unit', u.unit, 'channel', r.channel,
                                      'object', r.object, 'rule', r.rule, 'intent', i.intent, 'account', r.account, 'person', r.person_key) AS profile,
                   coalesce(revops.business_time_add(k.time_zone, k.week, k.holidays, at, b.line, true), at + b.line) AS due_at
            FROM (
                SELECT m.moment_id, m.rule, m.version, m.subject_kind, m.subject, m.occurred_at, m.strength, m.channel, m.object, m.playbook, m.evidence,
                       m.owner AS rep, coalesce(m.person, p.person) AS person_key, p.name AS person_name, p.title AS person_title,
                       coalesce(a.account, m.account) AS account, a.name AS account_name, a.segment, a.industry, a.territory,
                       coalesce(o.opportunity, m.opportunity) AS opportunity, o.name AS opportunity_name, o.stage, o.amount,
                       coalesce(a.properties, '{}') || coalesce(o.properties, '{}') || coalesce(p.properties, '{}') AS properties
                FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
                LEFT JOIN revops.person p ON p.person = coalesce(m.person, CASE WHEN m.subject_kind = 'person' THEN m.subject END)
                LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(m.opportunity, CASE WHEN m.subject_kind = 'opportunity' THEN m.subject END)
                LEFT JOIN revops.account a ON a.account = coalesce(m.account, CASE WHEN m.subject_kind = 'account' THEN m.subject END, o.account, p.account)
                WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest AND m.playbook IS NOT NULL
                  AND NOT EXISTS (SELECT FROM revops.task t WHERE t.subject = m.subject AND t.moment_id = m.moment_id)
            ) r
            JOIN revops.playbook b ON b.playbook = r.playbook
            LEFT JOIN revops.rep w ON w.rep = r.rep
            -- a card of nobody's is for the unit on duty, all of which is away or full
            LEFT JOIN LATERAL (
                SELECT d.unit FROM revops.duty d
                WHERE r.rep IS NULL AND (d.territory IS NULL OR d.territory = r.territory) AND at >= d.starts_at AND at < d.ends_at
                ORDER BY EXISTS (SELECT FROM revops.rep f WHERE f.unit = d.unit AND f.active) DESC, d.territory IS NULL,
                         hashtextextended(d.unit, hashtextextended(r.moment_id::text, 0)), d.unit LIMIT 1
            ) d ON true
            LEFT JOIN revops.unit u ON u.unit = coalesce(w.unit, d.unit)
            LEFT JOIN revops.calendar k ON k.calendar = coalesce(b.calendar, u.calendar)
            LEFT JOIN LATERAL (
                SELECT jsonb_agg(jsonb_build_object('intent', s.intent, 'score', round(s.score::numeric, 3)) ORDER BY s.score DESC, s.intent) AS intents,
                       (array_agg(s.intent ORDER BY s.score DESC, s.intent))[1] AS intent
                FROM (SELECT s.intent, s.score FROM revops.intent_score s
                      WHERE s.subject_kind = r.subject_kind AND s.subject = r.subject
                      ORDER BY s.score DESC, s.intent LIMIT 3) s
            ) i ON true
            LEFT JOIN LATERAL (
                -- the last three of the events that made the moment
                SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('at', e.occurred_at, 'kind', e.kind, 'channel', e.channel, 'object', e.object,
                                 'dwell', e.dwell)) ORDER BY e.occurred_at DESC, e.event_id DESC) AS touches
                FROM revops.event e
                WHERE e.event_id = ANY (r.evidence[greatest(1, cardinality(r.evidence) - 2):])
                  AND e.occurred_at <= r.occurred_at AND e.occurred_at > r.occurred_at - interval '7 days'
            ) x ON true
            LEFT JOIN LATERAL (
                SELECT jsonb_strip_nulls(jsonb_build_object('at', t.answered_at, 'rep', t.answered_by, 'title', t.title, 'outcome', t.outcome)) AS contact
                FROM revops.task t
                WHERE t.subject = r.subject AND t.subject_kind = r.subject_kind AND t.answered_at IS NOT NULL
                ORDER BY t.answered_at DESC, t.task_id DESC LIMIT 1
            ) y ON true
            LEFT JOIN LATERAL (
                -- a moment takes the place of another one of its rule that shares events with it: its subject is known by now, an event came late,
                -- the rule is another version. What people did about that one's card stands
                SELECT t.claimed_by, t.claimed_at, t.answered_at, t.answered_by, t.answered_by_event, t.plan AS followed, t.note, t.outcome, t.completed_at, t.opened_at, t.due_at
                FROM (SELECT r.subject UNION ALL SELECT v.person FROM revops.person v WHERE r.subject_kind = 'person' AND v.identity = r.subject) s
                JOIN revops.task t ON t.subject = s.subject AND t.subject_kind = r.subject_kind AND t.rule = r.rule
                JOIN revops.moment o ON o.subject = t.subject AND o.moment_id = t.moment_id
                WHERE (t.answered_at IS NOT NULL OR t.claimed_by IS NOT NULL) AND o.evidence && r.evidence AND (o.retracted_at IS NOT NULL OR o.subject <> r.subject)
                  -- once: of moments that overlap, the next one is another one
                  AND NOT EXISTS (SELECT FROM revops.task h JOIN revops.moment n ON n.subject = h.subject AND n.moment_id = h.moment_id
                                  WHERE h.subject = r.subject AND h.rule = r.rule AND n.retracted_at IS NULL AND n.evidence && o.evidence
                                    AND (h.answered_at = t.answered_at OR t.answered_at IS NULL AND h.claimed_by = t.claimed_by))
                ORDER BY t.answered_at IS NULL, t.moment_at DESC, t.task_id DESC LIMIT 1
            ) f ON true
            ORDER BY r.occurred_at, r.moment_id
        ) c
    ),
    task AS (
        INSERT INTO revops.task (task_id, subject_kind, subject, moment_id, rule, playbook, title, person, account, opportunity, context,
                                 owner, unit, territory, moment_at, opened_at, due_at, line, calendar, status,
                                 claimed_by, claimed_at, answered_at, answered_by, answered_by_event, plan, note, outcome, completed_at)
        SELECT c.task_id, c.subject_kind, c.subject, c.moment_id, c.rule, c.playbook,
               revops.render_message(c.playbook_title, c.to_person, c.to_account, c.object),
               c.person_key, c.account, c.opportunity,
               jsonb_strip_nulls(jsonb_build_object(
                   'person', c.person_key, 'name', c.person_name, 'title', c.person_title,
                   'account', c.account, 'account_name', c.account_name, 'segment', c.segment, 'industry', c.industry,
                   'opportunity', c.opportunity, 'opportunity_name', c.opportunity_name, 'stage', c.stage, 'amount', c.amount,
                   'channel', c.channel, 'object', c.object, 'strength', c.strength))
               || jsonb_build_object('intents', coalesce(c.intents, '[]'), 'touches', coalesce(c.touches, '[]'))
               || CASE WHEN c.contact IS NULL THEN '{}' ELSE jsonb_build_object('last_contact', c.contact) END,
               c.rep, c.unit, c.card_territory, c.occurred_at, CASE WHEN c.answered_at IS NULL THEN at ELSE c.first_opened_at END,
               CASE WHEN c.answered_at IS NULL THEN c.due_at ELSE c.first_due_at END, c.line, c.calendar,
               CASE WHEN c.completed_at IS NOT NULL THEN 'completed' WHEN c.answered_at IS NOT NULL THEN 'answered' WHEN c.claimed_by IS NOT NULL THEN 'claimed' ELSE 'open' END,
               c.claimed_by, c.claimed_at, c.answered_at, c.answered_by, c.answered_by_event, c.followed, c.note, c.outcome, c.completed_at
        FROM card c
    ),
    level AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, l.level, l.share, l.role,
               coalesce(revops.business_time_add(c.time_zone, c.week, c.holidays, at, c.line * l.share, true), at + c.line * l.share)
        FROM card c JOIN revops.playbook_level l ON l.playbook = c.playbook
        WHERE c.answered_at IS NULL
        ORDER BY c.task_id, l.level
    ),
    -- whom the rule tells at once: levels 0, -1 ..., due now whatever the hour. What no rule could have stored is left out
    tell AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, 1 - row_number() OVER (PARTITION BY c.task_id ORDER BY min(r.n)), 0, r.role, at
        FROM card c JOIN revops.moment_rule v ON v.rule = c.rule AND v.version = c.version
        CROSS JOIN LATERAL json_array_elements_text(CASE json_typeof(v.definition -> 'tell') WHEN 'array' THEN v.definition -> 'tell' ELSE '[]' END)
             WITH ORDINALITY AS r (role, n)
        WHERE r.role IN ('coach', 'director') AND c.answered_at IS NULL
        GROUP BY c.subject_kind, c.subject, c.task_id, r.role
    ),
    -- the plans with their conditions, one row each, and one with none for every plan
    condition AS MATERIALIZED (
        SELECT p.playbook, p.plan, p.title, p.channel, p.message, f.key AS field,
               CASE jsonb_typeof(f.value)
                   WHEN 'object' THEN CASE
                       WHEN f.value ? 'eq' THEN ARRAY[lower(f.value ->> 'eq')]
                       WHEN jsonb_typeof(f.value -> 'in') = 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value -> 'in') v)
                   END
                   WHEN 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value) v)
                   ELSE ARRAY[lower(f.value #>> '{}')]
               END AS yes,
               CASE WHEN jsonb_typeof(f.value) = 'object' AND f.value ? 'ne' THEN
                   CASE jsonb_typeof(f.value -> 'ne')
                       WHEN 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value -> 'ne') v)
                       ELSE ARRAY[lower(f.value ->> 'ne')]
                   END
               END AS no,
               CASE WHEN jsonb_typeof(f.value) = 'object' THEN lower(f.value ->> 'like') END AS pattern,
               CASE WHEN jsonb_typeof(f.value) = 'object' THEN lower(f.value ->> 'prefix') END AS prefix,
               CASE jsonb_typeof(f.value) WHEN 'string' THEN f.value #>> '{}' ELSE f.value::text END AS wanted
        FROM revops.playbook_plan p LEFT JOIN LATERAL jsonb_each(p.fits) f ON true
        WHERE p.playbook IN (SELECT c.playbook FROM card c)
    ),
    offer AS (
        INSERT INTO revops.task_plan (subject, task_id, rank, plan, title, channel, message, score, reason)
        SELECT o.subject, o.task_id, o.rank, o.plan, o.title, o.channel, revops.render_message(o.message, o.to_person, o.to_account, o.object), o.score,
               coalesce(nullif(o.reason, ''), 'fits everyone')
        FROM (
            SELECT g.*, row_number() OVER (PARTITION BY g.task_id ORDER BY g.score DESC, g.plan) AS rank
            FROM (
                SELECT v.task_id, v.subject, v.to_person, v.to_account, v.object, v.plan, v.title, v.channel, v.message,
                       (count(*) FILTER (WHERE v.met) - count(*) FILTER (WHERE NOT v.met)) / (count(v.field) + 1)::float8 AS score,
                       concat_ws('; ',
                           string_agg(v.field || ' is ' || v.value, ', ' ORDER BY v.field) FILTER (WHERE v.met),
                           string_agg(v.field || ' is ' || v.value || ', the plan is for ' || v.wanted, ', ' ORDER BY v.field) FILTER (WHERE NOT v.met),
                           string_agg(v.field || ' is not known', ', ' ORDER BY v.field) FILTER (WHERE v.met IS NULL AND v.field IS NOT NULL)) AS reason
                FROM (
                    SELECT w.*, CASE WHEN w.value IS NOT NULL THEN
                                (w.yes IS NULL OR lower(w.value) = ANY (w.yes)) AND (w.no IS NULL OR lower(w.value) <> ALL (w.no))
                                AND (w.pattern IS NULL OR lower(w.value) LIKE w.pattern ESCAPE '') AND (w.prefix IS NULL OR starts_with(lower(w.value), w.prefix))
                           END AS met
                    FROM (
                        SELECT c.task_id, c.subject, c.to_person, c.to_account, c.object, k.plan, k.title, k.channel, k.message, k.field, k.yes, k.no, k.pattern, k.prefix, k.wanted,
                               CASE WHEN k.field LIKE 'properties.%' THEN c.properties ->> substr(k.field, 12) ELSE c.profile ->> k.field END AS value
                        FROM card c JOIN condition k ON k.playbook = c.playbook
                        OFFSET 0
                    ) w
                ) v
                GROUP BY v.task_id, v.subject, v.to_person, v.to_account, v.object, v.plan, v.title, v.channel, v.message
            ) g
        ) o
        WHERE o.rank <= 3
    )
    SELECT count(*) FILTER (WHERE pg_notify('revops_task', json_build_object('event', 'opened', 'task', c.task_id, 'rule', c.rule, 'owner', c.rep, 'unit', c.unit, 'due_at', c.due_at)::text) IS NOT NULL)
    INTO opened FROM card c WHERE c.answered_at IS NULL;
    RETURN opened + back;
END $$;
COMMENT ON FUNCTION revops.open_tasks(uuid[]) IS
'The stream calls it with new moments: routes each (opportunity owner, account owner, unit on duty, fallback rep) and opens the card of its rule''s playbook, if it is not older than revops.task_max_age; again is harmless. Returns cards opened';

CREATE FUNCTION revops.cancel_tasks(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n int;
BEGIN
    WITH theirs AS MATERIALIZED (
        SELECT t.subject_kind, t.subject, t.task_id
        FROM unnest(cancel_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        JOIN revops.task t ON t.subject = m.subject AND t.moment_id = m.moment_id
        WHERE t.status IN ('open', 'claimed')
    ), free AS MATERIALIZED (
        SELECT t.subject, t.task_id FROM revops.task t
        WHERE (t.subject, t.task_id) IN (SELECT x.subject, x.task_id FROM theirs x) AND t.status IN ('open', 'claimed') FOR UPDATE SKIP LOCKED
    ), later AS (
        -- a card that somebody has locked is come back to
        INSERT INTO revops.repair_request (subject_kind, subject, since)
        SELECT DISTINCT x.subject_kind, x.subject, 'infinity'::timestamptz FROM theirs x
        WHERE NOT EXISTS (SELECT FROM free l WHERE l.subject = x.subject AND l.task_id = x.task_id)
    ), gone AS (
        UPDATE revops.task t SET status = 'cancelled', cancelled_at = revops.now()
        FROM free l WHERE t.subject = l.subject AND t.task_id = l.task_id
        RETURNING t.subject, t.task_id
    ), stopped AS (
        UPDATE revops.escalation e SET stopped_at = revops.now()
        FROM gone g WHERE e.subject = g.subject AND e.task_id = g.task_id AND e.fired_at IS NULL AND e.stopped_at IS NULL
    )
    SELECT count(*) INTO n FROM gone;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.cancel_tasks(uuid[]) IS
'The stream calls it with retracted moments: their open and claimed cards are cancelled, answered ones stay. Returns cards cancelled';
