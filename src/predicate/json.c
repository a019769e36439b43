/*
 * json.c
 *	  JSON documents whose errors name line, column and path.
 *
 * jansson keeps no positions, so nothing is tracked while a document is compiled: an error has the path of the culprit, and a
 * scanner walks the text, which is valid JSON by then, until it stands at that path. What jansson allocates is released by a
 * callback on the memory context that the document was opened in.
 */
#include "predicate/predicate.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* Where a path was found. */
typedef struct Place
{
	int			line;
	int			column;
	const char *start;			/* of the value */
	const char *end;
} Place;

typedef struct Scanner
{
	const char *p;
	int			line;
	int			column;
	const char *target;
	bool		at_key;			/* wanted is the place of the key, not of its value */
	bool		done;
	int			best;			/* length of the longest path so far that leads to the target; -1: none */
	StringInfoData path;
	Place		place;
} Scanner;

static void ScanValue(Scanner *s);

static void
ReleaseDoc(void *arg)
{
	json_decref(((JsonDoc *) arg)->root);
}

/* Step over one byte; a column is a character. */
static inline void
Advance(Scanner *s)
{
	if (*s->p == '\n')
	{
		s->line++;
		s->column = 1;
	}
	else if (((unsigned char) s->p[1] & 0xC0) != 0x80)
		s->column++;
	s->p++;
}

static void
SkipSpace(Scanner *s)
{
	while (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')
		Advance(s);
}

static void
SkipString(Scanner *s)
{
	Advance(s);
	while (*s->p != '"' && *s->p != '\0')
	{
		if (*s->p == '\\' && s->p[1] != '\0')
			Advance(s);
		Advance(s);
	}
	if (*s->p == '"')
		Advance(s);
}

/* Is the scanner's path the target (done), or a better part of the way to it than what was found so far? */
static bool
PathMatches(Scanner *s)
{
	int			len = s->path.len;

	if (s->done || strncmp(s->path.data, s->target, len) != 0 || len <= s->best)
		return false;
	if (s->target[len] == '\0')
		s->done = true;
	else if (s->at_key || (s->target[len] != '.' && s->target[len] != '['))
		return false;
	s->best = len;
	return true;
}

static void
ScanObject(Scanner *s)
{
	int			len = s->path.len;

	Advance(s);
	for (;;)
	{
		const char *key;
		json_t	   *decoded;
		int			line,
					column;

		SkipSpace(s);
		if (*s->p == ',')
		{
			Advance(s);
			SkipSpace(s);
		}
		if (*s->p != '"')
			break;
		line = s->line;
		column = s->column;
		key = s->p;
		SkipString(s);
		decoded = json_loadb(key, s->p - key, JSON_DECODE_ANY, NULL);
		appendStringInfo(&s->path, ".%s", decoded ? json_string_value(decoded) : "");
		json_decref(decoded);
		if (s->at_key && PathMatches(s))
		{
			s->place.line = line;
			s->place.column = column;
		}
		SkipSpace(s);
		if (*s->p == ':')
			Advance(s);
		ScanValue(s);
		s->path.len = len;
		s->path.data[len] = '\0';
	}
	if (*s->p == '}')
		Advance(s);
}

static void
ScanArray(Scanner *s)
{
	int			len = s->path.len;

	Advance(s);
	for (int i = 0;; i++)
	{
		SkipSpace(s);
		if (*s->p == ',')
		{
			Advance(s);
			SkipSpace(s);
		}
		if (*s->p == ']' || *s->p == '\0')
			break;
		appendStringInfo(&s->path, "[%d]", i);
		ScanValue(s);
		s->path.len = len;
		s->path.data[len] = '\0';
	}
	if (*s->p == ']')
		Advance(s);
}

static void
ScanValue(Scanner *s)
{
	bool		found;

	SkipSpace(s);
	found = !s->at_key && PathMatches(s);
	if (found)
	{
		s->place.line = s->line;
		s->place.column = s->column;
		s->place.start = s->p;
	}
	if (*s->p == '{')
		ScanObject(s);
	else if (*s->p == '[')
		ScanArray(s);
	else if (*s->p == '"')
		SkipString(s);
	else
		while (*s->p != '\0' && strchr(",]} \t\r\n", *s->p) == NULL)
			Advance(s);
	if (found && s->done && s->place.end == NULL)
		s->place.end = s->p;
}

/* Where the path is in the text; where it is not there, the nearest thing around it. */
static Place
FindPath(const JsonDoc *doc, const char *path, bool at_key)
{
	Scanner		s = {doc->text, 1, 1, path, at_key, false, -1};

	s.place.line = s.place.column = 1;
	initStringInfo(&s.path);
	appendStringInfoChar(&s.path, '$');
	ScanValue(&s);
	if (!s.done)
		s.place.start = s.place.end = NULL;
	return s.place;
}

/* What the document says at a place, if it is short enough to quote: a scalar, or an empty container. */
static const char *
Quote(Place place)
{
	char	   *s;
	int			len;

	if (place.start == NULL || place.end == NULL ||
		(strchr("{[", *place.start) != NULL && place.end - place.start > 2))
		return NULL;
	len = place.end - place.start;
	if (len > 60)
	{
		len = pg_encoding_mbcliplen(PG_UTF8, place.start, len, 60);
		s = psprintf("%.*s...", len, place.start);
	}
	else
		s = pnstrdup(place.start, len);
	return pg_any_to_server(s, strlen(s), PG_UTF8);
}

/* The document's strings are UTF-8; messages are in the database's encoding. */
static const char *
ForMessage(const char *s)
{
	return pg_any_to_server(s, strlen(s), PG_UTF8);
}

void
JsonDocError(const JsonDoc *doc, const char *path, const char *expected)
{
	Place		place = FindPath(doc, path, false);
	const char *found = Quote(place);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s, line %d, column %d: expected %s at %s",
					doc->what, place.line, place.column, expected, ForMessage(path)),
			 found ? errdetail("Found %s.", found) : 0));
}

