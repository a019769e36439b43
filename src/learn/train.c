/*
 * train.c
 *	  revops.train(): from a query's examples to a stored version of a model.
 *
 * 1. gather: the query's rows, as counts of hashed features (gather.c)
 * 2. vectorize: the vocabulary with its idf; each example a vector of length 1
 * 3. solve, a block of labels after the other: first without the held-out examples, whose scores are kept; then on from there with all
 *    (solver.c). The block's weights are rounded to 8 bits and go; so memory does not grow with labels * features * 4
 * 4. networks, one after the other, in the same way (committee.c, network.c); how much they count is what serves the held-out best
 * 5. calibrate on the scores of the held-out (calibrate.c), and store through revops.store_model(), as the version after the last
 *
 * The user's query runs as the user. What is stored is written by store_model(), which admins may call.
 */
#include "learn/gather.h"
#include "learn/predict.h"
#include "learn/tally.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define HELD_OUT_LEAST	20		/* right answers are not estimated from fewer */
#define CACHE_LINE		64

typedef struct Trained
{
	int8	   *weight;
	float	   *unit;
	float	   *bias;
	double		objective;
	int			epochs;			/* most of any block */
} Trained;

/*
 * Which examples are held out: of each label in turn, so that it keeps all but every n-th; labels with few examples give none away.
 * Returns their number; scores go by it.
 */
static int
HoldOut(const Dataset *data, double share, bool *use, int32 *label)
{
	int			every = share > 0 ? Max(2, (int) Min(rint(1 / share), LEARN_MAX_EXAMPLES)) : 0;
	int		   *seen = palloc0((data->nlabels + 1) * sizeof(int));
	int			n = 0;

	for (int i = 0; i < data->n; i++)
	{
		use[i] = every == 0 || ++seen[data->label[i] + 1] % every != 0;
		if (!use[i])
			label[n++] = data->label[i];
	}
	pfree(seen);
	return n;
}

/* 8 bits for each weight of the block, as multiples of a unit for each label. */
static void
Quantize(const Dataset *data, const SolverBlock *block, int stride, Trained *t)
{
	for (int k = 0; k < block->n; k++)
	{
		float		most = 0;
		float		unit;

		CHECK_FOR_INTERRUPTS();
		for (size_t f = 0; f < data->nfeatures; f++)
			most = Max(most, fabsf(block->w[f * LEARN_BLOCK + k]));
		unit = most > 0 ? most / 127 : 1;
		t->unit[block->first + k] = unit;
		t->bias[block->first + k] = block->w[(size_t) data->nfeatures * LEARN_BLOCK + k];
		for (size_t f = 0; f < data->nfeatures; f++)
			t->weight[f * stride + block->first + k] = (int8) rintf(block->w[f * LEARN_BLOCK + k] / unit);
	}
}

