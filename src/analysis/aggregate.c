/*
 * aggregate.c
 *	  SQL face of the aggregates: transitions, the merge of two states, results.
 */
#include "analysis/analysis.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(revops_event_buffer_merge);
PG_FUNCTION_INFO_V1(revops_window_funnel_add);
PG_FUNCTION_INFO_V1(revops_window_funnel_modes_add);
PG_FUNCTION_INFO_V1(revops_window_funnel_result);
PG_FUNCTION_INFO_V1(revops_sequence_add);
PG_FUNCTION_INFO_V1(revops_sequence_match_result);
PG_FUNCTION_INFO_V1(revops_sequence_count_result);
PG_FUNCTION_INFO_V1(revops_sessionize_add);
PG_FUNCTION_INFO_V1(revops_sessionize_result);
PG_FUNCTION_INFO_V1(revops_day_streak_add);
PG_FUNCTION_INFO_V1(revops_day_streak_zone_add);
PG_FUNCTION_INFO_V1(revops_day_streak_sum_add);
PG_FUNCTION_INFO_V1(revops_day_streak_zone_sum_add);
PG_FUNCTION_INFO_V1(revops_day_streak_result);
PG_FUNCTION_INFO_V1(revops_retention_add);
PG_FUNCTION_INFO_V1(revops_retention_merge);
PG_FUNCTION_INFO_V1(revops_retention_result);
PG_FUNCTION_INFO_V1(revops_next_node_add);
PG_FUNCTION_INFO_V1(revops_next_node_result);

/* What a function keeps from row to row, in fn_extra. */
typedef struct Call
{
	Conditions	conditions;
	struct varlena *modes_arg;	/* the array that modes were read from */
	int			modes;
	char	   *pattern_text;	/* and what it was parsed to */
	int			pattern_len;
	int			pattern_conditions;
	SequencePattern pattern;
	DayClock   *clock;
	Oid			session_type;
	TupleDesc	session_desc;
} Call;

/* The call's state; conditions, if it has any, begin at the argument first. */
static Call *
GetCall(FunctionCallInfo fcinfo, int first)
{
	Call	   *call = fcinfo->flinfo->fn_extra;

	if (unlikely(call == NULL))
	{
		call = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Call));
		if (first > 0)
			ConditionsInit(fcinfo, first, &call->conditions);
		fcinfo->flinfo->fn_extra = call;
	}
	return call;
}

pg_noreturn static void
SettingsDiffer(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the settings of an aggregate differ within one group"),
			 errhint("Windows, modes, patterns and the number of conditions must be the same for all rows of a group.")));
}

/* AggCheckCallContext() without the call, which is once a row. */
static inline bool
InAggregate(FunctionCallInfo fcinfo)
{
	return fcinfo->context != NULL && (IsA(fcinfo->context, AggState) || IsA(fcinfo->context, WindowAggState));
}

