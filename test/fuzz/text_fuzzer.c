/*
 * text_fuzzer.c
 *	  libFuzzer target: any bytes as what people write, and as the patterns that are looked for in it. The first byte says as what:
 *
 *	  x  a text, that need not be UTF-8: folded, its features, values for fields, sentiment
 *	  l  a line with a literal, then a text to look through
 *	  r  a line with a regular expression, then a text
 *	  c  the stored form of a matcher
 *
 * Whatever is found lies within the text. A matcher that was stored and read again finds the same, and so does one whose expression is left to the library, if the
 * text is UTF-8.
 */
#include "target.h"

/* the sentiment of a text is a static function */
#include "../../src/text/sentiment.c"

#include "mb/pg_wchar.h"
#include "text/extract.h"
#include "text/fold.h"
#include "text/pattern.h"

#define MAX_BYTES	16384

static char *stored;			/* of the matcher that damaged forms are read for */
static Size stored_len;

static void
TryText(const char *data, int size)
{
	static Trie *competitors = NULL;
	Letters		letters = LettersOf(data, size);
	Extracted	values[EXTRACT_MAX_VALUES];
	FeatureKinds kinds = {2, 1, 2, 4};
	Features	f = {0};
	char	   *folded = palloc(FOLD_GROWTH * size + 1);
	Amount		amount;
	When		when;
	double		feeling;
	uint8		said[SAY_LEVELS + 8];
	int			n;

	if (FoldText(data, size, folded) > FOLD_GROWTH * size)
		Fail("a folded text has no room");
	if (competitors == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(lasting);

		competitors = TrieMake();
		TrieAdd(competitors, "globex", 6, 0);
		TrieAdd(competitors, "\xE7\x94\xB2\xE9\xAA\xA8\xE6\x96\x87", 9, 1);
		MemoryContextSwitchTo(old);
	}
	n = ExtractFields(&letters, 2461000, competitors, values);
	if (n < 0 || n > EXTRACT_MAX_VALUES)
		Fail("more values than there is room for");
	for (int i = 0; i < n; i++)
	{
		if (values[i].from < 0 || values[i].to < values[i].from || values[i].to > letters.n)
			Fail("a value outside its text");
		(void) LettersEvidence(data, size, values[i].from, values[i].to);
	}
	for (int i = 0; i < letters.n; i++)
	{
		if (AmountAt(&letters, i, &amount) && (amount.end <= i || amount.end > letters.n))
			Fail("a sum of money outside its text");
		if (WhenAt(&letters, i, 2461000, &when) && (when.end <= i || when.end > letters.n))
			Fail("a date outside its text");
	}
	for (Tongue t = TONGUE_ANY; t <= TONGUE_EN; t++)
	{
		feeling = Felt(data, size, t);
		if (!(feeling >= -1 && feeling <= 1))
			Fail("a sentiment out of bounds");
		if (feeling != Felt(data, size, t))
			Fail("a sentiment that is another the second time");
	}
	n = ReadFeeling(data, size, said, lengthof(said));
	if (n < 0 || n > lengthof(said))
		Fail("more feelings than there is room for");
	FeaturesExtract(&f, &kinds, data, size);
	FeaturesExtractPlaces(&f, &kinds, data, size);
	for (int i = 0; i < f.n; i++)
		if (f.extent[i].last > (f.extent[i].kind == EXTENT_RUN ? f.nchars - 1 : f.nwords))
			Fail("a feature outside its text");
}

static void
Look(Matcher *m, const char *folded, int len, double *confidence)
{
	static const Str none = {NULL, 0};
	const TextMatch *found;
	char	   *text = palloc(len + 2);
	int			n;

	memcpy(text + 1, folded, len);
	n = MatcherLook(m, text + 1, len, none, none, none, &found);
	*confidence = 0;
	for (int i = 0; i < n; i++)
	{
		if (found[i].from < 0 || found[i].to < found[i].from || found[i].to > len)
			Fail("a match outside its text");
		*confidence += found[i].confidence + found[i].from + 1000003.0 * found[i].to;
	}
}

static Matcher *
Make(PatternKind kind, const char *pattern, const char *form, Size form_len, const char **fault)
{
	TextIntent *intent = palloc0(sizeof(TextIntent));
	TextPattern *p = palloc0(sizeof(TextPattern));

	intent->name = StrFrom("i");
	p->include = true;
	p->kind = kind;
	p->pattern = pattern;
	return MatcherMake(intent, 1, p, 1, form, form_len, fault);
}

