# Random rules over random streams, in several ways of arrival, against an oracle that was written from docs/moments.md alone.
# REVOPS_SEED: the seed. REVOPS_ORACLE_ROUNDS: rounds of 40 rules over 10 streams each, every one in every way (default 4; more for a long run).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = $ENV{PYTHON} // 'python3';
plan skip_all => "there is no $python" if system("$python -c 'import zoneinfo' >/dev/null 2>&1") != 0;

my $here = 'test/oracle';
my ($out, $err);
IPC::Run::run([ $python, "$here/test_oracle.py" ], '>', \$out, '2>', \$err);
is($?, 0, 'the oracle does the examples by hand') or diag $err;

my $node = PostgreSQL::Test::Cluster->new('oracle');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.worker = off\nautovacuum = off\n");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

my $seed = $ENV{REVOPS_SEED} // time();
my $rounds = $ENV{REVOPS_ORACLE_ROUNDS} // 4;
my $directory = PostgreSQL::Test::Utils::tempdir;
note "seed $seed, $rounds rounds";

IPC::Run::run([ $python, "$here/compare.py", 'start', $directory, '--seed', $seed, '--rounds', $rounds, '--rules', 40, '--streams', 10 ],
	'>', \$out, '2>', \$err);
is($err, '', 'every rule is accepted, every event taken');
note $out;
my $log = $out;
$node->restart;
IPC::Run::run([ $python, "$here/compare.py", 'finish', $directory ], '>', \$out, '2>', \$err);
is($err, '', 'after a restart too');
note $out;
$log .= $out;
my $ways = 0;
my $moments = 0;
for my $way (qw(batch live late shuffled lanes identify restart backtest))
{
	next unless $out =~ /^$way (\d+) (\d+) (\d+)$/m;
	is($3, '0', "$way: $1 times a rule and a stream, $2 moments, as the oracle says");
	$ways++;
	$moments += $2;
}
diag $log if $log =~ /^FAILED/m;
is($ways, 8, 'eight ways');
cmp_ok($moments, '>', 100 * $rounds, 'there are moments to compare');
done_testing();