/* A state that may be changed: the aggregate's own, in place, or else a copy. NULL if there is none. */
static EventBuffer *
OwnState(FunctionCallInfo fcinfo, BufferKind kind)
{
	EventBuffer *b;

	if (PG_ARGISNULL(0))
		return NULL;
	b = (EventBuffer *) PG_GETARG_POINTER(0);
	if (unlikely(!InAggregate(fcinfo) || !VARATT_IS_4B_U(b)))
		b = (EventBuffer *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	if (unlikely(kind != 0 && b->kind != kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the state is that of another aggregate")));
	return b;
}

/* Groups are met in any order, so their states are seldom in the cache: fetch one while the arguments are read. */
#if defined(__GNUC__)
#define PrefetchState(fcinfo)	__builtin_prefetch(DatumGetPointer((fcinfo)->args[0].value), 1)
#else
#define PrefetchState(fcinfo)	((void) 0)
#endif

/* A transition that keeps nothing: the state as it is, not even looked at. */
static inline Datum
SameState(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return PG_GETARG_DATUM(0);
}

/* The sorted state of a result; NULL if no row was kept. */
static EventBuffer *
SortedState(FunctionCallInfo fcinfo, BufferKind kind)
{
	EventBuffer *b = OwnState(fcinfo, kind);

	if (b != NULL)
		BufferSort(b);
	return b;
}

/* event_buffer_merge(event_buffer, event_buffer): the combine function of all */
Datum
revops_event_buffer_merge(PG_FUNCTION_ARGS)
{
	EventBuffer *a,
			   *b;

	if (PG_ARGISNULL(1))
		return SameState(fcinfo);
	a = OwnState(fcinfo, 0);
	if (a == NULL)
		PG_RETURN_POINTER(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1)));
	b = (EventBuffer *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (!BufferSameSettings(a, b))
		SettingsDiffer();
	PG_RETURN_POINTER(BufferMerge(a, b));
}

/* ---------- funnel ---------- */

static Datum
FunnelAdd(FunctionCallInfo fcinfo, int ts, int first, int modes)
{
	Call	   *call;
	uint32		bits;
	int64		setting[3] = {0};
	EventBuffer *b;

	PrefetchState(fcinfo);
	call = GetCall(fcinfo, first);
	bits = ConditionsRead(fcinfo, &call->conditions);
	setting[0] = DurationArg(fcinfo, 1, "window");
	if (bits == 0 || PG_ARGISNULL(ts))
		return SameState(fcinfo);
	b = OwnState(fcinfo, BUFFER_FUNNEL);
	if (b != NULL && (b->setting[0] != setting[0] || b->modes != modes || b->nconditions != call->conditions.n))
		SettingsDiffer();
	if (b == NULL)
		b = BufferMake(BUFFER_FUNNEL, call->conditions.n, modes, setting, NULL, 0);
	PG_RETURN_POINTER(BufferAppend(b, PG_GETARG_TIMESTAMPTZ(ts), bits));
}

/* window_funnel_add(event_buffer, window interval, ts timestamptz, conditions) */
Datum
revops_window_funnel_add(PG_FUNCTION_ARGS)
{
	return FunnelAdd(fcinfo, 2, 3, 0);
}

/* window_funnel_add(event_buffer, window interval, modes text[], ts timestamptz, conditions) */
Datum
revops_window_funnel_modes_add(PG_FUNCTION_ARGS)
{
	Call	   *call = GetCall(fcinfo, 4);
	struct varlena *arg;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the list of funnel modes is NULL"),
				 errhint("Leave it out, or give an empty array, for a funnel without modes.")));
	arg = PG_DETOAST_DATUM(PG_GETARG_DATUM(2));
	if (call->modes_arg == NULL || VARSIZE(arg) != VARSIZE(call->modes_arg) || memcmp(arg, call->modes_arg, VARSIZE(arg)) != 0)
	{
		call->modes = FunnelModesArg((ArrayType *) arg);
		if (call->modes_arg != NULL)
			pfree(call->modes_arg);
		call->modes_arg = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, VARSIZE(arg));
		memcpy(call->modes_arg, arg, VARSIZE(arg));
	}
	return FunnelAdd(fcinfo, 3, 4, call->modes);
}

/* window_funnel_result(event_buffer): the furthest step */
Datum
revops_window_funnel_result(PG_FUNCTION_ARGS)
{
	EventBuffer *b = SortedState(fcinfo, BUFFER_FUNNEL);

	PG_RETURN_INT32(b == NULL ? 0 : FunnelLevel(BufferRows(b), b->nrows, b->nconditions, b->setting[0], b->modes));
}

/* ---------- sequences ---------- */

/* The parsed pattern, from the call's memory if it was the last one. */
static const SequencePattern *
GetPattern(FunctionCallInfo fcinfo, Call *call, const char *text, int len, int nconditions)
{
	SequenceError error;

	if (call->pattern_text != NULL && call->pattern_len == len && call->pattern_conditions == nconditions &&
		memcmp(call->pattern_text, text, len) == 0)
		return &call->pattern;
	if (call->pattern_text != NULL)
		pfree(call->pattern_text);
	call->pattern_text = NULL;
	if (len > ANALYSIS_MAX_PATTERN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the sequence pattern is longer than %d bytes", ANALYSIS_MAX_PATTERN)));
	if (!SequenceParse(text, len, nconditions, DurationFromText, &call->pattern, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sequence pattern, character %d: %s", error.position, error.message),
				 errdetail("The pattern is \"%.*s\".", len, text),
				 error.hint != NULL ? errhint("%s", error.hint) : 0));
	call->pattern_text = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, Max(len, 1));
	memcpy(call->pattern_text, text, len);
	call->pattern_len = len;
	call->pattern_conditions = nconditions;
	return &call->pattern;
}

