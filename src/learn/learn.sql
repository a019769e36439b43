-- learn: models trained inside the database, and their versions

CREATE TABLE revops.model (
    model       text COLLATE "C" NOT NULL CHECK (model <> '' AND octet_length(model) <= 200),
    task        text COLLATE "C" NOT NULL CHECK (task IN ('classify', 'predict')),
    deployed    int NOT NULL,
    previous    int[] NOT NULL DEFAULT '{}',
    CONSTRAINT model_pkey PRIMARY KEY (model)
);
COMMENT ON TABLE revops.model IS 'Trained models; each has versions, of which one is deployed';
COMMENT ON COLUMN revops.model.model IS 'Name';
COMMENT ON COLUMN revops.model.task IS 'What it does: classify texts, or predict the answer to a yes-or-no question';
COMMENT ON COLUMN revops.model.deployed IS 'The version that classify() or predict() uses';
COMMENT ON COLUMN revops.model.previous IS 'Versions that were deployed before, the latest last: where rollback() goes';

CREATE TABLE revops.model_version (
    model       text COLLATE "C" NOT NULL,
    version     int NOT NULL CHECK (version > 0),
    version_id  uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    labels      text[] NOT NULL,
    options     jsonb NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    examples    int NOT NULL,
    metrics     jsonb NOT NULL,
    size        bigint NOT NULL,
    parameters  bytea NOT NULL,
    trained_at  timestamptz NOT NULL DEFAULT revops.now(),
    trained_by  text NOT NULL DEFAULT session_user,
    CONSTRAINT model_version_pkey PRIMARY KEY (model, version),
    CONSTRAINT model_version_id UNIQUE (version_id)
);
ALTER TABLE revops.model_version ALTER COLUMN parameters SET STORAGE EXTERNAL;
COMMENT ON TABLE revops.model_version IS 'Each training makes one: what was learned, from what, and how good it is';
COMMENT ON COLUMN revops.model_version.model IS 'Name of the model';
COMMENT ON COLUMN revops.model_version.version IS 'Counts up with each training';
COMMENT ON COLUMN revops.model_version.version_id IS 'Identifies the parameters to caches';
COMMENT ON COLUMN revops.model_version.labels IS 'The labels, sorted';
COMMENT ON COLUMN revops.model_version.options IS 'The options of train(), as given';
COMMENT ON COLUMN revops.model_version.fingerprint IS 'A digest of the examples, in whatever order they came';
COMMENT ON COLUMN revops.model_version.examples IS 'Number of examples';
COMMENT ON COLUMN revops.model_version.metrics IS 'Figures of the training; accuracy, coverage, calibration_error and oos_recall are of the examples held out';
COMMENT ON COLUMN revops.model_version.size IS 'Bytes of the parameters';
COMMENT ON COLUMN revops.model_version.parameters IS 'The model itself';
COMMENT ON COLUMN revops.model_version.trained_at IS 'When it was trained';
COMMENT ON COLUMN revops.model_version.trained_by IS 'Who trained it';

SELECT pg_catalog.pg_extension_config_dump('revops.model', '');
SELECT pg_catalog.pg_extension_config_dump('revops.model_version', '');

CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.model
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.model_version
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();
ALTER TABLE revops.model ENABLE ALWAYS TRIGGER config_changed;
ALTER TABLE revops.model_version ENABLE ALWAYS TRIGGER config_changed;

CREATE FUNCTION revops.train(model text, task text, query text, label text DEFAULT 'label', options jsonb DEFAULT '{}') RETURNS int
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revops_train';
COMMENT ON FUNCTION revops.train(text, text, text, text, jsonb) IS 'Train a new version of a model from a query, which runs with the caller''s rights. Task classify: its columns are text and label; task predict: label is yes or no, all other columns may tell it. The first version is deployed. Returns its number';

CREATE FUNCTION revops.classify(model text, body text, top int DEFAULT NULL, OUT label text, OUT probability float8) RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'revops_classify';
COMMENT ON FUNCTION revops.classify(text, text, int) IS 'Labels of a text by the deployed version, best first, with probabilities; where the model abstains, the first row has no label';

