/*
 * pass.c
 *	  A pass of the stream through the filters of its opportunities.
 *
 * Each opportunity has a row: its probabilities after the last piece of evidence, and where in time that was (the frontier). Evidence is in the
 * order of (time, class, id): events (their kind, then the intents of their body by name), moments, changes of the record. What is after the
 * frontier goes through the filter at once; anything else makes the opportunity be filtered anew from its history, as is done where there
 * is no row, another model is deployed, a moment is retracted, or the record changes (revops.stage_request). So the row is a function of
 * the evidence alone. A moment of an opportunity that is another lane's is put to the requests: that lane writes the row.
 */
#include "stage/stage.h"

#include "base/writer.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "stage/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define CHUNK			1000	/* opportunities whose rows are in memory at once */
#define MAX_EVIDENCE	8		/* what a row keeps of what spoke for its stage */
#define SPEAKS			0.02	/* for a stage: that makes it so much more probable */

typedef enum Class
{
	CLASS_REDO = -1,
	CLASS_EVENT,
	CLASS_MOMENT,
	CLASS_RECORD
} Class;

typedef struct Evidence
{
	Str			opportunity;
	TimestampTz at;
	Class		class;
	pg_uuid_t	id;
	const Event *event;
	Str			name;			/* rule of a moment, stage of a record */
} Evidence;

typedef struct EvidenceList
{
	int			n;
	int			max;
	Evidence   *items;
} EvidenceList;

/* An opportunity's row */
typedef struct State
{
	Str			opportunity;
	char	   *pipeline;
	pg_uuid_t	model;
	TimestampTz at;				/* the frontier */
	Class		class;
	pg_uuid_t	id;
	StageFilter f;
	int			nstages;
	int			best;
	char	   *stage;			/* its name */
	TimestampTz since;
	TimestampTz seen_at;		/* the last event or moment; DT_NOBEGIN: none */
	int64		symbols;
	int			nevidence;
	struct
	{
		bool		has_id;
		pg_uuid_t	id;
		char		symbol[STAGE_MAX_NAME + 1];
	}			evidence[MAX_EVIDENCE];
} State;

struct StagePass
{
	int			lane;
	int			lanes;
	MemoryContext context;
	EvidenceList items;
};

static char *default_pipeline = NULL;

/* Is any pipeline's model deployed? Sees to it that intents are read if one looks at them. */
static bool
Active(void)
{
	static SqlPlan deployed = {
		"SELECT p.pipeline, p.is_default, (SELECT bool_or(x LIKE 'intent:%') FROM unnest(m.symbols) x)"
		" FROM revops.pipeline p JOIN revops.stage_model m ON m.pipeline = p.pipeline AND m.version = p.deployed", 0
	};
	uint64		n = SqlRun(&deployed, NULL, NULL);

	if (default_pipeline != NULL)
		pfree(default_pipeline);
	default_pipeline = NULL;
	for (uint64 i = 0; i < n; i++)
	{
		bool		null;
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		if (DatumGetBool(SPI_getbinval(tup, desc, 2, &null)))
			default_pipeline = MemoryContextStrdup(CacheMemoryContext, SPI_getvalue(tup, desc, 1));
		if (DatumGetBool(SPI_getbinval(tup, desc, 3, &null)) && !null)
			EventIntentsWant();
	}
	SPI_freetuptable(SPI_tuptable);
	return n > 0;
}

StagePass *
StageBegin(int lane, int lanes)
{
	StagePass  *pass;

	if (!Active())
		return NULL;
	pass = palloc0(sizeof(StagePass));
	pass->lane = lane;
	pass->lanes = lanes;
	pass->context = CurrentMemoryContext;
	return pass;
}

static Evidence *
AddEvidence(EvidenceList *list, MemoryContext context)
{
	if (list->n == list->max)
	{
		list->max = list->max ? 2 * list->max : 256;
		list->items = list->items ? repalloc_huge(list->items, list->max * sizeof(Evidence)) :
			MemoryContextAllocHuge(context, list->max * sizeof(Evidence));
	}
	memset(&list->items[list->n], 0, sizeof(Evidence));
	return &list->items[list->n++];
}

