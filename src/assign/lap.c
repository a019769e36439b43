/*
 * lap.c
 *	  One to one from a full matrix: shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987).
 *
 * Prices v of columns, never above 0, and 0 for every column that is free. A row's own price is its least cost[i][j] - v[j], and it only
 * ever has a column where it reaches that. So every state is optimal for the rows that have columns, and what is left is to give the
 * others theirs:
 *
 * 1. column reduction, of square matrices only: v[j] is the least cost in the column, and the row that has it gets the column; then
 *    reduction transfer lowers the prices as far as those rows allow
 * 2. augmenting row reduction, twice over the free rows: a row takes its best column, and lowers the price by what the second best is
 *    worse; the row that had it goes on
 * 3. for each row still free, the shortest path to a free column, by Dijkstra's method over reduced costs
 *
 * A missing pair is infinitely dear. A row that reaches no free column by finite costs ends it: the caller goes to flow.c.
 */
#include "assign/solve.h"

#include <math.h>

#include "miscadmin.h"

#define POLL_EVERY	64

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SOLVE_VECTOR __attribute__((target_clones("avx2", "default")))
#else
#define SOLVE_VECTOR
#endif

typedef struct Lap
{
	int			n;
	int			m;
	const double *cost;
	double	   *v;
	int32	   *column_of;
	int32	   *row_of;
	int32	   *free;			/* rows without a column */
	int			nfree;
	double	   *d;
	int32	   *from;			/* the row before the column on its path */
	int32	   *todo;			/* columns: scanned, then at the least distance, then the rest */
} Lap;

#define ROW(lap, i)	((lap)->cost + (size_t) (i) * (lap)->m)

static void
ColumnReduction(Lap *lap)
{
	int			n = lap->n;
	int32	   *least = lap->from;	/* the row with the least cost in each column */

	for (int j = 0; j < n; j++)
	{
		lap->v[j] = lap->cost[j];
		least[j] = 0;
	}
	for (int i = 1; i < n; i++)
	{
		const double *c = ROW(lap, i);

		if (i % POLL_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < n; j++)
			if (c[j] < lap->v[j])
			{
				lap->v[j] = c[j];
				least[j] = i;
			}
	}
	for (int j = n - 1; j >= 0; j--)
		if (lap->column_of[least[j]] < 0 && lap->v[j] < INFINITY)
		{
			lap->column_of[least[j]] = j;
			lap->row_of[j] = least[j];
		}
}

/* Best and second best column of a row at the present prices. */
static inline void
BestTwo(const double *c, const double *v, int m, double *best, double *second, int *j1, int *j2)
{
	double		b1 = INFINITY;
	double		b2 = INFINITY;
	int			at1 = -1;
	int			at2 = -1;

	for (int j = 0; j < m; j++)
	{
		double		h = c[j] - v[j];

		if (h < b2)
		{
			if (h < b1)
			{
				b2 = b1;
				at2 = at1;
				b1 = h;
				at1 = j;
			}
			else
			{
				b2 = h;
				at2 = j;
			}
		}
	}
	*best = b1;
	*second = b2;
	*j1 = at1;
	*j2 = at2;
}

/* Lower the price of a column that only its own row wanted, by what that row's second best is worse. */
static void
ReductionTransfer(Lap *lap, const int32 *wanted)
{
	for (int i = 0; i < lap->n; i++)
	{
		int			j1 = lap->column_of[i];
		const double *c = ROW(lap, i);
		double		least = INFINITY;

		if (j1 < 0 || wanted[i] != 1)
			continue;
		if (i % POLL_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < lap->m; j++)
			if (c[j] - lap->v[j] < least && j != j1)
				least = c[j] - lap->v[j];
		if (least < INFINITY)
			lap->v[j1] -= least - (c[j1] - lap->v[j1]);
	}
}

