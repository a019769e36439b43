/*
 * number_en.c
 *	  Numbers in digits with the scales of English, and in English words: 25k, 3 hundred thousand, twenty-five thousand, one point five million.
 */
#include "text/amount.h"

/* Below a hundred: twenty-five */
static bool
SmallWord(const Letters *t, int at, double *value, int *end)
{
	static const char *const words[] = {
		"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
		"seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"
	};

	for (int k = 0; k < lengthof(words); k++)
		if ((uint32) words[k][0] == t->c[at] && WordAt(t, at, words[k], end))
		{
			double		ones;
			int			after;

			*value = k <= 20 ? k : (k - 18) * 10;
			if (k >= 20 && (t->c[*end] == '-' || t->c[*end] == ' ') && SmallWord(t, *end + 1, &ones, &after) && ones > 0 && ones < 10)
			{
				*value += ones;
				*end = after;
			}
			return true;
		}
	return false;
}

bool
WordGroup(const Letters *t, int at, double *value, int *end)
{
	double		rest;
	int			i;

	if (WordAt(t, at, "a hundred", end))
		*value = 100;
	else if (!SmallWord(t, at, value, end))
		return false;
	else if ((t->c[*end] == ' ' || t->c[*end] == '-') && WordAt(t, *end + 1, "hundred", &i))
	{
		*value *= 100;
		*end = i;
	}
	else
		return true;
	i = SkipSpaces(t, *end);
	if (WordAt(t, i, "and ", &i) || i > *end)
		if (SmallWord(t, i, &rest, &i))
		{
			*value += rest;
			*end = i;
		}
	return true;
}

/* "point five" after a number in words or digits */
static bool
WordPoint(const Letters *t, int at, double *value, int *end)
{
	double		place = 0.1;
	double		d;
	int			i;
	int			n = 0;

	if (!WordAt(t, at, " point ", &i))
		return false;
	for (; n < 4; n++, place /= 10)
	{
		if (IsDigit(t->c[i]) && !IsDigit(t->c[i + 1]))
			d = t->c[i++] - '0';
		else if (!SmallWord(t, i, &d, &i) || d > 9)
			break;
		*value += d * place;
		*end = i;
		if (t->c[i] == ' ')
			i++;
	}
	return n > 0;
}

double
Scales(const Letters *t, int at, bool money, bool *han, int *end)
{
	static const struct
	{
		const char *word;
		double		value;
	}			scales[] = {
		{"hundred", 100}, {"thousand", 1e3}, {"grand", 1e3}, {"lakh", 1e5}, {"million", 1e6}, {"mil", 1e6}, {"mio", 1e6}, {"crore", 1e7}, {"billion", 1e9},
		{"trillion", 1e12}, {"mm", 1e6}, {"mn", 1e6}, {"bn", 1e9}, {"k", 1e3}, {"m", 1e6}, {"w", 1e4}
	};
	double		v = 1;
	int			i = at;
	int			k;

	*end = at;
	/* 80个w, 30多w */
	if ((t->c[at] == 0x4E2A || AndMore(t->c[at])) && (t->c[at + 1] == 'w' || t->c[at + 1] == 'k'))
		i++;
	for (;;)
	{
		int			from = SkipSpaces(t, i);

		if (t->c[from] == '-' && from == i)
			from++;
		for (k = 0; k < lengthof(scales); k++)
		{
			bool		word = strlen(scales[k].word) > 2;

			if ((uint32) scales[k].word[0] != t->c[from] || !WordAt(t, from, scales[k].word, &i))
				continue;
			if (!word && ((v > 1 && v != 100) || (from > at && (t->c[from - 1] == '-' || !(t->capital[from] || money || t->c[from] == 'k' || t->c[from] == 'w')))))
				continue;
			break;
		}
		if (k == lengthof(scales) || v * scales[k].value > 1e12)
			return v;
		v *= scales[k].value;
		*han |= t->c[i - 1] == 'w';
		*end = i;
	}
}

