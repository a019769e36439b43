# Events poured into a database while things go wrong with it, and what one pass over the same events gives. For tests of faults.
package Load;
use strict;
use warnings;

our $config = q{
	CREATE EXTENSION pg_revops;
	SELECT revops.put_signal('view', 'interest', 1, '{"kind": "view"}');
	SELECT revops.put_signal('price', 'price', 4, '{"object": {"prefix": "/price"}}', daily_cap => 9);
	SELECT revops.put_rule('thrice', '{"title": "Three views", "when": {"kind": "view"}, "count": {"at_least": 3, "within": "30 minutes"}, "intent": {"intent": "interest", "weight": 5}}');
	SELECT revops.put_rule('stay', '{"title": "Stays", "per": "account", "when": {"kind": "view"}, "sum": {"of": "dwell", "at_least": "5 minutes", "within": "1 hour"}, "cooldown": "6 hours", "intent": {"intent": "price", "weight": 2.5}}');
	INSERT INTO revops.person (person, account) SELECT 'p' || g, 'a' || g % 7 FROM generate_series(0, 39) g;
};

# one statement that writes n events at random times of ten days, so that many arrive late; day: where these begin. again: others each time that it runs
sub events
{
	my ($n, $day, $again) = @_;
	my $salt = $again ? '(SELECT (random() * 1000000000)::int)' : int(rand(1 << 30));
	$day //= '2026-05-01';
	return qq{
		INSERT INTO revops.event (occurred_at, person, kind, object, dwell)
		SELECT timestamptz '$day' + (hashint8(g + $salt) & 1048575) * interval '0.8 s', 'p' || (hashint8(g * 7 + $salt) & 1023) % 50,
		       'view', CASE WHEN g % 3 = 0 THEN '/price' ELSE '/doc' END, (g % 130) * interval '1 s'
		FROM generate_series(1, $n) g};
}

our $idle = 'SELECT coalesce(sum(backlog + repairs), 0) = 0 AND count(*) > 0 FROM revops.stream_status';

our $result = q{
	SELECT 'score', subject_kind, subject, intent, round(rank::numeric, 6)::text, events::text FROM revops.intent_state
	UNION ALL
	SELECT 'moment', subject_kind, subject, rule, occurred_at::text, evidence::text FROM revops.moment WHERE retracted_at IS NULL
	ORDER BY 1, 2, 3, 4, 5, 6};

# What differs between the results in a database and those of one pass over its events, and those of another table, made in a new database:
# '' where nothing does.
sub difference
{
	my ($node, $db, $also) = @_;
	my $oracle = "${db}_oracle";
	my $columns = 'event_id, occurred_at, person, account, kind, object, dwell';
	my $file = $node->basedir . "/$db.csv";
	my $live = $node->safe_psql($db, $result);

	$node->safe_psql('postgres', "CREATE DATABASE $oracle");
	$node->safe_psql($oracle, $config);
	$node->safe_psql($oracle, q{DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$});
	my $table = defined $also ? "(SELECT $columns FROM revops.event UNION ALL SELECT $columns FROM $also) e" : 'revops.event';
	$node->safe_psql($db, "COPY (SELECT $columns FROM $table ORDER BY occurred_at, event_id) TO '$file'");
	$node->safe_psql($oracle, "COPY revops.event ($columns) FROM '$file'");
	$node->safe_psql($oracle, 'SET revops.batch_size = 1000000; SELECT revops.process()');
	my $once = $node->safe_psql($oracle, $result);
	$node->safe_psql('postgres', "DROP DATABASE $oracle");
	return '' if $once eq $live;
	my %o = map { $_ => 1 } split /\n/, $once;
	my %l = map { $_ => 1 } split /\n/, $live;
	return join("\n", map({ "only live: $_" } (grep { !$o{$_} } sort keys %l)), map({ "only in one pass: $_" } (grep { !$l{$_} } sort keys %o)));
}

1;
