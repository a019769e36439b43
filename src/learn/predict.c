/*
 * predict.c
 *	  The SQL face of yes-or-no models: predict(), explain(), and evaluate() for them.
 *
 * A row's columns are matched to the model's by name, once for each kind of row and model; what was found is kept with the call.
 */
#include "learn/predict.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* Where a kind of row has the model's columns. */
typedef struct RowPlan
{
	MemoryContext context;
	const PredictBlob *blob;	/* it was made for this model, if the checksum is that too */
	uint32		crc;
	Oid			type;
	int32		typmod;
	TupleDesc	desc;
	int			ncolumns;
	int		   *attribute;		/* by column */
	ValueReader *reader;
	Datum	   *values;
	bool	   *nulls;
	uint16	   *code;			/* by input */
} RowPlan;

/* The model's name in a buffer that the next call overwrites; the deployed version, or ERROR if it is of another task. */
static const PredictBlob *
PredictGet(const char *model, int version)
{
	const ModelBlob *blob = ModelGet(model, version);

	if (blob->magic != PREDICT_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is of the task 'classify'", model),
				 errhint("revops.classify() asks it.")));
	return (const PredictBlob *) blob;
}

static const char *
NameOf(text *name)
{
	static char buffer[LEARN_MAX_NAME + 2];
	int			len = Min(VARSIZE_ANY_EXHDR(name), LEARN_MAX_NAME + 1);

	memcpy(buffer, VARDATA_ANY(name), len);
	buffer[len] = '\0';
	return buffer;
}

static const char *
KindName(ColumnKind kind)
{
	return kind == COLUMN_NUMBER ? "a number" : kind == COLUMN_TIME ? "a date or time" : "a text, boolean or enum";
}

/* Finds the model's columns by name, in the plan's context. A column that is not there is an error: NULL says that a value is missing. */
static void
MatchColumns(RowPlan *plan, const PredictBlob *blob, TupleDesc desc, const char *model)
{
	const PredictColumn *column = PREDICT_COLUMNS(blob);
	MemoryContext old = MemoryContextSwitchTo(plan->context);

	plan->ncolumns = blob->ncolumns;
	plan->attribute = palloc(Max(blob->ncolumns, 1) * sizeof(int));
	plan->reader = palloc(Max(blob->ncolumns, 1) * sizeof(ValueReader));
	plan->code = palloc(Max(blob->ninputs, 1) * sizeof(uint16));
	for (uint32 c = 0; c < blob->ncolumns; c++)
	{
		const char *name = PREDICT_TEXT(blob, column[c].name);
		int			a = 0;

		while (a < desc->natts && (TupleDescAttr(desc, a)->attisdropped || strcmp(NameStr(TupleDescAttr(desc, a)->attname), name) != 0))
			a++;
		if (a == desc->natts)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("the row has no column \"%s\", which model \"%s\" was trained with", name, model),
					 errhint("Give a row with names, as in SELECT revops.predict('%s', r) FROM (SELECT ...) r. Where a value is not known, give NULL.", model)));
		ValueReaderInit(&plan->reader[c], TupleDescAttr(desc, a)->atttypid, plan->context);
		if (plan->reader[c].type == VALUE_NONE || plan->reader[c].kind != column[c].kind)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" has type %s; model \"%s\" was trained with %s there", name, format_type_be(TupleDescAttr(desc, a)->atttypid), model,
							KindName(column[c].kind)),
					 errhint("Cast it as in the query of the training.")));
		plan->attribute[c] = a;
	}
	MemoryContextSwitchTo(old);
}

