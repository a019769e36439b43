# A short run of the fuzzer on each of its targets; make fuzz runs them for longer. Skipped where there is no clang with libFuzzer.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{FUZZ_SECONDS} // 8;
my $out = `FUZZ_SECONDS=$seconds FUZZ_DIR='$PostgreSQL::Test::Utils::tmp_check/fuzz' bash test/fuzz/run.sh 2>&1`;
my $rc = $? >> 8;
plan skip_all => "the fuzzer: $out" if $rc == 77;
is($rc, 0, "$seconds seconds of random bytes for each target") or diag($out);
note $out;
like($out, qr/== $_\nnumber_of_executed_units: [1-9]/, "target $_: something was run") for qw(rule state text document);
done_testing();
