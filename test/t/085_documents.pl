# Documents that people and applications send, changed at random: all functions that take JSON answer, or refuse with an error of the user's kind, never with
# an internal one, and never crash; what was accepted is then processed. REVOPS_SEED repeats a run, REVOPS_DOCUMENTS (25) is how many for each function.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
my $rounds = $ENV{REVOPS_DOCUMENTS} // 25;
note "seed $seed (REVOPS_SEED)";
srand($seed);

# calls by name, and documents that they take
my %calls = (
	track_batch => [ 'revops.track_batch($1::jsonb)',
		'[{"kind": "page_view", "person": "ada", "channel": "web", "object": "/price", "dwell": "00:00:09", "occurred_at": "2026-01-05T09:00:00Z", "properties": {"pages": 3, "tags": ["a", "b"]}}]',
		'[{"type": "track", "event": "Demo Watched", "userId": "ada", "anonymousId": "v1", "messageId": "m1", "timestamp": "2026-01-05T09:00:00.000Z", "properties": {"percent": 90}, "context": {"page": {"path": "/x"}}}]',
		'[{"event_id": "5f2b1e9e-5f5b-4b3c-9d0a-0a1b2c3d4e5f", "event_name": "page_view", "user_id": "ada", "collector_tstamp": "2026-01-05 09:00:00", "page_urlpath": "/x"}, {"kind": "message", "side": "rep", "body": "Hello 你好", "account": "acme", "occurred_at": 1767603600000}]' ],
	put_rule => [ q{revops.put_rule('random', $1::json)},
		'{"title": "Price", "when": {"kind": "page_view", "object": {"prefix": "/price"}, "dwell": {"gte": "10s"}}, "count": {"at_least": 3, "within": "1 hour"}, "cooldown": "1 day", "strength": "min(1, count / 5)"}',
		'{"per": "account", "sequence": {"within": "7 days", "steps": [{"when": {"kind": "a"}, "as": "x"}, {"absent": {"kind": "c"}}, {"when": {"kind": "b", "properties.n": {"gt": 1}}, "times": 2, "same": ["object"]}]}, "once": {"until": {"kind": "d"}}}' ],
	explain_rule => [ 'revops.explain_rule($1::json)', '{"when": {"any": [{"kind": "a"}, {"not": {"channel": "web"}}, {"local_time": {"from": "09:00", "to": "18:00", "days": ["mon"]}}]}, "streak": {"days": 3, "each": {"count": 2}, "weekdays": true}}' ],
	backtest => [ 'revops.backtest($1::json)', '{"when": {"kind": "page_view"}, "distinct": {"of": "object", "at_least": 2, "within": "1 day"}}' ],
	put_signal => [ q{revops.put_signal('s', 'interest', 1, $1::json)}, '{"kind": ["page_view", "demo"], "properties.percent": {"gte": 50}, "person": {"exists": true}}' ],
	put_intent => [ q{revops.put_intent('random', $1::jsonb)},
		'{"title": "Price", "topic": "price", "sides": ["customer"], "threshold": 0.5, "patterns": [{"include": "too expensive", "lang": "en"}, {"regex": "(ask|need) a discount"}, {"exclude": "cheap", "near": "not", "within": 3}], "examples": {"en": {"positive": ["It is too expensive"], "negative": ["fine"]}}}' ],
	use_template => [ q{revops.use_template('deep_visit', 'random_template', $1::jsonb)}, '{"title": "Visit", "when.not.any.0": null, "when.not.any.1.object.prefix": "/press", "cooldown": "2 hours"}' ],
	plans => [ q{revops.put_playbook('p', 'Call {{person}}', $1::jsonb)},
		'[{"title": "Call back", "channel": "call", "message": "Hello {{person}} of {{account}}, about {{object}}", "fits": {"segment": "enterprise"}}, {"title": "Write", "channel": "email", "message": "Hello"}]' ],
	escalation => [ q{revops.put_playbook('q', 'Call', '[{"title": "Call", "channel": "call", "message": "Hi {{person}}"}]', escalation => $1::jsonb)},
		'[{"share": 0.5, "role": "owner"}, {"share": 0.8, "role": "coach"}, {"share": 1.0, "role": "director"}]' ],
	put_calendar => [ q{revops.put_calendar('c', 'Asia/Shanghai', $1::jsonb)}, '{"mon-fri": "09:00-12:00,13:00-18:00", "sat": ["10:00-14:00"], "sun": "00:00-24:00"}' ],
	put_pipeline => [ q{revops.put_pipeline('sales', $1::jsonb)},
		'{"title": "Sales", "default": true, "stages": [{"stage": "contact", "days": 5, "symbols": ["call"]}, "demo", {"stage": "won", "kind": "won"}, {"stage": "lost", "kind": "lost"}], "moves": [["contact", "demo"], ["demo", "won"], ["demo", "lost"]]}' ],
	train => [ q{revops.train('m', 'classify', 'SELECT text, label FROM said', 'label', $1::jsonb)},
		'{"loss": "logistic", "cost": 5, "seed": 7, "pairs": false, "words": 2, "keep": 0.9, "char_min": 2, "char_max": 4, "min_count": 1, "held_out": 0.2, "folds": 2, "max_epochs": 20, "tolerance": 0.1, "out_of_scope": "none", "feeling": true}' ],
	train_predict => [ q{revops.train('w', 'predict', 'SELECT a, b, yes FROM asked', 'yes', $1::jsonb)}, '{"bins": 8, "strength": 1, "interactions": 1, "max_categories": 5, "exclude": ["b"]}' ],
	train_stages => [ q{revops.train_stages('fixed', 'SELECT * FROM logged', $1::jsonb)}, '{"order": 1, "held_out": 0.2, "rounds": 3, "deploy": true}' ],
	attach => [ q{revops.attach('crm_account', 'account', $1::jsonb)},
		q({"account": "id", "name": "upper(company)", "where": "id <> ''", "properties": {"size": "employees * 2", "note": "'x' || note"}}),
		q({"account": "id::text", "name": "company", "properties": "to_jsonb(crm_account)"}) ],
	activate_substitution => [ 'revops.activate_substitution($1::jsonb)', '{"for": "east-1", "unit": null, "members": ["li.na", "bo"]}' ],
	stand_in => [ q{revops.stand_in('li.na', 'acme', $1::jsonb)}, '{"li.na": 3, "bo": 1}' ],
	audit_image => [ 'revops.audit_image($1::jsonb)', '{"a": "b", "c": {"d": [1, 2]}}' ],
	document_path => [ q{revops.document_path($1::jsonb, 'sequence.steps.0.when')}, '{"sequence": {"steps": [{"when": {"kind": "a"}}]}}' ],
	merge_properties => [ q{revops.merge_properties($1::jsonb, $1::jsonb -> 'former', $1::jsonb)}, '{"a": 1, "former": {"a": 2}}' ]);

