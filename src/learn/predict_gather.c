/*
 * predict_gather.c
 *	  The examples of a yes-or-no question, as columns; and the options of train() for the task 'predict'.
 *
 * Rows get a digest of their values, and are used in its order (or that of the time column), so that what is learned does not depend on
 * the order in which the query gives them. All that grows with the data is counted against revops.train_memory, before it is allocated.
 */
#include "learn/gather.h"
#include "learn/predict.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define FETCH_ROWS	500

typedef struct NameEntry
{
	char		key[LEARN_MAX_NAME + 1];
	uint32		id;
} NameEntry;

typedef struct NumberOption
{
	const char *name;
	double		min;
	double		max;
	bool		whole;
	double		from;			/* the default */
} NumberOption;

enum
{
	OPT_BINS, OPT_STRENGTH, OPT_INTERACTIONS, OPT_MAX_CATEGORIES, OPT_MIN_CATEGORY, OPT_MIN_GROUP, OPT_HELD_OUT, OPT_SEED, OPT_ROUNDS, OPT_DEPTH, OPT_RATE,
	OPT_COUNT
};

static const NumberOption numbers[OPT_COUNT] = {
	[OPT_BINS] = {"bins", 0, PREDICT_MAX_BINS, true, 0},
	[OPT_STRENGTH] = {"strength", 0, 1e9, false, 0},
	[OPT_INTERACTIONS] = {"interactions", 0, PREDICT_MAX_PAIRS, true, 10},
	[OPT_MAX_CATEGORIES] = {"max_categories", 1, PREDICT_MAX_CATEGORIES, true, 100},
	[OPT_MIN_CATEGORY] = {"min_category", 1, 1000000, true, 10},
	[OPT_MIN_GROUP] = {"min_group", 1, 1000000, true, 50},
	[OPT_HELD_OUT] = {"held_out", 0, 0.5, false, 0.2},
	[OPT_SEED] = {"seed", 0, 2147483647, true, 0},
	[OPT_ROUNDS] = {"rounds", 1, PREDICT_MAX_TREES, true, 500},
	[OPT_DEPTH] = {"depth", 1, 10, true, 5},
	[OPT_RATE] = {"rate", 0.001, 1, false, 0.05},
};

void
PredictCharge(RawTable *t, size_t bytes)
{
	t->used += bytes;
	if (t->used > (size_t) learn_train_memory * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("training needs more than revops.train_memory, which is %d MB", learn_train_memory / 1024),
				 errdetail("There were %d rows of %d columns by then.", t->n, t->ncolumns),
				 errhint("Raise revops.train_memory, or give fewer rows or columns.")));
}

pg_noreturn static void BadOption(const char *name, const char *expected);

static void
BadOption(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the option \"%s\" of revops.train() is not %s", name, expected)));
}

static void
ReadColumnName(char *to, const char *option, const JsonbValue *v)
{
	if (v->type != jbvString || v->val.string.len < 1 || v->val.string.len >= NAMEDATALEN)
		BadOption(option, "the name of a column");
	memcpy(to, v->val.string.val, v->val.string.len);
	to[v->val.string.len] = '\0';
}

