/*
 * explain.c
 *	  A rule in a plain sentence, and its compiled states: read from the document, once the compiler has accepted it.
 */
#include "moment/rule.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

static void DescribeCondition(StringInfo out, const json_t *json);

/* A string or number as it stands in the document */
static void
Value(StringInfo out, const json_t *json)
{
	if (json_is_string(json))
		appendStringInfoString(out, pg_any_to_server(json_string_value(json), json_string_length(json), PG_UTF8));
	else if (json_is_integer(json))
		appendStringInfo(out, INT64_FORMAT, (int64) json_integer_value(json));
	else if (json_is_real(json))
		appendStringInfo(out, "%g", json_real_value(json));
	else if (json_is_boolean(json))
		appendStringInfoString(out, json_is_true(json) ? "true" : "false");
}

static void
ValueOf(StringInfo out, const json_t *json, const char *key)
{
	Value(out, json_object_get(json, key));
}

static void
Values(StringInfo out, const json_t *json)
{
	for (size_t i = 0; i < json_array_size(json); i++)
	{
		if (i > 0)
			appendStringInfoString(out, i + 1 == json_array_size(json) ? " or " : ", ");
		Value(out, json_array_get(json, i));
	}
}

static void
DescribeLocalTime(StringInfo out, const json_t *json)
{
	json_t	   *days = json_object_get(json, "days");

	if (json_object_get(json, "from") != NULL)
	{
		appendStringInfoString(out, "it is ");
		ValueOf(out, json, "from");
		appendStringInfoString(out, " to ");
		ValueOf(out, json, "to");
	}
	if (days != NULL)
	{
		appendStringInfoString(out, json_object_get(json, "from") != NULL ? " on " : "it is ");
		Values(out, days);
	}
	if (json_object_get(json, "time_zone") != NULL)
	{
		appendStringInfoString(out, " in ");
		ValueOf(out, json, "time_zone");
	}
	else
		appendStringInfoString(out, " local time");
}

/* One test of a field */
static void
DescribeTest(StringInfo out, const char *field, const char *op, const json_t *value)
{
	static const char *const words[][2] = {
		{"eq", "is"}, {"ne", "is not"}, {"like", "is like"}, {"prefix", "begins with"}, {"gt", "is over"}, {"gte", "is at least"},
		{"lt", "is under"}, {"lte", "is at most"}
	};

	appendStringInfo(out, "%s ", field);
	if (strcmp(op, "exists") == 0)
		appendStringInfoString(out, json_is_true(value) ? "is there" : "is missing");
	else if (strcmp(op, "in") == 0)
	{
		appendStringInfoString(out, "is ");
		Values(out, value);
	}
	else
		for (int i = 0; i < lengthof(words); i++)
			if (strcmp(words[i][0], op) == 0)
			{
				appendStringInfo(out, "%s ", words[i][1]);
				Value(out, value);
			}
}

static void
DescribeField(StringInfo out, const char *key, const json_t *json)
{
	const char *field = pg_any_to_server(key, strlen(key), PG_UTF8);
	const char *op;
	json_t	   *value;
	bool		first = true;

	if (strcmp(key, "local_time") == 0)
		DescribeLocalTime(out, json);
	else if (json_is_array(json))
		DescribeTest(out, field, "in", json);
	else if (!json_is_object(json))
		DescribeTest(out, field, "eq", json);
	else
	{
		json_object_foreach((json_t *) json, op, value)
		{
			if (!first)
				appendStringInfoString(out, " and ");
			first = false;
			DescribeTest(out, field, op, value);
		}
	}
}

static void
DescribeList(StringInfo out, const json_t *json, const char *word)
{
	bool		many = json_array_size(json) > 1;

	appendStringInfoString(out, many ? "(" : "");
	for (size_t i = 0; i < json_array_size(json); i++)
	{
		if (i > 0)
			appendStringInfo(out, " %s ", word);
		DescribeCondition(out, json_array_get(json, i));
	}
	appendStringInfoString(out, many ? ")" : "");
}

static void
DescribeCondition(StringInfo out, const json_t *json)
{
	const char *key;
	json_t	   *value;
	bool		first = true;

	json_object_foreach((json_t *) json, key, value)
	{
		if (!first)
			appendStringInfoString(out, " and ");
		first = false;
		if (strcmp(key, "all") == 0)
			DescribeList(out, value, "and");
		else if (strcmp(key, "any") == 0)
			DescribeList(out, value, "or");
		else if (strcmp(key, "not") == 0)
		{
			appendStringInfoString(out, "not (");
			DescribeCondition(out, value);
			appendStringInfoChar(out, ')');
		}
		else
			DescribeField(out, key, value);
	}
	if (first)
		appendStringInfoString(out, "anything");
}

