/*
 * simulate.c
 *	  Looks for a regular expression by its automaton, without backtracking.
 *
 * The simulation keeps, for each state that is reached, the leftmost start that leads to it (Pike's, as told in R. Cox, "Regular Expression Matching: the
 * Virtual Machine Approach", 2009): threads are kept in the order of their starts, so the first that reaches a state is the leftmost. Each state knows by which
 * characters a match may go on from it, so alternatives that the next character rules out are never entered.
 *
 * Characters are code points; bytes that are no UTF-8 match nothing, and nothing begins behind one.
 */
#include "text/instruction.h"

#include "miscadmin.h"
#include "text/fold.h"
#include "text/literal.h"

#define INTERRUPTS_EVERY	100000	/* states that are gone on from */

typedef struct Thread
{
	int			at;				/* an instruction that takes a character */
	int			start;
} Thread;

/* Of the automaton that is simulated; bounded, so kept for the next */
static Thread threads[2][MAX_INSTRUCTIONS];
static uint32 reached[MAX_INSTRUCTIONS];	/* the step that reached an instruction last */
static uint32 steps = 0;

static inline bool
GoesOn(const Instruction *in, uint32 c)
{
	return c < 0x80 ? (in->first[c / 64] >> (c % 64) & 1) != 0 : in->first_other && c != NO_CHARACTER;
}

/* Does an instruction take this character, which is beyond ASCII? */
static inline bool
Takes(const Automaton *a, const Instruction *in, uint32 c)
{
	const Class *class;

	if (in->operation == OP_CHARACTER)
		return in->x == c;
	class = &a->classes[in->x];
	for (int i = 0; i < class->nranges; i++)
		if (c >= class->ranges[2 * i] && c <= class->ranges[2 * i + 1])
			return true;
	return false;
}

/* Follow jumps and splits from an instruction to those that take the next character; returns the threads, *matches is set where a match ends */
static inline int
Follow(const Automaton *a, int from, int start, uint32 next, Thread *list, int n, bool *matches)
{
	int			stack[MAX_INSTRUCTIONS],
				depth = 0;
	int			at = from;

	for (;;)
	{
		const Instruction *in = &a->code[at];
		bool		goes_on = GoesOn(in, next);

		if ((goes_on || in->matches) && reached[at] != steps)
		{
			reached[at] = steps;
			if (in->operation == OP_SPLIT)
			{
				stack[depth++] = in->y;
				at = in->x;
				continue;
			}
			if (in->operation == OP_MATCH)
				*matches = true;
			else if (goes_on)
				list[n++] = (Thread) {at, start};
		}
		if (depth == 0)
			break;
		at = stack[--depth];
	}
	return n;
}

/* The character at p, and its bytes */
static inline uint32
TakeAt(const char *p, const char *end, int *size)
{
	if ((unsigned char) *p < 0x80)
	{
		*size = 1;
		return (unsigned char) *p;
	}
	*size = Utf8Length(p, end);
	return CharacterAt(p, *size);
}

/* Does a character end here? */
static inline bool
EndsCharacter(const char *text, int at)
{
	if (at > 0 && (unsigned char) text[at - 1] < 0x80)
		return true;
	for (int k = 1; k <= 4 && k <= at; k++)
		if (Utf8Length(text + at - k, text + at) == k && CharacterAt(text + at - k, k) != NO_CHARACTER)
			return true;
	return at == 0;
}

/* The next byte from `at` on that may begin a match */
static int
NextStart(const Automaton *a, const char *text, int at, int to)
{
	const Instruction *first = &a->code[a->first];

	for (; at < to; at++)
	{
		unsigned char c = (unsigned char) text[at];

		if (c < 0x80 ? (first->first[c / 64] >> (c % 64) & 1) != 0 && !(a->border && at > 0 && IsWord(text[at]) && IsWord(text[at - 1])) :
			first->first_other && c >= 0xC0)
			break;
	}
	return at;
}

void
AutomatonFind(const Automaton *a, const char *text, int len, int from, int to, AutomatonFound found, void *arg)
{
	const char *end = text + len;
	Thread	   *now = threads[0],
			   *later = threads[1];
	int			n = 0,
				at = from,
				size = 0;
	uint32		c = NO_CHARACTER;
	uint32		taken = 0;

	/* the clock does not begin again on the way */
	if (steps > PG_UINT32_MAX / 2)
	{
		memset(reached, 0, sizeof(reached));
		steps = 0;
	}
	for (;;)
	{
		Thread	   *other = now;
		int			start = -1,
					m = 0,
					next_at,
					next_size;
		uint32		next;
		bool		matches = false;

		if (n == 0)
		{
			at = NextStart(a, text, at, to);
			if (at >= to)
				break;
			c = TakeAt(text + at, end, &size);
			steps++;
		}
		taken += n + 1;
		if (taken > INTERRUPTS_EVERY)
		{
			CHECK_FOR_INTERRUPTS();
			taken = 0;
		}
		/* a match may begin here, to the right of all others */
		if (GoesOn(&a->code[a->first], c) && !(a->border && at > 0 && IsWord(text[at]) && IsWord(text[at - 1])) && EndsCharacter(text, at))
			n = Follow(a, a->first, at, c, now, n, &matches);
		next_at = at + size;
		next_size = 0;
		next = next_at < to ? TakeAt(text + next_at, end, &next_size) : NO_CHARACTER;
		steps++;
		for (int i = 0; i < n; i++)
		{
			/* of ASCII no thread is kept that does not take it */
			if (c >= 0x80 && !Takes(a, &a->code[now[i].at], c))
				continue;
			m = Follow(a, a->code[now[i].at].y, now[i].start, next, later, m, &matches);
			if (matches && start < 0)
				start = now[i].start;
		}
		if (next_at > to || (start >= 0 && !found(start, next_at, arg)))
			break;
		at = next_at;
		size = next_size;
		c = next;
		n = m;
		now = later;
		later = other;
	}
}
