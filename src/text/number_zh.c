/*
 * number_zh.c
 *	  Numbers in Chinese: 二百五十万, 3万零5百, 一点五万, 2个亿.
 */
#include "text/amount.h"

#include "text/when.h"

#define LONGEST		40			/* characters of a number */

int
HanDigit(uint32 c)
{
	static const uint32 digits[] = {0x96F6, 0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D};

	for (int i = 0; i < lengthof(digits); i++)
		if (c == digits[i])
			return i;
	return c == 0x3007 ? 0 : c == 0x4E24 ? 2 : -1;	/* another zero; two of something */
}

/* Ten, hundred, thousand; 0: none */
static double
HanUnit(uint32 c)
{
	return c == 0x5341 ? 10 : c == 0x767E ? 100 : c == 0x5343 ? 1000 : 0;
}

static double
HanScale(uint32 c)
{
	return c == 0x4E07 ? 1e4 : c == 0x4EBF ? 1e8 : 0;
}

static bool
HanUnitOrScale(uint32 c)
{
	return HanUnit(c) > 0 || HanScale(c) > 0;
}

bool
AndMore(uint32 c)
{
	return c == 0x591A || c == 0x6765 || c == 0x4F59 || c == 0x51E0 || c == '+';
}

/* A Chinese number while it is read */
typedef struct HanSum
{
	double		total;			/* what has its ten thousand or hundred million */
	double		section;		/* thousands, hundreds and tens since */
	double		pending;		/* digits that have no unit yet; -1: none */
	bool		arabic;			/* these are Arabic ones */
	bool		after_zero;		/* 零 stands before them */
	double		unit;			/* the last unit or scale */
	double		inner;			/* the last unit of the section */
	double		scaled_by;		/* the last scale */
	int			part;			/* where the pending digits begin */
	int			section_from;	/* where the section does */
	bool		scaled;
	bool		vague;
	bool		ended;			/* what comes next is another number */
	int			end;
} HanSum;

/* 四五十: four or five tens */
static double
Pending(const HanSum *h)
{
	return h->pending < 0 ? 0 : h->arabic ? h->pending : fmod(h->pending, 10);
}

/* A digit, or a number of Arabic ones. False: it does not belong to what stands before. */
static bool
TakeDigits(HanSum *h, const Letters *t, int at, int *end)
{
	int			d = HanDigit(t->c[at]);
	int			ignored;

	if (h->pending < 0)
		h->part = at;
	if (d < 0)
	{
		if (h->pending > 0 || (h->pending == 0 && h->arabic))
			return false;
		h->after_zero = h->pending == 0;
		if (!Digits(t, at, &h->pending, &ignored, end))
			return false;
		return h->arabic = true;
	}
	if (h->pending >= 0 && h->arabic)
		return false;
	/* digits in a row, as a year has them */
	h->after_zero = h->pending == 0 && h->unit > 0;
	h->pending = h->pending >= 0 && !h->after_zero ? h->pending * 10 + d : d;
	h->arabic = false;
	h->vague |= h->pending > 99999;
	*end = at + 1;
	return true;
}

static void
TakeUnit(HanSum *h, double u)
{
	/* 五百六百 is two; 三千百 is none */
	if (h->inner > 0 && u >= h->inner && h->pending >= 0)
	{
		h->ended = true;
		return;
	}
	h->vague |= h->pending < 0 && (u != 10 ? h->section > 0 || h->total > 0 : h->inner == 10);
	h->section += (h->pending < 0 ? 1 : Pending(h)) * u;
	h->scaled |= h->arabic && h->pending >= 0;
	h->pending = -1;
	h->unit = h->inner = u;
}

static void
TakeScale(HanSum *h, double s)
{
	double		part = h->section + Pending(h);

	/* 三十万五十万 is two */
	if (h->scaled_by == s && part > 0)
	{
		h->part = h->section_from;
		h->section = 0;
		h->ended = true;
		return;
	}
	/* 一亿两千万 is a sum; in 一万亿 the greater scale is of all before it */
	h->total = h->scaled_by > s && part > 0 ? h->total + part * s : (h->total + part) * s;
	h->vague |= h->total > 1e15;
	h->scaled_by = h->unit = s;
	h->section = h->inner = 0;
	h->pending = -1;
	h->scaled = true;
}

/* 点五 of 一点五万: only before a scale, since 三点五十 is a time */
static bool
HanPoint(const Letters *t, int at, double *fraction, int *end)
{
	double		place = 0.1;
	int			i = at + 1;
	int			d;

	if (t->c[at] != 0x70B9)
		return false;
	*fraction = 0;
	for (; i < at + 5 && (d = IsDigit(t->c[i]) ? (int) t->c[i] - '0' : HanDigit(t->c[i])) >= 0; i++, place /= 10)
		*fraction += d * place;
	if (i == at + 1 || !(HanUnit(t->c[i + AndMore(t->c[i])]) > 10 || HanScale(t->c[i + AndMore(t->c[i])]) > 0))
		return false;
	*end = i;
	return true;
}

/* What digits behind a sum count that are no part of it: 30万5月上线 */
static bool
CountsOther(const Letters *t, int at)
{
	int			end;

	return SaysOne(t, at, "人民币", &end) < 0 && SaysOne(t, SkipSpaces(t, at), "月|年|日|号|天|周|个|台|套|家|名|位|次|点|期|层|楼|人|季度", &end) >= 0;
}

