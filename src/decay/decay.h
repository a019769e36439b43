/*
 * decay.h
 *	  Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009, section 3, exponential g).
 *
 * A sum of weights w that halve every h seconds is kept as L = log2 of the sum of w * 2^(t/h), t being each weight's time in seconds.
 * It adds in any order, two of them merge, and the decayed sum at any time T is 2^(L - T/h): ranks do not change as time passes.
 * -infinity is the empty sum.
 */
#ifndef REVOPS_DECAY_H
#define REVOPS_DECAY_H

#include "base/base.h"

#include <math.h>

/* log2(2^a + 2^b) without overflow */
static inline double
DecayAdd(double a, double b)
{
	double		hi = a > b ? a : b,
				lo = a > b ? b : a;

	if (isinf(lo) && lo < 0)
		return hi;
	return hi + log1p(exp2(lo - hi)) * 1.4426950408889634074;
}

/* A point in time in half-lives (half_life in seconds) since the epoch of timestamptz. */
static inline double
DecayTime(TimestampTz t, double half_life)
{
	return (double) t / (1e6 * half_life);
}

/* The sum's logarithm of one weight > 0 at t */
static inline double
DecayOf(double weight, TimestampTz t, double half_life)
{
	return log2(weight) + DecayTime(t, half_life);
}

/* The decayed sum at t */
static inline double
DecayAt(double logsum, TimestampTz t, double half_life)
{
	return exp2(logsum - DecayTime(t, half_life));
}

#endif							/* REVOPS_DECAY_H */
