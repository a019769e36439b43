/*
 * pass.c
 *	  From a batch of events to moments: each subject's events, in the order of time, through the state of each rule that they concern.
 *
 * Usually a batch continues where the states stand. Where an event is not after a state's frontier, that rule is replayed for that
 * subject (replay.c), unless the event is later than revops.allowed_lateness. So the moments are those of one pass over all events in
 * the order of time, whatever the order of arrival. Timeouts fire before the next event of their rule, and else when the stream has
 * nothing else to do (MomentPassTimeouts), by moment_state.due_at.
 *
 * A subject's states are one row, ascending by the rules' digests (StoredState). So the work for a subject goes by the rules that its
 * events concern, not by the number of rules.
 */
#include "moment/run.h"

#include "base/writer.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "moment/pattern.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define LATENESS_DEFAULT	(90 * SECS_PER_DAY)

static int	allowed_lateness = LATENESS_DEFAULT;	/* seconds */

/* A state that this pass has changed */
typedef struct LiveState
{
	int			rule;
	PatternState *state;
} LiveState;

/* One subject while it is worked on */
typedef struct Subject
{
	SubjectKind kind;
	Str			subject;
	Datum		key;
	bool		found;			/* it has a row */
	bool		stale;			/* which is to be written, whatever has changed */
	int			nstored;
	StoredState *stored;
	int			nlive;
	LiveState  *live;
} Subject;

/* columns of revops.moment_state */
enum
{
	COL_KIND, COL_SUBJECT, COL_STATES, COL_DUE_AT, NCOLS
};

