/*
 * matcher.c
 *	  One scan of a text for all patterns, then what their matches say.
 *
 * Patterns that are spelt alike share an expression; a regular expression that matches few texts is looked for as these (spell.c). A literal's
 * start is its end less its length, in a text of which runs of spaces are one; only
 * regular expressions ask the library where they start, which costs it more. Expressions are in sets by what a text must have for them to match: a
 * Chinese text is not looked through for what needs letters, nor an English one for what needs Chinese. The hits of a scan, then the matches made of them, are kept in two arrays that are
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

/* A pattern that an expression is looked for */
typedef struct User
{
	int			pattern;
	bool		second;			/* the word near it */
	int			nlonger;		/* a spelt one: the texts of it that end in this one, */
	Str		   *longer;			/* since the leftmost start counts */
} User;

/* What the library looks for, and for whom */
typedef struct Expression
{
	char	   *source;
	unsigned int flags;
	int			len;			/* of a literal's match, in bytes */
	int			set;
	bool		border;			/* no match begins or ends inside a word */
	bool		led;			/* a regular expression: matches begin one character early */
	bool		exact;			/* its spaces are one each */
	int			nusers;
	User	   *users;
	int			most;			/* matches that count in a text */
	int			hits;			/* in the last look that found it ... */
	uint64		look;			/* ... which was this one */
} Expression;

/* A set is what its expressions need, and of which kind they are */
#define SETS			(2 * NEEDS_KINDS)
#define SET_OF(needs, kind) (2 * (needs) + ((kind) == PATTERN_REGEX))
#define SET_NEEDS(set)	((set) / 2)
#define SET_IS_REGEX(set) ((set) % 2 == 1)

struct Matcher
{
	int			nintents;
	TextIntent *intents;
	int			npatterns;
	TextPattern *patterns;
	int			nexpressions;
	Expression *expressions;
	hs_database_t *database[SETS];	/* NULL: there is nothing to look for */
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
static uint64 look = 0;			/* scans */
static uint64 looks = 0;		/* texts */
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
	for (int set = 0; set < SETS; set++)
		hs_free_database(((Matcher *) arg)->database[set]);
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

/* The expression of a folded pattern, with one user more, who is yet to be filled in; made where there is none yet */
static Expression *
ExpressionFor(Matcher *m, source_hash *sources, PatternKind kind, const char *folded, bool border, bool exact, int pattern)
{
	int			len;
	char	   *source = PatternExpression(kind, folded, border, &len);
	char	   *key = psprintf("%d%d%d%s", kind, border, exact, source);
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
		e->exact = exact;
		e->set = SET_OF(PatternNeeds(kind, folded), kind);
		e->flags = kind == PATTERN_REGEX ? REGEX_FLAGS : 0;
		e->nusers = 0;
		e->users = palloc(sizeof(User));
		e->most = TEXT_MAX_REPEATS;
		e->look = 0;
	}
	e = &m->expressions[entry->expression];
	if (e->nusers > 0 && (e->nusers & (e->nusers - 1)) == 0)
		e->users = repalloc(e->users, 2 * e->nusers * sizeof(User));
	e->users[e->nusers++] = (User) {pattern};
	/* of a spelt pattern those count that lie right, of all its texts together */
	if (!m->patterns[pattern].include || m->patterns[pattern].spelt)
		e->most = TEXT_MAX_EXCLUDES;
	return e;
}

