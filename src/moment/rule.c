/*
 * rule.c
 *	  Moment rules: from their JSON document to what the engine steps. docs/moments.md has the language.
 *
 * A compiled rule lives in one memory context, and points at nothing of the document that it came from. What a strength formula
 * and the relations between steps need of past events is resolved here to slots (ChainRef), so that a chain carries a few values
 * instead of events.
 */
#include "moment/compile.h"

#include <math.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A key of an object that must be there. */
json_t *
RuleRequired(const JsonDoc *doc, const json_t *json, const char *path, const char *key)
{
	json_t	   *value = json_object_get(json, key);

	if (value == NULL)
		JsonDocError(doc, path, psprintf("an object with \"%s\"", key));
	return value;
}

bool
RuleBoolean(const JsonDoc *doc, const json_t *json, const char *path)
{
	if (!json_is_boolean(json))
		JsonDocError(doc, path, "true or false");
	return json_is_true(json);
}

/* ---------- windows ---------- */

/* "of" and "at_least" of a sum: sets *sum, returns at_least in its unit */
static int64
CompileSummand(const JsonDoc *doc, const json_t *json, const char *path, Summand *sum)
{
	const char *of = json_string_value(RuleRequired(doc, json, path, "of"));
	json_t	   *at_least = RuleRequired(doc, json, path, "at_least");
	const char *at = JsonPath(doc, path, "at_least");

	memset(sum, 0, sizeof(Summand));
	if (of != NULL && strcmp(of, "dwell") == 0)
		sum->limit = JsonDuration(doc, at_least, at);
	else if (of != NULL && strncmp(of, "properties.", 11) == 0 && of[11] != '\0')
	{
		double		v = json_number_value(at_least);

		if (!json_is_number(at_least) || !(v >= 0.000001) || v > RULE_MAX_SUM)
			JsonDocError(doc, at, psprintf("a number above 0 and at most " INT64_FORMAT, RULE_MAX_SUM));
		sum->limit = json_is_integer(at_least) ? json_integer_value(at_least) * 1000000 : (int64) rint(v * 1000000);
		sum->property = StrFrom(pstrdup(pg_any_to_server(of + 11, strlen(of + 11), PG_UTF8)));
	}
	else
		JsonDocError(doc, JsonPath(doc, path, "of"), "\"dwell\" or \"properties.<name>\"");
	return sum->limit;
}

static void
CompileMeasure(RuleCompiler *c, MeasureKind kind, const json_t *json, const char *path)
{
	static const char *const count_keys[] = {"at_least", "within", "session", NULL};
	static const char *const keys[] = {"of", "at_least", "within", "session", NULL};
	const JsonDoc *doc = c->doc;
	Measure    *m = &c->rule->measures[c->rule->nmeasures++];
	json_t	   *within,
			   *session;

	JsonKeys(doc, json, path, kind == MEASURE_COUNT ? count_keys : keys);
	c->rule->pattern = PATTERN_WINDOW;
	m->kind = kind;
	if (kind == MEASURE_SUM)
		m->at_least = CompileSummand(doc, json, path, &m->sum);
	else
		m->at_least = JsonInteger(doc, RuleRequired(doc, json, path, "at_least"), JsonPath(doc, path, "at_least"),
								  1, PATTERN_MAX_ENTRIES);
	if (kind == MEASURE_DISTINCT)
	{
		json_t	   *of = RuleRequired(doc, json, path, "of");
		const char *at = JsonPath(doc, path, "of");

		if (!json_is_string(of))
			JsonDocError(doc, at, "the name of a field, such as \"object\"");
		m->of = FieldRefCompile(doc, json_string_value(of), at);
		if (!FieldRefIsText(m->of) && !FieldRefIsProperty(m->of))
			JsonDocError(doc, at, "a text field or \"properties.<name>\"");
	}
	session = json_object_get(json, "session");
	within = json_object_get(json, "within");
	if (session == NULL && within == NULL)
		JsonDocError(doc, path, "an object with \"within\", or \"session\"");
	if (session != NULL)
		m->session = JsonDuration(doc, session, JsonPath(doc, path, "session"));
	m->within = within != NULL ? JsonDuration(doc, within, JsonPath(doc, path, "within")) : Max(RULE_SESSION_WITHIN, m->session);
	c->rule->horizon = Max(c->rule->horizon, m->within);
}

/* ---------- streaks ---------- */

