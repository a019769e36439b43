-- 20 signals over 8 intents and 10 rules of all sorts; accounts and people for the feed
SELECT count(revops.put_signal('s' || g, 'intent' || g % 8, 1 + g % 5, json_build_object('kind', 'k' || g, 'channel', 'web'),
	daily_cap => CASE WHEN g % 10 = 0 THEN 20 END)) AS signals
FROM generate_series(1, 20) g;
SELECT count(revops.put_rule('count' || g, json_build_object('title', 'Count ' || g,
	'when', json_build_object('kind', 'k' || g, 'object', json_build_object('prefix', '/p' || g % 7)),
	'count', json_build_object('at_least', 3 + g % 3, 'within', '30 minutes'), 'cooldown', '1 day'))) AS count_rules
FROM generate_series(1, 6) g;
SELECT count(revops.put_rule('dwell' || g, json_build_object('title', 'Dwell ' || g,
	'when', json_build_object('kind', 'k' || g + 10, 'dwell', json_build_object('gt', (90 + g) || 's'))))) AS dwell_rules
FROM generate_series(1, 2) g;
SELECT revops.put_rule('sum', '{"title": "Sum", "when": {"kind": ["k1", "k2", "k3"]},
	"sum": {"of": "dwell", "at_least": "3 minutes", "within": "30 minutes"}, "cooldown": "1 day"}');
SELECT revops.put_rule('night', '{"title": "Night", "when": {"kind": "k20"},
	"local_time": {"from": "22:00", "to": "06:00", "time_zone": "Asia/Shanghai"}, "cooldown": "1 day"}');
INSERT INTO revops.account (account) SELECT 'a' || g FROM generate_series(1, 20000) g;
INSERT INTO revops.person (person, account) SELECT 'p' || g, 'a' || 1 + g % 20000 FROM generate_series(1, 60000) g;
