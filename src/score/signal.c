/*
 * signal.c
 *	  The configured signals. One compiled set per backend, rebuilt when revops.signal, revops.intent or revops.moment_rule changes.
 */
#include "score/signal.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"

static MemoryContext set_context = NULL;
static SignalSet *current = NULL;
static bool dirty = true;
static TimestampTz good_within = 0; /* read with an older snapshot, good for the transaction that began then only; 0: for all */
static Oid	signal_relid = InvalidOid;
static Oid	intent_relid = InvalidOid;
static Oid	rule_relid = InvalidOid;

static void
OnRelcacheInvalidation(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == signal_relid || relid == intent_relid || relid == rule_relid)
		dirty = true;
}

/* A text column as a string of the current context, NULL for NULL. */
static char *
ColText(HeapTuple tup, int col)
{
	return SPI_getvalue(tup, SPI_tuptable->tupdesc, col);
}

static Datum
Col(HeapTuple tup, int col, bool *isnull)
{
	return SPI_getbinval(tup, SPI_tuptable->tupdesc, col, isnull);
}

static int
MomentIntentCmp(const void *a, const void *b)
{
	const MomentIntent *x = a,
			   *y = b;
	int			c = StrCmp(x->rule, y->rule);

	return c != 0 ? c : (x->version > y->version) - (x->version < y->version);
}

