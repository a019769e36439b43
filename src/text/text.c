/*
 * text.c
 *	  What texts and events show, by the patterns and the model that are published for their time (publication.c); its SQL face, and the rows of the stream.
 */
#include "text/text.h"

#include "base/bytes.h"
#include "base/writer.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "text/fold.h"
#include "text/publication.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

/* Texts of a batch whose intents are remembered, for those that are the same; and their bytes */
#define TEXT_HEARD_SLOTS	16384
#define TEXT_MAX_HEARD	1000

/* The processor is asked for the text of the event so many further */
#define AHEAD			4

/* where texts are folded: as long as the longest so far, and bounded */
static char *folded = NULL;
static int	folded_max = 0;

/* ---------- looking ---------- */

/* The byte of a text where character n begins */
static int
ByteOfCharacter(const char *s, int len, int n)
{
	int			at = 0;

	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
		return Utf8Place(s, len, n);
	while (at < len && n-- > 0)
		at += pg_mblen(s + at);
	return Min(at, len);
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
			e->from = Utf8Characters(folded + 1, matches[i].from);
			e->to = e->from + Utf8Characters(folded + 1 + matches[i].from, matches[i].to - matches[i].from);
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

/*
 * Who writes an event's intents: the lane of its person, else account, opportunity, rep, else the first one. Of the person as sent: who that is known
 * as may change between the passes of two lanes.
 */
static int
WriterLane(const Event *e, int lanes)
{
	for (int kind = 0; kind < SUBJECT_KINDS; kind++)
	{
		Str			subject = kind == SUBJECT_PERSON ? e->raw_person : EventSubject(e, kind);

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
		if (*next + AHEAD < list->n && list->events[*next + AHEAD].body != (Datum) 0)
			Fetch(DatumGetPointer(list->events[*next + AHEAD].body));
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
			/* an event that failed is tried alone: 1.0.0 may have had it written by two lanes */
			if (to - from == 1 && TableWriterFind(w, (Datum[]) {v[COL_EVENT_ID], v[COL_INTENT]}))
				continue;
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

/* patterns_show(intent text, body text, lang text) -> boolean: do the published patterns alone find it? */
PG_FUNCTION_INFO_V1(patterns_show);
Datum
patterns_show(PG_FUNCTION_ARGS)
{
	Str			intent = TextArgument(fcinfo, 0);
	text	   *body = PG_GETARG_TEXT_PP(1);
	TextPublication *p = PublicationNow();
	const TextMatch *matches;
	int			len = VARSIZE_ANY_EXHDR(body),
				n = p == NULL ? 0 : LookForPatterns(p->matcher, VARDATA_ANY(body), &len, StrFrom(NULL), StrFrom(NULL), TextArgument(fcinfo, 2), &matches);

	for (int i = 0; i < n; i++)
		if (StrEq(MatcherIntent(p->matcher, matches[i].intent)->name, intent))
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

void
TextInit(void)
{
	PublicationInit();
	event_reader = ReadEvent;
	event_feeler = TextFeeling;
	SentimentInit();
}
