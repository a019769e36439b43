/*
 * tally.h
 *	  How good a model is at each label, on examples that the classifiers had not seen.
 */
#ifndef REVOPS_LEARN_TALLY_H
#define REVOPS_LEARN_TALLY_H

#include "learn/gather.h"

#include "lib/stringinfo.h"

#define LEARN_MAX_FOLDS		20

typedef struct LabelTally
{
	int			is;				/* examples of the label */
	int			said;			/* examples for which it is the best label, and not abstained on */
	int			hit;			/* both */
} LabelTally;

/* Add n examples by their scores; below the threshold the model abstains. */
extern void TallyScores(LabelTally *tally, const float *scores, const int32 *label, int n, int nlabels, double threshold);

/* Cross-validation: each fold of each label's examples is scored by classifiers trained on the others. */
extern void TallyFolds(LabelTally *tally, Examples *e, const char *model, const Dataset *data, const Vocabulary *v, const LearnOptions *options,
					   float mix, double threshold);

/* As a member of a JSON object: , "by_label": {...} */
extern void TallyJson(StringInfo json, const LabelTally *tally, char **labels, int nlabels);

#endif							/* REVOPS_LEARN_TALLY_H */
