/*
 * arguments.c
 *	  What the aggregates' arguments mean.
 */
#include "analysis/analysis.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/*
 * Conditions are VARIADIC "any", checked here to be boolean, not VARIADIC boolean[]: an array would be built for every row,
 * which costs more than all else that a transition does. A call reads the same, and may still pass VARIADIC and an array.
 */
void
ConditionsInit(FunctionCallInfo fcinfo, int first, Conditions *conditions)
{
	conditions->first = first;
	conditions->n = PG_NARGS() - first;
	conditions->array = get_fn_expr_variadic(fcinfo->flinfo);
	if (conditions->array)
	{
		if (get_base_element_type(get_fn_expr_argtype(fcinfo->flinfo, first)) != BOOLOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the conditions must be an array of boolean")));
		return;
	}
	if (conditions->n < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no condition"),
				 errhint("Give one or more boolean expressions as the last arguments.")));
	if (conditions->n > ANALYSIS_MAX_CONDITIONS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_ARGUMENTS),
				 errmsg("there are %d conditions, more than %d", conditions->n, ANALYSIS_MAX_CONDITIONS)));
	for (int i = 0; i < conditions->n; i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, first + i);

		if (getBaseType(type) != BOOLOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("condition %d is of type %s, not boolean", i + 1, format_type_be(type)),
					 errhint("Write a comparison, such as kind = 'page_view'.")));
	}
}

/* Bit n: condition n + 1 holds. NULL does not hold. */
uint32
ConditionsRead(FunctionCallInfo fcinfo, Conditions *conditions)
{
	const NullableDatum *args = fcinfo->args + conditions->first;
	uint32		bits = 0;

	if (unlikely(conditions->array))
	{
		ArrayType  *array;
		Datum	   *values;
		bool	   *nulls;
		int			n;

		if (args[0].isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the array of conditions is NULL")));
		array = DatumGetArrayTypeP(args[0].value);
		deconstruct_array(array, BOOLOID, 1, true, TYPALIGN_CHAR, &values, &nulls, &n);
		if (n < 1 || n > ANALYSIS_MAX_CONDITIONS)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("there are %d conditions, not 1 to %d", n, ANALYSIS_MAX_CONDITIONS)));
		for (int i = 0; i < n; i++)
			bits |= (uint32) (!nulls[i] && DatumGetBool(values[i])) << i;
		conditions->n = n;
		return bits;
	}
	for (int i = 0; i < conditions->n; i++)
		bits |= (uint32) (!args[i].isnull && DatumGetBool(args[i].value)) << i;
	return bits;
}

/* Microseconds of an interval, a day counting 24 hours; false if it has months, or too many days. */
static inline bool
FixedUsecs(const Interval *interval, int64 *usecs)
{
	int64		days;

	*usecs = interval->time;
	if (likely(interval->month == 0 && interval->day == 0))
		return true;
	if (interval->month != 0)
		return false;
	/* a longer time than there is: no two times lie so far apart */
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &days) || pg_add_s64_overflow(*usecs, days, usecs))
		*usecs = interval->day < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return true;
}

/* A setting that is a length of time, in microseconds. what names it in errors. */
int64
DurationArg(FunctionCallInfo fcinfo, int argno, const char *what)
{
	int64		usecs;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the %s is NULL", what)));
	if (!FixedUsecs(PG_GETARG_INTERVAL_P(argno), &usecs))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s has no fixed length", what),
				 errhint("Months and years differ in length: give it in days, hours, minutes or seconds.")));
	if (usecs < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s is negative", what)));
	return usecs;
}

/* A row's interval, in microseconds, as comparisons of intervals see it: a month has 30 days. NULL is nothing. */
int64
DwellArg(FunctionCallInfo fcinfo, int argno)
{
	const Interval *interval;
	int64		usecs;

	if (PG_ARGISNULL(argno))
		return 0;
	interval = PG_GETARG_INTERVAL_P(argno);
	if (pg_mul_s64_overflow((int64) interval->month * DAYS_PER_MONTH + interval->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, interval->time, &usecs))
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("interval out of range")));
	return usecs;
}

static void
PatternContext(void *position)
{
	errcontext("sequence pattern, character %d", *(int *) position);
}

/* A SequenceDuration. An interval that cannot be read at all is an error of its own, with the position as its context. */
bool
DurationFromText(const char *text, int len, int position, int64 *usecs)
{
	ErrorContextCallback context = {error_context_stack, PatternContext, &position};
	Datum		interval;

	error_context_stack = &context;
	interval = DirectFunctionCall3(interval_in, CStringGetDatum(pnstrdup(text, len)), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	error_context_stack = context.previous;
	return FixedUsecs(DatumGetIntervalP(interval), usecs) && *usecs >= 0;
}

/* The flags of a list of funnel modes. */
int
FunnelModesArg(ArrayType *names)
{
	static const struct
	{
		const char *name;
		int			mode;
	}			known[] = {
		{"strict_order", FUNNEL_STRICT_ORDER},
		{"strict_dedup", FUNNEL_STRICT_DEDUP},
		{"strict_increase", FUNNEL_STRICT_INCREASE},
		{"once", FUNNEL_ONCE},
		{"allow_reentry", FUNNEL_ALLOW_REENTRY}
	};
	Datum	   *values;
	bool	   *nulls;
	int			n,
				modes = 0;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(values[i]);
		int			found = 0;

		for (int k = 0; k < lengthof(known) && name != NULL; k++)
			found |= strcmp(name, known[k].name) == 0 ? known[k].mode : 0;
		if (found == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 name == NULL ? errmsg("a funnel mode is NULL") : errmsg("unknown funnel mode \"%s\"", name),
					 errhint("Modes are strict_order, strict_dedup, strict_increase, once and allow_reentry.")));
		modes |= found;
	}
	if ((modes & FUNNEL_ALLOW_REENTRY) && !(modes & FUNNEL_STRICT_ORDER))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("funnel mode \"allow_reentry\" without \"strict_order\""),
				 errdetail("Only strict_order ends a chain when it comes back to step 1."),
				 errhint("Add strict_order, or leave out allow_reentry.")));
	return modes;
}

#define TextIs(t, word) \
	(VARSIZE_ANY_EXHDR(t) == sizeof(word) - 1 && memcmp(VARDATA_ANY(t), word, sizeof(word) - 1) == 0)

/* The flags of next_node's first two arguments. */
int
NodeModesArg(text *direction, text *base)
{
	int			modes = 0;

	if (TextIs(direction, "backward"))
		modes = NODE_BACKWARD;
	else if (!TextIs(direction, "forward"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown direction \"%s\"", text_to_cstring(direction)),
				 errhint("It is forward or backward.")));
	if (TextIs(base, "head"))
		return modes | NODE_HEAD;
	if (TextIs(base, "tail"))
		return modes | NODE_TAIL;
	if (TextIs(base, "first_match"))
		return modes | NODE_FIRST_MATCH;
	if (TextIs(base, "last_match"))
		return modes | NODE_LAST_MATCH;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown base \"%s\"", text_to_cstring(base)),
			 errhint("It is head, tail, first_match or last_match.")));
	return 0;
}
