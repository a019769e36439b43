-- The player: writes what customers do, lets the reps answer, and steps the stream, with revops.as_of as the clock.
CREATE SCHEMA demo;

CREATE TABLE demo.script (
    n           bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL,
    action      text NOT NULL DEFAULT 'event',      -- event, identify (person is the visitor, object the person), win (opportunity)
    person text, account text, opportunity text, rep text, side text NOT NULL DEFAULT 'customer', channel text NOT NULL DEFAULT 'web',
    kind text, object text, dwell interval, body text, properties jsonb, late interval NOT NULL DEFAULT '0'
);
CREATE INDEX ON demo.script (at);
CREATE TABLE demo.answer (task_id bigint PRIMARY KEY, at timestamptz NOT NULL, by_event boolean NOT NULL, plan int, done boolean NOT NULL DEFAULT false);
CREATE INDEX ON demo.answer (at) WHERE NOT done;

-- One sitting of one customer.
CREATE PROCEDURE demo.sitting(person text, account text, begins timestamptz, style text, chinese boolean) LANGUAGE plpgsql AS $$
DECLARE
    t       timestamptz := begins;
    pages   text[];
    page    text;
    secs    float8;
    channel text := CASE WHEN random() < 0.25 THEN 'app' ELSE 'web' END;
BEGIN
    pages := CASE style
        WHEN 'compare' THEN ARRAY['/', '/compare/leaders', '/cases/retail', '/compare/leaders', '/compare/table']
        WHEN 'price' THEN ARRAY['/', '/pricing', '/pricing', '/pricing/calculator']
        WHEN 'security' THEN ARRAY['/docs', '/docs/security', '/docs/security/audit']
        WHEN 'chat' THEN ARRAY['/', '/pricing']
        WHEN 'search' THEN ARRAY['/docs', '/cases/logistics']
        ELSE ARRAY['/', '/product', '/blog/' || (1 + floor(random() * 9))::int, '/cases/bank'] END;
    IF style IN ('search', 'night') THEN
        INSERT INTO demo.script (at, person, channel, kind, object, body, properties)
        VALUES (t, sitting.person, channel, 'search', '/search', (CASE WHEN chinese THEN ARRAY['排产 对比', '报价', '数据安全'] ELSE ARRAY['planning comparison', 'price per user', 'GDPR'] END)[1 + floor(random() * 3)::int],
                CASE WHEN style = 'night' THEN '{"night": true}'::jsonb END);
        t := t + interval '20 seconds';
    END IF;
    FOREACH page IN ARRAY pages LOOP
        CONTINUE WHEN random() < 0.15;
        secs := CASE WHEN page LIKE '/compare%' OR page LIKE '/pricing%' THEN 20 + 110 * random() ^ 1.5 ELSE 5 + 50 * random() END;
        INSERT INTO demo.script (at, person, account, channel, kind, object, dwell, late)
        VALUES (t + make_interval(secs => secs), sitting.person, sitting.account, channel, CASE WHEN page LIKE '%audit' THEN 'download' ELSE 'page_view' END, page,
                make_interval(secs => round(secs)), make_interval(secs => 0.2 + random() * CASE WHEN random() < 0.05 THEN 90 ELSE 2 END));
        t := t + make_interval(secs => secs + 3 + random() * 40);
    END LOOP;
    IF style = 'chat' THEN
        INSERT INTO demo.script (at, person, account, channel, kind, body)
        VALUES (t, sitting.person, sitting.account, CASE WHEN chinese THEN CASE WHEN random() < 0.8 THEN 'wecom' ELSE 'dingtalk' END ELSE 'app' END, 'message',
                (CASE WHEN chinese THEN ARRAY['你们的价格怎么算？', '能给一个正式报价吗？', '数据安全怎么保证？', '可以安排演示吗？']
                                   ELSE ARRAY['What is the price for 200 users?', 'Can we have a quote this week?', 'Is it GDPR compliant?', 'Could you show it to our team?'] END)[1 + floor(random() * 4)::int]);
    END IF;
END $$;