/* Parts and a few of a large number: half a million, a couple hundred thousand */
static bool
PartOfScale(const Letters *t, int at, Number *n)
{
	static const struct
	{
		const char *word;
		double		value;
	}			parts[] = {
		{"half a ", 0.5}, {"half-a-", 0.5}, {"a half ", 0.5}, {"half ", 0.5}, {"a quarter of a ", 0.25}, {"a quarter ", 0.25}, {"quarter of a ", 0.25}, {"quarter ", 0.25},
		{"three quarters of a ", 0.75}, {"three-quarters of a ", 0.75}, {"a couple of ", 2}, {"a couple ", 2}, {"couple of ", 2}, {"couple ", 2}
	};
	bool		han = false;
	int			i;

	for (int p = 0; p < lengthof(parts); p++)
		if ((uint32) parts[p].word[0] == t->c[at] && WordAt(t, at, parts[p].word, &i) && t->c[i] != ' ')
		{
			double		scale = Scales(t, i, false, &han, &n->end);

			if (scale < (parts[p].value < 1 ? 1000 : 100) || n->end < i + 3)
				continue;
			n->value = parts[p].value * scale;
			return n->scaled = true;
		}
	return false;
}

/* Digits of which the last group stands behind a comma, as in 1,5 million: only before a scale that leaves no doubt. *unread: before another one. */
static bool
DecimalComma(const Letters *t, int at, double *value, bool *unread, int *end)
{
	bool		han = false;
	double		scale;
	int			i = at + 1;
	int			after;

	*unread = false;
	if (t->c[at] != ',' || !IsDigit(t->c[i]))
		return false;
	while (i < t->n && IsDigit(t->c[i]))
		i++;
	scale = Scales(t, i, true, &han, &after);
	if (i - at > 3 || (scale < 1e3 && !HanFollows(t, i)))
		return false;
	*unread = i - at > 2 || scale < 1e6;
	*value += (t->c[at + 1] - '0') * 0.1;
	*end = i;
	return true;
}

/* 50 000: groups of three, which only a currency makes one number */
static void
SpacedDigits(const Letters *t, int at, bool money, double *value, int *end)
{
	double		v = *value;
	int			i = *end;
	int			after;

	if (*end - at > 3)
		return;
	while (t->c[i] == ' ' && IsDigit(t->c[i + 1]) && IsDigit(t->c[i + 2]) && IsDigit(t->c[i + 3]) && !IsWordLetter(t->c[i + 4]) && v < 1e12)
	{
		v = v * 1000 + (t->c[i + 1] - '0') * 100 + (t->c[i + 2] - '0') * 10 + (t->c[i + 3] - '0');
		i += 4;
	}
	if (i == *end || !(money ? !Counted(t, i) : CurrencyAfter(t, SkipSpaces(t, i), &after) != NULL))
		return;
	*value = v;
	*end = i;
}

/* A number with the scales that follow it; of one with smaller parts, one of these */
typedef struct Part
{
	double		value;
	double		scale;			/* 1: none */
	int			plain;			/* of digits alone: how many, else 0 */
	bool		han;
	int			end;
} Part;

/* two thirds of [a million], 3 quarters of one */
static bool
OfFraction(const Letters *t, int at)
{
	int			i = at - 5;
	int			end;

	if (i < 3 || !WordAt(t, i + 1, " of ", &end))
		return false;
	i -= t->c[i] == 's';
	return (t->c[i] == 'd' && t->c[i - 1] == 'r') || (t->c[i] == 'h' && t->c[i - 1] == 't') || (t->c[i] == 'r' && t->c[i - 1] == 'e' && t->c[i - 2] == 't');
}

/* The digits or words of a part. What is no number is passed over: a version, 1.500 that may be a thousand times as much. */
static NumberKind
Figures(const Letters *t, int at, bool money, Part *p)
{
	bool		unread = false;
	bool		han = false;
	int			i = at;

	if (IsDigit(t->c[at]) || t->c[at] == '.')
	{
		if (!Digits(t, at, &p->value, &p->plain, &p->end))
		{
			while (i < t->n && (IsDigit(t->c[i]) || ((t->c[i] == '.' || t->c[i] == ',') && IsDigit(t->c[i + 1]))))
				i++;
			p->end = i;
			return i > at ? NUMBER_UNREADABLE : NUMBER_NONE;
		}
		if (!DecimalComma(t, p->end, &p->value, &unread, &p->end))
			SpacedDigits(t, at, money, &p->value, &p->end);
		i = p->end - 4;
		unread |= i > at && t->c[i] == '.' && p->value >= 1 && Scales(t, p->end, money, &han, &i) == 1;
		return unread ? NUMBER_UNREADABLE : NUMBER_READ;
	}
	if (WordGroup(t, at, &p->value, &p->end))
		return NUMBER_READ;
	if (!OfFraction(t, at) && WordAt(t, at, "a ", &p->end) && Scales(t, p->end, false, &han, &i) >= 1000 && i > p->end + 2)
	{
		p->value = 1;
		return NUMBER_READ;
	}
	p->end = at;
	return NUMBER_NONE;
}

