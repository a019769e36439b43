-- template: ready moment rules for the behaviours that sales teams watch

CREATE TABLE revops.rule_template (
    template    text COLLATE "C" NOT NULL,
    title       text NOT NULL GENERATED ALWAYS AS (definition ->> 'title') STORED,
    title_zh    text,
    description text NOT NULL,
    behaviour   text COLLATE "C" NOT NULL,
    definition  json NOT NULL,
    CONSTRAINT rule_template_pkey PRIMARY KEY (template)
);
COMMENT ON TABLE revops.rule_template IS 'Ready moment rules; revops.use_template() puts one into force. They come with the extension and are not dumped';
COMMENT ON COLUMN revops.rule_template.template IS 'Name';
COMMENT ON COLUMN revops.rule_template.title IS 'Title of the rule';
COMMENT ON COLUMN revops.rule_template.title_zh IS 'The title in Chinese; NULL where the database''s encoding has no Chinese';
COMMENT ON COLUMN revops.rule_template.description IS 'What it catches';
COMMENT ON COLUMN revops.rule_template.behaviour IS 'Group of behaviours: content, comparison, pricing, security, documents, conversation, people, customers or deals';
COMMENT ON COLUMN revops.rule_template.definition IS 'The rule, as revops.put_rule() takes it';

-- This file is ASCII, since it must load in a database of any encoding. Where the encoding has no Chinese, conditions on Chinese words go.
INSERT INTO revops.rule_template (template, behaviour, title_zh, description, definition)
SELECT t.template, t.behaviour, CASE WHEN e.chinese THEN unistr(t.title_zh) END, t.description,
       (CASE WHEN e.chinese THEN unistr(t.definition)
             ELSE regexp_replace(t.definition, $$,\s*\{"[a-z.]+": \{"like": "%(\\u[0-9a-f]{4})+%"\}\}$$, '', 'g') END)::json
FROM (SELECT getdatabaseencoding() IN ('UTF8', 'EUC_CN') AS chinese) e, (VALUES
('whitepaper_streak', 'content', $$\u8fde\u7eed\u4e09\u5929\u9605\u8bfb\u5b89\u5168\u767d\u76ae\u4e66$$,
 'Reads the security whitepaper three days in a row, two minutes or more each day',
$${"title": "Reads the security whitepaper three days in a row",
 "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/security/whitepaper"}},
 "streak": {"days": 3, "each": {"sum": {"of": "dwell", "at_least": "2 minutes"}}},
 "once": "per_episode", "strength": 0.85,
 "intent": {"intent": "security_review", "weight": 8}}$$),
('implementation_revisit', 'content', $$\u770b\u8fc7\u522b\u7684\u5185\u5bb9\u540e\u53c8\u56de\u5230\u5b9e\u65bd\u5468\u671f\u9875\u9762$$,
 'Reads a page on implementation, something else, and the same page again within two weeks',
$${"title": "Comes back to the implementation page",
 "sequence": {
   "steps": [
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/implementation"}}},
     {"when": {"kind": "page_view", "side": "customer", "not": {"object": {"prefix": "/implementation"}}}},
     {"when": {"kind": "page_view", "side": "customer"}, "same": ["object"]}],
   "within": "14 days"},
 "cooldown": "14 days", "strength": 0.7,
 "intent": {"intent": "delivery", "weight": 4}}$$),
('case_studies', 'content', $$\u4e00\u5468\u5185\u9605\u8bfb\u4e09\u4e2a\u5ba2\u6237\u6848\u4f8b$$,
 'Reads three different customer stories within a week',
$${"title": "Reads three customer stories",
 "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/cases/"}, "dwell": {"gte": "15s"}},
 "distinct": {"of": "object", "at_least": 3, "within": "7 days"},
 "cooldown": "14 days", "strength": 0.5,
 "intent": {"intent": "evaluation", "weight": 3}}$$),
