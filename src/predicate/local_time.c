/*
 * local_time.c
 *	  Local time: {"from": "22:00", "to": "06:00", "days": ["fri", "sat"], "time_zone": "Asia/Shanghai"}, and calendar days.
 *
 * The zone is that of the document, else the event's (of its person, else of its account), else revops.time_zone. A span with
 * from after to runs over midnight; `days` is about the local day of the event itself.
 */
#include "predicate/predicate.h"

#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/guc.h"

struct LocalTime
{
	int64		from;			/* microseconds of the local day; from > to: over midnight */
	int64		to;
	int			days;			/* bit 0: Sunday */
	pg_tz	   *zone;			/* NULL: the event's */
};

static char *time_zone_string = NULL;

/* The zone of that name; NULL: there is none. pg_tzset() caches what it finds, this what it does not find too. */
static pg_tz *
ZoneNamed(Str name)
{
	static struct
	{
		bool		used;
		char		name[TZ_STRLEN_MAX + 1];
		pg_tz	   *zone;
	}			cache[64];
	uint32		h = 0;
	char		buf[TZ_STRLEN_MAX + 1];

	if (name.data == NULL || name.len == 0 || name.len > TZ_STRLEN_MAX)
		return NULL;
	for (int i = 0; i < name.len; i++)
		h = h * 31 + (unsigned char) name.data[i];
	h = (h ^ (h >> 8)) % lengthof(cache);
	memcpy(buf, name.data, name.len);
	buf[name.len] = '\0';
	if (!cache[h].used || strcmp(cache[h].name, buf) != 0)
	{
		pg_tz	   *zone = pg_tzset(buf);

		if (zone != NULL && !pg_tz_acceptable(zone))
			zone = NULL;
		strcpy(cache[h].name, buf);
		cache[h].zone = zone;
		cache[h].used = true;
	}
	return cache[h].zone;
}

static bool
CheckTimeZone(char **newval, void **extra, GucSource source)
{
	if (ZoneNamed(StrFrom(*newval)) != NULL)
		return true;
	GUC_check_errdetail("\"%s\" is not a time zone.", *newval);
	GUC_check_errhint("SELECT name FROM pg_timezone_names lists them.");
	return false;
}

void
PredicateInit(void)
{
	DefineCustomStringVariable("revops.time_zone",
							   "The time zone of customers whose own is not known.",
							   "Rules with local_time go by it. Set it for the database or the server, so that all sessions and workers agree.",
							   &time_zone_string, "UTC", PGC_SUSET, 0, CheckTimeZone, NULL, NULL);
}

/* When the event occurred, in the zone, else in its own; false: no time that a calendar has */
static bool
LocalClock(const Event *e, pg_tz *zone, struct pg_tm *tm, fsec_t *fsec)
{
	int			offset;

	if (zone == NULL)
		zone = ZoneNamed(e->time_zone);
	if (zone == NULL)
		zone = ZoneNamed(StrFrom(time_zone_string));
	return zone != NULL && !TIMESTAMP_NOT_FINITE(e->occurred_at) &&
		timestamp2tm(e->occurred_at, &offset, tm, fsec, NULL, zone) == 0;
}

bool
EventLocalDay(const Event *e, pg_tz *zone, int32 *day)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (!LocalClock(e, zone, &tm, &fsec))
		return false;
	*day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	return true;
}

bool
LocalTimeHolds(const LocalTime *lt, const Event *e)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int64		clock;

	if (!LocalClock(e, lt->zone, &tm, &fsec) ||
		(lt->days & (1 << j2day(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday)))) == 0)
		return false;
	clock = ((tm.tm_hour * INT64CONST(60) + tm.tm_min) * 60 + tm.tm_sec) * USECS_PER_SEC + fsec;
	if (lt->from < lt->to)
		return clock >= lt->from && clock < lt->to;
	return clock >= lt->from || clock < lt->to;
}

