/*
 * predict_train.c
 *	  revops.train() for yes-or-no questions: from a query's rows to a stored version of a model.
 *
 * 1. gather (predict_gather.c); refuse what cannot be learned from; leave out columns that say nothing
 * 2. hold rows out: the latest by the time column, or a random share. Of the others choose, by rows that validate (five folds while there
 *    are few), the bins and the strength of the penalty, then whether interactions help
 * 3. a model of the rows that are not held out is measured and calibrated on those that are; the one that is stored has the same settings
 *    and calibration, and learns from all rows
 *
 * The user's query runs as the user. What is stored is written by store_model(), which admins may call.
 */
#include "learn/predict.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define SAMPLE_ROWS		50000	/* for the edges of bins */
#define TRIAL_ROWS		40000	/* for choices */
#define FOLD_ROWS		20000	/* up to so many, five folds */
#define HELD_FIT_ROWS	200000	/* that the model which is measured learns from */
#define PAIR_LOOKS		INT64CONST(400000000)	/* rows times pairs */
#define LEAST_GAIN		0.0005	/* of the loss, for interactions to be worth it */
#define MEASURE_LEAST	50		/* rows held out, for a figure or a calibration */
#define TREE_BINS		PREDICT_MAX_BINS
#define RANK_PRIOR		20		/* rows of the base rate, added to each category */
#define ENCODE_ROWS		512		/* at once */
#define TOLERANCE		1e-9
#define TRIAL_TOLERANCE	1e-6

static const int bin_choices[] = {8, 20, 50};
static const double strength_choices[] = {3000, 300, 30, 3, 0.3};	/* each goes on from the one before */

/* What training carries from step to step. */
typedef struct Training
{
	const char *model;
	RawTable   *t;
	const PredictOptions *o;
	int			ninputs;		/* that count */
	int		   *raw;			/* each one's place among the RawInputs */
	double	  **sorted;			/* numbers: a sorted sample */
	int		   *nsorted;
	uint16	  **code_of_id;		/* categories */
	Binning    *binning;
	int			bins;
	double		strength;
	double		group_factor;
	int			nterms;
	PredictTerm *term;
	int			nweights;
	int			ncandidates;	/* the best pairs of inputs, best first */
	int			candidate[PREDICT_MAX_PAIRS][2];
} Training;

/* Some rows, by their numbers. */
typedef struct Rows
{
	int			n;
	int		   *row;
} Rows;

static double
RowChance(const RawTable *t, int row, int seed, int salt)
{
	uint64		h = hash_uint32_extended((uint32) t->digest[row], hash_combine64(t->digest[row], (uint64) seed * 16 + salt));

	return (h >> 11) * (1.0 / (UINT64CONST(1) << 53));
}

static Rows
RowsMake(RawTable *t, int most)
{
	Rows		r = {0};

	PredictCharge(t, (size_t) most * sizeof(int));
	r.row = MemoryContextAllocHuge(CurrentMemoryContext, Max(most, 1) * sizeof(int));
	return r;
}

/* At most so many of them, at even distances. */
static Rows
RowsThin(RawTable *t, const Rows *from, int most)
{
	Rows		r;

	if (from->n <= most)
		return *from;
	r = RowsMake(t, most);
	for (r.n = 0; r.n < most; r.n++)
		r.row[r.n] = from->row[(int64) r.n * from->n / most];
	return r;
}

/* `later` gets the share that is held out: the latest rows, or a random part. Every row is in one of them. */
static void
Divide(RawTable *t, const Rows *from, double share, int seed, int salt, Rows *earlier, Rows *later)
{
	int			cut = from->n - (int) (from->n * share);

	*earlier = RowsMake(t, from->n);
	*later = RowsMake(t, from->n);
	for (int i = 0; i < from->n; i++)
	{
		bool		out = t->time ? i >= cut : RowChance(t, from->row[i], seed, salt) < share;

		if (out)
			later->row[later->n++] = from->row[i];
		else
			earlier->row[earlier->n++] = from->row[i];
	}
}

static int
Positives(const RawTable *t, const Rows *r)
{
	int			n = 0;

	for (int i = 0; i < r->n; i++)
		n += t->label[r->row[i]];
	return n;
}

