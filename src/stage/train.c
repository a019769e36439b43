/*
 * train.c
 *	  revops.train_stages(): gathers cases, learns, and measures on the latest cases.
 *
 * Cases come from the pipeline's opportunities (stages on record, events, intents, moments), or from a query of the caller's, with the caller's
 * rights. The latest share of the cases is held out; of the kinds of model that are tried, the one with the least log loss on it is learned
 * again from all. Where little is labelled, there is nothing to choose by, and the continuous model stays near its priors.
 */
#include "stage/store.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define MAX_ROWS		5000000
#define MAX_DISTINCT	100000	/* symbols of the query */
#define FETCH			10000
#define LEAST_LABELLED	200		/* labelled symbols, for the renewal kind */
#define LEAST_HELD_OUT	30		/* labelled symbols, to choose by */
#define RECORD_HINT		20.0	/* how much more a stage on record is told by that stage */
#define SYMBOL_HINT		10.0	/* and a symbol by the stage that its definition names it for */
#define GAIN			1e-4	/* of the log likelihood of a step, that is worth another round */
#define ELAPSED			40		/* classes of the time since a case began, for the baseline */

/* What the pipeline's definition says */
typedef struct Definition
{
	char	   *pipeline;
	int			n;
	char	   *stage[STAGE_MAX_STAGES];
	bool		open[STAGE_MAX_STAGES];
	double		days[STAGE_MAX_STAGES];
	ArrayType  *symbols[STAGE_MAX_STAGES];	/* NULL: none */
	bool		move[STAGE_MAX_STAGES][STAGE_MAX_STAGES];
	bool		any_move;		/* moves are named; else all are allowed */
} Definition;

typedef struct Options
{
	int			method;			/* a StageKind, -1: the better */
	int			order;			/* 0, 1; -1: the better */
	double		held_out;
	int			rounds;
	bool		deploy;
} Options;

typedef struct SymbolName
{
	char		name[STAGE_MAX_NAME + 1];
	int			number;
	int64		count;
} SymbolName;

typedef struct Cases
{
	int			n;
	int			max;
	StageCase  *cases;
	int			nrows;
	int			maxrows;
	StageRow   *rows;
	int32	   *raw;			/* number of the row's symbol as it came */
	HTAB	   *names;
	int			nnames;
	int64		labelled;		/* rows with a symbol whose stage is known */
	int64		unlabelled;
} Cases;

static void
ReadDefinition(const char *pipeline, Definition *d)
{
	static SqlPlan stages = {
		"SELECT stage, kind = 'open', usual_days, symbols FROM revops.pipeline_stage WHERE pipeline = $1 COLLATE \"C\" ORDER BY ordinal", 1, {TEXTOID}
	};
	static SqlPlan moves = {
		"SELECT (f.n - 1)::int, (t.n - 1)::int FROM revops.pipeline_move m"
		" JOIN (SELECT stage, row_number() OVER (ORDER BY ordinal) AS n FROM revops.pipeline_stage WHERE pipeline = $1 COLLATE \"C\") f ON f.stage = m.from_stage"
		" JOIN (SELECT stage, row_number() OVER (ORDER BY ordinal) AS n FROM revops.pipeline_stage WHERE pipeline = $1 COLLATE \"C\") t ON t.stage = m.to_stage"
		" WHERE m.pipeline = $1 COLLATE \"C\"", 1, {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(pipeline);
	uint64		n;
	bool		null;

	memset(d, 0, sizeof(Definition));
	d->pipeline = pstrdup(pipeline);
	n = SqlRun(&stages, &arg, NULL);
	if (n < 2 || n > STAGE_MAX_STAGES)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no pipeline \"%s\"", pipeline),
				 errhint("revops.put_pipeline() makes one; revops.pipeline lists those that are there.")));
	d->n = (int) n;
	for (int i = 0; i < d->n; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		v;

		d->stage[i] = pstrdup(SPI_getvalue(tup, desc, 1));
		d->open[i] = DatumGetBool(SPI_getbinval(tup, desc, 2, &null));
		v = SPI_getbinval(tup, desc, 3, &null);
		d->days[i] = null ? 14 : DatumGetFloat8(v);
		v = SPI_getbinval(tup, desc, 4, &null);
		d->symbols[i] = null ? NULL : DatumGetArrayTypePCopy(v);
	}
	SPI_freetuptable(SPI_tuptable);
	n = SqlRun(&moves, &arg, NULL);
	for (uint64 r = 0; r < n; r++)
	{
		int			i = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 1, &null));
		int			j = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 2, &null));

		d->move[i][j] = i != j;
		d->any_move = true;
	}
	SPI_freetuptable(SPI_tuptable);
}