void
PassInit(void)
{
	DefineCustomIntVariable("revops.allowed_lateness",
							"How late an event may be to change moments.",
							"An event that lies further back than this behind what its subject's rule has seen is kept, and counted in revops.late_event.",
							&allowed_lateness, LATENESS_DEFAULT, 0, INT_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
}

MomentPass *
MomentPassBegin(int lane, int lanes)
{
	MomentPass *pass = palloc0(sizeof(MomentPass));

	pass->lane = lane;
	pass->lanes = lanes;
	pass->context = CurrentMemoryContext;
	pass->set = MomentRules();
	pass->capped = palloc0((pass->set->n + 1) * sizeof(int64));
	pass->allowed_lateness = allowed_lateness * USECS_PER_SEC;
	return pass;
}

void
MomentPassEvent(MomentPass *pass, Event *e)
{
	const int  *candidates;
	int			n;
	int			mine[SUBJECT_KINDS] = {-1, -1, -1, -1}; /* is the subject the lane's: not known yet */

	if (e->ahead || pass->set->n == 0)
		return;
	n = PredicateIndexLook(pass->set->index, e, &candidates);
	for (int i = 0; i < n; i++)
	{
		const MomentRule *rule = pass->set->rules[candidates[i]];
		SubjectKind kind = rule->per;
		Str			subject = EventSubject(e, kind);
		MomentRoles roles;
		Step	   *step;

		if (subject.data == NULL)
			continue;
		if (mine[kind] < 0)
			mine[kind] = SubjectLane(kind, subject, pass->lanes) == pass->lane;
		if (!mine[kind] || (roles = MomentRuleRoles(rule, e)) == 0)
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
		step->rule = candidates[i];
		step->roles = roles;
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

/* ---------- a subject's row ---------- */

static void
SubjectOpen(Subject *s, TableWriter *w, SubjectKind kind, Str subject)
{
	Datum		key[2];

	memset(s, 0, sizeof(Subject));
	s->kind = kind;
	s->subject = subject;
	key[0] = ObjectIdGetDatum(SubjectKindOid(kind));
	key[1] = s->key = PointerGetDatum(cstring_to_text_with_len(subject.data, subject.len));
	s->found = TableWriterFind(w, key);
	if (s->found)
		s->stored = StoredStates(DatumGetByteaPCopy(w->found->tts_values[COL_STATES]), &s->nstored);
}

/* The stored state of a rule; NULL: none */
static const StoredState *
StoredOf(const Subject *s, uint64 digest)
{
	int			lo = 0,
				hi = s->nstored;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (s->stored[mid].rule < digest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nstored && s->stored[lo].rule == digest ? &s->stored[lo] : NULL;
}

static void
AddLive(Subject *s, int rule, PatternState *state)
{
	/* room for one more, doubling at powers of two */
	if (s->nlive == 0)
		s->live = palloc(sizeof(LiveState));
	else if ((s->nlive & (s->nlive - 1)) == 0)
		s->live = repalloc(s->live, 2 * s->nlive * sizeof(LiveState));
	s->live[s->nlive].rule = rule;
	s->live[s->nlive++].state = state;
}

static const MomentRuleSet *sort_set;

static int
LiveCmp(const void *a, const void *b)
{
	uint64		x = sort_set->rules[((const LiveState *) a)->rule]->digest;
	uint64		y = sort_set->rules[((const LiveState *) b)->rule]->digest;

	return x < y ? -1 : x > y;
}

/* Write the row: the changed states, and the stored ones of rules that live. */
static void
SubjectClose(MomentPass *pass, Subject *s, TableWriter *w)
{
	Datum		values[NCOLS];
	bool		isnull[NCOLS] = {false};
	TimestampTz due = DT_NOEND;
	Size		size = VARHDRSZ;
	bytea	   *row;
	char	   *p;
	int			i = 0,
				k = 0;

	if (s->nlive == 0 && !(s->stale && s->found))
		return;
	sort_set = pass->set;
	if (s->nlive > 1)
		qsort(s->live, s->nlive, sizeof(LiveState), LiveCmp);
	for (int l = 0; l < s->nlive; l++)
	{
		pass->capped[s->live[l].rule] += PatternCapped(s->live[l].state);
		size += STORED_HEADER + PatternSize(pass->set->rules[s->live[l].rule], s->live[l].state);
	}
	for (int l = 0; l < s->nstored; l++)
		size += STORED_HEADER + s->stored[l].size;
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the states of %s \"%.*s\" in all moment rules take more than a row can", SubjectKindName(s->kind),
						s->subject.len, s->subject.data)));
	row = palloc(size);
	p = VARDATA(row);
	while (i < s->nstored || k < s->nlive)
	{
		const MomentRule *rule = k < s->nlive ? pass->set->rules[s->live[k].rule] : NULL;
		uint64		digest;
		TimestampTz at;
		uint32		n;

		if (rule != NULL && (i == s->nstored || rule->digest <= s->stored[i].rule))
		{
			if (i < s->nstored && s->stored[i].rule == rule->digest)
				i++;
			digest = rule->digest;
			at = PatternDue(rule, s->live[k].state);
			n = (uint32) PatternSize(rule, s->live[k].state);
			PatternWrite(rule, s->live[k++].state, p + STORED_HEADER);
		}
		else
		{
			const StoredState *old = &s->stored[i++];

			if (MomentRuleByDigest(pass->set, old->rule) < 0)
				continue;
			digest = old->rule;
			at = old->due;
			n = old->size;
			memcpy(p + STORED_HEADER, old->data, n);
		}
		memcpy(p, &digest, 8);
		memcpy(p + 8, &at, 8);
		memcpy(p + 16, &n, 4);
		p += STORED_HEADER + n;
		due = Min(due, at);
	}
	SET_VARSIZE(row, p - (char *) row);
	values[COL_KIND] = ObjectIdGetDatum(SubjectKindOid(s->kind));
	values[COL_SUBJECT] = s->key;
	values[COL_STATES] = PointerGetDatum(row);
	values[COL_DUE_AT] = TimestampTzGetDatum(due);
	isnull[COL_DUE_AT] = TIMESTAMP_IS_NOEND(due);
	TableWriterPut(w, s->found, values, isnull);
}

/* ---------- running it ---------- */

/* The steps [from, to) of one rule through its state; or false, and *late, if the first that is not too late needs a replay. */
static bool
RunSteps(MomentPass *pass, Subject *s, int64 from, int64 to, const Step **late)
{
	int			r = pass->steps[from].rule;
	const MomentRule *rule = pass->set->rules[r];
	const StoredState *stored = StoredOf(s, rule->digest);
	PatternState *state = stored ? PatternRead(rule, stored->data, stored->size) : PatternNew(rule);
	TimestampTz at;
	pg_uuid_t	id;
	MomentHit	hit;

	if (PatternFrontier(state, &at, &id))
		for (; from < to; from++)
		{
			const Event *e = pass->steps[from].e;

			if (EventPointCmp(e->occurred_at, &e->event_id, at, &id) > 0)
				break;
			if (at - e->occurred_at <= pass->allowed_lateness)
			{
				*late = &pass->steps[from];
				return false;
			}
			KeepLate(pass, &pass->steps[from], at - e->occurred_at);
		}
	if (from == to)
		return true;
	for (; from < to; from++)
	{
		const Step *step = &pass->steps[from];

		CHECK_FOR_INTERRUPTS();
		while (PatternTimeout(rule, state, step->e->occurred_at, &hit))
			KeepHit(pass, s->kind, s->subject, &hit);
		if (PatternStep(rule, state, step->e, step->roles, &hit))
			KeepHit(pass, s->kind, s->subject, &hit);
	}
	AddLive(s, r, state);
	return true;
}

/* Replay rules over the subject's history. */
static void
RunReplays(MomentPass *pass, Subject *s, Replay *replays, int n, const Consumed *consumed)
{
	StandingList *standing = StandingLoad(s->kind, s->key, pass->set);
	TimestampTz start = DT_NOEND;
	EventList  *history;

	for (int i = 0; i < n; i++)
	{
		ReplayPrepare(pass, &replays[i], standing);
		start = Min(start, replays[i].start);
	}
	history = EventHistory(s->kind, s->subject, start, DT_NOEND, consumed);
	for (int i = 0; i < n; i++)
		AddLive(s, replays[i].rule, ReplayRun(pass, &replays[i], s->kind, s->subject, standing, history));
}

/* One subject's steps [from, to) of the batch */
static void
RunSubject(MomentPass *pass, TableWriter *w, int64 from, int64 to, const Consumed *consumed)
{
	Subject		s;
	Replay	   *replays = NULL;
	int			nreplays = 0;

	SubjectOpen(&s, w, pass->steps[from].kind, pass->steps[from].subject);
	for (int64 next; from < to; from = next)
	{
		const Step *late;

		CHECK_FOR_INTERRUPTS();
		for (next = from + 1; next < to && pass->steps[next].rule == pass->steps[from].rule;)
			next++;
		if (RunSteps(pass, &s, from, next, &late))
			continue;
		/* room for one more, doubling at powers of two */
		if (nreplays == 0)
			replays = palloc(sizeof(Replay));
		else if ((nreplays & (nreplays - 1)) == 0)
			replays = repalloc(replays, 2 * nreplays * sizeof(Replay));
		memset(&replays[nreplays], 0, sizeof(Replay));
		replays[nreplays].rule = late->rule;
		replays[nreplays].late_at = late->e->occurred_at;
		replays[nreplays++].late_id = late->e->event_id;
	}
	if (nreplays > 0)
		RunReplays(pass, &s, replays, nreplays, consumed);
	SubjectClose(pass, &s, w);
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
		RunSubject(pass, w, from, to, consumed);
		MemoryContextSwitchTo(old);
		MemoryContextReset(work);
	}
	TableWriterClose(w);
	MemoryContextDelete(work);
}

