-- What random queries find, beyond the reference's sample: people and skills, proposals and substitutes, a trained pipeline, models of each kind, attached tables.
SET client_min_messages = warning;
INSERT INTO revops.territory (territory, name) VALUES ('west', 'West');
INSERT INTO revops.unit (unit, name, territory) VALUES ('u2', 'Unit Two', 'east'), ('u3', 'Unit Three', 'west');
INSERT INTO revops.rep (rep, name, unit, max_accounts, languages)
SELECT 'rep-' || n, 'Rep ' || n, 'u' || 1 + n % 3, 20, CASE WHEN n % 2 = 0 THEN '{zh,en}' ELSE '{zh}' END::text[] FROM generate_series(1, 9) n;
UPDATE revops.rep SET login = 'smith_rep' WHERE rep = 'rep-2';
INSERT INTO revops.account (account, name, owner, territory, industry, segment)
SELECT 'account-' || n, 'Account ' || n, 'rep-' || 1 + n % 9, CASE WHEN n % 3 = 0 THEN 'east' ELSE 'west' END, CASE WHEN n % 2 = 0 THEN 'bank' ELSE 'auto' END, 'large'
FROM generate_series(1, 60) n;
INSERT INTO revops.person (person, account) SELECT 'person-' || n, 'account-' || 1 + n % 60 FROM generate_series(1, 90) n;
INSERT INTO revops.skill (skill, dimension, intents) VALUES ('banking', 'industry_knowledge', '{price}'), ('sql', 'technical_understanding', NULL);
INSERT INTO revops.rep_skill SELECT 'rep-' || n, CASE WHEN n % 2 = 0 THEN 'banking' ELSE 'sql' END, 1 + n % 5 FROM generate_series(1, 9) n;
INSERT INTO revops.account_need SELECT 'account-' || n, 'banking', 3, true, 1 FROM generate_series(1, 10) n;
INSERT INTO revops.absence (rep, starts_at, ends_at) VALUES ('rep-3', revops.now() - interval '1 day', revops.now() + interval '5 days');
INSERT INTO revops.permission (grantee_kind, grantee, what, scope_kind, scope, deny) VALUES ('rep', 'rep-2', 'read', 'industry', 'bank', false), ('rep', 'rep-2', 'read', 'account', 'account-4', true);
SELECT revops.put_pipeline('sales', '{"title": "Sales", "default": true, "stages": [
    {"stage": "contact", "days": 5, "symbols": ["call"]}, {"stage": "demo", "days": 7, "symbols": ["demo"]}, {"stage": "proposal", "days": 9, "symbols": ["quote"]},
    {"stage": "won", "kind": "won", "symbols": ["contract"]}, {"stage": "lost", "kind": "lost"}],
    "moves": [["contact", "demo"], ["demo", "proposal"], ["proposal", "won"], ["contact", "lost"], ["demo", "lost"], ["proposal", "lost"]]}');
INSERT INTO revops.opportunity (opportunity, account, owner, pipeline, stage, amount)
SELECT 'deal-' || n, 'account-' || n, 'rep-' || 1 + n % 9, 'sales', 'contact', n * 100 FROM generate_series(2, 60) n;
INSERT INTO revops.event (kind, side, channel, rep, account, person, opportunity, body, occurred_at)
SELECT (ARRAY['call', 'demo', 'quote', 'contract', 'page_view'])[1 + i % 5], CASE WHEN i % 2 = 0 THEN 'rep' ELSE 'customer' END, 'call', 'rep-' || 1 + n % 9,
       'account-' || n, 'person-' || n, 'deal-' || n,
       CASE i WHEN 3 THEN 'Our budget is about 50,000 EUR, we decide by the end of next month, and talk to Globex too.' END, revops.now() - (20 - i) * interval '1 day'
FROM generate_series(2, 60) n, generate_series(1, 19) i;
SELECT revops.process();
UPDATE revops.opportunity SET stage = 'demo' WHERE opportunity < 'deal-4';
UPDATE revops.opportunity SET stage = 'won', status = 'won' WHERE opportunity < 'deal-2';
SELECT revops.process();
SELECT revops.train_stages('sales');
SELECT revops.rebuild_stages('sales');
SELECT revops.process();
SELECT revops.suggest_fields();
CREATE TABLE past AS SELECT n % 7 AS contacts, n * 1.5 AS budget, 'source ' || n % 3 AS source, n * 7919 % 13 + n % 7 > 9 AS label FROM generate_series(1, 400) n;
SELECT revops.train('deal', 'predict', 'SELECT * FROM past');
SELECT revops.refresh_collaboration();
SELECT revops.refresh_profiles();
SELECT count(revops.propose_assignments());
SELECT count(*) FROM revops.substitute_units('u1');
SELECT revops.record_win_probability();
CREATE TABLE crm (id int PRIMARY KEY, company text, phase text, worth int);
INSERT INTO crm SELECT n, 'account-' || n, 'demo', n FROM generate_series(1, 30) n;
SELECT revops.attach('crm', 'opportunity', '{"opportunity": "id", "account": "company", "stage": "phase", "amount": "worth"}');
SELECT revops.apply_attachments();
ANALYZE;
