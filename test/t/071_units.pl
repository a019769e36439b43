# Substitutes against plain SQL: on random small companies, each plan's factors are recomputed from the tables, and each composed team is
# compared with all teams of its size.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
my $rounds = $ENV{REVOPS_ROUNDS} // 25;
diag("seed $seed");

my $node = PostgreSQL::Test::Cluster->new('units');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');

# a random company of 12 reps besides those of u0, who are lost; its oracle
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA check_;
CREATE FUNCTION check_.company(seed float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setseed(seed);
    TRUNCATE revops.unit, revops.territory, revops.rep, revops.account, revops.rep_skill, revops.account_need, revops.absence, revops.permission, revops.event, revops.service_week,
        revops.service, revops.collaboration;
    DELETE FROM revops.skill;
    INSERT INTO revops.skill SELECT 's' || i, 'local_resources' FROM generate_series(1, 4) i;
    PERFORM revops.put_calendar('day', 'UTC', '{"mon-fri": "08:00-16:00"}'), revops.put_calendar('late', 'UTC', '{"mon-fri": "11:00-19:00"}'),
            revops.put_calendar('night', 'UTC', '{"mon-fri": "16:00-24:00"}');
    INSERT INTO revops.unit (unit, name, calendar) SELECT 'u' || i, 'u' || i, CASE WHEN i = 0 THEN 'day' WHEN random() < 0.3 THEN 'late' END FROM generate_series(0, 3) i;
    INSERT INTO revops.rep (rep, name, unit, active, max_accounts, languages, calendar)
    SELECT 'r' || i, 'r', CASE WHEN i < 3 THEN 'u0' WHEN random() < 0.5 THEN 'u' || (1 + floor(random() * 3)::int) END, random() < 0.95,
           CASE WHEN random() < 0.9 THEN 4 + floor(random() * 12)::int END, (ARRAY['{zh}', '{en}', '{zh,en}', NULL])[1 + floor(random() * 4)::int]::text[],
           CASE WHEN i > 2 AND random() < 0.1 THEN 'night' END
    FROM generate_series(0, 14) i;
    INSERT INTO revops.account (account, name, owner, industry, segment, territory, languages, properties)
    SELECT 'a' || i, 'a', 'r' || floor(random() * 15)::int, 'i' || floor(random() * 4), 'g' || floor(random() * 3), 't' || floor(random() * 2),
           CASE WHEN random() < 0.2 THEN (ARRAY['{zh}', '{en}'])[1 + floor(random() * 2)::int]::text[] END,
           jsonb_build_object('products', jsonb_build_array('p' || floor(random() * 5)))
    FROM generate_series(1, 45) i;
    UPDATE revops.account SET owner = 'r0' WHERE account = 'a1';
    INSERT INTO revops.rep_skill SELECT 'r' || i, 's' || j, 1 + floor(random() * 5)::int FROM generate_series(0, 14) i, generate_series(1, 4) j WHERE random() < 0.4;
    INSERT INTO revops.account_need SELECT 'a' || i, 's' || j, 1 + floor(random() * 4)::int, random() < 0.5, 1 FROM generate_series(1, 45) i, generate_series(1, 4) j WHERE random() < 0.08;
    INSERT INTO revops.absence (rep) SELECT 'r' || i FROM generate_series(3, 14) i WHERE random() < 0.05;
    INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, deny)
    SELECT 'rep', 'r' || i, 'own', 'industry', 'i' || floor(random() * 4), true FROM generate_series(3, 14) i WHERE random() < 0.05;
    INSERT INTO revops.event (kind, side, channel, rep, account, occurred_at)
    SELECT 'call', 'rep', 'call', 'r' || floor(random() * 15)::int, 'a' || 1 + floor(random() * 45)::int, revops.now() - random() * interval '200 days'
    FROM generate_series(1, 150);
