/*
 * predicate_test.c
 *	  SQL functions over the predicate room, for tests: formulas, fields, local time, conditions, and the index of conditions.
 *
 * An event is a row of a type with the columns that EventFrom() reads.
 */
#include "predicate/predicate.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	PredicateInit();
}

static Str
Column(HeapTupleHeader row, const char *name)
{
	bool		null;
	Datum		d = GetAttributeByName(row, name, &null);

	return null ? StrFrom(NULL) : StrFrom(text_to_cstring(DatumGetTextPP(d)));
}

static void
EventFrom(HeapTupleHeader row, Event *e)
{
	bool		null;
	Datum		d;

	memset(e, 0, sizeof(Event));
	e->kind = Column(row, "kind");
	e->side = Column(row, "side");
	e->channel = Column(row, "channel");
	e->object = Column(row, "object");
	e->person = Column(row, "person");
	e->account = Column(row, "account");
	e->opportunity = Column(row, "opportunity");
	e->rep = Column(row, "rep");
	e->time_zone = Column(row, "time_zone");
	d = GetAttributeByName(row, "dwell", &null);
	e->dwell = null ? -1 : DatumGetInt64(d);
	d = GetAttributeByName(row, "occurred_at", &null);
	e->occurred_at = null ? 0 : DatumGetTimestampTz(d);
	d = GetAttributeByName(row, "body", &null);
	e->body = null ? (Datum) 0 : d;
	d = GetAttributeByName(row, "properties", &null);
	e->properties = null ? (Datum) 0 : d;
}

static JsonDoc *
Document(text *t)
{
	return JsonDocOpen("test", text_to_cstring(t));
}

static Predicate *
Condition(Datum json)
{
	JsonDoc    *doc = Document(DatumGetTextPP(json));

	return PredicateCompile(doc, doc->root, "$");
}

typedef struct Names
{
	int			n;
	Datum	   *names;
} Names;

static int
SlotOf(void *arg, const char *name)
{
	Names	   *names = arg;

	for (int i = 0; i < names->n; i++)
		if (strcmp(TextDatumGetCString(names->names[i]), name) == 0)
			return i;
	return -1;
}

/* formula(document json, names text[], slots float8[]) -> float8; the document is {"f": formula} */
PG_FUNCTION_INFO_V1(test_formula);
Datum
test_formula(PG_FUNCTION_ARGS)
{
	JsonDoc    *doc = Document(PG_GETARG_TEXT_PP(0));
	Names		names;
	Datum	   *values;
	int			n;
	double	   *slots;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names.names, NULL, &names.n);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), FLOAT8OID, 8, true, TYPALIGN_DOUBLE, &values, NULL, &n);
	slots = palloc0((Max(n, names.n) + 1) * sizeof(double));
	for (int i = 0; i < n; i++)
		slots[i] = DatumGetFloat8(values[i]);
	PG_RETURN_FLOAT8(FormulaEval(FormulaCompile(doc, json_object_get(doc->root, "f"), "$.f", SlotOf, &names), slots));
}

/* field(name text, event) -> "type hash number" and what sort of field it is */
PG_FUNCTION_INFO_V1(test_field);
Datum
test_field(PG_FUNCTION_ARGS)
{
	static const char *const types[] = {"none", "text", "number", "boolean"};
	JsonDoc    *doc = Document(cstring_to_text("{\"of\": null}"));
	FieldRef   *f = FieldRefCompile(doc, text_to_cstring(PG_GETARG_TEXT_PP(0)), "$.of");
	Event		e;
	FieldValue	v;

	EventFrom(PG_GETARG_HEAPTUPLEHEADER(1), &e);
	EventField(f, &e, &v);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %lld %g%s%s", types[v.type], (long long) v.hash, v.number,
											  FieldRefIsText(f) ? " text" : "", FieldRefIsProperty(f) ? " property" : "")));
}

/* local_day(event, zone json) -> int; the zone is {"zone": name}, or NULL */
PG_FUNCTION_INFO_V1(test_local_day);
Datum
test_local_day(PG_FUNCTION_ARGS)
{
	Event		e;
	pg_tz	   *zone = NULL;
	int32		day;

	EventFrom(PG_GETARG_HEAPTUPLEHEADER(0), &e);
	if (!PG_ARGISNULL(1))
	{
		JsonDoc    *doc = Document(PG_GETARG_TEXT_PP(1));

		zone = JsonTimeZone(doc, json_object_get(doc->root, "zone"), "$.zone");
	}
	if (!EventLocalDay(&e, zone, &day))
		PG_RETURN_NULL();
	PG_RETURN_INT32(day);
}