/* The codes of a row that is apart already, in plan->code. */
static void
RowCodes(RowPlan *plan, const PredictBlob *blob, const Datum *values, const bool *nulls)
{
	const PredictInput *in = PREDICT_INPUTS(blob);
	const double *edges = (const double *) BLOB_AT(blob, blob->edge_at);

	for (uint32 i = 0; i < blob->ninputs; i++)
	{
		int			c = in[i].column;
		int			a = plan->attribute[c];
		const ValueReader *r = &plan->reader[c];

		if (nulls[a])
			plan->code[i] = CODE_MISSING;
		else if (r->type == VALUE_FLOAT8)
			plan->code[i] = BinCode(edges + in[i].first_edge, in[i].nedges, DatumGetFloat8(values[a]));
		else if (r->kind == COLUMN_CATEGORY)
		{
			int			len;
			const char *s = ValueText(r, values[a], &len);

			plan->code[i] = PredictCategory(blob, &in[i], s, len);
		}
		else
		{
			double		x;

			if (r->kind == COLUMN_TIME)
			{
				double		parts[3];

				ValueTimeParts(r, values[a], parts);
				x = in[i].part == PART_VALUE ? NAN : parts[in[i].part - PART_MONTH];
			}
			else
				x = ValueNumber(r, values[a]);
			plan->code[i] = BinCode(edges + in[i].first_edge, in[i].nedges, x);
		}
	}
}

/* The plan of this call for this row, which is taken apart into it. */
static RowPlan *
PlanRow(FunctionCallInfo fcinfo, const PredictBlob *blob, const char *model)
{
	RowPlan    *plan = fcinfo->flinfo->fn_extra;
	HeapTupleHeader row;
	HeapTupleData tuple;
	Oid			type;
	int32		typmod;

	if (plan == NULL)
	{
		Oid			argument = get_fn_expr_argtype(fcinfo->flinfo, 1);

		if (OidIsValid(argument) && !type_is_rowtype(argument))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the features are of type %s, and not a row", format_type_be(argument)),
					 errhint("Give a row with names, as in SELECT revops.predict('%s', r) FROM (SELECT ...) r.", model)));
		plan = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RowPlan));
		plan->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "revops predict", ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = plan;
	}
	row = PG_GETARG_HEAPTUPLEHEADER(1);
	type = HeapTupleHeaderGetTypeId(row);
	typmod = HeapTupleHeaderGetTypMod(row);
	if (plan->blob != blob || plan->crc != blob->crc || plan->type != type || plan->typmod != typmod)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_domain(type, typmod, false);
		MemoryContext context = plan->context;

		MemoryContextReset(context);
		memset(plan, 0, sizeof(RowPlan));
		plan->context = context;
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			plan->desc = CreateTupleDescCopy(desc);
			MemoryContextSwitchTo(old);
		}
		ReleaseTupleDesc(desc);
		plan->values = MemoryContextAlloc(context, Max(plan->desc->natts, 1) * sizeof(Datum));
		plan->nulls = MemoryContextAlloc(context, Max(plan->desc->natts, 1) * sizeof(bool));
		MatchColumns(plan, blob, plan->desc, model);
		plan->blob = blob;
		plan->crc = blob->crc;
		plan->type = type;
		plan->typmod = typmod;
	}
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, plan->desc, plan->values, plan->nulls);
	return plan;
}

PG_FUNCTION_INFO_V1(revops_predict);

/* predict(model, features) -> the probability of yes */
Datum
revops_predict(PG_FUNCTION_ARGS)
{
	const char *model = NameOf(PG_GETARG_TEXT_PP(0));
	const PredictBlob *blob = PredictGet(model, 0);
	RowPlan    *plan = PlanRow(fcinfo, blob, model);

	RowCodes(plan, blob, plan->values, plan->nulls);
	PG_RETURN_FLOAT8(Sigmoid(PredictScore(blob, plan->code)));
}

typedef struct Reason
{
	const char *feature;
	const char *value;
	double		contribution;
} Reason;

static int
ReasonCmp(const void *a, const void *b)
{
	const Reason *x = a;
	const Reason *y = b;

	if (fabs(x->contribution) != fabs(y->contribution))
		return fabs(x->contribution) > fabs(y->contribution) ? -1 : 1;
	return strcmp(x->feature, y->feature);
}

/* What an input is called: its column, or a part of it. */
static const char *
InputName(const PredictBlob *blob, int i)
{
	static const char *const part[] = {"", " (month)", " (weekday)", " (hour, UTC)"};
	const PredictInput *in = PREDICT_INPUTS(blob) + i;

	return psprintf("%s%s", PREDICT_TEXT(blob, PREDICT_COLUMNS(blob)[in->column].name), part[in->part]);
}

