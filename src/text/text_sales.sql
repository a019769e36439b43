-- text: what sales does with texts: sentiment, values for fields of the record, the quality of labels

CREATE FUNCTION revops.sentiment(body text, lang text DEFAULT NULL) RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_sentiment';
COMMENT ON FUNCTION revops.sentiment(text, text) IS
'How a text feels, from -1 to 1, 0 where it shows nothing: by the lexicon that is shipped (lang zh or en: that language''s words only), or by your own deployed model named sentiment';

CREATE VIEW revops.account_sentiment WITH (security_barrier) AS
WITH said AS (
    SELECT coalesce(e.account, k.account, v.account) AS account, e.event_id, e.occurred_at, revops.sentiment(e.body) AS sentiment,
           power(2, - extract(epoch FROM revops.now() - e.occurred_at)::float8 / 604800) AS weight
    FROM revops.event e
    LEFT JOIN revops.person v ON v.person = e.person
    LEFT JOIN revops.person k ON k.person = v.identity
    WHERE e.side = 'customer' AND e.body IS NOT NULL AND NOT e.ahead
      AND e.occurred_at <= revops.now() AND e.occurred_at > revops.now() - interval '28 days'
)
SELECT s.account, sum(s.sentiment * s.weight) / sum(s.weight) AS sentiment, count(*) AS events,
       count(*) FILTER (WHERE s.sentiment <= -0.3) AS negative_events, count(*) FILTER (WHERE s.sentiment >= 0.3) AS positive_events,
       avg(s.sentiment) FILTER (WHERE s.occurred_at > revops.now() - interval '7 days') -
       avg(s.sentiment) FILTER (WHERE s.occurred_at <= revops.now() - interval '7 days') AS change,
       max(s.occurred_at) AS last_at, (array_agg(s.sentiment ORDER BY s.occurred_at DESC, s.event_id DESC))[1] AS last_sentiment
FROM said s WHERE s.account IS NOT NULL GROUP BY s.account;
COMMENT ON VIEW revops.account_sentiment IS 'How each account''s people felt in what they wrote and said in the last 28 days, the newest counting most; computed when it is read';
COMMENT ON COLUMN revops.account_sentiment.account IS 'The account, by its people where the event named none';
COMMENT ON COLUMN revops.account_sentiment.sentiment IS '-1 to 1: the mean of its texts, each halved in weight every seven days';
COMMENT ON COLUMN revops.account_sentiment.events IS 'How many texts there are';
COMMENT ON COLUMN revops.account_sentiment.negative_events IS 'How many of them are at -0.3 or below';
COMMENT ON COLUMN revops.account_sentiment.positive_events IS 'How many of them are at 0.3 or above';
COMMENT ON COLUMN revops.account_sentiment.change IS 'The mean of the last seven days less that of the three weeks before; NULL where either has no text';
COMMENT ON COLUMN revops.account_sentiment.last_at IS 'When the last of them occurred';
COMMENT ON COLUMN revops.account_sentiment.last_sentiment IS 'How it felt';
