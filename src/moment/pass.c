/*
 * pass.c
 *	  From a batch of events to moments: each subject's relevant events, in the order of time, through each rule's state.
 *
 * Usually a batch continues where the states stand. Where an event is not after a state's frontier, that rule is replayed for that
 * subject from its last moment before the event, or from as far back as the rule's window reaches; moments after that point that the
 * replay does not find again are retracted. So the moments are those of one pass over all events in the order of time, whatever the
 * order of arrival. A moment's id is a digest of rule, version, subject and the event that completed it: found again, it is the same.
 *
 * A subject's states are one row: (uint64 rule digest, uint32 size, bytes)*.
 */
#include "moment/pass.h"

#include "base/writer.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct KindEntry
{
	Str			key;
	uint32		hash;
	char		status;
	const MomentRule **rules;
	int			n;
} KindEntry;

#define SH_PREFIX rulekind
#define SH_ELEMENT_TYPE KindEntry
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

/* A relevant event of a subject, for one rule */
typedef struct Step
{
	SubjectKind kind;
	int			rule;			/* index in the rule set */
	Str			subject;
	Event	   *e;
} Step;

/* A moment to write */
typedef struct Found
{
	pg_uuid_t	id;
	SubjectKind kind;
	Str			subject;
	MomentHit	hit;
	Event		last;			/* a copy: hit.last may be of a history that is gone */
} Found;

typedef struct StoredState
{
	uint64		rule;
	uint32		size;
	const char *data;
} StoredState;

struct MomentPass
{
	int			lane;
	int			lanes;
	const MomentRuleSet *set;
	uint64	   *digests;		/* of each rule of the set */
	rulekind_hash *bykind;
	const MomentRule **any;
	int			nany;
	MemoryContext context;		/* lives as long as the pass */
	Step	   *steps;
	int64		nsteps;
	int64		maxsteps;
	Found	   *found;
	int			nfound;
	int			maxfound;
	Datum	   *retract;		/* uuids */
	int			nretract;
	int			maxretract;
};

static uint64
RuleDigest(const MomentRule *rule)
{
	const char *name = MomentRuleName(rule);

	return hash_bytes_extended((const unsigned char *) name, strlen(name), (uint64) MomentRuleVersion(rule));
}

/* 128 bits of (rule, version, subject, completing event), as a version 8 UUID. */
static pg_uuid_t
MomentId(uint64 digest, SubjectKind kind, Str subject, const pg_uuid_t *last)
{
	pg_uuid_t	id;
	uint64		h[2];

	for (int i = 0; i < 2; i++)
	{
		h[i] = hash_bytes_extended((const unsigned char *) subject.data, subject.len, digest + i * UINT64CONST(0x9e3779b97f4a7c15) + kind);
		h[i] = hash_bytes_extended(last->data, UUID_LEN, h[i]);
	}
	memcpy(id.data, h, UUID_LEN);
	id.data[6] = (id.data[6] & 0x0f) | 0x80;
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}

MomentPass *
MomentPassBegin(int lane, int lanes)
{
	MomentPass *pass = palloc0(sizeof(MomentPass));
	rulekind_iterator it;
	KindEntry  *entry;

	pass->lane = lane;
	pass->lanes = lanes;
	pass->context = CurrentMemoryContext;
	pass->set = MomentRules();
	pass->digests = palloc((pass->set->n + 1) * sizeof(uint64));
	pass->any = palloc((pass->set->n + 1) * sizeof(MomentRule *));
	pass->bykind = rulekind_create(CurrentMemoryContext, 32, NULL);
	for (int i = 0; i < pass->set->n; i++)
	{
		const Str  *kinds;
		int			n = MomentRuleKinds(pass->set->rules[i], &kinds);

		pass->digests[i] = RuleDigest(pass->set->rules[i]);
		if (kinds == NULL)
			pass->any[pass->nany++] = pass->set->rules[i];
		for (int k = 0; kinds != NULL && k < n; k++)
		{
			bool		found;

			entry = rulekind_insert(pass->bykind, kinds[k], &found);
			if (!found)
			{
				entry->rules = palloc((pass->set->n + 1) * sizeof(MomentRule *));
				entry->n = 0;
			}
			if (entry->n == 0 || entry->rules[entry->n - 1] != pass->set->rules[i])
				entry->rules[entry->n++] = pass->set->rules[i];
		}
	}
	rulekind_start_iterate(pass->bykind, &it);
	while ((entry = rulekind_iterate(pass->bykind, &it)) != NULL)
		for (int i = 0; i < pass->nany; i++)
			entry->rules[entry->n++] = pass->any[i];
	return pass;
}

