/*
 * blob.c
 *	  A model as it is stored: one piece without pointers, read where it lies, in a backend's memory or in the server's.
 *
 * Weights are 8 bits wide, with a unit for each label: since a text's vector has length 1, rounding moves a score by a fraction of the
 * unit, far less than the distance between labels. Features whose weights all round to nothing keep their idf and lose their row.
 *
 * The features that the networks know come first, so that they need no table of their own. To be summed, a text's values are made whole numbers
 * of as many bits as 32 bits of sum leave room for: sums are exact, so the same on every machine.
 */
#include "learn/learn.h"
#include "learn/predict.h"

#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

/* 64-bit x86: a path for machines that have AVX2, chosen when it runs */
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_AVX2_PATH
#define ACCUMULATE_BLOCKS	5	/* at once, in registers */
#endif

#define AHEAD	16				/* slots that are asked for before they are needed */

int
BlobStride(int nlabels)
{
	return TYPEALIGN(LEARN_BLOCK, nlabels);
}

/* 1 + ln of a count */
float
LearnTf(uint32 count)
{
	static float table[64];

	if (count < lengthof(table))
	{
		if (table[count] == 0)
			table[count] = 1 + logf(Max(count, 1));
		return table[count];
	}
	return 1 + logf(count);
}

ModelBlob *
BlobBuild(const FeatureKinds *kinds, int nlabels, char **labels, uint32 nfeatures, const uint32 *hash, const float *idf,
		  const int8 *weight, const float *unit, const float *bias, const RoundedNetworks *networks)
{
	int			stride = BlobStride(nlabels);
	int			units = networks->n * networks->hidden;
	size_t		nout = (size_t) networks->n * (networks->hidden + 1) * NetworkWidth(networks->outputs);
	uint32	   *place = MemoryContextAllocHuge(CurrentMemoryContext, Max(nfeatures, 1) * sizeof(uint32));
	uint32		nrows = 0;
	uint32		next;
	uint32		nslots = 16;
	size_t		text = 0;
	size_t		size;
	ModelBlob	head = {BLOB_MAGIC};
	ModelBlob  *blob;
	uint32	   *at;
	char	   *p;

	for (uint32 f = 0; f < nfeatures; f++)
	{
		const int8 *w = weight + (size_t) f * stride;
		int			any = f < networks->nfeatures;

		for (int k = 0; k < nlabels; k++)
			any |= w[k];
		place[f] = any != 0 ? nrows++ : PG_UINT32_MAX;
	}
	next = nrows;
	for (uint32 f = 0; f < nfeatures; f++)
		if (place[f] == PG_UINT32_MAX)
			place[f] = next++;
	while (nslots < nfeatures * (uint64) 2)
		nslots *= 2;
	for (int k = 0; k < nlabels; k++)
		text += strlen(labels[k]);

	head.nlabels = nlabels;
	head.stride = stride;
	head.nfeatures = nfeatures;
	head.nrows = nrows;
	head.nslots = nslots;
	head.networks = networks->n;
	head.hidden = networks->hidden;
	head.outputs = networks->outputs;
	head.nlearned = networks->nfeatures;
	head.kinds = *kinds;
	size = TYPEALIGN(64, sizeof(ModelBlob));
#define PART(field, bytes) (head.field = size, size = TYPEALIGN(64, size + (bytes)))
	PART(label_at, ((size_t) nlabels + 1) * sizeof(uint32));
	PART(label_text_at, text);
	PART(unit_at, ((size_t) stride + units) * sizeof(float));
	PART(bias_at, ((size_t) stride + units) * sizeof(float));
	PART(idf_at, (size_t) nfeatures * sizeof(float));
	PART(slot_at, (size_t) nslots * sizeof(BlobSlot));
	PART(out_at, nout * sizeof(float));
	PART(weight_at, (size_t) nrows * stride);
	PART(in_at, (size_t) networks->nfeatures * units);
	head.size = size;
	if (size > MaxAllocSize - 64)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model would have %zu MB, the most is %zu MB", size >> 20, MaxAllocSize >> 20),
				 errhint("Give the option \"min_count\", fewer kinds of features, or fewer \"networks\".")));
	blob = palloc0(size);
	*blob = head;

	at = (uint32 *) BLOB_AT(blob, head.label_at);
	p = BLOB_AT(blob, head.label_text_at);
	for (int k = 0; k < nlabels; k++)
	{
		at[k + 1] = at[k] + strlen(labels[k]);
		memcpy(p + at[k], labels[k], strlen(labels[k]));
	}
	memcpy(BLOB_AT(blob, head.unit_at), unit, stride * sizeof(float));
	memcpy(BLOB_AT(blob, head.bias_at), bias, stride * sizeof(float));
	if (units > 0)
	{
		memcpy(BLOB_AT(blob, head.unit_at + stride * sizeof(float)), networks->unit, units * sizeof(float));
		memcpy(BLOB_AT(blob, head.bias_at + stride * sizeof(float)), networks->bias, units * sizeof(float));
		memcpy(BLOB_AT(blob, head.out_at), networks->out, nout * sizeof(float));
		memcpy(BLOB_AT(blob, head.in_at), networks->in, (size_t) networks->nfeatures * units);
	}
	for (uint32 f = 0; f < nfeatures; f++)
	{
		BlobSlot   *slots = (BlobSlot *) BLOB_AT(blob, head.slot_at);
		uint32		s = hash[f] & (nslots - 1);

		while (slots[s].feature != 0)
			s = (s + 1) & (nslots - 1);
		slots[s].hash = hash[f];
		slots[s].feature = place[f] + 1;
		((float *) BLOB_AT(blob, head.idf_at))[place[f]] = idf[f];
		if (place[f] < nrows)
			memcpy(BLOB_AT(blob, head.weight_at + (size_t) place[f] * stride), weight + (size_t) f * stride, stride);
	}
	pfree(place);
	return blob;
}

