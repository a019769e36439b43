/*
 * text.c
 *	  The SQL face of intents in texts: the published patterns of this database, and looks at texts and events with them.
 *
 * A publication is a set of intents and patterns, with the times of events that it is for. What an event's words show depends on the event and on
 * the publication of its time alone, so it can be found again at any time, and a replay sees what the stream saw. The list of publications is
 * read anew after an invalidation of revops.intent_publication; a matcher is made when the first text of its time comes. What is kept takes
 * revops.pattern_memory at most, but for the one in use; and of those that were replaced, what the transaction uses. A stored form that another library or processor made is compiled anew, in memory. A publication may name a version of a model, which
 * then speaks for the labels that are intents, next to their patterns (voice.c).
 */
#include "text/text.h"

#include "access/xact.h"
#include "base/writer.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "text/fold.h"
#include "text/matcher.h"
#include "text/voice.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* The memory for patterns, in kB */
#define TEXT_DEFAULT_PATTERN_MEMORY	(128 * 1024)
#define TEXT_MIN_PATTERN_MEMORY		0
#define TEXT_MAX_PATTERN_MEMORY		INT_MAX

/* Texts of a batch whose intents are remembered, for those that are the same; and their bytes */
#define TEXT_HEARD_SLOTS	16384
#define TEXT_MAX_HEARD	1000

typedef struct TextPublication
{
	int			no;
	TimestampTz from;
	TimestampTz until;
	MemoryContext context;		/* NULL: its matcher is not made */
	Matcher    *matcher;		/* NULL: its patterns do not compile any more */
	Voice	   *voice;			/* NULL: no model is named */
	Size		size;			/* what these take */
	uint64		used;
	TimestampTz used_in;		/* when the last transaction that did began */
} TextPublication;

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

/* where texts are folded: as long as the longest so far, and bounded */
static char *folded = NULL;
static int	folded_max = 0;

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache_relid)
		cache_dirty = true;
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

				if (was->no == fresh->publications[i].no && was->from == fresh->publications[i].from && was->context != NULL)
				{
					fresh->publications[i].context = was->context;
					fresh->publications[i].matcher = was->matcher;
					fresh->publications[i].voice = was->voice;
					fresh->publications[i].size = was->size;
					fresh->publications[i].used = was->used;
					fresh->publications[i].used_in = was->used_in;
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

/* The publication for texts of that time, with its matcher made; NULL: none. SPI must be connected. */
static TextPublication *
PublicationFor(TimestampTz at)
{
	static bool listening = false;

	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
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

/* The publication for texts of now, for callers without SPI, of whom most find it made */
static TextPublication *
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

/* ---------- looking ---------- */

/* The byte of a text where character n begins */
static int
ByteOfCharacter(const char *s, int len, int n)
{
	int			at = 0;

	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		for (; at < len; at++)
			if (((unsigned char) s[at] & 0xC0) != 0x80 && n-- == 0)
				break;
	}
	else
		while (at < len && n-- > 0)
			at += pg_mblen(s + at);
	return Min(at, len);
}

static int
CountCharacters(const char *s, int from, int to)
{
	int			n = 0;

	for (int i = from; i < to; i++)
		n += ((unsigned char) s[i] & 0xC0) != 0x80;
	return n;
}

/* Intents of the text that is looked at: as many as any text so far may show */
static EventIntent *shown = NULL;
static int	shown_max = 0;

/* A copy of what is shown, in one piece, with the names and, where the text does not stay, its words */
static EventIntent *
KeepShown(int n, const char *s, int len, bool stays)
{
	Size		size = n * sizeof(EventIntent);
	EventIntent *kept;
	char	   *at;

	for (int i = 0; i < n; i++)
	{
		EventIntent *e = &shown[i];
		int			start = ByteOfCharacter(s, len, e->from);

		e->evidence.data = s + start;
		e->evidence.len = ByteOfCharacter(s + start, len - start, Min(e->to - e->from, TEXT_MAX_EVIDENCE));
		size += e->intent.len + (stays ? 0 : e->evidence.len);
	}
	kept = memcpy(palloc(size), shown, n * sizeof(EventIntent));
	at = (char *) &kept[n];
	for (int i = 0; i < n; i++)
	{
		kept[i].intent.data = memcpy(at, kept[i].intent.data, kept[i].intent.len);
		at += kept[i].intent.len;
		if (stays)
			continue;
		kept[i].evidence.data = memcpy(at, kept[i].evidence.data, kept[i].evidence.len);
		at += kept[i].evidence.len;
	}
	return kept;
}

static int
ConfidenceCmp(const void *a, const void *b)
{
	double		x = ((const EventIntent *) a)->confidence,
				y = ((const EventIntent *) b)->confidence;

	return x != y ? (x > y ? -1 : 1) : StrCmp(((const EventIntent *) a)->intent, ((const EventIntent *) b)->intent);
}

/* What the patterns find in a text, which is folded into `folded`. Only the first TEXT_MAX_BODY bytes are looked at: *len. */
static int
LookForPatterns(Matcher *m, const char *s, int *len, Str side, Str channel, Str lang, const TextMatch **matches)
{
	const char *utf8 = s;
	int			utf8_len;

	if (*len >= TEXT_MAX_BODY)
		*len = pg_mbcliplen(s, *len, TEXT_MAX_BODY);
	utf8_len = *len;
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		utf8 = pg_server_to_any(s, *len, PG_UTF8);
		if (utf8 != s)
			utf8_len = (int) strlen(utf8);
	}
	if (folded_max < FOLD_GROWTH * utf8_len + 2)
	{
		int			more = Max(FOLD_GROWTH * utf8_len + 2, 4096);

		if (folded != NULL)
			pfree(folded);
		folded = NULL;
		folded_max = 0;
		folded = MemoryContextAlloc(TopMemoryContext, more);
		folded_max = more;
	}
	utf8_len = FoldText(utf8, utf8_len, folded + 1);
	if (utf8 != s)
		pfree((char *) utf8);
	return MatcherLook(m, folded + 1, utf8_len, side, channel, lang, matches);
}