void
PredictOptionsRead(PredictOptions *o, Datum jsonb)
{
	Jsonb	   *doc = DatumGetJsonbP(jsonb);
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	char	   *key = NULL;
	double		value[OPT_COUNT];

	memset(o, 0, sizeof(PredictOptions));
	for (int i = 0; i < OPT_COUNT; i++)
		value[i] = numbers[i].from;
	if (!JB_ROOT_IS_OBJECT(doc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the options of revops.train() are not a JSON object")));
	it = JsonbIteratorInit(&doc->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		int			number = -1;

		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		if (token != WJB_VALUE)
			continue;
		for (int i = 0; i < OPT_COUNT; i++)
			if (strcmp(numbers[i].name, key) == 0)
				number = i;
		if (number >= 0)
		{
			const NumberOption *n = &numbers[number];
			double		x = v.type == jbvNumeric ?
				DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v.val.numeric))) : NAN;

			if (!(x >= n->min && x <= n->max) || (n->whole && x != floor(x)))
				BadOption(key, psprintf("%s from %g to %g", n->whole ? "a whole number" : "a number", n->min, n->max));
			value[number] = x;
		}
		else if (strcmp(key, "time") == 0)
			ReadColumnName(o->time, key, &v);
		else if (strcmp(key, "group") == 0)
			ReadColumnName(o->group, key, &v);
		else if (strcmp(key, "trees") == 0)
		{
			if (v.type != jbvBool)
				BadOption(key, "true or false");
			o->trees = v.val.boolean;
		}
		else if (strcmp(key, "leak") == 0)
		{
			char	   *s = v.type == jbvString ? pnstrdup(v.val.string.val, v.val.string.len) : "";

			if (strcmp(s, "refuse") == 0)
				o->leak = LEAK_REFUSE;
			else if (strcmp(s, "drop") == 0)
				o->leak = LEAK_DROP;
			else if (strcmp(s, "allow") == 0)
				o->leak = LEAK_ALLOW;
			else
				BadOption(key, "\"refuse\", \"drop\" or \"allow\"");
		}
		else if (strcmp(key, "exclude") == 0)
		{
			JsonbIterator *list;
			JsonbValue	x;

			if (v.type != jbvBinary || !JsonContainerIsArray(v.val.binary.data) || JsonContainerIsScalar(v.val.binary.data) ||
				JsonContainerSize(v.val.binary.data) > PREDICT_MAX_COLUMNS)
				BadOption(key, "an array of names of columns");
			o->exclude = palloc((JsonContainerSize(v.val.binary.data) + 1) * sizeof(char *));
			list = JsonbIteratorInit(v.val.binary.data);
			while ((token = JsonbIteratorNext(&list, &x, true)) != WJB_DONE)
				if (token == WJB_ELEM)
				{
					if (x.type != jbvString)
						BadOption(key, "an array of names of columns");
					o->exclude[o->nexclude++] = pnstrdup(x.val.string.val, x.val.string.len);
				}
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("revops.train() has no option \"%s\" for the task 'predict'", key),
					 errhint("The options are time, group, exclude, trees, leak, bins, strength, interactions, max_categories, "
							 "min_category, min_group, held_out, seed, rounds, depth and rate.")));
	}
	o->bins = value[OPT_BINS];
	if (o->bins == 1)
		BadOption("bins", "0 or at least 2");
	o->strength = value[OPT_STRENGTH];
	o->interactions = value[OPT_INTERACTIONS];
	o->max_categories = value[OPT_MAX_CATEGORIES];
	o->min_category = value[OPT_MIN_CATEGORY];
	o->min_group = value[OPT_MIN_GROUP];
	o->held_out = value[OPT_HELD_OUT];
	o->seed = value[OPT_SEED];
	o->rounds = value[OPT_ROUNDS];
	o->depth = value[OPT_DEPTH];
	o->rate = value[OPT_RATE];
}

void
PredictQuery(const char *query, RowStart start, RowTake take, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row;
	SPIPlanPtr	plan;
	Portal		portal;
	Datum	   *values;
	bool	   *nulls;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query of examples is not one query that gives rows"),
				 errhint("It has the form SELECT ... AS label, column, column ... FROM ...")));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	MemoryContextSwitchTo(caller);
	start(arg, portal->tupDesc);
	values = palloc(portal->tupDesc->natts * sizeof(Datum));
	nulls = palloc(portal->tupDesc->natts * sizeof(bool));
	row = AllocSetContextCreate(CurrentMemoryContext, "revops example", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			CHECK_FOR_INTERRUPTS();
			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
			MemoryContextSwitchTo(row);
			take(arg, SPI_tuptable->tupdesc, values, nulls);
			MemoryContextReset(row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row);
}

/* What is known of the query's columns while rows are taken. */
typedef struct Taking
{
	RawTable   *t;
	const PredictOptions *options;
	const char *label_column;
	MemoryContext context;
	int			label_at;
	int			time_at;		/* -1: none */
	ValueReader label;
	ValueReader time;
	ValueReader *reader;		/* by attribute */
	int		   *first;			/* input of an attribute; -1: it does not count */
} Taking;

