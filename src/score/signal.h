/*
 * signal.h
 *	  The configured signals, compiled, and found by what an event has; and the rules whose moments add to an intent.
 */
#ifndef REVOPS_SIGNAL_H
#define REVOPS_SIGNAL_H

#include "predicate/predicate.h"

typedef struct Intent
{
	Str			name;
	double		half_life;		/* seconds */
} Intent;

/* One version of a signal */
typedef struct Signal
{
	int32		no;				/* names the version in stored states */
	const char *name;
	int			version;
	int			intent;			/* index in SignalSet.intents */
	double		weight;
	double		daily_cap;		/* 0: none */
	uint32		subjects;		/* bit (1 << SubjectKind) */
	TimestampTz valid_from;
	TimestampTz valid_to;
	Predicate  *match;
} Signal;

/* One version of a rule whose moments add to an intent */
typedef struct MomentIntent
{
	Str			rule;
	int			version;
	int			intent;			/* index in SignalSet.intents */
	double		weight;
} MomentIntent;

#define SIGNAL_MAX_WEIGHT	1e9

typedef struct SignalSet
{
	int			nintents;
	Intent	   *intents;
	int			nsignals;
	Signal	   *signals;		/* ascending no */
	PredicateIndex *index;		/* of their matches */
	int			nmoments;
	MomentIntent *moments;		/* ascending (rule, version) */
} SignalSet;

/* The present set; stays valid until the next call. SPI must be connected. */
extern const SignalSet *Signals(void);

/* The signals that the event may match, as indexes in SignalSet.signals, ascending; good until the next call */
extern int	SignalsFor(const SignalSet *set, const Event *e, const int **signals);

extern const Signal *SignalByNo(const SignalSet *set, int32 no);

/* What a moment of this version adds; NULL: nothing. */
extern const MomentIntent *SignalsMoment(const SignalSet *set, Str rule, int version);

static inline bool
SignalMatches(const Signal *s, const Event *e)
{
	return e->occurred_at >= s->valid_from && e->occurred_at < s->valid_to && !e->ahead &&
		PredicateMatches(s->match, e);
}

#endif							/* REVOPS_SIGNAL_H */
