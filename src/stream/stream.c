/*
 * stream.c
 *	  The one pass: a lane's batch of events through scores, moments and cards, in one transaction with the cursor.
 *
 * A pass locks its lane's row, so worker and process() never collide. It opens a batch (the events that a new snapshot sees and the
 * last one did not), or goes on with the one that is open, takes at most revops.batch_size events of it, and writes results and
 * cursor together. What it holds in memory is those events and what they add: bounded, whatever the backlog.
 *
 * An event whose analysis fails is found by halving the batch in subtransactions and put in quarantine; the rest goes on. Errors
 * that are not an event's (cancel, shutdown, out of memory or disk, locks) fail the pass, and it is tried again.
 *
 * Subjects that were asked to be repaired (identify(), a person's new account) are computed anew after the batch.
 */
#include "stream/pass.h"

#include "access/xact.h"
#include "attach/attach.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "moment/pass.h"
#include "score/score.h"
#include "score/signal.h"
#include "stream/reader.h"
#include "text/text.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"


static int	batch_size = STREAM_DEFAULT_BATCH;
static int	work_memory = STREAM_DEFAULT_MEMORY;	/* kB */

void		(*stream_report) (const char *what, int64 n) = NULL;

void
StreamInit(void)
{
	DefineCustomIntVariable("revops.batch_size",
							"Events that a pass of the stream takes at most.",
							NULL, &batch_size, STREAM_DEFAULT_BATCH, STREAM_MIN_BATCH, STREAM_MAX_BATCH,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("revops.batch_memory",
							"Memory that the events of a pass may take.",
							NULL, &work_memory, STREAM_DEFAULT_MEMORY, STREAM_MIN_MEMORY, STREAM_MAX_MEMORY,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
}

/* A background worker has no portal that brings a snapshot: push one, and say whether to pop it. */
static bool
NeedSnapshot(void)
{
	if (ActiveSnapshotSet())
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

int
StreamLanes(void)
{
	static SqlPlan lanes = {"SELECT count(*) FROM revops.stream_lane", 0};
	int			level,
				n;
	bool		pushed = NeedSnapshot();

	level = SqlConnect();
	n = (int) SqlInt8(&lanes, NULL, NULL, 0);
	SqlFinish(level);
	if (pushed)
		PopActiveSnapshot();
	return Max(n, 1);
}

/* The first lane. Rows that another cluster stamped make it that cluster's, with nothing taken: then they are adopted. */
static SqlPlan make_first_lane = {
	"INSERT INTO revops.stream_lane (lane, lanes, epoch, done)"
	" SELECT 0, 1, coalesce((SELECT e.epoch FROM revops.event e WHERE e.epoch <> revops.stream_epoch() LIMIT 1), revops.stream_epoch()), '1:1:'"
	" WHERE NOT EXISTS (SELECT FROM revops.stream_lane) ON CONFLICT DO NOTHING", 0
};

/*
 * Make the first lane, unless there is nothing to do yet. Nothing is made while rows of another cluster are there and we may not
 * adopt them: a restore may be under way, and its own lanes come with it. Returns false where there is no lane.
 */
static bool
FirstLane(bool adopt, bool *paused)
{
	static SqlPlan exists = {"SELECT count(*) FROM revops.stream_lane", 0};
	static SqlPlan any = {
		"SELECT (EXISTS (SELECT FROM revops.event) OR EXISTS (SELECT FROM revops.repair_request))::int::bigint", 0
	};
	static SqlPlan foreign_rows = {"SELECT EXISTS (SELECT FROM revops.event WHERE epoch <> revops.stream_epoch())::int::bigint", 0};

	if (SqlInt8(&exists, NULL, NULL, 0) > 0)
		return true;
	if (SqlInt8(&any, NULL, NULL, 0) == 0)
		return false;
	if (!adopt && SqlInt8(&foreign_rows, NULL, NULL, 0) > 0)
	{
		*paused = true;
		return false;
	}
	SqlRun(&make_first_lane, NULL, NULL);
	return true;
}

/* Lock the lane's row; false if it is not there, or busy. */
static bool
LockLane(int lane, bool nowait, bool *busy)
{
	static SqlPlan wait = {"SELECT lanes::bigint FROM revops.stream_lane WHERE lane = $1 FOR UPDATE", 1, {INT4OID}};
	static SqlPlan skip = {"SELECT lanes::bigint FROM revops.stream_lane WHERE lane = $1 FOR UPDATE SKIP LOCKED", 1, {INT4OID}};
	static SqlPlan exists = {"SELECT count(*) FROM revops.stream_lane WHERE lane = $1", 1, {INT4OID}};
	Datum		arg = Int32GetDatum(lane);

	if (SqlRun(nowait ? &skip : &wait, &arg, NULL) > 0)
		return true;
	*busy = nowait && SqlInt8(&exists, &arg, NULL, 0) > 0;
	return false;
}

/* What is committed now. What this transaction writes is not, also where others that began later have ended: it may go on writing. */
static TxSnapshot *
CurrentTxSnapshot(void)
{
	static SqlPlan current = {"SELECT pg_current_snapshot()::text", 0};
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	TxSnapshot *snap;

	SqlRun(&current, NULL, NULL);
	snap = TxSnapshotParse(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	if (FullTransactionIdIsValid(own) && TxSnapshotSees(snap, U64FromFullTransactionId(own)))
	{
		int			i = snap->nxip++;

		snap->xip = repalloc(snap->xip, snap->nxip * sizeof(uint64));
		for (; i > 0 && snap->xip[i - 1] > U64FromFullTransactionId(own); i--)
			snap->xip[i] = snap->xip[i - 1];
		snap->xip[i] = U64FromFullTransactionId(own);
		snap->xmin = Min(snap->xmin, snap->xip[i]);
	}
	return snap;
}

/* Write the cursor back. */
static void
SaveLane(const Pass *pass, int64 events)
{
	static SqlPlan save = {
		"UPDATE revops.stream_lane SET epoch = $2, done = $3::pg_snapshot, target = $4::pg_snapshot, adopting = $5,"
		" position_txid = $6::text::xid8, position_id = $7, past_epochs = $8, frontier = greatest(frontier, $9),"
		" events = events + $10, failed = failed + $11, passes = passes + ($10 > 0)::int, last_pass_at = revops.now()"
		" WHERE lane = $1",
		11, {INT4OID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, UUIDOID, INT4ARRAYOID, TIMESTAMPTZOID, INT8OID, INT8OID}
	};
	const Consumed *c = pass->consumed;
	Datum		v[11];
	bool		null[11] = {false};
	Datum	   *past = palloc((c->npast + 1) * sizeof(Datum));

	for (int i = 0; i < c->npast; i++)
		past[i] = Int32GetDatum(c->past[i]);
	v[0] = Int32GetDatum(pass->lane);
	v[1] = Int32GetDatum(c->epoch);
	v[2] = CStringGetTextDatum(TxSnapshotFormat(c->done));
	null[3] = c->target == NULL;
	v[3] = null[3] ? (Datum) 0 : CStringGetTextDatum(TxSnapshotFormat(c->target));
	v[4] = BoolGetDatum(c->adopting);
	null[5] = null[6] = c->pos_txid == 0;
	v[5] = CStringGetTextDatum(psprintf(UINT64_FORMAT, c->pos_txid));
	v[6] = UUIDPGetDatum(&c->pos_id);
	v[7] = PointerGetDatum(construct_array(past, c->npast, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	v[8] = TimestampTzGetDatum(pass->frontier);
	v[9] = Int64GetDatum(events);
	v[10] = Int64GetDatum(pass->failed);
	SqlRun(&save, v, null);
}

/* Does this event of the seller's side answer a card: something a person sent or said to the customer? */
static bool
IsAnswer(const Event *e)
{
	bool		answer = true;

	if (e->ahead || !StrEq(e->side, StrFrom("rep")) || e->rep.data == NULL || StrEq(e->channel, StrFrom("crm")) ||
		(e->person.data == NULL && e->account.data == NULL && e->opportunity.data == NULL))
		return false;
	if (e->properties != 0)
	{
		Jsonb	   *jb = DatumGetJsonbP(e->properties);
		JsonbValue *v;
		JsonbValue	buf;

		if (JB_ROOT_IS_OBJECT(jb))
		{
			v = getKeyJsonValueFromContainer(&jb->root, "automatic", 9, &buf);
			if (v != NULL && v->type == jbvBool && v->val.boolean)
				answer = false;
			v = getKeyJsonValueFromContainer(&jb->root, "direction", 9, &buf);
			if (v != NULL && v->type == jbvString && v->val.string.len == 7 && memcmp(v->val.string.val, "inbound", 7) == 0)
				answer = false;
		}
	}
	return answer;
}

static void
LoadConfiguration(Pass *pass, void *arg)
{
	(void) MomentRules();
	(void) Signals();
}

/*
 * Resolve a batch's events, once it is known which attributes of people and accounts the rules and signals ask for. If these do not
 * load, applying the batch will say so.
 */
static void
ResolveEvents(Pass *pass, EventList *list)
{
	(void) Guarded(pass, LoadConfiguration, NULL);
	EventResolve(list);
}

/* The batch's answers to the task room, all at once. */
static void
AnswerTasks(Pass *pass, const EventList *list, int from, int to)
{
	static SqlPlan answer = {
		"SELECT revops.answer_tasks($1, $2, $3, $4, $5, $6, $7, $8)",
		8, {INT4OID, INT4OID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, UUIDARRAYOID}
	};
	static SqlPlan open_cards = {"SELECT count(*) FROM (SELECT FROM revops.task LIMIT 1) x", 0};
	int			n = 0;
	Datum	   *v[6];
	bool	   *null[6];
	Datum		args[8];
	int			dims[1],
				lbs[1] = {1};
	static const Oid types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID};

	for (int i = from; i < to; i++)
		n += IsAnswer(&list->events[i]);
	if (n == 0 || SqlInt8(&open_cards, NULL, NULL, 0) == 0)
		return;
	for (int k = 0; k < 6; k++)
	{
		v[k] = palloc(n * sizeof(Datum));
		null[k] = palloc0(n * sizeof(bool));
	}
	n = 0;
	for (int i = from; i < to; i++)
	{
		const Event *e = &list->events[i];

		if (!IsAnswer(e))
			continue;
		v[0][n] = TextOrNull(e->rep, &null[0][n]);
		v[1][n] = TextOrNull(e->person, &null[1][n]);
		v[2][n] = TextOrNull(e->account, &null[2][n]);
		v[3][n] = TextOrNull(e->opportunity, &null[3][n]);
		v[4][n] = TimestampTzGetDatum(e->occurred_at);
		v[5][n++] = UUIDPGetDatum(&e->event_id);
	}
	dims[0] = n;
	args[0] = Int32GetDatum(pass->lane);
	args[1] = Int32GetDatum(pass->lanes);
	for (int k = 0; k < 6; k++)
		args[k + 2] = PointerGetDatum(construct_md_array(v[k], null[k], 1, dims, lbs, types[k],
														 k < 4 ? -1 : k == 4 ? 8 : UUID_LEN, k == 4,
														 k < 4 ? TYPALIGN_INT : k == 4 ? TYPALIGN_DOUBLE : TYPALIGN_CHAR));
	SqlRun(&answer, args, NULL);
	SPI_freetuptable(SPI_tuptable);
}

/* The answers that events gave to the cards of these moments before they were asked for */
void
AnswerMoments(Pass *pass, Datum moments)
{
	static SqlPlan since = {
		"SELECT DISTINCT ON (e.event_id) e.*"
		" FROM unnest($1) AS u (moment_id) CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m"
		" JOIN LATERAL (SELECT " EVENT_COLUMNS " FROM revops.event p WHERE p.person = m.person AND p.occurred_at >= m.occurred_at"
		" UNION ALL SELECT " EVENT_COLUMNS " FROM revops.event a WHERE a.account = m.account AND a.occurred_at >= m.occurred_at"
		" UNION ALL SELECT " EVENT_COLUMNS " FROM revops.event o WHERE o.opportunity = m.opportunity AND o.occurred_at >= m.occurred_at"
		/* and under another key: of a visitor who is identified since, or of another of the account's people */
		" UNION ALL SELECT r.* FROM (SELECT m.owner AS rep UNION ALL SELECT x.rep FROM revops.task t JOIN revops.rep x ON x.unit = t.unit"
		" WHERE t.subject = m.subject AND t.moment_id = m.moment_id AND t.owner IS NULL) w"
		" CROSS JOIN LATERAL (SELECT " EVENT_COLUMNS " FROM revops.event v WHERE v.rep = w.rep AND v.occurred_at >= m.occurred_at OFFSET 0) r)"
		" e (" EVENT_COLUMNS ") ON e.side = 'rep'"
		" WHERE m.occurred_at > revops.now() - current_setting('revops.task_max_age')::interval",
		1, {UUIDARRAYOID}
	};
	EventList	list = {0};

	SqlRun(&since, &moments, NULL);
	EventListTakeResult(&list, NULL);
	EventResolve(&list);
	AnswerTasks(pass, &list, 0, list.n);
}

/* A card may be answered already, where its moment was found late. */
void
WriteMoments(Pass *pass, MomentPass *moments, StagePass *stages)
{
	static SqlPlan cover = {"SELECT revops.cover_moments($1)", 1, {UUIDARRAYOID}};
	static SqlPlan open_tasks = {"SELECT revops.open_tasks($1)", 1, {UUIDARRAYOID}};
	static SqlPlan cancel_tasks = {"SELECT revops.cancel_tasks($1)", 1, {UUIDARRAYOID}};
	Datum		opened,
				retracted;
	int			nopened,
				nretracted;
	bool		isnull;

	MomentPassWrite(moments, &opened, &nopened, &retracted, &nretracted);
	ScoreMoments(opened, nopened, retracted, nretracted, pass->consumed);
	if (stages == NULL && nopened + nretracted > 0)
		stages = StageBegin(pass->lane, pass->lanes);
	StageFinish(stages, pass->consumed, opened, nopened, retracted, nretracted);
	if (nretracted > 0)
		SqlRun(&cancel_tasks, &retracted, NULL);
	if (nopened > 0)
	{
		SqlRun(&cover, &opened, NULL);
		SPI_freetuptable(SPI_tuptable);
		SqlRun(&open_tasks, &opened, NULL);
		if (DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)) > 0)
			AnswerMoments(pass, opened);
	}
}

/* The events [from, to) through all rooms; the cursor's position is after them. */
void
PassApply(Pass *pass, EventList *list, int from, int to)
{
	ScorePass  *scores = ScoreBegin(pass->lane, pass->lanes);
	MomentPass *moments = MomentPassBegin(pass->lane, pass->lanes);
	StagePass  *stages = StageBegin(pass->lane, pass->lanes);

	for (int i = from; i < to; i++)
	{
		Event	   *e = &list->events[i];

		if ((i & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		TextEvent(e, pass->lane, pass->lanes);
		ScoreEvent(scores, e);
		MomentPassEvent(moments, e);
		StageEvent(stages, e);
	}
	ScoreFinish(scores, pass->consumed);
	MomentPassFinish(moments, pass->consumed);
	TextWrite(list, from, to, pass->lane, pass->lanes);
	WriteMoments(pass, moments, stages);
	AnswerTasks(pass, list, from, to);
	pass->memory = Max(pass->memory, MemoryContextMemAllocated(CurrentMemoryContext, true));
}

typedef struct Texts
{
	EventList  *list;
	int			to;
	MemoryContext context;
} Texts;

/* Look at the words of the events from `to` on, as far as what they show fits the memory of a batch */
static void
ReadTexts(Pass *pass, void *arg)
{
	Texts	   *t = arg;
	MemoryContext old = MemoryContextSwitchTo(t->context);

	TextEvents(t->list, &t->to, (Size) work_memory * 1024, pass->lane, pass->lanes);
	MemoryContextSwitchTo(old);
}

/* A batch, in as many pieces as what its words show needs: mostly one. */
static void
ApplyBatch(Pass *pass, EventList *list)
{
	for (int from = 0; from < list->n;)
	{
		Texts		t = {list, from, AllocSetContextCreate(CurrentMemoryContext, "revops texts", ALLOCSET_DEFAULT_SIZES)};

		/* an event whose text fails will fail again when it is applied, alone */
		(void) Guarded(pass, ReadTexts, &t);
		t.to = Max(t.to, from + 1);
		ApplyHalving(pass, list, from, t.to);
		pass->memory = Max(pass->memory, MemoryContextMemAllocated(t.context, true));
		for (; from < t.to; from++)
		{
			list->events[from].intents = NULL;
			list->events[from].nintents = 0;
		}
		MemoryContextDelete(t.context);
	}
}

/* Everything of other clusters and databases is taken: these are past, and the present one begins, or goes on where it was left. */
static void
CloseAdoption(Consumed *c, int lane)
{
	static SqlPlan others = {"SELECT epoch, max(txid)::text::bigint FROM revops.event WHERE epoch <> $1 GROUP BY epoch", 1, {INT4OID}};
	static SqlPlan save = {"UPDATE revops.stream_lane SET past_until = $2 WHERE lane = $1", 2, {INT4OID, INT8ARRAYOID}};
	Datum		args[2] = {Int32GetDatum(c->current_epoch), 0};
	uint64		rows = SqlRun(&others, args, NULL);
	uint64		next = c->came_back == PG_UINT64_MAX ? 1 : c->came_back + 1;
	Datum	   *until = palloc((rows + 1) * sizeof(Datum));
	bool		isnull;

	c->past = palloc((rows + 1) * sizeof(int32));
	c->npast = 0;
	for (uint64 r = 0; r < rows; r++)
	{
		until[c->npast] = SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 2, &isnull);
		c->past[c->npast++] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 1, &isnull));
	}
	args[0] = Int32GetDatum(lane);
	args[1] = PointerGetDatum(construct_array(until, c->npast, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
	SPI_freetuptable(SPI_tuptable);
	if (StreamHasPastUntil())
		SqlRun(&save, args, NULL);
	c->adopting = false;
	c->epoch = c->current_epoch;
	c->done = TxSnapshotParse(psprintf(UINT64_FORMAT ":" UINT64_FORMAT ":", next, next));
}

/* All of the open batch is taken: what follows it. */
static void
CloseBatch(Consumed *c, int lane)
{
	if (c->adopting)
		CloseAdoption(c, lane);
	else
		c->done = c->target;
	c->target = NULL;
	c->pos_txid = 0;
}

/* Should an empty batch be written too? Now and then, so that the next one starts close by. */
static bool
WorthSaving(const TxSnapshot *was, const TxSnapshot *now)
{
	return now->xmax - was->xmax > 10000 || was->nxip > 100;
}

static PassResult
PassBody(int lane, int64 max_events, bool adopt, bool nowait, TxSnapshot *forced, int64 *repaired)
{
	static SqlPlan due = {"SELECT (revops.next_escalation_at() <= revops.now())::int::bigint", 0};
	static SqlPlan escalate = {"SELECT revops.escalate_due()::bigint", 0};
	static SqlPlan idle = {
		/* greatest() makes nothing of NULL: where nothing is due, there is no number */
		"SELECT CASE WHEN d.at IS NOT NULL THEN greatest(ceil(extract(epoch FROM d.at - revops.now()) * 1000), 0)::bigint END FROM (SELECT least("
		"(SELECT s.due_at FROM revops.moment_state s WHERE s.due_at IS NOT NULL AND revops.subject_lane(s.subject_kind, s.subject, $2) = $1 ORDER BY s.due_at LIMIT 1),"
		" CASE WHEN $1 = 0 THEN revops.next_escalation_at() END) AS at) d", 2, {INT4OID, INT4OID}
	};
	PassResult	result = {.idle = -1};
	Pass		pass = {0};
	EventList  *list;
	bool		exhausted,
				opened;
	int64		n;

	/* first what attached tables say; the events among it are for the pass after its commit */
	if (lane == 0 && forced == NULL)
		result.more = AttachApply(adopt);
	if (!FirstLane(adopt, &result.paused) || !LockLane(lane, nowait, &result.busy))
		return result;
	{
		static SqlPlan lanes = {"SELECT max(lanes)::bigint FROM revops.stream_lane", 0};

		pass.lanes = (int) SqlInt8(&lanes, NULL, NULL, 1);
	}
	pass.lane = lane;
	pass.advance = true;
	pass.frontier = DT_NOBEGIN;
	pass.consumed = ConsumedLoad(lane, 0, StrFrom(NULL));
	opened = pass.consumed->target == NULL;
	if (pass.consumed->epoch != pass.consumed->current_epoch)
	{
		if (!adopt)
		{
			result.paused = true;
			return result;
		}
		if (!pass.consumed->adopting)
		{
			/* an open batch of the old cluster is finished first, under its own epoch */
			if (opened)
			{
				pass.consumed->adopting = true;
				pass.consumed->target = CurrentTxSnapshot();
			}
		}
	}
	else if (opened)
		pass.consumed->target = forced != NULL ? forced : CurrentTxSnapshot();

	list = ReadBatch(pass.consumed, max_events > 0 ? Min(max_events, batch_size) : batch_size, (Size) work_memory * 1024, &exhausted);
	n = list->n;
	if (n > 0)
	{
		if (stream_report != NULL)
			stream_report("working off events", n);
		ResolveEvents(&pass, list);
		ApplyBatch(&pass, list);
		pass.memory += MemoryContextMemAllocated(CurrentMemoryContext, true);
	}
	if (exhausted)
	{
		TxSnapshot *was = pass.consumed->done;
		bool		save = n > 0 || pass.consumed->adopting || !opened || forced != NULL || WorthSaving(was, pass.consumed->target);
		bool		adopted = pass.consumed->adopting;

		CloseBatch(pass.consumed, lane);
		if (save)
			SaveLane(&pass, n);
		else
			pass.consumed->done = was;
		/* after a batch that was open before: what has come since; first what else an old cluster left */
		result.more = result.more || !opened || adopted || pass.consumed->epoch != pass.consumed->current_epoch;
	}
	else
	{
		SaveLane(&pass, n);
		result.more = true;
	}
	if (Repairs(&pass, repaired))
		result.more = true;
	if (StageRequests(&pass))
		result.more = true;
	if (!result.more && FireTimeouts(&pass))
		result.more = true;
	if (lane == 0 && SqlInt8(&due, NULL, NULL, 0) > 0)
		SqlInt8(&escalate, NULL, NULL, 0);
	if (!result.more)
	{
		Datum		args[2] = {Int32GetDatum(lane), Int32GetDatum(pass.lanes)};

		result.idle = SqlInt8(&idle, args, NULL, -1);
	}
	result.events = n;
	result.memory = pass.memory;
	return result;
}

static PassResult
StreamPassTo(int lane, int64 max_events, bool adopt, bool nowait, TxSnapshot *forced, int64 *repaired)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops pass", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	PassResult	result;
	bool		pushed = NeedSnapshot();
	int			level = SqlConnect();

	old = MemoryContextSwitchTo(context);
	result = PassBody(lane, max_events, adopt, nowait, forced, repaired);
	MemoryContextSwitchTo(old);
	SqlFinish(level);
	if (pushed)
		PopActiveSnapshot();
	MemoryContextDelete(context);
	return result;
}

PassResult
StreamPass(int lane, int64 max_events, bool adopt, bool nowait)
{
	return StreamPassTo(lane, max_events, adopt, nowait, NULL, NULL);
}

/* A pass opens snapshots of its own: a transaction that keeps its first one would read stale cursors. */
static void
CheckIsolation(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s needs a READ COMMITTED transaction", function),
				 errhint("Run it with SET TRANSACTION ISOLATION LEVEL READ COMMITTED.")));
}

PG_FUNCTION_INFO_V1(stream_process);
Datum
stream_process(PG_FUNCTION_ARGS)
{
	int64		max_events = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64		done = 0;
	int			lanes;

	CheckIsolation("revops.process()");
	if (!PG_ARGISNULL(0) && max_events < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be at least 1, not " INT64_FORMAT, max_events),
				 errhint("Leave it out to process all that waits.")));
	lanes = StreamLanes();
	for (int lane = 0; lane < lanes; lane++)
	{
		int64		mine = 0,
					repaired = 0;
		PassResult	r;

		do
		{
			CHECK_FOR_INTERRUPTS();
			r = StreamPassTo(lane, max_events > 0 ? max_events - mine : 0, true, false, NULL, &repaired);
			mine += r.events;
		} while (r.more && (max_events == 0 || mine < max_events));
		done = Max(done, mine);
	}
	PG_RETURN_INT64(done);
}

