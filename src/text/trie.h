/*
 * trie.h
 *	  Texts as folded characters, and many words looked up at once at a place of one.
 */
#ifndef REVOPS_TEXT_TRIE_H
#define REVOPS_TEXT_TRIE_H

#include "base/base.h"

#include <math.h>

/* Of a text, the characters that sentiment and fields are looked for in */
#define LETTERS_MAX		20000
#define LETTERS_AHEAD	8		/* zeros behind it, so that a look at what follows needs no bound */

/* A text: folded characters, each at the place of its own in the original; zeros follow the last */
typedef struct Letters
{
	uint32	   *c;
	bool	   *capital;		/* A to Z before it was folded */
	int			n;
} Letters;

/* The folded characters of a text in the database's encoding, the first LETTERS_MAX; good until the next call */
extern Letters LettersOf(const char *s, int len);

/* The same of a text in UTF-8 */
extern Letters LettersOfUtf8(const char *utf8, int len);

/* The part of the original that characters from..to-1 are; memory: the current context */
extern text *LettersEvidence(const char *s, int len, int from, int to);

static inline bool
IsWordLetter(uint32 c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static inline bool
IsDigit(uint32 c)
{
	return c >= '0' && c <= '9';
}

static inline bool
IsHan(uint32 c)
{
	return (c >= 0x3400 && c <= 0x9FFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

typedef struct Trie Trie;

/* Memory: the current context */
extern Trie *TrieMake(void);

/* Add a word in UTF-8; a star at its end stands for any letters. A word that is there gets the new value, which is 0 or more. */
extern void TrieAdd(Trie *t, const char *utf8, int len, int value);

/* The longest word at a place: its value and end, or -1. It neither begins nor ends inside a word of a-z, 0-9. */
extern int	TrieFind(const Trie *t, const Letters *text, int at, int *end);

#endif							/* REVOPS_TEXT_TRIE_H */
