/*
 * substitute.h
 *	  What the files of substitution share: the case, those who may take over, and the plans that they make.
 */
#ifndef REVOPS_SUBSTITUTE_H
#define REVOPS_SUBSTITUTE_H

#include "assign/people.h"

typedef struct Need
{
	char	   *skill;			/* NULL: languages */
	char	  **languages;
	int			nlanguages;
	char	   *label;
	int			level;
	double		weight;
	bool		required;
} Need;

typedef struct Candidate
{
	char	   *rep;
	char	   *unit;			/* NULL: none */
	bool		whole;
	double		similarity;
	double		familiarity;
	bool		unlimited;
	int64		room;
	int64		served;
	char	  **languages;
	int			nlanguages;
	uint64		covers;
	float		level[TEAM_MAX_NEEDS];	/* of skills, in the order of needs */
	int			pool;			/* place in the pool; -1: not in it */
	bool		used;			/* by a plan of a higher rank */
} Candidate;

typedef struct Case
{
	char	   *kind;
	Datum		lost;
	int			nlost;
	Datum		customers;
	int			ncustomers;
	int64		total;
	Datum		vector;
	bool		no_vector;
	int			nneeds;
	Need		needs[TEAM_MAX_NEEDS];
	int			nskills;		/* the first ones */
	double		skill_weight;	/* sum */
	int			n;
	Candidate  *all;
	int			npool;			/* those whose acquaintance with each other is known */
	int			pool[TEAM_MAX_POOL];
	float	   *pair;			/* npool * npool */
	double		w[3];
} Case;

typedef struct Substitute
{
	int			n;
	int		   *member;			/* of Case.all */
	char	   *unit;
	double		score;
	double		factor[3];
	bool		exact;
	double		bound;
} Substitute;

/* An existing unit that has room for all */
typedef struct Likely
{
	char	   *unit;
	int			n;
	int		   *member;
	double		guess;			/* its score if its members knew each other perfectly */
	bool		used;
} Likely;

/* candidates.c: whom we replace, and what their customers need; who may take over; how the pool knows each other. Need SPI. */
extern void LoadCase(Case *c, Datum unit);
extern void LoadCandidates(Case *c);
extern void LoadPairs(Case *c);

/* candidates.c: the pool of those whom teams are composed of */
extern void ChoosePool(Case *c, int target);
extern void AddToPool(Case *c, int i);

/* candidates.c: what a candidate brings by itself */
extern double OwnValue(const Case *c, const Candidate *k);

extern Datum TextArray(char **texts, int n);

/* compose.c: the existing units with room for all these customers, the likeliest first; returns how many are worth a close look */
extern int	LikelyUnits(Case *c, int size, Likely **result);

/* compose.c: the best team of `size` of these people; 0: of as many as are lost, or more where they have no room. False: there is none. */
extern bool Compose(const Case *c, const int *who, int n, int size, Substitute *plan);

/* compose.c: the three factors of a plan, and its score */
extern void Factors(const Case *c, Substitute *plan);

#endif							/* REVOPS_SUBSTITUTE_H */
