-- people, substitution, stand-ins and proposals
SET timezone = 'UTC';
SET revops.as_of = '2426-03-02 09:00Z';
SET client_min_messages = warning;
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
-- what was done together is counted once, however it is cut
INSERT INTO revops.person (person, account) VALUES ('pa', 'ann1');
INSERT INTO revops.event (kind, side, channel, rep, account, person, occurred_at) VALUES
    ('call', 'rep', 'call', 'ann', 'ann1', NULL, '2426-02-24 10:00Z'), ('call', 'rep', 'call', 'cai', NULL, 'pa', '2426-02-25 10:00Z'),
    ('call', 'rep', 'call', 'dan', 'ann1', NULL, '2426-01-06 10:00Z'), ('call', 'customer', 'call', 'fei', 'ann1', NULL, '2426-02-25 10:00Z');
SELECT revops.refresh_collaboration() >= 3 AS weeks, revops.refresh_collaboration() AS again;
INSERT INTO revops.event (kind, side, channel, rep, account, occurred_at) VALUES ('call', 'rep', 'call', 'dan', 'ann1', '2426-02-26 10:00Z'), ('mail', 'rep', 'email', 'cai', 'ann1', '2426-02-27 10:00Z');
SELECT revops.refresh_collaboration() AS weeks;
SELECT account, rep, weeks, last_week, round(revops.decayed(rank, '90 days', revops.now())::numeric, 6) AS points FROM revops.service WHERE account = 'ann1' ORDER BY 1, 2;
SELECT rep, other, weeks, round(revops.decayed(rank, '90 days', revops.now())::numeric, 6) AS points FROM revops.collaboration WHERE rep IN ('ann', 'cai', 'dan') ORDER BY 1, 2;
CREATE TEMP TABLE before AS SELECT rep, other, weeks, round(rank::numeric, 8) AS rank FROM revops.collaboration WHERE rep IN ('ann', 'cai', 'dan');
SELECT revops.refresh_collaboration('45 days') >= 4 AS anew;
SELECT rep, other, weeks, round(revops.decayed(rank, '45 days', revops.now())::numeric, 6) AS points FROM revops.collaboration WHERE rep IN ('ann', 'cai', 'dan') ORDER BY 1, 2;
SELECT revops.refresh_collaboration('90 days') >= 4 AS back;
SELECT count(*) AS differ FROM (SELECT rep, other, weeks, round(rank::numeric, 8) FROM revops.collaboration WHERE rep IN ('ann', 'cai', 'dan') EXCEPT SELECT * FROM before) x;
SELECT revops.refresh_collaboration('1 hour');

-- the parts of an aggregate, called by hand
SELECT revops.profile_result(revops.profile_add(NULL, NULL, 0)) IS NULL AS empty, revops.profile_merge(NULL, NULL) IS NULL AS nothing,
       length(revops.profile_merge(NULL, revops.profile_add(NULL, NULL, 1))) > 0 AS merged;
SELECT revops.profile_add('\x00', NULL, 1);
SELECT revops.profile_merge(NULL, '\x00');

-- the rest in one transaction, undone at the end: no worker sees these rows, and what other tests left is out of the way
BEGIN;
CREATE SCHEMA units_;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{rep,unit,territory,account,opportunity,duty,rep_skill,account_need,skill,absence,permission,account_profile,rep_profile,unit_profile,moment,task,proposal,substitution,substitution_item}'::text[] LOOP
        EXECUTE 'DELETE FROM revops.' || t;
    END LOOP;
END $$;
INSERT INTO revops.territory (territory, name) VALUES ('east', 'East'), ('west', 'West'), ('void', 'Nobody works here');
INSERT INTO revops.unit (unit, name, territory) VALUES ('e1', 'East 1', 'east'), ('e2', 'East 2', 'east'), ('w1', 'West 1', 'west'), ('empty', 'Nobody', NULL), ('idle', 'Idle', NULL);
INSERT INTO revops.rep (rep, name, unit, max_accounts, languages) VALUES
    ('ann', 'Ann', 'e1', 10, '{zh}'), ('bob', 'Bob', 'e1', 10, '{zh,en}'),
    ('cai', 'Cai', 'e2', 10, '{zh}'), ('dan', 'Dan', 'e2', 10, '{zh,en}'),
    ('eva', 'Eva', 'w1', 10, '{zh,en}'), ('fei', 'Fei', 'w1', 10, '{zh}'), ('gao', 'Gao', 'w1', 10, '{zh}'), ('idler', 'I', 'idle', NULL, NULL);
