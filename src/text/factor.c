/*
 * factor.c
 *	  What a text must have for a regular expression to match in it.
 *
 * Most expressions have words without which they match nowhere: these are looked for as literals are, and the expression only where a text has
 * them. What the words are is read off the expression's form, and none are found where that is not plain. Alternatives give several words, of which a
 * text must have one; a sequence gives two such sets of words, of which it must have one after the other.
 *
 * Words are found faster than parts of words, so it is also read off whether a factor may begin or end inside a word: at the ends of an expression with
 * borders it does not, next to what may be a letter it may.
 */
#include "text/pattern.h"

#include <math.h>

#include "text/fold.h"
#include "text/literal.h"

#define MAX_CHARACTERS	16		/* of a class */
#define MAX_RUN			32		/* texts of a sequence that are one set; rather two sets than more */
#define MIN_GRAM		3		/* bytes of ASCII that may be anywhere in a word ... */
#define GRAM_COST		4		/* ... and how much more frequent these are taken for */
#define RARE			0.05

/* What lies next to a text of a set: nothing of a word, what lies next to the sequence that it begins or ends, or anything */
typedef enum End
{
	END_CLOSED,
	END_OF_SEQUENCE,
	END_OPEN
} End;

typedef struct Set
{
	Texts		texts;
	End			left;
	End			right;
	int			before;			/* the most bytes of the sequence before it, at most TEXT_MAX_BODY */
	bool		words;			/* each has a word that is a whole one of the text */
	double		frequency;		/* how often texts have one of these, roughly; HUGE_VAL: too often, or it cannot be told */
} Set;

/* What is known of a part of an expression */
typedef struct Part
{
	int			width;			/* the most bytes that it matches, at most TEXT_MAX_BODY */
	bool		finite;
	Texts		all;			/* of a finite one: what it matches, each once */
	int			nsets;			/* else: of each of these sets, a match has one */
	Set			sets[TEXT_MAX_FACTORS];
} Part;

typedef struct PatternReader
{
	const char *p;
	const char *end;
	bool		border;
} PatternReader;

static void Alternatives(PatternReader *r, Part *out);

/* The ends of a set's texts at which a word may go on, as bits; what is around the expression is known by its border */
static int
OpenEnds(const Set *set, bool border)
{
	return (set->left == END_OPEN || (set->left == END_OF_SEQUENCE && !border) ? OPEN_LEFT : 0) |
		(set->right == END_OPEN || (set->right == END_OF_SEQUENCE && !border) ? OPEN_RIGHT : 0);
}

/* How often a text is found where words are not looked for, roughly: it is the rarer the longer it is; a few letters of ASCII are no factor */
static double
GramFrequency(Str text, int open)
{
	/* of what begins with a word only the beginnings of words are looked at */
	bool		begins = text.len > 0 && IsWord(text.data[0]) && (open & OPEN_LEFT) == 0;
	bool		other = false,
				word = false;

	for (int i = 0; i < text.len; i++)
	{
		other |= (unsigned char) text.data[i] >= 0x80;
		word |= IsWord(text.data[i]) || text.data[i] == ' ';
	}
	return text.len == 0 || (!other && word && text.len < (begins ? 2 : MIN_GRAM)) ? HUGE_VAL : pow(0.6, Min(text.len, 30)) * (other || begins ? 1 : GRAM_COST);
}

/* Say how frequent a set is, once its texts or ends have changed */
static void
Rate(Set *set, bool border)
{
	int			open = OpenEnds(set, border);

	set->words = true;
	for (int i = 0; i < set->texts.n && set->words; i++)
		set->words = LiteralHasWords(set->texts.s[i], open);
	set->frequency = set->texts.n == 0 ? HUGE_VAL : 0;
	for (int i = 0; i < set->texts.n; i++)
		set->frequency += set->words ? pow(0.6, Min(set->texts.s[i].len, 30)) : GramFrequency(set->texts.s[i], open);
}

/* The rarest of the sets, into *best; false: there is none */
static bool
Rarest(const Part *part, bool border, Set *best)
{
	best->frequency = HUGE_VAL;
	if (part->finite)
	{
		best->texts = part->all;
		best->left = best->right = END_OF_SEQUENCE;
		best->before = 0;
		Rate(best, border);
	}
	for (int i = 0; i < part->nsets && !part->finite; i++)
		if (part->sets[i].frequency < best->frequency)
			*best = part->sets[i];
	return best->frequency < HUGE_VAL;
}

