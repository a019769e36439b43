/*
 * feature.c
 *	  A text's features: hashes of words, neighbours, pairs of words, and runs of characters; and what a lexicon of feeling says.
 *
 * The text is folded first: compatibility forms (full and half width) to the plain ones, upper case to lower, all that is neither letter
 * nor digit to one space. A Chinese or Japanese character is a word of its own, so that no segmenter is needed; other words are runs
 * of letters and digits. Runs of characters go across words. What follows the first LEARN_MAX_CHARS characters does not count.
 *
 * Where places are asked for, each feature has those of its characters in the text, for evidence. Then compatibility forms are taken one
 * character at a time, so that each has a place; the features of a text that composes them otherwise differ a little.
 */
#include "learn/learn.h"

#include "common/unicode_norm.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

FeelingReader feeling_reader = NULL;

static inline uint32
Mix(uint32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ (h >> 16);
}

static inline bool
Ideograph(uint32 c)
{
	return c >= 0x2E80 && ((c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
						   (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF));
}

/* A letter, a digit, or part of one; what is beyond ASCII is one unless it is known as punctuation, space or control. */
static inline bool
WordChar(uint32 c)
{
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
	if (c < 0xC0)
		return c == 0xAA || c == 0xB5 || c == 0xBA;
	return !(c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c <= 0x206F) || (c >= 0x3000 && c <= 0x3004) || (c >= 0x3008 && c <= 0x3020) ||
			 c == 0x3030 || c == 0x30FB || (c >= 0xFE10 && c <= 0xFE6F) || c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFF));
}

static inline uint32
Lower(uint32 c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if (c < 0xC0 || c > 0x52F)
		return c;
	if (c <= 0xDE)
		return c == 0xD7 ? c : (c <= 0xDE ? c + 32 : c);
	if (c < 0x100)
		return c;
	if (c <= 0x137 || (c >= 0x14A && c <= 0x177))
		return c == 0x130 ? 'i' : c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
		return c & 1 ? c + 1 : c;
	if (c >= 0x391 && c <= 0x3A9)
		return c + 32;
	if (c >= 0x410 && c <= 0x42F)
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	if ((c >= 0x460 && c <= 0x481) || c >= 0x48A)
		return c >= 0x4C0 && c <= 0x4CF ? c : c | 1;
	return c;
}

/* Compatibility forms fold to plain ones; most texts have none but full width, which needs no table. */
static inline bool
NeedsNormalizing(uint32 c)
{
	return c >= 0xA0 && !(c >= 0xC0 && c <= 0xFF) && !(c >= 0x2010 && c <= 0x2027) && !(c >= 0x3000 && c <= 0x303F) &&
		!(c >= 0x3041 && c <= 0x3096) && !(c >= 0x30A1 && c <= 0x30FA) && !(c >= 0x3400 && c <= 0x9FFF) &&
		!(c >= 0xFF01 && c <= 0xFF5E) && !(c >= 0x391 && c <= 0x3C9) && !(c >= 0x400 && c <= 0x45F) && !(c >= 0xAC00 && c <= 0xD7A3);
}

static void
Reserve(uint32 **array, int *size, int n)
{
	if (n <= *size)
		return;
	n = Max(n, *size * 2);
	n = Max(n, 256);
	*array = *array == NULL ? palloc(n * sizeof(uint32)) : repalloc(*array, n * sizeof(uint32));
	*size = n;
}

static inline void
AddChar(Features *f, uint32 c)
{
	if (c >= 0xFF01 && c <= 0xFF5E)
		c -= 0xFEE0;
	c = WordChar(c) ? Lower(c) : ' ';
	if (c != ' ' || f->chars[f->nchars - 1] != ' ')
		f->chars[f->nchars++] = c;
}

