#!/bin/bash
# make typedefs: the names of types, which the formatter must know, from the debug information of the library as built (-g).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f pg_revops.so ] || { echo "Build first: make" >&2; exit 1; }
objdump --dwarf=info pg_revops.so | awk '/DW_TAG_/ { t = /DW_TAG_typedef/ } t && /DW_AT_name/ { print $NF; t = 0 }' |
	grep -E '^[A-Za-z_][A-Za-z0-9_]*$' | LC_ALL=C sort -u >tools/typedefs.list.new
mv tools/typedefs.list.new tools/typedefs.list
echo "$(wc -l <tools/typedefs.list) types"