/* Is the first or last character of each text, the empty ones aside, none of a word's? *empty: there are such */
static bool
NoWordAt(const Texts *texts, bool first, bool *empty)
{
	*empty = texts->n == 0;
	for (int i = 0; i < texts->n; i++)
	{
		const Str  *t = &texts->s[i];

		if (t->len == 0)
			*empty = true;
		else if (IsWord(t->data[first ? 0 : t->len - 1]))
			return false;
	}
	return true;
}

/* A match has one of these too, behind those of the sets before: the rarest stay */
static void
Consider(Part *part, const Texts *texts, End left, End right, int before, bool border)
{
	int			most = 0;
	bool		empty;
	Set			set;

	set.texts = *texts;
	set.before = Min(before, TEXT_MAX_BODY);
	set.left = NoWordAt(texts, true, &empty) && !empty ? END_CLOSED : left;
	set.right = NoWordAt(texts, false, &empty) && !empty ? END_CLOSED : right;
	Rate(&set, border);
	for (int i = 1; i < part->nsets; i++)
		if (part->sets[i].frequency > part->sets[most].frequency)
			most = i;
	if (set.frequency < HUGE_VAL && part->nsets < TEXT_MAX_FACTORS)
		part->sets[part->nsets++] = set;
	else if (part->nsets == TEXT_MAX_FACTORS && set.frequency < part->sets[most].frequency)
	{
		for (int i = most; i < part->nsets - 1; i++)
			part->sets[i] = part->sets[i + 1];
		part->sets[part->nsets - 1] = set;
	}
}

/* The right end of what ends where this part begins */
static End
EndBefore(const Part *part)
{
	bool		empty;

	if (!part->finite || !NoWordAt(&part->all, true, &empty))
		return END_OPEN;
	return empty ? END_OF_SEQUENCE : END_CLOSED;
}

/* The left end of what begins behind these texts, of which the left end is known */
static End
EndBehind(const Texts *texts, End left)
{
	bool		empty;

	if (texts->n == 1 && texts->s[0].len == 0)
		return left;
	return NoWordAt(texts, false, &empty) && !empty ? END_CLOSED : END_OPEN;
}

/* A class of few characters as these, with a - first or last in it; of others nothing is known */
static void
Class(PatternReader *r, Part *out)
{
	const char *start = r->p;
	const char *p = start + 1;

	out->finite = true;
	out->all.n = 0;
	out->width = 1;
	for (; p < r->end && *p != ']'; p += Utf8Length(p, r->end))
		if (strchr("^\\[", *p) != NULL || (*p == '-' && p > start + 1 && p + 1 < r->end && p[1] != ']') || (unsigned char) *p < ' ' ||
			out->all.n == MAX_CHARACTERS || !TextsAdd(&out->all, p, Utf8Length(p, r->end)))
			out->finite = false;
	if (out->finite && p < r->end && p > start + 1)
		r->p = p + 1;
	else
	{
		out->finite = false;
		r->p = PatternClassEnd(start, r->end);
	}
	/* nothing but ASCII, if it says so without an escape */
	for (p = start; p < r->p; p++)
		if ((unsigned char) *p >= 0x80 || *p == '\\' || *p == '^')
			out->width = 4;
}

/* What may be repeated: a group, a class, an escape, a character. *empty: it is a place between characters */
static void
One(PatternReader *r, Part *out, bool *empty)
{
	int			len;

	*empty = false;
	out->finite = false;
	out->all.n = out->nsets = 0;
	out->width = 4;
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
	len = out->width = Utf8Length(r->p, r->end);
	out->finite = TextsAdd(&out->all, r->p, len);
	r->p += len;
}

