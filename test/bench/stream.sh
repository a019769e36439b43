# stream.sh: the backlog of one COPY: by hand in one lane, then by two workers; run.sh runs it, as its part "stream".
n=$(scaled 2000000)
sql -c "CALL bench.worker(false)" -f "$here/config.sql" >/dev/null
sql -v n="$n" <<'S' >/dev/null
SELECT setseed(0.42);
CREATE UNLOGGED TABLE bench.feed AS
SELECT now() - (:n - g) * interval '0.9 s' AS occurred_at, 'p' || (1 + floor(100000 * power(random(), 2)))::int AS person,
       'k' || (1 + floor(random() * 40))::int AS kind, '/p' || (random() * 50)::int AS object, random() * 120 * interval '1 s' AS dwell
FROM generate_series(1, :n) g;
S
sql -c "COPY bench.feed TO '$dir/feed.csv' CSV" -c "DROP TABLE bench.feed"
copies=() ones=() twos=()
load() { sql -c "COPY revops.event (occurred_at, person, kind, object, dwell) FROM '$dir/feed.csv' CSV"; }
two() { sql -c "CALL bench.worker(true)" -c "CALL bench.caught_up(2)"; }
for ((i = 1; i <= rounds; i++)); do
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "VACUUM ANALYZE" -c CHECKPOINT >/dev/null
	copies+=("$(seconds load)")
	ones+=("$(seconds sql -c "SELECT revops.process()")")
	say "stream, round $i: COPY ${copies[-1]} s, process() ${ones[-1]} s," \
		"$(sql -F ' ' -c 'SELECT (SELECT count(*) FROM revops.intent_state), (SELECT count(*) FROM revops.moment), (SELECT count(*) FROM revops.failed_event)') scores/moments/failures"
done
c=$(median "${copies[@]}") o=$(median "${ones[@]}")
row "COPY of $n events" "$c s" - 0
row "Work-off by process(), 20 signals, 10 rules" "$o s" - 0
row "Work-off / COPY" "$(ratio "$o" "$c")" "<= 1" "$(ratio "$o" "$c")" "<=" 1
for ((i = 1; i <= ${REVOPS_BENCH_TWO_ROUNDS:-$rounds}; i++)); do
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "SELECT revops.set_lanes(2)" -c "VACUUM ANALYZE" -c CHECKPOINT >/dev/null
	load
	twos+=("$(seconds two)")
done
t=$(median "${twos[@]}")
row "Work-off by 2 workers in 2 lanes" "$t s, $(ratio "$t" "$c") of COPY" - 0
