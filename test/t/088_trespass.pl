# What those may not do who may do something: administrators with our trigger functions, reps with events and cards of others, whoever made a schema or
# default privileges before us, and whoever keeps a lock.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('trespass');
$node->init(extra => [ '-E', 'UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops'\nrevops.naptime = '200ms'\nrevops.worker = off\n");
$node->start;

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query); }
# what a role is told, which is an error
sub refused
{
	my ($role, $query, $like, $what, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', "SET SESSION AUTHORIZATION $role; $query", on_error_stop => 1);
	return like($err, $like, $what);
}

sql(q{CREATE ROLE eve LOGIN; CREATE ROLE bi LOGIN; GRANT CREATE ON DATABASE postgres TO eve; CREATE DATABASE early; GRANT CREATE ON DATABASE early TO eve; CREATE DATABASE granted; CREATE DATABASE plain});

# a schema that was there before
sql('SET ROLE eve; CREATE SCHEMA revops', 'early');
my ($rc, $out, $err) = $node->psql('early', 'CREATE EXTENSION pg_revops');
like($err, qr/schema "revops" belongs to role "eve"/, 'a schema of somebody else is refused');
sql(q{ALTER SCHEMA revops OWNER TO postgres; GRANT ALL ON SCHEMA revops TO eve; SET ROLE eve; CREATE FUNCTION revops.caller_sees(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'}, 'early');
($rc, $out, $err) = $node->psql('early', 'CREATE EXTENSION pg_revops');
like($err, qr/schema "revops" has an object "caller_sees" of another role/, 'and one with somebody else\'s objects');

# default privileges of the owner
sql(q{ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bi; ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO bi; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO bi; CREATE EXTENSION pg_revops}, 'granted');
is(sql(q{SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'revops'::regnamespace AND has_function_privilege('bi', oid, 'EXECUTE')),
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'revops'::regnamespace AND relkind IN ('r', 'v', 'p') AND has_table_privilege('bi', oid, 'SELECT'))}, 'granted'), '0|0', 'default privileges open nothing');
sql('ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM bi; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM bi; ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM bi', 'granted');

# strings as they were long ago
sql('SET standard_conforming_strings = off; SET escape_string_warning = off; CREATE EXTENSION pg_revops', 'plain');
is(sql(q{SET standard_conforming_strings = off; SELECT revops.message_uuid('abc'), revops.track_batch('[{"kind": "a", "occurred_at": "2026-11-01T10:00:00Z"}]')}, 'plain'),
	sql(q{SELECT revops.message_uuid('abc'), '(1,0,0)'}, 'plain'), 'backslashes mean the same in every session');

sql(q{
	CREATE EXTENSION pg_revops;
	CREATE ROLE adm LOGIN IN ROLE revops_admin; CREATE ROLE li LOGIN IN ROLE revops_app, revops_reader; CREATE ROLE ro LOGIN IN ROLE revops_app; CREATE ROLE web LOGIN IN ROLE revops_app;
	INSERT INTO revops.territory (territory, name) VALUES ('t1', 'T1'), ('t2', 'T2');
	INSERT INTO revops.unit (unit, name, territory) VALUES ('u1', 'U1', 't1'), ('u2', 'U2', 't2');
	INSERT INTO revops.rep (rep, name, unit, login) VALUES ('li', 'Li', 'u1', 'li'), ('wu', 'Wu', 'u2', NULL), ('ro', 'Ro', NULL, 'ro');
	INSERT INTO revops.account (account, owner, territory) VALUES ('a1', 'li', 't1'), ('a2', 'wu', 't2');
	INSERT INTO revops.person (person, account) VALUES ('p1', 'a1'), ('p2', 'a2');
	INSERT INTO revops.opportunity (opportunity, account, owner) VALUES ('o1', 'a1', 'li'), ('o2', 'a2', 'wu');
	INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope) VALUES ('rep', 'ro', 'read', 'account', 'a2');
	SELECT revops.put_playbook('pb', '{{person}}', '[{"title": "a", "channel": "call", "message": "m"}]');
	SELECT revops.put_rule('ask', '{"when": {"kind": "ask"}, "playbook": "pb"}'), revops.put_signal('s', 'i', 1, '{"kind": "ask"}');
	SELECT revops.track('ask', person => p) FROM unnest('{p1,p2}'::text[]) p;
	SELECT revops.process()});

# our trigger functions on a table of one's own, with types of one's own
is(sql(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'revops'::regnamespace AND prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AND has_function_privilege('adm', oid, 'EXECUTE')}), '0', 'administrators may hang no trigger function of ours anywhere');
refused('adm', q{CREATE TEMP TABLE permission (a int); CREATE TRIGGER x AFTER DELETE ON permission FOR EACH ROW EXECUTE FUNCTION revops.audit()}, qr/permission denied for function/, 'nor that of the audit log');
($rc, $out, $err) = $node->psql('postgres', q{
	CREATE TEMP TABLE x (event_id uuid, occurred_at timestamptz, received_at timestamptz, ahead boolean, epoch int, txid xid8, person int, account int, opportunity int, rep int, channel int, kind int, object int);
	CREATE TRIGGER z BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION revops.event_before_insert();
	INSERT INTO x (event_id, occurred_at, person, kind) VALUES (gen_random_uuid(), now(), 12345, 3)});
