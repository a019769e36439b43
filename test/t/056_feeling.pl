# The model of feeling that is shipped is the one that revops.train() makes of the texts in src/text/feeling, and its own scorer answers as the learn
# room does; the texts are what their README says; stream and function agree where nothing is deployed.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
my $texts = "$root/src/text/feeling";
my $node = PostgreSQL::Test::Cluster->new('feeling');
$node->init;
$node->start;
sub sql { return $node->safe_psql('postgres', "SET client_encoding = 'UTF8'; SET client_min_messages = warning;\n$_[0]") }
sql('CREATE EXTENSION pg_revops');

# numbers, in order: on a machine of another kind the last bit of a float may differ, and so a weight by one
my ($made, $err);
ok(IPC::Run::run([ $^X, "$texts/feeling.pl", '-d', $node->connstr('postgres') ], '>', \$made, '2>', \$err), 'the model is trained anew') or diag $err;
my $shipped = slurp_file("$root/src/text/feeling_model.h");
my @made = $made =~ /(?<![\w.])-?(?:0x[0-9A-F]+|\d+(?:\.\d+)?(?:e-?\d+)?)/g;
my @shipped = $shipped =~ /(?<![\w.])-?(?:0x[0-9A-F]+|\d+(?:\.\d+)?(?:e-?\d+)?)/g;
is(@made, @shipped, 'as many numbers');
my @differ = grep { my ($a, $b) = map { /^0x/ ? hex : $_ } $made[$_], $shipped[$_] // 0; $a =~ /\./ ? abs($a - $b) > 1e-3 * (1 + abs $a) : abs($a - $b) > ($a > 1000 ? 0 : 1) } 0 .. $#made;
is(@differ, 0, 'and the same as what is shipped') or diag join ' ', map { "$made[$_]/$shipped[$_]" } @differ[ 0 .. ($#differ < 9 ? $#differ : 9) ];
is(sql('SELECT count(*) FROM revops.model_version'), 0, 'nothing of it stays');

sql('CREATE TABLE feeling_text (label text, kind text, text text)');
for my $lang (qw(zh en))
{
	my $before = sql('SELECT count(*) FROM feeling_text');
	sql("\\copy feeling_text FROM '$texts/$lang.tsv'");
	cmp_ok(sql('SELECT count(*) FROM feeling_text') - $before, '>=', 1500, "$lang: texts");
}
is(sql(q{SELECT count(*) FROM feeling_text WHERE label NOT IN ('positive', 'negative', 'neutral') OR text <> btrim(text) OR text = '' OR kind !~ '^[a-z]+$'}), 0, 'each with a label');
is(sql('SELECT count(*) - count(DISTINCT text) FROM feeling_text'), 0, 'none twice');

# sentiment() is t / sqrt(t^2 + 30), and t what the words add up to and twice what the model says; so where no word is known, it shows the model alone
sql(q{DO $$ BEGIN PERFORM revops.train('as shipped', 'classify', 'SELECT label, text FROM feeling_text', options => '{"words": 2, "pairs": false, "char_min": 1, "char_max": 0, "min_count": 2, "networks": 0}'); END $$});
my ($alone, $told, $fine) = split /\|/, sql(q{
	WITH s AS (SELECT revops.sentiment(text) AS s, revops.sentiment_score('as shipped', text) AS m FROM feeling_text),
	     t AS (SELECT s, m, s * sqrt(30) / sqrt(1 - s * s) - 2 * m AS words FROM s)
	SELECT count(*) FILTER (WHERE s <> 0 AND abs(words) < 1e-5), count(*) FILTER (WHERE s = 0 AND abs(m) < 0.2 + 1e-5),
	       count(*) FILTER (WHERE s = 0) = count(*) FILTER (WHERE s = 0 AND abs(m) < 0.2 + 1e-5) FROM t});
note "of texts without a word of the lexicon, $alone are felt by the model alone, $told are not";
cmp_ok($alone, '>', 15, 'the model alone, as the learn room has it');
cmp_ok($told, '>', 400, 'of other texts without words it is not sure');
is($fine, 't', 'and where nothing is told, it is not sure');

# on the texts that it is made of, whatever that is worth: a floor against a broken table
cmp_ok(sql(q{SELECT avg((CASE label WHEN 'positive' THEN s > 0.05 WHEN 'negative' THEN s < -0.05 ELSE abs(s) <= 0.05 END)::int) FROM (SELECT label, revops.sentiment(text) AS s FROM feeling_text) x}), '>', 0.85,
	'three classes of its own texts');

# the stream's condition has the same, to four digits
sql(q{SELECT revops.put_signal('felt' || i, 'felt' || i, 1, json_build_object('sentiment', json_build_object('gte', i / 10.0))) FROM generate_series(-9, 9) i});
sql(q{SELECT count(revops.track('message', person => 'p' || n, body => text, occurred_at => '2026-03-20 11:00+00')) FROM (SELECT text, row_number() OVER (ORDER BY text) AS n FROM feeling_text) x WHERE n % 10 = 0;
	SET revops.as_of = '2026-03-20 12:00+00'; SELECT revops.process()});
is(sql(q{WITH t AS (SELECT text, row_number() OVER (ORDER BY text) AS n FROM feeling_text),
	want AS (SELECT 'p' || n AS subject, 'felt' || i AS intent FROM t, generate_series(-9, 9) i WHERE n % 10 = 0 AND round(revops.sentiment(text)::numeric, 4) >= i / 10.0),
	got AS (SELECT subject, intent FROM revops.intent_state WHERE subject_kind = 'person')
	SELECT (SELECT count(*) FROM want), (SELECT count(*) FROM (TABLE want EXCEPT TABLE got) x), (SELECT count(*) FROM (TABLE got EXCEPT TABLE want) x)}) =~ s/^[1-9]\d+\|//r, '0|0', 'conditions hold as the function says');
$node->stop;
done_testing();
