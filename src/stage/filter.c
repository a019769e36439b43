/*
 * filter.c
 *	  The forward filter of a pipeline's model. A step costs S^2 multiplications and no allocation.
 *
 * exp(Q dt) is never formed: the matrices exp(Q 2^k ms) are stored, and the vector is multiplied by those of the 12 leading bits of dt, so that
 * dt counts to one part in 4,096.
 */
#include "stage/model.h"

#include <math.h>

#define STAGE_MAGIC		0x52535431	/* RST1 */
#define LEADING_BITS	12

static size_t
Layout(StageModel *m, StageHeader *h)
{
	size_t		s = h->stages,
				v = h->symbols,
				np = h->npairs;
	bool		renewal = h->kind == STAGE_RENEWAL;
	char	   *p = (char *) h + sizeof(StageHeader);

	m->h = h;
	m->initial = (double *) p;
	m->power = m->initial + s;
	m->emission = m->power + STAGE_POWERS * s * s;
	m->context = (float *) (m->emission + (renewal ? 0 : v * s));
	m->mark = m->context + (renewal ? (v + 1) * s * s : 0);
	m->wait = m->mark + (renewal ? v * s * s : 0);
	m->pair = m->wait + (renewal ? v * STAGE_WAITS * s * s : 0);
	m->key = (int32 *) (m->pair + np * s * s);
	m->seen = m->key + np;
	return (char *) (m->seen + v) - (char *) h;
}

void
StageModelMake(StageModel *m, StageKind kind, int stages, int symbols, int npairs)
{
	StageHeader h = {STAGE_MAGIC, kind, stages, symbols, npairs};
	size_t		size = Layout(m, &h);
	StageHeader *blob = palloc0(size);

	*blob = h;
	blob->size = size;
	Layout(m, blob);
}

bool
StageModelOpen(StageModel *m, void *stored, size_t size)
{
	StageHeader *h = stored;

	if (size < sizeof(StageHeader) || h->magic != STAGE_MAGIC || (h->kind != STAGE_CONTINUOUS && h->kind != STAGE_RENEWAL) ||
		h->stages < 1 || h->stages > STAGE_MAX_STAGES || h->symbols < 1 || h->symbols > STAGE_MAX_SYMBOLS ||
		h->npairs < 0 || h->npairs > STAGE_MAX_PAIRS || h->size != size || Layout(m, h) != size)
		return false;
	for (int i = 0; i < h->npairs; i++)
		if (m->key[i] < (i > 0 ? m->key[i - 1] + 1 : 0) || m->key[i] >= (h->symbols + 1) * h->symbols)
			return false;
	return true;
}

/* exp(Q 2^k ms) for all k: the first by its series, each next one the square of the one before. */
void
StageSetGenerator(StageModel *m, const double *q)
{
	int			s = m->h->stages;
	double		term[STAGE_MAX_STAGES * STAGE_MAX_STAGES],
				next[STAGE_MAX_STAGES * STAGE_MAX_STAGES];
	double	   *p = m->power;
	double		norm = 0;
	int			halvings = 0;

	for (int i = 0; i < s; i++)
		norm = Max(norm, fabs(q[i * s + i]));
	while (norm > 0.5)
	{
		norm /= 2;
		halvings++;
	}
	memset(p, 0, s * s * sizeof(double));
	for (int i = 0; i < s; i++)
		p[i * s + i] = 1;
	memcpy(term, p, s * s * sizeof(double));
	for (int n = 1; n <= 20; n++)
	{
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
			{
				next[i * s + j] = 0;
				for (int k = 0; k < s; k++)
					next[i * s + j] += term[i * s + k] * ldexp(q[k * s + j], -halvings) / n;
			}
		memcpy(term, next, s * s * sizeof(double));
		for (int i = 0; i < s * s; i++)
			p[i] += term[i];
	}
	for (int k = -halvings; k < STAGE_POWERS - 1; k++)
	{
		double	   *to = k < 0 ? next : p + s * s;

		for (int i = 0; i < s; i++)
		{
			double		sum = 0;

			for (int j = 0; j < s; j++)
			{
				double		x = 0;

				for (int l = 0; l < s; l++)
					x += p[i * s + l] * p[l * s + j];
				to[i * s + j] = x > 0 ? x : 0;
				sum += to[i * s + j];
			}
			for (int j = 0; j < s; j++)
				to[i * s + j] /= sum;
		}
		if (k < 0)
			memcpy(p, next, s * s * sizeof(double));
		else
			p = to;
	}
}

/* The class of the time between two symbols: each four times as long as the one before, from a second on. */
int
StageWait(int64 dt)
{
	int64		seconds = dt / 1000000;
	int			w = 0;

	for (; seconds >= 3 && w < STAGE_WAITS - 1; seconds = (seconds - 3) / 4)
		w++;
	return w;
}