/* Run `body` on one subject's row, which it opens and closes. */
#define WITH_SUBJECT(pass, s, kind, subject, body) \
	do { \
		TableWriter *w = TableWriterOpen("moment_state"); \
		MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "revops moment subject", ALLOCSET_DEFAULT_SIZES); \
		MemoryContext old = MemoryContextSwitchTo(work); \
		SubjectOpen(s, w, kind, subject); \
		body; \
		SubjectClose(pass, s, w); \
		MemoryContextSwitchTo(old); \
		TableWriterClose(w); \
		MemoryContextDelete(work); \
	} while (0)

static void
RepairSubject(MomentPass *pass, Subject *s, TimestampTz since, const Consumed *consumed)
{
	Replay	   *replays = palloc0((pass->set->n + 1) * sizeof(Replay));
	int			n = 0;

	for (int r = 0; r < pass->set->n; r++)
		if (pass->set->rules[r]->per == s->kind)
		{
			replays[n].rule = r;
			replays[n++].late_at = since;
		}
	if (n > 0)
		RunReplays(pass, s, replays, n, consumed);
}

void
MomentPassRepair(MomentPass *pass, SubjectKind kind, Str subject, TimestampTz since, const Consumed *consumed)
{
	Subject		s;

	if (pass->set->n > 0)
		WITH_SUBJECT(pass, &s, kind, subject, RepairSubject(pass, &s, since, consumed));
}

static void
TimeoutSubject(MomentPass *pass, Subject *s, TimestampTz now)
{
	/* due_at is set anew even where the rule is no more */
	s->stale = true;
	for (int i = 0; i < s->nstored; i++)
	{
		const StoredState *stored = &s->stored[i];
		int			r = stored->due <= now ? MomentRuleByDigest(pass->set, stored->rule) : -1;
		PatternState *state;
		MomentHit	hit;

		if (r < 0)
			continue;
		state = PatternRead(pass->set->rules[r], stored->data, stored->size);
		while (PatternTimeout(pass->set->rules[r], state, now + 1, &hit))
			KeepHit(pass, s->kind, s->subject, &hit);
		AddLive(s, r, state);
	}
}

void
MomentPassTimeouts(MomentPass *pass, SubjectKind kind, Str subject, TimestampTz now)
{
	Subject		s;

	WITH_SUBJECT(pass, &s, kind, subject, TimeoutSubject(pass, &s, now));
}
