-- worker: what a DBA's alert asks each minute

CREATE FUNCTION revops.unknown_names() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone record;
BEGIN
    RETURN QUERY
    SELECT format('rule "%s" names playbook "%s"', r.rule, r.playbook) FROM revops.rule r
        WHERE r.playbook IS NOT NULL AND NOT EXISTS (SELECT FROM revops.playbook p WHERE p.playbook = r.playbook)
    UNION ALL SELECT format('rule "%s" names intent "%s"', r.rule, r.definition -> 'intent' ->> 'intent') FROM revops.rule r
        WHERE r.definition -> 'intent' ->> 'intent' IS NOT NULL AND NOT EXISTS (SELECT FROM revops.intent i WHERE i.intent = r.definition -> 'intent' ->> 'intent' COLLATE "C")
    UNION ALL SELECT format('unit "%s" names calendar "%s"', u.unit, u.calendar) FROM revops.unit u
        WHERE u.calendar IS NOT NULL AND NOT EXISTS (SELECT FROM revops.calendar c WHERE c.calendar = u.calendar)
    UNION ALL SELECT format('unit "%s" names territory "%s"', u.unit, u.territory) FROM revops.unit u
        WHERE u.territory IS NOT NULL AND NOT EXISTS (SELECT FROM revops.territory t WHERE t.territory = u.territory)
    UNION ALL SELECT format('unit "%s" names coach "%s"', u.unit, u.coach) FROM revops.unit u
        WHERE u.coach IS NOT NULL AND NOT EXISTS (SELECT FROM revops.rep r WHERE r.rep = u.coach)
    UNION ALL SELECT format('territory "%s" names director "%s"', t.territory, t.director) FROM revops.territory t
        WHERE t.director IS NOT NULL AND NOT EXISTS (SELECT FROM revops.rep r WHERE r.rep = t.director)
    UNION ALL SELECT format('rep "%s" names unit "%s"', r.rep, r.unit) FROM revops.rep r
        WHERE r.unit IS NOT NULL AND NOT EXISTS (SELECT FROM revops.unit u WHERE u.unit = r.unit)
    UNION ALL SELECT format('duty names unit "%s"', d.unit) FROM revops.duty d
        WHERE NOT EXISTS (SELECT FROM revops.unit u WHERE u.unit = d.unit)
    UNION ALL SELECT format('duty of unit "%s" names territory "%s"', d.unit, d.territory) FROM revops.duty d
        WHERE d.territory IS NOT NULL AND NOT EXISTS (SELECT FROM revops.territory t WHERE t.territory = d.territory)
    UNION ALL SELECT format('revops.fallback_rep names rep "%s"', f.rep) FROM (SELECT current_setting('revops.fallback_rep', true) COLLATE "C" AS rep) f
        WHERE f.rep <> '' AND NOT EXISTS (SELECT FROM revops.rep r WHERE r.rep = f.rep);
    FOR zone IN SELECT DISTINCT t.time_zone AS name FROM revops.territory t WHERE t.time_zone IS NOT NULL LOOP
        BEGIN
            PERFORM revops.now() AT TIME ZONE zone.name;
        EXCEPTION WHEN invalid_parameter_value THEN
            RETURN NEXT format('a territory names time zone "%s"', zone.name);
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION revops.unknown_names() IS 'What the configuration names that is not there, one line each: playbooks, intents, calendars, territories, units, reps, time zones';

CREATE FUNCTION revops.health(max_lag interval DEFAULT '1 minute', OUT check_name text, OUT ok boolean, OUT detail text, OUT hint text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at        CONSTANT timestamptz := revops.now();    -- loads the library too, so that its settings are known
    preloaded CONSTANT boolean := EXISTS (SELECT FROM regexp_split_to_table(current_setting('shared_preload_libraries'), ',') l
                                          WHERE trim(l, E' "\t') IN ('pg_revops', '$libdir/pg_revops'));
    standby   CONSTANT boolean := pg_is_in_recovery();
    cron      CONSTANT boolean := EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'pg_cron');
    by_cron   boolean := false;
    n         bigint;
    since     timestamptz;
    wait      interval;
