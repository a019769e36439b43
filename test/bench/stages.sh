# stages.sh: events through the stage filter, and calibration of 100,000 opportunities; run.sh runs it, as its part "stages".
n=$(scaled 1000000) m=$(scaled 100000)
sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" >/dev/null
sql <<'S' >/dev/null
SELECT setseed(0.42);
SELECT revops.put_pipeline('bench', '{"default": true, "stages": ["contact", "need", "demo", "proposal", "contract",
	{"stage": "won", "kind": "won"}, {"stage": "lost", "kind": "lost"}]}');
CREATE TABLE bench.past AS
SELECT 'c' || c AS "case", '2024-01-01'::timestamptz + c * interval '1 hour' + k * interval '20 hours' * (0.5 + random()) AS at,
       's' || CASE WHEN random() < 0.3 THEN floor(random() * 30)::int ELSE 5 * (k / 4) + floor(random() * 5)::int END AS symbol,
       (ARRAY['contact', 'need', 'demo', 'proposal', 'contract', 'won'])[1 + k / 4] AS stage
FROM generate_series(1, 2000) c, generate_series(0, 23) k;
SELECT revops.train_stages('bench', 'SELECT * FROM bench.past');
S
# ns an event; symbols are found by name, as in the stream, and the making of the arrays is not in the time
through() {
	sql -v n="$n" -f - <<'S' | tail -1
CREATE TEMP TABLE seq AS SELECT array_agg('s' || (g / 7) % 30 ORDER BY g) AS s, array_agg('2025-01-01'::timestamptz + g * interval '1 minute' ORDER BY g) AS t
FROM generate_series(1, :n) g;
SELECT cardinality(revops.likeliest_stages('bench', s[1:10], t[1:10])) AS warm FROM seq \gset
SELECT clock_timestamp() AS began \gset
SELECT cardinality(revops.likeliest_stages('bench', s, t)) AS got FROM seq \gset
SELECT round(extract(epoch FROM clock_timestamp() - :'began') * 1e9 / :n);
S
}
times=() proposals=()
for ((i = 1; i <= rounds; i++)); do
	times+=("$(through)")
	say "stages, round $i: ${times[-1]} ns for an event through the filter"
done
t=$(median "${times[@]}")
row "One event through the stage filter, 7 stages" "$t ns" "< 2,000 ns" "$t" "<" 2000

sql -v n="$m" <<'S' >/dev/null
SET revops.as_of = '2025-01-01';
INSERT INTO revops.opportunity (opportunity, stage, opened_at) SELECT 'b' || g, 'contact', '2025-01-01' FROM generate_series(1, :n) g;
RESET revops.as_of;
INSERT INTO revops.event (opportunity, occurred_at, kind)
SELECT 'b' || g, date_trunc('day', now()) - interval '10 days' + k * interval '20 hours', 's' || 5 * (k * (1 + g % 3)) + g % 5 FROM generate_series(1, :n) g, generate_series(0, 1) k;
S
work() { sql -c "SELECT revops.process()"; }
w=$(seconds work)
sql -c "VACUUM ANALYZE" >/dev/null
for ((i = 1; i <= rounds; i++)); do
	proposals+=("$(seconds sql -c "SELECT count(*) FROM revops.calibrate_stages('bench', 0.6)")")
	say "stages, round $i: proposals ${proposals[-1]} s"
done
k=$(sql -c "SELECT count(*) FROM revops.calibrate_stages('bench', 0.6)")
a=$(seconds sql -c "SELECT count(*) FROM revops.calibrate_stages('bench', 0.6, true)")
p=$(median "${proposals[@]}")
row "Estimates of $m opportunities made by the stream, 2 events each" "$w s" - 0
row "$m opportunities held against their estimates, $k proposals" "$p s" "< 1 s" "$p" "<" 1
row "These $k applied, logged, in the history" "$a s" - 0