/* " where ...", of the rule's `when` and local_time */
static void
DescribeRelevant(StringInfo out, const json_t *root)
{
	json_t	   *when = json_object_get(root, "when");
	json_t	   *time = json_object_get(root, "local_time");

	if (json_object_size(when) == 0 && time == NULL)
		return;
	appendStringInfoString(out, " where ");
	if (json_object_size(when) > 0)
		DescribeCondition(out, when);
	if (time != NULL)
	{
		appendStringInfoString(out, json_object_size(when) > 0 ? " and " : "");
		DescribeLocalTime(out, time);
	}
}

static void
DescribeMeasure(StringInfo out, const json_t *json, MeasureKind kind)
{
	appendStringInfoString(out, "at least ");
	ValueOf(out, json, "at_least");
	if (kind != MEASURE_COUNT)
	{
		appendStringInfoString(out, kind == MEASURE_SUM ? " of " : " different values of ");
		ValueOf(out, json, "of");
	}
	appendStringInfoString(out, kind == MEASURE_COUNT ? " events" : " in all");
	if (json_object_get(json, "within") != NULL)
	{
		appendStringInfoString(out, " within ");
		ValueOf(out, json, "within");
	}
	if (json_object_get(json, "session") != NULL)
	{
		appendStringInfoString(out, " in one session (no pause of ");
		ValueOf(out, json, "session");
		appendStringInfoChar(out, ')');
	}
}

static void
DescribeStreak(StringInfo out, const json_t *json)
{
	json_t	   *each = json_object_get(json, "each");
	json_t	   *need;

	ValueOf(out, json, "days");
	appendStringInfoString(out, json_is_true(json_object_get(json, "weekdays")) ? " weekdays in a row, each with " : " days in a row, each with ");
	if ((need = json_object_get(each, "sum")) != NULL || (need = json_object_get(each, "max")) != NULL)
	{
		appendStringInfoString(out, "at least ");
		ValueOf(out, need, "at_least");
		appendStringInfoString(out, " of ");
		ValueOf(out, need, "of");
		appendStringInfoString(out, json_object_get(each, "sum") != NULL ? " in all, of events" : " in one event");
	}
	else if ((need = json_object_get(each, "count")) != NULL)
	{
		appendStringInfoString(out, "at least ");
		Value(out, need);
		appendStringInfoString(out, " events");
	}
	else
		appendStringInfoString(out, "an event");
}

static void
DescribeTimes(StringInfo out, const json_t *times)
{
	if (times == NULL || (json_is_integer(times) && json_integer_value(times) == 1))
		appendStringInfoString(out, "an event");
	else if (json_is_integer(times))
		appendStringInfo(out, INT64_FORMAT " events", (int64) json_integer_value(times));
	else
	{
		json_t	   *least = json_object_get(times, "at_least");
		json_t	   *most = json_object_get(times, "at_most");

		appendStringInfo(out, INT64_FORMAT " or more events", least ? (int64) json_integer_value(least) : 1);
		if (most != NULL)
			appendStringInfo(out, " (at most " INT64_FORMAT ")", (int64) json_integer_value(most));
	}
}

/* ", with the same object as the first" */
static void
DescribeSame(StringInfo out, const json_t *step)
{
	json_t	   *same = json_object_get(step, "same");

	for (size_t i = 0; i < json_array_size(same); i++)
	{
		appendStringInfoString(out, i == 0 ? ", with the same " : " and ");
		Value(out, json_array_get(same, i));
	}
	appendStringInfoString(out, same != NULL ? " as the first" : "");
}

/* What a step takes: "3 events "follow_up" where ..." */
static void
DescribeStep(StringInfo out, const json_t *step)
{
	json_t	   *value;
	const char *key,
			   *op;
	json_t	   *ops,
			   *ref;

	DescribeTimes(out, json_object_get(step, "times"));
	if ((value = json_object_get(step, "as")) != NULL)
	{
		appendStringInfoString(out, " \"");
		Value(out, value);
		appendStringInfoChar(out, '"');
	}
	appendStringInfoString(out, " where ");
	DescribeCondition(out, json_object_get(step, "when"));
	DescribeSame(out, step);
	if ((value = json_object_get(step, "where")) != NULL)
	{
		json_object_foreach(value, key, ops)
		{
			json_object_foreach(ops, op, ref)
			{
				appendStringInfoString(out, ", ");
				DescribeTest(out, pg_any_to_server(key, strlen(key), PG_UTF8), op, ref);
			}
		}
	}
	if ((value = json_object_get(step, "gap")) != NULL)
	{
		json_t	   *least = json_object_get(value, "at_least");
		json_t	   *most = json_is_object(value) ? json_object_get(value, "at_most") : value;

		if (least != NULL)
		{
			appendStringInfoString(out, ", at least ");
			Value(out, least);
		}
		if (most != NULL)
		{
			appendStringInfoString(out, least != NULL ? " and at most " : ", at most ");
			Value(out, most);
		}
		appendStringInfoString(out, " after the one before");
	}
}

