/*
 * index.c
 *	  Predicates by what they look at, so that an event only meets those that it may match.
 *
 * An anchor is an equality or a prefix of a field that an event must have to match at all. A predicate has a set of anchors, one of
 * which each event that it matches carries; the set is the most selective that its ANDs offer, and the union over an OR. The index
 * is a hash of anchors. A look asks it for the event's fields, once for each field (and for each length of prefix in use) that any anchor is
 * about, and for the event's properties, walking these, not the names that predicates ask for. So a predicate that
 * cannot match costs nothing; one without anchors is a candidate for every event.
 *
 * What the index finds is a candidate: the predicate itself decides. So values need not be told apart exactly: numbers are known by
 * their hash, and what a property's name leads to by any way that joins to it.
 */
#include "predicate/condition.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

/* Names of properties with more dots, or longer ones, are no anchors. */
#define INDEX_MAX_DOTS	8

/* How much an anchor narrows down, best first */
typedef enum AnchorRank
{
	RANK_ONE,					/* equality of an object, a key, a property */
	RANK_PREFIX,
	RANK_KIND,
	RANK_CHANNEL,
	RANK_SIDE,					/* and a boolean */
	RANK_ALL
} AnchorRank;

/* The anchors of a condition, as they are found. */
typedef struct AnchorSet
{
	AnchorRank	worst;			/* RANK_ALL: none */
	int			n;
	PredicateAnchor *anchors;
} AnchorSet;

/* ---------- anchors ---------- */

static void
AddAnchor(AnchorSet *set, const Target *target, bool prefix, Str value, AnchorRank rank)
{
	PredicateAnchor *a = &set->anchors[set->n++];

	a->field = target->field;
	a->property = target->field == FIELD_PROPERTY ? target->name : StrFrom(NULL);
	a->prefix = prefix;
	a->value = value;
	set->worst = Max(set->worst, rank);
}

/* A number or boolean as an anchor has it */
static Str
NumberAnchor(Datum number)
{
	return StrFrom(psprintf("%08x", DatumGetUInt32(DirectFunctionCall1(hash_numeric, number))));
}

static Str
BooleanAnchor(bool value)
{
	return StrFrom(value ? "true" : "false");
}

/* What every string begins with that a LIKE pattern matches; *whole: there is no more to the pattern */
static Str
LiteralPrefix(Str pattern, bool *whole)
{
	char	   *s = palloc(pattern.len + 1);
	int			n = 0;
	int			i = 0;

	while (i < pattern.len && pattern.data[i] != '%' && pattern.data[i] != '_')
	{
		if (pattern.data[i] == '\\' && i + 1 < pattern.len)
			i++;
		s[n++] = pattern.data[i++];
	}
	*whole = i == pattern.len;
	return (Str) {s, n};
}

static bool
IndexableName(Str name)
{
	int			dots = 0;

	for (int i = 0; i < name.len; i++)
		dots += name.data[i] == '.';
	return name.len <= REVOPS_MAX_KEY && dots <= INDEX_MAX_DOTS;
}

static AnchorSet
LeafAnchors(const Condition *leaf)
{
	AnchorSet	set = {0};
	const Target *target = &leaf->target;
	bool		json = target->field == FIELD_PROPERTY;
	AnchorRank	one = target->field == FIELD_KIND ? RANK_KIND : target->field == FIELD_CHANNEL ? RANK_CHANNEL :
		target->field == FIELD_SIDE ? RANK_SIDE : RANK_ONE;

	if (target->field <= FIELD_REP || (json && !target->felt && IndexableName(target->name)))
	{
		set.anchors = palloc(Max(leaf->n, 1) * sizeof(PredicateAnchor));
		if (leaf->test == TEST_IN)
			for (int i = 0; i < leaf->n; i++)
			{
				const JsonbScalar *v = json ? &leaf->v.scalars[i] : NULL;

				if (!json || v->type == jbvString)
					AddAnchor(&set, target, false, json ? v->string : leaf->v.strings[i], one);
				else if (v->type == jbvNumeric)
					AddAnchor(&set, target, false, NumberAnchor(v->number), one);
				else
					AddAnchor(&set, target, false, BooleanAnchor(v->boolean), RANK_SIDE);
			}
		else if (leaf->test == TEST_PREFIX || leaf->test == TEST_LIKE)
		{
			Str			s = json ? leaf->v.scalars->string : *leaf->v.strings;
			bool		whole = false;

			if (leaf->test == TEST_LIKE)
				s = LiteralPrefix(s, &whole);
			if (whole || s.len > 0)
				AddAnchor(&set, target, !whole, s, whole ? one : Max(one, RANK_PREFIX));
		}
	}
	if (set.n == 0)
		set.worst = RANK_ALL;
	return set;
}

