/*
 * pattern.c
 *	  What a pattern may be, and how it is written for the library.
 *
 * The library never backtracks, so no pattern is slow on a text; what a bad one can do is take long, or much memory, to compile. So what
 * repeats spell out is bounded before the library sees it.
 */
#include "text/pattern.h"

#include "text/fold.h"

#define MAX_GROUPS	50

typedef struct RegexScan
{
	const char *p;
	const char *end;
	int			depth;
	const char *fault;
	const char *fault_at;
} RegexScan;

static int
Fault(RegexScan *s, const char *at, const char *fault)
{
	if (s->fault == NULL)
	{
		s->fault = fault;
		s->fault_at = at;
	}
	s->p = s->end;
	return 1;
}

/* Past a class; the closing bracket may come first in it */
static void
SkipClass(RegexScan *s)
{
	const char *start = s->p++;

	if (s->p < s->end && *s->p == '^')
		s->p++;
	if (s->p < s->end && *s->p == ']')
		s->p++;
	while (s->p < s->end && *s->p != ']')
	{
		if (*s->p == '\\')
			s->p++;
		else if (*s->p == '[' && s->p + 1 < s->end && s->p[1] == ':')
		{
			const char *close = strstr(s->p, ":]");

			if (close != NULL)
				s->p = close + 1;
		}
		if (s->p < s->end)
			s->p++;
	}
	if (s->p >= s->end)
		Fault(s, start, "this character class is not closed");
	else
		s->p++;
}

const char *
PatternClassEnd(const char *p, const char *end)
{
	RegexScan	s = {p, end, 0, NULL, NULL};

	SkipClass(&s);
	return s.p;
}

int
PatternRepeats(const char *p, const char *end, const char **after)
{
	int			n[2] = {0, 0};
	int			k = 0;
	bool		digits = false;

	for (p++; p < end && *p != '}'; p++)
	{
		if (*p >= '0' && *p <= '9')
		{
			n[k] = Min(n[k] * 10 + (*p - '0'), TEXT_MAX_STATES + 1);
			digits = true;
		}
		else if (*p == ',' && k == 0 && digits)
			k = 1;
		else
			return 0;
	}
	if (p >= end || !digits)
		return 0;
	*after = p + 1;
	return Max(Max(n[0], n[1]), 1);
}

/* What a sequence of alternatives spells out, up to its closing parenthesis or the end */
static int
Measure(RegexScan *s)
{
	int			total = 0;

	if (++s->depth > MAX_GROUPS)
		return Fault(s, s->p, "groups are nested too deep here");
	while (s->p < s->end && *s->p != ')')
	{
		const char *start = s->p;
		int			one = 1;

		if (*s->p == '(')
		{
			s->p++;
			one = Measure(s);
			if (s->p >= s->end)
				return Fault(s, start, "this parenthesis is not closed");
			s->p++;
		}
		else if (*s->p == '[')
			SkipClass(s);
		else if (*s->p == '\\')
		{
			if (s->p + 1 >= s->end)
				return Fault(s, start, "a backslash ends it");
			if (s->p[1] == 'Q' || s->p[1] == 'C')
				return Fault(s, start, "this escape is not supported");
			s->p += 1 + Utf8Length(s->p + 1, s->end);
		}
		else
			s->p += Utf8Length(s->p, s->end);
		while (s->p < s->end && (*s->p == '*' || *s->p == '+' || *s->p == '?' || *s->p == '{'))
		{
			const char *after = s->p + 1;
			int			times = 1;

			if (*s->p == '{' && (times = PatternRepeats(s->p, s->end, &after)) == 0)
				break;
			one = (int) Min((int64) one * times, TEXT_MAX_STATES + 1);
			if (one > TEXT_MAX_STATES)
				return Fault(s, s->p, "what repeats spell out here is more than " CppAsString2(TEXT_MAX_STATES) " characters");
			s->p = after;
		}
		total += one;
		if (total > TEXT_MAX_STATES)
			return Fault(s, start, "it spells out more than " CppAsString2(TEXT_MAX_STATES) " characters");
		if (s->p == start)
			s->p++;
	}
	s->depth--;
	return Max(total, 1);
}

static int
CharactersTo(const char *text, const char *at)
{
	int			n = 1;

	while (text < at)
	{
		text += Utf8Length(text, at);
		n++;
	}
	return n;
}

