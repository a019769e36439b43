-- task cards: playbooks, routing, plans, the line and its escalation, answers, what reps do
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET revops.as_of = '2426-06-01 09:00Z';		-- a Monday, far enough for no worker to find anything due

TRUNCATE revops.task, revops.task_plan, revops.escalation, revops.moment, revops.playbook, revops.playbook_level, revops.playbook_plan,
         revops.calendar, revops.territory, revops.unit, revops.rep, revops.account, revops.opportunity, revops.duty;
DELETE FROM revops.person;

SELECT revops.put_calendar('office', 'UTC', '{"mon-fri": "09:00-18:00"}');
INSERT INTO revops.territory (territory, name, director) VALUES ('north', 'North', 'dora'), ('south', 'South', NULL);
INSERT INTO revops.unit (unit, name, territory, coach, calendar) VALUES ('n1', 'North one', 'north', 'carl', NULL), ('s1', 'South one', 'south', NULL, 'office'), ('s2', 'South two', 'south', 'cleo', NULL);
INSERT INTO revops.rep (rep, name, unit, active) VALUES
    ('ann', 'Ann', 'n1', true), ('bob', 'Bob', 'n1', true), ('carl', 'Carl', NULL, true), ('dora', 'Dora', NULL, true), ('gone', 'Gone', 'n1', false),
    ('sam', 'Sam', 's1', true), ('sue', 'Sue', 's1', true), ('sid', 'Sid', 's1', true), ('cleo', 'Cleo', NULL, false), ('spare', 'Spare', NULL, true);
INSERT INTO revops.account (account, name, owner, territory, segment, industry, properties) VALUES
    ('acme', 'Acme', 'ann', 'north', 'enterprise', 'Bank', '{"tier": "gold"}'), ('beta', 'Beta', 'gone', 'north', 'smb', 'retail', '{}'),
    ('cora', 'Cora', NULL, 'south', NULL, 'bank', '{}'), ('dune', 'Dune', NULL, 'west', NULL, NULL, '{}');
INSERT INTO revops.person (person, account, name, title) VALUES
    ('p1', 'acme', 'Paula', 'Head of Security'), ('p2', 'beta', 'Peter', NULL), ('p3', 'cora', 'Petra', 'CFO'), ('p4', 'dune', NULL, NULL);
INSERT INTO revops.opportunity (opportunity, account, name, owner, stage) VALUES ('o1', 'acme', 'Acme 2026', 'bob', 'proposal'), ('o2', 'acme', 'Acme old', 'gone', 'lost');
INSERT INTO revops.duty (unit, territory, starts_at, ends_at) VALUES
    ('s1', 'south', '2426-06-01Z', '2426-06-08Z'), ('s2', 'south', '-infinity', 'infinity'), ('n1', 'south', '2426-05-01Z', '2426-06-01Z');

-- playbooks
SELECT revops.put_playbook('comparison', 'Call {{person}} of {{account}} about {{object}}', '[
    {"title": "Call back", "channel": "call", "message": "Hello {{person}}, you looked at {{object}}"},
    {"title": "Security pack", "channel": "email", "message": "Dear {{person}}, for {{account}}", "fits": {"title": {"like": "%security%"}, "segment": ["enterprise", "midmarket"]}},
    {"title": "Bank reference", "channel": "email", "message": "A bank like {{account}}", "fits": {"industry": "bank"}},
    {"title": "Small offer", "channel": "wecom", "message": "Special offer", "fits": {"segment": "smb"}},
    {"title": "Gold service", "channel": "visit", "message": "We come by", "fits": {"properties.tier": {"in": ["gold", "platinum"]}, "segment": {"ne": "smb"}, "industry": {"prefix": "ba"}}}]');
SELECT revops.put_playbook('slow', 'Write to {{person}}', '[{"title": "Mail", "channel": "email", "message": "Hi"}]', line => '2 hours', calendar => 'office',
    escalation => '[{"share": 0.25, "role": "coach"}, {"share": 2, "role": "director"}]');
SELECT playbook, line, calendar, (SELECT count(*) FROM revops.playbook_plan p WHERE p.playbook = b.playbook) AS plans,
       (SELECT string_agg(share || ' ' || role, ', ' ORDER BY level) FROM revops.playbook_level l WHERE l.playbook = b.playbook) AS levels
