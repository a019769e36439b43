-- boards: what counts and what does not
-- In one transaction, undone at the end: no worker sees these rows, and what other tests left is out of the way.
\set ON_ERROR_ROLLBACK on
SET TimeZone = 'UTC';
BEGIN;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{event,moment,task,task_plan,escalation,opportunity,person,account,rep,unit,territory,intent_state}'::text[] LOOP
        EXECUTE 'DELETE FROM revops.' || t;
    END LOOP;
END $$;
SET revops.as_of = '2026-03-10 04:00+00';

INSERT INTO revops.territory (territory, name, time_zone) VALUES ('east', '华东', 'Asia/Shanghai'), ('west', 'West', 'America/Los_Angeles'), ('odd', 'Odd', 'Mars/Base');
INSERT INTO revops.unit (unit, name, territory) VALUES ('e1', '东一', 'east'), ('w1', 'West one', 'west');
INSERT INTO revops.rep (rep, name, unit) VALUES ('li', '李娜', 'e1'), ('wang', '王强', 'e1'), ('ann', 'Ann', 'w1');
INSERT INTO revops.account (account, name, owner, territory, time_zone) VALUES
    ('a1', '晨光制造', 'li', 'east', NULL), ('a2', 'Bluebird', 'ann', 'west', 'America/New_York'), ('a3', 'Nowhere', NULL, 'odd', 'Nowhere/Land');
INSERT INTO revops.person (person, account, name) VALUES ('p1', 'a1', '张伟'), ('p2', 'a2', 'Pat'), ('p3', 'a3', 'Odd One');
INSERT INTO revops.person (person, identity) VALUES ('v1', 'p1');