static void
DescribeSequence(StringInfo out, const json_t *json)
{
	json_t	   *steps = json_object_get(json, "steps");

	for (size_t i = 0; i < json_array_size(steps); i++)
	{
		json_t	   *step = json_array_get(steps, i);
		json_t	   *absent = json_object_get(step, "absent");
		json_t	   *contiguity = json_object_get(step, "contiguity");

		if (absent != NULL)
		{
			appendStringInfoString(out, ", and then no event where ");
			DescribeCondition(out, absent);
			DescribeSame(out, step);
			if (json_object_get(step, "for") != NULL)
			{
				appendStringInfoString(out, " for ");
				ValueOf(out, step, "for");
			}
			continue;
		}
		if (i > 0)
			appendStringInfoString(out, json_object_get(json_array_get(steps, i - 1), "absent") != NULL ? " until " :
								   contiguity != NULL && strcmp(json_string_value(contiguity), "strict") == 0 ? ", then directly " : ", then ");
		if (json_is_true(json_object_get(step, "optional")))
			appendStringInfoString(out, "perhaps ");
		DescribeStep(out, step);
	}
	if (json_object_get(json, "within") != NULL)
	{
		appendStringInfoString(out, ", all within ");
		ValueOf(out, json, "within");
	}
	if (json_object_get(json, "until") != NULL)
	{
		appendStringInfoString(out, ", unless an event where ");
		DescribeCondition(out, json_object_get(json, "until"));
		appendStringInfoString(out, " ends it");
	}
}

static void
DescribeEffects(StringInfo out, const json_t *root)
{
	json_t	   *value;

	if ((value = json_object_get(root, "cooldown")) != NULL)
	{
		appendStringInfoString(out, ", at most once in ");
		Value(out, value);
	}
	if ((value = json_object_get(root, "once")) != NULL)
	{
		if (json_is_string(value))
			appendStringInfoString(out, ", once for as long as it goes on");
		else
		{
			appendStringInfoString(out, ", and not again until an event where ");
			DescribeCondition(out, json_object_get(value, "until"));
		}
	}
	if ((value = json_object_get(root, "strength")) != NULL)
	{
		appendStringInfoString(out, ", of strength ");
		Value(out, value);
	}
	if ((value = json_object_get(root, "playbook")) != NULL)
	{
		appendStringInfoString(out, "; it makes a card of playbook ");
		Value(out, value);
	}
	if ((value = json_object_get(root, "tell")) != NULL)
	{
		appendStringInfoString(out, ", and tells ");
		for (size_t i = 0; i < json_array_size(value); i++)
		{
			appendStringInfoString(out, i > 0 ? " and " : "");
			Value(out, json_array_get(value, i));
		}
		appendStringInfoString(out, " at once");
	}
	if ((value = json_object_get(root, "intent")) != NULL)
	{
		appendStringInfoString(out, "; it adds ");
		ValueOf(out, value, "weight");
		appendStringInfoString(out, " to intent ");
		ValueOf(out, value, "intent");
	}
}

static char *
Sentence(const MomentRule *rule, const json_t *root)
{
	static const char *const measures[RULE_MAX_MEASURES] = {"count", "sum", "distinct"};
	StringInfoData out;
	bool		first = true;

	initStringInfo(&out);
	appendStringInfo(&out, "A moment of %s %s: ", rule->per == SUBJECT_ACCOUNT || rule->per == SUBJECT_OPPORTUNITY ? "an" : "a",
					 SubjectKindName(rule->per));
	switch (rule->pattern)
	{
		case PATTERN_EACH:
			appendStringInfoString(&out, "each event");
			DescribeRelevant(&out, root);
			break;
		case PATTERN_WINDOW:
			for (int i = 0; i < RULE_MAX_MEASURES; i++)
				if (json_object_get(root, measures[i]) != NULL)
				{
					appendStringInfoString(&out, first ? "" : " and ");
					first = false;
					DescribeMeasure(&out, json_object_get(root, measures[i]), i);
				}
			if (rule->when != NULL && json_object_size(json_object_get(root, "when")) > 0)
				appendStringInfoString(&out, ", of events");
			DescribeRelevant(&out, root);
			break;
		case PATTERN_STREAK:
			DescribeStreak(&out, json_object_get(root, "streak"));
			DescribeRelevant(&out, root);
			break;
		case PATTERN_SEQUENCE:
			DescribeSequence(&out, json_object_get(root, "sequence"));
			if (json_object_size(json_object_get(root, "when")) > 0 || rule->local_time != NULL)
			{
				appendStringInfoString(&out, "; of all events only those");
				DescribeRelevant(&out, root);
			}
			break;
	}
	DescribeEffects(&out, root);
	appendStringInfoChar(&out, '.');
	return out.data;
}

