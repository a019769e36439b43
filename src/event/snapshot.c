/*
 * snapshot.c
 *	  Arithmetic of transaction snapshots: which events a lane has taken.
 *
 * A batch is what is visible in a later snapshot and was not in an earlier one, by the transaction id that each event carries
 * (the method of PgQ). Ids mean nothing in another cluster, so each event also carries an epoch: which cluster and database
 * stamped it. A lane knows its epoch's snapshot; of an epoch that has passed, it has taken everything.
 */
#include "event/event.h"

#include "lib/stringinfo.h"
#include "utils/hsearch.h"

static void
BadSnapshot(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the stream's cursor \"%s\" is not a snapshot", text),
			 errhint("Restore table revops.stream_lane from a backup.")));
}

/* Read the text form of pg_snapshot: xmin:xmax:xip,xip,... */
TxSnapshot *
TxSnapshotParse(const char *text)
{
	TxSnapshot *snap = palloc0(sizeof(TxSnapshot));
	const char *p = text;
	char	   *end;
	int			max = 1;

	for (const char *c = text; *c; c++)
		max += *c == ',';
	snap->xip = palloc(max * sizeof(uint64));
	snap->xmin = strtou64(p, &end, 10);
	if (end == p || *end != ':')
		BadSnapshot(text);
	p = end + 1;
	snap->xmax = strtou64(p, &end, 10);
	if (end == p || *end != ':' || snap->xmax < snap->xmin)
		BadSnapshot(text);
	p = end + 1;
	while (*p)
	{
		uint64		xid = strtou64(p, &end, 10);

		if (end == p || (*end != ',' && *end != '\0') ||
			(snap->nxip > 0 && xid <= snap->xip[snap->nxip - 1]))
			BadSnapshot(text);
		snap->xip[snap->nxip++] = xid;
		p = *end ? end + 1 : end;
	}
	return snap;
}

char *
TxSnapshotFormat(const TxSnapshot *snap)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, UINT64_FORMAT ":" UINT64_FORMAT ":", snap->xmin, snap->xmax);
	for (int i = 0; i < snap->nxip; i++)
		appendStringInfo(&buf, i ? "," UINT64_FORMAT : UINT64_FORMAT, snap->xip[i]);
	return buf.data;
}

bool
TxSnapshotSees(const TxSnapshot *snap, uint64 txid)
{
	int			lo = 0,
				hi = snap->nxip;

	if (txid < snap->xmin)
		return true;
	if (txid >= snap->xmax)
		return false;
	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (snap->xip[mid] == txid)
			return false;
		if (snap->xip[mid] < txid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return true;
}

static bool
AfterPosition(const Consumed *c, uint64 txid, const pg_uuid_t *id)
{
	if (txid != c->pos_txid)
		return txid > c->pos_txid;
	return memcmp(id->data, c->pos_id.data, UUID_LEN) > 0;
}

/* Has the lane taken this event? */
bool
ConsumedHas(const Consumed *c, int32 epoch, uint64 txid, const pg_uuid_t *id)
{
	if (c->failed != NULL && hash_search(c->failed, id, HASH_FIND, NULL) != NULL)
		return false;
	if (epoch == c->epoch)
	{
		if (TxSnapshotSees(c->done, txid))
			return true;
		if (c->target == NULL || (!c->adopting && !TxSnapshotSees(c->target, txid)))
			return false;
		return c->pos_txid != 0 && !AfterPosition(c, txid, id);
	}
	for (int i = 0; i < c->npast; i++)
		if (c->past[i] == epoch)	/* a restore may have come back here, where transactions go on */
			return epoch != c->current_epoch || txid <= c->came_back;
	return c->adopting && epoch != c->current_epoch && c->pos_txid != 0 && !AfterPosition(c, txid, id);
}
