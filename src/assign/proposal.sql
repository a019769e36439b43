-- assign: proposals of who serves whom, reviewed and changed by people before they are applied

CREATE TABLE revops.proposal (
    proposal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope       text COLLATE "C",
    status      text COLLATE "C" NOT NULL DEFAULT 'draft' CONSTRAINT proposal_status_check CHECK (status IN ('draft', 'applied', 'undone')),
    fairness    float8 NOT NULL CONSTRAINT proposal_fairness_check CHECK (fairness >= 0 AND fairness <= 10),
    switch_cost float8 NOT NULL CONSTRAINT proposal_switch_cost_check CHECK (switch_cost >= 0 AND switch_cost <= 10),
    benefit     float8,
    gap         float8,
    created_at  timestamptz NOT NULL DEFAULT revops.now(),
    created_by  text NOT NULL DEFAULT session_user,
    applied_at  timestamptz,
    applied_by  text,
    undone_at   timestamptz
);
COMMENT ON TABLE revops.proposal IS 'Proposals of owners for customers: made by propose_assignments(), changed by pin_assignment(), applied by apply_assignments()';
COMMENT ON COLUMN revops.proposal.scope IS 'Unit or territory whose customers it deals out; NULL: all';
COMMENT ON COLUMN revops.proposal.fairness IS 'How far, as a share, the customers of a rep may be off the mean';
COMMENT ON COLUMN revops.proposal.benefit IS 'Total benefit of its rows';
COMMENT ON COLUMN revops.proposal.gap IS 'How far from the optimum that may be, as a share; 0 is proven';

CREATE TABLE revops.proposal_row (
    account     text COLLATE "C" NOT NULL,
    proposal_id bigint NOT NULL CONSTRAINT proposal_row_proposal_fkey REFERENCES revops.proposal ON DELETE CASCADE,
    owner       text COLLATE "C",
    rep         text COLLATE "C",
    pinned      boolean NOT NULL DEFAULT false,
    benefit     float8,
    value       float8 NOT NULL,
    dropped     text[] NOT NULL DEFAULT '{}',
    reason      text,
    applied     boolean,
    PRIMARY KEY (account, proposal_id)
);
CREATE INDEX proposal_row_proposal_idx ON revops.proposal_row (proposal_id);
COMMENT ON TABLE revops.proposal_row IS 'One customer of a proposal: who owns it, and who shall; the factors are in revops.proposal_pair';
COMMENT ON COLUMN revops.proposal_row.owner IS 'Owner when the proposal was made';
COMMENT ON COLUMN revops.proposal_row.rep IS 'Owner that is proposed; NULL: none, for the reason given';
COMMENT ON COLUMN revops.proposal_row.value IS 'What the customer is worth, from 0.1 to 1.1 within the proposal: amount times win probability of its open opportunities, and its intents';
COMMENT ON COLUMN revops.proposal_row.dropped IS 'Optional skills that nobody has together with the others: dropped, least important first';
COMMENT ON COLUMN revops.proposal_row.applied IS 'Whether applying it changed the owner';

CREATE TABLE revops.proposal_pair (
    account     text COLLATE "C" NOT NULL,
    proposal_id bigint NOT NULL CONSTRAINT proposal_pair_proposal_fkey REFERENCES revops.proposal ON DELETE CASCADE,
    rep         text COLLATE "C" NOT NULL,
    benefit     float8 NOT NULL,
    similarity  float8 NOT NULL,
    skill       float8 NOT NULL,
    language    float8 NOT NULL,
    territory   float8 NOT NULL,
    known       float8 NOT NULL,
    switch_cost float8 NOT NULL,
    PRIMARY KEY (account, proposal_id, rep)
);
CREATE INDEX proposal_pair_proposal_idx ON revops.proposal_pair (proposal_id);
COMMENT ON TABLE revops.proposal_pair IS 'Who might own each customer of a proposal, and what that would be worth: value * (1 + 0.4 similarity + 0.3 skill + 0.1 language + 0.1 territory + 0.1 known - switch_cost)';
COMMENT ON COLUMN revops.proposal_pair.known IS 'How well the rep knows the customer: decayed weeks of service w, as w / (1 + w)';
COMMENT ON COLUMN revops.proposal_pair.switch_cost IS 'The cost of taking the customer from its owner: more, the better that one knows it; 0 for the owner';

