-- tables of the company's own, attached
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET revops.as_of = '2026-05-04 09:00+00';
CREATE SCHEMA crm;
SET search_path = crm, public;
CREATE TABLE deals (id int PRIMARY KEY, company text, rep text, phase varchar(40), worth int, currency text, opened date, closed date, note text,
                    phase_since timestamptz, doubled int GENERATED ALWAYS AS (worth * 2) STORED);
INSERT INTO deals VALUES (1, 'acme', 'ann', 'Prospecting', 100, 'EUR', '2026-01-01', NULL, NULL, '2026-02-01 00:00+00'),
                         (2, 'bolt', 'bob', 'Won', 250, 'EUR', '2026-01-05', '2026-03-01', 'big', '2026-03-01 00:00+00'),
                         (3, 'cyan', 'ann', 'Lost', NULL, 'USD', '2026-01-09', '2026-02-02', NULL, NULL);
CREATE TABLE keyless (a text);
CREATE VIEW deal_view AS SELECT * FROM deals;
CREATE TEMP TABLE temporary (id int PRIMARY KEY);
CREATE FUNCTION clean(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower($1) $$;
CREATE FUNCTION wild(text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT $1 $$;

-- what cannot be attached, and why
SELECT revops.attach('deals', 'deal', '{}');
SELECT revops.attach('deals', NULL, '{}');
SELECT revops.attach('keyless', 'account', '{"account": "a"}');
SELECT revops.attach('deal_view', 'opportunity', '{"opportunity": "id"}');
SELECT revops.attach('temporary', 'opportunity', '{"opportunity": "id"}');
SELECT revops.attach('revops.rep', 'rep', '{"rep": "rep"}');
SELECT revops.attach('pg_class', 'rep', '{"rep": "relname"}');
SELECT revops.attach('deals_pkey', 'rep', '{"rep": "id"}');
SELECT revops.attach(0::regclass, 'rep', '{"rep": "id"}');
SELECT revops.attach('deals', 'event', '{"kind": "''x''", "occurred_at": "opened"}', write_back => true);
SELECT revops.attachment_update(1, 'key', NULL, 'value', NULL) IS NULL AS a, revops.attachment_update(NULL, 'key', 'name', 'value', NULL) IS NULL AS b, revops.attachment_update(1, NULL, 'name', 'value', NULL) IS NULL AS c;
SELECT revops.attachment_update(-1, 'key', 'name', 'value', repeat('x', 100000));
-- mappings that are wrong: each error names its entry
SELECT revops.attach('deals', 'opportunity', '[1]');
SELECT revops.attach('deals', 'opportunity', '{"name": "company"}');
SELECT revops.attach('deals', 'event', '{"kind": "phase"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "value": "worth"}');
SELECT revops.attach('deals', 'person', '{"person": "rep", "identity": "company"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "amount": 5}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "amount": ""}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "identity"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "amount": "note"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "amount": "worth +"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "random()::text"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "crm.wild(phase)"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "clean(phase)"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "(SELECT max(phase) FROM crm.deals)"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "max(phase)"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "first_value(phase) OVER ()"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "amount": "generate_series(1, worth)"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "phase, note"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "phase AS x"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "phase FROM crm.deals"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "phase) AS x, (note"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "phase; DROP TABLE crm.deals"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "*"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "$1"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "stage": "revops_k.revops_key"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "properties": {"x": "nothing"}}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "where": "phase"}');
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id", "where": {"a": 1}}');
SELECT revops.attach('deals', 'opportunity', jsonb_build_object('opportunity', 'id', 'properties', (SELECT jsonb_object_agg('p' || g, 'id') FROM generate_series(1, 51) g)));
SELECT revops.attach('deals', 'opportunity', jsonb_build_object('opportunity', 'id', 'name', repeat('x', 10001)));
SELECT count(*) FROM revops.attached;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'revops%' AND tgrelid::regclass::text LIKE '%deals%';

-- attached
SELECT revops.attach('deals', 'opportunity', $$ {"opportunity": "'D' || id -- the key", "account": "company", "owner": "rep", "stage": "phase", "stage_since": "phase_since",
    "amount": "worth", "status": "CASE phase WHEN 'Won' THEN 'won' WHEN 'Lost' THEN 'lost' ELSE crm.clean('OPEN') END", "opened_at": "opened", "closed_at": "closed",
    "properties": {"currency": "currency", "remark": "note", "size": "worth / 100"}, "where": "note IS DISTINCT FROM 'hidden'"} $$, write_back => true) > 0 AS attached;
SELECT revops.attach('deals', 'opportunity', '{"opportunity": "id"}');
SELECT source, kind, write_back, rows, waiting, lag, errors, error FROM revops.attachment;
CREATE VIEW ours AS SELECT opportunity, account, owner, stage, stage_since, amount, status, opened_at::date, closed_at::date, properties FROM revops.opportunity WHERE opportunity LIKE 'D%';
SELECT revops.process();
SELECT * FROM ours ORDER BY 1;
SELECT source, kind, write_back, rows, waiting, lag, errors, error FROM revops.attachment;

-- what changes there changes here; what is set here stands until it changes there
SELECT revops.set_field('opportunity', 'D1', 'size', '7');
SELECT revops.set_field('opportunity', 'D1', 'name', 'Acme, renewal');
SET revops.as_of = '2026-05-05 09:00+00';
UPDATE deals SET phase = 'Engaging', phase_since = '2026-05-05 08:00+00', note = 'call' WHERE id = 1;
DELETE FROM deals WHERE id = 3;
INSERT INTO deals (id, company, phase, worth) VALUES (4, 'dune', 'Engaging', 40), (5, 'echo', 'Prospecting', 50);
UPDATE deals SET id = 50, company = 'echo ag' WHERE id = 5;
SELECT revops.apply_attachments();
SELECT * FROM ours ORDER BY 1;
SELECT opportunity, entered_at, stage, previous, origin FROM revops.stage_history WHERE opportunity LIKE 'D%' ORDER BY opportunity, entered_at;
SELECT name FROM revops.opportunity WHERE opportunity = 'D1';
-- two that change places; MERGE; hidden by "where"; a rollback and a savepoint
SELECT revops.set_field('opportunity', 'D4', 'name', 'Dune');
UPDATE deals SET id = CASE id WHEN 1 THEN 104 ELSE 101 END WHERE id IN (1, 4);
MERGE INTO deals d USING (VALUES (101, 'won over'), (60, 'new')) AS v(id, note) ON d.id = v.id
    WHEN MATCHED THEN UPDATE SET note = v.note WHEN NOT MATCHED THEN INSERT (id, company, phase, note) VALUES (v.id, 'fern', 'Engaging', v.note);
UPDATE deals SET note = 'hidden' WHERE id = 50;
BEGIN; DELETE FROM deals; SAVEPOINT s; INSERT INTO deals (id) VALUES (70); ROLLBACK TO s; ROLLBACK;
SELECT revops.apply_attachments('deals');
SELECT * FROM ours ORDER BY 1;
SELECT revops.apply_attachments('deals', 'opportunity');

-- rows that cannot be taken over: the writer does not notice, the reason is kept, and what was there stands
SELECT revops.detach('deals', 'opportunity');
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'revops%' AND tgrelid = 'deals'::regclass;
SELECT revops.attach('deals', 'opportunity', $$ {"opportunity": "company", "stage": "phase", "amount": "10000 / worth", "status": "coalesce(currency, 'open')"} $$) > 0 AS attached;
TRUNCATE deals;
INSERT INTO deals (id, company, phase, worth, currency) SELECT g, 'co ' || g, 'Engaging', g % 5, CASE g WHEN 7 THEN 'unsure' END FROM generate_series(1, 12) g;
INSERT INTO deals (id, company, worth) VALUES (13, NULL, 1), (14, '', 1), (15, repeat('x', 600), 1), (16, 'co 1', 1);
SELECT revops.process();
SELECT source_key, subject, sqlstate, error, attempts FROM revops.attachment_error ORDER BY source_key::int;
SELECT rows, waiting, errors, error FROM revops.attachment;
SELECT opportunity, amount, status FROM revops.opportunity WHERE opportunity LIKE 'co %' ORDER BY 1;
-- tried again when they change, by hand, and when the row that was in the way goes
UPDATE deals SET worth = 4 WHERE id = 5;
DELETE FROM deals WHERE id IN (1, 13);
SELECT revops.apply_attachments();
SELECT source_key, subject, error, attempts FROM revops.attachment_error ORDER BY source_key::int;
SELECT source_key FROM revops.attached_row WHERE subject = 'co 1';
SELECT revops.retry_attachment('deals', 'opportunity');
SELECT revops.apply_attachments();
SELECT source_key, attempts FROM revops.attachment_error ORDER BY source_key::int;
SELECT revops.retry_attachment('deals', 'account');
-- changes that fired no trigger
ALTER TABLE deals DISABLE TRIGGER USER;
UPDATE deals SET phase = 'Won' WHERE id = 2;
DELETE FROM deals WHERE id = 3;
ALTER TABLE deals ENABLE TRIGGER USER;
SELECT revops.apply_attachments();
SELECT revops.resync_attachment('deals', 'opportunity');
SELECT revops.apply_attachments();
SELECT opportunity, stage FROM revops.opportunity WHERE opportunity IN ('co 2', 'co 3');

-- ALTER TABLE: the changes wait until they can be read
ALTER TABLE deals RENAME COLUMN phase TO step;
UPDATE deals SET step = 'Lost' WHERE id = 2;
SELECT revops.process();
SELECT waiting, error FROM revops.attachment;
SELECT stage FROM revops.opportunity WHERE opportunity = 'co 2';
ALTER TABLE deals RENAME COLUMN step TO phase;
SELECT revops.process();
SELECT waiting, error FROM revops.attachment;
SELECT stage FROM revops.opportunity WHERE opportunity = 'co 2';
ALTER TABLE deals DROP CONSTRAINT deals_pkey;
UPDATE deals SET phase = 'Won' WHERE id = 2;
SELECT revops.process();
SELECT error FROM revops.attachment;
ALTER TABLE deals ADD PRIMARY KEY (id);
SELECT revops.process();
SELECT error FROM revops.attachment;
SELECT stage FROM revops.opportunity WHERE opportunity = 'co 2';
-- a rewrite fires no trigger of the table
DROP VIEW deal_view;
ALTER TABLE deals ALTER COLUMN phase TYPE text USING lower(phase);
SELECT scope FROM revops.attachment_change;
SELECT revops.process();
SELECT stage FROM revops.opportunity WHERE opportunity = 'co 2';
-- all is taken away at once, what is wrong too
BEGIN;
TRUNCATE deals;
SELECT revops.apply_attachments();
SELECT rows, errors FROM revops.attachment;
ROLLBACK;
SELECT rows, errors FROM revops.attachment;
-- detached: what was taken over stays
SELECT revops.detach('deals', 'opportunity');
SELECT revops.detach('deals', 'opportunity');
DELETE FROM deals;
SELECT count(*) FROM revops.opportunity WHERE opportunity LIKE 'co %';
SELECT count(*) FROM revops.attachment_change;
DELETE FROM revops.opportunity;
DELETE FROM revops.stage_history;

-- keys of all types, partitions that come and go
CREATE TABLE people (org uuid, no bigint, who text, day date NOT NULL, PRIMARY KEY (org, no, day)) PARTITION BY RANGE (day);
CREATE TABLE people_1 PARTITION OF people FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
SELECT revops.attach('people', 'person', '{"person": "who", "account": "org", "name": "upper(who)"}') > 0 AS attached;
INSERT INTO people VALUES ('00000000-0000-0000-0000-000000000001', 1, 'ada "the", {first}', '2026-01-05');
INSERT INTO people_1 VALUES ('00000000-0000-0000-0000-000000000001', 2, 'bob', '2026-01-06');
CREATE TABLE people_2 PARTITION OF people FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO people_2 VALUES ('00000000-0000-0000-0000-000000000002', 2, 'cyd', '2026-02-06');
CREATE TABLE people_3 (LIKE people INCLUDING ALL);
INSERT INTO people_3 VALUES ('00000000-0000-0000-0000-000000000003', 3, 'dee', '2026-03-06');
ALTER TABLE people ATTACH PARTITION people_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo';
UPDATE people SET day = '2026-02-07' WHERE who = 'bob';
SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC';
SELECT revops.apply_attachments();
SELECT person, account, name FROM revops.person ORDER BY 1;
SELECT source_key FROM revops.attached_row ORDER BY 1;
TRUNCATE people_2;
ALTER TABLE people DETACH PARTITION people_3;
SELECT revops.apply_attachments();
SELECT person FROM revops.person ORDER BY 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people_3'::regclass;
SELECT revops.attach('people_1', 'person', '{"person": "who"}');
DROP TABLE people_1;
SELECT revops.apply_attachments();
SELECT count(*) FROM revops.person;
DROP TABLE people;
SELECT count(*) FROM revops.attachment;

-- a call table becomes events: each row once, whatever happens to it later
CREATE TABLE calls (no serial PRIMARY KEY, customer text, agent text, said text, at timestamptz, seconds int);
INSERT INTO calls (customer, agent, said, at, seconds) VALUES ('ada', 'ann', 'the price is too high', '2026-05-01 10:00+00', 90), ('bob', 'ann', NULL, NULL, 5);
SELECT revops.attach('calls', 'event', $$ {"kind": "'call'", "occurred_at": "at", "person": "customer", "rep": "agent", "channel": "'call'", "body": "said",
    "dwell": "make_interval(secs => seconds)", "properties": {"seconds": "seconds"}} $$) > 0 AS attached;
SELECT revops.process();
SELECT revops.process();
SELECT kind, occurred_at, person, rep, side, channel, dwell, body, properties FROM revops.event;
SELECT source_key, error FROM revops.attachment_error;
-- a pass leaves what its own transaction wrote, which may go on writing, to the next one
BEGIN;
SELECT revops.track('own', person => 'eve') IS NOT NULL AS tracked;
SAVEPOINT s;
INSERT INTO keyless VALUES ('x');
ROLLBACK TO s;
SELECT revops.process();
SELECT revops.track('own', person => 'eve') IS NOT NULL AS tracked;
COMMIT;
SELECT revops.process();
DELETE FROM revops.event WHERE kind = 'own';
UPDATE calls SET said = 'edited', at = coalesce(at, '2026-05-01 11:00+00');
SELECT revops.apply_attachments();
SELECT revops.resync_attachment('calls', 'event');
SELECT revops.apply_attachments();
SELECT person, body FROM revops.event ORDER BY 1;
SELECT revops.detach('calls', 'event');
SELECT revops.attach('calls', 'event', $$ {"kind": "'call'", "occurred_at": "at", "person": "customer"} $$) > 0 AS attached;
SELECT revops.apply_attachments();
SELECT rows, applied, errors FROM revops.attachment;
DROP TABLE calls;

-- written back: only what is a plain column, and only if the source still has what we know
CREATE TABLE opps (id text PRIMARY KEY, stage text, worth numeric(10,2), rival text, updated int DEFAULT 0);
INSERT INTO opps VALUES ('w1', 'Prospecting', 10, NULL), ('w2', 'Prospecting', 20, 'x');
SELECT revops.attach('opps', 'opportunity', '{"opportunity": "id", "stage": "stage", "amount": "worth", "name": "upper(id)", "properties": {"rival": "rival"}}', write_back => true) > 0 AS attached;
SELECT revops.apply_attachments();
SELECT revops.set_field('opportunity', 'w1', 'stage', 'Engaging', 'calibration');
SELECT revops.set_field('opportunity', 'w1', 'amount', '12.5', 'suggestion');
SELECT revops.set_field('opportunity', 'w1', 'rival', 'globex', 'suggestion');
SELECT revops.set_field('opportunity', 'w1', 'name', 'Ours alone', 'suggestion');
SELECT revops.set_field('opportunity', 'w2', 'rival', NULL);
SELECT * FROM opps ORDER BY 1;
-- the echo of our own write changes nothing, and who set it stays
SELECT revops.apply_attachments();
SELECT opportunity, stage, previous, origin FROM revops.stage_history ORDER BY recorded_at, opportunity, entered_at, previous NULLS FIRST;
SELECT opportunity, name, stage, amount, properties FROM revops.opportunity ORDER BY 1;
-- a newer change in the source wins
UPDATE opps SET stage = 'Won', worth = 99 WHERE id = 'w1';
SELECT revops.set_field('opportunity', 'w1', 'stage', 'Lost', 'calibration');
SELECT revops.set_field('opportunity', 'w1', 'amount', '1', 'suggestion');
SELECT stage, amount FROM revops.opportunity WHERE opportunity = 'w1';
SELECT revops.apply_attachments();
SELECT stage, amount FROM revops.opportunity WHERE opportunity = 'w1';
SELECT revops.set_field('opportunity', 'w1', 'stage', 'Engaging', 'undo');
SELECT revops.set_field('opportunity', 'w2', 'amount', '123456789');
DELETE FROM opps WHERE id = 'w2';
SELECT revops.set_field('opportunity', 'w2', 'stage', 'Lost');
SELECT id, stage, worth FROM opps;

-- roles: the table's owner, if it may attach; expressions have the owner's rights alone
CREATE ROLE revops_test_owner IN ROLE revops_admin;
CREATE ROLE revops_test_other IN ROLE revops_admin;
GRANT USAGE, CREATE ON SCHEMA crm TO revops_test_owner, revops_test_other;
CREATE TABLE secret (v text);
INSERT INTO secret VALUES ('for nobody');
SET ROLE revops_test_owner;
CREATE TABLE crm.mine (id int PRIMARY KEY);
CREATE FUNCTION crm.peek(int) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM crm.secret) || current_user; END $$;
CREATE FUNCTION crm.me(int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_user::text $$;
INSERT INTO crm.mine VALUES (1);
SET ROLE revops_test_other;
SELECT revops.attach('crm.mine', 'account', '{"account": "id"}');
SET ROLE revops_test_owner;
SELECT revops.attach('crm.mine', 'account', '{"account": "id", "name": "crm.me(id)"}') > 0 AS attached;
SELECT revops.attach('crm.mine', 'rep', '{"rep": "id", "name": "crm.peek(id)"}') > 0 AS attached;
RESET ROLE;
SELECT revops.process();
SELECT account, name FROM revops.account;
SELECT count(*) FROM revops.rep;
SELECT e.error FROM revops.attachment_error e;
SELECT error FROM revops.attachment WHERE error IS NOT NULL;
SET ROLE revops_test_other;
SELECT revops.detach('crm.mine', 'rep');
RESET ROLE;

DROP SCHEMA crm CASCADE;
SELECT count(*) FROM revops.attached;
SELECT count(*) FROM revops.attached_row;
DROP ROLE revops_test_owner, revops_test_other;
TRUNCATE revops.event, revops.stream_lane, revops.repair_request;
DELETE FROM revops.opportunity;
DELETE FROM revops.account;
DELETE FROM revops.stage_history;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
