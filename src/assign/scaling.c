/*
 * scaling.c
 *	  Tasks to units with capacities, where many want the same: cost scaling, then an exact end.
 *
 * Goldberg and Tarjan, Mathematics of Operations Research 15, 1990, over the units alone: every task is in some unit all the time, units have
 * prices v, and no task could gain more than epsilon by a move, prices counted. A unit with too many lowers its price just so far that as
 * many as are too many rather move, and all of these move in one pass. When no unit has too many, epsilon is divided and the tasks that are now
 * too far from their best move again. Prices are found roughly by a sample of the tasks, with as small a part of the places.
 *
 * Two things make that a balanced problem, in which all units are full. One more unit, `nowhere`, takes any task at a cost above that of
 * any chain of moves: so as many as possible get a unit. And places that are left empty are held by blanks, which cost nothing in any unit; they
 * are counted, and move in bulk.
 *
 * The end is exact: the cheapest move from each unit to each other one is a matrix, and an assignment is optimal if it has no cycle of moves that costs
 * less than nothing. Bellman and Ford's method either finds prices that prove that, up to rounding, or a cycle, which is carried out. If
 * there are too many cycles, epsilon goes down first.
 */
#include "assign/solve.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#define EPSILON_STEP	8
#define EPSILON_LEAST	1e-10	/* of the range of costs */
#define CYCLES_EARLY	64		/* before epsilon is divided again */
#define PRICES_FAR		16		/* times what epsilon began with: then perhaps not all have a unit */
#define BLANK			(-1)
#define UNSEEN			(-2)
#define SAMPLE_STRIDE	16		/* of the tasks that are priced first */
#define SAMPLE_LEAST	1000	/* tasks in it */
#define SAMPLE_EPSILON	512		/* a part of the range, where all tasks take over */

typedef struct Mover
{
	double		slack;			/* what the move costs, prices counted */
	int32		task;
	int32		pair;			/* where it goes; -1: nowhere; UNSEEN: slack is a lower bound */
} Mover;

typedef struct Scaling
{
	SolveControl *control;
	const SolveProblem *p;
	int32	   *pair_of;
	int			n;				/* units, with `nowhere`, which is the last */
	int			stride;			/* only every so many tasks are in */
	int64		places;
	double		nowhere;		/* the cost of it */
	double		epsilon;
	double	   *v;
	int32	   *capacity;
	int64	   *blanks;
	int32	   *size;
	int32	   *head;			/* tasks in each unit, as lists */
	int32	   *next;
	int32	   *previous;
	double	   *margin;			/* of each task, what it costs more elsewhere, but for its unit's price, or less than that: prices fall */
	int32	   *queue;			/* units with too many; a ring */
	bool	   *queued;
	int			queue_first;
	int			queue_n;
	Mover	   *mover;
	double	   *way;			/* what it costs more for a task of the unit to be in another, */
	int32	   *way_task;		/* and who that is */
	int32	   *parent;
	int32	   *mark;
	int64		steps;
} Scaling;

static inline int32
UnitOf(const Scaling *s, int32 pair)
{
	return pair < 0 ? s->n - 1 : s->p->unit[pair];
}

static inline double
CostOf(const Scaling *s, int32 pair)
{
	return pair < 0 ? s->nowhere : s->p->cost[pair];
}

static inline int64
TooMany(const Scaling *s, int j)
{
	return s->size[j] + s->blanks[j] - s->capacity[j];
}

static inline void
Queue(Scaling *s, int j)
{
	if (s->queued[j] || TooMany(s, j) <= 0)
		return;
	s->queued[j] = true;
	s->queue[(s->queue_first + s->queue_n++) % s->n] = j;
}

static void
Leave(Scaling *s, int32 i)
{
	int32		j = UnitOf(s, s->pair_of[i]);

	if (s->previous[i] >= 0)
		s->next[s->previous[i]] = s->next[i];
	else
		s->head[j] = s->next[i];
	if (s->next[i] >= 0)
		s->previous[s->next[i]] = s->previous[i];
	s->size[j]--;
}

static void
Enter(Scaling *s, int32 i, int32 pair)
{
	int32		j = UnitOf(s, pair);

	s->pair_of[i] = pair;
	s->margin[i] = -INFINITY;
	s->previous[i] = -1;
	s->next[i] = s->head[j];
	if (s->head[j] >= 0)
		s->previous[s->head[j]] = i;
	s->head[j] = i;
	s->size[j]++;
}

