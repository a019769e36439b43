# The aggregates of src/analysis against plain SQL written apart: random events with many equal times, in every kind of plan and order.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('analysis');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 4\nmax_worker_processes = 8\njit = off\nautovacuum = off\n");
$node->start;

my $seed = $ENV{REVOPS_SEED} // time();
srand($seed);
note "seed $seed";

my @conditions = ("k IN ('a', 'x')", "k IN ('b', 'x', 'y')", "k IN ('c', 'y', 'z')", "k IN ('d', 'z')");
my $conditions = join ', ', @conditions;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION pg_revops;
	SELECT setseed(@{[ ($seed % 100000) / 100000 ]});
	-- few users with few distinct times: chains end in many places, and equal times are frequent; each row twelfth of a page, so that many workers have some
	CREATE TABLE e (n int, u int, ts timestamptz, k text, dwell interval, filler text) WITH (fillfactor = 10);
	INSERT INTO e SELECT row_number() OVER (), u, CASE WHEN random() > 0.03 THEN timestamptz '2026-03-27 00:00Z' + (random() * span)::int * interval '30 minutes' END,
		(array['a','b','c','d','x','y','z','-',NULL])[1 + floor(random() * 9)], floor(random() * 40) * interval '1 minute', repeat('.', 80)
	FROM (SELECT u, 1 + floor(random() * random() * 240) AS span, floor(random() * random() * 50)::int AS events FROM generate_series(1, 400) u) x, generate_series(1, events);
	CREATE TABLE shuffled (LIKE e) WITH (fillfactor = 10);
	INSERT INTO shuffled SELECT * FROM e ORDER BY random();
	CREATE TABLE by_time (LIKE e) WITH (fillfactor = 10);
	INSERT INTO by_time SELECT * FROM e ORDER BY ts DESC NULLS FIRST;
	-- rows in the documented order, without those that have no time; b: the conditions
	CREATE TABLE r AS SELECT u, n, ts, k, dwell, b, bits, (bits > 0) AS listed,
		row_number() OVER (PARTITION BY u, bits > 0 ORDER BY ts, bits, n) AS rn
	FROM (SELECT *, b[1]::int + 2 * b[2]::int + 4 * b[3]::int + 8 * b[4]::int AS bits
		FROM (SELECT *, ARRAY[@{[ join ', ', map { "coalesce($_, false)" } @conditions ]}] AS b FROM e WHERE ts IS NOT NULL) x) y;
	CREATE INDEX ON r (u, rn);
	-- how far one row carries a chain that is at a step
	CREATE FUNCTION carried(b boolean[], step int, one boolean) RETURNS int LANGUAGE sql IMMUTABLE AS
		'SELECT CASE WHEN one THEN step + coalesce(b[step + 1], false)::int ELSE (SELECT min(i) - 1 FROM generate_series(step + 1, 5) i WHERE b[i] IS NOT TRUE)::int END';
	ANALYZE;
});

my @checks;    # name, expression, otherwise, oracle giving (u, v text)

# ---------- window_funnel: chains as recursive queries ----------
my @modes = qw(strict_order strict_dedup strict_increase once allow_reentry);
for my $set (0 .. 31)
{
	my %m = map { $modes[$_] => ($set >> $_) & 1 } 0 .. 4;
	next if $m{allow_reentry} && !$m{strict_order};
	my $list = join ',', grep { $m{$_} } @modes;
	my $hours = 1 + int(rand 12);
	my $one = $m{once} || $m{strict_increase} ? 'true' : 'false';
	my $oracle;
	if (!$m{strict_order} && !$m{strict_dedup})
	{
		# any later event will do
		my $later = $m{strict_increase} ? 'x.ts > c.ts' : $m{once} ? 'x.rn > c.rn' : 'x.ts >= c.ts';
		$oracle = qq{WITH RECURSIVE c AS (SELECT u, ts AS start, ts, rn, 1 AS step FROM r WHERE listed AND b[1]
			UNION SELECT c.u, c.start, x.ts, x.rn, c.step + 1 FROM c JOIN r x ON x.u = c.u AND x.listed AND $later AND x.ts <= c.start + interval '$hours hours' AND x.b[c.step + 1])
			SELECT u, max(step)::text AS v FROM c GROUP BY u};
	}
	else
	{
		# each chain goes from row to row until something ends it
		my $after = $m{strict_increase} ? 'x.ts > c.last' : 'true';
		my $survives = join ' OR ', ($m{allow_reentry} ? 'x.b[1]' : ()),
			($m{strict_order} && $m{strict_dedup} ? () : $m{strict_order} ? 'x.b[c.step]' : 'NOT (true = ANY (x.b[1:c.step]))');
		$survives = 'false' if $survives eq '';
		$oracle = qq{WITH RECURSIVE c AS (SELECT u, ts AS start, ts AS last, rn, carried(b, 0, $one) AS step FROM r WHERE listed AND b[1]
			UNION SELECT c.u, c.start, CASE WHEN to_step > c.step THEN x.ts ELSE c.last END, x.rn, to_step
			FROM c JOIN r x ON x.u = c.u AND x.listed AND x.rn = c.rn + 1 AND x.ts <= c.start + interval '$hours hours',
			LATERAL (SELECT CASE WHEN $after THEN carried(x.b, c.step, $one) ELSE c.step END AS to_step) t
			WHERE to_step > c.step OR ($survives))
			SELECT u, max(step)::text AS v FROM c GROUP BY u};
	}
	push @checks, [ "window_funnel {$list}", "revops.window_funnel('$hours hours', '{$list}', ts, $conditions)", '0', $oracle ];
	push @checks, [ 'window_funnel', "revops.window_funnel('$hours hours', ts, $conditions)", '0', $oracle ] if $set == 0;
}