INSERT INTO revops.account (account, name, owner, territory, industry, segment)
SELECT r.rep || i, r.rep || i, r.rep, CASE WHEN r.unit = 'w1' THEN 'west' ELSE 'east' END, CASE WHEN r.rep IN ('ann', 'bob', 'cai', 'eva') THEN 'bank' ELSE 'auto' END, 'large'
FROM revops.rep r, generate_series(1, 4) i WHERE r.unit <> 'idle';
INSERT INTO revops.skill (skill, dimension, intents) VALUES ('banking', 'industry_knowledge', '{price}'), ('sql', 'technical_understanding', NULL), ('port', 'local_resources', NULL);
INSERT INTO revops.rep_skill VALUES ('ann', 'banking', 4), ('cai', 'banking', 3), ('eva', 'banking', 5), ('dan', 'sql', 2), ('fei', 'sql', 4);
INSERT INTO revops.account_need VALUES ('ann1', 'banking', 3, true, 1), ('ann2', 'sql', 2, true, 1), ('ann3', 'port', 1, false, 1);
INSERT INTO revops.opportunity (opportunity, account, owner, amount, stage) VALUES ('d1', 'ann1', 'ann', 1000, 'x'), ('d2', 'ann2', 'ann', 500, 'x'), ('d3', 'cai1', 'cai', 10, 'x');
SELECT revops.refresh_profiles() > 0 AS filled, revops.refresh_profiles() AS again;

-- permissions: owner and unit, grants, and deny wins
SELECT rep, revops.may(rep, 'read', 'ann1') AS read, revops.may(rep, 'write', 'ann1') AS write, revops.may(rep, 'own', 'ann1') AS own FROM revops.rep ORDER BY 1;
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, until, deny) VALUES
    ('rep', 'cai', 'write', 'account', 'ann1', 'infinity', false), ('unit', 'w1', 'read', 'territory', 'east', 'infinity', false),
    ('rep', 'fei', 'read', 'industry', 'bank', 'infinity', true), ('rep', 'dan', 'read', 'all', NULL, '2426-03-01', false), ('rep', 'gao', 'own', 'all', NULL, 'infinity', true);
SELECT rep, revops.may(rep, 'read', 'ann1') AS read, revops.may(rep, 'write', 'ann1') AS write, revops.may(rep, 'own', 'ann1') AS own FROM revops.rep ORDER BY 1;
SELECT revops.may('ann', 'fly', 'ann1'), revops.may('nobody', 'read', 'ann1'), revops.may('ann', 'read', 'nothing');
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind) VALUES ('rep', 'ann', 'read', 'account');

-- the map of capabilities
SELECT scope_kind, scope, dimension, demand, round(supply::numeric, 2) AS supply, round(gap::numeric, 2) AS gap, round(surplus::numeric, 2) AS surplus, can_lose, sole_holders, missing
FROM revops.capability_map WHERE scope IN ('e1', 'east') ORDER BY 1, 2, 3;

-- hours of two calendars
SELECT revops.hours_overlap('UTC', '{540,1020}', 'UTC', '{780,1260}', revops.now()) AS half, revops.hours_overlap(NULL, NULL, 'UTC', '{0,5040}', revops.now()) AS of_all,
       revops.hours_overlap('Asia/Shanghai', '{540,1020}', 'Europe/Berlin', '{540,1020}', revops.now()) AS far, revops.hours_overlap('Pacific/Auckland', '{0,1440}', 'UTC', '{9000,10080}', revops.now()) AS monday_begins_on_sunday;

-- substitutes: gao may not own; nobody is in two plans
SELECT rank, unit, members, round(score::numeric, 4) AS score, round(customer_similarity::numeric, 4) AS similarity, round(collaboration::numeric, 4) AS collaboration,
       round(skill_match::numeric, 4) AS skill, room, customers, served_before, missing, exact
