-- board: how likely each opportunity is to be won and why, how good an account looks, what a moment is worth; models that keep up

-- What was known of each opportunity at an instant: now for an open one; for a closed one an instant of its life, which its key decides.
CREATE VIEW revops.win_snapshot WITH (security_barrier) AS
SELECT o.opportunity, o.account, i.at, CASE WHEN i.closed THEN o.closed_at END AS closed_at,
       CASE WHEN i.closed THEN o.status = 'won' END AS won,
       o.amount::float8 AS amount, coalesce(a.territory, 'none') AS territory, a.segment, a.industry, o.owner, o.pipeline,
       date_part('month', o.opened_at AT TIME ZONE 'UTC')::int AS opened_month,
       CASE WHEN NOT i.closed OR h.stage IS NOT NULL THEN h.stage END AS stage,
       (extract(epoch FROM i.at - h.entered_at) / 86400)::float8 AS days_in_stage,
       h.moves AS stage_moves,
       (extract(epoch FROM i.at - o.opened_at) / 86400)::float8 AS days_open,
       e.customer_events, e.rep_events, e.activity,
       (extract(epoch FROM i.at - e.last_customer_at) / 86400)::float8 AS days_since_customer,
       m.moments, m.strongest_moment
FROM revops.my_opportunity o
LEFT JOIN revops.account a ON a.account = o.account
CROSS JOIN LATERAL (
    SELECT x.closed,
           CASE WHEN NOT x.closed THEN revops.now()
                ELSE o.opened_at + (o.closed_at - o.opened_at) * ((hashtextextended(o.opportunity, 7) & 1048575) / 1048576.0)::float8 END AS at
    FROM (SELECT o.status <> 'open' AND o.closed_at <= revops.now() AS closed) x
) i
LEFT JOIN LATERAL (
    SELECT (array_agg(s.stage ORDER BY s.entered_at DESC, s.recorded_at DESC))[1] AS stage, max(s.entered_at) AS entered_at, count(*)::int AS moves
    FROM revops.stage_history s
    WHERE s.opportunity = o.opportunity AND s.entered_at <= i.at
      -- a change that was written later was not known then; an opportunity's first stage may have come with it, from elsewhere
      AND (s.recorded_at <= i.at OR s.origin = 'backfill' OR s.previous IS NULL)
) h ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE x.side = 'customer')::int AS customer_events, count(*) FILTER (WHERE x.side = 'rep')::int AS rep_events,
           coalesce(sum(power(2, -extract(epoch FROM i.at - x.occurred_at)::float8 / 604800)) FILTER (WHERE x.side = 'customer'), 0) AS activity,
           max(x.occurred_at) FILTER (WHERE x.side = 'customer') AS last_customer_at
    FROM (
        SELECT v.side, v.occurred_at FROM revops.event v
        WHERE v.opportunity = o.opportunity AND v.occurred_at <= i.at AND v.occurred_at > i.at - interval '30 days' AND NOT v.ahead
        UNION ALL
        SELECT v.side, v.occurred_at FROM revops.event v
        WHERE v.account = o.account AND v.opportunity IS NULL AND v.occurred_at <= i.at AND v.occurred_at > i.at - interval '30 days' AND NOT v.ahead
        UNION ALL
        -- an event without an account is of that of its person, the known one's before the visitor's
        SELECT v.side, v.occurred_at
        FROM (
            SELECT p.person FROM revops.person p WHERE p.account = o.account AND p.identity IS NULL
            UNION ALL
            SELECT w.person FROM revops.person p JOIN revops.person w ON w.identity = p.person WHERE p.account = o.account
            UNION ALL
            SELECT w.person FROM revops.person w LEFT JOIN revops.person p ON p.person = w.identity
            WHERE w.account = o.account AND w.identity IS NOT NULL AND p.account IS NULL
        ) k
        JOIN revops.event v ON v.person = k.person
        WHERE v.account IS NULL AND v.opportunity IS NULL AND v.occurred_at <= i.at AND v.occurred_at > i.at - interval '30 days' AND NOT v.ahead
    ) x
) e ON true
LEFT JOIN LATERAL (
    SELECT count(*)::int AS moments, max(x.strength) AS strongest_moment
    FROM revops.moment x
    WHERE ((x.subject = o.opportunity AND x.subject_kind = 'opportunity') OR (x.subject = o.account AND x.subject_kind = 'account'))
      AND x.occurred_at <= i.at AND x.occurred_at > i.at - interval '30 days' AND (x.retracted_at IS NULL OR x.retracted_at > i.at)
) m ON true
WHERE o.status = 'open' OR o.closed_at > revops.now() OR o.closed_at > o.opened_at;
COMMENT ON VIEW revops.win_snapshot IS 'What was known of each opportunity at an instant, as the model win sees it: of an open one now; of a closed one at an instant of its life, which its key decides. Counts reach 30 days back. The amount has no history, and is as the record has it today';
COMMENT ON COLUMN revops.win_snapshot.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.win_snapshot.account IS 'Account that it is with';
COMMENT ON COLUMN revops.win_snapshot.at IS 'The instant';
COMMENT ON COLUMN revops.win_snapshot.closed_at IS 'When it was won or lost; NULL: it is open';
COMMENT ON COLUMN revops.win_snapshot.won IS 'Whether it was won; NULL: it is open';
COMMENT ON COLUMN revops.win_snapshot.amount IS 'What it is worth, as the record has it today: train_win() leaves it out';
COMMENT ON COLUMN revops.win_snapshot.territory IS 'Territory of the account';
COMMENT ON COLUMN revops.win_snapshot.segment IS 'Segment of the account';
COMMENT ON COLUMN revops.win_snapshot.industry IS 'Industry of the account';
COMMENT ON COLUMN revops.win_snapshot.owner IS 'Rep who owns it';
COMMENT ON COLUMN revops.win_snapshot.pipeline IS 'Pipeline';
COMMENT ON COLUMN revops.win_snapshot.opened_month IS 'Month in which it was opened, 1 to 12';
COMMENT ON COLUMN revops.win_snapshot.stage IS 'Stage that the record had for it then';
COMMENT ON COLUMN revops.win_snapshot.days_in_stage IS 'Days since it came into that stage';
COMMENT ON COLUMN revops.win_snapshot.stage_moves IS 'Stages that it had been in';
COMMENT ON COLUMN revops.win_snapshot.days_open IS 'Days since it was opened';
COMMENT ON COLUMN revops.win_snapshot.customer_events IS 'Events of the customer''s side';
COMMENT ON COLUMN revops.win_snapshot.rep_events IS 'Events of the seller''s side';
COMMENT ON COLUMN revops.win_snapshot.activity IS 'The customer''s events, each halved with every week that has passed';
COMMENT ON COLUMN revops.win_snapshot.days_since_customer IS 'Days since the customer''s last event; NULL: none in 30 days';
COMMENT ON COLUMN revops.win_snapshot.moments IS 'Moments of the opportunity and of its account';
COMMENT ON COLUMN revops.win_snapshot.strongest_moment IS 'Strength of the strongest of them';

