/*
 * extract.c
 *	  What a text says of a deal: sums and dates (amount.c, when.c), people who decide, competitors, each with the words around it that make it so.
 *
 * The text is taken apart into tokens (token.c). A value is a token with a confidence that its sentence's cues give it. What stays below LEAST is not
 * told.
 */
#include "text/amount.h"
#include "text/token.h"
#include "text/when.h"

#include "utils/datetime.h"

#define LEAST			0.4
#define NEAR_HAN		14		/* characters between a cue and what it speaks of */
#define NEAR_LATIN		48
#define AROUND			12		/* tokens before and after one that decides */

/* How far two tokens lie from each other, in characters of Chinese; a large number where they are of two sentences */
static double
Distance(const Walk *s, const Token *a, const Token *b)
{
	int			from = Min(a->to, b->to);
	int			to = Max(a->from, b->from);

	if (a->sentence != b->sentence)
		return 1e6;
	if (to <= from)
		return 0;
	if (to - from > 2 * NEAR_LATIN)
		return to - from;
	for (int i = from; i < to; i++)
		if (IsHan(s->text->c[i]))
			return to - from;
	return (double) (to - from) * NEAR_HAN / NEAR_LATIN;
}

/* The nearest token of a kind: its distance; *found is it. before: only such as stand before. */
static double
Nearest(const Walk *s, const Token *a, TokenKind kind, bool before, const Token **found)
{
	double		best = 1e6;

	*found = NULL;
	/* tokens are in the order of the text: look both ways no further than the sentence */
	for (const Token *b = a - 1; b >= s->token && b->sentence == a->sentence; b--)
		if (b->kind == kind)
		{
			best = Distance(s, a, b);
			*found = b;
			break;
		}
	for (const Token *b = a + 1; !before && b < s->token + s->ntokens && b->sentence == a->sentence; b++)
		if (b->kind == kind)
		{
			double		d = Distance(s, a, b);

			if (d < best)
			{
				best = d;
				*found = b;
			}
			break;
		}
	return best;
}

static bool
Asked(const Walk *s, const Token *a)
{
	const Token *ask;

	return (a->sentence < EXTRACT_MAX_TOKENS && s->asked[a->sentence]) || Nearest(s, a, CUE_ASK, false, &ask) < 8;
}

static void
Put(Extracted *values, int *n, ExtractKind field, double confidence, int from, int to)
{
	Extracted  *v = &values[(*n)++];

	memset(v, 0, sizeof(Extracted));
	v->field = field;
	v->confidence = rint(confidence * 100) / 100;
	v->from = from;
	v->to = to;
}

/* Does a comma or a "but" stand between? */
static bool
Parted(const Letters *t, int from, int to)
{
	int			end;

	for (int i = from; i < to; i++)
		if (t->c[i] == ',' || SaysOne(t, i, "但|而是| but ", &end) >= 0)
			return true;
	return false;
}

/* 不到50万, 不能超过, cannot exceed: a bound and no negation; 不含税 */
static bool
Bounds(const Letters *t, const Token *not)
{
	int			end;

	return SaysOne(t, not->from, "不到|不足|不超|不能超|不会超|不要超|不得超|不可超|不应超|没超|没有超|没到|还没到|不低于|不少于|不小于|不高于|不多于|不大于|不止|不只|不下|不含|不包|不算", &end) >= 0 ||
		SaysOne(t, SkipSpaces(t, not->to), "exceed|exceeding|to exceed|go over|go above|go beyond|be over|be more than|spend more than|more than|less than|over|above|including|include", &end) >= 0;
}