/* The literals that stand for a regular expression; 0: none do */
static int
SpellOut(Matcher *m, source_hash *sources, const char *folded, bool border, int pattern, int room)
{
	Str			texts[TEXT_MAX_SPELT];
	int			n = PatternSpell(folded, texts);

	if (n == 0 || n > room)
		return 0;
	m->patterns[pattern].spelt = true;
	for (int i = 0; i < n; i++)
	{
		Expression *e = ExpressionFor(m, sources, PATTERN_LITERAL, texts[i].data, border, strchr(texts[i].data, ' ') != NULL, pattern);
		User	   *user = &e->users[e->nusers - 1];

		for (int k = 0; k < n; k++)
		{
			if (texts[k].len <= texts[i].len || memcmp(texts[k].data + texts[k].len - texts[i].len, texts[i].data, texts[i].len) != 0)
				continue;
			if (user->longer == NULL)
				user->longer = palloc(n * sizeof(Str));
			user->longer[user->nlonger++] = texts[k];
		}
	}
	return n;
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

/* Compile a set; false with *fault set if its patterns do not go together */
static bool
Compile(Matcher *m, int set, const char **fault)
{
	const char **sources = palloc(m->nexpressions * sizeof(char *));
	unsigned int *flags = palloc(m->nexpressions * sizeof(int));
	unsigned int *ids = palloc(m->nexpressions * sizeof(int));
	hs_compile_error_t *error = NULL;
	int			n = 0;

	for (int i = 0; i < m->nexpressions; i++)
	{
		if (m->expressions[i].set != set)
			continue;
		sources[n] = m->expressions[i].source;
		flags[n] = m->expressions[i].flags;
		ids[n++] = i;
	}
	if (n > 0 && hs_compile_multi(sources, flags, ids, n, HS_MODE_BLOCK, NULL, &m->database[set], &error) != HS_SUCCESS)
	{
		*fault = pstrdup(error->message);
		if (error->expression >= 0 && error->expression < n)
		{
			const TextPattern *p = &m->patterns[m->expressions[ids[error->expression]].users[0].pattern];

			*fault = psprintf("pattern %d of intent \"%s\": %s", p->n, m->intents[p->intent].name.data, error->message);
		}
		hs_free_compile_error(error);
		m->database[set] = NULL;
		return false;
	}
	pfree(sources);
	pfree(flags);
	pfree(ids);
	return true;
}

/* Take the sets out of their stored form: each behind its length, 0 where it has no expression */
static bool
Restore(Matcher *m, const char *stored, Size stored_len)
{
	for (int set = 0; set < SETS; set++)
	{
		uint64		len;
		bool		wanted = false;

		for (int i = 0; i < m->nexpressions && !wanted; i++)
			wanted = m->expressions[i].set == set;
		if (stored_len < sizeof(len))
			return false;
		memcpy(&len, stored, sizeof(len));
		stored += sizeof(len);
		stored_len -= sizeof(len);
		if (len > stored_len || wanted != (len > 0))
			return false;
		if (len > 0 && hs_deserialize_database(stored, len, &m->database[set]) != HS_SUCCESS)
		{
			m->database[set] = NULL;
			return false;
		}
		stored += len;
		stored_len -= len;
	}
	return true;
}

Matcher *
MatcherMake(TextIntent *intents, int nintents, TextPattern *patterns, int npatterns, const char *stored, Size stored_len,
			const char **fault)
{
	Matcher    *m = palloc0(sizeof(Matcher));
	source_hash *sources = source_create(CurrentMemoryContext, 1024, NULL);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	int			room = TEXT_MAX_SPELT_ALL;

	*fault = NULL;
	m->nintents = nintents;
	m->intents = intents;
	m->npatterns = npatterns;
	m->patterns = patterns;
	m->expressions = palloc_extended((2 * (Size) npatterns + TEXT_MAX_SPELT_ALL + 1) * sizeof(Expression), MCXT_ALLOC_HUGE);
	m->found = palloc((nintents + 1) * sizeof(TextMatch));
	m->vetoes = palloc((nintents + 1) * sizeof(int));
	for (int i = 0; i < npatterns; i++)
	{
		TextPattern *p = &patterns[i];
		bool		border = !StrEq(p->lang, StrFrom("zh"));

		char	   *folded = PatternFold(p->kind, p->pattern);
		int			n = 0;

		p->weight = WeightOf(p);
		p->spelt = false;
		p->look = 0;
		p->second = -1;
		if (p->kind == PATTERN_REGEX)
			n = SpellOut(m, sources, folded, border, i, room);
		room -= n;
		if (n == 0)
			ExpressionFor(m, sources, p->kind, folded, border, false, i);
		if (p->near != NULL)
		{
			Expression *e = ExpressionFor(m, sources, PATTERN_LITERAL, PatternFold(PATTERN_LITERAL, p->near), border, false, i);

			e->users[e->nusers - 1].second = true;
			p->second = (int) (e - m->expressions);
		}
	}
	source_destroy(sources);
	if (m->nexpressions == 0)
		return m;
	callback->func = ReleaseMatcher;
	callback->arg = m;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	if (stored != NULL && !Restore(m, stored, stored_len))
		return NULL;
	for (int set = 0; set < SETS; set++)
	{
		CHECK_FOR_INTERRUPTS();
		if (stored == NULL && !Compile(m, set, fault))
			return NULL;
		if (m->database[set] != NULL && hs_alloc_scratch(m->database[set], &scratch) != HS_SUCCESS)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("no memory to look for %d patterns", npatterns)));
	}
	return m;
}

