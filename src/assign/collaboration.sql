-- assign: who has worked for which customer, and who with whom: counted from what reps did, decayed

CREATE TABLE revops.service_week (
    account     text COLLATE "C" NOT NULL,
    week        date NOT NULL,
    rep         text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, week, rep)
);
COMMENT ON TABLE revops.service_week IS 'Which reps did something for a customer in which week (Monday, UTC); kept for a year. What service and collaboration are counted from';

CREATE TABLE revops.service (
    account     text COLLATE "C" NOT NULL,
    rep         text COLLATE "C" NOT NULL,
    rank        float8 NOT NULL,
    weeks       int NOT NULL,
    last_week   date NOT NULL,
    PRIMARY KEY (account, rep)
) WITH (fillfactor = 90);
CREATE INDEX service_rep_idx ON revops.service (rep);
COMMENT ON TABLE revops.service IS 'How well a rep knows a customer: the weeks in which the rep did something for it, decayed';
COMMENT ON COLUMN revops.service.rank IS 'log2 of the sum of 2^(week / half-life): revops.decayed(rank, half_life, at) is the sum at a time';

CREATE TABLE revops.collaboration (
    rep         text COLLATE "C" NOT NULL,
    other       text COLLATE "C" NOT NULL,
    rank        float8 NOT NULL,
    weeks       int NOT NULL,
    last_week   date NOT NULL,
    PRIMARY KEY (rep, other),
    CONSTRAINT collaboration_other_check CHECK (rep <> other)
) WITH (fillfactor = 90);
COMMENT ON TABLE revops.collaboration IS 'How well two reps know each other''s work: the weeks in which both did something for the same customer, once for each customer, decayed. Each pair is there both ways round';
COMMENT ON COLUMN revops.collaboration.rank IS 'log2 of the sum of 2^(week / half-life): revops.decayed(rank, half_life, at) is the sum at a time';