/* Microseconds in words, whatever intervalstyle is */
static char *
Span(int64 micros)
{
	static const struct
	{
		int64		micros;
		const char *name;
	}			units[] = {{USECS_PER_DAY, "day"}, {USECS_PER_HOUR, "hour"}, {USECS_PER_MINUTE, "minute"}};
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < lengthof(units); micros %= units[i++].micros)
		if (micros >= units[i].micros)
			appendStringInfo(&out, "%s" INT64_FORMAT " %s%s", out.len > 0 ? " " : "", micros / units[i].micros, units[i].name,
							 micros / units[i].micros == 1 ? "" : "s");
	if (micros > 0)
		appendStringInfo(&out, "%s%g seconds", out.len > 0 ? " " : "", micros / 1e6);
	return out.data;
}

static const char *
StepName(const Sequence *q, int i)
{
	return q->steps[i].name != NULL ? psprintf("step %d \"%s\"", i + 1, q->steps[i].name) : psprintf("step %d", i + 1);
}

/* The compiled states, a line each */
static List *
States(const MomentRule *rule)
{
	List	   *lines = NIL;
	const Sequence *q = rule->sequence;

	for (int i = 0; i < rule->nmeasures; i++)
	{
		const Measure *m = &rule->measures[i];

		if (m->kind == MEASURE_SUM)
			lines = lappend(lines, psprintf("window %d: the newest events that add up to %s; complete when they do", i + 1,
											m->sum.property.data == NULL ? Span(m->at_least) : psprintf("%g", m->at_least / 1e6)));
		else
			lines = lappend(lines, psprintf(m->kind == MEASURE_COUNT ? "window %d: the newest " INT64_FORMAT " events; complete when they are there" :
											"window %d: the newest event of each of the newest " INT64_FORMAT " values; complete when they are there",
											i + 1, m->at_least));
	}
	if (rule->pattern == PATTERN_STREAK)
		lines = lappend(lines, psprintf("days: of each of the last %d, the events that gave it what it needs; complete when each has it", rule->streak.days));
	for (int i = 0; q != NULL && i < q->n; i++)
	{
		const SequenceStep *s = &q->steps[i];
		StringInfoData out;
		bool		last = i == q->n - 1;

		initStringInfo(&out);
		if (i == 0)
			lines = lappend(lines, psprintf("state 0: begins with %s", StepName(q, 0)));
		appendStringInfo(&out, "state %d: has %s", i + 1, StepName(q, i));
		if (s->max > 1)
			appendStringInfo(&out, s->max == s->min ? " (%d times)" : " (%d to %d times)", s->min, s->max);
		if (last && q->wait > 0)
			appendStringInfo(&out, "; complete when the time has passed without the event");
		else if (last)
			appendStringInfo(&out, "; complete");
		else
		{
			appendStringInfoString(&out, "; goes on with ");
			for (int t = i + 1; t < q->n; t++)
			{
				appendStringInfo(&out, "%s%s%s", t > i + 1 ? " or " : "", StepName(q, t),
								 q->steps[t].contiguity == CONTIGUITY_STRICT ? " (the very next event)" :
								 q->steps[t].contiguity == CONTIGUITY_ANY ? " (any event that fits)" : "");
				if (!q->steps[t].optional)
					break;
			}
			if (s->absent != NULL)
				appendStringInfoString(&out, ", unless the absent event comes first");
		}
		lines = lappend(lines, out.data);
	}
	if (rule->pattern == PATTERN_EACH)
		lines = lappend(lines, "no state but the last moment");
	lines = lappend(lines, psprintf("looks back %s%s; a moment %s", rule->horizon == 0 ? "not at all" : Span(rule->horizon),
									rule->once != ONCE_NOT ? ", and to the last moment" : "",
									rule->retains ? "leaves its events to later ones" : "spends the events up to it"));
	return lines;
}

PG_FUNCTION_INFO_V1(revops_explain_rule);

/* explain_rule(definition json) -> setof text: a sentence, then the compiled states */
Datum
revops_explain_rule(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *definition = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MomentRule *rule = MomentRuleCompile("new rule", 0, definition, DT_NOBEGIN, DT_NOEND);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "revops rule document", ALLOCSET_SMALL_SIZES);
	MemoryContext old;
	List	   *lines;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	old = MemoryContextSwitchTo(scratch);
	lines = lcons(Sentence(rule, JsonDocOpen("rule", definition)->root), States(rule));
	foreach(lc, lines)
	{
		Datum		value = CStringGetTextDatum((char *) lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return (Datum) 0;
}
