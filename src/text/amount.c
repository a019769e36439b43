/*
 * amount.c
 *	  Sums of money as people write them: 30万, 三十万元, 二百五十万, 80个w, $25k, 1.5M, USD 1,200,000, half a million dollars.
 */
#include "text/extract.h"

/* Does this ASCII text stand at a place, and end there as a word? */
static bool
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

static int
SkipSpaces(const Letters *t, int i)
{
	while (i < t->n && t->c[i] == ' ')
		i++;
	return i;
}

static int
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

/* A Chinese numeral: digits with their units, "250" said short included. *scaled: it has a ten thousand in it. */
static bool
HanNumber(const Letters *t, int at, double *value, bool *scaled, int *end)
{
	double		total = 0;
	double		section = 0;
	double		digit = -1;
	double		unit = 0;		/* the last one */
	double		scaled_by = 0;	/* the last ten thousand or hundred million */
	int			i = at;

	*scaled = false;
	/* half a 亿 */
	if (t->c[at] == 0x534A && at + 2 < t->n && t->c[at + 1] == 0x4E2A && t->c[at + 2] == 0x4EBF)
	{
		*value = 5e7;
		*end = at + 3;
		return *scaled = true;
	}
	if (HanDigit(t->c[at]) < 0 && t->c[at] != 0x5341)
		return false;
	for (; i < t->n && i < at + 20; i++)
	{
		int			d = HanDigit(t->c[i]);
		double		u = HanUnit(t->c[i]);
		double		s = HanScale(t->c[i]);

		if (d >= 0)
		{
			/* digits in a row, as a year has them */
			digit = digit >= 0 && !(digit == 0 && unit > 0) ? digit * 10 + d : d;
			if (digit > 99999)
				return false;
		}
		else if (u > 0)
		{
			/* 四五十: four or five tens */
			section += (digit < 0 ? 1 : fmod(digit, 10)) * u;
			digit = -1;
			unit = u;
		}
		else if (s > 0)
		{
			double		part = section + (digit < 0 ? 0 : fmod(digit, 10));

			/* 一亿两千万 is a sum; in 一万亿 the greater scale is of all before it */
			total = scaled_by > s && part > 0 ? total + part * s : (total + part) * s;
			scaled_by = s;
			if (total > 1e15)
				return false;
			section = 0;
			digit = -1;
			unit = s;
			*scaled = true;
		}
		else if ((t->c[i] == 0x591A || t->c[i] == 0x6765) && i + 1 < t->n && HanScale(t->c[i + 1]) > 0 && unit > 0)
			continue;			/* and some more */
		else
			break;
	}
	if (digit >= 0)
		section += unit >= 100 && digit > 0 && digit < 10 && HanDigit(t->c[i - 1]) >= 0 && HanDigit(t->c[i - 2]) < 0 ? digit * unit / 10 : digit;
	*value = total + section;
	*end = i;
	return i > at;
}

/* Arabic digits, with commas between thousands and a decimal point. *digits: how many. */
static bool
Digits(const Letters *t, int at, double *value, int *digits, bool *commas, int *end)
{
	double		v = 0;
	int			i = at;
	int			n = 0;

	*commas = false;
	if (!IsDigit(t->c[at]))
		return false;
	for (; i < t->n; i++)
	{
		if (IsDigit(t->c[i]))
		{
			v = v * 10 + (t->c[i] - '0');
			n++;
			if (n > 18)
				return false;
		}
		else if (t->c[i] == ',' && n > 0 && (n <= 3 || *commas) && i + 3 < t->n && IsDigit(t->c[i + 1]) && IsDigit(t->c[i + 2]) && IsDigit(t->c[i + 3]) &&
				 !IsDigit(t->c[i + 4]))
			*commas = true;
		else
			break;
	}
	if (i + 1 < t->n && t->c[i] == '.' && IsDigit(t->c[i + 1]))
	{
		double		place = 0.1;

		for (i++; i < t->n && IsDigit(t->c[i]); i++, place /= 10)
			v += (t->c[i] - '0') * place;
		*commas = true;			/* no number of an order */
		if (i < t->n && t->c[i] == '.' && IsDigit(t->c[i + 1]))
			return false;		/* a version, an address */
	}
	*value = v;
	*digits = n;
	*end = i;
	return true;
}