END $$;
CREATE FUNCTION check_.ints(v bytea) RETURNS int[] LANGUAGE sql AS $$
    SELECT array_agg((get_byte(v, i) + 128) % 256 - 128 ORDER BY i) FROM generate_series(0, 127) i
$$;
CREATE FUNCTION check_.direction(v float8[]) RETURNS int[] LANGUAGE sql AS $$
    SELECT array_agg(round(x * 127 / n)::int ORDER BY i)
    FROM unnest(v) WITH ORDINALITY AS u (x, i), (SELECT sqrt(sum(x * x)) AS n FROM unnest(v) x) n
$$;
CREATE FUNCTION check_.cosine(a int[], b int[]) RETURNS float8 LANGUAGE sql AS $$
    SELECT greatest(0, sum(x * y) / sqrt(sum(x * x)::float8 * sum(y * y))) FROM unnest(a, b) AS u (x, y)
$$;
-- what the vectors must be, from the customers' fields
CREATE FUNCTION check_.vector(account text) RETURNS int[] LANGUAGE sql AS $$
    WITH feature AS (
        SELECT f.feature, f.weight FROM revops.account a,
            LATERAL (VALUES ('industry=' || a.industry, 1.0::float8), ('segment=' || a.segment, 0.8), ('territory=' || a.territory, 0.8), ('product=' || (a.properties -> 'products' ->> 0), 0.8)) AS f (feature, weight)
        WHERE a.account = $1 AND f.feature IS NOT NULL
    ), place AS (
        SELECT (hashtextextended(f.feature, 0) >> (8 * k)) & 255 AS b, f.weight FROM feature f, generate_series(0, 7) k
    )
    SELECT check_.direction(array_agg(coalesce(s.v, 0) ORDER BY d.i))
    FROM generate_series(0, 127) d (i) LEFT JOIN (SELECT b & 127 AS i, sum(CASE WHEN b >= 128 THEN -weight ELSE weight END) AS v FROM place GROUP BY 1) s USING (i)
$$;
CREATE FUNCTION check_.total(vectors int[][], weights float8[]) RETURNS int[] LANGUAGE sql AS $$
    SELECT check_.direction(array_agg(s ORDER BY d)) FROM (SELECT d, sum(weights[i] * vectors[i][d]) AS s FROM generate_subscripts(vectors, 1) i, generate_series(1, 128) d GROUP BY d) x
$$;
SQL

# everything that a plan for u0 may be made of, in plain tables
my $gather = <<'SQL';
DROP TABLE IF EXISTS check_.person, check_.pair, check_.need, check_.has, check_.plan;
CREATE TABLE check_.plan AS SELECT * FROM revops.substitute_units('u0', 3, :size);
CREATE TABLE check_.need AS
SELECT n.skill, coalesce(max(n.level) FILTER (WHERE n.required), max(n.level)) AS level, sum(CASE WHEN n.required THEN 1 ELSE 0.5 END) AS weight, bool_or(n.required) AS required
FROM revops.account_need n JOIN revops.account a USING (account) JOIN revops.rep r ON r.rep = a.owner WHERE r.unit = 'u0' GROUP BY n.skill;
CREATE TABLE check_.person AS
SELECT r.rep, r.unit, coalesce(check_.cosine(check_.ints(p.vector), l.vector), 0) AS similarity, w.points / (1 + w.points) AS familiarity, w.served,
       coalesce(r.max_accounts - (SELECT count(*) FROM revops.account a WHERE a.owner = r.rep), 1000) AS room,
       ARRAY(SELECT n.skill FROM check_.need n JOIN revops.rep_skill s USING (skill) WHERE s.rep = r.rep AND n.required AND s.level >= n.level)
       || ARRAY(SELECT DISTINCT a.languages::text FROM revops.account a JOIN revops.rep o ON o.rep = a.owner WHERE o.unit = 'u0' AND a.languages && r.languages) AS covers