pg_noreturn static void BadOption(const char *name, const char *expected);

static void
BadOption(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the option \"%s\" of revops.train_stages() is not %s", name, expected),
			 errhint("The options are method, order, held_out, rounds and deploy.")));
}

static void
ReadOptions(Jsonb *doc, Options *o)
{
	JsonbIterator *it = JsonbIteratorInit(&doc->root);
	JsonbIteratorToken token;
	JsonbValue	v;
	char	   *key = NULL;

	*o = (Options) {-1, -1, 0.2, 20, true};
	if (!JB_ROOT_IS_OBJECT(doc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the options of revops.train_stages() are not a JSON object")));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		double		x = NAN;
		char	   *s = "";

		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		if (token != WJB_VALUE)
			continue;
		if (v.type == jbvNumeric)
			x = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v.val.numeric)));
		if (v.type == jbvString)
			s = pnstrdup(v.val.string.val, v.val.string.len);
		if (strcmp(key, "method") == 0)
		{
			o->method = strcmp(s, "continuous") == 0 ? STAGE_CONTINUOUS : strcmp(s, "renewal") == 0 ? STAGE_RENEWAL : -1;
			if (o->method < 0 && strcmp(s, "auto") != 0)
				BadOption(key, "\"auto\", \"continuous\" or \"renewal\"");
		}
		else if (strcmp(key, "order") == 0)
		{
			if (x != 0 && x != 1)
				BadOption(key, "0 or 1");
			o->order = (int) x;
		}
		else if (strcmp(key, "held_out") == 0)
		{
			if (!(x >= 0 && x <= 0.5))
				BadOption(key, "a number from 0 to 0.5");
			o->held_out = x;
		}
		else if (strcmp(key, "rounds") == 0)
		{
			if (!(x >= 1 && x <= 1000) || x != floor(x))
				BadOption(key, "a whole number from 1 to 1000");
			o->rounds = (int) x;
		}
		else if (strcmp(key, "deploy") == 0)
		{
			if (v.type != jbvBool)
				BadOption(key, "true or false");
			o->deploy = v.val.boolean;
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("revops.train_stages() has no option \"%s\"", key),
					 errhint("The options are method, order, held_out, rounds and deploy.")));
	}
}

static int
LabelOf(const Definition *d, const char *stage)
{
	if (stage == NULL)
		return -1;
	for (int i = 0; i < d->n; i++)
		if (strcmp(d->stage[i], stage) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a stage of pipeline \"%s\"", stage, d->pipeline),
			 errhint("Its stages are listed in revops.pipeline_stage; a stage that is not known is NULL.")));
}

static int32
NameOf(Cases *c, const char *symbol, int count)
{
	char		key[STAGE_MAX_NAME + 1] = {0};
	SymbolName *entry;
	bool		found;

	if (strlen(symbol) > STAGE_MAX_NAME || c->nnames >= MAX_DISTINCT)
	{
		/* one of all others, unless it is known */
		if (strlen(symbol) > STAGE_MAX_NAME || hash_search(c->names, strcpy(key, symbol), HASH_FIND, NULL) == NULL)
			return MAX_DISTINCT;
	}
	memset(key, 0, sizeof(key));
	strcpy(key, symbol);
	entry = hash_search(c->names, key, HASH_ENTER, &found);
	if (!found)
	{
		entry->number = c->nnames++;
		entry->count = 0;
	}
	entry->count += count;
	return entry->number;
}

