/*
 * assignment.c
 *	  revops.optimal_assignment() and assignment_report(): from two queries to a proven optimum.
 *
 * 1. read the pairs and capacities (pairs.c)
 * 2. put tasks and units into the order of a digest of seed and key. The solvers see only that order, so ties do not depend on the order of
 *    the rows, nor on that of the keys
 * 3. solve: a matrix that is mostly full and one to one by lap.c; loads that differ within a unit by gap.c; all else by flow.c, where a unit
 *    whose tasks all have one load has as many places as go into it
 * 4. say of each task that has no unit, why
 *
 * Benefits are negated to costs where they are maximised. Where tasks may stay out, that is one more unit, which costs nothing.
 */
#include "assign/assign.h"
#include "assign/pairs.h"

#include <math.h>

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define DENSE_SHARE		0.5		/* pairs of all that could be, from which a matrix is the better form */
#define ROUNDING		1e-9	/* of a capacity, which loads may exceed it by */
#define UNITS_NAMED		5		/* in a reason */
#define GOOD_ENOUGH		1e-4	/* the gap at which the general problem is given no more time */

static int	solver_memory = SOLVE_DEFAULT_MEMORY;

typedef struct Assignment
{
	SolveControl control;
	Pairs		pairs;
	bool		maximize;
	bool		optional;
	int32	   *task_place;		/* of task number in the solver's order */
	int32	   *unit_place;
	uint32	   *task_at;		/* and back */
	uint32	   *unit_at;
	int64		npairs;
	SolveProblem problem;
	int32	   *pair_of;
	int32	   *column_of;		/* lap.c: unit of each task instead of a pair */
	double	   *matrix;
	bool	   *crowded;
	int			out_unit;		/* the unit for tasks that may stay out, or -1 */
	const char *method;
	int			assigned;
	double		objective;
	double		bound;
	bool		proven;			/* the bound is one of all that could be assigned */
} Assignment;

PG_FUNCTION_INFO_V1(revops_optimal_assignment);
PG_FUNCTION_INFO_V1(revops_assignment_report);

pg_noreturn static void Duplicate(const Assignment *a, uint32 task, uint32 unit);

static void
Duplicate(const Assignment *a, uint32 task, uint32 unit)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("the pair of task \"%s\" and unit \"%s\" is there twice", KeyText(&a->pairs.tasks, task), KeyText(&a->pairs.units, unit)),
			 errhint("The query gives one row for each pair.")));
}

/* Which key is at each place. */
static uint32 *
Back(Assignment *a, const int32 *place, int n)
{
	uint32	   *at = SolveAlloc(&a->control, n, sizeof(uint32));

	for (int k = 0; k < n; k++)
		at[place[k]] = k;
	return at;
}

/* The pairs as a matrix of costs; its rows are the tasks, or the units if there are fewer of them. Frees the pairs. */
static double *
Matrix(Assignment *a, bool turned)
{
	Pairs	   *p = &a->pairs;
	size_t		n = turned ? p->units.n : p->tasks.n;
	size_t		m = turned ? p->tasks.n : p->units.n;
	double	   *matrix;

	SolveCharge(&a->control, n * m * sizeof(double));
	matrix = MemoryContextAllocHuge(CurrentMemoryContext, n * m * sizeof(double));
	for (size_t k = 0; k < n * m; k++)
		matrix[k] = INFINITY;
	for (int c = 0; c < p->nchunks; c++)
	{
		int			len = Min(PAIRS_CHUNK, p->n - (int64) c * PAIRS_CHUNK);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < len; k++)
		{
			Pair		pair = p->chunk[c][k];
			size_t		i = a->task_place[pair.task];
			size_t		j = a->unit_place[pair.unit];
			double	   *cell = turned ? &matrix[j * m + i] : &matrix[i * m + j];

			if (*cell != INFINITY)
				Duplicate(a, pair.task, pair.unit);
			*cell = a->maximize ? -pair.benefit : pair.benefit;
		}
		PairsFreeChunk(p, c);
	}
	p->nchunks = 0;
	return matrix;
}

