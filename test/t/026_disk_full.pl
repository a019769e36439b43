# The disk that the database is on fills up under load: statements fail, the worker says so once and tries again, and nothing else happens. With
# room again, all results are those of one pass. Then the worker alone runs out of memory.
use strict;
use warnings;
# A small file system needs no root where a user may have name spaces: this test starts itself once more in such, with a tmpfs mounted. Not as
# root there, as a server would not start. Before the modules below are loaded, which take the output for themselves.
BEGIN
{
	require File::Temp;
	my $place = $ENV{REVOPS_SMALL_DISK} // File::Temp::tempdir(CLEANUP => 1);
	my $mount = "mount -t tmpfs -o size=96m,mode=0700 revops '$place'";
	my @outer = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c');
	my @inner = ('unshare', '--user', "--map-user=$>", '--map-group=' . ($) + 0));

	if (!defined $ENV{REVOPS_SMALL_DISK} && $> != 0 && system("@outer \"$mount && exec @inner true\" >/dev/null 2>&1") == 0)
	{
		$ENV{REVOPS_SMALL_DISK} = $place;
		my $exit = system(@outer, "$mount && exec \"\$@\"", 'sh', @inner, $^X, map({ "-I$_" } grep { !ref } @INC), $0);
		exit($exit == 0 ? 0 : 1);
	}
}
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use Load;

my $small = $ENV{REVOPS_SMALL_DISK};
my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";
my $node = PostgreSQL::Test::Cluster->new('full');
# small segments of WAL: no file needs to be large but those of tables
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'pg_revops'\nrevops.batch_size = 10000\nrevops.naptime = '200ms'\nautovacuum = off\nmax_wal_size = '32MB'\nmin_wal_size = '4MB'\n");
$node->start;

sub sql { return $node->safe_psql('live', $_[0]); }
sub settled { my ($what) = @_; return ok($node->poll_query_until('live', $Load::idle), $what); }
sub logged { my ($since, $pattern) = @_; return scalar(() = slurp_file($node->logfile, $since) =~ /$pattern/g); }
# pour, whatever comes of it: the SQLSTATE, '' for none
sub try_pour
{
	my ($n) = @_;
	my ($rc, $out, $err) = $node->psql('live', "\\set VERBOSITY verbose\n" . Load::events($n));
	return $rc == 0 ? '' : $err =~ /ERROR:\s+(\w{5})/ ? $1 : $err;
}

SKIP:
{
	skip 'a small file system needs user name spaces (unshare --user --mount), which this system does not give', 1 unless $small;
	mkdir "$small/space" or die "$small/space: $!";
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$small/space'");
	$node->safe_psql('postgres', 'CREATE DATABASE live TABLESPACE small');
	$node->safe_psql('live', $Load::config);
	is(try_pour(2000), '', 'with room, events are written');
	settled('and worked off');

	# leave so much that the writers fill it, and the worker gets the rest of it
	my $ballast = "$small/ballast";
	sub fill
	{
		my ($left) = @_;
		return system("cat /dev/zero 2>/dev/null >'$ballast'") if $left == 0;
		my (undef, $free) = split ' ', (split /\n/, `df -B1 --output=size,avail '$small'`)[1];
		system('fallocate', '-l', $free - $left, $ballast) == 0 or die 'fallocate';
	}
	for my $round (1 .. 2)
	{
		my $log = -s $node->logfile;
		my $failed = '';
		fill((1 << 20) * $round / 2);
		for (1 .. 200)
		{
			$failed = try_pour(2000);
			last if $failed ne '';
		}
		is($failed, '53100', "round $round: a writer is told that the disk is full");
		# the worker has events, and no room for what comes of them: not even the last pages
		unlink $ballast;
		fill(0);
		$node->psql('live', Load::events(20)) for 1 .. 3;
		$node->safe_psql('postgres', 'SELECT 1');
		is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'a full disk is not an event\'s fault: nothing is in quarantine');
		cmp_ok(logged($log, 'lane 0 of pg_revops'), '<=', 4, 'the log does not fill with it');
		unlink $ballast;
		settled('with room again, all is worked off');
	}
	is(Load::difference($node, 'live'), '', 'and is what one pass gives');

	# the worker for sure: its own writes fail, those of the writers were before
	sql('SELECT revops.stop_worker()');
	is(try_pour(2000), '', 'events without a worker');
	my $log = -s $node->logfile;
	fill(0);
	sql('SELECT revops.start_worker()');
	ok($node->poll_query_until('live', "SELECT state = 'failing' AND last_error ~ 'No space' FROM revops.worker_stats() WHERE lane = 0"), 'the worker fails, and says why');
	ok($node->wait_for_log(qr/lane 0 of pg_revops/, $log), 'in the log too');
	# it has tried again when the error is another one
	my $at = sql('SELECT last_error_at FROM revops.worker_stats() WHERE lane = 0');
	ok($node->poll_query_until('live', "SELECT last_error_at > '$at' FROM revops.worker_stats() WHERE lane = 0"), 'it tries again');
	is(sql("SELECT ok FROM revops.health() WHERE check_name = 'worker'"), 'f', 'health() says so');
	is(logged($log, 'No space left on device'), 1, 'the log said it once');
	my ($rc, $out, $err) = $node->psql('live', "\\set VERBOSITY verbose\nSELECT revops.process()");
	like($err, qr/53100|55P03|another session/, 'by hand it is an error as well') if $rc != 0;
	unlink $ballast;
	sql('SELECT revops.start_worker()');
	settled('with room again it goes on');
	ok($node->wait_for_log(qr/works again/, $log), 'and says so');
	is(Load::difference($node, 'live'), '', 'to what one pass gives');
	is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
	$node->safe_psql('postgres', 'DROP DATABASE live');
	$node->safe_psql('postgres', 'DROP TABLESPACE small');
}