static int
DoubleCmp(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* The most frequent first, then by name. */
static int
CategoryCmp(const void *a, const void *b, void *arg)
{
	const RawInput *in = arg;
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	if (in->rows[x] != in->rows[y])
		return in->rows[x] > in->rows[y] ? -1 : 1;
	return strcmp(in->name[x], in->name[y]);
}

/* The values of a category that have a code of their own. */
static void
PrepareCategory(Training *g, int i)
{
	RawInput   *in = &g->t->input[g->raw[i]];
	Binning    *b = &g->binning[i];
	int			least = g->raw[i] == g->t->group ? g->o->min_group : g->o->min_category;
	int			most = g->raw[i] == g->t->group ? PREDICT_MAX_CATEGORIES : g->o->max_categories;
	int		   *order = palloc(Max(in->ndistinct, 1) * sizeof(int));

	for (int k = 0; k < in->ndistinct; k++)
		order[k] = k;
	qsort_arg(order, in->ndistinct, sizeof(int), CategoryCmp, in);
	g->code_of_id[i] = palloc((in->ndistinct + 1) * sizeof(uint16));
	g->code_of_id[i][0] = CODE_MISSING;
	b->category = true;
	b->ncodes = 2;
	b->name = palloc0((most + 2) * sizeof(char *));
	for (int k = 0; k < in->ndistinct; k++)
	{
		bool		own = k < most && in->rows[order[k]] >= least;

		g->code_of_id[i][order[k] + 1] = own ? b->ncodes : CODE_OTHER;
		if (own)
			b->name[b->ncodes++] = in->name[order[k]];
	}
	pfree(order);
}

/* What of the columns can be used at all; sorted samples and categories of those. */
static void
Prepare(Training *g)
{
	RawTable   *t = g->t;
	int			step = Max(1, (t->n + SAMPLE_ROWS - 1) / SAMPLE_ROWS);
	int			room = t->n / step + 1;

	g->raw = palloc(t->ninputs * sizeof(int));
	g->sorted = palloc0(t->ninputs * sizeof(double *));
	g->nsorted = palloc0(t->ninputs * sizeof(int));
	g->code_of_id = palloc0(t->ninputs * sizeof(uint16 *));
	g->binning = palloc0(t->ninputs * sizeof(Binning));
	g->ninputs = 0;
	for (int i = 0; i < t->ninputs; i++)
	{
		RawInput   *in = &t->input[i];
		int			k = g->ninputs;
		bool		varies = false;

		CHECK_FOR_INTERRUPTS();
		if (in->dropped && in->category)
			ereport(NOTICE,
					(errmsg("model \"%s\": column \"%s\" has more than %d different values and is left out", g->model, t->column[in->column], PREDICT_MAX_DISTINCT)));
		if (in->dropped)
			continue;
		for (int r = 1; r < t->n && !varies; r++)
			varies = in->category ? in->id[r] != in->id[0] :
				in->number[r] != in->number[0] && !(isnan(in->number[r]) && isnan(in->number[0]));
		if (!varies)
			continue;
		g->raw[k] = i;
		if (in->category)
			PrepareCategory(g, k);
		else
		{
			PredictCharge(t, (size_t) room * sizeof(double));
			g->sorted[k] = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(double));
			for (int p = 0; p < t->n; p += step)
				if (!isnan(in->number[p]))
					g->sorted[k][g->nsorted[k]++] = in->number[p];
			qsort(g->sorted[k], g->nsorted[k], sizeof(double), DoubleCmp);
		}
		g->ninputs++;
	}
}

/* The code of a row in an input. */
static inline uint16
InputCode(const Training *g, int i, int row)
{
	const RawInput *in = &g->t->input[g->raw[i]];

	return in->category ? g->code_of_id[i][in->id[row]] : BinCode(g->binning[i].edge, g->binning[i].nedges, in->number[row]);
}

/* The codes of n rows in an input. */
static void
InputCodes(const Training *g, int i, const int *row, int n, uint16 *code)
{
	const RawInput *in = &g->t->input[g->raw[i]];
	const double *edge = g->binning[i].edge;
	int			nedges = g->binning[i].nedges;

	if (in->category)
	{
		for (int r = 0; r < n; r++)
			code[r] = g->code_of_id[i][in->id[row[r]]];
	}
	else
	{
		for (int r = 0; r < n; r++)
			code[r] = BinCode(edge, nedges, in->number[row[r]]);
	}
}

/* Bins for the numbers, levels for all, and a term for each input. */
static void
SetBins(Training *g, int bins, const Rows *rows)
{
	double		count[PREDICT_MAX_CATEGORIES + PREDICT_MAX_BINS + 2];

	g->bins = bins;
	g->nterms = 0;
	g->nweights = 0;
	if (g->term == NULL)
		g->term = palloc((g->ninputs + PREDICT_MAX_PAIRS) * sizeof(PredictTerm));
	for (int i = 0; i < g->ninputs; i++)
	{
		Binning    *b = &g->binning[i];

		CHECK_FOR_INTERRUPTS();
		if (!b->category)
		{
			if (b->edge == NULL)
				b->edge = palloc(PREDICT_MAX_BINS * sizeof(double));
			b->nedges = BinEdges(g->sorted[i], g->nsorted[i], bins, b->edge);
			b->ncodes = b->nedges + 2;
		}
		if (b->level == NULL)
			b->level = palloc(sizeof(count) / sizeof(double));
		memset(count, 0, sizeof(count));
		for (int r = 0; r < rows->n; r++)
			count[InputCode(g, i, rows->row[r])]++;
		b->nlevels = BinLevels(count, b->ncodes, b->category, b->level);
		g->term[g->nterms++] = (PredictTerm) {i, -1, g->nweights, b->ncodes};
		g->nweights += b->ncodes;
		if (g->nweights + PREDICT_MAX_PAIRS * PREDICT_MAX_LEVELS * PREDICT_MAX_LEVELS > PREDICT_MAX_WEIGHTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the model would have more than %d weights", PREDICT_MAX_WEIGHTS),
					 errhint("Give fewer columns, or the options \"bins\" or \"max_categories\" with a smaller number.")));
	}
}

