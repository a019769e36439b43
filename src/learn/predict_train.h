/*
 * predict_train.h
 *	  What the training of a yes-or-no model carries from step to step.
 */
#ifndef REVOPS_LEARN_PREDICT_TRAIN_H
#define REVOPS_LEARN_PREDICT_TRAIN_H

#include "learn/predict.h"

#define TRIAL_ROWS		40000	/* for choices */

/* What training carries from step to step. */
typedef struct Training
{
	const char *model;
	RawTable   *t;
	const PredictOptions *o;
	int			ninputs;		/* that count */
	int		   *raw;			/* each one's place among the RawInputs */
	double	  **sorted;			/* numbers: a sorted sample */
	int		   *nsorted;
	uint16	  **code_of_id;		/* categories */
	Binning    *binning;
	int			bins;
	double		strength;
	double		group_factor;
	int			nterms;
	PredictTerm *term;
	int			nweights;
	int			ncandidates;	/* the best pairs of inputs, best first */
	int			candidate[PREDICT_MAX_PAIRS][2];
} Training;

/* Some rows, by their numbers. */
typedef struct Rows
{
	int			n;
	int		   *row;
} Rows;

/* predict_choose.c */
extern Rows TrainRowsMake(RawTable *t, int most);
extern Rows TrainRowsThin(RawTable *t, const Rows *from, int most);
extern void TrainDivide(RawTable *t, const Rows *from, double share, int seed, int salt, Rows *earlier, Rows *later);
extern int	TrainPositives(const RawTable *t, const Rows *r);
extern void TrainPrepare(Training *g);
extern void TrainSetBins(Training *g, int bins, const Rows *rows);
extern LogitProblem TrainEncode(Training *g, const Rows *rows);
extern void TrainSetPenalty(const Training *g, LogitProblem *p, double strength, double group_factor);
extern void TrainForget(Training *g, LogitProblem *p);
extern double *TrainFirstWeights(const LogitProblem *p);
extern void TrainChoose(Training *g, const Rows *fit);
extern void TrainFindLeaks(Training *g, const Rows *fit);

/* The code of a row in an input. */
static inline uint16
TrainInputCode(const Training *g, int i, int row)
{
	const RawInput *in = &g->t->input[g->raw[i]];

	return in->category ? g->code_of_id[i][in->id[row]] : BinCode(g->binning[i].edge, g->binning[i].nedges, in->number[row]);
}

#endif							/* REVOPS_LEARN_PREDICT_TRAIN_H */