/* The best that a task of unit j can do elsewhere; j = -1: anywhere. */
static inline double
Elsewhere(const Scaling *s, int32 i, int32 j, int32 *pair)
{
	const SolveProblem *p = s->p;
	double		best = INFINITY;
	int32		at = -1;

	if (j != s->n - 1)
		best = s->nowhere - s->v[s->n - 1];
	for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
	{
		int32		k = p->unit[e];
		double		h = p->cost[e] - s->v[k];

		if (h < best && k != j && s->capacity[k] > 0)
		{
			best = h;
			at = e;
		}
	}
	*pair = at;
	return best;
}

/* The unit other than j where a blank would rather be. */
static int
BlankTo(const Scaling *s, int j)
{
	int			to = -1;

	for (int k = 0; k < s->n; k++)
		if (k != j && s->capacity[k] > 0 && (to < 0 || s->v[k] > s->v[to]))
			to = k;
	return to;
}

#define ST_SORT			SortMovers
#define ST_ELEMENT_TYPE	Mover
#define ST_COMPARE(a, b) ((a)->slack < (b)->slack ? -1 : (a)->slack > (b)->slack ? 1 : (a)->task < (b)->task ? -1 : (a)->task > (b)->task)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Bring the `least` smallest slacks to the front. */
static void
SelectMovers(Mover *m, int n, int least)
{
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		double		pivot = m[low + (high - low) / 2].slack;
		int			a = low;
		int			b = high;

		while (a <= b)
		{
			while (m[a].slack < pivot)
				a++;
			while (m[b].slack > pivot)
				b--;
			if (a <= b)
			{
				Mover		t = m[a];

				m[a++] = m[b];
				m[b--] = t;
			}
		}
		if (least <= b)
			high = b;
		else if (least >= a)
			low = a;
		else
			break;
	}
}

/* As many as are too many in unit j go where they lose least, and its price with them. */
static void
Discharge(Scaling *s, int j)
{
	int64		many = TooMany(s, j);
	int			n = 0;
	int			least;
	int			blank_to = s->blanks[j] > 0 ? BlankTo(s, j) : -1;
	double		blank_slack = blank_to >= 0 ? s->v[j] - s->v[blank_to] : INFINITY;
	double		last = -INFINITY;
	bool		seen;

	for (int32 i = s->head[j]; i >= 0; i = s->next[i])
	{
		if (n % 16384 == 0)
			CHECK_FOR_INTERRUPTS();
		s->mover[n++] = (Mover)
		{
			s->margin[i] + s->v[j], i, UNSEEN
		};
	}
	least = Min(many, n);
	do
	{
		seen = true;
		if (least < n)
			SelectMovers(s->mover, n, least);
		for (int k = 0; k < least; k++)
		{
			Mover	   *m = &s->mover[k];

			if (m->pair != UNSEEN)
				continue;
			if (++s->steps % 16384 == 0)
				CHECK_FOR_INTERRUPTS();
			s->margin[m->task] = Elsewhere(s, m->task, j, &m->pair) - CostOf(s, s->pair_of[m->task]);
			m->slack = s->margin[m->task] + s->v[j];
			seen = false;
		}
	} while (!seen);
	SortMovers(s->mover, least);
	for (int k = 0; many > 0;)
	{
		Mover	   *m = &s->mover[k];

		if (blank_to >= 0 && s->blanks[j] > 0 && (k == least || blank_slack <= m->slack))
		{
			int64		moved = Min(many, s->blanks[j]);

			s->blanks[j] -= moved;
			s->blanks[blank_to] += moved;
			many -= moved;
			last = blank_slack;
			Queue(s, blank_to);
			continue;
		}
		if (k == least)
			break;
		Leave(s, m->task);
		Enter(s, m->task, m->pair);
		last = m->slack;
		many--;
		k++;
		Queue(s, UnitOf(s, m->pair));
	}
	if (last + s->epsilon > 0)
		s->v[j] -= last + s->epsilon;
}