void
StageEvent(StagePass *pass, const Event *e)
{
	Evidence   *item;

	if (pass == NULL || e->ahead || e->opportunity.data == NULL || SubjectLane(SUBJECT_OPPORTUNITY, e->opportunity, pass->lanes) != pass->lane)
		return;
	item = AddEvidence(&pass->items, pass->context);
	item->opportunity = e->opportunity;
	item->at = e->occurred_at;
	item->class = CLASS_EVENT;
	item->id = e->event_id;
	item->event = e;
}

/* Ask the lane of an opportunity to filter it anew. */
static void
Request(Str opportunity)
{
	static SqlPlan request = {"INSERT INTO revops.stage_request (opportunity) VALUES ($1)", 1, {TEXTOID}};
	Datum		arg = PointerGetDatum(cstring_to_text_with_len(opportunity.data, opportunity.len));

	SqlRun(&request, &arg, NULL);
}

/* The moments of a pass; those that are undone make their opportunities be filtered anew */
static void
AddMoments(StagePass *pass, Datum ids, bool undone)
{
	static SqlPlan read = {
		"SELECT m.opportunity, m.moment_id, m.rule, m.occurred_at FROM unnest($1) AS u (moment_id)"
		" CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m WHERE m.opportunity IS NOT NULL",
		1, {UUIDARRAYOID}
	};
	uint64		n = SqlRun(&read, &ids, NULL);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tup = rows->vals[i];
		bool		null;
		Str			opportunity = StrFrom(SPI_getvalue(tup, rows->tupdesc, 1));
		Evidence   *item;

		if (SubjectLane(SUBJECT_OPPORTUNITY, opportunity, pass->lanes) != pass->lane)
		{
			Request(opportunity);
			continue;
		}
		item = AddEvidence(&pass->items, pass->context);
		item->opportunity = opportunity;
		item->class = undone ? CLASS_REDO : CLASS_MOMENT;
		item->id = *DatumGetUUIDP(SPI_getbinval(tup, rows->tupdesc, 2, &null));
		item->name = StrFrom(SPI_getvalue(tup, rows->tupdesc, 3));
		item->at = DatumGetTimestampTz(SPI_getbinval(tup, rows->tupdesc, 4, &null));
	}
	SPI_freetuptable(rows);
}

static int
PlaceCmp(TimestampTz at, Class class, const pg_uuid_t *id, TimestampTz bt, Class bclass, const pg_uuid_t *bid)
{
	if (at != bt)
		return at < bt ? -1 : 1;
	if (class != bclass)
		return class < bclass ? -1 : 1;
	return memcmp(id->data, bid->data, UUID_LEN);
}

static int
EvidenceCmp(const void *a, const void *b)
{
	const Evidence *x = a,
			   *y = b;
	int			c = StrCmp(x->opportunity, y->opportunity);

	if (c == 0)
		c = PlaceCmp(x->at, x->class, &x->id, y->at, y->class, &y->id);
	return c != 0 || x->class != CLASS_RECORD ? c : StrCmp(x->name, y->name);
}

/* One symbol through the filter */
static void
Symbol(State *st, const StoredStages *m, const char *name, int len, TimestampTz at, const pg_uuid_t *id)
{
	double		was = st->f.p[st->best];
	int			best = 0;
	int			k;

	(void) StageFilterStep(&m->model, &st->f, StageSymbol(m, name, len), at);
	for (int j = 1; j < m->nstages; j++)
		if (st->f.p[j] > st->f.p[best])
			best = j;
	if (best != st->best || st->symbols == 0)
	{
		st->best = best;
		st->since = at;
		st->nevidence = 0;
		was = 0;
	}
	st->symbols++;
	if (st->f.p[best] - was < SPEAKS)
		return;
	if (st->nevidence == MAX_EVIDENCE)
		memmove(st->evidence, st->evidence + 1, sizeof(st->evidence[0]) * --st->nevidence);
	k = st->nevidence++;
	st->evidence[k].has_id = id != NULL;
	if (id != NULL)
		st->evidence[k].id = *id;
	len = pg_mbcliplen(name, len, STAGE_MAX_NAME);
	memcpy(st->evidence[k].symbol, name, len);
	st->evidence[k].symbol[len] = '\0';
}

static int
IntentCmp(const void *a, const void *b)
{
	return StrCmp(((const EventIntent *) a)->intent, ((const EventIntent *) b)->intent);
}

