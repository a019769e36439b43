/*
 * rule.c
 *	  Moment rules: from their JSON document to what the engine steps. docs/moments.md has the language.
 *
 * A compiled rule lives in one memory context, and points at nothing of the document that it came from. What a strength formula
 * and the relations between steps need of past events is resolved here to slots (ChainRef), so that a chain carries a few values
 * instead of events.
 */
#include "moment/rule.h"

#include <math.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct RuleCompiler
{
	const JsonDoc *doc;
	MomentRule *rule;
} RuleCompiler;

/* A key of an object that must be there. */
static json_t *
Required(const JsonDoc *doc, const json_t *json, const char *path, const char *key)
{
	json_t	   *value = json_object_get(json, key);

	if (value == NULL)
		JsonDocError(doc, path, psprintf("an object with \"%s\"", key));
	return value;
}

static bool
IsString(const json_t *json, const char *s)
{
	return json_is_string(json) && strcmp(json_string_value(json), s) == 0;
}

static bool
BooleanValue(const JsonDoc *doc, const json_t *json, const char *path)
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
	const char *of = json_string_value(Required(doc, json, path, "of"));
	json_t	   *at_least = Required(doc, json, path, "at_least");
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
		m->at_least = JsonInteger(doc, Required(doc, json, path, "at_least"), JsonPath(doc, path, "at_least"),
								  1, PATTERN_MAX_ENTRIES);
	if (kind == MEASURE_DISTINCT)
	{
		json_t	   *of = Required(doc, json, path, "of");
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
	s->days = JsonInteger(doc, Required(doc, json, "$.streak", "days"), "$.streak.days", 1, RULE_MAX_DAYS);
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
		s->weekdays = BooleanValue(doc, value, "$.streak.weekdays");
	if ((value = json_object_get(json, "time_zone")) != NULL)
		s->time_zone = JsonTimeZone(doc, value, "$.streak.time_zone");
	/* the zones of two events may be a day apart, each way */
	c->rule->horizon = (int64) ((s->weekdays ? s->days * 7 / 5 + 2 : s->days) + 6) * USECS_PER_DAY;
}

/* ---------- sequences ---------- */

/* The slot of a value that chains are to remember */
static int
Remember(RuleCompiler *c, int step, bool first, FieldRef *field, const char *path)
{
	Sequence   *q = c->rule->sequence;

	for (int i = 0; i < q->nrefs; i++)
		if (q->refs[i].step == step && q->refs[i].first == first && FieldRefEqual(q->refs[i].field, field))
			return i;
	if (q->nrefs == RULE_MAX_REFS)
		JsonDocError(c->doc, path, psprintf("at most %d values of other steps in a rule", RULE_MAX_REFS));
	q->refs[q->nrefs].step = step;
	q->refs[q->nrefs].first = first;
	q->refs[q->nrefs].field = field;
	return q->nrefs++;
}

/* The step of that name among the first n; -1: none */
static int
StepNamed(const Sequence *q, int n, const char *name, size_t len)
{
	for (int i = 0; i < n; i++)
		if (q->steps[i].name != NULL && strlen(q->steps[i].name) == len && strncmp(q->steps[i].name, name, len) == 0)
			return i;
	return -1;
}

static void
AddRelation(StepRelation **relations, int *n, RelationTest test, FieldRef *field, int ref)
{
	StepRelation *r;

	*relations = *n > 0 ? repalloc(*relations, (*n + 1) * sizeof(StepRelation)) : palloc(sizeof(StepRelation));
	r = &(*relations)[(*n)++];
	r->test = test;
	r->field = field;
	r->ref = ref;
}

/* "same": ["object"]: equal to those of the chain's first event */
static void
CompileSame(RuleCompiler *c, const json_t *json, const char *path, StepRelation **relations, int *n)
{
	if (!json_is_array(json) || json_array_size(json) == 0 || json_array_size(json) > 8)
		JsonDocError(c->doc, path, "an array of 1 to 8 fields, such as [\"object\"]");
	for (size_t i = 0; i < json_array_size(json); i++)
	{
		const char *name = json_string_value(json_array_get(json, i));
		const char *here = JsonPathAt(c->doc, path, i);
		FieldRef   *field;

		if (name == NULL)
			JsonDocError(c->doc, here, "the name of a field");
		field = FieldRefCompile(c->doc, name, here);
		AddRelation(relations, n, RELATION_EQ, field, Remember(c, 0, true, field, here));
	}
}

