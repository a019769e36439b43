/*
 * streak.c
 *	  Local days, and the longest run of them.
 *
 * Between two changes of a zone its offset is constant, so the day of an instant is one division once the segment is known.
 * The clock keeps the segments that it met last: events come in the order of time, or from all over a few years.
 */
#include "analysis/analysis.h"

#define SEGMENTS			8
#define UNIX_OFFSET_SECS	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

typedef struct Segment
{
	TimestampTz from;
	TimestampTz to;
	int64		offset;			/* local minus UTC, microseconds */
} Segment;

struct DayClock
{
	pg_tz	   *tz;
	int			nsegments;
	int			replace;		/* the next to be given up */
	int			present;		/* the last one used */
	int			name_len;		/* the zone's name as it was given */
	char		name[TZ_STRLEN_MAX + 1];
	Segment		segments[SEGMENTS];
};

static inline int64
FloorDiv(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

/* A clock in the current context, of no zone yet. */
DayClock *
DayClockMake(void)
{
	return palloc0(sizeof(DayClock));
}

void
DayClockSetZone(DayClock *clock, pg_tz *tz)
{
	if (tz != clock->tz)
		clock->nsegments = clock->present = clock->replace = 0;
	clock->tz = tz;
}

/* False if there is no such zone. A zone named again is not looked up. */
bool
DayClockSetZoneName(DayClock *clock, const char *zone, int len)
{
	char		name[TZ_STRLEN_MAX + 1];
	pg_tz	   *tz;

	if (clock->tz != NULL && clock->name_len == len && memcmp(clock->name, zone, len) == 0)
		return true;
	if (len > TZ_STRLEN_MAX)
		return false;
	memcpy(name, zone, len);
	name[len] = '\0';
	tz = pg_tzset(name);
	if (tz == NULL || !pg_tz_acceptable(tz))
		return false;
	DayClockSetZone(clock, tz);
	memcpy(clock->name, name, len);
	clock->name_len = len;
	return true;
}

/* Find the segment of an instant and make it the present one. */
static void
EnterSegment(DayClock *clock, TimestampTz at)
{
	pg_time_t	now = FloorDiv(at, USECS_PER_SEC) + UNIX_OFFSET_SECS;
	pg_time_t	boundary = now;
	long int	before = 0,
				after = 0;
	int			before_dst,
				after_dst;
	TimestampTz to = END_TIMESTAMP;
	Segment    *s;

	for (int i = 0; i < clock->nsegments; i++)
	{
		if (at >= clock->segments[i].from && at < clock->segments[i].to)
		{
			clock->present = i;
			return;
		}
	}
	if (pg_next_dst_boundary(&now, &before, &before_dst, &boundary, &after, &after_dst, clock->tz) == 1 &&
		boundary - UNIX_OFFSET_SECS < END_TIMESTAMP / USECS_PER_SEC)
		to = (boundary - UNIX_OFFSET_SECS) * USECS_PER_SEC;

	/* a segment that ends there is the same one, met at a later instant */
	for (int i = 0; i < clock->nsegments; i++)
	{
		if (clock->segments[i].to == to)
		{
			clock->segments[i].from = Min(clock->segments[i].from, at);
			clock->present = i;
			return;
		}
	}
	s = &clock->segments[clock->replace];
	clock->present = clock->replace;
	clock->nsegments = Max(clock->nsegments, clock->replace + 1);
	clock->replace = (clock->replace + 1) % SEGMENTS;
	s->from = at;
	s->to = to;
	s->offset = (int64) before * USECS_PER_SEC;
}

/* The local day of an instant, in days since 2000-01-01; false for infinity. */
bool
DayClockLocalDay(DayClock *clock, TimestampTz at, int64 *day)
{
	const Segment *s = &clock->segments[clock->present];

	if (TIMESTAMP_NOT_FINITE(at))
		return false;
	if (clock->nsegments == 0 || at < s->from || at >= s->to)
	{
		EnterSegment(clock, at);
		s = &clock->segments[clock->present];
	}
	*day = FloorDiv(at + s->offset, USECS_PER_DAY);
	return true;
}

/* The longest run of consecutive days, of those whose sum is at least so much if bounded. Days sorted, each there once. */
int
StreakLongest(const BufferRow *days, int n, bool bounded, int64 at_least)
{
	int			best = 0,
				run = 0;
	int64		last = 0;

	for (int i = 0; i < n; i++)
	{
		if (bounded && days[i].sum < at_least)
			continue;
		run = run > 0 && days[i].at == last + 1 ? run + 1 : 1;
		last = days[i].at;
		best = Max(best, run);
	}
	return best;
}