# ---------- sequences: items joined to rows ----------
for my $i (1 .. 14)
{
	my ($pattern, @items) = ('');
	for my $n (1 .. 1 + int(rand 4))
	{
		my ($gap, $lo, $hi) = ('false', 0, 1e9);
		if (rand() < 0.3) { $pattern .= '.*'; $gap = 'true'; }
		if (@items && rand() < 0.5)
		{
			$gap = 'true';
			my $op = (qw(< <= > >= ==))[int rand 5];
			my $s = 1800 * int(rand 8);
			next if $op eq '<' && $s == 0;
			$pattern .= rand() < 0.5 ? "(?t$op$s)" : "(?t$op'" . ($s / 60) . " minutes')";
			$lo = $op eq '>' ? $s + 1 : $s if $op =~ /^[>=]/;
			$hi = $op eq '<' ? $s - 1 : $s if $op =~ /^[<=]/;
		}
		my $c = int rand 5;
		$pattern .= $c ? "(?$c)" : '.';
		push @items, "($n, $c, $gap, $lo, $hi)";
	}
	next unless @items;
	$pattern =~ s/(?:\.\*)?(?:\(\?t[^)]*\))$//;
	# the steps that were left out leave holes in the numbers
	my $k = 0;
	@items = map { $k++; s/^\(\d+/($k/r } @items;
	my $all = qq{WITH RECURSIVE p (i, c, gap, lo, hi) AS (VALUES @{[ join ', ', @items ]}),
		m AS (SELECT u, rn AS first, rn, ts, 1 AS i FROM r, p WHERE listed AND p.i = 1 AND (p.c = 0 OR b[p.c])
			UNION SELECT m.u, m.first, x.rn, x.ts, p.i FROM m JOIN p ON p.i = m.i + 1
			JOIN r x ON x.u = m.u AND x.listed AND x.rn > m.rn AND (p.gap OR x.rn = m.rn + 1) AND (p.c = 0 OR x.b[p.c])
				AND extract(epoch FROM x.ts - m.ts) BETWEEN p.lo AND p.hi),
		whole AS MATERIALIZED (SELECT DISTINCT u, first, rn FROM m WHERE i = @{[ scalar @items ]})};
	(my $quoted = $pattern) =~ s/'/''/g;
	push @checks, [ "sequence_match $pattern", "revops.sequence_match('$quoted', ts, $conditions)", 'false', "$all SELECT DISTINCT u, 'true' AS v FROM whole" ];
	push @checks, [ "sequence_count $pattern", "revops.sequence_count('$quoted', ts, $conditions)", '0',
		qq{$all, g AS (SELECT u, 0::bigint AS last, 0 AS found FROM (SELECT DISTINCT u FROM whole) x
			UNION ALL SELECT g.u, w.rn, found + 1 FROM g, LATERAL (SELECT rn FROM whole WHERE whole.u = g.u AND first > g.last ORDER BY rn LIMIT 1) w)
			SELECT u, max(found)::text AS v FROM g GROUP BY u} ];
}

# ---------- sessions, streaks, retention ----------
for my $minutes (0, 30, 90, 400)
{
	my $grouped = qq{FROM (SELECT *, sum(begins) OVER (PARTITION BY u ORDER BY ts, n) AS s
			FROM (SELECT *, coalesce(ts - lag(ts) OVER (PARTITION BY u ORDER BY ts, n) > interval '$minutes minutes', false)::int AS begins FROM r) x) y GROUP BY u, s};
	push @checks, [ "sessionize, gap of $minutes minutes", "revops.sessionize('$minutes minutes', ts)", '{}',
		qq{SELECT u, array_agg(ROW(a, b, c, make_interval(secs => extract(epoch FROM b - a)::float8))::revops.session ORDER BY a)::text AS v FROM (SELECT u, min(ts) AS a, max(ts) AS b, count(*)::int AS c $grouped) z GROUP BY u} ];
	push @checks, [ "sessionize with pings, gap of $minutes minutes", "revops.sessionize('$minutes minutes', ts, k IN ('a', 'b', 'x'), '42 minutes', '5 s')", '{}',
		qq{SELECT u, array_agg(ROW(a, b, c, e)::revops.session ORDER BY a)::text AS v FROM (SELECT u, min(ts) AS a, max(ts) AS b, count(*)::int AS c,
			coalesce((count(DISTINCT floor(extract(epoch FROM ts) / 2520)) FILTER (WHERE k IN ('a', 'b', 'x')) - 1) * interval '42 minutes' + interval '5 s', '0')
				* (count(*) FILTER (WHERE k IN ('a', 'b', 'x')) > 0)::int AS e $grouped) z GROUP BY u} ];
}
for my $zone ('UTC', 'Asia/Shanghai', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', undef)
{
	my $local = $zone ? "(ts AT TIME ZONE '$zone')::date" : 'ts::date';
	my $second = $zone ? ", '$zone'" : '';
	my $islands = sub { my $days = shift;
		qq{SELECT u, max(c)::text AS v FROM (SELECT u, count(*) AS c FROM (SELECT u, d - (row_number() OVER (PARTITION BY u ORDER BY d))::int AS i FROM ($days) x) y GROUP BY u, i) z GROUP BY u} };
	push @checks, [ 'day_streak ' . ($zone // ''), "revops.day_streak(ts$second)", '0', $islands->("SELECT DISTINCT u, $local AS d FROM r") ];
	push @checks, [ 'day_streak, a minimum a day, ' . ($zone // ''), "revops.day_streak(ts$second, dwell, '1 hour')", '0',
		$islands->("SELECT u, $local AS d FROM r GROUP BY 1, 2 HAVING sum(dwell) >= '1 hour'") ];
}
push @checks, [ 'day_streak, the zone a column', "revops.day_streak(ts, CASE WHEN n % 2 = 0 THEN 'Asia/Tokyo' ELSE 'America/Lima' END)", '0',
	q{SELECT u, max(c)::text AS v FROM (SELECT u, count(*) AS c FROM (SELECT u, d - (row_number() OVER (PARTITION BY u ORDER BY d))::int AS i
		FROM (SELECT DISTINCT u, (ts AT TIME ZONE CASE WHEN n % 2 = 0 THEN 'Asia/Tokyo' ELSE 'America/Lima' END)::date AS d FROM r) x) y GROUP BY u, i) z GROUP BY u} ];
push @checks, [ 'retention', "revops.retention($conditions)", 'x',
	"SELECT u, ARRAY[@{[ join ', ', map { qq{coalesce(bool_or($conditions[0]), false) AND coalesce(bool_or($_), false)} } @conditions ]}]::text AS v FROM e GROUP BY u" ];

# ---------- next_node ----------
for my $direction ('forward', 'backward')
{
	for my $base ('head', 'tail', 'first_match', 'last_match')
	{
		my $step = $direction eq 'forward' ? '+' : '-';
		my $pick = $base eq 'head' ? 'i = 1' : $base eq 'tail' ? 'i = count' : 'is_base AND b[1]';
		my $order = $base eq 'last_match' ? 'DESC' : '';
		push @checks, [ "next_node $direction $base", "coalesce(revops.next_node('$direction', '$base', ts, 'p' || (n % 7), k <> 'c', k IN ('a', 'b', 'x'), k IN ('b', 'd', 'z', 'x')), '-')", '-',
			qq{WITH o AS (SELECT u, node, is_base, b, row_number() OVER (PARTITION BY u ORDER BY ts, b[1]::int + 2 * b[2]::int, is_base, node COLLATE "C") AS i, count(*) OVER (PARTITION BY u) AS count
				FROM (SELECT u, ts, 'p' || (n % 7) AS node, coalesce(k <> 'c', false) AS is_base,
					ARRAY[coalesce(k IN ('a', 'b', 'x'), false), coalesce(k IN ('b', 'd', 'z', 'x'), false)] AS b FROM e WHERE ts IS NOT NULL) x)
			SELECT DISTINCT o.u, n.node AS v FROM (SELECT DISTINCT ON (u) * FROM o WHERE $pick ORDER BY u, i $order) o
			JOIN o s ON s.u = o.u AND s.i = o.i $step 1 JOIN o n ON n.u = o.u AND n.i = o.i $step 2 WHERE o.is_base AND o.b[1] AND s.b[2]} ];
	}
}

# the oracles, once
$node->safe_psql('postgres', join "\n", map { "CREATE TABLE o$_ AS $checks[$_][3];" } 0 .. $#checks);
my $list = join ",\n", map { "($checks[$_][1])::text AS c$_" } 0 .. $#checks;

# each plan, over each order of arrival
my %plans = (
	'hashed' => [ 'SET max_parallel_workers_per_gather = 0; SET enable_sort = off', qr/HashAggregate/ ],
	'hashed, spilling' => [ "SET max_parallel_workers_per_gather = 0; SET enable_sort = off; SET work_mem = '64kB'; SET hash_mem_multiplier = 1", qr/HashAggregate/ ],
	'sorted' => [ 'SET max_parallel_workers_per_gather = 0; SET enable_hashagg = off', qr/GroupAggregate/ ],
	'parallel' => [ 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_hashagg = off', qr/Gather.*Partial.*Parallel Seq Scan/s ],
	'parallel, hashed' => [ 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_sort = off; SET parallel_leader_participation = off',
		qr/Gather.*Partial HashAggregate.*Parallel Seq Scan/s ]);
# 18 gathers before it hashes, whatever the costs of these few rows
delete $plans{'parallel, hashed'} if $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000;
for my $plan (sort keys %plans)
{
	my ($set, $expect) = @{ $plans{$plan} };
	for my $table ('e', 'shuffled', 'by_time')
	{
		my $query = "SELECT u, $list FROM $table GROUP BY u";
		my $explain = $node->safe_psql('postgres', "$set; EXPLAIN (ANALYZE, COSTS off, TIMING off) $query");
		like($explain, $expect, "$plan, $table: the plan is of this kind");
		like($explain, qr/Workers Launched: [1-9]/, "$plan, $table: workers take part") if $plan =~ /parallel/;
		# all in one session: a process for each comparison would take most of the time
		my %wrong;
		my $differences = $node->safe_psql('postgres', "$set; DROP TABLE IF EXISTS result; CREATE TABLE result AS $query; RESET ALL;\n" . join "\n", map {
			"(SELECT $_, u, c$_, coalesce(v, '$checks[$_][2]') FROM result LEFT JOIN o$_ USING (u) WHERE c$_ IS DISTINCT FROM coalesce(v, '$checks[$_][2]') ORDER BY u LIMIT 3);"
		} 0 .. $#checks);
		push @{ $wrong{$1} }, $2 while $differences =~ /^(\d+)\|(.*)$/mg;
		is(join("\n", map { "$checks[$_][0] (user, found, expected):\n" . join "\n", @{ $wrong{$_} } } sort { $a <=> $b } keys %wrong), '',
			"$plan, $table: " . @checks . ' aggregates give what plain SQL gives');
	}
}

# every value of an aggregate is met, so that the comparison says something
is($node->safe_psql('postgres', 'SELECT count(DISTINCT c0) FROM result'), '5', 'funnels end at every step');
is($node->safe_psql('postgres', 'SELECT count(*) > 20 FROM (SELECT ts, u FROM e GROUP BY 1, 2 HAVING count(*) > 1) x'), 't', 'equal times are frequent');

# a window frame that grows calls the result function between rows
for my $f ("revops.window_funnel('5 hours', ts, $conditions)", "revops.sequence_count('(?1).*(?2)', ts, $conditions)", "revops.sessionize('90 minutes', ts)", 'revops.day_streak(ts)',
	"revops.retention($conditions)", "revops.next_node('forward', 'first_match', ts, k, true, k = 'a')")
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT $f OVER (PARTITION BY u ORDER BY n) AS w, (SELECT $f FROM e x WHERE x.u = e.u AND x.n <= e.n) AS s FROM e WHERE u <= 60) y WHERE w IS DISTINCT FROM s"),
		'0', (split /\(/, $f)[0] . ' as a window function');
}

# partial states as text and as binary, as a distributed database ships them
$node->safe_psql('postgres', qq{
	CREATE FUNCTION add_node(revops.event_buffer, timestamptz, text) RETURNS revops.event_buffer LANGUAGE sql IMMUTABLE AS
		\$\$ SELECT revops.next_node_add(\$1, 'forward', 'head', \$2, \$3, true, \$3 IS NOT NULL) \$\$;
	CREATE AGGREGATE part_node (timestamptz, text) (SFUNC = add_node, STYPE = revops.event_buffer);
	CREATE AGGREGATE whole_node (revops.event_buffer) (SFUNC = revops.event_buffer_merge, STYPE = revops.event_buffer, FINALFUNC = revops.next_node_result);
	CREATE TABLE part AS SELECT u, n % 3 AS shard, part_node(ts, k) AS state FROM e GROUP BY 1, 2;
	CREATE TABLE binary_part (LIKE part)});
my $file = $node->basedir . '/part.bin';
$node->safe_psql('postgres', "COPY part TO '$file' (FORMAT binary); COPY binary_part FROM '$file' (FORMAT binary)");
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT u, whole_node(state) AS a, whole_node(state::text::revops.event_buffer) AS t FROM part GROUP BY u) x
	JOIN (SELECT u, whole_node(state) AS b FROM binary_part GROUP BY u) y USING (u)
	JOIN (SELECT u, revops.next_node('forward', 'head', ts, k, true, k IS NOT NULL) AS w FROM e GROUP BY u) z USING (u)
	WHERE a IS DISTINCT FROM w OR b IS DISTINCT FROM w OR t IS DISTINCT FROM w}), '0', 'states survive a table, text and binary');
is($node->safe_psql('postgres', 'SELECT count(*) > 100 FROM part'), 't', 'there are such states');

# damaged states are refused, or are states; nothing crashes
$node->safe_psql('postgres', q{
	CREATE FUNCTION damage(bytes bytea, times int) RETURNS TABLE (accepted int, refused int) LANGUAGE plpgsql AS $$
	DECLARE d bytea; s revops.event_buffer;
	BEGIN
		accepted := 0; refused := 0;
		FOR i IN 1 .. times LOOP
			d := bytes;
			FOR j IN 0 .. (random() * 2)::int LOOP d := set_byte(d, floor(random() * length(d))::int, floor(random() * 256)::int); END LOOP;
			IF random() < 0.3 THEN d := substr(d, 1, floor(random() * length(d))::int); END IF;
			BEGIN
				s := d::text::revops.event_buffer;
				accepted := accepted + 1;
				BEGIN PERFORM revops.next_node_result(s); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
				BEGIN PERFORM revops.window_funnel_result(s); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
				BEGIN PERFORM revops.sequence_count_result(s); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
				BEGIN PERFORM revops.sessionize_result(s); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
				BEGIN PERFORM revops.day_streak_result(s); EXCEPTION WHEN invalid_parameter_value OR interval_field_overflow THEN NULL; END;
			EXCEPTION WHEN invalid_binary_representation OR character_not_in_repertoire OR invalid_datetime_format OR interval_field_overflow OR datetime_field_overflow THEN
				refused := refused + 1;
			END;
		END LOOP;
		RETURN NEXT;
	END $$});
for my $state ("(SELECT state FROM part WHERE state IS NOT NULL ORDER BY length(state::text) DESC LIMIT 1)",
	"revops.window_funnel_add(revops.window_funnel_add(NULL, '1 hour', '{strict_order}'::text[], '2026-01-01Z', true, false), '1 hour', '{strict_order}'::text[], '2026-01-02Z', false, true)",
	"revops.sequence_add(revops.sequence_add(NULL, '(?1)(?t<=''1 day'')(?2)', '2026-01-01Z', true, false), '(?1)(?t<=''1 day'')(?2)', '2026-01-02Z', false, true)",
	"revops.sessionize_add(revops.sessionize_add(NULL, '1 hour', '2026-01-01Z', true, '10 s', '5 s'), '1 hour', '2026-01-01Z', true, '10 s', '5 s')",
	"revops.day_streak_add(revops.day_streak_add(NULL, '2026-01-01Z', '1 hour', '1 hour'), '2026-01-04Z', '1 hour', '1 hour')")
{
	my ($accepted, $refused) = split /\|/, $node->safe_psql('postgres', "DO 'BEGIN PERFORM setseed(@{[ ($seed % 1000) / 1000 ]}); END'; SELECT (damage(decode(substr(($state)::text, 3), 'hex'), 3000)).*");
	cmp_ok($refused, '>', 500, "damaged states: $refused refused, $accepted still states");
}
done_testing();
