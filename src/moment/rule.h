/*
 * rule.h
 *	  A compiled moment rule, as the files of this room see it.
 */
#ifndef REVOPS_MOMENT_RULE_H
#define REVOPS_MOMENT_RULE_H

#include "moment/moment.h"

/* What completes a moment. */
typedef enum PatternKind
{
	PATTERN_EACH,				/* each relevant event */
	PATTERN_COUNT,				/* enough of them within the window */
	PATTERN_SUM					/* a large enough sum of a value of theirs within the window */
} PatternKind;

/* Longest title, in bytes; the largest sum of a property */
#define RULE_MAX_TITLE		200
#define RULE_MAX_SUM		INT64CONST(1000000000000)

struct MomentRule
{
	char	   *name;
	int			version;
	char	   *title;			/* NULL: none */
	char	   *playbook;		/* NULL: none */
	SubjectKind per;
	TimestampTz valid_from;
	TimestampTz valid_to;

	Predicate  *when;
	LocalTime  *local_time;		/* NULL: any */

	PatternKind pattern;
	int64		at_least;		/* events; or microseconds of dwell, or millionths of the property */
	int64		within;			/* microseconds */
	Str			property;		/* PATTERN_SUM: what is summed; NULL: dwell */
	int64		cooldown;		/* microseconds */
	double		strength;
};

/* What a relevant event adds to the sum of a PATTERN_SUM rule: 1 .. at_least, or 0 if it has nothing to add */
extern int64 MomentRuleValue(const MomentRule *rule, const Event *e);

#endif							/* REVOPS_MOMENT_RULE_H */
