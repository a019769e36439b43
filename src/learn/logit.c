/*
 * logit.c
 *	  Logistic regression with an L2 penalty over rows of codes: Newton's method, each step by conjugate gradients.
 *
 * A row is the numbers of its weights, so a product with the matrix of features is a sum of a few look-ups in a table that fits the first
 * cache; the Hessian is never made. The method is the one of Lin, Weng and Keerthi (JMLR 2008), with a line search for the trust region.
 */
#include "learn/predict.h"

#include "miscadmin.h"

#define MAX_STEPS		100
#define MAX_CG			250
#define CHECK_ROWS		65535	/* a mask */

/* The row's score. */
double
LogitScore(const LogitProblem *p, const double *w, int row)
{
	const uint16 *c = p->code + (size_t) row * p->nterms;
	double		s = w[p->nweights];

	for (int t = 0; t < p->nterms; t++)
		s += w[c[t]];
	return s;
}

/* log(1 + exp(-margin)), without overflow */
double
LogLoss(double score, bool label)
{
	double		m = label ? score : -score;

	return m > 0 ? log1p(exp(-m)) : -m + log1p(exp(m));
}

static double
Penalty(const LogitProblem *p, const double *w)
{
	double		sum = 0;

	for (int j = 0; j < p->nweights; j++)
		sum += p->penalty[j] * w[j] * w[j];
	return sum / 2;
}

/* The objective at the scores s + step * d. */
static double
Objective(const LogitProblem *p, const double *w, const double *dw, double step, const double *s, const double *d)
{
	double		loss = 0;
	double		sum = 0;

	for (int i = 0; i < p->n; i++)
	{
		if ((i & CHECK_ROWS) == 0)
			CHECK_FOR_INTERRUPTS();
		loss += LogLoss(s[i] + step * d[i], p->label[i]);
	}
	for (int j = 0; j < p->nweights; j++)
	{
		double		x = w[j] + step * dw[j];

		sum += p->penalty[j] * x * x;
	}
	return loss + sum / 2;
}

/* out = Xt (v), where v has a number for each row; out: nweights + 1 */
static void
Transposed(const LogitProblem *p, const double *v, double *out)
{
	const uint16 *c = p->code;
	int			nt = p->nterms;
	double		sum = 0;

	memset(out, 0, (p->nweights + 1) * sizeof(double));
	for (int i = 0; i < p->n; i++, c += nt)
	{
		double		x = v[i];

		if ((i & CHECK_ROWS) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int t = 0; t < nt; t++)
			out[c[t]] += x;
		sum += x;
	}
	out[p->nweights] = sum;
}

/* out = Xt D X v + penalty v */
static void
HessianTimes(const LogitProblem *p, const double *h, const double *v, double *out)
{
	const uint16 *c = p->code;
	int			nt = p->nterms;
	int			nw = p->nweights;
	double		sum = 0;

	memset(out, 0, (nw + 1) * sizeof(double));
	for (int i = 0; i < p->n; i++, c += nt)
	{
		double		x = v[nw];

		if ((i & CHECK_ROWS) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int t = 0; t < nt; t++)
			x += v[c[t]];
		x *= h[i];
		for (int t = 0; t < nt; t++)
			out[c[t]] += x;
		sum += x;
	}
	out[nw] = sum;
	for (int j = 0; j < nw; j++)
		out[j] += p->penalty[j] * v[j];
}

static double
Dot(const double *a, const double *b, int n)
{
	double		sum = 0;

	for (int j = 0; j < n; j++)
		sum += a[j] * b[j];
	return sum;
}

double
LogitSolve(const LogitProblem *p, double *w, double tolerance, int *steps)
{
	int			m = p->nweights + 1;
	double	   *s = MemoryContextAllocHuge(CurrentMemoryContext, (size_t) Max(p->n, 1) * sizeof(double));
	double	   *h = MemoryContextAllocHuge(CurrentMemoryContext, (size_t) Max(p->n, 1) * sizeof(double));
	double	   *d = MemoryContextAllocHuge(CurrentMemoryContext, (size_t) Max(p->n, 1) * sizeof(double));
	double	   *room = palloc0((size_t) m * 7 * sizeof(double));
	double	   *g = room,
			   *diag = room + m,
			   *step = room + 2 * m,
			   *r = room + 3 * m,
			   *z = room + 4 * m,
			   *q = room + 5 * m,
			   *hq = room + 6 * m;
	double		f = Penalty(p, w);
	int			it;

	for (int i = 0; i < p->n; i++)
	{
		if ((i & CHECK_ROWS) == 0)
			CHECK_FOR_INTERRUPTS();
		s[i] = LogitScore(p, w, i);
		f += LogLoss(s[i], p->label[i]);
	}
	for (it = 0; it < MAX_STEPS; it++)
	{
		double		rz;
		double		rz0;
		double		decrement;
		double		length = 1;
		double		f2;

		for (int i = 0; i < p->n; i++)
		{
			double		prob = Sigmoid(s[i]);

			if ((i & CHECK_ROWS) == 0)
				CHECK_FOR_INTERRUPTS();
			d[i] = prob - p->label[i];
			h[i] = Max(prob * (1 - prob), 1e-12);
		}
		Transposed(p, d, g);
		Transposed(p, h, diag);
		for (int j = 0; j < p->nweights; j++)
		{
			g[j] += p->penalty[j] * w[j];
			diag[j] += p->penalty[j];
		}
		/* H step = -g, the closer the nearer the end is */
		for (int j = 0; j < m; j++)
		{
			diag[j] = Max(diag[j], 1e-12);
			step[j] = 0;
			r[j] = -g[j];
			z[j] = r[j] / diag[j];
			q[j] = z[j];
		}
		rz = rz0 = Dot(r, z, m);
		for (int k = 0; k < MAX_CG && rz > Max(1e-4 * rz0, 1e-16); k++)
		{
			double		alpha;
			double		rz2;

			HessianTimes(p, h, q, hq);
			alpha = rz / Dot(q, hq, m);
			for (int j = 0; j < m; j++)
			{
				step[j] += alpha * q[j];
				r[j] -= alpha * hq[j];
				z[j] = r[j] / diag[j];
			}
			rz2 = Dot(r, z, m);
			for (int j = 0; j < m; j++)
				q[j] = z[j] + rz2 / rz * q[j];
			rz = rz2;
		}
		decrement = -Dot(g, step, m);
		if (!(decrement > tolerance * Max(f, 1)))
			break;
		for (int i = 0; i < p->n; i++)
		{
			if ((i & CHECK_ROWS) == 0)
				CHECK_FOR_INTERRUPTS();
			d[i] = LogitScore(p, step, i);
		}
		f2 = Objective(p, w, step, length, s, d);
		while (f2 > f - 1e-4 * length * decrement && length > 1e-6)
		{
			length /= 2;
			f2 = Objective(p, w, step, length, s, d);
		}
		if (f2 >= f)
			break;
		for (int j = 0; j < m; j++)
			w[j] += length * step[j];
		for (int i = 0; i < p->n; i++)
			s[i] += length * d[i];
		f = f2;
	}
	*steps = it;
	pfree(s);
	pfree(h);
	pfree(d);
	pfree(room);
	return f;
}