/* sequence_add(event_buffer, pattern text, ts timestamptz, conditions) */
Datum
revops_sequence_add(PG_FUNCTION_ARGS)
{
	Call	   *call;
	uint32		bits;
	int64		setting[3] = {0};
	EventBuffer *b;
	text	   *pattern;
	int			len;

	PrefetchState(fcinfo);
	call = GetCall(fcinfo, 3);
	bits = ConditionsRead(fcinfo, &call->conditions);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the sequence pattern is NULL")));
	pattern = PG_GETARG_TEXT_PP(1);
	len = VARSIZE_ANY_EXHDR(pattern);
	(void) GetPattern(fcinfo, call, VARDATA_ANY(pattern), len, call->conditions.n);
	if (bits == 0 || PG_ARGISNULL(2))
		return SameState(fcinfo);
	b = OwnState(fcinfo, BUFFER_SEQUENCE);
	if (b != NULL && (b->pattern != len || b->nconditions != call->conditions.n || memcmp(BufferExtra(b), VARDATA_ANY(pattern), len) != 0))
		SettingsDiffer();
	if (b == NULL)
		b = BufferMake(BUFFER_SEQUENCE, call->conditions.n, 0, setting, VARDATA_ANY(pattern), len);
	PG_RETURN_POINTER(BufferAppend(b, PG_GETARG_TIMESTAMPTZ(2), bits));
}

static int64
SequenceResult(FunctionCallInfo fcinfo, bool first_only)
{
	EventBuffer *b = SortedState(fcinfo, BUFFER_SEQUENCE);

	if (b == NULL)
		return 0;
	return SequenceCount(GetPattern(fcinfo, GetCall(fcinfo, 0), BufferExtra(b), b->pattern, b->nconditions),
						 BufferRows(b), b->nrows, first_only);
}

/* sequence_match_result(event_buffer): is there a match? */
Datum
revops_sequence_match_result(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SequenceResult(fcinfo, true) > 0);
}

/* sequence_count_result(event_buffer): the number of matches that do not overlap */
Datum
revops_sequence_count_result(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(SequenceResult(fcinfo, false));
}

/* ---------- sessions ---------- */

