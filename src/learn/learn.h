/*
 * learn.h
 *	  Models trained inside the database: linear classifiers of texts, and small networks beside them.
 *
 * Pure: feature.c (a text's features), solver.c (dual coordinate descent), network.c (networks), calibrate.c (probabilities, threshold), blob.c
 * (the stored form and scoring with it). SQL faces: train.c, classify.c; store.c keeps the loaded models.
 */
#ifndef REVOPS_LEARN_H
#define REVOPS_LEARN_H

#include "base/base.h"

#include "common/pg_prng.h"

#include <math.h>

#define LEARN_MAX_NAME		200 /* bytes of a model's or label's name */
#define LEARN_MAX_LABELS	4096
#define LEARN_MAX_EXAMPLES	10000000
#define LEARN_MAX_FEATURES	(1 << 28)
#define LEARN_MAX_CHARS		20000	/* of a text; what follows does not count */
#define LEARN_MAX_PAIRED	40	/* the first distinct words of a text, of which pairs are made */
#define LEARN_MAX_CHAR_GRAM	8
#define LEARN_BLOCK			16	/* labels that are solved at once: a cache line of weights */

#define NETWORK_MAX			16	/* networks of a model */
#define NETWORK_MAX_HIDDEN	256 /* units of each, a multiple of LEARN_BLOCK */

#define LEARN_AHEAD			16	/* features whose weights are asked for before they are needed; as many lie behind a Dataset's last */

#define LEARN_DEFAULT_TRAIN_MEMORY	(1024 * 1024)	/* kB */
#define LEARN_MIN_TRAIN_MEMORY		1024
#define LEARN_MAX_TRAIN_MEMORY		MAX_KILOBYTES

#define FEATURE_PAIRS		1	/* pairs of words, whatever lies between */
#define FEATURE_FEELING		2	/* what the lexicon of feeling says */

/* What is taken from a text. */
typedef struct FeatureKinds
{
	int32		words;			/* 1: single words; 2: also neighbours */
	uint32		also;			/* FEATURE_ bits */
	int32		char_min;		/* runs of characters; char_max 0: none */
	int32		char_max;
} FeatureKinds;

/* Where a feature lies: its first and last word (-1 and nwords: the text's ends), or character of the folded text */
typedef struct FeatureExtent
{
	enum
	{
		EXTENT_WORDS, EXTENT_RUN
	}			kind;
	int			first;
	int			last;
} FeatureExtent;

/* The features of one text: hashes, with repetitions. Reused from text to text. */
typedef struct Features
{
	uint32	   *hash;
	int			n;
	int			feelings;		/* of these, the last ones: the lexicon's */
	int			size;
	uint32	   *chars;			/* the folded text, as code points */
	int			nchars;
	int			chars_size;
	uint32	   *word;			/* hashes of its words */
	int			nwords;
	int			words_size;
	/* with places only */
	bool		places;
	uint32	   *place;			/* of each folded character, the number of the text's */
	int			place_size;
	uint32	   *word_at;		/* the first character of each word */
	int			word_at_size;
	FeatureExtent *extent;		/* of each hash */
} Features;

/*
 * What a lexicon says of a text, as up to `most` numbers below LEARN_FEELINGS, with repetitions; returns how many. This room knows no words: the
 * text room sets it. The numbers' meanings must stay, for the models that are stored.
 */
typedef int (*FeelingReader) (const char *utf8, int len, uint8 *say, int most);
extern FeelingReader feeling_reader;

#define LEARN_FEELINGS		64
#define LEARN_MAX_FELT		256 /* of one text */
#define FEELING_HASH		0xF3313400	/* of the first number; the others follow */

static inline bool
IsFeeling(uint32 hash)
{
	return (hash & ~(uint32) (LEARN_FEELINGS - 1)) == FEELING_HASH;
}

extern void FeaturesExtractPlaces(Features *f, const FeatureKinds *kinds, const char *utf8, int len);
extern void FeaturesExtract(Features *f, const FeatureKinds *kinds, const char *utf8, int len);
extern void FeaturesFree(Features *f);

