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
	bool		words;			/* looked for by its words, of which LiteralHasWords() must find one */
	uint8		open;			/* ends at which the text's word may go on, as bits; 0 of one with borders */
} Literal;

#define OPEN_LEFT		1
#define OPEN_RIGHT		2

typedef struct LiteralSet LiteralSet;

/*
 * Told of each literal that is found at [from, to); false: enough. Those that are looked for by words come first. Of these, and of the others, of two that do not
 * overlap the one that comes first in the text is told of first, and of one literal, the place that does.
 */
typedef bool (*LiteralFound) (int id, int from, int to, void *arg);

/* A set of literals, which are sorted, and copied; memory: the current context */
extern LiteralSet *LiteralSetMake(Literal *literals, int n);

/* Has a text of ASCII a word that is a whole one wherever the text is found, given the ends that are open? */
extern bool LiteralHasWords(Str text, int open);

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