/* The first n of the candidates, after the inputs' own terms. */
static void
SetPairs(Training *g, int n)
{
	g->nterms = g->ninputs;
	g->nweights = g->ninputs > 0 ? g->term[g->ninputs - 1].offset + g->term[g->ninputs - 1].n : 0;
	for (int k = 0; k < n; k++)
	{
		int			a = g->candidate[k][0];
		int			b = g->candidate[k][1];
		int			cells = g->binning[a].nlevels * g->binning[b].nlevels;

		g->term[g->nterms++] = (PredictTerm) {a, b, g->nweights, cells};
		g->nweights += cells;
	}
}

/* What a problem takes: its rows, the solver's numbers for each, and for a trial the rows of a fold once more. */
static size_t
ProblemSize(const Training *g, int n)
{
	size_t		cells = (size_t) n * g->nterms * sizeof(uint16);

	return cells + (n <= TRIAL_ROWS ? cells : 0) + (size_t) n * (3 * sizeof(double) + 2);
}

/* Rows as numbers of weights. */
static LogitProblem
Encode(Training *g, const Rows *rows)
{
	LogitProblem p = {rows->n, g->nterms};
	size_t		cells = (size_t) rows->n * g->nterms;
	uint16	   *code;
	uint8	   *label;
	uint16	   *mine = palloc(g->ninputs * ENCODE_ROWS * sizeof(uint16));
	double	   *penalty;

	PredictCharge(g->t, ProblemSize(g, rows->n));
	code = MemoryContextAllocHuge(CurrentMemoryContext, Max(cells, 1) * sizeof(uint16));
	label = MemoryContextAllocHuge(CurrentMemoryContext, Max(rows->n, 1));
	for (int first = 0; first < rows->n; first += ENCODE_ROWS)
	{
		int			n = Min(ENCODE_ROWS, rows->n - first);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < g->ninputs; i++)
			InputCodes(g, i, rows->row + first, n, mine + i * ENCODE_ROWS);
		for (int t = 0; t < g->nterms; t++)
		{
			const PredictTerm *x = &g->term[t];
			uint16	   *c = code + (size_t) first * g->nterms + t;
			const uint16 *a = mine + x->a * ENCODE_ROWS;

			if (x->b < 0)
			{
				for (int r = 0; r < n; r++)
					c[(size_t) r * g->nterms] = x->offset + a[r];
			}
			else
			{
				const uint16 *b = mine + x->b * ENCODE_ROWS;
				const uint8 *la = g->binning[x->a].level;
				const uint8 *lb = g->binning[x->b].level;

				for (int r = 0; r < n; r++)
					c[(size_t) r * g->nterms] = x->offset + la[a[r]] * g->binning[x->b].nlevels + lb[b[r]];
			}
		}
		for (int r = 0; r < n; r++)
			label[first + r] = g->t->label[rows->row[first + r]];
	}
	pfree(mine);
	penalty = palloc(Max(g->nweights, 1) * sizeof(double));
	p.code = code;
	p.label = label;
	p.nweights = g->nweights;
	p.penalty = penalty;
	return p;
}

static void
SetPenalty(const Training *g, LogitProblem *p, double strength, double group_factor)
{
	double	   *penalty = (double *) p->penalty;

	for (int j = 0; j < g->nweights; j++)
		penalty[j] = strength;
	for (int t = 0; t < g->ninputs; t++)
		for (int j = 0; g->raw[t] == g->t->group && j < g->term[t].n; j++)
			penalty[g->term[t].offset + j] = strength * group_factor;
}

static void
Forget(Training *g, LogitProblem *p)
{
	g->t->used -= ProblemSize(g, p->n);
	pfree((void *) p->code);
	pfree((void *) p->label);
	pfree((void *) p->penalty);
}

/* Weights at first: none, and the base rate. */
static double *
FirstWeights(const LogitProblem *p)
{
	double	   *w = palloc0((p->nweights + 1) * sizeof(double));
	double		positives = 0.5;

	for (int i = 0; i < p->n; i++)
		positives += p->label[i];
	w[p->nweights] = log(positives / (p->n + 1 - positives));
	return w;
}

