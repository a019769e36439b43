-- stage: pipelines, the models that say which stage an opportunity is in, and what they say of each

CREATE TABLE revops.pipeline (
    pipeline    text COLLATE "C" PRIMARY KEY CHECK (pipeline <> '' AND octet_length(pipeline) <= 200),
    title       text,
    is_default  boolean NOT NULL DEFAULT false,
    definition  jsonb NOT NULL,
    deployed    int
);
CREATE UNIQUE INDEX pipeline_default ON revops.pipeline (is_default) WHERE is_default;
COMMENT ON TABLE revops.pipeline IS 'Pipelines: sets of stages that opportunities move through. Written by put_pipeline()';
COMMENT ON COLUMN revops.pipeline.pipeline IS 'Name';
COMMENT ON COLUMN revops.pipeline.title IS 'What people call it';
COMMENT ON COLUMN revops.pipeline.is_default IS 'The pipeline of opportunities that name none';
COMMENT ON COLUMN revops.pipeline.definition IS 'As it was given to put_pipeline()';
COMMENT ON COLUMN revops.pipeline.deployed IS 'The version of its model that is in use; NULL: none yet';
SELECT pg_catalog.pg_extension_config_dump('revops.pipeline', '');

CREATE TABLE revops.pipeline_stage (
    pipeline    text COLLATE "C" NOT NULL CONSTRAINT pipeline_stage_pipeline REFERENCES revops.pipeline ON DELETE CASCADE,
    stage       text COLLATE "C" NOT NULL CHECK (stage <> '' AND octet_length(stage) <= 200),
    ordinal     int NOT NULL,
    kind        text NOT NULL DEFAULT 'open' CHECK (kind IN ('open', 'won', 'lost')),
    usual_days  float8 CHECK (usual_days > 0 AND usual_days <= 36500),
    symbols     text[],
    PRIMARY KEY (pipeline, stage),
    CONSTRAINT pipeline_stage_ordinal UNIQUE (pipeline, ordinal)
);
COMMENT ON TABLE revops.pipeline_stage IS 'The stages of each pipeline, in order';
COMMENT ON COLUMN revops.pipeline_stage.pipeline IS 'The pipeline';
COMMENT ON COLUMN revops.pipeline_stage.stage IS 'Name of the stage, as opportunity.stage has it';
COMMENT ON COLUMN revops.pipeline_stage.ordinal IS 'Its place, from 1';
COMMENT ON COLUMN revops.pipeline_stage.kind IS 'open, won or lost';
COMMENT ON COLUMN revops.pipeline_stage.usual_days IS 'How long an opportunity usually stays, where nothing was learned yet; NULL: 14 days';
COMMENT ON COLUMN revops.pipeline_stage.symbols IS 'Symbols that are typical of the stage, where little was learned yet: kinds of event, intent:NAME, moment:RULE';
SELECT pg_catalog.pg_extension_config_dump('revops.pipeline_stage', '');

CREATE TABLE revops.pipeline_move (
    pipeline    text COLLATE "C" NOT NULL,
    from_stage  text COLLATE "C" NOT NULL,
    to_stage    text COLLATE "C" NOT NULL,
    PRIMARY KEY (pipeline, from_stage, to_stage),
    CONSTRAINT pipeline_move_from FOREIGN KEY (pipeline, from_stage) REFERENCES revops.pipeline_stage ON DELETE CASCADE,
    CONSTRAINT pipeline_move_to FOREIGN KEY (pipeline, to_stage) REFERENCES revops.pipeline_stage ON DELETE CASCADE
);
COMMENT ON TABLE revops.pipeline_move IS 'The moves that a pipeline allows; where it names none, all are allowed';
COMMENT ON COLUMN revops.pipeline_move.pipeline IS 'The pipeline';
COMMENT ON COLUMN revops.pipeline_move.from_stage IS 'From this stage';
COMMENT ON COLUMN revops.pipeline_move.to_stage IS 'to this one';
SELECT pg_catalog.pg_extension_config_dump('revops.pipeline_move', '');

