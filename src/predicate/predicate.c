/*
 * predicate.c
 *	  Conditions on one event, compiled from JSON.
 *
 *	  {"kind": "page_view", "object": {"like": "/compare%"}, "dwell": {"gt": "90s"}, "any": [{...}, {...}]}
 *
 * All conditions of an object hold together. Each becomes leaves (field, test, values) under an AND; "any" is an OR, "not" a
 * NOT, "ne" and {"exists": false} are NOTs of a leaf. A field that is not there fails every test but {"exists": false}, and so
 * passes every "ne" and "not". The children of a node run in the order of their cost, so that a body is detoasted only
 * for an event that fits in all other respects.
 *
 * A compiled predicate points at nothing of the document that it came from.
 */
#include "predicate/field.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define FIELD_LIST "kind, channel, side, object, person, account, opportunity, rep, body, dwell, local_time, properties.<name>, all, any, not"

typedef enum Test
{
	TEST_IN,
	TEST_LIKE,
	TEST_PREFIX,
	TEST_GT,
	TEST_GTE,
	TEST_LT,
	TEST_LTE,
	TEST_EXISTS
} Test;

typedef enum ConditionType
{
	COND_AND,
	COND_OR,
	COND_NOT,
	COND_LEAF
} ConditionType;

/* A value that a property is compared with. */
typedef struct PropertyValue
{
	enum jbvType type;			/* jbvString, jbvNumeric, jbvBool */
	Str			string;
	Datum		number;
	bool		boolean;
} PropertyValue;

typedef struct Condition
{
	ConditionType	type;
	int			cost;			/* highest field below */
	int			n;				/* children, or values of a leaf */
	struct Condition **kids;
	/* leaf */
	Field		field;
	Test		test;
	Str			property;
	union
	{
		Str		   *strings;	/* TEST_IN: ascending; one otherwise */
		int64	   *durations;
		PropertyValue *properties;
		LocalTime  *local_time;
	}			v;
} Condition;

struct Predicate
{
	Condition	   *root;
	int			nkinds;
	Str		   *kinds;			/* NULL: any */
};

/* What one evaluation has unpacked so far. */
typedef struct Look
{
	const Event *e;
	Jsonb	   *properties;
	text	   *body;
} Look;

typedef struct Compiler
{
	const JsonDoc *doc;
	int			nodes;
} Compiler;

static Condition *CompileObject(Compiler *c, const json_t *json, const char *path);

/* ---------- compile ---------- */

static Condition *
NewCondition(Compiler *c, ConditionType type, const char *path)
{
	Condition	   *node = palloc0(sizeof(Condition));

	if (++c->nodes > PREDICATE_MAX_NODES)
		JsonDocError(c->doc, path, psprintf("at most %d conditions in all", PREDICATE_MAX_NODES));
	node->type = type;
	return node;
}

static void
AddKid(Condition *node, Condition *kid)
{
	node->kids = node->kids ? repalloc(node->kids, (node->n + 1) * sizeof(Condition *)) : palloc(sizeof(Condition *));
	node->kids[node->n++] = kid;
	node->cost = Max(node->cost, kid->cost);
}

static Condition *
Negate(Compiler *c, Condition *kid, const char *path)
{
	Condition	   *node = NewCondition(c, COND_NOT, path);

	AddKid(node, kid);
	return node;
}

/* Cheap children first; insertion sort, since it keeps equals in the writer's order */
static Condition *
OrderKids(Condition *node)
{
	for (int i = 1; i < node->n; i++)
	{
		Condition	   *kid = node->kids[i];
		int			j = i;

		for (; j > 0 && node->kids[j - 1]->cost > kid->cost; j--)
			node->kids[j] = node->kids[j - 1];
		node->kids[j] = kid;
	}
	return node;
}

static int
CompareStr(const void *a, const void *b)
{
	return StrCmp(*(const Str *) a, *(const Str *) b);
}

