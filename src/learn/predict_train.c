/*
 * predict_train.c
 *	  revops.train() for yes-or-no questions: from a query's rows to a stored version of a model.
 *
 * 1. gather (predict_gather.c); refuse what cannot be learned from; leave out columns that say nothing (predict_choose.c)
 * 2. hold rows out: the latest by the time column, or a random share. Of the others choose, by rows that validate (five folds while there
 *    are few), the bins and the strength of the penalty, then whether interactions help
 * 3. a model of the rows that are not held out is measured and calibrated on those that are; the one that is stored has the same settings
 *    and calibration, and learns from all rows
 *
 * The user's query runs as the user. What is stored is written by store_model(), which admins may call.
 */
#include "learn/predict_train.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define HELD_FIT_ROWS	200000	/* that the model which is measured learns from */
#define MEASURE_LEAST	50		/* rows held out, for a figure or a calibration */
#define TREE_BINS		PREDICT_MAX_BINS
#define RANK_PRIOR		20		/* rows of the base rate, added to each category */
#define TOLERANCE		1e-9

/* What trees see of codes: a number's bin; a category's log-odds among the rows. */
static float **
Ranks(Training *g, const Rows *rows)
{
	float	  **rank = palloc(Max(g->ninputs, 1) * sizeof(float *));
	double		base = (double) TrainPositives(g->t, rows) / rows->n;

	for (int i = 0; i < g->ninputs; i++)
	{
		Binning    *b = &g->binning[i];
		double	   *n = palloc0(b->ncodes * sizeof(double));
		double	   *positives = palloc0(b->ncodes * sizeof(double));

		CHECK_FOR_INTERRUPTS();
		rank[i] = palloc(b->ncodes * sizeof(float));
		for (int r = 0; b->category && r < rows->n; r++)
		{
			int			c = TrainInputCode(g, i, rows->row[r]);

			n[c]++;
			positives[c] += g->t->label[rows->row[r]];
		}
		for (int c = 0; c < b->ncodes; c++)
			rank[i][c] = c == CODE_MISSING ? NAN : !b->category ? c :
				log((positives[c] + RANK_PRIOR * base) / (n[c] - positives[c] + RANK_PRIOR * (1 - base)));
		pfree(n);
		pfree(positives);
	}
	return rank;
}

/* Trees of the rows `fit`; those that validate (NULL: none) say how many rounds. */
static Forest *
GrowTrees(Training *g, const Rows *fit, const Rows *valid, float **rank, int rounds)
{
	int			n = fit->n + (valid ? valid->n : 0);
	size_t		cells = (size_t) n * g->ninputs;
	TreesOptions o = {rounds, g->o->depth, g->o->rate, g->o->seed};
	Forest	   *forest = palloc0(sizeof(Forest));
	float	   *x;
	uint8	   *label;

	/* the library's own copies: entries of 8 bytes, pages, bins; and histograms */
	PredictCharge(g->t, cells * (sizeof(float) + 20) + (size_t) n * 64);
	x = MemoryContextAllocHuge(CurrentMemoryContext, Max(cells, 1) * sizeof(float));
	label = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1));
	for (int r = 0; r < n; r++)
	{
		int			row = r < fit->n ? fit->row[r] : valid->row[r - fit->n];

		if ((r & 4095) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < g->ninputs; i++)
			x[(size_t) r * g->ninputs + i] = rank[i][TrainInputCode(g, i, row)];
		label[r] = g->t->label[row];
	}
	TreesGrow(x, label, fit->n, n - fit->n, g->ninputs, &o, forest);
	pfree(x);
	pfree(label);
	g->t->used -= cells * (sizeof(float) + 20) + (size_t) n * 64;
	return forest;
}

static PredictModel
Assemble(Training *g, double *w, float **rank, Forest *forest)
{
	PredictModel m = {0};
	int		   *column = palloc(g->t->ncolumns * sizeof(int));

	m.column = palloc(g->t->ncolumns * sizeof(char *));
	m.kind = palloc(g->t->ncolumns * sizeof(ColumnKind));
	m.input_column = palloc(Max(g->ninputs, 1) * sizeof(int));
	m.input_part = palloc(Max(g->ninputs, 1) * sizeof(InputPart));
	for (int c = 0; c < g->t->ncolumns; c++)
		column[c] = -1;
	for (int i = 0; i < g->ninputs; i++)
	{
		int			c = g->t->input[g->raw[i]].column;

		if (column[c] < 0)
		{
			column[c] = m.ncolumns;
			m.column[m.ncolumns] = g->t->column[c];
			m.kind[m.ncolumns++] = g->t->kind[c];
		}
		m.input_column[i] = column[c];
		m.input_part[i] = g->t->input[g->raw[i]].part;
	}
	m.ninputs = g->ninputs;
	m.binning = g->binning;
	m.nterms = g->nterms;
	m.term = g->term;
	m.nweights = g->nweights;
	m.weight = w;
	m.rank = rank;
	m.forest = forest;
	m.scale = 1;
	return m;
}

