/*
 * factor.c
 *	  What a text must have for a regular expression to match in it.
 *
 * Most expressions have words without which they match nowhere: these are looked for as literals are, and the expression only in a text that has
 * them. That pays where literals cost next to nothing, which are those with Chinese or other letters beyond ASCII; English ones are left to the library's scan. What the words are is read off the
 * expression's form, and none are found where that is not plain. Alternatives give several words, of which a text must have one; a sequence gives
 * two such sets of words, of which it must have one after the other.
 */
#include "text/pattern.h"

#include <math.h>

#include "text/fold.h"

#define MAX_CHARACTERS	16		/* of a class */
#define MAX_RUN			32		/* texts of a sequence that are one set; rather two sets than more */

/* What is known of a part of an expression */
typedef struct Part
{
	bool		finite;
	Texts		all;			/* of a finite one: what it matches, each once */
	int			nsets;			/* else: of each of these sets, a match has one */
	Texts		sets[TEXT_MAX_FACTORS];
} Part;

typedef struct PatternReader
{
	const char *p;
	const char *end;
} PatternReader;

static void Alternatives(PatternReader *r, Part *out);

/* How often texts have one of these, roughly: a text is the rarer the longer it is. Texts of ASCII alone are no factors */
static double
Frequency(const Texts *texts)
{
	double		sum = 0;

	if (texts->n == 0)
		return HUGE_VAL;
	for (int i = 0; i < texts->n; i++)
	{
		if ((PatternNeeds(PATTERN_LITERAL, pnstrdup(texts->s[i].data, texts->s[i].len)) & NEEDS_OTHER) == 0)
			return HUGE_VAL;
		sum += pow(0.6, Min(texts->s[i].len, 30));
	}
	return sum;
}

/* The rarest of the sets; NULL: there is none */
static const Texts *
Rarest(const Part *part)
{
	const Texts *best = NULL;

	if (part->finite)
		return Frequency(&part->all) < HUGE_VAL ? &part->all : NULL;
	for (int i = 0; i < part->nsets; i++)
		if (best == NULL || Frequency(&part->sets[i]) < Frequency(best))
			best = &part->sets[i];
	return best;
}

/* A match has one of these too, behind those of the sets before: the rarest stay */
static void
Consider(Part *part, const Texts *set)
{
	int			most = 0;

	if (Frequency(set) == HUGE_VAL)
		return;
	if (part->nsets < TEXT_MAX_FACTORS)
	{
		part->sets[part->nsets++] = *set;
		return;
	}
	for (int i = 1; i < part->nsets; i++)
		if (Frequency(&part->sets[i]) > Frequency(&part->sets[most]))
			most = i;
	if (Frequency(set) >= Frequency(&part->sets[most]))
		return;
	for (int i = most; i < part->nsets - 1; i++)
		part->sets[i] = part->sets[i + 1];
	part->sets[part->nsets - 1] = *set;
}

/* A class of few characters as these; of others nothing is known */
static void
Class(PatternReader *r, Part *out)
{
	const char *start = r->p;
	const char *p = start + 1;

	out->finite = true;
	out->all.n = 0;
	for (; p < r->end && *p != ']'; p += Utf8Length(p, r->end))
		if (strchr("^\\[-", *p) != NULL || (unsigned char) *p < ' ' || out->all.n == MAX_CHARACTERS || !TextsAdd(&out->all, p, Utf8Length(p, r->end)))
			out->finite = false;
	if (out->finite && p < r->end && p > start + 1)
		r->p = p + 1;
	else
	{
		out->finite = false;
		r->p = PatternClassEnd(start, r->end);
	}
}

/* What may be repeated: a group, a class, an escape, a character. *empty: it is a place between characters */
static void
One(PatternReader *r, Part *out, bool *empty)
{
	int			len;

	*empty = false;
	out->finite = false;
	out->all.n = out->nsets = 0;
	switch (*r->p)
	{
		case '(':
			r->p += r->p[1] == '?' ? 3 : 1;
			Alternatives(r, out);
			if (r->p < r->end)
				r->p++;
			return;
		case '[':
			Class(r, out);
			return;
		case '^':
		case '$':
			*empty = true;
			r->p++;
			return;
		case '.':
			r->p++;
			return;
		case '\\':
			r->p++;
			*empty = strchr("bB", *r->p) != NULL;
			if (strchr("bBdDsSwW", *r->p) != NULL)
			{
				r->p++;
				return;
			}
			break;
	}
	len = Utf8Length(r->p, r->end);
	out->finite = TextsAdd(&out->all, r->p, len);
	r->p += len;
}

