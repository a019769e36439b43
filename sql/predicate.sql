-- conditions: what each field and test means, on events that differ in one thing each
SET revops.as_of = '2026-01-31 09:00+08';
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request,
         revops.moment_rule, revops.person, revops.account, revops.opportunity;
CREATE SCHEMA c;
CREATE TABLE c.wanted (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, condition json);
CREATE FUNCTION c.caught() RETURNS TABLE (condition json, by text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM revops.put_rule(to_char(w.n, 'FM000'), json_build_object('when', w.condition, 'per', 'rep')) FROM c.wanted w ORDER BY n;
    PERFORM revops.process();
    RETURN QUERY SELECT w.condition, string_agg(e.object, ' ' ORDER BY e.object COLLATE "C")
    FROM c.wanted w LEFT JOIN revops.moment m ON m.rule = to_char(w.n, 'FM000') LEFT JOIN revops.event e ON e.event_id = m.evidence[1]
    GROUP BY w.n ORDER BY w.n;
END $$;
CREATE FUNCTION c.again() RETURNS void LANGUAGE sql AS $$
    TRUNCATE revops.event, revops.moment, revops.moment_state, revops.stream_lane, revops.moment_rule, c.wanted;
$$;
CREATE FUNCTION c.event(name text, properties jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, properties)
    VALUES (md5(name)::uuid, '2026-01-30 12:00Z', 'r', 'k', name, properties);
$$;

-- properties: scalars, lists, dotted names
DO $$ BEGIN PERFORM c.event(n, p::jsonb) FROM (VALUES
    ('none', NULL), ('empty', '{}'), ('null', '{"x": null}'), ('text', '{"x": "apple"}'), ('text1', '{"x": "1"}'), ('one', '{"x": 1.0}'),
    ('ten', '{"x": 10}'), ('true', '{"x": true}'), ('false', '{"x": false}'), ('list', '{"x": ["pear", "apple", 7]}'),
    ('list0', '{"x": []}'), ('lists', '{"x": [["apple"], {"y": "apple"}, null]}'), ('object', '{"x": {"y": "apple"}}'),
    ('dotted', '{"x.y": "apple"}'), ('huge', '{"x": 1e400}')) v (n, p); END $$;
INSERT INTO c.wanted (condition) VALUES
    ('{"properties.x": "apple"}'), ('{"properties.x": ["apple", 1]}'), ('{"properties.x": {"ne": "apple"}}'), ('{"properties.x": {"prefix": "a"}}'),
    ('{"properties.x": {"like": "%ea_"}}'), ('{"properties.x": 1}'), ('{"properties.x": "1"}'), ('{"properties.x": {"gt": 5}}'),
    ('{"properties.x": {"gte": 1, "lt": 10}}'), ('{"properties.x": {"prefix": "a", "ne": "pear"}}'), ('{"properties.x": {"prefix": "p", "like": "a%"}}'), ('{"properties.x": {"prefix": "p", "exists": true}}'), ('{"properties.x": {"gte": 7, "lte": 7}}'), ('{"properties.x": true}'), ('{"properties.x": {"ne": true}}'),
    ('{"properties.x": {"exists": true}}'), ('{"properties.x": {"exists": false}}'), ('{"properties.x.y": "apple"}'),
    ('{"not": {"properties.x": {"exists": true}}}'), ('{"not": {"properties.x": {"in": ["apple", "pear", "1"]}}}');
SELECT * FROM c.caught();

-- intents and sentiment of the event's text
SELECT c.again();
DO $$ BEGIN PERFORM c.event(n, p::jsonb) FROM (VALUES
    ('none', '{}'), ('one', '{"intents": "delivery"}'), ('two', '{"intents": ["price_objection", "delivery"]}'), ('no', '{"intents": []}'),
    ('odd', '{"intents": [3, null]}'), ('other', '{"intents": ["security_review"]}'), ('glad', '{"sentiment": 0.9}'), ('sad', '{"sentiment": -0.75}'),
    ('text', '{"sentiment": "bad"}'), ('many', '{"sentiment": [0.9]}')) v (n, p); END $$;
INSERT INTO c.wanted (condition) VALUES
    ('{"intent": "delivery"}'), ('{"intent": ["security_review", "price_objection"]}'), ('{"intent": {"prefix": "price"}}'), ('{"intent": {"like": "%ery"}}'),
    ('{"intent": {"ne": "delivery"}}'), ('{"not": {"intent": "delivery"}}'), ('{"intent": {"exists": true}}'), ('{"intent": {"exists": false}}'),
    ('{"sentiment": {"gt": 0}}'), ('{"sentiment": {"lt": -0.5}}'), ('{"sentiment": 0.9}'), ('{"sentiment": {"ne": 0.9}}'), ('{"sentiment": {"exists": true}}');
SELECT * FROM c.caught();

-- local time, by the zone of the condition, the person, the account, revops.time_zone
SELECT c.again();
SET revops.time_zone = 'America/New_York';
INSERT INTO revops.account (account, time_zone) VALUES ('tokyo', 'Asia/Tokyo'), ('nowhere', NULL);
INSERT INTO revops.person (person, account, time_zone) VALUES ('paris', 'tokyo', 'Europe/Paris'), ('at tokyo', 'tokyo', NULL), ('mars', NULL, 'Mars/Olympus');
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person, account)
SELECT md5(o)::uuid, '2026-01-30 21:30Z', 'r', 'k', o, p, a
FROM (VALUES ('nobody', NULL, NULL), ('paris', 'paris', NULL), ('tokyo', 'at tokyo', NULL), ('account', NULL, 'tokyo'), ('nowhere', 'new', 'nowhere'),
             ('mars', 'mars', NULL)) v (o, p, a);
