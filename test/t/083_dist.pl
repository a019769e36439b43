# The PGXN archive builds and holds what it must, and META.json is what PGXN's specification asks for.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $copy = PostgreSQL::Test::Utils::tempdir();
my ($version) = slurp_file("$root/pg_revops.control") =~ /^default_version = '(.*)'$/m;

# a copy without git and with the remains of a build, as from an export
system_or_bail('sh', '-c', "cd '$root' && tar --exclude=./.git --exclude=./tmp_check --exclude=./results --exclude=./log -cf - . | tar -C '$copy' -xf -");
append_to_file("$copy/$_", 'x') for 'src/left.o', 'left.so', "pg_revops--$version.sql";
my ($out, $err);
ok(IPC::Run::run([ 'bash', "$copy/tools/dist.sh" ], '>', \$out, '2>', \$err), 'the archive builds') or diag($err);
is($out, "pg_revops-$version.zip\n", 'under its name');
IPC::Run::run([ 'python3', '-c', 'import sys, zipfile; print("\n".join(zipfile.ZipFile(sys.argv[1]).namelist()))', "$copy/pg_revops-$version.zip" ], '>', \$out) or die;
my %in = map { $_ => 1 } split /\n/, $out;
is(join(', ', grep { !m{^pg_revops-\Q$version\E/} } sort keys %in), '', 'all is in one folder');
my @must = (qw(META.json Makefile pg_revops.control README.md CHANGELOG.md LICENSE src/pg_revops.c src/grants.sql test/setup.mk test/lib.sh tools/dist.sh debian/control.in
	debian/rules docs/reference/README.md), map { s{^\Q$root\E/}{}r } glob("$root/src/*/*.[ch] $root/src/*/*.sql $root/src/text/pack/*.json $root/upgrade/*.sql $root/sql/*.sql $root/test/t/*.pl $root/docs/*.md"));
is(join(', ', grep { !$in{"pg_revops-$version/$_"} } @must), '', 'it holds what a build, an installation and the tests need');
is(join(', ', grep { m{\.(o|so|bc)$|tmp_check|\.git/|^[^/]+/pg_revops--\Q$version\E\.sql$} } sort keys %in), '', 'and nothing that a build leaves');

my $meta = decode_json(slurp_file("$root/META.json"));
is(join(', ', grep { !$meta->{$_} } qw(name abstract version maintainer license provides meta-spec)), '', 'META.json has what it must');
is($meta->{'meta-spec'}{version}, '1.0.0', 'of the specification 1.0.0');
is($meta->{license}, 'postgresql', 'a licence that PGXN knows');
my @versions = ($meta->{version}, map { $_->{version} } values %{ $meta->{provides} });
is(join(', ', grep { $_ ne $version } @versions), '', 'its versions are that of the control file');
like($version, qr/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/, 'which is semantic');
for my $extension (values %{ $meta->{provides} })
{
	ok(-e "$root/$extension->{$_}", "$extension->{$_} exists") for qw(file docfile);
}
like($meta->{release_status}, qr/^(stable|testing|unstable)$/, 'a release status');
for my $phase (values %{ $meta->{prereqs} })
{
	for my $relation (values %$phase) { like($_, qr/^\d+\.\d+\.\d+$|^0$/, 'a required version') for values %$relation; }
}
is((slurp_file("$root/Makefile") =~ /^EXTVERSION   = (.*)$/m)[0], $version, "the Makefile's version");
like(slurp_file("$root/debian/changelog"), qr/\Apg-revops \(\Q$version\E\) /, "Debian's version");
like(slurp_file("$root/CHANGELOG.md"), qr/^## \Q$version\E /m, "the changelog's version");
done_testing();
