# Upgrades: each release's install script, filled with data and updated, gives the extension that a fresh install gives, object by
# object, and keeps the data. The install script of a release does not change any more: what changes needs a new version and an upgrade
# script. The same machinery runs on a made-up older release, and must notice what an upgrade script forgets.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my ($version) = slurp_file("$root/pg_revops.control") =~ /^default_version = '(.*)'$/m or die 'no version';
my $fresh_script = slurp_file(installed("pg_revops--$version.sql"));

sub config { my ($what) = @_; my $dir = `pg_config --$what`; chomp $dir; return $dir; }
sub installed { return config('sharedir') . "/extension/$_[0]"; }

# A copy of the server whose extension directory is ours to write to: PostgreSQL finds its files from where the program lies.
my $copy = PostgreSQL::Test::Utils::tempdir();
my ($bin, $share, $lib, $pkglib) = map { config($_) } qw(bindir sharedir libdir pkglibdir);
make_path("$copy$bin", "$copy$share/extension", dirname("$copy$pkglib"));
system_or_bail('sh', '-c', "cp -pL $bin/* $copy$bin/");
for my $file (glob "$share/*")
{
	symlink $file, "$copy$file" or die "$file: $!" unless basename($file) eq 'extension';
}
symlink $_, "$copy$_" for glob "$share/extension/*";
symlink $pkglib, "$copy$pkglib" or -e "$copy$pkglib" or die "$pkglib: $!";
symlink $lib, "$copy$lib" unless -e "$copy$lib";

sub add_script { my ($name, $text) = @_; my $path = "$copy$share/extension/$name"; unlink $path; append_to_file($path, $text); return; }

my $node = PostgreSQL::Test::Cluster->new('upgrade', install_path => dirname("$copy$bin"));
$node->init;
$node->start;
is($node->safe_psql('postgres', "SELECT setting LIKE '$copy%' FROM pg_config WHERE name = 'SHAREDIR'"), 't', 'the server reads its own copy');
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION pg_revops');

my $objects = slurp_file("$root/test/upgrade/objects.sql");
sub objects { my ($db) = @_; return $node->safe_psql($db, $objects); }

# what a query says of each table, in one statement; %1$s: the table
sub of_tables
{
	my ($db, $tables, $query) = @_;
	return $node->safe_psql($db, "SELECT t || ': ' || (xpath('/row/*/text()', query_to_xml(format(\$q\$$query\$q\$, t), true, true, '')))[1] FROM ($tables) AS x (t) ORDER BY t");
}

# rows of the extension's own tables, as an install leaves them; the stamps of the moment are left out
sub rows
{
	my ($db) = @_;
	return of_tables($db, q{SELECT c.oid::regclass::text FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass
		AND d.deptype = 'e' JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'pg_revops' WHERE c.relkind IN ('r', 'p')},
		'SELECT count(*) || coalesce(md5(string_agg(r::text, chr(10) ORDER BY r::text COLLATE "C")), $$$$) FROM %1$s r');
}

# the lines that only one of two texts has
sub difference
{
	my ($expected, $got) = @_;
	my %in_expected = map { $_ => 1 } split /\n/, $expected;
	my %in_got = map { $_ => 1 } split /\n/, $got;
	return join '', (map { "fresh only: $_\n" } grep { !$in_got{$_} } sort keys %in_expected),
		(map { "upgraded only: $_\n" } grep { !$in_expected{$_} } sort keys %in_got);
}

my $fresh = objects('fresh');
my $fresh_rows = rows('fresh');
cmp_ok(scalar(split /\n/, $fresh), '>', 1000, 'the extension has its objects');

my %installed;