FROM revops.substitute_units('e1', size => 2);
SELECT reasons FROM revops.substitute_units('e1', 1, 2);
SELECT rank, unit, members FROM revops.substitute_units('east', 1);
INSERT INTO revops.absence (rep, ends_at) VALUES ('cai', '2426-03-03');
SELECT rank, unit, members, missing FROM revops.substitute_units('e1', 1, 2);
DELETE FROM revops.absence;
-- the customers' language, and who has no hours in common
UPDATE revops.account SET languages = '{en}' WHERE account = 'ann4';
SELECT rank, unit, members, missing FROM revops.substitute_units('e1', 1, 2);
SELECT revops.put_calendar('day', 'UTC', '{"mon-fri": "09:00-17:00"}'), revops.put_calendar('night', 'UTC', '{"mon-fri": "17:00-24:00"}');
UPDATE revops.unit SET calendar = 'day' WHERE unit = 'e1';
UPDATE revops.rep SET calendar = 'night' WHERE rep IN ('dan', 'eva');
SELECT rank, unit, members, missing FROM revops.substitute_units('e1', 1, 2);
UPDATE revops.rep SET calendar = NULL;
-- room, and what cannot be
SELECT * FROM revops.substitute_units('e1', 1, 1);
SELECT revops.substitute_units('nix');
SELECT revops.substitute_units('empty');
SELECT revops.substitute_units('void');
SELECT revops.substitute_units('idle');
SELECT revops.substitute_units('e1', 0);
SELECT revops.substitute_units('e1', 3, 1000);
SELECT revops.substitute_units(NULL);

-- handing over, a person's change, giving back
INSERT INTO revops.task (subject_kind, subject, moment_id, rule, playbook, title, account, owner, unit, moment_at, opened_at, due_at, line)
VALUES ('account', 'ann1', gen_random_uuid(), 'r', 'p', 't', 'ann1', 'ann', 'e1', revops.now(), revops.now(), revops.now() + interval '15 minutes', '15 minutes'),
       ('account', 'ann2', gen_random_uuid(), 'r', 'p', 't', 'ann2', 'ann', 'e1', revops.now(), revops.now(), revops.now() + interval '15 minutes', '15 minutes');
SELECT revops.activate_substitution('{"for": "e1", "members": ["ann"]}');
SELECT revops.activate_substitution('{"for": "e1", "members": ["cai", "nobody"]}');
SELECT revops.activate_substitution('{"for": "e1", "members": []}');
SELECT revops.activate_substitution('{"for": "e1", "members": ["gao"]}');
SELECT revops.activate_substitution('{"for": "e1", "members": ["cai"]}', '2426-01-01');
SELECT count(*) AS nothing FROM revops.substitution_item;
SELECT revops.activate_substitution(plan, '2426-04-01') AS id FROM revops.substitute_units('e1', 1, 2) \gset
SELECT kind, CASE kind WHEN 'task' THEN 'card' ELSE subject END AS subject, former, given FROM revops.substitution_item i ORDER BY kind, i.subject::text, former;
SELECT count(*) AS left_there FROM revops.account WHERE owner IN ('ann', 'bob');
SELECT account, owner, unit, status, due_at FROM revops.task WHERE subject IN ('ann1', 'ann2') ORDER BY 1;
SELECT DISTINCT r.rep, revops.may(r.rep, 'read', 'ann1') AS read FROM revops.rep r ORDER BY 1;
SELECT DISTINCT until, granted_by = 'substitution ' || :id AS of_this FROM revops.permission WHERE what = 'read' AND granted_by LIKE 'subst%';
UPDATE revops.account SET owner = 'gao' WHERE account = 'bob1';
UPDATE revops.opportunity SET status = 'won' WHERE opportunity = 'd2';
SELECT * FROM revops.end_substitution(:id);
SELECT kind, subject, given_back FROM revops.substitution_item WHERE NOT given_back;
SELECT account, owner FROM revops.account WHERE account IN ('ann1', 'bob1') UNION ALL SELECT opportunity, owner FROM revops.opportunity UNION ALL SELECT subject, owner FROM revops.task WHERE subject IN ('ann1', 'ann2') ORDER BY 1, 2;
SELECT count(*) AS grants FROM revops.permission WHERE granted_by LIKE 'subst%';
SELECT revops.end_substitution(:id);
SELECT revops.end_substitution(NULL);

