/*
 * matcher.c
 *	  One scan of a text for all patterns, then what their matches say.
 *
 * Patterns that are spelt alike share an expression. A literal's start is its end less its length; only what has no fixed length asks the
 * library where it starts, which costs it more. The hits of a scan, then the matches made of them, are kept in two arrays that are
 * as long as the busiest text wanted, and bounded; the library's scratch space is one for each backend, as large as the largest set.
 *
 * A text is scanned with a line end before it. Folded texts have none, so each match of a regular expression has a character before it, by which
 * the library sees whether it begins inside a word, and ^ still means the start.
 */
#include "text/pattern.h"

#include <math.h>

#include <hs/hs.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "text/fold.h"
#include "utils/memutils.h"

#define MAX_MATCHES		(2 * TEXT_MAX_HITS)

/* What the library looks for, and for whom */
typedef struct Expression
{
	char	   *source;
	unsigned int flags;
	int			len;			/* bytes of a match; -1: not fixed */
	bool		border;			/* no match begins or ends inside a word */
	bool		led;			/* matches begin one character early */
	int			nusers;
	int		   *users;			/* 2 * pattern, + 1: of the word near it */
	int			most;			/* matches that count in a text */
	int			hits;			/* in the last look that found it ... */
	uint64		look;			/* ... which was this one */
} Expression;

struct Matcher
{
	int			nintents;
	TextIntent *intents;
	int			npatterns;
	TextPattern *patterns;
	int			nexpressions;
	Expression *expressions;
	hs_database_t *database;	/* NULL: there is nothing to look for */
	TextMatch  *found;
	int			nvetoes;		/* of the last look, ascending */
	int		   *vetoes;
};

typedef struct Hit
{
	int			expression;
	int			from;
	int			to;
} Hit;

/* A match of a pattern, or of one of the two words of a near one */
typedef struct Match
{
	int			intent;			/* of a half: 2 * pattern, + 1: of the second word */
	bool		include;
	float		weight;
	int			from;
	int			to;
} Match;

static hs_scratch_t *scratch = NULL;
static MemoryContext arrays = NULL;
static Hit *hits = NULL;
static int	nhits,
			maxhits = 0;
static uint64 look = 0;
static Match *matches = NULL;
static int	nmatches,
			maxmatches = 0;
static Match *halves = NULL;
static int	nhalves,
			maxhalves = 0;

/* ---------- making ---------- */

static void
ReleaseMatcher(void *arg)
{
	hs_free_database(((Matcher *) arg)->database);
}

const char *
MatcherFingerprint(void)
{
	hs_platform_info_t platform;

	if (hs_populate_platform(&platform) != HS_SUCCESS)
		memset(&platform, 0, sizeof(platform));
	return psprintf("vectorscan %s, platform %u %llx, format %d", hs_version(), platform.tune, platform.cpu_features, TEXT_FORMAT);
}

/* The library names bytes from 0 on, at the end of its message */
static const char *
LibraryMessage(const char *message, const char *folded, int *at)
{
	char	   *copy = pstrdup(message);
	char	   *index = strstr(copy, " at index ");

	*at = 0;
	if (index != NULL)
	{
		int			n = atoi(index + 10);

		*index = '\0';
		*at = 1;
		for (const char *p = folded; *p && p < folded + n; p += Utf8Length(p, folded + strlen(folded)))
			(*at)++;
	}
	for (int n = (int) strlen(copy); n > 0 && copy[n - 1] == '.';)
		copy[--n] = '\0';
	if (*copy >= 'A' && *copy <= 'Z')
		*copy += 'a' - 'A';
	return copy;
}

#define REGEX_FLAGS		(HS_FLAG_SOM_LEFTMOST | HS_FLAG_UTF8 | HS_FLAG_MULTILINE)