void
JsonDocFault(const JsonDoc *doc, const char *path, const char *fault)
{
	Place		place = FindPath(doc, path, false);
	const char *found = Quote(place);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s, line %d, column %d: %s at %s",
					doc->what, place.line, place.column, ForMessage(fault), ForMessage(path)),
			 found ? errdetail("Found %s.", found) : 0));
}

void
JsonDocKeyError(const JsonDoc *doc, const char *path, const char *key, const char *expected)
{
	Place		place = FindPath(doc, JsonPath(doc, path, key), true);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s, line %d, column %d: unknown key \"%s\" at %s",
					doc->what, place.line, place.column, ForMessage(key), ForMessage(path)),
			 errdetail("Expected one of %s.", expected)));
}

/* Refuse what is nested too deep, before anything recurses into it. */
static void
CheckDepth(const JsonDoc *doc)
{
	Scanner		s = {doc->text, 1, 1};
	int			depth = 0;

	while (*s.p != '\0')
	{
		if (*s.p == '"')
		{
			SkipString(&s);
			continue;
		}
		if (*s.p == '{' || *s.p == '[')
		{
			if (++depth > JSON_MAX_DEPTH)
				ereport(ERROR,
						(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
						 errmsg("%s, line %d, column %d: nested deeper than %d levels",
								doc->what, s.line, s.column, JSON_MAX_DEPTH)));
		}
		else if (*s.p == '}' || *s.p == ']')
			depth--;
		Advance(&s);
	}
}

/* Read a document; it lives, with what jansson allocates for it, as long as the current context. */
JsonDoc *
JsonDocOpen(const char *what, const char *text)
{
	JsonDoc    *doc = palloc0(sizeof(JsonDoc));
	MemoryContextCallback *cb = palloc0(sizeof(MemoryContextCallback));
	size_t		len = strlen(text);
	json_error_t error;

	doc->what = pstrdup(what);
	if (len > JSON_MAX_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is %zu bytes long, the most is %d", what, len, JSON_MAX_TEXT)));
	doc->text = pg_server_to_any(text, len, PG_UTF8);
	if (doc->text == text)
		doc->text = pstrdup(text);
	CheckDepth(doc);

	cb->func = ReleaseDoc;
	cb->arg = doc;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, cb);
	doc->root = json_loads(doc->text, JSON_REJECT_DUPLICATES, &error);
	/* what it quotes may end within a character */
	if (doc->root == NULL)
		ereport(ERROR,
				(errcode(json_error_code(&error) == json_error_out_of_memory ? ERRCODE_OUT_OF_MEMORY : ERRCODE_INVALID_JSON_TEXT),
				 errmsg("%s, line %d, column %d: %s", what, error.line, error.column,
						ForMessage(pnstrdup(error.text, pg_encoding_verifymbstr(PG_UTF8, error.text, strlen(error.text)))))));
	return doc;
}

const char *
JsonPath(const JsonDoc *doc, const char *path, const char *key)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext((void *) doc));
	const char *r = psprintf("%s.%s", path, key);

	MemoryContextSwitchTo(old);
	return r;
}

const char *
JsonPathAt(const JsonDoc *doc, const char *path, size_t index)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext((void *) doc));
	const char *r = psprintf("%s[%zu]", path, index);

	MemoryContextSwitchTo(old);
	return r;
}