/* The arrays of a sparse problem, without its pairs. */
static void
BeginProblem(Assignment *a, int64 npairs)
{
	SolveProblem *s = &a->problem;
	int			extra = a->optional ? 1 : 0;

	npairs += a->optional ? a->pairs.tasks.n : 0;
	if (npairs > SOLVE_MAX_PAIRS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an assignment has at most %d pairs", SOLVE_MAX_PAIRS)));
	s->ntasks = a->pairs.tasks.n;
	s->nunits = a->pairs.units.n + extra;
	s->start = SolveAlloc(&a->control, s->ntasks + 1, sizeof(int32));
	s->unit = SolveAlloc(&a->control, npairs, sizeof(int32));
	s->cost = SolveAlloc(&a->control, npairs, sizeof(double));
	if (a->pairs.has_load)
		s->load = SolveAlloc(&a->control, npairs, sizeof(double));
	a->out_unit = a->optional ? s->nunits - 1 : -1;
}

typedef struct Candidate
{
	int32		unit;
	double		cost;
	double		load;
} Candidate;

#define ST_SORT			SortCandidates
#define ST_ELEMENT_TYPE	Candidate
#define ST_COMPARE(a, b) ((a)->unit < (b)->unit ? -1 : (a)->unit > (b)->unit)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Each task's pairs in the order of the units; a pair that is there twice is an error. */
static void
SortPairs(Assignment *a)
{
	SolveProblem *s = &a->problem;
	int32		most = 0;
	Candidate  *list;

	for (int i = 0; i < s->ntasks; i++)
		most = Max(most, s->start[i + 1] - s->start[i]);
	list = SolveAlloc(&a->control, most, sizeof(Candidate));
	for (int i = 0; i < s->ntasks; i++)
	{
		int32		from = s->start[i];
		int			n = s->start[i + 1] - from;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < n; k++)
			list[k] = (Candidate)
		{
			s->unit[from + k], s->cost[from + k], s->load ? s->load[from + k] : 0
		};
		SortCandidates(list, n);
		for (int k = 0; k < n; k++)
		{
			if (k > 0 && list[k].unit == list[k - 1].unit)
				Duplicate(a, a->task_at[i], a->unit_at[list[k].unit]);
			s->unit[from + k] = list[k].unit;
			s->cost[from + k] = list[k].cost;
			if (s->load)
				s->load[from + k] = list[k].load;
		}
	}
	pfree(list);
	SolveRelease(&a->control, Max(most, 1) * sizeof(Candidate));
}

/* The pairs as lists of their tasks. Frees the pairs. */
static void
Lists(Assignment *a)
{
	Pairs	   *p = &a->pairs;
	SolveProblem *s = &a->problem;
	int32	   *fill;
	int32		at = 0;

	BeginProblem(a, p->n);
	fill = SolveAlloc(&a->control, s->ntasks, sizeof(int32));
	for (int64 k = 0; k < p->n; k++)
		fill[a->task_place[PAIR(p, k).task]]++;
	for (int i = 0; i < s->ntasks; i++)
	{
		s->start[i] = at;
		at += fill[i] + (a->optional ? 1 : 0);
		fill[i] = s->start[i];
	}
	s->start[s->ntasks] = at;
	for (int c = 0; c < p->nchunks; c++)
	{
		int			len = Min(PAIRS_CHUNK, p->n - (int64) c * PAIRS_CHUNK);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < len; k++)
		{
			Pair		pair = p->chunk[c][k];
			int32		e = fill[a->task_place[pair.task]]++;

			s->unit[e] = a->unit_place[pair.unit];
			s->cost[e] = a->maximize ? 0 - pair.benefit : pair.benefit;
			if (s->load)
				s->load[e] = p->load[c][k];
		}
		PairsFreeChunk(p, c);
	}
	p->nchunks = 0;
	if (a->optional)
		for (int i = 0; i < s->ntasks; i++)
			s->unit[fill[i]] = a->out_unit;
	pfree(fill);
	SolveRelease(&a->control, Max(s->ntasks, 1) * sizeof(int32));
	SortPairs(a);
}

/* The lists from a matrix, which goes. */
static void
ListsOfMatrix(Assignment *a, bool turned)
{
	SolveProblem *s = &a->problem;
	size_t		n = a->pairs.tasks.n;
	size_t		m = a->pairs.units.n;
	int32		e = 0;

	BeginProblem(a, a->npairs);
	for (size_t i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		s->start[i] = e;
		for (size_t j = 0; j < m; j++)
		{
			double		cost = turned ? a->matrix[j * n + i] : a->matrix[i * m + j];

			if (cost == INFINITY)
				continue;
			s->unit[e] = j;
			s->cost[e++] = cost;
		}
	}
	s->start[n] = e;
	pfree(a->matrix);
	a->matrix = NULL;
	SolveRelease(&a->control, n * m * sizeof(double));
}