/* Digits without a unit at the end: 三百零五, 二十五, 3万5, 3万5000. Where they are no part of the number, it ends before them. */
static double
Trailing(HanSum *h, const Letters *t, bool mixed)
{
	double		v = h->pending;
	uint32		before = h->part > 0 ? t->c[h->part - 1] : 0;
	uint32		after = t->c[h->end];
	bool		other = mixed && CountsOther(t, h->end);

	if (h->unit == 0 || h->after_zero || (!h->arabic && h->unit == 10) || v == 0)
		return v;
	if (h->unit >= 100 && v < 10 && v == floor(v) && h->end == h->part + 1 && HanUnitOrScale(before) && !other && !(after == '.' && IsDigit(t->c[h->end + 1])))
		return v * h->unit / 10;
	if (!h->arabic && !other)
		return v;
	if (!other && h->unit == 1e4 && v >= 100 && v < 1e4 && HanUnitOrScale(before) && !IsWordLetter(after) && after != '-' && after != '/' && after != ':')
		return v;
	h->end = h->part;
	while (t->c[h->end - 1] == ' ')
		h->end--;
	return 0;
}

/* Does a number begin here that says no value? 几十万, 数百万, 百八十万, 上十万 */
static bool
VagueAt(const Letters *t, int at)
{
	uint32		c = t->c[at];

	if (c == 0x51E0 || c == 0x6570)
		return HanUnitOrScale(t->c[at + 1]);
	return c == 0x5341 ? at > 0 && t->c[at - 1] == 0x4E0A : HanUnit(c) > 0 && HanDigit(t->c[at + 1]) > 0;
}

NumberKind
HanNumber(const Letters *t, int at, bool mixed, Number *n)
{
	HanSum		h = {.pending = -1, .part = at, .section_from = at, .end = at};
	int			i = at;
	double		fraction;

	n->end = at;
	/* half a 亿 */
	if (t->c[at] == 0x534A && t->c[at + 1] == 0x4E2A && t->c[at + 2] == 0x4EBF)
	{
		*n = (Number) {.value = 5e7, .scaled = true, .han = true, .end = at + 3};
		return NUMBER_READ;
	}
	h.vague = VagueAt(t, at);
	if (!h.vague && HanDigit(t->c[at]) < 0 && t->c[at] != 0x5341 && !(mixed && IsDigit(t->c[at])))
		return NUMBER_NONE;
	i += !HanUnitOrScale(t->c[at]) && h.vague;
	while (i < t->n && !h.ended && (mixed || i < at + LONGEST))
	{
		int			j = i;
		uint32		c;

		if (mixed && i > at && t->c[i] == ' ')
		{
			j = SkipSpaces(t, i);
			if (!(IsDigit(t->c[i - 1]) ? HanUnitOrScale(t->c[j]) || AndMore(t->c[j]) : IsDigit(t->c[j]) && HanUnitOrScale(t->c[i - 1])))
				break;
		}
		c = t->c[j];
		h.vague |= i > at + LONGEST;
		if (h.pending < 0 && h.section == 0)
			h.section_from = j;
		if (HanDigit(c) >= 0 || (mixed && IsDigit(c)))
		{
			if (!TakeDigits(&h, t, j, &i))
				break;
		}
		else if (mixed && (h.pending >= 0 || h.inner > 0) && HanPoint(t, j, &fraction, &i))
		{
			h.part = h.pending < 0 ? j : h.part;
			h.pending = Pending(&h) + fraction;
			h.arabic = true;
		}
		else if (HanUnitOrScale(c) && (h.pending >= 0 || h.unit > 0 || h.vague || c == 0x5341))
		{
			if (HanUnit(c) > 0)
				TakeUnit(&h, HanUnit(c));
			else
				TakeScale(&h, HanScale(c));
			i = h.ended ? h.part : j + 1;
		}
		else if (AndMore(c) && HanUnitOrScale(t->c[SkipSpaces(t, j + 1)]) && (h.pending >= 0 || h.unit > 0))
		{
			i = SkipSpaces(t, j + 1);
			h.vague |= c == 0x51E0 && HanUnit(t->c[i]) > 0 && h.pending < 0;	/* 一百几十万 */
		}
		else if (c == 0x4E2A && HanScale(t->c[j + 1]) == 1e8 && h.pending >= 0)
			i = j + 1;			/* 2个亿 */
		else
			break;
	}
	h.end = i;
	if (h.ended)
		h.pending = -1;
	if (h.ended && t->c[i - 1] == ' ')
		h.end = i - 1;
	*n = (Number) {.value = h.total + h.section, .scaled = h.scaled, .han = h.scaled, .end = h.end};
	if (h.vague || i == at)
		return h.vague ? NUMBER_UNREADABLE : NUMBER_NONE;
	if (h.pending >= 0)
	{
		n->value += Trailing(&h, t, mixed);
		n->end = h.end;
	}
	return NUMBER_READ;
}

bool
HanFollows(const Letters *t, int at)
{
	double		fraction;
	int			end;
	int			i = SkipSpaces(t, at);

	return HanUnitOrScale(t->c[i]) || (AndMore(t->c[i]) && HanUnitOrScale(t->c[SkipSpaces(t, i + 1)])) || (t->c[i] == 0x4E2A && HanScale(t->c[i + 1]) == 1e8) ||
		HanPoint(t, i, &fraction, &end);
}
