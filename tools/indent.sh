#!/bin/bash
# make indent: format the C code by PostgreSQL's pgindent, with lines to 140 columns where it wraps comments. indent.pl says what is kept from it.
# --check (make indent-check) names the files that would change, and changes nothing. FILES="src/..." looks at these only.
# So that all machines format alike, pgindent and pg_bsd_indent are those of Debian 13's postgresql-server-dev-17, with the C library that they were
# built for: unpacked from the mirror into INDENT_DIR, once; nothing is installed, and no rights are needed.
# The names of types of PostgreSQL and of libraries are in tools/typedefs.list; make typedefs renews it after a build.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${INDENT_DIR:-/var/tmp/pg_revops_indent.$(id -u)}

get_tool() {
	local mirror key options
	for p in apt-get dpkg-deb; do
		command -v $p >/dev/null || { echo "This takes pgindent from Debian's mirror, and there is no $p here." >&2; exit 1; }
	done
	echo "Fetching pgindent ..." >&2
	rm -rf "$tool"
	mkdir -p "$tool"/{lists,cache/archives}/partial
	mirror=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(SUITE)' 2>/dev/null | awk -F'|' '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
	key=$(ls /usr/share/keyrings/debian-archive-keyring.{pgp,gpg} 2>/dev/null | head -1) || true
	echo "deb ${key:+[signed-by=$key]} ${MIRROR:-${mirror:-http://deb.debian.org/debian}} trixie main" >"$tool/sources.list"
	options=(-qq -o "Dir::Etc::sourcelist=$tool/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$tool/lists" -o "Dir::Cache=$tool/cache"
		-o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false)
	(cd "$tool" && apt-get "${options[@]}" update && apt-get "${options[@]}" download postgresql-server-dev-17 libc6) >&2
	for p in "$tool"/*.deb; do dpkg-deb -x "$p" "$tool/root"; done
	rm -rf "$tool"/{lists,cache,*.deb} "$tool/root/usr/share"
	cat >"$tool/pg_bsd_indent" <<-'END'
		#!/bin/bash
		root=${0%/*}/root library=(${0%/*}/root/usr/lib/*/ld-linux-*.so.*)
		exec "$library" --library-path "${library%/*}" "$root/usr/lib/postgresql/17/bin/pg_bsd_indent" "${@/#-l79/-l139}"
	END
	chmod 755 "$tool/pg_bsd_indent"
	"$tool/pg_bsd_indent" --version >"$tool/version"
}
[ -s "$tool/version" ] || get_tool

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# tables of letters and words are no code
read -ra files <<<"${FILES:-$(ls src/*.[ch] src/*/*.[ch] test/unit/*.[ch] test/fuzz/*.[ch] | grep -vE 'fold_table.h|lexicon_.*.h|feeling_model.h' | tr '\n' ' ')}"
failed=0
perl tools/indent.pl "$tool" "$work" "${files[@]}" || failed=1

changed=()
for f in "${files[@]}"; do
	[ -f "$work/$f" ] && ! cmp -s "$f" "$work/$f" || continue
	changed+=("$f")
	[ "${1:-}" = --check ] || cat "$work/$f" >"$f"
done
[ ${#changed[@]} = 0 ] || printf '%s\n' "${changed[@]}"
[ $failed = 0 ] || exit 1
[ ${#changed[@]} != 0 ] || { echo "All ${#files[@]} files are formatted."; exit 0; }
[ "${1:-}" != --check ] || { echo "${#changed[@]} of ${#files[@]} files are not formatted: make indent" >&2; exit 1; }
