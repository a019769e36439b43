# A company's own tables, attached: a CRM's export as it is, random writers against plain SQL, dump and restore.
use strict;
use warnings;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
note "seed $seed (REVOPS_SEED)";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('attach');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '200ms'\nTimeZone = 'UTC'\n");
$node->start;

# what plain SQL makes of a source and what is here: rows that are in one of them only
sub differences
{
	my ($db, $there, $here, $on) = @_;
	return ($on // $node)->safe_psql($db, "SELECT count(*) FROM ((($there) EXCEPT ($here)) UNION ALL (($here) EXCEPT ($there))) d");
}

# --- random writers
my $mapped = q{SELECT 'D' || id, phase, 1000 / worth::numeric, coalesce(rival, '-') FROM deal WHERE worth <> 0};
my $ours = q{SELECT o.opportunity, o.stage, o.amount, coalesce(o.properties ->> 'rival', '-') FROM revops.opportunity o
	WHERE NOT EXISTS (SELECT FROM deal d WHERE 'D' || d.id = o.opportunity AND d.worth = 0)};
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_revops;
	CREATE TABLE deal (id int PRIMARY KEY, phase text, worth int NOT NULL, rival text);
	CREATE TABLE company (id uuid, region text, name text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE company_n PARTITION OF company FOR VALUES IN ('n');
	CREATE TABLE company_s PARTITION OF company FOR VALUES IN ('s');
	CREATE TABLE chat (no bigserial PRIMARY KEY, who text, said text, at timestamptz DEFAULT now());
	SELECT revops.attach('deal', 'opportunity', '{"opportunity": "''D'' || id", "stage": "phase", "amount": "1000 / worth::numeric", "properties": {"rival": "rival"}}');
	SELECT revops.attach('company', 'account', '{"account": "id::text || region", "name": "name"}');
	SELECT revops.attach('chat', 'event', '{"kind": "''chat''", "occurred_at": "at", "person": "who", "body": "said"}')});

sub key { return int(rand(120)); }
sub company { return sprintf("md5('%d')::uuid", rand(80)); }
my @phases = qw(Prospecting Engaging Won Lost);

# one statement of a writer, or a few
sub statement
{
	my ($depth) = @_;
	my $k = key();
	my $worth = rand() < 0.1 ? 0 : 1 + int(rand(50));
	my $phase = $phases[ rand @phases ];
	my $region = rand() < 0.5 ? 'n' : 's';
	my $table = rand() < 0.5 ? 'company' : "company_$region";
	my @choices = (
		sub { "INSERT INTO deal VALUES ($k, '$phase', $worth) ON CONFLICT DO NOTHING" },
		sub { "INSERT INTO deal VALUES ($k, '$phase', $worth, 'globex') ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, worth = excluded.worth" },
		sub { "INSERT INTO deal SELECT g, '$phase', g % 7 FROM generate_series($k, $k + 30) g ON CONFLICT DO NOTHING" },
		sub { "UPDATE deal SET phase = '$phase', worth = $worth WHERE id % 5 = " . ($k % 5) },
		sub { "UPDATE deal SET rival = CASE WHEN rival IS NULL THEN 'initech' END WHERE id BETWEEN $k AND $k + 10" },
		sub { "UPDATE deal SET id = id + " . (rand() < 0.5 ? 1000 : -1000) . " WHERE id BETWEEN $k AND $k + 3" },
		sub { "DELETE FROM deal WHERE id % 17 = " . ($k % 17) },
		sub { "MERGE INTO deal d USING (SELECT g AS id FROM generate_series($k, $k + 6) g) v ON d.id = v.id WHEN MATCHED AND d.id % 2 = 0 THEN DELETE"
			. " WHEN MATCHED THEN UPDATE SET worth = $worth WHEN NOT MATCHED THEN INSERT VALUES (v.id, '$phase', $worth)" },
		sub { "COPY deal (id, phase, worth) FROM STDIN;\n" . join('', map { ($k + 200 + $_ * 3) . "\t$phase\t$worth\n" } 1 .. 4) . "\\." },
		sub { rand() < 0.25 ? 'TRUNCATE deal' : "DELETE FROM deal WHERE id > 1000" },
		sub { "INSERT INTO $table VALUES (" . company() . ", '$region', '$phase') ON CONFLICT DO NOTHING" },
		sub { "INSERT INTO $table SELECT md5(g::text)::uuid, '$region', '$phase' FROM generate_series($k, $k + 9) g ON CONFLICT DO NOTHING" },
		sub { "UPDATE $table SET name = '$phase' || $k WHERE id = " . company() },
		sub { "UPDATE company SET region = CASE region WHEN 'n' THEN 's' ELSE 'n' END WHERE id = " . company() },
		sub { "DELETE FROM $table WHERE id = " . company() },
		sub { rand() < 0.15 ? "TRUNCATE company_$region" : "DELETE FROM $table WHERE name LIKE '%$k'" },
		sub { "INSERT INTO chat (who, said) SELECT 'p' || g, '$phase' FROM generate_series(1, 3) g" },
		sub { "UPDATE chat SET said = said || '!' WHERE no % 7 = " . ($k % 7) });
	if ($depth > 1 || rand() < 0.6)
	{
		my $sql = $choices[ rand @choices ]->();
		return $sql . ($sql =~ /^COPY/ ? "\n" : ";\n");
	}
	# a transaction, or a savepoint in it, that may be taken back
	my $body = join '', map { statement($depth + 1) } 1 .. 1 + int(rand(4));
	my $back = rand() < 0.4;
	return $depth == 0
		? "BEGIN;\n$body" . ($back ? "ROLLBACK;\n" : "COMMIT;\n")
		: "SAVEPOINT s$depth;\n$body" . ($back ? "ROLLBACK TO s$depth;\n" : "RELEASE s$depth;\n");
}

