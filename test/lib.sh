# lib.sh: what the scripts behind make check, check-matrix, bench and demo share; sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LANG=C.UTF-8 LC_ALL=C.UTF-8

say() { printf '%s\n' "$*" >&2; }
die() { say "$1"; [ -z "${2:-}" ] || say "$2"; exit 1; }

need_root() {
	[ "$(id -u)" = 0 ] || die "This needs root: it installs packages and the extension." \
		"Where everything is installed, make, make install and make installcheck work as with every PGXS extension."
}

# the major version to use: of PG_CONFIG, else the newest with server headers, else the Debian release's own
pg_version() {
	local v
	if [ -n "${PG_CONFIG:-}" ] && command -v "$PG_CONFIG" >/dev/null; then
		"$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'
		return
	fi
	v=$(ls -d /usr/lib/postgresql/*/lib/pgxs 2>/dev/null | sed -E 's,.*/postgresql/([0-9]+)/.*,\1,' | sort -n | tail -1)
	[ -n "$v" ] || v=$(apt-cache depends postgresql 2>/dev/null | sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p' | head -1)
	printf '%s' "$v"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# installs what is missing; sets PGV (major version), PGBIN and PG_CONFIG
install_packages() {
	local want missing=() p
	command -v apt-get >/dev/null || die "This installs Debian packages, and there is no apt-get here." \
		"Install PostgreSQL 15 or later with its server headers, pg_cron, jansson, vectorscan and perl's IPC::Run; then make, make install and make installcheck."
	PGV=$(pg_version)
	if [ -z "$PGV" ]; then
		say "Reading the package lists ..."
		apt-get update -qq
		PGV=$(pg_version)
	fi
	[ -n "$PGV" ] || die "No PostgreSQL found among the packages."
	[ "$PGV" -ge 15 ] || die "pg_revops needs PostgreSQL 15 or later; found $PGV."
	want=("postgresql-$PGV" "postgresql-server-dev-$PGV" "postgresql-$PGV-cron" libjansson-dev libvectorscan-dev libipc-run-perl python3-jsonschema python3-scipy xz-utils make gcc util-linux)
	# for the option "trees" of revops.train(), where there is such a package
	! apt-cache show libxgboost0 >/dev/null 2>&1 || want+=(libxgboost0)
	for p in "${want[@]}"; do installed "$p" || missing+=("$p"); done
	if [ ${#missing[@]} -gt 0 ]; then
		say "Installing ${missing[*]} ..."
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/tmp/pg_revops_apt.$$ 2>&1 ||
			{ cat /tmp/pg_revops_apt.$$ >&2; rm -f /tmp/pg_revops_apt.$$; die "apt-get could not install ${missing[*]}."; }
		rm -f /tmp/pg_revops_apt.$$
	fi
	PGBIN=/usr/lib/postgresql/$PGV/bin
	export PG_CONFIG=$PGBIN/pg_config
	[ -x "$PG_CONFIG" ] || die "$PG_CONFIG is missing."
}

# copies the tree, less what a build leaves, to a new directory that postgres owns; sets work (the directory) and tree
copy_tree() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/pg_revops.XXXXXX")
	tree=$work/tree
	mkdir "$tree"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='./pg_revops--[0-9]*.sql' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check --exclude=./test/fuzz/work --exclude='./regression.*' -cf - . | tar -C "$tree" -xf -
	# an upgrade script is part of the source, the full install script is not
	find "$root" -maxdepth 1 -name 'pg_revops--*--*.sql' -exec cp {} "$tree" \;
	# the real data that some tests read, where it is there, next to the copy as it is next to the tree
	if [ -d "$root/../shared/data" ]; then
		mkdir "$work/shared"
		cp -R "$root/../shared/data" "$work/shared/data"
		chmod -R u+w "$work/shared"
	fi
	chown -R postgres: "$work"
}

# builds as postgres in the copy, installs as root
build_and_install() {
	local log=$work/build.log
	say "Building for PostgreSQL $PGV ..."
	as_postgres make -s -C "$tree" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" >"$log" 2>&1 || { cat "$log" >&2; die "The build failed."; }
	if grep -q 'warning:' "$log"; then cat "$log" >&2; fi
	make -s -C "$tree" install PG_CONFIG="$PG_CONFIG" >"$log" 2>&1 || { cat "$log" >&2; die "The installation failed."; }
}

# a copy, in $work/server, of a server with assertions that tells valgrind of its memory, with pg_cron as it is installed. It is built once, into
# SANITIZE_DIR, from the source package of the installed one or, where the mirror has that no more, an older one
assert_server() {
	local keep=${SANITIZE_DIR:-/var/tmp/pg_revops_sanitize} p missing=() version list
	local server=$keep/postgresql-$PGV src=$keep/source
	if [ ! -x "$server/bin/postgres" ]; then
		for p in valgrind dpkg-dev flex bison; do installed "$p" || missing+=("$p"); done
		[ ${#missing[@]} = 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
		say "Building PostgreSQL $PGV with assertions, for valgrind ..."
		rm -rf "$src"
		mkdir -p "$src/lists/partial" "$src/cache/archives/partial" "$src/build"
		apt-get indextargets --format '$(REPO_URI) $(SUITE) $(COMPONENT)' | sort -u | sed 's/^/deb-src /' >"$src/sources.list"
		list=(-qq -o "Dir::Etc::sourcelist=$src/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$src/lists" -o "Dir::Cache=$src/cache" -o Acquire::Check-Valid-Until=false)
		apt-get "${list[@]}" update
		for version in $(apt-cache "${list[@]}" showsrc --only-source "postgresql-$PGV" 2>/dev/null | sed -n 's/^Version: //p' | sort -rV); do
			(cd "$src" && apt-get "${list[@]}" source --only-source "postgresql-$PGV=$version") >"$src/log" 2>&1 && break
		done
		ls -d "$src"/postgresql-*/configure >/dev/null 2>&1 || { cat "$src/log" >&2; die "The source of PostgreSQL $PGV could not be had."; }
		# its make makes the headers at the first level only
		(unset MAKELEVEL MAKEFLAGS && cd "$src/build" && ../postgresql-*/configure -q --prefix="$server" --enable-cassert --enable-debug --enable-tap-tests --without-readline \
			--with-system-tzdata=/usr/share/zoneinfo CPPFLAGS=-DUSE_VALGRIND CFLAGS='-Og -g -fno-omit-frame-pointer' &&
			make -s -j"$(nproc)" && make -s install) >"$src/log" 2>&1 || { tail -40 "$src/log" >&2; die "PostgreSQL could not be built."; }
		cp "$src"/postgresql-*/src/tools/valgrind.supp "$server/"
		rm -rf "$src"
	fi
	cp "$("$PG_CONFIG" --pkglibdir)"/pg_cron.so "$server/lib/"
	cp "$("$PG_CONFIG" --sharedir)"/extension/pg_cron* "$server/share/extension/"
	mkdir -p "$work/server"
	cp -a "$server/." "$work/server/"
}

as_postgres() { (cd "${work:-/}" && exec runuser -u postgres -- "$@"); }

# what a log of make installcheck says: "PASSED FAILED"
count_results() {
	awk '
	/^(test|    ) .*\.\.\. ok( |$)/				{ p++ }
	/^(test|    ) .*\.\.\. (FAILED|failed)/		{ f++ }
	/^ok +[0-9]+/ && !/^ok +[0-9]+ ms/ && !/# *[Ss][Kk][Ii][Pp]/		{ p++ }
	/^not ok +[0-9]+/ && !/# *TODO/				{ f++ }
	END { print p + 0, f + 0 }' "$1"
}

# the differences that pg_regress found, and the end of the logs of TAP tests that failed
show_failures() {
	find "$tree" -name regression.diffs -size +0 | while read -r f; do
		echo "---- ${f#"$tree"/}"
		cat "$f"
	done
	# where TAP tests ran at all
	[ -d "$tree/tmp_check/log" ] || return 0
	find "$tree/tmp_check/log" -name 'regress_log_*' | sort | while read -r f; do
		grep -Eq '^(\[[^]]*\]\([^)]*\) )?not ok|died|Bail out|timed out|Dubious' "$f" || continue
		echo "---- ${f#"$tree"/}"
		tail -60 "$f"
	done
}
