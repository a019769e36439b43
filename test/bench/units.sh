# units.sh: who takes over, among more and more reps; run.sh runs it, as its part "units".
# Ten customers a rep, ten reps a unit; of each customer five reps who have served it, of each rep a hundred who have worked with it.
units_data() {    # REPS
	sql -c "CALL bench.worker(false)" -v n="$1" -f - <<'S' >/dev/null
SET client_min_messages = warning;
SELECT setseed(0.42);
TRUNCATE revops.territory, revops.unit, revops.rep, revops.account, revops.rep_skill, revops.account_need, revops.service, revops.collaboration;
DELETE FROM revops.skill;
INSERT INTO revops.skill (skill, dimension)
SELECT 's' || i, (ARRAY['industry_knowledge', 'customer_relations', 'technical_understanding', 'local_resources'])[1 + i % 4] FROM generate_series(0, 39) i;
INSERT INTO revops.territory (territory, name) SELECT 't' || i, 't' || i FROM generate_series(0, greatest(:n / 500 - 1, 0)) i;
INSERT INTO revops.unit (unit, name, territory) SELECT 'u' || i, 'u' || i, 't' || i / 50 FROM generate_series(0, :n / 10 - 1) i;
INSERT INTO revops.rep (rep, name, unit, languages, max_accounts)
SELECT 'r' || i, 'r' || i, 'u' || i / 10, CASE WHEN random() < 0.5 THEN '{zh,en}'::text[] ELSE '{zh}' END, 15 + random() * 20 FROM generate_series(0, :n - 1) i;
-- a unit's customers are of few industries and one territory
INSERT INTO revops.account (account, name, owner, territory, industry, segment, languages, properties)
SELECT 'a' || i, 'a' || i, 'r' || i / 10, 't' || i / 5000, 'i' || ((i / 100) * 7 + floor(random() * 3)::int) % 50, 'g' || floor(random() * 4),
       CASE WHEN random() < 0.3 THEN '{en}'::text[] ELSE '{zh}' END, jsonb_build_object('products', jsonb_build_array('p' || floor(random() * 30), 'p' || floor(random() * 30)))
FROM generate_series(0, :n * 10 - 1) i;
INSERT INTO revops.rep_skill SELECT DISTINCT ON (1, 2) 'r' || i, 's' || floor(power(random(), 2) * 40), 1 + floor(random() * 5)::int FROM generate_series(0, :n - 1) i, generate_series(1, 4);
INSERT INTO revops.account_need (account, skill, level, required)
SELECT DISTINCT ON (1, 2) 'a' || i, 's' || (i / 100 + floor(power(random(), 2) * 5)::int) % 40, 1 + floor(random() * 3)::int, random() < 0.5 FROM generate_series(0, :n * 10 - 1, 2) i;
ALTER TABLE revops.service DROP CONSTRAINT service_pkey;
ALTER TABLE revops.collaboration DROP CONSTRAINT collaboration_pkey;
DROP INDEX revops.service_rep_idx;
-- rounds over all, so that the rows of one rep or customer lie far from each other, as they do when they come over time
INSERT INTO revops.service (account, rep, rank, weeks, last_week)
SELECT 'a' || i, 'r' || (i / 10 + d * d * 3 + d * 7 * (1 + i % 5)) % :n, extract(epoch FROM revops.now() - '2000-01-01'::timestamptz) / 7776000 + random() * 6 - 5, 1, '2026-01-05'
FROM generate_series(0, 4) d, generate_series(0, :n * 10 - 1) i;
INSERT INTO revops.collaboration (rep, other, rank, weeks, last_week)
SELECT 'r' || CASE w WHEN 0 THEN i ELSE (i + d * (1 + d / 3)) % :n END, 'r' || CASE w WHEN 0 THEN (i + d * (1 + d / 3)) % :n ELSE i END,
       extract(epoch FROM revops.now() - '2000-01-01'::timestamptz) / 7776000 + ((i * 31 + d * 17) % 60) / 10.0 - 5, 1, '2026-01-05'
FROM generate_series(1, 50) d, generate_series(0, 1) w, generate_series(0, :n - 1) i;
ALTER TABLE revops.service ADD PRIMARY KEY (account, rep);
ALTER TABLE revops.collaboration ADD PRIMARY KEY (rep, other);
CREATE INDEX service_rep_idx ON revops.service (rep);
SELECT revops.refresh_profiles();
VACUUM ANALYZE;
S
}
units_calls() {    # twenty units: median and p95 of the second call for each, ms; mean of its CPU time (ticks of 10 ms, so only the mean tells)
	sql -f - <<'S' | tail -1
SET client_min_messages = warning;
CREATE TEMP TABLE took (ms float8, cpu float8);
CREATE FUNCTION pg_temp.cpu() RETURNS float8 LANGUAGE sql AS $f$ SELECT (split_part(s, ' ', 14)::bigint + split_part(s, ' ', 15)::bigint) * 10.0 FROM pg_read_file('/proc/self/stat') s $f$;
DO $$
DECLARE
	u text; t timestamptz; n int; c float8;
BEGIN
	FOR u, n IN SELECT x.unit, g FROM (SELECT unit FROM revops.unit ORDER BY hashtext(unit) LIMIT 20) x, generate_series(1, 2) g ORDER BY 1, 2 LOOP
		c := pg_temp.cpu();
		t := clock_timestamp();
		PERFORM count(*) FROM revops.substitute_units(u, 3);
		IF n = 2 THEN INSERT INTO took VALUES (extract(epoch FROM clock_timestamp() - t) * 1000, pg_temp.cpu() - c); END IF;
	END LOOP;
END $$;
SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 1) || ' ' || round(percentile_cont(0.95) WITHIN GROUP (ORDER BY ms)::numeric, 1) || ' ' || round(avg(cpu)::numeric, 1) FROM took;
S
}
tenth=''
for reps in "$(scaled 10000)" "$(scaled 100000)"; do
	say "units: making $reps reps ..."
	took=$(seconds units_data "$reps")
	read -r mid high cpu < <(units_calls)
	past=$(sql -c "SELECT ((SELECT reltuples FROM pg_class WHERE oid = 'revops.service'::regclass) + (SELECT reltuples FROM pg_class WHERE oid = 'revops.collaboration'::regclass) / 2)::bigint")
	say "units: $reps reps, $past past collaborations, made in $took s: median $mid ms, p95 $high ms, CPU $cpu ms"
	[ -n "$tenth" ] || tenth=$mid
done
row "Substitutes for a unit among $reps reps, $((reps * 10)) customers and $past past collaborations: top 3, warm" "$mid ms (p95 $high ms; CPU $cpu ms)" "< 50 ms" "$mid" "<" 50
row "The same, times what it takes among a tenth of them" "$(ratio "$mid" "$tenth") ($mid ms / $tenth ms)" "-" 0