CREATE TABLE revops.proposal_change (
    kind        text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    proposal_id bigint NOT NULL CONSTRAINT proposal_change_proposal_fkey REFERENCES revops.proposal ON DELETE CASCADE,
    former      text COLLATE "C",
    given       text COLLATE "C",
    undone      boolean,
    PRIMARY KEY (subject, kind, proposal_id)
);
COMMENT ON TABLE revops.proposal_change IS 'What applying a proposal changed: owners of accounts and of open opportunities, before and after';
COMMENT ON COLUMN revops.proposal_change.undone IS 'Since it was undone: whether it went back; false: somebody had changed it meanwhile';
SELECT pg_catalog.pg_extension_config_dump('revops.proposal', '');
SELECT pg_catalog.pg_extension_config_dump('revops.proposal_proposal_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('revops.proposal_row', '');
SELECT pg_catalog.pg_extension_config_dump('revops.proposal_pair', '');
SELECT pg_catalog.pg_extension_config_dump('revops.proposal_change', '');

CREATE FUNCTION revops.solve_proposal(proposal bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p       revops.proposal;
    total   bigint;
    free    bigint;
    reps    text[];
    mean    float8;
    worst   float8;
BEGIN
    SELECT * INTO STRICT p FROM revops.proposal x WHERE x.proposal_id = solve_proposal.proposal FOR UPDATE;
    SELECT count(*), count(*) FILTER (WHERE NOT r.pinned) INTO total, free FROM revops.proposal_row r WHERE r.proposal_id = p.proposal_id;
    reps := ARRAY(SELECT DISTINCT x.rep FROM revops.proposal_pair x WHERE x.proposal_id = p.proposal_id);
    mean := total / greatest(cardinality(reps), 1)::float8;
    -- least and most that each may get, less what people have given already
    CREATE TEMP TABLE proposal_room ON COMMIT DROP AS
    SELECT r.rep, greatest(0, least(floor(mean * (1 - p.fairness)), m.most) - g.given)::bigint AS least, greatest(0, m.most - g.given)::bigint AS most
    FROM revops.rep r
    CROSS JOIN LATERAL (SELECT count(*) AS given FROM revops.proposal_row w WHERE w.proposal_id = p.proposal_id AND w.pinned AND w.rep = r.rep) g
    CROSS JOIN LATERAL (
        SELECT least(ceil(mean * (1 + p.fairness)), r.max_accounts - (
            SELECT count(*) FROM revops.account a WHERE a.owner = r.rep
               AND NOT EXISTS (SELECT FROM revops.proposal_row w WHERE w.account = a.account AND w.proposal_id = p.proposal_id)))::bigint AS most) m
    WHERE r.rep = ANY (reps);
    UPDATE revops.proposal_row r SET rep = NULL, benefit = NULL, reason = NULL WHERE r.proposal_id = p.proposal_id AND NOT r.pinned;
    IF free > 0 AND EXISTS (SELECT FROM pg_temp.proposal_room WHERE most > 0) THEN
        -- the least that a rep gets is a unit of its own, worth more than anything else: filled first, so both bounds hold where they can
        EXECUTE format('CREATE TEMP TABLE proposal_result ON COMMIT DROP AS SELECT x.task, substr(x.unit, 5) AS rep, x.reason, x.gap FROM revops.optimal_assignment(%L, %L, true) x',
            format('SELECT x.account AS task, s.slot || x.rep AS unit, x.benefit + s.extra AS benefit
                    FROM revops.proposal_pair x
                    JOIN revops.proposal_row r ON r.account = x.account AND r.proposal_id = x.proposal_id AND NOT r.pinned
                    JOIN pg_temp.proposal_room m ON m.rep = x.rep
                    CROSS JOIN LATERAL (VALUES (''min:'', %s::float8, m.least), (''max:'', 0, m.most - m.least)) AS s (slot, extra, places)
                    WHERE x.proposal_id = %s AND s.places > 0', 3 * free + 1, p.proposal_id),
            'SELECT s.slot || m.rep AS unit, s.places AS capacity FROM pg_temp.proposal_room m
             CROSS JOIN LATERAL (VALUES (''min:'', m.least), (''max:'', m.most - m.least)) AS s (slot, places) WHERE s.places > 0');
        UPDATE revops.proposal_row r SET rep = x.rep, benefit = y.benefit
        FROM pg_temp.proposal_result x JOIN revops.proposal_pair y ON y.account = x.task COLLATE "C" AND y.proposal_id = solve_proposal.proposal AND y.rep = x.rep COLLATE "C"
        WHERE r.proposal_id = p.proposal_id AND r.account = x.task COLLATE "C" AND NOT r.pinned;
        SELECT max(x.gap) INTO worst FROM pg_temp.proposal_result x;
        DROP TABLE pg_temp.proposal_result;
    END IF;
    DROP TABLE pg_temp.proposal_room;
    UPDATE revops.proposal_row r
    SET reason = CASE WHEN EXISTS (SELECT FROM revops.proposal_pair x WHERE x.account = r.account AND x.proposal_id = r.proposal_id)
                      THEN 'all who may serve it are full' ELSE 'nobody present has the required skills and language, and may own it' END
    WHERE r.proposal_id = p.proposal_id AND r.rep IS NULL;
    UPDATE revops.proposal x
    SET benefit = (SELECT sum(r.benefit) FROM revops.proposal_row r WHERE r.proposal_id = p.proposal_id), gap = coalesce(worst, 0)
    WHERE x.proposal_id = p.proposal_id;
END $$;
COMMENT ON FUNCTION revops.solve_proposal(bigint) IS 'Solves the rows of a proposal that nobody has pinned, around those that somebody has';

CREATE FUNCTION revops.propose_assignments(scope text DEFAULT NULL, fairness float8 DEFAULT 0.25, switch_cost float8 DEFAULT 0.3, candidates int DEFAULT 20)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    which   CONSTANT text COLLATE "C" := propose_assignments.scope;
    at      CONSTANT timestamptz := revops.now();
    id      bigint;
    reps    text[];
    n       bigint;
    land    text COLLATE "C";    -- the scope, where it is a territory
    denying boolean := EXISTS (SELECT FROM revops.permission p WHERE p.deny AND p.what IN ('own', 'read') AND p.until > revops.now());
BEGIN
    IF NOT coalesce(propose_assignments.fairness BETWEEN 0 AND 10 AND propose_assignments.switch_cost BETWEEN 0 AND 10, false) THEN
        RAISE EXCEPTION 'fairness and switch_cost lie between 0 and 10' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT coalesce(propose_assignments.candidates BETWEEN 1 AND 200, false) THEN
        RAISE EXCEPTION 'each customer has 1 to 200 candidates, not %', coalesce(propose_assignments.candidates::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF which IS NULL THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r WHERE r.unit IS NOT NULL);
    ELSIF EXISTS (SELECT FROM revops.unit u WHERE u.unit = which) THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r WHERE r.unit = which);
    ELSIF EXISTS (SELECT FROM revops.territory t WHERE t.territory = which) THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r JOIN revops.unit u USING (unit) WHERE u.territory = which);
        land := which;
    ELSE
        RAISE EXCEPTION 'there is no unit or territory "%"', which
            USING ERRCODE = 'undefined_object', HINT = 'Units are in revops.unit, territories in revops.territory; NULL is everything.';
    END IF;
    CREATE TEMP TABLE proposal_customer ON COMMIT DROP AS
    SELECT a.account, a.owner, a.territory, a.languages, p.vector, 0::float8 AS value, 0::float8 AS owner_known
    FROM revops.account a LEFT JOIN revops.account_profile p USING (account)
    WHERE which IS NULL OR a.owner = ANY (reps) OR a.territory = land;
    SELECT count(*) INTO n FROM pg_temp.proposal_customer;
    -- who can get customers at all
    reps := ARRAY(SELECT r FROM unnest(reps) r WHERE revops.is_present(r));
    IF n = 0 OR reps = '{}' THEN
        RAISE EXCEPTION '%', CASE WHEN n = 0 THEN 'there are no customers to deal out' ELSE 'nobody is there to deal customers to' END
                || CASE WHEN which IS NULL THEN '' ELSE format(' in "%s"', which) END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Customers are those that a rep of the scope owns, and those of the territory; reps are the active ones of its units who are not away.';
    ELSIF n * cardinality(reps) > 20000000 THEN
        RAISE EXCEPTION '% customers and % reps are too many for one proposal', n, cardinality(reps)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'Make one for each territory or unit; a proposal compares at most 20 million pairs.';
    END IF;

    -- what a customer is worth: amount times win probability of its open opportunities, where that is predicted, and how hot its intents are
    EXECUTE 'UPDATE pg_temp.proposal_customer c SET value = v.value FROM (
        SELECT x.account, 0.1 + 0.7 * x.money / greatest(max(x.money) OVER (), 1e-9) + 0.3 * x.heat / greatest(max(x.heat) OVER (), 1e-9) AS value
        FROM (SELECT c.account,
                     coalesce((SELECT ln(1 + greatest(sum(o.amount * coalesce(' || CASE WHEN to_regclass('revops.win_probability') IS NULL THEN 'NULL'
                         ELSE '(SELECT w.probability FROM revops.win_probability w WHERE w.opportunity = o.opportunity LIMIT 1)' END || '::float8, 0.5)), 0))
                               FROM revops.opportunity o WHERE o.account = c.account AND o.status = ''open''), 0)::float8 AS money,
                     coalesce((SELECT ln(1 + sum(revops.decayed(s.rank, i.half_life, $1)))
                               FROM revops.intent_state s JOIN revops.intent i USING (intent) WHERE s.subject_kind = ''account'' AND s.subject = c.account), 0)::float8 AS heat
              FROM pg_temp.proposal_customer c) x) v WHERE v.account = c.account' USING at;
    UPDATE pg_temp.proposal_customer c SET owner_known = k.known / (1 + k.known)
    FROM (SELECT s.account, s.rep, revops.decayed(s.rank, h.half_life, at) AS known FROM revops.service s, revops.collaboration_state h) k
    WHERE k.account = c.account AND k.rep = c.owner;

    INSERT INTO revops.proposal (scope, fairness, switch_cost) VALUES (which, propose_assignments.fairness, propose_assignments.switch_cost)
    RETURNING proposal_id INTO id;
    INSERT INTO revops.proposal_pair (account, proposal_id, rep, benefit, similarity, skill, language, territory, known, switch_cost)
    SELECT q.account, id, q.rep, q.benefit, q.similarity, q.skill, q.language, q.near, q.known, q.cost
    FROM (
        SELECT y.*, row_number() OVER (PARTITION BY y.account ORDER BY coalesce(y.rep = y.owner, false) DESC, y.benefit DESC, hashtextextended(y.rep, hashtextextended(y.account, 0))) AS place
        FROM (
            SELECT x.*, x.value * (1 + 0.4 * x.similarity + 0.3 * x.skill + 0.1 * x.language + 0.1 * x.near + 0.1 * x.known - x.cost) AS benefit,
                   max(x.run) OVER (PARTITION BY x.account) AS longest
            FROM (
                SELECT c.account, c.owner, c.value, r.rep,
                       coalesce(revops.profile_similarity(c.vector, f.vector), 0) AS similarity,
                       coalesce(s.skill, 1) AS skill,
                       coalesce(s.run, 0) AS run,    -- optional skills that the rep has, from the most important on without a break
                       CASE WHEN c.languages IS NULL OR c.languages = '{}' THEN 1
                            ELSE (SELECT count(*) FROM unnest(c.languages) l WHERE l = ANY (r.languages)) / cardinality(c.languages)::float8 END AS language,
                       CASE WHEN c.territory IS NULL OR c.territory = u.territory THEN 1 ELSE 0 END::float8 AS near,
                       coalesce(k.known / (1 + k.known), 0) AS known,
                       CASE WHEN c.owner IS NULL OR c.owner = r.rep THEN 0 ELSE propose_assignments.switch_cost * (0.2 + 0.8 * c.owner_known) END AS cost
                FROM pg_temp.proposal_customer c
                CROSS JOIN revops.rep r
                LEFT JOIN revops.unit u ON u.unit = r.unit
                LEFT JOIN revops.rep_profile f ON f.rep = r.rep
                LEFT JOIN LATERAL (SELECT revops.decayed(w.rank, h.half_life, at) AS known FROM revops.service w, revops.collaboration_state h
                                   WHERE w.account = c.account AND w.rep = r.rep) k ON true
                LEFT JOIN LATERAL (
                    SELECT sum(CASE WHEN d.required THEN 1 ELSE 0.5 END * least(1, coalesce(d.has, 0) / d.level::float8))
                               / nullif(sum(CASE WHEN d.required THEN 1 ELSE 0.5 END), 0) AS skill,
                           bool_and(coalesce(d.has, 0) >= d.level) FILTER (WHERE d.required) AS fit,
                           count(*) FILTER (WHERE NOT d.required AND d.unbroken) AS run
                    FROM (SELECT m.required, m.level, g.level AS has,
                                 bool_and(coalesce(g.level, 0) >= m.level) FILTER (WHERE NOT m.required)
                                     OVER (ORDER BY m.required DESC, m.priority, m.skill ROWS UNBOUNDED PRECEDING) AS unbroken
                          FROM revops.account_need m LEFT JOIN revops.rep_skill g ON g.skill = m.skill AND g.rep = r.rep
                          WHERE m.account = c.account) d
                ) s ON true
                WHERE r.rep = ANY (reps)
                  AND (c.languages IS NULL OR c.languages = '{}' OR coalesce(r.languages && c.languages, false))
                  AND coalesce(s.fit, true)
                  AND (NOT denying OR revops.may(r.rep, 'own', c.account))
            ) x
        ) y
        WHERE y.run = y.longest
    ) q
    WHERE q.place <= propose_assignments.candidates;
    INSERT INTO revops.proposal_row (account, proposal_id, owner, value, dropped)
    SELECT c.account, id, c.owner, c.value,
           ARRAY(SELECT o.skill::text FROM (SELECT m.skill, m.level, m.priority, row_number() OVER (ORDER BY m.priority, m.skill) AS nth
                                      FROM revops.account_need m WHERE m.account = c.account AND NOT m.required) o
                 WHERE o.nth > (SELECT count(*) FROM (
                                    SELECT bool_and(coalesce(g.level, 0) >= m.level) OVER (ORDER BY m.priority, m.skill ROWS UNBOUNDED PRECEDING) AS unbroken
                                    FROM revops.account_need m LEFT JOIN revops.rep_skill g ON g.skill = m.skill AND g.rep = b.rep
                                    WHERE m.account = c.account AND NOT m.required) z WHERE z.unbroken)
                   AND b.rep IS NOT NULL ORDER BY o.nth DESC)
    FROM pg_temp.proposal_customer c
    LEFT JOIN LATERAL (SELECT x.rep FROM revops.proposal_pair x WHERE x.account = c.account AND x.proposal_id = id LIMIT 1) b ON true;
    DROP TABLE pg_temp.proposal_customer;
    PERFORM revops.solve_proposal(id);
    RETURN id;
END $$;
COMMENT ON FUNCTION revops.propose_assignments(text, float8, float8, int) IS
'Deals the customers of a unit or a territory (NULL: all) to its reps, at the greatest total benefit: nobody gets more or less than the mean by more than the share fairness, as far as that can be; switch_cost is the cost of taking a customer from an owner who knows it well; each customer has so many candidates. Changes nothing but revops.proposal and its rows; returns its number';

CREATE FUNCTION revops.draft_proposal(proposal bigint, status text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p revops.proposal;
BEGIN
    SELECT * INTO p FROM revops.proposal x WHERE x.proposal_id = $1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'proposal % does not exist', coalesce($1::text, 'NULL') USING ERRCODE = 'undefined_object', HINT = 'Make one with revops.propose_assignments().';
    ELSIF p.status <> $2 COLLATE "C" THEN
        RAISE EXCEPTION 'proposal % is not %, it is %', $1, CASE $2 WHEN 'draft' THEN 'a draft' ELSE $2 END, p.status USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END $$;
COMMENT ON FUNCTION revops.draft_proposal(bigint, text) IS 'Locks a proposal, and raises an error unless it is in that status';

CREATE FUNCTION revops.pin_assignment(proposal bigint, account text, rep text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM revops.draft_proposal(pin_assignment.proposal, 'draft');
    IF pin_assignment.rep IS NOT NULL AND NOT EXISTS (SELECT FROM revops.rep r WHERE r.rep = pin_assignment.rep COLLATE "C" AND r.active) THEN
        RAISE EXCEPTION 'there is no active rep "%"', pin_assignment.rep USING ERRCODE = 'undefined_object', HINT = 'Reps are in revops.rep.';
    ELSIF pin_assignment.rep IS NOT NULL AND NOT revops.may(pin_assignment.rep, 'own', pin_assignment.account) THEN
        RAISE EXCEPTION 'rep "%" may not own "%"', pin_assignment.rep, pin_assignment.account
            USING ERRCODE = 'insufficient_privilege', HINT = 'See revops.permission.';
    END IF;
    UPDATE revops.proposal_row r
    SET pinned = pin_assignment.rep IS NOT NULL, rep = pin_assignment.rep, reason = NULL,
        benefit = (SELECT x.benefit FROM revops.proposal_pair x WHERE x.account = r.account AND x.proposal_id = r.proposal_id AND x.rep = pin_assignment.rep COLLATE "C")
    WHERE r.proposal_id = pin_assignment.proposal AND r.account = pin_assignment.account COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'customer "%" is not in proposal %', pin_assignment.account, pin_assignment.proposal USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM revops.solve_proposal(pin_assignment.proposal);
END $$;
COMMENT ON FUNCTION revops.pin_assignment(bigint, text, text) IS
'A person decides who gets a customer of a draft; the rest is solved again around it. rep NULL takes that back';

CREATE FUNCTION revops.apply_assignments(proposal bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    n bigint;
BEGIN
    PERFORM revops.draft_proposal(apply_assignments.proposal, 'draft');
    -- whoever got a customer by hand since the proposal was made keeps it
    WITH moved AS (
        UPDATE revops.account a SET owner = r.rep
        FROM revops.proposal_row r
        WHERE r.proposal_id = apply_assignments.proposal AND a.account = r.account AND r.rep IS NOT NULL
          AND a.owner IS NOT DISTINCT FROM r.owner AND r.rep IS DISTINCT FROM r.owner
        RETURNING a.account, r.owner AS former, r.rep AS given
    ), deals AS (
        UPDATE revops.opportunity o SET owner = m.given FROM moved m
        WHERE o.account = m.account AND o.status = 'open' AND (o.owner IS NULL OR o.owner = m.former)
        RETURNING o.opportunity, m.former, m.given, m.account
    ), logged AS (
        INSERT INTO revops.proposal_change (kind, subject, proposal_id, former, given)
        SELECT 'account', m.account, apply_assignments.proposal, m.former, m.given FROM moved m
        UNION ALL
        SELECT 'opportunity', d.opportunity, apply_assignments.proposal, o.owner, d.given FROM deals d JOIN revops.opportunity o ON o.opportunity = d.opportunity
        RETURNING kind, subject
    ), noted AS (
        UPDATE revops.proposal_row r SET applied = r.account IN (SELECT m.account FROM moved m) WHERE r.proposal_id = apply_assignments.proposal
    )
    SELECT count(*) FILTER (WHERE l.kind = 'account') INTO n FROM logged l;
    UPDATE revops.proposal p SET status = 'applied', applied_at = revops.now(), applied_by = session_user WHERE p.proposal_id = apply_assignments.proposal;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.apply_assignments(bigint) IS
'Gives the customers of a draft, and their owner''s open opportunities, to the proposed reps; a customer that changed hands since the proposal was made is left alone. Returns how many customers changed hands';

CREATE FUNCTION revops.undo_assignments(proposal bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    n bigint;
BEGIN
    PERFORM revops.draft_proposal(undo_assignments.proposal, 'applied');
    WITH back AS (
        UPDATE revops.account a SET owner = c.former FROM revops.proposal_change c
        WHERE c.proposal_id = undo_assignments.proposal AND c.kind = 'account' AND a.account = c.subject AND a.owner = c.given
        RETURNING c.kind, c.subject
    ), deals AS (
        UPDATE revops.opportunity o SET owner = c.former FROM revops.proposal_change c
        WHERE c.proposal_id = undo_assignments.proposal AND c.kind = 'opportunity' AND o.opportunity = c.subject AND o.owner = c.given AND o.status = 'open'
        RETURNING c.kind, c.subject
    ), noted AS (
        UPDATE revops.proposal_change c SET undone = (c.kind, c.subject) IN (SELECT b.kind, b.subject FROM back b UNION ALL SELECT d.kind, d.subject FROM deals d)
        WHERE c.proposal_id = undo_assignments.proposal
        RETURNING c.kind, c.undone
    )
    SELECT count(*) FILTER (WHERE x.undone AND x.kind = 'account') INTO n FROM noted x;
    UPDATE revops.proposal p SET status = 'undone', undone_at = revops.now() WHERE p.proposal_id = undo_assignments.proposal;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.undo_assignments(bigint) IS
'Gives back what apply_assignments() changed, but for what a person has changed since. Returns how many customers went back';
