-- task: cards, their three plans, and the line by which somebody must have answered

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

-- routing asks for the units on duty in a territory, and for the reps of a unit
CREATE INDEX duty_territory_idx ON revops.duty (territory);
CREATE INDEX rep_unit_idx ON revops.rep (unit, rep);

CREATE SEQUENCE revops.task_id_seq;

-- The unique keys hold the subject, so that the table can be distributed by it. Rows are written by the functions below only,
-- which keep task_plan and escalation in step with it: no foreign keys there, they would cost more than the rows.
CREATE TABLE revops.task (
    task_id     bigint NOT NULL DEFAULT nextval('revops.task_id_seq'),
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    moment_id   uuid NOT NULL,
    rule        text COLLATE "C" NOT NULL,
    playbook    text COLLATE "C" NOT NULL,
    title       text NOT NULL,
    person      text COLLATE "C",
    account     text COLLATE "C",
    opportunity text COLLATE "C",
    context     jsonb NOT NULL DEFAULT '{}',
    owner       text COLLATE "C",
    unit        text COLLATE "C",
    territory   text COLLATE "C",
    moment_at   timestamptz NOT NULL,
    opened_at   timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    line        interval NOT NULL,
    calendar    text COLLATE "C",
    status      text COLLATE "C" NOT NULL DEFAULT 'open'
                CONSTRAINT task_status_check CHECK (status IN ('open', 'claimed', 'answered', 'completed', 'cancelled')),
    claimed_by  text COLLATE "C",
    claimed_at  timestamptz,
    answered_at timestamptz,
    answered_by text COLLATE "C",
    answered_by_event uuid,
    plan        int,
    note        text,
    outcome     text,
    completed_at timestamptz,
    cancelled_at timestamptz,
    PRIMARY KEY (subject, task_id),
    CONSTRAINT task_moment_key UNIQUE (subject, moment_id)
);
CREATE INDEX task_id_idx ON revops.task (task_id);
CREATE INDEX task_opened_at_idx ON revops.task (opened_at);
CREATE INDEX task_answered_at_idx ON revops.task (answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX task_owner_idx ON revops.task (owner, due_at) WHERE status IN ('open', 'claimed');
CREATE INDEX task_unowned_idx ON revops.task (unit, due_at) WHERE status = 'open' AND owner IS NULL;
-- what an answer at some time can touch: cards not answered yet, or answered later than that
CREATE INDEX task_person_idx ON revops.task (person, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
CREATE INDEX task_account_idx ON revops.task (account, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
CREATE INDEX task_opportunity_idx ON revops.task (opportunity, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
COMMENT ON TABLE revops.task IS 'Task cards, one for each moment whose rule has a playbook';
COMMENT ON COLUMN revops.task.task_id IS 'Number of the card';
COMMENT ON COLUMN revops.task.subject_kind IS 'What kind of subject completed the moment';
COMMENT ON COLUMN revops.task.subject IS 'Key of the subject';
COMMENT ON COLUMN revops.task.moment_id IS 'The moment that opened the card';
COMMENT ON COLUMN revops.task.rule IS 'Rule of the moment';
COMMENT ON COLUMN revops.task.playbook IS 'Playbook of the card';
COMMENT ON COLUMN revops.task.title IS 'Title of the card';
COMMENT ON COLUMN revops.task.person IS 'Person to reach';
COMMENT ON COLUMN revops.task.account IS 'Account of the customer';
COMMENT ON COLUMN revops.task.opportunity IS 'Opportunity, where the moment is about one';
COMMENT ON COLUMN revops.task.context IS 'The situation when the card was opened: name, account, segment, hottest intents, last touches, last contact';
COMMENT ON COLUMN revops.task.owner IS 'Rep who must answer; NULL: anyone of the unit may claim it';
COMMENT ON COLUMN revops.task.unit IS 'Unit of the owner, or the unit on duty';
COMMENT ON COLUMN revops.task.territory IS 'Territory of the account, or else of the unit';
COMMENT ON COLUMN revops.task.moment_at IS 'When the moment occurred';
COMMENT ON COLUMN revops.task.opened_at IS 'When the card was opened';
COMMENT ON COLUMN revops.task.due_at IS 'The line: when it must be answered';
COMMENT ON COLUMN revops.task.line IS 'Business time it was given';
COMMENT ON COLUMN revops.task.calendar IS 'Calendar that the line was counted in; NULL: round the clock';
COMMENT ON COLUMN revops.task.status IS 'open, claimed, answered, completed, or cancelled since the moment was retracted';
COMMENT ON COLUMN revops.task.claimed_by IS 'Rep who claimed it';
COMMENT ON COLUMN revops.task.claimed_at IS 'When it was claimed';
COMMENT ON COLUMN revops.task.answered_at IS 'When the customer was first answered';
COMMENT ON COLUMN revops.task.answered_by IS 'Rep who answered';
COMMENT ON COLUMN revops.task.answered_by_event IS 'The captured event that answered it; NULL: answered with revops.respond()';
COMMENT ON COLUMN revops.task.plan IS 'Rank of the plan that the rep followed, as in revops.task_plan';
COMMENT ON COLUMN revops.task.note IS 'What the rep noted';
COMMENT ON COLUMN revops.task.outcome IS 'What came of it';
COMMENT ON COLUMN revops.task.completed_at IS 'When it was completed';
COMMENT ON COLUMN revops.task.cancelled_at IS 'When it was cancelled';

CREATE TABLE revops.task_plan (
    subject     text COLLATE "C" NOT NULL,
    task_id     bigint NOT NULL,
    rank        int NOT NULL,
    plan        int NOT NULL,
    title       text NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    message     text NOT NULL,
    score       float8 NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (subject, task_id, rank)
);
COMMENT ON TABLE revops.task_plan IS 'The three plans that a card offers, the best first';
COMMENT ON COLUMN revops.task_plan.subject IS 'Subject of the card';
COMMENT ON COLUMN revops.task_plan.task_id IS 'The card';
COMMENT ON COLUMN revops.task_plan.rank IS '1 fits best';
COMMENT ON COLUMN revops.task_plan.plan IS 'Number of the plan in the playbook';
COMMENT ON COLUMN revops.task_plan.title IS 'What to do';
COMMENT ON COLUMN revops.task_plan.channel IS 'Channel of the outreach';
COMMENT ON COLUMN revops.task_plan.message IS 'Message for this customer';
COMMENT ON COLUMN revops.task_plan.score IS 'Conditions met minus conditions missed, over conditions plus one: 0 is a plan for everyone, unknown facts count as neither';
COMMENT ON COLUMN revops.task_plan.reason IS 'Why it ranks so';

CREATE TABLE revops.escalation (
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    task_id     bigint NOT NULL,
    level       int NOT NULL,
    share       float8 NOT NULL,
    role        text COLLATE "C" NOT NULL,
    due_at      timestamptz NOT NULL,
    fired_at    timestamptz,
    told        text COLLATE "C",
    stopped_at  timestamptz,
    PRIMARY KEY (subject, task_id, level)
);
CREATE INDEX escalation_due_idx ON revops.escalation (due_at) WHERE fired_at IS NULL AND stopped_at IS NULL;
COMMENT ON TABLE revops.escalation IS 'Levels of each card: who is told when, each exactly once, until the card is answered. Levels below 1 are those that the rule tells at once, answered or not';
COMMENT ON COLUMN revops.escalation.subject_kind IS 'Kind of the subject';
COMMENT ON COLUMN revops.escalation.subject IS 'Subject of the card';
COMMENT ON COLUMN revops.escalation.task_id IS 'The card';
COMMENT ON COLUMN revops.escalation.level IS 'Level, in the order of time; below 1: told when the card was opened, as the rule says';
COMMENT ON COLUMN revops.escalation.share IS 'Share of the line that has passed then; 0: told at once';
COMMENT ON COLUMN revops.escalation.role IS 'Who is to be told: owner, coach or director';
COMMENT ON COLUMN revops.escalation.due_at IS 'When';
COMMENT ON COLUMN revops.escalation.fired_at IS 'When it was done; NULL: not yet, or not needed';
COMMENT ON COLUMN revops.escalation.told IS 'The rep who was told; NULL: nobody holds the role';
COMMENT ON COLUMN revops.escalation.stopped_at IS 'Since when it is not needed: the card was answered (levels from 1) or cancelled';

SELECT pg_catalog.pg_extension_config_dump('revops.playbook', '');
SELECT pg_catalog.pg_extension_config_dump('revops.playbook_level', '');
SELECT pg_catalog.pg_extension_config_dump('revops.playbook_plan', '');
SELECT pg_catalog.pg_extension_config_dump('revops.task_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('revops.task', '');
SELECT pg_catalog.pg_extension_config_dump('revops.task_plan', '');
SELECT pg_catalog.pg_extension_config_dump('revops.escalation', '');

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
         regexp_matches(t.template, '\{\{([^{}]*)\}\}', 'g') m
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
    SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(template,
        '{{object}}', coalesce(object, '')), '{{account}}', coalesce(account, '')), '{{person}}', coalesce(person, ''))
$$;
COMMENT ON FUNCTION revops.render_message(text, text, text, text) IS 'A template with {{person}}, {{account}} and {{object}} filled in';

-- Planned once for all calls, knowing little about how many moments and how much history there are. So that ten thousand are no
-- worse than ten thousand times one, every table has an index to be reached by (and is, also while it is still small), lists go
-- from step to step as arrays (which count as short), and two long ones meet by FULL JOIN, which can only be hashed or merged.
CREATE FUNCTION revops.open_tasks(moments uuid[]) RETURNS int
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
            ORDER BY r.occurred_at, r.moment_id
        ) c
    ),
    task AS (
        INSERT INTO revops.task (task_id, subject_kind, subject, moment_id, rule, playbook, title, person, account, opportunity, context,
                                 owner, unit, territory, moment_at, opened_at, due_at, line, calendar)
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
               c.rep, c.unit, c.card_territory, c.occurred_at, at, c.due_at, c.line, c.calendar
        FROM card c
    ),
    level AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, l.level, l.share, l.role,
               coalesce(revops.business_time_add(c.time_zone, c.week, c.holidays, at, c.line * l.share, true), at + c.line * l.share)
        FROM card c JOIN revops.playbook_level l ON l.playbook = c.playbook
        ORDER BY c.task_id, l.level
    ),
    -- whom the rule tells at once: levels 0, -1 ..., due now whatever the hour. What no rule could have stored is left out
    tell AS (
        INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at)
        SELECT c.subject_kind, c.subject, c.task_id, 1 - row_number() OVER (PARTITION BY c.task_id ORDER BY min(r.n)), 0, r.role, at
        FROM card c JOIN revops.moment_rule v ON v.rule = c.rule AND v.version = c.version
        CROSS JOIN LATERAL json_array_elements_text(CASE json_typeof(v.definition -> 'tell') WHEN 'array' THEN v.definition -> 'tell' ELSE '[]' END)
             WITH ORDINALITY AS r (role, n)
        WHERE r.role IN ('coach', 'director')
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
    INTO opened FROM card c;
    RETURN opened + back;