my $json = JSON::PP->new->allow_nonref->utf8->canonical->max_depth(1000);
my @values = (undef, JSON::PP::true, JSON::PP::false, 0, -1, 1, 2**31, 1e308, 0.5, '', 'x', '1 day', '-1 day', '=1/0', '=sqrt(', '%s%n', '{{', '{{person}}', '{{x}}', '$', "'", '"; DROP TABLE x; --',
	'infinity', '294276-12-31', '0001-01-01 BC', '00:00', '(', '[', '\\', '(((a*)*)*)*b', "\x{4f60}\x{597d}", "\x{1F600}", 'x' x 600, 'x' x 70000, [], {}, [ [ [] ] ], [ (1) x 300 ],
	{ kind => 'a' }, { any => [] }, { not => { not => {} } });

sub pick { return $_[ int(rand(@_)) ] }

# A copy, so that no document becomes part of itself
sub value { return $json->decode($json->encode(pick(@values))) }

# All places of a document, as references
sub places
{
	no warnings 'recursion';
	my ($at) = @_;
	my $v = $$at;

	return ($at, ref $v eq 'HASH' ? map { places(\$v->{$_}) } sort keys %$v : ref $v eq 'ARRAY' ? map { places(\$_) } @$v : ());
}

sub changed
{
	my ($text) = @_;
	my $document = $json->decode($text);

	for (1 .. 1 + int(rand(3)))
	{
		my $at = pick(places(\$document));
		my $what = int(rand(5));

		if ($what == 0 && ref $$at eq 'HASH' && %{$$at}) { delete $$at->{ pick(sort keys %{$$at}) } }
		elsif ($what == 1 && ref $$at eq 'HASH') { $$at->{ pick('', 'x', 'kind', 'when', 'title', 'where', 'properties', "\x{4f60}", 'a.b', '0', (sort keys %{$$at})) } = value() }
		elsif ($what == 2 && ref $$at eq 'ARRAY') { push @{$$at}, (map { value() } 1 .. pick(1, 2, 100)) }
		elsif ($what == 3) { my $depth = pick(1, 2, 60); my $v = $$at; $v = rand() < 0.5 ? [$v] : { x => $v } for 1 .. $depth; $$at = $v }
		else { $$at = value() }
	}
	$text = $json->encode($document);
	if (rand() < 0.2)
	{
		my $i = int(rand(length $text));
		substr($text, $i, int(rand(3))) = pick('', '{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', '1e999', 'null');
	}
	return $text;
}

