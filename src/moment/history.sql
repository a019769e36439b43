-- moment: rules and history: the present version applied to the past, and what a rule would have been worth

-- The lock waits for passes under way, also for one that has only read so far: none writes moments of the old versions afterwards.
CREATE FUNCTION revops.rebuild_moments(rule text, since timestamptz DEFAULT '-infinity') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    name      CONSTANT text := rebuild_moments.rule COLLATE "C";
    start     CONSTANT timestamptz := coalesce(rebuild_moments.since, '-infinity');
    latest    int;
    kinds     text[];
    ids       uuid[];
    retracted bigint := 0;
    cancelled bigint := 0;
    asked     bigint;
BEGIN
    -- an older snapshot would not show what the passes that were waited for have found
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'revops.rebuild_moments() needs a READ COMMITTED transaction'
            USING ERRCODE = 'active_sql_transaction', HINT = 'Run it with SET TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    SELECT m.version INTO latest FROM revops.moment_rule m WHERE m.rule = name AND m.valid_to = 'infinity' ORDER BY m.version DESC LIMIT 1;
    IF NOT FOUND AND EXISTS (SELECT FROM revops.moment_rule m WHERE m.rule = name) THEN
        RAISE EXCEPTION 'rule "%" is not in force', name
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It was ended by revops.drop_rule().',
                  HINT = 'Put it in force again with revops.put_rule().';
    ELSIF latest IS NULL THEN
        RAISE EXCEPTION 'there is no rule %', coalesce('"' || name || '"', 'NULL')
            USING ERRCODE = 'undefined_object', HINT = 'The rules in force are in revops.rule; revops.put_rule() makes one.';
    END IF;

    -- a rule may have been for another kind of subject before
    SELECT array_agg(DISTINCT coalesce(m.definition ->> 'per', 'person')) INTO kinds
    FROM revops.moment_rule m WHERE m.rule = name AND (m.version = latest OR m.valid_from < m.valid_to AND m.valid_to > start);
    UPDATE revops.moment_rule m SET valid_to = greatest(m.valid_from, least(m.valid_to, start))
    WHERE m.rule = name AND m.version <> latest AND m.valid_to > greatest(m.valid_from, start);
    UPDATE revops.moment_rule m SET valid_from = start WHERE m.rule = name AND m.version = latest AND m.valid_from > start;

    FOR ids IN
        SELECT array_agg(x.moment_id)
        FROM (SELECT m.moment_id, (row_number() OVER () - 1) / 50000 AS part FROM revops.moment m
              WHERE m.rule = name AND m.version <> latest AND m.occurred_at >= start AND m.retracted_at IS NULL) x
        GROUP BY x.part
    LOOP
        UPDATE revops.moment m SET retracted_at = revops.now() WHERE m.moment_id = ANY (ids);
        retracted := retracted + cardinality(ids);
        cancelled := cancelled + revops.cancel_tasks(ids);
        RAISE NOTICE 'rule "%": % moments of earlier versions retracted, % cards cancelled', name, retracted, cancelled;
    END LOOP;

    -- their subjects too, whose events may be gone: the scores are computed anew without them
    WITH keys AS (
        SELECT 'person' AS kind, coalesce(p.identity, e.person) AS key
        FROM (SELECT DISTINCT person FROM revops.event WHERE 'person' = ANY (kinds) AND occurred_at >= start AND NOT ahead AND person IS NOT NULL) e
        LEFT JOIN revops.person p ON p.person = e.person
        UNION SELECT 'account', account FROM revops.event
        WHERE 'account' = ANY (kinds) AND occurred_at >= start AND NOT ahead AND account IS NOT NULL
        UNION SELECT 'account', coalesce(k.account, p.account)
        FROM (SELECT DISTINCT person FROM revops.event
              WHERE 'account' = ANY (kinds) AND occurred_at >= start AND NOT ahead AND account IS NULL AND person IS NOT NULL) e
        JOIN revops.person p ON p.person = e.person LEFT JOIN revops.person k ON k.person = p.identity
        WHERE coalesce(k.account, p.account) IS NOT NULL
        UNION SELECT 'opportunity', opportunity FROM revops.event
        WHERE 'opportunity' = ANY (kinds) AND occurred_at >= start AND NOT ahead AND opportunity IS NOT NULL
        UNION SELECT 'rep', rep FROM revops.event WHERE 'rep' = ANY (kinds) AND occurred_at >= start AND NOT ahead AND rep IS NOT NULL
        UNION SELECT m.subject_kind::text, m.subject FROM revops.moment m WHERE m.rule = name AND m.version <> latest AND m.occurred_at >= start)
    INSERT INTO revops.repair_request (subject_kind, subject, since)
    SELECT keys.kind::revops.subject_kind, keys.key, start FROM keys;
    GET DIAGNOSTICS asked = ROW_COUNT;
    RAISE NOTICE 'rule "%": % subjects are to be computed anew', name, asked
        USING HINT = 'The background worker does it; without one, SELECT revops.process().';
    RETURN asked;
END $$;
COMMENT ON FUNCTION revops.rebuild_moments(text, timestamptz) IS
'Applies the present version of a rule to history: to events from since on, as if it had always been there. Older versions end there and their moments from then on are retracted; the stream computes every subject that has events since then anew. Returns how many subjects. Moments older than revops.task_max_age make no cards';

