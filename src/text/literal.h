/*
 * literal.h
 *	  Many texts looked for in one at once. Knows nothing of patterns.
 */
#ifndef REVOPS_TEXT_LITERAL_H
#define REVOPS_TEXT_LITERAL_H

#include "base/base.h"

typedef struct Literal
{
	Str			text;			/* not empty */
	int			id;				/* whose it is */
	bool		border;			/* not where it begins or ends inside a word */
} Literal;

typedef struct LiteralSet LiteralSet;

/*
 * Told of each literal that is found at [from, to); false: enough. Of two literals that do not overlap, the one that comes first in the text is told of
 * first, and of one literal, the place that does.
 */
typedef bool (*LiteralFound) (int id, int from, int to, void *arg);

/* A set of literals, which are sorted, and copied; memory: the current context */
extern LiteralSet *LiteralSetMake(Literal *literals, int n);

extern void LiteralSetFind(const LiteralSet *set, const char *text, int len, LiteralFound found, void *arg);

static inline bool
IsWord(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Does [from, to) begin or end inside a word? */
static inline bool
BreaksWord(const char *text, int len, int from, int to)
{
	return (from > 0 && IsWord(text[from - 1]) && IsWord(text[from])) || (to < len && IsWord(text[to - 1]) && IsWord(text[to]));
}

#endif							/* REVOPS_TEXT_LITERAL_H */
