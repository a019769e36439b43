/*
 * gap.c
 *	  The generalized assignment problem, where each task has its own load in each unit: Lagrangian relaxation with local search.
 *
 * The bound. That each task has one unit is relaxed: task i is paid lambda[i] for each unit that takes it. Then each unit is a knapsack
 * problem of its own, and the sum of lambda less what the knapsacks gain is never above the optimum (Fisher, Management Science 27, 1981).
 * Subgradient steps raise the lambda of tasks that nobody takes and lower those that several take. A knapsack is solved exactly by
 * branch and bound (Horowitz and Sahni, JACM 21, 1974); beyond a number of nodes its linear bound stands in, so the whole stays a bound.
 *
 * The solution. What the knapsacks take is made into an assignment: of several units the cheapest keeps the task, tasks without one go where
 * they fit, first those to whom it makes the greatest difference, and where nothing fits, another task is moved away for them. Then single
 * tasks move and pairs of tasks change places while that helps. At the end, parts of the best assignment are torn down and built up again.
 *
 * Where tasks remain without a unit, these are left out and the bound is made for the rest, so that it is one for what is assigned.
 */
#include "assign/solve.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"

#define KNAPSACK_SMALL		500 /* items up to which a knapsack is given the greater number of nodes */
#define NODES_SMALL			20000
#define NODES_LARGE			200
#define ITERATIONS_LEAST	40
#define ITERATIONS_MOST		1500
#define WORK				1e8 /* pairs looked at in all iterations, about */
#define SHORTER				0.7
#define PATIENCE			20	/* iterations without a better bound, after which steps get shorter */
#define STEP_LEAST			0.002
#define REGRET_MOST			300 /* tasks up to which regret is reckoned anew after each insertion */
#define SWAP_WORK			2e7 /* steps of one local search */
#define REBUILDS			400
#define SAFETY				1e-9	/* by which a bound is lowered for rounding, of the sum of what it is made of */

typedef struct Knapsack
{
	double		profit;
	double		load;
	double		ratio;
	int32		pair;
	bool		take;			/* in the best choice */
	bool		now;			/* in the present one */
} Knapsack;

#define ST_SORT			SortKnapsack
#define ST_ELEMENT_TYPE	Knapsack
#define ST_COMPARE(a, b) ((a)->ratio != (b)->ratio ? ((a)->ratio > (b)->ratio ? -1 : 1) : (a)->pair - (b)->pair)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct Solution
{
	int32	   *pair_of;
	double		cost;
	int			missing;		/* tasks that should have a unit, and have none */
} Solution;

typedef struct Gap
{
	SolveControl *control;
	const SolveProblem *p;
	int32	   *task_of;		/* of each pair */
	int32	   *unit_start;		/* the pairs of each unit that fit into it at all */
	int32	   *unit_pair;
	bool	   *out;			/* tasks that are not to be assigned */
	double	   *lambda;
	double	   *best_lambda;	/* that gave the best bound */
	double	   *step;
	int32	   *taken;			/* times that each task is */
	Knapsack   *item;
	bool	   *chosen;			/* by pair */
	bool		whole;			/* all costs are whole numbers */
	/* the solution at work: its units' loads and members */
	Solution	now;
	double	   *used;
	int32	   *head;
	int32	   *next;
	int32	   *previous;
	Solution	best;
	int32	   *list;			/* tasks to insert */
	double	   *regret;
	pg_prng_state random;
} Gap;

#define FITS(g, pair, less)	((g)->used[(g)->p->unit[pair]] - (less) + (g)->p->load[pair] <= (g)->p->room[(g)->p->unit[pair]])

static void
Put(Gap *g, int i, int32 pair)
{
	int32		j = g->p->unit[pair];

	g->now.pair_of[i] = pair;
	g->now.cost += g->p->cost[pair];
	g->now.missing--;
	g->used[j] += g->p->load[pair];
	g->next[i] = g->head[j];
	g->previous[i] = -1;
	if (g->head[j] >= 0)
		g->previous[g->head[j]] = i;
	g->head[j] = i;
}