# Install a version, fill it, update it to another one; returns what differs from a fresh install, in an empty database
sub upgrade
{
	my ($from, $fill) = @_;
	my $db = "from_$from" =~ tr/./_/r;

	# a version is installed once, and copied
	if (!$installed{$from}++)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $db");
		$node->safe_psql($db, "CREATE EXTENSION pg_revops VERSION '$from'");
	}
	for my $copy ('empty', $fill ? 'filled' : ())
	{
		$node->safe_psql('postgres', "DROP DATABASE IF EXISTS ${db}_$copy");
		$node->safe_psql('postgres', "CREATE DATABASE ${db}_$copy TEMPLATE $db");
	}
	my ($rc, $out, $err) = $node->psql("${db}_empty", 'ALTER EXTENSION pg_revops UPDATE');
	return "the update fails: $err" if $rc != 0;
	my $differences = difference($fresh, objects("${db}_empty")) . difference($fresh_rows, rows("${db}_empty"));
	return $differences unless $fill;

	# the data, kept: every column of every row that was there before is there after, by name
	$db .= '_filled';
	($rc, $out, $err) = $node->psql($db, $fill, on_error_stop => 1);
	return "the data of $from cannot be filled in: $err" if $rc != 0;
	$node->safe_psql($db, q{DO $$ DECLARE t regclass; BEGIN
		CREATE SCHEMA before;
		FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'revops'::regnamespace AND c.relkind = 'r' LOOP
			EXECUTE format('CREATE TABLE before.%I AS SELECT to_jsonb(r) AS r FROM %s r', (SELECT relname FROM pg_class WHERE oid = t), t);
		END LOOP; END $$});
	my $tables = q{SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'before'::regnamespace AND c.relkind = 'r'};
	my $count = 0;
	$count += (split /: /)[1] for split /\n/, of_tables($db, $tables, 'SELECT count(*) FROM before.%1$I');
	$node->safe_psql($db, 'ALTER EXTENSION pg_revops UPDATE');
	$differences .= join '', map { "rows lost or changed: $_\n" } grep { !/: 0$/ } split /\n/, of_tables($db,
		qq{$tables AND to_regclass('revops.' || quote_ident(c.relname)) IS NOT NULL
			AND (to_regclass('revops.' || quote_ident(c.relname)) IN (SELECT unnest(extconfig) FROM pg_extension) OR c.relname LIKE 'event\\_%')},
		'SELECT count(*) FROM before.%1$I b WHERE NOT EXISTS (SELECT FROM revops.%1$I t WHERE to_jsonb(t) @> b.r)');
	return "no data was filled in\n" if $count < 20;
	($rc, $out, $err) = $node->psql($db, "SELECT revops.track('page_view', person => 'ada'); SELECT revops.process();");
	$differences .= "after the update: $err" if $rc != 0;
	my @left = grep { /^upgraded only|^fresh only/ } split /\n/, difference($fresh, objects($db));
	return $differences . join '', map { "$_\n" } @left;
}

my $fill = slurp_file("$root/test/upgrade/fill.sql");

# 1. the releases
my @releases = sort map { /pg_revops--(.*)\.sql\.xz$/ } glob "$root/test/upgrade/pg_revops--*.sql.xz";
note 'releases: ' . (join(', ', @releases) || 'none yet');
for my $release (@releases)
{
	my $script;
	IPC::Run::run([ 'xz', '-dc', "$root/test/upgrade/pg_revops--$release.sql.xz" ], '>', \$script) or die "$release: xz failed";
	if ($release eq $version)
	{
		ok($script eq $fresh_script, "the install script is that of the release $release")
			or diag("$release is released: begin a new version (make next VERSION=...), whose upgrade script says how a database follows");
		next;
	}
	add_script("pg_revops--$release.sql", $script);
	is(upgrade($release, $fill), '', "$release updates to what a fresh $version is, with its data");
}