void
JsonKeys(const JsonDoc *doc, const json_t *node, const char *path, const char *const *keys)
{
	const char *key;
	json_t	   *value;

	if (!json_is_object(node))
		JsonDocError(doc, path, "an object");
	json_object_foreach((json_t *) node, key, value)
	{
		const char *const *k = keys;

		while (*k != NULL && strcmp(*k, key) != 0)
			k++;
		if (*k == NULL)
		{
			StringInfoData list;

			initStringInfo(&list);
			for (k = keys; *k != NULL; k++)
				appendStringInfo(&list, "%s%s", k == keys ? "" : ", ", *k);
			JsonDocKeyError(doc, path, key, list.data);
		}
	}
}

char *
JsonString(const JsonDoc *doc, const json_t *node, const char *path, int max, const char *expected)
{
	const char *s = json_string_value(node);
	char	   *r;

	if (s == NULL || *s == '\0')
		JsonDocError(doc, path, expected);
	r = pg_any_to_server(s, json_string_length(node), PG_UTF8);
	if (strlen(r) > max)
		JsonDocError(doc, path, psprintf("at most %d bytes", max));
	return r == s ? pstrdup(s) : r;
}

int64
JsonInteger(const JsonDoc *doc, const json_t *node, const char *path, int64 min, int64 max)
{
	if (!json_is_integer(node) || json_integer_value(node) < min || json_integer_value(node) > max)
		JsonDocError(doc, path, psprintf("a whole number from " INT64_FORMAT " to " INT64_FORMAT, min, max));
	return json_integer_value(node);
}

/* Microseconds of a unit of time; 0: no such unit */
static int64
UnitMicros(const char *unit, int len)
{
	static const struct
	{
		const char *name;
		int64		micros;
	}			units[] = {
		{"s", 1000000}, {"sec", 1000000}, {"secs", 1000000}, {"second", 1000000}, {"seconds", 1000000},
		{"m", 60000000}, {"min", 60000000}, {"mins", 60000000}, {"minute", 60000000}, {"minutes", 60000000},
		{"h", INT64CONST(3600000000)}, {"hour", INT64CONST(3600000000)}, {"hours", INT64CONST(3600000000)},
		{"d", INT64CONST(86400000000)}, {"day", INT64CONST(86400000000)}, {"days", INT64CONST(86400000000)},
		{"w", INT64CONST(604800000000)}, {"week", INT64CONST(604800000000)}, {"weeks", INT64CONST(604800000000)},
		{"ms", 1000}
	};

	for (int i = 0; i < lengthof(units); i++)
		if (strlen(units[i].name) == len && pg_strncasecmp(units[i].name, unit, len) == 0)
			return units[i].micros;
	return 0;
}

/* "1 hour 30 minutes", "90s", "1.5h" -> microseconds; -1: it is none. A day is 24 hours. */
static int64
ParseDuration(const char *p)
{
	int64		total = 0;
	bool		any = false;

	for (;;)
	{
		int64		whole = 0;
		int64		fraction = 0;
		int64		scale = 1;
		int			digits = 0;
		const char *unit;
		int64		micros;

		while (*p == ' ')
			p++;
		if (*p == '\0')
			return any ? total : -1;
		for (; *p >= '0' && *p <= '9'; p++, digits++)
		{
			whole = whole * 10 + (*p - '0');
			if (whole > JSON_MAX_DURATION)
				return -1;
		}
		if (*p == '.' && digits > 0)
			for (p++; *p >= '0' && *p <= '9'; p++)
				if (scale < 1000000)
				{
					fraction = fraction * 10 + (*p - '0');
					scale *= 10;
				}
		while (*p == ' ')
			p++;
		unit = p;
		while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
			p++;
		micros = UnitMicros(unit, p - unit);
		if (digits == 0 || micros == 0 || whole > JSON_MAX_DURATION / micros)
			return -1;
		/* scale <= 10^6 and micros <= 6.1 * 10^11: no overflow */
		total += whole * micros + fraction * micros / scale;
		if (total > JSON_MAX_DURATION)
			return -1;
		any = true;
	}
}

int64
JsonDurationFrom(const JsonDoc *doc, const json_t *node, const char *path, bool zero)
{
	int64		r = json_is_string(node) ? ParseDuration(json_string_value(node)) : -1;

	if (r < 0 || (r == 0 && !zero))
		JsonDocError(doc, path, zero ? "a duration of at most 3660 days, such as \"90s\", \"3 minutes\" or \"24 hours\"" :
					 "a duration above 0 and at most 3660 days, such as \"90s\", \"3 minutes\" or \"24 hours\"");
	return r;
}

int64
JsonDuration(const JsonDoc *doc, const json_t *node, const char *path)
{
	return JsonDurationFrom(doc, node, path, false);
}
