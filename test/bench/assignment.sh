# assignment.sh: optimal_assignment() against scipy in turns, and customers with 20 candidates each; run.sh runs it, as its part "assignment".
# The matrices are read by rows, and by one row with arrays for each task. scipy has its matrix in memory; what it takes to bring it there is told too.
square() {
	local n=$1 kind=$2 benefit=$3 ours=() arrays=() theirs=() fetch=() a b s f total their_total i
	sql -c "SET client_min_messages = warning" -c "DROP TABLE IF EXISTS bench.pair, bench.candidates" -c "SELECT setseed(0.42)" \
		-c "CREATE UNLOGGED TABLE bench.pair AS SELECT i AS task, j AS unit, $benefit AS benefit FROM generate_series(1, $n) i, generate_series(1, $n) j" \
		-c "CREATE UNLOGGED TABLE bench.candidates (task int, unit int[], benefit float8[])" \
		-c "ALTER TABLE bench.candidates ALTER unit SET STORAGE EXTERNAL, ALTER benefit SET STORAGE EXTERNAL" \
		-c "INSERT INTO bench.candidates SELECT task, array_agg(unit ORDER BY unit), array_agg(benefit ORDER BY unit) FROM bench.pair GROUP BY task" \
		-c "VACUUM ANALYZE bench.pair, bench.candidates" >/dev/null
	for ((i = 1; i <= rounds; i++)); do
		ours+=("$(seconds sql -c "SELECT count(unit) FROM revops.optimal_assignment('SELECT task, unit, benefit FROM bench.pair')")")
		arrays+=("$(seconds sql -c "SELECT count(unit) FROM revops.optimal_assignment('SELECT task, unit, benefit FROM bench.candidates')")")
		if [ -n "$scipy" ]; then
			f=$EPOCHREALTIME
			read -r s _ their_total < <(sql -c "COPY bench.pair TO STDOUT (DELIMITER ' ')" | OMP_NUM_THREADS=1 /usr/bin/python3 "$here/assignment.py" "$n")
			theirs+=("$s") fetch+=("$(awk -v a="$f" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')")
		fi
		say "assignment, $n square, $kind, round $i: rows ${ours[-1]} s, arrays ${arrays[-1]} s${scipy:+, scipy ${theirs[-1]} s, with its rows fetched ${fetch[-1]} s}"
	done
	a=$(median "${ours[@]}") b=$(median "${arrays[@]}")
	if [ -z "$scipy" ]; then
		row "Assignment, $n square, $kind: rows; arrays" "$a s; $b s" - 0
		return
	fi
	total=$(sql -c "SELECT round(objective::numeric, 6) FROM revops.assignment_report('SELECT task, unit, benefit FROM bench.pair')")
	[ "$(awk -v a="$total" -v b="$their_total" 'BEGIN { d = a - b; print (d < 1e-5 && d > -1e-5) }')" = 1 ] || { say "assignment: $total, and scipy has $their_total"; exit 1; }
	s=$(median "${theirs[@]}") f=$(median "${fetch[@]}")
	row "Assignment, $n square, $kind, by rows, of scipy's time" "$(ratio "$a" "$s") ($a s / $s s)" "<= 1" "$(ratio "$a" "$s")" "<=" 1
	row "the same by arrays" "$(ratio "$b" "$s") ($b s / $s s)" "<= 1" "$(ratio "$b" "$s")" "<=" 1
	row "the same by rows, of scipy's time with the rows fetched" "$(ratio "$a" "$f") ($a s / $f s)" "<= 1" "$(ratio "$a" "$f")" "<=" 1
}
scipy=yes
/usr/bin/python3 -c 'import scipy' 2>/dev/null || { scipy='' && say "assignment: python3-scipy is not installed: without it"; }
for n in $(scaled 1000) $(scaled 4000); do
	square "$n" uniform 'random()'
	square "$n" '1 to 100' '1 + floor(random() * 100)::int'
done
customers=$(scaled 100000)
sql -c "SET client_min_messages = warning" -c "DROP TABLE IF EXISTS bench.pair, bench.candidates" -c "SELECT setseed(0.42)" \
	-c "CREATE UNLOGGED TABLE bench.pair AS SELECT DISTINCT ON (task, unit) i AS task, 1 + floor(random() * 500)::int AS unit, random() AS benefit
		FROM generate_series(1, $customers) i, generate_series(1, 20)" -c "VACUUM ANALYZE bench.pair" >/dev/null
for share in 1.1 1.0; do
	times=()
	capacity=$(awk -v n="$customers" -v s=$share 'BEGIN { c = int(n / 500 * s); print c < 1 ? 1 : c }')
	for ((i = 1; i <= rounds; i++)); do
		times+=("$(seconds sql -c "SELECT count(unit) FROM revops.optimal_assignment('SELECT task, unit, benefit FROM bench.pair', 'SELECT unit, $capacity AS capacity FROM generate_series(1, 500) unit')")")
	done
	t=$(median "${times[@]}")
	row "Assignment, $customers customers, 20 candidates each, 500 units of $capacity places" "$t s" "< 2 s" "$t" "<" 2
done
# all rank the units alike: a unit's quality and some noise; CPU seconds would be fairer on a busy machine, the log has them (log_executor_stats)
for noise in 0.01 0.1; do
	sql -c "SET client_min_messages = warning" -c "DROP TABLE IF EXISTS bench.pair" -c "SELECT setseed(0.42)" \
		-c "CREATE UNLOGGED TABLE bench.pair AS SELECT task, unit, unit / 500.0 + $noise * random() AS benefit
			FROM (SELECT i AS task, 1 + floor(random() * 25)::int + k * 25 AS unit FROM generate_series(1, $customers) i, generate_series(0, 19) k) x" -c "VACUUM ANALYZE bench.pair" >/dev/null
	for share in 1.1 1.0; do
		times=()
		capacity=$(awk -v n="$customers" -v s=$share 'BEGIN { c = int(n / 500 * s); print c < 1 ? 1 : c }')
		for ((i = 1; i <= rounds; i++)); do
			times+=("$(seconds sql -c "SELECT count(unit) FROM revops.optimal_assignment('SELECT task, unit, benefit::float8 FROM bench.pair', 'SELECT unit, $capacity AS capacity FROM generate_series(1, 500) unit')")")
		done
		t=$(median "${times[@]}")
		row "Assignment, the same, all rank alike, noise $noise, $capacity places" "$t s" "< 2 s" "$t" "<" 2
	done
done
