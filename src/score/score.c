/*
 * score.c
 *	  Intent scores: a pass gathers what its events add, then writes each (subject, intent) once.
 *
 * A row's rank is log2 of the forward-decayed sum (see decay.h), so adding commutes: no order of arrival, no batch boundary
 * and no number of lanes changes it. A daily cap is made order-free too: a day's events of a capped signal together count for at
 * most the cap, each in proportion (cap / sum of the day's weights). The sums of the newest CAP_OPEN_DAYS days of each capped
 * signal stay open in the row (capped), older days are closed into the sum; an event for a closed day recomputes the subject.
 *
 * A standing moment whose rule names an intent adds to it like an event of an uncapped signal. Nothing is ever taken off a sum, which
 * would leave rounding behind: where a moment is retracted, its subject is recomputed.
 */
#include "score/score.h"

#include "base/writer.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "decay/decay.h"
#include "miscadmin.h"
#include "score/signal.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define CAP_OPEN_DAYS	8
#define CAP_MAX_DAYS	4096	/* entries a stored state may have */

/* What a capped signal adds in a day */
typedef struct CapDay
{
	int32		no;				/* the signal's version */
	int32		day;			/* UTC days since 2000-01-01 */
	double		logsum;			/* before the cap */
	double		weight;			/* sum of weights that day */
} CapDay;

typedef struct ScoreKey
{
	SubjectKind kind;
	int			intent;
	Str			subject;
} ScoreKey;

typedef struct ScoreEntry
{
	ScoreKey	key;
	uint32		hash;
	char		status;
	int			ncapped;
	int64		events;
	double		logsum;			/* of uncapped signals */
	TimestampTz last_at;
	CapDay	   *capped;
} ScoreEntry;

static inline uint32
ScoreKeyHash(ScoreKey k)
{
	return hash_combine(hash_bytes((const unsigned char *) k.subject.data, k.subject.len),
						murmurhash32(k.intent * SUBJECT_KINDS + k.kind));
}

#define SH_PREFIX score
#define SH_ELEMENT_TYPE ScoreEntry
#define SH_KEY_TYPE ScoreKey
#define SH_KEY key
#define SH_HASH_KEY(tb, k) ScoreKeyHash(k)
#define SH_EQUAL(tb, a, b) ((a).kind == (b).kind && (a).intent == (b).intent && StrEq((a).subject, (b).subject))
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

struct ScorePass
{
	int			lane;
	int			lanes;
	const SignalSet *set;
	score_hash *entries;
	MemoryContext context;
};

ScorePass *
ScoreBegin(int lane, int lanes)
{
	ScorePass  *pass = palloc0(sizeof(ScorePass));

	pass->lane = lane;
	pass->lanes = lanes;
	pass->set = Signals();
	pass->context = CurrentMemoryContext;
	pass->entries = score_create(CurrentMemoryContext, 1024, NULL);
	return pass;
}

static int32
DayOf(TimestampTz t)
{
	return (int32) (t >= 0 ? t / USECS_PER_DAY : -((-t + USECS_PER_DAY - 1) / USECS_PER_DAY));
}

/* Add to the day of a signal in a list that has room */
static void
CapAdd(CapDay *days, int *n, int32 no, int32 day, double logsum, double weight)
{
	for (int i = *n - 1; i >= 0; i--)
		if (days[i].no == no && days[i].day == day)
		{
			days[i].logsum = DecayAdd(days[i].logsum, logsum);
			days[i].weight += weight;
			return;
		}
	days[*n].no = no;
	days[*n].day = day;
	days[*n].logsum = logsum;
	days[(*n)++].weight = weight;
}

/* What a day's sum counts for under its signal's cap */
static double
CapEffective(const SignalSet *set, const CapDay *d)
{
	const Signal *s = SignalByNo(set, d->no);

	if (s == NULL || s->daily_cap <= 0 || d->weight <= s->daily_cap)
		return d->logsum;
	return d->logsum + log2(s->daily_cap / d->weight);
}

