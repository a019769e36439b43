-- A small company that sells planning software in China and in Europe: who is who, what counts as interest, which moments make a card.
-- Everything is a function of row numbers, so each run has the same company.

INSERT INTO revops.territory (territory, name, director, time_zone) VALUES
    ('east', '华东', 'zhou.lan', 'Asia/Shanghai'), ('south', '华南', 'huang.wei', 'Asia/Shanghai'), ('emea', 'EMEA', 'emma.clarke', 'Europe/London');

SELECT revops.put_calendar('cn', 'Asia/Shanghai', '{"mon-fri": "08:30-21:00", "sat-sun": "09:30-18:00"}');
SELECT revops.put_calendar('uk', 'Europe/London', '{"mon-fri": "08:00-18:30", "sat": "10:00-14:00"}');
SELECT revops.put_calendar('always', 'UTC', '{"mon-sun": "00:00-24:00"}');

INSERT INTO revops.unit (unit, name, territory, coach, calendar) VALUES
    ('east-1', '华东一组', 'east', 'li.na', 'cn'), ('east-2', '华东二组', 'east', 'chen.jie', 'cn'), ('south-1', '华南一组', 'south', 'he.jing', 'cn'),
    ('emea-1', 'EMEA Enterprise', 'emea', 'sophie.martin', 'uk'), ('emea-2', 'EMEA Mid-market', 'emea', 'jonas.weber', 'uk'),
    ('desk', 'Sales desk 销售台', NULL, NULL, 'always');

-- skill: how often the player has this rep answer, and how fast
INSERT INTO revops.rep (rep, name, unit, capacity, properties) VALUES
    ('li.na', '李娜', 'east-1', 12, '{"skill": 0.95}'), ('wang.qiang', '王强', 'east-1', 12, '{"skill": 0.9}'), ('zhao.min', '赵敏', 'east-1', 12, '{"skill": 0.7}'),
    ('chen.jie', '陈杰', 'east-2', 12, '{"skill": 0.9}'), ('yang.fan', '杨帆', 'east-2', 12, '{"skill": 0.55}'), ('wu.di', '吴迪', 'east-2', 12, '{"skill": 0.8}'),
    ('lin.tao', '林涛', 'south-1', 12, '{"skill": 0.85}'), ('he.jing', '何静', 'south-1', 12, '{"skill": 0.9}'), ('guo.rui', '郭锐', 'south-1', 12, '{"skill": 0.6}'),
    ('sophie.martin', 'Sophie Martin', 'emea-1', 12, '{"skill": 0.95}'), ('tom.baker', 'Tom Baker', 'emea-1', 12, '{"skill": 0.75}'),
    ('jonas.weber', 'Jonas Weber', 'emea-2', 12, '{"skill": 0.85}'), ('lucia.rossi', 'Lucia Rossi', 'emea-2', 12, '{"skill": 0.9}'), ('ian.murray', 'Ian Murray', 'emea-2', 12, '{"skill": 0.5}'),
    ('zhou.lan', '周岚', NULL, NULL, '{"skill": 1}'), ('huang.wei', '黄伟', NULL, NULL, '{"skill": 1}'), ('emma.clarke', 'Emma Clarke', NULL, NULL, '{"skill": 1}'),
    ('mei.lin', '林梅', 'desk', NULL, '{"skill": 0.8}'), ('sam.cole', 'Sam Cole', 'desk', NULL, '{"skill": 0.7}');
INSERT INTO revops.duty (unit, territory) VALUES ('east-2', 'east'), ('south-1', 'south'), ('emea-2', 'emea'), ('desk', NULL);

INSERT INTO revops.account (account, name, owner, territory, segment, industry, time_zone)
SELECT format('A%s', lpad(n::text, 3, '0')), name,
       CASE WHEN n % 6 = 0 THEN NULL      -- nobody owns it: the unit on duty answers
            ELSE (SELECT r.rep FROM revops.rep r JOIN revops.unit u USING (unit) WHERE u.territory = x.territory
                  ORDER BY r.rep OFFSET n % (SELECT count(*) FROM revops.rep r JOIN revops.unit u USING (unit) WHERE u.territory = x.territory) LIMIT 1) END,
       territory, (ARRAY['enterprise', 'mid', 'small'])[n % 3 + 1], (ARRAY['manufacturing', 'bank', 'retail', 'logistics'])[n % 4 + 1],
       CASE territory WHEN 'emea' THEN (ARRAY['Europe/London', 'Europe/Berlin', 'Europe/Paris'])[n % 3 + 1] ELSE 'Asia/Shanghai' END
