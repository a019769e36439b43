/*
 * gather.c
 *	  The examples that a query gives, as a Dataset.
 *
 * Rows are put into the order of a digest of their label and features, so that what is learned does not depend on the order in which
 * the query gives them. All that grows with the data is counted against revops.train_memory, before it is allocated.
 */
#include "learn/gather.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define FEELING_WEIGHT	4		/* a few features of a lexicon, next to a hundred of the text */

void
LearnCharge(Examples *e, size_t bytes)
{
	e->used += bytes;
	if (e->used > (size_t) learn_train_memory * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("training needs more than revops.train_memory, which is %d MB", learn_train_memory / 1024),
				 errdetail("There were %d examples by then.", e->n),
				 errhint("Raise revops.train_memory, or give fewer examples, a greater \"min_count\", or \"pairs\": false.")));
}

/* Room for `more` items; an array that grows is there twice for a moment. */
static void *
Grow(Examples *e, void *array, size_t *size, size_t more, size_t used, size_t width)
{
	size_t		want = Max(*size * 2, used + more);

	if (used + more <= *size)
		return array;
	want = Max(want, 1024);
	LearnCharge(e, want * width);
	if (array == NULL)
		array = MemoryContextAllocHuge(CurrentMemoryContext, want * width);
	else
	{
		array = repalloc_huge(array, want * width);
		e->used -= *size * width;
	}
	*size = want;
	return array;
}

static int
HashCmp(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

/* The number of a label, a new one if need be. */
static int
LabelNumber(Examples *e, HTAB *names, const char *label)
{
	char		key[LEARN_MAX_NAME + 1] = {0};
	LabelEntry *entry;
	bool		found;

	if (*label == '\0' || strlen(label) > LEARN_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a label has 1 to %d bytes, this one has %zu", LEARN_MAX_NAME, strlen(label)),
				 errhint("Is the column that was named as the label the right one?")));
	strcpy(key, label);
	entry = hash_search(names, key, HASH_ENTER, &found);
	if (!found)
	{
		if (e->nlabels == LEARN_MAX_LABELS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there are more than %d labels", LEARN_MAX_LABELS),
					 errhint("Is the column that was named as the label the right one?")));
		entry->number = e->nlabels;
		e->labels[e->nlabels++] = pstrdup(label);
	}
	return entry->number;
}

/* Count n hashes into the example at hand. */
static void
AddHashes(Examples *e, uint32 *hash, int n)
{
	qsort(hash, n, sizeof(uint32), HashCmp);
	for (int i = 0; i < n;)
	{
		int			j = i + 1;

		while (j < n && hash[j] == hash[i])
			j++;
		e->feature[e->nnz].hash = hash[i];
		e->feature[e->nnz++].count = j - i;
		i = j;
	}
}

static void
AddExample(Examples *e, const FeatureKinds *kinds, int label, const char *name, const char *body)
{
	char	   *utf8 = pg_server_to_any(body, strlen(body), PG_UTF8);
	Features   *f = &e->features;
	uint64		digest;

	FeaturesExtract(f, kinds, utf8, strlen(utf8));
	if (utf8 != body)
		pfree(utf8);
	if (f->n == 0)
	{
		e->empty++;
		return;
	}
	if (e->n == LEARN_MAX_EXAMPLES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d examples", LEARN_MAX_EXAMPLES)));
	e->feature = Grow(e, e->feature, &e->feature_size, f->n, e->nnz, sizeof(FeatureCount));
	e->row = Grow(e, e->row, &e->row_size, 1, e->n, sizeof(ExampleRow));
	e->row[e->n].start = e->nnz;
	AddHashes(e, f->hash, f->n - f->feelings);
	e->row[e->n].len = e->nnz - e->row[e->n].start;
	digest = hash_bytes_extended((const unsigned char *) name, strlen(name), 0);
	digest = hash_bytes_extended((const unsigned char *) (e->feature + e->row[e->n].start), e->row[e->n].len * sizeof(FeatureCount), digest);
	/* the lexicon's come after the digest, which is of the texts alone */
	AddHashes(e, f->hash + f->n - f->feelings, f->feelings);
	e->row[e->n].len = e->nnz - e->row[e->n].start;
	e->row[e->n].digest = digest;
	e->row[e->n++].label = label;
}

/* The column's number, or ERROR that names it. */
int
LearnColumn(TupleDesc desc, const char *name, const char *why)
{
	int			n = SPI_fnumber(desc, name);

	if (n <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the query gives no column \"%s\"", name),
				 errhint("%s", why)));
	return n;
}

/*
 * Run a query of the caller's, with the caller's rights and search_path, and hand each row's text and label to `take`. A NULL text is an
 * empty one; rows without a label are left out. Not for writing: the query runs read-only.
 */