static void
AddInput(RawTable *t, int column, InputPart part, bool category)
{
	RawInput   *in;

	if (t->ninputs == PREDICT_MAX_INPUTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the columns give more than %d inputs", PREDICT_MAX_INPUTS)));
	in = &t->input[t->ninputs++];
	memset(in, 0, sizeof(RawInput));
	in->column = column;
	in->part = part;
	in->category = category;
	if (category)
	{
		HASHCTL		ctl = {.keysize = LEARN_MAX_NAME + 1, .entrysize = sizeof(NameEntry), .hcxt = CurrentMemoryContext};

		in->dictionary = hash_create("revops categories", 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
}

static void
TakeColumns(void *arg, TupleDesc desc)
{
	Taking	   *k = arg;
	RawTable   *t = k->t;
	const PredictOptions *o = k->options;

	k->label_at = LearnColumn(desc, k->label_column, "The argument \"label\" names the column of answers.") - 1;
	ValueReaderInit(&k->label, TupleDescAttr(desc, k->label_at)->atttypid, k->context);
	k->time_at = -1;
	if (o->time[0] != '\0')
	{
		k->time_at = LearnColumn(desc, o->time, "The option \"time\" names the column by whose order examples are held out.") - 1;
		ValueReaderInit(&k->time, TupleDescAttr(desc, k->time_at)->atttypid, k->context);
		if (k->time.kind == COLUMN_CATEGORY)
			BadOption("time", "a column of times or numbers");
	}
	if (o->group[0] != '\0' && LearnColumn(desc, o->group, "The option \"group\" names a column.") - 1 == k->label_at)
		BadOption("group", "another column than that of the answers");
	for (int i = 0; i < o->nexclude; i++)
		LearnColumn(desc, o->exclude[i], "The option \"exclude\" names columns that are not to count.");
	t->column = palloc0(desc->natts * sizeof(char *));
	t->kind = palloc0(desc->natts * sizeof(ColumnKind));
	t->input = palloc(PREDICT_MAX_INPUTS * sizeof(RawInput));
	k->reader = palloc0(desc->natts * sizeof(ValueReader));
	k->first = palloc(desc->natts * sizeof(int));
	for (int a = 0; a < desc->natts; a++)
	{
		const char *name = NameStr(TupleDescAttr(desc, a)->attname);
		ValueReader *r = &k->reader[a];
		bool		counts = a != k->label_at && a != k->time_at;

		for (int i = 0; i < o->nexclude; i++)
			counts = counts && strcmp(o->exclude[i], name) != 0;
		k->first[a] = -1;
		if (!counts)
			continue;
		if (t->ncolumns == PREDICT_MAX_COLUMNS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the query gives more than %d columns", PREDICT_MAX_COLUMNS)));
		for (int c = 0; c < t->ncolumns; c++)
			if (strcmp(t->column[c], name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the query gives two columns \"%s\"", name),
						 errhint("Columns are known by their names: give each its own with AS.")));
		ValueReaderInit(r, TupleDescAttr(desc, a)->atttypid, k->context);
		if (r->type == VALUE_NONE)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" has type %s, of which nothing is learned", name, format_type_be(TupleDescAttr(desc, a)->atttypid)),
					 errhint("Give numbers, booleans, texts, enums, dates or times; take what matters out of other types in the query.")));
		t->column[t->ncolumns] = pstrdup(name);
		t->kind[t->ncolumns] = r->kind;
		k->first[a] = t->ninputs;
		if (strcmp(name, o->group) == 0)
		{
			if (r->kind != COLUMN_CATEGORY)
				BadOption("group", "a column of texts");
			t->group = t->ninputs;
		}
		if (r->kind == COLUMN_TIME)
		{
			AddInput(t, t->ncolumns, PART_MONTH, false);
			AddInput(t, t->ncolumns, PART_WEEKDAY, false);
			if (r->type == VALUE_TIMESTAMP)
				AddInput(t, t->ncolumns, PART_HOUR, false);
		}
		else
			AddInput(t, t->ncolumns, PART_VALUE, r->kind == COLUMN_CATEGORY);
		t->ncolumns++;
	}
	if (t->ncolumns == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query gives no column to learn from"),
				 errhint("Beside the column of answers, give those that may tell it.")));
	if (o->group[0] != '\0' && t->group < 0)
		BadOption("group", "a column that counts");
}

static void *
GrowColumn(RawTable *t, void *array, size_t old, size_t size, size_t width)
{
	if (array == NULL)
		return MemoryContextAllocHuge(CurrentMemoryContext, size * width);
	return repalloc_huge(array, size * width);
}

