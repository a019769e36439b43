# What texts show: random patterns and texts against a plain reference; the stream, whatever its batches and lanes; and bad input.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
note "seed $seed (set REVOPS_SEED to repeat it)";
my $node = PostgreSQL::Test::Cluster->new('text');
$node->init(extra => ['-E', 'UTF8', '--no-locale']);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nlog_min_messages = warning\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# the first line of the error of a statement
sub refused
{
	my ($query) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $query);
	return $rc == 0 ? "no error: $out" : (split /\n/, $err)[0];
}

sql('CREATE EXTENSION pg_revops');
sql('SELECT revops.stop_worker()');

SKIP:
{
	skip 'python3 is not there to work out the reference', 5 if system('python3 -c 1 >/dev/null 2>&1') != 0;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/text_$seed.json";
	is(system("python3 test/unit/text_reference.py $seed 600 > '$file'"), 0, "seed $seed: a reference");
	sql(qq{CREATE TABLE doc AS SELECT pg_read_file('$file')::jsonb AS d});
	sql(q{CREATE TABLE wanted AS SELECT (t ->> 'n')::int AS n, t ->> 'body' AS body, t ->> 'lang' AS lang, t -> 'shows' AS shows
		FROM doc, jsonb_array_elements(d -> 'texts') t});
	sql('SELECT count(revops.put_intent(key, value)) FROM doc, jsonb_each(d -> \'intents\')');
	sql('SELECT revops.publish_intents()');
	is(sql(q{
		WITH found AS (SELECT w.n, x.intent, x.confidence, lower(x.span) AS a, upper(x.span) AS b FROM wanted w, revops.detect_intents(w.body, lang => w.lang) x),
			expected AS (SELECT w.n, key AS intent, (value ->> 0)::float8 AS confidence, (value ->> 1)::int AS a, (value ->> 2)::int AS b
				FROM wanted w, jsonb_each(w.shows))
		SELECT coalesce(string_agg(format('%s | %s | found %s %s-%s | expected %s %s-%s | %s', to_json(w.body), w.lang, f.confidence, f.a, f.b, e.confidence, e.a, e.b,
			(SELECT d -> 'intents' -> intent FROM doc)), E'\n' ORDER BY n), 'none')
		FROM (SELECT * FROM found f FULL JOIN expected e USING (n, intent)) AS j(n, intent, fc, fa, fb, ec, ea, eb)
		CROSS JOIN LATERAL (SELECT fc AS confidence, fa AS a, fb AS b) f CROSS JOIN LATERAL (SELECT ec AS confidence, ea AS a, eb AS b) e JOIN wanted w USING (n)
		WHERE (fa, fb) IS DISTINCT FROM (ea, eb) OR abs(fc - ec) > 0.0001}), 'none', 'each text shows what it should');
	cmp_ok(sql('SELECT count(*) FROM wanted, jsonb_each(shows)'), '>', 300, 'and many show something');
	is(sql(q{SELECT count(*) FROM wanted w, revops.detect_intents(w.body, lang => w.lang) x
		WHERE x.evidence <> substr(w.body, lower(x.span) + 1, upper(x.span) - lower(x.span))}), '0', 'the evidence is where the span says');
	is(sql(q{SELECT count(*) FROM wanted w WHERE revops.intents_of(w.body, lang => w.lang) IS DISTINCT FROM
		ARRAY(SELECT x.intent FROM revops.detect_intents(w.body, lang => w.lang) x)}), '0', 'the names alone are the same');
}

sql(q{DELETE FROM revops.intent WHERE intent LIKE 'i0%'});

# the stream: texts of every plane, control characters, none, and a long one
sql(q{SELECT revops.put_intent('dear', '{"patterns": [{"include": "贵"}, {"exclude": "不贵"}, {"regex": "x[^a]{1,3}y"}]}')});
sql(q{SELECT revops.put_intent('planes', '{"patterns": [{"include": "𠀀"}, {"regex": "[𐀀-􏿽]{2}"}]}')});
sql('SELECT revops.publish_intents()');
sql(q{SELECT revops.put_signal('said', 'price', 1, '{"intent": "dear"}'), revops.put_signal('any', 'talk', 1, '{"intent": {"exists": true}}')});
sql(q{SELECT revops.put_rule('twice', '{"when": {"intent": "dear"}, "count": {"at_least": 2, "within": "1 hour"}}')});
my $feed = qq{
	SELECT setseed(@{[$seed / 1_000_000]});
	CREATE TABLE feed AS SELECT gen_random_uuid() AS id, 'p' || n % 23 AS person, timestamptz '2026-03-01 09:00Z' + random() * interval '2 days' AS at,
		CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE (SELECT string_agg(CASE (random() * 8)::int WHEN 0 THEN '贵' WHEN 1 THEN '不' WHEN 2 THEN 'x' WHEN 3 THEN 'y'
			WHEN 4 THEN chr(65536 + (random() * 1048570)::int) WHEN 5 THEN chr(1 + (random() * 31)::int) WHEN 6 THEN chr(57344 + (random() * 8000)::int)
			ELSE chr(128 + (random() * 55000)::int) END, '') FROM generate_series(1, 12) WHERE n > 0) END AS body
	FROM generate_series(1, 2000) n;
	INSERT INTO feed VALUES (gen_random_uuid(), 'long', '2026-03-01 10:00Z', repeat('x', 1000000) || '贵'),
		(gen_random_uuid(), 'long', '2026-03-01 10:10Z', repeat('贵', 349000)), (gen_random_uuid(), 'long', '2026-03-01 10:20Z', repeat('𠀀不贵x', 300000));
	-- texts that many send
	INSERT INTO feed SELECT gen_random_uuid(), 'p' || n % 23, timestamptz '2026-03-01 09:00Z' + random() * interval '2 days',
		(ARRAY['太贵了', '不贵', 'x12y', '贵 𠀀', 'ok', repeat('x12y贵 ', 200)])[1 + n % 6] FROM generate_series(1, 600) n};
