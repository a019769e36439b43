/*
 * predict_choose.c
 *	  How the rows of a yes-or-no question become codes, and which settings do best: bins, the strength of the penalty, interactions; columns that
 *	  give the answer away.
 *
 * Every choice is made on rows that validate: five folds while there are few, one part of a sample where there are many, the latest where rows
 * have a time.
 */
#include "learn/predict_train.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define SAMPLE_ROWS		50000	/* for the edges of bins */
#define FOLD_ROWS		20000	/* up to so many, five folds */
#define PAIR_LOOKS		INT64CONST(400000000)	/* rows times pairs */
#define LEAST_GAIN		0.0005	/* of the loss, for interactions to be worth it */
#define ENCODE_ROWS		512		/* at once */
#define TRIAL_TOLERANCE	1e-6

static const int bin_choices[] = {8, 20, 50};
static const double strength_choices[] = {3000, 300, 30, 3, 0.3};	/* each goes on from the one before */

static double
RowChance(const RawTable *t, int row, int seed, int salt)
{
	uint64		h = hash_uint32_extended((uint32) t->digest[row], hash_combine64(t->digest[row], (uint64) seed * 16 + salt));

	return (h >> 11) * (1.0 / (UINT64CONST(1) << 53));
}

Rows
TrainRowsMake(RawTable *t, int most)
{
	Rows		r = {0};

	PredictCharge(t, (size_t) most * sizeof(int));
	r.row = MemoryContextAllocHuge(CurrentMemoryContext, Max(most, 1) * sizeof(int));
	return r;
}

/* At most so many of them, at even distances. */
Rows
TrainRowsThin(RawTable *t, const Rows *from, int most)
{
	Rows		r;

	if (from->n <= most)
		return *from;
	r = TrainRowsMake(t, most);
	for (r.n = 0; r.n < most; r.n++)
		r.row[r.n] = from->row[(int64) r.n * from->n / most];
	return r;
}

/* `later` gets the share that is held out: the latest rows, or a random part. Every row is in one of them. */
void
TrainDivide(RawTable *t, const Rows *from, double share, int seed, int salt, Rows *earlier, Rows *later)
{
	int			cut = from->n - (int) (from->n * share);

	*earlier = TrainRowsMake(t, from->n);
	*later = TrainRowsMake(t, from->n);
	for (int i = 0; i < from->n; i++)
	{
		bool		out = t->time ? i >= cut : RowChance(t, from->row[i], seed, salt) < share;

		if (out)
			later->row[later->n++] = from->row[i];
		else
			earlier->row[earlier->n++] = from->row[i];
	}
}

int
TrainPositives(const RawTable *t, const Rows *r)
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
void
TrainPrepare(Training *g)
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
void
TrainSetBins(Training *g, int bins, const Rows *rows)
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
			count[TrainInputCode(g, i, rows->row[r])]++;
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
LogitProblem
TrainEncode(Training *g, const Rows *rows)
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

void
TrainSetPenalty(const Training *g, LogitProblem *p, double strength, double group_factor)
{
	double	   *penalty = (double *) p->penalty;

	for (int j = 0; j < g->nweights; j++)
		penalty[j] = strength;
	for (int t = 0; t < g->ninputs; t++)
		for (int j = 0; g->raw[t] == g->t->group && j < g->term[t].n; j++)
			penalty[g->term[t].offset + j] = strength * group_factor;
}

void
TrainForget(Training *g, LogitProblem *p)
{
	g->t->used -= ProblemSize(g, p->n);
	pfree((void *) p->code);
	pfree((void *) p->label);
	pfree((void *) p->penalty);
}

/* Weights at first: none, and the base rate. */
double *
TrainFirstWeights(const LogitProblem *p)
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
			w[f] = TrainFirstWeights(&part);
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
			level[(size_t) a * n + i] = g->binning[a].level[TrainInputCode(g, a, sample->row[i])];
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
void
TrainChoose(Training *g, const Rows *fit)
{
	Rows		sample = TrainRowsThin(g->t, fit, TRIAL_ROWS);
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

		TrainSetBins(g, g->o->bins > 0 ? g->o->bins : bin_choices[k], &sample);
		p = TrainEncode(g, &sample);
		for (int s = 0; s < (chosen ? 1 : lengthof(strength_choices)); s++)
		{
			double		strength = chosen ? g->o->strength : strength_choices[s];

			TrainSetPenalty(g, &p, strength, 1);
			loss = Trial(&p, fold, nfolds, w);
			if (loss < best)
			{
				best = loss;
				best_bins = g->bins;
				g->strength = strength;
			}
		}
		TrainForget(g, &p);
	}
	TrainSetBins(g, best_bins, &sample);
	if (g->t->group >= 0)
	{
		double		factor[] = {1, 10, 100};
		double		least = INFINITY;

		p = TrainEncode(g, &sample);
		for (int k = 0; k < lengthof(factor); k++)
		{
			double	   *w[5] = {0};

			TrainSetPenalty(g, &p, g->strength, factor[k]);
			loss = Trial(&p, fold, nfolds, w);
			if (loss < least)
			{
				least = loss;
				g->group_factor = factor[k];
			}
		}
		best = least;
		TrainForget(g, &p);
	}
	if (g->o->interactions > 0 && g->ninputs > 1)
	{
		int			steps;
		int			keep = 0;
		double	   *w;

		p = TrainEncode(g, &sample);
		TrainSetPenalty(g, &p, g->strength, g->group_factor);
		w = TrainFirstWeights(&p);
		LogitSolve(&p, w, TRIAL_TOLERANCE, &steps);
		FindPairs(g, &sample, &p, w);
		if (isinf(best))
		{
			double	   *first[5] = {0};

			best = Trial(&p, fold, nfolds, first);
		}
		pfree(w);
		TrainForget(g, &p);
		for (int n = g->ncandidates; n > 0; n = n > 3 ? 3 : 0)
		{
			double	   *first[5] = {0};

			SetPairs(g, n);
			p = TrainEncode(g, &sample);
			TrainSetPenalty(g, &p, g->strength, g->group_factor);
			loss = Trial(&p, fold, nfolds, first);
			TrainForget(g, &p);
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
void
TrainFindLeaks(Training *g, const Rows *fit)
{
	Rows		sample = TrainRowsThin(g->t, fit, TRIAL_ROWS);
	Scored	   *s = palloc(Max(sample.n, 1) * sizeof(Scored));
	StringInfoData names;
	int			n = 0;

	initStringInfo(&names);
	TrainSetBins(g, 50, &sample);
	for (int i = 0; i < g->ninputs; i++)
	{
		RawInput   *in = &g->t->input[g->raw[i]];
		double		rows[PREDICT_MAX_CATEGORIES + PREDICT_MAX_BINS + 2] = {0};
		double		positives[PREDICT_MAX_CATEGORIES + PREDICT_MAX_BINS + 2] = {0};
		int			tried = 0;

		for (int r = 0; r < sample.n; r += 2)
		{
			int			c = TrainInputCode(g, i, sample.row[r]);

			rows[c]++;
			positives[c] += g->t->label[sample.row[r]];
		}
		for (int r = 1; r < sample.n; r += 2)
		{
			int			c = TrainInputCode(g, i, sample.row[r]);

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
				 errdetail("The AUC by a single column is at least %.2f. Such a column is usually written with the outcome or after it, "
						   "and would not be known when the model is asked.", PREDICT_LEAK_AUC),
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
