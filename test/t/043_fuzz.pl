# A short run of the fuzzer on the rule compiler; make fuzz runs it for longer. Skipped where there is no clang with libFuzzer.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{FUZZ_SECONDS} // 20;
my $out = `FUZZ_SECONDS=$seconds FUZZ_DIR='$PostgreSQL::Test::Utils::tmp_check/fuzz' bash test/fuzz/run.sh 2>&1`;
my $rc = $? >> 8;
plan skip_all => "the fuzzer: $out" if $rc == 77;
is($rc, 0, "$seconds seconds of random rules") or diag($out);
note $out;
like($out, qr/number_of_executed_units: \d{3,}/, 'some rules were run');
done_testing();
