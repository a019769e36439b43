-- stages: pipelines, training, the estimate in the stream, calibrations
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.stage_history, revops.stream_lane, revops.moment, revops.moment_state, revops.intent_state, revops.opportunity;
\set VERBOSITY terse
SET timezone = 'UTC';
SET revops.as_of = '2026-03-02 00:00+00';

-- pipelines
SELECT revops.put_pipeline('x', '[]');
SELECT revops.put_pipeline('', '{"stages": ["a", "b"]}');
SELECT revops.put_pipeline('x', '{"stage": ["a", "b"]}');
SELECT revops.put_pipeline('x', '{"stages": ["a"]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", "a"]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", {"stage": "b", "kind": "gone"}]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", {"stage": "b", "days": -1}]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", {"stage": "b", "symbols": "c"}]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", {"name": "b"}]}');
SELECT revops.put_pipeline('x', '{"stages": [{"stage": "a", "kind": "won"}, "b"]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", "b"], "moves": [["a", "c"]]}');
SELECT revops.put_pipeline('x', '{"stages": ["a", "b"], "default": 1}');
SELECT count(*) FROM revops.pipeline;
SELECT revops.put_pipeline('sales', '{"title": "Sales", "default": true, "stages": [
    {"stage": "contact", "days": 5, "symbols": ["call"]}, {"stage": "demo", "days": 7, "symbols": ["demo"]},
    {"stage": "proposal", "days": 9, "symbols": ["quote", "intent:price", "moment:keen", "moment:silent"]}, {"stage": "won", "kind": "won", "symbols": ["contract"]},
    {"stage": "lost", "kind": "lost"}],
    "moves": [["contact", "demo"], ["demo", "proposal"], ["proposal", "won"], ["proposal", "demo"], ["contact", "lost"], ["demo", "lost"], ["proposal", "lost"]]}');
SELECT stage, ordinal, kind, usual_days FROM revops.pipeline_stage ORDER BY ordinal;

-- nothing is learned yet: the priors speak
SELECT revops.infer_stages('sales', '{call}', '{2026-01-01}');
SELECT revops.train_stages('nowhere');
SELECT revops.train_stages('sales', options => '{"method": "magic"}');
SELECT revops.train_stages('sales', options => '{"speed": 1}');
SELECT revops.train_stages('sales', 'SELECT 1');
SELECT revops.train_stages('sales', $$SELECT 'a' AS "case", now() AS at, 'x' AS symbol, 'y' AS stage$$);
SELECT revops.train_stages('sales', $$DELETE FROM revops.pipeline$$);
SELECT revops.train_stages('sales');
SELECT metrics ->> 'method' AS method, metrics ->> 'labelled' AS labelled, metrics -> 'accuracy' AS accuracy FROM revops.stage_model WHERE pipeline = 'sales';
SELECT n, stage FROM (SELECT DISTINCT ON (n) * FROM revops.infer_stages('sales', '{call,call,demo,quote,quote,contract}',
    '{2026-01-01,2026-01-02,2026-01-05,2026-01-09,2026-01-10,2026-01-20}') ORDER BY n, probability DESC) x ORDER BY n;
SELECT revops.infer_stages('sales', '{a,b}', '{2026-01-01}');
SELECT revops.infer_stages('sales', '{a,b}', '{2026-01-02,2026-01-01}');
SELECT revops.infer_stages('sales', '{a}', '{infinity}');
SELECT count(*) FROM revops.infer_stages('sales', '{}', '{}');
SELECT round(sum(probability)::numeric, 9), count(*) FROM revops.infer_stages('sales', ARRAY[repeat('never seen', 1000), NULL], '{2026-01-01,2096-01-01}');

-- a labelled history: each stage shows its own kinds, with some noise
CREATE TABLE past AS
SELECT 'h' || c AS "case", '2025-01-01'::timestamptz + c * interval '1 day' + k * interval '26 hours' AS at,
       CASE WHEN (c * 7 + k * 3) % 11 = 0 THEN 'email' ELSE (ARRAY['call', 'demo', 'quote', 'contract'])[1 + k / 3] END AS symbol,
       (ARRAY['contact', 'demo', 'proposal', 'won'])[1 + k / 3] AS stage
