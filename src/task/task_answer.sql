-- task: ready answers by topic, and the card that shows those that its customer waits for

CREATE TABLE revops.answer_pack (
    topic       text COLLATE "C" NOT NULL CHECK (topic <> '' AND octet_length(topic) <= 200),
    lang        text COLLATE "C" NOT NULL CHECK (lang ~ '^[a-z-]{2,8}$'),
    title       text NOT NULL CHECK (title <> '' AND octet_length(title) <= 500),
    body        text NOT NULL CHECK (body <> '' AND octet_length(body) <= 20000),
    links       text[] NOT NULL DEFAULT '{}' CHECK (cardinality(links) <= 50),
    rank        int NOT NULL DEFAULT 0,
    CONSTRAINT answer_pack_pkey PRIMARY KEY (topic, lang, title)
);
COMMENT ON TABLE revops.answer_pack IS 'What to answer on a topic; keep it with INSERT, UPDATE and DELETE, or begin with revops.add_answers()';
COMMENT ON COLUMN revops.answer_pack.topic IS 'The topic, as intents have it: delivery, price, security ...';
COMMENT ON COLUMN revops.answer_pack.lang IS 'Language of the answer: zh, en ...';
COMMENT ON COLUMN revops.answer_pack.title IS 'What it answers';
COMMENT ON COLUMN revops.answer_pack.body IS 'The answer; may hold {{person}} and {{account}}';
COMMENT ON COLUMN revops.answer_pack.links IS 'Documents that go with it';
COMMENT ON COLUMN revops.answer_pack.rank IS 'Those of a lower one are shown first';
SELECT pg_catalog.pg_extension_config_dump('revops.answer_pack', '');