/* Solve all labels; the scores of the nheld examples that are not used go to `scores` */
static void
Solve(Examples *e, const char *model, const Dataset *data, const LearnOptions *options, const bool *use, int nheld, float *scores, Trained *t)
{
	int			stride = BlobStride(data->nlabels);
	size_t		nw = ((size_t) data->nfeatures + 1) * LEARN_BLOCK;
	size_t		na = (size_t) Max(data->n, 1) * LEARN_BLOCK;
	SolverBlock block;
	char	   *room;
	TimestampTz told = NoticeStart();

	LearnCharge(e, (nw + na) * sizeof(float) + (size_t) data->nfeatures * stride);
	room = MemoryContextAllocHuge(CurrentMemoryContext, nw * sizeof(float) + CACHE_LINE);
	block.w = (float *) TYPEALIGN(CACHE_LINE, room);
	block.alpha = MemoryContextAllocHuge(CurrentMemoryContext, na * sizeof(float));
	t->weight = MemoryContextAllocExtended(CurrentMemoryContext, Max((size_t) data->nfeatures * stride, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	t->unit = palloc0(stride * sizeof(float));
	t->bias = palloc0(stride * sizeof(float));
	t->objective = 0;
	t->epochs = 0;
	for (block.first = 0; block.first < data->nlabels; block.first += LEARN_BLOCK)
	{
		block.n = Min(LEARN_BLOCK, data->nlabels - block.first);
		memset(block.w, 0, nw * sizeof(float));
		memset(block.alpha, 0, na * sizeof(float));
		if (nheld > 0)
		{
			int			h = 0;

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
		SolverRun(data, NULL, &options->solver, &block);
		t->epochs = Max(t->epochs, block.epochs);
		t->objective += SolverObjective(data, &options->solver, &block);
		Quantize(data, &block, stride, t);
		if (NoticeDue(&told))
			ereport(NOTICE,
					(errmsg("model \"%s\": %d of %d labels are trained", model, block.first + block.n, data->nlabels)));
	}
	pfree(room);
	pfree(block.alpha);
	e->used -= (nw + na) * sizeof(float);
}

/* What the held-out examples say of the model, as the members of a JSON object. */
static void
HeldOutMetrics(StringInfo json, const float *scores, const int32 *label, int n, int nlabels, double scale, double threshold)
{
	double	   *p = palloc(nlabels * sizeof(double));
	double	   *confidence = palloc(Max(n, 1) * sizeof(double));
	bool	   *right = palloc(Max(n, 1) * sizeof(bool));
	int			in = 0,
				hits = 0,
				accepted = 0,
				out = 0,
				refused = 0;

	for (int i = 0; i < n; i++)
	{
		const float *s = scores + (size_t) i * nlabels;
		int			best = 0;

		CalibrateProbabilities(s, nlabels, scale, p);
		for (int k = 1; k < nlabels; k++)
			if (s[k] > s[best])
				best = k;
		if (label[i] < 0)
		{
			out++;
			refused += s[best] < threshold;
			continue;
		}
		confidence[in] = p[best];
		right[in] = label[i] == best;
		hits += right[in];
		accepted += s[best] >= threshold;
		in++;
	}
	appendStringInfo(json, ", \"held_out\": %d", n);
	if (in > 0)
		appendStringInfo(json, ", \"accuracy\": %.4f, \"coverage\": %.4f, \"calibration_error\": %.4f",
						 (double) hits / in, (double) accepted / in, CalibrationError(confidence, right, in));
	if (out > 0)
		appendStringInfo(json, ", \"oos_recall\": %.4f", (double) refused / out);
	pfree(p);
	pfree(confidence);
	pfree(right);
}

static int
Store(const char *model, Examples *e, Datum options, const char *metrics, ModelBlob *blob)
{
	static SqlPlan plan = {
		"SELECT revops.store_model($1, 'classify', $2, $3, $4, $5::pg_catalog.jsonb, $6, $7)::pg_catalog.int8", 7,
		{TEXTOID, TEXTARRAYOID, JSONBOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID}, .large = true
	};
	Datum	   *labels = palloc(Max(e->nlabels, 1) * sizeof(Datum));
	bytea	   *stored = palloc(VARHDRSZ + blob->size);
	Datum		values[7];
	int			level;
	int			version;

	for (int k = 0; k < e->nlabels; k++)
		labels[k] = CStringGetTextDatum(e->labels[k]);
	SET_VARSIZE(stored, VARHDRSZ + blob->size);
	memcpy(VARDATA(stored), blob, blob->size);
	values[0] = CStringGetTextDatum(model);
	values[1] = PointerGetDatum(construct_array(labels, e->nlabels, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = options;
	values[3] = CStringGetTextDatum(psprintf("%016llx", (unsigned long long) e->fingerprint));
	values[4] = CStringGetTextDatum(metrics);
	values[5] = Int32GetDatum(e->n);
	values[6] = PointerGetDatum(stored);
	level = SqlConnect();
	version = (int) SqlInt8(&plan, values, NULL, 0);
	SqlFinish(level);
	return version;
}

PG_FUNCTION_INFO_V1(revops_train);

/* train(model, task, query, label, options) -> version */
Datum
revops_train(PG_FUNCTION_ARGS)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops training", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *task = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *label_column = text_to_cstring(PG_GETARG_TEXT_PP(3));
	LearnOptions options;
	Examples	e;
	Dataset		data;
	Vocabulary	v;
	Trained		trained;
	ModelBlob  *blob;
	StringInfoData metrics;
	LabelTally *tally;
	bool	   *use;
	int32	   *held_label;
	float	   *scores = NULL;
	RoundedNetworks networks = {0};
	float		mix = 0;
	int			nheld;
	int			version;
	double		scale;
	double		threshold = -INFINITY;
	bool		out_of_scope = false;

	if (*model == '\0' || strlen(model) > LEARN_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a model's name has 1 to %d bytes, this one has %zu", LEARN_MAX_NAME, strlen(model))));
	if (strcmp(task, "predict") == 0)
	{
		version = PredictTrain(model, query, label_column, PG_GETARG_DATUM(4));
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		PG_RETURN_INT32(version);
	}
	if (strcmp(task, "classify") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("revops.train() does not know the task \"%s\"", task),
				 errhint("The task is 'classify': labels of texts, or 'predict': yes-or-no questions over rows.")));
	LearnOptionsRead(&options, PG_GETARG_DATUM(4));

	LearnGather(&e, query, label_column, &options);
	if (e.empty > 0)
		ereport(NOTICE,
				(errmsg("model \"%s\": %d texts without a letter or digit are left out", model, e.empty)));
	if (e.nlabels < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" needs examples of at least two labels, the query gives %d", model, e.nlabels),
				 e.nlabels == 1 ? errdetail("The only label is \"%s\".", e.labels[0]) : 0,
				 errhint("Add examples of what is not meant, with a label of their own.")));
	LearnVectorize(&e, options.min_count, &data, &v);

	LearnCharge(&e, (size_t) data.n * (sizeof(bool) + sizeof(int32)));
	use = MemoryContextAllocHuge(context, Max(data.n, 1) * sizeof(bool));
	held_label = MemoryContextAllocHuge(context, Max(data.n, 1) * sizeof(int32));
	nheld = HoldOut(&data, options.held_out, use, held_label);
	if (nheld < HELD_OUT_LEAST)
		nheld = 0;
	LearnCharge(&e, (size_t) nheld * data.nlabels * sizeof(float));
	if (nheld > 0)
		scores = MemoryContextAllocHuge(context, (size_t) nheld * data.nlabels * sizeof(float));
	Solve(&e, model, &data, &options, use, nheld, scores, &trained);
	/* what they count is not told without held-out examples */
	if (nheld == 0 || v.ncommon == 0)
		options.networks = 0;
	if (options.networks > 0)
	{
		float	   *theirs;

		LearnCharge(&e, (size_t) nheld * data.nlabels * 2 * sizeof(float));
		theirs = MemoryContextAllocExtended(context, (size_t) nheld * data.nlabels * sizeof(float), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		CommitteeTrain(&e, model, &data, &v, &options, use, nheld, theirs, &networks);
		mix = CommitteeMix(scores, theirs, held_label, nheld, data.nlabels);
		pfree(theirs);
		e.used -= (size_t) nheld * data.nlabels * 2 * sizeof(float);
	}
	if (mix == 0)
	{
		options.networks = 0;
		networks = (RoundedNetworks) {.outputs = data.nlabels};
	}

	for (int i = 0; i < data.n && !out_of_scope; i++)
		out_of_scope = data.label[i] < 0;
	scale = nheld > 0 ? CalibrateScale(scores, held_label, nheld, data.nlabels) : 2;
	/* with too few to estimate by, an answer stands where its own label's classifier says yes */
	if (out_of_scope || options.keep_given)
		threshold = nheld > 0 ? CalibrateThreshold(scores, held_label, nheld, data.nlabels, options.keep) : 0;

	LearnCharge(&e, ((size_t) v.n * (BlobStride(data.nlabels) + sizeof(float) + 4 * sizeof(BlobSlot)) +
					 (size_t) networks.nfeatures * networks.n * networks.hidden) * 2);
	blob = BlobBuild(&options.kinds, data.nlabels, e.labels, v.n, v.hash, v.idf, trained.weight, trained.unit, trained.bias, &networks);
	blob->mix = mix;
	blob->scale = scale;
	blob->threshold = threshold;
	BlobSeal(blob);

	initStringInfo(&metrics);
	appendStringInfo(&metrics, "{\"examples\": %d, \"labels\": %d, \"features\": %u, \"weighted_features\": %u, \"epochs\": %d, \"objective\": %.9g",
					 data.n, data.nlabels, v.n, blob->nrows, trained.epochs, trained.objective);
	HeldOutMetrics(&metrics, scores, held_label, nheld, data.nlabels, scale, threshold);
	tally = palloc0(data.nlabels * sizeof(LabelTally));
	if (options.folds > 0)
	{
		TallyFolds(tally, &e, model, &data, &v, &options, mix, threshold);
		appendStringInfo(&metrics, ", \"folds\": %d", options.folds);
	}
	else
		TallyScores(tally, scores, held_label, nheld, data.nlabels, threshold);
	TallyJson(&metrics, tally, e.labels, data.nlabels);
	appendStringInfo(&metrics, ", \"networks\": %d, \"mix\": %.6g", networks.n, mix);
	appendStringInfo(&metrics, ", \"scale\": %.6g", scale);
	if (!isinf(threshold))
		appendStringInfo(&metrics, ", \"threshold\": %.6g", threshold);
	appendStringInfoChar(&metrics, '}');
	/* on its way, and in its row */
	LearnCharge(&e, 2 * (size_t) blob->size);
	version = Store(model, &e, PG_GETARG_DATUM(4), metrics.data, blob);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_INT32(version);
}
