-- calendar: business time

CREATE FUNCTION revops.business_time_add(time_zone text, week int4[], holidays date[], start timestamptz, duration interval,
                                         missing_ok boolean DEFAULT false) RETURNS timestamptz
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_business_time_add';
COMMENT ON FUNCTION revops.business_time_add(text, int4[], date[], timestamptz, interval, boolean) IS
'add_business_time() for a calendar given by its columns (time zone NULL: round the clock), reading no table; with missing_ok an unusable calendar gives NULL instead of an error';

CREATE FUNCTION revops.business_time_span(time_zone text, week int4[], holidays date[], a timestamptz, b timestamptz) RETURNS interval
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_business_time_span';
COMMENT ON FUNCTION revops.business_time_span(text, int4[], date[], timestamptz, timestamptz) IS
'business_time_between() for a calendar given by its columns (time zone NULL: round the clock), reading no table';

CREATE FUNCTION revops.business_week(hours jsonb) RETURNS int4[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names   CONSTANT text[] := ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    pairs   int4[][] := '{}';
    days    int4[];
    week    int4[] := '{}';
    entry   record;
    part    text;
    ends    text[];
    first   int4;
    last    int4;
    opens   int4;
    closes  int4;
    day     int4;
BEGIN
    IF jsonb_typeof(hours) <> 'object' THEN
        RAISE EXCEPTION 'calendar hours must be an object of days, not a JSON %', jsonb_typeof(hours)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"mon-fri": "09:00-12:00,13:00-18:00", "sat": "10:00-14:00"}.';
    END IF;
    FOR entry IN
        SELECT h.key, CASE jsonb_typeof(h.value)
                          WHEN 'string' THEN h.value #>> '{}'
                          WHEN 'array' THEN (SELECT string_agg(e, ',') FROM jsonb_array_elements_text(h.value) e)
                          ELSE h.value::text
                      END AS slots
        FROM jsonb_each(hours) h
    LOOP
        days := '{}';
        FOREACH part IN ARRAY string_to_array(replace(lower(entry.key), ' ', ''), ',') LOOP
            ends := string_to_array(part, '-');
            first := array_position(names, ends[1]);
            last := array_position(names, ends[cardinality(ends)]);
            IF first IS NULL OR last IS NULL OR cardinality(ends) > 2 THEN
                RAISE EXCEPTION 'calendar hours: "%" is not a day of the week', entry.key
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Use mon, tue, wed, thu, fri, sat, sun, a range such as "mon-fri" or a list such as "tue,thu".';
            END IF;
            days := days || ARRAY(SELECT (first - 1 + i) % 7 FROM generate_series(0, (last - first + 7) % 7) i);
        END LOOP;
        FOREACH part IN ARRAY string_to_array(replace(coalesce(entry.slots, ''), ' ', ''), ',') LOOP
            ends := regexp_match(part, E'^([01]?\\d|2[0-4]):([0-5]\\d)-([01]?\\d|2[0-4]):([0-5]\\d)$');
            opens := ends[1]::int4 * 60 + ends[2]::int4;
            closes := ends[3]::int4 * 60 + ends[4]::int4;
            IF ends IS NULL OR opens > 1440 OR closes > 1440 THEN
                RAISE EXCEPTION 'calendar hours of "%": "%" is not a span of hours', entry.key, part
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Write it as "09:00-18:00"; 24:00 is the end of the day.';
            ELSIF opens >= closes THEN
                RAISE EXCEPTION 'calendar hours of "%": "%" ends before it begins', entry.key, part
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Split hours that pass midnight: "22:00-24:00" on one day and "00:00-06:00" on the next.';
            END IF;
            FOREACH day IN ARRAY days LOOP
                pairs := pairs || ARRAY[[day * 1440 + opens, day * 1440 + closes]];
            END LOOP;
        END LOOP;
    END LOOP;
    last := -1;
    FOR opens, closes IN
        SELECT pairs[i][1], pairs[i][2] FROM generate_subscripts(pairs, 1) i ORDER BY 1, 2
    LOOP
        IF opens < last THEN
            RAISE EXCEPTION 'calendar hours overlap on %', names[opens / 1440 + 1] USING ERRCODE = 'invalid_parameter_value';
        ELSIF opens = last AND opens % 1440 <> 0 THEN
            week[cardinality(week)] := closes;
        ELSE
            week := week || opens || closes;
        END IF;
        last := closes;
    END LOOP;
    RETURN week;
END $$;
COMMENT ON FUNCTION revops.business_week(jsonb) IS
'Hours of a week, such as {"mon-fri": "09:00-12:00,13:00-18:00"}, as pairs of minutes since Monday 00:00; an error says what is wrong with them';

