/*
 * quarantine.c
 *	  One bad event does not stop the rest.
 *
 * A batch is applied in a subtransaction. If that fails, and the error can be the fault of what was analysed, the batch is halved until
 * the event is found; it goes to revops.failed_event and counts for nothing. Errors of the system are thrown on: the pass is tried again.
 */
#include "stream/pass.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

Datum
TextOrNull(Str s, bool *isnull)
{
	*isnull = s.data == NULL;
	return *isnull ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(s.data, s.len));
}

/* Is this the fault of what was being analysed? What is not (cancel, resources, locks, the system) is tried again whole. */
static bool
IsEventsFault(const ErrorData *e)
{
	static const char *const others[] = {"08", "25", "40", "53", "57", "58", "F0", "HV"};
	const char *state = unpack_sql_state(e->sqlerrcode);

	for (int i = 0; i < lengthof(others); i++)
		if (strncmp(state, others[i], 2) == 0)
			return false;
	return e->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && e->sqlerrcode != ERRCODE_OBJECT_IN_USE;
}

/* Do some work in a subtransaction. Returns NULL, or the error that undid it if that is an event's fault; others are thrown on. */
ErrorData *
Guarded(Pass *pass, Work work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(pass, arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	if (error != NULL && !IsEventsFault(error))
		ReThrowError(error);
	return error;
}

typedef struct Range
{
	EventList  *list;
	int			from;
	int			to;
} Range;

static void
ApplyRange(Pass *pass, void *arg)
{
	Range	   *r = arg;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	PassApply(pass, r->list, r->from, r->to);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Put an event in quarantine. */
static void
Quarantine(Pass *pass, const Event *e, const ErrorData *error)
{
	static SqlPlan put = {
		"INSERT INTO revops.failed_event AS f (event_id, lane, occurred_at, person, account, kind, sqlstate, error)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
		" ON CONFLICT (event_id, lane) DO UPDATE SET attempts = f.attempts + 1, sqlstate = excluded.sqlstate,"
		" error = excluded.error, failed_at = excluded.failed_at",
		8, {UUIDOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		v[8];
	bool		null[8] = {false};
	int64		unlogged;

	v[0] = UUIDPGetDatum(&e->event_id);
	v[1] = Int32GetDatum(pass->lane);
	v[2] = TimestampTzGetDatum(e->occurred_at);
	v[3] = TextOrNull(e->person, &null[3]);
	v[4] = TextOrNull(e->account, &null[4]);
	v[5] = TextOrNull(e->kind, &null[5]);
	v[6] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	v[7] = CStringGetTextDatum(error->message ? error->message : "unknown error");
	SqlRun(&put, v, null);
	if (pass->consumed->failed == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(pg_uuid_t), .entrysize = sizeof(pg_uuid_t), .hcxt = CurrentMemoryContext};

		pass->consumed->failed = hash_create("revops failed events", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hash_search(pass->consumed->failed, &e->event_id, HASH_ENTER, NULL);
	pass->failed++;
	if (LogDue("event", error, &unlogged))
		ereport(LOG,
				(errmsg("pg_revops: an event failed and is in quarantine: %s", error->message ? error->message : "unknown error"),
				 unlogged > 0 ? errdetail(INT64_FORMAT " more like it were not logged.", unlogged) : 0,
				 errhint("See revops.failed_event; when the cause is mended, SELECT revops.retry_failed().")));
}

/* The events [from, to), with those in quarantine whose analysis fails. */
void
ApplyHalving(Pass *pass, EventList *list, int from, int to)
{
	Range		r = {list, from, to};
	Consumed   *c = pass->consumed;
	uint64		txid = c->pos_txid;
	pg_uuid_t	id = c->pos_id;
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	if (pass->advance)
	{
		c->pos_txid = list->events[to - 1].txid;
		c->pos_id = list->events[to - 1].event_id;
	}
	error = Guarded(pass, ApplyRange, &r);
	if (error == NULL)
	{
		for (int i = from; i < to; i++)
			if (!list->events[i].ahead)
				pass->frontier = Max(pass->frontier, list->events[i].occurred_at);
		return;
	}
	if (to - from == 1)
		Quarantine(pass, &list->events[from], error);
	else
	{
		int			mid = from + (to - from) / 2;

		c->pos_txid = txid;
		c->pos_id = id;
		ApplyHalving(pass, list, from, mid);
		ApplyHalving(pass, list, mid, to);
	}
	FreeErrorData(error);
}
