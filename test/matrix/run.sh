#!/bin/bash
# make check-matrix: the suite of make check on other PostgreSQL versions, each from a Debian release's own packages in a
# throw-away root file system: trixie has PostgreSQL 17, sid has 18. SUITES="trixie" does one only; TOGETHER=1 does all at once, and shows what
# each said when it has ended.
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
declare -A running=()
finish() {
	local p
	for p in "${running[@]}"; do kill -KILL -- "-$p" 2>/dev/null || true; done
	wait || true
	rm -rf --one-file-system "$base"
}
trap finish EXIT
trap 'exit 130' INT TERM
packages=postgresql,postgresql-server-dev-all,libjansson-dev,libvectorscan-dev,libipc-run-perl,python3-jsonschema,python3-scipy,xz-utils,tzdata,make,gcc,util-linux,ca-certificates

# a loopback interface of one's own, on which no other suite's ports are taken
own_loopback=()
if unshare --net true 2>/dev/null; then
	own_loopback=(unshare --net perl -e 'use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0) or die; my $up = pack("a16 s x22", "lo", 1); ioctl($s, 0x8914, $up) or die "lo: $!"; exec @ARGV or die $!' --)
fi
# where they share one, they take turns
[ ${#own_loopback[@]} -gt 0 ] || TOGETHER=

# in_root ROOT COMMAND ...: in that root file system, as on a machine of its own
in_root() {
	local rootfs=$1
	shift
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		set -e
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs tmpfs "$1/dev/shm"
		exec chroot "$@"' \
		- "$rootfs" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TMPDIR=/tmp REVOPS_FUZZ=0 REVOPS_CRASHES=6 REVOPS_CALLS=4 REVOPS_SEED="${REVOPS_SEED:-}" \
		PG_TEST_TIMEOUT_DEFAULT="${PG_TEST_TIMEOUT_DEFAULT:-}" "$@"
}

# test_suite SUITE: closes with the line "N passed, N failed"
test_suite() {
	local suite=$1 rootfs=$base/$1 v= list
	echo "== $suite: making a root file system ..."
	case $suite in
		trixie) v=17 ;;
		sid) v=18 ;;
	esac
	list=${packages/postgresql-server-dev-all/postgresql-server-dev-$v},postgresql-$v-cron
	if ! mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
		--include="$list" "$suite" "$rootfs" ${mirror:+"$mirror"} >"$base/$suite.log" 2>&1; then
		tail -40 "$base/$suite.log"
		echo "== $suite: no root file system"
		echo "0 passed, 1 failed"
		return 1
	fi
	mkdir "$rootfs/src"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./results --exclude=./tmp_check \
		--exclude=./output_iso -cf - . | tar -C "$rootfs/src" -xf -
	if [ -d "$root/../shared/data" ]; then
		mkdir "$rootfs/shared"
		cp -R "$root/../shared/data" "$rootfs/shared/data"
	fi
	# what is missing is installed while there is a network
	in_root "$rootfs" bash /src/test/setup.sh
	"${own_loopback[@]}" bash -c 'in_root "$@"' - "$rootfs" bash /src/test/check.sh
}
export -f in_root

total_passed=0 total_failed=0 ok=1
# count SUITE STATUS
count() {
	local line p f
	[ "$2" = 0 ] || ok=0
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$base/$1.out" | tail -1) || true
	if [ -n "$line" ]; then
		read -r p _ f _ <<<"$line"
		total_passed=$((total_passed + p)) total_failed=$((total_failed + f))
	else
		total_failed=$((total_failed + 1)) ok=0
	fi
	rm -rf --one-file-system "$base/${1:?}" || true
}

for suite in $suites; do
	rc=0
	if [ -n "${TOGETHER:-}" ]; then
		# a group of processes of its own, which ends with this script
		set -m
		test_suite "$suite" >"$base/$suite.out" 2>&1 &
		running[$suite]=$!
		set +m
	else
		# (with || behind it, set -e would be off within)
		set +e
		(set -e; test_suite "$suite") 2>&1 | tee "$base/$suite.out"
		rc=$?
		set -e
		count "$suite" "$rc"
	fi
done
for suite in "${!running[@]}"; do
	rc=0
	wait "${running[$suite]}" || rc=$?
	unset "running[$suite]"
	cat "$base/$suite.out"
	count "$suite" "$rc"
done
echo "$total_passed passed, $total_failed failed"
[ $ok = 1 ] && [ "$total_passed" -gt 0 ]