/* The text's code points, folded, each with the number of the character that it comes from. */
static void
FoldPlaces(Features *f, const char *utf8, int len)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;

	for (int i = 0; p < end && i < LEARN_MAX_CHARS; i++, p += pg_utf_mblen(p))
	{
		pg_wchar	one[2] = {0, 0};
		pg_wchar   *norm = one;

		if (pg_utf_mblen(p) > end - p)
			break;
		one[0] = utf8_to_unicode(p);
		if (NeedsNormalizing(one[0]))
			norm = unicode_normalize(UNICODE_NFKC, one);
		for (int k = 0; norm[k] != 0 && f->nchars < LEARN_MAX_CHARS; k++)
		{
			int			before = f->nchars;

			AddChar(f, norm[k]);
			if (f->nchars > before)
				f->place[before] = i;
		}
		if (norm != one)
			pfree(norm);
	}
	if (f->chars[f->nchars - 1] != ' ')
		f->chars[f->nchars++] = ' ';
}

/* The text's code points, folded, with one space before and after. */
static void
Fold(Features *f, const char *utf8, int len)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;
	bool		normalize = false;
	int			n = 0;

	Reserve(&f->chars, &f->chars_size, Min(len, LEARN_MAX_CHARS) + 3);
	f->nchars = 0;
	f->chars[f->nchars++] = ' ';
	if (f->places)
	{
		/* one character may become many */
		Reserve(&f->chars, &f->chars_size, LEARN_MAX_CHARS + 3);
		Reserve(&f->place, &f->place_size, LEARN_MAX_CHARS + 3);
		FoldPlaces(f, utf8, len);
		return;
	}
	while (p < end && n < LEARN_MAX_CHARS)
	{
		uint32		c = *p;
		int			l = 1;

		if (c >= 0x80)
		{
			l = pg_utf_mblen(p);
			if (l > end - p)
				break;
			c = utf8_to_unicode(p);
			if (NeedsNormalizing(c))
			{
				normalize = true;
				break;
			}
		}
		AddChar(f, c);
		p += l;
		n++;
	}
	if (normalize)
	{
		pg_wchar   *raw;
		pg_wchar   *norm;
		int			k = 0;

		n = Min(len, LEARN_MAX_CHARS);
		raw = palloc((n + 1) * sizeof(pg_wchar));
		for (p = (const unsigned char *) utf8; p < end && k < n; p += pg_utf_mblen(p))
		{
			if (pg_utf_mblen(p) > end - p)
				break;
			raw[k++] = utf8_to_unicode(p);
		}
		raw[k] = 0;
		norm = unicode_normalize(UNICODE_NFKC, raw);
		for (k = 0; norm[k] != 0 && k < LEARN_MAX_CHARS;)
			k++;
		Reserve(&f->chars, &f->chars_size, k + 3);
		f->nchars = 1;
		for (int i = 0; i < k; i++)
			AddChar(f, norm[i]);
		pfree(norm);
		pfree(raw);
	}
	if (f->chars[f->nchars - 1] != ' ')
		f->chars[f->nchars++] = ' ';
}

/* A hash for each word. */
static void
Words(Features *f)
{
	Reserve(&f->word, &f->words_size, f->nchars);
	if (f->places)
		Reserve(&f->word_at, &f->word_at_size, f->nchars);
	f->nwords = 0;
	for (int i = 1; i < f->nchars;)
	{
		uint32		h = 0x9E3779B9;

		if (f->chars[i] == ' ')
		{
			i++;
			continue;
		}
		if (f->places)
			f->word_at[f->nwords] = i;
		if (Ideograph(f->chars[i]))
			h = (h ^ f->chars[i++]) * 0x01000193;
		else
			for (; f->chars[i] != ' ' && !Ideograph(f->chars[i]); i++)
				h = (h ^ f->chars[i]) * 0x01000193;
		f->word[f->nwords++] = Mix(h);
	}
}