-- The whole script, from a seed.
CREATE PROCEDURE demo.write_script(since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    day     timestamptz;
    p       record;
    z       text;
    r       float8;
    t       timestamptz;
    style   text;
    hot     float8;
    d       int;
BEGIN
    PERFORM setseed(0.42);
    FOR d IN 0 .. ceil(extract(epoch FROM until - since) / 86400)::int LOOP
        FOR p IN SELECT q.person, q.account, a.time_zone AS zone, a.territory, substr(q.person, 2)::int AS n, substr(q.account, 2)::int AS ord
                 FROM revops.person q JOIN revops.account a USING (account) WHERE q.person LIKE 'P%' ORDER BY q.person LOOP
            day := (date_trunc('day', since AT TIME ZONE p.zone) + d * interval '1 day') AT TIME ZONE p.zone;
            hot := CASE WHEN p.ord % 7 = 3 THEN 2.2 ELSE 1 END * CASE WHEN extract(isodow FROM day AT TIME ZONE p.zone) > 5 THEN 0.3 ELSE 1 END;
            r := random();
            -- every tenth person is kept for the live part
            CONTINUE WHEN r > 0.62 * hot OR p.n % 10 = 0;
            t := day + interval '9 hours' + random() * interval '9 hours';
            r := random();
            style := CASE WHEN r < 0.36 THEN 'browse' WHEN r < 0.58 THEN 'compare' WHEN r < 0.74 THEN 'price' WHEN r < 0.83 THEN 'security' WHEN r < 0.92 THEN 'chat' ELSE 'search' END;
            IF random() < 0.07 THEN
                t := day + interval '22 hours 20 minutes' + random() * interval '90 minutes';
                style := 'night';
            END IF;
            CALL demo.sitting(p.person, NULL, t, style, p.territory <> 'emea');
            IF style = 'price' AND random() < 0.12 THEN
                INSERT INTO demo.script (at, person, account, side, channel, kind, object, properties)
                VALUES (t + interval '2 hours' + random() * interval '30 hours', p.person, p.account, 'customer', 'crm', 'order', 'starter pack', '{"amount": 9800}');
            END IF;
            IF random() < 0.05 THEN
                INSERT INTO demo.script (at, person, account, channel, kind, dwell) VALUES (t + interval '40 minutes', p.person, p.account, 'call', 'call', '4 minutes');
            END IF;
        END LOOP;
        -- visitors: most stay unknown, one a day tells who he is
        FOR n IN 1 .. 24 LOOP
            z := CASE WHEN n % 8 <> 7 THEN 'Asia/Shanghai' ELSE 'Europe/London' END;
            day := (date_trunc('day', since AT TIME ZONE z) + d * interval '1 day') AT TIME ZONE z;
            t := day + interval '9 hours' + random() * interval '10 hours';
            CALL demo.sitting(format('v-%s-%s', d, n), NULL, t, CASE WHEN random() < 0.4 THEN 'price' WHEN random() < 0.5 THEN 'compare' ELSE 'browse' END, n % 8 <> 7);
            IF n = 1 THEN
                INSERT INTO demo.script (at, action, person, object) VALUES (t + interval '15 minutes', 'identify', format('v-%s-%s', d, n), format('P%s', lpad((d * 9 + 4)::text, 3, '0')));
            ELSIF n = 7 THEN
                INSERT INTO demo.script (at, person, kind, object) VALUES (t + interval '12 minutes', format('v-%s-%s', d, n), 'form_submit', '/contact');
            END IF;
        END LOOP;
        -- a newsletter answers nobody: it is automatic
        INSERT INTO demo.script (at, person, rep, side, channel, kind, object, properties)
        SELECT since + d * interval '1 day' + interval '2 hours', q.person, a.owner, 'rep', 'email', 'email', 'newsletter', '{"automatic": true}'
        FROM revops.person q JOIN revops.account a USING (account) WHERE a.owner IS NOT NULL AND d % 3 = 0 ORDER BY q.person;
        -- visits, until the third day: then the channel falls silent
        IF d <= 2 THEN
            INSERT INTO demo.script (at, account, rep, side, channel, kind, dwell)
            SELECT since + d * interval '1 day' + interval '6 hours', account, owner, 'rep', 'visit', 'visit', '1 hour'
            FROM revops.account WHERE owner IS NOT NULL AND substr(account, 2)::int % 11 = d ORDER BY account;
        END IF;
    END LOOP;
    -- deals that are won, a day or two after a sitting of theirs
    INSERT INTO demo.script (at, action, opportunity, account, side, channel, kind)
    SELECT x.at, 'win', o.opportunity, o.account, 'system', 'crm', 'contract_signed'
    FROM revops.opportunity o CROSS JOIN LATERAL (
        SELECT min(s.at) + interval '20 hours' AS at FROM demo.script s JOIN revops.person q ON q.person = s.person
        WHERE q.account = o.account AND s.object LIKE '/compare%' AND s.at > since + interval '12 hours') x
    WHERE substr(o.account, 2)::int % 4 = 1 AND x.at IS NOT NULL ORDER BY o.opportunity;
    DELETE FROM demo.script WHERE at <= since OR at > until;
END $$;

-- Up to until, minute by minute where something happens: events, the stream's pass, answers, escalations.
CREATE PROCEDURE demo.play(since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    last    timestamptz := since;
    t       timestamptz;
    seen    bigint := 0;
    a       record;
    s       record;
    day     date := (since AT TIME ZONE 'Asia/Shanghai')::date;
    steps   int := 0;
BEGIN
    PERFORM setseed(0.24);
    LOOP
        t := least((SELECT date_trunc('minute', min(at)) + interval '1 minute' FROM demo.script WHERE at > last),
                   (SELECT min(at) FROM demo.answer WHERE NOT done), revops.next_escalation_at());
        IF t IS NULL OR t > until THEN
            t := until;
        END IF;
        IF t <= last AND t < until THEN
            t := last + interval '1 second';
        END IF;
        IF (t AT TIME ZONE 'Asia/Shanghai')::date <> day OR t = until THEN
            RAISE NOTICE '%', (SELECT format('  %s   %s events   %s moments   %s cards, %s of them answered in line',
                to_char(day, 'Dy YYYY-MM-DD'), lpad(e.n::text, 4), lpad(m.n::text, 3), lpad(k.n::text, 3), k.ok)
                FROM (SELECT count(*) AS n FROM revops.event WHERE (occurred_at AT TIME ZONE 'Asia/Shanghai')::date = day) e,
                     (SELECT count(*) AS n FROM revops.moment WHERE (occurred_at AT TIME ZONE 'Asia/Shanghai')::date = day) m,
                     (SELECT count(*) AS n, count(*) FILTER (WHERE answered_at <= due_at) AS ok FROM revops.task WHERE (opened_at AT TIME ZONE 'Asia/Shanghai')::date = day) k);
            day := (t AT TIME ZONE 'Asia/Shanghai')::date;
        END IF;
        PERFORM set_config('revops.as_of', t::text, false);
        INSERT INTO revops.event (occurred_at, received_at, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties)
        SELECT at, at + late, person, account, opportunity, rep, side, channel, kind, object, dwell, body, properties
        FROM demo.script WHERE at > last AND at <= t AND action IN ('event', 'win') ORDER BY n;
        FOR s IN SELECT * FROM demo.script WHERE at > last AND at <= t AND action <> 'event' ORDER BY n LOOP
            IF s.action = 'identify' THEN
                PERFORM revops.identify(s.person, s.object);
            ELSE
                UPDATE revops.opportunity SET status = 'won', stage = 'closed', closed_at = s.at WHERE opportunity = s.opportunity;
            END IF;
        END LOOP;
        FOR a IN SELECT x.*, k.owner, k.person, k.account, k.playbook, l.channel
                 FROM demo.answer x JOIN revops.task k USING (task_id) LEFT JOIN revops.task_plan l ON l.subject = k.subject AND l.task_id = k.task_id AND l.rank = x.plan
                 WHERE NOT x.done AND x.at <= t AND k.status IN ('open', 'claimed') AND k.owner IS NOT NULL ORDER BY x.at, x.task_id LOOP
            PERFORM set_config('revops.as_of', a.at::text, false);
            IF a.by_event THEN
                PERFORM revops.track(CASE a.channel WHEN 'call' THEN 'call' ELSE 'message' END, person => a.person, account => a.account, rep => a.owner, side => 'rep', channel => a.channel);
            ELSE
                PERFORM revops.respond(a.task_id, a.plan, 'played');
                IF random() < 0.5 THEN
                    PERFORM revops.complete(a.task_id, (ARRAY['meeting booked', 'sent a quote', 'not now', 'demo agreed'])[1 + floor(random() * 4)::int]);
                END IF;
            END IF;
            PERFORM set_config('revops.as_of', t::text, false);
        END LOOP;
        UPDATE demo.answer SET done = true WHERE NOT done AND at <= t;
        COMMIT;
        PERFORM revops.process();
        COMMIT;
        -- each new card: will its rep answer, when, and how?
        FOR a IN SELECT k.task_id, k.opened_at, k.calendar, k.line, coalesce((r.properties ->> 'skill')::float8, 0.5) AS skill
                 FROM revops.task k LEFT JOIN revops.rep r ON r.rep = k.owner WHERE k.task_id > seen ORDER BY k.task_id LOOP
            seen := a.task_id;
            IF random() < 0.6 + 0.4 * a.skill THEN
                INSERT INTO demo.answer VALUES (a.task_id,
                    revops.add_business_time(a.calendar, a.opened_at, a.line * (0.05 + random() * CASE WHEN random() < a.skill THEN 0.9 ELSE 3 END)),
                    random() < 0.4, CASE WHEN random() < 0.7 THEN 1 ELSE 2 END);
            END IF;
        END LOOP;
        COMMIT;
        steps := steps + 1;
        EXIT WHEN t >= until;
        last := t;
    END LOOP;
    RESET revops.as_of;
    RAISE NOTICE '  (% passes of the stream)', steps;
END $$;

-- Customers and reps in real time; the worker does the rest. Events are those that the player kept people for.
CREATE PROCEDURE demo.live(seconds int) LANGUAGE plpgsql AS $$
DECLARE
    ends    CONSTANT timestamptz := clock_timestamp() + make_interval(secs => seconds);
    people  CONSTANT text[] := ARRAY(SELECT person FROM revops.person WHERE person LIKE 'P%' AND substr(person, 2)::int % 10 = 0 ORDER BY person);
    seen    bigint := (SELECT coalesce(max(task_id), 0) FROM revops.task);
    since   timestamptz := clock_timestamp();
    i       int := 0;
    k       record;
    who     text;
BEGIN
    PERFORM setseed(0.11);
    WHILE clock_timestamp() < ends LOOP
        i := i + 1;
        -- one statement to the server, so its clock would stand still
        PERFORM set_config('revops.as_of', clock_timestamp()::text, false);
        IF i % 5 = 1 AND i / 5 < cardinality(people) THEN
            who := people[i / 5 + 1];
            CASE (i / 5) % 4
                WHEN 0 THEN PERFORM revops.track('page_view', person => who, object => '/compare/table', dwell => '2 minutes 5 seconds');
                WHEN 1 THEN PERFORM revops.track('message', person => who, channel => CASE WHEN i < 30 THEN 'wecom' ELSE 'app' END, body => CASE WHEN i < 30 THEN '你们的价格怎么算？' ELSE 'Can we have a quote today?' END);
                WHEN 2 THEN PERFORM revops.track_batch(jsonb_build_array(
                        jsonb_build_object('type', 'page', 'userId', who, 'messageId', gen_random_uuid(), 'timestamp', clock_timestamp() - interval '4 seconds', 'properties', jsonb_build_object('path', '/pricing')),
                        jsonb_build_object('kind', 'page_view', 'person', who, 'object', '/pricing', 'dwell', '00:03:10', 'event_id', gen_random_uuid(), 'occurred_at', clock_timestamp() - interval '1 second')));
                ELSE PERFORM revops.track('message', person => who, channel => 'app', body => 'Is somebody there?');
            END CASE;
        ELSE
            PERFORM revops.track('page_view', person => format('live-%s', i % 13), object => (ARRAY['/', '/product', '/pricing', '/docs'])[1 + i % 4], dwell => make_interval(secs => 5 + i % 30));
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.2);
        PERFORM set_config('revops.as_of', clock_timestamp()::text, false);
        FOR k IN SELECT b.*, t.playbook FROM revops.task_board b JOIN revops.task t USING (task_id) WHERE b.task_id > seen ORDER BY b.task_id LOOP
            seen := k.task_id;
            RAISE NOTICE '  %  card %  for %: %   [% s left; %]', to_char(clock_timestamp(), 'HH24:MI:SS.MS'), k.task_id, coalesce(k.owner_name, k.unit), k.title, round(k.seconds_left), k.best_plan;
            INSERT INTO demo.answer SELECT k.task_id, clock_timestamp() + make_interval(secs => 2 + random() * 5), false, 1 WHERE k.task_id % 3 <> 0;
        END LOOP;
        FOR k IN SELECT x.task_id, t.owner, r.name FROM demo.answer x JOIN revops.task t USING (task_id) JOIN revops.rep r ON r.rep = t.owner
                 WHERE NOT x.done AND x.at <= clock_timestamp() AND t.status = 'open' ORDER BY 1 LOOP
            PERFORM revops.respond(k.task_id, 1, 'called');
            RAISE NOTICE '  %  card %  answered by %', to_char(clock_timestamp(), 'HH24:MI:SS.MS'), k.task_id, k.name;
            UPDATE demo.answer SET done = true WHERE task_id = k.task_id;
        END LOOP;
        FOR k IN SELECT e.*, r.name FROM revops.escalation e LEFT JOIN revops.rep r ON r.rep = e.told WHERE e.fired_at > since ORDER BY e.fired_at LOOP
            since := k.fired_at;
            RAISE NOTICE '  %  card %  level %: % % is told', to_char(clock_timestamp(), 'HH24:MI:SS.MS'), k.task_id, k.level, k.role, k.name;
        END LOOP;
        COMMIT;
    END LOOP;
    RESET revops.as_of;
END $$;
