/*
 * reader.c
 *	  A merge of index scans, one per leaf of revops.event, on (txid, event_id).
 *
 * What a batch holds is: the transactions that were under way at the earlier snapshot and have ended by the later one, one by one,
 * then the range from the earlier snapshot's end to the later one's. So a transaction that stays open for days costs a look-up, not
 * a scan of the days. The order depends on nothing but the rows themselves: a position in it survives moves between leaves and
 * pg_dump.
 */
#include "stream/reader.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* lo <= txid <= hi; after: of txid lo only ids after it */
typedef struct TxRange
{
	uint64		lo;
	uint64		hi;
	const pg_uuid_t *after;
} TxRange;

typedef struct Leaf
{
	Relation	rel;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber	map[EVENT_NCOLUMNS];
	int			range;			/* being scanned */
	uint64		txid;			/* of the row in the slot */
	pg_uuid_t	event_id;
} Leaf;

/* The ranges of the open batch that are after the position, ascending. */
static TxRange *
BatchRanges(const Consumed *c, int *n)
{
	TxRange    *all = palloc((c->done->nxip + 3) * sizeof(TxRange)),
			   *r = palloc((c->done->nxip + 4) * sizeof(TxRange));
	int			na = 0,
				nr = 0;

	if (c->adopting)
		all[na++] = (TxRange) {0, PG_UINT64_MAX / 2, NULL};
	else
	{
		for (int i = 0; i < c->done->nxip; i++)
			if (TxSnapshotSees(c->target, c->done->xip[i]))
				all[na++] = (TxRange) {c->done->xip[i], c->done->xip[i], NULL};
		if (c->target->xmax > c->done->xmax)
			all[na++] = (TxRange) {c->done->xmax, c->target->xmax - 1, NULL};
	}
	for (int i = 0; i < na; i++)
	{
		if (c->pos_txid == 0 || all[i].lo > c->pos_txid)
			r[nr++] = all[i];
		else if (all[i].hi >= c->pos_txid)
		{
			r[nr++] = (TxRange) {c->pos_txid, c->pos_txid, &c->pos_id};
			if (all[i].hi > c->pos_txid)
				r[nr++] = (TxRange) {c->pos_txid + 1, all[i].hi, NULL};
		}
	}
	*n = nr;
	return r;
}

static void
StartRange(Leaf *leaf, const TxRange *range)
{
	ScanKeyData keys[3];
	int			n = 0;

	ScanKeyInit(&keys[n++], 1, BTGreaterEqualStrategyNumber, F_XID8GE, UInt64GetDatum(range->lo));
	ScanKeyInit(&keys[n++], 1, BTLessEqualStrategyNumber, F_XID8LE, UInt64GetDatum(range->hi));
	if (range->after != NULL)
		ScanKeyInit(&keys[n++], 2, BTGreaterStrategyNumber, F_UUID_GT, UUIDPGetDatum(range->after));
	if (leaf->scan != NULL)
		index_endscan(leaf->scan);
	leaf->scan = REVOPS_INDEX_BEGINSCAN(leaf->rel, leaf->index, GetActiveSnapshot(), n);
	index_rescan(leaf->scan, keys, n, NULL, 0);
}

/* Move to the leaf's next row of the batch; false at its end. */
static bool
LeafNext(Leaf *leaf, const Consumed *c, const TxRange *ranges, int nranges)
{
	for (;;)
	{
		bool		isnull;
		int32		epoch;

		CHECK_FOR_INTERRUPTS();
		if (!index_getnext_slot(leaf->scan, ForwardScanDirection, leaf->slot))
		{
			if (++leaf->range >= nranges)
				return false;
			StartRange(leaf, &ranges[leaf->range]);
			continue;
		}
		leaf->txid = (uint64) DatumGetInt64(slot_getattr(leaf->slot, leaf->map[2], &isnull));
		epoch = DatumGetInt32(slot_getattr(leaf->slot, leaf->map[3], &isnull));
		leaf->event_id = *DatumGetUUIDP(slot_getattr(leaf->slot, leaf->map[0], &isnull));
		if (c->adopting)
		{
			bool		past = epoch == c->current_epoch || (epoch == c->epoch && TxSnapshotSees(c->done, leaf->txid));

			for (int i = 0; i < c->npast && !past; i++)
				past = c->past[i] == epoch;
			if (past)
				continue;
		}
		else if (epoch != c->epoch || !TxSnapshotSees(c->target, leaf->txid))
			continue;
		return true;
	}
}

/* Rows of a batch lie close together: a chunk for each would cost as much memory again. */
#define ROWS_CHUNK	(256 * 1024)

typedef struct RowStore
{
	char	   *free;
	Size		left;
} RowStore;

/*
 * Keep the leaf's row, and give its values there; returns its length. The row is deformed already, to look at its txid: what points into the page is moved
 * to the same place in the copy.
 */