static uint32
Checksum(const ModelBlob *blob)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, (char *) blob + offsetof(ModelBlob, size), blob->size - offsetof(ModelBlob, size));
	FIN_CRC32C(crc);
	return crc;
}

void
BlobSeal(ModelBlob *blob)
{
	blob->crc = Checksum(blob);
}

/* What is wrong with a stored model, whatever its bytes; NULL: nothing, and no access through it leaves it. */
const char *
BlobFault(const ModelBlob *blob, size_t size)
{
	uint64		units = (uint64) blob->networks * blob->hidden;
	uint64		need[] = {
		blob->label_at, ((uint64) blob->nlabels + 1) * sizeof(uint32),
		blob->unit_at, (blob->stride + units) * sizeof(float),
		blob->bias_at, (blob->stride + units) * sizeof(float),
		blob->idf_at, (uint64) blob->nfeatures * sizeof(float),
		blob->slot_at, (uint64) blob->nslots * sizeof(BlobSlot),
		blob->out_at, (uint64) blob->networks * (blob->hidden + (uint64) 1) * NetworkWidth((uint64) blob->outputs) * sizeof(float),
		blob->weight_at, (uint64) blob->nrows * blob->stride,
		blob->in_at, blob->nlearned * units,
	};
	const uint32 *at;
	uint32		used = 0;

	if (blob->magic == PREDICT_MAGIC)
		return PredictBlobFault((const PredictBlob *) blob, size);
	if (blob->magic != BLOB_MAGIC)
		return "it is of another version of pg_revops, or of a machine of another byte order";
	if (blob->size != size || blob->crc != Checksum(blob))
		return "its checksum does not fit";
	if (blob->nlabels < 1 || blob->nlabels > LEARN_MAX_LABELS || blob->networks > NETWORK_MAX || blob->hidden > NETWORK_MAX_HIDDEN ||
		blob->hidden % LEARN_BLOCK != 0 || (blob->outputs != blob->nlabels && blob->outputs != blob->nlabels + 1) || !isfinite(blob->mix) ||
		blob->stride != BlobStride(blob->nlabels) || blob->nrows > blob->nfeatures || blob->nlearned > blob->nrows ||
		blob->nslots < 16 || (blob->nslots & (blob->nslots - 1)) != 0 || !isfinite(blob->scale) || isnan(blob->threshold) ||
		blob->kinds.char_min < 1 || blob->kinds.char_max > LEARN_MAX_CHAR_GRAM)
		return "its header is damaged";
	for (int i = 0; i < lengthof(need); i += 2)
		if (need[i] % 64 != 0 || need[i] > size || need[i + 1] > size - need[i])
			return "its header is damaged";
	at = (const uint32 *) BLOB_AT(blob, blob->label_at);
	for (uint32 k = 0; k < blob->nlabels; k++)
		if (at[k + 1] < at[k])
			return "its labels are damaged";
	if (blob->label_text_at > size || at[blob->nlabels] > size - blob->label_text_at)
		return "its labels are damaged";
	for (uint32 s = 0; s < blob->nslots; s++)
	{
		uint32		f = ((const BlobSlot *) BLOB_AT(blob, blob->slot_at))[s].feature;

		used += f != 0;
		if (f > blob->nfeatures)
			return "its features are damaged";
	}
	return used < blob->nslots ? NULL : "its features are damaged";
}

