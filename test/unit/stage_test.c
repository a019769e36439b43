/*
 * stage_test.c
 *	  The stage filter and its learning against enumeration of all paths, on small random models; a program of its own.
 *	  stage_test SEED ROUNDS prints what differs, and how much; its exit status is 0 if nothing does.
 */
#include "stage/model.h"

#include <math.h>

#undef printf

/* what the room takes from the server */
void *
palloc(Size size)
{
	return malloc(size);
}
void *
palloc0(Size size)
{
	return calloc(1, size);
}
void
pfree(void *p)
{
	free(p);
}

#define MAX_N	6

static int	faults = 0;

static void
Check(double got, double want, double tolerance, const char *what)
{
	if (fabs(got - want) <= tolerance * (1 + fabs(want)))
		return;
	if (faults++ < 20)
		printf("%s: %.12g, not %.12g\n", what, got, want);
}

static double
Random(void)
{
	return rand() / (RAND_MAX + 1.0);
}

/* exp(A t) by its plain series over many small steps */
static void
Exponential(const double *a, double t, int s, double *e)
{
	int			steps = 4096;
	double		unit[STAGE_MAX_STAGES * STAGE_MAX_STAGES],
				term[STAGE_MAX_STAGES * STAGE_MAX_STAGES],
				next[STAGE_MAX_STAGES * STAGE_MAX_STAGES];

	memset(unit, 0, sizeof(unit));
	for (int i = 0; i < s; i++)
		unit[i * s + i] = 1;
	memcpy(term, unit, sizeof(term));
	for (int n = 1; n < 30; n++)
	{
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
			{
				next[i * s + j] = 0;
				for (int k = 0; k < s; k++)
					next[i * s + j] += term[i * s + k] * a[k * s + j] * t / steps / n;
			}
		memcpy(term, next, sizeof(term));
		for (int i = 0; i < s * s; i++)
			unit[i] += term[i];
	}
	memset(e, 0, s * s * sizeof(double));
	for (int i = 0; i < s; i++)
		e[i * s + i] = 1;
	for (int k = 0; k < steps; k++)
	{
		for (int i = 0; i < s; i++)
			for (int j = 0; j < s; j++)
			{
				next[i * s + j] = 0;
				for (int l = 0; l < s; l++)
					next[i * s + j] += e[i * s + l] * unit[l * s + j];
			}
		memcpy(e, next, s * s * sizeof(double));
	}
}

static void
RandomCase(StageRow *rows, int n, int v, int s, double labelled)
{
	int64		at = 0;

	for (int k = 0; k < n; k++)
	{
		at += (int64) (Random() < 0.2 ? 0 : exp(Random() * 16) * 1e6);
		rows[k].at = at;
		rows[k].symbol = rand() % v;
		rows[k].label = Random() < labelled ? rand() % s : -1;
	}
}

/* The expected counts of one case, by enumerating all paths; returns its log likelihood, -INFINITY: no path is possible */
static double
Enumerate(const StageModel *m, const StageRow *rows, int n, int32 *keys, int npairs, StageCounts *want, double filtered[MAX_N][STAGE_MAX_STAGES])
{
	int			s = m->h->stages,
				v = m->h->symbols;
	double		f[MAX_N][STAGE_MAX_STAGES * STAGE_MAX_STAGES];
	long		paths = 1;
	double		total = 0;

	for (int k = 0; k < n; k++)
		StageStepMatrix(m, k > 0 ? rows[k - 1].symbol : v, rows[k].symbol, k > 0 ? rows[k].at - rows[k - 1].at : 0, f[k]);
	for (int k = 0; k <= n; k++)
		paths *= s;
	/* what is seen up to k alone decides the filter, labels apart */
	for (int k = 0; k < n; k++)
	{
		long		prefixes = 1;
		double		sum = 0;

		memset(filtered[k], 0, sizeof(filtered[k]));
		for (int i = 0; i <= k + 1; i++)
			prefixes *= s;
		for (long x = 0; x < prefixes; x++)
		{
			long		rest = x;
			int			i = rest % s;
			double		w = m->initial[i];

			rest /= s;
			for (int l = 0; l <= k; l++)
			{
				int			j = rest % s;

				rest /= s;
				w *= f[l][i * s + j];
				i = j;
			}
			filtered[k][i] += w;
			sum += w;
		}
		for (int j = 0; j < s; j++)
			filtered[k][j] /= sum;
	}
	for (int round = 0; round < 2; round++)
		for (long x = 0; x < paths; x++)
		{
			long		rest = x;
			int			i = rest % s;
			double		w = m->initial[i];

			rest /= s;
			for (int l = 0; l < n; l++)
			{
				int			j = rest % s;

				rest /= s;
				w *= rows[l].label >= 0 && rows[l].label != j ? 0 : f[l][i * s + j];
				i = j;
			}
			if (round == 0)
				total += w;
			if (round == 0 || total <= 0)
				continue;
			w /= total;
			rest = x;
			i = rest % s;
			rest /= s;
			for (int l = 0; l < n; l++)
			{
				int			j = rest % s;
				int			last = l > 0 ? rows[l - 1].symbol : v;

				rest /= s;
				want->context[last * s * s + i * s + j] += w;
				want->wait[(rows[l].symbol * STAGE_WAITS + StageWait(l > 0 ? rows[l].at - rows[l - 1].at : 0)) * s * s + i * s + j] += w;
				for (int p = 0; p < npairs; p++)
					if (keys[p] == last * v + rows[l].symbol)
						want->pair[p * s * s + i * s + j] += w;
				want->shown[rows[l].symbol * s + j] += w;
				if (l == 0)
					want->first[j] += w;
				i = j;
			}
		}
	return total > 0 ? log(total) : -INFINITY;
}