/* The scores of rows by a model that is not calibrated yet. */
static Scored *
ScoreRows(Training *g, const PredictModel *m, const Rows *rows)
{
	PredictBlob *blob = PredictBlobBuild(m);
	uint16	   *code = palloc(Max(g->ninputs, 1) * sizeof(uint16));
	Scored	   *s;

	PredictCharge(g->t, (size_t) rows->n * sizeof(Scored));
	s = MemoryContextAllocHuge(CurrentMemoryContext, Max(rows->n, 1) * sizeof(Scored));
	for (int r = 0; r < rows->n; r++)
	{
		if ((r & 4095) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < g->ninputs; i++)
			code[i] = TrainInputCode(g, i, rows->row[r]);
		s[r] = (Scored) {PredictScore(blob, code), g->t->label[rows->row[r]]};
	}
	pfree(blob);
	pfree(code);
	return s;
}

static int
Store(const char *model, const RawTable *t, Datum options, const char *metrics, const PredictBlob *blob)
{
	static SqlPlan plan = {
		"SELECT revops.store_model($1, 'predict', $2, $3, $4, $5::pg_catalog.jsonb, $6, $7)::pg_catalog.int8", 7,
		{TEXTOID, TEXTARRAYOID, JSONBOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID}, .large = true
	};
	Datum		labels[2] = {CStringGetTextDatum("false"), CStringGetTextDatum("true")};
	bytea	   *stored = palloc(VARHDRSZ + blob->size);
	Datum		values[7];
	int			level;
	int			version;

	SET_VARSIZE(stored, VARHDRSZ + blob->size);
	memcpy(VARDATA(stored), blob, blob->size);
	values[0] = CStringGetTextDatum(model);
	values[1] = PointerGetDatum(construct_array(labels, 2, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = options;
	values[3] = CStringGetTextDatum(psprintf("%016llx", (unsigned long long) t->fingerprint));
	values[4] = CStringGetTextDatum(metrics);
	values[5] = Int32GetDatum(t->n);
	values[6] = PointerGetDatum(stored);
	level = SqlConnect();
	version = (int) SqlInt8(&plan, values, NULL, 0);
	SqlFinish(level);
	return version;
}

/* Too little, or one answer only: nothing to learn from. */
static void
CheckRows(const char *model, const RawTable *t, int positives)
{
	int			fewer = Min(positives, t->n - positives);

	if (t->unlabelled > 0)
		ereport(NOTICE,
				(errmsg("model \"%s\": %lld rows without an answer are left out", model, (long long) t->unlabelled)));
	if (t->undated > 0)
		ereport(NOTICE,
				(errmsg("model \"%s\": %lld rows without a time are left out", model, (long long) t->undated)));
	if (t->n > 0 && fewer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": all %d answers are %s", model, t->n, positives > 0 ? "yes" : "no"),
				 errhint("Give examples of both answers.")));
	if (t->n < PREDICT_MIN_ROWS || fewer < PREDICT_MIN_CLASS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": too little to learn from", model),
				 errdetail("There are %d rows with an answer, %d of them yes. The least is %d rows, with %d of each answer.",
						   t->n, positives, PREDICT_MIN_ROWS, PREDICT_MIN_CLASS),
				 errhint("Wait for more outcomes, or take a longer time of the past.")));
}

/* The calibration, and what the rows held out say, as members of a JSON object. */
static void
MeasureHeld(Training *g, Scored *s, int n, double *scale, double *shift, StringInfo json)
{
	Measure		m;
	int			positives = 0;

	*scale = 1;
	*shift = 0;
	appendStringInfo(json, ", \"held_out\": %d", n);
	for (int i = 0; i < n; i++)
		positives += s[i].label;
	if (n < MEASURE_LEAST || positives < 5 || n - positives < 5)
		return;
	PlattFit(s, n, scale, shift);
	if (*scale == 0)
		*shift = log(((double) positives + 0.5) / (n - positives + 0.5));
	for (int i = 0; i < n; i++)
		s[i].score = Sigmoid(*scale * s[i].score + *shift);
	MeasureAll(s, n, &m);
	appendStringInfo(json, ", \"auc\": %.4f, \"auc_low\": %.4f, \"auc_high\": %.4f, \"brier\": %.5f, "
					 "\"log_loss\": %.5f, \"base_log_loss\": %.5f, \"calibration_error\": %.4f, \"learnt\": %s",
					 m.auc, Max(0, m.auc - 1.96 * m.auc_error), Min(1, m.auc + 1.96 * m.auc_error), m.brier, m.log_loss, m.base_log_loss, m.calibration_error,
					 m.auc - 1.96 * m.auc_error > 0.5 ? "true" : "false");
	if (!(m.auc - 1.96 * m.auc_error > 0.5))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("model \"%s\": nothing can be learnt from these columns", g->model),
				 errdetail("On the %d rows held out the AUC is %.3f, with a 95%% interval from %.3f to %.3f: no better than a toss.",
						   n, m.auc, Max(0, m.auc - 1.96 * m.auc_error), Min(1, m.auc + 1.96 * m.auc_error))));
}

