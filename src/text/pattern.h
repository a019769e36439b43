/*
 * pattern.h
 *	  How patterns are written for the library.
 */
#ifndef REVOPS_TEXT_PATTERN_H
#define REVOPS_TEXT_PATTERN_H

#include "text/matcher.h"

/* A pattern with its characters folded; memory: the current context */
extern char *PatternFold(PatternKind kind, const char *pattern);

/* A folded literal with one space where it has several: so have texts when literals are looked for. Memory: the current context */
extern char *PatternPacked(const char *folded);

/*
 * A folded regular expression as the library takes it: with one character more before its match; with border that is none of a word's that the match
 * would go on with. Memory: the current context.
 */
extern char *PatternLed(const char *folded, bool border);

/* What a text must have for a folded pattern to match at all, as far as its form tells: bits */
#define NEEDS_WORD		1		/* a letter or digit of ASCII */
#define NEEDS_OTHER		2		/* a character beyond ASCII */
#define NEEDS_KINDS		4		/* sets of these bits */
extern int	PatternNeeds(PatternKind kind, const char *folded);

/* Does a folded regular expression have no escapes with names or codes, and no flags, which may mean anything? */
extern bool PatternIsPlain(const char *folded);

/* The most that {m}, {m,} or {m,n} at p repeats; 0: it is none. *after is behind it. */
extern int	PatternRepeats(const char *p, const char *end, const char **after);

/* Behind the class at p; `end` where it is not closed */
extern const char *PatternClassEnd(const char *p, const char *end);

/* spell.c: different texts, each in memory that someone else keeps; false: there are more than fit */
typedef struct Texts
{
	int			n;
	Str			s[TEXT_MAX_SPELT];
} Texts;

extern bool TextsAdd(Texts *to, const char *data, int len);

/* Every text of a followed by every one of b, into a */
extern bool TextsFollow(Texts *a, const Texts *b);

/*
 * spell.c: the texts that a folded regular expression matches, each once, if they are few, and as good as literals: with at least three bytes, no space
 * at an end, and no two together. Returns how many of texts[TEXT_MAX_SPELT] there are, 0: it cannot be told or is no such. Memory: the current context.
 */
extern int	PatternSpell(const char *folded, Str *texts);

/*
 * factor.c: sets of texts, of each of which a folded text has one wherever the folded regular expression matches in it, spaces aside: a run of them is one in
 * these. The sets are in the order in which the texts lie in the match, and these do not overlap, but for a space. Returns how many of sets[TEXT_MAX_FACTORS] there
 * are, 0: it cannot be told or would say little. Memory: the current context.
 */
#define TEXT_MAX_FACTORS	2

typedef struct FactorSet
{
	Texts		texts;
	int			open;			/* ends at which the text's word may go on, OPEN_LEFT and OPEN_RIGHT */
	bool		words;			/* each has a word that is a whole one of the text; of two sets not the second alone */
	int			before;			/* the most bytes of a match before it; no more than TEXT_MAX_BODY is any number */
	bool		other;			/* each has a character beyond ASCII */
} FactorSet;

extern int	PatternFactors(const char *folded, bool border, FactorSet *sets);

/* matcher.c: what the library has against a folded regular expression, as PatternFault() */
extern const char *LibraryFault(const char *folded, int *at);

#endif							/* REVOPS_TEXT_PATTERN_H */
