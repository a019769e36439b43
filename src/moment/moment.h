/*
 * moment.h
 *	  Moment rules and the engine that steps them over a subject's events.
 */
#ifndef REVOPS_MOMENT_H
#define REVOPS_MOMENT_H

#include "predicate/predicate.h"

typedef struct MomentRule MomentRule;	/* one compiled version of a rule */

typedef struct MomentRuleSet
{
	int			n;
	MomentRule **rules;			/* in a context of the set's own, freed when the set is reloaded */
} MomentRuleSet;

/* A moment that the engine found. */
typedef struct MomentHit
{
	const MomentRule *rule;
	const Event *last;			/* the event that completed it */
	double		strength;
	int			nevidence;
	pg_uuid_t  *evidence;		/* in the order of time, completing event last; at most MOMENT_MAX_EVIDENCE, the newest */
} MomentHit;

typedef struct MomentSink
{
	void		(*hit) (struct MomentSink *sink, const MomentHit *hit);
} MomentSink;

#define MOMENT_MAX_EVIDENCE	64

/* moment.c: the rule table. Compiled versions, reloaded when revops.moment_rule changes (relcache invalidation). SPI must be connected. */
extern const MomentRuleSet *MomentRules(void);

extern MomentRule *MomentRuleCompile(const char *name, int version, const char *definition, TimestampTz valid_from, TimestampTz valid_to);
extern SubjectKind MomentRuleSubject(const MomentRule *rule);
extern const char *MomentRuleName(const MomentRule *rule);
extern int	MomentRuleVersion(const MomentRule *rule);
extern const char *MomentRulePlaybook(const MomentRule *rule);	/* NULL: none */
extern int	MomentRuleKinds(const MomentRule *rule, const Str **kinds);	/* as PredicateKinds */

/* Does this event concern the rule at all (its validity, predicate, local time)? Only relevant events are stepped. */
extern bool MomentRelevant(const MomentRule *rule, const Event *e);

/* pattern.c (pure): the state of one (subject, rule version). */
typedef struct PatternState PatternState;

extern PatternState *PatternNew(const MomentRule *rule);
/* Step over one relevant event, which must be after all earlier ones in the order of time; true if it completes a moment (*hit filled, evidence palloc'd). */
extern bool PatternStep(const MomentRule *rule, PatternState *state, const Event *e, MomentHit *hit);
/* Where the state stands: the last relevant event seen; false if none */
extern bool PatternFrontier(const PatternState *state, TimestampTz *at, pg_uuid_t *id);
/* The state as it is right after a moment of this rule fired at (at, id) with nothing in the window: where a repair starts from. */
extern PatternState *PatternAfterMoment(const MomentRule *rule, TimestampTz at, const pg_uuid_t *id);
/* How far back, in microseconds, events can still matter to a state (the window). */
extern int64 PatternHorizon(const MomentRule *rule);
/* Flat bytes, and back; a damaged one is an ERROR (ERRCODE_DATA_CORRUPTED), never a crash. */
extern Size PatternSize(const PatternState *state);
extern void PatternWrite(const PatternState *state, char *to);
extern PatternState *PatternRead(const MomentRule *rule, const char *from, Size size);
/* The stated cap on entries kept per state. A sum rule that meets more contributing events in its window adds up the newest. */
#define PATTERN_MAX_ENTRIES 1024

extern void MomentInit(void);

#endif							/* REVOPS_MOMENT_H */
