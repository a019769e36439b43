/*
 * rule_fuzzer.c
 *	  libFuzzer target: any bytes as a moment rule; what begins with "=" as the formula of one, with "~" as a LIKE pattern and, in
 *	  the next line, what is tested.
 *
 * A rule that compiles is put into an index and looked at with events made of the document's own strings, which it is likely to
 * match: what it takes part in, the index must have found. Its formula is worked out; a pattern must match what a simple matcher
 * does. Nothing may crash, hang, leak, or end in an error without a place in the document.
 */
#include "target.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "moment/rule.h"

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

/* LIKE by trying all there is, for texts of a few bytes that are ASCII */
static bool
Like(Str p, Str s)
{
	if (p.len == 0)
		return s.len == 0;
	if (*p.data == '%')
		return Like((Str) {p.data + 1, p.len - 1}, s) || (s.len > 0 && Like(p, (Str) {s.data + 1, s.len - 1}));
	if (s.len == 0)
		return false;
	if (*p.data == '\\')
	{
		p.data++;
		p.len--;
	}
	else if (*p.data == '_')
		return Like((Str) {p.data + 1, p.len - 1}, (Str) {s.data + 1, s.len - 1});
	return *p.data == *s.data && Like((Str) {p.data + 1, p.len - 1}, (Str) {s.data + 1, s.len - 1});
}

static bool
IsAscii(Str s)
{
	for (int i = 0; i < s.len; i++)
		if (IS_HIGHBIT_SET(s.data[i]))
			return false;
	return true;
}

/* The index has the rule for whatever its pattern matches; and that is what it should. */
static void
CheckPattern(const MomentRule *rule, Str pattern, Str object)
{
	PredicateIndex *index = PredicateIndexNew();
	Event		e = {0};
	const int  *ids;
	bool		matches;

	MomentRuleIndex(rule, index, 0);
	PredicateIndexDone(index);
	e.object = object;
	e.dwell = -1;
	matches = MomentRuleRoles(rule, &e) != 0;
	if (matches && PredicateIndexLook(index, &e, &ids) != 1)
		Fail("the index misses a pattern");
	if (pattern.len < 16 && object.len < 16 && IsAscii(pattern) && IsAscii(object) && matches != Like(pattern, object))
		Fail("a pattern matches what it should not, or the other way round");
}

/* A string of JSON */
static char *
Quoted(char *to, Str s)
{
	*to++ = '"';
	for (int i = 0; i < s.len; i++)
		if (s.data[i] == '"' || s.data[i] == '\\' || (unsigned char) s.data[i] < 0x20)
			to += sprintf(to, "\\u%04x", (unsigned char) s.data[i]);
		else
			*to++ = s.data[i];
	*to++ = '"';
	return to;
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
	char	   *end;
	Str			rest,
				object;
	int			mode;

	/* the server lets no other strings in */
	if (size > MAX_TEXT || memchr(data, '\0', size) != NULL || pg_encoding_verifymbstr(PG_UTF8, (const char *) data, size) != size)
		return -1;
	rest = (Str) {(const char *) data + 1, (int) size - 1};
	object = (Str) {"", 0};
	text = malloc(6 * size + 100);
	end = text;
	mode = size > 0 ? data[0] : 0;
	if (mode == '=')
	{
		end += sprintf(end, "{\"when\": {\"kind\": \"a\"}, \"strength\": ");
		end = Quoted(end, rest);
	}
	else if (mode == '~')
	{
		const char *line = memchr(rest.data, '\n', rest.len);

		if (line != NULL)
		{
			object = (Str) {line + 1, (int) (rest.data + rest.len - line - 1)};
			rest.len = line - rest.data;
		}
		end += sprintf(end, "{\"when\": {\"object\": {\"like\": ");
		end = Quoted(end, rest);
		end += sprintf(end, "}}");
	}
	else
	{
		memcpy(text, data, size);
		end += size;
	}
	strcpy(end, mode == '=' || mode == '~' ? "}" : "");
	context = Enter();
	PG_TRY();
	{
		MomentRule *rule = MomentRuleCompile("fuzz", 1, text, DT_NOBEGIN, DT_NOEND);

		if (mode == '~')
			CheckPattern(rule, rest, object);
		else
			Check(rule, text, size);
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
	Leave(context);
	free(text);
	if (jansson_blocks != 0)
		Fail("memory of jansson is left over");
	return 0;
}
