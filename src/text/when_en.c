/*
 * when_en.c
 *	  Dates in English, seen from a day: next Friday, Q3, by end of March, 15 March 2026, within two weeks.
 */
#include "text/when.h"

#include "utils/datetime.h"

static int
MonthAt(const Letters *t, int at, int *end)
{
	int			n = SaysOne(t, at, "january|february|march|april|may|june|july|august|september|october|november|december|"
							"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sept", end);

	return n < 0 ? 0 : n == 24 ? 9 : n % 12 + 1;
}

/* st, nd, rd, th */
static int
Ordinal(const Letters *t, int at)
{
	int			end;

	for (int k = 0; k < 4; k++)
		if (t->c[at] == (uint32) "snrt"[k] && t->c[at + 1] == (uint32) "tddh"[k] && !IsWordLetter(t->c[at + 2]))
			return at + 2;
	end = at;
	return end;
}

/* A span that has a name: March 2026, Q3, next quarter, the year */
static bool
EnglishSpan(const Letters *t, int at, int today, When *w, bool led)
{
	int			y,
				m,
				d;
	int			monday = today - (j2day(today) + 6) % 7;
	int			n,
				end,
				year;

	j2date(today, &y, &m, &d);
	n = MonthAt(t, at, &end);
	if (n > 0)
	{
		int			day;
		int			after;
		int			word = end - at;

		if (t->c[end] == '.')
			end++;
		if (SmallNumberAt(t, Spaces(t, end), &day, &after) && IsDigit(t->c[Spaces(t, end)]) && day >= 1 && day <= 31 && Spaces(t, end) > at + word)
		{
			after = Ordinal(t, after);
			if (IsWordLetter(t->c[after]) || t->c[after] == '%')
				return false;
			year = YearAfter(t, after, &end);
			if (year == 0)
				end = after;
			year = year > 0 ? year : year < 0 ? y + 1 : YearOf(today, y, n, day, JUST_GONE);
			if (!ValidDay(year, n, day))
				return NoSuchDay(w, end);
			SetDay(w, date2j(year, n, day));
			w->end = end;
			return true;
		}
		after = end;
		year = YearAfter(t, end, &end);
		if (year == 0)
		{
			end = after;
			/* verbs, and names */
			if (!led && (n == 3 || n == 5 || word <= 3))
				return false;
		}
		SetMonths(w, year > 0 ? year : year < 0 ? y + 1 : YearOf(today, y, n, 0, JUST_GONE), n, n);
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "q1|q2|q3|q4|first quarter|second quarter|third quarter|fourth quarter|1st quarter|2nd quarter|3rd quarter|4th quarter", &end);
	if (n >= 0)
	{
		int			after = end;

		n %= 4;
		year = YearAfter(t, end, &end);
		if (year == 0)
		{
			end = after;
			year = y + ((m - 1) / 3 > n && today - date2j(y, n * 3 + 4, 1) >= JUST_GONE);
		}
		SetMonths(w, year < 0 ? y + 1 : year, n * 3 + 1, n * 3 + 3);
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "h1|h2|first half|second half", &end);
	if (n >= 0)
	{
		int			after = end;

		n %= 2;
		if (Says(t, end, " of the year", &after))
			end = after;
		after = end;
		year = YearAfter(t, end, &end);
		if (year == 0)
			end = after;
		SetMonths(w, year == 0 ? y : year < 0 ? y + 1 : year, n * 6 + 1, n * 6 + 6);
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "next week|next month|next quarter|next year|this week|this month|this quarter|this year|the week|the month|the quarter|the year|"
				"week|month|quarter|year|next fiscal year|this fiscal year", &end);
	if (n >= 0 && (n < 8 || n >= 16 || led))
	{
		int			unit = n >= 16 ? 3 : n % 4;
		int			k = n < 4 || n == 16;

		switch (unit)
		{
			case 0:
				w->first = monday + 7 * k;
				w->last = w->first + 6;
				break;
			case 1:
				SetMonths(w, y, m + k, m + k);
				break;
			case 2:
				SetMonths(w, y, ((m - 1) / 3 + k) * 3 + 1, ((m - 1) / 3 + k) * 3 + 3);
				break;
			default:
				SetMonths(w, y + k, 1, 12);
				w->vague = k == 0;
		}
		w->end = end;
		return true;
	}
	if (IsDigit(t->c[at]) && SmallNumberAt(t, at, &n, &end) && n >= 2000 && n <= 2100 && led && end - at == 4 &&
		!((t->c[end] == '-' || t->c[end] == '/' || t->c[end] == '.') && IsDigit(t->c[end + 1])))
	{
		SetMonths(w, n, 1, 12);
		w->end = end;
		return true;
	}
	return false;
}

