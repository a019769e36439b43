-- capture: who and what events are about, and the events themselves

CREATE FUNCTION revops.uuid_v7() RETURNS uuid
LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_uuid_v7';
COMMENT ON FUNCTION revops.uuid_v7() IS 'A time-ordered UUID (RFC 9562, version 7); those of one session always ascend';

CREATE FUNCTION revops.event_before_insert() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'revops_event_before_insert';
COMMENT ON FUNCTION revops.event_before_insert() IS 'Trigger of each partition of revops.event: drops repeated events, bounds lengths, marks events ahead of the clock, restamps replicated ones';

CREATE TABLE revops.territory (
    territory   text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    director    text COLLATE "C",              -- rep who directs it
    time_zone   text
);
CREATE TABLE revops.unit (
    unit        text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    territory   text COLLATE "C",
    coach       text COLLATE "C",              -- rep who coaches it
    calendar    text COLLATE "C"               -- business hours; NULL is round the clock
);
CREATE TABLE revops.rep (
    rep         text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    unit        text COLLATE "C",
    active      boolean NOT NULL DEFAULT true,
    capacity    int,                           -- open cards at most; NULL is no limit
    properties  jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE revops.account (
    account     text COLLATE "C" PRIMARY KEY,
    name        text,
    owner       text COLLATE "C",              -- rep
    territory   text COLLATE "C",
    segment     text,
    industry    text,
    time_zone   text,
    properties  jsonb NOT NULL DEFAULT '{}'
);
-- A visitor that identify() tied to somebody is a row whose identity names that person.
CREATE TABLE revops.person (
    person      text COLLATE "C" PRIMARY KEY,
    identity    text COLLATE "C",              -- the known person that this visitor turned out to be
    account     text COLLATE "C",
    name        text,
    title       text,
    time_zone   text,
    properties  jsonb NOT NULL DEFAULT '{}',
    CHECK (identity <> person)
);
CREATE INDEX person_identity ON revops.person (identity) WHERE identity IS NOT NULL;
CREATE INDEX person_account ON revops.person (account) WHERE account IS NOT NULL;
CREATE TABLE revops.opportunity (
    opportunity text COLLATE "C" PRIMARY KEY,
    account     text COLLATE "C",
    name        text,
    owner       text COLLATE "C",              -- rep
    stage       text,
    amount      numeric,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'won', 'lost')),
    opened_at   timestamptz,
    closed_at   timestamptz,
    properties  jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX opportunity_open ON revops.opportunity (account) WHERE status = 'open';
-- Which unit answers for a territory, and when; NULL territory is everywhere.
CREATE TABLE revops.duty (
    unit        text COLLATE "C" NOT NULL,
    territory   text COLLATE "C",
    starts_at   timestamptz NOT NULL DEFAULT '-infinity',
    ends_at     timestamptz NOT NULL DEFAULT 'infinity',
    CHECK (starts_at < ends_at)
);

CREATE TABLE revops.absence (
    rep         text COLLATE "C" NOT NULL,
    starts_at   timestamptz NOT NULL DEFAULT revops.now(),
    ends_at     timestamptz NOT NULL DEFAULT 'infinity',
    reason      text,
    PRIMARY KEY (rep, starts_at),
    CONSTRAINT absence_time_check CHECK (starts_at < ends_at)
);
COMMENT ON TABLE revops.absence IS 'When reps are away: new cards go to others meanwhile, and nobody hands customers to them';