/* Whoever is too far from the best moves there, and then all units come down to what they can hold. Returns false if prices pass `floor`. */
static bool
Refine(Scaling *s, double floor)
{
	int			best;
	int64		rounds = 0;
	double		top;

	for (int i = 0; i < s->p->ntasks; i += s->stride)
	{
		int32		pair;
		double		h;

		if (i % 16384 == 0)
			CHECK_FOR_INTERRUPTS();
		s->margin[i] = -INFINITY;
		h = Elsewhere(s, i, -1, &pair);
		if (CostOf(s, s->pair_of[i]) - s->v[UnitOf(s, s->pair_of[i])] > h + s->epsilon)
		{
			Leave(s, i);
			Enter(s, i, pair);
		}
	}
	best = BlankTo(s, -1);
	for (int j = 0; j < s->n; j++)
		if (s->blanks[j] > 0 && s->v[j] < s->v[best] - s->epsilon)
		{
			s->blanks[best] += s->blanks[j];
			s->blanks[j] = 0;
		}
	for (int j = 0; j < s->n; j++)
		Queue(s, j);
	while (s->queue_n > 0)
	{
		int			j = s->queue[s->queue_first];

		if (rounds++ % 64 == 0)
			SolvePoll(s->control, "units with too many tasks", s->n - s->queue_n, s->n);
		s->queue_first = (s->queue_first + 1) % s->n;
		s->queue_n--;
		s->queued[j] = false;
		if (TooMany(s, j) > 0)
			Discharge(s, j);
		if (s->v[j] < floor)
			return false;
	}
	/* only differences of prices count */
	top = s->v[BlankTo(s, -1)];
	for (int j = 0; j < s->n; j++)
		s->v[j] -= top;
	SolveTell(s->control, psprintf("epsilon %g: " INT64_FORMAT " visits of units, " INT64_FORMAT " looks at tasks", s->epsilon, rounds, s->steps));
	return true;
}

/* The cheapest moves out of a unit. */
static void
MakeRow(Scaling *s, int j)
{
	const SolveProblem *p = s->p;
	double	   *way = s->way + (size_t) j * s->n;
	int32	   *who = s->way_task + (size_t) j * s->n;

	for (int k = 0; k < s->n; k++)
	{
		way[k] = s->blanks[j] > 0 && s->capacity[k] > 0 ? 0 : INFINITY;
		who[k] = BLANK;
	}
	for (int32 i = s->head[j]; i >= 0; i = s->next[i])
	{
		double		here = CostOf(s, s->pair_of[i]);

		for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
		{
			int32		k = p->unit[e];

			if (p->cost[e] - here < way[k] && s->capacity[k] > 0)
			{
				way[k] = p->cost[e] - here;
				who[k] = i;
			}
		}
		if (s->nowhere - here < way[s->n - 1])
		{
			way[s->n - 1] = s->nowhere - here;
			who[s->n - 1] = i;
		}
	}
	way[j] = INFINITY;
}

/* A cycle of parents, by one unit in it; -1: there is none. */
static int
ParentCycle(Scaling *s)
{
	for (int j = 0; j < s->n; j++)
		s->mark[j] = -1;
	for (int j = 0; j < s->n; j++)
	{
		int			k = j;

		while (k >= 0 && s->mark[k] < 0)
		{
			s->mark[k] = j;
			k = s->parent[k];
		}
		if (k >= 0 && s->mark[k] == j)
			return k;
	}
	return -1;
}

/* Carry out a cycle of moves. */
static void
TurnCycle(Scaling *s, int at)
{
	int			k = at;

	/* all moves are known before the first is made: rows are of the state before */
	do
	{
		int			j = s->parent[k];
		int32		i = s->way_task[(size_t) j * s->n + k];

		if (i == BLANK)
		{
			s->blanks[j]--;
			s->blanks[k]++;
		}
		else
		{
			int32		pair = -1;

			for (int32 e = s->p->start[i]; e < s->p->start[i + 1] && k != s->n - 1; e++)
				if (s->p->unit[e] == k)
					pair = e;
			Leave(s, i);
			Enter(s, i, pair);
		}
		k = j;
	} while (k != at);
	do
	{
		MakeRow(s, k);
		k = s->parent[k];
	} while (k != at);
}

