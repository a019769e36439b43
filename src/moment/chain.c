/*
 * chain.c
 *	  Sequences: a nondeterministic automaton whose runs are the chains of events that the steps took.
 *
 * A chain at step i goes on with any of its open steps: i itself while it takes more, and the later ones up to the first that is not
 * optional, once i has enough. Taking an event makes a new chain; the old one stays for its other open steps. A relaxed step is
 * closed by the first event that fits it, a strict one by the next event, and an absence closes the steps behind it.
 *
 * Of chains that wait at the same place for the same steps, remembering nothing, the one that is later in all respects would win
 * every choice and expire last: the others go (Dominates). So the chains of a plain sequence are at most as many as its steps,
 * whatever the number of events. Of others, at most PATTERN_MAX_ENTRIES events are kept, those of the chains that began last; since
 * chains that began earlier never crowd out later ones, a replay ends in the same chains.
 */
#include "moment/pattern.h"

#include "utils/memutils.h"

Chain *
ChainNew(PatternState *state, const Sequence *q, int n)
{
	Chain	   *chain = MemoryContextAllocZero(GetMemoryChunkContext(state),
											   MAXALIGN(sizeof(Chain)) + MAXALIGN(n * sizeof(ChainEvent)) + q->nrefs * sizeof(FieldValue));

	chain->n = n;
	chain->events = (ChainEvent *) ((char *) chain + MAXALIGN(sizeof(Chain)));
	chain->values = (FieldValue *) ((char *) chain->events + MAXALIGN(n * sizeof(ChainEvent)));
	return chain;
}

void
ChainAdd(PatternState *state, Chain *chain)
{
	if (state->nchains == state->maxchains)
	{
		int			max = Max(state->maxchains * 2, 8);

		state->chains = state->chains ? repalloc(state->chains, max * sizeof(Chain *)) :
			MemoryContextAlloc(GetMemoryChunkContext(state), max * sizeof(Chain *));
		state->maxchains = max;
	}
	state->chains[state->nchains++] = chain;
	state->chained += chain->n;
}

void
ChainsClear(PatternState *state)
{
	for (int i = 0; i < state->nchains; i++)
		pfree(state->chains[i]);
	state->nchains = state->chained = 0;
}

/* Take the dead out; `keep` is the caller's */
static void
Bury(PatternState *state, const Chain *keep)
{
	int			n = 0;

	for (int i = 0; i < state->nchains; i++)
	{
		Chain	   *chain = state->chains[i];

		if (!chain->dead)
			state->chains[n++] = chain;
		else
		{
			state->chained -= chain->n;
			if (chain != keep)
				pfree(chain);
		}
	}
	state->nchains = n;
}

/* Events that a step took */
int
ChainCount(const Chain *chain, int step)
{
	int			n = 0;

	for (int i = 0; i < chain->n; i++)
		n += chain->events[i].step == step;
	return n;
}

/* The steps that may take the next event of a chain that has just come to where it is */
uint32
ChainOpen(const Sequence *q, const Chain *chain)
{
	int			step = chain->events[chain->n - 1].step;
	int			count = ChainCount(chain, step);
	uint32		open = 0;

	if (count < q->steps[step].max)
		open |= 1u << step;
	if (count >= q->steps[step].min)
		for (int t = step + 1; t < q->n; t++)
		{
			open |= 1u << t;
			if (!q->steps[t].optional)
				break;
		}
	return open;
}

static inline bool
IsComplete(const Sequence *q, const Chain *chain)
{
	return chain->events[chain->n - 1].step == q->n - 1 && ChainCount(chain, q->n - 1) >= q->steps[q->n - 1].min;
}

/* The later chain, seen from the end; of two with the same end, the longer */
static int
ChainCmp(const Chain *a, const Chain *b)
{
	for (int i = 1; i <= Min(a->n, b->n); i++)
	{
		const ChainEvent *x = &a->events[a->n - i],
				   *y = &b->events[b->n - i];
		int			c = EventPointCmp(x->at, &x->id, y->at, &y->id);

		if (c != 0)
			return c;
	}
	return a->n - b->n;
}

static inline int
BeginCmp(const Chain *a, const Chain *b)
{
	return EventPointCmp(a->events[0].at, &a->events[0].id, b->events[0].at, &b->events[0].id);
}