/* Which rows of a sample validate: fold numbers; -1 never does. Returns how many folds there are. */
static int
Folds(const Training *g, const Rows *sample, int8 *fold)
{
	bool		few = sample->n <= FOLD_ROWS && g->t->time == NULL;

	for (int i = 0; i < sample->n; i++)
	{
		double		chance = RowChance(g->t, sample->row[i], g->o->seed, 2);

		if (g->t->time != NULL)
			fold[i] = i >= sample->n - sample->n / 4 ? 0 : -1;
		else
			fold[i] = few ? (int) (chance * 5) : chance < 0.25 ? 0 : -1;
	}
	return few ? 5 : 1;
}

/* The mean loss of rows that validate; w: weights by fold, to go on from. */
static double
Trial(const LogitProblem *all, const int8 *fold, int nfolds, double **w)
{
	LogitProblem part = *all;
	uint16	   *code = MemoryContextAllocHuge(CurrentMemoryContext, Max((size_t) all->n * all->nterms, 1) * sizeof(uint16));
	uint8	   *label = palloc(Max(all->n, 1));
	double		loss = 0;
	int			n = 0;

	part.code = code;
	part.label = label;
	for (int f = 0; f < nfolds; f++)
	{
		int			steps;

		part.n = 0;
		for (int i = 0; i < all->n; i++)
			if (fold[i] != f)
			{
				memcpy(code + (size_t) part.n * all->nterms, all->code + (size_t) i * all->nterms, all->nterms * sizeof(uint16));
				label[part.n++] = all->label[i];
			}
		if (w[f] == NULL)
			w[f] = FirstWeights(&part);
		LogitSolve(&part, w[f], TRIAL_TOLERANCE, &steps);
		for (int i = 0; i < all->n; i++)
			if (fold[i] == f)
			{
				loss += LogLoss(LogitScore(all, w[f], i), all->label[i]);
				n++;
			}
	}
	pfree(code);
	pfree(label);
	return n > 0 ? loss / n : INFINITY;
}

typedef struct PairGain
{
	double		gain;
	int			a;
	int			b;
} PairGain;

static int
PairCmp(const void *x, const void *y)
{
	const PairGain *p = x;
	const PairGain *q = y;

	if (p->gain != q->gain)
		return p->gain > q->gain ? -1 : 1;
	return p->a != q->a ? p->a - q->a : p->b - q->b;
}

/* The pairs of inputs whose cells explain most of what their own weights leave, beyond chance. */
static void
FindPairs(Training *g, const Rows *sample, const LogitProblem *p, const double *w)
{
	int			most = g->o->interactions;
	int64		npairs = (int64) g->ninputs * (g->ninputs - 1) / 2;
	int			n = (int) Min(sample->n, Max(2000, PAIR_LOOKS / Max(npairs, 1)));
	double	   *e = palloc(n * sizeof(double));
	double	   *h = palloc(n * sizeof(double));
	uint8	   *level = MemoryContextAllocHuge(CurrentMemoryContext, Max((size_t) n * g->ninputs, 1));
	PairGain	best[PREDICT_MAX_PAIRS + 1];
	int			nbest = 0;

	g->ncandidates = 0;
	for (int i = 0; i < n; i++)
	{
		double		prob = Sigmoid(LogitScore(p, w, i));

		e[i] = p->label[i] - prob;
		h[i] = prob * (1 - prob);
	}
	for (int a = 0; a < g->ninputs; a++)
		for (int i = 0; i < n; i++)
			level[(size_t) a * n + i] = g->binning[a].level[InputCode(g, a, sample->row[i])];
	for (int a = 0; a < g->ninputs && most > 0; a++)
		for (int b = a + 1; b < g->ninputs; b++)
		{
			double		se[PREDICT_MAX_LEVELS * PREDICT_MAX_LEVELS] = {0};
			double		sh[PREDICT_MAX_LEVELS * PREDICT_MAX_LEVELS] = {0};
			int			nb = g->binning[b].nlevels;
			const uint8 *la = level + (size_t) a * n;
			const uint8 *lb = level + (size_t) b * n;
			double		gain = 0;

			CHECK_FOR_INTERRUPTS();
			for (int i = 0; i < n; i++)
			{
				int			cell = la[i] * nb + lb[i];

				se[cell] += e[i];
				sh[cell] += h[i];
			}
			for (int c = 0; c < g->binning[a].nlevels * nb; c++)
				gain += sh[c] > 0 ? se[c] * se[c] / (sh[c] + 1) - 1 : 0;
			if (gain <= 0)
				continue;
			best[nbest++] = (PairGain) {gain, a, b};
			qsort(best, nbest, sizeof(PairGain), PairCmp);
			nbest = Min(nbest, most);
		}
	for (int k = 0; k < nbest; k++)
	{
		g->candidate[k][0] = best[k].a;
		g->candidate[k][1] = best[k].b;
	}
	g->ncandidates = nbest;
	pfree(e);
	pfree(h);
	pfree(level);
}