INSERT INTO c.wanted (condition) VALUES
    ('{"local_time": {"from": "22:00", "to": "06:00"}}'), ('{"local_time": {"from": "06:00", "to": "07:00"}}'), ('{"local_time": {"from": "16:30", "to": "16:31"}}'),
    ('{"local_time": {"days": ["sat"]}}'), ('{"local_time": {"days": ["fri"]}}'), ('{"local_time": {"from": "00:00", "to": "24:00", "days": ["fri"], "time_zone": "Asia/Tokyo"}}'),
    ('{"not": {"local_time": {"days": ["fri"]}}}'), ('{"any": [{"local_time": {"days": ["sat"]}}, {"object": "nobody"}]}');
SELECT * FROM c.caught();
RESET revops.time_zone;

-- attributes of the event's person, account and opportunity
SELECT c.again();
TRUNCATE revops.person, revops.account, revops.opportunity;
INSERT INTO revops.account (account, name, owner, territory, segment, industry, properties) VALUES
    ('a1', 'Acme', 'rep-1', 'north', 'enterprise', 'steel', '{"tier": 1, "tags": ["vip", "eu"], "a.b": 1}'), ('a2', NULL, NULL, NULL, 'small', NULL, '{}');
INSERT INTO revops.person (person, account, name, title, properties) VALUES
    ('cfo', 'a1', 'Ann', 'Chief Financial Officer', '{"lang": "de"}'), ('dev', 'a2', NULL, NULL, '{}');
SELECT revops.identify('visitor', 'cfo');
INSERT INTO revops.opportunity (opportunity, account, owner, stage, amount, status, properties) VALUES
    ('o1', 'a1', 'rep-1', 'proposal', 100000.50, 'open', '{"deep": {"er": true}}'), ('o2', 'a2', NULL, NULL, 9e3, 'won', '{}'), ('o3', 'a3', NULL, NULL, NULL, 'open', '{}');
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person, account, opportunity)
SELECT md5(o)::uuid, '2026-01-30 12:00Z', 'r', 'k', o, p, a, d
FROM (VALUES ('nobody', NULL, NULL, NULL), ('cfo', 'cfo', NULL, NULL), ('dev', 'dev', NULL, NULL), ('visitor', 'visitor', NULL, NULL), ('stranger', 'x', NULL, NULL),
             ('a3', NULL, 'a3', NULL), ('o1', NULL, NULL, 'o1'), ('o2', 'dev', NULL, 'o2'), ('o3', NULL, NULL, 'o3'), ('o4', NULL, NULL, 'o4')) v (o, p, a, d);
INSERT INTO c.wanted (condition) VALUES
    ('{"person.title": {"like": "%Officer"}}'), ('{"person.name": "Ann"}'), ('{"person.title": {"exists": false}}'), ('{"person.properties.lang": "de"}'),
    ('{"account.segment": ["enterprise", "mid"]}'), ('{"account.segment": {"ne": "enterprise"}}'), ('{"account.territory": "north", "account.industry": "steel", "account.owner": "rep-1"}'),
    ('{"account.properties.tier": {"gte": 1}}'), ('{"account.properties.tags": "vip"}'), ('{"account.properties.a.b": 1}'), ('{"account.name": {"exists": true}}'),
    ('{"account.open_opportunity": true}'), ('{"account.open_opportunity": false}'), ('{"account.open_opportunity": {"exists": false}}'),
    ('{"opportunity.stage": "proposal"}'), ('{"opportunity.status": {"ne": "won"}}'), ('{"opportunity.amount": {"gt": 50000}}'), ('{"opportunity.amount": 9000}'),
    ('{"opportunity.amount": {"exists": true}}'), ('{"opportunity.owner": "rep-1"}'), ('{"opportunity.properties.deep.er": true}');
