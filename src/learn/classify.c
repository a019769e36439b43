/*
 * classify.c
 *	  The SQL face of trained models: classify(), best_label(), sentiment_score(), and evaluate().
 */
#include "learn/gather.h"
#include "learn/predict.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* A model that classifies texts, or ERROR. */
const ModelBlob *
ClassifyModel(const char *model, int version)
{
	const ModelBlob *blob = ModelGet(model, version);

	if (blob->magic != BLOB_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is of the task 'predict'", model),
				 errhint("revops.predict() asks it.")));
	return blob;
}

static Scratch scratch;
static MemoryContext scratch_context = NULL;

/* A model's name as a C string, in a buffer that the next call overwrites. */
static const char *
ModelName(text *name)
{
	static char buffer[LEARN_MAX_NAME + 2];
	int			len = Min(VARSIZE_ANY_EXHDR(name), LEARN_MAX_NAME + 1);

	memcpy(buffer, VARDATA_ANY(name), len);
	buffer[len] = '\0';
	return buffer;
}

/* Scores of a text in the server's encoding, in scratch.score; the best label, and whether the model stands by it. */
static int
Best(const ModelBlob *blob, const char *body, int len, bool *known)
{
	char	   *utf8 = pg_server_to_any(body, len, PG_UTF8);
	MemoryContext old;
	int			best = 0;

	if (scratch_context == NULL)
		scratch_context = AllocSetContextCreate(TopMemoryContext, "revops classify", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch_context);
	*known = BlobScore(blob, &scratch, utf8, utf8 == body ? len : strlen(utf8));
	MemoryContextSwitchTo(old);
	if (utf8 != body)
		pfree(utf8);
	for (uint32 k = 1; k < blob->nlabels; k++)
		if (scratch.score[k] > scratch.score[best])
			best = k;
	/* a text of which nothing is known is out of scope where anything is */
	*known = isinf(blob->threshold) ? *known : *known && scratch.score[best] >= blob->threshold;
	return best;
}

bool
ModelPredict(const ModelBlob *blob, const char *body, int len, double *p, int *best)
{
	bool		known;

	*best = Best(blob, body, len, &known);
	CalibrateProbabilities(scratch.score, blob->nlabels, blob->scale, p);
	return known;
}

static Datum
LabelDatum(const ModelBlob *blob, int label)
{
	int			len;
	const char *name = BlobLabel(blob, label, &len);

	return PointerGetDatum(cstring_to_text_with_len(name, len));
}

static int
ProbabilityCmp(const void *a, const void *b, void *arg)
{
	const double *p = arg;
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return p[x] != p[y] ? (p[x] > p[y] ? -1 : 1) : x - y;
}

PG_FUNCTION_INFO_V1(revops_classify);

/* classify(model, body, top) -> setof (label, probability), best first; before them a row without label where the model abstains */
Datum
revops_classify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const ModelBlob *blob;
	text	   *body;
	double	   *p;
	int		   *order;
	int			top = PG_ARGISNULL(2) ? LEARN_MAX_LABELS : PG_GETARG_INT32(2);
	int			best;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	if (top < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of labels is %d, the least is 1", top)));
	blob = ClassifyModel(ModelName(PG_GETARG_TEXT_PP(0)), 0);
	body = PG_GETARG_TEXT_PP(1);
	p = palloc(blob->nlabels * sizeof(double));
	if (!ModelPredict(blob, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), p, &best))
	{
		Datum		values[2] = {0, Float8GetDatum(1 - p[best])};
		bool		nulls[2] = {true, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		top--;
	}
	order = palloc(blob->nlabels * sizeof(int));
	for (int k = 0; k < blob->nlabels; k++)
		order[k] = k;
	if (top > 1)
		qsort_arg(order, blob->nlabels, sizeof(int), ProbabilityCmp, p);
	else
		order[0] = best;
	for (int i = 0; i < Min(top, (int) blob->nlabels); i++)
	{
		Datum		values[2] = {LabelDatum(blob, order[i]), Float8GetDatum(p[order[i]])};
		bool		nulls[2] = {false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	pfree(p);
	pfree(order);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(revops_best_label);

/* best_label(model, body): the first label of classify(), NULL where the model abstains */
Datum
revops_best_label(PG_FUNCTION_ARGS)
{
	const ModelBlob *blob = ClassifyModel(ModelName(PG_GETARG_TEXT_PP(0)), 0);
	text	   *body = PG_GETARG_TEXT_PP(1);
	bool		known;
	int			best = Best(blob, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), &known);

	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(LabelDatum(blob, best));
}

/* The number of a label, -1 if the model does not know it. */
static int
FindLabel(const ModelBlob *blob, const char *label)
{
	int			lo = 0,
				hi = blob->nlabels;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;
		int			len;
		const char *name = BlobLabel(blob, mid, &len);
		int			c = StrCmp(StrFrom(label), (Str) {name, len});

		if (c == 0)
			return mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}

PG_FUNCTION_INFO_V1(revops_sentiment_score);

/* sentiment_score(model, body): p(positive) - p(negative); 0 for a text of which the model knows nothing */
Datum
revops_sentiment_score(PG_FUNCTION_ARGS)
{
	const char *name = ModelName(PG_GETARG_TEXT_PP(0));
	const ModelBlob *blob = ClassifyModel(name, 0);
	text	   *body = PG_GETARG_TEXT_PP(1);
	int			positive = FindLabel(blob, "positive");
	int			negative = FindLabel(blob, "negative");
	double	   *p;
	double		score;
	int			best;

	if (positive < 0 || negative < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" is none of sentiment", name),
				 errhint("Its labels must be positive and negative, and may be neutral too.")));
	p = palloc(blob->nlabels * sizeof(double));
	score = ModelPredict(blob, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), p, &best) ? p[positive] - p[negative] : 0;
	pfree(p);
	PG_RETURN_FLOAT8(score);
}

