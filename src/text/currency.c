/*
 * currency.c
 *	  Names of currencies, before and after a sum: $, HK$, USD, 澳元, Canadian dollars. One that is named but not known is told as such.
 */
#include "text/amount.h"

#include "mb/pg_wchar.h"
#include "text/fold.h"

typedef struct Currency
{
	const char *word;
	const char *code;
} Currency;

/* before a sum, or after it */
static const Currency codes[] = {
	{"us$", "USD"}, {"us $", "USD"}, {"usd", "USD"}, {"hk$", "HKD"}, {"hk $", "HKD"}, {"hkd$", "HKD"}, {"hkd", "HKD"}, {"au$", "AUD"}, {"a$", "AUD"}, {"aud", "AUD"},
	{"ca$", "CAD"}, {"c$", "CAD"}, {"cad", "CAD"}, {"s$", "SGD"}, {"sg$", "SGD"}, {"sgd", "SGD"}, {"nt$", "TWD"}, {"nt $", "TWD"}, {"ntd", "TWD"}, {"twd", "TWD"},
	{"nz$", "NZD"}, {"nz $", "NZD"}, {"nzd", "NZD"}, {"r$", "BRL"}, {"brl", "BRL"}, {"mx$", "MXN"}, {"mxn", "MXN"}, {"rmb", "CNY"}, {"cny", "CNY"}, {"cn¥", "CNY"},
	{"jp¥", "JPY"}, {"jpy", "JPY"}, {"eur", "EUR"}, {"gbp", "GBP"}, {"chf", "CHF"}, {"krw", "KRW"}, {"inr", "INR"}, {"sek", "SEK"}, {"nok", "NOK"}, {"dkk", "DKK"},
	{"thb", "THB"}, {"myr", "MYR"}, {"aed", "AED"}, {"usdt", ""}, {"usdc", ""}, {"btc", ""}
};

static const Currency signs[] = {
	{"$", "USD"}, {"¥", "CNY"}, {"€", "EUR"}, {"£", "GBP"}, {"₩", "KRW"}, {"₹", "INR"}, {"₽", "RUB"}, {"฿", "THB"}
};

/* after a sum */
static const Currency words[] = {
	{"dollar", "USD"}, {"dollars", "USD"}, {"bucks", "USD"}, {"euros", "EUR"}, {"euro", "EUR"}, {"pounds", "GBP"}, {"quid", "GBP"}, {"yuan", "CNY"}, {"renminbi", "CNY"},
	{"kuai", "CNY"}, {"yen", "JPY"}, {"korean won", "KRW"}, {"swiss francs", "CHF"}, {"swiss franc", "CHF"}, {"rupees", "INR"}, {"baht", "THB"}, {"reais", "BRL"}
};

static const Currency dollars[] = {
	{"us", "USD"}, {"u.s.", "USD"}, {"american", "USD"}, {"hong kong", "HKD"}, {"hk", "HKD"}, {"australian", "AUD"}, {"aussie", "AUD"}, {"canadian", "CAD"},
	{"singapore", "SGD"}, {"new zealand", "NZD"}, {"new taiwan", "TWD"}, {"taiwan", "TWD"}
};

/* the longest that stands counts; those of one character follow a sum only, and words that only look like them are no currency */
static const Currency han[] = {
	{"人民币", "CNY"}, {"块钱", "CNY"}, {"元", "CNY"}, {"块", "CNY"}, {"圆", "CNY"}, {"美元", "USD"}, {"美金", "USD"}, {"美刀", "USD"}, {"刀", "USD"}, {"欧元", "EUR"}, {"欧", "EUR"},
	{"英镑", "GBP"}, {"镑", "GBP"}, {"港币", "HKD"}, {"港元", "HKD"}, {"港纸", "HKD"}, {"日元", "JPY"}, {"日币", "JPY"}, {"日圆", "JPY"}, {"円", "JPY"}, {"韩元", "KRW"}, {"韩币", "KRW"},
	{"韩圆", "KRW"}, {"新币", "SGD"}, {"坡币", "SGD"}, {"新元", "SGD"}, {"新加坡元", "SGD"}, {"新加坡币", "SGD"}, {"新台币", "TWD"}, {"台币", "TWD"}, {"澳元", "AUD"}, {"澳币", "AUD"}, {"澳刀", "AUD"},
	{"澳大利亚元", "AUD"}, {"加元", "CAD"}, {"加币", "CAD"}, {"加刀", "CAD"}, {"加拿大元", "CAD"}, {"加拿大币", "CAD"}, {"纽币", "NZD"}, {"纽元", "NZD"}, {"新西兰元", "NZD"}, {"瑞郎", "CHF"},
	{"瑞士法郎", "CHF"}, {"澳门元", "MOP"}, {"澳门币", "MOP"}, {"葡币", "MOP"}, {"泰铢", "THB"}, {"卢布", "RUB"}, {"卢比", "INR"}, {"马币", "MYR"}, {"林吉特", "MYR"}, {"越南盾", "VND"}, {"雷亚尔", "BRL"},
	{"法郎", ""}, {"比索", ""}, {"克朗", ""}, {"元旦", NULL}, {"元器", NULL}, {"新元素", NULL}, {"元宵", NULL}, {"块钱包", NULL}, {"刀具", NULL}, {"刀片", NULL}, {"欧洲", NULL}, {"欧美", NULL}, {"欧盟", NULL}
};