my $node = PostgreSQL::Test::Cluster->new('documents');
$node->init(extra => [ '-E', 'UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "client_min_messages = error\nTimeZone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_revops;
CREATE TABLE said (text text, label text);
INSERT INTO said SELECT CASE WHEN g % 2 = 0 THEN 'the price is too high ' ELSE 'when do you deliver ' END || g, CASE WHEN g % 2 = 0 THEN 'price' ELSE 'delivery' END FROM generate_series(1, 60) g;
CREATE TABLE asked AS SELECT g % 7 AS a, (g * 37) % 11 AS b, g % 3 = 0 AS yes FROM generate_series(1, 200) g;
CREATE TABLE crm_account (id text PRIMARY KEY, company text, employees int, note text);
INSERT INTO crm_account VALUES ('1', 'Acme', 7, 'n'), ('2', NULL, NULL, NULL);
INSERT INTO revops.unit (unit, name) VALUES ('east-1', 'East');
INSERT INTO revops.rep (rep, name, unit) VALUES ('li.na', 'Li Na', NULL), ('bo', 'Bo', NULL), ('cy', 'Cy', 'east-1');
INSERT INTO revops.account (account, name, owner) VALUES ('acme', 'Acme', 'cy');
SELECT revops.put_pipeline('fixed', '{"stages": ["a", "b", {"stage": "won", "kind": "won"}]}');
CREATE TABLE logged AS SELECT (g / 5)::text AS "case", (ARRAY['x', 'y', 'z'])[1 + g % 3] AS symbol, timestamptz '2026-01-01Z' + g * interval '1 hour' AS at, NULL::text AS stage FROM generate_series(1, 100) g;
CREATE FUNCTION probe(call text, document text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT count(*) FROM (SELECT ' || call || ') q' USING document;
    IF call ~ 'attach|activate' THEN
        RAISE EXCEPTION 'taken, and undone, as it can be done once only' USING ERRCODE = 'P0001';
    END IF;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLERRM LIKE 'taken, and undone%' THEN '00000' ELSE SQLSTATE || ' ' || SQLERRM END;
END $$;
SQL

my $list = "'" . join("', '", map { $calls{$_}[0] =~ /revops\.(\w+)/ ? $1 : () } sort keys %calls) . "'";
# what the functions above hand on, and what only they and the stream call
is($node->safe_psql('postgres', <<SQL), '', 'every function that takes a document is in the list of this test');
SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'revops'::regnamespace AND prokind = 'f' AND prorettype <> 'trigger'::regtype
AND (proargtypes::oid[] && ARRAY['json', 'jsonb', '_json', '_jsonb']::regtype[]::oid[]) AND proname NOT IN ($list)
AND proname NOT IN ('add_pack', 'attachment_columns', 'backtest_summary', 'business_week', 'check_rule', 'compile_intents', 'keep_schedule', 'put_model', 'read_events', 'schedule_training', 'store_model',
'store_stages', 'take_events', 'track', 'train_win', 'write_publication')
SQL

my ($sql, %sent) = ('');
for my $name (sort keys %calls)
{
	my ($call, @documents) = @{ $calls{$name} };
	my $n = 0;

	for my $document (@documents, map { changed(pick(@documents)) } 1 .. $rounds)
	{
		$n++;
		$sent{"$name $n"} = $document;
		$sql .= "SELECT '$name $n ', probe(\$call\$$call\$call\$, \$document\$$document\$document\$);\n";
	}
}
my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0, timeout => 600);
my (%state, @faults, @bad);
for (split /\n/, $out)
{
	my ($name, $n, $state, $message) = /^(\w+) (\d+) \|(\w{5}) ?(.*)/ or next;
	$state{$name}{ $state eq '00000' ? 'taken' : 'refused' }++;
	push @bad, "$name $n: $state $message" if $n <= $#{ $calls{$name} } && $state ne '00000';
	push @faults, "$name: $state $message\n" . substr($sent{"$name $n"}, 0, 2000) if $state =~ /^XX/;
}
is(join("\n", @bad), '', 'the documents are taken before they are changed');
is(scalar(@faults), 0, 'no document ends in an internal error') or diag(join "\n", @faults);
unlike($err, qr/server closed|terminat/, 'and none ends the server') or diag($err);
is(scalar(keys %state), scalar(keys %calls), 'all were called') or diag($err);
is_deeply([ grep { !$state{$_}{refused} } sort keys %calls ], [qw(audit_image document_path merge_properties stand_in)], 'all refuse some, but those that take any JSON');
note join "\n", map { my $s = $state{$_}; "$_: taken " . ($s->{taken} // 0) . ', refused ' . ($s->{refused} // 0) } sort keys %state;
like($node->safe_psql('postgres', 'SELECT revops.process()'), qr/^\d+$/, 'what was accepted is processed');
is($node->safe_psql('postgres', q{SELECT string_agg(sqlstate || ' ' || error, E'\n') FROM revops.failed_event WHERE sqlstate LIKE 'XX%'}), '', 'without an internal error');
$node->stop;
done_testing();
