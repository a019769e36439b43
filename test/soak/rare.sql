-- What the long session of make soak does now and then. Variable: round
SELECT revops.put_rule('soak', json_build_object('when', json_build_object('kind', 'page_view'), 'count', json_build_object('at_least', 3 + :round % 5, 'within', '1 hour')));
SELECT count(*) FROM revops.backtest('{"when": {"kind": "page_view"}, "count": {"at_least": 5, "within": "1 hour"}}', revops.now() - interval '1 hour');
SELECT revops.put_intent('soak', format('{"patterns": [{"include": "round %s"}]}', :round)::jsonb);
SELECT revops.publish_intents();
SELECT revops.train('topics', 'classify', 'SELECT text, label FROM labelled');
SELECT revops.deploy('topics', (SELECT max(version) FROM revops.model_version WHERE model = 'topics'));
SELECT revops.train('deal', 'predict', 'SELECT * FROM past');
SELECT revops.train_stages('sales');
SELECT count(*) FROM revops.substitute_units('u1');
SELECT revops.suggest_fields();
SELECT revops.refresh_collaboration(), revops.refresh_profiles();
SELECT * FROM revops.capability_map LIMIT 100;
SELECT * FROM revops.win_probability LIMIT 100;
SELECT * FROM revops.account_sentiment LIMIT 100;
SELECT * FROM revops.touchpoint_audit LIMIT 100;