CREATE TABLE revops.collaboration_state (
    one         boolean PRIMARY KEY DEFAULT true CONSTRAINT collaboration_state_one_check CHECK (one),
    half_life   interval NOT NULL DEFAULT '90 days'
                CONSTRAINT collaboration_state_half_life_check CHECK (half_life >= '1 day' AND half_life <= '3650 days'),
    epoch       int,
    done        pg_snapshot,
    past_epochs int[] NOT NULL DEFAULT '{}',
    tasks_since timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE revops.collaboration_state IS 'What revops.refresh_collaboration() has taken of the events, and the half-life of what it counts';
INSERT INTO revops.collaboration_state DEFAULT VALUES;

SELECT pg_catalog.pg_extension_config_dump('revops.service_week', '');
SELECT pg_catalog.pg_extension_config_dump('revops.service', '');
SELECT pg_catalog.pg_extension_config_dump('revops.collaboration', '');
SELECT pg_catalog.pg_extension_config_dump('revops.collaboration_state', '');

CREATE FUNCTION revops.collaboration_state_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM revops.collaboration_state;    -- a restored row takes the place of the one that CREATE EXTENSION made
    RETURN NEW;
END $$;
COMMENT ON FUNCTION revops.collaboration_state_insert() IS 'Trigger of revops.collaboration_state: there is one row, the last';
CREATE TRIGGER collaboration_state_insert BEFORE INSERT ON revops.collaboration_state
    FOR EACH ROW EXECUTE FUNCTION revops.collaboration_state_insert();

CREATE FUNCTION revops.decay_add(a float8, b float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(a, b) + ln(1 + power(2::float8, greatest(least(a, b) - greatest(a, b), -1000))) / ln(2::float8)
$$;
COMMENT ON FUNCTION revops.decay_add(float8, float8) IS 'log2(2^a + 2^b): two decayed sums, as revops.decayed() reads them, made one';

-- Sums add in any order, and a pair is counted when its second rep comes: so how the events are cut into runs makes no difference.
CREATE FUNCTION revops.refresh_collaboration(half_life interval DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    state   revops.collaboration_state;
    here    CONSTANT int := revops.stream_epoch();
    seen    CONSTANT pg_snapshot := pg_current_snapshot();
    oldest  CONSTANT timestamptz := date_trunc('week', revops.now(), 'UTC') - interval '364 days';
    base    timestamptz;    -- sums are taken relative to the newest week, so that no power is out of range
    h       float8;
    shift   float8;
    counted bigint;
BEGIN
    SELECT * INTO STRICT state FROM revops.collaboration_state FOR UPDATE;
    CREATE TEMP TABLE counted_week (account text COLLATE "C", week date, rep text COLLATE "C") ON COMMIT DROP;
    CREATE TEMP TABLE added_week (account text COLLATE "C", week date, rep text COLLATE "C", points float8) ON COMMIT DROP;
    IF refresh_collaboration.half_life <> state.half_life THEN
        IF refresh_collaboration.half_life < '1 day' OR refresh_collaboration.half_life > '3650 days' THEN
            RAISE EXCEPTION 'the half-life must be between 1 and 3650 days, not %', refresh_collaboration.half_life
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- weeks older than service_week has are forgotten
        state.half_life := refresh_collaboration.half_life;
        DELETE FROM revops.service;
        DELETE FROM revops.collaboration;
        INSERT INTO pg_temp.counted_week SELECT w.account, w.week, w.rep FROM revops.service_week w;
        DELETE FROM revops.service_week;
    END IF;

    -- what the last snapshot did not see, by the transaction that wrote it; of another cluster (a restored database) what was left there
    INSERT INTO pg_temp.counted_week (account, week, rep)
    SELECT w.account, (date_trunc('week', w.at, 'UTC') AT TIME ZONE 'UTC')::date, w.rep
    FROM (
        SELECT coalesce(e.account, o.account, k.account, p.account) AS account, e.occurred_at AS at, e.rep
        FROM revops.event e
        LEFT JOIN revops.opportunity o ON o.opportunity = e.opportunity
        LEFT JOIN revops.person p ON p.person = e.person
        LEFT JOIN revops.person k ON k.person = p.identity
        WHERE e.side = 'rep' AND e.rep IS NOT NULL AND NOT e.ahead AND e.occurred_at >= oldest
          AND e.txid >= CASE WHEN state.epoch = here THEN pg_snapshot_xmin(state.done) ELSE '0' END
          AND CASE WHEN e.epoch = here THEN pg_visible_in_snapshot(e.txid, seen) ELSE e.epoch <> ALL (state.past_epochs) END
          AND NOT (e.epoch = coalesce(state.epoch, 0) AND state.done IS NOT NULL AND pg_visible_in_snapshot(e.txid, state.done))
        UNION ALL
        -- cards that were answered without an event
        SELECT t.account, t.answered_at, t.answered_by
        FROM revops.task t
        WHERE t.answered_at >= greatest(oldest, state.tasks_since) AND t.answered_at <= revops.now() AND t.status <> 'cancelled'
    ) w
    WHERE w.account IS NOT NULL AND w.rep IS NOT NULL;

    SELECT max(c.week)::timestamp AT TIME ZONE 'UTC' INTO base FROM pg_temp.counted_week c;
    h := extract(epoch FROM state.half_life);
    shift := extract(epoch FROM base - '2000-01-01 00:00+00') / h;
    WITH added AS (
        INSERT INTO revops.service_week (account, week, rep)
        SELECT DISTINCT c.account, c.week, c.rep FROM pg_temp.counted_week c
        ON CONFLICT DO NOTHING
        RETURNING account, week, rep
    )
    INSERT INTO pg_temp.added_week (account, week, rep, points)
    SELECT a.account, a.week, a.rep,
           power(2::float8, greatest(extract(epoch FROM a.week::timestamp AT TIME ZONE 'UTC' - base)::float8 / h, -1000)) FROM added a;
    GET DIAGNOSTICS counted = ROW_COUNT;
    IF counted > 0 THEN
        INSERT INTO revops.service AS s (account, rep, rank, weeks, last_week)
        SELECT a.account, a.rep, shift + ln(sum(a.points)) / ln(2::float8), count(*), max(a.week)
        FROM pg_temp.added_week a GROUP BY a.account, a.rep ORDER BY a.account, a.rep
        ON CONFLICT (account, rep) DO UPDATE
        SET rank = revops.decay_add(s.rank, excluded.rank), weeks = s.weeks + excluded.weeks, last_week = greatest(s.last_week, excluded.last_week);
        INSERT INTO revops.collaboration AS c (rep, other, rank, weeks, last_week)
        SELECT p.rep, p.other, shift + ln(sum(p.points)) / ln(2::float8), count(*), max(p.week)
        FROM (
            SELECT DISTINCT x.rep, x.other, a.account, a.week, a.points
            FROM pg_temp.added_week a JOIN revops.service_week o ON o.account = a.account AND o.week = a.week AND o.rep <> a.rep
            CROSS JOIN LATERAL (VALUES (a.rep, o.rep), (o.rep, a.rep)) AS x (rep, other)
        ) p
        GROUP BY p.rep, p.other ORDER BY p.rep, p.other
        ON CONFLICT (rep, other) DO UPDATE
        SET rank = revops.decay_add(c.rank, excluded.rank), weeks = c.weeks + excluded.weeks, last_week = greatest(c.last_week, excluded.last_week);
    END IF;
    DROP TABLE pg_temp.counted_week, pg_temp.added_week;
    DELETE FROM revops.service_week w WHERE w.week < (oldest AT TIME ZONE 'UTC')::date;
    IF state.epoch IS DISTINCT FROM here THEN
        state.past_epochs := ARRAY(SELECT DISTINCT e.epoch FROM revops.event e WHERE e.epoch <> here);
    END IF;
    UPDATE revops.collaboration_state s
    SET half_life = state.half_life, epoch = here, done = seen, past_epochs = state.past_epochs,
        tasks_since = greatest(state.tasks_since, revops.now() - interval '30 days');
    RETURN counted;
END $$;
COMMENT ON FUNCTION revops.refresh_collaboration(interval) IS
'Takes in what reps did since the last time, from events and answered cards of the last year. A half-life other than the present one (90 days at first) counts the last year anew. Returns how many new (customer, week, rep) there were';