/* Is a sum denied? By a negation close before it; in one clause, by one before the word of budgets or between the two. cue: that word, or NULL */
static bool
Denied(const Walk *s, const Token *k, const Token *cue)
{
	const Letters *t = s->text;
	const Token *first = cue != NULL && cue->from < k->from ? cue : k;
	const Token *last = cue != NULL && cue->from > k->from ? cue : k;

	for (const Token *b = last - 1; b >= s->token && b->sentence == k->sentence; b--)
	{
		bool		han = IsHan(t->c[b->from]);
		int			end;

		if (b->from < first->from && Distance(s, b, first) > NEAR_HAN)
			break;
		if (b->kind != CUE_NOT || Bounds(t, b))
			continue;
		if (b->from < k->from && Distance(s, b, k) <= 3)
			return true;
		if (cue == NULL || Parted(t, Min(b->from, first->from), Max(b->to, k->from)))
			continue;
		if (b->from > first->from)
			return true;
		/* 无 and 不 begin many other words */
		if (Distance(s, b, first) <= (han ? 3 : 9) && (!han || SaysOne(t, b->from, "没|还没|并非|不是", &end) >= 0))
			return true;
	}
	return false;
}

/* Is a sum said, before it, to be that of each month or seat? */
static bool
OfEach(const Walk *s, const Token *k, const Token *cue)
{
	for (const Token *b = k - 1; b >= s->token && b->sentence == k->sentence && b->kind != TOKEN_AMOUNT; b--)
		if (b->kind == CUE_EACH)
			return !Parted(s->text, b->to, k->from) && (Distance(s, b, k) <= 5 || (cue != NULL && (cue->from < b->from || Distance(s, b, cue) <= 5)));
	return false;
}

/* Is the sum what goes beyond the budget, or lacks of it? 超预算10万, 预算还差20万, over budget by 10k */
static bool
OfExcess(const Walk *s, const Token *k, const Token *cue)
{
	const Letters *t = s->text;
	int			end;

	if (cue == NULL || cue->from > k->from)
		return false;
	for (int back = 1; back <= 9 && back <= cue->from; back++)
		if (SaysOne(t, cue->from - back, "超|超出|超过|超了|over |over our |over the |above |exceed |exceeds ", &end) >= 0 && end == cue->from)
			return true;
	return SaysOne(t, SkipSpaces(t, cue->to), "缺口|还差|还缺|超了|超支|超出|gap|shortfall|overrun", &end) >= 0;
}

/* Is it what another sum of the sentence has taken the place of? 从20万增加到35万 */
static bool
OfBefore(const Walk *s, const Token *k)
{
	const Letters *t = s->text;
	int			end;

	for (int back = 1; back <= 5 && back <= k->from; back++)
		if (SaysOne(t, k->from - back, "从|由|原来|原定|from |from the ", &end) >= 0 && SkipSpaces(t, end) == k->from)
			return true;
	return false;
}

static void
Budget(const Walk *s, const Token *k, Extracted *values, int *n)
{
	const Amount *a = &s->amount[k->n];
	const Token *cue,
			   *price,
			   *number,
			   *past;
	double		budget = Nearest(s, k, CUE_BUDGET, false, &cue);
	double		near_price = Nearest(s, k, CUE_PRICE, false, &price);
	double		near_number = Nearest(s, k, CUE_NUMBER, true, &number);
	double		confidence;
	bool		meant = budget <= NEAR_HAN && budget <= near_price + 2;

	if (budget > NEAR_HAN)
		cue = NULL;
	if (a->counted || a->each || OfEach(s, k, cue) || OfExcess(s, k, cue))
		return;
	/* a bare number is a sum only next to the word, and never a long one, a year, or one of an order */
	if (!a->named && !a->scaled && (!meant || budget > 8 || a->digits > 8 || a->value < 1000 || near_number < budget || (a->digits == 4 && a->value >= 1990 && a->value <= 2100)))
		return;
	if (!a->named && near_number <= 4)
		return;
	if (near_price <= NEAR_HAN && !meant)
		return;
	confidence = meant ? (a->named || a->scaled ? 0.9 : 0.7) : a->value < 10000 ? 0 : a->named ? 0.5 : IsHan(s->text->c[k->to - 1]) ? LEAST : 0;
	if (Asked(s, k))
		confidence *= 0.6;
	if (Denied(s, k, cue))
		confidence *= 0.4;
	if (OfBefore(s, k))
		confidence *= 0.5;
	if (Nearest(s, k, CUE_PAST, false, &past) <= NEAR_HAN)
		confidence *= 0.5;
	if (confidence < LEAST)
		return;
	Put(values, n, EXTRACT_BUDGET, confidence, k->from, k->to);
	snprintf(values[*n - 1].value, EXTRACT_MAX_VALUE, a->value == floor(a->value) ? "%.0f%s%s" : "%.2f%s%s", a->value, a->currency[0] != '\0' ? " " : "", a->currency);
}

