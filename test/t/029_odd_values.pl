# Every function that a role may call, with values that nobody would think of: NULL, NaN, infinities, the ends of each type, empty and nested arrays, names
# with quotes and newlines, broken documents. An error is right; an internal error, a crash, or a call that does not end is not.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $seed = $ENV{REVOPS_SEED} // time();
my $calls = $ENV{REVOPS_CALLS} // 8;
srand($seed);
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('odd');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nrevops.train_memory = '64MB'\nrevops.solver_memory = '64MB'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE odd');
$node->safe_psql('odd', 'CREATE EXTENSION pg_revops');
$node->safe_psql('odd', slurp_file("$root/docs/reference/sample.sql"));
$node->safe_psql('odd', slurp_file("$root/test/sqlsmith.sql"));

my $known = q{(ARRAY['ada','acme','deal-1','deal-2','rep-1','u1','sales','price','person-1','deal','page_view','lost'])};
my @text = ("''", "'ada'", "'acme'", "'deal-2'", "'rep-1'", "'u1'", "'sales'", "'price'", "'deal'", "'page_view'", "E'a\\'b\"c\\nd%s%n\\\\'", "repeat('x', 1000)", "repeat('太', 300000)",
	"'%'", "E'\\u200b'", "U&'\\+01F600'", "'revops.event; DROP TABLE revops.event'", "'SELECT 1'", "'SELECT NULL AS text, NULL AS label'", "'SELECT ''NaN''::float8 AS label, 1 AS x'",
	"'SELECT 1/0 AS text, 2 AS label'", "'{}'", "'null'", "'crm'", "'person'", "'customer'", "'0'", "'-1'", "'1 day'", "'((('", "'DELETE FROM revops.signal'", "'COMMIT'", "'COPY revops.signal TO STDOUT'",
	"'SELECT task, unit, benefit FROM (VALUES (''t'', ''u'', ''NaN''::float8), (''t'', ''v'', ''-Infinity''), (''w'', ''u'', 1e308)) v (task, unit, benefit)'",
	"'SELECT ''x'' AS text, ''y'' AS label FROM generate_series(1, 30)'", "'SELECT n AS x, ''infinity''::float8 AS y, n % 2 AS label FROM generate_series(1, 100) n'");
my %values = (
	text => \@text,
	float8 => ["'NaN'", "'Infinity'", "'-Infinity'", '0', "'-0'", '1e308', '-1e308', '1e-320', '0.5', '1', '-1'],
	int4 => [0, 1, -1, 2, 100, 2147483647, '(-2147483647 - 1)'],
	int8 => [0, 1, -1, 1000, '9223372036854775807', "'-9223372036854775808'"],
	bool => ['true', 'false'],
	timestamptz => ["'infinity'", "'-infinity'", "'294276-12-31 23:59:59.999999+00'", "'4714-11-24 00:00:00+00 BC'", "'2000-01-01'", 'now()', "'1970-01-01 00:00+00'", "now() - interval '3 days'"],
	date => ["'infinity'", "'-infinity'", "'5874897-12-31'", "'4714-11-24 BC'", "'2026-02-28'"],
	interval => ["'0'", "'-1 day'", "'1 second'", "'178000000 years'", "'-178000000 years'", "'2147483647 days'", "'1 month -30 days'", "'1 microsecond'", "'9223372036854775807 us'", "'1 day'"],
	jsonb => ["'{}'", "'[]'", "'null'", "'1e400'", "'\"x\"'", "'[[[[]]]]'", "'{\"kind\": null}'", "'{\"when\": {\"kind\": \"page_view\"}, \"count\": {\"at_least\": 1e9, \"within\": \"1000000 years\"}}'", "'{\"kind\": {\"in\": []}}'",
		"(repeat('[', 5000) || repeat(']', 5000))", "'[{\"kind\": \"x\", \"occurred_at\": \"infinity\"}, 7, null, {\"dwell\": -1}]'", "(SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 3000) n)",
		"'{\"sequence\": {\"steps\": [{\"when\": {}}, {\"when\": {}, \"repeat\": {\"at_least\": 4000000000}}]}}'", "'{\"patterns\": [{\"regex\": \"(a|b)*c{0,2147483647}\"}, {\"include\": \"\"}, {\"include\": null}]}'"],
	uuid => ["'00000000-0000-0000-0000-000000000000'", 'gen_random_uuid()'],
	regclass => ["'crm'", "'revops.event'", "'pg_class'", 0, 4294967295, "'revops.top_moments'", "'revops.event_event_id_idx'"],
	bytea => ["''", "'\\x00'", "repeat('x', 10000)::bytea", "decode(repeat('ff', 300), 'hex')", "(SELECT parameters FROM revops.model_version LIMIT 1)"],
	int4range => ["'empty'", "'(,)'", "'[1,5)'"],
	record => ['ROW()', 'ROW(1)', "ROW('NaN'::float8, NULL, 'x'::text)", '(SELECT x FROM (SELECT n % 7 AS contacts, 1.5 AS budget, NULL::text AS source FROM generate_series(1, 1) n) x)'],
);
$values{json} = $values{jsonb};
$values{varchar} = $values{name} = $values{cstring} = $values{text};
$values{int2} = [0, 1, -1, 32767, -32768];
$values{oid} = [0, 1, 4294967295, "'pg_class'::regclass"];
$values{numeric} = ["'NaN'", 0, '1e1000', '-1e-1000', "'Infinity'"];
$values{float4} = $values{float8};
$values{timestamp} = $values{timestamptz};
$values{anyelement} = $values{record};

