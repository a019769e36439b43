# Real events through the whole stream: web events as a tracker sent them, shop sessions, a CRM's pipeline. Counts against plain SQL.
use strict;
use warnings;
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{REVOPS_DATA} // '../shared/data';
plan skip_all => "the data folder $data is not there" unless -d "$data/clicks";

my $node = PostgreSQL::Test::Cluster->new('real');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.worker = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

# a CSV with a header as a table of text columns
sub load
{
	my ($table, $file) = @_;
	open my $f, '<', "$data/$file" or die "$data/$file: $!";
	my $header = <$f>;
	close $f;
	$header =~ s/\s+$//;
	$header =~ s/^\x{FEFF}|^\xEF\xBB\xBF//;
	my $columns = join ', ', map { "\"$_\" text" } split /,/, $header;
	my $path = File::Spec->rel2abs("$data/$file");
	$node->safe_psql('postgres', "CREATE TABLE $table ($columns)");
	$node->run_log([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "\\copy $table FROM '$path' CSV HEADER" ]);
	return $node->safe_psql('postgres', "SELECT count(*) FROM $table");
}

$node->safe_psql('postgres', q{
	SELECT revops.put_signal('any web event', 'web', 1, '{"channel": "web"}', subjects => '{person}');
	SELECT revops.put_signal('order', 'order', 5, '{"kind": "orders"}');
	SELECT revops.put_signal('engaged', 'deal', 2, '{"kind": "engaged"}', half_life => '90 days');
	SELECT revops.put_signal('won', 'deal', 10, '{"kind": "won"}');
	SELECT revops.put_rule('ordered', '{"title": "Ordered", "when": {"kind": "orders"}}');
	SELECT revops.put_rule('browsing', '{"title": "Ten clicks in ten minutes", "when": {"kind": "clicks"}, "count": {"at_least": 10, "within": "10 minutes"}, "cooldown": "1 hour"}');
	SELECT revops.put_rule('three wins', '{"title": "Three wins in a month", "per": "account", "when": {"kind": "won"}, "count": {"at_least": 3, "within": "30 days"}}');
});

# web events, with their duplicates
my $rows = load('snowplow', 'clicks/snowplow_events.csv');
my $ids = $node->safe_psql('postgres', 'SELECT count(DISTINCT event_id) FROM snowplow');
my $batch = q{SELECT accepted, duplicates, rejected FROM revops.track_batch((SELECT jsonb_agg(to_jsonb(s)) FROM snowplow s))};
is($node->safe_psql('postgres', $batch), "$ids|" . ($rows - $ids) . '|0', "snowplow: $rows rows, $ids events");
is($node->safe_psql('postgres', $batch), "0|$rows|0", 'sent again, they change nothing');
is($node->safe_psql('postgres', 'SELECT count(*) FROM revops.event'), $ids, 'each is there once');
is($node->safe_psql('postgres', 'SELECT revops.process()'), $ids, 'all are processed');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT person, count(*) FROM revops.event WHERE channel = 'web' AND NOT ahead AND person IS NOT NULL GROUP BY 1
		EXCEPT SELECT subject, events FROM revops.intent_state WHERE intent = 'web' AND subject_kind = 'person') x}),
	'0', 'scores count each event of each visitor');

# shop sessions
my $clicks = load('otto', 'clicks/otto_sample.csv');
$node->safe_psql('postgres', q{
	INSERT INTO revops.event (occurred_at, person, kind, object, channel)
	SELECT to_timestamp(ts_ms::float8 / 1000), 'otto-' || session, type, item, 'shop' FROM otto ORDER BY md5(session || ts_ms)});
is($node->safe_psql('postgres', 'SELECT revops.process()'), $clicks, "otto: $clicks events, in no order");
is($node->safe_psql('postgres', q{SELECT count(*) FROM revops.moment WHERE rule = 'ordered' AND retracted_at IS NULL}),
	$node->safe_psql('postgres', q{SELECT count(*) FROM otto WHERE type = 'orders'}), 'an order, a moment');
