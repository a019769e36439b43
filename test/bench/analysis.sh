# analysis.sh: the aggregates against the executor's own floor, plain SQL and ClickHouse; run.sh runs it, as its part "analysis".
#   REVOPS_BENCH_ANALYSIS_ROWS   events (default 10 million times the scale)
# One process each: no parallel workers (but in one row), one thread in ClickHouse. All in memory, and no aggregation spills to disk.
events=${REVOPS_BENCH_ANALYSIS_ROWS:-$(scaled 10000000)}
say "analysis: making $events events ..."
sql -c "CALL bench.worker(false)" -v n="$events" -f - <<'S' >/dev/null
SELECT setseed(0.42);
-- 90 days in spans of 20 minutes, in the order of time. In a span a few users are active, each with eight events on average;
-- a user has a hundred in all, of ten kinds
CREATE UNLOGGED TABLE bench.click AS
SELECT ((g / per_span * 7919 + floor(random() * greatest(per_span / 8, 1))::bigint) % greatest(:n / 100, 1))::int AS u, timestamptz '2026-01-01 00:00Z' + g * (interval '90 days' / :n) AS ts,
       (ARRAY['view','view','view','search','search','cart','order','share','help','login'])[1 + floor(random() * 10)] AS k,
       '/p' || floor(random() * 50)::int AS page
FROM (SELECT greatest(:n / 6480, 1) AS per_span) p, generate_series(1, :n) g;
VACUUM ANALYZE bench.click;
S

trap '[ -z "$ch_pid" ] || kill "$ch_pid"' EXIT
ch_pid='' ch_port=19017 ch_dir=$dir/clickhouse
ch() { clickhouse-client --port "$ch_port" --max_threads 1 --max_memory_usage 16000000000 --query "$1"; }
export PATH=$PATH:/usr/sbin
if command -v clickhouse-server >/dev/null && command -v clickhouse-client >/dev/null; then
	mkdir -p "$ch_dir"
	cat >"$ch_dir/config.xml" <<C
<yandex><logger><level>error</level><log>$ch_dir/log</log><errorlog>$ch_dir/errors</errorlog></logger>
<http_port>$((ch_port + 1))</http_port><tcp_port>$ch_port</tcp_port><listen_host>127.0.0.1</listen_host><path>$ch_dir/data/</path><tmp_path>$ch_dir/tmp/</tmp_path>
<mark_cache_size>1073741824</mark_cache_size><timezone>UTC</timezone><users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database></yandex>
C
	cat >"$ch_dir/users.xml" <<C
<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>
C
	clickhouse-server --config-file="$ch_dir/config.xml" >/dev/null 2>&1 &
	ch_pid=$!
	for ((i = 0; i < 100; i++)); do ch 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
	if ch "CREATE TABLE click (u UInt32, ts DateTime, k String, page String) ENGINE = MergeTree PARTITION BY tuple() ORDER BY ts" 2>/dev/null; then
		sql -c "COPY (SELECT u, extract(epoch FROM ts)::bigint, k, page FROM bench.click) TO STDOUT" | ch "INSERT INTO click FORMAT TabSeparated"
		ch "OPTIMIZE TABLE click FINAL"
	else
		kill "$ch_pid" || true
		ch_pid=''
	fi
fi
[ -n "$ch_pid" ] || say "analysis: clickhouse-server and clickhouse-client are not installed, or do not start: left out"

export PGOPTIONS="-c max_parallel_workers_per_gather=0 -c work_mem=4GB -c hash_mem_multiplier=1 -c jit=off"
# CPU seconds of one backend, which other work on the machine disturbs less than the clock. The least of the rounds; queries count
# whole rows, so that no column is left out as unused
ticks="SELECT split_part(s, ' ', 14)::bigint + split_part(s, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat') s"
hertz=$(getconf CLK_TCK)
best() { for ((r = 0; r < rounds; r++)); do sql -c "$ticks" -c "$1" -c "$ticks" | awk -v h="$hertz" 'NR == 1 { a = $1 } END { print ($1 - a) / h }'; done | sort -g | head -1; }
ch_ticks() { awk '{ print $14 + $15 }' "/proc/$ch_pid/stat"; }
best_ch() {
	local a
	for ((r = 0; r < rounds; r++)); do a=$(ch_ticks); ch "$1" >/dev/null; awk -v a="$a" -v b="$(ch_ticks)" -v h="$hertz" 'BEGIN { print (b - a) / h }'; done | sort -g | head -1
}
best_clock() { for ((r = 0; r < rounds; r++)); do seconds sql -c "$1"; echo; done | sort -g | head -1; }

