# What goes wrong in operation, under load: nothing is lost, nothing counts twice, the server stays up, and the log says it once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use FindBin;
use lib $FindBin::RealBin;
use Load;

my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.batch_size = 100\nrestart_after_crash = on\nrevops.naptime = '200ms'\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE live');
$node->safe_psql('live', $Load::config);

sub sql { return $node->safe_psql('live', $_[0]); }
sub pour { my ($n, $day) = @_; return sql(Load::events($n, $day)); }
sub settled { my ($what) = @_; return ok($node->poll_query_until('live', $Load::idle), $what); }
# lines of the log since an offset that match
sub logged { my ($since, $pattern) = @_; return scalar(() = slurp_file($node->logfile, $since) =~ /$pattern/g); }

# a transaction that is open for the whole run
my $long = $node->background_psql('live', on_error_die => 1);
$long->query_safe('BEGIN; ' . Load::events(50));

pour(2000);
settled('a long transaction holds up nobody else\'s events');

# somebody else's lock on our tables
my $locker = $node->background_psql('live');
my $log = -s $node->logfile;
$locker->query_safe('BEGIN; LOCK TABLE revops.intent_state, revops.moment_state IN ACCESS EXCLUSIVE MODE');
pour(500) for 1 .. 3;
is(sql('SELECT backlog > 0 FROM revops.stream_status'), 't', 'a lock of somebody\'s on our tables stops the stream, not the writers');
$locker->query_safe('COMMIT');
settled('it goes on when the lock is given back');
is(logged($log, 'ERROR|PANIC'), 0, 'and nothing was logged as an error');

# the pass is cancelled, its worker ended, its backend killed by name
for my $how (qw(pg_cancel_backend pg_terminate_backend))
{
	pour(3000);
	sql("SELECT $how(pid) FROM revops.worker_stats() WHERE pid IS NOT NULL");
	settled("after $how() of the worker in the middle of its work");
}

# a backend in the middle of process() is killed: the server restarts all
sql('SELECT revops.stop_worker()');
$long->quit;
$locker->quit;
pour(6000);
my $told = '';
my $psql = IPC::Run::start(['psql', '-XAt', '-d', $node->connstr('live'), '-c', 'SELECT revops.process()'], '<', \undef, '>&', \$told);
my $pid = 0;
for (1 .. 500)
{
	$pid = $node->safe_psql('postgres', "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT revops.process()'");
	last if $pid > 0;
}
cmp_ok($pid, '>', 0, 'a backend is at work');
$log = -s $node->logfile;
kill 'KILL', $pid if $pid > 0;
$psql->finish;
like($told, qr/server closed the connection|terminating connection/, 'and is killed');
# until the postmaster has seen it, it takes connections that it then ends
$node->wait_for_log(qr/all server processes terminated; reinitializing/, $log);
$node->poll_query_until('live', 'SELECT true');
sql('SELECT revops.start_worker()') if sql('SELECT count(*) FROM revops.worker_stats() WHERE pid IS NOT NULL') eq '0';
pour(500);
settled('a backend killed in the middle of process() loses nothing');

# the launcher is killed: the postmaster restarts all, and workers come back by themselves
my $launcher = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_revops launcher'");
cmp_ok($launcher, '>', 0, 'there is a launcher');
pour(1000);
kill 'KILL', $launcher;
$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $launcher)");
$node->poll_query_until('live', 'SELECT count(pid) > 0 FROM revops.worker_stats()');
settled('a killed launcher comes back, with its workers');

# the clock is set back by a week, and forth again
$node->append_conf('postgresql.conf', "revops.as_of = '2026-05-20 00:00+00'");
$node->reload;
pour(1000);
settled('at one time');
$node->append_conf('postgresql.conf', "revops.as_of = '2026-05-13 00:00+00'");
$node->reload;
pour(1000);
settled('at a time before that');
$node->append_conf('postgresql.conf', "revops.as_of = ''");
$node->reload;

# settings change under way
for my $setting ('revops.batch_size = 7', "revops.batch_memory = '1MB'", 'revops.worker = off', 'revops.worker = on', 'revops.batch_size = 100000')
{
	$node->append_conf('postgresql.conf', $setting);
	$node->reload;
	pour(700);
}
settled('settings that change by reload');

# the number of lanes changes under load
sql('SELECT revops.set_lanes(3)');
pour(1000);
settled('three lanes');
sql('SELECT revops.set_lanes(1)');
pour(300);
settled('and one again');

is(Load::difference($node, 'live'), '', 'all that came of it is what one pass gives');
is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');

# partitions go while the stream is at them
sql("SELECT revops.make_partitions('1 day', '2026-06-15')");
pour(3000, '2026-07-01');
my ($first, $second) = split /\n/, sql(q{SELECT partition FROM revops.event_partitions() WHERE since >= '2026-06-15' ORDER BY since LIMIT 2});
ok($second, "there are partitions of their own: $first, $second");
pour(500, '2026-08-05');
sql("ALTER TABLE revops.event DETACH PARTITION $first");
settled('a partition is detached underneath');
sql("DROP TABLE $first");
sql("DROP TABLE $second");
pour(500);
settled('and one is dropped');
is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'still nothing is in quarantine');

# no process slot is left for a worker: said once, and by hand it goes on
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_parallel_workers = 0\n");
$log = -s $node->logfile;
$node->restart;
pour(500);
ok($node->wait_for_log(qr/max_worker_processes/i, $log), 'the log says so');
# each commit wakes the launcher
pour(20) for 1 .. 20;
cmp_ok(logged($log, '(?i)max_worker_processes'), '<=', 2, 'and does not fill with it');

is(sql('SELECT revops.process() > 0'), 't', 'process() works without workers');
is(sql("$Load::idle"), 't', 'and leaves nothing');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|segfault|signal 11|signal 6/, 'no crash of ours');
$node->stop;
done_testing();