static int
RuleIndex(const MomentPass *pass, const MomentRule *rule)
{
	for (int i = 0; i < pass->set->n; i++)
		if (pass->set->rules[i] == rule)
			return i;
	return -1;
}

void
MomentPassEvent(MomentPass *pass, Event *e)
{
	KindEntry  *entry;
	const MomentRule **rules = pass->any;
	int			n = pass->nany;

	if (e->ahead || pass->set->n == 0)
		return;
	entry = rulekind_lookup(pass->bykind, e->kind);
	if (entry != NULL)
	{
		rules = entry->rules;
		n = entry->n;
	}
	for (int i = 0; i < n; i++)
	{
		SubjectKind kind = MomentRuleSubject(rules[i]);
		Str			subject = EventSubject(e, kind);
		Step	   *step;

		if (subject.data == NULL || SubjectLane(kind, subject, pass->lanes) != pass->lane || !MomentRelevant(rules[i], e))
			continue;
		if (pass->nsteps == pass->maxsteps)
		{
			pass->maxsteps = pass->maxsteps ? 2 * pass->maxsteps : 1024;
			pass->steps = pass->steps ? repalloc_huge(pass->steps, pass->maxsteps * sizeof(Step)) :
				MemoryContextAllocHuge(pass->context, pass->maxsteps * sizeof(Step));
		}
		step = &pass->steps[pass->nsteps++];
		step->kind = kind;
		step->subject = subject;
		step->rule = RuleIndex(pass, rules[i]);
		step->e = e;
	}
}

/* By subject, then rule, then time */
static int
StepCmp(const void *a, const void *b)
{
	const Step *x = a,
			   *y = b;
	int			c;

	if (x->kind != y->kind)
		return x->kind - y->kind;
	if ((c = StrCmp(x->subject, y->subject)) != 0)
		return c;
	if (x->rule != y->rule)
		return x->rule - y->rule;
	return EventPointCmp(x->e->occurred_at, &x->e->event_id, y->e->occurred_at, &y->e->event_id);
}

static Str
KeepStr(MomentPass *pass, Str s)
{
	Str			r = s;

	if (s.data != NULL)
		r.data = memcpy(MemoryContextAlloc(pass->context, s.len + 1), s.data, s.len);
	return r;
}

/* Keep a hit until it is written; everything it points to is copied. */
static void
KeepHit(MomentPass *pass, uint64 digest, SubjectKind kind, Str subject, const MomentHit *hit)
{
	Found	   *f;

	if (pass->nfound == pass->maxfound)
	{
		pass->maxfound = pass->maxfound ? 2 * pass->maxfound : 64;
		pass->found = pass->found ? repalloc_huge(pass->found, pass->maxfound * sizeof(Found)) :
			MemoryContextAllocHuge(pass->context, pass->maxfound * sizeof(Found));
	}
	f = &pass->found[pass->nfound++];
	f->id = MomentId(digest, kind, subject, &hit->last->event_id);
	f->kind = kind;
	f->subject = KeepStr(pass, subject);
	f->hit = *hit;
	f->last = *hit->last;
	f->last.person = KeepStr(pass, f->last.person);
	f->last.account = KeepStr(pass, f->last.account);
	f->last.opportunity = KeepStr(pass, f->last.opportunity);
	f->last.channel = KeepStr(pass, f->last.channel);
	f->last.object = KeepStr(pass, f->last.object);
	f->hit.evidence = memcpy(MemoryContextAlloc(pass->context, hit->nevidence * sizeof(pg_uuid_t)),
							 hit->evidence, hit->nevidence * sizeof(pg_uuid_t));
}

