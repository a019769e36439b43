-- rule templates: each catches what it says and nothing that is nearly so; use_template() and its errors
\set SHOW_CONTEXT never
SET timezone = 'UTC';
-- by hand: no worker may be quicker
DO $$ BEGIN PERFORM revops.stop_worker(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
SET revops.as_of = '2026-04-15 00:00Z';
CREATE SCHEMA t;
CREATE TABLE t.intent AS SELECT intent FROM revops.intent;

SELECT behaviour, count(*) FROM revops.rule_template GROUP BY 1 ORDER BY 1;
SELECT template, title, title_zh FROM revops.rule_template ORDER BY behaviour, template;
SELECT count(*) AS templates, count(revops.use_template(template, 't.' || template)) AS used FROM revops.rule_template;

-- One row is one customer: what happened in March 2026 (a day of the month and a time in UTC; the second is a Monday), how many moments of
-- the template's rule it makes, and of those that make none, what is missing. Person a is the default; "-" is nobody.
CREATE TABLE t.customer (n int GENERATED ALWAYS AS IDENTITY, template text, moments int, missing text, people jsonb, deal jsonb, events jsonb);
INSERT INTO t.customer (template, moments, missing, people, deal, events) VALUES
('whitepaper_streak', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "80s"}, {"at": "02 15:00", "kind": "page_view", "object": "/security/whitepaper/2", "dwell": "50s"},
    {"at": "03 09:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "2 min"}, {"at": "04 11:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "150s"},
    {"at": "05 11:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}]'),
('whitepaper_streak', 0, 'a day is left out', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}, {"at": "03 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"},
    {"at": "05 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}, {"at": "06 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}]'),
('whitepaper_streak', 0, 'a day has one second too few', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}, {"at": "03 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "119s"},
    {"at": "04 10:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}]'),
('whitepaper_streak', 0, 'two of the three days are one on the customer''s clock', '{"a": {"time_zone": "Asia/Shanghai"}}', NULL, '[
    {"at": "02 17:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}, {"at": "03 15:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"},
    {"at": "04 15:00", "kind": "page_view", "object": "/security/whitepaper", "dwell": "3 min"}]'),
('implementation_revisit', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/implementation/plan"}, {"at": "02 10:02", "kind": "page_view", "object": "/product"}, {"at": "05 09:00", "kind": "page_view", "object": "/implementation/plan"}]'),
('implementation_revisit', 0, 'only loads it again', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/implementation/plan"}, {"at": "02 10:02", "kind": "page_view", "object": "/implementation/plan"}, {"at": "05 09:00", "kind": "page_view", "object": "/product"}]'),
('implementation_revisit', 0, 'another page of it', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/implementation/plan"}, {"at": "02 10:02", "kind": "page_view", "object": "/product"}, {"at": "05 09:00", "kind": "page_view", "object": "/implementation/team"}]'),
('case_studies', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/cases/bank", "dwell": "40s"}, {"at": "04 10:00", "kind": "page_view", "object": "/cases/retail", "dwell": "15s"}, {"at": "06 10:00", "kind": "page_view", "object": "/cases/rail", "dwell": "1 min"}]'),
('case_studies', 0, 'one of them twice', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/cases/bank", "dwell": "40s"}, {"at": "04 10:00", "kind": "page_view", "object": "/cases/retail", "dwell": "40s"}, {"at": "06 10:00", "kind": "page_view", "object": "/cases/bank", "dwell": "1 min"}]'),
('deep_visit', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 10:10", "kind": "page_view", "object": "/product"}, {"at": "02 10:20", "kind": "page_view", "object": "/docs"},
    {"at": "02 10:30", "kind": "page_view", "object": "/pricing"}, {"at": "02 10:35", "kind": "page_view", "object": "/cases/bank"}, {"at": "02 10:50", "kind": "page_view", "object": "/compare/table"}]'),
('deep_visit', 0, 'a careers page is one of the six', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 10:10", "kind": "page_view", "object": "/product"}, {"at": "02 10:20", "kind": "page_view", "object": "/docs"},
    {"at": "02 10:30", "kind": "page_view", "object": "/pricing"}, {"at": "02 10:35", "kind": "page_view", "object": "/careers/engineer"}, {"at": "02 10:50", "kind": "page_view", "object": "/compare/table"}]'),
('deep_visit', 0, 'a pause of half an hour', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 10:10", "kind": "page_view", "object": "/product"}, {"at": "02 10:20", "kind": "page_view", "object": "/docs"},
    {"at": "02 10:50", "kind": "page_view", "object": "/pricing"}, {"at": "02 10:55", "kind": "page_view", "object": "/cases/bank"}, {"at": "02 11:10", "kind": "page_view", "object": "/compare/table"}]'),
('integration_deep_dive', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/docs/integration/api", "dwell": "200s"}, {"at": "02 10:05", "kind": "page_view", "object": "/docs/integration/sso", "dwell": "200s"},
    {"at": "02 10:10", "kind": "page_view", "object": "/docs/integration/erp", "dwell": "200s"}]'),
('integration_deep_dive', 0, 'only two pages', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/docs/integration/api", "dwell": "6 min"}, {"at": "02 10:08", "kind": "page_view", "object": "/docs/integration/sso", "dwell": "5 min"},
    {"at": "02 10:14", "kind": "page_view", "object": "/docs/integration/api", "dwell": "5 min"}]'),
('integration_deep_dive', 0, 'a second too few', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/docs/integration/api", "dwell": "200s"}, {"at": "02 10:05", "kind": "page_view", "object": "/docs/integration/sso", "dwell": "200s"},
    {"at": "02 10:10", "kind": "page_view", "object": "/docs/integration/erp", "dwell": "199s"}]'),
('region_page', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/regions/south", "dwell": "40s"}, {"at": "02 10:01", "kind": "page_view", "object": "/regions/north", "dwell": "40s"}, {"at": "05 10:00", "kind": "page_view", "object": "/regions/south", "dwell": "20s"}]'),
('region_page', 0, 'two regions', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/regions/south", "dwell": "40s"}, {"at": "05 10:00", "kind": "page_view", "object": "/regions/north", "dwell": "40s"}]'),
('demo_watched', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "video_view", "object": "/demo/planning", "properties": {"percent": 50}}, {"at": "02 10:10", "kind": "video_view", "object": "/demo/planning", "properties": {"percent": 96.5}}]'),
('demo_watched', 0, 'not to the end', NULL, NULL, '[{"at": "02 10:10", "kind": "video_view", "object": "/demo/planning", "properties": {"percent": 90}}, {"at": "02 10:11", "kind": "video_view", "object": "/webinar", "properties": {"percent": 100}}]'),
('long_comparison', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/compare/table", "dwell": "150s"}, {"at": "02 11:00", "kind": "page_view", "object": "/compare/table", "dwell": "3 min"}]'),
('long_comparison', 0, '90 seconds, not more', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/compare/table", "dwell": "90s"}]'),
('compare_then_price', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/compare/table"}, {"at": "02 10:05", "kind": "page_view", "object": "/"}, {"at": "02 10:30", "kind": "page_view", "object": "/pricing"}]'),
('compare_then_price', 0, 'too late', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/compare/table"}, {"at": "02 10:05", "kind": "page_view", "object": "/"}, {"at": "02 10:31", "kind": "page_view", "object": "/pricing"}]'),
('compare_then_price', 0, 'the other way round', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/pricing"}, {"at": "02 10:05", "kind": "page_view", "object": "/compare/table"}]'),
('competitor_search', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "search", "properties": {"competitor": "X100"}}, {"at": "03 10:00", "kind": "search", "properties": {"competitor": "Y2"}},
    {"at": "04 10:00", "kind": "search", "properties": {"competitor": "X100"}}, {"at": "05 10:00", "kind": "search", "properties": {"competitor": "X100"}}]'),
('competitor_search', 0, 'two models', NULL, NULL, '[
    {"at": "02 10:00", "kind": "search", "properties": {"competitor": "X100"}}, {"at": "03 10:00", "kind": "search", "properties": {"competitor": "Y2"}}, {"at": "04 10:00", "kind": "search", "properties": {"competitor": "X100"}}]'),
('competitor_search', 0, 'a week, not less', NULL, NULL, '[
    {"at": "02 10:00", "kind": "search", "properties": {"competitor": "X100"}}, {"at": "03 10:00", "kind": "search", "properties": {"competitor": "X100"}}, {"at": "09 10:00", "kind": "search", "properties": {"competitor": "X100"}}]'),
('price_study', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/pricing", "dwell": "100s"}, {"at": "02 10:20", "kind": "page_view", "object": "/pricing/calculator", "dwell": "80s"}]'),
('price_study', 0, 'in two visits', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/pricing", "dwell": "100s"}, {"at": "02 10:30", "kind": "page_view", "object": "/pricing", "dwell": "100s"}]'),
('price_return', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/pricing", "properties": {"session": "s1"}}, {"at": "02 10:05", "kind": "page_view", "object": "/pricing", "properties": {"session": "s1"}},
    {"at": "06 10:00", "kind": "page_view", "object": "/pricing", "properties": {"session": "s2"}}]'),
('price_return', 0, 'the same session', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/pricing", "properties": {"session": "s1"}}, {"at": "02 10:05", "kind": "page_view", "object": "/pricing", "properties": {"session": "s1"}},
    {"at": "06 10:00", "kind": "page_view", "object": "/product", "properties": {"session": "s2"}}]'),
('price_list_after_comparison', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/compare/leaders"}, {"at": "05 10:00", "kind": "download", "object": "/pricing/list.pdf"}]'),
('price_list_after_comparison', 0, 'the other way round', NULL, NULL, '[{"at": "02 10:00", "kind": "download", "object": "/pricing/list.pdf"}, {"at": "05 10:00", "kind": "page_view", "object": "/compare/leaders"}]'),
('silent_after_intent', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/pricing"}, {"at": "03 10:00", "kind": "call", "channel": "call", "side": "rep"}]'),
('silent_after_intent', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "video_view", "object": "/demo/planning"}, {"at": "03 10:00", "kind": "page_view", "object": "/pricing"}]'),
('silent_after_intent', 0, 'writes at the last instant', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/pricing"}, {"at": "09 10:00", "kind": "message", "channel": "wecom"}]'),
('cart_abandoned', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "cart", "object": "starter pack"}, {"at": "02 10:10", "kind": "page_view", "object": "/pricing"}]'),
('cart_abandoned', 0, 'orders in time', NULL, NULL, '[{"at": "02 10:00", "kind": "cart", "object": "starter pack"}, {"at": "03 09:59", "kind": "order", "object": "starter pack"}]'),
('form_abandoned', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "form_start", "object": "/contact"}, {"at": "02 10:31", "kind": "form_submit", "object": "/contact"}]'),
('form_abandoned', 0, 'sends it in time', NULL, NULL, '[{"at": "02 10:00", "kind": "form_start", "object": "/contact"}, {"at": "02 10:30", "kind": "form_submit", "object": "/contact"}]'),
('night_compliance_search', 1, NULL, '{"a": {"time_zone": "Asia/Shanghai"}}', NULL, '[{"at": "02 14:00", "kind": "search", "body": "合规 认证"}, {"at": "02 14:05", "kind": "search", "body": "Compliance"}]'),
('night_compliance_search', 1, NULL, NULL, NULL, '[{"at": "02 05:59", "kind": "search", "body": "SOC", "properties": {"intents": ["security_review"]}}]'),
('night_compliance_search', 0, 'night in UTC, morning there', '{"a": {"time_zone": "Asia/Shanghai"}}', NULL, '[{"at": "02 22:00", "kind": "search", "body": "GDPR"}]'),
('night_compliance_search', 0, 'another search', NULL, NULL, '[{"at": "02 23:00", "kind": "search", "body": "price"}]'),
('security_questionnaire', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "search", "body": "GDPR"}, {"at": "05 10:00", "kind": "download", "object": "/security/questionnaire.xlsx"}, {"at": "05 11:00", "kind": "search", "body": "compliance"}]'),
('security_questionnaire', 0, 'never the questionnaire', NULL, NULL, '[{"at": "02 10:00", "kind": "search", "body": "GDPR"}, {"at": "05 10:00", "kind": "download", "object": "/security/whitepaper.pdf"}, {"at": "05 11:00", "kind": "search", "body": "compliance"}]'),
('contract_reading', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/legal/terms", "dwell": "2 min"}, {"at": "02 10:05", "kind": "page_view", "object": "/contract/msa", "dwell": "1 min"}]'),
('contract_reading', 0, 'a second too few', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/legal/terms", "dwell": "2 min"}, {"at": "02 10:05", "kind": "page_view", "object": "/contract/msa", "dwell": "59s"}]'),
('quote_reopened', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "quote_open", "object": "Q1"}, {"at": "02 12:00", "kind": "quote_open", "object": "Q2"}, {"at": "02 18:00", "kind": "quote_open", "object": "Q1"}, {"at": "03 10:00", "kind": "quote_open", "object": "Q1"}]'),
('quote_reopened', 0, 'two quotes', NULL, NULL, '[
    {"at": "02 10:00", "kind": "quote_open", "object": "Q1"}, {"at": "02 12:00", "kind": "quote_open", "object": "Q2"}, {"at": "02 18:00", "kind": "quote_open", "object": "Q1"}, {"at": "03 10:00", "kind": "quote_open", "object": "Q2"}]'),
('quote_forwarded', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "quote_open", "object": "Q1"}, {"at": "02 12:00", "kind": "quote_open", "object": "Q1"}, {"at": "04 10:00", "kind": "quote_open", "object": "Q1", "person": "b"}]'),
('quote_forwarded', 0, 'another quote', NULL, NULL, '[{"at": "02 10:00", "kind": "quote_open", "object": "Q1"}, {"at": "02 12:00", "kind": "quote_open", "object": "Q1"}, {"at": "04 10:00", "kind": "quote_open", "object": "Q2", "person": "b"}]'),
('proposal_unopened', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "proposal_sent", "side": "rep", "channel": "email"}, {"at": "03 10:00", "kind": "page_view", "object": "/"}]'),
('proposal_unopened', 0, 'a colleague opens it', NULL, NULL, '[{"at": "02 10:00", "kind": "proposal_sent", "side": "rep", "channel": "email"}, {"at": "05 09:00", "kind": "proposal_open", "person": "b"}]'),
('email_reopened', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "email_open", "object": "m1"}, {"at": "02 10:20", "kind": "email_open", "object": "m1"}, {"at": "02 10:59", "kind": "email_open", "object": "m1"}, {"at": "02 11:01", "kind": "email_open", "object": "m1"}]'),
('email_reopened', 0, 'an hour, not less', NULL, NULL, '[{"at": "02 10:00", "kind": "email_open", "object": "m1"}, {"at": "02 10:20", "kind": "email_open", "object": "m1"}, {"at": "02 10:40", "kind": "email_open", "object": "m2"}, {"at": "02 11:00", "kind": "email_open", "object": "m1"}]'),
('unanswered_inbound', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "message", "channel": "wecom", "body": "Hello?"}, {"at": "02 10:10", "kind": "message", "channel": "wecom", "body": "Hello??"},
    {"at": "02 11:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"automatic": true}}, {"at": "02 12:00", "kind": "note", "channel": "crm", "side": "rep"}]'),
('unanswered_inbound', 0, 'answered in time', NULL, NULL, '[{"at": "02 10:00", "kind": "message", "channel": "wecom", "body": "Hello?"}, {"at": "02 13:59", "kind": "message", "channel": "wecom", "side": "rep", "body": "I am here"}]'),
('dodged_topic', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "message", "channel": "wecom", "properties": {"intents": ["delivery", "price"]}}, {"at": "02 11:00", "kind": "message", "channel": "wecom", "side": "rep", "properties": {"intents": "price"}},
    {"at": "03 08:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"automatic": true}}, {"at": "03 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "04 11:00", "kind": "email", "channel": "email", "side": "rep"},
    {"at": "05 10:00", "kind": "message", "channel": "wecom", "properties": {"intents": "delivery"}}, {"at": "05 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "06 11:00", "kind": "call", "channel": "call", "side": "rep"},
    {"at": "09 11:00", "kind": "call", "channel": "call", "side": "rep"}]'),
('dodged_topic', 2, 'answered, raised and dodged again', NULL, NULL, '[
    {"at": "02 10:00", "kind": "message", "properties": {"intents": "delivery"}}, {"at": "02 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "03 11:00", "kind": "call", "channel": "call", "side": "rep"},
    {"at": "04 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "05 10:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"intents": ["delivery"]}},
    {"at": "09 10:00", "kind": "message", "properties": {"intents": "delivery"}}, {"at": "10 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "11 11:00", "kind": "call", "channel": "call", "side": "rep"},
    {"at": "12 11:00", "kind": "call", "channel": "call", "side": "rep"}]'),
('dodged_topic', 0, 'answered before the third', NULL, NULL, '[
    {"at": "02 10:00", "kind": "message", "properties": {"intents": "delivery"}}, {"at": "02 11:00", "kind": "call", "channel": "call", "side": "rep"}, {"at": "03 11:00", "kind": "call", "channel": "call", "side": "rep"},
    {"at": "04 11:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"intents": ["delivery"]}}, {"at": "05 11:00", "kind": "call", "channel": "call", "side": "rep"}]'),
('sentiment_after_meeting', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "meeting", "channel": "meeting", "side": "rep"}, {"at": "03 10:00", "kind": "message", "channel": "wecom", "person": "b", "properties": {"sentiment": -0.8}}]'),
('sentiment_after_meeting', 0, 'not negative enough', NULL, NULL, '[{"at": "02 10:00", "kind": "meeting", "channel": "meeting", "side": "rep"}, {"at": "03 10:00", "kind": "message", "channel": "wecom", "properties": {"sentiment": -0.3}}]'),
('sentiment_after_meeting', 0, 'no meeting before', NULL, NULL, '[{"at": "02 10:00", "kind": "message", "channel": "wecom", "properties": {"sentiment": -0.8}}, {"at": "03 10:00", "kind": "meeting", "channel": "meeting", "side": "rep"}]'),
('meeting_without_follow_up', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "meeting", "channel": "meeting", "side": "rep"}, {"at": "02 11:00", "kind": "note", "channel": "crm", "side": "rep"}]'),
('meeting_without_follow_up', 0, 'a follow-up in time', NULL, NULL, '[{"at": "02 10:00", "kind": "meeting", "channel": "meeting"}, {"at": "04 09:00", "kind": "email", "channel": "email", "side": "rep"}]'),
('visit_expected', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "route_search", "object": "our office"}, {"at": "02 10:10", "kind": "route_search", "object": "our office"}, {"at": "03 10:00", "kind": "calendar_invite", "person": "b"}, {"at": "04 14:00", "kind": "visit", "channel": "visit"}]'),
('visit_expected', 0, 'one kind of preparation', NULL, NULL, '[{"at": "02 10:00", "kind": "route_search", "object": "our office"}, {"at": "02 10:10", "kind": "route_search", "object": "our office"}]'),
('visit_expected', 0, 'called off', NULL, NULL, '[{"at": "02 10:00", "kind": "hotel_search"}, {"at": "03 10:00", "kind": "calendar_invite", "person": "b"}, {"at": "03 11:59", "kind": "visit_cancelled"}]'),
('buying_committee', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 11:00", "kind": "page_view", "object": "/", "person": "b"}, {"at": "02 15:00", "kind": "page_view", "object": "/", "person": "c"}, {"at": "03 09:00", "kind": "message", "person": "d"}]'),
('buying_committee', 0, 'a day, not less', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 11:00", "kind": "page_view", "object": "/", "person": "b"}, {"at": "02 15:00", "kind": "page_view", "object": "/", "person": "c"}, {"at": "03 10:00", "kind": "message", "person": "d"}]'),
('new_stakeholder', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "03 10:00", "kind": "page_view", "object": "/"}, {"at": "05 10:00", "kind": "page_view", "object": "/", "person": "b"}, {"at": "06 10:00", "kind": "page_view", "object": "/", "person": "c"}]'),
('new_stakeholder', 0, 'after a month', NULL, NULL, '[{"at": "01 10:00", "kind": "page_view", "object": "/"}, {"at": "31 10:00", "kind": "page_view", "object": "/", "person": "b"}]'),
('executive_joins', 1, NULL, '{"a": {"title": "Buyer"}, "b": {"title": "CFO"}}', '{"stage": "evaluation"}', '[{"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "03 10:00", "kind": "page_view", "object": "/", "person": "b"}]'),
('executive_joins', 1, NULL, '{"a": {"title": "财务总监"}}', '{"stage": "evaluation"}', '[{"at": "02 10:00", "kind": "page_view", "object": "/"}]'),
('executive_joins', 0, 'no open opportunity', '{"a": {"title": "CFO"}}', '{"stage": "closed", "status": "lost"}', '[{"at": "02 10:00", "kind": "page_view", "object": "/"}]'),
('executive_joins', 0, 'no executive', '{"a": {"title": "Buyer"}}', '{"stage": "evaluation"}', '[{"at": "02 10:00", "kind": "page_view", "object": "/"}]'),
('champion_quiet', 1, NULL, '{"a": {"properties": {"champion": true}}, "b": {}}', NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "04 10:00", "kind": "message"}, {"at": "06 10:00", "kind": "page_view", "object": "/"}, {"at": "10 10:00", "kind": "page_view", "object": "/", "person": "b"}]'),
('champion_quiet', 0, 'never very active', '{"a": {"properties": {"champion": true}}, "b": {}}', NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "04 10:00", "kind": "message"}, {"at": "06 10:00", "kind": "page_view", "object": "/", "person": "b"}]'),
('champion_quiet', 0, 'another champion writes', '{"a": {"properties": {"champion": true}}, "b": {"properties": {"champion": true}}}', NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/"}, {"at": "02 10:10", "kind": "message"}, {"at": "02 10:20", "kind": "page_view", "object": "/"}, {"at": "16 10:20", "kind": "message", "person": "b"}]'),
('off_hours_burst', 1, NULL, '{"a": {"time_zone": "Asia/Shanghai"}}', NULL, '[
    {"at": "02 13:00", "kind": "page_view", "object": "/"}, {"at": "02 13:10", "kind": "page_view", "object": "/docs"}, {"at": "02 13:20", "kind": "search"}, {"at": "02 13:30", "kind": "download"}, {"at": "02 16:30", "kind": "page_view", "object": "/"}]'),
('off_hours_burst', 1, NULL, NULL, NULL, '[
    {"at": "07 08:00", "kind": "page_view", "object": "/"}, {"at": "07 10:00", "kind": "page_view", "object": "/docs"}, {"at": "07 12:00", "kind": "search"}, {"at": "07 14:00", "kind": "download"}, {"at": "07 19:59", "kind": "page_view", "object": "/"}]'),
('off_hours_burst', 0, 'the first is before nine', '{"a": {"time_zone": "Asia/Shanghai"}}', NULL, '[
    {"at": "02 12:59", "kind": "page_view", "object": "/"}, {"at": "02 13:10", "kind": "page_view", "object": "/docs"}, {"at": "02 13:20", "kind": "search"}, {"at": "02 13:30", "kind": "download"}, {"at": "02 16:30", "kind": "page_view", "object": "/"}]'),
('trial_stalled', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "trial_start", "channel": "app"}, {"at": "03 10:00", "kind": "page_view", "object": "/docs"}]'),
('trial_stalled', 0, 'a colleague uses it', NULL, NULL, '[{"at": "02 10:00", "kind": "trial_start", "channel": "app"}, {"at": "05 09:00", "kind": "sign_in", "channel": "app", "person": "b"}]'),
('renewal_complaints', 1, NULL, NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/renewal"}, {"at": "10 10:00", "kind": "support_ticket", "person": "b", "properties": {"sentiment": -0.2}}, {"at": "11 10:00", "kind": "page_view", "object": "/renewal/terms"}]'),
('renewal_complaints', 0, 'a friendly ticket', NULL, NULL, '[{"at": "02 10:00", "kind": "page_view", "object": "/renewal"}, {"at": "10 10:00", "kind": "support_ticket", "person": "b", "properties": {"sentiment": 0.1}}, {"at": "11 10:00", "kind": "page_view", "object": "/renewal/terms"}]'),
('ticket_burst', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "support_ticket"}, {"at": "02 11:00", "kind": "support_ticket", "person": "b"}, {"at": "02 12:00", "kind": "support_ticket"}, {"at": "02 13:00", "kind": "support_ticket"}, {"at": "03 09:59", "kind": "support_ticket"}]'),
('ticket_burst', 0, 'a day, not less', NULL, NULL, '[
    {"at": "02 10:00", "kind": "support_ticket"}, {"at": "02 11:00", "kind": "support_ticket", "person": "b"}, {"at": "02 12:00", "kind": "support_ticket"}, {"at": "02 13:00", "kind": "support_ticket"}, {"at": "03 10:00", "kind": "support_ticket"}]'),
('late_stage_silent', 1, NULL, NULL, '{"stage": "negotiation"}', '[{"at": "02 10:00", "kind": "message", "channel": "wecom"}, {"at": "05 10:00", "kind": "email", "channel": "email", "side": "rep"}]'),
('late_stage_silent', 0, 'signed in time', NULL, '{"stage": "negotiation"}', '[{"at": "02 10:00", "kind": "message", "channel": "wecom"}, {"at": "10 10:00", "kind": "contract_signed", "channel": "crm", "side": "system"}]'),
('late_stage_silent', 0, 'an early stage', NULL, '{"stage": "discovery"}', '[{"at": "02 10:00", "kind": "message", "channel": "wecom"}]'),
('stage_back', 1, NULL, NULL, '{"stage": "evaluation"}', '[
    {"at": "02 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 1}}, {"at": "05 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 3}},
    {"at": "09 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 2}}]'),
('stage_back', 0, 'the same stage again', NULL, '{"stage": "evaluation"}', '[
    {"at": "02 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 1}}, {"at": "05 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 2}},
    {"at": "09 10:00", "kind": "stage_change", "side": "system", "channel": "crm", "properties": {"position": 2}}]'),
('discount_habit', 1, NULL, NULL, NULL, '[
    {"at": "02 10:00", "kind": "email", "side": "rep", "channel": "email", "person": "-", "other": "x", "properties": {"intents": "discount"}}, {"at": "03 10:00", "kind": "call", "side": "rep", "channel": "call", "person": "-", "other": "y", "properties": {"intents": ["price", "discount"]}},
    {"at": "06 10:00", "kind": "email", "side": "rep", "channel": "email", "person": "-", "other": "z", "properties": {"intents": "discount"}}]'),
('discount_habit', 0, 'two accounts', NULL, NULL, '[
    {"at": "02 10:00", "kind": "email", "side": "rep", "channel": "email", "person": "-", "other": "x", "properties": {"intents": "discount"}}, {"at": "03 10:00", "kind": "call", "side": "rep", "channel": "call", "person": "-", "other": "y", "properties": {"intents": ["price", "discount"]}},
    {"at": "06 10:00", "kind": "email", "side": "rep", "channel": "email", "person": "-", "other": "x", "properties": {"intents": "discount"}}]'),
-- somebody who looks for a job, and the newsletter: nothing at all
('deep_visit', 0, 'only careers', NULL, NULL, '[
    {"at": "02 10:00", "kind": "page_view", "object": "/careers", "dwell": "5 min"}, {"at": "02 10:06", "kind": "page_view", "object": "/careers/engineer", "dwell": "5 min"}, {"at": "02 10:12", "kind": "page_view", "object": "/careers/sales", "dwell": "9 min"},
    {"at": "02 10:22", "kind": "page_view", "object": "/jobs/apply", "dwell": "9 min"}, {"at": "02 10:32", "kind": "page_view", "object": "/privacy", "dwell": "2 min"}, {"at": "02 10:35", "kind": "page_view", "object": "/login"}, {"at": "02 10:36", "kind": "page_view", "object": "/"},
    {"at": "03 10:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"automatic": true}}, {"at": "04 10:00", "kind": "email", "channel": "email", "side": "rep", "properties": {"automatic": true}}]');

CREATE VIEW t.fact AS
SELECT c.n, format('t-%s', c.n) AS account, e.*, CASE WHEN coalesce(e.person, 'a') <> '-' THEN format('t-%s/%s', c.n, coalesce(e.person, 'a')) END AS who,
       CASE WHEN d.definition ->> 'per' = 'opportunity' THEN format('t-%s/o', c.n) END AS opportunity
FROM t.customer c JOIN revops.rule_template d USING (template),
     jsonb_to_recordset(c.events) AS e (at text, person text, other text, side text, channel text, kind text, object text, dwell interval, body text, properties jsonb);
INSERT INTO revops.account (account) SELECT format('t-%s', n) FROM t.customer;
INSERT INTO revops.person (person, account, title, time_zone, properties)
SELECT f.who, f.account, p ->> 'title', p ->> 'time_zone', coalesce(p -> 'properties', '{}')
FROM (SELECT DISTINCT n, account, who FROM t.fact WHERE who IS NOT NULL) f JOIN t.customer c USING (n), LATERAL (SELECT c.people -> split_part(f.who, '/', 2)) AS x (p);
INSERT INTO revops.opportunity (opportunity, account, stage, status)
SELECT format('t-%s/o', n), format('t-%s', n), deal ->> 'stage', coalesce(deal ->> 'status', 'open') FROM t.customer WHERE deal IS NOT NULL;
INSERT INTO revops.event (occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
SELECT ('2026-03-' || at || 'Z')::timestamptz, who, account || '/' || other, opportunity, CASE WHEN side = 'rep' THEN account || '/r' END,
       coalesce(side, 'customer'), coalesce(channel, 'web'), kind, object, dwell, body, properties
FROM t.fact ORDER BY 1;
SELECT revops.process() = (SELECT count(*) FROM t.fact) AS all_processed;
SELECT count(*) FROM revops.failed_event;

CREATE VIEW t.found AS
SELECT c.*, m.rule, m.occurred_at, m.strength
FROM t.customer c LEFT JOIN revops.moment m ON m.retracted_at IS NULL AND split_part(m.subject, '/', 1) = format('t-%s', c.n) AND m.rule LIKE 't.%';

-- what makes a moment does so, what is nearly it does not
SELECT template, string_agg(to_char(occurred_at, 'DD HH24:MI') || ' ' || round(strength::numeric, 3), ', ' ORDER BY n, occurred_at) FILTER (WHERE moments > 0) AS fired,
       count(DISTINCT n) FILTER (WHERE moments = 0) AS near_misses, count(rule) FILTER (WHERE moments = 0) AS not_missed
FROM (SELECT template, n, moments, CASE WHEN rule = 't.' || template THEN rule END AS rule, occurred_at, strength
      FROM t.found WHERE rule = 't.' || template
      UNION ALL SELECT template, n, moments, NULL, NULL, NULL FROM t.customer) x
GROUP BY template ORDER BY template;
SELECT n, template, missing, moments AS expected, count(rule) AS found
FROM (SELECT n, template, missing, moments, CASE WHEN rule = 't.' || template THEN rule END AS rule FROM t.found) x
GROUP BY n, template, missing, moments HAVING count(rule) <> moments ORDER BY n;
SELECT template FROM t.customer GROUP BY template HAVING count(*) FILTER (WHERE moments = 1) = 0 OR count(*) FILTER (WHERE moments = 0) = 0
UNION ALL (SELECT template FROM revops.rule_template EXCEPT SELECT template FROM t.customer);
SELECT rule FROM t.found WHERE missing = 'only careers' AND rule IS NOT NULL;

-- the same by backtest(), day by day with the timers in between, and in the worst order of arrival
CREATE VIEW t.moment AS
SELECT rule, subject_kind, subject, occurred_at, strength, evidence FROM revops.moment WHERE retracted_at IS NULL AND rule LIKE 't.%';
CREATE TABLE t.at_once AS TABLE t.moment;
CREATE TABLE t.event AS
SELECT event_id, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties FROM revops.event;
CREATE VIEW t.tested AS
SELECT 't.' || d.template AS rule, b.subject_kind, b.subject, b.occurred_at, b.strength, b.evidence FROM revops.rule_template d, LATERAL revops.backtest(d.definition) b;
SELECT count(*) AS differences FROM ((TABLE t.at_once EXCEPT TABLE t.tested) UNION ALL (TABLE t.tested EXCEPT TABLE t.at_once)) x;
CREATE PROCEDURE t.play(newest_first boolean) LANGUAGE plpgsql AS $$
DECLARE
    d date;
BEGIN
    TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
    FOR d IN SELECT g FROM generate_series('2026-03-01'::date, '2026-04-14', '1 day') g ORDER BY CASE WHEN newest_first THEN -extract(epoch FROM g) ELSE extract(epoch FROM g) END LOOP
        IF NOT newest_first THEN
            PERFORM set_config('revops.as_of', (d + 1)::text || ' 00:00Z', false);
        END IF;
        INSERT INTO revops.event (event_id, occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
        SELECT * FROM t.event e WHERE e.occurred_at >= d AND e.occurred_at < d + 1;
        COMMIT;
        PERFORM revops.process();
        COMMIT;
    END LOOP;
END $$;
CALL t.play(newest_first => false);
SELECT count(*) AS differences FROM ((TABLE t.at_once EXCEPT TABLE t.moment) UNION ALL (TABLE t.moment EXCEPT TABLE t.at_once)) x;
CALL t.play(newest_first => true);
SELECT count(*) AS differences FROM ((TABLE t.at_once EXCEPT TABLE t.moment) UNION ALL (TABLE t.moment EXCEPT TABLE t.at_once)) x;
SELECT count(*) > 0 AS some_were_retracted FROM revops.moment WHERE retracted_at IS NOT NULL;

-- a template under its own name; the same again is the same version
SELECT revops.use_template('ticket_burst');
SELECT revops.use_template('ticket_burst');
SELECT r.definition::text = d.definition::text AS as_it_is FROM revops.rule r, revops.rule_template d WHERE r.rule = 'ticket_burst' AND d.template = 'ticket_burst';
-- changes: of a key, of what lies deeper, of a list's part, of keys with dots; additions; removals
SELECT revops.use_template('ticket_burst', 't.1', '{"title": "支持工单过多", "count.at_least": 3, "playbook": "care", "intent": null}');
SELECT title, playbook, definition FROM revops.rule WHERE rule = 't.1';
SELECT revops.use_template('dodged_topic', 't.2', '{"sequence.steps.0.when.intent": "security", "sequence.steps.1.when.not.any.0": {"intent": "security"}, "sequence.steps.1.times": 2, "sequence.until.intent": "security", "once.until.intent": "security"}');
SELECT definition::jsonb FROM revops.rule WHERE rule = 't.2';
SELECT revops.use_template('demo_watched', 't.3', '{"when.properties.percent.gte": 80, "cooldown": null}');
SELECT definition::jsonb FROM revops.rule WHERE rule = 't.3';
SELECT revops.use_template('deep_visit', 't.4', '{"when.not.any.0": null, "when.not.any.2": null, "when.not.any.1.object.prefix": "/press"}');
SELECT definition::jsonb -> 'when' FROM revops.rule WHERE rule = 't.4';
SELECT revops.use_template('demo_watched', 't.5', NULL);
-- refused
SELECT revops.use_template('tickets');
SELECT revops.use_template(NULL);
SELECT revops.use_template('ticket_burst', 't.6', '[1]');
SELECT revops.use_template('ticket_burst', 't.6', '{"count.atleast": 3}');
SELECT revops.use_template('ticket_burst', 't.6', '{"cuont.at_least": 3}');
SELECT revops.use_template('ticket_burst', 't.6', '{"count.at_least.x": 3}');
SELECT revops.use_template('dodged_topic', 't.6', '{"sequence.steps.2.times": 3}');
SELECT revops.use_template('dodged_topic', 't.6', '{"cooldown": null}');
SELECT revops.use_template('ticket_burst', 't.6', jsonb_build_object(repeat('count.', 100), 1));
SELECT revops.use_template('ticket_burst', 't.6', (SELECT jsonb_object_agg('k' || g, g) FROM generate_series(1, 101) g));
\set VERBOSITY terse
SELECT revops.use_template('ticket_burst', 't.6', '{"colour": "red"}');
SELECT revops.use_template('ticket_burst', 't.6', '{"count.at_least": "three"}');
\set VERBOSITY default
SELECT count(*) FROM revops.rule WHERE rule = 't.6';
-- who may
CREATE ROLE revops_test_t_reader IN ROLE revops_reader;
CREATE ROLE revops_test_t_admin IN ROLE revops_admin;
SET ROLE revops_test_t_reader;
SELECT count(*) > 0 AS readable FROM revops.rule_template;
SELECT revops.use_template('ticket_burst', 't.7');
SET ROLE revops_test_t_admin;
SELECT revops.use_template('ticket_burst', 't.7');
DELETE FROM revops.rule_template;
RESET ROLE;

SET client_min_messages = warning;
DROP ROLE revops_test_t_reader, revops_test_t_admin;
DELETE FROM revops.moment_rule WHERE rule LIKE 't.%' OR rule = 'ticket_burst';
DELETE FROM revops.opportunity WHERE opportunity LIKE 't-%';
DELETE FROM revops.person WHERE person LIKE 't-%';
DELETE FROM revops.account WHERE account LIKE 't-%';
TRUNCATE revops.event, revops.intent_state, revops.moment, revops.moment_state, revops.stream_lane, revops.failed_event, revops.repair_request;
DELETE FROM revops.intent i WHERE NOT EXISTS (SELECT FROM t.intent o WHERE o.intent = i.intent);
DROP SCHEMA t CASCADE;
-- a database whose encoding has no Chinese has the templates too, without Chinese titles and words
\set home :DBNAME
CREATE DATABASE revops_test_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
\c revops_test_latin1
CREATE EXTENSION pg_revops;
SELECT count(*) AS templates, count(title_zh) AS titles_zh, count(revops.use_template(template)) AS used FROM revops.rule_template;
\c :home
DROP DATABASE revops_test_latin1 WITH (FORCE);
