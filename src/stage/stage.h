/*
 * stage.h
 *	  Which stage an opportunity is in, as its events, intents and moments show.
 */
#ifndef REVOPS_STAGE_H
#define REVOPS_STAGE_H

#include "event/event.h"

typedef struct StagePass StagePass;

/*
 * One pass: Begin, Event for each of its events (which must stay until Finish), Finish writes. opened, retracted: moments (uuid[]) that are
 * written already. Memory: the current context at Begin. SPI must be connected.
 */
extern StagePass *StageBegin(int lane, int lanes);
extern void StageEvent(StagePass *pass, const Event *e);
extern void StageFinish(StagePass *pass, const Consumed *consumed, Datum opened, int nopened, Datum retracted, int nretracted);

/* Estimates of opportunities anew from their histories. */
extern void StageRecompute(const Str *opportunities, int n, const Consumed *consumed);

/* The opportunities of a lane for which that was asked, by at most max requests, with the ids of these (uuid[]); and what became of them. */
extern int	StageRequested(int lane, int lanes, int max, Str **opportunities, Datum **requests);
extern void StageRequestDone(Str opportunity, Datum requests, const char *error);	/* error NULL: done */

#endif							/* REVOPS_STAGE_H */