static int
CompareInt64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* A JSON number, exactly as written up to 17 digits */
static Datum
NumberValue(const json_t *json)
{
	char		buf[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (json_is_integer(json))
		return NumericGetDatum(int64_to_numeric(json_integer_value(json)));
	double_to_shortest_decimal_buf(json_real_value(json), buf);
	return DirectFunctionCall3(numeric_in, CStringGetDatum(buf), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* The string of a value in the database's encoding; "" is allowed here */
static Str
StringValue(const json_t *json)
{
	return StrFrom(pstrdup(pg_any_to_server(json_string_value(json), json_string_length(json), PG_UTF8)));
}

static PropertyValue
CompilePropertyValue(Compiler *c, const json_t *json, const char *path)
{
	PropertyValue v = {0};

	if (json_is_string(json))
	{
		v.type = jbvString;
		v.string = StringValue(json);
	}
	else if (json_is_number(json))
	{
		v.type = jbvNumeric;
		v.number = NumberValue(json);
	}
	else if (json_is_boolean(json))
	{
		v.type = jbvBool;
		v.boolean = json_is_true(json);
	}
	else
		JsonDocError(c->doc, path, json_is_null(json) ? "a string, number or boolean (for an absent value write {\"exists\": false})"
					 : "a string, number or boolean");
	return v;
}

/* Equality with any of n values. one: `json` is the value itself, not a list of them. */
static Condition *
CompileIn(Compiler *c, Field field, Str property, const json_t *json, const char *path, bool one)
{
	Condition	   *leaf = NewCondition(c, COND_LEAF, path);
	size_t		n = one ? 1 : json_array_size(json);

	if (!one && (!json_is_array(json) || n == 0 || n > PREDICATE_MAX_VALUES))
		JsonDocError(c->doc, path, psprintf("an array of 1 to %d values", PREDICATE_MAX_VALUES));
	leaf->field = leaf->cost = field;
	leaf->test = TEST_IN;
	leaf->property = property;
	leaf->n = n;
	if (field == FIELD_DWELL)
		leaf->v.durations = palloc(n * sizeof(int64));
	else if (field == FIELD_PROPERTY)
		leaf->v.properties = palloc(n * sizeof(PropertyValue));
	else
		leaf->v.strings = palloc(n * sizeof(Str));
	for (size_t i = 0; i < n; i++)
	{
		const json_t *value = one ? json : json_array_get(json, i);
		const char *at = one ? path : JsonPathAt(c->doc, path, i);

		if (field == FIELD_DWELL)
			leaf->v.durations[i] = JsonDurationFrom(c->doc, value, at, true);
		else if (field == FIELD_PROPERTY)
			leaf->v.properties[i] = CompilePropertyValue(c, value, at);
		else if (json_is_string(value))
			leaf->v.strings[i] = StringValue(value);
		else
			JsonDocError(c->doc, at, json_is_null(value) ? "a string (for an absent value write {\"exists\": false})" : "a string");
	}
	if (field == FIELD_DWELL)
		qsort(leaf->v.durations, n, sizeof(int64), CompareInt64);
	else if (field != FIELD_PROPERTY)
		qsort(leaf->v.strings, n, sizeof(Str), CompareStr);
	return leaf;
}

/* One operator of a field's object. */
static Condition *
CompileOperator(Compiler *c, Field field, Str property, const char *op, const json_t *json, const char *path, const char *at)
{
	static const struct
	{
		const char *name;
		Test		test;
	}			tests[] = {
		{"like", TEST_LIKE}, {"prefix", TEST_PREFIX}, {"gt", TEST_GT}, {"gte", TEST_GTE}, {"lt", TEST_LT}, {"lte", TEST_LTE},
		{"exists", TEST_EXISTS}
	};
	const char *allowed = field == FIELD_DWELL ? "eq, ne, in, gt, gte, lt, lte, exists" :
		field == FIELD_PROPERTY ? "eq, ne, in, like, prefix, gt, gte, lt, lte, exists" : "eq, ne, in, like, prefix, exists";
	Condition	   *leaf;
	int			i = 0;

	if (strcmp(op, "eq") == 0)
		return CompileIn(c, field, property, json, at, true);
	if (strcmp(op, "ne") == 0)
		return Negate(c, CompileIn(c, field, property, json, at, true), at);
	if (strcmp(op, "in") == 0)
		return CompileIn(c, field, property, json, at, false);

	while (i < lengthof(tests) && strcmp(tests[i].name, op) != 0)
		i++;
	if (i == lengthof(tests) ||
		(field == FIELD_DWELL && tests[i].test <= TEST_PREFIX) ||
		(field != FIELD_DWELL && field != FIELD_PROPERTY && tests[i].test >= TEST_GT && tests[i].test <= TEST_LTE))
		JsonDocKeyError(c->doc, path, op, allowed);

	leaf = NewCondition(c, COND_LEAF, at);
	leaf->field = leaf->cost = field;
	leaf->test = tests[i].test;
	leaf->property = property;
	leaf->n = 1;
	switch (leaf->test)
	{
		case TEST_EXISTS:
			if (!json_is_boolean(json))
				JsonDocError(c->doc, at, "true or false");
			leaf->n = 0;
			return json_is_true(json) ? leaf : Negate(c, leaf, at);
		case TEST_LIKE:
		case TEST_PREFIX:
			{
				Str			s;
				int			escapes = 0;

				if (!json_is_string(json) || json_string_length(json) == 0)
					JsonDocError(c->doc, at, leaf->test == TEST_LIKE ? "a pattern with % and _" : "a string that the value begins with");
				s = StringValue(json);
				while (escapes < s.len && s.data[s.len - 1 - escapes] == '\\')
					escapes++;
				if (leaf->test == TEST_LIKE && escapes % 2 != 0)
					JsonDocError(c->doc, at, "a pattern that does not end in a single backslash");
				if (field == FIELD_PROPERTY)
				{
					leaf->v.properties = palloc0(sizeof(PropertyValue));
					leaf->v.properties->type = jbvString;
					leaf->v.properties->string = s;
				}
				else
				{
					leaf->v.strings = palloc(sizeof(Str));
					*leaf->v.strings = s;
				}
				return leaf;
			}
		default:
			if (field == FIELD_DWELL)
			{
				leaf->v.durations = palloc(sizeof(int64));
				*leaf->v.durations = JsonDurationFrom(c->doc, json, at, true);
			}
			else
			{
				if (!json_is_number(json))
					JsonDocError(c->doc, at, "a number");
				leaf->v.properties = palloc(sizeof(PropertyValue));
				*leaf->v.properties = CompilePropertyValue(c, json, at);
			}
			return leaf;
	}
}

/* What a field is compared with: a scalar, an array, or an object of operators; its leaves go to `into`. */
static void
CompileField(Compiler *c, Condition *into, Field field, Str property, const json_t *json, const char *path)
{
	const char *op;
	json_t	   *value;

	if (json_is_array(json))
		AddKid(into, CompileIn(c, field, property, json, path, false));
	else if (!json_is_object(json))
		AddKid(into, CompileIn(c, field, property, json, path, true));
	else
	{
		if (json_object_size(json) == 0)
			JsonDocError(c->doc, path, "at least one comparison, such as {\"eq\": ...}");
		json_object_foreach((json_t *) json, op, value)
			AddKid(into, CompileOperator(c, field, property, op, value, path, JsonPath(c->doc, path, op)));
	}
}

static Condition *
CompileLocalTime(Compiler *c, const json_t *json, const char *path)
{
	Condition  *leaf = NewCondition(c, COND_LEAF, path);

	leaf->field = leaf->cost = FIELD_LOCAL_TIME;
	leaf->test = TEST_IN;
	leaf->v.local_time = LocalTimeCompile(c->doc, json, path);
	return leaf;
}

/* "all" and "any" */
static Condition *
CompileList(Compiler *c, ConditionType type, const json_t *json, const char *path)
{
	Condition	   *node = NewCondition(c, type, path);

	if (!json_is_array(json) || json_array_size(json) == 0)
		JsonDocError(c->doc, path, "an array of at least one object of conditions");
	for (size_t i = 0; i < json_array_size(json); i++)
		AddKid(node, CompileObject(c, json_array_get(json, i), JsonPathAt(c->doc, path, i)));
	return OrderKids(node);
}

static Condition *
CompileObject(Compiler *c, const json_t *json, const char *path)
{
	Condition	   *node = NewCondition(c, COND_AND, path);
	const char *key;
	json_t	   *value;

	/* JsonDocOpen has bounded the depth */
	if (!json_is_object(json))
		JsonDocError(c->doc, path, "an object of conditions");
	json_object_foreach((json_t *) json, key, value)
	{
		const char *at = JsonPath(c->doc, path, key);
		Str			none = {NULL, 0};
		int			field;

		if (strcmp(key, "all") == 0)
			AddKid(node, CompileList(c, COND_AND, value, at));
		else if (strcmp(key, "any") == 0)
			AddKid(node, CompileList(c, COND_OR, value, at));
		else if (strcmp(key, "not") == 0)
			AddKid(node, Negate(c, CompileObject(c, value, at), at));
		else if (strncmp(key, "properties.", 11) == 0 && key[11] != '\0')
			CompileField(c, node, FIELD_PROPERTY,
						 StrFrom(pstrdup(pg_any_to_server(key + 11, strlen(key + 11), PG_UTF8))), value, at);
		else if (strcmp(key, "local_time") == 0)
			AddKid(node, CompileLocalTime(c, value, at));
		else if ((field = FieldNamed(key)) >= 0)
			CompileField(c, node, field, none, value, at);
		else
			JsonDocKeyError(c->doc, path, key, FIELD_LIST);
	}
	return OrderKids(node);
}

/* The kinds that can pass a node, ascending, in *kinds; -1: any. */
static int
ConditionKinds(const Condition *node, Str **kinds)
{
	int			n = -1;

	*kinds = NULL;
	if (node->type == COND_LEAF && node->field == FIELD_KIND && node->test == TEST_IN)
	{
		*kinds = palloc(node->n * sizeof(Str));
		memcpy(*kinds, node->v.strings, node->n * sizeof(Str));
		return node->n;
	}
	if (node->type == COND_AND)
	{
		for (int i = 0; i < node->n; i++)
		{
			Str		   *more;
			int			m = ConditionKinds(node->kids[i], &more);

			if (m >= 0 && n < 0)
			{
				n = m;
				*kinds = more;
			}
			else if (m >= 0)
			{
				int			kept = 0;

				for (int k = 0; k < n; k++)
					if (bsearch(&(*kinds)[k], more, m, sizeof(Str), CompareStr) != NULL)
						(*kinds)[kept++] = (*kinds)[k];
				n = kept;
			}
		}
	}
	else if (node->type == COND_OR)
	{
		n = 0;
		*kinds = palloc(sizeof(Str));
		for (int i = 0; i < node->n; i++)
		{
			Str		   *more;
			int			m = ConditionKinds(node->kids[i], &more);

			if (m < 0)
			{
				*kinds = NULL;
				return -1;
			}
			*kinds = repalloc(*kinds, Max(n + m, 1) * sizeof(Str));
			memcpy(*kinds + n, more, m * sizeof(Str));
			n += m;
		}
		qsort(*kinds, n, sizeof(Str), CompareStr);
	}
	return n;
}

Predicate *
PredicateCompile(const JsonDoc *doc, const json_t *node, const char *path)
{
	Predicate  *pred = palloc0(sizeof(Predicate));
	Compiler	c = {doc, 0};
	Str		   *kinds;
	int			n;

	pred->root = node ? CompileObject(&c, node, path) : NewCondition(&c, COND_AND, path);
	n = ConditionKinds(pred->root, &kinds);
	if (n >= 0)
	{
		pred->kinds = kinds;
		for (int i = 0; i < n; i++)
			if (i == 0 || !StrEq(kinds[i], pred->kinds[pred->nkinds - 1]))
				pred->kinds[pred->nkinds++] = kinds[i];
	}
	return pred;
}

int
PredicateKinds(const Predicate *pred, const Str **kinds)
{
	*kinds = pred->kinds;
	return pred->nkinds;
}

/* ---------- match ---------- */

/* Bytes of the character at p */
static inline int
CharLength(const char *p, const char *end)
{
	return IS_HIGHBIT_SET(*p) ? Min(Max(pg_encoding_mblen(GetDatabaseEncoding(), p), 1), end - p) : 1;
}

/*
 * LIKE with % and _ and backslash. Only the last % ever needs another try, so the time is at most that of the two lengths'
 * product.
 */
static bool
LikeMatches(Str pattern, Str s)
{
	const char *p = pattern.data,
			   *pend = p + pattern.len;
	const char *t = s.data,
			   *tend = t + s.len;
	const char *retry_p = NULL,
			   *retry_t = NULL;

	while (t < tend)
	{
		if (p < pend && *p == '%')
		{
			retry_p = ++p;
			retry_t = t;
			if (p == pend)
				return true;
			continue;
		}
		if (p < pend && *p == '_')
		{
			p++;
			t += CharLength(t, tend);
			continue;
		}
		if (p < pend)
		{
			const char *literal = *p == '\\' && p + 1 < pend ? p + 1 : p;
			int			len = CharLength(t, tend);

			if (*literal == *t && len <= pend - literal && memcmp(literal, t, len) == 0)
			{
				p = literal + len;
				t += len;
				continue;
			}
		}
		if (retry_p == NULL)
			return false;
		p = retry_p;
		retry_t += CharLength(retry_t, tend);
		t = retry_t;
	}
	while (p < pend && *p == '%')
		p++;
	return p == pend;
}

static inline bool
HasPrefix(Str prefix, Str s)
{
	return s.len >= prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0;
}

static bool
StringPasses(const Condition *leaf, Str s)
{
	if (s.data == NULL)
		return false;
	switch (leaf->test)
	{
		case TEST_IN:
			if (leaf->n == 1)
				return StrEq(*leaf->v.strings, s);
			return bsearch(&s, leaf->v.strings, leaf->n, sizeof(Str), CompareStr) != NULL;
		case TEST_LIKE:
			return LikeMatches(*leaf->v.strings, s);
		case TEST_PREFIX:
			return HasPrefix(*leaf->v.strings, s);
		default:
			return true;		/* TEST_EXISTS */
	}
}

static bool
OrderPasses(Test test, int cmp)
{
	switch (test)
	{
		case TEST_GT:
			return cmp > 0;
		case TEST_GTE:
			return cmp >= 0;
		case TEST_LT:
			return cmp < 0;
		case TEST_LTE:
			return cmp <= 0;
		default:
			return cmp == 0;
	}
}

static bool
DwellPasses(const Condition *leaf, int64 dwell)
{
	if (dwell < 0)
		return false;
	if (leaf->test == TEST_EXISTS)
		return true;
	if (leaf->test == TEST_IN)
		return bsearch(&dwell, leaf->v.durations, leaf->n, sizeof(int64), CompareInt64) != NULL;
	return OrderPasses(leaf->test, CompareInt64(&dwell, leaf->v.durations));
}

static bool
PropertyPasses(const Condition *leaf, Jsonb *properties)
{
	JsonbValue	value;

	if (!PropertyFind(properties, leaf->property, &value))
		return false;
	if (leaf->test == TEST_EXISTS)
		return true;
	for (int i = 0; i < leaf->n; i++)
	{
		const PropertyValue *want = &leaf->v.properties[i];
		Str			s;

		if (value.type != want->type)
			continue;
		switch (value.type)
		{
			case jbvString:
				s.data = value.val.string.val;
				s.len = value.val.string.len;
				if (leaf->test == TEST_LIKE ? LikeMatches(want->string, s) :
					leaf->test == TEST_PREFIX ? HasPrefix(want->string, s) : StrEq(want->string, s))
					return true;
				break;
			case jbvNumeric:
				if (OrderPasses(leaf->test, DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value.val.numeric),
																			   want->number))))
					return true;
				break;
			default:
				if (value.val.boolean == want->boolean)
					return true;
		}
	}
	return false;
}

