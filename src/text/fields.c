/*
 * fields.c
 *	  The SQL face of values for fields of the record: revops.extract_fields(), and the competitors that a company knows.
 *
 * The names of revops.competitor are kept in memory, and read anew after an invalidation of the table.
 */
#include "text/extract.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "event/event.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "predicate/predicate.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#define MAX_EVIDENCE	200

typedef struct Competitors
{
	MemoryContext context;
	Trie	   *names;			/* NULL: there are none */
	int			n;
	text	  **name;
} Competitors;

static Competitors *competitors = NULL;
static Oid	competitor_relid = InvalidOid;
static bool competitors_known = false;

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == competitor_relid)
		competitors_known = false;
}

static void
AddName(Trie *t, text *name, int n)
{
	char	   *s = text_to_cstring(name);
	char	   *utf8 = GetDatabaseEncoding() == PG_SQL_ASCII ? s : pg_server_to_any(s, strlen(s), PG_UTF8);
	int			len = (int) strlen(utf8);

	while (len > 0 && utf8[len - 1] == '*')
		len--;
	TrieAdd(t, utf8, len, n);
}

/* The competitors, read anew where they have changed. */
static const Competitors *
KnownCompetitors(void)
{
	static SqlPlan plan = {"SELECT competitor, aliases FROM revops.competitor ORDER BY competitor", 0};
	static bool listening = false;
	Competitors *fresh;
	MemoryContext context,
				old;
	int			level;

	if (competitors_known)
		return competitors;
	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		listening = true;
	}
	level = SqlConnect();
	context = AllocSetContextCreate(CurrentMemoryContext, "revops competitors", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	fresh = palloc0(sizeof(Competitors));
	fresh->context = context;
	competitor_relid = RevopsRelid("competitor");
	competitors_known = true;	/* what changes from here on makes it unknown again */
	PG_TRY();
	{
		fresh->n = (int) SqlRun(&plan, NULL, NULL);
		fresh->name = palloc0((fresh->n + 1) * sizeof(text *));
		if (fresh->n > 0)
			fresh->names = TrieMake();
		/* a name of one goes before an alias of another */
		for (int pass = 0; pass < 2; pass++)
			for (int i = 0; i < fresh->n; i++)
			{
				bool		isnull;
				Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2 - pass, &isnull);

				if (pass == 1)
				{
					fresh->name[i] = DatumGetTextPCopy(value);
					AddName(fresh->names, fresh->name[i], i);
				}
				else
				{
					Datum	   *alias;
					bool	   *nulls;
					int			n;

					deconstruct_array(DatumGetArrayTypePCopy(value), TEXTOID, -1, false, TYPALIGN_INT, &alias, &nulls, &n);
					for (int k = 0; k < n; k++)
						if (!nulls[k])
							AddName(fresh->names, DatumGetTextPP(alias[k]), i);
				}
			}
	}
	PG_CATCH();
	{
		competitors_known = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	SqlFinish(level);
	if (competitors != NULL)
		MemoryContextDelete(competitors->context);
	competitors = fresh;
	/* an old snapshot says nothing about later ones */
	if (IsolationUsesXactSnapshot())
		competitors_known = false;
	return competitors;
}

PG_FUNCTION_INFO_V1(extract_fields);

/* extract_fields(body text, at timestamptz) -> setof (field, value, confidence, span, evidence) */
Datum
extract_fields(PG_FUNCTION_ARGS)
{
	static const char *const fields[] = {"budget", "timeline", "decision_maker", "competitor"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Extracted	values[EXTRACT_MAX_VALUES];
	const Competitors *known;
	TypeCacheEntry *range;
	Letters		letters;
	Event		e = {0};
	const char *s;
	text	   *body;
	int32		day;
	int			len;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	e.occurred_at = PG_ARGISNULL(1) ? RevopsNow() : PG_GETARG_TIMESTAMPTZ(1);
	if (!EventLocalDay(&e, NULL, &day))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the time of a text must be finite"),
				 errhint("Dates in it such as \"next week\" are seen from that time.")));
	known = KnownCompetitors();
	body = PG_GETARG_TEXT_PP(0);
	s = VARDATA_ANY(body);
	len = VARSIZE_ANY_EXHDR(body);
	letters = LettersOf(s, len);
	n = ExtractFields(&letters, day + POSTGRES_EPOCH_JDATE, known->names, values);
	range = lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);
	for (int i = 0; i < n; i++)
	{
		Extracted  *v = &values[i];
		RangeBound	from = {Int32GetDatum(v->from), false, true, true};
		RangeBound	to = {Int32GetDatum(v->to), false, false, false};
		Datum		row[5];
		bool		nulls[5] = {false, false, false, false, false};

		row[0] = CStringGetTextDatum(fields[v->field]);
		row[1] = v->field == EXTRACT_COMPETITOR ? PointerGetDatum(known->name[v->competitor]) :
			v->field == EXTRACT_DECISION_MAKER ? PointerGetDatum(LettersEvidence(s, len, v->value_from, v->value_to)) : CStringGetTextDatum(v->value);
		row[2] = Float8GetDatum(v->confidence);
		row[3] = RangeTypePGetDatum(REVOPS_MAKE_RANGE(range, &from, &to, false));
		row[4] = PointerGetDatum(LettersEvidence(s, len, v->from, Min(v->to, v->from + MAX_EVIDENCE)));
		tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
	}
	return (Datum) 0;
}
