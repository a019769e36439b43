-- What the examples of the reference start from: a small company, with one customer who studies the prices.
INSERT INTO revops.territory (territory, name, director, time_zone) VALUES ('east', 'East', 'dina', 'Asia/Shanghai');
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('u1', 'Unit One', 'east', 'cora');
INSERT INTO revops.rep (rep, name, unit) VALUES ('rita', 'Rita', 'u1'), ('cora', 'Cora', 'u1'), ('dina', 'Dina', NULL);
INSERT INTO revops.account (account, name, owner, territory) VALUES ('acme', 'Acme', 'rita', 'east');
INSERT INTO revops.person (person, account, name) VALUES ('ada', 'acme', 'Ada');
INSERT INTO revops.opportunity (opportunity, account, owner, stage, amount) VALUES ('deal-1', 'acme', 'rita', 'proposal', 50000);
SELECT revops.put_calendar('cn', 'Asia/Shanghai');
SELECT revops.put_signal('price page', 'price', 1, '{"kind": "page_view", "object": {"prefix": "/pricing"}}');
SELECT revops.put_intent('price_objection', '{"title": "Too expensive", "patterns": [{"include": "too expensive"}, {"regex": "over (our|the) budget"}],
  "examples": {"en": {"positive": ["This is too expensive for us."], "negative": ["What does it cost?"]}}}');
SELECT revops.publish_intents();
SELECT revops.put_playbook('pricing', '{{person}} is studying the prices', '[{"title": "Call with a quote", "channel": "call", "message": "Hello {{person}}"}]');
SELECT revops.put_rule('price study', '{"when": {"kind": "page_view", "object": {"prefix": "/pricing"}}, "count": {"at_least": 3, "within": "1 hour"}, "playbook": "pricing"}');
SELECT revops.track('page_view', person => 'ada', object => '/pricing', dwell => '2 minutes', occurred_at => revops.now() - n * interval '2 minutes') FROM generate_series(1, 4) n;
SELECT revops.track('message', person => 'ada', channel => 'email', body => 'I like it, but it is too expensive.');
SELECT revops.process();
CREATE TABLE labelled (text text, label text);
INSERT INTO labelled SELECT x || ' ' || n, l FROM generate_series(1, 20) n,
    (VALUES ('please send the invoice again number', 'billing'), ('the payment of the bill failed for order', 'billing'),
            ('the app crashes when I open page', 'bug'), ('there is an error on screen', 'bug')) v (x, l);
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM labelled');