static void
TryPattern(PatternKind kind, const char *data, int size)
{
	const char *line = memchr(data, '\n', size);
	const char *fault;
	char	   *pattern,
			   *folded,
			   *form;
	Matcher    *m;
	double		first,
				second;
	Size		form_len;
	int			at,
				len;

	/* patterns are the server's text; texts of a stream may be anything in a database without an encoding */
	if (line == NULL || line == data || line - data > 100 || pg_encoding_verifymbstr(PG_UTF8, data, line - data) != line - data ||
		memchr(data, '\0', line - data) != NULL)
		return;
	pattern = pnstrdup(data, line - data);
	size -= line + 1 - data;
	fault = PatternFault(kind, pattern, &at);
	if (fault != NULL)
		return;
	m = Make(kind, pattern, NULL, 0, &fault);
	if (m == NULL)
		return;
	folded = palloc(FOLD_GROWTH * size + 1);
	len = FoldText(line + 1, size, folded);
	Look(m, folded, len, &first);
	form = MatcherStore(m, &form_len);
	m = Make(kind, pattern, form, form_len, &fault);
	if (m == NULL)
		Fail("a stored form cannot be read");
	Look(m, folded, len, &second);
	if (first != second)
		Fail("a stored form finds something else");
	/* flags that change nothing: only the library knows these */
	if (kind != PATTERN_REGEX || pg_encoding_verifymbstr(PG_UTF8, folded, len) != len)
		return;
	pattern = psprintf("(?-x)%s", pattern);
	if (PatternFault(kind, pattern, &at) != NULL || (m = Make(kind, pattern, NULL, 0, &fault)) == NULL)
		return;
	Look(m, folded, len, &second);
	if (first != second)
		Fail("the library finds something else");
}

static void
TryStored(const char *data, int size)
{
	const char *fault;
	Matcher    *m = Make(PATTERN_REGEX, "(?-x)ab+[0-9]{2}c", data, size, &fault);
	double		confidence;

	if (m != NULL)
		Look(m, "xxabbb12c ab11c", 15, &confidence);
}

#define SEED(name, mode, text)	Seed(name, mode, -1, text, strlen(text))

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *fault;
	Matcher    *m;

	/* what is made once stays: the words of sentiment, what its model and LettersOf() need */
	Lasting();
	CurrentMemoryContext = lasting;
	m = Make(PATTERN_REGEX, "(?-x)ab+[0-9]{2}c", NULL, 0, &fault);
	if (m == NULL)
		Fail("the matcher to begin with does not compile");
	stored = MatcherStore(m, &stored_len);
	for (Tongue t = TONGUE_ANY; t <= TONGUE_EN; t++)
		(void) Felt("good, but late", 14, t);
	CurrentMemoryContext = NULL;
	SEED("x1", 'x', "Our budget is about $50k to 60,000.50 EUR per month, we decide by the end of next month; ask the CFO Ms. Li, not Globex.");
	SEED("x2", 'x', "\xE9\xA2\x84\xE7\xAE\x97\xE5\xA4\xA7\xE7\xBA\xA6\xE4\xBA\x8C\xE5\x8D\x81\xE4\xB8\x87\xEF\xBC\x8C\xE4\xB8\x8B\xE4\xB8\xAA\xE6\x9C\x88\xE5\xBA\x95\xE5\x89\x8D\xE5\xAE\x9A");
	SEED("x3", 'x', "It isn't good, but very great!! 2026-03-01 or 3/4/2026 or Q3, within 10 days?");
	SEED("l1", 'l', "too expensive\nIt is TOO  expensive for us");
	SEED("l2", 'l', "\xE8\xB4\xB5\n\xE5\xA4\xAA\xE8\xB2\xB4\xE4\xBA\x86");
	SEED("r1", 'r', "(ask|need) (for )?a discount\nwe need a discount");
	SEED("r2", 'r', "x[^a]{1,3}y|\\bz+\\d\nxbby zz1");
	SEED("r3", 'r', "(?:do not|don.?t) (?:really )?need [a-z ]{0,9}(?:help|it)\nwe don't  need any help, and do not really need it");
	Seed("c1", 'c', -1, stored, stored_len);
	return 0;
}

static void
TryAny(char mode, const char *bytes, Size size)
{
	switch (mode)
	{
		case 'x':
			TryText(bytes, (int) size);
			break;
		case 'l':
			TryPattern(PATTERN_LITERAL, bytes, (int) size);
			break;
		case 'r':
			TryPattern(PATTERN_REGEX, bytes, (int) size);
			break;
		case 'c':
			TryStored(bytes, size);
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return Take(data, size, MAX_BYTES, TryAny, NULL);
}

/* ---------- what the sentiment asks of the server, and not here ---------- */

int			XactIsoLevel = 0;

int
SqlConnect(void)
{
	abort();
}

void
SqlFinish(int level)
{
	abort();
}

int64
SqlInt8(SqlPlan *plan, const Datum *values, const bool *isnull, int64 otherwise)
{
	abort();
}

Oid
RevopsRelid(const char *table)
{
	abort();
}

void
CacheRegisterRelcacheCallback(RelcacheCallbackFunction func, Datum arg)
{
	abort();
}

Datum
revops_sentiment_score(PG_FUNCTION_ARGS)
{
	abort();
}