FROM revops.playbook b ORDER BY 1;
SELECT revops.put_playbook('x', 'T', '[]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call"}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m", "body": "b"}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": 1}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "Hello {{name}}"}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m", "fits": {"colour": "red"}}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m", "fits": {"segment": {"near": "smb"}}}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m"}]', line => '1 month');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m"}]', calendar => 'nope');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m"}]', escalation => '[{"share": 0.8, "role": "owner"}, {"share": 0.5, "role": "coach"}]');
SELECT revops.put_playbook('x', 'T', '[{"title": "a", "channel": "call", "message": "m"}]', escalation => '[{"share": 0.8, "role": "boss"}]');

-- moments, numbered
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
CREATE FUNCTION pg_temp.moment(n int, person text, account text DEFAULT NULL, opportunity text DEFAULT NULL, playbook text DEFAULT 'comparison',
                               occurred_at timestamptz DEFAULT revops.now(), kind revops.subject_kind DEFAULT 'person') RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO revops.moment (moment_id, rule, version, subject_kind, subject, person, account, opportunity, occurred_at, detected_at, strength, channel, object, evidence, playbook)
    VALUES (pg_temp.id(n), 'compares', 1, kind, CASE kind WHEN 'person' THEN person WHEN 'account' THEN account ELSE opportunity END,
            person, account, opportunity, occurred_at, revops.now(), 0.8, 'web', '/compare', '{}', playbook) RETURNING moment_id $$;
CREATE FUNCTION pg_temp.card(n int) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT task_id FROM revops.task WHERE moment_id = pg_temp.id(n) $$;
CREATE FUNCTION pg_temp.answer(rep text, person text, account text, opportunity text, at timestamptz, n int, lane int DEFAULT NULL, lanes int DEFAULT NULL) RETURNS int LANGUAGE sql AS $$
    SELECT revops.answer_tasks(lane, lanes, ARRAY[rep], ARRAY[person], ARRAY[account], ARRAY[opportunity], ARRAY[at], ARRAY[pg_temp.id(n)]) $$;

-- routing: account's owner, opportunity's owner, owner gone and nobody on duty, unit on duty, no territory known, no playbook, unknown playbook, too old
SELECT revops.open_tasks(ARRAY[
    pg_temp.moment(1, 'p1', 'acme'), pg_temp.moment(2, 'p1', 'acme', 'o1'), pg_temp.moment(3, 'p1', 'acme', 'o2', kind => 'opportunity'),
    pg_temp.moment(4, 'p2', 'beta'), pg_temp.moment(5, 'p3'), pg_temp.moment(6, 'p4', 'dune'),
    pg_temp.moment(7, 'p1', 'acme', playbook => NULL), pg_temp.moment(8, 'p1', 'acme', playbook => 'unknown'), pg_temp.moment(9, 'p1', 'acme', occurred_at => '2426-05-31 08:59Z'),
    pg_temp.moment(10, 'p1', 'acme', playbook => 'slow', kind => 'account')]);
SELECT revops.open_tasks(ARRAY(SELECT moment_id FROM revops.moment)) AS again;
SELECT m.moment_id, t.title, CASE WHEN m.owner IN ('sam', 'sue', 'sid') THEN 'one of s1' ELSE m.owner END AS moment_owner, t.owner IS NOT DISTINCT FROM m.owner AS same, t.unit, t.territory, t.account, t.due_at
FROM revops.moment m LEFT JOIN revops.task t USING (moment_id) ORDER BY 1;
SELECT t.moment_id, p.rank, p.plan, p.channel, p.message, round(p.score::numeric, 3) AS score, p.reason
FROM revops.task t JOIN revops.task_plan p USING (subject, task_id) WHERE t.moment_id IN (pg_temp.id(1), pg_temp.id(4), pg_temp.id(6)) ORDER BY 1, 2;
SELECT jsonb_pretty(context) FROM revops.task WHERE moment_id = pg_temp.id(2);
-- the card knows the hottest intents and the last of the events that made the moment
BEGIN;
INSERT INTO revops.intent (intent, half_life) SELECT i, '1 day' FROM unnest('{price,security,trial,churn}'::text[]) i;
INSERT INTO revops.intent_state (subject_kind, subject, intent, rank, events, last_at)
SELECT 'person', 'p4', i, log(2, n) + extract(epoch FROM revops.now() - '2000-01-01Z') / 86400, 1, revops.now()
FROM unnest('{price,security,trial,churn}'::text[]) WITH ORDINALITY i (i, n);
INSERT INTO revops.event (event_id, person, kind, object, channel, occurred_at, dwell)
SELECT pg_temp.id(i), 'v1', 'page_view', '/page' || i, 'web', revops.now() - (5 - i) * interval '1 minute', '95 seconds' FROM generate_series(1, 4) i;
SELECT pg_temp.moment(13, 'p4', 'dune') IS NOT NULL AS m;
UPDATE revops.moment SET evidence = ARRAY(SELECT pg_temp.id(i) FROM generate_series(1, 4) i) WHERE moment_id = pg_temp.id(13);
SELECT revops.open_tasks(ARRAY[pg_temp.id(13)]);
SELECT context -> 'intents' AS intents, jsonb_path_query_array(context, '$.touches[*].object') AS touches, context -> 'touches' -> 0 AS last
FROM revops.task WHERE moment_id = pg_temp.id(13);
ROLLBACK;
-- the fallback rep, and none who is not there any more
SET revops.fallback_rep = 'spare';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(11, 'p4', 'dune')]);
SET revops.fallback_rep = 'cleo';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(12, 'p4', 'dune')]);
RESET revops.fallback_rep;
SELECT moment_id, owner, unit FROM revops.task WHERE moment_id IN (pg_temp.id(11), pg_temp.id(12)) ORDER BY 1;
-- the unit on duty shares the load, also within one call, and capacity is respected
UPDATE revops.rep SET capacity = 3 WHERE rep = 'sue';
SELECT revops.open_tasks(ARRAY(SELECT pg_temp.moment(100 + i, 'p3', 'cora') FROM generate_series(1, 12) i));
SELECT count(*) AS cards, max(n) AS most, min(n) AS least, max(n) FILTER (WHERE owner = 'sue') AS sue
FROM (SELECT owner, count(*) AS n FROM revops.task WHERE unit = 's1' GROUP BY 1) x, LATERAL generate_series(1, n) y;
-- nobody who is away gets one, nor a unit all of which is
BEGIN;
INSERT INTO revops.absence (rep, starts_at, ends_at) VALUES ('sid', revops.now() - interval '1 day', revops.now() + interval '1 day'), ('sam', revops.now() - interval '2 days', revops.now()),
    ('sue', revops.now() + interval '1 second', 'infinity');
