/*
 * session.c
 *	  Sessions: runs of events with no gap longer than given, and the time engaged in each.
 *
 * Engaged time from pings, as web trackers that ping while a page is in use define it: Unix time is cut into spans of the ping
 * interval; a session with pings in n spans was engaged for the minimum visit and n - 1 intervals; one without pings, for none.
 * Repeated pings, and pings a little early, so count once.
 */
#include "analysis/analysis.h"

#include "common/int.h"

#define UNIX_OFFSET_USECS	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* The session that begins at row from; returns the row after it. Rows sorted by time. */
int
SessionNext(const BufferRow *rows, int n, int from, const EventBuffer *settings, VisitSession *session)
{
	uint64		gap = settings->setting[0];
	int64		ping = settings->setting[1],
				spans = 0,
				span = 0;
	int			i;

	for (i = from; i < n; i++)
	{
		if (i > from && (uint64) rows[i].at - (uint64) rows[i - 1].at > gap)
			break;
		if (rows[i].bits & SESSION_PING)
		{
			int64		unix_time,
						s;

			if (pg_add_s64_overflow(rows[i].at, UNIX_OFFSET_USECS, &unix_time))
				continue;		/* infinity is in no span */
			s = unix_time / ping - (unix_time % ping < 0);
			if (spans == 0 || s != span)
				spans++;
			span = s;
		}
	}
	session->started_at = rows[from].at;
	session->ended_at = rows[i - 1].at;
	session->events = i - from;
	if (settings->modes & SESSION_HEARTBEATS)
		session->engaged = spans == 0 ? 0 : (spans - 1) * ping + settings->setting[2];
	else if (pg_sub_s64_overflow(session->ended_at, session->started_at, &session->engaged))
		session->engaged = PG_INT64_MAX;
	return i;
}