sql("SET revops.as_of = '2026-03-04 09:00Z'; $feed");
my $results = q{SELECT md5(string_agg(r, E'\n' ORDER BY r COLLATE "C")) FROM (
	SELECT format('%s %s %s %s %s', event_id, intent, confidence, span, evidence) FROM revops.event_intent
	UNION ALL SELECT format('%s %s %s', subject_kind, subject, intent) || ' ' || round(rank::numeric, 9) || ' ' || events FROM revops.intent_state
	UNION ALL SELECT format('%s %s %s', moment_id, subject, occurred_at) FROM revops.moment WHERE retracted_at IS NULL) x(r)};
my %seen;
foreach my $way ([1, 200000, 'at', 'in order'], [1, 7, 'id', 'in small batches, any order'], [3, 100, 'body DESC, id', 'in three lanes'])
{
	my ($lanes, $batch, $order, $name) = @$way;
	sql('TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.event_intent, revops.repair_request, revops.late_event');
	sql(qq{SET revops.as_of = '2026-03-04 09:00Z'; SET revops.batch_size = $batch; SET revops.allowed_lateness = '7d';
		INSERT INTO revops.event (event_id, occurred_at, person, side, channel, kind, body) SELECT id, at, person, 'customer', 'wecom', 'message', body FROM feed WHERE id::text < '8' ORDER BY $order;
		SELECT revops.process(); SELECT revops.set_lanes($lanes);
		INSERT INTO revops.event (event_id, occurred_at, person, side, channel, kind, body) SELECT id, at, person, 'customer', 'wecom', 'message', body FROM feed WHERE id::text >= '8' ORDER BY $order;
		SELECT revops.process()});
	is(sql('SELECT count(*) FROM revops.failed_event'), '0', "$name: nothing fails");
	is(sql(q{SELECT count(*) FROM (
		(SELECT e.event_id, d.intent, d.span, d.evidence, d.confidence FROM revops.event e, revops.detect_intents(e.body, e.side, e.channel) d
		 EXCEPT ALL SELECT event_id, intent, span, evidence, confidence FROM revops.event_intent) UNION ALL
		(SELECT event_id, intent, span, evidence, confidence FROM revops.event_intent
		 EXCEPT ALL SELECT e.event_id, d.intent, d.span, d.evidence, d.confidence FROM revops.event e, revops.detect_intents(e.body, e.side, e.channel) d)) x}), '0', "$name: each event's intents, once");
	$seen{sql($results)} = $name;
}
is(scalar(keys %seen), 1, 'intents, scores and moments are the same whatever the order, the batches and the lanes');
cmp_ok(sql('SELECT count(*) FROM revops.moment'), '>', 10, 'and there are moments');
sql('SELECT revops.rebuild_scores(); SELECT revops.process()');
is((keys %seen)[0], sql($results), 'and when the scores are computed anew');
is(sql(q{SELECT count(*) > 0 AND bool_and(length(evidence) <= 200) FROM revops.event_intent WHERE intent = 'dear'}), 't', 'evidence is short');

# a trigger of one's own on the rows sees each of them
sql(q{CREATE TABLE heard (intent text); CREATE FUNCTION heard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.heard VALUES (new.intent); RETURN NULL; END $$;
	CREATE TRIGGER heard AFTER INSERT ON revops.event_intent FOR EACH ROW EXECUTE FUNCTION heard()});
sql(q{SET revops.as_of = '2026-03-04 09:30Z'; SELECT revops.track('message', person => 'h', body => '贵 贵'), revops.track('message', person => 'h', body => '贵'); SELECT revops.process()});
is(sql(q{SELECT count(*), min(intent) FROM heard}), '2|dear', 'a trigger sees each row');
sql('DROP TRIGGER heard ON revops.event_intent; DROP FUNCTION heard(); DROP TABLE heard');

