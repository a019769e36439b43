-- text: what sales does with texts: sentiment, values for fields of the record, the quality of labels

CREATE FUNCTION revops.sentiment(body text, lang text DEFAULT NULL) RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sentiment';
COMMENT ON FUNCTION revops.sentiment(text, text) IS
'How a text feels, from -1 to 1, 0 where it shows nothing: by the lexicon and the model that are shipped (lang zh or en: that language''s words only), or by your own deployed model named sentiment';

CREATE VIEW revops.account_sentiment WITH (security_barrier) AS
WITH accounts AS (
    SELECT v.person, v.account FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity
    WHERE v.account IS NOT NULL AND k.account IS NULL
    UNION ALL
    SELECT v.person, k.account FROM revops.person v JOIN revops.person k ON k.person = v.identity
    WHERE k.account IS NOT NULL
), said AS (
    SELECT e.account, e.event_id, e.occurred_at, revops.sentiment(e.body) AS sentiment
    FROM revops.my_event e
    WHERE e.account IS NOT NULL AND e.side = 'customer' AND e.body IS NOT NULL AND NOT e.ahead
      AND e.occurred_at <= revops.now() AND e.occurred_at > revops.now() - interval '28 days'
    UNION ALL
    -- OFFSET 0: each person's events are looked up, as no join is pushed into a view that is a barrier
    SELECT a.account, e.event_id, e.occurred_at, e.sentiment
    FROM accounts a CROSS JOIN LATERAL (
        SELECT x.event_id, x.occurred_at, revops.sentiment(x.body) AS sentiment
        FROM revops.my_event x
        WHERE x.person = a.person AND x.account IS NULL AND x.side = 'customer' AND x.body IS NOT NULL AND NOT x.ahead
          AND x.occurred_at <= revops.now() AND x.occurred_at > revops.now() - interval '28 days'
        OFFSET 0) e
), weighed AS (
    SELECT s.account, s.event_id, s.occurred_at, s.sentiment, power(2::float8, - extract(epoch FROM revops.now() - s.occurred_at)::float8 / 604800) AS weight
    FROM said s
)
SELECT s.account, sum(s.sentiment * s.weight) / sum(s.weight) AS sentiment, count(*) AS events,
       count(*) FILTER (WHERE s.sentiment <= -0.3) AS negative_events, count(*) FILTER (WHERE s.sentiment >= 0.3) AS positive_events,
       avg(s.sentiment) FILTER (WHERE s.occurred_at > revops.now() - interval '7 days') -
       avg(s.sentiment) FILTER (WHERE s.occurred_at <= revops.now() - interval '7 days') AS change,
       max(s.occurred_at) AS last_at, (array_agg(s.sentiment ORDER BY s.occurred_at DESC, s.event_id DESC))[1] AS last_sentiment
FROM weighed s GROUP BY s.account;
COMMENT ON VIEW revops.account_sentiment IS 'How each account''s people felt in what they wrote and said in the last 28 days, the newest counting most; computed when it is read';
COMMENT ON COLUMN revops.account_sentiment.account IS 'The account, by its people where the event named none';
COMMENT ON COLUMN revops.account_sentiment.sentiment IS '-1 to 1: the mean of its texts, each halved in weight every seven days';
COMMENT ON COLUMN revops.account_sentiment.events IS 'How many texts there are';
COMMENT ON COLUMN revops.account_sentiment.negative_events IS 'How many of them are at -0.3 or below';
COMMENT ON COLUMN revops.account_sentiment.positive_events IS 'How many of them are at 0.3 or above';
COMMENT ON COLUMN revops.account_sentiment.change IS 'The mean of the last seven days less that of the three weeks before; NULL where either has no text';
COMMENT ON COLUMN revops.account_sentiment.last_at IS 'When the last of them occurred';
COMMENT ON COLUMN revops.account_sentiment.last_sentiment IS 'How it felt';