-- Models that are trained again by themselves.

CREATE TABLE revops.model_schedule (
    model       text COLLATE "C" NOT NULL,
    query       text NOT NULL,
    label       text NOT NULL,
    options     jsonb NOT NULL,
    every       interval NOT NULL CONSTRAINT model_schedule_every CHECK (every >= '1 hour'),
    tried_at    timestamptz,
    scheduled_by text COLLATE "C" NOT NULL DEFAULT current_user,
    CONSTRAINT model_schedule_pkey PRIMARY KEY (model)
);
COMMENT ON TABLE revops.model_schedule IS 'Models that calibrate_models() trains again; write it with schedule_training()';
COMMENT ON COLUMN revops.model_schedule.model IS 'Name of the model, of the task predict';
COMMENT ON COLUMN revops.model_schedule.query IS 'Query of its examples, every name with its schema';
COMMENT ON COLUMN revops.model_schedule.label IS 'The column of answers';
COMMENT ON COLUMN revops.model_schedule.options IS 'Options of train(); time is the column that says when the answer became known';
COMMENT ON COLUMN revops.model_schedule.every IS 'How often';
COMMENT ON COLUMN revops.model_schedule.tried_at IS 'When it was last tried';
COMMENT ON COLUMN revops.model_schedule.scheduled_by IS 'The role that scheduled it: the query runs with its rights, whoever runs calibrate_models()';
SELECT pg_catalog.pg_extension_config_dump('revops.model_schedule', '');

