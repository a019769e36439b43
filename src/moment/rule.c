/*
 * rule.c
 *	  Moment rules: from their JSON document to what the engine steps.
 *
 *	  {"title": "Late-night comparison", "per": "person",
 *	   "when": {"kind": "page_view", "object": {"like": "/compare%"}},
 *	   "count": {"at_least": 3, "within": "30 minutes"},
 *	   "local_time": {"from": "22:00", "to": "06:00", "days": ["fri", "sat"], "time_zone": "Asia/Shanghai"},
 *	   "cooldown": "24 hours", "strength": 0.8, "playbook": "comparison"}
 *
 * An event is relevant to a rule version if it occurred while the version was valid, its predicate holds, and the local time
 * of the event lies in local_time. local_time goes by the zone of the rule, else of the customer, else revops.time_zone;
 * a span with from after to runs over midnight, and `days` is about the local day of the event itself.
 */
#include "moment/rule.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EXPECTED_ZONE "a time zone, such as \"Asia/Shanghai\""

static char *time_zone_string = NULL;

/* ---------- time zones ---------- */

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
RuleInit(void)
{
	DefineCustomStringVariable("revops.time_zone",
							   "The time zone of customers whose own is not known.",
							   "Rules with local_time go by it. Set it for the database or the server, so that all sessions and workers agree.",
							   &time_zone_string, "UTC", PGC_SUSET, 0, CheckTimeZone, NULL, NULL);
}

