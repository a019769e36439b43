-- schedules: pg_cron, where it is there. The server must have it preloaded, with cron.database_name naming this database.
\set SHOW_CONTEXT never
SELECT revops.schedule_jobs();
SELECT revops.unschedule_jobs();
-- the rest needs it
SELECT coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.database_name') = current_database(), false) AS cron \gset
\if :cron
\else
    \quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION pg_cron;
RESET client_min_messages;
SELECT cron.schedule('somebody else''s', '0 0 1 1 *', 'SELECT 1') > 0 AS scheduled;
SELECT * FROM revops.schedule_jobs();
SELECT count(*), max(jobid) - min(jobid) < 10 AS dense FROM cron.job;
-- twice changes nothing, nor what somebody set
SELECT cron.alter_job(jobid, schedule => '0 5 * * *') FROM cron.job WHERE jobname = 'revops retention';
CREATE TEMP TABLE before AS SELECT * FROM cron.job;
SELECT count(*) FROM revops.schedule_jobs();
SELECT (SELECT count(*) FROM cron.job) AS jobs, (SELECT count(*) FROM (SELECT * FROM cron.job INTERSECT SELECT * FROM before) x) AS same;
SELECT jobname, schedule FROM cron.job ORDER BY jobname;
-- an older release's command is brought up to date
SELECT cron.alter_job(jobid, command => 'SELECT revops.old()') FROM cron.job WHERE jobname = 'revops process';
SELECT * FROM revops.schedule_jobs() WHERE job = 'revops process';
-- each command runs
SELECT revops.make_partitions() >= 0 AS ok;
SELECT revops.drop_expired_partitions() >= 0 AS ok;
SELECT count(*) <= 1 AS ok FROM (SELECT revops.process() WHERE NOT EXISTS (SELECT FROM revops.worker_stats() WHERE pid IS NOT NULL)) x;
SELECT revops.unschedule_jobs();
SELECT revops.unschedule_jobs();
SELECT jobname FROM cron.job;
DROP EXTENSION pg_cron;
