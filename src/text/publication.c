/*
 * publication.c
 *	  The published patterns of this database: read, compiled, and kept by each process.
 *
 * A publication is a set of intents and patterns, with the times of events that it is for. What an event's words show depends on the event and on
 * the publication of its time alone, so it can be found again at any time, and a replay sees what the stream saw. The list of publications is
 * read anew after an invalidation of revops.intent_publication; a matcher is made when the first text of its time comes. What is kept takes
 * revops.pattern_memory at most, but for the one in use; and of those that were replaced, what the transaction uses. A stored form that another library
 * or processor made is compiled anew, in memory. A publication may name a version of a model, which then speaks for the labels that are intents, next to
 * their patterns (voice.c).
 */
#include "text/publication.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* The memory for patterns, in kB */
#define TEXT_DEFAULT_PATTERN_MEMORY	(128 * 1024)
#define TEXT_MIN_PATTERN_MEMORY		0
#define TEXT_MAX_PATTERN_MEMORY		INT_MAX

typedef struct TextCache
{
	MemoryContext context;
	int			n;
	TextPublication *publications;	/* ascending */
	TimestampTz good_within;	/* read with an older snapshot, good for the transaction that began then only; 0: for all */
} TextCache;

static TextCache *cache = NULL;
static Oid	cache_relid = InvalidOid;
static bool cache_dirty = true;
static uint64 uses = 0;
static int	pattern_memory = TEXT_DEFAULT_PATTERN_MEMORY;
static bool memory_changed = false; /* what is kept may be more than that */

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache_relid)
		cache_dirty = true;
}

/* What was made of a publication that is rolled back is not for the next one of its number */
static void
Doubt(void)
{
	for (int i = 0; cache != NULL && i < cache->n; i++)
		if (cache->publications[i].made_in == GetCurrentTransactionStartTimestamp())
			cache->publications[i].doubtful = true;
}

static void
TransactionEnds(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		Doubt();
}

static void
SubtransactionEnds(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		Doubt();
}

/* A text column as a string of the current context; data NULL: NULL */
static Str
Column(int row, int column)
{
	return StrFrom(SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column));
}