/* Is the event's local time within the rule's? */
static bool
InLocalTime(const MomentRule *rule, const Event *e)
{
	pg_tz	   *zone = rule->time_zone;
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	int64		clock;

	if (zone == NULL)
		zone = ZoneNamed(e->time_zone);
	if (zone == NULL)
		zone = ZoneNamed(StrFrom(time_zone_string));
	if (zone == NULL || timestamp2tm(e->occurred_at, &offset, &tm, &fsec, NULL, zone) != 0)
		return false;
	if ((rule->days & (1 << j2day(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday)))) == 0)
		return false;
	clock = ((tm.tm_hour * INT64CONST(60) + tm.tm_min) * 60 + tm.tm_sec) * USECS_PER_SEC + fsec;
	if (rule->from < rule->to)
		return clock >= rule->from && clock < rule->to;
	return clock >= rule->from || clock < rule->to;
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
	if (s == NULL || *s != '\0' || s[-1] == ':' || n < 2 || part[0] > 24 || part[1] > 59 || part[2] > 59 ||
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

static void
CompileLocalTime(MomentRule *rule, const JsonDoc *doc, const json_t *json)
{
	static const char *const keys[] = {"from", "to", "days", "time_zone", NULL};
	const char *path = "$.local_time";
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

	rule->timed = true;
	rule->from = 0;
	rule->to = USECS_PER_DAY;
	rule->days = 0x7F;
	if (from != NULL)
	{
		rule->from = CompileClock(doc, from, "$.local_time.from");
		rule->to = CompileClock(doc, to, "$.local_time.to");
		if (rule->from == USECS_PER_DAY)
			JsonDocError(doc, "$.local_time.from", "a time of day before \"24:00\"");
		if (rule->from == rule->to)
			JsonDocError(doc, "$.local_time.to", "another time than \"from\" (the whole day is \"00:00\" to \"24:00\")");
	}
	if (days != NULL)
		rule->days = CompileDays(doc, days, "$.local_time.days");
	if (zone != NULL)
	{
		rule->time_zone = json_is_string(zone) ? ZoneNamed(StrFrom(json_string_value(zone))) : NULL;
		if (rule->time_zone == NULL)
			JsonDocError(doc, "$.local_time.time_zone", EXPECTED_ZONE);
	}
}

/* A key of an object that must be there. */
static json_t *
Required(const JsonDoc *doc, const json_t *json, const char *path, const char *key)
{
	json_t	   *value = json_object_get(json, key);

	if (value == NULL)
		JsonDocError(doc, path, psprintf("an object with \"%s\"", key));
	return value;
}

static void
CompileCount(MomentRule *rule, const JsonDoc *doc, const json_t *json)
{
	static const char *const keys[] = {"at_least", "within", NULL};

	JsonKeys(doc, json, "$.count", keys);
	rule->pattern = PATTERN_COUNT;
	rule->at_least = JsonInteger(doc, Required(doc, json, "$.count", "at_least"), "$.count.at_least", 1, PATTERN_MAX_ENTRIES);
	rule->within = JsonDuration(doc, Required(doc, json, "$.count", "within"), "$.count.within");
}

static void
CompileSum(MomentRule *rule, const JsonDoc *doc, const json_t *json)
{
	static const char *const keys[] = {"of", "at_least", "within", NULL};
	json_t	   *at_least;
	const char *of;

	JsonKeys(doc, json, "$.sum", keys);
	of = json_string_value(Required(doc, json, "$.sum", "of"));
	at_least = Required(doc, json, "$.sum", "at_least");
	rule->pattern = PATTERN_SUM;
	rule->within = JsonDuration(doc, Required(doc, json, "$.sum", "within"), "$.sum.within");
	if (of != NULL && strcmp(of, "dwell") == 0)
		rule->at_least = JsonDuration(doc, at_least, "$.sum.at_least");
	else if (of != NULL && strncmp(of, "properties.", 11) == 0 && of[11] != '\0')
	{
		double		v = json_number_value(at_least);

		if (!json_is_number(at_least) || !(v >= 0.000001) || v > RULE_MAX_SUM)
			JsonDocError(doc, "$.sum.at_least", psprintf("a number above 0 and at most " INT64_FORMAT, RULE_MAX_SUM));
		rule->at_least = json_is_integer(at_least) ? json_integer_value(at_least) * 1000000 : (int64) rint(v * 1000000);
		rule->property = StrFrom(pstrdup(pg_any_to_server(of + 11, strlen(of + 11), PG_UTF8)));
	}
	else
		JsonDocError(doc, "$.sum.of", "\"dwell\" or \"properties.<name>\"");
}

static void
CompileRule(MomentRule *rule, const JsonDoc *doc)
{
	static const char *const keys[] = {
		"title", "per", "when", "count", "sum", "local_time", "cooldown", "strength", "playbook", NULL
	};
	json_t	   *root = doc->root;
	json_t	   *value,
			   *when,
			   *count,
			   *sum;

	JsonKeys(doc, root, "$", keys);
	if ((value = json_object_get(root, "title")) != NULL)
		rule->title = JsonString(doc, value, "$.title", RULE_MAX_TITLE, "a title");
	if ((value = json_object_get(root, "playbook")) != NULL)
		rule->playbook = JsonString(doc, value, "$.playbook", REVOPS_MAX_KEY, "the name of a playbook");

	rule->per = SUBJECT_PERSON;
	if ((value = json_object_get(root, "per")) != NULL)
	{
		int			kind = 0;

		while (kind < SUBJECT_KINDS && (!json_is_string(value) || strcmp(json_string_value(value), SubjectKindName(kind)) != 0))
			kind++;
		if (kind == SUBJECT_KINDS)
			JsonDocError(doc, "$.per", "one of person, account, opportunity, rep");
		rule->per = kind;
	}

	when = json_object_get(root, "when");
	count = json_object_get(root, "count");
	sum = json_object_get(root, "sum");
	if ((when == NULL || (json_is_object(when) && json_object_size(when) == 0)) && count == NULL && sum == NULL)
		JsonDocError(doc, when ? "$.when" : "$", when ? "at least one condition, since each event that meets them is a moment" :
					 "an object with \"when\", \"count\" or \"sum\"");
	if (count != NULL && sum != NULL)
		JsonDocError(doc, "$.sum", "either \"count\" or \"sum\", not both");
	rule->when = PredicateCompile(doc, when, "$.when");
	if (count != NULL)
		CompileCount(rule, doc, count);
	else if (sum != NULL)
		CompileSum(rule, doc, sum);

	if ((value = json_object_get(root, "local_time")) != NULL)
		CompileLocalTime(rule, doc, value);
	if ((value = json_object_get(root, "cooldown")) != NULL)
		rule->cooldown = JsonDuration(doc, value, "$.cooldown");
	rule->strength = 1;
	if ((value = json_object_get(root, "strength")) != NULL)
	{
		rule->strength = json_number_value(value);
		if (!json_is_number(value) || !(rule->strength >= 0 && rule->strength <= 1))
			JsonDocError(doc, "$.strength", "a number from 0 to 1");
	}
}

/* Memory: the current context, which the rule does not outlive. */
MomentRule *
MomentRuleCompile(const char *name, int version, const char *definition, TimestampTz valid_from, TimestampTz valid_to)
{
	MomentRule *rule = palloc0(sizeof(MomentRule));
	MemoryContext into = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(into, "revops rule document", ALLOCSET_SMALL_SIZES);

	rule->name = pstrdup(name);
	rule->version = version;
	rule->valid_from = valid_from;
	rule->valid_to = valid_to;
	PG_TRY();
	{
		JsonDoc    *doc;

		MemoryContextSwitchTo(scratch);
		doc = JsonDocOpen(psprintf("rule \"%s\"", name), definition);
		MemoryContextSwitchTo(into);
		CompileRule(rule, doc);
	}
	PG_FINALLY();
	{
		MemoryContextDelete(scratch);
	}
	PG_END_TRY();
	return rule;
}

SubjectKind
MomentRuleSubject(const MomentRule *rule)
{
	return rule->per;
}

const char *
MomentRuleName(const MomentRule *rule)
{
	return rule->name;
}

int
MomentRuleVersion(const MomentRule *rule)
{
	return rule->version;
}

const char *
MomentRulePlaybook(const MomentRule *rule)
{
	return rule->playbook;
}

int
MomentRuleKinds(const MomentRule *rule, const Str **kinds)
{
	return PredicateKinds(rule->when, kinds);
}

bool
MomentRelevant(const MomentRule *rule, const Event *e)
{
	if (e->occurred_at < rule->valid_from || e->occurred_at >= rule->valid_to)
		return false;
	/* an event without dwell has nothing to add to a sum of dwell */
	if (rule->pattern == PATTERN_SUM && rule->property.data == NULL && e->dwell <= 0)
		return false;
	return PredicateMatches(rule->when, e) && (!rule->timed || InLocalTime(rule, e));
}

int64
MomentRuleValue(const MomentRule *rule, const Event *e)
{
	int64		micros;

	if (rule->property.data == NULL)
		return Min(Max(e->dwell, 0), rule->at_least);
	return EventPropertyMicros(e, rule->property, rule->at_least, &micros) ? micros : 0;
}
