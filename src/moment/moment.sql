-- moment: rules, the moments that they caught, and where each subject stands in them

CREATE TABLE revops.moment_rule (
    rule        text COLLATE "C" NOT NULL CHECK (rule <> ''),
    version     int NOT NULL CHECK (version > 0),
    definition  json NOT NULL,                 -- as it was given, byte for byte: errors name its lines
    title       text NOT NULL,
    playbook    text COLLATE "C",
    valid_from  timestamptz NOT NULL DEFAULT '-infinity',
    valid_to    timestamptz NOT NULL DEFAULT 'infinity',
    created_at  timestamptz NOT NULL DEFAULT revops.now(),
    created_by  text NOT NULL DEFAULT session_user,
    CONSTRAINT moment_rule_pkey PRIMARY KEY (rule, version),
    CONSTRAINT moment_rule_valid CHECK (valid_from <= valid_to)
);
COMMENT ON TABLE revops.moment_rule IS 'All versions of all moment rules; each applies to the events that occurred from valid_from to before valid_to';
COMMENT ON COLUMN revops.moment_rule.rule IS 'Name';
COMMENT ON COLUMN revops.moment_rule.version IS 'Counts up with each change';
COMMENT ON COLUMN revops.moment_rule.definition IS 'The JSON document';
COMMENT ON COLUMN revops.moment_rule.title IS 'What people see';
COMMENT ON COLUMN revops.moment_rule.playbook IS 'The playbook that answers it; NULL makes no card';
COMMENT ON COLUMN revops.moment_rule.valid_from IS 'First instant of events it applies to';
COMMENT ON COLUMN revops.moment_rule.valid_to IS 'First instant it no longer applies to; infinity for the current version';
COMMENT ON COLUMN revops.moment_rule.created_at IS 'When it was stored';
COMMENT ON COLUMN revops.moment_rule.created_by IS 'Who stored it';

CREATE TRIGGER moment_rule_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revops.moment_rule
    FOR EACH STATEMENT EXECUTE FUNCTION revops.config_changed();
ALTER TABLE revops.moment_rule ENABLE ALWAYS TRIGGER moment_rule_changed;

CREATE TABLE revops.moment (
    moment_id    uuid NOT NULL,
    rule         text COLLATE "C" NOT NULL,
    version      int NOT NULL,
    subject_kind revops.subject_kind NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    person       text COLLATE "C",
    account      text COLLATE "C",
    opportunity  text COLLATE "C",
    owner        text COLLATE "C",
    occurred_at  timestamptz NOT NULL,
    detected_at  timestamptz NOT NULL,
    strength     float8 NOT NULL,
    channel      text COLLATE "C",
    object       text COLLATE "C",
    evidence     uuid[] NOT NULL,
    playbook     text COLLATE "C",
    by_timer     boolean NOT NULL DEFAULT false,
    retracted_at timestamptz,
    CONSTRAINT moment_pkey PRIMARY KEY (subject, moment_id)
);
CREATE INDEX moment_occurred_at ON revops.moment (occurred_at);
CREATE INDEX moment_moment_id ON revops.moment (moment_id);
COMMENT ON TABLE revops.moment IS 'The moments that were caught; one that a late event undid stays, with retracted_at';
COMMENT ON COLUMN revops.moment.moment_id IS 'The moment';
COMMENT ON COLUMN revops.moment.rule IS 'The rule that caught it';
COMMENT ON COLUMN revops.moment.version IS 'Version of the rule';
COMMENT ON COLUMN revops.moment.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.moment.subject IS 'Whose moment it is';
COMMENT ON COLUMN revops.moment.person IS 'The person of its last event';
COMMENT ON COLUMN revops.moment.account IS 'The account of that event, or of its person';
COMMENT ON COLUMN revops.moment.opportunity IS 'The opportunity of that event';
COMMENT ON COLUMN revops.moment.owner IS 'The rep that its card went to';
COMMENT ON COLUMN revops.moment.occurred_at IS 'When it was complete: the time of its last event, or the end of the time in which none came';
COMMENT ON COLUMN revops.moment.detected_at IS 'When the stream found it';
COMMENT ON COLUMN revops.moment.strength IS 'Strength, from 0 to 1';
COMMENT ON COLUMN revops.moment.channel IS 'Channel of its last event';
COMMENT ON COLUMN revops.moment.object IS 'Object of its last event';
COMMENT ON COLUMN revops.moment.evidence IS 'Its events in the order of time, at most the newest 64';
COMMENT ON COLUMN revops.moment.playbook IS 'The playbook that answers it';
COMMENT ON COLUMN revops.moment.by_timer IS 'A timeout completed it: what was not to come within a time has not come';
COMMENT ON COLUMN revops.moment.retracted_at IS 'When it was undone; NULL: it stands';