/* What a text shows; memory: the current context. stays: the text lives as long as what it shows, which then points into it. */
static int
Look(TextPublication *p, const char *s, int len, bool stays, Str side, Str channel, Str lang, EventIntent **intents)
{
	Matcher    *m = p->matcher;
	const TextMatch *matches;
	const TextMatch *said = NULL;
	int			n = LookForPatterns(m, s, &len, side, channel, lang, &matches),
				nsaid = 0,
				nshown = 0;

	if (p->voice != NULL)
		nsaid = VoiceHear(p->voice, m, s, len, side, channel, &said);
	*intents = NULL;
	if (n + nsaid > shown_max)
	{
		int			more = Max(n + nsaid, 64);

		if (shown != NULL)
			pfree(shown);
		shown = NULL;
		shown_max = 0;
		shown = MemoryContextAlloc(TopMemoryContext, more * sizeof(EventIntent));
		shown_max = more;
	}
	/* both are in the order of the intents; where both speak, the surer one counts, and the words of the pattern */
	for (int i = 0, k = 0; i < n || k < nsaid; nshown++)
	{
		EventIntent *e = &shown[nshown];
		bool		pattern = i < n && (k >= nsaid || matches[i].intent <= said[k].intent);
		bool		model = k < nsaid && (i >= n || said[k].intent <= matches[i].intent);
		double		confidence = Max(pattern ? matches[i].confidence : 0, model ? said[k].confidence : 0);

		if (pattern)
		{
			e->from = CountCharacters(folded + 1, 0, matches[i].from);
			e->to = e->from + CountCharacters(folded + 1, matches[i].from, matches[i].to);
		}
		else
			VoicePlace(p->voice, &said[k], s, len, pg_mbstrlen_with_len(s, len), &e->from, &e->to);
		e->intent = MatcherIntent(m, pattern ? matches[i].intent : said[k].intent)->name;
		e->confidence = confidence;
		e->method = !model ? "pattern" : pattern ? "both" : "model";
		i += pattern;
		k += model;
	}
	/* what shows everything shows nothing: the surest stay */
	if (nshown > TEXT_MAX_SHOWN)
	{
		qsort(shown, nshown, sizeof(EventIntent), ConfidenceCmp);
		nshown = TEXT_MAX_SHOWN;
	}
	if (nshown > 0)
		*intents = KeepShown(nshown, s, len, stays);
	return nshown;
}

