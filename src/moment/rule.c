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
 * of the event lies in local_time.
 */
#include "moment/rule.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

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
		rule->local_time = LocalTimeCompile(doc, value, "$.local_time");
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
	return PredicateMatches(rule->when, e) && (rule->local_time == NULL || LocalTimeHolds(rule->local_time, e));
}

int64
MomentRuleValue(const MomentRule *rule, const Event *e)
{
	int64		micros;

	if (rule->property.data == NULL)
		return Min(Max(e->dwell, 0), rule->at_least);
	return EventPropertyMicros(e, rule->property, rule->at_least, &micros) ? micros : 0;
}
