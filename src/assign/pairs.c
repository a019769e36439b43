/*
 * pairs.c
 *	  The queries of an assignment: their rows go from the executor into chunks of pairs, without a copy between.
 *
 * Rows come in any order. Keys get numbers; a row's keys are mostly the ones that followed the row before the last time (sorted input, or a
 * full matrix), so that is tried before the hash table. Whole numbers are compared as such, text by its bytes, all else by its text.
 * A row may give all candidates of a task at once: unit, benefit and load are then arrays of the same length.
 */
#include "assign/pairs.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define FIRST_KEYS	1024
#define KEY_SHOWN	64			/* bytes of a key in a message */

/* A column of the query: where it is, and how its values are read. */
typedef struct Column
{
	int			at;				/* 0: there is none */
	Oid			type;			/* of its elements, if they are arrays */
	bool		array;
	int16		len;
	bool		byval;
	char		align;
	FmgrInfo	out;
	const char *name;
} Column;

typedef struct Receiver
{
	DestReceiver pub;
	Pairs	   *pairs;
	MemoryContext keep;
	MemoryContext row;
	bool		capacities;		/* which of the two queries */
	bool		started;
	Column		task;
	Column		unit;
	Column		benefit;
	Column		load;
	int64		rows;
	/* arrays: the units of the last row, often those of the next */
	ArrayType  *last;
	size_t		last_size;
	uint32	   *ids;
	int			nids;
	int			ids_size;
} Receiver;

/* An array that may have to be longer; it is there twice for a moment. */
static void *
Longer(SolveControl *control, MemoryContext context, void *array, size_t width, size_t from, size_t to)
{
	SolveCharge(control, to * width);
	if (array == NULL)
		return MemoryContextAllocHuge(context, to * width);
	array = repalloc_huge(array, to * width);
	SolveRelease(control, from * width);
	return array;
}

static void
KeysBegin(Keys *keys, SolveControl *control, const char *what)
{
	memset(keys, 0, sizeof(Keys));
	keys->what = what;
	keys->context = CurrentMemoryContext;
	keys->mask = FIRST_KEYS * 2 - 1;
	keys->slot = SolveAlloc(control, keys->mask + 1, sizeof(uint32));
	keys->last = PG_UINT32_MAX;
}

char *
KeyText(const Keys *keys, uint32 n)
{
	if (keys->whole)
		return psprintf(INT64_FORMAT, keys->number[n]);
	return pnstrdup(keys->bytes + keys->at[n], keys->at[n + 1] - keys->at[n]);
}

/* A key as it is shown in an error. */
static char *
KeyShown(const Keys *keys, uint32 n)
{
	char	   *s = KeyText(keys, n);
	int			len = strlen(s);

	return len <= KEY_SHOWN ? s : psprintf("%.*s...", pg_mbcliplen(s, len, KEY_SHOWN), s);
}

static inline uint64
HashNumber(int64 key)
{
	uint64		h = (uint64) key * UINT64CONST(0x9E3779B97F4A7C15);

	return h ^ (h >> 32);
}

static inline bool
KeyIs(const Keys *keys, uint32 n, int64 number, const char *bytes, size_t len)
{
	if (keys->whole)
		return keys->number[n] == number;
	return keys->at[n + 1] - keys->at[n] == len && memcmp(keys->bytes + keys->at[n], bytes, len) == 0;
}

