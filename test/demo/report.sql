-- What a sales director looks at.
\pset footer off
\pset null ''
\pset linestyle unicode
SET client_min_messages = warning;
\echo
\echo '== Moments of the last days, and how they were answered (revops.moment_board)'
SELECT CASE level WHEN 'territory' THEN t.name WHEN 'unit' THEN '  ' || coalesce(u.name, '(no unit)') ELSE '    ' || coalesce(r.name, '(nobody)') END AS who,
       moments, cards, open_cards AS open, due, answered_in_line AS in_line, round(response_rate * 100) || ' %' AS rate,
       date_trunc('second', median_response_time) AS median, mature, converted, round(conversion_rate * 100) || ' %' AS conv, immature
FROM revops.moment_board b LEFT JOIN revops.territory t USING (territory) LEFT JOIN revops.unit u ON u.unit = b.unit LEFT JOIN revops.rep r ON r.rep = b.rep
WHERE b.territory IS NOT NULL AND (level <> 'unit' OR u.unit IS NOT NULL) AND (level <> 'rep' OR r.rep IS NOT NULL)
ORDER BY b.territory, b.unit NULLS FIRST, b.rep NULLS FIRST;
\echo '== Yesterday''s three strongest moments of each territory (revops.top_moments)'
SELECT territory, rank, title AS moment, person_name, account_name, round(strength::numeric, 2) AS strength, date_trunc('second', response_time) AS answered_after, in_line
FROM revops.top_moments WHERE territory IS NOT NULL ORDER BY territory, rank;
\echo '== The hottest accounts (revops.hottest)'
SELECT i.intent, h.subject AS account, a.name, round(h.score::numeric, 1) AS score, h.events
FROM unnest(ARRAY['price', 'evaluation', 'security_review']) WITH ORDINALITY AS i (intent, n)
CROSS JOIN LATERAL revops.hottest('account', i.intent, 3) h JOIN revops.account a ON a.account = h.subject
ORDER BY i.n, h.score DESC;
\echo '== Why the first of them is hot on price (revops.explain_intent): the points sum to the score'
SELECT x.occurred_at::timestamp(0), x.kind, x.object, x.signal, x.weight, round(x.points::numeric, 2) AS points
FROM revops.hottest('account', 'price', 1) h CROSS JOIN LATERAL revops.explain_intent('account', h.subject, 'price') x
ORDER BY x.points DESC LIMIT 5;
\echo '== Cards that wait (revops.task_board)'
SELECT task_id AS card, coalesce(owner_name, unit) AS owner, title, round(seconds_left) AS seconds_left, level, told, plans, best_plan
FROM revops.task_board ORDER BY due_at DESC LIMIT 8;
\echo '== One card: the customer, and three plans with the reason'
SELECT t.task_id AS card, t.context ->> 'name' AS name, t.context ->> 'title' AS title, t.context ->> 'account_name' AS account, t.context ->> 'segment' AS segment, t.context -> 'intents' AS intents
FROM revops.task t WHERE t.playbook IN ('comparison', 'pricing') ORDER BY t.task_id DESC LIMIT 1;
SELECT l.rank, l.title, l.channel, l.message, l.reason
FROM (SELECT * FROM revops.task WHERE playbook IN ('comparison', 'pricing') ORDER BY task_id DESC LIMIT 1) t JOIN revops.task_plan l USING (subject, task_id) ORDER BY l.rank;
\echo '== Visitors who stayed over three minutes and left no contact (revops.silent_high_intent)'
SELECT visitor, channel, dwell, events, longest_object, intent, round(score::numeric, 1) AS score, date_trunc('minute', silent_for) AS silent_for
FROM revops.silent_high_intent ORDER BY score DESC NULLS LAST, visitor LIMIT 6;
\echo '== What moments are about, by the customer''s hour (revops.moment_heatmap)'
SELECT object, sum(moments) FILTER (WHERE hour < 9) AS "0-8", sum(moments) FILTER (WHERE hour BETWEEN 9 AND 11) AS "9-11", sum(moments) FILTER (WHERE hour BETWEEN 12 AND 14) AS "12-14",
       sum(moments) FILTER (WHERE hour BETWEEN 15 AND 17) AS "15-17", sum(moments) FILTER (WHERE hour BETWEEN 18 AND 21) AS "18-21", sum(moments) FILTER (WHERE hour >= 22) AS "22-23"
FROM revops.moment_heatmap GROUP BY object ORDER BY sum(moments) DESC, object;
\echo '== Touchpoints (revops.touchpoint_audit)'
SELECT channel, events, round(tied_share * 100) || ' %' AS tied, lag_p50, lag_p95, date_trunc('minute', last_seen_at) AS last_seen, silent
FROM revops.touchpoint_audit ORDER BY events DESC;
\echo '== From a live event to the pass of the worker that caught its moment'
SELECT count(*) AS moments, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 1) AS p50_ms, round(max(ms)::numeric, 1) AS max_ms
FROM (SELECT extract(epoch FROM m.detected_at - e.received_at)::float8 * 1000 AS ms
      FROM revops.moment m JOIN revops.event e ON e.event_id = m.evidence[cardinality(m.evidence)] AND e.occurred_at = m.occurred_at
      WHERE m.detected_at > now() - interval '1 minute') x;
\echo '== The stream (revops.stream_status)'
SELECT lane, state, events, backlog, lag, round(rate::numeric, 1) AS rate, failed, passes, pg_size_pretty(memory) AS memory, last_error FROM revops.stream_status;
\echo '== Jobs of pg_cron (revops.schedule_jobs)'
SELECT * FROM revops.schedule_jobs();
