# Funnels, sequences and retention against ClickHouse on the same random events, where the two mean the same (docs/analysis.md lists where not).
use strict;
use warnings;
use File::Basename;
use lib dirname(__FILE__);
use ClickHouse;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $clickhouse = ClickHouse::start($dir);
plan skip_all => 'clickhouse-server and clickhouse-client are not installed, or do not start' unless $clickhouse;
note 'ClickHouse ' . $clickhouse->('SELECT version()');

my $node = PostgreSQL::Test::Cluster->new('clickhouse');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";

# one condition at most holds on a row, and no two events of a user have the same second: there the two have their own rules
my $file = "$dir/events.tsv";
$node->safe_psql('postgres', qq{
	CREATE EXTENSION pg_revops;
	SELECT setseed(@{[ ($seed % 100000) / 100000 ]});
	CREATE TABLE e AS SELECT u, 1700000000 + s AS t, to_timestamp(1700000000 + s) AS ts, (array['a','b','c','d','e','f'])[1 + floor(random() * 6)] AS k
	FROM (SELECT DISTINCT u, floor(random() * random() * 4000)::int AS s FROM (SELECT u, floor(random() * random() * 60)::int AS events FROM generate_series(1, 3000) u) x, generate_series(1, events)) y
	ORDER BY random();
	COPY (SELECT u, t, k FROM e) TO '$file'});
ok(defined $clickhouse->('CREATE TABLE e (u UInt32, t DateTime, k String) ENGINE = Memory'), 'a table in ClickHouse');
ok(defined $clickhouse->('INSERT INTO e FORMAT TabSeparated', $file), 'with the same events');
is($clickhouse->('SELECT count() FROM e'), $node->safe_psql('postgres', 'SELECT count(*) FROM e'), 'all of them');

my @conditions = map { "k = '$_'" } qw(a b c d);
my $conditions = join ', ', @conditions;

# the same answer for every user
sub same
{
	my ($what, $here, $there, $order) = @_;
	my $a = $node->safe_psql('postgres', "SELECT u || E'\\t' || ($here) FROM e GROUP BY u ORDER BY u");
	my $b = $clickhouse->("SELECT u, $there FROM e GROUP BY u ORDER BY u");
	my (@a, @b, @wrong, %answers);
	@a = split /\n/, $a;
	@b = split /\n/, $b // '';
	$answers{ (split /\t/, $_)[1] }++ for @a;
	for (0 .. $#a) { push @wrong, "here $a[$_], there " . ($b[$_] // 'nothing') if $a[$_] ne ($b[$_] // ''); }
	is(scalar(@wrong) . (@wrong ? ': ' . join('; ', @wrong[ 0 .. ($#wrong > 4 ? 4 : $#wrong) ]) : ''), '0', "$what, " . join(' ', map { "$answers{$_} of $_" } sort keys %answers));
}

for my $window (0, 30, 300, 2000)
{
	for my $n (2 .. 4)
	{
		my $list = join ', ', @conditions[ 0 .. $n - 1 ];
		same("window_funnel, $n steps in $window s", "revops.window_funnel('$window s', ts, $list)", "windowFunnel($window)(t, $list)");
	}
}
same('retention', "array_to_string(ARRAY(SELECT r::int FROM unnest(revops.retention($conditions)) r), ',')", "arrayStringConcat(arrayMap(x -> toString(x), retention($conditions)), ',')");

my @patterns = ('(?1)(?2)', '(?1).*(?2)', '(?1).(?2)', '(?1)(?t<=60)(?2)', '(?1)(?t>600)(?2)', '(?1).*(?2).*(?3)', '(?1)(?t<300)(?2)(?t>=30)(?3)', '(?4)..(?4)', '(?1).*(?2)(?3)', '(?1)(?2).*(?3)(?t<500)(?4)');
for (1 .. ($ENV{REVOPS_PATTERNS} // 30))
{
	my $pattern = '';
	for my $i (1 .. 1 + int(rand 4))
	{
		if ($i > 1)
		{
			my $gap = rand;
			$pattern .= $gap < 0.4 ? '' : $gap < 0.7 ? '.*' : '(?t' . (qw(< <= > >=))[int rand 4] . (1 + int(rand 400)) . ')';
		}
		$pattern .= rand() < 0.15 ? '.' : '(?' . (1 + int(rand 4)) . ')';
	}
	push @patterns, $pattern;
}
for my $pattern (@patterns)
{
	same("sequence_match $pattern", "revops.sequence_match('$pattern', ts, $conditions)::int", "sequenceMatch('$pattern')(t, $conditions)");
	same("sequence_count $pattern", "revops.sequence_count('$pattern', ts, $conditions)", "sequenceCount('$pattern')(t, $conditions)");
}
$node->stop;
done_testing();
