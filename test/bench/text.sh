# text.sh: what texts show, with the starter pack: against PostgreSQL's own regular expressions, and in the stream; run.sh sources it, as its part "text".
# Messages are the pack's own examples, of which more show something than what people write does. CPU seconds of one backend, which other work on
# the machine disturbs less than the clock; the least of the rounds.
say "text: making messages ..."
sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "SELECT revops.add_intents()" -c "SELECT revops.publish_intents()" >/dev/null
sql -v n="$(scaled 200000)" -f - <<'S' >/dev/null
SELECT setseed(0.42);
CREATE UNLOGGED TABLE bench.example AS SELECT row_number() OVER () AS n, body, lang FROM revops.intent_example;
CREATE UNLOGGED TABLE bench.message AS
SELECT e.body, e.lang FROM generate_series(1, :n) g JOIN bench.example e ON e.n = 1 + (g::bigint * 7919) % (SELECT count(*) FROM bench.example) ORDER BY random();
-- all patterns as alternations, one for each topic, since one of all is more than PostgreSQL takes
CREATE UNLOGGED TABLE bench.alternation AS
SELECT i.topic, string_agg(CASE WHEN p.kind = 'regex' THEN replace(p.pattern, '\b', '\y') WHEN p.near IS NULL THEN l.a
                                ELSE format('%1$s.{0,%3$s}%2$s|%2$s.{0,%3$s}%1$s', l.a, l.b, p.within) END, '|') AS re
FROM revops.intent_pattern p JOIN revops.intent i USING (intent)
CROSS JOIN LATERAL (SELECT regexp_replace(p.pattern, '([^[:alnum:][:space:]])', '\\\1', 'g') AS a, regexp_replace(p.near, '([^[:alnum:][:space:]])', '\\\1', 'g') AS b) l
GROUP BY i.topic;
ANALYZE bench.message;
S
ticks="SELECT split_part(s, ' ', 14)::bigint + split_part(s, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat') s"
hertz=$(getconf CLK_TCK)
# CPU seconds of one statement, once what it needs is loaded
text_cpu() {
	for ((r = 0; r < rounds; r++)); do
		sql -c "SET max_parallel_workers_per_gather = 0" -c "SELECT 'warm', count(revops.intents_of(body)) FROM bench.example" -c "$ticks" -c "$1" -c "$ticks" |
			grep -v warm | awk -v h="$hertz" 'NR == 1 { a = $1 } END { print ($1 - a) / h }'
	done | sort -g | head -1
}
n=$(sql -c "SELECT count(*) FROM bench.message")
all=$(text_cpu "SELECT count(revops.intents_of(body)) FROM bench.message")
zh=$(text_cpu "SELECT count(revops.intents_of(body)) FROM bench.message WHERE lang = 'zh'")
n_zh=$(sql -c "SELECT count(*) FROM bench.message WHERE lang = 'zh'")
few=$(scaled 2000)
# a loop over the alternations, so that each is compiled once
plain=$(rounds=1 text_cpu "DO \$\$ DECLARE a text; BEGIN FOR a IN SELECT re FROM bench.alternation LOOP PERFORM count(*) FROM (SELECT body FROM bench.message LIMIT $few) m WHERE body ~* a; END LOOP; END \$\$")
rate=$(awk -v n="$n" -v s="$all" 'BEGIN { printf "%d", n / s }')
row "Messages a second, $(sql -c "SELECT count(*) FROM revops.intent_pattern") patterns" "$rate (Chinese $(awk -v n="$n_zh" -v s="$zh" 'BEGIN { printf "%d", n / s }'), English $(awk -v n="$((n - n_zh))" -v a="$all" -v z="$zh" 'BEGIN { printf "%d", n / (a - z) }'))" ">= 500000" "$rate" ">=" 500000
plain_rate=$(awk -v n="$few" -v s="$plain" 'BEGIN { printf "%.0f", n / s }')
row "Times as many as PostgreSQL's regular expressions" "$(ratio "$rate" "$plain_rate") ($plain_rate a second)" ">= 20" "$(ratio "$rate" "$plain_rate")" ">=" 20

