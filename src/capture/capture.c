/*
 * capture.c
 *	  The one thing that happens when an event is written: the leaf trigger.
 *
 * The parent table has no index and no trigger; each leaf has its own, so that pg_dump restores leaves as plain tables with
 * their rows verbatim. The trigger runs for every row and therefore does no SQL. It
 *
 *	- restamps a row that logical replication applies: a foreign transaction id means nothing here;
 *	- drops a row whose event_id is there already, in whichever leaf. An id that this backend has just made is not looked
 *	  for. Others are looked for in each leaf's unique index, with a dirty snapshot, as the unique index itself does it: rows
 *	  of this very statement are seen, and another transaction that is writing the same id is waited for. Between the search
 *	  and the index entry, which other searches find, a lock on the id keeps others from searching for it; only that of the
 *	  latest row is held. So sending an event twice changes nothing and raises nothing, whoever else sends it;
 *	- bounds the keys' length, and marks events from ahead of the clock;
 *	- has the worker woken at commit.
 *
 * What is known of a leaf is cached per backend until its relcache entry is invalidated. The leaves are locked (ACCESS SHARE)
 * at the first search of a transaction and stay so until its end, since locking each of them for each row would cost more than
 * the search.
 */
#include "capture/capture.h"

#include "event/event.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The columns that the trigger reads or writes. */
typedef enum EventColumn
{
	COL_EVENT_ID,
	COL_OCCURRED_AT,
	COL_RECEIVED_AT,
	COL_AHEAD,
	COL_EPOCH,
	COL_TXID,
	COL_PERSON,					/* from here on: text of bounded length */
	COL_ACCOUNT,
	COL_OPPORTUNITY,
	COL_REP,
	COL_CHANNEL,
	COL_KIND,
	COL_OBJECT,
	COLUMNS
} EventColumn;

static const char *const column_names[COLUMNS] = {
	"event_id", "occurred_at", "received_at", "ahead", "epoch", "txid",
	"person", "account", "opportunity", "rep", "channel", "kind", "object"
};

static const Oid column_types[COLUMNS] = {
	UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, INT4OID, XID8OID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID
};

/* What is known of one leaf. */
typedef struct LeafInfo
{
	Oid			relid;			/* hash key */
	bool		valid;
	Oid			unique_index;	/* on event_id alone; InvalidOid while a restore has not made it yet */
	AttrNumber	columns[COLUMNS];
} LeafInfo;

/* A leaf that ids are looked for in. */
typedef struct Leaf
{
	Oid			relid;
	Oid			index;
} Leaf;

void		(*capture_wake_hook) (void) = NULL;
bool		(*capture_writer_hook) (const Datum *keys, const bool *isnull) = NULL;

static int	clock_tolerance = CAPTURE_DEFAULT_TOLERANCE;
static int	partition_interval = 2; /* month */
static char *retention = NULL;

static const struct config_enum_entry partition_intervals[] = {
	{"day", 0, false},
	{"week", 1, false},
	{"month", 2, false},
	{NULL, 0, false}
};

/* Who sets a stage; revops.stage_history keeps it. */
enum
{
	CHANGE_PERSON,
	CHANGE_SOURCE,
	CHANGE_CALIBRATION,
	CHANGE_SUGGESTION,
	CHANGE_UNDO,
	CHANGE_BACKFILL
};
static int	change_origin = CHANGE_PERSON;

static const struct config_enum_entry change_origins[] = {
	{"person", CHANGE_PERSON, false},
	{"source", CHANGE_SOURCE, false},
	{"calibration", CHANGE_CALIBRATION, false},
	{"suggestion", CHANGE_SUGGESTION, false},
	{"undo", CHANGE_UNDO, false},
	{"backfill", CHANGE_BACKFILL, false},
	{NULL, 0, false}
};

/* Tells locks on event ids from users' advisory locks, which have 1 or 2 there. */
#define EVENT_ID_LOCK	20

static LOCKTAG id_lock;			/* of the latest row whose id was looked for */
static bool id_locked = false;

static bool callbacks_registered = false;
static bool wrote_events = false;	/* in this transaction */

static HTAB *leaf_infos = NULL;
static LeafInfo *last_info = NULL;

static MemoryContext leaves_context = NULL;
static Oid	leaves_parent = InvalidOid;
static Leaf *leaves = NULL;
static int	nleaves = 0;
static bool leaves_valid = false;
static bool leaves_locked = false;	/* by this transaction, and no subtransaction has taken it back */

