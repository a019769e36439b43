/*
 * score.h
 *	  Intent scores: what the configured signals make of events.
 */
#ifndef REVOPS_SCORE_H
#define REVOPS_SCORE_H

#include "event/event.h"

typedef struct ScorePass ScorePass;

/* One pass: Begin, Event for each, Finish writes. Memory: the current context at Begin. SPI must be connected. */
extern ScorePass *ScoreBegin(int lane, int lanes);
extern void ScoreEvent(ScorePass *pass, const Event *e);
extern void ScoreFinish(ScorePass *pass, const Consumed *consumed);

/* A subject's scores anew from its history. */
extern void ScoreRecompute(SubjectKind kind, Str subject, const Consumed *consumed);

#endif							/* REVOPS_SCORE_H */
