/*
 * trigger.c
 *	  What a write to an attached table costs its writer: the keys of the rows, put into a queue.
 *
 * The triggers are those of a statement, with transition tables. They evaluate no expression of the mapping and look nothing up, so no
 * row can fail its own writer: the keys of what changed go into revops.attachment_change, many in one row. Whoever applies them reads
 * the rows as they are then. An UPDATE queues a row's old key beside its new one, so that a row that changes its key is seen to do so.
 */
#include "attach/attach.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* Keys in one row of the queue. */
#define KEYS_PER_CHANGE	1000

void		(*attach_wake_hook) (void) = NULL;

static bool callback_registered = false;
static bool queued = false;		/* in this transaction */

/* Keys on their way to the queue. */
typedef struct KeyQueue
{
	int32		attachment;
	Relation	rel;
	SourceKey	key;
	FmgrInfo	out[ATTACH_MAX_KEY_COLUMNS];
	MemoryContext context;		/* of the keys below */
	int			n;
	Datum		keys[KEYS_PER_CHANGE + 2];
} KeyQueue;

/* One of the transition tables, read row by row. */
typedef struct RowReader
{
	Tuplestorestate *store;
	int			pointer;
	TupleTableSlot *slot;
} RowReader;

static void
AttachXactCallback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && queued && attach_wake_hook != NULL)
		attach_wake_hook();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		queued = false;
}

void
AttachQueued(void)
{
	if (!callback_registered)
	{
		RegisterXactCallback(AttachXactCallback, NULL);
		callback_registered = true;
	}
	queued = true;
}

/* keys 0: all that is known of the source, by scope */
static void
Enqueue(int32 attachment, const char *scope, Datum keys, int n)
{
	static SqlPlan insert = {
		"INSERT INTO revops.attachment_change (attachment, scope, keys, n) VALUES ($1, $2, $3, $4)", 4, {INT4OID, TEXTOID, TEXTARRAYOID, INT4OID}
	};
	Datum		v[4] = {Int32GetDatum(attachment), CStringGetTextDatum(scope), keys, Int32GetDatum(n)};
	bool		null[4] = {false, false, keys == 0, false};

	SqlRun(&insert, v, null);
	AttachQueued();
}

static void
Flush(KeyQueue *q)
{
	MemoryContext old;

	CHECK_FOR_INTERRUPTS();
	if (q->n == 0)
		return;
	old = MemoryContextSwitchTo(q->context);
	Enqueue(q->attachment, "keys", PointerGetDatum(construct_array(q->keys, q->n, TEXTOID, -1, false, TYPALIGN_INT)), q->n);
	MemoryContextSwitchTo(old);
	MemoryContextReset(q->context);
	q->n = 0;
}

static void
AddKey(KeyQueue *q, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(q->context);
	Datum		parts[ATTACH_MAX_KEY_COLUMNS] = {0};
	bool		isnull;

	for (int i = 0; i < q->key.n; i++)
	{
		Datum		d = slot_getattr(slot, q->key.columns[i], &isnull);

		parts[i] = isnull ? CStringGetTextDatum("") : CStringGetTextDatum(OutputFunctionCall(&q->out[i], d));
	}
	if (q->key.n > 1)
	{
		Datum		array = PointerGetDatum(construct_array(parts, q->key.n, TEXTOID, -1, false, TYPALIGN_INT));

		parts[0] = CStringGetTextDatum(OidOutputFunctionCall(F_ARRAY_OUT, array));
	}
	q->keys[q->n++] = parts[0];
	MemoryContextSwitchTo(old);
}

static bool
SameKey(const KeyQueue *q, TupleTableSlot *a, TupleTableSlot *b)
{
	for (int i = 0; i < q->key.n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(q->rel), q->key.columns[i] - 1);
		bool		null_a,
					null_b;
		Datum		x = slot_getattr(a, q->key.columns[i], &null_a),
					y = slot_getattr(b, q->key.columns[i], &null_b);

		if (null_a || null_b || !datumIsEqual(x, y, att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/* A store that is not there has no rows. */
static void
ReaderBegin(RowReader *r, Tuplestorestate *store, Relation rel)
{
	r->store = store;
	if (store == NULL)
		return;
	r->pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(store, r->pointer);
	tuplestore_rescan(store);
	r->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
}

static bool
ReaderNext(RowReader *r)
{
	if (r->store == NULL)
		return false;
	tuplestore_select_read_pointer(r->store, r->pointer);
	return tuplestore_gettupleslot(r->store, true, false, r->slot);
}

static void
ReaderEnd(RowReader *r)
{
	if (r->store != NULL)
		ExecDropSingleTupleTableSlot(r->slot);
}

PG_FUNCTION_INFO_V1(revops_attachment_trigger);
Datum
revops_attachment_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	KeyQueue   *q;
	RowReader	former = {0},
				fresh = {0};
	int			level;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) || !TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) ||
		trigdata->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("revops.attachment_trigger() is only for the triggers that revops.attach() makes")));
	q = palloc0(sizeof(KeyQueue));
	q->attachment = pg_strtoint32(trigdata->tg_trigger->tgargs[0]);
	q->rel = trigdata->tg_relation;

	level = SqlConnect();
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		Enqueue(q->attachment, "known", 0, 0);
	else if (!SourceKeyFind(q->rel, &q->key))
	{
		/* the key went after the table was attached: look at everything again */
		Enqueue(q->attachment, "all", 0, 0);
	}
	else
	{
		q->context = AllocSetContextCreate(CurrentMemoryContext, "revops attachment keys", ALLOCSET_DEFAULT_SIZES);
		for (int i = 0; i < q->key.n; i++)
		{
			Oid			out;
			bool		varlena;

			getTypeOutputInfo(TupleDescAttr(RelationGetDescr(q->rel), q->key.columns[i] - 1)->atttypid, &out, &varlena);
			fmgr_info(out, &q->out[i]);
		}
		ReaderBegin(&former, trigdata->tg_oldtable, q->rel);
		ReaderBegin(&fresh, trigdata->tg_newtable, q->rel);
		for (;;)
		{
			bool		has_former = ReaderNext(&former),
						has_fresh = ReaderNext(&fresh);

			if (!has_former && !has_fresh)
				break;
			if (has_fresh)
				AddKey(q, fresh.slot);
			if (has_former && !(has_fresh && SameKey(q, former.slot, fresh.slot)))
				AddKey(q, former.slot);
			if (q->n >= KEYS_PER_CHANGE)
				Flush(q);
		}
		Flush(q);
		ReaderEnd(&former);
		ReaderEnd(&fresh);
		MemoryContextDelete(q->context);
	}
	SqlFinish(level);
	return PointerGetDatum(NULL);
}
