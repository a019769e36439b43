\echo Use "ALTER EXTENSION pg_revops UPDATE TO '1.0.1'" to load this file. \quit

CREATE OR REPLACE FUNCTION revops.strip_attachment(attachment int, kind text, rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    name    text;
BEGIN
    FOR name IN
        -- not LIKE: to plan it takes the square of the pattern's length
        SELECT g.tgname FROM pg_trigger g
        WHERE g.tgrelid = rel AND g.tgfoid = 'revops.attachment_trigger'::regproc AND left(g.tgname, length(kind) + 8) = format('revops_%s_', kind)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, rel);
    END LOOP;
END $$;

CREATE INDEX event_intent_account ON revops.event_intent (account, occurred_at) WHERE account IS NOT NULL;
CREATE INDEX event_intent_visitor ON revops.event_intent (person, occurred_at) WHERE account IS NULL;

CREATE OR REPLACE VIEW revops.need_profile WITH (security_barrier) AS
WITH accounts AS (
    SELECT v.person, v.account FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity
    WHERE v.account IS NOT NULL AND k.account IS NULL
    UNION ALL
    SELECT v.person, k.account FROM revops.person v JOIN revops.person k ON k.person = v.identity
    WHERE k.account IS NOT NULL
), said AS (
    SELECT ei.account, ei.intent, ei.event_id, ei.occurred_at, ei.confidence
    FROM revops.event_intent ei
    WHERE ei.account IS NOT NULL AND ei.side IS DISTINCT FROM 'rep' AND ei.side IS DISTINCT FROM 'system'
      AND ei.occurred_at <= revops.now() AND ei.occurred_at > (SELECT revops.now() - max(i.half_life) * 10 FROM revops.intent i)
    UNION ALL
    SELECT a.account, ei.intent, ei.event_id, ei.occurred_at, ei.confidence
    FROM revops.event_intent ei JOIN accounts a ON a.person = ei.person
    WHERE ei.account IS NULL AND ei.side IS DISTINCT FROM 'rep' AND ei.side IS DISTINCT FROM 'system'
      AND ei.occurred_at <= revops.now() AND ei.occurred_at > (SELECT revops.now() - max(i.half_life) * 10 FROM revops.intent i)
), topics AS (
    SELECT s.account, coalesce(i.topic, i.intent) AS topic, count(DISTINCT s.event_id) AS events, max(s.occurred_at) AS last_at,
           sum(s.confidence * power(2::float8, - extract(epoch FROM revops.now() - s.occurred_at)::float8 / extract(epoch FROM i.half_life)::float8)) AS intensity
    FROM said s JOIN revops.intent i ON i.intent = s.intent
    WHERE s.occurred_at > revops.now() - i.half_life * 10
    GROUP BY s.account, coalesce(i.topic, i.intent)
)
SELECT t.account, t.topic, t.intensity / sum(t.intensity) OVER (PARTITION BY t.account) AS share, t.intensity, t.events, t.last_at
FROM topics t;

CREATE OR REPLACE VIEW revops.account_sentiment WITH (security_barrier) AS
WITH accounts AS (
    SELECT v.person, v.account FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity
    WHERE v.account IS NOT NULL AND k.account IS NULL
    UNION ALL
    SELECT v.person, k.account FROM revops.person v JOIN revops.person k ON k.person = v.identity
    WHERE k.account IS NOT NULL
), said AS (
    SELECT e.account, e.event_id, e.occurred_at, revops.sentiment(e.body) AS sentiment
    FROM revops.my_event e
    WHERE e.account IS NOT NULL AND e.side = 'customer' AND e.body IS NOT NULL AND NOT e.ahead
      AND e.occurred_at <= revops.now() AND e.occurred_at > revops.now() - interval '28 days'
    UNION ALL
    SELECT a.account, e.event_id, e.occurred_at, revops.sentiment(e.body)
    FROM revops.my_event e JOIN accounts a ON a.person = e.person
    WHERE e.account IS NULL AND e.side = 'customer' AND e.body IS NOT NULL AND NOT e.ahead
      AND e.occurred_at <= revops.now() AND e.occurred_at > revops.now() - interval '28 days'
), weighed AS (
    SELECT s.account, s.event_id, s.occurred_at, s.sentiment, power(2::float8, - extract(epoch FROM revops.now() - s.occurred_at)::float8 / 604800) AS weight
    FROM said s
)
SELECT s.account, sum(s.sentiment * s.weight) / sum(s.weight) AS sentiment, count(*) AS events,
       count(*) FILTER (WHERE s.sentiment <= -0.3) AS negative_events, count(*) FILTER (WHERE s.sentiment >= 0.3) AS positive_events,
       avg(s.sentiment) FILTER (WHERE s.occurred_at > revops.now() - interval '7 days') -
       avg(s.sentiment) FILTER (WHERE s.occurred_at <= revops.now() - interval '7 days') AS change,
       max(s.occurred_at) AS last_at, (array_agg(s.sentiment ORDER BY s.occurred_at DESC, s.event_id DESC))[1] AS last_sentiment
FROM weighed s GROUP BY s.account;