CREATE TABLE revops.stage_model (
    pipeline    text COLLATE "C" NOT NULL CONSTRAINT stage_model_pipeline REFERENCES revops.pipeline ON DELETE CASCADE,
    version     int NOT NULL CHECK (version > 0),
    version_id  uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    stages      text[] NOT NULL,
    symbols     text[] NOT NULL,
    options     jsonb NOT NULL,
    metrics     jsonb NOT NULL,
    cases       int NOT NULL,
    parameters  bytea NOT NULL,
    trained_at  timestamptz NOT NULL DEFAULT revops.now(),
    trained_by  text NOT NULL DEFAULT session_user,
    PRIMARY KEY (pipeline, version),
    CONSTRAINT stage_model_id UNIQUE (version_id)
);
COMMENT ON TABLE revops.stage_model IS 'Each training of a pipeline makes one: what was learned, and how good it is';
COMMENT ON COLUMN revops.stage_model.pipeline IS 'The pipeline';
COMMENT ON COLUMN revops.stage_model.version IS 'Counts up with each training';
COMMENT ON COLUMN revops.stage_model.version_id IS 'Identifies the parameters to caches';
COMMENT ON COLUMN revops.stage_model.stages IS 'The stages, in order';
COMMENT ON COLUMN revops.stage_model.symbols IS 'The symbols that it tells apart, the commonest first';
COMMENT ON COLUMN revops.stage_model.options IS 'The options of train_stages(), as given';
COMMENT ON COLUMN revops.stage_model.metrics IS 'What was learned from; accuracy, log_loss, majority_accuracy and elapsed_accuracy are of the latest cases, held out';
COMMENT ON COLUMN revops.stage_model.cases IS 'Number of cases';
COMMENT ON COLUMN revops.stage_model.parameters IS 'The model itself';
COMMENT ON COLUMN revops.stage_model.trained_at IS 'When it was trained';
COMMENT ON COLUMN revops.stage_model.trained_by IS 'Who trained it';
SELECT pg_catalog.pg_extension_config_dump('revops.stage_model', '');

