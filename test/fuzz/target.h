/*
 * target.h
 *	  What the targets share. An input is a byte, which says as what the rest is taken.
 */
#ifndef REVOPS_FUZZ_TARGET_H
#define REVOPS_FUZZ_TARGET_H

#include "standins.h"

/* What is made once, when it is first needed, and stays; NULL until Lasting() makes it */
extern MemoryContext lasting;
extern void Lasting(void);

/* A finding: end, with the last error */
extern void Fail(const char *what) pg_attribute_noreturn();

/* Write a sound input where FUZZ_SEEDS says, if it says so. second < 0: there is no second byte */
extern void Seed(const char *name, char mode, int second, const void *data, Size size);

/* A context for an input, which nothing may outlive */
extern MemoryContext Enter(void);
extern void Leave(MemoryContext context);

/* Take an input of at most max bytes; refused: looks at an error, none of which may be internal, NULL: each is fine. Returns what libFuzzer wants to know */
typedef void (*Taker) (char mode, const char *bytes, Size size);
extern int	Take(const uint8_t *data, size_t size, size_t max, Taker take, void (*refused) (char mode));

#endif							/* REVOPS_FUZZ_TARGET_H */