/* The entry of (subject, intent), which something that occurred then adds to */
static ScoreEntry *
EntryAt(ScorePass *pass, SubjectKind kind, Str subject, int intent, TimestampTz at)
{
	ScoreKey	key = {kind, intent, subject};
	bool		found;
	ScoreEntry *entry = score_insert(pass->entries, key, &found);

	if (!found)
	{
		entry->logsum = -INFINITY;
		entry->events = 0;
		entry->last_at = at;
		entry->ncapped = 0;
		entry->capped = NULL;
	}
	entry->events++;
	if (at > entry->last_at)
		entry->last_at = at;
	return entry;
}

static void
AddTo(ScorePass *pass, SubjectKind kind, Str subject, const Signal *s, const Event *e)
{
	ScoreEntry *entry = EntryAt(pass, kind, subject, s->intent, e->occurred_at);
	double		amount = DecayOf(s->weight, e->occurred_at, pass->set->intents[s->intent].half_life);

	if (s->daily_cap <= 0)
		entry->logsum = DecayAdd(entry->logsum, amount);
	else
	{
		/* room for one more, doubling at powers of two */
		if (entry->ncapped == 0)
			entry->capped = MemoryContextAlloc(pass->context, sizeof(CapDay));
		else if ((entry->ncapped & (entry->ncapped - 1)) == 0)
			entry->capped = repalloc(entry->capped, 2 * entry->ncapped * sizeof(CapDay));
		CapAdd(entry->capped, &entry->ncapped, s->no, DayOf(e->occurred_at), amount, s->weight);
	}
}

static void
AddMoment(ScorePass *pass, SubjectKind kind, Str subject, const MomentIntent *m, TimestampTz at)
{
	ScoreEntry *entry = EntryAt(pass, kind, subject, m->intent, at);

	entry->logsum = DecayAdd(entry->logsum, DecayOf(m->weight, at, pass->set->intents[m->intent].half_life));
}

void
ScoreEvent(ScorePass *pass, const Event *e)
{
	const int  *candidates;
	int			n;
	int			mine[SUBJECT_KINDS] = {-1, -1, -1, -1}; /* is the subject the lane's: not known yet */

	if (e->ahead)
		return;
	n = SignalsFor(pass->set, e, &candidates);
	for (int i = 0; i < n; i++)
	{
		const Signal *s = &pass->set->signals[candidates[i]];

		if (!SignalMatches(s, e))
			continue;
		for (int kind = 0; kind < SUBJECT_KINDS; kind++)
		{
			Str			subject;

			if ((s->subjects & (1u << kind)) == 0)
				continue;
			subject = EventSubject(e, kind);
			if (subject.data == NULL)
				continue;
			if (mine[kind] < 0)
				mine[kind] = SubjectLane(kind, subject, pass->lanes) == pass->lane;
			if (mine[kind])
				AddTo(pass, kind, subject, s, e);
		}
	}
}

static int
EntryCmp(const void *a, const void *b)
{
	const ScoreEntry *x = *(ScoreEntry *const *) a,
			   *y = *(ScoreEntry *const *) b;
	int			c;

	if (x->key.kind != y->key.kind)
		return x->key.kind - y->key.kind;
	c = StrCmp(x->key.subject, y->key.subject);
	return c != 0 ? c : x->key.intent - y->key.intent;
}

/* The stored form of open days: double closed, then CapDay's. ERROR on anything else. */
static CapDay *
CapRead(bytea *stored, int *n, double *closed, int room)
{
	Size		size = VARSIZE_ANY_EXHDR(stored);
	CapDay	   *days;

	if (size < sizeof(double) || (size - sizeof(double)) % sizeof(CapDay) != 0 ||
		(size - sizeof(double)) / sizeof(CapDay) > CAP_MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored state of daily caps in revops.intent_state is damaged"),
				 errhint("Run SELECT revops.rebuild_scores().")));
	*n = (size - sizeof(double)) / sizeof(CapDay);
	memcpy(closed, VARDATA_ANY(stored), sizeof(double));
	days = palloc((*n + room) * sizeof(CapDay));
	memcpy(days, VARDATA_ANY(stored) + sizeof(double), *n * sizeof(CapDay));
	return days;
}

