/*
 * look.c
 *	  Looks for the patterns of a matcher in a text, and says what their matches show.
 *
 * A text is first looked through for literals and factors, with one space for each run of them, so that a literal's start is its end less its
 * length. Around the factors of a regular expression the text itself is looked through for it; then the library scans it for the expressions
 * that are its own. The hits, then the matches made of them, are kept in two arrays that are as long as the busiest text wanted, and bounded.
 *
 * The library scans a text with a line end before it. Folded texts have none, so each match of a regular expression has a character before it, by
 * which the library sees whether it begins inside a word, and ^ still means the start.
 */
#include "text/expression.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>

#include "base/bytes.h"
#include "miscadmin.h"
#include "text/fold.h"
#include "utils/memutils.h"

#define MAX_MATCHES		(2 * TEXT_MAX_HITS)

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

static MemoryContext arrays = NULL;
static Hit *hits = NULL;
static int	nhits,
			maxhits = 0;
static uint64 looks = 0;
static Match *matches = NULL;
static int	nmatches,
			maxmatches = 0;
static Match *halves = NULL;
static int	nhalves,
			maxhalves = 0;

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

/* What a scan has to know; where there is no room for a hit, or there are as many as count, it ends */
typedef struct TextScan
{
	Matcher    *matcher;
	const char *original;
	int			original_len;
	const char *text;			/* with one space for each run of them */
	int			len;
	const int  *places;			/* where each byte of it and its end are in the original; NULL: that is the same */
	int			ndue;
	int			expression;		/* that an automaton looks for */
	int			database;
	bool		full;
} TextScan;

/* Keep a hit; false: there is no room for it */
static inline bool
AddHit(Expression *e, int expression, int from, int to)
{
	/* a pattern that matches everywhere leaves room for the others */
	if (e->look == looks && e->hits >= e->most)
		return true;
	if (nhits == maxhits)
		return false;
	if (e->look != looks)
	{
		e->look = looks;
		e->hits = 0;
	}
	e->hits++;
	hits[nhits++] = (Hit) {expression, from, to};
	return true;
}

/* An automaton has found a match */
static bool
OnMatch(int from, int to, void *arg)
{
	TextScan   *scan = arg;

	if (nhits >= TEXT_MAX_HITS)
		return false;
	if (nhits == maxhits)
		hits = Grow(hits, &maxhits, sizeof(Hit));
	return AddHit(&scan->matcher->expressions[scan->expression], scan->expression, from, to);
}

/* Look the part of the text that is due through for an expression of our own */
static void
FindRegex(TextScan *scan, Factored *f)
{
	scan->expression = f->expression;
	AutomatonFind(scan->matcher->expressions[f->expression].automaton, scan->original, scan->original_len, f->from, f->to, OnMatch, scan);
}

/*
 * A match that has a factor here lies in a part of the text around it. The parts of an expression are joined where they touch, so that a match has
 * its leftmost start; one is looked through once no later factor can have a part that touches it. Factors are told of in the order of some part of them
 * (literal.h), and none is longer than a match, so it is enough that a part begins that much behind the last one's end.
 */
static void
AddPart(TextScan *scan, Factored *f, int index, int from, int to)
{
	const int  *places = scan->places;

	/*
	 * the factor's first character may be any of a run of spaces, and its last one too: it begins within [first, from], and ends at `to`
	 * or later
	 */
	int			first = places != NULL ? places[from] : from;

	if (places != NULL)
	{
		from = places[from + 1] - 1;
		to = places[to - 1] + 1;
	}
	if (f->width > 0)
	{
		int			start = Max(to - f->width, first - f->before);

		/* more space than a match has */
		if (to - from > f->width)
			return;
		to = Min(from + f->width, scan->original_len);
		from = Max(start, 0);
	}
	else
	{
		from = 0;
		to = scan->original_len;
	}
	for (int k = 0; k < 3 && from > 0 && ((unsigned char) scan->original[from] & 0xC0) == 0x80; k++)
		from--;
	if (f->due == looks && from <= f->to + f->width)
	{
		f->from = Min(f->from, from);
		f->to = Max(f->to, to);
		return;
	}
	if (f->due == looks)
		FindRegex(scan, f);
	else
		scan->matcher->due[scan->ndue++] = -1 - index;
	f->due = looks;
	f->from = from;
	f->to = to;
}

/* A factor is found: an expression may match when one of each set is, one after the other; a space may end the one and begin the other */
static void
OnFactor(TextScan *scan, int index, int set, int from, int to)
{
	Matcher    *m = scan->matcher;
	Factored   *f = &m->factored[index];

	if (set < f->nsets - 1)
	{
		f->end = f->look == looks ? Min(f->end, to) : to;
		f->look = looks;
	}
	else if (f->nsets == 1 || (f->look == looks && f->end <= from + 1))
	{
		if (f->database < 0)
			AddPart(scan, f, index, from, to);
		else if (m->databases[f->database].look != looks)
		{
			m->databases[f->database].look = looks;
			m->due[scan->ndue++] = f->database;
		}
	}
}

