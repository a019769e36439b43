/*
 * flow.c
 *	  Tasks to units with capacities, from a list of the pairs that are possible: min-cost flow by successive shortest paths.
 *
 * A unit has a price v <= 0, 0 while it has room, and a task is only ever in a unit where it reaches its least cost - v. So every state
 * is optimal for the tasks that it serves. First come bids, cheap and local (Bertsekas and Castanon, Annals of Operations Research 20,
 * 1989, with no epsilon): a task enters its best unit with a bid, the price at which its second best would do as well; into a full unit
 * it gets by outbidding the lowest bid there, and the price is the lowest bid in a full unit. Each task left over by that is served by the
 * shortest path, by Dijkstra's method over the units: whoever is in a unit may move on to another.
 *
 * Where units have many tasks each, the cheapest way from each unit to each other one is kept, so that a unit is a row to look through and not all
 * pairs of its tasks. A task that enters betters its unit's row; where one leaves that the row was made of, the row is made anew when it is needed.
 *
 * Where no path leads to room, the task and all that it meets are a closed part: every task in it has pairs with its units only, and these
 * are full. One of its tasks must stay out, and the path ends at the one whose leaving costs least. The part's units are closed for good.
 * In prices: leaving a task out costs more than any sum of costs, so a closed unit's price is a number below that of every other unit; within
 * the closed part plain numbers decide. So a path goes through closed units only when no open one has room. The tasks left out are as
 * few as can be, and the rest as cheap as can be: lexicographic costs.
 */
#include "assign/solve.h"

#include <math.h>

#include "miscadmin.h"

#define BIDS_PER_TASK	5
#define SCALING_FROM	50		/* tasks left after the bids */

typedef struct Flow
{
	SolveControl *control;
	const SolveProblem *p;
	int32	   *pair_of;
	double	   *v;
	bool	   *closed;
	int32	   *size;			/* tasks in each unit */
	int32	   *first;			/* of each unit's members, in `member` */
	int32	   *member;
	int32	   *place;			/* of each task, in `member` */
	double	   *bid;			/* of each task; while bidding, a unit's members are a heap with the lowest bid on top */
	double	   *d;				/* distance of each unit; INFINITY: not reached */
	int32	   *via;			/* the pair by which a path enters the unit */
	bool	   *done;
	int32	   *reached;		/* units, to be cleaned up */
	int			nreached;
	int32	   *heap;			/* open units by distance, with their places in it */
	int32	   *heap_at;
	int			nheap;
	/* rows, if they are kept: what it costs more for a task of the unit to be in another, and by which pair; and to be in none, and who */
	double	   *way;
	int32	   *way_pair;
	double	   *way_out;
	int32	   *way_task;
	bool	   *stale;
} Flow;

static inline int32
TaskUnit(const Flow *f, int i)
{
	return f->p->unit[f->pair_of[i]];
}

/* Members of a unit as a heap of bids. */
static void
BidUp(Flow *f, int32 *m, int k, int first)
{
	int32		i = m[k];

	while (k > 0 && f->bid[m[(k - 1) / 2]] > f->bid[i])
	{
		m[k] = m[(k - 1) / 2];
		f->place[m[k]] = first + k;
		k = (k - 1) / 2;
	}
	m[k] = i;
	f->place[i] = first + k;
}

static void
BidDown(Flow *f, int32 *m, int n, int first)
{
	int32		i = m[0];
	int			k = 0;

	for (;;)
	{
		int			next = 2 * k + 1;

		if (next >= n)
			break;
		if (next + 1 < n && f->bid[m[next + 1]] < f->bid[m[next]])
			next++;
		if (f->bid[m[next]] >= f->bid[i])
			break;
		m[k] = m[next];
		f->place[m[k]] = first + k;
		k = next;
	}
	m[k] = i;
	f->place[i] = first + k;
}