static bool
RelationHolds(const StepRelation *r, const FieldValue *a, const FieldValue *b)
{
	bool		same;

	if (a->type == VALUE_NONE || b->type == VALUE_NONE || a->type != b->type)
		return r->test == RELATION_NE;
	same = a->type == VALUE_TEXT ? a->hash == b->hash : a->number == b->number;
	if (r->test == RELATION_EQ || r->test == RELATION_NE)
		return same == (r->test == RELATION_EQ);
	if (a->type != VALUE_NUMBER)
		return false;
	switch (r->test)
	{
		case RELATION_GT:
			return a->number > b->number;
		case RELATION_GTE:
			return a->number >= b->number;
		case RELATION_LT:
			return a->number < b->number;
		default:
			return a->number <= b->number;
	}
}

static bool
RelationsHold(const StepRelation *relations, int n, const Chain *chain, const Event *e)
{
	for (int i = 0; i < n; i++)
	{
		FieldValue	v;

		EventField(relations[i].field, e, &v);
		if (!RelationHolds(&relations[i], &v, &chain->values[relations[i].ref]))
			return false;
	}
	return true;
}

static bool
Fits(const Sequence *q, const Chain *chain, int step, const Event *e, MomentRoles roles)
{
	return (roles & ROLE_STEP(step)) != 0 && RelationsHold(q->steps[step].relations, q->steps[step].nrelations, chain, e);
}

/* Is it what must not come after a step? */
static bool
IsAbsent(const Sequence *q, const Chain *chain, int step, const Event *e, MomentRoles roles)
{
	return (roles & ROLE_ABSENT(step)) != 0 && RelationsHold(q->steps[step].absent_relations, q->steps[step].nabsent, chain, e);
}

/* The chain that a step's taking an event makes of another one (NULL: it begins) */
static Chain *
Extend(PatternState *state, const Sequence *q, const Chain *from, int step, const Event *e)
{
	int			n = from ? from->n : 0;
	Chain	   *chain = ChainNew(state, q, n + 1);

	if (from != NULL)
	{
		memcpy(chain->events, from->events, n * sizeof(ChainEvent));
		memcpy(chain->values, from->values, q->nrefs * sizeof(FieldValue));
	}
	chain->events[n].at = e->occurred_at;
	chain->events[n].id = e->event_id;
	chain->events[n].step = step;
	for (int i = 0; i < q->nrefs; i++)
		if (q->refs[i].first ? n == 0 : q->refs[i].step == step)
			EventField(q->refs[i].field, e, &chain->values[i]);
	chain->open = ChainOpen(q, chain);
	return chain;
}

/* May an open step take an event only some time after the chain's last one? Then the later chain is not the better one. */
static bool
MustPause(const Sequence *q, const Chain *chain)
{
	for (int t = chain->events[chain->n - 1].step; t < q->n; t++)
		if ((chain->open & (1u << t)) != 0 && q->steps[t].least_gap > 0)
			return true;
	return false;
}

/* Will b never be missed beside a? Both remember nothing, and wait at the same place for the same steps. */
static bool
Dominates(const Sequence *q, const Chain *a, const Chain *b)
{
	const ChainEvent *last = &a->events[a->n - 1];
	int			step = last->step;

	if (last->at > b->events[b->n - 1].at && MustPause(q, a))
		return false;
	return b->events[b->n - 1].step == step && a->open == b->open && ChainCount(a, step) == ChainCount(b, step) &&
		BeginCmp(a, b) >= 0 && ChainCmp(a, b) >= 0;
}

static inline TimestampTz
Deadline(const Sequence *q, const Chain *chain)
{
	return TimeAfter(chain->events[chain->n - 1].at, q->wait);
}

/*
 * May the new one of two waiting chains go? What ends the wait of one ends that of all; and if the first to be due becomes a moment for
 * sure, that spends the others.
 */
static bool
WaitsInVain(const MomentRule *rule, const PatternState *state, const Chain *fresh, const Chain *old)
{
	TimestampTz due = Deadline(rule->sequence, old);

	return !rule->retains && !state->disarmed && !state->muted && due < Deadline(rule->sequence, fresh) && !PatternCooling(rule, state, due);
}

