-- text: intents that words show, by patterns that a sales team writes itself

CREATE TABLE revops.intent_pattern (
    intent      text COLLATE "C" NOT NULL CONSTRAINT intent_pattern_intent REFERENCES revops.intent ON DELETE CASCADE,
    n           int NOT NULL CHECK (n >= 0),
    lang        text CHECK (lang ~ '^[a-z-]{2,8}$'),
    include     boolean NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('literal', 'regex', 'near')),
    pattern     text NOT NULL CHECK (pattern <> ''),
    near        text CHECK (near <> ''),
    within      int CHECK (within BETWEEN 0 AND 1000),
    PRIMARY KEY (intent, n),
    CHECK ((kind = 'near') = (near IS NOT NULL) AND (near IS NULL) = (within IS NULL))
);
COMMENT ON TABLE revops.intent_pattern IS 'The words that show an intent, or that show it does not apply, as put; publish_intents() puts them to use';
COMMENT ON COLUMN revops.intent_pattern.n IS 'Its place in the definition, from 0 on';
COMMENT ON COLUMN revops.intent_pattern.lang IS 'The language of the texts that it is for; NULL is any';
COMMENT ON COLUMN revops.intent_pattern.include IS 'Shows the intent; false: what it overlaps does not';
COMMENT ON COLUMN revops.intent_pattern.kind IS 'literal, regex, or near: two words close to each other';
COMMENT ON COLUMN revops.intent_pattern.within IS 'The most characters between pattern and near, in either order';
SELECT pg_catalog.pg_extension_config_dump('revops.intent_pattern', '');

CREATE TABLE revops.intent_example (
    intent      text COLLATE "C" NOT NULL CONSTRAINT intent_example_intent REFERENCES revops.intent ON DELETE CASCADE,
    lang        text NOT NULL,
    positive    boolean NOT NULL,
    n           int NOT NULL,
    body        text NOT NULL,
    PRIMARY KEY (intent, lang, positive, n)
);
COMMENT ON TABLE revops.intent_example IS 'Texts that show an intent, and texts that seem to and do not: what label_quality measures its patterns by';
SELECT pg_catalog.pg_extension_config_dump('revops.intent_example', '');

CREATE TABLE revops.intent_publication (
    publication  int PRIMARY KEY,
    valid_from   timestamptz NOT NULL,
    valid_to     timestamptz NOT NULL DEFAULT 'infinity',
    published_at timestamptz NOT NULL,
    intents      jsonb NOT NULL,
    patterns     jsonb NOT NULL,
    fingerprint  text NOT NULL,
    compiled     bytea NOT NULL,
    model        text COLLATE "C",
    model_version int,
    model_id     uuid,
    CHECK ((model IS NULL) = (model_version IS NULL) AND (model IS NULL) = (model_id IS NULL))
);
ALTER TABLE revops.intent_publication ALTER COLUMN compiled SET STORAGE EXTERNAL;
COMMENT ON TABLE revops.intent_publication IS 'Intents and patterns as they were published, and compiled, with the model that goes with them. Written by publish_intents(), use_model() and deploy()';
COMMENT ON COLUMN revops.intent_publication.valid_from IS 'It is for events that occurred from this time on';
COMMENT ON COLUMN revops.intent_publication.valid_to IS 'and before this one';
COMMENT ON COLUMN revops.intent_publication.fingerprint IS 'The library and the processor that the compiled form is for; elsewhere it is compiled anew in memory';
COMMENT ON COLUMN revops.intent_publication.model IS 'The model that finds those of its labels that are intents; NULL is none';
COMMENT ON COLUMN revops.intent_publication.model_version IS 'Its version, for all events of this time, whatever is deployed later';
COMMENT ON COLUMN revops.intent_publication.model_id IS 'The version''s version_id';
SELECT pg_catalog.pg_extension_config_dump('revops.intent_publication', '');

CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.intent_publication
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();