static void
MakePrior(StagePrior *p, int s, int v, double strength)
{
	memset(p, 0, sizeof(StagePrior));
	p->stages = s;
	p->symbols = v;
	p->strength = strength;
	p->hint = malloc(v * s * sizeof(float));
	p->seen = malloc(v * sizeof(bool));
	for (int x = 0; x < v; x++)
	{
		p->seen[x] = true;
		for (int j = 0; j < s; j++)
			p->hint[x * s + j] = 0.2 + Random();
	}
	for (int i = 0; i < s; i++)
	{
		p->dwell[i] = exp(Random() * 10 + 8);
		for (int j = 0; j < s; j++)
		{
			p->move[i][j] = i == j ? 0 : Random() / s;
			p->reach[i][j] = true;
		}
	}
}

/* A model learned from random counts */
static void
RandomModel(StageModel *m, StageKind kind, int order, int s, int v, int32 *keys, int npairs, const StagePrior *prior)
{
	StageCounts *c = StageCountsMake(s, v, npairs, keys);

	for (int k = 0; k < 40; k++)
	{
		StageRow	rows[MAX_N];

		RandomCase(rows, MAX_N, v, s, 1);
		StageCount(c, NULL, rows, MAX_N);
	}
	StageBuild(m, kind, order, c, prior);
}

static void
Arrays(const double *got, const double *want, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		Check(got[i], want[i], 1e-8, what);
}

static void
Round(StageKind kind, int order)
{
	int			s = 2 + rand() % 3,
				v = 1 + rand() % 4,
				n = 1 + rand() % MAX_N;
	int32		keys[20];
	int			npairs = 0;
	StagePrior	prior;
	StageModel	m,
				copy;
	StageRow	rows[MAX_N];
	StageFilter f;
	StageCounts *got,
			   *want;
	double		filtered[MAX_N][STAGE_MAX_STAGES];
	double		loglik,
				sum = 0;

	for (int k = 0; k < (v + 1) * v; k++)
		if (order > 0 && Random() < 0.7)
			keys[npairs++] = k;
	MakePrior(&prior, s, v, 1);
	RandomModel(&m, kind, order, s, v, keys, npairs, &prior);
	if (!StageModelOpen(&copy, m.h, m.h->size) || StageModelOpen(&copy, m.h, m.h->size - 1))
		Check(0, 1, 0, "a stored model is opened, a short one is not");
	RandomCase(rows, n, v, s, Random() < 0.5 ? 0 : 0.3);
	got = StageCountsMake(s, v, npairs, keys);
	want = StageCountsMake(s, v, npairs, keys);
	loglik = Enumerate(&m, rows, n, keys, npairs, want, filtered);
	StageFilterStart(&m, &f);
	for (int k = 0; k < n; k++)
	{
		sum += StageFilterStep(&m, &f, rows[k].symbol, rows[k].at);
		Arrays(f.p, filtered[k], s, "probability after a symbol");
	}
	StageCount(got, &m, rows, n);
	{
		bool		labelled = true;

		for (int k = 0; k < n; k++)
			labelled = labelled && rows[k].label >= 0;
		/* labels may be impossible, where no time has passed: then nothing is learned */
		if (!labelled)
		{
			bool		unlabelled = true;

			for (int k = 0; k < n; k++)
				unlabelled = unlabelled && rows[k].label < 0;
			Arrays(got->context, want->context, (v + 1) * s * s, "expected steps");
			Arrays(got->wait, want->wait, v * STAGE_WAITS * s * s, "expected times");
			Arrays(got->pair, want->pair, npairs * s * s, "expected successions");
			Arrays(got->shown, want->shown, v * s, "expected symbols");
			Arrays(got->first, want->first, s, "expected beginnings");
			Check(got->loglik, isinf(loglik) ? 0 : loglik, 1e-8, "log likelihood");
			if (unlabelled)
				Check(sum, loglik, 1e-8, "log likelihood by the filter");
		}
	}
}