void
LearnQuery(const char *query, const char *label_column, void (*take) (void *arg, const char *label, const char *body), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row;
	SPIPlanPtr	plan;
	Portal		portal;
	int			text_at = 0;
	int			label_at = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query of examples is not one query that gives rows"),
				 errhint("It has the form SELECT ... AS text, ... AS %s FROM ...", quote_identifier(label_column))));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	text_at = LearnColumn(portal->tupDesc, "text", "The texts are taken from the column \"text\".");
	label_at = LearnColumn(portal->tupDesc, label_column, "The argument \"label\" names the column of labels.");
	row = AllocSetContextCreate(CurrentMemoryContext, "revops example", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, 200);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			SPITupleTable *rows = SPI_tuptable;
			MemoryContext old = MemoryContextSwitchTo(row);
			char	   *body = SPI_getvalue(rows->vals[i], rows->tupdesc, text_at);
			char	   *label = SPI_getvalue(rows->vals[i], rows->tupdesc, label_at);

			CHECK_FOR_INTERRUPTS();
			MemoryContextSwitchTo(caller);
			if (label != NULL)
				take(arg, label, body ? body : "");
			MemoryContextSwitchTo(old);
			MemoryContextReset(row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(caller);
}

typedef struct Taking
{
	Examples   *e;
	const LearnOptions *options;
	HTAB	   *names;
} Taking;

static void
TakeExample(void *arg, const char *label, const char *body)
{
	Taking	   *t = arg;
	bool		oos = strcmp(label, t->options->out_of_scope) == 0;

	AddExample(t->e, &t->options->kinds, oos ? -1 : LabelNumber(t->e, t->names, label), label, body);
}

