-- the dodged topic, end to end: ready intents, ready answers, a ready rule, messages in Chinese, and the card that the coach is told of
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.signal, revops.stream_lane,
         revops.failed_event, revops.repair_request, revops.late_event, revops.task, revops.task_plan, revops.escalation, revops.event_intent,
         revops.intent_publication, revops.answer_pack;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook, revops.opportunity CASCADE;
DELETE FROM revops.intent;
ALTER SEQUENCE revops.task_id_seq RESTART;
SET revops.as_of = '2026-03-02 09:00+00';

-- what a company does once
INSERT INTO revops.territory (territory, name, director) VALUES ('east', '华东', 'zhou');
INSERT INTO revops.unit (unit, name, territory, coach) VALUES ('east-1', '华东一组', 'east', 'chen');
INSERT INTO revops.rep (rep, name, unit) VALUES ('li.na', '李娜', 'east-1'), ('chen', '陈教练', NULL), ('zhou', '周总监', NULL);
INSERT INTO revops.account (account, name, owner, territory) VALUES ('A1', '晨光制造', 'li.na', 'east'), ('A2', '远大电气', 'li.na', 'east');
INSERT INTO revops.person (person, account, name) VALUES ('P1', 'A1', '张伟'), ('P2', 'A2', 'Ann Lee');
SELECT revops.add_intents('{delivery,price,rep_conduct}') > 0 AS added, revops.publish_intents() AS publication;
SELECT revops.add_answers(), revops.add_answers();
SELECT revops.add_answers('{delivery,weather}');
SELECT revops.use_template('dodged_topic', changes => '{"playbook": "answer_pack", "tell": ["coach"]}');

CREATE FUNCTION pg_temp.said(at timestamptz, account text, side text, body text) RETURNS void LANGUAGE sql AS $$
    SELECT revops.track('message', person => CASE account WHEN 'A1' THEN 'P1' ELSE 'P2' END, account => account, rep => CASE side WHEN 'rep' THEN 'li.na' END,
                        side => side, channel => 'wecom', body => body, occurred_at => at) $$;
SET revops.as_of = '2026-03-04 12:00+00';
-- the customer asks, and is told of other things three times; the other customer is answered the third time
SELECT pg_temp.said('2026-03-02 09:00+00', 'A1', 'customer', '上一家拖了三个月，你们能不能按时交？价格有点高'),
       pg_temp.said('2026-03-02 10:00+00', 'A1', 'rep', '张总，这是我们的新版彩页，您看看'),
       pg_temp.said('2026-03-03 10:00+00', 'A1', 'rep', '这周方便一起吃个饭吗'),
       pg_temp.said('2026-03-02 09:00+00', 'A2', 'customer', 'I am a bit worried about delivery, your plant was closed in May'),
       pg_temp.said('2026-03-02 10:00+00', 'A2', 'rep', 'Here is our new brochure'),
       pg_temp.said('2026-03-03 10:00+00', 'A2', 'rep', 'Lunch this week?'),
       pg_temp.said('2026-03-04 10:00+00', 'A2', 'rep', 'On the lead time: five weeks from the order, here is the plan');
SELECT revops.process();
SELECT count(*) FROM revops.task;
SELECT account, side, intent, evidence FROM revops.event_intent ORDER BY occurred_at, account, intent;
SET revops.as_of = '2026-03-04 13:00:01+00';
SELECT pg_temp.said('2026-03-04 13:00+00', 'A1', 'rep', '我们刚拿了行业奖，恭喜我们吧');
SELECT revops.process();
-- the card, not answered by what made it; its plans and its answers; the coach has been told
SELECT task_id, status, title, person, account, owner, unit, rule, due_at FROM revops.task;
SELECT rank, title, message FROM revops.task_plan ORDER BY rank;
SELECT rank, topic, words, lang, title, left(message, 30) AS message FROM revops.task_answer WHERE task_id = 1 ORDER BY rank;
SELECT revops.escalate_due() >= 0 AS ok;
SELECT level, role, told, fired_at IS NOT NULL AS fired FROM revops.escalation WHERE task_id = 1 ORDER BY level;
SELECT task_id, customer, level, told, best_plan FROM revops.task_board;
-- a fourth follow-up that dodges makes no other card, and an answer closes this one
SET revops.as_of = '2026-03-04 13:06+00';
SELECT pg_temp.said('2026-03-04 13:05+00', 'A1', 'rep', '关于交期：产线已经锁定，四月十号之前到货，计划发您');
SELECT revops.process();
SELECT task_id, status, answered_by, answered_at <= due_at AS in_line FROM revops.task;
-- asked again and dodged again: another one; in English, with answers in English
SET revops.as_of = '2026-03-05 12:00:01+00';
SELECT pg_temp.said('2026-03-05 09:00+00', 'A2', 'customer', 'Can you guarantee the delivery date in writing?'),
       pg_temp.said('2026-03-05 10:00+00', 'A2', 'rep', 'Did you get the invitation?'),
       pg_temp.said('2026-03-05 11:00+00', 'A2', 'rep', 'See you at the fair'),
       pg_temp.said('2026-03-05 12:00+00', 'A2', 'rep', 'Have a nice weekend');
SELECT revops.process();
SELECT task_id, card, rank, topic, lang, title, left(message, 30) AS message FROM revops.task_answer WHERE task_id = 2 ORDER BY rank;
-- a company's own answer goes before the ready ones
INSERT INTO revops.answer_pack (topic, lang, title, body, links, rank) VALUES ('delivery', 'zh', '我们的排产', '{{account}}的{{person}}，见附件', '{https://example.com/plan.pdf}', -1);
SELECT title, message, links FROM revops.task_answer WHERE task_id = 1 AND rank = 1;
-- how the two accounts feel
SELECT account, round(sentiment::numeric, 3) AS sentiment, events, negative_events, positive_events, last_at, round(last_sentiment::numeric, 3) AS last_sentiment FROM revops.account_sentiment ORDER BY account;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.moment_rule, revops.stream_lane, revops.task, revops.task_plan,
         revops.escalation, revops.event_intent, revops.intent_publication, revops.answer_pack;
TRUNCATE revops.person, revops.account, revops.rep, revops.unit, revops.territory, revops.playbook, revops.opportunity CASCADE;
DELETE FROM revops.intent;
RESET revops.as_of;