('deep_visit', 'content', $$\u4e00\u6b21\u8bbf\u95ee\u6d4f\u89c8\u516d\u4e2a\u4ea7\u54c1\u9875\u9762$$,
 'Looks at six different pages in one visit; careers, privacy and sign-in pages do not count',
$${"title": "Looks at six pages in one visit",
 "when": {"kind": "page_view", "side": "customer", "object": {"exists": true},
          "not": {"any": [{"object": {"prefix": "/careers"}}, {"object": {"prefix": "/jobs"}}, {"object": {"prefix": "/privacy"}}, {"object": {"prefix": "/login"}}]}},
 "distinct": {"of": "object", "at_least": 6, "session": "30 minutes"},
 "cooldown": "24 hours", "strength": "min(1, 0.4 + span / 7200)",
 "intent": {"intent": "evaluation", "weight": 2}}$$),
('integration_deep_dive', 'content', $$\u4e00\u6b21\u8bbf\u95ee\u6df1\u5165\u7814\u8bfb\u96c6\u6210\u6587\u6863$$,
 'Spends ten minutes on three or more pages of the integration documents in one visit',
$${"title": "Studies the integration documents",
 "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/docs/integration"}},
 "sum": {"of": "dwell", "at_least": "10 minutes", "session": "30 minutes"},
 "distinct": {"of": "object", "at_least": 3, "session": "30 minutes"},
 "cooldown": "3 days", "strength": 0.75,
 "intent": {"intent": "evaluation", "weight": 5}}$$),
('region_page', 'content', $$\u53cd\u590d\u67e5\u770b\u540c\u4e00\u5730\u533a\u7684\u9875\u9762$$,
 'Reads the page of one region twice within a week',
$${"title": "Is interested in one region",
 "sequence": {
   "steps": [
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/regions/"}, "dwell": {"gte": "20s"}}},
     {"when": {"kind": "page_view", "side": "customer", "dwell": {"gte": "20s"}}, "same": ["object"]}],
   "within": "7 days"},
 "cooldown": "30 days", "strength": 0.4}$$),
('demo_watched', 'content', $$\u628a\u6f14\u793a\u89c6\u9891\u770b\u5230\u6700\u540e$$,
 'Watches a demo video to the end',
$${"title": "Watched the demo to the end",
 "when": {"kind": "video_view", "side": "customer", "object": {"prefix": "/demo"}, "properties.percent": {"gte": 95}},
 "cooldown": "7 days", "strength": 0.7,
 "intent": {"intent": "evaluation", "weight": 5}}$$),
('long_comparison', 'comparison', $$\u5bf9\u6bd4\u8868\u505c\u7559\u8d85\u8fc790\u79d2$$,
 'Stays on a comparison table for more than 90 seconds',
$${"title": "Studies the comparison table",
 "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/compare"}, "dwell": {"gt": "90s"}},
 "cooldown": "24 hours", "strength": "min(1, 0.5 + dwell / 600)",
 "intent": {"intent": "evaluation", "weight": 3}}$$),
('compare_then_price', 'comparison', $$\u540c\u4e00\u6b21\u8bbf\u95ee\u4e2d\u5148\u5bf9\u6bd4\u540e\u770b\u4ef7\u683c$$,
 'Goes from a comparison to the prices in one visit',
$${"title": "From the comparison straight to the prices",
 "sequence": {
   "steps": [
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/compare"}}},
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}}, "gap": "30 minutes"}],
   "within": "2 hours"},
 "cooldown": "48 hours", "strength": 0.8,
 "intent": {"intent": "price", "weight": 4}}$$),
('competitor_search', 'comparison', $$\u4e09\u6b21\u641c\u7d22\u540c\u4e00\u7ade\u54c1\u578b\u53f7$$,
 'Searches three times for the same model of a competitor within a week',
$${"title": "Searches for a competitor's model again and again",
 "sequence": {
   "steps": [
     {"when": {"kind": "search", "side": "customer", "properties.competitor": {"exists": true}}},
     {"when": {"kind": "search", "side": "customer"}, "times": 2, "same": ["properties.competitor"]}],
   "within": "7 days"},
 "cooldown": "14 days", "strength": 0.85,
 "intent": {"intent": "evaluation", "weight": 5}}$$),
('price_study', 'pricing', $$\u4e00\u6b21\u8bbf\u95ee\u7814\u7a76\u4ef7\u683c\u4e09\u5206\u949f$$,
 'Spends three minutes on the prices in one visit',
$${"title": "Studies the prices for three minutes",
 "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}},
 "sum": {"of": "dwell", "at_least": "3 minutes", "session": "30 minutes"},
 "cooldown": "24 hours", "strength": 0.8,
 "intent": {"intent": "price", "weight": 4}}$$),
