-- assign: new moments of customers whose rep is away or full go to the best free rep at once

CREATE FUNCTION revops.stand_in(rep text, account text, extra jsonb DEFAULT '{}') RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT r.rep
    FROM (
        -- who may matter: the rep's unit, others of its territory, the owner of the customer, and whoever has worked for it
        SELECT u.rep FROM revops.rep w JOIN revops.rep u ON u.unit = w.unit WHERE w.rep = $1 COLLATE "C"
        UNION
        (SELECT u.rep FROM revops.rep w JOIN revops.unit x ON x.unit = w.unit JOIN revops.unit y ON y.territory = x.territory JOIN revops.rep u ON u.unit = y.unit
         WHERE w.rep = $1 COLLATE "C" ORDER BY u.rep LIMIT 200)
        UNION
        SELECT o.owner FROM revops.account o WHERE o.account = $2 COLLATE "C" AND o.owner IS NOT NULL
        UNION
        (SELECT s.rep FROM revops.service s WHERE s.account = $2 COLLATE "C" ORDER BY s.rank DESC, s.rep LIMIT 50)
    ) c
    JOIN revops.rep r ON r.rep = c.rep
    LEFT JOIN revops.account a ON a.account = $2 COLLATE "C"
    LEFT JOIN revops.account_profile ap ON ap.account = a.account
    LEFT JOIN revops.rep_profile rp ON rp.rep = r.rep
    LEFT JOIN revops.service s ON s.account = a.account AND s.rep = r.rep
    LEFT JOIN revops.collaboration k ON k.rep = $1 COLLATE "C" AND k.other = r.rep
    CROSS JOIN LATERAL (SELECT count(*) + coalesce(($3 ->> r.rep)::int, 0) AS cards FROM revops.task t WHERE t.owner = r.rep AND t.status IN ('open', 'claimed')) l
    CROSS JOIN (SELECT h.half_life FROM revops.collaboration_state h) h
    CROSS JOIN LATERAL (SELECT coalesce(revops.decayed(s.rank, h.half_life, revops.now()), 0) + coalesce(revops.decayed(k.rank, h.half_life, revops.now()), 0) AS known) f
    WHERE r.rep <> $1 COLLATE "C" AND revops.is_present(r.rep)
      AND (r.capacity IS NULL OR l.cards < r.capacity)
      AND (a.account IS NULL OR revops.may(r.rep, 'own', a.account))
      AND (a.languages IS NULL OR a.languages = '{}' OR r.languages && a.languages)
    ORDER BY coalesce(r.rep = a.owner, false) DESC, f.known / (1 + f.known)
             + coalesce((r.unit = (SELECT w.unit FROM revops.rep w WHERE w.rep = $1 COLLATE "C"))::int * 0.25, 0)
             + coalesce(revops.profile_similarity(rp.vector, ap.vector), 0) DESC, l.cards,
             hashtextextended(r.rep, hashtextextended(coalesce($2, ''), 0)), r.rep
    LIMIT 1
$$;
COMMENT ON FUNCTION revops.stand_in(text, text, jsonb) IS
'Who is free, present and permitted, and speaks the customer''s language: its owner, or else who of the rep''s unit, of its territory or of those who have worked for the customer knows and suits it best (who is of the unit has a start of 0.25); extra: cards to add to those that a rep has. NULL: nobody';

CREATE FUNCTION revops.cover_moments(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    oldest  CONSTANT timestamptz := revops.now() - coalesce(nullif(current_setting('revops.task_max_age', true), ''), '24 hours')::interval;
    m       record;
    taker   text;
    given   jsonb := '{}';    -- cards that this call gives to each
    n       int := 0;
BEGIN
    FOR m IN
        SELECT x.moment_id, x.subject, a.account, w.owner, w.gone, w.capacity, w.cards, x.playbook IS NOT NULL AS card
        FROM unnest(cover_moments.moments) AS u (moment_id)
        CROSS JOIN LATERAL (SELECT * FROM revops.moment y WHERE y.moment_id = u.moment_id OFFSET 0) x
        LEFT JOIN revops.person p ON p.person = coalesce(x.person, CASE WHEN x.subject_kind = 'person' THEN x.subject END)
        LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(x.opportunity, CASE WHEN x.subject_kind = 'opportunity' THEN x.subject END)
        LEFT JOIN revops.account a ON a.account = coalesce(x.account, CASE WHEN x.subject_kind = 'account' THEN x.subject END, o.account, p.account)
        CROSS JOIN LATERAL (
            SELECT r.rep AS owner, NOT revops.is_present(r.rep) AS gone, r.capacity,
                   CASE WHEN r.capacity IS NOT NULL THEN (SELECT count(*) FROM revops.task t WHERE t.owner = r.rep AND t.status IN ('open', 'claimed')) END AS cards
            FROM revops.rep r WHERE r.rep IN (o.owner, a.owner) ORDER BY coalesce(r.rep = o.owner, false) DESC LIMIT 1
        ) w
        WHERE x.retracted_at IS NULL AND x.occurred_at >= oldest AND x.owner IS NULL AND x.subject_kind <> 'rep' AND (w.gone OR w.capacity IS NOT NULL)
        ORDER BY x.occurred_at, x.moment_id
    LOOP
        taker := NULL;
        IF m.gone OR m.cards + coalesce((given ->> m.owner)::int, 0) >= m.capacity THEN
            taker := revops.stand_in(m.owner, m.account, given);
        END IF;
        IF taker IS NOT NULL THEN
            UPDATE revops.moment x SET owner = taker WHERE x.subject = m.subject AND x.moment_id = m.moment_id;
            n := n + 1;
        END IF;
        IF m.card THEN
            given := jsonb_set(given, ARRAY[coalesce(taker, m.owner)], to_jsonb(coalesce((given ->> coalesce(taker, m.owner))::int, 0) + 1));
        END IF;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.cover_moments(uuid[]) IS
'The stream calls it with new moments before their cards are opened: where the customer''s rep is away or full, the best free rep gets the moment; where nobody is free, open_tasks() routes it. Returns how many';
