-- A company with something of everything, for the move to another major version (moves.sh); test/demo/company.sql has been run before.
-- All is a function of row numbers and fixed times, so that each database that runs this has the same company.
UPDATE revops.opportunity SET opened_at = '2026-02-01 09:00+08'::timestamptz + substr(opportunity, 2)::int * interval '5 hours';
UPDATE revops.rep SET login = CASE rep WHEN 'li.na' THEN 'rep_li' WHEN 'zhou.lan' THEN 'rep_zhou' WHEN 'sam.cole' THEN 'rep_sam' END WHERE rep IN ('li.na', 'zhou.lan', 'sam.cole');
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, deny) VALUES
    ('rep', 'sam.cole', 'read', 'industry', 'bank', false), ('rep', 'li.na', 'read', 'account', 'A004', true);
INSERT INTO revops.skill (skill, dimension, intents) VALUES ('banking', 'industry_knowledge', '{price}'), ('security', 'technical_understanding', NULL);
INSERT INTO revops.rep_skill SELECT rep, CASE WHEN n % 2 = 0 THEN 'banking' ELSE 'security' END, 1 + n % 5 FROM (SELECT rep, row_number() OVER (ORDER BY rep) AS n FROM revops.rep) r;
INSERT INTO revops.account_need SELECT account, 'banking', 3, true, 1 FROM revops.account WHERE industry = 'bank';
INSERT INTO revops.absence (rep, starts_at, ends_at) VALUES ('zhao.min', '2026-03-05 00:00+08', '2026-03-20 00:00+08');

-- patterns that wait, at the end or half-way
SELECT revops.put_rule('silent after pricing', '{"title": "Saw the price, has not called since", "sequence": {"steps": [{"when": {"kind": "page_view", "object": "/pricing"}}, {"absent": {"kind": "call"}, "for": "40 hours"}]}, "cooldown": "5 days", "playbook": "pricing"}');
SELECT revops.put_rule('compare then price', '{"title": "From the comparison to the price, across days", "sequence": {"steps": [{"as": "a", "when": {"kind": "page_view", "object": {"prefix": "/compare"}}}, {"when": {"kind": "download"}, "times": 2}, {"when": {"kind": "page_view", "object": "/pricing"}}], "within": "6 days"}, "intent": {"intent": "price", "weight": 5}, "playbook": "comparison"}');
SELECT revops.put_rule('three days', '{"title": "Three days in a row", "when": {"kind": "page_view", "side": "customer"}, "streak": {"days": 3}, "once": "per_episode"}');
SELECT revops.put_rule('dodged price', '{"title": "Asked for the price, and was not answered", "per": "account", "sequence": {"steps": [{"when": {"side": "customer", "intent": "too dear"}}, {"when": {"side": "rep", "not": {"intent": "too dear"}}, "times": 2}], "within": "8 days"}, "playbook": "chat", "tell": ["coach"]}');
SELECT revops.put_rule('wide account', '{"title": "Six objects in four days", "per": "opportunity", "when": {"side": "customer"}, "distinct": {"of": "object", "at_least": 6, "within": "4 days"}, "cooldown": "2 days"}');

-- words and a model of texts
SELECT revops.put_intent('too dear', '{"topic": "price", "patterns": [{"lang": "zh", "include": "太贵"}, {"lang": "zh", "exclude": "不太贵"}, {"lang": "en", "regex": "too (expensive|pricey|dear)"}, {"lang": "en", "include": "costs", "near": "much", "within": 12}]}');
SELECT revops.put_intent('data safety', '{"topic": "security", "sides": ["customer"], "patterns": [{"include": "GDPR"}, {"lang": "zh", "include": "数据安全"}, {"regex": "encr?ypt(s|ed|ion)?"}]}');
SELECT revops.add_intents('{price}') > 0 AS intents_added;
SELECT revops.put_signal('says it is dear', 'price', 5, '{"intent": "too dear"}', daily_cap => 10);
CREATE TABLE crm_said (label text, text text);
INSERT INTO crm_said
SELECT l, format(t, w)
FROM (VALUES ('too dear', 'the %s costs too much money'), ('too dear', '%s 的报价超出我们的承受能力'), ('too dear', 'the %s is more expensive than others'),
             ('data safety', 'is our data encrypted in the %s'), ('data safety', '%s 的数据加密吗，权限怎么管'), ('data safety', 'who may read the records of the %s'),
             ('weather', 'what lovely sunshine by the %s'), ('weather', '%s 那边今天下雨'), ('weather', 'it rains on the %s again'),
             ('oos', 'hello, how is the %s'), ('oos', '%s 你好'), ('oos', 'thank you, see you at the %s')) x (l, t),
     unnest(ARRAY['basic plan', 'gateway', 'pump', 'licence', '网关', '套餐', 'server', 'module']) w;
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM crm_said');
SELECT revops.use_model('topics');
SELECT revops.publish_intents();