/* The features of a text, in f->hash, and with places their extents in f->extent. */
static pg_attribute_always_inline void
Extract(Features *f, const FeatureKinds *kinds, const char *utf8, int len, const bool places)
{
	int			n = 0;
	int			paired = 0;
	uint32		first[LEARN_MAX_PAIRED];
	int			first_at[LEARN_MAX_PAIRED];

#define PUT(h, kind, a, b) \
	do { \
		if (places) \
			f->extent[n] = (FeatureExtent) {kind, a, b}; \
		f->hash[n++] = (h); \
	} while (0)

	f->places = places;
	Fold(f, utf8, len);
	f->n = 0;
	f->feelings = 0;
	if (f->nchars < 2)
		return;
	CHECK_FOR_INTERRUPTS();
	Words(f);
	Reserve(&f->hash, &f->size, 2 * f->nwords + 1 + LEARN_MAX_PAIRED * (LEARN_MAX_PAIRED - 1) / 2 +
			Max(0, kinds->char_max - kinds->char_min + 1) * f->nchars + LEARN_MAX_FELT);
	if (places)
	{
		if (f->extent != NULL)
			pfree(f->extent);
		f->extent = palloc(f->size * sizeof(FeatureExtent));
	}

	if (kinds->words >= 1)
		for (int i = 0; i < f->nwords; i++)
			PUT(f->word[i], EXTENT_WORDS, i, i);
	if (kinds->words >= 2)
	{
		uint32		before = 0x51ED270B;

		for (int i = 0; i <= f->nwords; i++)
		{
			uint32		w = i < f->nwords ? f->word[i] : 0x2545F491;

			PUT(Mix(before * 31 + w + 0x7F4A7C15), EXTENT_WORDS, i - 1, i);
			before = w;
		}
	}
	if (kinds->also & FEATURE_PAIRS)
	{
		for (int i = 0; i < f->nwords && paired < LEARN_MAX_PAIRED; i++)
		{
			int			j = 0;

			while (j < paired && first[j] != f->word[i])
				j++;
			if (j == paired)
			{
				first_at[paired] = i;
				first[paired++] = f->word[i];
			}
		}
		for (int i = 0; i < paired; i++)
			for (int j = i + 1; j < paired; j++)
			{
				uint32		a = Min(first[i], first[j]);
				uint32		b = Max(first[i], first[j]);

				PUT(Mix(a * 0x9E3779B1 + b + 0x68E31DA4), EXTENT_WORDS, first_at[i], first_at[j]);
			}
	}
	if (kinds->char_max > 0)
		for (int i = 0; i < f->nchars; i++)
		{
			int			most = Min(kinds->char_max, f->nchars - i);
			uint32		h = 0x811C9DC5;

			for (int k = 0; k < most; k++)
			{
				h = (h ^ f->chars[i + k]) * 0x01000193;
				h ^= h >> 15;
				if (k + 1 >= kinds->char_min)
					PUT(Mix(h + (uint32) k * 0x3C6EF372), EXTENT_RUN, i, i + k);
			}
		}
	if ((kinds->also & FEATURE_FEELING) && feeling_reader != NULL)
	{
		uint8		say[LEARN_MAX_FELT];

		f->feelings = feeling_reader(utf8, len, say, LEARN_MAX_FELT);
		for (int i = 0; i < f->feelings; i++)
			PUT(FEELING_HASH + say[i], EXTENT_WORDS, -1, -1);
	}
	f->n = n;
#undef PUT
}

/* utf8 is valid UTF-8. */
void
FeaturesExtract(Features *f, const FeatureKinds *kinds, const char *utf8, int len)
{
	Extract(f, kinds, utf8, len, false);
}

void
FeaturesExtractPlaces(Features *f, const FeatureKinds *kinds, const char *utf8, int len)
{
	Extract(f, kinds, utf8, len, true);
}

void
FeaturesFree(Features *f)
{
	if (f->hash)
		pfree(f->hash);
	if (f->chars)
		pfree(f->chars);
	if (f->word)
		pfree(f->word);
	if (f->place)
		pfree(f->place);
	if (f->word_at)
		pfree(f->word_at);
	if (f->extent)
		pfree(f->extent);
	memset(f, 0, sizeof(Features));
}
