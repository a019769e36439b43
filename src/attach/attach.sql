-- attach: a company's own tables as the source of accounts, people, reps, opportunities and events

CREATE TABLE revops.attached (
    attachment  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      regclass NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    mapping     jsonb NOT NULL,
    write_back  boolean NOT NULL,
    event_space text NOT NULL,
    epoch       int NOT NULL DEFAULT revops.stream_epoch(),
    attached_at timestamptz NOT NULL DEFAULT revops.now(),
    applied     bigint NOT NULL DEFAULT 0,
    last_applied_at timestamptz,
    error       text,
    retry_at    timestamptz,
    UNIQUE (source, kind)
);
COMMENT ON TABLE revops.attached IS 'The tables that are attached; revops.attachment shows how they stand';
COMMENT ON COLUMN revops.attached.event_space IS 'What the ids of its events are made of, with the key of the row: the table''s name when it was attached';
COMMENT ON COLUMN revops.attached.epoch IS 'revops.stream_epoch() where it is at work: a restored one waits for revops.start_worker() or revops.process()';
COMMENT ON COLUMN revops.attached.retry_at IS 'Until when the stream leaves it alone, after an error of the table as a whole';
SELECT pg_catalog.pg_extension_config_dump('revops.attached', '');
SELECT pg_catalog.pg_extension_config_dump('revops.attached_attachment_seq', '');

CREATE TABLE revops.attached_row (
    subject     text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    attachment  int NOT NULL,
    source_key  text COLLATE "C" NOT NULL,
    applied     jsonb NOT NULL,
    PRIMARY KEY (subject, kind)
);
CREATE INDEX attached_row_source ON revops.attached_row (attachment, source_key);
COMMENT ON TABLE revops.attached_row IS 'Which row of which attached table each account, person, rep and opportunity comes from, and what the row said when it was read last';
COMMENT ON COLUMN revops.attached_row.applied IS 'What the mapping gave last: only what differs from it is taken over, so that what was set here meanwhile stands';
SELECT pg_catalog.pg_extension_config_dump('revops.attached_row', '');

CREATE TABLE revops.attachment_change (
    attachment  int NOT NULL,
    change_id   bigint GENERATED ALWAYS AS IDENTITY,
    scope       text NOT NULL CHECK (scope IN ('keys', 'known', 'all')),
    keys        text[],
    n           int NOT NULL,
    queued_at   timestamptz NOT NULL DEFAULT revops.now(),
    PRIMARY KEY (attachment, change_id)
);
ALTER TABLE revops.attachment_change ALTER COLUMN keys SET STORAGE EXTERNAL;
COMMENT ON TABLE revops.attachment_change IS 'Rows of attached tables that changed and are still to be read';
COMMENT ON COLUMN revops.attachment_change.scope IS 'keys: these rows; known: all rows that were taken over (after TRUNCATE); all: these and all that the table has';
SELECT pg_catalog.pg_extension_config_dump('revops.attachment_change', '');
SELECT pg_catalog.pg_extension_config_dump('revops.attachment_change_change_id_seq', '');

CREATE TABLE revops.attachment_error (
    attachment  int NOT NULL,
    source_key  text COLLATE "C" NOT NULL,
    subject     text COLLATE "C",
    sqlstate    text NOT NULL,
    error       text NOT NULL,
    failed_at   timestamptz NOT NULL DEFAULT revops.now(),
    attempts    int NOT NULL DEFAULT 1,
    PRIMARY KEY (attachment, source_key)
);
CREATE INDEX attachment_error_subject ON revops.attachment_error (subject) WHERE subject IS NOT NULL;
COMMENT ON TABLE revops.attachment_error IS 'Rows of attached tables that could not be taken over, with the reason: what was there before stands. Tried again when the row changes, and by revops.retry_attachment()';
COMMENT ON COLUMN revops.attachment_error.attachment IS 'The attachment; revops.attachment has its table';
COMMENT ON COLUMN revops.attachment_error.source_key IS 'Primary key of the row; of several columns, as the text of an array';
COMMENT ON COLUMN revops.attachment_error.subject IS 'Our key, where the reason is that another row has it';
COMMENT ON COLUMN revops.attachment_error.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN revops.attachment_error.error IS 'What is wrong';
COMMENT ON COLUMN revops.attachment_error.failed_at IS 'When it was tried last';
COMMENT ON COLUMN revops.attachment_error.attempts IS 'How often it has been tried';
SELECT pg_catalog.pg_extension_config_dump('revops.attachment_error', '');

-- Writers: the triggers of an attached table, which queue keys

CREATE FUNCTION revops.attachment_trigger() RETURNS trigger
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
AS 'MODULE_PATHNAME', 'revops_attachment_trigger';
COMMENT ON FUNCTION revops.attachment_trigger() IS 'Trigger of attached tables: queues the keys of rows that changed';

-- One set of triggers on the table, and on each partition, for writes that name it: a statement fires those of the table that it names alone.
CREATE FUNCTION revops.equip_attachment(attachment int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a       revops.attached;
    rel     regclass;
    op      text;
    made    int := 0;
BEGIN
    SELECT * INTO STRICT a FROM revops.attached x WHERE x.attachment = equip_attachment.attachment;
    FOR rel IN
        SELECT c.oid FROM pg_class c
        WHERE c.oid IN (SELECT a.source UNION SELECT t.relid FROM pg_partition_tree(a.source) t)
          AND c.relkind IN ('r', 'p')
          AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = format('revops_%s_truncate', a.kind))
        ORDER BY c.oid
    LOOP
        FOREACH op IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION revops.attachment_trigger(%L)',
                           format('revops_%s_%s', a.kind, op), op, rel,
                           CASE op WHEN 'insert' THEN 'REFERENCING NEW TABLE AS revops_new'
                                   WHEN 'update' THEN 'REFERENCING OLD TABLE AS revops_old NEW TABLE AS revops_new'
                                   WHEN 'delete' THEN 'REFERENCING OLD TABLE AS revops_old' ELSE '' END, a.attachment);
        END LOOP;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION revops.equip_attachment(int) IS 'Makes the triggers of an attachment that are missing on its table and its partitions; returns on how many tables';

