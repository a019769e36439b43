/*
 * event.c
 *	  Decoding rows of revops.event, and who their people are.
 */
#include "event/event.h"

#include "access/htup_details.h"
#include "base/lookup.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

static const char *const column_names[EVENT_NCOLUMNS] = {
	"event_id", "occurred_at", "txid", "epoch", "ahead", "dwell", "person", "account", "opportunity", "rep",
	"side", "channel", "kind", "object", "body", "properties"
};

void
EventColumnMap(TupleDesc desc, AttrNumber *map)
{
	for (int c = 0; c < EVENT_NCOLUMNS; c++)
	{
		map[c] = 0;
		for (int a = 0; a < desc->natts; a++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, a);

			if (!att->attisdropped && strcmp(NameStr(att->attname), column_names[c]) == 0)
				map[c] = a + 1;
		}
		if (map[c] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("a partition of revops.event lacks the column \"%s\"", column_names[c])));
	}
}

/* Strings of at most 512 bytes are never toasted out of line in practice, but may be compressed by hand: then they are detoasted. */
static Str
StrFromDatum(Datum d, bool isnull)
{
	Str			s = {NULL, 0};

	if (!isnull)
	{
		struct varlena *v = PG_DETOAST_DATUM_PACKED(d);

		s.data = VARDATA_ANY(v);
		s.len = VARSIZE_ANY_EXHDR(v);
	}
	return s;
}

void
EventDecode(const Datum *values, const bool *isnull, const AttrNumber *map, Event *e)
{
#define COL(i) (map ? map[i] - 1 : (i))
	e->event_id = *DatumGetUUIDP(values[COL(0)]);
	e->occurred_at = DatumGetTimestampTz(values[COL(1)]);
	e->txid = (uint64) DatumGetInt64(values[COL(2)]);
	e->epoch = DatumGetInt32(values[COL(3)]);
	e->ahead = DatumGetBool(values[COL(4)]);
	if (isnull[COL(5)])
		e->dwell = -1;
	else
	{
		Interval   *iv = DatumGetIntervalP(values[COL(5)]);
		double		us = (double) iv->time + ((double) iv->day + 30.0 * iv->month) * USECS_PER_DAY;

		e->dwell = us < 0 ? 0 : us > 1e17 ? (int64) 1e17 : (int64) us;
	}
	e->raw_person = e->person = StrFromDatum(values[COL(6)], isnull[COL(6)]);
	e->account = StrFromDatum(values[COL(7)], isnull[COL(7)]);
	e->opportunity = StrFromDatum(values[COL(8)], isnull[COL(8)]);
	e->rep = StrFromDatum(values[COL(9)], isnull[COL(9)]);
	e->side = StrFromDatum(values[COL(10)], isnull[COL(10)]);
	e->channel = StrFromDatum(values[COL(11)], isnull[COL(11)]);
	e->kind = StrFromDatum(values[COL(12)], isnull[COL(12)]);
	e->object = StrFromDatum(values[COL(13)], isnull[COL(13)]);
	e->body = isnull[COL(14)] ? 0 : values[COL(14)];
	e->properties = isnull[COL(15)] ? 0 : values[COL(15)];
	e->time_zone.data = NULL;
	e->time_zone.len = 0;
	memset(e->attributes, 0, sizeof(e->attributes));
	e->read = false;
	e->nintents = 0;
	e->intents = NULL;
#undef COL
}

Event *
EventListAdd(EventList *list)
{
	if (list->n == list->max)
	{
		list->max = list->max ? list->max * 2 : 64;
		list->events = list->events ?
			repalloc_huge(list->events, list->max * sizeof(Event)) :
			MemoryContextAllocHuge(CurrentMemoryContext, list->max * sizeof(Event));
	}
	return &list->events[list->n++];
}

/* A key and its number */
typedef struct KnownKey
{
	Str			key;
	uint32		hash;
	char		status;
	int			n;
} KnownKey;

#define SH_PREFIX known
#define SH_ELEMENT_TYPE KnownKey
#define SH_KEY_TYPE Str
#define SH_KEY key
#define SH_HASH_KEY(tb, k) hash_bytes((const unsigned char *) (k).data, (k).len)
#define SH_EQUAL(tb, a, b) StrEq(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* Distinct keys, and which of them each event (or what else was asked) has: its number, -1: none */
typedef struct Keys
{
	int			n;
	int			max;
	Str		   *keys;
	int		   *of;
} Keys;

static void
AddKey(Keys *keys, known_hash *index, int i, Str key)
{
	KnownKey   *k;
	bool		found;

	keys->of[i] = -1;
	if (key.data == NULL)
		return;
	k = known_insert(index, key, &found);
	if (!found)
	{
		if (keys->n == keys->max)
		{
			keys->max = keys->max ? keys->max * 2 : 64;
			keys->keys = keys->keys ? repalloc_huge(keys->keys, keys->max * sizeof(Str)) :
				MemoryContextAllocHuge(CurrentMemoryContext, keys->max * sizeof(Str));
		}
		k->n = keys->n++;
		keys->keys[k->n] = key;
	}
	keys->of[i] = k->n;
}