const char *
LibraryFault(const char *folded, int *at)
{
	hs_expr_info_t *info = NULL;
	hs_compile_error_t *error = NULL;
	hs_database_t *database = NULL;
	const char *fault = NULL;
	int			len;
	char	   *led;

	if (hs_expression_info(folded, REGEX_FLAGS, &info, &error) != HS_SUCCESS)
		fault = LibraryMessage(error->message, folded, at);
	else if (info->min_width == 0)
		fault = "it matches the empty text";
	free(info);
	hs_free_compile_error(error);
	if (fault != NULL)
		return fault;
	/* the whole as it will be, which may be more than the library takes */
	led = PatternExpression(PATTERN_REGEX, folded, true, &len);
	error = NULL;
	if (hs_compile(led, REGEX_FLAGS, HS_MODE_BLOCK, NULL, &database, &error) != HS_SUCCESS)
	{
		int			ignored;

		fault = LibraryMessage(error->message, led, &ignored);
	}
	hs_free_database(database);
	hs_free_compile_error(error);
	return fault;
}

typedef struct SourceEntry
{
	const char *source;
	uint32		hash;
	char		status;
	bool		border;
	int			expression;
} SourceEntry;

#define SH_PREFIX source
#define SH_ELEMENT_TYPE SourceEntry
#define SH_KEY_TYPE const char *
#define SH_KEY source
#define SH_HASH_KEY(tb, k) hash_bytes((const unsigned char *) (k), strlen(k))
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* The expression of a pattern, or of the word near it; made where there is none yet */
static int
ExpressionFor(Matcher *m, source_hash *sources, PatternKind kind, const char *pattern, bool border, int user)
{
	int			len;
	char	   *source = PatternExpression(kind, PatternFold(kind, pattern), border, &len);
	char	   *key = psprintf("%d%d%s", kind, border, source);
	bool		found;
	SourceEntry *entry = source_insert(sources, key, &found);
	Expression *e;

	if (!found)
	{
		entry->expression = m->nexpressions++;
		e = &m->expressions[entry->expression];
		e->source = source;
		e->len = len;
		e->border = border;
		e->led = kind == PATTERN_REGEX;
		e->flags = kind == PATTERN_REGEX ? REGEX_FLAGS : len < 0 ? HS_FLAG_SOM_LEFTMOST : 0;
		e->nusers = 0;
		e->users = palloc(sizeof(int));
		e->most = TEXT_MAX_REPEATS;
		e->look = 0;
	}
	e = &m->expressions[entry->expression];
	if (e->nusers > 0 && (e->nusers & (e->nusers - 1)) == 0)
		e->users = repalloc(e->users, 2 * e->nusers * sizeof(int));
	e->users[e->nusers++] = user;
	if (!m->patterns[user / 2].include)
		e->most = TEXT_MAX_EXCLUDES;
	return entry->expression;
}

static double
WeightOf(const TextPattern *p)
{
	if (p->near != NULL)
		return TEXT_WEIGHT_NEAR;
	if (p->kind == PATTERN_LITERAL && Utf8Length(p->pattern, p->pattern + strlen(p->pattern)) == (int) strlen(p->pattern))
		return TEXT_WEIGHT_CHARACTER;
	return TEXT_WEIGHT_PATTERN;
}

static hs_database_t *
Compile(const Matcher *m, const char **fault)
{
	const char **sources = palloc(m->nexpressions * sizeof(char *));
	unsigned int *flags = palloc(m->nexpressions * sizeof(int));
	unsigned int *ids = palloc(m->nexpressions * sizeof(int));
	hs_compile_error_t *error = NULL;
	hs_database_t *database = NULL;

	for (int i = 0; i < m->nexpressions; i++)
	{
		sources[i] = m->expressions[i].source;
		flags[i] = m->expressions[i].flags;
		ids[i] = i;
	}
	if (hs_compile_multi(sources, flags, ids, m->nexpressions, HS_MODE_BLOCK, NULL, &database, &error) != HS_SUCCESS)
	{
		*fault = pstrdup(error->message);
		if (error->expression >= 0 && error->expression < m->nexpressions)
		{
			const TextPattern *p = &m->patterns[m->expressions[error->expression].users[0] / 2];

			*fault = psprintf("pattern %d of intent \"%s\": %s", p->n, m->intents[p->intent].name.data, error->message);
		}
		hs_free_compile_error(error);
		database = NULL;
	}
	return database;
}

