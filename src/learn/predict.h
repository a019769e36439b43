/*
 * predict.h
 *	  Models of yes-or-no questions over rows of numbers, truth values, categories and times.
 *
 * Pure: bin.c (a column's values as a few codes), logit.c (logistic regression over codes), measure.c (how good, and calibration),
 * predict_blob.c (the stored form, scoring, contributions). trees.c has libxgboost grow trees over the same codes. SQL faces: predict_train.c
 * and predict.c; predict_gather.c reads the examples, predict_choose.c decides on settings, row.c reads a row's values.
 *
 * A row becomes one code for each input; code 0 is a missing value. An input is a column, or a part of a time: month, weekday, hour. A
 * term gives each code of an input, or each pair of levels of two inputs, a weight: score = intercept + the weights of the row's codes.
 */
#ifndef REVOPS_LEARN_PREDICT_H
#define REVOPS_LEARN_PREDICT_H

#include "learn/learn.h"

#include "access/tupdesc.h"
#include "utils/hsearch.h"

#define PREDICT_MIN_ROWS		100
#define PREDICT_MIN_CLASS		20
#define PREDICT_MAX_ROWS		100000000
#define PREDICT_MAX_COLUMNS		200
#define PREDICT_MAX_INPUTS		600
#define PREDICT_MAX_DISTINCT	65536	/* values of a category column; one with more is left out */
#define PREDICT_MAX_CATEGORIES	1000
#define PREDICT_MAX_BINS		255
#define PREDICT_MAX_LEVELS		6	/* of an input in an interaction */
#define PREDICT_MAX_PAIRS		50
#define PREDICT_MAX_WEIGHTS		65535	/* they are numbered in 16 bits */
#define PREDICT_MAX_TREES		2000
#define PREDICT_LEAK_AUC		0.98	/* a single column that tells as much gives the answer away */

#define CODE_MISSING	0
#define CODE_OTHER		1		/* of a category: a rare value, or one that was not seen */

typedef enum ColumnKind
{
	COLUMN_NUMBER,
	COLUMN_CATEGORY,
	COLUMN_TIME
} ColumnKind;

typedef enum InputPart
{
	PART_VALUE,
	PART_MONTH,
	PART_WEEKDAY,				/* 1 is Monday */
	PART_HOUR
} InputPart;

/* How an input's values become codes. */
typedef struct Binning
{
	bool		category;
	int			ncodes;
	int			nedges;			/* number: its code is 1 + the edges at or below it */
	double	   *edge;
	char	  **name;			/* category: of each code from 2 on */
	int			nlevels;
	uint8	   *level;			/* by code */
} Binning;

/* bin.c */
extern int	BinEdges(const double *sorted, int n, int bins, double *edge);
extern int	BinLevels(const double *weight, int ncodes, bool category, uint8 *level);

static inline int
BinCode(const double *edge, int nedges, double value)
{
	const double *base = edge;

	if (isnan(value))
		return CODE_MISSING;
	if (nedges == 0)
		return 1;
	for (int n = nedges; n > 1; n -= n / 2)
		base += (base[n / 2 - 1] <= value) * (n / 2);
	return 1 + (int) (base - edge) + (*base <= value);
}

typedef struct PredictTerm
{
	int			a;				/* input */
	int			b;				/* the other input of an interaction; -1: none */
	int			offset;			/* of its first weight */
	int			n;
} PredictTerm;

/* logit.c: n rows of nterms numbers of weights */
typedef struct LogitProblem
{
	int			n;
	int			nterms;
	const uint16 *code;
	const uint8 *label;
	int			nweights;
	const double *penalty;		/* by weight: the objective has half of it times the weight's square */
} LogitProblem;

/* w: nweights, then the intercept; goes on from there. Returns the objective. */
extern double LogitSolve(const LogitProblem *p, double *w, double tolerance, int *steps);
extern double LogitScore(const LogitProblem *p, const double *w, int row);

/* measure.c */
typedef struct Measure
{
	int			n;
	int			positives;
	double		auc;			/* NaN with one class only */
	double		auc_error;		/* standard error, Hanley and McNeil */
	double		brier;
	double		log_loss;
	double		base_log_loss;	/* of saying the base rate to all */
	double		calibration_error;
	int64		bin_n[10];		/* reliability: by tenths of the predicted probability */
	double		bin_predicted[10];
	double		bin_observed[10];
	int			decile_n[10];	/* the first has the highest predictions */
	double		decile_precision[10];
} Measure;

typedef struct Scored
{
	double		score;			/* log-odds, or a probability */
	bool		label;
} Scored;

