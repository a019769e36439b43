/*
 * cursor.c
 *	  Where a lane of the stream stands, and which lane a subject is of.
 */
#include "event/event.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

int
SubjectLane(SubjectKind kind, Str subject, int lanes)
{
	return lanes <= 1 ? 0 :
		(int) (hash_combine(hash_bytes((const unsigned char *) subject.data, subject.len), murmurhash32(kind + 1)) % (uint32) lanes);
}

PG_FUNCTION_INFO_V1(subject_lane);
Datum
subject_lane(PG_FUNCTION_ARGS)
{
	text	   *subject = PG_GETARG_TEXT_PP(1);
	Str			s = {VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject)};
	int32		lanes = PG_GETARG_INT32(2);

	if (lanes < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d is not a number of lanes", lanes)));
	PG_RETURN_INT32(SubjectLane(SubjectKindFromOid(PG_GETARG_OID(0)), s, lanes));
}

/*
 * Which cluster and database stamps events now: transaction ids of another say nothing here. Derived from the system identifier,
 * which initdb draws (physical copies keep it, and with it their ids), and the database.
 */
int32
StreamEpoch(void)
{
	static int32 epoch = 0;

	if (epoch == 0)
	{
		uint64		origin[2] = {GetSystemIdentifier(), MyDatabaseId};

		epoch = (int32) (hash_bytes_extended((unsigned char *) origin, sizeof(origin), 0) & 0x7fffffff);
		epoch = Max(epoch, 1);
	}
	return epoch;
}

PG_FUNCTION_INFO_V1(stream_epoch);
Datum
stream_epoch(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(StreamEpoch());
}

/* The ids in quarantine of a lane, as a hash table of the current context; NULL if there are none. */
static HTAB *
LoadFailed(int lane)
{
	static SqlPlan failed = {"SELECT event_id FROM revops.failed_event WHERE lane = $1", 1, {INT4OID}};
	Datum		arg = Int32GetDatum(lane);
	uint64		rows = SqlRun(&failed, &arg, NULL);
	HTAB	   *table = NULL;

	if (rows > 0)
	{
		HASHCTL		ctl = {.keysize = sizeof(pg_uuid_t), .entrysize = sizeof(pg_uuid_t), .hcxt = CurrentMemoryContext};

		table = hash_create("revops failed events", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		for (uint64 r = 0; r < rows; r++)
		{
			bool		isnull;

			hash_search(table, DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 1, &isnull)),
						HASH_ENTER, NULL);
		}
	}
	SPI_freetuptable(SPI_tuptable);
	return table;
}

/* Not before the extension is updated to 1.0.1 */
bool
StreamHasPastUntil(void)
{
	return get_attnum(get_relname_relid("stream_lane", get_namespace_oid("revops", false)), "past_until") != InvalidAttrNumber;
}

Consumed *
ConsumedLoad(int lane, SubjectKind kind, Str subject)
{
	static SqlPlan load = {
		"SELECT lane, lanes, epoch, done::text, target::text, adopting, position_txid::text, position_id, past_epochs"
		" FROM revops.stream_lane ORDER BY lane", 0
	};
	Consumed   *c = palloc0(sizeof(Consumed));
	uint64		rows = SqlRun(&load, NULL, NULL);
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		d;

	c->current_epoch = StreamEpoch();
	c->epoch = c->current_epoch;
	if (rows > 0)
	{
		HeapTuple	tup = NULL;

		if (lane < 0)
			lane = SubjectLane(kind, subject, DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], desc, 2, &isnull)));
		for (uint64 r = 0; r < rows; r++)
			if (DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[r], desc, 1, &isnull)) == lane)
				tup = SPI_tuptable->vals[r];
		if (tup == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the stream has no lane %d", lane),
					 errhint("Restore table revops.stream_lane from a backup.")));
		c->epoch = DatumGetInt32(SPI_getbinval(tup, desc, 3, &isnull));
		c->done = TxSnapshotParse(SPI_getvalue(tup, desc, 4));
		if (SPI_getvalue(tup, desc, 5) != NULL)
			c->target = TxSnapshotParse(SPI_getvalue(tup, desc, 5));
		c->adopting = DatumGetBool(SPI_getbinval(tup, desc, 6, &isnull));
		if (SPI_getvalue(tup, desc, 7) != NULL)
			c->pos_txid = strtou64(SPI_getvalue(tup, desc, 7), NULL, 10);
		d = SPI_getbinval(tup, desc, 8, &isnull);
		if (!isnull)
			c->pos_id = *DatumGetUUIDP(d);
		d = SPI_getbinval(tup, desc, 9, &isnull);
		if (!isnull)
		{
			ArrayType  *a = DatumGetArrayTypePCopy(d);

			c->npast = ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a));
			c->past = palloc((c->npast + 1) * sizeof(int32));
			memcpy(c->past, ARR_DATA_PTR(a), c->npast * sizeof(int32));
		}
	}
	else
		c->done = TxSnapshotParse("1:1:");
	SPI_freetuptable(SPI_tuptable);
	c->came_back = PG_UINT64_MAX;
	for (int i = 0; i < c->npast; i++)
		if (c->past[i] == c->current_epoch && StreamHasPastUntil())
		{
			static SqlPlan until = {"SELECT u FROM revops.stream_lane, unnest(past_epochs, past_until) x (e, u) WHERE lane = $1 AND e = $2", 2, {INT4OID, INT4OID}};
			Datum		args[2] = {Int32GetDatum(lane), Int32GetDatum(c->current_epoch)};

			c->came_back = (uint64) SqlInt8(&until, args, NULL, -1);
		}
	c->failed = LoadFailed(Max(lane, 0));
	return c;
}