-- One sort finds the next conversion after each moment, moment day and active day: at one instant, conversions come last, so that
-- none follows itself.
CREATE FUNCTION revops.backtest_summary(definition json, since timestamptz DEFAULT revops.now() - interval '90 days',
    until timestamptz DEFAULT revops.now(), converted json DEFAULT NULL, horizon interval DEFAULT '72 hours')
RETURNS TABLE (moments bigint, subjects bigint, converted_subjects bigint, moment_days bigint, conversion_rate float8,
               active_days bigint, base_rate float8, lift float8)
LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    per     text;
    wanted  json := backtest_summary.converted;
    kinds   text[];
    first   CONSTANT timestamptz := backtest_summary.since;
    last    CONSTANT timestamptz := backtest_summary.until;
    span    CONSTANT interval := backtest_summary.horizon;
BEGIN
    IF definition IS NULL OR first IS NULL OR last IS NULL OR span IS NULL THEN
        RAISE EXCEPTION 'a backtest needs a definition, since, until and a horizon' USING ERRCODE = 'null_value_not_allowed';
    ELSIF first >= last THEN
        RAISE EXCEPTION 'since (%) must be before until (%)', first, last USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT isfinite(last) THEN
        RAISE EXCEPTION 'until must be a point in time, not %', last USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out for now.';
    ELSIF span <= '0' OR span > '3650 days' THEN
        RAISE EXCEPTION 'the horizon must be above 0 and at most 3650 days, not %', span
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is how soon after a moment a conversion must follow, such as ''72 hours''.';
    END IF;
    PERFORM revops.check_rule(definition, 'backtest');
    PERFORM revops.check_match(wanted::text);
    per := coalesce(definition ->> 'per', 'person');
    IF wanted IS NULL THEN
        kinds := revops.setting_list('revops.conversion_kinds', 'purchase,order,contract_signed');
        wanted := json_build_object('kind', to_json(kinds));
    END IF;
    wanted := json_build_object('per', per, 'when', wanted);
    PERFORM revops.check_rule(wanted, 'converted');

    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT b.subject, b.occurred_at AS at FROM revops.backtest(definition, first, last) b
    ), active AS (
        SELECT CASE per WHEN 'person' THEN coalesce(p.identity, e.person) WHEN 'account' THEN coalesce(e.account, k.account, p.account)
                        WHEN 'opportunity' THEN e.opportunity ELSE e.rep END AS subject, e.occurred_at AS at
        FROM revops.event e LEFT JOIN revops.person p ON p.person = e.person LEFT JOIN revops.person k ON k.person = p.identity
        WHERE e.occurred_at >= first AND e.occurred_at < last AND NOT e.ahead AND e.side = CASE per WHEN 'rep' THEN 'rep' ELSE 'customer' END
    ), mark AS (
        SELECT f.subject, f.at, 'moment' AS what, 0 AS n FROM found f
        UNION ALL SELECT f.subject, min(f.at), 'moment day', 0 FROM found f GROUP BY f.subject, date_trunc('day', f.at)
        UNION ALL SELECT a.subject, min(a.at), 'active day', 0 FROM active a WHERE a.subject IS NOT NULL GROUP BY a.subject, date_trunc('day', a.at)
        UNION ALL SELECT b.subject, b.occurred_at, 'conversion', 1 FROM revops.backtest(wanted, first, last + span) b
    ), next AS (
        SELECT m.subject, m.what, m.at + span <= revops.now() AS settled,
               coalesce(min(m.at) FILTER (WHERE m.n = 1) OVER (PARTITION BY m.subject ORDER BY m.at DESC, m.n ROWS UNBOUNDED PRECEDING) <= m.at + span, false) AS hit
        FROM mark m
    ), total AS (
        SELECT count(*) FILTER (WHERE n.what = 'moment') AS moments,
               count(DISTINCT n.subject) FILTER (WHERE n.what = 'moment') AS subjects,
               count(DISTINCT n.subject) FILTER (WHERE n.what = 'moment' AND n.hit) AS converted_subjects,
               count(*) FILTER (WHERE n.what = 'moment day' AND n.settled) AS moment_days,
               count(*) FILTER (WHERE n.what = 'moment day' AND n.settled AND n.hit) AS moment_hits,
               count(*) FILTER (WHERE n.what = 'active day' AND n.settled) AS active_days,
               count(*) FILTER (WHERE n.what = 'active day' AND n.settled AND n.hit) AS active_hits
        FROM next n
    )
    SELECT t.moments, t.subjects, t.converted_subjects, t.moment_days, t.moment_hits::float8 / nullif(t.moment_days, 0),
           t.active_days, t.active_hits::float8 / nullif(t.active_days, 0),
           t.moment_hits::float8 / nullif(t.moment_days, 0) / nullif(t.active_hits::float8 / nullif(t.active_days, 0), 0)
    FROM total t;
END $$;
COMMENT ON FUNCTION revops.backtest_summary(json, timestamptz, timestamptz, json, interval) IS
'What a rule would have caught from since to before until, and whether it tells more than chance. moments, on how many subjects; converted_subjects: those with an event that meets converted (default: kind is one of revops.conversion_kinds) after a moment and not later than horizon after it. conversion_rate: the share of moment_days (a subject''s UTC days with a moment) with a conversion within horizon after the day''s first moment. base_rate: the same of active_days (a subject''s UTC days with events of its own side), after the day''s first event. Days whose horizon has not ended at revops.now() are in neither. lift: conversion_rate over base_rate. A rate of nothing is NULL';
