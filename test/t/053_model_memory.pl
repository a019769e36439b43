# Models in memory: one copy for all sessions where pg_revops is preloaded, bounded, given back, and gone with a crash; else one for each session.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('models');
$node->init(extra => ['-E', 'UTF8', '--no-locale']);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrestart_after_crash = on\nrevops.worker = off\nlog_min_messages = warning\n");
$node->start;

# a session that stays: what one statement gives
sub session
{
	my ($of) = @_;
	my $s = { in => '', out => '', err => '' };
	$s->{run} = IPC::Run::start([ 'psql', '-XqAt', '-d', $of->connstr('postgres') ], '<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $s;
}

sub ask
{
	my ($s, $query) = @_;
	$s->{out} = '';
	$s->{in} .= "$query;\n\\echo answered\n";
	$s->{run}->pump while $s->{out} !~ /answered\n/;
	(my $answer = $s->{out}) =~ s/\n?answered\n//;
	return $answer;
}

sub finish { my ($s) = @_; $s->{in} .= "\\q\n"; $s->{run}->finish; }

my $status = q{SELECT string_agg(format('%s %s %s %s %s', model, version, deployed, shared, sessions), E'\n' ORDER BY model, version) FROM revops.model_status};
my $train = q{
	SELECT revops.train(m, 'classify', format($q$SELECT 'label' || g %% 150 || ' word' || (g * 7919) %% 997 || ' %1$s' || g %% 31 AS text, 'l' || g %% 150 AS label
		FROM generate_series(1, 3000) g$q$, m), options => '{"max_epochs": 3}') FROM unnest('{one,two,three}'::text[]) m};
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
$node->safe_psql('postgres', $train);
cmp_ok($node->safe_psql('postgres', 'SELECT min(size) FROM revops.model_version'), '>', 1024 * 1024, 'models of more than a megabyte');
is($node->safe_psql('postgres', 'SELECT count(*) FROM revops.model_status'), '0', 'nothing is loaded before somebody asks');

my ($a, $b) = (session($node), session($node));
is(ask($a, q{SELECT revops.best_label('one', 'label7 word3')}), 'l7', 'one session classifies');
is(ask($b, q{SELECT revops.best_label('one', 'label8 word3')}), 'l8', 'and another');
is(ask($a, $status), 'one 1 t t 2', 'they share one copy');
is(ask($b, q{SELECT (SELECT bytes FROM revops.model_status) - (SELECT size FROM revops.model_version WHERE model = 'one') BETWEEN 0 AND 4096}), 't', 'of its size');
SKIP:
{
	skip 'there is no /proc/self/maps to look at', 1 if !-r '/proc/self/maps';
	is(ask($b, q{SELECT count(*) FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), E'\n') l
		WHERE l ~ '^[^ ]+ r--s .*PostgreSQL'}), '1', 'mapped read-only');
}
is(ask($b, q{SELECT count(revops.best_label('two', 'label' || g)) FROM generate_series(1, 200) g}), '200', 'a second model');
is(ask($a, $status), "one 1 t t 2\ntwo 1 t t 1", 'which one session has mapped');
finish($b);
ok($node->poll_query_until('postgres', $status, "one 1 t t 1\ntwo 1 t t 0"), 'a session that ends lets go, and the copies stay');
my $pid = ask($a, 'SELECT pg_backend_pid()');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', $status, "one 1 t t 0\ntwo 1 t t 0"), 'so does one that is terminated');
eval { $a->{run}->kill_kill };

# another database has its own
$node->safe_psql('postgres', 'CREATE DATABASE other');
is($node->safe_psql('other', 'CREATE EXTENSION pg_revops; SELECT count(*) FROM revops.model_status'), '0', 'another database sees none of them');

# versions: the old one's copy stays until there is need of its memory
$a = session($node);
is(ask($a, q{SELECT revops.best_label('one', 'label7 word3')}), 'l7', 'version 1');
$node->safe_psql('postgres', q{SELECT revops.train('one', 'classify', $q$SELECT 'label' || g % 150 || ' word' || g % 997 AS text, 'new' || g % 150 AS label FROM generate_series(1, 3000) g$q$,
	options => '{"max_epochs": 3}'); SELECT revops.deploy('one', 2)});
is(ask($a, q{SELECT revops.best_label('one', 'label7 word3')}), 'new7', 'version 2 once it is deployed');
like(ask($a, $status), qr/^one 1 f t 1\none 2 t t 1\n/, 'both are there');

# a training that is undone leaves nothing to use
is(ask($a, q{BEGIN; SELECT revops.train('gone', 'classify', $q$SELECT 'x' || g % 2 AS text, g % 2 AS label FROM generate_series(1, 50) g$q$); SELECT revops.best_label('gone', 'x1'); ROLLBACK}), "1\n1", 'of this transaction only');
ask($a, q{SELECT revops.best_label('gone', 'x1')});
$a->{run}->pump while $a->{err} !~ /\n/;
like($a->{err}, qr/there is no model "gone"/, 'and is no more');

