# memory.sh: the worker's own memory, with an event of each of a million people waiting; run.sh runs it, as its part "memory".
n=$(scaled 1000000)
sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" >/dev/null
sql -f "$here/config.sql" >/dev/null
sql -c "INSERT INTO revops.event (person, kind, object, dwell)
		SELECT 'm' || g, 'k' || 1 + g % 20, '/p' || g % 50, g % 120 * interval '1 s' FROM generate_series(1, $n) g" -c "CALL bench.worker(true)" >/dev/null
sql -c "CALL bench.caught_up(1)" &
waiter=$! pid='' peak=0
while kill -0 $waiter 2>/dev/null; do
	[ -n "$pid" ] || pid=$(sql -c "SELECT pid FROM revops.worker_stats() WHERE lane = 0")
	rss=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status" 2>/dev/null || echo 0)
	[ "${rss:-0}" -le "$peak" ] || peak=$rss
	sleep 0.02
done
wait $waiter
hwm=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status")
pass=$(sql -c "SELECT round(memory / 1048576.0, 1) FROM revops.stream_status WHERE lane = 0")
subjects=$(sql -c "SELECT count(DISTINCT subject) FROM revops.intent_state WHERE subject_kind = 'person'")
row "Worker, private memory at its peak, $subjects people" "$((peak / 1024)) MB" "< 256 MB" $((peak / 1024)) "<" 256
row "of which a pass; with the shared pages it touched" "$pass MB; $hwm MB" - 0
