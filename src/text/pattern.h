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
 * before its match; with border that is none of a word's that the match would go on with. Literals see bytes, regular expressions characters;
 * a literal has one space where the pattern has several.
 */
extern char *PatternExpression(PatternKind kind, const char *folded, bool border, int *len);

/* What a text must have for a folded pattern to match at all, as far as its form tells: bits */
#define NEEDS_WORD		1		/* a letter or digit of ASCII */
#define NEEDS_OTHER		2		/* a character beyond ASCII */
#define NEEDS_KINDS		4		/* sets of these */
extern int	PatternNeeds(PatternKind kind, const char *folded);

/*
 * spell.c: the texts that a folded regular expression matches, each once, if they are few, and as good as literals: with at least three bytes, no space
 * at an end, and no two together. Returns how many of texts[TEXT_MAX_SPELT] there are, 0: it cannot be told or is no such. Memory: the current context.
 */
extern int	PatternSpell(const char *folded, Str *texts);

/* matcher.c: what the library has against a folded regular expression, as PatternFault() */
extern const char *LibraryFault(const char *folded, int *at);

#endif							/* REVOPS_TEXT_PATTERN_H */