/* A full matrix, one to one. False where it is not that, or not all can be assigned. */
static bool
TryMatrix(Assignment *a)
{
	size_t		n = a->pairs.tasks.n;
	size_t		m = a->pairs.units.n;
	bool		turned = n > m;
	int32	   *column;

	if (a->pairs.capacity != NULL || a->optional || a->npairs < DENSE_SHARE * n * m || a->npairs == 0)
		return false;
	a->matrix = Matrix(a, turned);
	SolveTell(&a->control, "the matrix is built");
	column = SolveAlloc(&a->control, Min(n, m), sizeof(int32));
	if (!SolveLap(&a->control, Min(n, m), Max(n, m), a->matrix, column))
	{
		pfree(column);
		SolveRelease(&a->control, Min(n, m) * sizeof(int32));
		ListsOfMatrix(a, turned);
		return false;
	}
	a->method = "shortest augmenting paths";
	if (!turned)
	{
		a->column_of = column;
		return true;
	}
	a->column_of = SolveAlloc(&a->control, n, sizeof(int32));
	for (size_t i = 0; i < n; i++)
		a->column_of[i] = -1;
	for (size_t j = 0; j < m; j++)
		a->column_of[column[j]] = j;
	a->crowded = SolveAlloc(&a->control, m, sizeof(bool));
	memset(a->crowded, true, m);
	return true;
}

/* The load that all tasks have in a unit, or NAN where they differ. */
static double *
OneLoad(Assignment *a)
{
	SolveProblem *s = &a->problem;
	double	   *load = SolveAlloc(&a->control, s->nunits, sizeof(double));

	for (int j = 0; j < s->nunits; j++)
		load[j] = -1;
	for (int32 e = 0; e < s->start[s->ntasks]; e++)
	{
		int32		j = s->unit[e];

		if (load[j] == -1)
			load[j] = s->load[e];
		else if (load[j] != s->load[e])
			load[j] = NAN;
	}
	return load;
}

/* Capacities as numbers of places, or as room for loads if loads differ within a unit; false is the latter. */
static bool
Capacities(Assignment *a)
{
	SolveProblem *s = &a->problem;
	Pairs	   *p = &a->pairs;
	double	   *load = s->load ? OneLoad(a) : NULL;
	bool		places = true;

	for (int j = 0; j < s->nunits && load != NULL; j++)
		places &= !isnan(load[j]);
	if (places)
		s->capacity = SolveAlloc(&a->control, s->nunits, sizeof(int32));
	else
		s->room = SolveAlloc(&a->control, s->nunits, sizeof(double));
	for (int j = 0; j < s->nunits; j++)
	{
		double		room = 1;

		if (j == a->out_unit)
			room = INFINITY;
		else if (p->capacity != NULL)
			room = p->capacity[a->unit_at[j]];
		if (!places)
			s->room[j] = room * (1 + ROUNDING);
		else
		{
			if (load != NULL && j != a->out_unit && load[j] >= 0)
				room = load[j] == 0 ? INFINITY : room / load[j] * (1 + ROUNDING);
			s->capacity[j] = Min(floor(room), s->ntasks);
		}
	}
	return places;
}

/* Where task i of the solver's order is: unit and cost; false if it has none. */
static bool
Place(const Assignment *a, int i, int32 *unit, double *cost)
{
	if (a->column_of != NULL)
	{
		size_t		n = a->pairs.tasks.n;
		size_t		m = a->pairs.units.n;

		*unit = a->column_of[i];
		if (*unit >= 0)
			*cost = n > m ? a->matrix[*unit * n + i] : a->matrix[i * m + *unit];
		return *unit >= 0;
	}
	if (a->pair_of[i] < 0)
		return false;
	*unit = a->problem.unit[a->pair_of[i]];
	*cost = a->problem.cost[a->pair_of[i]];
	return *unit != a->out_unit;
}