/* Put new chains among the others: those of the state from `first` on are new. */
static void
Settle(const MomentRule *rule, PatternState *state, int first)
{
	const Sequence *q = rule->sequence;

	if (q->nrefs == 0)
		for (int i = first; i < state->nchains; i++)
		{
			Chain	   *fresh = state->chains[i];

			for (int k = 0; k < i && !fresh->dead; k++)
			{
				Chain	   *old = state->chains[k];

				if (old->dead || old->waiting != fresh->waiting)
					continue;
				if (fresh->waiting)
					fresh->dead = WaitsInVain(rule, state, fresh, old);
				else if (Dominates(q, fresh, old))
					old->dead = true;
				else
					fresh->dead = Dominates(q, old, fresh);
			}
		}
	Bury(state, NULL);
	while (state->chained > PATTERN_MAX_ENTRIES && state->nchains > 1)
	{
		Chain	   *oldest = state->chains[0];

		for (int i = 1; i < state->nchains; i++)
		{
			int			c = BeginCmp(state->chains[i], oldest);

			if (c < 0 || (c == 0 && ChainCmp(state->chains[i], oldest) < 0))
				oldest = state->chains[i];
		}
		oldest->dead = true;
		state->capped++;
		Bury(state, NULL);
	}
}

/* What an event does to a chain; its new chains go to the end of the state's. */
static void
ChainStep(PatternState *state, const Sequence *q, Chain *chain, const Event *e, MomentRoles roles)
{
	const ChainEvent *last = &chain->events[chain->n - 1];
	int			step = last->step;

	if (chain->waiting)
	{
		chain->dead = IsAbsent(q, chain, q->n - 1, e, roles);
		return;
	}
	if (e->occurred_at - chain->events[0].at >= q->within)
	{
		chain->dead = true;
		return;
	}
	for (int t = step; t < q->n; t++)
	{
		const SequenceStep *to = &q->steps[t];
		bool		fits;

		if ((chain->open & (1u << t)) == 0)
			continue;
		fits = Fits(q, chain, t, e, roles);
		if (to->gap > 0 && e->occurred_at - last->at > to->gap)
			chain->open &= ~(1u << t);
		else
		{
			if (fits && e->occurred_at - last->at >= to->least_gap)
				ChainAdd(state, Extend(state, q, chain, t, e));
			if (to->contiguity == CONTIGUITY_STRICT || (fits && to->contiguity == CONTIGUITY_RELAXED))
				chain->open &= ~(1u << t);
		}
	}
	for (int p = step; p < q->n; p++)
		if (IsAbsent(q, chain, p, e, roles))
			chain->open &= (2u << p) - 1;
	chain->dead = chain->open == 0;
}

Chain *
ChainsStep(const MomentRule *rule, PatternState *state, const Event *e, MomentRoles roles)
{
	const Sequence *q = rule->sequence;
	Chain	   *best = NULL;
	int			first;

	if (roles & ROLE_UNTIL)
		ChainsClear(state);
	first = state->nchains;
	for (int i = 0; i < first; i++)
		ChainStep(state, q, state->chains[i], e, roles);
	if (roles & ROLE_STEP(0))
		ChainAdd(state, Extend(state, q, NULL, 0, e));
	for (int i = first; i < state->nchains; i++)
	{
		Chain	   *chain = state->chains[i];

		if (!IsComplete(q, chain))
			continue;
		if (q->wait > 0)
			chain->waiting = true;
		else
		{
			chain->dead = true;
			if (best == NULL || ChainCmp(chain, best) > 0)
				best = chain;
		}
	}
	if (best != NULL)
	{
		/* where the new ones begin, once the dead are gone */
		int			living = 0;

		for (int i = 0; i < first; i++)
			living += !state->chains[i]->dead;
		Bury(state, best);
		first = living;
	}
	Settle(rule, state, first);
	return best;
}

TimestampTz
ChainsDue(const MomentRule *rule, const PatternState *state)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < state->nchains; i++)
		if (state->chains[i]->waiting)
			due = Min(due, Deadline(rule->sequence, state->chains[i]));
	return due < rule->valid_to ? due : DT_NOEND;
}

Chain *
ChainsTimeout(const MomentRule *rule, PatternState *state, TimestampTz before, TimestampTz *at)
{
	Chain	   *best = NULL;

	*at = ChainsDue(rule, state);
	if (*at >= before || TIMESTAMP_IS_NOEND(*at))
		return NULL;
	for (int i = 0; i < state->nchains; i++)
	{
		Chain	   *chain = state->chains[i];

		if (chain->waiting && Deadline(rule->sequence, chain) == *at)
		{
			chain->dead = true;
			if (best == NULL || ChainCmp(chain, best) > 0)
				best = chain;
		}
	}
	Bury(state, best);
	return best;
}