CREATE TABLE revops.moment_state (
    subject_kind revops.subject_kind NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    states       bytea NOT NULL,
    due_at       timestamptz,
    CONSTRAINT moment_state_pkey PRIMARY KEY (subject_kind, subject)
);
CREATE INDEX moment_state_due_at ON revops.moment_state (due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE revops.moment_state IS 'Where each subject stands in the rules that have seen an event of it; the stream''s own';
COMMENT ON COLUMN revops.moment_state.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.moment_state.subject IS 'The subject';
COMMENT ON COLUMN revops.moment_state.states IS 'The states, packed';
COMMENT ON COLUMN revops.moment_state.due_at IS 'When its next timeout is due; NULL: none';

CREATE TABLE revops.late_event (
    event_id     uuid NOT NULL,
    occurred_at  timestamptz NOT NULL,
    rule         text COLLATE "C" NOT NULL,
    version      int NOT NULL,
    subject_kind revops.subject_kind NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    behind       interval NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT revops.now(),
    CONSTRAINT late_event_pkey PRIMARY KEY (subject, rule, version, event_id)
);
CREATE INDEX late_event_noted_at ON revops.late_event (noted_at);
COMMENT ON TABLE revops.late_event IS 'Events that came later than revops.allowed_lateness: they changed no moment of that rule';
COMMENT ON COLUMN revops.late_event.event_id IS 'The event';
COMMENT ON COLUMN revops.late_event.occurred_at IS 'When it occurred';
COMMENT ON COLUMN revops.late_event.rule IS 'The rule that it would have concerned';
COMMENT ON COLUMN revops.late_event.version IS 'Version of the rule';
COMMENT ON COLUMN revops.late_event.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.late_event.subject IS 'Whose event it is';
COMMENT ON COLUMN revops.late_event.behind IS 'How far it lay behind what the subject''s rule had seen';
COMMENT ON COLUMN revops.late_event.noted_at IS 'When the stream met it';

CREATE TABLE revops.rule_count (
    rule         text COLLATE "C" NOT NULL,
    version      int NOT NULL,
    lane         int NOT NULL,
    capped       bigint NOT NULL,
    CONSTRAINT rule_count_pkey PRIMARY KEY (rule, version, lane)
);
COMMENT ON TABLE revops.rule_count IS 'What the stream counts of each rule; see revops.rule_status';
COMMENT ON COLUMN revops.rule_count.rule IS 'The rule';
COMMENT ON COLUMN revops.rule_count.version IS 'Its version';
COMMENT ON COLUMN revops.rule_count.lane IS 'The lane that counted';
COMMENT ON COLUMN revops.rule_count.capped IS 'Events that were left out since a state keeps at most 1,024';

SELECT pg_catalog.pg_extension_config_dump('revops.moment_rule', '');
SELECT pg_catalog.pg_extension_config_dump('revops.moment', '');
SELECT pg_catalog.pg_extension_config_dump('revops.moment_state', '');
SELECT pg_catalog.pg_extension_config_dump('revops.late_event', '');
SELECT pg_catalog.pg_extension_config_dump('revops.rule_count', '');

CREATE VIEW revops.rule AS
SELECT rule, title, COALESCE(definition ->> 'per', 'person') AS per, playbook, version, valid_from AS since, definition
FROM revops.moment_rule
WHERE valid_to = 'infinity';
COMMENT ON VIEW revops.rule IS 'The moment rules in force';
COMMENT ON COLUMN revops.rule.rule IS 'Name';
COMMENT ON COLUMN revops.rule.title IS 'What people see';
COMMENT ON COLUMN revops.rule.per IS 'What a moment is kept for: person, account, opportunity or rep';
COMMENT ON COLUMN revops.rule.playbook IS 'The playbook that answers it; NULL makes no card';
COMMENT ON COLUMN revops.rule.version IS 'Version in force';
COMMENT ON COLUMN revops.rule.since IS 'First instant of events that this version applies to';
COMMENT ON COLUMN revops.rule.definition IS 'The JSON document';

CREATE VIEW revops.rule_status AS
SELECT r.rule, r.version, r.valid_from, r.valid_to,
       coalesce(m.standing, 0) AS moments, coalesce(m.retracted, 0) AS retracted, m.last_at,
       coalesce(l.n, 0) AS late_events, coalesce(c.n, 0) AS capped
FROM revops.moment_rule r
LEFT JOIN (SELECT rule, version, count(*) FILTER (WHERE retracted_at IS NULL) AS standing, count(*) FILTER (WHERE retracted_at IS NOT NULL) AS retracted,
                  max(occurred_at) FILTER (WHERE retracted_at IS NULL) AS last_at
           FROM revops.moment GROUP BY rule, version) m USING (rule, version)
LEFT JOIN (SELECT rule, version, count(*) AS n FROM revops.late_event GROUP BY rule, version) l USING (rule, version)
LEFT JOIN (SELECT rule, version, sum(capped)::bigint AS n FROM revops.rule_count GROUP BY rule, version) c USING (rule, version);
COMMENT ON VIEW revops.rule_status IS 'All versions of the moment rules, with what they have caught and what was left out';
COMMENT ON COLUMN revops.rule_status.rule IS 'Name';
COMMENT ON COLUMN revops.rule_status.version IS 'Version';
COMMENT ON COLUMN revops.rule_status.valid_from IS 'First instant of events it applies to';
COMMENT ON COLUMN revops.rule_status.valid_to IS 'First instant it no longer applies to';
COMMENT ON COLUMN revops.rule_status.moments IS 'Standing moments';
COMMENT ON COLUMN revops.rule_status.retracted IS 'Moments that were undone';
COMMENT ON COLUMN revops.rule_status.last_at IS 'When the latest standing one occurred';
COMMENT ON COLUMN revops.rule_status.late_events IS 'Events that came too late to count; see revops.late_event';
COMMENT ON COLUMN revops.rule_status.capped IS 'Events that were left out since a state keeps at most 1,024';

CREATE FUNCTION revops.check_rule(definition json, rule text DEFAULT 'new rule') RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_check_rule';
COMMENT ON FUNCTION revops.check_rule(json, text) IS 'Raises an error with line, column and what was expected unless the definition is that of a moment rule';

-- Versions of a rule follow each other without overlap, whatever the clock did.
CREATE FUNCTION revops.explain_rule(definition json) RETURNS SETOF text
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_explain_rule';
COMMENT ON FUNCTION revops.explain_rule(json) IS 'A moment rule in a plain sentence, then its compiled states, a line each; an error as of check_rule() if it is none';

CREATE FUNCTION revops.put_rule(rule text, definition json) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    last  revops.moment_rule;
    since timestamptz;
BEGIN
    PERFORM revops.check_rule(definition, rule);
    PERFORM revops.ensure_intent(definition -> 'intent' ->> 'intent');
    -- no pass runs from here to the commit: none sees half of the change, and the frontier stands still
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    SELECT m.* INTO last FROM revops.moment_rule m WHERE m.rule = put_rule.rule ORDER BY m.version DESC LIMIT 1;
    IF last.valid_to = 'infinity' AND last.definition::jsonb = definition::jsonb THEN
        RETURN last.version;
    END IF;
    since := revops.config_valid_from();
    IF last.version IS NOT NULL THEN
        since := greatest(since, last.valid_from, CASE WHEN last.valid_to < 'infinity' THEN last.valid_to END);
        UPDATE revops.moment_rule m SET valid_to = since
        WHERE m.rule = put_rule.rule AND m.version = last.version AND m.valid_to = 'infinity';
    END IF;
    INSERT INTO revops.moment_rule (rule, version, definition, title, playbook, valid_from)
    VALUES (put_rule.rule, COALESCE(last.version, 0) + 1, put_rule.definition,
            COALESCE(put_rule.definition ->> 'title', put_rule.rule), put_rule.definition ->> 'playbook', since);
    RETURN COALESCE(last.version, 0) + 1;
END $$;
COMMENT ON FUNCTION revops.put_rule(text, json) IS 'Stores a moment rule, or a new version of it, for the events from now on, and returns the version; an unchanged definition keeps its version';

CREATE FUNCTION revops.drop_rule(rule text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    LOCK TABLE revops.stream_lane IN EXCLUSIVE MODE;
    UPDATE revops.moment_rule m SET valid_to = greatest(m.valid_from, revops.config_valid_from())
    WHERE m.rule = drop_rule.rule AND m.valid_to = 'infinity';
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION revops.drop_rule(text) IS 'Ends a moment rule for the events from now on; its moments stay. False if there is no such rule in force';

CREATE FUNCTION revops.backtest(definition json, since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity',
    OUT subject_kind revops.subject_kind, OUT subject text, OUT occurred_at timestamptz, OUT strength float8, OUT evidence uuid[])
RETURNS SETOF record
LANGUAGE c STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'revops_backtest';
COMMENT ON FUNCTION revops.backtest(json, timestamptz, timestamptz) IS
'The moments that a rule would have caught in the events that occurred from since to before until, as if it had been stored before the first of them; writes nothing';

CREATE FUNCTION revops.moment_progress(OUT subject_kind revops.subject_kind, OUT subject text, OUT rule text, OUT version int, OUT have float8, OUT need float8,
    OUT one_step boolean, OUT missing text, OUT until timestamptz)
RETURNS SETOF record
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'revops_moment_progress';
COMMENT ON FUNCTION revops.moment_progress() IS 'How far each subject is in each rule in force that has begun: reads all states';

CREATE VIEW revops.moment_partial AS
SELECT p.subject_kind, p.subject, p.rule, p.have, p.need, p.missing, p.until
FROM revops.moment_progress() p WHERE p.one_step;
COMMENT ON VIEW revops.moment_partial IS 'Who is one step away from which moment: one event, one day, or only time is missing; of a sum, at least half is there';
COMMENT ON COLUMN revops.moment_partial.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.moment_partial.subject IS 'Whose moment it would be';
COMMENT ON COLUMN revops.moment_partial.rule IS 'The rule';
COMMENT ON COLUMN revops.moment_partial.have IS 'Events, values or days that are there; seconds or units of a sum';
COMMENT ON COLUMN revops.moment_partial.need IS 'How many it takes';
COMMENT ON COLUMN revops.moment_partial.missing IS 'What is missing, in words';
COMMENT ON COLUMN revops.moment_partial.until IS 'When what is there is lost, or, where only time is missing, when the moment comes; NULL: not known';
