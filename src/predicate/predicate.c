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
#include "predicate/condition.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define FIELD_LIST \
	"kind, channel, side, object, person, account, opportunity, rep, body, dwell, local_time, intent, sentiment, properties.<name>, " \
	"person.<name>, account.<name>, opportunity.<name>, all, any, not"

/* The attributes of an event's person, account and opportunity; EventResolve() fetches them. */
static const struct
{
	SubjectKind owner;
	const char *name;
	ValueClass	class;
}			attributes[] = {
	{SUBJECT_PERSON, "name", CLASS_TEXT},
	{SUBJECT_PERSON, "title", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "name", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "segment", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "territory", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "industry", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "owner", CLASS_TEXT},
	{SUBJECT_ACCOUNT, "open_opportunity", CLASS_BOOLEAN},
	{SUBJECT_OPPORTUNITY, "stage", CLASS_TEXT},
	{SUBJECT_OPPORTUNITY, "status", CLASS_TEXT},
	{SUBJECT_OPPORTUNITY, "amount", CLASS_NUMBER},
	{SUBJECT_OPPORTUNITY, "owner", CLASS_TEXT}
};

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
	Condition  *node = palloc0(sizeof(Condition));

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
	Condition  *node = NewCondition(c, COND_NOT, path);

	AddKid(node, kid);
	return node;
}

/* Cheap children first; insertion sort, since it keeps equals in the writer's order */
static Condition *
OrderKids(Condition *node)
{
	for (int i = 1; i < node->n; i++)
	{
		Condition  *kid = node->kids[i];
		int			j = i;

		for (; j > 0 && node->kids[j - 1]->cost > kid->cost; j--)
			node->kids[j] = node->kids[j - 1];
		node->kids[j] = kid;
	}
	return node;
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

static const char *const class_expected[] = {
	[CLASS_TEXT] = "a string",
	[CLASS_DURATION] = "a duration",
	[CLASS_NUMBER] = "a number",
	[CLASS_BOOLEAN] = "true or false",
	[CLASS_ANY] = "a string, number or boolean"
};

static const char *const class_operators[] = {
	[CLASS_TEXT] = "eq, ne, in, like, prefix, exists",
	[CLASS_DURATION] = "eq, ne, in, gt, gte, lt, lte, exists",
	[CLASS_NUMBER] = "eq, ne, in, gt, gte, lt, lte, exists",
	[CLASS_BOOLEAN] = "eq, ne, in, exists",
	[CLASS_ANY] = "eq, ne, in, like, prefix, gt, gte, lt, lte, exists"
};

/* ERROR: not a value of the class */
pg_noreturn static void
ValueError(Compiler *c, ValueClass class, const json_t *json, const char *path)
{
	JsonDocError(c->doc, path, psprintf("%s%s", class_expected[class],
										json_is_null(json) ? " (for an absent value write {\"exists\": false})" : ""));
}

static JsonbScalar
CompileScalar(Compiler *c, ValueClass class, const json_t *json, const char *path)
{
	JsonbScalar v = {0};

	if (json_is_string(json) && (class == CLASS_TEXT || class == CLASS_ANY))
	{
		v.type = jbvString;
		v.string = StringValue(json);
	}
	else if (json_is_number(json) && (class == CLASS_NUMBER || class == CLASS_ANY))
	{
		v.type = jbvNumeric;
		v.number = NumberValue(json);
	}
	else if (json_is_boolean(json) && (class == CLASS_BOOLEAN || class == CLASS_ANY))
	{
		v.type = jbvBool;
		v.boolean = json_is_true(json);
	}
	else
		ValueError(c, class, json, path);
	return v;
}

/* Is the field one of jsonb, whose values are JsonbScalar? */
static inline bool
InJsonb(const Target *target)
{
	return target->field == FIELD_PROPERTY || target->field == FIELD_ATTRIBUTE;
}

static Condition *
NewLeaf(Compiler *c, const Target *target, Test test, const char *path)
{
	Condition  *leaf = NewCondition(c, COND_LEAF, path);

	leaf->target = *target;
	leaf->cost = target->felt ? FIELD_BODY + 1 : target->field; /* who asks how a body feels reads it all */
	leaf->test = test;
	return leaf;
}

/* Equality with any of n values. one: `json` is the value itself, not a list of them. */
static Condition *
CompileIn(Compiler *c, const Target *target, const json_t *json, const char *path, bool one)
{
	Condition  *leaf = NewLeaf(c, target, TEST_IN, path);
	size_t		n = one ? 1 : json_array_size(json);

	if (!one && (!json_is_array(json) || n == 0 || n > PREDICATE_MAX_VALUES))
		JsonDocError(c->doc, path, psprintf("an array of 1 to %d values", PREDICATE_MAX_VALUES));
	leaf->n = n;
	if (InJsonb(target))
		leaf->v.scalars = palloc(n * sizeof(JsonbScalar));
	else if (target->class == CLASS_DURATION)
		leaf->v.durations = palloc(n * sizeof(int64));
	else
		leaf->v.strings = palloc(n * sizeof(Str));
	for (size_t i = 0; i < n; i++)
	{
		const json_t *value = one ? json : json_array_get(json, i);
		const char *at = one ? path : JsonPathAt(c->doc, path, i);

		if (InJsonb(target))
			leaf->v.scalars[i] = CompileScalar(c, target->class, value, at);
		else if (target->class == CLASS_DURATION)
			leaf->v.durations[i] = JsonDurationFrom(c->doc, value, at, true);
		else if (json_is_string(value))
			leaf->v.strings[i] = StringValue(value);
		else
			ValueError(c, CLASS_TEXT, value, at);
	}
	if (!InJsonb(target))
		qsort(leaf->v.strings, n, target->class == CLASS_DURATION ? sizeof(int64) : sizeof(Str),
			  target->class == CLASS_DURATION ? CompareInt64 : CompareStr);
	return leaf;
}

static bool
ClassHasTest(ValueClass class, Test test)
{
	if (test == TEST_LIKE || test == TEST_PREFIX)
		return class == CLASS_TEXT || class == CLASS_ANY;
	return test == TEST_EXISTS || class == CLASS_DURATION || class == CLASS_NUMBER || class == CLASS_ANY;
}

/* One operator of a field's object. */
static Condition *
CompileOperator(Compiler *c, const Target *target, const char *op, const json_t *json, const char *path, const char *at)
{
	static const struct
	{
		const char *name;
		Test		test;
	}			tests[] = {
		{"like", TEST_LIKE}, {"prefix", TEST_PREFIX}, {"gt", TEST_GT}, {"gte", TEST_GTE}, {"lt", TEST_LT}, {"lte", TEST_LTE},
		{"exists", TEST_EXISTS}
	};
	Condition  *leaf;
	int			i = 0;

	if (strcmp(op, "eq") == 0)
		return CompileIn(c, target, json, at, true);
	if (strcmp(op, "ne") == 0)
		return Negate(c, CompileIn(c, target, json, at, true), at);
	if (strcmp(op, "in") == 0)
		return CompileIn(c, target, json, at, false);

	while (i < lengthof(tests) && strcmp(tests[i].name, op) != 0)
		i++;
	if (i == lengthof(tests) || !ClassHasTest(target->class, tests[i].test))
		JsonDocKeyError(c->doc, path, op, class_operators[target->class]);

	leaf = NewLeaf(c, target, tests[i].test, at);
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
				if (s.len > PREDICATE_MAX_PATTERN)
					JsonDocError(c->doc, at, psprintf("at most %d bytes", PREDICATE_MAX_PATTERN));
				while (escapes < s.len && s.data[s.len - 1 - escapes] == '\\')
					escapes++;
				if (leaf->test == TEST_LIKE && escapes % 2 != 0)
					JsonDocError(c->doc, at, "a pattern that does not end in a single backslash");
				if (InJsonb(target))
				{
					leaf->v.scalars = palloc0(sizeof(JsonbScalar));
					leaf->v.scalars->type = jbvString;
					leaf->v.scalars->string = s;
				}
				else
				{
					leaf->v.strings = palloc(sizeof(Str));
					*leaf->v.strings = s;
				}
				return leaf;
			}
		default:
			if (InJsonb(target))
			{
				leaf->v.scalars = palloc(sizeof(JsonbScalar));
				*leaf->v.scalars = CompileScalar(c, CLASS_NUMBER, json, at);
			}
			else
			{
				leaf->v.durations = palloc(sizeof(int64));
				*leaf->v.durations = JsonDurationFrom(c->doc, json, at, true);
			}
			return leaf;
	}
}

