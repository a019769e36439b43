/*
 * network.c
 *	  Small networks that share a linear model's work: features -> rectified units -> softmax over the labels.
 *
 *		h = max(0, in_bias + sum of value * in[feature]),  p = softmax(out_bias + h * out),  minimise the mean of -log p[right label]
 *
 * By stochastic gradient descent, one example after the other, with steps by Adagrad (Duchi et al., JMLR 12, 2011), one sum of squares for each
 * feature and each unit, that sink to nothing in proportion to what is left. Features and units are left out by chance (dropout: Srivastava et al.,
 * JMLR 15, 2014). A network errs otherwise than a linear model does, and than another one that began elsewhere: so their scores are added.
 *
 * What a step costs is features * units; all sums are over lanes of eight in a fixed order, so that the same data and seed give the same network.
 */
#include "learn/learn.h"

#include "miscadmin.h"

#define LANES		8
#define EPSILON		1e-6f
#define BEGIN		0.1f		/* the weights of features at first, at most */
#define DROP_UNITS	0.3f
#define DROP_FEATURES	0.6f
#define RATE		0.07f
#define AHEAD		8			/* features whose weights are asked for before they are needed */

typedef float Lane __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));
typedef int32 WholeLane __attribute__((vector_size(LANES * sizeof(int32))));

/* From 0 to 1 */
static inline float
Unit(uint64 bits)
{
	return (float) (bits >> 40) * (1.0f / (1 << 24));
}

