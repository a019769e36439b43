/*
 * definition.c
 *	  What revops.put_intent() refuses, by the place in the definition.
 */
#include "text/text.h"

#include "predicate/predicate.h"
#include "text/matcher.h"
#include "utils/builtins.h"

#define DEFINITION_MAX_PATTERNS	1000
#define DEFINITION_MAX_TEXT		2000
#define DEFINITION_MAX_EXAMPLE	10000

static void
CheckNames(const JsonDoc *doc, const json_t *list, const char *path, const char *const *known, const char *expected)
{
	if (list == NULL)
		return;
	if (!json_is_array(list) || json_array_size(list) == 0)
		JsonDocError(doc, path, expected);
	for (size_t i = 0; i < json_array_size(list); i++)
	{
		const char *at = JsonPathAt(doc, path, i);
		char	   *name = JsonString(doc, json_array_get(list, i), at, REVOPS_MAX_KEY, expected);
		int			k = 0;

		while (known != NULL && known[k] != NULL && strcmp(known[k], name) != 0)
			k++;
		if (known != NULL && known[k] == NULL)
			JsonDocError(doc, at, expected);
	}
}

static void
CheckLang(const JsonDoc *doc, const char *lang, const char *path)
{
	size_t		len = strlen(lang);

	if (len < 2 || len > 8 || strspn(lang, "abcdefghijklmnopqrstuvwxyz-") != len)
		JsonDocError(doc, path, "the name of a language, like \"zh\" or \"en\"");
}

/* A pattern's text at `path`, which must be usable */
static void
CheckPattern(const JsonDoc *doc, const json_t *node, const char *path, PatternKind kind)
{
	int			at;
	const char *fault;

	(void) JsonString(doc, node, path, TEXT_MAX_PATTERN, "text of 1 to " CppAsString2(TEXT_MAX_PATTERN) " bytes");
	fault = PatternFault(kind, json_string_value(node), &at);
	if (fault != NULL)
		JsonDocFault(doc, path, at > 0 ? psprintf("%s (character %d of the pattern)", fault, at) : fault);
}

static void
CheckPatterns(const JsonDoc *doc, const json_t *list, const char *list_path)
{
	static const char *const keys[] = {"lang", "include", "exclude", "regex", "exclude_regex", "near", "within", NULL};

	if (list == NULL)
		return;
	if (!json_is_array(list) || json_array_size(list) > DEFINITION_MAX_PATTERNS)
		JsonDocError(doc, list_path, "an array of at most " CppAsString2(DEFINITION_MAX_PATTERNS) " patterns");
	for (size_t i = 0; i < json_array_size(list); i++)
	{
		const char *path = JsonPathAt(doc, list_path, i);
		const json_t *p = json_array_get(list, i);
		int			kinds = 0;
		bool		literal = false;

		if (!json_is_object(p))
			JsonDocError(doc, path, "an object with one of include, exclude, regex and exclude_regex");
		JsonKeys(doc, p, path, keys);
		for (int k = 1; k <= 4; k++)
			if (json_object_get(p, keys[k]) != NULL)
			{
				kinds++;
				literal = k <= 2;
			}
		if (kinds != 1)
			JsonDocError(doc, path, "exactly one of include, exclude, regex and exclude_regex");
		for (int k = 1; k <= 4; k++)
			if (json_object_get(p, keys[k]) != NULL)
				CheckPattern(doc, json_object_get(p, keys[k]), JsonPath(doc, path, keys[k]), literal ? PATTERN_LITERAL : PATTERN_REGEX);
		if (json_object_get(p, "lang") != NULL)
		{
			const char *at = JsonPath(doc, path, "lang");

			CheckLang(doc, JsonString(doc, json_object_get(p, "lang"), at, 8, "the name of a language, like \"zh\" or \"en\""), at);
		}
		if ((json_object_get(p, "near") == NULL) != (json_object_get(p, "within") == NULL))
			JsonDocError(doc, path, "both near and within, or neither");
		if (json_object_get(p, "near") != NULL)
		{
			if (!literal)
				JsonDocFault(doc, JsonPath(doc, path, "near"), "near goes with include or exclude, not with a regular expression");
			CheckPattern(doc, json_object_get(p, "near"), JsonPath(doc, path, "near"), PATTERN_LITERAL);
			(void) JsonInteger(doc, json_object_get(p, "within"), JsonPath(doc, path, "within"), 0, TEXT_MAX_WITHIN);
		}
	}
}