# what a session pays once: a worker when it starts, a client before its first look
first=()
for ((i = 1; i <= rounds; i++)); do
	first+=("$(sql -c "$ticks" -c "SELECT 'done', count(*) FROM revops.detect_intents('x')" -c "$ticks" | grep -v done | awk -v h="$hertz" 'NR == 1 { a = $1 } END { print ($1 - a) / h }')")
done
row "Patterns loaded by a session, CPU" "$(median "${first[@]}") s" - 0

# the stream, in a session that has its patterns: the same events without a body, with one that no other has (its number behind it), and with texts that many share; then the former with a model,
# trained on the same examples
sql -f "$here/config.sql" >/dev/null
n=$(scaled 300000)
text_stream() {
	sql -c "CALL bench.worker(false)" -c "SELECT bench.reset()" -c "TRUNCATE revops.event_intent" -v n="$n" -v body="$1" -f - <<'S' >/dev/null
SELECT setseed(0.42);
INSERT INTO revops.event (occurred_at, person, side, channel, kind, object, body)
SELECT now() - (:n - g) * interval '0.9 s', 'p' || (1 + floor(20000 * power(random(), 2)))::int, 'customer', 'wecom', 'k' || (1 + floor(random() * 40))::int, '/p' || (random() * 50)::int,
       CASE :'body' WHEN 'own' THEN e.body || ' ' || g WHEN 'shared' THEN e.body END
FROM generate_series(1, :n) g JOIN bench.example e ON e.n = 1 + (g::bigint * 7919) % (SELECT count(*) FROM bench.example) ORDER BY g;
VACUUM ANALYZE revops.event;
CHECKPOINT;
S
	sql -c "SELECT 'done', count(revops.intents_of(body)) FROM bench.example" -c "$ticks" -c "SELECT 'done', revops.process()" -c "$ticks" | grep -v done | awk -v h="$hertz" 'NR == 1 { a = $1 } END { print ($1 - a) / h }'
}
without=() own=() shared=() model=()
for ((i = 1; i <= rounds; i++)); do
	without+=("$(text_stream no)")
	own+=("$(text_stream own)")
	found=$(sql -c 'SELECT count(*) FROM revops.event_intent')
	shared+=("$(text_stream shared)")
	say "text, round $i: $n events without a body ${without[-1]} s, with their own ${own[-1]} s, $found intents, with shared ones ${shared[-1]} s"
done
a=$(median "${without[@]}") b=$(median "${own[@]}") c=$(median "${shared[@]}")
row "The stream's rate with a body in each event, of that without" "$(ratio "$a" "$b") ($n events: $b s / $a s of CPU)" ">= 0.5" "$(ratio "$a" "$b")" ">=" 0.5
row "The same, $(sql -c "SELECT count(DISTINCT body) FROM bench.example") bodies that events share" "$(ratio "$a" "$c") ($c s)" - 0
sql -c "SELECT bench.reset()" -c "SELECT revops.train('bench', 'classify', 'SELECT body AS text, intent AS label FROM revops.intent_example WHERE positive')" -c "SELECT revops.use_model('bench')" >/dev/null
for ((i = 1; i <= rounds; i++)); do model+=("$(text_stream own)"); done
d=$(median "${model[@]}")
row "The same with a body of its own in each and a model of $(sql -c "SELECT cardinality(labels) FROM revops.model_version WHERE model = 'bench'") labels in use" "$(ratio "$a" "$d") ($d s)" - 0
sql -c "DELETE FROM revops.model WHERE model = 'bench'" -c "DELETE FROM revops.model_version WHERE model = 'bench'" >/dev/null
sql -c "SELECT bench.reset()" -c "TRUNCATE revops.event_intent, revops.intent_publication" -c "DROP TABLE bench.example, bench.message, bench.alternation" \
	-c "SELECT count(revops.drop_intent(intent)) FROM revops.intent_pack" -c "CALL bench.worker(true)" >/dev/null
