-- moment rules: what is accepted, what is refused and where, versions
SET revops.as_of = '2026-01-31 09:00+08';

-- accepted
SELECT revops.check_rule('{"when": {"kind": "page_view", "dwell": {"gt": "90s"}}}');
SELECT revops.check_rule($$
{"title": "Three looks at the comparison", "per": "person",
 "when": {"kind": "page_view", "object": {"like": "/compare%"}, "channel": ["web", "app"], "side": {"ne": "rep"},
          "properties.price": {"gte": 1.5, "lt": 1e3}, "properties.plan": "pro", "properties.trial": true,
          "properties.page.path": {"prefix": "/compare"}, "rep": {"exists": false}, "body": {"like": "%price%"},
          "all": [{"person": {"exists": true}}, {"account": {"in": ["a", "b"]}}],
          "any": [{"dwell": {"gte": "0s"}}, {"opportunity": "o-1"}], "not": {"properties.bot": true}},
 "count": {"at_least": 3, "within": "1 hour 30 minutes"},
 "local_time": {"from": "22:00", "to": "06:00", "days": ["fri", "sat"], "time_zone": "Asia/Shanghai"},
 "cooldown": "24 hours", "strength": 0.8, "playbook": "comparison"}$$);
SELECT revops.check_rule('{"sum": {"of": "dwell", "at_least": "3 minutes", "within": "30m"}, "per": "account"}');
SELECT revops.check_rule('{"sum": {"of": "properties.amount", "at_least": 10.5, "within": "1.5 days"}, "per": "rep"}');
SELECT revops.check_rule('{"when": {"kind": "search"}, "local_time": {"from": "00:00", "to": "24:00", "days": ["Mon"]}}');

-- refused: not a rule at all
SELECT revops.check_rule('[]');
SELECT revops.check_rule('3');
SELECT revops.check_rule('{}');
SELECT revops.check_rule('{"when": {}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "when": {"kind": "b"}}');
SELECT revops.check_rule('{"when": {"kind": "\u0000"}}');
SELECT revops.check_rule((repeat('[', 40) || repeat(']', 40))::json);
SELECT revops.check_rule(('{"title": "' || repeat('x', 300000) || '"}')::json);
SELECT revops.check_rule('{"when": {"kind": "a"}}', '');
SELECT revops.check_rule(NULL);

-- refused: keys
SELECT revops.check_rule($$
{
  "title": "多看了一眼", "wehn": {"kind": "page_view"}
}$$, 'typo');
SELECT revops.check_rule($${"when": {"kind": "page_view",
          "objekt": "/compare"}}$$);
SELECT revops.check_rule('{"when": {"properties.": 1}}');
SELECT revops.check_rule('{"when": {"object": {"likes": "/compare%"}}}');
SELECT revops.check_rule('{"when": {"kind": {"gt": "a"}}}');
SELECT revops.check_rule('{"when": {"dwell": {"like": "9%"}}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "count": {"atleast": 3, "within": "1h"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"tz": "UTC"}}');

-- refused: values
SELECT revops.check_rule('{"when": {"kind": 3}}');
SELECT revops.check_rule('{"when": {"kind": null}}');
SELECT revops.check_rule('{"when": {"kind": []}}');
SELECT revops.check_rule('{"when": {"kind": {}}}');
SELECT revops.check_rule('{"when": {"kind": ["a", "b", 3]}}');
SELECT revops.check_rule('{"when": "page_view"}');
SELECT revops.check_rule('{"when": {"dwell": {"gt": 90}}}');
SELECT revops.check_rule('{"when": {"dwell": {"gt": "90 lightyears"}}}');
SELECT revops.check_rule('{"when": {"object": {"like": "abc\\"}}}');
SELECT revops.check_rule('{"when": {"properties.x": {"gt": "5"}}}');
SELECT revops.check_rule('{"when": {"properties.x": {"eq": [1]}}}');
SELECT revops.check_rule('{"when": {"rep": {"exists": "no"}}}');
SELECT revops.check_rule('{"when": {"any": []}}');
SELECT revops.check_rule('{"when": {"all": [{"kind": "a"}, {"not": {"kind": 1}}]}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "per": "visitor"}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "title": ""}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "strength": 1.5}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "cooldown": "0s"}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "cooldown": "4000 days"}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "count": {"at_least": 3}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "count": {"at_least": 0, "within": "1h"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "count": {"at_least": 2000, "within": "1h"}}');
SELECT revops.check_rule($${"when": {"kind": "a"}, "count": {"at_least": 2, "within": "1h"},
  "streak": {"days": 3}}$$);
SELECT revops.check_rule('{"sum": {"of": "clicks", "at_least": 3, "within": "1h"}}');
SELECT revops.check_rule('{"sum": {"of": "dwell", "at_least": 3, "within": "1h"}}');
SELECT revops.check_rule('{"sum": {"of": "properties.n", "at_least": -1, "within": "1h"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"from": "22:00"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"from": "22:00", "to": "25:00"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"from": "22:00", "to": "22:00"}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"days": ["mon", "someday"]}}');
SELECT revops.check_rule('{"when": {"kind": "a"}, "local_time": {"days": ["mon"], "time_zone": "Asia/Atlantis"}}');
SELECT revops.check_rule($${"when": {"any": [{"kind": "a"},
                  {"object": {"in": ["x",
                                     7]}}]}}$$);
SET revops.time_zone = 'Mars/Olympus';

-- versions
SELECT revops.put_rule('looks', '{"when": {"kind": "page_view"}}');
SELECT revops.put_rule('looks', '{"when":   {"kind": "page_view"}}');
SELECT revops.put_rule('looks', '{"title": "Looks", "per": "account", "when": {"kind": "page_view"}, "playbook": "p"}');
SELECT rule, title, per, playbook, version FROM revops.rule WHERE rule = 'looks';
SELECT version, title, definition, valid_to = 'infinity' AS current, created_at, created_by = session_user AS mine
FROM revops.moment_rule WHERE rule = 'looks' ORDER BY version;
SELECT a.valid_to = b.valid_from AS follows FROM revops.moment_rule a JOIN revops.moment_rule b USING (rule)
WHERE rule = 'looks' AND a.version = 1 AND b.version = 2;
SELECT revops.drop_rule('looks');
SELECT revops.drop_rule('looks');
SELECT count(*) FROM revops.rule WHERE rule = 'looks';
SELECT revops.put_rule('looks', '{"when": {"kind": "page_view"}}');
\set VERBOSITY terse
SELECT revops.put_rule('looks', '{"when": {"kin": "page_view"}}');
\set VERBOSITY default
SELECT version, title, per, playbook FROM revops.rule WHERE rule = 'looks';
DELETE FROM revops.moment_rule WHERE rule = 'looks';
