/*
 * state.h
 *	  What the two files of the target of stored states share.
 */
#ifndef REVOPS_FUZZ_STATE_H
#define REVOPS_FUZZ_STATE_H

#include "standins.h"

extern void Fail(const char *what);
extern void Seed(const char *name, char mode, int second, const void *data, Size size); /* second < 0: none */

extern void MomentTargetInit(void);
extern void SeedMoments(void);
extern void TryMoment(const char *data, Size size);
extern void TryStates(const char *data, Size size);

#endif							/* REVOPS_FUZZ_STATE_H */
