-- board: what directors, coaches and reps look at. Who may read a board needs no right on the tables behind it.

-- what the boards look for beside the indexes of the tables' own rooms
CREATE INDEX opportunity_won ON revops.opportunity (account, closed_at) WHERE status = 'won';

CREATE FUNCTION revops.local_time(at timestamptz, time_zone text) RETURNS timestamp
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_local_time';
COMMENT ON FUNCTION revops.local_time(timestamptz, text) IS 'What clocks in a time zone show at an instant; NULL where there is no such zone';

CREATE FUNCTION revops.setting_list(setting text, otherwise text) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.regexp_split_to_array(pg_catalog.btrim(coalesce(nullif(pg_catalog.current_setting($1, true), ''), $2), E' \t\r\n'), E'\\s*,\\s*')
$$;
COMMENT ON FUNCTION revops.setting_list(text, text) IS 'A setting whose values are separated by commas; otherwise: where it is not set';

CREATE FUNCTION revops.board_since() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT revops.now() - pg_catalog.make_interval(days => coalesce(nullif(pg_catalog.current_setting('revops.board_days', true), ''), '30')::int)
$$;
COMMENT ON FUNCTION revops.board_since() IS 'How far back the boards look: revops.board_days before revops.now()';

-- One row for each moment that stands: its card, its answer, and whether the customer bought.
CREATE VIEW revops.moment_outcome WITH (security_barrier) AS
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
COMMENT ON VIEW revops.moment_outcome IS 'Each moment that stands: its card, how it was answered, and whether the customer bought within 72 hours. Filter by occurred_at';
COMMENT ON COLUMN revops.moment_outcome.moment_id IS 'The moment';
COMMENT ON COLUMN revops.moment_outcome.rule IS 'The rule that caught it';
COMMENT ON COLUMN revops.moment_outcome.version IS 'Version of the rule';
COMMENT ON COLUMN revops.moment_outcome.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.moment_outcome.subject IS 'Whose moment it is';
COMMENT ON COLUMN revops.moment_outcome.person IS 'The person';
COMMENT ON COLUMN revops.moment_outcome.account IS 'The account';
COMMENT ON COLUMN revops.moment_outcome.opportunity IS 'The opportunity';
COMMENT ON COLUMN revops.moment_outcome.channel IS 'Channel of the event that completed it';
COMMENT ON COLUMN revops.moment_outcome.object IS 'Object of the event that completed it';
COMMENT ON COLUMN revops.moment_outcome.strength IS 'Strength, from 0 to 1';
COMMENT ON COLUMN revops.moment_outcome.occurred_at IS 'When it occurred';
COMMENT ON COLUMN revops.moment_outcome.territory IS 'Territory of the account, or else of the unit';
COMMENT ON COLUMN revops.moment_outcome.unit IS 'Unit that the card went to';
COMMENT ON COLUMN revops.moment_outcome.rep IS 'Rep who owns the card';
COMMENT ON COLUMN revops.moment_outcome.task_id IS 'The card; NULL: the moment made none';
COMMENT ON COLUMN revops.moment_outcome.status IS 'Status of the card';
COMMENT ON COLUMN revops.moment_outcome.due_at IS 'The card''s line';
COMMENT ON COLUMN revops.moment_outcome.answered_at IS 'When the customer was answered';
COMMENT ON COLUMN revops.moment_outcome.answered_by IS 'Rep who answered';
COMMENT ON COLUMN revops.moment_outcome.in_line IS 'Whether it was answered within the line; NULL while that can still happen';
COMMENT ON COLUMN revops.moment_outcome.response_time IS 'From the moment to the answer, nights and holidays included';
COMMENT ON COLUMN revops.moment_outcome.converted_at IS 'When the customer bought within 72 hours: an opportunity won, or an event of revops.conversion_kinds';
COMMENT ON COLUMN revops.moment_outcome.mature IS 'Whether its 72 hours are over';