static void
Take(Gap *g, int i)
{
	int32		pair = g->now.pair_of[i];
	int32		j = g->p->unit[pair];

	g->now.pair_of[i] = -1;
	g->now.cost -= g->p->cost[pair];
	g->now.missing++;
	if (g->previous[i] >= 0)
		g->next[g->previous[i]] = g->next[i];
	else
		g->head[j] = g->next[i];
	if (g->next[i] >= 0)
		g->previous[g->next[i]] = g->previous[i];
	/* summed anew now and then would do as well; a unit that is empty is empty */
	g->used[j] = g->head[j] < 0 ? 0 : g->used[j] - g->p->load[pair];
}

static void
Empty(Gap *g)
{
	g->now.cost = 0;
	g->now.missing = 0;
	for (int i = 0; i < g->p->ntasks; i++)
	{
		g->now.pair_of[i] = -1;
		g->now.missing += !g->out[i];
	}
	for (int j = 0; j < g->p->nunits; j++)
	{
		g->used[j] = 0;
		g->head[j] = -1;
	}
}

static void
Restore(Gap *g)
{
	Empty(g);
	for (int i = 0; i < g->p->ntasks; i++)
		if (g->best.pair_of[i] >= 0)
			Put(g, i, g->best.pair_of[i]);
}

/* The loads as they are, without what additions and subtractions have left. */
static void
SumLoads(Gap *g)
{
	g->now.cost = 0;
	for (int j = 0; j < g->p->nunits; j++)
	{
		g->used[j] = 0;
		for (int32 i = g->head[j]; i >= 0; i = g->next[i])
		{
			g->used[j] += g->p->load[g->now.pair_of[i]];
			g->now.cost += g->p->cost[g->now.pair_of[i]];
		}
	}
}