CREATE FUNCTION revops.strip_attachment(attachment int, kind text, rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    name    text;
BEGIN
    FOR name IN
        -- not LIKE: to plan it takes the square of the pattern's length
        SELECT g.tgname FROM pg_trigger g
        WHERE g.tgrelid = rel AND g.tgfoid = 'revops.attachment_trigger'::regproc AND left(g.tgname, length(kind) + 8) = format('revops_%s_', kind)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, rel);
    END LOOP;
END $$;
COMMENT ON FUNCTION revops.strip_attachment(int, text, regclass) IS 'Drops the triggers of an attachment from a table';

-- Reading

CREATE FUNCTION revops.attachment_rows(attachment int, keys text[], OUT source_key text, OUT row_ jsonb) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
AS 'MODULE_PATHNAME', 'revops_attachment_rows';
COMMENT ON FUNCTION revops.attachment_rows(int, text[]) IS 'The rows of an attached table that have these keys, as the mapping reads them, with the rights of the table''s owner';

CREATE FUNCTION revops.attachment_keys(attachment int) RETURNS SETOF text
LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
AS 'MODULE_PATHNAME', 'revops_attachment_keys';
COMMENT ON FUNCTION revops.attachment_keys(int) IS 'The keys of all rows of an attached table';

CREATE FUNCTION revops.merge_properties(ours jsonb, former jsonb, fresh jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed jsonb;
BEGIN
    fresh := coalesce(nullif(fresh, 'null'), '{}');
    former := coalesce(nullif(former, 'null'), '{}');
    ours := coalesce(ours, '{}');
    IF jsonb_typeof(fresh) <> 'object' THEN
        RAISE EXCEPTION 'properties are not a JSON object but %', jsonb_typeof(fresh) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF fresh = former THEN
        RETURN ours;
    END IF;
    SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') INTO changed
    FROM jsonb_each(fresh) f WHERE f.value IS DISTINCT FROM former -> f.key;
    RETURN (ours - ARRAY(SELECT f.key FROM jsonb_object_keys(former) f(key) WHERE NOT fresh ? f.key)
                 - ARRAY(SELECT c.key FROM jsonb_each(changed) c WHERE c.value = 'null'))
           || coalesce((SELECT jsonb_object_agg(c.key, c.value) FROM jsonb_each(changed) c WHERE c.value <> 'null'), '{}');
END $$;
COMMENT ON FUNCTION revops.merge_properties(jsonb, jsonb, jsonb) IS 'Our properties with what a source''s row changed between two readings; what it did not change stays as it is here';

CREATE FUNCTION revops.attachment_columns(kind text, mapping jsonb)
RETURNS TABLE (name text, type text, absent text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- absent: what stands where a source says nothing and the column must not be NULL
    SELECT t.attname::text, format_type(t.atttypid, t.atttypmod),
           CASE WHEN NOT t.attnotnull THEN NULL WHEN d.oid IS NOT NULL THEN pg_get_expr(d.adbin, d.adrelid)
                WHEN $1 = 'rep' AND t.attname = 'name' THEN 'u.subject' END
    FROM pg_attribute t LEFT JOIN pg_attrdef d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
    WHERE t.attrelid = ('revops.' || $1)::regclass AND t.attnum > 0 AND NOT t.attisdropped
      AND ($2 ? t.attname OR ($1 = 'rep' AND t.attname = 'name')) AND t.attname <> CASE WHEN $1 = 'event' THEN 'event_id' ELSE $1 END
    ORDER BY t.attnum
$$;
COMMENT ON FUNCTION revops.attachment_columns(text, jsonb) IS 'The columns of ours that a mapping fills, but for the key';

-- Applying. Of a batch of keys: what the source has now decides, so the order of changes and of writers does not matter.

CREATE FUNCTION revops.write_source_events(attachment int, keys text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' AS $$
#variable_conflict use_variable
DECLARE
    a       revops.attached;
    names   text;
    reads   text;
    n       bigint;
BEGIN
    SELECT * INTO STRICT a FROM revops.attached x WHERE x.attachment = write_source_events.attachment;
    SELECT string_agg(format('%I', c.name), ', '),
           string_agg(CASE WHEN c.type = 'jsonb' THEN format('nullif(r.row_ -> %L, ''null'')', c.name)
                           WHEN c.type = 'text' AND c.absent IS NOT NULL THEN format('coalesce(r.row_ ->> %L, %s)', c.name, c.absent)
                           ELSE format('(r.row_ ->> %L)::%s', c.name, c.type) END, ', ')
    INTO names, reads FROM revops.attachment_columns(a.kind, a.mapping) c;
    EXECUTE format('INSERT INTO revops.event (event_id, %s)
                    SELECT coalesce((r.row_ ->> ''event_id'')::uuid, revops.message_uuid($3 || '' '' || r.source_key)), %s
                    FROM revops.attachment_rows($1, $2) r ORDER BY (r.row_ ->> ''occurred_at'')::timestamptz, r.source_key ON CONFLICT DO NOTHING', names, reads)
    USING attachment, keys, a.event_space;
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM revops.attachment_error e WHERE e.attachment = write_source_events.attachment AND e.source_key = ANY (keys);
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.write_source_events(int, text[]) IS 'Writes the events that rows of an attached table are; an event that is there already changes nothing';

CREATE FUNCTION revops.write_source_rows(attachment int, keys text[], dropping boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET revops.change_origin = 'source'
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    a           revops.attached;
    subjects    text[];
    sources     text[];
    rows        jsonb[];
    formers     jsonb[];
    refused     text[];
    refused_as  text[];
    former      text[];
    freed       text[];
    inserted    text[];
    names       text;
    fresh       text;
    differs     text;
    sets        text;
    n           bigint;
    m           bigint;
    bad         text;
BEGIN
    SELECT * INTO STRICT a FROM revops.attached x WHERE x.attachment = write_source_rows.attachment;

    -- who is whose: of rows that give the same key, the one that had it, else the first; none if a row beyond this batch has it
    SELECT array_agg(l.subject ORDER BY l.subject) INTO former
    FROM unnest(keys) AS k(key)
    CROSS JOIN LATERAL (SELECT x.subject FROM revops.attached_row x WHERE x.attachment = a.attachment AND x.source_key = k.key OFFSET 0) l;
    WITH read AS MATERIALIZED (
        SELECT r.source_key, r.row_ ->> a.kind AS subject, r.row_ FROM revops.attachment_rows(attachment, keys) r
    ), known AS (
        SELECT r.*, l.source_key AS had, l.applied, CASE WHEN l.attachment IS NULL THEN false WHEN l.attachment <> a.attachment THEN true WHEN l.source_key IN (SELECT unnest(keys)) THEN false
                    -- another row of the table: unless it has another key by now
                    ELSE EXISTS (SELECT FROM revops.attachment_rows(attachment, ARRAY[l.source_key]) o WHERE o.row_ ->> a.kind = r.subject) END AS elsewhere
        FROM read r LEFT JOIN LATERAL (SELECT * FROM revops.attached_row x WHERE x.subject = r.subject AND x.kind = a.kind OFFSET 0) l ON true
    ), ranked AS (
        SELECT k.*, row_number() OVER (PARTITION BY k.subject ORDER BY (k.had = k.source_key) DESC NULLS LAST, k.source_key) > 1 OR k.elsewhere AS refused FROM known k
    )
    SELECT array_agg(r.subject ORDER BY r.subject) FILTER (WHERE NOT r.refused), array_agg(r.source_key ORDER BY r.subject) FILTER (WHERE NOT r.refused),
           array_agg(r.row_ ORDER BY r.subject) FILTER (WHERE NOT r.refused), array_agg(r.applied ORDER BY r.subject) FILTER (WHERE NOT r.refused),
           array_agg(r.source_key ORDER BY r.subject) FILTER (WHERE r.refused), array_agg(r.subject ORDER BY r.subject) FILTER (WHERE r.refused),
           min(CASE WHEN r.subject IS NULL OR r.subject = '' THEN 'the key is empty'
                    WHEN octet_length(r.subject) > 512 THEN 'the key is longer than 512 bytes'
                    WHEN a.kind = 'opportunity' AND r.row_ ->> 'status' NOT IN ('open', 'won', 'lost')
                        THEN format('status "%s" is not open, won or lost', r.row_ ->> 'status') END)
    INTO subjects, sources, rows, formers, refused, refused_as, bad
    FROM ranked r;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION '%', bad USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT array_agg(f.subject) INTO freed FROM (SELECT unnest(former) EXCEPT SELECT unnest(subjects)) AS f(subject);
    IF EXISTS (SELECT FROM revops.attachment_error e WHERE e.attachment = a.attachment) THEN
        DELETE FROM revops.attachment_error e WHERE e.attachment = a.attachment AND e.source_key IN (SELECT unnest(keys) EXCEPT SELECT unnest(refused));
    END IF;
    INSERT INTO revops.attachment_error AS e (attachment, source_key, subject, sqlstate, error)
    SELECT a.attachment, r.source_key, r.subject, '23505', format('another row is %s "%s" already', a.kind, r.subject)
    FROM unnest(refused, refused_as) AS r(source_key, subject)
    ON CONFLICT ON CONSTRAINT attachment_error_pkey DO UPDATE SET subject = excluded.subject, sqlstate = excluded.sqlstate, error = excluded.error,
        failed_at = excluded.failed_at, attempts = e.attempts + 1;

    IF subjects IS NOT NULL THEN
        SELECT string_agg(format('%I', c.name), ', '),
               string_agg(CASE WHEN c.name = 'properties' THEN 'revops.merge_properties(NULL, NULL, u.row_ -> ''properties'')'
                               WHEN c.absent IS NULL THEN format('(u.row_ ->> %L)::%s', c.name, c.type)
                               ELSE format('coalesce((u.row_ ->> %L)::%s, %s)', c.name, c.type, c.absent) END, ', '),
               string_agg(format('%I = CASE WHEN %s THEN %s ELSE t.%1$I END', c.name, w.differs, w.fresh), ', ') FILTER (WHERE a.mapping ? c.name),
               string_agg(format('%s AND %s IS DISTINCT FROM t.%I', w.differs, w.fresh, c.name), ' OR ') FILTER (WHERE a.mapping ? c.name)
        INTO names, fresh, sets, differs
        FROM revops.attachment_columns(a.kind, a.mapping) c
        CROSS JOIN LATERAL (
            SELECT format('u.row_ -> %1$L IS DISTINCT FROM u.former -> %1$L', c.name) AS differs,
                   CASE WHEN c.name = 'properties' THEN 'revops.merge_properties(t.properties, u.former -> ''properties'', u.row_ -> ''properties'')'
                        WHEN c.absent IS NULL THEN format('(u.row_ ->> %L)::%s', c.name, c.type)
                        ELSE format('coalesce((u.row_ ->> %L)::%s, %s)', c.name, c.type, c.absent) END AS fresh) w;
        EXECUTE format('WITH made AS (
                            INSERT INTO revops.%1$I (%1$I%2$s)
                            SELECT u.subject%3$s FROM unnest($1, $2) AS u(subject, row_)
                            ON CONFLICT DO NOTHING RETURNING %1$I)
                        SELECT array_agg(%1$I) FROM made', a.kind, ', ' || names, ', ' || fresh)
        INTO inserted USING subjects, rows;
        n := coalesce(cardinality(inserted), 0);
        IF sets IS NOT NULL AND n < cardinality(subjects) THEN
            EXECUTE format('UPDATE revops.%1$I t SET %2$s FROM unnest($1, $2, $3) AS u(subject, row_, former)
                            WHERE t.%1$I = u.subject AND (%3$s) AND NOT t.%1$I = ANY ($4)', a.kind, sets, differs)
            USING subjects, rows, formers, coalesce(inserted, '{}');
            GET DIAGNOSTICS m = ROW_COUNT;
            n := n + m;
        END IF;
    END IF;
    IF freed IS NOT NULL AND dropping THEN
        -- who a visitor turned out to be is ours, and outlives the row: a contact that was merged into another one, say
        IF a.kind = 'person' THEN
            UPDATE revops.person p SET account = NULL, name = NULL, title = NULL, time_zone = NULL, properties = '{}' WHERE p.person = ANY (freed) AND p.identity IS NOT NULL;
            GET DIAGNOSTICS m = ROW_COUNT;
            n := coalesce(n, 0) + m;
        END IF;
        EXECUTE format('DELETE FROM revops.%1$I WHERE %1$I = ANY ($1)%2$s', a.kind, CASE a.kind WHEN 'person' THEN ' AND identity IS NULL' ELSE '' END) USING freed;
        GET DIAGNOSTICS m = ROW_COUNT;
        n := coalesce(n, 0) + m;
        DELETE FROM revops.attached_row l WHERE l.kind = a.kind AND l.subject = ANY (freed);
        -- a row that another one kept out may come in now
        INSERT INTO revops.attachment_change (attachment, scope, keys, n)
        SELECT e.attachment, 'keys', array_agg(e.source_key), count(*)
        FROM revops.attachment_error e JOIN revops.attached o USING (attachment)
        WHERE e.subject = ANY (freed) AND o.kind = a.kind GROUP BY e.attachment;
    END IF;
    IF subjects IS NOT NULL THEN
        INSERT INTO revops.attached_row AS l (subject, kind, attachment, source_key, applied)
        SELECT u.subject, a.kind, a.attachment, u.source_key, u.row_ FROM unnest(subjects, sources, rows) AS u(subject, source_key, row_)
        ON CONFLICT (subject, kind) DO UPDATE SET source_key = excluded.source_key, applied = excluded.applied
        WHERE (l.source_key, l.applied) IS DISTINCT FROM (excluded.source_key, excluded.applied);
    END IF;
    RETURN coalesce(n, 0);
END $$;
COMMENT ON FUNCTION revops.write_source_rows(int, text[], boolean) IS
'Brings the accounts, people, reps or opportunities of these rows of an attached table to what the rows say now; returns how many changed';

-- All of them at once; if that fails, halves, until the row stands alone whose fault it is.
CREATE FUNCTION revops.apply_source_keys(attachment int, keys text[], dropping boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    half    int := cardinality(keys) / 2;
    state   text;
    message text;
    n       bigint;
    rest    text[];
BEGIN
    BEGIN
        IF (SELECT x.kind FROM revops.attached x WHERE x.attachment = apply_source_keys.attachment) = 'event' THEN
            RETURN revops.write_source_events(attachment, keys);
        END IF;
        RETURN revops.write_source_rows(attachment, keys, dropping);
    EXCEPTION
        WHEN transaction_rollback OR insufficient_resources OR operator_intervention OR system_error OR lock_not_available THEN
            RAISE;
        WHEN OTHERS OR assert_failure THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;
    IF state LIKE '42%' THEN
        -- the table or the mapping is at fault, if it fails without any row too
        PERFORM FROM revops.attachment_rows(attachment, '{}');
    END IF;
    IF half = 0 THEN
        INSERT INTO revops.attachment_error AS e (attachment, source_key, sqlstate, error) VALUES (attachment, keys[1], state, message)
        ON CONFLICT ON CONSTRAINT attachment_error_pkey DO UPDATE
            SET subject = NULL, sqlstate = excluded.sqlstate, error = excluded.error, failed_at = excluded.failed_at, attempts = e.attempts + 1;
        RETURN 0;
    END IF;
    -- first what is there, then what is gone: a row whose key changed is found under its new key before the old one is dropped
    n := revops.apply_source_keys(attachment, keys[:half], false) + revops.apply_source_keys(attachment, keys[half + 1:], false);
    IF dropping THEN
        SELECT array_agg(u.key) INTO rest
        FROM (SELECT unnest(keys) AS key
              EXCEPT SELECT e.source_key FROM revops.attachment_error e WHERE e.attachment = apply_source_keys.attachment) u;
        IF rest IS NOT NULL AND (SELECT x.kind FROM revops.attached x WHERE x.attachment = apply_source_keys.attachment) <> 'event' THEN
            n := n + revops.write_source_rows(attachment, rest);
        END IF;
    END IF;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.apply_source_keys(int, text[], boolean) IS 'Applies rows of an attached table, and keeps those that fail in revops.attachment_error; returns how many of ours changed';

-- A batch of one attachment. Whoever applies it holds its row, so that no older reading overwrites a newer one.
CREATE FUNCTION revops.apply_attached(attachment int, nowait boolean, OUT changed bigint, OUT more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most    CONSTANT int := 5000;
    a       revops.attached;
    wide    text;
    asked   bigint[];
    batch   text[];
    message text;
    state   text;
BEGIN
    changed := 0;
    more := false;
    IF nowait THEN
        SELECT * INTO a FROM revops.attached x WHERE x.attachment = apply_attached.attachment FOR UPDATE SKIP LOCKED;
    ELSE
        SELECT * INTO a FROM revops.attached x WHERE x.attachment = apply_attached.attachment FOR UPDATE;
    END IF;
    IF a.attachment IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        -- what is to be read anew as a whole, as keys
        SELECT CASE WHEN bool_or(c.scope = 'all') THEN 'all' WHEN count(*) > 0 THEN 'known' END, array_agg(c.change_id) INTO wide, asked
        FROM revops.attachment_change c WHERE c.attachment = a.attachment AND c.scope <> 'keys';
        IF wide IS NOT NULL THEN
            PERFORM FROM revops.attachment_rows(a.attachment, '{}');    -- fails here, and not after all the work
            INSERT INTO revops.attachment_change (attachment, scope, keys, n)
            SELECT a.attachment, 'keys', array_agg(k.key), count(*)
            FROM (SELECT u.key, (row_number() OVER () - 1) / 1000 AS piece
                  FROM (SELECT l.source_key AS key FROM revops.attached_row l WHERE l.attachment = a.attachment
                        UNION SELECT e.source_key FROM revops.attachment_error e WHERE e.attachment = a.attachment
                        UNION SELECT f.key FROM revops.attachment_keys(CASE wide WHEN 'all' THEN a.attachment END) AS f(key)) u) k
            GROUP BY k.piece;
            DELETE FROM revops.attachment_change c WHERE c.attachment = a.attachment AND c.change_id = ANY (asked);
        END IF;

        WITH upcoming AS (
            SELECT c.change_id, c.keys, sum(c.n) OVER (ORDER BY c.change_id) - c.n AS before
            FROM (SELECT * FROM revops.attachment_change x WHERE x.attachment = a.attachment AND x.scope = 'keys' ORDER BY x.change_id LIMIT most) c
        ), taken AS (
            DELETE FROM revops.attachment_change c
            WHERE c.attachment = a.attachment AND c.change_id IN (SELECT u.change_id FROM upcoming u WHERE u.before < most)
            RETURNING c.keys
        )
        SELECT array_agg(DISTINCT k.key) INTO batch FROM taken t CROSS JOIN unnest(t.keys) AS k(key);
        IF batch IS NOT NULL THEN
            changed := revops.apply_source_keys(a.attachment, batch);
        END IF;
        more := EXISTS (SELECT FROM revops.attachment_change c WHERE c.attachment = a.attachment);
        UPDATE revops.attached x SET applied = x.applied + coalesce(cardinality(batch), 0), last_applied_at = revops.now(), error = NULL, retry_at = NULL
        WHERE x.attachment = a.attachment;
    EXCEPTION
        WHEN lock_not_available OR deadlock_detected THEN
            IF NOT nowait THEN
                RAISE;
            END IF;
            more := false;
        WHEN operator_intervention THEN
            RAISE;
        WHEN OTHERS OR assert_failure THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
            UPDATE revops.attached x SET error = message, retry_at = revops.now() + interval '10 seconds' WHERE x.attachment = a.attachment;
            changed := 0;
            more := false;
    END;
END $$;
COMMENT ON FUNCTION revops.apply_attached(int, boolean) IS 'Applies a batch of what one attached table has queued; more: there is more that can be applied now';

CREATE FUNCTION revops.apply_attachments_behind(by_hand boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    a       record;
    more    boolean := false;
    r       record;
BEGIN
    FOR a IN
        SELECT x.attachment, x.epoch FROM revops.attached x
        WHERE (by_hand OR x.epoch = revops.stream_epoch()) AND NOT coalesce(x.retry_at > revops.now(), false)
          AND EXISTS (SELECT FROM revops.attachment_change c WHERE c.attachment = x.attachment)
        ORDER BY x.attachment
    LOOP
        IF a.epoch <> revops.stream_epoch() THEN
            UPDATE revops.attached x SET epoch = revops.stream_epoch() WHERE x.attachment = a.attachment;
        END IF;
        SELECT * INTO r FROM revops.apply_attached(a.attachment, true);
        more := more OR r.more;
    END LOOP;
    RETURN more;
END $$;
COMMENT ON FUNCTION revops.apply_attachments_behind(boolean) IS 'A batch of each attached table, for the stream: what is locked is left for later; returns whether there is more';

CREATE FUNCTION revops.apply_attachments(source regclass DEFAULT NULL, kind text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a       record;
    r       record;
    n       bigint := 0;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'revops.apply_attachments() needs a READ COMMITTED transaction' USING ERRCODE = 'active_sql_transaction',
            HINT = 'Run it with SET TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    UPDATE revops.attached x SET epoch = revops.stream_epoch() WHERE x.epoch <> revops.stream_epoch();
    FOR a IN
        SELECT x.attachment FROM revops.attached x
        WHERE (source IS NULL OR x.source = source) AND (kind IS NULL OR x.kind = kind) ORDER BY x.attachment
    LOOP
        LOOP
            SELECT * INTO r FROM revops.apply_attached(a.attachment, false);
            n := n + r.changed;
            EXIT WHEN NOT r.more;
        END LOOP;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.apply_attachments(regclass, text) IS
'Applies at once all that attached tables (NULL: all of them) have queued, which the stream would do behind; returns how many accounts, people, reps, opportunities and events changed';

-- For people

CREATE FUNCTION revops.attach(source regclass, kind text, mapping jsonb, backfill boolean DEFAULT true, write_back boolean DEFAULT false) RETURNS int
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'revops_attach';
COMMENT ON FUNCTION revops.attach(regclass, text, jsonb, boolean, boolean) IS
'Attaches a table of yours as accounts, people, reps, opportunities or events (kind): mapping says which column or expression of its rows is which field of ours. backfill takes over the rows that are there; write_back lets revops.set_field() update the rows. Returns the attachment''s number';

CREATE FUNCTION revops.attachment_number(source regclass, kind text) RETURNS int
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_ int;
BEGIN
    SELECT x.attachment INTO found_ FROM revops.attached x WHERE x.source = $1 AND x.kind = $2;
    IF found_ IS NULL THEN
        RAISE EXCEPTION 'table % is not attached as "%"', source, kind USING ERRCODE = 'undefined_object', HINT = 'See revops.attachment.';
    END IF;
    RETURN found_;
END $$;
COMMENT ON FUNCTION revops.attachment_number(regclass, text) IS 'The number of an attachment; an error where there is none';

CREATE FUNCTION revops.forget_attachments(numbers int[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- rows of others that theirs kept out may come in now
    INSERT INTO revops.attachment_change (attachment, scope, keys, n)
    SELECT e.attachment, 'keys', array_agg(e.source_key), count(*)
    FROM revops.attached_row l
    JOIN revops.attachment_error e ON e.subject = l.subject AND e.attachment <> ALL (numbers)
    JOIN revops.attached o ON o.attachment = e.attachment AND o.kind = l.kind
    WHERE l.attachment = ANY (numbers) GROUP BY e.attachment;
    DELETE FROM revops.attached x WHERE x.attachment = ANY (numbers);
    DELETE FROM revops.attachment_change x WHERE x.attachment = ANY (numbers);
    DELETE FROM revops.attachment_error x WHERE x.attachment = ANY (numbers);
    DELETE FROM revops.attached_row x WHERE x.attachment = ANY (numbers);
END $$;
COMMENT ON FUNCTION revops.forget_attachments(int[]) IS 'Ends attachments whose triggers are gone: forgets their rows, and lets in what these kept out of others';

CREATE FUNCTION revops.detach(source regclass, kind text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    number  int := revops.attachment_number(source, kind);
    rel     regclass;
BEGIN
    -- the table first, as its writers and attach() do
    FOR rel IN SELECT source UNION SELECT t.relid FROM pg_partition_tree(source) t LOOP
        PERFORM revops.strip_attachment(number, kind, rel);
    END LOOP;
    PERFORM revops.forget_attachments(ARRAY[number]);
END $$;
COMMENT ON FUNCTION revops.detach(regclass, text) IS 'Detaches a table: its changes are no longer taken over. What was taken over stays, and so do its events';

CREATE FUNCTION revops.retry_attachment(source regclass, kind text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    number  int := revops.attachment_number(source, kind);
    n       bigint;
BEGIN
    UPDATE revops.attached x SET retry_at = NULL WHERE x.attachment = number;
    INSERT INTO revops.attachment_change (attachment, scope, keys, n)
    SELECT number, 'keys', array_agg(k.source_key), count(*)
    FROM (SELECT e.source_key, (row_number() OVER () - 1) / 1000 AS piece FROM revops.attachment_error e WHERE e.attachment = number) k GROUP BY k.piece;
    SELECT count(*) INTO n FROM revops.attachment_error e WHERE e.attachment = number;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.retry_attachment(regclass, text) IS 'Queues the rows of an attached table that are in revops.attachment_error to be tried again; returns how many';

CREATE FUNCTION revops.resync_attachment(source regclass, kind text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO revops.attachment_change (attachment, scope, n) VALUES (revops.attachment_number(source, kind), 'all', 0);
END $$;
COMMENT ON FUNCTION revops.resync_attachment(regclass, text) IS
'Queues all rows of an attached table to be read again: for changes that fire no trigger, such as those of logical replication';

CREATE VIEW revops.attachment AS
SELECT a.attachment, a.source, a.kind, a.mapping, a.write_back, a.attached_at,
       (SELECT count(*) FROM revops.attached_row l WHERE l.attachment = a.attachment) AS rows,
       a.applied, w.waiting, coalesce(greatest(revops.now() - w.oldest, interval '0'), interval '0') AS lag,
       (SELECT count(*) FROM revops.attachment_error e WHERE e.attachment = a.attachment) AS errors,
       a.last_applied_at,
       CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.source) THEN 'the table does not exist any more' ELSE a.error END AS error
FROM revops.attached a
CROSS JOIN LATERAL (SELECT coalesce(sum(c.n), 0) AS waiting, min(c.queued_at) AS oldest
                    FROM revops.attachment_change c WHERE c.attachment = a.attachment) w;
COMMENT ON VIEW revops.attachment IS 'The attached tables, and how far they are taken over';
COMMENT ON COLUMN revops.attachment.attachment IS 'Its number; revops.attachment_error has the rows that failed by it';
COMMENT ON COLUMN revops.attachment.source IS 'The table';
COMMENT ON COLUMN revops.attachment.kind IS 'What its rows are: account, person, rep, opportunity or event';
COMMENT ON COLUMN revops.attachment.mapping IS 'Our fields, and the column or expression that each is read from';
COMMENT ON COLUMN revops.attachment.write_back IS 'Whether revops.set_field() updates the table too';
COMMENT ON COLUMN revops.attachment.attached_at IS 'Since when';
COMMENT ON COLUMN revops.attachment.rows IS 'Accounts, people, reps or opportunities that come from it; 0 for events, which are appended';
COMMENT ON COLUMN revops.attachment.applied IS 'Rows that have been read, ever; a row counts each time that it is read';
COMMENT ON COLUMN revops.attachment.waiting IS 'Keys of changed rows that are still to be read';
COMMENT ON COLUMN revops.attachment.lag IS 'How long the oldest change has waited; 0 where none does';
COMMENT ON COLUMN revops.attachment.errors IS 'Rows that could not be taken over; revops.attachment_error says why';
COMMENT ON COLUMN revops.attachment.last_applied_at IS 'When rows were read last';
COMMENT ON COLUMN revops.attachment.error IS 'Why nothing of it can be read at present, such as a column that is gone; the changes are kept until it can';

-- Writing back

CREATE FUNCTION revops.attachment_update(attachment int, source_key text, field text, value text, known text) RETURNS jsonb
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
AS 'MODULE_PATHNAME', 'revops_attachment_update';
COMMENT ON FUNCTION revops.attachment_update(int, text, text, text, text) IS
'Sets a field of an attached table''s row where it is still as known; returns what the row has then, NULL where the field cannot be written back';

CREATE FUNCTION revops.attachment_update_rows(attachment int, source_keys text[], field text, fresh text[], known text[], OUT source_key text, OUT written jsonb, OUT refused text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
AS 'MODULE_PATHNAME', 'revops_attachment_update_rows';
COMMENT ON FUNCTION revops.attachment_update_rows(int, text[], text, text[], text[]) IS
'attachment_update() of many rows: of each what the row has then, or why it was refused; no row where the field cannot be written back';

CREATE FUNCTION revops.applied_path(subject_kind revops.subject_kind, field text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = ('revops.' || $1::text)::regclass AND t.attname = $2 AND t.attnum > 0)
                THEN ARRAY[$2] ELSE ARRAY['properties', $2] END
$$;
COMMENT ON FUNCTION revops.applied_path(revops.subject_kind, text) IS 'Where attached_row.applied has a field';

CREATE FUNCTION revops.write_back(subject_kind revops.subject_kind, subject text, field text, value text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    l       record;
    path    text[];
    written jsonb;
BEGIN
    SELECT x.attachment, x.source_key, x.applied INTO l
    FROM revops.attached_row x JOIN revops.attached a USING (attachment)
    WHERE x.subject = write_back.subject AND x.kind = write_back.subject_kind::text AND a.write_back FOR UPDATE OF x;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    path := revops.applied_path(subject_kind, field);
    BEGIN
        written := revops.attachment_update(l.attachment, l.source_key, field, value, l.applied #>> path);
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        -- not its detail: that shows the row, to whoever may see the opportunity
        RAISE EXCEPTION 'field "%" was not written back: %', field, SQLERRM
            USING ERRCODE = SQLSTATE, HINT = 'The column of the attached table does not take it: see its type and constraints, or attach the table without the field.';
    END;
    IF written IS NULL THEN
        RETURN false;
    END IF;
    -- what we wrote is known, so that reading it again changes nothing
    UPDATE revops.attached_row x SET applied = jsonb_set(x.applied, path, written)
    WHERE x.subject = write_back.subject AND x.kind = write_back.subject_kind::text;
    RETURN true;
END $$;
COMMENT ON FUNCTION revops.write_back(revops.subject_kind, text, text, text) IS
'Updates the row of an attached table that a subject comes from, part of revops.set_field(); false where there is none to update, an error where it was changed there since';

-- All of them at once; if that fails, halves, until the row stands alone whose fault it is.
CREATE FUNCTION revops.write_back_rows(attachment int, source_keys text[], field text, fresh text[], known text[], path text[])
RETURNS TABLE (subject text, refused text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    half    int := cardinality(source_keys) / 2;
    who     text[];
    why     text[];
    message text;
BEGIN
    BEGIN
        WITH done AS MATERIALIZED (
            SELECT u.source_key, u.written, u.refused FROM revops.attachment_update_rows(attachment, source_keys, field, fresh, known) u
        ), taken AS (
            UPDATE revops.attached_row x SET applied = jsonb_set(x.applied, path, d.written)
            FROM done d WHERE x.attachment = write_back_rows.attachment AND x.source_key = d.source_key AND d.written IS NOT NULL
        )
        SELECT array_agg(x.subject ORDER BY x.subject), array_agg(d.refused ORDER BY x.subject) INTO who, why
        FROM done d JOIN revops.attached_row x ON x.attachment = write_back_rows.attachment AND x.source_key = d.source_key WHERE d.refused IS NOT NULL;
        RETURN QUERY SELECT r.subject, r.refused FROM unnest(who, why) AS r (subject, refused);
        RETURN;
    EXCEPTION
        WHEN transaction_rollback OR insufficient_resources OR operator_intervention OR system_error OR internal_error OR lock_not_available THEN
            RAISE;
        WHEN OTHERS THEN
            -- not its detail: that shows the row, to whoever may see the opportunity
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    END;
    IF half = 0 THEN
        RETURN QUERY SELECT x.subject::text, format('"%s" was not written back: %s', field, message)
                     FROM revops.attached_row x WHERE x.attachment = write_back_rows.attachment AND x.source_key = source_keys[1];
        RETURN;
    END IF;
    RETURN QUERY SELECT r.subject, r.refused FROM revops.write_back_rows(attachment, source_keys[:half], field, fresh[:half], known[:half], path) r;
    RETURN QUERY SELECT r.subject, r.refused FROM revops.write_back_rows(attachment, source_keys[half + 1:], field, fresh[half + 1:], known[half + 1:], path) r;
END $$;
COMMENT ON FUNCTION revops.write_back_rows(int, text[], text, text[], text[], text[]) IS
'Updates rows of one attached table, where they are still as known, and keeps what they have then; returns whose were refused, and why';

CREATE FUNCTION revops.write_back_all(subject_kind revops.subject_kind, subjects text[], field text, fresh text[])
RETURNS TABLE (subject text, refused text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    path    text[];
    a       record;
BEGIN
    IF NOT EXISTS (SELECT FROM revops.attached x WHERE x.kind = subject_kind::text AND x.write_back) THEN
        RETURN;
    END IF;
    path := revops.applied_path(subject_kind, field);
    FOR a IN
        SELECT l.attachment, array_agg(l.source_key ORDER BY l.subject) AS source_keys, array_agg(l.value ORDER BY l.subject) AS fresh,
               array_agg(l.known ORDER BY l.subject) AS known
        FROM (SELECT x.attachment, x.subject, x.source_key, u.value, x.applied #>> path AS known
              FROM unnest(subjects, fresh) AS u (subject, value)
              JOIN revops.attached_row x ON x.subject = u.subject COLLATE "C" AND x.kind = subject_kind::text
              JOIN revops.attached o ON o.attachment = x.attachment AND o.write_back
              ORDER BY x.subject FOR UPDATE OF x) l
        GROUP BY l.attachment ORDER BY l.attachment
    LOOP
        RETURN QUERY SELECT r.subject, r.refused FROM revops.write_back_rows(a.attachment, a.source_keys, field, a.fresh, a.known, path) r;
    END LOOP;
END $$;
COMMENT ON FUNCTION revops.write_back_all(revops.subject_kind, text[], text, text[]) IS
'write_back() of many subjects, each with its value: what can be written is; returns whose rows were refused, and why';

-- What happens to the tables themselves

CREATE FUNCTION revops.attachment_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a       record;
    rel     regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM revops.attached) THEN
        RETURN;
    END IF;
    UPDATE revops.attached x SET retry_at = NULL
    WHERE x.attachment IN (SELECT y.attachment FROM revops.attached y WHERE y.retry_at IS NOT NULL FOR UPDATE SKIP LOCKED);
    FOR a IN SELECT x.attachment, x.kind, x.source FROM revops.attached x JOIN pg_class c ON c.oid = x.source
             WHERE c.relkind = 'p' AND x.epoch = revops.stream_epoch() LOOP
        IF revops.equip_attachment(a.attachment) > 0 THEN
            INSERT INTO revops.attachment_change (attachment, scope, n) VALUES (a.attachment, 'all', 0);
        END IF;
        FOR rel IN SELECT g.tgrelid FROM pg_trigger g
                   WHERE g.tgfoid = 'revops.attachment_trigger'::regproc AND g.tgname = format('revops_%s_truncate', a.kind)
                     AND g.tgargs = convert_to(a.attachment::text, 'SQL_ASCII') || E'\\x00'
                     AND g.tgrelid NOT IN (SELECT t.relid FROM pg_partition_tree(a.source) t) LOOP
            -- a partition that was detached: its rows went with it
            PERFORM revops.strip_attachment(a.attachment, a.kind, rel);
            INSERT INTO revops.attachment_change (attachment, scope, n) VALUES (a.attachment, 'known', 0);
        END LOOP;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_revops could not look after the partitions of attached tables: %', SQLERRM;
END $$;
COMMENT ON FUNCTION revops.attachment_ddl() IS 'Event trigger: partitions that come get the triggers of their attached table, and those that go lose them';

CREATE FUNCTION revops.attachment_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone    int[];
BEGIN
    IF NOT EXISTS (SELECT FROM revops.attached) THEN
        RETURN;
    END IF;
    WITH dropped AS (
        DELETE FROM revops.attached x
        WHERE x.source::oid IN (SELECT d.objid FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0)
        RETURNING x.attachment)
    SELECT array_agg(attachment) INTO gone FROM dropped;
    IF gone IS NOT NULL THEN
        PERFORM revops.forget_attachments(gone);
    END IF;
    -- a partition took its rows along
    IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d WHERE d.object_type = 'trigger' AND d.object_identity LIKE E'revops\\_%\\_truncate on %') THEN
        INSERT INTO revops.attachment_change (attachment, scope, n)
        SELECT x.attachment, 'known', 0 FROM revops.attached x JOIN pg_class c ON c.oid = x.source WHERE c.relkind = 'p';
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_revops could not forget an attached table that was dropped: %', SQLERRM;
END $$;
COMMENT ON FUNCTION revops.attachment_drop() IS 'Event trigger: an attached table that is dropped is forgotten';

CREATE FUNCTION revops.attachment_rewrite() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO revops.attachment_change (attachment, scope, n)
    SELECT x.attachment, 'all', 0 FROM revops.attached x
    WHERE x.source = pg_event_trigger_table_rewrite_oid() OR pg_event_trigger_table_rewrite_oid() IN (SELECT t.relid FROM pg_partition_tree(x.source) t);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_revops could not queue the rows of an attached table that ALTER TABLE rewrites: %', SQLERRM;
END $$;
COMMENT ON FUNCTION revops.attachment_rewrite() IS 'Event trigger: the rows of an attached table that ALTER TABLE rewrites are read again, since their values may have changed';

CREATE EVENT TRIGGER revops_attachment_rewrite ON table_rewrite EXECUTE FUNCTION revops.attachment_rewrite();
CREATE EVENT TRIGGER revops_attachment_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION revops.attachment_ddl();
CREATE EVENT TRIGGER revops_attachment_drop ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION revops.attachment_drop();
