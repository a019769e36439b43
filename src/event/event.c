/*
 * event.c
 *	  Decoding rows of revops.event, and who their people are.
 */
#include "event/event.h"

#include "access/htup_details.h"
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

/* A map from strings to what is known of them, for the distinct keys of one list. */
typedef struct KnownKey
{
	Str			key;
	uint32		hash;
	char		status;
	Str			resolved;
	Str			account;
	Str			time_zone;
	Datum		attributes;
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

/* The keys of a table as text[], and who they are in that order */
static Datum
KeyArray(known_hash *keys, KnownKey ***order)
{
	Datum	   *datums = palloc(keys->members * sizeof(Datum));
	known_iterator it;
	KnownKey   *k;
	int			n = 0;

	*order = palloc(keys->members * sizeof(KnownKey *));
	known_start_iterate(keys, &it);
	while ((k = known_iterate(keys, &it)) != NULL)
	{
		(*order)[n] = k;
		datums[n++] = PointerGetDatum(cstring_to_text_with_len(k->key.data, k->key.len));
	}
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Look the keys of a table up with a statement that gives (n, ...text columns) for the n-th key. */
static uint64
LookUp(known_hash *keys, SqlPlan *plan, KnownKey ***order)
{
	Datum		arg = KeyArray(keys, order);

	return SqlRun(plan, &arg, NULL);
}

/* The i-th column of a row as a string of the current context. */
static Str
RowStr(HeapTuple tup, TupleDesc desc, int i)
{
	bool		isnull;
	Datum		d = SPI_getbinval(tup, desc, i, &isnull);
	Str			s = StrFromDatum(d, isnull);

	if (s.data != NULL)
		s.data = memcpy(palloc(s.len + 1), s.data, s.len);
	return s;
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
	known_hash *keys = known_create(CurrentMemoryContext, 64, NULL);
	KnownKey  **order;
	KnownKey   *k;
	bool		found;

	for (int i = 0; i < list->n; i++)
	{
		Str			key = EventSubject(&list->events[i], kind);

		if (key.data == NULL)
			continue;
		k = known_insert(keys, key, &found);
		if (!found)
			k->attributes = (Datum) 0;
	}
	if (keys->members > 0)
	{
		uint64		rows;

		for (int i = 0; i < w->n; i++)
			names[i] = CStringGetTextDatum(w->names[i]);
		args[1] = PointerGetDatum(construct_array(names, w->n, TEXTOID, -1, false, TYPALIGN_INT));
		args[0] = KeyArray(keys, &order);
		rows = SqlRun(&plans[kind], args, null);

		for (uint64 r = 0; r < rows; r++)
		{
			HeapTuple	tup = SPI_tuptable->vals[r];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;

			k = order[DatumGetInt64(SPI_getbinval(tup, desc, 1, &isnull)) - 1];
			k->attributes = PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(tup, desc, 2, &isnull)));
		}
		SPI_freetuptable(SPI_tuptable);
		for (int i = 0; i < list->n; i++)
		{
			Event	   *e = &list->events[i];

			if (EventSubject(e, kind).data != NULL)
				e->attributes[kind] = known_lookup(keys, EventSubject(e, kind))->attributes;
		}
	}
	known_destroy(keys);
}

void
EventResolve(EventList *list)
{
	static SqlPlan people = {
		"SELECT a.n, coalesce(v.identity, v.person), coalesce(k.account, v.account), coalesce(k.time_zone, v.time_zone)"
		" FROM unnest($1) WITH ORDINALITY a (person, n)"
		" JOIN revops.person v ON v.person = a.person COLLATE \"C\""
		" LEFT JOIN revops.person k ON k.person = v.identity",
		1, {TEXTARRAYOID}
	};
	static SqlPlan accounts = {
		"SELECT a.n, c.time_zone FROM unnest($1) WITH ORDINALITY a (account, n)"
		" JOIN revops.account c ON c.account = a.account COLLATE \"C\" WHERE c.time_zone IS NOT NULL",
		1, {TEXTARRAYOID}
	};
	known_hash *keys = known_create(CurrentMemoryContext, 64, NULL);
	KnownKey  **order;
	KnownKey   *k;
	bool		found;
	uint64		rows;

	for (int i = 0; i < list->n; i++)
		if (list->events[i].raw_person.data != NULL)
		{
			k = known_insert(keys, list->events[i].raw_person, &found);
			if (!found)
			{
				k->resolved = k->key;
				k->account = k->time_zone = StrFrom(NULL);
			}
		}
	if (keys->members > 0)
	{
		rows = LookUp(keys, &people, &order);
		for (uint64 r = 0; r < rows; r++)
		{
			HeapTuple	tup = SPI_tuptable->vals[r];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;

			k = order[DatumGetInt64(SPI_getbinval(tup, desc, 1, &isnull)) - 1];
			k->resolved = RowStr(tup, desc, 2);
			k->account = RowStr(tup, desc, 3);
			k->time_zone = RowStr(tup, desc, 4);
		}
		SPI_freetuptable(SPI_tuptable);
		for (int i = 0; i < list->n; i++)
		{
			Event	   *e = &list->events[i];

			if (e->raw_person.data == NULL)
				continue;
			k = known_lookup(keys, e->raw_person);
			e->person = k->resolved;
			if (e->account.data == NULL)
				e->account = k->account;
			e->time_zone = k->time_zone;
		}
	}
	known_destroy(keys);

	keys = known_create(CurrentMemoryContext, 64, NULL);
	for (int i = 0; i < list->n; i++)
		if (list->events[i].account.data != NULL && list->events[i].time_zone.data == NULL)
		{
			k = known_insert(keys, list->events[i].account, &found);
			if (!found)
				k->time_zone = StrFrom(NULL);
		}
	if (keys->members > 0)
	{
		rows = LookUp(keys, &accounts, &order);
		for (uint64 r = 0; r < rows; r++)
		{
			HeapTuple	tup = SPI_tuptable->vals[r];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;

			k = order[DatumGetInt64(SPI_getbinval(tup, desc, 1, &isnull)) - 1];
			k->time_zone = RowStr(tup, desc, 2);
		}
		SPI_freetuptable(SPI_tuptable);
		if (rows > 0)
			for (int i = 0; i < list->n; i++)
			{
				Event	   *e = &list->events[i];

				if (e->account.data != NULL && e->time_zone.data == NULL)
					e->time_zone = known_lookup(keys, e->account)->time_zone;
			}
	}
	known_destroy(keys);

	for (int kind = 0; kind < EVENT_ATTRIBUTES; kind++)
		if (wanted[kind].any)
			ResolveAttributes(list, kind);
}