static void
CompileStreak(RuleCompiler *c, const json_t *json)
{
	static const char *const keys[] = {"days", "each", "weekdays", "time_zone", NULL};
	static const char *const each_keys[] = {"count", "sum", "max", NULL};
	static const char *const of_keys[] = {"of", "at_least", NULL};
	const JsonDoc *doc = c->doc;
	Streak	   *s = &c->rule->streak;
	json_t	   *value;

	JsonKeys(doc, json, "$.streak", keys);
	c->rule->pattern = PATTERN_STREAK;
	s->days = JsonInteger(doc, RuleRequired(doc, json, "$.streak", "days"), "$.streak.days", 1, RULE_MAX_DAYS);
	s->need = DAY_COUNT;
	s->at_least = 1;
	if ((value = json_object_get(json, "each")) != NULL)
	{
		json_t	   *need;

		JsonKeys(doc, value, "$.streak.each", each_keys);
		if (json_object_size(value) != 1)
			JsonDocError(doc, "$.streak.each", "one of \"count\", \"sum\" and \"max\"");
		if ((need = json_object_get(value, "count")) != NULL)
			s->at_least = JsonInteger(doc, need, "$.streak.each.count", 1, PATTERN_MAX_ENTRIES / (s->days + 3));
		else
		{
			const char *path;

			s->need = (need = json_object_get(value, "sum")) != NULL ? DAY_SUM : DAY_MAX;
			if (s->need == DAY_MAX)
				need = json_object_get(value, "max");
			path = JsonPath(doc, "$.streak.each", s->need == DAY_SUM ? "sum" : "max");
			JsonKeys(doc, need, path, of_keys);
			s->at_least = CompileSummand(doc, need, path, &s->sum);
		}
	}
	if ((value = json_object_get(json, "weekdays")) != NULL)
		s->weekdays = RuleBoolean(doc, value, "$.streak.weekdays");
	if ((value = json_object_get(json, "time_zone")) != NULL)
		s->time_zone = JsonTimeZone(doc, value, "$.streak.time_zone");
	/* the zones of two events may be a day apart, each way */
	c->rule->horizon = (int64) ((s->weekdays ? s->days * 7 / 5 + 2 : s->days) + 6) * USECS_PER_DAY;
}

/* ---------- strength ---------- */

static int
AddVariable(RuleCompiler *c, const char *name, VariableKind kind, FieldRef *field, int index)
{
	MomentRule *rule = c->rule;
	Variable   *v = &rule->variables[rule->nvariables];

	if (rule->nvariables == RULE_MAX_VARIABLES)
		return -1;
	v->name = pstrdup(name);
	v->kind = kind;
	v->field = field;
	v->index = index;
	v->seconds = field != NULL && !FieldRefIsProperty(field);
	return FIXED_SLOTS + rule->nvariables++;
}

/* The slot of a name in a strength formula; -1: there is no such name */
static int
ResolveName(void *arg, const char *name)
{
	static const char *const fixed[FIXED_SLOTS] = {"count", "sum", "distinct", "days", "span"};
	RuleCompiler *c = arg;
	MomentRule *rule = c->rule;
	const char *dot = strchr(name, '.');
	const char *field = name;
	int			step = -1;

	for (int i = 0; i < FIXED_SLOTS; i++)
		if (strcmp(name, fixed[i]) == 0)
		{
			bool		has = i == SLOT_COUNT || i == SLOT_SPAN || (rule->pattern == PATTERN_STREAK && (i == SLOT_DAYS ||
																										(i == SLOT_SUM && rule->streak.need == DAY_SUM)));

			for (int m = 0; m < rule->nmeasures; m++)
				has |= (i == SLOT_SUM && rule->measures[m].kind == MEASURE_SUM) ||
					(i == SLOT_DISTINCT && rule->measures[m].kind == MEASURE_DISTINCT);
			return has ? i : -1;
		}
	for (int i = 0; i < rule->nvariables; i++)
		if (strcmp(rule->variables[i].name, name) == 0)
			return FIXED_SLOTS + i;
	if (rule->pattern == PATTERN_SEQUENCE)
	{
		step = rule->sequence->n - 1;
		if (dot != NULL && SequenceStepNamed(rule->sequence, rule->sequence->n, name, dot - name) >= 0)
		{
			step = SequenceStepNamed(rule->sequence, rule->sequence->n, name, dot - name);
			field = dot + 1;
			if (strcmp(field, "count") == 0)
				return AddVariable(c, name, VARIABLE_COUNT, NULL, step);
		}
	}
	if (strcmp(field, "dwell") != 0 && (strncmp(field, "properties.", 11) != 0 || field[11] == '\0'))
		return -1;
	if (step >= 0)
	{
		FieldRef   *ref = FieldRefCompile(c->doc, field, "$.strength");

		return AddVariable(c, name, VARIABLE_REF, ref, SequenceRemember(c, step, false, ref, "$.strength"));
	}
	return AddVariable(c, name, VARIABLE_FIELD, FieldRefCompile(c->doc, field, "$.strength"), 0);
}

/* ---------- the rule ---------- */