static bool
Stands(const Letters *t, int at, const char *word, int *end)
{
	const char *stop = word + strlen(word);

	while (word < stop && at < t->n && t->c[at] == utf8_to_unicode((const unsigned char *) word))
	{
		word += Utf8Length(word, stop);
		at++;
	}
	*end = at;
	return word == stop;
}

/* A code ends as a word, or at the digits of its sum */
static const char *
CodeAt(const Letters *t, int at, bool before, int *end)
{
	for (int k = 0; k < lengthof(codes); k++)
		if ((uint32) codes[k].word[0] == t->c[at] && Stands(t, at, codes[k].word, end) &&
			(!IsWordLetter(t->c[*end]) || (before && IsDigit(t->c[*end])) || !IsWordLetter(t->c[*end - 1])))
			return codes[k].code;
	return NULL;
}

static const char *
SignAt(const Letters *t, int at, int *end)
{
	if (t->c[at] != '$' && t->c[at] < 0x80)
		return NULL;
	for (int k = 0; k < lengthof(signs); k++)
		if (Stands(t, at, signs[k].word, end))
			return signs[k].code;
	return NULL;
}

const char *
DollarsOf(const Letters *t, int at, int *end)
{
	for (int k = 0; k < lengthof(dollars); k++)
		if (WordAt(t, at, dollars[k].word, end))
			return dollars[k].code;
	return NULL;
}

/* Some dollars are named by their country */
static const char *
WordsAt(const Letters *t, int at, int *end)
{
	const char *code;

	for (int k = 0; k < lengthof(words); k++)
		if (WordAt(t, at, words[k].word, end))
			return words[k].code;
	code = DollarsOf(t, at, end);
	return code != NULL && (WordAt(t, *end, " dollars", end) || WordAt(t, *end, " dollar", end)) ? code : NULL;
}

/* A Chinese name, the longest. One that ends in 元 or 币 and is not known is a currency too. */
static const char *
HanCurrency(const Letters *t, int at, bool before, int *end)
{
	const char *code = NULL;
	int			longest = before ? 1 : 0;	/* of one character: not before */
	int			here;

	*end = at;
	for (int k = 0; k < lengthof(han); k++)
		if (Stands(t, at, han[k].word, &here) && here - at > longest)
		{
			code = han[k].code;
			longest = here - at;
			*end = here;
		}
	if (before || *end > at)
		return code;
	for (int i = at; i < at + 4 && IsHan(t->c[i]); i++)
		if (i > at && (t->c[i] == 0x5E01 || (t->c[i] == 0x5143 && i < at + 3 && !Stands(t, i, "元旦", end) && !Stands(t, i, "元器", end) && t->c[i - 1] != 0x5355 && t->c[i - 1] != 0x591A)))
		{
			*end = i + 1;
			return "";
		}
	return NULL;
}

const char *
CurrencyBefore(const Letters *t, int at, bool *symbol, int *end)
{
	const char *code = CodeAt(t, at, true, end);
	int			i;

	*symbol = false;
	if (code == NULL && IsHan(t->c[at]))
		code = HanCurrency(t, at, true, end);
	if (code != NULL)
	{
		/* USD $50k */
		i = SkipSpaces(t, *end);
		(void) SignAt(t, i, &i);
		if (i > *end && !IsDigit(t->c[i - 1]) && t->c[i - 1] != ' ')
			*end = i;
		return code;
	}
	code = SignAt(t, at, end);
	/* letters before it make it another dollar */
	if (code != NULL && at > 0 && t->c[at - 1] >= 'a' && t->c[at - 1] <= 'z')
		return "";
	*symbol = code != NULL;
	return code;
}

const char *
CurrencyAfter(const Letters *t, int at, int *end)
{
	const char *code;

	if (at >= t->n)
		return NULL;
	if ((code = CodeAt(t, at, false, end)) != NULL || (code = SignAt(t, at, end)) != NULL)
		return code;
	return IsHan(t->c[at]) ? HanCurrency(t, at, false, end) : WordsAt(t, at, end);
}
