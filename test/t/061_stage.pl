# Stages: the filter and its learning against enumeration of all paths, and on two real logs of cases that move through stages.
# A random test prints its seed; REVOPS_SEED repeats it.
use strict;
use warnings;
use Cwd qw(getcwd);
use File::Spec;
use File::Temp qw(tempdir);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
note "seed $seed";

# ---- small models, all paths

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my $warnings = $ENV{WERROR} // '';
my $program = tempdir(CLEANUP => 1) . '/stage_test';
chomp(my $include = `$pg_config --includedir-server`);
my $built = `cc -O1 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers $warnings -I src -I $include -o $program test/unit/stage_test.c src/stage/filter.c src/stage/learn.c -lm 2>&1`;
BAIL_OUT("test/unit/stage_test.c does not build:\n$built") if $?;
my $said = `$program $seed 200 2>&1`;
is($? >> 8, 0, 'filter, expected counts, expectation-maximization and exp(Q dt) equal enumeration') or diag($said);
like($said, qr/^200 rounds, 0 differ$/m, 'in 200 rounds of random models');

# ---- real logs

my $data = $ENV{REVOPS_DATA} // '../shared/data';
unless (-d "$data/eventlog")
{
	note "the data folder $data/eventlog is not there: the logs are left out";
	done_testing();
	exit;
}

my $node = PostgreSQL::Test::Cluster->new('stage');
$node->init;
$node->append_conf('postgresql.conf', 'client_min_messages = warning');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Stages are the activities that end a phase of each process; what stands in the file before them is the first stage.
my %stages = (
	helpdesk => { first => 'registered', 'Take in charge ticket' => 'in charge', 'Resolve ticket' => 'resolved', 'Closed' => 'closed' },
	receipt => { first => 'received', 'T04 Determine confirmation of receipt' => 'determined', 'T05 Print and send confirmation of receipt' => 'sent',
		'T10 Determine necessity to stop indication' => 'stop decided' });
my %columns = (helpdesk => 'case_, activity, transition, resource, ts, amount', receipt => 'case_, activity, resource, grp, channel, ts');

sql(q{
	CREATE TABLE entry (log text, case_ text, activity text, ts timestamptz, n bigint);
	CREATE TABLE milestone (log text, activity text, stage text);
});
for my $log (sort keys %stages)
{
	my $file = File::Spec->rel2abs("$data/eventlog/$log.csv");
	sql("CREATE TABLE $log (n bigserial, " . join(', ', map { "$_ " . ($_ eq 'ts' ? 'timestamptz' : 'text') } split /, /, $columns{$log}) . ')');
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "\\copy $log ($columns{$log}) FROM '$file' CSV HEADER" ], "$log.csv is read");
	sql("INSERT INTO entry SELECT '$log', case_, activity, ts, n FROM $log");
	sql("INSERT INTO milestone VALUES " . join(', ', map { "('$log', '$_', '$stages{$log}{$_}')" } grep { $_ ne 'first' } sort keys %{ $stages{$log} }));
	my @order = $log eq 'helpdesk' ? ('registered', 'in charge', 'resolved', 'closed') : ('received', 'determined', 'sent', 'stop decided');
	sql("SELECT revops.put_pipeline('$log', '{\"stages\": [" . join(', ', map { "\"$_\"" } @order) . "]}')");
}