char *
PatternFold(PatternKind kind, const char *pattern)
{
	int			len = (int) strlen(pattern);
	const char *end = pattern + len;
	char	   *to = palloc(FOLD_GROWTH * len + 1);
	int			n = 0;
	bool		class = false;

	if (kind == PATTERN_LITERAL)
	{
		n = FoldText(pattern, len, to);
		to[n] = '\0';
		return to;
	}
	/* an escape stays: \W is not \w; so do the ends of a range that are no letters of ASCII, which may not keep their order */
	for (const char *p = pattern; p < end;)
	{
		int			step = Utf8Length(p, end);

		if (*p == '\\' && p + 1 < end)
		{
			const char *brace = p + 2 < end && p[2] == '{' && strchr("pPxo", p[1]) != NULL ? strchr(p, '}') : NULL;

			step = brace != NULL ? (int) (brace + 1 - p) : 1 + Utf8Length(p + 1, end);
			memcpy(to + n, p, step);
			n += step;
		}
		else if (!class && *p == '(' && p + 1 < end && p[1] == '?')
		{
			step = (int) strcspn(p, ":)>'=!") + 1;
			step = Min(step, (int) (end - p));
			memcpy(to + n, p, step);
			n += step;
		}
		else if (class && step > 1 && ((p > pattern && p[-1] == '-') || (p + step < end && p[step] == '-')))
		{
			memcpy(to + n, p, step);
			n += step;
		}
		else
		{
			if (*p == '[')
				class = true;
			else if (*p == ']')
				class = false;
			n += FoldText(p, step, to + n);
		}
		p += step;
	}
	to[n] = '\0';
	return to;
}

static int
CharacterNeeds(const char *p)
{
	return (unsigned char) *p >= 0x80 ? NEEDS_OTHER : (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ? NEEDS_WORD : 0;
}

/* What each alternative of a sequence needs, up to its closing parenthesis or the end. The form is one that Measure() has passed. */
static int
SequenceNeeds(RegexScan *s)
{
	int			all = NEEDS_WORD | NEEDS_OTHER,
				needs = 0;

	while (s->p < s->end && *s->p != ')')
	{
		const char *start = s->p;
		int			one = 0;

		if (*s->p == '|')
		{
			all &= needs;
			needs = 0;
			s->p++;
			continue;
		}
		if (*s->p == '(')
		{
			s->p += s->p[1] == '?' ? 3 : 1;
			one = SequenceNeeds(s);
			s->p++;
		}
		else if (*s->p == '[')
			SkipClass(s);
		else if (*s->p == '\\')
			s->p += 1 + Utf8Length(s->p + 1, s->end);
		else
		{
			one = CharacterNeeds(s->p);
			s->p += Utf8Length(s->p, s->end);
		}
		while (s->p < s->end && (*s->p == '*' || *s->p == '+' || *s->p == '?' || *s->p == '{'))
		{
			const char *after = s->p + 1;

			if (*s->p == '{' && PatternRepeats(s->p, s->end, &after) == 0)
				break;
			/* it may be there no time */
			if (*s->p != '+')
				one = 0;
			s->p = after;
		}
		needs |= one;
		if (s->p == start)
			s->p++;
	}
	return all & needs;
}

bool
PatternIsPlain(const char *folded)
{
	for (const char *p = folded; *p; p++)
	{
		if (*p == '(' && p[1] == '?' && p[2] != ':')
			return false;
		if (*p == '\\' && (*++p == '\0' || strchr("bBdDsSwW.,?*+()[]{}|$^-/", *p) == NULL))
			return false;
	}
	return true;
}

int
PatternNeeds(PatternKind kind, const char *folded)
{
	RegexScan	s = {folded, folded + strlen(folded), 0, NULL, NULL};
	int			needs = 0;

	if (kind == PATTERN_LITERAL)
	{
		for (const char *p = folded; *p; p++)
			needs |= CharacterNeeds(p);
		return needs;
	}
	if (!PatternIsPlain(folded))
		return 0;
	needs = SequenceNeeds(&s);
	return s.p < s.end || s.fault != NULL ? 0 : needs;
}

char *
PatternPacked(const char *folded)
{
	char	   *packed = palloc(strlen(folded) + 1);
	int			n = 0;

	for (const char *p = folded; *p; p++)
		if (*p != ' ' || p[1] != ' ')
			packed[n++] = *p;
	packed[n] = '\0';
	return packed;
}

char *
PatternLed(const char *folded, bool border)
{
	return psprintf(border ? "(?:[^0-9A-Za-z_]|[0-9A-Za-z_]\\b)(?:%s)" : "(?:.|\n)(?:%s)", folded);
}

const char *
PatternFault(PatternKind kind, const char *pattern, int *at)
{
	int			len = (int) strlen(pattern);
	char	   *folded;
	RegexScan	s = {pattern, pattern + len, 0, NULL, NULL};

	*at = 0;
	if (len == 0)
		return "it is empty";
	if (len > TEXT_MAX_PATTERN)
		return psprintf("it has %d bytes, more than %d", len, TEXT_MAX_PATTERN);
	folded = PatternFold(kind, pattern);
	if (strspn(folded, " ") == strlen(folded))
		return "it is nothing but space";
	if (kind == PATTERN_LITERAL)
		return NULL;
	(void) Measure(&s);
	if (s.fault == NULL && s.p < s.end)
		Fault(&s, s.p, "this parenthesis closes no group");
	if (s.fault != NULL)
	{
		*at = CharactersTo(pattern, s.fault_at);
		return s.fault;
	}
	return LibraryFault(folded, at);
}
