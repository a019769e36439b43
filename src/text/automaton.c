/*
 * automaton.c
 *	  Regular expressions as nondeterministic automata, which simulate.c looks with.
 *
 * A text that has a factor of an expression is looked through for this one alone, a few dozen characters around the factor: too few for what a scan by the library
 * costs before it begins. The automaton is Thompson's (CACM 11, 1968).
 *
 * What is understood is the plain part of the library's syntax. Anything else is left to the library: no expression means something else here than it does
 * there.
 */
#include "text/instruction.h"

#include "miscadmin.h"
#include "text/fold.h"
#include "utils/memutils.h"

#define MAX_CLASSES		TEXT_MAX_PATTERN
#define MAX_RANGES		64		/* of characters beyond ASCII in a class */
#define MAX_DEPTH		50
#define NO_BOUND		TEXT_MAX_BODY

/* ---------- reading the expression ---------- */

typedef struct Reader
{
	const char *p;
	const char *end;
	int			depth;
	bool		failed;
	int			n;
	int			nclasses;
} Reader;

/* What is read, until it is known how much it is */
static Instruction code[MAX_INSTRUCTIONS];
static Class classes[MAX_CLASSES];

static int	ReadAlternatives(Reader *r);

static int
Emit(Reader *r, Operation operation, uint32 x, int y)
{
	/* of what is too large the last is written again and again */
	if (r->n == MAX_INSTRUCTIONS)
	{
		r->failed = true;
		r->n--;
	}
	code[r->n] = (Instruction) {.x = x, .y = (uint16) y, .operation = operation};
	return r->n++;
}

/* The next character, which stands for itself */
static uint32
TakeCharacter(Reader *r)
{
	int			len = Utf8Length(r->p, r->end);
	uint32		c = CharacterAt(r->p, len);

	r->failed |= c == NO_CHARACTER || c < ' ' || c == 0x7F;
	r->p += len;
	return c;
}

static void
AddRange(Reader *r, Class *to, uint32 from, uint32 until)
{
	for (; from <= until && from < 0x80; from++)
		to->ascii[from / 64] |= UINT64CONST(1) << (from % 64);
	if (from > until)
		return;
	if (to->nranges == MAX_RANGES)
	{
		r->failed = true;
		return;
	}
	to->ranges[2 * to->nranges] = from;
	to->ranges[2 * to->nranges + 1] = until;
	to->nranges++;
}