-- The parent has no index and no trigger: each leaf carries its own (made by
-- revops.make_partition), so that pg_dump restores leaves as plain tables, rows verbatim.
CREATE TABLE revops.event (
    event_id    uuid        NOT NULL DEFAULT revops.uuid_v7(),
    occurred_at timestamptz NOT NULL DEFAULT revops.now() CHECK (isfinite(occurred_at)),
    received_at timestamptz NOT NULL DEFAULT revops.now(),
    person      text COLLATE "C",
    account     text COLLATE "C",
    opportunity text COLLATE "C",
    rep         text COLLATE "C",
    side        text COLLATE "C" NOT NULL DEFAULT 'customer' CHECK (side IN ('customer', 'rep', 'system')),
    channel     text COLLATE "C" NOT NULL DEFAULT 'web',
    kind        text COLLATE "C" NOT NULL,
    object      text COLLATE "C",
    dwell       interval,
    body        text,
    properties  jsonb,
    ahead       boolean     NOT NULL DEFAULT false,   -- occurred_at lay ahead of the clock beyond revops.clock_tolerance: kept, not scored
    epoch       int         NOT NULL DEFAULT revops.stream_epoch(),
    txid        xid8        NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY RANGE (occurred_at);


COMMENT ON TABLE revops.territory IS 'Where accounts are: a region or a market';
COMMENT ON COLUMN revops.territory.territory IS 'Key in the CRM';
COMMENT ON COLUMN revops.territory.name IS 'What people call it';
COMMENT ON COLUMN revops.territory.director IS 'Rep who directs it: the last to be told of an unanswered card';
COMMENT ON COLUMN revops.territory.time_zone IS 'Time zone of the territory';
COMMENT ON TABLE revops.unit IS 'A team of reps';
COMMENT ON COLUMN revops.unit.unit IS 'Key in the CRM';
COMMENT ON COLUMN revops.unit.name IS 'What people call it';
COMMENT ON COLUMN revops.unit.territory IS 'Territory that the unit works in';
COMMENT ON COLUMN revops.unit.coach IS 'Rep who coaches it: told of an unanswered card before the director';
COMMENT ON COLUMN revops.unit.calendar IS 'Business hours of the unit; NULL is round the clock';
COMMENT ON TABLE revops.rep IS 'A seller';
COMMENT ON COLUMN revops.rep.rep IS 'Key in the CRM';
COMMENT ON COLUMN revops.rep.name IS 'What people call them';
COMMENT ON COLUMN revops.rep.unit IS 'Unit that the rep belongs to';
COMMENT ON COLUMN revops.rep.active IS 'Whether the rep takes cards now';
COMMENT ON COLUMN revops.rep.capacity IS 'Open cards at most; NULL is no limit';
COMMENT ON COLUMN revops.rep.properties IS 'Anything else';
COMMENT ON TABLE revops.account IS 'A company that is or may become a customer';
COMMENT ON COLUMN revops.account.account IS 'Key in the CRM';
COMMENT ON COLUMN revops.account.name IS 'What people call it';
COMMENT ON COLUMN revops.account.owner IS 'Rep who owns it';
COMMENT ON COLUMN revops.account.territory IS 'Territory that it lies in';
COMMENT ON COLUMN revops.account.segment IS 'Size or market segment';
COMMENT ON COLUMN revops.account.industry IS 'Industry';
COMMENT ON COLUMN revops.account.time_zone IS 'Time zone that its people live in';
COMMENT ON COLUMN revops.account.properties IS 'Anything else';
COMMENT ON TABLE revops.person IS 'A person on the customers side, or a visitor who is not known yet';
COMMENT ON COLUMN revops.person.person IS 'Key in the CRM, or the visitors key in the tracking tool';
COMMENT ON COLUMN revops.person.identity IS 'The known person that this visitor turned out to be; set by revops.identify()';
COMMENT ON COLUMN revops.person.account IS 'Account that the person works for';
COMMENT ON COLUMN revops.person.name IS 'Name';
COMMENT ON COLUMN revops.person.title IS 'Role in the account';
COMMENT ON COLUMN revops.person.time_zone IS 'Time zone; NULL is that of the account';
COMMENT ON COLUMN revops.person.properties IS 'Anything else';
COMMENT ON TABLE revops.opportunity IS 'A deal that is being worked on';
COMMENT ON COLUMN revops.opportunity.opportunity IS 'Key in the CRM';
COMMENT ON COLUMN revops.opportunity.account IS 'Account that it is with';
COMMENT ON COLUMN revops.opportunity.name IS 'What people call it';
COMMENT ON COLUMN revops.opportunity.owner IS 'Rep who owns it';
COMMENT ON COLUMN revops.opportunity.stage IS 'Stage as recorded';
COMMENT ON COLUMN revops.opportunity.amount IS 'What it is worth';
COMMENT ON COLUMN revops.opportunity.status IS 'open, won or lost';
COMMENT ON COLUMN revops.opportunity.opened_at IS 'When it was opened';
COMMENT ON COLUMN revops.opportunity.closed_at IS 'When it was won or lost';
COMMENT ON COLUMN revops.opportunity.properties IS 'Anything else';
COMMENT ON TABLE revops.duty IS 'Which unit answers for a territory, and when';
COMMENT ON COLUMN revops.duty.unit IS 'Unit on duty';
COMMENT ON COLUMN revops.duty.territory IS 'Territory that it answers for; NULL is everywhere';
COMMENT ON COLUMN revops.duty.starts_at IS 'From when';
COMMENT ON COLUMN revops.duty.ends_at IS 'Until when';
COMMENT ON TABLE revops.event IS 'Observed behaviour of the customers side or the sellers, partitioned by occurred_at; append-only';
COMMENT ON COLUMN revops.event.event_id IS 'Identity of the event, in all of time: the same id sent again changes nothing';
COMMENT ON COLUMN revops.event.occurred_at IS 'When it happened';
COMMENT ON COLUMN revops.event.received_at IS 'When it came here';
COMMENT ON COLUMN revops.event.person IS 'Person or visitor, as sent';
COMMENT ON COLUMN revops.event.account IS 'Account, as sent; NULL is that of the person';
COMMENT ON COLUMN revops.event.opportunity IS 'Opportunity that it is about';
COMMENT ON COLUMN revops.event.rep IS 'Rep who did it or whom it was done to';
COMMENT ON COLUMN revops.event.side IS 'Whose behaviour it is: customer, rep or system';
COMMENT ON COLUMN revops.event.channel IS 'Where: web, app, wecom, dingtalk, email, call, meeting, visit, crm ...';
COMMENT ON COLUMN revops.event.kind IS 'What: page_view, search, message ...';
COMMENT ON COLUMN revops.event.object IS 'What it was done to: a path, a document, a product';
COMMENT ON COLUMN revops.event.dwell IS 'How long';
COMMENT ON COLUMN revops.event.body IS 'Words that were said or written';
COMMENT ON COLUMN revops.event.properties IS 'Anything else';
COMMENT ON COLUMN revops.event.ahead IS 'Lay ahead of the clock by more than revops.clock_tolerance when it came: kept, not scored';
COMMENT ON COLUMN revops.event.epoch IS 'revops.stream_epoch() where it was written';
COMMENT ON COLUMN revops.event.txid IS 'Transaction that wrote it';

SELECT pg_catalog.pg_extension_config_dump('revops.territory', '');
SELECT pg_catalog.pg_extension_config_dump('revops.unit', '');
SELECT pg_catalog.pg_extension_config_dump('revops.rep', '');
SELECT pg_catalog.pg_extension_config_dump('revops.account', '');
SELECT pg_catalog.pg_extension_config_dump('revops.person', '');
SELECT pg_catalog.pg_extension_config_dump('revops.opportunity', '');
SELECT pg_catalog.pg_extension_config_dump('revops.duty', '');

-- Partitions

CREATE FUNCTION revops.equip_partition(partition regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ADD UNIQUE (event_id)', partition);
    EXECUTE format('CREATE INDEX ON %s (txid, event_id)', partition);
    EXECUTE format('CREATE INDEX ON %s (person, occurred_at)', partition);
    EXECUTE format('CREATE INDEX ON %s (account, occurred_at) WHERE account IS NOT NULL', partition);
    EXECUTE format('CREATE INDEX ON %s (opportunity, occurred_at) WHERE opportunity IS NOT NULL', partition);
    EXECUTE format('CREATE INDEX ON %s (rep, occurred_at) WHERE rep IS NOT NULL', partition);
    EXECUTE format('CREATE TRIGGER revops_before_insert BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revops.event_before_insert()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER revops_before_insert', partition);
END $$;
COMMENT ON FUNCTION revops.equip_partition(regclass) IS 'Give a table that is to be a partition of revops.event its indexes and its trigger';

-- What no other partition takes: events of times that no partition was made for yet.
CREATE TABLE revops.event_default PARTITION OF revops.event DEFAULT;
COMMENT ON TABLE revops.event_default IS 'Events of times that have no partition of their own yet; revops.make_partitions() moves them out';
DO $$ BEGIN PERFORM revops.equip_partition('revops.event_default'); END $$;
SELECT pg_catalog.pg_extension_config_dump('revops.event_default', '');

CREATE FUNCTION revops.event_partitions()
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
COMMENT ON FUNCTION revops.event_partitions() IS 'The partitions of revops.event and their times, without the default one';

CREATE FUNCTION revops.make_partition(at timestamptz) RETURNS text
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
COMMENT ON FUNCTION revops.make_partition(timestamptz) IS 'Make the partition of revops.event that this time falls into, unless it is there; returns its name. Events of its time are moved out of revops.event_default';

CREATE FUNCTION revops.make_partitions(ahead interval DEFAULT '3 months', since timestamptz DEFAULT NULL) RETURNS int
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
COMMENT ON FUNCTION revops.make_partitions(interval, timestamptz) IS 'Make the partitions of revops.event that are missing from since (default: now) until ahead of now, and those for events that lie in revops.event_default; returns how many were made';

CREATE FUNCTION revops.drop_expired_partitions() RETURNS int
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
COMMENT ON FUNCTION revops.drop_expired_partitions() IS 'Drop the partitions of revops.event that are wholly older than revops.retention, and what else is as old; returns how many were dropped';

-- Writing events

CREATE FUNCTION revops.track(
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
COMMENT ON FUNCTION revops.track(text, text, text, text, text, text, text, text, interval, text, jsonb, timestamptz, uuid) IS 'Write one event; returns its event_id. An event_id that is there already changes nothing';

CREATE TABLE revops.rejected_event (
    rejected_at timestamptz NOT NULL DEFAULT revops.now(),
    document    jsonb,
    reason      text NOT NULL
);
CREATE INDEX rejected_event_rejected_at ON revops.rejected_event (rejected_at);
COMMENT ON TABLE revops.rejected_event IS 'What revops.track_batch() did not take';
COMMENT ON COLUMN revops.rejected_event.rejected_at IS 'When it came';
COMMENT ON COLUMN revops.rejected_event.document IS 'As it came; of one too large, its beginning';
COMMENT ON COLUMN revops.rejected_event.reason IS 'Why it was not taken';
SELECT pg_catalog.pg_extension_config_dump('revops.rejected_event', '');

CREATE FUNCTION revops.message_uuid(message text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN message ~* '^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$' THEN message::uuid
        ELSE (SELECT overlay(overlay(h placing '3' from 13 for 1)
                             placing substr('89ab', (strpos('0123456789abcdef', substr(h, 17, 1)) - 1) % 4 + 1, 1) from 17 for 1)::uuid
              FROM md5(E'\\x6f1d1c5e3b0a4d0f9a53c8e27b41d6f2'::bytea || convert_to(message, 'UTF8')) AS h)
    END
$$;
COMMENT ON FUNCTION revops.message_uuid(text) IS 'The event_id for a message id of any form: itself if it is a UUID, otherwise a name-based one (RFC 9562, version 3)';

CREATE FUNCTION revops.url_path(url text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN url ~* '^[a-z][a-z0-9+.-]*://'
                THEN coalesce(nullif(regexp_replace(url, '^[^:]+://[^/?#]*([^?#]*).*$', E'\\1'), ''), '/')
                ELSE nullif(regexp_replace(url, '[?#].*$', ''), '') END
$$;
COMMENT ON FUNCTION revops.url_path(text) IS 'The path of a URL';

-- One row for each document: the fields of an event, as text, from our own names, Segment's or Snowplow's; or a reason why not.
CREATE FUNCTION revops.read_events(documents jsonb[])
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
COMMENT ON FUNCTION revops.read_events(jsonb[]) IS 'Documents of tracking SDKs as the fields of events, with the reason where one cannot be taken';

-- All of them in one statement; if one is bad in a way that only writing it shows, halves, until it stands alone.
CREATE FUNCTION revops.take_events(documents jsonb[], OUT accepted bigint, OUT duplicates bigint, OUT rejected bigint)
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
COMMENT ON FUNCTION revops.take_events(jsonb[]) IS 'Write the events of documents; part of revops.track_batch()';

CREATE FUNCTION revops.track_batch(events jsonb, OUT accepted bigint, OUT duplicates bigint, OUT rejected bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 100000;
BEGIN
    IF events IS NULL OR jsonb_typeof(events) <> 'array' THEN
        RAISE EXCEPTION 'events is not a JSON array but %', coalesce(jsonb_typeof(events), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Put one event too into an array: [{"kind": "page_view", ...}].';
    END IF;
    IF jsonb_array_length(events) > most THEN
        RAISE EXCEPTION 'a batch of % events is too large', jsonb_array_length(events)
            USING ERRCODE = 'program_limit_exceeded', HINT = format('Send at most %s at a time, or use COPY.', most);
    END IF;
    IF jsonb_array_length(events) = 0 THEN
        accepted := 0;
        duplicates := 0;
        rejected := 0;
    ELSE
        SELECT * INTO accepted, duplicates, rejected
        FROM revops.take_events(ARRAY(SELECT d.e FROM jsonb_array_elements(events) WITH ORDINALITY AS d(e, n) ORDER BY d.n));
    END IF;
END $$;
COMMENT ON FUNCTION revops.track_batch(jsonb) IS 'Write an array of events in our own field names, Segment''s or Snowplow''s; returns how many were accepted, were there already, and were put into revops.rejected_event';

-- Who is who

CREATE FUNCTION revops.identify(visitor text, person text) RETURNS void
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
COMMENT ON FUNCTION revops.identify(text, text) IS 'A visitor turned out to be this person: the visitor''s past becomes the person''s, scores and moments included';

-- Events of the past change hands when a person's identity or account does: have the stream recompute who is touched.
CREATE FUNCTION revops.person_changed() RETURNS trigger
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
COMMENT ON FUNCTION revops.person_changed() IS 'Trigger of revops.person: asks the stream to recompute whom a change of identity or account touches';

CREATE TRIGGER revops_person_insert AFTER INSERT ON revops.person
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION revops.person_changed();
CREATE TRIGGER revops_person_update AFTER UPDATE ON revops.person
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION revops.person_changed();
CREATE TRIGGER revops_person_delete AFTER DELETE ON revops.person
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION revops.person_changed();
