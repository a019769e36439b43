/*
 * business_time.c
 *	  Business time as pure arithmetic.
 *
 * The definition: an instant is open if its local time of day lies in a slot of its weekday and its local date is no holiday.
 * An hour that a change to summer time skips is therefore never open, and one that the change back repeats is open twice.
 * Between two changes of a zone the offset is constant, so the walk goes from segment to segment (pg_next_dst_boundary), and
 * inside one from day to day, in local microseconds; it never asks what instant an ambiguous local time means.
 */
#include "calendar/calendar.h"

#include "common/int.h"
#include "miscadmin.h"

#define USECS_PER_SLOT_MINUTE	INT64CONST(60000000)
#define UNIX_OFFSET_SECS		((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)
#define EPOCH_WEEKDAY			5	/* 2000-01-01 was a Saturday; Monday is 0 */

typedef struct Walk
{
	const BusinessHours *hours;
	TimestampTz at;				/* all before is done */
	TimestampTz limit;
	TimestampTz segment_end;	/* the offset holds until here */
	int64		offset;			/* local minus UTC, microseconds */
	int			closed_days;	/* since the last open span */
} Walk;

static inline int64
FloorDiv(int64 a, int64 b)
{
	int64		q = a / b;

	return (a % b < 0) ? q - 1 : q;
}

static bool
IsHoliday(const BusinessHours *hours, int64 day)
{
	int			lo = 0,
				hi = hours->nholidays;

	while (lo < hi)
	{
		int			mid = lo + (hi - lo) / 2;

		if (hours->holidays[mid] < day)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < hours->nholidays && hours->holidays[lo] == day;
}

/* Find the offset that holds at walk->at, and until when. */
static void
EnterSegment(Walk *walk)
{
	pg_time_t	now = FloorDiv(walk->at, USECS_PER_SEC) + UNIX_OFFSET_SECS;
	pg_time_t	boundary = now;
	long int	before = 0,
				after = 0;
	int			before_dst,
				after_dst;
	int			found = pg_next_dst_boundary(&now, &before, &before_dst, &boundary, &after, &after_dst, walk->hours->tz);

	walk->offset = (int64) before * USECS_PER_SEC;
	walk->segment_end = walk->limit;
	if (found == 1 && boundary > now)
	{
		/* a boundary beyond the limit might not fit a timestamp */
		if (boundary - UNIX_OFFSET_SECS < FloorDiv(walk->limit, USECS_PER_SEC))
			walk->segment_end = (boundary - UNIX_OFFSET_SECS) * USECS_PER_SEC;
	}
}

/* The next open span at or after walk->at: [*from, *to), within one day and one offset. False at the limit, or closed too long. */
static bool
NextSpan(Walk *walk, TimestampTz *from, TimestampTz *to)
{
	while (walk->at < walk->limit && walk->closed_days < CALENDAR_MAX_CLOSED_DAYS)
	{
		int64		local,
					day,
					weekday,
					week_start;
		TimestampTz day_end;

		CHECK_FOR_INTERRUPTS();
		if (walk->at >= walk->segment_end)
			EnterSegment(walk);
		local = walk->at + walk->offset;
		day = FloorDiv(local, USECS_PER_DAY);
		day_end = Min((day + 1) * USECS_PER_DAY - walk->offset, Min(walk->segment_end, walk->limit));
		weekday = (day + EPOCH_WEEKDAY) % 7;
		if (weekday < 0)
			weekday += 7;
		week_start = (day - weekday) * USECS_PER_DAY;	/* this Monday 00:00, local */

		if (!IsHoliday(walk->hours, day))
		{
			for (int i = 0; i < walk->hours->nslots; i++)
			{
				int64		open = week_start + walk->hours->week[2 * i] * USECS_PER_SLOT_MINUTE;
				int64		close = week_start + walk->hours->week[2 * i + 1] * USECS_PER_SLOT_MINUTE;

				/* over, or no time at all: as closed as none */
				if (close <= local || close == open)
					continue;
				*from = Max(open, local) - walk->offset;
				*to = Min(close - walk->offset, day_end);
				if (*from >= day_end)
					break;
				walk->at = *to;
				walk->closed_days = 0;
				return true;
			}
		}
		walk->at = day_end;
		walk->closed_days++;
	}
	return false;
}

/* The earliest instant t >= start such that usecs (>= 0) of business time lie between start and t. */
BusinessResult
BusinessTimeAdd(const BusinessHours *hours, TimestampTz start, int64 usecs, TimestampTz *result)
{
	Walk		walk = {hours, start, END_TIMESTAMP - 2 * USECS_PER_DAY, PG_INT64_MIN, 0, 0};
	TimestampTz from,
				to;

	if (hours->tz == NULL || usecs == 0)
		return pg_add_s64_overflow(start, usecs, result) || !IS_VALID_TIMESTAMP(*result) ? BUSINESS_RANGE : BUSINESS_OK;
	while (NextSpan(&walk, &from, &to))
	{
		if (usecs <= to - from)
		{
			*result = from + usecs;
			return BUSINESS_OK;
		}
		usecs -= to - from;
	}
	return walk.at >= walk.limit ? BUSINESS_RANGE : BUSINESS_CLOSED;
}

/* Microseconds of business time in [from, to); negative if to is before from. */
int64
BusinessTimeBetween(const BusinessHours *hours, TimestampTz from, TimestampTz to)
{
	Walk		walk = {hours, Min(from, to), Max(from, to), PG_INT64_MIN, 0, 0};
	TimestampTz a,
				b;
	int64		sum = 0;

	if (hours->tz == NULL)
		return to - from;
	for (;;)
	{
		walk.closed_days = 0;	/* the end is given, so a closed decade is no reason to give up */
		if (NextSpan(&walk, &a, &b))
			sum += b - a;
		else if (walk.at >= walk.limit)
			break;
	}
	return from <= to ? sum : -sum;
}
