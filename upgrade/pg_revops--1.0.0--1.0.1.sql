\echo Use "ALTER EXTENSION pg_revops UPDATE TO '1.0.1'" to load this file. \quit

ALTER TABLE revops.stream_lane ADD COLUMN past_until bigint[] NOT NULL DEFAULT '{}';
CREATE INDEX event_intent_account ON revops.event_intent (account, occurred_at) WHERE account IS NOT NULL;
CREATE INDEX event_intent_visitor ON revops.event_intent (person, occurred_at) WHERE account IS NULL;
CREATE INDEX late_event_noted_at ON revops.late_event (noted_at);
CREATE INDEX task_answered_at_idx ON revops.task (answered_at) WHERE answered_at IS NOT NULL;

DROP FUNCTION revops.write_source_rows(int, text[]);
DROP FUNCTION revops.apply_source_keys(int, text[]);

CREATE OR REPLACE FUNCTION revops.business_week(hours jsonb) RETURNS int4[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names   CONSTANT text[] := ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    pairs   int4[][] := '{}';
    days    int4[];
    week    int4[] := '{}';
    entry   record;
    part    text;
    ends    text[];
    first   int4;
    last    int4;
    opens   int4;
    closes  int4;
    day     int4;
BEGIN
    IF jsonb_typeof(hours) <> 'object' THEN
        RAISE EXCEPTION 'calendar hours must be an object of days, not a JSON %', jsonb_typeof(hours)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"mon-fri": "09:00-12:00,13:00-18:00", "sat": "10:00-14:00"}.';
    END IF;
    FOR entry IN
        SELECT h.key, CASE jsonb_typeof(h.value)
                          WHEN 'string' THEN h.value #>> '{}'
                          WHEN 'array' THEN (SELECT string_agg(e, ',') FROM jsonb_array_elements_text(h.value) e)
                          ELSE h.value::text
                      END AS slots
        FROM jsonb_each(hours) h
    LOOP
        days := '{}';
        FOREACH part IN ARRAY string_to_array(replace(lower(entry.key), ' ', ''), ',') LOOP
            ends := string_to_array(part, '-');
            first := array_position(names, ends[1]);
            last := array_position(names, ends[cardinality(ends)]);
            IF first IS NULL OR last IS NULL OR cardinality(ends) > 2 THEN
                RAISE EXCEPTION 'calendar hours: "%" is not a day of the week', entry.key
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Use mon, tue, wed, thu, fri, sat, sun, a range such as "mon-fri" or a list such as "tue,thu".';
            END IF;
            days := days || ARRAY(SELECT (first - 1 + i) % 7 FROM generate_series(0, (last - first + 7) % 7) i);
        END LOOP;
        FOREACH part IN ARRAY string_to_array(replace(coalesce(entry.slots, ''), ' ', ''), ',') LOOP
            ends := regexp_match(part, E'^([01]?\\d|2[0-4]):([0-5]\\d)-([01]?\\d|2[0-4]):([0-5]\\d)$');
            opens := ends[1]::int4 * 60 + ends[2]::int4;
            closes := ends[3]::int4 * 60 + ends[4]::int4;
            IF ends IS NULL OR opens > 1440 OR closes > 1440 THEN
                RAISE EXCEPTION 'calendar hours of "%": "%" is not a span of hours', entry.key, part
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Write it as "09:00-18:00"; 24:00 is the end of the day.';
            ELSIF opens >= closes THEN
                RAISE EXCEPTION 'calendar hours of "%": "%" ends before it begins', entry.key, part
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Split hours that pass midnight: "22:00-24:00" on one day and "00:00-06:00" on the next.';
            END IF;
            FOREACH day IN ARRAY days LOOP
                pairs := pairs || ARRAY[[day * 1440 + opens, day * 1440 + closes]];
            END LOOP;
        END LOOP;
    END LOOP;
    last := -1;
    FOR opens, closes IN
        SELECT pairs[i][1], pairs[i][2] FROM generate_subscripts(pairs, 1) i ORDER BY 1, 2
    LOOP
        IF opens < last THEN
            RAISE EXCEPTION 'calendar hours overlap on %', names[opens / 1440 + 1] USING ERRCODE = 'invalid_parameter_value';
        ELSIF opens = last AND opens % 1440 <> 0 THEN
            week[cardinality(week)] := closes;
        ELSE
            week := week || opens || closes;
        END IF;
        last := closes;
    END LOOP;
    RETURN week;
END $$;

