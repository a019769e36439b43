/*
 * amount.c
 *	  Sums of money as people write them: 30万, 三十万元, 二百五十万, 80个w, $25k, 1.5M, USD 1,200,000, half a million dollars.
 */
#include "text/amount.h"

#include "text/when.h"

bool
Counted(const Letters *t, int at)
{
	static const uint32 han[] = {
		0x4EBA, 0x4E2A, 0x53F0, 0x6761, 0x6B21, 0x4EF6, 0x5957, 0x5BB6, 0x540D, 0x4F4D, 0x5929, 0x6708, 0x5E74, 0x5468, 0x5C0F, 0x5E73, 0x516C,
		0x5343, 0x5428, 0x7C73, 0x5B57, 0x7248, 0x9875, 0x4EFD, 0x5355, 0x7B14, 0x8F86, 0x7C89, 0x5BA2, 0x7EC8, 0x8BBE, 0x5458, 0x5E97,
		0x70B9, 0x53F7, 0x671F, 0x697C, 0x5C42, 0x500D, 0x9879, 0x5F20, 0x65B9, 0x7EA7, 0x5EA6, 0x6237, 0x53EA, 0x6B3E, 0x79CD, 0x8F6E, 0x91CC, 0x6210
	};
	static const char *const words[] = {
		"user", "employee", "people", "person", "seat", "licen", "unit", "record", "row", "mile", "km", "customer", "client", "request", "visit", "visitor", "time", "hour",
		"day", "week", "month", "year", "minute", "device", "machine", "server", "store", "location", "site", "follower", "subscriber", "download", "lead", "contact", "email",
		"message", "call", "order", "item", "piece", "pcs", "page", "word", "line", "token", "test", "meter", "metre", "feet", "kg", "ton", "square", "sq", "sku", "product", "degree",
		"percent", "step", "transaction", "member", "student", "patient", "doctor", "node", "core", "gb", "tb", "mb", "hz", "qps", "tps"
	};
	int			i = SkipSpaces(t, at);
	int			end;

	if (i >= t->n)
		return false;
	if (t->c[i] == '%' || t->c[i] == 0x2030 || (t->c[i] == 0x7528 && t->c[i + 1] == 0x6237))
		return true;
	for (int k = 0; k < lengthof(han); k++)
		if (t->c[i] == han[k])
			return true;
	/* an adjective may stand between, not "for servers" */
	for (int tries = 0; tries < 2 && t->c[i] >= 'a' && t->c[i] <= 'z' && SaysOne(t, i, "per|a|an|for|in|on|by|over|to|from|with|within|this|next", &end) < 0; tries++)
	{
		for (int k = 0; k < lengthof(words); k++)
		{
			const char *p = words[k];
			int			j = i;

			for (; *p != '\0' && j < t->n && t->c[j] == (uint32) *p; p++)
				j++;
			if (*p == '\0' && (strlen(words[k]) > 3 || !IsWordLetter(t->c[j]) || (t->c[j] == 's' && !IsWordLetter(t->c[j + 1]))))
				return true;
		}
		while (i < t->n && IsWordLetter(t->c[i]))
			i++;
		i = SkipSpaces(t, i);
	}
	return false;
}

/* A month, a seat: what there is a price for; not "a month ago", "a quarter of it" */
static bool
UnitOfPrice(const Letters *t, int at)
{
	int			end;

	return SaysOne(t, at, "seat|user|month|mo|unit|head|day|hour|person|license|licence|week|quarter|employee|agent|member|device|node|site|store|location|capita|piece|item", &end) >= 0 &&
		SaysOne(t, SkipSpaces(t, end), "ago|of|from|later|before|after|earlier", &end) < 0;
}

/* 一个月 as in 3万一个月, where nothing follows that makes it a time */
static bool
HanEach(const Letters *t, int at)
{
	int			end;

	if (t->c[at] == 0x6BCF)
		return SaysOne(t, at, "每年|每一年|每财年|每个财年", &end) < 0;
	return SaysOne(t, at, "一个月|一月|一天|一周|一个季度|一个人|一人|一位", &end) >= 0 && (!IsHan(t->c[end]) || SaysOne(t, end, "吧|的|左右|呢|啊", &end) >= 0);
}

/* Per month, per seat, each: a price and no budget. A year's money is a budget. */
static bool
Each(const Letters *t, int at)
{
	int			i = SkipSpaces(t, at);
	int			end;
	bool		symbol;
	Number		n;

	if (i >= t->n)
		return false;
	if (t->c[i] == '/')
	{
		i = SkipSpaces(t, i + 1);
		/* $50k/€45k */
		return (IsHan(t->c[i]) || IsWordLetter(t->c[i])) && SaysOne(t, i, "年|每年|year|yr|y|annum|annually", &end) < 0 && CurrencyBefore(t, i, &symbol, &end) == NULL &&
			NumberAt(t, i, false, &n) == NUMBER_NONE;
	}
	if (IsHan(t->c[i]))
		return HanEach(t, i);
	return SaysOne(t, i, "each|apiece|monthly|weekly|daily|hourly|quarterly", &end) >= 0 || (SaysOne(t, i, "per |a |an |every ", &end) >= 0 && UnitOfPrice(t, end));
}

