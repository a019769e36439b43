/*
 * solve.c
 *	  What the solvers share: memory that is counted, interrupts, and a notice now and then.
 */
#include "assign/solve.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define NOTICE_EVERY	10000	/* ms */

void
SolveBegin(SolveControl *control, size_t limit)
{
	memset(control, 0, sizeof(SolveControl));
	control->limit = limit;
	INSTR_TIME_SET_CURRENT(control->since);
}

/* Count bytes that are about to be allocated; ERROR where they are too many. */
void
SolveCharge(SolveControl *control, size_t bytes)
{
	if (bytes > control->limit - control->used)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("this assignment needs more than revops.solver_memory, which is %zu MB", control->limit / (1024 * 1024)),
				 errdetail("%zu MB are in use, and %zu kB more are needed.", control->used / (1024 * 1024), bytes / 1024),
				 errhint("Raise revops.solver_memory, or give fewer candidates for each task.")));
	control->used += bytes;
	control->peak = Max(control->peak, control->used);
}

void
SolveRelease(SolveControl *control, size_t bytes)
{
	control->used -= bytes;
}

/* n zeroed items. */
void *
SolveAlloc(SolveControl *control, size_t n, size_t width)
{
	size_t		bytes = Max(n, 1) * width;

	SolveCharge(control, bytes);
	return MemoryContextAllocExtended(CurrentMemoryContext, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static double
Milliseconds(const SolveControl *control)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, control->since);
	return INSTR_TIME_GET_MILLISEC(now);
}

/* What is done, for who looks into it. */
void
SolveTell(const SolveControl *control, const char *what)
{
	ereport(DEBUG1,
			(errmsg_internal("assignment: %s after %.1f ms, with %zu MB", what, Milliseconds(control), control->used / (1024 * 1024))));
}

/* Take interrupts; every ten seconds say how far it is. */
void
SolvePoll(SolveControl *control, const char *what, double done, double all)
{
	double		ms;

	CHECK_FOR_INTERRUPTS();
	if (++control->polls % 64 != 0)
		return;
	ms = Milliseconds(control);
	if (ms - control->told < NOTICE_EVERY)
		return;
	control->told = ms;
	ereport(NOTICE,
			(errmsg("assignment: %.0f s, %s %.0f of %.0f", ms / 1000, what, done, all)));
}