static void
Timeline(const Walk *s, const Token *k, Extracted *values, int *n)
{
	const When *w = &s->when[k->n];
	const Token *plan,
			   *meet,
			   *past;
	double		near_plan = Min(Min(Nearest(s, k, CUE_PLAN, false, &plan), Nearest(s, k, CUE_MAY_DECIDE, false, &plan)), Nearest(s, k, CUE_DECIDE, false, &plan));
	double		near_meet = Nearest(s, k, CUE_MEET, false, &meet);
	double		confidence = w->vague ? 0.3 : 0.5;
	int			y,
				m,
				d;

	if (w->past || w->last - w->first > 3 * 366)
		return;
	if (near_plan <= NEAR_HAN && near_plan <= near_meet + 2)
		confidence += 0.25;
	else if (near_meet <= NEAR_HAN)
		confidence -= 0.25;
	if (w->deadline)
		confidence += 0.15;
	if (Nearest(s, k, CUE_PAST, false, &past) <= 6)
		confidence -= 0.3;
	if (OfBefore(s, k))
		confidence *= 0.5;
	if (Asked(s, k))
		confidence *= 0.7;
	if (confidence < LEAST)
		return;
	Put(values, n, EXTRACT_TIMELINE, confidence, k->from, k->to);
	j2date(w->last, &y, &m, &d);
	snprintf(values[*n - 1].value, EXTRACT_MAX_VALUE, "%04d-%02d-%02d", y, m, d);
}

/* A Chinese full name that ends just before a cue: its first character, else -1 */
static int
FullNameBefore(const Walk *s, const Token *cue)
{
	const Letters *t = s->text;

	for (int len = 3; len >= 2; len--)
	{
		int			at = cue->from - len;
		bool		han = at >= 0;

		for (int i = Max(at, 0); han && i < cue->from; i++)
			han = IsHan(t->c[i]);
		if (!han || !IsSurname(t, at) || IsCue(t, at) || IsCue(t, at + 1) || (len == 3 && IsCue(t, at + 2)))
			continue;
		if (cue > s->token && cue[-1].to > at)
			continue;
		return at;
	}
	return -1;
}

/* 找, 由, 让, 请, 给, 要, 是: who comes after them is asked */
static bool
IsAsker(const Letters *t, int at)
{
	static const uint32 askers[] = {0x627E, 0x7531, 0x8BA9, 0x8BF7, 0x7ED9, 0x8981, 0x662F, 0x7B49};

	for (int k = 0; at >= 0 && k < lengthof(askers); k++)
		if (t->c[at] == askers[k])
			return true;
	return false;
}

