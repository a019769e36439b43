/*
 * number.c
 *	  Numbers as people write them: 30万, 3万零5百, 80个w (number_zh.c), 25k, 1,200,000, one and a half million (number_en.c).
 *
 * A number is read as a whole, with all that belongs to it, or not at all: its end is known even where its value is not (几十万, several million), so
 * that no one takes the rest of it for a number. What follows a sum and cannot be a smaller part of it is another number.
 */
#include "text/amount.h"

bool
WordAt(const Letters *t, int at, const char *word, int *end)
{
	int			i = at;

	for (const char *p = word; *p != '\0'; p++, i++)
		if (i >= t->n || t->c[i] != (uint32) (unsigned char) *p)
			return false;
	if (i < t->n && IsWordLetter(t->c[i - 1]) && t->c[i - 1] >= 'a' && IsWordLetter(t->c[i]))
		return false;
	*end = i;
	return true;
}

int
SkipSpaces(const Letters *t, int i)
{
	while (i < t->n && t->c[i] == ' ')
		i++;
	return i;
}

/* Does a mark stand here before three digits, or two and another such mark as in 1,50,000? */
static bool
MarksGroup(const Letters *t, int at)
{
	int			n = 0;

	if (t->c[at] != ',' && t->c[at] != '\'')
		return false;
	while (n < 4 && IsDigit(t->c[at + 1 + n]))
		n++;
	return n == 3 || (n == 2 && t->c[at + 3] == ',' && IsDigit(t->c[at + 4]) && IsDigit(t->c[at + 5]));
}

bool
Digits(const Letters *t, int at, double *value, int *digits, int *end)
{
	double		v = 0;
	int			i = at;
	int			n = 0;
	bool		marks = false;

	for (; i < t->n; i++)
	{
		if (IsDigit(t->c[i]))
		{
			v = v * 10 + (t->c[i] - '0');
			n++;
			if (n > 18)
				return false;
		}
		else if (n > 0 && (n <= 3 || marks) && MarksGroup(t, i))
			marks = true;
		else
			break;
	}
	if (t->c[i] == '.' && IsDigit(t->c[i + 1]))
	{
		double		place = 0.1;

		for (i++; i < t->n && IsDigit(t->c[i]); i++, place /= 10)
			v += (t->c[i] - '0') * place;
		marks = true;
		if (t->c[i] == '.' && IsDigit(t->c[i + 1]))
			return false;		/* a version, an address */
	}
	*value = v;
	*digits = marks ? 0 : n;
	*end = i;
	return i > at;
}

NumberKind
NumberAt(const Letters *t, int at, bool money, Number *n)
{
	NumberKind	kind;
	double		v;
	int			digits,
				i;

	memset(n, 0, sizeof(Number));
	n->end = at;
	if (t->c[at] < 0x80)
		return IsDigit(t->c[at]) && Digits(t, at, &v, &digits, &i) && HanFollows(t, i) ? HanNumber(t, at, true, n) : EnglishNumber(t, at, money, n);
	kind = HanNumber(t, at, true, n);
	/* 八十个w, 五十k */
	if (kind == NUMBER_READ && !n->scaled && (v = Scales(t, n->end, money, &n->han, &i)) > 1)
	{
		n->value *= v;
		n->scaled = true;
		n->end = i;
	}
	return kind;
}

bool
SmallNumberAt(const Letters *t, int at, int *value, int *end)
{
	Number		n;
	double		v;
	int			digits = 0;
	int			i = at;

	if (at >= t->n)
		return false;
	if (IsDigit(t->c[at]))
		for (v = 0; i < t->n && IsDigit(t->c[i]) && digits < 5; i++, digits++)
			v = v * 10 + (t->c[i] - '0');
	else if (t->c[at] >= 0x80 && HanNumber(t, at, false, &n) == NUMBER_READ && !n.scaled)
	{
		v = n.value;
		i = n.end;
	}
	else if (!WordGroup(t, at, &v, &i))
		return false;
	if (v > 9999 || digits > 4 || v != floor(v))
		return false;
	*value = (int) v;
	*end = i;
	return true;
}