typedef Str (*KeyOf) (const Event *e);

static Keys
KeysOf(const EventList *list, KeyOf key_of)
{
	Keys		keys = {0};
	known_hash *index = known_create(CurrentMemoryContext, 64, NULL);

	keys.of = MemoryContextAllocHuge(CurrentMemoryContext, (list->n + 1) * sizeof(int));
	for (int i = 0; i < list->n; i++)
		AddKey(&keys, index, i, key_of(&list->events[i]));
	known_destroy(index);
	return keys;
}

static void
KeysFree(Keys *keys)
{
	pfree(keys->of);
	if (keys->keys != NULL)
		pfree(keys->keys);
}

/* The keys as text[] */
static Datum
KeyArray(const Keys *keys)
{
	Datum	   *datums = palloc(keys->n * sizeof(Datum));

	for (int n = 0; n < keys->n; n++)
		datums[n] = PointerGetDatum(cstring_to_text_with_len(keys->keys[n].data, keys->keys[n].len));
	return PointerGetDatum(construct_array(datums, keys->n, TEXTOID, -1, false, TYPALIGN_INT));
}

static bool wanted_intents = false;
EventReader event_reader = NULL;
EventFeeler event_feeler = NULL;

void
EventIntentsWant(void)
{
	wanted_intents = true;
}

bool
EventIntentsWanted(void)
{
	return wanted_intents;
}

void
EventListRead(EventList *list)
{
	if (!wanted_intents || event_reader == NULL)
		return;
	for (int i = 0; i < list->n; i++)
		event_reader(&list->events[i]);
}

/* What conditions have asked for since this backend began */
typedef struct Wanted
{
	bool		any;
	bool		all;			/* all properties: too many were asked for by name */
	int			n;
	char	   *names[EVENT_MAX_WANTED];
} Wanted;

static Wanted wanted[EVENT_ATTRIBUTES];

static void
WantProperty(Wanted *w, const char *name, int len)
{
	for (int i = 0; i < w->n; i++)
		if (strncmp(w->names[i], name, len) == 0 && w->names[i][len] == '\0')
			return;
	if (w->n == EVENT_MAX_WANTED)
		w->all = true;
	else
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		w->names[w->n] = pnstrdup(name, len);
		w->n++;
		MemoryContextSwitchTo(old);
	}
}

/* A name with dots may be a key itself, or a path that begins with one. */
void
EventAttributesWant(SubjectKind owner, Str property)
{
	Wanted	   *w = &wanted[owner];
	const char *dot = property.data ? memchr(property.data, '.', property.len) : NULL;

	w->any = true;
	if (property.data == NULL || w->all)
		return;
	WantProperty(w, property.data, property.len);
	if (dot != NULL)
		WantProperty(w, property.data, dot - property.data);
}

#define WANTED_PROPERTIES(of) \
	"'properties', CASE WHEN $2 IS NULL THEN " of ".properties WHEN $2 <> '{}' THEN (SELECT jsonb_object_agg(w, " of ".properties -> w)" \
	" FROM unnest($2) w WHERE " of ".properties ? w) END"

static Str
PersonOf(const Event *e)
{
	return e->person;
}

static Str
AccountOf(const Event *e)
{
	return e->account;
}

static Str
OpportunityOf(const Event *e)
{
	return e->opportunity;
}

static Str
RawPersonOf(const Event *e)
{
	return e->raw_person;
}

/* The account, where its time zone may be the event's */
static Str
ZoneAccountOf(const Event *e)
{
	return e->time_zone.data == NULL ? e->account : StrFrom(NULL);
}

