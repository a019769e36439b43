# pg_dump and restore into another cluster: every row comes back, nothing is processed twice, nothing is skipped.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $result = q{
	SELECT 'score', subject_kind, subject, intent, round(rank::numeric, 6)::text, events::text FROM revops.intent_state
	UNION ALL
	SELECT 'moment', subject_kind, subject, rule, occurred_at::text, evidence::text FROM revops.moment WHERE retracted_at IS NULL
	ORDER BY 1, 2, 3, 4, 5, 6};
my $insert = q{
	INSERT INTO revops.event (event_id, occurred_at, person, kind)
	SELECT md5(g::text)::uuid, '2026-04-01'::timestamptz + g * interval '40 seconds', 'p' || g % 9, 'view' FROM generate_series(%d, %d) g};

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.worker = off\n");
$old->start;
$old->safe_psql('postgres', q{
	CREATE EXTENSION pg_revops;
	SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}', daily_cap => 100);
	SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "30 minutes"}}');
	SELECT revops.make_partition('2026-04-01')});
$old->safe_psql('postgres', sprintf($insert, 1, 900));
# a batch is left open in the middle, and more events wait
$old->safe_psql('postgres', 'SELECT revops.process(500)');
$old->safe_psql('postgres', sprintf($insert, 901, 1000));
my $dump = $old->basedir . '/dump';
$old->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $old->connstr('postgres') ], 'pg_dump');
$old->safe_psql('postgres', 'SELECT revops.process()');
$old->safe_psql('postgres', sprintf($insert, 1001, 1200));
$old->safe_psql('postgres', 'SELECT revops.process()');
my $truth = $old->safe_psql('postgres', $result);

for my $preload (0, 1)
{
	my $new = PostgreSQL::Test::Cluster->new("new$preload");
	$new->init;
	$new->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\n") if $preload;
	$new->start;
	# let the new cluster's transaction ids run on, so that they mean other things
	$new->safe_psql('postgres', 'CREATE TABLE x (i int)');
	$new->safe_psql('postgres', join(';', map { "INSERT INTO x VALUES ($_)" } 1 .. 300));
	$new->safe_psql('postgres', 'CREATE DATABASE restored');
	$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('restored'), $dump ], "pg_restore, preload $preload");
	is($new->safe_psql('restored', 'SELECT count(*) FROM revops.event'), '1000', 'every event came back');
	is($new->safe_psql('restored', 'SELECT sum(events) FROM revops.intent_state'), '500', 'the results too, and nothing ran ahead of the restore');
	$new->safe_psql('restored', sprintf($insert, 1001, 1200));
	if ($preload)
	{
		$new->poll_query_until('restored', q{SELECT bool_or(state LIKE 'paused%') FROM revops.worker_stats()});
		$new->safe_psql('restored', 'SELECT revops.start_worker()');
		$new->poll_query_until('restored', 'SELECT sum(events) = 1200 FROM revops.stream_lane') or die 'not worked off';
	}
	else
	{
		is($new->safe_psql('restored', 'SELECT revops.process()'), '700', 'what waited is taken, and only that');
	}
	is($new->safe_psql('restored', $result), $truth, 'the results are as if there had been no restore');
	is($new->safe_psql('restored', 'SELECT revops.process()'), '0', 'nothing is left');
	my $index = $new->safe_psql('restored', q{SELECT count(*) FROM pg_index WHERE indrelid = 'revops.event_20260401'::regclass});
	is($index, $old->safe_psql('postgres', q{SELECT count(*) FROM pg_index WHERE indrelid = 'revops.event_20260401'::regclass}), 'a partition has its indexes');
	$new->stop;
}