static int
RangeCmp(const void *a, const void *b)
{
	const uint32 *x = a,
			   *y = b;

	return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* All characters but these */
static void
Invert(Class *c)
{
	uint32	   *inverse = palloc((2 * c->nranges + 2) * sizeof(uint32));
	uint32		next = 0x80;
	int			n = 0;

	qsort(c->ranges, c->nranges, 2 * sizeof(uint32), RangeCmp);
	for (int i = 0; i < c->nranges; i++)
	{
		if (c->ranges[2 * i] > next)
		{
			inverse[2 * n] = next;
			inverse[2 * n++ + 1] = c->ranges[2 * i] - 1;
		}
		next = Max(next, c->ranges[2 * i + 1] + 1);
	}
	if (next < 0x110000)
	{
		inverse[2 * n] = next;
		inverse[2 * n++ + 1] = 0x10FFFF;
	}
	c->ascii[0] = ~c->ascii[0];
	c->ascii[1] = ~c->ascii[1];
	c->ranges = inverse;
	c->nranges = n;
}

static Class *
NewClass(Reader *r)
{
	Class	   *c;

	if (r->nclasses == MAX_CLASSES)
	{
		r->failed = true;
		r->nclasses--;
	}
	c = &classes[r->nclasses++];
	c->ascii[0] = c->ascii[1] = 0;
	c->nranges = 0;
	c->ranges = palloc(2 * MAX_RANGES * sizeof(uint32));
	return c;
}

/* What the letter of \w, \d, \s and their inverses stands for, into the class */
static void
AddNamed(Reader *r, Class *to, char letter)
{
	Class		named = {.ranges = palloc(2 * MAX_RANGES * sizeof(uint32))};

	switch (letter | 0x20)
	{
		case 'w':
			AddRange(r, &named, '0', '9');
			AddRange(r, &named, 'A', 'Z');
			AddRange(r, &named, '_', '_');
			AddRange(r, &named, 'a', 'z');
			break;
		case 'd':
			AddRange(r, &named, '0', '9');
			break;
		default:
			AddRange(r, &named, '\t', '\r');
			AddRange(r, &named, ' ', ' ');
	}
	if ((letter & 0x20) == 0)
		Invert(&named);
	to->ascii[0] |= named.ascii[0];
	to->ascii[1] |= named.ascii[1];
	for (int i = 0; i < named.nranges; i++)
		AddRange(r, to, named.ranges[2 * i], named.ranges[2 * i + 1]);
}

/* Returns the most bytes */
static int
EmitClass(Reader *r, const Class *c)
{
	Emit(r, OP_CLASS, r->nclasses - 1, 0);
	for (int i = 0; i < c->nranges; i++)
		if (c->ranges[2 * i + 1] >= 0x10000)
			return 4;
	return c->nranges > 0 ? 3 : 1;
}

/* [...], of which what is not plain is the library's: named classes, a bracket or a hyphen that may mean something else */
static int
ReadClass(Reader *r)
{
	Class	   *c = NewClass(r);
	bool		inverse = false;
	const char *start;

	r->p++;
	if (r->p < r->end && *r->p == '^')
	{
		inverse = true;
		r->p++;
	}
	start = r->p;
	while (r->p < r->end && *r->p != ']' && !r->failed)
	{
		uint32		from,
					until;
		bool		escaped = false;

		if (*r->p == '[' || (*r->p == '-' && r->p > start && !(r->p + 1 < r->end && r->p[1] == ']')))
			r->failed = true;
		else if (*r->p == '\\')
		{
			r->p++;
			if (r->p < r->end && strchr("dDsSwW", *r->p) != NULL)
			{
				AddNamed(r, c, *r->p++);
				/* a hyphen would make a range of it */
				r->failed |= r->p < r->end && *r->p == '-';
				continue;
			}
			r->failed |= r->p >= r->end || strchr(".,?*+()[]{}|$^-/", *r->p) == NULL;
			escaped = true;
		}
		if (r->failed)
			break;
		from = until = TakeCharacter(r);
		if (r->p + 1 < r->end && *r->p == '-' && r->p[1] != ']')
		{
			r->p++;
			r->failed |= escaped || from == '-' || strchr("\\[-", *r->p) != NULL;
			until = TakeCharacter(r);
			r->failed |= until < from;
		}
		if (!r->failed)
			AddRange(r, c, from, until);
	}
	if (r->p >= r->end || r->p == start)
		r->failed = true;
	else
		r->p++;
	if (inverse)
		Invert(c);
	return EmitClass(r, c);
}

/* What may be repeated: a group, a class, an escape, a character. Returns the most bytes that it matches */
static int
ReadOne(Reader *r)
{
	const char *start = r->p;
	Class	   *c;

	switch (*r->p)
	{
		case '(':
			{
				int			width;

				r->p++;
				if (r->p < r->end && *r->p == '?')
				{
					if (r->p + 1 >= r->end || r->p[1] != ':')
						r->failed = true;
					r->p += 2;
				}
				width = r->failed ? 0 : ReadAlternatives(r);
				if (r->p >= r->end)
					r->failed = true;
				else
					r->p++;
				return width;
			}
		case '[':
			return ReadClass(r);
		case '.':
			r->p++;
			c = NewClass(r);
			AddRange(r, c, '\n', '\n');
			Invert(c);
			return EmitClass(r, c);
		case '\\':
			r->p++;
			if (r->p < r->end && strchr("dDsSwW", *r->p) != NULL)
			{
				c = NewClass(r);
				AddNamed(r, c, *r->p++);
				return EmitClass(r, c);
			}
			r->failed |= r->p >= r->end || strchr(".,?*+()[]{}|$^-/", *r->p) == NULL;
			break;
		case '*':
		case '+':
		case '?':
		case '{':
		case '}':
		case ']':
		case '^':
		case '$':
			r->failed = true;
			break;
	}
	if (r->failed)
		return 0;
	start = r->p;
	Emit(r, OP_CHARACTER, TakeCharacter(r), 0);
	return (int) (r->p - start);
}

/* The bounds of {m}, {m,} or {m,n}, which PatternRepeats() has passed; *most is -1 for {m,} */
static void
ReadBounds(const char *p, int *least, int *most)
{
	*least = *most = atoi(++p);
	while (*p >= '0' && *p <= '9')
		p++;
	if (*p == ',')
		*most = p[1] == '}' ? -1 : atoi(p + 1);
}

/* Put a split before what was read last, which begins there, and leads nowhere but into itself and behind itself */
static void
InsertSplit(Reader *r, int begin)
{
	Emit(r, OP_SPLIT, 0, 0);
	memmove(&code[begin + 1], &code[begin], (r->n - 1 - begin) * sizeof(Instruction));
	for (int i = begin + 1; i < r->n; i++)
	{
		if (code[i].operation == OP_SPLIT || code[i].operation == OP_JUMP)
			code[i].x++;
		if (code[i].operation == OP_SPLIT)
			code[i].y++;
	}
	code[begin] = (Instruction) {.x = begin + 1, .operation = OP_SPLIT};
}

/* One part with what repeats it. Returns the most bytes that it matches */
static int
ReadRepeated(Reader *r)
{
	const char *start = r->p;
	int			begin = r->n;
	int			width = ReadOne(r);
	const char *after = r->p + 1;
	int			least = 1,
				most = 1;
	int			splits[TEXT_MAX_STATES],
				nsplits = 0;

	if (r->failed || r->p >= r->end)
		return width;
	switch (*r->p)
	{
		case '?':
			least = 0;
			break;
		case '*':
			least = 0;
			most = -1;
			break;
		case '+':
			most = -1;
			break;
		case '{':
			if (PatternRepeats(r->p, r->end, &after) == 0)
			{
				r->failed = true;
				return 0;
			}
			ReadBounds(r->p, &least, &most);
			break;
		default:
			return width;
	}
	/* what repeats a repeat, or makes it lazy, and bounds without sense are the library's */
	if ((after < r->end && strchr("*+?{", *after) != NULL) || (most >= 0 && (most == 0 || most < least)) || Max(least, most) > TEXT_MAX_STATES)
	{
		r->failed = true;
		return 0;
	}
	if (least == 0)
	{
		InsertSplit(r, begin);
		splits[nsplits++] = begin;
	}
	/* each other copy is read anew, and stays: so what is read in all is bounded as the instructions are */
	for (int i = 1; i < Max(least, most) && !r->failed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i >= least)
			splits[nsplits++] = Emit(r, OP_SPLIT, r->n + 1, 0);
		begin = r->n;
		r->p = start;
		(void) ReadOne(r);
	}
	if (most < 0 && least == 0)
		Emit(r, OP_JUMP, splits[0], 0);
	else if (most < 0)
		Emit(r, OP_SPLIT, begin, r->n + 1);
	for (int i = 0; i < nsplits; i++)
		code[splits[i]].y = (uint16) r->n;
	r->p = after;
	if (most < 0)
		return NO_BOUND;
	return (int) Min((int64) width * most, NO_BOUND);
}