FROM unnest(ARRAY['晨光制造', '海岳银行', '云帆物流', '青禾零售', '东方重工', '星河电子', '江南食品', '恒远证券', '百川化工', '长风汽车', '瑞安医药', '华章出版',
                  '粤海港务', '岭南家电', '珠江保险', '鹏程科技', '南粤能源', '荔湾服饰', '深蓝半导体', '湾区航运',
                  'Bluebird Logistics', 'Harrow & Finch', 'Nordwind Stahl', 'Café Lumière', 'Albion Bank', 'Rheingold Retail', 'Tidewater Foods', 'Orchard Pharma', 'Meridian Rail', 'Ostend Textiles'])
     WITH ORDINALITY AS a (name, n),
     LATERAL (SELECT CASE WHEN n <= 12 THEN 'east' WHEN n <= 20 THEN 'south' ELSE 'emea' END AS territory) x;

INSERT INTO revops.person (person, account, name, title)
SELECT format('P%s', lpad((row_number() OVER (ORDER BY a.account, k))::text, 3, '0')), a.account,
       CASE WHEN a.territory = 'emea'
            THEN (ARRAY['Olivia', 'Max', 'Clara', 'Hugo', 'Freya', 'Paul', 'Ines', 'Oscar', 'Amelie', 'Finn'])[(ord * 3 + k * 7) % 10 + 1] || ' ' ||
                 (ARRAY['Hughes', 'Schmidt', 'Laurent', 'Novak', 'Byrne', 'Keller', 'Costa', 'Jansen', 'Price', 'Moreau', 'Lind'])[(ord * 5 + k * 3) % 11 + 1]
            ELSE (ARRAY['张', '刘', '孙', '马', '朱', '胡', '高', '罗', '郑', '梁', '谢'])[(ord * 5 + k * 3) % 11 + 1] ||
                 (ARRAY['伟', '芳', '建国', '秀英', '磊', '静怡', '志强', '丽华', '晓明', '雨桐'])[(ord * 3 + k * 7) % 10 + 1] END,
       CASE WHEN a.territory = 'emea' THEN (ARRAY['Head of Operations', 'Security Officer', 'Purchasing Manager', 'CFO'])[k]
            ELSE (ARRAY['运营总监', '信息安全主管', '采购经理', '财务总监'])[k] END
FROM (SELECT a.*, substr(a.account, 2)::int AS ord FROM revops.account a) a, generate_series(1, 4) k
WHERE k <= 2 + ord % 3 AND (k < 4 OR ord % 2 = 0);

INSERT INTO revops.opportunity (opportunity, account, name, owner, stage, amount, opened_at)
SELECT 'O' || substr(account, 2), account, name || CASE WHEN territory = 'emea' THEN ' planning suite' ELSE ' 智能排产' END, owner,
       (ARRAY['discovery', 'evaluation', 'proposal', 'negotiation'])[ord % 4 + 1], 40000 + ord * 7919 % 260000, now() - ord * interval '3 days'
FROM (SELECT a.*, substr(a.account, 2)::int AS ord FROM revops.account a) a WHERE ord % 5 < 3;

-- what counts as interest, and in what
SELECT revops.put_signal('compares', 'evaluation', 3, '{"kind": "page_view", "object": {"prefix": "/compare"}}', '5 days', 15);
SELECT revops.put_signal('reads a case', 'evaluation', 1, '{"kind": "page_view", "object": {"prefix": "/cases/"}}', daily_cap => 5);
SELECT revops.put_signal('long on pricing', 'price', 4, '{"kind": "page_view", "object": "/pricing", "dwell": {"gt": "45s"}}', '3 days', 12);
SELECT revops.put_signal('glances at pricing', 'price', 1, '{"kind": "page_view", "object": "/pricing", "dwell": {"lte": "45s"}}', daily_cap => 4);
SELECT revops.put_signal('asks the price', 'price', 6, '{"kind": "message", "side": "customer", "any": [{"body": {"like": "%价格%"}}, {"body": {"like": "%报价%"}}, {"body": {"like": "%price%"}}, {"body": {"like": "%quote%"}}]}');
SELECT revops.put_signal('reads on security', 'security_review', 3, '{"kind": ["page_view", "download"], "object": {"prefix": "/docs/security"}}', '10 days', 12);
SELECT revops.put_signal('asks about security', 'security_review', 5, '{"kind": "message", "any": [{"body": {"like": "%安全%"}}, {"body": {"like": "%GDPR%"}}]}');
SELECT revops.put_signal('searches', 'evaluation', 1, '{"kind": "search"}', daily_cap => 4);
SELECT revops.put_signal('calls us', 'urgency', 8, '{"kind": "call", "side": "customer"}', '2 days');
SELECT revops.put_signal('writes at night', 'urgency', 3, '{"kind": ["search", "message"], "properties.night": true}');

-- what a rep does about it
SELECT revops.put_playbook('comparison', '{{person}} ({{account}}) is comparing us: {{object}}', $$[
  {"title": "Call with the comparison sheet", "channel": "call", "message": "Hello {{person}}, may I go through the comparison with you?", "fits": {"segment": "enterprise", "stage": ["evaluation", "proposal"]}},
  {"title": "微信发送对比表", "channel": "wecom", "message": "{{person}}您好，您关注的对比资料我整理好了，方便发您吗？", "fits": {"territory": ["east", "south"]}},
  {"title": "Send a customer story of the industry", "channel": "email", "message": "Dear {{person}}, how others of your industry decided.", "fits": {"industry": ["manufacturing", "logistics"]}},
  {"title": "Offer a trial account", "channel": "email", "message": "Dear {{person}}, try it with your own data.", "fits": {"segment": ["mid", "small"]}}]$$);
