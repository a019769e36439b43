# Databases of other encodings than UTF8: everything works for what they can hold, and what they cannot, or bytes that are no text, is an error and
# never a crash.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('encodings');
$node->init(extra => ['--encoding=UTF8', '--no-locale']);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\n");
$node->start;

# a text of each encoding's own, in its bytes, with a word to find; bytes that no text of it has
my %own = (
	SQL_ASCII => ['7072 69c3a9 20 ff fe 80 20 746f6f20 6d756368', undef],
	LATIN1 => ['7072e9 20 e0 20 746f6f20 6d756368', undef],
	WIN1252 => ['80 20 e9 20 746f6f20 6d756368', '81'],
	EUC_CN => ['b9f3 20 cCabb9f3c1cb 20 746f6f20 6d756368', 'b9'],
	EUC_JP => ['c8fd 20 8fb0a1 20 746f6f20 6d756368', '8f'],
);
for my $encoding (sort keys %own)
{
	my $db = lc "enc_$encoding";
	my ($hex, $bad) = map { defined $_ ? s/\s//gr : undef } @{ $own{$encoding} };
	my $text = "convert_from('\\x$hex', '$encoding')";
	$text = "(SELECT string_agg(chr(get_byte(b, i)), '' ORDER BY i) FROM (SELECT '\\x$hex'::bytea AS b) x, generate_series(0, length(b) - 1) i)" if $encoding eq 'SQL_ASCII';
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql($db, 'CREATE EXTENSION pg_revops; CREATE TABLE own AS SELECT ' . $text . ' AS t');
	is($node->safe_psql($db, 'SELECT octet_length(t) FROM own'), length($hex) / 2, "$encoding: the text is there");
	# what runs gives an answer or an error of its own; the server is there afterwards
	my %result;
	for my $try (
		[intents => q{SELECT revops.add_intents('{price}') > 0}],
		[intent => q{SELECT revops.put_intent('much', '{"patterns": [{"include": "too much"}, {"regex": "to+ much"}]}')}],
		[own_intent => q{SELECT revops.put_intent('own', jsonb_build_object('patterns', jsonb_build_array(jsonb_build_object('include', left(t, 2))))) FROM own}],
		[escape => q{SELECT revops.put_intent('escape', '{"patterns": [{"include": "\u8d35\u4e86"}]}')}],
		[publish => 'SELECT revops.publish_intents() IS NOT NULL'],
		[detect => q{SELECT string_agg(DISTINCT intent, ',' ORDER BY intent) FILTER (WHERE intent IN ('much')) FROM own, revops.detect_intents(t)}],
		[track => q{SELECT count(revops.track('message', person => t, account => t, opportunity => 'o', body => t, object => t, properties => jsonb_build_object(t, t))) FROM own, generate_series(1, 5)}],
		[rule => q{SELECT revops.put_rule(t, json_build_object('when', json_build_object('kind', t), 'count', json_build_object('at_least', 2, 'within', '1 day'))) FROM own}],
		[signal => q{SELECT revops.put_signal(t, t, 1, json_build_object('kind', t)) FROM own}],
		[events => q{SELECT count(revops.track(t, person => t, opportunity => 'o', body => t, occurred_at => revops.now())) FROM own, generate_series(1, 3)}],
		[process => 'SELECT revops.process() >= 0'],
		[sentiment => 'SELECT revops.sentiment(t) IS NULL OR true FROM own'],
		[extract => 'SELECT count(*) >= 0 FROM own, revops.extract_fields(t)'],
		[classify => q{SELECT revops.train('m', 'classify', 'SELECT t || n AS text, t AS label FROM own, generate_series(1, 20) n UNION ALL SELECT ''good day '' || n, ''good'' FROM generate_series(1, 20) n')}],
		[label => q{SELECT coalesce(revops.best_label('m', t || 3) = t, false) FROM own}],
		[predict => q{SELECT revops.train('p', 'predict', 'SELECT n % 7 + n * 7919 % 13 > 9 AS label, n % 7 AS x, t || n % 3 AS y FROM own, generate_series(1, 400) n')}],
		[pipeline => q{SELECT revops.put_pipeline(t, jsonb_build_object('stages', jsonb_build_array(jsonb_build_object('stage', t, 'symbols', jsonb_build_array(t)), 'b', jsonb_build_object('stage', 'w', 'kind', 'won'))))::text = '' FROM own}],
		[stages => 'SELECT revops.train_stages(t) FROM own'],
		[infer => q{SELECT count(*) FROM own, revops.infer_stages(t, ARRAY[t], '{2026-01-01}')}],
		[assign => q{SELECT bool_and(task = (SELECT t FROM own)) FROM revops.optimal_assignment('SELECT t AS task, t AS unit, 1 AS benefit FROM own')}],
		[source => 'CREATE TABLE source (id int PRIMARY KEY, company text); INSERT INTO source SELECT 1, t FROM own'],
		[attach => q{SELECT revops.attach('source', 'opportunity', $${"opportunity": "'s' || id", "name": "company"}$$) > 0}],
		[apply => 'SELECT revops.apply_attachments() >= 0'],
		[attached => q{SELECT bool_and(o.name = own.t) FROM own, revops.opportunity o WHERE o.opportunity = 's1'}],
		[profiles => 'SELECT revops.refresh_profiles() >= 0'],
		[views => 'SELECT count(*) >= 0 FROM revops.moment_board, revops.task_board'],
		[health => q{SELECT count(*) > 10 FROM revops.health()}],
		[quarantine => 'SELECT count(*) FROM revops.failed_event'],
		defined $bad ? [bad => "INSERT INTO revops.event (kind, body) VALUES ('x', E'\\x" . substr($bad, 0, 2) . "')"] : ())
	{
		my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\nSET client_encoding = '$encoding';\n$try->[1]");
		$result{ $try->[0] } = $rc == 0 ? $out : $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/ ? $1 : "no SQLSTATE: $err";
	}
	note explain \%result;
	is(join(' ', grep { $result{$_} =~ /^(XX|no SQLSTATE)/ } sort keys %result), '', "$encoding: no internal error, and the server stays");
	is($result{publish}, 't', "$encoding: patterns are published");
	is($result{detect}, 'much', "$encoding: words are found");
	is("$result{process} $result{quarantine}", 't 0', "$encoding: the stream takes all");
	# without an encoding, bytes that are not UTF8 cannot be taken for characters
	is("$result{classify} $result{label}", $encoding eq 'SQL_ASCII' ? '22021 42704' : '1 t', "$encoding: a model learns its texts, or says why not");
	is("$result{infer} $result{assign} $result{apply} $result{attached}", '3 t t t', "$encoding: stages, assignment, attached rows");
	# the server looks at no byte of an encoding of single bytes, so one that is no character comes as far as the stream
	is($result{bad}, $encoding eq 'WIN1252' ? '' : '22021', "$encoding: bytes that are no text are refused, by whoever looks at them") if defined $bad;
	ok($node->poll_query_until($db, 'SELECT coalesce(sum(backlog + repairs), 0) = 0 FROM revops.stream_status'), "$encoding: and the worker goes on");
	note 'in quarantine: ' . $node->safe_psql($db, q{SELECT coalesce(string_agg(sqlstate, ' '), 'none') FROM revops.failed_event});
	is($node->safe_psql($db, 'SELECT count(*) FROM revops.failed_event'), $encoding eq 'WIN1252' ? 1 : 0, "$encoding: with that event in quarantine");
}
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|segfault|signal 11|signal 6/, 'no crash');
$node->stop;
done_testing();