CREATE VIEW revops.moment_board AS
SELECT CASE WHEN grouping(o.unit) = 1 THEN 'territory' WHEN grouping(o.rep) = 1 THEN 'unit' ELSE 'rep' END AS level,
       o.territory, o.unit, o.rep,
       count(*) AS moments,
       count(o.task_id) AS cards,
       count(*) FILTER (WHERE o.status IN ('open', 'claimed')) AS open_cards,
       count(*) FILTER (WHERE o.due_at <= revops.now()) AS due,
       count(*) FILTER (WHERE o.due_at <= revops.now() AND o.in_line) AS answered_in_line,
       round(count(*) FILTER (WHERE o.due_at <= revops.now() AND o.in_line)
             / nullif(count(*) FILTER (WHERE o.due_at <= revops.now()), 0)::numeric, 4) AS response_rate,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY o.response_time) AS median_response_time,
       count(*) FILTER (WHERE o.mature) AS mature,
       count(*) FILTER (WHERE o.mature AND o.converted_at IS NOT NULL) AS converted,
       round(count(*) FILTER (WHERE o.mature AND o.converted_at IS NOT NULL)
             / nullif(count(*) FILTER (WHERE o.mature), 0)::numeric, 4) AS conversion_rate,
       count(*) FILTER (WHERE NOT o.mature) AS immature,
       count(*) FILTER (WHERE NOT o.mature AND o.converted_at IS NOT NULL) AS immature_converted
FROM revops.moment_outcome o
WHERE o.occurred_at >= revops.board_since()
GROUP BY GROUPING SETS ((o.territory), (o.territory, o.unit), (o.territory, o.unit, o.rep));
COMMENT ON VIEW revops.moment_board IS 'The last revops.board_days days per territory, per unit and per rep: moments, how their cards were answered, and how many customers bought within 72 hours. One level at a time: each moment is in all three';
COMMENT ON COLUMN revops.moment_board.level IS 'What the row sums up: territory, unit or rep';
COMMENT ON COLUMN revops.moment_board.territory IS 'Territory; NULL: of moments without one';
COMMENT ON COLUMN revops.moment_board.unit IS 'Unit; NULL in a row of a territory, and of moments without one';
COMMENT ON COLUMN revops.moment_board.rep IS 'Rep; NULL in a row of a territory or unit, and of moments that nobody owns';
COMMENT ON COLUMN revops.moment_board.moments IS 'Moments that stand';
COMMENT ON COLUMN revops.moment_board.cards IS 'Cards that they made';
COMMENT ON COLUMN revops.moment_board.open_cards IS 'Cards that nobody answered yet';
COMMENT ON COLUMN revops.moment_board.due IS 'Cards whose line has passed by now, answered or not';
COMMENT ON COLUMN revops.moment_board.answered_in_line IS 'How many of those were answered within it';
COMMENT ON COLUMN revops.moment_board.response_rate IS 'answered_in_line / due';
COMMENT ON COLUMN revops.moment_board.median_response_time IS 'Median time from moment to answer, of those answered';
COMMENT ON COLUMN revops.moment_board.mature IS 'Moments whose 72 hours are over';
COMMENT ON COLUMN revops.moment_board.converted IS 'How many of the mature ones'' customers bought within their 72 hours';
COMMENT ON COLUMN revops.moment_board.conversion_rate IS 'converted / mature';
COMMENT ON COLUMN revops.moment_board.immature IS 'Moments whose 72 hours are still running: too early to tell';
COMMENT ON COLUMN revops.moment_board.immature_converted IS 'How many of those customers bought already';