const char *
BlobLabel(const ModelBlob *blob, int label, int *len)
{
	const uint32 *at = (const uint32 *) BLOB_AT(blob, blob->label_at);

	*len = at[label + 1] - at[label];
	return BLOB_AT(blob, blob->label_text_at) + at[label];
}

int
BlobFeature(const ModelBlob *blob, uint32 hash)
{
	const BlobSlot *slots = (const BlobSlot *) BLOB_AT(blob, blob->slot_at);
	uint32		mask = blob->nslots - 1;
	uint32		s = hash & mask;

	while (slots[s].feature != 0 && slots[s].hash != hash)
		s = (s + 1) & mask;
	return (int) slots[s].feature - 1;
}

/* sums: for each column, the sum of value * weight over features; no sum passes 32 bits */
static void
AccumulatePlain(const int8 *weight, int stride, const uint32 *feature, const int32 *value, int n, int32 *sum)
{
	memset(sum, 0, stride * sizeof(int32));
	for (int j = 0; j < n; j++)
	{
		const int8 *row = weight + (size_t) feature[j] * stride;

		for (int k = 0; k < stride; k++)
			sum[k] += value[j] * row[k];
	}
}

#ifdef HAVE_AVX2_PATH
/* nb blocks of columns from the first on, two features at once; nb is a constant, so that the sums stay in registers */
static inline __attribute__((always_inline, target("avx2")))
void
AccumulateBlocks(const int nb, const int8 *weight, int stride, const uint32 *feature, const int32 *value, int n, int32 *sum)
{
	__m256i		s[2 * ACCUMULATE_BLOCKS];

#pragma GCC unroll 10
	for (int k = 0; k < 2 * nb; k++)
		s[k] = _mm256_setzero_si256();
	for (int j = 0; j < n; j += 2)
	{
		int			next = j + 1 < n ? j + 1 : j;
		const int8 *a = weight + (size_t) feature[j] * stride;
		const int8 *b = weight + (size_t) feature[next] * stride;
		__m256i		v = _mm256_set1_epi32(value[j] | (next > j ? (int32) ((uint32) value[next] << 16) : 0));

#pragma GCC unroll 5
		for (int k = 0; k < nb; k++)
		{
			__m128i		x = _mm_loadu_si128((const __m128i *) (a + LEARN_BLOCK * k));
			__m128i		y = _mm_loadu_si128((const __m128i *) (b + LEARN_BLOCK * k));

			s[2 * k] = _mm256_add_epi32(s[2 * k], _mm256_madd_epi16(v, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(x, y))));
			s[2 * k + 1] = _mm256_add_epi32(s[2 * k + 1], _mm256_madd_epi16(v, _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(x, y))));
		}
	}
#pragma GCC unroll 10
	for (int k = 0; k < 2 * nb; k++)
		_mm256_storeu_si256((__m256i *) (sum + 8 * k), s[k]);
}