# a limit of the worker's process alone: writers and other sessions have what they need
SKIP:
{
	skip 'prlimit is not there to limit a process', 1 if system('prlimit --version >/dev/null 2>&1') != 0;
	$node->safe_psql('postgres', 'CREATE DATABASE live');
	$node->safe_psql('live', $Load::config);
	is(try_pour(1000), '', 'a new database');
	settled('whose worker works');

	sub limited
	{
		my ($what, $n, $limit, $pattern) = @_;
		sql('SELECT revops.stop_worker()');
		is(try_pour($n), '', "$what: events without a worker");
		# as it starts, before it reads
		my $log = -s $node->logfile;
		my $locker = $node->background_psql('live');
		$locker->query_safe('BEGIN; LOCK TABLE revops.stream_lane IN ACCESS EXCLUSIVE MODE');
		$node->psql('live', "SET lock_timeout = '1s'; SELECT revops.start_worker()");
		$node->poll_query_until('live', 'SELECT count(pid) > 0 FROM revops.worker_stats()') or die 'no worker';
		my $pid = sql('SELECT pid FROM revops.worker_stats() WHERE pid IS NOT NULL');
		system('prlimit', '--pid', $pid, $limit->($pid)) == 0 or die 'prlimit';
		$locker->query_safe('COMMIT');
		$locker->quit;
		ok($node->poll_query_until('live', "SELECT last_error ~ '$pattern' FROM revops.worker_stats() WHERE lane = 0"), "$what: the worker fails, and says why");
		is(try_pour(100), '', 'the writers do not');
		is(sql('SELECT pid FROM revops.worker_stats() WHERE lane = 0'), $pid, 'it lives');
		system('prlimit', '--pid', $pid, '--as=unlimited:') == 0 or die 'prlimit';
		settled('without the limit it goes on');
		is(sql('SELECT pid FROM revops.worker_stats() WHERE lane = 0'), $pid, 'the same process');
		is(Load::difference($node, 'live'), '', 'and all is what one pass gives');
		is(sql('SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
	}
	# of what the process has now, so much more; the soft limit only, which may be raised again
	limited('memory', 4000, sub { my ($pid) = @_; slurp_file("/proc/$pid/statm") =~ /^(\d+)/; return '--as=' . ($1 * 4096 + 2 * 1024 * 1024) . ':'; }, 'out of memory');

	# a session with little memory and large inputs: each statement fails with an error of its own, and the session goes on
	my $session = $node->background_psql('live', on_error_stop => 0);
	$session->query_safe('SELECT revops.now()');
	my $backend = $session->query_safe('SELECT pg_backend_pid()');
	$backend =~ s/\D//g;
	slurp_file("/proc/$backend/statm") =~ /^(\d+)/;
	system('prlimit', '--pid', $backend, '--as=' . ($1 * 4096 + 12 * 1024 * 1024) . ':') == 0 or die 'prlimit';
	for my $try (
		[train => q{SELECT revops.train('large', 'classify', 'SELECT md5(n::text) || '' '' || md5((n * 7)::text) || '' word'' || n % 50 AS text, ''l'' || n % 20 AS label FROM generate_series(1, 40000) n')}],
		[predict => q{SELECT revops.train('large', 'predict', 'SELECT n % 7 + n * 7919 % 13 > 9 AS label, n % 7 AS x, md5((n % 300)::text) AS y, n * 1.5 AS z, random() AS u FROM generate_series(1, 200000) n')}],
		[assignment => q{SELECT count(*) FROM revops.optimal_assignment('SELECT t AS task, u AS unit, hashint4(t * 1000 + u) AS benefit FROM generate_series(1, 1000) t, generate_series(1, 1000) u')}],
		[analysis => q{SELECT revops.window_funnel('1 hour', now() + n * interval '1 second', n % 2 = 0, n % 3 = 0) FROM generate_series(1, 3000000) n}],
		[stages => q{SELECT count(*) FROM revops.infer_stages('none', (SELECT array_agg('s' || n) FROM generate_series(1, 2000000) n), (SELECT array_agg('2026-01-01'::timestamptz + n * interval '1 s') FROM generate_series(1, 2000000) n))}],
		[batch => q{SELECT accepted FROM revops.track_batch((SELECT jsonb_agg(jsonb_build_object('kind', 'x', 'person', 'p' || n, 'body', repeat('word ', 50))) FROM generate_series(1, 40000) n))}])
	{
		my ($what, $statement) = @$try;
		$session->{stderr} = '';
		$session->query("\\set VERBOSITY verbose\n$statement;");
		like($session->{stderr}, qr/ERROR:\s+53200/, "$what: out of memory is an error");
		is($session->query('SELECT pg_backend_pid()'), $backend, 'and the session goes on');
	}
	$session->quit;
}
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|segfault|signal 11|signal 6/, 'no crash');
$node->stop;
done_testing();