# little memory: the least recently used are put out, and others go on with what they have until they are done with it
$node->append_conf('postgresql.conf', "revops.model_memory = '1MB'\n");
$node->reload;
ok($node->poll_query_until('postgres', 'SHOW revops.model_memory', '1MB'), 'little memory');
$b = session($node);
is(ask($b, q{SELECT revops.best_label('three', 'label9 word3')}), 'l9', 'a model takes all of it');
is(ask($b, $status), 'three 1 t t 1', 'the others are put out');
is(ask($a, q{SELECT revops.best_label('one', 'label7 word3')}), 'new7', 'and loaded again for who needs them');
is(ask($a, $status), 'one 2 t t 1', 'by turns');
ask($b, 'SELECT 1');
is(ask($b, q{SELECT count(*) FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), E'\n') l WHERE l ~ '^[^ ]+ r--s .*PostgreSQL'}), '0',
	'nobody holds on to what was put out') if -r '/proc/self/maps';
my $script = "$PostgreSQL::Test::Utils::tmp_check/models.sql";
append_to_file($script, q{\set n random(1, 3)
SELECT 1 / (revops.best_label((ARRAY['one', 'two', 'three'])[:n], 'label5 word3') IN ('l5', 'new5'))::int;
});
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '60', '-f', $script, 'postgres' ], 'eight sessions at once, with less memory than they want');
ok($node->poll_query_until('postgres', q{SELECT count(*) <= 1 AND coalesce(bool_and(sessions <= 1), true) FROM revops.model_status}), 'the bound holds, and nobody is counted who has gone');

# parallel workers use it too
is(ask($a, q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; CREATE TABLE texts AS SELECT 'label5 word' || g AS t FROM generate_series(1, 5000) g;
	SELECT count(revops.best_label('two', t)) FROM texts}), '5000', 'in parallel plans');

# a backend that dies at once takes the copies with it, and no more
$pid = ask($b, 'SELECT pg_backend_pid()');
ask($b, q{SELECT revops.best_label('three', 'label9 word3')});
kill 'KILL', $pid;
eval { $_->{run}->kill_kill } foreach ($a, $b);
ok($node->poll_query_until('postgres', q{SELECT coalesce(revops.best_label('three', 'label9 word3'), '')}, 'l9'), 'after a crash a model is loaded again');
ok($node->poll_query_until('postgres', $status, 'three 1 t t 0'), 'and nothing else is there');
$node->stop;
my @log = grep { /PANIC|TRAP|terminated by signal/ } split /\n/, slurp_file($node->logfile);
is(scalar(grep { !/signal 9/ } @log), 0, 'no other crash') or diag join("\n", @log);

# without preloading, each session has its own, within the same bound
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
($a, $b) = (session($node), session($node));
is(ask($_, q{SELECT revops.best_label('three', 'label9 word3')}), 'l9', 'without preloading') foreach ($a, $b);
is(ask($_, $status), 'three 1 t f 1', 'each has its own') foreach ($a, $b);
is(ask($a, q{SELECT revops.best_label('two', 'label9 word3')}), 'l9', 'another model');
is(ask($a, $status), 'two 1 t f 1', 'takes its place');
finish($_) foreach ($a, $b);

# a training takes what revops.train_memory says, storing what it has learned included
SKIP:
{
	skip 'no /proc to read the memory of a process from', 4 unless -r '/proc/self/status';
	my $s = session($node);
	my $pid = ask($s, 'SELECT pg_backend_pid()');
	my $read = sub { my ($what) = @_; slurp_file("/proc/$pid/status") =~ /^$what:\s+(\d+) kB/m or die "no $what"; return $1; };
	ask($s, q{SELECT revops.train('little', 'classify', 'SELECT ''word'' || g % 9 AS text, ''l'' || g % 3 AS label FROM generate_series(1, 60) g')});
	ask($s, "SET revops.train_memory = '160MB'");
	my $before = $read->('VmRSS') - $read->('RssShmem');
	my $version = ask($s, q{SELECT revops.train('large', 'classify', 'SELECT (SELECT string_agg(md5((g * k)::text), '' '') FROM generate_series(1, 20) k) AS text, ''l'' || g % 40 AS label FROM generate_series(1, 300) g', options => '{"max_epochs": 3}')});
	is($version, '1', 'a large model is trained');
	my $size = ask($s, q{SELECT size / 1024 FROM revops.model_version WHERE model = 'large'});
	my $peak = $read->('VmHWM') - $read->('RssShmem') - $before;
	cmp_ok($size, '>', 8 * 1024, "which has $size kB");
	cmp_ok($peak, '<', 160 * 1024, "at its peak the session had $peak kB more");
	like(ask($s, q{SELECT after ->> 'parameters' FROM revops.audit_log WHERE what = 'model_version' AND after ->> 'model' = 'large'}), qr/^\d+ bytes$/, 'the log of changes has its size');
	finish($s);
}
$node->stop;
done_testing();
