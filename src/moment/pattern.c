/*
 * pattern.c
 *	  The pattern engine: steps one rule over one subject's events, in the order of time. window.c and chain.c find what is
 *	  complete; here is what makes it a moment (cooldown, once, strength, evidence), and the state as flat bytes.
 */
#include "moment/pattern.h"

#include "utils/memutils.h"

const pg_uuid_t PatternTimeoutId = {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

/* ---------- the engine ---------- */

PatternState *
PatternNew(const MomentRule *rule)
{
	return palloc0(sizeof(PatternState));
}

/* From a complete pattern's events: the moment, less its time. */
static void
Describe(const MomentRule *rule, const PatternState *state, const Event *e, const Chain *chain, MomentHit *hit)
{
	double		slots[FIXED_SLOTS + RULE_MAX_VARIABLES] = {0};
	TimestampTz first = 0;
	int64		sum = 0;
	int			n = 0;
	int			from = 0;

	if (chain != NULL)
	{
		n = chain->n;
		from = Max(n - MOMENT_MAX_EVIDENCE, 0);
		first = chain->events[0].at;
		hit->last_at = chain->events[n - 1].at;
		hit->last_id = chain->events[n - 1].id;
		hit->nevidence = n - from;
		hit->evidence = palloc(hit->nevidence * sizeof(pg_uuid_t));
		for (int i = from; i < n; i++)
			hit->evidence[i - from] = chain->events[i].id;
	}
	else
	{
		Entry	   *entries = WindowsEvidence(rule, state, e, &n);

		from = Max(n - MOMENT_MAX_EVIDENCE, 0);
		first = entries[0].at;
		hit->last_at = e->occurred_at;
		hit->last_id = e->event_id;
		hit->nevidence = n - from;
		hit->evidence = palloc(hit->nevidence * sizeof(pg_uuid_t));
		for (int i = from; i < n; i++)
			hit->evidence[i - from] = entries[i].id;
		for (int i = 0; i < n && rule->pattern == PATTERN_STREAK; i++)
			sum += entries[i].value;
		pfree(entries);
	}
	hit->rule = rule;
	hit->strength = rule->strength;
	if (rule->formula == NULL)
		return;

	slots[SLOT_COUNT] = n;
	slots[SLOT_SPAN] = (hit->last_at - first) / 1e6;
	slots[SLOT_DAYS] = rule->streak.days;
	if (rule->pattern == PATTERN_STREAK)
		slots[SLOT_SUM] = sum / 1e6;
	for (int i = 0; i < rule->nmeasures; i++)
	{
		if (rule->measures[i].kind == MEASURE_SUM)
			slots[SLOT_SUM] = state->windows[i].sum / 1e6;
		if (rule->measures[i].kind == MEASURE_DISTINCT)
			slots[SLOT_DISTINCT] = state->windows[i].n;
	}
	for (int i = 0; i < rule->nvariables; i++)
	{
		const Variable *v = &rule->variables[i];
		FieldValue	value = {VALUE_NONE};

		if (v->kind == VARIABLE_COUNT)
			slots[FIXED_SLOTS + i] = ChainCount(chain, v->index);
		else if (v->kind == VARIABLE_REF)
			value = chain->values[v->index];
		else
			EventField(v->field, e, &value);
		if (value.type == VALUE_NUMBER)
			slots[FIXED_SLOTS + i] = v->seconds ? value.number / 1e6 : value.number;
	}
	hit->strength = Min(Max(FormulaEval(rule->formula, slots), 0), 1);
}

/* What occurs up to here from now on is late. */
void
PatternSeen(PatternState *state, TimestampTz at, const pg_uuid_t *id)
{
	if (state->seen && EventPointCmp(at, id, state->seen_at, &state->seen_id) <= 0)
		return;
	state->seen = true;
	state->seen_at = at;
	state->seen_id = *id;
}

void
PatternFired(const MomentRule *rule, PatternState *state, TimestampTz at, const pg_uuid_t *id)
{
	state->fired = true;
	state->fired_at = at;
	state->disarmed = rule->once != ONCE_NOT;
	PatternSeen(state, at, id);
	if (!rule->retains)
	{
		WindowsClear(state);
		ChainsClear(state);
	}
}

bool
PatternStep(const MomentRule *rule, PatternState *state, const Event *e, MomentRoles roles, MomentHit *hit)
{
	bool		complete = true;
	bool		holds,
				goes_on;
	Chain	   *chain = NULL;

	state->seen = true;
	state->seen_at = e->occurred_at;
	state->seen_id = e->event_id;
	if (roles & ROLE_REARMS)
		state->disarmed = false;
	if ((roles & ROLE_RELEVANT) == 0)
		return false;
	switch (rule->pattern)
	{
		case PATTERN_EACH:
			break;
		case PATTERN_WINDOW:
			complete = WindowsStep(rule, state, e, &holds) && holds;
			if (rule->once == ONCE_PER_EPISODE && !holds)
				state->disarmed = false;
			break;
		case PATTERN_STREAK:
			complete = StreakStep(rule, state, e, &holds, &goes_on) && holds;
			if (rule->once == ONCE_PER_EPISODE && !goes_on)
				state->disarmed = false;
			break;
		case PATTERN_SEQUENCE:
			chain = ChainsStep(rule, state, e, roles);
			complete = chain != NULL;
			break;
	}
	complete = complete && !state->disarmed && !state->muted && !PatternCooling(rule, state, e->occurred_at);
	if (complete)
	{
		Describe(rule, state, e, chain, hit);
		hit->at = e->occurred_at;
		hit->timeout = false;
		hit->event = e;
		PatternFired(rule, state, e->occurred_at, &e->event_id);
	}
	if (chain != NULL)
		pfree(chain);
	return complete;
}

bool
PatternTimeout(const MomentRule *rule, PatternState *state, TimestampTz before, MomentHit *hit)
{
	TimestampTz at;
	Chain	   *chain;

	if (rule->pattern != PATTERN_SEQUENCE)
		return false;
	while ((chain = ChainsTimeout(rule, state, before, &at)) != NULL)
	{
		bool		complete = !state->disarmed && !state->muted && !PatternCooling(rule, state, at);

		/* one that is dropped too: an event before it may be what it waited for */
		PatternSeen(state, at, &PatternTimeoutId);
		if (complete)
		{
			Describe(rule, state, NULL, chain, hit);
			hit->at = at;
			hit->timeout = true;
			hit->event = NULL;
			PatternFired(rule, state, at, &PatternTimeoutId);
		}
		pfree(chain);
		if (complete)
			return true;
	}
	return false;
}

TimestampTz
PatternDue(const MomentRule *rule, const PatternState *state)
{
	return rule->pattern == PATTERN_SEQUENCE ? ChainsDue(rule, state) : DT_NOEND;
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

int
PatternCapped(const PatternState *state)
{
	return state->capped;
}

bool
PatternRetains(const MomentRule *rule)
{
	return rule->retains;
}

bool
PatternDisarms(const MomentRule *rule)
{
	return rule->once != ONCE_NOT;
}

int64
PatternHorizon(const MomentRule *rule)
{
	return rule->horizon;
}

void
PatternMute(PatternState *state, bool mute)
{
	state->muted = mute;
}

/* ---------- flat bytes ---------- */

/*
 * format 1 byte, flags 1; fired_at 8 if fired; seen_at 8 and seen_id 16 if seen; relevant_at 8 if relevant; for each window: entries
 * 2, and each: at 8, id 16, value 8 unless it is a count's, day 4 of a streak; for a sequence: chains 2, and each: events 2, open 4 (its
 * highest bit: waiting), each event: at 8, id 16, step 1, and each value: type 1, bits 8. Numbers are little-endian on every
 * machine, so that a dump is the same everywhere.
 */
#define STATE_FORMAT	2
#define STATE_FIRED		1
#define STATE_SEEN		2
#define STATE_RELEVANT	4
#define STATE_DISARMED	8
#define STATE_FLAGS		15
#define CHAIN_WAITING	(UINT64CONST(1) << 31)

static inline bool
WindowValued(const MomentRule *rule, int i)
{
	return rule->pattern == PATTERN_STREAK || rule->measures[i].kind != MEASURE_COUNT;
}

static inline Size
EntrySize(const MomentRule *rule, int i)
{
	return 8 + UUID_LEN + (WindowValued(rule, i) ? 8 : 0) + (rule->pattern == PATTERN_STREAK ? 4 : 0);
}

Size
PatternSize(const MomentRule *rule, const PatternState *state)
{
	Size		size = 2 + (state->fired ? 8 : 0) + (state->seen ? 8 + UUID_LEN : 0) + (state->relevant ? 8 : 0);

	for (int i = 0; i < WindowCount(rule); i++)
		size += 2 + state->windows[i].n * EntrySize(rule, i);
	if (rule->pattern == PATTERN_SEQUENCE)
	{
		size += 2;
		for (int i = 0; i < state->nchains; i++)
			size += 6 + state->chains[i]->n * (8 + UUID_LEN + 1) + rule->sequence->nrefs * 9;
	}
	return size;
}

static char *
Put(char *to, uint64 v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*to++ = (char) (v >> (8 * i));
	return to;
}

static char *
PutPoint(char *to, TimestampTz at, const pg_uuid_t *id)
{
	to = Put(to, at, 8);
	memcpy(to, id->data, UUID_LEN);
	return to + UUID_LEN;
}

void
PatternWrite(const MomentRule *rule, const PatternState *state, char *to)
{
	to = Put(to, STATE_FORMAT, 1);
	to = Put(to, (state->fired ? STATE_FIRED : 0) | (state->seen ? STATE_SEEN : 0) | (state->relevant ? STATE_RELEVANT : 0) |
			 (state->disarmed ? STATE_DISARMED : 0), 1);
	if (state->fired)
		to = Put(to, state->fired_at, 8);
	if (state->seen)
		to = PutPoint(to, state->seen_at, &state->seen_id);
	if (state->relevant)
		to = Put(to, state->relevant_at, 8);
	for (int i = 0; i < WindowCount(rule); i++)
	{
		const Window *w = &state->windows[i];

		to = Put(to, w->n, 2);
		for (int k = w->first; k < w->first + w->n; k++)
		{
			to = PutPoint(to, w->entries[k].at, &w->entries[k].id);
			if (WindowValued(rule, i))
				to = Put(to, w->entries[k].value, 8);
			if (rule->pattern == PATTERN_STREAK)
				to = Put(to, (uint32) w->entries[k].day, 4);
		}
	}
	if (rule->pattern != PATTERN_SEQUENCE)
		return;
	to = Put(to, state->nchains, 2);
	for (int i = 0; i < state->nchains; i++)
	{
		const Chain *chain = state->chains[i];

		to = Put(to, chain->n, 2);
		to = Put(to, chain->open | (chain->waiting ? CHAIN_WAITING : 0), 4);
		for (int k = 0; k < chain->n; k++)
		{
			to = PutPoint(to, chain->events[k].at, &chain->events[k].id);
			to = Put(to, chain->events[k].step, 1);
		}
		for (int k = 0; k < rule->sequence->nrefs; k++)
		{
			uint64		bits = chain->values[k].hash;

			if (chain->values[k].type != VALUE_TEXT)
				memcpy(&bits, &chain->values[k].number, 8);
			to = Put(to, chain->values[k].type, 1);
			to = Put(to, bits, 8);
		}
	}
}

typedef struct Reader
{
	const MomentRule *rule;
	const char *p;
	const char *end;
} Reader;

static void
Damaged(const MomentRule *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the state of a subject for version %d of rule \"%s\" is damaged", rule->version, rule->name),
			 errhint("Delete the subject's row of revops.moment_state and call revops.request_repair() for it.")));
}

