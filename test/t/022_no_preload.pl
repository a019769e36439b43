# A server that preloads nothing: revops.process() does the worker's job.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('no_preload');
$node->init;
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql('CREATE EXTENSION pg_revops');
sql("SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
sql("SELECT revops.track('page_view', person => 'ada')");
is(sql("SELECT count(*) FROM revops.intent_score WHERE subject = 'ada'"), '0', 'nothing moves by itself');
is(sql('SELECT revops.process()'), '1', 'process() takes the event');
is(sql("SELECT count(*) FROM revops.intent_score WHERE subject = 'ada' AND intent = 'interest'"), '1', 'it comes out as a score');
is(sql('SELECT revops.process()'), '0', 'once');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_revops%'"), '0', 'there are no background workers');
is(sql('SELECT count(*) FROM revops.worker_stats()'), '0', 'and no figures of any');
for my $function (qw(start_worker stop_worker))
{
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT revops.$function()");
	like($err, qr/no background workers on this server.*HINT:.*shared_preload_libraries.*revops\.process\(\)/s, "$function() tells what to do");
}
sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION pg_revops');
sql('DROP DATABASE other');
sql('DROP EXTENSION pg_revops');
pass('DROP DATABASE and DROP EXTENSION work');

# preloaded later: the worker goes on where process() stopped
sql('CREATE EXTENSION pg_revops');
sql("SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
sql("SELECT revops.track('page_view', person => 'bob')");
sql('SELECT revops.process()');
sql("SELECT revops.track('page_view', person => 'cyd')");
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\n");
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM revops.intent_score WHERE subject IN ('bob', 'cyd') AND score < 1.0001"),
	'preloaded later, the worker goes on where process() stopped');
$node->stop;
done_testing();
