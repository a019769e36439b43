/*
 * rule_fuzzer.c
 *	  libFuzzer target: any bytes as a moment rule.
 *
 * A rule that compiles is put into an index and looked at with events made of the document's own strings, which it is likely to match:
 * what it takes part in, the index must have found. Its formula is worked out. Nothing may crash, hang, leak, or
 * end in an error without a place in the document.
 */
#include "standins.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "moment/rule.h"
#include "utils/memutils.h"

#define MAX_WORDS	24
#define MAX_TEXT	32768

static long jansson_blocks = 0;

static void *
CountedMalloc(size_t size)
{
	jansson_blocks++;
	return malloc(size);
}

static void
CountedFree(void *p)
{
	jansson_blocks -= p != NULL;
	free(p);
}

static void
Fail(const char *what)
{
	fprintf(stderr, "%s\n%s\n", what, standin_error.message);
	abort();
}

/* The strings between quotes, as they stand, to make events of */
static int
Words(const char *text, Str *words)
{
	int			n = 0;

	for (const char *p = strchr(text, '"'); p != NULL && n < MAX_WORDS; p = strchr(p, '"'))
	{
		const char *end = strchr(p + 1, '"');

		if (end == NULL)
			break;
		words[n].data = p + 1;
		words[n++].len = end - p - 1;
		p = end + 1;
	}
	return n;
}

static void
Check(const MomentRule *rule, const char *text, size_t size)
{
	PredicateIndex *index = PredicateIndexNew();
	Str			words[MAX_WORDS];
	int			n = Words(text, words);
	double		slots[FIXED_SLOTS + RULE_MAX_VARIABLES];

	MomentRuleIndex(rule, index, 0);
	PredicateIndexDone(index);
	for (int i = 0; i < 2 * n; i++)
	{
		Event		e = {0};
		Str		   *fields[] = {&e.kind, &e.object, &e.side, &e.channel, &e.person, &e.account, &e.opportunity, &e.rep};
		const int  *ids;

		for (int f = 0; f < lengthof(fields); f++)
			if ((i + f) % 5 != 4)
				*fields[f] = words[(i + f * (i / n)) % n];
		e.dwell = (i % 7 - 1) * INT64CONST(30000000);
		e.occurred_at = (int64) size * USECS_PER_HOUR * i;
		if (MomentRuleRoles(rule, &e) != 0 && PredicateIndexLook(index, &e, &ids) != 1)
			Fail("the index misses a rule");
	}
	if (rule->formula != NULL)
		for (int round = 0; round < 4; round++)
		{
			double		v;

			for (int i = 0; i < lengthof(slots); i++)
				slots[i] = round == 0 ? 0 : round == 1 ? i - 3 : round == 2 ? NAN : 1e300 * i;
			v = FormulaEval(rule->formula, slots);
			if (!isfinite(v))
				Fail("a formula gives no finite number");
		}
	if (!(rule->strength >= 0 && rule->strength <= 1))
		Fail("a strength out of bounds");
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	json_set_alloc_funcs(CountedMalloc, CountedFree);
	PredicateInit();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MemoryContext context;
	char	   *text;

	/* the server lets no other strings in */
	if (size > MAX_TEXT || memchr(data, '\0', size) != NULL || pg_encoding_verifymbstr(PG_UTF8, (const char *) data, size) != size)
		return -1;
	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	context = AllocSetContextCreate(NULL, "fuzz", ALLOCSET_DEFAULT_SIZES);
	CurrentMemoryContext = context;
	PG_TRY();
	{
		Check(MomentRuleCompile("fuzz", 1, text, DT_NOBEGIN, DT_NOEND), text, size);
	}
	PG_CATCH();
	{
		if (standin_error.code == ERRCODE_INTERNAL_ERROR)
			Fail("an internal error");
		if (strncmp(standin_error.message, "rule \"fuzz\", line ", 18) != 0)
			Fail("an error without a place");
		if (pg_encoding_verifymbstr(PG_UTF8, standin_error.detail, strlen(standin_error.detail)) != strlen(standin_error.detail))
			Fail("a detail that is no UTF-8");
	}
	PG_END_TRY();
	CurrentMemoryContext = NULL;
	MemoryContextDelete(context);
	free(text);
	if (StandinContexts != 0 || jansson_blocks != 0)
		Fail("memory is left over");
	return 0;
}
