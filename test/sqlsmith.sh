#!/bin/bash
# make sqlsmith: random queries by sqlsmith (Debian's package) for SQLSMITH_SECONDS (60) as each of revops_admin, revops_app,
# revops_reader, a rep who is a member of both, and a superuser, against a loaded database in a throw-away cluster. Fails if the server
# crashed, or said XX000, or that data are damaged that it did not find to be so itself. CASSERT=1: on a server with assertions, which
# SANITIZE_DIR keeps.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_root
install_packages
installed sqlsmith || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sqlsmith >/dev/null
copy_tree
stop() { [ ! -e "$work/data/postmaster.pid" ] || as_postgres "$work/server/bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; }
trap 'stop; rm -rf "$work"' EXIT
if [ -n "${CASSERT:-}" ]; then
	assert_server
	chown -R postgres: "$work/server"
	export PG_CONFIG=$work/server/bin/pg_config
	as_postgres make -s -C "$tree" -j"$(nproc)" with_llvm=no PG_CONFIG="$PG_CONFIG" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "The build failed."; }
	as_postgres make -s -C "$tree" install with_llvm=no PG_CONFIG="$PG_CONFIG" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "The installation failed."; }
else
	build_and_install
fi
[ -d /var/run/postgresql ] || install -d -m 2775 -o postgres -g postgres /var/run/postgresql
export SQLSMITH_SECONDS=${SQLSMITH_SECONDS:-60} SQLSMITH_SEED=${SQLSMITH_SEED:-$RANDOM} WORK=$work
cat >"$work/run.sh" <<'END'
set -eu
psql -Xqc 'CREATE DATABASE smith' -c 'CREATE ROLE smith LOGIN' -c "ALTER ROLE smith PASSWORD '$PGPASSWORD'"
export PGDATABASE=smith
psql -Xqv ON_ERROR_STOP=1 -c 'CREATE EXTENSION pg_revops' -f "$WORK/tree/docs/reference/sample.sql" -f "$WORK/tree/test/sqlsmith.sql" >/dev/null
log=${SERVER_LOG:-$(pg_lsclusters -h | awk '{ print $NF }' | head -1)}
psql -Xqc "CREATE ROLE smith_rep LOGIN PASSWORD '$PGPASSWORD' IN ROLE revops_app, revops_reader" -c "CREATE ROLE smith_super LOGIN SUPERUSER PASSWORD '$PGPASSWORD'"
# sqlsmith itself bounds each of its queries to a second; the others are its looks at the catalog
transactions() { sleep 1; psql -XAtc "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'smith'"; }
for role in admin app reader rep super; do
	user=smith
	case $role in
	rep | super) user=smith_$role ;;
	*)
		psql -Xqc "SET client_min_messages = error" -c "REVOKE revops_admin, revops_app, revops_reader FROM smith" -c "GRANT revops_$role TO smith" ;;
	esac
	echo "as $role, seed $SQLSMITH_SEED"
	before=$(transactions)
	timeout -s INT "$SQLSMITH_SECONDS" sqlsmith --target="host=$PGHOST port=$PGPORT user=$user password=$PGPASSWORD dbname=smith options='-c statement_timeout=60s'" \
		--seed="$SQLSMITH_SEED" >"$WORK/smith.$role" 2>&1 || true
	psql -XAtc "SELECT 'the database answers'"
	n=$(($(transactions) - before))
	echo "$n transactions"
	# it says nothing of its own if it could not begin
	[ "$n" -gt 50 ] || { tail -5 "$WORK/smith.$role"; exit 1; }
done
[ "$log" = "$WORK/server.log" ] || cp "$log" "$WORK/server.log"
END
chown postgres: "$work/run.sh"
if [ -n "${CASSERT:-}" ]; then
	export PATH=$work/server/bin:$PATH PGHOST=$work PGPORT=5555 PGUSER=postgres PGPASSWORD=smith SERVER_LOG=$work/server.log
	as_postgres initdb -D "$work/data" -E UTF8 --no-locale -A trust -N >/dev/null
	as_postgres pg_ctl -D "$work/data" -l "$SERVER_LOG" -w -o "-c listen_addresses= -c unix_socket_directories=$work -c port=5555 -c fsync=off \
		-c shared_preload_libraries=pg_revops -c log_line_prefix='%p %e ' -c log_min_error_statement=error" start >/dev/null
	as_postgres bash "$work/run.sh"
	stop
else
	as_postgres pg_virtualenv -v "$PGV" -o shared_preload_libraries=pg_revops -o log_line_prefix='%p %e ' -o log_min_error_statement=error bash "$work/run.sh"
fi
[ -s "$work/server.log" ] || die "There is no server log to look at."
printf '%s lines in the log, %s errors\n' "$(wc -l <"$work/server.log")" "$(grep -c 'ERROR:' "$work/server.log" || true)"
# damaged data is said to be so on purpose, by messages of ours: XX001 or XX002. Some internal errors are the server's own: of the transition functions of its aggregates for another state, of acldefault() for a letter that is no
# kind of object, of values of the pseudo-type "unknown", of an interval's fields that there are not, which random queries make, and of a file whose name is too long. Everything else of that class is a fault
if awk '
	left > 0 { print; left-- }
	/PANIC:|TRAP:|terminated by signal/ || (/ XX[0-9A-Z][0-9A-Z][0-9A-Z] (ERROR|FATAL):/ &&
		!/ XX00[12] ERROR:  (the stored (model|state)|a stored state|the state of a subject|the stream has no lane|the stream.s cursor)/ &&
		!/ XX000 ERROR:  (unrecognized objtype abbreviation|failed to find conversion function from unknown|unrecognized interval typmod|invalid INTERVAL typmod|could not open file .*: File name too long|float8_[a-z_]+: expected [0-9]+-element float8 array)/) { if (left <= 0) print; left = 6 }' \
	"$work/server.log" | head -200 | grep -a .; then
	die "See above: a crash, or an error that should have been another."
fi
echo "No crash, no internal error."
