-- text_model: a model next to the patterns, and what was published applied to the past

CREATE FUNCTION revops.use_model(model text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    was revops.intent_publication;
BEGIN
    LOCK TABLE revops.intent_publication IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO was FROM revops.intent_publication p WHERE p.valid_to = 'infinity';
    RETURN revops.write_publication(coalesce(was.intents, '[]'), coalesce(was.patterns, '[]'), was.fingerprint, was.compiled, model);
END $$;
COMMENT ON FUNCTION revops.use_model(text) IS
'Lets the deployed version of a model find those of its labels that are intents, next to the published patterns, for events from now on; NULL: no model. Deploying another version of it does so too. Returns the number of the publication';

-- Patterns that are put and not published yet stay so.
CREATE FUNCTION revops.model_deployed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM revops.intent_publication p WHERE p.valid_to = 'infinity' AND p.model = new.model) THEN
        PERFORM revops.use_model(new.model);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION revops.model_deployed() IS 'Publishes the version that was deployed, where the model finds intents';

CREATE TRIGGER model_deployed AFTER UPDATE OF deployed ON revops.model
    FOR EACH ROW WHEN (old.deployed IS DISTINCT FROM new.deployed) EXECUTE FUNCTION revops.model_deployed();