/* The pair of a task with a unit, or -1. */
static int32
FindPair(const SolveProblem *p, int i, int32 unit)
{
	int32		low = p->start[i];
	int32		high = p->start[i + 1];

	while (low < high)
	{
		int32		mid = low + (high - low) / 2;

		if (p->unit[mid] < unit)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->start[i + 1] && p->unit[low] == unit ? low : -1;
}

/* The cheapest pair of a task that fits now, or -1; and what the second is worse. */
static int32
BestFit(const Gap *g, int i, int32 not_unit, double *regret)
{
	const SolveProblem *p = g->p;
	double		best = INFINITY;
	double		second = INFINITY;
	int32		pair = -1;

	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
		if (p->cost[e] < second && p->unit[e] != not_unit && FITS(g, e, 0))
		{
			if (p->cost[e] < best)
			{
				second = best;
				best = p->cost[e];
				pair = e;
			}
			else
				second = p->cost[e];
		}
	if (regret != NULL)
		*regret = pair < 0 ? -1 : second - best;
	return pair;
}

/* Make room for task i by moving another one away, at the least cost. */
static bool
Eject(Gap *g, int i)
{
	const SolveProblem *p = g->p;
	double		least = INFINITY;
	int32		pair = -1;
	int			who = -1;
	int32		where = -1;

	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
	{
		if (p->load[e] > p->room[p->unit[e]])
			continue;
		for (int32 k = g->head[p->unit[e]]; k >= 0; k = g->next[k])
		{
			int32		from = g->now.pair_of[k];
			int32		to;
			double		cost;

			if (!FITS(g, e, p->load[from]))
				continue;
			to = BestFit(g, k, p->unit[e], NULL);
			if (to < 0)
				continue;
			cost = p->cost[e] + p->cost[to] - p->cost[from];
			if (cost < least)
			{
				least = cost;
				pair = e;
				who = k;
				where = to;
			}
		}
	}
	if (pair < 0)
		return false;
	Take(g, who);
	Put(g, who, where);
	Put(g, i, pair);
	return true;
}

static int
RegretCmp(const void *a, const void *b, void *arg)
{
	const double *regret = arg;
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	if (regret[x] != regret[y])
		return regret[x] > regret[y] ? -1 : 1;
	return x - y;
}

/* Give units to all tasks without one, as far as that goes. */
static void
Insert(Gap *g)
{
	int			n = 0;

	for (int i = 0; i < g->p->ntasks; i++)
		if (!g->out[i] && g->now.pair_of[i] < 0)
		{
			(void) BestFit(g, i, -1, &g->regret[i]);
			g->list[n++] = i;
		}
	if (n > REGRET_MOST)
		qsort_arg(g->list, n, sizeof(int32), RegretCmp, g->regret);
	while (n > 0)
	{
		int			at = 0;
		int			i;
		int32		pair;

		CHECK_FOR_INTERRUPTS();
		if (n > REGRET_MOST)
		{
			/* too many to reckon anew after each: the order stays */
			for (int k = 0; k < n; k++)
			{
				i = g->list[k];
				pair = BestFit(g, i, -1, NULL);
				if (pair >= 0)
					Put(g, i, pair);
				else
					(void) Eject(g, i);
				if (k % 64 == 0)
					CHECK_FOR_INTERRUPTS();
			}
			return;
		}
		for (int k = 1; k < n; k++)
			if (g->regret[g->list[k]] > g->regret[g->list[at]])
				at = k;
		i = g->list[at];
		g->list[at] = g->list[--n];
		pair = BestFit(g, i, -1, NULL);
		if (pair >= 0)
		{
			int32		j = g->p->unit[pair];

			Put(g, i, pair);
			for (int k = 0; k < n; k++)
				if (FindPair(g->p, g->list[k], j) >= 0)
					(void) BestFit(g, g->list[k], -1, &g->regret[g->list[k]]);
		}
		else
			(void) Eject(g, i);
	}
}

/* Single tasks move, and two change places, while that is cheaper. */
static void
LocalSearch(Gap *g)
{
	const SolveProblem *p = g->p;
	double		work = 0;
	bool		better = true;

	while (better && work < SWAP_WORK)
	{
		better = false;
		for (int i = 0; i < p->ntasks && work < SWAP_WORK; i++)
		{
			int32		from = g->now.pair_of[i];

			if (from < 0)
				continue;
			if (i % 64 == 0)
				CHECK_FOR_INTERRUPTS();
			for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
			{
				int32		j = p->unit[from];
				double		gain = p->cost[from] - p->cost[e];

				if (e == from)
					continue;
				work++;
				if (gain > 0 && FITS(g, e, 0))
				{
					Take(g, i);
					Put(g, i, e);
					from = e;
					better = true;
					continue;
				}
				if (p->load[e] > p->room[p->unit[e]])
					continue;
				for (int32 k = g->head[p->unit[e]]; k >= 0; k = g->next[k])
				{
					int32		theirs = g->now.pair_of[k];
					int32		to;

					work++;
					if (!FITS(g, e, p->load[theirs]))
						continue;
					to = FindPair(p, k, j);
					/* not for a gain that is only rounding */
					if (to < 0 || !FITS(g, to, p->load[from]) ||
						gain + p->cost[theirs] - p->cost[to] <= 1e-12 * (fabs(p->cost[from]) + fabs(p->cost[theirs])))
						continue;
					Take(g, i);
					Take(g, k);
					Put(g, i, e);
					Put(g, k, to);
					from = e;
					better = true;
					break;
				}
			}
		}
		SumLoads(g);
	}
}

/* Keep the solution at work if it is better than the best so far. */
static bool
Keep(Gap *g)
{
	if (g->now.missing > g->best.missing || (g->now.missing == g->best.missing && g->now.cost >= g->best.cost))
		return false;
	memcpy(g->best.pair_of, g->now.pair_of, g->p->ntasks * sizeof(int32));
	g->best.cost = g->now.cost;
	g->best.missing = g->now.missing;
	return true;
}

/* The linear relaxation from item k on, with this room. */
static inline double
Relaxed(const Knapsack *item, int k, int n, double room)
{
	double		sum = 0;

	for (; k < n && item[k].load <= room; k++)
	{
		sum += item[k].profit;
		room -= item[k].load;
	}
	return k < n ? sum + room * item[k].ratio : sum;
}

/* The best choice of items, sorted by ratio, in `take`. Returns its profit, or a bound above it where it was not found for certain. */
static double
SolveKnapsack(Knapsack *item, int n, double room, long nodes)
{
	double		all = room;
	double		best = -1;
	double		profit = 0;
	int			k = 0;

	for (int i = 0; i < n; i++)
		item[i].take = item[i].now = false;
	for (;;)
	{
		bool		cut = profit + Relaxed(item, k, n, room) <= best;

		if (!cut)
		{
			for (; k < n; k++)
			{
				item[k].now = item[k].load <= room;
				if (item[k].now)
				{
					room -= item[k].load;
					profit += item[k].profit;
				}
				else if (profit + Relaxed(item, k + 1, n, room) <= best)
				{
					cut = true;
					break;
				}
			}
			if (!cut && profit > best)
			{
				best = profit;
				for (int i = 0; i < n; i++)
					item[i].take = item[i].now;
			}
		}
		if (--nodes <= 0)
			return Relaxed(item, 0, n, all);
		/* the last item taken is left out, and all after it are free again */
		k = Min(k, n) - 1;
		while (k >= 0 && !item[k].now)
			k--;
		if (k < 0)
			return Max(best, 0);
		item[k].now = false;
		room += item[k].load;
		profit -= item[k].profit;
		k++;
	}
}

/* All knapsacks for the present lambda; the bound, and how often each task is taken. */
static double
Relax(Gap *g)
{
	const SolveProblem *p = g->p;
	double		bound = 0;
	double		size = 0;

	memset(g->taken, 0, p->ntasks * sizeof(int32));
	memset(g->chosen, 0, p->start[p->ntasks] * sizeof(bool));
	for (int i = 0; i < p->ntasks; i++)
		if (!g->out[i])
		{
			bound += g->lambda[i];
			size += fabs(g->lambda[i]);
		}
	for (int j = 0; j < p->nunits; j++)
	{
		int			n = 0;
		double		gain;

		CHECK_FOR_INTERRUPTS();
		for (int32 k = g->unit_start[j]; k < g->unit_start[j + 1]; k++)
		{
			int32		e = g->unit_pair[k];
			double		profit = g->lambda[g->task_of[e]] - p->cost[e];

			if (profit > 0 && !g->out[g->task_of[e]])
				g->item[n++] = (Knapsack)
			{
				profit, p->load[e], p->load[e] > 0 ? profit / p->load[e] : INFINITY, e
			};
		}
		SortKnapsack(g->item, n);
		gain = SolveKnapsack(g->item, n, p->room[j], n <= KNAPSACK_SMALL ? NODES_SMALL : NODES_LARGE);
		bound -= gain;
		size += gain;
		for (int k = 0; k < n; k++)
			if (g->item[k].take)
			{
				g->chosen[g->item[k].pair] = true;
				g->taken[g->task_of[g->item[k].pair]]++;
			}
	}
	return bound - SAFETY * size;
}

/* An assignment out of what the knapsacks took. */
static void
Build(Gap *g)
{
	const SolveProblem *p = g->p;

	Empty(g);
	for (int i = 0; i < p->ntasks; i++)
	{
		int32		pair = -1;

		for (int32 e = p->start[i]; e < p->start[i + 1] && g->taken[i] > 0; e++)
			if (g->chosen[e] && (pair < 0 || p->cost[e] < p->cost[pair]))
				pair = e;
		if (pair >= 0)
			Put(g, i, pair);
	}
	Insert(g);
	LocalSearch(g);
	(void) Keep(g);
}

static bool
Close(const Gap *g, double bound, double good_enough)
{
	if (g->best.missing > 0)
		return false;
	if (g->whole)
		return bound > g->best.cost - 0.5;
	return g->best.cost - bound <= good_enough * Max(fabs(g->best.cost), fabs(bound));
}

/* What a bound says where all costs are whole numbers. */
static double
Rounded(const Gap *g, double bound)
{
	return g->whole ? ceil(bound - 1e-6) : bound;
}

/* The subgradient method; the bound for the tasks that are not out. */
static double
Ascend(Gap *g, double good_enough)
{
	const SolveProblem *p = g->p;
	double		bound = -INFINITY;
	double		factor = 2;
	int			since = 0;
	int			iterations = Min(ITERATIONS_MOST, Max(ITERATIONS_LEAST, WORK / Max(p->start[p->ntasks], 1)));
	int			build_every = p->start[p->ntasks] > 200000 ? 10 : 1;

	for (int i = 0; i < p->ntasks; i++)
	{
		double		best = INFINITY;
		double		second = INFINITY;

		for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
			if (p->load[e] <= p->room[p->unit[e]] && p->cost[e] < second)
			{
				second = p->cost[e] < best ? best : p->cost[e];
				best = Min(best, p->cost[e]);
			}
		g->lambda[i] = second < INFINITY ? second : best < INFINITY ? best : 0;
		g->step[i] = 0;
	}
	for (int t = 0; t < iterations && factor > STEP_LEAST; t++)
	{
		double		now;
		double		norm = 0;
		double		length;
		double		target;

		SolvePoll(g->control, "iteration", t, iterations);
		now = Relax(g);
		if (now > bound)
		{
			bound = now;
			since = 0;
			memcpy(g->best_lambda, g->lambda, p->ntasks * sizeof(double));
		}
		else if (++since == PATIENCE)
		{
			/* shorter steps, from the best place so far */
			factor *= SHORTER;
			since = 0;
			memcpy(g->lambda, g->best_lambda, p->ntasks * sizeof(double));
			memset(g->step, 0, p->ntasks * sizeof(double));
			(void) Relax(g);
		}
		if (t % build_every == 0)
			Build(g);
		if (Close(g, Rounded(g, bound), good_enough))
			break;
		/* a direction that remembers the last ones, since single subgradients zigzag */
		for (int i = 0; i < p->ntasks; i++)
		{
			if (g->out[i])
				continue;
			g->step[i] = 0.7 * (1 - g->taken[i]) + 0.3 * g->step[i];
			norm += g->step[i] * g->step[i];
		}
		if (norm == 0)
			break;
		/* without an assignment of all tasks, aim a little above the bound */
		target = g->best.missing == 0 ? g->best.cost : bound + 0.05 * fabs(bound) + 1e-9;
		length = factor * Max(target - now, 1e-4 * fabs(target)) / norm;
		for (int i = 0; i < p->ntasks; i++)
			if (!g->out[i])
				g->lambda[i] += length * g->step[i];
	}
	return Rounded(g, bound);
}

/* Tear down some tasks of the best assignment, build up again, and search: whatever is better stays. */
static void
Rebuild(Gap *g, double bound, double good_enough)
{
	const SolveProblem *p = g->p;
	int			rounds = Min(REBUILDS, WORK / 10 / Max(p->start[p->ntasks], 1));

	for (int t = 0; t < rounds && !Close(g, bound, good_enough); t++)
	{
		double		share = 0.05 + 0.25 * pg_prng_double(&g->random);

		SolvePoll(g->control, "rebuilding", t, rounds);
		Restore(g);
		for (int i = 0; i < p->ntasks; i++)
			if (g->now.pair_of[i] >= 0 && pg_prng_double(&g->random) < share)
				Take(g, i);
		Insert(g);
		LocalSearch(g);
		(void) Keep(g);
	}
}

double
SolveGap(SolveControl *control, const SolveProblem *p, uint64 seed, double good_enough, int32 *pair_of)
{
	Gap			g = {.control = control, .p = p};
	size_t		before = control->used;
	int32		npairs = p->start[p->ntasks];
	int32		most = 0;
	int32		at = 0;
	double		bound;

	g.task_of = SolveAlloc(control, npairs, sizeof(int32));
	g.unit_start = SolveAlloc(control, p->nunits + 1, sizeof(int32));
	g.unit_pair = SolveAlloc(control, npairs, sizeof(int32));
	g.out = SolveAlloc(control, p->ntasks, sizeof(bool));
	g.lambda = SolveAlloc(control, p->ntasks, sizeof(double));
	g.best_lambda = SolveAlloc(control, p->ntasks, sizeof(double));
	g.step = SolveAlloc(control, p->ntasks, sizeof(double));
	g.taken = SolveAlloc(control, p->ntasks, sizeof(int32));
	g.chosen = SolveAlloc(control, npairs, sizeof(bool));
	g.now.pair_of = SolveAlloc(control, p->ntasks, sizeof(int32));
	g.best.pair_of = pair_of;
	g.used = SolveAlloc(control, p->nunits, sizeof(double));
	g.head = SolveAlloc(control, p->nunits, sizeof(int32));
	g.next = SolveAlloc(control, p->ntasks, sizeof(int32));
	g.previous = SolveAlloc(control, p->ntasks, sizeof(int32));
	g.list = SolveAlloc(control, p->ntasks, sizeof(int32));
	g.regret = SolveAlloc(control, p->ntasks, sizeof(double));
	pg_prng_seed(&g.random, seed);

	g.whole = true;
	for (int i = 0; i < p->ntasks; i++)
	{
		g.out[i] = true;
		for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
		{
			g.task_of[e] = i;
			g.whole &= p->cost[e] == floor(p->cost[e]) && fabs(p->cost[e]) < 1e9;
			if (p->load[e] <= p->room[p->unit[e]])
			{
				g.unit_start[p->unit[e]]++;
				g.out[i] = false;
			}
		}
	}
	for (int j = 0; j <= p->nunits; j++)
	{
		int32		n = g.unit_start[j];

		most = Max(most, n);
		g.unit_start[j] = at;
		at += n;
	}
	for (int32 e = 0; e < npairs; e++)
		if (p->load[e] <= p->room[p->unit[e]])
			g.unit_pair[g.unit_start[p->unit[e]]++] = e;
	for (int j = p->nunits; j > 0; j--)
		g.unit_start[j] = g.unit_start[j - 1];
	g.unit_start[0] = 0;
	g.item = SolveAlloc(control, most, sizeof(Knapsack));

	Empty(&g);
	g.best.missing = PG_INT32_MAX;
	g.best.cost = INFINITY;
	Insert(&g);
	LocalSearch(&g);
	(void) Keep(&g);
	bound = Ascend(&g, good_enough);
	Rebuild(&g, bound, good_enough);
	if (g.best.missing > 0)
	{
		for (int i = 0; i < p->ntasks; i++)
			g.out[i] |= g.best.pair_of[i] < 0;
		g.best.missing = 0;
		bound = Ascend(&g, good_enough);
		Rebuild(&g, bound, good_enough);
	}

	pfree(g.task_of);
	pfree(g.unit_start);
	pfree(g.unit_pair);
	pfree(g.out);
	pfree(g.lambda);
	pfree(g.best_lambda);
	pfree(g.step);
	pfree(g.taken);
	pfree(g.chosen);
	pfree(g.now.pair_of);
	pfree(g.used);
	pfree(g.head);
	pfree(g.next);
	pfree(g.previous);
	pfree(g.list);
	pfree(g.regret);
	pfree(g.item);
	SolveRelease(control, control->used - before);
	return bound;
}
