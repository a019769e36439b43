/*
 * tally.c
 *	  Precision and recall of each label: on the examples that training holds out, or on all of them by cross-validation.
 *
 * The vocabulary is that of all examples; the weights of a fold know nothing of it.
 */
#include "learn/tally.h"

#include "miscadmin.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define CACHE_LINE		64

void
TallyScores(LabelTally *tally, const float *scores, const int32 *label, int n, int nlabels, double threshold)
{
	for (int i = 0; i < n; i++)
	{
		const float *s = scores + (size_t) i * nlabels;
		int			best = 0;

		for (int k = 1; k < nlabels; k++)
			if (s[k] > s[best])
				best = k;
		if (label[i] >= 0)
			tally[label[i]].is++;
		if (s[best] < threshold)
			continue;
		tally[best].said++;
		if (label[i] == best)
			tally[best].hit++;
	}
}

void
TallyFolds(LabelTally *tally, Examples *e, const char *model, const Dataset *data, const Vocabulary *v, const LearnOptions *options, float mix,
		   double threshold)
{
	size_t		nw = ((size_t) data->nfeatures + 1) * LEARN_BLOCK;
	size_t		na = (size_t) Max(data->n, 1) * LEARN_BLOCK;
	size_t		most = (size_t) (data->n / options->folds + data->nlabels + 1);
	size_t		bytes = (nw + na) * sizeof(float) + most * (data->nlabels * 2 * sizeof(float) + sizeof(int32)) + data->n;
	SolverBlock block;
	char	   *room;
	float	   *scores;
	float	   *theirs;			/* the networks' */
	int32	   *label;
	bool	   *use;
	int		   *seen = palloc((data->nlabels + 1) * sizeof(int));

	LearnCharge(e, bytes);
	room = MemoryContextAllocHuge(CurrentMemoryContext, nw * sizeof(float) + CACHE_LINE);
	block.w = (float *) TYPEALIGN(CACHE_LINE, room);
	block.alpha = MemoryContextAllocHuge(CurrentMemoryContext, na * sizeof(float));
	scores = MemoryContextAllocHuge(CurrentMemoryContext, most * data->nlabels * sizeof(float));
	theirs = MemoryContextAllocHuge(CurrentMemoryContext, most * data->nlabels * sizeof(float));
	label = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int32));
	use = MemoryContextAllocHuge(CurrentMemoryContext, Max(data->n, 1) * sizeof(bool));
	for (int fold = 0; fold < options->folds; fold++)
	{
		int			held = 0;

		memset(seen, 0, (data->nlabels + 1) * sizeof(int));
		for (int i = 0; i < data->n; i++)
		{
			use[i] = seen[data->label[i] + 1]++ % options->folds != fold;
			if (!use[i])
				label[held++] = data->label[i];
		}
		for (block.first = 0; block.first < data->nlabels; block.first += LEARN_BLOCK)
		{
			int			h = 0;

			CHECK_FOR_INTERRUPTS();
			block.n = Min(LEARN_BLOCK, data->nlabels - block.first);
			memset(block.w, 0, nw * sizeof(float));
			memset(block.alpha, 0, na * sizeof(float));
			SolverRun(data, use, &options->solver, &block);
			for (int i = 0; i < data->n; i++)
			{
				float		s[LEARN_BLOCK];

				if (use[i])
					continue;
				SolverScores(data, i, &block, s);
				memcpy(scores + (size_t) h++ * data->nlabels + block.first, s, block.n * sizeof(float));
			}
		}
		if (options->networks > 0)
		{
			memset(theirs, 0, (size_t) held * data->nlabels * sizeof(float));
			CommitteeTrain(e, model, data, v, options, use, held, theirs, NULL);
			for (size_t i = 0; i < (size_t) held * data->nlabels; i++)
				scores[i] += mix * theirs[i];
		}
		TallyScores(tally, scores, label, held, data->nlabels, threshold);
		ereport(DEBUG1,
				(errmsg("model \"%s\": fold %d of %d is done", model, fold + 1, options->folds)));
	}
	pfree(room);
	pfree(block.alpha);
	pfree(scores);
	pfree(theirs);
	pfree(label);
	pfree(use);
	pfree(seen);
	e->used -= bytes;
}

void
TallyJson(StringInfo json, const LabelTally *tally, char **labels, int nlabels)
{
	const char *comma = "";

	appendStringInfoString(json, ", \"by_label\": {");
	for (int k = 0; k < nlabels; k++)
	{
		const LabelTally *t = &tally[k];

		if (t->is == 0 && t->said == 0)
			continue;
		appendStringInfoString(json, comma);
		escape_json(json, labels[k]);
		appendStringInfo(json, ": {\"tried\": %d", t->is);
		if (t->said > 0)
			appendStringInfo(json, ", \"precision\": %.4f", (double) t->hit / t->said);
		if (t->is > 0)
			appendStringInfo(json, ", \"recall\": %.4f", (double) t->hit / t->is);
		appendStringInfoChar(json, '}');
		comma = ", ";
	}
	appendStringInfoChar(json, '}');
}
