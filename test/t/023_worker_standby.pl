# Workers rest on a standby, and go on after its promotion.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '100ms'\n");
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub scored { return "SELECT count(*) = 1 FROM revops.intent_score WHERE subject = '$_[0]' AND score < 1.0001"; }

$primary->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
$primary->safe_psql('postgres', "SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
$primary->safe_psql('postgres', "SELECT revops.track('page_view', person => 'ada')");
ok($primary->poll_query_until('postgres', scored('ada')), 'the primary works');
$primary->wait_for_catchup($standby);
ok($standby->poll_query_until('postgres', scored('ada')), 'the standby shows its results');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_revops%'"), '0', 'and runs no worker');
my ($rc, $out, $err) = $standby->psql('postgres', 'SELECT revops.start_worker()');
like($err, qr/do not run on a standby.*HINT:.*promoted/s, 'start_worker() says why');

# events that the primary has not worked off are the promoted standby's
$primary->safe_psql('postgres', 'SELECT revops.stop_worker()');
$primary->safe_psql('postgres', "SELECT revops.track('page_view', person => 'bob')");
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
ok($standby->poll_query_until('postgres', scored('bob')), 'promoted, it works off what was left');
$standby->safe_psql('postgres', "SELECT revops.track('page_view', person => 'cyd')");
ok($standby->poll_query_until('postgres', scored('cyd')), 'and what comes');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM revops.intent_score WHERE score > 1.0001'), '0', 'and nothing twice');
$standby->stop;
done_testing();
