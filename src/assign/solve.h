/*
 * solve.h
 *	  The assignment solvers: tasks to units at the least cost. Pure: no SQL, no catalogs; memory comes from the current context.
 *
 * All minimise; who maximises negates. Tasks and units are numbers from 0. Every task has at most one unit. What a solver allocates is
 * counted against SolveControl.limit before it is allocated, and interrupts are taken in every loop that can be long.
 */
#ifndef REVOPS_SOLVE_H
#define REVOPS_SOLVE_H

#include "base/compat.h"

#include "portability/instr_time.h"

#define SOLVE_MAX_TASKS		10000000
#define SOLVE_MAX_PAIRS		500000000

#define SOLVE_MAX_ROWS		2048	/* units among which a matrix of moves is kept */

#define SOLVE_DEFAULT_MEMORY	(1024 * 1024)	/* kB */
#define SOLVE_MIN_MEMORY		4096
#define SOLVE_MAX_MEMORY		(1024 * 1024 * 1024)

/* What a solver may use, and how far it is. */
typedef struct SolveControl
{
	size_t		limit;			/* bytes */
	size_t		used;
	size_t		peak;
	instr_time	since;
	double		told;			/* ms after `since` of the last notice */
	int			polls;
} SolveControl;

/*
 * Pairs of task and unit that are possible: those of task i are start[i] .. start[i + 1] - 1, in the order of their units. A unit takes
 * capacity tasks (SolveFlow), or tasks with a load of at most `room` together (SolveGap).
 */
typedef struct SolveProblem
{
	int			ntasks;
	int			nunits;
	int32	   *start;
	int32	   *unit;
	double	   *cost;
	double	   *load;			/* SolveGap */
	int32	   *capacity;		/* SolveFlow */
	double	   *room;			/* SolveGap */
} SolveProblem;

/* solve.c */
extern void SolveBegin(SolveControl *control, size_t limit);
extern void SolveCharge(SolveControl *control, size_t bytes);
extern void SolveRelease(SolveControl *control, size_t bytes);
extern void *SolveAlloc(SolveControl *control, size_t n, size_t width);
extern void SolveTell(const SolveControl *control, const char *what);
extern void SolvePoll(SolveControl *control, const char *what, double done, double all);

/*
 * lap.c: every one of n rows gets a column of its own out of m >= n, at the least cost; cost is row by row, infinite where a pair is not
 * possible. Returns false, and nothing in column_of, where not every row can have one.
 */
extern bool SolveLap(SolveControl *control, int n, int m, const double *cost, int32 *column_of);

/*
 * flow.c: as many tasks as possible get a unit, and of all such ways the cheapest. pair_of[i] is the place in `unit` of task i's pair, or
 * -1. crowded[j] tells of the units that the tasks left out compete for: together with all tasks that are in them, each of these tasks
 * has pairs with such units only, and they are full; crowded may be NULL.
 */
extern void SolveFlow(SolveControl *control, const SolveProblem *problem, int32 *pair_of, bool *crowded);

/*
 * scaling.c: the same where many want the same units. False, and nothing done, where it has not the memory or the numbers are not fit for it.
 */
extern bool SolveScaling(SolveControl *control, const SolveProblem *problem, int32 *pair_of, bool *crowded);

/*
 * gap.c: each task has its own load in each unit. Returns a lower bound of the cost of every solution in which all tasks have a unit; the
 * one found is in pair_of, with -1 for tasks that it found no place for (which may be more than need be; the bound is then of no use).
 */
extern double SolveGap(SolveControl *control, const SolveProblem *problem, uint64 seed, double good_enough, int32 *pair_of);

#endif							/* REVOPS_SOLVE_H */