/* Twice the room for keys, and the table of their places anew. */
static void
KeysGrow(Keys *keys, SolveControl *control)
{
	int			size = keys->size == 0 ? FIRST_KEYS : keys->size * 2;

	if (keys->whole)
		keys->number = Longer(control, keys->context, keys->number, sizeof(int64), keys->size, size);
	else
	{
		keys->at = Longer(control, keys->context, keys->at, sizeof(size_t), keys->size == 0 ? 0 : keys->size + 1, size + 1);
		keys->at[keys->n] = keys->nbytes;
	}
	keys->next = Longer(control, keys->context, keys->next, sizeof(uint32), keys->size, size);
	keys->size = size;
	if (size * 2 - 1 == keys->mask)
		return;
	pfree(keys->slot);
	SolveRelease(control, ((size_t) keys->mask + 1) * sizeof(uint32));
	keys->mask = size * 2 - 1;
	SolveCharge(control, ((size_t) keys->mask + 1) * sizeof(uint32));
	keys->slot = MemoryContextAllocExtended(keys->context, ((size_t) keys->mask + 1) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int n = 0; n < keys->n; n++)
	{
		uint64		h = keys->whole ? HashNumber(keys->number[n]) :
			hash_bytes_extended((const unsigned char *) keys->bytes + keys->at[n], keys->at[n + 1] - keys->at[n], 0);
		uint32		s = h & keys->mask;

		while (keys->slot[s] != 0)
			s = (s + 1) & keys->mask;
		keys->slot[s] = n + 1;
	}
}

/* The number of a key, a new one if need be. */
static uint32
KeyNumber(Keys *keys, SolveControl *control, int64 number, const char *bytes, size_t len)
{
	uint32		n;
	uint32		s;

	if (keys->last != PG_UINT32_MAX)
	{
		n = keys->next[keys->last];
		if (KeyIs(keys, n, number, bytes, len))
			return keys->last = n;
		if (KeyIs(keys, keys->last, number, bytes, len))
			return keys->last;
	}
	s = (keys->whole ? HashNumber(number) : hash_bytes_extended((const unsigned char *) bytes, len, 0)) & keys->mask;
	while ((n = keys->slot[s]) != 0 && !KeyIs(keys, n - 1, number, bytes, len))
		s = (s + 1) & keys->mask;
	if (n == 0)
	{
		if (keys->n == SOLVE_MAX_TASKS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("an assignment has at most %d %ss", SOLVE_MAX_TASKS, keys->what)));
		if (keys->n == keys->size)
		{
			KeysGrow(keys, control);
			return KeyNumber(keys, control, number, bytes, len);
		}
		if (keys->whole)
			keys->number[keys->n] = number;
		else
		{
			if (keys->nbytes + len > keys->bytes_size)
			{
				size_t		size = Max(keys->bytes_size * 2, keys->nbytes + len + 16 * FIRST_KEYS);

				keys->bytes = Longer(control, keys->context, keys->bytes, 1, keys->bytes_size, size);
				keys->bytes_size = size;
			}
			memcpy(keys->bytes + keys->nbytes, bytes, len);
			keys->nbytes += len;
			keys->at[keys->n + 1] = keys->nbytes;
		}
		keys->next[keys->n] = keys->n;
		keys->slot[s] = ++keys->n;
		n = keys->n;
	}
	if (keys->last != PG_UINT32_MAX)
		keys->next[keys->last] = n - 1;
	return keys->last = n - 1;
}

/* The number of a key that is given as a value of a column. */
static inline uint32
KeyOf(Receiver *r, Keys *keys, Column *column, Datum value)
{
	switch (column->type)
	{
		case INT4OID:
			return KeyNumber(keys, r->pairs->control, DatumGetInt32(value), NULL, 0);
		case INT8OID:
			return KeyNumber(keys, r->pairs->control, DatumGetInt64(value), NULL, 0);
		case INT2OID:
			return KeyNumber(keys, r->pairs->control, DatumGetInt16(value), NULL, 0);
		case TEXTOID:
		case VARCHAROID:
			{
				struct varlena *text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

				return KeyNumber(keys, r->pairs->control, 0, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
			}
		default:
			{
				char	   *text = OutputFunctionCall(&column->out, value);

				return KeyNumber(keys, r->pairs->control, 0, text, strlen(text));
			}
	}
}

static inline double
NumberOf(const Column *column, Datum value)
{
	switch (column->type)
	{
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		default:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
	}
}

pg_noreturn static void NoNumber(Receiver *r, const char *what, uint32 task, uint32 unit, const char *is, const char *hint);

static void
NoNumber(Receiver *r, const char *what, uint32 task, uint32 unit, const char *is, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the %s of task \"%s\" in unit \"%s\" is %s", what, KeyShown(&r->pairs->tasks, task), KeyShown(&r->pairs->units, unit), is),
			 errhint("%s", hint)));
}

