-- schedules: pg_cron, where it is there. The server must have it preloaded, with cron.database_name naming this database.
\set VERBOSITY verbose
\set VERBOSITY default
SELECT revops.schedule_jobs();
SELECT revops.unschedule_jobs();
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
SELECT revops.unschedule_jobs();
SELECT revops.unschedule_jobs();
SELECT jobname FROM cron.job;
DROP EXTENSION pg_cron;
