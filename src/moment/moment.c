/*
 * moment.c
 *	  The SQL face of moment rules: the compiled rules of this database, and the check before one is stored.
 *
 * The set of compiled rules is rebuilt after an invalidation of revops.moment_rule (its trigger config_changed() sends one with
 * every change): completely, in a context of its own, before the old set is dropped. A stored rule that does not compile is left
 * out with a WARNING; the stream goes on without it.
 */
#include "moment/rule.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A stored rule that does not compile, told apart by its text, so that it is complained of once. */
typedef struct BrokenRule
{
	char	   *name;
	int			version;
	uint64		hash;
	struct BrokenRule *next;
} BrokenRule;

typedef struct RuleCache
{
	MomentRuleSet set;
	MemoryContext context;
	BrokenRule *broken;
	TimestampTz good_within;	/* read with an older snapshot, good for the transaction that began then only; 0: for all */
} RuleCache;

static RuleCache *cache = NULL;
static Oid	cache_relid = InvalidOid;
static bool cache_dirty = true;

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache_relid)
		cache_dirty = true;
}

static bool
WasBroken(const BrokenRule *list, const BrokenRule *rule)
{
	for (; list != NULL; list = list->next)
		if (list->version == rule->version && list->hash == rule->hash && strcmp(list->name, rule->name) == 0)
			return true;
	return false;
}

/* Compile one stored rule into the current context; NULL, and on the list of broken ones, if it does not. */
static MomentRule *
CompileStored(RuleCache *to, const char *name, int version, const char *definition, TimestampTz from, TimestampTz until)
{
	MemoryContext context = CurrentMemoryContext;
	MomentRule *volatile rule = NULL;

	/* the compiler takes nothing that only a subtransaction's end would give back */
	PG_TRY();
	{
		rule = MomentRuleCompile(name, version, definition, from, until);
	}
	PG_CATCH();
	{
		ErrorData  *error;
		BrokenRule *broken;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		broken = palloc(sizeof(BrokenRule));
		broken->name = pstrdup(name);
		broken->version = version;
		broken->hash = hash_bytes_extended((const unsigned char *) definition, strlen(definition), 0);
		broken->next = to->broken;
		to->broken = broken;
		if (cache == NULL || !WasBroken(cache->broken, broken))
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("version %d of rule \"%s\" is left out: %s", version, name, error->message),
					 errhint("Store it anew with revops.put_rule(), or delete it from revops.moment_rule.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return rule;
}

static int
DigestCmp(const void *a, const void *b, void *arg)
{
	MomentRule **rules = arg;
	uint64		x = rules[*(const int *) a]->digest;
	uint64		y = rules[*(const int *) b]->digest;

	return x < y ? -1 : x > y;
}

/* Read and compile all versions that are ever valid, into the current context. */
static void
LoadRules(RuleCache *to)
{
	static SqlPlan plan = {
		"SELECT rule, version, definition::pg_catalog.text, valid_from, valid_to FROM revops.moment_rule"
		" WHERE valid_from < valid_to ORDER BY rule, version",
	0};
	uint64		n = SqlRun(&plan, NULL, NULL);
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "revops rule row", ALLOCSET_DEFAULT_SIZES);

	to->set.rules = palloc(Max(n, 1) * sizeof(MomentRule *));
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row);
		bool		null;
		char	   *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		int			version = DatumGetInt32(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &null));
		char	   *definition = SPI_getvalue(rows->vals[i], rows->tupdesc, 3);
		TimestampTz from = DatumGetTimestampTz(SPI_getbinval(rows->vals[i], rows->tupdesc, 4, &null));
		TimestampTz until = DatumGetTimestampTz(SPI_getbinval(rows->vals[i], rows->tupdesc, 5, &null));
		MomentRule *rule;

		MemoryContextSwitchTo(old);
		rule = CompileStored(to, name, version, definition, from, until);
		if (rule != NULL)
			to->set.rules[to->set.n++] = rule;
		MemoryContextReset(row);
	}
	MemoryContextDelete(row);
	SPI_freetuptable(rows);

	to->set.bydigest = palloc((to->set.n + 1) * sizeof(int));
	to->set.index = PredicateIndexNew();
	for (int i = 0; i < to->set.n; i++)
	{
		to->set.bydigest[i] = i;
		MomentRuleIndex(to->set.rules[i], to->set.index, i);
	}
	PredicateIndexDone(to->set.index);
	qsort_arg(to->set.bydigest, to->set.n, sizeof(int), DigestCmp, to->set.rules);
}

int
MomentRuleByDigest(const MomentRuleSet *set, uint64 digest)
{
	int			lo = 0,
				hi = set->n;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (set->rules[set->bydigest[mid]]->digest < digest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < set->n && set->rules[set->bydigest[lo]]->digest == digest ? set->bydigest[lo] : -1;
}

const MomentRuleSet *
MomentRules(void)
{
	static bool listening = false;
	MemoryContext context;
	MemoryContext old;
	RuleCache  *fresh;

	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		listening = true;
	}
	if (cache != NULL && !cache_dirty &&
		(cache->good_within == 0 || cache->good_within == GetCurrentTransactionStartTimestamp()))
		return &cache->set;

	/* what changes from here on makes it dirty again */
	cache_dirty = false;
	PG_TRY();
	{
		cache_relid = RevopsRelid("moment_rule");
		context = AllocSetContextCreate(CurrentMemoryContext, "revops moment rules", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(context);
		fresh = palloc0(sizeof(RuleCache));
		fresh->context = context;
		fresh->good_within = IsolationUsesXactSnapshot() ? GetCurrentTransactionStartTimestamp() : 0;
		LoadRules(fresh);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		cache_dirty = true;
		PG_RE_THROW();
	}
	PG_END_TRY();

	MemoryContextSetParent(context, CacheMemoryContext);
	if (cache != NULL)
		MemoryContextDelete(cache->context);
	cache = fresh;
	return &cache->set;
}

PG_FUNCTION_INFO_V1(revops_check_rule);

/* check_rule(definition json, rule text): ERROR with line and column unless it compiles */
Datum
revops_check_rule(PG_FUNCTION_ARGS)
{
	char	   *definition;
	char	   *name;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a rule needs a name and a definition")));
	definition = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (*name == '\0' || strlen(name) > REVOPS_MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rule's name has 1 to %d bytes, this one has %zu", REVOPS_MAX_KEY, strlen(name))));
	(void) MomentRuleCompile(name, 0, definition, DT_NOBEGIN, DT_NOEND);
	PG_RETURN_VOID();
}

void
MomentInit(void)
{
	PassInit();
}