static NumberKind
ScaledGroup(const Letters *t, int at, bool money, Part *p)
{
	NumberKind	kind;
	int			i;

	memset(p, 0, sizeof(Part));
	kind = Figures(t, at, money, p);
	if (kind == NUMBER_NONE)
	{
		/* a scale of nothing said: several million */
		p->scale = Scales(t, at, money, &p->han, &p->end);
		return p->scale > 1 && p->end > at + 2 ? NUMBER_UNREADABLE : NUMBER_NONE;
	}
	(void) WordPoint(t, p->end, &p->value, &p->end);
	if (WordAt(t, p->end, " and a half", &i) && Scales(t, i, money, &p->han, &i) > 1)
	{
		p->value += 0.5;
		p->end += strlen(" and a half");
	}
	p->scale = Scales(t, p->end, money, &p->han, &p->end);
	if (p->scale > 1)
	{
		p->plain = 0;
		if (WordAt(t, p->end, " and a half", &p->end))
			p->value += 0.5;
	}
	return kind;
}

/* A smaller part of a number that has come to a scale: 200 thousand, five hundred, 500 dollars, but not 500 of something else */
static bool
SmallerPart(const Letters *t, const Part *p, double scale)
{
	int			end;

	if (p->value * p->scale >= scale || p->value == 0 || p->han)
		return false;
	if (p->scale == 1)
		return p->plain == 0 || CurrencyAfter(t, SkipSpaces(t, p->end), &end) != NULL;
	/* thousand, hundred; after a k begins another number */
	return (t->c[p->end - 1] == 'd' || t->c[p->end - 1] == 'n') && !Counted(t, p->end);
}

/* Where a smaller part would begin: after a space, an "and", a comma before words */
static int
NextPart(const Letters *t, int at, bool *comma)
{
	int			i;

	*comma = t->c[at] == ',';
	i = SkipSpaces(t, at + *comma);
	if (i == at + *comma || (*comma && IsDigit(t->c[i])))
		return -1;
	(void) WordAt(t, i, "and ", &i);
	return i;
}

NumberKind
EnglishNumber(const Letters *t, int at, bool money, Number *n)
{
	Part		p;
	NumberKind	kind;
	double		scale;
	int			next;
	bool		comma;

	if (PartOfScale(t, at, n))
		return NUMBER_READ;
	/* what has no whole part: point five million */
	if (t->c[at] == 'p')
	{
		p.value = 0;
		comma = false;
		return at > 0 && SmallWord(t, at + 6, &scale, &next) && WordPoint(t, at - 1, &p.value, &next) && Scales(t, next, money, &comma, &n->end) > 1 ?
			NUMBER_UNREADABLE : NUMBER_NONE;
	}
	kind = ScaledGroup(t, at, money, &p);
	*n = (Number) {.value = p.value * p.scale, .scaled = p.scale > 1, .han = p.han, .digits = p.plain, .end = p.end};
	for (scale = p.scale; kind == NUMBER_READ && scale >= 1000 && (next = NextPart(t, n->end, &comma)) >= 0; scale = p.scale)
	{
		if (ScaledGroup(t, next, false, &p) != NUMBER_READ || !SmallerPart(t, &p, scale) || (comma && p.scale == 1))
			break;
		/* a million five is one and a half */
		if (p.scale == 1 && p.value < 100 && scale >= 1e6)
			kind = NUMBER_UNREADABLE;
		n->value += p.value * p.scale;
		n->end = p.end;
	}
	return kind;
}