static void
KeepRetracted(MomentPass *pass, const pg_uuid_t *id)
{
	if (pass->nretract == pass->maxretract)
	{
		pass->maxretract = pass->maxretract ? 2 * pass->maxretract : 64;
		pass->retract = pass->retract ? repalloc(pass->retract, pass->maxretract * sizeof(Datum)) :
			MemoryContextAlloc(pass->context, pass->maxretract * sizeof(Datum));
	}
	pass->retract[pass->nretract++] =
		PointerGetDatum(memcpy(MemoryContextAlloc(pass->context, UUID_LEN), id->data, UUID_LEN));
}

/* Take a subject's row apart; ERROR if it is damaged. */
static int
StatesParse(const char *p, Size size, StoredState *to, int max)
{
	const char *end = p + size;
	int			n = 0;

	while (p < end)
	{
		if (end - p < 12 || n == max)
			goto damaged;
		memcpy(&to[n].rule, p, 8);
		memcpy(&to[n].size, p + 8, 4);
		p += 12;
		if (to[n].size > end - p)
			goto damaged;
		to[n].data = p;
		p += to[n++].size;
	}
	return n;
damaged:
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a stored state in revops.moment_state is damaged"),
			 errhint("Delete the row; then run SELECT revops.request_repair() for its subject.")));
}

/* Where a replay of one rule starts, and the state there */
typedef struct Replay
{
	int			rule;
	TimestampTz late_at;		/* the first event that the state has missed */
	pg_uuid_t	late_id;
	bool		has_moment;		/* the last standing moment before that */
	TimestampTz moment_at;
	pg_uuid_t	moment_id;
	TimestampTz start;
} Replay;

static void
ReplayPrepare(MomentPass *pass, Replay *r, SubjectKind kind, Datum subject)
{
	static SqlPlan last = {
		"SELECT occurred_at, evidence[cardinality(evidence)] FROM revops.moment"
		" WHERE subject = $1 COLLATE \"C\" AND subject_kind = $2::text::revops.subject_kind AND rule = $3 COLLATE \"C\" AND version = $4"
		" AND retracted_at IS NULL AND (occurred_at, evidence[cardinality(evidence)]) < ($5, $6)"
		" ORDER BY 1 DESC, 2 DESC LIMIT 1",
		6, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, UUIDOID}
	};
	const MomentRule *rule = pass->set->rules[r->rule];
	Datum		args[6];
	bool		isnull;
	int64		horizon = PatternHorizon(rule);

	args[0] = subject;
	args[1] = CStringGetTextDatum(SubjectKindName(kind));
	args[2] = CStringGetTextDatum(MomentRuleName(rule));
	args[3] = Int32GetDatum(MomentRuleVersion(rule));
	args[4] = TimestampTzGetDatum(r->late_at);
	args[5] = UUIDPGetDatum(&r->late_id);
	r->has_moment = SqlRun(&last, args, NULL) > 0;
	r->start = r->late_at < DT_NOBEGIN + 1 + horizon || TIMESTAMP_IS_NOBEGIN(r->late_at) ? DT_NOBEGIN : r->late_at - horizon;
	if (r->has_moment)
	{
		HeapTuple	tup = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		r->moment_at = DatumGetTimestampTz(SPI_getbinval(tup, desc, 1, &isnull));
		r->moment_id = *DatumGetUUIDP(SPI_getbinval(tup, desc, 2, &isnull));
		r->start = Max(r->start, r->moment_at);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Replay one rule over a history; keeps its moments, retracts those that it does not find again. */
static PatternState *
ReplayRun(MomentPass *pass, const Replay *r, SubjectKind kind, Str subject, Datum subject_datum, EventList *history)
{
	static SqlPlan stored = {
		"SELECT moment_id FROM revops.moment"
		" WHERE subject = $1 COLLATE \"C\" AND subject_kind = $2::text::revops.subject_kind AND rule = $3 COLLATE \"C\" AND version = $4"
		" AND retracted_at IS NULL AND (occurred_at, evidence[cardinality(evidence)]) >= ($5, $6)",
		6, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, UUIDOID}
	};
	const MomentRule *rule = pass->set->rules[r->rule];
	PatternState *state = r->has_moment ? PatternAfterMoment(rule, r->moment_at, &r->moment_id) : PatternNew(rule);
	int			first = pass->nfound;
	Datum		args[6];
	uint64		rows;

	for (int i = 0; i < history->n; i++)
	{
		Event	   *e = &history->events[i];
		MomentHit	hit = {0};

		CHECK_FOR_INTERRUPTS();
		if (e->occurred_at < r->start ||
			(r->has_moment && EventPointCmp(e->occurred_at, &e->event_id, r->moment_at, &r->moment_id) <= 0) ||
			!StrEq(EventSubject(e, kind), subject) || !MomentRelevant(rule, e))
			continue;
		if (PatternStep(rule, state, e, &hit))
		{
			hit.rule = rule;
			hit.last = e;
			KeepHit(pass, pass->digests[r->rule], kind, subject, &hit);
		}
	}
	args[0] = subject_datum;
	args[1] = CStringGetTextDatum(SubjectKindName(kind));
	args[2] = CStringGetTextDatum(MomentRuleName(rule));
	args[3] = Int32GetDatum(MomentRuleVersion(rule));
	args[4] = TimestampTzGetDatum(r->late_at);
	args[5] = UUIDPGetDatum(&r->late_id);
	rows = SqlRun(&stored, args, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		bool		isnull,
					again = false;
		pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		for (int f = first; f < pass->nfound && !again; f++)
			again = memcmp(pass->found[f].id.data, id->data, UUID_LEN) == 0;
		if (!again)
			KeepRetracted(pass, id);
	}
	SPI_freetuptable(SPI_tuptable);
	return state;
}

