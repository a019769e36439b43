-- One round of the writers of make soak, in a connection of its own. Variable: round
INSERT INTO revops.event (occurred_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body)
SELECT revops.now() - CASE WHEN g % 17 = 0 THEN (g % 29) * interval '1 hour' ELSE g * interval '1 second' END,
       CASE WHEN g % 23 = 0 THEN 'visitor-' || g % 500 ELSE 'person-' || 1 + (g * 7 + :round) % 90 END,
       CASE WHEN g % 3 = 0 THEN 'account-' || 1 + (g + :round) % 60 END, CASE WHEN g % 5 = 0 THEN 'deal-' || 2 + (g + :round) % 59 END, 'rep-' || 1 + g % 9,
       CASE WHEN g % 6 = 0 THEN 'rep' ELSE 'customer' END, (ARRAY['web', 'wecom', 'email', 'call'])[1 + g % 4],
       (ARRAY['page_view', 'message', 'demo', 'quote', 'call', 'download'])[1 + g % 6], CASE WHEN g % 2 = 0 THEN '/pricing/' || g % 7 ELSE '/docs/' || g % 11 END,
       g % 200 * interval '1 second', CASE WHEN g % 6 = 1 THEN t.body || ' ' || :round END
FROM generate_series(1, 60) g LEFT JOIN soak_text t ON t.n = (g * 31 + :round * 17) % 2000;
SELECT count(revops.track('page_view', person => 'person-' || 1 + g % 90, object => '/pricing', dwell => '1 minute')) FROM generate_series(1, 5) g;
SELECT revops.track_batch('[{"kind": "page_view", "person": "person-3", "object": "/pricing"}, {"type": "page"}, {"kind": "message", "person": "person-4", "body": "too expensive"}]');
SELECT revops.identify('visitor-' || :round % 500, 'person-' || 1 + :round % 90);
UPDATE crm SET phase = (ARRAY['contact', 'demo', 'proposal'])[1 + :round % 3], worth = worth + 1 WHERE id = 1 + :round % 30;
UPDATE revops.opportunity SET amount = amount + 1 WHERE opportunity = 'deal-' || 2 + :round % 59;
SELECT revops.set_field('opportunity', 'deal-' || 31 + :round % 28, 'note', 'round ' || :round);
