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

CREATE FUNCTION revops.drop_intent(intent text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known boolean;
BEGIN
    SELECT NOT i.dropped INTO known FROM revops.intent i WHERE i.intent = drop_intent.intent FOR UPDATE;
    DELETE FROM revops.intent_pattern p WHERE p.intent = drop_intent.intent;
    DELETE FROM revops.intent_example e WHERE e.intent = drop_intent.intent;
    IF EXISTS (SELECT FROM revops.signal s WHERE s.intent = drop_intent.intent) OR EXISTS (SELECT FROM revops.intent_state s WHERE s.intent = drop_intent.intent)
       OR EXISTS (SELECT FROM revops.moment_rule m WHERE m.definition -> 'intent' ->> 'intent' = drop_intent.intent) THEN
        UPDATE revops.intent i SET dropped = true WHERE i.intent = drop_intent.intent AND NOT i.dropped;
    ELSE
        DELETE FROM revops.intent i WHERE i.intent = drop_intent.intent;
    END IF;
    RETURN coalesce(known, false);
END $$;
COMMENT ON FUNCTION revops.drop_intent(text) IS
'Ends an intent in words: deletes its patterns and examples, and the intent too where no signal, rule or score has its name. Out of use once publish_intents() has run; what was found stays. True if there was one';

CREATE FUNCTION revops.write_event_intents(events uuid[]) RETURNS bigint
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'write_event_intents';
COMMENT ON FUNCTION revops.write_event_intents(uuid[]) IS 'Writes the intents of events that the stream has taken and that have none yet, and says how many; rebuild_intents() calls it';

-- The lock waits for passes under way: none writes intents by an older publication afterwards.
CREATE FUNCTION revops.rebuild_intents(since timestamptz DEFAULT '-infinity') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    start   CONSTANT timestamptz := coalesce(rebuild_intents.since, '-infinity');
    latest  int;
    ids     uuid[];
    rows    bigint := 0;
    asked   bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'revops.rebuild_intents() needs a READ COMMITTED transaction'
            USING ERRCODE = 'active_sql_transaction', HINT = 'Run it with SET TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    LOCK TABLE revops.intent_publication IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    SELECT p.publication INTO latest FROM revops.intent_publication p WHERE p.valid_to = 'infinity';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no intents are published' USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT revops.publish_intents();';
    END IF;
    DELETE FROM revops.intent_publication p WHERE p.publication <> latest AND p.valid_from >= start;
    UPDATE revops.intent_publication p SET valid_to = start WHERE p.publication <> latest AND p.valid_to > start;
    UPDATE revops.intent_publication p SET valid_from = start WHERE p.publication = latest AND p.valid_from > start;

    DELETE FROM revops.event_intent ei WHERE ei.occurred_at >= start;
    FOR ids IN
        SELECT array_agg(x.event_id)
        FROM (SELECT e.event_id, (row_number() OVER () - 1) / 2000 AS part FROM revops.event e
              WHERE e.occurred_at >= start AND e.body IS NOT NULL AND NOT e.ahead) x
        GROUP BY x.part
    LOOP
        rows := rows + revops.write_event_intents(ids);
    END LOOP;

    -- whom what is said counts for, and who was counted by what was found before
    WITH keys AS (
        SELECT 'person' AS kind, coalesce(p.identity, e.person) AS key
        FROM (SELECT DISTINCT person FROM revops.event WHERE occurred_at >= start AND NOT ahead AND body IS NOT NULL AND person IS NOT NULL) e
        LEFT JOIN revops.person p ON p.person = e.person
        UNION SELECT 'account', account FROM revops.event WHERE occurred_at >= start AND NOT ahead AND body IS NOT NULL AND account IS NOT NULL
        UNION SELECT 'account', coalesce(k.account, p.account)
        FROM (SELECT DISTINCT person FROM revops.event WHERE occurred_at >= start AND NOT ahead AND body IS NOT NULL AND account IS NULL AND person IS NOT NULL) e
        JOIN revops.person p ON p.person = e.person LEFT JOIN revops.person k ON k.person = p.identity
        WHERE coalesce(k.account, p.account) IS NOT NULL
        UNION SELECT 'opportunity', opportunity FROM revops.event WHERE occurred_at >= start AND NOT ahead AND body IS NOT NULL AND opportunity IS NOT NULL
        UNION SELECT 'rep', rep FROM revops.event WHERE occurred_at >= start AND NOT ahead AND body IS NOT NULL AND rep IS NOT NULL)
    INSERT INTO revops.repair_request (subject_kind, subject, since)
    SELECT keys.kind::revops.subject_kind, keys.key, start FROM keys;
    GET DIAGNOSTICS asked = ROW_COUNT;
    RAISE NOTICE '% intents found in texts since %, % subjects are to be computed anew', rows, start, asked
        USING HINT = 'The background worker does it; without one, SELECT revops.process().';
    RETURN asked;
END $$;
COMMENT ON FUNCTION revops.rebuild_intents(timestamptz) IS
'Applies what is published, patterns and model, to the past: to events from since on, as if it had been published then. revops.event_intent is written anew for them, and the stream computes scores and moments anew of every subject that they concern; returns how many subjects';