/* sessionize_add(event_buffer, gap interval, ts timestamptz [, heartbeat boolean, ping interval, visit interval]) */
Datum
revops_sessionize_add(PG_FUNCTION_ARGS)
{
	bool		heartbeats = PG_NARGS() == 6;
	uint32		bits = heartbeats && !PG_ARGISNULL(3) && PG_GETARG_BOOL(3) ? SESSION_PING : 0;
	int64		setting[3] = {0};
	EventBuffer *b;

	PrefetchState(fcinfo);
	setting[0] = DurationArg(fcinfo, 1, "gap");
	if (heartbeats)
	{
		setting[1] = DurationArg(fcinfo, 4, "ping interval");
		setting[2] = DurationArg(fcinfo, 5, "minimum visit");
		if (setting[1] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the ping interval is zero")));
	}
	if (PG_ARGISNULL(2))
		return SameState(fcinfo);
	b = OwnState(fcinfo, BUFFER_SESSION);
	if (b != NULL && (b->setting[0] != setting[0] || b->setting[1] != setting[1] || b->setting[2] != setting[2]))
		SettingsDiffer();
	if (b == NULL)
		b = BufferMake(BUFFER_SESSION, 0, heartbeats ? SESSION_HEARTBEATS : 0, setting, NULL, 0);
	PG_RETURN_POINTER(BufferAppend(b, PG_GETARG_TIMESTAMPTZ(2), bits));
}

/* sessionize_result(event_buffer): the sessions in the order of time */
Datum
revops_sessionize_result(PG_FUNCTION_ARGS)
{
	EventBuffer *b = SortedState(fcinfo, BUFFER_SESSION);
	Call	   *call = GetCall(fcinfo, 0);
	VisitSession session;
	Datum	   *sessions;
	int			n = 0;

	if (call->session_desc == NULL)
	{
		TupleDesc	desc;
		MemoryContext old;

		call->session_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
		desc = lookup_rowtype_tupdesc(call->session_type, -1);
		old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		call->session_desc = BlessTupleDesc(CreateTupleDescCopy(desc));
		MemoryContextSwitchTo(old);
		ReleaseTupleDesc(desc);
	}
	if (b == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(call->session_type));
	for (int at = 0; at < b->nrows; n++)
		at = SessionNext(BufferRows(b), b->nrows, at, b, &session);
	sessions = palloc_extended(sizeof(Datum) * n, MCXT_ALLOC_HUGE);
	n = 0;
	for (int at = 0; at < b->nrows; n++)
	{
		Datum		values[4];
		bool		nulls[4] = {false};
		Interval	engaged = {0};

		if ((n & 0xfff) == 0xfff)
			CHECK_FOR_INTERRUPTS();
		at = SessionNext(BufferRows(b), b->nrows, at, b, &session);
		engaged.time = session.engaged;
		values[0] = TimestampTzGetDatum(session.started_at);
		values[1] = TimestampTzGetDatum(session.ended_at);
		values[2] = Int32GetDatum(session.events);
		values[3] = IntervalPGetDatum(&engaged);
		sessions[n] = HeapTupleGetDatum(heap_form_tuple(call->session_desc, values, nulls));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(sessions, n, call->session_type, -1, false, TYPALIGN_DOUBLE));
}

/* ---------- streaks ---------- */

/* zone and dwell are arguments, or -1; at_least is the one after dwell. */
static Datum
StreakAdd(FunctionCallInfo fcinfo, int zone, int dwell)
{
	Call	   *call;
	int64		setting[3] = {0};
	int			modes = dwell < 0 ? 0 : STREAK_SUMS;
	EventBuffer *b;
	int64		day;

	PrefetchState(fcinfo);
	call = GetCall(fcinfo, 0);
	if (dwell >= 0)
		setting[0] = DurationArg(fcinfo, dwell + 1, "minimum of a day");
	if (PG_ARGISNULL(1) || (zone >= 0 && PG_ARGISNULL(zone)))
		return SameState(fcinfo);
	if (call->clock == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		call->clock = DayClockMake();
		MemoryContextSwitchTo(old);
	}
	if (zone < 0)
		DayClockSetZone(call->clock, session_timezone);
	else
	{
		text	   *name = PG_GETARG_TEXT_PP(zone);

		if (!DayClockSetZoneName(call->clock, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time zone \"%s\" not recognized", text_to_cstring(name)),
					 errhint("Use a name of pg_timezone_names, such as 'Asia/Shanghai'.")));
	}
	if (!DayClockLocalDay(call->clock, PG_GETARG_TIMESTAMPTZ(1), &day))
		return SameState(fcinfo);
	b = OwnState(fcinfo, BUFFER_STREAK);
	if (b != NULL && (b->setting[0] != setting[0] || b->modes != modes))
		SettingsDiffer();
	if (b == NULL)
		b = BufferMake(BUFFER_STREAK, 0, modes, setting, NULL, 0);
	PG_RETURN_POINTER(BufferAddDay(b, day, dwell < 0 ? 0 : DwellArg(fcinfo, dwell)));
}

/* day_streak_add(event_buffer, ts timestamptz): days of the session's time zone */
Datum
revops_day_streak_add(PG_FUNCTION_ARGS)
{
	return StreakAdd(fcinfo, -1, -1);
}

/* day_streak_add(event_buffer, ts timestamptz, time_zone text) */
Datum
revops_day_streak_zone_add(PG_FUNCTION_ARGS)
{
	return StreakAdd(fcinfo, 2, -1);
}

/* day_streak_add(event_buffer, ts timestamptz, dwell interval, at_least interval) */
Datum
revops_day_streak_sum_add(PG_FUNCTION_ARGS)
{
	return StreakAdd(fcinfo, -1, 2);
}

/* day_streak_add(event_buffer, ts timestamptz, time_zone text, dwell interval, at_least interval) */
Datum
revops_day_streak_zone_sum_add(PG_FUNCTION_ARGS)
{
	return StreakAdd(fcinfo, 2, 3);
}