/* Examples as rows of (feature, value), and what is learned from them. */
typedef struct Dataset
{
	int			n;
	int			nlabels;
	int			nfeatures;
	size_t	   *start;			/* n + 1 */
	uint32	   *feature;
	float	   *value;
	int32	   *label;			/* -1: out of scope, an example of none */
} Dataset;

typedef enum LearnLoss
{
	LOSS_SQUARED_HINGE,
	LOSS_LOGISTIC
} LearnLoss;

typedef struct SolverOptions
{
	LearnLoss	loss;
	double		cost;			/* C: of an example's loss against half the squared norm */
	double		tolerance;		/* of the largest projected gradient */
	int			max_epochs;
	uint64		seed;
} SolverOptions;

/* One block of up to LEARN_BLOCK labels: one-vs-rest, solved side by side. */
typedef struct SolverBlock
{
	int			first;			/* label */
	int			n;
	float	   *w;				/* (nfeatures + 1) * LEARN_BLOCK; the last row is the intercept */
	float	   *alpha;			/* examples * LEARN_BLOCK */
	int			epochs;
} SolverBlock;

/* `use` (NULL: all) says which examples count. Goes on from the block's w and alpha, zero at first. */
extern void SolverRun(const Dataset *data, const bool *use, const SolverOptions *options, SolverBlock *block);
extern void SolverScores(const Dataset *data, int i, const SolverBlock *block, float *scores);
extern double SolverObjective(const Dataset *data, const SolverOptions *options, const SolverBlock *block);

/* One network (network.c); its arrays are the caller's. Counts of floats are given. */
typedef struct Network
{
	int			hidden;			/* units */
	int			outputs;		/* labels, and one for what is out of scope where there are examples of that */
	int			width;			/* outputs, rounded up to NetworkWidth() */
	uint32		nfeatures;		/* the first ones of the vocabulary; it knows no others */
	float	   *in;				/* nfeatures * hidden */
	float	   *in_sum;			/* nfeatures; the sums are of squared gradients */
	float	   *in_bias;		/* hidden */
	float	   *in_bias_sum;	/* hidden */
	float	   *out;			/* (hidden + 1) * width; the last row is the bias */
	float	   *out_sum;		/* hidden + 1 */
	pg_prng_state prng;
} Network;

#define NetworkWidth(outputs)	TYPEALIGN(LEARN_BLOCK, outputs)

extern void NetworkInit(Network *net, uint64 seed);

/* `pace` is of the rate, which sinks to 0 over the epochs */
extern void NetworkTrain(const Dataset *data, const bool *use, Network *net, int epochs, double pace, void (*tell) (void *arg, int epoch), void *arg);

/* score: logarithms of probabilities; room for twice `width` */
extern void NetworkScores(const Dataset *data, int i, const Network *net, float *score);

/* the same, from the rectified units */
extern void NetworkTop(const float *out, int hidden, int outputs, int width, const float *h, float *score, float *room);

/* calibrate.c: scores are n rows of nlabels; label -1 is out of scope */
extern double CalibrateLoss(const float *scores, const int32 *label, int n, int nlabels, double scale);
extern double CalibrateScale(const float *scores, const int32 *label, int n, int nlabels);
extern void CalibrateProbabilities(const float *scores, int n, double scale, double *p);
extern double CalibrateThreshold(const float *scores, const int32 *label, int n, int nlabels, double keep);
extern double CalibrationError(const double *confidence, const bool *right, int n);

/* blob.c: a model as it is stored, which is as it is used: without pointers */
#define BLOB_MAGIC		0x324C5652	/* "RVL2" on a machine of the same byte order */