UPDATE revops.rep SET capacity = 100 WHERE unit = 's1';
SELECT revops.open_tasks(ARRAY(SELECT pg_temp.moment(130 + i, 'p3', 'cora') FROM generate_series(1, 9) i));
SELECT count(*), count(*) FILTER (WHERE owner IN ('sam', 'sue')) AS there FROM revops.task WHERE moment_id IN (SELECT pg_temp.id(130 + i) FROM generate_series(1, 9) i);
INSERT INTO revops.absence (rep) SELECT rep FROM revops.rep WHERE unit = 's1' AND rep <> 'sid';
SET LOCAL revops.fallback_rep = 'sue';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(140, 'p3', 'cora')]);
SET LOCAL revops.fallback_rep = 'spare';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(141, 'p3', 'cora')]);
SELECT moment_id, owner, unit FROM revops.task WHERE moment_id IN (pg_temp.id(140), pg_temp.id(141)) ORDER BY 1;
ROLLBACK;
-- everybody is full: unowned, but the unit's
UPDATE revops.rep SET capacity = 1 WHERE unit = 's1';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(120, 'p3', 'cora')]);
SELECT owner, unit FROM revops.task WHERE moment_id = pg_temp.id(120);

-- escalation: due levels fire in order, each once, told the rep who holds the role, or the next one up
SELECT revops.next_escalation_at();
SET revops.as_of = '2426-06-01 09:07:29Z';
SELECT revops.escalate_due();
SET revops.as_of = '2426-06-01 09:07:30Z';
SELECT revops.escalate_due() > 0 AS some, revops.escalate_due() AS again;
SELECT t.moment_id, e.level, e.role, e.told FROM revops.escalation e JOIN revops.task t USING (subject, task_id)
WHERE e.fired_at IS NOT NULL AND t.moment_id IN (pg_temp.id(1), pg_temp.id(6), pg_temp.id(11)) ORDER BY 1, 2;
-- card 1 is answered: it stops; the server was down and catches up on the rest
SET revops.as_of = '2426-06-01 09:10Z';
SELECT revops.respond(pg_temp.card(1), 2, 'sent it') AS in_line;
SET revops.as_of = '2426-06-01 15:00Z';
SELECT revops.escalate_due() > 0 AS some, revops.escalate_due() AS again;
SELECT t.moment_id, e.level, e.role, e.due_at, e.fired_at, e.told, e.stopped_at FROM revops.escalation e JOIN revops.task t USING (subject, task_id)
WHERE t.moment_id IN (pg_temp.id(1), pg_temp.id(2), pg_temp.id(6), pg_temp.id(10)) ORDER BY 1, 2;
SELECT revops.next_escalation_at();
-- by lanes: each level belongs to one
SELECT revops.open_tasks(ARRAY(SELECT pg_temp.moment(200 + i, 'q' || i, 'acme') FROM generate_series(1, 20) i));
SET revops.as_of = '2426-06-01 15:30Z';
SELECT sum(n) FROM (SELECT revops.escalate_due(i, 4) AS n FROM generate_series(0, 3) i) x;
SELECT revops.escalate_due();

