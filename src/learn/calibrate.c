/*
 * calibrate.c
 *	  From scores to probabilities: a softmax of scaled scores, whose one parameter has the greatest likelihood on examples that the
 *	  weights were not trained on (Guo et al., ICML 2017, section 4.2); and the score below which a model abstains.
 */
#include "learn/learn.h"

#include "miscadmin.h"

#define SCALE_MIN	0.05
#define SCALE_MAX	50.0

/* Sum of -log p of the right label, over what is in scope. */
double
CalibrateLoss(const float *scores, const int32 *label, int n, int nlabels, double scale)
{
	double		total = 0;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
	{
		const float *s = scores + (size_t) i * nlabels;
		float		top = s[0];
		double		sum = 0;

		if (label[i] < 0)
			continue;
		for (int k = 1; k < nlabels; k++)
			top = Max(top, s[k]);
		for (int k = 0; k < nlabels; k++)
			sum += exp(scale * (s[k] - top));
		total += log(sum) - scale * (s[label[i]] - top);
	}
	return total;
}

/* The scale with the least loss, which is convex in it: golden section on its logarithm. */
double
CalibrateScale(const float *scores, const int32 *label, int n, int nlabels)
{
	const double golden = 0.6180339887498949;
	double		lo = log(SCALE_MIN),
				hi = log(SCALE_MAX);
	double		a = hi - golden * (hi - lo),
				b = lo + golden * (hi - lo);
	double		fa = CalibrateLoss(scores, label, n, nlabels, exp(a)),
				fb = CalibrateLoss(scores, label, n, nlabels, exp(b));

	while (hi - lo > 1e-3)
		if (fa < fb)
		{
			hi = b;
			b = a;
			fb = fa;
			a = hi - golden * (hi - lo);
			fa = CalibrateLoss(scores, label, n, nlabels, exp(a));
		}
		else
		{
			lo = a;
			a = b;
			fa = fb;
			b = lo + golden * (hi - lo);
			fb = CalibrateLoss(scores, label, n, nlabels, exp(b));
		}
	return exp((lo + hi) / 2);
}

void
CalibrateProbabilities(const float *scores, int n, double scale, double *p)
{
	float		top = scores[0];
	double		sum = 0;

	for (int k = 1; k < n; k++)
		top = Max(top, scores[k]);
	for (int k = 0; k < n; k++)
		sum += p[k] = exp(scale * (scores[k] - top));
	for (int k = 0; k < n; k++)
		p[k] /= sum;
}

static int
FloatCmp(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return x < y ? -1 : x > y;
}

/* The best score that `keep` of the right answers reach; minus infinity where there are none. */
double
CalibrateThreshold(const float *scores, const int32 *label, int n, int nlabels, double keep)
{
	float	   *right = palloc(Max(n, 1) * sizeof(float));
	int			m = 0;
	double		threshold;

	for (int i = 0; i < n; i++)
	{
		const float *s = scores + (size_t) i * nlabels;
		int			best = 0;

		for (int k = 1; k < nlabels; k++)
			if (s[k] > s[best])
				best = k;
		if (label[i] == best)
			right[m++] = s[best];
	}
	qsort(right, m, sizeof(float), FloatCmp);
	threshold = m == 0 ? -INFINITY : right[(int) ((1 - keep) * m)];
	pfree(right);
	return threshold;
}

/* Expected calibration error in 15 bins of equal width (Naeini et al., AAAI 2015). */
double
CalibrationError(const double *confidence, const bool *right, int n)
{
	double		sum[15] = {0};
	double		hits[15] = {0};
	double		error = 0;

	for (int i = 0; i < n; i++)
	{
		int			bin = Min(14, Max(0, (int) (confidence[i] * 15)));

		sum[bin] += confidence[i];
		hits[bin] += right[i];
	}
	for (int b = 0; b < 15; b++)
		error += fabs(sum[b] - hits[b]);
	return n > 0 ? error / n : 0;
}
