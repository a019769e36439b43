/*
 * row.c
 *	  A value of a row as a number, a category's text or the parts of a time.
 *
 * Times count by their parts, in UTC and whatever the session's time zone: a date itself would only repeat the past.
 */
#include "learn/predict.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

void
ValueReaderInit(ValueReader *r, Oid type, MemoryContext context)
{
	Oid			output;
	bool		varlena;

	memset(r, 0, sizeof(ValueReader));
	type = getBaseType(type);
	r->kind = COLUMN_NUMBER;
	switch (type)
	{
		case INT2OID:
			r->type = VALUE_INT2;
			return;
		case INT4OID:
			r->type = VALUE_INT4;
			return;
		case INT8OID:
			r->type = VALUE_INT8;
			return;
		case FLOAT4OID:
			r->type = VALUE_FLOAT4;
			return;
		case FLOAT8OID:
			r->type = VALUE_FLOAT8;
			return;
		case NUMERICOID:
			r->type = VALUE_NUMERIC;
			return;
		case INTERVALOID:
			r->type = VALUE_INTERVAL;
			return;
		case DATEOID:
			r->type = VALUE_DATE;
			r->kind = COLUMN_TIME;
			return;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			r->type = VALUE_TIMESTAMP;
			r->kind = COLUMN_TIME;
			return;
	}
	r->kind = COLUMN_CATEGORY;
	switch (type)
	{
		case BOOLOID:
			r->type = VALUE_BOOL;
			return;
		case TEXTOID:
		case VARCHAROID:
			r->type = VALUE_TEXT;
			return;
		case BPCHAROID:
			r->type = VALUE_BPCHAR;
			return;
		case NAMEOID:
			r->type = VALUE_NAME;
			return;
	}
	if (get_typtype(type) != TYPTYPE_ENUM && type != UUIDOID && type != CHAROID && type != UNKNOWNOID)
	{
		r->type = VALUE_NONE;
		return;
	}
	r->type = VALUE_OUTPUT;
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info_cxt(output, &r->output, context);
}

/* NaN is a missing value. */
double
ValueNumber(const ValueReader *r, Datum value)
{
	switch (r->type)
	{
		case VALUE_INT2:
			return DatumGetInt16(value);
		case VALUE_INT4:
			return DatumGetInt32(value);
		case VALUE_INT8:
			return DatumGetInt64(value);
		case VALUE_FLOAT4:
			return DatumGetFloat4(value);
		case VALUE_FLOAT8:
			return DatumGetFloat8(value);
		case VALUE_NUMERIC:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
		case VALUE_BOOL:
			return DatumGetBool(value);
		case VALUE_INTERVAL:
			{
				Interval   *span = DatumGetIntervalP(value);

				return span->time / 1e6 + span->day * 86400.0 + span->month * 30.0 * 86400;
			}
		case VALUE_DATE:
			{
				DateADT		date = DatumGetDateADT(value);

				return DATE_IS_NOBEGIN(date) ? -INFINITY : DATE_IS_NOEND(date) ? INFINITY : date * 86400.0;
			}
		case VALUE_TIMESTAMP:
			{
				Timestamp	at = DatumGetTimestamp(value);

				return TIMESTAMP_IS_NOBEGIN(at) ? -INFINITY : TIMESTAMP_IS_NOEND(at) ? INFINITY : at / 1e6;
			}
		default:
			return NAN;
	}
}

/* At most LEARN_MAX_NAME bytes count. */
const char *
ValueText(const ValueReader *r, Datum value, int *len)
{
	const char *s;

	switch (r->type)
	{
		case VALUE_BOOL:
			s = DatumGetBool(value) ? "true" : "false";
			*len = strlen(s);
			return s;
		case VALUE_TEXT:
		case VALUE_BPCHAR:
			{
				text	   *t = DatumGetTextPP(value);

				s = VARDATA_ANY(t);
				*len = VARSIZE_ANY_EXHDR(t);
				if (r->type == VALUE_BPCHAR)
					while (*len > 0 && s[*len - 1] == ' ')
						(*len)--;
				break;
			}
		case VALUE_NAME:
			s = NameStr(*DatumGetName(value));
			*len = strlen(s);
			break;
		default:
			s = OutputFunctionCall((FmgrInfo *) &r->output, value);
			*len = strlen(s);
			break;
	}
	if (*len > LEARN_MAX_NAME)
		*len = pg_mbcliplen(s, *len, LEARN_MAX_NAME);
	return s;
}

void
ValueTimeParts(const ValueReader *r, Datum value, double parts[3])
{
	int64		day;
	int			year,
				month,
				mday,
				weekday;

	parts[0] = parts[1] = parts[2] = NAN;
	if (r->type == VALUE_DATE)
	{
		DateADT		date = DatumGetDateADT(value);

		if (DATE_NOT_FINITE(date))
			return;
		day = date;
	}
	else
	{
		Timestamp	at = DatumGetTimestamp(value);

		if (TIMESTAMP_NOT_FINITE(at))
			return;
		day = at / USECS_PER_DAY - (at % USECS_PER_DAY < 0);
		parts[2] = (at - day * USECS_PER_DAY) / USECS_PER_HOUR;
	}
	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	weekday = j2day(day + POSTGRES_EPOCH_JDATE);
	parts[0] = month;
	parts[1] = weekday == 0 ? 7 : weekday;
}

/* The answer in the label column: true or false, 1 or 0. */
bool
LabelValue(const ValueReader *r, Datum value)
{
	if (r->kind == COLUMN_NUMBER)
	{
		double		x = ValueNumber(r, value);

		if (x == 0 || x == 1)
			return x == 1;
	}
	else if (r->kind == COLUMN_CATEGORY && r->type != VALUE_NONE)
	{
		int			len;
		const char *s = ValueText(r, value, &len);
		char		word[8];
		bool		answer;

		if (r->type == VALUE_BOOL)
			return DatumGetBool(value);
		if (len < sizeof(word))
		{
			memcpy(word, s, len);
			word[len] = '\0';
			if (parse_bool(word, &answer))
				return answer;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the column of answers holds something else than yes or no"),
			 errhint("Give a boolean, such as status = 'won', or 1 and 0. Rows whose answer is NULL are left out.")));
}