static const char *
BadNumber(double x)
{
	return isnan(x) ? "NaN" : isinf(x) ? "infinite" : "negative";
}

#define LEAVE_OUT	"Leave out pairs that are not possible."

static inline void
AddPair(Receiver *r, uint32 task, uint32 unit, double benefit, double load)
{
	Pairs	   *p = r->pairs;
	int64		k = p->n;

	if (!isfinite(benefit))
		NoNumber(r, "benefit", task, unit, BadNumber(benefit), LEAVE_OUT);
	if (p->has_load && !(load >= 0 && load < INFINITY))
		NoNumber(r, "load", task, unit, BadNumber(load), "A load is a number from 0 up.");
	if (k % PAIRS_CHUNK == 0)
	{
		if (k >= SOLVE_MAX_PAIRS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("an assignment has at most %d pairs", SOLVE_MAX_PAIRS)));
		CHECK_FOR_INTERRUPTS();
		SolveCharge(p->control, PAIRS_CHUNK * sizeof(Pair));
		p->chunk[p->nchunks] = MemoryContextAllocHuge(r->keep, PAIRS_CHUNK * sizeof(Pair));
		if (p->has_load)
		{
			SolveCharge(p->control, PAIRS_CHUNK * sizeof(double));
			p->load[p->nchunks] = MemoryContextAllocHuge(r->keep, PAIRS_CHUNK * sizeof(double));
		}
		p->nchunks++;
	}
	PAIR(p, k) = (Pair)
	{
		task, unit, benefit
	};
	if (p->has_load)
		PAIR_LOAD(p, k) = load;
	p->n++;
}

void
PairsFreeChunk(Pairs *pairs, int chunk)
{
	pfree(pairs->chunk[chunk]);
	SolveRelease(pairs->control, PAIRS_CHUNK * sizeof(Pair));
	if (pairs->has_load)
	{
		pfree(pairs->load[chunk]);
		SolveRelease(pairs->control, PAIRS_CHUNK * sizeof(double));
	}
}

/* The elements of an array of numbers, without NULLs. */
static double *
ArrayNumbers(const Column *column, ArrayType *a, int n)
{
	double	   *x = palloc(Max(n, 1) * sizeof(double));
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (!ARR_HASNULL(a) && column->type == FLOAT8OID)
		memcpy(x, ARR_DATA_PTR(a), n * sizeof(double));
	else if (!ARR_HASNULL(a) && column->type == INT4OID)
	{
		const int32 *from = (const int32 *) ARR_DATA_PTR(a);

		for (int k = 0; k < n; k++)
			x[k] = from[k];
	}
	else
	{
		deconstruct_array(a, column->type, column->len, column->byval, column->align, &values, &nulls, &count);
		for (int k = 0; k < n; k++)
		{
			if (nulls[k])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("an array in the column \"%s\" has a NULL", column->name),
						 errhint(LEAVE_OUT)));
			x[k] = NumberOf(column, values[k]);
		}
	}
	return x;
}

