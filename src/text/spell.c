/*
 * spell.c
 *	  Regular expressions that match few texts, as these texts.
 *
 * The library finds thousands of literals for what a few hundred regular expressions cost it, so alternatives and optional parts are written out. Only
 * what means the same is: no repeats, no escapes but of punctuation, no classes but of a few characters. What would differ where a text has
 * runs of spaces (literals take them for one) stays a regular expression.
 */
#include "text/pattern.h"

#include "text/fold.h"

#define MAX_CHARACTERS	16		/* of a class */
#define MAX_DEPTH		50
#define MIN_SPELT		3		/* bytes; shorter ones hit too often */

typedef struct Spelling
{
	const char *p;
	const char *end;
	int			depth;
} Spelling;

static bool Alternatives(Spelling *s, Texts *out);

bool
TextsAdd(Texts *to, const char *data, int len)
{
	for (int i = 0; i < to->n; i++)
		if (to->s[i].len == len && memcmp(to->s[i].data, data, len) == 0)
			return true;
	if (to->n == TEXT_MAX_SPELT)
		return false;
	to->s[to->n++] = (Str) {data, len};
	return true;
}

bool
TextsFollow(Texts *a, const Texts *b)
{
	Texts		was = *a;

	a->n = 0;
	for (int i = 0; i < was.n; i++)
		for (int k = 0; k < b->n; k++)
		{
			int			len = was.s[i].len + b->s[k].len;
			char	   *joined = palloc(len + 1);

			memcpy(joined, was.s[i].data, was.s[i].len);
			memcpy(joined + was.s[i].len, b->s[k].data, b->s[k].len);
			joined[len] = '\0';
			if (!TextsAdd(a, joined, len))
				return false;
		}
	return true;
}

/* One character that stands for itself */
static bool
Character(Spelling *s, Texts *out)
{
	int			len = Utf8Length(s->p, s->end);

	if ((unsigned char) *s->p < ' ' || *s->p == 0x7F || (len == 1 && (unsigned char) *s->p >= 0x80) || !TextsAdd(out, s->p, len))
		return false;
	s->p += len;
	return true;
}

/* [abc], with a - first or last in it */
static bool
Class(Spelling *s, Texts *out)
{
	const char *start = ++s->p;

	while (s->p < s->end && *s->p != ']')
	{
		if (strchr("^\\[", *s->p) != NULL || (*s->p == '-' && s->p > start && s->p + 1 < s->end && s->p[1] != ']') ||
			out->n == MAX_CHARACTERS || !Character(s, out))
			return false;
	}
	return s->p < s->end && s->p++ > start;
}

/* What may be repeated: a group, a class, a character */
static bool
Part(Spelling *s, Texts *out)
{
	if (*s->p == '(')
	{
		s->p++;
		if (s->p + 1 < s->end && *s->p == '?' && s->p[1] == ':')
			s->p += 2;
		if (!Alternatives(s, out) || s->p >= s->end)
			return false;
		s->p++;
		return true;
	}
	if (*s->p == '[')
		return Class(s, out);
	if (*s->p == '\\')
		return ++s->p < s->end && strchr(".,?*+()[]{}|$^-/", *s->p) != NULL && Character(s, out);
	return strchr("*+?{}].^$", *s->p) == NULL && Character(s, out);
}

/* Up to the closing parenthesis or the end */
static bool
Alternatives(Spelling *s, Texts *out)
{
	Texts	   *one = palloc(sizeof(Texts));
	Texts	   *part = palloc(sizeof(Texts));
	bool		fine = ++s->depth <= MAX_DEPTH;

	out->n = 0;
	one->n = 0;
	TextsAdd(one, "", 0);
	while (fine && s->p < s->end && *s->p != ')')
	{
		if (*s->p == '|')
		{
			for (int i = 0; i < one->n && fine; i++)
				fine = TextsAdd(out, one->s[i].data, one->s[i].len);
			one->n = 0;
			TextsAdd(one, "", 0);
			s->p++;
			continue;
		}
		part->n = 0;
		fine = Part(s, part);
		if (fine && s->p < s->end && *s->p == '?')
		{
			s->p++;
			fine = TextsAdd(part, "", 0);
		}
		fine = fine && (s->p >= s->end || strchr("?*+{", *s->p) == NULL) && TextsFollow(one, part);
	}
	for (int i = 0; i < one->n && fine; i++)
		fine = TextsAdd(out, one->s[i].data, one->s[i].len);
	s->depth--;
	pfree(one);
	pfree(part);
	return fine;
}

int
PatternSpell(const char *folded, Str *texts)
{
	Spelling	s = {folded, folded + strlen(folded), 0};
	Texts	   *all = palloc(sizeof(Texts));
	int			n = 0;

	if (Alternatives(&s, all) && s.p == s.end)
		n = all->n;
	for (int i = 0; i < n; i++)
	{
		const char *t = all->s[i].data;
		int			len = all->s[i].len;

		if (len < MIN_SPELT || t[0] == ' ' || t[len - 1] == ' ' || memmem(t, len, "  ", 2) != NULL)
			n = 0;
		else
			texts[i] = (Str) {pnstrdup(t, len), len};
		/* what a text must have decides when it is looked for, and so which matches come first */
		if (n > 0 && PatternNeeds(PATTERN_LITERAL, texts[i].data) != PatternNeeds(PATTERN_LITERAL, texts[0].data))
			n = 0;
	}
	pfree(all);
	return n;
}