extern void MeasureAll(Scored *p, int n, Measure *m);	/* p: probabilities; sorts them */
extern double MeasureAuc(Scored *p, int n);
extern void PlattFit(const Scored *s, int n, double *scale, double *shift);
extern double LogLoss(double score, bool label);

static inline double
Sigmoid(double score)
{
	return 1 / (1 + exp(-score));
}

/* trees.c: nodes in one array, children behind their parents */
typedef struct TreeNode
{
	uint16		input;
	uint8		missing_left;
	uint8		leaf;
	float		below;			/* to the left: an input's rank below it */
	uint32		left;			/* the right child is the next one */
	float		value;			/* a leaf's score; elsewhere what its leaves give on average */
} TreeNode;

typedef struct Forest
{
	int			ntrees;
	uint32	   *root;
	uint32		nnodes;
	TreeNode   *node;
	double		base;			/* score before all trees */
} Forest;

typedef struct TreesOptions
{
	int			rounds;			/* at most */
	int			depth;
	double		rate;
	int			seed;
} TreesOptions;

/* x: rows of ninputs ranks, NaN is missing. The first nfit rows teach, the others (if any) say when to stop. */
extern void TreesGrow(const float *x, const uint8 *label, int nfit, int nvalid, int ninputs, const TreesOptions *options, Forest *forest);
extern const char *TreesMissing(void);	/* why they cannot be grown; NULL: they can */

/* predict_blob.c */
#define PREDICT_MAGIC	0x314F5652	/* "RVO1" on a machine of the same byte order */

typedef struct PredictBlob
{
	uint32		magic;			/* magic, crc and size as in ModelBlob */
	uint32		crc;
	uint64		size;
	uint32		ncolumns;
	uint32		ninputs;
	uint32		nterms;
	uint32		nweights;
	uint32		ntrees;
	uint32		nnodes;
	uint32		ntexts;			/* bytes */
	uint32		nedges;
	uint32		ncodes;			/* of all inputs */
	uint32		nslots;
	double		scale;			/* log-odds = scale * score + shift */
	double		shift;
	double		intercept;
	double		base_rate;
	uint64		column_at;
	uint64		input_at;
	uint64		term_at;
	uint64		weight_at;		/* double[nweights] */
	uint64		edge_at;		/* double[nedges] */
	uint64		level_at;		/* uint8[ncodes] */
	uint64		rank_at;		/* float[ncodes]: what trees see of a code */
	uint64		name_at;		/* uint32[ncodes]: a category's text, 0 for none */
	uint64		slot_at;		/* PredictSlot[nslots] */
	uint64		root_at;		/* uint32[ntrees] */
	uint64		node_at;		/* TreeNode[nnodes] */
	uint64		text_at;		/* texts, each ended by a zero; the first is empty */
} PredictBlob;

typedef struct PredictColumn
{
	uint32		name;			/* in the texts */
	uint32		kind;
} PredictColumn;

typedef struct PredictInput
{
	uint32		column;
	uint32		part;
	uint32		category;
	uint32		ncodes;
	uint32		first_code;		/* in levels, ranks and names */
	uint32		first_edge;
	uint32		nedges;
	uint32		first_slot;		/* a category's values by hash */
	uint32		nslots;			/* a power of two; 0: a number */
	uint32		nlevels;
} PredictInput;

typedef struct PredictSlot
{
	uint32		hash;
	uint32		code;			/* 0: free */
} PredictSlot;

typedef struct BlobTerm
{
	int32		a;
	int32		b;
	uint32		offset;
	uint32		n;
} BlobTerm;

/* What a model is while it is trained. */
typedef struct PredictModel
{
	int			ncolumns;
	char	  **column;
	ColumnKind *kind;
	int			ninputs;
	int		   *input_column;
	InputPart  *input_part;
	Binning    *binning;
	int			nterms;
	PredictTerm *term;
	int			nweights;
	double	   *weight;			/* nweights, then the intercept */
	float	  **rank;			/* by input and code; NULL without trees */
	Forest	   *forest;			/* NULL: the terms' weights */
	double		scale;
	double		shift;
	double		base_rate;
} PredictModel;

extern PredictBlob *PredictBlobBuild(const PredictModel *m);
extern const char *PredictBlobFault(const PredictBlob *blob, size_t size);
extern int	PredictCategory(const PredictBlob *blob, const PredictInput *in, const char *value, int len);
extern double PredictScore(const PredictBlob *blob, const uint16 *code);	/* log-odds */
extern void PredictContributions(const PredictBlob *blob, const uint16 *code, double *by_input, double *by_term, double *intercept);

