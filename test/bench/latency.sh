# latency.sh: commit to moment: from the commit time of an event's transaction (taken before its flush) to that of its moment's; run.sh runs it, as its part "latency".
secs=$(scaled 30); [ "$secs" -ge 5 ] || secs=5
sql -c "ALTER SYSTEM SET track_commit_timestamp = on"
"$PGBIN/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null; start
sql -c "SELECT revops.put_rule('ping', '{\"title\": \"Ping\", \"when\": {\"kind\": \"ping\"}}')" -c "VACUUM ANALYZE" \
	-c CHECKPOINT -c "CALL bench.worker(true)" >/dev/null
echo "INSERT INTO revops.event (person, kind) VALUES ('v' || gen_random_uuid(), 'ping');" >"$dir/ping.sql"
"$PGBIN/pgbench" -n -M prepared -f "$dir/ping.sql" -c 8 -j 2 -R 2000 -T "$secs" >"$dir/ping.log" 2>&1 || { cat "$dir/ping.log" >&2; exit 1; }
sql -c "CALL bench.caught_up(1)"
IFS='|' read -r pings moments rate p50 p95 p99 max s50 s99 < <(sql -f "$here/latency.sql")
row "Single-row inserts a second, 8 clients" "$rate" ">= 1900" "$rate" ">=" 1900
row "Events without their moment" "$((pings - moments)) of $pings" 0 $((pings - moments)) "<=" 0
row "Commit to moment, p50" "$p50 ms" "< 5 ms" "$p50" "<" 5
row "Commit to moment, p95" "$p95 ms" - 0
row "Commit to moment, p99" "$p99 ms" "< 50 ms" "$p99" "<" 50
row "Commit to moment, longest" "$max ms" - 0
row "Events a pass, time of the last pass" "$(sql -F ', ' -c "SELECT round(avg(l.events / greatest(l.passes, 1)), 1), w.pass_time FROM revops.stream_lane l JOIN revops.worker_stats() w USING (lane) GROUP BY 2")" - 0
row "Start of the INSERT to moment, p50 / p99" "$s50 / $s99 ms" - 0
sql -c "ALTER SYSTEM RESET track_commit_timestamp"
"$PGBIN/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null; start