/* Of two sets, either of which will do, the more selective one */
static AnchorSet
BetterSet(AnchorSet a, AnchorSet b)
{
	return b.worst < a.worst || (b.worst == a.worst && b.n < a.n) ? b : a;
}

static AnchorSet
ConditionAnchors(const Condition *node)
{
	AnchorSet	set = {RANK_ALL};

	switch (node->type)
	{
		case COND_LEAF:
			for (; node != NULL; node = node->also)
				set = BetterSet(set, LeafAnchors(node));
			break;
		case COND_AND:
			for (int i = 0; i < node->n; i++)
				set = BetterSet(set, ConditionAnchors(node->kids[i]));
			break;
		case COND_OR:
			set.worst = RANK_ONE;
			for (int i = 0; i < node->n && set.worst < RANK_ALL; i++)
			{
				AnchorSet	kid = ConditionAnchors(node->kids[i]);

				set.worst = Max(set.worst, kid.worst);
				if (kid.n == 0)
					continue;
				set.anchors = set.anchors ? repalloc(set.anchors, (set.n + kid.n) * sizeof(PredicateAnchor)) : kid.anchors;
				if (set.n > 0)
					memcpy(set.anchors + set.n, kid.anchors, kid.n * sizeof(PredicateAnchor));
				set.n += kid.n;
			}
			break;
		default:
			break;				/* what a NOT holds for has no field in common */
	}
	if (set.worst == RANK_ALL)
	{
		set.n = 0;
		set.anchors = NULL;
	}
	return set;
}

int
PredicateAnchors(const Predicate *pred, PredicateAnchor **anchors)
{
	AnchorSet	set = ConditionAnchors(pred->root);

	*anchors = set.anchors;
	return set.n;
}

/* ---------- the index ---------- */

/* Where a value comes from: a column (a Field), or a property */
typedef struct Source
{
	bool		equals;			/* some anchor is an equality */
	int			nlengths;
	int		   *lengths;		/* of prefixes, each once */
} Source;

typedef struct AnchorKey
{
	int			source;
	bool		prefix;
	Str			value;
} AnchorKey;

typedef struct AnchorEntry
{
	AnchorKey	key;
	uint32		hash;
	char		status;
	int			n;
	int		   *ids;
} AnchorEntry;

static inline uint32
AnchorHash(AnchorKey key)
{
	return hash_combine(hash_bytes((const unsigned char *) key.value.data, key.value.len),
						murmurhash32(2 * key.source + key.prefix));
}

#define SH_PREFIX anchor
#define SH_ELEMENT_TYPE AnchorEntry
#define SH_KEY_TYPE AnchorKey
#define SH_KEY key
#define SH_HASH_KEY(tb, k) AnchorHash(k)
#define SH_EQUAL(tb, a, b) ((a).source == (b).source && (a).prefix == (b).prefix && StrEq((a).value, (b).value))
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* A property's name, or what stands before a dot of one */
typedef struct PathEntry
{
	Str			path;
	uint32		hash;
	char		status;
	int			source;			/* -1: of none */
	bool		inner;			/* longer names begin with it and a dot */
} PathEntry;

#define SH_PREFIX known_path
#define SH_ELEMENT_TYPE PathEntry
#define SH_KEY_TYPE Str
#define SH_KEY path
#define SH_HASH_KEY(tb, k) hash_bytes((const unsigned char *) (k).data, (k).len)
#define SH_EQUAL(tb, a, b) StrEq(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

struct PredicateIndex
{
	MemoryContext context;
	anchor_hash *anchors;
	known_path_hash *paths;
	int			nsources;
	Source	   *sources;		/* the first FIELD_REP + 1 are the columns */
	int			nany;
	int		   *any;			/* candidates for every event; ascending */
	int			max;			/* highest id; -1: none */
	uint32	   *seen;			/* the look that last found the id */
	uint32		look;
	int			nfound;
	int		   *found;
	int		   *merged;
};