like($err, qr/lacks the column "person" of type text/, 'that of events looks at the types of columns');

# reps write in their own name, of customers whom they see
refused('li', "SELECT revops.track('ask', person => 'p2', account => 'a1')", qr/you may not write an event of person "p2"/, 'a person of others beside an account of one\'s own');
refused('li', "INSERT INTO revops.event (kind, side, rep, person, channel) VALUES ('call', 'rep', 'wu', 'p1', 'call')", qr/of another rep than "li"/, 'another rep\'s name');
refused('li', "INSERT INTO revops.event (kind, opportunity) VALUES ('call', 'o2')", qr/opportunity "o2"/, 'an opportunity of others');
refused('li', "INSERT INTO revops.event (kind, account) VALUES ('call', 'none')", qr/account "none"/, 'one that is not there, which is told in the same words');
is(sql(q{SET SESSION AUTHORIZATION li; SELECT revops.track_batch('[{"kind": "x", "person": "p1"}, {"kind": "x", "person": "p2"}, {"kind": "x", "person": "stranger", "rep": "li"}]')}), '(2,0,1)', 'a batch is taken but for that');
is(sql(q{SET SESSION AUTHORIZATION web; SELECT revops.track('x', person => 'p2', account => 'a2', rep => 'wu') IS NOT NULL}), 't', 'an application that is no rep writes of all');

# the clock is the machine's for whoever is no administrator
sql(q{SET SESSION AUTHORIZATION web; SET revops.as_of = '2999-01-01'; SELECT revops.track('ask', person => 'future', occurred_at => '2998-12-31')});
is(sql("SELECT ahead FROM revops.event WHERE person = 'future'"), 't', 'revops.as_of does not make the future the present');
sql('SELECT revops.process()');
is(sql("SELECT count(*) FROM revops.intent_score WHERE subject = 'future'"), '0', 'which counts for nothing');

# who may only read does no work
refused('ro', "SELECT revops.respond(task_id) FROM revops.task WHERE subject = 'p2'", qr/you may read, and not write/, 'a card of a customer whom one may only read');
is(sql("SET SESSION AUTHORIZATION li; SELECT revops.respond(task_id) FROM revops.task WHERE subject = 'p1'"), 't', 'while its owner answers it');
refused('li', "SELECT revops.complete(task_id, repeat('x', 10001)) FROM revops.task WHERE subject = 'p1'", qr/longer than 10,000 bytes/, 'with an outcome that is no book');

# what a stranger does with a customer of others counts, and is not shown
sql(q{SELECT revops.track('ask', person => 'nobody', account => a, object => 'page of ' || a) FROM unnest('{a1,a2}'::text[]) a});
sql('SELECT revops.process()');
is(sql(q{SET SESSION AUTHORIZATION li; SELECT object FROM revops.explain_intent('person', 'nobody', 'i')}), 'page of a1', 'the ledger of a stranger');

