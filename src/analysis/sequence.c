/*
 * sequence.c
 *	  Event patterns over a sequence of rows: (?1).*(?2)(?t<=60)(?3).
 *
 * A pattern is a list of items, each of which takes one row: (?N), on which condition N holds, or ., any row. Between two items
 * other rows may lie (.*), or also with bounds of the time between the two ((?t<=60), any number of these). The rows are gone
 * through once, with the set of items that some match in progress has come to, so the work is O(rows * items) whatever the
 * pattern: for an item with a bound on time, the rows that took the item before it are passed by a pointer that only goes on.
 *
 * Matches are counted from left to right: the match that ends first, then the one that ends first in the rows after it.
 */
#include "analysis/analysis.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

typedef struct Reader
{
	const char *start;
	const char *at;
	const char *end;
	SequenceError *error;
} Reader;

/* In characters, not bytes: those that continue a UTF-8 character do not count. */
static int
Position(Reader *r, const char *at)
{
	int			position = 1;

	for (const char *p = r->start; p < at; p++)
		position += ((unsigned char) *p & 0xc0) != 0x80;
	return position;
}

static bool
Fail(Reader *r, const char *at, const char *message, const char *hint)
{
	r->error->position = Position(r, at);
	r->error->message = message;
	r->error->hint = hint;
	return false;
}

static inline int
Peek(Reader *r)
{
	return r->at < r->end ? (unsigned char) *r->at : -1;
}

