/*
 * stream.h
 *	  The one pass: from events between two snapshots to scores, moments and cards.
 */
#ifndef REVOPS_STREAM_H
#define REVOPS_STREAM_H

#include "base/base.h"

/* What a lane does at most in one pass; the reader stops at whichever comes first. */
#define STREAM_DEFAULT_BATCH	200000
#define STREAM_MIN_BATCH		1
#define STREAM_MAX_BATCH		10000000
#define STREAM_DEFAULT_MEMORY	(96 * 1024) /* kB */
#define STREAM_MIN_MEMORY		1024
#define STREAM_MAX_MEMORY		(4 * 1024 * 1024)
#define STREAM_MAX_LANES		16

typedef struct PassResult
{
	int64		events;			/* events taken by this pass */
	bool		more;			/* the batch is not exhausted: call again, in a transaction of its own if you can */
	bool		paused;			/* restored data waits for revops.start_worker() or revops.process() */
	bool		busy;			/* another process holds this lane (only with nowait) */
	Size		memory;			/* peak bytes of the pass */
	int64		idle;			/* milliseconds until a timeout or an escalation is due; -1: none is, or there is more */
} PassResult;

extern void StreamInit(void);

/* Told what a pass is at, and with how many; NULL: nobody asks. Set by the worker, for pg_stat_activity. */
extern void (*stream_report) (const char *what, int64 n);

/* How many lanes the stream has (1 before the first pass). Needs a transaction. */
extern int	StreamLanes(void);

/*
 * One pass of one lane inside the caller's transaction: at most max_events (<= 0: revops.batch_size) events, then the repairs
 * that were asked for, then due escalations. adopt: take over a stream that was restored from another cluster. nowait: return
 * busy instead of waiting for the lane.
 */
extern PassResult StreamPass(int lane, int64 max_events, bool adopt, bool nowait);

#endif							/* REVOPS_STREAM_H */