/* Put a subject's row together: the new states, and those stored ones of rules that live and were not touched. */
static bytea *
StatesBuild(MomentPass *pass, const StoredState *old, int nold, PatternState **states)
{
	Size		size = VARHDRSZ;
	bytea	   *result = NULL;
	char	   *p = NULL;

	for (int pass_no = 0; pass_no < 2; pass_no++)
	{
		if (pass_no == 1)
		{
			result = palloc(size);
			SET_VARSIZE(result, size);
			p = VARDATA(result);
		}
		for (int i = 0; i < pass->set->n; i++)
		{
			const char *keep = NULL;
			uint32		n = 0;

			if (states[i] != NULL)
				n = (uint32) PatternSize(states[i]);
			else
			{
				for (int k = 0; k < nold; k++)
					if (old[k].rule == pass->digests[i])
					{
						keep = old[k].data;
						n = old[k].size;
					}
				if (keep == NULL)
					continue;
			}
			if (pass_no == 0)
			{
				size += 12 + n;
				continue;
			}
			memcpy(p, &pass->digests[i], 8);
			memcpy(p + 8, &n, 4);
			if (keep != NULL)
				memcpy(p + 12, keep, n);
			else
				PatternWrite(states[i], p + 12);
			p += 12 + n;
		}
	}
	return result;
}

#define MAX_STORED	16384