# a publication is used by the next statement of a backend that has looked before
is(sql(q{SET revops.as_of = '2027-01-01'; SELECT revops.intents_of('this is sesame');
	SELECT revops.put_intent('sesame', '{"patterns": [{"include": "sesame"}]}') || ' ' || (revops.publish_intents() > 0); SELECT revops.intents_of('this is sesame')}),
	"{}\n1 true\n{sesame}", 'known once it is published');

# patterns that must not pass, or must not take long
like(refused(qq{SELECT revops.put_intent('bad', '{"patterns": [{"regex": "$_->[0]"}]}')}), $_->[1], "refused: $_->[0]") foreach (
	['(', qr/parenthesis is not closed \(character 1/], ['a)', qr/closes no group \(character 2/], ['[a', qr/class is not closed/], ['a{1000}', qr/more than 500/],
	['((((a{1,9}){1,9}){1,9}){1,9}){1,9}', qr/more than 500/], ['(?=a)b', qr/zero-width/i], ['(a)\\\\1', qr/back-ref/i], ['a*', qr/empty text/], ['\\\\', qr/backslash ends it/],
	['(?P<n>a)(?P=n)', qr/\$\.patterns\[0\]\.regex/], ['(' x 60 . 'a' . ')' x 60, qr/nested too deep/], ['a{2,1}', qr/\$\.patterns\[0\]\.regex/], ['[z-a]', qr/\$\.patterns\[0\]\.regex/]);
is(sql(q{SELECT revops.put_intent('slow', '{"patterns": [{"regex": "(a+)+$"}, {"regex": "(.*a){4}b"}, {"regex": "(a|aa|aaa)+x"}]}')}), '3', 'patterns that make others backtrack');
sql('SELECT revops.publish_intents()');
is(sql(q{SET revops.as_of = '2027-01-02'; SELECT revops.intents_of(repeat('a', 20000) || '!')}), '{}', 'and cost nothing here');

# a pattern that matches everywhere leaves room for others, and takes no time
sql(q{SELECT revops.put_intent('all', '{"patterns": [{"lang": "zh", "include": "a"}, {"lang": "zh", "regex": "a.*"}]}'), revops.put_intent('last', '{"patterns": [{"include": "the end"}]}'),
	revops.put_intent('none', '{"patterns": [{"lang": "zh", "include": "a", "near": "a", "within": 1000}, {"lang": "zh", "exclude": "a"}]}'), revops.publish_intents()});
is(sql(q{SET revops.as_of = '2027-01-02 12:00'; SELECT string_agg(format('%s %s %s %s', d.intent, d.confidence, lower(d.span), length(d.evidence)), ',' ORDER BY d.intent)
	FROM revops.detect_intents(repeat('a', 1000000) || ' the end') d WHERE d.intent IN ('all', 'last', 'none')}), 'all 0.99 0 200,last 0.6 1000001 7', 'a megabyte of matches');

# what the texts of a batch show may be more than its memory: it is worked off in pieces; a text shows 64 intents at most
sql(q{SELECT revops.put_intent('many' || g, format('{"threshold": 0, "patterns": [{"include": "many"}%s]}', CASE WHEN g > 60 THEN ', {"include": "more"}' END)::jsonb) FROM generate_series(1, 70) g; SELECT revops.publish_intents()});
sql(q{SET revops.as_of = '2027-02-02'; SET revops.batch_memory = '1MB';
	INSERT INTO revops.event (occurred_at, person, side, channel, kind, body) SELECT revops.now() - interval '1 hour' + g * interval '1 s', 'm' || g, 'customer', 'web', 'message',
		'many of them, ' || repeat('and so on, ', 20) || 'more' FROM generate_series(1, 400) g; SELECT revops.process()});
is(sql(q{SELECT count(*), count(DISTINCT event_id), count(DISTINCT intent) FROM revops.event_intent WHERE person LIKE 'm%'}), '25600|400|64', 'more than a batch holds');
is(sql(q{SELECT count(*) FILTER (WHERE intent IN (SELECT 'many' || g FROM generate_series(61, 70) g)) FROM revops.event_intent WHERE person = 'm1'}), '10', 'the surest stay');
is(sql(q{SELECT count(*) FROM revops.failed_event}), '0', 'and nothing fails');
sql(q{SELECT count(revops.drop_intent('many' || g)) FROM generate_series(1, 70) g; SELECT revops.drop_intent('all'), revops.drop_intent('last'), revops.drop_intent('none')});

# of many people at once the table is read through, of few each is looked up; new scores and rows come in pages, whose entries no index lacks
sql(q{INSERT INTO revops.person (person, identity, account) SELECT 'w' || g, CASE WHEN g % 3 = 0 THEN 'w' || g + 1 END, CASE WHEN g % 2 = 0 THEN 'a' || g % 50 END FROM generate_series(1, 1500) g});
sql(q{SET revops.as_of = '2027-02-03'; INSERT INTO revops.event (occurred_at, person, side, channel, kind, body)
	SELECT revops.now() - g * interval '1 min', 'w' || g, 'customer', 'wecom', 'message', '贵' FROM generate_series(1, 1600) g; SELECT revops.process()}) foreach 1 .. 2;
sql(qq{SET revops.as_of = '2027-02-03'; INSERT INTO revops.event (occurred_at, person, side, channel, kind, body) VALUES (revops.now(), 'w$_', 'customer', 'wecom', 'message', '贵'); SELECT revops.process()}) foreach (3, 6, 7, 1700);
is(sql(q{SELECT count(*), count(DISTINCT i.account) > 20, count(*) FILTER (WHERE i.account IS DISTINCT FROM coalesce(k.account, v.account)) FROM revops.event_intent i
	LEFT JOIN revops.person v ON v.person = i.person LEFT JOIN revops.person k ON k.person = v.identity WHERE i.person LIKE 'w%' AND i.intent = 'dear'}), '3204|t|0', 'the accounts of people, and of whom they turned out to be');
is(sql(q{SELECT count(*), sum(events) FROM revops.intent_state WHERE subject_kind = 'person' AND subject LIKE 'w%' AND intent = 'price'}), '1101|3204', 'and their scores');
sql('CREATE EXTENSION amcheck');
is(sql(qq{SELECT count(*) FROM (SELECT bt_index_check('revops.$_', true)) x}), '1', "$_ has all rows") foreach ('intent_state_rank', 'intent_state_pkey', 'event_intent_pkey', 'event_intent_account', 'event_intent_visitor');
my $hours = q{SELECT string_agg((SELECT count(*) FROM revops.event_intent WHERE occurred_at >= h AND occurred_at < h + interval '1 hour')::text, ',' ORDER BY h)
	FROM generate_series(timestamptz '2027-02-01', '2027-02-03', '1 hour') h};
is(sql("SET enable_seqscan = off; $hours"), sql("SET enable_bitmapscan = off; $hours"), 'and so has the index by time');

foreach ('IS NULL', 'IS NOT NULL')
{
	my $rows = "SELECT count(*) FROM revops.event_intent WHERE account $_";
	is(sql("SET enable_seqscan = off; SET enable_bitmapscan = off; $rows"), sql("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; $rows"),
		"and none a row too many: $_");
}

# what each account's people said and how they felt, as it would be asked in one piece: of visitors who are somebody since, of some who are not, of events
# that name an account, and of ten half-lives of a month beside those of 30 days
sql(q{INSERT INTO revops.person (person, identity, account) SELECT 'w' || g, CASE WHEN g % 3 = 0 THEN 'w' || g - 1500 END, CASE WHEN g % 2 = 0 THEN 'a' || g % 50 END FROM generate_series(1501, 1560) g});
sql(q{UPDATE revops.intent SET half_life = CASE intent WHEN 'dear' THEN interval '1 mon' ELSE interval '30 days' END; SET revops.as_of = '2027-02-03';
	INSERT INTO revops.event (occurred_at, person, account, side, channel, kind, body)
	SELECT CASE WHEN g % 10 = 0 THEN revops.now() - interval '305 days' ELSE '2027-02-02'::timestamptz - g * interval '7 hours' END, 'w' || g % 90, CASE WHEN g % 5 = 0 THEN 'a' || g % 14 END,
	CASE WHEN g % 11 = 0 THEN 'rep' WHEN g % 13 = 0 THEN 'system' ELSE 'customer' END, 'wecom', 'message', (ARRAY['太贵了', '很好，谢谢', 'this is bad'])[1 + g % 3]
	FROM generate_series(1, 400) g; SELECT revops.process()});
is(sql(q{SELECT bool_or(i.account IS NULL AND p.account IS NOT NULL), bool_or(i.account IS NULL AND p.person IS NULL), bool_or(i.account <> p.account),
	min(i.occurred_at) < '2027-02-03'::timestamptz - interval '300 days' FROM revops.event_intent i LEFT JOIN revops.person p USING (person)}), 't|t|t|t', 'there are all sorts of them');
my $whose = 'coalesce(x.account, k.account, v.account) AS account FROM %s x LEFT JOIN revops.person v ON v.person = x.person LEFT JOIN revops.person k ON k.person = v.identity';
my $need = sprintf "SELECT coalesce(i.topic, i.intent) AS topic, x.confidence * power(2::float8, - extract(epoch FROM revops.now() - x.occurred_at)::float8 / extract(epoch FROM i.half_life)::float8) AS points, $whose
	JOIN revops.intent i ON i.intent = x.intent WHERE x.side IS DISTINCT FROM 'rep' AND x.side IS DISTINCT FROM 'system' AND x.occurred_at <= revops.now() AND x.occurred_at > revops.now() - i.half_life * 10", 'revops.event_intent';
is(sql(qq{SET revops.as_of = '2027-02-03'; SELECT count(*) > 20, count(*) FILTER (WHERE (abs(p.intensity - q.intensity) < 1e-9 * q.intensity) IS NOT TRUE) FROM revops.need_profile p
	FULL JOIN (SELECT account, topic, sum(points) AS intensity FROM ($need) n WHERE account IS NOT NULL GROUP BY 1, 2) q USING (account, topic)}), 't|0', 'need_profile');
my $felt = sprintf "SELECT revops.sentiment(x.body) AS sentiment, power(2::float8, - extract(epoch FROM revops.now() - x.occurred_at)::float8 / 604800) AS weight, $whose
	WHERE x.side = 'customer' AND x.body IS NOT NULL AND NOT x.ahead AND x.occurred_at <= revops.now() AND x.occurred_at > revops.now() - interval '28 days'", 'revops.event';
is(sql(qq{SET revops.as_of = '2027-02-03'; SELECT count(*) > 20, count(*) FILTER (WHERE (abs(p.sentiment - q.sentiment) < 1e-9 AND p.events = q.events) IS NOT TRUE) FROM revops.account_sentiment p
	FULL JOIN (SELECT account, sum(sentiment * weight) / sum(weight) AS sentiment, count(*) AS events FROM ($felt) n WHERE account IS NOT NULL GROUP BY 1) q USING (account)}), 't|0', 'account_sentiment');
sql('ANALYZE revops.event_intent, revops.person, revops.event');
like(sql("EXPLAIN SELECT * FROM revops.need_profile WHERE account = 'a8'"), qr/$_/, "one account is found by $_") foreach ('event_intent_account', 'event_intent_visitor', 'person_account');
unlike(sql("SET revops.as_of = '2027-02-03'; EXPLAIN SELECT * FROM revops.account_sentiment WHERE account = 'a8'"), qr/Seq Scan on event_2/, 'its texts as well');

# regular expressions that match few texts are looked for as these: the same is found as where a repeat, {1}, keeps them what they are
srand($seed);
my @words = ('a', 'b', 'ab', 'the ', ' a', 'b a', 'no ', '-', 's', 'x.', '贵', '不贵', 'É', "it's");
my @parts = (map({ s/\./\\\\./r } @words), '[ab]', '[ -]', '[贵s]', '[b-]');
sub finite
{
	my ($depth) = @_;
	return join '', map {
		my $r = rand;
		my $part = $depth < 2 && $r < 0.3 ? '(?:' . join('|', map { finite($depth + 1) } 1 .. 1 + int rand 3) . ')' : $depth < 2 && $r < 0.4 ? '(' . finite($depth + 1) . ')' : $parts[ rand @parts ];
		rand() < 0.25 ? "$part?" : $part;
	} 1 .. 1 + int rand 4;
}
my ($accepted, $shown, $different) = (0, 0, '');
# a text shows 64 intents at most, so not all at once
for my $round (1 .. 4)
{
	my $same = '';
	for my $n (1 .. 28)
	{
		my $lang = rand() < 0.4 ? '"lang": "zh", ' : '';
		my @re = (finite(0), finite(0));
		foreach my $form ('few', 'kept')
		{
			my ($yes, $no) = map { s/'/''/gr } map { $form eq 'few' ? $_ : "(?:$_){1}" } @re;
			my $patterns = qq([{$lang"regex": "$yes"}) . ($n % 3 ? qq(, {$lang"exclude_regex": "$no"}) : '') . ']';
			$same .= qq{DO \$x\$ BEGIN PERFORM revops.put_intent('$form$n', '{"threshold": 0, "patterns": $patterns}'); EXCEPTION WHEN OTHERS THEN NULL; END \$x\$;\n};
		}
	}
	my @texts = map { join '', map { rand() < 0.2 ? ' ' x (1 + int rand 3) : rand() < 0.1 ? uc $words[ rand @words ] : $words[ rand @words ] } 1 .. 1 + int rand 12 } 1 .. 500;
	sql($same . 'CREATE TABLE few_text AS SELECT DISTINCT body FROM (VALUES ' . join(', ', map { "('" . s/'/''/gr . "')" } @texts) . ') AS v(body); SELECT revops.publish_intents()');
	my $one = q{SELECT body, substr(intent, %s) AS n, confidence, span, evidence FROM few_text, revops.detect_intents(body) WHERE intent LIKE '%s%%'};
	my $ways = "SET revops.as_of = '2028-01-01'; " . sprintf("WITH few AS ($one), kept AS ($one)", 4, 'few', 5, 'kept');
	$different .= sql($ways . q{, d AS (SELECT 'few' AS way, * FROM (TABLE few EXCEPT ALL TABLE kept) a UNION ALL SELECT 'kept', * FROM (TABLE kept EXCEPT ALL TABLE few) b)
		SELECT coalesce(string_agg(format('%s | %s %s %s | %s', to_json(body), way, span, confidence,
			(SELECT array_agg(p.pattern) FROM revops.intent_pattern p WHERE p.intent = 'few' || n)), E'\n'), '') FROM d});
	$accepted += sql(q{SELECT count(*) FROM revops.intent WHERE intent LIKE 'few%'});
	$shown += sql("$ways SELECT count(*) FROM few");
	sql('DROP TABLE few_text; SELECT count(revops.drop_intent(intent)) FROM revops.intent WHERE intent ~ \'^(few|kept)\'');
}
is($different, '', 'expressions of few texts find what they find as they are');
cmp_ok($accepted, '>', 30, 'and are accepted');
cmp_ok($shown, '>', 100, 'and find something');

# most regular expressions are looked for only in texts that have their factors, and literals by our own code: the same is found where (?-x), which means
# nothing, keeps an expression from having any, and where a literal is such an expression
srand($seed);
my @atoms = (@words, 'no', 'word', 'not', '贵了', 'ab ', '[^a]', '[a-c]', '\\\\b', '\\\\w', '.', '.?', '[^,。]{0,4}', 'x{1,2}', 'a+', '(?:no |not ){1,2}', '^', '$');
sub any_regex
{
	my ($depth) = @_;
	return join '', map {
		my $r = rand;
		my $part = $depth < 2 && $r < 0.35 ? '(?:' . join('|', map { any_regex($depth + 1) } 1 .. 1 + int rand 3) . ')' : $depth < 2 && $r < 0.4 ? '(' . any_regex($depth + 1) . ')' :
			$atoms[ rand @atoms ];
		my $again = rand;
		$part =~ /[?*+}]$/ || $part =~ /^(?:\\\\b|\^|\$)$/ || $again > 0.3 ? $part : "(?:$part)" . ('?', '{0,2}', '{2}', '*')[ 4 * $again / 0.3 ];
	} 1 .. 1 + int rand 5;
}
($accepted, $shown, $different) = (0, 0, '');
for my $round (1 .. 4)
{
	my $same = '';
	for my $n (1 .. 28)
	{
		my $lang = rand() < 0.4 ? '"lang": "zh", ' : '';
		my $literal = $n % 4 == 0;
		my @re = map { $literal ? join('', map { $words[ rand @words ] } 1 .. 2 + int rand 3) : any_regex(0) } 1 .. 2;
		foreach my $form ('fast', 'whole')
		{
			my ($yes, $no) = map { s/'/''/gr } map {
				$form eq 'fast' ? $_ : '(?-x)' . ($literal ? join('', map { / / ? ' +' : /[.-]/ ? "\\\\$_" : $_ } split //, s/ +/ /gr) : "(?:$_)") } @re;
			my $kind = $literal && $form eq 'fast' ? 'include' : 'regex';
			my $patterns = qq([{$lang"$kind": "$yes"}) . ($n % 3 ? sprintf(', {%s"%s": "%s"}', $lang, $kind eq 'include' ? 'exclude' : 'exclude_regex', $no) : '') . ']';
			$same .= qq{DO \$x\$ BEGIN PERFORM revops.put_intent('$form$n', '{"threshold": 0, "patterns": $patterns}'); EXCEPTION WHEN OTHERS THEN NULL; END \$x\$;\n};
		}
	}
	my @texts = map { join '', map { rand() < 0.2 ? ' ' x (1 + int rand 3) : rand() < 0.1 ? uc $words[ rand @words ] : (@words, 'no', 'word', 'not ', '贵了', '了', ',', 'c')[ rand(@words + 7) ] } 1 .. 1 + int rand 14 } 1 .. 600;
	# short ones: some releases of vectorscan write beyond a buffer where certain expressions meet more than 255 bytes
	@texts = grep { length() < 240 } @texts;
	sql($same . 'CREATE TABLE few_text AS SELECT DISTINCT body FROM (VALUES ' . join(', ', map { "('" . s/'/''/gr . "')" } @texts) . ') AS v(body); SELECT revops.publish_intents()');
	my $one = q{SELECT body, substr(intent, %s) AS n, confidence, span, evidence FROM few_text, revops.detect_intents(body) WHERE intent LIKE '%s%%'};
	my $ways = "SET revops.as_of = '2028-01-01'; " . sprintf("WITH fast AS ($one), whole AS ($one)", 5, 'fast', 6, 'whole');
	$different .= sql($ways . q{, d AS (SELECT 'fast' AS way, * FROM (TABLE fast EXCEPT ALL TABLE whole) a UNION ALL SELECT 'whole', * FROM (TABLE whole EXCEPT ALL TABLE fast) b)
		SELECT coalesce(string_agg(format('%s | %s %s %s | %s', to_json(left(body, 200)), way, span, confidence,
			(SELECT array_agg(p.pattern) FROM revops.intent_pattern p WHERE p.intent = 'fast' || n)), E'\n'), '') FROM d});
	$accepted += sql(q{SELECT count(*) FROM revops.intent f JOIN revops.intent w ON w.intent = replace(f.intent, 'fast', 'whole') WHERE f.intent LIKE 'fast%'});
	$shown += sql("$ways SELECT count(*) FROM fast");
	sql('DROP TABLE few_text; SELECT count(revops.drop_intent(intent)) FROM revops.intent WHERE intent ~ \'^(fast|whole)\'') if $round < 4;
}
is($different, '', 'what is looked for by factors, and literals, find what plain scans find');
cmp_ok($accepted, '>', 15, 'of many expressions');
cmp_ok($shown, '>', 200, 'in many texts');

# intents of one side or channel: the answers for the first sides and channels are remembered, those for others and for long names are not; all are right, when asked again too
sql(q{SELECT revops.put_intent('of_reps', '{"sides": ["rep"], "threshold": 0, "patterns": [{"include": "occasionword", "lang": "en"}]}');
	SELECT revops.put_intent('of_channels', format('{"channels": ["c3", "c30", "%s"], "threshold": 0, "patterns": [{"include": "occasionword", "lang": "en"}]}', repeat('x', 60))::jsonb);
	SELECT revops.publish_intents()});
is(sql(q{SET revops.as_of = '2028-01-01'; SELECT count(*), count(DISTINCT shown), count(*) FILTER (WHERE shown <> wanted) FROM (
	SELECT coalesce((SELECT string_agg(d.intent, ',' ORDER BY d.intent) FROM revops.detect_intents('an occasionword', side, channel) d WHERE d.intent LIKE 'of\_%'), '') AS shown,
		concat_ws(',', CASE WHEN coalesce(channel, 'c3') IN ('c3', 'c30', repeat('x', 60)) THEN 'of_channels' END, CASE WHEN coalesce(side, 'rep') = 'rep' THEN 'of_reps' END) AS wanted
	FROM generate_series(1, 2) again, unnest('{rep,customer,NULL}'::text[]) side,
		(SELECT 'c' || n FROM generate_series(1, 40) n UNION ALL SELECT repeat('x', 60) UNION ALL SELECT repeat('x', 59) UNION ALL SELECT NULL) c (channel)) x}), '258|4|0',
	'what concerns a side or a channel');
sql(q{SELECT count(revops.drop_intent(intent)) FROM revops.intent WHERE intent LIKE 'of\_%'});

# literals are looked for in blocks of a text: what is before them changes nothing but their place
sql(join('; ', map { my $n = $_; "SELECT revops.put_intent('block$n', '{\"threshold\": 0, \"patterns\": [" . join(', ', map { sprintf '{"lang": "%s", "include": "%s"}', rand() < 0.5 ? 'zh' : 'en',
		join('', map { s/'/''/gr } map { $words[ rand @words ] } 1 .. 2 + int rand 5) } 1 .. 4) . "]}')" } 1 .. 40) . '; SELECT revops.publish_intents()');
sql('CREATE TABLE block_text AS SELECT DISTINCT body FROM (VALUES ' . join(', ', map { "('" . s/'/''/gr . "')" } map { join '', map { $words[ rand @words ] } 1 .. 20 } 1 .. 200) . ') AS v(body)');
is(sql(q{SET revops.as_of = '2028-01-01'; SELECT count(*) FROM (
	(SELECT body, intent, confidence, lower(span), upper(span), k FROM block_text, unnest('{60,64,83,84,85,86,170,500,2000}'::int[]) k, revops.detect_intents(body) WHERE intent LIKE 'block%'
	 EXCEPT ALL SELECT body, intent, confidence, lower(span) - k, upper(span) - k, k FROM block_text, unnest('{60,64,83,84,85,86,170,500,2000}'::int[]) k,
		revops.detect_intents(repeat('、', k) || body) WHERE intent LIKE 'block%') UNION ALL
	(SELECT body, intent, confidence, lower(span) - k, upper(span) - k, k FROM block_text, unnest('{60,64,83,84,85,86,170,500,2000}'::int[]) k,
		revops.detect_intents(repeat('、', k) || body) WHERE intent LIKE 'block%'
	 EXCEPT ALL SELECT body, intent, confidence, lower(span), upper(span), k FROM block_text, unnest('{60,64,83,84,85,86,170,500,2000}'::int[]) k, revops.detect_intents(body) WHERE intent LIKE 'block%')) x}),
	'0', 'the same wherever it lies');
cmp_ok(sql(q{SET revops.as_of = '2028-01-01'; SELECT count(*) FROM block_text, revops.detect_intents(body) WHERE intent LIKE 'block%'}), '>', 20, 'and found');
sql(q{SELECT count(revops.drop_intent(intent)) FROM revops.intent WHERE intent LIKE 'block%'});

# an abort of the library in a long text is an error of that text, and no more; a library without the fault finds what there is
sql(q{SELECT revops.put_intent('abort', '{"threshold": 0, "patterns": [{"lang": "zh", "regex": "(?-x)[^a](?:\\\\w)*[^,。]{0,4}É"}]}'); SELECT revops.publish_intents();
	CREATE FUNCTION look(b text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM revops.detect_intents(b) WHERE intent = ''abort''); EXCEPTION WHEN feature_not_supported THEN RETURN sqlerrm; END'});
my $answers = sql(q{SET revops.as_of = '2028-01-01'; SELECT setseed(0.3); SELECT string_agg(look(body), E'\n') FROM (SELECT (SELECT string_agg((ARRAY['a','b',' ','É','。',',','hello ','word','贵','1','ab','bc','x','c'])[1 + floor(random() * 14)::int], '')
	FROM generate_series(1, 500 + 0 * g)) AS body FROM generate_series(1, 20) g) t});
like($answers, qr/\A\s*(?:(?:\d+|the pattern library cannot look through a text of \d+ bytes for the regular expressions that are published)\n?){20}\z/, 'long texts are looked through, or refused');
note((split /\n/, $answers)[-1]);
is(sql(q{SET revops.as_of = '2028-01-01'; SELECT look('x hello É')}), '1', 'and the next is looked through');
sql(q{SELECT revops.drop_intent('abort'); DROP FUNCTION look});

# a stored form that is damaged, or another publication's, is no use and does no harm: what is published is compiled anew
sql(q{CREATE TABLE whole_form AS SELECT publication AS no, compiled FROM revops.intent_publication ORDER BY publication DESC LIMIT 1;
	CREATE TABLE sample AS SELECT left(body, 12) AS body FROM feed WHERE body <> '' LIMIT 200; INSERT INTO sample SELECT word FROM unnest('{ab no word,贵了 not,the  a b,x. no no}'::text[]) word});
my $answer = q{SET revops.as_of = '2028-01-01'; SELECT md5(string_agg(body || revops.intents_of(body)::text, ',' ORDER BY body COLLATE "C")) FROM sample};
my $right = sql($answer);
my $harm = '';
for my $damage (q{overlay(compiled PLACING '\x00' FROM %s FOR 1)}, q{overlay(compiled PLACING '\xff' FROM %s FOR 1)}, q{substr(compiled, 1, %s)}, q{compiled || substr(compiled, 1, %s)},
	q{overlay(compiled PLACING '\xffffffffffffff7f' FROM 1 + 8 * (%1$s / 8) FOR 8)}, q{''::bytea}, q{(SELECT o.compiled FROM revops.intent_publication o WHERE length(o.compiled) > 500 AND o.publication < w.no ORDER BY 1 LIMIT 1)})
{
	for my $where (1 + int rand 8, 9 + int rand 8, 20 + int rand 60, 1 + int rand sql('SELECT length(compiled) FROM whole_form'))
	{
		my $broken = sprintf $damage, $where;
		sql("WITH w AS (SELECT no, $broken AS broken FROM whole_form w) UPDATE revops.intent_publication p SET compiled = coalesce(w.broken, '') FROM w WHERE p.publication = w.no");
		my $got = sql($answer);
		$harm .= "$broken: $got\n" if $got ne $right;
	}
}
is($harm, '', 'a damaged stored form');
sql(q{SELECT count(revops.drop_intent(intent)) FROM revops.intent WHERE intent ~ '^(fast|whole)'});

# random definitions: an error or not, and never worse
my $ok = 0;
srand($seed);
my @bits = ('a', 'b', '贵', '(', ')', '[', ']', '|', '*', '+', '?', '{1,3}', '{', '}', '\\\\', '.', '^', '$', '(?', ':', '-', '\\\\w', '\\\\p{Han}', '\\\\x{4e00}', ' ', '(?i)', '[:alpha:]', '𠀀', ',', '9');
my $many = '';
for (1 .. 400)
{
	my $p = join '', map { $bits[ rand @bits ] } 1 .. 1 + int rand 9;
	$many .= qq{DO \$x\$ BEGIN PERFORM revops.put_intent('r$_', '{"patterns": [{"regex": "$p"}]}'); EXCEPTION WHEN OTHERS THEN NULL; END \$x\$;\n};
}
sql($many);
cmp_ok(sql(q{SELECT count(*) FROM revops.intent_pattern WHERE intent LIKE 'r%'}), '>', 10, 'some random patterns are accepted');
like(sql('SELECT revops.publish_intents()'), qr/^\d+$/, 'what is accepted can be published');
is(sql(q{SET revops.as_of = '2027-01-03'; SELECT count(*) FROM feed, revops.detect_intents(left(body, 2000)) WHERE length(evidence) > 200}), '0', 'and looked for');
is(sql('SELECT 1'), '1', 'the server is up');
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|terminated by signal|TRAP/, 'and was all along');
done_testing();
