# insert.sh: single-row INSERTs, with the extension and without; then the same without waiting for the disk; run.sh runs it, as its part "insert".
secs=$(scaled 8); [ "$secs" -ge 3 ] || secs=3
for t in revops.event bench.plain; do
	echo "INSERT INTO $t (person, kind, object, dwell) VALUES ('p' || 1 + (random() * 10000)::int, 'k1', '/p1', '10 s');" >"$dir/$t.sql"
done
tps() { "$PGBIN/pgbench" -n -M prepared -c 1 -T "$secs" -f "$dir/$1.sql" 2>/dev/null | sed -nE 's/^tps = ([0-9.]+).*/\1/p'; }
for sync in on off; do
	with=() without=()
	for ((i = 1; i <= rounds; i++)); do
		sql -c "CALL bench.worker(true)" -c "CALL bench.caught_up(1)" -c CHECKPOINT
		with+=("$(PGOPTIONS="-c synchronous_commit=$sync" tps revops.event)")
		sql -c "CALL bench.caught_up(1)" -c "CALL bench.worker(false)" -c CHECKPOINT
		without+=("$(PGOPTIONS="-c synchronous_commit=$sync" tps bench.plain)")
		say "insert, synchronous_commit $sync, round $i: ${with[-1]} with, ${without[-1]} without"
	done
	sql -c "CALL bench.worker(true)"
	a=$(median "${with[@]}") b=$(median "${without[@]}")
	if [ $sync = on ]; then
		row "INSERTs a second, pg_revops / plain table" "$(ratio "$a" "$b") ($a / $b)" ">= 0.95" "$(ratio "$a" "$b")" ">=" 0.95
	else
		row "The same, synchronous_commit off" "$(ratio "$a" "$b") ($a / $b)" - 0
	fi
done
