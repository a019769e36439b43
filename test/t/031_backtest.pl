# backtest_summary() over real events: shop sessions and a CRM's pipeline, against plain SQL; and against what the stream found.
use strict;
use warnings;
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{REVOPS_DATA} // '../shared/data';
plan skip_all => "the data folder $data is not there" unless -d "$data/clicks";

my $node = PostgreSQL::Test::Cluster->new('backtest');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.worker = off\ntimezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

sub load
{
	my ($table, $file, $columns) = @_;
	my $path = File::Spec->rel2abs("$data/$file");
	$node->safe_psql('postgres', "CREATE TABLE $table ($columns)");
	$node->run_log([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "\\copy $table FROM '$path' CSV HEADER" ]);
}

load('otto', 'clicks/otto_sample.csv', 'session text, item text, type text, ts_ms bigint');
load('pipeline', 'crm/sales_pipeline.csv', 'opportunity_id text, sales_agent text, product text, account text, deal_stage text, engage_date date, close_date date, close_value numeric');
$node->safe_psql('postgres', q{
	INSERT INTO revops.event (occurred_at, person, kind, object, channel)
	SELECT to_timestamp(ts_ms::float8 / 1000), 'otto-' || session, type, item, 'shop' FROM otto;
	INSERT INTO revops.event (occurred_at, account, opportunity, channel, kind)
	SELECT engage_date::timestamptz, account, opportunity_id, 'crm', 'engaged' FROM pipeline WHERE engage_date IS NOT NULL
	UNION ALL SELECT close_date::timestamptz, account, opportunity_id, 'crm', lower(deal_stage) FROM pipeline WHERE close_date IS NOT NULL;
	-- the oracle: from moments (subject, at), active events and conversions, with nothing but EXISTS
	CREATE TABLE active (subject text, at timestamptz);
	CREATE TABLE conversion (subject text, at timestamptz);
	CREATE TABLE found (subject text, at timestamptz);
	CREATE FUNCTION oracle(horizon interval) RETURNS TABLE (moments bigint, subjects bigint, converted_subjects bigint, moment_days bigint,
		conversion_rate numeric, active_days bigint, base_rate numeric, lift numeric) LANGUAGE sql AS $$
		WITH m AS (SELECT subject, at, EXISTS (SELECT FROM conversion c WHERE c.subject = f.subject AND c.at > f.at AND c.at <= f.at + horizon) AS hit FROM found f),
		md AS (SELECT DISTINCT ON (subject, at::date) hit FROM m ORDER BY subject, at::date, at),
		ad AS (SELECT EXISTS (SELECT FROM conversion c WHERE c.subject = d.subject AND c.at > d.at AND c.at <= d.at + horizon) AS hit
			   FROM (SELECT subject, min(at) AS at FROM active GROUP BY subject, at::date) d),
		r AS (SELECT (SELECT avg(hit::int) FROM md) AS conversion, (SELECT avg(hit::int) FROM ad) AS base)
		SELECT (SELECT count(*) FROM m), (SELECT count(DISTINCT subject) FROM m), (SELECT count(DISTINCT subject) FROM m WHERE hit),
			(SELECT count(*) FROM md), round(conversion, 9), (SELECT count(*) FROM ad), round(base, 9), round(conversion / nullif(base, 0), 6) FROM r
	$$});

my $columns = 'moments, subjects, converted_subjects, moment_days, round(conversion_rate::numeric, 9), active_days, round(base_rate::numeric, 9), round(lift::numeric, 6)';

# a cart, then an order
$node->safe_psql('postgres', q{
	INSERT INTO active SELECT person, occurred_at FROM revops.event WHERE person LIKE 'otto-%';
	INSERT INTO conversion SELECT person, occurred_at FROM revops.event WHERE kind = 'orders';
	INSERT INTO found SELECT person, occurred_at FROM revops.event WHERE kind = 'carts'});
for my $horizon ('10 minutes', '72 hours')
{
	my $got = $node->safe_psql('postgres', qq{SELECT $columns FROM revops.backtest_summary('{"when": {"kind": "carts"}}', since => '2022-01-01', until => '2023-01-01',
		converted => '{"kind": "orders"}', horizon => '$horizon')});
	is($got, $node->safe_psql('postgres', "SELECT * FROM oracle('$horizon')"), "carts and orders within $horizon: $got");
}

# a window: the same moments as the stream finds
$node->safe_psql('postgres', q{
	SELECT revops.put_rule('browsing', '{"when": {"kind": "clicks"}, "count": {"at_least": 5, "within": "10 minutes"}, "cooldown": "1 hour"}');
	SELECT revops.process();
	TRUNCATE found;
	INSERT INTO found SELECT subject, occurred_at FROM revops.moment WHERE rule = 'browsing' AND retracted_at IS NULL});
my $browsing = $node->safe_psql('postgres', qq{SELECT $columns FROM revops.rule r, revops.backtest_summary(r.definition, since => '2022-01-01', until => '2023-01-01',
	converted => '{"kind": ["carts", "orders"]}', horizon => '1 day') WHERE r.rule = 'browsing'});
$node->safe_psql('postgres', q{INSERT INTO conversion SELECT person, occurred_at FROM revops.event WHERE kind = 'carts'});
is($browsing, $node->safe_psql('postgres', q{SELECT * FROM oracle('1 day')}), "five clicks in ten minutes: $browsing");
cmp_ok((split /\|/, $browsing)[0], '>', 10, 'there are some');

# deals: of accounts and of opportunities
for my $per ('account', 'opportunity')
{
	$node->safe_psql('postgres', qq{TRUNCATE active, conversion, found;
		INSERT INTO active SELECT $per, occurred_at FROM revops.event WHERE channel = 'crm' AND $per IS NOT NULL;
		INSERT INTO conversion SELECT $per, occurred_at FROM revops.event WHERE kind = 'won' AND $per IS NOT NULL;
		INSERT INTO found SELECT $per, occurred_at FROM revops.event WHERE kind = 'engaged' AND $per IS NOT NULL;
		CREATE INDEX IF NOT EXISTS conversion_subject ON conversion (subject, at)});
	my $got = $node->safe_psql('postgres', qq{SELECT $columns FROM revops.backtest_summary('{"per": "$per", "when": {"kind": "engaged"}}', since => '2016-01-01', until => '2019-01-01',
		converted => '{"kind": "won"}', horizon => '30 days')});
	is($got, $node->safe_psql('postgres', "SELECT * FROM oracle('30 days')"), "engaged and won, per $per: $got");
}
done_testing();