/* Position of each old label number in the sorted list. */
static int
LabelCmp(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int
RowCmp(const void *a, const void *b)
{
	const ExampleRow *x = a;
	const ExampleRow *y = b;

	if (x->digest != y->digest)
		return x->digest < y->digest ? -1 : 1;
	return x->label - y->label;
}

/* Do the labels say how a text feels, as sentiment_score() reads them? */
static bool
OfFeeling(const Examples *e)
{
	int			found = 0;

	for (int k = 0; k < e->nlabels; k++)
		found += strcmp(e->labels[k], "positive") == 0 || strcmp(e->labels[k], "negative") == 0;
	return found == 2;
}

void
LearnGather(Examples *e, const char *query, const char *label_column, LearnOptions *options)
{
	HASHCTL		ctl = {.keysize = LEARN_MAX_NAME + 1, .entrysize = sizeof(LabelEntry), .hcxt = CurrentMemoryContext};
	Taking		t = {e, options};
	int		   *sorted;

	memset(e, 0, sizeof(Examples));
	e->labels = palloc(LEARN_MAX_LABELS * sizeof(char *));
	t.names = hash_create("revops labels", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	LearnQuery(query, label_column, TakeExample, &t);

	qsort(e->labels, e->nlabels, sizeof(char *), LabelCmp);
	sorted = palloc(Max(e->nlabels, 1) * sizeof(int));
	for (int k = 0; k < e->nlabels; k++)
	{
		char		key[LEARN_MAX_NAME + 1] = {0};

		strcpy(key, e->labels[k]);
		sorted[((LabelEntry *) hash_search(t.names, key, HASH_FIND, NULL))->number] = k;
	}
	e->fingerprint = 0;
	for (int i = 0; i < e->n; i++)
		if (e->row[i].label >= 0)
			e->row[i].label = sorted[e->row[i].label];
	if (e->n > 1)
		qsort(e->row, e->n, sizeof(ExampleRow), RowCmp);
	for (int i = 0; i < e->n; i++)
		e->fingerprint = hash_combine64(e->fingerprint, e->row[i].digest);
	if (!options->feeling_given && !OfFeeling(e))
	{
		options->kinds.also &= ~FEATURE_FEELING;
		for (int i = 0; i < e->n; i++)
			while (e->row[i].len > 0 && IsFeeling(e->feature[e->row[i].start + e->row[i].len - 1].hash))
				e->row[i].len--;
	}
	pfree(sorted);
	hash_destroy(t.names);
	FeaturesFree(&e->features);
}

/* Most frequent first, so that what is read often lies together. */
static int
TermCmp(const void *a, const void *b)
{
	const Term *x = a;
	const Term *y = b;

	if (x->df != y->df)
		return x->df > y->df ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static Term *
TermFind(Term *table, uint32 mask, uint32 hash)
{
	uint32		s = hash & mask;

	while (table[s].df != 0 && table[s].hash != hash)
		s = (s + 1) & mask;
	return &table[s];
}

/* The vocabulary, and the examples in it: (1 + ln tf) * idf, idf = ln((1 + n) / (1 + df)) + 1, to length 1. Frees what was gathered. */
void
LearnVectorize(Examples *e, int min_count, Dataset *data, Vocabulary *v)
{
	uint32		slots = 1024;
	uint32		used = 0;
	uint32		n = 0;
	Term	   *table;
	size_t		nnz = 0;
	float	   *weigh;			/* of the example at hand, by feature */

	LearnCharge(e, slots * sizeof(Term));
	table = MemoryContextAllocExtended(CurrentMemoryContext, slots * sizeof(Term), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < e->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (size_t j = e->row[i].start; j < e->row[i].start + e->row[i].len; j++)
		{
			Term	   *t = TermFind(table, slots - 1, e->feature[j].hash);

			if (t->df++ > 0)
				continue;
			t->hash = e->feature[j].hash;
			if (used == LEARN_MAX_FEATURES)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("the examples have more than %d features", LEARN_MAX_FEATURES),
						 errhint("Give fewer examples, or \"pairs\": false.")));
			if (++used * (uint64) 2 > slots)
			{
				Term	   *old = table;

				LearnCharge(e, (size_t) slots * 2 * sizeof(Term));
				table = MemoryContextAllocExtended(CurrentMemoryContext, (size_t) slots * 2 * sizeof(Term), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
				for (uint32 s = 0; s < slots; s++)
					if (old[s].df != 0)
						*TermFind(table, slots * 2 - 1, old[s].hash) = old[s];
				pfree(old);
				e->used -= slots * sizeof(Term);
				slots *= 2;
			}
		}
	}

	LearnCharge(e, used * (sizeof(Term) + sizeof(uint32) + 2 * sizeof(float)));
	v->hash = MemoryContextAllocHuge(CurrentMemoryContext, Max(used, 1) * sizeof(uint32));
	v->idf = MemoryContextAllocHuge(CurrentMemoryContext, Max(used, 1) * sizeof(float));
	{
		Term	   *list = MemoryContextAllocHuge(CurrentMemoryContext, Max(used, 1) * sizeof(Term));

		for (uint32 s = 0; s < slots; s++)
			if (table[s].df >= min_count && table[s].df > 0)
				list[n++] = table[s];
		qsort(list, n, sizeof(Term), TermCmp);
		v->ncommon = 0;
		for (uint32 s = 0; s < slots; s++)
			table[s].number = PG_UINT32_MAX;
		for (uint32 f = 0; f < n; f++)
		{
			v->hash[f] = list[f].hash;
			v->ncommon += list[f].df > 1;
			v->idf[f] = (log((1.0 + e->n) / (1.0 + list[f].df)) + 1) * (IsFeeling(list[f].hash) ? FEELING_WEIGHT : 1);
			TermFind(table, slots - 1, list[f].hash)->number = f;
		}
		pfree(list);
	}
	v->n = n;

	memset(data, 0, sizeof(Dataset));
	LearnCharge(e, e->nnz * (sizeof(uint32) + sizeof(float)) + e->n * (sizeof(size_t) + sizeof(int32)));
	data->n = e->n;
	data->nlabels = e->nlabels;
	data->nfeatures = n;
	data->start = MemoryContextAllocHuge(CurrentMemoryContext, (e->n + 1) * sizeof(size_t));
	data->label = MemoryContextAllocHuge(CurrentMemoryContext, Max(e->n, 1) * sizeof(int32));
	data->feature = MemoryContextAllocHuge(CurrentMemoryContext, (e->nnz + LEARN_AHEAD) * sizeof(uint32));
	weigh = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(float));
	data->value = MemoryContextAllocHuge(CurrentMemoryContext, Max(e->nnz, 1) * sizeof(float));
	for (int i = 0; i < e->n; i++)
	{
		double		norm = 0;

		CHECK_FOR_INTERRUPTS();
		data->start[i] = nnz;
		data->label[i] = e->row[i].label;
		for (size_t j = e->row[i].start; j < e->row[i].start + e->row[i].len; j++)
		{
			uint32		f = TermFind(table, slots - 1, e->feature[j].hash)->number;

			if (f == PG_UINT32_MAX)
				continue;
			data->feature[nnz++] = f;
			weigh[f] = LearnTf(e->feature[j].count) * v->idf[f];
			norm += (double) weigh[f] * weigh[f];
		}
		norm = norm > 0 ? 1 / sqrt(norm) : 0;
		/* by number, so by frequency: the weights of frequent features lie together */
		qsort(data->feature + data->start[i], nnz - data->start[i], sizeof(uint32), HashCmp);
		for (size_t j = data->start[i]; j < nnz; j++)
			data->value[j] = weigh[data->feature[j]] * norm;
	}
	data->start[e->n] = nnz;
	memset(data->feature + nnz, 0, LEARN_AHEAD * sizeof(uint32));
	pfree(table);
	pfree(weigh);
	e->used -= slots * sizeof(Term) + e->feature_size * sizeof(FeatureCount) + e->row_size * sizeof(ExampleRow);
	if (e->feature)
		pfree(e->feature);
	if (e->row)
		pfree(e->row);
	e->feature = NULL;
	e->row = NULL;
}
