/*
 * evidence.c
 *	  The words of a text that a model's verdict rests on.
 *
 * A label's score is a sum over features. Each one's share of it is spread over the letters that it lies on, and a word weighs what its letters do.
 * The evidence is the word that weighs most, with its neighbours on both sides as long as they weigh at least half as much.
 */
#include "learn/learn.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A share of the score, over the letters [from, to] of the folded text */
static void
Spread(const Features *f, float *letter, int from, int to, double share)
{
	int			n = 0;

	for (int i = from; i <= to; i++)
		n += f->chars[i] != ' ';
	for (int i = from; i <= to && n > 0; i++)
		if (f->chars[i] != ' ')
			letter[i] += share / n;
}

static int
WordEnd(const Features *f, int word)
{
	int			i = f->word_at[word] + 1;
	int			end = word + 1 < f->nwords ? (int) f->word_at[word + 1] : f->nchars;

	/* a word of many letters ends at a space or an ideograph, which is the next word */
	while (i < end && f->chars[i] != ' ')
		i++;
	return i - 1;
}

static int
HashCmp(const void *a, const void *b, void *arg)
{
	const uint32 *hash = arg;
	uint32		x = hash[*(const int *) a],
				y = hash[*(const int *) b];

	return (x > y) - (x < y);
}

/* What each letter weighs for a label; memory: the current context */
static float *
Letters(const ModelBlob *blob, const Features *f, int label)
{
	const float *idf = (const float *) BLOB_AT(blob, blob->idf_at);
	const int8 *weight = (const int8 *) BLOB_AT(blob, blob->weight_at);
	float	   *letter = palloc0((f->nchars + 1) * sizeof(float));
	int		   *order = palloc((f->n + 1) * sizeof(int));

	for (int i = 0; i < f->n; i++)
		order[i] = i;
	qsort_arg(order, f->n, sizeof(int), HashCmp, f->hash);
	for (int i = 0; i < f->n;)
	{
		int			feature = BlobFeature(blob, f->hash[order[i]]);
		int			end = i + 1;
		double		share;

		while (end < f->n && f->hash[order[end]] == f->hash[order[i]])
			end++;
		if (feature >= 0 && feature < (int) blob->nrows)
		{
			/* times the label's unit and the text's norm, which are the same for all */
			share = LearnTf(end - i) * idf[feature] * weight[(size_t) feature * blob->stride + label] / (end - i);
			for (int k = i; k < end; k++)
			{
				const FeatureExtent *x = &f->extent[order[k]];

				if (x->kind == EXTENT_RUN)
				{
					Spread(f, letter, x->first, x->last, share);
					continue;
				}
				for (int w = 0; w < 2; w++)
				{
					int			word = w == 0 ? x->first : x->last;

					if (word >= 0 && word < f->nwords)
						Spread(f, letter, f->word_at[word], WordEnd(f, word), share / 2);
				}
			}
		}
		i = end;
	}
	return letter;
}

bool
ModelEvidence(const ModelBlob *blob, const char *body, int len, int label, int *from, int *to)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops evidence", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const char *utf8 = pg_server_to_any(body, len, PG_UTF8);
	Features	f = {0};
	float	   *letter;
	float	   *word;
	int			best = -1;
	int			first,
				last;

	FeaturesExtractPlaces(&f, &blob->kinds, utf8, utf8 == body ? len : (int) strlen(utf8));
	letter = Letters(blob, &f, label);
	word = palloc0((f.nwords + 1) * sizeof(float));
	for (int w = 0; w < f.nwords; w++)
	{
		for (int i = f.word_at[w]; i <= WordEnd(&f, w); i++)
			word[w] += letter[i];
		if (word[w] > 0 && (best < 0 || word[w] > word[best]))
			best = w;
	}
	if (best >= 0)
	{
		for (first = best; first > 0 && word[first - 1] >= word[best] / 2; first--)
			;
		for (last = best; last + 1 < f.nwords && word[last + 1] >= word[best] / 2; last++)
			;
		*from = (int) f.place[f.word_at[first]];
		*to = (int) f.place[WordEnd(&f, last)] + 1;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return best >= 0;
}