void
StageFilterStart(const StageModel *m, StageFilter *f)
{
	memset(f, 0, sizeof(StageFilter));
	memcpy(f->p, m->initial, m->h->stages * sizeof(double));
	f->last = m->h->symbols;
}

void
StagePredict(const StageModel *m, const double *p, int64 dt, double *after)
{
	int			s = m->h->stages;
	uint64		ms = dt > 0 ? dt / 1000 : 0;
	double		a[STAGE_MAX_STAGES],
				b[STAGE_MAX_STAGES];
	int			bits = 0;

	memcpy(a, p, s * sizeof(double));
	if (ms >= UINT64CONST(1) << STAGE_POWERS)
		ms = (UINT64CONST(1) << STAGE_POWERS) - 1;
	for (int k = STAGE_POWERS - 1; k >= 0 && bits < LEADING_BITS; k--)
	{
		const double *pw = m->power + k * s * s;

		if (bits > 0)
			bits++;
		if ((ms >> k & 1) == 0)
			continue;
		if (bits == 0)
			bits = 1;
		memset(b, 0, s * sizeof(double));
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
				b[j] += a[i] * pw[i * s + j];
		memcpy(a, b, s * sizeof(double));
	}
	memcpy(after, a, s * sizeof(double));
}

static int
FindPair(const StageModel *m, int32 key)
{
	int			low = 0,
				high = m->h->npairs;

	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (m->key[mid] < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->h->npairs && m->key[low] == key ? low : -1;
}

double
StageFilterStep(const StageModel *m, StageFilter *f, int symbol, int64 at)
{
	int			s = m->h->stages,
				v = m->h->symbols;
	bool		begun = f->last != v;
	int64		dt = begun && at > f->at ? at - f->at : 0;
	double		p[STAGE_MAX_STAGES] = {0};
	double		sum = 0;

	if (m->h->kind == STAGE_RENEWAL && !m->seen[symbol])
	{
		/* no step of the process: the time since the last one goes on */
		for (int j = 0; j < s; j++)
			sum += p[j] = f->p[j] * m->mark[(symbol * s + j) * s + j];
		for (int j = 0; j < s && sum > 0; j++)
			f->p[j] = p[j] / sum;
		return 0;
	}
	if (m->h->kind == STAGE_CONTINUOUS)
	{
		StagePredict(m, f->p, dt, p);
		for (int j = 0; j < s; j++)
			p[j] *= m->emission[symbol * s + j];
	}
	else
	{
		const float *w = m->wait + (symbol * STAGE_WAITS + StageWait(dt)) * s * s;
		int			pair = FindPair(m, f->last * v + symbol);

		if (pair >= 0)
		{
			const float *c = m->pair + pair * s * s;

			for (int i = 0; i < s; i++)
				for (int j = 0; j < s; j++)
					p[j] += f->p[i] * c[i * s + j] * w[i * s + j];
		}
		else
		{
			const float *c = m->context + f->last * s * s;
			const float *e = m->mark + symbol * s * s;

			for (int i = 0; i < s; i++)
				for (int j = 0; j < s; j++)
					p[j] += f->p[i] * c[i * s + j] * e[i * s + j] * w[i * s + j];
		}
	}
	for (int j = 0; j < s; j++)
		sum += p[j];
	f->last = symbol;
	f->at = begun ? Max(f->at, at) : at;
	if (!(sum > 0 && isfinite(sum)))
		return -INFINITY;		/* what the model holds impossible teaches nothing */
	for (int j = 0; j < s; j++)
		f->p[j] = p[j] / sum;
	return log(sum);
}

void
StageStepMatrix(const StageModel *m, int last, int symbol, int64 dt, double *f)
{
	int			s = m->h->stages,
				v = m->h->symbols;
	const float *w = m->wait + (symbol * STAGE_WAITS + StageWait(dt)) * s * s;
	int			pair = m->h->kind == STAGE_RENEWAL ? FindPair(m, last * v + symbol) : -1;

	for (int i = 0; i < s; i++)
	{
		if (m->h->kind == STAGE_CONTINUOUS)
		{
			double		unit[STAGE_MAX_STAGES] = {0};

			unit[i] = 1;
			StagePredict(m, unit, dt, f + i * s);
			for (int j = 0; j < s; j++)
				f[i * s + j] *= m->emission[symbol * s + j];
			continue;
		}
		for (int j = 0; j < s; j++)
		{
			int			ij = i * s + j;

			f[ij] = pair >= 0 ? (double) m->pair[pair * s * s + ij] * w[ij] :
				(double) m->context[last * s * s + ij] * m->mark[symbol * s * s + ij] * w[ij];
		}
	}
}
