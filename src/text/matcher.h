/*
 * matcher.h
 *	  Many patterns over one text at once (vectorscan), and what their matches say of each intent. Knows no SQL.
 */
#ifndef REVOPS_TEXT_MATCHER_H
#define REVOPS_TEXT_MATCHER_H

#include "base/base.h"

/* Bounds: of a pattern in bytes; of what its repeats spell out; of all patterns; of a text; of the matches that count in a text */
#define TEXT_MAX_PATTERN	1000
#define TEXT_MAX_STATES		500
#define TEXT_MAX_PATTERNS	50000
#define TEXT_MAX_WITHIN		1000
#define TEXT_MAX_BODY		(1024 * 1024)
#define TEXT_MAX_HITS		100000
#define TEXT_MAX_REPEATS	1000	/* of one pattern in a text ... */
#define TEXT_MAX_EXCLUDES	10000	/* ... and of one that excludes */
#define TEXT_MAX_EVIDENCE	200
#define TEXT_MAX_SHOWN		64	/* intents of one text */
#define TEXT_MAX_SPELT		128 /* literals that stand for one regular expression ... */
#define TEXT_MAX_SPELT_ALL	100000	/* ... and for all */

/* What a match weighs; of several places in a text, 1 - (1 - a)(1 - b)..., at most the cap */
#define TEXT_WEIGHT_CHARACTER	0.5
#define TEXT_WEIGHT_PATTERN		0.6
#define TEXT_WEIGHT_NEAR		0.7
#define TEXT_CONFIDENCE_CAP		0.99

typedef enum PatternKind
{
	PATTERN_LITERAL,
	PATTERN_REGEX
} PatternKind;

/* One pattern of an intent; strings in UTF-8 */
typedef struct TextPattern
{
	int			intent;			/* index in the matcher's intents */
	int			n;				/* its number, for messages */
	bool		include;
	PatternKind kind;
	Str			lang;			/* data NULL: any */
	const char *pattern;
	const char *near;			/* NULL: none */
	int			within;			/* characters between the two */
	/* the matcher's own */
	int			second;			/* expression of the word near it, -1: none */
	bool		spelt;			/* a regular expression that literals stand for */
	uint64		look;			/* of those, the last look that found it ... */
	int			hits;			/* ... and how often */
	uint64		half_look;		/* of one with a word near it, the last look that found a half ... */
	int			halves;			/* ... and which: bits */
	double		weight;
} TextPattern;

typedef struct TextIntent
{
	Str			name;			/* in the database's encoding */
	double		threshold;
	int			nsides;			/* 0: any */
	Str		   *sides;
	int			nchannels;
	Str		   *channels;
} TextIntent;

typedef struct Matcher Matcher;

/* An intent that a text shows: bytes of the folded text */
typedef struct TextMatch
{
	int			intent;
	double		confidence;
	int			from;
	int			to;
} TextMatch;

/*
 * Check one pattern: NULL if it can be used, else what is wrong with it (memory: the current context); *at is the character where, from 1
 * on, or 0.
 */
extern const char *PatternFault(PatternKind kind, const char *pattern, int *at);

/* What a stored form must have been made by to fit here */
extern const char *MatcherFingerprint(void);

/*
 * A matcher of checked patterns; memory: the current context, which releases what the library holds. stored NULL: compile. Returns NULL if the
 * stored form does not fit, and with *fault set if the patterns do not compile together.
 */
extern Matcher *MatcherMake(TextIntent *intents, int nintents, TextPattern *patterns, int npatterns, const char *stored, Size stored_len,
							const char **fault);

/* Its stored form; memory: the current context */
extern char *MatcherStore(const Matcher *m, Size *len);

/* What the library holds for it, in bytes; the rest is in its memory context */
extern Size MatcherCompiledSize(const Matcher *m);

extern int	MatcherIntents(const Matcher *m);
extern const TextIntent *MatcherIntent(const Matcher *m, int intent);

/* Does an intent concern what this side says in this channel? data NULL: not known, it does */
extern bool MatcherConcerns(const Matcher *m, int intent, Str side, Str channel);

/* Did an exclude of the intent match in the text that was looked at last? */
extern bool MatcherVetoes(const Matcher *m, int intent);

/*
 * The intents that a folded text shows, in the order of the intents; good until the next look of any matcher. side, channel, lang: data NULL:
 * not known, all apply. `text` has a byte of room before it and after it.
 */
extern int	MatcherLook(Matcher *m, char *text, int len, Str side, Str channel, Str lang, const TextMatch **matches);

#endif							/* REVOPS_TEXT_MATCHER_H */
