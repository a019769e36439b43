/*
 * expression.h
 *	  What a matcher is made of: for matcher.c, which makes it, and look.c, which looks with it.
 */
#ifndef REVOPS_TEXT_EXPRESSION_H
#define REVOPS_TEXT_EXPRESSION_H

#include "text/pattern.h"

#include <hs/hs.h>

#include "text/automaton.h"
#include "text/literal.h"

/* A pattern that an expression is looked for */
typedef struct User
{
	int			pattern;
	bool		second;			/* the word near it */
	int			nlonger;		/* a spelt one: the texts of it that end in this one, */
	Str		   *longer;			/* since the leftmost start counts */
} User;

/* What is looked for, and for whom */
typedef struct Expression
{
	const char *source;			/* of a literal: the text itself */
	int			len;			/* of a literal, in bytes */
	int			database;		/* of a regular expression that the library looks for; else -1 */
	const Automaton *automaton; /* of one that our own code looks for; NULL: a literal, or the library's */
	bool		border;			/* no match begins or ends inside a word */
	bool		exact;			/* a literal whose spaces are one each */
	int			nusers;
	User	   *users;
	User		first;			/* where there is one only */
	int			most;			/* matches that count in a text */
	int			hits;			/* in the last look that found it ... */
	uint64		look;			/* ... which was this one */
} Expression;

/* What the library looks for together */
typedef struct Database
{
	hs_database_t *compiled;
	int			nexpressions;
	int			first;			/* regular expression */
	int			needs;			/* what a text must have, as PatternNeeds() says; 0 where its expressions have factors */
	uint64		look;			/* the last look in which it was due */
} Database;

/* A regular expression that has factors */
typedef struct Factored
{
	int			database;		/* of the library; -1: our own code looks for it */
	int			expression;
	int			width;			/* the most bytes of its match; 0: any number; */
	int			before;			/* and before a factor of the last set */
	int			nsets;			/* of factors */
	int			end;			/* where the first one of the first set ends ... */
	uint64		look;			/* ... by this look */
	int			from;			/* the part of the text around factors that is yet to be looked through ... */
	int			to;
	uint64		due;			/* ... by this look */
} Factored;

/* A side and a channel, by which intents are left out: of texts that come with them, those met first are remembered */
#define MAX_OCCASIONS	16
#define MAX_OCCASION_NAME 40

typedef struct OccasionName
{
	int			len;			/* -1: not known */
	char		data[MAX_OCCASION_NAME];
} OccasionName;

typedef struct Occasion
{
	OccasionName side;
	OccasionName channel;
} Occasion;

struct Matcher
{
	int			nintents;
	TextIntent *intents;
	int			noccasions;
	int			last_occasion;
	Occasion	occasions[MAX_OCCASIONS];
	bool	   *concerned;		/* of each occasion, whether it concerns each intent */
	int			npatterns;
	TextPattern *patterns;
	int			nexpressions;
	Expression *expressions;
	LiteralSet *literals;		/* by the number of their expression, or that of FACTOR() */
	int			ndatabases;
	bool		whole;			/* is any text looked through by the library, whatever its factors? */
	Database   *databases;		/* those of expressions that have no factors, by what a text must have, then those of others */
	int			nfactored;
	Factored   *factored;
	int			nlibrary;		/* of these, those that the library looks for */
	int		   *due;			/* databases, or below zero factored expressions of our own, of which the last look found all factors */
	TextMatch  *found;
	int			nvetoes;		/* of the last look, ascending */
	int		   *vetoes;
};

/* The first databases: of regular expressions by what they need; then of those that have factors */
#define DATABASE_FACTORED	NEEDS_KINDS

/* The number of a literal that is of a set of a factored expression, below zero, and back */
#define FACTOR(factored, set)	(-1 - ((factored) * TEXT_MAX_FACTORS + (set)))
#define FACTOR_OF(id)		((-1 - (id)) / TEXT_MAX_FACTORS)
#define FACTOR_SET(id)		((-1 - (id)) % TEXT_MAX_FACTORS)

/* occasion.c: which intents concern what a side says in a channel, one after the other; NULL: that is not kept, ask MatcherConcerns() */
extern const bool *MatcherConcerned(Matcher *m, Str side, Str channel);

/* matcher.c: the library's scratch space, one for each backend, as large as any database wanted */
extern hs_scratch_t *matcher_scratch;

/* Another one of the same size, for one that a scan never gave back */
extern void MatcherReplaceScratch(void);

#endif							/* REVOPS_TEXT_EXPRESSION_H */
