#!/bin/bash
# make check-upgrade: moves a database from PostgreSQL 15 to 17 in a throw-away root file system: trixie, which has the new version, with
# Debian 12's packages of the old one beside it; moves.sh is what is tested.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
need_root
suite=trixie new=17

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
rootfs=$base/root
say "== $suite with PostgreSQL 15 and $new: making a root file system ..."
# The server's headers are unpacked without what they depend on, which is two releases of clang. Debian 12's vectorscan goes aside, for
# the old server: patterns that were compiled by another version of the library arrive at the new one.
if ! mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
	--include="postgresql-15,postgresql-$new,postgresql-15-cron,postgresql-$new-cron,libjansson-dev,libvectorscan-dev,libc6-dev,make,gcc,util-linux,tzdata" \
	--customize-hook="cd \"\$1/tmp\" && APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" apt-get -qq download postgresql-server-dev-15 postgresql-server-dev-$new libvectorscan5/bookworm" \
	--customize-hook='for p in "$1"/tmp/postgresql-server-dev-*.deb; do dpkg-deb -x "$p" "$1"; done; dpkg-deb -x "$1"/tmp/libvectorscan5_*.deb "$1/opt/bookworm"; rm "$1"/tmp/*.deb' \
	"$suite" "$rootfs" "deb $mirror $suite main" "deb $mirror bookworm main" >"$base/log" 2>&1; then
	tail -40 "$base/log"
	say "== $suite: no root file system"
	echo "0 passed, 1 failed"
	exit 1
fi
mkdir "$rootfs/src"
tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./results --exclude=./tmp_check \
	--exclude=./output_iso -cf - . | tar -C "$rootfs/src" -xf -
unshare --mount --propagation private bash -c '
	set -e
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/dev/shm"
	exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TMPDIR=/tmp OLD=15 NEW="$2" \
		OLD_LIBRARY="/opt/bookworm/usr/lib/$(uname -m)-linux-gnu" bash /src/test/upgrade/moves.sh' - "$rootfs" "$new"
