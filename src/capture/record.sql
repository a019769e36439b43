-- capture: what the record says of an opportunity's stage, and since when

ALTER TABLE revops.opportunity ADD COLUMN pipeline text COLLATE "C", ADD COLUMN stage_since timestamptz;
COMMENT ON COLUMN revops.opportunity.pipeline IS 'Pipeline whose stages it moves through; NULL: the default one';
COMMENT ON COLUMN revops.opportunity.stage_since IS 'Since when it is in its stage: as the writer says, else when the stage was written';

CREATE TABLE revops.stage_history (
    opportunity text COLLATE "C" NOT NULL,
    entered_at  timestamptz NOT NULL,
    stage       text NOT NULL,
    previous    text,
    origin      text NOT NULL DEFAULT 'person',
    recorded_at timestamptz NOT NULL DEFAULT revops.now(),
    PRIMARY KEY (opportunity, entered_at, stage)
);
COMMENT ON TABLE revops.stage_history IS 'The stages that the record has shown for each opportunity. Written when revops.opportunity is';
COMMENT ON COLUMN revops.stage_history.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.stage_history.entered_at IS 'Since when the record has it in the stage (opportunity.stage_since)';
COMMENT ON COLUMN revops.stage_history.stage IS 'The stage';
COMMENT ON COLUMN revops.stage_history.previous IS 'The stage before; NULL: none is known';
COMMENT ON COLUMN revops.stage_history.origin IS 'Who set it: person, source (an attached table), calibration, suggestion, undo, or backfill (history that was loaded)';
COMMENT ON COLUMN revops.stage_history.recorded_at IS 'When that was written: later than entered_at where the record lagged behind';
SELECT pg_catalog.pg_extension_config_dump('revops.stage_history', '');

CREATE FUNCTION revops.stage_history_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- history that is loaded after its opportunities, which have written a row each
    UPDATE revops.stage_history h SET previous = NEW.previous, origin = NEW.origin, recorded_at = NEW.recorded_at
    WHERE (h.opportunity, h.entered_at, h.stage) = (NEW.opportunity, NEW.entered_at, NEW.stage);
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END $$;
COMMENT ON FUNCTION revops.stage_history_insert() IS 'Trigger of revops.stage_history: a row that is there already is replaced';
-- not for what a trigger writes: that of revops.opportunity replaces by itself, a set of rows at once
CREATE TRIGGER stage_history_insert BEFORE INSERT ON revops.stage_history
    FOR EACH ROW WHEN (pg_catalog.pg_trigger_depth() = 0) EXECUTE FUNCTION revops.stage_history_insert();

CREATE FUNCTION revops.opportunity_stage_since() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.stage IS NULL THEN
        NEW.stage_since := NULL;
    ELSIF NEW.stage_since IS NULL OR (TG_OP = 'UPDATE' AND NEW.stage_since IS NOT DISTINCT FROM OLD.stage_since) THEN
        NEW.stage_since := revops.now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION revops.opportunity_stage_since() IS 'Trigger of revops.opportunity: sets stage_since where the writer does not';
CREATE TRIGGER stage_since_insert BEFORE INSERT ON revops.opportunity
    FOR EACH ROW WHEN (NEW.stage_since IS NULL OR NEW.stage IS NULL) EXECUTE FUNCTION revops.opportunity_stage_since();
CREATE TRIGGER stage_since_update BEFORE UPDATE ON revops.opportunity
    FOR EACH ROW WHEN (OLD.stage IS DISTINCT FROM NEW.stage
                       AND (NEW.stage IS NULL OR NEW.stage_since IS NULL OR NEW.stage_since IS NOT DISTINCT FROM OLD.stage_since))
    EXECUTE FUNCTION revops.opportunity_stage_since();

-- No nested loop: the plan is kept, and may have been made when one row changed. Costs that say so are no reason to compile it.
CREATE FUNCTION revops.opportunity_stage_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
BEGIN
    -- a dump, whose script sets this and inserts, brings the history along: before this, after it, or at the same time
    IF TG_OP = 'INSERT' AND current_setting('check_function_bodies') = 'off' AND pg_trigger_depth() = 1
       AND coalesce(nullif(current_setting('revops.change_origin', true), ''), 'person') = 'person' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO revops.stage_history (opportunity, entered_at, stage, origin)
        SELECT n.opportunity, n.stage_since, n.stage, coalesce(nullif(current_setting('revops.change_origin', true), ''), 'person') FROM fresh n WHERE n.stage IS NOT NULL
        ON CONFLICT ON CONSTRAINT stage_history_pkey DO UPDATE SET previous = excluded.previous, origin = excluded.origin, recorded_at = excluded.recorded_at;
    ELSE
        INSERT INTO revops.stage_history (opportunity, entered_at, stage, previous, origin)
        SELECT n.opportunity, n.stage_since, n.stage, o.stage, coalesce(nullif(current_setting('revops.change_origin', true), ''), 'person')
        FROM fresh n JOIN former o USING (opportunity) WHERE n.stage IS DISTINCT FROM o.stage AND n.stage IS NOT NULL
        ON CONFLICT ON CONSTRAINT stage_history_pkey DO UPDATE SET previous = excluded.previous, origin = excluded.origin, recorded_at = excluded.recorded_at;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.opportunity_stage_changed() IS 'Trigger of revops.opportunity: writes revops.stage_history, but not while a dump is restored';