/* Read, solve and sum up. */
static Assignment *
Assign(FunctionCallInfo fcinfo)
{
	Assignment *a = palloc0(sizeof(Assignment));
	static const char *const names[] = {"query", "capacity_query", "maximize", "optional", "seed"};
	SolveProblem *s = &a->problem;
	uint64		seed;
	double		lost = 0;		/* of the sum, to rounding */
	double		low = 0;

	for (int k = 0; k < 5; k++)
		if (PG_ARGISNULL(k) && k != 1)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s is NULL", names[k]),
					 errhint("Only capacity_query may be.")));
	SolveBegin(&a->control, (size_t) solver_memory * 1024);
	a->maximize = PG_GETARG_BOOL(2);
	a->optional = PG_GETARG_BOOL(3);
	seed = hash_bytes_uint32_extended(PG_GETARG_INT32(4), 0);
	a->out_unit = -1;
	PairsRead(&a->pairs, &a->control, text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	SolveTell(&a->control, "the queries are read");
	a->npairs = a->pairs.n;
	a->task_place = KeysShuffle(&a->pairs.tasks, &a->control, seed);
	a->unit_place = KeysShuffle(&a->pairs.units, &a->control, seed);
	a->task_at = Back(a, a->task_place, a->pairs.tasks.n);
	a->unit_at = Back(a, a->unit_place, a->pairs.units.n);

	a->proven = true;
	if (!TryMatrix(a))
	{
		if (s->start == NULL)
			Lists(a);
		SolveTell(&a->control, "the lists are built");
		a->pair_of = SolveAlloc(&a->control, s->ntasks, sizeof(int32));
		if (Capacities(a))
		{
			a->method = a->pairs.capacity == NULL ? "shortest augmenting paths" : "min-cost flow";
			a->crowded = SolveAlloc(&a->control, s->nunits, sizeof(bool));
			SolveFlow(&a->control, s, a->pair_of, a->crowded);
		}
		else
		{
			a->method = "lagrangian relaxation";
			a->proven = false;
			low = SolveGap(&a->control, s, seed, GOOD_ENOUGH, a->pair_of);
		}
	}
	SolveTell(&a->control, "it is solved");
	for (int i = 0; i < a->pairs.tasks.n; i++)
	{
		int32		unit;
		double		cost;
		double		sum;

		if (!Place(a, i, &unit, &cost))
			continue;
		a->assigned++;
		sum = a->objective + cost;
		lost += fabs(a->objective) >= fabs(cost) ? (a->objective - sum) + cost : (cost - sum) + a->objective;
		a->objective = sum;
	}
	a->objective += lost;
	a->bound = a->proven ? a->objective : Min(low, a->objective);
	if (a->maximize)
	{
		a->objective = 0 - a->objective;
		a->bound = 0 - a->bound;
	}
	return a;
}

/* How far from the optimum the whole may be, at most, of the greater of the two. */
static double
Gap(const Assignment *a)
{
	double		most = Max(fabs(a->objective), fabs(a->bound));

	return a->bound == a->objective ? 0 : fabs(a->bound - a->objective) / most;
}

/* The parts of crowded units that compete for one another's tasks, as a forest. */
static int32
Root(int32 *parent, int32 j)
{
	while (parent[j] != j)
		j = parent[j] = parent[parent[j]];
	return j;
}

/* A sentence for each crowded part, by its root. */
static char **
CrowdedParts(Assignment *a, int32 *parent)
{
	int			n = a->pairs.units.n;
	SolveProblem *s = &a->problem;
	int64	   *tasks = palloc0(n * sizeof(int64));
	int64	   *places = palloc0(n * sizeof(int64));
	int		   *units = palloc0(n * sizeof(int));
	StringInfoData *names = palloc0(n * sizeof(StringInfoData));
	char	  **sentence = palloc0(n * sizeof(char *));

	for (int j = 0; j < n; j++)
		parent[j] = j;
	for (int i = 0; i < a->pairs.tasks.n; i++)
	{
		int32		unit;
		double		cost;
		int32		first = -1;

		if (Place(a, i, &unit, &cost) ? !a->crowded[unit] : false)
			continue;
		if (a->column_of != NULL)
		{
			/* a full matrix with more tasks than units is one part */
			for (int j = 1; j < n && i == 0; j++)
				parent[j] = 0;
			tasks[0]++;
			continue;
		}
		for (int32 e = s->start[i]; e < s->start[i + 1]; e++)
			if (a->crowded[s->unit[e]] && s->capacity[s->unit[e]] > 0)
			{
				if (first < 0)
					first = Root(parent, s->unit[e]);
				else
					parent[Root(parent, s->unit[e])] = first;
			}
	}
	for (int i = 0; i < a->pairs.tasks.n && a->column_of == NULL; i++)
	{
		int32		unit;
		double		cost;

		if (Place(a, i, &unit, &cost) && !a->crowded[unit])
			continue;
		for (int32 e = s->start[i]; e < s->start[i + 1]; e++)
			if (a->crowded[s->unit[e]] && s->capacity[s->unit[e]] > 0)
			{
				tasks[Root(parent, s->unit[e])]++;
				break;
			}
	}
	for (int j = 0; j < n; j++)
	{
		int32		r;

		if (!a->crowded[j] || (s->capacity != NULL && s->capacity[j] == 0))
			continue;
		r = Root(parent, j);
		places[r] += s->capacity != NULL ? s->capacity[j] : 1;
		if (units[r]++ == 0)
			initStringInfo(&names[r]);
		if (units[r] <= UNITS_NAMED)
			appendStringInfo(&names[r], "%s%s", units[r] > 1 ? ", " : "", KeyText(&a->pairs.units, a->unit_at[j]));
	}
	for (int j = 0; j < n; j++)
		if (units[j] > 0)
			sentence[j] = psprintf("its units are full: " INT64_FORMAT " tasks compete for " INT64_FORMAT " place%s in %d unit%s (%s%s)",
								   tasks[j], places[j], places[j] == 1 ? "" : "s", units[j], units[j] == 1 ? "" : "s", names[j].data,
								   units[j] > UNITS_NAMED ? ", ..." : "");
	pfree(tasks);
	pfree(places);
	pfree(units);
	pfree(names);
	return sentence;
}