-- answers: of the wrong rep, before the moment, right, later, earlier but late, of another lane
SELECT revops.open_tasks(ARRAY[pg_temp.moment(21, 'p1', 'acme'), pg_temp.moment(22, 'p1', 'acme', kind => 'account'), pg_temp.moment(23, 'p1', 'acme', 'o1', kind => 'opportunity')]);
SET revops.as_of = '2426-06-01 15:50Z';
SELECT pg_temp.answer('sam', 'p1', 'acme', NULL, '2426-06-01 15:40Z', 900) AS wrong_rep,
       pg_temp.answer(NULL, 'p1', 'acme', NULL, '2426-06-01 15:40Z', 901) AS no_rep,
       pg_temp.answer('ann', 'p9', 'none', NULL, '2426-06-01 15:40Z', 902) AS other_customer;
SELECT pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-01 15:29Z', 903) AS before_it;	-- answers none of these, but the older card of the account
SELECT pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-01 15:46Z', 904) AS answers;
SELECT moment_id, status, answered_at, answered_by, answered_by_event FROM revops.task WHERE moment_id IN (pg_temp.id(10), pg_temp.id(21), pg_temp.id(22), pg_temp.id(23)) ORDER BY 1;
SELECT pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-01 15:48Z', 905) AS later,
       pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-01 15:46Z', 904) AS same_again;
SELECT pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-01 15:40Z', 906) AS earlier;
SELECT sum(pg_temp.answer('bob', NULL, NULL, 'o1', '2426-06-01 15:41Z', 907, i, 3)) AS one_lane FROM generate_series(0, 2) i;
SELECT moment_id, status, answered_at, answered_by, answered_by_event FROM revops.task WHERE moment_id IN (pg_temp.id(21), pg_temp.id(22), pg_temp.id(23)) ORDER BY 1;
SELECT count(*) AS waiting FROM revops.escalation JOIN revops.task t USING (subject, task_id) WHERE moment_id IN (pg_temp.id(21), pg_temp.id(22), pg_temp.id(23)) AND fired_at IS NULL AND escalation.stopped_at IS NULL;
-- the coach who was told may answer
SET revops.as_of = '2426-06-01 16:00Z';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(24, 'p1', 'acme')]);
SELECT pg_temp.answer('carl', 'p1', 'acme', NULL, '2426-06-01 16:12Z', 908) AS not_told;
SET revops.as_of = '2426-06-01 16:12Z';
SELECT revops.escalate_due();
SELECT pg_temp.answer('carl', 'p1', 'acme', NULL, '2426-06-01 16:12Z', 908) AS told;

-- retracted, and back
SELECT revops.open_tasks(ARRAY[pg_temp.moment(25, 'p1', 'acme')]);
UPDATE revops.moment SET retracted_at = revops.now() WHERE moment_id IN (pg_temp.id(24), pg_temp.id(25));
SELECT revops.cancel_tasks(ARRAY[pg_temp.id(24), pg_temp.id(25)]), revops.open_tasks(ARRAY[pg_temp.id(24), pg_temp.id(25)]);
SELECT moment_id, status FROM revops.task WHERE moment_id IN (pg_temp.id(24), pg_temp.id(25)) ORDER BY 1;
UPDATE revops.moment SET retracted_at = NULL WHERE moment_id = pg_temp.id(25);
SELECT revops.open_tasks(ARRAY[pg_temp.id(25)]);
SELECT status, (SELECT count(*) FROM revops.escalation e WHERE e.task_id = t.task_id AND e.stopped_at IS NULL) AS waiting FROM revops.task t WHERE moment_id = pg_temp.id(25);

-- business time: a card of Friday evening is due on Monday
DELETE FROM revops.task;
DELETE FROM revops.escalation;
DELETE FROM revops.task_plan;
DELETE FROM revops.moment;
ALTER SEQUENCE revops.task_id_seq RESTART;
UPDATE revops.rep SET capacity = NULL;
SET revops.as_of = '2426-06-05 17:50Z';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(1, 'p3', 'cora'), pg_temp.moment(2, 'p1', 'acme')]);
SELECT t.calendar, t.due_at, array_agg(e.due_at ORDER BY e.level) AS levels FROM revops.task t JOIN revops.escalation e USING (subject, task_id) GROUP BY 1, 2 ORDER BY 1;