/* Prices that prove the optimum, on the way to which cycles are turned; false if there are more of them than `most`. */
static bool
Finish(Scaling *s, int64 most, double highest)
{
	double		tolerance;
	int64		cycles = 0;
	int64		rounds = 0;
	bool		changed = true;
	bool	   *active = s->queued;

	for (int j = 0; j < s->n; j++)
	{
		if (j % 64 == 0)
			CHECK_FOR_INTERRUPTS();
		MakeRow(s, j);
		s->parent[j] = -1;
		active[j] = true;
		highest = Max(highest, fabs(s->v[j]));
	}
	tolerance = 4 * DBL_EPSILON * Max(highest, s->size[s->n - 1] > 0 ? fabs(s->nowhere) : 0);
	while (changed)
	{
		int			at;

		changed = false;
		SolvePoll(s->control, "cycles of moves", cycles, cycles);
		rounds++;
		for (int j = 0; j < s->n; j++)
		{
			const double *way = s->way + (size_t) j * s->n;
			double		base = s->v[j];

			if (!active[j])
				continue;
			active[j] = false;
			for (int k = 0; k < s->n; k++)
				if (base + way[k] < s->v[k] - tolerance)
				{
					s->v[k] = base + way[k];
					s->parent[k] = j;
					active[k] = changed = true;
				}
		}
		while ((at = ParentCycle(s)) >= 0)
		{
			int			k = at;

			if (++cycles > most)
			{
				memset(active, 0, s->n * sizeof(bool));
				SolveTell(s->control, "there are more cycles to turn");
				return false;
			}
			TurnCycle(s, at);
			do
			{
				int			j = s->parent[k];

				s->parent[k] = -1;
				active[k] = true;
				k = j;
			} while (k != at);
			/* whoever came by a row that is another now may come by any */
			for (int j = 0; j < s->n; j++)
				s->parent[j] = -1;
			changed = true;
		}
	}
	SolveTell(s->control, psprintf(INT64_FORMAT " cycles turned in " INT64_FORMAT " rounds", cycles, rounds));
	return true;
}

/* The units that tasks left out compete for: all that can be reached from these by moves. */
static void
Crowded(Scaling *s, bool *crowded)
{
	const SolveProblem *p = s->p;
	int			n = 0;

	for (int32 i = s->head[s->n - 1]; i >= 0; i = s->next[i])
		for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
			if (s->capacity[p->unit[e]] > 0 && !crowded[p->unit[e]])
			{
				crowded[p->unit[e]] = true;
				s->queue[n++] = p->unit[e];
			}
	while (n > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 i = s->head[s->queue[--n]]; i >= 0; i = s->next[i])
			for (int32 e = p->start[i]; e < p->start[i + 1]; e++)
				if (s->capacity[p->unit[e]] > 0 && !crowded[p->unit[e]])
				{
					crowded[p->unit[e]] = true;
					s->queue[n++] = p->unit[e];
				}
	}
}

/* A power of two not below x: prices stay exact where costs are whole numbers. */
static double
PowerOfTwo(double x)
{
	return ldexp(1, (int) ceil(log2(x)));
}

/* Every so many tasks in their best unit at the present prices, and blanks where there is room. */
static void
Begin(Scaling *s, int stride)
{
	int			last = s->n - 1;
	bool		short_of_places = s->places < s->p->ntasks;

	s->stride = stride;
	for (int j = 0; j < s->n; j++)
	{
		s->head[j] = -1;
		s->size[j] = 0;
		s->queued[j] = false;
		if (j < last)
			s->capacity[j] = short_of_places ? s->p->capacity[j] / stride : (s->p->capacity[j] + stride - 1) / stride;
	}
	s->capacity[last] = (s->p->ntasks + stride - 1) / stride;	/* nowhere has room for all that are in */
	s->queue_first = s->queue_n = 0;
	for (int i = 0; i < s->p->ntasks; i += stride)
	{
		int32		pair;

		if (i % 16384 == 0)
			CHECK_FOR_INTERRUPTS();
		Elsewhere(s, i, -1, &pair);
		Enter(s, i, pair);
	}
	s->blanks[last] = 0;
	for (int j = 0; j < last; j++)
	{
		s->blanks[j] = Max(0, s->capacity[j] - s->size[j]);
		s->blanks[last] += s->capacity[j] - s->blanks[j];
	}
}

/* From this epsilon down to the optimum; false if prices pass `floor`. */
static bool
ScaleDown(Scaling *s, double first, double floor, double range, double highest, double *kept)
{
	for (s->epsilon = first;; s->epsilon /= EPSILON_STEP)
	{
		if (!Refine(s, floor))
			return false;
		if (s->epsilon >= range / 1024)
			continue;
		memcpy(kept, s->v, s->n * sizeof(double));
		if (Finish(s, s->epsilon < EPSILON_LEAST * range ? PG_INT64_MAX : CYCLES_EARLY, highest))
			return true;
		memcpy(s->v, kept, s->n * sizeof(double));
	}
}

