# Monitoring: the checks of revops.health() that need another server setting or a worker, what pg_stat_activity shows, and a log that
# says an error once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('health');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "revops.naptime = '100ms'\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub check { return sql("SELECT ok FROM revops.health() WHERE check_name = '$_[0]'"); }
sub wait_for { my ($query, $what) = @_; return ok($node->poll_query_until('postgres', $query), $what); }
sub wait_for_check { my ($check, $ok, $what) = @_; return wait_for("SELECT ok = $ok FROM revops.health() WHERE check_name = '$check'", $what); }
sub logged { my ($since, $what) = @_; my @lines = slurp_file($node->logfile, $since) =~ /$what/g; return scalar @lines; }

sql('CREATE EXTENSION pg_revops');
is(check('preload'), 'f', 'not preloaded: bad');
is(check('worker'), 't', 'where there can be no worker, none is missed');
like(sql("SELECT hint FROM revops.health() WHERE check_name = 'preload'"), qr/shared_preload_libraries/, 'and the hint says what to do');

my $cron = -e (`pg_config --sharedir` =~ s/\s+$//r) . '/extension/pg_cron.control';
$node->append_conf('postgresql.conf', 'shared_preload_libraries = \'pg_revops' . ($cron ? ',pg_cron' : '') . "'\n" . ($cron ? "cron.database_name = 'postgres'\n" : ''));
$node->restart;
is(check('preload'), 't', 'preloaded: good');
wait_for_check('worker', 'true', 'a worker runs: good');
sql('SELECT revops.set_lanes(2)');
wait_for_check('worker', 'true', 'one for each lane');
like(sql("SELECT detail FROM revops.health() WHERE check_name = 'worker'"), qr/lane 0: .*lane 1: /, 'both are named');

# what pg_stat_activity shows
wait_for("SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pg_revops worker' AND query ~ '^pg_revops lane [01] of 2: waiting for events'",
	'pg_stat_activity says what they are at');
my $version = sql('SHOW server_version_num');
wait_for("SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pg_revops worker' AND wait_event_type = 'Extension' AND wait_event = '"
	  . ($version >= 170000 ? 'RevopsWorkerMain' : 'Extension') . "'", 'and what they wait for');

# stopped and started
sql('SELECT revops.stop_worker()');
is(check('worker'), 'f', 'stopped: bad');
sql('SELECT revops.start_worker()');
wait_for_check('worker', 'true', 'started: good');

# a pass that fails, again and again
my $log = -s $node->logfile;
sql('CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION \'out of order\'; END$$');
sql('CREATE TRIGGER refuse BEFORE UPDATE ON revops.stream_lane FOR EACH ROW EXECUTE FUNCTION refuse()');
sql("SELECT revops.track('view', person => 'ada')");
wait_for_check('worker', 'false', 'a pass that fails: bad');
like(sql("SELECT detail FROM revops.health() WHERE check_name = 'worker'"), qr/failing: out of order/, 'with the error');
sql('SELECT revops.start_worker()') for 1 .. 5;    # each ends the wait after an error
my $first = sql('SELECT max(last_error_at) FROM revops.worker_stats()');
sql('SELECT revops.start_worker()');
wait_for("SELECT max(last_error_at) > '$first' FROM revops.worker_stats()", 'it fails again');
cmp_ok(logged($log, qr/ERROR:  out of order/), '<=', 2, 'which each worker logs once');
cmp_ok(logged($log, qr/ERROR:  out of order/), '>=', 1, 'and not less');
sql('DROP TRIGGER refuse ON revops.stream_lane');
sql('SELECT revops.start_worker()');
wait_for_check('worker', 'true', 'mended: good');
wait_for_check('lag', 'true', 'and nothing waits');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM revops.stream_status WHERE backlog > 0"), 'the event was taken');
cmp_ok(logged($log, qr/works again/), '>=', 1, 'the log says that it works again');

# many events that fail alike
sql('SELECT revops.set_lanes(1)');
sql(q{SELECT revops.put_playbook('call', 'Call', '[{"title": "Call", "channel": "call", "message": "Hello"}]')});
sql(q{SELECT revops.put_rule('any', '{"when": {"kind": "ask"}, "playbook": "call"}')});
sql('CREATE TRIGGER refuse BEFORE INSERT ON revops.task FOR EACH ROW EXECUTE FUNCTION refuse()');
$log = -s $node->logfile;
sql("INSERT INTO revops.event (kind, person) SELECT 'ask', 'p' || n FROM generate_series(1, 40) n");
wait_for('SELECT count(*) = 40 FROM revops.failed_event', 'forty events are in quarantine');
is(logged($log, qr/is in quarantine: out of order/), 1, 'the log says so once');
wait_for_check('quarantine', 'false', 'quarantine: bad');
sql('DROP TRIGGER refuse ON revops.task');
is(sql('SELECT revops.retry_failed()'), '40', 'mended, they are taken');
is(check('quarantine'), 't', 'quarantine: good');

# jobs
SKIP:
{
	skip 'pg_cron is not installed', 5 unless $cron;
	is(check('jobs'), 't', 'without pg_cron in the database there is nothing to check');
	sql('CREATE EXTENSION pg_cron');
	is(check('jobs'), 'f', 'jobs that are not scheduled: bad');
	# no run of pg_cron's own comes in between when a minute ends here
	sql("BEGIN; SELECT revops.schedule_jobs(); UPDATE cron.job SET schedule = '0 0 29 2 *'; COMMIT");
	is(check('jobs'), 't', 'scheduled: good');
	sql("INSERT INTO cron.job_run_details (jobid, runid, status, return_message, start_time) SELECT jobid, 1000000, 'failed', 'no luck', now() FROM cron.job WHERE jobname = 'revops retention'");
	like(sql("SELECT detail FROM revops.health() WHERE check_name = 'jobs' AND NOT ok"), qr/retention: failed at .*no luck/, 'the last run failed: bad');
	sql("INSERT INTO cron.job_run_details (jobid, runid, status, start_time) SELECT jobid, 1000001, 'succeeded', now() FROM cron.job WHERE jobname = 'revops retention'");
	is(check('jobs'), 't', 'the next one did not: good');
}

# a standby answers too, and misses no worker
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('health_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', "SELECT string_agg(check_name, ', ') FROM revops.health() WHERE NOT ok AND check_name IN ('preload', 'worker', 'lag', 'epoch', 'version')"),
	'', 'on a standby nothing is missed');
like($standby->safe_psql('postgres', "SELECT detail FROM revops.health() WHERE check_name = 'worker'"), qr/standby/, 'and the check of the worker says why');
$standby->stop;
$node->stop;
done_testing();
