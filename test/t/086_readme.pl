# The examples of both READMEs, typed in one after the other by a new user of a server without preload: each runs, and answers what the page shows.
use strict;
use warnings;
use utf8;
use Cwd qw(abs_path);
use Encode qw(decode_utf8 encode_utf8);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init(extra => ['-E', 'UTF8', '--no-locale']);
$node->start;

# what the later examples are about is the reader's own
my $own = q{
CREATE TABLE candidate AS SELECT 'A' || a AS account, 'east-' || u AS unit, a * u % 7 + 0.5 AS fit FROM generate_series(1, 6) a, generate_series(1, 3) u;
CREATE TABLE team AS SELECT 'east-' || u AS unit, 2 AS places FROM generate_series(1, 3) u;
CREATE TABLE labelled_message AS SELECT (ARRAY['请问什么时候发货', '这个多少钱', 'when will it be delivered', 'how much is it'])[1 + n % 4] || repeat('？', n / 4) AS body,
	(ARRAY['delivery', 'price'])[1 + n % 2] AS topic FROM generate_series(0, 79) n;
CREATE TABLE visit AS SELECT n % 3 = 0 OR n % 7 = 0 AS bought, n % 3 + n % 2 AS pages, n * 7919 % 300 AS dwell, (ARRAY['ad', 'search', 'mail'])[1 + n % 3] AS source,
	n % 7 < 2 AS weekend FROM generate_series(1, 600) n;
};

for my $page ('README.md', 'README.zh-CN.md')
{
	my $db = lc($page =~ s{\W}{_}gr);
	my @examples = decode_utf8(slurp_file("$root/$page")) =~ /^```sql\n(.*?)^```$/msg;
	my (@shown, $script);

	cmp_ok(scalar @examples, '>', 10, "$page has examples");
	for my $example (@examples)
	{
		# a table of psql's: a line of names, a line of dashes, rows up to an empty line
		push @shown, $1 while $example =~ s/^( \S[^\n]*\n-+(?:\+-+)*\n(?: [^\n]*\n)*)//m;
		# no worker runs here
		$example =~ s/^-- .*(SELECT revops\.process\(\);)$/$1/m;
		$script .= $example;
	}
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, encode_utf8($own));
	my $file = $node->basedir . "/$db.sql";
	append_to_file($file, encode_utf8($script));
	my ($out, $err);
	my $ok = IPC::Run::run(['psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $file], '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	ok($ok, 'they run') or diag($err);
	$out = decode_utf8($out) =~ s/ +$//mgr;
	# the line of the card is asked for a moment after it was made
	$out =~ s/\b(?:8[5-9]\d|900) \|/900 |/g;
	cmp_ok(scalar @shown, '==', 4, 'and show four answers');
	for my $table (@shown)
	{
		$table =~ s/ +$//mg;
		my ($names) = $table =~ /^ *(.*)/;
		ok(index($out, $table) >= 0, encode_utf8("as they are: $names")) or diag(encode_utf8("$table\nis not in\n$out"));
	}
}

$node->stop;
done_testing();
