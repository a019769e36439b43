/*
 * writer.c
 *	  Keyed rows, straight through the table and its indexes.
 */
#include "base/writer.h"

#include "access/brin_internal.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

/* The executor asks its range table which columns an update sets. */
static void
InitRangeTable(EState *estate, Relation rel)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000	/* 16 moved permissions, and the columns with them, out of the entry */
	{
		List	   *perminfos = NIL;

		addRTEPermissionInfo(&perminfos, rte);
#if PG_VERSION_NUM >= 180000	/* 18 asks which relations pruning left */
		ExecInitRangeTable(estate, list_make1(rte), perminfos, bms_make_singleton(1));
#else
		ExecInitRangeTable(estate, list_make1(rte), perminfos);
#endif
	}
#else
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

/* Is an entry of the index no more than columns of the row, and wanted at once? */
static bool
IsPlainIndex(const IndexInfo *info)
{
	if (info->ii_Expressions != NIL || info->ii_ExclusionOps != NULL || !info->ii_ReadyForInserts)
		return false;
	for (int k = 0; k < info->ii_NumIndexAttrs; k++)
		if (info->ii_IndexAttrNumbers[k] <= 0)
			return false;
	return true;
}

TableWriter *
TableWriterOpen(const char *table)
{
	TableWriter *w = palloc0(sizeof(TableWriter));
	Oid			pkid;

	w->context = CurrentMemoryContext;
	w->rel = RevopsTableOpen(table, RowExclusiveLock, &pkid);
	w->estate = CreateExecutorState();
	InitRangeTable(w->estate, w->rel);
	w->rri = makeNode(ResultRelInfo);
	InitResultRelInfo(w->rri, w->rel, 1, NULL, 0);
	ExecOpenIndices(w->rri, false);
	EvalPlanQualInit(&w->epqstate, w->estate, NULL, NIL, -1
#if PG_VERSION_NUM >= 160000
					 ,NIL		/* 16 added the result relations */
#endif
		);
	AfterTriggerBeginQuery();

	w->pk = index_open(pkid, RowExclusiveLock);
	w->nkeys = IndexRelationGetNumberOfKeyAttributes(w->pk);
	for (int i = 0; i < w->nkeys; i++)
	{
		Oid			opfamily = w->pk->rd_opfamily[i];
		Oid			type = w->pk->rd_opcintype[i];
		Oid			eq = get_opfamily_member(opfamily, type, type, BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&w->keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid,
							   w->pk->rd_indcollation[i], get_opcode(eq), (Datum) 0);
	}
	w->scan = REVOPS_INDEX_BEGINSCAN(w->rel, w->pk, SnapshotSelf, w->nkeys);
	w->found = table_slot_create(w->rel, NULL);
	w->slot = MakeSingleTupleTableSlot(RelationGetDescr(w->rel), &TTSOpsVirtual);
	w->singly = w->rri->ri_TrigDesc != NULL || w->rel->rd_rel->relispartition ||
		(RelationGetDescr(w->rel)->constr != NULL && RelationGetDescr(w->rel)->constr->has_generated_stored);
	w->plain_indexes = true;
	for (int i = 0; i < w->rri->ri_NumIndices; i++)
	{
		IndexInfo  *info = w->rri->ri_IndexRelationInfo[i];

		w->plain_indexes = w->plain_indexes && IsPlainIndex(info) && w->rri->ri_IndexRelationDescs[i]->rd_index->indimmediate;
		if (info->ii_Predicate != NIL)
			info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, w->estate);
	}
	return w;
}

bool
TableWriterFind(TableWriter *w, const Datum *key)
{
	/* what the scan allocates on the way must live as long as it does */
	MemoryContext old = MemoryContextSwitchTo(w->context);
	bool		found;

	for (int i = 0; i < w->nkeys; i++)
		w->keys[i].sk_argument = key[i];
	index_rescan(w->scan, w->keys, w->nkeys, NULL, 0);
	found = index_getnext_slot(w->scan, ForwardScanDirection, w->found);
	if (found)
		slot_getallattrs(w->found);
	MemoryContextSwitchTo(old);
	return found;
}