/* Up to the closing parenthesis or the end. Returns the most bytes that it matches */
static int
ReadAlternatives(Reader *r)
{
	int			jumps[TEXT_MAX_STATES],
				njumps = 0,
				width = 0,
				one = 0,
				split = -1;

	check_stack_depth();
	if (++r->depth > MAX_DEPTH)
		r->failed = true;
	/* room for a split, should there be alternatives */
	split = Emit(r, OP_JUMP, r->n + 1, 0);
	while (!r->failed && r->p < r->end && *r->p != ')')
	{
		if (*r->p != '|')
		{
			one += ReadRepeated(r);
			one = Min(one, NO_BOUND);
			continue;
		}
		r->p++;
		width = Max(width, one);
		one = 0;
		if (njumps == lengthof(jumps))
		{
			r->failed = true;
			break;
		}
		jumps[njumps++] = Emit(r, OP_JUMP, 0, 0);
		code[split] = (Instruction) {.x = split + 1, .y = (uint16) r->n, .operation = OP_SPLIT};
		split = Emit(r, OP_JUMP, r->n + 1, 0);
	}
	for (int i = 0; i < njumps; i++)
		code[jumps[i]].x = r->n;
	r->depth--;
	return Max(width, one);
}

/* ---------- what may come first ---------- */