/* Parts and a few of a large number: half a million, a couple hundred thousand */
static bool
PartOfScale(const Letters *t, int at, double *value, int *end)
{
	static const struct
	{
		const char *word;
		double		value;
	}			parts[] = {
		{"half a ", 0.5}, {"half-a-", 0.5}, {"a quarter of a ", 0.25}, {"a quarter ", 0.25},
		{"three quarters of a ", 0.75}, {"a couple of ", 2}, {"a couple ", 2}, {"couple of ", 2}, {"couple ", 2}
	},			scales[] = {
		{"million", 1e6}, {"mil", 1e6}, {"billion", 1e9}, {"hundred thousand", 1e5}, {"hundred grand", 1e5}
	};
	int			i;

	for (int p = 0; p < lengthof(parts); p++)
		for (int k = 0; WordAt(t, at, parts[p].word, &i) && k < lengthof(scales); k++)
			if (WordAt(t, i, scales[k].word, end))
			{
				*value = parts[p].value * scales[k].value;
				return true;
			}
	return false;
}

/* English words for numbers: twenty-five thousand, half a million, a hundred thousand. */
static bool
WordNumber(const Letters *t, int at, double *value, bool *scaled, int *end)
{
	static const struct
	{
		const char *word;
		double		value;
	}			words[] = {
		{"one", 1}, {"two", 2}, {"three", 3}, {"four", 4}, {"five", 5}, {"six", 6}, {"seven", 7}, {"eight", 8}, {"nine", 9}, {"ten", 10},
		{"eleven", 11}, {"twelve", 12}, {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17},
		{"eighteen", 18}, {"nineteen", 19}, {"twenty", 20}, {"thirty", 30}, {"forty", 40}, {"fifty", 50}, {"sixty", 60}, {"seventy", 70},
		{"eighty", 80}, {"ninety", 90}, {"hundred", 100}, {"thousand", 1e3}, {"grand", 1e3}, {"million", 1e6}, {"billion", 1e9}
	};
	double		total = 0;
	double		part = 0;
	int			i = at;
	int			n = 0;

	*scaled = false;
	if (PartOfScale(t, i, value, end))
		return *scaled = true;
	if (WordAt(t, i, "a ", end))
	{
		i = *end;
		if (!WordAt(t, i, "hundred", end) && !WordAt(t, i, "million", end))
			return false;
	}
	for (;;)
	{
		bool		more = false;

		for (int k = 0; k < lengthof(words); k++)
			if (WordAt(t, i, words[k].word, end))
			{
				double		v = words[k].value;

				if (v < 100)
					part += v;
				else if (v == 100)
					part = (part == 0 ? 1 : part) * 100;
				else
				{
					total += (part == 0 ? 1 : part) * v;
					part = 0;
					*scaled = true;
				}
				i = *end;
				n++;
				more = true;
				break;
			}
		if (!more || total > 1e15 || part > 1e6 || n > 12)
			break;
		*end = i;
		if (i < t->n && (t->c[i] == '-' || t->c[i] == ' '))
			i++;
		if (WordAt(t, i, "and ", end))
			i = *end;
	}
	while (i > at && (t->c[i - 1] == ' ' || t->c[i - 1] == '-'))
		i--;
	*end = i;
	*value = total + part;
	return n > 0;
}

/* Is this a currency that stands before, or after, a number? */
static const char *
CurrencyAt(const Letters *t, int at, bool before, int *end)
{
	static const struct
	{
		const char *word;
		const char *code;
	}			codes[] = {
		{"us$", "USD"}, {"usd", "USD"}, {"rmb", "CNY"}, {"cny", "CNY"}, {"eur", "EUR"}, {"gbp", "GBP"}, {"hkd", "HKD"}, {"jpy", "JPY"}, {"sgd", "SGD"},
		{"$", "USD"}
	},			after[] = {
		{"dollars", "USD"}, {"dollar", "USD"}, {"bucks", "USD"}, {"euros", "EUR"}, {"euro", "EUR"}, {"pounds", "GBP"}, {"yuan", "CNY"}, {"kuai", "CNY"}
	};
	static const struct
	{
		uint32		c[3];
		const char *code;
	}			han[] = {
		{{0x4EBA, 0x6C11, 0x5E01}, "CNY"}, {{0x7F8E, 0x5143}, "USD"}, {{0x7F8E, 0x91D1}, "USD"}, {{0x7F8E, 0x5200}, "USD"}, {{0x6B27, 0x5143}, "EUR"},
		{{0x82F1, 0x9551}, "GBP"}, {{0x6E2F, 0x5E01}, "HKD"}, {{0x6E2F, 0x5143}, "HKD"}, {{0x65E5, 0x5143}, "JPY"}, {{0x65B0, 0x5E01}, "SGD"},
		{{0x5757, 0x94B1}, "CNY"}, {{0x5143}, "CNY"}, {{0x5757}, "CNY"}
	};

	for (int k = 0; k < lengthof(codes); k++)
	{
		int			i = at;
		const char *p = codes[k].word;

		for (; *p != '\0' && i < t->n && t->c[i] == (uint32) *p; p++)
			i++;
		if (*p == '\0' && (i >= t->n || !IsWordLetter(t->c[i]) || (before && IsDigit(t->c[i])) || t->c[i - 1] == '$'))
		{
			*end = i;
			return codes[k].code;
		}
	}
	if (t->c[at] == 0xA5 || t->c[at] == 0x20AC || t->c[at] == 0xA3)
	{
		*end = at + 1;
		return t->c[at] == 0xA5 ? "CNY" : t->c[at] == 0x20AC ? "EUR" : "GBP";
	}
	for (int k = 0; !before && k < lengthof(after); k++)
		if (WordAt(t, at, after[k].word, end))
			return after[k].code;
	for (int k = 0; k < lengthof(han); k++)
	{
		int			i = 0;

		while (i < 3 && han[k].c[i] != 0 && at + i < t->n && t->c[at + i] == han[k].c[i])
			i++;
		if (i == 3 || han[k].c[i] == 0)
		{
			if (before && han[k].c[1] == 0)
				continue;
			*end = at + i;
			return han[k].code;
		}
	}
	return NULL;
}