sub pick { return $_[rand @_]; }
# a value of a type, as SQL
sub value
{
	my ($type) = @_;
	return "NULL::$type" if rand() < 0.12 && $type !~ /^any/;
	if ($type =~ /^(.*)\[\]$/ || $type eq 'anyarray')
	{
		my $element = $1 // 'int4';
		my $list = $values{$element} // ['NULL'];
		my $how = int(rand(7));
		return "'{}'::$element\[\]" if $how == 0;
		return "ARRAY[NULL]::$element\[\]" if $how == 1;
		return "ARRAY[[" . join(', ', map { pick(@$list) . "::$element" } 1 .. 2) . "], [" . join(', ', map { pick(@$list) . "::$element" } 1 .. 2) . "]]" if $how == 2;
		return "array_fill(" . pick(@$list) . "::$element, ARRAY[3000])" if $how == 3;
		return "array_fill(" . pick(@$list) . "::$element, ARRAY[2], ARRAY[-5])" if $how == 4;
		return 'ARRAY[' . join(', ', map { pick(@$list) . "::$element" } 1 .. 1 + int(rand(4))) . "]::$element\[\]";
	}
	return pick(@{ $values{record} }) if $type =~ /^any|^record$/;
	# an enum: one of its labels; another row type: of NULLs
	return '(' . pick(@{ $values{$type} }) . ")::$type" if $values{$type};
	return "(SELECT e::$type FROM unnest(enum_range(NULL::$type)) e ORDER BY random() LIMIT 1)" if $type =~ /subject_kind/;
	return "NULL::$type";
}

my @functions = map { [split /\|/, $_, -1] } split /\n/, $node->safe_psql('odd', q{
	SELECT p.oid::regprocedure, p.proname, p.prokind,
	       coalesce((SELECT string_agg(CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typelem = 0 THEN t.typname ELSE format_type(t.oid, NULL) END, ';' ORDER BY n)
	                 FROM unnest(p.proargtypes) WITH ORDINALITY u (o, n) JOIN pg_type t ON t.oid = o), '')
	FROM pg_proc p
	WHERE p.pronamespace = 'revops'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
	  AND NOT 'internal'::regtype = ANY (p.proargtypes) AND p.prokind IN ('f', 'a') AND p.prorettype <> 'internal'::regtype
	ORDER BY 1});
cmp_ok(scalar(@functions), '>', 200, 'there are functions: ' . @functions);
my %short = ('text[]' => 'text[]', 'character varying' => 'text', 'double precision' => 'float8', 'double precision[]' => 'float8[]', 'integer[]' => 'int4[]', 'bigint[]' => 'int8[]',
	'timestamp with time zone[]' => 'timestamptz[]', 'boolean[]' => 'bool[]');
my $script = "\\set VERBOSITY verbose\nSET statement_timeout = '3min';\nSET client_min_messages = error;\n";
for my $f (@functions)
{
	my ($signature, $name, $kind, $types) = @$f;
	next if $name =~ /^(wait_|sleep)/;
	for (1 .. ($types eq '' ? 2 : $calls))
	{
		my @args = map { value($short{$_} // $_) } split /;/, $types;
		my $call = "revops.$name(" . join(', ', @args) . ')';
		my $of = $kind eq 'a' ? ' FROM generate_series(1, ' . pick(0, 1, 3) . ')' : '';
		$script .= "BEGIN;\nSELECT count(*) FROM (SELECT x FROM (SELECT $call AS x$of) y) z;\nROLLBACK;\n";
	}
}
my $file = $node->basedir . '/odd.sql';
PostgreSQL::Test::Utils::append_to_file($file, $script);
my $log = -s $node->logfile;
my ($out, $err) = run_command(['psql', '-Xq', '-o', '/dev/null', '-d', $node->connstr('odd'), '-f', $file]);
my %seen;
$seen{$1}++ while $err =~ /ERROR:\s+(\w{5}):/g;
note join(', ', map { "$_ $seen{$_}" } sort keys %seen);
my $said = join("\n", grep { /ERROR:\s+(XX|57014)/ && !/ERROR:\s+XX00[12]: .*(damaged|the stored|a stored|does not fit|the state)/ } split /\n/, $err);
is($said, '', 'no internal error, none that had to be stopped');
cmp_ok($seen{22023} // 0, '>', 10, 'there were values that are refused');
unlike($err, qr/server closed the connection/, 'the server is up');
unlike(slurp_file($node->logfile, $log), qr/PANIC|TRAP|was terminated by signal/, 'no crash');
is($node->safe_psql('odd', "SELECT count(*) > 0 FROM revops.event"), 't', 'nothing is gone');
$node->stop;
done_testing();