/*
 * Put an entry together with the open days of its row. Returns false if it has an event for a day that is closed already.
 * Sets *rank to the whole sum and *stored to the new open days (NULL: none).
 */
static bool
CapMerge(const SignalSet *set, const ScoreEntry *entry, bool found, double old_rank, bytea *old, double *rank, bytea **stored)
{
	double		closed = found ? old_rank : -INFINITY;
	int			n = 0,
				kept = 0;
	CapDay	   *days;
	int32		newest = PG_INT32_MIN,
				was_newest = PG_INT32_MIN;

	if (found && old != NULL)
		days = CapRead(old, &n, &closed, entry->ncapped);
	else
		days = palloc(Max(entry->ncapped, 1) * sizeof(CapDay));
	for (int i = 0; i < n; i++)
		was_newest = Max(was_newest, days[i].day);
	for (int i = 0; i < entry->ncapped; i++)
	{
		const CapDay *d = &entry->capped[i];

		if (was_newest != PG_INT32_MIN && d->day <= was_newest - CAP_OPEN_DAYS)
			return false;
		CapAdd(days, &n, d->no, d->day, d->logsum, d->weight);
	}
	closed = DecayAdd(closed, entry->logsum);
	for (int i = 0; i < n; i++)
		newest = Max(newest, days[i].day);
	*rank = closed;
	for (int i = 0; i < n; i++)
	{
		double		effective = CapEffective(set, &days[i]);

		*rank = DecayAdd(*rank, effective);
		if (days[i].day <= newest - CAP_OPEN_DAYS)
			closed = DecayAdd(closed, effective);
		else
			days[kept++] = days[i];
	}
	*stored = NULL;
	if (kept > 0)
	{
		Size		size = VARHDRSZ + sizeof(double) + kept * sizeof(CapDay);

		*stored = palloc(size);
		SET_VARSIZE(*stored, size);
		memcpy(VARDATA(*stored), &closed, sizeof(double));
		memcpy(VARDATA(*stored) + sizeof(double), days, kept * sizeof(CapDay));
	}
	return true;
}

/* columns of revops.intent_state */
enum
{
	COL_KIND, COL_SUBJECT, COL_INTENT, COL_RANK, COL_EVENTS, COL_LAST_AT, COL_CAPPED, NCOLS
};