/* The rest of a number, a date or a name: of these digits nothing is told */
static bool
GoesOn(const Letters *t, int at)
{
	uint32		before = at > 0 ? t->c[at - 1] : 0;

	if (t->c[at] == '.')
		return before == '.' || IsWordLetter(before) || !IsDigit(t->c[at + 1]);
	return IsDigit(t->c[at]) && (before == '.' || before == '-' || before == '/' || before == '#' || before == '_') && at > 1 && IsWordLetter(t->c[at - 2]);
}

/* What its money is, of a number whose currency is named before it, after it, or not at all. A dollar may be told more of behind the sum: $50k CAD. */
static void
NameCurrency(const Letters *t, const Number *n, const char *currency, bool symbol, Amount *a)
{
	int			i = SkipSpaces(t, a->end);
	int			end;

	bool		paren = t->c[i] == '(';

	if (currency == NULL || (symbol && (paren || IsHan(t->c[i]) || IsWordLetter(t->c[i]))))
	{
		const char *after = CurrencyAfter(t, i + paren, &end);

		if (after == NULL && symbol && !Counted(t, i))
			after = DollarsOf(t, i, &end);
		if (after != NULL && (!paren || t->c[end] == ')'))
		{
			currency = after;
			a->end = end + paren;
		}
	}
	a->named = currency != NULL;
	if (currency == NULL && (n->han || (n->scaled && IsHan(t->c[n->end - 1]))))
		currency = "CNY";
	if (currency != NULL)
		strlcpy(a->currency, currency, sizeof(a->currency));
}

/* One number with its currency and scale. Where false, nothing up to a->end is a sum. */
static bool
OneAmount(const Letters *t, int at, bool upper, Amount *a)
{
	const char *currency;
	NumberKind	kind;
	Number		n;
	int			i = at;
	int			end;
	bool		symbol;

	memset(a, 0, sizeof(Amount));
	a->end = at;
	if (at > 0 && IsWordLetter(t->c[at]) && IsWordLetter(t->c[at - 1]))
		return false;
	currency = CurrencyBefore(t, i, &symbol, &end);
	if (currency != NULL)
		i = SkipSpaces(t, end);
	if (i >= t->n || (!upper && currency == NULL && GoesOn(t, i)))
		return false;
	kind = NumberAt(t, i, currency != NULL, &n);
	if (kind == NUMBER_NONE)
		return false;
	a->value = n.value;
	a->scaled = n.scaled;
	a->digits = n.digits;
	a->end = n.end;
	if (kind == NUMBER_UNREADABLE)
		return false;
	/* 30多万 has its scale; 30万多 is 30万 */
	if (t->c[a->end] == '+' || t->c[a->end] == 0x591A)
		a->end++;
	NameCurrency(t, &n, currency, symbol, a);
	i = a->end;
	/* the number goes on in a word */
	if (!a->named && IsWordLetter(t->c[i]) && IsWordLetter(t->c[i - 1]))
	{
		a->end = at;
		return false;
	}
	a->counted = !a->named && (Counted(t, i) || SaysOne(t, i - 1, "千瓦|千克|千米|千伏", &end) >= 0);
	a->each = Each(t, i);
	/* to the cent: 1.14 * 1e6 is a little less than 1140000 */
	a->value = rint(a->value * 100) / 100;
	return a->value < 1e13;
}

bool
AmountAt(const Letters *t, int at, Amount *a)
{
	Amount		upper;
	int			i;
	int			end;

	if (!OneAmount(t, at, false, a))
		return false;
	/* of a range, its upper end */
	i = SkipSpaces(t, a->end);
	if (i < t->n && (t->c[i] == '-' || t->c[i] == '~' || t->c[i] == 0x2013 || t->c[i] == 0x2014 || t->c[i] == 0x5230 || t->c[i] == 0x81F3))
		i = SkipSpaces(t, i + 1);
	else if (WordAt(t, i, "to ", &end) || WordAt(t, i, "and ", &end))
		i = end;
	else
		return true;
	if (i >= t->n)
		return true;
	if (!OneAmount(t, i, true, &upper))
	{
		/* 三万到几十万 */
		if (upper.end > i)
			a->end = upper.end;
		return upper.end == i;
	}
	if (upper.value <= a->value || (!upper.scaled && !upper.named) || upper.counted)
		return true;
	if (!upper.named)
		strlcpy(upper.currency, a->currency[0] != '\0' ? a->currency : upper.currency, sizeof(upper.currency));
	upper.named |= a->named;
	*a = upper;
	return true;
}