static uint64
Get(Reader *r, int bytes)
{
	uint64		v = 0;

	if (r->end - r->p < bytes)
		Damaged(r->rule);
	for (int i = 0; i < bytes; i++)
		v |= (uint64) (unsigned char) *r->p++ << (8 * i);
	return v;
}

static TimestampTz
GetTime(Reader *r)
{
	TimestampTz at = (TimestampTz) Get(r, 8);

	if (!IS_VALID_TIMESTAMP(at))
		Damaged(r->rule);
	return at;
}

/* A point that is after the one before, and not after the frontier */
static void
GetPoint(Reader *r, const PatternState *state, TimestampTz *at, pg_uuid_t *id, bool first)
{
	TimestampTz before_at = *at;
	pg_uuid_t	before_id = *id;

	*at = GetTime(r);
	if (r->end - r->p < UUID_LEN)
		Damaged(r->rule);
	memcpy(id->data, r->p, UUID_LEN);
	r->p += UUID_LEN;
	if (state != NULL && ((!first && EventPointCmp(before_at, &before_id, *at, id) >= 0) ||
						  !state->seen || EventPointCmp(*at, id, state->seen_at, &state->seen_id) > 0))
		Damaged(r->rule);
}

static void
ReadWindow(Reader *r, PatternState *state, int i)
{
	const MomentRule *rule = r->rule;
	Window	   *w = &state->windows[i];
	int			n = (int) Get(r, 2);
	int64		most = INT64CONST(1) << 52;
	Entry		entry = {0};

	if (rule->pattern == PATTERN_STREAK)
		most = rule->streak.at_least;
	else if (rule->measures[i].kind == MEASURE_SUM)
		most = rule->measures[i].at_least;
	if (n > PATTERN_MAX_ENTRIES)
		Damaged(rule);
	for (int k = 0; k < n; k++)
	{
		GetPoint(r, state, &entry.at, &entry.id, k == 0);
		entry.value = WindowValued(rule, i) ? (int64) Get(r, 8) : 1;
		entry.day = rule->pattern == PATTERN_STREAK ? (int32) (uint32) Get(r, 4) : 0;
		if (entry.value < 0 || entry.value > most || abs(entry.day / 2) > PG_INT32_MAX / 4)
			Damaged(rule);
		WindowAdd(state, w, &entry);
	}
}