/* The bids; returns how many tasks are left over, in `left`. */
static int
Bidding(Flow *f, int32 *left)
{
	const SolveProblem *p = f->p;
	int64		bids = 0;
	int			nleft = 0;

	for (int t = 0; t < p->ntasks; t++)
	{
		int			i = t;

		while (i >= 0)
		{
			double		best = INFINITY;
			double		second = INFINITY;
			int32		pair = -1;
			int32		j;
			int32	   *m;

			if (bids++ % 1024 == 0)
				SolvePoll(f->control, "first bids of task", t, p->ntasks);
			for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
			{
				double		h;

				if (p->capacity[p->unit[e]] == 0)
					continue;
				h = p->cost[e] - f->v[p->unit[e]];
				if (h < second)
				{
					if (h < best)
					{
						second = best;
						best = h;
						pair = e;
					}
					else
						second = h;
				}
			}
			if (pair < 0)
			{
				left[nleft++] = i;
				break;
			}
			j = p->unit[pair];
			m = f->member + f->first[j];
			f->bid[i] = second - best - f->v[j];
			if (f->size[j] < p->capacity[j])
			{
				f->pair_of[i] = pair;
				m[f->size[j]] = i;
				BidUp(f, m, f->size[j]++, f->first[j]);
				i = -1;
			}
			else if (f->bid[i] > f->bid[m[0]] && bids < (int64) BIDS_PER_TASK * p->ntasks)
			{
				int			out = m[0];

				f->pair_of[out] = -1;
				f->pair_of[i] = pair;
				m[0] = i;
				BidDown(f, m, f->size[j], f->first[j]);
				i = out;
			}
			else
			{
				left[nleft++] = i;
				i = -1;
			}
			/* who has nowhere else to go bids without end, which is no price */
			if (f->size[j] == p->capacity[j] && f->bid[m[0]] < INFINITY)
				f->v[j] = Min(f->v[j], -f->bid[m[0]]);
		}
	}
	return nleft;
}

static void
HeapUp(Flow *f, int k)
{
	int32		j = f->heap[k];

	while (k > 0 && f->d[f->heap[(k - 1) / 2]] > f->d[j])
	{
		f->heap[k] = f->heap[(k - 1) / 2];
		f->heap_at[f->heap[k]] = k;
		k = (k - 1) / 2;
	}
	f->heap[k] = j;
	f->heap_at[j] = k;
}

static int32
HeapPop(Flow *f)
{
	int32		top = f->heap[0];
	int32		j = f->heap[--f->nheap];
	int			k = 0;

	f->heap_at[top] = -1;
	if (f->nheap == 0)
		return top;
	for (;;)
	{
		int			next = 2 * k + 1;

		if (next >= f->nheap)
			break;
		if (next + 1 < f->nheap && f->d[f->heap[next + 1]] < f->d[f->heap[next]])
			next++;
		if (f->d[f->heap[next]] >= f->d[j])
			break;
		f->heap[k] = f->heap[next];
		f->heap_at[f->heap[k]] = k;
		k = next;
	}
	f->heap[k] = j;
	f->heap_at[j] = k;
	return top;
}

/* A unit is reached by this pair at distance h; closed ones wait in the list of reached units until there is nothing else. */
static inline void
ReachUnit(Flow *f, int32 j, int32 pair, double h, bool closed)
{
	if (f->done[j])
		return;
	if (f->d[j] == INFINITY)
	{
		f->reached[f->nreached++] = j;
		if (f->closed[j] == closed)
		{
			f->heap[f->nheap] = j;
			f->heap_at[j] = f->nheap++;
		}
	}
	f->d[j] = h;
	f->via[j] = pair;
	if (f->closed[j] == closed)
		HeapUp(f, f->heap_at[j]);
}

/* Units that task i can go to, at `base` before its cost. */
static inline void
Reach(Flow *f, int i, double base, bool closed)
{
	const SolveProblem *p = f->p;

	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
	{
		int32		j = p->unit[e];
		double		h = base + p->cost[e] - f->v[j];

		if (h < f->d[j] && p->capacity[j] > 0)
			ReachUnit(f, j, e, h, closed);
	}
}

/* What a task adds to its unit's row. */
static inline void
AddWays(Flow *f, int32 j, int i)
{
	const SolveProblem *p = f->p;
	double	   *way = f->way + (size_t) j * p->nunits;
	int32	   *pair = f->way_pair + (size_t) j * p->nunits;
	double		here = p->cost[f->pair_of[i]];

	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
	{
		int32		k = p->unit[e];

		if (p->cost[e] - here < way[k] && p->capacity[k] > 0)
		{
			way[k] = p->cost[e] - here;
			pair[k] = e;
		}
	}
	if (-here < f->way_out[j])
	{
		f->way_out[j] = -here;
		f->way_task[j] = i;
	}
}

static void
MakeRow(Flow *f, int32 j)
{
	double	   *way = f->way + (size_t) j * f->p->nunits;

	for (int k = 0; k < f->p->nunits; k++)
		way[k] = INFINITY;
	f->way_out[j] = INFINITY;
	for (int k = 0; k < f->size[j]; k++)
		AddWays(f, j, f->member[f->first[j] + k]);
	f->stale[j] = false;
}