static void
SkipSpace(Reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

/* Seconds as a decimal number, in microseconds. */
static bool
ReadSeconds(Reader *r, int64 *usecs)
{
	const char *start = r->at;
	int64		scale = USECS_PER_SEC;

	*usecs = 0;
	while (Peek(r) >= '0' && Peek(r) <= '9')
	{
		if (*usecs > INT64CONST(100000000000) * USECS_PER_SEC / 10)
			return Fail(r, start, "the time is too long", "It can be up to 100000000000 seconds.");
		*usecs = *usecs * 10 + (*r->at++ - '0') * USECS_PER_SEC;
	}
	if (r->at == start)
		return Fail(r, start, "a time is missing", "Give it in seconds, such as (?t<=60), or as an interval in quotes, such as (?t<='1 hour').");
	if (Peek(r) == '.')
	{
		r->at++;
		while (Peek(r) >= '0' && Peek(r) <= '9')
		{
			scale /= 10;
			*usecs += (*r->at++ - '0') * scale;
		}
	}
	return true;
}

/* After "(?t": an operator, a time, a closing parenthesis. Narrows lo and hi. */
static bool
ReadTimeBound(Reader *r, const char *open, SequenceDuration duration, int64 *lo, int64 *hi)
{
	const char *op = r->at;
	int			first = Peek(r);
	bool		equal;
	int64		usecs;

	if (first != '<' && first != '>' && first != '=')
		return Fail(r, op, "an operator is missing", "Write one of < <= > >= == after (?t.");
	r->at++;
	equal = Peek(r) == '=';
	if (equal)
		r->at++;
	if (first == '=' && !equal)
		return Fail(r, op, "unknown operator", "Write one of < <= > >= == after (?t.");
	SkipSpace(r);
	if (Peek(r) == '\'')
	{
		const char *quote = r->at++;

		while (r->at < r->end && *r->at != '\'')
			r->at++;
		if (r->at == r->end)
			return Fail(r, quote, "the quote is not closed", NULL);
		if (!duration(quote + 1, r->at - quote - 1, Position(r, quote), &usecs))
			return Fail(r, quote, "the time is no interval of fixed length", "Give it in days, hours, minutes or seconds, and not negative.");
		r->at++;
	}
	else if (!ReadSeconds(r, &usecs))
		return false;
	SkipSpace(r);
	if (Peek(r) != ')')
		return Fail(r, r->at, "expected )", NULL);
	r->at++;

	if (first == '>' || first == '=')
		*lo = Max(*lo, usecs + (equal ? 0 : 1));
	if (first == '<' || first == '=')
		*hi = Min(*hi, usecs - (equal ? 0 : 1));
	if (*lo > *hi)
		return Fail(r, open, "no time can meet this condition together with those before it", NULL);
	return true;
}

/* Parse a pattern whose conditions go from 1 to nconditions. */
bool
SequenceParse(const char *text, int len, int nconditions, SequenceDuration duration, SequencePattern *pattern, SequenceError *error)
{
	Reader		reader = {text, text, text + len, error};
	Reader	   *r = &reader;
	SequenceItem next = {0};
	const char *bound = NULL;	/* the last time condition that no item has followed yet */

	pattern->nitems = 0;
	next.hi = PG_INT64_MAX;
	for (SkipSpace(r); r->at < r->end; SkipSpace(r))
	{
		const char *start = r->at;

		if (*r->at == '.')
		{
			r->at++;
			if (Peek(r) == '*')
			{
				r->at++;
				next.gap = true;
				continue;
			}
			next.condition = -1;
		}
		else if (r->end - r->at >= 2 && r->at[0] == '(' && r->at[1] == '?')
		{
			r->at += 2;
			if (Peek(r) == 't')
			{
				r->at++;
				if (pattern->nitems == 0)
					return Fail(r, start, "a time condition needs an event before it", "Write the two events around it, such as (?1)(?t<=60)(?2).");
				if (!ReadTimeBound(r, start, duration, &next.lo, &next.hi))
					return false;
				next.gap = next.timed = true;
				bound = start;
				continue;
			}
			next.condition = 0;
			while (Peek(r) >= '0' && Peek(r) <= '9' && next.condition <= ANALYSIS_MAX_CONDITIONS)
				next.condition = next.condition * 10 + (*r->at++ - '0');
			if (r->at == start + 2)
				return Fail(r, r->at, "expected the number of a condition, or t", "(?1) is an event on which the first condition holds.");
			if (next.condition < 1 || next.condition > nconditions)
				return Fail(r, start, "there is no condition with this number", "Conditions are numbered from 1, in the order of the arguments.");
			if (Peek(r) != ')')
				return Fail(r, r->at, "expected )", NULL);
			r->at++;
			next.condition--;
		}
		else
			return Fail(r, start, "unexpected character", "A pattern is made of (?1), (?t<=60), . and .*");

		if (pattern->nitems == ANALYSIS_MAX_ITEMS)
			return Fail(r, start, "the pattern has more than 64 events", NULL);
		pattern->items[pattern->nitems++] = next;
		memset(&next, 0, sizeof(next));
		next.hi = PG_INT64_MAX;
		bound = NULL;
	}
	if (bound != NULL)
		return Fail(r, bound, "a time condition needs an event after it", "Write the two events around it, such as (?1)(?t<=60)(?2).");
	if (pattern->nitems == 0)
		return Fail(r, r->end, "the pattern has no event", "(?1) is an event on which the first condition holds.");
	return true;
}

/* For an item with a bound on time: the rows already passed, and the last of them that took the item before. */
typedef struct TimedItem
{
	int			passed;
	bool		found;
	TimestampTz at;
} TimedItem;

/* Number of matches that do not overlap, or with first_only whether there is one. Rows sorted by (at, bits). */
int64
SequenceCount(const SequencePattern *pattern, const BufferRow *rows, int n, bool first_only)
{
	uint64		takes[ANALYSIS_MAX_CONDITIONS] = {0};	/* items, by condition */
	uint64		takes_any = 0,
				next_row = 0,	/* items that must take the row after that of the item before */
				later_row = 0,	/* items that may take any later row */
				timed = 0,
				last = UINT64CONST(1) << (pattern->nitems - 1);
	uint64		prev = 0,		/* items that took the row before */
				ever = 0;		/* items that took any row since the last match */
	uint64	   *taken = NULL;	/* by row: items that took it */
	TimedItem	bounds[ANALYSIS_MAX_ITEMS];
	int64		count = 0;

	for (int i = 0; i < pattern->nitems; i++)
	{
		const SequenceItem *item = &pattern->items[i];
		uint64		bit = UINT64CONST(1) << i;

		if (item->condition < 0)
			takes_any |= bit;
		else
			takes[item->condition] |= bit;
		if (i > 0 && item->timed)
			timed |= bit;
		else if (i > 0 && item->gap)
			later_row |= bit;
		else if (i > 0)
			next_row |= bit;
	}
	memset(bounds, 0, sizeof(bounds));
	if (timed != 0)
		taken = palloc_extended(sizeof(uint64) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (int r = 0; r < n; r++)
	{
		uint64		can = takes_any,
					now;

		if ((r & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		for (uint32 bits = rows[r].bits; bits != 0; bits &= bits - 1)
			can |= takes[pg_rightmost_one_pos32(bits)];
		now = can & (1 | (next_row & (prev << 1)) | (later_row & (ever << 1)));
		for (uint64 todo = can & timed & (ever << 1); todo != 0; todo &= todo - 1)
		{
			int			i = pg_rightmost_one_pos64(todo);
			const SequenceItem *item = &pattern->items[i];
			TimedItem  *b = &bounds[i];

			while (b->passed < r && (uint64) rows[r].at - (uint64) rows[b->passed].at >= (uint64) item->lo)
			{
				if (taken[b->passed] & (UINT64CONST(1) << (i - 1)))
				{
					b->found = true;
					b->at = rows[b->passed].at;
				}
				b->passed++;
			}
			if (b->found && (uint64) rows[r].at - (uint64) b->at <= (uint64) item->hi)
				now |= UINT64CONST(1) << i;
		}
		if (now & last)
		{
			count++;
			if (first_only)
				break;
			now = ever = 0;
			for (int i = 0; i < pattern->nitems; i++)
			{
				bounds[i].passed = r + 1;
				bounds[i].found = false;
			}
		}
		if (taken != NULL)
			taken[r] = now;
		prev = now;
		ever |= now;
	}
	if (taken != NULL)
		pfree(taken);
	return count;
}