CREATE VIEW revops.top_moments AS
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
COMMENT ON VIEW revops.top_moments IS 'Yesterday''s three strongest moments of each territory, in its own time zone, with their response time';
COMMENT ON COLUMN revops.top_moments.territory IS 'Territory; NULL: of moments without one';
COMMENT ON COLUMN revops.top_moments.day IS 'Yesterday, as the territory''s calendar has it';
COMMENT ON COLUMN revops.top_moments.rank IS '1 is the strongest; the earlier wins a tie';
COMMENT ON COLUMN revops.top_moments.moment_id IS 'The moment';
COMMENT ON COLUMN revops.top_moments.rule IS 'The rule that caught it';
COMMENT ON COLUMN revops.top_moments.title IS 'Title of the rule';
COMMENT ON COLUMN revops.top_moments.subject_kind IS 'What the subject is';
COMMENT ON COLUMN revops.top_moments.subject IS 'Whose moment it is';
COMMENT ON COLUMN revops.top_moments.person_name IS 'The person''s name, or else key';
COMMENT ON COLUMN revops.top_moments.account_name IS 'The account''s name, or else key';
COMMENT ON COLUMN revops.top_moments.strength IS 'Strength, from 0 to 1';
COMMENT ON COLUMN revops.top_moments.occurred_at IS 'When it occurred';
COMMENT ON COLUMN revops.top_moments.rep IS 'Rep who owns the card';
COMMENT ON COLUMN revops.top_moments.status IS 'Status of the card; NULL: it made none';
COMMENT ON COLUMN revops.top_moments.answered_at IS 'When the customer was answered';
COMMENT ON COLUMN revops.top_moments.response_time IS 'From the moment to the answer';
COMMENT ON COLUMN revops.top_moments.in_line IS 'Whether it was answered within the line; NULL while that can still happen';

CREATE VIEW revops.silent_high_intent AS
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
COMMENT ON VIEW revops.silent_high_intent IS 'Visitors of the last 24 hours who stayed over three minutes in their last session and left no contact: not identified, not in the CRM, no event of revops.contact_kinds';
COMMENT ON COLUMN revops.silent_high_intent.visitor IS 'The visitor''s key';
COMMENT ON COLUMN revops.silent_high_intent.account IS 'Account, where an event named one';
COMMENT ON COLUMN revops.silent_high_intent.channel IS 'Channel of the last event';
COMMENT ON COLUMN revops.silent_high_intent.started_at IS 'When the last session began: after a pause of 30 minutes';
COMMENT ON COLUMN revops.silent_high_intent.last_seen_at IS 'When its last event occurred';
COMMENT ON COLUMN revops.silent_high_intent.dwell IS 'Dwell of the session';
COMMENT ON COLUMN revops.silent_high_intent.events IS 'Events of the session';
COMMENT ON COLUMN revops.silent_high_intent.longest_object IS 'What it dwelt on longest';
COMMENT ON COLUMN revops.silent_high_intent.intent IS 'The hottest intent';
COMMENT ON COLUMN revops.silent_high_intent.score IS 'Its score';
COMMENT ON COLUMN revops.silent_high_intent.silent_for IS 'How long ago the last event was';

CREATE VIEW revops.moment_heatmap AS
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
COMMENT ON VIEW revops.moment_heatmap IS 'What the moments of the last revops.board_days days were about, by the hour of the customer''s own clock';
COMMENT ON COLUMN revops.moment_heatmap.object IS 'Object of the events that completed them';
COMMENT ON COLUMN revops.moment_heatmap.hour IS 'Hour, 0 to 23, in the zone of the person, the account or the territory, or else that of revops.time_zone or the session';
COMMENT ON COLUMN revops.moment_heatmap.moments IS 'Moments';
COMMENT ON COLUMN revops.moment_heatmap.subjects IS 'Different subjects';
COMMENT ON COLUMN revops.moment_heatmap.strength IS 'Mean strength';

