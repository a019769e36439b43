/*
 * people.h
 *	  Who is like whom, and which team covers what: profiles, and the search for teams.
 */
#ifndef REVOPS_PEOPLE_H
#define REVOPS_PEOPLE_H

#include "base/base.h"

/* Hashed features of a customer, one signed byte each */
#define PROFILE_DIMS	128

/* Bounds of the search for a team */
#define TEAM_MAX_POOL	256		/* people to choose from */
#define TEAM_MAX_SIZE	128		/* people in a team */
#define TEAM_MAX_NEEDS	64		/* skills and languages that are asked for */

extern void PeopleInit(void);

/* settings, in people.c */
extern double substitution_weight_similarity;
extern double substitution_weight_collaboration;
extern double substitution_weight_skill;
extern int	substitution_nodes;

/* similarity.c: the cosine of two vectors of PROFILE_DIMS signed bytes, 0 where it is negative */
extern double ProfileSimilarity(const int8 *a, const int8 *b);

/*
 * Who may be in a team, and what is asked of it. The score of a team T of k people is
 *
 *	  mean of value[m] over T  +  pair_weight * mean of pair[m][m'] over its pairs (1 for one person alone)
 *	  +  sum over skills s of skill_weight[s] * (highest level[m][s] in T)
 *
 * all in 0..1 if the weights are. Its loss is what is missing to 1. Every need of `needed` must be covered by somebody, and the room of
 * all must be enough.
 */
typedef struct TeamProblem
{
	int			n;
	const double *value;		/* n */
	const float *pair;			/* n * n, symmetric */
	double		pair_weight;
	int			nskills;
	const double *skill_weight; /* nskills */
	const float *level;			/* n * nskills: 0..1 of what is asked for */
	uint64		needed;
	const uint64 *covers;		/* n */
	int64		room_needed;
	const int64 *room;			/* n */
	int64		max_nodes;		/* of the exact search */
} TeamProblem;

typedef struct Team
{
	bool		found;
	bool		exact;			/* nothing better, or no team at all: the search was complete */
	int			k;
	int			member[TEAM_MAX_SIZE];	/* ascending */
	double		score;
	double		bound;			/* no team of k people scores higher */
} Team;

/* team.c (pure): the best team of k people; CHECK_FOR_INTERRUPTS apart, it touches nothing but its memory (current context). */
extern void TeamSearch(const TeamProblem *p, int k, Team *team);
extern double TeamScore(const TeamProblem *p, const int *member, int k);

#endif							/* REVOPS_PEOPLE_H */
