/*
 * solver.c
 *	  One-vs-rest linear classifiers by dual coordinate descent: squared hinge (Hsieh et al., ICML 2008, algorithm 1) and logistic
 *	  loss (Yu et al., Machine Learning 85, 2011, algorithm 5).
 *
 * minimise over w, b:  (|w|^2 + b^2) / 2 + C * sum of loss(y (w.x + b))
 *
 * The labels of a block are independent problems that share their examples, so they are solved side by side: the weights of one feature
 * for all of them are one cache line, and an example is read once for all. Coordinates are visited in a random order that depends on the
 * seed and the epoch alone; so the result depends on the data, the options and the seed, and on no order of anything else.
 */
#include "learn/learn.h"

#include "common/pg_prng.h"
#include "miscadmin.h"

#define MARGIN_MIN	1e-8		/* of a logistic alpha from its bounds 0 and C, relative to C */

/* Half of the labels of a block, side by side: as wide as a register can be. */
#define HALF	(LEARN_BLOCK / 2)

typedef float Lanes __attribute__((vector_size(HALF * sizeof(float)), aligned(4), may_alias));

#define ROW(w, feature)	((Lanes *) ((w) + (size_t) (feature) * LEARN_BLOCK))

/* scores of an example for the labels of the block */
LEARN_VECTOR static void
Scores(const uint32 *feature, const float *value, size_t n, const float *w, uint32 intercept, float *scores)
{
	Lanes		low = ROW(w, intercept)[0];
	Lanes		high = ROW(w, intercept)[1];

	for (size_t j = 0; j < n; j++)
	{
		const Lanes *row = ROW(w, feature[j]);

		__builtin_prefetch(ROW(w, feature[j + LEARN_AHEAD]));
		low += value[j] * row[0];
		high += value[j] * row[1];
	}
	((Lanes *) scores)[0] = low;
	((Lanes *) scores)[1] = high;
}

LEARN_VECTOR static void
Add(const uint32 *feature, const float *value, size_t n, float *w, uint32 intercept, const float *delta)
{
	Lanes		low = ((const Lanes *) delta)[0];
	Lanes		high = ((const Lanes *) delta)[1];

	ROW(w, intercept)[0] += low;
	ROW(w, intercept)[1] += high;
	for (size_t j = 0; j < n; j++)
	{
		Lanes	   *row = ROW(w, feature[j]);

		row[0] += value[j] * low;
		row[1] += value[j] * high;
	}
}

/* The new alpha of a logistic coordinate: Newton on log(a / (C - a)) + q (a - old) + margin = 0, kept inside (0, C). */
static double
LogisticAlpha(double old, double margin, double q, double c)
{
	double		lo = c * MARGIN_MIN,
				hi = c * (1 - MARGIN_MIN);
	double		a = Min(Max(old, lo), hi);

	for (int i = 0; i < 50; i++)
	{
		double		g = log(a / (c - a)) + q * (a - old) + margin;
		double		next;

		if (g > 0)
			hi = a;
		else
			lo = a;
		if (fabs(g) < 1e-7 || hi - lo < c * 1e-12)
			break;
		next = a - g / (q + c / (a * (c - a)));
		a = next > lo && next < hi ? next : (lo + hi) / 2;
	}
	return a;
}

void
SolverRun(const Dataset *data, const bool *use, const SolverOptions *options, SolverBlock *block)
{
	uint32	   *order = palloc(Max(data->n, 1) * sizeof(uint32));
	uint32		intercept = data->nfeatures;
	double		c = options->cost;
	float		ridge = options->loss == LOSS_SQUARED_HINGE ? 0.5 / c : 0;
	pg_prng_state prng;
	int			n = 0;

	pg_prng_seed(&prng, options->seed);
	for (int i = 0; i < data->n; i++)
		if (use == NULL || use[i])
			order[n++] = i;
	for (int epoch = 0; epoch < options->max_epochs; epoch++)
	{
		float		worst = 0;

		for (int i = n - 1; i > 0; i--)
		{
			int			j = pg_prng_uint64_range(&prng, 0, i);
			uint32		t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (int o = 0; o < n; o++)
		{
			int			i = order[o];
			size_t		at = data->start[i];
			size_t		len = data->start[i + 1] - at;
			float	   *alpha = block->alpha + (size_t) i * LEARN_BLOCK;
			float		score[LEARN_BLOCK];
			float		delta[LEARN_BLOCK];
			float		q = 1 + (len > 0 ? 1 : 0) + ridge;
			int			mine = data->label[i] - block->first;
			bool		moved = false;

			if ((o & 255) == 0)
				CHECK_FOR_INTERRUPTS();
			Scores(data->feature + at, data->value + at, len, block->w, intercept, score);
			memset(delta, 0, sizeof(delta));
			for (int k = 0; k < block->n; k++)
			{
				float		y = k == mine ? 1 : -1;
				float		a = alpha[k];
				float		fresh;

				if (options->loss == LOSS_SQUARED_HINGE)
				{
					float		g = y * score[k] - 1 + ridge * a;
					float		pg = a > 0 ? g : Min(g, 0);

					worst = Max(worst, fabsf(pg));
					fresh = Max(a - g / q, 0);
				}
				else
				{
					double		old = a > 0 ? a : c * MARGIN_MIN;

					fresh = LogisticAlpha(old, y * score[k], q, c);
					worst = Max(worst, fabsf(fresh - a) * q);
				}
				delta[k] = (fresh - a) * y;
				moved |= delta[k] != 0;
				alpha[k] = fresh;
			}
			if (moved)
				Add(data->feature + at, data->value + at, len, block->w, intercept, delta);
		}
		block->epochs = epoch + 1;
		if (worst <= options->tolerance)
			break;
	}
	pfree(order);
}

void
SolverScores(const Dataset *data, int i, const SolverBlock *block, float *scores)
{
	Scores(data->feature + data->start[i], data->value + data->start[i], data->start[i + 1] - data->start[i],
		   block->w, data->nfeatures, scores);
}

/* The primal objective, summed over the block's labels. */
double
SolverObjective(const Dataset *data, const SolverOptions *options, const SolverBlock *block)
{
	double		total = 0;

	for (size_t j = 0; j < ((size_t) data->nfeatures + 1) * LEARN_BLOCK; j++)
		if (j % LEARN_BLOCK < block->n)
			total += 0.5 * (double) block->w[j] * block->w[j];
	for (int i = 0; i < data->n; i++)
	{
		float		score[LEARN_BLOCK];

		if ((i & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		SolverScores(data, i, block, score);
		for (int k = 0; k < block->n; k++)
		{
			double		m = (data->label[i] == block->first + k ? 1 : -1) * (double) score[k];

			if (options->loss == LOSS_SQUARED_HINGE)
				total += m < 1 ? options->cost * (1 - m) * (1 - m) : 0;
			else
				total += options->cost * (m > 0 ? log1p(exp(-m)) : log1p(exp(m)) - m);
		}
	}
	return total;
}
