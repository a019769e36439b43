/*
 * when.c
 *	  Dates as people say them, seen from a day: 下周五, 月底前 (when_zh.c), Q3, by end of March (when_en.c), 2026-03-31.
 *
 * A span is its days; what comes before a span ("三月前", "before March") ends on the day before it begins, what comes by it on its last day. A
 * month or day without a year is the next one, unless it has just gone.
 */
#include "text/amount.h"
#include "text/when.h"

#include "utils/datetime.h"

/* One character of UTF-8 that is sound */
static inline uint32
Character(const unsigned char *p)
{
	return *p < 0x80 ? *p : *p < 0xE0 ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3F) : (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3F);
}

static inline int
Bit(uint32 c)
{
	return (c ^ c >> 6) & 63;
}

/* May a word of the list begin with this character? A set of the first characters is kept for each list. */
static inline bool
MaySay(const char *words, uint32 c)
{
	static struct
	{
		const char *words;
		uint64		set;
	}			cache[512];
	uint32		at = (uint32) (((uint64) (uintptr_t) words * UINT64CONST(0x9E3779B97F4A7C15)) >> 40) % lengthof(cache);

	if (cache[at].words != words)
	{
		uint64		set = 0;

		for (const unsigned char *p = (const unsigned char *) words;; p++)
		{
			if (*p == '\0' || *p == '|')
				set = ~UINT64CONST(0);	/* the empty word */
			else
				set |= UINT64CONST(1) << Bit(Character(p));
			while (*p != '\0' && *p != '|')
				p++;
			if (*p == '\0')
				break;
		}
		cache[at].words = words;
		cache[at].set = set;
	}
	return (cache[at].set >> Bit(c) & 1) != 0;
}

/* Words in UTF-8, folded, with a bar between them: the number of the first that stands here, and its end; else -1 */
int
SaysOne(const Letters *t, int at, const char *words, int *end)
{
	const unsigned char *p = (const unsigned char *) words;

	if (!MaySay(words, at < t->n ? t->c[at] : 0))
		return -1;
	for (int n = 0;; n++)
	{
		int			i = at;

		while (*p != '\0' && *p != '|')
		{
			if (i >= t->n || t->c[i] != Character(p))
				break;
			p += *p < 0x80 ? 1 : *p < 0xE0 ? 2 : 3;
			i++;
		}
		/* a word of letters ends as one */
		if ((*p == '\0' || *p == '|') && (i == at || !IsWordLetter(t->c[i - 1]) || IsDigit(t->c[i - 1]) || !IsWordLetter(t->c[i])))
		{
			*end = i;
			return n;
		}
		while (*p != '\0' && *p != '|')
			p++;
		if (*p++ == '\0')
			return -1;
	}
}

bool
Says(const Letters *t, int at, const char *word, int *end)
{
	return SaysOne(t, at, word, end) == 0;
}

int
Spaces(const Letters *t, int i)
{
	while (i < t->n && t->c[i] == ' ')
		i++;
	return i;
}

void
SetDay(When *w, int day)
{
	w->first = w->last = day;
}

/* Days of months first..last of a year; months may be below 1 or above 12 */
void
SetMonths(When *w, int year, int first, int last)
{
	int			y = year + (first > 0 ? (first - 1) / 12 : (first - 12) / 12);
	int			m = ((first - 1) % 12 + 12) % 12 + 1;
	int			n = last - first + 1;

	w->first = date2j(y, m, 1);
	m += n;
	y += (m - 1) / 12;
	m = (m - 1) % 12 + 1;
	w->last = date2j(y, m, 1) - 1;
}

bool
ValidDay(int y, int m, int d)
{
	return y >= 1990 && y <= 2200 && m >= 1 && m <= 12 && d >= 1 && d <= day_tab[isleap(y)][m - 1];
}

/* The year of what is said without one: the next, but this one if it lies back no more than some days */
int
YearOf(int today, int y, int m, int d, int gone)
{
	int			last = d > 0 ? d : 28;

	if (d == 0)
		for (last = 31; last > 28 && !ValidDay(y, m, last);)
			last--;
	return ValidDay(y, m, last) && date2j(y, m, last) < today - gone ? y + 1 : y;
}

/* Its early, middle or late part, or its end */
bool
PartOf(When *w, int part)
{
	int			n = w->last - w->first + 1;
	int			y,
				m,
				d;

	/* of a year: its first quarter, its June and July, its last quarter */
	j2date(w->first, &y, &m, &d);
	if (n > 300 && part >= 0)
	{
		SetMonths(w, y, part == 0 ? 1 : part == 1 ? 6 : 10, part == 0 ? 3 : part == 1 ? 7 : 12);
		return w->part = true;
	}
	switch (part)
	{
		case 0:
			w->last = w->first + Max(n / 3, 1) - 1;
			break;
		case 1:
			w->first += n / 3;
			w->last = w->first + n / 3 - 1;
			break;
		case 2:
			w->first = w->last - Max(n / 3, 1) + 1;
			break;
		default:
			return false;
	}
	return w->part = true;
}