CREATE VIEW revops.touchpoint_audit AS
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
COMMENT ON VIEW revops.touchpoint_audit IS 'Per channel, what came of the last revops.board_days days: how much, how much of it is tied to an account, how late, and whether it fell silent';
COMMENT ON COLUMN revops.touchpoint_audit.channel IS 'Channel';
COMMENT ON COLUMN revops.touchpoint_audit.events IS 'Events';
COMMENT ON COLUMN revops.touchpoint_audit.tied_share IS 'Share of them whose account is known, from the event or from its person';
COMMENT ON COLUMN revops.touchpoint_audit.lag_p50 IS 'Median time from occurred_at to received_at';
COMMENT ON COLUMN revops.touchpoint_audit.lag_p95 IS 'Time within which 95 of 100 came';
COMMENT ON COLUMN revops.touchpoint_audit.last_seen_at IS 'When the last one occurred';
COMMENT ON COLUMN revops.touchpoint_audit.silent IS 'Nothing for more than a day, and for longer than it ever paused in this time';
COMMENT ON COLUMN revops.touchpoint_audit.ahead IS 'Events that lay ahead of the clock: the sender''s clock is wrong';

CREATE VIEW revops.task_board WITH (security_barrier) AS
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
COMMENT ON VIEW revops.task_board IS 'Cards that wait for an answer, with who owns them and how long is left';
COMMENT ON COLUMN revops.task_board.task_id IS 'Number of the card: revops.respond(task_id) answers it';
COMMENT ON COLUMN revops.task_board.status IS 'open or claimed';
COMMENT ON COLUMN revops.task_board.title IS 'Title of the card';
COMMENT ON COLUMN revops.task_board.territory IS 'Territory';
COMMENT ON COLUMN revops.task_board.unit IS 'Unit';
COMMENT ON COLUMN revops.task_board.owner IS 'Rep who must answer; NULL: anyone of the unit';
COMMENT ON COLUMN revops.task_board.owner_name IS 'The rep''s name';
COMMENT ON COLUMN revops.task_board.person IS 'Person to reach';
COMMENT ON COLUMN revops.task_board.account IS 'Account';
COMMENT ON COLUMN revops.task_board.opportunity IS 'Opportunity';
COMMENT ON COLUMN revops.task_board.customer IS 'Name, or else key, of the person, or else of the account';
COMMENT ON COLUMN revops.task_board.account_name IS 'Name of the account';
COMMENT ON COLUMN revops.task_board.rule IS 'Rule of the moment';
COMMENT ON COLUMN revops.task_board.opened_at IS 'When the card was opened';
COMMENT ON COLUMN revops.task_board.due_at IS 'The line';
COMMENT ON COLUMN revops.task_board.seconds_left IS 'Seconds until the line; negative: it has passed';
COMMENT ON COLUMN revops.task_board.level IS 'Escalation level reached; 0: none';
COMMENT ON COLUMN revops.task_board.told IS 'Rep who was told last';
COMMENT ON COLUMN revops.task_board.next_at IS 'When the next level is due; NULL: none is left';
COMMENT ON COLUMN revops.task_board.plans IS 'Outreach plans that the card offers';
COMMENT ON COLUMN revops.task_board.best_plan IS 'Title of the first of them';

-- Schedules. pg_cron runs in one database of a cluster; everything works without it too.

CREATE FUNCTION revops.job_list(OUT job text, OUT schedule text, OUT command text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES ('revops partitions', '17 * * * *', 'SELECT revops.make_partitions()'),
           ('revops retention', '43 2 * * *', 'SELECT revops.drop_expired_partitions()'),
           ('revops models', '11 3 * * *', 'SELECT * FROM revops.calibrate_models()'),
           ('revops win probability', '7 0 * * *', 'SELECT revops.record_win_probability()'),
           ('revops people', '37 * * * *', 'SELECT revops.refresh_collaboration(), revops.refresh_profiles()'),
           ('revops suggestions', '* * * * *', 'SELECT revops.suggest_fields()'),
           ('revops process', '* * * * *', 'SELECT revops.process() WHERE NOT EXISTS (SELECT FROM revops.worker_stats() WHERE pid IS NOT NULL)')
$$;
COMMENT ON FUNCTION revops.job_list() IS 'The jobs that revops.schedule_jobs() makes: partitions ahead, retention, models kept up, the day''s win probabilities, collaboration and profiles of people, suggestions for fields, and process() where no worker runs';

CREATE FUNCTION revops.need_cron() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home      text := (SELECT s.setting FROM pg_settings s WHERE s.name = 'cron.database_name');
    preloaded boolean := EXISTS (SELECT FROM pg_settings s WHERE s.name LIKE 'cron.%');
    present   boolean := EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'pg_cron');