static bool
EnglishDay(const Letters *t, int at, int today, When *w)
{
	int			y,
				m,
				d;
	int			monday = today - (j2day(today) + 6) % 7;
	int			n,
				end,
				after;

	j2date(today, &y, &m, &d);
	n = SaysOne(t, at, "today|tonight|tomorrow|the day after tomorrow|eod|asap", &end);
	if (n >= 0 && n < 5)
	{
		SetDay(w, today + (n == 2 ? 1 : n == 3 ? 2 : 0));
		w->vague = true;
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "eow|eom|eoq|eoy|year-end|year end|month-end|month end|quarter-end|quarter end", &end);
	if (n >= 0)
	{
		static const int units[] = {0, 1, 2, 3, 3, 3, 1, 1, 2, 2};

		if (units[n] == 0)
			SetDay(w, monday + 4);
		else
		{
			SetMonths(w, y, units[n] == 1 ? m : units[n] == 2 ? (m - 1) / 3 * 3 + 1 : 1, units[n] == 1 ? m : units[n] == 2 ? (m - 1) / 3 * 3 + 3 : 12);
			PartOf(w, 2);
		}
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "christmas|new year|new year's|thanksgiving", &end);
	if (n >= 0 && n < 3)
	{
		SetDay(w, n == 0 ? date2j(y, 12, 25) : date2j(y + 1, 1, 1));
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "next |this |coming |", &end);
	if (n < 3)
		after = end;
	else
		after = at;
	{
		int			day = SaysOne(t, after, "monday|tuesday|wednesday|thursday|friday|saturday|sunday", &end);

		if (day >= 0)
		{
			SetDay(w, monday + day + (n == 0 ? 7 : 0));
			if (n != 0 && w->last < today)
				SetDay(w, w->last + 7);
			w->end = end;
			return true;
		}
	}
	/* 15 March, 15th of March */
	if (IsDigit(t->c[at]) && SmallNumberAt(t, at, &n, &end) && n >= 1 && n <= 31)
	{
		int			ordinal = Ordinal(t, end);
		int			i = Spaces(t, ordinal);
		int			month;
		int			year;

		if (Says(t, i, "of ", &after))
			i = after;
		month = MonthAt(t, i, &end);
		if (month > 0 && i > at + 1)
		{
			after = end;
			year = YearAfter(t, end, &end);
			if (year == 0)
				end = after;
			year = year > 0 ? year : year < 0 ? y + 1 : YearOf(today, y, month, n, JUST_GONE);
			if (!ValidDay(year, month, n))
				return NoSuchDay(w, end);
			SetDay(w, date2j(year, month, n));
			w->end = end;
			return true;
		}
	}
	return false;
}

