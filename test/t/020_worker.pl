# The background worker of one database: it follows the writers, stops, starts, and survives what operators do.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '200ms'\nrestart_after_crash = on\n");
$node->start;

my $worker = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_revops worker' AND datname = current_database()";
my $pid = 'SELECT pid FROM revops.worker_stats() WHERE lane = 0';

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub wait_for { my ($query, $what) = @_; return ok($node->poll_query_until('postgres', $query), $what); }

# an event of this person, and whether it has come out as an intent score
sub event { return sql("SELECT revops.track('page_view', person => '$_[0]')"); }
sub scored { return "SELECT count(*) = 1 FROM revops.intent_score WHERE subject_kind = 'person' AND subject = '$_[0]' AND intent = 'interest'"; }

wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_revops launcher'", 'the launcher runs');
is(sql($worker), '0', 'no worker without the extension');

sql('CREATE EXTENSION pg_revops');
wait_for("SELECT state = 'waiting' FROM revops.worker_stats()", 'CREATE EXTENSION starts a worker');
sql("SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
event('ada');
wait_for(scored('ada'), 'an event comes out as a score');
wait_for('SELECT events >= 1 AND last_pass_at IS NOT NULL AND last_error IS NULL FROM revops.worker_stats()', 'the worker keeps figures');

# woken by the commit: the nap alone would last a minute
sql("ALTER SYSTEM SET revops.naptime = '60s'");
$node->reload;
wait_for("SELECT setting = '60000' FROM pg_settings WHERE name = 'revops.naptime'", 'a long nap is set');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_revops launcher'");
event("woken $_") for 1 .. 3;
my $start = time;
wait_for("SELECT count(*) = 3 FROM revops.intent_score WHERE subject LIKE 'woken %'", 'events wake the worker');
cmp_ok(time - $start, '<', 30, 'at their commit, not after its nap');
sql("ALTER SYSTEM SET revops.naptime = '200ms'");
$node->reload;
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_revops launcher'", 'a launcher that was terminated comes back');
is(sql($worker), '1', 'and leaves the worker that it finds');

# stop and start
is(sql('SELECT revops.stop_worker()'), 't', 'stop_worker() stops it');
is(sql($worker), '0', 'and returns when it has gone');
is(sql('SELECT revops.stop_worker()'), 'f', 'once more: there is nothing to stop');
is(sql('SELECT state FROM revops.worker_stats()'), 'stopped', 'the state says so');
event('bob');
is(sql('SELECT revops.process()'), '1', 'process() does the work of a stopped worker');
is(sql(scored('bob')), 't', 'with the same result');
event('cyd');
is(sql($worker), '0', 'an event does not start a stopped worker');
is(sql('SELECT revops.start_worker()'), 't', 'start_worker() starts it');
is(sql($worker), '1', 'and returns when it runs');
wait_for(scored('cyd'), 'it takes what has come meanwhile');
is(sql('SELECT revops.start_worker()'), 't', 'once more: nothing changes');

# time limits of the database do not end a pass; those of 17 end whole transactions, whoever's they are
my @limits = ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', $node->pg_version >= 17 ? ('transaction_timeout') : ());
{
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_=0" } @limits;
	sql("ALTER DATABASE postgres SET $_ = '300ms'") for @limits;
	sql('SELECT revops.stop_worker()');
	sql(q{CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
		CREATE TRIGGER sleep AFTER INSERT ON revops.intent_state FOR EACH ROW WHEN (new.subject = 'slow') EXECUTE FUNCTION sleep()});
	event('slow');
	sql('SELECT revops.start_worker()');
	wait_for(scored('slow'), 'a pass that takes longer than ' . join(', ', @limits) . ' is done');
	is(sql("SELECT count(*) FROM revops.failed_event"), '0', 'and nothing is in quarantine for it');
	is(sql("SELECT last_error FROM revops.worker_stats()"), '', 'nor was it tried twice');
	sql('DROP TRIGGER sleep ON revops.intent_state; DROP FUNCTION sleep()');
	sql("ALTER DATABASE postgres RESET $_") for @limits;
	sql('SELECT revops.stop_worker()');
	sql('SELECT revops.start_worker()');
}

# terminated by an operator
my $first = sql($pid);
sql("SELECT pg_terminate_backend($first)");
wait_for("SELECT pid <> $first FROM revops.worker_stats() WHERE lane = 0", 'a worker that was terminated is replaced');
event('dan');
wait_for(scored('dan'), 'and its successor goes on');

# the setting that switches all workers off
sql('ALTER SYSTEM SET revops.worker = off');
$node->reload;
wait_for("SELECT state = 'off' FROM revops.worker_stats()", 'revops.worker = off ends the worker');
my ($rc, $out, $err) = $node->psql('postgres', 'SELECT revops.start_worker()');
like($err, qr/switched off.*revops\.worker = on/s, 'start_worker() tells what to do');
sql('ALTER SYSTEM RESET revops.worker');
$node->reload;
event('eve');
wait_for(scored('eve'), 'on again, it goes on');

# the extension goes and comes
my $log = -s $node->logfile;
sql('DROP EXTENSION pg_revops');
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_revops worker'", 'the worker leaves after DROP EXTENSION');
sql('CREATE EXTENSION pg_revops');
sql("SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
event('fay');
wait_for(scored('fay'), 'a new extension gets a worker');
for my $round (1 .. 10)
{
	sql("INSERT INTO revops.event (person, kind) SELECT 'p' || n, 'page_view' FROM generate_series(1, 2000) n");
	sql('DROP EXTENSION pg_revops');
	sql('CREATE EXTENSION pg_revops');
}
sql("BEGIN; DROP EXTENSION pg_revops; CREATE EXTENSION pg_revops; COMMIT");
sql("BEGIN; DROP EXTENSION pg_revops; ROLLBACK");
sql("SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
event('gus');
wait_for(scored('gus'), 'DROP EXTENSION under a busy worker, ten times over, and in one transaction with CREATE EXTENSION');
unlike(slurp_file($node->logfile, $log), qr/(ERROR|FATAL|PANIC):/, 'without an error in the log');

# a transaction that rolls CREATE EXTENSION back leaves nothing behind
sql('CREATE DATABASE other');
$node->safe_psql('other', 'BEGIN; CREATE EXTENSION pg_revops; ROLLBACK');
is($node->safe_psql('other', $worker), '0', 'no worker for an extension that was rolled back');

# restarts
$node->restart;
event('hal');
wait_for(scored('hal'), 'after a restart of the server the worker is back');
$first = sql($pid);
kill 'KILL', $first;
ok($node->poll_query_until('postgres', "SELECT pid <> $first FROM revops.worker_stats() WHERE lane = 0"), 'after kill -9 too');
event('ivy');
wait_for(scored('ivy'), 'and goes on');
$node->stop('immediate');
$node->start;
event('joe');
wait_for(scored('joe'), 'and after an immediate shutdown');
is(sql("SELECT count(*) FROM revops.intent_score WHERE intent = 'interest' AND score > 1.0001"), '0', 'nothing was counted twice');

# the lanes are counted anew while the worker is in a pass: that ends first, and neither waits for the other for ever
sql("SELECT revops.put_rule('held', '{\"when\": {\"kind\": \"hold\"}}')");
sql('CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN new; END $$;
	CREATE TRIGGER hold BEFORE INSERT ON revops.moment FOR EACH ROW EXECUTE FUNCTION hold()');
my $gate = $node->background_psql('postgres');
$gate->query_safe('BEGIN; SELECT pg_advisory_xact_lock(4711)');
sql("SELECT revops.track('hold', person => 'kim')");
wait_for("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", 'the worker is in a pass');
my ($lanes, $failed) = ('', '');
my $set = IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT revops.set_lanes(2)'], '<', \undef, '>', \$lanes, '2>', \$failed);
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT revops.set_lanes(2)' AND wait_event_type = 'Lock'", 'set_lanes() waits for it');
$gate->query_safe('COMMIT');
$gate->quit;
$set->finish;
is("$lanes$failed", "1\n", 'and has its way');
wait_for("SELECT count(*) = 1 FROM revops.moment WHERE rule = 'held'", 'the pass too');
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'without a deadlock');

$node->stop;
done_testing();
