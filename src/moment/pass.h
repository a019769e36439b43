/*
 * pass.h
 *	  One pass of the moment engine over a batch of events.
 */
#ifndef REVOPS_MOMENT_PASS_H
#define REVOPS_MOMENT_PASS_H

#include "moment/moment.h"

typedef struct MomentPass MomentPass;

/* Begin, Event for each event of the batch in any order, Finish. Memory: the current context at Begin. SPI must be connected. */
extern MomentPass *MomentPassBegin(int lane, int lanes);
extern void MomentPassEvent(MomentPass *pass, Event *e);	/* e must stay where it is until Finish */
extern void MomentPassFinish(MomentPass *pass, const Consumed *consumed);

/* All rules of one subject anew from `since` on. */
extern void MomentPassRepair(MomentPass *pass, SubjectKind kind, Str subject, TimestampTz since, const Consumed *consumed);

/* The timeouts of one subject that are due by `now`. */
extern void MomentPassTimeouts(MomentPass *pass, SubjectKind kind, Str subject, TimestampTz now);

/* Write what was found. Sets the ids of moments that are new or stand again, and of those that are undone, as uuid[]. */
extern void MomentPassWrite(MomentPass *pass, Datum *opened, int *nopened, Datum *retracted, int *nretracted);

#endif							/* REVOPS_MOMENT_PASS_H */