/* Up to a bar, the closing parenthesis or the end */
static void
Sequence(PatternReader *r, Part *out)
{
	Part	   *part = palloc(sizeof(Part));
	Texts	   *run = palloc(sizeof(Texts));	/* what the last parts match, one after the other */
	Texts	   *was = palloc(sizeof(Texts));

	out->finite = true;
	out->nsets = 0;
	run->n = 0;
	TextsAdd(run, "", 0);
	while (r->p < r->end && *r->p != ')' && *r->p != '|')
	{
		bool		empty,
					optional = false,
					repeated = false;

		One(r, part, &empty);
		while (r->p < r->end && (*r->p == '*' || *r->p == '+' || *r->p == '?' || *r->p == '{'))
		{
			const char *after = r->p + 1;

			if (*r->p == '{' && PatternRepeats(r->p, r->end, &after) == 0)
				break;
			/* whatever the least of a repeat is: it may be none */
			if (*r->p == '?')
				optional = true;
			else if (*r->p == '+')
				repeated = true;
			else
				optional = repeated = true;
			r->p = after;
		}
		if (empty)
		{
			out->finite = false;
			continue;
		}
		if (part->finite && !repeated && (!optional || TextsAdd(&part->all, "", 0)))
		{
			*was = *run;
			if (TextsFollow(run, &part->all) && run->n <= MAX_RUN)
				continue;
			Consider(out, was);
			*run = part->all;
		}
		else
		{
			Consider(out, run);
			if (part->finite && !optional)
				Consider(out, &part->all);
			for (int i = 0; i < part->nsets && !part->finite && !optional; i++)
				Consider(out, &part->sets[i]);
			run->n = 0;
			TextsAdd(run, "", 0);
		}
		out->finite = false;
	}
	if (out->finite)
		out->all = *run;
	else
		Consider(out, run);
	pfree(part);
	pfree(run);
	pfree(was);
}

static void
Alternatives(PatternReader *r, Part *out)
{
	Part	   *one = palloc(sizeof(Part));
	Texts	   *all = palloc(sizeof(Texts));	/* of all alternatives, what each matches, */
	Texts	   *some = palloc(sizeof(Texts));	/* and its rarest set */
	bool		finite = true,
				known = true;

	all->n = some->n = 0;
	Sequence(r, out);
	if (r->p < r->end && *r->p == '|')
	{
		*one = *out;
		for (;;)
		{
			const Texts *rarest = Rarest(one);

			finite &= one->finite;
			for (int i = 0; finite && i < one->all.n; i++)
				finite = TextsAdd(all, one->all.s[i].data, one->all.s[i].len);
			known &= rarest != NULL;
			for (int i = 0; known && i < rarest->n; i++)
				known = TextsAdd(some, rarest->s[i].data, rarest->s[i].len);
			if (r->p >= r->end || *r->p != '|')
				break;
			r->p++;
			Sequence(r, one);
		}
		out->finite = finite;
		out->all = *all;
		out->nsets = 0;
		if (known && !finite)
			Consider(out, some);
	}
	pfree(one);
	pfree(all);
	pfree(some);
}

/* A set with one space for each run of them */
static void
PackSet(const Texts *set, Texts *packed)
{
	packed->n = 0;
	for (int i = 0; i < set->n; i++)
	{
		char	   *text = PatternPacked(pnstrdup(set->s[i].data, set->s[i].len));

		TextsAdd(packed, text, (int) strlen(text));
	}
}

int
PatternFactors(const char *folded, Texts *sets)
{
	PatternReader r = {folded, folded + strlen(folded)};
	Part	   *all = palloc(sizeof(Part));
	int			n = 0;

	if (!PatternIsPlain(folded))
		return 0;
	Alternatives(&r, all);
	if (r.p < r.end)
		return 0;
	if (all->finite && Rarest(all) != NULL)
		PackSet(&all->all, &sets[n++]);
	for (int i = 0; i < all->nsets && !all->finite; i++)
		PackSet(&all->sets[i], &sets[n++]);
	return n;
}