PredicateIndex *
PredicateIndexNew(void)
{
	PredicateIndex *index = palloc0(sizeof(PredicateIndex));

	index->context = CurrentMemoryContext;
	index->anchors = anchor_create(index->context, 64, NULL);
	index->paths = known_path_create(index->context, 16, NULL);
	index->nsources = FIELD_REP + 1;
	index->sources = palloc0(index->nsources * sizeof(Source));
	index->max = -1;
	return index;
}

/* Append to an array that doubles at powers of two. */
static int *
AppendInt(int *array, int n, int value)
{
	if (n == 0)
		array = palloc(sizeof(int));
	else if ((n & (n - 1)) == 0)
		array = repalloc(array, 2 * n * sizeof(int));
	array[n] = value;
	return array;
}

static PathEntry *
EnterPath(PredicateIndex *index, Str path)
{
	bool		found;
	PathEntry  *entry = known_path_insert(index->paths, path, &found);

	if (!found)
	{
		entry->path.data = memcpy(palloc(path.len), path.data, path.len);
		entry->source = -1;
		entry->inner = false;
	}
	return entry;
}

/* The source of a property, made if it is not there */
static int
PropertySource(PredicateIndex *index, Str name)
{
	PathEntry  *entry;

	for (int i = 0; i < name.len; i++)
		if (name.data[i] == '.')
			EnterPath(index, (Str) {name.data, i})->inner = true;
	entry = EnterPath(index, name);
	if (entry->source < 0)
	{
		index->sources = repalloc(index->sources, (index->nsources + 1) * sizeof(Source));
		memset(&index->sources[index->nsources], 0, sizeof(Source));
		entry->source = index->nsources++;
	}
	return entry->source;
}

static void
EnterAnchor(PredicateIndex *index, const PredicateAnchor *anchor, int id)
{
	AnchorKey	key;
	AnchorEntry *entry;
	Source	   *source;
	bool		found;

	key.source = anchor->field == FIELD_PROPERTY ? PropertySource(index, anchor->property) : anchor->field;
	key.prefix = anchor->prefix;
	key.value = anchor->value;
	source = &index->sources[key.source];
	if (!anchor->prefix)
		source->equals = true;
	else
	{
		int			i = 0;

		while (i < source->nlengths && source->lengths[i] != anchor->value.len)
			i++;
		if (i == source->nlengths)
		{
			source->lengths = AppendInt(source->lengths, source->nlengths, anchor->value.len);
			source->nlengths++;
		}
	}
	entry = anchor_insert(index->anchors, key, &found);
	if (!found)
	{
		char	   *copy = palloc(key.value.len + 1);

		entry->key.value.data = memcpy(copy, key.value.data, key.value.len);
		entry->n = 0;
		entry->ids = NULL;
	}
	/* a predicate that names a value twice comes once */
	if (entry->n == 0 || entry->ids[entry->n - 1] != id)
	{
		entry->ids = AppendInt(entry->ids, entry->n, id);
		entry->n++;
	}
}

void
PredicateIndexAdd(PredicateIndex *index, const Predicate *pred, int id)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "revops predicate anchors", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	PredicateAnchor *anchors = NULL;
	int			n = pred ? PredicateAnchors(pred, &anchors) : 0;

	Assert(id >= 0);
	MemoryContextSwitchTo(index->context);
	index->max = Max(index->max, id);
	if (anchors == NULL)
	{
		index->any = AppendInt(index->any, index->nany, id);
		index->nany++;
	}
	for (int i = 0; i < n; i++)
		EnterAnchor(index, &anchors[i], id);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

static int
CompareInt(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return x < y ? -1 : x > y;
}

void
PredicateIndexDone(PredicateIndex *index)
{
	MemoryContext old = MemoryContextSwitchTo(index->context);
	int			n = 0;

	qsort(index->any, index->nany, sizeof(int), CompareInt);
	for (int i = 0; i < index->nany; i++)
		if (i == 0 || index->any[i] != index->any[n - 1])
			index->any[n++] = index->any[i];
	index->nany = n;
	index->seen = palloc0((index->max + 2) * sizeof(uint32));
	index->found = palloc((index->max + 2) * sizeof(int));
	index->merged = palloc((index->max + 2) * sizeof(int));
	MemoryContextSwitchTo(old);
}

/* ---------- a look ---------- */

static void
TakeAnchor(PredicateIndex *index, int source, bool prefix, Str value)
{
	AnchorKey	key = {source, prefix, value};
	AnchorEntry *entry = anchor_lookup(index->anchors, key);

	if (entry == NULL)
		return;
	for (int i = 0; i < entry->n; i++)
	{
		int			id = entry->ids[i];

		if (index->seen[id] != index->look)
		{
			index->seen[id] = index->look;
			index->found[index->nfound++] = id;
		}
	}
}