/* Write the entries; those that need their history first are put to *redo. */
static List *
WriteEntries(ScorePass *pass)
{
	uint32		n = pass->entries->members;
	ScoreEntry **order = MemoryContextAllocHuge(CurrentMemoryContext, (n + 1) * sizeof(ScoreEntry *));
	score_iterator it;
	ScoreEntry *entry;
	TableWriter *w;
	Datum		kinds[SUBJECT_KINDS];
	Datum	   *intents = palloc((pass->set->nintents + 1) * sizeof(Datum));
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "revops score row", ALLOCSET_SMALL_SIZES);
	List	   *redo = NIL;
	uint32		i = 0;

	score_start_iterate(pass->entries, &it);
	while ((entry = score_iterate(pass->entries, &it)) != NULL)
		order[i++] = entry;
	qsort(order, n, sizeof(ScoreEntry *), EntryCmp);
	for (int k = 0; k < SUBJECT_KINDS; k++)
		kinds[k] = ObjectIdGetDatum(SubjectKindOid(k));
	for (int k = 0; k < pass->set->nintents; k++)
		intents[k] = PointerGetDatum(cstring_to_text_with_len(pass->set->intents[k].name.data, pass->set->intents[k].name.len));

	w = TableWriterOpen("intent_state");
	for (i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row);
		Datum		values[NCOLS];
		bool		isnull[NCOLS] = {false};
		bool		found;
		double		rank;
		bytea	   *capped = NULL;
		bool		ok = true;

		entry = order[i];
		values[COL_KIND] = kinds[entry->key.kind];
		values[COL_SUBJECT] = PointerGetDatum(cstring_to_text_with_len(entry->key.subject.data, entry->key.subject.len));
		values[COL_INTENT] = intents[entry->key.intent];
		found = TableWriterFind(w, values);
		rank = found ? DatumGetFloat8(w->found->tts_values[COL_RANK]) : -INFINITY;
		if (entry->ncapped == 0 && !(found && !w->found->tts_isnull[COL_CAPPED]))
			rank = DecayAdd(rank, entry->logsum);
		else
			ok = CapMerge(pass->set, entry, found, rank,
						  found && !w->found->tts_isnull[COL_CAPPED] ? DatumGetByteaPP(w->found->tts_values[COL_CAPPED]) : NULL,
						  &rank, &capped);
		if (ok)
		{
			values[COL_RANK] = Float8GetDatum(rank);
			values[COL_EVENTS] = Int64GetDatum(entry->events + (found ? DatumGetInt64(w->found->tts_values[COL_EVENTS]) : 0));
			values[COL_LAST_AT] = TimestampTzGetDatum(found ? Max(entry->last_at, DatumGetTimestampTz(w->found->tts_values[COL_LAST_AT])) : entry->last_at);
			values[COL_CAPPED] = PointerGetDatum(capped);
			isnull[COL_CAPPED] = capped == NULL;
			/* each entry has a key of its own, so a new row need not be found again */
			if (found)
				TableWriterPut(w, true, values, isnull);
			else
				TableWriterAdd(w, values, isnull);
		}
		MemoryContextSwitchTo(old);
		if (!ok)
			redo = lappend(redo, entry);
		MemoryContextReset(row);
	}
	TableWriterClose(w);
	MemoryContextDelete(row);
	return redo;
}

void
ScoreFinish(ScorePass *pass, const Consumed *consumed)
{
	List	   *redo;
	ListCell   *lc;
	ScoreEntry *last = NULL;

	if (pass->entries->members == 0)
		return;
	redo = WriteEntries(pass);
	foreach(lc, redo)
	{
		ScoreEntry *entry = lfirst(lc);

		/* sorted by subject: each is recomputed once */
		if (last == NULL || last->key.kind != entry->key.kind || !StrEq(last->key.subject, entry->key.subject))
			ScoreRecompute(entry->key.kind, entry->key.subject, consumed);
		last = entry;
	}
}

static SubjectKind
KindNamed(const char *name)
{
	for (int k = 0; k < SUBJECT_KINDS; k++)
		if (strcmp(name, SubjectKindName(k)) == 0)
			return k;
	return SUBJECT_PERSON;
}

