/*
 * pattern.h
 *	  The state of one (subject, rule version), as the files of the engine see it.
 *
 * What is kept is a function of the events of the last rule->horizon and of the last moment, never of how it came about: so a
 * replay of just these ends in the same state as the run from the beginning (docs/design.md has the argument).
 */
#ifndef REVOPS_MOMENT_PATTERN_H
#define REVOPS_MOMENT_PATTERN_H

#include "moment/rule.h"

typedef struct Entry
{
	TimestampTz at;
	pg_uuid_t	id;
	int64		value;			/* of a count 1; what it adds to a sum; of a distinct value, its digest */
	int32		day;			/* of a streak */
} Entry;

/* The events of one measure, or of a streak, that can still decide something, oldest first: entries[first .. first + n - 1] */
typedef struct Window
{
	int			first;
	int			n;
	int			max;
	int64		sum;			/* of the values */
	Entry	   *entries;
} Window;

typedef struct ChainEvent
{
	TimestampTz at;
	pg_uuid_t	id;
	uint8		step;			/* that took it */
} ChainEvent;

/* Events that the steps of a sequence took so far. It never changes but for `open`: going on makes a new chain. */
typedef struct Chain
{
	int			n;
	ChainEvent *events;
	uint32		open;			/* steps that may still take its next event */
	bool		waiting;		/* complete but for the absence at the end */
	bool		dead;
	FieldValue *values;			/* of the sequence's refs */
} Chain;

struct PatternState
{
	bool		fired;
	bool		seen;
	bool		relevant;
	bool		disarmed;		/* the moment must not come again yet */
	bool		muted;
	TimestampTz fired_at;
	TimestampTz seen_at;		/* last event or timeout */
	pg_uuid_t	seen_id;
	TimestampTz relevant_at;	/* last relevant event; kept for sessions */
	int			capped;
	Window		windows[RULE_MAX_MEASURES];
	int			nchains;
	int			maxchains;
	int			chained;		/* events in all chains */
	Chain	  **chains;			/* in no order */
};

/* at + duration, no further than infinity */
static inline TimestampTz
TimeAfter(TimestampTz at, int64 duration)
{
	return at > DT_NOEND - duration ? DT_NOEND : at + duration;
}

static inline bool
PatternCooling(const MomentRule *rule, const PatternState *state, TimestampTz at)
{
	return state->fired && at < TimeAfter(state->fired_at, rule->cooldown);
}

/*
 * packed.c: a subject's states in one value: (uint64 rule digest, int64 due, uint32 size, bytes)*, ascending by digest.
 */
typedef struct StoredState
{
	uint64		rule;			/* digest */
	TimestampTz due;			/* DT_NOEND: never */
	uint32		size;
	const char *data;			/* points into the value */
} StoredState;

#define STORED_HEADER	20

extern StoredState *StoredStates(bytea *value, int *n); /* palloc'd; ERROR if the value is damaged. It is not toasted */

/* window.c: measures and streaks. Step sets *holds: all measures hold; returns whether the event added to one. */
extern bool WindowsStep(const MomentRule *rule, PatternState *state, const Event *e, bool *holds);
extern bool StreakStep(const MomentRule *rule, PatternState *state, const Event *e, bool *holds, bool *goes_on);
extern void WindowAdd(PatternState *state, Window *w, const Entry *entry);
extern void WindowsClear(PatternState *state);
extern int	WindowCount(const MomentRule *rule);

/* The events that a complete moment is made of, oldest first, palloc'd. */
extern Entry *WindowsEvidence(const MomentRule *rule, const PatternState *state, const Event *e, int *n);

/* chain.c: sequences. Step returns the chain that the event completes (no longer in the state), or NULL. */
extern Chain *ChainsStep(const MomentRule *rule, PatternState *state, const Event *e, MomentRoles roles);
extern Chain *ChainsTimeout(const MomentRule *rule, PatternState *state, TimestampTz before, TimestampTz *at);
extern TimestampTz ChainsDue(const MomentRule *rule, const PatternState *state);
extern void ChainsClear(PatternState *state);
extern void ChainAdd(PatternState *state, Chain *chain);	/* palloc'd in the state's context */
extern Chain *ChainNew(PatternState *state, const Sequence *q, int n);
extern int	ChainCount(const Chain *chain, int step);
extern uint32 ChainOpen(const Sequence *q, const Chain *chain);

#endif							/* REVOPS_MOMENT_PATTERN_H */