/* The events of a lane that are in quarantine, each on its own. */
static int64
RetryLane(int lane)
{
	static SqlPlan failed = {
		"SELECT " EVENT_COLUMNS " FROM revops.event WHERE event_id IN (SELECT f.event_id FROM revops.failed_event f WHERE f.lane = $1)"
		" ORDER BY occurred_at, event_id", 1, {INT4OID}
	};
	static SqlPlan lanes = {"SELECT max(lanes)::bigint FROM revops.stream_lane", 0};
	static SqlPlan release = {"DELETE FROM revops.failed_event WHERE event_id = $1 AND lane = $2", 2, {UUIDOID, INT4OID}};
	Datum		args[2] = {Int32GetDatum(lane)};
	Pass		pass = {0};
	EventList	list = {0};
	bool		busy;
	int64		done = 0;

	if (!LockLane(lane, false, &busy))
		return 0;
	pass.lane = lane;
	pass.lanes = (int) SqlInt8(&lanes, NULL, NULL, 1);
	pass.frontier = DT_NOBEGIN;
	pass.consumed = ConsumedLoad(lane, 0, StrFrom(NULL));
	SqlRun(&failed, args, NULL);
	EventListTakeResult(&list, NULL);
	ResolveEvents(&pass, &list);
	for (int i = 0; i < list.n; i++)
	{
		int64		before = pass.failed;

		hash_search(pass.consumed->failed, &list.events[i].event_id, HASH_REMOVE, NULL);
		ApplyHalving(&pass, &list, i, i + 1);
		if (pass.failed == before)
		{
			args[0] = UUIDPGetDatum(&list.events[i].event_id);
			args[1] = Int32GetDatum(lane);
			SqlRun(&release, args, NULL);
			done++;
		}
	}
	return done;
}