('price_return', 'pricing', $$\u518d\u6b21\u8bbf\u95ee\u65f6\u53c8\u770b\u4ef7\u683c\u9875$$,
 'Comes back to the prices in a later session, as properties.session tells, within a month',
$${"title": "Comes back to the prices",
 "sequence": {
   "steps": [
     {"as": "before", "when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}, "properties.session": {"exists": true}}},
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/pricing"}, "properties.session": {"exists": true}}, "where": {"properties.session": {"ne": "before.properties.session"}}}],
   "within": "30 days"},
 "cooldown": "7 days", "strength": 0.75,
 "intent": {"intent": "price", "weight": 4}}$$),
('price_list_after_comparison', 'pricing', $$\u5bf9\u6bd4\u4e4b\u540e\u4e0b\u8f7d\u4ef7\u76ee\u8868$$,
 'Downloads a price list within a week of reading a comparison',
$${"title": "Took the price list after the comparison",
 "sequence": {
   "steps": [
     {"when": {"kind": "page_view", "side": "customer", "object": {"prefix": "/compare"}}},
     {"when": {"kind": "download", "side": "customer", "object": {"prefix": "/pricing"}}}],
   "within": "7 days"},
 "cooldown": "7 days", "strength": 0.9,
 "intent": {"intent": "price", "weight": 6}}$$),
('silent_after_intent', 'pricing', $$\u770b\u8fc7\u4ef7\u683c\u6216\u6f14\u793a\u540e\u6c89\u9ed8\u4e03\u5929$$,
 'Saw the prices or a demo, and has been silent for seven days since',
$${"title": "Saw the prices or a demo, and has been silent since",
 "sequence": {
   "steps": [
     {"when": {"side": "customer", "any": [{"kind": "page_view", "object": {"prefix": "/pricing"}}, {"kind": ["demo", "video_view"], "object": {"prefix": "/demo"}}]}},
     {"absent": {"side": "customer"}, "for": "7 days"}]},
 "cooldown": "30 days", "strength": 0.6}$$),
('cart_abandoned', 'pricing', $$\u52a0\u5165\u8d2d\u7269\u8f66\u6216\u5f00\u59cb\u8be2\u4ef7\u540e\u672a\u63d0\u4ea4$$,
 'Filled a cart or began a quote, and did not send it within a day',
$${"title": "Left a cart or a quote unfinished",
 "sequence": {
   "steps": [
     {"when": {"kind": ["cart", "quote_start"], "side": "customer"}},
     {"absent": {"kind": ["order", "purchase", "quote_submit"]}, "for": "24 hours"}]},
 "cooldown": "3 days", "strength": 0.7,
 "intent": {"intent": "price", "weight": 3}}$$),
('form_abandoned', 'pricing', $$\u6253\u5f00\u8054\u7cfb\u8868\u5355\u5374\u6ca1\u6709\u63d0\u4ea4$$,
 'Began a contact form, and did not send it within half an hour',
$${"title": "Began the contact form and left it",
 "sequence": {
   "steps": [
     {"when": {"kind": "form_start", "side": "customer"}},
     {"absent": {"kind": ["form_submit", "sign_up", "contact_left"]}, "for": "30 minutes"}]},
 "cooldown": "24 hours", "strength": 0.5}$$),
('night_compliance_search', 'security', $$\u6df1\u591c\u641c\u7d22\u5408\u89c4\u5185\u5bb9$$,
 'Searches for compliance between 22:00 and 06:00 on the customer''s own clock',
$${"title": "Searches for compliance late at night",
 "when": {"kind": "search", "side": "customer",
          "any": [{"intent": "security_review"}, {"body": {"like": "%ompliance%"}}, {"body": {"like": "%GDPR%"}}, {"body": {"like": "%\u5408\u89c4%"}}, {"body": {"like": "%\u7b49\u4fdd%"}}]},
 "local_time": {"from": "22:00", "to": "06:00"},
 "cooldown": "12 hours", "strength": 0.8,
 "intent": {"intent": "security_review", "weight": 5}}$$),
('security_questionnaire', 'security', $$\u4e0b\u8f7d\u5b89\u5168\u95ee\u5377\u5e76\u641c\u7d22\u5408\u89c4\u5185\u5bb9$$,
 'Takes the security questionnaire and searches for compliance within a week, in either order',
$${"title": "A security review has begun",
 "when": {"side": "customer",
          "any": [{"kind": "download", "object": {"prefix": "/security/questionnaire"}},
                  {"kind": "search", "any": [{"intent": "security_review"}, {"body": {"like": "%ompliance%"}}, {"body": {"like": "%GDPR%"}}, {"body": {"like": "%\u5408\u89c4%"}}, {"body": {"like": "%\u7b49\u4fdd%"}}]}]},
 "distinct": {"of": "kind", "at_least": 2, "within": "7 days"},
 "once": "per_episode", "strength": 0.9,
 "intent": {"intent": "security_review", "weight": 8}}$$),
('contract_reading', 'security', $$\u4ed4\u7ec6\u9605\u8bfb\u5408\u540c\u4e0e\u6cd5\u5f8b\u9875\u9762$$,
 'Spends three minutes or more on contract and legal pages in one visit',
$${"title": "Reads the contract terms",
 "when": {"kind": "page_view", "side": "customer", "any": [{"object": {"prefix": "/legal"}}, {"object": {"prefix": "/contract"}}]},
 "sum": {"of": "dwell", "at_least": "3 minutes", "session": "30 minutes"},
 "cooldown": "3 days", "strength": 0.85,
 "intent": {"intent": "contract", "weight": 6}}$$),
('quote_reopened', 'documents', $$\u540c\u4e00\u4efd\u62a5\u4ef7\u88ab\u6253\u5f00\u4e09\u6b21$$,
 'Opens the same quote three times within a week',
$${"title": "Opened the quote three times",
 "sequence": {
   "steps": [
     {"when": {"kind": "quote_open", "side": "customer", "object": {"exists": true}}},
     {"when": {"kind": "quote_open", "side": "customer"}, "times": 2, "same": ["object"]}],
   "within": "7 days"},
 "cooldown": "3 days", "strength": "max(0.6, 1 - span / 604800)",
 "intent": {"intent": "price", "weight": 6}}$$),
('quote_forwarded', 'documents', $$\u62a5\u4ef7\u88ab\u8f6c\u53d1\u7ed9\u540c\u4e8b$$,
 'A quote is opened by a second person of the account within two weeks',
$${"title": "The quote went to a colleague", "per": "account",
 "sequence": {
   "steps": [
     {"as": "first", "when": {"kind": "quote_open", "side": "customer", "object": {"exists": true}, "person": {"exists": true}}},
     {"when": {"kind": "quote_open", "side": "customer", "person": {"exists": true}}, "same": ["object"], "where": {"person": {"ne": "first.person"}}}],
   "within": "14 days"},
 "cooldown": "7 days", "strength": 0.9,
 "intent": {"intent": "price", "weight": 8}}$$),
('proposal_unopened', 'documents', $$\u65b9\u6848\u53d1\u51fa\u4e09\u5929\u65e0\u4eba\u6253\u5f00$$,
 'A proposal was sent, and nobody of the account opened one for three days',
$${"title": "The proposal has not been opened", "per": "account",
 "sequence": {
   "steps": [
     {"when": {"kind": "proposal_sent", "side": "rep"}},
     {"absent": {"kind": "proposal_open", "side": "customer"}, "for": "72 hours"}]},
 "cooldown": "7 days", "strength": 0.6}$$),
('email_reopened', 'documents', $$\u4e00\u5c0f\u65f6\u5185\u53cd\u590d\u6253\u5f00\u540c\u4e00\u5c01\u90ae\u4ef6$$,
 'Opens the same e-mail three times within an hour',
$${"title": "Keeps opening the e-mail",
 "sequence": {
   "steps": [
     {"when": {"kind": "email_open", "object": {"exists": true}}},
     {"when": {"kind": "email_open"}, "times": 2, "same": ["object"]}],
   "within": "1 hour"},
 "cooldown": "24 hours", "strength": 0.5,
 "intent": {"intent": "urgency", "weight": 2}}$$),
('unanswered_inbound', 'conversation', $$\u5ba2\u6237\u6765\u4fe1\u56db\u5c0f\u65f6\u65e0\u4eba\u56de\u590d$$,
 'A customer wrote, and no rep answered for four hours; newsletters and notes in the CRM are no answer',
$${"title": "Wrote to us, and waits for an answer",
 "sequence": {
   "steps": [
     {"when": {"kind": ["message", "email", "form_submit"], "side": "customer"}},
     {"absent": {"side": "rep", "channel": {"ne": "crm"}, "not": {"properties.automatic": true}}, "for": "4 hours"}]},
 "cooldown": "24 hours", "strength": 0.9}$$),
('dodged_topic', 'conversation', $$\u4ea4\u4ed8\u95ee\u9898\u4e09\u6b21\u88ab\u56de\u907f$$,
 'The customer raised delivery, and three follow-ups of the rep do not mention it; told once until it is answered',
$${"title": "The delivery question was dodged three times", "per": "account",
 "sequence": {
   "steps": [
     {"as": "raised", "when": {"side": "customer", "intent": ["delivery", "delivery_concern", "delivery_date_request", "delivery_delayed", "expedite_request"]}},
     {"as": "follow_up", "times": 3, "when": {"side": "rep", "channel": {"ne": "crm"}, "not": {"any": [{"intent": ["delivery", "rep_answers_delivery"]}, {"properties.automatic": true}]}}}],
   "until": {"side": "rep", "intent": ["delivery", "rep_answers_delivery"]}, "within": "30 days"},
 "once": {"until": {"side": "rep", "intent": ["delivery", "rep_answers_delivery"]}}, "strength": 0.8}$$),
('sentiment_after_meeting', 'conversation', $$\u4f1a\u540e\u5ba2\u6237\u60c5\u7eea\u8f6c\u5dee$$,
 'The customer''s words are negative within three days after a meeting',
$${"title": "Negative words after a meeting", "per": "account",
 "sequence": {
   "steps": [
     {"as": "meeting", "when": {"kind": "meeting"}},
     {"as": "reaction", "when": {"side": "customer", "sentiment": {"lt": -0.3}}}],
   "within": "72 hours"},
 "cooldown": "7 days", "strength": "min(1, 0.6 - 0.4 * reaction.properties.sentiment)",
 "intent": {"intent": "churn_risk", "weight": 4}}$$),
('meeting_without_follow_up', 'conversation', $$\u4f1a\u8bae\u540e\u4e24\u5929\u6ca1\u6709\u8ddf\u8fdb$$,
 'Two days have passed since a meeting, and no rep has been in touch',
$${"title": "A meeting, and no follow-up", "per": "account",
 "sequence": {
   "steps": [
     {"when": {"kind": "meeting"}},
     {"absent": {"side": "rep", "channel": {"ne": "crm"}, "not": {"properties.automatic": true}}, "for": "48 hours"}]},
 "cooldown": "7 days", "strength": 0.7}$$),
('visit_expected', 'conversation', $$\u5ba2\u6237\u6b63\u5728\u51c6\u5907\u6765\u8bbf$$,
 'Two kinds of preparation for a visit (route, hotel, calendar) within two days, and no visit and no cancellation in the two hours after',
$${"title": "A visit is being prepared", "per": "account",
 "sequence": {
   "steps": [
     {"as": "one", "when": {"kind": ["route_search", "hotel_search", "calendar_invite"], "side": "customer"}},
     {"when": {"kind": ["route_search", "hotel_search", "calendar_invite"], "side": "customer"}, "where": {"kind": {"ne": "one.kind"}}},
     {"absent": {"kind": ["visit", "visit_cancelled"]}, "for": "2 hours"}],
   "until": {"kind": "visit_cancelled"}, "within": "48 hours"},
 "cooldown": "48 hours", "strength": 0.85,
 "intent": {"intent": "urgency", "weight": 8}}$$),
('buying_committee', 'people', $$\u540c\u4e00\u5ba2\u6237\u56db\u4eba\u4e00\u5929\u5185\u6765\u8bbf$$,
 'Four people of one account are active within 24 hours',
$${"title": "Several people of the account in one day", "per": "account",
 "when": {"side": "customer", "person": {"exists": true}},
 "distinct": {"of": "person", "at_least": 4, "within": "24 hours"},
 "cooldown": "7 days", "strength": "max(0.7, 1 - span / 172800)",
 "intent": {"intent": "evaluation", "weight": 8}}$$),
('new_stakeholder', 'people', $$\u5ba2\u6237\u51fa\u73b0\u7b2c\u4e8c\u4f4d\u53c2\u4e0e\u8005$$,
 'A second person of an account shows up within a month',
$${"title": "A second person of the account joins in", "per": "account",
 "when": {"side": "customer", "person": {"exists": true}},
 "distinct": {"of": "person", "at_least": 2, "within": "30 days"},
 "once": "per_episode", "strength": 0.6,
 "intent": {"intent": "evaluation", "weight": 3}}$$),
('executive_joins', 'people', $$\u9ad8\u7ba1\u53c2\u4e0e\u8fdb\u884c\u4e2d\u7684\u5546\u673a$$,
 'Somebody with an executive''s title is active while the account has an open opportunity',
$${"title": "An executive looks in",
 "when": {"side": "customer", "account.open_opportunity": true,
          "any": [{"person.title": ["CEO", "CFO", "CIO", "CTO", "COO"]}, {"person.title": {"like": "Chief %"}}, {"person.title": {"like": "%Vice President%"}}, {"person.title": {"like": "VP %"}},
                  {"person.title": {"like": "%\u603b\u76d1%"}}, {"person.title": {"like": "%\u603b\u7ecf\u7406%"}}, {"person.title": {"like": "%\u603b\u88c1%"}}]},
 "cooldown": "90 days", "strength": 0.9,
 "intent": {"intent": "evaluation", "weight": 6}}$$),
('champion_quiet', 'people', $$\u652f\u6301\u8005\u4e24\u5468\u6ca1\u6709\u52a8\u9759$$,
 'A champion (property champion of the person) was active three times in two weeks, and has been silent for two weeks since',
$${"title": "The champion has gone quiet", "per": "account",
 "sequence": {
   "steps": [
     {"when": {"side": "customer", "person.properties.champion": true}, "times": 3},
     {"absent": {"side": "customer", "person.properties.champion": true}, "for": "14 days"}],
   "within": "14 days"},
 "cooldown": "30 days", "strength": 0.8}$$),
('off_hours_burst', 'people', $$\u591c\u95f4\u6216\u5468\u672b\u96c6\u4e2d\u7814\u7a76$$,
 'Is active five times within twelve hours, in the evening, at night or at the weekend',
$${"title": "Works on us after hours",
 "when": {"kind": ["page_view", "search", "download", "message"], "side": "customer",
          "any": [{"local_time": {"from": "21:00", "to": "06:00"}}, {"local_time": {"days": ["sat", "sun"]}}]},
 "count": {"at_least": 5, "within": "12 hours"},
 "cooldown": "3 days", "strength": 0.6,
 "intent": {"intent": "urgency", "weight": 3}}$$),
('trial_stalled', 'customers', $$\u5f00\u901a\u8bd5\u7528\u540e\u4e09\u5929\u6ca1\u6709\u4f7f\u7528$$,
 'A trial was started, and nobody of the account has used the app for three days',
$${"title": "The trial has stalled", "per": "account",
 "sequence": {
   "steps": [
     {"when": {"kind": "trial_start"}},
     {"absent": {"side": "customer", "channel": "app"}, "for": "72 hours"}]},
 "cooldown": "7 days", "strength": 0.7}$$),
('renewal_complaints', 'customers', $$\u67e5\u770b\u7eed\u7ea6\u9875\u9762\u53c8\u6709\u8d1f\u9762\u5de5\u5355$$,
 'Looks at the renewal page and complains to support within two weeks, in either order',
$${"title": "A renewal in doubt", "per": "account",
 "when": {"side": "customer", "any": [{"kind": "page_view", "object": {"prefix": "/renewal"}}, {"kind": "support_ticket", "sentiment": {"lt": 0}}]},
 "distinct": {"of": "kind", "at_least": 2, "within": "14 days"},
 "once": "per_episode", "strength": 0.9,
 "intent": {"intent": "churn_risk", "weight": 8}}$$),
('ticket_burst', 'customers', $$\u4e00\u5929\u5185\u4e94\u4e2a\u652f\u6301\u5de5\u5355$$,
 'Five support tickets of one account within a day',
$${"title": "A burst of support tickets", "per": "account",
 "when": {"kind": "support_ticket", "side": "customer"},
 "count": {"at_least": 5, "within": "24 hours"},
 "cooldown": "3 days", "strength": "max(0.6, 1 - span / 86400)",
 "intent": {"intent": "churn_risk", "weight": 5}}$$),
('late_stage_silent', 'deals', $$\u540e\u671f\u5546\u673a\u5ba2\u6237\u6c89\u9ed8\u5341\u5929$$,
 'An opportunity in proposal or negotiation whose customer has been silent for ten days',
$${"title": "A late deal has gone silent", "per": "opportunity",
 "sequence": {
   "steps": [
     {"when": {"side": "customer", "opportunity.status": "open", "opportunity.stage": ["proposal", "negotiation"]}},
     {"absent": {"any": [{"side": "customer"}, {"kind": ["contract_signed", "order", "purchase"]}]}, "for": "10 days"}]},
 "cooldown": "20 days", "strength": 0.7}$$),
('stage_back', 'deals', $$\u5546\u673a\u9636\u6bb5\u5012\u9000$$,
 'An opportunity goes back to an earlier stage, as properties.position of its stage changes tells',
$${"title": "The deal went back a stage", "per": "opportunity",
 "when": {"kind": "stage_change", "properties.position": {"exists": true}},
 "sequence": {
   "steps": [
     {"as": "before", "when": {"kind": "stage_change"}},
     {"when": {"kind": "stage_change"}, "where": {"properties.position": {"lt": "before.properties.position"}}, "contiguity": "strict"}],
   "within": "365 days"},
 "cooldown": "24 hours", "strength": 0.8}$$),
('discount_habit', 'deals', $$\u4e00\u5468\u5185\u5bf9\u4e09\u5bb6\u5ba2\u6237\u4e3b\u52a8\u8c08\u6298\u6263$$,
 'A rep speaks of discounts to three accounts within a week',
$${"title": "Discounts come up everywhere", "per": "rep",
 "when": {"side": "rep", "intent": "discount", "account": {"exists": true}},
 "distinct": {"of": "account", "at_least": 3, "within": "7 days"},
 "cooldown": "7 days", "strength": 0.5}$$)) AS t (template, behaviour, title_zh, description, definition);

CREATE FUNCTION revops.near_names(name text, names text[], most int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg('"' || x.n || '"', ', ' ORDER BY x.shared DESC, x.place)
    FROM (SELECT n.n, n.place, s.shared
          FROM unnest(names) WITH ORDINALITY AS n (n, place),
               LATERAL (SELECT count(*)::float8 / (length(n.n) + 1) AS shared
                        FROM (SELECT substr(' ' || n.n || ' ', i, 2) FROM generate_series(1, length(n.n) + 1) i
                              INTERSECT
                              SELECT substr(' ' || lower(left(name, 200)) || ' ', i, 2) FROM generate_series(1, length(left(name, 200)) + 1) i) pair) s
          ORDER BY s.shared DESC, n.place LIMIT most) x
$$;
COMMENT ON FUNCTION revops.near_names(text, text[], int) IS 'Of some names, those that share most pairs of letters with a name, nearest first, for hints';

CREATE FUNCTION revops.document_path(document jsonb, path text, OUT parts text[], OUT rest text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    k       text;
    deeper  record;
BEGIN
    parts := '{}';
    rest := path;
    -- keys may have dots themselves, such as properties.amount
    FOR k IN SELECT x FROM (SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(document) = 'object' THEN document ELSE '{}' END)
                            UNION ALL
                            SELECT generate_series(0, jsonb_array_length(CASE WHEN jsonb_typeof(document) = 'array' THEN document ELSE '[]' END) - 1)::text) AS s (x)
             WHERE starts_with(path || '.', x || '.') ORDER BY length(x) DESC LOOP
        SELECT d.parts, d.rest INTO deeper FROM revops.document_path(document #> ARRAY[k], substr(path, length(k) + 2)) d;
        IF length(deeper.rest) < length(rest) THEN
            parts := k || deeper.parts;
            rest := deeper.rest;
        END IF;
        EXIT WHEN rest = '';
    END LOOP;
END $$;
COMMENT ON FUNCTION revops.document_path(jsonb, text) IS
'The keys and array places that a dotted path such as "sequence.steps.0.when.object" leads through, and the rest of it that leads nowhere';

CREATE FUNCTION revops.use_template(template text, rule text DEFAULT NULL, changes jsonb DEFAULT '{}') RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most       CONSTANT int := 100;
    longest    CONSTANT int := 500;
    definition json;
    changed    jsonb;
    inside     jsonb;
    c          record;
    p          record;
BEGIN
    IF template IS NULL THEN
        RAISE EXCEPTION 'use_template() needs the name of a template' USING ERRCODE = 'invalid_parameter_value', HINT = 'revops.rule_template lists them.';
    END IF;
    SELECT t.definition INTO definition FROM revops.rule_template t WHERE t.template = use_template.template;
    IF definition IS NULL THEN
        RAISE EXCEPTION 'there is no rule template "%"', template USING ERRCODE = 'undefined_object',
            HINT = format('Near names are %s. revops.rule_template lists all.',
                          (SELECT revops.near_names(template, array_agg(t.template::text ORDER BY t.template), 3) FROM revops.rule_template t));
    END IF;
    changes := coalesce(changes, '{}');
    IF jsonb_typeof(changes) <> 'object' THEN
        RAISE EXCEPTION 'the changes of a rule template are an object, not a JSON %', jsonb_typeof(changes)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"count.at_least": 5, "playbook": "comparison"}.';
    ELSIF (SELECT count(*) FROM jsonb_object_keys(changes)) > most THEN
        RAISE EXCEPTION 'a rule template takes at most % changes', most
            USING ERRCODE = 'program_limit_exceeded', HINT = 'Write the rule with revops.put_rule().';
    END IF;
    changed := definition::jsonb;
    -- what is set before what is removed, outer before inner; of a list the last first, so that no place moves before its turn
    FOR c IN SELECT e.key, e.value, e.value = 'null' AS removed FROM jsonb_each(changes) e
             ORDER BY e.value = 'null', CASE WHEN e.value = 'null' THEN -length(e.key) ELSE length(e.key) END, e.key COLLATE "C" DESC LOOP
        IF length(c.key) > longest THEN
            RAISE EXCEPTION 'a path of more than % letters leads nowhere in rule template "%"', longest, template
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Write the rule with revops.put_rule().';
        END IF;
        SELECT d.parts, d.rest INTO p FROM revops.document_path(changed, c.key) d;
        IF p.rest = '' AND cardinality(p.parts) > 0 THEN
            changed := CASE WHEN c.removed THEN changed #- p.parts ELSE jsonb_set(changed, p.parts, c.value) END;
        ELSIF strpos(c.key, '.') = 0 AND NOT c.removed THEN
            changed := changed || jsonb_build_object(c.key, c.value);
        ELSE
            inside := changed #> p.parts;
            RAISE EXCEPTION 'rule template "%" has no "%"', template, c.key USING ERRCODE = 'invalid_parameter_value',
                HINT = format('%s has %s. To add a key to an object, change the whole object.',
                              CASE WHEN cardinality(p.parts) = 0 THEN 'It' ELSE format('"%s"', array_to_string(p.parts, '.')) END,
                              coalesce(revops.near_names(split_part(p.rest, '.', 1), CASE jsonb_typeof(inside)
                                           WHEN 'object' THEN ARRAY(SELECT jsonb_object_keys(inside))
                                           WHEN 'array' THEN ARRAY(SELECT i::text FROM generate_series(0, jsonb_array_length(inside) - 1) i) END, 20), 'nothing in it'));
        END IF;
    END LOOP;
    RETURN revops.put_rule(coalesce(rule, template), CASE WHEN changed = definition::jsonb THEN definition ELSE jsonb_pretty(changed)::json END);
END $$;
COMMENT ON FUNCTION revops.use_template(text, text, jsonb) IS
'Puts a rule template into force under a name (default: its own) and returns the version. Each key of changes is a key of the definition or a dotted path into it, such as "count.at_least"; null removes';
