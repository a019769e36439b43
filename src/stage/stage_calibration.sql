-- stage: calibrations, and the views

CREATE TABLE revops.calibration (
    opportunity text COLLATE "C" NOT NULL,
    calibration_id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    pipeline    text COLLATE "C" NOT NULL,
    before      text,
    after       text NOT NULL,
    probability float8 NOT NULL,
    estimated_since timestamptz NOT NULL,
    evidence    uuid[] NOT NULL,
    evidence_symbols text[] NOT NULL,
    model_id    uuid NOT NULL,
    threshold   float8 NOT NULL,
    calibrated_at timestamptz NOT NULL DEFAULT revops.now(),
    calibrated_by text NOT NULL DEFAULT session_user,
    undone_at   timestamptz,
    undone_by   text,
    PRIMARY KEY (opportunity, calibration_id)
);
CREATE INDEX calibration_id ON revops.calibration (calibration_id);
COMMENT ON TABLE revops.calibration IS 'Each correction of a recorded stage, with what it rests on. Written by calibrate_stages() and undo_calibration()';
COMMENT ON COLUMN revops.calibration.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.calibration.calibration_id IS 'For undo_calibration()';
COMMENT ON COLUMN revops.calibration.pipeline IS 'Its pipeline';
COMMENT ON COLUMN revops.calibration.before IS 'The stage on record before';
COMMENT ON COLUMN revops.calibration.after IS 'and after';
COMMENT ON COLUMN revops.calibration.probability IS 'Of the stage that was set';
COMMENT ON COLUMN revops.calibration.estimated_since IS 'Since when it had been the likeliest';
COMMENT ON COLUMN revops.calibration.evidence IS 'Events and moments that made it so, NULL for a change of the record; at most 8';
COMMENT ON COLUMN revops.calibration.evidence_symbols IS 'What each of them was to the filter';
COMMENT ON COLUMN revops.calibration.model_id IS 'The model (stage_model.version_id)';
COMMENT ON COLUMN revops.calibration.threshold IS 'The probability that was asked for';
COMMENT ON COLUMN revops.calibration.calibrated_at IS 'When';
COMMENT ON COLUMN revops.calibration.calibrated_by IS 'Who called calibrate_stages()';
COMMENT ON COLUMN revops.calibration.undone_at IS 'When it was undone; NULL: it was not';
COMMENT ON COLUMN revops.calibration.undone_by IS 'By whom';
SELECT pg_catalog.pg_extension_config_dump('revops.calibration', '');

