/*
 * score.h
 *	  Intent scores: what the configured signals make of events, and rules of their moments.
 */
#ifndef REVOPS_SCORE_H
#define REVOPS_SCORE_H

#include "event/event.h"

typedef struct ScorePass ScorePass;

/* One pass: Begin, Event for each, Finish writes. Memory: the current context at Begin. SPI must be connected. */
extern ScorePass *ScoreBegin(int lane, int lanes);
extern void ScoreEvent(ScorePass *pass, const Event *e);
extern void ScoreFinish(ScorePass *pass, const Consumed *consumed);

/*
 * Moments that are new or stand again, and those that are undone (uuid[], already written): the former add to their rules' intents,
 * the subjects of the latter are recomputed.
 */
extern void ScoreMoments(Datum opened, int nopened, Datum retracted, int nretracted, const Consumed *consumed);

/* A subject's scores anew from its history and its standing moments. */
extern void ScoreRecompute(SubjectKind kind, Str subject, const Consumed *consumed);

#endif							/* REVOPS_SCORE_H */
