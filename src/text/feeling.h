/*
 * feeling.h
 *	  How a text feels by the model that is shipped.
 */
#ifndef REVOPS_TEXT_FEELING_H
#define REVOPS_TEXT_FEELING_H

#include "base/base.h"

/*
 * The probability that the text is positive less the one that it is negative, -1 to 1; 0 where none of its features is known. say: n numbers of what
 * the lexicon says of it (learn.h). Without place in the stack or the current context: what it needs is kept for the life of the backend.
 */
extern double FeelingByModel(const char *utf8, int len, const uint8 *say, int n);

#endif							/* REVOPS_TEXT_FEELING_H */
