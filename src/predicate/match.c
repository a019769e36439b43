/*
 * match.c
 *	  Does an event meet a compiled condition?
 */
#include "predicate/condition.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

/* What one evaluation has unpacked so far. */
typedef struct Look
{
	const Event *e;
	Jsonb	   *properties;
	text	   *body;
	Datum		feeling;		/* numeric; 0: not asked yet */
} Look;

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
		CHECK_FOR_INTERRUPTS();
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

/* May this be the value that the leaf wants? */
static bool
ScalarPasses(const Condition *leaf, const JsonbValue *value)
{
	if (leaf->test == TEST_EXISTS)
		return value->type == (leaf->target.class == CLASS_TEXT ? jbvString :
							   leaf->target.class == CLASS_NUMBER ? jbvNumeric : jbvBool);
	for (int i = 0; i < leaf->n; i++)
	{
		const JsonbScalar *want = &leaf->v.scalars[i];
		Str			s;

		if (value->type != want->type)
			continue;
		switch (value->type)
		{
			case jbvString:
				s.data = value->val.string.val;
				s.len = value->val.string.len;
				if (leaf->test == TEST_LIKE ? LikeMatches(want->string, s) :
					leaf->test == TEST_PREFIX ? HasPrefix(want->string, s) : StrEq(want->string, s))
					return true;
				break;
			case jbvNumeric:
				if (OrderPasses(leaf->test, DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value->val.numeric),
																			  want->number))))
					return true;
				break;
			default:
				if (value->val.boolean == want->boolean)
					return true;
		}
	}
	return false;
}

/* Does the value pass the leaf, and those that it has to pass too? */
static bool
ElementPasses(const Condition *leaf, const JsonbValue *value)
{
	for (; leaf != NULL; leaf = leaf->also)
		if (!ScalarPasses(leaf, value))
			return false;
	return true;
}

/* A value of jsonb passes, or any element of a list */
static bool
JsonbPasses(const Condition *leaf, const JsonbValue *value)
{
	JsonbContainer *list;
	bool		r = false;

	if (leaf->test == TEST_EXISTS && leaf->target.class == CLASS_ANY)
		return true;
	if (value->type != jbvBinary)
		return ElementPasses(leaf, value);
	list = value->val.binary.data;
	if (!JsonContainerIsArray(list) || (leaf->target.class != CLASS_ANY && leaf->target.class != CLASS_TEXT))
		return false;
	for (uint32 i = 0; !r && i < JsonContainerSize(list); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list, i);

		CHECK_FOR_INTERRUPTS();
		r = ElementPasses(leaf, element);
		pfree(element);
	}
	return r;
}

/* An intent that the event's body shows passes */
static bool
DetectedPasses(const Condition *leaf, const Event *e)
{
	for (int i = 0; i < e->nintents; i++)
	{
		JsonbValue	value = {.type = jbvString};

		value.val.string.val = (char *) e->intents[i].intent.data;
		value.val.string.len = e->intents[i].intent.len;
		if (ElementPasses(leaf, &value))
			return true;
	}
	return false;
}

static bool
AttributePasses(const Condition *leaf, const Event *e)
{
	Datum		attributes = e->attributes[leaf->target.owner];
	JsonbContainer *container;
	JsonbValue	value;

	if (attributes == (Datum) 0)
		return false;
	container = &DatumGetJsonbP(attributes)->root;
	if (leaf->target.nested)
	{
		if (getKeyJsonValueFromContainer(container, "properties", 10, &value) == NULL || value.type != jbvBinary)
			return false;
		container = value.val.binary.data;
	}
	return PropertyFind(container, leaf->target.name, &value) && JsonbPasses(leaf, &value);
}

/* The body, unpacked once */
static Str
BodyText(Look *look)
{
	if (look->body == NULL)
		look->body = DatumGetTextPP(look->e->body);
	return (Str) {VARDATA_ANY(look->body), VARSIZE_ANY_EXHDR(look->body)};
}

/* How the body feels passes; to four digits, so that a bound means what it says */
static bool
FeelingPasses(const Condition *leaf, Look *look)
{
	JsonbValue	value = {.type = jbvNumeric};

	if (look->e->body == (Datum) 0 || event_feeler == NULL)
		return false;
	if (look->feeling == (Datum) 0)
	{
		Str			body = BodyText(look);

		look->feeling = DirectFunctionCall1(float8_numeric, Float8GetDatum(rint(event_feeler(body.data, body.len) * 10000) / 10000));
	}
	value.val.numeric = DatumGetNumeric(look->feeling);
	return JsonbPasses(leaf, &value);
}

static bool
LeafPasses(const Condition *leaf, Look *look)
{
	const Event *e = look->e;
	JsonbValue	value;

	switch (leaf->target.field)
	{
		case FIELD_DWELL:
			return DwellPasses(leaf, e->dwell);
		case FIELD_LOCAL_TIME:
			return LocalTimeHolds(leaf->v.local_time, e);
		case FIELD_ATTRIBUTE:
			return AttributePasses(leaf, e);
		case FIELD_PROPERTY:
			if (leaf->target.detected && DetectedPasses(leaf, e))
				return true;
			if (e->properties != (Datum) 0)
			{
				if (look->properties == NULL)
					look->properties = DatumGetJsonbP(e->properties);
				if (PropertyFind(&look->properties->root, leaf->target.name, &value))
					return JsonbPasses(leaf, &value);
			}
			return leaf->target.felt && FeelingPasses(leaf, look);
		case FIELD_BODY:
			if (e->body == (Datum) 0)
				return false;
			if (leaf->test == TEST_EXISTS)
				return true;
			return StringPasses(leaf, BodyText(look));
		default:
			return StringPasses(leaf, EventText(e, leaf->target.field));
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
	Look		look = {e};
	bool		r = ConditionPasses(pred->root, &look);

	if (look.properties != NULL && look.properties != (Jsonb *) DatumGetPointer(e->properties))
		pfree(look.properties);
	if (look.body != NULL && look.body != (text *) DatumGetPointer(e->body))
		pfree(look.body);
	if (look.feeling != (Datum) 0)
		pfree(DatumGetPointer(look.feeling));
	return r;
}
