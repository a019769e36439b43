#!/bin/bash
# What make soak runs as postgres, in a cluster that PGHOST, PGPORT and PGUSER name and whose processes are of this machine and user.
# SOAK_MINUTES: how long; SOAK_PAUSE: seconds between two rounds of the load; SOAK_BOUND: kB by which private memory may grow after warm-up.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
minutes=${SOAK_MINUTES:-30} pause=${SOAK_PAUSE:-1} bound=${SOAK_BOUND:-8192} samples=${SOAK_SAMPLES:-$(mktemp)}
# the C library keeps what is freed, up to 64 MB, and more where it is in pieces: here it gives it back at once, so that what grows is what is in use
environment=$(dirname "$(psql -XAtc 'SHOW config_file')")/environment
read -r version cluster _ < <(pg_lsclusters -h | awk -v port="${PGPORT:-5432}" '$3 == port')
[ -w "$environment" ] || { echo "The cluster's file 'environment' is not to be found." >&2; exit 1; }
printf "MALLOC_TRIM_THRESHOLD_ = '131072'\nMALLOC_MMAP_THRESHOLD_ = '131072'\n" >>"$environment"
pg_ctlcluster "$version" "$cluster" restart
psql -Xqc 'CREATE DATABASE soak'
export PGDATABASE=soak PGOPTIONS='-c client_min_messages=error'
psql -Xqv ON_ERROR_STOP=1 -c 'CREATE EXTENSION pg_revops' -f "$here/../../docs/reference/sample.sql" -f "$here/../sqlsmith.sql" -f "$here/setup.sql" >/dev/null
log=$(psql -XAtc "SELECT CASE WHEN pg_current_logfile() IS NOT NULL THEN current_setting('data_directory') || '/' || pg_current_logfile() END")
[ -n "$log" ] || log=$(pg_lsclusters -h | awk -v port="${PGPORT:-5432}" '$3 == port { print $NF }')
[ -r "$log" ] || { echo "The server's log is not to be found." >&2; exit 1; }

# the session that never ends; ask: a script for it, read up to its mark
coproc SESSION { exec psql -XAtq 2>&1; }
session_in=${SESSION[1]} session_out=${SESSION[0]} errors=0
ask() {
	local line
	printf '%s\n\\echo .done\n' "$1" >&"$session_in"
	while IFS= read -r line <&"$session_out"; do
		[ "$line" != .done ] || return 0
		case $line in *ERROR:* | *FATAL:* | *PANIC:*) errors=$((errors + 1)); echo "session: $line" ;; *) answer=$line ;; esac
	done
	echo "The session has ended."
	exit 1
}
ask 'SELECT pg_backend_pid();'
session=$answer

# memory that a process shares with no other, in kB: what it allocated, without shared buffers
private() { awk '/^Anonymous:/ { s += $2 } END { print s + 0 }' "/proc/$1/smaps_rollup"; }
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

sample() {
	local pids worker launcher
	pids=$(psql -XAt -F ' ' -c "SELECT (SELECT pid FROM revops.worker_stats() WHERE lane = 0), (SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_revops launcher')")
	read -r worker launcher <<<"$pids"
	for who in "worker $worker" "launcher $launcher" "session $session"; do
		set -- $who
		echo "$SECONDS,$1,$2,$(private "$2"),$(resident "$2")" >>"$samples"
	done
}

: >"$samples"
SECONDS=0 round=0 next=0
until [ "$SECONDS" -ge $((minutes * 60)) ]; do
	round=$((round + 1))
	# a connection of its own for each round of the writer
	psql -XAtqv ON_ERROR_STOP=1 -v round=$round -f "$here/writer.sql" >/dev/null
	ask "\\set round $round
\\o /dev/null
\\i $here/reader.sql
\\o"
	[ $((round % 5)) != 0 ] || ask "\\o /dev/null
\\i $here/rare.sql
\\o"
	if [ "$SECONDS" -ge $next ]; then
		sample
		next=$((SECONDS + 10))
	fi
	sleep "$pause"
done
psql -XAtc "DO \$\$ BEGIN FOR i IN 1 .. 600 LOOP EXIT WHEN (SELECT sum(backlog + repairs) = 0 FROM revops.stream_status); PERFORM pg_sleep(0.1); END LOOP; END \$\$" >/dev/null

psql -XAt -F ' ' -c "SELECT 'rounds $round, events', count(*), 'moments', (SELECT count(*) FROM revops.moment), 'cards', (SELECT count(*) FROM revops.task) FROM revops.event"
failed=0
fail() { echo "FAILED: $1"; failed=1; }
[ $errors = 0 ] || fail "$errors statements of the session failed"
[ "$(psql -XAtc 'SELECT sum(backlog + repairs) FROM revops.stream_status')" = 0 ] || fail "the stream did not keep up"
[ "$(psql -XAtc 'SELECT count(*) FROM revops.failed_event')" = 0 ] || fail "$(psql -XAtc 'SELECT count(*) || $$ events are in quarantine, such as: $$ || min(error) FROM revops.failed_event')"
if grep -aE 'PANIC:|TRAP:|terminated by signal|lane [0-9]+ of pg_revops' "$log" | head -5; then fail "see the lines of the log above"; fi

# Growth: the median of the last third against that of the middle one; the first is the warm-up. The slope is that of a line through both.
awk -F, -v bound="$bound" '
	function median(from, to,  i, j, v, n, t) {
		n = 0
		for (i = from; i < to; i++) { t = mem[i]; for (j = n++; j > 0 && v[j - 1] > t; j--) v[j] = v[j - 1]; v[j] = t }
		return n ? v[int(n / 2)] : 0
	}
	{ if (!($2 in count)) who[nwho++] = $2; k = count[$2]++; at[$2, k] = $1; all[$2, k] = $4; pid[$2, k] = $3; rss[$2, k] = $5 }
	END {
		for (w = 0; w < nwho; w++) {
			name = who[w]; n = count[name]
			if (n < 9) { print "FAILED: too few samples of the " name; bad = 1; continue }
			# another process has taken its place: what it has is not to be compared
			for (i = 1; i < n; i++) if (pid[name, i] != pid[name, 0]) { print "FAILED: the " name " was started again"; bad = 1; break }
			for (i = 0; i < n; i++) mem[i] = all[name, i]
			a = int(n / 3); b = int(2 * n / 3)
			sx = sy = sxx = sxy = 0
			for (i = a; i < n; i++) { sx += at[name, i]; sy += mem[i]; sxx += at[name, i] ^ 2; sxy += at[name, i] * mem[i] }
			m = n - a
			slope = (m * sxy - sx * sy) / (m * sxx - sx * sx) * 60
			grown = median(b, n) - median(a, b)
			printf "%-8s private %d kB at first, %d after warm-up, %d at last (RSS %d): grown by %d kB, %.1f kB a minute\n",
				name, mem[0], median(a, b), median(b, n), rss[name, n - 1], grown, slope
			if (grown > bound) { print "FAILED: the " name " has grown by more than " bound " kB"; bad = 1 }
		}
		exit bad
	}' "$samples" || failed=1
[ $failed = 0 ] && echo "No growth, nothing lost."
exit $failed