static void
Named(State *st, const StoredStages *m, const char *prefix, Str name, TimestampTz at, const pg_uuid_t *id)
{
	char		symbol[STAGE_MAX_NAME + 1];
	int			n = strlen(prefix);

	if (n + name.len > STAGE_MAX_NAME)
		name.len = pg_mbcliplen(name.data, name.len, STAGE_MAX_NAME - n);
	memcpy(symbol, prefix, n);
	memcpy(symbol + n, name.data, name.len);
	Symbol(st, m, symbol, n + name.len, at, id);
}

/* One piece of evidence, which is after the frontier */
static void
Take(State *st, const StoredStages *m, const Evidence *item)
{
	if (item->class == CLASS_EVENT)
	{
		const Event *e = item->event;

		Symbol(st, m, e->kind.data, e->kind.len, e->occurred_at, &item->id);
		if (e->nintents > 0)
		{
			EventIntent *intents = palloc(e->nintents * sizeof(EventIntent));

			memcpy(intents, e->intents, e->nintents * sizeof(EventIntent));
			qsort(intents, e->nintents, sizeof(EventIntent), IntentCmp);
			for (int i = 0; i < e->nintents; i++)
				if (i == 0 || !StrEq(intents[i].intent, intents[i - 1].intent))
					Named(st, m, "intent:", intents[i].intent, e->occurred_at, &item->id);
			pfree(intents);
		}
	}
	else if (item->class == CLASS_MOMENT)
		Named(st, m, "moment:", item->name, item->at, &item->id);
	else
		Named(st, m, "stage:", item->name, item->at, NULL);
	if (item->class != CLASS_RECORD)
		st->seen_at = Max(st->seen_at, item->at);
	st->at = item->at;
	st->class = item->class;
	st->id = item->id;
}

