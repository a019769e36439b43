-- worker: the stream as a DBA watches it

-- Its plan has a part for each partition: compiling those would take longer than the rest by far
CREATE FUNCTION revops.lane_backlog(l revops.stream_lane, before timestamptz DEFAULT 'infinity', OUT backlog bigint, OUT oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT count(*), min(x.received_at) FROM (
        SELECT e.received_at FROM revops.event e
        WHERE e.occurred_at < before AND e.txid >= CASE WHEN l.epoch = revops.stream_epoch() THEN pg_snapshot_xmin(l.done) ELSE '0' END
          AND NOT e.epoch = ANY (l.past_epochs)
          AND NOT (e.epoch = l.epoch AND pg_visible_in_snapshot(e.txid, l.done))
          AND NOT coalesce(l.position_txid IS NOT NULL AND l.target IS NOT NULL AND (l.adopting OR pg_visible_in_snapshot(e.txid, l.target))
                           AND (e.txid, e.event_id) <= (l.position_txid, l.position_id), false)
        LIMIT 1000000) x
$$;
COMMENT ON FUNCTION revops.lane_backlog(revops.stream_lane, timestamptz) IS 'Committed events that a lane has not read yet, of before a time, counted up to 1,000,000, and when the oldest of them came';

CREATE VIEW revops.stream_status AS
SELECT l.lane, w.pid, coalesce(w.state, 'no worker') AS state, l.events, b.backlog,
       greatest(revops.now() - b.oldest, interval '0') AS lag,
       w.rate, l.failed, l.passes, l.last_pass_at,
       (SELECT count(*) FROM revops.repair_request r WHERE revops.subject_lane(r.subject_kind, r.subject, l.lanes) = l.lane) AS repairs,
       w.last_error, w.memory
FROM revops.stream_lane l
LEFT JOIN revops.worker_stats() w ON w.lane = l.lane
CROSS JOIN LATERAL revops.lane_backlog(l) b;
COMMENT ON VIEW revops.stream_status IS 'The stream, lane by lane: what is done, what waits, who works';
COMMENT ON COLUMN revops.stream_status.lane IS 'The lane';
COMMENT ON COLUMN revops.stream_status.pid IS 'Its worker''s process; NULL where none runs';
COMMENT ON COLUMN revops.stream_status.state IS 'What the worker is at';
COMMENT ON COLUMN revops.stream_status.events IS 'Events taken, ever';
COMMENT ON COLUMN revops.stream_status.backlog IS 'Committed events that the lane has not read yet (each lane reads all), counted up to 1,000,000';
COMMENT ON COLUMN revops.stream_status.lag IS 'How long the oldest of them has waited; 0 where none does';
COMMENT ON COLUMN revops.stream_status.rate IS 'Events a second, lately';
COMMENT ON COLUMN revops.stream_status.failed IS 'Events put in quarantine, ever';
COMMENT ON COLUMN revops.stream_status.passes IS 'Passes that took something, ever';
COMMENT ON COLUMN revops.stream_status.last_pass_at IS 'When the last of them was';
COMMENT ON COLUMN revops.stream_status.repairs IS 'Subjects that wait for a repair';
COMMENT ON COLUMN revops.stream_status.last_error IS 'The worker''s last error, if it had one';
COMMENT ON COLUMN revops.stream_status.memory IS 'Bytes that a pass of it used at the most';
