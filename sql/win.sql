-- how likely an opportunity is to be won, how good an account looks, what a moment is worth
-- In one transaction, undone at the end: no worker sees these rows, and what other tests left is out of the way.
\set ON_ERROR_ROLLBACK on
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE ROLE revops_test_reader IN ROLE revops_reader;
BEGIN;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{event,moment,task,task_plan,opportunity,stage_history,person,account,territory,intent_state,model,model_version}'::text[] LOOP
        EXECUTE 'DELETE FROM revops.' || t;
    END LOOP;
END $$;
SET revops.as_of = '2026-06-01 12:00+00';
SELECT count(*) FROM revops.win_probability;
SELECT revops.record_win_probability();

INSERT INTO revops.territory (territory, name) VALUES ('n', 'North'), ('s', 'South');
INSERT INTO revops.account (account, name, segment, industry, territory)
SELECT 'a' || g, 'Account ' || g, (ARRAY['small', 'large'])[1 + g % 2], (ARRAY['bank', 'retail', 'energy'])[1 + g % 3], (ARRAY['n', 's'])[1 + g % 2] FROM generate_series(1, 60) g;
INSERT INTO revops.opportunity (opportunity, account, owner, stage, stage_since, status, opened_at, closed_at, amount)
SELECT 'o' || g, 'a' || (1 + g % 60), 'rep' || g % 4, 'open', o, CASE WHEN g > 600 THEN 'open' WHEN g % 5 < 2 THEN 'won' ELSE 'lost' END, o, CASE WHEN g <= 600 THEN o + interval '40 days' END,
       CASE WHEN g % 5 < 2 OR g > 600 THEN 1000 END
FROM (SELECT g, timestamptz '2026-01-01 00:00+00' + (g % 600) * interval '3 hours' AS o FROM generate_series(1, 640) g) x;
-- won ones reach the demo on their tenth day, mostly; all are closed on the fortieth, which nobody may know before
INSERT INTO revops.stage_history (opportunity, entered_at, stage, previous, origin)
SELECT opportunity, opened_at + interval '10 days', 'demo', 'open', 'backfill' FROM revops.opportunity
WHERE (status = 'won' AND hashtextextended(opportunity, 3) % 10 <> 0) OR (status = 'lost' AND hashtextextended(opportunity, 3) % 10 = 0) OR (status = 'open' AND hashtextextended(opportunity, 3) % 2 = 0);
INSERT INTO revops.stage_history (opportunity, entered_at, stage, previous, origin)
SELECT opportunity, closed_at, status, 'demo', 'backfill' FROM revops.opportunity WHERE status <> 'open';
INSERT INTO revops.event (occurred_at, account, opportunity, side, channel, kind, person)
SELECT opened_at + d * interval '1 day', account, opportunity, CASE WHEN d % 4 = 0 THEN 'rep' ELSE 'customer' END, 'email', 'message', 'p' || account || d % 3
FROM revops.opportunity, generate_series(1, 50, 7) d WHERE opened_at + d * interval '1 day' < revops.now();

-- what was known then: nothing of later
SELECT count(*), count(won), count(*) FILTER (WHERE won) AS won, bool_and(at = revops.now()) FILTER (WHERE won IS NULL) AS open_now, bool_and(at < closed_at) AS before_the_end,
       count(*) FILTER (WHERE stage IN ('won', 'lost')) AS told FROM revops.win_snapshot;
SELECT count(*) FROM revops.win_snapshot w JOIN revops.opportunity o USING (opportunity)
WHERE w.customer_events + w.rep_events <> (SELECT count(*) FROM revops.event e WHERE e.opportunity = w.opportunity AND e.occurred_at <= w.at AND e.occurred_at > w.at - interval '30 days')
   OR (w.stage = 'demo') <> (w.at >= o.opened_at + interval '10 days' AND EXISTS (SELECT FROM revops.stage_history h WHERE h.opportunity = w.opportunity AND h.stage = 'demo'))
   OR abs(w.days_open - extract(epoch FROM w.at - o.opened_at) / 86400) > 1e-6;
-- in the past, what closed since is open
SET revops.as_of = '2026-02-15 12:00+00';
SELECT count(*) FILTER (WHERE won IS NULL) > 40 AS more_open, count(closed_at) FILTER (WHERE closed_at > revops.now()) AS later FROM revops.win_snapshot;
SET revops.as_of = '2026-06-01 12:00+00';

