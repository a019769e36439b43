-- pack: the starter pack of intents. Its rows are made of src/text/pack/*.json at the end of the install script.

CREATE TABLE revops.intent_pack (
    intent      text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    definition  json NOT NULL,
    CONSTRAINT intent_pack_pkey PRIMARY KEY (intent)
);
COMMENT ON TABLE revops.intent_pack IS 'Ready intents in Chinese and English; revops.add_intents() takes them into use. They come with the extension and are not dumped';
COMMENT ON COLUMN revops.intent_pack.intent IS 'Name';
COMMENT ON COLUMN revops.intent_pack.topic IS 'Group of intents, as in revops.add_intents()';
COMMENT ON COLUMN revops.intent_pack.definition IS
'The intent, as revops.put_intent() takes it; without its Chinese where the database''s encoding has none';

-- Takes one file, ASCII with \u escapes. A line of it that has Chinese can go where the encoding has none. The install script drops this function.
CREATE FUNCTION revops.add_pack(topic text, pack text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    -- statements of their own, since the planner would try both arms of one expression
    IF getdatabaseencoding() IN ('UTF8', 'EUC_CN') THEN
        pack := unistr(pack);
    ELSE
        pack := regexp_replace(pack, E'^[^\\n]*\\\\u[^\\n]*\\n', '', 'gn');
    END IF;
    INSERT INTO revops.intent_pack (intent, topic, definition)
    SELECT d ->> 'intent', topic, d FROM json_array_elements(pack::json) d;
END $$;

CREATE FUNCTION revops.add_intents(topics text[] DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
    p       record;
    added   int := 0;
BEGIN
    SELECT t.topic INTO unknown FROM unnest(topics) t (topic)
    WHERE NOT EXISTS (SELECT FROM revops.intent_pack k WHERE k.topic = t.topic) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the starter pack has no topic "%"', unknown USING ERRCODE = 'undefined_object',
            HINT = format('Its topics are %s.', (SELECT string_agg(DISTINCT k.topic, ', ') FROM revops.intent_pack k));
    END IF;
    -- an intent that a signal or a rule has made has only a name yet, and is described; one that somebody has described is left alone
    FOR p IN
        SELECT k.intent, k.definition::jsonb - 'intent' || jsonb_build_object('topic', k.topic) AS definition
        FROM revops.intent_pack k
        WHERE (topics IS NULL OR k.topic = ANY (topics))
          AND NOT EXISTS (SELECT FROM revops.intent i WHERE i.intent = k.intent AND i.title IS NOT NULL)
          AND NOT EXISTS (SELECT FROM revops.intent_pattern i WHERE i.intent = k.intent)
          AND NOT EXISTS (SELECT FROM revops.intent_example i WHERE i.intent = k.intent)
        ORDER BY k.intent
    LOOP
        PERFORM revops.put_intent(p.intent, p.definition);
        added := added + 1;
    END LOOP;
    RETURN added;
END $$;
COMMENT ON FUNCTION revops.add_intents(text[]) IS
'Takes intents of the starter pack into use, of all topics or of some, and says how many; an intent that is described already is left alone. revops.publish_intents() then puts their patterns into force';
