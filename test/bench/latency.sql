-- commit to moment: from the commit time of an event's transaction to that of its moment's, after two seconds of warming up
WITH x AS MATERIALIZED (
	SELECT e.received_at, m.moment_id IS NOT NULL AS found, pg_xact_commit_timestamp(e.txid::xid) AS done,
	       pg_xact_commit_timestamp(m.xmin) AS seen
	FROM revops.event e LEFT JOIN revops.moment m ON m.subject = e.person WHERE e.kind = 'ping'
), y AS MATERIALIZED (
	SELECT *, extract(epoch FROM seen - done) * 1000 AS ms, extract(epoch FROM seen - received_at) * 1000 AS whole
	FROM x WHERE done > (SELECT min(done) FROM x) + interval '2 s')
SELECT count(*), count(*) FILTER (WHERE found), round(count(*) / extract(epoch FROM max(done) - min(done))),
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2), round(percentile_cont(0.95) WITHIN GROUP (ORDER BY ms)::numeric, 2),
       round(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)::numeric, 2), round(max(ms)::numeric, 2),
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY whole)::numeric, 2), round(percentile_cont(0.99) WITHIN GROUP (ORDER BY whole)::numeric, 2)
FROM y;
