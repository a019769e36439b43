-- some of everything that a user of the first release has; what a later release adds, its test adds
SET revops.as_of = '2026-03-02 10:00+00';
INSERT INTO revops.territory (territory, name, director) VALUES ('east', 'East', 'dina');
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('u1', 'One', 'east', 'cora');
INSERT INTO revops.rep (rep, name, unit) VALUES ('rita', 'Rita', 'u1'), ('cora', 'Cora', 'u1'), ('dina', 'Dina', 'u1');
INSERT INTO revops.account (account, name, owner, territory) VALUES ('acme', 'Acme', 'rita', 'east');
INSERT INTO revops.person (person, account, name) VALUES ('ada', 'acme', 'Ada');
INSERT INTO revops.opportunity (opportunity, account, owner, stage) VALUES ('o1', 'acme', 'rita', 'proposal');
INSERT INTO revops.duty (unit, territory) VALUES ('u1', 'east');
SELECT revops.put_calendar('cn', 'Asia/Shanghai');
SELECT revops.put_signal('visit', 'interest', 1, '{"kind": "page_view"}');
SELECT revops.put_playbook('call', 'Call', '[{"title": "Call", "channel": "call", "message": "Hello {{person}}"}]');
SELECT revops.put_rule('pricing twice', '{"when": {"kind": "page_view", "object": {"prefix": "/pricing"}}, "count": {"at_least": 2, "within": "7 days"}, "playbook": "call"}');
SELECT revops.track('page_view', person => 'ada', object => '/pricing', occurred_at => '2026-03-02 09:50+00'::timestamptz + n * interval '1 minute') FROM generate_series(1, 5) n;
SELECT revops.process();