# label: each entry, the milestone that it is (m), the true stage (the last milestone reached, this one too), the one before it,
# and whether the case is one of the last 30 % by time
sql(q{
	CREATE TABLE label AS
	SELECT x.*, coalesce(lag(stage) OVER (PARTITION BY log, case_ ORDER BY k), CASE log WHEN 'helpdesk' THEN 'registered' ELSE 'received' END) AS before,
	       floor(log(2, 1 + extract(epoch FROM ts - t0)::numeric)) AS elapsed,
	       dense_rank() OVER (PARTITION BY log ORDER BY t0, case_) AS nth
	FROM (SELECT e.*, min(ts) OVER (PARTITION BY log, case_) AS t0,
	             coalesce((array_agg(m) FILTER (WHERE m IS NOT NULL) OVER w)[count(m) OVER w], CASE log WHEN 'helpdesk' THEN 'registered' ELSE 'received' END) AS stage
	      FROM (SELECT e.*, m.stage AS m, row_number() OVER (PARTITION BY e.log, e.case_ ORDER BY e.ts, e.n) AS k
	            FROM entry e LEFT JOIN milestone m USING (log, activity)) e
	      WINDOW w AS (PARTITION BY log, case_ ORDER BY k)) x;
	ALTER TABLE label ADD test boolean;
	UPDATE label l SET test = nth > 0.7 * c.cases FROM (SELECT log, max(nth) AS cases FROM label GROUP BY 1) c WHERE c.log = l.log;
	CREATE INDEX ON label (log, case_, k);
	ANALYZE label;
	CREATE TABLE record (log text, case_ text, k bigint, at timestamptz, stage text);
	CREATE INDEX ON record (log, case_);
	CREATE TABLE step (log text, case_ text, at timestamptz, class int, k bigint, symbol text, stage text, test boolean);
});

# What the filter is told of a case: of a milestone nothing, or that there was an entry without a name ('?'). Learns from the first 70 %,
# and leaves what it says of the others in `said`: one row for each entry
sub filter
{
	my ($log, $unnamed, $records) = @_;
	my $hidden = $unnamed ? "'?'" : 'NULL';
	sql(qq{
		TRUNCATE step;
		INSERT INTO step SELECT log, case_, ts, 0, k, CASE WHEN m IS NULL THEN activity ELSE $hidden END, stage, test FROM label WHERE log = '$log';
	});
	sql(qq{
		INSERT INTO step SELECT r.log, r.case_, r.at, 1, r.k, 'stage:' || r.stage, t.stage, t.test FROM record r
		CROSS JOIN LATERAL (SELECT l.stage, l.test FROM label l WHERE l.log = r.log AND l.case_ = r.case_ AND l.ts <= r.at ORDER BY l.k DESC LIMIT 1) t
		WHERE r.log = '$log'
	}) if $records;
	sql(qq{SELECT revops.train_stages('$log', \$\$SELECT case_ AS "case", at, symbol, stage FROM step WHERE NOT test ORDER BY case_, at, class, k\$\$)});
	note "$log: " . sql("SELECT metrics FROM revops.stage_model WHERE pipeline = '$log' ORDER BY version DESC LIMIT 1");
	sql(qq{
		DROP TABLE IF EXISTS said;
		CREATE TABLE said AS
		WITH s AS (SELECT case_, array_agg(symbol ORDER BY at, class, k) AS symbols, array_agg(at ORDER BY at, class, k) AS times,
		                  array_agg(CASE WHEN class = 0 THEN k END ORDER BY at, class, k) AS ks FROM step WHERE test GROUP BY 1)
		SELECT DISTINCT ON (s.case_, i.n) s.case_, s.ks[i.n] AS k, s.times[i.n] AS at, i.stage AS estimate, i.probability
		FROM s, revops.infer_stages('$log', s.symbols, s.times) i WHERE s.ks[i.n] IS NOT NULL ORDER BY s.case_, i.n, i.probability DESC;
	});
}