typedef struct ModelBlob
{
	uint32		magic;
	uint32		crc;			/* of all that follows */
	uint64		size;
	uint32		nlabels;
	uint32		stride;			/* weights in a row: nlabels, rounded up */
	uint32		nfeatures;
	uint32		nrows;			/* the first ones, which weigh anything; the others count for a text's norm only */
	uint32		nslots;			/* a power of two */
	uint32		networks;		/* 0: none */
	uint32		hidden;			/* units of each */
	uint32		outputs;		/* nlabels, or one more */
	uint32		nlearned;		/* features that the networks know: the first ones */
	float		mix;			/* what the mean of the networks' scores counts beside the linear ones */
	FeatureKinds kinds;
	float		scale;			/* of scores, before the softmax */
	float		threshold;		/* a best score below it: the model abstains */
	uint64		label_at;		/* offsets: uint32[nlabels + 1] and the text */
	uint64		label_text_at;
	uint64		unit_at;		/* float[stride + networks * hidden]: what a weight of 1 stands for */
	uint64		bias_at;		/* float[stride + networks * hidden] */
	uint64		idf_at;			/* float[nfeatures] */
	uint64		slot_at;		/* BlobSlot[nslots] */
	uint64		out_at;			/* float[networks * (hidden + 1) * NetworkWidth(outputs)] */
	uint64		weight_at;		/* int8[nrows * stride] */
	uint64		in_at;			/* int8[nlearned * networks * hidden] */
} ModelBlob;

/* The networks of a model, rounded as they are stored: units of all networks, one after the other. */
typedef struct RoundedNetworks
{
	int			n;
	int			hidden;			/* units of each */
	int			outputs;
	uint32		nfeatures;		/* that they know: the first ones of the vocabulary */
	int8	   *in;				/* nfeatures * n * hidden */
	float	   *unit;			/* n * hidden */
	float	   *bias;
	float	   *out;			/* n * (hidden + 1) * NetworkWidth(outputs) */
} RoundedNetworks;

typedef struct BlobSlot
{
	uint32		hash;
	uint32		feature;		/* + 1; 0: free */
} BlobSlot;

#define BLOB_AT(blob, offset)	((char *) (blob) + (offset))

extern int	BlobStride(int nlabels);

/* weight: int8[nfeatures * stride]; unit, bias: float[stride]. In the current context; mix, scale and threshold are the caller's to set. */
extern ModelBlob *BlobBuild(const FeatureKinds *kinds, int nlabels, char **labels, uint32 nfeatures, const uint32 *hash, const float *idf,
							const int8 *weight, const float *unit, const float *bias, const RoundedNetworks *networks);
extern void BlobSeal(ModelBlob *blob);
extern const char *BlobFault(const ModelBlob *blob, size_t size);	/* NULL: sound */
extern const char *BlobLabel(const ModelBlob *blob, int label, int *len);

/* What scoring needs besides the model; reused. */
typedef struct Scratch
{
	Features	features;
	uint32	   *feature;		/* distinct features of the text */
	uint16	   *count;			/* per feature of the model, zero between texts */
	float	   *score;
	float	   *unit;			/* of the networks; then a network's scores */
	uint32		feature_size;
	uint32		count_size;
	uint32		score_size;
	uint32		unit_size;
} Scratch;

/* The feature that a hash is, -1: none */
extern int	BlobFeature(const ModelBlob *blob, uint32 hash);

/* Scores of a text, in scratch->score; false: it has no feature that the model knows */
extern bool BlobScore(const ModelBlob *blob, Scratch *scratch, const char *utf8, int len);
extern float LearnTf(uint32 count);

/* store.c: the deployed model of that name, or one version of it (0: the deployed); ERROR if there is none */
extern const ModelBlob *ModelGet(const char *model, int version);

/* The version of that id; NULL with *fault set (memory: the current context) if it is gone or damaged. Both stay good until the next of such calls. */
extern const ModelBlob *ModelFind(const pg_uuid_t *id, const char **fault);

/* Moves whenever a model or version may have changed */
extern uint64 ModelChanges(void);

/* evidence.c: the words that weigh most for a label: characters of the text, from 0 on; false: none does */
extern bool ModelEvidence(const ModelBlob *blob, const char *body, int len, int label, int *from, int *to);

/* classify.c: a text's probabilities by label; *best: the best label; false where the model abstains */
extern bool ModelPredict(const ModelBlob *blob, const char *body, int len, double *p, int *best);

extern int	learn_train_memory;
extern int	learn_model_memory;
extern void LearnInit(void);

/* Vector code: the same operations in the same order on every machine, wider where it can be. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LEARN_VECTOR __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define LEARN_VECTOR
#endif

#endif							/* REVOPS_LEARN_H */