/* One sweep over the free rows; rows that tie, and those that lose their column by a tie, are left for later. */
static bool
RowReduction(Lap *lap)
{
	int			k = 0;
	int			before = lap->nfree;
	long		steps = 0;

	lap->nfree = 0;
	while (k < before)
	{
		int			i = lap->free[k++];
		double		best;
		double		second;
		int			j1;
		int			j2;
		int			other;

		if (steps++ % POLL_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		BestTwo(ROW(lap, i), lap->v, lap->m, &best, &second, &j1, &j2);
		if (j1 < 0)
			return false;
		other = lap->row_of[j1];
		/* an only column: nobody may price it out */
		if (second == INFINITY)
		{
			if (other >= 0)
			{
				lap->free[lap->nfree++] = i;
				continue;
			}
		}
		else if (best < second)
		{
			/* a column that is free stays at 0 where there are more columns than rows */
			if (other >= 0 || lap->n == lap->m)
				lap->v[j1] -= second - best;
		}
		else if (other >= 0)
		{
			j1 = j2;
			other = lap->row_of[j1];
		}
		lap->column_of[i] = j1;
		lap->row_of[j1] = i;
		if (other >= 0)
		{
			lap->column_of[other] = -1;
			/* with a price that fell, the row that lost is next; not for ever, as steps of rounding could */
			if (best < second && steps < 20L * lap->n)
				lap->free[--k] = other;
			else
				lap->free[lap->nfree++] = other;
		}
	}
	return true;
}

/* Distances over row i: how near it brings the columns not yet scanned; those at the least distance so far move to its front. */
SOLVE_VECTOR static void
Relax(const double *restrict c, const double *restrict v, double base, int m, double *restrict reach)
{
	for (int j = 0; j < m; j++)
		reach[j] = c[j] - v[j] - base;
}

/* The shortest path from a free row to a free column, and the rows along it moved up. */
static bool
Augment(Lap *lap, int start, double *reach)
{
	int			m = lap->m;
	double	   *d = lap->d;
	int32	   *todo = lap->todo;
	int			low = 0;		/* todo[0 .. low): scanned */
	int			up = 0;			/* todo[low .. up): at distance `least` */
	int			last = 0;		/* todo[0 .. last): scanned at less than `least` */
	double		least = 0;
	int			end = -1;

	Relax(ROW(lap, start), lap->v, 0, m, d);
	for (int j = 0; j < m; j++)
	{
		todo[j] = j;
		lap->from[j] = start;
	}
	while (end < 0)
	{
		if (low == up)
		{
			/* the next nearest columns */
			last = low;
			least = d[todo[up]];
			for (int k = up; k < m; k++)
			{
				int			j = todo[k];
				double		h = d[j];

				if (h <= least)
				{
					if (h < least)
					{
						up = low;
						least = h;
					}
					todo[k] = todo[up];
					todo[up++] = j;
				}
			}
			if (least == INFINITY)
				return false;
			for (int k = low; k < up; k++)
				if (lap->row_of[todo[k]] < 0)
				{
					end = todo[k];
					break;
				}
		}
		while (end < 0 && low < up)
		{
			int			j1 = todo[low++];
			int			i = lap->row_of[j1];
			const double *c = ROW(lap, i);
			double		base = c[j1] - lap->v[j1] - least;

			if (low % POLL_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			Relax(c, lap->v, base, m, reach);
			for (int k = up; k < m; k++)
			{
				int			j = todo[k];
				double		h = reach[j];

				if (h < d[j])
				{
					lap->from[j] = i;
					d[j] = h;
					/* not below `least`, but for rounding */
					if (h <= least)
					{
						d[j] = least;
						if (lap->row_of[j] < 0)
						{
							end = j;
							break;
						}
						todo[k] = todo[up];
						todo[up++] = j;
					}
				}
			}
		}
	}
	for (int k = 0; k < last; k++)
		lap->v[todo[k]] += d[todo[k]] - least;
	for (;;)
	{
		int			i = lap->from[end];
		int			next = lap->column_of[i];

		lap->row_of[end] = i;
		lap->column_of[i] = end;
		if (i == start)
			break;
		end = next;
	}
	return true;
}

bool
SolveLap(SolveControl *control, int n, int m, const double *cost, int32 *column_of)
{
	Lap			lap = {.n = n, .m = m, .cost = cost, .column_of = column_of};
	size_t		before = control->used;
	double	   *reach;
	bool		solved = true;

	Assert(n <= m);
	lap.v = SolveAlloc(control, m, sizeof(double));
	lap.d = SolveAlloc(control, m, sizeof(double));
	reach = SolveAlloc(control, m, sizeof(double));
	lap.row_of = SolveAlloc(control, m, sizeof(int32));
	lap.from = SolveAlloc(control, m, sizeof(int32));
	lap.todo = SolveAlloc(control, m, sizeof(int32));
	lap.free = SolveAlloc(control, n, sizeof(int32));
	for (int i = 0; i < n; i++)
		column_of[i] = -1;
	for (int j = 0; j < m; j++)
		lap.row_of[j] = -1;

	if (n == m)
	{
		int32	   *wanted = lap.todo;

		ColumnReduction(&lap);
		for (int j = 0; j < m && solved; j++)
		{
			wanted[lap.from[j]]++;
			solved = lap.v[j] < INFINITY;
		}
		if (solved)
			ReductionTransfer(&lap, wanted);
	}
	for (int i = 0; i < n; i++)
		if (column_of[i] < 0)
			lap.free[lap.nfree++] = i;
	for (int sweep = 0; sweep < 2 && solved && lap.nfree > 0; sweep++)
		solved = RowReduction(&lap);
	SolveTell(control, psprintf("%d of %d rows are free after the reductions", lap.nfree, n));
	for (int k = 0; k < lap.nfree && solved; k++)
	{
		SolvePoll(control, "task", k, lap.nfree);
		solved = Augment(&lap, lap.free[k], reach);
	}
	if (!solved)
		for (int i = 0; i < n; i++)
			column_of[i] = -1;

	pfree(lap.v);
	pfree(lap.d);
	pfree(reach);
	pfree(lap.row_of);
	pfree(lap.from);
	pfree(lap.todo);
	pfree(lap.free);
	SolveRelease(control, control->used - before);
	return solved;
}
