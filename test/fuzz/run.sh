#!/bin/bash
# make fuzz: build what reads data from outside with clang, AddressSanitizer and libFuzzer, and feed it random bytes for FUZZ_SECONDS (600) a target, one
# after the other. FUZZ_TARGETS: rule (rules), state (what tables keep), text (texts and patterns), document (intents, patterns of sequences, calendars).
# Exit 77: there is no such clang. What is found is left in FUZZ_DIR (test/fuzz/work), with the corpora, from which the next run goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${FUZZ_DIR:-$here/work}
seconds=${FUZZ_SECONDS:-600}
targets=${FUZZ_TARGETS:-rule state text document}
config=${PG_CONFIG:-pg_config}
clang=${CLANG:-clang}
export LC_ALL=C

mkdir -p "$work/found" "$work/obj"
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' > "$work/probe.c"
command -v "$clang" >/dev/null && "$clang" -fsanitize=fuzzer,address "$work/probe.c" -o "$work/probe" 2>/dev/null ||
	{ echo "There is no clang with libFuzzer here (Debian: clang and libclang-rt-dev)." >&2; exit 77; }
[ -e "$("$config" --pgxs)" ] || { echo "PostgreSQL's server headers are missing." >&2; exit 77; }

rules=(src/predicate/{json,predicate,match,field,formula,local_time,index}.c src/moment/{rule,sequence}.c test/fuzz/{standins,target}.c)
declare -A sources=(
	[rule]="${rules[*]} test/fuzz/rule_fuzzer.c"
	[state]="${rules[*]} $(echo src/moment/{pattern,chain,window,packed}.c src/learn/{blob,feature,network,predict_blob}.c src/stage/filter.c \
		src/analysis/{buffer,buffer_io,funnel,node,sequence,session,streak}.c test/fuzz/{state_fuzzer,state_moment}.c)"
	[text]="${rules[*]} $(echo src/text/{fold,trie,feeling,number,number_zh,number_en,currency,token,amount,when,when_en,when_zh,extract,pattern,spell,factor,automaton,simulate,literal,look,occasion,matcher}.c src/learn/feature.c test/fuzz/text_fuzzer.c)"
	[document]="${rules[*]} $(echo src/text/{fold,definition,pattern,spell,factor,automaton,simulate,literal,look,occasion,matcher}.c src/analysis/sequence.c src/calendar/business_time.c \
		test/fuzz/document_fuzzer.c)"
)
export clang flags="-g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined \
	-DUSE_ASSERT_CHECKING -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-ignored-attributes -Wno-unknown-warning-option \
	-Wno-deprecated-non-prototype ${WERROR:-} -I$root/src -I$here $("$config" --cppflags) -I$("$config" --includedir-server)"
libs=$("$config" --pkglibdir)
object() { local o=${1%.c}; printf '%s' "$work/obj/${o//\//_}.o"; }

# each source once, whatever the targets that have it
for t in $targets; do
	[ -n "${sources[$t]:-}" ] || { echo "There is no target \"$t\"." >&2; exit 1; }
	for s in ${sources[$t]}; do echo "$root/$s $(object "$s")"; done
done | sort -u | xargs -P "$(nproc)" -L 1 sh -c '$clang $flags -c "$0" -o "$1"' >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
for t in $targets; do
	objects=()
	for s in ${sources[$t]}; do objects+=("$(object "$s")"); done
	"$clang" -fsanitize=fuzzer,address,undefined -Wl,--wrap=unicode_normalize "${objects[@]}" "$libs/../lib/libpgcommon.a" "$libs/../lib/libpgport.a" -ljansson -lhs -lm -o "$work/${t}_fuzzer" 2>"$work/build.log" ||
		{ cat "$work/build.log" >&2; exit 1; }
done

# seeds of rules: those that the tests know, formulas, patterns
seed() { printf "$2" > "$work/corpus_rule/$1"; }
seeds_rule() {
	seed f1 '=min(1, max(0.1, sqrt(dwell) / 60, ln(1 + properties.pages.count), exp(-span), -count + 1e-3))'
	seed f2 '=1 + (2 - 3 * (4 / (5 + 6 * (7 - -8))))'
	seed p1 '~/a\\_b%%\n/a_bc'
	seed p3 '~a_c%%\nabc'
	seed p4 '~/x\n/x'
	seed p2 '~%%a_c%%d\nxabcad'
	awk -v dir="$work/corpus_rule" '
		/^# / { next }
		/^--- / { n++; file = dir "/" n ".json"; printf "" > file; next }
		file != "" { print >> file }' "$root/test/rules/accepted.txt" "$root/test/rules/refused.txt"
}

for t in $targets; do
	mkdir -p "$work/corpus_$t"
	[ "$t" != rule ] || seeds_rule
	dict=$here/$t.dict
	# the other targets write their seeds themselves
	FUZZ_SEEDS="$work/corpus_$t" "$work/${t}_fuzzer" -max_total_time="$seconds" -max_len="$([ "$t" = state ] && echo 16384 || echo 4096)" -timeout=20 -rss_limit_mb=2048 \
		$([ ! -e "$dict" ] || printf '%s' "-dict=$dict") -use_value_profile=1 \
		-artifact_prefix="$work/found/${t}_" -print_final_stats=1 -verbosity="${FUZZ_VERBOSITY:-1}" "$work/corpus_$t" 2>"$work/log_$t" || { tail -60 "$work/log_$t" >&2; exit 1; }
	echo "== $t"
	grep -E '^stat::number_of_executed_units|^stat::average_exec' "$work/log_$t" | sed 's/^stat:://' || true
	grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$work/log_$t" | tail -1
done