/* Is the unit's row made of this task, but for the way to the unit itself? */
static bool
RowNeeds(const Flow *f, int32 j, int i)
{
	const SolveProblem *p = f->p;
	const double *way = f->way + (size_t) j * p->nunits;
	const int32 *pair = f->way_pair + (size_t) j * p->nunits;

	if (f->way_task[j] == i)
		return true;
	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
		if (pair[p->unit[e]] == e && p->unit[e] != j && way[p->unit[e]] < INFINITY)
			return true;
	return false;
}

/* Take a task out of its unit. */
static void
Leave(Flow *f, int i)
{
	int32		j = TaskUnit(f, i);
	int32		last;

	if (f->way != NULL && !f->stale[j])
		f->stale[j] = RowNeeds(f, j, i);
	last = f->member[f->first[j] + --f->size[j]];

	f->member[f->place[i]] = last;
	f->place[last] = f->place[i];
	f->pair_of[i] = -1;
}

static void
Enter(Flow *f, int i, int32 pair)
{
	int32		j = f->p->unit[pair];

	f->pair_of[i] = pair;
	f->place[i] = f->first[j] + f->size[j];
	f->member[f->first[j] + f->size[j]++] = i;
	if (f->way != NULL && !f->stale[j])
		AddWays(f, j, i);
}

/* One task more: the shortest path to room, or to the task whose leaving costs least. */
static void
Augment(Flow *f, int start, int32 *task_of)
{
	const SolveProblem *p = f->p;
	double		least = INFINITY;	/* the path's length */
	int32		end = -1;		/* the unit with room */
	int			out = start;	/* or who stays out, */
	double		out_at = 0;		/* at this distance */
	bool		closed = false;
	long		steps = 0;

	f->nreached = f->nheap = 0;
	Reach(f, start, 0, false);
	for (;;)
	{
		int32		j;
		double		base;

		if (f->nheap == 0)
		{
			if (closed)
				break;
			/* no room anywhere: on through the closed units that were met */
			closed = true;
			for (int k = 0; k < f->nreached; k++)
				if (f->closed[f->reached[k]])
				{
					f->heap[f->nheap] = f->reached[k];
					f->heap_at[f->reached[k]] = f->nheap;
					HeapUp(f, f->nheap++);
				}
			continue;
		}
		if (closed && f->d[f->heap[0]] >= out_at)
			break;
		j = HeapPop(f);
		if (f->size[j] < p->capacity[j])
		{
			end = j;
			break;
		}
		f->done[j] = true;
		if (f->way != NULL)
		{
			const double *way = f->way + (size_t) j * p->nunits;
			const int32 *pair = f->way_pair + (size_t) j * p->nunits;

			if (steps++ % 64 == 0)
				CHECK_FOR_INTERRUPTS();
			if (f->stale[j])
				MakeRow(f, j);
			base = f->d[j] + f->v[j];
			for (int k = 0; k < p->nunits; k++)
				if (base + way[k] - f->v[k] < f->d[k])
					ReachUnit(f, k, pair[k], base + way[k] - f->v[k], closed);
			if (base + f->way_out[j] < out_at)
			{
				out_at = base + f->way_out[j];
				out = f->way_task[j];
			}
			continue;
		}
		for (int k = 0; k < f->size[j]; k++)
		{
			int			i = f->member[f->first[j] + k];

			if (steps++ % 4096 == 0)
				CHECK_FOR_INTERRUPTS();
			base = f->d[j] - (p->cost[f->pair_of[i]] - f->v[j]);
			if (base < out_at)
			{
				out_at = base;
				out = i;
			}
			Reach(f, i, base, closed);
		}
	}
	least = end >= 0 ? f->d[end] : out_at;

	/* a unit that was open and full has no way out: it closes, whatever its distance */
	for (int k = 0; k < f->nreached; k++)
	{
		int32		j = f->reached[k];

		if (f->done[j] && (f->d[j] < least || (end < 0 && !f->closed[j])))
			f->v[j] += f->d[j] - least;
		if (f->done[j] && end < 0)
			f->closed[j] = true;
	}

	/* back along the path: who leaves a unit makes the place for who came by `via` */
	{
		int32		j = end;

		if (end < 0 && out != start)
		{
			j = TaskUnit(f, out);
			Leave(f, out);
		}
		while (j >= 0)
		{
			int32		pair = f->via[j];
			int			i = task_of[pair];

			j = -1;
			if (i != start)
			{
				j = TaskUnit(f, i);
				Leave(f, i);
			}
			Enter(f, i, pair);
		}
	}
	for (int k = 0; k < f->nreached; k++)
	{
		f->d[f->reached[k]] = INFINITY;
		f->done[f->reached[k]] = false;
	}
}

