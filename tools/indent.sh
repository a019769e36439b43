#!/bin/bash
# make indent: format the C code as PostgreSQL's own, with pg_bsd_indent (Debian: pg-bsd-indent), lines to 140 columns.
# --check names the files that would change, and changes nothing. FILES="src/..." looks at these only.
# The names of types, which the tool must know, are in tools/typedefs.list; make typedefs renews it after a build.
set -euo pipefail
cd "$(dirname "$0")/.."
indent=$(command -v pg_bsd_indent || ls "$(pg_config --pkglibdir 2>/dev/null)"/pgxs/src/tools/pg_bsd_indent/pg_bsd_indent 2>/dev/null) || {
	echo "There is no pg_bsd_indent. On Debian: apt install pg-bsd-indent" >&2; exit 1; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
read -ra files <<<"${FILES:-$(ls src/*.[ch] src/*/*.[ch] | grep -v fold_table.h | tr '\n' ' ')}"

# names that are types somewhere, and variables here
grep -vxE 'text|date|interval|timestamp' tools/typedefs.list >"$work/typedefs"

changed=()
for f in "${files[@]}"; do
	# pg_bsd_indent breaks letters beyond ASCII
	! LC_ALL=C grep -q $'[\x80-\xff]' "$f" || continue
	# a function may be called what is a type elsewhere
	{ grep -oE '\b[A-Z]\w*\(' "$f" || true; } | tr -d '(' | sort -u >"$work/functions"
	grep -vxFf "$work/functions" "$work/typedefs" >"$work/types"
	"$indent" -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l139 -lp -lpl -nip -npro -sac -tpg -ts4 -U"$work/types" \
		<"$f" >"$work/raw.c" 2>"$work/messages" ||
		{ echo "$f: left as it is, since pg_bsd_indent cannot read all of it" >&2; continue; }
	# as pgindent does: a function's type that is a pointer stays together
	sed -E 's/^((static |const |struct |extern )*[A-Za-z_]\w*)[[:space:]]+(\*+)$/\1 \3/; s/([(,] ?)text \* /\1text */g' "$work/raw.c" >"$work/out.c"
	if ! cmp -s "$f" "$work/out.c"; then
		changed+=("$f")
		[ "${1:-}" = --check ] || cat "$work/out.c" >"$f"
	fi
done
[ ${#changed[@]} = 0 ] && { echo "All ${#files[@]} files are formatted."; exit 0; }
printf '%s\n' "${changed[@]}"
[ "${1:-}" != --check ] || { echo "${#changed[@]} of ${#files[@]} files are not formatted: make indent" >&2; exit 1; }