static void
AddRow(Cases *c, TimestampTz at, int32 symbol, int label)
{
	StageRow   *r;

	if (c->nrows == MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d rows to learn from", MAX_ROWS),
				 errhint("Give a query with the latest cases, or a sample of them.")));
	if (c->nrows == c->maxrows)
	{
		c->maxrows = c->maxrows ? 2 * c->maxrows : 8192;
		c->rows = c->rows ? repalloc_huge(c->rows, c->maxrows * sizeof(StageRow)) :
			MemoryContextAllocHuge(CurrentMemoryContext, c->maxrows * sizeof(StageRow));
		c->raw = c->raw ? repalloc_huge(c->raw, c->maxrows * sizeof(int32)) :
			MemoryContextAllocHuge(CurrentMemoryContext, c->maxrows * sizeof(int32));
	}
	r = &c->rows[c->nrows];
	r->at = at;
	r->symbol = -1;
	r->label = label;
	c->raw[c->nrows++] = symbol;
	if (symbol >= 0 && label >= 0)
		c->labelled++;
	if (symbol >= 0 && label < 0)
		c->unlabelled++;
}

/* Run the query with the caller's rights, and read its cases. */
static void
GatherCases(Cases *c, const char *query, const Definition *d)
{
	MemoryContext context = CurrentMemoryContext;
	HASHCTL		ctl = {.keysize = STAGE_MAX_NAME + 1, .entrysize = sizeof(SymbolName), .hcxt = context};
	char	   *sql = psprintf("SELECT q.\"case\"::pg_catalog.text COLLATE pg_catalog.\"C\", q.at::pg_catalog.timestamptz, q.symbol::pg_catalog.text, q.stage::pg_catalog.text,"
							   " pg_catalog.row_number() OVER () FROM (%s\n) q ORDER BY 1, 2, 5", query);
	SPIPlanPtr	plan;
	Portal		portal;
	char	   *current = NULL;
	MemoryContext batch = AllocSetContextCreate(context, "revops stage rows", ALLOCSET_DEFAULT_SIZES);

	c->names = hash_create("revops stage symbols", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(sql, 0, NULL, 0);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cases to learn from are not one SELECT")));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH);
		if (SPI_processed == 0)
			break;
		MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tup = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			char	   *name = SPI_getvalue(tup, desc, 1),
					   *symbol = SPI_getvalue(tup, desc, 3),
					   *stage = SPI_getvalue(tup, desc, 4);
			bool		null;
			Datum		at = SPI_getbinval(tup, desc, 2, &null);
			MemoryContext old;

			if (name == NULL || null || TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(at)))
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("a row to learn from has no case or no time")));
			old = MemoryContextSwitchTo(context);
			if (current == NULL || strcmp(current, name) != 0)
			{
				if (c->n == c->max)
				{
					c->max = c->max ? 2 * c->max : 1024;
					c->cases = c->cases ? repalloc_huge(c->cases, c->max * sizeof(StageCase)) :
						MemoryContextAllocHuge(context, c->max * sizeof(StageCase));
				}
				c->cases[c->n++] = (StageCase) {c->nrows, 0, DatumGetTimestampTz(at)};
				if (current != NULL)
					pfree(current);
				current = pstrdup(name);
			}
			AddRow(c, DatumGetTimestampTz(at), symbol != NULL ? NameOf(c, symbol, 1) : -1, LabelOf(d, stage));
			c->cases[c->n - 1].n++;
			MemoryContextSwitchTo(old);
		}
		SPI_freetuptable(SPI_tuptable);
		MemoryContextReset(batch);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(batch);
	SPI_cursor_close(portal);
	SPI_finish();
}