SELECT revops.train_win();
SELECT metrics ->> 'split' AS split, (metrics ->> 'learnt')::bool AS learnt FROM revops.model_version WHERE model = 'win';
SELECT model, label, options ->> 'time' AS time FROM revops.model_schedule;
SELECT revops.record_win_probability();
SELECT count(*), min(day) FROM revops.win_history;
SET revops.as_of = '2026-06-09 08:00+00';
SELECT revops.record_win_probability();
SELECT count(*), bool_and(abs(change - (probability - week_ago)) < 1e-12) AS changed, count(week_ago), bool_and(cardinality(reasons_for) <= 3 AND cardinality(reasons_against) <= 3 IS NOT FALSE) AS three FROM revops.win_probability;
SELECT stage, avg(probability) > 0.6 AS likely, bool_or('stage: demo' = left(r, 11)) AS told FROM revops.win_probability, unnest(reasons_for) r GROUP BY stage ORDER BY 2 DESC LIMIT 1;
SELECT bool_and(abs(p.probability - revops.predict('win', s)) < 1e-12) FROM revops.win_probability p JOIN revops.win_snapshot s USING (opportunity);
SELECT model, result FROM revops.calibrate_models();
SELECT model, tried_at, deployed, candidate FROM revops.model_trial;
SELECT count(*) FROM revops.calibrate_models();
SELECT revops.schedule_training('win', 'SELECT 1');
SELECT revops.schedule_training('broken', 'SELECT 1 AS label, nothing FROM nowhere', options => '{"time": "at"}');
SELECT model, result FROM revops.calibrate_models();
SELECT revops.unschedule_training('broken'), revops.unschedule_training('broken');

-- accounts: each share between 0 and 1, and as it is defined
SELECT count(*), bool_and(intent BETWEEN 0 AND 1 AND fit BETWEEN 0 AND 1 AND relationship BETWEEN 0 AND 1 AND abs(score - (intent + fit + relationship) / 3) < 1e-12) FROM revops.account_score;
SELECT max(abs(s.fit - x.fit)) < 1e-12 AS fit FROM revops.account_score s JOIN LATERAL (
    SELECT (count(*) FILTER (WHERE o.status = 'won') + 10 * 240 / 600.0) / (count(*) + 10) AS fit
    FROM revops.opportunity o JOIN revops.account b USING (account) JOIN revops.account a ON a.segment = b.segment AND a.industry = b.industry
    WHERE a.account = s.account AND o.status <> 'open') x ON true;
INSERT INTO revops.intent (intent, half_life) VALUES ('visits', '7 days');
INSERT INTO revops.intent_state (subject_kind, subject, intent, rank, events, last_at) SELECT 'account', 'a' || g, 'visits', 1000 + g, 1, revops.now() FROM generate_series(1, 4) g;
SELECT account, intent FROM revops.account_score WHERE intent > 0 ORDER BY intent DESC;

-- moments: strength x speed x match
INSERT INTO revops.playbook (playbook, title, line) VALUES ('call', 'Call', '15 minutes');
INSERT INTO revops.moment (moment_id, rule, version, subject_kind, subject, account, occurred_at, detected_at, strength, evidence, playbook)
SELECT md5('m' || g)::uuid, 'r', 1, 'account', 'm' || g, 'm' || g, timestamptz '2026-06-01 00:00+00' + g * interval '10 minutes', revops.now(), 0.2 + 0.8 * (g % 5) / 4.0, '{}', 'call' FROM generate_series(1, 400) g;
INSERT INTO revops.task (task_id, subject_kind, subject, moment_id, rule, playbook, title, account, moment_at, opened_at, due_at, line, status, answered_at, answered_by, plan)
SELECT g, 'account', subject, moment_id, 'r', 'call', 'Call', subject, occurred_at, occurred_at, occurred_at + interval '15 minutes', '15 minutes', 'answered', occurred_at + (g % 7) * interval '5 minutes', 'rep1', 1
FROM revops.moment, LATERAL (SELECT substr(subject, 2)::int AS g) x WHERE rule = 'r';
INSERT INTO revops.task_plan (subject, task_id, rank, plan, title, channel, message, score, reason) SELECT subject, task_id, 1, 1, 'Call', 'call', 'Hello', (task_id % 3) / 2.0, '' FROM revops.task WHERE rule = 'r';
SELECT intent_strength, response_speed, content_match, round(value::numeric, 6) AS value, fitted FROM revops.moment_value WHERE subject IN ('m1', 'm3', 'm7') ORDER BY subject;
SELECT revops.fit_moment_value();
-- customers who were answered fast bought; nothing else mattered
INSERT INTO revops.event (occurred_at, account, kind) SELECT answered_at + interval '1 hour', account, 'purchase' FROM revops.task WHERE rule = 'r' AND (task_id % 7 <= 2) = (task_id % 11 <> 0);
SELECT revops.fit_moment_value();
SELECT response > 2.5 AS speed, intent < 0.5 AS strength, content < 0.5 AS match, abs(intent + response + content - 3) < 1e-9 AS three, outcomes, converted FROM revops.moment_value_weight;
SELECT count(*), bool_and(fitted AND value BETWEEN 0 AND 1) FROM revops.moment_value;

-- readers see the views
SET ROLE revops_test_reader;
SELECT count(*) > 0 AS readable FROM revops.win_probability;
SELECT count(*) > 0 AS readable FROM revops.account_score;
SELECT count(*) > 0 AS readable FROM revops.moment_value;
SELECT revops.train_win();
SELECT revops.calibrate_models();
RESET ROLE;
ROLLBACK;
DROP ROLE revops_test_reader;