void
SolveFlow(SolveControl *control, const SolveProblem *p, int32 *pair_of, bool *crowded)
{
	Flow		f = {.control = control, .p = p, .pair_of = pair_of};
	size_t		before = control->used;
	int32		npairs = p->start[p->ntasks];
	int64		slots = 0;
	int32	   *left;
	int32	   *task_of;
	int32	   *degree;
	int			nleft;

	f.v = SolveAlloc(control, p->nunits, sizeof(double));
	f.d = SolveAlloc(control, p->nunits, sizeof(double));
	f.closed = SolveAlloc(control, p->nunits, sizeof(bool));
	f.done = SolveAlloc(control, p->nunits, sizeof(bool));
	f.size = SolveAlloc(control, p->nunits, sizeof(int32));
	f.first = SolveAlloc(control, p->nunits, sizeof(int32));
	f.via = SolveAlloc(control, p->nunits, sizeof(int32));
	f.reached = SolveAlloc(control, p->nunits, sizeof(int32));
	f.heap = SolveAlloc(control, p->nunits, sizeof(int32));
	f.heap_at = SolveAlloc(control, p->nunits, sizeof(int32));
	f.place = SolveAlloc(control, p->ntasks, sizeof(int32));
	f.bid = SolveAlloc(control, p->ntasks, sizeof(double));
	left = SolveAlloc(control, p->ntasks, sizeof(int32));
	task_of = SolveAlloc(control, npairs, sizeof(int32));

	/* a unit never holds more than its capacity, or than it has pairs */
	degree = f.heap;
	for (int32 e = 0; e < npairs; e++)
		degree[p->unit[e]]++;
	for (int j = 0; j < p->nunits; j++)
	{
		f.first[j] = slots;
		slots += Min(p->capacity[j], degree[j]);
		f.d[j] = INFINITY;
	}
	f.member = SolveAlloc(control, slots, sizeof(int32));
	for (int i = 0; i < p->ntasks; i++)
	{
		pair_of[i] = -1;
		for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
			task_of[e] = i;
	}

	nleft = Bidding(&f, left);
	SolveTell(control, psprintf("%d of %d tasks are left after the bids", nleft, p->ntasks));
	if (nleft >= SCALING_FROM && SolveScaling(control, p, pair_of, crowded))
		goto done;
	if (nleft > 0 && p->nunits <= SOLVE_MAX_ROWS && (double) npairs > 2.0 * p->nunits * p->nunits &&
		(size_t) p->nunits * p->nunits * (sizeof(double) + sizeof(int32)) < (control->limit - control->used) / 2)
	{
		f.way = SolveAlloc(control, (size_t) p->nunits * p->nunits, sizeof(double));
		f.way_pair = SolveAlloc(control, (size_t) p->nunits * p->nunits, sizeof(int32));
		f.way_out = SolveAlloc(control, p->nunits, sizeof(double));
		f.way_task = SolveAlloc(control, p->nunits, sizeof(int32));
		f.stale = SolveAlloc(control, p->nunits, sizeof(bool));
		memset(f.stale, true, p->nunits * sizeof(bool));
	}
	for (int k = 0; k < nleft; k++)
	{
		SolvePoll(control, "task", k, nleft);
		Augment(&f, left[k], task_of);
	}
	if (crowded != NULL)
		memcpy(crowded, f.closed, p->nunits * sizeof(bool));

done:

	if (f.way != NULL)
	{
		pfree(f.way);
		pfree(f.way_pair);
		pfree(f.way_out);
		pfree(f.way_task);
		pfree(f.stale);
	}
	pfree(f.v);
	pfree(f.d);
	pfree(f.closed);
	pfree(f.done);
	pfree(f.size);
	pfree(f.first);
	pfree(f.via);
	pfree(f.reached);
	pfree(f.heap);
	pfree(f.heap_at);
	pfree(f.place);
	pfree(f.bid);
	pfree(f.member);
	pfree(left);
	pfree(task_of);
	SolveRelease(control, control->used - before);
}