FROM generate_series(1, 200) c, generate_series(0, 11) k;
SELECT revops.train_stages('sales', 'SELECT * FROM past');
SELECT metrics ->> 'method' AS method, (metrics ->> 'accuracy')::float8 > 0.95 AS accurate,
       (metrics ->> 'accuracy')::float8 > (metrics ->> 'elapsed_accuracy')::float8 AS better_than_elapsed
FROM revops.stage_model WHERE pipeline = 'sales' AND version = 2;
SELECT revops.deploy_stages('sales', 9);
SELECT revops.deploy_stages('sales', 1);
SELECT revops.deploy_stages('sales', 2);
SELECT deployed FROM revops.pipeline WHERE pipeline = 'sales';

-- the stream: forty opportunities, whose events come in any order, batch and lane
SET revops.as_of = '2026-02-01 00:00+00';
INSERT INTO revops.opportunity (opportunity, name, stage, stage_since, opened_at)
SELECT 'o' || g, 'Deal ' || g, 'contact', '2026-02-01', '2026-02-01' FROM generate_series(1, 40) g;
SET revops.as_of = '2026-03-02 00:00+00';
SELECT revops.put_rule('keen', '{"title": "Keen", "per": "opportunity", "when": {"kind": "quote"}, "count": {"at_least": 2, "within": "10 days"}}');
SELECT revops.put_rule('silent', '{"title": "Silent", "per": "opportunity", "sequence": {"steps": [{"when": {"kind": "quote"}}, {"absent": {"kind": "contract"}, "for": "48 hours"}]}}');
SELECT revops.rebuild_moments('keen', '2026-01-01') >= 0 AND revops.rebuild_moments('silent', '2026-01-01') >= 0 AS rebuilt;
CREATE TABLE feed AS
SELECT 'o' || g AS opportunity, '2026-02-01'::timestamptz + g * interval '1 minute' + k * interval '26 hours' AS occurred_at,
       (ARRAY['call', 'demo', 'quote', 'contract'])[1 + k / 3] AS kind, md5('o' || g || '/' || k)::uuid AS event_id
