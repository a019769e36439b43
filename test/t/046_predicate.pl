# The predicate room without the rest, against oracles written apart: formulas, fields, local days, conditions and their index.
# A random test prints its seed; REVOPS_SEED repeats it.
use strict;
use warnings;
use Cwd qw(getcwd);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1 << 31));
note "seed $seed";
srand($seed);

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my $built = `make -s -C test/unit with_llvm=no PG_CONFIG=$pg_config 2>&1`;
BAIL_OUT("test/unit does not build:\n$built") if $?;

my $node = PostgreSQL::Test::Cluster->new('predicate');
$node->init;
$node->start;
my $module = getcwd() . '/test/unit/predicate_test';
my $json = JSON::PP->new->canonical->allow_nonref->ascii;

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub quote { my $s = shift; return 'NULL' unless defined $s; $s =~ s/'/''/g; return "'$s'"; }
sub fails { my ($rc, $out, $err) = $node->psql('postgres', $_[0]); return $rc ? $err : "no error: $out"; }

sql(qq{
	CREATE TYPE event AS (occurred_at timestamptz, kind text, side text, channel text, object text, person text, account text,
		opportunity text, rep text, time_zone text, dwell int8, body text, properties jsonb);
	CREATE FUNCTION formula(json, text[], float8[]) RETURNS float8 LANGUAGE c AS '$module', 'test_formula';
	CREATE FUNCTION field(text, event) RETURNS text LANGUAGE c AS '$module', 'test_field';
	CREATE FUNCTION local_day(event, json) RETURNS int LANGUAGE c AS '$module', 'test_local_day';
	CREATE FUNCTION matches(json, event) RETURNS boolean LANGUAGE c AS '$module', 'test_matches';
	CREATE FUNCTION matches_text(text, event) RETURNS boolean LANGUAGE c AS '$module', 'test_matches';
	CREATE FUNCTION anchors(json) RETURNS text[] LANGUAGE c AS '$module', 'test_anchors';
	CREATE FUNCTION look(text[], event[], OUT event int, OUT candidates int[], OUT matches int[]) RETURNS SETOF record LANGUAGE c
		AS '$module', 'test_look';
});

# ---- formulas

my @names = qw(count sum step_1.dwell x.properties.a_b _);
my $inf = 9**9**9;

sub formula
{
	my ($f, %slots) = @_;
	my @k = sort keys %slots;
	return 'formula(' . quote($json->encode({ f => $f })) . ', ARRAY[' . join(',', map { quote($_) } @k) . ']::text[], ARRAY['
		. join(',', map { quote($slots{$_}) } @k) . ']::float8[])';
}
my %is = (
	'1' => 1, '0.5' => 0.5, '1e3' => 1000, '1.5E-1' => 0.15, '2 + 3 * 4' => 14, '(2 + 3) * 4' => 20, '10 - 4 - 3' => 3, '16 / 4 / 2' => 2,
	'-2 * -3' => 6, '--2' => 2, '- - -2' => -2, '-(1 + 1)' => -2, 'min(3, 1, 2)' => 1, 'max(3)' => 3, 'sqrt(16)' => 4, 'ln(exp(2))' => 2,
	"\t1\n+\r 1 " => 2, '1 / 0' => 0, '0 / 0' => 0, 'ln(0)' => 0, 'ln(-1)' => 0, 'sqrt(-1)' => 0, 'exp(1000)' => 0, '1e308 * 10' => 0,
	'min(1, 1 / 0)' => 1, 'max(1, 0 / 0)' => 0, 'min(0 / 0, 1)' => 0, '1 / (1 / 0)' => 0, 'exp(-1 / 0)' => 0, 'a' => 7, 'a.b_1._c' => 8,
	'min' => 9, 'missing' => 0);
for my $f (sort keys %is)
{
	my $name = $json->encode($f);
	is(sql('SELECT ' . formula($f, 'a' => 7, 'a.b_1._c' => 8, 'min' => 9, 'missing' => 0)), $is{$f}, "$name is $is{$f}");
}
is(sql('SELECT ' . formula('a + b + 1', a => 'Infinity', b => 'NaN')), 1, 'a name that is no finite number is 0');
is(sql(q{SELECT formula('{"f": 0.25}', '{}', '{}')}), 0.25, 'a number is a formula');

my @bad = (
	['', 'expected a number, a name, a function or "\(" at position 1 of the formula at \$\.f'],
	['1 +', 'a number, a name, a function or "\(" at position 4'],
	['1 1', 'an operator or the end at position 3'],
	['(1 + 2', 'an operator or "\)" at position 7'],
	['1)', 'an operator or the end at position 2'],
	['1. + 2', 'a number, such as 1, 0\.5 or 1e3, at position 1'],
	['1e', 'a number, such as 1'], ['1.2.3', 'a number, such as'], ['3x', 'a number, such as'], ['.5', 'a number, a name'], ['1e999', 'a number below 1e308'],
	['+1', 'a number, a name'], ['2 ** 3', 'a number, a name, a function or "\(" at position 4'], ['2 ^ 3', 'an operator or the end at position 3'],
	['avg(1, 2)', 'one of the functions min, max, sqrt, ln, exp at position 1'], ['sqrt(1, 2)', 'an operator or "\)" at position 7'],
	['min()', 'a number, a name'], ['min(1,)', 'at position 7'], ['max(1 2)', 'an operator, "," or "\)" at position 7'],
	['1 + dwel', 'an unknown name: "dwel", at position 5 of the formula at \$\.f'], ['count.', 'an operator or the end at position 6'],
	['count.1', 'an operator or the end'], ["\x{65f6}", 'position 1'], ["1 + \x{65f6}", 'position 5'],
	['(' x 33 . '1' . ')' x 33, 'at most 32 open parentheses at position 33'], ['1' . '+1' x 300, 'a formula of at most 500'],
	['1+' x 1500 . '1', 'a formula of at most 2000 bytes'], ['a' x 200, 'a name of at most 128 bytes'],
	['min(' . join(',', 1 .. 17) . ')', 'at most 16 arguments']);
for my $b (@bad)
{
	my ($f, $e) = @$b;
	like(fails('SELECT ' . formula($f, count => 1)), qr/test, line 1, column 6: .*$e/, 'refused: ' . substr($json->encode($f), 0, 40));
}
like(fails(q{SELECT formula('{"f": true}', '{}', '{}')}), qr/expected a number, or a formula as text at \$\.f/, 'refused: true');
unlike(fails('SELECT ' . formula('(' x 32 . '1' . ')' x 32)), qr/ERROR/, '32 open parentheses are not too many');
my $deep = 'a';
$deep = "min(1, 1 + 1 * $deep)" for 1 .. 32;
is(sql('SELECT ' . formula($deep, a => -40)), -8, 'the deepest stack');

# random formulas, whose value Perl knows
sub random_formula
{
	my ($depth) = @_;
	my $r = int(rand($depth > 0 ? 11 : 2));
	if ($r == 0) { my $v = int(rand(200)) / 8; return ($v, $v); }
	if ($r == 1) { my $n = $names[ rand @names ]; return ($n, $main::slot{$n}); }
	my ($a, $x) = random_formula($depth - 1);
	return ("(-$a)", -$x) if $r == 2;
	return ("sqrt($a)", $x < 0 ? $inf - $inf : sqrt $x) if $r == 3;
	return ("ln( $a )", $x > 0 ? log $x : $x == 0 ? -$inf : $inf - $inf) if $r == 4;
	my ($b, $y) = random_formula($depth - 1);
	my $nan = $x != $x || $y != $y;
	return ("min($a,$b)", $nan ? $inf - $inf : $x < $y ? $x : $y) if $r == 5;
	return ("max($b, $a)", $nan ? $inf - $inf : $x > $y ? $x : $y) if $r == 6;
	return ("($a + $b)", $x + $y) if $r == 7;
	return ("($a-$b)", $x - $y) if $r == 8;
	return ("($a * $b)", $x * $y) if $r == 9;
	# Perl does not divide by zero, nor tell the sign of one
	return ("($a/$b)", $y != 0 ? $x / $y : die "zero\n");
}
our %slot = map { $_ => int(rand(80) - 40) / 4 } @names;
my (@sql, @value, @text);
while (@value < 2000)
{
	my ($f, $v) = eval { random_formula(5) };
	next if !defined $f || length($f) > 1500;
	push @text, $f;
	push @sql, '(' . scalar(@sql) . ', ' . formula($f, %slot) . ')';
	push @value, $v != $v || abs($v) == $inf ? 0 : $v;
}
my $wrong = 0;
for my $line (split /\n/, sql('SET extra_float_digits = 1; SELECT * FROM (VALUES ' . join(',', @sql) . ') v (n, x) ORDER BY n'))
{
	my ($n, $x) = split /\|/, $line;
	next if abs($x - $value[$n]) <= 1e-12 * (abs($value[$n]) + 1);
	diag("$text[$n] is $x, not $value[$n]") if $wrong++ < 3;
}
is($wrong, 0, '2000 random formulas');

# ---- fields

my $e = q{ROW('2026-01-30 12:00Z', 'k', NULL, 'web', '/o', 'p', NULL, NULL, 'r', NULL, 90000000, 'long text',
	'{"n": 1.5, "t": "/o", "b": true, "f": false, "huge": 1e400, "none": null, "list": [1], "a": {"b": "x"}, "a.c": "y"}')::event};
my $hash = sub { sql("SELECT hashtextextended(" . quote($_[0]) . ", 0)") };
is(sql("SELECT field('kind', $e)"), 'text ' . $hash->('k') . ' 0 text', 'a text field');
is(sql("SELECT field('body', $e)"), 'text ' . $hash->('long text') . ' 0 text', 'the body');
is(sql("SELECT field('side', $e)"), 'none 0 0 text', 'an absent one');
is(sql("SELECT field('dwell', $e)"), 'number 0 9e+07', 'dwell in microseconds');
is(sql("SELECT field('properties.n', $e)"), 'number 0 1.5 property', 'a number');
is(sql("SELECT field('properties.t', $e)"), 'text ' . $hash->('/o') . ' 0 property', 'a text has the hash of its bytes');
is(sql("SELECT field('properties.b', $e)"), 'boolean 0 1 property', 'true');
is(sql("SELECT field('properties.f', $e)"), 'boolean 0 0 property', 'false');
is(sql("SELECT field('properties.huge', $e)"), 'number ' . sql('SELECT hash_numeric_extended(1e400, 0)') . ' Infinity property', 'a number beyond all has a hash of its digits');
is(sql("SELECT field('properties.$_', $e)"), 'none 0 0 property', "properties.$_ has no value to compare") for qw(none list a missing a.d n.x);
is(sql("SELECT field('properties.a.b', $e)"), 'text ' . $hash->('x') . ' 0 property', 'a path');
is(sql("SELECT field('properties.a.c', $e)"), 'text ' . $hash->('y') . ' 0 property', 'a key with a dot');
like(fails("SELECT field('$_', $e)"), qr/expected one of kind, channel, side, object, person, account, opportunity, rep, body, dwell, properties\.<name> at \$\.of/,
	"'$_' is no field") for '', 'properties.', 'intent', 'local_time', 'person.title', 'Kind';

# ---- local days and local time

is(sql(q{
	SELECT count(*) FROM (SELECT z, timestamptz '1900-01-01 00:00Z' + g * interval '7919 minutes 13 seconds' * 10 AS t
		FROM unnest('{UTC,Asia/Shanghai,America/New_York,Asia/Kathmandu,Pacific/Apia,Europe/London,Australia/Lord_Howe}'::text[]) z, generate_series(1, 1500) g) x
	WHERE local_day(ROW(t, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event, json_build_object('zone', z))
		IS DISTINCT FROM (t AT TIME ZONE z)::date - date '2000-01-01'
	   OR local_day(ROW(t, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, z, NULL, NULL, NULL)::event, NULL) IS DISTINCT FROM (t AT TIME ZONE z)::date - date '2000-01-01'}),
	0, 'local days in seven zones, over two centuries');
is(sql(q{SELECT local_day(ROW('2026-01-30 23:30Z', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Nowhere/Land', NULL, NULL, NULL)::event, NULL)}), 9526,
	'a zone that is none is not known');
is(sql(q{SET revops.time_zone = 'Asia/Shanghai'; SELECT local_day(ROW('2026-01-30 23:30Z', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event, NULL)}),
	9527, 'then revops.time_zone counts');
is(sql(q{SELECT local_day(ROW('infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event, NULL) IS NULL}), 't', 'infinity has no day');
is(sql(q{
	SELECT count(*) FROM (SELECT timestamptz '2026-01-01 00:00Z' + g * interval '17 minutes' AS t FROM generate_series(1, 2000) g) x, LATERAL (SELECT t AT TIME ZONE 'Asia/Tokyo' AS l) y
	WHERE matches('{"local_time": {"from": "22:00", "to": "06:30", "days": ["fri", "sat"], "time_zone": "Asia/Tokyo"}}',
		ROW(t, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event)
		IS DISTINCT FROM ((l::time >= '22:00' OR l::time < '06:30') AND extract(isodow FROM l) IN (5, 6))}),
	0, 'a span over midnight on two days');

# ---- conditions and their index

like(fails("SELECT matches_text('{\"kind\": \"\\\x{c3}\x{a9}\"}', $e)"), qr/test, line 1, column 12: invalid escape/, 'a syntax error amid a character is told as one');

my %anchors = (
	'{}' => undef,
	'{"kind": "a"}' => '{"0 a"}',
	'{"kind": ["a", "b"], "side": "rep"}' => '{"0 a","0 b"}',
	'{"kind": "a", "object": {"prefix": "/x"}}' => '{"3 ^/x"}',
	'{"object": {"like": "/x%"}, "channel": "web"}' => '{"3 ^/x"}',
	'{"object": {"like": "/x\\\\_%"}}' => '{"3 ^/x_"}',
	'{"object": {"like": "/x"}}' => '{"3 /x"}',
	'{"object": {"like": "%/x"}, "channel": "web"}' => '{"2 web"}',
	'{"object": "/x", "person": ["p", "q"]}' => '{"3 /x"}',
	'{"kind": "a", "properties.plan": "pro"}' => '{"11.plan pro"}',
	'{"kind": "a", "properties.bot": true}' => '{"0 a"}',
	'{"intent": "delivery", "side": "customer"}' => '{"11.intents delivery"}',
	'{"kind": {"ne": "a"}}' => undef,
	'{"not": {"kind": "a"}, "side": "rep"}' => '{"1 rep"}',
	'{"any": [{"kind": "a"}, {"object": "/x"}]}' => '{"0 a","3 /x"}',
	'{"any": [{"kind": "a"}, {"dwell": {"gt": "1s"}}]}' => undef,
	'{"any": [{"kind": "a"}, {"kind": "b"}], "object": {"exists": true}}' => '{"0 a","0 b"}',
	'{"all": [{"side": "rep"}, {"any": [{"object": "/x"}, {"object": {"prefix": "/y"}}]}]}' => '{"3 /x","3 ^/y"}',
	'{"kind": "a", "properties.n": {"prefix": "a", "in": ["ab"], "ne": "x"}}' => '{"11.n ab"}',
	'{"person.title": "CFO", "properties.n": {"gt": 3}, "body": "x", "dwell": "1s"}' => undef);
is(sql('SELECT anchors(' . quote($_) . ')'), $anchors{$_} // '', "anchors of $_") for sort keys %anchors;

my @words = ('a', 'ab', 'abc', 'b', 'ba', '', 'x_y', 'x%y', 'Ab');
my @properties = ('p', 'q', 'p.q', 'q.p.p', 'intents', '.p');
sub pick { return $_[ rand @_ ]; }
sub scalar_value { return pick(pick(@words), pick(@words), int(rand(3)), int(rand(3)) + 0.5, JSON::PP::true, JSON::PP::false); }

sub random_condition
{
	my ($depth) = @_;
	my $r = rand();
	return { all => [ map { random_condition($depth - 1) } 1 .. 1 + rand(2) ] } if $depth > 0 && $r < 0.1;
	return { any => [ map { random_condition($depth - 1) } 1 .. 1 + rand(3) ] } if $depth > 0 && $r < 0.3;
	return { not => random_condition($depth - 1) } if $depth > 0 && $r < 0.4;
	my %c;
	for (1 .. 1 + rand(2))
	{
		my $text = rand() < 0.6;
		my $field = $text ? pick(qw(kind side channel object object person rep)) : 'properties.' . pick(@properties);
		my $value = $text ? sub { pick(@words) } : \&scalar_value;
		my %tests;
		for (1 .. (rand() < 0.7 ? 1 : 2))
		{
			my $op = pick(qw(eq eq eq in in prefix prefix like ne exists gt lte));
			next if $text && $op =~ /gt|lte/;
			$tests{$op} = $op eq 'in' ? [ map { $value->() } 1 .. 1 + rand(3) ] : $op eq 'exists' ? pick(JSON::PP::true, JSON::PP::false) :
				$op eq 'prefix' ? pick(grep { $_ ne '' } @words) : $op eq 'like' ? pick(qw(a% %b% a_ x\_y x\%% ab _ %)) : $op =~ /gt|lte/ ? int(rand(3)) : $value->();
		}
		%tests = (eq => $value->()) unless %tests;
		my ($op) = keys %tests;
		$c{$field} = keys %tests == 1 && $op =~ /eq|in/ && rand() < 0.5 ? $tests{$op} : \%tests;
	}
	return \%c;
}

sub random_value
{
	my ($depth) = @_;
	my $r = rand();
	return [ map { random_value(0) } 1 .. rand(4) ] if $depth > 0 && $r < 0.25;
	return { map { pick('p', 'q', '') => random_value($depth - 1) } 1 .. rand(3) } if $depth > 0 && $r < 0.5;
	return $r < 0.55 ? undef : scalar_value();
}

sub random_event
{
	my %e = map { $_ => rand() < 0.8 ? pick(@words) : undef } qw(kind side channel object person rep);
	$e{properties} = { map { pick('p', 'q', 'p.q', 'q.p', 'intents', '') => random_value(3) } 1 .. rand(4) } if rand() < 0.8;
	return \%e;
}

# what docs/moments.md says of conditions
sub property
{
	my ($p, $name) = @_;
	return $p->{$name} if ref $p eq 'HASH' && exists $p->{$name};
	for my $part (split /\./, $name, -1)
	{
		return unless ref $p eq 'HASH' && exists $p->{$part};
		$p = $p->{$part};
	}
	return $p;
}
sub type
{
	my ($v) = @_;
	return !defined $v ? 'none' : JSON::PP::is_bool($v) ? 'bool' : ref $v ? 'nested' : $json->encode($v) =~ /^"/ ? 'text' : 'number';
}
sub same { my ($a, $b) = @_; return type($a) eq type($b) && (type($a) eq 'number' ? $a == $b : type($a) eq 'bool' ? !!$a == !!$b : $a eq $b); }
sub like_regex
{
	my ($p) = @_;
	my $r = '';
	while ($p =~ /\G(\\.|.)/gs) { $r .= $1 eq '%' ? '.*' : $1 eq '_' ? '.' : quotemeta(substr($1, -1)); }
	return qr/^$r\z/s;
}
sub scalar_passes
{
	my ($v, $op, $w) = @_;
	return 0 if type($v) =~ /none|nested/;
	return same($v, $w) if $op eq 'eq';
	return !!grep { same($v, $_) } @$w if $op eq 'in';
	return type($v) eq 'text' && substr($v, 0, length $w) eq $w if $op eq 'prefix';
	return type($v) eq 'text' && $v =~ like_regex($w) if $op eq 'like';
	return type($v) eq 'number' && ($op eq 'gt' ? $v > $w : $v <= $w);
}
# one element of a list passes all tests but ne and exists, which are about the whole list
sub passes
{
	my ($v, $tests) = @_;
	my @values = ref $v eq 'ARRAY' ? @$v : ($v);
	return 0 if exists $tests->{exists} && defined $v != !!$tests->{exists};
	return 0 if exists $tests->{ne} && grep { scalar_passes($_, 'eq', $tests->{ne}) } @values;
	my @ops = grep { !/^(ne|exists)$/ } keys %$tests;
	return 1 unless @ops;
	for my $value (@values)
	{
		return 1 unless grep { !scalar_passes($value, $_, $tests->{$_}) } @ops;
	}
	return 0;
}
sub oracle
{
	my ($c, $e) = @_;
	for my $k (keys %$c)
	{
		my $w = $c->{$k};
		my $r;
		if ($k eq 'all') { $r = !grep { !oracle($_, $e) } @$w; }
		elsif ($k eq 'any') { $r = grep { oracle($_, $e) } @$w; }
		elsif ($k eq 'not') { $r = !oracle($w, $e); }
		else
		{
			my $v = $k =~ /^properties\.(.*)/s ? property($e->{properties}, $1) : $e->{$k};
			$r = passes($v, ref $w eq 'HASH' ? $w : ref $w eq 'ARRAY' ? { in => $w } : { eq => $w });
		}
		return 0 unless $r;
	}
	return 1;
}

my ($differ, $missed, $disorder, $candidates, $matches, $pairs) = (0, 0, 0, 0, 0, 0);
for my $round (1 .. 5)
{
	my @conditions = map { random_condition(2) } 1 .. 200;
	my @events = map { random_event() } 1 .. 200;
	my $rows = sql('SELECT * FROM look(ARRAY[' . join(',', map { quote($json->encode($_)) } @conditions) . '], ARRAY['
		. join(',', map { my $e = $_; 'ROW(NULL, ' . join(', ', map { quote($e->{$_}) } qw(kind side channel object person)) . ', NULL, NULL, '
			. quote($e->{rep}) . ', NULL, NULL, NULL, ' . ($e->{properties} ? quote($json->encode($e->{properties})) : 'NULL') . ')::event' } @events) . '])');
	for my $row (split /\n/, $rows)
	{
		my ($n, $c, $m) = split /\|/, $row;
		my @c = $c =~ /\d+/g;
		my %is_candidate = map { $_ => 1 } @c;
		my %is_match = map { $_ => 1 } $m =~ /\d+/g;
		$disorder += grep { $c[$_] <= $c[ $_ - 1 ] } 1 .. $#c;
		$missed += grep { !$is_candidate{$_} } keys %is_match;
		for my $i (0 .. $#conditions)
		{
			next if !!oracle($conditions[$i], $events[$n]) == !!$is_match{$i};
			diag($json->encode($conditions[$i]) . ($is_match{$i} ? ' matches ' : ' does not match ') . $json->encode($events[$n])) if $differ++ < 3;
		}
		$candidates += @c;
		$matches += keys %is_match;
		$pairs += @conditions;
	}
}
is($differ, 0, "$pairs random conditions and events match as they should");
is($missed, 0, 'the index misses none');
is($disorder, 0, 'candidates ascend');
cmp_ok($matches, '>', 0.05 * $pairs, "$matches match");
cmp_ok($candidates, '<', 0.75 * $pairs, "$candidates are candidates");

# among 1,000 conditions that an event cannot meet, it meets none
my $many = 'ARRAY(SELECT c FROM generate_series(1, 250) g, LATERAL (VALUES (json_build_object(\'kind\', \'page_view\', \'object\', \'/page/\' || g)::text),'
	. ' (json_build_object(\'object\', json_build_object(\'prefix\', \'/sec\' || g % 10 || \'/\' || g))::text), (json_build_object(\'properties.sku\', \'s\' || g)::text),'
	. ' (json_build_object(\'properties.p\' || g, g, \'kind\', \'page_view\')::text)) v (c))';
my $view = q{ROW(NULL, 'page_view', 'customer', 'web', '/page/250x', 'p', NULL, NULL, NULL, NULL, NULL, NULL, '{"sku": "s0", "p1": 2, "ref": "x"}')::event};
is(sql("SELECT cardinality($many), cardinality(candidates) FROM look($many, ARRAY[$view])"), '1000|0', '1,000 conditions, and no candidate');

$node->stop;
done_testing();
