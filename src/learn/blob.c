/*
 * blob.c
 *	  A model as it is stored: one piece without pointers, read where it lies, in a backend's memory or in the server's.
 *
 * Weights are 8 bits wide, with a unit for each label: since a text's vector has length 1, rounding moves a score by a fraction of the
 * unit, far less than the distance between labels. Features whose weights all round to nothing keep their idf and lose their row.
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
		  const int8 *weight, const float *unit, const float *bias)
{
	int			stride = BlobStride(nlabels);
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
		int			any = 0;

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
	head.kinds = *kinds;
	size = TYPEALIGN(64, sizeof(ModelBlob));
#define PART(field, bytes) (head.field = size, size = TYPEALIGN(64, size + (bytes)))
	PART(label_at, ((size_t) nlabels + 1) * sizeof(uint32));
	PART(label_text_at, text);
	PART(unit_at, (size_t) stride * sizeof(float));
	PART(bias_at, (size_t) stride * sizeof(float));
	PART(idf_at, (size_t) nfeatures * sizeof(float));
	PART(slot_at, (size_t) nslots * sizeof(BlobSlot));
	PART(weight_at, (size_t) nrows * stride);
	head.size = size;
	if (size > MaxAllocSize - 64)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model would have %zu MB, the most is %zu MB", size >> 20, MaxAllocSize >> 20),
				 errhint("Give the option \"min_count\" or fewer kinds of features.")));
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
	uint64		need[] = {
		blob->label_at, ((uint64) blob->nlabels + 1) * sizeof(uint32),
		blob->unit_at, (uint64) blob->stride * sizeof(float),
		blob->bias_at, (uint64) blob->stride * sizeof(float),
		blob->idf_at, (uint64) blob->nfeatures * sizeof(float),
		blob->slot_at, (uint64) blob->nslots * sizeof(BlobSlot),
		blob->weight_at, (uint64) blob->nrows * blob->stride,
	};
	const uint32 *at;
	uint32		used = 0;

	if (blob->magic == PREDICT_MAGIC)
		return PredictBlobFault((const PredictBlob *) blob, size);
	if (blob->magic != BLOB_MAGIC)
		return "it is of another version of pg_revops, or of a machine of another byte order";
	if (blob->size != size || blob->crc != Checksum(blob))
		return "its checksum does not fit";
	if (blob->nlabels < 1 || blob->nlabels > LEARN_MAX_LABELS || blob->stride != BlobStride(blob->nlabels) || blob->nrows > blob->nfeatures ||
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

/* scores: for each label, the sum of value * weight over features, in the order of the features */
static void
AccumulatePlain(const int8 *weight, int stride, const uint32 *feature, const float *value, int n, float *score)
{
	memset(score, 0, stride * sizeof(float));
	for (int j = 0; j < n; j++)
	{
		const int8 *row = weight + (size_t) feature[j] * stride;

		for (int k = 0; k < stride; k++)
			score[k] += value[j] * row[k];
	}
}

#ifdef HAVE_AVX2_PATH
/* nb blocks of labels from the first on; nb is a constant, so that the sums stay in registers */
static inline __attribute__((always_inline, target("avx2"))) void
AccumulateBlocks(const int nb, const int8 *weight, int stride, const uint32 *feature, const float *value, int n, float *score)
{
	__m256		s[2 * ACCUMULATE_BLOCKS];

#pragma GCC unroll 10
	for (int k = 0; k < 2 * nb; k++)
		s[k] = _mm256_setzero_ps();
	for (int j = 0; j < n; j++)
	{
		const int8 *row = weight + (size_t) feature[j] * stride;
		__m256		v = _mm256_set1_ps(value[j]);

#pragma GCC unroll 10
		for (int k = 0; k < 2 * nb; k++)
			s[k] = _mm256_add_ps(s[k], _mm256_mul_ps(v, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *) (row + 8 * k))))));
	}
#pragma GCC unroll 10
	for (int k = 0; k < 2 * nb; k++)
		_mm256_storeu_ps(score + 8 * k, s[k]);
}

/* The same sums in the same order, eight at a time. */
static __attribute__((target("avx2"))) void
AccumulateAvx2(const int8 *weight, int stride, const uint32 *feature, const float *value, int n, float *score)
{
	int			b = 0;

	for (; b + ACCUMULATE_BLOCKS * LEARN_BLOCK <= stride; b += ACCUMULATE_BLOCKS * LEARN_BLOCK)
		AccumulateBlocks(ACCUMULATE_BLOCKS, weight + b, stride, feature, value, n, score + b);
	for (; b + 2 * LEARN_BLOCK <= stride; b += 2 * LEARN_BLOCK)
		AccumulateBlocks(2, weight + b, stride, feature, value, n, score + b);
	for (; b < stride; b += LEARN_BLOCK)
		AccumulateBlocks(1, weight + b, stride, feature, value, n, score + b);
}
#endif

static void
Accumulate(const int8 *weight, int stride, const uint32 *feature, const float *value, int n, float *score)
{
#ifdef HAVE_AVX2_PATH
	if (__builtin_cpu_supports("avx2"))
	{
		AccumulateAvx2(weight, stride, feature, value, n, score);
		return;
	}
#endif
	AccumulatePlain(weight, stride, feature, value, n, score);
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
	int			found = 0;
	int			distinct = 0;
	int			rows = 0;
	double		norm = 0;
	float	   *value;

	FeaturesExtract(f, &blob->kinds, utf8, len);
	Reserve((void **) &scratch->feature, &scratch->feature_size, Max(f->n, 256) * 2, sizeof(uint32));
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

			scratch->feature[distinct++] = feature;
			if (feature < blob->nrows)
				for (uint32 b = 0; b < Min(blob->stride, 256); b += 64)
					__builtin_prefetch(row + b);
		}
		if (scratch->count[feature] < PG_UINT16_MAX)
			scratch->count[feature]++;
	}
	value = (float *) scratch->feature + scratch->feature_size / 2;
	for (int i = 0; i < distinct; i++)
	{
		uint32		feature = scratch->feature[i];
		float		v = LearnTf(scratch->count[feature]) * idf[feature];

		scratch->count[feature] = 0;
		norm += (double) v * v;
		if (feature < blob->nrows)
		{
			scratch->feature[rows] = feature;
			value[rows++] = v;
		}
	}
	norm = norm > 0 ? 1 / sqrt(norm) : 0;
	Accumulate(weight, blob->stride, scratch->feature, value, rows, scratch->score);
	for (uint32 k = 0; k < blob->nlabels; k++)
		scratch->score[k] = scratch->score[k] * unit[k] * norm + bias[k];
	return distinct > 0;
}