-- stand-ins: the owner is away, or full
CREATE FUNCTION units_.moment(i int, account text) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO revops.moment (moment_id, rule, version, subject_kind, subject, account, occurred_at, detected_at, strength, evidence)
    VALUES (('00000000-0000-4000-8000-' || lpad(to_hex(4096 + i), 12, '0'))::uuid, 'r', 1, 'account', account, account, revops.now(), revops.now(), 1, '{}') RETURNING moment_id
$$;
SELECT revops.cover_moments(ARRAY[units_.moment(1, 'cai1')]) AS present;
INSERT INTO revops.absence (rep, ends_at) VALUES ('ann', '2426-03-03');
SELECT revops.cover_moments(ARRAY[units_.moment(2, 'ann1'), units_.moment(3, 'ann4')]) AS away;
UPDATE revops.rep SET active = false WHERE rep = 'bob';
SELECT revops.cover_moments(ARRAY[units_.moment(4, 'ann1'), units_.moment(5, 'ann2')]) AS unit_away_too;
SET revops.as_of = '2426-03-03 09:00Z';
SELECT revops.cover_moments(ARRAY[units_.moment(6, 'ann1')]) AS back_again;
UPDATE revops.rep SET capacity = 1 WHERE rep = 'cai';
SELECT revops.cover_moments(ARRAY[units_.moment(7, 'cai2')]) AS room_for_one;
INSERT INTO revops.task (subject_kind, subject, moment_id, rule, playbook, title, account, owner, moment_at, opened_at, due_at, line)
VALUES ('account', 'cai1', gen_random_uuid(), 'r', 'p', 't', 'cai1', 'cai', revops.now(), revops.now(), revops.now(), '15 minutes');
SELECT revops.cover_moments(ARRAY[units_.moment(8, 'cai2')]) AS is_full;
SELECT right(moment_id::text, 4) AS moment, subject, owner FROM revops.moment WHERE moment_id BETWEEN '00000000-0000-4000-8000-000000001000' AND '00000000-0000-4000-8000-000000002000' ORDER BY 1;

-- proposals
UPDATE revops.rep SET active = true, capacity = NULL;
DELETE FROM revops.absence;
SELECT revops.propose_assignments('nix');
SELECT revops.propose_assignments('empty');
SELECT revops.propose_assignments('void');
SELECT revops.propose_assignments('east', fairness => -1);
SELECT count(*) AS nothing FROM revops.proposal;
INSERT INTO revops.account (account, name, territory, industry, languages) VALUES ('new1', 'N', 'east', 'bank', NULL), ('new2', 'N', 'east', 'auto', '{ja}');
INSERT INTO revops.account_need VALUES ('new1', 'banking', 3, true, 1), ('new1', 'sql', 2, false, 2), ('new1', 'port', 1, false, 3);
SELECT revops.refresh_profiles() > 0 AS filled;
SELECT revops.propose_assignments('east', fairness => 0.5) AS id \gset
SELECT status, gap, round(benefit::numeric, 6) = (SELECT round(sum(r.benefit)::numeric, 6) FROM revops.proposal_row r WHERE r.proposal_id = p.proposal_id) AS sums FROM revops.proposal p WHERE proposal_id = :id;
SELECT account, owner, rep, dropped, reason FROM revops.proposal_row WHERE proposal_id = :id AND account LIKE 'new%' ORDER BY 1;
-- every row's benefit is what its factors say, and nobody gets more or less than the bounds
SELECT count(*) AS wrong FROM revops.proposal_row r JOIN revops.proposal_pair x USING (proposal_id, account, rep)
WHERE proposal_id = :id AND abs(r.benefit - r.value * (1 + 0.4 * x.similarity + 0.3 * x.skill + 0.1 * x.language + 0.1 * x.territory + 0.1 * x.known - x.switch_cost)) > 1e-9;
SELECT min(n) >= floor(m * 0.5) AS least, max(n) <= ceil(m * 1.5) AS most FROM (SELECT count(*) AS n FROM revops.proposal_row WHERE proposal_id = :id AND rep IS NOT NULL GROUP BY rep) x,
    (SELECT count(*) / 4.0 AS m FROM revops.proposal_row WHERE proposal_id = :id) y GROUP BY m;
