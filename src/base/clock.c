/*
 * clock.c
 *	  The one reader of the clock. SET revops.as_of moves it.
 */
#include "base/base.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define NOTICE_EVERY	10000	/* ms */

static char *as_of_string = NULL;
static TimestampTz as_of = DT_NOEND;	/* DT_NOEND: not set */

/*
 * The same instant, written so that its reading depends on no other setting: a parallel worker reads settings in the order of their names, this
 * one before TimeZone and timezone_abbreviations. False: out of memory. Years before 1 are left as they are.
 */
static bool
Canonical(char **newval, TimestampTz value)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		text[64];
	char	   *copy;

	if (timestamp2tm(value, NULL, &tm, &fsec, NULL, NULL) != 0 || tm.tm_year < 1)
		return true;
	snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", tm.tm_year, tm.tm_mon, tm.tm_mday,
			 tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
#if PG_VERSION_NUM >= 160000
	copy = guc_strdup(LOG, text);
#else
	copy = strdup(text);
#endif
	if (copy == NULL)
		return false;
#if PG_VERSION_NUM >= 160000
	guc_free(*newval);
#else
	free(*newval);
#endif
	*newval = copy;
	return true;
}

/* What an input function makes of a setting; false: it throws, which a hook that checks settings must not. */
static bool
ReadSetting(PGFunction input, const char *text, Datum *value)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		*value = DirectFunctionCall3(input, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcontext);
		FlushErrorState();
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

bool
IntervalSetting(const char *text, Interval *interval)
{
	Datum		value;

	if (!ReadSetting(interval_in, text, &value))
		return false;
	*interval = *DatumGetIntervalP(value);
	pfree(DatumGetPointer(value));
	return true;
}

/* Parse the setting once, when it is set. */
static bool
CheckAsOf(char **newval, void **extra, GucSource source)
{
	TimestampTz *parsed;
	TimestampTz value = DT_NOEND;

	if (*newval != NULL && **newval != '\0')
	{
		Datum		read;

		if (ReadSetting(timestamptz_in, *newval, &read))
			value = DatumGetTimestampTz(read);
		if (TIMESTAMP_NOT_FINITE(value))
		{
			GUC_check_errdetail("\"%s\" is not a point in time.", *newval);
			GUC_check_errhint("Give a timestamp with its zone, such as '2026-01-31 09:00+08', or '' for the wall clock.");
			return false;
		}
		if (!Canonical(newval, value))
			return false;
	}
#if PG_VERSION_NUM >= 160000
	parsed = guc_malloc(LOG, sizeof(TimestampTz));
#else
	parsed = malloc(sizeof(TimestampTz));
#endif
	if (parsed == NULL)
		return false;
	*parsed = value;
	*extra = parsed;
	return true;
}

static void
AssignAsOf(const char *newval, void *extra)
{
	as_of = *(TimestampTz *) extra;
}

void
ClockInit(void)
{
	DefineCustomStringVariable("revops.as_of",
							   "The time that pg_revops takes for now; empty is the wall clock.",
							   NULL, &as_of_string, "", PGC_USERSET, 0,
							   CheckAsOf, AssignAsOf, NULL);
}

TimestampTz
RevopsNow(void)
{
	return as_of != DT_NOEND ? as_of : GetCurrentStatementStartTimestamp();
}

/* Of the machine's clock, since who moves the time must not hear of progress all the time or never */
TimestampTz
NoticeStart(void)
{
	return GetCurrentTimestamp();
}

bool
NoticeDue(TimestampTz *told)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(*told, now, NOTICE_EVERY))
		return false;
	*told = now;
	return true;
}

PG_FUNCTION_INFO_V1(revops_now);
Datum
revops_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(RevopsNow());
}
