/*
 * pattern.c
 *	  The pattern engine: steps one rule over one subject's relevant events, in the order of time.
 *
 * A state is: when the rule last fired (for the cooldown), the last event seen, and the window, the events that can still be
 * part of a moment, oldest first. What is kept is a function of the window alone, never of how it came about:
 *
 *	- events at or before t - within have left it, and a fire empties it;
 *	- of a count, the newest at_least events;
 *	- of a sum, the fewest newest events that reach at_least (all, if they do not reach it). No value is negative, and none
 *	  counts for more than at_least, so neither decides less than the full window would, and sums neither round nor overflow.
 *
 * Hence a replay of just the events since t - within, after the last fire, ends in the same state as the run from the
 * beginning: an older event can neither be in its window nor, since adding events never undoes a moment, have hidden one.
 *
 * More than is needed is in the window only in a cooldown, for without one the event that reached at_least would have fired.
 * The sums of more than PATTERN_MAX_ENTRIES small events are those of the newest.
 */
#include "moment/rule.h"

#include "utils/memutils.h"

typedef struct PatternEntry
{
	TimestampTz at;
	pg_uuid_t	id;
	int64		value;			/* of a sum; else 1 */
} PatternEntry;

struct PatternState
{
	bool		fired;
	bool		seen;
	TimestampTz fired_at;
	TimestampTz seen_at;
	pg_uuid_t	seen_id;
	int64		sum;			/* of the values in the window */
	int			first;			/* the window is entries[first .. first + n - 1] */
	int			n;
	int			max;
	PatternEntry *entries;
	bool		valued;			/* the entries' values are worth writing */
};

/* ---------- the window ---------- */

static inline void
DropOldest(PatternState *state)
{
	state->sum -= state->entries[state->first].value;
	state->n--;
	state->first = state->n == 0 ? 0 : state->first + 1;
}

static void
AddEntry(PatternState *state, TimestampTz at, const pg_uuid_t *id, int64 value)
{
	PatternEntry *entry;

	if (state->first + state->n == state->max)
	{
		if (state->first > state->n)
			memcpy(state->entries, state->entries + state->first, state->n * sizeof(PatternEntry));
		else
		{
			int			max = Max(state->n * 2, 4);
			PatternEntry *entries = MemoryContextAlloc(GetMemoryChunkContext(state), max * sizeof(PatternEntry));

			if (state->entries != NULL)
			{
				memcpy(entries, state->entries + state->first, state->n * sizeof(PatternEntry));
				pfree(state->entries);
			}
			state->entries = entries;
			state->max = max;
		}
		state->first = 0;
	}
	entry = &state->entries[state->first + state->n++];
	entry->at = at;
	entry->id = *id;
	entry->value = value;
	state->sum += value;
}

/* Give up what cannot decide anything any more. */
static void
Trim(const MomentRule *rule, PatternState *state)
{
	while (state->n > 0 &&
		   (state->n > PATTERN_MAX_ENTRIES || state->sum - state->entries[state->first].value >= rule->at_least))
		DropOldest(state);
}

/* Report the window as a moment, and empty it. */
static void
Fire(const MomentRule *rule, PatternState *state, const Event *e, MomentHit *hit)
{
	hit->rule = rule;
	hit->last = e;
	hit->strength = rule->strength;
	if (rule->pattern == PATTERN_EACH)
	{
		hit->nevidence = 1;
		hit->evidence = palloc(sizeof(pg_uuid_t));
		hit->evidence[0] = e->event_id;
	}
	else
	{
		int			n = Min(state->n, MOMENT_MAX_EVIDENCE);

		hit->nevidence = n;
		hit->evidence = palloc(n * sizeof(pg_uuid_t));
		for (int i = 0; i < n; i++)
			hit->evidence[i] = state->entries[state->first + state->n - n + i].id;
	}
	state->fired = true;
	state->fired_at = e->occurred_at;
	state->first = state->n = 0;
	state->sum = 0;
}

/* ---------- the engine ---------- */

PatternState *
PatternNew(const MomentRule *rule)
{
	PatternState *state = palloc0(sizeof(PatternState));

	state->valued = rule->pattern == PATTERN_SUM;
	return state;
}

bool
PatternStep(const MomentRule *rule, PatternState *state, const Event *e, MomentHit *hit)
{
	bool		cooling = state->fired && e->occurred_at < state->fired_at + rule->cooldown;

	state->seen = true;
	state->seen_at = e->occurred_at;
	state->seen_id = e->event_id;
	if (rule->pattern != PATTERN_EACH)
	{
		int64		value = rule->pattern == PATTERN_SUM ? MomentRuleValue(rule, e) : 1;

		while (state->n > 0 && state->entries[state->first].at <= e->occurred_at - rule->within)
			DropOldest(state);
		if (value <= 0)
			return false;
		AddEntry(state, e->occurred_at, &e->event_id, value);
		/* a sum that fires names all that it added up */
		if (cooling || state->sum < rule->at_least || rule->pattern == PATTERN_COUNT)
			Trim(rule, state);
		if (cooling || state->sum < rule->at_least)
			return false;
	}
	else if (cooling)
		return false;
	Fire(rule, state, e, hit);
	return true;
}