# what changes hands, and what is long, is in the audit log
my $lines = sql('SELECT count(*) FROM revops.audit_log');
sql(q{UPDATE revops.account SET owner = 'li' WHERE account = 'a2'; UPDATE revops.account SET owner = 'wu', name = 'Two' WHERE account = 'a2'; UPDATE revops.account SET name = 'Again' WHERE account = 'a2';
	UPDATE revops.opportunity SET owner = 'li' WHERE opportunity = 'o2'; UPDATE revops.opportunity SET owner = 'wu' WHERE opportunity = 'o2';
	UPDATE revops.rep SET properties = jsonb_build_object('x', repeat('a', 200000)) WHERE rep = 'ro'; UPDATE revops.rep SET properties = jsonb_build_object('x', repeat('b', 200000)) WHERE rep = 'ro'});
is(sql("SELECT string_agg(what, ' ' ORDER BY audit_id) FROM (SELECT * FROM revops.audit_log ORDER BY audit_id OFFSET $lines) l"), 'account account opportunity opportunity rep rep', 'owners and long values have their lines');

# an id whose event was taken back is nobody's
my $taker = $node->background_psql('postgres');
$taker->query_safe(q{BEGIN; SAVEPOINT s; INSERT INTO revops.event (event_id, kind, person) VALUES ('00000000-0000-4000-8000-000000000001', 'x', 'p1'); ROLLBACK TO s});
is(sql(q{SET statement_timeout = '60s'; SELECT revops.track('x', person => 'p1', event_id => '00000000-0000-4000-8000-000000000001') IS NOT NULL}), 't', 'another session may write it at once');
$taker->query_safe('COMMIT');
$taker->quit;
sql('SELECT revops.process()');

# a client that keeps a card does not hold up the stream, and what it missed comes later
sql(q{SELECT revops.track('ask', person => 'p1', account => 'a1')});
sql('SELECT revops.process()');
my $card = sql("SELECT max(task_id) FROM revops.task WHERE subject = 'p1' AND status = 'open'");
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; SELECT FROM revops.task WHERE task_id = $card FOR UPDATE");
sql(q{INSERT INTO revops.event (kind, side, rep, person, channel) VALUES ('call', 'rep', 'li', 'p1', 'call')});
is(sql("SET statement_timeout = '60s'; SELECT revops.process()"), '1', 'the stream goes on beside a card that is locked');
is(sql("SELECT status FROM revops.task WHERE task_id = $card"), 'open', 'the card stays as it is');
$holder->query_safe('ROLLBACK');
$holder->quit;
sql('SELECT revops.process()');
is(sql("SELECT status, answered_by FROM revops.task WHERE task_id = $card"), 'answered|li', 'and has its answer when it is free');

# a worker with nothing to do rests
sql("ALTER SYSTEM SET revops.worker = on");
$node->reload;
$node->poll_query_until('postgres', q{SELECT state = 'waiting' FROM revops.worker_stats() WHERE lane = 0}) or die 'no worker';
sql("SELECT pg_sleep(1)");
my $before = sql('SELECT pg_snapshot_xmax(pg_current_snapshot())');
sql('SELECT pg_sleep(3)');
cmp_ok(sql('SELECT pg_snapshot_xmax(pg_current_snapshot())') - $before, '<', 200, 'an idle worker takes a few transaction ids');
my $pid = sql('SELECT pid FROM revops.worker_stats() WHERE lane = 0');
sql("SELECT pg_cancel_backend($pid)");
sql("SELECT revops.track('ask', person => 'after')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM revops.intent_score WHERE subject = 'after'"), 'a cancel while it rests');
is(sql('SELECT pid FROM revops.worker_stats() WHERE lane = 0'), $pid, 'does not end it');
# whatever its database is set to
sql(q{CREATE ROLE weak; ALTER DATABASE postgres SET default_transaction_read_only = on; ALTER DATABASE postgres SET role = 'weak'});
$node->restart;
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c role=none';
	sql("SELECT revops.track('ask', person => 'odd')");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM revops.intent_score WHERE subject = 'odd'"), 'a worker of a database that is read-only by default, with a role, works');
}
$node->stop;
done_testing();
