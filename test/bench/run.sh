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
finish() { "$PGBIN/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap finish EXIT
export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=bench
unset PGDATA PGOPTIONS PGSERVICE

say() { printf '%s\n' "$*" >&2; }
sql() { "$PGBIN/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
scaled() { awk -v n="$1" -v s="$scale" 'BEGIN { n = int(n * s); print n < 1 ? 1 : n }'; }
seconds() { local t=$EPOCHREALTIME; "$@" >/dev/null; awk -v a="$t" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'; }
median() { tr ' ' '\n' <<<"$*" | grep . | sort -g | awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# row NAME MEASURED TARGET VALUE OP LIMIT: with no OP it is only told
row() {
	local ok=-
	[ -z "${5:-}" ] || ok=$(awk -v v="$4" -v o="$5" -v l="$6" 'BEGIN { print ((o == "<" ? v < l : o == "<=" ? v <= l : v >= l) ? "ok" : "miss") }')
	echo "| $1 | $2 | $3 | $ok |" >>"$dir/table"
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
version=$(sql -d postgres -c 'SHOW server_version')

# each part in a database and a shell of its own: it leaves nothing to the next one, and one that fails takes no other with it
failed=()
for part in $only; do
	[ -f "$here/$part.sh" ] || { say "There is no part \"$part\"."; exit 1; }
	say "== $part"
	"$PGBIN/dropdb" --if-exists --force bench
	"$PGBIN/createdb" bench
	sql -f "$here/setup.sql" >/dev/null
	set +e
	(
		set -e
		. "$here/$part.sh"
	)
	rc=$?
	set -e
	[ $rc = 0 ] || failed+=("$part")
done

grep -E 'ERROR|FATAL|PANIC|WARNING|terminated by' "$dir/log" | sed 's/^/server log: /' | sort | uniq -c | head -20 >&2 || true
echo
echo "PostgreSQL $version, $(nproc) cores, scale $scale, rounds $rounds"
echo
echo "| Measurement | Measured | Target | |"
echo "|---|---|---|---|"
cat "$dir/table"
[ ${#failed[@]} = 0 ] || { say "Not measured to the end: ${failed[*]}"; exit 1; }
