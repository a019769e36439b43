# rules.sh: the cost of rules, sourced by run.sh: events a second by the number of rules, and by how much happened before.

# put_rules N LIVE: N rules of the six shapes, each about an object of its own; events are about the first LIVE objects only
put_rules() {
	sql -v n="$1" <<'S' >/dev/null
DO $$ BEGIN PERFORM revops.drop_rule(rule) FROM revops.rule; DELETE FROM revops.moment_rule; END $$;
SELECT revops.put_rule('r' || g, CASE g % 6
	WHEN 0 THEN json_build_object('when', w, 'count', json_build_object('at_least', 5, 'within', '1 day'))
	WHEN 1 THEN json_build_object('when', w, 'sum', json_build_object('of', 'dwell', 'at_least', '10 minutes', 'within', '1 day'))
	WHEN 2 THEN json_build_object('when', w, 'distinct', json_build_object('of', 'channel', 'at_least', 3, 'within', '1 day'))
	WHEN 3 THEN json_build_object('when', w, 'streak', json_build_object('days', 3, 'each', json_build_object('count', 2)))
	WHEN 4 THEN json_build_object('sequence', json_build_object('within', '1 day', 'steps', json_build_array(
		json_build_object('when', w), json_build_object('when', json_build_object('kind', 'search', 'object', o), 'gap', '1 hour'), json_build_object('when', w))))
	ELSE json_build_object('sequence', json_build_object('steps', json_build_array(
		json_build_object('when', w), json_build_object('absent', json_build_object('object', o), 'for', '2 days'))))
	END)
FROM (SELECT g, '/r' || g AS o, json_build_object('kind', 'page_view', 'object', '/r' || g) AS w FROM generate_series(1, :n) g) r;
S
}

# feed EVENTS SUBJECTS OBJECTS: over four days
feed() {
	sql -v n="$1" -v s="$2" -v o="$3" <<'S' >/dev/null
SELECT setseed(0.42);
INSERT INTO revops.event (occurred_at, person, kind, object, channel, dwell)
SELECT now() - interval '4 days' + g * (interval '4 days' / :n), 'p' || 1 + (random() * (:s - 1))::int,
       CASE WHEN random() < 0.3 THEN 'search' ELSE 'page_view' END, '/r' || 1 + (random() * (:o - 1))::int,
       (ARRAY['web', 'app', 'email'])[1 + (random() * 2)::int], random() * 120 * interval '1 s'
FROM generate_series(1, :n) g;
S
}

n=$(scaled 300000)
declare -A rate
for mode in idle live; do
	for rules in 0 1 10 100 1000; do
		[ $mode = live ] && [ $rules -lt 10 ] && continue
		times=()
		for ((i = 1; i <= rounds; i++)); do
			sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" >/dev/null
			# idle: events are about ten objects, so ten rules are at work, and the others have nothing to match; live: about all objects
			put_rules $rules
			feed "$n" 20000 $([ $mode = idle ] && echo 10 || echo $rules)
			sql -c "VACUUM ANALYZE" -c CHECKPOINT
			times+=("$(seconds sql -c "SELECT revops.process()")")
		done
		rate[$mode$rules]=$(awk -v n="$n" -v t="$(median "${times[@]}")" 'BEGIN { printf "%d", n / t }')
		say "rules: $rules $mode: ${rate[$mode$rules]} events/s"
	done
done
row "Events a second, no rule / 1 / 10 / 100 / 1,000 rules, ten of them at work" "${rate[idle0]} / ${rate[idle1]} / ${rate[idle10]} / ${rate[idle100]} / ${rate[idle1000]}" - 0
row "1,000 rules of which ten can match / 10 rules" "$(ratio "${rate[idle1000]}" "${rate[idle10]}")" ">= 0.33" "$(ratio "${rate[idle1000]}" "${rate[idle10]}")" ">=" 0.33
row "1,000 rules that all match / 10 rules, an event concerning one" "$(ratio "${rate[live1000]}" "${rate[live10]}") (${rate[live1000]} / ${rate[live10]})" - 0

# what one new event of each subject costs, after 1, 10, 100 and 1,000 of it
subjects=$(scaled 1000)
declare -A cost
for past in 1 10 100 1000; do
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" >/dev/null
	put_rules 6
	sql -v s="$subjects" -v h="$past" <<'S' >/dev/null
INSERT INTO revops.event (occurred_at, person, kind, object, channel, dwell)
SELECT now() - interval '1 day' * h / :h, 'p' || s, CASE WHEN h % 3 = 0 THEN 'search' ELSE 'page_view' END, '/r' || 1 + h % 6,
       (ARRAY['web', 'app'])[1 + h % 2], interval '1 second'
FROM generate_series(1, :s) s, generate_series(1, :h) h;
SELECT revops.process();
S
	sql -c "VACUUM ANALYZE" -c CHECKPOINT
	times=()
	for ((i = 1; i <= 5 * rounds; i++)); do
		sql -c "INSERT INTO revops.event (person, kind, object, channel, dwell)
			SELECT 'p' || s, 'page_view', '/r' || 1 + $i % 6, 'web', '1 second' FROM generate_series(1, $subjects) s" >/dev/null
		times+=("$(seconds sql -c "SELECT revops.process()")")
	done
	cost[$past]=$(awk -v t="$(median "${times[@]}")" -v n="$subjects" 'BEGIN { printf "%.1f", t * 1e6 / n }')
	say "rules: $past past events of each of $subjects subjects: ${cost[$past]} us/event"
done
row "An event after 1 / 10 / 100 / 1,000 of its subject, six rules" "${cost[1]} / ${cost[10]} / ${cost[100]} / ${cost[1000]} us" - 0
row "after 1,000 / after 1" "$(ratio "${cost[1000]}" "${cost[1]}")" "<= 1.5" "$(ratio "${cost[1000]}" "${cost[1]}")" "<=" 1.5
