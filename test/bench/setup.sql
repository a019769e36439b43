-- helpers of the measurements
CREATE EXTENSION pg_revops;
CREATE SCHEMA bench;

-- forget all events and results
CREATE FUNCTION bench.reset() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
END $$;

CREATE PROCEDURE bench.worker(run boolean) LANGUAGE plpgsql AS $$
BEGIN
	IF run THEN PERFORM revops.start_worker(); ELSE PERFORM revops.stop_worker(); END IF;
END $$;

-- wait until so many lanes have taken all events that are committed now
CREATE PROCEDURE bench.caught_up(want int) LANGUAGE plpgsql AS $$
DECLARE
	since xid8 := (SELECT txid FROM revops.event ORDER BY txid DESC LIMIT 1);
BEGIN
	LOOP
		EXIT WHEN since IS NULL OR (SELECT count(*) = want AND bool_and(target IS NULL AND pg_visible_in_snapshot(since, done)) FROM revops.stream_lane);
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;

-- the same table without the extension's trigger, and without anybody who reads it
CREATE TABLE bench.plain (LIKE revops.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (occurred_at);
CREATE TABLE bench.plain_now (LIKE revops.event_default INCLUDING ALL);
CREATE TABLE bench.plain_default (LIKE revops.event_default INCLUDING ALL);
ALTER TABLE bench.plain ATTACH PARTITION bench.plain_default DEFAULT;
SELECT format('ALTER TABLE bench.plain ATTACH PARTITION bench.plain_now FOR VALUES FROM (%L) TO (%L)',
	now() - interval '1 day', now() + interval '10 days') \gexec
SELECT revops.make_partition(t) FROM generate_series(now() - interval '60 days', now() + interval '10 days', interval '10 days') t;