CREATE TABLE revops.calendar (
    calendar    text COLLATE "C" PRIMARY KEY,
    time_zone   text NOT NULL,
    hours       jsonb NOT NULL,
    holidays    date[] NOT NULL DEFAULT '{}' CONSTRAINT calendar_holidays_check CHECK (array_position(holidays, NULL) IS NULL),
    week        int4[] NOT NULL GENERATED ALWAYS AS (revops.business_week(hours)) STORED,
    CONSTRAINT calendar_hours_check CHECK (cardinality(week) > 0)
);
COMMENT ON TABLE revops.calendar IS 'Business hours; write them with revops.put_calendar(). Where no calendar is named, time runs round the clock';
COMMENT ON COLUMN revops.calendar.calendar IS 'Key of the calendar';
COMMENT ON COLUMN revops.calendar.time_zone IS 'Zone of the hours and holidays, such as Asia/Shanghai';
COMMENT ON COLUMN revops.calendar.hours IS 'Open hours by day of the week, such as {"mon-fri": "09:00-18:00"}';
COMMENT ON COLUMN revops.calendar.holidays IS 'Local dates that are closed all day';
COMMENT ON COLUMN revops.calendar.week IS 'The hours as pairs of minutes since Monday 00:00, made from hours';
SELECT pg_catalog.pg_extension_config_dump('revops.calendar', '');

CREATE FUNCTION revops.put_calendar(calendar text, time_zone text, hours jsonb DEFAULT '{"mon-fri": "09:00-18:00"}',
                                    holidays date[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF coalesce(put_calendar.calendar, '') = '' OR put_calendar.time_zone IS NULL OR put_calendar.hours IS NULL THEN
        RAISE EXCEPTION 'a calendar needs a name, a time zone and hours'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Open round the clock is {"mon-sun": "00:00-24:00"}.';
    ELSIF octet_length(put_calendar.calendar) > 512 THEN
        RAISE EXCEPTION 'the name of a calendar has at most 512 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    put_calendar.holidays := ARRAY(SELECT DISTINCT h FROM unnest(put_calendar.holidays) h WHERE h IS NOT NULL ORDER BY h);
    -- raises what is wrong with the zone and the hours
    PERFORM revops.business_time_add(put_calendar.time_zone, revops.business_week(put_calendar.hours), put_calendar.holidays,
                                     revops.now(), '1 microsecond');
    INSERT INTO revops.calendar AS c (calendar, time_zone, hours, holidays)
    VALUES (put_calendar.calendar, put_calendar.time_zone, put_calendar.hours, put_calendar.holidays)
    ON CONFLICT (calendar) DO UPDATE SET time_zone = excluded.time_zone, hours = excluded.hours, holidays = excluded.holidays;
END $$;
COMMENT ON FUNCTION revops.put_calendar(text, text, jsonb, date[]) IS
'Make or change a calendar: its time zone, its open hours by day of the week and its holidays. Deadlines that already stand do not move';

CREATE FUNCTION revops.add_business_time(calendar text, start timestamptz, duration interval) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    result timestamptz;
BEGIN
    IF add_business_time.calendar IS NULL THEN
        RETURN revops.business_time_add(NULL, NULL, NULL, start, duration);
    END IF;
    SELECT revops.business_time_add(c.time_zone, c.week, c.holidays, start, duration) INTO result
    FROM revops.calendar c WHERE c.calendar = add_business_time.calendar COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'calendar "%" does not exist', add_business_time.calendar
            USING ERRCODE = 'undefined_object', HINT = 'Make it with revops.put_calendar(), or pass NULL for round the clock.';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION revops.add_business_time(text, timestamptz, interval) IS
'The earliest instant by which so much business time has passed since start; calendar NULL is round the clock, a day of the duration counts 24 hours';

CREATE FUNCTION revops.business_time_between(calendar text, a timestamptz, b timestamptz) RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    result interval;
BEGIN
    IF business_time_between.calendar IS NULL THEN
        RETURN revops.business_time_span(NULL, NULL, NULL, a, b);
    END IF;
    SELECT revops.business_time_span(c.time_zone, c.week, c.holidays, a, b) INTO result
    FROM revops.calendar c WHERE c.calendar = business_time_between.calendar COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'calendar "%" does not exist', business_time_between.calendar
            USING ERRCODE = 'undefined_object', HINT = 'Make it with revops.put_calendar(), or pass NULL for round the clock.';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION revops.business_time_between(text, timestamptz, timestamptz) IS
'Business time from a to b, in hours and minutes; negative if b is earlier; calendar NULL is round the clock';