# The share of the test's entries that is right, by the filter and by each baseline
sub accuracy
{
	my ($log, $which) = @_;
	return map { split /\|/, $_, 2 } split /\n/, sql(qq{
		WITH l AS (SELECT * FROM label WHERE log = '$log'),
		told AS (SELECT * FROM l WHERE $which),
		successor AS (SELECT before, mode() WITHIN GROUP (ORDER BY stage) AS guess FROM l WHERE NOT test AND m IS NOT NULL AND stage <> before GROUP BY 1),
		following AS (SELECT before, mode() WITHIN GROUP (ORDER BY stage) AS guess FROM told WHERE NOT test GROUP BY 1),
		elapsed AS (SELECT elapsed, mode() WITHIN GROUP (ORDER BY stage) AS guess FROM told WHERE NOT test GROUP BY 1),
		majority AS (SELECT mode() WITHIN GROUP (ORDER BY stage) AS guess FROM told WHERE NOT test),
		r AS (SELECT t.stage, s.estimate, c.guess AS c, f.guess AS f, e.guess AS e, m.guess AS m
		      FROM told t LEFT JOIN said s USING (case_, k) LEFT JOIN successor c USING (before) LEFT JOIN following f USING (before) LEFT JOIN elapsed e USING (elapsed), majority m
		      WHERE t.test)
		SELECT v.* FROM (SELECT count(*) n, count(*) FILTER (WHERE stage = estimate) a, count(*) FILTER (WHERE stage = c) c, count(*) FILTER (WHERE stage = f) f,
		                        count(*) FILTER (WHERE stage = e) e, count(*) FILTER (WHERE stage = m) m FROM r) x,
		LATERAL (VALUES ('entries', n::numeric), ('filter', round(a / n::numeric, 4)), ('successor', round(c / n::numeric, 4)),
		                ('following', round(f / n::numeric, 4)), ('elapsed', round(e / n::numeric, 4)), ('majority', round(m / n::numeric, 4))) v
	});
}

for my $log (sort keys %stages)
{
	# every entry; of a milestone its name is withheld
	filter($log, 1, 0);
	my %a = accuracy($log, 'true');
	note "$log, every entry, milestones without a name: " . join(', ', map { "$_ $a{$_}" } sort keys %a);
	cmp_ok($a{filter}, '>=', 0.9, "$log: the stage is right at 90 % of all entries at least");
	cmp_ok($a{filter}, '>', $a{$_}, "$log: better than $_") for qw(successor following elapsed majority);

	# milestones are not seen at all, and the stage is asked for at the others
	filter($log, 0, 0);
	my %b = accuracy($log, 'm IS NULL');
	note "$log, entries that are no milestones, milestones not seen: " . join(', ', map { "$_ $b{$_}" } grep { $_ ne 'following' } sort keys %b);
	cmp_ok($b{filter}, '>=', 0.9, "$log: milestones not seen, 90 % of the other entries at least");
	cmp_ok($b{filter}, '>', $b{$_}, "$log: better than $_") for qw(successor elapsed majority);
	my %c = accuracy($log, 'true');
	note "$log, every entry, milestones not seen: filter $c{filter}";

	# the record follows each milestone after a random time, three days in the mean (by the seed), and in order
	sql(qq{
		INSERT INTO record SELECT log, case_, k, max(ts - ln(1 - u) * interval '3 days') OVER (PARTITION BY log, case_ ORDER BY k), m
		FROM (SELECT *, ('x' || left(md5('$seed' || log || case_ || k), 8))::bit(32)::bit(31)::int / 2147483648.0::float8 AS u FROM label WHERE m IS NOT NULL) x WHERE log = '$log';
		ANALYZE record;
	});
	for my $case ([ 1, 0.8, 'true', 'every entry, milestones without a name' ], [ 0, 0.5, 'm IS NULL', 'milestones not seen, the other entries' ])
	{
		my ($unnamed, $threshold, $which, $title) = @$case;
		filter($log, $unnamed, 1);
		my ($recorded, $calibrated) = split /\|/, sql(qq{
			SELECT round(avg((recorded <> stage)::int), 4), round(avg((CASE WHEN probability >= $threshold THEN estimate ELSE recorded END <> stage)::int), 4)
			FROM (SELECT l.stage, s.estimate, s.probability, coalesce(r.stage, CASE l.log WHEN 'helpdesk' THEN 'registered' ELSE 'received' END) AS recorded
			      FROM label l JOIN said s USING (case_, k)
			      LEFT JOIN LATERAL (SELECT r.stage FROM record r WHERE r.log = l.log AND r.case_ = l.case_ AND r.at <= l.ts ORDER BY r.at DESC, r.k DESC LIMIT 1) r ON true
			      WHERE l.log = '$log' AND $which) x
		});
		note "$log, record delayed, $title, threshold $threshold: error of the record $recorded, calibrated $calibrated";
		cmp_ok($calibrated, '<=', $recorded / 2, "$log: calibration halves the error ($title)");
	}
}

$node->stop;
done_testing();
