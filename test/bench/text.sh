# text.sh: what texts show, with the starter pack: against PostgreSQL's own regular expressions, and in the stream; run.sh runs it, as its part "text".
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

# what customers write, in English and Chinese, where the data (REVOPS_DATA, else ../shared/data of the tree) is there: most of it shows nothing
data=${REVOPS_DATA:-$here/../../../shared/data}
real=
sql -c "CREATE UNLOGGED TABLE bench.talk (n bigint GENERATED ALWAYS AS IDENTITY, body text)"
if [ -r "$data/intent/banking77.csv" ] && [ -r "$data/sentiment/waimai_zh.csv" ]; then
	real="some real"
	sql -f - <<-S
		CREATE TEMP TABLE banking (split text, label text, body text);
		CREATE TEMP TABLE waimai (label text, body text);
		\copy banking FROM '$data/intent/banking77.csv' CSV HEADER
		\copy waimai FROM '$data/sentiment/waimai_zh.csv' CSV HEADER
		INSERT INTO bench.talk (body) SELECT body FROM (SELECT body FROM banking UNION ALL SELECT body FROM waimai) x ORDER BY hashtext(body);
		ANALYZE bench.talk;
	S
	few=$(sql -c "SELECT count(*) FROM bench.talk")
	cpu=$(text_cpu "SELECT count(revops.intents_of(body)) FROM bench.talk, generate_series(1, 5)")
	row "Messages a second, of what customers write ($few: BANKING77, waimai)" "$(awk -v n="$few" -v s="$cpu" 'BEGIN { printf "%d", 5 * n / s }')" - 0
fi

# the stream, in one session that lives on as a worker does, so that its patterns are loaded and its memory is mapped; the first round does that and does not
# count. The same events without a body, with one that no other has (its number behind it), with texts that many share, and with what customers write (with
# its number, too) in each or in every fourth one; then the second with a model, trained on the same examples
sql -f "$here/config.sql" >/dev/null
n=$(scaled 300000)
text_stream() {
	local i kind
	for ((i = 0; i <= rounds; i++)); do
		for kind in "$@"; do
			cat <<-S
				SELECT bench.reset();
				TRUNCATE revops.event_intent;
				SELECT setseed(0.42);
				INSERT INTO revops.event (occurred_at, person, side, channel, kind, object, body)
				SELECT now() - ($n - g) * interval '0.9 s', 'p' || (1 + floor(20000 * power(random(), 2)))::int, 'customer', 'wecom', 'k' || (1 + floor(random() * 40))::int, '/p' || (random() * 50)::int,
				       CASE '$kind' WHEN 'own' THEN e.body || ' ' || g WHEN 'shared' THEN e.body WHEN 'real' THEN t.body || ' ' || g WHEN 'some' THEN CASE WHEN g % 4 = 0 THEN t.body || ' ' || g END END
				FROM generate_series(1, $n) g JOIN bench.example e ON e.n = 1 + (g::bigint * 7919) % (SELECT count(*) FROM bench.example)
				LEFT JOIN bench.talk t ON t.n = 1 + (g::bigint * 7919) % greatest((SELECT count(*) FROM bench.talk), 1) ORDER BY g;
				VACUUM ANALYZE revops.event;
				CHECKPOINT;
				$ticks;
				SELECT 'done', revops.process();
				$ticks;
				SELECT '$kind $i', count(*) FROM revops.event_intent;
			S
		done
	done | sql -f - | awk -v h="$hertz" '/^[0-9]+$/ { before = last; last = $1 } /^[a-z]+ [1-9]/ { print $1, (last - before) / h }'
}
sql -c "CALL bench.worker(false)" >/dev/null
took() { awk -v kind="$1" '$1 == kind { print $2 }' <<<"$answer"; }
answer=$(text_stream no own shared $real)
say "text, $n events, seconds of each round: without a body $(took no | xargs), with their own $(took own | xargs), with shared ones $(took shared | xargs), with what customers write $(took real | xargs), in every fourth one $(took some | xargs)"
a=$(median $(took no)) b=$(median $(took own)) c=$(median $(took shared))
if [ -n "$real" ]; then
	d=$(median $(took real))
	row "The stream's rate with what a customer writes in each event, of that without" "$(ratio "$a" "$d") ($n events: $d s / $a s of CPU)" ">= 0.5" "$(ratio "$a" "$d")" ">=" 0.5
	d=$(median $(took some))
	row "The same in every fourth event, the others without a body" "$(ratio "$a" "$d") ($d s)" - 0
fi
row "The stream's rate with one of the pack's own examples in each event, of that without" "$(ratio "$a" "$b") ($n events: $b s / $a s of CPU)" ">= 0.5" "$(ratio "$a" "$b")" ">=" 0.5
row "The same, $(sql -c "SELECT count(DISTINCT body) FROM bench.example") bodies that events share" "$(ratio "$a" "$c") ($c s)" - 0
sql -c "SELECT bench.reset()" -c "SELECT revops.train('bench', 'classify', 'SELECT body AS text, intent AS label FROM revops.intent_example WHERE positive')" -c "SELECT revops.use_model('bench')" >/dev/null
answer=$(text_stream own)
d=$(median $(took own))
row "The same with a body of its own in each and a model of $(sql -c "SELECT cardinality(labels) FROM revops.model_version WHERE model = 'bench'") labels in use" "$(ratio "$a" "$d") ($d s)" - 0