CREATE TABLE revops.competitor (
    competitor  text COLLATE "C" NOT NULL CHECK (competitor <> '' AND octet_length(competitor) <= 200),
    aliases     text[] NOT NULL DEFAULT '{}' CHECK (cardinality(aliases) <= 100),
    note        text,
    CONSTRAINT competitor_pkey PRIMARY KEY (competitor)
);
COMMENT ON TABLE revops.competitor IS 'The competitors whose names extract_fields() looks for; keep it with INSERT, UPDATE and DELETE';
COMMENT ON COLUMN revops.competitor.competitor IS 'Its name, which becomes the value of the field';
COMMENT ON COLUMN revops.competitor.aliases IS 'Other names that people write, in any language';
COMMENT ON COLUMN revops.competitor.note IS 'What a rep should know of it';
SELECT pg_catalog.pg_extension_config_dump('revops.competitor', '');
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.competitor
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();
ALTER TABLE revops.competitor ENABLE ALWAYS TRIGGER config_changed;

CREATE FUNCTION revops.extract_fields(body text, at timestamptz DEFAULT NULL)
RETURNS TABLE (field text, value text, confidence float8, span int4range, evidence text)
LANGUAGE c STABLE PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'extract_fields';
COMMENT ON FUNCTION revops.extract_fields(text, timestamptz) IS
'Values that a text shows for budget ("300000 CNY"), timeline (the last day meant, as at, default revops.now(), sees it), decision_maker and competitor, with the words (characters from 0 on)';

CREATE SEQUENCE revops.suggestion_seq;
CREATE TABLE revops.field_suggestion (
    suggestion  bigint NOT NULL DEFAULT nextval('revops.suggestion_seq'),
    opportunity text COLLATE "C" NOT NULL,
    field       text COLLATE "C" NOT NULL CHECK (field IN ('budget', 'timeline', 'decision_maker', 'competitor')),
    value       text NOT NULL CHECK (value <> ''),
    confidence  float8 NOT NULL CHECK (confidence > 0 AND confidence <= 1),
    event_id    uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    span        int4range NOT NULL,
    evidence    text NOT NULL,
    former      text,
    suggested_at timestamptz NOT NULL,
    status      text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'accepted', 'refused', 'stale')),
    decided_by  text,
    decided_at  timestamptz,
    reason      text,
    CONSTRAINT field_suggestion_pkey PRIMARY KEY (opportunity, event_id, field, value)
);
CREATE INDEX field_suggestion_number ON revops.field_suggestion (suggestion);
CREATE INDEX field_suggestion_open ON revops.field_suggestion (opportunity, field) WHERE status = 'open';
COMMENT ON TABLE revops.field_suggestion IS 'Values for fields of opportunities that texts show. Written by suggest_fields(); a person accepts or refuses each';
COMMENT ON COLUMN revops.field_suggestion.suggestion IS 'Its number, for accept_suggestion() and refuse_suggestion()';
COMMENT ON COLUMN revops.field_suggestion.opportunity IS 'The opportunity: that of the event, else the only open one of its account';
COMMENT ON COLUMN revops.field_suggestion.field IS 'budget, timeline, decision_maker or competitor: a key of the opportunity''s properties';
COMMENT ON COLUMN revops.field_suggestion.value IS 'The value, as revops.extract_fields() gives it';
COMMENT ON COLUMN revops.field_suggestion.confidence IS '0 to 1';
COMMENT ON COLUMN revops.field_suggestion.event_id IS 'The event whose body says so';
COMMENT ON COLUMN revops.field_suggestion.occurred_at IS 'When it occurred';
COMMENT ON COLUMN revops.field_suggestion.span IS 'Where in the body, in characters from 0 on';
COMMENT ON COLUMN revops.field_suggestion.evidence IS 'The words there';
COMMENT ON COLUMN revops.field_suggestion.former IS 'The field''s value when this was suggested, or when another suggestion for it was accepted since: where it is another now, a person has set it';
COMMENT ON COLUMN revops.field_suggestion.suggested_at IS 'When it was suggested';
COMMENT ON COLUMN revops.field_suggestion.status IS 'open; accepted; refused; stale: a person has set the field since, or a newer value was accepted';
COMMENT ON COLUMN revops.field_suggestion.decided_by IS 'Who accepted or refused it';
COMMENT ON COLUMN revops.field_suggestion.decided_at IS 'When';
COMMENT ON COLUMN revops.field_suggestion.reason IS 'Why it was refused';

