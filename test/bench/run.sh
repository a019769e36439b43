#!/bin/bash
# run.sh: the measurements, in a throw-away cluster; make bench calls it. Prints a table, in Markdown.
#   REVOPS_BENCH_SCALE   size of the data, 1 is that of the targets (default 1)
#   REVOPS_BENCH_ROUNDS  rounds of each measurement of which the median counts (default 3)
#   REVOPS_BENCH_ONLY    names of measurements to make: stream latency insert hottest memory rules analysis learn predict text stages attach assignment units (default all)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" = 0 ]; then
	exec runuser -u postgres -- env PGBIN="$PGBIN" REVOPS_BENCH_SCALE="${REVOPS_BENCH_SCALE:-1}" \
		REVOPS_BENCH_ROUNDS="${REVOPS_BENCH_ROUNDS:-3}" REVOPS_BENCH_ONLY="${REVOPS_BENCH_ONLY:-}" \
		REVOPS_BENCH_ANALYSIS_ROWS="${REVOPS_BENCH_ANALYSIS_ROWS:-}" bash "$0" "$@"
fi
scale=${REVOPS_BENCH_SCALE:-1}
rounds=${REVOPS_BENCH_ROUNDS:-3}
only=${REVOPS_BENCH_ONLY:-stream latency insert hottest memory rules analysis learn predict text stages attach assignment units}
cd /

