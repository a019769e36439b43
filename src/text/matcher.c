/*
 * matcher.c
 *	  Makes a matcher of patterns, and takes it out of its stored form.
 *
 * Patterns that are spelt alike share an expression. A regular expression that matches few texts is looked for as these (spell.c). Any other is looked for
 * where a text has its factors (factor.c), by an automaton of our own (automaton.c). What that does not understand, or what has no factors, the
 * library looks for: in databases of some each, scanned for where a text has the factors of one of them, if these are beyond ASCII; else in four databases, for all
 * texts that have a letter, a character beyond ASCII, both, or anything at all.
 *
 * Literals and factors are looked for together (literal.c). Only what the library compiles is stored, since only that takes time.
 */
#include "text/expression.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "text/fold.h"
#include "utils/memutils.h"

/* Regular expressions that have factors and share a database */
#define TOGETHER		128

hs_scratch_t *matcher_scratch = NULL;

/* What the library has allocated as scratch space: between its calls, one at most */
static void *scratches[4];

static void *
AllocScratch(size_t size)
{
	for (int i = 0; i < lengthof(scratches); i++)
		if (scratches[i] == NULL)
			return scratches[i] = malloc(size);
	return NULL;
}

static void
FreeScratch(void *scratch)
{
	for (int i = 0; i < lengthof(scratches); i++)
		if (scratches[i] == scratch)
			scratches[i] = NULL;
	free(scratch);
}