/* A lock of the session, since one of the transaction could be released only by the statement that took it. */
static void
LockEventId(const pg_uuid_t *id)
{
	uint64		h = hash_bytes_extended(id->data, UUID_LEN, 0);

	SET_LOCKTAG_ADVISORY(id_lock, MyDatabaseId, (uint32) (h >> 32), (uint32) h, EVENT_ID_LOCK);
	(void) LockAcquire(&id_lock, ExclusiveLock, true, false);
	id_locked = true;
}

static void
UnlockEventId(void)
{
	if (id_locked)
	{
		id_locked = false;
		(void) LockRelease(&id_lock, ExclusiveLock, true);
	}
}

/* Wake the stream once the transaction's events can be seen. */
static void
CaptureXactCallback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			UnlockEventId();
			if (wrote_events && capture_wake_hook != NULL)
				capture_wake_hook();
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			UnlockEventId();
			wrote_events = false;
			leaves_locked = false;
			break;
		default:
			break;
	}
}

/* An aborted subtransaction gives back the locks that it took. */
static void
CaptureSubXactCallback(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	leaves_locked = false;
	UnlockEventId();			/* no row is between the search for its id and the index now */
}

/* Forget what may have changed. */
static void
CaptureRelcacheCallback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid))
	{
		HASH_SEQ_STATUS scan;
		LeafInfo   *info;

		hash_seq_init(&scan, leaf_infos);
		while ((info = hash_seq_search(&scan)) != NULL)
			info->valid = false;
		leaves_valid = false;
	}
	else
	{
		LeafInfo   *info = hash_search(leaf_infos, &relid, HASH_FIND, NULL);

		if (info != NULL)
		{
			info->valid = false;
			leaves_valid = false;
		}
		else if (relid == leaves_parent)
			leaves_valid = false;
	}
}

static void
RegisterCallbacks(void)
{
	HASHCTL		ctl = {0};

	leaves_context = AllocSetContextCreate(CacheMemoryContext, "pg_revops leaves", ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(LeafInfo);
	ctl.hcxt = leaves_context;
	leaf_infos = hash_create("pg_revops leaf infos", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(CaptureRelcacheCallback, (Datum) 0);
	RegisterXactCallback(CaptureXactCallback, NULL);
	RegisterSubXactCallback(CaptureSubXactCallback, NULL);
	callbacks_registered = true;
}

/* The valid unique index on event_id alone. */
static Oid
FindUniqueIndex(Relation rel, AttrNumber event_id)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indisunique && form->indisvalid && form->indimmediate && form->indnkeyatts == 1 &&
			form->indkey.values[0] == event_id && heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
		if (OidIsValid(found))
			break;
	}
	list_free(indexes);
	return found;
}

/* What is known of an open leaf, from the cache or anew. */
static LeafInfo *
GetLeafInfo(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	LeafInfo   *info = last_info;
	LeafInfo	fresh = {.relid = relid, .valid = true};

	if (info != NULL && info->relid == relid && info->valid)
		return info;
	info = hash_search(leaf_infos, &relid, HASH_FIND, NULL);
	if (info != NULL && info->valid)
		return last_info = info;

	for (int c = 0; c < COLUMNS; c++)
	{
		AttrNumber	attno = get_attnum(relid, column_names[c]);

		if (attno == InvalidAttrNumber || get_atttype(relid, attno) != column_types[c])
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table \"%s\" lacks the column \"%s\" of type %s", RelationGetRelationName(rel), column_names[c], format_type_be(column_types[c])),
					 errhint("Only partitions of revops.event may have the trigger revops.event_before_insert().")));
		fresh.columns[c] = attno;
	}
	fresh.unique_index = FindUniqueIndex(rel, fresh.columns[COL_EVENT_ID]);

	info = hash_search(leaf_infos, &relid, HASH_ENTER, NULL);
	*info = fresh;
	return last_info = info;
}

/* Lock the leaves below a partitioned table and add them to the list. */
static void
CollectLeaves(Oid parent, List **relids)
{
	Relation	rel = table_open(parent, AccessShareLock);
	PartitionDesc desc = RelationGetPartitionDesc(rel, false);
	int			n = desc->nparts;
	Oid		   *oids = palloc(sizeof(Oid) * Max(n, 1));
	bool	   *is_leaf = palloc(sizeof(bool) * Max(n, 1));

	memcpy(oids, desc->oids, sizeof(Oid) * n);
	memcpy(is_leaf, desc->is_leaf, sizeof(bool) * n);
	table_close(rel, NoLock);
	for (int i = 0; i < n; i++)
	{
		if (is_leaf[i])
		{
			LockRelationOid(oids[i], AccessShareLock);
			*relids = lappend_oid(*relids, oids[i]);
		}
		else
			CollectLeaves(oids[i], relids);
	}
	pfree(oids);
	pfree(is_leaf);
}

