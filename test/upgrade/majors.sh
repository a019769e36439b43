#!/bin/bash
# make check-upgrade: moves a database from one major version of PostgreSQL to a later one, in throw-away root file systems: a Debian release that has
# the new version, with the packages of the old one beside it from the release that has that; moves.sh is what is tested.
# MOVES="15:17" makes that move only.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
need_root
moves=${MOVES:-15:17 15:18 17:18}
release() { case $1 in 15) echo bookworm ;; 17) echo trixie ;; 18) echo sid ;; *) die "No Debian release is known that has PostgreSQL $1." ;; esac; }

if ! installed mmdebstrap; then
	say "Installing mmdebstrap ..."
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi

# the mirror that this machine itself uses
mirror=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(SUITE)' 2>/dev/null |
	awk -F'|' '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
mirror=${MIRROR:-${mirror:-http://deb.debian.org/debian}}

base=$(mktemp -d "${TMPDIR:-/var/tmp}/pg_revops_upgrade.XXXXXX")
trap 'rm -rf --one-file-system "$base"' EXIT
total_passed=0 total_failed=0 ok=1

# make_root NEW OLD...: the new version's release, and the old versions beside it; sets rootfs
make_root() {
	local new=$1 suite v versions=("$@") sources=("deb $mirror bookworm main") include=() headers=()
	suite=$(release "$new")
	rootfs=$base/$suite
	for v in "${versions[@]}"; do
		[ "$(release "$v")" = bookworm ] || sources+=("deb $mirror $(release "$v") main")
		include+=("postgresql-$v" "postgresql-$v-cron")
		headers+=("postgresql-server-dev-$v")
	done
	say "== $suite with PostgreSQL ${versions[*]}: making a root file system ..."
	# The servers' headers are unpacked without what they depend on, which is several releases of clang. Debian 12's vectorscan goes aside, for
	# the old server: patterns that were compiled by another version of the library arrive at the new one.
	if ! mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--include="$(IFS=,; echo "${include[*]}"),libjansson-dev,libvectorscan-dev,libc6-dev,make,gcc,util-linux,tzdata" \
		--customize-hook="cd \"\$1/tmp\" && APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" apt-get -qq download ${headers[*]} libvectorscan5/bookworm" \
		--customize-hook='for p in "$1"/tmp/postgresql-server-dev-*.deb; do dpkg-deb -x "$p" "$1"; done; dpkg-deb -x "$1"/tmp/libvectorscan5_*.deb "$1/opt/bookworm"; rm "$1"/tmp/*.deb' \
		"$suite" "$rootfs" "${sources[@]}" >"$base/log" 2>&1; then
		tail -40 "$base/log"
		say "== $suite: no root file system"
		return 1
	fi
	mkdir "$rootfs/src"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./results --exclude=./tmp_check \
		--exclude=./output_iso -cf - . | tar -C "$rootfs/src" -xf -
}

for new in $(printf '%s\n' $moves | cut -d: -f2 | sort -u); do
	olds=$(printf '%s\n' $moves | sed -n "s/:$new\$//p")
	if ! make_root "$new" $olds; then total_failed=$((total_failed + 1)) ok=0; continue; fi
	for old in $olds; do
		say "== from PostgreSQL $old to $new"
		rc=0
		unshare --mount --propagation private bash -c '
			set -e
			mount -t proc proc "$1/proc"
			mount --rbind /dev "$1/dev"
			mount -t tmpfs tmpfs "$1/dev/shm"
			exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TMPDIR=/tmp OLD="$2" NEW="$3" \
				OLD_LIBRARY="/opt/bookworm/usr/lib/$(uname -m)-linux-gnu" bash /src/test/upgrade/moves.sh' - "$rootfs" "$old" "$new" 2>&1 | tee "$base/out" || rc=$?
		if [ $rc = 77 ]; then
			say "== from PostgreSQL $old to $new: left out"
			continue
		fi
		[ $rc = 0 ] || ok=0
		read -r p _ f _ < <(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$base/out" | tail -1 || echo 0 passed, 1 failed)
		total_passed=$((total_passed + p)) total_failed=$((total_failed + f))
	done
	rm -rf --one-file-system "$rootfs"
done
echo "$total_passed passed, $total_failed failed"
[ $ok = 1 ] && [ "$total_passed" -gt 0 ]
