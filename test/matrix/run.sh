#!/bin/bash
# make check-matrix: the suite of make check on other PostgreSQL versions, each from a Debian release's own packages in a
# throw-away root file system: trixie has PostgreSQL 17, sid has 18. SUITES="trixie" does one only.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
need_root
suites=${SUITES:-trixie sid}

if ! installed mmdebstrap; then
	say "Installing mmdebstrap ..."
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi

# the mirror that this machine itself uses
mirror=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(SUITE)' 2>/dev/null |
	awk -F'|' '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
mirror=${MIRROR:-$mirror}

base=$(mktemp -d "${TMPDIR:-/var/tmp}/pg_revops_matrix.XXXXXX")
trap 'rm -rf --one-file-system "$base"' EXIT
packages=postgresql,postgresql-server-dev-all,libjansson-dev,libvectorscan-dev,libipc-run-perl,python3-jsonschema,python3-scipy,xz-utils,tzdata,make,gcc,util-linux,ca-certificates
total_passed=0 total_failed=0 ok=1

for suite in $suites; do
	say "== $suite: making a root file system ..."
	rootfs=$base/$suite
	case $suite in
		trixie) v=17 ;;
		sid) v=18 ;;
		*) v= ;;
	esac
	list=${packages/postgresql-server-dev-all/postgresql-server-dev-$v},postgresql-$v-cron
	if ! mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
		--include="$list" "$suite" "$rootfs" ${mirror:+"$mirror"} >"$base/$suite.log" 2>&1; then
		tail -40 "$base/$suite.log"
		say "== $suite: no root file system"
		total_failed=$((total_failed + 1)) ok=0
		continue
	fi
	mkdir "$rootfs/src"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./results --exclude=./tmp_check \
		--exclude=./output_iso -cf - . | tar -C "$rootfs/src" -xf -
	if [ -d "$root/../shared/data" ]; then
		mkdir "$rootfs/shared"
		cp -R "$root/../shared/data" "$rootfs/shared/data"
	fi
	rc=0
	unshare --mount --propagation private bash -c '
		set -e
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs tmpfs "$1/dev/shm"
		exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TMPDIR=/tmp REVOPS_FUZZ=0 REVOPS_CRASHES=6 REVOPS_SEED="$2" bash /src/test/check.sh' \
		- "$rootfs" "${REVOPS_SEED:-}" 2>&1 | tee "$base/$suite.out" || rc=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$base/$suite.out" | tail -1) || true
	[ $rc = 0 ] || ok=0
	if [ -n "$line" ]; then
		read -r p _ f _ <<<"$line"
		total_passed=$((total_passed + p)) total_failed=$((total_failed + f))
	else
		total_failed=$((total_failed + 1)) ok=0
	fi
	rm -rf --one-file-system "$rootfs"
done
echo "$total_passed passed, $total_failed failed"
[ $ok = 1 ] && [ "$total_passed" -gt 0 ]