CREATE TABLE revops.event_intent (
    event_id    uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    person      text COLLATE "C",
    account     text COLLATE "C",
    opportunity text COLLATE "C",
    rep         text COLLATE "C",
    side        text,
    channel     text,
    intent      text COLLATE "C" NOT NULL,
    confidence  float8 NOT NULL,
    method      text NOT NULL,
    span        int4range NOT NULL,
    evidence    text NOT NULL,
    PRIMARY KEY (event_id, intent)
);
-- each row is in one of the first two: who asks what an account or a visitor said
CREATE INDEX event_intent_account ON revops.event_intent (account, occurred_at) WHERE account IS NOT NULL;
CREATE INDEX event_intent_visitor ON revops.event_intent (person, occurred_at) WHERE account IS NULL;
CREATE INDEX event_intent_occurred_at ON revops.event_intent USING brin (occurred_at) WITH (pages_per_range = 32);
COMMENT ON TABLE revops.event_intent IS 'The intents that the bodies of events show. Written by the stream with what else an event adds; gone with the events by revops.retention';
COMMENT ON COLUMN revops.event_intent.person IS 'As sent: a visitor stays one here';
COMMENT ON COLUMN revops.event_intent.account IS 'As sent, else that of the person when the event was taken; NULL: none, or the person is of another one by now';
COMMENT ON COLUMN revops.event_intent.confidence IS '0 to 1';
COMMENT ON COLUMN revops.event_intent.method IS 'What found it: pattern, model or both';
COMMENT ON COLUMN revops.event_intent.span IS 'Where in the body, in characters from 0 on';
COMMENT ON COLUMN revops.event_intent.evidence IS 'The words there, at most 200 characters';
SELECT pg_catalog.pg_extension_config_dump('revops.event_intent', '');

CREATE FUNCTION revops.check_intent(intent text, definition text) RETURNS void
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_intent';
COMMENT ON FUNCTION revops.check_intent(text, text) IS 'Raises an error that names the place if the JSON is no definition of an intent, or one of its patterns cannot be used';

CREATE FUNCTION revops.compile_intents(intents jsonb, patterns jsonb) RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'compile_intents';
COMMENT ON FUNCTION revops.compile_intents(jsonb, jsonb) IS 'Compiles the patterns of a publication; an error names the intent, the number of the pattern and the character';

CREATE FUNCTION revops.text_fingerprint() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'text_fingerprint';
COMMENT ON FUNCTION revops.text_fingerprint() IS 'The library and the processor that patterns are compiled for here';