void
ScoreMoments(Datum opened, int nopened, Datum retracted, int nretracted, const Consumed *consumed)
{
	/* a subject's retracted moments come first */
	static SqlPlan by_subject = {
		"SELECT m.subject_kind::text, m.subject, m.rule, m.version, m.occurred_at, u.undone"
		" FROM (SELECT unnest($1), false UNION ALL SELECT unnest($2), true) u (moment_id, undone)"
		" CROSS JOIN LATERAL (SELECT * FROM revops.moment x WHERE x.moment_id = u.moment_id OFFSET 0) m"
		" ORDER BY m.subject_kind, m.subject, u.undone DESC",
		2, {UUIDARRAYOID, UUIDARRAYOID}
	};
	Datum		args[2] = {opened, retracted};
	bool		isnull[2] = {nopened == 0, nretracted == 0};
	MemoryContext context,
				old;
	ScorePass  *pass;
	ScoreKey   *redo;
	int			nredo = 0;
	SPITupleTable *rows;
	uint64		n;

	if (nopened + nretracted == 0 || Signals()->nmoments == 0)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "revops score moments", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	pass = ScoreBegin(0, 1);
	redo = palloc((nretracted + 1) * sizeof(ScoreKey));
	n = SqlRun(&by_subject, args, isnull);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tup = rows->vals[i];
		TupleDesc	desc = rows->tupdesc;
		bool		null;
		const MomentIntent *m = SignalsMoment(pass->set, StrFrom(SPI_getvalue(tup, desc, 3)), DatumGetInt32(SPI_getbinval(tup, desc, 4, &null)));
		ScoreKey	key;

		if ((i & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (m == NULL)
			continue;
		key.kind = KindNamed(SPI_getvalue(tup, desc, 1));
		key.subject = StrFrom(SPI_getvalue(tup, desc, 2));
		key.intent = m->intent;
		if (nredo > 0 && redo[nredo - 1].kind == key.kind && StrEq(redo[nredo - 1].subject, key.subject))
			continue;
		if (DatumGetBool(SPI_getbinval(tup, desc, 6, &null)))
			redo[nredo++] = key;
		else
			AddMoment(pass, key.kind, key.subject, m, DatumGetTimestampTz(SPI_getbinval(tup, desc, 5, &null)));
	}
	SPI_freetuptable(rows);
	if (pass->entries->members > 0)
		(void) WriteEntries(pass);
	/* last, since it may load the set of signals anew */
	for (int i = 0; i < nredo; i++)
		ScoreRecompute(redo[i].kind, redo[i].subject, consumed);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
ScoreRecompute(SubjectKind kind, Str subject, const Consumed *consumed)
{
	static SqlPlan clear = {
		"DELETE FROM revops.intent_state WHERE subject_kind = $1::text::revops.subject_kind AND subject = $2 COLLATE \"C\"",
		2, {TEXTOID, TEXTOID}
	};
	static SqlPlan moments = {
		"SELECT rule, version, occurred_at FROM revops.moment WHERE subject_kind = $1::text::revops.subject_kind"
		" AND subject = $2 COLLATE \"C\" AND retracted_at IS NULL",
		2, {TEXTOID, TEXTOID}
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops score recompute", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Datum		args[2];
	ScorePass  *pass;
	EventList  *history;

	args[0] = PointerGetDatum(cstring_to_text(SubjectKindName(kind)));
	args[1] = PointerGetDatum(cstring_to_text_with_len(subject.data, subject.len));
	SqlRun(&clear, args, NULL);
	pass = ScoreBegin(0, 1);
	history = EventHistory(kind, subject, DT_NOBEGIN, DT_NOEND, consumed);
	for (int i = 0; i < history->n; i++)
	{
		const Event *e = &history->events[i];
		const int  *candidates;
		int			n = SignalsFor(pass->set, e, &candidates);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < n; k++)
		{
			const Signal *s = &pass->set->signals[candidates[k]];

			if ((s->subjects & (1u << kind)) && SignalMatches(s, e) && StrEq(EventSubject(e, kind), subject))
				AddTo(pass, kind, subject, s, e);
		}
	}
	if (pass->set->nmoments > 0)
	{
		uint64		n = SqlRun(&moments, args, NULL);

		for (uint64 i = 0; i < n; i++)
		{
			HeapTuple	tup = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		null;
			const MomentIntent *m = SignalsMoment(pass->set, StrFrom(SPI_getvalue(tup, desc, 1)), DatumGetInt32(SPI_getbinval(tup, desc, 2, &null)));

			if (m != NULL)
				AddMoment(pass, kind, subject, m, DatumGetTimestampTz(SPI_getbinval(tup, desc, 3, &null)));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	if (pass->entries->members > 0)
		(void) WriteEntries(pass);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