/* day_streak_result(event_buffer): days in the longest run */
Datum
revops_day_streak_result(PG_FUNCTION_ARGS)
{
	EventBuffer *b = SortedState(fcinfo, BUFFER_STREAK);

	PG_RETURN_INT32(b == NULL ? 0 : StreakLongest(BufferRows(b), b->nrows, (b->modes & STREAK_SUMS) != 0, b->setting[0]));
}

/* ---------- retention ---------- */

/* A state is an int8: the conditions that held in its low half, their number in its high half. */
#define RETENTION_COUNT(state)	((int) ((uint64) (state) >> 32))

/* retention_add(int8, conditions) */
Datum
revops_retention_add(PG_FUNCTION_ARGS)
{
	Call	   *call = GetCall(fcinfo, 1);
	uint32		bits = ConditionsRead(fcinfo, &call->conditions);
	int64		state = PG_ARGISNULL(0) ? (int64) call->conditions.n << 32 : PG_GETARG_INT64(0);

	if (RETENTION_COUNT(state) != call->conditions.n)
		SettingsDiffer();
	PG_RETURN_INT64(state | bits);
}

/* retention_merge(int8, int8) */
Datum
revops_retention_merge(PG_FUNCTION_ARGS)
{
	int64		a = PG_GETARG_INT64(0),
				b = PG_GETARG_INT64(1);

	if (RETENTION_COUNT(a) != RETENTION_COUNT(b))
		SettingsDiffer();
	PG_RETURN_INT64(a | b);
}

/* retention_result(int8): for each condition, whether it and the first one held */
Datum
revops_retention_result(PG_FUNCTION_ARGS)
{
	int64		state = PG_GETARG_INT64(0);
	Datum		values[ANALYSIS_MAX_CONDITIONS];
	int			n = Min((uint32) RETENTION_COUNT(state), ANALYSIS_MAX_CONDITIONS);

	for (int i = 0; i < n; i++)
		values[i] = BoolGetDatum((state & 1) && (state >> i & 1));
	PG_RETURN_ARRAYTYPE_P(construct_array(values, n, BOOLOID, 1, true, TYPALIGN_CHAR));
}

/* ---------- next node ---------- */

/* next_node_add(event_buffer, direction text, base text, ts timestamptz, node text, base_condition boolean, conditions) */
Datum
revops_next_node_add(PG_FUNCTION_ARGS)
{
	Call	   *call;
	uint32		bits;
	int64		setting[3] = {0};
	EventBuffer *b;
	text	   *node = NULL;
	int			modes;

	PrefetchState(fcinfo);
	call = GetCall(fcinfo, 6);
	bits = ConditionsRead(fcinfo, &call->conditions);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the direction or the base is NULL"),
				 errhint("The direction is forward or backward; the base is head, tail, first_match or last_match.")));
	modes = NodeModesArg(PG_GETARG_TEXT_PP(1), PG_GETARG_TEXT_PP(2));
	if (PG_ARGISNULL(3))
		return SameState(fcinfo);
	b = OwnState(fcinfo, BUFFER_NODE);
	if (b != NULL && (b->modes != modes || b->nconditions != call->conditions.n))
		SettingsDiffer();
	if (b == NULL)
		b = BufferMake(BUFFER_NODE, call->conditions.n, modes, setting, NULL, 0);
	if (!PG_ARGISNULL(4))
		node = PG_GETARG_TEXT_PP(4);
	PG_RETURN_POINTER(BufferAppendNode(b, PG_GETARG_TIMESTAMPTZ(3), bits, !PG_ARGISNULL(5) && PG_GETARG_BOOL(5),
									   node == NULL ? NULL : VARDATA_ANY(node), node == NULL ? 0 : VARSIZE_ANY_EXHDR(node)));
}

/* next_node_result(event_buffer): the node next to the chain, or NULL */
Datum
revops_next_node_result(PG_FUNCTION_ARGS)
{
	EventBuffer *b = SortedState(fcinfo, BUFFER_NODE);
	int			next = b == NULL ? -1 : NodeNext(BufferRows(b), b->nrows, b->nconditions, b->modes);
	Str			node;

	if (next < 0)
		PG_RETURN_NULL();
	node = BufferNodeText(b, &BufferRows(b)[next]);
	if (node.data == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(node.data, node.len));
}