my @writers;
for my $w (1 .. 4)
{
	my $file = $node->basedir . "/writer$w.sql";
	open my $f, '>', $file or die $!;
	print $f "SET deadlock_timeout = '20ms';\n", map { statement(0) } 1 .. 250;
	close $f;
	push @writers, IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $file ], '>', '/dev/null', '2>', $node->basedir . "/writer$w.log");
}
# the worker takes what it finds; this session too, and now and then all over again
my $applied = 0;
for my $round (1 .. 8)
{
	my ($rc) = $node->psql('postgres', "SELECT revops.apply_attachments()" . ($round % 4 == 0 ? "; SELECT revops.resync_attachment('deal', 'opportunity')" : ''));
	$applied++ if $rc == 0;
}
$_->finish for @writers;
ok($applied > 0, 'applied by hand while others write');
my $failures = 0;
for my $w (1 .. 4)
{
	my $log = slurp_file($node->basedir . "/writer$w.log");
	my @errors = grep { /ERROR/ && !/duplicate key|deadlock detected|current transaction is aborted|savepoint .* does not exist|moved to another partition/ } split /\n/, $log;
	$failures += @errors;
	diag(join "\n", @errors[ 0 .. ($#errors > 4 ? 4 : $#errors) ]) if @errors;
}
is($failures, 0, 'no writer failed for being attached');
$node->safe_psql('postgres', 'SELECT revops.apply_attachments()');
is(differences('postgres', $mapped, $ours), '0', 'opportunities are those of the source');
is(differences('postgres', q{SELECT id::text || region, name FROM company}, q{SELECT account, name FROM revops.account}), '0', 'accounts are those of the partitioned source');
is(differences('postgres', q{SELECT id::text FROM deal WHERE worth = 0}, q{SELECT source_key FROM revops.attachment_error}), '0', 'and what cannot be mapped is told');
is(differences('postgres', q{SELECT no, who FROM chat},
	q{SELECT c.no, e.person FROM chat c JOIN revops.event e ON e.event_id = revops.message_uuid('public.chat ' || c.no)}), '0', 'each row of the chat is an event');
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM revops.event) - (SELECT count(*) FROM chat)}), '0', 'once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM revops.attached_row l WHERE l.kind = 'opportunity' AND NOT EXISTS (SELECT FROM revops.opportunity o WHERE o.opportunity = l.subject)}), '0', 'the links are those of the rows');
is($node->safe_psql('postgres', q{SELECT sum(waiting), count(error) FROM revops.attachment}), '0|0', 'nothing waits');
# the stream has each of them, also those that a pass wrote in its own transaction
$node->safe_psql('postgres', q{SELECT revops.process()});
ok($node->poll_query_until('postgres', q{SELECT events = (SELECT count(*) FROM chat) FROM revops.stream_lane}), 'and has gone through the stream, once');

