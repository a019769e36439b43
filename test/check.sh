#!/bin/bash
# make check: build and install a copy of the tree, run pg_regress, the isolation specs and the TAP tests in throw-away
# clusters, and close with the plain line "N passed, N failed".
#
# Tests that draw at random do so from REVOPS_SEED, so that a tree passes or fails the same wherever it is tried; REVOPS_SEED=random draws anew.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export REVOPS_SEED=${REVOPS_SEED:-271828}
[ "$REVOPS_SEED" != random ] || REVOPS_SEED=$(shuf -i 1-999999 -n 1)
need_root
install_packages
# for the fuzzer, which its test skips where there is none; REVOPS_FUZZ=0 leaves it out
if [ "${REVOPS_FUZZ:-1}" = 1 ] && ! command -v clang >/dev/null; then
	say "Installing clang for the fuzzer ..."
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clang $(apt-cache pkgnames libclang-rt-dev | grep -x libclang-rt-dev) \
		>/dev/null 2>&1 || say "There is no clang to install."
fi
copy_tree
trap 'rm -rf "$work"' EXIT
# for what is built here, and for the unit tests and fuzzers that the tests build
export WERROR=${WERROR--Werror}
build_and_install

log=$work/check.log
# what the package makes at boot, for its sockets: a container has not booted
[ -d /var/run/postgresql ] || install -d -m 2775 -o postgres -g postgres /var/run/postgresql
say "Testing on $("$PG_CONFIG" --version), seed $REVOPS_SEED ..."
# -i: a failure in one kind of test does not hide the others; what make then says of it is looked for below
as_postgres pg_virtualenv -v "$PGV" \
	-o shared_preload_libraries=pg_revops,pg_cron -o cron.database_name=contrib_regression \
	make -i -C "$tree" installcheck PG_CONFIG="$PG_CONFIG" PROVE_FLAGS="--verbose --timer --jobs $(nproc)" 2>&1 | tee "$log" || true

read -r passed failed < <(count_results "$log")

# a test that died without a count of its own, a make that never came to the tests
broken=0
if grep -Eq '^make(\[[0-9]+\])?: .*(Error [0-9]+|\*\*\*)|^Error: ' "$log" && [ "$failed" = 0 ]; then broken=1; failed=1; fi

if [ "$failed" -gt 0 ]; then
	show_failures
	[ $broken = 0 ] || echo "A test run ended with an error that no test counted; see above."
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