dir=$(mktemp -d "${TMPDIR:-/tmp}/revops_bench.XXXXXX")
finish() { [ -z "${ch_pid:-}" ] || kill "$ch_pid" 2>/dev/null || true; "$PGBIN/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap finish EXIT
export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=bench
unset PGDATA PGOPTIONS PGSERVICE

say() { printf '%s\n' "$*" >&2; }
sql() { "$PGBIN/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
scaled() { awk -v n="$1" -v s="$scale" 'BEGIN { n = int(n * s); print n < 1 ? 1 : n }'; }
seconds() { local t=$EPOCHREALTIME; "$@" >/dev/null; awk -v a="$t" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'; }
median() { tr ' ' '\n' <<<"$*" | grep . | sort -g | awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
wanted() { [[ " $only " == *" $1 "* ]]; }

table=()
# row NAME MEASURED TARGET VALUE OP LIMIT: with no OP it is only told
row() {
	local ok=-
	[ -z "${5:-}" ] || ok=$(awk -v v="$4" -v o="$5" -v l="$6" 'BEGIN { print ((o == "<" ? v < l : o == "<=" ? v <= l : v >= l) ? "ok" : "miss") }')
	table+=("| $1 | $2 | $3 | $ok |")
	say "$1: $2 (target $3): $ok"
}

say "Starting a cluster ..."
"$PGBIN/initdb" -D "$dir/data" -E UTF8 --locale=C.UTF-8 -A trust >/dev/null
cat >>"$dir/data/postgresql.conf" <<C
shared_preload_libraries = 'pg_revops'
unix_socket_directories = '$dir'
listen_addresses = ''
shared_buffers = 512MB
max_wal_size = 4GB
log_min_messages = warning
C
start() { "$PGBIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w start >/dev/null || { cat "$dir/log" >&2; exit 1; }; }
start
"$PGBIN/createdb" bench
sql -f "$here/setup.sql" >/dev/null
version=$(sql -c 'SHOW server_version')

# (1) the backlog of one COPY: by hand in one lane, then by two workers
if wanted stream; then
	n=$(scaled 2000000)
	sql -c "CALL bench.worker(false)" -f "$here/config.sql" >/dev/null
	sql -v n="$n" <<'S' >/dev/null
SELECT setseed(0.42);
CREATE UNLOGGED TABLE bench.feed AS
SELECT now() - (:n - g) * interval '0.9 s' AS occurred_at, 'p' || (1 + floor(100000 * power(random(), 2)))::int AS person,
       'k' || (1 + floor(random() * 40))::int AS kind, '/p' || (random() * 50)::int AS object, random() * 120 * interval '1 s' AS dwell
FROM generate_series(1, :n) g;
S
	sql -c "COPY bench.feed TO '$dir/feed.csv' CSV" -c "DROP TABLE bench.feed"
	copies=() ones=() twos=()
	load() { sql -c "COPY revops.event (occurred_at, person, kind, object, dwell) FROM '$dir/feed.csv' CSV"; }
	two() { sql -c "CALL bench.worker(true)" -c "CALL bench.caught_up(2)"; }
	for ((i = 1; i <= rounds; i++)); do
		sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "VACUUM ANALYZE" -c CHECKPOINT >/dev/null
		copies+=("$(seconds load)")
		ones+=("$(seconds sql -c "SELECT revops.process()")")
		say "stream, round $i: COPY ${copies[-1]} s, process() ${ones[-1]} s," \
			"$(sql -F ' ' -c 'SELECT (SELECT count(*) FROM revops.intent_state), (SELECT count(*) FROM revops.moment), (SELECT count(*) FROM revops.failed_event)') scores/moments/failures"
	done
	c=$(median "${copies[@]}") o=$(median "${ones[@]}")
	row "COPY of $n events" "$c s" - 0
	row "Work-off by process(), 20 signals, 10 rules" "$o s" - 0
	row "Work-off / COPY" "$(ratio "$o" "$c")" "<= 1" "$(ratio "$o" "$c")" "<=" 1
	for ((i = 1; i <= ${REVOPS_BENCH_TWO_ROUNDS:-$rounds}; i++)); do
		sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "SELECT revops.set_lanes(2)" -c "VACUUM ANALYZE" -c CHECKPOINT >/dev/null
		load
		twos+=("$(seconds two)")
	done
	t=$(median "${twos[@]}")
	row "Work-off by 2 workers in 2 lanes" "$t s, $(ratio "$t" "$c") of COPY" - 0
	sql -c "SELECT bench.reset()" -c "SELECT revops.set_lanes(1)" -c "CALL bench.worker(true)" >/dev/null
	rm -f "$dir/feed.csv"
fi

# (2) commit to moment: from the commit time of an event's transaction (taken before its flush) to that of its moment's
if wanted latency; then
	secs=$(scaled 30); [ "$secs" -ge 5 ] || secs=5
	sql -c "ALTER SYSTEM SET track_commit_timestamp = on"
	"$PGBIN/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null; start
	sql -c "SELECT bench.reset()" -c "SELECT revops.put_rule('ping', '{\"title\": \"Ping\", \"when\": {\"kind\": \"ping\"}}')" -c "VACUUM ANALYZE" \
		-c CHECKPOINT -c "CALL bench.worker(true)" >/dev/null
	echo "INSERT INTO revops.event (person, kind) VALUES ('v' || gen_random_uuid(), 'ping');" >"$dir/ping.sql"
	"$PGBIN/pgbench" -n -M prepared -f "$dir/ping.sql" -c 8 -j 2 -R 2000 -T "$secs" >"$dir/ping.log" 2>&1 || { cat "$dir/ping.log" >&2; exit 1; }
	sql -c "CALL bench.caught_up(1)"
	IFS='|' read -r pings moments rate p50 p95 p99 max s50 s99 < <(sql -f "$here/latency.sql")
	row "Single-row inserts a second, 8 clients" "$rate" ">= 1900" "$rate" ">=" 1900
	row "Events without their moment" "$((pings - moments)) of $pings" 0 $((pings - moments)) "<=" 0
	row "Commit to moment, p50" "$p50 ms" "< 5 ms" "$p50" "<" 5
	row "Commit to moment, p95" "$p95 ms" - 0
	row "Commit to moment, p99" "$p99 ms" "< 50 ms" "$p99" "<" 50
	row "Commit to moment, longest" "$max ms" - 0
	row "Events a pass, time of the last pass" "$(sql -F ', ' -c "SELECT round(avg(l.events / greatest(l.passes, 1)), 1), w.pass_time FROM revops.stream_lane l JOIN revops.worker_stats() w USING (lane) GROUP BY 2")" - 0
	row "Start of the INSERT to moment, p50 / p99" "$s50 / $s99 ms" - 0
	sql -c "ALTER SYSTEM RESET track_commit_timestamp"
	"$PGBIN/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null; start
	sql -c "SELECT revops.drop_rule('ping')" -c "SELECT bench.reset()" -c "CALL bench.worker(true)" >/dev/null
fi

# (3) single-row INSERTs, with the extension and without; then the same without waiting for the disk
if wanted insert; then
	secs=$(scaled 8); [ "$secs" -ge 3 ] || secs=3
	for t in revops.event bench.plain; do
		echo "INSERT INTO $t (person, kind, object, dwell) VALUES ('p' || 1 + (random() * 10000)::int, 'k1', '/p1', '10 s');" >"$dir/$t.sql"
	done
	tps() { "$PGBIN/pgbench" -n -M prepared -c 1 -T "$secs" -f "$dir/$1.sql" 2>/dev/null | sed -nE 's/^tps = ([0-9.]+).*/\1/p'; }
	for sync in on off; do
		with=() without=()
		for ((i = 1; i <= rounds; i++)); do
			sql -c "CALL bench.worker(true)" -c "CALL bench.caught_up(1)" -c CHECKPOINT
			with+=("$(PGOPTIONS="-c synchronous_commit=$sync" tps revops.event)")
			sql -c "CALL bench.caught_up(1)" -c "CALL bench.worker(false)" -c CHECKPOINT
			without+=("$(PGOPTIONS="-c synchronous_commit=$sync" tps bench.plain)")
			say "insert, synchronous_commit $sync, round $i: ${with[-1]} with, ${without[-1]} without"
		done
		sql -c "CALL bench.worker(true)"
		a=$(median "${with[@]}") b=$(median "${without[@]}")
		if [ $sync = on ]; then
			row "INSERTs a second, pg_revops / plain table" "$(ratio "$a" "$b") ($a / $b)" ">= 0.95" "$(ratio "$a" "$b")" ">=" 0.95
		else
			row "The same, synchronous_commit off" "$(ratio "$a" "$b") ($a / $b)" - 0
		fi
	done
fi

# (4) the ten hottest of a million
if wanted hottest; then
	n=$(scaled 1000000)
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset(), revops.put_signal('x', 'x', 1)" \
		-c "INSERT INTO revops.intent_state (subject_kind, subject, intent, rank, events, last_at)
			SELECT 'person', 'h' || g, 'x', 400 + 20 * random(), 5, now() FROM generate_series(1, $n) g" -c "VACUUM ANALYZE revops.intent_state" >/dev/null
	echo "SELECT * FROM revops.hottest('person', 'x', 10);" >"$dir/hot.sql"
	(cd "$dir" && "$PGBIN/pgbench" -n -M prepared -c 1 -t 200 -f hot.sql -l --log-prefix=hot >/dev/null 2>&1)
	ms=$(median $(awk '{ print $3 / 1000 }' "$dir"/hot.[0-9]*))
	row "hottest(10) of $n people" "$ms ms" "< 1 ms" "$ms" "<" 1
	sql -c "SELECT bench.reset(), revops.drop_signal('x')" -c "CALL bench.worker(true)" >/dev/null
fi

# (5) the worker's own memory, with an event of each of a million people waiting
if wanted memory; then
	n=$(scaled 1000000)
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" >/dev/null
	wanted stream || sql -f "$here/config.sql" >/dev/null
	sql -c "INSERT INTO revops.event (person, kind, object, dwell)
			SELECT 'm' || g, 'k' || 1 + g % 20, '/p' || g % 50, g % 120 * interval '1 s' FROM generate_series(1, $n) g" -c "CALL bench.worker(true)" >/dev/null
	sql -c "CALL bench.caught_up(1)" &
	waiter=$! pid='' peak=0
	while kill -0 $waiter 2>/dev/null; do
		[ -n "$pid" ] || pid=$(sql -c "SELECT pid FROM revops.worker_stats() WHERE lane = 0")
		rss=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status" 2>/dev/null || echo 0)
		[ "${rss:-0}" -le "$peak" ] || peak=$rss
		sleep 0.02
	done
	wait $waiter
	hwm=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status")
	pass=$(sql -c "SELECT round(memory / 1048576.0, 1) FROM revops.stream_status WHERE lane = 0")
	subjects=$(sql -c "SELECT count(DISTINCT subject) FROM revops.intent_state WHERE subject_kind = 'person'")
	row "Worker, private memory at its peak, $subjects people" "$((peak / 1024)) MB" "< 256 MB" $((peak / 1024)) "<" 256
	row "of which a pass; with the shared pages it touched" "$pass MB; $hwm MB" - 0
fi

# (6) the cost of rules
if wanted rules; then . "$here/rules.sh"; fi

# (7) the aggregates
if wanted analysis; then . "$here/analysis.sh"; fi

# (8) models
if wanted learn; then . "$here/learn.sh"; fi
if wanted units; then . "$here/units.sh"; fi

# (9) yes-or-no questions
if wanted predict; then . "$here/predict.sh"; fi

# (9) what texts show
if wanted text; then . "$here/text.sh"; fi

# (9) attached tables
if wanted attach; then . "$here/attach.sh"; fi

# (9) stages
if wanted stages; then . "$here/stages.sh"; fi

# (9) assignments
if wanted assignment; then . "$here/assignment.sh"; fi

grep -E 'ERROR|FATAL|PANIC|WARNING|terminated by' "$dir/log" | sed 's/^/server log: /' | sort | uniq -c | head -20 >&2 || true
echo
echo "PostgreSQL $version, $(nproc) cores, scale $scale, rounds $rounds"
echo
echo "| Measurement | Measured | Target | |"
echo "|---|---|---|---|"
printf '%s\n' "${table[@]}"