CREATE TABLE revops.stage_state (
    opportunity text COLLATE "C" PRIMARY KEY,
    pipeline    text COLLATE "C" NOT NULL,
    model_id    uuid NOT NULL,
    stage       text COLLATE "C" NOT NULL,
    probability float8 NOT NULL,
    since       timestamptz NOT NULL,
    seen_at     timestamptz,
    symbols     bigint NOT NULL,
    probabilities float8[] NOT NULL,
    evidence    uuid[] NOT NULL,
    evidence_symbols text[] NOT NULL,
    frontier_at timestamptz NOT NULL,
    frontier_class smallint NOT NULL,
    frontier_id uuid NOT NULL,
    last_symbol int NOT NULL,
    last_at     timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE revops.stage_state IS 'Where each opportunity stands in the filter of its pipeline; read the view stage_estimate. The stream''s own';
COMMENT ON COLUMN revops.stage_state.probabilities IS 'Of each stage of the model, in its order';
COMMENT ON COLUMN revops.stage_state.seen_at IS 'The latest event or moment; NULL: only the record is known';
COMMENT ON COLUMN revops.stage_state.frontier_at IS 'All evidence up to (frontier_at, frontier_class, frontier_id) is in';
SELECT pg_catalog.pg_extension_config_dump('revops.stage_state', '');

CREATE TABLE revops.stage_request (
    opportunity text COLLATE "C" NOT NULL,
    request_id  uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    requested_at timestamptz NOT NULL DEFAULT revops.now(),
    error       text,
    PRIMARY KEY (opportunity, request_id)
);
COMMENT ON TABLE revops.stage_request IS 'Opportunities whose estimates the stream is asked to make anew; error: why that failed';
SELECT pg_catalog.pg_extension_config_dump('revops.stage_request', '');

-- a replay reads an opportunity's moments
CREATE INDEX moment_opportunity ON revops.moment (opportunity) WHERE opportunity IS NOT NULL;

CREATE TABLE revops.stage_confirmation (
    opportunity text COLLATE "C" NOT NULL,
    confirmed_at timestamptz NOT NULL,
    stage       text NOT NULL,
    previous    text,
    pipeline    text COLLATE "C" NOT NULL,
    estimated   text NOT NULL,
    probability float8 NOT NULL,
    estimated_since timestamptz NOT NULL,
    PRIMARY KEY (opportunity, confirmed_at, stage)
);
COMMENT ON TABLE revops.stage_confirmation IS 'What a person or the CRM set a stage to, and what had been estimated just before; revops.stage_accuracy sums it up';
COMMENT ON COLUMN revops.stage_confirmation.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.stage_confirmation.confirmed_at IS 'When the stage was set';
COMMENT ON COLUMN revops.stage_confirmation.stage IS 'What to';
COMMENT ON COLUMN revops.stage_confirmation.previous IS 'What it was before on record';
COMMENT ON COLUMN revops.stage_confirmation.pipeline IS 'The pipeline';
COMMENT ON COLUMN revops.stage_confirmation.estimated IS 'The likeliest stage before that';
COMMENT ON COLUMN revops.stage_confirmation.probability IS 'Its probability';
COMMENT ON COLUMN revops.stage_confirmation.estimated_since IS 'Since when it had been the likeliest';
SELECT pg_catalog.pg_extension_config_dump('revops.stage_confirmation', '');

CREATE FUNCTION revops.default_pipeline() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT pipeline FROM revops.pipeline WHERE is_default $$;
COMMENT ON FUNCTION revops.default_pipeline() IS 'The pipeline of opportunities that name none';

CREATE FUNCTION revops.rebuild_stages(pipeline text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    n bigint;
BEGIN
    DELETE FROM revops.stage_request r WHERE r.error IS NOT NULL;
    INSERT INTO revops.stage_request (opportunity)
    SELECT o.opportunity FROM revops.opportunity o WHERE coalesce(o.pipeline, revops.default_pipeline()) = pipeline
    UNION SELECT s.opportunity FROM revops.stage_state s WHERE s.pipeline = pipeline;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.rebuild_stages(text) IS
'Asks the stream to estimate the stage of every opportunity of a pipeline anew from its history; returns how many. Deploying a model does so';

CREATE FUNCTION revops.put_pipeline(pipeline text, definition jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    n       int := 0;
    item    jsonb;
    key     text;
    name    text;
    names   text[] := '{}';
    moves   jsonb := definition -> 'moves';
    former  text[];
    usual   CONSTANT text := revops.default_pipeline();
BEGIN
    IF pipeline IS NULL OR definition IS NULL OR jsonb_typeof(definition) <> 'object' THEN
        RAISE EXCEPTION 'a pipeline needs a name and a definition, a JSON object' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example {"stages": ["prospecting", {"stage": "closed won", "kind": "won"}, {"stage": "closed lost", "kind": "lost"}]}.';
    END IF;
    IF octet_length(pipeline) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'the name of a pipeline has 1 to 200 bytes, this one has %', octet_length(pipeline) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR key IN SELECT jsonb_object_keys(definition) LOOP
        IF key NOT IN ('title', 'default', 'stages', 'moves') THEN
            RAISE EXCEPTION 'pipeline "%": "%" is not known', pipeline, key USING ERRCODE = 'invalid_parameter_value',
                HINT = 'A definition has title, default, stages and moves.';
        END IF;
    END LOOP;
    IF coalesce(jsonb_typeof(definition -> 'stages'), '') <> 'array' OR jsonb_array_length(definition -> 'stages') NOT BETWEEN 2 AND 16 THEN
        RAISE EXCEPTION 'pipeline "%": stages is not an array of 2 to 16 stages', pipeline USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(jsonb_typeof(definition -> 'default'), 'boolean') <> 'boolean' THEN
        RAISE EXCEPTION 'pipeline "%": default is not true or false', pipeline USING ERRCODE = 'invalid_parameter_value';
    END IF;
    former := ARRAY(SELECT s.stage FROM revops.pipeline_stage s WHERE s.pipeline = pipeline ORDER BY s.ordinal);
    IF (definition ->> 'default')::boolean THEN
        UPDATE revops.pipeline p SET is_default = false WHERE p.is_default AND p.pipeline <> pipeline;
    END IF;
    INSERT INTO revops.pipeline AS p (pipeline, title, is_default, definition)
    VALUES (pipeline, definition ->> 'title', coalesce((definition ->> 'default')::boolean, false), definition)
    ON CONFLICT ON CONSTRAINT pipeline_pkey DO UPDATE SET title = excluded.title, definition = excluded.definition,
        is_default = CASE WHEN definition ? 'default' THEN excluded.is_default ELSE p.is_default END;
    DELETE FROM revops.pipeline_move m WHERE m.pipeline = pipeline;
    DELETE FROM revops.pipeline_stage s WHERE s.pipeline = pipeline;
    FOR item IN SELECT jsonb_array_elements(definition -> 'stages') LOOP
        n := n + 1;
        IF jsonb_typeof(item) = 'string' THEN
            item := jsonb_build_object('stage', item);
        ELSIF jsonb_typeof(item) <> 'object' THEN
            RAISE EXCEPTION 'pipeline "%": stage % is neither a name nor an object', pipeline, n USING ERRCODE = 'invalid_parameter_value';
        END IF;
        FOR key IN SELECT jsonb_object_keys(item) LOOP
            IF key NOT IN ('stage', 'kind', 'days', 'symbols') THEN
                RAISE EXCEPTION 'pipeline "%": "%" of stage % is not known', pipeline, key, n USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'A stage has stage, kind, days and symbols.';
            END IF;
        END LOOP;
        name := CASE WHEN jsonb_typeof(item -> 'stage') = 'string' THEN item ->> 'stage' END;
        IF coalesce(octet_length(name), 0) NOT BETWEEN 1 AND 190 THEN
            RAISE EXCEPTION 'pipeline "%": stage % has no name of 1 to 190 bytes', pipeline, n USING ERRCODE = 'invalid_parameter_value';
        ELSIF name = ANY (names) THEN
            RAISE EXCEPTION 'pipeline "%": stage "%" is there twice', pipeline, name USING ERRCODE = 'invalid_parameter_value';
        ELSIF coalesce(item ->> 'kind', 'open') NOT IN ('open', 'won', 'lost') THEN
            RAISE EXCEPTION 'pipeline "%": kind of stage "%" is not open, won or lost', pipeline, name USING ERRCODE = 'invalid_parameter_value';
        ELSIF item ? 'days' AND (jsonb_typeof(item -> 'days') <> 'number' OR NOT ((item ->> 'days')::numeric BETWEEN 0.0001 AND 36500)) THEN
            RAISE EXCEPTION 'pipeline "%": days of stage "%" is not a number of days up to 36500', pipeline, name USING ERRCODE = 'invalid_parameter_value';
        ELSIF item ? 'symbols' AND (jsonb_typeof(item -> 'symbols') <> 'array' OR jsonb_path_exists(item, '$.symbols[*] ? (@.type() != "string")')) THEN
            RAISE EXCEPTION 'pipeline "%": symbols of stage "%" is not an array of names', pipeline, name USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF n = 1 AND coalesce(item ->> 'kind', 'open') <> 'open' THEN
            RAISE EXCEPTION 'pipeline "%": its first stage is not open', pipeline USING ERRCODE = 'invalid_parameter_value',
                HINT = 'The first stage is the one in which opportunities begin.';
        END IF;
        names := names || name;
        INSERT INTO revops.pipeline_stage (pipeline, stage, ordinal, kind, usual_days, symbols)
        VALUES (pipeline, name, n, coalesce(item ->> 'kind', 'open'), (item ->> 'days')::float8,
                CASE WHEN item ? 'symbols' THEN ARRAY(SELECT jsonb_array_elements_text(item -> 'symbols')) END);
    END LOOP;
    IF moves IS NOT NULL THEN
        IF jsonb_typeof(moves) <> 'array' THEN
            RAISE EXCEPTION 'pipeline "%": moves is not an array', pipeline USING ERRCODE = 'invalid_parameter_value',
                HINT = 'A move is an array of two stages: ["prospecting", "proposal"].';
        END IF;
        FOR item IN SELECT jsonb_array_elements(moves) LOOP
            IF jsonb_typeof(item) <> 'array' OR jsonb_array_length(item) <> 2 OR NOT (item ->> 0 = ANY (names) AND item ->> 1 = ANY (names)) THEN
                RAISE EXCEPTION 'pipeline "%": the move % is not a pair of its stages', pipeline, item USING ERRCODE = 'invalid_parameter_value';
            END IF;
            INSERT INTO revops.pipeline_move (pipeline, from_stage, to_stage) VALUES (pipeline, item ->> 0, item ->> 1) ON CONFLICT DO NOTHING;
        END LOOP;
    END IF;
    IF former <> names AND cardinality(former) > 0 THEN
        -- a model of other stages says nothing of these
        LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
        UPDATE revops.pipeline p SET deployed = NULL WHERE p.pipeline = pipeline;
        DELETE FROM revops.stage_state s WHERE s.pipeline = pipeline;
    END IF;
    IF revops.default_pipeline() IS DISTINCT FROM usual THEN
        -- who names no pipeline is in another one now
        INSERT INTO revops.stage_request (opportunity)
        SELECT o.opportunity FROM revops.opportunity o WHERE o.pipeline IS NULL
        UNION SELECT s.opportunity FROM revops.stage_state s
        WHERE s.pipeline = usual AND NOT EXISTS (SELECT FROM revops.opportunity o WHERE o.opportunity = s.opportunity);
    END IF;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.put_pipeline(text, jsonb) IS
'Sets a pipeline: {"title", "default", "stages": [name or {"stage", "kind", "days", "symbols"}], "moves": [[from, to]]}; returns how many stages. Other stages than before undeploy its model';

CREATE FUNCTION revops.drop_pipeline(pipeline text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    DELETE FROM revops.stage_state s WHERE s.pipeline = pipeline;
    DELETE FROM revops.pipeline p WHERE p.pipeline = pipeline;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION revops.drop_pipeline(text) IS 'Drops a pipeline with its models and estimates; the record stays. True if there was one';

CREATE FUNCTION revops.stage_cases(pipeline text)
RETURNS TABLE ("case" text, at timestamptz, class int, id uuid, part int, symbol text, stage text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH own AS (
        SELECT o.opportunity FROM revops.opportunity o WHERE coalesce(o.pipeline, revops.default_pipeline()) = $1),
    record AS (
        SELECT h.opportunity, h.entered_at, h.stage, h.origin, CASE WHEN h.origin = 'backfill' THEN h.entered_at ELSE h.recorded_at END AS told_at,
               CASE WHEN h.origin <> 'calibration' THEN s.stage END AS known,
               lead(h.entered_at, 1, 'infinity') OVER (PARTITION BY h.opportunity ORDER BY h.entered_at, h.recorded_at, h.stage) AS until
        FROM revops.stage_history h JOIN own USING (opportunity)
        LEFT JOIN revops.pipeline_stage s ON s.pipeline = $1 AND s.stage = h.stage COLLATE "C"),
    item AS (
        SELECT e.opportunity, e.occurred_at AS at, 0 AS class, e.event_id AS id, 0 AS part, e.kind AS symbol
        FROM revops.event e JOIN own USING (opportunity) WHERE NOT e.ahead
        UNION ALL SELECT i.opportunity, i.occurred_at, 0, i.event_id, 1, 'intent:' || i.intent FROM revops.event_intent i JOIN own USING (opportunity)
        UNION ALL SELECT m.opportunity, m.occurred_at, 1, m.moment_id, 0, 'moment:' || m.rule FROM revops.moment m JOIN own USING (opportunity)
                  WHERE m.retracted_at IS NULL
        UNION ALL SELECT r.opportunity, r.told_at, 2, NULL, 0, 'stage:' || r.stage FROM record r WHERE r.origin <> 'calibration')
    SELECT i.opportunity, i.at, i.class, i.id, i.part, i.symbol, r.known
    FROM item i LEFT JOIN record r ON r.opportunity = i.opportunity AND r.entered_at <= i.at AND i.at < r.until
    UNION ALL SELECT r.opportunity, r.entered_at, -1, NULL, 0, NULL, r.known FROM record r WHERE r.known IS NOT NULL
$$;
COMMENT ON FUNCTION revops.stage_cases(text) IS
'What train_stages() learns from by default: of a pipeline''s opportunities events, intents and moments, changes of the record when they were made, and the stage that people say it was in then; class, id and part give the order of what is at the same time';

CREATE FUNCTION revops.train_stages(pipeline text, query text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'train_stages';
COMMENT ON FUNCTION revops.train_stages(text, text, jsonb) IS
'Learns how symbols and time show the stage, from the pipeline''s own opportunities or from a query with the columns case, at, symbol (NULL: only the stage is told) and stage (NULL: not known), which runs with the caller''s rights; deploys and returns the version';

CREATE FUNCTION revops.deploy_stages(pipeline text, version int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    former int;
BEGIN
    IF NOT EXISTS (SELECT FROM revops.stage_model m WHERE m.pipeline = pipeline AND m.version = version
                   AND m.stages = ARRAY(SELECT s.stage::text FROM revops.pipeline_stage s WHERE s.pipeline = pipeline ORDER BY s.ordinal)) THEN
        RAISE EXCEPTION 'pipeline "%" has no version % of a model with its present stages', pipeline, version USING ERRCODE = 'undefined_object',
            HINT = 'revops.stage_model lists those that are there.';
    END IF;
    SELECT p.deployed INTO former FROM revops.pipeline p WHERE p.pipeline = pipeline FOR UPDATE;
    UPDATE revops.pipeline p SET deployed = version WHERE p.pipeline = pipeline;
    IF former IS DISTINCT FROM version THEN
        PERFORM revops.rebuild_stages(pipeline);
    END IF;
    RETURN former;
END $$;
COMMENT ON FUNCTION revops.deploy_stages(text, int) IS 'Takes a version of a pipeline''s model into use, and asks for its estimates anew; returns the version that was in use';

-- a plan with the values in it would hold many copies of the parameters
CREATE FUNCTION revops.store_stages(pipeline text, stages text[], symbols text[], options jsonb, metrics jsonb, cases int, parameters bytea, deploy boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
    version int;
BEGIN
    PERFORM FROM revops.pipeline p WHERE p.pipeline = pipeline FOR UPDATE;
    SELECT coalesce(max(m.version), 0) + 1 INTO version FROM revops.stage_model m WHERE m.pipeline = pipeline;
    INSERT INTO revops.stage_model (pipeline, version, stages, symbols, options, metrics, cases, parameters)
    VALUES (pipeline, version, stages, symbols, options, metrics, cases, parameters);
    IF deploy THEN
        PERFORM revops.deploy_stages(pipeline, version);
    END IF;
    RETURN version;
END $$;
COMMENT ON FUNCTION revops.store_stages(text, text[], text[], jsonb, jsonb, int, bytea, boolean) IS 'What train_stages() ends with';

CREATE FUNCTION revops.infer_stages(pipeline text, symbols text[], times timestamptz[], OUT n int, OUT stage text, OUT probability float8) RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100 AS 'MODULE_PATHNAME', 'infer_stages';
COMMENT ON FUNCTION revops.infer_stages(text, text[], timestamptz[]) IS
'The filter on any sequence: after symbol n, the probability of each stage, the likeliest first; a symbol that is NULL means that only time has passed';

CREATE FUNCTION revops.likeliest_stages(pipeline text, symbols text[], times timestamptz[]) RETURNS text[]
LANGUAGE c STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'likeliest_stages';
COMMENT ON FUNCTION revops.likeliest_stages(text, text[], timestamptz[]) IS 'The likeliest stage after each symbol, as infer_stages() has it';

CREATE FUNCTION revops.stage_history_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- a dump, whose script sets this and inserts itself, brings the estimates along
    IF (current_setting('check_function_bodies') = 'off' AND pg_trigger_depth() = 1) OR NOT EXISTS (SELECT FROM revops.pipeline WHERE deployed IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    -- written now, and not loaded
    INSERT INTO revops.stage_confirmation (opportunity, confirmed_at, stage, previous, pipeline, estimated, probability, estimated_since)
    SELECT f.opportunity, f.recorded_at, f.stage, f.previous, s.pipeline, s.stage, s.probability, s.since
    FROM (SELECT * FROM fresh WHERE origin IN ('person', 'source') AND recorded_at = revops.now() AND previous IS NOT NULL OFFSET 0) f
    CROSS JOIN LATERAL (SELECT * FROM revops.stage_state x WHERE x.opportunity = f.opportunity OFFSET 0) s
    ON CONFLICT DO NOTHING;
    INSERT INTO revops.stage_request (opportunity) SELECT DISTINCT f.opportunity FROM fresh f WHERE f.origin <> 'calibration';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.stage_history_changed() IS 'Trigger of revops.stage_history: what people say of a stage is evidence, and is held against the estimate';
CREATE TRIGGER stage_evidence AFTER INSERT ON revops.stage_history REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION revops.stage_history_changed();

CREATE FUNCTION revops.opportunity_pipeline_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO revops.stage_request (opportunity) VALUES (NEW.opportunity);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.opportunity_pipeline_changed() IS 'Trigger of revops.opportunity: another pipeline, another estimate';
CREATE TRIGGER pipeline_changed AFTER UPDATE OF pipeline ON revops.opportunity
    FOR EACH ROW WHEN (OLD.pipeline IS DISTINCT FROM NEW.pipeline) EXECUTE FUNCTION revops.opportunity_pipeline_changed();
