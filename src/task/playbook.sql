-- task: playbooks, what cards are made from

CREATE TABLE revops.playbook (
    playbook    text COLLATE "C" PRIMARY KEY,
    title       text NOT NULL,
    line        interval NOT NULL DEFAULT '15 minutes'
                CONSTRAINT playbook_line_check CHECK (line > '0' AND line <= '366 days' AND extract(month FROM line) = 0 AND extract(year FROM line) = 0),
    calendar    text COLLATE "C" CONSTRAINT playbook_calendar_fkey REFERENCES revops.calendar
);
COMMENT ON TABLE revops.playbook IS 'Standard procedures that moments start; write them with revops.put_playbook()';
COMMENT ON COLUMN revops.playbook.playbook IS 'Key of the playbook, as moment rules name it';
COMMENT ON COLUMN revops.playbook.title IS 'Title of its cards; may hold {{person}}, {{account}} and {{object}}';
COMMENT ON COLUMN revops.playbook.line IS 'Business time within which a card must be answered';
COMMENT ON COLUMN revops.playbook.calendar IS 'Calendar of the line; NULL: that of the unit, or else round the clock';

CREATE TABLE revops.playbook_level (
    playbook    text COLLATE "C" NOT NULL CONSTRAINT playbook_level_playbook_fkey REFERENCES revops.playbook ON DELETE CASCADE,
    level       int NOT NULL CONSTRAINT playbook_level_level_check CHECK (level > 0),
    share       float8 NOT NULL CONSTRAINT playbook_level_share_check CHECK (share > 0 AND share <= 100),
    role        text COLLATE "C" NOT NULL CONSTRAINT playbook_level_role_check CHECK (role IN ('owner', 'coach', 'director')),
    PRIMARY KEY (playbook, level)
);
COMMENT ON TABLE revops.playbook_level IS 'Who is told, and when, while a card of the playbook is not answered';
COMMENT ON COLUMN revops.playbook_level.playbook IS 'The playbook';
COMMENT ON COLUMN revops.playbook_level.level IS '1, 2, 3 ... in the order of time';
COMMENT ON COLUMN revops.playbook_level.share IS 'Share of the line that has passed then: 0.5 is half of it';
COMMENT ON COLUMN revops.playbook_level.role IS 'Who is told: owner, coach of the unit or director of the territory';

CREATE TABLE revops.playbook_plan (
    playbook    text COLLATE "C" NOT NULL CONSTRAINT playbook_plan_playbook_fkey REFERENCES revops.playbook ON DELETE CASCADE,
    plan        int NOT NULL,
    title       text NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    message     text NOT NULL,
    fits        jsonb NOT NULL DEFAULT '{}' CONSTRAINT playbook_plan_fits_check CHECK (jsonb_typeof(fits) = 'object'),
    PRIMARY KEY (playbook, plan)
);
COMMENT ON TABLE revops.playbook_plan IS 'The outreach plans of a playbook; a card offers the three that fit its customer best';
COMMENT ON COLUMN revops.playbook_plan.playbook IS 'The playbook';
COMMENT ON COLUMN revops.playbook_plan.plan IS 'Its number in the playbook; the lower one wins a tie';
COMMENT ON COLUMN revops.playbook_plan.title IS 'What to do, in a few words';
COMMENT ON COLUMN revops.playbook_plan.channel IS 'Channel of the outreach';
COMMENT ON COLUMN revops.playbook_plan.message IS 'Message template with {{person}}, {{account}} and {{object}}';
COMMENT ON COLUMN revops.playbook_plan.fits IS 'Whom it fits: {"segment": "enterprise", "industry": ["bank", "insurance"], "title": {"like": "%security%"}}; {} fits everyone';

SELECT pg_catalog.pg_extension_config_dump('revops.playbook', '');
SELECT pg_catalog.pg_extension_config_dump('revops.playbook_level', '');
SELECT pg_catalog.pg_extension_config_dump('revops.playbook_plan', '');

CREATE FUNCTION revops.put_playbook(playbook text, title text, plans jsonb, line interval DEFAULT '15 minutes', calendar text DEFAULT NULL,
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
COMMENT ON FUNCTION revops.put_playbook(text, text, jsonb, interval, text, jsonb) IS
'Make or change a playbook: its title, its outreach plans, the line and who is told while it passes. Cards that are open keep theirs';

CREATE FUNCTION revops.render_message(template text, person text, account text, object text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- what is filled in is not looked through for more: its braces are others meanwhile
    SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(template,
        '{{object}}', pg_catalog.replace(coalesce(object, ''), '{{', E'\x01')), '{{account}}', pg_catalog.replace(coalesce(account, ''), '{{', E'\x01')),
        '{{person}}', pg_catalog.replace(coalesce(person, ''), '{{', E'\x01')), E'\x01', '{{')
$$;
COMMENT ON FUNCTION revops.render_message(text, text, text, text) IS 'A template with {{person}}, {{account}} and {{object}} filled in';
