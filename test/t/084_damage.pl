# Damaged tables: a value of some row of some table of the extension becomes another one, in each way that its type allows, and all that reads it is
# called: an error or an answer, never a crash and never an internal error. REVOPS_SEED repeats a run, REVOPS_DAMAGE_ROUNDS makes it longer.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{REVOPS_SEED} // int(rand(1_000_000));
my $rounds = $ENV{REVOPS_DAMAGE_ROUNDS} // 75;
note "seed $seed (REVOPS_SEED)";

my $node = PostgreSQL::Test::Cluster->new('damage');
$node->init(extra => [ '-E', 'UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "client_min_messages = error\nTimeZone = 'UTC'\nstats_fetch_consistency = none\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_revops');
$node->safe_psql('postgres', $_) for map { slurp_file($_) } 'docs/reference/sample.sql', 'test/sqlsmith.sql';

$node->safe_psql('postgres', <<'SQL');
-- one character, or a few, of a text become others
CREATE FUNCTION mutate(t text, alphabet text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    at int;
BEGIN
    FOR i IN 1 .. 1 + (random() * 2)::int LOOP
        at := 1 + (random() * length(t))::int;
        t := CASE (random() * 3)::int
            WHEN 0 THEN left(t, at - 1)
            WHEN 1 THEN overlay(t PLACING '' FROM at FOR 1 + (random() * 4)::int)
            ELSE overlay(t PLACING substr(alphabet, 1 + (random() * (length(alphabet) - 1))::int, 1) FROM at FOR 1) END;
    END LOOP;
    RETURN t;
END $$;
CREATE FUNCTION one_of(list text[]) RETURNS text LANGUAGE sql AS $$ SELECT list[1 + floor(random() * cardinality(list))::int] $$;
-- another value of a type, as text
CREATE FUNCTION damaged(t text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    b bytea;
BEGIN
    IF random() < 0.05 THEN
        RETURN NULL;
    END IF;
    CASE
        WHEN type = 'bytea' THEN
            b := coalesce(t::bytea, '\x00');
            IF random() < 0.2 THEN
                b := substr(b, 1, (random() * octet_length(b))::int);
            END IF;
            -- most hits at the beginning, by which all else is found
            FOR i IN 1 .. (random() * 4)::int LOOP
                IF octet_length(b) > 0 THEN
                    b := set_byte(b, (random() * (CASE WHEN random() < 0.6 THEN least(octet_length(b), 120) ELSE octet_length(b) END - 1))::int,
                                  CASE WHEN random() < 0.4 THEN one_of('{0,1,127,128,255}')::int ELSE (random() * 255)::int END);
                END IF;
            END LOOP;
            RETURN b;
        WHEN type LIKE '%[]' THEN
            RETURN CASE (random() * 4)::int WHEN 0 THEN '{}' WHEN 1 THEN '{NULL}' WHEN 2 THEN regexp_replace(t, '[^{},"]+', one_of('{0,-1,NaN,NULL,infinity,1e300,x}'))
                WHEN 3 THEN '{' || t || ',' || t || '}' ELSE regexp_replace(t, ',[^,]*}$', '}') END;
        WHEN type IN ('json', 'jsonb') THEN
            RETURN CASE (random() * 4)::int WHEN 0 THEN one_of('{"{}","[]","null","0","\"\"","[[]]","{\"\":{}}"}')
                WHEN 1 THEN regexp_replace(t, '-?[0-9]+(\.[0-9]+)?', one_of('{-1,0,1e308,1e-308,9223372036854775807,null,[],0.5}'), 1, 1 + (random() * 5)::int)
                WHEN 2 THEN regexp_replace(t, '"[^"]*"', one_of('{"\"\"","\"x\"","null","{}","[]","\"\\u0001\"","\"999999 years\"","true","\"properties.x\""}'), 1, 1 + (random() * 9)::int)
                WHEN 3 THEN regexp_replace(t, '\{[^{}]*\}|\[[^\[\]]*\]', one_of('{"{}","[]","null","1"}'), 1, 1 + (random() * 4)::int)
                ELSE mutate(t, '{}[]":,0123456789e-.ax ') END;
        WHEN type IN ('smallint', 'integer', 'bigint') THEN
            RETURN one_of(ARRAY['0', '-1', '1', '2', '32767', '2147483647', '-2147483648', '9223372036854775807', '-9223372036854775808', (coalesce(t, '0')::numeric + 1)::text]);
        WHEN type IN ('double precision', 'real', 'numeric') THEN
            RETURN one_of('{0,-1,NaN,Infinity,-Infinity,1e300,-1e300,1e-300,0.5}');
        WHEN type LIKE 'timestamp%' OR type = 'date' THEN
            RETURN one_of(ARRAY['infinity', '-infinity', '0001-01-01', '290000-01-01', '4000-01-01 BC', revops.now()::text]);
        WHEN type = 'interval' THEN
            RETURN one_of('{0,-1 day,100000 years,1 microsecond,-1 month}');
        WHEN type = 'boolean' THEN
            RETURN (t IS DISTINCT FROM 'true')::text;
        ELSE
            RETURN mutate(coalesce(t, ''), E'ab1:,%{}"\\ \u4e00\U0001F600\u0001');
    END CASE;
END $$;
CREATE TABLE outcome (what text, query text, state text, message text);
-- Rounds of damage and readers, each undone
CREATE FUNCTION damage(rounds int, queries text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    old text;
    new text;
    place tid;
    query text;
    found outcome[];
    undo text;
    mark text;
    detail text;
BEGIN
    FOR i IN 1 .. rounds LOOP
        SELECT a.attrelid::regclass AS tab, a.attname AS col, format_type(a.atttypid, NULL) AS type,
               (SELECT string_agg(format(', %I = gen_random_uuid()', k.attname), '') FROM pg_attribute k WHERE k.attrelid = a.attrelid AND k.attname = 'version_id' AND k.attname <> a.attname)
               AS fresh,
               r.relname = 'intent_publication' AND a.attname <> 'valid_from' AS text_too
            INTO c
            FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
            WHERE r.relnamespace = 'revops'::regnamespace AND r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            ORDER BY -ln(1 - random()) / CASE WHEN a.atttypid IN ('bytea'::regtype, 'float8[]'::regtype) THEN 30 WHEN a.atttypid IN ('json'::regtype, 'jsonb'::regtype) THEN 6 ELSE 1 END
            LIMIT 1;
        EXECUTE format('SELECT %I::text, ctid FROM %s ORDER BY random() LIMIT 1', c.col, c.tab) INTO old, place;
        CONTINUE WHEN place IS NULL;
        new := damaged(old, c.type);
        found := '{}';
        BEGIN
            BEGIN
                -- what a cache knows a row by changes too, so that it is read
                EXECUTE format('UPDATE %s SET %I = $1::%s%s%s WHERE ctid = $2', c.tab, c.col, c.type, c.fresh, CASE WHEN c.text_too THEN ', valid_from = valid_from + ''1 us''' END)
                    USING new, place;
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS mark = RETURNED_SQLSTATE, undo = MESSAGE_TEXT;
                found := ARRAY[ROW(format('%s.%s', c.tab, c.col), 'UPDATE to ' || left(new, 200), mark, undo)::outcome];
                RAISE EXCEPTION USING ERRCODE = 'ZZ999';
            END;
            FOREACH query IN ARRAY queries LOOP
                BEGIN
                    EXECUTE query;
                    mark := '00000';
                    undo := NULL;
                EXCEPTION WHEN OTHERS THEN
                    GET STACKED DIAGNOSTICS mark = RETURNED_SQLSTATE, undo = MESSAGE_TEXT;
                END;
                found := found || ROW(format('%s.%s = %s', c.tab, c.col, left(new, 200)), query, mark, undo)::outcome;
            END LOOP;
            RAISE EXCEPTION USING ERRCODE = 'ZZ999';
        EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
            NULL;
        END;
        INSERT INTO outcome SELECT (unnest(found)).*;
    END LOOP;
END $$;
SQL

# what reads: the stream over new events, every view, and the functions that applications call
my @readers = (
	q{INSERT INTO revops.event (kind, side, channel, person, account, opportunity, rep, object, body, occurred_at, dwell)
		SELECT (ARRAY['page_view', 'demo', 'call', 'quote'])[n], CASE WHEN n = 3 THEN 'rep' ELSE 'customer' END, 'email', CASE WHEN n = 2 THEN 'person-2' ELSE 'ada' END, NULL,
			CASE WHEN n % 2 = 0 THEN 'deal-2' END, 'rep-2', '/pricing', 'too expensive, over our budget of 20k', revops.now() - interval '1 second' * n, '1 minute'
		FROM generate_series(1, 4) n},
	q{SELECT revops.process()},
	q{SELECT revops.process()},
	q{SELECT * FROM revops.detect_intents('it is too expensive, over our budget')},
	q{SELECT revops.intents_of('it is too expensive')},
	q{SELECT * FROM revops.classify('topics', 'the app crashes when I open page 3')},
	q{SELECT revops.best_label('topics', 'send the invoice again')},
	q{SELECT revops.predict('deal', p) FROM past p LIMIT 20},
	q{SELECT * FROM revops.explain('deal', (SELECT p FROM past p LIMIT 1))},
	q{SELECT * FROM revops.evaluate('deal', 'SELECT * FROM past LIMIT 50')},
	q{SELECT * FROM revops.evaluate('topics', 'SELECT * FROM labelled LIMIT 20')},
	q{SELECT * FROM revops.infer_stages('sales', ARRAY['call', 'demo', 'x'], ARRAY[revops.now() - interval '9 days', revops.now() - interval '1 day', revops.now()])},
	q{SELECT * FROM revops.substitute_units('u1')},
	q{SELECT revops.profile_similarity(a.vector, b.vector) FROM revops.account_profile a, revops.account_profile b LIMIT 100},
	q{SELECT count(revops.propose_assignments())},
	q{SELECT * FROM revops.extract_fields('our budget is 50k, we decide by Friday, Globex is cheaper')},
	q{SELECT count(revops.apply_attachments())},
	q{SELECT revops.refresh_collaboration()},
	q{SELECT revops.refresh_profiles()},
	q{SELECT revops.train_stages('sales')},
	q{SELECT count(*) FROM revops.backtest((SELECT definition FROM revops.moment_rule LIMIT 1), revops.now() - interval '10 days')},
	q{SELECT * FROM revops.health()},
);
push @readers, map { "SELECT * FROM $_" } split /\n/,
	$node->safe_psql('postgres', q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'revops'::regnamespace AND relkind = 'v' ORDER BY 1});
my $list = join ', ', map { "\$q\$$_\$q\$" } @readers;

# each of them works as long as nothing is damaged
my ($rc, $out, $err) = $node->psql('postgres', join(";\n", 'BEGIN', @readers, 'ROLLBACK'), on_error_stop => 1);
is($rc, 0, scalar(@readers) . ' ways to read work') or diag($err);

for (my $from = 0; $from < $rounds; $from += 25)
{
	my $n = $rounds - $from < 25 ? $rounds - $from : 25;
	my $start = (($seed + $from * 7919) % 1_000_000) / 1_000_000;

	($rc, $out, $err) = $node->psql('postgres', "DO 'BEGIN PERFORM setseed($start); END'; SELECT damage($n, ARRAY[$list]);", timeout => 60 * $PostgreSQL::Test::Utils::timeout_default);
	is($rc, 0, "seed $seed: $n damaged values, and the server stands") or diag($err);
	$node->restart if $rc != 0 && !$node->poll_query_until('postgres', 'SELECT true');
}
note $node->safe_psql('postgres', q{SELECT state, count(*), min(message), min(what), min(query) FROM outcome GROUP BY state ORDER BY 2 DESC});
is($node->safe_psql('postgres', q{SELECT what, query, state, message FROM outcome WHERE state LIKE 'XX%' AND NOT (state IN ('XX001', 'XX002') AND message ~ 'stored|state|model|cursor|lane')
	ORDER BY message, what LIMIT 40}), '', 'no internal error');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM outcome WHERE state = '00000'}), '>', $rounds, 'what is not concerned answers');
done_testing();
