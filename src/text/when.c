/*
 * when.c
 *	  Dates as people say them, seen from a day: 下周五, 月底前, 明年三月, Q3, by end of March, within two weeks.
 *
 * A span is its days; what comes before a span ("三月前", "before March") ends on the day before it begins, what comes by it on its last day. A
 * month or day without a year is the next one, unless it has just gone.
 */
#include "text/extract.h"

#include "utils/datetime.h"

#define JUST_GONE		60		/* days: a date without a year that lies back no more than that is past */

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
static int
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

static bool
Says(const Letters *t, int at, const char *word, int *end)
{
	return SaysOne(t, at, word, end) == 0;
}

static int
Spaces(const Letters *t, int i)
{
	while (i < t->n && t->c[i] == ' ')
		i++;
	return i;
}

static void
Day(When *w, int day)
{
	w->first = w->last = day;
}

/* Days of months first..last of a year; months may be below 1 or above 12 */
static void
Months(When *w, int year, int first, int last)
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

static bool
ValidDay(int y, int m, int d)
{
	return y >= 1990 && y <= 2200 && m >= 1 && m <= 12 && d >= 1 && d <= day_tab[isleap(y)][m - 1];
}

/* The year of what is said without one: the next, but this one if it lies back no more than some days */
static int
YearOf(int today, int y, int m, int d, int gone)
{
	int			last = d > 0 ? d : 28;

	if (d == 0)
		for (last = 31; last > 28 && !ValidDay(y, m, last);)
			last--;
	return ValidDay(y, m, last) && date2j(y, m, last) < today - gone ? y + 1 : y;
}

/* Its early, middle or late part, or its end */
static bool
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
		Months(w, y, part == 0 ? 1 : part == 1 ? 6 : 10, part == 0 ? 3 : part == 1 ? 7 : 12);
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

/* 底, 中旬, 上旬 ... of a month, a quarter or a year */
static void
HanPart(const Letters *t, When *w)
{
	static const int parts[] = {2, 2, 2, 0, 0, 1, 1, 2, 0};
	int			end;
	int			k = SaysOne(t, w->end, "底|末|下旬|上旬|初|中旬|中|下|上", &end);

	/* 中 and the like begin other words */
	if (k < 0 || k >= 7 || (k == 6 && SaysOne(t, w->end, "中国|中心|中标|中间", &end) >= 0))
		return;
	if (PartOf(w, parts[k]))
		w->end = end;
}

static int
Weekday(const Letters *t, int at, int *end)
{
	int			k = SaysOne(t, at, "一|二|三|四|五|六|日|天|末", end);

	return k < 0 ? -1 : k >= 7 ? 6 : k;
}

