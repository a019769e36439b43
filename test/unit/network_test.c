/*
 * network_test.c
 *	  A step of a network against finite differences of its loss, on small random networks; a program of its own.
 *	  network_test SEED ROUNDS prints what differs, and how much; its exit status is 0 if nothing does.
 *
 * The first step against a weight's gradient g is rate * g / sqrt(mean square of the gradient of its row + epsilon), so what a step moves tells the
 * gradient of each weight. Nothing is left out by chance here.
 */
#include "learn/network.c"

#undef printf

/* what the room takes from the server */
void *
palloc(Size size)
{
	return malloc(size);
}
void
pfree(void *p)
{
	free(p);
}
void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return malloc(size);
}
MemoryContext CurrentMemoryContext = NULL;
volatile sig_atomic_t InterruptPending = 0;
void
ProcessInterrupts(void) {}
void		pg_prng_seed(pg_prng_state *state, uint64 seed)
{
	state->s0 = seed | 1;
}
uint64
pg_prng_uint64(pg_prng_state *state)
{
	state->s0 += UINT64CONST(0x9E3779B97F4A7C15);
	uint64		z = (state->s0 ^ (state->s0 >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);

	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}
uint64
pg_prng_uint64_range(pg_prng_state *state, uint64 lo, uint64 hi)
{
	return lo + pg_prng_uint64(state) % (hi - lo + 1);
}

#define MAX_FEATURES	12
#define MAX_OUTPUTS		40

static int	faults = 0;

static double
Random(void)
{
	return rand() / (RAND_MAX + 1.0);
}

/* -log p[right], in double precision and by the plainest of loops */
static double
Loss(const Network *net, const uint32 *feature, const float *value, int n, int right)
{
	double		score[MAX_OUTPUTS];
	double		sum = 0;

	for (int k = 0; k < net->outputs; k++)
	{
		score[k] = net->out[net->hidden * net->width + k];
		for (int u = 0; u < net->hidden; u++)
		{
			double		h = net->in_bias[u];

			for (int j = 0; j < n; j++)
				h += (double) value[j] * net->in[feature[j] * net->hidden + u];
			score[k] += Max(h, 0) * net->out[u * net->width + k];
		}
	}
	for (int k = 0; k < net->outputs; k++)
		sum += exp(score[k]);
	return log(sum) - score[right];
}

/* The gradient of a weight by finite differences */
static double
Slope(const Network *net, float *weight, const uint32 *feature, const float *value, int n, int right)
{
	float		was = *weight;
	float		up = was + 1e-3f,
				down = was - 1e-3f;
	double		high,
				low;

	*weight = up;
	high = Loss(net, feature, value, n, right);
	*weight = down;
	low = Loss(net, feature, value, n, right);
	*weight = was;
	return (high - low) / ((double) up - down);
}

static void
Check(double got, double want, const char *what)
{
	if (fabs(got - want) <= 2e-3 * (1e-2 + fabs(want)))
		return;
	if (faults++ < 20)
		printf("%s: %.9g, not %.9g\n", what, got, want);
}

/* What a row of weights moved by, against its gradient: the direction, and the length that Adagrad gives the first step */
static void
CheckRow(const float *before, const float *after, const double *slope, int n, double square, double rate, const char *what)
{
	for (int i = 0; i < n; i++)
		Check(((double) before[i] - after[i]) * sqrt(square + EPSILON) / rate, slope[i], what);
}

static void
Round(void)
{
	int			outputs = 2 + Random() * (MAX_OUTPUTS - 2);
	int			nfeatures = 1 + Random() * MAX_FEATURES;
	Network		net = {.hidden = LEARN_BLOCK * (1 + (int) (Random() * 2)), .outputs = outputs, .width = NetworkWidth(outputs), .nfeatures = nfeatures};
	Network		was;
	size_t		nin = (size_t) nfeatures * net.hidden;
	size_t		nout = (size_t) (net.hidden + 1) * net.width;
	uint32		feature[MAX_FEATURES];
	float		value[MAX_FEATURES];
	float		score[2 * (MAX_OUTPUTS + LEARN_BLOCK)];
	double	   *in_slope = malloc(nin * sizeof(double)),
			   *out_slope = malloc(nout * sizeof(double)),
				bias_slope[NETWORK_MAX_HIDDEN];
	double		square = 0,
				sum = 0;
	double		rate = 0.01 + Random();
	int			right = Random() * outputs;
	int			n = 0;

	net.in = malloc(nin * sizeof(float));
	net.in_sum = malloc(nfeatures * sizeof(float));
	net.in_bias = malloc(net.hidden * sizeof(float));
	net.in_bias_sum = malloc(net.hidden * sizeof(float));
	net.out = malloc(nout * sizeof(float));
	net.out_sum = malloc((net.hidden + 1) * sizeof(float));
	NetworkInit(&net, rand());
	for (int f = 0; f < nfeatures; f++)
		if (n == 0 || Random() < 0.7)
		{
			feature[n] = f;
			value[n++] = Random();
		}
	/* far from the kink, where differences do not tell */
	for (int u = 0; u < net.hidden; u++)
		net.in_bias[u] = Random() < 0.5 ? 0.5 + Random() : -3;
	for (size_t i = 0; i < nin; i++)
		net.in[i] *= 1 + Random();

	was = net;
	was.in = memcpy(malloc(nin * sizeof(float)), net.in, nin * sizeof(float));
	was.in_bias = memcpy(malloc(net.hidden * sizeof(float)), net.in_bias, net.hidden * sizeof(float));
	was.out = memcpy(malloc(nout * sizeof(float)), net.out, nout * sizeof(float));
	for (size_t i = 0; i < nin; i++)
		in_slope[i] = Slope(&net, &net.in[i], feature, value, n, right);
	for (int u = 0; u < net.hidden; u++)
		bias_slope[u] = Slope(&net, &net.in_bias[u], feature, value, n, right);
	for (size_t i = 0; i < nout; i++)
		out_slope[i] = i % net.width < outputs ? Slope(&net, &net.out[i], feature, value, n, right) : 0;

	Step(&net, feature, value, n, right, rate, 0, score);
	for (int u = 0; u < net.hidden; u++)
	{
		square += bias_slope[u] * bias_slope[u] / net.hidden;
		if (bias_slope[u] == 0)
			Check(net.in_bias[u], was.in_bias[u], "the bias of a unit that does not count");
		else
			CheckRow(&was.in_bias[u], &net.in_bias[u], &bias_slope[u], 1, bias_slope[u] * bias_slope[u], rate, "a unit's bias");
	}
	for (int j = 0; j < n; j++)
		CheckRow(was.in + feature[j] * net.hidden, net.in + feature[j] * net.hidden, in_slope + feature[j] * net.hidden, net.hidden,
				 square * value[j] * value[j], rate, "a feature's weight");
	for (int u = 0; u <= net.hidden; u++)
	{
		double	   *slope = out_slope + u * net.width;

		sum = 0;
		for (int k = 0; k < outputs; k++)
			sum += slope[k] * slope[k] / net.width;
		CheckRow(was.out + u * net.width, net.out + u * net.width, slope, net.width, sum, rate, u < net.hidden ? "an output's weight" : "an output's bias");
	}

	/* and what it answers: the logarithms of probabilities */
	{
		size_t		start[2] = {0, n};
		int32		label = 0;
		Dataset		data = {1, outputs, nfeatures, start, feature, value, &label};

		NetworkScores(&data, 0, &net, score);
		for (int k = 0; k < outputs; k++)
			Check(score[k], -Loss(&net, feature, value, n, k), "the logarithm of a probability");
	}
}

int
main(int argc, char **argv)
{
	int			rounds = argc > 2 ? atoi(argv[2]) : 100;

	srand(argc > 1 ? atoi(argv[1]) : 1);
	for (int i = 0; i < rounds; i++)
		Round();
	printf("%d rounds, %d faults\n", rounds, faults);
	return faults > 0;
}