CREATE TRIGGER stage_history_insert AFTER INSERT ON revops.opportunity REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION revops.opportunity_stage_changed();
CREATE TRIGGER stage_history_update AFTER UPDATE ON revops.opportunity REFERENCING NEW TABLE AS fresh OLD TABLE AS former
    FOR EACH STATEMENT EXECUTE FUNCTION revops.opportunity_stage_changed();

CREATE FUNCTION revops.opportunity_since_corrected() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM revops.stage_history h WHERE (h.opportunity, h.entered_at, h.stage) = (NEW.opportunity, NEW.stage_since, NEW.stage)) THEN
        DELETE FROM revops.stage_history h WHERE (h.opportunity, h.entered_at, h.stage) = (NEW.opportunity, OLD.stage_since, NEW.stage);
    ELSE
        UPDATE revops.stage_history h SET entered_at = NEW.stage_since WHERE (h.opportunity, h.entered_at, h.stage) = (NEW.opportunity, OLD.stage_since, NEW.stage);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.opportunity_since_corrected() IS 'Trigger of revops.opportunity: revops.stage_history follows where only the time of a stage is corrected';
CREATE TRIGGER stage_since_corrected AFTER UPDATE OF stage_since ON revops.opportunity
    FOR EACH ROW WHEN (OLD.stage = NEW.stage AND OLD.stage_since <> NEW.stage_since) EXECUTE FUNCTION revops.opportunity_since_corrected();

CREATE FUNCTION revops.set_field(subject_kind revops.subject_kind, subject text, field text, value text, origin text DEFAULT 'person') RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    columns CONSTANT jsonb := '{"person": ["account", "name", "title", "time_zone"],
        "account": ["name", "owner", "territory", "segment", "industry", "time_zone"],
        "opportunity": ["account", "name", "owner", "pipeline", "stage", "amount", "status", "opened_at", "closed_at"],
        "rep": ["name", "unit", "active", "capacity"]}';
    own     CONSTANT boolean := columns -> subject_kind::text ? field;
    acts_as CONSTANT text := coalesce(nullif(current_setting('revops.change_origin', true), ''), 'person');
    former  text;
    found_  bigint;
BEGIN
    IF subject_kind IS NULL OR subject IS NULL OR coalesce(field, '') = '' OR origin IS NULL THEN
        RAISE EXCEPTION 'a field is set for a subject, by the field''s name and who sets it' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT own AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = ('revops.' || subject_kind)::regclass AND t.attname = field AND t.attnum > 0 AND NOT t.attisdropped) THEN
        RAISE EXCEPTION 'field "%" of % "%" is not set in this way', field, subject_kind, subject USING ERRCODE = 'invalid_parameter_value',
            HINT = format('It is a column of revops.%s; change it there, or in the attached table that it comes from.', subject_kind);
    END IF;
    EXECUTE format(CASE WHEN own THEN 'SELECT %2$I::text FROM revops.%1$I WHERE %1$I = $1 FOR NO KEY UPDATE'
                        ELSE 'SELECT properties ->> %2$L FROM revops.%1$I WHERE %1$I = $1 FOR NO KEY UPDATE' END, subject_kind, field)
    INTO former USING subject;
    GET DIAGNOSTICS found_ = ROW_COUNT;
    IF found_ = 0 THEN
        RAISE EXCEPTION 'there is no % "%"', subject_kind, subject USING ERRCODE = 'no_data_found';
    END IF;
    IF former IS NOT DISTINCT FROM value THEN
        RETURN former;
    END IF;
    PERFORM set_config('revops.change_origin', origin, true);
    IF own THEN
        EXECUTE format('UPDATE revops.%1$I SET %2$I = $2::%3$s WHERE %1$I = $1', subject_kind, field,
                       CASE WHEN field = 'amount' THEN 'numeric' WHEN field IN ('opened_at', 'closed_at') THEN 'timestamptz'
                            WHEN field = 'active' THEN 'boolean' WHEN field = 'capacity' THEN 'int' ELSE 'text' END)
        USING subject, value;
    ELSIF value IS NULL THEN
        EXECUTE format('UPDATE revops.%1$I SET properties = properties - $2 WHERE %1$I = $1', subject_kind) USING subject, field;
    ELSE
        EXECUTE format('UPDATE revops.%1$I SET properties = jsonb_set(properties, ARRAY[$2], to_jsonb($3)) WHERE %1$I = $1', subject_kind)
        USING subject, field, value;
    END IF;
    PERFORM set_config('revops.change_origin', acts_as, true);
    IF origin <> 'source' THEN
        PERFORM revops.write_back(subject_kind, subject, field, value);    -- to an attached table, where that is wished
    END IF;
    RETURN former;
END $$;
COMMENT ON FUNCTION revops.set_field(revops.subject_kind, text, text, text, text) IS
'Sets one field of a person, account, opportunity or rep: a column, or else a key of its properties; NULL empties it. origin says who (person, source, calibration, suggestion, undo). Returns what was there before';
