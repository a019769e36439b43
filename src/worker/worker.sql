-- worker: the stream's background workers

CREATE FUNCTION revops.start_worker() RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'revops_start_worker';
COMMENT ON FUNCTION revops.start_worker() IS 'Starts this database''s background workers after revops.stop_worker(), ends a pause after a restore (the restored stream is taken over) and a wait after an error, and returns whether they run; an error with a hint where pg_revops is not preloaded';

CREATE FUNCTION revops.stop_worker() RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'revops_stop_worker';
COMMENT ON FUNCTION revops.stop_worker() IS 'Stops this database''s background workers, waits until they have ended, and returns whether any ran. They stay stopped until revops.start_worker() or the next start of the server; revops.worker = off stops all of the server''s for good';

CREATE FUNCTION revops.worker_stats(
    OUT lane int, OUT pid int, OUT state text, OUT events bigint, OUT rate float8, OUT last_pass_at timestamptz,
    OUT pass_time interval, OUT memory bigint, OUT last_error text, OUT last_error_at timestamptz) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'revops_worker_stats';
COMMENT ON FUNCTION revops.worker_stats() IS 'This database''s background workers: per lane the process, its state (starting, waiting, working, paused after a restore, busy: revops.process() has the lane, failing, held by DROP DATABASE or its like, stopped, off), events done since the server started and a second, the last pass, how long the last one with events took, peak bytes of a pass, the last error; no row where there are none. revops.stream_status shows it beside the backlog';

CREATE FUNCTION revops.announce() RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'revops_announce';
COMMENT ON FUNCTION revops.announce() IS 'Tells the launcher that this database has pg_revops now; CREATE EXTENSION calls it';

SELECT revops.announce();