CREATE OR REPLACE FUNCTION revops.event_partitions()
RETURNS TABLE (partition regclass, since timestamptz, until timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' AS $$
    SELECT p.oid::regclass, b.part[1]::timestamptz, b.part[2]::timestamptz
    FROM (SELECT c.oid, pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = 'revops.event'::regclass) p,
         regexp_match(p.bound, E'^FOR VALUES FROM \\(''?(.+?)''?\\) TO \\(''?(.+?)''?\\)$') AS m(part),
         LATERAL (SELECT ARRAY[CASE m.part[1] WHEN 'MINVALUE' THEN '-infinity' ELSE m.part[1] END,
                               CASE m.part[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE m.part[2] END]) AS b(part)
    WHERE m.part IS NOT NULL
    ORDER BY 2
$$;

CREATE OR REPLACE FUNCTION revops.make_partition(at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET lock_timeout = '2s' AS $$
DECLARE
    unit    text;
    low     timestamptz;
    high    timestamptz;
    made    text;
    other   text;
BEGIN
    IF at IS NULL OR NOT isfinite(at) OR at < '4712-01-01 00:00+00 BC' THEN
        RAISE EXCEPTION 'a partition needs a point in time, not %', coalesce(at::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT p.partition::text INTO made FROM revops.event_partitions() p WHERE p.since <= at AND at < p.until;
    IF FOUND THEN
        RETURN split_part(made, '.', 2);
    END IF;

    PERFORM revops.now();    -- loads the library, which defines the settings
    unit := current_setting('revops.partition_interval');
    PERFORM pg_advisory_xact_lock('revops.event'::regclass::oid::int, 1);
    -- the interval may have been another one before: take what is free of this one
    low := date_trunc(unit, at, 'UTC');
    high := low + ('1 ' || unit)::interval;
    SELECT min(p.partition::text) FILTER (WHERE p.since <= at AND at < p.until),
           greatest(low, max(p.until) FILTER (WHERE p.until <= at)), least(high, min(p.since) FILTER (WHERE p.since > at))
    INTO made, low, high FROM revops.event_partitions() p;
    IF made IS NOT NULL THEN
        RETURN split_part(made, '.', 2);
    END IF;
    made := to_char(low, '"event_"YYYYMMDD') || CASE WHEN low < '0001-01-01' THEN 'bc' ELSE '' END;
    IF to_regclass('revops.' || made) IS NOT NULL THEN
        RAISE EXCEPTION 'table revops.% is in the way of a partition of that name', made
            USING ERRCODE = 'duplicate_table', HINT = 'It is not attached to revops.event. Attach, rename or drop it.';
    END IF;

    -- A plain table, attached when it is ready: PARTITION OF would lock the parent against readers.
    EXECUTE format('CREATE TABLE revops.%I (LIKE revops.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION)', made);
    -- events are read through views: default privileges of the owner's open no back door
    FOR other IN
        SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
        FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = ('revops.' || made)::regclass AND x.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON revops.%I FROM %s', made, other);
    END LOOP;
    LOCK TABLE ONLY revops.event IN SHARE ROW EXCLUSIVE MODE;    -- writers wait: one that has chosen event_default already would fail
    LOCK TABLE revops.event_default IN ACCESS EXCLUSIVE MODE;    -- as ATTACH does
    IF EXISTS (SELECT FROM revops.event_default d WHERE d.occurred_at >= low AND d.occurred_at < high) THEN
        -- before the trigger is there: rows move verbatim, and the stream knows what it has taken by their transaction, wherever they lie
        EXECUTE format('WITH moved AS (DELETE FROM revops.event_default WHERE occurred_at >= $1 AND occurred_at < $2 RETURNING *)
                        INSERT INTO revops.%I SELECT * FROM moved', made) USING low, high;
    END IF;
    PERFORM revops.equip_partition(('revops.' || made)::regclass);
    EXECUTE format('ALTER TABLE revops.event ATTACH PARTITION revops.%I FOR VALUES FROM (%L) TO (%L)', made, low, high);
    RETURN made;
END $$;

CREATE OR REPLACE FUNCTION revops.make_partitions(ahead interval DEFAULT '3 months', since timestamptz DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    most    CONSTANT int := 1000;    -- of one call, against a wild clock
    strays  CONSTANT int := 60;
    moment  timestamptz := revops.now();
    last    timestamptz := moment + ahead;
    unit    text := current_setting('revops.partition_interval');
    keep    interval := nullif(current_setting('revops.retention'), '')::interval;
    stretch timestamptz;
    covered tstzmultirange;
    free    tstzrange;
    known   int;
BEGIN
    IF ahead IS NULL OR ahead < '0'::interval OR since > last OR NOT isfinite(coalesce(since, moment)) THEN
        RAISE EXCEPTION 'partitions are made from % until %, which is no span of time', coalesce(since, moment), last
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give ahead as an interval of 0 or more, and since as an earlier time.';
    END IF;
    SELECT count(*), coalesce(range_agg(tstzrange(p.since, p.until)), '{}') INTO known, covered FROM revops.event_partitions() p;
    FOR stretch IN
        -- newest first
        SELECT s.at FROM generate_series(date_trunc(unit, coalesce(since, moment), 'UTC'), last, ('1 ' || unit)::interval) AS s(at)
        UNION
        -- of stray events a few at a time, and none before there are calendars: the table is locked meanwhile
        (SELECT DISTINCT date_trunc(unit, d.occurred_at, 'UTC') FROM revops.event_default d
         WHERE d.occurred_at <= last AND d.occurred_at >= greatest(moment - keep, '4712-01-01 00:00+00 BC')
         ORDER BY 1 DESC LIMIT strays)
        ORDER BY 1 DESC LIMIT most
    LOOP
        BEGIN
            -- partitions of another interval may cover some of it
            FOR free IN SELECT unnest(tstzmultirange(tstzrange(stretch, stretch + ('1 ' || unit)::interval)) - covered) LOOP
                PERFORM revops.make_partition(lower(free));
            END LOOP;
        EXCEPTION
            WHEN lock_not_available THEN
                RAISE WARNING 'no partition was made for %: revops.event is in use', lower(free)
                    USING HINT = 'It will be at the next run. Long transactions that write events delay it.';
                EXIT;    -- each try makes writers wait
        END;
    END LOOP;
    RETURN (SELECT count(*) FROM revops.event_partitions()) - known;
END $$;

CREATE OR REPLACE FUNCTION revops.drop_expired_partitions() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    moment  timestamptz := revops.now();
    keep    interval := nullif(current_setting('revops.retention'), '')::interval;
    old     regclass;
    dropped int := 0;
BEGIN
    IF keep IS NULL THEN
        RETURN 0;
    END IF;
    IF EXISTS (SELECT FROM revops.stream_lane l, revops.lane_backlog(l, moment - keep) b WHERE b.backlog > 0) THEN
        RAISE WARNING 'nothing is dropped: events as old as that are still to be processed'
            USING HINT = 'It will be at the next run after the stream has taken them. SELECT * FROM revops.health() says what keeps it.';
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock('revops.event'::regclass::oid::int, 1);
    FOR old IN SELECT p.partition FROM revops.event_partitions() p WHERE p.until <= moment - keep LOOP
        BEGIN
            EXECUTE format('ALTER TABLE revops.event DETACH PARTITION %s', old);
            EXECUTE format('DROP TABLE %s', old);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            RAISE WARNING 'partition % is expired but was not dropped: revops.event is in use', old
                USING HINT = 'It will be at the next run.';
            EXIT;
        END;
    END LOOP;
    DELETE FROM revops.event_default d WHERE d.occurred_at < moment - keep;
    DELETE FROM revops.event_intent i WHERE i.occurred_at < moment - keep;
    DELETE FROM revops.rejected_event r WHERE r.rejected_at < moment - keep;
    DELETE FROM revops.failed_event f WHERE f.occurred_at < moment - keep AND NOT EXISTS (SELECT FROM revops.event e WHERE e.event_id = f.event_id);
    DELETE FROM revops.late_event l WHERE l.occurred_at < moment - keep;
    RETURN dropped;
END $$;

CREATE OR REPLACE FUNCTION revops.track(
    kind text, person text DEFAULT NULL, account text DEFAULT NULL, opportunity text DEFAULT NULL, rep text DEFAULT NULL,
    side text DEFAULT 'customer', channel text DEFAULT 'web', object text DEFAULT NULL, dwell interval DEFAULT NULL,
    body text DEFAULT NULL, properties jsonb DEFAULT NULL, occurred_at timestamptz DEFAULT NULL, event_id uuid DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id uuid := coalesce(event_id, revops.uuid_v7());
BEGIN
    IF kind IS NULL OR kind = '' THEN
        RAISE EXCEPTION 'an event needs a kind' USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what was done, such as ''page_view''.';
    ELSIF side NOT IN ('customer', 'rep', 'system') THEN
        RAISE EXCEPTION 'the side of an event is customer, rep or system, not "%"', side USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF event_id IS NULL THEN
        INSERT INTO revops.event (event_id, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
        VALUES (id, coalesce(occurred_at, revops.now()), person, account, opportunity, rep,
                coalesce(side, 'customer'), coalesce(channel, 'web'), kind, object, dwell, body, properties);
    ELSE
        INSERT INTO revops.event (event_id, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
        VALUES (id, coalesce(occurred_at, revops.now()), person, account, opportunity, rep,
                coalesce(side, 'customer'), coalesce(channel, 'web'), kind, object, dwell, body, properties)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN id;
END $$;

CREATE OR REPLACE FUNCTION revops.message_uuid(message text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN message ~* '^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$' THEN message::uuid
        ELSE (SELECT overlay(overlay(h placing '3' from 13 for 1)
                             placing substr('89ab', (strpos('0123456789abcdef', substr(h, 17, 1)) - 1) % 4 + 1, 1) from 17 for 1)::uuid
              FROM md5(E'\\x6f1d1c5e3b0a4d0f9a53c8e27b41d6f2'::bytea || convert_to(message, 'UTF8')) AS h)
    END
$$;

CREATE OR REPLACE FUNCTION revops.url_path(url text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN url ~* '^[a-z][a-z0-9+.-]*://'
                THEN coalesce(nullif(regexp_replace(url, '^[^:]+://[^/?#]*([^?#]*).*$', E'\\1'), ''), '/')
                ELSE nullif(regexp_replace(url, '[?#].*$', ''), '') END
$$;

CREATE OR REPLACE FUNCTION revops.read_events(documents jsonb[])
RETURNS TABLE (n bigint, document jsonb, event_id text, occurred_at text, person text, account text, opportunity text, rep text,
               side text, channel text, kind text, object text, dwell text, body text, properties jsonb,
               visitor text, known text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.n, d.document, f.event_id, f.occurred_at, f.person, f.account, nullif(o.e->>'opportunity', ''), nullif(o.e->>'rep', ''),
           f.side, f.channel, f.kind, f.object, f.dwell, o.e->>'body', nullif(p.properties, '{}'),
           f.visitor, f.known,
           CASE
               WHEN jsonb_typeof(d.document) IS DISTINCT FROM 'object' THEN 'it is not an object'
               WHEN pg_column_size(d.document) > 1048576 THEN 'it is larger than 1 MB'
               WHEN bad.key IS NOT NULL THEN format('%s is not a text or a number', bad.key)
               WHEN f.kind IS NULL AND o.dialect = 'segment' AND o.type NOT IN ('track', 'page', 'screen', 'identify', 'alias', 'group')
                   THEN format('type "%s" is not track, page, screen, identify, alias or group', o.type)
               WHEN f.kind IS NULL THEN 'it has no kind'
               WHEN f.side NOT IN ('customer', 'rep', 'system') THEN format('side "%s" is not customer, rep or system', f.side)
               WHEN f.occurred_at !~ E'^\\s*(\\d{4,6}-\\d\\d?-\\d\\d?([T ].*)?|\\d{9,16}(\\.\\d*)?)\\s*$' THEN format('"%s" is not a point in time', f.occurred_at)
           END
    FROM unnest(documents) WITH ORDINALITY AS d(document, n)
    CROSS JOIN LATERAL (
        SELECT CASE jsonb_typeof(d.document) WHEN 'object' THEN d.document ELSE '{}' END AS e) AS q
    CROSS JOIN LATERAL (
        SELECT q.e, q.e->>'type' AS type,
               CASE WHEN q.e ? 'kind' THEN 'own' WHEN q.e ? 'type' THEN 'segment' ELSE 'snowplow' END AS dialect) AS o
    CROSS JOIN LATERAL (
        SELECT coalesce(nullif(o.e->>'event_id', ''), nullif(o.e->>'messageId', ''), nullif(o.e->>'eid', '')) AS event_id,
               coalesce(o.e->>'occurred_at', o.e->>'timestamp', o.e->>'originalTimestamp', o.e->>'derived_tstamp',
                        o.e->>'dvce_created_tstamp', o.e->>'dtm', o.e->>'collector_tstamp') AS occurred_at,
               coalesce(nullif(o.e->>'person', ''), nullif(o.e->>'userId', ''), nullif(o.e->>'user_id', ''), nullif(o.e->>'uid', ''),
                        nullif(o.e->>'anonymousId', ''), nullif(o.e->>'domain_userid', ''), nullif(o.e->>'duid', '')) AS person,
               coalesce(nullif(o.e->>'account', ''), nullif(o.e->>'groupId', ''), nullif(o.e#>>'{context,groupId}', '')) AS account,
               coalesce(nullif(o.e->>'side', ''), 'customer') AS side,
               CASE o.dialect
                   WHEN 'segment' THEN CASE coalesce(o.e->>'channel', CASE o.type WHEN 'screen' THEN 'app' ELSE 'web' END)
                                           WHEN 'browser' THEN 'web' WHEN 'mobile' THEN 'app'
                                           ELSE coalesce(nullif(o.e->>'channel', ''), CASE o.type WHEN 'screen' THEN 'app' ELSE 'web' END) END
                   WHEN 'snowplow' THEN CASE coalesce(o.e->>'channel', o.e->>'platform', o.e->>'p', 'web')
                                           WHEN 'mob' THEN 'app' WHEN '' THEN 'web'
                                           ELSE coalesce(o.e->>'channel', o.e->>'platform', o.e->>'p', 'web') END
                   ELSE coalesce(nullif(o.e->>'channel', ''), 'web')
               END AS channel,
               nullif(CASE o.dialect
                   WHEN 'own' THEN o.e->>'kind'
                   WHEN 'segment' THEN CASE o.type WHEN 'track' THEN o.e->>'event' WHEN 'page' THEN 'page_view' WHEN 'screen' THEN 'screen_view'
                                                   WHEN 'identify' THEN 'identify' WHEN 'alias' THEN 'alias' WHEN 'group' THEN 'group' END
                   ELSE CASE coalesce(o.e->>'event', o.e->>'e')
                            WHEN 'pv' THEN 'page_view' WHEN 'pp' THEN 'page_ping'
                            WHEN 'se' THEN coalesce(o.e->>'se_ac', 'struct') WHEN 'struct' THEN coalesce(o.e->>'se_action', 'struct')
                            WHEN 'ue' THEN 'unstruct' WHEN 'unstruct' THEN coalesce(o.e->>'event_name', 'unstruct')
                            WHEN 'tr' THEN 'transaction' WHEN 'ti' THEN 'transaction_item'
                            ELSE coalesce(o.e->>'event', o.e->>'e') END
               END, '') AS kind,
               coalesce(nullif(o.e->>'object', ''), CASE o.dialect
                   WHEN 'segment' THEN CASE o.type
                       WHEN 'screen' THEN coalesce(o.e->>'name', o.e#>>'{properties,name}')
                       WHEN 'page' THEN coalesce(o.e#>>'{context,page,path}', o.e#>>'{properties,path}', revops.url_path(o.e#>>'{context,page,url}'),
                                                 revops.url_path(o.e#>>'{properties,url}'), o.e->>'name')
                       WHEN 'track' THEN coalesce(o.e#>>'{context,page,path}', revops.url_path(o.e#>>'{context,page,url}')) END
                   WHEN 'snowplow' THEN coalesce(nullif(o.e->>'page_urlpath', ''), revops.url_path(o.e->>'page_url'), revops.url_path(o.e->>'url'))
               END) AS object,
               CASE WHEN jsonb_typeof(o.e->'dwell') = 'number' THEN (o.e->>'dwell') || ' seconds'
                    WHEN o.e->>'dwell' <> '' THEN o.e->>'dwell'
                    WHEN o.dialect = 'snowplow' AND coalesce(o.e->>'event', o.e->>'e') IN ('page_ping', 'pp') THEN '10 seconds'    -- the trackers' heartbeat
               END AS dwell,
               CASE WHEN o.dialect = 'segment' AND o.type IN ('identify', 'alias')
                    THEN coalesce(nullif(o.e->>'anonymousId', ''), nullif(o.e->>'previousId', '')) END AS visitor,
               CASE WHEN o.dialect = 'segment' AND o.type IN ('identify', 'alias') THEN nullif(o.e->>'userId', '') END AS known
        ) AS f
    CROSS JOIN LATERAL (
        -- fields that are read above leave; who else the event names stays
        SELECT (o.e - ARRAY['event_id', 'messageId', 'eid', 'occurred_at', 'timestamp', 'originalTimestamp', 'derived_tstamp',
                            'dvce_created_tstamp', 'dtm', 'person', 'userId', 'user_id', 'uid', 'account', 'groupId', 'opportunity', 'rep',
                            'side', 'channel', 'kind', 'object', 'dwell', 'body', 'properties']
                    - CASE o.dialect WHEN 'segment' THEN ARRAY['type', 'event'] WHEN 'snowplow' THEN ARRAY['event', 'e', 'platform', 'p'] ELSE '{}' END
                    - CASE WHEN f.person = o.e->>'anonymousId' THEN ARRAY['anonymousId'] ELSE '{}' END
                    - CASE WHEN f.person IN (o.e->>'domain_userid', o.e->>'duid') THEN ARRAY['domain_userid', 'duid'] ELSE '{}' END)
               || CASE coalesce(jsonb_typeof(o.e->'properties'), 'null')
                      WHEN 'null' THEN '{}' WHEN 'object' THEN o.e->'properties' ELSE jsonb_build_object('properties', o.e->'properties') END AS properties
        ) AS p
    LEFT JOIN LATERAL (
        SELECT k AS key FROM unnest(ARRAY['event_id', 'messageId', 'eid', 'occurred_at', 'timestamp', 'originalTimestamp', 'derived_tstamp',
                                          'dvce_created_tstamp', 'dtm', 'person', 'userId', 'user_id', 'uid', 'anonymousId', 'previousId',
                                          'domain_userid', 'duid', 'account', 'groupId', 'opportunity', 'rep', 'side', 'channel', 'kind',
                                          'type', 'object', 'dwell', 'body']) AS k
        WHERE jsonb_typeof(o.e->k) IN ('object', 'array', 'boolean') LIMIT 1) AS bad ON true
    ORDER BY d.n
$$;

CREATE OR REPLACE FUNCTION revops.take_events(documents jsonb[], OUT accepted bigint, OUT duplicates bigint, OUT rejected bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' AS $$
#variable_conflict use_column
DECLARE
    half        int := cardinality(documents) / 2;
    good        bigint;
    visitors    text[];
    persons     text[];
    other       record;
    state       text;
    message     text;
BEGIN
    BEGIN
        WITH read AS MATERIALIZED (
            SELECT * FROM revops.read_events(documents)
        ), written AS (
            INSERT INTO revops.event (event_id, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
            SELECT coalesce(revops.message_uuid(r.event_id), revops.uuid_v7()),
                   CASE WHEN r.occurred_at IS NULL THEN revops.now()
                        WHEN r.occurred_at ~ E'^\\s*\\d{12,}' THEN 'epoch'::timestamptz + trunc(r.occurred_at::numeric)::bigint * '1 ms'::interval
                        WHEN r.occurred_at ~ E'^\\s*\\d{9,11}(\\.\\d*)?\\s*$' THEN to_timestamp(r.occurred_at::float8)
                        ELSE r.occurred_at::timestamptz END,
                   r.person, r.account, r.opportunity, r.rep, r.side, r.channel, r.kind, r.object, r.dwell::interval, r.body, r.properties
            FROM read r WHERE r.reason IS NULL
            ON CONFLICT DO NOTHING
            RETURNING 1
        ), kept AS (
            INSERT INTO revops.rejected_event (document, reason)
            SELECT CASE WHEN pg_column_size(r.document) > 1048576 THEN to_jsonb(left(r.document::text, 10000)) ELSE r.document END, r.reason
            FROM read r WHERE r.reason IS NOT NULL
        )
        SELECT (SELECT count(*) FROM written), count(*) FILTER (WHERE r.reason IS NULL), count(*) FILTER (WHERE r.reason IS NOT NULL),
               array_agg(r.visitor ORDER BY r.n) FILTER (WHERE r.reason IS NULL AND r.visitor <> r.known),
               array_agg(r.known ORDER BY r.n) FILTER (WHERE r.reason IS NULL AND r.visitor <> r.known)
        INTO accepted, good, rejected, visitors, persons
        FROM read r;
        duplicates := good - accepted;
        FOR i IN 1 .. coalesce(cardinality(visitors), 0) LOOP
            PERFORM revops.identify(visitors[i], persons[i]);
        END LOOP;
        RETURN;
    -- (a privilege: to identify a person whom the rep does not see)
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR insufficient_privilege THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;

    IF half = 0 THEN
        INSERT INTO revops.rejected_event (document, reason) VALUES (documents[1], message);
        accepted := 0;
        duplicates := 0;
        rejected := 1;
        RETURN;
    END IF;
    SELECT * INTO accepted, duplicates, rejected FROM revops.take_events(documents[:half]);
    SELECT * INTO other FROM revops.take_events(documents[half + 1:]);
    accepted := accepted + other.accepted;
    duplicates := duplicates + other.duplicates;
    rejected := rejected + other.rejected;
END $$;

CREATE OR REPLACE FUNCTION revops.identify(visitor text, person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
#variable_conflict use_column
DECLARE
    known text;
BEGIN
    IF coalesce(identify.visitor, '') = '' OR coalesce(identify.person, '') = '' THEN
        RAISE EXCEPTION 'identify() needs a visitor and a person' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF greatest(octet_length(identify.visitor), octet_length(identify.person)) > 512 THEN
        RAISE EXCEPTION 'the key of a person is longer than 512 bytes' USING ERRCODE = 'string_data_right_truncation';
    END IF;
    IF identify.visitor = identify.person THEN
        RAISE EXCEPTION 'visitor "%" cannot be identified as itself', identify.visitor USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM revops.person v JOIN revops.person p ON p.person = v.identity
               WHERE v.person = identify.visitor AND p.person = identify.person AND p.identity IS NULL) THEN
        RETURN;
    END IF;

    -- one at a time: two at once could tie a knot that neither sees
    PERFORM pg_advisory_xact_lock('revops.person'::regclass::oid::int, 1);
    SELECT coalesce((SELECT p.identity FROM revops.person p WHERE p.person = identify.person), identify.person) INTO known;
    IF known = identify.visitor THEN
        RAISE EXCEPTION 'visitor "%" cannot be identified as "%": that is the other''s visitor', identify.visitor, identify.person
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Identities must not go round in a circle.';
    END IF;
    -- whose past becomes whose is for those who see both
    IF NOT revops.caller_sees('person', identify.visitor) OR NOT revops.caller_sees('person', identify.person) OR NOT revops.caller_sees('person', known) THEN
        RAISE EXCEPTION 'you may not identify "%" as "%"', identify.visitor, identify.person USING ERRCODE = 'insufficient_privilege', HINT = 'One of them is of a customer whom you do not see.';
    END IF;
    INSERT INTO revops.person (person) VALUES (known) ON CONFLICT DO NOTHING;
    INSERT INTO revops.person AS v (person, identity) VALUES (identify.visitor, known)
        ON CONFLICT (person) DO UPDATE SET identity = excluded.identity WHERE v.identity IS DISTINCT FROM excluded.identity;
    -- whoever was known as the visitor is known as the person now
    UPDATE revops.person v SET identity = known WHERE v.identity = identify.visitor;
END $$;

CREATE OR REPLACE FUNCTION revops.person_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source  text;
    r       record;
BEGIN
    IF to_regprocedure('revops.request_repair(revops.subject_kind, text, timestamptz)') IS NULL THEN
        RETURN NULL;
    END IF;
    -- A restore brings the results along, and the requests that were open.
    IF TG_OP = 'INSERT' AND current_query() ~* E'^\\s*COPY\\s' AND
       NOT EXISTS (SELECT FROM revops.stream_lane l WHERE l.epoch = revops.stream_epoch()) THEN
        RETURN NULL;
    END IF;
    source := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT n.person, NULL::text, NULL::text, n.identity, n.account FROM new_rows n'
        WHEN 'DELETE' THEN 'SELECT o.person, o.identity, o.account, NULL::text, NULL::text FROM old_rows o'
        ELSE 'SELECT coalesce(o.person, n.person), o.identity, o.account, n.identity, n.account
              FROM old_rows o FULL JOIN new_rows n ON n.person = o.person' END;
    FOR r IN EXECUTE '
        WITH changed (person, old_identity, old_account, new_identity, new_account) AS (' || source || '),
        touched AS MATERIALIZED (
            SELECT c.*, s.since
            FROM changed c CROSS JOIN LATERAL (
                SELECT min(e.since) AS since
                FROM (SELECT c.person AS key UNION ALL SELECT v.person FROM revops.person v WHERE v.identity = c.person) k
                CROSS JOIN LATERAL (SELECT min(x.occurred_at) AS since FROM revops.event x WHERE x.person = k.key) e) s
            WHERE (c.old_identity, c.old_account) IS DISTINCT FROM (c.new_identity, c.new_account) AND s.since IS NOT NULL
        )
        SELECT u.kind, u.subject, min(t.since) AS since
        FROM touched t CROSS JOIN LATERAL (
            SELECT ''person'' AS kind, s.subject FROM unnest(ARRAY[t.person, t.old_identity, t.new_identity]) s(subject)
            WHERE t.old_identity IS DISTINCT FROM t.new_identity
            UNION ALL
            SELECT ''account'', a.account FROM (VALUES (t.old_account), (t.new_account)) AS a (account)
            UNION ALL
            SELECT ''account'', p.account FROM revops.person p WHERE p.person IN (t.old_identity, t.new_identity)
            UNION ALL
            -- a visitor''s own account counts while the known person has none
            SELECT ''account'', v.account FROM revops.person v WHERE v.identity = t.person AND (t.old_account IS NULL) <> (t.new_account IS NULL)
            UNION ALL
            -- Events may name an account of their own; who did them, and where, has changed there too.
            SELECT DISTINCT ''account'', x.account
            FROM (SELECT t.person AS key UNION ALL SELECT v.person FROM revops.person v WHERE v.identity = t.person) k
            JOIN revops.event x ON x.person = k.key
            WHERE t.old_identity IS DISTINCT FROM t.new_identity
        ) u
        WHERE u.subject IS NOT NULL
        GROUP BY u.kind, u.subject
        ORDER BY u.kind DESC, u.subject COLLATE "C"'
    LOOP
        PERFORM revops.request_repair(r.kind::revops.subject_kind, r.subject, r.since);
    END LOOP;
    RETURN NULL;
END $$;

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
REVOKE ALL ON FUNCTION revops.opportunity_since_corrected() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.opportunity_since_corrected() TO revops_admin;

CREATE OR REPLACE FUNCTION revops.set_field(subject_kind revops.subject_kind, subject text, field text, value text, origin text DEFAULT 'person') RETURNS text
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

CREATE OR REPLACE FUNCTION revops.rep_permissions(rep text) RETURNS SETOF revops.permission
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT p.* FROM revops.rep r
    JOIN revops.permission p ON p.grantee IN (r.rep, r.unit) AND p.grantee = CASE p.grantee_kind WHEN 'rep' THEN r.rep ELSE r.unit END
    WHERE r.rep = $1 COLLATE "C" AND (p.what = 'read' OR NOT p.deny)
      -- revops.as_of is anybody's to set: it takes sight away, and gives none
      AND p.until > CASE WHEN p.deny THEN least(revops.now(), statement_timestamp()) ELSE greatest(revops.now(), statement_timestamp()) END
$$;

CREATE OR REPLACE FUNCTION revops.rep_sees_opportunities(rep text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT o.opportunity FROM revops.rep_sees_accounts($1) s JOIN revops.opportunity o ON o.account = s COLLATE "C"
    UNION SELECT o.opportunity FROM revops.rep_sees_reps($1) s JOIN revops.opportunity o ON o.owner = s COLLATE "C" AND o.account IS NULL
    WHERE NOT EXISTS (SELECT FROM revops.rep_permissions($1) p LEFT JOIN revops.rep r ON r.rep = o.owner
                      WHERE p.deny AND (p.scope_kind = 'all' OR p.scope_kind = 'unit' AND p.scope = r.unit))
$$;

CREATE OR REPLACE FUNCTION revops.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    former jsonb;
    latter jsonb;
    changed boolean;
    gone   jsonb := '{}';
    come   jsonb := '{}';
    role   CONSTANT text := nullif(current_setting('role'), 'none');
BEGIN
    -- what is trained or compiled only by its size: as jsonb it would be there many times over, and might be larger than a jsonb can be
    IF TG_LEVEL = 'ROW' AND TG_TABLE_NAME IN ('model_version', 'stage_model') THEN
        IF TG_OP <> 'INSERT' AND octet_length(OLD.parameters) > 50000 THEN
            gone := jsonb_build_object('parameters', format('%s bytes', octet_length(OLD.parameters)));
            OLD.parameters := '';
        END IF;
        IF TG_OP <> 'DELETE' AND octet_length(NEW.parameters) > 50000 THEN
            come := jsonb_build_object('parameters', format('%s bytes', octet_length(NEW.parameters)));
            NEW.parameters := '';
        END IF;
    ELSIF TG_LEVEL = 'ROW' AND TG_TABLE_NAME = 'intent_publication' THEN
        IF TG_OP <> 'INSERT' AND octet_length(OLD.compiled) > 50000 THEN
            gone := jsonb_build_object('compiled', format('%s bytes', octet_length(OLD.compiled)));
            OLD.compiled := '';
        END IF;
        IF TG_OP <> 'DELETE' AND octet_length(NEW.compiled) > 50000 THEN
            come := jsonb_build_object('compiled', format('%s bytes', octet_length(NEW.compiled)));
            NEW.compiled := '';
        END IF;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        former := to_jsonb(OLD) || gone;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') AND TG_LEVEL = 'ROW' THEN
        latter := to_jsonb(NEW) || come;
    END IF;
    changed := former IS DISTINCT FROM latter;
    former := revops.audit_image(former);
    latter := revops.audit_image(latter);
    IF TG_LEVEL = 'STATEMENT' AND TG_OP = 'INSERT' THEN
        INSERT INTO revops.audit_log (changed_by, acting_as, what, action, after)
        SELECT session_user, nullif(role, session_user), TG_TABLE_NAME, 'insert', CASE WHEN length(i.after::text) > 100000 THEN revops.audit_image(i.after) ELSE i.after END
        FROM (SELECT to_jsonb(n) AS after FROM fresh n OFFSET 0) i;
    ELSIF changed OR TG_OP = 'TRUNCATE' THEN
        INSERT INTO revops.audit_log (changed_by, acting_as, what, action, before, after)
        VALUES (session_user, nullif(role, session_user), TG_TABLE_NAME, lower(TG_OP), former, latter);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION revops.put_signal(signal text, intent text, weight float8, match json DEFAULT '{}',
    half_life interval DEFAULT NULL, daily_cap float8 DEFAULT NULL,
    subjects text[] DEFAULT '{person,account,opportunity}', title text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    was revops.signal;
    has interval;
    since timestamptz;
BEGIN
    IF signal IS NULL OR intent IS NULL OR weight IS NULL OR match IS NULL OR subjects IS NULL THEN
        RAISE EXCEPTION 'a signal needs a name, an intent, a weight, a match and subjects' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT (weight > 0 AND weight <= 1e9) THEN
        RAISE EXCEPTION 'weight % of signal "%" is out of range', weight, signal
            USING ERRCODE = 'numeric_value_out_of_range', HINT = 'Give a weight above 0 and up to 1e9.';
    END IF;
    IF half_life <= '0' OR daily_cap <= 0 THEN
        RAISE EXCEPTION 'the half-life and the daily cap of signal "%" must be more than 0', signal
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave them out for the half-life of the intent, and for no cap.';
    END IF;
    PERFORM revops.check_match(match::text);
    -- waits for the passes that are under way, so that no event is scored by half of a change
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    SELECT i.half_life INTO has FROM revops.intent i WHERE i.intent = put_signal.intent;
    IF NOT FOUND THEN
        INSERT INTO revops.intent (intent, half_life) VALUES (intent, coalesce(half_life, '7 days'));
    ELSIF has <> half_life THEN
        RAISE EXCEPTION 'intent "%" decays with a half-life of %, not %', intent, has, half_life
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'All signals of one intent share its half-life, so that its scores rank by index.',
                  HINT = 'Leave half_life out, or change it for all with revops.set_half_life().';
    END IF;
    SELECT * INTO was FROM revops.signal s WHERE s.signal = put_signal.signal ORDER BY s.version DESC LIMIT 1;
    IF was.valid_to = 'infinity' AND was.intent = intent AND was.weight = weight AND was.daily_cap IS NOT DISTINCT FROM daily_cap
       AND was.subjects = subjects AND was.match::text = match::text THEN
        UPDATE revops.signal s SET title = put_signal.title WHERE s.signal_no = was.signal_no AND s.title IS DISTINCT FROM put_signal.title;
        RETURN was.version;
    END IF;
    since := revops.config_valid_from();
    UPDATE revops.signal s SET valid_to = greatest(since, s.valid_from) WHERE s.signal_no = was.signal_no AND s.valid_to = 'infinity';
    INSERT INTO revops.signal (signal, version, signal_no, intent, weight, daily_cap, subjects, match, title, valid_from)
    VALUES (signal, coalesce(was.version, 0) + 1, (SELECT coalesce(max(s.signal_no), 0) + 1 FROM revops.signal s),
            intent, weight, daily_cap, subjects, match, title, since);
    RETURN coalesce(was.version, 0) + 1;
END $$;

CREATE OR REPLACE FUNCTION revops.hottest(subject_kind revops.subject_kind, intent text, n int DEFAULT 10)
RETURNS TABLE (subject text, score float8, last_at timestamptz, events bigint)
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp ROWS 10 AS $$
#variable_conflict use_column
BEGIN
    IF revops.now() >= statement_timestamp() THEN
        RETURN QUERY
        SELECT s.subject::text, revops.decayed(s.rank, i.half_life, revops.now()), s.last_at, s.events
        FROM revops.intent_state s, revops.intent i
        WHERE s.subject_kind = $1 AND s.intent = $2 COLLATE "C" AND i.intent = $2 COLLATE "C"
        ORDER BY s.rank DESC LIMIT greatest($3, 0);
    ELSE
        -- a look at the past: the ranks hold what has come since
        RETURN QUERY
        SELECT s.subject::text, s.score, s.last_at, s.events
        FROM revops.intent_score s
        WHERE s.subject_kind = $1 AND s.intent = $2 COLLATE "C" AND s.score > 0
        ORDER BY s.score DESC, s.subject LIMIT greatest($3, 0);
    END IF;
END $$;

CREATE FUNCTION revops.patterns_show(intent text, body text, lang text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'patterns_show';
REVOKE ALL ON FUNCTION revops.patterns_show(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.patterns_show(text, text, text) TO revops_admin, revops_app, revops_reader;

CREATE OR REPLACE FUNCTION revops.drop_intent(intent text) RETURNS boolean
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

CREATE OR REPLACE FUNCTION revops.accept_suggestion(suggestion bigint, by text) RETURNS text
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

CREATE OR REPLACE FUNCTION revops.refuse_suggestion(suggestion bigint, by text, reason text DEFAULT NULL) RETURNS int
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

CREATE OR REPLACE FUNCTION revops.put_pipeline(pipeline text, definition jsonb) RETURNS int
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

CREATE OR REPLACE FUNCTION revops.put_playbook(playbook text, title text, plans jsonb, line interval DEFAULT '15 minutes', calendar text DEFAULT NULL,
    escalation jsonb DEFAULT '[{"share": 0.5, "role": "owner"}, {"share": 0.8, "role": "coach"}, {"share": 1.0, "role": "director"}]')
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    name    CONSTANT text := put_playbook.playbook;
    place   text;
    entry   record;
    field   record;
    share   float8 := 0;
BEGIN
    IF coalesce(name, '') = '' OR coalesce(put_playbook.title, '') = '' THEN
        RAISE EXCEPTION 'a playbook needs a name and a title' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(name) > 512 THEN
        RAISE EXCEPTION 'the name of a playbook has at most 512 bytes' USING ERRCODE = 'invalid_parameter_value';
    ELSIF put_playbook.line IS NULL OR put_playbook.line <= '0' OR put_playbook.line > '366 days'
        OR extract(month FROM put_playbook.line) <> 0 OR extract(year FROM put_playbook.line) <> 0 THEN
        RAISE EXCEPTION 'playbook "%": the line must be a span of time up to 366 days, not %', name, coalesce(put_playbook.line::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it in hours and minutes, such as ''15 minutes''.';
    ELSIF put_playbook.calendar IS NOT NULL
        AND NOT EXISTS (SELECT FROM revops.calendar c WHERE c.calendar = put_playbook.calendar COLLATE "C") THEN
        RAISE EXCEPTION 'playbook "%": calendar "%" does not exist', name, put_playbook.calendar
            USING ERRCODE = 'undefined_object', HINT = 'Make it with revops.put_calendar(), or pass NULL for the calendar of the unit.';
    ELSIF put_playbook.plans IS NULL OR jsonb_typeof(put_playbook.plans) <> 'array' OR jsonb_array_length(put_playbook.plans) = 0 THEN
        RAISE EXCEPTION 'playbook "%": plans must be an array of at least one plan', name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'For example [{"title": "Call back", "channel": "call", "message": "Hello {{person}}", "fits": {"segment": "enterprise"}}, ...]. A card offers the three that fit best.';
    ELSIF put_playbook.escalation IS NULL OR jsonb_typeof(put_playbook.escalation) <> 'array' THEN
        RAISE EXCEPTION 'playbook "%": escalation must be an array of levels', name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example [{"share": 0.5, "role": "owner"}, {"share": 1.0, "role": "director"}]; [] escalates nothing.';
    END IF;

    FOR entry IN SELECT p.value AS plan, p.ordinality AS n FROM jsonb_array_elements(put_playbook.plans) WITH ORDINALITY p LOOP
        IF jsonb_typeof(entry.plan) <> 'object' THEN
            RAISE EXCEPTION 'playbook "%": plan % is not an object', name, entry.n USING ERRCODE = 'invalid_parameter_value';
        END IF;
        FOR field IN SELECT f.key, f.value FROM jsonb_each(entry.plan) f LOOP
            IF field.key NOT IN ('title', 'channel', 'message', 'fits') THEN
                RAISE EXCEPTION 'playbook "%": plan % has the unknown field "%"', name, entry.n, field.key
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'A plan has title, channel, message and fits.';
            ELSIF field.key <> 'fits' AND (jsonb_typeof(field.value) <> 'string' OR field.value #>> '{}' = '') THEN
                RAISE EXCEPTION 'playbook "%": "%" of plan % must be a text', name, field.key, entry.n USING ERRCODE = 'invalid_parameter_value';
            END IF;
        END LOOP;
        IF NOT entry.plan ?& ARRAY['title', 'channel', 'message'] THEN
            RAISE EXCEPTION 'playbook "%": plan % needs title, channel and message', name, entry.n USING ERRCODE = 'invalid_parameter_value';
        ELSIF jsonb_typeof(coalesce(entry.plan -> 'fits', '{}')) <> 'object' THEN
            RAISE EXCEPTION 'playbook "%": "fits" of plan % must be an object of conditions', name, entry.n USING ERRCODE = 'invalid_parameter_value';
        END IF;
        FOR field IN SELECT f.key, f.value FROM jsonb_each(coalesce(entry.plan -> 'fits', '{}')) f LOOP
            IF field.key NOT IN ('segment', 'industry', 'title', 'territory', 'unit', 'stage', 'channel', 'object', 'rule', 'intent', 'account', 'person')
                AND field.key NOT LIKE 'properties._%' THEN
                RAISE EXCEPTION 'playbook "%": plan % cannot fit by "%"', name, entry.n, field.key
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'Use segment, industry, title, territory, unit, stage, channel, object, rule, intent, account, person or "properties.x".';
            ELSIF jsonb_typeof(field.value) = 'null'
                OR jsonb_typeof(field.value) = 'array' AND (jsonb_array_length(field.value) = 0
                    OR jsonb_path_exists(field.value, '$[*] ? (@.type() == "object" || @.type() == "array" || @.type() == "null")'))
                OR jsonb_typeof(field.value) = 'object' AND (field.value = '{}' OR EXISTS (
                    SELECT FROM jsonb_each(field.value) o
                    WHERE NOT (o.key IN ('eq', 'like', 'prefix') AND jsonb_typeof(o.value) IN ('string', 'number', 'boolean')
                               OR o.key = 'in' AND jsonb_typeof(o.value) = 'array'
                               OR o.key = 'ne' AND jsonb_typeof(o.value) NOT IN ('object', 'null')))) THEN
                RAISE EXCEPTION 'playbook "%": plan % has a condition on "%" that is not understood: %', name, entry.n, field.key, field.value
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'Give a value, an array of values, or an object of eq, ne, in, like and prefix.';
            END IF;
        END LOOP;
    END LOOP;
    SELECT m[1] INTO place
    FROM (SELECT put_playbook.title AS template UNION ALL SELECT p ->> 'message' FROM jsonb_array_elements(put_playbook.plans) p) t,
         regexp_matches(t.template, E'\\{\\{([^{}]*)\\}\\}', 'g') m
    WHERE m[1] NOT IN ('person', 'account', 'object') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'playbook "%": unknown placeholder {{%}}', name, place
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use {{person}}, {{account}} and {{object}}.';
    END IF;
    FOR entry IN SELECT l.value AS level, l.ordinality AS n FROM jsonb_array_elements(put_playbook.escalation) WITH ORDINALITY l LOOP
        IF jsonb_typeof(entry.level) <> 'object' OR jsonb_typeof(entry.level -> 'share') IS DISTINCT FROM 'number'
            OR coalesce(entry.level ->> 'role', '') NOT IN ('owner', 'coach', 'director') THEN
            RAISE EXCEPTION 'playbook "%": escalation level % needs a share and a role', name, entry.n
                USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"share": 0.8, "role": "coach"}; roles are owner, coach and director.';
        ELSIF (entry.level ->> 'share')::numeric <= share::numeric OR (entry.level ->> 'share')::numeric > 100 THEN
            RAISE EXCEPTION 'playbook "%": share % of escalation level % is out of order', name, entry.level ->> 'share', entry.n
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Shares ascend, above 0 up to 100; 1 is the line itself.';
        END IF;
        share := (entry.level ->> 'share')::float8;
    END LOOP;

    INSERT INTO revops.playbook AS b (playbook, title, line, calendar)
    VALUES (name, put_playbook.title, put_playbook.line, put_playbook.calendar)
    ON CONFLICT (playbook) DO UPDATE SET title = excluded.title, line = excluded.line, calendar = excluded.calendar;
    DELETE FROM revops.playbook_plan p WHERE p.playbook = name COLLATE "C";
    DELETE FROM revops.playbook_level l WHERE l.playbook = name COLLATE "C";
    INSERT INTO revops.playbook_plan (playbook, plan, title, channel, message, fits)
    SELECT name, p.ordinality, p.value ->> 'title', p.value ->> 'channel', p.value ->> 'message', coalesce(p.value -> 'fits', '{}')
    FROM jsonb_array_elements(put_playbook.plans) WITH ORDINALITY p;
    INSERT INTO revops.playbook_level (playbook, level, share, role)
    SELECT name, l.ordinality, (l.value ->> 'share')::float8, l.value ->> 'role'
    FROM jsonb_array_elements(put_playbook.escalation) WITH ORDINALITY l;
END $$;

CREATE OR REPLACE FUNCTION revops.render_message(template text, person text, account text, object text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- what is filled in is not looked through for more: its braces are others meanwhile
    SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(template,
        '{{object}}', pg_catalog.replace(coalesce(object, ''), '{{', E'\x01')), '{{account}}', pg_catalog.replace(coalesce(account, ''), '{{', E'\x01')),
        '{{person}}', pg_catalog.replace(coalesce(person, ''), '{{', E'\x01')), E'\x01', '{{')
$$;

CREATE OR REPLACE FUNCTION revops.open_tasks(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    at          CONSTANT timestamptz := revops.now();
    oldest      CONSTANT timestamptz := at - coalesce(nullif(current_setting('revops.task_max_age', true), ''), '24 hours')::interval;
    ids         uuid[];
    subjects    text[];
    owners      text[];
    given       text[];		-- who gets cards of this call already, as owner or stand-in
    free_ids    uuid[];		-- moments of customers whom nobody owns
    free_subjects text[];
    territories text[];
    opened      int;
    back        int;
BEGIN
    IF coalesce(cardinality(open_tasks.moments), 0) = 0 THEN
        RETURN 0;
    END IF;

    -- each moment is looked up by its id (OFFSET 0): a plan made while the table was small must not go over all of it later
    -- a moment that came back after it was retracted gets its card back
    WITH again AS (
        UPDATE revops.task t
        SET status = CASE WHEN t.claimed_by IS NULL THEN 'open' ELSE 'claimed' END, cancelled_at = NULL
        FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest
          AND t.subject = m.subject AND t.moment_id = m.moment_id AND t.status = 'cancelled'
        RETURNING t.subject, t.task_id
    ), resumed AS (
        UPDATE revops.escalation e SET stopped_at = NULL
        FROM again a WHERE e.subject = a.subject AND e.task_id = a.task_id AND e.fired_at IS NULL
    )
    SELECT count(*) INTO back FROM again;

    -- who owns the opportunity, or else the account
    SELECT array_agg(r.moment_id) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered), array_agg(r.subject) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered),
           array_agg(r.rep) FILTER (WHERE r.rep IS NOT NULL AND NOT r.covered), array_agg(r.rep) FILTER (WHERE r.rep IS NOT NULL AND r.card),
           array_agg(r.moment_id) FILTER (WHERE r.rep IS NULL), array_agg(r.subject) FILTER (WHERE r.rep IS NULL),
           array_agg(r.territory) FILTER (WHERE r.rep IS NULL)
    INTO ids, subjects, owners, given, free_ids, free_subjects, territories
    FROM (
        SELECT m.moment_id, m.subject, coalesce(m.owner, rs.rep, ro.rep, ra.rep) AS rep, m.owner IS NOT NULL AS covered, a.territory,
               m.playbook IS NOT NULL AND NOT EXISTS (SELECT FROM revops.task t WHERE t.subject = m.subject AND t.moment_id = m.moment_id) AS card
        FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        LEFT JOIN revops.person p ON p.person = coalesce(m.person, CASE WHEN m.subject_kind = 'person' THEN m.subject END)
        LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(m.opportunity, CASE WHEN m.subject_kind = 'opportunity' THEN m.subject END)
        LEFT JOIN revops.account a ON a.account = coalesce(m.account, CASE WHEN m.subject_kind = 'account' THEN m.subject END, o.account, p.account)
        LEFT JOIN revops.rep rs ON rs.rep = CASE WHEN m.subject_kind = 'rep' THEN m.subject END AND rs.active
        LEFT JOIN revops.rep ro ON ro.rep = o.owner AND ro.active
        LEFT JOIN revops.rep ra ON ra.rep = a.owner AND ra.active
        WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest
        ORDER BY m.occurred_at, m.moment_id
    ) r;

    -- or else the reps of the units on duty in the territory who are there, or else the fallback rep
    IF free_ids IS NOT NULL THEN
        WITH free AS MATERIALIZED (
            SELECT f.moment_id, f.subject, coalesce(f.territory, '') AS pool, f.territory,
                   row_number() OVER (PARTITION BY coalesce(f.territory, '') ORDER BY f.ordinality) AS n
            FROM unnest(free_ids, free_subjects, territories) WITH ORDINALITY AS f (moment_id, subject, territory, ordinality)
        ),
        need AS MATERIALIZED (
            SELECT f.pool, min(f.territory) AS territory, count(*) AS k, hashtextextended(min(f.moment_id::text), 0) AS seed
            FROM free f GROUP BY f.pool
        ),
        present AS NOT MATERIALIZED (
            SELECT r.rep, r.unit, r.capacity FROM revops.rep r
            WHERE r.active AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = r.rep AND b.starts_at <= at AND b.ends_at > at)
        ),
        on_duty AS MATERIALIZED (
            SELECT d.pool, d.unit, d.k, d.seed
            FROM (
                SELECT n.pool, n.k, n.seed, d.unit, rank() OVER (PARTITION BY n.pool ORDER BY bool_or(d.territory IS NOT NULL) DESC) AS rank
                FROM need n JOIN revops.duty d ON d.territory IS NULL OR d.territory = n.territory COLLATE "C"
                WHERE at >= d.starts_at AND at < d.ends_at AND EXISTS (SELECT FROM present r WHERE r.unit = d.unit)
                GROUP BY n.pool, n.k, n.seed, d.unit
            ) d
            WHERE d.rank = 1
        ),
        promised AS MATERIALIZED (
            SELECT g.rep, count(*) AS n FROM unnest(given) AS g (rep) GROUP BY g.rep
        ),
        -- the least loaded are filled up first: a rep's next cards are numbered on from those he has, and the k lowest numbers are taken
        slot AS MATERIALIZED (
            SELECT r.pool, r.rep, row_number() OVER (PARTITION BY r.pool ORDER BY s.nth, hashtextextended(r.rep, r.seed), r.rep) AS n
            FROM (
                SELECT d.pool, d.k, d.seed, r.rep, r.capacity, l.load + coalesce(g.n, 0) AS load,
                       max(l.load + coalesce(g.n, 0)) OVER (PARTITION BY d.pool) AS highest,
                       greatest(1, count(*) FILTER (WHERE r.capacity IS NULL) OVER (PARTITION BY d.pool)) AS unlimited
                FROM on_duty d
                JOIN present r ON r.unit = d.unit
                CROSS JOIN LATERAL (SELECT count(*) AS load FROM revops.task t WHERE t.owner = r.rep AND t.status IN ('open', 'claimed')) l
                LEFT JOIN promised g ON g.rep = r.rep
            ) r
            CROSS JOIN LATERAL generate_series(r.load, least(r.load + r.k, r.capacity, r.highest + (r.k + r.unlimited - 1) / r.unlimited) - 1) AS s (nth)
        ),
        spare AS MATERIALIZED (
            SELECT r.rep FROM present r WHERE r.rep = current_setting('revops.fallback_rep', true) COLLATE "C"
        )
        SELECT ids || array_agg(x.moment_id), subjects || array_agg(x.subject), owners || array_agg(x.rep)
        INTO ids, subjects, owners
        FROM (
            SELECT f.moment_id, f.subject, coalesce(s.rep, (SELECT y.rep FROM spare y)) AS rep
            FROM free f FULL JOIN slot s ON s.pool = f.pool AND s.n = f.n
        ) x
        WHERE x.moment_id IS NOT NULL AND x.rep IS NOT NULL;
    END IF;
    UPDATE revops.moment m SET owner = r.owner
    FROM unnest(ids, subjects, owners) AS r (moment_id, subject, owner)
    WHERE m.subject = r.subject COLLATE "C" AND m.moment_id = r.moment_id;

    IF NOT EXISTS (SELECT FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m WHERE m.playbook IS NOT NULL) THEN
        RETURN back;
    END IF;
    WITH
    card AS MATERIALIZED (
        SELECT nextval('revops.task_id_seq') AS task_id, c.*
        FROM (
            SELECT r.*, b.title AS playbook_title, b.line, u.unit, coalesce(r.territory, u.territory) AS card_territory,
                   k.calendar, k.time_zone, k.week, k.holidays, i.intents, i.intent, x.touches, y.contact,
                   f.claimed_by, f.claimed_at, f.answered_at, f.answered_by, f.answered_by_event, f.followed, f.note, f.outcome, f.completed_at,
                   f.opened_at AS first_opened_at, f.due_at AS first_due_at,
                   coalesce(r.person_name, r.account_name, r.person_key, r.subject) AS to_person,
                   coalesce(r.account_name, r.account) AS to_account,
                   jsonb_build_object('segment', r.segment, 'industry', r.industry, 'title', r.person_title, 'stage', r.stage,
                                      'territory', coalesce(r.territory, u.territory), 'unit', u.unit, 'channel', r.channel,
                                      'object', r.object, 'rule', r.rule, 'intent', i.intent, 'account', r.account, 'person', r.person_key) AS profile,
                   coalesce(revops.business_time_add(k.time_zone, k.week, k.holidays, at, b.line, true), at + b.line) AS due_at
            FROM (
                SELECT m.moment_id, m.rule, m.version, m.subject_kind, m.subject, m.occurred_at, m.strength, m.channel, m.object, m.playbook, m.evidence,
                       m.owner AS rep, coalesce(m.person, p.person) AS person_key, p.name AS person_name, p.title AS person_title,
                       coalesce(a.account, m.account) AS account, a.name AS account_name, a.segment, a.industry, a.territory,
                       coalesce(o.opportunity, m.opportunity) AS opportunity, o.name AS opportunity_name, o.stage, o.amount,
                       coalesce(a.properties, '{}') || coalesce(o.properties, '{}') || coalesce(p.properties, '{}') AS properties
                FROM unnest(open_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
                LEFT JOIN revops.person p ON p.person = coalesce(m.person, CASE WHEN m.subject_kind = 'person' THEN m.subject END)
                LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(m.opportunity, CASE WHEN m.subject_kind = 'opportunity' THEN m.subject END)
                LEFT JOIN revops.account a ON a.account = coalesce(m.account, CASE WHEN m.subject_kind = 'account' THEN m.subject END, o.account, p.account)
                WHERE m.retracted_at IS NULL AND m.occurred_at >= oldest AND m.playbook IS NOT NULL
                  AND NOT EXISTS (SELECT FROM revops.task t WHERE t.subject = m.subject AND t.moment_id = m.moment_id)
            ) r
            JOIN revops.playbook b ON b.playbook = r.playbook
            LEFT JOIN revops.rep w ON w.rep = r.rep
            -- a card of nobody's is for the unit on duty, all of which is away or full
            LEFT JOIN LATERAL (
                SELECT d.unit FROM revops.duty d
                WHERE r.rep IS NULL AND (d.territory IS NULL OR d.territory = r.territory) AND at >= d.starts_at AND at < d.ends_at
                ORDER BY EXISTS (SELECT FROM revops.rep f WHERE f.unit = d.unit AND f.active) DESC, d.territory IS NULL,
                         hashtextextended(d.unit, hashtextextended(r.moment_id::text, 0)), d.unit LIMIT 1
            ) d ON true
            LEFT JOIN revops.unit u ON u.unit = coalesce(w.unit, d.unit)
            LEFT JOIN revops.calendar k ON k.calendar = coalesce(b.calendar, u.calendar)
            LEFT JOIN LATERAL (
                SELECT jsonb_agg(jsonb_build_object('intent', s.intent, 'score', round(s.score::numeric, 3)) ORDER BY s.score DESC, s.intent) AS intents,
                       (array_agg(s.intent ORDER BY s.score DESC, s.intent))[1] AS intent
                FROM (SELECT s.intent, s.score FROM revops.intent_score s
                      WHERE s.subject_kind = r.subject_kind AND s.subject = r.subject
                      ORDER BY s.score DESC, s.intent LIMIT 3) s
            ) i ON true
            LEFT JOIN LATERAL (
                -- the last three of the events that made the moment
                SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('at', e.occurred_at, 'kind', e.kind, 'channel', e.channel, 'object', e.object,
                                 'dwell', e.dwell)) ORDER BY e.occurred_at DESC, e.event_id DESC) AS touches
                FROM revops.event e
                WHERE e.event_id = ANY (r.evidence[greatest(1, cardinality(r.evidence) - 2):])
                  AND e.occurred_at <= r.occurred_at AND e.occurred_at > r.occurred_at - interval '7 days'
            ) x ON true
            LEFT JOIN LATERAL (
                SELECT jsonb_strip_nulls(jsonb_build_object('at', t.answered_at, 'rep', t.answered_by, 'title', t.title, 'outcome', t.outcome)) AS contact
                FROM revops.task t
                WHERE t.subject = r.subject AND t.subject_kind = r.subject_kind AND t.answered_at IS NOT NULL
                ORDER BY t.answered_at DESC, t.task_id DESC LIMIT 1
            ) y ON true
            LEFT JOIN LATERAL (
                -- a moment takes the place of another one of its rule that shares events with it: its subject is known by now, an event came late,
                -- the rule is another version. What people did about that one's card stands
                SELECT t.claimed_by, t.claimed_at, t.answered_at, t.answered_by, t.answered_by_event, t.plan AS followed, t.note, t.outcome, t.completed_at, t.opened_at, t.due_at
                FROM (SELECT r.subject UNION ALL SELECT v.person FROM revops.person v WHERE r.subject_kind = 'person' AND v.identity = r.subject) s
                JOIN revops.task t ON t.subject = s.subject AND t.subject_kind = r.subject_kind AND t.rule = r.rule
                JOIN revops.moment o ON o.subject = t.subject AND o.moment_id = t.moment_id
                WHERE (t.answered_at IS NOT NULL OR t.claimed_by IS NOT NULL) AND o.evidence && r.evidence AND (o.retracted_at IS NOT NULL OR o.subject <> r.subject)
                  -- once: of moments that overlap, the next one is another one
                  AND NOT EXISTS (SELECT FROM revops.task h JOIN revops.moment n ON n.subject = h.subject AND n.moment_id = h.moment_id
                                  WHERE h.subject = r.subject AND h.rule = r.rule AND n.retracted_at IS NULL AND n.evidence && o.evidence
                                    AND (h.answered_at = t.answered_at OR t.answered_at IS NULL AND h.claimed_by = t.claimed_by))
                ORDER BY t.answered_at IS NULL, t.moment_at DESC, t.task_id DESC LIMIT 1
            ) f ON true
            ORDER BY r.occurred_at, r.moment_id
        ) c
    ),
    task AS (
        INSERT INTO revops.task (task_id, subject_kind, subject, moment_id, rule, playbook, title, person, account, opportunity, context,
                                 owner, unit, territory, moment_at, opened_at, due_at, line, calendar, status,
                                 claimed_by, claimed_at, answered_at, answered_by, answered_by_event, plan, note, outcome, completed_at)
        SELECT c.task_id, c.subject_kind, c.subject, c.moment_id, c.rule, c.playbook,
               revops.render_message(c.playbook_title, c.to_person, c.to_account, c.object),
               c.person_key, c.account, c.opportunity,
               jsonb_strip_nulls(jsonb_build_object(
                   'person', c.person_key, 'name', c.person_name, 'title', c.person_title,
                   'account', c.account, 'account_name', c.account_name, 'segment', c.segment, 'industry', c.industry,
                   'opportunity', c.opportunity, 'opportunity_name', c.opportunity_name, 'stage', c.stage, 'amount', c.amount,
                   'channel', c.channel, 'object', c.object, 'strength', c.strength))
               || jsonb_build_object('intents', coalesce(c.intents, '[]'), 'touches', coalesce(c.touches, '[]'))
               || CASE WHEN c.contact IS NULL THEN '{}' ELSE jsonb_build_object('last_contact', c.contact) END,
               c.rep, c.unit, c.card_territory, c.occurred_at, CASE WHEN c.answered_at IS NULL THEN at ELSE c.first_opened_at END,
               CASE WHEN c.answered_at IS NULL THEN c.due_at ELSE c.first_due_at END, c.line, c.calendar,
               CASE WHEN c.completed_at IS NOT NULL THEN 'completed' WHEN c.answered_at IS NOT NULL THEN 'answered' WHEN c.claimed_by IS NOT NULL THEN 'claimed' ELSE 'open' END,
               c.claimed_by, c.claimed_at, c.answered_at, c.answered_by, c.answered_by_event, c.followed, c.note, c.outcome, c.completed_at
        FROM card c
    ),
    level AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, l.level, l.share, l.role,
               coalesce(revops.business_time_add(c.time_zone, c.week, c.holidays, at, c.line * l.share, true), at + c.line * l.share)
        FROM card c JOIN revops.playbook_level l ON l.playbook = c.playbook
        WHERE c.answered_at IS NULL
        ORDER BY c.task_id, l.level
    ),
    -- whom the rule tells at once: levels 0, -1 ..., due now whatever the hour. What no rule could have stored is left out
    tell AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, 1 - row_number() OVER (PARTITION BY c.task_id ORDER BY min(r.n)), 0, r.role, at
        FROM card c JOIN revops.moment_rule v ON v.rule = c.rule AND v.version = c.version
        CROSS JOIN LATERAL json_array_elements_text(CASE json_typeof(v.definition -> 'tell') WHEN 'array' THEN v.definition -> 'tell' ELSE '[]' END)
             WITH ORDINALITY AS r (role, n)
        WHERE r.role IN ('coach', 'director') AND c.answered_at IS NULL
        GROUP BY c.subject_kind, c.subject, c.task_id, r.role
    ),
    -- the plans with their conditions, one row each, and one with none for every plan
    condition AS MATERIALIZED (
        SELECT p.playbook, p.plan, p.title, p.channel, p.message, f.key AS field,
               CASE jsonb_typeof(f.value)
                   WHEN 'object' THEN CASE
                       WHEN f.value ? 'eq' THEN ARRAY[lower(f.value ->> 'eq')]
                       WHEN jsonb_typeof(f.value -> 'in') = 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value -> 'in') v)
                   END
                   WHEN 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value) v)
                   ELSE ARRAY[lower(f.value #>> '{}')]
               END AS yes,
               CASE WHEN jsonb_typeof(f.value) = 'object' AND f.value ? 'ne' THEN
                   CASE jsonb_typeof(f.value -> 'ne')
                       WHEN 'array' THEN ARRAY(SELECT lower(v) FROM jsonb_array_elements_text(f.value -> 'ne') v)
                       ELSE ARRAY[lower(f.value ->> 'ne')]
                   END
               END AS no,
               CASE WHEN jsonb_typeof(f.value) = 'object' THEN lower(f.value ->> 'like') END AS pattern,
               CASE WHEN jsonb_typeof(f.value) = 'object' THEN lower(f.value ->> 'prefix') END AS prefix,
               CASE jsonb_typeof(f.value) WHEN 'string' THEN f.value #>> '{}' ELSE f.value::text END AS wanted
        FROM revops.playbook_plan p LEFT JOIN LATERAL jsonb_each(p.fits) f ON true
        WHERE p.playbook IN (SELECT c.playbook FROM card c)
    ),
    offer AS (
        INSERT INTO revops.task_plan (subject, task_id, rank, plan, title, channel, message, score, reason)
        SELECT o.subject, o.task_id, o.rank, o.plan, o.title, o.channel, revops.render_message(o.message, o.to_person, o.to_account, o.object), o.score,
               coalesce(nullif(o.reason, ''), 'fits everyone')
        FROM (
            SELECT g.*, row_number() OVER (PARTITION BY g.task_id ORDER BY g.score DESC, g.plan) AS rank
            FROM (
                SELECT v.task_id, v.subject, v.to_person, v.to_account, v.object, v.plan, v.title, v.channel, v.message,
                       (count(*) FILTER (WHERE v.met) - count(*) FILTER (WHERE NOT v.met)) / (count(v.field) + 1)::float8 AS score,
                       concat_ws('; ',
                           string_agg(v.field || ' is ' || v.value, ', ' ORDER BY v.field) FILTER (WHERE v.met),
                           string_agg(v.field || ' is ' || v.value || ', the plan is for ' || v.wanted, ', ' ORDER BY v.field) FILTER (WHERE NOT v.met),
                           string_agg(v.field || ' is not known', ', ' ORDER BY v.field) FILTER (WHERE v.met IS NULL AND v.field IS NOT NULL)) AS reason
                FROM (
                    SELECT w.*, CASE WHEN w.value IS NOT NULL THEN
                                (w.yes IS NULL OR lower(w.value) = ANY (w.yes)) AND (w.no IS NULL OR lower(w.value) <> ALL (w.no))
                                AND (w.pattern IS NULL OR lower(w.value) LIKE w.pattern ESCAPE '') AND (w.prefix IS NULL OR starts_with(lower(w.value), w.prefix))
                           END AS met
                    FROM (
                        SELECT c.task_id, c.subject, c.to_person, c.to_account, c.object, k.plan, k.title, k.channel, k.message, k.field, k.yes, k.no, k.pattern, k.prefix, k.wanted,
                               CASE WHEN k.field LIKE 'properties.%' THEN c.properties ->> substr(k.field, 12) ELSE c.profile ->> k.field END AS value
                        FROM card c JOIN condition k ON k.playbook = c.playbook
                        OFFSET 0
                    ) w
                ) v
                GROUP BY v.task_id, v.subject, v.to_person, v.to_account, v.object, v.plan, v.title, v.channel, v.message
            ) g
        ) o
        WHERE o.rank <= 3
    )
    SELECT count(*) FILTER (WHERE pg_notify('revops_task', json_build_object('event', 'opened', 'task', c.task_id, 'rule', c.rule, 'owner', c.rep, 'unit', c.unit, 'due_at', c.due_at)::text) IS NOT NULL)
    INTO opened FROM card c WHERE c.answered_at IS NULL;
    RETURN opened + back;
END $$;

CREATE OR REPLACE FUNCTION revops.cancel_tasks(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n int;
BEGIN
    WITH theirs AS MATERIALIZED (
        SELECT t.subject_kind, t.subject, t.task_id
        FROM unnest(cancel_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        JOIN revops.task t ON t.subject = m.subject AND t.moment_id = m.moment_id
        WHERE t.status IN ('open', 'claimed')
    ), free AS MATERIALIZED (
        SELECT t.subject, t.task_id FROM revops.task t
        WHERE (t.subject, t.task_id) IN (SELECT x.subject, x.task_id FROM theirs x) AND t.status IN ('open', 'claimed') FOR UPDATE SKIP LOCKED
    ), later AS (
        -- a card that somebody has locked is come back to
        INSERT INTO revops.repair_request (subject_kind, subject, since)
        SELECT DISTINCT x.subject_kind, x.subject, 'infinity'::timestamptz FROM theirs x
        WHERE NOT EXISTS (SELECT FROM free l WHERE l.subject = x.subject AND l.task_id = x.task_id)
    ), gone AS (
        UPDATE revops.task t SET status = 'cancelled', cancelled_at = revops.now()
        FROM free l WHERE t.subject = l.subject AND t.task_id = l.task_id
        RETURNING t.subject, t.task_id
    ), stopped AS (
        UPDATE revops.escalation e SET stopped_at = revops.now()
        FROM gone g WHERE e.subject = g.subject AND e.task_id = g.task_id AND e.fired_at IS NULL AND e.stopped_at IS NULL
    )
    SELECT count(*) INTO n FROM gone;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION revops.answer_tasks(lane int, lanes int, reps text[], persons text[], accounts text[], opportunities text[],
                                    at timestamptz[], event_ids uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n int;
BEGIN
    IF coalesce(cardinality(answer_tasks.event_ids), 0) = 0 THEN
        RETURN 0;
    END IF;
    WITH outbound AS MATERIALIZED (
        SELECT u.rep COLLATE "C" AS rep, u.person COLLATE "C" AS person, u.account COLLATE "C" AS account,
               u.opportunity COLLATE "C" AS opportunity, u.at, u.event_id
        FROM unnest(answer_tasks.reps, answer_tasks.persons, answer_tasks.accounts, answer_tasks.opportunities, answer_tasks.at, answer_tasks.event_ids)
             AS u (rep, person, account, opportunity, at, event_id)
        WHERE u.rep IS NOT NULL AND u.at IS NOT NULL
    ), hit AS (
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.person = o.person
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at AND t.subject_kind = 'person'
        UNION ALL
        -- an event of the account reaches the account's cards, and those of its persons if it names nobody
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.account = o.account
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at
          AND (t.subject_kind = 'account' OR t.subject_kind = 'person' AND o.person IS NULL
               OR t.subject_kind = 'opportunity' AND o.opportunity IS NULL)
        UNION ALL
        SELECT t.subject_kind, t.subject, t.task_id, t.owner, t.claimed_by, t.unit, t.moment_id, t.moment_at, t.answered_at, t.answered_by_event, o.rep, o.at, o.event_id
        FROM outbound o JOIN revops.task t ON t.opportunity = o.opportunity
        WHERE t.status <> 'cancelled' AND coalesce(t.answered_at, 'infinity') >= o.at
          AND (t.subject_kind = 'opportunity' OR t.subject_kind = 'person' AND o.person IS NULL AND o.account IS NULL)
    ), first AS MATERIALIZED (
        SELECT DISTINCT ON (h.subject, h.task_id) h.subject_kind, h.subject, h.task_id, h.rep, h.at, h.event_id
        FROM hit h
        WHERE h.at >= h.moment_at
          -- what made the moment does not answer it: three follow-ups that avoid a question
          AND (h.at > h.moment_at OR NOT EXISTS (SELECT FROM revops.moment m WHERE m.subject = h.subject AND m.moment_id = h.moment_id AND h.event_id = ANY (m.evidence)))
          AND (h.answered_at IS NULL OR h.at < h.answered_at OR h.event_id < h.answered_by_event)
          AND (answer_tasks.lane IS NULL OR answer_tasks.lane < 0
               OR revops.subject_lane(h.subject_kind, h.subject, answer_tasks.lanes) = answer_tasks.lane)
          -- of the card's rep: its owner, its claimer, one who was told, or one of the unit of an unowned card
          AND (h.rep = h.owner OR h.rep = h.claimed_by
               OR h.owner IS NULL AND (h.unit IS NULL OR EXISTS (SELECT FROM revops.rep r WHERE r.rep = h.rep AND r.unit = h.unit))
               OR EXISTS (SELECT FROM revops.escalation e WHERE e.subject = h.subject AND e.task_id = h.task_id AND e.told = h.rep))
        ORDER BY h.subject, h.task_id, h.at, h.event_id
    ), free AS MATERIALIZED (
        SELECT t.subject, t.task_id FROM revops.task t WHERE (t.subject, t.task_id) IN (SELECT f.subject, f.task_id FROM first f) FOR UPDATE SKIP LOCKED
    ), later AS (
        -- a card that somebody has locked is come back to, so that no client can hold up the stream
        INSERT INTO revops.repair_request (subject_kind, subject, since)
        SELECT DISTINCT f.subject_kind, f.subject, 'infinity'::timestamptz FROM first f
        WHERE NOT EXISTS (SELECT FROM free l WHERE l.subject = f.subject AND l.task_id = f.task_id)
    ), answered AS (
        UPDATE revops.task t
        SET status = CASE WHEN t.status IN ('open', 'claimed') THEN 'answered' ELSE t.status END,
            answered_at = f.at, answered_by = f.rep, answered_by_event = f.event_id
        FROM first f JOIN free l USING (subject, task_id)
        WHERE t.subject = f.subject AND t.task_id = f.task_id AND t.status <> 'cancelled'
          AND (t.answered_at IS NULL OR f.at < t.answered_at OR f.at = t.answered_at AND f.event_id < t.answered_by_event)
        RETURNING t.subject_kind, t.subject, t.task_id, t.rule, t.owner, t.answered_at, t.answered_by, t.due_at
    ), stopped AS (
        UPDATE revops.escalation e SET stopped_at = revops.now()
        FROM answered a WHERE e.subject = a.subject AND e.task_id = a.task_id AND e.level > 0 AND e.fired_at IS NULL AND e.stopped_at IS NULL
    )
    SELECT count(*) FILTER (WHERE pg_notify('revops_task', json_build_object('event', 'answered', 'task', a.task_id, 'rule', a.rule, 'owner', a.owner, 'answered_by', a.answered_by, 'answered_at', a.answered_at,
               'in_line', a.answered_at <= a.due_at)::text) IS NOT NULL)
    INTO n FROM answered a;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION revops.escalate_due(lane int DEFAULT NULL, lanes int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    at  CONSTANT timestamptz := revops.now();
    n   int;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT e.subject, e.task_id, e.level, e.role, e.due_at
        FROM revops.escalation e
        WHERE e.fired_at IS NULL AND e.stopped_at IS NULL AND e.due_at <= at
          AND (escalate_due.lane IS NULL OR escalate_due.lane < 0
               OR revops.subject_lane(e.subject_kind, e.subject, escalate_due.lanes) = escalate_due.lane)
        ORDER BY e.due_at, e.task_id, e.level
        FOR UPDATE SKIP LOCKED
    ), told AS MATERIALIZED (
        -- where nobody holds the role, the next one up
        SELECT d.*, coalesce(CASE WHEN d.role = 'owner' THEN o.rep END, CASE WHEN d.role IN ('owner', 'coach') THEN c.rep END, h.rep,
                             (SELECT r.rep FROM revops.rep r WHERE r.rep = current_setting('revops.fallback_rep', true) COLLATE "C" AND r.active)) AS told
        FROM due d
        JOIN revops.task t ON t.subject = d.subject AND t.task_id = d.task_id
        LEFT JOIN revops.unit u ON u.unit = t.unit
        LEFT JOIN revops.territory y ON y.territory = coalesce(t.territory, u.territory)
        LEFT JOIN revops.rep o ON o.rep = coalesce(t.claimed_by, t.owner) AND o.active
        LEFT JOIN revops.rep c ON c.rep = u.coach AND c.active
        LEFT JOIN revops.rep h ON h.rep = y.director AND h.active
    ), fired AS (
        UPDATE revops.escalation e SET fired_at = at, told = d.told
        FROM told d WHERE e.subject = d.subject AND e.task_id = d.task_id AND e.level = d.level AND e.fired_at IS NULL
        RETURNING e.subject_kind, e.subject, e.task_id, e.level, e.share, e.role, e.told, e.due_at
    )
    SELECT count(pg_notify('revops_task', json_build_object('event', 'escalated', 'task', f.task_id,
               'level', f.level, 'share', f.share, 'role', f.role, 'told', f.told, 'due_at', f.due_at)::text) ORDER BY f.due_at, f.task_id, f.level)
    INTO n FROM fired f;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION revops.claim_tasks(rep text, n int DEFAULT 1) RETURNS SETOF revops.task
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who     revops.rep;
    bound   CONSTANT text := revops.caller_bound();
BEGIN
    SELECT * INTO who FROM revops.rep r WHERE r.rep = claim_tasks.rep COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rep "%" does not exist', claim_tasks.rep USING ERRCODE = 'undefined_object', HINT = 'Reps are in revops.rep.';
    ELSIF NOT who.active THEN
        RAISE EXCEPTION 'rep "%" is not active', claim_tasks.rep USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF claim_tasks.n IS NULL OR claim_tasks.n < 1 THEN
        RAISE EXCEPTION 'claim at least one card, not %', coalesce(claim_tasks.n::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    ELSIF bound <> who.rep THEN
        RAISE EXCEPTION 'you are rep "%", and cannot claim cards for "%"', bound, who.rep USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
    WITH free AS MATERIALIZED (
        SELECT t.subject, t.task_id
        FROM revops.task t
        WHERE t.status = 'open' AND (t.owner = who.rep OR t.owner IS NULL AND (t.unit IS NULL OR t.unit = who.unit))
          AND (bound IS NULL OR revops.caller_sees_row(t.account, t.opportunity, t.person, t.subject_kind, t.subject))
        ORDER BY t.due_at, t.task_id
        LIMIT claim_tasks.n
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE revops.task t
        SET status = 'claimed', claimed_by = who.rep, claimed_at = revops.now(), owner = who.rep, unit = coalesce(t.unit, who.unit)
        FROM free f WHERE t.subject = f.subject AND t.task_id = f.task_id
        RETURNING t.*
    )
    SELECT c.* FROM claimed c ORDER BY c.due_at, c.task_id;
END $$;

CREATE FUNCTION revops.check_work(account text, mine text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who     CONSTANT text := revops.caller_bound();
    denied  boolean;
    reads   boolean;
BEGIN
    IF who IS NULL OR check_work.account IS NULL THEN
        RETURN;
    END IF;
    SELECT coalesce(bool_or(p.deny AND p.what IN ('read', 'write')), false), coalesce(bool_or(NOT p.deny AND p.what = 'read'), false)
    INTO denied, reads
    FROM revops.rep r JOIN revops.account a ON a.account = check_work.account COLLATE "C" LEFT JOIN revops.rep o ON o.rep = a.owner
    JOIN revops.permission p ON p.grantee = CASE p.grantee_kind WHEN 'rep' THEN r.rep ELSE r.unit END AND p.until > statement_timestamp()
        AND CASE p.scope_kind WHEN 'all' THEN true WHEN 'account' THEN p.scope = a.account WHEN 'unit' THEN p.scope = o.unit
                 WHEN 'territory' THEN p.scope = a.territory WHEN 'industry' THEN p.scope = a.industry ELSE p.scope = a.segment END
    WHERE r.rep = who;
    -- who may only read does no work, but for their own cards
    IF denied OR reads AND NOT coalesce(who = ANY (check_work.mine), false) AND NOT revops.may(who, 'write', check_work.account) THEN
        RAISE EXCEPTION 'you may read, and not write, what is of account "%"', check_work.account USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
REVOKE ALL ON FUNCTION revops.check_work(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.check_work(text, text[]) TO revops_admin;

CREATE OR REPLACE FUNCTION revops.respond(task bigint, plan int DEFAULT NULL, note text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    card revops.task;
    at   timestamptz := revops.now();
    who  CONSTANT text := revops.caller_bound();    -- a rep who says so answered it, whoever owns the card
BEGIN
    SELECT * INTO card FROM revops.task t WHERE t.task_id = respond.task FOR UPDATE;
    IF NOT FOUND OR NOT revops.caller_sees_row(card.account, card.opportunity, card.person, card.subject_kind, card.subject) THEN
        RAISE EXCEPTION 'task % does not exist', coalesce(respond.task::text, 'NULL') USING ERRCODE = 'undefined_object';
    ELSIF card.status = 'cancelled' THEN
        RAISE EXCEPTION 'task % was cancelled', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its moment was retracted.';
    ELSIF card.status = 'completed' THEN
        RAISE EXCEPTION 'task % is already completed', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Its outcome is "%s".', card.outcome);
    ELSIF card.status = 'answered' AND (card.answered_by_event IS NULL OR card.plan IS NOT NULL OR card.note IS NOT NULL) THEN
        RAISE EXCEPTION 'task % is already answered', respond.task
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('%s answered it at %s.', coalesce(card.answered_by, 'Somebody'), card.answered_at),
                  HINT = format('Close it with revops.complete(%s, ''outcome'').', respond.task);
    ELSIF respond.plan IS NOT NULL AND NOT EXISTS (
        SELECT FROM revops.task_plan p WHERE p.subject = card.subject AND p.task_id = card.task_id AND p.rank = respond.plan) THEN
        RAISE EXCEPTION 'task % has no plan %', respond.task, respond.plan
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A plan is given by its rank in revops.task_plan.';
    ELSIF octet_length(respond.note) > 100000 THEN
        RAISE EXCEPTION 'the note is longer than 100,000 bytes' USING ERRCODE = 'string_data_right_truncation';
    END IF;
    PERFORM revops.check_work(card.account, ARRAY[card.owner, card.claimed_by]);
    at := greatest(at, card.moment_at);    -- nobody answers what has not been
    -- where a captured event was first, this only adds what the rep did
    UPDATE revops.task t
    SET status = 'answered', answered_at = coalesce(t.answered_at, at), answered_by = coalesce(t.answered_by, who, t.claimed_by, t.owner),
        plan = respond.plan, note = respond.note
    WHERE t.subject = card.subject AND t.task_id = card.task_id;
    UPDATE revops.escalation e SET stopped_at = at
    WHERE e.subject = card.subject AND e.task_id = card.task_id AND e.level > 0 AND e.fired_at IS NULL AND e.stopped_at IS NULL;
    IF card.answered_at IS NULL THEN
        PERFORM pg_notify('revops_task', json_build_object('event', 'answered', 'task', card.task_id,
            'rule', card.rule, 'owner', card.owner, 'answered_by', coalesce(who, card.claimed_by, card.owner), 'answered_at', at, 'in_line', at <= card.due_at)::text);
    END IF;
    RETURN coalesce(card.answered_at, at) <= card.due_at;
END $$;

CREATE OR REPLACE FUNCTION revops.complete(task bigint, outcome text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    card revops.task;
BEGIN
    SELECT * INTO card FROM revops.task t WHERE t.task_id = complete.task FOR UPDATE;
    IF NOT FOUND OR NOT revops.caller_sees_row(card.account, card.opportunity, card.person, card.subject_kind, card.subject) THEN
        RAISE EXCEPTION 'task % does not exist', coalesce(complete.task::text, 'NULL') USING ERRCODE = 'undefined_object';
    ELSIF card.status IN ('open', 'claimed') THEN
        RAISE EXCEPTION 'task % is not answered yet', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Answer the customer and say so with revops.respond(%s).', complete.task);
    ELSIF card.status = 'cancelled' THEN
        RAISE EXCEPTION 'task % was cancelled', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its moment was retracted.';
    ELSIF card.status = 'completed' THEN
        RAISE EXCEPTION 'task % is already completed', complete.task
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Its outcome is "%s".', card.outcome);
    ELSIF coalesce(complete.outcome, '') = '' THEN
        RAISE EXCEPTION 'task % needs an outcome to be completed', complete.task
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what came of it, such as ''meeting booked'' or ''no interest''.';
    ELSIF octet_length(complete.outcome) > 10000 THEN
        RAISE EXCEPTION 'the outcome is longer than 10,000 bytes' USING ERRCODE = 'string_data_right_truncation';
    END IF;
    PERFORM revops.check_work(card.account, ARRAY[card.owner, card.claimed_by]);
    UPDATE revops.task t SET status = 'completed', outcome = complete.outcome, completed_at = revops.now()
    WHERE t.subject = card.subject AND t.task_id = card.task_id;
END $$;

CREATE OR REPLACE FUNCTION revops.refresh_collaboration(half_life interval DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    state   revops.collaboration_state;
    here    CONSTANT int := revops.stream_epoch();
    seen    CONSTANT pg_snapshot := pg_current_snapshot();
    oldest  CONSTANT timestamptz := date_trunc('week', revops.now(), 'UTC') - interval '364 days';
    base    timestamptz;    -- sums are taken relative to the newest week, so that no power is out of range
    h       float8;
    shift   float8;
    counted bigint;
BEGIN
    SELECT * INTO STRICT state FROM revops.collaboration_state FOR UPDATE;
    CREATE TEMP TABLE counted_week (account text COLLATE "C", week date, rep text COLLATE "C") ON COMMIT DROP;
    CREATE TEMP TABLE added_week (account text COLLATE "C", week date, rep text COLLATE "C", points float8) ON COMMIT DROP;
    IF refresh_collaboration.half_life <> state.half_life THEN
        IF refresh_collaboration.half_life < '1 day' OR refresh_collaboration.half_life > '3650 days' THEN
            RAISE EXCEPTION 'the half-life must be between 1 and 3650 days, not %', refresh_collaboration.half_life
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- weeks older than service_week has are forgotten
        state.half_life := refresh_collaboration.half_life;
        DELETE FROM revops.service;
        DELETE FROM revops.collaboration;
        INSERT INTO pg_temp.counted_week SELECT w.account, w.week, w.rep FROM revops.service_week w;
        DELETE FROM revops.service_week;
    END IF;

    -- what the last snapshot did not see, by the transaction that wrote it; of another cluster (a restored database) what was left there
    INSERT INTO pg_temp.counted_week (account, week, rep)
    SELECT w.account, (date_trunc('week', w.at, 'UTC') AT TIME ZONE 'UTC')::date, w.rep
    FROM (
        SELECT coalesce(e.account, o.account, k.account, p.account) AS account, e.occurred_at AS at, e.rep
        FROM revops.event e
        LEFT JOIN revops.opportunity o ON o.opportunity = e.opportunity
        LEFT JOIN revops.person p ON p.person = e.person
        LEFT JOIN revops.person k ON k.person = p.identity
        WHERE e.side = 'rep' AND e.rep IS NOT NULL AND NOT e.ahead AND e.occurred_at >= oldest
          AND e.txid >= CASE WHEN state.epoch = here THEN pg_snapshot_xmin(state.done) ELSE '0' END
          AND CASE WHEN e.epoch = here THEN pg_visible_in_snapshot(e.txid, seen) ELSE e.epoch <> ALL (state.past_epochs) END
          AND NOT (e.epoch = coalesce(state.epoch, 0) AND state.done IS NOT NULL AND pg_visible_in_snapshot(e.txid, state.done))
        UNION ALL
        -- cards that were answered without an event
        SELECT t.account, t.answered_at, t.answered_by
        FROM revops.task t
        WHERE t.answered_at >= greatest(oldest, state.tasks_since) AND t.answered_at <= revops.now() AND t.status <> 'cancelled'
    ) w
    WHERE w.account IS NOT NULL AND w.rep IS NOT NULL;

    SELECT max(c.week)::timestamp AT TIME ZONE 'UTC' INTO base FROM pg_temp.counted_week c;
    h := extract(epoch FROM state.half_life);
    shift := extract(epoch FROM base - '2000-01-01 00:00+00') / h;
    WITH added AS (
        INSERT INTO revops.service_week (account, week, rep)
        SELECT DISTINCT c.account, c.week, c.rep FROM pg_temp.counted_week c
        ON CONFLICT DO NOTHING
        RETURNING account, week, rep
    )
    INSERT INTO pg_temp.added_week (account, week, rep, points)
    SELECT a.account, a.week, a.rep,
           power(2::float8, greatest(extract(epoch FROM a.week::timestamp AT TIME ZONE 'UTC' - base)::float8 / h, -1000)) FROM added a;
    GET DIAGNOSTICS counted = ROW_COUNT;
    IF counted > 0 THEN
        INSERT INTO revops.service AS s (account, rep, rank, weeks, last_week)
        SELECT a.account, a.rep, shift + ln(sum(a.points)) / ln(2::float8), count(*), max(a.week)
        FROM pg_temp.added_week a GROUP BY a.account, a.rep ORDER BY a.account, a.rep
        ON CONFLICT (account, rep) DO UPDATE
        SET rank = revops.decay_add(s.rank, excluded.rank), weeks = s.weeks + excluded.weeks, last_week = greatest(s.last_week, excluded.last_week);
        INSERT INTO revops.collaboration AS c (rep, other, rank, weeks, last_week)
        SELECT p.rep, p.other, shift + ln(sum(p.points)) / ln(2::float8), count(*), max(p.week)
        FROM (
            SELECT DISTINCT x.rep, x.other, a.account, a.week, a.points
            FROM pg_temp.added_week a JOIN revops.service_week o ON o.account = a.account AND o.week = a.week AND o.rep <> a.rep
            CROSS JOIN LATERAL (VALUES (a.rep, o.rep), (o.rep, a.rep)) AS x (rep, other)
        ) p
        GROUP BY p.rep, p.other ORDER BY p.rep, p.other
        ON CONFLICT (rep, other) DO UPDATE
        SET rank = revops.decay_add(c.rank, excluded.rank), weeks = c.weeks + excluded.weeks, last_week = greatest(c.last_week, excluded.last_week);
    END IF;
    DROP TABLE pg_temp.counted_week, pg_temp.added_week;
    DELETE FROM revops.service_week w WHERE w.week < (oldest AT TIME ZONE 'UTC')::date;
    IF state.epoch IS DISTINCT FROM here THEN
        state.past_epochs := ARRAY(SELECT DISTINCT e.epoch FROM revops.event e WHERE e.epoch <> here);
    END IF;
    UPDATE revops.collaboration_state s
    SET half_life = state.half_life, epoch = here, done = seen, past_epochs = state.past_epochs,
        tasks_since = greatest(state.tasks_since, revops.now() - interval '30 days');
    RETURN counted;
END $$;

CREATE OR REPLACE FUNCTION revops.account_features(account text) RETURNS TABLE (features text[], weights float8[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 BEGIN ATOMIC
    SELECT array_agg(f.feature ORDER BY f.feature), array_agg(f.weight ORDER BY f.feature)
    FROM revops.account a
    CROSS JOIN LATERAL (
        SELECT 'industry=' || lower(a.industry) AS feature, 1.0::float8 AS weight WHERE a.industry IS NOT NULL
        UNION ALL SELECT 'segment=' || lower(a.segment), 0.8 WHERE a.segment IS NOT NULL
        UNION ALL SELECT 'territory=' || lower(a.territory), 0.8 WHERE a.territory IS NOT NULL
        UNION ALL
        SELECT 'product=' || p.product, 0.8 / sqrt(count(*) OVER ())
        FROM (SELECT DISTINCT lower(x.product) AS product
              FROM jsonb_array_elements_text(CASE jsonb_typeof(a.properties -> 'products') WHEN 'array' THEN a.properties -> 'products'
                                                  WHEN 'string' THEN jsonb_build_array(a.properties -> 'products') ELSE '[]' END) x (product)
              WHERE x.product IS NOT NULL ORDER BY 1 LIMIT 32) p
        UNION ALL
        SELECT 'intent=' || i.intent, 0.6 / sqrt(count(*) OVER ())
        FROM (SELECT s.intent FROM revops.intent_state s JOIN revops.intent n USING (intent)
              WHERE s.subject_kind = 'account' AND s.subject = a.account AND revops.decayed(s.rank, n.half_life, revops.now()) >= 0.5
              ORDER BY revops.decayed(s.rank, n.half_life, revops.now()) DESC, s.intent LIMIT 3) i
    ) f
    WHERE a.account = $1 COLLATE "C"
    GROUP BY a.account;
END;

CREATE OR REPLACE FUNCTION revops.refresh_profiles() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
    SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    changed bigint := 0;
    gone    bigint;
    n       bigint;
BEGIN
    -- two at once would write the same rows. Tables that are being filled are reached by their index, not read again for each row
    PERFORM pg_advisory_xact_lock('revops.account_profile'::regclass::oid::int, 1);
    -- whoever is gone, or has nothing left to be known by
    DELETE FROM revops.account_profile p WHERE NOT EXISTS (SELECT FROM revops.account_features(p.account));
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO revops.account_profile AS p (account, vector)
    SELECT v.account, v.vector
    FROM (SELECT a.account, revops.profile_vector(f.features, f.weights) AS vector
          FROM revops.account a CROSS JOIN LATERAL revops.account_features(a.account) f OFFSET 0) v
    WHERE v.vector IS NOT NULL
      AND v.vector IS DISTINCT FROM (SELECT o.vector FROM revops.account_profile o WHERE o.account = v.account)
    ON CONFLICT (account) DO UPDATE SET vector = excluded.vector;
    GET DIAGNOSTICS changed = ROW_COUNT;

    CREATE TEMP TABLE fresh_profile ON COMMIT DROP AS
    SELECT a.owner AS rep, count(*)::int AS customers, revops.profile_sum(p.vector, 1) AS vector
    FROM revops.account a JOIN revops.account_profile p USING (account) WHERE a.owner IS NOT NULL GROUP BY a.owner;
    DELETE FROM revops.rep_profile p WHERE NOT EXISTS (SELECT FROM pg_temp.fresh_profile f WHERE f.rep = p.rep AND f.vector IS NOT NULL);
    INSERT INTO revops.rep_profile AS p (rep, customers, vector)
    SELECT f.rep, f.customers, f.vector FROM pg_temp.fresh_profile f
    WHERE f.vector IS NOT NULL AND NOT EXISTS (SELECT FROM revops.rep_profile o WHERE o.rep = f.rep AND o.customers = f.customers AND o.vector = f.vector)
    ON CONFLICT (rep) DO UPDATE SET customers = excluded.customers, vector = excluded.vector;
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;
    DROP TABLE pg_temp.fresh_profile;

    CREATE TEMP TABLE fresh_profile ON COMMIT DROP AS
    SELECT r.unit, sum(p.customers)::int AS customers, revops.profile_sum(p.vector, p.customers) AS vector
    FROM revops.rep r JOIN revops.rep_profile p USING (rep) WHERE r.unit IS NOT NULL GROUP BY r.unit;
    DELETE FROM revops.unit_profile p WHERE NOT EXISTS (SELECT FROM pg_temp.fresh_profile f WHERE f.unit = p.unit AND f.vector IS NOT NULL);
    INSERT INTO revops.unit_profile AS p (unit, customers, vector)
    SELECT f.unit, f.customers, f.vector FROM pg_temp.fresh_profile f
    WHERE f.vector IS NOT NULL AND NOT EXISTS (SELECT FROM revops.unit_profile o WHERE o.unit = f.unit AND o.customers = f.customers AND o.vector = f.vector)
    ON CONFLICT (unit) DO UPDATE SET customers = excluded.customers, vector = excluded.vector;
    GET DIAGNOSTICS n = ROW_COUNT;
    DROP TABLE pg_temp.fresh_profile;
    RETURN changed + gone + n;
END $$;

CREATE OR REPLACE FUNCTION revops.propose_assignments(scope text DEFAULT NULL, fairness float8 DEFAULT 0.25, switch_cost float8 DEFAULT 0.3, candidates int DEFAULT 20)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    which   CONSTANT text COLLATE "C" := propose_assignments.scope;
    at      CONSTANT timestamptz := revops.now();
    id      bigint;
    reps    text[];
    n       bigint;
    land    text COLLATE "C";    -- the scope, where it is a territory
    denying boolean := EXISTS (SELECT FROM revops.permission p WHERE p.deny AND p.what IN ('own', 'read') AND p.until > revops.now());
BEGIN
    IF NOT coalesce(propose_assignments.fairness BETWEEN 0 AND 10 AND propose_assignments.switch_cost BETWEEN 0 AND 10, false) THEN
        RAISE EXCEPTION 'fairness and switch_cost lie between 0 and 10' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT coalesce(propose_assignments.candidates BETWEEN 1 AND 200, false) THEN
        RAISE EXCEPTION 'each customer has 1 to 200 candidates, not %', coalesce(propose_assignments.candidates::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF which IS NULL THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r WHERE r.unit IS NOT NULL);
    ELSIF EXISTS (SELECT FROM revops.unit u WHERE u.unit = which) THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r WHERE r.unit = which);
    ELSIF EXISTS (SELECT FROM revops.territory t WHERE t.territory = which) THEN
        reps := ARRAY(SELECT r.rep FROM revops.rep r JOIN revops.unit u USING (unit) WHERE u.territory = which);
        land := which;
    ELSE
        RAISE EXCEPTION 'there is no unit or territory "%"', which
            USING ERRCODE = 'undefined_object', HINT = 'Units are in revops.unit, territories in revops.territory; NULL is everything.';
    END IF;
    CREATE TEMP TABLE proposal_customer ON COMMIT DROP AS
    SELECT a.account, a.owner, a.territory, a.languages, p.vector, 0::float8 AS value, 0::float8 AS owner_known
    FROM revops.account a LEFT JOIN revops.account_profile p USING (account)
    WHERE which IS NULL OR a.owner = ANY (reps) OR a.territory = land;
    SELECT count(*) INTO n FROM pg_temp.proposal_customer;
    -- who can get customers at all
    reps := ARRAY(SELECT r FROM unnest(reps) r WHERE revops.is_present(r));
    IF n = 0 OR reps = '{}' THEN
        RAISE EXCEPTION '%', CASE WHEN n = 0 THEN 'there are no customers to deal out' ELSE 'nobody is there to deal customers to' END
                || CASE WHEN which IS NULL THEN '' ELSE format(' in "%s"', which) END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Customers are those that a rep of the scope owns, and those of the territory; reps are the active ones of its units who are not away.';
    ELSIF n * cardinality(reps) > 20000000 THEN
        RAISE EXCEPTION '% customers and % reps are too many for one proposal', n, cardinality(reps)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'Make one for each territory or unit; a proposal compares at most 20 million pairs.';
    END IF;

    -- what a customer is worth: amount times win probability of its open opportunities, where that is predicted, and how hot its intents are
    EXECUTE 'UPDATE pg_temp.proposal_customer c SET value = v.value FROM (
        SELECT x.account, 0.1 + 0.7 * x.money / greatest(max(x.money) OVER (), 1e-9) + 0.3 * x.heat / greatest(max(x.heat) OVER (), 1e-9) AS value
        FROM (SELECT c.account,
                     coalesce((SELECT ln(1 + greatest(sum(o.amount * coalesce(' || CASE WHEN to_regclass('revops.win_probability') IS NULL THEN 'NULL'
                         ELSE '(SELECT w.probability FROM revops.win_probability w WHERE w.opportunity = o.opportunity LIMIT 1)' END || '::float8, 0.5)), 0))
                               FROM revops.opportunity o WHERE o.account = c.account AND o.status = ''open''), 0)::float8 AS money,
                     coalesce((SELECT ln(1 + sum(revops.decayed(s.rank, i.half_life, $1)))
                               FROM revops.intent_state s JOIN revops.intent i USING (intent) WHERE s.subject_kind = ''account'' AND s.subject = c.account), 0)::float8 AS heat
              FROM pg_temp.proposal_customer c) x) v WHERE v.account = c.account' USING at;
    UPDATE pg_temp.proposal_customer c SET owner_known = k.known / (1 + k.known)
    FROM (SELECT s.account, s.rep, revops.decayed(s.rank, h.half_life, at) AS known FROM revops.service s, revops.collaboration_state h) k
    WHERE k.account = c.account AND k.rep = c.owner;

    INSERT INTO revops.proposal (scope, fairness, switch_cost) VALUES (which, propose_assignments.fairness, propose_assignments.switch_cost)
    RETURNING proposal_id INTO id;
    INSERT INTO revops.proposal_pair (account, proposal_id, rep, benefit, similarity, skill, language, territory, known, switch_cost)
    SELECT q.account, id, q.rep, q.benefit, q.similarity, q.skill, q.language, q.near, q.known, q.cost
    FROM (
        SELECT y.*, row_number() OVER (PARTITION BY y.account ORDER BY coalesce(y.rep = y.owner, false) DESC, y.benefit DESC, hashtextextended(y.rep, hashtextextended(y.account, 0))) AS place
        FROM (
            SELECT x.*, x.value * (1 + 0.4 * x.similarity + 0.3 * x.skill + 0.1 * x.language + 0.1 * x.near + 0.1 * x.known - x.cost) AS benefit,
                   max(x.run) OVER (PARTITION BY x.account) AS longest
            FROM (
                SELECT c.account, c.owner, c.value, r.rep,
                       coalesce(revops.profile_similarity(c.vector, f.vector), 0) AS similarity,
                       coalesce(s.skill, 1) AS skill,
                       coalesce(s.run, 0) AS run,    -- optional skills that the rep has, from the most important on without a break
                       CASE WHEN c.languages IS NULL OR c.languages = '{}' THEN 1
                            ELSE (SELECT count(*) FROM unnest(c.languages) l WHERE l = ANY (r.languages)) / cardinality(c.languages)::float8 END AS language,
                       CASE WHEN c.territory IS NULL OR c.territory = u.territory THEN 1 ELSE 0 END::float8 AS near,
                       coalesce(k.known / (1 + k.known), 0) AS known,
                       CASE WHEN c.owner IS NULL OR c.owner = r.rep THEN 0 ELSE propose_assignments.switch_cost * (0.2 + 0.8 * c.owner_known) END AS cost
                FROM pg_temp.proposal_customer c
                CROSS JOIN revops.rep r
                LEFT JOIN revops.unit u ON u.unit = r.unit
                LEFT JOIN revops.rep_profile f ON f.rep = r.rep
                LEFT JOIN LATERAL (SELECT revops.decayed(w.rank, h.half_life, at) AS known FROM revops.service w, revops.collaboration_state h
                                   WHERE w.account = c.account AND w.rep = r.rep) k ON true
                LEFT JOIN LATERAL (
                    SELECT sum(CASE WHEN d.required THEN 1 ELSE 0.5 END * least(1, coalesce(d.has, 0) / d.level::float8))
                               / nullif(sum(CASE WHEN d.required THEN 1 ELSE 0.5 END), 0) AS skill,
                           bool_and(coalesce(d.has, 0) >= d.level) FILTER (WHERE d.required) AS fit,
                           count(*) FILTER (WHERE NOT d.required AND d.unbroken) AS run
                    FROM (SELECT m.required, m.level, g.level AS has,
                                 bool_and(coalesce(g.level, 0) >= m.level) FILTER (WHERE NOT m.required)
                                     OVER (ORDER BY m.required DESC, m.priority, m.skill ROWS UNBOUNDED PRECEDING) AS unbroken
                          FROM revops.account_need m LEFT JOIN revops.rep_skill g ON g.skill = m.skill AND g.rep = r.rep
                          WHERE m.account = c.account) d
                ) s ON true
                WHERE r.rep = ANY (reps)
                  AND (c.languages IS NULL OR c.languages = '{}' OR coalesce(r.languages && c.languages, false))
                  AND coalesce(s.fit, true)
                  AND (NOT denying OR revops.may(r.rep, 'own', c.account))
            ) x
        ) y
        WHERE y.run = y.longest
    ) q
    WHERE q.place <= propose_assignments.candidates;
    INSERT INTO revops.proposal_row (account, proposal_id, owner, value, dropped)
    SELECT c.account, id, c.owner, c.value,
           ARRAY(SELECT o.skill::text FROM (SELECT m.skill, m.level, m.priority, row_number() OVER (ORDER BY m.priority, m.skill) AS nth
                                      FROM revops.account_need m WHERE m.account = c.account AND NOT m.required) o
                 WHERE o.nth > (SELECT count(*) FROM (
                                    SELECT bool_and(coalesce(g.level, 0) >= m.level) OVER (ORDER BY m.priority, m.skill ROWS UNBOUNDED PRECEDING) AS unbroken
                                    FROM revops.account_need m LEFT JOIN revops.rep_skill g ON g.skill = m.skill AND g.rep = b.rep
                                    WHERE m.account = c.account AND NOT m.required) z WHERE z.unbroken)
                   AND b.rep IS NOT NULL ORDER BY o.nth DESC)
    FROM pg_temp.proposal_customer c
    LEFT JOIN LATERAL (SELECT x.rep FROM revops.proposal_pair x WHERE x.account = c.account AND x.proposal_id = id LIMIT 1) b ON true;
    DROP TABLE pg_temp.proposal_customer;
    PERFORM revops.solve_proposal(id);
    RETURN id;
END $$;

CREATE OR REPLACE FUNCTION revops.undo_assignments(proposal bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    n bigint;
BEGIN
    PERFORM revops.draft_proposal(undo_assignments.proposal, 'applied');
    WITH back AS (
        UPDATE revops.account a SET owner = c.former FROM revops.proposal_change c
        WHERE c.proposal_id = undo_assignments.proposal AND c.kind = 'account' AND a.account = c.subject AND a.owner = c.given
        RETURNING c.kind, c.subject
    ), deals AS (
        UPDATE revops.opportunity o SET owner = c.former FROM revops.proposal_change c
        WHERE c.proposal_id = undo_assignments.proposal AND c.kind = 'opportunity' AND o.opportunity = c.subject AND o.owner = c.given AND o.status = 'open'
        RETURNING c.kind, c.subject
    ), noted AS (
        UPDATE revops.proposal_change c SET undone = (c.kind, c.subject) IN (SELECT b.kind, b.subject FROM back b UNION ALL SELECT d.kind, d.subject FROM deals d)
        WHERE c.proposal_id = undo_assignments.proposal
        RETURNING c.kind, c.undone
    )
    SELECT count(*) FILTER (WHERE x.undone AND x.kind = 'account') INTO n FROM noted x;
    UPDATE revops.proposal p SET status = 'undone', undone_at = revops.now() WHERE p.proposal_id = undo_assignments.proposal;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION revops.cover_moments(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    oldest  CONSTANT timestamptz := revops.now() - coalesce(nullif(current_setting('revops.task_max_age', true), ''), '24 hours')::interval;
    m       record;
    taker   text;
    given   jsonb := '{}';    -- cards that this call gives to each
    n       int := 0;
BEGIN
    FOR m IN
        SELECT x.moment_id, x.subject, a.account, w.owner, w.gone, w.capacity, w.cards, x.playbook IS NOT NULL AS card
        FROM unnest(cover_moments.moments) AS u (moment_id)
        CROSS JOIN LATERAL (SELECT * FROM revops.moment y WHERE y.moment_id = u.moment_id OFFSET 0) x
        LEFT JOIN revops.person p ON p.person = coalesce(x.person, CASE WHEN x.subject_kind = 'person' THEN x.subject END)
        LEFT JOIN revops.opportunity o ON o.opportunity = coalesce(x.opportunity, CASE WHEN x.subject_kind = 'opportunity' THEN x.subject END)
        LEFT JOIN revops.account a ON a.account = coalesce(x.account, CASE WHEN x.subject_kind = 'account' THEN x.subject END, o.account, p.account)
        CROSS JOIN LATERAL (
            SELECT r.rep AS owner, NOT revops.is_present(r.rep) AS gone, r.capacity,
                   CASE WHEN r.capacity IS NOT NULL THEN (SELECT count(*) FROM revops.task t WHERE t.owner = r.rep AND t.status IN ('open', 'claimed')) END AS cards
            FROM revops.rep r WHERE r.rep IN (o.owner, a.owner) ORDER BY coalesce(r.rep = o.owner, false) DESC LIMIT 1
        ) w
        WHERE x.retracted_at IS NULL AND x.occurred_at >= oldest AND x.owner IS NULL AND x.subject_kind <> 'rep' AND (w.gone OR w.capacity IS NOT NULL)
        ORDER BY x.occurred_at, x.moment_id
    LOOP
        taker := NULL;
        IF m.gone OR m.cards + coalesce((given ->> m.owner)::int, 0) >= m.capacity THEN
            taker := revops.stand_in(m.owner, m.account, given);
        END IF;
        IF taker IS NOT NULL THEN
            UPDATE revops.moment x SET owner = taker WHERE x.subject = m.subject AND x.moment_id = m.moment_id;
            n := n + 1;
        END IF;
        IF m.card THEN
            given := jsonb_set(given, ARRAY[coalesce(taker, m.owner)], to_jsonb(coalesce((given ->> coalesce(taker, m.owner))::int, 0) + 1));
        END IF;
    END LOOP;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION revops.substitution_candidates(lost text[], customers text[], vector bytea, skills text[], levels int[], known text[])
RETURNS TABLE (rep text, unit text, whole boolean, similarity float8, room bigint, languages text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET max_parallel_workers_per_gather = 0 ROWS 500 AS $$
#variable_conflict use_column
DECLARE
    at      CONSTANT timestamptz := revops.now();
    overlap CONSTANT float8 := coalesce(nullif(current_setting('revops.substitution_overlap', true), ''), '0.5')::float8;
    most    CONSTANT int := 2000;
    units   text[];
    members text[];
    cut     bigint;
    denied  text[];
    barred  text[];
    listed  text[];
    open_calendars text[];
    open_always boolean;
BEGIN
    -- units that have similar customers, and those that know these, the best of both first
    units := ARRAY(
        SELECT u.unit
        FROM (
            SELECT s.unit, s.place FROM revops.similar_units(vector, 40) WITH ORDINALITY AS s (unit, place)
            UNION ALL
            (SELECT r.unit, row_number() OVER (ORDER BY count(*) DESC, r.unit)
             FROM unnest(known) AS k (rep) JOIN revops.rep r ON r.rep = k.rep COLLATE "C" WHERE r.unit IS NOT NULL
             GROUP BY r.unit ORDER BY 2 LIMIT 12)
        ) u
        GROUP BY u.unit ORDER BY min(u.place), u.unit);
    -- where there are few of these: units of which nothing is known yet
    units := units || ARRAY(SELECT u.unit::text FROM revops.unit u WHERE u.unit <> ALL (units) ORDER BY u.unit LIMIT greatest(40 - cardinality(units), 0));
    -- their members; a unit that the bound cuts is none that could take over as it is
    SELECT array_agg(m.rep ORDER BY m.place, m.rep), max(m.place) INTO members, cut
    FROM (SELECT r.rep, u.place
          FROM unnest(units) WITH ORDINALITY AS u (unit, place)
          CROSS JOIN LATERAL (SELECT x.rep FROM revops.rep x WHERE x.unit = u.unit COLLATE "C" ORDER BY x.rep LIMIT most + 1) r
          ORDER BY u.place, r.rep LIMIT most + 1) m;
    IF cardinality(members) > most THEN
        members := members[:most];
        units := units[:cut - 1];
    END IF;
    SELECT array_agg(DISTINCT p.grantee) FILTER (WHERE p.grantee_kind = 'rep'), array_agg(DISTINCT p.grantee) FILTER (WHERE p.grantee_kind = 'unit')
    INTO denied, barred
    FROM revops.permission p
    WHERE p.deny AND p.what IN ('own', 'read') AND p.until > at
      AND CASE p.scope_kind
              WHEN 'all' THEN true
              WHEN 'account' THEN p.scope = ANY (customers)
              WHEN 'unit' THEN EXISTS (SELECT FROM revops.rep r WHERE r.rep = ANY (lost) AND r.unit = p.scope)
              ELSE EXISTS (SELECT FROM unnest(customers) AS c (account) JOIN revops.account a ON a.account = c.account COLLATE "C"
                           WHERE p.scope = CASE p.scope_kind WHEN 'territory' THEN a.territory WHEN 'industry' THEN a.industry ELSE a.segment END)
          END;
    -- calendars that are open long enough in the hours of those who are lost, at best; NULL is round the clock
    SELECT array_agg(o.calendar) FILTER (WHERE o.calendar IS NOT NULL), bool_or(o.calendar IS NULL) INTO open_calendars, open_always
    FROM (
        SELECT c.calendar
        FROM (SELECT x.calendar, x.time_zone, x.week FROM revops.calendar x UNION ALL SELECT NULL, NULL, NULL) c
        CROSS JOIN (SELECT DISTINCT coalesce(v.calendar, w.calendar) AS calendar
                    FROM revops.rep v LEFT JOIN revops.unit w ON w.unit = v.unit WHERE v.rep = ANY (lost)) y
        LEFT JOIN revops.calendar z ON z.calendar = y.calendar
        GROUP BY c.calendar
        HAVING coalesce(max(revops.hours_overlap(z.time_zone, z.week, c.time_zone, c.week, at)), 1) >= overlap
    ) o;
    listed := ARRAY(
        SELECT k.rep FROM unnest(known[:200]) AS k (rep)
        UNION
        SELECT m.rep FROM unnest(members) AS m (rep)
        UNION
        -- in the order of the index
        (SELECT r.rep FROM revops.rep r WHERE r.unit IS NULL ORDER BY r.unit, r.rep LIMIT 400)
        UNION
        SELECT s.rep FROM unnest(skills, levels) AS n (skill, level) CROSS JOIN LATERAL (
            SELECT x.rep FROM revops.rep_skill x WHERE x.skill = n.skill COLLATE "C" AND x.level >= n.level ORDER BY x.level DESC, x.rep LIMIT 20) s
    );
    RETURN QUERY
    SELECT p.rep, p.unit, coalesce(p.unit = ANY (units), false),
           coalesce(revops.profile_similarity(f.vector, substitution_candidates.vector), 0), p.room, p.languages
    FROM (
        SELECT r.rep, r.unit, r.languages, r.calendar, o.room
        FROM unnest(listed) AS l (rep)
        JOIN revops.rep r ON r.rep = l.rep COLLATE "C"
        CROSS JOIN LATERAL (
            SELECT CASE WHEN r.max_accounts IS NOT NULL THEN
                r.max_accounts - (SELECT count(*) FROM revops.account a WHERE a.owner = r.rep) END AS room OFFSET 0) o
        WHERE r.active
          AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = r.rep AND b.starts_at <= at AND b.ends_at > at)
          AND (denied IS NULL OR r.rep <> ALL (denied)) AND (barred IS NULL OR r.unit IS NULL OR r.unit <> ALL (barred))
        OFFSET 0
    ) p
    LEFT JOIN revops.rep_profile f ON f.rep = p.rep
    LEFT JOIN revops.unit u ON u.unit = p.unit
    WHERE p.rep <> ALL (lost) AND (p.room IS NULL OR p.room > 0)
      AND CASE WHEN coalesce(p.calendar, u.calendar) IS NULL THEN open_always ELSE coalesce(p.calendar, u.calendar) = ANY (open_calendars) END;
END $$;

CREATE OR REPLACE FUNCTION revops.activate_substitution(plan jsonb, until timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whom    CONSTANT text COLLATE "C" := activate_substitution.plan ->> 'for';
    team    text[];
    case_   record;
    a       record;
    pick    text;
    stuck   text;
    n       bigint;
    id      bigint;
BEGIN
    IF whom IS NULL OR jsonb_typeof(activate_substitution.plan -> 'members') IS DISTINCT FROM 'array' OR activate_substitution.plan -> 'members' = '[]' THEN
        RAISE EXCEPTION 'a plan names whom it replaces, and its members'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Take the column plan of revops.substitute_units(), or give {"for": "east-1", "members": ["li.na", ...]}.';
    ELSIF activate_substitution.until <= revops.now() THEN
        RAISE EXCEPTION 'a substitution cannot end at %, which is past', activate_substitution.until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    team := ARRAY(SELECT DISTINCT m FROM jsonb_array_elements_text(activate_substitution.plan -> 'members') m ORDER BY m);
    -- one at a time: two would divide the same customers
    LOCK TABLE revops.substitution IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO case_ FROM revops.substitution_case(whom);
    SELECT string_agg(m, ', ') INTO stuck FROM unnest(team) m WHERE NOT revops.is_present(m) OR m = ANY (case_.lost);
    IF stuck IS NOT NULL THEN
        RAISE EXCEPTION 'these cannot stand in for "%": %', whom, stuck
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'They do not exist, are not active, are away, or are replaced themselves.',
                  HINT = 'Ask revops.substitute_units() again.';
    END IF;
    INSERT INTO revops.substitution (replaces, unit, members, plan, until)
    VALUES (whom, activate_substitution.plan ->> 'unit', team, activate_substitution.plan, activate_substitution.until)
    RETURNING substitution_id INTO id;

    -- each customer to a member who may own it and has room: who speaks its language, has the skills that it
    -- requires, knows it best, has got less than an even share, has customers like it.
    -- Those whom fewest members suit come first, then the dearest
    PERFORM FROM revops.account x WHERE x.owner = ANY (case_.lost) ORDER BY x.account FOR UPDATE;
    CREATE TEMP TABLE handover ON COMMIT DROP AS
    SELECT m.rep COLLATE "C" AS rep, r.languages, p.vector, 0::bigint AS got,
           r.max_accounts - (SELECT count(*) FROM revops.account x WHERE x.owner = r.rep) AS room
    FROM unnest(team) AS m (rep) JOIN revops.rep r ON r.rep = m.rep COLLATE "C" LEFT JOIN revops.rep_profile p ON p.rep = r.rep;
    FOR a IN
        SELECT x.account, x.owner, x.languages, p.vector
        FROM revops.account x
        LEFT JOIN revops.account_profile p ON p.account = x.account
        LEFT JOIN LATERAL (SELECT sum(o.amount) AS amount FROM revops.opportunity o WHERE o.account = x.account AND o.status = 'open') v ON true
        CROSS JOIN LATERAL (
            SELECT count(*) AS n FROM pg_temp.handover h
            WHERE (h.room IS NULL OR h.room > 0) AND revops.may(h.rep, 'own', x.account)
              AND (x.languages IS NULL OR x.languages = '{}' OR h.languages && x.languages)
              AND NOT EXISTS (SELECT FROM revops.account_need d WHERE d.account = x.account AND d.required
                              AND NOT EXISTS (SELECT FROM revops.rep_skill k WHERE k.rep = h.rep AND k.skill = d.skill AND k.level >= d.level))
        ) suit
        WHERE x.owner = ANY (case_.lost)
        ORDER BY nullif(suit.n, 0) NULLS LAST, v.amount DESC NULLS LAST, x.account
    LOOP
        SELECT h.rep INTO pick
        FROM pg_temp.handover h LEFT JOIN revops.service s ON s.account = a.account AND s.rep = h.rep
        WHERE (h.room IS NULL OR h.got < h.room) AND revops.may(h.rep, 'own', a.account)
        ORDER BY a.languages IS NULL OR a.languages = '{}' OR coalesce(h.languages && a.languages, false) DESC,
                 (SELECT count(*) FROM revops.account_need d WHERE d.account = a.account AND d.required
                  AND NOT EXISTS (SELECT FROM revops.rep_skill k WHERE k.rep = h.rep AND k.skill = d.skill AND k.level >= d.level)),
                 s.rank DESC NULLS LAST, h.got / greatest(case_.total / cardinality(team), 1),
                 coalesce(revops.profile_similarity(h.vector, a.vector), 0) DESC, h.got, h.rep
        LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no member may take over customer "%"', a.account
                USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Each is full (max_accounts) or not permitted to own it. Nothing was handed over.',
                      HINT = 'Ask revops.substitute_units() again, or raise max_accounts in revops.rep.';
        END IF;
        UPDATE pg_temp.handover h SET got = h.got + 1 WHERE h.rep = pick;
        INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given) VALUES ('account', a.account, id, a.owner, pick);
    END LOOP;
    UPDATE revops.account x SET owner = i.given
    FROM revops.substitution_item i WHERE i.substitution_id = id AND i.kind = 'account' AND x.account = i.subject;

    -- open opportunities and cards go where their customer went, or else to the members in turn
    INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given)
    SELECT 'opportunity', o.opportunity, id, o.owner,
           coalesce(i.given, w.owner, team[1 + (hashtextextended(o.opportunity, 0) & 2147483647) % cardinality(team)])
    FROM revops.opportunity o
    LEFT JOIN revops.substitution_item i ON i.subject = o.account AND i.kind = 'account' AND i.substitution_id = id
    LEFT JOIN revops.account w ON w.account = o.account AND w.owner = ANY (team)
    WHERE o.status = 'open' AND o.owner = ANY (case_.lost);
    -- what somebody closed or gave to another in this very moment stays theirs
    WITH handed AS (
        UPDATE revops.opportunity o SET owner = i.given
        FROM revops.substitution_item i
        WHERE i.substitution_id = id AND i.kind = 'opportunity' AND o.opportunity = i.subject AND o.status = 'open' AND o.owner = i.former
        RETURNING i.subject
    )
    DELETE FROM revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'opportunity' AND i.subject NOT IN (SELECT h.subject FROM handed h);
    INSERT INTO revops.substitution_item (kind, subject, substitution_id, former, given)
    SELECT 'task', t.task_id, id, t.owner,
           coalesce(oi.given, i.given, w.owner, team[1 + (hashtextextended(t.subject, 0) & 2147483647) % cardinality(team)])
    FROM revops.task t
    LEFT JOIN revops.substitution_item oi ON oi.subject = t.opportunity AND oi.kind = 'opportunity' AND oi.substitution_id = id
    LEFT JOIN revops.substitution_item i ON i.subject = t.account AND i.kind = 'account' AND i.substitution_id = id
    LEFT JOIN revops.account w ON w.account = t.account AND w.owner = ANY (team)
    WHERE t.status IN ('open', 'claimed') AND t.owner = ANY (case_.lost);
    -- lines and escalation stand: the customer waits no longer because of us
    WITH handed AS (
        UPDATE revops.task t SET owner = i.given, unit = coalesce(r.unit, t.unit), status = 'open', claimed_by = NULL, claimed_at = NULL
        FROM revops.substitution_item i LEFT JOIN revops.rep r ON r.rep = i.given
        WHERE i.substitution_id = id AND i.kind = 'task' AND t.task_id = i.subject::bigint
          AND t.status IN ('open', 'claimed') AND t.owner = i.former
        RETURNING i.subject
    )
    DELETE FROM revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'task' AND i.subject NOT IN (SELECT h.subject FROM handed h);
    SELECT count(pg_notify('revops_task', json_build_object('event', 'handed_over', 'task', t.task_id,
               'owner', t.owner, 'due_at', t.due_at)::text)) INTO n
    FROM revops.substitution_item i JOIN revops.task t ON t.task_id = i.subject::bigint WHERE i.substitution_id = id AND i.kind = 'task';

    -- each member may read and write what was handed to anyone of the team: they work on it together
    INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, until, granted_by)
    SELECT 'rep', m, w, 'account', i.subject, coalesce(activate_substitution.until, 'infinity'), 'substitution ' || id
    FROM unnest(team) m, unnest('{read,write}'::text[]) w, revops.substitution_item i
    WHERE i.substitution_id = id AND i.kind = 'account' AND (w = 'read' OR i.given = m);
    DROP TABLE pg_temp.handover;
    RETURN id;
END $$;

CREATE OR REPLACE FUNCTION revops.strip_attachment(attachment int, kind text, rel regclass) RETURNS void
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
REVOKE ALL ON FUNCTION revops.write_source_rows(int, text[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.write_source_rows(int, text[], boolean) TO revops_admin;

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
REVOKE ALL ON FUNCTION revops.apply_source_keys(int, text[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.apply_source_keys(int, text[], boolean) TO revops_admin;

CREATE OR REPLACE FUNCTION revops.apply_attached(attachment int, nowait boolean, OUT changed bigint, OUT more boolean)
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
REVOKE ALL ON FUNCTION revops.forget_attachments(int[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.forget_attachments(int[]) TO revops_admin;

CREATE OR REPLACE FUNCTION revops.detach(source regclass, kind text) RETURNS void
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

CREATE OR REPLACE FUNCTION revops.write_back(subject_kind revops.subject_kind, subject text, field text, value text) RETURNS boolean
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

CREATE OR REPLACE FUNCTION revops.attachment_ddl() RETURNS event_trigger
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

CREATE OR REPLACE FUNCTION revops.attachment_drop() RETURNS event_trigger
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

CREATE OR REPLACE FUNCTION revops.setting_list(setting text, otherwise text) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.regexp_split_to_array(pg_catalog.btrim(coalesce(nullif(pg_catalog.current_setting($1, true), ''), $2), E' \t\r\n'), E'\\s*,\\s*')
$$;

CREATE OR REPLACE FUNCTION revops.calibrate_model(model text) RETURNS jsonb
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

CREATE OR REPLACE FUNCTION revops.health(max_lag interval DEFAULT '1 minute', OUT check_name text, OUT ok boolean, OUT detail text, OUT hint text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at        CONSTANT timestamptz := revops.now();    -- loads the library too, so that its settings are known
    preloaded CONSTANT boolean := EXISTS (SELECT FROM regexp_split_to_table(current_setting('shared_preload_libraries'), ',') l
                                          WHERE trim(l, E' "\t') IN ('pg_revops', '$libdir/pg_revops'));
    standby   CONSTANT boolean := pg_is_in_recovery();
    cron      CONSTANT boolean := EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'pg_cron');
    by_cron   boolean := false;
    n         bigint;
    since     timestamptz;
    wait      interval;
BEGIN
    IF cron THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM cron.job j WHERE j.jobname = ''revops process'' AND j.database = current_database() AND j.active)' INTO by_cron;
    END IF;

    check_name := 'preload';
    ok := preloaded OR by_cron;
    detail := CASE WHEN preloaded THEN 'pg_revops is in shared_preload_libraries' WHEN by_cron THEN 'not preloaded; pg_cron calls revops.process()'
                   ELSE 'pg_revops is not in shared_preload_libraries, and no job of pg_cron calls revops.process()' END;
    hint := CASE WHEN NOT ok THEN 'Add pg_revops to shared_preload_libraries and restart the server, or SELECT revops.schedule_jobs().' END;
    RETURN NEXT;

    check_name := 'worker';
    SELECT count(*) FILTER (WHERE w.pid IS NULL OR w.state NOT IN ('waiting', 'working', 'busy')) = 0,
           string_agg(format('lane %s: %s%s', l.lane, coalesce(w.state, 'no worker'), coalesce(': ' || CASE WHEN w.state = 'failing' THEN w.last_error END, '')), '; ' ORDER BY l.lane)
    INTO ok, detail
    FROM (SELECT s.lane FROM revops.stream_lane s UNION SELECT 0) l LEFT JOIN revops.worker_stats() w USING (lane);
    IF standby THEN
        ok := true;
        detail := 'the workers wait: this is a standby';
    ELSIF NOT preloaded THEN
        ok := true;
        detail := 'there are none without preloading';
    END IF;
    hint := CASE WHEN NOT ok THEN 'stopped or paused: SELECT revops.start_worker(). off: revops.worker = on. failing: see the error. no worker, starting: the server''s log, and max_worker_processes.' END;
    RETURN NEXT;

    check_name := 'lag';
    SELECT coalesce(max(s.backlog), 0), coalesce(max(s.lag) FILTER (WHERE s.backlog > 0), '0') INTO n, wait FROM revops.stream_status s;
    IF n = 0 AND NOT EXISTS (SELECT FROM revops.stream_lane) THEN
        SELECT count(*), coalesce(at - min(e.received_at), '0') INTO n, wait FROM (SELECT e.received_at FROM revops.event e LIMIT 1000000) e;
    END IF;
    ok := n = 0 OR wait <= max_lag;
    detail := format('%s events wait, the oldest for %s seconds', n, round(greatest(extract(epoch FROM wait), 0), 1));
    hint := CASE WHEN NOT ok THEN 'See the check worker. If the workers run and cannot keep up: SELECT revops.set_lanes(n), fewer rules without a kind, faster disks.' END;
    RETURN NEXT;

    check_name := 'quarantine';
    SELECT count(*), min(f.error) INTO n, detail FROM revops.failed_event f;
    ok := n = 0;
    detail := format('%s events in quarantine', n) || CASE WHEN ok THEN '' ELSE ', such as: ' || detail END;
    hint := CASE WHEN NOT ok THEN 'See revops.failed_event; mend the cause, then SELECT revops.retry_failed(). What is not worth it may be deleted.' END;
    RETURN NEXT;

    check_name := 'repairs';
    SELECT count(*) FILTER (WHERE r.error IS NOT NULL), min(r.error), min(r.requested_at) FILTER (WHERE r.error IS NULL)
    INTO n, detail, since FROM revops.repair_request r;
    ok := n = 0 AND coalesce(since > at - greatest(max_lag, '1 hour'), true);
    detail := format('%s repairs failed', n) || CASE WHEN n = 0 THEN '' ELSE ', such as: ' || detail END
              || CASE WHEN since IS NULL THEN '' ELSE format(', the oldest that waits was asked for at %s', since) END;
    hint := CASE WHEN NOT ok THEN 'See revops.repair_request; when the cause is mended, SELECT revops.retry_failed().' END;
    RETURN NEXT;

    check_name := 'rejected';
    SELECT count(*) INTO n FROM revops.rejected_event r WHERE r.rejected_at > at - interval '1 day';
    ok := n = 0;
    detail := format('%s events of the last day were refused by track_batch()', n);
    hint := CASE WHEN NOT ok THEN 'See revops.rejected_event for the reasons; mend the sender, send them again and delete the rows.' END;
    RETURN NEXT;

    check_name := 'partitions';
    SELECT max(p.until) INTO since FROM revops.event_partitions() p;
    ok := coalesce(since >= at + interval '7 days', false) AND EXISTS (SELECT FROM revops.event_partitions() p WHERE p.since <= at AND at < p.until);
    detail := CASE WHEN since IS NULL THEN 'revops.event has no partition' ELSE format('partitions of revops.event reach to %s', since) END;
    hint := CASE WHEN NOT ok THEN 'SELECT revops.make_partitions(), and have it called daily: SELECT revops.schedule_jobs(), or any scheduler.' END;
    RETURN NEXT;

    check_name := 'default partition';
    SELECT count(*) INTO n FROM (SELECT FROM revops.event_default LIMIT 10000) d;
    ok := n = 0;
    detail := format('%s events in revops.event_default', n || CASE WHEN n = 10000 THEN ' or more' ELSE '' END);
    hint := CASE WHEN NOT ok THEN 'SELECT revops.make_partitions(since => ...) with the time of the oldest of them moves them to partitions of their own.' END;
    RETURN NEXT;

    check_name := 'late events';
    SELECT count(*) INTO n FROM revops.late_event l WHERE l.noted_at > at - interval '1 day';
    ok := n = 0;
    detail := format('%s events of the last day came too late for a rule', n);
    hint := CASE WHEN NOT ok THEN 'See revops.late_event. Raise revops.allowed_lateness if that is to be expected; revops.request_repair() takes such events in.' END;
    RETURN NEXT;

    check_name := 'cards';
    SELECT count(*), min(e.due_at) INTO n, since FROM revops.escalation e
    WHERE e.fired_at IS NULL AND e.stopped_at IS NULL AND e.due_at <= at - max_lag;
    ok := n = 0;
    detail := format('%s escalations are overdue', n) || CASE WHEN ok THEN '' ELSE format(', since %s', since) END;
    hint := CASE WHEN NOT ok THEN 'They are sent by the worker of lane 0, or by revops.process(): see the checks preload and worker.' END;
    RETURN NEXT;

    check_name := 'jobs';
    ok := true;
    detail := 'pg_cron is not in this database';
    hint := NULL;
    IF cron THEN
        EXECUTE $q$
            SELECT count(*) FILTER (WHERE j.jobid IS NULL OR NOT j.active OR d.status = 'failed') = 0,
                   string_agg(format('%s: %s', l.job, CASE WHEN j.jobid IS NULL THEN 'not scheduled' WHEN NOT j.active THEN 'not active' WHEN d.status IS NULL THEN 'has not run yet'
                                                           ELSE format('%s at %s%s', d.status, d.start_time, CASE WHEN d.status = 'failed' THEN ': ' || d.return_message END) END), '; ' ORDER BY l.job)
            FROM revops.job_list() l
            LEFT JOIN LATERAL (SELECT j.* FROM cron.job j WHERE j.jobname = l.job AND j.database = current_database() ORDER BY j.jobid LIMIT 1) j ON true
            LEFT JOIN LATERAL (SELECT d.* FROM cron.job_run_details d WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) d ON true
        $q$ INTO ok, detail;
        hint := CASE WHEN NOT ok THEN 'SELECT revops.schedule_jobs(); cron.job_run_details has the runs.' END;
    END IF;
    RETURN NEXT;

    check_name := 'epoch';
    SELECT count(*) INTO n FROM revops.stream_lane l WHERE l.epoch <> revops.stream_epoch();
    ok := n = 0;
    detail := CASE WHEN ok THEN 'the cursor is of this database' ELSE format('the cursor of %s lanes comes from another cluster or database: a restore or a copy', n) END;
    hint := CASE WHEN NOT ok THEN 'When the restore is complete: SELECT revops.start_worker(), or SELECT revops.process().' END;
    RETURN NEXT;

    check_name := 'publication';
    SELECT p.fingerprint = revops.text_fingerprint(), p.fingerprint INTO ok, detail FROM revops.intent_publication p WHERE p.valid_to = 'infinity';
    IF ok IS NULL THEN
        ok := true;
        detail := 'no intents are published';
    ELSIF ok THEN
        detail := 'the published patterns are compiled for this machine';
    ELSE
        detail := format('the published patterns are compiled for %s, this is %s: each session compiles them anew', detail, revops.text_fingerprint());
    END IF;
    hint := CASE WHEN NOT ok THEN 'SELECT revops.publish_intents() stores the compiled form of this machine.' END;
    RETURN NEXT;

    check_name := 'configuration';
    SELECT count(*), string_agg(u.line, '; ') FILTER (WHERE u.i <= 5) INTO n, detail FROM revops.unknown_names() WITH ORDINALITY AS u (line, i);
    ok := n = 0;
    detail := CASE WHEN ok THEN 'all that it names is there' ELSE format('%s names are unknown: ', n) || detail || CASE WHEN n > 5 THEN '; ...' ELSE '' END END;
    hint := CASE WHEN NOT ok THEN 'SELECT * FROM revops.unknown_names(); make what is missing, or change what names it.' END;
    RETURN NEXT;

    check_name := 'clock';
    SELECT s.reset_val = '', s.reset_val INTO ok, detail FROM pg_settings s WHERE s.name = 'revops.as_of';
    ok := coalesce(ok, true);
    detail := CASE WHEN ok THEN 'the machine''s' ELSE format('revops.as_of is set to %s for whole sessions', detail) END;
    hint := CASE WHEN NOT ok THEN 'ALTER SYSTEM, ALTER DATABASE or ALTER ROLE ... RESET revops.as_of: it is for tests and looks at the past.' END;
    RETURN NEXT;

    check_name := 'version';
    SELECT x.extversion = a.default_version, format('%s is installed in the database, %s on the server', x.extversion, a.default_version) INTO ok, detail
    FROM pg_extension x LEFT JOIN pg_available_extensions a ON a.name = x.extname WHERE x.extname = 'pg_revops';
    ok := coalesce(ok, false);
    hint := CASE WHEN NOT ok THEN 'ALTER EXTENSION pg_revops UPDATE.' END;
    RETURN NEXT;
END $$;

CREATE FUNCTION revops.lane_backlog(l revops.stream_lane, before timestamptz DEFAULT 'infinity', OUT backlog bigint, OUT oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT count(*), min(x.received_at) FROM (
        SELECT e.received_at FROM revops.event e
        WHERE e.occurred_at < before AND e.txid >= CASE WHEN l.epoch = revops.stream_epoch() THEN pg_snapshot_xmin(l.done) ELSE '0' END
          AND NOT e.epoch = ANY (l.past_epochs)
          AND NOT (e.epoch = l.epoch AND pg_visible_in_snapshot(e.txid, l.done))
          AND NOT coalesce(l.position_txid IS NOT NULL AND l.target IS NOT NULL AND (l.adopting OR pg_visible_in_snapshot(e.txid, l.target))
                           AND (e.txid, e.event_id) <= (l.position_txid, l.position_id), false)
        LIMIT 1000000) x
$$;
REVOKE ALL ON FUNCTION revops.lane_backlog(revops.stream_lane, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION revops.lane_backlog(revops.stream_lane, timestamptz) TO revops_admin, revops_app, revops_reader;

CREATE OR REPLACE VIEW revops.need_profile WITH (security_barrier) AS
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

CREATE OR REPLACE VIEW revops.label_quality WITH (security_barrier) AS
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

CREATE OR REPLACE VIEW revops.account_sentiment WITH (security_barrier) AS
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

CREATE OR REPLACE VIEW revops.field_fill_rate WITH (security_barrier) AS
WITH latest AS (
    SELECT DISTINCT ON (h.opportunity) h.opportunity, h.origin FROM revops.stage_history h
    ORDER BY h.opportunity, h.recorded_at DESC, h.entered_at DESC),
value AS (
    SELECT o.opportunity, f.field, f.value FROM revops.my_opportunity o CROSS JOIN LATERAL (VALUES
        ('account', o.account), ('name', o.name), ('owner', o.owner), ('stage', o.stage), ('amount', o.amount::text),
        ('opened_at', o.opened_at::text), ('closed_at', CASE WHEN o.status = 'open' THEN 'open' ELSE o.closed_at::text END)) AS f (field, value)
    UNION ALL
    SELECT o.opportunity, k.field, nullif(o.properties ->> k.field, '') FROM revops.my_opportunity o
    CROSS JOIN (SELECT DISTINCT jsonb_object_keys(p.properties) AS field FROM revops.my_opportunity p WHERE jsonb_typeof(p.properties) = 'object') k
    WHERE k.field NOT IN ('account', 'name', 'owner', 'stage', 'amount', 'opened_at', 'closed_at')),
accepted AS (    -- a competitor is added to those that were there
    SELECT f.opportunity, f.field, array_agg(CASE f.field WHEN 'competitor' THEN '%' ELSE '' END || replace(replace(f.value, E'\\', E'\\\\'), '%', E'\\%')) AS ends
    FROM revops.field_suggestion f WHERE f.status = 'accepted' GROUP BY f.opportunity, f.field)
SELECT v.field, count(*) AS opportunities, count(v.value) AS filled,
       count(v.value) FILTER (WHERE u.ours) AS filled_by_us,
       count(v.value)::float8 / count(*) AS fill_rate,
       count(v.value) FILTER (WHERE NOT u.ours)::float8 / count(*) AS fill_rate_by_hand,
       count(v.value) FILTER (WHERE u.ours)::float8 / count(*) AS fill_rate_by_us
FROM value v
LEFT JOIN latest l USING (opportunity)
LEFT JOIN accepted s ON s.opportunity = v.opportunity AND s.field = v.field COLLATE "C"
CROSS JOIN LATERAL (SELECT v.field = 'stage' AND l.origin IS NOT DISTINCT FROM 'calibration'
                           OR s.opportunity IS NOT NULL AND v.value LIKE ANY (s.ends) AS ours) u
GROUP BY v.field;

CREATE OR REPLACE VIEW revops.capability_map AS
WITH member AS (
    SELECT r.rep, 'unit' AS scope_kind, r.unit AS scope FROM revops.rep r WHERE r.unit IS NOT NULL
    UNION ALL
    SELECT r.rep, 'territory', u.territory FROM revops.rep r JOIN revops.unit u ON u.unit = r.unit WHERE u.territory IS NOT NULL
), customer AS (
    SELECT a.account, 'unit' AS scope_kind, r.unit AS scope FROM revops.my_account a JOIN revops.rep r ON r.rep = a.owner WHERE r.unit IS NOT NULL
    UNION ALL
    SELECT a.account, 'territory', coalesce(a.territory, u.territory)
    FROM revops.my_account a LEFT JOIN revops.rep r ON r.rep = a.owner LEFT JOIN revops.unit u ON u.unit = r.unit
    WHERE coalesce(a.territory, u.territory) IS NOT NULL
), deal AS (
    SELECT c.scope_kind, c.scope, o.opportunity, o.account FROM customer c JOIN revops.my_opportunity o ON o.account = c.account AND o.status = 'open'
), asked AS (
    SELECT d.scope_kind, d.scope, n.skill, count(*) AS n, max(n.level) AS level
    FROM deal d JOIN revops.account_need n ON n.account = d.account GROUP BY d.scope_kind, d.scope, n.skill
    UNION ALL
    SELECT c.scope_kind, c.scope, k.skill, count(DISTINCT c.account), 1
    FROM revops.skill k
    JOIN revops.intent_state s ON s.intent = ANY (k.intents) AND s.subject_kind = 'account'
    JOIN revops.intent i ON i.intent = s.intent
    JOIN customer c ON c.account = s.subject
    WHERE revops.decayed(s.rank, i.half_life, revops.now()) >= 1
    GROUP BY c.scope_kind, c.scope, k.skill
), demand AS (
    SELECT x.scope_kind, x.scope, x.skill, sum(x.n) AS demand, max(x.level) AS level FROM asked x GROUP BY x.scope_kind, x.scope, x.skill
), head AS (
    -- an even share: of the skill that is asked for most, what one present person of the scope would carry; at least one
    SELECT m.scope_kind, m.scope,
           greatest(1, coalesce(max(d.n), 0) / count(*)::float8) AS share
    FROM member m
    LEFT JOIN (SELECT a.scope_kind, a.scope, max(a.demand) AS n FROM demand a GROUP BY a.scope_kind, a.scope) d USING (scope_kind, scope)
    WHERE revops.is_present(m.rep)
    GROUP BY m.scope_kind, m.scope
), held AS (
    SELECT m.scope_kind, m.scope, s.skill, m.rep, s.level
    FROM member m JOIN revops.rep_skill s ON s.rep = m.rep WHERE revops.is_present(m.rep)
), both_sides AS (
    SELECT k.scope_kind, k.scope, k.skill, coalesce(d.demand, 0) AS demand, count(h.rep) AS holders, min(h.rep) AS one_of_them
    FROM (SELECT d.scope_kind, d.scope, d.skill FROM demand d UNION SELECT h.scope_kind, h.scope, h.skill FROM held h) k
    LEFT JOIN demand d ON d.scope_kind = k.scope_kind AND d.scope = k.scope AND d.skill = k.skill
    LEFT JOIN held h ON h.scope_kind = k.scope_kind AND h.scope = k.scope AND h.skill = k.skill AND h.level >= coalesce(d.level, 1)
    GROUP BY k.scope_kind, k.scope, k.skill, d.demand
)
SELECT b.scope_kind, b.scope, k.dimension,
       count(*)::int AS skills,
       sum(b.demand)::float8 AS demand,
       sum(b.holders * coalesce(h.share, 1))::float8 AS supply,
       sum(greatest(b.demand - b.holders * coalesce(h.share, 1), 0))::float8 AS gap,
       sum(greatest(b.holders * coalesce(h.share, 1) - b.demand, 0))::float8 AS surplus,
       CASE WHEN sum(b.demand) > 0 THEN greatest(min(b.holders) FILTER (WHERE b.demand > 0) - 1, 0) END::int AS can_lose,
       coalesce(array_agg(b.one_of_them || ': ' || b.skill ORDER BY b.one_of_them, b.skill) FILTER (WHERE b.holders = 1), '{}') AS sole_holders,
       coalesce(array_agg(b.skill::text ORDER BY b.skill) FILTER (WHERE b.holders = 0), '{}') AS missing
FROM both_sides b
JOIN revops.skill k ON k.skill = b.skill
LEFT JOIN head h ON h.scope_kind = b.scope_kind AND h.scope = b.scope
GROUP BY b.scope_kind, b.scope, k.dimension;

CREATE OR REPLACE VIEW revops.moment_outcome WITH (security_barrier) AS
SELECT m.moment_id, m.rule, m.version, m.subject_kind, m.subject, m.person, c.account, m.opportunity, m.channel, m.object, m.strength,
       m.occurred_at, coalesce(t.territory, a.territory, u.territory) AS territory, u.unit, r.rep,
       t.task_id, CASE WHEN t.answered_at > revops.now() THEN 'open' ELSE t.status END AS status, t.due_at,
       n.answered_at, CASE WHEN n.answered_at IS NOT NULL THEN t.answered_by END AS answered_by,
       CASE WHEN n.answered_at <= t.due_at THEN true
            WHEN n.answered_at > t.due_at OR t.due_at <= revops.now() THEN false END AS in_line,
       n.answered_at - m.occurred_at AS response_time,
       v.converted_at,
       m.occurred_at + interval '72 hours' <= revops.now() AS mature
FROM revops.moment m
LEFT JOIN revops.task t ON t.subject = m.subject AND t.moment_id = m.moment_id AND t.status <> 'cancelled'
LEFT JOIN revops.person p ON p.person = m.person AND m.account IS NULL AND t.account IS NULL
CROSS JOIN LATERAL (SELECT coalesce(m.account, t.account, p.account) AS account) c    -- a customer who has an account by now
CROSS JOIN LATERAL (SELECT CASE WHEN t.answered_at <= revops.now() THEN t.answered_at END AS answered_at) n
LEFT JOIN revops.account a ON a.account = c.account
CROSS JOIN LATERAL (SELECT coalesce(t.owner, m.owner) AS rep) r
LEFT JOIN revops.rep w ON w.rep = r.rep
LEFT JOIN revops.unit u ON u.unit = coalesce(t.unit, w.unit)
LEFT JOIN LATERAL (    -- dropped from the plan where converted_at is not asked for
    SELECT min(greatest(x.at, m.occurred_at)) AS converted_at
    FROM (
        -- many CRMs know the day alone: it counts to its end
        SELECT d.at
        FROM (
            SELECT o.closed_at AS at FROM revops.opportunity o
            WHERE o.account = c.account AND o.status = 'won'
              AND o.closed_at > m.occurred_at - interval '1 day' AND o.closed_at <= m.occurred_at + interval '72 hours' AND o.closed_at <= revops.now()
            UNION ALL
            SELECT o.closed_at FROM revops.opportunity o
            WHERE o.opportunity = m.opportunity AND o.status = 'won'
              AND o.closed_at > m.occurred_at - interval '1 day' AND o.closed_at <= m.occurred_at + interval '72 hours' AND o.closed_at <= revops.now()
        ) d
        WHERE d.at > m.occurred_at OR revops.local_time(d.at, coalesce(nullif(current_setting('revops.time_zone', true), ''), 'UTC'))::time = '00:00'
        UNION ALL
        SELECT e.occurred_at FROM revops.event e
        WHERE e.account = c.account AND e.kind = ANY ((SELECT revops.setting_list('revops.conversion_kinds', 'purchase,order,contract_signed'))::text[])
          AND e.occurred_at > m.occurred_at AND e.occurred_at <= m.occurred_at + interval '72 hours' AND e.occurred_at <= revops.now() AND NOT e.ahead
        UNION ALL
        -- the moment's own person and who was known as that, whatever their events name; the account's people where they name no other
        SELECT e.occurred_at
        FROM (
            SELECT m.person, true AS own WHERE m.person IS NOT NULL
            UNION ALL
            SELECT p.person, false FROM revops.person p LEFT JOIN revops.person i ON i.person = p.identity
            WHERE p.account = c.account AND (p.identity IS NULL OR i.account IS NULL) AND p.person IS DISTINCT FROM m.person
        ) b
        CROSS JOIN LATERAL (SELECT b.person UNION ALL SELECT v.person FROM revops.person v WHERE v.identity = b.person) k
        JOIN revops.event e ON e.person = k.person AND (b.own OR e.account IS NULL)
        WHERE e.kind = ANY ((SELECT revops.setting_list('revops.conversion_kinds', 'purchase,order,contract_signed'))::text[])
          AND e.occurred_at > m.occurred_at AND e.occurred_at <= m.occurred_at + interval '72 hours' AND e.occurred_at <= revops.now() AND NOT e.ahead
    ) x
) v ON true
WHERE m.retracted_at IS NULL AND m.occurred_at <= revops.now();

CREATE OR REPLACE VIEW revops.top_moments AS
SELECT x.territory, x.day, x.rank::int AS rank, x.moment_id, x.rule, r.title, x.subject_kind, x.subject,
       coalesce(p.name, x.person) AS person_name, coalesce(a.name, x.account) AS account_name,
       x.strength, x.occurred_at, x.rep, x.status, x.answered_at, x.response_time, x.in_line
FROM (
    SELECT o.*, d.day, row_number() OVER (PARTITION BY o.territory ORDER BY o.strength DESC, o.occurred_at, o.moment_id) AS rank
    FROM revops.moment_outcome o
    LEFT JOIN revops.territory y ON y.territory = o.territory
    CROSS JOIN LATERAL (SELECT coalesce(y.time_zone, nullif(current_setting('revops.time_zone', true), '')) AS zone) z
    CROSS JOIN LATERAL (SELECT coalesce(revops.local_time(revops.now(), z.zone), revops.now()::timestamp)::date - 1 AS day) d
    WHERE o.occurred_at >= revops.now() - interval '3 days'
      AND coalesce(revops.local_time(o.occurred_at, z.zone), o.occurred_at::timestamp)::date = d.day
) x
LEFT JOIN revops.moment_rule r ON r.rule = x.rule AND r.version = x.version
LEFT JOIN revops.person p ON p.person = x.person
LEFT JOIN revops.account a ON a.account = x.account
WHERE x.rank <= 3;

CREATE OR REPLACE VIEW revops.silent_high_intent AS
WITH visit AS MATERIALIZED (
    SELECT e.person, e.account, e.channel, e.object, e.kind, CASE WHEN e.dwell > interval '1 day' THEN interval '1 day' ELSE e.dwell END AS dwell, e.occurred_at, e.event_id,    -- the whole time that is looked at
           e.occurred_at - max(e.occurred_at + CASE WHEN e.dwell > interval '1 day' THEN interval '1 day' ELSE coalesce(e.dwell, interval '0') END) OVER w > interval '30 minutes' AS starts
    FROM revops.my_event e
    WHERE e.side = 'customer' AND e.person IS NOT NULL AND NOT e.ahead
      AND e.occurred_at > revops.now() - interval '24 hours' AND e.occurred_at <= revops.now()
    WINDOW w AS (PARTITION BY e.person ORDER BY e.occurred_at, e.event_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), session AS (
    SELECT v.*, count(*) FILTER (WHERE v.starts) OVER (PARTITION BY v.person ORDER BY v.occurred_at DESC, v.event_id DESC
                                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
    FROM visit v
), last_session AS (
    SELECT s.person AS visitor, (array_agg(s.account ORDER BY s.occurred_at DESC) FILTER (WHERE s.account IS NOT NULL))[1] AS account,
           min(s.occurred_at) AS started_at, max(s.occurred_at) AS last_seen_at, sum(s.dwell) AS dwell, count(*) AS events,
           (array_agg(s.channel ORDER BY s.occurred_at DESC, s.event_id DESC))[1] AS channel,
           (array_agg(s.object ORDER BY s.dwell DESC NULLS LAST, s.occurred_at DESC) FILTER (WHERE s.object IS NOT NULL))[1] AS longest_object
    FROM session s WHERE s.later = 0
    GROUP BY s.person
    HAVING sum(s.dwell) > interval '3 minutes'
)
SELECT l.visitor, l.account, l.channel, l.started_at, l.last_seen_at, l.dwell, l.events, l.longest_object,
       i.intent, i.score, revops.now() - l.last_seen_at AS silent_for
FROM last_session l
LEFT JOIN LATERAL (
    SELECT s.intent, s.score FROM revops.intent_score s
    WHERE s.subject_kind = 'person' AND s.subject = l.visitor ORDER BY s.score DESC, s.intent LIMIT 1
) i ON true
WHERE NOT EXISTS (SELECT FROM revops.person p
                  WHERE p.person = l.visitor AND (p.identity IS NOT NULL OR p.name IS NOT NULL OR p.account IS NOT NULL))
  AND NOT EXISTS (SELECT FROM revops.person p WHERE p.identity = l.visitor)
  AND NOT EXISTS (SELECT FROM revops.event e
                  WHERE e.person = l.visitor AND e.kind = ANY ((SELECT revops.setting_list('revops.contact_kinds', 'form_submit,sign_up,contact_left'))::text[])
                    AND e.occurred_at > revops.board_since() AND e.occurred_at <= revops.now());

CREATE OR REPLACE VIEW revops.moment_heatmap AS
SELECT x.object, x.hour, count(*) AS moments, count(DISTINCT (x.subject_kind, x.subject)) AS subjects, avg(x.strength) AS strength
FROM (
    SELECT m.object, m.subject_kind, m.subject, m.strength,
           extract(hour FROM coalesce(revops.local_time(m.occurred_at, p.time_zone), revops.local_time(m.occurred_at, a.time_zone),
                                      revops.local_time(m.occurred_at, t.time_zone), revops.local_time(m.occurred_at, current_setting('revops.time_zone', true)),
                                      m.occurred_at::timestamp))::int AS hour
    FROM revops.moment m
    LEFT JOIN revops.person p ON p.person = m.person
    LEFT JOIN revops.account a ON a.account = m.account
    LEFT JOIN revops.territory t ON t.territory = a.territory
    WHERE m.retracted_at IS NULL AND m.occurred_at >= revops.board_since() AND m.occurred_at <= revops.now()
) x
GROUP BY x.object, x.hour;

CREATE OR REPLACE VIEW revops.touchpoint_audit AS
WITH recent AS (
    SELECT e.channel, date_trunc('hour', e.occurred_at) AS hour, e.occurred_at, e.ahead,
           (e.account IS NOT NULL OR p.account IS NOT NULL OR k.account IS NOT NULL) AS tied,
           extract(epoch FROM greatest(e.received_at - e.occurred_at, interval '0'))::float8 AS lag
    FROM revops.my_event e
    LEFT JOIN revops.person p ON p.person = e.person
    LEFT JOIN revops.person k ON k.person = p.identity
    WHERE e.occurred_at >= revops.board_since() AND (e.occurred_at <= revops.now() OR e.ahead AND e.received_at <= revops.now())
), volume AS (
    SELECT r.channel, count(*) AS events, avg(r.tied::int) AS tied_share, count(*) FILTER (WHERE r.ahead) AS ahead,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY r.lag) AS lag
    FROM recent r GROUP BY r.channel
), rhythm AS (
    SELECT h.channel, max(h.last) AS last_seen_at, max(h.first - h.before) AS longest_pause
    FROM (
        SELECT r.channel, min(r.occurred_at) AS first, max(r.occurred_at) AS last,
               lag(max(r.occurred_at)) OVER (PARTITION BY r.channel ORDER BY r.hour) AS before
        FROM recent r WHERE r.occurred_at <= revops.now() GROUP BY r.channel, r.hour
    ) h
    GROUP BY h.channel
)
SELECT v.channel, v.events, round(v.tied_share, 4) AS tied_share,
       make_interval(secs => v.lag[1]) AS lag_p50, make_interval(secs => v.lag[2]) AS lag_p95,
       h.last_seen_at, coalesce(revops.now() - h.last_seen_at > greatest(interval '24 hours', h.longest_pause), false) AS silent, v.ahead
FROM volume v LEFT JOIN rhythm h USING (channel);

CREATE OR REPLACE VIEW revops.task_board WITH (security_barrier) AS
SELECT t.task_id, t.status, t.title, t.territory, t.unit, t.owner, r.name AS owner_name,
       t.person, t.account, t.opportunity,
       coalesce(p.name, t.person, a.name, t.account, t.subject) AS customer, coalesce(a.name, t.account) AS account_name,
       t.rule, t.opened_at, t.due_at,
       extract(epoch FROM t.due_at - revops.now())::float8 AS seconds_left,
       greatest(e.level, 0) AS level, e.told, e.next_at,
       coalesce(l.plans, 0) AS plans, l.best_plan
FROM revops.task t
LEFT JOIN revops.rep r ON r.rep = t.owner
LEFT JOIN revops.person p ON p.person = t.person
LEFT JOIN revops.account a ON a.account = t.account
LEFT JOIN LATERAL (
    SELECT max(e.level) FILTER (WHERE e.fired_at IS NOT NULL) AS level,
           (array_agg(e.told ORDER BY e.level DESC) FILTER (WHERE e.fired_at IS NOT NULL))[1] AS told,
           min(e.due_at) FILTER (WHERE e.fired_at IS NULL AND e.stopped_at IS NULL) AS next_at
    FROM revops.escalation e WHERE e.subject = t.subject AND e.task_id = t.task_id
) e ON true
LEFT JOIN LATERAL (
    SELECT count(*)::int AS plans, (array_agg(l.title ORDER BY l.rank))[1] AS best_plan
    FROM revops.task_plan l WHERE l.subject = t.subject AND l.task_id = t.task_id
) l ON true
WHERE t.status IN ('open', 'claimed');

CREATE OR REPLACE VIEW revops.win_snapshot WITH (security_barrier) AS
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

CREATE OR REPLACE VIEW revops.win_probability WITH (security_barrier) AS
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

CREATE OR REPLACE VIEW revops.account_score AS
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

CREATE OR REPLACE VIEW revops.moment_value AS
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

CREATE OR REPLACE VIEW revops.stream_status AS
SELECT l.lane, w.pid, coalesce(w.state, 'no worker') AS state, l.events, b.backlog,
       greatest(revops.now() - b.oldest, interval '0') AS lag,
       w.rate, l.failed, l.passes, l.last_pass_at,
       (SELECT count(*) FROM revops.repair_request r WHERE revops.subject_lane(r.subject_kind, r.subject, l.lanes) = l.lane) AS repairs,
       w.last_error, w.memory
FROM revops.stream_lane l
LEFT JOIN revops.worker_stats() w ON w.lane = l.lane
CROSS JOIN LATERAL revops.lane_backlog(l) b;

COMMENT ON FUNCTION revops.opportunity_since_corrected() IS 'Trigger of revops.opportunity: revops.stage_history follows where only the time of a stage is corrected';

COMMENT ON FUNCTION revops.rep_sees_opportunities(text) IS 'The opportunities that a rep sees: of the accounts seen, or without an account, owned in the units seen and not denied with all or with their unit';

COMMENT ON FUNCTION revops.hottest(revops.subject_kind, text, int) IS
'The n subjects with the highest score of an intent, hottest first: an index scan, whatever the number of subjects; where revops.as_of lies in the past, as it was then, which reads them all';

COMMENT ON COLUMN revops.event_intent.account IS 'As sent, else that of the person when the event was taken; NULL: none, or the person is of another one by now';

COMMENT ON FUNCTION revops.patterns_show(text, text, text) IS 'Whether the published patterns alone, without the model, find an intent in a text';

COMMENT ON FUNCTION revops.check_work(text, text[]) IS 'An error where the rep who called may only read a customer, or is denied to write. mine: who may work on it all the same';

COMMENT ON FUNCTION revops.write_source_rows(int, text[], boolean) IS
'Brings the accounts, people, reps or opportunities of these rows of an attached table to what the rows say now; returns how many changed';

COMMENT ON FUNCTION revops.apply_source_keys(int, text[], boolean) IS 'Applies rows of an attached table, and keeps those that fail in revops.attachment_error; returns how many of ours changed';

COMMENT ON FUNCTION revops.forget_attachments(int[]) IS 'Ends attachments whose triggers are gone: forgets their rows, and lets in what these kept out of others';

COMMENT ON COLUMN revops.moment_heatmap.hour IS 'Hour, 0 to 23, in the zone of the person, the account or the territory, or else that of revops.time_zone or the session';

COMMENT ON COLUMN revops.stream_lane.past_until IS 'The last transaction id of each, should a restore come back to that cluster and database';

COMMENT ON FUNCTION revops.lane_backlog(revops.stream_lane, timestamptz) IS 'Committed events that a lane has not read yet, of before a time, counted up to 1,000,000, and when the oldest of them came';

UPDATE revops.rule_template SET definition = $${"title": "Comes back to the prices",
 "sequence": {
   "steps": [
     {"as": "before", "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}, "properties.session": {"exists": true}}},
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}, "properties.session": {"exists": true}}, "where": {"properties.session": {"ne": "before.properties.session"}}}],
   "within": "30 days"},
 "cooldown": "7 days", "strength": 0.75,
 "intent": {"intent": "price", "weight": 4}}$$ WHERE template = 'price_return';
UPDATE revops.rule_template SET definition = $${"title": "The quote went to a colleague", "per": "account",
 "sequence": {
   "steps": [
     {"as": "first", "when": {"kind": "quote_open", "side": "customer", "object": {"exists": true}, "person": {"exists": true}}},
     {"when": {"kind": "quote_open", "side": "customer", "person": {"exists": true}}, "same": ["object"], "where": {"person": {"ne": "first.person"}}}],
   "within": "14 days"},
 "cooldown": "7 days", "strength": 0.9,
 "intent": {"intent": "price", "weight": 8}}$$ WHERE template = 'quote_forwarded';

CREATE TRIGGER audit AFTER UPDATE OR DELETE ON revops.account_need FOR EACH ROW EXECUTE FUNCTION revops.audit();
CREATE TRIGGER audit_insert AFTER INSERT ON revops.account_need REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION revops.audit();
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON revops.account_need FOR EACH STATEMENT EXECUTE FUNCTION revops.audit();

CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF query, label, options, every, scheduled_by ON revops.model_schedule FOR EACH ROW EXECUTE FUNCTION revops.audit();

CREATE TRIGGER audit AFTER UPDATE OF owner ON revops.account FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION revops.audit();

CREATE TRIGGER audit AFTER UPDATE OF owner ON revops.opportunity FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION revops.audit();

CREATE TRIGGER stage_since_corrected AFTER UPDATE OF stage_since ON revops.opportunity
    FOR EACH ROW WHEN (OLD.stage = NEW.stage AND OLD.stage_since <> NEW.stage_since) EXECUTE FUNCTION revops.opportunity_since_corrected();

-- but triggers': on a table of one's own, with types of one's own, they would run one's own code as their owner
DO $$
DECLARE
    f text;
BEGIN
    FOR f IN SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = 'revops'::pg_catalog.regnamespace AND p.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM revops_admin', f);
    END LOOP;
    -- this takes a table's triggers away without a line in the audit log: for detach() alone
    REVOKE EXECUTE ON FUNCTION revops.strip_attachment(int, text, regclass) FROM revops_admin;
END $$;

-- what default privileges of the owner would let others do with what is new
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT p.oid::pg_catalog.regprocedure AS f, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) AS who
        FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) x
        WHERE p.oid IN ('revops.opportunity_since_corrected()'::pg_catalog.regprocedure, 'revops.patterns_show(text, text, text)'::pg_catalog.regprocedure, 'revops.check_work(text, text[])'::pg_catalog.regprocedure, 'revops.write_source_rows(int, text[], boolean)'::pg_catalog.regprocedure, 'revops.apply_source_keys(int, text[], boolean)'::pg_catalog.regprocedure, 'revops.forget_attachments(int[])'::pg_catalog.regprocedure, 'revops.lane_backlog(revops.stream_lane, timestamptz)'::pg_catalog.regprocedure) AND x.grantee NOT IN (0, p.proowner, 'revops_admin'::pg_catalog.regrole, 'revops_app'::pg_catalog.regrole, 'revops_reader'::pg_catalog.regrole)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', r.f, r.who);
    END LOOP;
END $$;