-- pinned by hand: the rest is solved around it
SELECT revops.pin_assignment(:id, 'ann1', 'dan');
SELECT rep, pinned FROM revops.proposal_row WHERE proposal_id = :id AND account = 'ann1';
SELECT count(*) FILTER (WHERE rep IS NULL) AS nobody FROM revops.proposal_row WHERE proposal_id = :id;
SELECT revops.pin_assignment(:id, 'eva1', 'dan');
SELECT revops.pin_assignment(:id, 'ann1', 'nobody');
SELECT revops.pin_assignment(:id, 'ann1', 'gao');
-- applied, changed by a person, undone
CREATE TEMP TABLE owners AS SELECT account, owner FROM revops.account;
UPDATE revops.account SET owner = 'eva' WHERE account = 'bob2';
SELECT revops.apply_assignments(:id) > 0 AS some;
SELECT count(*) AS not_as_proposed FROM revops.account a JOIN revops.proposal_row r USING (account) WHERE r.proposal_id = :id AND r.rep IS NOT NULL AND a.owner <> r.rep AND account <> 'bob2';
SELECT owner FROM revops.account WHERE account = 'bob2';
SELECT o.owner = a.owner AS follows FROM revops.opportunity o JOIN revops.account a USING (account) WHERE o.opportunity = 'd1';
SELECT revops.pin_assignment(:id, 'ann1', 'dan');
UPDATE revops.account SET owner = 'fei' WHERE account = 'ann1';
SELECT revops.undo_assignments(:id) > 0 AS some;
SELECT account, a.owner FROM revops.account a JOIN owners o USING (account) WHERE a.owner IS DISTINCT FROM o.owner ORDER BY 1;
SELECT revops.undo_assignments(:id);
SELECT revops.apply_assignments(999);
ROLLBACK;

-- who is considered, where there are more than the bounds: the same in whatever order the rows lie
BEGIN;
INSERT INTO revops.unit (unit, name) SELECT u, u FROM unnest('{many-lost,many-small,many-large}'::text[]) u;
INSERT INTO revops.skill (skill, dimension) VALUES ('many', 'local_resources');
INSERT INTO revops.rep (rep, name, unit) VALUES ('many-lost-1', 'x', 'many-lost'), ('many-small-1', 'x', 'many-small');
INSERT INTO revops.rep (rep, name, unit) SELECT 'many-large-' || g, 'x', 'many-large' FROM generate_series(5000, 1001, -1) g;
INSERT INTO revops.rep (rep, name) SELECT ' many-free-' || g, 'x' FROM generate_series(2000, 1001, -1) g;
INSERT INTO revops.rep_skill (rep, skill, level) SELECT 'many-large-' || g, 'many', CASE WHEN g = 4999 THEN 5 ELSE 4 END FROM generate_series(5000, 4901, -1) g;
CREATE TEMP TABLE considered AS
SELECT * FROM revops.substitution_candidates('{many-lost-1}', '{}', NULL, '{many}', '{3}', ARRAY['many-small-1'] || ARRAY(SELECT 'many-large-' || g FROM generate_series(1001, 1003) g));
SELECT unit, whole, count(*), min(rep), max(rep) FROM considered WHERE rep LIKE '%many%' AND rep NOT LIKE 'many-large-49%' GROUP BY 1, 2 ORDER BY 1;
SELECT rep FROM considered WHERE rep LIKE 'many-large-49%' ORDER BY 1;
ROLLBACK;
DELETE FROM revops.person WHERE person = 'pa';
DELETE FROM revops.service_week WHERE account = 'ann1';
DELETE FROM revops.service WHERE account = 'ann1';
DELETE FROM revops.collaboration WHERE rep IN ('ann', 'cai', 'dan');
-- the moved clock is the same in parallel workers, whatever it was written in
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET TimeZone = 'Asia/Shanghai';
SET revops.as_of = '2426-03-02 09:00';
SELECT count(*) AS wrong FROM pg_class c, pg_attribute a WHERE a.attrelid = c.oid AND revops.now() <> '2426-03-02 09:00+08';
SET revops.as_of = '2426-03-02 01:00Z';
SELECT count(*) AS wrong FROM pg_class c, pg_attribute a WHERE a.attrelid = c.oid AND revops.now() <> '2426-03-02 09:00+08';