/* All versions of rules that add to an intent: a version that has ended still has moments. What no rule could have stored is left out. */
static void
LoadMoments(SignalSet *set)
{
	static SqlPlan rules = {
		"SELECT rule, version, definition -> 'intent' ->> 'intent', definition -> 'intent' ->> 'weight' FROM revops.moment_rule"
		" WHERE definition -> 'intent' ->> 'intent' IS NOT NULL AND definition -> 'intent' ->> 'weight' IS NOT NULL", 0
	};
	int			rows = (int) SqlRun(&rules, NULL, NULL);
	bool		null;

	set->moments = palloc0((rows + 1) * sizeof(MomentIntent));
	for (int i = 0; i < rows; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		MomentIntent *m = &set->moments[set->nmoments];
		Str			intent = StrFrom(ColText(tup, 3));

		m->rule = StrFrom(ColText(tup, 1));
		m->version = DatumGetInt32(Col(tup, 2, &null));
		m->weight = strtod(ColText(tup, 4), NULL);
		if (!(m->weight > 0 && m->weight <= SIGNAL_MAX_WEIGHT))
			continue;
		for (int k = 0; k < set->nintents; k++)
			if (StrEq(set->intents[k].name, intent))
			{
				m->intent = k;
				set->nmoments++;
				break;
			}
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(set->moments, set->nmoments, sizeof(MomentIntent), MomentIntentCmp);
}

static SignalSet *
Load(void)
{
	static SqlPlan intents = {"SELECT intent, extract(epoch FROM half_life)::float8 FROM revops.intent ORDER BY intent", 0};
	static SqlPlan signals = {
		"SELECT s.signal_no, s.signal, s.version, (SELECT count(*) FROM revops.intent i WHERE i.intent < s.intent)::int,"
		" s.weight, s.daily_cap, 'person' = ANY (s.subjects), 'account' = ANY (s.subjects), 'opportunity' = ANY (s.subjects),"
		" 'rep' = ANY (s.subjects), s.valid_from, s.valid_to, s.match::text"
		" FROM revops.signal s WHERE s.valid_from < s.valid_to ORDER BY s.signal_no", 0
	};
	SignalSet  *set = palloc0(sizeof(SignalSet));
	bool		null;
	int			rows = (int) SqlRun(&intents, NULL, NULL);

	set->intents = palloc0((rows + 1) * sizeof(Intent));
	set->nintents = rows;
	for (int i = 0; i < rows; i++)
	{
		set->intents[i].name = StrFrom(ColText(SPI_tuptable->vals[i], 1));
		set->intents[i].half_life = DatumGetFloat8(Col(SPI_tuptable->vals[i], 2, &null));
	}
	SPI_freetuptable(SPI_tuptable);

	rows = (int) SqlRun(&signals, NULL, NULL);
	set->signals = palloc0((rows + 1) * sizeof(Signal));
	for (int i = 0; i < rows; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		Signal	   *s = &set->signals[set->nsignals];
		const char *text = ColText(tup, 13);
		JsonDoc    *doc;

		s->no = DatumGetInt32(Col(tup, 1, &null));
		s->name = ColText(tup, 2);
		s->version = DatumGetInt32(Col(tup, 3, &null));
		s->intent = DatumGetInt32(Col(tup, 4, &null));
		s->weight = DatumGetFloat8(Col(tup, 5, &null));
		s->daily_cap = DatumGetFloat8(Col(tup, 6, &null));
		if (null)
			s->daily_cap = 0;
		for (int k = 0; k < SUBJECT_KINDS; k++)
			if (DatumGetBool(Col(tup, 7 + k, &null)))
				s->subjects |= 1u << k;
		s->valid_from = DatumGetTimestampTz(Col(tup, 11, &null));
		s->valid_to = DatumGetTimestampTz(Col(tup, 12, &null));
		doc = JsonDocOpen(psprintf("signal \"%s\"", s->name), text);
		s->match = PredicateCompile(doc, doc->root, "$");
		set->nsignals++;
	}
	SPI_freetuptable(SPI_tuptable);
	set->index = PredicateIndexNew();
	for (int i = 0; i < set->nsignals; i++)
		PredicateIndexAdd(set->index, set->signals[i].match, i);
	PredicateIndexDone(set->index);
	LoadMoments(set);
	return set;
}

const SignalSet *
Signals(void)
{
	static bool registered = false;
	MemoryContext fresh,
				old;
	SignalSet  *set;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(OnRelcacheInvalidation, (Datum) 0);
		registered = true;
	}
	if (!dirty && current != NULL && (good_within == 0 || good_within == GetCurrentTransactionStartTimestamp()))
		return current;

	/* marked clean first: an invalidation while loading makes it dirty again */
	signal_relid = RevopsRelid("signal");
	intent_relid = RevopsRelid("intent");
	rule_relid = RevopsRelid("moment_rule");
	dirty = false;
	fresh = AllocSetContextCreate(CurrentMemoryContext, "revops signals", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(fresh);
	PG_TRY();
	{
		set = Load();
	}
	PG_CATCH();
	{
		dirty = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(fresh, CacheMemoryContext);
	if (set_context != NULL)
		MemoryContextDelete(set_context);
	set_context = fresh;
	good_within = IsolationUsesXactSnapshot() ? GetCurrentTransactionStartTimestamp() : 0;
	current = set;
	return current;
}

int
SignalsFor(const SignalSet *set, const Event *e, const int **signals)
{
	return PredicateIndexLook(set->index, e, signals);
}

const Signal *
SignalByNo(const SignalSet *set, int32 no)
{
	int			lo = 0,
				hi = set->nsignals - 1;

	while (lo <= hi)
	{
		int			mid = (lo + hi) / 2;

		if (set->signals[mid].no == no)
			return &set->signals[mid];
		if (set->signals[mid].no < no)
			lo = mid + 1;
		else
			hi = mid - 1;
	}
	return NULL;
}

const MomentIntent *
SignalsMoment(const SignalSet *set, Str rule, int version)
{
	MomentIntent key = {rule, version};

	return set->nmoments == 0 ? NULL : bsearch(&key, set->moments, set->nmoments, sizeof(MomentIntent), MomentIntentCmp);
}

/* check_match(json): is it a condition on an event? */
PG_FUNCTION_INFO_V1(check_match);
Datum
check_match(PG_FUNCTION_ARGS)
{
	JsonDoc    *doc = JsonDocOpen("match", text_to_cstring(PG_GETARG_TEXT_PP(0)));

	(void) PredicateCompile(doc, doc->root, "$");
	PG_RETURN_VOID();
}