CREATE FUNCTION revops.best_label(model text, body text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_best_label';
COMMENT ON FUNCTION revops.best_label(text, text) IS 'The best label of a text by the deployed version, NULL where the model abstains';

CREATE FUNCTION revops.sentiment_score(model text, body text) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sentiment_score';
COMMENT ON FUNCTION revops.sentiment_score(text, text) IS 'From -1 to 1: the probability of positive less that of negative, by a model with these labels';

CREATE FUNCTION revops.evaluate_version(model text, version int, query text, label_column text, out_of_scope text, OUT metric text, OUT label text, OUT value float8) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revops_evaluate_version';
COMMENT ON FUNCTION revops.evaluate_version(text, int, text, text, text) IS 'evaluate() of one version; 0 is the deployed one';

CREATE FUNCTION revops.evaluate(model text, query text, label_column text DEFAULT 'label', out_of_scope text DEFAULT 'oos', OUT metric text, OUT label text, OUT value float8) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revops_evaluate';
COMMENT ON FUNCTION revops.evaluate(text, text, text, text) IS 'How good the deployed version is on a query with the columns of its training, which runs with the caller''s rights; metrics without a label are overall';

CREATE FUNCTION revops.compare_models(model text, version_a int, version_b int, query text, label_column text DEFAULT 'label', out_of_scope text DEFAULT 'oos',
                                      OUT metric text, OUT label text, OUT value_a float8, OUT value_b float8, OUT difference float8) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT coalesce(a.metric, b.metric), coalesce(a.label, b.label), a.value, b.value, b.value - a.value
    FROM revops.evaluate_version(model, version_a, query, label_column, out_of_scope) WITH ORDINALITY a(metric, label, value, n)
    FULL JOIN revops.evaluate_version(model, version_b, query, label_column, out_of_scope) WITH ORDINALITY b(metric, label, value, n)
      ON a.metric = b.metric AND coalesce(a.label, '') = coalesce(b.label, '')
    ORDER BY a.n, b.n;
END;
COMMENT ON FUNCTION revops.compare_models(text, int, int, text, text, text) IS 'Two versions of a model on one query; the difference is b less a';

-- a plan with the values in it would hold many copies of the parameters
CREATE FUNCTION revops.store_model(model text, task text, labels text[], options jsonb, fingerprint text, metrics jsonb, examples int, parameters bytea) RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
    v int;
BEGIN
    -- one training of a model after the other
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('revops.model ' OPERATOR(pg_catalog.||) model, 0));
    IF EXISTS (SELECT FROM revops.model m WHERE m.model = store_model.model AND m.task <> store_model.task) THEN
        RAISE EXCEPTION 'there is a model "%" of another task', model USING ERRCODE = 'duplicate_object', HINT = 'Give this one another name.';
    END IF;
    SELECT coalesce(pg_catalog.max(m.version), 0) + 1 INTO v FROM revops.model_version m WHERE m.model = store_model.model;
    INSERT INTO revops.model_version AS m (model, version, labels, options, fingerprint, metrics, examples, size, parameters)
    VALUES (model, v, labels, options, fingerprint, metrics, examples, pg_catalog.octet_length(parameters), parameters);
    INSERT INTO revops.model AS m (model, task, deployed) VALUES (model, task, v) ON CONFLICT ON CONSTRAINT model_pkey DO NOTHING;
    RETURN v;
END $$;
COMMENT ON FUNCTION revops.store_model(text, text, text[], jsonb, text, jsonb, int, bytea) IS 'Store what train() learned, as the next version';

CREATE FUNCTION revops.deploy(model text, version int) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_deployed int;
BEGIN
    SELECT m.deployed INTO now_deployed FROM revops.model m WHERE m.model = deploy.model FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no model "%"', model USING ERRCODE = 'undefined_object', HINT = 'revops.train() makes one; revops.model lists those that are there.';
    END IF;
    IF NOT EXISTS (SELECT FROM revops.model_version v WHERE v.model = deploy.model AND v.version = deploy.version) THEN
        RAISE EXCEPTION 'model "%" has no version %', model, version USING ERRCODE = 'undefined_object', HINT = 'revops.model_version lists those that are there.';
    END IF;
    IF now_deployed IS DISTINCT FROM version THEN
        -- the last 100 are enough to go back through
        UPDATE revops.model m SET deployed = deploy.version, previous = (m.previous || m.deployed)[greatest(1, cardinality(m.previous) - 98):] WHERE m.model = deploy.model;
    END IF;
END $$;
COMMENT ON FUNCTION revops.deploy(text, int) IS 'Make a version the one that classify() uses, from the next call on';

CREATE FUNCTION revops.rollback(model text) RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    back int;
    before int[];
BEGIN
    SELECT m.previous INTO before FROM revops.model m WHERE m.model = rollback.model FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no model "%"', model USING ERRCODE = 'undefined_object', HINT = 'revops.model lists those that are there.';
    END IF;
    IF cardinality(before) = 0 THEN
        RAISE EXCEPTION 'model "%" has no version that was deployed before', model USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'revops.deploy() deploys any version.';
    END IF;
    back := before[cardinality(before)];
    UPDATE revops.model m SET deployed = back, previous = trim_array(m.previous, 1) WHERE m.model = rollback.model;
    RETURN back;
END $$;
COMMENT ON FUNCTION revops.rollback(text) IS 'Deploy the version that was deployed before; returns its number';

CREATE FUNCTION revops.loaded_models(OUT version_id uuid, OUT bytes bigint, OUT shared boolean, OUT sessions int) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'loaded_models';
COMMENT ON FUNCTION revops.loaded_models() IS 'The models of this database that are loaded: in the server''s memory, and in this session''s own';

CREATE VIEW revops.model_status AS
SELECT v.model, v.version, m.deployed = v.version AS deployed, l.bytes, l.shared, l.sessions
FROM revops.loaded_models() l
JOIN revops.model_version v USING (version_id)
LEFT JOIN revops.model m USING (model);
COMMENT ON VIEW revops.model_status IS 'Models that are loaded now, in the server''s memory or in this session''s own';
COMMENT ON COLUMN revops.model_status.model IS 'Name of the model';
COMMENT ON COLUMN revops.model_status.version IS 'Its version';
COMMENT ON COLUMN revops.model_status.deployed IS 'It is the version that classify() uses';
COMMENT ON COLUMN revops.model_status.bytes IS 'The memory that it takes';
COMMENT ON COLUMN revops.model_status.shared IS 'One copy for all sessions of the server; false: this session''s own';
COMMENT ON COLUMN revops.model_status.sessions IS 'How many sessions have it mapped';
