/*
 * feeling.c
 *	  The model of feeling that is shipped: what revops.train() makes of the texts in feeling/, as tables of constants (feeling_model.h, which
 *	  feeling/feeling.pl writes).
 *
 * A feature's number is found by the first bits of its hash, which say where in the sorted hashes to look. A text's vector is what the learn
 * room makes of it: (1 + ln count) * idf, to length 1; so the scores are those of the trained model, but for the rounding of a float. Nothing is
 * allocated once the longest text so far has been seen.
 */
#include "text/feeling.h"

#include "learn/learn.h"
#include "utils/memutils.h"

#include "text/feeling_model.h"

#define HASHES		lengthof(model_hash)
#define AHEAD		8			/* hashes that are asked for before they are needed */

static const FeatureKinds kinds = {MODEL_WORDS, 0, MODEL_CHAR_MIN, MODEL_CHAR_MAX};

static Features features;
static MemoryContext context = NULL;
static uint16 *found = NULL;	/* the distinct features of the text */
static int	found_size = 0;
static uint16 count[HASHES];	/* zero between texts */

StaticAssertDecl(HASHES <= PG_UINT16_MAX, "the number of a feature must fit");

/* The feature's number, or -1. */
static inline int
Feature(uint32 hash)
{
	uint32		bucket = hash >> MODEL_SHIFT;

	for (int i = model_bucket[bucket]; i < model_bucket[bucket + 1]; i++)
		if (model_hash[i] == hash)
			return i;
	return -1;
}

/* 1 + ln of a count, as LearnTf() */
static inline float
Tf(uint16 n)
{
	return n < 2 ? 1 : 1 + logf(n);
}

/* Count the feature in; returns how many distinct ones there are. */
static inline int
Take(int feature, int n)
{
	if (count[feature] == 0)
		found[n++] = (uint16) feature;
	if (count[feature] < PG_UINT16_MAX)
		count[feature]++;
	return n;
}

double
FeelingByModel(const char *utf8, int len, const uint8 *say, int nsay)
{
	MemoryContext old;
	int			n = 0;
	double		norm = 0;
	float		sum[3] = {0, 0, 0};
	double		e[3];

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "revops feeling", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	FeaturesExtract(&features, &kinds, utf8, len);
	if (features.n + nsay > found_size)
	{
		found_size = Max(2 * (features.n + nsay), 1024);
		found = found == NULL ? palloc(found_size * sizeof(uint16)) : repalloc(found, found_size * sizeof(uint16));
	}
	MemoryContextSwitchTo(old);

	for (int i = 0; i < features.n; i++)
	{
		int			feature;

		if (i + AHEAD < features.n)
			__builtin_prefetch(&model_bucket[features.hash[i + AHEAD] >> MODEL_SHIFT]);
		feature = Feature(features.hash[i]);
		if (feature >= 0)
			n = Take(feature, n);
	}
	for (int i = 0; i < nsay; i++)
		if (say[i] < lengthof(model_say) && model_say[say[i]] >= 0)
			n = Take(model_say[say[i]], n);
	for (int i = 0; i < n; i++)
	{
		int			f = found[i];
		float		v = Tf(count[f]) * model_idf[model_idf_of[f]];

		count[f] = 0;
		norm += (double) v * v;
		for (int k = 0; k < 3; k++)
			sum[k] += v * model_weight[f][k];
	}
	if (n == 0)
		return 0;
	norm = 1 / sqrt(norm);
	for (int k = 0; k < 3; k++)
		e[k] = sum[k] * model_unit[k] * norm + model_bias[k];
	/* a softmax: the labels are negative, neutral, positive */
	for (int k = 0; k < 3; k++)
		sum[k] = exp(MODEL_SCALE * (e[k] - e[1]));
	return (sum[2] - sum[0]) / (sum[0] + sum[1] + sum[2]);
}