/* What a field is compared with: a scalar, an array, or an object of operators; its leaves go to `into`. */
static void
CompileField(Compiler *c, Condition *into, const Target *target, const json_t *json, const char *path)
{
	const char *op;
	json_t	   *value;
	Condition  *last = NULL;

	if (json_is_array(json))
		AddKid(into, CompileIn(c, target, json, path, false));
	else if (!json_is_object(json))
		AddKid(into, CompileIn(c, target, json, path, true));
	else
	{
		if (json_object_size(json) == 0)
			JsonDocError(c->doc, path, "at least one comparison, such as {\"eq\": ...}");
		json_object_foreach((json_t *) json, op, value)
		{
			Condition  *test = CompileOperator(c, target, op, value, path, JsonPath(c->doc, path, op));
			bool		of_element = InJsonb(target) && test->type == COND_LEAF && test->test != TEST_EXISTS;

			/* one element of a list has to pass all tests but "ne" and "exists", which are about the whole list */
			if (of_element && last != NULL)
				last->also = test;
			else
				AddKid(into, test);
			if (of_element)
				last = test;
		}
	}
}

static Condition *
CompileLocalTime(Compiler *c, const json_t *json, const char *path)
{
	Target		target = {FIELD_LOCAL_TIME};
	Condition  *leaf = NewLeaf(c, &target, TEST_IN, path);

	leaf->v.local_time = LocalTimeCompile(c->doc, json, path);
	return leaf;
}

