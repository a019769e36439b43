# The JSON Schema of moment rules and revops.check_rule() agree: on the rules of the docs, the templates, and lists of good and bad ones.
# The bad ones also say where the error is. What the server accepts of random changes to good rules, the schema accepts. REVOPS_SEED repeats them.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('schema');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
my $json = JSON::PP->new->allow_nonref->canonical;
my $seed = $ENV{REVOPS_SEED} // int(rand(1 << 31));
note "seed $seed";
srand($seed);

sub slurp
{
	my ($file) = @_;
	open my $f, '<', $file or die "$file: $!";
	local $/;
	return <$f>;
}

# the blocks of a list: [header, text]
sub blocks
{
	my $text = slurp($_[0]);
	$text =~ s/^#.*\n//mg;
	my (undef, @parts) = split /^--- (.*)\n/m, $text;
	my @blocks;
	push @blocks, [ splice @parts, 0, 2 ] while @parts;
	return @blocks;
}

# what check_rule() says: '' if it accepts
sub server
{
	my ($rule) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT revops.check_rule(\$r\$$rule\$r\$, 'x')");
	return '' if $rc == 0;
	$err =~ s/^psql:.*?ERROR:\s+//;
	$err =~ s/^rule "x", //;
	return $err;
}

# what the schema says of each; an empty list where there is no validator
sub schema
{
	my $in = join '', map { $json->encode($_) . "\n" } @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/rules.txt";
	open my $f, '>', $file or die "$file: $!";
	print $f $in;
	close $f;
	return split /\n/, `python3 test/rules/validate.py docs/moment-rule.schema.json < '$file'`;
}

sub all_objects
{
	my ($tree) = @_;
	return ref $tree eq 'HASH' ? ($tree, map { all_objects($_) } values %$tree) : ref $tree eq 'ARRAY' ? map { all_objects($_) } @$tree : ();
}

my @good = blocks('test/rules/accepted.txt');
my $docs = slurp('docs/moments.md');
push @good, [ "docs/moments.md: $1", $2 ] while $docs =~ /put_rule\('(\w+)', '(\{.*?\})'\);/sg;
cmp_ok(scalar(@good), '>=', 25, scalar(@good) . ' good rules');
if ($node->safe_psql('postgres', q{SELECT to_regclass('revops.rule_template') IS NOT NULL}) eq 't')
{
	push @good, map { [ "template $_->{name}", $_->{definition} ] }
		@{ $json->decode($node->safe_psql('postgres', q{SELECT coalesce(json_agg(json_build_object('name', t.template, 'definition', t.definition::text)), '[]') FROM revops.rule_template t})) };
}
is(server($_->[1]), '', "accepted: $_->[0]") for @good;

my @bad = blocks('test/rules/refused.txt');
for my $b (@bad)
{
	my ($want, $rule) = @$b;
	$want =~ s/^server: //;
	my $got = server($rule);
	is(substr($got, 0, length $want), $want, "refused: $want") or diag($rule);
}

SKIP:
{
	skip 'the schema: there is no python3 with jsonschema for draft 2020-12', 1
		if system('python3 -c "from jsonschema import Draft202012Validator" 2>/dev/null') != 0;
	my @verdicts = schema(map { $_->[1] } @good);
	is($verdicts[$_], 'ok', "the schema accepts: $good[$_][0]") for 0 .. $#good;
	# what is no JSON never comes to a schema, and duplicate keys are not seen there
	my @plain = grep { $_->[1] !~ /\\u0000/ } @bad;
	@verdicts = schema(map { $_->[1] } @plain);
	for my $i (0 .. $#plain)
	{
		my ($want, $rule) = @{ $plain[$i] };
		like($verdicts[$i], $want =~ /^server: / ? qr/^ok/ : qr/^no /, "the schema " . ($want =~ /^server: / ? 'cannot tell: ' : 'refuses: ') . $want) or diag($rule);
	}

	# an editor that goes by the schema must not complain of a rule that the server takes
	my @words = ('a', '1 hour', 'dwell', 'properties.n', 'object', '', 3, 0, -1, 0.5, 1000, JSON::PP::true, JSON::PP::false, undef, [], {}, ['a'], { kind => 'a' },
		{ eq => 'a' }, 'strict', 'first.dwell', 'per_episode', '0s', 'mon', '22:00');
	my @trees = map { $json->decode($_->[1]) } @good;
	my @keys = map { keys %$_ } map { all_objects($_) } @trees;
	my @mutants;
	for (1 .. 3000)
	{
		my $tree = $json->decode($json->encode($trees[ rand @trees ]));
		my @objects = all_objects($tree);
		for (1 .. 1 + rand(2))
		{
			my $object = $objects[ rand @objects ];
			my @mine = sort keys %$object;
			my $key = @mine ? $mine[ rand @mine ] : undef;
			my $r = rand();
			if ($r < 0.3) { delete $object->{$key} if defined $key; }
			elsif ($r < 0.6) { $object->{$key} = $words[ rand @words ] if defined $key; }
			elsif ($r < 0.8) { my $other = $objects[ rand @objects ]; my @k = sort keys %$other; my $k = $k[ rand @k ]; $object->{$k} = $json->decode($json->encode($other->{$k})) if defined $k; }
			else { $object->{ $keys[ rand @keys ] } = $words[ rand @words ]; }
		}
		push @mutants, $json->encode($tree);
	}
	$node->safe_psql('postgres', q{CREATE FUNCTION accepts(rule text) RETURNS int LANGUAGE plpgsql AS
		$$BEGIN PERFORM revops.check_rule(rule::json); RETURN 1; EXCEPTION WHEN invalid_parameter_value THEN RETURN 0; END$$});
	my @server = split /\n/, $node->safe_psql('postgres', 'SELECT accepts(r) FROM (VALUES ' .
		join(',', map { "($_, \$r\$$mutants[$_]\$r\$)" } 0 .. $#mutants) . ') v (n, r) ORDER BY n');
	@verdicts = schema(@mutants);
	my ($accepted, $agree, $wrong) = (0, 0, 0);
	for my $i (0 .. $#mutants)
	{
		$accepted += $server[$i];
		$agree += ($verdicts[$i] eq 'ok') == $server[$i];
		diag("the server accepts $mutants[$i], the schema says $verdicts[$i]") if $server[$i] && $verdicts[$i] ne 'ok' && $wrong++ < 5;
	}
	is($wrong, 0, 'the schema accepts what the server does, of ' . @mutants . ' changed rules');
	cmp_ok($accepted, '>', 100, "the server accepts $accepted; they agree on $agree");
}

$node->stop;
done_testing();
