/*
 * fold.h
 *	  Texts as patterns see them: case, full and half width, traditional and simplified Chinese folded, character for character.
 */
#ifndef REVOPS_TEXT_FOLD_H
#define REVOPS_TEXT_FOLD_H

#include "base/base.h"

/* Raise this when fold_table.h or a change of the compiled form makes stored forms unfit */
#define TEXT_FORMAT			5

/* A folded text is at most this many times as long, in bytes (plus one): a character of one byte never grows, one of two at most to three */
#define FOLD_GROWTH			2

/* What a character becomes */
extern uint32 FoldCharacter(uint32 c);

/* Fold UTF-8; what is none stays as it is, byte for byte. `to` has room for FOLD_GROWTH * n bytes. Returns the length. */
extern int	FoldText(const char *from, int n, char *to);

/* Bytes of the character at p, 1 where it is none in UTF-8 */
static inline int
Utf8Length(const char *p, const char *end)
{
	unsigned char c = (unsigned char) *p;
	int			n = c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 1;

	if (n > end - p)
		return 1;
	for (int i = 1; i < n; i++)
		if (((unsigned char) p[i] & 0xC0) != 0x80)
			return 1;
	return n;
}

#endif							/* REVOPS_TEXT_FOLD_H */