static int
SymbolNameCmp(const void *a, const void *b)
{
	const SymbolName *x = *(SymbolName *const *) a,
			   *y = *(SymbolName *const *) b;

	return x->count != y->count ? (x->count > y->count ? -1 : 1) : strcmp(x->name, y->name);
}

static int
CaseCmp(const void *a, const void *b)
{
	const StageCase *x = a,
			   *y = b;

	return x->order != y->order ? (x->order < y->order ? -1 : 1) : x->first - y->first;
}

/* What the definition speaks of is known, whether it came or not. */
static void
NameHints(Cases *c, const Definition *d)
{
	for (int j = 0; j < d->n; j++)
	{
		Datum	   *symbols;
		bool	   *null;
		int			n = 0;

		(void) NameOf(c, psprintf("stage:%s", d->stage[j]), 0);
		if (d->symbols[j] != NULL)
			deconstruct_array(d->symbols[j], TEXTOID, -1, false, TYPALIGN_INT, &symbols, &null, &n);
		for (int k = 0; k < n; k++)
			if (!null[k])
				(void) NameOf(c, TextDatumGetCString(symbols[k]), 0);
	}
}

/* Number the symbols by how often they came; the rarest, beyond what a model holds, are one. Returns the names of the others. */
static char **
NumberSymbols(Cases *c, int *n)
{
	SymbolName **order = palloc(Max(c->nnames, 1) * sizeof(SymbolName *));
	int16	   *number = palloc((MAX_DISTINCT + 1) * sizeof(int16));
	char	  **names;
	HASH_SEQ_STATUS seq;
	SymbolName *entry;
	int			k = 0;

	hash_seq_init(&seq, c->names);
	while ((entry = hash_seq_search(&seq)) != NULL)
		order[k++] = entry;
	qsort(order, k, sizeof(SymbolName *), SymbolNameCmp);
	*n = Min(k, STAGE_MAX_SYMBOLS - 1);
	names = palloc(Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < k; i++)
	{
		number[order[i]->number] = Min(i, *n);
		if (i < *n)
			names[i] = order[i]->name;
	}
	number[MAX_DISTINCT] = *n;
	for (int i = 0; i < c->nrows; i++)
		c->rows[i].symbol = c->raw[i] < 0 ? -1 : number[c->raw[i]];
	return names;
}

typedef struct PairCount
{
	int32		key;
	int64		count;
} PairCount;

static int
PairCountCmp(const void *a, const void *b)
{
	const PairCount *x = a,
			   *y = b;

	return x->count != y->count ? (x->count > y->count ? -1 : 1) : x->key - y->key;
}

static int
Int32Cmp(const void *a, const void *b)
{
	return *(const int32 *) a - *(const int32 *) b;
}

/* The successions of symbols that come most often, ascending */
static int32 *
Pairs(const Cases *c, int v, int *n)
{
	PairCount  *pairs = palloc0((size_t) (v + 1) * v * sizeof(PairCount));
	int32	   *keys;
	int			k = 0;

	for (int i = 0; i < (v + 1) * v; i++)
		pairs[i].key = i;
	for (int i = 0; i < c->n; i++)
	{
		int			last = v;

		for (int r = c->cases[i].first; r < c->cases[i].first + Min(c->cases[i].n, STAGE_MAX_CASE); r++)
			if (c->rows[r].symbol >= 0)
			{
				pairs[last * v + c->rows[r].symbol].count++;
				last = c->rows[r].symbol;
			}
	}
	qsort(pairs, (v + 1) * v, sizeof(PairCount), PairCountCmp);
	while (k < STAGE_MAX_PAIRS && k < (v + 1) * v && pairs[k].count > 0)
		k++;
	keys = palloc(Max(k, 1) * sizeof(int32));
	for (int i = 0; i < k; i++)
		keys[i] = pairs[i].key;
	qsort(keys, k, sizeof(int32), Int32Cmp);
	pfree(pairs);
	*n = k;
	return keys;
}