-- A moment, and its card where a unit is given.
CREATE FUNCTION pg_temp.moment(n int, person text, account text, at timestamptz, strength float8, rep text DEFAULT NULL, unit text DEFAULT NULL,
    answered timestamptz DEFAULT NULL, retracted timestamptz DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO revops.moment (moment_id, rule, version, subject_kind, subject, person, account, owner, occurred_at, detected_at, strength,
                               channel, object, evidence, playbook, retracted_at)
    VALUES (lpad(n::text, 32, '0')::uuid, 'r', 1, 'person', person, person, account, rep, at, at, strength, 'web', '/o' || n % 2, '{}', 'b', retracted);
    INSERT INTO revops.task (task_id, subject_kind, subject, moment_id, rule, playbook, title, person, account, owner, unit, territory,
                             moment_at, opened_at, due_at, line, status, answered_at, answered_by)
    SELECT n, 'person', person, lpad(n::text, 32, '0')::uuid, 'r', 'b', 'Call', person, account, rep, unit,
           (SELECT a.territory FROM revops.account a WHERE a.account = moment.account),
           at, at, at + '15 minutes', '15 minutes', CASE WHEN answered IS NULL THEN 'open' ELSE 'answered' END, answered, CASE WHEN answered IS NOT NULL THEN rep END
    WHERE unit IS NOT NULL
$$;
SELECT n, pg_temp.moment(n, person, account, at::timestamptz, strength, rep, unit, answered::timestamptz, retracted::timestamptz) IS NULL FROM (VALUES
    -- mature: answered in line, to the second; late; never
    (1, 'p1', 'a1', '2026-03-05 02:00+00', 0.9, 'li', 'e1', '2026-03-05 02:15+00', NULL),
    (2, 'p1', 'a1', '2026-03-01 02:00+00', 0.8, 'li', 'e1', '2026-03-01 02:16+00', NULL),
    (3, 'p1', 'a1', '2026-02-20 02:00+00', 0.7, 'wang', 'e1', NULL, NULL),
    -- immature; the last two's line has not passed yet
    (4, 'p1', 'a1', '2026-03-09 10:00+00', 0.6, 'li', 'e1', '2026-03-09 10:05+00', NULL),
    (5, 'p2', 'a2', '2026-03-10 03:50+00', 0.5, 'ann', 'w1', '2026-03-10 03:55+00', NULL),
    (6, 'p2', 'a2', '2026-03-10 03:55+00', 0.4, 'ann', 'w1', NULL, NULL),
    -- without a card; retracted; ahead of the clock; too old
    (7, 'p3', 'a3', '2026-03-09 12:00+00', 0.3, NULL, NULL, NULL, NULL),
    (8, 'p1', 'a1', '2026-03-09 11:00+00', 1.0, 'li', 'e1', NULL, '2026-03-09 12:00+00'),
    (9, 'p1', 'a1', '2026-03-10 04:01+00', 1.0, 'li', 'e1', NULL, NULL),
    (10, 'p1', 'a1', '2026-02-08 03:59+00', 1.0, 'li', 'e1', NULL, NULL),
    -- yesterday of the west is not yesterday of the east
    (11, 'p2', 'a2', '2026-03-09 06:59+00', 0.2, 'ann', 'w1', '2026-03-09 07:04+00', NULL),
    (12, 'p2', 'a2', '2026-03-08 07:00+00', 0.2, NULL, NULL, NULL, NULL)) x (n, person, account, at, strength, rep, unit, answered, retracted);

-- what counts as bought: 72 hours to the second, whoever of the account it was
INSERT INTO revops.opportunity (opportunity, account, status, closed_at) VALUES
    ('won', 'a1', 'won', '2026-03-08 02:00+00'),          -- 72 hours after 1
    ('lost', 'a1', 'lost', '2026-03-02 00:00+00'),
    ('won later', 'a1', 'won', '2026-03-04 02:00:00.001+00'),  -- over 72 hours after 2
    ('won ahead', 'a2', 'won', '2026-03-10 04:30+00');
INSERT INTO revops.event (occurred_at, person, account, side, kind) VALUES
    ('2026-02-21 00:00+00', 'v1', NULL, 'customer', 'order'),    -- after 3, by a visitor who is p1
    ('2026-03-09 20:00+00', NULL, 'a1', 'system', 'contract_signed'),
    ('2026-03-10 03:58+00', 'p2', NULL, 'customer', 'signed_by_hand');

SELECT right(moment_id::text, 2) AS n, territory, unit, rep, status, in_line, response_time, converted_at, mature FROM revops.moment_outcome ORDER BY 1;
SELECT level, territory, unit, rep, moments, cards, open_cards, due, answered_in_line AS in_line, response_rate, median_response_time,
       mature, converted, conversion_rate, immature, immature_converted
FROM revops.moment_board ORDER BY territory, array_position('{territory,unit,rep}', level), unit, rep;

-- another notion of buying, and of how far back
SET revops.conversion_kinds = 'signed_by_hand , contract_signed';
SET revops.board_days = 3;
SELECT level, territory, moments, converted, immature_converted FROM revops.moment_board WHERE level = 'territory' ORDER BY territory;
RESET revops.conversion_kinds;
RESET revops.board_days;
SET revops.board_days = 0;

-- the past, as it was
SET revops.as_of = '2026-03-05 02:05+00';
SELECT level, territory, unit, rep, moments, cards, due, mature, converted, immature FROM revops.moment_board WHERE level = 'rep' ORDER BY rep;
SET revops.as_of = '2026-03-10 04:00+00';

SELECT territory, day, rank, right(moment_id::text, 2) AS n, person_name, account_name, strength, response_time, in_line FROM revops.top_moments ORDER BY territory, rank;
SELECT object, hour, moments, subjects, round(strength::numeric, 3) AS strength FROM revops.moment_heatmap ORDER BY object, hour;

-- who stayed and left nothing
INSERT INTO revops.event (occurred_at, person, kind, object, dwell, side) VALUES
    ('2026-03-10 03:00+00', 'stayed', 'page_view', '/pricing', '2 minutes', 'customer'),
    ('2026-03-10 03:10+00', 'stayed', 'page_view', '/compare', '61 seconds', 'customer'),
    ('2026-03-10 03:00+00', 'three minutes', 'page_view', '/pricing', '3 minutes', 'customer'),
    ('2026-03-10 01:00+00', 'two sessions', 'page_view', '/pricing', '10 minutes', 'customer'),
    ('2026-03-10 03:00+00', 'two sessions', 'page_view', '/pricing', '1 minute', 'customer'),
    ('2026-03-10 02:00+00', 'long read', 'page_view', '/guide', '50 minutes', 'customer'),
    ('2026-03-10 03:15+00', 'long read', 'page_view', '/compare', '1 minute', 'customer'),
    ('2026-03-10 03:00+00', 'form', 'page_view', '/pricing', '10 minutes', 'customer'),
    ('2026-03-01 03:00+00', 'form', 'form_submit', '/contact', NULL, 'customer'),
    ('2026-03-10 03:00+00', 'v1', 'page_view', '/pricing', '10 minutes', 'customer'),
    ('2026-03-10 03:00+00', 'p2', 'page_view', '/pricing', '10 minutes', 'customer'),
    ('2026-03-09 03:00+00', 'yesterday', 'page_view', '/pricing', '10 minutes', 'customer'),
    ('2026-03-10 03:00+00', 'seller', 'page_view', '/pricing', '10 minutes', 'rep');
SELECT visitor, channel, started_at, last_seen_at, dwell, events, longest_object, silent_for FROM revops.silent_high_intent ORDER BY visitor;

-- channels: whose account is known, how late, which fell silent
INSERT INTO revops.event (occurred_at, received_at, person, account, channel, kind, side)
SELECT t, t + make_interval(secs => n), CASE n % 4 WHEN 0 THEN 'v1' WHEN 1 THEN 'p2' WHEN 2 THEN 'nobody' END, CASE WHEN n % 4 = 3 THEN 'a1' END, 'call', 'call', 'rep'
FROM generate_series(1, 100) n, LATERAL (SELECT timestamptz '2026-03-10 03:00+00' - n * interval '1 hour') x (t);
INSERT INTO revops.event (occurred_at, received_at, channel, kind)
SELECT timestamptz '2026-03-09 03:59+00' - n * interval '1 hour', timestamptz '2026-03-09 04:00+00', 'app', 'page_view' FROM generate_series(0, 9) n
UNION ALL SELECT timestamptz '2026-03-07 00:00+00' - n * interval '7 days', '2026-03-07 00:00+00', 'visit', 'visit' FROM generate_series(0, 2) n;
INSERT INTO revops.event (occurred_at, channel, kind) VALUES ('2026-03-10 05:00+00', 'crm', 'note');
SELECT * FROM revops.touchpoint_audit ORDER BY channel;

-- cards that wait
INSERT INTO revops.escalation (subject_kind, subject, task_id, level, share, role, due_at, fired_at, told) VALUES
    ('person', 'p2', 6, 1, 0.5, 'owner', '2026-03-10 04:02:30+00', '2026-03-10 04:02:30+00', 'ann'),
    ('person', 'p2', 6, 2, 0.8, 'coach', '2026-03-10 04:07+00', NULL, NULL);
INSERT INTO revops.task_plan (subject, task_id, rank, plan, title, channel, message, score, reason) VALUES
    ('p2', 6, 1, 3, 'Call back', 'call', 'Hello', 0.5, '-'), ('p2', 6, 2, 1, 'Write', 'email', 'Hello', 0, '-');
SELECT task_id, status, territory, unit, owner_name, customer, account_name, seconds_left, level, told, next_at, plans, best_plan
FROM revops.task_board ORDER BY task_id;

SELECT revops.local_time('2026-03-29 01:30+00', z) FROM unnest(ARRAY['Europe/London', 'Asia/Shanghai', 'Mars/Base', '', repeat('x', 300)]) z;
SELECT revops.local_time('infinity', 'UTC'), revops.local_time('294276-12-31 23:00+00', 'Asia/Shanghai');

ROLLBACK;
RESET revops.as_of;