/* A literal or a factor is found in the packed text; it stops nothing, since factors may follow */
static bool
OnLiteral(int id, int from, int to, void *arg)
{
	TextScan   *scan = arg;
	Matcher    *m = scan->matcher;

	if (id < 0)
	{
		OnFactor(scan, FACTOR_OF(id), FACTOR_SET(id), from, to);
		return true;
	}
	if (nhits >= TEXT_MAX_HITS)
		return true;
	if (nhits == maxhits)
		hits = Grow(hits, &maxhits, sizeof(Hit));
	return AddHit(&m->expressions[id], id, from, to);
}

/*
 * Called by the library, so it must not throw: where there is no room left, the scan ends, and is made again from outside. A stored form that is
 * not what it seems to be may say anything.
 */
static int
OnHit(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	TextScan   *scan = arg;
	Matcher    *m = scan->matcher;

	if (id >= (unsigned int) m->nexpressions || m->expressions[id].database != scan->database)
		return 0;
	if (nhits >= TEXT_MAX_HITS)
		return 1;
	scan->full = !AddHit(&m->expressions[id], (int) id, (int) from, (int) to);
	return scan->full;
}

/*
 * vectorscan before its change 392 (April 2026) ends the process in some scans: a stray line prints the text into a buffer of 255 bytes, which the C
 * library notices before anything is written, and aborts. That is an error here, and the scratch space, which the scan has marked as in use, is replaced.
 */
static sigjmp_buf after_abort;
static volatile sig_atomic_t scanning = false;
static struct sigaction abort_before;

static void
OnAbort(int signal_number)
{
	if (scanning)
	{
		scanning = false;
		siglongjmp(after_abort, 1);
	}
	/* not ours: abort() goes on to end the process */
	sigaction(SIGABRT, &abort_before, NULL);
}

static void
CatchAborts(void)
{
	static bool caught = false;
	struct sigaction action = {.sa_handler = OnAbort, .sa_flags = SA_NODEFER};

	if (caught)
		return;
	sigemptyset(&action.sa_mask);
	caught = sigaction(SIGABRT, &action, &abort_before) == 0;
}

static hs_error_t
GuardedScan(const Database *database, const char *text, int len, match_event_handler found, TextScan *scan)
{
	hs_error_t	rc;

	if (sigsetjmp(after_abort, 0) != 0)
	{
		MatcherReplaceScratch();
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the pattern library cannot look through a text of %d bytes for the regular expressions that are published", len),
				 errdetail("A fault of vectorscan, mended by its change 392, ends some scans of more than 254 bytes."),
				 errhint("Install a later vectorscan, or give the repeats of the regular expressions that were published last a bound: {1,20} instead of +.")));
	}
	scanning = true;
	rc = hs_scan(database->compiled, text, len, 0, matcher_scratch, found, scan);
	scanning = false;
	return rc;
}

/* Scan the text and the line end before it for a database */
static void
ScanFor(TextScan *scan, int database)
{
	Matcher    *m = scan->matcher;
	int			before = nhits;

	CHECK_FOR_INTERRUPTS();
	CatchAborts();
	scan->database = database;
	do
	{
		hs_error_t	rc;

		if (nhits == maxhits)
			hits = Grow(hits, &maxhits, sizeof(Hit));
		/* from the start, with no matches counted yet */
		for (; nhits > before; nhits--)
			m->expressions[hits[nhits - 1].expression].look = 0;
		scan->full = false;
		rc = GuardedScan(&m->databases[database], scan->original - 1, scan->original_len + 1, OnHit, scan);
		if (rc != HS_SUCCESS && rc != HS_SCAN_TERMINATED)
			elog(ERROR, "the scan of a text failed: %d", rc);
	} while (scan->full);
}

/* By end, then by expression */
static int
HitCmp(const void *a, const void *b)
{
	const Hit  *x = a,
			   *y = b;

	return x->to != y->to ? (x->to > y->to) - (x->to < y->to) : (x->expression > y->expression) - (x->expression < y->expression);
}

/* A text with one space for each run of them, and where each byte of it and its end are in the text */
static char *packed = NULL;
static int	maxpacked = 0;
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

/* Make the packed text, and return its length */
static int
Pack(const char *text, int len)
{
	int			n = 0;

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
	return n;
}