/* Room for one row more in every column. */
static void
GrowTable(Taking *k)
{
	RawTable   *t = k->t;
	size_t		width = sizeof(uint8) + sizeof(uint64) + (k->time_at >= 0 ? sizeof(double) : 0);
	size_t		size = Max(t->size * 2, 1024);
	MemoryContext old;

	if (t->n < t->size)
		return;
	if (t->n >= PREDICT_MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d rows", PREDICT_MAX_ROWS)));
	for (int i = 0; i < t->ninputs; i++)
		width += t->input[i].category ? sizeof(uint32) : sizeof(double);
	PredictCharge(t, (size - t->size) * width);
	old = MemoryContextSwitchTo(k->context);
	t->label = GrowColumn(t, t->label, t->size, size, sizeof(uint8));
	t->digest = GrowColumn(t, t->digest, t->size, size, sizeof(uint64));
	if (k->time_at >= 0)
		t->time = GrowColumn(t, t->time, t->size, size, sizeof(double));
	for (int i = 0; i < t->ninputs; i++)
	{
		RawInput   *in = &t->input[i];

		if (in->category)
			in->id = GrowColumn(t, in->id, t->size, size, sizeof(uint32));
		else
			in->number = GrowColumn(t, in->number, t->size, size, sizeof(double));
	}
	t->size = size;
	MemoryContextSwitchTo(old);
}

/* The number of a category's value; 0 once there are too many. */
static uint32
CategoryId(RawTable *t, RawInput *in, const char *s, int len, MemoryContext context)
{
	char		key[LEARN_MAX_NAME + 1] = {0};
	NameEntry  *entry;
	bool		found;

	if (in->dropped)
		return 0;
	memcpy(key, s, len);
	entry = hash_search(in->dictionary, key, HASH_ENTER, &found);
	if (!found)
	{
		PredictCharge(t, sizeof(NameEntry) + len + 32);
		if (in->ndistinct == in->name_size)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			in->name_size = Max(64, in->name_size * 2);
			in->name = in->name ? repalloc(in->name, in->name_size * sizeof(char *)) : palloc(in->name_size * sizeof(char *));
			in->rows = in->rows ? repalloc(in->rows, in->name_size * sizeof(int64)) : palloc(in->name_size * sizeof(int64));
			MemoryContextSwitchTo(old);
		}
		in->name[in->ndistinct] = MemoryContextStrdup(context, key);
		in->rows[in->ndistinct] = 0;
		entry->id = ++in->ndistinct;
		in->dropped = in->ndistinct > PREDICT_MAX_DISTINCT;
	}
	in->rows[entry->id - 1]++;
	return entry->id;
}

/* Scatters the bits of a number (the finalizer of MurmurHash3): much cheaper than a hash of bytes, and enough for an order. */
static uint64
Mix(uint64 h, double x)
{
	uint64		bits;

	memcpy(&bits, &x, sizeof(bits));
	h ^= bits;
	h = (h ^ (h >> 33)) * UINT64CONST(0xff51afd7ed558ccd);
	h = (h ^ (h >> 33)) * UINT64CONST(0xc4ceb9fe1a85ec53);
	return h ^ (h >> 33);
}

static void
TakeRow(void *arg, TupleDesc desc, const Datum *values, const bool *nulls)
{
	Taking	   *k = arg;
	RawTable   *t = k->t;
	uint64		digest;
	int			row = t->n;

	if (nulls[k->label_at])
	{
		t->unlabelled++;
		return;
	}
	if (k->time_at >= 0 && (nulls[k->time_at] || isnan(ValueNumber(&k->time, values[k->time_at]))))
	{
		t->undated++;
		return;
	}
	GrowTable(k);
	t->label[row] = LabelValue(&k->label, values[k->label_at]);
	/* without the answer: rows that are alike are held out together, whatever their answers */
	digest = 0;
	if (k->time_at >= 0)
	{
		t->time[row] = ValueNumber(&k->time, values[k->time_at]);
		digest = Mix(digest, t->time[row]);
	}
	for (int a = 0; a < desc->natts; a++)
	{
		const ValueReader *r = &k->reader[a];
		RawInput   *in;

		if (k->first[a] < 0)
			continue;
		in = &t->input[k->first[a]];
		if (r->kind == COLUMN_CATEGORY)
		{
			int			len = 0;
			const char *s = nulls[a] ? NULL : ValueText(r, values[a], &len);

			in->id[row] = s ? CategoryId(t, in, s, len, k->context) : 0;
			digest = hash_bytes_extended((const unsigned char *) (s ? s : ""), len, digest + (s != NULL));
		}
		else if (r->kind == COLUMN_NUMBER)
		{
			double		x = nulls[a] ? NAN : ValueNumber(r, values[a]);

			in->number[row] = isnan(x) ? NAN : x == 0 ? 0 : x;
			digest = Mix(digest + 1, isnan(x) ? 1e300 : in->number[row]);
		}
		else
		{
			double		parts[3] = {NAN, NAN, NAN};

			if (!nulls[a])
				ValueTimeParts(r, values[a], parts);
			in[0].number[row] = parts[0];
			in[1].number[row] = parts[1];
			if (r->type == VALUE_TIMESTAMP)
				in[2].number[row] = parts[2];
			digest = Mix(digest + 1, nulls[a] ? 1e300 : ValueNumber(r, values[a]));
		}
	}
	t->digest[row] = digest;
	t->n++;
}