int
PredictTrain(const char *model, const char *query, const char *label_column, Datum options)
{
	PredictOptions o;
	RawTable	table;
	Training	g = {model, &table, &o};
	Rows		all;
	Rows		fit;
	Rows		held;
	int			positives;
	double	   *w = NULL;
	float	  **rank = NULL;
	Forest	   *forest = NULL;
	PredictModel m;
	LogitProblem p;
	double		objective = NAN;
	double		scale,
				shift;
	int			steps = 0;
	StringInfoData json;

	PredictOptionsRead(&o, options);
	if (o.trees && TreesMissing() != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the option \"trees\" cannot be used here: %s", TreesMissing()),
				 errhint("Install the package libxgboost0 on the server, or train without \"trees\".")));
	PredictGather(&table, query, label_column, &o);
	all = TrainRowsMake(&table, table.n);
	for (all.n = 0; all.n < table.n; all.n++)
		all.row[all.n] = all.n;
	positives = TrainPositives(&table, &all);
	CheckRows(model, &table, positives);
	TrainPrepare(&g);
	TrainDivide(&table, &all, o.held_out, o.seed, 1, &fit, &held);
	if (TrainPositives(&table, &fit) == 0 || TrainPositives(&table, &fit) == fit.n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": all answers before those held out are the same", model),
				 errhint("Give a longer time of the past, or a smaller \"held_out\".")));
	TrainFindLeaks(&g, &fit);
	if (g.ninputs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\": no column is left to learn from", model),
				 errhint("Columns that are the same in every row, have too many different values, or give the answer away are left out.")));
	initStringInfo(&json);
	appendStringInfo(&json, "{\"method\": \"%s\", \"examples\": %d, \"positives\": %d, \"base_rate\": %.5f, \"inputs\": %d, \"split\": \"%s\"",
					 o.trees ? "trees" : "logistic", table.n, positives, (double) positives / table.n, g.ninputs, table.time ? "time" : "random");
	if (o.trees)
	{
		Rows		teach;
		Rows		valid;
		Rows		sample = TrainRowsThin(&table, &fit, TRIAL_ROWS);
		Forest	   *first;

		TrainSetBins(&g, TREE_BINS, &sample);
		TrainDivide(&table, &fit, 0.2, o.seed, 3, &teach, &valid);
		rank = Ranks(&g, &teach);
		first = GrowTrees(&g, &teach, &valid, rank, o.rounds);
		m = Assemble(&g, NULL, rank, first);
		appendStringInfo(&json, ", \"rounds\": %d, \"depth\": %d", first->ntrees, o.depth);
		MeasureHeld(&g, ScoreRows(&g, &m, &held), held.n, &scale, &shift, &json);
		rank = Ranks(&g, &all);
		forest = GrowTrees(&g, &all, NULL, rank, Max(first->ntrees, 1));
	}
	else
	{
		TrainChoose(&g, &fit);
		if (held.n > 0)
		{
			Rows		teach = TrainRowsThin(&table, &fit, HELD_FIT_ROWS);

			p = TrainEncode(&g, &teach);
			TrainSetPenalty(&g, &p, g.strength, g.group_factor);
			w = TrainFirstWeights(&p);
			LogitSolve(&p, w, TOLERANCE, &steps);
			TrainForget(&g, &p);
			m = Assemble(&g, w, NULL, NULL);
		}
		else
			m = (PredictModel) {0};
		appendStringInfo(&json, ", \"weights\": %d, \"bins\": %d, \"strength\": %g, \"interactions\": %d", g.nweights, g.bins, g.strength, g.nterms - g.ninputs);
		MeasureHeld(&g, held.n > 0 ? ScoreRows(&g, &m, &held) : NULL, held.n, &scale, &shift, &json);
		p = TrainEncode(&g, &all);
		TrainSetPenalty(&g, &p, g.strength, g.group_factor);
		if (w == NULL)
			w = TrainFirstWeights(&p);
		objective = LogitSolve(&p, w, TOLERANCE, &steps);
		TrainForget(&g, &p);
	}
	m = Assemble(&g, w, rank, forest);
	m.scale = scale;
	m.shift = shift;
	m.base_rate = (double) positives / table.n;
	appendStringInfo(&json, ", \"scale\": %.6g, \"shift\": %.6g", scale, shift);
	if (!isnan(objective))
		appendStringInfo(&json, ", \"objective\": %.10g, \"steps\": %d", objective, steps);
	appendStringInfoChar(&json, '}');
	return Store(model, &table, options, json.data, PredictBlobBuild(&m));
}