/* A bit in each of the eight bytes that is zero */
static inline uint64
Zeros(uint64 bytes)
{
	return ~(((bytes & EIGHT(0x7F)) + EIGHT(0x7F)) | bytes | EIGHT(0x7F));
}

/* Are there spaces that follow each other? */
static bool
HasRuns(const char *text, int len)
{
	uint64		spaces = 0;
	int			i = 0;

	/* eight bytes of the text, and of the text from its second byte on */
	for (; i + 8 < len; i += 8)
		spaces |= Zeros(EightBytes(text + i) ^ EIGHT(' ')) & Zeros(EightBytes(text + i + 1) ^ EIGHT(' '));
	for (; i + 1 < len; i++)
		spaces |= (text[i] == ' ') & (text[i + 1] == ' ');
	return spaces != 0;
}

/* What expressions may need of a text: bits */
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
Locate(const Expression *e, const Hit *hit, const char *text, int len, const int *places, int *from, int *to)
{
	if (e->database >= 0)
	{
		/* the text is scanned with one byte before it */
		*to = hit->to - 1;
		*from = hit->from - 1;
		*from += *from < 0 ? 1 : Utf8Length(text + *from, text + len);
	}
	else
	{
		*to = hit->to;
		*from = hit->from;
		if (places != NULL && e->automaton == NULL)
		{
			*to = places[*to];
			*from = places[*from];
			if (e->exact && *to - *from != e->len)
				return false;
		}
	}
	*from = Max(*from, 0);
	if (*to <= *from)
		return false;
	/* the rest of the borders is in the expression, and heeded where literals are found */
	return !e->border || (e->database < 0 && e->automaton == NULL) || !(*to < len && IsWord(text[*to - 1]) && IsWord(text[*to]));
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

/* Characters between two places, or more than `most` */
static int
Gap(const char *text, int from, int to, int most)
{
	return to - from > 4 * (most + 1) ? most + 1 : Utf8Characters(text + from, Max(to - from, 0));
}

/* Pair each first word with the nearest second one, if that is near enough; of two that are as near, the one before */
static void
PairHalves(const Matcher *m, const char *text)
{
	int			n = 0;

	/* most have no other half in the text */
	for (int i = 0; i < nhalves; i++)
		if (m->patterns[halves[i].intent / 2].halves == 3)
			halves[n++] = halves[i];
	nhalves = n;
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

/* Find all hits of a text. Returns where the bytes of the packed text are in it; NULL: that is the same */
static const int *
FindHits(Matcher *m, const char *text, int len)
{
	TextScan	scan = {m, text, len, text, len};

	if (HasRuns(text, len))
	{
		scan.len = Pack(text, len);
		scan.text = packed;
		scan.places = packed_array;
	}
	nhits = 0;
	LiteralSetFind(m->literals, scan.text, scan.len, OnLiteral, &scan);
	/* in the order of their ends, where it may decide which of the texts of a pattern count */
	if (nhits > TEXT_MAX_REPEATS)
		qsort(hits, nhits, sizeof(Hit), HitCmp);
	if (m->whole)
	{
		int			has = TextHas(text, len);

		for (int d = 0; d < DATABASE_FACTORED; d++)
			if (m->databases[d].nexpressions > 0 && (m->databases[d].needs & ~has) == 0)
				ScanFor(&scan, d);
	}
	for (int i = 0; i < scan.ndue; i++)
	{
		if (m->due[i] >= 0)
			ScanFor(&scan, m->due[i]);
		else
			FindRegex(&scan, &m->factored[-1 - m->due[i]]);
	}
	return scan.places;
}

int
MatcherLook(Matcher *m, char *text, int len, Str side, Str channel, Str lang, const TextMatch **found)
{
	int			n = 0;
	const int  *places;
	const bool *concerned;

	*found = m->found;
	m->nvetoes = 0;
	if (m->nexpressions == 0 || len <= 0)
		return 0;
	text[-1] = '\n';
	looks++;
	concerned = MatcherConcerned(m, side, channel);
	places = FindHits(m, text, len);
	nmatches = nhalves = 0;
	for (int h = 0; h < nhits; h++)
	{
		const Expression *e = &m->expressions[hits[h].expression];
		int			from,
					to;

		if ((h & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (!Locate(e, &hits[h], text, len, places, &from, &to))
			continue;
		for (int u = 0; u < e->nusers; u++)
		{
			const User *user = &e->users[u];
			TextPattern *p = &m->patterns[user->pattern];

			if ((lang.data != NULL && p->lang.data != NULL && !StrEq(p->lang, lang)) ||
				!(concerned != NULL ? concerned[p->intent] : MatcherConcerns(m, p->intent, side, channel)))
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
				if (p->half_look != looks)
				{
					p->half_look = looks;
					p->halves = 0;
				}
				p->halves |= 1 << user->second;
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