/* ---------- compile ---------- */

/* "22:00", "22:00:30", "24:00" -> microseconds of the day */
static int64
CompileClock(const JsonDoc *doc, const json_t *json, const char *path)
{
	const char *s = json_string_value(json);
	int			part[3] = {0, 0, 0};
	int			n = 0;

	while (s != NULL && n < 3 && s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9')
	{
		part[n++] = (s[0] - '0') * 10 + s[1] - '0';
		s += 2;
		if (*s != ':')
			break;
		if (n < 3)
			s++;
	}
	if (s == NULL || *s != '\0' || n < 2 || s[-1] == ':' || part[0] > 24 || part[1] > 59 || part[2] > 59 ||
		(part[0] == 24 && (part[1] > 0 || part[2] > 0)))
		JsonDocError(doc, path, "a time of day, such as \"22:00\"");
	return ((part[0] * INT64CONST(60) + part[1]) * 60 + part[2]) * USECS_PER_SEC;
}

static int
CompileDays(const JsonDoc *doc, const json_t *json, const char *path)
{
	static const char *const names[7] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	int			days = 0;

	if (!json_is_array(json) || json_array_size(json) == 0 || json_array_size(json) > 7)
		JsonDocError(doc, path, "an array of 1 to 7 days, such as [\"mon\", \"tue\"]");
	for (size_t i = 0; i < json_array_size(json); i++)
	{
		const char *s = json_string_value(json_array_get(json, i));
		int			d = 0;

		while (s != NULL && d < 7 && pg_strcasecmp(s, names[d]) != 0)
			d++;
		if (s == NULL || d == 7)
			JsonDocError(doc, JsonPathAt(doc, path, i), "one of mon, tue, wed, thu, fri, sat, sun");
		if (days & (1 << d))
			JsonDocError(doc, JsonPathAt(doc, path, i), "each day once");
		days |= 1 << d;
	}
	return days;
}

pg_tz *
JsonTimeZone(const JsonDoc *doc, const json_t *json, const char *path)
{
	pg_tz	   *zone = json_is_string(json) ? ZoneNamed(StrFrom(json_string_value(json))) : NULL;

	if (zone == NULL)
		JsonDocError(doc, path, "a time zone, such as \"Asia/Shanghai\"");
	return zone;
}

LocalTime *
LocalTimeCompile(const JsonDoc *doc, const json_t *json, const char *path)
{
	static const char *const keys[] = {"from", "to", "days", "time_zone", NULL};
	LocalTime  *lt = palloc0(sizeof(LocalTime));
	json_t	   *from,
			   *to,
			   *days,
			   *zone;

	JsonKeys(doc, json, path, keys);
	from = json_object_get(json, "from");
	to = json_object_get(json, "to");
	days = json_object_get(json, "days");
	zone = json_object_get(json, "time_zone");
	if ((from == NULL) != (to == NULL) || (from == NULL && days == NULL))
		JsonDocError(doc, path, "\"from\" and \"to\", or \"days\", or all three");

	lt->from = 0;
	lt->to = USECS_PER_DAY;
	lt->days = 0x7F;
	if (from != NULL)
	{
		lt->from = CompileClock(doc, from, JsonPath(doc, path, "from"));
		lt->to = CompileClock(doc, to, JsonPath(doc, path, "to"));
		if (lt->from == USECS_PER_DAY)
			JsonDocError(doc, JsonPath(doc, path, "from"), "a time of day before \"24:00\"");
		if (lt->from == lt->to)
			JsonDocError(doc, JsonPath(doc, path, "to"), "another time than \"from\" (the whole day is \"00:00\" to \"24:00\")");
	}
	if (days != NULL)
		lt->days = CompileDays(doc, days, JsonPath(doc, path, "days"));
	if (zone != NULL)
		lt->zone = JsonTimeZone(doc, zone, JsonPath(doc, path, "time_zone"));
	return lt;
}