BEGIN
    IF cron THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM cron.job j WHERE j.jobname = ''revops process'' AND j.database = current_database() AND j.active)' INTO by_cron;
    END IF;

    check_name := 'preload';
    ok := preloaded OR by_cron;
    detail := CASE WHEN preloaded THEN 'pg_revops is in shared_preload_libraries' WHEN by_cron THEN 'not preloaded; pg_cron calls revops.process()'
                   ELSE 'pg_revops is not in shared_preload_libraries, and no job of pg_cron calls revops.process()' END;
    hint := CASE WHEN NOT ok THEN 'Add pg_revops to shared_preload_libraries and restart the server, or SELECT revops.schedule_jobs().' END;
    RETURN NEXT;

    check_name := 'worker';
    SELECT count(*) FILTER (WHERE w.pid IS NULL OR w.state NOT IN ('waiting', 'working', 'busy')) = 0,
           string_agg(format('lane %s: %s%s', l.lane, coalesce(w.state, 'no worker'), coalesce(': ' || CASE WHEN w.state = 'failing' THEN w.last_error END, '')), '; ' ORDER BY l.lane)
    INTO ok, detail
    FROM (SELECT s.lane FROM revops.stream_lane s UNION SELECT 0) l LEFT JOIN revops.worker_stats() w USING (lane);
    IF standby THEN
        ok := true;
        detail := 'the workers wait: this is a standby';
    ELSIF NOT preloaded THEN
        ok := true;
        detail := 'there are none without preloading';
    END IF;
    hint := CASE WHEN NOT ok THEN 'stopped or paused: SELECT revops.start_worker(). off: revops.worker = on. failing: see the error. no worker, starting: the server''s log, and max_worker_processes.' END;
    RETURN NEXT;

    check_name := 'lag';
    SELECT coalesce(max(s.backlog), 0), coalesce(max(s.lag) FILTER (WHERE s.backlog > 0), '0') INTO n, wait FROM revops.stream_status s;
    IF n = 0 AND NOT EXISTS (SELECT FROM revops.stream_lane) THEN
        SELECT count(*), coalesce(at - min(e.received_at), '0') INTO n, wait FROM (SELECT e.received_at FROM revops.event e LIMIT 1000000) e;
    END IF;
    ok := n = 0 OR wait <= max_lag;
    detail := format('%s events wait, the oldest for %s seconds', n, round(greatest(extract(epoch FROM wait), 0), 1));
    hint := CASE WHEN NOT ok THEN 'See the check worker. If the workers run and cannot keep up: SELECT revops.set_lanes(n), fewer rules without a kind, faster disks.' END;
    RETURN NEXT;

    check_name := 'quarantine';
    SELECT count(*), min(f.error) INTO n, detail FROM revops.failed_event f;
    ok := n = 0;
    detail := format('%s events in quarantine', n) || CASE WHEN ok THEN '' ELSE ', such as: ' || detail END;
    hint := CASE WHEN NOT ok THEN 'See revops.failed_event; mend the cause, then SELECT revops.retry_failed(). What is not worth it may be deleted.' END;
    RETURN NEXT;

    check_name := 'repairs';
    SELECT count(*) FILTER (WHERE r.error IS NOT NULL), min(r.error), min(r.requested_at) FILTER (WHERE r.error IS NULL)
    INTO n, detail, since FROM revops.repair_request r;
    ok := n = 0 AND coalesce(since > at - greatest(max_lag, '1 hour'), true);
    detail := format('%s repairs failed', n) || CASE WHEN n = 0 THEN '' ELSE ', such as: ' || detail END
              || CASE WHEN since IS NULL THEN '' ELSE format(', the oldest that waits was asked for at %s', since) END;
    hint := CASE WHEN NOT ok THEN 'See revops.repair_request; when the cause is mended, SELECT revops.retry_failed().' END;
    RETURN NEXT;

    check_name := 'rejected';
    SELECT count(*) INTO n FROM revops.rejected_event r WHERE r.rejected_at > at - interval '1 day';
    ok := n = 0;
    detail := format('%s events of the last day were refused by track_batch()', n);
    hint := CASE WHEN NOT ok THEN 'See revops.rejected_event for the reasons; mend the sender, send them again and delete the rows.' END;
    RETURN NEXT;

    check_name := 'partitions';
    SELECT max(p.until) INTO since FROM revops.event_partitions() p;
    ok := coalesce(since >= at + interval '7 days', false) AND EXISTS (SELECT FROM revops.event_partitions() p WHERE p.since <= at AND at < p.until);
    detail := CASE WHEN since IS NULL THEN 'revops.event has no partition' ELSE format('partitions of revops.event reach to %s', since) END;
    hint := CASE WHEN NOT ok THEN 'SELECT revops.make_partitions(), and have it called daily: SELECT revops.schedule_jobs(), or any scheduler.' END;
    RETURN NEXT;

    check_name := 'default partition';
    SELECT count(*) INTO n FROM (SELECT FROM revops.event_default LIMIT 10000) d;
    ok := n = 0;
    detail := format('%s events in revops.event_default', n || CASE WHEN n = 10000 THEN ' or more' ELSE '' END);
    hint := CASE WHEN NOT ok THEN 'SELECT revops.make_partitions(since => ...) with the time of the oldest of them moves them to partitions of their own.' END;
    RETURN NEXT;

    check_name := 'late events';
    SELECT count(*) INTO n FROM revops.late_event l WHERE l.noted_at > at - interval '1 day';
    ok := n = 0;
    detail := format('%s events of the last day came too late for a rule', n);
    hint := CASE WHEN NOT ok THEN 'See revops.late_event. Raise revops.allowed_lateness if that is to be expected; revops.request_repair() takes such events in.' END;
    RETURN NEXT;

    check_name := 'cards';
    SELECT count(*), min(e.due_at) INTO n, since FROM revops.escalation e
    WHERE e.fired_at IS NULL AND e.stopped_at IS NULL AND e.due_at <= at - max_lag;
    ok := n = 0;
    detail := format('%s escalations are overdue', n) || CASE WHEN ok THEN '' ELSE format(', since %s', since) END;
    hint := CASE WHEN NOT ok THEN 'They are sent by the worker of lane 0, or by revops.process(): see the checks preload and worker.' END;
    RETURN NEXT;

    check_name := 'jobs';
    ok := true;
    detail := 'pg_cron is not in this database';
    hint := NULL;
    IF cron THEN
        EXECUTE $q$
            SELECT count(*) FILTER (WHERE j.jobid IS NULL OR NOT j.active OR d.status = 'failed') = 0,
                   string_agg(format('%s: %s', l.job, CASE WHEN j.jobid IS NULL THEN 'not scheduled' WHEN NOT j.active THEN 'not active' WHEN d.status IS NULL THEN 'has not run yet'
                                                           ELSE format('%s at %s%s', d.status, d.start_time, CASE WHEN d.status = 'failed' THEN ': ' || d.return_message END) END), '; ' ORDER BY l.job)
            FROM revops.job_list() l
            LEFT JOIN LATERAL (SELECT j.* FROM cron.job j WHERE j.jobname = l.job AND j.database = current_database() ORDER BY j.jobid LIMIT 1) j ON true
            LEFT JOIN LATERAL (SELECT d.* FROM cron.job_run_details d WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) d ON true
        $q$ INTO ok, detail;
        hint := CASE WHEN NOT ok THEN 'SELECT revops.schedule_jobs(); cron.job_run_details has the runs.' END;
    END IF;
    RETURN NEXT;

    check_name := 'epoch';
    SELECT count(*) INTO n FROM revops.stream_lane l WHERE l.epoch <> revops.stream_epoch();
    ok := n = 0;
    detail := CASE WHEN ok THEN 'the cursor is of this database' ELSE format('the cursor of %s lanes comes from another cluster or database: a restore or a copy', n) END;
    hint := CASE WHEN NOT ok THEN 'When the restore is complete: SELECT revops.start_worker(), or SELECT revops.process().' END;
    RETURN NEXT;

    check_name := 'publication';
    SELECT p.fingerprint = revops.text_fingerprint(), p.fingerprint INTO ok, detail FROM revops.intent_publication p WHERE p.valid_to = 'infinity';
    IF ok IS NULL THEN
        ok := true;
        detail := 'no intents are published';
    ELSIF ok THEN
        detail := 'the published patterns are compiled for this machine';
    ELSE
        detail := format('the published patterns are compiled for %s, this is %s: each session compiles them anew', detail, revops.text_fingerprint());
    END IF;
    hint := CASE WHEN NOT ok THEN 'SELECT revops.publish_intents() stores the compiled form of this machine.' END;
    RETURN NEXT;

    check_name := 'configuration';
    SELECT count(*), string_agg(u.line, '; ') FILTER (WHERE u.i <= 5) INTO n, detail FROM revops.unknown_names() WITH ORDINALITY AS u (line, i);
    ok := n = 0;
    detail := CASE WHEN ok THEN 'all that it names is there' ELSE format('%s names are unknown: ', n) || detail || CASE WHEN n > 5 THEN '; ...' ELSE '' END END;
    hint := CASE WHEN NOT ok THEN 'SELECT * FROM revops.unknown_names(); make what is missing, or change what names it.' END;
    RETURN NEXT;

    check_name := 'clock';
    SELECT s.reset_val = '', s.reset_val INTO ok, detail FROM pg_settings s WHERE s.name = 'revops.as_of';
    ok := coalesce(ok, true);
    detail := CASE WHEN ok THEN 'the machine''s' ELSE format('revops.as_of is set to %s for whole sessions', detail) END;
    hint := CASE WHEN NOT ok THEN 'ALTER SYSTEM, ALTER DATABASE or ALTER ROLE ... RESET revops.as_of: it is for tests and looks at the past.' END;
    RETURN NEXT;

    check_name := 'version';
    SELECT x.extversion = a.default_version, format('%s is installed in the database, %s on the server', x.extversion, a.default_version) INTO ok, detail
    FROM pg_extension x LEFT JOIN pg_available_extensions a ON a.name = x.extname WHERE x.extname = 'pg_revops';
    ok := coalesce(ok, false);
    hint := CASE WHEN NOT ok THEN 'ALTER EXTENSION pg_revops UPDATE.' END;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION revops.health(interval) IS 'One row for each check of this database''s pg_revops: whether it is well, what was seen, and what to do if it is not. max_lag: how long an event, or an escalation, may wait';
