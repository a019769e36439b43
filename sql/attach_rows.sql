-- Rows of an attached table that fail in any way, change their keys, or have keys of other types
SET client_min_messages = warning;
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
CREATE EXTENSION IF NOT EXISTS ltree SCHEMA public;
RESET client_min_messages;
SET TimeZone = 'UTC';
CREATE SCHEMA rows;
SET search_path = rows, public;

-- an assertion, an internal error and a row that is not found are the row's; the stream goes on
CREATE FUNCTION rows.strange(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    x int;
BEGIN
    ASSERT a <> 'assert', 'never that';
    IF a = 'internal' THEN RAISE 'inside' USING ERRCODE = 'internal_error'; END IF;
    IF a = 'none' THEN SELECT 1 INTO STRICT x FROM pg_catalog.pg_class WHERE oid = 0; END IF;
    RETURN a;
END $$;
CREATE TABLE comp (id int PRIMARY KEY, region text);
INSERT INTO comp VALUES (1, 'x'), (2, 'assert'), (3, 'y'), (4, 'internal'), (5, 'none'), (6, 'z');
SELECT revops.attach('comp', 'person', '{"person": "''rows-'' || id", "title": "rows.strange(region)"}') > 0 AS attached;
SELECT revops.track('page_view', person => 'rows-1') IS NOT NULL AS tracked;
SELECT revops.process();
SELECT person, title FROM revops.person WHERE person LIKE 'rows-%' ORDER BY 1;
SELECT source_key, sqlstate, error, attempts FROM revops.attachment_error ORDER BY 1;
SELECT error FROM revops.attachment;
SELECT revops.detach('comp', 'person') IS NOT NULL AS detached;

-- a key with a time in it is one key, whatever the time zone
SET revops.time_zone = 'Asia/Shanghai';
CREATE TABLE chat (id int, sent_at timestamptz, who text, txt text, PRIMARY KEY (id, sent_at));
INSERT INTO chat VALUES (1, now() - interval '1 minute', 'rows-1', 'hi');
SELECT revops.attach('chat', 'event', '{"kind": "''message''", "occurred_at": "sent_at", "person": "who", "body": "txt"}') > 0 AS attached;
SELECT revops.process() > 0 AS some;
UPDATE chat SET txt = 'hi!';
SELECT revops.process() >= 0 AS some;
SELECT count(*) FROM revops.event WHERE kind = 'message' AND person = 'rows-1';
RESET revops.time_zone;
SELECT revops.detach('chat', 'event') IS NOT NULL AS detached;

-- rows whose keys change keep what is known of them here, though another row of the batch fails
CREATE TABLE crm (id int PRIMARY KEY, acct text, name text, n int);
INSERT INTO crm SELECT i, 'rows-A' || i, 'name ' || i, 1 FROM generate_series(1, 10) i;
SELECT revops.attach('crm', 'account', '{"account": "acct", "name": "name", "segment": "(10 / n)::text"}') > 0 AS attached;
SELECT revops.process() >= 0 AS some;
UPDATE revops.account SET owner = 'rita', territory = 'east' WHERE account LIKE 'rows-%';
BEGIN;
UPDATE crm SET id = id + 100;
UPDATE crm SET n = 0 WHERE acct = 'rows-A5';
DELETE FROM crm WHERE acct = 'rows-A9';
COMMIT;
SELECT revops.process() >= 0 AS some;
SELECT account, owner, territory FROM revops.account WHERE account LIKE 'rows-%' AND account <> 'rows-A5' ORDER BY 1;
SELECT source_key, sqlstate FROM revops.attachment_error;
UPDATE crm SET n = 2 WHERE acct = 'rows-A5';
SELECT revops.process() >= 0 AS some;
SELECT account, segment FROM revops.account WHERE account IN ('rows-A5', 'rows-A6') ORDER BY 1;
TRUNCATE crm;
SELECT revops.process() >= 0 AS some;
SELECT count(*) FROM revops.account WHERE account LIKE 'rows-%';
SELECT revops.detach('crm', 'account') IS NOT NULL AS detached;

-- a key of a type that lives elsewhere
CREATE TABLE tree (path ltree PRIMARY KEY, title text);
INSERT INTO tree VALUES ('rows.one', 'One'), ('rows.two', 'Two');
SELECT revops.attach('tree', 'account', '{"account": "path::text", "name": "title"}') > 0 AS attached;
SELECT revops.process() >= 0 AS some;
UPDATE tree SET title = 'Three' WHERE path = 'rows.two';
SELECT revops.process() >= 0 AS some;
SELECT account, name FROM revops.account WHERE account LIKE 'rows.%' ORDER BY 1;
SELECT error FROM revops.attachment;
SELECT revops.detach('tree', 'account') IS NOT NULL AS detached;

-- a rep's number is written where it is read; a column that is not set in this way is refused, not made a property
CREATE TABLE reps (id text PRIMARY KEY, name text, cap int, langs text);
INSERT INTO reps VALUES ('rows-r1', 'Rita', 5, 'en');
SELECT revops.attach('reps', 'rep', '{"rep": "id", "name": "name", "capacity": "cap"}', write_back => true) > 0 AS attached;
SELECT revops.process() >= 0 AS some;
SELECT revops.set_field('rep', 'rows-r1', 'capacity', '9');
SELECT revops.process() >= 0 AS some;
SELECT r.capacity, r.active, r.properties, x.cap FROM revops.rep r JOIN reps x ON x.id = r.rep;
SELECT revops.set_field('rep', 'rows-r1', 'active', 'false');
SELECT revops.set_field('rep', 'rows-r1', 'login', 'me');
SELECT revops.set_field('account', 'rows.one', 'properties', '{}');
SELECT revops.detach('reps', 'rep') IS NOT NULL AS detached;

-- what the rows of a table kept out comes in when that is detached
CREATE TABLE first (id int PRIMARY KEY, name text);
CREATE TABLE second (id int PRIMARY KEY, name text);
INSERT INTO first VALUES (1, 'First');
INSERT INTO second VALUES (1, 'Second');
SELECT revops.attach('first', 'account', '{"account": "''rows-f'' || id", "name": "name"}') > 0 AS attached;
SELECT revops.attach('second', 'account', '{"account": "''rows-f'' || id", "name": "name"}') > 0 AS attached;
SELECT revops.process() >= 0 AS some;
SELECT sqlstate, error FROM revops.attachment_error;
SELECT revops.detach('first', 'account') IS NOT NULL AS detached;
SELECT revops.process() >= 0 AS some;
SELECT name FROM revops.account WHERE account = 'rows-f1';
SELECT count(*) AS errors FROM revops.attachment_error;
SELECT revops.attach('first', 'account', '{"account": "''rows-f'' || id", "name": "name"}') > 0 AS attached;
SELECT revops.process() >= 0 AS some;
SELECT count(*) AS errors FROM revops.attachment_error;
DROP TABLE second;
SELECT revops.process() >= 0 AS some;
SELECT name FROM revops.account WHERE account = 'rows-f1';
SELECT count(*) AS errors FROM revops.attachment_error;
SELECT revops.detach('first', 'account') IS NOT NULL AS detached;

-- a contact that was merged into another one stays who it turned out to be
CREATE TABLE contact (id text PRIMARY KEY, acc text, name text);
SELECT revops.attach('contact', 'person', '{"person": "id", "account": "acc", "name": "name"}') > 0 AS attached;
INSERT INTO contact VALUES ('rows-p1', 'rows-f1', 'One'), ('rows-p2', 'rows-f1', 'Two'), ('rows-p3', 'rows-f1', 'Three');
SELECT revops.process() >= 0 AS some;
SELECT revops.identify('rows-p2', 'rows-p1');
DELETE FROM contact WHERE id IN ('rows-p2', 'rows-p3');
SELECT revops.process() >= 0 AS some;
SELECT person, identity, account, name FROM revops.person WHERE person LIKE 'rows-p%' ORDER BY 1;
INSERT INTO contact VALUES ('rows-p2', 'rows-f1', 'Two again');
SELECT revops.process() >= 0 AS some;
SELECT person, identity, account, name FROM revops.person WHERE person LIKE 'rows-p%' ORDER BY 1;
SELECT revops.detach('contact', 'person') IS NOT NULL AS detached;

SET client_min_messages = warning;
DROP SCHEMA rows CASCADE;
DROP EXTENSION ltree;
DELETE FROM revops.person WHERE person LIKE 'rows-%';
DELETE FROM revops.account WHERE account LIKE 'rows%';
DELETE FROM revops.rep WHERE rep LIKE 'rows-%';
TRUNCATE revops.event, revops.stream_lane, revops.repair_request;
DO $$ BEGIN PERFORM revops.start_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