# compare NAME GOAL(times faster than plain SQL, or -) AGGREGATES FLOOR PLAIN CLICKHOUSE
compare() {
	local ours floor plain theirs=- per_plain told
	floor=$(best "SELECT count(x) FROM (SELECT u, $4 FROM bench.click GROUP BY u) x")
	ours=$(best "SELECT count(x) FROM (SELECT u, $3 FROM bench.click GROUP BY u) x")
	plain=$(rounds=1 best "SELECT count(x) FROM ($5) x")
	if [ -n "$ch_pid" ] && [ -n "$6" ]; then theirs=$(best_ch "SELECT count(), sum(ignore(x)) FROM (SELECT u, $6 AS x FROM click GROUP BY u)"); fi
	told="$ours s; floor $floor s, plain SQL $plain s, ClickHouse $theirs$([ "$theirs" = - ] || echo ' s')"
	row "$1, of the floor" "$(ratio "$ours" "$floor") ($told)" "<= 2" "$(ratio "$ours" "$floor")" "<=" 2
	per_plain=$(ratio "$plain" "$ours")
	if [ "$2" = - ]; then row "$1, times faster than plain SQL" "$per_plain" - 0; else row "$1, times faster than plain SQL" "$per_plain" ">= $2" "$per_plain" ">=" "$2"; fi
	[ "$theirs" = - ] || row "$1, of ClickHouse's time" "$(ratio "$ours" "$theirs")" - 0
}
c1="k = 'view'" c2="k = 'search'" c3="k = 'cart'" c4="k = 'order'"
floor4="count(*) FILTER (WHERE $c1), count(*) FILTER (WHERE $c2), count(*) FILTER (WHERE $c3), count(*) FILTER (WHERE $c4)"
floor3="count(*) FILTER (WHERE $c1), count(*) FILTER (WHERE $c2), count(*) FILTER (WHERE $c3)"
sql -c "SELECT count(*) FROM bench.click" >/dev/null

# the latest start of a chain at each step, by one window function for each step
compare "window_funnel, 4 steps" 10 "revops.window_funnel('1 day', ts, $c1, $c2, $c3, $c4)" "$floor4" \
	"SELECT u, max(CASE WHEN s4 THEN 4 WHEN s3 IS NOT NULL THEN 3 WHEN s2 IS NOT NULL THEN 2 WHEN s1 IS NOT NULL THEN 1 ELSE 0 END) FROM (
		SELECT *, $c4 AND ts <= s3 + interval '1 day' AS s4 FROM (
		SELECT *, max(s2) FILTER (WHERE $c3 AND ts <= s2 + interval '1 day') OVER (PARTITION BY u ORDER BY ts) AS s3 FROM (
		SELECT *, max(s1) FILTER (WHERE $c2 AND ts <= s1 + interval '1 day') OVER (PARTITION BY u ORDER BY ts) AS s2 FROM (
		SELECT u, ts, k, max(ts) FILTER (WHERE $c1) OVER (PARTITION BY u ORDER BY ts) AS s1 FROM bench.click
		WHERE k IN ('view', 'search', 'cart', 'order')) a) b) c) d GROUP BY u" "windowFunnel(86400)(ts, $c1, $c2, $c3, $c4)"
# partial states in two workers and the leader; window functions cannot be spread so
query="SELECT count(x) FROM (SELECT u, revops.window_funnel('1 day', ts, $c1, $c2, $c3, $c4) FROM bench.click GROUP BY u) x"
one=$(best_clock "$query") two=$(PGOPTIONS="${PGOPTIONS/max_parallel_workers_per_gather=0/max_parallel_workers_per_gather=2}" best_clock "$query")
row "The same with 2 workers, of one process, by the clock" "$(ratio "$two" "$one") ($two s / $one s)" - 0
# what users write more often: a join for each step
plain=$(rounds=1 best "SELECT count(y) FROM (SELECT u, max(level) FROM (
	SELECT a.u, CASE WHEN d.u IS NOT NULL THEN 4 WHEN c.u IS NOT NULL THEN 3 WHEN b.u IS NOT NULL THEN 2 ELSE 1 END AS level FROM bench.click a
	LEFT JOIN bench.click b ON b.u = a.u AND b.k = 'search' AND b.ts BETWEEN a.ts AND a.ts + interval '1 day'
	LEFT JOIN bench.click c ON c.u = a.u AND c.k = 'cart' AND c.ts BETWEEN b.ts AND a.ts + interval '1 day'
	LEFT JOIN bench.click d ON d.u = a.u AND d.k = 'order' AND d.ts BETWEEN c.ts AND a.ts + interval '1 day' WHERE a.k = 'view') x GROUP BY u) y")
