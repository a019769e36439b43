/*
 * calendar.c
 *	  SQL face of business time. These functions get a calendar's columns and read no table, so they may be called per row.
 */
#include "calendar/calendar.h"

#include "common/int.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(revops_business_time_add);
PG_FUNCTION_INFO_V1(revops_business_time_span);

static int
DateCmp(const void *a, const void *b)
{
	DateADT		x = *(const DateADT *) a,
				y = *(const DateADT *) b;

	return x < y ? -1 : x > y;
}

/* Read (time_zone, week, holidays) from the first arguments. False where they cannot be used and the caller can do without. */
static bool
HoursFromArgs(FunctionCallInfo fcinfo, bool missing_ok, BusinessHours *hours)
{
	char	   *zone;
	Datum	   *elems;
	int			n;

	memset(hours, 0, sizeof(*hours));
	if (PG_ARGISNULL(0))
		return true;
	zone = text_to_cstring(PG_GETARG_TEXT_PP(0));
	hours->tz = strlen(zone) <= TZ_STRLEN_MAX ? pg_tzset(zone) : NULL;
	if (hours->tz == NULL || !pg_tz_acceptable(hours->tz))
	{
		if (missing_ok)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", zone),
				 errhint("Use a name of pg_timezone_names, such as 'Asia/Shanghai'.")));
	}

	if (!PG_ARGISNULL(1))
	{
		int32	   *week;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true, TYPALIGN_INT, &elems, NULL, &n);
		week = palloc(sizeof(int32) * (n + 1));
		for (int i = 0; i < n; i++)
		{
			week[i] = DatumGetInt32(elems[i]);
			if (week[i] < 0 || week[i] > 7 * 24 * 60 || (i > 0 && week[i] < week[i - 1]) || n % 2 != 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("the week must be pairs of ascending minutes since Monday 00:00")));
		}
		hours->week = week;
		hours->nslots = n / 2;
	}
	if (hours->nslots == 0)
	{
		if (missing_ok)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the calendar has no hours at all"),
				 errhint("Give it hours with revops.put_calendar(), or no calendar for round the clock.")));
	}

	if (!PG_ARGISNULL(2))
	{
		DateADT    *days;
		bool		sorted = true;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), DATEOID, sizeof(DateADT), true, TYPALIGN_INT, &elems, NULL, &n);
		days = palloc(sizeof(DateADT) * (n + 1));
		for (int i = 0; i < n; i++)
		{
			days[i] = DatumGetDateADT(elems[i]);
			sorted = sorted && (i == 0 || days[i - 1] <= days[i]);
		}
		if (!sorted)
			qsort(days, n, sizeof(DateADT), DateCmp);
		hours->holidays = days;
		hours->nholidays = n;
	}
	return true;
}

/* Microseconds of a duration; a day counts 24 hours. */
static int64
DurationUsecs(const Interval *duration)
{
	int64		usecs;

	if (duration->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a business duration cannot be given in months or years"),
				 errhint("Give it in hours and minutes, such as '4 hours 30 minutes'.")));
	usecs = (int64) duration->day * USECS_PER_DAY;
	if (pg_add_s64_overflow(usecs, duration->time, &usecs))
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("interval out of range")));
	if (usecs < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a business duration cannot be negative")));
	return usecs;
}

static void
CheckFinite(TimestampTz t)
{
	if (TIMESTAMP_NOT_FINITE(t))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("business time needs a finite point in time")));
}

/*
 * business_time_add(time_zone, week, holidays, start, duration, missing_ok): the earliest instant by which the duration of
 * business time has passed. With missing_ok an unusable calendar gives NULL instead of an error.
 */
Datum
revops_business_time_add(PG_FUNCTION_ARGS)
{
	BusinessHours hours;
	bool		missing_ok = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	TimestampTz result;

	if (PG_ARGISNULL(3) || PG_ARGISNULL(4))
		PG_RETURN_NULL();
	CheckFinite(PG_GETARG_TIMESTAMPTZ(3));
	if (!HoursFromArgs(fcinfo, missing_ok, &hours))
		PG_RETURN_NULL();
	switch (BusinessTimeAdd(&hours, PG_GETARG_TIMESTAMPTZ(3), DurationUsecs(PG_GETARG_INTERVAL_P(4)), &result))
	{
		case BUSINESS_OK:
			PG_RETURN_TIMESTAMPTZ(result);
		case BUSINESS_CLOSED:
			if (missing_ok)
				PG_RETURN_NULL();
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the calendar has no open hour for %d days in a row", CALENDAR_MAX_CLOSED_DAYS),
					 errhint("Look at its holidays.")));
			break;
		case BUSINESS_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("timestamp out of range")));
			break;
	}
	PG_RETURN_NULL();
}

/* business_time_span(time_zone, week, holidays, a, b): business time from a to b, negative if b is earlier */
Datum
revops_business_time_span(PG_FUNCTION_ARGS)
{
	BusinessHours hours;
	Interval   *result;
	int64		elapsed;

	if (PG_ARGISNULL(3) || PG_ARGISNULL(4))
		PG_RETURN_NULL();
	CheckFinite(PG_GETARG_TIMESTAMPTZ(3));
	CheckFinite(PG_GETARG_TIMESTAMPTZ(4));
	/* business time is no longer than time */
	if (pg_sub_s64_overflow(PG_GETARG_TIMESTAMPTZ(4), PG_GETARG_TIMESTAMPTZ(3), &elapsed))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("interval out of range")));
	(void) HoursFromArgs(fcinfo, false, &hours);
	result = palloc0(sizeof(Interval));
	result->time = BusinessTimeBetween(&hours, PG_GETARG_TIMESTAMPTZ(3), PG_GETARG_TIMESTAMPTZ(4));
	PG_RETURN_INTERVAL_P(result);
}