/* "where": {"dwell": {"gt": "first.dwell"}} */
static void
CompileWhere(RuleCompiler *c, int n, const json_t *json, const char *path)
{
	static const char *const tests[] = {"eq", "ne", "gt", "gte", "lt", "lte"};
	Sequence   *q = c->rule->sequence;
	const char *key,
			   *op;
	json_t	   *ops,
			   *value;

	if (!json_is_object(json) || json_object_size(json) == 0)
		JsonDocError(c->doc, path, "an object such as {\"dwell\": {\"gt\": \"first.dwell\"}}");
	json_object_foreach((json_t *) json, key, ops)
	{
		const char *at = JsonPath(c->doc, path, key);
		FieldRef   *field = FieldRefCompile(c->doc, key, at);

		if (!json_is_object(ops) || json_object_size(ops) == 0)
			JsonDocError(c->doc, at, "an object such as {\"eq\": \"first.object\"}");
		json_object_foreach(ops, op, value)
		{
			const char *here = JsonPath(c->doc, at, op);
			const char *ref = json_string_value(value);
			const char *dot = ref ? strchr(ref, '.') : NULL;
			FieldRef   *other;
			int			test = 0;
			int			step;

			while (test < lengthof(tests) && strcmp(tests[test], op) != 0)
				test++;
			if (test == lengthof(tests) || (test > RELATION_NE && FieldRefIsText(field)))
				JsonDocKeyError(c->doc, at, op, FieldRefIsText(field) ? "eq, ne" : "eq, ne, gt, gte, lt, lte");
			step = dot ? StepNamed(q, n, ref, dot - ref) : -1;
			if (step < 0)
				JsonDocError(c->doc, here, "\"<step>.<field>\" of an earlier step that has a name (\"as\")");
			other = FieldRefCompile(c->doc, dot + 1, here);
			if (!FieldRefIsProperty(field) && !FieldRefIsProperty(other) && FieldRefIsText(field) != FieldRefIsText(other))
				JsonDocError(c->doc, here, "a field of the same type");
			AddRelation(&q->steps[n].relations, &q->steps[n].nrelations, test, field, Remember(c, step, false, other, here));
		}
	}
}

static void
CompileTimes(const JsonDoc *doc, SequenceStep *step, const json_t *json, const char *path)
{
	static const char *const keys[] = {"at_least", "at_most", NULL};
	json_t	   *value;

	if (!json_is_object(json))
	{
		step->min = step->max = JsonInteger(doc, json, path, 1, RULE_MAX_TIMES);
		return;
	}
	JsonKeys(doc, json, path, keys);
	step->min = 1;
	step->max = RULE_MAX_TIMES;
	if ((value = json_object_get(json, "at_least")) != NULL)
		step->min = JsonInteger(doc, value, JsonPath(doc, path, "at_least"), 1, RULE_MAX_TIMES);
	if ((value = json_object_get(json, "at_most")) != NULL)
		step->max = JsonInteger(doc, value, JsonPath(doc, path, "at_most"), step->min, RULE_MAX_TIMES);
}

/* "1 hour" at most, or {"at_least": ..., "at_most": ...} */
static void
CompileGap(const JsonDoc *doc, SequenceStep *step, const json_t *json, const char *path)
{
	static const char *const keys[] = {"at_least", "at_most", NULL};
	json_t	   *value;

	if (!json_is_object(json))
	{
		step->gap = JsonDuration(doc, json, path);
		return;
	}
	JsonKeys(doc, json, path, keys);
	if (json_object_size(json) == 0)
		JsonDocError(doc, path, "\"at_least\", \"at_most\" or both");
	if ((value = json_object_get(json, "at_least")) != NULL)
		step->least_gap = JsonDuration(doc, value, JsonPath(doc, path, "at_least"));
	if ((value = json_object_get(json, "at_most")) != NULL)
	{
		step->gap = JsonDuration(doc, value, JsonPath(doc, path, "at_most"));
		if (step->gap < step->least_gap)
			JsonDocError(doc, JsonPath(doc, path, "at_most"), "a duration that is not below \"at_least\"");
	}
}

/* A name that relations and formulas can use */
static char *
CompileName(RuleCompiler *c, int n, const json_t *json, const char *path)
{
	const char *s = json_string_value(json);
	size_t		len = s ? strlen(s) : 0;
	static const char *const taken[] = {"count", "sum", "distinct", "days", "span", "dwell", "properties"};

	if (len == 0 || len > 63 || strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != len || (s[0] >= '0' && s[0] <= '9'))
		JsonDocError(c->doc, path, "a name of letters, digits and _");
	for (int i = 0; i < lengthof(taken); i++)
		if (strcmp(s, taken[i]) == 0)
			JsonDocError(c->doc, path, "a name that has no meaning of its own in formulas");
	if (StepNamed(c->rule->sequence, n, s, len) >= 0)
		JsonDocError(c->doc, path, "a name that no other step has");
	return pstrdup(s);
}

