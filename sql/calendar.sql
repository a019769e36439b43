-- business time: calendars, DST, holidays, and a brute-force oracle
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET jit = off;
SET revops.as_of = '2026-01-01 00:00Z';

SELECT revops.put_calendar('ny', 'America/New_York', '{"mon-fri": "09:00-17:00"}', '{2026-07-03,2026-12-25,2026-12-25}');
SELECT revops.put_calendar('nights', 'America/New_York', '{"mon-sun": ["00:30-02:30", "22:00-24:00"]}');
SELECT revops.put_calendar('always', 'America/New_York', '{"mon-sun": "00:00-24:00"}');
SELECT revops.put_calendar('shanghai', 'Asia/Shanghai', '{"mon-fri": "9:00-12:00, 13:30-18:00", "sat": "10:00-12:00"}');
SELECT calendar, time_zone, holidays, week FROM revops.calendar ORDER BY calendar;

-- no calendar: round the clock
SELECT revops.add_business_time(NULL, '2026-03-08 06:00Z', '90 minutes'), revops.business_time_between(NULL, '2026-03-08 06:00Z', '2026-03-10 06:00Z');

-- within a day, over the evening, over a weekend, on the closing minute, from outside the hours, nothing to add
SELECT revops.add_business_time('ny', '2026-06-02 10:00 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS day,
       revops.add_business_time('ny', '2026-06-02 16:50 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS evening,
       revops.add_business_time('ny', '2026-06-05 16:50 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS weekend,
       revops.add_business_time('ny', '2026-06-02 16:45 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS closing,
       revops.add_business_time('ny', '2026-06-06 12:00 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS saturday,
       revops.add_business_time('ny', '2026-06-06 12:00 America/New_York', '0') AT TIME ZONE 'America/New_York' AS nothing;
-- a holiday
SELECT revops.add_business_time('ny', '2026-07-02 16:50 America/New_York', '15 minutes') AT TIME ZONE 'America/New_York' AS after_holiday,
       revops.business_time_between('ny', '2026-07-02 16:00 America/New_York', '2026-07-06 10:00 America/New_York') AS over_holiday;
-- seconds and microseconds
SELECT revops.add_business_time('ny', '2026-06-02 16:59:59.75 America/New_York', '0.5 seconds') AT TIME ZONE 'America/New_York' AS t;
-- a lunch break; a day of a duration is 24 hours
SELECT revops.add_business_time('shanghai', '2026-06-01 11:50+08', '20 minutes') AT TIME ZONE 'Asia/Shanghai' AS lunch,
       revops.add_business_time('shanghai', '2026-06-01 09:00+08', '1 day') AT TIME ZONE 'Asia/Shanghai' AS a_day;
-- backwards
SELECT revops.business_time_between('ny', '2026-06-03 10:00 America/New_York', '2026-06-02 10:00 America/New_York');

-- both switches of New York: 2026-03-08 02:00 EST is 03:00 EDT, 2026-11-01 02:00 EDT is 01:00 EST
SELECT revops.business_time_between('always', '2026-03-08 00:00 America/New_York', '2026-03-09 00:00 America/New_York') AS short_day,
       revops.business_time_between('always', '2026-11-01 00:00 America/New_York', '2026-11-02 00:00 America/New_York') AS long_day,
       revops.business_time_between('ny', '2026-03-06 00:00 America/New_York', '2026-03-10 00:00 America/New_York') AS working_spring,
       revops.business_time_between('ny', '2026-10-30 00:00 America/New_York', '2026-11-03 00:00 America/New_York') AS working_fall;
-- Friday afternoon and 15 minutes into Monday: the same local time, another offset
SELECT revops.add_business_time('ny', '2026-03-06 16:50-05', '15 minutes') AS spring, revops.add_business_time('ny', '2026-10-30 16:50-04', '15 minutes') AS fall;
-- hours that the switch skips are never open, hours that it repeats are open twice
SELECT revops.business_time_between('nights', '2026-03-07 12:00 America/New_York', '2026-03-08 12:00 America/New_York') AS skipped,
       revops.business_time_between('nights', '2026-10-31 12:00 America/New_York', '2026-11-01 12:00 America/New_York') AS repeated;
SELECT revops.add_business_time('nights', '2026-03-08 06:30Z', '45 minutes') AS skipped, revops.add_business_time('nights', '2026-11-01 04:30Z', '2 hours 45 minutes') AS repeated;

-- the oracle: step through the minutes. Zones with half-hour switches and a day that never was, too.
SELECT revops.put_calendar('lord_howe', 'Australia/Lord_Howe', '{"mon,wed,fri-sun": "01:00-03:00,08:15-19:45"}', '{2026-04-06}');
SELECT revops.put_calendar('apia', 'Pacific/Apia', '{"mon-sat": "06:00-18:00"}', '{2011-12-28}');
SELECT setseed(0.15);
CREATE TEMP TABLE trial AS
SELECT row_number() OVER () AS n, calendar,
       base + trunc(random() * 5 * 1440) * interval '1 minute' AS a, trunc(random() * 4000)::int AS span, trunc(random() * 900)::int + 1 AS more
FROM (VALUES ('ny', timestamptz '2026-03-05Z'), ('ny', '2026-10-29Z'), ('ny', '2026-07-01Z'), ('nights', '2026-03-05Z'), ('nights', '2026-10-29Z'),
             ('always', '2026-03-05Z'), ('shanghai', '2026-05-29Z'), ('lord_howe', '2026-04-03Z'), ('lord_howe', '2026-10-01Z'), ('apia', '2011-12-27Z')) v (calendar, base),
     generate_series(1, 12);
CREATE TEMP TABLE minute AS
SELECT c.calendar, t
FROM revops.calendar c
JOIN (SELECT calendar, min(a) AS a FROM trial GROUP BY calendar, date_trunc('month', a)) s USING (calendar),
     LATERAL generate_series(s.a, s.a + interval '12 days', '1 minute') t,
     LATERAL (SELECT t AT TIME ZONE c.time_zone AS l) l,
     LATERAL (SELECT (extract(isodow FROM l)::int - 1) * 1440 + extract(hour FROM l)::int * 60 + extract(minute FROM l)::int AS m) m
WHERE l::date <> ALL (c.holidays)
  AND EXISTS (SELECT FROM generate_series(1, cardinality(c.week), 2) i WHERE m >= c.week[i] AND m < c.week[i + 1]);
CREATE INDEX ON minute (calendar, t);
ANALYZE minute;
SELECT count(*) AS trials,
       count(*) FILTER (WHERE revops.business_time_between(calendar, a, a + span * interval '1 minute') = between_minutes * interval '1 minute') AS between_ok,
       count(*) FILTER (WHERE revops.add_business_time(calendar, a, more * interval '1 minute') = nth + interval '1 minute') AS add_ok
FROM trial s,
     LATERAL (SELECT count(DISTINCT t) AS between_minutes FROM minute m WHERE m.calendar = s.calendar AND m.t >= s.a AND m.t < s.a + span * interval '1 minute') x,
     LATERAL (SELECT DISTINCT t AS nth FROM minute m WHERE m.calendar = s.calendar AND m.t >= s.a ORDER BY 1 OFFSET s.more - 1 LIMIT 1) y;
-- add and between are each other's inverse
SELECT count(*) FROM trial, LATERAL revops.add_business_time(calendar, a, more * interval '1 minute') t
WHERE revops.business_time_between(calendar, a, t) <> more * interval '1 minute' OR revops.business_time_between(calendar, a, t - interval '1 microsecond') >= more * interval '1 minute';

-- long ways stay bounded
SELECT revops.add_business_time('ny', '2026-01-01Z', '100000 hours');
SELECT revops.put_calendar('closed', 'UTC', '{"mon": "09:00-10:00"}', ARRAY(SELECT d::date FROM generate_series(timestamp '2026-01-01', '2040-01-01', '1 day') d));

-- errors
SELECT revops.put_calendar('x', 'Mars/Olympus');
SELECT revops.put_calendar('x', 'UTC', '{}');
SELECT revops.put_calendar('x', 'UTC', '[]');
SELECT revops.put_calendar('x', 'UTC', '{"monday": "09:00-10:00"}');
SELECT revops.put_calendar('x', 'UTC', '{"mon-wed-fri": "09:00-10:00"}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": "9-10"}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": "09:00-24:30"}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": 9}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": null}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": "22:00-06:00"}');
SELECT revops.put_calendar('x', 'UTC', '{"mon": "09:00-12:00,11:00-13:00"}');
SELECT revops.put_calendar(NULL, 'UTC');
INSERT INTO revops.calendar (calendar, time_zone, hours) VALUES ('x', 'UTC', '{}');
SELECT revops.add_business_time('nope', '2026-01-01Z', '1 hour');
SELECT revops.business_time_between('nope', '2026-01-01Z', '2026-01-01Z');
SELECT revops.add_business_time('ny', '2026-01-01Z', '1 month');
SELECT revops.add_business_time('ny', '2026-01-01Z', '-1 hour');
SELECT revops.add_business_time('ny', 'infinity', '1 hour');
SELECT revops.add_business_time('ny', '294270-01-01Z', '100000 hours');
SELECT revops.add_business_time(NULL, '294270-01-01Z', '100000 hours');
SELECT revops.business_time_between('ny', '4713-01-01 BC', '294276-01-01Z');
SELECT revops.business_time_add('UTC', '{60,60}', '{}', '2026-01-01Z', '1 hour');
SELECT revops.business_time_add('UTC', '{}', '{}', '2026-01-01Z', '1 hour');
SELECT revops.business_time_add('UTC', '{60,30}', '{}', '2026-01-01Z', '1 hour');
SELECT revops.business_time_add('Mars/Olympus', '{0,60}', '{}', '2026-01-01Z', '1 hour', true) IS NULL AS unusable,
       revops.add_business_time('ny', NULL, '1 hour') IS NULL AS unknown;

-- changing a calendar
SELECT revops.put_calendar('ny', 'America/New_York', '{"mon-fri": "08:00-17:00"}');
SELECT week[1], holidays FROM revops.calendar WHERE calendar = 'ny';
DELETE FROM revops.calendar;
