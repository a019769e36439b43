/*
 * when_zh.c
 *	  Dates in Chinese, seen from a day: 下周五, 月底, 明年三月, 三季度, 春节, 两周内.
 */
#include "text/when.h"

#include "utils/datetime.h"

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
		bool		feast;
	}			feasts[] = {
		{"国庆", 10, 1, true}, {"元旦", 1, 1, true}, {"五一", 5, 1, true}, {"十一前", 10, 1, true}, {"双十一", 11, 11}, {"双11", 11, 11}, {"双十二", 12, 12}, {"双12", 12, 12},
		{"618", 6, 18}, {"圣诞", 12, 25, true}, {"六一", 6, 1, true}
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
		int			last,
					k,
					after;

		/* Q2-Q3 is one span */
		n %= 4;
		last = n;
		if (t->c[at] == 'q' && (t->c[end] == '-' || t->c[end] == '/') && (k = SaysOne(t, end + 1, "q1|q2|q3|q4", &after)) > n)
		{
			last = k;
			end = after;
		}
		if (year == 0 && t->c[at] == 'q' && (year = YearAfter(t, end, &end)) < 0)
			year = y + 1;
		if (year == 0)
			year = y + ((m - 1) / 3 > n && today - date2j(y, n * 3 + 4, 1) >= JUST_GONE);
		SetMonths(w, year, n * 3 + 1, last * 3 + 3);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	n = SaysOne(t, at, "上半年|下半年", &end);
	if (n >= 0)
	{
		SetMonths(w, year == 0 ? y : year, n * 6 + 1, n * 6 + 6);
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

			(void) Says(t, end, "节", &end);
			/* before a feast is before the next */
			fy = year != 0 ? year : YearOf(today, y, feasts[k].month, feasts[k].day, SaysOne(t, end, "前|之前|以前", &n) >= 0 ? 0 : JUST_GONE);
			if (Says(t, end, "月", &n))
				return false;
			SetDay(w, date2j(fy, feasts[k].month, feasts[k].day));
			if (feasts[k].month == 10 || feasts[k].month == 5)
				w->last += 2;
			w->end = end - (k == 3);
			w->feast = feasts[k].feast;
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
				return NoSuchDay(w, after);
			SetDay(w, date2j(year, month, day));
			w->end = after;
			return true;
		}
		year = year != 0 ? year : YearOf(today, y, month, 0, JUST_GONE);
		SetMonths(w, year, month, month);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	return false;
}

bool
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

		SetDay(w, today + days[n]);
		w->vague = true;
		w->end = end;
		return true;
	}
	n = SaysOne(t, at, "昨天|昨日|前天|上周|上个星期|上星期|上个月|上月|去年|前年|上个季度|上季度|上一季度|刚才|前几天|上礼拜|上次", &end);
	if (n >= 0)
	{
		SetDay(w, today - 1);
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
			SetDay(w, w->first + day);
			/* a weekday alone is the next one */
			if (n >= 14 && w->last < today)
				SetDay(w, w->last + 7);
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
		SetMonths(w, y, m + k, m + k);
		w->end = n >= 7 ? end - 1 : end;
		if (SmallNumberAt(t, end, &k, &after) && k >= 1 && k <= 31 && SaysOne(t, after, "日|号", &after) >= 0)
		{
			SetDay(w, w->first + Min(k - 1, w->last - w->first));
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

		SetMonths(w, y, q * 3 + 1, q * 3 + 3);
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
		SetMonths(w, year, 1, 12);
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
		SetMonths(w, n == 3 && m > 3 ? y + 1 : n == 2 && m > 8 ? y + 1 : y, 1, 12);
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
	if (SmallNumberAt(t, at, &n, &end) && ((n >= 2000 && n <= 2100) || (IsDigit(t->c[at]) && end - at == 2 && n >= 20)) && Says(t, end, "年", &end) &&
		(n >= 2000 || SaysOne(t, end, "底|末|初|中", &after) >= 0 || HanOfYear(t, end, today, n + 2000, w)))
	{
		n += n < 2000 ? 2000 : 0;
		if (HanOfYear(t, end, today, n, w))
			return true;
		if (SaysOne(t, end, "年底|年末", &after) >= 0)
			end++;
		SetMonths(w, n, 1, 12);
		w->end = end;
		HanPart(t, w);
		return true;
	}
	if (HanOfYear(t, at, today, 0, w))
		return true;
	/* in so many days, weeks, months */
	n = 0;
	if (Says(t, at, "半年", &end))
		w->last = MonthsOn(today, 6);
	else if (Says(t, at, "半个月", &end))
		w->last = today + 15;
	else if (SmallNumberAt(t, at, &n, &end) && n > 0 && n <= 1000)
	{
		int			unit,
					first = HanDigit(t->c[at]);
		bool		half = Says(t, end, "个半", &after);

		/* two or three of them, 两三个月: within the greater one */
		if (end == at + 2 && first > 0 && HanDigit(t->c[at + 1]) > first)
			n = HanDigit(t->c[at + 1]);

		/* the 20th */
		if (n <= 31 && SaysOne(t, end, "日前|日之前|日以前|号前|号之前|号以前|号左右|号上线|号", &after) >= 0 && (!Says(t, end, "号", &unit) || end - at <= 2))
		{
			SetDay(w, n >= d ? date2j(y, m, 1) + n - 1 : m < 12 ? date2j(y, m + 1, 1) + n - 1 : date2j(y + 1, 1, 1) + n - 1);
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

			/* 一年半 */
			if (unit == 8 && Says(t, end, "半", &end))
				months += 6;
			if ((w->last = MonthsOn(today, months)) < 0)
				return false;
			w->last += half ? 15 : 0;
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
		SetDay(w, today - 1);
		w->past = true;
		w->end = after;
		return true;
	}
	return false;
}