static void
CompileStep(RuleCompiler *c, const json_t *json, const char *path, bool last)
{
	static const char *const keys[] = {"as", "when", "times", "optional", "contiguity", "gap", "same", "where", NULL};
	static const char *const contiguities[] = {"relaxed", "strict", "any"};
	const JsonDoc *doc = c->doc;
	Sequence   *q = c->rule->sequence;
	int			n = q->n;
	SequenceStep *step = &q->steps[n];
	json_t	   *value;

	JsonKeys(doc, json, path, keys);
	if (n == RULE_MAX_STEPS)
		JsonDocError(doc, path, psprintf("at most %d steps", RULE_MAX_STEPS));
	if ((value = json_object_get(json, "as")) != NULL)
		step->name = CompileName(c, n, value, JsonPath(doc, path, "as"));
	value = Required(doc, json, path, "when");
	if (json_is_object(value) && json_object_size(value) == 0)
		JsonDocError(doc, JsonPath(doc, path, "when"), "at least one condition");
	step->when = PredicateCompile(doc, value, JsonPath(doc, path, "when"));
	step->min = step->max = 1;
	if ((value = json_object_get(json, "times")) != NULL)
	{
		CompileTimes(doc, step, value, JsonPath(doc, path, "times"));
		if (last && step->max > step->min)
			JsonDocError(doc, JsonPath(doc, path, "times"), "an exact number, since the last step is complete as soon as it has enough");
	}
	if ((value = json_object_get(json, "optional")) != NULL)
	{
		step->optional = BooleanValue(doc, value, JsonPath(doc, path, "optional"));
		if (step->optional && (n == 0 || last))
			JsonDocError(doc, JsonPath(doc, path, "optional"), "a first and a last step that are required");
	}
	if ((value = json_object_get(json, "contiguity")) != NULL)
	{
		int			k = 0;

		while (k < lengthof(contiguities) && !IsString(value, contiguities[k]))
			k++;
		if (k == lengthof(contiguities))
			JsonDocError(doc, JsonPath(doc, path, "contiguity"), "one of relaxed, strict, any");
		if (n == 0 && step->max == 1)
			JsonDocError(doc, JsonPath(doc, path, "contiguity"), "no contiguity in the first step, which nothing precedes");
		step->contiguity = k;
		q->strict |= k == CONTIGUITY_STRICT;
	}
	if ((value = json_object_get(json, "gap")) != NULL)
	{
		if (n == 0 && step->max == 1)
			JsonDocError(doc, JsonPath(doc, path, "gap"), "no gap in the first step, which nothing precedes");
		CompileGap(doc, step, value, JsonPath(doc, path, "gap"));
	}
	if ((value = json_object_get(json, "same")) != NULL)
	{
		if (n == 0 && step->max == 1)
			JsonDocError(doc, JsonPath(doc, path, "same"), "no relation in the first step, which nothing precedes");
		CompileSame(c, value, JsonPath(doc, path, "same"), &step->relations, &step->nrelations);
	}
	if ((value = json_object_get(json, "where")) != NULL)
	{
		if (n == 0)
			JsonDocError(doc, JsonPath(doc, path, "where"), "no relation in the first step, which nothing precedes");
		CompileWhere(c, n, value, JsonPath(doc, path, "where"));
	}
	q->n++;
}

/* {"absent": condition} or, at the end, {"absent": condition, "for": duration} */
static void
CompileAbsent(RuleCompiler *c, const json_t *json, const char *path, bool last)
{
	static const char *const keys[] = {"absent", "for", "same", NULL};
	const JsonDoc *doc = c->doc;
	Sequence   *q = c->rule->sequence;
	json_t	   *same = json_object_get(json, "same");
	json_t	   *absent = json_object_get(json, "absent");
	json_t	   *wait = json_object_get(json, "for");

	JsonKeys(doc, json, path, keys);
	if (q->n == 0)
		JsonDocError(doc, path, "a step before an absence");
	if (q->steps[q->n - 1].absent != NULL)
		JsonDocError(doc, path, "one absence between two steps (combine conditions with \"any\")");
	if (json_is_object(absent) && json_object_size(absent) == 0)
		JsonDocError(doc, JsonPath(doc, path, "absent"), "at least one condition");
	q->steps[q->n - 1].absent = PredicateCompile(doc, absent, JsonPath(doc, path, "absent"));
	if (same != NULL)
		CompileSame(c, same, JsonPath(doc, path, "same"), &q->steps[q->n - 1].absent_relations, &q->steps[q->n - 1].nabsent);
	if (last && wait == NULL)
		JsonDocError(doc, path, "\"for\", how long an absence at the end has to last");
	if (!last && wait != NULL)
		JsonDocError(doc, JsonPath(doc, path, "for"), "no \"for\" between two steps: the absence lasts from one to the other");
	if (wait != NULL)
		q->wait = JsonDuration(doc, wait, JsonPath(doc, path, "for"));
}

