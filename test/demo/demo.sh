#!/bin/bash
# make demo, make demo-stop: a small company in a throw-away cluster.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

here=${DEMO_DIR:-/tmp/pg_revops_demo}
began=$SECONDS

step() { say "[$((SECONDS - began)) s] $*"; }
q() { as_postgres env PGOPTIONS= "$PGBIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$here" -d demo "$@"; }

ours() { [ -f "$here/.pg_revops_demo" ] && [ ! -L "$here" ] && [ "$(stat -c %U "$here")" = postgres ]; }

stop() {
	local bin
	if [ ! -e "$here" ]; then return 1; fi
	ours || die "$here is there, but not of make demo." "Remove it, or set DEMO_DIR to another directory."
	bin=$(cat "$here/.pg_revops_demo")
	if runuser -u postgres -- "$bin/pg_ctl" -D "$here/data" status >/dev/null 2>&1; then
		runuser -u postgres -- "$bin/pg_ctl" -D "$here/data" -m immediate -w stop >/dev/null
	fi
	rm -rf "$here"
}

start() {
	need_root
	install_packages
	copy_tree
	trap 'rm -rf "$work"' EXIT
	step "Building"
	build_and_install
	chmod 755 "$work" "$tree"

	if stop; then step "Removed the cluster of an earlier make demo"; fi
	step "Starting PostgreSQL $PGV on a private socket in $here"
	install -d -m 700 -o postgres -g postgres "$here"
	echo "$PGBIN" > "$here/.pg_revops_demo"
	as_postgres "$PGBIN/initdb" -D "$here/data" -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null
	cat >> "$here/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$here'
		shared_preload_libraries = 'pg_revops,pg_cron'
		cron.database_name = 'demo'
		cron.use_background_workers = on
		max_worker_processes = 20
		revops.fallback_rep = 'mei.lin'
		revops.retention = '400 days'
		fsync = off
		log_timezone = 'UTC'
		timezone = '$(cat /etc/timezone 2>/dev/null || echo UTC)'
	CONF
	# pg_cron waits for its database: make it before the log fills
	as_postgres "$PGBIN/pg_ctl" -D "$here/data" -l "$here/server.log" -w start >/dev/null || { tail -20 "$here/server.log" >&2; die "The server did not start."; }
	as_postgres "$PGBIN/createdb" -h "$here" demo
	q -c 'CREATE EXTENSION pg_cron' -c 'CREATE EXTENSION pg_revops'

	step "Loading the company: units and reps, accounts and people, signals, playbooks and rules"
	q -o /dev/null -f "$tree/test/demo/company.sql"
	q -f "$tree/test/demo/player.sql"
	q -At -F ', ' -c "SELECT '  ' || (SELECT count(*) FROM revops.account) || ' accounts', (SELECT count(*) FROM revops.person) || ' people', (SELECT count(*) FROM revops.rep) || ' reps', (SELECT count(*) FROM revops.rule) || ' rules'" >&2

	step "Playing six days, and today until now: revops.as_of is the clock, revops.process() steps the stream"
	q -f "$tree/test/demo/play.sql" 2>&1 | sed -u 's/^.*NOTICE:  //' >&2

	step "Live: customers come, the worker wakes at each commit"
	q -o /dev/null -c 'SELECT revops.start_worker()'
	q -c 'CALL demo.live(36)' 2>&1 | sed -u 's/^.*NOTICE:  //' >&2

	q -f "$tree/test/demo/report.sql"
	echo
	step "Done. The cluster keeps running, and the worker with it."
	cat <<-END

		Connect:  psql -h $here -U postgres demo
		Try:      SELECT revops.track('page_view', person => 'P010', object => '/compare/table', dwell => '2 minutes');
		          SELECT * FROM revops.task_board ORDER BY due_at;
		          LISTEN revops_task;
		Log:      $here/server.log
		Stop:     make demo-stop
	END
}

case ${1:-} in
	start) start ;;
	stop)
		need_root
		if stop; then say "Stopped, and removed $here."; else say "No demo runs."; fi ;;
	*) die "Usage: demo.sh start|stop" ;;
esac