bool
SolveScaling(SolveControl *control, const SolveProblem *p, int32 *pair_of, bool *crowded)
{
	Scaling		s = {.control = control, .p = p, .pair_of = pair_of, .n = p->nunits + 1};
	size_t		before = control->used;
	int32		npairs = p->start[p->ntasks];
	double		low = INFINITY;
	double		high = -INFINITY;
	double		range;
	double		first;
	double		most;
	double	   *kept;
	bool		whole = false;

	for (int32 e = 0; e < npairs; e++)
	{
		low = Min(low, p->cost[e]);
		high = Max(high, p->cost[e]);
	}
	range = high > low ? high - low : 1;
	s.nowhere = high + (2.0 * s.n + 2) * PowerOfTwo(range);
	if (p->nunits > SOLVE_MAX_ROWS || !isfinite(s.nowhere) || range < 1e-250 || range < 1e-9 * Max(fabs(low), fabs(high)) ||
		s.n * (s.n * (sizeof(double) + sizeof(int32)) + 64.0) + p->ntasks * (sizeof(Mover) + sizeof(double) + 2.0 * sizeof(int32)) >
		(control->limit - control->used) / 2)
		return false;

	s.v = SolveAlloc(control, s.n, sizeof(double));
	kept = SolveAlloc(control, s.n, sizeof(double));
	s.capacity = SolveAlloc(control, s.n, sizeof(int32));
	s.blanks = SolveAlloc(control, s.n, sizeof(int64));
	s.size = SolveAlloc(control, s.n, sizeof(int32));
	s.head = SolveAlloc(control, s.n, sizeof(int32));
	s.queue = SolveAlloc(control, s.n, sizeof(int32));
	s.queued = SolveAlloc(control, s.n, sizeof(bool));
	s.parent = SolveAlloc(control, s.n, sizeof(int32));
	s.mark = SolveAlloc(control, s.n, sizeof(int32));
	s.next = SolveAlloc(control, p->ntasks, sizeof(int32));
	s.previous = SolveAlloc(control, p->ntasks, sizeof(int32));
	s.margin = SolveAlloc(control, p->ntasks, sizeof(double));
	s.mover = SolveAlloc(control, p->ntasks, sizeof(Mover));
	s.way = SolveAlloc(control, (size_t) s.n * s.n, sizeof(double));
	s.way_task = SolveAlloc(control, (size_t) s.n * s.n, sizeof(int32));

	s.places = 0;
	for (int j = 0; j < p->nunits; j++)
		s.places += p->capacity[j];
	most = PowerOfTwo(s.nowhere - high);
	first = s.places < p->ntasks ? most : PowerOfTwo(range);
	if (p->ntasks >= SAMPLE_STRIDE * SAMPLE_LEAST)
	{
		double		least = PowerOfTwo(range) / SAMPLE_EPSILON;
		double		floor = INFINITY;

		Begin(&s, SAMPLE_STRIDE);
		for (s.epsilon = first / EPSILON_STEP; s.epsilon >= least / EPSILON_STEP; s.epsilon /= EPSILON_STEP)
			if (!Refine(&s, first < most ? -PRICES_FAR * first : -INFINITY))
				break;
		if (s.epsilon < least / EPSILON_STEP)
		{
			for (int j = 0; j < p->nunits; j++)
				floor = Min(floor, s.v[j]);
			Begin(&s, 1);
			whole = ScaleDown(&s, least, floor - PRICES_FAR * range, range, Max(fabs(low), fabs(high)), kept);
		}
	}
	while (!whole)
	{
		memset(s.v, 0, s.n * sizeof(double));
		Begin(&s, 1);
		whole = ScaleDown(&s, first / EPSILON_STEP, first < most ? -PRICES_FAR * first : -INFINITY, range, Max(fabs(low), fabs(high)), kept);
		first = Min(first * PRICES_FAR, most);
	}
	if (crowded != NULL)
	{
		memset(crowded, 0, p->nunits * sizeof(bool));
		Crowded(&s, crowded);
	}

	pfree(s.v);
	pfree(kept);
	pfree(s.capacity);
	pfree(s.blanks);
	pfree(s.size);
	pfree(s.head);
	pfree(s.queue);
	pfree(s.queued);
	pfree(s.parent);
	pfree(s.mark);
	pfree(s.next);
	pfree(s.previous);
	pfree(s.margin);
	pfree(s.mover);
	pfree(s.way);
	pfree(s.way_task);
	SolveRelease(control, control->used - before);
	return true;
}