static void
DecisionMaker(const Walk *s, const Token *cue, Extracted *values, int *n)
{
	const Token *who = NULL;
	const Token *not;
	double		best = NEAR_HAN + 0.5;
	double		confidence = cue->kind == CUE_DECIDE ? 0.8 : 0.5;
	int			from,
				to;
	const Token *a;
	bool		han = IsHan(s->text->c[cue->from]);
	int			full = -1;

	for (a = Max(cue - AROUND, s->token); a < Min(cue + AROUND, s->token + s->ntokens); a++)
	{
		double		d;

		if (a->sentence != cue->sentence || (a->kind != TOKEN_ROLE && a->kind != TOKEN_NAME))
			continue;
		/* a capital alone may begin any word: a name stands right at the cue, or at a role */
		d = Distance(s, a, cue) + (a->from > cue->from && han ? 3 : 0);
		if (a->kind == TOKEN_NAME && a->n == 0 && d > 3.5 &&
			!((a > s->token && a[-1].kind == TOKEN_ROLE && a->from - a[-1].to <= 2) || (a + 1 < s->token + s->ntokens && a[1].kind == TOKEN_ROLE && a[1].from - a->to <= 10)))
			continue;
		if (d < best)
		{
			best = d;
			who = a;
		}
	}
	if (han)
		full = FullNameBefore(s, cue);
	/* 张伟 by itself must be said to decide; after a role, or 找 and the like, a signature will do */
	if (full >= 0 && cue->kind != CUE_DECIDE && !(cue > s->token && cue[-1].kind == TOKEN_ROLE && cue[-1].to == full) && !IsAsker(s->text, full - 1))
		full = -1;
	if (who == NULL && full < 0)
		return;
	if (full >= 0)
	{
		from = cue > s->token && cue[-1].kind == TOKEN_ROLE && cue[-1].to == full ? cue[-1].from : full;
		to = cue->from;
		confidence -= cue->kind == CUE_DECIDE ? 0.2 : from < full ? -0.1 : 0;
	}
	else
	{
		/* a role and a name side by side are one: 采购总监王总, CFO Jane Smith */
		from = who->from;
		to = who->to;
		if (who > s->token && (who[-1].kind == TOKEN_ROLE || who[-1].kind == TOKEN_NAME) && who[-1].sentence == who->sentence && from - who[-1].to <= (han ? 0 : 1))
			from = who[-1].from;
		if (who + 1 < s->token + s->ntokens && (who[1].kind == TOKEN_ROLE || who[1].kind == TOKEN_NAME) && who[1].sentence == who->sentence && who[1].from - to <= (han ? 0 : 1))
			to = who[1].to;
		if (who->kind == TOKEN_NAME || to - from > who->to - who->from)
			confidence += 0.1;
		if (Nearest(s, who, CUE_NOT, true, &not) <= 2)
			return;
		if (best > 8)
			confidence -= 0.15;
	}
	if (Nearest(s, cue, CUE_NOT, true, &not) <= 3 && !(cue->from > 0 && s->text->c[cue->from - 1] == ','))
		return;
	if (Asked(s, cue))
		confidence *= 0.5;
	if (confidence < LEAST)
		return;
	/* told once */
	for (int i = 0; i < *n; i++)
		if (values[i].field == EXTRACT_DECISION_MAKER && values[i].value_from == from && values[i].value_to == to)
		{
			values[i].confidence = Max(values[i].confidence, confidence);
			return;
		}
	Put(values, n, EXTRACT_DECISION_MAKER, confidence, Min(from, cue->from), Max(to, cue->to));
	values[*n - 1].value_from = from;
	values[*n - 1].value_to = to;
}

static void
Competitor(const Walk *s, const Token *k, Extracted *values, int *n)
{
	const Token *compare,
			   *not;
	double		confidence = 0.7;

	if (Nearest(s, k, CUE_COMPARE, false, &compare) <= NEAR_HAN || Nearest(s, k, CUE_PRICE, false, &compare) <= NEAR_HAN)
		confidence = 0.9;
	if (Nearest(s, k, CUE_NOT, true, &not) <= 3)
		confidence -= 0.25;
	for (int i = 0; i < *n; i++)
		if (values[i].field == EXTRACT_COMPETITOR && values[i].competitor == k->n)
		{
			values[i].confidence = Max(values[i].confidence, confidence);
			return;
		}
	Put(values, n, EXTRACT_COMPETITOR, confidence, k->from, k->to);
	values[*n - 1].competitor = k->n;
}

int
ExtractFields(const Letters *text, int today, const Trie *competitors, Extracted *values)
{
	static Walk s;
	int			n = 0;

	s.text = text;
	Tokenize(&s, today, competitors);
	for (int i = 0; i < s.ntokens && n < EXTRACT_MAX_VALUES; i++)
		switch (s.token[i].kind)
		{
			case TOKEN_AMOUNT:
				Budget(&s, &s.token[i], values, &n);
				break;
			case TOKEN_WHEN:
				Timeline(&s, &s.token[i], values, &n);
				break;
			case CUE_DECIDE:
			case CUE_MAY_DECIDE:
				DecisionMaker(&s, &s.token[i], values, &n);
				break;
			case TOKEN_COMPETITOR:
				Competitor(&s, &s.token[i], values, &n);
				break;
			default:
				break;
		}
	return n;
}