/* Have the list of leaves current, and all of them locked by this transaction. */
static void
RefreshLeaves(Relation rel)
{
	while (!leaves_valid || !leaves_locked)
	{
		List	   *relids = NIL;
		ListCell   *lc;
		Leaf	   *list;
		int			n = 0;

		/* taking a lock may bring news that leaves_valid is then reset by */
		leaves_valid = true;
		leaves_locked = true;
		leaves_parent = rel->rd_rel->relispartition ? get_partition_parent(RelationGetRelid(rel), false) : InvalidOid;
		if (OidIsValid(leaves_parent))
		{
			/* partitions of partitions: start at the top */
			while (get_rel_relispartition(leaves_parent))
				leaves_parent = get_partition_parent(leaves_parent, false);
			CollectLeaves(leaves_parent, &relids);
		}
		else
			relids = list_make1_oid(RelationGetRelid(rel));

		list = MemoryContextAlloc(leaves_context, sizeof(Leaf) * Max(list_length(relids), 1));
		foreach(lc, relids)
		{
			Relation	leaf = try_relation_open(lfirst_oid(lc), NoLock);
			Oid			index = InvalidOid;

			if (leaf == NULL)
				continue;
			if (leaf->rd_rel->relkind == RELKIND_RELATION)
				index = GetLeafInfo(leaf)->unique_index;
			if (OidIsValid(index))
			{
				LockRelationOid(index, AccessShareLock);
				list[n].relid = lfirst_oid(lc);
				list[n].index = index;
				n++;
			}
			relation_close(leaf, NoLock);
		}
		if (leaves != NULL)
			pfree(leaves);
		leaves = list;
		nleaves = n;
		list_free(relids);
	}
}

/*
 * Is the id in this leaf? Returns false and sets *wait_for to a transaction that is about to decide it, if there is one,
 * with its speculative insertion token.
 */
static bool
LeafHasId(const Leaf *leaf, Datum event_id, TransactionId *wait_for, uint32 *token, ItemPointer where)
{
	Relation	heap = table_open(leaf->relid, NoLock);
	Relation	index = index_open(leaf->index, NoLock);
	TupleTableSlot *slot = NULL;
	SnapshotData dirty;
	IndexScanDesc scan;
	ScanKeyData key;
	bool		found = false;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, event_id);
	scan = REVOPS_INDEX_BEGINSCAN(heap, index, &dirty, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		if (slot == NULL)
			slot = table_slot_create(heap, NULL);
		if (!index_fetch_heap(scan, slot))
			continue;
		if (TransactionIdIsValid(dirty.xmin) || TransactionIdIsValid(dirty.xmax))
		{
			*wait_for = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
			*token = TransactionIdIsValid(dirty.xmin) ? dirty.speculativeToken : 0;
			*where = slot->tts_tid;
		}
		else
			found = true;
		break;
	}
	index_endscan(scan);
	if (slot != NULL)
		ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return found;
}

/* Is the id in any leaf? Waits for a transaction that is writing or removing the same id. */
static bool
EventExists(Relation rel, Datum event_id)
{
	for (;;)
	{
		TransactionId wait_for = InvalidTransactionId;
		uint32		token = 0;
		ItemPointerData where;

		RefreshLeaves(rel);
		for (int i = 0; i < nleaves; i++)
		{
			if (LeafHasId(&leaves[i], event_id, &wait_for, &token, &where))
				return true;
			if (TransactionIdIsValid(wait_for))
				break;
		}
		if (!TransactionIdIsValid(wait_for))
			return false;
		if (token != 0)
			SpeculativeInsertionWait(wait_for, token);
		else
			XactLockTableWait(wait_for, rel, &where, XLTW_InsertIndex);
	}
}

/* The bytes of a text that need not be fetched for it. */
static inline Size
TextBytes(Datum d)
{
	struct varlena *t = (struct varlena *) DatumGetPointer(d);

	if (VARATT_IS_EXTERNAL(t) || VARATT_IS_COMPRESSED(t))
		return toast_raw_datum_size(d) - VARHDRSZ;
	return VARSIZE_ANY_EXHDR(t);
}