CREATE TABLE revops.suggestion_cursor (
    one         boolean NOT NULL DEFAULT true CHECK (one),
    epoch       int NOT NULL,
    seen        pg_snapshot NOT NULL,
    CONSTRAINT suggestion_cursor_pkey PRIMARY KEY (one)
);
COMMENT ON TABLE revops.suggestion_cursor IS 'What suggest_fields() has seen: one row';
COMMENT ON COLUMN revops.suggestion_cursor.epoch IS 'Cluster and database in which it was seen, as in revops.event';
COMMENT ON COLUMN revops.suggestion_cursor.seen IS 'The events of the transactions that this snapshot sees';
SELECT pg_catalog.pg_extension_config_dump('revops.suggestion_seq', '');
SELECT pg_catalog.pg_extension_config_dump('revops.field_suggestion', '');
SELECT pg_catalog.pg_extension_config_dump('revops.suggestion_cursor', '');

CREATE FUNCTION revops.suggest_fields(since timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
    least   CONSTANT float8 := 0.5;
    mine    CONSTANT int := revops.stream_epoch();
    at      CONSTANT timestamptz := revops.now();
    cur     revops.suggestion_cursor;
    sees    pg_snapshot;
    first   xid8 := '0';
    n       bigint;
BEGIN
    -- one at a time
    PERFORM pg_advisory_xact_lock(hashtextextended('revops.suggest_fields', 0));
    SELECT * INTO cur FROM revops.suggestion_cursor;
    sees := pg_current_snapshot();
    IF since IS NULL AND cur.epoch = mine THEN
        first := pg_snapshot_xmin(cur.seen);
    ELSE
        cur := NULL;
    END IF;
    -- Without a cursor of this database, what occurred since, or in the last four weeks; else what the last run could not see. What this
    -- snapshot does not see yet is for the next run.
    WITH heard AS (
        SELECT e.event_id, e.occurred_at, e.body, coalesce(o.opportunity, CASE WHEN e.opportunity IS NULL THEN a.opportunity END) AS opportunity
        FROM (SELECT x.* FROM revops.event x
              WHERE cur.seen IS NULL AND x.occurred_at >= coalesce(since, at - interval '28 days') AND x.body IS NOT NULL AND x.side = 'customer' AND NOT x.ahead
                AND (x.epoch <> mine OR pg_visible_in_snapshot(x.txid, sees))
              UNION ALL
              SELECT x.* FROM revops.event x
              WHERE cur.seen IS NOT NULL AND x.txid >= first AND x.epoch = mine AND x.body IS NOT NULL AND x.side = 'customer' AND NOT x.ahead
                AND pg_visible_in_snapshot(x.txid, sees) AND NOT pg_visible_in_snapshot(x.txid, cur.seen)) e
        LEFT JOIN revops.person v ON v.person = e.person
        LEFT JOIN revops.person k ON k.person = v.identity
        LEFT JOIN revops.opportunity o ON o.opportunity = e.opportunity
        LEFT JOIN LATERAL (SELECT min(y.opportunity) AS opportunity FROM revops.opportunity y
                           WHERE y.account = coalesce(e.account, k.account, v.account) AND y.status = 'open' HAVING count(*) = 1) a ON true
    ), said AS (
        -- of one event and field the surest; of competitors, all
        SELECT DISTINCT ON (h.opportunity, h.event_id, f.field, CASE WHEN f.field = 'competitor' THEN f.value END)
               h.opportunity, h.event_id, h.occurred_at, f.field COLLATE "C" AS field, f.value, f.confidence, f.span, f.evidence
        FROM heard h CROSS JOIN LATERAL revops.extract_fields(h.body, h.occurred_at) f
        WHERE h.opportunity IS NOT NULL AND f.confidence >= least
        ORDER BY h.opportunity, h.event_id, f.field, CASE WHEN f.field = 'competitor' THEN f.value END, f.confidence DESC, lower(f.span)
    ), known AS (
        SELECT s.*, o.properties ->> s.field AS former FROM said s JOIN revops.opportunity o USING (opportunity)
    )
    INSERT INTO revops.field_suggestion (opportunity, field, value, confidence, event_id, occurred_at, span, evidence, former, suggested_at)
    SELECT w.opportunity, w.field, w.value, w.confidence, w.event_id, w.occurred_at, w.span, w.evidence, w.former, at
    FROM known w
    WHERE w.value IS DISTINCT FROM w.former
      AND (w.field <> 'competitor' OR w.value <> ALL (coalesce(string_to_array(w.former, ', '), '{}')))
      AND NOT EXISTS (SELECT FROM revops.field_suggestion x WHERE x.opportunity = w.opportunity AND x.event_id = w.event_id AND x.field = w.field
                      AND (x.value = w.value OR w.field <> 'competitor'))
      AND NOT EXISTS (SELECT FROM revops.field_suggestion x WHERE x.opportunity = w.opportunity AND x.field = w.field AND x.value = w.value AND x.status = 'refused')
    ORDER BY w.occurred_at, w.event_id, w.field
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    INSERT INTO revops.suggestion_cursor AS c (one, epoch, seen) VALUES (true, mine, sees)
    ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, seen = excluded.seen
    -- a look at the past alone leaves the cursor where it is
    WHERE since IS NULL OR c.epoch <> mine;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.suggest_fields(timestamptz) IS
'Suggests values for fields of opportunities from what customers wrote since the last call, at first in the last 28 days (or from a time on); again is harmless. For a job every minute or so; returns how many are new';

CREATE FUNCTION revops.accept_suggestion(suggestion bigint, by text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s       revops.field_suggestion;
    present text;
    fresh   text;
BEGIN
    IF coalesce(by, '') = '' THEN
        RAISE EXCEPTION 'who accepts the suggestion must be said' USING ERRCODE = 'invalid_parameter_value', HINT = 'For example revops.accept_suggestion(17, ''li.na'').';
    ELSIF by <> revops.caller_bound() THEN
        RAISE EXCEPTION 'you are rep "%", and cannot accept suggestions for "%"', revops.caller_bound(), by USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT * INTO s FROM revops.field_suggestion x WHERE x.suggestion = suggestion;
    IF NOT FOUND OR NOT revops.caller_sees('opportunity', s.opportunity) THEN
        RAISE EXCEPTION 'there is no suggestion %', coalesce(suggestion::text, 'NULL') USING ERRCODE = 'undefined_object', HINT = 'revops.open_suggestion lists those that are open.';
    END IF;
    PERFORM revops.check_work((SELECT o.account FROM revops.opportunity o WHERE o.opportunity = s.opportunity),
                              ARRAY(SELECT o.owner FROM revops.opportunity o WHERE o.opportunity = s.opportunity));
    -- the opportunity first, as whoever sets a field does
    SELECT o.properties ->> s.field INTO present FROM revops.opportunity o WHERE o.opportunity = s.opportunity FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'opportunity "%" is gone', s.opportunity USING ERRCODE = 'undefined_object';
    END IF;
    SELECT * INTO s FROM revops.field_suggestion x WHERE x.suggestion = suggestion FOR UPDATE;
    IF s.status <> 'open' THEN
        RAISE EXCEPTION 'suggestion % is % already', suggestion, s.status USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF present IS DISTINCT FROM s.former AND present IS DISTINCT FROM s.value THEN
        UPDATE revops.field_suggestion x SET status = 'stale', decided_by = by, decided_at = revops.now(), reason = format('the field was set to "%s" since', present)
        WHERE x.opportunity = s.opportunity AND x.suggestion = suggestion;
        RETURN 'stale';
    END IF;
    fresh := CASE WHEN s.field = 'competitor' AND present <> '' AND present IS DISTINCT FROM s.value THEN present || ', ' || s.value ELSE s.value END;
    PERFORM revops.set_field('opportunity', s.opportunity, s.field, fresh, 'suggestion');
    UPDATE revops.field_suggestion x SET status = 'accepted', decided_by = by, decided_at = revops.now()
    WHERE x.opportunity = s.opportunity AND x.field = s.field AND x.value = s.value AND x.status = 'open';
    -- what was said before is of no interest now; what was said later may follow. Competitors are added to each other.
    UPDATE revops.field_suggestion x
    SET former = fresh,
        status = CASE WHEN s.field = 'competitor' OR (x.occurred_at, x.event_id) > (s.occurred_at, s.event_id) THEN 'open' ELSE 'stale' END,
        reason = CASE WHEN s.field = 'competitor' OR (x.occurred_at, x.event_id) > (s.occurred_at, s.event_id) THEN NULL ELSE 'a newer value was accepted' END
    WHERE x.opportunity = s.opportunity AND x.field = s.field AND x.status = 'open' AND x.former IS NOT DISTINCT FROM s.former;
    RETURN 'accepted';
END $$;
COMMENT ON FUNCTION revops.accept_suggestion(bigint, text) IS
'Sets the field to what was suggested. Where a person has set it since, nothing is overwritten: the suggestion becomes stale. Returns accepted or stale';

CREATE FUNCTION revops.refuse_suggestion(suggestion bigint, by text, reason text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s   revops.field_suggestion;
    n   int;
BEGIN
    IF coalesce(by, '') = '' THEN
        RAISE EXCEPTION 'who refuses the suggestion must be said' USING ERRCODE = 'invalid_parameter_value', HINT = 'For example revops.refuse_suggestion(17, ''li.na'', ''heard wrong'').';
    ELSIF by <> revops.caller_bound() THEN
        RAISE EXCEPTION 'you are rep "%", and cannot refuse suggestions for "%"', revops.caller_bound(), by USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT * INTO s FROM revops.field_suggestion x WHERE x.suggestion = suggestion FOR UPDATE;
    IF NOT FOUND OR NOT revops.caller_sees('opportunity', s.opportunity) THEN
        RAISE EXCEPTION 'there is no suggestion %', coalesce(suggestion::text, 'NULL') USING ERRCODE = 'undefined_object', HINT = 'revops.open_suggestion lists those that are open.';
    ELSIF s.status <> 'open' THEN
        RAISE EXCEPTION 'suggestion % is % already', suggestion, s.status USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE revops.field_suggestion x SET status = 'refused', decided_by = by, decided_at = revops.now(), reason = refuse_suggestion.reason
    WHERE x.opportunity = s.opportunity AND x.field = s.field AND x.value = s.value AND x.status = 'open';
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.refuse_suggestion(bigint, text, text) IS
'Refuses what was suggested: all open suggestions of that value for that field, and none comes again. Returns how many';

CREATE VIEW revops.open_suggestion WITH (security_barrier) AS
WITH told AS (
    SELECT DISTINCT ON (s.opportunity, s.field, s.value) s.*,
           1 - exp(sum(ln(1 - least(s.confidence, 0.99))) OVER w) AS together, count(*) OVER w AS mentions
    FROM revops.field_suggestion s WHERE s.status = 'open'
    WINDOW w AS (PARTITION BY s.opportunity, s.field, s.value)
    ORDER BY s.opportunity, s.field, s.value, s.occurred_at DESC, s.event_id DESC
)
SELECT t.opportunity, t.field, row_number() OVER (PARTITION BY t.opportunity, t.field ORDER BY t.together DESC, t.occurred_at DESC, t.event_id DESC, t.value)::int AS rank,
       t.value, t.together AS confidence, t.mentions, t.suggestion, t.evidence, t.event_id, t.span, t.occurred_at,
       o.properties ->> t.field AS present, o.properties ->> t.field IS DISTINCT FROM t.former AS stale
FROM told t JOIN revops.opportunity o USING (opportunity)
ORDER BY 1, 2, 3;
COMMENT ON VIEW revops.open_suggestion IS 'What waits for a person''s word: for each opportunity and field the values that were said, the best first';
COMMENT ON COLUMN revops.open_suggestion.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.open_suggestion.field IS 'The field';
COMMENT ON COLUMN revops.open_suggestion.rank IS '1 is the best for the field';
COMMENT ON COLUMN revops.open_suggestion.value IS 'The value';
COMMENT ON COLUMN revops.open_suggestion.confidence IS '0 to 1, of all events that say so together';
COMMENT ON COLUMN revops.open_suggestion.mentions IS 'How many events say so';
COMMENT ON COLUMN revops.open_suggestion.suggestion IS 'The newest suggestion of it: what to accept or refuse';
COMMENT ON COLUMN revops.open_suggestion.evidence IS 'The words of that';
COMMENT ON COLUMN revops.open_suggestion.event_id IS 'The event of that';
COMMENT ON COLUMN revops.open_suggestion.span IS 'Where in its body, in characters from 0 on';
COMMENT ON COLUMN revops.open_suggestion.occurred_at IS 'When it was said';
COMMENT ON COLUMN revops.open_suggestion.present IS 'The field''s value now';
COMMENT ON COLUMN revops.open_suggestion.stale IS 'A person has set the field since: accepting overwrites nothing';