/* One subject: its steps [from, to) of the batch, or (to == from) a repair of every rule from `since` on. */
static void
RunSubject(MomentPass *pass, TableWriter *w, SubjectKind kind, Str subject, int64 from, int64 to,
		   bool repair, TimestampTz since, const Consumed *consumed)
{
	Datum		values[3];
	bool		isnull[3] = {false};
	StoredState *stored = NULL;
	int			nstored = 0;
	bool		found;
	PatternState **states = palloc0((pass->set->n + 1) * sizeof(PatternState *));
	Replay	   *replays = NULL;
	int			nreplays = 0;

	values[0] = ObjectIdGetDatum(SubjectKindOid(kind));
	values[1] = PointerGetDatum(cstring_to_text_with_len(subject.data, subject.len));
	found = TableWriterFind(w, values);
	if (found)
	{
		bytea	   *b = DatumGetByteaPCopy(w->found->tts_values[2]);
		int			max = Min(MAX_STORED, VARSIZE(b) / 12 + 1);

		stored = palloc(max * sizeof(StoredState));
		nstored = StatesParse(VARDATA(b), VARSIZE(b) - VARHDRSZ, stored, max);
	}

	while (from < to)
	{
		int			r = pass->steps[from].rule;
		const MomentRule *rule = pass->set->rules[r];
		PatternState *state = NULL;
		TimestampTz at;
		pg_uuid_t	id;
		Event	   *first = pass->steps[from].e;

		for (int k = 0; k < nstored; k++)
			if (stored[k].rule == pass->digests[r])
				state = PatternRead(rule, stored[k].data, stored[k].size);
		if (state == NULL)
			state = PatternNew(rule);
		if (PatternFrontier(state, &at, &id) && EventPointCmp(first->occurred_at, &first->event_id, at, &id) <= 0)
		{
			if (replays == NULL)
				replays = palloc0(pass->set->n * sizeof(Replay));
			replays[nreplays].rule = r;
			replays[nreplays].late_at = first->occurred_at;
			replays[nreplays++].late_id = first->event_id;
			while (from < to && pass->steps[from].rule == r)
				from++;
			continue;
		}
		for (; from < to && pass->steps[from].rule == r; from++)
		{
			MomentHit	hit = {0};

			if (PatternStep(rule, state, pass->steps[from].e, &hit))
			{
				hit.rule = rule;
				hit.last = pass->steps[from].e;
				KeepHit(pass, pass->digests[r], kind, subject, &hit);
			}
		}
		states[r] = state;
	}

	if (repair)
	{
		replays = palloc0((pass->set->n + 1) * sizeof(Replay));
		for (int r = 0; r < pass->set->n; r++)
			if (MomentRuleSubject(pass->set->rules[r]) == kind)
			{
				replays[nreplays].rule = r;
				replays[nreplays++].late_at = since;
			}
	}
	if (nreplays > 0)
	{
		TimestampTz start = DT_NOEND;
		EventList  *history;

		for (int i = 0; i < nreplays; i++)
		{
			ReplayPrepare(pass, &replays[i], kind, values[1]);
			start = Min(start, replays[i].start);
		}
		history = EventHistory(kind, subject, start, DT_NOEND, consumed);
		for (int i = 0; i < nreplays; i++)
			states[replays[i].rule] = ReplayRun(pass, &replays[i], kind, subject, values[1], history);
	}

	values[2] = PointerGetDatum(StatesBuild(pass, stored, nstored, states));
	if (found || VARSIZE(DatumGetPointer(values[2])) > VARHDRSZ)
		TableWriterPut(w, found, values, isnull);
}

void
MomentPassFinish(MomentPass *pass, const Consumed *consumed)
{
	TableWriter *w;
	MemoryContext work;

	if (pass->nsteps == 0)
		return;
	qsort(pass->steps, pass->nsteps, sizeof(Step), StepCmp);
	w = TableWriterOpen("moment_state");
	work = AllocSetContextCreate(CurrentMemoryContext, "revops moment subject", ALLOCSET_DEFAULT_SIZES);
	for (int64 from = 0, to; from < pass->nsteps; from = to)
	{
		const Step *s = &pass->steps[from];
		MemoryContext old;

		for (to = from + 1; to < pass->nsteps && pass->steps[to].kind == s->kind && StrEq(pass->steps[to].subject, s->subject);)
			to++;
		old = MemoryContextSwitchTo(work);
		RunSubject(pass, w, s->kind, s->subject, from, to, false, 0, consumed);
		MemoryContextSwitchTo(old);
		MemoryContextReset(work);
	}
	TableWriterClose(w);
	MemoryContextDelete(work);
}

void
MomentPassRepair(MomentPass *pass, SubjectKind kind, Str subject, TimestampTz since, const Consumed *consumed)
{
	TableWriter *w;
	MemoryContext work,
				old;

	if (pass->set->n == 0)
		return;
	w = TableWriterOpen("moment_state");
	work = AllocSetContextCreate(CurrentMemoryContext, "revops moment repair", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	RunSubject(pass, w, kind, subject, 0, 0, true, since, consumed);
	MemoryContextSwitchTo(old);
	TableWriterClose(w);
	MemoryContextDelete(work);
}

static Datum
StrDatum(Str s, bool *isnull)
{
	*isnull = s.data == NULL;
	return *isnull ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(s.data, s.len));
}