/* Bins, strength, interactions: what does best on rows that validate. */
static void
Choose(Training *g, const Rows *fit)
{
	Rows		sample = RowsThin(g->t, fit, TRIAL_ROWS);
	int8	   *fold = palloc(Max(sample.n, 1));
	int			nfolds = Folds(g, &sample, fold);
	int			nbins = g->o->bins > 0 ? 1 : lengthof(bin_choices);
	double		best = INFINITY;
	int			best_bins = g->o->bins > 0 ? g->o->bins : bin_choices[0];
	LogitProblem p;
	double		loss;
	bool		chosen = g->o->strength > 0;

	g->group_factor = 1;
	g->strength = g->o->strength;
	for (int k = 0; k < nbins && !(nbins == 1 && chosen); k++)
	{
		double	   *w[5] = {0};

		SetBins(g, g->o->bins > 0 ? g->o->bins : bin_choices[k], &sample);
		p = Encode(g, &sample);
		for (int s = 0; s < (chosen ? 1 : lengthof(strength_choices)); s++)
		{
			double		strength = chosen ? g->o->strength : strength_choices[s];

			SetPenalty(g, &p, strength, 1);
			loss = Trial(&p, fold, nfolds, w);
			if (loss < best)
			{
				best = loss;
				best_bins = g->bins;
				g->strength = strength;
			}
		}
		Forget(g, &p);
	}
	SetBins(g, best_bins, &sample);
	if (g->t->group >= 0)
	{
		double		factor[] = {1, 10, 100};
		double		least = INFINITY;

		p = Encode(g, &sample);
		for (int k = 0; k < lengthof(factor); k++)
		{
			double	   *w[5] = {0};

			SetPenalty(g, &p, g->strength, factor[k]);
			loss = Trial(&p, fold, nfolds, w);
			if (loss < least)
			{
				least = loss;
				g->group_factor = factor[k];
			}
		}
		best = least;
		Forget(g, &p);
	}
	if (g->o->interactions > 0 && g->ninputs > 1)
	{
		int			steps;
		int			keep = 0;
		double	   *w;

		p = Encode(g, &sample);
		SetPenalty(g, &p, g->strength, g->group_factor);
		w = FirstWeights(&p);
		LogitSolve(&p, w, TRIAL_TOLERANCE, &steps);
		FindPairs(g, &sample, &p, w);
		if (isinf(best))
		{
			double	   *first[5] = {0};

			best = Trial(&p, fold, nfolds, first);
		}
		pfree(w);
		Forget(g, &p);
		for (int n = g->ncandidates; n > 0; n = n > 3 ? 3 : 0)
		{
			double	   *first[5] = {0};

			SetPairs(g, n);
			p = Encode(g, &sample);
			SetPenalty(g, &p, g->strength, g->group_factor);
			loss = Trial(&p, fold, nfolds, first);
			Forget(g, &p);
			if (loss < best - LEAST_GAIN * best)
			{
				best = loss;
				keep = n;
			}
		}
		SetPairs(g, keep);
	}
}

/* Columns that give the answer away, by name: the rates of one half of the rows, tried on the other. */
static void
FindLeaks(Training *g, const Rows *fit)
{
	Rows		sample = RowsThin(g->t, fit, TRIAL_ROWS);
	Scored	   *s = palloc(Max(sample.n, 1) * sizeof(Scored));
	StringInfoData names;
	int			n = 0;

	initStringInfo(&names);
	SetBins(g, 50, &sample);
	for (int i = 0; i < g->ninputs; i++)
	{
		RawInput   *in = &g->t->input[g->raw[i]];
		double		rows[PREDICT_MAX_CATEGORIES + PREDICT_MAX_BINS + 2] = {0};
		double		positives[PREDICT_MAX_CATEGORIES + PREDICT_MAX_BINS + 2] = {0};
		int			tried = 0;

		for (int r = 0; r < sample.n; r += 2)
		{
			int			c = InputCode(g, i, sample.row[r]);

			rows[c]++;
			positives[c] += g->t->label[sample.row[r]];
		}
		for (int r = 1; r < sample.n; r += 2)
		{
			int			c = InputCode(g, i, sample.row[r]);

			s[tried++] = (Scored) {(positives[c] + 0.5) / (rows[c] + 1), g->t->label[sample.row[r]]};
		}
		if (MeasureAuc(s, tried) >= PREDICT_LEAK_AUC)
		{
			appendStringInfo(&names, "%s\"%s\"", n++ > 0 ? ", " : "", g->t->column[in->column]);
			in->dropped = g->o->leak == LEAK_DROP;
		}
	}
	pfree(s);
	if (n == 0 || g->o->leak == LEAK_ALLOW)
		return;
	if (g->o->leak == LEAK_REFUSE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": %s alone tells the answer", g->model, names.data),
				 errdetail("The AUC by a single column is at least %.2f. Such a column is usually written with the outcome or after it, and would not be known when the model is asked.", PREDICT_LEAK_AUC),
				 errhint("Leave it out with the option \"exclude\" or \"leak\": \"drop\"; or, if it is known beforehand, give \"leak\": \"allow\".")));
	ereport(NOTICE,
			(errmsg("model \"%s\": %s alone tells the answer, and is left out", g->model, names.data)));
	/* without those */
	{
		int			kept = 0;

		for (int i = 0; i < g->ninputs; i++)
		{
			if (g->t->input[g->raw[i]].dropped)
				continue;
			g->raw[kept] = g->raw[i];
			g->sorted[kept] = g->sorted[i];
			g->nsorted[kept] = g->nsorted[i];
			g->code_of_id[kept] = g->code_of_id[i];
			g->binning[kept++] = g->binning[i];
		}
		g->ninputs = kept;
	}
}