# --- the CRM of a company
my $data = $ENV{REVOPS_DATA} // '../shared/data';
SKIP:
{
	skip "the data folder $data/crm is not there", 12 unless -d "$data/crm";
	$node->safe_psql('postgres', 'CREATE DATABASE crm');
	$node->safe_psql('crm', q{
		CREATE EXTENSION pg_revops;
		CREATE SCHEMA sales;
		CREATE TABLE sales.accounts (account text PRIMARY KEY, sector text, year_established int, revenue numeric, employees int, office_location text, subsidiary_of text);
		CREATE TABLE sales.sales_teams (sales_agent text PRIMARY KEY, manager text, regional_office text);
		CREATE TABLE sales.sales_pipeline (opportunity_id text PRIMARY KEY, sales_agent text, product text, account text, deal_stage text, engage_date date, close_date date, close_value int)});
	my $copy = sub {
		my ($table) = @_;
		my $path = File::Spec->rel2abs("$data/crm/$table.csv");
		$node->run_log([ 'psql', '-X', '-q', '-d', $node->connstr('crm'), '-c', "\\copy sales.$table FROM '$path' CSV HEADER" ]);
	};
	# the accounts are there before, the pipeline is loaded after
	$copy->('accounts');
	$copy->('sales_teams');
	$node->safe_psql('crm', q{
		SELECT revops.attach('sales.accounts', 'account', '{"account": "account", "name": "account", "industry": "sector",
			"segment": "CASE WHEN employees < 1000 THEN ''small'' ELSE ''large'' END", "properties": {"revenue": "revenue", "country": "office_location", "parent": "subsidiary_of"}}');
		SELECT revops.attach('sales.sales_teams', 'rep', '{"rep": "sales_agent", "unit": "manager", "properties": {"office": "regional_office"}}');
		INSERT INTO revops.unit (unit, name, territory) SELECT DISTINCT manager, 'Team of ' || manager, regional_office FROM sales.sales_teams;
		SELECT revops.attach('sales.sales_pipeline', 'opportunity', '{"opportunity": "opportunity_id", "owner": "sales_agent", "account": "account", "stage": "deal_stage",
			"amount": "close_value", "opened_at": "engage_date", "closed_at": "close_date", "stage_since": "coalesce(close_date, engage_date)",
			"status": "CASE deal_stage WHEN ''Won'' THEN ''won'' WHEN ''Lost'' THEN ''lost'' ELSE ''open'' END", "properties": {"product": "product"}}', write_back => true)});
	$copy->('sales_pipeline');
	my $there = q{SELECT opportunity_id, sales_agent, account, deal_stage, close_value::numeric, engage_date::timestamptz, close_date::timestamptz,
		CASE deal_stage WHEN 'Won' THEN 'won' WHEN 'Lost' THEN 'lost' ELSE 'open' END, product FROM sales.sales_pipeline};
	my $here = q{SELECT opportunity, owner, account, stage, amount, opened_at, closed_at, status, properties ->> 'product' FROM revops.opportunity};
	ok($node->poll_query_until('crm', q{SELECT sum(rows) = 8920 AND sum(waiting) = 0 FROM revops.attachment}), 'the worker takes over 8,800 opportunities, 85 accounts and 35 reps');
	is(differences('crm', $there, $here), '0', 'opportunities as in the CRM');
	is(differences('crm', q{SELECT account, sector, revenue::text FROM sales.accounts}, q{SELECT account, industry, properties ->> 'revenue' FROM revops.account}), '0', 'accounts too');
	is(differences('crm', q{SELECT sales_agent, manager, regional_office FROM sales.sales_teams},
		q{SELECT r.rep, r.unit, u.territory FROM revops.rep r JOIN revops.unit u USING (unit)}), '0', 'reps and their teams too');
	is($node->safe_psql('crm', 'SELECT sum(errors) FROM revops.attachment'), '0', 'without an error');
	is($node->safe_psql('crm', q{SELECT count(*), count(*) FILTER (WHERE origin = 'source') FROM revops.stage_history}), '8800|8800', 'each has its stage in the history');
	$node->safe_psql('crm', q{UPDATE sales.sales_pipeline SET deal_stage = 'Won', close_date = '2017-12-31' WHERE deal_stage = 'Engaging'});
	ok($node->poll_query_until('crm', q{SELECT count(*) = 0 FROM revops.opportunity WHERE stage = 'Engaging'}), 'a change is taken over, unasked');
	is($node->safe_psql('crm', q{SELECT count(*) FROM revops.stage_history WHERE previous = 'Engaging' AND stage = 'Won' AND origin = 'source' AND entered_at = '2017-12-31'}),
		'1589', 'and kept as history, with the time that the CRM gives');

	# dump and restore, with changes that wait
	$node->safe_psql('crm', 'SELECT revops.stop_worker()');
	$node->safe_psql('crm', q{DELETE FROM sales.sales_pipeline WHERE account = 'Isdom'; UPDATE sales.accounts SET sector = 'waiting' WHERE account LIKE 'B%'});
	my $dump = $node->basedir . '/crm.dump';
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('crm') ], 'pg_dump');
	$node->safe_psql('postgres', 'CREATE DATABASE again');
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('again'), $dump ], 'pg_restore');
	is($node->safe_psql('again', q{SELECT source, kind, rows, waiting > 0, errors FROM revops.attachment ORDER BY kind}),
		"sales.accounts|account|85|t|0\nsales.sales_pipeline|opportunity|8800|t|0\nsales.sales_teams|rep|35|f|0", 'what was attached is attached');
	$node->safe_psql('again', q{UPDATE sales.sales_pipeline SET close_value = 77 WHERE deal_stage = 'Lost'});
	$node->safe_psql('again', 'SELECT revops.process()');
	is(differences('again', $there, $here), '0', 'what waited and what came since are taken over');
	is($node->safe_psql('again', q{SELECT count(*) FROM revops.account WHERE industry = 'waiting'}), $node->safe_psql('again', q{SELECT count(*) FROM sales.accounts WHERE account LIKE 'B%'}), 'of each table');
	is($node->safe_psql('again', q{SELECT revops.set_field('opportunity', opportunity, 'stage', 'Engaging', 'calibration') FROM (SELECT min(opportunity) AS opportunity FROM revops.opportunity WHERE stage = 'Prospecting') o}),
		'Prospecting', 'and can be written back');
	is($node->safe_psql('again', q{SELECT count(*) FROM sales.sales_pipeline WHERE deal_stage = 'Engaging'}), '1', 'to the source');

	# a standby shows how things stand, and writes nothing
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('attach_standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	$node->safe_psql('crm', q{UPDATE sales.sales_pipeline SET close_value = 78 WHERE deal_stage = 'Lost'});
	$node->wait_for_catchup($standby);
	ok($standby->safe_psql('crm', q{SELECT waiting > 0 FROM revops.attachment WHERE kind = 'opportunity'}) eq 't', 'on a standby, the change waits');
	$node->stop;
	$standby->promote;
	ok($standby->poll_query_until('crm', q{SELECT count(*) = 0 FROM revops.opportunity WHERE stage = 'Lost' AND amount <> 78}), 'until it is promoted');
	is(differences('crm', $there, $here, $standby), '0', 'nothing is missing');
	is($standby->safe_psql('crm', q{DROP EXTENSION pg_revops CASCADE; INSERT INTO sales.accounts (account) VALUES ('after'); SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'revops%'}),
		'0', 'DROP EXTENSION CASCADE leaves tables that work as before');
	$standby->stop;
}
done_testing();