/* A row with all candidates of a task. */
static void
ReceiveArrays(Receiver *r, uint32 task, Datum unit, Datum benefit, Datum load)
{
	Pairs	   *p = r->pairs;
	ArrayType  *units = DatumGetArrayTypeP(unit);
	ArrayType  *benefits = DatumGetArrayTypeP(benefit);
	ArrayType  *loads = p->has_load ? DatumGetArrayTypeP(load) : NULL;
	int			n = ArrayGetNItems(ARR_NDIM(units), ARR_DIMS(units));
	double	   *x;
	double	   *y = NULL;

	if (ARR_NDIM(units) > 1 || ArrayGetNItems(ARR_NDIM(benefits), ARR_DIMS(benefits)) != n ||
		(loads != NULL && ArrayGetNItems(ARR_NDIM(loads), ARR_DIMS(loads)) != n))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of task \"%s\" are not of one length", KeyShown(&p->tasks, task)),
				 errhint("Each unit has one benefit, and one load if there are any.")));
	if (r->last == NULL || VARSIZE(units) != r->last_size || memcmp(units, r->last, r->last_size) != 0)
	{
		Datum	   *values;
		bool	   *nulls;
		int			count;

		deconstruct_array(units, r->unit.type, r->unit.len, r->unit.byval, r->unit.align, &values, &nulls, &count);
		if (n > r->ids_size)
		{
			r->ids = Longer(p->control, r->keep, r->ids, sizeof(uint32), r->ids_size, n);
			r->ids_size = n;
		}
		if (r->last != NULL)
			pfree(r->last);
		SolveRelease(p->control, r->last_size);
		r->last = NULL;
		r->last_size = 0;
		for (int k = 0; k < n; k++)
		{
			if (nulls[k])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("an array of units of task \"%s\" has a NULL", KeyShown(&p->tasks, task)),
						 errhint(LEAVE_OUT)));
			r->ids[k] = KeyOf(r, &p->units, &r->unit, values[k]);
		}
		SolveCharge(p->control, VARSIZE(units));
		r->last_size = VARSIZE(units);
		r->last = MemoryContextAllocHuge(r->keep, r->last_size);
		memcpy(r->last, units, r->last_size);
	}
	x = ArrayNumbers(&r->benefit, benefits, n);
	if (loads != NULL)
		y = ArrayNumbers(&r->load, loads, n);
	for (int k = 0; k < n; k++)
		AddPair(r, task, r->ids[k], x[k], y ? y[k] : 0);
}

pg_noreturn static void NullIn(const char *column, const char *hint);

static void
NullIn(const char *column, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("the query gives a row with a NULL in the column \"%s\"", column),
			 errhint("%s", hint)));
}

static void
ReceiveCapacity(Receiver *r, TupleTableSlot *slot)
{
	Pairs	   *p = r->pairs;
	int			before = p->units.n;
	int			size = p->units.size;
	uint32		unit;
	double		capacity;

	if (slot->tts_isnull[r->unit.at - 1])
		NullIn("unit", "Each row of the query of capacities names a unit.");
	if (slot->tts_isnull[r->benefit.at - 1])
		NullIn("capacity", "A unit that can take nothing has the capacity 0.");
	unit = KeyOf(r, &p->units, &r->unit, slot->tts_values[r->unit.at - 1]);
	capacity = NumberOf(&r->benefit, slot->tts_values[r->benefit.at - 1]);
	if (p->units.size != size || p->capacity == NULL)
		p->capacity = Longer(p->control, r->keep, p->capacity, sizeof(double), p->capacity ? size : 0, p->units.size);
	if (unit == before)
		p->capacity[unit] = NAN;
	if (!(capacity >= 0 && capacity < INFINITY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the capacity of unit \"%s\" is %s", KeyShown(&p->units, unit), BadNumber(capacity)),
				 errhint("A capacity is a number from 0 up.")));
	if (!isnan(p->capacity[unit]))
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("unit \"%s\" has two capacities", KeyShown(&p->units, unit)),
				 errhint("The query of capacities gives one row for each unit.")));
	p->capacity[unit] = capacity;
}

