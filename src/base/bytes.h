/*
 * bytes.h
 *	  Bytes of texts: UTF-8, eight at a time.
 */
#ifndef REVOPS_BYTES_H
#define REVOPS_BYTES_H

#include "base/base.h"

/* Ask the processor for what will be read soon */
#ifdef __GNUC__
#define Fetch(p)		__builtin_prefetch(p)
#else
#define Fetch(p)		((void) 0)
#endif

/* A byte in each of the eight */
#define EIGHT(byte)		(UINT64CONST(0x0101010101010101) * (byte))

static inline uint64
EightBytes(const char *p)
{
	uint64		bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return bytes;
}

/* How many of the eight begin no character: those of the form 10xxxxxx */
static inline int
Continuations(uint64 bytes)
{
	return (int) (((bytes >> 7 & ~bytes >> 6 & EIGHT(0x01)) * EIGHT(0x01)) >> 56);
}

/* The characters that begin in n bytes */
static inline int
Utf8Characters(const char *s, int n)
{
	int			characters = n,
				i = 0;

	for (; i + 8 <= n; i += 8)
		characters -= Continuations(EightBytes(s + i));
	for (; i < n; i++)
		characters -= ((unsigned char) s[i] & 0xC0) == 0x80;
	return characters;
}

/* The byte where character n begins, from 0 on; len: it has no more than n */
static inline int
Utf8Place(const char *s, int len, int n)
{
	int			at = 0;

	while (at + 8 <= len)
	{
		int			characters = 8 - Continuations(EightBytes(s + at));

		if (characters > n)
			break;
		n -= characters;
		at += 8;
	}
	for (; at < len; at++)
		if (((unsigned char) s[at] & 0xC0) != 0x80 && n-- == 0)
			break;
	return at;
}

#endif							/* REVOPS_BYTES_H */