/* matches(condition json, event) -> boolean */
PG_FUNCTION_INFO_V1(test_matches);
Datum
test_matches(PG_FUNCTION_ARGS)
{
	Event		e;

	EventFrom(PG_GETARG_HEAPTUPLEHEADER(1), &e);
	PG_RETURN_BOOL(PredicateMatches(Condition(PG_GETARG_DATUM(0)), &e));
}

/* anchors(condition json) -> text[] */
PG_FUNCTION_INFO_V1(test_anchors);
Datum
test_anchors(PG_FUNCTION_ARGS)
{
	PredicateAnchor *anchors;
	int			n = PredicateAnchors(Condition(PG_GETARG_DATUM(0)), &anchors);
	Datum	   *texts = palloc((n + 1) * sizeof(Datum));

	if (anchors == NULL)
		PG_RETURN_NULL();
	for (int i = 0; i < n; i++)
		texts[i] = CStringGetTextDatum(psprintf("%d%s%.*s %s%.*s", anchors[i].field, anchors[i].property.data ? "." : "",
												anchors[i].property.len, anchors[i].property.data ? anchors[i].property.data : "",
												anchors[i].prefix ? "^" : "", anchors[i].value.len, anchors[i].value.data));
	PG_RETURN_ARRAYTYPE_P(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static PredicateIndex *
IndexOf(ArrayType *conditions, Predicate ***predicates, int *n)
{
	PredicateIndex *index = PredicateIndexNew();
	Datum	   *json;

	deconstruct_array(conditions, TEXTOID, -1, false, TYPALIGN_INT, &json, NULL, n);
	*predicates = palloc((*n + 1) * sizeof(Predicate *));
	for (int i = 0; i < *n; i++)
	{
		(*predicates)[i] = Condition(json[i]);
		PredicateIndexAdd(index, (*predicates)[i], i);
	}
	PredicateIndexDone(index);
	return index;
}

/* look(conditions text[], events event[]) -> setof (event int, candidates int[], matches int[]), all from 0 */
PG_FUNCTION_INFO_V1(test_look);
Datum
test_look(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ArrayType  *events = PG_GETARG_ARRAYTYPE_P(1);
	Predicate **predicates;
	int			npredicates;
	PredicateIndex *index = IndexOf(PG_GETARG_ARRAYTYPE_P(0), &predicates, &npredicates);
	Datum	   *rows;
	int			nrows;
	Datum	   *list = palloc((npredicates + 1) * sizeof(Datum));

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(events, ARR_ELEMTYPE(events), -1, false, TYPALIGN_DOUBLE, &rows, NULL, &nrows);
	for (int i = 0; i < nrows; i++)
	{
		Event		e;
		const int  *ids;
		int			n;
		int			m = 0;
		Datum		values[3];
		bool		isnull[3] = {false};

		EventFrom(DatumGetHeapTupleHeader(rows[i]), &e);
		n = PredicateIndexLook(index, &e, &ids);
		values[0] = Int32GetDatum(i);
		for (int k = 0; k < n; k++)
			list[k] = Int32GetDatum(ids[k]);
		values[1] = PointerGetDatum(construct_array(list, n, INT4OID, 4, true, TYPALIGN_INT));
		for (int k = 0; k < npredicates; k++)
			if (PredicateMatches(predicates[k], &e))
				list[m++] = Int32GetDatum(k);
		values[2] = PointerGetDatum(construct_array(list, m, INT4OID, 4, true, TYPALIGN_INT));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, isnull);
	}
	return (Datum) 0;
}

/* time_looks(conditions text[], event, n int) -> nanoseconds of one look of n */
PG_FUNCTION_INFO_V1(test_time_looks);
Datum
test_time_looks(PG_FUNCTION_ARGS)
{
	Predicate **predicates;
	int			npredicates;
	PredicateIndex *index = IndexOf(PG_GETARG_ARRAYTYPE_P(0), &predicates, &npredicates);
	int			n = PG_GETARG_INT32(2);
	Event		e;
	const int  *ids;
	instr_time	start,
				end;

	EventFrom(PG_GETARG_HEAPTUPLEHEADER(1), &e);
	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < n; i++)
		(void) PredicateIndexLook(index, &e, &ids);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	PG_RETURN_FLOAT8(INSTR_TIME_GET_DOUBLE(end) * 1e9 / n);
}