static bool
Receive(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *r = (Receiver *) self;
	Pairs	   *p = r->pairs;
	MemoryContext old = MemoryContextSwitchTo(r->row);
	uint32		task;

	slot_getallattrs(slot);
	r->rows++;
	if (r->capacities)
	{
		ReceiveCapacity(r, slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(r->row);
		return true;
	}
	if (slot->tts_isnull[r->task.at - 1])
		NullIn("task", "Each row names a task.");
	task = KeyOf(r, &p->tasks, &r->task, slot->tts_values[r->task.at - 1]);
	if (!slot->tts_isnull[r->unit.at - 1])
	{
		Datum		unit = slot->tts_values[r->unit.at - 1];

		if (slot->tts_isnull[r->benefit.at - 1])
			NullIn("benefit", LEAVE_OUT " A task without candidates has one row, with the unit NULL.");
		if (p->has_load && slot->tts_isnull[r->load.at - 1])
			NullIn("load", "A pair without a load has the load 0.");
		if (r->unit.array)
			ReceiveArrays(r, task, unit, slot->tts_values[r->benefit.at - 1], p->has_load ? slot->tts_values[r->load.at - 1] : (Datum) 0);
		else
			AddPair(r, task, KeyOf(r, &p->units, &r->unit, unit), NumberOf(&r->benefit, slot->tts_values[r->benefit.at - 1]),
					p->has_load ? NumberOf(&r->load, slot->tts_values[r->load.at - 1]) : 0);
	}
	MemoryContextSwitchTo(old);
	if (!MemoryContextIsEmpty(r->row))
		MemoryContextReset(r->row);
	return true;
}

/* Find a column by its name. */
static bool
FindColumn(Column *c, TupleDesc desc, const char *name, bool number, bool needed, const char *hint)
{
	Oid			element;
	Oid			out;
	bool		varlena;

	memset(c, 0, sizeof(Column));
	c->name = name;
	c->at = Max(SPI_fnumber(desc, name), 0);
	if (c->at == 0)
	{
		if (needed)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("the query gives no column \"%s\"", name),
					 errhint("%s", hint)));
		return false;
	}
	c->type = getBaseType(SPI_gettypeid(desc, c->at));
	element = get_element_type(c->type);
	if (OidIsValid(element) && strcmp(name, "task") != 0)
	{
		c->array = true;
		c->type = getBaseType(element);
	}
	if (number && c->type != FLOAT8OID && c->type != FLOAT4OID && c->type != INT2OID && c->type != INT4OID && c->type != INT8OID && c->type != NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the column \"%s\" is of the type %s, which is no number", name, format_type_be(c->type)),
				 errhint("Cast it to float8, numeric or a whole number.")));
	get_typlenbyvalalign(c->type, &c->len, &c->byval, &c->align);
	getTypeOutputInfo(c->type, &out, &varlena);
	fmgr_info(out, &c->out);
	return true;
}

/* What a column of keys holds is settled by the first query that has it. */
static void
SetKind(Keys *keys, const Column *c)
{
	bool		whole = c->type == INT2OID || c->type == INT4OID || c->type == INT8OID;

	if (keys->known && keys->whole != whole)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the units are whole numbers in one query and not in the other"),
				 errhint("Cast the column \"unit\" in one of them.")));
	keys->known = true;
	keys->whole = whole;
}

static void
Startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Receiver   *r = (Receiver *) self;
	Pairs	   *p = r->pairs;
	MemoryContext old = MemoryContextSwitchTo(r->keep);

	if (r->started)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query is more than one")));
	r->started = true;
	if (r->capacities)
	{
		static const char hint[] = "The query of capacities has the form SELECT ... AS unit, ... AS capacity FROM ...";

		FindColumn(&r->unit, desc, "unit", false, true, hint);
		FindColumn(&r->benefit, desc, "capacity", true, true, hint);
		if (r->unit.array || r->benefit.array)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the query of capacities gives arrays"),
					 errhint("It gives one row for each unit.")));
	}
	else
	{
		static const char hint[] = "The query has the form SELECT ... AS task, ... AS unit, ... AS benefit [, ... AS load] FROM ...";

		FindColumn(&r->task, desc, "task", false, true, hint);
		FindColumn(&r->unit, desc, "unit", false, true, hint);
		FindColumn(&r->benefit, desc, "benefit", true, true, hint);
		p->has_load = FindColumn(&r->load, desc, "load", true, false, hint);
		if (r->benefit.array != r->unit.array || (p->has_load && r->load.array != r->unit.array))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("of the columns unit, benefit and load, some are arrays and some are not"),
					 errhint("Either each row is one pair, or all three are arrays.")));
		SetKind(&p->tasks, &r->task);
	}
	SetKind(&p->units, &r->unit);
	MemoryContextSwitchTo(old);
}

static void
Shutdown(DestReceiver *self)
{
}