# an oracle written apart: walk each session
my $walk = $node->safe_psql('postgres', q{
	CREATE FUNCTION walk() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE r record; who text := ''; w timestamptz[]; until timestamptz; n bigint := 0;
	BEGIN
		FOR r IN SELECT person, occurred_at AS at FROM revops.event WHERE kind = 'clicks' ORDER BY person, occurred_at, event_id LOOP
			IF r.person <> who THEN who := r.person; w := '{}'; until := '-infinity'; END IF;
			w := ARRAY(SELECT x FROM unnest(w || r.at) x WHERE x > r.at - interval '10 minutes');
			IF cardinality(w) >= 10 AND r.at >= until THEN n := n + 1; w := '{}'; until := r.at + interval '1 hour'; END IF;
		END LOOP;
		RETURN n;
	END $$;
	SELECT walk()});
is($node->safe_psql('postgres', q{SELECT count(*) FROM revops.moment WHERE rule = 'browsing' AND retracted_at IS NULL}), $walk,
	"ten clicks in ten minutes: $walk moments, as walking through finds");

# a CRM's pipeline
load('accounts', 'crm/accounts.csv');
load('teams', 'crm/sales_teams.csv');
my $deals = load('pipeline', 'crm/sales_pipeline.csv');
is($deals, '8800', 'crm: 8,800 opportunities');
$node->safe_psql('postgres', q{
	INSERT INTO revops.territory (territory, name) SELECT DISTINCT regional_office, regional_office FROM teams;
	INSERT INTO revops.unit (unit, name, territory) SELECT DISTINCT manager, manager, regional_office FROM teams;
	INSERT INTO revops.rep (rep, name, unit) SELECT sales_agent, sales_agent, manager FROM teams;
	INSERT INTO revops.account (account, name, industry) SELECT account, account, sector FROM accounts;
	INSERT INTO revops.opportunity (opportunity, account, owner, stage, amount, status, opened_at, closed_at)
	SELECT opportunity_id, account, sales_agent, deal_stage, close_value::numeric,
	       CASE deal_stage WHEN 'Won' THEN 'won' WHEN 'Lost' THEN 'lost' ELSE 'open' END, engage_date::timestamptz, close_date::timestamptz FROM pipeline;
	INSERT INTO revops.event (occurred_at, account, opportunity, rep, side, channel, kind)
	SELECT engage_date::timestamptz, account, opportunity_id, sales_agent, 'rep', 'crm', 'engaged' FROM pipeline WHERE engage_date IS NOT NULL
	UNION ALL
	SELECT close_date::timestamptz, account, opportunity_id, sales_agent, 'customer', 'crm', lower(deal_stage) FROM pipeline WHERE close_date IS NOT NULL});
my $steps = $node->safe_psql('postgres', 'SELECT count(engage_date) + count(close_date) FROM pipeline');
is($node->safe_psql('postgres', 'SELECT revops.process()'), $steps, "all $steps steps are processed");
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT account, count(*) FROM revops.event WHERE kind IN ('engaged', 'won') AND account IS NOT NULL GROUP BY 1
		EXCEPT SELECT subject, events FROM revops.intent_state WHERE intent = 'deal' AND subject_kind = 'account') x}),
	'0', 'account scores count each step');
is($node->safe_psql('postgres', q{
	SET revops.as_of = '2018-01-01 00:00+00';
	SELECT count(*) FROM revops.intent_score i, LATERAL (SELECT sum(points) AS p FROM revops.explain_intent(i.subject_kind, i.subject, i.intent)) x
	WHERE intent = 'deal' AND subject_kind = 'account' AND abs(x.p - i.score) > 1e-9 * i.score}), '0', 'and their ledgers sum to them');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM revops.moment WHERE rule = 'three wins' AND retracted_at IS NULL}), '>', 100, 'moments of accounts');
is($node->safe_psql('postgres', 'SELECT count(*) FROM revops.failed_event'), '0', 'nothing is in quarantine');
is($node->safe_psql('postgres', 'SELECT count(*) FROM revops.task'), '0', 'history rings nobody');
$node->safe_psql('postgres', 'SELECT revops.make_partitions()');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'revops.event'::regclass}), '>', 12, 'history has partitions of its own');
is($node->safe_psql('postgres', 'SELECT count(*) FROM revops.event_default'), '0', 'and left the default one');
is($node->safe_psql('postgres', 'SELECT revops.process()'), '0', 'a move is no news');
done_testing();