/* What trees see of codes: a number's bin; a category's log-odds among the rows. */
static float **
Ranks(Training *g, const Rows *rows)
{
	float	  **rank = palloc(Max(g->ninputs, 1) * sizeof(float *));
	double		base = (double) Positives(g->t, rows) / rows->n;

	for (int i = 0; i < g->ninputs; i++)
	{
		Binning    *b = &g->binning[i];
		double	   *n = palloc0(b->ncodes * sizeof(double));
		double	   *positives = palloc0(b->ncodes * sizeof(double));

		CHECK_FOR_INTERRUPTS();
		rank[i] = palloc(b->ncodes * sizeof(float));
		for (int r = 0; b->category && r < rows->n; r++)
		{
			int			c = InputCode(g, i, rows->row[r]);

			n[c]++;
			positives[c] += g->t->label[rows->row[r]];
		}
		for (int c = 0; c < b->ncodes; c++)
			rank[i][c] = c == CODE_MISSING ? NAN : !b->category ? c :
				log((positives[c] + RANK_PRIOR * base) / (n[c] - positives[c] + RANK_PRIOR * (1 - base)));
		pfree(n);
		pfree(positives);
	}
	return rank;
}

/* Trees of the rows `fit`; those that validate (NULL: none) say how many rounds. */
static Forest *
GrowTrees(Training *g, const Rows *fit, const Rows *valid, float **rank, int rounds)
{
	int			n = fit->n + (valid ? valid->n : 0);
	size_t		cells = (size_t) n * g->ninputs;
	TreesOptions o = {rounds, g->o->depth, g->o->rate, g->o->seed};
	Forest	   *forest = palloc0(sizeof(Forest));
	float	   *x;
	uint8	   *label;

	/* the library's own copies: entries of 8 bytes, pages, bins; and histograms */
	PredictCharge(g->t, cells * (sizeof(float) + 20) + (size_t) n * 64);
	x = MemoryContextAllocHuge(CurrentMemoryContext, Max(cells, 1) * sizeof(float));
	label = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1));
	for (int r = 0; r < n; r++)
	{
		int			row = r < fit->n ? fit->row[r] : valid->row[r - fit->n];

		if ((r & 4095) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < g->ninputs; i++)
			x[(size_t) r * g->ninputs + i] = rank[i][InputCode(g, i, row)];
		label[r] = g->t->label[row];
	}
	TreesGrow(x, label, fit->n, n - fit->n, g->ninputs, &o, forest);
	pfree(x);
	pfree(label);
	g->t->used -= cells * (sizeof(float) + 20) + (size_t) n * 64;
	return forest;
}

static PredictModel
Assemble(Training *g, double *w, float **rank, Forest *forest)
{
	PredictModel m = {0};
	int		   *column = palloc(g->t->ncolumns * sizeof(int));

	m.column = palloc(g->t->ncolumns * sizeof(char *));
	m.kind = palloc(g->t->ncolumns * sizeof(ColumnKind));
	m.input_column = palloc(Max(g->ninputs, 1) * sizeof(int));
	m.input_part = palloc(Max(g->ninputs, 1) * sizeof(InputPart));
	for (int c = 0; c < g->t->ncolumns; c++)
		column[c] = -1;
	for (int i = 0; i < g->ninputs; i++)
	{
		int			c = g->t->input[g->raw[i]].column;

		if (column[c] < 0)
		{
			column[c] = m.ncolumns;
			m.column[m.ncolumns] = g->t->column[c];
			m.kind[m.ncolumns++] = g->t->kind[c];
		}
		m.input_column[i] = column[c];
		m.input_part[i] = g->t->input[g->raw[i]].part;
	}
	m.ninputs = g->ninputs;
	m.binning = g->binning;
	m.nterms = g->nterms;
	m.term = g->term;
	m.nweights = g->nweights;
	m.weight = w;
	m.rank = rank;
	m.forest = forest;
	m.scale = 1;
	return m;
}

