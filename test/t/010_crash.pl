# Kill the workers and the server in the middle of batches, twenty times, while events pour in: the results are those of one pass.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.batch_size = 50\nrestart_after_crash = on\nautovacuum = off\n");
$node->start;
my $config = q{
	CREATE EXTENSION pg_revops;
	SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}');
	SELECT revops.put_signal('price', 'price', 4, '{"object": {"prefix": "/price"}}', daily_cap => 9);
	SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "30 minutes"}, "intent": {"intent": "interest", "weight": 5}}');
	SELECT revops.put_rule('stay', '{"title": "Stays", "per": "account", "when": {"kind": "view"}, "sum": {"of": "dwell", "at_least": "5 minutes", "within": "1 hour"}, "cooldown": "6 hours", "intent": {"intent": "price", "weight": 2.5}}');
	INSERT INTO revops.person (person, account) SELECT 'p' || g, 'a' || g % 7 FROM generate_series(0, 39) g;
};
$node->safe_psql('postgres', "CREATE DATABASE live; CREATE DATABASE oracle;");
$node->safe_psql('live', $config);

my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";
my $written = 0;

# events at random times of ten days, so that many arrive late
sub pour
{
	my ($n) = @_;
	my $salt = int(rand(1 << 30));
	# a server that is just going down takes nothing: that is part of the game
	eval { $node->psql('live', qq{
		INSERT INTO revops.event (occurred_at, person, kind, object, dwell)
		SELECT timestamptz '2026-05-01' + (hashint8(g + $salt) & 1048575) * interval '0.8 s', 'p' || (hashint8(g * 7 + $salt) & 1023) % 50,
		       'view', CASE WHEN g % 3 = 0 THEN '/price' ELSE '/doc' END, (g % 130) * interval '1 s'
		FROM generate_series(1, $n) g}) };
}

for my $round (1 .. 20)
{
	pour(200 + int(rand(400))) for 1 .. 3;
	if ($round % 2)
	{
		# whatever the worker is at: the postmaster restarts everything
		$node->poll_query_until('live', 'SELECT count(pid) > 0 FROM revops.worker_stats()') or die "no worker";
		my $pid = $node->safe_psql('live', q{SELECT coalesce(max(pid), 0) FROM revops.worker_stats() WHERE pid IS NOT NULL});
		pour(300);
		kill 'KILL', $pid if $pid > 0;
		# it is listed until the server has started over
		$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)") or die "no restart";
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	$node->poll_query_until('live', 'SELECT count(*) >= 0 FROM revops.event') or die "not up";
}
my $last = $node->safe_psql('live', 'SELECT count(*) FROM revops.event');
cmp_ok($last, '>', 10000, "events poured in: $last");
$node->poll_query_until('live', 'SELECT coalesce(sum(backlog + repairs), 0) = 0 AND count(*) > 0 FROM revops.stream_status')
  or die "the backlog was not worked off";

my $result = q{
	SELECT 'score', subject_kind, subject, intent, round(rank::numeric, 6)::text, events::text FROM revops.intent_state
	UNION ALL
	SELECT 'moment', subject_kind, subject, rule, occurred_at::text, evidence::text FROM revops.moment WHERE retracted_at IS NULL
	ORDER BY 1, 2, 3, 4, 5, 6};
my $columns = 'event_id, occurred_at, person, account, kind, object, dwell';
my $live = $node->safe_psql('live', $result);

# one pass over the same events, in another database
$node->safe_psql('oracle', $config);
$node->safe_psql('oracle', 'SELECT revops.stop_worker()');
my $file = $node->basedir . '/events.csv';
$node->safe_psql('live', "COPY (SELECT $columns FROM revops.event ORDER BY occurred_at, event_id) TO '$file'");
$node->safe_psql('oracle', "COPY revops.event ($columns) FROM '$file'");
$node->safe_psql('oracle', 'SET revops.batch_size = 1000000; SELECT revops.process()');
my $oracle = $node->safe_psql('oracle', $result);
is($live eq $oracle ? 'equal' : 'different', 'equal', 'after twenty crashes the results are those of one pass');
if ($live ne $oracle)
{
	my %o = map { $_ => 1 } split /\n/, $oracle;
	my %l = map { $_ => 1 } split /\n/, $live;
	diag "only live: $_" for (grep { !$o{$_} } sort keys %l)[0 .. 4];
	diag "only oracle: $_" for (grep { !$l{$_} } sort keys %o)[0 .. 4];
}
is($node->safe_psql('live', 'SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
is($node->safe_psql('live', 'SELECT events FROM revops.stream_lane'), $last, 'each event was taken once');
done_testing();