/* Why task i has no unit. */
static const char *
Reason(const Assignment *a, int i, int32 *parent, char **sentence)
{
	const SolveProblem *s = &a->problem;
	int			candidates = 0;
	int			able = 0;
	int32		last = 0;

	if (a->column_of != NULL)
		return sentence[Root(parent, 0)];
	if (a->pair_of[i] >= 0)
		return "no unit would better the total";
	for (int32 e = s->start[i]; e < s->start[i + 1]; e++)
	{
		candidates++;
		if (s->capacity ? s->capacity[s->unit[e]] > 0 : s->load[e] <= s->room[s->unit[e]])
		{
			able++;
			last = s->unit[e];
		}
	}
	if (candidates == 0)
		return "no unit is possible";
	if (able == 0)
		return s->load ? "its load is above the capacity of every unit that is possible" : "every unit that is possible has the capacity 0";
	return sentence != NULL ? sentence[Root(parent, last)] : "no room was found for it in the units that are possible";
}

Datum
revops_optimal_assignment(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "revops assignment", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row;
	MemoryContext old;
	Assignment *a;
	int32	   *parent = NULL;
	char	  **sentence = NULL;

	InitMaterializedSRF(fcinfo, 0);
	old = MemoryContextSwitchTo(work);
	a = Assign(fcinfo);
	if (a->assigned < a->pairs.tasks.n && a->crowded != NULL)
	{
		parent = SolveAlloc(&a->control, a->pairs.units.n, sizeof(int32));
		sentence = CrowdedParts(a, parent);
	}
	row = AllocSetContextCreate(work, "revops assignment row", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(row);
	for (int k = 0; k < a->pairs.tasks.n; k++)
	{
		int			i = a->task_place[k];
		int32		unit;
		double		cost;
		Datum		values[5] = {0};
		bool		nulls[5] = {false, true, true, true, false};

		if (k % 256 == 0)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(row);
		}
		values[0] = CStringGetTextDatum(KeyText(&a->pairs.tasks, k));
		if (Place(a, i, &unit, &cost))
		{
			values[1] = CStringGetTextDatum(KeyText(&a->pairs.units, a->unit_at[unit]));
			values[2] = Float8GetDatum(a->maximize ? 0 - cost : cost);
			nulls[1] = nulls[2] = false;
		}
		else
		{
			values[3] = CStringGetTextDatum(Reason(a, i, parent, sentence));
			nulls[3] = false;
		}
		values[4] = Float8GetDatum(Gap(a));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return (Datum) 0;
}

Datum
revops_assignment_report(PG_FUNCTION_ARGS)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "revops assignment", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	Assignment *a = Assign(fcinfo);
	Datum		values[10];
	bool		nulls[10] = {false};
	TupleDesc	desc;

	MemoryContextSwitchTo(old);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(a->method);
	values[1] = Int64GetDatum(a->pairs.tasks.n);
	values[2] = Int64GetDatum(a->pairs.units.n);
	values[3] = Int64GetDatum(a->npairs);
	values[4] = Int64GetDatum(a->assigned);
	values[5] = Int64GetDatum(a->pairs.tasks.n - a->assigned);
	values[6] = Float8GetDatum(a->objective);
	values[7] = Float8GetDatum(a->bound);
	values[8] = Float8GetDatum(Gap(a));
	values[9] = Int64GetDatum(a->control.peak);
	MemoryContextDelete(work);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

void
AssignInit(void)
{
	DefineCustomIntVariable("revops.solver_memory",
							"The most memory that one assignment may take.",
							"An assignment that needs more ends with an error that says so.",
							&solver_memory, SOLVE_DEFAULT_MEMORY, SOLVE_MIN_MEMORY, SOLVE_MAX_MEMORY,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
}
