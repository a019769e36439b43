/*
 * token.h
 *	  What extract.c sees of a text: sums, dates, roles, names, and cues such as 预算 or "signs off", each with its sentence.
 */
#ifndef REVOPS_TEXT_TOKEN_H
#define REVOPS_TEXT_TOKEN_H

#include "text/extract.h"

typedef enum TokenKind
{
	TOKEN_AMOUNT,
	TOKEN_WHEN,
	TOKEN_COMPETITOR,
	TOKEN_ROLE,
	TOKEN_TITLE,				/* follows a surname: 王总 */
	TOKEN_NAME,
	CUE_BUDGET,
	CUE_PRICE,
	CUE_NUMBER,					/* of an order, a telephone */
	CUE_PLAN,
	CUE_MEET,
	CUE_DECIDE,
	CUE_MAY_DECIDE,
	CUE_COMPARE,
	CUE_NOT,
	CUE_ASK,
	CUE_PAST,
	CUE_EACH,					/* of a month, a seat */
	CUE_PLAIN					/* a word that hides others in it */
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	int			from;
	int			to;
	int			sentence;
	int			n;				/* amount, date or competitor */
} Token;

typedef struct Walk
{
	const Letters *text;
	int			ntokens;
	Token		token[EXTRACT_MAX_TOKENS];
	int			namounts;
	Amount		amount[EXTRACT_MAX_VALUES];
	int			nwhens;
	When		when[EXTRACT_MAX_VALUES];
	bool		asked[EXTRACT_MAX_TOKENS];	/* the sentence of that number is a question; those beyond count as none */
} Walk;

/* Fill the tokens of s->text, in its order. competitors may be NULL. */
extern void Tokenize(Walk *s, int today, const Trie *competitors);

/* Is there a cue, a role or a title at a place? A surname? */
extern bool IsCue(const Letters *t, int at);
extern bool IsSurname(const Letters *t, int at);

#endif							/* REVOPS_TEXT_TOKEN_H */
