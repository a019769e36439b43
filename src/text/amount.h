/*
 * amount.h
 *	  What sums of money are made of: numbers (number.c) and the names of currencies (currency.c).
 */
#ifndef REVOPS_TEXT_AMOUNT_H
#define REVOPS_TEXT_AMOUNT_H

#include "text/extract.h"

typedef enum NumberKind
{
	NUMBER_NONE,				/* none begins here */
	NUMBER_UNREADABLE,			/* one does whose value cannot be told: nothing up to its end is a number of its own */
	NUMBER_READ
} NumberKind;

typedef struct Number
{
	double		value;
	bool		scaled;			/* by 万, k, million ... */
	bool		han;			/* the scale is Chinese, or w */
	int			digits;			/* of a plain number, else 0 */
	int			end;
} Number;

/* number.c: the whole number that begins at a place, with its scales. money: a currency stands before it. */
extern NumberKind NumberAt(const Letters *t, int at, bool money, Number *number);

/* Arabic digits, with marks between thousands and a decimal point. *digits: how many, 0 where it is no number of an order. */
extern bool Digits(const Letters *t, int at, double *value, int *digits, int *end);

/* number_zh.c: a number in Chinese, "250" said short included. mixed: the digits may be Arabic, with spaces beside them. */
extern NumberKind HanNumber(const Letters *t, int at, bool mixed, Number *number);

/* Does a Chinese unit follow digits? */
extern bool HanFollows(const Letters *t, int at);

/* And some more, before a unit: 多, 来, 余, 几, + */
extern bool AndMore(uint32 c);

/* number_en.c: a number in digits or English words, and its smaller parts: 1 million 200 thousand, two thousand five hundred */
extern NumberKind EnglishNumber(const Letters *t, int at, bool money, Number *number);

/* Words below ten thousand: a hundred and fifty, nineteen hundred */
extern bool WordGroup(const Letters *t, int at, double *value, int *end);

/* The scales that follow a number: million, hundred thousand, k, w; 1: none. Letters may stand apart where they can be no unit of measure. */
extern double Scales(const Letters *t, int at, bool money, bool *han, int *end);

/* Does this ASCII text stand at a place, and end there as a word? */
extern bool WordAt(const Letters *t, int at, const char *word, int *end);

extern int	SkipSpaces(const Letters *t, int i);

/* currency.c: the code of the currency named at a place, "" where its code is not known, NULL where none is named. *symbol: by a sign that several share */
extern const char *CurrencyBefore(const Letters *t, int at, bool *symbol, int *end);
extern const char *CurrencyAfter(const Letters *t, int at, int *end);

/* Whose dollars, of a country that is named: $50k Canadian */
extern const char *DollarsOf(const Letters *t, int at, int *end);

/* amount.c: of whom or what there are so many, so no money */
extern bool Counted(const Letters *t, int at);

#endif							/* REVOPS_TEXT_AMOUNT_H */
