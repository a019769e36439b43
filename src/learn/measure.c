/*
 * measure.c
 *	  How good predictions are, and what makes their probabilities true.
 *
 * Calibration is Platt's (1999), on log-odds: log-odds = scale * score + shift. It is not isotonic regression, which would break the sum
 * that an explanation is. Priors draw the scale to 1 and the shift to none, so that few rows held out do not turn a model around.
 */
#include "learn/predict.h"

#include "miscadmin.h"

/* precisions of the priors: as if so much were known already */
#define PRIOR_SCALE		10
#define PRIOR_SHIFT		100

static int
ScoredCmp(const void *a, const void *b)
{
	const Scored *x = a;
	const Scored *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (int) y->label - (int) x->label;
}

/* Of rows sorted by score, the highest first: the share of pairs in order, ties by half. NaN with one class only. */
static double
SortedAuc(const Scored *p, int n)
{
	double		positives = 0;
	double		negatives = 0;
	double		in_order = 0;

	for (int i = n - 1; i >= 0;)
	{
		int			j = i;
		double		pos = 0,
					neg = 0;

		for (; j >= 0 && p[j].score == p[i].score; j--)
		{
			pos += p[j].label;
			neg += !p[j].label;
		}
		in_order += pos * (negatives + neg / 2);
		positives += pos;
		negatives += neg;
		i = j;
	}
	return positives > 0 && negatives > 0 ? in_order / positives / negatives : NAN;
}

double
MeasureAuc(Scored *p, int n)
{
	qsort(p, n, sizeof(Scored), ScoredCmp);
	return SortedAuc(p, n);
}

void
MeasureAll(Scored *p, int n, Measure *m)
{
	double		base;

	memset(m, 0, sizeof(Measure));
	m->n = n;
	qsort(p, n, sizeof(Scored), ScoredCmp);
	for (int i = 0; i < n;)
	{
		double		x = Min(Max(p[i].score, 1e-15), 1 - 1e-15);
		int			bin = Min(9, (int) (x * 10));
		int			j = i;
		int			pos = 0;

		for (; j < n && p[j].score == p[i].score; j++)
			pos += p[j].label;
		m->positives += pos;
		m->brier += pos * (1 - x) * (1 - x) + (j - i - pos) * x * x;
		m->log_loss -= pos * log(x) + (j - i - pos) * log1p(-x);
		m->bin_n[bin] += j - i;
		m->bin_predicted[bin] += (j - i) * x;
		m->bin_observed[bin] += pos;
		/* equal predictions have no order: each decile gets its share of their positives */
		for (int k = i; k < j; k++)
		{
			int			decile = (int) ((int64) k * 10 / n);

			m->decile_n[decile]++;
			m->decile_precision[decile] += (double) pos / (j - i);
		}
		i = j;
	}
	for (int b = 0; b < 10; b++)
	{
		m->calibration_error += fabs(m->bin_predicted[b] - m->bin_observed[b]);
		m->bin_predicted[b] = m->bin_n[b] > 0 ? m->bin_predicted[b] / m->bin_n[b] : NAN;
		m->bin_observed[b] = m->bin_n[b] > 0 ? m->bin_observed[b] / m->bin_n[b] : NAN;
		m->decile_precision[b] = m->decile_n[b] > 0 ? m->decile_precision[b] / m->decile_n[b] : NAN;
	}
	m->calibration_error = n > 0 ? m->calibration_error / n : NAN;
	m->brier = n > 0 ? m->brier / n : NAN;
	m->log_loss = n > 0 ? m->log_loss / n : NAN;
	base = n > 0 ? (double) m->positives / n : NAN;
	m->base_log_loss = base > 0 && base < 1 ? -base * log(base) - (1 - base) * log(1 - base) : n > 0 ? 0 : NAN;
	m->auc = SortedAuc(p, n);
	m->auc_error = NAN;
	if (!isnan(m->auc))
	{
		double		a = m->auc;
		double		q1 = a / (2 - a) - a * a;
		double		q2 = 2 * a * a / (1 + a) - a * a;
		double		np = m->positives;
		double		nn = n - np;

		m->auc_error = sqrt(Max(0, (a * (1 - a) + (np - 1) * q1 + (nn - 1) * q2) / (np * nn)));
	}
}

/* Newton's method in two variables: log-odds = a * (score - mean) + c, with priors that a is 1 and c the mean. */
void
PlattFit(const Scored *s, int n, double *scale, double *shift)
{
	double		mean = 0;
	double		a = 1,
				c;

	for (int i = 0; i < n; i++)
		mean += s[i].score / n;
	c = mean;
	for (int it = 0; it < 100; it++)
	{
		double		ga = PRIOR_SCALE * (a - 1),
					gc = PRIOR_SHIFT * (c - mean),
					haa = PRIOR_SCALE,
					hac = 0,
					hcc = PRIOR_SHIFT,
					det,
					da,
					dc;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
		{
			double		z = s[i].score - mean;
			double		p = Sigmoid(a * z + c);
			double		e = p - s[i].label;
			double		h = p * (1 - p);

			ga += e * z;
			gc += e;
			haa += h * z * z;
			hac += h * z;
			hcc += h;
		}
		det = haa * hcc - hac * hac;
		da = (hcc * ga - hac * gc) / det;
		dc = (haa * gc - hac * ga) / det;
		/* a step that is too long would overshoot */
		da = Min(Max(da, -1), 1);
		dc = Min(Max(dc, -2), 2);
		a -= da;
		c -= dc;
		if (fabs(da) + fabs(dc) < 1e-10)
			break;
	}
	/* a model that is wrong on what it has not seen says nothing, not the opposite */
	*scale = isfinite(a) ? Min(Max(a, 0), 100) : 1;
	*shift = isfinite(c) ? Min(Max(c - *scale * mean, -100), 100) : 0;
}