CREATE TABLE revops.model_trial (
    model       text COLLATE "C" NOT NULL,
    tried_at    timestamptz NOT NULL DEFAULT revops.now(),
    deployed    int,
    candidate   int,
    examples    int,
    loss_deployed float8,
    loss_candidate float8,
    result      text NOT NULL,
    CONSTRAINT model_trial_pkey PRIMARY KEY (model, tried_at)
);
COMMENT ON TABLE revops.model_trial IS 'What calibrate_models() found each time: the deployed version against a new one, on examples that neither had seen';
COMMENT ON COLUMN revops.model_trial.model IS 'Name of the model';
COMMENT ON COLUMN revops.model_trial.tried_at IS 'When';
COMMENT ON COLUMN revops.model_trial.deployed IS 'The version that was deployed then';
COMMENT ON COLUMN revops.model_trial.candidate IS 'The version that was compared with it';
COMMENT ON COLUMN revops.model_trial.examples IS 'Examples that neither had seen';
COMMENT ON COLUMN revops.model_trial.loss_deployed IS 'Log loss of the deployed version on them';
COMMENT ON COLUMN revops.model_trial.loss_candidate IS 'Log loss of the new one';
COMMENT ON COLUMN revops.model_trial.result IS 'What was done, and why';
SELECT pg_catalog.pg_extension_config_dump('revops.model_trial', '');

CREATE FUNCTION revops.keep_schedule(model text, query text, label text, options jsonb, every interval) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'revops_keep_schedule';
COMMENT ON FUNCTION revops.keep_schedule(text, text, text, jsonb, interval) IS 'Writes a row of model_schedule for whoever calls it, part of schedule_training()';

CREATE FUNCTION revops.schedule_training(model text, query text, label text DEFAULT 'label', options jsonb DEFAULT '{}', every interval DEFAULT '7 days') RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF coalesce(options ->> 'time', '') = '' THEN
        RAISE EXCEPTION 'model "%" is trained again by the order of time, and no column of time is named', model
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the option "time" with the column that says when the answer became known.';
    END IF;
    PERFORM revops.keep_schedule(model, query, label, options, every);
END $$;
COMMENT ON FUNCTION revops.schedule_training(text, text, text, jsonb, interval) IS 'Have calibrate_models() train a model again, with what train() is given. The query runs with the rights of the role that schedules it (current_user), and needs every name with its schema; the option time is needed';

CREATE FUNCTION revops.unschedule_training(model text) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM revops.model_schedule s WHERE s.model = unschedule_training.model;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION revops.unschedule_training(text) IS 'Train a model no more by itself; true if it was. Its versions stay';

CREATE FUNCTION revops.train_win(options jsonb DEFAULT '{}') RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    query CONSTANT text := 'SELECT * FROM revops.win_snapshot WHERE won IS NOT NULL';
    given CONSTANT jsonb := '{"time": "closed_at", "group": "territory", "leak": "drop", "exclude": ["opportunity", "account", "at", "amount"]}'::jsonb || options;
    version int;
BEGIN
    version := revops.train('win', 'predict', query, 'won', given);
    PERFORM revops.schedule_training('win', query, 'won', given);
    RETURN version;
END $$;
COMMENT ON FUNCTION revops.train_win(jsonb) IS 'Train the model win from the closed opportunities, as revops.win_snapshot has them, and have calibrate_models() keep it up. Options as of train(); the first version is deployed. Returns its number';