static Datum
Value(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static Str *
ColumnList(int row, int column, int *n)
{
	bool		isnull;
	Datum		array = Value(row, column, &isnull);
	Datum	   *values;
	bool	   *nulls;
	Str		   *list;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypePCopy(array), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	list = palloc((*n + 1) * sizeof(Str));
	for (int i = 0; i < *n; i++)
		list[i] = StrFrom(nulls[i] ? "" : TextDatumGetCString(values[i]));
	return list;
}

static char *
ToUtf8(const char *s)
{
	return s == NULL ? NULL : GetDatabaseEncoding() == PG_SQL_ASCII ? pstrdup(s) : pg_server_to_any(s, strlen(s), PG_UTF8);
}

/* The intents and patterns of a publication's documents; memory: the current context */
static void
ReadDocuments(Datum intents_json, Datum patterns_json, TextIntent **intents, int *nintents, TextPattern **patterns, int *npatterns)
{
	static SqlPlan read_intents = {
		"SELECT x.intent, x.threshold, x.sides, x.channels"
		" FROM jsonb_to_recordset($1) AS x(intent text, threshold float8, sides text[], channels text[])", 1, {JSONBOID}
	};
	static SqlPlan read_patterns = {
		"SELECT x.i, x.n, x.include, x.kind = 'regex', x.lang, x.pattern, x.near, x.within"
		" FROM jsonb_to_recordset($1) AS x(i int, n int, include boolean, kind text, lang text, pattern text, near text, within int)"
		" WHERE x.i >= 0 AND x.i < $2 AND x.pattern IS NOT NULL", 2, {JSONBOID, INT4OID}
	};
	Datum		args[2] = {intents_json};
	bool		isnull;

	*nintents = (int) SqlRun(&read_intents, args, NULL);
	*intents = palloc0((*nintents + 1) * sizeof(TextIntent));
	for (int i = 0; i < *nintents; i++)
	{
		TextIntent *t = &(*intents)[i];

		t->name = Column(i, 1);
		t->threshold = DatumGetFloat8(Value(i, 2, &isnull));
		t->sides = ColumnList(i, 3, &t->nsides);
		t->channels = ColumnList(i, 4, &t->nchannels);
	}
	SPI_freetuptable(SPI_tuptable);
	args[0] = patterns_json;
	args[1] = Int32GetDatum(*nintents);
	*npatterns = (int) SqlRun(&read_patterns, args, NULL);
	*patterns = MemoryContextAllocExtended(CurrentMemoryContext, (*npatterns + 1) * sizeof(TextPattern), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < *npatterns; i++)
	{
		TextPattern *p = &(*patterns)[i];

		p->intent = DatumGetInt32(Value(i, 1, &isnull));
		p->n = DatumGetInt32(Value(i, 2, &isnull));
		p->include = DatumGetBool(Value(i, 3, &isnull));
		p->kind = DatumGetBool(Value(i, 4, &isnull)) ? PATTERN_REGEX : PATTERN_LITERAL;
		p->lang = Column(i, 5);
		p->pattern = ToUtf8(Column(i, 6).data);
		p->near = ToUtf8(Column(i, 7).data);
		p->within = DatumGetInt32(Value(i, 8, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Make the matcher of a publication, in a context of its own */
static void
MakeMatcher(TextPublication *p)
{
	static SqlPlan plan = {
		"SELECT intents, patterns, fingerprint, compiled, model_id, model, model_version FROM revops.intent_publication WHERE publication = $1", 1,
		{INT4OID}
	};
	Datum		arg = Int32GetDatum(p->no);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops text matcher", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TextIntent *intents;
	TextPattern *patterns;
	int			nintents,
				npatterns;
	bool		isnull;
	Datum		documents[2];
	bytea	   *stored = NULL;
	const char *fault = NULL;

	p->matcher = NULL;
	p->voice = NULL;
	p->made_in = GetCurrentTransactionStartTimestamp();
	p->doubtful = false;
	if (SqlRun(&plan, &arg, NULL) > 0)
	{
		Datum		id = Value(0, 5, &isnull);

		if (!isnull)
			p->voice = VoiceMake(DatumGetUUIDP(id), SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6),
								 DatumGetInt32(Value(0, 7, &isnull)));
		documents[0] = PointerGetDatum(PG_DETOAST_DATUM_COPY(Value(0, 1, &isnull)));
		documents[1] = PointerGetDatum(PG_DETOAST_DATUM_COPY(Value(0, 2, &isnull)));
		if (strcmp(Column(0, 3).data, MatcherFingerprint()) == 0)
			stored = (bytea *) PG_DETOAST_DATUM_COPY(Value(0, 4, &isnull));
		SPI_freetuptable(SPI_tuptable);
		ReadDocuments(documents[0], documents[1], &intents, &nintents, &patterns, &npatterns);
		pfree(DatumGetPointer(documents[0]));
		pfree(DatumGetPointer(documents[1]));
		if (stored != NULL)
			p->matcher = MatcherMake(intents, nintents, patterns, npatterns, VARDATA(stored), VARSIZE(stored) - VARHDRSZ, &fault);
		if (p->matcher == NULL)
			p->matcher = MatcherMake(intents, nintents, patterns, npatterns, NULL, 0, &fault);
		if (p->matcher == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
					 errmsg("publication %d of intents is left out: %s", p->no, fault ? fault : "its patterns do not compile"),
					 errhint("Mend the pattern with revops.put_intent(), and SELECT revops.publish_intents().")));
		if (stored != NULL)
			pfree(stored);
	}
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, cache->context);
	p->context = context;
	p->size = MemoryContextMemAllocated(context, true) + (p->matcher != NULL ? MatcherCompiledSize(p->matcher) : 0);
}

/* Give back what the library has freed: the heap of its many small blocks would keep it */
static void
TrimHeap(void)
{
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
}

static void
Release(TextPublication *p)
{
	MemoryContextDelete(p->context);
	p->context = NULL;
	p->matcher = NULL;
	p->voice = NULL;
	p->size = 0;
}

/* Make room in revops.pattern_memory for one that is in use: the least recently used go first */
static void
MakeRoom(const TextPublication *in_use)
{
	bool		released = false;

	memory_changed = false;
	for (;;)
	{
		TextPublication *oldest = NULL;
		Size		total = in_use->size;

		for (int i = 0; i < cache->n; i++)
		{
			TextPublication *p = &cache->publications[i];

			if (p == in_use || p->context == NULL)
				continue;
			total += p->size;
			if (oldest == NULL || p->used < oldest->used)
				oldest = p;
		}
		if (oldest == NULL || total <= (Size) pattern_memory * 1024)
			break;
		Release(oldest);
		released = true;
	}
	if (released)
		TrimHeap();
}

/* Of publications that were replaced, those that the transaction has not used go */
static void
ReleaseReplaced(void)
{
	bool		released = false;

	for (int i = 0; i < cache->n - 1; i++)
	{
		TextPublication *p = &cache->publications[i];

		if (p->context == NULL || p->used_in == GetCurrentTransactionStartTimestamp())
			continue;
		Release(p);
		released = true;
	}
	if (released)
		TrimHeap();
}

static TextPublication *
Use(TextPublication *p)
{
	p->used = ++uses;
	p->used_in = GetCurrentTransactionStartTimestamp();
	if (memory_changed)
		MakeRoom(p);
	return p->matcher != NULL ? p : NULL;
}

static void
ReadPublications(void)
{
	static SqlPlan plan = {
		"SELECT publication, valid_from, valid_to FROM revops.intent_publication WHERE valid_from < valid_to ORDER BY valid_from", 0
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops text", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TextCache  *fresh = palloc0(sizeof(TextCache));
	bool		isnull;

	/* what changes from here on makes it dirty again */
	cache_dirty = false;
	cache_relid = RevopsRelid("intent_publication");
	PG_TRY();
	{
		fresh->context = context;
		fresh->good_within = IsolationUsesXactSnapshot() ? GetCurrentTransactionStartTimestamp() : 0;
		fresh->n = (int) SqlRun(&plan, NULL, NULL);
		fresh->publications = palloc0((fresh->n + 1) * sizeof(TextPublication));
		for (int i = 0; i < fresh->n; i++)
		{
			TextPublication *p = &fresh->publications[i];

			p->no = DatumGetInt32(Value(i, 1, &isnull));
			p->from = DatumGetTimestampTz(Value(i, 2, &isnull));
			p->until = DatumGetTimestampTz(Value(i, 3, &isnull));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	PG_CATCH();
	{
		cache_dirty = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	/* a publication never changes but for its end: matchers that are made stay */
	if (cache != NULL)
	{
		for (int i = 0; i < fresh->n; i++)
			for (int k = 0; k < cache->n; k++)
			{
				TextPublication *was = &cache->publications[k];

				if (was->no == fresh->publications[i].no && was->from == fresh->publications[i].from && was->context != NULL && !was->doubtful)
				{
					fresh->publications[i].context = was->context;
					fresh->publications[i].matcher = was->matcher;
					fresh->publications[i].voice = was->voice;
					fresh->publications[i].size = was->size;
					fresh->publications[i].used = was->used;
					fresh->publications[i].used_in = was->used_in;
					fresh->publications[i].made_in = was->made_in;
					MemoryContextSetParent(was->context, context);
				}
			}
		MemoryContextDelete(cache->context);
	}
	MemoryContextSetParent(context, CacheMemoryContext);
	cache = fresh;
	ReleaseReplaced();
}

/* Has the list of publications to be read anew? */
static bool
Stale(void)
{
	return cache == NULL || cache_dirty ||
		(cache->good_within != 0 && cache->good_within != GetCurrentTransactionStartTimestamp());
}

TextPublication *
PublicationFor(TimestampTz at)
{
	static bool listening = false;

	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		RegisterXactCallback(TransactionEnds, NULL);
		RegisterSubXactCallback(SubtransactionEnds, NULL);
		listening = true;
	}
	if (Stale())
		ReadPublications();
	for (int i = cache->n - 1; i >= 0; i--)
	{
		TextPublication *p = &cache->publications[i];

		if (at < p->from || at >= p->until)
			continue;
		if (p->context == NULL)
		{
			MakeRoom(p);
			MakeMatcher(p);
			MakeRoom(p);
			TrimHeap();
		}
		return Use(p);
	}
	return NULL;
}

TextPublication *
PublicationNow(void)
{
	TimestampTz now = RevopsNow();
	TextPublication *found;
	int			level;

	if (!Stale())
		for (int i = cache->n - 1; i >= 0; i--)
		{
			TextPublication *p = &cache->publications[i];

			if (now >= p->from && now < p->until && p->context != NULL)
				return Use(p);
		}
	level = SqlConnect();
	found = PublicationFor(now);
	SqlFinish(level);
	return found;
}

/* ---------- publishing ---------- */

/* compile_intents(intents jsonb, patterns jsonb) -> bytea: each pattern checked, then all compiled */
PG_FUNCTION_INFO_V1(compile_intents);
Datum
compile_intents(PG_FUNCTION_ARGS)
{
	TextIntent *intents;
	TextPattern *patterns;
	int			nintents,
				npatterns;
	const char *fault;
	Matcher    *m;
	char	   *bytes;
	bytea	   *result;
	Size		len;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops text compile", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int			level = SqlConnect();

	MemoryContextSwitchTo(context);
	ReadDocuments(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), &intents, &nintents, &patterns, &npatterns);
	SqlFinish(level);
	MemoryContextSwitchTo(context);
	if (npatterns > TEXT_MAX_PATTERNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are %d patterns, the most is %d", npatterns, TEXT_MAX_PATTERNS)));
	for (int i = 0; i < npatterns; i++)
	{
		const TextPattern *p = &patterns[i];
		int			at;

		CHECK_FOR_INTERRUPTS();
		fault = PatternFault(p->kind, p->pattern, &at);
		if (fault == NULL && p->near != NULL)
			fault = PatternFault(PATTERN_LITERAL, p->near, &at);
		if (fault != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
					 errmsg("pattern %d of intent \"%s\" cannot be used: %s", p->n, intents[p->intent].name.data, fault),
					 at > 0 ? errdetail("It is at character %d of \"%s\".", at, pg_any_to_server(p->pattern, strlen(p->pattern), PG_UTF8)) : 0,
					 errhint("Mend the pattern with revops.put_intent(). What was published before stays in use.")));
	}
	m = MatcherMake(intents, nintents, patterns, npatterns, NULL, 0, &fault);
	if (m == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
				 errmsg("the patterns cannot be used together: %s", fault),
				 errhint("Mend them with revops.put_intent(). What was published before stays in use.")));
	bytes = MatcherStore(m, &len);
	if (len > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the compiled patterns have %zu bytes, more than can be stored", len)));
	MemoryContextSwitchTo(old);
	result = palloc(len + VARHDRSZ);
	SET_VARSIZE(result, len + VARHDRSZ);
	memcpy(VARDATA(result), bytes, len);
	MemoryContextDelete(context);
	TrimHeap();
	PG_RETURN_BYTEA_P(result);
}

/* text_fingerprint() -> text */
PG_FUNCTION_INFO_V1(text_fingerprint);
Datum
text_fingerprint(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MatcherFingerprint()));
}

static void
MemoryChanged(int newval, void *extra)
{
	memory_changed = true;
}

void
PublicationInit(void)
{
	DefineCustomIntVariable("revops.pattern_memory",
							"The memory that compiled patterns may take in each process.",
							"The least recently used are released first; the publication in use is always kept.",
							&pattern_memory, TEXT_DEFAULT_PATTERN_MEMORY, TEXT_MIN_PATTERN_MEMORY, TEXT_MAX_PATTERN_MEMORY,
							PGC_USERSET, GUC_UNIT_KB, NULL, MemoryChanged, NULL);
}