END $$;
COMMENT ON FUNCTION revops.open_tasks(uuid[]) IS
'The stream calls it with new moments: routes each (opportunity owner, account owner, unit on duty, fallback rep) and opens the card of its rule''s playbook, if it is not older than revops.task_max_age; again is harmless. Returns cards opened';

CREATE FUNCTION revops.cancel_tasks(moments uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n int;
BEGIN
    WITH gone AS (
        UPDATE revops.task t SET status = 'cancelled', cancelled_at = revops.now()
        FROM unnest(cancel_tasks.moments) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m
        WHERE t.subject = m.subject AND t.moment_id = m.moment_id
          AND t.status IN ('open', 'claimed')
        RETURNING t.subject, t.task_id
    ), stopped AS (
        UPDATE revops.escalation e SET stopped_at = revops.now()
        FROM gone g WHERE e.subject = g.subject AND e.task_id = g.task_id AND e.fired_at IS NULL AND e.stopped_at IS NULL
    )
    SELECT count(*) INTO n FROM gone;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.cancel_tasks(uuid[]) IS
'The stream calls it with retracted moments: their open and claimed cards are cancelled, answered ones stay. Returns cards cancelled';

CREATE FUNCTION revops.answer_tasks(lane int, lanes int, reps text[], persons text[], accounts text[], opportunities text[],
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
        SELECT DISTINCT ON (h.subject, h.task_id) h.subject, h.task_id, h.rep, h.at, h.event_id
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
    ), answered AS (
        UPDATE revops.task t
        SET status = CASE WHEN t.status IN ('open', 'claimed') THEN 'answered' ELSE t.status END,
            answered_at = f.at, answered_by = f.rep, answered_by_event = f.event_id
        FROM first f
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
COMMENT ON FUNCTION revops.answer_tasks(int, int, text[], text[], text[], text[], timestamptz[], uuid[]) IS
'The stream calls it with outbound events of reps: each answers the cards of that customer whose moment it follows and is no part of; an earlier one that arrives late moves the answer back. Lane NULL: all cards. Returns cards touched';

-- A level that someone has locked (a rep who answers this very moment) is left to the next call, so that no client can hold up the stream.
CREATE FUNCTION revops.escalate_due(lane int DEFAULT NULL, lanes int DEFAULT NULL) RETURNS int
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
COMMENT ON FUNCTION revops.escalate_due(int, int) IS
'Fires each escalation level that is due at revops.now(), exactly once, and notifies revops_task. Lane NULL: all cards. Returns levels fired';

CREATE FUNCTION revops.next_escalation_at() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(e.due_at) FROM revops.escalation e WHERE e.fired_at IS NULL AND e.stopped_at IS NULL
$$;
COMMENT ON FUNCTION revops.next_escalation_at() IS 'When the next escalation level is due; NULL: none';

CREATE FUNCTION revops.claim_tasks(rep text, n int DEFAULT 1) RETURNS SETOF revops.task
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
COMMENT ON FUNCTION revops.claim_tasks(text, int) IS
'A rep takes up to n cards, the soonest due first: his own, and those of his unit that nobody owns. Two who claim at once never get the same one';

CREATE FUNCTION revops.respond(task bigint, plan int DEFAULT NULL, note text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    card revops.task;
    at   CONSTANT timestamptz := revops.now();
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
    END IF;
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
COMMENT ON FUNCTION revops.respond(bigint, int, text) IS
'The rep answered the customer, by the plan of that rank in revops.task_plan if one is given; escalation stops. True if it was within the line';

CREATE FUNCTION revops.complete(task bigint, outcome text) RETURNS void
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
    END IF;
    UPDATE revops.task t SET status = 'completed', outcome = complete.outcome, completed_at = revops.now()
    WHERE t.subject = card.subject AND t.task_id = card.task_id;
END $$;
COMMENT ON FUNCTION revops.complete(bigint, text) IS 'Close an answered card and say what came of it';