void
TableWriterPut(TableWriter *w, bool update, const Datum *values, const bool *isnull)
{
	int			natts = RelationGetDescr(w->rel)->natts;

	CHECK_FOR_INTERRUPTS();
	ExecClearTuple(w->slot);
	memcpy(w->slot->tts_values, values, natts * sizeof(Datum));
	memcpy(w->slot->tts_isnull, isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(w->slot);
	ResetPerTupleExprContext(w->estate);
	if (update)
		ExecSimpleRelationUpdate(w->rri, w->estate, &w->epqstate, w->found, w->slot);
	else
		ExecSimpleRelationInsert(w->rri, w->estate, w->slot);
}

/* Does a partial index have the row? */
static bool
HasRow(TableWriter *w, const IndexInfo *info, TupleTableSlot *slot)
{
	ExprContext *context;

	if (info->ii_PredicateState == NULL)
		return true;
	context = GetPerTupleExprContext(w->estate);
	context->ecxt_scantuple = slot;
	return ExecQual(info->ii_PredicateState, context);
}

/* Does the index keep the least and greatest time of each range of pages? */
static bool
KeepsExtremes(Relation index, const IndexInfo *info)
{
	return index->rd_rel->relam == BRIN_AM_OID && info->ii_Predicate == NIL && index->rd_index->indnatts == 1 && index->rd_opcintype[0] == TIMESTAMPTZOID &&
		index_getprocid(index, 1, BRIN_PROCNUM_OPCINFO) == F_BRIN_MINMAX_OPCINFO;
}

static void
InsertEntry(TableWriter *w, int i, TupleTableSlot *slot)
{
	Relation	index = w->rri->ri_IndexRelationDescs[i];
	IndexInfo  *info = w->rri->ri_IndexRelationInfo[i];
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!HasRow(w, info, slot))
		return;
	for (int k = 0; k < info->ii_NumIndexAttrs; k++)
		values[k] = slot_getattr(slot, info->ii_IndexAttrNumbers[k], &isnull[k]);
	(void) index_insert(index, values, isnull, &slot->tts_tid, w->rel, index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
}

/* Such an index asks for no more than the extremes of each page: what lies between them changes nothing. */
static void
InsertExtremes(TableWriter *w, int index)
{
	AttrNumber	column = w->rri->ri_IndexRelationInfo[index]->ii_IndexAttrNumbers[0];

	for (int from = 0, to; from < w->nadded; from = to)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&w->added[from]->tts_tid);
		int			least = -1,
					greatest = -1,
					unknown = -1;
		TimestampTz first = DT_NOEND,
					last = DT_NOBEGIN;

		for (to = from; to < w->nadded && ItemPointerGetBlockNumber(&w->added[to]->tts_tid) == block; to++)
		{
			bool		isnull;
			TimestampTz t = DatumGetTimestampTz(slot_getattr(w->added[to], column, &isnull));

			if (isnull)
			{
				unknown = to;
				continue;
			}
			if (least < 0 || t < first)
			{
				least = to;
				first = t;
			}
			if (greatest < 0 || t > last)
			{
				greatest = to;
				last = t;
			}
		}
		if (least >= 0)
			InsertEntry(w, index, w->added[least]);
		if (greatest != least)
			InsertEntry(w, index, w->added[greatest]);
		if (unknown >= 0)
			InsertEntry(w, index, w->added[unknown]);
	}
}

/* Put the rows' entries aside, to be inserted in the index's own order when the writer is closed: each of its pages is then come to once. */
static void
SortEntries(TableWriter *w, int i)
{
	Relation	index = w->rri->ri_IndexRelationDescs[i];
	const IndexInfo *info = w->rri->ri_IndexRelationInfo[i];
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (w->sorts == NULL)
		w->sorts = MemoryContextAllocZero(w->context, w->rri->ri_NumIndices * sizeof(Tuplesortstate *));
	if (w->sorts[i] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(w->context);

		w->sorts[i] = tuplesort_begin_index_btree(w->rel, index, false, false, WRITER_SORT_MEMORY, NULL, TUPLESORT_NONE);
		MemoryContextSwitchTo(old);
	}
	for (int r = 0; r < w->nadded; r++)
	{
		if (!HasRow(w, info, w->added[r]))
			continue;
		for (int k = 0; k < info->ii_NumIndexAttrs; k++)
			values[k] = slot_getattr(w->added[r], info->ii_IndexAttrNumbers[k], &isnull[k]);
		tuplesort_putindextuplevalues(w->sorts[i], index, &w->added[r]->tts_tid, values, isnull);
	}
}

static void
InsertSorted(TableWriter *w, int i)
{
	Relation	index = w->rri->ri_IndexRelationDescs[i];
	MemoryContext old = CurrentMemoryContext;
	IndexTuple	entry;
	int			n = 0;

	tuplesort_performsort(w->sorts[i]);
	while ((entry = tuplesort_getindextuple(w->sorts[i], true)) != NULL)
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		CHECK_FOR_INTERRUPTS();
		if ((n++ & 1023) == 0)
			ResetPerTupleExprContext(w->estate);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(w->estate));
		index_deform_tuple(entry, RelationGetDescr(index), values, isnull);
		(void) index_insert(index, values, isnull, &entry->t_tid, w->rel, UNIQUE_CHECK_NO, false, w->rri->ri_IndexRelationInfo[i]);
		MemoryContextSwitchTo(old);
	}
	tuplesort_end(w->sorts[i]);
	w->sorts[i] = NULL;
}

