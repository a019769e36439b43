/*
 * learn.c
 *	  What cases teach of a pipeline: counts where their stages are known, expected counts where they are not.
 *
 * Where a stage is known, the probability of all others at that row is 0, so one recursion serves cases that are labelled, not labelled, and
 * labelled in part. Of the renewal kind, counting and building in turns is exact expectation-maximization (Baum et al., 1970), but for the
 * smoothing; of the generator matrix it is an approximation, which takes it that a stage changes at most once between two rows.
 *
 * Smoothing backs off, each level worth BACK_OFF observations: what follows a pair of symbols in a pair of stages, on what follows in that pair
 * of stages, on what the stage shows, on what all show.
 */
#include "stage/model.h"

#include <math.h>

#define BACK_OFF	8.0

static double *
Zeros(size_t n)
{
	return palloc0(Max(n, 1) * sizeof(double));
}

StageCounts *
StageCountsMake(int stages, int symbols, int npairs, const int32 *key)
{
	StageCounts *c = palloc0(sizeof(StageCounts));
	size_t		ss = stages * stages;

	c->stages = stages;
	c->symbols = symbols;
	c->npairs = npairs;
	c->key = key;
	c->context = Zeros((symbols + 1) * ss);
	c->wait = Zeros(symbols * STAGE_WAITS * ss);
	c->pair = Zeros(npairs * ss);
	c->shown = Zeros(symbols * stages);
	c->moves = Zeros(ss);
	c->dwell = Zeros(stages);
	c->first = Zeros(stages);
	return c;
}

void
StageCountsClear(StageCounts *c)
{
	size_t		ss = c->stages * c->stages;

	memset(c->context, 0, (c->symbols + 1) * ss * sizeof(double));
	memset(c->wait, 0, c->symbols * STAGE_WAITS * ss * sizeof(double));
	memset(c->pair, 0, c->npairs * ss * sizeof(double));
	memset(c->shown, 0, c->symbols * c->stages * sizeof(double));
	memset(c->moves, 0, ss * sizeof(double));
	memset(c->dwell, 0, c->stages * sizeof(double));
	memset(c->first, 0, c->stages * sizeof(double));
	c->loglik = 0;
	c->steps = 0;
}

