# A worker fires the timeouts of rules, and escalations, when they are due: no event has to come, and its nap may be long.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('timeouts');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '60s'\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub wait_for { my ($query, $what) = @_; return ok($node->poll_query_until('postgres', $query), $what); }

sql('CREATE EXTENSION pg_revops');
sql('SELECT revops.set_lanes(2)');
sql(q{SELECT revops.put_rule('silent', '{"sequence": {"steps": [{"when": {"kind": "ask"}}, {"absent": {"kind": "answer"}, "for": "2 seconds"}]}}')});
wait_for("SELECT count(*) = 2 AND bool_and(state = 'waiting') FROM revops.worker_stats()", 'two workers wait');
sql("SELECT revops.track('ask', person => 'p' || g) FROM generate_series(1, 40) g");
wait_for("SELECT count(*) = 40 AND bool_and(by_timer) FROM revops.moment WHERE rule = 'silent'", 'timeouts of both lanes come without an event');
is(sql("SELECT count(*) FROM revops.moment m JOIN revops.event e ON e.event_id = m.evidence[1] WHERE m.occurred_at = e.occurred_at + interval '2 seconds'"),
	'40', 'each at the instant that is due');
is(sql('SELECT count(*) FROM revops.moment_state WHERE due_at IS NOT NULL'), '0', 'nothing is due any more');

# what is due while the server is down comes after the start
sql("SELECT revops.stop_worker()");
sql("SELECT revops.track('ask', person => 'late')");
sql('SELECT revops.process()');
$node->restart;
sql('SELECT revops.start_worker()');
wait_for("SELECT count(*) = 1 FROM revops.moment WHERE subject = 'late'", 'a timeout that came due meanwhile is caught up');

# an answer in time
sql("SELECT revops.track('ask', person => 'answered')");
sql("SELECT revops.track('answer', person => 'answered')");
sql("SELECT revops.track('ask', person => 'witness')");
wait_for("SELECT count(*) = 1 FROM revops.moment WHERE subject = 'witness'", 'another waits in vain');
is(sql("SELECT count(*) FROM revops.moment WHERE subject = 'answered'"), '0', 'an answer in time leaves no moment');

$node->stop;
done_testing();