bool
EnglishWhen(const Letters *t, int at, int today, When *w)
{
	int			n,
				end,
				i = at,
				after;
	int			part = -1;
	int			lead;
	int			y,
				m,
				d;

	j2date(today, &y, &m, &d);
	if (SaysOne(t, at, "yesterday|last week|last month|last quarter|last year|last time|earlier this|last monday|last tuesday|last wednesday|last thursday|last friday", &end) >= 0)
	{
		SetDay(w, today - 1);
		w->past = true;
		w->end = end;
		return true;
	}
	lead = SaysOne(t, i, "no later than |by |before |within |until |till |in |during |for |from |since |as of |back in |on |after |due ", &end);
	if (lead >= 0)
		i = Spaces(t, end);
	if (Says(t, i, "the next ", &after))
		i = after;
	else if (Says(t, i, "next ", &after) && IsDigit(t->c[after]))
		i = after;
	/* so many weeks */
	if ((IsDigit(t->c[i]) || (t->c[i] >= 'a' && t->c[i] <= 'z')) &&
		(SmallNumberAt(t, i, &n, &end) || (SaysOne(t, i, "a |an |a couple of ", &end) >= 0 && (n = Says(t, i, "a couple of ", &after) ? 2 : 1) > 0)))
	{
		int			from = i;
		int			unit;
		int			last;

		bool		half = Says(t, end, " and a half", &after);

		i = Spaces(t, half ? after : end);
		if (t->c[i] == '-')
			i++;
		unit = SaysOne(t, i, "days|weeks|months|quarters|years|day|week|month|quarter|year|business days|working days", &end);
		if (unit >= 0 && n >= 1 && n <= 1000)
		{
			bool		ago,
						on;

			if (Says(t, end, " and a half", &after))
			{
				half = true;
				end = after;
			}
			ago = Says(t, Spaces(t, end), "ago", &after);
			on = SaysOne(t, Spaces(t, end), "from now|from today|out", &after) >= 0;

			if (ago || (lead != 3 && lead != 6 && !on && !Says(t, at, "the next ", &m) && !Says(t, at, "next ", &m)))
			{
				if (!ago)
					return false;
				SetDay(w, today - 1);
				w->past = true;
				w->end = after;
				return true;
			}
			last = today;
			if (unit >= 10)
				last += n / 5 * 7 + n % 5;
			else if (unit % 5 <= 1)
				last += n * (unit % 5 == 0 ? 1 : 7) + (half && unit % 5 == 1 ? 4 : 0);
			else if ((last = MonthsOn(today, n * (unit % 5 == 2 ? 1 : unit % 5 == 3 ? 3 : 12) + (half && unit % 5 == 4 ? 6 : 0))) < 0)
				return false;
			else if (half && unit % 5 < 4)
				last += unit % 5 == 2 ? 15 : 45;
			w->deadline = lead == 3;
			w->first = w->deadline ? today : last;
			w->last = last;
			w->end = on ? after : end;
			return true;
		}
		i = from;
	}
	if (lead < 0)
		i = at;
	if (SaysOne(t, i, "the end of |end of |late |the beginning of |beginning of |early |the start of |start of |the middle of |middle of |mid |mid-|end ", &end) >= 0)
	{
		int			k = SaysOne(t, i, "the end of |end of |late |the beginning of |beginning of |early |the start of |start of |the middle of |middle of |mid |mid-|end ", &end);

		part = k < 3 || k == 12 ? 2 : k < 8 ? 0 : 1;
		i = Spaces(t, end);
	}
	else if (Says(t, i, "the ", &end) && SaysOne(t, end, "first |second |third |fourth |1st |2nd |3rd |4th ", &after) >= 0)
		i = end;
	w->end = -1;
	if (part < 0 && NumericDate(t, i, w))
		;
	else if (EnglishSpan(t, i, today, w, lead >= 0 || part >= 0) && w->end > 0)
		(void) PartOf(w, part);
	else if (part >= 0 || !EnglishDay(t, i, today, w))
		return false;
	w->vague &= !w->part;
	w->deadline = lead == 0 || lead == 1 || lead == 2 || lead == 4 || lead == 5 || lead == 15;
	if (lead == 2 && w->last - w->first > 0 && part < 0)
		w->last = w->first - 1;
	else if (lead == 2 && w->last == w->first && SaysOne(t, i, "christmas|new year", &end) >= 0)
		w->last = w->first = w->first - 1;
	w->past |= lead == 10 || lead == 12;
	return true;
}