/* The body of an event where it lies, or as much of it as is looked at */
static text *
Body(const Event *e)
{
	struct varlena *body = (struct varlena *) DatumGetPointer(e->body);

	if (!VARATT_IS_EXTERNAL(body) && !VARATT_IS_COMPRESSED(body))
		return (text *) body;
	/* a little more than is looked at, so that a character at the cut is whole */
	return DatumGetTextPSlice(e->body, 0, GetDatabaseEncoding() == PG_UTF8 ? TEXT_MAX_BODY : TEXT_MAX_BODY + 8);
}

/* What an event's body shows, by a publication, as long as the event's row stays; returns how many */
static int
Hear(TextPublication *p, const Event *e, EventIntent **intents)
{
	text	   *body = Body(e);
	int			n = Look(p, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), body == (text *) DatumGetPointer(e->body), e->side, e->channel, StrFrom(NULL), intents);

	if (body != (text *) DatumGetPointer(e->body))
		pfree(body);
	return n;
}

static void
ReadEvent(Event *e)
{
	TextPublication *p;

	if (e->body == (Datum) 0 || e->ahead || e->read || (p = PublicationFor(e->occurred_at)) == NULL)
		return;
	e->nintents = Hear(p, e, &e->intents);
	e->read = true;
}

/* Who writes an event's intents: the lane of its person, else account, opportunity, rep, else the first one */
static int
WriterLane(const Event *e, int lanes)
{
	for (int kind = 0; kind < SUBJECT_KINDS; kind++)
	{
		Str			subject = EventSubject(e, kind);

		if (subject.data != NULL)
			return SubjectLane(kind, subject, lanes);
	}
	return 0;
}

static bool
Mine(const Event *e, int lane, int lanes)
{
	return lanes <= 1 || WriterLane(e, lanes) == lane;
}

static bool
Wanted(const Event *e, int lane, int lanes)
{
	return e->body != (Datum) 0 && (EventIntentsWanted() || Mine(e, lane, lanes));
}

void
TextEvent(Event *e, int lane, int lanes)
{
	if (Wanted(e, lane, lanes))
		ReadEvent(e);
}

/* The last event with a text of this hash */
typedef struct Heard
{
	uint32		hash;
	int			publication;
	const Event *event;			/* NULL: none */
} Heard;

/* A body that lies in the event's row, as most do: others are not worth remembering */
static Str
ShortBody(const Event *e)
{
	const struct varlena *body = (const struct varlena *) DatumGetPointer(e->body);
	Str			s = {NULL, 0};

	if (VARATT_IS_EXTERNAL(body) || VARATT_IS_COMPRESSED(body) || VARSIZE_ANY_EXHDR(body) > TEXT_MAX_HEARD)
		return s;
	s.data = VARDATA_ANY(body);
	s.len = VARSIZE_ANY_EXHDR(body);
	return s;
}

/* data NULL is equal to itself only */
static bool
Same(Str a, Str b)
{
	return a.data == NULL || b.data == NULL ? a.data == b.data : StrEq(a, b);
}