# to another cluster and back again: what was taken there is not taken once more, and what has come here meanwhile is
{
	my @node = map { PostgreSQL::Test::Cluster->new("travel$_") } 0, 1;
	for my $node (@node)
	{
		$node->init;
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
	}
	$node[0]->safe_psql('postgres', q{SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}', daily_cap => 100)});
	my ($last, $n) = (0, 0);
	for my $round (0 .. 3)
	{
		my ($here, $there) = @node[ $round % 2, 1 - $round % 2 ];
		$here->safe_psql('postgres', sprintf($insert, $last + 1, $last + 30));
		$here->safe_psql('postgres', 'SELECT revops.process()');
		$here->safe_psql('postgres', sprintf($insert, $last + 31, $last + 40));    # waits
		$here->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.travel$round", '-d', $here->connstr('postgres') ], "journey $round");
		$there->safe_psql('postgres', 'DROP EXTENSION pg_revops; DROP SCHEMA IF EXISTS revops CASCADE');
		$there->command_ok([ 'pg_restore', '--exit-on-error', '-d', $there->connstr('postgres'), "$dump.travel$round" ], 'and restore');
		$there->safe_psql('postgres', sprintf($insert, $last + 41, $last + 50));    # before the first pass there
		$last += 50;
		is($there->safe_psql('postgres', 'SELECT revops.process()'), '20', 'what waited and what came since is taken');
		is($there->safe_psql('postgres', 'SELECT revops.process()'), '0', 'once');
		is($there->safe_psql('postgres', 'SELECT sum(events) FROM revops.intent_state'), $last, 'and all of it counts once');
	}
}

# a dump from before the first pass: there is no cursor, and nothing of it may be skipped
{
	my $node = PostgreSQL::Test::Cluster->new('early');
	$node->init;
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE early; CREATE DATABASE later');
	$node->safe_psql('early', 'CREATE EXTENSION pg_revops');
	$node->safe_psql('early', sprintf($insert, 1, 40));
	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.early", '-d', $node->connstr('early') ], 'pg_dump before the first pass');
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('later'), "$dump.early" ], 'and its restore');
	$node->safe_psql('later', sprintf($insert, 41, 50));
	is($node->safe_psql('later', 'SELECT revops.process()'), '50', 'all of it is taken, and what came since');
	is($node->safe_psql('later', 'SELECT revops.process()'), '0', 'once');
}

# the history of stages, in whatever order its tables are restored
{
	my $node = PostgreSQL::Test::Cluster->new('order');
	$node->init;
	$node->start;
	my $history = q{SELECT 'history', h.* FROM revops.stage_history h ORDER BY 1, 2, 3};
	my $requests = q{SELECT 'request', r.* FROM revops.stage_request r ORDER BY 1, 2};
	$node->safe_psql('postgres', 'CREATE DATABASE stages');
	$node->safe_psql('stages', q{
		CREATE EXTENSION pg_revops;
		SELECT revops.put_pipeline('sales', '{"default": true, "stages": ["a", "b", "c"]}');
		SELECT revops.train_stages('sales');
		INSERT INTO revops.opportunity (opportunity, stage, stage_since) SELECT 'o' || n, 'a', '2026-01-01'::timestamptz + n * interval '1 hour' FROM generate_series(1, 500) n;
		SET revops.change_origin = 'source';
		UPDATE revops.opportunity SET stage = 'b', stage_since = '2026-02-01';
		SELECT revops.process();
		TRUNCATE revops.stage_request});
	my $truth = $node->safe_psql('stages', $history);
	is(scalar(split /\n/, $truth), 1000, 'opportunities have moved');
	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.stages", '-d', $node->connstr('stages') ], 'pg_dump of opportunities');
	my $out;
	IPC::Run::run([ 'pg_restore', '-l', "$dump.stages" ], '>', \$out) or die "pg_restore -l";
	my @lines = grep { /^\d/ } split /\n/, $out;
	my $is = sub { my ($table) = @_; return grep { /TABLE DATA revops $table / } @lines; };
	my @late = map { $is->($_) } qw(stage_history opportunity pipeline);
	is(scalar(@late), 3, 'the tables are in the list');
	my %late = map { $_ => 1 } @late;
	my $round = 0;
	for my $order ([@late], [ reverse @late ])
	{
		my $db = 'stages' . ++$round;
		my ($before, $after) = ([], []);
		push @{ /TABLE DATA|SEQUENCE SET|INDEX|CONSTRAINT|TRIGGER/ ? $after : $before }, $_ for grep { !$late{$_} } @lines;
		append_to_file("$dump.list$round", join('', map { "$_\n" } @$before, @$order, @$after));
		$node->safe_psql('postgres', "CREATE DATABASE $db");
		$node->command_ok([ 'pg_restore', '--exit-on-error', '-L', "$dump.list$round", '-d', $node->connstr($db), "$dump.stages" ], "restored in order $round");
		is($node->safe_psql($db, $history), $truth, 'the history is as it was');
		is($node->safe_psql($db, $requests), '', 'and no estimate is asked for anew');
	}
	# while rows that people load, with COPY or otherwise, make history
	$node->safe_psql('postgres', 'CREATE DATABASE loaded');
	$node->safe_psql('loaded', "CREATE EXTENSION pg_revops;\nCOPY revops.opportunity (opportunity, stage) FROM STDIN;\no1\ta\n\\.\n");
	is($node->safe_psql('loaded', 'SELECT opportunity, stage, origin FROM revops.stage_history'), 'o1|a|person', 'a COPY of opportunities makes history');
}
done_testing();