/* A row's place: its time, then its digest, then its answer. */
typedef struct Place
{
	double		time;
	uint64		digest;
	int			label;
	int			row;
} Place;

static int
PlaceCmp(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->digest != y->digest)
		return x->digest < y->digest ? -1 : 1;
	return x->label - y->label;
}

/* Puts a column into the order of the rows' places, by way of a spare one; returns it, and the old one is the next spare. */
static void *
Reorder(void *column, void **spare, const int *order, int n, size_t width)
{
	char	   *from = column;
	char	   *to = *spare;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
		switch (width)
		{
			case 8:
				((uint64 *) to)[i] = ((uint64 *) from)[order[i]];
				break;
			case 4:
				((uint32 *) to)[i] = ((uint32 *) from)[order[i]];
				break;
			default:
				to[i] = from[order[i]];
		}
	*spare = from;
	return to;
}

/* All columns in the order of the rows' places, so that they are read from one end to the other. */
static void
ReorderAll(RawTable *t, const int *order)
{
	void	   *wide;
	void	   *narrow;
	void	   *bytes;

	PredictCharge(t, t->size * (sizeof(uint64) + sizeof(uint32) + 1));
	wide = MemoryContextAllocHuge(CurrentMemoryContext, Max(t->size, 1) * sizeof(uint64));
	narrow = MemoryContextAllocHuge(CurrentMemoryContext, Max(t->size, 1) * sizeof(uint32));
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, Max(t->size, 1));
	t->digest = Reorder(t->digest, &wide, order, t->n, sizeof(uint64));
	t->label = Reorder(t->label, &bytes, order, t->n, 1);
	if (t->time != NULL)
		t->time = Reorder(t->time, &wide, order, t->n, sizeof(double));
	for (int i = 0; i < t->ninputs; i++)
	{
		RawInput   *in = &t->input[i];

		if (in->category)
			in->id = Reorder(in->id, &narrow, order, t->n, sizeof(uint32));
		else
			in->number = Reorder(in->number, &wide, order, t->n, sizeof(double));
	}
	pfree(wide);
	pfree(narrow);
	pfree(bytes);
	t->used -= t->size * (sizeof(uint64) + sizeof(uint32) + 1);
}

void
PredictGather(RawTable *t, const char *query, const char *label_column, const PredictOptions *options)
{
	Taking		k = {t, options, label_column, CurrentMemoryContext};
	Place	   *place;
	int		   *order;

	memset(t, 0, sizeof(RawTable));
	t->group = -1;
	PredictQuery(query, TakeColumns, TakeRow, &k);

	PredictCharge(t, (size_t) t->n * (sizeof(Place) + sizeof(int)));
	place = MemoryContextAllocHuge(CurrentMemoryContext, Max(t->n, 1) * sizeof(Place));
	order = MemoryContextAllocHuge(CurrentMemoryContext, Max(t->n, 1) * sizeof(int));
	for (int i = 0; i < t->n; i++)
		place[i] = (Place) {t->time ? t->time[i] : 0, t->digest[i], t->label[i], i};
	CHECK_FOR_INTERRUPTS();
	qsort(place, t->n, sizeof(Place), PlaceCmp);
	t->fingerprint = 0;
	for (int i = 0; i < t->n; i++)
	{
		order[i] = place[i].row;
		t->fingerprint = hash_combine64(hash_combine64(t->fingerprint, place[i].digest), place[i].label);
	}
	pfree(place);
	if (t->n > 0)
		ReorderAll(t, order);
	pfree(order);
	t->used -= (size_t) t->n * (sizeof(Place) + sizeof(int));
	for (int i = 0; i < t->ninputs; i++)
		if (t->input[i].dictionary != NULL)
			hash_destroy(t->input[i].dictionary);
}