char *
MatcherStore(const Matcher *m, Size *len)
{
	char	   *all = NULL;

	*len = 0;
	for (int set = 0; set < SETS; set++)
	{
		char	   *bytes = NULL;
		size_t		n = 0;
		uint64		n64;
		char	   *more;

		if (m->database[set] != NULL && hs_serialize_database(m->database[set], &bytes, &n) != HS_SUCCESS)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("compiled patterns could not be stored")));
		n64 = n;
		more = MemoryContextAllocExtended(CurrentMemoryContext, *len + sizeof(n64) + n, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
		if (more == NULL)
		{
			free(bytes);
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("no memory to store compiled patterns")));
		}
		if (all != NULL)
		{
			memcpy(more, all, *len);
			pfree(all);
		}
		memcpy(more + *len, &n64, sizeof(n64));
		if (n > 0)
			memcpy(more + *len + sizeof(n64), bytes, n);
		*len += sizeof(n64) + n;
		all = more;
		free(bytes);
	}
	return all;
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

/* A text with one space for each run of them, and where each byte of it and its end are in the text; NULL: the text has no such run */
static char *packed = NULL;
static int	maxpacked = 0;
static int *packed_at = NULL;
static int *packed_array = NULL;
static int	maxpacked_array = 0;

static void *
GrowTo(void *array, int *max, int n, Size size)
{
	if (n <= *max)
		return array;
	if (arrays == NULL)
		arrays = AllocSetContextCreate(TopMemoryContext, "revops text matches", ALLOCSET_DEFAULT_SIZES);
	if (array != NULL)
		pfree(array);
	*max = 0;
	array = MemoryContextAlloc(arrays, (Size) n * size);
	*max = n;
	return array;
}

/* Returns the length of the packed text */
static int
Pack(const char *text, int len)
{
	int			n = 0;

	packed_at = NULL;
	if (memmem(text, len, "  ", 2) == NULL)
		return len;
	/* NULL in between, should memory end */
	if (len + 1 > maxpacked)
	{
		char	   *old = packed;

		packed = NULL;
		packed = GrowTo(old, &maxpacked, len + 1, 1);
	}
	if (len + 1 > maxpacked_array)
	{
		int		   *old = packed_array;

		packed_array = NULL;
		packed_array = GrowTo(old, &maxpacked_array, len + 1, sizeof(int));
	}
	for (int i = 0; i < len;)
	{
		packed_array[n] = i;
		packed[n++] = text[i];
		if (text[i++] == ' ')
			while (i < len && text[i] == ' ')
				i++;
	}
	packed_array[n] = len;
	packed_at = packed_array;
	return n;
}

/* What a text has of what patterns need */
static int
TextHas(const char *text, int len)
{
	int			has = 0;

	for (int i = 0; i < len && has != (NEEDS_WORD | NEEDS_OTHER); i++)
		has |= (unsigned char) text[i] >= 0x80 ? NEEDS_OTHER : IsWord(text[i]) ? NEEDS_WORD : 0;
	return has;
}