static void
ReadChain(Reader *r, PatternState *state)
{
	const MomentRule *rule = r->rule;
	const Sequence *q = rule->sequence;
	int			n = (int) Get(r, 2);
	uint64		open = Get(r, 4);
	Chain	   *chain;
	TimestampTz at = 0;
	pg_uuid_t	id = {{0}};
	int			step = 0;

	if (n == 0 || n > RULE_MAX_STEPS * RULE_MAX_TIMES)
		Damaged(rule);
	chain = ChainNew(state, q, n);
	for (int k = 0; k < n; k++)
	{
		int			s;

		GetPoint(r, state, &at, &id, k == 0);
		s = (int) Get(r, 1);
		if (s < step || s >= q->n || (k == 0 && s != 0))
			Damaged(rule);
		chain->events[k].at = at;
		chain->events[k].id = id;
		chain->events[k].step = step = s;
	}
	for (int k = 0; k < q->nrefs; k++)
	{
		uint64		type = Get(r, 1);
		uint64		bits = Get(r, 8);

		if (type > VALUE_BOOLEAN)
			Damaged(rule);
		chain->values[k].type = type;
		if (type == VALUE_TEXT)
			chain->values[k].hash = bits;
		else
			memcpy(&chain->values[k].number, &bits, 8);
	}
	chain->waiting = (open & CHAIN_WAITING) != 0;
	chain->open = open & ~CHAIN_WAITING;
	if ((chain->open & ~ChainOpen(q, chain)) != 0 || (chain->waiting && (q->wait == 0 || step != q->n - 1)))
		Damaged(rule);
	ChainAdd(state, chain);
}

PatternState *
PatternRead(const MomentRule *rule, const char *from, Size size)
{
	PatternState *state = PatternNew(rule);
	Reader		r = {rule, from, from + size};
	uint64		format = Get(&r, 1);
	uint64		flags = Get(&r, 1);

	if (format != STATE_FORMAT || flags > STATE_FLAGS)
		Damaged(rule);
	state->disarmed = (flags & STATE_DISARMED) != 0;
	if ((state->fired = (flags & STATE_FIRED) != 0))
		state->fired_at = GetTime(&r);
	if (flags & STATE_SEEN)
	{
		GetPoint(&r, NULL, &state->seen_at, &state->seen_id, true);
		state->seen = true;
	}
	if ((state->relevant = (flags & STATE_RELEVANT) != 0))
		state->relevant_at = GetTime(&r);
	for (int i = 0; i < WindowCount(rule); i++)
		ReadWindow(&r, state, i);
	if (rule->pattern == PATTERN_SEQUENCE)
	{
		int			n = (int) Get(&r, 2);

		if (n > PATTERN_MAX_ENTRIES)
			Damaged(rule);
		for (int i = 0; i < n; i++)
			ReadChain(&r, state);
	}
	if (r.p != r.end)
		Damaged(rule);
	return state;
}