/* The entries of the rows that were written, one index after the other, so that each finds its pages in the cache. more: other rows will follow. */
static void
WriteEntries(TableWriter *w, bool more)
{
	for (int i = 0; i < w->rri->ri_NumIndices; i++)
	{
		Relation	index = w->rri->ri_IndexRelationDescs[i];

		if (KeepsExtremes(index, w->rri->ri_IndexRelationInfo[i]))
			InsertExtremes(w, i);
		else if (index->rd_rel->relam == BTREE_AM_OID && !index->rd_index->indisunique && (more || (w->sorts != NULL && w->sorts[i] != NULL)))
			SortEntries(w, i);
		else
			for (int r = 0; r < w->nadded; r++)
			{
				CHECK_FOR_INTERRUPTS();
				InsertEntry(w, i, w->added[r]);
			}
	}
}

/* Write the rows that wait: whole pages to the log at once, then the indexes. more: others will follow. */
static void
WriteAdded(TableWriter *w, bool more)
{
	MemoryContext old;

	if (w->nadded == 0)
		return;
	ResetPerTupleExprContext(w->estate);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(w->estate));
	table_multi_insert(w->rel, w->added, w->nadded, GetCurrentCommandId(true), 0, NULL);
	if (w->plain_indexes)
		WriteEntries(w, more);
	for (int i = 0; i < w->nadded; i++)
	{
		if (!w->plain_indexes)
		{
			CHECK_FOR_INTERRUPTS();
			ResetPerTupleExprContext(w->estate);
			(void) ExecInsertIndexTuples(w->rri, w->added[i], w->estate, false, false, NULL, NIL
#if PG_VERSION_NUM >= 160000	/* 16 can leave out the indexes that do not summarize */
										 ,false
#endif
				);
		}
		ExecClearTuple(w->added[i]);
	}
	MemoryContextSwitchTo(old);
	w->nadded = 0;
	w->added_bytes = 0;
}

/* What ExecSimpleRelationInsert does for a row, but for the writing. */
void
TableWriterAdd(TableWriter *w, const Datum *values, const bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(w->rel);
	TupleTableSlot *slot;
	MemoryContext old;
	HeapTuple	tup;
	bool		copied;

	if (w->singly)
	{
		TableWriterPut(w, false, values, isnull);
		return;
	}
	CHECK_FOR_INTERRUPTS();
	old = MemoryContextSwitchTo(w->context);
	if (w->added == NULL)
		w->added = palloc0(WRITER_MAX_ROWS * sizeof(TupleTableSlot *));
	if (w->added[w->nadded] == NULL)
		w->added[w->nadded] = table_slot_create(w->rel, NULL);
	MemoryContextSwitchTo(old);
	slot = w->added[w->nadded];
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, desc->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, isnull, desc->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	if (desc->constr != NULL)
		ExecConstraints(w->rri, slot, w->estate);
	tup = ExecFetchSlotHeapTuple(slot, true, &copied);
	w->nadded++;
	w->added_bytes += tup->t_len;
	if (copied)
		heap_freetuple(tup);
	if (w->nadded == WRITER_MAX_ROWS || w->added_bytes > WRITER_MAX_BYTES)
		WriteAdded(w, true);
}

void
TableWriterDelete(TableWriter *w)
{
	ResetPerTupleExprContext(w->estate);
	ExecSimpleRelationDelete(w->rri, w->estate, &w->epqstate, w->found);
}

/* Close, and make what was written visible to what follows in this transaction. */
void
TableWriterClose(TableWriter *w)
{
	WriteAdded(w, false);
	for (int i = 0; w->sorts != NULL && i < w->rri->ri_NumIndices; i++)
		if (w->sorts[i] != NULL)
			InsertSorted(w, i);
	index_endscan(w->scan);
	for (int i = 0; w->added != NULL && i < WRITER_MAX_ROWS && w->added[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(w->added[i]);
	ExecDropSingleTupleTableSlot(w->found);
	ExecDropSingleTupleTableSlot(w->slot);
	index_close(w->pk, NoLock);
	AfterTriggerEndQuery(w->estate);
	EvalPlanQualEnd(&w->epqstate);
	ExecCloseIndices(w->rri);
	ExecResetTupleTable(w->estate->es_tupleTable, false);
	FreeExecutorState(w->estate);
	table_close(w->rel, NoLock);
	CommandCounterIncrement();
}