bool
PatternFrontier(const PatternState *state, TimestampTz *at, pg_uuid_t *id)
{
	if (state->seen)
	{
		*at = state->seen_at;
		*id = state->seen_id;
	}
	return state->seen;
}

PatternState *
PatternAfterMoment(const MomentRule *rule, TimestampTz at, const pg_uuid_t *id)
{
	PatternState *state = PatternNew(rule);

	state->fired = state->seen = true;
	state->fired_at = state->seen_at = at;
	state->seen_id = *id;
	return state;
}

int64
PatternHorizon(const MomentRule *rule)
{
	return rule->within;
}

/* ---------- flat bytes ---------- */

/*
 * format 1 byte, flags 1, entries 2, fired_at 8 if fired, seen_at 8 and seen_id 16 if seen, then the entries: at 8, id 16,
 * value 8 if valued. Numbers are little-endian on every machine, so that a dump is the same everywhere.
 */
#define STATE_FORMAT	1
#define STATE_FIRED		1
#define STATE_SEEN		2
#define STATE_VALUED	4

static char *
Put(char *to, uint64 v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*to++ = (char) (v >> (8 * i));
	return to;
}

static const char *
Get(const char *from, uint64 *v, int bytes)
{
	*v = 0;
	for (int i = 0; i < bytes; i++)
		*v |= (uint64) (unsigned char) *from++ << (8 * i);
	return from;
}

static char *
PutId(char *to, const pg_uuid_t *id)
{
	memcpy(to, id->data, UUID_LEN);
	return to + UUID_LEN;
}

static const char *
GetId(const char *from, pg_uuid_t *id)
{
	memcpy(id->data, from, UUID_LEN);
	return from + UUID_LEN;
}

static Size
FlatSize(int flags, int n)
{
	return 4 + (flags & STATE_FIRED ? 8 : 0) + (flags & STATE_SEEN ? 8 + UUID_LEN : 0) +
		n * (Size) (8 + UUID_LEN + (flags & STATE_VALUED ? 8 : 0));
}

static int
FlatFlags(const PatternState *state)
{
	return (state->fired ? STATE_FIRED : 0) | (state->seen ? STATE_SEEN : 0) | (state->valued ? STATE_VALUED : 0);
}

Size
PatternSize(const PatternState *state)
{
	return FlatSize(FlatFlags(state), state->n);
}

void
PatternWrite(const PatternState *state, char *to)
{
	to = Put(to, STATE_FORMAT, 1);
	to = Put(to, FlatFlags(state), 1);
	to = Put(to, state->n, 2);
	if (state->fired)
		to = Put(to, state->fired_at, 8);
	if (state->seen)
		to = PutId(Put(to, state->seen_at, 8), &state->seen_id);
	for (int i = state->first; i < state->first + state->n; i++)
	{
		to = PutId(Put(to, state->entries[i].at, 8), &state->entries[i].id);
		if (state->valued)
			to = Put(to, state->entries[i].value, 8);
	}
}

static void
Damaged(const MomentRule *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the state of a subject for version %d of rule \"%s\" is damaged", rule->version, rule->name),
			 errhint("Delete the subject's row of revops.moment_state and call revops.request_repair() for it.")));
}

PatternState *
PatternRead(const MomentRule *rule, const char *from, Size size)
{
	PatternState *state = PatternNew(rule);
	TimestampTz before = DT_NOBEGIN;
	pg_uuid_t	before_id = {{0}};
	uint64		format,
				flags,
				n,
				v;

	if (size < 4)
		Damaged(rule);
	from = Get(from, &format, 1);
	from = Get(from, &flags, 1);
	from = Get(from, &n, 2);
	if (format != STATE_FORMAT || flags > (STATE_FIRED | STATE_SEEN | STATE_VALUED) || n > PATTERN_MAX_ENTRIES ||
		(n > 0 && (flags & STATE_SEEN) == 0) || ((flags & STATE_VALUED) != 0) != state->valued ||
		(n > 0 && rule->pattern == PATTERN_EACH) || size != FlatSize(flags, n))
		Damaged(rule);
	if (flags & STATE_FIRED)
	{
		from = Get(from, &v, 8);
		state->fired = true;
		state->fired_at = v;
		if (!IS_VALID_TIMESTAMP(state->fired_at))
			Damaged(rule);
	}
	if (flags & STATE_SEEN)
	{
		from = GetId(Get(from, &v, 8), &state->seen_id);
		state->seen = true;
		state->seen_at = v;
		if (!IS_VALID_TIMESTAMP(state->seen_at))
			Damaged(rule);
	}
	if (n > 0)
	{
		state->max = n;
		state->entries = palloc(n * sizeof(PatternEntry));
	}
	for (int i = 0; i < n; i++)
	{
		TimestampTz at;
		pg_uuid_t	id;
		uint64		value = 1;

		from = GetId(Get(from, &v, 8), &id);
		at = v;
		if (state->valued)
			from = Get(from, &value, 8);
		if (!IS_VALID_TIMESTAMP(at) || value < 1 || value > rule->at_least ||
			EventPointCmp(before, &before_id, at, &id) >= 0 ||
			EventPointCmp(at, &id, state->seen_at, &state->seen_id) > 0)
			Damaged(rule);
		AddEntry(state, at, &id, value);
		before = at;
		before_id = id;
	}
	Trim(rule, state);
	return state;
}
