/*
 * gather.h
 *	  What a query's examples are until they are a Dataset.
 */
#ifndef REVOPS_LEARN_GATHER_H
#define REVOPS_LEARN_GATHER_H

#include "learn/learn.h"

#include "utils/hsearch.h"

typedef struct LearnOptions
{
	FeatureKinds kinds;
	bool		feeling_given;	/* otherwise the labels decide */
	SolverOptions solver;
	int			min_count;		/* of texts with a feature, for it to count */
	double		held_out;		/* share of examples for calibration */
	double		keep;			/* share of right answers that the threshold keeps */
	bool		keep_given;
	int			networks;
	int			hidden;			/* units of each */
	int			folds;			/* of cross-validation; 0: none */
	char		out_of_scope[LEARN_MAX_NAME + 1];
} LearnOptions;

typedef struct FeatureCount
{
	uint32		hash;
	uint32		count;
} FeatureCount;

typedef struct ExampleRow
{
	uint64		digest;
	size_t		start;
	int32		len;
	int32		label;			/* -1: out of scope */
} ExampleRow;

typedef struct LabelEntry
{
	char		name[LEARN_MAX_NAME + 1];
	int			number;
} LabelEntry;

typedef struct Term
{
	uint32		hash;
	uint32		df;				/* texts that have it; 0: a free slot */
	uint32		number;
} Term;

typedef struct Examples
{
	int			n;
	int			empty;			/* texts without a feature, left out */
	int			nlabels;
	char	  **labels;
	size_t		nnz;
	size_t		feature_size;
	size_t		row_size;
	FeatureCount *feature;
	ExampleRow *row;
	Features	features;
	uint64		fingerprint;
	size_t		used;			/* bytes, of revops.train_memory */
} Examples;

typedef struct Vocabulary
{
	uint32		n;
	uint32		ncommon;		/* the first ones, which are in two texts at least */
	uint32	   *hash;
	float	   *idf;
} Vocabulary;

extern void LearnQuery(const char *query, const char *label_column, void (*take) (void *arg, const char *label, const char *body), void *arg);
extern int	LearnColumn(TupleDesc desc, const char *name, const char *why);
extern void LearnGather(Examples *e, const char *query, const char *label_column, LearnOptions *options);
extern void LearnVectorize(Examples *e, int min_count, Dataset *data, Vocabulary *v);
extern void LearnCharge(Examples *e, size_t bytes);

/*
 * committee.c: trains options->networks networks without the nheld examples that are not used, adds the mean of their scores for these to
 * `scores` (rows of nlabels, zero at first), and, unless `rounded` is NULL, goes on with all examples and rounds them.
 */
extern void CommitteeTrain(Examples *e, const char *model, const Dataset *data, const Vocabulary *v, const LearnOptions *options,
						   const bool *use, int nheld, float *scores, RoundedNetworks *rounded);
extern float CommitteeMix(float *scores, const float *network_scores, const int32 *label, int n, int nlabels);

extern void LearnOptionsRead(LearnOptions *options, Datum jsonb);

#endif							/* REVOPS_LEARN_GATHER_H */
