/*
 * field.c
 *	  The fields of an event by name: for conditions, and the values that rules count, add up and compare.
 */
#include "predicate/condition.h"

#include <math.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

struct FieldRef
{
	Field		field;
	Str			property;
};

static const char *const field_names[] = {
	[FIELD_KIND] = "kind",
	[FIELD_SIDE] = "side",
	[FIELD_CHANNEL] = "channel",
	[FIELD_OBJECT] = "object",
	[FIELD_PERSON] = "person",
	[FIELD_ACCOUNT] = "account",
	[FIELD_OPPORTUNITY] = "opportunity",
	[FIELD_REP] = "rep",
	[FIELD_DWELL] = "dwell",
	[FIELD_BODY] = "body"
};

int
CompareStr(const void *a, const void *b)
{
	return StrCmp(*(const Str *) a, *(const Str *) b);
}

int
CompareInt64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

int
FieldNamed(const char *name)
{
	for (int f = 0; f < lengthof(field_names); f++)
		if (field_names[f] != NULL && strcmp(field_names[f], name) == 0)
			return f;
	return -1;
}

Str
EventText(const Event *e, Field field)
{
	switch (field)
	{
		case FIELD_KIND:
			return e->kind;
		case FIELD_SIDE:
			return e->side;
		case FIELD_CHANNEL:
			return e->channel;
		case FIELD_OBJECT:
			return e->object;
		case FIELD_PERSON:
			return e->person;
		case FIELD_ACCOUNT:
			return e->account;
		case FIELD_OPPORTUNITY:
			return e->opportunity;
		case FIELD_REP:
			return e->rep;
		default:
			return StrFrom(NULL);
	}
}

FieldRef *
FieldRefCompile(const JsonDoc *doc, const char *name, const char *path)
{
	FieldRef   *f = palloc0(sizeof(FieldRef));
	int			field = name ? FieldNamed(name) : -1;

	if (field >= 0)
		f->field = field;
	else if (name != NULL && strncmp(name, "properties.", 11) == 0 && name[11] != '\0')
	{
		f->field = FIELD_PROPERTY;
		f->property = StrFrom(pstrdup(pg_any_to_server(name + 11, strlen(name + 11), PG_UTF8)));
	}
	else
		JsonDocError(doc, path,
					 "one of kind, channel, side, object, person, account, opportunity, rep, body, dwell, properties.<name>");
	return f;
}

bool
FieldRefIsText(const FieldRef *f)
{
	return f->field != FIELD_DWELL && f->field != FIELD_PROPERTY;
}

bool
FieldRefIsProperty(const FieldRef *f)
{
	return f->field == FIELD_PROPERTY;
}

static void
TextValue(Str s, FieldValue *value)
{
	if (s.data == NULL)
		return;
	value->type = VALUE_TEXT;
	value->hash = hash_bytes_extended((const unsigned char *) s.data, s.len, 0);
}

static void
ScalarValue(const JsonbValue *v, FieldValue *value)
{
	Str			s;

	switch (v->type)
	{
		case jbvString:
			s.data = v->val.string.val;
			s.len = v->val.string.len;
			TextValue(s, value);
			break;
		case jbvNumeric:
			value->type = VALUE_NUMBER;
			value->number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
			/* beyond what a double tells apart */
			if (fabs(value->number) >= 9007199254740992.0)
				value->hash = DatumGetUInt64(DirectFunctionCall2(hash_numeric_extended, NumericGetDatum(v->val.numeric), Int64GetDatum(0)));
			break;
		case jbvBool:
			value->type = VALUE_BOOLEAN;
			value->number = v->val.boolean;
			break;
		default:
			break;
	}
}

void
EventField(const FieldRef *f, const Event *e, FieldValue *value)
{
	memset(value, 0, sizeof(FieldValue));
	if (f->field == FIELD_DWELL)
	{
		if (e->dwell >= 0)
		{
			value->type = VALUE_NUMBER;
			value->number = e->dwell;
		}
	}
	else if (f->field == FIELD_BODY)
	{
		if (e->body != (Datum) 0)
		{
			text	   *body = DatumGetTextPP(e->body);
			Str			s = {VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body)};

			TextValue(s, value);
			if (body != (text *) DatumGetPointer(e->body))
				pfree(body);
		}
	}
	else if (f->field == FIELD_PROPERTY)
	{
		if (e->properties != (Datum) 0)
		{
			Jsonb	   *properties = DatumGetJsonbP(e->properties);
			JsonbValue	v;

			if (PropertyFind(&properties->root, f->property, &v))
				ScalarValue(&v, value);
			if (properties != (Jsonb *) DatumGetPointer(e->properties))
				pfree(properties);
		}
	}
	else
		TextValue(EventText(e, f->field), value);
}

bool
PropertyFind(JsonbContainer *properties, Str name, JsonbValue *value)
{
	JsonbContainer *container = properties;

	if (!JsonContainerIsObject(container))
		return false;
	if (getKeyJsonValueFromContainer(container, name.data, name.len, value) == NULL)
	{
		const char *p = name.data,
				   *end = p + name.len;

		if (memchr(p, '.', name.len) == NULL)
			return false;
		for (;;)
		{
			const char *dot = memchr(p, '.', end - p);

			if (getKeyJsonValueFromContainer(container, p, (dot ? dot : end) - p, value) == NULL)
				return false;
			if (dot == NULL)
				break;
			if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
				return false;
			container = value->val.binary.data;
			p = dot + 1;
		}
	}
	return value->type != jbvNull;
}

bool
EventPropertyMicros(const Event *e, Str name, int64 max, int64 *micros)
{
	Jsonb	   *properties;
	JsonbValue	value;
	bool		found = false;

	if (e->properties == (Datum) 0)
		return false;
	properties = DatumGetJsonbP(e->properties);
	if (PropertyFind(&properties->root, name, &value) && value.type == jbvNumeric)
	{
		Datum		number = NumericGetDatum(value.val.numeric);
		Datum		zero = NumericGetDatum(int64_to_numeric(0));
		Datum		limit = NumericGetDatum(int64_to_numeric(max / 1000000 + 1));

		/* bounded before it is scaled, so that no number overflows */
		if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, limit)) >= 0)
			*micros = max;
		else if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, zero)) <= 0)
			*micros = 0;
		else
		{
			Datum		million = NumericGetDatum(int64_to_numeric(1000000));
			Datum		scaled = DirectFunctionCall2(numeric_mul, number, million);

			*micros = Min(DatumGetInt64(DirectFunctionCall1(numeric_int8, scaled)), max);
			pfree(DatumGetPointer(million));
			pfree(DatumGetPointer(scaled));
		}
		found = *micros > 0;
		pfree(DatumGetPointer(zero));
		pfree(DatumGetPointer(limit));
	}
	if (properties != (Jsonb *) DatumGetPointer(e->properties))
		pfree(properties);
	return found;
}

bool
FieldRefEqual(const FieldRef *a, const FieldRef *b)
{
	return a->field == b->field && (a->field != FIELD_PROPERTY || StrEq(a->property, b->property));
}
