-- task: cards answered by what reps do, claimed, responded to and completed, and the levels that fire until then

CREATE FUNCTION revops.answer_tasks(lane int, lanes int, reps text[], persons text[], accounts text[], opportunities text[],
                                    at timestamptz[], event_ids uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n int;
BEGIN
    IF coalesce(cardinality(answer_tasks.event_ids), 0) = 0 THEN
        RETURN 0;
    END IF;
    WITH outbound AS MATERIALIZED (
        SELECT u.rep COLLATE "C" AS rep, u.person COLLATE "C" AS person, u.account COLLATE "C" AS account,
               u.opportunity COLLATE "C" AS opportunity, u.at, u.event_id
        FROM unnest(answer_tasks.reps, answer_tasks.persons, answer_tasks.accounts, answer_tasks.opportunities, answer_tasks.at, answer_tasks.event_ids)
             AS u (rep, person, account, opportunity, at, event_id)
        WHERE u.rep IS NOT NULL AND u.at IS NOT NULL
    ), hit AS (
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.person = o.person
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at AND t.subject_kind = 'person'
        UNION ALL
        -- an event of the account reaches the account's cards, and those of its persons if it names nobody
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.account = o.account
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at
          AND (t.subject_kind = 'account' OR t.subject_kind = 'person' AND o.person IS NULL
               OR t.subject_kind = 'opportunity' AND o.opportunity IS NULL)
        UNION ALL
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.opportunity = o.opportunity
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at
          AND (t.subject_kind = 'opportunity' OR t.subject_kind = 'person' AND o.person IS NULL AND o.account IS NULL)
    ), first AS MATERIALIZED (
        SELECT DISTINCT ON (h.subject, h.task_id) h.subject_kind, h.subject, h.task_id, h.rep, h.at, h.event_id
        FROM hit h
        WHERE h.at >= h.moment_at
          -- what made the moment does not answer it: three follow-ups that avoid a question
          AND (h.at > h.moment_at OR NOT EXISTS (SELECT FROM revops.moment m WHERE m.subject = h.subject AND m.moment_id = h.moment_id AND h.event_id = ANY (m.evidence)))
          AND (h.answered_at IS NULL OR h.at < h.answered_at OR h.event_id < h.answered_by_event)
          AND (answer_tasks.lane IS NULL OR answer_tasks.lane < 0
               OR revops.subject_lane(h.subject_kind, h.subject, answer_tasks.lanes) = answer_tasks.lane)
          -- of the card's rep: its owner, its claimer, one who was told, or one of the unit of an unowned card
          AND (h.rep = h.owner OR h.rep = h.claimed_by
               OR h.owner IS NULL AND (h.unit IS NULL OR EXISTS (SELECT FROM revops.rep r WHERE r.rep = h.rep AND r.unit = h.unit))
               OR EXISTS (SELECT FROM revops.escalation e WHERE e.subject = h.subject AND e.task_id = h.task_id AND e.told = h.rep))
        ORDER BY h.subject, h.task_id, h.at, h.event_id
    ), free AS MATERIALIZED (
        SELECT t.subject, t.task_id FROM revops.task t WHERE (t.subject, t.task_id) IN (SELECT f.subject, f.task_id FROM first f) FOR UPDATE SKIP LOCKED
    ), later AS (
        -- a card that somebody has locked is come back to, so that no client can hold up the stream
        INSERT INTO revops.repair_request (subject_kind, subject, since)
        SELECT DISTINCT f.subject_kind, f.subject, 'infinity'::timestamptz FROM first f
        WHERE NOT EXISTS (SELECT FROM free l WHERE l.subject = f.subject AND l.task_id = f.task_id)
    ), answered AS (
        UPDATE revops.task t
        SET status = CASE WHEN t.status IN ('open', 'claimed') THEN 'answered' ELSE t.status END,
            answered_at = f.at, answered_by = f.rep, answered_by_event = f.event_id
        FROM first f JOIN free l USING (subject, task_id)
        WHERE t.subject = f.subject AND t.task_id = f.task_id AND t.status <> 'cancelled'
          AND (t.answered_at IS NULL OR f.at < t.answered_at OR f.at = t.answered_at AND f.event_id < t.answered_by_event)
        RETURNING t.subject_kind, t.subject, t.task_id, t.rule, t.owner, t.answered_at, t.answered_by, t.due_at
    ), stopped AS (
        UPDATE revops.escalation e SET stopped_at = revops.now()
        FROM answered a WHERE e.subject = a.subject AND e.task_id = a.task_id AND e.level > 0 AND e.fired_at IS NULL AND e.stopped_at IS NULL
    )
    SELECT count(*) FILTER (WHERE pg_notify('revops_task', json_build_object('event', 'answered', 'task', a.task_id, 'rule', a.rule, 'owner', a.owner, 'answered_by', a.answered_by, 'answered_at', a.answered_at,
               'in_line', a.answered_at <= a.due_at)::text) IS NOT NULL)
    INTO n FROM answered a;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.answer_tasks(int, int, text[], text[], text[], text[], timestamptz[], uuid[]) IS
'The stream calls it with outbound events of reps: each answers the cards of that customer whose moment it follows and is no part of; an earlier one that arrives late moves the answer back. Lane NULL: all cards. Returns cards touched';

-- A level that someone has locked (a rep who answers this very moment) is left to the next call, so that no client can hold up the stream.
CREATE FUNCTION revops.escalate_due(lane int DEFAULT NULL, lanes int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    at  CONSTANT timestamptz := revops.now();
    n   int;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT e.subject, e.task_id, e.level, e.role, e.due_at
        FROM revops.escalation e
        WHERE e.fired_at IS NULL AND e.stopped_at IS NULL AND e.due_at <= at
          AND (escalate_due.lane IS NULL OR escalate_due.lane < 0
               OR revops.subject_lane(e.subject_kind, e.subject, escalate_due.lanes) = escalate_due.lane)
        ORDER BY e.due_at, e.task_id, e.level
        FOR UPDATE SKIP LOCKED
    ), told AS MATERIALIZED (
        -- where nobody holds the role, the next one up
        SELECT d.*, coalesce(CASE WHEN d.role = 'owner' THEN o.rep END, CASE WHEN d.role IN ('owner', 'coach') THEN c.rep END, h.rep,
                             (SELECT r.rep FROM revops.rep r WHERE r.rep = current_setting('revops.fallback_rep', true) COLLATE "C" AND r.active)) AS told
        FROM due d
        JOIN revops.task t ON t.subject = d.subject AND t.task_id = d.task_id
        LEFT JOIN revops.unit u ON u.unit = t.unit
        LEFT JOIN revops.territory y ON y.territory = coalesce(t.territory, u.territory)
        LEFT JOIN revops.rep o ON o.rep = coalesce(t.claimed_by, t.owner) AND o.active
        LEFT JOIN revops.rep c ON c.rep = u.coach AND c.active
        LEFT JOIN revops.rep h ON h.rep = y.director AND h.active
    ), fired AS (
        UPDATE revops.escalation e SET fired_at = at, told = d.told
        FROM told d WHERE e.subject = d.subject AND e.task_id = d.task_id AND e.level = d.level AND e.fired_at IS NULL
        RETURNING e.subject_kind, e.subject, e.task_id, e.level, e.share, e.role, e.told, e.due_at
    )
    SELECT count(pg_notify('revops_task', json_build_object('event', 'escalated', 'task', f.task_id,
               'level', f.level, 'share', f.share, 'role', f.role, 'told', f.told, 'due_at', f.due_at)::text) ORDER BY f.due_at, f.task_id, f.level)
    INTO n FROM fired f;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.escalate_due(int, int) IS
'Fires each escalation level that is due at revops.now(), exactly once, and notifies revops_task. Lane NULL: all cards. Returns levels fired';

CREATE FUNCTION revops.next_escalation_at() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(e.due_at) FROM revops.escalation e WHERE e.fired_at IS NULL AND e.stopped_at IS NULL
$$;
COMMENT ON FUNCTION revops.next_escalation_at() IS 'When the next escalation level is due; NULL: none';

CREATE FUNCTION revops.claim_tasks(rep text, n int DEFAULT 1) RETURNS SETOF revops.task
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who     revops.rep;
    bound   CONSTANT text := revops.caller_bound();
BEGIN
    SELECT * INTO who FROM revops.rep r WHERE r.rep = claim_tasks.rep COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rep "%" does not exist', claim_tasks.rep USING ERRCODE = 'undefined_object', HINT = 'Reps are in revops.rep.';
    ELSIF NOT who.active THEN
        RAISE EXCEPTION 'rep "%" is not active', claim_tasks.rep USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF claim_tasks.n IS NULL OR claim_tasks.n < 1 THEN
        RAISE EXCEPTION 'claim at least one card, not %', coalesce(claim_tasks.n::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    ELSIF bound <> who.rep THEN
        RAISE EXCEPTION 'you are rep "%", and cannot claim cards for "%"', bound, who.rep USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
    WITH free AS MATERIALIZED (
        SELECT t.subject, t.task_id
        FROM revops.task t
        WHERE t.status = 'open' AND (t.owner = who.rep OR t.owner IS NULL AND (t.unit IS NULL OR t.unit = who.unit))
          AND (bound IS NULL OR revops.caller_sees_row(t.account, t.opportunity, t.person, t.subject_kind, t.subject))
        ORDER BY t.due_at, t.task_id
        LIMIT claim_tasks.n
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE revops.task t
        SET status = 'claimed', claimed_by = who.rep, claimed_at = revops.now(), owner = who.rep, unit = coalesce(t.unit, who.unit)
        FROM free f WHERE t.subject = f.subject AND t.task_id = f.task_id
        RETURNING t.*
    )
    SELECT c.* FROM claimed c ORDER BY c.due_at, c.task_id;
END $$;
COMMENT ON FUNCTION revops.claim_tasks(text, int) IS
'A rep takes up to n cards, the soonest due first: his own, and those of his unit that nobody owns. Two who claim at once never get the same one';

CREATE FUNCTION revops.check_work(account text, mine text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who     CONSTANT text := revops.caller_bound();
    denied  boolean;
    reads   boolean;
BEGIN
    IF who IS NULL OR check_work.account IS NULL THEN
        RETURN;
    END IF;
    SELECT coalesce(bool_or(p.deny AND p.what IN ('read', 'write')), false), coalesce(bool_or(NOT p.deny AND p.what = 'read'), false)
    INTO denied, reads
    FROM revops.rep r JOIN revops.account a ON a.account = check_work.account COLLATE "C" LEFT JOIN revops.rep o ON o.rep = a.owner
    JOIN revops.permission p ON p.grantee = CASE p.grantee_kind WHEN 'rep' THEN r.rep ELSE r.unit END AND p.until > statement_timestamp()
        AND CASE p.scope_kind WHEN 'all' THEN true WHEN 'account' THEN p.scope = a.account WHEN 'unit' THEN p.scope = o.unit
                 WHEN 'territory' THEN p.scope = a.territory WHEN 'industry' THEN p.scope = a.industry ELSE p.scope = a.segment END
    WHERE r.rep = who;
    -- who may only read does no work, but for their own cards
    IF denied OR reads AND NOT coalesce(who = ANY (check_work.mine), false) AND NOT revops.may(who, 'write', check_work.account) THEN
        RAISE EXCEPTION 'you may read, and not write, what is of account "%"', check_work.account USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
COMMENT ON FUNCTION revops.check_work(text, text[]) IS 'An error where the rep who called may only read a customer, or is denied to write. mine: who may work on it all the same';

CREATE FUNCTION revops.respond(task bigint, plan int DEFAULT NULL, note text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    card revops.task;
    at   timestamptz := revops.now();
    who  CONSTANT text := revops.caller_bound();    -- a rep who says so answered it, whoever owns the card
BEGIN
    SELECT * INTO card FROM revops.task t WHERE t.task_id = respond.task FOR UPDATE;
    IF NOT FOUND OR NOT revops.caller_sees_row(card.account, card.opportunity, card.person, card.subject_kind, card.subject) THEN
        RAISE EXCEPTION 'task % does not exist', coalesce(respond.task::text, 'NULL') USING ERRCODE = 'undefined_object';
    ELSIF card.status = 'cancelled' THEN
        RAISE EXCEPTION 'task % was cancelled', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its moment was retracted.';
    ELSIF card.status = 'completed' THEN
        RAISE EXCEPTION 'task % is already completed', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Its outcome is "%s".', card.outcome);
    ELSIF card.status = 'answered' AND (card.answered_by_event IS NULL OR card.plan IS NOT NULL OR card.note IS NOT NULL) THEN
        RAISE EXCEPTION 'task % is already answered', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('%s answered it at %s.', coalesce(card.answered_by, 'Somebody'), card.answered_at),
                  HINT = format('Close it with revops.complete(%s, ''outcome'').', respond.task);
    ELSIF respond.plan IS NOT NULL AND NOT EXISTS (
        SELECT FROM revops.task_plan p WHERE p.subject = card.subject AND p.task_id = card.task_id AND p.rank = respond.plan) THEN
        RAISE EXCEPTION 'task % has no plan %', respond.task, respond.plan
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A plan is given by its rank in revops.task_plan.';
    ELSIF octet_length(respond.note) > 100000 THEN
        RAISE EXCEPTION 'the note is longer than 100,000 bytes' USING ERRCODE = 'string_data_right_truncation';
    END IF;
    PERFORM revops.check_work(card.account, ARRAY[card.owner, card.claimed_by]);
    at := greatest(at, card.moment_at);    -- nobody answers what has not been
    -- where a captured event was first, this only adds what the rep did
    UPDATE revops.task t
    SET status = 'answered', answered_at = coalesce(t.answered_at, at), answered_by = coalesce(t.answered_by, who, t.claimed_by, t.owner),
        plan = respond.plan, note = respond.note
    WHERE t.subject = card.subject AND t.task_id = card.task_id;
    UPDATE revops.escalation e SET stopped_at = at
    WHERE e.subject = card.subject AND e.task_id = card.task_id AND e.level > 0 AND e.fired_at IS NULL AND e.stopped_at IS NULL;
    IF card.answered_at IS NULL THEN
        PERFORM pg_notify('revops_task', json_build_object('event', 'answered', 'task', card.task_id,
            'rule', card.rule, 'owner', card.owner, 'answered_by', coalesce(who, card.claimed_by, card.owner), 'answered_at', at, 'in_line', at <= card.due_at)::text);
    END IF;
    RETURN coalesce(card.answered_at, at) <= card.due_at;
END $$;
COMMENT ON FUNCTION revops.respond(bigint, int, text) IS
'The rep answered the customer, by the plan of that rank in revops.task_plan if one is given; escalation stops. True if it was within the line';

CREATE FUNCTION revops.complete(task bigint, outcome text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    card revops.task;
BEGIN
    SELECT * INTO card FROM revops.task t WHERE t.task_id = complete.task FOR UPDATE;
    IF NOT FOUND OR NOT revops.caller_sees_row(card.account, card.opportunity, card.person, card.subject_kind, card.subject) THEN
        RAISE EXCEPTION 'task % does not exist', coalesce(complete.task::text, 'NULL') USING ERRCODE = 'undefined_object';
    ELSIF card.status IN ('open', 'claimed') THEN
        RAISE EXCEPTION 'task % is not answered yet', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Answer the customer and say so with revops.respond(%s).', complete.task);
    ELSIF card.status = 'cancelled' THEN
        RAISE EXCEPTION 'task % was cancelled', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its moment was retracted.';
    ELSIF card.status = 'completed' THEN
        RAISE EXCEPTION 'task % is already completed', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Its outcome is "%s".', card.outcome);
    ELSIF coalesce(complete.outcome, '') = '' THEN
        RAISE EXCEPTION 'task % needs an outcome to be completed', complete.task
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what came of it, such as ''meeting booked'' or ''no interest''.';
    ELSIF octet_length(complete.outcome) > 10000 THEN
        RAISE EXCEPTION 'the outcome is longer than 10,000 bytes' USING ERRCODE = 'string_data_right_truncation';
    END IF;
    PERFORM revops.check_work(card.account, ARRAY[card.owner, card.claimed_by]);
    UPDATE revops.task t SET status = 'completed', outcome = complete.outcome, completed_at = revops.now()
    WHERE t.subject = card.subject AND t.task_id = card.task_id;
END $$;
COMMENT ON FUNCTION revops.complete(bigint, text) IS 'Close an answered card and say what came of it';
