# The starter pack of intents: test/unit/check_pack.py finds no fault in it, its page in the docs is up to date, and it loads in a database of
# any encoding, without its Chinese where the encoding has none. add_intents() leaves alone what a team has described.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
my @files = glob "$root/src/text/pack/*.json";

sub slurp
{
	my ($file) = @_;
	open my $f, '<:raw', $file or die "$file: $!";
	local $/;
	return <$f>;
}

SKIP:
{
	skip 'no python3: the pack is not checked', 2 unless system('python3 -c "import sys; sys.exit(sys.version_info < (3, 7))" 2>/dev/null') == 0;
	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
	local $ENV{PYTHONIOENCODING} = 'utf-8';
	my $out = `python3 $root/test/unit/check_pack.py 2>&1`;
	is($?, 0, 'the pack has no fault') or diag($out);
	note $out;
	ok(`python3 $root/test/unit/check_pack.py --docs` eq slurp("$root/docs/intent_pack.md"), 'docs/intent_pack.md is what check_pack.py --docs writes');
}

# what the files say
my %packed;
for my $file (@files)
{
	my ($topic) = $file =~ m{([a-z_]+)\.json$};
	$packed{ $_->{intent} } = { topic => $topic, definition => $_ } for @{ JSON::PP->new->utf8->decode(slurp($file)) };
}
my $many = keys %packed;
cmp_ok($many, '>=', 200, "the pack has $many intents");

my $node = PostgreSQL::Test::Cluster->new('pack');
$node->init;
$node->start;
my $canonical = JSON::PP->new->canonical->allow_nonref;
my %chinese = (UTF8 => 1, EUC_CN => 1, LATIN1 => 0, SQL_ASCII => 0);
for my $encoding (sort keys %chinese)
{
	my $db = "pack_" . lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($db, 'CREATE EXTENSION pg_revops');
	# a row a line, in UTF-8 where there is Chinese
	my $rows = $node->safe_psql($db, ($chinese{$encoding} ? "SET client_encoding = 'UTF8'; " : '') .
		q{SELECT json_build_array(intent, topic, definition)::text ~ E'\n', replace(json_build_array(intent, topic, definition)::text, E'\n', ' ') FROM revops.intent_pack});
	my ($same, $odd) = (0, '');
	for my $line (split /\n/, $rows)
	{
		my ($intent, $topic, $got) = @{ JSON::PP->new->utf8->decode($line =~ s/^[tf]\|//r) };
		my $want = $canonical->decode($canonical->encode($packed{$intent}{definition}));
		unless ($chinese{$encoding})
		{
			delete @$want{qw(title_zh description_zh)};
			delete $want->{examples}{zh};
			$want->{patterns} = [ grep { ($_->{lang} // '') ne 'zh' } @{ $want->{patterns} } ];
		}
		if ($topic eq $packed{$intent}{topic} && $canonical->encode($got) eq $canonical->encode($want)) { $same++ }
		else { $odd ||= $intent }
	}
	is($same, $many, "$encoding: the table says what the files say, " . ($chinese{$encoding} ? 'Chinese and English' : 'without the Chinese')) or diag("not of $odd");
}

SKIP:
{
	my $db = 'pack_utf8';
	skip 'there is no put_intent()', 1 unless $node->safe_psql($db, q{SELECT to_regprocedure('revops.put_intent(text, jsonb)') IS NOT NULL}) eq 't';
	# one that a signal has made has only a name; one is a team's own
	$node->safe_psql($db, q{SELECT revops.put_signal('s', 'security_review', 1);
		SELECT revops.put_intent('price_objection', '{"title": "Ours", "patterns": [{"include": "pricey"}]}')});
	my ($price) = scalar grep { $_->{topic} eq 'price' } values %packed;
	my ($security) = scalar grep { $_->{topic} eq 'security' } values %packed;
	is($node->safe_psql($db, q{SELECT revops.add_intents('{price,security}')}), $price + $security - 1, 'two topics, less the intent that was described');
	is($node->safe_psql($db, q{SELECT title FROM revops.intent WHERE intent = 'price_objection'}), 'Ours', 'it is left alone');
	is($node->safe_psql($db, q{SELECT title FROM revops.intent WHERE intent = 'security_review'}), 'Security review', 'the one with a name only is described');
	is($node->safe_psql($db, q{SELECT revops.add_intents()}), $many - $price - $security, 'all the others');
	is($node->safe_psql($db, q{SELECT revops.add_intents()}), 0, 'none the second time');
	my ($rc, $out, $err) = $node->psql($db, q{SELECT revops.add_intents('{price,prize}')});
	like($err, qr/the starter pack has no topic "prize".*HINT:  Its topics are authority, budget,/s, 'an unknown topic');

	skip 'there is no detect_intents()', 1
		unless $node->safe_psql($db, q{SELECT to_regprocedure('revops.detect_intents(text, text, text, text)') IS NOT NULL AND to_regprocedure('revops.publish_intents()') IS NOT NULL}) eq 't';
	$node->safe_psql($db, q{DELETE FROM revops.intent_pattern WHERE intent = 'price_objection'; SELECT revops.publish_intents()});
	# the positive examples are found, the negative ones are not
	my ($positive, $negative) = map { $node->safe_psql($db, qq{
		SELECT string_agg(k.intent || ' "' || x || '"', '; ') FROM revops.intent_pack k, json_each(k.definition -> 'examples') e,
			json_array_elements_text(e.value -> '$_->[0]') x
		WHERE k.intent <> 'price_objection' AND (k.intent IN (SELECT d.intent FROM revops.detect_intents(x, k.definition -> 'sides' ->> 0, NULL, e.key) d)) IS $_->[1] TRUE}) }
		[ 'positive', 'NOT' ], [ 'negative', '' ];
	is($positive, '', 'every positive example shows its intent');
	is($negative, '', 'no negative example does');
}

$node->stop;
done_testing();