Matcher *
MatcherMake(TextIntent *intents, int nintents, TextPattern *patterns, int npatterns, const char *stored, Size stored_len,
			const char **fault)
{
	Matcher    *m = palloc0(sizeof(Matcher));
	source_hash *sources = source_create(CurrentMemoryContext, 1024, NULL);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	*fault = NULL;
	m->nintents = nintents;
	m->intents = intents;
	m->npatterns = npatterns;
	m->patterns = patterns;
	m->expressions = palloc_extended((2 * npatterns + 1) * sizeof(Expression), MCXT_ALLOC_HUGE);
	m->found = palloc((nintents + 1) * sizeof(TextMatch));
	m->vetoes = palloc((nintents + 1) * sizeof(int));
	for (int i = 0; i < npatterns; i++)
	{
		TextPattern *p = &patterns[i];
		bool		border = !StrEq(p->lang, StrFrom("zh"));

		p->weight = WeightOf(p);
		p->first = ExpressionFor(m, sources, p->kind, p->pattern, border, 2 * i);
		p->second = p->near != NULL ? ExpressionFor(m, sources, PATTERN_LITERAL, p->near, border, 2 * i + 1) : -1;
	}
	source_destroy(sources);
	if (m->nexpressions == 0)
		return m;
	callback->func = ReleaseMatcher;
	callback->arg = m;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	if (stored != NULL)
	{
		if (hs_deserialize_database(stored, stored_len, &m->database) != HS_SUCCESS)
		{
			m->database = NULL;
			return NULL;
		}
	}
	else if ((m->database = Compile(m, fault)) == NULL)
		return NULL;
	if (hs_alloc_scratch(m->database, &scratch) != HS_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no memory to look for %d patterns", npatterns)));
	return m;
}

char *
MatcherStore(const Matcher *m, Size *len)
{
	char	   *bytes = NULL,
			   *copy;

	*len = 0;
	if (m->database == NULL)
		return palloc(1);
	if (hs_serialize_database(m->database, &bytes, len) != HS_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("compiled patterns could not be stored")));
	copy = MemoryContextAllocExtended(CurrentMemoryContext, *len, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (copy != NULL)
		memcpy(copy, bytes, *len);
	free(bytes);
	if (copy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no memory to store compiled patterns")));
	return copy;
}

int
MatcherIntents(const Matcher *m)
{
	return m->nintents;
}

const TextIntent *
MatcherIntent(const Matcher *m, int intent)
{
	return &m->intents[intent];
}

/* ---------- looking ---------- */

static void *
Grow(void *array, int *max, Size size)
{
	int			more = Max(2 * *max, 256);

	if (arrays == NULL)
		arrays = AllocSetContextCreate(TopMemoryContext, "revops text matches", ALLOCSET_DEFAULT_SIZES);
	array = array == NULL ? MemoryContextAlloc(arrays, more * size) : repalloc(array, more * size);
	*max = more;
	return array;
}

/* Called by the library, so it must not throw: where there is no room left, the scan ends, and is gone on with from outside */
static int
OnHit(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	Expression *e = &((Matcher *) arg)->expressions[id];

	/* a pattern that matches everywhere leaves room for the others */
	if (e->look == look && e->hits >= e->most)
		return 0;
	if (nhits == maxhits)
		return 1;
	if (e->look != look)
	{
		e->look = look;
		e->hits = 0;
	}
	e->hits++;
	hits[nhits].expression = (int) id;
	hits[nhits].from = (int) from;
	hits[nhits].to = (int) to;
	nhits++;
	return nhits >= TEXT_MAX_HITS;
}

static inline bool
IsWord(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Where a hit lies in the text; false: inside a word, or nowhere */
static bool
Locate(const Expression *e, const Hit *hit, const char *text, int len, int *from, int *to)
{
	/* the text is scanned with one byte before it */
	*to = hit->to - 1;
	*from = (e->len >= 0 ? hit->to - e->len : hit->from) - 1;
	if (e->led)
		*from += *from < 0 ? 1 : Utf8Length(text + *from, text + len);
	*from = Max(*from, 0);
	if (*to <= *from)
		return false;
	if (!e->border)
		return true;
	if (!e->led && *from > 0 && IsWord(text[*from - 1]) && IsWord(text[*from]))
		return false;
	return !(*to < len && IsWord(text[*to - 1]) && IsWord(text[*to]));
}

static bool
Among(const Str *list, int n, Str s)
{
	if (n == 0 || s.data == NULL)
		return true;
	for (int i = 0; i < n; i++)
		if (StrEq(list[i], s))
			return true;
	return false;
}

bool
MatcherConcerns(const Matcher *m, int intent, Str side, Str channel)
{
	const TextIntent *t = &m->intents[intent];

	return Among(t->sides, t->nsides, side) && Among(t->channels, t->nchannels, channel);
}

bool
MatcherVetoes(const Matcher *m, int intent)
{
	int			lo = 0,
				hi = m->nvetoes;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (m->vetoes[mid] < intent)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->nvetoes && m->vetoes[lo] == intent;
}

static void
AddMatch(int intent, bool include, double weight, int from, int to)
{
	if (nmatches == MAX_MATCHES)
		return;
	if (nmatches == maxmatches)
		matches = Grow(matches, &maxmatches, sizeof(Match));
	matches[nmatches++] = (Match) {intent, include, (float) weight, from, to};
}

/* By intent (or half), excludes first, by place */
static int
MatchCmp(const void *a, const void *b)
{
	const Match *x = a,
			   *y = b;

	if (x->intent != y->intent)
		return x->intent < y->intent ? -1 : 1;
	if (x->include != y->include)
		return x->include ? 1 : -1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static int
Characters(const char *text, int from, int to)
{
	int			n = 0;

	for (int i = from; i < to; i++)
		n += ((unsigned char) text[i] & 0xC0) != 0x80;
	return n;
}

/* Characters between two places, or more than `most` */
static int
Gap(const char *text, int from, int to, int most)
{
	return to - from > 4 * (most + 1) ? most + 1 : Characters(text, from, to);
}

/* Pair each first word with the nearest second one, if that is near enough; of two that are as near, the one before */
static void
PairHalves(const Matcher *m, const char *text)
{
	qsort(halves, nhalves, sizeof(Match), MatchCmp);
	for (int i = 0; i < nhalves;)
	{
		int			pattern = halves[i].intent / 2;
		const TextPattern *p = &m->patterns[pattern];
		int			b,
					end,
					before;

		for (b = i; b < nhalves && halves[b].intent == 2 * pattern; b++)
			;
		for (end = b; end < nhalves && halves[end].intent == 2 * pattern + 1; end++)
			;
		before = b;
		for (int a = i; a < b && b < end; a++)
		{
			int			gap = p->within + 1,
						from = 0,
						to = 0,
						after;

			/* the second words' ends ascend as their starts do */
			while (before < end && halves[before].to <= halves[a].from)
				before++;
			if (before > b)
			{
				gap = Gap(text, halves[before - 1].to, halves[a].from, p->within);
				from = halves[before - 1].from;
				to = halves[a].to;
			}
			for (after = before; after < end && halves[after].from < halves[a].to; after++)
				;
			if (after < end)
			{
				int			g = Gap(text, halves[a].to, halves[after].from, p->within);

				if (g < gap)
				{
					gap = g;
					from = halves[a].from;
					to = halves[after].to;
				}
			}
			if (gap <= p->within)
				AddMatch(p->intent, p->include, p->weight, from, to);
		}
		i = end;
	}
}

/* Do the excludes [x, n), joined where they overlap, have a character in common with this place? */
static bool
Excluded(const Match *x, int n, int from, int to)
{
	int			lo = 0,
				hi = n;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (x[mid].to <= from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && x[lo].from < to;
}

/* What the matches [i, end) of one intent say */
static bool
Conclude(const TextIntent *intent, Match *x, int n, TextMatch *result)
{
	int			nexcludes = 0,
				i = 0;
	double		doubt = 1;
	float		best = 0;

	for (; i < n && !x[i].include; i++)
	{
		if (nexcludes > 0 && x[i].from <= x[nexcludes - 1].to)
			x[nexcludes - 1].to = Max(x[nexcludes - 1].to, x[i].to);
		else
			x[nexcludes++] = x[i];
	}
	while (i < n)
	{
		Match		place;

		if (Excluded(x, nexcludes, x[i].from, x[i].to))
		{
			i++;
			continue;
		}
		place = x[i++];
		for (; i < n && x[i].from < place.to; i++)
			if (!Excluded(x, nexcludes, x[i].from, x[i].to))
			{
				place.to = Max(place.to, x[i].to);
				place.weight = Max(place.weight, x[i].weight);
			}
		doubt *= 1 - (double) place.weight;
		if (place.weight > best)
		{
			best = place.weight;
			result->from = place.from;
			result->to = place.to;
		}
	}
	/* four digits: the weights are no more exact than that, and no sum of floats shows */
	result->confidence = rint(Min(1 - doubt, TEXT_CONFIDENCE_CAP) * 10000) / 10000;
	return best > 0 && result->confidence >= intent->threshold;
}

int
MatcherLook(Matcher *m, char *text, int len, Str side, Str channel, Str lang, const TextMatch **found)
{
	hs_error_t	rc;
	int			n = 0;

	*found = m->found;
	m->nvetoes = 0;
	if (m->database == NULL || len <= 0)
		return 0;
	text[-1] = '\n';
	do
	{
		if (nhits == maxhits || hits == NULL)
			hits = Grow(hits, &maxhits, sizeof(Hit));
		nhits = 0;
		look++;
		rc = hs_scan(m->database, text - 1, len + 1, 0, scratch, OnHit, m);
	} while (rc == HS_SCAN_TERMINATED && nhits < TEXT_MAX_HITS);
	if (rc != HS_SUCCESS && rc != HS_SCAN_TERMINATED)
		elog(ERROR, "the scan of a text failed: %d", rc);

	nmatches = nhalves = 0;
	for (int h = 0; h < nhits; h++)
	{
		const Expression *e = &m->expressions[hits[h].expression];
		int			from,
					to;

		if ((h & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (!Locate(e, &hits[h], text, len, &from, &to))
			continue;
		for (int u = 0; u < e->nusers; u++)
		{
			const TextPattern *p = &m->patterns[e->users[u] / 2];

			if ((lang.data != NULL && p->lang.data != NULL && !StrEq(p->lang, lang)) || !MatcherConcerns(m, p->intent, side, channel))
				continue;
			if (p->second < 0)
				AddMatch(p->intent, p->include, p->weight, from, to);
			else if (nhalves < MAX_MATCHES)
			{
				if (nhalves == maxhalves)
					halves = Grow(halves, &maxhalves, sizeof(Match));
				halves[nhalves++] = (Match) {e->users[u], true, 0, from, to};
			}
		}
	}
	if (nhalves > 1)
		PairHalves(m, text);
	if (nmatches > 1)
		qsort(matches, nmatches, sizeof(Match), MatchCmp);
	for (int i = 0; i < nmatches;)
	{
		int			end = i;

		while (end < nmatches && matches[end].intent == matches[i].intent)
			end++;
		if (!matches[i].include)
			m->vetoes[m->nvetoes++] = matches[i].intent;
		m->found[n].intent = matches[i].intent;
		if (Conclude(&m->intents[matches[i].intent], &matches[i], end - i, &m->found[n]))
			n++;
		i = end;
	}
	return n;
}