-- claims: own cards and the unit's, the soonest due first
SET revops.as_of = '2426-06-05 17:55Z';
UPDATE revops.rep SET capacity = 0 WHERE unit = 's1';
SELECT revops.open_tasks(ARRAY(SELECT pg_temp.moment(30 + i, 'p3', 'cora', playbook => CASE WHEN i = 2 THEN 'slow' ELSE 'comparison' END) FROM generate_series(1, 3) i));
SELECT moment_id, status, claimed_by, owner, unit FROM revops.claim_tasks('ann', 5);
SELECT moment_id, due_at, owner, unit FROM revops.claim_tasks(CASE (SELECT owner FROM revops.task WHERE moment_id = pg_temp.id(1)) WHEN 'sam' THEN 'sue' ELSE 'sam' END, 2);
SELECT count(*) FROM revops.claim_tasks('bob', 2);
SELECT revops.claim_tasks('nobody');
SELECT revops.claim_tasks('gone');
SELECT revops.claim_tasks('ann', 0);

-- respond and complete
SELECT revops.respond(pg_temp.card(2), 9);
SELECT revops.complete(pg_temp.card(2), 'won');
SELECT revops.respond(pg_temp.card(2), 1, 'called');
SELECT revops.respond(2, 1);
SELECT revops.complete(2, '');
SELECT revops.complete(2, 'meeting booked');
SELECT revops.complete(2, 'meeting booked');
SELECT revops.respond(2);
SELECT revops.respond(999);
SELECT revops.complete(999, 'x');
SELECT status, claimed_by, answered_by, answered_at, answered_by_event, plan, note, outcome, completed_at FROM revops.task WHERE task_id = 2;
-- an event that comes late and is earlier moves the answer of a completed card, too, but not its status
SELECT pg_temp.answer('ann', 'p1', 'acme', NULL, '2426-06-05 17:52Z', 910);
SELECT status, answered_at, answered_by_event, plan FROM revops.task WHERE task_id = 2;
-- answered by an event first, which also reaches the card of the unit that nobody owns: respond() adds the plan and the note
SELECT pg_temp.answer(claimed_by, 'p3', 'cora', NULL, '2426-06-05 17:59Z', 911) FROM revops.task WHERE moment_id = pg_temp.id(31);
SET revops.as_of = '2426-06-08 12:00Z';
SELECT revops.respond(pg_temp.card(31), 1, 'by phone') AS in_line;
SELECT status, answered_at, plan, note FROM revops.task WHERE moment_id = pg_temp.id(31);
SELECT revops.open_tasks(ARRAY[pg_temp.moment(34, 'p1', 'acme')]);
UPDATE revops.moment SET retracted_at = revops.now() WHERE moment_id IN (pg_temp.id(33), pg_temp.id(34));
SELECT revops.cancel_tasks(ARRAY[pg_temp.id(33), pg_temp.id(34)]);
SELECT revops.respond(pg_temp.card(34));
SELECT revops.complete(pg_temp.card(34), 'x');

-- the last contact is part of the next card
SELECT revops.open_tasks(ARRAY[pg_temp.moment(40, 'p1', 'acme')]);
SELECT context -> 'last_contact' AS last_contact FROM revops.task WHERE moment_id = pg_temp.id(40);

-- a calendar that cannot be used never stops the stream; settings are checked
UPDATE revops.unit SET calendar = 'nowhere' WHERE unit = 'n1';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(41, 'p1', 'acme')]);
SELECT due_at - opened_at AS line FROM revops.task WHERE moment_id = pg_temp.id(41);
SET revops.task_max_age = 'a while';
SET revops.task_max_age = '1 hour';
SELECT revops.open_tasks(ARRAY[pg_temp.moment(42, 'p1', 'acme', occurred_at => '2426-06-08 10:59Z')]) AS too_old,
       revops.open_tasks(ARRAY[pg_temp.moment(43, 'p1', 'acme', occurred_at => '2426-06-08 11:00Z')]) AS young;
SELECT revops.open_tasks('{}'), revops.open_tasks(NULL), revops.cancel_tasks(NULL), revops.answer_tasks(0, 1, '{}', '{}', '{}', '{}', '{}', '{}');

TRUNCATE revops.task, revops.task_plan, revops.escalation, revops.moment, revops.playbook, revops.playbook_level, revops.playbook_plan,
         revops.calendar, revops.territory, revops.unit, revops.rep, revops.account, revops.opportunity, revops.duty;
DELETE FROM revops.person;
