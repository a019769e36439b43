/*
 * infer.c
 *	  The filter on any sequence, as SQL functions.
 */
#include "stage/store.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct Sequence
{
	const StoredStages *m;
	int			n;
	Datum	   *symbols;
	bool	   *unseen;
	Datum	   *times;
	StageFilter f;
	TimestampTz last;
} Sequence;

/* Read the arguments (pipeline, symbols, times). The model is good until the next look at a deployed one. */
static void
SequenceRead(FunctionCallInfo fcinfo, Sequence *q)
{
	char	   *pipeline = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ArrayType  *symbols = PG_GETARG_ARRAYTYPE_P(1);
	ArrayType  *times = PG_GETARG_ARRAYTYPE_P(2);
	bool	   *null;
	int			ntimes,
				level;

	deconstruct_array(symbols, TEXTOID, -1, false, TYPALIGN_INT, &q->symbols, &q->unseen, &q->n);
	deconstruct_array(times, TIMESTAMPTZOID, 8, true, TYPALIGN_DOUBLE, &q->times, &null, &ntimes);
	if (q->n != ntimes)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("there are %d symbols, and %d times", q->n, ntimes),
				 errhint("Give each symbol its time; a symbol that is NULL means that time has passed.")));
	for (int i = 0; i < ntimes; i++)
		if (null[i] || TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(q->times[i])) ||
			(i > 0 && DatumGetTimestampTz(q->times[i]) < DatumGetTimestampTz(q->times[i - 1])))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time %d is NULL, infinite, or before the one that precedes it", i + 1),
					 errhint("Give symbols and times in the order of time.")));
	level = SqlConnect();
	q->m = StagesDeployed(pipeline);
	SqlFinish(level);
	if (q->m == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" has no trained model", pipeline),
				 errhint("revops.put_pipeline() makes a pipeline, revops.train_stages() its model.")));
	StageFilterStart(&q->m->model, &q->f);
}

/* The probabilities after item i */
static const double *
SequenceStep(Sequence *q, int i, double *after)
{
	TimestampTz at = DatumGetTimestampTz(q->times[i]);

	if ((i & 1023) == 0)
		CHECK_FOR_INTERRUPTS();
	if (q->unseen[i])
	{
		StagePredict(&q->m->model, q->f.p, q->f.last == q->m->model.h->symbols ? 0 : at - q->f.at, after);
		return after;
	}
	else
	{
		text	   *s = DatumGetTextPP(q->symbols[i]);

		(void) StageFilterStep(&q->m->model, &q->f, StageSymbol(q->m, VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s)), at);
		return q->f.p;
	}
}

PG_FUNCTION_INFO_V1(infer_stages);

/* infer_stages(pipeline, symbols, times) -> (n, stage, probability): after each symbol, every stage, the likeliest first */
Datum
infer_stages(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Sequence	q;

	InitMaterializedSRF(fcinfo, 0);
	SequenceRead(fcinfo, &q);
	for (int i = 0; i < q.n; i++)
	{
		double		after[STAGE_MAX_STAGES];
		const double *p = SequenceStep(&q, i, after);
		bool		told[STAGE_MAX_STAGES] = {false};

		for (int k = 0; k < q.m->nstages; k++)
		{
			int			best = -1;
			Datum		values[3];
			bool		null[3] = {false};

			for (int j = 0; j < q.m->nstages; j++)
				if (!told[j] && (best < 0 || p[j] > p[best]))
					best = j;
			told[best] = true;
			values[0] = Int32GetDatum(i + 1);
			values[1] = CStringGetTextDatum(q.m->stages[best]);
			values[2] = Float8GetDatum(p[best]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, null);
			pfree(DatumGetPointer(values[1]));
		}
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(likeliest_stages);

/* likeliest_stages(pipeline, symbols, times) -> text[]: the likeliest stage after each symbol */
Datum
likeliest_stages(PG_FUNCTION_ARGS)
{
	Sequence	q;
	Datum		names[STAGE_MAX_STAGES];
	Datum	   *result;

	SequenceRead(fcinfo, &q);
	result = palloc(Max(q.n, 1) * sizeof(Datum));
	for (int j = 0; j < q.m->nstages; j++)
		names[j] = CStringGetTextDatum(q.m->stages[j]);
	for (int i = 0; i < q.n; i++)
	{
		double		after[STAGE_MAX_STAGES];
		const double *p = SequenceStep(&q, i, after);
		int			best = 0;

		for (int j = 1; j < q.m->nstages; j++)
			if (p[j] > p[best])
				best = j;
		result[i] = names[best];
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(result, q.n, TEXTOID, -1, false, TYPALIGN_INT));
}
