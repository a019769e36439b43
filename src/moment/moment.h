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
	int		   *bydigest;		/* positions in rules, ascending by digest */
	PredicateIndex *index;		/* rules by what they look at; ids are positions in rules */
} MomentRuleSet;

/* A moment that the engine found. */
typedef struct MomentHit
{
	const MomentRule *rule;
	TimestampTz at;				/* when it occurred: its last event's time, or the timeout's */
	bool		timeout;
	const Event *event;			/* the event that completed it; NULL of a timeout */
	TimestampTz last_at;		/* its last event */
	pg_uuid_t	last_id;
	double		strength;
	int			nevidence;
	pg_uuid_t  *evidence;		/* palloc'd, in the order of time; at most MOMENT_MAX_EVIDENCE, the newest */
} MomentHit;

#define MOMENT_MAX_EVIDENCE	64

/* moment.c: the rule table. Compiled versions, reloaded when revops.moment_rule changes (relcache invalidation). SPI must be connected. */
extern const MomentRuleSet *MomentRules(void);

/* Of (rule, version): what states and moments are known by. ByDigest gives the position in the set, or -1. */
extern uint64 MomentRuleDigest(const char *name, int version);
extern int	MomentRuleByDigest(const MomentRuleSet *set, uint64 digest);

extern MomentRule *MomentRuleCompile(const char *name, int version, const char *definition, TimestampTz valid_from, TimestampTz valid_to);
extern SubjectKind MomentRuleSubject(const MomentRule *rule);
extern const char *MomentRuleName(const MomentRule *rule);
extern int	MomentRuleVersion(const MomentRule *rule);
extern const char *MomentRulePlaybook(const MomentRule *rule);	/* NULL: none */
extern bool MomentRuleTimed(const MomentRule *rule);	/* has timeouts */
extern void MomentRuleIndex(const MomentRule *rule, PredicateIndex *index, int id); /* add what it looks at */

/*
 * What an event is to a rule: 0 if it does not concern it at all. Only events that do are stepped.
 */
typedef uint64 MomentRoles;

#define ROLE_STEP(i)	(UINT64CONST(1) << (i))
#define ROLE_ABSENT(i)	(UINT64CONST(1) << (16 + (i)))
#define ROLE_UNTIL		(UINT64CONST(1) << 32)
#define ROLE_RELEVANT	(UINT64CONST(1) << 33)
#define ROLE_REARMS		(UINT64CONST(1) << 34)

extern MomentRoles MomentRuleRoles(const MomentRule *rule, const Event *e);

/*
 * pattern.c (pure): the state of one (subject, rule version). Events come in the order of time; before each, the timeouts that are
 * due before it.
 */
typedef struct PatternState PatternState;

extern PatternState *PatternNew(const MomentRule *rule);

/* Step over one event that concerns the rule; true if it completes a moment (*hit filled, evidence palloc'd). */
extern bool PatternStep(const MomentRule *rule, PatternState *state, const Event *e, MomentRoles roles, MomentHit *hit);

/* The next timeout that is due before that instant: true if it is a moment. Call until false. */
extern bool PatternTimeout(const MomentRule *rule, PatternState *state, TimestampTz before, MomentHit *hit);

/* When the next timeout is due; DT_NOEND: none */
extern TimestampTz PatternDue(const MomentRule *rule, const PatternState *state);

/* Where the state stands: the last event or timeout; false if none */
extern bool PatternFrontier(const PatternState *state, TimestampTz *at, pg_uuid_t *id);

/* Times that the cap left something out since the state was read or made */
extern int	PatternCapped(const PatternState *state);

/*
 * Replays. The state right after a moment that occurred at (at, id), a timeout having the greatest id, is PatternNew() and
 * PatternFired(), if the moment spends its events. If it does not (PatternRetains), events before it are stepped muted, so that
 * nothing fires, then PatternFired() says that it did.
 */
extern bool PatternRetains(const MomentRule *rule);
extern bool PatternDisarms(const MomentRule *rule); /* what follows a moment depends on all events since */
extern int64 PatternHorizon(const MomentRule *rule);	/* microseconds back that events can still matter, but for the last moment */
extern void PatternMute(PatternState *state, bool mute);
extern void PatternSeen(PatternState *state, TimestampTz at, const pg_uuid_t *id);
extern void PatternFired(const MomentRule *rule, PatternState *state, TimestampTz at, const pg_uuid_t *id);
extern const pg_uuid_t PatternTimeoutId;	/* after all events of an instant */

/* Flat bytes, and back; a damaged one is an ERROR (ERRCODE_DATA_CORRUPTED), never a crash. */
extern Size PatternSize(const MomentRule *rule, const PatternState *state);
extern void PatternWrite(const MomentRule *rule, const PatternState *state, char *to);
extern PatternState *PatternRead(const MomentRule *rule, const char *from, Size size);

/* How far a state is */
typedef struct MomentProgress
{
	double		have;			/* events, values, days; seconds or units of a sum */
	double		need;
	bool		close;			/* one event, day or timeout may complete it; a sum: half of it is there */
	const char *missing;		/* palloc'd, for people */
	TimestampTz until;			/* when what it has is lost, or, of a timeout, completes; DT_NOEND: not known */
} MomentProgress;

/* false: nothing has begun */
extern bool PatternProgress(const MomentRule *rule, const PatternState *state, TimestampTz now, MomentProgress *progress);

/* The stated cap on events kept per state: of a window and a streak the newest, of chains those that began last */
#define PATTERN_MAX_ENTRIES 1024

extern void MomentInit(void);
extern void PassInit(void);

#endif							/* REVOPS_MOMENT_H */
