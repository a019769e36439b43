-- stages on record, and fields that are set by name
SET revops.as_of = '2026-03-02 09:00+00';
SET timezone = 'UTC';
INSERT INTO revops.account (account, name) VALUES ('record-a', 'A');
INSERT INTO revops.opportunity (opportunity, account, stage, stage_since)
VALUES ('record-1', 'record-a', 'lead', '2026-02-01'), ('record-2', 'record-a', NULL, NULL), ('record-3', 'record-a', 'lead', NULL);
SET revops.as_of = '2026-03-03 09:00+00';
UPDATE revops.opportunity SET stage = 'demo' WHERE opportunity LIKE 'record-%';
UPDATE revops.opportunity SET amount = 5 WHERE opportunity LIKE 'record-%';
SET revops.change_origin = 'source';
UPDATE revops.opportunity SET stage = 'offer', stage_since = '2026-03-02 12:00+00' WHERE opportunity = 'record-1';
RESET revops.change_origin;
SELECT revops.set_field('opportunity', 'record-1', 'stage', 'demo', 'calibration') AS before, current_setting('revops.change_origin') AS acts_as;
SELECT opportunity, entered_at, stage, previous, origin, recorded_at FROM revops.stage_history WHERE opportunity LIKE 'record-%' ORDER BY 1, recorded_at, 2;
-- a dump's rows take the place of those that restoring the opportunity wrote
INSERT INTO revops.stage_history (opportunity, entered_at, stage, origin, recorded_at) VALUES ('record-3', '2026-03-02 09:00+00', 'lead', 'backfill', '2026-01-01');
SELECT opportunity, entered_at, stage, previous, origin, recorded_at FROM revops.stage_history WHERE opportunity = 'record-3' ORDER BY 1, 2;
-- and what is written again at the same instant takes the place of what was there
DELETE FROM revops.opportunity WHERE opportunity = 'record-3';
SET revops.change_origin = 'source';
INSERT INTO revops.opportunity (opportunity, stage, stage_since) VALUES ('record-3', 'lead', '2026-03-02 09:00+00'), ('record-4', 'lead', '2026-03-02 09:00+00');
UPDATE revops.opportunity SET stage = 'demo', stage_since = '2026-03-04' WHERE opportunity IN ('record-3', 'record-4');
UPDATE revops.opportunity SET stage = NULL, stage_since = '2026-03-05' WHERE opportunity = 'record-4';
RESET revops.change_origin;
SELECT opportunity, entered_at, stage, previous, origin, recorded_at FROM revops.stage_history WHERE opportunity IN ('record-3', 'record-4') ORDER BY 1, 2;
SELECT opportunity, stage, stage_since FROM revops.opportunity WHERE opportunity IN ('record-3', 'record-4') ORDER BY 1;
-- only the time is corrected: the history follows, and an entry of that time is the same one
UPDATE revops.opportunity SET stage_since = '2026-03-03 12:00+00', amount = 6 WHERE opportunity = 'record-3';
SELECT entered_at, stage, previous, origin FROM revops.stage_history WHERE opportunity = 'record-3' ORDER BY 1;
INSERT INTO revops.stage_history (opportunity, entered_at, stage, origin) VALUES ('record-3', '2026-03-03', 'demo', 'backfill');
UPDATE revops.opportunity SET stage_since = '2026-03-03' WHERE opportunity IN ('record-3', 'record-4');
SELECT entered_at, stage, previous, origin FROM revops.stage_history WHERE opportunity = 'record-3' ORDER BY 1;
-- a dump's script inserts: whoever else has its setting changes no stage in silence
BEGIN;
SET LOCAL check_function_bodies = off;
INSERT INTO revops.opportunity (opportunity, stage, stage_since) VALUES ('record-5', 'lead', '2026-03-02 09:00+00');
UPDATE revops.opportunity SET stage = 'demo', stage_since = '2026-03-04' WHERE opportunity = 'record-5';
SELECT revops.set_field('opportunity', 'record-5', 'stage', 'offer');
SET LOCAL revops.change_origin = 'source';
INSERT INTO revops.opportunity (opportunity, stage, stage_since) VALUES ('record-6', 'lead', '2026-03-02 09:00+00');
COMMIT;
SELECT opportunity, entered_at, stage, previous, origin FROM revops.stage_history WHERE opportunity IN ('record-5', 'record-6') ORDER BY 1, 2;
-- fields by name: columns, properties, and what cannot be
SELECT revops.set_field('opportunity', 'record-1', 'amount', '12.50'), revops.set_field('opportunity', 'record-1', 'budget', '30000'),
       revops.set_field('opportunity', 'record-1', 'budget', '40000');
SELECT stage, amount, properties FROM revops.opportunity WHERE opportunity = 'record-1';
SELECT revops.set_field('opportunity', 'record-1', 'budget', NULL);
SELECT stage, amount, properties FROM revops.opportunity WHERE opportunity = 'record-1';
SELECT revops.set_field('opportunity', 'record-9', 'stage', 'x');
SELECT revops.set_field('opportunity', 'record-1', 'amount', 'much');
SELECT revops.set_field('opportunity', 'record-1', '', 'much');
SELECT revops.set_field('opportunity', 'record-1', 'stage', 'x', 'nobody');
SELECT stage FROM revops.opportunity WHERE opportunity = 'record-1';
DELETE FROM revops.opportunity WHERE opportunity LIKE 'record-%';
DELETE FROM revops.stage_history WHERE opportunity LIKE 'record-%';
DELETE FROM revops.account WHERE account = 'record-a';