void
TextEvents(EventList *list, int *next, Size max_bytes, int lane, int lanes)
{
	uint32		mask = pg_nextpower2_32(Min(list->n - *next, TEXT_HEARD_SLOTS) + 1) - 1;
	Heard	   *heard = palloc0((mask + 1) * sizeof(Heard));

	for (; *next < list->n && CurrentMemoryContext->mem_allocated < max_bytes; (*next)++)
	{
		Event	   *e = &list->events[*next];
		TextPublication *p;
		Str			body;
		uint32		hash;
		Heard	   *h;

		if ((*next & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (e->read || e->ahead || !Wanted(e, lane, lanes) || (p = PublicationFor(e->occurred_at)) == NULL)
			continue;
		body = ShortBody(e);
		if (body.data == NULL)
		{
			e->nintents = Hear(p, e, &e->intents);
			e->read = true;
			continue;
		}
		hash = hash_bytes((const unsigned char *) body.data, body.len);
		h = &heard[hash & mask];
		if (h->event != NULL && h->hash == hash && h->publication == p->no && StrEq(body, ShortBody(h->event)) &&
			Same(e->side, h->event->side) && Same(e->channel, h->event->channel))
		{
			e->nintents = h->event->nintents;
			e->intents = h->event->intents;
		}
		else
		{
			e->nintents = Hear(p, e, &e->intents);
			*h = (Heard) {hash, p->no, e};
		}
		e->read = true;			/* not where it failed: it fails again when it is applied */
	}
	pfree(heard);
}

/* Characters [from, to) as an int4range, which are its canonical bounds */
static Datum
SpanDatum(int from, int to)
{
	static TypeCacheEntry *type = NULL;
	RangeBound	lower = {.val = Int32GetDatum(from), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = Int32GetDatum(to), .inclusive = false, .lower = false};

	/* entries of the type cache stay where they are */
	if (type == NULL)
		type = lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);
	return RangeTypePGetDatum(REVOPS_RANGE_SERIALIZE(type, &lower, &upper, false));
}

/* The columns of revops.event_intent */
enum
{
	COL_EVENT_ID, COL_OCCURRED_AT, COL_KEYS, COL_INTENT = COL_KEYS + 6, COL_CONFIDENCE, COL_METHOD, COL_SPAN, COL_EVIDENCE, NCOLS
};

void
TextWrite(const EventList *list, int from, int to, int lane, int lanes)
{
	TableWriter *w = NULL;
	MemoryContext context = NULL;
	const char *last_method = NULL;
	Datum		method = (Datum) 0;

	for (int i = from; i < to; i++)
	{
		const Event *e = &list->events[i];
		const Str	keys[6] = {e->raw_person, e->account, e->opportunity, e->rep, e->side, e->channel};
		MemoryContext old;
		Datum		v[NCOLS];
		bool		null[NCOLS] = {false};

		if (e->nintents == 0 || !Mine(e, lane, lanes))
			continue;
		if (w == NULL)
		{
			w = TableWriterOpen("event_intent");
			context = AllocSetContextCreate(CurrentMemoryContext, "revops event intents", ALLOCSET_DEFAULT_SIZES);
		}
		old = MemoryContextSwitchTo(context);
		v[COL_EVENT_ID] = UUIDPGetDatum(&e->event_id);
		v[COL_OCCURRED_AT] = TimestampTzGetDatum(e->occurred_at);
		for (int k = 0; k < 6; k++)
		{
			null[COL_KEYS + k] = keys[k].data == NULL;
			v[COL_KEYS + k] = keys[k].data == NULL ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(keys[k].data, keys[k].len));
		}
		for (int j = 0; j < e->nintents; j++)
		{
			const EventIntent *x = &e->intents[j];

			v[COL_INTENT] = PointerGetDatum(cstring_to_text_with_len(x->intent.data, x->intent.len));
			v[COL_CONFIDENCE] = Float8GetDatum(x->confidence);
			/* one of three constants, mostly the same */
			if (x->method != last_method)
			{
				MemoryContextSwitchTo(GetMemoryChunkContext(w));
				method = CStringGetTextDatum(x->method);
				MemoryContextSwitchTo(context);
				last_method = x->method;
			}
			v[COL_METHOD] = method;
			v[COL_SPAN] = SpanDatum(x->from, x->to);
			v[COL_EVIDENCE] = PointerGetDatum(cstring_to_text_with_len(x->evidence.data, x->evidence.len));
			TableWriterAdd(w, v, null);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	if (w == NULL)
		return;
	TableWriterClose(w);
	MemoryContextDelete(context);
}

/* write_event_intents(events uuid[]) -> rows: the intents of those of the events that the stream has taken, which have none in the table */
PG_FUNCTION_INFO_V1(write_event_intents);
Datum
write_event_intents(PG_FUNCTION_ARGS)
{
	static SqlPlan wanted = {"SELECT " EVENT_COLUMNS " FROM revops.event WHERE event_id = ANY ($1)", 1, {UUIDARRAYOID}};
	static SqlPlan lanes_of = {"SELECT max(lanes)::bigint FROM revops.stream_lane", 0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops event intents", ALLOCSET_DEFAULT_SIZES);
	Datum		arg = PG_GETARG_DATUM(0);
	int			level = SqlConnect();
	MemoryContext old = MemoryContextSwitchTo(context);
	int			lanes = (int) SqlInt8(&lanes_of, NULL, NULL, 0);
	Consumed  **consumed = palloc0((lanes + 1) * sizeof(Consumed *));
	EventList	list = {0};
	int			kept = 0;
	int64		rows = 0;

	for (int lane = 0; lane < lanes; lane++)
		consumed[lane] = ConsumedLoad(lane, 0, StrFrom(NULL));
	SqlRun(&wanted, &arg, NULL);
	EventListTakeResult(&list, NULL);
	EventResolve(&list);
	for (int i = 0; i < list.n; i++)
	{
		Event	   *e = &list.events[i];

		CHECK_FOR_INTERRUPTS();
		if (lanes == 0 || !ConsumedHas(consumed[WriterLane(e, lanes)], e->epoch, e->txid, &e->event_id))
			continue;
		ReadEvent(e);
		rows += e->nintents;
		list.events[kept++] = *e;
	}
	TextWrite(&list, 0, kept, 0, 1);
	MemoryContextSwitchTo(old);
	SqlFinish(level);
	MemoryContextDelete(context);
	PG_RETURN_INT64(rows);
}

static Str
TextArgument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? StrFrom(NULL) : StrFrom(text_to_cstring(PG_GETARG_TEXT_PP(i)));
}

/* detect_intents(body text, side text, channel text, lang text) -> setof (intent, confidence, method, span, evidence) */
PG_FUNCTION_INFO_V1(detect_intents);
Datum
detect_intents(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	EventIntent *intents;
	TextPublication *p;
	text	   *body;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || (p = PublicationNow()) == NULL)
		return (Datum) 0;
	body = PG_GETARG_TEXT_PP(0);
	n = Look(p, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), true, TextArgument(fcinfo, 1), TextArgument(fcinfo, 2), TextArgument(fcinfo, 3), &intents);
	for (int i = 0; i < n; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = PointerGetDatum(cstring_to_text_with_len(intents[i].intent.data, intents[i].intent.len));
		values[1] = Float8GetDatum(intents[i].confidence);
		values[2] = CStringGetTextDatum(intents[i].method);
		values[3] = SpanDatum(intents[i].from, intents[i].to);
		values[4] = PointerGetDatum(cstring_to_text_with_len(intents[i].evidence.data, intents[i].evidence.len));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
StrDatum(Str s)
{
	return PointerGetDatum(cstring_to_text_with_len(s.data, s.len));
}

/* intents_of(body text, side text, channel text, lang text) -> text[]: their names alone */
PG_FUNCTION_INFO_V1(intents_of);
Datum
intents_of(PG_FUNCTION_ARGS)
{
	EventIntent *intents;
	TextPublication *p;
	text	   *body;
	Datum	   *names;
	const TextMatch *matches;
	Str			side,
				channel,
				lang;
	int			n,
				len;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if ((p = PublicationNow()) == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	body = PG_GETARG_TEXT_PP(0);
	len = VARSIZE_ANY_EXHDR(body);
	side = TextArgument(fcinfo, 1);
	channel = TextArgument(fcinfo, 2);
	lang = TextArgument(fcinfo, 3);
	/* patterns alone are asked for no words, unless there are more than show */
	if (p->voice == NULL && (n = LookForPatterns(p->matcher, VARDATA_ANY(body), &len, side, channel, lang, &matches)) <= TEXT_MAX_SHOWN)
	{
		names = palloc((n + 1) * sizeof(Datum));
		for (int i = 0; i < n; i++)
			names[i] = StrDatum(MatcherIntent(p->matcher, matches[i].intent)->name);
	}
	else
	{
		n = Look(p, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), true, side, channel, lang, &intents);
		names = palloc((n + 1) * sizeof(Datum));
		for (int i = 0; i < n; i++)
			names[i] = StrDatum(intents[i].intent);
	}
	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
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
TextInit(void)
{
	DefineCustomIntVariable("revops.pattern_memory",
							"The memory that compiled patterns may take in each process.",
							"The least recently used are released first; the publication in use is always kept.",
							&pattern_memory, TEXT_DEFAULT_PATTERN_MEMORY, TEXT_MIN_PATTERN_MEMORY, TEXT_MAX_PATTERN_MEMORY,
							PGC_USERSET, GUC_UNIT_KB, NULL, MemoryChanged, NULL);
	event_reader = ReadEvent;
	event_feeler = TextFeeling;
	SentimentInit();
}