/* What follows a moment is read from the stored document, in SQL; here it is checked. */
static void
CheckEffects(RuleCompiler *c, const json_t *root)
{
	static const char *const intent_keys[] = {"intent", "weight", NULL};
	const JsonDoc *doc = c->doc;
	json_t	   *value;

	if ((value = json_object_get(root, "tell")) != NULL)
	{
		if (c->rule->playbook == NULL)
			JsonDocError(doc, "$.tell", "a \"playbook\" too, since people are told of a card");
		if (!json_is_array(value) || json_array_size(value) == 0 || json_array_size(value) > 2)
			JsonDocError(doc, "$.tell", "an array of coach and director");
		for (size_t i = 0; i < json_array_size(value); i++)
			if (!(JsonIs(json_array_get(value, i), "coach") || JsonIs(json_array_get(value, i), "director")) ||
				(i > 0 && json_equal(json_array_get(value, i), json_array_get(value, 0))))
				JsonDocError(doc, JsonPathAt(doc, "$.tell", i), "\"coach\" or \"director\", each once");
	}
	if ((value = json_object_get(root, "intent")) != NULL)
	{
		json_t	   *weight;

		JsonKeys(doc, value, "$.intent", intent_keys);
		(void) JsonString(doc, RuleRequired(doc, value, "$.intent", "intent"), "$.intent.intent", REVOPS_MAX_KEY, "the name of an intent");
		weight = RuleRequired(doc, value, "$.intent", "weight");
		if (!json_is_number(weight) || !(json_number_value(weight) > 0 && json_number_value(weight) <= 1e9))
			JsonDocError(doc, "$.intent.weight", "a number above 0 and at most 1e9");
	}
}

static void
CompileOnce(RuleCompiler *c, const json_t *json)
{
	static const char *const keys[] = {"until", NULL};
	MomentRule *rule = c->rule;
	json_t	   *until;

	if (JsonIs(json, "per_episode"))
	{
		if (rule->pattern != PATTERN_WINDOW && rule->pattern != PATTERN_STREAK)
			JsonDocError(c->doc, "$.once", "a rule with count, sum, distinct or streak, since only these go on for an episode; or {\"until\": condition}");
		rule->once = ONCE_PER_EPISODE;
		return;
	}
	if (!json_is_object(json))
		JsonDocError(c->doc, "$.once", "\"per_episode\" or {\"until\": condition}");
	JsonKeys(c->doc, json, "$.once", keys);
	until = RuleRequired(c->doc, json, "$.once", "until");
	if (json_is_object(until) && json_object_size(until) == 0)
		JsonDocError(c->doc, "$.once.until", "at least one condition");
	rule->once = ONCE_UNTIL;
	rule->once_until = PredicateCompile(c->doc, until, "$.once.until");
}