void
NetworkInit(Network *net, uint64 seed)
{
	size_t		n = (size_t) net->nfeatures * net->hidden;
	float		reach = sqrtf(6.0f / (net->hidden + net->outputs));
	pg_prng_state prng;

	pg_prng_seed(&prng, seed ^ UINT64CONST(0x6E6574776F726B73));
	for (size_t i = 0; i < n; i++)
	{
		if ((i & 0xFFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		net->in[i] = (2 * Unit(pg_prng_uint64(&prng)) - 1) * BEGIN;
	}
	memset(net->in_sum, 0, (size_t) net->nfeatures * sizeof(float));
	memset(net->in_bias, 0, net->hidden * sizeof(float));
	memset(net->in_bias_sum, 0, net->hidden * sizeof(float));
	memset(net->out_sum, 0, (net->hidden + 1) * sizeof(float));
	for (int u = 0; u <= net->hidden; u++)
		for (int k = 0; k < net->width; k++)
			net->out[u * net->width + k] = u < net->hidden && k < net->outputs ? (2 * Unit(pg_prng_uint64(&prng)) - 1) * reach : 0;
	net->prng = prng;
}

/* to[i] += by * from[i]; n is a multiple of LANES */
LEARN_VECTOR static void
AddScaled(float *to, const float *from, float by, int n)
{
	for (int i = 0; i < n; i += LANES)
		*(Lane *) (to + i) += by * *(const Lane *) (from + i);
}

LEARN_VECTOR static float
Dot(const float *a, const float *b, int n)
{
	Lane		sum = {0};
	float		total = 0;

	for (int i = 0; i < n; i += LANES)
		sum += *(const Lane *) (a + i) * *(const Lane *) (b + i);
	for (int i = 0; i < LANES; i++)
		total += sum[i];
	return total;
}

/* `lanes` is a constant, so that the sums stay in registers */
static pg_attribute_always_inline void
ForwardLanes(const int lanes, const float *in, int hidden, const uint32 *feature, const float *value, int n, float *h)
{
	Lane		sum[2 * LEARN_BLOCK / LANES];

	for (int l = 0; l < lanes; l++)
		sum[l] = *(const Lane *) (h + l * LANES);
	for (int j = 0; j < n; j++)
	{
		const float *row = in + (size_t) feature[j] * hidden;

		if (j + AHEAD < n)
			for (int l = 0; l < lanes; l += 2)
				__builtin_prefetch(in + (size_t) feature[j + AHEAD] * hidden + l * LANES);
		for (int l = 0; l < lanes; l++)
			sum[l] += value[j] * *(const Lane *) (row + l * LANES);
	}
	for (int l = 0; l < lanes; l++)
		*(Lane *) (h + l * LANES) = sum[l];
}

/* What features bring to the units */
LEARN_VECTOR static void
Forward(const float *in, int hidden, const uint32 *feature, const float *value, int n, float *h)
{
	int			u = 0;

	for (; u + 2 * LEARN_BLOCK <= hidden; u += 2 * LEARN_BLOCK)
		ForwardLanes(2 * LEARN_BLOCK / LANES, in + u, hidden, feature, value, n, h + u);
	if (u < hidden)
		ForwardLanes(LEARN_BLOCK / LANES, in + u, hidden, feature, value, n, h + u);
}

/* A step of the features' weights against the units' gradient, whose mean square is `square` */
LEARN_VECTOR static void
Backward(float *in, float *in_sum, int hidden, const uint32 *feature, const float *value, int n, const float *gradient, float square, float rate)
{
	for (int j = 0; j < n; j++)
	{
		float	   *row = in + (size_t) feature[j] * hidden;
		float		by;

		in_sum[feature[j]] += square * value[j] * value[j];
		by = rate * value[j] / sqrtf(in_sum[feature[j]] + EPSILON);
		for (int u = 0; u < hidden; u += LANES)
			*(Lane *) (row + u) -= by * *(const Lane *) (gradient + u);
	}
}

/*
 * score[i] = exp(score[i] - top), of which none is above top: 2 to the whole part, times a series of the rest. The sum of the first n is returned;
 * what follows them, up to `width`, becomes 0.
 */
LEARN_VECTOR static float
Exponentials(float *score, float top, int n, int width)
{
	Lane		sum = {0};
	float		total = 0;

	for (int k = n; k < width; k++)
		score[k] = top;
	for (int i = 0; i < width; i += LANES)
	{
		Lane		x = (*(const Lane *) (score + i) - top) * 1.44269504f;
		WholeLane	small = x < -126.0f;
		WholeLane	whole;
		Lane		rest;
		Lane		p;

		x = (Lane) ((WholeLane) x & ~small);
		whole = __builtin_convertvector(x - 0.5f, WholeLane);
		rest = x - __builtin_convertvector(whole, Lane);
		p = 1.0f + rest * (0.693147181f + rest * (0.240226507f + rest * (0.0555041087f + rest * (0.00961812911f + rest * (0.00133335581f + rest * 0.000154035304f)))));
		p *= (Lane) ((whole + 127) << 23);
		*(Lane *) (score + i) = (Lane) ((WholeLane) p & ~small);
	}
	for (int k = n; k < width; k++)
		score[k] = 0;
	for (int i = 0; i < width; i += LANES)
		sum += *(const Lane *) (score + i);
	for (int i = 0; i < LANES; i++)
		total += sum[i];
	return total;
}

static float
Highest(const float *score, int n)
{
	float		top = score[0];

	for (int k = 1; k < n; k++)
		top = Max(top, score[k]);
	return top;
}

/* The outputs before the softmax */
static void
Outputs(const float *out, int hidden, int width, const float *h, float *score)
{
	memcpy(score, out + (size_t) hidden * width, width * sizeof(float));
	for (int u = 0; u < hidden; u++)
		if (h[u] > 0)
			AddScaled(score, out + (size_t) u * width, h[u], width);
}

/* room: `width` more */
void
NetworkTop(const float *out, int hidden, int outputs, int width, const float *h, float *score, float *room)
{
	float		top;
	float		less;

	Outputs(out, hidden, width, h, score);
	top = Highest(score, outputs);
	memcpy(room, score, width * sizeof(float));
	less = top + logf(Exponentials(room, top, outputs, width));
	for (int k = 0; k < outputs; k++)
		score[k] -= less;
}

/* The end of an example's features that the network knows: they are in the order of their numbers */
static size_t
Known(const Dataset *data, int i, const Network *net)
{
	size_t		lo = data->start[i];
	size_t		hi = data->start[i + 1];

	while (lo < hi)
	{
		size_t		mid = (lo + hi) / 2;

		if (data->feature[mid] < net->nfeatures)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
NetworkScores(const Dataset *data, int i, const Network *net, float *score)
{
	float		h[NETWORK_MAX_HIDDEN];

	memcpy(h, net->in_bias, net->hidden * sizeof(float));
	Forward(net->in, net->hidden, data->feature + data->start[i], data->value + data->start[i], Known(data, i, net) - data->start[i], h);
	NetworkTop(net->out, net->hidden, net->outputs, net->width, h, score, score + net->width);
}

/* One example: the gradient of its loss, and a step against it. score: room for the outputs; feature, value: its n features that are not left out */
static void
Step(Network *net, const uint32 *feature, const float *value, int n, int right, float rate, float drop, float *score)
{
	float		h[NETWORK_MAX_HIDDEN];
	float		gradient[NETWORK_MAX_HIDDEN];
	float		keep = 1 / (1 - drop);
	float		sum;
	float		square;
	float	   *bias = net->out + (size_t) net->hidden * net->width;

	memcpy(h, net->in_bias, net->hidden * sizeof(float));
	Forward(net->in, net->hidden, feature, value, n, h);
	for (int u = 0; u < net->hidden; u += 4)
	{
		uint64		bits = drop > 0 ? pg_prng_uint64(&net->prng) : PG_UINT64_MAX;

		for (int k = 0; k < 4; k++, bits >>= 16)
			h[u + k] = h[u + k] > 0 && (bits & 0xFFFF) >= drop * 65536 ? h[u + k] * keep : 0;
	}
	Outputs(net->out, net->hidden, net->width, h, score);
	/* the scores' gradient: probabilities, less 1 for the right one */
	sum = Exponentials(score, Highest(score, net->outputs), net->outputs, net->width);
	for (int k = 0; k < net->width; k++)
		score[k] /= sum;
	score[right] -= 1;
	square = Dot(score, score, net->width) / net->width;
	for (int u = 0; u < net->hidden; u++)
	{
		float	   *row = net->out + (size_t) u * net->width;

		gradient[u] = 0;
		if (h[u] <= 0)
			continue;
		gradient[u] = Dot(score, row, net->width) * keep;
		net->out_sum[u] += square * h[u] * h[u];
		AddScaled(row, score, -rate * h[u] / sqrtf(net->out_sum[u] + EPSILON), net->width);
	}
	net->out_sum[net->hidden] += square;
	AddScaled(bias, score, -rate / sqrtf(net->out_sum[net->hidden] + EPSILON), net->width);
	for (int u = 0; u < net->hidden; u++)
		if (gradient[u] != 0)
		{
			net->in_bias_sum[u] += gradient[u] * gradient[u];
			net->in_bias[u] -= rate * gradient[u] / sqrtf(net->in_bias_sum[u] + EPSILON);
		}
	Backward(net->in, net->in_sum, net->hidden, feature, value, n, gradient, Dot(gradient, gradient, net->hidden) / net->hidden, rate);
}

/* `use` (NULL: all) says which examples count; `tell`, after each pass, may say how far it is. Goes on from what the network is. */
void
NetworkTrain(const Dataset *data, const bool *use, Network *net, int epochs, double pace, void (*tell) (void *arg, int epoch), void *arg)
{
	uint32	   *order = MemoryContextAllocHuge(CurrentMemoryContext, Max(data->n, 1) * sizeof(uint32));
	float	   *score = palloc(net->width * sizeof(float));
	uint32	   *feature;
	float	   *value;
	size_t		most = 1;
	int			n = 0;
	double		steps;
	double		step = 0;
	const uint64 left_out = (uint64) (DROP_FEATURES * 65536);

	for (int i = 0; i < data->n; i++)
		if (use == NULL || use[i])
		{
			order[n++] = i;
			most = Max(most, data->start[i + 1] - data->start[i]);
		}
	feature = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(uint32));
	value = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(float));
	steps = (double) n * epochs;
	for (int epoch = 0; epoch < epochs; epoch++)
	{
		for (int i = n - 1; i > 0; i--)
		{
			int			j = pg_prng_uint64_range(&net->prng, 0, i);
			uint32		t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (int o = 0; o < n; o++, step++)
		{
			int			i = order[o];
			int			m = 0;
			size_t		end = Known(data, i, net);

			if ((o & 255) == 0)
				CHECK_FOR_INTERRUPTS();
			for (size_t j = data->start[i]; j < end;)
			{
				uint64		bits = pg_prng_uint64(&net->prng);

				for (int k = 0; k < 4 && j < end; k++, j++, bits >>= 16)
					if ((bits & 0xFFFF) >= left_out)
					{
						feature[m] = data->feature[j];
						value[m++] = data->value[j] / (1 - DROP_FEATURES);
					}
			}
			Step(net, feature, value, m, data->label[i] < 0 ? data->nlabels : data->label[i],
				 RATE * pace * (1 - step / steps), DROP_UNITS, score);
		}
		if (tell != NULL)
			tell(arg, epoch + 1);
	}
	pfree(order);
	pfree(score);
	pfree(feature);
	pfree(value);
}