static void
MakePrior(const Definition *d, char **names, int nnames, StagePrior *p)
{
	int			s = d->n;

	memset(p, 0, sizeof(StagePrior));
	p->stages = s;
	p->symbols = nnames + 1;
	p->strength = 1;
	for (int i = 0; i < s; i++)
	{
		double		total = 0;
		int			next = -1;

		p->dwell[i] = d->days[i] * 86400e3;
		for (int j = i + 1; j < s && next < 0; j++)
			if (d->open[j] || j == s - 1)
				next = j;
		for (int j = 0; j < s; j++)
			if (i != j && (!d->any_move || d->move[i][j]))
				total += p->move[i][j] = !d->open[i] ? 0.05 : j == next ? 4 : j > i ? 1 : 0.5;
		for (int j = 0; j < s && d->open[i]; j++)
			p->move[i][j] /= Max(total, 1e-9);
		for (int j = 0; j < s; j++)
			p->reach[i][j] = i == j || p->move[i][j] > 0;
	}
	for (int k = 0; k < s; k++)
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
				p->reach[i][j] |= p->reach[i][k] && p->reach[k][j];
	p->seen = palloc0(p->symbols * sizeof(bool));
	p->hint = palloc((size_t) p->symbols * s * sizeof(float));
	for (int i = 0; i < p->symbols * s; i++)
		p->hint[i] = 1;
	for (int x = 0; x < nnames; x++)
		for (int j = 0; j < s; j++)
		{
			Datum	   *symbols;
			bool	   *null;
			int			n = 0;

			if (strncmp(names[x], "stage:", 6) == 0 && strcmp(names[x] + 6, d->stage[j]) == 0)
				p->hint[x * s + j] = RECORD_HINT;
			if (d->symbols[j] != NULL)
				deconstruct_array(d->symbols[j], TEXTOID, -1, false, TYPALIGN_INT, &symbols, &null, &n);
			for (int k = 0; k < n; k++)
				if (!null[k] && strcmp(TextDatumGetCString(symbols[k]), names[x]) == 0)
					p->hint[x * s + j] = SYMBOL_HINT;
		}
}

/* Learn from the first n cases. Symbols that are in none of them are not seen. */
static void
Learn(const Cases *c, int n, StageKind kind, int order, StageCounts *counts, StagePrior *prior, const Options *o, bool labelled, StageModel *m)
{
	double		was = -INFINITY;

	memset(prior->seen, 0, prior->symbols * sizeof(bool));
	for (int i = 0; i < n; i++)
		for (int r = c->cases[i].first; r < c->cases[i].first + c->cases[i].n; r++)
			if (c->rows[r].symbol >= 0)
				prior->seen[c->rows[r].symbol] = true;

	/* the cases that are labelled, and the priors */
	StageCountsClear(counts);
	for (int i = 0; i < n; i++)
	{
		if ((i & 255) == 0)
			CHECK_FOR_INTERRUPTS();
		StageCount(counts, NULL, c->rows + c->cases[i].first, c->cases[i].n);
	}
	StageBuild(m, kind, order, counts, prior);
	for (int round = 0; round < o->rounds && !labelled; round++)
	{
		StageModel	next;
		double		gain;

		StageCountsClear(counts);
		for (int i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			StageCount(counts, m, c->rows + c->cases[i].first, c->cases[i].n);
		}
		gain = (counts->loglik - was) / Max(counts->steps, 1);
		was = counts->loglik;
		StageBuild(&next, kind, order, counts, prior);
		pfree(m->h);
		*m = next;
		if (gain < GAIN && round > 0)
			break;
	}
}

static int
Elapsed(const StageRow *r, int64 since)
{
	int64		seconds = Max(r->at - since, 0) / 1000000 + 1;
	int			k = 0;

	while (seconds > 1 && k < ELAPSED - 1)
	{
		seconds /= 2;
		k++;
	}
	return k;
}

