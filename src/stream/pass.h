/*
 * pass.h
 *	  What the files of this room share: a pass at work, and its quarantine.
 */
#ifndef REVOPS_STREAM_PASS_H
#define REVOPS_STREAM_PASS_H

#include "event/event.h"
#include "moment/pass.h"
#include "stage/stage.h"
#include "stream/stream.h"

/* One pass at work */
typedef struct Pass
{
	int			lane;
	int			lanes;
	Consumed   *consumed;
	TimestampTz frontier;
	int64		failed;
	bool		advance;		/* events taken move the position (not those of a retry) */
	Size		memory;
} Pass;

typedef void (*Work) (Pass *pass, void *arg);

/* stream.c: the events [from, to) through all rooms; the cursor's position is after them */
extern void PassApply(Pass *pass, EventList *list, int from, int to);

/* stream.c: moments to the moment table, to the scores, to the stage room with the pass's events (NULL: none), and to the task room */
extern void AnswerMoments(Pass *pass, Datum moments);
extern void WriteMoments(Pass *pass, MomentPass *moments, StagePass *stages);

/* upkeep.c: compute anew the subjects that were asked for; true if more wait. *after (NULL: none): see there */
extern bool Repairs(Pass *pass, int64 *after);

/* upkeep.c: filter anew the opportunities that were asked for; true if more wait */
extern bool StageRequests(Pass *pass);

/* upkeep.c: moments that come since time has passed, where no event is left to take; true if more are due */
extern bool FireTimeouts(Pass *pass);

/* quarantine.c: some work in a subtransaction: NULL, or the error that undid it if that is an event's fault; others are thrown on */
extern ErrorData *Guarded(Pass *pass, Work work, void *arg);

/* quarantine.c: the events [from, to), with those in quarantine whose analysis fails */
extern void ApplyHalving(Pass *pass, EventList *list, int from, int to);

extern Datum TextOrNull(Str s, bool *isnull);

#endif							/* REVOPS_STREAM_PASS_H */