BEGIN
    IF home <> current_database() THEN
        RAISE EXCEPTION 'pg_cron runs in database "%", not in this one ("%")', home, current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Set cron.database_name = %L in postgresql.conf and restart; or, in database "%s", schedule each row of revops.job_list() with cron.schedule_in_database(job, schedule, command, %L).',
                                current_database(), home, current_database());
    ELSIF NOT present THEN
        RAISE EXCEPTION 'pg_cron is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Jobs are run by pg_cron. pg_revops works without it too: its workers need no schedule.',
                  HINT = CASE WHEN preloaded THEN 'Run CREATE EXTENSION pg_cron.'
                              ELSE format('Install pg_cron, add it to shared_preload_libraries, set cron.database_name = %L, restart, and run CREATE EXTENSION pg_cron. Or have any scheduler run the commands of revops.job_list().', current_database()) END;
    ELSIF NOT preloaded THEN
        RAISE EXCEPTION 'pg_cron is installed in this database, but does not run'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Add pg_cron to shared_preload_libraries and restart.';
    END IF;
END $$;
COMMENT ON FUNCTION revops.need_cron() IS 'Raises an error that says what to do, unless pg_cron runs in this database';

CREATE FUNCTION revops.schedule_jobs(OUT job text, OUT schedule text, OUT command text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j   record;
    old record;
BEGIN
    PERFORM revops.need_cron();
    -- one at a time: cron.job is unique by name and user only
    PERFORM pg_advisory_xact_lock('revops.moment_board'::regclass::oid::int, 1);
    FOR j IN SELECT * FROM revops.job_list() LOOP
        SELECT c.jobid, c.command INTO old FROM cron.job c WHERE c.jobname = j.job AND c.database = current_database() ORDER BY c.jobid LIMIT 1;
        IF NOT FOUND THEN
            PERFORM cron.schedule(j.job, j.schedule, j.command);
        ELSIF old.command <> j.command THEN
            PERFORM cron.alter_job(old.jobid, command => j.command);    -- of an older release; its times stay as somebody set them
        END IF;
    END LOOP;
    RETURN QUERY SELECT c.jobname::text, c.schedule, c.command FROM cron.job c
                 WHERE c.jobname IN (SELECT l.job FROM revops.job_list() l) AND c.database = current_database() ORDER BY 1;
END $$;
COMMENT ON FUNCTION revops.schedule_jobs() IS 'Have pg_cron make partitions ahead, drop expired ones, keep models, win probabilities, profiles and suggestions up, and run process() each minute while no worker runs. Twice changes nothing; times that somebody changed stay. Returns the jobs';

CREATE FUNCTION revops.unschedule_jobs() RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n int;
BEGIN
    PERFORM revops.need_cron();
    PERFORM pg_advisory_xact_lock('revops.moment_board'::regclass::oid::int, 1);
    SELECT count(*) FILTER (WHERE cron.unschedule(c.jobid)) INTO n
    FROM (SELECT c.jobid FROM cron.job c
          WHERE c.jobname IN (SELECT l.job FROM revops.job_list() l) AND c.database = current_database() OFFSET 0) c;
    RETURN n;
END $$;
COMMENT ON FUNCTION revops.unschedule_jobs() IS 'Take the jobs of revops.schedule_jobs() out of pg_cron, and no others; returns how many there were';