static bool
LeafPasses(const Condition *leaf, Look *look)
{
	const Event *e = look->e;
	Str			s;

	switch (leaf->field)
	{
		case FIELD_DWELL:
			return DwellPasses(leaf, e->dwell);
		case FIELD_LOCAL_TIME:
			return LocalTimeHolds(leaf->v.local_time, e);
		case FIELD_PROPERTY:
			if (e->properties == (Datum) 0)
				return false;
			if (look->properties == NULL)
				look->properties = DatumGetJsonbP(e->properties);
			return PropertyPasses(leaf, look->properties);
		case FIELD_BODY:
			if (e->body == (Datum) 0)
				return false;
			if (leaf->test == TEST_EXISTS)
				return true;
			if (look->body == NULL)
				look->body = DatumGetTextPP(e->body);
			s.data = VARDATA_ANY(look->body);
			s.len = VARSIZE_ANY_EXHDR(look->body);
			return StringPasses(leaf, s);
		default:
			return StringPasses(leaf, EventText(e, leaf->field));
	}
}

static bool
ConditionPasses(const Condition *node, Look *look)
{
	switch (node->type)
	{
		case COND_AND:
			for (int i = 0; i < node->n; i++)
				if (!ConditionPasses(node->kids[i], look))
					return false;
			return true;
		case COND_OR:
			for (int i = 0; i < node->n; i++)
				if (ConditionPasses(node->kids[i], look))
					return true;
			return false;
		case COND_NOT:
			return !ConditionPasses(node->kids[0], look);
		default:
			return LeafPasses(node, look);
	}
}

bool
PredicateMatches(const Predicate *pred, const Event *e)
{
	Look		look = {e, NULL, NULL};
	bool		r = ConditionPasses(pred->root, &look);

	if (look.properties != NULL && look.properties != (Jsonb *) DatumGetPointer(e->properties))
		pfree(look.properties);
	if (look.body != NULL && look.body != (text *) DatumGetPointer(e->body))
		pfree(look.body);
	return r;
}
