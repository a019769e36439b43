/*
 * logit.c
 *	  Logistic regression with an L2 penalty over rows of codes: Newton's method, each step by conjugate gradients.
 *
 * A row is the numbers of its weights, so a product with the matrix of features is a sum of a few look-ups in a table that fits the first
 * cache. The method is the one of Lin, Weng and Keerthi (JMLR 2008), with a line search for the trust region. The Hessian of all rows is never
 * made; that of a sample is, and its Cholesky factor is the preconditioner: codes of one input sum to one, so that the weights of an
 * input can be moved against the intercept at the cost of the penalty alone, which a diagonal cannot see. Where there are many more rows than
 * the sample, its solution is the start.
 */
#include "learn/predict.h"

#include "miscadmin.h"

#define MAX_STEPS		100
#define MAX_CG			250
#define CHECK_ROWS		65535	/* a mask */
#define SAMPLE_ROWS		30000
#define REFACTOR_ROUNDS	15
#define MOST_DENSE		1200	/* weights, for a Hessian */

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

/*
 * The Hessian of the rows at even distances, at most SAMPLE_ROWS, as if it were of all; then its Cholesky factor, in the lower triangle.
 * h: the weight of each row.
 */
static bool
Factor(const LogitProblem *p, const double *h, double *l)
{
	int			m = p->nweights + 1;
	int			nt = p->nterms;
	int			n = Min(p->n, SAMPLE_ROWS);
	double		times = (double) p->n / Max(n, 1);

	memset(l, 0, (size_t) m * m * sizeof(double));
	for (int r = 0; r < n; r++)
	{
		int			row = (int) ((int64) r * p->n / n);
		const uint16 *c = p->code + (size_t) row * nt;
		double		x = h[row] * times;

		if ((r & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		/* numbers of weights ascend within a row */
		for (int t = 0; t < nt; t++)
		{
			double	   *line = l + (size_t) c[t] * m;

			for (int u = 0; u <= t; u++)
				line[c[u]] += x;
			l[(size_t) (m - 1) * m + c[t]] += x;
		}
		l[(size_t) m * m - 1] += x;
	}
	for (int j = 0; j < p->nweights; j++)
		l[(size_t) j * m + j] += p->penalty[j];
	for (int i = 0; i < m; i++)
	{
		double	   *li = l + (size_t) i * m;

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j <= i; j++)
		{
			const double *lj = l + (size_t) j * m;
			double		a0 = 0,
						a1 = 0,
						a2 = 0,
						a3 = 0;
			int			k = 0;

			for (; k + 4 <= j; k += 4)
			{
				a0 += li[k] * lj[k];
				a1 += li[k + 1] * lj[k + 1];
				a2 += li[k + 2] * lj[k + 2];
				a3 += li[k + 3] * lj[k + 3];
			}
			for (; k < j; k++)
				a0 += li[k] * lj[k];
			a0 = li[j] - (a0 + a1 + a2 + a3);
			if (i > j)
				li[j] = a0 / lj[j];
			else if (a0 > 1e-12)
				li[j] = sqrt(a0);
			else
				return false;
		}
	}
	return true;
}

/* z = the inverse of the preconditioner, times r: by the factor l, or by the diagonal where there is none. */
static void
Precondition(const double *l, const double *diag, int m, const double *r, double *z)
{
	if (l == NULL)
	{
		for (int j = 0; j < m; j++)
			z[j] = r[j] / diag[j];
		return;
	}
	for (int i = 0; i < m; i++)
	{
		const double *li = l + (size_t) i * m;
		double		x = r[i];

		for (int k = 0; k < i; k++)
			x -= li[k] * z[k];
		z[i] = x / li[i];
	}
	for (int i = m - 1; i >= 0; i--)
	{
		const double *li = l + (size_t) i * m;
		double		x = z[i] / li[i];

		z[i] = x;
		for (int k = 0; k < i; k++)
			z[k] -= li[k] * x;
	}
}

/* Goes on from w with the rows of a sample, whose penalty is in proportion. */
static void
SolveSample(const LogitProblem *p, double *w)
{
	LogitProblem part = *p;
	uint16	   *code = palloc((size_t) SAMPLE_ROWS * Max(p->nterms, 1) * sizeof(uint16));
	uint8	   *label = palloc(SAMPLE_ROWS);
	double	   *penalty = palloc(Max(p->nweights, 1) * sizeof(double));
	int			steps;

	part.n = SAMPLE_ROWS;
	for (int r = 0; r < SAMPLE_ROWS; r++)
	{
		int			row = (int) ((int64) r * p->n / SAMPLE_ROWS);

		memcpy(code + (size_t) r * p->nterms, p->code + (size_t) row * p->nterms, p->nterms * sizeof(uint16));
		label[r] = p->label[row];
	}
	for (int j = 0; j < p->nweights; j++)
		penalty[j] = p->penalty[j] * SAMPLE_ROWS / p->n;
	part.code = code;
	part.label = label;
	part.penalty = penalty;
	LogitSolve(&part, w, 1e-6, &steps);
	pfree(code);
	pfree(label);
	pfree(penalty);
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
	bool		dense = m <= MOST_DENSE;
	double	   *factor = dense ? MemoryContextAllocHuge(CurrentMemoryContext, (size_t) m * m * sizeof(double)) : NULL;
	bool		factored = false;
	int			rounds = 0;		/* of conjugate gradients, in the last step */
	double		f;
	int			it;

	if (p->n > 4 * SAMPLE_ROWS)
		SolveSample(p, w);
	f = Penalty(p, w);
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
		if (dense && (!factored || rounds > REFACTOR_ROUNDS))
		{
			factored = Factor(p, h, factor);
			dense = factored;
		}
		/* H step = -g */
		for (int j = 0; j < m; j++)
		{
			diag[j] = Max(diag[j], 1e-12);
			step[j] = 0;
			r[j] = -g[j];
		}
		Precondition(factored ? factor : NULL, diag, m, r, z);
		memcpy(q, z, m * sizeof(double));
		rz = rz0 = Dot(r, z, m);
		for (rounds = 0; rounds < MAX_CG && rz > Max(1e-4 * rz0, 1e-16); rounds++)
		{
			double		alpha;
			double		rz2;

			HessianTimes(p, h, q, hq);
			alpha = rz / Dot(q, hq, m);
			for (int j = 0; j < m; j++)
			{
				step[j] += alpha * q[j];
				r[j] -= alpha * hq[j];
			}
			Precondition(factored ? factor : NULL, diag, m, r, z);
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
	if (factor != NULL)
		pfree(factor);
	return f;
}