PG_FUNCTION_INFO_V1(revops_event_before_insert);
Datum
revops_event_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;
	TupleTableSlot *slot;
	LeafInfo   *info;
	bool		isnull;
	Datum		id,
				at,
				keys[COLUMNS];
	bool		no_key[COLUMNS],
				moves_clock;
	int			nset = 0;
	int			set_columns[3];
	Datum		set_values[3];
	bool		set_nulls[3] = {false, false, false};

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("revops.event_before_insert() was not called as a trigger before INSERT of a row")));

	if (!callbacks_registered)
		RegisterCallbacks();
	rel = trigdata->tg_relation;
	slot = trigdata->tg_trigslot;
	info = GetLeafInfo(rel);

	for (int c = COL_PERSON; c < COLUMNS; c++)
	{
		Datum		d = keys[c] = slot_getattr(slot, info->columns[c], &no_key[c]);
		Size		most = c == COL_OBJECT ? REVOPS_MAX_OBJECT : REVOPS_MAX_KEY;

		if (!no_key[c] && TextBytes(d) > most)
			ereport(ERROR,
					(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
					 errmsg("%s of an event is longer than %zu bytes", column_names[c], most),
					 errdetail("It has %zu bytes.", TextBytes(d)),
					 c == COL_OBJECT ? errhint("Keep what is longer in properties.") : 0));
	}

	at = slot_getattr(slot, info->columns[COL_RECEIVED_AT], &isnull);
	if (!isnull && TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(at)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("received_at of an event is not a point in time")));
	moves_clock = capture_writer_hook == NULL || capture_writer_hook(&keys[COL_PERSON], &no_key[COL_PERSON]);

	id = slot_getattr(slot, info->columns[COL_EVENT_ID], &isnull);
	if (isnull)
		return PointerGetDatum(trigdata->tg_trigtuple); /* the executor says which column must not be NULL */
	UnlockEventId();			/* of the row before, which others can find by now */
	if (!UuidTakeFresh(DatumGetUUIDP(id)))
	{
		LockEventId(DatumGetUUIDP(id));
		if (EventExists(rel, id))
		{
			UnlockEventId();
			return PointerGetDatum(NULL);
		}
	}

	at = slot_getattr(slot, info->columns[COL_OCCURRED_AT], &isnull);
	if (!isnull && DatumGetTimestampTz(at) > (moves_clock ? RevopsNow() : GetCurrentStatementStartTimestamp()) + clock_tolerance * USECS_PER_SEC)
	{
		Datum		ahead = slot_getattr(slot, info->columns[COL_AHEAD], &isnull);

		if (isnull || !DatumGetBool(ahead))
		{
			set_columns[nset] = info->columns[COL_AHEAD];
			set_values[nset++] = BoolGetDatum(true);
		}
	}
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
	{
		set_columns[nset] = info->columns[COL_EPOCH];
		set_values[nset++] = Int32GetDatum(StreamEpoch());
		set_columns[nset] = info->columns[COL_TXID];
		set_values[nset++] = UInt64GetDatum(U64FromFullTransactionId(GetTopFullTransactionId()));
	}
	wrote_events = true;

	if (nset == 0)
		return PointerGetDatum(trigdata->tg_trigtuple);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigdata->tg_trigtuple, RelationGetDescr(rel),
													 nset, set_columns, set_values, set_nulls));
}

/* '' or an interval longer than nothing. */
static bool
CheckRetention(char **newval, void **extra, GucSource source)
{
	Interval	i;

	if (*newval == NULL || **newval == '\0')
		return true;
	if (IntervalSetting(*newval, &i) && i.month >= 0 && i.day >= 0 && i.time >= 0 && (i.month > 0 || i.day > 0 || i.time > 0))
		return true;
	GUC_check_errdetail("\"%s\" is not a length of time.", *newval);
	GUC_check_errhint("Give an interval such as '18 months', or '' to keep events for ever.");
	return false;
}

void
CaptureInit(void)
{
	DefineCustomIntVariable("revops.clock_tolerance",
							"How far ahead of the clock an event may lie before it is marked and not scored.",
							NULL, &clock_tolerance,
							CAPTURE_DEFAULT_TOLERANCE, CAPTURE_MIN_TOLERANCE, CAPTURE_MAX_TOLERANCE,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomEnumVariable("revops.partition_interval",
							 "The time that one new partition of revops.event covers, in UTC.",
							 NULL, &partition_interval, 2, partition_intervals,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("revops.change_origin",
							 "Who sets the stages that this session writes, for revops.stage_history.",
							 NULL, &change_origin, CHANGE_PERSON, change_origins,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("revops.retention",
							   "How long revops.drop_expired_partitions() keeps events; empty is for ever.",
							   NULL, &retention, "",
							   PGC_SUSET, 0, CheckRetention, NULL, NULL);
}