/* Where a hit lies in the text; false: inside a word, or nowhere */
static bool
Locate(const Expression *e, const Hit *hit, const char *text, int len, int *from, int *to)
{
	if (e->led)
	{
		/* the text is scanned with one byte before it */
		*to = hit->to - 1;
		*from = hit->from - 1;
		*from += *from < 0 ? 1 : Utf8Length(text + *from, text + len);
	}
	else
	{
		*to = hit->to;
		*from = hit->to - e->len;
		if (packed_at != NULL)
		{
			*to = packed_at[*to];
			*from = packed_at[*from];
			if (e->exact && *to - *from != e->len)
				return false;
		}
	}
	*from = Max(*from, 0);
	if (*to <= *from)
		return false;
	if (!e->border)
		return true;
	if (!e->led && *from > 0 && IsWord(text[*from - 1]) && IsWord(text[*from]))
		return false;
	return !(*to < len && IsWord(text[*to - 1]) && IsWord(text[*to]));
}

/* Does another text of a spelt pattern that ends at `to` begin before this one? */
static bool
HasLonger(const Expression *e, const User *user, const char *text, int to)
{
	for (int i = 0; i < user->nlonger; i++)
	{
		int			from = to - user->longer[i].len;

		if (from >= 0 && memcmp(text + from, user->longer[i].data, user->longer[i].len) == 0 &&
			!(e->border && from > 0 && IsWord(text[from - 1]) && IsWord(text[from])))
			return true;
	}
	return false;
}

/* One match more of a spelt pattern in this look; false: it has as many as count */
static bool
CountSpelt(TextPattern *p)
{
	if (p->look != looks)
	{
		p->look = looks;
		p->hits = 0;
	}
	return p->hits++ < (p->include ? TEXT_MAX_REPEATS : TEXT_MAX_EXCLUDES);
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
	int			n = 0,
				has,
				npacked;

	*found = m->found;
	m->nvetoes = 0;
	nhits = 0;
	if (m->nexpressions == 0 || len <= 0)
		return 0;
	text[-1] = '\n';
	looks++;
	has = TextHas(text, len);
	npacked = Pack(text, len);
	if (hits == NULL)
		hits = Grow(hits, &maxhits, sizeof(Hit));
	for (int set = 0; set < SETS && nhits < TEXT_MAX_HITS; set++)
	{
		int			before = nhits;
		hs_error_t	rc;

		if (m->database[set] == NULL || (SET_NEEDS(set) & ~has) != 0)
			continue;
		do
		{
			if (nhits == maxhits)
				hits = Grow(hits, &maxhits, sizeof(Hit));
			nhits = before;
			look++;
			if (SET_IS_REGEX(set))
				rc = hs_scan(m->database[set], text - 1, len + 1, 0, scratch, OnHit, m);
			else
				rc = hs_scan(m->database[set], packed_at != NULL ? packed : text, npacked, 0, scratch, OnHit, m);
		} while (rc == HS_SCAN_TERMINATED && nhits < TEXT_MAX_HITS);
		if (rc != HS_SUCCESS && rc != HS_SCAN_TERMINATED)
			elog(ERROR, "the scan of a text failed: %d", rc);
	}

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
			const User *user = &e->users[u];
			TextPattern *p = &m->patterns[user->pattern];

			if ((lang.data != NULL && p->lang.data != NULL && !StrEq(p->lang, lang)) || !MatcherConcerns(m, p->intent, side, channel))
				continue;
			if (p->spelt && (HasLonger(e, user, text, to) || !CountSpelt(p)))
				continue;
			if (p->second < 0)
				AddMatch(p->intent, p->include, p->weight, from, to);
			else if (nhalves < MAX_MATCHES)
			{
				if (nhalves == maxhalves)
					halves = Grow(halves, &maxhalves, sizeof(Match));
				halves[nhalves++] = (Match) {2 * user->pattern + user->second, true, 0, from, to};
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