/* A part of a year that is named: months, quarters, halves, feasts. year 0: none was said. */
static bool
HanOfYear(const Letters *t, int at, int today, int year, When *w)
{
	static const struct
	{
		const char *name;
		int			month;
		int			day;
	}			feasts[] = {
		{"国庆", 10, 1}, {"元旦", 1, 1}, {"五一", 5, 1}, {"十一前", 10, 1}, {"双十一", 11, 11}, {"双11", 11, 11}, {"双十二", 12, 12}, {"双12", 12, 12}, {"618", 6, 18},
		{"圣诞", 12, 25}, {"六一", 6, 1}
	};
	static const int spring[] = {210, 129, 217, 206, 126, 213, 203, 123, 211, 131, 219, 208};	/* from 2024 on */
	int			y,
				m,
				d;
	int			n,
				end;

	j2date(today, &y, &m, &d);
	n = SaysOne(t, at, "q1|q2|q3|q4|一季度|二季度|三季度|四季度|第一季度|第二季度|第三季度|第四季度|1季度|2季度|3季度|4季度|第1季度|第2季度|第3季度|第4季度", &end);
	if (n >= 0)
	{
		n %= 4;
		if (year == 0)
			year = y + ((m - 1) / 3 > n && today - date2j(y, n * 3 + 4, 1) >= JUST_GONE);
		Months(w, year, n * 3 + 1, n * 3 + 3);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	n = SaysOne(t, at, "上半年|下半年", &end);
	if (n >= 0)
	{
		Months(w, year == 0 ? y : year, n * 6 + 1, n * 6 + 6);
		w->end = end;
		return true;
	}
	if (Says(t, at, "春节", &end) || Says(t, at, "过年", &end))
	{
		int			sy = year == 0 ? y : year;
		int			s;

		if (sy < 2024 || sy > 2035)
			return false;
		s = date2j(sy, spring[sy - 2024] / 100, spring[sy - 2024] % 100);
		if (year == 0 && s < today - (SaysOne(t, end, "前|之前|以前", &n) >= 0 ? 0 : JUST_GONE) && sy < 2035)
			s = date2j(sy + 1, spring[sy - 2023] / 100, spring[sy - 2023] % 100);
		w->first = s;
		w->last = s + 6;
		w->end = end;
		return true;
	}
	for (int k = 0; k < lengthof(feasts); k++)
		if (Says(t, at, feasts[k].name, &end) && !IsDigit(t->c[end]) && !(at > 0 && IsDigit(t->c[at - 1])))
		{
			int			fy;

			/* before a feast is before the next */
			fy = year != 0 ? year : YearOf(today, y, feasts[k].month, feasts[k].day, SaysOne(t, end, "前|之前|以前", &n) >= 0 ? 0 : JUST_GONE);
			if (Says(t, end, "月", &n))
				return false;
			Day(w, date2j(fy, feasts[k].month, feasts[k].day));
			if (feasts[k].month == 10 || feasts[k].month == 5)
				w->last += 2;
			w->end = end - (k == 3);
			return true;
		}
	/* months, and days of them */
	if (SmallNumberAt(t, at, &n, &end) && n >= 1 && n <= 12 && (Says(t, end, "月份", &end) || Says(t, end, "月", &end)))
	{
		int			month = n;
		int			day;
		int			after;

		if (Says(t, end, "之内", &after) || Says(t, end, "内", &after))
			return false;
		if (SmallNumberAt(t, end, &day, &after) && day >= 1 && day <= 31 && SaysOne(t, after, "日|号", &after) >= 0)
		{
			year = year != 0 ? year : YearOf(today, y, month, day, JUST_GONE);
			if (!ValidDay(year, month, day))
				return false;
			Day(w, date2j(year, month, day));
			w->end = after;
			return true;
		}
		year = year != 0 ? year : YearOf(today, y, month, 0, JUST_GONE);
		Months(w, year, month, month);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	return false;
}

/* 2026-03-31, 2026/3/31, 2026.3.31 */
static bool
NumericDate(const Letters *t, int at, When *w)
{
	int			y,
				m,
				d;
	int			end;
	uint32		mark;

	if (!IsDigit(t->c[at]) || !SmallNumberAt(t, at, &y, &end) || y < 1990 || y > 2200 || end - at != 4 || end >= t->n)
		return false;
	mark = t->c[end];
	if ((mark != '-' && mark != '/' && mark != '.') || !IsDigit(t->c[end + 1]) || !SmallNumberAt(t, end + 1, &m, &end) || t->c[end] != mark ||
		!IsDigit(t->c[end + 1]) || !SmallNumberAt(t, end + 1, &d, &end) || !ValidDay(y, m, d) || (t->c[end] == '-' && IsDigit(t->c[end + 1])))
		return false;
	Day(w, date2j(y, m, d));
	w->end = end;
	return true;
}

static bool
HanWhen(const Letters *t, int at, int today, When *w)
{
	int			y,
				m,
				d;
	int			monday = today - (j2day(today) + 6) % 7;
	int			n,
				end,
				after;

	j2date(today, &y, &m, &d);
	n = SaysOne(t, at, "今天|今日|明天|明日|后天|大后天|今晚|明早|明晚", &end);
	if (n >= 0)
	{
		static const int days[] = {0, 0, 1, 1, 2, 3, 0, 1, 1};

		Day(w, today + days[n]);
		w->vague = true;
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "昨天|昨日|前天|上周|上个星期|上星期|上个月|上月|去年|前年|上个季度|上季度|上一季度|刚才|前几天|上礼拜|上次", &end);
	if (n >= 0)
	{
		Day(w, today - 1);
		w->past = true;
		w->end = end;
		/* of it: a day, a month */
		while (w->end < t->n && (IsHan(t->c[w->end]) || IsDigit(t->c[w->end])) && w->end < end + 4 &&
			   (SaysOne(t, w->end, "底|末|初|中|月|一|二|三|四|五|六|日|天|年|第|季|度|号|十|上|下|半", &after) >= 0 || IsDigit(t->c[w->end])))
			w->end++;
		return true;
	}
	/* weeks */
	n = SaysOne(t, at, "下下周|下下星期|下下个星期|下周|下个星期|下星期|下礼拜|下个礼拜|本周|这周|这个星期|这星期|这礼拜|这个礼拜|周|星期|礼拜", &end);
	if (n >= 0)
	{
		int			weeks = n < 3 ? 2 : n < 8 ? 1 : 0;
		int			day = Weekday(t, end, &after);

		if (n >= 14 && (day < 0 || (at > 0 && (IsDigit(t->c[at - 1]) || SaysOne(t, at - 1, "每|一|两|二|三|四|五|六|个|几|上", &d) >= 0))))
			return false;
		w->first = monday + weeks * 7;
		w->last = w->first + 6;
		w->end = end;
		if (day >= 0 && !(day <= 4 && Says(t, after, "次", &d)))
		{
			Day(w, w->first + day);
			/* a weekday alone is the next one */
			if (n >= 14 && w->last < today)
				Day(w, w->last + 7);
			w->end = after;
		}
		else if (SaysOne(t, end, "底|内|之内", &after) >= 0)
		{
			w->deadline = true;
			w->end = after;
		}
		return true;
	}
	/* months from here */
	n = SaysOne(t, at, "下下个月|下下月|下个月|下月|本月|这个月|当月|月底|月末|月初", &end);
	if (n >= 0)
	{
		int			k = n < 2 ? 2 : n < 4 ? 1 : 0;

		if (n == 9)
			k = d > 10;
		Months(w, y, m + k, m + k);
		w->end = n >= 7 ? end - 1 : end;
		if (SmallNumberAt(t, end, &k, &after) && k >= 1 && k <= 31 && SaysOne(t, after, "日|号", &after) >= 0)
		{
			Day(w, w->first + Min(k - 1, w->last - w->first));
			w->end = after;
		}
		else
			HanPart(t, w);
		return true;
	}
	n = SaysOne(t, at, "下下个季度|下下季度|下个季度|下季度|下一季度|下一个季度|本季度|这个季度|这季度|当季|季度末|季度底|季末", &end);
	if (n >= 0)
	{
		int			q = (m - 1) / 3 + (n < 2 ? 2 : n < 6 ? 1 : 0);

		Months(w, y, q * 3 + 1, q * 3 + 3);
		w->end = end;
		if (n >= 10)
			PartOf(w, 2);
		else
			HanPart(t, w);
		return true;
	}
	/* years from here */
	n = SaysOne(t, at, "今年|本年度|本年|明年|后年|来年|下一年|下年", &end);
	if (n >= 0)
	{
		int			year = y + (n < 3 ? 0 : n == 4 ? 2 : 1);

		if (Says(t, end, "的", &after))
			end = after;
		if (HanOfYear(t, end, today, year, w))
			return true;
		if (SaysOne(t, end, "年底|年末|年中|年初", &after) >= 0)
			end++;
		Months(w, year, 1, 12);
		w->end = end;
		HanPart(t, w);
		w->vague = !w->part && year == y;
		return true;
	}
	n = SaysOne(t, at, "年底|年末|年中|年初|年内|年前", &end);
	if (n >= 0 && !(at > 0 && (IsDigit(t->c[at - 1]) || SaysOne(t, at - 1, "一|两|二|三|四|五|六|七|八|九|十|几|半|多|去|每|往|零|〇", &after) >= 0)))
	{
		if (n == 5)
			return false;
		Months(w, n == 3 && m > 3 ? y + 1 : n == 2 && m > 8 ? y + 1 : y, 1, 12);
		w->end = at + 1;
		if (n == 4)
		{
			w->deadline = true;
			w->end = end;
		}
		else
			HanPart(t, w);
		w->end = end;
		return true;
	}
	/* a year and what of it */
	if (SmallNumberAt(t, at, &n, &end) && n >= 2000 && n <= 2100 && Says(t, end, "年", &end))
	{
		if (HanOfYear(t, end, today, n, w))
			return true;
		if (SaysOne(t, end, "年底|年末", &after) >= 0)
			end++;
		Months(w, n, 1, 12);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	if (HanOfYear(t, at, today, 0, w))
		return true;
	/* in so many days, weeks, months */
	n = 0;
	if (Says(t, at, "半年", &end))
		w->last = date2j(y, m, d) + 182;
	else if (Says(t, at, "半个月", &end))
		w->last = today + 15;
	else if (SmallNumberAt(t, at, &n, &end) && n > 0 && n <= 1000)
	{
		int			unit;
		bool		half = Says(t, end, "个半", &after);

		/* the 20th */
		if (n <= 31 && SaysOne(t, end, "日前|日之前|日以前|号前|号之前|号以前|号左右|号上线|号", &after) >= 0 && (!Says(t, end, "号", &unit) || end - at <= 2))
		{
			Day(w, n >= d ? date2j(y, m, 1) + n - 1 : m < 12 ? date2j(y, m + 1, 1) + n - 1 : date2j(y + 1, 1, 1) + n - 1);
			w->end = end + 1;
			return true;
		}
		if (half)
			end = after;
		else if (Says(t, end, "个", &after))
			end = after;
		unit = SaysOne(t, end, "天|日|工作日|周|星期|礼拜|月|季度|年", &end);
		if (unit < 0)
			return false;
		if (unit < 2)
			w->last = today + n;
		else if (unit == 2)
			w->last = today + n / 5 * 7 + n % 5;
		else if (unit <= 5)
			w->last = today + n * 7;
		else
		{
			int			months = n * (unit == 6 ? 1 : unit == 7 ? 3 : 12);
			int			yy = y + (m - 1 + months) / 12;
			int			mm = (m - 1 + months) % 12 + 1;

			if (yy > 2200)
				return false;
			w->last = date2j(yy, mm, Min(d, day_tab[isleap(yy)][mm - 1])) + (half ? 15 : 0);
		}
	}
	else
		return false;
	if (SaysOne(t, end, "之内|以内|内|后|之后|以后", &after) >= 0)
	{
		w->deadline = SaysOne(t, end, "之内|以内|内", &after) >= 0;
		(void) SaysOne(t, end, "之内|以内|内|后|之后|以后", &after);
		w->first = w->deadline ? today : w->last;
		w->end = after;
		return true;
	}
	if (SaysOne(t, end, "前|之前|以前", &after) >= 0)
	{
		Day(w, today - 1);
		w->past = true;
		w->end = after;
		return true;
	}
	return false;
}

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

/* ", 2026" after a month or a day; 0: none */
static int
YearAfter(const Letters *t, int at, int *end)
{
	int			i = Spaces(t, at);
	int			y;

	if (i < t->n && t->c[i] == ',')
		i = Spaces(t, i + 1);
	if (Says(t, i, "of ", end))
		i = *end;
	if (i > at && IsDigit(t->c[i]) && SmallNumberAt(t, i, &y, end) && y >= 1990 && y <= 2200)
		return y;
	if (Says(t, i, "next year", end))
		return -1;
	return 0;
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
				return false;
			Day(w, date2j(year, n, day));
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
		Months(w, year > 0 ? year : year < 0 ? y + 1 : YearOf(today, y, n, 0, JUST_GONE), n, n);
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
		Months(w, year < 0 ? y + 1 : year, n * 3 + 1, n * 3 + 3);
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
		Months(w, year == 0 ? y : year < 0 ? y + 1 : year, n * 6 + 1, n * 6 + 6);
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
				Months(w, y, m + k, m + k);
				break;
			case 2:
				Months(w, y, ((m - 1) / 3 + k) * 3 + 1, ((m - 1) / 3 + k) * 3 + 3);
				break;
			default:
				Months(w, y + k, 1, 12);
				w->vague = k == 0;
		}
		w->end = end;
		return true;
	}
	if (IsDigit(t->c[at]) && SmallNumberAt(t, at, &n, &end) && n >= 2000 && n <= 2100 && led && end - at == 4)
	{
		Months(w, n, 1, 12);
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
		Day(w, today + (n == 2 ? 1 : n == 3 ? 2 : 0));
		w->vague = true;
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "eow|eom|eoq|eoy|year-end|year end|month-end|month end|quarter-end|quarter end", &end);
	if (n >= 0)
	{
		static const int units[] = {0, 1, 2, 3, 3, 3, 1, 1, 2, 2};

		if (units[n] == 0)
			Day(w, monday + 4);
		else
		{
			Months(w, y, units[n] == 1 ? m : units[n] == 2 ? (m - 1) / 3 * 3 + 1 : 1, units[n] == 1 ? m : units[n] == 2 ? (m - 1) / 3 * 3 + 3 : 12);
			PartOf(w, 2);
		}
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "christmas|new year|new year's|thanksgiving", &end);
	if (n >= 0 && n < 3)
	{
		Day(w, n == 0 ? date2j(y, 12, 25) : date2j(y + 1, 1, 1));
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
			Day(w, monday + day + (n == 0 ? 7 : 0));
			if (n != 0 && w->last < today)
				Day(w, w->last + 7);
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
				return false;
			Day(w, date2j(year, month, n));
			w->end = end;
			return true;
		}
	}
	return false;
}