/* The same sums, many at a time. */
static __attribute__((target("avx2")))
void
AccumulateAvx2(const int8 *weight, int stride, const uint32 *feature, const int32 *value, int n, int32 *sum)
{
	int			b = 0;

	for (; b + ACCUMULATE_BLOCKS * LEARN_BLOCK <= stride; b += ACCUMULATE_BLOCKS * LEARN_BLOCK)
		AccumulateBlocks(ACCUMULATE_BLOCKS, weight + b, stride, feature, value, n, sum + b);
	for (; b + 2 * LEARN_BLOCK <= stride; b += 2 * LEARN_BLOCK)
		AccumulateBlocks(2, weight + b, stride, feature, value, n, sum + b);
	for (; b < stride; b += LEARN_BLOCK)
		AccumulateBlocks(1, weight + b, stride, feature, value, n, sum + b);
}
#endif

static void
Accumulate(const int8 *weight, int stride, const uint32 *feature, const int32 *value, int n, int32 *sum)
{
#ifdef HAVE_AVX2_PATH
	if (__builtin_cpu_supports("avx2"))
	{
		AccumulateAvx2(weight, stride, feature, value, n, sum);
		return;
	}
#endif
	AccumulatePlain(weight, stride, feature, value, n, sum);
}

/* Values to whole numbers, in place, such that no sum of their products with weights passes 32 bits; returns what a value of 1 stands for. */
static float
WholeValues(float *value, int n)
{
	float		most = 0;
	double		sum = 0;
	double		times;

	for (int j = 0; j < n; j++)
	{
		most = Max(most, value[j]);
		sum += Max(value[j], 0);
	}
	/* rounding adds half a unit to each; -128 is a weight only where a model is damaged */
	times = Min(PG_INT16_MAX / most, ((double) PG_INT32_MAX / 128 - n) / sum);
	if (!(most > 0) || !(times > 0) || isinf(times))
		times = 0;
	for (int j = 0; j < n; j++)
	{
		int32		whole = times > 0 && value[j] > 0 ? (int32) (value[j] * times + 0.5) : 0;

		memcpy(&value[j], &whole, sizeof(whole));
	}
	return times > 0 ? 1 / times : 0;
}

