/*
 * lookup.c
 *	  Rows by key, for a pass that asks for ten thousand. A join would be planned once, for a few keys or for many; here it is seen each time which is
 *	  cheaper: each key through the index, in ascending order so that it finds its pages in the cache, or the table read through once.
 */
#include "base/lookup.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

typedef struct AskedKey
{
	Str			key;
	uint32		hash;
	char		status;
	int			n;
} AskedKey;

#define SH_PREFIX asked
#define SH_ELEMENT_TYPE AskedKey
#define SH_KEY_TYPE Str
#define SH_KEY key
#define SH_HASH_KEY(tb, k) hash_bytes((const unsigned char *) (k).data, (k).len)
#define SH_EQUAL(tb, a, b) StrEq(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct Lookup
{
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	AttrNumber	key;
	int			ncolumns;
	AttrNumber	columns[LOOKUP_MAX_COLUMNS];
	const Str  *keys;
	int			n;
	Str		   *values;
} Lookup;

/* Copy the columns of the row in the slot, which is that of key n */
static void
TakeRow(Lookup *l, int n)
{
	for (int c = 0; c < l->ncolumns; c++)
	{
		bool		isnull;
		Datum		d = slot_getattr(l->slot, l->columns[c], &isnull);
		Str		   *s = &l->values[(size_t) n * l->ncolumns + c];
		struct varlena *v;

		if (isnull)
			continue;
		v = PG_DETOAST_DATUM_PACKED(d);
		s->len = VARSIZE_ANY_EXHDR(v);
		s->data = memcpy(palloc(s->len + 1), VARDATA_ANY(v), s->len);
	}
}

static int
KeyCmp(const void *a, const void *b, void *arg)
{
	const Str  *keys = arg;

	return StrCmp(keys[*(const int *) a], keys[*(const int *) b]);
}

static void
ByIndex(Lookup *l, Snapshot snapshot)
{
	int		   *order = MemoryContextAllocHuge(CurrentMemoryContext, l->n * sizeof(int));
	IndexScanDesc scan = REVOPS_INDEX_BEGINSCAN(l->rel, l->index, snapshot, 1);
	ScanKeyData equals;
	StringInfoData argument;

	for (int i = 0; i < l->n; i++)
		order[i] = i;
	qsort_arg(order, l->n, sizeof(int), KeyCmp, unconstify(Str *, l->keys));
	ScanKeyEntryInitialize(&equals, 0, 1, BTEqualStrategyNumber, InvalidOid, l->index->rd_indcollation[0], F_TEXTEQ, (Datum) 0);
	initStringInfo(&argument);
	for (int i = 0; i < l->n; i++)
	{
		Str			key = l->keys[order[i]];

		CHECK_FOR_INTERRUPTS();
		enlargeStringInfo(&argument, VARHDRSZ + key.len);
		SET_VARSIZE(argument.data, VARHDRSZ + key.len);
		memcpy(VARDATA(argument.data), key.data, key.len);
		equals.sk_argument = PointerGetDatum(argument.data);
		index_rescan(scan, &equals, 1, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, l->slot))
			TakeRow(l, order[i]);
	}
	index_endscan(scan);
	pfree(argument.data);
	pfree(order);
}

static void
ByScan(Lookup *l, Snapshot snapshot)
{
	asked_hash *asked = asked_create(CurrentMemoryContext, l->n, NULL);
	TableScanDesc scan = table_beginscan(l->rel, snapshot, 0, NULL);

	for (int i = 0; i < l->n; i++)
	{
		bool		found;

		asked_insert(asked, l->keys[i], &found)->n = i;
	}
	while (table_scan_getnextslot(scan, ForwardScanDirection, l->slot))
	{
		bool		isnull;
		Datum		d = slot_getattr(l->slot, l->key, &isnull);
		struct varlena *v;
		AskedKey   *k;

		CHECK_FOR_INTERRUPTS();
		if (isnull)
			continue;
		v = PG_DETOAST_DATUM_PACKED(d);
		k = asked_lookup(asked, (Str) {VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v)});
		if (k != NULL)
			TakeRow(l, k->n);
		if (v != (struct varlena *) DatumGetPointer(d))
			pfree(v);
	}
	table_endscan(scan);
	asked_destroy(asked);
}

static AttrNumber
ColumnNamed(Relation rel, const char *column)
{
	AttrNumber	n = get_attnum(RelationGetRelid(rel), column);

	if (n <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table revops.%s lacks the column \"%s\"", RelationGetRelationName(rel), column),
				 errhint("Reinstall the extension pg_revops.")));
	return n;
}

void
TableLookup(const char *table, const Str *keys, int n, const char *const *columns, int ncolumns, Str *values)
{
	Lookup		l = {.ncolumns = ncolumns, .keys = keys, .n = n, .values = values};
	Oid			pkid;
	Snapshot	snapshot;

	Assert(ncolumns <= LOOKUP_MAX_COLUMNS);
	l.rel = RevopsTableOpen(table, AccessShareLock, &pkid);
	if (pg_class_aclcheck(RelationGetRelid(l.rel), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, table);
	memset(values, 0, (size_t) n * ncolumns * sizeof(Str));
	l.index = index_open(pkid, AccessShareLock);
	l.key = l.index->rd_index->indkey.values[0];
	for (int c = 0; c < ncolumns; c++)
		l.columns[c] = ColumnNamed(l.rel, columns[c]);
	l.slot = table_slot_create(l.rel, NULL);
	/* as a statement would */
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	if (RelationGetNumberOfBlocks(l.rel) <= n / LOOKUP_KEYS_A_PAGE)
		ByScan(&l, snapshot);
	else
		ByIndex(&l, snapshot);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(l.slot);
	index_close(l.index, AccessShareLock);
	table_close(l.rel, AccessShareLock);
}