static Datum
UuidArray(Datum *ids, int n)
{
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

void
MomentPassWrite(MomentPass *pass, Datum *opened, int *nopened, Datum *retracted, int *nretracted)
{
	/* a moment that stands already, and is found again by a replay, is no news */
	static SqlPlan put = {
		"INSERT INTO revops.moment AS m (moment_id, rule, version, subject_kind, subject, person, account, opportunity,"
		" occurred_at, detected_at, strength, channel, object, evidence, playbook)"
		" VALUES ($1, $2, $3, $4::text::revops.subject_kind, $5, $6, $7, $8, $9, revops.now(), $10, $11, $12, $13, $14)"
		" ON CONFLICT (subject, moment_id) DO NOTHING",
		14, {UUIDOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, FLOAT8OID, TEXTOID, TEXTOID,
		UUIDARRAYOID, TEXTOID}
	};
	static SqlPlan stand_again = {
		"UPDATE revops.moment SET retracted_at = NULL"
		" WHERE subject = $1 COLLATE \"C\" AND moment_id = $2 AND retracted_at IS NOT NULL", 2, {TEXTOID, UUIDOID}
	};
	static SqlPlan refresh = {
		"UPDATE revops.moment SET strength = $3, evidence = $4, person = $5, account = $6"
		" WHERE subject = $1 COLLATE \"C\" AND moment_id = $2"
		" AND (strength, evidence, person, account) IS DISTINCT FROM ($3, $4, $5, $6)",
		6, {TEXTOID, UUIDOID, FLOAT8OID, UUIDARRAYOID, TEXTOID, TEXTOID}
	};
	static SqlPlan undo = {
		"UPDATE revops.moment SET retracted_at = revops.now() WHERE moment_id = ANY ($1)", 1, {UUIDARRAYOID}
	};
	Datum	   *news = palloc((pass->nfound + 1) * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < pass->nfound; i++)
	{
		Found	   *f = &pass->found[i];
		const MomentRule *rule = f->hit.rule;
		Datum		v[14];
		bool		null[14] = {false};
		Datum	   *evidence = palloc(f->hit.nevidence * sizeof(Datum));

		v[0] = UUIDPGetDatum(&f->id);
		v[1] = CStringGetTextDatum(MomentRuleName(rule));
		v[2] = Int32GetDatum(MomentRuleVersion(rule));
		v[3] = CStringGetTextDatum(SubjectKindName(f->kind));
		v[4] = StrDatum(f->subject, &null[4]);
		v[5] = StrDatum(f->last.person, &null[5]);
		v[6] = StrDatum(f->last.account, &null[6]);
		v[7] = StrDatum(f->last.opportunity, &null[7]);
		v[8] = TimestampTzGetDatum(f->last.occurred_at);
		v[9] = Float8GetDatum(f->hit.strength);
		v[10] = StrDatum(f->last.channel, &null[10]);
		v[11] = StrDatum(f->last.object, &null[11]);
		for (int k = 0; k < f->hit.nevidence; k++)
			evidence[k] = UUIDPGetDatum(&f->hit.evidence[k]);
		v[12] = UuidArray(evidence, f->hit.nevidence);
		null[13] = MomentRulePlaybook(rule) == NULL;
		v[13] = null[13] ? (Datum) 0 : CStringGetTextDatum(MomentRulePlaybook(rule));
		if (SqlRun(&put, v, null) > 0)
			news[n++] = UUIDPGetDatum(&f->id);
		else
		{
			Datum		u[6] = {v[4], v[0], v[9], v[12], v[5], v[6]};
			bool		unull[6] = {false, false, false, false, null[5], null[6]};

			if (SqlRun(&stand_again, u, unull) > 0)
				news[n++] = UUIDPGetDatum(&f->id);
			SqlRun(&refresh, u, unull);
		}
	}
	*nopened = n;
	*opened = n > 0 ? UuidArray(news, n) : (Datum) 0;
	*nretracted = pass->nretract;
	*retracted = pass->nretract > 0 ? UuidArray(pass->retract, pass->nretract) : (Datum) 0;
	if (pass->nretract > 0)
		SqlRun(&undo, retracted, NULL);
}
