# Yes-or-no models on real data: how good they are on rows that they have not seen, the learner against scikit-learn, data of which nothing can
# be learnt, damaged parameters, and what survives a dump.
use strict;
use warnings;
use File::Spec;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{REVOPS_DATA} // '../shared/data';
plan skip_all => "the data folder $data is not there" unless -f "$data/online_shoppers_intention.csv" && -d "$data/crm";

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
diag("seed $seed");
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('predict');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = warning");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

sub load
{
	my ($table, $columns, $file) = @_;
	$node->safe_psql('postgres', "CREATE TABLE $table ($columns)");
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "\\copy $table FROM '" . File::Spec->rel2abs("$data/$file") . "' CSV HEADER" ],
		"$file is read");
}

# Web sessions that ended in a purchase, or not: a random 30 % is held out, three times over
load('shop', 'administrative int, administrative_duration float8, informational int, informational_duration float8, product_related int,
	product_related_duration float8, bounce_rates float8, exit_rates float8, page_values float8, special_day float8, month text, operating_systems text,
	browser text, region text, traffic_type text, visitor_type text, weekend bool, revenue bool', 'online_shoppers_intention.csv');
my $no_trees = ($node->psql('postgres', q{SELECT revops.train('probe', 'predict', 'SELECT * FROM shop LIMIT 2000', 'revenue', '{"trees": true, "rounds": 2}')}))[0] != 0;
my ($rc, $out, $err);
my %mean;
my $rounds = 3;
for my $round (1 .. $rounds)
{
	my $at = ($seed * 7 + $round) % 1_000_000;
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS split; SELECT setseed($at / 1e6);
		CREATE TABLE split AS SELECT *, random() < 0.3 AS test FROM shop");
	for my $method ('logistic', $no_trees ? () : 'trees')
	{
		my $options = $method eq 'trees' ? '{"trees": true, "exclude": ["test"]}' : '{"exclude": ["test"]}';
		$node->safe_psql('postgres', qq{SELECT revops.train('$method', 'predict', 'SELECT * FROM split WHERE NOT test', 'revenue', '$options') AS v \\gset
			SELECT revops.deploy('$method', :v) WHERE :v > 1});
		my %m = map { split /\|/, $_, 2 } split /\n/,
		  $node->safe_psql('postgres', "SELECT metric, value FROM revops.evaluate('$method', 'SELECT * FROM split WHERE test', 'revenue') WHERE label IS NULL");
		note(sprintf '%s, round %d: AUC %.4f, log loss %.4f, calibration error %.4f', $method, $round, @m{qw(auc log_loss calibration_error)});
		$mean{$method}{$_} += $m{$_} / $rounds for qw(auc calibration_error);
	}
}
# Goals: AUC .90 and .93, calibration error .02. AUC varies by some .004 from split to split, which the floor for trees allows for
cmp_ok($mean{logistic}{auc}, '>=', .915, "logistic: mean AUC, seed $seed");
cmp_ok($mean{logistic}{calibration_error}, '<', .02, "logistic: mean calibration error, seed $seed");
SKIP:
{
	skip('libxgboost is not installed', 2) if $no_trees;
	cmp_ok($mean{trees}{auc}, '>=', .925, "trees: mean AUC, seed $seed");
	cmp_ok($mean{trees}{calibration_error}, '<', .02, "trees: mean calibration error, seed $seed");
}
for my $method ('logistic', $no_trees ? () : 'trees')
{
	is($node->safe_psql('postgres', "SELECT max(abs(ln(p / (1 - p)) - (SELECT sum(contribution) FROM revops.explain('$method', x.s)))) < 1e-9
		FROM (SELECT s, revops.predict('$method', s) AS p FROM split s WHERE test) x"), 't', "$method: contributions sum to the log-odds");
}
SKIP:
{
	skip('libxgboost is not installed', 1) if $no_trees;
	is($node->safe_psql('postgres', q{SELECT revops.train('again', 'predict', 'SELECT * FROM shop ORDER BY random()', 'revenue', '{"trees": true, "rounds": 20}') FROM generate_series(1, 2);
		SELECT count(DISTINCT parameters) FROM revops.model_version WHERE model = 'again'}), "1\n2\n1", 'trees: the same rows in another order are the same model');
}

# a cancelled training ends, and leaves nothing
for my $options ('{}', $no_trees ? () : '{"trees": true}')
{
	($rc, $out, $err) = $node->psql('postgres', qq{SET statement_timeout = 1000; SELECT revops.train('cancelled', 'predict', 'SELECT s.* FROM shop s, generate_series(1, 60)', 'revenue', '$options')});
	like($err, qr/canceling statement due to statement timeout/, "cancelled with $options");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM revops.model_version WHERE model = 'cancelled'}), '0', 'and nothing is stored');

$node->safe_psql('postgres', q{CREATE TABLE coded AS SELECT revenue, month, operating_systems, browser, region, traffic_type, visitor_type, weekend::text AS weekend,
		least(administrative, 9)::text AS a, least(product_related / 10, 20)::text AS b, least(floor(page_values / 5), 20)::text AS c, floor(exit_rates * 50)::text AS d FROM shop});
$node->safe_psql('postgres', q{SELECT revops.train('oracle', 'predict', 'SELECT * FROM coded', 'revenue', '{"held_out": 0, "interactions": 0}')});

# the learner against scikit-learn: the same features, the same objective
SKIP:
{
	my $python = '/usr/bin/python3';
	skip('python3-sklearn is not installed', 4) unless -x $python && system("$python -c 'import sklearn' 2>/dev/null") == 0;
	my $csv = $node->safe_psql('postgres', 'COPY coded TO STDOUT CSV');
	for my $strength (0.5, 20)
	{
		my ($out, $err);
		IPC::Run::run([ $python, 'test/oracle/predict_sklearn.py', $strength ], '<', \"$csv\n", '>', \$out, '2>', \$err) or die $err;
		my $theirs = decode_json($out);
		my ($objective, $loss) = split /\|/, (split /\n/, $node->safe_psql('postgres', qq{SELECT revops.train('oracle', 'predict', 'SELECT * FROM coded', 'revenue',
			'{"held_out": 0, "interactions": 0, "strength": $strength, "min_category": 1}') AS v \\gset
			SELECT revops.deploy('oracle', :v) WHERE :v > 1;
			SELECT metrics ->> 'objective', (SELECT value FROM revops.evaluate('oracle', 'SELECT * FROM coded', 'revenue') WHERE metric = 'log_loss')
			FROM revops.model_version WHERE model = 'oracle' AND version = :v}))[-1];
		note("strength $strength: objective $objective here, $theirs->{objective} there; log loss $loss here, $theirs->{log_loss} there");
		cmp_ok(abs($objective / $theirs->{objective} - 1), '<', 1e-6, "strength $strength: the objective is that of scikit-learn");
		cmp_ok(abs($loss - $theirs->{log_loss}), '<', 1e-4, "strength $strength: the loss is that of scikit-learn");
	}
}

# An invented company's opportunities: won or lost by a toss
load('account', 'account text, sector text, year_established int, revenue float8, employees int, office_location text, subsidiary_of text', 'crm/accounts.csv');
load('pipeline', 'opportunity_id text, sales_agent text, product text, account text, deal_stage text, engage_date date, close_date date, close_value float8', 'crm/sales_pipeline.csv');
$node->safe_psql('postgres', q{
	INSERT INTO revops.account (account, name, industry, segment, territory)
	SELECT account, account, sector, CASE WHEN employees > 5000 THEN 'large' WHEN employees > 1000 THEN 'middle' ELSE 'small' END, office_location FROM account;
	INSERT INTO revops.opportunity (opportunity, account, owner, stage, status, opened_at, closed_at, amount, pipeline)
	SELECT opportunity_id, account, sales_agent, deal_stage, CASE deal_stage WHEN 'Won' THEN 'won' WHEN 'Lost' THEN 'lost' ELSE 'open' END, engage_date, close_date, close_value, product
	FROM pipeline});
($rc, $out, $err) = $node->psql('postgres', q{SET revops.as_of = '2018-01-01'; SELECT revops.train_win()});
is($rc, 0, 'the model of an invented company is trained');
like($err, qr/nothing can be learnt/, 'and says that nothing can be learnt');
my ($auc, $learnt) = split /\|/, $node->safe_psql('postgres', q{SELECT metrics ->> 'auc', metrics ->> 'learnt' FROM revops.model_version WHERE model = 'win'});
note("crm: AUC $auc");
cmp_ok($auc, '<', .55, 'no leak: the AUC is that of a toss');
is($learnt, 'false', 'nothing was learnt');
is($node->safe_psql('postgres', q{SET revops.as_of = '2018-01-01'; SELECT count(*) = (SELECT count(*) FROM revops.opportunity WHERE status = 'open'), max(probability) - min(probability) < 0.1, bool_or(learnt)
	FROM revops.win_probability}), 't|t|f', 'open opportunities get little more than the usual rate');
($rc, $out, $err) = $node->psql('postgres', q{SELECT revops.train('spoilt', 'predict', 'SELECT * FROM revops.win_snapshot WHERE won IS NOT NULL', 'won', '{"exclude": ["opportunity", "account", "at"]}')});
like($err, qr/"amount" alone tells the answer/, 'the value that is written when a deal closes is a leak, by name');

# Damaged parameters whose checksum fits again: an error or an answer, and the server stays
my @crc = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub seal
{
	my $c = 0xffffffff;
	$c = $crc[($c ^ $_) & 255] ^ ($c >> 8) for unpack('C*', substr($_[0], 8));
	substr($_[0], 4, 4) = pack('V', $c ^ 0xffffffff);
}
for my $model ('oracle', $no_trees ? () : 'probe')
{
	$node->safe_psql('postgres', "SELECT revops.deploy('$model', 1)") if $model eq 'oracle';
	my $whole = pack('H*', substr($node->safe_psql('postgres', "SELECT parameters FROM revops.model_version WHERE model = '$model' AND version = 1"), 2));
	my $sound = $whole;
	seal($sound);
	is($sound, $whole, "$model: the checksum is understood");
	my ($errors, $answers, $sql) = (0, 0, '');
	for (1 .. 200)
	{
		my $bad = $whole;
		# half of the hits in the parts that everything is found by
		substr($bad, 8 + int(rand($_ % 2 ? 600 : length($bad) - 8)), 1) = chr(int(rand(256))) for 1 .. 1 + int(rand(3));
		seal($bad);
		$sql .= "UPDATE revops.model_version SET parameters = '\\x" . unpack('H*', $bad) . "', version_id = gen_random_uuid() WHERE model = '$model' AND version = 1;
			DO \$\$ BEGIN PERFORM revops.predict('$model', s) FROM (SELECT * FROM " . ($model eq 'oracle' ? 'coded' : 'shop') . " LIMIT 20) s;
				PERFORM revops.explain('$model', s) FROM (SELECT * FROM " . ($model eq 'oracle' ? 'coded' : 'shop') . " LIMIT 5) s;
				RAISE WARNING 'answered'; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'refused'; END \$\$;\n";
	}
	($rc, $out, $err) = $node->psql('postgres', $sql);
	$errors = () = $err =~ /refused/g;
	$answers = () = $err =~ /answered/g;
	note("$model: $errors refused, $answers answered");
	is($errors + $answers, 200, "$model: 200 damaged models, and the server stands, seed $seed");
	cmp_ok($errors, '>', 20, "$model: what leads outside is refused");
	$node->safe_psql('postgres', "UPDATE revops.model_version SET parameters = '\\x" . unpack('H*', $whole) . "' , version_id = gen_random_uuid() WHERE model = '$model' AND version = 1");
}

# a new version is deployed only if it is better on what neither has seen
$node->safe_psql('postgres', q{
	CREATE TABLE deal AS SELECT g AS id, timestamptz '2026-01-01' + g * interval '1 hour' AS closed_at, random() AS x FROM generate_series(1, 4000) g;
	ALTER TABLE deal ADD won bool;
	-- what decides turns around after the first half
	UPDATE deal SET won = CASE WHEN id <= 2000 THEN random() < x ELSE random() > x END});
$node->safe_psql('postgres', q{SET revops.as_of = '2026-03-25 08:00+00';
	SELECT revops.train('turn', 'predict', 'SELECT won, x, closed_at FROM public.deal WHERE closed_at <= revops.now()', 'won', '{"time": "closed_at"}');
	SELECT revops.schedule_training('turn', 'SELECT won, x, closed_at FROM public.deal WHERE closed_at <= revops.now()', 'won', '{"time": "closed_at"}', '1 day')});
is($node->safe_psql('postgres', q{SET revops.as_of = '2026-03-28 08:00+00'; SELECT result ~ '^kept version 1: \d+ fresh examples' FROM revops.calibrate_models() WHERE model = 'turn'}), 't', 'too few fresh examples: kept');
is($node->safe_psql('postgres', q{SET revops.as_of = '2026-03-28 09:00+00'; SELECT count(*) FROM revops.calibrate_models() WHERE model = 'turn'}), '0', 'not due yet');
is($node->safe_psql('postgres', q{SET revops.as_of = '2026-06-15 08:00+00'; SELECT left(result, 8) FROM revops.calibrate_models() WHERE model = 'turn';
	SELECT deployed > 1, previous FROM revops.model WHERE model = 'turn'; SELECT revops.rollback('turn')}), "deployed\nt|{1}\n1", 'better on fresh examples: deployed, and the old one is kept');

# models are dumped and restored, and answer the same
my $dump = $node->basedir . '/models.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restored');
my $answers = "SELECT sum(revops.predict('logistic', s)), (SELECT count(*) FROM revops.model_schedule), (SELECT count(*) FROM revops.model_trial) FROM (SELECT * FROM split LIMIT 500) s";
is($node->safe_psql('restored', $answers), $node->safe_psql('postgres', $answers), 'the same answers');
$node->stop;
done_testing();