/* The stage that most cases have been in so long after they began, learned from the first cases: its accuracy on the others */
static double
ElapsedBaseline(const Cases *c, int learn, int s, double *majority)
{
	int64		seen[ELAPSED][STAGE_MAX_STAGES] = {{0}};
	int64		all[STAGE_MAX_STAGES] = {0};
	int64		n = 0,
				right = 0,
				most = 0;

	for (int i = 0; i < c->n; i++)
		for (int r = c->cases[i].first; r < c->cases[i].first + c->cases[i].n; r++)
		{
			const StageRow *row = &c->rows[r];
			int64	   *k = seen[Elapsed(row, c->cases[i].order)];
			int			best = 0,
						best_all = 0;

			if (row->symbol < 0 || row->label < 0)
				continue;
			if (i < learn)
			{
				k[row->label]++;
				all[row->label]++;
				continue;
			}
			for (int j = 1; j < s; j++)
			{
				if (k[j] > k[best])
					best = j;
				if (all[j] > all[best_all])
					best_all = j;
			}
			n++;
			right += best == row->label;
			most += best_all == row->label;
		}
	*majority = n > 0 ? (double) most / n : 0;
	return n > 0 ? (double) right / n : 0;
}

static const char *
DefaultQuery(const char *pipeline)
{
	return psprintf("SELECT \"case\", at, symbol, stage FROM revops.stage_cases(%s) ORDER BY \"case\", at, class, id, part, symbol COLLATE pg_catalog.\"C\"", quote_literal_cstr(pipeline));
}

