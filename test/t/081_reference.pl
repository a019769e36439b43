# The reference (docs/reference/ROOM.md) has each setting, view and function that a role may use, in its room's page, with an example
# that runs; it has nothing that is not there. What is missing is listed room by room.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $cron = -e (`pg_config --sharedir` =~ s/\s+$//r) . '/extension/pg_cron.control';
my $node = PostgreSQL::Test::Cluster->new('reference');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_revops" . ($cron ? ",pg_cron'\ncron.database_name = 'room_board'\n" : "'\n"));
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE loaded');
$node->safe_psql('loaded', 'CREATE EXTENSION pg_revops');
$node->safe_psql('loaded', slurp_file("$root/docs/reference/sample.sql"));

# which room each name is of, as the sources have it
my (%room_of, %rooms);
for my $file (glob "$root/src/*/*.sql $root/src/*/*.c")
{
	my $room = basename(dirname($file));
	$rooms{$room} = 1;
	my $text = slurp_file($file);
	$room_of{$1} //= $room while $text =~ /^CREATE (?:OR REPLACE )?(?:FUNCTION|AGGREGATE|VIEW|PROCEDURE) revops\.(\w+)/mg;
	$room_of{$1} //= $room while $text =~ /DefineCustom\w+Variable\("(revops\.\w+)"/g;
}

# what there is for users: not triggers, nor the parts of aggregates and types
my %there = map { $_ => 'function' } split /\n/, $node->safe_psql('loaded', q{
	SELECT DISTINCT p.proname FROM pg_proc p
	WHERE p.pronamespace = 'revops'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
	  AND EXISTS (SELECT FROM unnest('{revops_admin,revops_app,revops_reader}'::text[]) r WHERE has_function_privilege(r, p.oid, 'EXECUTE'))
	  AND NOT EXISTS (SELECT FROM pg_aggregate g WHERE p.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn))
	  AND NOT EXISTS (SELECT FROM pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))});
$there{$_} = 'view' for split /\n/, $node->safe_psql('loaded', q{
	SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind = 'v'
	  AND EXISTS (SELECT FROM unnest('{revops_admin,revops_app,revops_reader}'::text[]) r WHERE has_table_privilege(r, c.oid, 'SELECT'))});
$there{$_} = 'setting' for split /\n/, $node->safe_psql('loaded', q{SELECT revops.now() IS NULL WHERE false; SELECT name FROM pg_settings WHERE name LIKE 'revops.%'});
cmp_ok(scalar(keys %there), '>', 50, 'there is something to look for');

for my $room (sort keys %rooms)
{
	my $page = "$root/docs/reference/$room.md";
	my $text = -e $page ? slurp_file($page) : '';
	my @examples = $text =~ /^```sql\n(.*?)^```$/msg;
	my (%entry, %inner, @missing, @bare);

	$entry{$1} = 1 while $text =~ /^### (\w+)$/mg;
	$entry{$1} = 1 while $text =~ /^\| `(revops\.\w+)` \|/mg;
	if ($text =~ /^## Inner functions\n(.*)/ms)
	{
		my $list = $1;
		$inner{$1} = 1 while $list =~ /`(\w+)`/g;
	}
	for my $name (sort grep { ($room_of{$_} // '') eq $room } keys %there)
	{
		push @missing, "$there{$name} $name" unless $entry{$name} || ($inner{$name} && $there{$name} eq 'function');
		push @bare, $name if $entry{$name} && !grep { /\b\Q$name\E\b/ } @examples;
	}
	is(join(', ', @missing), '', "docs/reference/$room.md has all of its room");
	is(join(', ', @bare), '', "and an example of each");
	is(join(', ', sort grep { !$there{$_} } keys %entry, keys %inner), '', 'and nothing else');
	next unless @examples;

	$node->safe_psql('postgres', "CREATE DATABASE room_$room TEMPLATE loaded");
	my $script = '';
	for my $example (@examples)
	{
		next if $example =~ /pg_cron|schedule_jobs/ && !$cron;
		$script .= $example;
	}
	my ($rc, $out, $err) = $node->psql("room_$room", $script, on_error_stop => 1);
	is($rc, 0, "the examples of $room run") or diag($err);
}
my @homeless = sort grep { !$room_of{$_} } keys %there;
is(join(', ', @homeless), '', 'each has a room');

# the examples of the other pages of this house that say they run as they are
for my $page (qw(operations guarantees))
{
	my @examples = slurp_file("$root/docs/$page.md") =~ /^```sql\n(.*?)^```$/msg;
	cmp_ok(scalar @examples, '>', 0, "docs/$page.md has examples");
	$node->safe_psql('postgres', "CREATE DATABASE page_$page TEMPLATE loaded");
	my ($rc, $out, $err) = $node->psql("page_$page", join('', @examples), on_error_stop => 1);
	is($rc, 0, "and they run") or diag($err);
}
$node->stop;
done_testing();