static int
PairOf(const StageCounts *c, int32 key)
{
	int			low = 0,
				high = c->npairs;

	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (c->key[mid] < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->npairs && c->key[low] == key ? low : -1;
}

/* One step from stage i to j, by `weight` of a case */
static void
AddStep(StageCounts *c, int last, int symbol, int pair, int wait, int i, int j, double weight)
{
	int			s = c->stages;
	int			ij = i * s + j;

	c->context[last * s * s + ij] += weight;
	c->wait[(symbol * STAGE_WAITS + wait) * s * s + ij] += weight;
	if (pair >= 0)
		c->pair[pair * s * s + ij] += weight;
}

/* Time between two rows in stages i and j; exact: the change is at the second */
static void
AddTime(StageCounts *c, int i, int j, double ms, bool exact, double weight)
{
	if (i != j)
		c->moves[i * c->stages + j] += weight;
	c->dwell[i] += weight * ms * (i == j || exact ? 1 : 0.5);
	if (i != j && !exact)
		c->dwell[j] += weight * ms * 0.5;
}

static void
CountLabelled(StageCounts *c, const StageRow *rows, int n)
{
	int			last = c->symbols,
				before = 0;
	int64		at = 0;

	for (int k = 0; k < n; k++)
	{
		const StageRow *r = &rows[k];

		if (k > 0)
			AddTime(c, rows[k - 1].label, r->label, Max(r->at - rows[k - 1].at, 0) / 1000.0, r->symbol < 0, 1);
		if (r->symbol < 0)
			continue;
		AddStep(c, last, r->symbol, PairOf(c, last * c->symbols + r->symbol), StageWait(last == c->symbols ? 0 : r->at - at), before, r->label, 1);
		c->shown[r->symbol * c->stages + r->label]++;
		if (last == c->symbols)
			c->first[r->label]++;
		last = r->symbol;
		before = r->label;
		at = r->at;
		c->steps++;
	}
}

/* Forward and backward over the rows with a symbol (the number is in `use`) */
static void
CountExpected(StageCounts *c, const StageModel *m, const StageRow *rows, const int *use, int n)
{
	int			s = c->stages,
				ss = s * s;
	double	   *step = palloc((size_t) n * ss * sizeof(double));
	double	   *alpha = palloc((size_t) (n + 1) * s * sizeof(double));
	double		beta[STAGE_MAX_STAGES],
				was[STAGE_MAX_STAGES];
	double	   *scale = palloc(n * sizeof(double));
	bool		possible = true;

	memcpy(alpha, m->initial, s * sizeof(double));
	for (int k = 0; k < n && possible; k++)
	{
		const StageRow *r = &rows[use[k]];
		double	   *f = step + (size_t) k * ss,
				   *a = alpha + (size_t) k * s;

		StageStepMatrix(m, k > 0 ? rows[use[k - 1]].symbol : c->symbols, r->symbol, k > 0 ? r->at - rows[use[k - 1]].at : 0, f);
		if (r->label >= 0)
			for (int i = 0; i < s; i++)
				for (int j = 0; j < s; j++)
					if (j != r->label)
						f[i * s + j] = 0;
		scale[k] = 0;
		memset(a + s, 0, s * sizeof(double));
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
				a[s + j] += a[i] * f[i * s + j];
		for (int j = 0; j < s; j++)
			scale[k] += a[s + j];
		possible = scale[k] > 0 && isfinite(scale[k]);
		for (int j = 0; j < s && possible; j++)
			a[s + j] /= scale[k];
	}
	for (int j = 0; j < s; j++)
		beta[j] = 1;
	for (int k = n - 1; k >= 0 && possible; k--)
	{
		const StageRow *r = &rows[use[k]];
		const double *f = step + (size_t) k * ss,
				   *a = alpha + (size_t) k * s;
		int			last = k > 0 ? rows[use[k - 1]].symbol : c->symbols;
		int64		dt = k > 0 ? r->at - rows[use[k - 1]].at : 0;
		int			pair = PairOf(c, last * c->symbols + r->symbol),
					wait = StageWait(dt);

		memset(was, 0, sizeof(was));
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
			{
				double		x = a[i] * f[i * s + j] * beta[j] / scale[k];

				was[i] += f[i * s + j] * beta[j] / scale[k];
				if (x <= 0)
					continue;
				AddStep(c, last, r->symbol, pair, wait, i, j, x);
				c->shown[r->symbol * s + j] += x;
				if (k > 0)
					AddTime(c, i, j, Max(dt, 0) / 1000.0, false, x);
				else
					c->first[j] += x;
			}
		memcpy(beta, was, sizeof(beta));
		c->loglik += log(scale[k]);
		c->steps++;
	}
	pfree(scale);
	pfree(alpha);
	pfree(step);
}

/* Add a case. m, which may be NULL where every row is labelled, says what the stages of the others may be. */
void
StageCount(StageCounts *c, const StageModel *m, const StageRow *rows, int n)
{
	bool		labelled = true;
	int		   *use;
	int			nuse = 0;

	n = Min(n, STAGE_MAX_CASE);
	for (int k = 0; k < n; k++)
		labelled = labelled && rows[k].label >= 0;
	if (labelled)
	{
		CountLabelled(c, rows, n);
		return;
	}
	if (m == NULL)
		return;
	use = palloc(Max(n, 1) * sizeof(int));
	for (int k = 0; k < n; k++)
		if (rows[k].symbol >= 0)
			use[nuse++] = k;
	if (nuse > 0)
		CountExpected(c, m, rows, use, nuse);
	pfree(use);
}

/* The generator matrix: moves over time, with one more move as the prior has it */
static void
BuildGenerator(StageModel *m, const StageCounts *c, const StagePrior *prior)
{
	int			s = c->stages;
	double		q[STAGE_MAX_STAGES * STAGE_MAX_STAGES] = {0};
	double		all_moves = 0,
				all_dwell = 0;

	for (int i = 0; i < s; i++)
	{
		all_dwell += c->dwell[i];
		for (int j = 0; j < s; j++)
			all_moves += c->moves[i * s + j];
	}
	for (int i = 0; i < s; i++)
	{
		double		moves = 0,
					usual,
					weight = 0;

		for (int j = 0; j < s; j++)
		{
			moves += c->moves[i * s + j];
			weight += prior->move[i][j];
		}
		usual = moves > 0 ? c->dwell[i] / moves : weight >= 0.5 && all_moves > 0 ? all_dwell / all_moves : prior->dwell[i];
		usual = Max(usual, 1000);
		for (int j = 0; j < s; j++)
			if (j != i)
			{
				q[i * s + j] = (c->moves[i * s + j] + prior->strength * prior->move[i][j]) / (c->dwell[i] + prior->strength * usual + 1);
				q[i * s + i] -= q[i * s + j];
			}
	}
	StageSetGenerator(m, q);
}

/* P(symbol | stage), smoothed on what all stages show and on hints; [V][S] */
static double *
Shown(const StageCounts *c, const StagePrior *prior)
{
	int			s = c->stages,
				v = c->symbols;
	double	   *e = Zeros(v * s);
	double		back = BACK_OFF * prior->strength;

	for (int j = 0; j < s; j++)
	{
		double		total = 0,
					base_total = 0;

		for (int x = 0; x < v; x++)
		{
			double		all = 0.5 * prior->strength + 1e-12;

			for (int k = 0; k < s; k++)
				all += c->shown[x * s + k];
			e[x * s + j] = all * prior->hint[x * s + j];
			base_total += e[x * s + j];
			total += c->shown[x * s + j];
		}
		for (int x = 0; x < v; x++)
			e[x * s + j] = !prior->seen[x] ? 1e-3 * prior->hint[x * s + j] : (c->shown[x * s + j] + (back + 1e-12) * e[x * s + j] / base_total) / (total + back + 1e-12);
	}
	return e;
}

static void
BuildRenewal(StageModel *m, int order, const StageCounts *c, const StagePrior *prior)
{
	int			s = c->stages,
				v = c->symbols,
				ss = s * s;
	double		back = BACK_OFF * prior->strength + 1e-12;
	double	   *shown = Shown(c, prior);
	double	   *go = Zeros(ss),
			   *arc = Zeros(ss),
			   *mark = Zeros((size_t) v * ss),
			   *wait = Zeros(STAGE_WAITS * ss);
	double		plain[2][STAGE_WAITS] = {{0}},
				plain_total[2] = {0},
				been[STAGE_MAX_STAGES] = {0},
				steps = 0;

	/* over all symbols: the steps from i to j, and the times that they took */
	for (int x = 0; x <= v; x++)
		for (int ij = 0; ij < ss; ij++)
		{
			arc[ij] += c->context[x * ss + ij];
			been[ij % s] += c->context[x * ss + ij];
			steps += c->context[x * ss + ij];
		}
	for (int x = 0; x < v; x++)
		for (int w = 0; w < STAGE_WAITS; w++)
			for (int ij = 0; ij < ss; ij++)
			{
				double		n = c->wait[(x * STAGE_WAITS + w) * ss + ij];

				mark[x * ss + ij] += n;
				wait[w * ss + ij] += n;
				plain[ij / s != ij % s][w] += n;
				plain_total[ij / s != ij % s] += n;
			}
	for (int i = 0; i < s; i++)
	{
		double		total = 0,
					weight = 0,
					half = 0.5 * prior->strength + 1e-12;

		for (int j = 0; j < s; j++)
		{
			total += arc[i * s + j];
			weight += prior->move[i][j];
		}
		for (int j = 0; j < s; j++)
		{
			double		guess = i == j ? 0.7 : Max(prior->reach[i][j] ? 0.02 : 1e-4, weight > 0 ? 0.3 * prior->move[i][j] / weight : 0);

			/* where much was seen, a stage in which nothing was is no refuge for what surprises */
			guess *= Min(1, (been[j] + 1) / (0.1 * steps / s + 1));
			go[i * s + j] = (arc[i * s + j] + half * guess) / (total + half);
		}
	}
	for (int x = 0; x <= v; x++)
		for (int i = 0; i < s; i++)
		{
			double		total = 0;

			for (int j = 0; j < s; j++)
				total += c->context[x * ss + i * s + j];
			for (int j = 0; j < s; j++)
			{
				int			ij = i * s + j;
				double		n = c->context[x * ss + ij];
				double		a = order > 0 ? (n + back * go[ij]) / (total + back) : go[ij];

				m->context[x * ss + ij] = order > 0 ? a * back / (n + back) : a;
			}
		}
	for (int x = 0; x < v; x++)
		for (int ij = 0; ij < ss; ij++)
		{
			mark[x * ss + ij] = !prior->seen[x] ? shown[x * s + ij % s] : (mark[x * ss + ij] + back * shown[x * s + ij % s]) / (arc[ij] + back);
			m->mark[x * ss + ij] = mark[x * ss + ij];
		}
	for (int k = 0; k < m->h->npairs; k++)
	{
		int			last = c->key[k] / v,
					x = c->key[k] % v;

		m->key[k] = c->key[k];
		for (int i = 0; i < s; i++)
		{
			double		total = 0;

			for (int j = 0; j < s; j++)
				total += c->context[last * ss + i * s + j];
			for (int j = 0; j < s; j++)
			{
				int			ij = i * s + j;
				double		n = c->context[last * ss + ij];

				m->pair[k * ss + ij] = (n + back * go[ij]) / (total + back) * (c->pair[k * ss + ij] + back * mark[x * ss + ij]) / (n + back);
			}
		}
	}
	for (int ij = 0; ij < ss; ij++)
	{
		int			moved = ij / s != ij % s;

		for (int w = 0; w < STAGE_WAITS; w++)
		{
			double		half = 0.5 * prior->strength + 1e-12;
			double		q = (plain[moved][w] + half) / (plain_total[moved] + STAGE_WAITS * half);

			wait[w * ss + ij] = (wait[w * ss + ij] + back * q) / (arc[ij] + back);
		}
		for (int x = 0; x < v; x++)
		{
			double		total = 0;

			for (int w = 0; w < STAGE_WAITS; w++)
				total += c->wait[(x * STAGE_WAITS + w) * ss + ij];
			for (int w = 0; w < STAGE_WAITS; w++)
				m->wait[(x * STAGE_WAITS + w) * ss + ij] =
					(c->wait[(x * STAGE_WAITS + w) * ss + ij] + back * wait[w * ss + ij]) / (total + back);
		}
	}
	memset(m->initial, 0, s * sizeof(double));
	m->initial[0] = 1;
	pfree(wait);
	pfree(mark);
	pfree(arc);
	pfree(go);
	pfree(shown);
}

/* A model of the counts. order 0: the symbol before does not matter (renewal). */
void
StageBuild(StageModel *m, StageKind kind, int order, const StageCounts *c, const StagePrior *prior)
{
	int			s = c->stages;

	StageModelMake(m, kind, s, c->symbols, kind == STAGE_RENEWAL && order > 0 ? c->npairs : 0);
	BuildGenerator(m, c, prior);
	for (int x = 0; x < c->symbols; x++)
		m->seen[x] = prior->seen[x];
	if (kind == STAGE_RENEWAL)
		BuildRenewal(m, order, c, prior);
	else
	{
		double	   *shown = Shown(c, prior);
		double		total = prior->strength;

		memcpy(m->emission, shown, c->symbols * s * sizeof(double));
		for (int j = 0; j < s; j++)
			total += c->first[j];
		for (int j = 0; j < s; j++)
			m->initial[j] = total > 0 ? (c->first[j] + prior->strength * (j == 0 ? 0.9 : 0.1 / Max(s - 1, 1))) / total : j == 0;
		pfree(shown);
	}
}

/* Filter a case, and see how often the likeliest stage is the true one. */
void
StageEvaluate(const StageModel *m, const StageRow *rows, int n, StageQuality *q)
{
	int			s = m->h->stages;
	StageFilter f;

	StageFilterStart(m, &f);
	for (int k = 0; k < n; k++)
	{
		const StageRow *r = &rows[k];
		double		p[STAGE_MAX_STAGES];
		int			best = 0;

		if (r->symbol >= 0)
		{
			(void) StageFilterStep(m, &f, r->symbol, r->at);
			memcpy(p, f.p, sizeof(p));
		}
		else
			StagePredict(m, f.p, f.last == m->h->symbols ? 0 : r->at - f.at, p);
		if (r->label < 0)
			continue;
		for (int j = 1; j < s; j++)
			if (p[j] > p[best])
				best = j;
		q->rows++;
		q->rows_right += best == r->label;
		if (r->symbol < 0)
			continue;
		q->symbols++;
		q->right += best == r->label;
		q->logloss -= log(Max(p[r->label], 1e-9));
	}
}