static void
Reserve(void **array, uint32 *size, uint32 n, size_t width)
{
	if (n <= *size)
		return;
	if (*array != NULL)
		pfree(*array);
	*array = MemoryContextAllocExtended(CurrentMemoryContext, n * width, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	*size = n;
}

static inline void
Swap(uint32 *feature, float *value, int a, int b)
{
	uint32		f = feature[a];
	float		v = value[a];

	feature[a] = feature[b];
	value[a] = value[b];
	feature[b] = f;
	value[b] = v;
}

/* Adds the mean of the networks' scores to the linear ones; the text's first n features are those that they know */
static void
NetworkShare(const ModelBlob *blob, Scratch *scratch, int n, const int32 *value, float norm)
{
	uint32		units = blob->networks * blob->hidden;
	uint32		width = NetworkWidth(blob->outputs);
	const float *unit = (const float *) BLOB_AT(blob, blob->unit_at) + blob->stride;
	const float *bias = (const float *) BLOB_AT(blob, blob->bias_at) + blob->stride;
	const float *out = (const float *) BLOB_AT(blob, blob->out_at);
	float		mix = blob->mix / blob->networks;
	float	   *h;
	float	   *score;

	Reserve((void **) &scratch->unit, &scratch->unit_size, units + 2 * width, sizeof(float));
	h = scratch->unit;
	score = h + units;
	Accumulate((const int8 *) BLOB_AT(blob, blob->in_at), units, scratch->feature, value, n, (int32 *) h);
	for (uint32 u = 0; u < units; u++)
		h[u] = ((int32 *) h)[u] * unit[u] * norm + bias[u];
	for (uint32 i = 0; i < blob->networks; i++)
	{
		NetworkTop(out + (size_t) i * (blob->hidden + 1) * width, blob->hidden, blob->outputs, width, h + (size_t) i * blob->hidden, score, score + width);
		for (uint32 k = 0; k < blob->nlabels; k++)
			scratch->score[k] += mix * score[k];
	}
}

bool
BlobScore(const ModelBlob *blob, Scratch *scratch, const char *utf8, int len)
{
	const BlobSlot *slots = (const BlobSlot *) BLOB_AT(blob, blob->slot_at);
	const float *idf = (const float *) BLOB_AT(blob, blob->idf_at);
	const int8 *weight = (const int8 *) BLOB_AT(blob, blob->weight_at);
	const float *unit = (const float *) BLOB_AT(blob, blob->unit_at);
	const float *bias = (const float *) BLOB_AT(blob, blob->bias_at);
	Features   *f = &scratch->features;
	uint32		mask = blob->nslots - 1;
	uint32		units = blob->networks * blob->hidden;
	int			found = 0;
	int			distinct = 0;
	int			learned = 0;
	int			rows;
	double		norm = 0;
	float	   *value;

	FeaturesExtract(f, &blob->kinds, utf8, len);
	Reserve((void **) &scratch->feature, &scratch->feature_size, (Max(f->n, 256) + 1) * 2, sizeof(uint32));
	Reserve((void **) &scratch->count, &scratch->count_size, blob->nfeatures, sizeof(uint16));
	Reserve((void **) &scratch->score, &scratch->score_size, blob->stride, sizeof(float));

	/* in steps, so that memory is asked for well before it is needed */
	for (int i = 0; i < f->n; i++)
	{
		uint32		s = f->hash[i] & mask;

		if (i + AHEAD < f->n)
			__builtin_prefetch(&slots[f->hash[i + AHEAD] & mask]);
		while (slots[s].feature != 0 && slots[s].hash != f->hash[i])
			s = (s + 1) & mask;
		if (slots[s].feature != 0)
		{
			scratch->feature[found++] = slots[s].feature - 1;
			__builtin_prefetch(&scratch->count[slots[s].feature - 1]);
			__builtin_prefetch(&idf[slots[s].feature - 1]);
		}
	}
	for (int i = 0; i < found; i++)
	{
		uint32		feature = scratch->feature[i];

		if (scratch->count[feature] == 0)
		{
			const int8 *row = weight + (size_t) feature * blob->stride;
			const int8 *in = (const int8 *) BLOB_AT(blob, blob->in_at) + (size_t) feature * units;

			scratch->feature[distinct++] = feature;
			if (feature < blob->nrows)
				for (uint32 b = 0; b < Min(blob->stride, 256); b += 64)
					__builtin_prefetch(row + b);
			if (feature < blob->nlearned)
				for (uint32 b = 0; b < Min(units, 256); b += 64)
					__builtin_prefetch(in + b);
		}
		if (scratch->count[feature] < PG_UINT16_MAX)
			scratch->count[feature]++;
	}
	/* what the networks know comes to the front, then what has a row; the rest counts for the norm only */
	value = (float *) scratch->feature + scratch->feature_size / 2;
	for (int i = 0; i < distinct; i++)
	{
		uint32		feature = scratch->feature[i];
		float		v = LearnTf(scratch->count[feature]) * idf[feature];

		scratch->count[feature] = 0;
		norm += (double) v * v;
		value[i] = v;
	}
	for (int i = 0; i < distinct; i++)
		if (scratch->feature[i] < blob->nlearned)
			Swap(scratch->feature, value, i, learned++);
	rows = learned;
	for (int i = learned; i < distinct; i++)
		if (scratch->feature[i] < blob->nrows)
			Swap(scratch->feature, value, i, rows++);
	norm = norm > 0 ? 1 / sqrt(norm) : 0;
	norm *= WholeValues(value, rows);
	Accumulate(weight, blob->stride, scratch->feature, (int32 *) value, rows, (int32 *) scratch->score);
	for (uint32 k = 0; k < blob->nlabels; k++)
		scratch->score[k] = ((int32 *) scratch->score)[k] * unit[k] * norm + bias[k];
	if (blob->networks > 0)
		NetworkShare(blob, scratch, learned, (const int32 *) value, norm);
	return distinct > 0;
}