/* Up to a bar, the closing parenthesis or the end */
static void
Sequence(PatternReader *r, Part *out)
{
	Part	   *part = palloc(sizeof(Part));
	Texts	   *run = palloc(sizeof(Texts));	/* what the last parts match, one after the other, */
	End			left = END_OF_SEQUENCE; /* and what lies before that, */
	int			begin = 0;		/* of so many bytes */
	int			width = 0;
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
		End			before;

		One(r, part, &empty);
		while (r->p < r->end && (*r->p == '*' || *r->p == '+' || *r->p == '?' || *r->p == '{'))
		{
			const char *after = r->p + 1;

			int			times = 1;

			if (*r->p == '{' && (times = PatternRepeats(r->p, r->end, &after)) == 0)
				break;
			if (*r->p == '*' || *r->p == '+' || after[-2] == ',')
				times = TEXT_MAX_BODY;
			part->width = (int) Min((int64) part->width * times, TEXT_MAX_BODY);
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
		if (part->finite && optional && !TextsAdd(&part->all, "", 0))
			part->finite = false;
		before = EndBefore(part);
		width = Min(width + part->width, TEXT_MAX_BODY);
		for (int i = 0; i < out->nsets; i++)
			if (out->sets[i].right == END_OF_SEQUENCE && before != END_OF_SEQUENCE)
			{
				out->sets[i].right = before;
				Rate(&out->sets[i], r->border);
			}
		if (part->finite && !repeated)
		{
			*was = *run;
			if (TextsFollow(run, &part->all) && run->n <= MAX_RUN)
				continue;
			Consider(out, was, left, before, begin, r->border);
			left = EndBehind(was, left);
			begin = width - part->width;
			*run = part->all;
		}
		else
		{
			End			behind = repeated ? END_OPEN : EndBehind(run, left);

			Consider(out, run, left, before, begin, r->border);
			if (part->finite && !optional)
				Consider(out, &part->all, END_OPEN, END_OPEN, width, r->border);
			for (int i = 0; i < part->nsets && !part->finite && !optional; i++)
			{
				const Set  *s = &part->sets[i];

				Consider(out, &s->texts, s->left == END_OF_SEQUENCE ? behind : s->left,
						 s->right == END_OF_SEQUENCE && repeated ? END_OPEN : s->right, repeated ? width : width - part->width + s->before, r->border);
			}
			left = END_OPEN;
			begin = width;
			run->n = 0;
			TextsAdd(run, "", 0);
		}
		out->finite = false;
	}
	if (out->finite)
		out->all = *run;
	else
		Consider(out, run, left, END_OF_SEQUENCE, begin, r->border);
	out->width = width;
	pfree(part);
	pfree(run);
	pfree(was);
}

static void
Alternatives(PatternReader *r, Part *out)
{
	Part	   *one = palloc(sizeof(Part));
	Texts	   *all = palloc(sizeof(Texts));	/* of all alternatives, what each matches, */
	Set		   *some = palloc(sizeof(Set)); /* and its rarest set */
	Set		   *rarest = palloc(sizeof(Set));
	bool		finite = true,
				known = true;
	int			before = 0,
				width = 0;

	all->n = some->texts.n = 0;
	some->left = some->right = END_CLOSED;
	Sequence(r, out);
	if (r->p < r->end && *r->p == '|')
	{
		*one = *out;
		for (;;)
		{
			finite &= one->finite;
			for (int i = 0; finite && i < one->all.n; i++)
				finite = TextsAdd(all, one->all.s[i].data, one->all.s[i].len);
			known &= Rarest(one, r->border, rarest);
			for (int i = 0; known && i < rarest->texts.n; i++)
				known = TextsAdd(&some->texts, rarest->texts.s[i].data, rarest->texts.s[i].len);
			some->left = Max(some->left, rarest->left);
			some->right = Max(some->right, rarest->right);
			before = Max(before, rarest->before);
			width = Max(width, one->width);
			if (r->p >= r->end || *r->p != '|')
				break;
			r->p++;
			Sequence(r, one);
		}
		out->finite = finite;
		out->width = width;
		out->all = *all;
		out->nsets = 0;
		if (known && !finite)
			Consider(out, &some->texts, some->left, some->right, before, r->border);
	}
	pfree(one);
	pfree(all);
	pfree(some);
	pfree(rarest);
}

/* A set with one space for each run of them */
static void
PackSet(const Set *set, bool border, FactorSet *packed)
{
	packed->texts.n = 0;
	packed->open = OpenEnds(set, border);
	packed->words = set->words;
	packed->before = set->before;
	packed->other = true;
	for (int i = 0; i < set->texts.n; i++)
	{
		char	   *text = PatternPacked(pnstrdup(set->texts.s[i].data, set->texts.s[i].len));

		TextsAdd(&packed->texts, text, (int) strlen(text));
		packed->other &= (PatternNeeds(PATTERN_LITERAL, text) & NEEDS_OTHER) != 0;
	}
}

int
PatternFactors(const char *folded, bool border, FactorSet *sets)
{
	PatternReader r = {folded, folded + strlen(folded), border};
	Part	   *all = palloc(sizeof(Part));
	Set		   *rarest = palloc(sizeof(Set));

	if (!PatternIsPlain(folded))
		return 0;
	Alternatives(&r, all);
	if (r.p < r.end || !Rarest(all, border, rarest))
		return 0;

	/*
	 * words are looked for first, so parts of words are found after them only; and a second set costs more than it saves where one is
	 * rare
	 */
	if (rarest->frequency > RARE && !all->finite && all->nsets == 2 && all->sets[0].words >= all->sets[1].words && Max(all->sets[0].frequency, all->sets[1].frequency) < HUGE_VAL)
	{
		PackSet(&all->sets[0], border, &sets[0]);
		PackSet(&all->sets[1], border, &sets[1]);
		return 2;
	}
	PackSet(rarest, border, &sets[0]);
	return 1;
}
