# Page views, sessions and users of a public web data set, by revops.sessionize(): dwell, sessions and counts exactly as its expected files say.
use strict;
use warnings;
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{REVOPS_DATA} // '../shared/data';
plan skip_all => "the data folder $data is not there" unless -d "$data/clicks";

my $node = PostgreSQL::Test::Cluster->new('web');
$node->init;
$node->start;
$node->safe_psql('postgres', "ALTER DATABASE postgres SET timezone = 'UTC'");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

# a CSV with a header as a table of text columns
sub load
{
	my ($table, $file) = @_;
	open my $f, '<', "$data/clicks/$file" or die "$file: $!";
	my $header = <$f>;
	close $f;
	$header =~ s/\s+$//;
	$header =~ s/^\x{FEFF}|^\xEF\xBB\xBF//;
	$node->safe_psql('postgres', "CREATE TABLE $table (" . join(', ', map { "\"$_\" text" } split /,/, $header) . ')');
	$node->run_log([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "\\copy $table FROM '" . File::Spec->rel2abs("$data/clicks/$file") . "' CSV HEADER" ]);
}
load('raw', 'snowplow_events.csv');
load("expected_$_", "snowplow_${_}_expected.csv") for qw(page_views sessions users);

$node->safe_psql('postgres', q{
	-- the events that count: once each, sent within three days, within three days of the session's first, of sessions with a page view or ping
	CREATE TABLE ev AS
	WITH typed AS (
		SELECT event_id, event_name, domain_userid, domain_sessionid, domain_sessionidx, user_id, dvce_created_tstamp::timestamptz AS created_at, dvce_sent_tstamp::timestamptz AS sent_at,
		       collector_tstamp::timestamptz AS collected_at, derived_tstamp::timestamptz AS ts,
		       substring(contexts_com_snowplowanalytics_snowplow_web_page_1_0_0 FROM '"id": ?"([^"]+)"') AS page_view_id
		FROM raw WHERE domain_sessionid IS NOT NULL),
	in_time AS (SELECT *, min(collected_at) OVER (PARTITION BY domain_sessionid) AS session_since FROM typed WHERE sent_at <= created_at + interval '3 days'),
	once AS (SELECT DISTINCT ON (event_id) *, event_name IN ('page_view', 'page_ping') AND page_view_id IS NOT NULL AS viewing
		FROM in_time WHERE collected_at <= session_since + interval '3 days' ORDER BY event_id, collected_at, created_at, ts)
	SELECT *, first_value(domain_userid) OVER (PARTITION BY domain_sessionid ORDER BY ts) AS visitor FROM once
	WHERE domain_sessionid IN (SELECT domain_sessionid FROM once WHERE viewing);

	CREATE FUNCTION seconds(a timestamptz, b timestamptz) RETURNS int LANGUAGE sql AS $$ SELECT extract(epoch FROM date_trunc('second', b) - date_trunc('second', a))::int $$;

	-- a page view: its pings in the same session, ten seconds apart, and five seconds at least
	CREATE TABLE dwell AS
	SELECT domain_sessionid, page_view_id, s.* FROM (
		SELECT domain_sessionid, page_view_id, revops.sessionize('3 days', ts, event_name = 'page_ping', '10 s', '5 s') AS a FROM ev WHERE viewing GROUP BY 1, 2) x, unnest(x.a) s;

	CREATE TABLE page_views AS
	SELECT page_view_id, event_id, v.domain_sessionid, visitor, row_number() OVER w AS n, count(*) OVER (PARTITION BY v.domain_sessionid) AS of_n, created_at, collected_at, ts,
	       d.started_at, d.ended_at, extract(epoch FROM d.engaged)::int AS engaged, seconds(d.started_at, d.ended_at) AS absolute
	FROM (SELECT DISTINCT ON (page_view_id) * FROM ev WHERE event_name = 'page_view' AND page_view_id IS NOT NULL ORDER BY page_view_id, ts, created_at) v
	JOIN LATERAL (SELECT min(started_at) AS started_at, CASE WHEN sum(engaged) = interval '0' THEN min(started_at) ELSE max(ended_at) END AS ended_at, sum(engaged) AS engaged
		FROM dwell d WHERE d.page_view_id = v.page_view_id AND d.domain_sessionid = v.domain_sessionid) d ON true
	WINDOW w AS (PARTITION BY v.domain_sessionid ORDER BY ts, created_at, event_id);

	-- a session: from its first event, five seconds before it if that is a ping
	CREATE TABLE sessions AS
	SELECT domain_sessionid, idx, visitor, user_id, least(s.started_at, first_ping - interval '5 s') AS started_at, s.ended_at, pages, s.events, counts,
	       (SELECT extract(epoch FROM sum(engaged))::int FROM dwell d WHERE d.domain_sessionid = x.domain_sessionid) AS engaged
	FROM (SELECT domain_sessionid, min(domain_sessionidx) AS idx, min(visitor) AS visitor, (array_agg(user_id ORDER BY ts))[1] AS user_id,
	             count(DISTINCT page_view_id) FILTER (WHERE viewing) AS pages, min(ts) FILTER (WHERE event_name = 'page_ping') AS first_ping,
	             revops.sessionize('3 days', ts) AS a FROM ev GROUP BY 1) x, unnest(x.a) s,
	     LATERAL (SELECT jsonb_object_agg(event_name, c) AS counts FROM (SELECT event_name, count(*) AS c FROM ev WHERE ev.domain_sessionid = x.domain_sessionid GROUP BY 1) y) z});

# both ways: nothing is missing, nothing is too much
sub same
{
	my ($what, $rows, $ours, $expected) = @_;
	is($node->safe_psql('postgres', "SELECT count(*) FROM ($expected) x"), $rows, "$rows $what are expected");
	is($node->safe_psql('postgres', "SELECT '+', * FROM (($ours) EXCEPT ALL ($expected)) x UNION ALL SELECT '-', * FROM (($expected) EXCEPT ALL ($ours)) y ORDER BY 2, 1"), '', "and these $what come out");
}
same('page views', 43, 'SELECT page_view_id, event_id, domain_sessionid, visitor, n, of_n, created_at, collected_at, ts, started_at, ended_at, engaged, absolute FROM page_views',
	q{SELECT page_view_id, event_id, domain_sessionid, domain_userid, page_view_in_session_index::int, page_views_in_session::int, dvce_created_tstamp::timestamptz, collector_tstamp::timestamptz,
		derived_tstamp::timestamptz, start_tstamp::timestamptz, end_tstamp::timestamptz, engaged_time_in_s::int, absolute_time_in_s::int FROM expected_page_views});
same('sessions', 18, 'SELECT domain_sessionid, idx, visitor, user_id, started_at, ended_at, pages, engaged, events, counts, seconds(started_at, ended_at) FROM sessions',
	q{SELECT domain_sessionid, domain_sessionidx, domain_userid, user_id, start_tstamp::timestamptz, end_tstamp::timestamptz, page_views::int, engaged_time_in_s::int, total_events::int,
		event_counts::jsonb, absolute_time_in_s::int FROM expected_sessions});
same('users', 11, 'SELECT visitor, (array_agg(user_id ORDER BY started_at))[1], min(started_at), max(ended_at), sum(pages), count(*), sum(engaged) FROM sessions WHERE visitor IS NOT NULL GROUP BY visitor',
	q{SELECT domain_userid, user_id, start_tstamp::timestamptz, end_tstamp::timestamptz, page_views::int, sessions::int, engaged_time_in_s::int FROM expected_users});
done_testing();