FROM revops.rep r
LEFT JOIN revops.unit u USING (unit)
LEFT JOIN revops.rep_profile p USING (rep)
CROSS JOIN (SELECT check_.total(array_agg(check_.ints(p.vector)), array_agg(p.customers::float8)) AS vector FROM revops.rep_profile p JOIN revops.rep r USING (rep) WHERE r.unit = 'u0') l
CROSS JOIN LATERAL (
    SELECT coalesce(sum(power(2, -extract(epoch FROM revops.now() - k.week::timestamp AT TIME ZONE 'UTC') / (90 * 86400))), 0)::float8 AS points, count(DISTINCT k.account) AS served
    FROM (SELECT w.account, w.week FROM revops.service_week w JOIN revops.account a USING (account) JOIN revops.rep o ON o.rep = a.owner WHERE w.rep = r.rep AND o.unit = 'u0'
          UNION ALL
          SELECT NULL, w.week FROM revops.service_week w JOIN revops.service_week x USING (account, week) JOIN revops.rep o ON o.rep = x.rep
          WHERE w.rep = r.rep AND x.rep <> r.rep AND o.unit = 'u0') k) w
WHERE r.active AND r.unit IS DISTINCT FROM 'u0' AND (r.max_accounts IS NULL OR r.max_accounts > (SELECT count(*) FROM revops.account a WHERE a.owner = r.rep))
  AND coalesce(r.calendar, u.calendar) IS DISTINCT FROM 'night' AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = r.rep)
  AND NOT EXISTS (SELECT FROM revops.permission d, revops.account a, revops.rep o WHERE d.grantee = r.rep AND a.owner = o.rep AND o.unit = 'u0' AND a.industry = d.scope);
CREATE TABLE check_.pair AS
SELECT a.rep, b.rep AS other, coalesce(k.points / (1 + k.points), 0) AS strength
FROM check_.person a, check_.person b, LATERAL (
    SELECT sum(power(2, -extract(epoch FROM revops.now() - w.week::timestamp AT TIME ZONE 'UTC') / (90 * 86400)))::float8 AS points
    FROM revops.service_week w JOIN revops.service_week x USING (account, week) WHERE w.rep = a.rep AND x.rep = b.rep) k
WHERE a.rep < b.rep;
CREATE TABLE check_.has AS
SELECT p.rep, n.skill, n.weight, least(1, coalesce(s.level, 0) / n.level::float8) AS share FROM check_.person p CROSS JOIN check_.need n LEFT JOIN revops.rep_skill s ON s.rep = p.rep AND s.skill = n.skill;
SQL

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION check_.factors(members text[], OUT similarity float8, OUT collaboration float8, OUT skill float8, OUT score float8) LANGUAGE plpgsql AS $$
BEGIN
    SELECT avg(p.similarity), avg(p.familiarity) INTO similarity, collaboration FROM check_.person p WHERE p.rep = ANY (members);
    collaboration := (collaboration + CASE WHEN cardinality(members) = 1 THEN 1
        ELSE (SELECT avg(p.strength) FROM check_.pair p WHERE p.rep = ANY (members) AND p.other = ANY (members)) END) / 2;
    SELECT coalesce(sum(b.weight * b.best) / sum(b.weight), 1) INTO skill
    FROM (SELECT h.skill, h.weight, max(h.share) AS best FROM check_.has h WHERE h.rep = ANY (members) GROUP BY h.skill, h.weight) b;
    score := 0.4 * similarity + 0.3 * collaboration + 0.3 * skill;
