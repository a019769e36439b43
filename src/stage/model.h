/*
 * model.h
 *	  The model of a pipeline, and the forward filter: which stage a case is in, from what was seen of it. Pure: no SQL.
 *
 * A case is a sequence of symbols at times. Two kinds of model:
 *
 * - continuous: a continuous-time hidden Markov model. Between symbols the stage moves by a generator matrix, exp(Q dt); a stage shows each
 *	 symbol with a probability of its own.
 * - renewal: a hidden Markov renewal process. One step is everything from one symbol to the next: P(stage after | stage before, symbol before)
 *	 x P(symbol | both stages, symbol before) x P(class of the time between | both stages, symbol). Stages that are moved through
 *	 unseen, and times that are not exponential, are in the counts. Between symbols it predicts by the generator matrix as well.
 *
 * Both are filtered by the same recursion (Rabiner, Proc. IEEE 77(2), 1989, section III): p'(j) ~ sum over i of p(i) F(i,j).
 */
#ifndef REVOPS_STAGE_MODEL_H
#define REVOPS_STAGE_MODEL_H

#include "postgres.h"

#define STAGE_MAX_STAGES	16
#define STAGE_MAX_SYMBOLS	256 /* that a model tells apart; the last of them is all others */
#define STAGE_MAX_PAIRS		4096	/* successions of symbols that a model knows */
#define STAGE_WAITS			12	/* classes of the time between symbols */
#define STAGE_POWERS		42	/* exp(Q 2^k ms) for k below this: up to 139 years */
#define STAGE_MAX_CASE		10000	/* symbols of a case that are learned from */

typedef enum StageKind
{
	STAGE_CONTINUOUS,
	STAGE_RENEWAL
} StageKind;

/* How a model is stored: this, then the arrays that StageModel points to, in its order */
typedef struct StageHeader
{
	uint32		magic;
	int32		kind;
	int32		stages;
	int32		symbols;
	int32		npairs;
	int32		reserved;
	int64		size;
} StageHeader;

/* Stages S, symbols V (the context before the first symbol is number V) */
typedef struct StageModel
{
	StageHeader *h;
	double	   *initial;		/* [S] before the first symbol */
	double	   *power;			/* [STAGE_POWERS][S][S] */
	double	   *emission;		/* continuous: [V][S] */
	float	   *context;		/* renewal: [V + 1][S][S], for pairs that are not listed times mark */
	float	   *mark;			/* renewal: [V][S][S] */
	float	   *wait;			/* renewal: [V][STAGE_WAITS][S][S] */
	float	   *pair;			/* renewal: [npairs][S][S] */
	int32	   *key;			/* renewal: [npairs] ascending, context * V + symbol */
	int32	   *seen;			/* [V] 0: nothing was learned of it; it weighs the stages by its hints (renewal: the diagonal of mark) */
} StageModel;

/* What has been seen of a case so far */
typedef struct StageFilter
{
	double		p[STAGE_MAX_STAGES];
	int			last;			/* the last symbol, V before the first */
	int64		at;				/* when it was, microseconds */
} StageFilter;

extern void StageModelMake(StageModel *m, StageKind kind, int stages, int symbols, int npairs); /* palloc'd, all zero */
extern bool StageModelOpen(StageModel *m, void *stored, size_t size);	/* false: damaged. stored must be aligned, and stay */
extern void StageSetGenerator(StageModel *m, const double *q);	/* [S][S], per millisecond */

extern int	StageWait(int64 dt);
extern void StageFilterStart(const StageModel *m, StageFilter *f);
extern void StagePredict(const StageModel *m, const double *p, int64 dt, double *after);	/* after no symbol for dt */
extern double StageFilterStep(const StageModel *m, StageFilter *f, int symbol, int64 at);	/* log of the symbol's likelihood */
extern void StageStepMatrix(const StageModel *m, int last, int symbol, int64 dt, double *f);	/* F [S][S] */

/* learn.c */

typedef struct StageRow
{
	int64		at;
	int16		symbol;			/* -1: nothing was seen then, but the stage is told */
	int16		label;			/* -1: not known */
} StageRow;

typedef struct StageCase
{
	int			first;
	int			n;
	int64		order;			/* the time that cases are ordered by */
} StageCase;

/* What is thought before anything is learned */
typedef struct StagePrior
{
	int			stages;
	int			symbols;
	double		dwell[STAGE_MAX_STAGES];	/* usual time in the stage, ms */
	double		move[STAGE_MAX_STAGES][STAGE_MAX_STAGES];	/* where from there: weights; 0 on the diagonal */
	bool		reach[STAGE_MAX_STAGES][STAGE_MAX_STAGES];	/* by any number of allowed moves */
	bool	   *seen;			/* [V] is there anything to learn of the symbol */
	float	   *hint;			/* [V][S] how much more the stage shows the symbol than others do; 1 is as much */
	double		strength;		/* of smoothing: 1 is as documented, 0 nearly none */
} StagePrior;

/* Counts, or expected ones */
typedef struct StageCounts
{
	int			stages;
	int			symbols;
	int			npairs;
	const int32 *key;
	double	   *context;		/* [V + 1][S][S] */
	double	   *wait;			/* [V][STAGE_WAITS][S][S] */
	double	   *pair;			/* [npairs][S][S] */
	double	   *shown;			/* [V][S] */
	double	   *moves;			/* [S][S] */
	double	   *dwell;			/* [S], ms */
	double	   *first;			/* [S] */
	double		loglik;			/* of the cases that were not labelled through */
	int64		steps;
} StageCounts;

typedef struct StageQuality
{
	int64		symbols;		/* labelled rows with a symbol */
	int64		right;
	int64		rows;			/* labelled rows, those without a symbol too */
	int64		rows_right;
	double		logloss;		/* sum over symbols */
} StageQuality;

extern StageCounts *StageCountsMake(int stages, int symbols, int npairs, const int32 *key);
extern void StageCountsClear(StageCounts *c);
extern void StageCount(StageCounts *c, const StageModel *m, const StageRow *rows, int n);
extern void StageBuild(StageModel *m, StageKind kind, int order, const StageCounts *c, const StagePrior *prior);
extern void StageEvaluate(const StageModel *m, const StageRow *rows, int n, StageQuality *q);

#endif							/* REVOPS_STAGE_MODEL_H */
