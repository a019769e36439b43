# Kill the workers and the server in the middle of batches, twenty times, while events pour in: the results are those of one pass.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use Load;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.batch_size = 50\nrestart_after_crash = on\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE live');
$node->safe_psql('live', $Load::config);

my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";
# a server that is just going down takes nothing: that is part of the game
sub pour { my ($n) = @_; eval { $node->psql('live', Load::events($n)) }; }

# REVOPS_CRASHES: how many
my $crashes = $ENV{REVOPS_CRASHES} // 20;
for my $round (1 .. $crashes)
{
	pour(200 + int(rand(400))) for 1 .. 3;
	if ($round % 2)
	{
		# whatever the worker is at: the postmaster restarts everything
		$node->poll_query_until('live', 'SELECT count(pid) > 0 FROM revops.worker_stats()') or die "no worker";
		my $pid = $node->safe_psql('live', q{SELECT coalesce(max(pid), 0) FROM revops.worker_stats() WHERE pid IS NOT NULL});
		pour(300);
		kill 'KILL', $pid if $pid > 0;
		# it is listed until the server has started over
		$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)") or die "no restart";
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	$node->poll_query_until('live', 'SELECT count(*) >= 0 FROM revops.event') or die "not up";
}
my $last = $node->safe_psql('live', 'SELECT count(*) FROM revops.event');
cmp_ok($last, '>', 500 * $crashes, "events poured in: $last");
$node->poll_query_until('live', $Load::idle) or die "the backlog was not worked off";
is(Load::difference($node, 'live'), '', "after $crashes crashes the results are those of one pass");
is($node->safe_psql('live', 'SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
is($node->safe_psql('live', 'SELECT events FROM revops.stream_lane'), $last, 'each event was taken once');
done_testing();