END $$;
-- the best score of all teams of k among these people that cover what they can cover, and have room; NULL: there is none
CREATE FUNCTION check_.best(people text[], k int, needed int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    asked text[] := ARRAY(SELECT DISTINCT c FROM check_.person p, unnest(p.covers) c WHERE p.rep = ANY (people));
    best float8;
BEGIN
    WITH RECURSIVE team AS (
        SELECT ARRAY[p.rep] AS members, p.covers AS covers, p.room AS room FROM check_.person p WHERE p.rep = ANY (people)
        UNION ALL
        SELECT t.members || p.rep, t.covers || p.covers, t.room + p.room FROM team t, check_.person p
        WHERE cardinality(t.members) < k AND p.rep = ANY (people) AND p.rep > t.members[cardinality(t.members)]
    )
    SELECT max((check_.factors(t.members)).score) INTO best FROM team t WHERE cardinality(t.members) = k AND t.covers @> asked AND t.room >= needed;
    RETURN best;
END $$;
SQL

my ($composed, $plans, $whole) = (0, 0, 0);
# and one in which what is asked shrinks with the first plan
for my $case ((map { [ $seed, $_ ] } 1 .. $rounds), [ 236734, 25 ])
{
	my ($of, $round) = @$case;
	my $fraction = (($of * 7919 + $round * 104729) % 1_000_003) / 1_000_003;
	my $size = 1 + $round % 3;
	$node->safe_psql('postgres', "SELECT check_.company($fraction); SELECT revops.refresh_profiles(); SELECT revops.refresh_collaboration()");
	# counted from nothing: events of the last company went with their table
	if ($round == 1)
	{
		my $off = $node->safe_psql('postgres', "SELECT count(*) FROM revops.account_profile p, LATERAL unnest(check_.ints(p.vector), check_.vector(p.account)) AS u (a, b) WHERE abs(a - b) > 1");
		is($off, '0', 'the vectors of customers are what their fields say');
		$off = $node->safe_psql('postgres', "SELECT count(*) FROM (SELECT p.rep, check_.ints(p.vector) AS ours, check_.total(array_agg(check_.ints(v.vector)), array_agg(1::float8)) AS theirs"
			  . " FROM revops.rep_profile p JOIN revops.account a ON a.owner = p.rep JOIN revops.account_profile v ON v.account = a.account GROUP BY 1, 2) x, unnest(ours, theirs) AS u (a, b) WHERE abs(a - b) > 1");
		is($off, '0', 'the vectors of reps are the sums of those of their customers');
	}
	my $now = $node->safe_psql('postgres', 'SELECT now()');
	my ($rc, $out, $err) = $node->psql('postgres', "SET revops.as_of = '$now'; SET revops.substitution_nodes = 10000000; $gather", extra_params => [ '-v', "size=$size" ]);
	if ($rc != 0) { fail("round $round: $err"); next; }
	my $rows = $node->safe_psql('postgres', "SELECT p.rank, p.unit, p.members, cardinality(p.members), p.score, cardinality(p.missing), coalesce(p.exact, true), p.customers, p.bound,
		abs(p.customer_similarity - f.similarity) < 1e-6 AND abs(p.collaboration - f.collaboration) < 1e-6 AND abs(p.skill_match - f.skill) < 1e-6 AND abs(p.score - f.score) < 1e-6,
		p.served_before = ARRAY(SELECT x.rep FROM check_.person x WHERE x.rep = ANY (p.members) AND x.served > 0 ORDER BY 1),
		(SELECT count(*) FROM check_.person x WHERE x.rep = ANY (p.members)) = cardinality(p.members),
		(SELECT sum(x.room) FROM check_.person x WHERE x.rep = ANY (p.members)) >= p.customers
		FROM check_.plan p, LATERAL check_.factors(p.members) f ORDER BY p.rank");
	my $total = $node->safe_psql('postgres', "SELECT count(*) FROM revops.account a JOIN revops.rep r ON r.rep = a.owner WHERE r.unit = 'u0'");
	my $people = $node->safe_psql('postgres', "SELECT array_agg(rep ORDER BY rep) FROM check_.person");
	my $wrong = '';
	for (split /\n/, $rows)
	{
		my ($rank, $unit, $members, $k, $score, $missing, $exact, $customers, $bound, $factors, $served, $allowed, $room) = split /\|/;
		$plans++;
		$wrong .= " rank $rank: factors of $members differ;" if $factors ne 't';
		$wrong .= " rank $rank: served_before differs;" if $served ne 't';
		$wrong .= " rank $rank: $members holds people who may not;" if $allowed ne 't';
		$wrong .= " rank $rank: no room;" if $room ne 't' || $customers != $total;
		$wrong .= " rank $rank: not exact;" if $exact ne 't';
		$wrong .= " rank $rank: size $k;" if $k != $size;
		my $best = $node->safe_psql('postgres', "SELECT check_.best('$people', $size, $total)");
		if ($unit eq '') { $composed++; $wrong .= " rank $rank: $score, but the best is $best;" if $best eq '' || abs($score - $best) > 1e-6; }
		else { $whole++; $wrong .= " rank $rank: the unit scores $score, a team $best;" if $best ne '' && $score < $best - 1e-6; }
		# nobody is in two plans
		$people = $node->safe_psql('postgres', "SELECT coalesce(array_agg(x ORDER BY x), '{}') FROM unnest('$people'::text[]) x WHERE x <> ALL ('$members')");
	}
	if ((() = $rows =~ /^\d/mg) < 3)
	{
		my $left = $node->safe_psql('postgres', "SELECT check_.best('$people', $size, $total)");
		$wrong .= " there is another team, of $left;" if $left ne '';
	}
	is($wrong, '', "seed $of, round $round, teams of $size: as all teams compared");
	# a search that is cut short tells a bound that holds
	my $cut = $node->safe_psql('postgres', "SET revops.as_of = '$now'; SET revops.substitution_nodes = 0;
		SELECT count(*) FROM revops.substitute_units('u0', 1, $size) c, check_.plan p WHERE p.rank = 1 AND p.unit IS NULL AND c.unit IS NULL AND (c.bound < p.score - 1e-6 OR c.score > p.score + 1e-6)");
	is($cut, '0', "round $round: without the search, the bound holds") if $cut ne '0';
}
note("$plans plans: $composed composed, $whole units");
cmp_ok($composed, '>', 0, 'teams were composed');

# in the stream: the card of a customer whose rep is away, or full, is a stand-in's
$node->safe_psql('postgres', <<'SQL');
TRUNCATE revops.unit, revops.rep, revops.account, revops.absence, revops.permission;
INSERT INTO revops.unit (unit, name) VALUES ('u', 'U');
INSERT INTO revops.rep (rep, name, unit, capacity) VALUES ('away', 'A', 'u', NULL), ('here', 'H', 'u', 2), ('last', 'L', 'u', NULL);
INSERT INTO revops.absence (rep, starts_at) VALUES ('away', revops.now() - interval '1 day');
INSERT INTO revops.account (account, name, owner) SELECT 'c' || i, 'C', CASE WHEN i = 1 THEN 'away' ELSE 'here' END FROM generate_series(1, 4) i;
SELECT revops.put_playbook('p', 'Call {{account}}', '[{"title": "Call", "channel": "call", "message": "Hello"}]');
SELECT revops.put_rule('asks', '{"title": "Asks", "when": {"kind": "asks"}, "per": "account", "playbook": "p"}');
SELECT revops.track('asks', account => 'c' || i, occurred_at => revops.now() - (5 - i) * interval '1 minute') FROM generate_series(2, 4) i;
SQL
$node->safe_psql('postgres', 'SELECT revops.process()');
is($node->safe_psql('postgres', "SELECT string_agg(account || ' ' || owner, ', ' ORDER BY account) FROM revops.task WHERE account <> 'c4'"), 'c2 here, c3 here', 'a rep with room keeps his cards');
is($node->safe_psql('postgres', "SELECT owner FROM revops.task WHERE account = 'c4'"), 'last', 'the one too many goes to whoever is free');
$node->safe_psql('postgres', "SELECT revops.track('asks', account => 'c1')");
$node->safe_psql('postgres', 'SELECT revops.process()');
is($node->safe_psql('postgres', "SELECT owner FROM revops.task WHERE account = 'c1'"), 'last', 'the card of one who is away goes to whoever is free');
$node->stop;
done_testing();