/* What the row has there, as people say it. */
static const char *
InputValue(const PredictBlob *blob, int i, const RowPlan *plan)
{
	static const char *const month[] = {"January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December"};
	static const char *const weekday[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
	const PredictInput *in = PREDICT_INPUTS(blob) + i;
	int			a = plan->attribute[in->column];
	const ValueReader *r = &plan->reader[in->column];
	double		parts[3];
	Oid			output;
	bool		varlena;

	if (plan->nulls[a])
		return "missing";
	if (r->kind == COLUMN_CATEGORY)
	{
		int			len;
		const char *s = ValueText(r, plan->values[a], &len);

		return psprintf("%.*s%s", len, s, plan->code[i] == CODE_OTHER ? " (rare or new)" : "");
	}
	if (r->kind == COLUMN_NUMBER)
	{
		getTypeOutputInfo(getBaseType(TupleDescAttr(plan->desc, a)->atttypid), &output, &varlena);
		return OidOutputFunctionCall(output, plan->values[a]);
	}
	ValueTimeParts(r, plan->values[a], parts);
	if (in->part == PART_VALUE || isnan(parts[in->part - PART_MONTH]))
		return "missing";
	if (in->part == PART_MONTH)
		return month[(int) parts[0] - 1];
	return in->part == PART_WEEKDAY ? weekday[(int) parts[1] - 1] : psprintf("%d", (int) parts[2]);
}

PG_FUNCTION_INFO_V1(revops_explain);

/* explain(model, features) -> setof (feature, value, contribution): they sum to the log-odds; the intercept first, then the strongest */
Datum
revops_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *model;
	const PredictBlob *blob;
	const BlobTerm *term;
	RowPlan    *plan;
	Reason	   *reason;
	double	   *by_input;
	double	   *by_term;
	double		intercept;
	int			n = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	model = NameOf(PG_GETARG_TEXT_PP(0));
	blob = PredictGet(model, 0);
	plan = PlanRow(fcinfo, blob, model);
	RowCodes(plan, blob, plan->values, plan->nulls);
	term = PREDICT_TERMS(blob);
	by_input = palloc(Max(blob->ninputs, 1) * sizeof(double));
	by_term = palloc(Max(blob->nterms, 1) * sizeof(double));
	reason = palloc((blob->ninputs + blob->nterms + 1) * sizeof(Reason));
	PredictContributions(blob, plan->code, by_input, by_term, &intercept);
	for (uint32 i = 0; i < blob->ninputs; i++)
		reason[n++] = (Reason) {InputName(blob, i), InputValue(blob, i, plan), by_input[i]};
	for (uint32 t = 0; t < blob->nterms; t++)
		if (term[t].b >= 0)
		{
			reason[n].feature = psprintf("%s with %s", InputName(blob, term[t].a), InputName(blob, term[t].b));
			reason[n].value = psprintf("%s with %s", InputValue(blob, term[t].a, plan), InputValue(blob, term[t].b, plan));
			reason[n++].contribution = by_term[t];
		}
	qsort(reason, n, sizeof(Reason), ReasonCmp);
	for (int i = -1; i < n; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		values[0] = CStringGetTextDatum(i < 0 ? "intercept" : reason[i].feature);
		values[1] = CStringGetTextDatum(i < 0 ? "where every row starts" : reason[i].value);
		values[2] = Float8GetDatum(i < 0 ? intercept : reason[i].contribution);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Rows of evaluate(), while they come. */
typedef struct PredictRows
{
	RowPlan		plan;
	const char *model;
	const PredictBlob *blob;
	const char *label_column;
	int			label_at;
	ValueReader label;
	RawTable	charge;			/* counts memory */
	MemoryContext context;
	Scored	   *scored;
	int			n;
	int			size;
} PredictRows;

static void
EvaluateStart(void *arg, TupleDesc desc)
{
	PredictRows *e = arg;

	e->label_at = SPI_fnumber(desc, e->label_column) - 1;
	if (e->label_at < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the query gives no column \"%s\"", e->label_column),
				 errhint("The argument \"label_column\" names the column of answers.")));
	ValueReaderInit(&e->label, TupleDescAttr(desc, e->label_at)->atttypid, e->context);
	MatchColumns(&e->plan, e->blob, desc, e->model);
}