/* Learning without labels never makes the cases less likely, but for rounding, where nothing is smoothed. */
static void
Rising(int order)
{
	int			s = 2 + rand() % 2,
				v = 2 + rand() % 2;
	int32		keys[12];
	int			npairs = 0;
	StagePrior	prior;
	StageModel	m;
	StageRow	rows[30][MAX_N];
	StageCounts *c;
	double		was = -INFINITY;
	double		begun = 0;

	for (int k = 0; k < (v + 1) * v; k++)
		keys[npairs++] = k;
	MakePrior(&prior, s, v, 1);
	RandomModel(&m, STAGE_RENEWAL, order, s, v, keys, npairs, &prior);
	prior.strength = 1e-14;
	for (int k = 0; k < 30; k++)
		RandomCase(rows[k], MAX_N, v, s, 0);
	c = StageCountsMake(s, v, npairs, keys);
	for (int round = 0; round < 12; round++)
	{
		StageCountsClear(c);
		for (int k = 0; k < 30; k++)
			StageCount(c, &m, rows[k], MAX_N);
		/* parameters are kept in single precision */
		if (round > 1 && c->loglik < was - 1e-4)
			Check(c->loglik, was, 0, "log likelihood of the next round");
		was = c->loglik;
		if (round == 0)
			begun = was;
		StageBuild(&m, STAGE_RENEWAL, order, c, &prior);
	}
	if (was <= begun)
		Check(was, begun + 1, 0, "log likelihood after twelve rounds");
}

/* exp(Q dt) against its series */
static void
Generator(void)
{
	int			s = 2 + rand() % 4;
	double		q[STAGE_MAX_STAGES * STAGE_MAX_STAGES] = {0},
				e[STAGE_MAX_STAGES * STAGE_MAX_STAGES];
	StageModel	m;
	int64		ms = (int64) exp(Random() * 20);

	StageModelMake(&m, STAGE_CONTINUOUS, s, 1, 0);
	for (int i = 0; i < s; i++)
		for (int j = 0; j < s; j++)
			if (i != j)
			{
				q[i * s + j] = exp(-Random() * 12) * 10 / ms;
				q[i * s + i] -= q[i * s + j];
			}
	/* the time as far as it counts: 12 bits */
	for (int k = 62; k >= 12; k--)
		if (ms >> k)
		{
			ms &= ~((INT64CONST(1) << (k - 11)) - 1);
			break;
		}
	StageSetGenerator(&m, q);
	Exponential(q, ms, s, e);
	for (int i = 0; i < s; i++)
	{
		double		unit[STAGE_MAX_STAGES] = {0},
					after[STAGE_MAX_STAGES];

		unit[i] = 1;
		StagePredict(&m, unit, ms * 1000, after);
		for (int j = 0; j < s; j++)
			Check(after[j], e[i * s + j], 1e-6, "exp(Q dt)");
	}
}

int
main(int argc, char **argv)
{
	int			rounds = argc > 2 ? atoi(argv[2]) : 100;

	srand(argc > 1 ? atoi(argv[1]) : 1);
	for (int i = 0; i < rounds; i++)
	{
		Round(STAGE_CONTINUOUS, 0);
		Round(STAGE_RENEWAL, 0);
		Round(STAGE_RENEWAL, 1);
		Rising(i % 2);
		Generator();
	}
	printf("%d rounds, %d differ\n", rounds, faults);
	return faults > 0;
}
