# hottest.sh: the ten hottest of a million; run.sh runs it, as its part "hottest".
n=$(scaled 1000000)
sql -c "CALL bench.worker(false)" -c "SELECT bench.reset(), revops.put_signal('x', 'x', 1)" \
	-c "INSERT INTO revops.intent_state (subject_kind, subject, intent, rank, events, last_at)
		SELECT 'person', 'h' || g, 'x', 400 + 20 * random(), 5, now() FROM generate_series(1, $n) g" -c "VACUUM ANALYZE revops.intent_state" >/dev/null
echo "SELECT * FROM revops.hottest('person', 'x', 10);" >"$dir/hot.sql"
(cd "$dir" && "$PGBIN/pgbench" -n -M prepared -c 1 -t 200 -f hot.sql -l --log-prefix=hot >/dev/null 2>&1)
ms=$(median $(awk '{ print $3 / 1000 }' "$dir"/hot.[0-9]*))
row "hottest(10) of $n people" "$ms ms" "< 1 ms" "$ms" "<" 1