# 2. a made-up release before this one: without a function, a view, a column, an index and the mark
# of a table that is dumped, with another default and another comment
my $old = $fresh_script;
sub without { my ($what) = @_; my $n = $old =~ s/$what//; die "the made-up release: nothing like $what" unless $n; return $&; }
sub instead { my ($what, $by) = @_; my $n = $old =~ s/$what/$by/; die "the made-up release: nothing like $what" unless $n; return; }

my $function = without(qr/^CREATE FUNCTION revops\.config_valid_from\(\).*?^\$\$;\n/ms);
my $comment_function = without(qr/^COMMENT ON FUNCTION revops\.config_valid_from\(\).*?;\n/ms);
my $column = without(qr/^    past_until    bigint\[\] NOT NULL DEFAULT '\{\}'\n/m);
my $comment_column = without(qr/^COMMENT ON COLUMN revops\.stream_lane\.past_until IS .*?;\n/ms);
instead(qr/    last_pass_at  timestamptz,\n/, "    last_pass_at  timestamptz\n");
instead(qr/    passes        bigint NOT NULL DEFAULT 0,\n/, "    passes        bigint NOT NULL DEFAULT 7,\n");
my $status = without(qr/^CREATE VIEW revops\.stream_status AS.*?;\n(?=COMMENT)/ms);
$old =~ s/^COMMENT ON (VIEW|COLUMN) revops\.stream_status\b.*;\n//mg;
my $index = without(qr/^CREATE INDEX repair_request_order [^;]*;\n/m);
my $mark = without(qr/^SELECT pg_catalog\.pg_extension_config_dump\('revops\.failed_event', ''\);\n/m);
instead(qr/COMMENT ON FUNCTION revops\.retry_failed\(\) IS '[^']*';/, "COMMENT ON FUNCTION revops.retry_failed() IS 'Older words';");
my $comments = join '', $fresh_script =~ /^(COMMENT ON (?:VIEW|COLUMN) revops\.stream_status\b.*;\n)/mg;
my ($retry) = $fresh_script =~ /^(COMMENT ON FUNCTION revops\.retry_failed\(\) IS '[^']*';\n)/m;
my %update = (
	function => $function . $comment_function . "REVOKE ALL ON FUNCTION revops.config_valid_from() FROM PUBLIC;\n"
	  . "GRANT EXECUTE ON FUNCTION revops.config_valid_from() TO revops_admin;\n",
	column => "ALTER TABLE revops.stream_lane ADD COLUMN past_until bigint[] NOT NULL DEFAULT '{}';\n$comment_column",
	default => "ALTER TABLE revops.stream_lane ALTER COLUMN passes SET DEFAULT 0;\n",
	view => $status . $comments . "REVOKE ALL ON revops.stream_status FROM PUBLIC;\nGRANT SELECT ON revops.stream_status TO revops_admin, revops_app, revops_reader;\n"
	  . "ALTER VIEW revops.stream_status OWNER TO revops_view;\n",
	index => $index,
	mark => $mark,
	comment => $retry);
my @order = qw(function column default view index mark comment);

add_script('pg_revops--0.0.1.sql', $old);
add_script("pg_revops--0.0.1--$version.sql", join '', @update{@order});
my $filled = $fill;
$filled =~ s/^SELECT revops\.(put_signal|put_rule|process)\(.*\n//mg;    # what the made-up release cannot do
$filled .= "INSERT INTO revops.failed_event (event_id, lane, occurred_at, sqlstate, error) SELECT event_id, 0, occurred_at, 'XX000', 'kept' FROM revops.event;\n";
is(upgrade('0.0.1', $filled), '', 'a made-up older release updates to what a fresh install is, with its data');

# 3. and each thing that its upgrade script forgets is noticed
my %noticed = (
	function => qr/fresh only: function config_valid_from|the update fails|fresh only: function revops\.config_valid_from/,
	default => qr/upgraded only: column revops\.stream_lane\.passes.*default '?7/,
	index => qr/fresh only: index revops\.repair_request_order/,
	mark => qr/fresh only: extension\|dumped with pg_dump: revops\.failed_event/,
	comment => qr/upgraded only: .*Older words/);
for my $forgotten (sort keys %noticed)
{
	add_script("pg_revops--0.0.1--$version.sql", join '', map { $update{$_} } grep { $_ ne $forgotten } @order);
	like(upgrade('0.0.1'), $noticed{$forgotten}, "an upgrade script that forgets the $forgotten does not pass");
}
add_script("pg_revops--0.0.1--$version.sql", join('', @update{@order}) . "GRANT EXECUTE ON FUNCTION revops.process(bigint) TO revops_app;\n");
like(upgrade('0.0.1'), qr/function revops\.process\(bigint\)\|owner.*revops_app/, 'nor one that grants too much');
add_script("pg_revops--0.0.1--$version.sql", join('', @update{@order}) . "DELETE FROM revops.intent_pack WHERE topic = (SELECT min(topic) FROM revops.intent_pack);\n");
like(upgrade('0.0.1'), qr/revops\.intent_pack/, 'nor one that leaves other rows');

$node->stop;
done_testing();
