# Sentiment without training on public sets that nothing of it was made from; sentiment and fields in databases of other encodings; field
# suggestions while writers are at work; all of it in a dump.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = "$FindBin::Bin/../../../shared/data/sentiment";
my $node = PostgreSQL::Test::Cluster->new('sales_texts');
$node->init;
$node->start;
sub sql { return $node->safe_psql($_[1] // 'postgres', "SET client_encoding = 'UTF8'; SET client_min_messages = warning;\n$_[0]") }
sql('CREATE EXTENSION pg_revops');

SKIP:
{
	skip "$data is absent: sentiment is not measured", 4 unless -r "$data/waimai_zh.csv" && -r "$data/vader_amazon_en.csv";
	sql('CREATE TABLE waimai (positive int, text text); CREATE TABLE vader (id text, valence float8, text text)');
	sql("\\copy waimai FROM '$data/waimai_zh.csv' CSV HEADER");
	sql("\\copy vader FROM '$data/vader_amazon_en.csv' CSV HEADER");
	my $auc = sql(q{
		WITH s AS (SELECT positive, revops.sentiment(text) AS s FROM waimai),
		     r AS (SELECT positive, rank() OVER (ORDER BY s) + (count(*) OVER (PARTITION BY s) - 1) / 2.0 AS r FROM s)
		SELECT round((sum(r) FILTER (WHERE positive = 1) - n1 * (n1 + 1) / 2) / (n1 * n0), 4)
		FROM r, (SELECT count(*) FILTER (WHERE positive = 1)::numeric AS n1, count(*) FILTER (WHERE positive = 0)::numeric AS n0 FROM waimai) n GROUP BY n1, n0});
	my $right = sql('SELECT round(avg(((revops.sentiment(text) > 0) = (positive = 1))::int), 4) FROM waimai');
	my ($corr, $three) = split /\|/, sql(q{
		SELECT round(corr(valence, s)::numeric, 4), round(avg((CASE WHEN valence > 0.2 THEN 1 WHEN valence < -0.2 THEN -1 ELSE 0 END
			= CASE WHEN s > 0.05 THEN 1 WHEN s < -0.05 THEN -1 ELSE 0 END)::int), 4)
		FROM (SELECT valence, revops.sentiment(text) AS s FROM vader) x});
	note "waimai: AUC $auc, accuracy $right; VADER: correlation $corr, accuracy of three classes $three";
	cmp_ok($auc, '>', 0.91, 'Chinese reviews: area under the curve');
	cmp_ok($right, '>', 0.86, 'Chinese reviews: accuracy');
	cmp_ok($corr, '>', 0.68, 'English reviews: correlation with the valence');
	cmp_ok($three, '>', 0.67, 'English reviews: accuracy of three classes');
}

# the same in every encoding that has the characters
my $body = '预算三十万，王总拍板，下个季度上线，非常满意';
my $query = qq{SELECT round(revops.sentiment('%s')::numeric, 4), string_agg(field || '=' || value || ' ' || span || ' ' || evidence, '; ' ORDER BY field)
	FROM revops.extract_fields('%s', '2026-03-18')};
for my $encoding (qw(EUC_CN LATIN1 SQL_ASCII))
{
	my $db = 'texts_' . lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	sql('CREATE EXTENSION pg_revops', $db);
	my $text = $encoding eq 'EUC_CN' ? $body : 'Our budget is $25k, the CFO signs off, by end of June, terrible delay';
	my $q = sprintf $query, $text, $text;
	my $here = $encoding eq 'SQL_ASCII' ? $node->safe_psql($db, $q) : sql($q, $db);
	is($here, sql($q), "$encoding: $here");
}
is($node->safe_psql('texts_euc_cn', q{SELECT revops.add_answers(); SELECT count(*) FROM revops.answer_pack WHERE lang = 'zh'}), "8\n4", 'ready answers in Chinese');
is($node->safe_psql('texts_latin1', q{SELECT revops.add_answers(); SELECT count(*) FROM revops.answer_pack WHERE lang = 'zh'}), "4\n0", 'and without it where there is none');

# a writer that commits late is not missed, and nothing is suggested twice
sql(q{INSERT INTO revops.account (account) VALUES ('A'); INSERT INTO revops.opportunity (opportunity, account, status) VALUES ('O', 'A', 'open'); SELECT revops.suggest_fields()});
my $late = $node->background_psql('postgres', on_error_stop => 1);
$late->query_safe(q{BEGIN; SELECT revops.track('message', account => 'A', side => 'customer', body => 'budget is $30k')});
sql(q{SELECT revops.track('message', account => 'A', side => 'customer', body => 'budget is $40k')});
is(sql('SELECT revops.suggest_fields()'), '1', 'what is committed is found');
$late->query_safe('COMMIT');
$late->quit;
is(sql('SELECT revops.suggest_fields()'), '1', 'what was committed after it, though begun before, is found by the next');
is(sql('SELECT revops.suggest_fields()'), '0', 'and nothing twice');
is(sql(q{SELECT string_agg(value, ',' ORDER BY suggestion) FROM revops.field_suggestion}), '40000 USD,30000 USD', 'both');

# roles: apps read and decide, readers read, and neither writes the table
sql('CREATE ROLE app IN ROLE revops_app; CREATE ROLE reader IN ROLE revops_reader; CREATE ROLE nobody');
is(sql(q{SET ROLE app; SELECT revops.accept_suggestion((SELECT min(suggestion) FROM revops.open_suggestion), 'ann')}), 'accepted', 'an app accepts');
my ($rc, $out, $err) = $node->psql('postgres', q{SET ROLE reader; SELECT revops.refuse_suggestion(1, 'ann')});
like($err, qr/permission denied/, 'a reader does not');
is(sql(q{SET ROLE reader; SELECT count(*) >= 0 AND revops.sentiment('good') > 0 FROM revops.open_suggestion, revops.account_sentiment, revops.task_answer}), 't', 'but reads');
($rc, $out, $err) = $node->psql('postgres', q{SET ROLE app; DELETE FROM revops.field_suggestion});
like($err, qr/permission denied/, 'an app does not write the table itself');

# a dump has it all
sql(q{INSERT INTO revops.competitor VALUES ('Acme', '{acme corp}'); SELECT revops.add_answers()});
my $state = q{SELECT (SELECT md5(string_agg(s::text, ',' ORDER BY suggestion)) FROM revops.field_suggestion s), (SELECT md5(string_agg(a::text, ',' ORDER BY topic, lang, title)) FROM revops.answer_pack a),
	(SELECT string_agg(competitor, ',') FROM revops.competitor)};
my $before = sql($state);
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/texts.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('copy') ], 'restored');
is(sql($state, 'copy'), $before, 'the copy has the same');
is(sql('SELECT revops.suggest_fields()', 'copy'), '0', 'and suggests nothing again');
$node->stop;
done_testing();
