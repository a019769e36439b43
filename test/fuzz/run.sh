#!/bin/bash
# make fuzz: build the rule compiler with clang, AddressSanitizer and libFuzzer, and feed it documents for FUZZ_SECONDS (600). Exit 77: there is
# no such clang. What it finds is left in FUZZ_DIR (test/fuzz/work), with the corpus, from which the next run goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${FUZZ_DIR:-$here/work}
seconds=${FUZZ_SECONDS:-600}
config=${PG_CONFIG:-pg_config}
clang=${CLANG:-clang}
export LC_ALL=C

mkdir -p "$work/corpus" "$work/found"
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' > "$work/probe.c"
command -v "$clang" >/dev/null && "$clang" -fsanitize=fuzzer,address "$work/probe.c" -o "$work/probe" 2>/dev/null ||
	{ echo "There is no clang with libFuzzer here (Debian: clang and libclang-rt-dev)." >&2; exit 77; }
[ -e "$("$config" --pgxs)" ] || { echo "PostgreSQL's server headers are missing." >&2; exit 77; }

sources=("$root"/src/predicate/{json,predicate,match,field,formula,local_time,index}.c "$root"/src/moment/{rule,sequence}.c "$here"/{standins,rule_fuzzer}.c)
libs=$("$config" --pkglibdir)
"$clang" -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined \
	-DUSE_ASSERT_CHECKING -Wno-ignored-attributes -Wno-deprecated-non-prototype -I"$root/src" -I"$here" $("$config" --cppflags) -I"$("$config" --includedir-server)" \
	"${sources[@]}" "$libs/../lib/libpgcommon.a" "$libs/../lib/libpgport.a" -ljansson -lm -o "$work/rule_fuzzer" 2>"$work/build.log" ||
	{ cat "$work/build.log" >&2; exit 1; }

# seeds: the rules that the tests know, formulas, patterns
seed() { printf "$2" > "$work/corpus/$1"; }
seed f1 '=min(1, max(0.1, sqrt(dwell) / 60, ln(1 + properties.pages.count), exp(-span), -count + 1e-3))'
seed f2 '=1 + (2 - 3 * (4 / (5 + 6 * (7 - -8))))'
seed p1 '~/a\\_b%%\n/a_bc'
seed p3 '~a_c%%\nabc'
seed p4 '~/x\n/x'
seed p2 '~%%a_c%%d\nxabcad'
awk -v dir="$work/corpus" '
	/^# / { next }
	/^--- / { n++; file = dir "/" n ".json"; printf "" > file; next }
	file != "" { print >> file }' "$root/test/rules/accepted.txt" "$root/test/rules/refused.txt"

"$work/rule_fuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -dict="$here/rule.dict" -use_value_profile=1 \
	-artifact_prefix="$work/found/" -print_final_stats=1 -verbosity="${FUZZ_VERBOSITY:-1}" "$work/corpus" 2>"$work/log" || { tail -60 "$work/log" >&2; exit 1; }
grep -E '^stat::number_of_executed_units|^stat::average_exec' "$work/log" | sed 's/^stat:://' || true
grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$work/log" | tail -1