SELECT * FROM c.caught();

-- attributes are those when the event passes the stream; a replay sees those of its time
SELECT c.again();
INSERT INTO c.wanted (condition) VALUES ('{"account.segment": "enterprise"}'), ('{"account.segment": "small"}');
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person) VALUES (md5('before')::uuid, '2026-01-30 12:00Z', 'r', 'k', 'before', 'dev');
SELECT * FROM c.caught();
UPDATE revops.account SET segment = 'enterprise' WHERE account = 'a2';
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person) VALUES (md5('later')::uuid, '2026-01-30 13:00Z', 'r', 'k', 'later', 'dev');
SELECT * FROM c.caught();
INSERT INTO revops.repair_request (subject_kind, subject, since) VALUES ('rep', 'r', '-infinity');
SELECT revops.process();
SELECT m.rule, e.object, m.retracted_at IS NOT NULL AS retracted FROM revops.moment m JOIN revops.event e ON e.event_id = m.evidence[1] ORDER BY 1, 2;

-- of properties that a thousand conditions and more ask for, all are fetched
SELECT c.again();
UPDATE revops.account SET properties = '{"p7": 7, "p1490": {"x": 8}, "big": "x"}' WHERE account = 'a1';
INSERT INTO c.wanted (condition) VALUES ('{"account.properties.p7": 7}'), ('{"account.properties.p1490.x": 8}'), ('{"account.properties.p9": {"exists": false}}');
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person) VALUES (md5('it')::uuid, '2026-01-30 13:00Z', 'r', 'k', 'it', 'cfo');
SELECT * FROM c.caught();
DO $$ BEGIN PERFORM revops.check_match(json_build_object('account.properties.p' || g, g)::text) FROM generate_series(1, 1500) g; END $$;
INSERT INTO revops.event (event_id, occurred_at, rep, kind, object, person) VALUES (md5('after')::uuid, '2026-01-30 14:00Z', 'r', 'k', 'after', 'cfo');
SELECT * FROM c.caught();
UPDATE revops.account SET properties = '{"tier": 1, "tags": ["vip", "eu"]}' WHERE account = 'a1';

-- signals use the same conditions; a session that has never compiled them knows what to ask for
SELECT c.again();
SELECT revops.put_signal('vip', 'interest', 1, '{"account.properties.tags": "vip", "intent": "delivery"}', subjects => '{account}') AS version;
INSERT INTO revops.event (occurred_at, kind, person, properties) VALUES ('2026-01-30 13:00Z', 'k', 'cfo', '{"intents": ["delivery"]}'), ('2026-01-30 13:00Z', 'k', 'cfo', '{}');
\c -
SET revops.as_of = '2026-01-31 09:00+08';
SELECT revops.process();
SELECT subject_kind, subject, intent, events FROM revops.intent_state;

-- refused, with the place and what would do
SELECT revops.check_match('{"account.colour": "red"}');
SELECT revops.check_match('{"person.": "x"}');
SELECT revops.check_match('{"person.properties.": "x"}');
SELECT revops.check_match('{"any": [{"kind": "a"}, {"opportunity.stag": "x"}]}');
SELECT revops.check_match('{"rep.name": "x"}');
SELECT revops.check_match('{"account.open_opportunity": "yes"}');
SELECT revops.check_match('{"account.open_opportunity": {"gt": true}}');
SELECT revops.check_match('{"opportunity.amount": "much"}');
SELECT revops.check_match('{"opportunity.amount": {"like": "1%"}}');
SELECT revops.check_match('{"account.segment": {"gt": 3}}');
SELECT revops.check_match('{"account.segment": null}');
SELECT revops.check_match('{"sentiment": "good"}');
SELECT revops.check_match('{"sentiment": {"gt": "0"}}');
SELECT revops.check_match('{"intent": 3}');
SELECT revops.check_match('{"intent": {"gte": "a"}}');
SELECT revops.check_match('{"intents": "a"}');
SELECT revops.check_match($${"not": {"local_time": {"from": "22:00",
                                                   "to": "6"}}}$$);
SELECT revops.check_match('{"local_time": "22:00"}');
SELECT revops.check_match('{"all": [{"local_time": {"days": ["fri"], "time_zone": 8}}]}');

SELECT c.again();
DELETE FROM revops.signal WHERE signal = 'vip';
TRUNCATE revops.person, revops.account, revops.opportunity, revops.intent_state, revops.repair_request;
SET client_min_messages = warning;
DROP SCHEMA c CASCADE;
