# predict.sh: yes-or-no questions over a million rows of 20 columns: training against scikit-learn, rows predicted a second; run.sh runs it,
# as its part "predict". The comparison is left out where python3-sklearn is not there. CPU seconds, one core each.
n=$(scaled 1000000)
sql -v n="$n" <<'S' >/dev/null
SELECT setseed(0.42);
CREATE TABLE bench.many AS
SELECT random() < 1 / (1 + exp(-(x1 + 0.5 * x2 * x2 - x3 + CASE WHEN c1 = 3 THEN 1 ELSE -0.5 END))) AS label, r.*
FROM (SELECT (random() + random() + random() - 1.5) * 2 AS x1, random() * 2 AS x2, -ln(random() + 1e-9) AS x3, random() AS x4, random() AS x5, random() AS x6,
             random() AS x7, random() AS x8, random() AS x9, random() AS x10, round(random() * 10) AS x11, round(random() * 3) AS x12, random() AS x13,
             random() AS x14, (random() * 5)::int AS c1, (random() * 9)::int AS c2, (random() * 19)::int AS c3, (random() * 2)::int AS c4,
             (random() * 30)::int AS c5, (random() * 4)::int AS c6
      FROM generate_series(1, :n)) r;
S
sql -c "\\copy (SELECT label::int, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, c1, c2, c3, c4, c5, c6 FROM bench.many) TO '$dir/many.csv' CSV" \
	-c "ALTER TABLE bench.many ALTER c1 TYPE text, ALTER c2 TYPE text, ALTER c3 TYPE text, ALTER c4 TYPE text, ALTER c5 TYPE text, ALTER c6 TYPE text" \
	-c "VACUUM ANALYZE bench.many"
# CPU seconds of the backend for a statement, after another one: the clock would measure what else the machine does
ticks="SELECT split_part(s, ' ', 14)::bigint + split_part(s, ' ', 15)::bigint AS t FROM pg_read_file('/proc/self/stat') s"
spent() {
	sql -c "SET max_parallel_workers_per_gather = 0" -c "$1" -c "$ticks" -c "$2" -c "$ticks" | awk -v hz="$(getconf CLK_TCK)" '{ v[NR] = $1 } END { printf "%.3f", (v[NR] - v[NR - 2]) / hz }'
}
train() { spent "SELECT 1" "SELECT revops.train('many', 'predict', 'SELECT * FROM bench.many', options => '$1')"; }
predict_speed() {
	local q="SELECT sum(revops.predict('many', m)) FROM bench.many m"
	awk -v n="$n" -v s="$(spent "$q" "$q")" 'BEGIN { printf "%d", n / s }'
}
ours=() fixed=() theirs=() rate=()
for ((i = 1; i <= rounds; i++)); do
	ours+=("$(train '{}')")
	fixed+=("$(train '{"bins": 20, "strength": 3, "interactions": 0, "held_out": 0}')")
	if /usr/bin/python3 -c 'import sklearn' 2>/dev/null; then
		read -r t f l < <(/usr/bin/python3 -W ignore "$here/predict.py" "$dir/many.csv" 20 lbfgs)
		theirs+=("$t")
	fi
	rate+=("$(predict_speed)")
	say "predict, round $i: train ${ours[-1]} CPU s, with fixed settings ${fixed[-1]} s, scikit-learn ${theirs[-1]:--} s; ${rate[-1]} rows/s"
done
o=$(median "${ours[@]}") x=$(median "${fixed[@]}") r=$(median "${rate[@]}")
if [ ${#theirs[@]} -gt 0 ]; then
	s=$(median "${theirs[@]}")
	row "Training $n rows of 20 columns, fixed settings, of scikit-learn's time" "$(ratio "$x" "$s") ($x s / $s s)" "<= 1" "$(ratio "$x" "$s")" "<=" 1
	row "The same with bins, strength and interactions chosen" "$(ratio "$o" "$s") ($o s)" "<= 1" "$(ratio "$o" "$s")" "<=" 1
else
	say "predict: python3-sklearn is not installed: no comparison"
	row "Training $n rows of 20 columns" "$o s; with fixed settings $x s" - 0
fi
row "Rows predicted in a CPU second" "$r" ">= 500,000" "$r" ">=" 500000