static Datum
TextArray(char **names, int n)
{
	Datum	   *d = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		d[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(d, n, TEXTOID, -1, false, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(train_stages);

/* train_stages(pipeline, query, options) -> version */
Datum
train_stages(PG_FUNCTION_ARGS)
{
	static SqlPlan store = {
		"SELECT revops.store_stages($1, $2, $3, $4, $5::pg_catalog.jsonb, $6, $7, $8)::pg_catalog.int8", 8,
		{TEXTOID, TEXTARRAYOID, TEXTARRAYOID, JSONBOID, TEXTOID, INT4OID, BYTEAOID, BOOLOID}, .large = true
	};
	static const struct
	{
		const char *name;
		StageKind	kind;
		int			order;
	}			tried[] = {{"continuous", STAGE_CONTINUOUS, 0}, {"renewal", STAGE_RENEWAL, 0}, {"renewal", STAGE_RENEWAL, 1}};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops stage training", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Definition	d;
	Options		o;
	Cases		c = {0};
	StagePrior	prior;
	StageCounts *counts;
	StageModel	m;
	StageQuality best = {0};
	char	  **names;
	int32	   *keys;
	int			nnames,
				nkeys,
				learn,
				chosen = -1,
				level,
				version;
	double		least = INFINITY,
				elapsed,
				majority;
	int64		held = 0;
	bool		labelled = true;
	StringInfoData metrics;
	bytea	   *stored;
	Datum		values[8];
	char	   *query;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("revops.train_stages() needs a pipeline, and options that are not NULL")));
	ReadOptions(PG_GETARG_JSONB_P(2), &o);
	level = SqlConnect();
	MemoryContextSwitchTo(context);
	ReadDefinition(text_to_cstring(PG_GETARG_TEXT_PP(0)), &d);
	SqlFinish(level);
	MemoryContextSwitchTo(context);
	query = PG_ARGISNULL(1) ? unconstify(char *, DefaultQuery(d.pipeline)) : text_to_cstring(PG_GETARG_TEXT_PP(1));
	GatherCases(&c, query, &d);
	MemoryContextSwitchTo(context);

	NameHints(&c, &d);
	names = NumberSymbols(&c, &nnames);
	keys = Pairs(&c, nnames + 1, &nkeys);
	MakePrior(&d, names, nnames, &prior);
	counts = StageCountsMake(d.n, nnames + 1, nkeys, keys);
	if (c.n > 1)
		qsort(c.cases, c.n, sizeof(StageCase), CaseCmp);
	for (int i = 0; i < c.nrows && labelled; i++)
		labelled = c.rows[i].label >= 0;

	/* the latest cases, to choose by and to tell how good it is */
	learn = c.n - (int) (c.n * o.held_out);
	for (int i = learn; i < c.n; i++)
		for (int r = c.cases[i].first; r < c.cases[i].first + c.cases[i].n; r++)
			held += c.rows[r].symbol >= 0 && c.rows[r].label >= 0;
	initStringInfo(&metrics);
	appendStringInfo(&metrics, "{\"cases\": %d, \"rows\": %d, \"labelled\": " INT64_FORMAT ", \"symbols\": %d, \"held_out_cases\": %d",
					 c.n, c.nrows, c.labelled, nnames, c.n - learn);
	for (int k = 0; k < lengthof(tried); k++)
	{
		StageQuality q = {0};
		double		loss;

		if ((o.method >= 0 && tried[k].kind != o.method) || (o.order >= 0 && tried[k].kind == STAGE_RENEWAL && tried[k].order != o.order) ||
			(o.method < 0 && tried[k].kind == STAGE_RENEWAL && c.labelled < LEAST_LABELLED))
			continue;
		if (chosen < 0)
			chosen = k;
		if (held < LEAST_HELD_OUT)
			continue;
		Learn(&c, learn, tried[k].kind, tried[k].order, counts, &prior, &o, labelled, &m);
		for (int i = learn; i < c.n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			StageEvaluate(&m, c.rows + c.cases[i].first, c.cases[i].n, &q);
		}
		pfree(m.h);
		loss = q.logloss / Max(q.symbols, 1);
		appendStringInfo(&metrics, ", \"log_loss_%s%s\": %.4f", tried[k].name, tried[k].kind == STAGE_CONTINUOUS ? "" : tried[k].order ? "_1" : "_0", loss);
		if (loss < least)
		{
			least = loss;
			chosen = k;
			best = q;
		}
	}
	appendStringInfo(&metrics, ", \"method\": \"%s\", \"order\": %d, \"held_out\": " INT64_FORMAT, tried[chosen].name, tried[chosen].order, best.symbols);
	if (best.symbols > 0)
	{
		elapsed = ElapsedBaseline(&c, learn, d.n, &majority);
		appendStringInfo(&metrics, ", \"accuracy\": %.4f, \"log_loss\": %.4f, \"majority_accuracy\": %.4f, \"elapsed_accuracy\": %.4f",
						 (double) best.right / best.symbols, best.logloss / best.symbols, majority, elapsed);
		if (best.rows > best.symbols)
			appendStringInfo(&metrics, ", \"accuracy_with_unseen\": %.4f", (double) best.rows_right / best.rows);
	}
	appendStringInfoChar(&metrics, '}');
	Learn(&c, c.n, tried[chosen].kind, tried[chosen].order, counts, &prior, &o, labelled, &m);

	stored = palloc(VARHDRSZ + m.h->size);
	SET_VARSIZE(stored, VARHDRSZ + m.h->size);
	memcpy(VARDATA(stored), m.h, m.h->size);
	values[0] = CStringGetTextDatum(d.pipeline);
	values[1] = TextArray(d.stage, d.n);
	values[2] = TextArray(names, nnames);
	values[3] = PG_GETARG_DATUM(2);
	values[4] = CStringGetTextDatum(metrics.data);
	values[5] = Int32GetDatum(c.n);
	values[6] = PointerGetDatum(stored);
	values[7] = BoolGetDatum(o.deploy);
	level = SqlConnect();
	version = (int) SqlInt8(&store, values, NULL, 0);
	SqlFinish(level);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_INT32(version);
}