row "The same funnel by joins" "$plain s" - 0
compare "window_funnel, strict_order and strict_dedup" - "revops.window_funnel('1 day', '{strict_order,strict_dedup}', ts, $c1, $c2, $c3, $c4)" "$floor4" \
	"SELECT u, max(level) FROM (SELECT u, CASE WHEN NOT $c1 THEN 0 WHEN k2 IS DISTINCT FROM 'search' OR t2 > ts + interval '1 day' THEN 1 WHEN k3 IS DISTINCT FROM 'cart' OR t3 > ts + interval '1 day' THEN 2
		WHEN k4 IS DISTINCT FROM 'order' OR t4 > ts + interval '1 day' THEN 3 ELSE 4 END AS level FROM (
		SELECT u, ts, k, lead(k) OVER w AS k2, lead(ts) OVER w AS t2, lead(k, 2) OVER w AS k3, lead(ts, 2) OVER w AS t3, lead(k, 3) OVER w AS k4, lead(ts, 3) OVER w AS t4 FROM bench.click
		WHERE k IN ('view', 'search', 'cart', 'order') WINDOW w AS (PARTITION BY u ORDER BY ts)) a) b GROUP BY u" ''
compare "sequence_match, 3 events, a bound on time" - "revops.sequence_match('(?1).*(?2)(?t<=3600)(?3)', ts, $c1, $c2, $c3)" "$floor3" \
	"SELECT u, bool_or(k = 'cart' AND ts <= s2 + interval '1 hour') FROM (
		SELECT *, max(ts) FILTER (WHERE $c2 AND ts > s1) OVER (PARTITION BY u ORDER BY ts) AS s2 FROM (
		SELECT u, ts, k, min(ts) FILTER (WHERE $c1) OVER (PARTITION BY u ORDER BY ts) AS s1 FROM bench.click WHERE k IN ('view', 'search', 'cart')) a) b GROUP BY u" \
	"sequenceMatch('(?1).*(?2)(?t<=3600)(?3)')(ts, $c1, $c2, $c3)"
compare "sequence_count, 3 events in a row" - "revops.sequence_count('(?1)(?2)(?3)', ts, $c1, $c2, $c3)" "$floor3" \
	"SELECT u, count(*) FILTER (WHERE $c1 AND k2 = 'search' AND k3 = 'cart') FROM (
		SELECT u, k, lead(k) OVER w AS k2, lead(k, 2) OVER w AS k3 FROM bench.click WHERE k IN ('view', 'search', 'cart') WINDOW w AS (PARTITION BY u ORDER BY ts)) a GROUP BY u" \
	"sequenceCount('(?1)(?2)(?3)')(ts, $c1, $c2, $c3)"
compare "retention, 4 conditions" - "revops.retention($c1, $c2, $c3, $c4)" "$floor4" \
	"SELECT u, ARRAY[bool_or($c1), bool_or($c1) AND bool_or($c2), bool_or($c1) AND bool_or($c3), bool_or($c1) AND bool_or($c4)] FROM bench.click GROUP BY u" \
	"retention($c1, $c2, $c3, $c4)"
compare "sessionize" - "revops.sessionize('30 minutes', ts)" "count(ts)" \
	"SELECT u, min(ts), max(ts), count(*), max(ts) - min(ts) FROM (
		SELECT u, ts, sum(b) OVER (PARTITION BY u ORDER BY ts) AS n FROM (
		SELECT u, ts, CASE WHEN ts - lag(ts) OVER (PARTITION BY u ORDER BY ts) <= interval '30 minutes' THEN 0 ELSE 1 END AS b FROM bench.click) a) b GROUP BY u, n" ''
compare "day_streak" 10 "revops.day_streak(ts, 'Asia/Shanghai')" "count(ts)" \
	"SELECT u, max(c) FROM (SELECT u, count(*) AS c FROM (SELECT u, d - row_number() OVER (PARTITION BY u ORDER BY d)::int AS i FROM (
		SELECT DISTINCT u, (ts AT TIME ZONE 'Asia/Shanghai')::date AS d FROM bench.click) a) b GROUP BY u, i) c GROUP BY u" \
	"arraySort(groupUniqArray(toDate(ts, 'Asia/Shanghai')))"
compare "next_node" - "revops.next_node('forward', 'first_match', ts, page, true, $c1, $c2)" "count(*) FILTER (WHERE $c1), count(*) FILTER (WHERE $c2), count(page)" \
	"SELECT DISTINCT ON (u) u, CASE WHEN k2 = 'search' THEN page3 END FROM (
		SELECT u, ts, k, lead(k) OVER w AS k2, lead(page, 2) OVER w AS page3 FROM bench.click WINDOW w AS (PARTITION BY u ORDER BY ts)) a WHERE $c1 ORDER BY u, ts" ''