/* The scores of rows by a model that is not calibrated yet. */
static Scored *
ScoreRows(Training *g, const PredictModel *m, const Rows *rows)
{
	PredictBlob *blob = PredictBlobBuild(m);
	uint16	   *code = palloc(Max(g->ninputs, 1) * sizeof(uint16));
	Scored	   *s;

	PredictCharge(g->t, (size_t) rows->n * sizeof(Scored));
	s = MemoryContextAllocHuge(CurrentMemoryContext, Max(rows->n, 1) * sizeof(Scored));
	for (int r = 0; r < rows->n; r++)
	{
		if ((r & 4095) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < g->ninputs; i++)
			code[i] = InputCode(g, i, rows->row[r]);
		s[r] = (Scored) {PredictScore(blob, code), g->t->label[rows->row[r]]};
	}
	pfree(blob);
	pfree(code);
	return s;
}

static int
Store(const char *model, const RawTable *t, Datum options, const char *metrics, const PredictBlob *blob)
{
	static SqlPlan plan = {
		"SELECT revops.store_model($1, 'predict', $2, $3, $4, $5::pg_catalog.jsonb, $6, $7)::pg_catalog.int8", 7,
		{TEXTOID, TEXTARRAYOID, JSONBOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID}
	};
	Datum		labels[2] = {CStringGetTextDatum("false"), CStringGetTextDatum("true")};
	bytea	   *stored = palloc(VARHDRSZ + blob->size);
	Datum		values[7];
	int			level;
	int			version;

	SET_VARSIZE(stored, VARHDRSZ + blob->size);
	memcpy(VARDATA(stored), blob, blob->size);
	values[0] = CStringGetTextDatum(model);
	values[1] = PointerGetDatum(construct_array(labels, 2, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = options;
	values[3] = CStringGetTextDatum(psprintf("%016llx", (unsigned long long) t->fingerprint));
	values[4] = CStringGetTextDatum(metrics);
	values[5] = Int32GetDatum(t->n);
	values[6] = PointerGetDatum(stored);
	level = SqlConnect();
	version = (int) SqlInt8(&plan, values, NULL, 0);
	SqlFinish(level);
	return version;
}

/* Too little, or one answer only: nothing to learn from. */
static void
CheckRows(const char *model, const RawTable *t, int positives)
{
	int			fewer = Min(positives, t->n - positives);

	if (t->unlabelled > 0)
		ereport(NOTICE,
				(errmsg("model \"%s\": %lld rows without an answer are left out", model, (long long) t->unlabelled)));
	if (t->undated > 0)
		ereport(NOTICE,
				(errmsg("model \"%s\": %lld rows without a time are left out", model, (long long) t->undated)));
	if (t->n > 0 && fewer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": all %d answers are %s", model, t->n, positives > 0 ? "yes" : "no"),
				 errhint("Give examples of both answers.")));
	if (t->n < PREDICT_MIN_ROWS || fewer < PREDICT_MIN_CLASS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": too little to learn from", model),
				 errdetail("There are %d rows with an answer, %d of them yes. The least is %d rows, with %d of each answer.", t->n, positives, PREDICT_MIN_ROWS, PREDICT_MIN_CLASS),
				 errhint("Wait for more outcomes, or take a longer time of the past.")));
}

/* The calibration, and what the rows held out say, as members of a JSON object. */
static void
MeasureHeld(Training *g, Scored *s, int n, double *scale, double *shift, StringInfo json)
{
	Measure		m;
	int			positives = 0;

	*scale = 1;
	*shift = 0;
	appendStringInfo(json, ", \"held_out\": %d", n);
	for (int i = 0; i < n; i++)
		positives += s[i].label;
	if (n < MEASURE_LEAST || positives < 5 || n - positives < 5)
		return;
	PlattFit(s, n, scale, shift);
	if (*scale == 0)
		*shift = log(((double) positives + 0.5) / (n - positives + 0.5));
	for (int i = 0; i < n; i++)
		s[i].score = Sigmoid(*scale * s[i].score + *shift);
	MeasureAll(s, n, &m);
	appendStringInfo(json, ", \"auc\": %.4f, \"auc_low\": %.4f, \"auc_high\": %.4f, \"brier\": %.5f, \"log_loss\": %.5f, \"base_log_loss\": %.5f, \"calibration_error\": %.4f, \"learnt\": %s",
					 m.auc, Max(0, m.auc - 1.96 * m.auc_error), Min(1, m.auc + 1.96 * m.auc_error), m.brier, m.log_loss, m.base_log_loss, m.calibration_error,
					 m.auc - 1.96 * m.auc_error > 0.5 ? "true" : "false");
	if (!(m.auc - 1.96 * m.auc_error > 0.5))
		ereport(WARNING,
				(errmsg("model \"%s\": nothing can be learnt from these columns", g->model),
				 errdetail("On the %d rows held out the AUC is %.3f, with a 95%% interval from %.3f to %.3f: no better than a toss.",
						   n, m.auc, Max(0, m.auc - 1.96 * m.auc_error), Min(1, m.auc + 1.96 * m.auc_error))));
}

