#!/bin/bash
# make check-sanitize: the tests with a checker of memory, in throw-away clusters; any report of it is a failure. The server is a private copy,
# with a wrapper in the place of its program, so nothing is installed, and no program but the server runs under the checker.
#   (nothing)      AddressSanitizer and UndefinedBehaviorSanitizer in the extension, on the server that is installed: it sees what malloc gave,
#                  stacks and static data, and each operation that C leaves undefined. A small palloc is part of a larger malloc.
#   VALGRIND=1     valgrind, on a server built from the distribution's source with -DUSE_VALGRIND, to which every palloc is a block of its own
#   CASSERT=1      that server without valgrind: assertions, freed memory wiped
# TESTS="text learn" (pg_regress), ISO="overlap", TAP="test/t/051_text.pl" say what is run instead. SANITIZE_DIR keeps the built server.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_root
install_packages
mode=address
[ -z "${CASSERT:-}" ] || mode=cassert
[ -z "${VALGRIND:-}" ] || mode=valgrind

copy_tree
chmod 755 "$work"
stop() { [ ! -e "$work/data/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; }
trap 'stop; rm -rf "$work"' EXIT

if [ $mode != address ]; then
	assert_server
else
	# PostgreSQL finds its files from where its program lies, so that is a file of its own; the others may be links
	mkdir -p "$work/server/lib/postgresql" "$work/server/share/postgresql"
	ln -s /usr/include "$work/server/include"
	cp -rs "/usr/lib/postgresql/$PGV" "$work/server/lib/postgresql/"
	cp -rs "/usr/share/postgresql/$PGV" "$work/server/share/postgresql/"
	cp -L --remove-destination "$PGBIN"/* "$work/server/lib/postgresql/$PGV/bin/"
fi
bin=$(dirname "$(find "$work/server" -name pg_config)")
export PG_CONFIG=$bin/pg_config
rm -f "$("$PG_CONFIG" --pkglibdir)"/pg_revops* "$("$PG_CONFIG" --sharedir)"/extension/pg_revops*
mkdir "$work/reports"
chown -R postgres: "$work"

# --- the extension, and the program that starts the checker
flags=
case $mode in
address)
	# the runtime starts with the first malloc. If that is one inside libc's bindtextdomain(), as a library's constructor calls it, it waits for a
	# lock of its own for ever: so a malloc comes before all constructors
	asan=$(gcc -print-file-name=libasan.so)
	printf '%s\n' '#include <stdlib.h>' 'void *first; __attribute__((constructor)) static void start(void) { first = malloc(1); }' |
		as_postgres gcc -shared -fPIC -Wl,-z,initfirst -x c - -o "$work/initfirst.so"
	flags='-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow -fno-omit-frame-pointer -g -O1'
	wrapper="LD_PRELOAD='$asan $work/initfirst.so' ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:strict_string_checks=1:log_path=$work/reports/r \
UBSAN_OPTIONS=print_stacktrace=1:log_path=$work/reports/r exec -a \"\$0\" '$bin/postgres.bin' \"\$@\""
	;;
valgrind)
	flags='-g -DUSE_VALGRIND'
	wrapper="exec valgrind --quiet --leak-check=no --gen-suppressions=all --suppressions='$work/server/valgrind.supp' \
--num-callers=30 --log-file='$work/reports/r.%p' '$bin/postgres.bin' \"\$@\""
	;;
cassert) wrapper= ;;
esac
say "Building for $("$PG_CONFIG" --version), $mode ..."
as_postgres make -s -C "$tree" -j"${JOBS:-$(nproc)}" with_llvm=no PG_CONFIG="$PG_CONFIG" PROFILE="$flags" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "The build failed."; }
as_postgres make -s -C "$tree" install with_llvm=no PG_CONFIG="$PG_CONFIG" PROFILE="$flags" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "The installation failed."; }
as_postgres "$bin/initdb" -D "$work/data" -E UTF8 --no-locale -A trust -N >/dev/null
if [ -n "$wrapper" ]; then
	mv "$bin/postgres" "$bin/postgres.bin"
	# the questions that pg_ctl and initdb have need no checker, which would be slow
	printf '#!/bin/bash\ncase "$*" in -V | --version | "-C "* | "--boot"* | "--single"* | "--check"*) exec -a "$0" %q "$@" ;; esac\n%s\n' "$bin/postgres.bin" "$wrapper" >"$bin/postgres"
	chmod 755 "$bin/postgres"
fi

# --- the tests
case $mode in
valgrind) tests=${TESTS-text learn predict stage assignment moment_rule moment_pattern moment_effects stream analysis attach fields sentiment units} iso=${ISO-} tap=${TAP-} ;;
*) tests=${TESTS-$(cd "$tree/sql" && ls *.sql | sed 's/\.sql$//' | tr '\n' ' ')} iso=${ISO-$(cd "$tree/test/specs" && ls *.spec | sed 's/\.spec$//' | tr '\n' ' ')} \
	tap=${TAP-test/t/040_analysis.pl test/t/044_timeouts.pl test/t/046_predicate.pl test/t/084_damage.pl} ;;
esac
cat >>"$work/data/postgresql.conf" <<END2
listen_addresses = ''
unix_socket_directories = '$work'
port = 5555
fsync = off
shared_preload_libraries = 'pg_revops,pg_cron'
cron.database_name = 'contrib_regression'
cron.host = '$work'
log_line_prefix = '%m [%p] %e '
END2

# the files with a report, or with the end of a server: UndefinedBehaviorSanitizer writes into the server's log. The tests of crashes crash a server
# on purpose, by signal 9
faults() {
	find "$work/reports" -type f -size +0
	grep -laE 'runtime error:|Sanitizer:|PANIC:|TRAP:|terminated by signal (4|6|7|8|11)' "$work/server.log" "$tree"/tmp_check/log/*.log 2>/dev/null || true
}
start() { as_postgres "$bin/pg_ctl" -D "$work/data" -l "$work/server.log" -w -t 300 start >/dev/null || { cat "$work/server.log" "$work/reports"/*; die "The server does not start."; }; }

# Does the checker see a byte behind a block, and a shift that C leaves undefined? Else nothing that follows says anything
self_test() {
	local what
	cat >"$work/fault.c" <<-C
		#include "postgres.h"
		#include "fmgr.h"
		PG_MODULE_MAGIC;
		PG_FUNCTION_INFO_V1(byte_behind);
		Datum
		byte_behind(PG_FUNCTION_ARGS)
		{
			volatile char *p = $([ $mode = address ] && echo malloc || echo palloc)(8);

			memset((char *) p, 1, PG_GETARG_INT32(0));
			PG_RETURN_BOOL(p[7] == 1);
		}
		PG_FUNCTION_INFO_V1(far_shift);
		Datum
		far_shift(PG_FUNCTION_ARGS)
		{
			PG_RETURN_INT32(1 << PG_GETARG_INT32(0));
		}
	C
	chmod 644 "$work/fault.c"
	as_postgres gcc -w -shared -fPIC $flags -I"$("$PG_CONFIG" --includedir-server)" "$work/fault.c" -o "$work/fault.so"
	for what in byte_behind far_shift; do
		[ $mode = address ] || [ $what = byte_behind ] || continue
		as_postgres "$bin/psql" -Xq -d postgres -c "CREATE FUNCTION pg_temp.$what(int) RETURNS int LANGUAGE c AS '$work/fault', '$what'" \
			-c "SELECT pg_temp.$what($([ $what = far_shift ] && echo 40 || echo 9))" >/dev/null 2>&1 || true
		[ -n "$(faults)" ] || die "The checker does not see a fault that was made for it: $what."
		stop
		rm -f "$work/reports"/* "$work/server.log"
		start
	done
}

log=$work/check.log
export PGHOST=$work PGPORT=5555 PGUSER=postgres PG_TEST_TIMEOUT_DEFAULT=1800
start
[ $mode = cassert ] || self_test
as_postgres make -i -C "$tree" installcheck with_llvm=no PG_CONFIG="$PG_CONFIG" PROFILE="$flags" \
	REGRESS="$tests" ISOLATION="$iso" TAP_TESTS="${tap:+1}" PROVE_TESTS="$tap" PROVE_FLAGS=--verbose 2>&1 | tee "$log" || true
stop

read -r passed failed < <(count_results "$log")
# a test that died without a count of its own, a make that never came to the tests
if grep -Eq '^make(\[[0-9]+\])?: .*(Error [0-9]+|\*\*\*)|^Error: ' "$log" && [ "$failed" = 0 ]; then failed=1; fi
if [ "$failed" -gt 0 ]; then show_failures; fi
# of a report, or a server that died, the tests may not have said a word
for f in $(faults); do
	echo "---- ${f#"$work"/}"
	if [ "${f%/*}" = "$work/reports" ]; then head -80 "$f"; else grep -aE -B2 -A20 'runtime error:|Sanitizer:|PANIC:|TRAP:|terminated by signal (4|6|7|8|11)' "$f" | head -80; fi
	failed=$((failed + 1))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