/* The scale that follows a number: 万, w, 个w, k, million ... */
static double
ScaleAt(const Letters *t, int at, int *end)
{
	static const struct
	{
		const char *word;
		double		value;
	}			scales[] = {
		{"thousand", 1e3}, {"million", 1e6}, {"billion", 1e9}, {"grand", 1e3}, {"mil", 1e6}, {"mm", 1e6}, {"mn", 1e6}, {"bn", 1e9}, {"k", 1e3}, {"m", 1e6},
		{"w", 1e4}
	};
	double		v = 1;
	int			i = at;

	while (i < t->n && (t->c[i] == 0x591A || t->c[i] == 0x6765 || t->c[i] == 0x51E0) && i == at && i + 1 < t->n &&
		   (HanScale(t->c[i + 1]) > 0 || HanUnit(t->c[i + 1]) > 0))
		i++;
	while (i < t->n && (HanUnit(t->c[i]) > 10 || HanScale(t->c[i]) > 0) && v < 1e9)
	{
		v *= Max(HanUnit(t->c[i]), HanScale(t->c[i]));
		i++;
	}
	if (v > 1)
	{
		*end = i;
		return v;
	}
	if (at + 1 < t->n && t->c[at] == 0x4E2A)
	{
		if (t->c[at + 1] == 0x4EBF)
		{
			*end = at + 2;
			return 1e8;
		}
		if (WordAt(t, at + 1, "w", end))
			return 1e4;
	}
	for (int k = 0; k < lengthof(scales); k++)
	{
		/* words may stand apart, single letters may not, but for the m that is no metre */
		int			from = strlen(scales[k].word) > 2 ? SkipSpaces(t, at) : at;

		if (WordAt(t, from, scales[k].word, end))
			return scales[k].value;
	}
	return 1;
}

/* Of whom or what there are so many: no money. */
static bool
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

	if (i >= t->n)
		return false;
	if (t->c[i] == '%' || t->c[i] == 0x2030 || (t->c[i] == 0x7528 && t->c[i + 1] == 0x6237))
		return true;
	for (int k = 0; k < lengthof(han); k++)
		if (t->c[i] == han[k])
			return true;
	/* an adjective may stand between */
	for (int tries = 0; tries < 2 && i < t->n && t->c[i] >= 'a' && t->c[i] <= 'z'; tries++)
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

/* Per month, per seat, each: a price and no budget */
static bool
Each(const Letters *t, int at)
{
	int			i = SkipSpaces(t, at);
	int			end;

	if (i >= t->n)
		return false;
	if (t->c[i] == '/' || t->c[i] == 0x6BCF)
	{
		int			j = SkipSpaces(t, i + 1);

		/* a year's money is a budget */
		return !(t->c[j] == 0x5E74 || WordAt(t, j, "year", &end) || WordAt(t, j, "yr", &end));
	}
	return WordAt(t, i, "each", &end) || WordAt(t, i, "apiece", &end) ||
		((WordAt(t, i, "per ", &end) || WordAt(t, i, "a ", &end)) && !WordAt(t, end, "year", &end) && t->c[end] >= 'a' &&
		 (WordAt(t, end, "seat", &i) || WordAt(t, end, "user", &i) || WordAt(t, end, "month", &i) || WordAt(t, end, "unit", &i) || WordAt(t, end, "head", &i) ||
		  WordAt(t, end, "day", &i) || WordAt(t, end, "hour", &i) || WordAt(t, end, "person", &i) || WordAt(t, end, "license", &i)));
}