SELECT revops.put_playbook('pricing', '{{person}} ({{account}}) is studying the prices', $$[
  {"title": "Call with a quote", "channel": "call", "message": "Hello {{person}}, shall we work out your quote?", "fits": {"stage": ["proposal", "negotiation"]}},
  {"title": "微信发送报价", "channel": "wecom", "message": "{{person}}您好，{{account}}的报价方案我可以今天给到您。", "fits": {"territory": ["east", "south"]}},
  {"title": "Send the total-cost sheet", "channel": "email", "message": "Dear {{person}}, what it costs over three years.", "fits": {"title": {"like": "%CFO%"}}}]$$);
SELECT revops.put_playbook('night', '{{person}} ({{account}}) searched late at night', $$[
  {"title": "Call first thing in the morning", "channel": "call", "message": "Good morning {{person}}, what were you looking for?", "fits": {"intent": ["urgency", "price"]}},
  {"title": "微信问候并附资料", "channel": "wecom", "message": "{{person}}您好，昨晚您查找的资料在这里。", "fits": {"territory": ["east", "south"]}},
  {"title": "Write with the answer", "channel": "email", "message": "Dear {{person}}, this is what you looked for."}]$$);
SELECT revops.put_playbook('chat', '{{person}} ({{account}}) asks, and waits', $$[
  {"title": "Answer in the chat", "channel": "wecom", "message": "{{person}}, I am here."},
  {"title": "Call back", "channel": "call", "message": "Hello {{person}}, you just wrote to us.", "fits": {"segment": "enterprise"}},
  {"title": "Hand over to presales", "channel": "wecom", "message": "{{person}}, our engineer joins us.", "fits": {"intent": "security_review"}}]$$,
  '1 minute', 'always', '[{"share": 0.25, "role": "owner"}, {"share": 0.5, "role": "coach"}, {"share": 1, "role": "director"}]');
SELECT revops.put_playbook('committee', 'Several people of {{account}} are evaluating', $$[
  {"title": "Invite them all to a workshop", "channel": "meeting", "message": "A workshop for {{account}}?", "fits": {"segment": "enterprise"}},
  {"title": "拜访客户", "channel": "visit", "message": "约{{account}}的几位一起聊聊。", "fits": {"territory": ["east", "south"]}},
  {"title": "Send the evaluation kit", "channel": "email", "message": "Everything that {{account}} needs to decide."}]$$, '2 hours');

-- when; of visitors who are not known yet there is nobody to call: silent_high_intent lists them
SELECT revops.put_rule('long comparison', '{"title": "Over 90 seconds on the comparison table", "when": {"kind": "page_view", "side": "customer", "account": {"exists": true}, "object": {"prefix": "/compare"}, "dwell": {"gt": "90s"}}, "cooldown": "24 hours", "strength": 0.7, "playbook": "comparison"}');
SELECT revops.put_rule('compares again', '{"title": "Three looks at the comparison within 30 minutes", "when": {"kind": "page_view", "side": "customer", "account": {"exists": true}, "object": {"prefix": "/compare"}}, "count": {"at_least": 3, "within": "30 minutes"}, "cooldown": "48 hours", "strength": 0.85, "playbook": "comparison"}');
SELECT revops.put_rule('studies prices', '{"title": "Three minutes on the prices in a session", "when": {"kind": "page_view", "side": "customer", "account": {"exists": true}, "object": {"prefix": "/pricing"}}, "sum": {"of": "dwell", "at_least": "3 minutes", "within": "30 minutes"}, "cooldown": "24 hours", "strength": 0.8, "playbook": "pricing"}');
SELECT revops.put_rule('night search', '{"title": "A search late at night", "when": {"kind": "search", "side": "customer"}, "local_time": {"from": "22:00", "to": "06:00"}, "cooldown": "12 hours", "strength": 0.6, "playbook": "night"}');
SELECT revops.put_rule('asks in chat', '{"title": "A question in the chat", "when": {"kind": "message", "side": "customer", "channel": ["wecom", "dingtalk", "app"]}, "cooldown": "30 minutes", "strength": 0.9, "playbook": "chat"}');
SELECT revops.put_rule('committee', '{"title": "The account looks at ten pages of cases, comparison and security within two days", "per": "account", "when": {"kind": ["page_view", "download"], "side": "customer", "any": [{"object": {"prefix": "/cases/"}}, {"object": {"prefix": "/compare"}}, {"object": {"prefix": "/docs/security"}}]}, "count": {"at_least": 10, "within": "48 hours"}, "cooldown": "72 hours", "strength": 0.95, "playbook": "committee"}');
