/*
 * sequence.c
 *	  The compiler of a rule's sequence: steps, absences, and the values that a chain has to remember for them.
 */
#include "moment/compile.h"

/* The slot of a value that chains are to remember */
int
SequenceRemember(RuleCompiler *c, int step, bool first, FieldRef *field, const char *path)
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
int
SequenceStepNamed(const Sequence *q, int n, const char *name, size_t len)
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
		AddRelation(relations, n, RELATION_EQ, field, SequenceRemember(c, 0, true, field, here));
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
			step = dot ? SequenceStepNamed(q, n, ref, dot - ref) : -1;
			if (step < 0)
				JsonDocError(c->doc, here, "\"<step>.<field>\" of an earlier step that has a name (\"as\")");
			other = FieldRefCompile(c->doc, dot + 1, here);
			if (!FieldRefIsProperty(field) && !FieldRefIsProperty(other) && FieldRefIsText(field) != FieldRefIsText(other))
				JsonDocError(c->doc, here, "a field of the same type");
			AddRelation(&q->steps[n].relations, &q->steps[n].nrelations, test, field, SequenceRemember(c, step, false, other, here));
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
	if (SequenceStepNamed(c->rule->sequence, n, s, len) >= 0)
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
	value = RuleRequired(doc, json, path, "when");
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
		step->optional = RuleBoolean(doc, value, JsonPath(doc, path, "optional"));
		if (step->optional && (n == 0 || last))
			JsonDocError(doc, JsonPath(doc, path, "optional"), "a first and a last step that are required");
	}
	if ((value = json_object_get(json, "contiguity")) != NULL)
	{
		int			k = 0;

		while (k < lengthof(contiguities) && !JsonIs(value, contiguities[k]))
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

void
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
	steps = RuleRequired(doc, json, "$.sequence", "steps");
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
		q->to_next = JsonIs(value, "to_next");
		if (!q->to_next && !JsonIs(value, "past_last"))
			JsonDocError(doc, "$.sequence.skip", "\"past_last\" or \"to_next\"");
	}
	c->rule->horizon = (single ? 0 : q->within) + q->wait;
}