/* Is the key "properties." and a name? The name, as it is in jsonb; data NULL: no */
static Str
PropertyName(const char *key)
{
	if (strncmp(key, "properties.", 11) != 0 || key[11] == '\0')
		return StrFrom(NULL);
	return StrFrom(pstrdup(pg_any_to_server(key + 11, strlen(key + 11), PG_UTF8)));
}

/* ERROR: the owner has no attribute of that name */
pg_noreturn static void
AttributeError(Compiler *c, SubjectKind owner, const char *key, const char *path)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(attributes); i++)
		if (attributes[i].owner == owner)
			appendStringInfo(&list, "%s.%s, ", SubjectKindName(owner), attributes[i].name);
	appendStringInfo(&list, "%s.properties.<name>", SubjectKindName(owner));
	JsonDocKeyError(c->doc, path, key, list.data);
}

/* Is the key an attribute of the event's person, account or opportunity? ERROR if of one of them, but not one that exists */
static bool
AttributeNamed(Compiler *c, const char *key, const char *path, Target *target)
{
	for (int owner = 0; owner < EVENT_ATTRIBUTES; owner++)
	{
		const char *prefix = SubjectKindName(owner);
		int			len = strlen(prefix);
		const char *name = key + len + 1;
		int			i = 0;

		if (strncmp(key, prefix, len) != 0 || key[len] != '.')
			continue;
		target->field = FIELD_ATTRIBUTE;
		target->class = CLASS_ANY;
		target->owner = owner;
		target->name = PropertyName(name);
		target->nested = target->name.data != NULL;
		if (!target->nested)
		{
			while (i < lengthof(attributes) && (attributes[i].owner != owner || strcmp(attributes[i].name, name) != 0))
				i++;
			if (i == lengthof(attributes))
				AttributeError(c, owner, key, path);
			target->class = attributes[i].class;
			target->name = StrFrom(attributes[i].name);
		}
		EventAttributesWant(owner, target->nested ? target->name : StrFrom(NULL));
		return true;
	}
	return false;
}

/* The field of that name; ERROR if there is none */
static Target
TargetNamed(Compiler *c, const char *key, const char *path)
{
	Target		target = {0};
	int			field = FieldNamed(key);

	if (field >= 0)
	{
		target.field = field;
		target.class = field == FIELD_DWELL ? CLASS_DURATION : CLASS_TEXT;
	}
	else if (strcmp(key, "intent") == 0 || strcmp(key, "sentiment") == 0)
	{
		target.field = FIELD_PROPERTY;
		target.class = *key == 'i' ? CLASS_TEXT : CLASS_NUMBER;
		target.name = StrFrom(*key == 'i' ? INTENTS_PROPERTY : "sentiment");
		target.detected = *key == 'i';
		target.felt = *key == 's';
		if (target.detected)
			EventIntentsWant();
	}
	else if ((target.name = PropertyName(key)).data != NULL)
	{
		target.field = FIELD_PROPERTY;
		target.class = CLASS_ANY;
	}
	else if (!AttributeNamed(c, key, path, &target))
		JsonDocKeyError(c->doc, path, key, FIELD_LIST);
	return target;
}

/* "all" and "any" */
static Condition *
CompileList(Compiler *c, ConditionType type, const json_t *json, const char *path)
{
	Condition  *node = NewCondition(c, type, path);

	if (!json_is_array(json) || json_array_size(json) == 0)
		JsonDocError(c->doc, path, "an array of at least one object of conditions");
	for (size_t i = 0; i < json_array_size(json); i++)
		AddKid(node, CompileObject(c, json_array_get(json, i), JsonPathAt(c->doc, path, i)));
	return OrderKids(node);
}

static Condition *
CompileObject(Compiler *c, const json_t *json, const char *path)
{
	Condition  *node = NewCondition(c, COND_AND, path);
	const char *key;
	json_t	   *value;

	/* JsonDocOpen has bounded the depth */
	if (!json_is_object(json))
		JsonDocError(c->doc, path, "an object of conditions");
	json_object_foreach((json_t *) json, key, value)
	{
		const char *at = JsonPath(c->doc, path, key);

		if (strcmp(key, "all") == 0)
			AddKid(node, CompileList(c, COND_AND, value, at));
		else if (strcmp(key, "any") == 0)
			AddKid(node, CompileList(c, COND_OR, value, at));
		else if (strcmp(key, "not") == 0)
			AddKid(node, Negate(c, CompileObject(c, value, at), at));
		else if (strcmp(key, "local_time") == 0)
			AddKid(node, CompileLocalTime(c, value, at));
		else
		{
			Target		target = TargetNamed(c, key, path);

			CompileField(c, node, &target, value, at);
		}
	}
	return OrderKids(node);
}

/* The kinds that can pass a node, ascending, in *kinds; -1: any. */
static int
ConditionKinds(const Condition *node, Str **kinds)
{
	int			n = -1;

	*kinds = NULL;
	if (node->type == COND_LEAF && node->target.field == FIELD_KIND && node->test == TEST_IN)
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