static void
CheckExamples(const JsonDoc *doc, const json_t *examples, const char *examples_path)
{
	static const char *const keys[] = {"positive", "negative", NULL};
	const char *lang;
	json_t	   *both;

	if (examples == NULL)
		return;
	if (!json_is_object(examples))
		JsonDocError(doc, examples_path, "an object of languages, each with positive and negative");
	json_object_foreach((json_t *) examples, lang, both)
	{
		const char *path = JsonPath(doc, examples_path, lang);

		CheckLang(doc, lang, path);
		if (!json_is_object(both))
			JsonDocError(doc, path, "an object with positive and negative");
		JsonKeys(doc, both, path, keys);
		for (int k = 0; k < 2; k++)
		{
			const json_t *list = json_object_get(both, keys[k]);
			const char *list_path = JsonPath(doc, path, keys[k]);

			if (list != NULL && (!json_is_array(list) || json_array_size(list) > DEFINITION_MAX_PATTERNS))
				JsonDocError(doc, list_path, "an array of at most " CppAsString2(DEFINITION_MAX_PATTERNS) " texts");
			for (size_t i = 0; list != NULL && i < json_array_size(list); i++)
				(void) JsonString(doc, json_array_get(list, i), JsonPathAt(doc, list_path, i), DEFINITION_MAX_EXAMPLE,
								  "text of 1 to " CppAsString2(DEFINITION_MAX_EXAMPLE) " bytes");
		}
	}
}

/* check_intent(intent text, definition text): ERROR that names the place unless it can be used */
PG_FUNCTION_INFO_V1(check_intent);
Datum
check_intent(PG_FUNCTION_ARGS)
{
	static const char *const keys[] = {"title", "title_zh", "description", "description_zh", "topic", "sides", "channels", "threshold", "first",
	"patterns", "examples", "intent", NULL};
	static const char *const sides[] = {"customer", "rep", "system", NULL};
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	JsonDoc    *doc = JsonDocOpen(psprintf("intent \"%s\"", name), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	const json_t *threshold;

	if (*name == '\0' || strlen(name) > 200)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of an intent has 1 to 200 bytes, this one has %zu", strlen(name))));
	if (!json_is_object(doc->root))
		JsonDocError(doc, "$", "an object");
	JsonKeys(doc, doc->root, "$", keys);
	for (int k = 0; k < 5; k++)
		if (json_object_get(doc->root, keys[k]) != NULL)
			(void) JsonString(doc, json_object_get(doc->root, keys[k]), JsonPath(doc, "$", keys[k]), DEFINITION_MAX_TEXT,
							  "text of 1 to " CppAsString2(DEFINITION_MAX_TEXT) " bytes");
	if (json_object_get(doc->root, "intent") != NULL && strcmp(name, JsonString(doc, json_object_get(doc->root, "intent"), "$.intent", 200, "the intent's name")) != 0)
		JsonDocError(doc, "$.intent", "the name of the intent that is put");
	CheckNames(doc, json_object_get(doc->root, "sides"), "$.sides", sides, "an array of some of customer, rep, system");
	CheckNames(doc, json_object_get(doc->root, "channels"), "$.channels", NULL, "an array of channels");
	threshold = json_object_get(doc->root, "threshold");
	if (threshold != NULL && (!json_is_number(threshold) || json_number_value(threshold) < 0 || json_number_value(threshold) > 1))
		JsonDocError(doc, "$.threshold", "a number from 0 to 1");
	if (json_object_get(doc->root, "first") != NULL && !json_is_boolean(json_object_get(doc->root, "first")))
		JsonDocError(doc, "$.first", "true or false");
	CheckPatterns(doc, json_object_get(doc->root, "patterns"), "$.patterns");
	CheckExamples(doc, json_object_get(doc->root, "examples"), "$.examples");
	PG_RETURN_VOID();
}
