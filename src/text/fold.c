/*
 * fold.c
 *	  One character for one, so that a position in the folded text is one in the original.
 *
 * The table of pairs is spread over pages of 256 characters when first used: 4 kB of page numbers and 1 kB for each page that has any.
 */
#include "text/fold.h"

#include "text/fold_table.h"
#include "utils/memutils.h"

#define FOLD_PAGES		(0x110000 >> 8)

static uint32 **pages = NULL;	/* NULL: all characters of that page stay */
static char ascii[128];

static void
MakePages(void)
{
	uint32	  **fresh = MemoryContextAllocZero(TopMemoryContext, FOLD_PAGES * sizeof(uint32 *));

	for (int i = 0; i < 128; i++)
		ascii[i] = (char) i;
	for (int i = 0; i < lengthof(fold_pairs); i++)
	{
		uint32		from = fold_pairs[i][0];
		uint32	   *page = fresh[from >> 8];

		if (page == NULL)
		{
			page = fresh[from >> 8] = MemoryContextAlloc(TopMemoryContext, 256 * sizeof(uint32));
			for (uint32 k = 0; k < 256; k++)
				page[k] = (from & ~0xFFu) + k;
		}
		page[from & 0xFF] = fold_pairs[i][1];
		if (from < 128)
			ascii[from] = (char) fold_pairs[i][1];
	}
#ifdef USE_ASSERT_CHECKING
	for (int i = 0; i < 128; i++)
		Assert(ascii[i] == (i >= 'A' && i <= 'Z' ? i + 0x20 : i >= '\t' && i <= '\r' ? ' ' : i));
#endif
	pages = fresh;
}

uint32
FoldCharacter(uint32 c)
{
	if (pages == NULL)
		MakePages();
	return c < 0x110000 && pages[c >> 8] != NULL ? pages[c >> 8][c & 0xFF] : c;
}

static inline char *
PutCharacter(char *to, uint32 c)
{
	if (c < 0x80)
		*to++ = (char) c;
	else if (c < 0x800)
	{
		*to++ = (char) (0xC0 | c >> 6);
		*to++ = (char) (0x80 | (c & 0x3F));
	}
	else if (c < 0x10000)
	{
		*to++ = (char) (0xE0 | c >> 12);
		*to++ = (char) (0x80 | (c >> 6 & 0x3F));
		*to++ = (char) (0x80 | (c & 0x3F));
	}
	else
	{
		*to++ = (char) (0xF0 | c >> 18);
		*to++ = (char) (0x80 | (c >> 12 & 0x3F));
		*to++ = (char) (0x80 | (c >> 6 & 0x3F));
		*to++ = (char) (0x80 | (c & 0x3F));
	}
	return to;
}

/* Characters of ASCII that are folded together */
#define CHUNK			16

static inline bool
IsAscii(const char *from)
{
	uint64		words[CHUNK / 8];

	memcpy(words, from, CHUNK);
	return ((words[0] | words[1]) & UINT64CONST(0x8080808080808080)) == 0;
}

/* What the table says of these, without a branch */
static inline void
FoldChunk(const char *from, char *to)
{
	unsigned char c[CHUNK];

	memcpy(c, from, CHUNK);
	for (int i = 0; i < CHUNK; i++)
	{
		unsigned char lower = c[i] | 0x20;
		unsigned char folded = (unsigned char) (c[i] - 'A') < 26 ? lower : c[i];

		c[i] = (unsigned char) (c[i] - '\t') < 5 ? ' ' : folded;
	}
	memcpy(to, c, CHUNK);
}

int
FoldText(const char *from, int n, char *to)
{
	const char *end = from + n;
	char	   *start = to;

	if (pages == NULL)
		MakePages();
	while (from < end)
	{
		unsigned char c = (unsigned char) *from;
		const unsigned char *p = (const unsigned char *) from;
		uint32		code;
		int			len;

		if (c < 0x80)
		{
			if (end - from >= CHUNK && IsAscii(from))
			{
				FoldChunk(from, to);
				from += CHUNK;
				to += CHUNK;
				continue;
			}
			*to++ = ascii[c];
			from++;
			continue;
		}
		len = Utf8Length(from, end);
		if (len == 1)
		{
			*to++ = *from++;
			continue;
		}
		code = len == 2 ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu) :
			len == 3 ? (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu) :
			(p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
		if (code < 0x110000 && pages[code >> 8] != NULL && pages[code >> 8][code & 0xFF] != code)
			to = PutCharacter(to, pages[code >> 8][code & 0xFF]);
		else
		{
			memcpy(to, from, len);
			to += len;
		}
		from += len;
	}
	return (int) (to - start);
}