static Size
KeepRow(RowStore *store, Leaf *leaf, Datum *values, bool *isnull)
{
	TupleTableSlot *slot = leaf->slot;
	TupleDesc	desc = slot->tts_tupleDescriptor;
	bool		own;
	HeapTuple	row = ExecFetchSlotHeapTuple(slot, false, &own);
	Size		len = MAXALIGN(row->t_len);
	HeapTupleData copy = *row;

	slot_getallattrs(slot);
	if (len > store->left)
	{
		store->left = Max(len, ROWS_CHUNK);
		store->free = palloc(store->left);
	}
	copy.t_data = memcpy(store->free, row->t_data, row->t_len);
	store->free += len;
	store->left -= len;
	memcpy(isnull, slot->tts_isnull, desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
	{
		values[i] = slot->tts_values[i];
		if (isnull[i] || TupleDescAttr(desc, i)->attbyval)
			continue;
		/* not there: the default of a column that was added later, say */
		if (DatumGetPointer(values[i]) < (char *) row->t_data || DatumGetPointer(values[i]) >= (char *) row->t_data + row->t_len)
		{
			heap_deform_tuple(&copy, desc, values, isnull);
			break;
		}
		values[i] = PointerGetDatum((char *) copy.t_data + (DatumGetPointer(values[i]) - (char *) row->t_data));
	}
	if (own)
		heap_freetuple(row);
	return len;
}

/* The leaf's index on (txid, event_id); InvalidOid if somebody dropped it. */
static Oid
FindIndex(Relation rel, const AttrNumber *map)
{
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indnkeyatts >= 2 && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == map[2] && index->rd_index->indkey.values[1] == map[0] &&
			RelationGetIndexPredicate(index) == NIL)
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
		if (OidIsValid(found))
			break;
	}
	return found;
}

EventList *
ReadBatch(const Consumed *consumed, int64 max_events, Size max_bytes, bool *exhausted)
{
	EventList  *list = palloc0(sizeof(EventList));
	Relation	parent;
	PartitionDesc parts;
	int			nranges,
				nleaves = 0;
	TxRange    *ranges = BatchRanges(consumed, &nranges);
	Leaf	   *leaves;
	Leaf	  **live;
	int			nlive = 0;
	Size		bytes = 0;
	RowStore	store = {0};
	Datum	   *values = NULL;
	bool	   *isnull = NULL;

	*exhausted = true;

	/* the snapshot before the list of leaves: rows that move to a leaf of a later list are still seen where they were */
	PushActiveSnapshot(GetLatestSnapshot());
	parent = table_open(RevopsRelid("event"), AccessShareLock);
	parts = RelationGetPartitionDesc(parent, true);
	leaves = palloc0((parts->nparts + 1) * sizeof(Leaf));
	live = palloc((parts->nparts + 1) * sizeof(Leaf *));
	for (int p = 0; p < parts->nparts && nranges > 0; p++)
	{
		Leaf	   *leaf = &leaves[nleaves];
		Oid			index;

		leaf->rel = try_table_open(parts->oids[p], AccessShareLock);
		if (leaf->rel == NULL)
			continue;
		nleaves++;
		if (leaf->rel->rd_rel->relkind != RELKIND_RELATION)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("partition \"%s\" of revops.event is not a plain table", RelationGetRelationName(leaf->rel)),
					 errhint("Make partitions with revops.make_partition().")));
		EventColumnMap(RelationGetDescr(leaf->rel), leaf->map);
		index = FindIndex(leaf->rel, leaf->map);
		if (!OidIsValid(index))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("partition \"%s\" of revops.event has no index on (txid, event_id)", RelationGetRelationName(leaf->rel)),
					 errhint("Create it: CREATE INDEX ON revops.%s (txid, event_id).",
							 quote_identifier(RelationGetRelationName(leaf->rel)))));
		leaf->index = index_open(index, AccessShareLock);
		leaf->slot = table_slot_create(leaf->rel, NULL);
		StartRange(leaf, &ranges[0]);
		if (LeafNext(leaf, consumed, ranges, nranges))
			live[nlive++] = leaf;
	}
	while (nlive > 0)
	{
		int			best = 0;
		Leaf	   *leaf;
		Event	   *e;

		if (list->n >= max_events || bytes >= max_bytes)
		{
			*exhausted = false;
			break;
		}
		for (int i = 1; i < nlive; i++)
			if (live[i]->txid < live[best]->txid ||
				(live[i]->txid == live[best]->txid &&
				 memcmp(live[i]->event_id.data, live[best]->event_id.data, UUID_LEN) < 0))
				best = i;
		leaf = live[best];
		if (values == NULL)
		{
			values = palloc(MaxHeapAttributeNumber * sizeof(Datum));
			isnull = palloc(MaxHeapAttributeNumber * sizeof(bool));
		}
		bytes += KeepRow(&store, leaf, values, isnull) + sizeof(Event) + 64;
		e = EventListAdd(list);
		EventDecode(values, isnull, leaf->map, e);
		if (!LeafNext(leaf, consumed, ranges, nranges))
			live[best] = live[--nlive];
	}
	for (int i = 0; i < nleaves; i++)
	{
		index_endscan(leaves[i].scan);
		ExecDropSingleTupleTableSlot(leaves[i].slot);
		index_close(leaves[i].index, AccessShareLock);
		table_close(leaves[i].rel, NoLock);
	}
	PopActiveSnapshot();
	table_close(parent, NoLock);
	return list;
}
