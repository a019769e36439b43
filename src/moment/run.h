/*
 * run.h
 *	  A pass of the moment engine, as the files of this room see it.
 */
#ifndef REVOPS_MOMENT_RUN_H
#define REVOPS_MOMENT_RUN_H

#include "moment/pass.h"

/* An event that concerns a rule, for one subject */
typedef struct Step
{
	SubjectKind kind;
	int			rule;			/* index in the rule set */
	Str			subject;
	MomentRoles roles;
	Event	   *e;
} Step;

/* A moment to write */
typedef struct Found
{
	pg_uuid_t	id;
	SubjectKind kind;
	Str			subject;
	MomentHit	hit;
	Event		last;			/* a copy of what the moment takes over; of a timeout not known yet */
} Found;

/* An event that came too late for a rule */
typedef struct LateEvent
{
	pg_uuid_t	id;
	TimestampTz at;
	int			rule;
	SubjectKind kind;
	Str			subject;
	int64		behind;			/* microseconds */
} LateEvent;

struct MomentPass
{
	int			lane;
	int			lanes;
	const MomentRuleSet *set;
	MemoryContext context;		/* lives as long as the pass */
	int64	   *capped;			/* of each rule of the set */
	int64		allowed_lateness;	/* microseconds */
	Step	   *steps;
	int64		nsteps;
	int64		maxsteps;
	Found	   *found;
	int			nfound;
	int			maxfound;
	Datum	   *retract;		/* uuids */
	int			nretract;
	int			maxretract;
	LateEvent  *late;
	int			nlate;
	int			maxlate;
};

/* A standing moment of a subject */
typedef struct Standing
{
	pg_uuid_t	id;
	uint64		rule;			/* digest */
	TimestampTz at;
	pg_uuid_t	point;			/* of the event that completed it, or PatternTimeoutId */
	bool		timeout;
} Standing;

typedef struct StandingList
{
	int			n;
	Standing   *moments;
} StandingList;

/* Where a replay of one rule starts, and with what */
typedef struct Replay
{
	int			rule;
	TimestampTz late_at;		/* the first event that the state has missed */
	pg_uuid_t	late_id;
	const Standing *before;		/* the last standing moment before that; NULL: none */
	TimestampTz start;			/* of the events that it needs */
	bool		after_moment;	/* it starts right after that moment */
} Replay;

/* replay.c */
extern StandingList *StandingLoad(SubjectKind kind, Datum subject, const MomentRuleSet *set);
extern void ReplayPrepare(MomentPass *pass, Replay *r, const StandingList *standing);
extern PatternState *ReplayRun(MomentPass *pass, const Replay *r, SubjectKind kind, Str subject, const StandingList *standing,
							   EventList *history);

/* write.c */
extern void KeepHit(MomentPass *pass, SubjectKind kind, Str subject, const MomentHit *hit);
extern void KeepRetracted(MomentPass *pass, const pg_uuid_t *id);
extern void KeepLate(MomentPass *pass, const Step *step, int64 behind);
extern pg_uuid_t MomentId(const MomentRule *rule, SubjectKind kind, Str subject, const pg_uuid_t *last, bool timeout);

#endif							/* REVOPS_MOMENT_RUN_H */