#define PREDICT_INPUTS(blob) ((const PredictInput *) BLOB_AT(blob, (blob)->input_at))
#define PREDICT_COLUMNS(blob) ((const PredictColumn *) BLOB_AT(blob, (blob)->column_at))
#define PREDICT_TERMS(blob) ((const BlobTerm *) BLOB_AT(blob, (blob)->term_at))
#define PREDICT_TEXT(blob, at) ((const char *) BLOB_AT(blob, (blob)->text_at + (at)))

/* row.c: a value of a row, whatever its type */
typedef enum ValueType
{
	VALUE_BOOL,
	VALUE_INT2,
	VALUE_INT4,
	VALUE_INT8,
	VALUE_FLOAT4,
	VALUE_FLOAT8,
	VALUE_NUMERIC,
	VALUE_INTERVAL,
	VALUE_TEXT,
	VALUE_BPCHAR,
	VALUE_NAME,
	VALUE_OUTPUT,				/* a category by its output function */
	VALUE_DATE,
	VALUE_TIMESTAMP,
	VALUE_NONE					/* of no use */
} ValueType;

typedef struct ValueReader
{
	ValueType	type;
	ColumnKind	kind;
	FmgrInfo	output;			/* VALUE_OUTPUT */
} ValueReader;

extern void ValueReaderInit(ValueReader *r, Oid type, MemoryContext context);
extern double ValueNumber(const ValueReader *r, Datum value);
extern const char *ValueText(const ValueReader *r, Datum value, int *len);
extern void ValueTimeParts(const ValueReader *r, Datum value, double parts[3]); /* month, weekday, hour: NaN where there is none */

/* predict_gather.c */
typedef struct RawInput
{
	int			column;
	InputPart	part;
	bool		category;
	bool		dropped;		/* too many values, always the same, or it gives the answer away */
	double	   *number;			/* NaN: missing */
	uint32	   *id;				/* category: 0 missing, else in the dictionary, from 1 */
	struct HTAB *dictionary;
	char	  **name;			/* by id - 1 */
	int64	   *rows;
	int			ndistinct;
	int			name_size;
} RawInput;

typedef struct PredictOptions
{
	char		time[NAMEDATALEN];	/* column; empty: none */
	char		group[NAMEDATALEN];
	char	  **exclude;
	int			nexclude;
	bool		trees;
	int			bins;			/* 0: chosen */
	double		strength;		/* 0: chosen */
	int			interactions;	/* at most */
	int			max_categories;
	int			min_category;	/* rows */
	int			min_group;
	double		held_out;
	int			seed;
	int			rounds;
	int			depth;
	double		rate;
	int			leak;			/* of LeakRule */
} PredictOptions;

typedef enum LeakRule
{
	LEAK_REFUSE,
	LEAK_DROP,
	LEAK_ALLOW
} LeakRule;

/* Rows in the order of the time column, then of a digest of their values. */
typedef struct RawTable
{
	int			ncolumns;		/* those that count */
	char	  **column;
	ColumnKind *kind;
	int			ninputs;
	RawInput   *input;
	int			group;			/* input; -1: none */
	int			n;
	size_t		size;
	uint8	   *label;
	uint64	   *digest;
	double	   *time;			/* NULL: no time column */
	int64		unlabelled;
	int64		undated;
	uint64		fingerprint;
	size_t		used;			/* bytes, of revops.train_memory */
} RawTable;

extern void PredictOptionsRead(PredictOptions *o, Datum jsonb);
extern void PredictGather(RawTable *t, const char *query, const char *label_column, const PredictOptions *options);
extern void PredictCharge(RawTable *t, size_t bytes);
extern bool LabelValue(const ValueReader *r, Datum value);

/* Runs a caller's query read-only with the caller's rights, and hands each row to `take`; `start` sees the columns first. */
typedef void (*RowStart) (void *arg, TupleDesc desc);
typedef void (*RowTake) (void *arg, TupleDesc desc, const Datum *values, const bool *nulls);
extern void PredictQuery(const char *query, RowStart start, RowTake take, void *arg);

/* predict_train.c, predict.c: what train() and evaluate() do for the task 'predict' */
extern int	PredictTrain(const char *model, const char *query, const char *label_column, Datum options);
extern void PredictEvaluate(FunctionCallInfo fcinfo, const char *model, const PredictBlob *loaded, const char *query, const char *label_column);

/* A model of the task, or ERROR */
extern const ModelBlob *ClassifyModel(const char *model, int version);

#endif							/* REVOPS_LEARN_PREDICT_H */