CREATE FUNCTION revops.note_trial(model text, deployed int, candidate int, examples int, loss_deployed float8, loss_candidate float8, result text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    UPDATE revops.model_schedule s SET tried_at = revops.now() WHERE s.model = note_trial.model;
    INSERT INTO revops.model_trial AS t (model, deployed, candidate, examples, loss_deployed, loss_candidate, result)
    VALUES (model, deployed, candidate, examples, loss_deployed, loss_candidate, result)
    ON CONFLICT ON CONSTRAINT model_trial_pkey DO UPDATE SET deployed = EXCLUDED.deployed, candidate = EXCLUDED.candidate, examples = EXCLUDED.examples,
        loss_deployed = EXCLUDED.loss_deployed, loss_candidate = EXCLUDED.loss_candidate, result = EXCLUDED.result;
    DELETE FROM revops.model_trial t WHERE t.tried_at < revops.now() - interval '3 years';
END $$;
COMMENT ON FUNCTION revops.note_trial(text, int, int, int, float8, float8, text) IS 'Note what calibrate_models() found';

CREATE FUNCTION revops.calibrate_model(model text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    least CONSTANT int := 100;    -- fresh examples to compare on, with 20 of each answer
    s     revops.model_schedule;
    now_deployed int;
    since timestamptz;
    cut   timestamptz;
    n     int;
    fewer int;
    candidate int;
    a     float8;
    b     float8;
    result text;
BEGIN
    SELECT x.* INTO STRICT s FROM revops.model_schedule x WHERE x.model = calibrate_model.model COLLATE "C";
    -- whose query it is by now: it may have been scheduled anew since calibrate_scheduled() looked
    IF s.scheduled_by <> current_user THEN
        RAISE EXCEPTION 'model "%" was scheduled by role "%", whose query is not run with the rights of others', model, s.scheduled_by
            USING ERRCODE = 'insufficient_privilege', HINT = 'revops.calibrate_models() runs it as that role.';
    END IF;
    BEGIN
        SELECT v.version, v.trained_at INTO now_deployed, since FROM revops.model m JOIN revops.model_version v ON v.model = m.model AND v.version = m.deployed WHERE m.model = s.model;
        IF NOT FOUND THEN
            candidate := revops.train(s.model, 'predict', s.query, s.label, s.options);
            result := 'trained for the first time';
        ELSE
            -- halved by time: of the examples since the deployed version was trained, the later half compares; all before teach the new one
            EXECUTE format('SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY q.%1$I::timestamptz) FROM (%2$s) q WHERE q.%1$I > $1 AND q.%3$I IS NOT NULL',
                           s.options ->> 'time', s.query, s.label) INTO cut USING since;
            EXECUTE format('SELECT coalesce(sum(z.c), 0), CASE WHEN count(*) > 1 THEN min(z.c) ELSE 0 END
                            FROM (SELECT count(*) AS c FROM (%2$s) q WHERE q.%1$I > $1 AND q.%3$I IS NOT NULL GROUP BY q.%3$I::text) z', s.options ->> 'time', s.query, s.label) INTO n, fewer USING cut;
            IF cut IS NULL OR n < least OR fewer < 20 THEN
                result := format('kept version %s: %s fresh examples to compare on, the least is %s with 20 of each answer', now_deployed, coalesce(n, 0), least);
            ELSE
                candidate := revops.train(s.model, 'predict', format('SELECT * FROM (%s) q WHERE q.%I <= %L::timestamptz', s.query, s.options ->> 'time', cut), s.label, s.options);
                SELECT max(e.value) FILTER (WHERE e.v = 1), max(e.value) FILTER (WHERE e.v = 2) INTO a, b
                FROM (SELECT 1 AS v, x.metric, x.value FROM revops.evaluate_version(s.model, now_deployed, format('SELECT * FROM (%s) q WHERE q.%I > %L::timestamptz', s.query, s.options ->> 'time', cut), s.label, '') x
                      UNION ALL
                      SELECT 2, x.metric, x.value FROM revops.evaluate_version(s.model, candidate, format('SELECT * FROM (%s) q WHERE q.%I > %L::timestamptz', s.query, s.options ->> 'time', cut), s.label, '') x) e
                WHERE e.metric = 'log_loss';
                IF b < a THEN
                    candidate := revops.train(s.model, 'predict', s.query, s.label, s.options);
                    PERFORM revops.deploy(s.model, candidate);
                    result := format('deployed version %s: log loss %s, was %s', candidate, round(b::numeric, 4), round(a::numeric, 4));
                ELSE
                    result := format('kept version %s: log loss %s, of the new one %s', now_deployed, round(a::numeric, 4), round(b::numeric, 4));
                END IF;
            END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        result := 'failed: ' || SQLERRM;
    END;
    RETURN jsonb_build_object('deployed', now_deployed, 'candidate', candidate, 'examples', n, 'loss_deployed', a, 'loss_candidate', b, 'result', result);
END $$;
COMMENT ON FUNCTION revops.calibrate_model(text) IS 'Train one scheduled model again, with the rights of the caller, who must have scheduled it, and deploy the new version if it is better; returns what calibrate_models() notes';

CREATE FUNCTION revops.calibrate_scheduled(model text) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'revops_calibrate_scheduled';
COMMENT ON FUNCTION revops.calibrate_scheduled(text) IS 'calibrate_model() with the rights of the role that scheduled the model, and no way out of them';

CREATE FUNCTION revops.calibrate_models(OUT model text, OUT result text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s     record;
    found_ jsonb;
BEGIN
    FOR s IN SELECT x.model FROM revops.model_schedule x WHERE x.tried_at IS NULL OR x.tried_at + x.every <= revops.now() ORDER BY x.model LOOP
        model := s.model;
        BEGIN
            found_ := revops.calibrate_scheduled(s.model);
        EXCEPTION WHEN OTHERS THEN
            found_ := jsonb_build_object('result', 'failed: ' || SQLERRM);
        END;
        result := found_ ->> 'result';
        PERFORM revops.note_trial(s.model, (found_ ->> 'deployed')::int, (found_ ->> 'candidate')::int, (found_ ->> 'examples')::int,
                                  (found_ ->> 'loss_deployed')::float8, (found_ ->> 'loss_candidate')::float8, result);
        RETURN NEXT;
    END LOOP;
    PERFORM revops.fit_moment_value();
END $$;
COMMENT ON FUNCTION revops.calibrate_models() IS 'Train the models of revops.model_schedule that are due again. A new version is deployed if its log loss is lower on the latest examples, which neither had seen; the old one stays, and rollback() goes back to it. Also fits the weights of revops.moment_value';

-- The model win, by opportunity.

CREATE TABLE revops.win_history (
    opportunity text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    probability float8 NOT NULL,
    version     int NOT NULL,
    CONSTRAINT win_history_pkey PRIMARY KEY (opportunity, day)
);
COMMENT ON TABLE revops.win_history IS 'The probability of each open opportunity by day, for 400 days; written by record_win_probability()';
COMMENT ON COLUMN revops.win_history.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.win_history.day IS 'Day, UTC';
COMMENT ON COLUMN revops.win_history.probability IS 'Probability that day';
COMMENT ON COLUMN revops.win_history.version IS 'Version of the model win that said so';
SELECT pg_catalog.pg_extension_config_dump('revops.win_history', '');

CREATE FUNCTION revops.record_win_probability() RETURNS int
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v int;
    n int;
BEGIN
    SELECT m.deployed INTO v FROM revops.model m WHERE m.model = 'win' AND m.task = 'predict';
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    INSERT INTO revops.win_history AS h (opportunity, day, probability, version)
    SELECT s.opportunity, (revops.now() AT TIME ZONE 'UTC')::date, revops.predict('win', s), v FROM revops.win_snapshot s WHERE s.won IS NULL
    ON CONFLICT ON CONSTRAINT win_history_pkey DO UPDATE SET probability = EXCLUDED.probability, version = EXCLUDED.version;
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM revops.win_history h WHERE h.day < (revops.now() AT TIME ZONE 'UTC')::date - 400;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.record_win_probability() IS 'Write today''s win probabilities to revops.win_history; returns how many. The job revops win probability does it daily';

CREATE VIEW revops.win_probability WITH (security_barrier) AS
SELECT s.opportunity, o.name, s.account, s.owner, s.stage, s.amount, revops.predict('win', d.features) AS probability,
       w.probability AS week_ago, revops.predict('win', d.features) - w.probability AS change,
       r.reasons_for, r.reasons_against, d.learnt, d.version
FROM revops.win_snapshot s
JOIN revops.opportunity o ON o.opportunity = s.opportunity
LEFT JOIN (
    SELECT m.deployed AS version, (v.metrics ->> 'learnt')::boolean AS learnt
    FROM revops.model m JOIN revops.model_version v ON v.model = m.model AND v.version = m.deployed
    WHERE m.model = 'win' AND m.task = 'predict'
) k ON true
CROSS JOIN LATERAL (SELECT k.version, k.learnt, CASE WHEN k.version IS NOT NULL THEN s END AS features) d
LEFT JOIN LATERAL (
    SELECT h.probability FROM revops.win_history h
    WHERE h.opportunity = s.opportunity AND h.day <= (revops.now() AT TIME ZONE 'UTC')::date - 7 AND h.day > (revops.now() AT TIME ZONE 'UTC')::date - 14
    ORDER BY h.day DESC LIMIT 1
) w ON true
CROSS JOIN LATERAL (
    SELECT array_agg(x.reason ORDER BY x.contribution DESC) FILTER (WHERE x.contribution > 0) AS reasons_for,
           array_agg(x.reason ORDER BY x.contribution) FILTER (WHERE x.contribution < 0) AS reasons_against
    FROM (
        SELECT y.contribution, format('%s: %s (odds x %s)', replace(y.feature, '_', ' '), y.value, round(exp(y.contribution)::numeric, 2)) AS reason,
               row_number() OVER (PARTITION BY y.contribution > 0 ORDER BY abs(y.contribution) DESC, y.feature) AS rank
        FROM revops.explain('win', d.features) y
        WHERE y.feature <> 'intercept' AND abs(y.contribution) >= 0.02
    ) x
    WHERE x.rank <= 3
) r
WHERE s.won IS NULL;
COMMENT ON VIEW revops.win_probability IS 'Each open opportunity: how likely it is to be won by the deployed version of the model win (revops.train_win()), the change over a week, and the three strongest reasons for and against. NULL while there is no such model';
COMMENT ON COLUMN revops.win_probability.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.win_probability.name IS 'What people call it';
COMMENT ON COLUMN revops.win_probability.account IS 'Account that it is with';
COMMENT ON COLUMN revops.win_probability.owner IS 'Rep who owns it';
COMMENT ON COLUMN revops.win_probability.stage IS 'Stage on record';
COMMENT ON COLUMN revops.win_probability.amount IS 'What it is worth';
COMMENT ON COLUMN revops.win_probability.probability IS 'Probability that it is won, 0 to 1';
COMMENT ON COLUMN revops.win_probability.week_ago IS 'The same as recorded seven days ago, or up to six days before that';
COMMENT ON COLUMN revops.win_probability.change IS 'probability - week_ago';
COMMENT ON COLUMN revops.win_probability.reasons_for IS 'What speaks for it most, with the factor on its odds';
COMMENT ON COLUMN revops.win_probability.reasons_against IS 'What speaks against it most';
COMMENT ON COLUMN revops.win_probability.learnt IS 'false: on examples held out the model was no better than a toss, so the probability is little more than the usual rate';
COMMENT ON COLUMN revops.win_probability.version IS 'Version of the model';

CREATE VIEW revops.account_score AS
WITH outcome AS (
    SELECT a.segment, a.industry, count(*) AS closed, count(*) FILTER (WHERE o.status = 'won') AS won
    FROM revops.opportunity o JOIN revops.account a ON a.account = o.account
    WHERE o.status <> 'open' AND o.closed_at <= revops.now() GROUP BY a.segment, a.industry
), whole AS (
    SELECT coalesce(sum(c.won) / nullif(sum(c.closed), 0), 0.5)::float8 AS rate FROM outcome c
), heat AS (
    SELECT s.subject AS account, sum(s.score) AS score FROM revops.intent_score s WHERE s.subject_kind = 'account' GROUP BY s.subject
), ranked AS (
    SELECT h.account, cume_dist() OVER (ORDER BY h.score) AS rank FROM heat h WHERE h.score > 0
), contact AS (
    SELECT e.account, count(DISTINCT e.person) FILTER (WHERE e.side = 'customer') AS people,
           count(*) FILTER (WHERE e.side = 'customer') AS theirs, count(*) FILTER (WHERE e.side = 'rep') AS ours,
           max(e.occurred_at) FILTER (WHERE e.side = 'customer') AS last_at
    FROM (SELECT coalesce(v.account, k.account, p.account) AS account, coalesce(p.identity, v.person) AS person, v.side, v.occurred_at
          FROM revops.event v LEFT JOIN revops.person p ON p.person = v.person LEFT JOIN revops.person k ON k.person = p.identity
          WHERE v.occurred_at > revops.now() - interval '90 days' AND v.occurred_at <= revops.now() AND NOT v.ahead) e
    WHERE e.account IS NOT NULL GROUP BY e.account
)
SELECT x.account, x.name, x.intent, x.fit, x.relationship, (x.intent + x.fit + x.relationship) / 3 AS score
FROM (
    SELECT a.account, a.name, coalesce(r.rank, 0) AS intent,
           ((coalesce(o.won, 0) + 10 * w.rate) / (coalesce(o.closed, 0) + 10))::float8 AS fit,
           coalesce((c.people / (c.people + 2.0) + power(0.5, extract(epoch FROM revops.now() - c.last_at)::float8 / 2592000)
                     + least(c.theirs, c.ours)::float8 / nullif(greatest(c.theirs, c.ours), 0)) / 3, 0)::float8 AS relationship
    FROM revops.my_account a
    CROSS JOIN whole w
    LEFT JOIN ranked r ON r.account = a.account
    LEFT JOIN outcome o ON o.segment IS NOT DISTINCT FROM a.segment AND o.industry IS NOT DISTINCT FROM a.industry
    LEFT JOIN contact c ON c.account = a.account
) x;
COMMENT ON VIEW revops.account_score IS 'How good each account looks: intent, fit and relationship, each 0 to 1, and together';
COMMENT ON COLUMN revops.account_score.account IS 'The account';
COMMENT ON COLUMN revops.account_score.name IS 'What people call it';
COMMENT ON COLUMN revops.account_score.intent IS 'Share of the accounts with any intent whose scores sum to no more than this one''s; 0: it shows none';
COMMENT ON COLUMN revops.account_score.fit IS 'Share won of the closed opportunities with accounts of the same segment and industry; ten of the overall rate are added, so that few say little';
COMMENT ON COLUMN revops.account_score.relationship IS 'Of the last 90 days, the mean of three: people seen / (people + 2); halved with every 30 days since the customer''s last event; the smaller of both sides'' events over the greater';
COMMENT ON COLUMN revops.account_score.score IS 'The mean of the three';

-- What a moment is worth: strength x speed x match, each with an exponent that outcomes decide.

CREATE TABLE revops.moment_value_weight (
    one         boolean NOT NULL DEFAULT true CHECK (one),
    intent      float8 NOT NULL DEFAULT 1,
    response    float8 NOT NULL DEFAULT 1,
    content     float8 NOT NULL DEFAULT 1,
    outcomes    int NOT NULL DEFAULT 0,
    converted   int NOT NULL DEFAULT 0,
    fitted_at   timestamptz,
    CONSTRAINT moment_value_weight_pkey PRIMARY KEY (one)
);
COMMENT ON TABLE revops.moment_value_weight IS 'The exponents of revops.moment_value, in one row, or none: then all are 1. Written by fit_moment_value()';
COMMENT ON COLUMN revops.moment_value_weight.one IS 'There is one row at most';
COMMENT ON COLUMN revops.moment_value_weight.intent IS 'Exponent of intent_strength';
COMMENT ON COLUMN revops.moment_value_weight.response IS 'Exponent of response_speed';
COMMENT ON COLUMN revops.moment_value_weight.content IS 'Exponent of content_match';
COMMENT ON COLUMN revops.moment_value_weight.outcomes IS 'Moments whose 72 hours were over, from which they were fit';
COMMENT ON COLUMN revops.moment_value_weight.converted IS 'How many of those customers bought';
COMMENT ON COLUMN revops.moment_value_weight.fitted_at IS 'When';
SELECT pg_catalog.pg_extension_config_dump('revops.moment_value_weight', '');

CREATE VIEW revops.moment_value AS
SELECT f.moment_id, f.rule, f.subject_kind, f.subject, f.account, f.occurred_at, f.intent_strength, f.response_speed, f.content_match,
       power(f.intent_strength, coalesce(w.intent, 1)) * power(f.response_speed, coalesce(w.response, 1)) * power(f.content_match, coalesce(w.content, 1)) AS value,
       w.fitted_at IS NOT NULL AS fitted, f.converted, f.mature
FROM (
    SELECT o.moment_id, o.rule, o.subject_kind, o.subject, o.account, o.occurred_at,
           least(greatest(o.strength, 0), 1) AS intent_strength,
           power(0.5, least(greatest(extract(epoch FROM coalesce(
               revops.business_time_span(k.time_zone, k.week, k.holidays, t.opened_at, coalesce(o.answered_at, revops.now())),
               coalesce(o.answered_at, revops.now()) - t.opened_at))::float8 / extract(epoch FROM t.line)::float8, 0), 100)) AS response_speed,
           coalesce((1 + least(greatest(p.score, -1), 1)) / 2, 0.5) AS content_match,
           o.converted_at IS NOT NULL AS converted, o.mature
    FROM revops.moment_outcome o
    JOIN revops.task t ON t.subject = o.subject AND t.task_id = o.task_id
    LEFT JOIN revops.calendar k ON k.calendar = t.calendar
    LEFT JOIN revops.task_plan p ON p.subject = t.subject AND p.task_id = t.task_id AND p.rank = coalesce(t.plan, 1)
    WHERE o.occurred_at >= revops.board_since()
) f
LEFT JOIN revops.moment_value_weight w ON true;
COMMENT ON VIEW revops.moment_value IS 'What each moment of the last revops.board_days days that opened a card is worth: intent strength x response speed x content match, each 0 to 1, each with the exponent that outcomes gave it';
COMMENT ON COLUMN revops.moment_value.moment_id IS 'The moment';
COMMENT ON COLUMN revops.moment_value.rule IS 'Its rule';
COMMENT ON COLUMN revops.moment_value.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.moment_value.subject IS 'Whose moment it is';
COMMENT ON COLUMN revops.moment_value.account IS 'Account of the customer';
COMMENT ON COLUMN revops.moment_value.occurred_at IS 'When it occurred';
COMMENT ON COLUMN revops.moment_value.intent_strength IS 'Strength of the moment';
COMMENT ON COLUMN revops.moment_value.response_speed IS '1 answered at once, 1/2 at the line, 1/4 at twice the line; while nobody has answered, as if it were now';
COMMENT ON COLUMN revops.moment_value.content_match IS 'How well the plan that was followed, or else the best one offered, fits the customer: 1/2 is a plan for everyone';
COMMENT ON COLUMN revops.moment_value.value IS 'Their product, each to the power of its exponent in revops.moment_value_weight';
COMMENT ON COLUMN revops.moment_value.fitted IS 'Whether the exponents are fit to outcomes; else they are 1';
COMMENT ON COLUMN revops.moment_value.converted IS 'Whether the customer bought within 72 hours';
COMMENT ON COLUMN revops.moment_value.mature IS 'Whether the 72 hours are over';

CREATE FUNCTION revops.fit_moment_value() RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q   record;
    a   float8; b float8; c float8; d float8;
    w   float8[];
    sum float8;
BEGIN
    -- the slopes of a linear discriminant on the factors' logarithms: (within-group covariance) w = difference of the means
    WITH f AS (
        SELECT v.converted, ln(greatest(v.intent_strength, 0.001)) AS x, ln(greatest(v.response_speed, 0.001)) AS y, ln(greatest(v.content_match, 0.001)) AS z
        FROM revops.moment_value v WHERE v.mature
    ), m AS (
        SELECT f.converted, avg(f.x) AS x, avg(f.y) AS y, avg(f.z) AS z FROM f GROUP BY f.converted
    )
    SELECT count(*)::int AS n, count(*) FILTER (WHERE f.converted)::int AS won,
           avg((f.x - m.x) ^ 2) + 0.01 AS xx, avg((f.y - m.y) ^ 2) + 0.01 AS yy, avg((f.z - m.z) ^ 2) + 0.01 AS zz,
           avg((f.x - m.x) * (f.y - m.y)) AS xy, avg((f.x - m.x) * (f.z - m.z)) AS xz, avg((f.y - m.y) * (f.z - m.z)) AS yz,
           avg(f.x) FILTER (WHERE f.converted) - avg(f.x) FILTER (WHERE NOT f.converted) AS dx,
           avg(f.y) FILTER (WHERE f.converted) - avg(f.y) FILTER (WHERE NOT f.converted) AS dy,
           avg(f.z) FILTER (WHERE f.converted) - avg(f.z) FILTER (WHERE NOT f.converted) AS dz
    INTO q FROM f JOIN m ON m.converted = f.converted;
    IF q.n < 200 OR q.won < 30 OR q.n - q.won < 30 THEN
        RETURN false;
    END IF;
    d := q.xx * (q.yy * q.zz - q.yz ^ 2) - q.xy * (q.xy * q.zz - q.yz * q.xz) + q.xz * (q.xy * q.yz - q.yy * q.xz);
    a := (q.dx * (q.yy * q.zz - q.yz ^ 2) - q.xy * (q.dy * q.zz - q.yz * q.dz) + q.xz * (q.dy * q.yz - q.yy * q.dz)) / d;
    b := (q.xx * (q.dy * q.zz - q.yz * q.dz) - q.dx * (q.xy * q.zz - q.yz * q.xz) + q.xz * (q.xy * q.dz - q.dy * q.xz)) / d;
    c := (q.xx * (q.yy * q.dz - q.dy * q.yz) - q.xy * (q.xy * q.dz - q.dy * q.xz) + q.dx * (q.xy * q.yz - q.yy * q.xz)) / d;
    w := ARRAY[greatest(a, 0), greatest(b, 0), greatest(c, 0)];
    sum := w[1] + w[2] + w[3];
    IF NOT sum > 0 THEN
        RETURN false;    -- outcomes do not follow the factors
    END IF;
    INSERT INTO revops.moment_value_weight AS x (one, intent, response, content, outcomes, converted, fitted_at)
    VALUES (true, 3 * w[1] / sum, 3 * w[2] / sum, 3 * w[3] / sum, q.n, q.won, revops.now())
    ON CONFLICT ON CONSTRAINT moment_value_weight_pkey DO UPDATE SET intent = EXCLUDED.intent, response = EXCLUDED.response, content = EXCLUDED.content,
        outcomes = EXCLUDED.outcomes, converted = EXCLUDED.converted, fitted_at = EXCLUDED.fitted_at;
    RETURN true;
END $$;
COMMENT ON FUNCTION revops.fit_moment_value() IS 'Fit the exponents of revops.moment_value to the outcomes of the last revops.board_days days: 200 moments whose 72 hours are over, 30 of them with a purchase and 30 without, are the least. They are 0 or more and sum to 3. False: nothing was changed';