/* What evaluate() counts. */
typedef struct Evaluation
{
	const ModelBlob *blob;
	const char *out_of_scope;
	double	   *p;
	int64	   *is;				/* rows with the label */
	int64	   *said;			/* rows for which it is the best label */
	int64	   *hit;
	int64		n;				/* rows with labels that are in scope */
	int64		right;
	int64		accepted;		/* not abstained on */
	int64		accepted_right;
	int64		unknown;		/* rows with a label that the model does not have */
	int64		out;
	int64		out_refused;
	double		bin_sum[15];
	double		bin_hit[15];
} Evaluation;

static void
EvaluateRow(void *arg, const char *label, const char *body)
{
	Evaluation *v = arg;
	int			is;
	int			best;
	int			bin;
	bool		known = ModelPredict(v->blob, body, strlen(body), v->p, &best);

	if (strcmp(label, v->out_of_scope) == 0)
	{
		v->out++;
		v->out_refused += !known;
		return;
	}
	is = FindLabel(v->blob, label);
	v->n++;
	v->accepted += known;
	v->said[best]++;
	bin = Min(14, Max(0, (int) (v->p[best] * 15)));
	v->bin_sum[bin] += v->p[best];
	if (is < 0)
		v->unknown++;
	else
		v->is[is]++;
	if (is == best)
	{
		v->right++;
		v->accepted_right += known;
		v->hit[is]++;
		v->bin_hit[bin]++;
	}
}

static void
PutMetric(ReturnSetInfo *result, const char *metric, Datum label, double value)
{
	Datum		values[3] = {CStringGetTextDatum(metric), label, Float8GetDatum(value)};
	bool		nulls[3] = {false, label == 0, isnan(value)};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The metrics of a version (0: the deployed one) on a query, whose arguments begin at `arg`. */
static void
Evaluate(FunctionCallInfo fcinfo, const char *model, int version, int arg)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(arg));
	char	   *label_column = text_to_cstring(PG_GETARG_TEXT_PP(arg + 1));
	const ModelBlob *loaded;
	ModelBlob  *blob;
	Evaluation	v = {0};
	double		f1_sum = 0;
	double		error = 0;
	int			shown = 0;

	InitMaterializedSRF(fcinfo, 0);
	/* the query may call models itself, and so unload this one: it is copied */
	loaded = ModelGet(model, version);
	if (loaded->magic == PREDICT_MAGIC)
	{
		PredictEvaluate(fcinfo, model, (const PredictBlob *) loaded, query, label_column);
		return;
	}
	blob = MemoryContextAllocHuge(CurrentMemoryContext, loaded->size);
	memcpy(blob, loaded, loaded->size);
	v.blob = blob;
	v.out_of_scope = text_to_cstring(PG_GETARG_TEXT_PP(arg + 2));
	v.p = palloc(blob->nlabels * sizeof(double));
	v.is = palloc0(blob->nlabels * sizeof(int64));
	v.said = palloc0(blob->nlabels * sizeof(int64));
	v.hit = palloc0(blob->nlabels * sizeof(int64));
	LearnQuery(query, label_column, EvaluateRow, &v);

	for (int b = 0; b < lengthof(v.bin_sum); b++)
		error += fabs(v.bin_sum[b] - v.bin_hit[b]);
	for (int k = 0; k < blob->nlabels; k++)
		if (v.is[k] > 0)
		{
			f1_sum += 2.0 * v.hit[k] / (v.is[k] + v.said[k]);
			shown++;
		}
#define SHARE(a, b) ((b) > 0 ? (double) (a) / (b) : NAN)
	PutMetric(result, "examples", 0, v.n + v.out);
	PutMetric(result, "accuracy", 0, SHARE(v.right, v.n));
	PutMetric(result, "macro_f1", 0, SHARE(f1_sum, shown));
	PutMetric(result, "calibration_error", 0, SHARE(error, v.n));
	PutMetric(result, "coverage", 0, SHARE(v.accepted, v.n));
	PutMetric(result, "in_scope_accuracy", 0, SHARE(v.accepted_right, v.n));
	PutMetric(result, "oos_recall", 0, SHARE(v.out_refused, v.out));
	PutMetric(result, "unknown_labels", 0, v.unknown);
	for (int k = 0; k < blob->nlabels; k++)
	{
		Datum		label;

		if (v.is[k] == 0 && v.said[k] == 0)
			continue;
		label = LabelDatum(blob, k);
		PutMetric(result, "precision", label, SHARE(v.hit[k], v.said[k]));
		PutMetric(result, "recall", label, SHARE(v.hit[k], v.is[k]));
		PutMetric(result, "f1", label, SHARE(2.0 * v.hit[k], v.is[k] + v.said[k]));
		PutMetric(result, "support", label, v.is[k]);
	}
	pfree(blob);
}

PG_FUNCTION_INFO_V1(revops_evaluate);

/* evaluate(model, query, label_column, out_of_scope) -> setof (metric, label, value) */
Datum
revops_evaluate(PG_FUNCTION_ARGS)
{
	Evaluate(fcinfo, text_to_cstring(PG_GETARG_TEXT_PP(0)), 0, 1);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(revops_evaluate_version);

/* evaluate_version(model, version, query, label_column, out_of_scope) */
Datum
revops_evaluate_version(PG_FUNCTION_ARGS)
{
	Evaluate(fcinfo, text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1), 2);
	return (Datum) 0;
}
