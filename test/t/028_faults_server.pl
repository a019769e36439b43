# What happens to a server and its databases under load: the postmaster is killed, a transaction is open through all of it, databases are copied,
# renamed and dropped, a partition is detached, no process is left for workers. Nothing is lost, nothing counts twice, and the log says it once.
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

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.batch_size = 300\nrevops.naptime = '500ms'\nautovacuum = off\nmax_prepared_transactions = 5\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE live');
$node->safe_psql('live', $Load::config);

sub sql { return $node->safe_psql('live', $_[0]); }
sub pour { my ($n, $day) = @_; return sql(Load::events($n, $day)); }
sub settled { my ($what, $db) = @_; return ok($node->poll_query_until($db // 'live', $Load::idle), $what); }
sub logged { my ($since, $pattern) = @_; return scalar(() = slurp_file($node->logfile, $since) =~ /$pattern/g); }
sub correct { my ($what, $db, $also) = @_; return is(Load::difference($node, $db // 'live', $also), '', "$what: all is what one pass gives"); }
# a writer who goes on until the server is gone, or stopped
sub writer
{
	my ($day) = @_;
	my $output = '';
	my $statement = Load::events(40, $day, 1) =~ s/\s+/ /gr;
	my $run = IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('live')], '<', \"$statement \\watch 0.02\n", '>&', \$output);
	return sub { $run->kill_kill if $_[0]; eval { $run->finish }; return $output; };
}
sub ours { return grep { $_ } split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_revops%'}); }

my ($log, $writer);

# a transaction that is open through crashes and restarts
sql('BEGIN; ' . Load::events(400) . "; PREPARE TRANSACTION 'open'");

for my $round (1 .. 3)
{
	$log = -s $node->logfile;
	$writer = writer();
	pour(3000);
	$node->poll_query_until('live', 'SELECT count(pid) > 0 FROM revops.worker_stats()') or die 'no worker';
	my @pids = ours();
	cmp_ok(scalar(@pids), '>=', 2, "round $round: the launcher and a worker run");
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	kill 'KILL', $postmaster;
	$writer->();
	my $left = 1;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$left = grep { kill 0, $_ } @pids;
		last if $left == 0;
		select undef, undef, undef, 0.1;
	}
	is($left, 0, 'they end when the postmaster has been killed');
	# the node object still thinks that it runs
	$node->{_pid} = undef;
	my $up = 0;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		# its last processes may still hold the shared memory
		$up = $node->start(fail_ok => 1);
		last if $up;
		select undef, undef, undef, 0.1;
	}
	ok($up, 'and the server starts again');
	settled('what was left is worked off');
	is(logged($log, 'lane \d+ of pg_revops'), 0, 'without an error of a worker');
}
correct('a killed postmaster');

# no process is left for a worker; process() is what works
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_parallel_workers = 0\n");
$log = -s $node->logfile;
$node->restart;
$writer = writer();
ok($node->wait_for_log(qr/max_worker_processes/i, $log), 'the log says that no background worker is free');
sql('SELECT revops.process()') for 1 .. 20;
$writer->(1);
cmp_ok(logged($log, '(?i)max_worker_processes'), '<=', 2, 'once');
sql('SELECT revops.process()');
settled('by hand all is worked off');
correct('no worker');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;

# what was open all the time
my $before = sql('SELECT sum(events) FROM revops.stream_lane');
is(sql('SELECT count(*) FROM pg_prepared_xacts'), '1', 'a transaction was open through all of it');
sql("COMMIT PREPARED 'open'");
ok($node->poll_query_until('live', "SELECT sum(events) = $before + 400 FROM revops.stream_lane"), 'COMMIT PREPARED brings its events');
settled('and they are worked off');
correct('prepared');
# copied, renamed and moved right after a load, with the worker in the middle of it
$log = -s $node->logfile;
pour(4000);
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE live');
settled('a copied database goes on');
settled('and so does its copy', 'copy');
correct('the original');
correct('the copy', 'copy');
is($node->safe_psql('copy', "SELECT count(*) FROM revops.event"), sql('SELECT count(*) FROM revops.event'), 'which has all events');
pour(4000);
$node->safe_psql('postgres', 'ALTER DATABASE live RENAME TO renamed');
$node->safe_psql('renamed', Load::events(500));
$node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO live');
my $space = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('copy', Load::events(4000));
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$space'");
$node->safe_psql('postgres', 'ALTER DATABASE copy SET TABLESPACE elsewhere');
settled('a renamed database goes on');
settled('and one that was moved', 'copy');
correct('renamed');
correct('moved', 'copy');
$writer = writer();
$node->safe_psql('copy', Load::events(4000));
$node->safe_psql('postgres', 'DROP DATABASE copy');
$writer->(1);
settled('one is dropped, the other goes on');
correct('after DROP DATABASE');
is(logged($log, '(?<!terminating connection )(ERROR|FATAL|PANIC): (?!.*terminating)'), 0, 'and the log has no error') or diag(slurp_file($node->logfile, $log));

# a partition that is worked off, of people of its own whom no late event repairs any more, is detached while others are written to
sql("SELECT revops.make_partitions('1 day', '2026-07-01')");
sql(Load::events(2000, '2026-07-01') =~ s/'p' \|\|/'q' ||/r);
settled('partitions of their own');
my ($oldest) = split /\n/, sql(q{SELECT partition FROM revops.event_partitions() WHERE since >= '2026-07-01' ORDER BY since LIMIT 1});
$log = -s $node->logfile;
$writer = writer('2026-09-02');
pour(1000, '2026-09-02');
sql("ALTER TABLE revops.event DETACH PARTITION $oldest");
cmp_ok(sql("SELECT count(*) FROM $oldest"), '>', 0, "$oldest has events, and is detached under load");
pour(1000, '2026-09-02');
$writer->(1);
settled('the rest is worked off');
correct('detached', 'live', $oldest);
is(logged($log, 'lane \d+ of pg_revops'), 0, 'without an error of a worker');
is(logged($log, 'ERROR|PANIC'), 0, 'or of another') or diag(slurp_file($node->logfile, $log));

is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|segfault|signal 11|signal 6/, 'no crash of ours');
$node->stop;
done_testing();
