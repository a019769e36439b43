# A second server that receives the events by logical replication: its stream finds what the first one's finds.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use Load;

my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";

sub server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '200ms'\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE live');
	$node->safe_psql('live', $Load::config);
	# both have the partitions before the first row comes
	$node->safe_psql('live', "SELECT revops.make_partitions('1 month', '2026-05-01')");
	return $node;
}
my $first = server('first');
my $second = server('second');

# rows that are there before, and rows that come after
$first->safe_psql('live', Load::events(1500));
$first->safe_psql('live', 'CREATE PUBLICATION events FOR TABLE revops.event WITH (publish = insert, publish_via_partition_root = true)');
$second->safe_psql('live', 'CREATE SUBSCRIPTION events CONNECTION $$' . $first->connstr('live') . '$$ PUBLICATION events');
$second->wait_for_subscription_sync($first, 'events', 'live');
$first->safe_psql('live', Load::events(400)) for 1 .. 5;

# the second server goes down in the middle, and comes back
$second->stop('immediate');
$first->safe_psql('live', Load::events(700));
$second->start;
$first->wait_for_catchup('events');

for my $node ($first, $second)
{
	ok($node->poll_query_until('live', $Load::idle), $node->name . ' has worked off its events');
	is($node->safe_psql('live', 'SELECT count(*) FROM revops.event'), '4200', 'all of them');
	is($node->safe_psql('live', 'SELECT sum(events) FROM revops.stream_lane'), '4200', 'each once');
}
is($second->safe_psql('live', $Load::result), $first->safe_psql('live', $Load::result), 'scores and moments are the same on both');
cmp_ok($second->safe_psql('live', 'SELECT count(*) FROM revops.moment WHERE retracted_at IS NULL'), '>', 10, 'and there are moments');
is(Load::difference($second, 'live'), '', 'which are those of one pass');
$second->safe_psql('live', 'DROP SUBSCRIPTION events');
$_->stop for $first, $second;
done_testing();