static bool
Widen(Instruction *i, const Instruction *by)
{
	Instruction was = *i;

	i->first[0] |= by->first[0];
	i->first[1] |= by->first[1];
	i->first_other |= by->first_other;
	i->matches |= by->matches;
	return i->first[0] != was.first[0] || i->first[1] != was.first[1] || i->first_other != was.first_other || i->matches != was.matches;
}

/* Jumps and splits go on with what those go on with that they lead to: backwards over the code, until nothing changes, which loops within loops delay */
static void
FindFirst(Automaton *a)
{
	bool		changed = true;

	for (int i = 0; i < a->n; i++)
	{
		Instruction *in = &a->code[i];
		const Class *c;

		switch (in->operation)
		{
			case OP_CHARACTER:
				if (in->x < 0x80)
					in->first[in->x / 64] |= UINT64CONST(1) << (in->x % 64);
				else
					in->first_other = true;
				break;
			case OP_CLASS:
				c = &a->classes[in->x];
				in->first[0] = c->ascii[0];
				in->first[1] = c->ascii[1];
				in->first_other = c->nranges > 0;
				break;
			case OP_MATCH:
				in->matches = true;
				break;
		}
	}
	while (changed)
	{
		CHECK_FOR_INTERRUPTS();
		changed = false;
		for (int i = a->n - 1; i >= 0; i--)
		{
			Instruction *in = &a->code[i];

			if (in->operation == OP_SPLIT || in->operation == OP_JUMP)
				changed |= Widen(in, &a->code[in->x]);
			if (in->operation == OP_SPLIT)
				changed |= Widen(in, &a->code[in->y]);
		}
	}
}

/* Where an instruction leads, past the jumps; a loop of nothing but jumps cannot be written */
static int
PastJumps(const Automaton *a, int at)
{
	while (a->code[at].operation == OP_JUMP)
		at = a->code[at].x;
	return at;
}

static void
SkipJumps(Automaton *a)
{
	for (int i = 0; i < a->n; i++)
	{
		Instruction *in = &a->code[i];

		if (in->operation == OP_SPLIT)
		{
			in->x = PastJumps(a, in->x);
			in->y = PastJumps(a, in->y);
		}
		else if (in->operation == OP_JUMP)
			in->x = PastJumps(a, in->x);
		else if (in->operation != OP_MATCH)
			in->y = PastJumps(a, i + 1);
	}
	a->first = PastJumps(a, 0);
}

Automaton *
AutomatonMake(const char *folded, bool border)
{
	MemoryContext context,
				old;
	Reader		r = {folded, folded + strlen(folded)};
	Automaton  *a = NULL;
	int			width;

	if (!PatternIsPlain(folded))
		return NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "revops text automaton", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	width = ReadAlternatives(&r);
	Emit(&r, OP_MATCH, 0, 0);
	MemoryContextSwitchTo(old);
	if (!r.failed && r.p == r.end)
	{
		a = palloc(sizeof(Automaton));
		a->border = border;
		a->width = width < NO_BOUND ? width : 0;
		a->n = r.n;
		a->code = memcpy(palloc(r.n * sizeof(Instruction)), code, r.n * sizeof(Instruction));
		a->classes = palloc((r.nclasses + 1) * sizeof(Class));
		for (int i = 0; i < r.nclasses; i++)
		{
			Class	   *c = &a->classes[i];
			Size		size = 2 * classes[i].nranges * sizeof(uint32);

			*c = classes[i];
			c->ranges = size > 0 ? memcpy(palloc(size), c->ranges, size) : NULL;
		}
		SkipJumps(a);
		FindFirst(a);
	}
	MemoryContextDelete(context);
	/* the empty text is nothing to find */
	return a == NULL || a->code[a->first].matches ? NULL : a;
}

int
AutomatonWidth(const Automaton *a)
{
	return a->width;
}