static bool
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
		Day(w, today - 1);
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

		i = Spaces(t, end);
		if (t->c[i] == '-')
			i++;
		unit = SaysOne(t, i, "days|weeks|months|quarters|years|day|week|month|quarter|year|business days|working days", &end);
		if (unit >= 0 && n >= 1 && n <= 1000)
		{
			bool		ago = Says(t, Spaces(t, end), "ago", &after);
			bool		on = SaysOne(t, Spaces(t, end), "from now|from today|out", &after) >= 0;

			if (ago || (lead != 3 && lead != 6 && !on && !Says(t, at, "the next ", &m) && !Says(t, at, "next ", &m)))
			{
				if (!ago)
					return false;
				Day(w, today - 1);
				w->past = true;
				w->end = after;
				return true;
			}
			last = today;
			if (unit >= 10)
				last += n / 5 * 7 + n % 5;
			else if (unit % 5 <= 1)
				last += n * (unit % 5 == 0 ? 1 : 7);
			else
			{
				int			months = n * (unit % 5 == 2 ? 1 : unit % 5 == 3 ? 3 : 12);
				int			yy = y + (m - 1 + months) / 12;
				int			mm = (m - 1 + months) % 12 + 1;

				if (yy > 2200)
					return false;
				last = date2j(yy, mm, Min(d, day_tab[isleap(yy)][mm - 1]));
			}
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
	/* 前: of a span the day before it, of a day or an end the day itself */
	if (!w->past && SaysOne(t, w->end, "之前|以前|前", &end) >= 0 && SaysOne(t, w->end, "前台|前期|前后|前面|前往|前端|前提", &at) < 0)
	{
		int			n = w->last - w->first + 1;

		if (!w->part && (n == 3 || n == 7 || (n >= 28 && n <= 31) || n > 85))
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