void
MatcherReplaceScratch(void)
{
	hs_scratch_t *fresh = NULL;
	void	   *used[lengthof(scratches)];

	memcpy(used, scratches, sizeof(used));
	if (hs_clone_scratch(matcher_scratch, &fresh) != HS_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no memory to look for patterns")));
	/* the library itself frees none that a scan uses */
	for (int i = 0; i < lengthof(used); i++)
		FreeScratch(used[i]);
	matcher_scratch = fresh;
}

static void
ReleaseMatcher(void *arg)
{
	Matcher    *m = arg;

	for (int d = 0; d < m->ndatabases; d++)
		hs_free_database(m->databases[d].compiled);
}

/*
 * What is compiled for: this processor without AVX-512. With it, vectorscan 5.4.13 compiles sets of expressions to automata (of up to 64 states in a
 * register) that miss matches; without it, databases also serve every processor with AVX2.
 */
static hs_platform_info_t
Platform(void)
{
	hs_platform_info_t platform;

	if (hs_populate_platform(&platform) != HS_SUCCESS)
		memset(&platform, 0, sizeof(platform));
	platform.cpu_features &= ~(HS_CPU_FEATURES_AVX512 | HS_CPU_FEATURES_AVX512VBMI);
	return platform;
}

const char *
MatcherFingerprint(void)
{
	hs_platform_info_t platform = Platform();

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
	hs_platform_info_t platform = Platform();
	const char *fault = NULL;
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
	led = PatternLed(folded, true);
	error = NULL;
	if (hs_compile(led, REGEX_FLAGS, HS_MODE_BLOCK, &platform, &database, &error) != HS_SUCCESS)
	{
		int			ignored;

		fault = LibraryMessage(error->message, led, &ignored);
	}
	hs_free_database(database);
	hs_free_compile_error(error);
	return fault;
}

/* ---------- expressions ---------- */

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

/* Literals and factors, as they come */
typedef struct LiteralList
{
	Literal    *literals;
	int			n;
	int			max;
} LiteralList;

static void
AddLiteral(LiteralList *list, const Literal *literal)
{
	if (list->n == list->max)
	{
		list->max *= 2;
		list->literals = repalloc_huge(list->literals, list->max * sizeof(Literal));
	}
	list->literals[list->n++] = *literal;
}

/*
 * Who looks for a regular expression, and where. If it has factors, they are listed as literals, by numbers below zero. The library's that have
 * factors share a database with some neighbours, since what one text shows is often of one topic; those that have none, with all that need the same.
 */
static void
PlaceRegex(Matcher *m, LiteralList *list, const char *folded, int expression)
{
	Expression *e = &m->expressions[expression];
	FactorSet  *sets;
	int			nsets,
				before,
				d = PatternNeeds(PATTERN_REGEX, folded);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops text factors", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	sets = palloc(TEXT_MAX_FACTORS * sizeof(FactorSet));
	nsets = PatternFactors(folded, e->border, sets);
	MemoryContextSwitchTo(old);
	if (nsets > 0)
		e->automaton = AutomatonMake(folded, e->border);
	for (int k = 0; k < nsets && e->automaton == NULL; k++)
		if (!sets[k].other)
			nsets = 0;
	for (int k = 0; k < nsets; k++)
		for (int i = 0; i < sets[k].texts.n; i++)
		{
			const Str  *s = &sets[k].texts.s[i];
			Literal		literal = {{pnstrdup(s->data, s->len), s->len}, FACTOR(m->nfactored, k), false, sets[k].words, sets[k].open};

			AddLiteral(list, &literal);
		}
	before = nsets > 0 ? sets[nsets - 1].before : 0;
	MemoryContextDelete(context);
	if (nsets > 0)
	{
		Factored   *f = &m->factored[m->nfactored++];

		*f = (Factored) {.database = -1, .expression = expression, .nsets = nsets};
		if (e->automaton != NULL)
		{
			f->width = AutomatonWidth(e->automaton);
			f->before = before;
			return;
		}
		d = f->database = DATABASE_FACTORED + m->nlibrary++ / TOGETHER;
		m->ndatabases = d + 1;
	}
	e->database = d;
	if (m->databases[d].nexpressions++ == 0)
		m->databases[d].first = expression;
}

/* The expression of a folded pattern, with one user more, who is yet to be filled in; made where there is none yet */
static Expression *
ExpressionFor(Matcher *m, source_hash *sources, LiteralList *list, PatternKind kind, const char *folded, bool border, bool exact, int pattern)
{
	char	   *source = kind == PATTERN_REGEX ? PatternLed(folded, border) : PatternPacked(folded);
	char	   *key = psprintf("%d%d%d%s", kind, border, exact, source);
	bool		found;
	SourceEntry *entry = source_insert(sources, key, &found);
	Expression *e;

	if (!found)
	{
		entry->expression = m->nexpressions++;
		e = &m->expressions[entry->expression];
		e->source = source;
		e->len = (int) strlen(source);
		e->database = -1;
		e->automaton = NULL;
		e->border = border;
		e->exact = exact;
		e->nusers = 0;
		e->users = &e->first;
		e->most = TEXT_MAX_REPEATS;
		e->look = 0;
		if (kind == PATTERN_REGEX)
			PlaceRegex(m, list, folded, entry->expression);
		else
		{
			Literal		literal = {{source, e->len}, entry->expression, border, border && LiteralHasWords((Str) {source, e->len}, 0),
			border ? 0 : OPEN_LEFT | OPEN_RIGHT};

			AddLiteral(list, &literal);
		}
	}
	e = &m->expressions[entry->expression];
	if (e->nusers == 1)
		e->users = memcpy(palloc(2 * sizeof(User)), &e->first, sizeof(User));
	else if (e->nusers > 1 && (e->nusers & (e->nusers - 1)) == 0)
		e->users = repalloc(e->users, 2 * e->nusers * sizeof(User));
	e->users[e->nusers++] = (User) {pattern};
	/* of a spelt pattern those count that lie right, of all its texts together */
	if (!m->patterns[pattern].include || m->patterns[pattern].spelt)
		e->most = TEXT_MAX_EXCLUDES;
	return e;
}

/* The literals that stand for a regular expression; 0: none do */
static int
SpellOut(Matcher *m, source_hash *sources, LiteralList *list, const char *folded, bool border, int pattern, int room)
{
	Str			texts[TEXT_MAX_SPELT];
	int			n = PatternSpell(folded, texts);

	if (n == 0 || n > room)
		return 0;
	m->patterns[pattern].spelt = true;
	for (int i = 0; i < n; i++)
	{
		Expression *e = ExpressionFor(m, sources, list, PATTERN_LITERAL, texts[i].data, border, strchr(texts[i].data, ' ') != NULL, pattern);
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

/* ---------- databases ---------- */

/* Compile a database; false with *fault set if its patterns do not go together */
static bool
Compile(Matcher *m, int d, const char **fault)
{
	Database   *database = &m->databases[d];
	const char **sources = palloc(database->nexpressions * sizeof(char *));
	unsigned int *flags = palloc(database->nexpressions * sizeof(int));
	unsigned int *ids = palloc(database->nexpressions * sizeof(int));
	hs_platform_info_t platform = Platform();
	hs_compile_error_t *error = NULL;
	int			n = 0;

	for (int i = database->first; n < database->nexpressions; i++)
	{
		if (m->expressions[i].database != d)
			continue;
		sources[n] = m->expressions[i].source;
		flags[n] = REGEX_FLAGS;
		ids[n++] = i;
	}
	if (hs_compile_multi(sources, flags, ids, n, HS_MODE_BLOCK, &platform, &database->compiled, &error) != HS_SUCCESS)
	{
		*fault = pstrdup(error->message);
		if (error->expression >= 0 && error->expression < n)
		{
			const TextPattern *p = &m->patterns[m->expressions[ids[error->expression]].users[0].pattern];

			*fault = psprintf("pattern %d of intent \"%s\": %s", p->n, m->intents[p->intent].name.data, error->message);
		}
		hs_free_compile_error(error);
		database->compiled = NULL;
		return false;
	}
	pfree(sources);
	pfree(flags);
	pfree(ids);
	return true;
}

/* A digest of what is compiled: a stored form is for these expressions in these databases */
static uint64
Digest(const Matcher *m)
{
	uint64		digest = m->nexpressions;

	for (int i = 0; i < m->nexpressions; i++)
	{
		const Expression *e = &m->expressions[i];

		if (e->database >= 0)
			digest = hash_bytes_extended((const unsigned char *) e->source, e->len, digest * 31 + ((uint64) i << 20) + e->database);
	}
	return digest;
}

/* Take eight bytes of a stored form; false: it has none */
static bool
TakeNumber(const char **stored, Size *stored_len, uint64 *n)
{
	if (*stored_len < sizeof(*n))
		return false;
	memcpy(n, *stored, sizeof(*n));
	*stored += sizeof(*n);
	*stored_len -= sizeof(*n);
	return true;
}

/* Take the databases out of their stored form: the digest, then each behind its length, 0 where it has no expression */
static bool
Restore(Matcher *m, const char *stored, Size stored_len)
{
	uint64		n;

	if (!TakeNumber(&stored, &stored_len, &n) || n != Digest(m))
		return false;
	for (int d = 0; d < m->ndatabases; d++)
	{
		if (!TakeNumber(&stored, &stored_len, &n) || n > stored_len || (m->databases[d].nexpressions > 0) != (n > 0))
			return false;
		if (n > 0 && hs_deserialize_database(stored, n, &m->databases[d].compiled) != HS_SUCCESS)
		{
			m->databases[d].compiled = NULL;
			return false;
		}
		stored += n;
		stored_len -= n;
	}
	return stored_len == 0;
}

/* Make the expressions of all patterns; false with *fault set */
static bool
MakeExpressions(Matcher *m, LiteralList *list, const char **fault)
{
	source_hash *sources = source_create(CurrentMemoryContext, 1024, NULL);
	int			room = TEXT_MAX_SPELT_ALL;

	for (int i = 0; i < m->npatterns; i++)
	{
		TextPattern *p = &m->patterns[i];
		bool		border = !StrEq(p->lang, StrFrom("zh"));
		char	   *folded = PatternFold(p->kind, p->pattern);
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		if (*p->pattern == '\0' || (p->near != NULL && *p->near == '\0') || Max(strlen(p->pattern), p->near != NULL ? strlen(p->near) : 0) > TEXT_MAX_PATTERN)
		{
			*fault = psprintf("pattern %d of intent \"%s\": it is empty, or too long", p->n, m->intents[p->intent].name.data);
			return false;
		}
		p->weight = WeightOf(p);
		p->spelt = false;
		p->look = 0;
		p->second = -1;
		p->half_look = 0;
		p->halves = 0;
		if (p->kind == PATTERN_REGEX)
			n = SpellOut(m, sources, list, folded, border, i, room);
		room -= n;
		if (n == 0)
			ExpressionFor(m, sources, list, p->kind, folded, border, false, i);
		if (p->near != NULL)
		{
			Expression *e = ExpressionFor(m, sources, list, PATTERN_LITERAL, PatternFold(PATTERN_LITERAL, p->near), border, false, i);

			e->users[e->nusers - 1].second = true;
			p->second = (int) (e - m->expressions);
		}
	}
	source_destroy(sources);
	return true;
}

Matcher *
MatcherMake(TextIntent *intents, int nintents, TextPattern *patterns, int npatterns, const char *stored, Size stored_len,
			const char **fault)
{
	Matcher    *m = palloc0(sizeof(Matcher));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	LiteralList list = {palloc(256 * sizeof(Literal)), 0, 256};

	*fault = NULL;
	m->nintents = nintents;
	m->intents = intents;
	m->npatterns = npatterns;
	m->patterns = patterns;
	m->expressions = palloc_extended((2 * (Size) npatterns + TEXT_MAX_SPELT_ALL + 1) * sizeof(Expression), MCXT_ALLOC_HUGE);
	m->ndatabases = DATABASE_FACTORED;
	m->databases = palloc0((DATABASE_FACTORED + npatterns / TOGETHER + 1) * sizeof(Database));
	for (int d = 0; d < NEEDS_KINDS; d++)
		m->databases[d].needs = d;
	m->factored = palloc((npatterns + 1) * sizeof(Factored));
	m->concerned = palloc_extended((Size) MAX_OCCASIONS * (nintents + 1), MCXT_ALLOC_HUGE);
	m->found = palloc((nintents + 1) * sizeof(TextMatch));
	m->vetoes = palloc((nintents + 1) * sizeof(int));
	if (!MakeExpressions(m, &list, fault))
		return NULL;
	m->due = palloc((m->ndatabases + m->nfactored) * sizeof(int));
	m->literals = LiteralSetMake(list.literals, list.n);
	pfree(list.literals);
	callback->func = ReleaseMatcher;
	callback->arg = m;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	if (stored != NULL && !Restore(m, stored, stored_len))
		return NULL;
	for (int d = 0; d < m->ndatabases; d++)
	{
		if (m->databases[d].nexpressions == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		m->whole |= d < DATABASE_FACTORED;
		if (stored == NULL && !Compile(m, d, fault))
			return NULL;
		if (matcher_scratch == NULL)
			hs_set_scratch_allocator(AllocScratch, FreeScratch);
		if (hs_alloc_scratch(m->databases[d].compiled, &matcher_scratch) != HS_SUCCESS)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("no memory to look for %d patterns", npatterns)));
	}
	return m;
}

/* Add to a stored form, which may grow beyond what palloc() gives */
static void
Put(char **all, Size *len, Size *max, const void *bytes, Size n)
{
	if (n > *max - *len)
	{
		*max = 2 * *max + n;
		*all = repalloc_huge(*all, *max);
	}
	memcpy(*all + *len, bytes, n);
	*len += n;
}

/* A length and the bytes; NULL: none */
static void
PutDatabase(char **all, Size *len, Size *max, const hs_database_t *compiled)
{
	char	   *bytes = NULL;
	size_t		n = 0;

	if (compiled != NULL && hs_serialize_database(compiled, &bytes, &n) != HS_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("compiled patterns could not be stored")));
	PG_TRY();
	{
		uint64		number = n;

		Put(all, len, max, &number, sizeof(number));
		if (n > 0)
			Put(all, len, max, bytes, n);
	}
	PG_FINALLY();
	{
		free(bytes);
	}
	PG_END_TRY();
}

char *
MatcherStore(const Matcher *m, Size *len)
{
	Size		max = 65536;
	char	   *all = palloc(max);
	uint64		digest = Digest(m);

	*len = 0;
	Put(&all, len, &max, &digest, sizeof(digest));
	for (int d = 0; d < m->ndatabases; d++)
		PutDatabase(&all, len, &max, m->databases[d].compiled);
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

Size
MatcherCompiledSize(const Matcher *m)
{
	Size		total = 0;

	for (int d = 0; d < m->ndatabases; d++)
	{
		size_t		size;

		if (m->databases[d].compiled != NULL && hs_database_size(m->databases[d].compiled, &size) == HS_SUCCESS)
			total += size;
	}
	return total;
}