static void
EvaluateTake(void *arg, TupleDesc desc, const Datum *values, const bool *nulls)
{
	PredictRows *e = arg;

	if (nulls[e->label_at])
		return;
	if (e->n == e->size)
	{
		int			size = Max(1024, e->size * 2);

		if (e->n >= PREDICT_MAX_ROWS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there are more than %d rows", PREDICT_MAX_ROWS)));
		e->charge.n = e->n;
		e->charge.ncolumns = desc->natts;
		PredictCharge(&e->charge, (size_t) (size - e->size) * sizeof(Scored));
		e->scored = e->scored ? repalloc_huge(e->scored, size * sizeof(Scored)) : MemoryContextAllocHuge(e->context, size * sizeof(Scored));
		e->size = size;
	}
	RowCodes(&e->plan, e->blob, values, nulls);
	e->scored[e->n].score = Sigmoid(PredictScore(e->blob, e->plan.code));
	e->scored[e->n++].label = LabelValue(&e->label, values[e->label_at]);
}

static void
PutMetric(ReturnSetInfo *result, const char *metric, const char *label, double value)
{
	Datum		values[3] = {CStringGetTextDatum(metric), label ? CStringGetTextDatum(label) : 0, Float8GetDatum(value)};
	bool		nulls[3] = {false, label == NULL, isnan(value)};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The rows of evaluate(); the caller has made the set. */
void
PredictEvaluate(FunctionCallInfo fcinfo, const char *model, const PredictBlob *loaded, const char *query, const char *label_column)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PredictRows e = {.model = pstrdup(model), .label_column = label_column, .context = CurrentMemoryContext};

	/* the query may call models itself, and so unload this one: it is copied */
	PredictBlob *blob = MemoryContextAllocHuge(CurrentMemoryContext, loaded->size);
	Measure		m;
	double		rate;

	memcpy(blob, loaded, loaded->size);
	e.blob = blob;
	e.plan.context = CurrentMemoryContext;
	PredictQuery(query, EvaluateStart, EvaluateTake, &e);
	MeasureAll(e.scored, e.n, &m);
	rate = m.n > 0 ? (double) m.positives / m.n : NAN;
	PutMetric(result, "examples", NULL, m.n);
	PutMetric(result, "positives", NULL, m.positives);
	PutMetric(result, "base_rate", NULL, rate);
	PutMetric(result, "auc", NULL, m.auc);
	PutMetric(result, "auc_low", NULL, Max(0, m.auc - 1.96 * m.auc_error));
	PutMetric(result, "auc_high", NULL, Min(1, m.auc + 1.96 * m.auc_error));
	PutMetric(result, "brier", NULL, m.brier);
	PutMetric(result, "log_loss", NULL, m.log_loss);
	PutMetric(result, "base_log_loss", NULL, m.base_log_loss);
	PutMetric(result, "calibration_error", NULL, m.calibration_error);
	for (int b = 0; b < 10; b++)
	{
		char	   *label = psprintf("%.1f to %.1f", b / 10.0, (b + 1) / 10.0);

		if (m.bin_n[b] == 0)
			continue;
		PutMetric(result, "reliability_rows", label, m.bin_n[b]);
		PutMetric(result, "reliability_predicted", label, m.bin_predicted[b]);
		PutMetric(result, "reliability_observed", label, m.bin_observed[b]);
	}
	for (int d = 0; d < 10; d++)
	{
		char	   *label = psprintf("decile %d", d + 1);

		if (m.decile_n[d] == 0)
			continue;
		PutMetric(result, "decile_rows", label, m.decile_n[d]);
		PutMetric(result, "precision", label, m.decile_precision[d]);
		PutMetric(result, "lift", label, rate > 0 ? m.decile_precision[d] / rate : NAN);
	}
	pfree(blob);
}