/* One of the two queries, as the caller and read-only. */
static void
Run(Pairs *pairs, const char *query, bool capacities)
{
	Receiver	r = {.pub = {.receiveSlot = Receive, .rStartup = Startup, .rShutdown = Shutdown, .rDestroy = Shutdown, .mydest = DestNone}};
	SPIExecuteOptions options = {.read_only = true, .must_return_tuples = true, .dest = &r.pub};
	int			rc;

	r.pairs = pairs;
	r.keep = CurrentMemoryContext;
	r.capacities = capacities;
	r.row = AllocSetContextCreate(CurrentMemoryContext, "revops assignment row", ALLOCSET_DEFAULT_SIZES);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	rc = SPI_execute_extended(query, &options);
	if (rc < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a query that gives rows", capacities ? "capacity_query" : "query")));
	SPI_finish();
	MemoryContextDelete(r.row);
	if (!r.started)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a query that gives rows", capacities ? "capacity_query" : "query")));
	if (r.last != NULL)
		pfree(r.last);
	if (r.ids != NULL)
		pfree(r.ids);
	SolveRelease(pairs->control, r.last_size + r.ids_size * sizeof(uint32));
}

void
PairsRead(Pairs *pairs, SolveControl *control, const char *query, const char *capacity_query)
{
	memset(pairs, 0, sizeof(Pairs));
	pairs->control = control;
	KeysBegin(&pairs->tasks, control, "task");
	KeysBegin(&pairs->units, control, "unit");
	pairs->chunk = SolveAlloc(control, SOLVE_MAX_PAIRS / PAIRS_CHUNK + 1, sizeof(Pair *));
	pairs->load = SolveAlloc(control, SOLVE_MAX_PAIRS / PAIRS_CHUNK + 1, sizeof(double *));
	Run(pairs, query, false);
	if (capacity_query != NULL)
	{
		pairs->capacity = Longer(control, CurrentMemoryContext, NULL, sizeof(double), 0, Max(pairs->units.size, 1));
		for (int j = 0; j < pairs->units.n; j++)
			pairs->capacity[j] = NAN;
		Run(pairs, capacity_query, true);
		for (int j = 0; j < pairs->units.n; j++)
			if (isnan(pairs->capacity[j]))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("unit \"%s\" has no capacity", KeyShown(&pairs->units, j)),
						 errhint("The query of capacities names every unit; one that can take nothing has the capacity 0.")));
	}
	else if (pairs->has_load)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are loads, and no capacities"),
				 errhint("Give a capacity_query: SELECT ... AS unit, ... AS capacity FROM ...")));
}

typedef struct Digest
{
	uint64		hash;
	uint32		n;
} Digest;

static const Keys *sorted_keys;

static int
DigestCmp(const void *a, const void *b)
{
	const Digest *x = a;
	const Digest *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	/* two keys of one digest, hardly ever: by their text */
	return strcmp(KeyText(sorted_keys, x->n), KeyText(sorted_keys, y->n));
}

int32 *
KeysShuffle(const Keys *keys, SolveControl *control, uint64 seed)
{
	int32	   *place = SolveAlloc(control, keys->n, sizeof(int32));
	Digest	   *list = SolveAlloc(control, keys->n, sizeof(Digest));

	for (int n = 0; n < keys->n; n++)
	{
		char		number[MAXINT8LEN + 1];
		const char *bytes = number;
		int			len;

		if (keys->whole)
			len = pg_lltoa(keys->number[n], number);
		else
		{
			bytes = keys->bytes + keys->at[n];
			len = keys->at[n + 1] - keys->at[n];
		}
		list[n].hash = hash_bytes_extended((const unsigned char *) bytes, len, seed);
		list[n].n = n;
	}
	sorted_keys = keys;
	qsort(list, keys->n, sizeof(Digest), DigestCmp);
	for (int k = 0; k < keys->n; k++)
		place[list[k].n] = k;
	pfree(list);
	SolveRelease(control, Max(keys->n, 1) * sizeof(Digest));
	return place;
}
