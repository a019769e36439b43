#!/bin/bash
# A company's database moves from one major version of PostgreSQL to another, by pg_upgrade (copy, --link) and by pg_dump (custom
# format, plain), and goes on there. Both versions are installed; OLD and NEW are their numbers. As root, since it installs
# pg_revops for both; INSTALLED=1: it is. OLD_LIBRARY is a directory with another libhs, for the old server.
#
# The old server is left in the middle of things: a batch half worked off, a transaction that ended after the last pass began, an
# event in quarantine, repairs and rows of attached tables waiting, patterns half complete, cards open. What each database holds and
# shows (facts.sql) is compared before anything runs on; then it goes on, and what all events come to (results.sql) is compared with a
# database of the new server that took all of them in one pass.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
need_root
old=${OLD:-15} new=${NEW:-17}
began=$SECONDS
here=$root/test/upgrade
copy_tree
stop_all() { for d in "$work"/*/postmaster.pid; do [ -f "$d" ] && as_postgres "$(cat "${d%/*}/bin")/pg_ctl" -D "${d%/*}" -m immediate -w stop >/dev/null 2>&1; done; return 0; }
trap 'stop_all; rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok - $*"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $*"; }
step() { say "[$((SECONDS - began)) s] $*"; }
bin() { printf '/usr/lib/postgresql/%s/bin' "$1"; }

# is TEXT EXPECTED WHAT
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3"; printf '#   got:      %s\n#   expected: %s\n' "$1" "$2"; fi; }
# same FILE EXPECTED WHAT
same() {
	if [ -s "$2" ] && cmp -s "$1" "$2"; then ok "$3 ($(wc -l <"$2") lines)"; else
		not_ok "$3"
		{ diff "$2" "$1" || true; } | sed -n '1,40s/^/#   /p' | cut -c1-300
	fi
}

# --- clusters: DIR VERSION SETTING...
cluster() {
	local d=$work/$1 v=$2
	as_postgres "$(bin "$v")/initdb" $(if [ "$v" -ge 18 ]; then echo --no-data-checksums; fi) -D "$d" -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null
	bin "$v" >"$d/bin"
	shift 2
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'" "fsync = off" "autovacuum = off" "max_worker_processes = 16" "timezone = 'UTC'" "$@" >>"$d/postgresql.conf"
}
start() { as_postgres "$(cat "$work/$1/bin")/pg_ctl" -D "$work/$1" -l "$work/$1.log" -o "-p $2" -w start >/dev/null || { tail -20 "$work/$1.log" >&2; die "$1 did not start."; }; }
stop() { as_postgres "$(cat "$work/$1/bin")/pg_ctl" -D "$work/$1" -m fast -w stop >/dev/null; }
# q PORT DATABASE ARG...
q() { local p=$1 d=$2; shift 2; as_postgres "$(bin "$new")/psql" -X -q -At -v ON_ERROR_STOP=1 -h "$work" -p "$p" -d "$d" "$@"; }
facts() { q "$1" "$2" -c "SET client_min_messages = warning; SET revops.as_of = '$at_b'" -f "$tree/test/upgrade/facts.sql" >"$3" 2>&1 || { tail -3 "$3" >&2; not_ok "facts of $2"; }; }
results() { q "$1" "$2" -c "SET client_min_messages = warning; SET revops.as_of = '$at_c'" -f "$tree/test/upgrade/results.sql" >"$3" 2>&1 || { tail -3 "$3" >&2; not_ok "results of $2"; }; }

# what the company does; times are the clock of revops.as_of
at_0='2026-03-02 09:00+08' at_a='2026-03-05 12:00+08' at_b='2026-03-08 12:00+08' at_c='2026-03-13 12:00+08'
deals_b="UPDATE crm.deal SET phase = CASE WHEN id % 3 = 0 THEN 'evaluation' ELSE 'proposal' END, worth = worth + 5 WHERE id % 2 = 0; DELETE FROM crm.deal WHERE id = 29; INSERT INTO crm.chat SELECT n, 'P0' || 10 + n, '这个太贵了', '2026-03-08 10:00+08'::timestamptz + n * interval '3 minutes' FROM generate_series(1, 20) n"
deals_c="UPDATE crm.deal SET phase = 'negotiation', rival = 'globex' WHERE id % 4 = 0; INSERT INTO crm.deal VALUES (31, 'A001', 'discovery', 99, NULL); INSERT INTO crm.chat SELECT n, 'P0' || 10 + n, 'is it encrypted?', '2026-03-11 10:00+08'::timestamptz + n * interval '3 minutes' FROM generate_series(21, 40) n"
late="INSERT INTO revops.event (event_id, occurred_at, received_at, person, kind, object) SELECT md5('late ' || n)::uuid, '2026-03-08 09:00+08'::timestamptz + n * interval '1 minute', '2026-03-08 09:30+08', 'P0' || 20 + n, 'page_view', '/compare/table' FROM generate_series(1, 9) n"
poison="INSERT INTO revops.event (event_id, occurred_at, received_at, person, account, kind, object, dwell) SELECT md5('poison ' || n)::uuid, '2026-03-05 10:00+08'::timestamptz + n * interval '1 minute', '2026-03-05 11:00+08', 'P077', 'A030', 'page_view', '/compare/table', '100 seconds' FROM generate_series(1, 4) n"
company() { # PORT DATABASE
	q "$1" "$2" -o /dev/null -c 'CREATE EXTENSION pg_revops' -c "ALTER DATABASE $2 SET revops.task_max_age = '60 days'" -c "ALTER DATABASE $2 SET revops.time_zone = 'Asia/Shanghai'" -c "ALTER DATABASE $2 SET revops.batch_size = 300"
	q "$1" "$2" -o /dev/null -c "SET client_min_messages = warning; SET revops.as_of = '$at_0'; SET revops.fallback_rep = 'mei.lin'" -f "$tree/test/demo/company.sql" -f "$tree/test/upgrade/company.sql"
}

# --- install
: >"$work/build.log"
for v in $([ "${INSTALLED:-0}" = 1 ] || echo "$old" "$new"); do
	step "Building for PostgreSQL $v"
	as_postgres make -s -C "$tree" clean PG_CONFIG="$(bin "$v")/pg_config" with_llvm=no >>"$work/build.log" 2>&1 || true
	# the old server's library of patterns, where there is one of its own
	rpath=$([ "$v" = "$old" ] && [ -d "${OLD_LIBRARY:-/nowhere}" ] && echo "-Wl,-rpath,$OLD_LIBRARY") || true
	{ as_postgres make -s -C "$tree" -j2 PG_CONFIG="$(bin "$v")/pg_config" with_llvm=no COPT=-O0 PG_LDFLAGS="$rpath" &&
		make -s -C "$tree" install PG_CONFIG="$(bin "$v")/pg_config" with_llvm=no PG_LDFLAGS="$rpath"; } >>"$work/build.log" 2>&1 ||
		{ tail -30 "$work/build.log" >&2; die "The build for PostgreSQL $v failed."; }
done

# --- the old server
preload="shared_preload_libraries = 'pg_revops,pg_cron'"
kept=("cron.database_name = 'sales'" "revops.fallback_rep = 'mei.lin'" "revops.retention = '400 days'" "revops.allowed_lateness = '20 days'")
step "A company on PostgreSQL $old"
cluster old "$old" "$preload" "revops.worker = off" "max_prepared_transactions = 2" "${kept[@]}"
start old 5001
q 5001 postgres -c 'CREATE DATABASE sales' -c 'CREATE DATABASE lab' -c 'CREATE ROLE rep_li LOGIN' -c 'CREATE ROLE rep_zhou LOGIN' -c 'CREATE ROLE rep_sam LOGIN' -c 'CREATE ROLE bi LOGIN'
q 5001 sales -c 'CREATE EXTENSION pg_cron'
company 5001 sales
grants="GRANT revops_reader TO rep_li, rep_zhou, rep_sam; GRANT revops_app TO rep_li; GRANT USAGE ON SCHEMA revops TO bi; GRANT SELECT ON revops.moment_board TO bi"
q 5001 sales -c "$grants" -c "ALTER ROLE rep_li SET revops.board_days = 3" -c "ALTER ROLE rep_zhou IN DATABASE sales SET revops.board_days = 9" \
	-c "SELECT revops.schedule_jobs()" -c "UPDATE cron.job SET active = false" -c "SET revops.as_of = '$at_0'; SELECT revops.process(); SELECT revops.set_lanes(2)" >/dev/null
q 5001 sales -o /dev/null <<-SQL
	SET client_min_messages = warning;
	SET revops.as_of = '2026-03-04 09:00+08';
	SELECT happen('$at_0', revops.now());
	SELECT revops.process();
	SELECT revops.respond(task_id, 1, 'called') FROM revops.task WHERE status = 'open' AND owner IS NOT NULL AND task_id % 3 = 0;
	SET revops.as_of = '$at_a';
	SELECT happen('2026-03-04 09:00+08', revops.now());
	CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN IF NEW.subject = 'P077' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END \$\$;
	CREATE TRIGGER poison BEFORE INSERT ON revops.moment FOR EACH ROW EXECUTE FUNCTION public.poison();
	$poison;
	SELECT revops.process();
	DROP TRIGGER poison ON revops.moment;
	SET revops.as_of = '$at_b';
	SELECT revops.refresh_collaboration(), revops.refresh_profiles(), revops.record_win_probability(), revops.suggest_fields('$at_0');
	SELECT revops.propose_assignments();
	SELECT happen('$at_a', '2026-03-07 12:00+08');
	BEGIN;
	$late;
	PREPARE TRANSACTION 'late';
	SELECT happen('2026-03-07 12:00+08', '2026-03-07 18:00+08');
	SELECT revops.process();
	COMMIT PREPARED 'late';
	SELECT happen('2026-03-07 18:00+08', revops.now());
	SELECT revops.process(100);
	SELECT revops.identify('v-1', 'P010');
	$deals_b;
	CREATE TABLE public.audit_before AS SELECT * FROM revops.audit_log;
SQL
q 5001 lab -o /dev/null -c 'CREATE EXTENSION pg_revops' -c "SELECT revops.put_rule('each', '{\"when\": {\"kind\": \"x\"}}')" -c "SELECT revops.track('x', person => 'p' || n) FROM generate_series(1, 30) n" -c 'SELECT revops.process()' \
	-c "SELECT revops.track('x', person => 'p' || n) FROM generate_series(1, 12) n"
read -r open_batch waiting failing < <(q 5001 sales -F ' ' -c "SELECT bool_or(target IS NOT NULL), (SELECT sum(backlog) > 100 FROM revops.stream_status), (SELECT count(*) > 0 FROM revops.failed_event) FROM revops.stream_lane")
is "$open_batch $waiting $failing" "t t t" "a batch is open, events wait, one is in quarantine"
is "$(q 5001 sales -F ' ' -c "SELECT bool_or(done::text ~ ':.+:.'), (SELECT count(*) > 5 FROM revops.moment_state WHERE due_at IS NOT NULL), (SELECT count(*) > 3 FROM revops.escalation WHERE fired_at IS NULL AND stopped_at IS NULL), (SELECT count(*) > 0 FROM revops.attachment_change), (SELECT count(*) > 0 FROM revops.repair_request) FROM revops.stream_lane")" \
	"t t t t t" "a transaction was under way, timeouts and escalations are due later, rows of attached tables and repairs wait"
facts 5001 sales "$work/before"
q 5001 sales -c "SELECT task_id, level, fired_at FROM revops.escalation WHERE fired_at IS NOT NULL ORDER BY 1, 2" >"$work/told_before"

# --- dumps, by the new version's programs; without pg_cron, whose old version is in another schema than the new one allows
step "Dumps"
as_postgres "$(bin "$new")/pg_dumpall" -h "$work" -p 5001 --globals-only >"$work/globals.sql"
as_postgres "$(bin "$new")/pg_dump" -h "$work" -p 5001 -C -Fc --exclude-extension=pg_cron sales >"$work/sales.dump"
as_postgres "$(bin "$new")/pg_dump" -h "$work" -p 5001 -C --exclude-extension=pg_cron sales >"$work/sales.sql"
# the minor releases of 2026 mark columns with an option of their own, which an earlier pg_dump of a later version takes for the user's
if grep -q pg_attver "$work/sales.sql"; then
	echo "PostgreSQL $new ($("$(bin "$new")/postgres" --version)) is of an earlier time than $old ($("$(bin "$old")/postgres" --version)), whose column option pg_attver its pg_dump does not know: no database can be moved."
	[ "$failed" = 0 ] || { echo "$passed passed, $failed failed"; exit 1; }
	exit 77
fi
# CREATE ROLE of the superuser that initdb has made
sed -i '/^CREATE ROLE postgres;/d' "$work/globals.sql"
stop old
cp -a "$work/old" "$work/old_linked"


# --- what must hold in each of the new databases

# arrived NAME PORT =|>=: nothing has run on yet; the audit log may have grown
arrived() {
	local more=$3
	facts "$2" sales "$work/after_$1"
	if [ "$more" = '=' ]; then cp "$work/before" "$work/expected"; else grep -v '^[a-z]* cron\.' "$work/before" >"$work/expected"; fi
	same "$work/after_$1" "$work/expected" "$1: every table, view, sequence, setting, model and role is as it was"
	is "$(q "$2" sales -c "SELECT count(*) $more (SELECT count(*) FROM public.audit_before) FROM revops.audit_log")" t "$1: the audit log"
	is "$(q "$2" sales -c "SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM revops.health('20000 days') WHERE check_name IN ('epoch', 'publication', 'version') AND NOT ok")" \
		"epoch${OLD_LIBRARY:+ publication}" "$1: health() names the cursor${OLD_LIBRARY:+, and the patterns compiled for another library}"
	q "$2" postgres -c 'CREATE DATABASE fresh'
	q "$2" fresh -o /dev/null -c "SET client_min_messages = warning; CREATE EXTENSION pg_revops" -c "$grants"
	# pg_upgrade writes views in the old version's words
	sed "$(if [ "$more" = '=' ]; then echo "s/pg_get_viewdef(c.oid)/'-'/"; fi)" "$tree/test/upgrade/objects.sql" >"$work/objects.sql"
	q "$2" fresh -f "$work/objects.sql" >"$work/objects_fresh"
	q "$2" sales -f "$work/objects.sql" >"$work/objects_$1"
	same "$work/objects_$1" "$work/objects_fresh" "$1: the extension's objects, grants and policies are those of a fresh one"
	q "$2" postgres -c 'DROP DATABASE fresh WITH (FORCE)'
}

# by_hand PORT TIME: what process() finds then
by_hand() {
	# twice: what a pass takes from attached tables is for the next transaction
	q "$1" sales -o /dev/null -c "SET client_min_messages = warning; SET revops.as_of = '$2'" -c 'SELECT revops.process()' -c 'SELECT revops.process()'
}

# by_worker PORT: wait until the workers have left nothing
by_worker() {
	for _ in $(seq 1 900); do
		[ "$(q "$1" sales -c "SELECT coalesce(sum(s.backlog + s.repairs), 0) + count(*) FILTER (WHERE l.epoch <> revops.stream_epoch() OR l.target IS NOT NULL) + (SELECT count(*) FROM revops.attachment_change)
			+ (SELECT count(*) FROM revops.moment_state WHERE due_at <= revops.now()) + (SELECT count(*) FROM revops.escalation WHERE fired_at IS NULL AND stopped_at IS NULL AND due_at <= revops.now())
			FROM revops.stream_status s JOIN revops.stream_lane l USING (lane)")" != 0 ] || return 0
		sleep 0.2
	done
	q "$1" sales -c 'SELECT * FROM revops.stream_status' >&2
	not_ok "the workers do not come to an end"
}

# later NAME PORT by_hand|by_worker: what was left has been taken; what comes
later() {
	local name=$1 p=$2
	is "$(q "$p" sales -c 'SELECT bool_and(epoch = revops.stream_epoch()) FROM revops.stream_lane')" t "$name: the cursor is of the new cluster"
	is "$(q "$p" sales -c "SET revops.as_of = '$at_b'; SELECT revops.retry_failed() > 0")" t "$name: what was in quarantine succeeds"
	if [ "$3" = by_worker ]; then
		q "$p" sales -o /dev/null -c 'SELECT revops.stop_worker()'
		q "$p" postgres -c "ALTER DATABASE sales SET revops.as_of = '$at_c'"
		q "$p" sales -o /dev/null -c "SELECT happen('$at_b', '2026-03-10 12:00+08')" -c "$deals_c" -c 'SELECT revops.start_worker()' -c "SELECT happen('2026-03-10 12:00+08', '$at_c')"
		by_worker "$p"
		q "$p" sales -o /dev/null -c 'SELECT revops.stop_worker()'
		q "$p" postgres -c 'ALTER DATABASE sales RESET revops.as_of'
	else
		q "$p" sales -o /dev/null -c "SET revops.as_of = '$at_c'; SELECT happen('$at_b', '2026-03-10 12:00+08'); $deals_c; SELECT happen('2026-03-10 12:00+08', '$at_c')"
		by_hand "$p" "$at_c"
	fi
	results "$p" sales "$work/result_$name"
	same "$work/result_$name" "$work/result_reference" "$name: the results are those of one pass over all events"
	is "$(q "$p" sales -c "SET revops.as_of = '$at_c'; SELECT revops.process(); SELECT bool_and(l.events = (SELECT count(*) FROM revops.event)) FROM revops.stream_lane l" | tr '\n' ' ')" "0 t " "$name: nothing is left, and each lane took each event once"
	q "$p" sales -c "SELECT task_id, level, fired_at FROM revops.escalation WHERE fired_at IS NOT NULL ORDER BY 1, 2" >"$work/told_$name"
	is "$(comm -23 <(sort "$work/told_before") <(sort "$work/told_$name") | wc -l)" 0 "$name: who was told is not told again ($(wc -l <"$work/told_before") times)"
	is "$(q "$p" sales -c "SELECT count(*) FILTER (WHERE fired_at > '$at_b') > 0, count(*) FILTER (WHERE fired_at IS NULL AND stopped_at IS NULL AND due_at <= '$at_c') FROM revops.escalation")" "t|0" "$name: what fell due since is told"
	is "$(q "$p" sales -c "SET client_min_messages = warning; SET revops.as_of = '$at_c'; SELECT revops.publish_intents() > 0; SELECT count(*) FROM revops.health('20000 days') WHERE check_name IN ('epoch', 'publication', 'version', 'quarantine', 'repairs') AND NOT ok" | tr '\n' ' ')" \
		"t 0 " "$name: after publish_intents() health() has nothing more to say of the move"
	is "$(q "$p" sales -c "SET client_min_messages = warning; SET revops.as_of = '$at_c'; SELECT revops.train('topics', 'classify', 'SELECT text, label FROM crm_said'), revops.train('deal', 'predict', 'SELECT * FROM crm_past'), revops.train_stages('sales', 'SELECT * FROM crm_path'), count(revops.propose_assignments())")" \
		"2|2|2|1" "$name: models are trained, and customers proposed"
	is "$(q "$p" sales -c "UPDATE revops.rep SET capacity = 13 WHERE rep = 'li.na'; SELECT count(*) FROM revops.audit_log WHERE what = 'rep' AND after ->> 'capacity' = '13'")" 1 "$name: the audit log goes on"
	if [ "$(q "$p" sales -c "SELECT count(*) FROM pg_extension WHERE extname = 'pg_cron'")" = 0 ]; then
		is "$(q "$p" sales -c 'CREATE EXTENSION pg_cron' -c 'SELECT revops.schedule_jobs()' -c "SELECT count(*) > 5 FROM cron.job" | tail -1)" t "$name: jobs are scheduled anew"
	fi
	if grep -E 'PANIC|terminated by signal|TRAP' "$work/$name.log" | sed 's/^/#   /' | grep .; then not_ok "$name: the server stayed up"; else ok "$name: the server stayed up"; fi
}

# --- pg_dump, plain; its server has the reference as well
step "pg_dump, plain, to PostgreSQL $new"
cluster plain "$new" "$preload" "revops.worker = off" "${kept[@]}"
start plain 5002
q 5002 postgres -o /dev/null -f "$work/globals.sql"
q 5002 postgres -o /dev/null -f "$work/sales.sql"
arrived plain 5002 '>='

step "One pass over all events"
q 5002 postgres -c 'CREATE DATABASE reference'
company 5002 reference
q 5002 reference -o /dev/null <<-SQL
	SET client_min_messages = warning;
	SET revops.as_of = '$at_b';
	SELECT revops.identify('v-1', 'P010');
	$deals_b;
	SELECT revops.apply_attachments();
	SET revops.as_of = '$at_c';
	SELECT happen('$at_0', revops.now());
	$poison;
	$late;
	$deals_c;
	SELECT revops.apply_attachments();
	SELECT revops.process();
SQL
results 5002 reference "$work/result_reference"
is "$(cut -d'|' -f1 "$work/result_reference" | sort -u | tr '\n' ' ')" "attached card event failed intent late moment opportunity person score stage " "the reference has something of everything"
q 5002 reference -F ' ' -c "SELECT '# ' || rule, count(*) FROM revops.moment WHERE retracted_at IS NULL GROUP BY 1 ORDER BY 1"

by_hand 5002 "$at_b"
later plain 5002 by_hand
stop plain

# --- pg_dump, custom format, workers on
step "pg_dump, custom format, to PostgreSQL $new"
cluster custom "$new" "$preload" "revops.naptime = '200ms'" "${kept[@]}"
start custom 5003
q 5003 postgres -o /dev/null -f "$work/globals.sql"
# in parallel what is built; PostgreSQL forgets in which order an extension's tables are to be filled where it fills them in parallel
restore() { as_postgres "$(bin "$new")/pg_restore" -h "$work" -p 5003 --exit-on-error "$@" "$work/sales.dump"; }
restore -C --section=pre-data -d postgres
restore --section=data -d sales
restore --section=post-data -j 4 -d sales
arrived custom 5003 '>='
is "$(q 5003 sales -c "SELECT string_agg(hint, '') FROM revops.health('20000 days') WHERE check_name = 'epoch'")" \
	"When the restore is complete: SELECT revops.start_worker(), or SELECT revops.process()." "custom: the workers wait, and health() says for what"
q 5003 postgres -c "ALTER DATABASE sales SET revops.as_of = '$at_b'"
q 5003 sales -o /dev/null -c 'SELECT revops.stop_worker()' -c 'SELECT revops.start_worker()'
by_worker 5003
later custom 5003 by_worker
stop custom

# --- pg_upgrade
for name in copied linked; do
	from=old; if [ $name = linked ]; then from=old_linked; fi
	step "pg_upgrade$(if [ $name = linked ]; then echo ' --link'; fi) to PostgreSQL $new"
	cluster $name "$new" "$preload" "revops.worker = off" "revops.naptime = '200ms'" "${kept[@]}"
	if (cd "$work" && as_postgres env PGOPTIONS= "$(bin "$new")/pg_upgrade" -b "$(bin "$old")" -B "$(bin "$new")" -d "$work/$from" -D "$work/$name" -s "$work" -p 5006 -P 5007 $(if [ $name = linked ]; then echo --link; fi)) >"$work/pg_upgrade.log" 2>&1; then
		ok "$name: pg_upgrade"
	else
		not_ok "$name: pg_upgrade"
		tail -30 "$work/pg_upgrade.log"
		find "$work/$name/pg_upgrade_output.d" -type f -name '*.log' -exec tail -5 {} +
		continue
	fi
	start $name 5004
	arrived $name 5004 '='
	if [ $name = copied ]; then
		# the workers begin by themselves, in both databases
		q 5004 postgres -c "ALTER DATABASE sales SET revops.as_of = '$at_b'" -c 'ALTER SYSTEM SET revops.worker = on' -c 'SELECT pg_reload_conf()' -o /dev/null
		by_worker 5004
		for _ in $(seq 1 900); do [ "$(q 5004 lab -c 'SELECT events FROM revops.stream_lane')" != 42 ] || break; sleep 0.2; done
		is "$(q 5004 lab -c 'SELECT (SELECT events FROM revops.stream_lane), count(*), count(DISTINCT subject) FROM revops.moment')" "42|42|30" "$name: the other database too goes on by itself"
		later $name 5004 by_worker
	else
		by_hand 5004 "$at_b"
		later $name 5004 by_hand
	fi
	stop $name
done
step "Done"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