-- a model of deals, and one of stages
CREATE TABLE crm_past AS SELECT n % 7 AS contacts, n * 1.5 AS budget, 'source ' || n % 3 AS source, n * 7919 % 5 + n % 7 > 5 AS label FROM generate_series(1, 400) n;
SELECT revops.train('deal', 'predict', 'SELECT * FROM crm_past');
SELECT revops.put_pipeline('sales', '{"title": "Sales", "default": true, "stages": [{"stage": "discovery", "days": 5, "symbols": ["page_view"]}, {"stage": "evaluation", "days": 7, "symbols": ["download"]},
    {"stage": "proposal", "days": 9, "symbols": ["call"]}, {"stage": "negotiation", "days": 6, "symbols": ["message"]}, {"stage": "won", "kind": "won", "symbols": ["contract"]}, {"stage": "lost", "kind": "lost"}],
    "moves": [["discovery", "evaluation"], ["evaluation", "proposal"], ["proposal", "negotiation"], ["negotiation", "won"], ["discovery", "lost"], ["evaluation", "lost"], ["proposal", "lost"], ["negotiation", "lost"]]}');
CREATE TABLE crm_path AS
SELECT 'h' || c AS "case", '2025-01-01'::timestamptz + c * interval '1 day' + k * interval '26 hours' AS at,
       CASE WHEN (c * 7 + k * 3) % 11 = 0 THEN 'search' ELSE (ARRAY['page_view', 'download', 'call', 'message', 'contract'])[1 + k / 3] END AS symbol,
       (ARRAY['discovery', 'evaluation', 'proposal', 'negotiation', 'won'])[1 + k / 3] AS stage
FROM generate_series(1, 120) c, generate_series(0, 14) k;
SELECT revops.train_stages('sales', 'SELECT * FROM crm_path');

-- tables of the company's own
CREATE SCHEMA crm;
CREATE TABLE crm.deal (id int PRIMARY KEY, company text, phase text, worth int, rival text);
CREATE TABLE crm.chat (no int PRIMARY KEY, who text, said text, at timestamptz);
INSERT INTO crm.deal SELECT n, format('A%s', lpad(n::text, 3, '0')), 'discovery', n * 1000, NULL FROM generate_series(1, 30) n;
SELECT revops.attach('crm.deal', 'opportunity', '{"opportunity": "''D'' || id", "account": "company", "stage": "phase", "amount": "worth", "properties": {"rival": "rival"}}', write_back => true);
SELECT revops.attach('crm.chat', 'event', '{"kind": "''message''", "occurred_at": "at", "person": "who", "channel": "''wecom''", "body": "said"}');
SELECT revops.apply_attachments() IS NOT NULL AS applied;
SELECT revops.make_partitions(since => '2026-02-01') IS NOT NULL AS partitions;

-- what customers do and reps say between two times: about one event in five minutes, one in ten of them known only hours later
CREATE FUNCTION public.happen(since timestamptz, until timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    INSERT INTO revops.event (event_id, occurred_at, received_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body)
    SELECT md5('event ' || g)::uuid, x.at, x.at, CASE WHEN h % 23 = 0 THEN 'v-' || h % 7 ELSE 'P' || lpad((1 + h % 80)::text, 3, '0') END,
           CASE WHEN h % 3 = 0 THEN 'A' || lpad((1 + h % 30)::text, 3, '0') END, CASE WHEN h % 4 = 0 THEN 'D' || 1 + h % 30 END, CASE WHEN side = 'rep' THEN (ARRAY['li.na', 'wang.qiang', 'lin.tao', 'tom.baker'])[1 + h % 4] END,
           side, CASE WHEN k IN ('message', 'call') THEN 'wecom' ELSE 'web' END, k,
           CASE WHEN k IN ('page_view', 'download') THEN (ARRAY['/pricing', '/compare/table', '/docs/security', '/cases/bank', '/', '/blog/2', '/product', '/pricing/calculator'])[1 + h / 7 % 8] END,
           CASE WHEN k = 'page_view' THEN make_interval(secs => h % 170) END,
           CASE WHEN k IN ('message', 'search') THEN (ARRAY['这个太贵了', 'your server costs too much money', 'Is the data encrypted?', '数据安全怎么保证？', 'thank you, see you', '能给一个正式报价吗？', 'It is too expensive for us', '预算大概50万，下个月底决定'])[1 + h / 11 % 8] END
    FROM generate_series(0, 20000) g,
         LATERAL (SELECT ('x' || substr(md5('h' || g), 1, 7))::bit(28)::int AS h) a,
         LATERAL (SELECT '2026-03-02 09:00+08'::timestamptz + g * interval '5 minutes' AS known) b,
         LATERAL (SELECT known - CASE WHEN h % 10 = 0 THEN h % 600 * interval '1 minute' ELSE interval '0' END AS at,
                         (ARRAY['page_view', 'page_view', 'page_view', 'download', 'search', 'message', 'message', 'call'])[1 + h / 5 % 8] AS k,
                         CASE WHEN h % 6 = 0 AND h / 5 % 8 >= 5 THEN 'rep' ELSE 'customer' END AS side) x
    WHERE known > since AND known <= until;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