CREATE FUNCTION revops.put_intent(intent text, definition jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    patterns int;
BEGIN
    IF intent IS NULL OR definition IS NULL THEN
        RAISE EXCEPTION 'an intent needs a name and a definition' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM revops.check_intent(intent, definition::text);
    INSERT INTO revops.intent AS i (intent, half_life, title, title_zh, description, description_zh, topic, sides, channels, threshold, first)
    SELECT put_intent.intent, '7 days', d.title, d.title_zh, d.description, d.description_zh, d.topic, d.sides, d.channels,
           coalesce(d.threshold, 0.5), coalesce(d.first, false)
    FROM jsonb_to_record(definition) AS d(title text, title_zh text, description text, description_zh text, topic text, sides text[],
                                          channels text[], threshold float8, first boolean)
    ON CONFLICT ON CONSTRAINT intent_pkey DO UPDATE
    SET (title, title_zh, description, description_zh, topic, sides, channels, threshold, first, dropped) =
        ROW (excluded.title, excluded.title_zh, excluded.description, excluded.description_zh, excluded.topic, excluded.sides,
             excluded.channels, excluded.threshold, excluded.first, false);
    DELETE FROM revops.intent_pattern p WHERE p.intent = put_intent.intent;
    INSERT INTO revops.intent_pattern (intent, n, lang, include, kind, pattern, near, within)
    SELECT put_intent.intent, (p.n - 1)::int, p.value ->> 'lang', p.value ?| '{include,regex}',
           CASE WHEN p.value ?| '{regex,exclude_regex}' THEN 'regex' WHEN p.value ? 'near' THEN 'near' ELSE 'literal' END,
           coalesce(p.value ->> 'include', p.value ->> 'exclude', p.value ->> 'regex', p.value ->> 'exclude_regex'),
           p.value ->> 'near', (p.value ->> 'within')::int
    FROM jsonb_array_elements(definition -> 'patterns') WITH ORDINALITY AS p(value, n);
    GET DIAGNOSTICS patterns = ROW_COUNT;
    DELETE FROM revops.intent_example e WHERE e.intent = put_intent.intent;
    INSERT INTO revops.intent_example (intent, lang, positive, n, body)
    SELECT put_intent.intent, l.key, k.key = 'positive', (x.n - 1)::int, x.body
    FROM jsonb_each(definition -> 'examples') l, jsonb_each(l.value) k, jsonb_array_elements_text(k.value) WITH ORDINALITY AS x(body, n);
    RETURN patterns;
END $$;
COMMENT ON FUNCTION revops.put_intent(text, jsonb) IS
'Sets an intent: its titles, whose words show it, and its patterns and examples, which replace those before. Used once publish_intents() has run; returns how many patterns it has';

-- A publication for the events from now on, with the deployed version of that model; the present one where it is the same. The caller holds the
-- lock of intent_publication. fingerprint NULL: the compiled form is yet to be made. No plan
-- has the values in it, which would be many copies of them.
CREATE FUNCTION revops.write_publication(intents jsonb, patterns jsonb, fingerprint text, compiled bytea, model text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
    was     revops.intent_publication;
    named   int;
    id      uuid;
    since   timestamptz;
    fresh   int;
BEGIN
    IF model IS NOT NULL THEN
        SELECT v.version, v.version_id INTO named, id FROM revops.model m JOIN revops.model_version v ON v.model = m.model AND v.version = m.deployed
        WHERE m.model = write_publication.model AND m.task = 'classify';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no model "%" that classifies', model
                USING ERRCODE = 'undefined_object', HINT = 'revops.train() makes one; revops.use_model(NULL) does without.';
        END IF;
    END IF;
    -- labels of the model that are intents, whether they have patterns or not; the patterns count the intents from 0 on, so these come behind
    intents := intents || coalesce((
        SELECT jsonb_agg(jsonb_build_object('intent', i.intent, 'threshold', i.threshold, 'sides', i.sides, 'channels', i.channels) ORDER BY i.intent)
        FROM revops.model_version v CROSS JOIN unnest(v.labels) AS l(label) JOIN revops.intent i ON i.intent = l.label COLLATE "C"
        WHERE v.version_id = id AND NOT i.dropped AND NOT EXISTS (SELECT FROM jsonb_array_elements(intents) x WHERE x.value ->> 'intent' = i.intent)), '[]');
    SELECT * INTO was FROM revops.intent_publication p WHERE p.valid_to = 'infinity';
    IF was.intents = intents AND was.patterns = patterns AND was.fingerprint = coalesce(fingerprint, revops.text_fingerprint())
       AND was.model_id IS NOT DISTINCT FROM id THEN
        RETURN was.publication;
    END IF;
    IF fingerprint IS NULL THEN
        compiled := revops.compile_intents(intents, patterns);
        fingerprint := revops.text_fingerprint();
    END IF;
    -- waits for the passes that are under way, so that no event is read by half of a change
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    since := revops.config_valid_from();
    fresh := coalesce((SELECT max(p.publication) FROM revops.intent_publication p), 0) + 1;
    DELETE FROM revops.intent_publication p WHERE p.valid_from >= since;
    UPDATE revops.intent_publication p SET valid_to = since WHERE p.valid_to > since;
    INSERT INTO revops.intent_publication (publication, valid_from, published_at, intents, patterns, fingerprint, compiled, model, model_version, model_id)
    VALUES (fresh, since, revops.now(), intents, patterns, fingerprint, compiled, model, named, id);
    RETURN fresh;
END $$;
COMMENT ON FUNCTION revops.write_publication(jsonb, jsonb, text, bytea, text) IS 'What publish_intents(), use_model() and deploy() publish by';

CREATE FUNCTION revops.publish_intents() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    labels jsonb;
    words  jsonb;
BEGIN
    -- one at a time; compiling takes seconds, and holds up no pass
    LOCK TABLE revops.intent_publication IN SHARE ROW EXCLUSIVE MODE;
    WITH used AS (
        SELECT i.*, row_number() OVER (ORDER BY i.intent) - 1 AS i FROM revops.intent i
        WHERE EXISTS (SELECT FROM revops.intent_pattern p WHERE p.intent = i.intent)
    )
    SELECT coalesce((SELECT jsonb_agg(jsonb_build_object('intent', u.intent, 'threshold', u.threshold, 'sides', u.sides, 'channels', u.channels)
                                      ORDER BY u.i) FROM used u), '[]'),
           coalesce((SELECT jsonb_agg(jsonb_build_object('i', u.i, 'n', p.n, 'include', p.include, 'kind', p.kind, 'lang', p.lang,
                                                         'pattern', p.pattern, 'near', p.near, 'within', p.within) ORDER BY u.i, p.n)
                     FROM used u JOIN revops.intent_pattern p USING (intent)), '[]')
    INTO labels, words;
    RETURN revops.write_publication(labels, words, NULL, NULL, (SELECT p.model FROM revops.intent_publication p WHERE p.valid_to = 'infinity'));
END $$;
COMMENT ON FUNCTION revops.publish_intents() IS
'Compiles the patterns of all intents and puts them to use, with the deployed version of the model that use_model() named, from the next batch on and for events from now on (all, if none was processed yet). A bad pattern is refused, and nothing changes; returns the number of the publication';

CREATE FUNCTION revops.detect_intents(body text, side text DEFAULT NULL, channel text DEFAULT NULL, lang text DEFAULT NULL)
RETURNS TABLE (intent text, confidence float8, method text, span int4range, evidence text)
LANGUAGE c STABLE PARALLEL SAFE ROWS 3 AS 'MODULE_PATHNAME', 'detect_intents';
COMMENT ON FUNCTION revops.detect_intents(text, text, text, text) IS
'The intents that a text shows, by the patterns and the model published for revops.now(): with a confidence, what found it (pattern, model or both), where (characters from 0 on) and the words there. side, channel, lang: NULL is not known, and all apply';

CREATE FUNCTION revops.intents_of(body text, side text DEFAULT NULL, channel text DEFAULT NULL, lang text DEFAULT NULL) RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'intents_of';
COMMENT ON FUNCTION revops.intents_of(text, text, text, text) IS
'The names of the intents that detect_intents() finds, for conditions and counts over many texts; {} where there is none';

CREATE FUNCTION revops.patterns_show(intent text, body text, lang text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'patterns_show';
COMMENT ON FUNCTION revops.patterns_show(text, text, text) IS 'Whether the published patterns alone, without the model, find an intent in a text';

-- in parts, so that what is asked of one account is found by indexes
CREATE VIEW revops.need_profile WITH (security_barrier) AS
WITH accounts AS (
    SELECT v.person, v.account FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity
    WHERE v.account IS NOT NULL AND k.account IS NULL
    UNION ALL
    SELECT v.person, k.account FROM revops.person v JOIN revops.person k ON k.person = v.identity
    WHERE k.account IS NOT NULL
), said AS (
    SELECT ei.account, ei.intent, ei.event_id, ei.occurred_at, ei.confidence
    FROM revops.event_intent ei
    WHERE ei.account IS NOT NULL AND ei.side IS DISTINCT FROM 'rep' AND ei.side IS DISTINCT FROM 'system'
      AND ei.occurred_at <= revops.now() AND ei.occurred_at > (SELECT min(revops.now() - i.half_life * 10) FROM revops.intent i)
    UNION ALL
    SELECT a.account, ei.intent, ei.event_id, ei.occurred_at, ei.confidence
    FROM revops.event_intent ei JOIN accounts a ON a.person = ei.person
    WHERE ei.account IS NULL AND ei.side IS DISTINCT FROM 'rep' AND ei.side IS DISTINCT FROM 'system'
      AND ei.occurred_at <= revops.now() AND ei.occurred_at > (SELECT min(revops.now() - i.half_life * 10) FROM revops.intent i)
), topics AS (
    SELECT s.account, coalesce(i.topic, i.intent) AS topic, count(DISTINCT s.event_id) AS events, max(s.occurred_at) AS last_at,
           sum(s.confidence * power(2::float8, - extract(epoch FROM revops.now() - s.occurred_at)::float8 / extract(epoch FROM i.half_life)::float8)) AS intensity
    FROM said s JOIN revops.intent i ON i.intent = s.intent
    WHERE s.occurred_at > revops.now() - i.half_life * 10
    GROUP BY s.account, coalesce(i.topic, i.intent)
)
SELECT t.account, t.topic, t.intensity / sum(t.intensity) OVER (PARTITION BY t.account) AS share, t.intensity, t.events, t.last_at
FROM topics t;
COMMENT ON VIEW revops.need_profile IS 'What each account needs: the decayed share of each topic in what its people wrote and said, over the last ten half-lives';
COMMENT ON COLUMN revops.need_profile.account IS 'The account, by its people where the event named none';
COMMENT ON COLUMN revops.need_profile.topic IS 'The topic of the intents; an intent without one is its own';
COMMENT ON COLUMN revops.need_profile.share IS 'Its part of the account''s intensity: all topics add to 1';
COMMENT ON COLUMN revops.need_profile.intensity IS 'The confidences of its intents, halved every half-life, summed at revops.now()';
COMMENT ON COLUMN revops.need_profile.events IS 'How many events show it';
COMMENT ON COLUMN revops.need_profile.last_at IS 'When the last of them occurred';

CREATE VIEW revops.label_quality WITH (security_barrier) AS
WITH tried AS (
    SELECT e.intent, count(*) FILTER (WHERE e.positive) AS positives, count(*) FILTER (WHERE NOT e.positive) AS negatives,
           count(*) FILTER (WHERE e.positive AND f.found) AS right_ones, count(*) FILTER (WHERE NOT e.positive AND f.found) AS wrong_ones
    FROM revops.intent_example e
    CROSS JOIN LATERAL (SELECT revops.patterns_show(e.intent, e.body, e.lang) AS found) f
    GROUP BY e.intent
), volume AS (
    SELECT ei.intent, count(*) FILTER (WHERE ei.occurred_at > revops.now() - interval '7 days') AS week,
           count(*) FILTER (WHERE ei.occurred_at <= revops.now() - interval '7 days') AS before
    FROM revops.event_intent ei
    WHERE ei.occurred_at > revops.now() - interval '35 days' AND ei.occurred_at <= revops.now()
    GROUP BY ei.intent
)
SELECT coalesce(i.intent, l.label) AS intent, i.title, i.topic, coalesce(i.first, false) AS first,
       coalesce(t.positives, 0) AS positives, coalesce(t.negatives, 0) AS negatives,
       t.right_ones::float8 / nullif(t.right_ones + t.wrong_ones, 0) AS precision,
       t.right_ones::float8 / nullif(t.positives, 0) AS recall,
       coalesce(v.week, 0) AS events_7d, coalesce(v.before, 0) AS events_28d_before,
       (v.week / 7.0::float8) / nullif(v.before / 28.0::float8, 0) AS drift,
       l.model, l.version AS model_version, l.tried AS model_tried, l.precision AS model_precision, l.recall AS model_recall, l.folds AS model_folds
FROM (SELECT x.* FROM revops.intent x
      WHERE EXISTS (SELECT FROM revops.intent_example e WHERE e.intent = x.intent) OR EXISTS (SELECT FROM revops.intent_pattern p WHERE p.intent = x.intent)) i
FULL JOIN (SELECT m.model, w.version, b.key COLLATE "C" AS label, (b.value ->> 'tried')::int AS tried, (b.value ->> 'precision')::float8 AS precision,
                  (b.value ->> 'recall')::float8 AS recall, (w.metrics ->> 'folds')::int AS folds
           FROM revops.model m
           JOIN revops.model_version w ON w.model = m.model AND w.version = m.deployed
           CROSS JOIN LATERAL jsonb_each(w.metrics -> 'by_label') b
           WHERE m.task = 'classify' AND jsonb_typeof(w.metrics -> 'by_label') = 'object') l ON l.label = i.intent
LEFT JOIN tried t ON t.intent = i.intent
LEFT JOIN volume v ON v.intent = coalesce(i.intent, l.label);
COMMENT ON VIEW revops.label_quality IS 'How good each intent''s published patterns are on its own examples, and each label''s deployed model on examples that it had not seen; how often it is found, and whether that changes. A row for each intent and for each model that has the label';
COMMENT ON COLUMN revops.label_quality.intent IS 'The intent, or the label of a model';
COMMENT ON COLUMN revops.label_quality.title IS 'Its title';
COMMENT ON COLUMN revops.label_quality.topic IS 'Its topic';
COMMENT ON COLUMN revops.label_quality.first IS 'One of those that matter first';
COMMENT ON COLUMN revops.label_quality.positives IS 'Examples that show it';
COMMENT ON COLUMN revops.label_quality.negatives IS 'Examples that seem to and do not';
COMMENT ON COLUMN revops.label_quality.precision IS 'Of the examples in which it is found, the share that shows it';
COMMENT ON COLUMN revops.label_quality.recall IS 'Of the examples that show it, the share in which it is found';
COMMENT ON COLUMN revops.label_quality.events_7d IS 'Events of the last 7 days in which it was found';
COMMENT ON COLUMN revops.label_quality.events_28d_before IS 'Events of the 28 days before these';
COMMENT ON COLUMN revops.label_quality.drift IS 'The last 7 days'' events a day against those of the 28 before: 1 is as ever; NULL where there were none';
COMMENT ON COLUMN revops.label_quality.model IS 'A model that has the label; NULL: none';
COMMENT ON COLUMN revops.label_quality.model_version IS 'Its deployed version';
COMMENT ON COLUMN revops.label_quality.model_tried IS 'Examples of the label on which the model was tried: those held out, or with cross-validation all';
COMMENT ON COLUMN revops.label_quality.model_precision IS 'Of those that it gave the label, the share that has it';
COMMENT ON COLUMN revops.label_quality.model_recall IS 'Of those that have the label, the share that it gave it to';
COMMENT ON COLUMN revops.label_quality.model_folds IS 'Folds of the cross-validation (option folds of train()); NULL: examples held out';