/* The attributes of the events' persons, accounts or opportunities: one jsonb for each, its columns that conditions may name */
static void
ResolveAttributes(EventList *list, SubjectKind kind)
{
	static SqlPlan plans[EVENT_ATTRIBUTES] = {
		{"SELECT a.n, jsonb_build_object('name', p.name, 'title', p.title, " WANTED_PROPERTIES("p") ")"
			" FROM unnest($1) WITH ORDINALITY a (person, n) JOIN revops.person p ON p.person = a.person COLLATE \"C\"",
		2, {TEXTARRAYOID, TEXTARRAYOID}},
		{"SELECT a.n, jsonb_build_object('name', c.name, 'segment', c.segment, 'territory', c.territory, 'industry', c.industry,"
			" 'owner', c.owner, " WANTED_PROPERTIES("c") ", 'open_opportunity', EXISTS (SELECT FROM revops.opportunity o"
			" WHERE o.account = a.account COLLATE \"C\" AND o.status = 'open'))"
			" FROM unnest($1) WITH ORDINALITY a (account, n) LEFT JOIN revops.account c ON c.account = a.account COLLATE \"C\"",
		2, {TEXTARRAYOID, TEXTARRAYOID}},
		{"SELECT a.n, jsonb_build_object('stage', o.stage, 'status', o.status, 'amount', o.amount, 'owner', o.owner, " WANTED_PROPERTIES("o") ")"
			" FROM unnest($1) WITH ORDINALITY a (opportunity, n)"
			" JOIN revops.opportunity o ON o.opportunity = a.opportunity COLLATE \"C\"",
		2, {TEXTARRAYOID, TEXTARRAYOID}}
	};
	const Wanted *w = &wanted[kind];
	Datum	   *names = palloc((w->n + 1) * sizeof(Datum));
	Datum		args[2];
	bool		null[2] = {false, w->all};
	static const KeyOf key_of[EVENT_ATTRIBUTES] = {PersonOf, AccountOf, OpportunityOf};
	Keys		keys = KeysOf(list, key_of[kind]);

	if (keys.n > 0)
	{
		uint64		rows;
		Datum	   *attributes;

		for (int i = 0; i < w->n; i++)
			names[i] = CStringGetTextDatum(w->names[i]);
		args[1] = PointerGetDatum(construct_array(names, w->n, TEXTOID, -1, false, TYPALIGN_INT));
		args[0] = KeyArray(&keys);
		rows = SqlRun(&plans[kind], args, null);

		attributes = MemoryContextAllocExtended(CurrentMemoryContext, keys.n * sizeof(Datum), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (uint64 r = 0; r < rows; r++)
		{
			HeapTuple	tup = SPI_tuptable->vals[r];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;

			attributes[DatumGetInt64(SPI_getbinval(tup, desc, 1, &isnull)) - 1] =
				PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(tup, desc, 2, &isnull)));
		}
		SPI_freetuptable(SPI_tuptable);
		for (int i = 0; i < list->n; i++)
			if (keys.of[i] >= 0)
				list->events[i].attributes[kind] = attributes[keys.of[i]];
		pfree(attributes);
	}
	KeysFree(&keys);
}

/* Columns of revops.person */
enum
{
	PERSON_IDENTITY, PERSON_ACCOUNT, PERSON_TIME_ZONE, PERSON_COLUMNS
};

static Str *
LookUpPeople(const Keys *keys)
{
	static const char *const columns[PERSON_COLUMNS] = {"identity", "account", "time_zone"};
	Str		   *people = MemoryContextAllocHuge(CurrentMemoryContext, (keys->n + 1) * PERSON_COLUMNS * sizeof(Str));

	if (keys->n > 0)
		TableLookup("person", keys->keys, keys->n, columns, PERSON_COLUMNS, people);
	return people;
}

/* Whom the events' persons turned out to be, and their accounts and time zones: the known person's go before the visitor's */
static void
ResolvePeople(EventList *list)
{
	Keys		keys = KeysOf(list, RawPersonOf);
	Keys		known = {0};
	known_hash *index = known_create(CurrentMemoryContext, 64, NULL);
	Str		   *people = LookUpPeople(&keys),
			   *identities;

	known.of = MemoryContextAllocHuge(CurrentMemoryContext, (keys.n + 1) * sizeof(int));
	for (int n = 0; n < keys.n; n++)
		AddKey(&known, index, n, people[n * PERSON_COLUMNS + PERSON_IDENTITY]);
	known_destroy(index);
	identities = LookUpPeople(&known);
	for (int n = 0; n < keys.n; n++)
		for (int c = PERSON_ACCOUNT; known.of[n] >= 0 && c < PERSON_COLUMNS; c++)
			if (identities[known.of[n] * PERSON_COLUMNS + c].data != NULL)
				people[n * PERSON_COLUMNS + c] = identities[known.of[n] * PERSON_COLUMNS + c];
	for (int i = 0; i < list->n; i++)
	{
		Event	   *e = &list->events[i];
		const Str  *person;

		if (keys.of[i] < 0)
			continue;
		person = &people[keys.of[i] * PERSON_COLUMNS];
		if (person[PERSON_IDENTITY].data != NULL)
			e->person = person[PERSON_IDENTITY];
		if (e->account.data == NULL)
			e->account = person[PERSON_ACCOUNT];
		e->time_zone = person[PERSON_TIME_ZONE];
	}
	pfree(people);
	pfree(identities);
	KeysFree(&known);
	KeysFree(&keys);
}

/* The time zones of accounts whose person has none */
static void
ResolveZones(EventList *list)
{
	static const char *const columns[] = {"time_zone"};
	Keys		keys = KeysOf(list, ZoneAccountOf);

	if (keys.n > 0)
	{
		Str		   *zones = MemoryContextAllocHuge(CurrentMemoryContext, keys.n * sizeof(Str));

		TableLookup("account", keys.keys, keys.n, columns, 1, zones);
		for (int i = 0; i < list->n; i++)
			if (keys.of[i] >= 0)
				list->events[i].time_zone = zones[keys.of[i]];
		pfree(zones);
	}
	KeysFree(&keys);
}

void
EventResolve(EventList *list)
{
	ResolvePeople(list);
	ResolveZones(list);
	for (int kind = 0; kind < EVENT_ATTRIBUTES; kind++)
		if (wanted[kind].any)
			ResolveAttributes(list, kind);
}
