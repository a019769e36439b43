# Functions of one's own in a query are shown nothing of customers whom one does not see: test/leaks.sql tries every view, column by column.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $node = PostgreSQL::Test::Cluster->new('leaks');
$node->init(extra => [ '-E', 'UTF8', '--no-locale' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

my ($rc, $out, $err) = $node->psql('postgres', slurp_file("$root/test/leaks.sql"), on_error_stop => 1);
is($rc, 0, 'all were tried') or diag($err);
is(() = $out =~ /^t$/mg, 4, 'by readers and applications, with what they see and with a denial, also in parallel');
is(join("\n", $err =~ /WARNING:  (.* was shown .*)/g), '', 'nothing was shown');
is(join("\n", $err =~ /WARNING:  (.* failed: .*)/g), '', 'and no query failed');
is(join("\n", grep { !/^capability_map / } $err =~ /WARNING:  (.* shows .* by itself)/g), '', 'what a view shows by itself is no secret, but for the map of all units');

# a view that leaks is noticed
$node->safe_psql('postgres', q{
	CREATE VIEW revops.leaky AS SELECT a.account, a.name FROM revops.account a WHERE (SELECT revops.sees_all()) OR a.account IN (SELECT revops.seen('account'));
	GRANT SELECT ON revops.leaky TO revops_reader});
($rc, $out, $err) = $node->psql('postgres', q{SET SESSION AUTHORIZATION leak_reader; SELECT leak.attack('{default}') > 0});
like($err, qr/leaky.* was shown secret/, 'a view without a barrier is noticed');
$node->stop;
done_testing();
