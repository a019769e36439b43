/*
 * rule.h
 *	  A compiled moment rule, as the files of this room see it.
 */
#ifndef REVOPS_MOMENT_RULE_H
#define REVOPS_MOMENT_RULE_H

#include "moment/moment.h"

#include "pgtime.h"

/* What completes a moment. */
typedef enum PatternKind
{
	PATTERN_EACH,				/* each relevant event */
	PATTERN_WINDOW,				/* measures of a sliding window */
	PATTERN_STREAK,				/* days in a row */
	PATTERN_SEQUENCE			/* steps in order */
} PatternKind;

#define RULE_MAX_TITLE		200
#define RULE_MAX_SUM		INT64CONST(1000000000000)	/* the largest sum of a property */
#define RULE_MAX_MEASURES	3
#define RULE_MAX_DAYS		366
#define RULE_MAX_STEPS		16
#define RULE_MAX_TIMES		64
#define RULE_MAX_REFS		32	/* values that a chain remembers */
#define RULE_SESSION_WITHIN USECS_PER_DAY	/* of a measure with a session and no within */

/* What an event adds to a sum: microseconds of dwell, or millionths of a property */
typedef struct Summand
{
	Str			property;		/* data NULL: dwell */
	int64		limit;			/* no event adds more */
} Summand;

typedef enum MeasureKind
{
	MEASURE_COUNT,
	MEASURE_SUM,
	MEASURE_DISTINCT
} MeasureKind;

typedef struct Measure
{
	MeasureKind kind;
	int64		at_least;		/* events, values, or as Summand */
	int64		within;			/* microseconds */
	int64		session;		/* microseconds; 0: none */
	Summand		sum;
	FieldRef   *of;				/* MEASURE_DISTINCT */
} Measure;

typedef enum DayNeed
{
	DAY_COUNT,
	DAY_SUM,
	DAY_MAX
} DayNeed;

typedef struct Streak
{
	int			days;
	DayNeed		need;
	int64		at_least;		/* of a day: events, or as Summand */
	Summand		sum;
	bool		weekdays;
	pg_tz	   *time_zone;		/* NULL: the event's */
} Streak;

typedef enum Contiguity
{
	CONTIGUITY_RELAXED,
	CONTIGUITY_STRICT,
	CONTIGUITY_ANY
} Contiguity;

typedef enum RelationTest
{
	RELATION_EQ,
	RELATION_NE,
	RELATION_GT,
	RELATION_GTE,
	RELATION_LT,
	RELATION_LTE
} RelationTest;

/* field of the event, compared with what the chain remembers in slot ref */
typedef struct StepRelation
{
	RelationTest test;
	FieldRef   *field;
	int			ref;
} StepRelation;

/* A value that a chain remembers: a field of the last event that the step took (first: of the chain's first event) */
typedef struct ChainRef
{
	int			step;
	bool		first;
	FieldRef   *field;
} ChainRef;

typedef struct SequenceStep
{
	char	   *name;			/* NULL: none */
	Predicate  *when;
	int			min;
	int			max;
	bool		optional;
	Contiguity	contiguity;
	int64		least_gap;		/* microseconds since the event before; 0: any */
	int64		gap;			/* at most; 0: any */
	int			nrelations;
	StepRelation *relations;
	Predicate  *absent;			/* between this step and the next (of the last one: in the time after it); NULL: none */
	int			nabsent;		/* relations of the absent event */
	StepRelation *absent_relations;
} SequenceStep;

typedef struct Sequence
{
	int			n;
	SequenceStep steps[RULE_MAX_STEPS];
	int64		within;			/* microseconds */
	int64		wait;			/* microseconds that the last absence lasts; 0: the last event completes */
	Predicate  *until;			/* NULL: none */
	bool		to_next;		/* moments may overlap */
	bool		strict;			/* some step is */
	int			nrefs;
	ChainRef	refs[RULE_MAX_REFS];
} Sequence;

typedef enum Once
{
	ONCE_NOT,
	ONCE_PER_EPISODE,
	ONCE_UNTIL
} Once;

/* The names of a strength formula: fixed ones, then fields of the last event, then counts of steps and values of chains */
typedef enum VariableKind
{
	VARIABLE_FIELD,				/* of the completing event */
	VARIABLE_COUNT,				/* events of a step */
	VARIABLE_REF				/* what a chain remembers */
} VariableKind;

enum
{
	SLOT_COUNT, SLOT_SUM, SLOT_DISTINCT, SLOT_DAYS, SLOT_SPAN, FIXED_SLOTS
};

typedef struct Variable
{
	char	   *name;
	VariableKind kind;
	FieldRef   *field;
	int			index;			/* step, or slot of the chain */
	bool		seconds;		/* dwell: microseconds, shown as seconds */
} Variable;

#define RULE_MAX_VARIABLES	32

struct MomentRule
{
	char	   *name;
	int			version;
	uint64		digest;			/* of both */
	char	   *title;			/* NULL: none */
	char	   *playbook;		/* NULL: none */
	SubjectKind per;
	TimestampTz valid_from;
	TimestampTz valid_to;

	Predicate  *when;			/* matches all events, if there is none */
	LocalTime  *local_time;		/* NULL: none */

	PatternKind pattern;
	int			nmeasures;
	Measure		measures[RULE_MAX_MEASURES];
	Streak		streak;
	Sequence   *sequence;

	int64		cooldown;		/* microseconds */
	Once		once;
	Predicate  *once_until;
	bool		retains;		/* a moment does not spend its events */
	int64		horizon;		/* microseconds that an event can matter */

	double		strength;		/* where there is no formula */
	Formula    *formula;
	int			nvariables;
	Variable	variables[RULE_MAX_VARIABLES];
};

/* What a relevant event adds: 1 .. limit, or 0 if it has nothing to add */
extern int64 SummandValue(const Summand *sum, const Event *e);

/* The number of the event's day in a streak, consecutive days having consecutive numbers; false: it has none (weekend, no zone) */
extern bool StreakDay(const Streak *streak, const Event *e, int32 *day);

#endif							/* REVOPS_MOMENT_RULE_H */