static void
TakeString(PredicateIndex *index, int source, Str value)
{
	const Source *s = &index->sources[source];

	if (s->equals)
		TakeAnchor(index, source, false, value);
	for (int i = 0; i < s->nlengths; i++)
		if (s->lengths[i] <= value.len)
			TakeAnchor(index, source, true, (Str) {value.data, s->lengths[i]});
}

static void
TakeScalar(PredicateIndex *index, int source, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			TakeString(index, source, (Str) {value->val.string.val, value->val.string.len});
			break;
		case jbvNumeric:
			if (index->sources[source].equals)
			{
				Str			number = NumberAnchor(NumericGetDatum(value->val.numeric));

				TakeAnchor(index, source, false, number);
				pfree((char *) number.data);
			}
			break;
		case jbvBool:
			if (index->sources[source].equals)
				TakeAnchor(index, source, false, BooleanAnchor(value->val.boolean));
			break;
		default:
			break;
	}
}

/* A property's value, or each element of it */
static void
TakeValue(PredicateIndex *index, int source, const JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue	element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary)
		TakeScalar(index, source, value);
	else if (JsonContainerIsArray(value->val.binary.data))
	{
		it = JsonbIteratorInit(value->val.binary.data);
		while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
			if (token == WJB_ELEM)
				TakeScalar(index, source, &element);
	}
}

/* All keys of an object whose path is asked for; `path` leads to the object (len -1: it is the root), and has room for the longest */
static void
WalkProperties(PredicateIndex *index, JsonbContainer *object, char *path, int len)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		Str			name;
		PathEntry  *entry;

		if (token != WJB_KEY)
			continue;
		name = (Str) {key.val.string.val, key.val.string.len};
		(void) JsonbIteratorNext(&it, &value, true);
		if (len >= 0)
		{
			if (len + 1 + name.len > REVOPS_MAX_KEY)
				continue;
			path[len] = '.';
			memcpy(path + len + 1, name.data, name.len);
			name = (Str) {path, len + 1 + name.len};
		}
		entry = known_path_lookup(index->paths, name);
		if (entry == NULL)
			continue;
		if (entry->source >= 0)
			TakeValue(index, entry->source, &value);
		if (entry->inner && value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
		{
			memmove(path, name.data, name.len);
			WalkProperties(index, value.val.binary.data, path, name.len);
		}
	}
}

int
PredicateIndexLook(PredicateIndex *index, const Event *e, const int **ids)
{
	int			n = 0,
				a = 0,
				f = 0;

	index->nfound = 0;
	if (++index->look == 0)
	{
		memset(index->seen, 0, (index->max + 2) * sizeof(uint32));
		index->look = 1;
	}
	for (int i = 0; i < index->nany; i++)
		index->seen[index->any[i]] = index->look;
	for (int field = 0; field <= FIELD_REP; field++)
		if (index->sources[field].equals || index->sources[field].nlengths > 0)
		{
			Str			value = EventText(e, field);

			if (value.data != NULL)
				TakeString(index, field, value);
		}
	if (index->paths->members > 0 && e->properties != (Datum) 0)
	{
		Jsonb	   *properties = DatumGetJsonbP(e->properties);
		char		path[REVOPS_MAX_KEY];

		if (JsonContainerIsObject(&properties->root))
			WalkProperties(index, &properties->root, path, -1);
		if (properties != (Jsonb *) DatumGetPointer(e->properties))
			pfree(properties);
	}
	if (e->nintents > 0 && index->paths->members > 0)
	{
		PathEntry  *entry = known_path_lookup(index->paths, StrFrom(INTENTS_PROPERTY));

		for (int i = 0; entry != NULL && entry->source >= 0 && i < e->nintents; i++)
			TakeString(index, entry->source, e->intents[i].intent);
	}
	if (index->nfound == 0)
	{
		*ids = index->any;
		return index->nany;
	}
	qsort(index->found, index->nfound, sizeof(int), CompareInt);
	*ids = index->found;
	if (index->nany == 0)
		return index->nfound;
	while (a < index->nany || f < index->nfound)
		index->merged[n++] = f == index->nfound || (a < index->nany && index->any[a] < index->found[f]) ?
			index->any[a++] : index->found[f++];
	*ids = index->merged;
	return n;
}