int
PredictTrain(const char *model, const char *query, const char *label_column, Datum options)
{
	PredictOptions o;
	RawTable	table;
	Training	g = {model, &table, &o};
	Rows		all;
	Rows		fit;
	Rows		held;
	int			positives;
	double	   *w = NULL;
	float	  **rank = NULL;
	Forest	   *forest = NULL;
	PredictModel m;
	LogitProblem p;
	double		objective = NAN;
	double		scale,
				shift;
	int			steps = 0;
	StringInfoData json;

	PredictOptionsRead(&o, options);
	if (o.trees && TreesMissing() != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the option \"trees\" cannot be used here: %s", TreesMissing()),
				 errhint("Install the package libxgboost0 on the server, or train without \"trees\".")));
	PredictGather(&table, query, label_column, &o);
	all = RowsMake(&table, table.n);
	for (all.n = 0; all.n < table.n; all.n++)
		all.row[all.n] = all.n;
	positives = Positives(&table, &all);
	CheckRows(model, &table, positives);
	Prepare(&g);
	Divide(&table, &all, o.held_out, o.seed, 1, &fit, &held);
	if (Positives(&table, &fit) == 0 || Positives(&table, &fit) == fit.n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": all answers before those held out are the same", model),
				 errhint("Give a longer time of the past, or a smaller \"held_out\".")));
	FindLeaks(&g, &fit);
	if (g.ninputs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": no column is left to learn from", model),
				 errhint("Columns that are the same in every row, have too many different values, or give the answer away are left out.")));
	initStringInfo(&json);
	appendStringInfo(&json, "{\"method\": \"%s\", \"examples\": %d, \"positives\": %d, \"base_rate\": %.5f, \"inputs\": %d, \"split\": \"%s\"",
					 o.trees ? "trees" : "logistic", table.n, positives, (double) positives / table.n, g.ninputs, table.time ? "time" : "random");
	if (o.trees)
	{
		Rows		teach;
		Rows		valid;
		Rows		sample = RowsThin(&table, &fit, TRIAL_ROWS);
		Forest	   *first;

		SetBins(&g, TREE_BINS, &sample);
		Divide(&table, &fit, 0.2, o.seed, 3, &teach, &valid);
		rank = Ranks(&g, &teach);
		first = GrowTrees(&g, &teach, &valid, rank, o.rounds);
		m = Assemble(&g, NULL, rank, first);
		appendStringInfo(&json, ", \"rounds\": %d, \"depth\": %d", first->ntrees, o.depth);
		MeasureHeld(&g, ScoreRows(&g, &m, &held), held.n, &scale, &shift, &json);
		rank = Ranks(&g, &all);
		forest = GrowTrees(&g, &all, NULL, rank, Max(first->ntrees, 1));
	}
	else
	{
		Choose(&g, &fit);
		if (held.n > 0)
		{
			Rows		teach = RowsThin(&table, &fit, HELD_FIT_ROWS);

			p = Encode(&g, &teach);
			SetPenalty(&g, &p, g.strength, g.group_factor);
			w = FirstWeights(&p);
			LogitSolve(&p, w, TOLERANCE, &steps);
			Forget(&g, &p);
			m = Assemble(&g, w, NULL, NULL);
		}
		else
			m = (PredictModel) {0};
		appendStringInfo(&json, ", \"weights\": %d, \"bins\": %d, \"strength\": %g, \"interactions\": %d", g.nweights, g.bins, g.strength, g.nterms - g.ninputs);
		MeasureHeld(&g, held.n > 0 ? ScoreRows(&g, &m, &held) : NULL, held.n, &scale, &shift, &json);
		p = Encode(&g, &all);
		SetPenalty(&g, &p, g.strength, g.group_factor);
		if (w == NULL)
			w = FirstWeights(&p);
		objective = LogitSolve(&p, w, TOLERANCE, &steps);
		Forget(&g, &p);
	}
	m = Assemble(&g, w, rank, forest);
	m.scale = scale;
	m.shift = shift;
	m.base_rate = (double) positives / table.n;
	appendStringInfo(&json, ", \"scale\": %.6g, \"shift\": %.6g", scale, shift);
	if (!isnan(objective))
		appendStringInfo(&json, ", \"objective\": %.10g, \"steps\": %d", objective, steps);
	appendStringInfoChar(&json, '}');
	return Store(model, &table, options, json.data, PredictBlobBuild(&m));
}