PG_FUNCTION_INFO_V1(stream_retry_failed);
Datum
stream_retry_failed(PG_FUNCTION_ARGS)
{
	static SqlPlan repairs = {"UPDATE revops.repair_request SET error = NULL WHERE error IS NOT NULL", 0};
	int			lanes;
	int64		done = 0;
	int			level;

	CheckIsolation("revops.retry_failed()");
	lanes = StreamLanes();
	level = SqlConnect();
	for (int lane = 0; lane < lanes; lane++)
		done += RetryLane(lane);
	SqlRun(&repairs, NULL, NULL);
	SqlFinish(level);
	PG_RETURN_INT64(done);
}

/*
 * set_lanes(n): bring all lanes to one snapshot, then split the stream anew.
 */
PG_FUNCTION_INFO_V1(stream_set_lanes);
Datum
stream_set_lanes(PG_FUNCTION_ARGS)
{
	static SqlPlan rows = {"SELECT lane::bigint FROM revops.stream_lane ORDER BY lane FOR UPDATE", 0};
	static SqlPlan lock = {"LOCK TABLE revops.stream_lane IN SHARE ROW EXCLUSIVE MODE", 0};
	static SqlPlan failed = {"SELECT count(*) FROM revops.failed_event", 0};
	static SqlPlan drop = {"DELETE FROM revops.stream_lane WHERE lane >= $1", 1, {INT4OID}};
	static SqlPlan add = {
		"INSERT INTO revops.stream_lane (lane, lanes, epoch, done, past_epochs, frontier, events, passes, last_pass_at)"
		" SELECT g, $1, epoch, done, past_epochs, frontier, events, passes, last_pass_at"
		" FROM revops.stream_lane, generate_series($2::int, $1 - 1) g WHERE lane = 0",
		2, {INT4OID, INT4OID}
	};
	static SqlPlan copy = {"UPDATE revops.stream_lane SET past_until = (SELECT past_until FROM revops.stream_lane WHERE lane = 0)", 0};
	static SqlPlan count = {"UPDATE revops.stream_lane SET lanes = $1", 1, {INT4OID}};
	int32		n = PG_GETARG_INT32(0);
	int			was,
				level;
	Datum		args[2] = {Int32GetDatum(n)};
	TxSnapshot *target;

	CheckIsolation("revops.set_lanes()");
	if (n < 1 || n > STREAM_MAX_LANES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the stream can have 1 to %d lanes, not %d", STREAM_MAX_LANES, n)));
	level = SqlConnect();
	/* passes under way end first: one that holds its row needs the table once more, to save it */
	SqlRun(&rows, NULL, NULL);
	SqlRun(&lock, NULL, NULL);
	if (SqlInt8(&failed, NULL, NULL, 0) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("events are in quarantine, and belong to the present lanes"),
				 errhint("Mend their cause and SELECT revops.retry_failed(), or delete them from revops.failed_event.")));
	SqlRun(&make_first_lane, NULL, NULL);
	SqlFinish(level);
	was = StreamLanes();

	/* first what is open, then all lanes to the same end */
	for (int round = 0; round < 2; round++)
	{
		level = SqlConnect();
		target = round == 0 ? NULL : CurrentTxSnapshot();
		if (target != NULL)
		{
			char	   *text = TxSnapshotFormat(target);
			char	   *kept = MemoryContextStrdup(CurTransactionContext, text);

			SqlFinish(level);
			target = TxSnapshotParse(kept);
		}
		else
			SqlFinish(level);
		for (int lane = 0; lane < was; lane++)
		{
			int64		repaired = 0;

			while (StreamPassTo(lane, 0, true, false, target, &repaired).more)
				CHECK_FOR_INTERRUPTS();
		}
	}
	level = SqlConnect();
	/* of what was worked off just now */
	if (SqlInt8(&failed, NULL, NULL, 0) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("events of the backlog failed, and would belong to lanes that are no more"),
				 errhint("Let the worker, or revops.process(), put them in quarantine; mend their cause, SELECT revops.retry_failed(), and try again.")));
	if (n < was)
		SqlRun(&drop, args, NULL);
	else if (n > was)
	{
		args[1] = Int32GetDatum(was);
		SqlRun(&add, args, NULL);
		if (StreamHasPastUntil())
			SqlRun(&copy, NULL, NULL);
	}
	SqlRun(&count, args, NULL);
	SqlFinish(level);
	PG_RETURN_INT32(was);
}