FROM generate_series(1, 40) g, generate_series(0, 11) k WHERE k < 2 + g % 10;
CREATE FUNCTION same_as_batch() RETURNS TABLE (estimates bigint, differ bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE live AS SELECT * FROM revops.stage_state;
    PERFORM revops.rebuild_stages('sales');
    PERFORM revops.process();
    RETURN QUERY SELECT count(*), count(*) FILTER (WHERE l IS DISTINCT FROM s) FROM live l FULL JOIN revops.stage_state s USING (opportunity);
    DROP TABLE live;
END $$;
SELECT setseed(0.4);
DO $$
DECLARE
    r record;
    n int := 0;
BEGIN
    FOR r IN SELECT * FROM feed ORDER BY random() LOOP
        INSERT INTO revops.event (opportunity, occurred_at, kind, event_id) VALUES (r.opportunity, r.occurred_at, r.kind, r.event_id);
        n := n + 1;
        IF n % 37 = 0 THEN
            COMMIT;
            PERFORM revops.process(1 + n % 5);
            COMMIT;
        END IF;
        IF n = 100 THEN
            COMMIT;
            PERFORM revops.set_lanes(3);
            COMMIT;
        END IF;
        IF n = 150 THEN
            -- what the record says is evidence too
            PERFORM revops.set_field('opportunity', 'o7', 'stage', 'demo');
        END IF;
    END LOOP;
END $$;
SELECT count(*) >= 0 AS processed FROM revops.process();
SELECT count(*) FROM revops.stage_request;
SELECT * FROM same_as_batch();
SELECT revops.set_lanes(1) AS lanes;
SELECT estimated, count(*), bool_and(probability > 0.5) FROM revops.stage_estimate GROUP BY 1 ORDER BY 1;
SELECT opportunity, recorded, estimated, since, evidence_symbols, cardinality(evidence) FROM revops.stage_estimate WHERE opportunity IN ('o1', 'o5', 'o9') ORDER BY 1;
SELECT round(sum(value::numeric), 4) FROM revops.stage_estimate, jsonb_each_text(probabilities) WHERE opportunity = 'o5';
-- moments are evidence: a late event that makes one, and one that is retracted, go through the same replay
INSERT INTO revops.event (opportunity, occurred_at, kind) VALUES ('o5', '2026-02-07 20:00+00', 'quote'), ('o5', '2026-02-02 03:00+00', 'quote');
SELECT revops.process();
SELECT * FROM same_as_batch();
SELECT rule, count(*) > 0 AS standing, bool_or(retracted_at IS NOT NULL) AS retracted FROM revops.moment WHERE rule IN ('keen', 'silent') GROUP BY 1 ORDER BY 1;
INSERT INTO revops.event (opportunity, occurred_at, kind) VALUES ('o5', '2026-02-08 20:00+00', 'contract');
SELECT revops.process();
SELECT * FROM same_as_batch();
SELECT rule, retracted_at IS NOT NULL AS retracted, count(*) FROM revops.moment WHERE opportunity = 'o5' GROUP BY 1, 2 ORDER BY 1, 2;

-- proposals, and applied
SELECT opportunity, recorded, estimated, probability > 0.9 AS sure, calibration_id FROM revops.calibrate_stages('sales') WHERE opportunity IN ('o1', 'o5', 'o7', 'o9') ORDER BY 1;
SELECT revops.calibrate_stages('sales', 0.2);
SELECT revops.calibrate_stages('nowhere');
SELECT count(*) FROM revops.calibration;
SELECT count(*) FROM revops.stale_stages WHERE contradicted_hours > 72;
SELECT count(*) > 0 AS applied FROM revops.calibrate_stages('sales', apply => true);
SELECT count(*) FROM revops.calibrate_stages('sales', apply => true);
SELECT count(*) AS stale FROM revops.stale_stages;
SELECT o.stage, c.before, c.after, c.probability > 0.9 AS sure, cardinality(c.evidence) > 0 AS evidence
FROM revops.calibration c JOIN revops.opportunity o USING (opportunity) WHERE opportunity IN ('o5', 'o9') ORDER BY opportunity;
SELECT stage, origin FROM revops.stage_history WHERE opportunity = 'o9' ORDER BY recorded_at, entered_at, stage;

-- undo, and what people set stands
SELECT calibration_id AS undone FROM revops.calibration WHERE opportunity = 'o9' \gset
SET revops.as_of = '2026-03-02 01:00+00';
SELECT revops.undo_calibration(:'undone');
SELECT revops.undo_calibration(:'undone');
SELECT revops.undo_calibration('00000000-0000-0000-0000-000000000000');
SELECT stage, (SELECT origin FROM revops.stage_history h WHERE h.opportunity = o.opportunity ORDER BY recorded_at DESC LIMIT 1) FROM revops.opportunity o WHERE opportunity = 'o9';
SELECT revops.set_field('opportunity', 'o5', 'stage', 'demo');
SELECT calibration_id AS overruled FROM revops.calibration WHERE opportunity = 'o5' \gset
SELECT revops.undo_calibration(:'overruled');
SELECT count(*) >= 0 AS processed FROM revops.process();
SELECT count(*) FROM revops.calibrate_stages('sales', 0.5);
-- ... until there is new evidence of another stage
SET revops.as_of = '2026-03-06 01:00+00';
INSERT INTO revops.event (opportunity, occurred_at, kind) SELECT 'o5', '2026-03-03'::timestamptz + g * interval '26 hours', 'contract' FROM generate_series(0, 2) g;
SELECT revops.process();
SELECT opportunity, recorded, estimated FROM revops.calibrate_stages('sales');
SELECT revops.set_field('opportunity', 'o5', 'stage', 'won');
SELECT pipeline, stage, confirmations, agreed FROM revops.stage_accuracy ORDER BY 1, 2;
SELECT count(*) >= 0 AS processed FROM revops.process();
SELECT * FROM same_as_batch();

-- what is filled, and how the record moved
SELECT field, opportunities, filled, filled_by_us > 0 AS by_us, round(fill_rate::numeric, 2) AS fill_rate FROM revops.field_fill_rate ORDER BY field;
SELECT opportunity, previous, stage, skipped, reversed, not_allowed, is_current FROM revops.pipeline_conformance WHERE opportunity IN ('o5', 'o9') ORDER BY 1, entered_at, stage;
SELECT bool_and(usual_time > '0') FROM revops.pipeline_conformance WHERE NOT is_current;

-- learned from the opportunities themselves
SELECT revops.train_stages('sales', options => '{"deploy": false}');
SELECT metrics ->> 'cases' AS cases FROM revops.stage_model WHERE version = 3;

-- an attached table behind: what a row of it does not take is refused with the reason and stays a proposal; the others are set
SET revops.as_of = '2026-03-06 02:00+00';
CREATE TABLE crm (id text PRIMARY KEY, phase text, CONSTRAINT fair CHECK (id <> 'a4' OR phase <> 'won'));
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE UPDATE ON crm FOR EACH ROW WHEN (OLD.id = 'a5') EXECUTE FUNCTION keep();
INSERT INTO crm SELECT 'a' || g, 'contact' FROM generate_series(1, 6) g;
SELECT revops.attach('crm', 'opportunity', '{"opportunity": "id", "stage": "phase"}', write_back => true) > 0 AS attached;
SELECT revops.apply_attachments();
INSERT INTO revops.opportunity (opportunity, stage) VALUES ('a7', 'contact');
SET revops.as_of = '2026-03-10 01:00+00';
INSERT INTO revops.event (opportunity, occurred_at, kind)
SELECT 'a' || a, '2026-03-06 03:00+00'::timestamptz + g * interval '26 hours', 'contract' FROM generate_series(1, 7) a, generate_series(0, 2) g;
SELECT revops.process();
UPDATE crm SET phase = 'demo' WHERE id = 'a2';
DELETE FROM crm WHERE id = 'a3';
SELECT opportunity, estimated, refused FROM revops.calibrate_stages('sales') WHERE opportunity LIKE 'a_' ORDER BY 1;
SELECT opportunity, recorded, estimated, calibration_id IS NOT NULL AS applied, refused FROM revops.calibrate_stages('sales', apply => true) ORDER BY 1;
SELECT id, phase FROM crm ORDER BY 1;
SELECT o.opportunity, o.stage, o.stage_since, h.previous, h.origin FROM revops.opportunity o JOIN revops.stage_history h USING (opportunity, stage) WHERE opportunity LIKE 'a_' ORDER BY 1;
SELECT opportunity, before, after, reason, refused_at FROM revops.calibration_refusal ORDER BY 1;
SELECT opportunity, estimated, calibration_id, refused IS NOT NULL AS refused FROM revops.calibrate_stages('sales') ORDER BY 1;
-- each is audited, as it is in its table
SELECT c.opportunity, a.action, a.before FROM revops.calibration c JOIN revops.audit_log a ON a.after = to_jsonb(c) WHERE a.what = 'calibration' AND c.opportunity LIKE 'a_' ORDER BY 1;
-- what was newer is taken over; our own writes change nothing more
SELECT revops.apply_attachments();
SELECT opportunity, stage FROM revops.opportunity WHERE opportunity LIKE 'a_' ORDER BY 1;
SELECT opportunity, refused IS NOT NULL AS refused FROM revops.calibrate_stages('sales') ORDER BY 1;
-- and once nothing stands against them, they are set too
DROP TRIGGER keep ON crm;
ALTER TABLE crm DROP CONSTRAINT fair;
SELECT opportunity, calibration_id IS NOT NULL AS applied, refused FROM revops.calibrate_stages('sales', apply => true) ORDER BY 1;
SELECT id, phase FROM crm ORDER BY 1;
SELECT count(*) FROM revops.calibration_refusal;
SELECT count(*) FROM revops.calibrate_stages('sales', apply => true);
DROP TABLE crm;
DROP FUNCTION keep;

-- a pipeline of its own; other stages than before undeploy the model
SELECT revops.put_pipeline('other', '{"stages": ["a", "b"]}');
SELECT revops.set_field('opportunity', 'o2', 'pipeline', 'other');
SELECT count(*) >= 0 AS processed FROM revops.process();
SELECT count(*) FROM revops.stage_state WHERE opportunity = 'o2' AND pipeline = 'sales';
SELECT revops.put_pipeline('sales', '{"stages": ["contact", "done"]}');
SELECT deployed, is_default FROM revops.pipeline WHERE pipeline = 'sales';
SELECT count(*) FROM revops.stage_estimate;
SELECT revops.drop_pipeline('sales'), revops.drop_pipeline('other'), revops.drop_pipeline('sales');

SET client_min_messages = warning;
SELECT revops.drop_rule('keen'), revops.drop_rule('silent');
DROP TABLE past, feed;
DROP FUNCTION same_as_batch;
TRUNCATE revops.calibration, revops.calibration_refusal, revops.stage_confirmation, revops.stage_request, revops.stage_history;
DELETE FROM revops.opportunity;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