-- This file is ASCII, since it must load in a database of any encoding.
CREATE FUNCTION revops.add_answers(topics text[] DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
#variable_conflict use_variable
DECLARE
    chinese CONSTANT boolean := getdatabaseencoding() IN ('UTF8', 'EUC_CN');
    unknown text;
    r       record;
    added   int := 0;
BEGIN
    SELECT t.topic INTO unknown FROM unnest(topics) t (topic) WHERE t.topic IS NULL OR t.topic NOT IN ('delivery', 'price', 'security') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there are no ready answers on "%"', unknown USING ERRCODE = 'undefined_object',
            HINT = 'There are on delivery, price and security; write others into revops.answer_pack.';
    END IF;
    FOR r IN SELECT * FROM (VALUES
        ('delivery', 'zh', $$\u4ea4\u671f\u600e\u4e48\u4fdd\u8bc1$$, $${{person}}\uff0c\u60a8\u95ee\u7684\u4ea4\u4ed8\u65f6\u95f4\u6211\u5355\u72ec\u56de\u60a8\uff1a\u4e00\u3001\u4ece\u7b7e\u7ea6\u5230\u4ea4\u4ed8\u7684\u6bcf\u4e00\u6b65\u548c\u65e5\u671f\u90fd\u5199\u8fdb\u8ba1\u5212\uff0c\u4f5c\u4e3a\u5408\u540c\u9644\u4ef6\uff1b\u4e8c\u3001\u6bcf\u5468\u4e94\u540c\u6b65\u4e00\u6b21\u8fdb\u5ea6\uff0c\u6709\u504f\u5dee\u5f53\u5929\u544a\u8bc9\u60a8\uff1b\u4e09\u3001\u5173\u952e\u8282\u70b9\u665a\u4e86\u600e\u4e48\u529e\uff0c\u6211\u4eec\u5728\u5408\u540c\u91cc\u5199\u6e05\u695a\u3002\u6211\u628a\u8ba1\u5212\u8868\u53d1\u60a8\uff0c\u60a8\u770b\u54ea\u4e2a\u8282\u70b9\u6700\u8981\u7d27\uff1f$$),
        ('delivery', 'zh', $$\u5ef6\u671f\u600e\u4e48\u529e$$, $${{person}}\uff0c\u62c5\u5fc3\u5ef6\u671f\u5f88\u6b63\u5e38\u3002\u6211\u4eec\u53ef\u4ee5\u628a\u4ea4\u4ed8\u5206\u6210\u4e24\u6279\uff0c\u5148\u4fdd\u60a8\u6700\u6025\u7684\u90e8\u5206\uff1b\u6bcf\u4e2a\u8282\u70b9\u6709\u8d1f\u8d23\u4eba\u548c\u8054\u7cfb\u7535\u8bdd\uff0c\u665a\u4e00\u5929\u6211\u5148\u7ed9\u60a8\u6253\u7535\u8bdd\uff0c\u800c\u4e0d\u662f\u7b49\u60a8\u6765\u50ac\u3002\u60a8\u6700\u665a\u54ea\u5929\u5fc5\u987b\u7528\u4e0a\uff1f\u6211\u6309\u8fd9\u4e2a\u65e5\u5b50\u5012\u6392\u7ed9\u60a8\u770b\u3002$$),
        ('delivery', 'en', $$How the date is kept$$, $${{person}}, you asked about delivery, so here is a plain answer: every step from signature to delivery is in a plan with dates, which becomes part of the contract; you get the state of it each Friday; and the contract says what happens if a date is missed. Which date matters most to you?$$),
        ('delivery', 'en', $$What if it is late$$, $${{person}}, your worry about delays is fair. We can deliver in two parts, what you need first in the first; each step has a name and a number to call; and if something slips you hear it from me the same day. By which day must you have it? I will plan back from there.$$),
        ('price', 'zh', $$\u94b1\u82b1\u5728\u54ea\u91cc$$, $${{person}}\uff0c\u60a8\u95ee\u7684\u4ef7\u683c\uff0c\u6211\u628a\u62a5\u4ef7\u62c6\u5f00\u7ed9\u60a8\u770b\uff1a\u54ea\u4e9b\u662f\u4e00\u6b21\u6027\u7684\uff0c\u54ea\u4e9b\u6309\u5e74\u4ed8\uff0c\u54ea\u4e9b\u73b0\u5728\u53ef\u4ee5\u4e0d\u4e70\u3002\u518d\u9644\u4e00\u9875\u4e09\u5e74\u603b\u6210\u672c\u7684\u5bf9\u6bd4\u3002\u60a8\u90a3\u8fb9\u7684\u9884\u7b97\u53e3\u5f84\u662f\u600e\u6837\u7684\uff1f\u6211\u6309\u5b83\u91cd\u65b0\u6392\u4e00\u7248\u3002$$),
        ('price', 'en', $$What the price is made of$$, $${{person}}, you asked about the price. Here it is taken apart: what is paid once, what each year, and what you can leave out for now, with the total over three years on one page. How is your budget cut? I will arrange the offer to fit it.$$),
        ('security', 'zh', $$\u6570\u636e\u653e\u5728\u54ea\u91cc\uff0c\u8c01\u770b\u5f97\u5230$$, $${{person}}\uff0c\u60a8\u95ee\u7684\u5b89\u5168\u95ee\u9898\uff0c\u6211\u8bf7\u5b89\u5168\u8d1f\u8d23\u4eba\u4e00\u6761\u4e00\u6761\u4e66\u9762\u7b54\u590d\uff1a\u6570\u636e\u5b58\u5728\u54ea\u91cc\u3001\u8c01\u80fd\u8bbf\u95ee\u3001\u600e\u4e48\u52a0\u5bc6\u3001\u51fa\u4e86\u4e8b\u600e\u4e48\u901a\u77e5\u60a8\u3002\u6709\u95ee\u5377\u8bf7\u53d1\u7ed9\u6211\uff0c\u4e09\u4e2a\u5de5\u4f5c\u65e5\u5185\u586b\u597d\u3002$$),
        ('security', 'en', $$Where the data is and who sees it$$, $${{person}}, on your question about security: our security officer answers it in writing, point by point: where the data lies, who can reach it, how it is encrypted, and how you are told if something happens. Send your questionnaire and you have it back in three working days.$$)) AS v (topic, lang, title, body)
        WHERE (topics IS NULL OR v.topic = ANY (topics)) AND (chinese OR v.lang <> 'zh')
    LOOP
        -- a statement of its own: unistr() of Chinese fails where the encoding has none
        INSERT INTO revops.answer_pack AS p (topic, lang, title, body) VALUES (r.topic, r.lang, unistr(r.title), unistr(r.body)) ON CONFLICT DO NOTHING;
        added := added + (CASE WHEN FOUND THEN 1 ELSE 0 END);
    END LOOP;
    IF NOT EXISTS (SELECT FROM revops.playbook b WHERE b.playbook = 'answer_pack') THEN
        PERFORM revops.put_playbook('answer_pack', '{{person}} ({{account}}) still waits for an answer', $$[
            {"title": "Answer in writing", "channel": "wecom", "message": "{{person}}, you asked and I owe you an answer. Here it is."},
            {"title": "Call, then send the answer", "channel": "call", "message": "{{person}}, may I take ten minutes for your question? I send it in writing afterwards."},
            {"title": "Bring the one who knows", "channel": "meeting", "message": "{{person}}, I would like to bring the colleague who is responsible for this. When does it suit you?"}]$$);
    END IF;
    RETURN added;
END $fn$;
COMMENT ON FUNCTION revops.add_answers(text[]) IS
'Takes ready answers on delivery, price and security into revops.answer_pack, to be filled in with your own facts, and makes the playbook answer_pack; what is there already is left alone. Returns how many answers';

CREATE VIEW revops.task_answer WITH (security_barrier) AS
WITH asked AS (
    SELECT t.subject, t.task_id, t.status, t.owner, t.unit, t.person, t.account, t.title AS card, i.topic,
           bool_or(strpos(r.definition::text, to_json(ei.intent::text)::text) > 0) AS named,
           (array_agg(ei.evidence ORDER BY ei.occurred_at, ei.event_id, ei.intent))[1] AS words
    FROM revops.task t
    JOIN revops.moment m ON m.subject = t.subject AND m.moment_id = t.moment_id
    JOIN revops.moment_rule r ON r.rule = m.rule AND r.version = m.version
    JOIN revops.event_intent ei ON ei.event_id = ANY (m.evidence) AND ei.side = 'customer'
    JOIN revops.intent i ON i.intent = ei.intent
    WHERE i.topic IS NOT NULL AND t.status <> 'cancelled'
    GROUP BY t.subject, t.task_id, t.status, t.owner, t.unit, t.person, t.account, t.title, i.topic
), fit AS (
    SELECT a.*, p.lang, p.title, p.body, p.links, p.rank AS place,
           rank() OVER (PARTITION BY a.subject, a.task_id, a.topic
                        ORDER BY p.lang = CASE WHEN octet_length(a.words) > length(a.words) THEN 'zh' ELSE 'en' END DESC) AS of_language
    FROM asked a JOIN revops.answer_pack p ON p.topic = a.topic
)
SELECT f.task_id, f.subject, f.status, f.owner, f.unit, f.card,
       row_number() OVER (PARTITION BY f.subject, f.task_id ORDER BY f.named DESC, f.topic, f.place, f.title)::int AS rank,
       f.topic, f.words, f.lang, f.title,
       revops.render_message(f.body, coalesce(v.name, f.person, c.name, f.account), coalesce(c.name, f.account), NULL) AS message, f.links
FROM fit f
LEFT JOIN revops.person v ON v.person = f.person
LEFT JOIN revops.account c ON c.account = f.account
WHERE f.of_language = 1;
COMMENT ON VIEW revops.task_answer IS 'The ready answers that go with each card: those on the topics of what its customer said, in the language in which it was said where there are any';
COMMENT ON COLUMN revops.task_answer.task_id IS 'Number of the card';
COMMENT ON COLUMN revops.task_answer.subject IS 'Subject of the card';
COMMENT ON COLUMN revops.task_answer.status IS 'Status of the card';
COMMENT ON COLUMN revops.task_answer.owner IS 'Rep who must answer';
COMMENT ON COLUMN revops.task_answer.unit IS 'Unit of the card';
COMMENT ON COLUMN revops.task_answer.card IS 'Title of the card';
COMMENT ON COLUMN revops.task_answer.rank IS '1 is shown first: topics that the rule names go before others';
COMMENT ON COLUMN revops.task_answer.topic IS 'The topic';
COMMENT ON COLUMN revops.task_answer.words IS 'The customer''s words that raised it';
COMMENT ON COLUMN revops.task_answer.lang IS 'Language of the answer';
COMMENT ON COLUMN revops.task_answer.title IS 'What it answers';
COMMENT ON COLUMN revops.task_answer.message IS 'The answer for this customer';
COMMENT ON COLUMN revops.task_answer.links IS 'Documents that go with it';
