/*
 * calendar.h
 *	  Business time: how long a calendar's hours are open between two instants, and when a duration of it is over.
 */
#ifndef REVOPS_CALENDAR_H
#define REVOPS_CALENDAR_H

#include "base/base.h"

#include "pgtime.h"
#include "utils/date.h"

/* A search for open time gives up after so many days in a row without any. */
#define CALENDAR_MAX_CLOSED_DAYS	3660

/* An instant is open if its local time lies in a slot of the week and its local date is no holiday. */
typedef struct BusinessHours
{
	pg_tz	   *tz;				/* NULL: round the clock, all else ignored */
	int			nslots;
	const int32 *week;			/* nslots pairs (open, close): minutes since Monday 00:00, ascending, disjoint */
	int			nholidays;
	const DateADT *holidays;	/* ascending */
} BusinessHours;

typedef enum BusinessResult
{
	BUSINESS_OK,
	BUSINESS_CLOSED,			/* no open time within CALENDAR_MAX_CLOSED_DAYS */
	BUSINESS_RANGE				/* beyond what a timestamp holds */
} BusinessResult;

/* business_time.c (pure) */
extern BusinessResult BusinessTimeAdd(const BusinessHours *hours, TimestampTz start, int64 usecs, TimestampTz *result);
extern int64 BusinessTimeBetween(const BusinessHours *hours, TimestampTz from, TimestampTz to);

#endif							/* REVOPS_CALENDAR_H */