bool
SmallNumberAt(const Letters *t, int at, int *value, int *end)
{
	double		v;
	int			digits = 0;
	bool		odd = false;

	if (at >= t->n)
		return false;
	if (IsDigit(t->c[at]))
	{
		int			i = at;

		for (v = 0; i < t->n && IsDigit(t->c[i]) && digits < 5; i++, digits++)
			v = v * 10 + (t->c[i] - '0');
		*end = i;
	}
	else if (!HanNumber(t, at, &v, &odd, end) && !(t->c[at] >= 'a' && WordNumber(t, at, &v, &odd, end)))
		return false;
	if (odd || v > 9999 || digits > 4 || v != floor(v))
		return false;
	*value = (int) v;
	return true;
}

/* One number with its currency and scale. */
static bool
OneAmount(const Letters *t, int at, bool upper, Amount *a)
{
	const char *currency;
	int			i = at;
	int			end;
	bool		commas = false;

	memset(a, 0, sizeof(Amount));
	if (at > 0 && IsWordLetter(t->c[at]) && IsWordLetter(t->c[at - 1]))
		return false;
	currency = CurrencyAt(t, i, true, &end);
	if (currency != NULL)
		i = SkipSpaces(t, end);
	if (i >= t->n)
		return false;
	if (IsDigit(t->c[i]))
	{
		/* the rest of a number, a date or a name */
		if (!upper && currency == NULL && i > 0 && (t->c[i - 1] == '.' || t->c[i - 1] == '-' || t->c[i - 1] == '/' || t->c[i - 1] == '#' || t->c[i - 1] == '_') && i > 1 && IsWordLetter(t->c[i - 2]))
			return false;
		if (!Digits(t, i, &a->value, &a->digits, &commas, &end))
			return false;
	}
	else if (t->c[i] >= 'a' && t->c[i] <= 'z')
	{
		if (!WordNumber(t, i, &a->value, &a->scaled, &end))
			return false;
	}
	else if (!HanNumber(t, i, &a->value, &a->scaled, &end))
		return false;
	i = end;
	if (commas)
		a->digits = 0;
	if (!a->scaled || IsDigit(t->c[at]))
	{
		double		scale = ScaleAt(t, i, &end);

		if (scale > 1)
		{
			a->value *= scale;
			a->scaled = true;
			a->digits = 0;
			i = end;
			/* 3万5 */
			if (i < t->n && HanScale(t->c[i - 1]) > 0 && (IsDigit(t->c[i]) || HanDigit(t->c[i]) > 0) &&
				(i + 1 >= t->n || (!IsDigit(t->c[i + 1]) && t->c[i + 1] != '.' && HanDigit(t->c[i + 1]) < 0 && HanUnit(t->c[i + 1]) == 0 && HanScale(t->c[i + 1]) == 0)))
			{
				a->value += (IsDigit(t->c[i]) ? (int) t->c[i] - '0' : HanDigit(t->c[i])) * scale / 10;
				i++;
			}
			/* 1亿2000万, 3万5千 */
			else if (i < t->n && HanScale(t->c[i - 1]) > 0)
			{
				double		rest,
							less;
				int			n,
							after;
				bool		ignored;

				if ((IsDigit(t->c[i]) ? Digits(t, i, &rest, &n, &ignored, &after) : HanDigit(t->c[i]) > 0 && HanNumber(t, i, &rest, &ignored, &after) && !ignored) &&
					(less = ScaleAt(t, after, &after)) > 1 && rest * less < scale)
				{
					a->value += rest * less;
					i = after;
				}
			}
		}
	}
	/* 30多万 has its scale; 30万多 is 30万 */
	if (i < t->n && (t->c[i] == '+' || t->c[i] == 0x591A))
		i++;
	a->named = currency != NULL;
	end = i;
	if (currency == NULL)
	{
		currency = CurrencyAt(t, SkipSpaces(t, i), false, &end);
		a->named = currency != NULL;
		if (currency != NULL)
			i = end;
	}
	if (currency == NULL && a->scaled && (HanScale(t->c[i - 1]) > 0 || HanScale(t->c[Max(i - 2, 0)]) > 0 || t->c[i - 1] == 'w' || HanUnit(t->c[i - 1]) > 0))
		currency = "CNY";
	if (currency != NULL)
		strlcpy(a->currency, currency, sizeof(a->currency));
	/* the number goes on in a word */
	if (!a->named && i < t->n && IsWordLetter(t->c[i]) && IsWordLetter(t->c[i - 1]))
		return false;
	a->counted = !a->named && Counted(t, i);
	a->each = Each(t, i);
	a->end = i;
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
	if (i >= t->n || !OneAmount(t, i, true, &upper) || upper.value <= a->value || (!upper.scaled && !upper.named) || upper.counted)
		return true;
	if (!upper.named)
		strlcpy(upper.currency, a->currency[0] != '\0' ? a->currency : upper.currency, sizeof(upper.currency));
	upper.named |= a->named;
	*a = upper;
	return true;
}
