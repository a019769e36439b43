/*
 * history.c
 *	  A subject's events, read back from the event table: for repairs, explanations and looks at the past.
 */
#include "event/event.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define HISTORY_SQL(condition) \
	"SELECT " EVENT_COLUMNS " FROM revops.event e" \
	" WHERE NOT ahead AND occurred_at >= $2 AND occurred_at < $3 AND " condition

/* An event of a person is one of that key, or of a visitor who became that person. */
static SqlPlan person_plan = {
	HISTORY_SQL("person = ANY (ARRAY(SELECT p.person FROM revops.person p WHERE p.identity = $1 COLLATE \"C\""
				" UNION ALL SELECT $1 WHERE NOT EXISTS"
				" (SELECT FROM revops.person p WHERE p.person = $1 COLLATE \"C\" AND p.identity IS NOT NULL)))"),
	3, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

/* An event of an account names it, or names no account but a person of it. */
static SqlPlan account_plan = {
	HISTORY_SQL("account = $1 COLLATE \"C\"")
	" UNION ALL "
	HISTORY_SQL("account IS NULL AND person = ANY (ARRAY("
				"SELECT v.person FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity"
				" WHERE (v.account = $1 COLLATE \"C\" OR v.identity IN (SELECT x.person FROM revops.person x WHERE x.account = $1 COLLATE \"C\"))"
				" AND coalesce(k.account, v.account) = $1 COLLATE \"C\"))"),
	3, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static SqlPlan opportunity_plan = {
	HISTORY_SQL("opportunity = $1 COLLATE \"C\""),
	3, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static SqlPlan rep_plan = {
	HISTORY_SQL("rep = $1 COLLATE \"C\""),
	3, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static int
EventTimeCmp(const void *a, const void *b)
{
	const Event *x = a,
			   *y = b;

	return EventPointCmp(x->occurred_at, &x->event_id, y->occurred_at, &y->event_id);
}

void
EventListTakeResult(EventList *list, const Consumed *consumed)
{
	SPITupleTable *table = SPI_tuptable;

	for (uint64 r = 0; r < table->numvals; r++)
	{
		Datum		values[EVENT_NCOLUMNS];
		bool		isnull[EVENT_NCOLUMNS];
		HeapTuple	tup;
		Event		e;

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(table->vals[r], table->tupdesc, values, isnull);
		EventDecode(values, isnull, NULL, &e);
		if (consumed != NULL && !ConsumedHas(consumed, e.epoch, e.txid, &e.event_id))
			continue;
		tup = heap_copytuple(table->vals[r]);
		heap_deform_tuple(tup, table->tupdesc, values, isnull);
		EventDecode(values, isnull, NULL, EventListAdd(list));
	}
	SPI_freetuptable(table);
}

EventList *
EventHistory(SubjectKind kind, Str subject, TimestampTz since, TimestampTz until, const Consumed *consumed)
{
	SqlPlan    *plan = kind == SUBJECT_PERSON ? &person_plan : kind == SUBJECT_ACCOUNT ? &account_plan :
		kind == SUBJECT_OPPORTUNITY ? &opportunity_plan : &rep_plan;
	Datum		args[3];
	EventList  *list = palloc0(sizeof(EventList));

	args[0] = PointerGetDatum(cstring_to_text_with_len(subject.data, subject.len));
	args[1] = TimestampTzGetDatum(since);
	args[2] = TimestampTzGetDatum(until);
	SqlRun(plan, args, NULL);
	EventListTakeResult(list, consumed);
	EventResolve(list);
	EventListRead(list);
	if (list->n > 1)
		qsort(list->events, list->n, sizeof(Event), EventTimeCmp);
	return list;
}