CREATE TABLE revops.calibration_refusal (
    opportunity text COLLATE "C" PRIMARY KEY,
    pipeline    text COLLATE "C" NOT NULL,
    before      text,
    after       text NOT NULL,
    reason      text NOT NULL,
    refused_at  timestamptz NOT NULL DEFAULT revops.now(),
    refused_by  text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE revops.calibration_refusal IS 'Calibrations that an attached table refused: its row had been changed since, or does not take the stage. They stay proposals; written by calibrate_stages()';
COMMENT ON COLUMN revops.calibration_refusal.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.calibration_refusal.pipeline IS 'Its pipeline';
COMMENT ON COLUMN revops.calibration_refusal.before IS 'The stage on record';
COMMENT ON COLUMN revops.calibration_refusal.after IS 'The stage that was to be set';
COMMENT ON COLUMN revops.calibration_refusal.reason IS 'Why it was not';
COMMENT ON COLUMN revops.calibration_refusal.refused_at IS 'When it was tried last';
COMMENT ON COLUMN revops.calibration_refusal.refused_by IS 'Who called calibrate_stages()';
SELECT pg_catalog.pg_extension_config_dump('revops.calibration_refusal', '');

CREATE FUNCTION revops.stage_proposals(pipeline text, threshold float8)
RETURNS TABLE (opportunity text, recorded text, estimated text, probability float8, since timestamptz, lag_hours float8, evidence uuid[], evidence_symbols text[],
    pipeline_of text, model_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10000 AS $$
    WITH differs AS MATERIALIZED (
        SELECT s.opportunity, o.stage AS recorded, s.stage, s.probability, s.since, s.seen_at, s.evidence, s.evidence_symbols, s.pipeline, s.model_id
        FROM revops.stage_state s JOIN revops.opportunity o USING (opportunity)
        WHERE s.stage IS DISTINCT FROM o.stage COLLATE "C" AND s.probability >= $2 AND o.status = 'open' AND s.seen_at IS NOT NULL
          AND s.pipeline = coalesce($1, s.pipeline)),
    last AS (
        SELECT DISTINCT ON (c.opportunity) c.opportunity, c.before, c.after, c.calibrated_at, c.undone_at
        FROM revops.calibration c JOIN differs d USING (opportunity) ORDER BY c.opportunity, c.calibrated_at DESC, c.calibration_id),
    said AS (
        -- what people set, and since the last calibration
        SELECT h.opportunity, max(h.recorded_at) AS at,
               max(h.recorded_at) FILTER (WHERE h.recorded_at >= l.calibrated_at AND h.stage IS DISTINCT FROM l.after) AS overruled_at
        FROM revops.stage_history h JOIN differs d USING (opportunity) LEFT JOIN last l USING (opportunity)
        WHERE h.origin NOT IN ('calibration', 'backfill') GROUP BY h.opportunity),
    clock AS (SELECT revops.now() AS now)
    SELECT d.opportunity, d.recorded, d.stage, d.probability, d.since, greatest(extract(epoch FROM clock.now - d.since) / 3600, 0)::float8,
           d.evidence, d.evidence_symbols, d.pipeline, d.model_id
    FROM clock, differs d LEFT JOIN last l USING (opportunity) LEFT JOIN said s USING (opportunity)
    WHERE d.seen_at > coalesce(s.at, '-infinity')
      -- people who overruled a calibration are believed until the estimate has become another one since
      AND d.since > coalesce(greatest(s.overruled_at, l.undone_at), '-infinity')
      -- back to what a calibration has left: surer than the first time
      AND (l.before IS DISTINCT FROM d.stage OR l.undone_at IS NOT NULL OR d.probability >= (1 + $2) / 2)
$$;
COMMENT ON FUNCTION revops.stage_proposals(text, float8) IS 'What calibrate_stages() proposes';

-- A set of proposals at once. Locks in the order that set_field() and the reading of attached tables keep: opportunities first, by their keys.
CREATE FUNCTION revops.apply_calibrations(proposed revops.calibration[]) RETURNS TABLE (calibration revops.calibration, refused text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    acts_as CONSTANT text := coalesce(nullif(current_setting('revops.change_origin', true), ''), 'person');
    given   revops.calibration[];
    who     text[];
    why     text[];
BEGIN
    -- where nobody was faster
    SELECT array_agg(l.c) INTO given
    FROM (SELECT c FROM unnest(proposed) AS c JOIN revops.opportunity o ON o.opportunity = c.opportunity
          WHERE o.stage IS NOT DISTINCT FROM c.before AND o.status = 'open' ORDER BY o.opportunity FOR NO KEY UPDATE OF o) l;
    SELECT array_agg(w.subject), array_agg(w.refused) INTO who, why
    FROM (SELECT array_agg(c.opportunity::text) AS subjects, array_agg(c.after) AS fresh FROM unnest(given) AS c) g
    CROSS JOIN LATERAL revops.write_back_all('opportunity', g.subjects, 'stage', g.fresh) w;
    IF who IS NOT NULL THEN
        INSERT INTO revops.calibration_refusal AS f (opportunity, pipeline, before, after, reason)
        SELECT c.opportunity, c.pipeline, c.before, c.after, r.reason
        FROM unnest(given) AS c JOIN unnest(who, why) AS r (opportunity, reason) ON r.opportunity = c.opportunity
        ON CONFLICT ON CONSTRAINT calibration_refusal_pkey DO UPDATE SET pipeline = excluded.pipeline, before = excluded.before, after = excluded.after,
            reason = excluded.reason, refused_at = excluded.refused_at, refused_by = excluded.refused_by;
        RETURN QUERY SELECT c, r.reason FROM unnest(given) AS c JOIN unnest(who, why) AS r (opportunity, reason) ON r.opportunity = c.opportunity;
        SELECT array_agg(c) INTO given FROM unnest(given) AS c WHERE c.opportunity NOT IN (SELECT unnest(who));
    END IF;
    PERFORM set_config('revops.change_origin', 'calibration', true);
    UPDATE revops.opportunity o SET stage = c.after, stage_since = revops.now() FROM unnest(given) AS c WHERE o.opportunity = c.opportunity;
    PERFORM set_config('revops.change_origin', acts_as, true);
    INSERT INTO revops.calibration SELECT c.* FROM unnest(given) AS c;
    DELETE FROM revops.calibration_refusal f USING unnest(given) AS c WHERE f.opportunity = c.opportunity;
    RETURN QUERY SELECT c, NULL::text FROM unnest(given) AS c;
END $$;
COMMENT ON FUNCTION revops.apply_calibrations(revops.calibration[]) IS
'Sets the stages of these calibrations and logs them, where the record is still as they have it; returns what was set, and what an attached table refused, with the reason';

CREATE FUNCTION revops.calibrate_stages(pipeline text DEFAULT NULL, threshold float8 DEFAULT 0.9, apply boolean DEFAULT false)
RETURNS TABLE (opportunity text, recorded text, estimated text, probability float8, since timestamptz, lag_hours float8, evidence uuid[], calibration_id uuid, refused text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    most    CONSTANT int := 20000;
    named   CONSTANT text := calibrate_stages.pipeline;
    least   CONSTANT float8 := calibrate_stages.threshold;
    sets    refcursor;
    batch   revops.calibration[];
    tried   bigint := 0;
    missed  bigint := 0;
    n       bigint;
BEGIN
    IF least IS NULL OR NOT least BETWEEN 0.5 AND 1 THEN
        RAISE EXCEPTION 'the threshold is not a probability from 0.5 to 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF named IS NOT NULL AND NOT EXISTS (SELECT FROM revops.pipeline p WHERE p.pipeline = named) THEN
        RAISE EXCEPTION 'there is no pipeline "%"', named USING ERRCODE = 'undefined_object', HINT = 'revops.pipeline lists those that are there.';
    END IF;
    IF NOT coalesce(calibrate_stages.apply, false) THEN
        RETURN QUERY SELECT p.opportunity, p.recorded, p.estimated, p.probability, p.since, p.lag_hours, p.evidence, NULL::uuid, f.reason
                     FROM revops.stage_proposals(named, least) p
                     LEFT JOIN revops.calibration_refusal f ON f.opportunity = p.opportunity COLLATE "C" AND f.before IS NOT DISTINCT FROM p.recorded AND f.after = p.estimated;
        RETURN;
    END IF;
    -- what is on record by now, or gone, is refused no longer
    DELETE FROM revops.calibration_refusal f
    WHERE NOT EXISTS (SELECT FROM revops.opportunity o WHERE o.opportunity = f.opportunity AND o.stage IS NOT DISTINCT FROM f.before AND o.status = 'open');
    -- one set after the other, each in memory
    OPEN sets FOR
        SELECT array_agg(ROW(p.opportunity, gen_random_uuid(), p.pipeline_of, p.recorded, p.estimated, p.probability, p.since, p.evidence, p.evidence_symbols,
                             p.model_id, least, revops.now(), session_user, NULL, NULL)::revops.calibration ORDER BY p.opportunity COLLATE "C")
        FROM (SELECT s.*, (row_number() OVER (ORDER BY s.opportunity COLLATE "C") - 1) / most AS piece FROM revops.stage_proposals(named, least) s) p
        GROUP BY p.piece ORDER BY p.piece;
    LOOP
        FETCH sets INTO batch;
        EXIT WHEN NOT FOUND;
        RETURN QUERY
        SELECT (a.calibration).opportunity::text, (a.calibration).before, (a.calibration).after, (a.calibration).probability, (a.calibration).estimated_since,
               greatest(extract(epoch FROM revops.now() - (a.calibration).estimated_since) / 3600, 0)::float8, (a.calibration).evidence,
               CASE WHEN a.refused IS NULL THEN (a.calibration).calibration_id END, a.refused
        FROM revops.apply_calibrations(batch) a ORDER BY (a.calibration).opportunity;
        GET DIAGNOSTICS n = ROW_COUNT;
        tried := tried + n;
        SELECT count(*) INTO n
        FROM unnest(batch) AS x JOIN revops.calibration_refusal f ON f.opportunity = x.opportunity AND f.refused_at = revops.now() AND f.refused_by = session_user;
        missed := missed + n;
    END LOOP;
    CLOSE sets;
    IF missed > 0 THEN
        RAISE NOTICE '% of % calibrations were refused by the table that the opportunity comes from, and stay proposals', missed, tried
            USING HINT = 'The column "refused" has the reason of each, as has revops.calibration_refusal. The next call tries again what is still proposed by then.';
    END IF;
END $$;
COMMENT ON FUNCTION revops.calibrate_stages(text, float8, boolean) IS
'Open opportunities whose recorded stage the evidence contradicts with at least the probability threshold; apply => true sets them, logged in revops.calibration. What people set after the evidence stands. refused: why an attached table did not take the stage; it stays a proposal';

CREATE FUNCTION revops.undo_calibration(calibration_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c       revops.calibration;
    present text;
BEGIN
    SELECT * INTO c FROM revops.calibration k WHERE k.calibration_id = calibration_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no calibration %', calibration_id USING ERRCODE = 'no_data_found', HINT = 'revops.calibration lists them.';
    ELSIF c.undone_at IS NOT NULL THEN
        RAISE EXCEPTION 'this calibration of opportunity "%" is undone already', c.opportunity USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT o.stage INTO present FROM revops.opportunity o WHERE o.opportunity = c.opportunity FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'opportunity "%" is no longer there', c.opportunity USING ERRCODE = 'no_data_found';
    ELSIF present IS DISTINCT FROM c.after
          OR EXISTS (SELECT FROM revops.stage_history h WHERE h.opportunity = c.opportunity AND h.recorded_at > c.calibrated_at) THEN
        RAISE EXCEPTION 'the stage of opportunity "%" was changed since', c.opportunity USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The calibration set "%s"; it is "%s" now.', c.after, present), HINT = 'What was set later stands; set the stage by hand.';
    END IF;
    PERFORM revops.set_field('opportunity', c.opportunity, 'stage', c.before, 'undo');
    UPDATE revops.calibration k SET undone_at = revops.now(), undone_by = session_user WHERE k.opportunity = c.opportunity AND k.calibration_id = calibration_id;
    RETURN c.before;
END $$;
COMMENT ON FUNCTION revops.undo_calibration(uuid) IS 'Restores the stage that a calibration has changed, and returns it; refused if the stage was changed since';

CREATE VIEW revops.stage_estimate WITH (security_barrier) AS
SELECT s.opportunity, s.pipeline, o.owner, o.stage AS recorded, s.stage::text AS estimated, s.probability,
       (SELECT jsonb_object_agg(u.stage, round(u.p::numeric, 6)) FROM unnest(m.stages, s.probabilities) AS u (stage, p)) AS probabilities,
       s.since, CASE WHEN s.stage IS DISTINCT FROM o.stage COLLATE "C" THEN greatest(extract(epoch FROM revops.now() - s.since) / 3600, 0)::float8 ELSE 0 END AS lag_hours,
       s.evidence, s.evidence_symbols, s.seen_at, m.version
FROM revops.stage_state s JOIN revops.stage_model m ON m.version_id = s.model_id LEFT JOIN revops.opportunity o USING (opportunity);
COMMENT ON VIEW revops.stage_estimate IS 'The stage that each opportunity''s evidence shows, beside the recorded one, as of its latest evidence';
COMMENT ON COLUMN revops.stage_estimate.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.stage_estimate.pipeline IS 'Its pipeline';
COMMENT ON COLUMN revops.stage_estimate.owner IS 'The rep who owns it';
COMMENT ON COLUMN revops.stage_estimate.recorded IS 'The stage on record';
COMMENT ON COLUMN revops.stage_estimate.estimated IS 'The likeliest stage';
COMMENT ON COLUMN revops.stage_estimate.probability IS 'Its probability';
COMMENT ON COLUMN revops.stage_estimate.probabilities IS 'The probability of each stage';
COMMENT ON COLUMN revops.stage_estimate.since IS 'Since when it has been the likeliest';
COMMENT ON COLUMN revops.stage_estimate.lag_hours IS 'For how many hours the record has not followed; 0 where it agrees';
COMMENT ON COLUMN revops.stage_estimate.evidence IS 'Events and moments that made it so, NULL for a change of the record; at most 8';
COMMENT ON COLUMN revops.stage_estimate.evidence_symbols IS 'What each of them was to the filter';
COMMENT ON COLUMN revops.stage_estimate.seen_at IS 'When the latest event or moment was';
COMMENT ON COLUMN revops.stage_estimate.version IS 'Version of the pipeline''s model';

CREATE VIEW revops.stale_stages WITH (security_barrier) AS
SELECT e.opportunity, e.pipeline, e.owner, e.recorded, e.estimated, e.probability, greatest(e.since, o.stage_since) AS contradicted_since,
       (extract(epoch FROM revops.now() - greatest(e.since, o.stage_since)) / 3600)::float8 AS contradicted_hours, e.evidence, e.evidence_symbols
FROM revops.stage_estimate e JOIN revops.opportunity o USING (opportunity)
WHERE o.status = 'open' AND e.estimated IS DISTINCT FROM e.recorded AND e.probability >= 0.5
  AND greatest(e.since, o.stage_since) < revops.now() - interval '72 hours';
COMMENT ON VIEW revops.stale_stages IS 'Open opportunities whose recorded stage the evidence has contradicted for more than 72 hours';
COMMENT ON COLUMN revops.stale_stages.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.stale_stages.pipeline IS 'Its pipeline';
COMMENT ON COLUMN revops.stale_stages.owner IS 'The rep who owns it';
COMMENT ON COLUMN revops.stale_stages.recorded IS 'The stage on record';
COMMENT ON COLUMN revops.stale_stages.estimated IS 'The likeliest stage';
COMMENT ON COLUMN revops.stale_stages.probability IS 'Its probability, at least a half';
COMMENT ON COLUMN revops.stale_stages.contradicted_since IS 'Since when both have stood against each other';
COMMENT ON COLUMN revops.stale_stages.contradicted_hours IS 'The same in hours';
COMMENT ON COLUMN revops.stale_stages.evidence IS 'Events and moments that speak for the estimate';
COMMENT ON COLUMN revops.stale_stages.evidence_symbols IS 'What each of them was to the filter';

CREATE VIEW revops.stage_accuracy WITH (security_barrier) AS
SELECT c.pipeline, c.stage, count(*) AS confirmations, count(*) FILTER (WHERE c.estimated = c.stage) AS agreed,
       count(*) FILTER (WHERE c.estimated = c.stage)::float8 / count(*) AS accuracy,
       avg(extract(epoch FROM c.confirmed_at - c.estimated_since) / 3600) FILTER (WHERE c.estimated = c.stage)::float8 AS hours_ahead
FROM revops.stage_confirmation c GROUP BY c.pipeline, c.stage;
COMMENT ON VIEW revops.stage_accuracy IS 'Of the changes of stage that people or the CRM made, how many had been estimated before';
COMMENT ON COLUMN revops.stage_accuracy.pipeline IS 'The pipeline';
COMMENT ON COLUMN revops.stage_accuracy.stage IS 'The stage that was set';
COMMENT ON COLUMN revops.stage_accuracy.confirmations IS 'How often';
COMMENT ON COLUMN revops.stage_accuracy.agreed IS 'How often the estimate had been the same before';
COMMENT ON COLUMN revops.stage_accuracy.accuracy IS 'The share of these';
COMMENT ON COLUMN revops.stage_accuracy.hours_ahead IS 'For how many hours it had been, on average';

CREATE VIEW revops.field_fill_rate WITH (security_barrier) AS
WITH latest AS (
    SELECT DISTINCT ON (h.opportunity) h.opportunity, h.origin FROM revops.stage_history h
    ORDER BY h.opportunity, h.recorded_at DESC, h.entered_at DESC),
value AS (
    SELECT o.opportunity, f.field, f.value FROM revops.my_opportunity o CROSS JOIN LATERAL (VALUES
        ('account', o.account), ('name', o.name), ('owner', o.owner), ('stage', o.stage), ('amount', o.amount::text),
        ('opened_at', o.opened_at::text), ('closed_at', CASE WHEN o.status = 'open' THEN 'open' ELSE o.closed_at::text END)) AS f (field, value)
    UNION ALL
    SELECT o.opportunity, k.field, nullif(o.properties ->> k.field, '') FROM revops.my_opportunity o
    CROSS JOIN (SELECT DISTINCT jsonb_object_keys(p.properties) AS field FROM revops.my_opportunity p WHERE jsonb_typeof(p.properties) = 'object') k
    WHERE k.field NOT IN ('account', 'name', 'owner', 'stage', 'amount', 'opened_at', 'closed_at')),
accepted AS (    -- a competitor is added to those that were there
    SELECT f.opportunity, f.field, array_agg(CASE f.field WHEN 'competitor' THEN '%' ELSE '' END || replace(replace(f.value, E'\\', E'\\\\'), '%', E'\\%')) AS ends
    FROM revops.field_suggestion f WHERE f.status = 'accepted' GROUP BY f.opportunity, f.field)
SELECT v.field, count(*) AS opportunities, count(v.value) AS filled,
       count(v.value) FILTER (WHERE u.ours) AS filled_by_us,
       count(v.value)::float8 / count(*) AS fill_rate,
       count(v.value) FILTER (WHERE NOT u.ours)::float8 / count(*) AS fill_rate_by_hand,
       count(v.value) FILTER (WHERE u.ours)::float8 / count(*) AS fill_rate_by_us
FROM value v
LEFT JOIN latest l USING (opportunity)
LEFT JOIN accepted s ON s.opportunity = v.opportunity AND s.field = v.field COLLATE "C"
CROSS JOIN LATERAL (SELECT v.field = 'stage' AND l.origin IS NOT DISTINCT FROM 'calibration'
                           OR s.opportunity IS NOT NULL AND v.value LIKE ANY (s.ends) AS ours) u
GROUP BY v.field;
COMMENT ON VIEW revops.field_fill_rate IS 'How many opportunities have each field filled, by hand (or the CRM) and by us';
COMMENT ON COLUMN revops.field_fill_rate.field IS 'The field: a column, or a key of properties. closed_at counts as filled while an opportunity is open';
COMMENT ON COLUMN revops.field_fill_rate.opportunities IS 'Opportunities';
COMMENT ON COLUMN revops.field_fill_rate.filled IS 'that have it filled';
COMMENT ON COLUMN revops.field_fill_rate.filled_by_us IS 'of these, with what a calibration set, or a suggestion that was accepted';
COMMENT ON COLUMN revops.field_fill_rate.fill_rate IS 'filled, as a share of all';
COMMENT ON COLUMN revops.field_fill_rate.fill_rate_by_hand IS 'What people or the CRM filled, as a share of all';
COMMENT ON COLUMN revops.field_fill_rate.fill_rate_by_us IS 'What calibrations and suggestions filled, as a share of all';

CREATE VIEW revops.pipeline_conformance WITH (security_barrier) AS
WITH step AS (
    SELECT h.opportunity, coalesce(o.pipeline, (SELECT p.pipeline FROM revops.pipeline p WHERE p.is_default)) AS pipeline, h.stage, h.entered_at, h.origin,
           lag(h.stage) OVER w AS previous, lead(h.entered_at) OVER w AS left_at
    FROM revops.stage_history h JOIN revops.opportunity o USING (opportunity)
    WINDOW w AS (PARTITION BY h.opportunity ORDER BY h.entered_at, h.recorded_at, h.stage)),
usual AS (
    SELECT s.pipeline, s.stage, percentile_cont(0.5) WITHIN GROUP (ORDER BY s.left_at - s.entered_at) AS time_in_stage
    FROM step s WHERE s.left_at IS NOT NULL GROUP BY s.pipeline, s.stage)
SELECT s.opportunity, s.pipeline, s.previous, s.stage, s.entered_at, s.origin,
       k.skipped,
       a.ordinal < b.ordinal AS reversed,
       EXISTS (SELECT FROM revops.pipeline_move m WHERE m.pipeline = s.pipeline)
           AND s.previous IS NOT NULL AND NOT EXISTS (SELECT FROM revops.pipeline_move m WHERE m.pipeline = s.pipeline
               AND m.from_stage = s.previous COLLATE "C" AND m.to_stage = s.stage COLLATE "C") AS not_allowed,
       coalesce(s.left_at, revops.now()) - s.entered_at AS time_in_stage, u.time_in_stage AS usual_time,
       (extract(epoch FROM coalesce(s.left_at, revops.now()) - s.entered_at) / nullif(extract(epoch FROM u.time_in_stage), 0))::float8 AS times_usual,
       s.left_at IS NULL AS is_current
FROM step s
JOIN revops.pipeline_stage a ON a.pipeline = s.pipeline AND a.stage = s.stage COLLATE "C"
LEFT JOIN revops.pipeline_stage b ON b.pipeline = s.pipeline AND b.stage = s.previous COLLATE "C"
LEFT JOIN usual u ON u.pipeline = s.pipeline AND u.stage = s.stage
CROSS JOIN LATERAL (SELECT coalesce(array_agg(x.stage::text ORDER BY x.ordinal), '{}') AS skipped FROM revops.pipeline_stage x
    WHERE x.pipeline = s.pipeline AND x.kind = 'open' AND a.kind <> 'lost' AND x.ordinal > coalesce(b.ordinal, 0) AND x.ordinal < a.ordinal) k;
COMMENT ON VIEW revops.pipeline_conformance IS 'Each stage that an opportunity was in on record: what was skipped or reversed, and how long it took against the usual';
COMMENT ON COLUMN revops.pipeline_conformance.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.pipeline_conformance.pipeline IS 'Its pipeline';
COMMENT ON COLUMN revops.pipeline_conformance.previous IS 'The stage before; NULL: it was the first';
COMMENT ON COLUMN revops.pipeline_conformance.stage IS 'The stage';
COMMENT ON COLUMN revops.pipeline_conformance.entered_at IS 'Since when it was in it';
COMMENT ON COLUMN revops.pipeline_conformance.origin IS 'Who set it, as in revops.stage_history';
COMMENT ON COLUMN revops.pipeline_conformance.skipped IS 'Open stages between the two; none are skipped by losing';
COMMENT ON COLUMN revops.pipeline_conformance.reversed IS 'Back to an earlier stage; NULL for the first';
COMMENT ON COLUMN revops.pipeline_conformance.not_allowed IS 'The pipeline names its moves, and this is none of them';
COMMENT ON COLUMN revops.pipeline_conformance.time_in_stage IS 'How long, up to now where it still is in it';
COMMENT ON COLUMN revops.pipeline_conformance.usual_time IS 'The median of those that have left the stage';
COMMENT ON COLUMN revops.pipeline_conformance.times_usual IS 'The one by the other';
COMMENT ON COLUMN revops.pipeline_conformance.is_current IS 'It still is in this stage';