static void
CompileRule(MomentRule *rule, const JsonDoc *doc)
{
	static const char *const keys[] = {
		"title", "per", "when", "count", "sum", "distinct", "streak", "sequence", "local_time", "cooldown", "once", "strength", "playbook",
		"tell", "intent", NULL
	};
	static const char *const measures[RULE_MAX_MEASURES] = {"count", "sum", "distinct"};
	RuleCompiler c = {doc, rule};
	json_t	   *root = doc->root;
	json_t	   *value,
			   *when,
			   *streak,
			   *sequence;

	JsonKeys(doc, root, "$", keys);
	if ((value = json_object_get(root, "title")) != NULL)
		rule->title = JsonString(doc, value, "$.title", RULE_MAX_TITLE, "a title");
	if ((value = json_object_get(root, "playbook")) != NULL)
		rule->playbook = JsonString(doc, value, "$.playbook", REVOPS_MAX_KEY, "the name of a playbook");

	rule->per = SUBJECT_PERSON;
	if ((value = json_object_get(root, "per")) != NULL)
	{
		int			kind = 0;

		while (kind < SUBJECT_KINDS && !JsonIs(value, SubjectKindName(kind)))
			kind++;
		if (kind == SUBJECT_KINDS)
			JsonDocError(doc, "$.per", "one of person, account, opportunity, rep");
		rule->per = kind;
	}

	when = json_object_get(root, "when");
	rule->when = PredicateCompile(doc, when, "$.when");
	if ((value = json_object_get(root, "local_time")) != NULL)
		rule->local_time = LocalTimeCompile(doc, value, "$.local_time");
	for (int i = 0; i < RULE_MAX_MEASURES; i++)
		if ((value = json_object_get(root, measures[i])) != NULL)
			CompileMeasure(&c, i, value, JsonPath(doc, "$", measures[i]));
	streak = json_object_get(root, "streak");
	sequence = json_object_get(root, "sequence");
	if (streak != NULL && rule->nmeasures > 0)
		JsonDocError(doc, "$.streak", "either \"streak\" or count, sum and distinct");
	if (sequence != NULL && (rule->nmeasures > 0 || streak != NULL))
		JsonDocError(doc, "$.sequence", streak != NULL ? "either \"sequence\" or \"streak\"" :
					 "either \"sequence\" or count, sum and distinct (a step can have \"times\")");
	if (streak != NULL)
		CompileStreak(&c, streak);
	if (sequence != NULL)
		CompileSequence(&c, sequence);
	if (rule->pattern == PATTERN_EACH && (when == NULL || json_object_size(when) == 0))
		JsonDocError(doc, when ? "$.when" : "$", when ? "at least one condition, since each event that meets them is a moment" :
					 "an object with \"when\", \"count\", \"sum\", \"distinct\", \"streak\" or \"sequence\"");

	if ((value = json_object_get(root, "cooldown")) != NULL)
		rule->cooldown = JsonDuration(doc, value, "$.cooldown");
	if ((value = json_object_get(root, "once")) != NULL)
		CompileOnce(&c, value);
	rule->retains = rule->once == ONCE_PER_EPISODE || (sequence != NULL && rule->sequence->to_next);
	rule->strength = 1;
	if ((value = json_object_get(root, "strength")) != NULL)
	{
		if (json_is_string(value))
			rule->formula = FormulaCompile(doc, value, "$.strength", ResolveName, &c);
		else
		{
			rule->strength = json_number_value(value);
			if (!json_is_number(value) || !(rule->strength >= 0 && rule->strength <= 1))
				JsonDocError(doc, "$.strength", "a number from 0 to 1, or a formula as text");
		}
	}
	CheckEffects(&c, root);
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
	rule->digest = MomentRuleDigest(name, version);
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

uint64
MomentRuleDigest(const char *name, int version)
{
	return hash_bytes_extended((const unsigned char *) name, strlen(name), (uint64) version);
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

bool
MomentRuleTimed(const MomentRule *rule)
{
	return rule->pattern == PATTERN_SEQUENCE && rule->sequence->wait > 0;
}

/* ---------- an event's roles ---------- */

void
MomentRuleIndex(const MomentRule *rule, PredicateIndex *index, int id)
{
	const Sequence *q = rule->sequence;

	if (q == NULL || q->strict)
		PredicateIndexAdd(index, rule->when, id);
	else
	{
		for (int i = 0; i < q->n; i++)
		{
			PredicateIndexAdd(index, q->steps[i].when, id);
			if (q->steps[i].absent != NULL)
				PredicateIndexAdd(index, q->steps[i].absent, id);
		}
		if (q->until != NULL)
			PredicateIndexAdd(index, q->until, id);
	}
	if (rule->once_until != NULL)
		PredicateIndexAdd(index, rule->once_until, id);
}

MomentRoles
MomentRuleRoles(const MomentRule *rule, const Event *e)
{
	const Sequence *q = rule->sequence;
	MomentRoles roles = 0;
	int32		day;

	if (e->occurred_at < rule->valid_from || e->occurred_at >= rule->valid_to)
		return 0;
	if (PredicateMatches(rule->when, e) && (rule->local_time == NULL || LocalTimeHolds(rule->local_time, e)) &&
		(rule->pattern != PATTERN_STREAK || StreakDay(&rule->streak, e, &day)))
	{
		if (q != NULL)
		{
			for (int i = 0; i < q->n; i++)
			{
				if (PredicateMatches(q->steps[i].when, e))
					roles |= ROLE_STEP(i);
				if (q->steps[i].absent != NULL && PredicateMatches(q->steps[i].absent, e))
					roles |= ROLE_ABSENT(i);
			}
			if (q->until != NULL && PredicateMatches(q->until, e))
				roles |= ROLE_UNTIL;
		}
		/* what fits no step still ends a strict one */
		if (q == NULL || q->strict || roles != 0)
			roles |= ROLE_RELEVANT;
	}
	if (rule->once_until != NULL && PredicateMatches(rule->once_until, e))
		roles |= ROLE_REARMS;
	return roles;
}

int64
SummandValue(const Summand *sum, const Event *e)
{
	int64		micros;

	if (sum->property.data == NULL)
		return Min(Max(e->dwell, 0), sum->limit);
	return EventPropertyMicros(e, sum->property, sum->limit, &micros) ? micros : 0;
}

bool
StreakDay(const Streak *streak, const Event *e, int32 *day)
{
	int32		monday,
				week;

	if (!EventLocalDay(e, streak->time_zone, day))
		return false;
	if (!streak->weekdays)
		return true;
	/* 2000-01-03, day 2, was a Monday */
	monday = *day - 2;
	week = monday >= 0 ? monday / 7 : -((6 - monday) / 7);
	if (monday - 7 * week >= 5)
		return false;
	*day = 5 * week + monday - 7 * week;
	return true;
}
