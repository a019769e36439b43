/*
 * state.h
 *	  What the two files of the target of stored states share.
 */
#ifndef REVOPS_FUZZ_STATE_H
#define REVOPS_FUZZ_STATE_H

#include "target.h"

extern void MomentTargetInit(void);
extern void SeedMoments(void);
extern void TryMoment(const char *data, Size size);
extern void TryStates(const char *data, Size size);

#endif							/* REVOPS_FUZZ_STATE_H */