static void
CompileSequence(RuleCompiler *c, const json_t *json)
{
	static const char *const keys[] = {"steps", "within", "until", "skip", NULL};
	const JsonDoc *doc = c->doc;
	Sequence   *q = c->rule->sequence = palloc0(sizeof(Sequence));
	json_t	   *steps,
			   *value;
	size_t		n;
	bool		single;

	JsonKeys(doc, json, "$.sequence", keys);
	c->rule->pattern = PATTERN_SEQUENCE;
	steps = Required(doc, json, "$.sequence", "steps");
	n = json_array_size(steps);
	if (!json_is_array(steps) || n == 0 || n > 2 * RULE_MAX_STEPS)
		JsonDocError(doc, "$.sequence.steps", "an array of steps");
	for (size_t i = 0; i < n; i++)
	{
		json_t	   *step = json_array_get(steps, i);
		const char *path = JsonPathAt(doc, "$.sequence.steps", i);
		bool		last = i + 1 == n || (i + 2 == n && json_object_get(json_array_get(steps, i + 1), "absent") != NULL);

		if (json_object_get(step, "absent") != NULL)
			CompileAbsent(c, step, path, i + 1 == n);
		else
			CompileStep(c, step, path, last);
	}
	single = q->n == 1 && q->steps[0].max == 1;
	if (single && q->wait == 0)
		JsonDocError(doc, "$.sequence.steps", "two steps, or a step and an absence; one condition alone is \"when\"");
	if ((value = json_object_get(json, "within")) != NULL)
		q->within = JsonDuration(doc, value, "$.sequence.within");
	else if (single)
		q->within = 1;
	else
		JsonDocError(doc, "$.sequence", "an object with \"within\", the time from the first event to the last");
	if ((value = json_object_get(json, "until")) != NULL)
	{
		if (json_is_object(value) && json_object_size(value) == 0)
			JsonDocError(doc, "$.sequence.until", "at least one condition");
		q->until = PredicateCompile(doc, value, "$.sequence.until");
	}
	if ((value = json_object_get(json, "skip")) != NULL)
	{
		q->to_next = IsString(value, "to_next");
		if (!q->to_next && !IsString(value, "past_last"))
			JsonDocError(doc, "$.sequence.skip", "\"past_last\" or \"to_next\"");
	}
	c->rule->horizon = (single ? 0 : q->within) + q->wait;
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
		if (dot != NULL && StepNamed(rule->sequence, rule->sequence->n, name, dot - name) >= 0)
		{
			step = StepNamed(rule->sequence, rule->sequence->n, name, dot - name);
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

		return AddVariable(c, name, VARIABLE_REF, ref, Remember(c, step, false, ref, "$.strength"));
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
			if (!(IsString(json_array_get(value, i), "coach") || IsString(json_array_get(value, i), "director")) ||
				(i > 0 && json_equal(json_array_get(value, i), json_array_get(value, 0))))
				JsonDocError(doc, JsonPathAt(doc, "$.tell", i), "\"coach\" or \"director\", each once");
	}
	if ((value = json_object_get(root, "intent")) != NULL)
	{
		json_t	   *weight;

		JsonKeys(doc, value, "$.intent", intent_keys);
		(void) JsonString(doc, Required(doc, value, "$.intent", "intent"), "$.intent.intent", REVOPS_MAX_KEY, "the name of an intent");
		weight = Required(doc, value, "$.intent", "weight");
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

	if (IsString(json, "per_episode"))
	{
		if (rule->pattern != PATTERN_WINDOW && rule->pattern != PATTERN_STREAK)
			JsonDocError(c->doc, "$.once", "a rule with count, sum, distinct or streak, since only these go on for an episode; or {\"until\": condition}");
		rule->once = ONCE_PER_EPISODE;
		return;
	}
	if (!json_is_object(json))
		JsonDocError(c->doc, "$.once", "\"per_episode\" or {\"until\": condition}");
	JsonKeys(c->doc, json, "$.once", keys);
	until = Required(c->doc, json, "$.once", "until");
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

		while (kind < SUBJECT_KINDS && !IsString(value, SubjectKindName(kind)))
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
