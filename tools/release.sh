#!/bin/bash
# release.sh release VERSION: set the version everywhere, and keep its install script for the test of upgrades.
# release.sh next VERSION: begin the work on the version after a release, with an upgrade script to fill.
# Neither commits anything.
set -euo pipefail
cd "$(dirname "$0")/.."
die() { printf '%s\n' "$@" >&2; exit 1; }

what=$1 version=${2:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "Name the version: make $what VERSION=1.0.0"
was=$(sed -n "s/^default_version = '\(.*\)'$/\1/p" pg_revops.control)
newest=$(find test/upgrade -name 'pg_revops--*.sql.xz' 2>/dev/null | sed -E 's/.*--(.*)\.sql\.xz/\1/' | sort -V | tail -1)
[ "$newest" != "$version" ] || die "$version has been released."
[ -z "$newest" ] || [ "$(printf '%s\n' "$newest" "$version" | sort -V | tail -1)" = "$version" ] || die "$version is older than $newest, which has been released."
[ "$what" != next ] || [ "$was" = "$newest" ] || die "$was has not been released." "make release VERSION=$was comes first."
[ "$what" != release ] || [ -z "$newest" ] || [ -f "upgrade/pg_revops--$newest--$version.sql" ] || [ -f "upgrade/pg_revops--$newest--$was.sql" ] ||
	die "There is no upgrade/pg_revops--$newest--$version.sql." "make next VERSION=$version begins one."

if [ "$was" != "$version" ] && [ -f "upgrade/pg_revops--$newest--$was.sql" ] && [ "$what" = release ]; then
	mv "upgrade/pg_revops--$newest--$was.sql" "upgrade/pg_revops--$newest--$version.sql"
	sed -i "s/UPDATE TO '$was'/UPDATE TO '$version'/" "upgrade/pg_revops--$newest--$version.sql"
fi
sed -i "s/^default_version = .*/default_version = '$version'/" pg_revops.control
sed -i "s/^EXTVERSION   = .*/EXTVERSION   = $version/" Makefile
sed -i "/\"meta-spec\"/,\$!s/\"version\": \"$was\"/\"version\": \"$version\"/" META.json
if [ "$what" = next ]; then
	sed -i "0,/^## /s//## $version (not yet released)\n\n## /" CHANGELOG.md
	mkdir -p upgrade
	printf '%s\n' "\\echo Use \"ALTER EXTENSION pg_revops UPDATE TO '$version'\" to load this file. \\quit" >"upgrade/pg_revops--$was--$version.sql"
	suite=UNRELEASED
else
	sed -i "0,/^## .*(not yet released)$/s//## $version ($(date -u +%Y-%m-%d))/" CHANGELOG.md
	sed -i 's/"release_status": "[a-z]*"/"release_status": "stable"/' META.json
	suite=unstable
fi
{
	printf 'pg-revops (%s) %s; urgency=medium\n\n  * %s\n\n' "$version" $suite "See CHANGELOG.md."
	printf ' -- The pg_revops developers <pg-revops@example.org>  %s\n' "$(LC_ALL=C date -uR)"
	if grep -q '^pg-revops (.*) UNRELEASED' debian/changelog; then
		sed '1,/^ -- /d' debian/changelog
	else
		echo; cat debian/changelog
	fi
} >debian/changelog.new
mv debian/changelog.new debian/changelog

if [ "$what" = release ]; then
	make -s install-script
	mkdir -p test/upgrade
	xz -9 -c "pg_revops--$version.sql" >"test/upgrade/pg_revops--$version.sql.xz"
	echo "Look at git diff, run make check, and commit. Then: git tag v$version && make dist"
else
	echo "The install script may change now; upgrade/pg_revops--$was--$version.sql says how a database follows."
fi