/* Filter an opportunity anew from all that `consumed` has of it. */
static void
Replay(State *st, const StoredStages *m, const Consumed *consumed)
{
	static SqlPlan moments = {
		"SELECT moment_id, rule, occurred_at FROM revops.moment WHERE opportunity = $1 COLLATE \"C\" AND retracted_at IS NULL", 1, {TEXTOID}
	};
	static SqlPlan records = {
		"SELECT stage, CASE WHEN origin = 'backfill' THEN entered_at ELSE recorded_at END FROM revops.stage_history"
		" WHERE opportunity = $1 COLLATE \"C\" AND origin <> 'calibration'", 1, {TEXTOID}
	};
	Datum		arg = PointerGetDatum(cstring_to_text_with_len(st->opportunity.data, st->opportunity.len));
	EventList  *history = EventHistory(SUBJECT_OPPORTUNITY, st->opportunity, DT_NOBEGIN, DT_NOEND, consumed);
	EvidenceList list = {0};
	bool		null;
	uint64		n;

	for (int i = 0; i < history->n; i++)
	{
		Evidence   *item = AddEvidence(&list, CurrentMemoryContext);

		item->at = history->events[i].occurred_at;
		item->id = history->events[i].event_id;
		item->event = &history->events[i];
	}
	n = SqlRun(&moments, &arg, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Evidence   *item = AddEvidence(&list, CurrentMemoryContext);

		item->class = CLASS_MOMENT;
		item->id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
		item->name = StrFrom(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
		item->at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	n = SqlRun(&records, &arg, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Evidence   *item = AddEvidence(&list, CurrentMemoryContext);

		item->class = CLASS_RECORD;
		item->name = StrFrom(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		item->at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < list.n; i++)
		list.items[i].opportunity = st->opportunity;
	if (list.n > 1)
		qsort(list.items, list.n, sizeof(Evidence), EvidenceCmp);

	StageFilterStart(&m->model, &st->f);
	st->best = 0;
	st->symbols = 0;
	st->nevidence = 0;
	st->seen_at = DT_NOBEGIN;
	st->at = DT_NOBEGIN;
	st->model = m->id;
	for (int i = 0; i < list.n; i++)
	{
		if ((i & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		Take(st, m, &list.items[i]);
	}
}

/* columns of revops.stage_state */
enum
{
	COL_OPPORTUNITY, COL_PIPELINE, COL_MODEL, COL_STAGE, COL_PROBABILITY, COL_SINCE, COL_SEEN_AT, COL_SYMBOLS, COL_PROBABILITIES, COL_EVIDENCE,
	COL_EVIDENCE_SYMBOLS, COL_FRONTIER_AT, COL_FRONTIER_CLASS, COL_FRONTIER_ID, COL_LAST_SYMBOL, COL_LAST_AT, NCOLS
};

#define STATE_COLUMNS \
	"s.opportunity, s.pipeline, s.model_id, s.stage, s.probability, s.since, s.seen_at, s.symbols, s.probabilities, s.evidence, s.evidence_symbols," \
	" s.frontier_at, s.frontier_class, s.frontier_id, s.last_symbol, s.last_at"

/* A row as it was written; false if it is not of this model */
static bool
ReadState(State *st, const StoredStages *m, HeapTuple tup, TupleDesc desc)
{
	Datum		v[NCOLS];
	bool		null[NCOLS];
	Datum	   *p,
			   *ids,
			   *symbols;
	bool	   *noid;
	int			n,
				nids,
				nsymbols;

	for (int i = 0; i < NCOLS; i++)
		v[i] = SPI_getbinval(tup, desc, i + 3, &null[i]);
	if (null[COL_OPPORTUNITY] || strcmp(TextDatumGetCString(v[COL_PIPELINE]), m->pipeline) != 0 ||
		memcmp(DatumGetUUIDP(v[COL_MODEL]), &m->id, sizeof(pg_uuid_t)) != 0)
		return false;
	deconstruct_array(DatumGetArrayTypeP(v[COL_PROBABILITIES]), FLOAT8OID, 8, true, TYPALIGN_DOUBLE, &p, NULL, &n);
	deconstruct_array(DatumGetArrayTypeP(v[COL_EVIDENCE]), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, &noid, &nids);
	deconstruct_array(DatumGetArrayTypeP(v[COL_EVIDENCE_SYMBOLS]), TEXTOID, -1, false, TYPALIGN_INT, &symbols, NULL, &nsymbols);
	st->f.last = DatumGetInt32(v[COL_LAST_SYMBOL]);
	if (n != m->nstages || nids != nsymbols || nids > MAX_EVIDENCE || st->f.last < 0 || st->f.last > m->model.h->symbols)
		return false;
	st->model = m->id;
	st->best = 0;
	for (int j = 0; j < n; j++)
	{
		st->f.p[j] = DatumGetFloat8(p[j]);
		if (st->f.p[j] > st->f.p[st->best])
			st->best = j;
	}
	st->f.at = DatumGetTimestampTz(v[COL_LAST_AT]);
	st->since = DatumGetTimestampTz(v[COL_SINCE]);
	st->seen_at = null[COL_SEEN_AT] ? DT_NOBEGIN : DatumGetTimestampTz(v[COL_SEEN_AT]);
	st->symbols = DatumGetInt64(v[COL_SYMBOLS]);
	st->at = DatumGetTimestampTz(v[COL_FRONTIER_AT]);
	st->class = DatumGetInt16(v[COL_FRONTIER_CLASS]);
	st->id = *DatumGetUUIDP(v[COL_FRONTIER_ID]);
	st->nevidence = nids;
	for (int i = 0; i < nids; i++)
	{
		st->evidence[i].has_id = !noid[i];
		if (!noid[i])
			st->evidence[i].id = *DatumGetUUIDP(ids[i]);
		strlcpy(st->evidence[i].symbol, TextDatumGetCString(symbols[i]), sizeof(st->evidence[i].symbol));
	}
	return true;
}

static void
WriteState(TableWriter *w, const State *st)
{
	Datum		v[NCOLS];
	bool		null[NCOLS] = {false};
	Datum		p[STAGE_MAX_STAGES],
				ids[MAX_EVIDENCE],
				symbols[MAX_EVIDENCE];
	bool		noid[MAX_EVIDENCE];
	int			dims[1] = {st->nevidence},
				lbs[1] = {1};
	bool		found;

	v[COL_OPPORTUNITY] = PointerGetDatum(cstring_to_text_with_len(st->opportunity.data, st->opportunity.len));
	found = TableWriterFind(w, v);
	if (st->symbols == 0)
	{
		if (found)
			TableWriterDelete(w);
		return;
	}
	for (int j = 0; j < st->nstages; j++)
		p[j] = Float8GetDatum(st->f.p[j]);
	for (int i = 0; i < st->nevidence; i++)
	{
		noid[i] = !st->evidence[i].has_id;
		ids[i] = UUIDPGetDatum(&st->evidence[i].id);
		symbols[i] = CStringGetTextDatum(st->evidence[i].symbol);
	}
	v[COL_PIPELINE] = CStringGetTextDatum(st->pipeline);
	v[COL_MODEL] = UUIDPGetDatum(&st->model);
	v[COL_STAGE] = CStringGetTextDatum(st->stage);
	v[COL_PROBABILITY] = p[st->best];
	v[COL_SINCE] = TimestampTzGetDatum(st->since);
	null[COL_SEEN_AT] = st->seen_at == DT_NOBEGIN;
	v[COL_SEEN_AT] = TimestampTzGetDatum(st->seen_at);
	v[COL_SYMBOLS] = Int64GetDatum(st->symbols);
	v[COL_PROBABILITIES] = PointerGetDatum(construct_array(p, st->nstages, FLOAT8OID, 8, true, TYPALIGN_DOUBLE));
	v[COL_EVIDENCE] = PointerGetDatum(st->nevidence == 0 ? construct_empty_array(UUIDOID) :
									  construct_md_array(ids, noid, 1, dims, lbs, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	v[COL_EVIDENCE_SYMBOLS] = PointerGetDatum(construct_array(symbols, st->nevidence, TEXTOID, -1, false, TYPALIGN_INT));
	v[COL_FRONTIER_AT] = TimestampTzGetDatum(st->at);
	v[COL_FRONTIER_CLASS] = Int16GetDatum(st->class);
	v[COL_FRONTIER_ID] = UUIDPGetDatum(&st->id);
	v[COL_LAST_SYMBOL] = Int32GetDatum(st->f.last);
	v[COL_LAST_AT] = TimestampTzGetDatum(st->f.at);
	TableWriterPut(w, found, v, null);
}

/* The items of at most CHUNK opportunities: how many items. `keys` are those opportunities. */
static int
Chunk(const Evidence *items, int n, Datum *keys, int *nkeys)
{
	int			i = 0;

	*nkeys = 0;
	while (i < n)
	{
		int			j = i;

		if (*nkeys == CHUNK)
			break;
		while (j < n && StrEq(items[j].opportunity, items[i].opportunity))
			j++;
		keys[(*nkeys)++] = PointerGetDatum(cstring_to_text_with_len(items[i].opportunity.data, items[i].opportunity.len));
		i = j;
	}
	return i;
}

/* Work off items, in order, of a chunk of opportunities. */
static void
ApplyChunk(const Evidence *items, int n, Datum *keys, int nkeys, const Consumed *consumed)
{
	static SqlPlan read = {
		"SELECT coalesce(o.pipeline, $2), u.n::int, " STATE_COLUMNS " FROM unnest($1) WITH ORDINALITY AS u (opportunity, n)"
		" LEFT JOIN LATERAL (SELECT x.pipeline FROM revops.opportunity x WHERE x.opportunity = u.opportunity COLLATE \"C\" OFFSET 0) o ON true"
		" LEFT JOIN LATERAL (SELECT * FROM revops.stage_state x WHERE x.opportunity = u.opportunity COLLATE \"C\" OFFSET 0) s ON true ORDER BY 2",
		2, {TEXTARRAYOID, TEXTOID}
	};
	Datum		args[2] = {PointerGetDatum(construct_array(keys, nkeys, TEXTOID, -1, false, TYPALIGN_INT))};
	bool		null[2] = {false, default_pipeline == NULL};
	State	   *states = palloc0(nkeys * sizeof(State));
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "revops stage history", ALLOCSET_DEFAULT_SIZES);
	const StoredStages *m = NULL;
	bool	   *kept = palloc0(nkeys * sizeof(bool));
	SPITupleTable *rows;
	TableWriter *w;
	int			i = 0;

	args[1] = default_pipeline != NULL ? CStringGetTextDatum(default_pipeline) : (Datum) 0;
	SqlRun(&read, args, null);
	rows = SPI_tuptable;
	for (int k = 0; k < nkeys; k++)
	{
		State	   *st = &states[k];
		MemoryContext old;
		int			from = i;
		bool		anew;

		CHECK_FOR_INTERRUPTS();
		st->opportunity = items[i].opportunity;
		st->pipeline = SPI_getvalue(rows->vals[k], rows->tupdesc, 1);
		while (i < n && StrEq(items[i].opportunity, st->opportunity))
			i++;
		if (st->pipeline == NULL)
			continue;
		if (m == NULL || strcmp(m->pipeline, st->pipeline) != 0)
			m = StagesDeployed(st->pipeline);
		kept[k] = true;
		if (m == NULL)
			continue;			/* its row, if there is one, is of a pipeline that it has left */
		st->nstages = m->nstages;
		anew = !ReadState(st, m, rows->vals[k], rows->tupdesc);
		for (int j = from; j < i && !anew; j++)
			anew = items[j].class == CLASS_REDO ||
				PlaceCmp(items[j].at, items[j].class, &items[j].id, st->at, st->class, &st->id) <= 0;
		old = MemoryContextSwitchTo(work);
		if (anew)
			Replay(st, m, consumed);
		else
			for (int j = from; j < i; j++)
				Take(st, m, &items[j]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(work);
		st->stage = pstrdup(m->stages[st->best]);
	}
	SPI_freetuptable(rows);
	w = TableWriterOpen("stage_state");
	for (int k = 0; k < nkeys; k++)
		if (kept[k])
			WriteState(w, &states[k]);
	TableWriterClose(w);
}

static void
Apply(EvidenceList *list, const Consumed *consumed)
{
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "revops stage chunk", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(chunk);

	if (list->n > 1)
		qsort(list->items, list->n, sizeof(Evidence), EvidenceCmp);
	for (int i = 0; i < list->n;)
	{
		Datum	   *keys = palloc(CHUNK * sizeof(Datum));
		int			nkeys,
					n = Chunk(list->items + i, list->n - i, keys, &nkeys);

		ApplyChunk(list->items + i, n, keys, nkeys, consumed);
		i += n;
		MemoryContextReset(chunk);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
}

void
StageFinish(StagePass *pass, const Consumed *consumed, Datum opened, int nopened, Datum retracted, int nretracted)
{
	if (pass == NULL)
		return;
	if (nopened > 0)
		AddMoments(pass, opened, false);
	if (nretracted > 0)
		AddMoments(pass, retracted, true);
	Apply(&pass->items, consumed);
}

/* Filter opportunities anew. */
void
StageRecompute(const Str *opportunities, int n, const Consumed *consumed)
{
	EvidenceList list = {0};

	if (n == 0 || !Active())
		return;
	for (int i = 0; i < n; i++)
	{
		Evidence   *item = AddEvidence(&list, CurrentMemoryContext);

		item->opportunity = opportunities[i];
		item->class = CLASS_REDO;
	}
	Apply(&list, consumed);
}

int
StageRequested(int lane, int lanes, int max, Str **opportunities, Datum **requests)
{
	static SqlPlan requested = {
		"SELECT opportunity, array_agg(request_id) FROM (SELECT * FROM revops.stage_request"
		" WHERE error IS NULL AND revops.subject_lane('opportunity', opportunity, $2) = $1 LIMIT $3) x GROUP BY 1",
		3, {INT4OID, INT4OID, INT4OID}
	};
	Datum		args[3] = {Int32GetDatum(lane), Int32GetDatum(lanes), Int32GetDatum(max)};
	int			n = (int) SqlRun(&requested, args, NULL);
	bool		null;

	*opportunities = palloc(Max(n, 1) * sizeof(Str));
	*requests = palloc(Max(n, 1) * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		(*opportunities)[i] = StrFrom(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		(*requests)[i] = PointerGetDatum(DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null)));
	}
	SPI_freetuptable(SPI_tuptable);
	return n;
}

void
StageRequestDone(Str opportunity, Datum requests, const char *error)
{
	static SqlPlan done = {"DELETE FROM revops.stage_request WHERE opportunity = $1 COLLATE \"C\" AND request_id = ANY ($2)", 2, {TEXTOID, UUIDARRAYOID}};
	static SqlPlan failed = {
		"UPDATE revops.stage_request SET error = $3 WHERE opportunity = $1 COLLATE \"C\" AND request_id = ANY ($2)", 3, {TEXTOID, UUIDARRAYOID, TEXTOID}
	};
	Datum		args[3] = {PointerGetDatum(cstring_to_text_with_len(opportunity.data, opportunity.len)), requests};

	if (error != NULL)
		args[2] = CStringGetTextDatum(error);
	SqlRun(error != NULL ? &failed : &done, args, NULL);
}
