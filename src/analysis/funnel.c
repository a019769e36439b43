/*
 * funnel.c
 *	  The furthest step of a funnel, in one pass over the sorted rows, O(rows * steps).
 *
 * A chain starts at every row on which step 1 holds, goes through the rows after it, takes each step at its first chance and
 * ends when its window is over, or by what a mode forbids. Two chains at the same step differ only in their start, and the
 * later start lives longer; so the latest start at each step is all that is kept.
 */
#include "analysis/analysis.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* t is never before start */
#define ELAPSED(start, t)	((uint64) (t) - (uint64) (start))

/*
 * Only times count: rows of one time are one row on which all of their conditions hold. With increase, such a row serves one
 * step of a chain.
 */
static int
LevelByTime(const BufferRow *rows, int n, int nsteps, uint64 window, bool increase)
{
	TimestampTz start[ANALYSIS_MAX_CONDITIONS];
	uint32		reached = 0;	/* steps that some chain has come to; bit 0 is step 1 */
	uint32		last = (uint32) 1 << (nsteps - 1);

	for (int i = 0; i < n;)
	{
		TimestampTz t = rows[i].at;
		uint32		bits = rows[i].bits,
					before = reached;

		while (++i < n && rows[i].at == t)
			bits |= rows[i].bits;
		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (increase)
		{
			/* from the last step down, so that what this time reaches does not carry further */
			uint32		todo = bits & (before << 1);

			while (todo != 0)
			{
				int			step = pg_leftmost_one_pos32(todo);

				todo &= ~((uint32) 1 << step);
				if (ELAPSED(start[step - 1], t) <= window)
				{
					start[step] = start[step - 1];
					reached |= (uint32) 1 << step;
				}
			}
			if (bits & 1)
			{
				start[0] = t;
				reached |= 1;
			}
		}
		else
		{
			uint32		todo;

			if (bits & 1)
			{
				start[0] = t;
				reached |= 1;
			}
			bits &= ~(uint32) 1;
			while ((todo = bits & (reached << 1)) != 0)
			{
				int			step = pg_rightmost_one_pos32(todo);

				bits &= ~(uint32) 1 << step;	/* this step and those below are done */
				if (ELAPSED(start[step - 1], t) <= window)
				{
					start[step] = start[step - 1];
					reached |= (uint32) 1 << step;
				}
			}
		}
		if (reached & last)
			return nsteps;
	}
	return reached == 0 ? 0 : pg_leftmost_one_pos32(reached) + 1;
}

/* The latest starts of chains, by step; a bit of present says which are there. */
typedef struct Chains
{
	uint64		present;		/* bit n: step n */
	TimestampTz start[ANALYSIS_MAX_CONDITIONS + 1];
} Chains;

static inline void
PutChain(Chains *chains, int step, TimestampTz start)
{
	if (!(chains->present & UINT64CONST(1) << step) || chains->start[step] < start)
		chains->start[step] = start;
	chains->present |= UINT64CONST(1) << step;
}

/* Does a chain at this step survive a row that does not carry it on? */
static inline bool
Survives(int step, uint32 bits, int modes)
{
	if ((modes & FUNNEL_ALLOW_REENTRY) && (bits & 1))
		return true;
	if ((modes & FUNNEL_STRICT_DEDUP) && (bits & (PG_UINT32_MAX >> (32 - step))))
		return false;
	if (modes & FUNNEL_STRICT_ORDER)
		return (bits & ((uint32) 1 << (step - 1))) != 0;
	return true;
}

/* Rows are taken one by one, in their order. */
static int
LevelByRow(const BufferRow *rows, int n, int nsteps, uint64 window, int modes)
{
	bool		increase = (modes & FUNNEL_STRICT_INCREASE) != 0;
	bool		one_step = increase || (modes & FUNNEL_ONCE) != 0;
	Chains		settled = {0},
				fresh = {0};	/* with increase: chains whose last step was at the present time */
	int			best = 0;

	for (int i = 0; i < n; i++)
	{
		TimestampTz t = rows[i].at;
		uint32		bits = rows[i].bits;
		uint64		steps;

		if ((i & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		if (increase && i > 0 && rows[i - 1].at != t)
		{
			for (steps = fresh.present; steps != 0; steps &= steps - 1)
				PutChain(&settled, pg_rightmost_one_pos64(steps), fresh.start[pg_rightmost_one_pos64(steps)]);
			fresh.present = 0;
		}

		/* from the last step down: a chain that is carried on is not seen again */
		for (steps = settled.present | fresh.present; steps != 0;)
		{
			int			step = pg_leftmost_one_pos64(steps);
			uint64		bit = UINT64CONST(1) << step;

			steps &= ~bit;
			for (int f = 0; f < 2; f++)
			{
				Chains	   *from = f == 0 ? &fresh : &settled;
				TimestampTz start = from->start[step];
				int			to = step;

				if (!(from->present & bit))
					continue;
				if (ELAPSED(start, t) > window)
				{
					from->present &= ~bit;
					continue;
				}
				if (f == 1 || !increase)
				{
					while (to < nsteps && (bits & ((uint32) 1 << to)) && (to == step || !one_step))
						to++;
				}
				if (to > step)
				{
					from->present &= ~bit;
					PutChain(increase ? &fresh : &settled, to, start);
					best = Max(best, to);
				}
				else if (!Survives(step, bits, modes))
					from->present &= ~bit;
			}
		}
		if (bits & 1)
		{
			int			to = 1;

			while (!one_step && to < nsteps && (bits & ((uint32) 1 << to)))
				to++;
			PutChain(increase ? &fresh : &settled, to, t);
			best = Max(best, to);
		}
		if (best == nsteps)
			break;
	}
	return best;
}

/* The furthest step from 0 to nsteps. Rows sorted by (at, bits); window in microseconds, not negative. */
int
FunnelLevel(const BufferRow *rows, int n, int nsteps, int64 window, int modes)
{
	if ((modes & ~FUNNEL_STRICT_INCREASE) == 0)
		return LevelByTime(rows, n, nsteps, window, (modes & FUNNEL_STRICT_INCREASE) != 0);
	return LevelByRow(rows, n, nsteps, window, modes);
}
