-- What all events together come to, whatever the batches they were taken in
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;
SET timezone = 'UTC';
SET search_path = pg_catalog;
SELECT 'event', event_id, occurred_at, ahead FROM revops.event ORDER BY 2;
SELECT 'score', subject_kind, subject, intent, round(rank::numeric, 6), events FROM revops.intent_state ORDER BY 2, 3, 4;
SELECT 'moment', moment_id, rule, subject_kind, subject, occurred_at, evidence, by_timer FROM revops.moment WHERE retracted_at IS NULL ORDER BY 2;
SELECT 'intent', event_id, intent, round(confidence::numeric, 6), method, span FROM revops.event_intent ORDER BY 2, 3;
SELECT 'stage', opportunity, recorded, estimated, round(probability::numeric, 6) FROM revops.stage_estimate ORDER BY 2;
SELECT 'card', t.subject, t.rule, m.moment_id FROM revops.task t JOIN revops.moment m USING (moment_id) WHERE m.retracted_at IS NULL ORDER BY 4;
SELECT 'attached', subject, kind, applied FROM revops.attached_row ORDER BY 2, 3;
SELECT 'opportunity', opportunity, stage, amount, properties FROM revops.opportunity ORDER BY 2;
SELECT 'person', person, identity FROM revops.person ORDER BY 2;
SELECT 'failed', count(*) FROM revops.failed_event;
SELECT 'late', count(*) FROM revops.late_event;
