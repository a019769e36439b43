/*
 * ledger.c
 *	  A score's reasons: the events and moments that make it, each with what it counts for now. The sum is the score.
 */
#include "score/score.h"

#include "catalog/pg_type.h"
#include "decay/decay.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "score/signal.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

/* A line before the day's caps are known */
typedef struct Line
{
	const Event *e;
	const Signal *s;
	int32		day;
} Line;

/* What a capped signal's events weigh in one day */
typedef struct DaySum
{
	struct
	{
		const Signal *s;
		int64		day;
	}			key;
	double		weight;
} DaySum;

static HTAB *
DaySums(const Line *lines, int n)
{
	HASHCTL		ctl = {.keysize = sizeof(((DaySum *) NULL)->key), .entrysize = sizeof(DaySum), .hcxt = CurrentMemoryContext};
	HTAB	   *days = hash_create("revops days of a ledger", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = 0; i < n; i++)
	{
		DaySum		key = {.key = {lines[i].s, lines[i].day}};
		DaySum	   *sum;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (lines[i].s->daily_cap <= 0)
			continue;
		sum = hash_search(days, &key.key, HASH_ENTER, &found);
		sum->weight = (found ? sum->weight : 0) + lines[i].s->weight;
	}
	return days;
}

/* The subject's standing moments of rules that add to the intent. No cap applies. */
static void
MomentLines(ReturnSetInfo *rsinfo, const SignalSet *set, SubjectKind kind, Str subject, Str intent, TimestampTz now, TimestampTz until)
{
	static SqlPlan standing = {
		"SELECT rule, version, occurred_at, evidence[cardinality(evidence)], object FROM revops.moment"
		" WHERE subject_kind = $1::text::revops.subject_kind AND subject = $2 COLLATE \"C\" AND retracted_at IS NULL AND occurred_at <= $3"
		" ORDER BY occurred_at, moment_id",
		3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[3] = {CStringGetTextDatum(SubjectKindName(kind)), PointerGetDatum(cstring_to_text_with_len(subject.data, subject.len)),
	TimestampTzGetDatum(until)};
	uint64		n = SqlRun(&standing, args, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		null;
		const char *rule = SPI_getvalue(tup, desc, 1);
		const MomentIntent *m = SignalsMoment(set, StrFrom(rule), DatumGetInt32(SPI_getbinval(tup, desc, 2, &null)));
		double		half_life;
		Datum		values[8];
		bool		isnull[8] = {false};

		CHECK_FOR_INTERRUPTS();
		if (m == NULL || !StrEq(set->intents[m->intent].name, intent))
			continue;
		half_life = set->intents[m->intent].half_life;
		values[1] = SPI_getbinval(tup, desc, 3, &null);
		values[0] = SPI_getbinval(tup, desc, 4, &isnull[0]);
		values[2] = CStringGetTextDatum("moment");
		values[3] = SPI_getbinval(tup, desc, 5, &isnull[3]);
		values[4] = CStringGetTextDatum(psprintf("moment:%s", rule));
		values[5] = Float8GetDatum(m->weight);
		values[6] = Float8GetDatum(1);
		values[7] = Float8GetDatum(DecayAt(DecayOf(m->weight, DatumGetTimestampTz(values[1]), half_life), now, half_life));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * explain_intent(subject_kind, subject, intent) -> (event_id, occurred_at, kind, object, signal, weight, share, points)
 *
 * weight is the signal's, share what the daily cap leaves of it, points what it counts for at revops.now(). A moment is a line of
 * signal 'moment:<rule>' and kind 'moment', with its last event.
 */
PG_FUNCTION_INFO_V1(explain_intent);
Datum
explain_intent(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SubjectKind kind = SubjectKindFromOid(PG_GETARG_OID(0));
	Str			subject = StrFrom(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	Str			intent = StrFrom(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	TimestampTz now = RevopsNow(),
				until = now;
	bool		bound;
	Str			last_account = StrFrom(NULL);
	bool		last_seen = false;
	const SignalSet *set;
	EventList  *history;
	Line	   *lines = NULL;
	int			n = 0,
				max = 0,
				level;
	HTAB	   *days;

	InitMaterializedSRF(fcinfo, 0);
	level = SqlConnect();
	{
		static SqlPlan seen = {"SELECT revops.caller_sees($1, $2)::int::int8", 2, {InvalidOid, TEXTOID}};
		Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

		seen.argtypes[0] = get_fn_expr_argtype(fcinfo->flinfo, 0);
		if (SqlInt8(&seen, values, NULL, 0) == 0)
		{
			SqlFinish(level);
			return (Datum) 0;
		}
	}
	{
		static SqlPlan is_bound = {"SELECT (revops.caller_bound() IS NOT NULL)::int::int8", 0};

		bound = SqlInt8(&is_bound, NULL, NULL, 0) != 0;
	}
	set = Signals();
	{
		/* events up to the clock's tolerance count, as they do in the score */
		static SqlPlan tolerance = {"SELECT (extract(epoch FROM current_setting('revops.clock_tolerance')::interval) * 1000000)::bigint", 0};

		until += SqlInt8(&tolerance, NULL, NULL, 0);
	}
	history = EventHistory(kind, subject, DT_NOBEGIN, until + 1, ConsumedLoad(-1, kind, subject));
	for (int i = 0; i < history->n; i++)
	{
		const Event *e = &history->events[i];
		const int  *candidates;
		int			ncandidates;

		CHECK_FOR_INTERRUPTS();
		if (!StrEq(EventSubject(e, kind), subject))
			continue;
		/* what a stranger did with a customer whom the rep does not see is not shown, though it counts */
		if (bound && e->account.data != NULL)
		{
			static SqlPlan sees = {"SELECT revops.caller_sees('account', $1)::int::int8", 1, {TEXTOID}};

			if (last_account.data == NULL || !StrEq(e->account, last_account))
			{
				Datum		account = PointerGetDatum(cstring_to_text_with_len(e->account.data, e->account.len));

				last_account = e->account;
				last_seen = SqlInt8(&sees, &account, NULL, 0) != 0;
			}
			if (!last_seen)
				continue;
		}
		ncandidates = SignalsFor(set, e, &candidates);
		for (int k = 0; k < ncandidates; k++)
		{
			const Signal *s = &set->signals[candidates[k]];

			if (!(s->subjects & (1u << kind)) || !StrEq(set->intents[s->intent].name, intent) || !SignalMatches(s, e))
				continue;
			if (n == max)
			{
				max = max ? 2 * max : 64;
				lines = lines ? repalloc_huge(lines, max * sizeof(Line)) : palloc(max * sizeof(Line));
			}
			lines[n].e = e;
			lines[n].s = s;
			lines[n++].day = (int32) floor((double) e->occurred_at / USECS_PER_DAY);
		}
	}
	days = DaySums(lines, n);
	for (int i = 0; i < n; i++)
	{
		const Event *e = lines[i].e;
		const Signal *s = lines[i].s;
		double		share = 1;
		Datum		values[8];
		bool		isnull[8] = {false};

		CHECK_FOR_INTERRUPTS();
		if (s->daily_cap > 0)
		{
			DaySum		key = {.key = {s, lines[i].day}};
			const DaySum *sum = hash_search(days, &key.key, HASH_FIND, NULL);

			share = sum->weight > s->daily_cap ? s->daily_cap / sum->weight : 1;
		}
		values[0] = UUIDPGetDatum(&e->event_id);
		values[1] = TimestampTzGetDatum(e->occurred_at);
		values[2] = PointerGetDatum(cstring_to_text_with_len(e->kind.data, e->kind.len));
		isnull[3] = e->object.data == NULL;
		values[3] = isnull[3] ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(e->object.data, e->object.len));
		values[4] = CStringGetTextDatum(s->name);
		values[5] = Float8GetDatum(s->weight);
		values[6] = Float8GetDatum(share);
		values[7] = Float8GetDatum(DecayAt(DecayOf(s->weight * share, e->occurred_at, set->intents[s->intent].half_life),
										   now, set->intents[s->intent].half_life));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
	}
	if (set->nmoments > 0)
		MomentLines(rsinfo, set, kind, subject, intent, now, until);
	SqlFinish(level);
	return (Datum) 0;
}