int
MonthsOn(int day, int months)
{
	int			y,
				m,
				d;

	j2date(day, &y, &m, &d);
	y += (m - 1 + months) / 12;
	m = (m - 1 + months) % 12 + 1;
	return y > 2200 ? -1 : date2j(y, m, Min(d, day_tab[isleap(y)][m - 1]));
}

bool
NoSuchDay(When *w, int end)
{
	SetDay(w, 0);
	w->end = end;
	return w->past = true;
}

int
YearAfter(const Letters *t, int at, int *end)
{
	int			i = Spaces(t, at);
	int			from,
				after,
				y;

	if (i < t->n && t->c[i] == ',')
		i = Spaces(t, i + 1);
	if (SaysOne(t, i, "of |in ", &after) >= 0)
		i = after;
	if (Says(t, i, "next year", &after))
	{
		*end = after;
		return -1;
	}
	/* 2027, -2027, FY27, '27 */
	from = i;
	if (i == at && (t->c[i] == '-' || t->c[i] == '/') && IsDigit(t->c[i + 4]))
		from = i + 1;
	else if (t->c[i] == '\'')
		from = i + 1;
	else if (t->c[i] == 'f' && t->c[i + 1] == 'y' && i > at)
		from = i + 2;
	if (from == at || !IsDigit(t->c[from]) || !SmallNumberAt(t, from, &y, &after))
		return 0;
	if (from > i && after == from + 2)
		y += 2000;
	/* Q3, 2000 seats */
	if (y < 1990 || y > 2200 || (y % 100 == 0 && Counted(t, after)))
		return 0;
	*end = after;
	return y;
}

/* 2027 Q2, 2027-H1: the part of a year behind it */
static bool
PartBehindYear(const Letters *t, int at, int year, When *w)
{
	int			i = Spaces(t, at);
	int			n;

	if (i == at && (t->c[i] == '-' || t->c[i] == '/'))
		i++;
	n = SaysOne(t, i, "q1|q2|q3|q4|h1|h2", &w->end);
	if (n < 0 || year < 1990 || year > 2200)
		return false;
	if (n < 4)
		SetMonths(w, year, n * 3 + 1, n * 3 + 3);
	else
		SetMonths(w, year, (n - 4) * 6 + 1, (n - 4) * 6 + 6);
	return true;
}

bool
NumericDate(const Letters *t, int at, When *w)
{
	int			y,
				m,
				d;
	int			end;
	uint32		mark;

	if (t->c[at] == 'f' && t->c[at + 1] == 'y' && IsDigit(t->c[at + 2]) && SmallNumberAt(t, at + 2, &y, &end))
		return PartBehindYear(t, end, end == at + 4 ? y + 2000 : y, w);
	if (!IsDigit(t->c[at]) || !SmallNumberAt(t, at, &y, &end) || y < 1990 || y > 2200 || end - at != 4 || end >= t->n)
		return false;
	if (PartBehindYear(t, end, y, w))
		return true;
	mark = t->c[end];
	if ((mark != '-' && mark != '/' && mark != '.') || !IsDigit(t->c[end + 1]) || !SmallNumberAt(t, end + 1, &m, &end))
		return false;
	if (t->c[end] != mark && mark != '.' && m >= 1 && m <= 12 && !IsWordLetter(t->c[end]))
	{
		/* alone it may be any number */
		SetMonths(w, y, m, m);
		w->vague = true;
		w->end = end;
		return true;
	}
	if (t->c[end] != mark || !IsDigit(t->c[end + 1]) || !SmallNumberAt(t, end + 1, &d, &end) || (t->c[end] == '-' && IsDigit(t->c[end + 1])))
		return false;
	if (!ValidDay(y, m, d))
		return NoSuchDay(w, end);
	SetDay(w, date2j(y, m, d));
	w->end = end;
	return true;
}

bool
WhenAt(const Letters *t, int at, int today, When *w)
{
	int			end;

	memset(w, 0, sizeof(When));
	if (at > 0 && IsWordLetter(t->c[at]) && (IsWordLetter(t->c[at - 1]) || ((t->c[at - 1] == '.' || t->c[at - 1] == '-') && at > 1 && IsDigit(t->c[at - 2]))))
		return false;
	if (!NumericDate(t, at, w) && !((IsHan(t->c[at]) || IsDigit(t->c[at]) || t->c[at] == 'q' || t->c[at] == 0x3007) && HanWhen(t, at, today, w)) &&
		!(!IsHan(t->c[at]) && EnglishWhen(t, at, today, w)))
		return false;
	/* 前: of a span or a feast the day before it, of a day or an end the day itself */
	if (!w->past && SaysOne(t, w->end, "之前|以前|前", &end) >= 0 && SaysOne(t, w->end, "前台|前期|前后|前面|前往|前端|前提", &at) < 0)
	{
		int			n = w->last - w->first + 1;

		if (w->feast || (!w->part && (n == 3 || n == 7 || (n >= 28 && n <= 31) || n > 85)))
			w->first = w->last = w->first - 1;
		w->deadline = true;
		w->end = end;
	}
	else if (!w->past && SaysOne(t, w->end, "之内|以内|内", &end) >= 0 && SaysOne(t, w->end, "内部|内容", &at) < 0)
	{
		w->deadline = true;
		w->end = end;
	}
	if (w->past || w->last < today)
		w->past = true;
	return true;
}
