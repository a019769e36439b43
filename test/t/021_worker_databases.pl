# Workers in several databases, and the commands that want a database to themselves.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('databases');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '100ms'\n");
$node->start;

sub sql { return $node->safe_psql($_[0], $_[1]); }
sub workers { return "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_revops worker' AND datname = '$_[0]'"; }
sub event { return sql($_[0], "SELECT revops.track('page_view', person => '$_[1]')"); }
sub wait_scored
{
	my ($db, $person, $what) = @_;
	return ok( $node->poll_query_until($db, "SELECT count(*) = 1 FROM revops.intent_score WHERE subject = '$person' AND intent = 'interest'"), $what);
}
sub wait_workers
{
	my ($db, $n, $what) = @_;
	return ok($node->poll_query_until('postgres', "SELECT (" . workers($db) . ") = $n"), $what);
}
sub install
{
	my ($db) = @_;
	sql($db, "CREATE EXTENSION pg_revops; SELECT revops.put_signal('visit', 'interest', 1, '{\"kind\": \"page_view\"}')");
}

sql('postgres', "CREATE DATABASE $_") for qw(east west plain);
install($_) for qw(east west);
event('east', 'ada');
event('west', 'bob');
wait_scored('east', 'ada', 'the worker of the first database does its events');
wait_scored('west', 'bob', 'the worker of the second database does its own');
is(sql('east', "SELECT count(*) FROM revops.intent_score WHERE subject = 'bob'"), '0', 'and no other');
is(sql('postgres', workers('plain')), '0', 'a database without pg_revops has no worker');
sql('east', 'SELECT revops.stop_worker()');
is(sql('west', "SELECT count(*) FROM revops.worker_stats() WHERE pid IS NOT NULL"), '1', 'stop_worker() stops the workers of its database only');
sql('east', 'SELECT revops.start_worker()');

# a database as template, with its worker at work
my $log = -s $node->logfile;
sql('east', "INSERT INTO revops.event (person, kind) SELECT 'p' || n, 'page_view' FROM generate_series(1, 20000) n");
sql('postgres', 'CREATE DATABASE copy TEMPLATE east');
wait_workers('copy', 1, 'a copy of a database gets its own worker');
wait_workers('east', 1, 'the original has its worker again');
event($_, 'cyd') for qw(east copy);
wait_scored($_, 'cyd', "and $_ goes on") for qw(east copy);
for my $db (qw(east copy))
{
	ok($node->poll_query_until($db, "SELECT count(*) = 20000 FROM revops.intent_score WHERE subject LIKE 'p%'"), "$db has all scores");
	is(sql($db, 'SELECT count(*) FROM revops.intent_score WHERE score > 1.0001'), '0', "$db has counted nothing twice");
}

# rename, move
sql('postgres', 'ALTER DATABASE west RENAME TO occident');
wait_workers('occident', 1, 'a renamed database has its worker again');
event('occident', 'dan');
wait_scored('occident', 'dan', 'and it goes on');
my $dir = PostgreSQL::Test::Utils::tempdir();
sql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$dir'");
sql('postgres', 'ALTER DATABASE occident SET TABLESPACE elsewhere');
event('occident', 'eve');
wait_scored('occident', 'eve', 'so does one in another tablespace');

# templates rest
sql('postgres', 'ALTER DATABASE copy IS_TEMPLATE true');
wait_workers('copy', 0, 'the worker leaves a database that became a template');
sql('postgres', 'CREATE DATABASE another TEMPLATE copy');
wait_workers('another', 1, 'a copy of the template gets a worker');
sql('postgres', 'ALTER DATABASE copy IS_TEMPLATE false');
wait_workers('copy', 1, 'and the database when it is none any more');

# drop under a busy worker
sql('occident', "INSERT INTO revops.event (person, kind) SELECT 'p' || n, 'page_view' FROM generate_series(1, 20000) n");
sql('postgres', 'DROP DATABASE occident');
is(sql('postgres', workers('occident')), '0', 'DROP DATABASE under a busy worker');
for my $round (1 .. 5)
{
	sql('postgres', 'CREATE DATABASE brief TEMPLATE east');
	sql('brief', "INSERT INTO revops.event (person, kind) SELECT 'q' || n, 'page_view' FROM generate_series(1, 5000) n");
	sql('postgres', 'DROP DATABASE brief');
}
pass('five times over, without waiting for the worker to come');

# a drop that fails leaves the database with its worker
my ($rc, $out, $err) = $node->psql('postgres', 'BEGIN; DROP DATABASE east; COMMIT');
isnt($rc, 0, 'DROP DATABASE fails in a transaction block');
event('east', 'fay');
wait_scored('east', 'fay', 'after which the worker is there again');
sql('postgres', 'CREATE ROLE nobody LOGIN');
my $pid = sql('east', 'SELECT pid FROM revops.worker_stats()');
$node->psql('postgres', 'SET ROLE nobody; DROP DATABASE east');
is(sql('east', 'SELECT pid FROM revops.worker_stats()'), $pid, 'who may not drop a database does not disturb its worker');
unlike(slurp_file($node->logfile, $log), qr/PANIC:|server process .* was terminated/, 'no crash in the log');
$node->stop;

# too few background workers: said once, and made good when one is free. Two are taken by PostgreSQL's own launcher and ours.
my $small = PostgreSQL::Test::Cluster->new('small');
$small->init;
$small->append_conf('postgresql.conf',
	"shared_preload_libraries = 'pg_revops'\nrevops.naptime = '100ms'\nmax_worker_processes = 3\nmax_parallel_workers = 0\n");
$small->start;
$small->safe_psql('postgres', 'CREATE DATABASE east');
$small->safe_psql('postgres', 'CREATE DATABASE west');
for my $db (qw(east west))
{
	$small->safe_psql($db, 'CREATE EXTENSION pg_revops');
	$small->poll_query_until('postgres', "SELECT (" . workers('east') . ") = 1") if $db eq 'east';
}
ok($small->poll_query_until('west', "SELECT pg_read_file('$_') ~ 'WARNING: +no background worker is free'"), 'the log tells that max_worker_processes is too low')
  for $small->logfile;
$small->safe_psql('east', 'DROP EXTENSION pg_revops');
ok($small->poll_query_until('west', 'SELECT pid IS NOT NULL FROM revops.worker_stats()'), 'the database that waited gets the worker that became free');
my $said = () = slurp_file($small->logfile) =~ /WARNING:  no background worker is free/g;
is($said, 1, 'said once');
$small->stop;
done_testing();
