/*
 * extract.h
 *	  Values for fields of the record in what people write: budgets, dates, who decides, competitors. Knows no SQL.
 */
#ifndef REVOPS_TEXT_EXTRACT_H
#define REVOPS_TEXT_EXTRACT_H

#include "text/trie.h"

#define EXTRACT_MAX_VALUES		64	/* of one text; what follows does not count */
#define EXTRACT_MAX_TOKENS		2000
#define EXTRACT_MAX_VALUE		80

/* Days are Julian, as in date2j(). */

/* A sum of money, or a number that may be one */
typedef struct Amount
{
	double		value;
	char		currency[4];	/* "": none is named */
	bool		scaled;			/* by 万, k, million ... */
	bool		named;			/* its currency is said, not guessed */
	int			digits;			/* of a plain number, else 0 */
	bool		counted;		/* people, machines, days: no money */
	bool		each;			/* per month, per seat: a price */
	int			end;
} Amount;

/* amount.c: the sum that begins at a place */
extern bool AmountAt(const Letters *text, int at, Amount *amount);

/* number.c: a whole number in Chinese, in Arabic digits or in English, as dates have it: at most 9999 */
extern bool SmallNumberAt(const Letters *text, int at, int *value, int *end);

/* number_zh.c: the value of a Chinese digit; -1: it is none */
extern int	HanDigit(uint32 c);

/* A day or a span of days */
typedef struct When
{
	int			first;
	int			last;
	bool		deadline;		/* by, before, within */
	bool		vague;			/* today, tomorrow: said of many things */
	bool		part;			/* the beginning, middle or end of a span */
	bool		past;			/* said to be past, or no day at all */
	bool		feast;			/* what comes before it comes on an earlier day */
	int			end;
} When;

/* when.c, with when_zh.c and when_en.c: the date that begins at a place, seen from a day */
extern bool WhenAt(const Letters *text, int at, int today, When *when);

typedef enum ExtractKind
{
	EXTRACT_BUDGET,
	EXTRACT_TIMELINE,
	EXTRACT_DECISION_MAKER,
	EXTRACT_COMPETITOR
} ExtractKind;

typedef struct Extracted
{
	ExtractKind field;
	double		confidence;
	int			from;			/* the words that say it */
	int			to;
	char		value[EXTRACT_MAX_VALUE];	/* of budget and timeline */
	int			competitor;		/* its number in the trie of competitors */
	int			value_from;		/* of the decision maker: the words that are the value */
	int			value_to;
} Extracted;

/* extract.c: the values that a text shows, in its order. competitors may be NULL. */
extern int	ExtractFields(const Letters *text, int today, const Trie *competitors, Extracted *values);

#endif							/* REVOPS_TEXT_EXTRACT_H */
