/*
 * pattern.h
 *	  How patterns are written for the library.
 */
#ifndef REVOPS_TEXT_PATTERN_H
#define REVOPS_TEXT_PATTERN_H

#include "text/matcher.h"

/* A pattern with its characters folded; memory: the current context */
extern char *PatternFold(PatternKind kind, const char *pattern);

/*
 * A folded pattern as the library takes it. *len: bytes of what it matches, -1: not fixed. A regular expression takes one character more
 * before its match; with border that is none of a word's that the match would go on with. Literals see bytes, regular expressions characters.
 */
extern char *PatternExpression(PatternKind kind, const char *folded, bool border, int *len);

/* matcher.c: what the library has against a folded regular expression, as PatternFault() */
extern const char *LibraryFault(const char *folded, int *at);

#endif							/* REVOPS_TEXT_PATTERN_H */
