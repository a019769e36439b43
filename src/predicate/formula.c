/*
 * formula.c
 *	  Formulas of numbers and names, compiled to a flat postfix program.
 *
 *	  sum     = product { ("+" | "-") product }
 *	  product = unary { ("*" | "/") unary }
 *	  unary   = { "-" } operand
 *	  operand = number | name | "(" sum ")" | function "(" sum { "," sum } ")"
 *
 * The arithmetic is that of IEEE 754: an infinity or NaN on the way is no error. The value of the whole is 0 if it is not finite.
 */
#include "predicate/predicate.h"

#include <math.h>

#include "base/bytes.h"
#include "mb/pg_wchar.h"

/* Longest name or number, in bytes; most arguments of min and max */
#define FORMULA_MAX_WORD	128
#define FORMULA_MAX_ARGS	16

typedef enum OpCode
{
	OP_NUMBER,
	OP_SLOT,
	OP_NEGATE,
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_MIN,
	OP_MAX,
	OP_SQRT,
	OP_LN,
	OP_EXP
} OpCode;

typedef struct Op
{
	OpCode		code;
	int			slot;
	double		number;
} Op;

struct Formula
{
	int			n;
	Op			ops[FLEXIBLE_ARRAY_MEMBER];
};

/* Each parenthesis or function leaves at most three values below it on the stack: of a sum, a product, and min or max. */
#define FORMULA_STACK	(3 * (FORMULA_MAX_DEPTH + 1) + 4)

typedef struct Parser
{
	const JsonDoc *doc;
	const char *path;
	const char *text;
	const char *p;
	FormulaName resolve;
	void	   *arg;
	int			depth;			/* open parentheses */
	int			stack;			/* values on the stack so far */
	int			n;
	Op			ops[FORMULA_MAX_NODES];
} Parser;

static const struct
{
	const char *name;
	OpCode		code;
}			functions[] = {
	{"min", OP_MIN}, {"max", OP_MAX}, {"sqrt", OP_SQRT}, {"ln", OP_LN}, {"exp", OP_EXP}
};

static void ParseSum(Parser *ps);

/* The place of p in the formula, in characters from 1 */
static int
Position(const Parser *ps, const char *p)
{
	return 1 + Utf8Characters(ps->text, (int) (p - ps->text));
}

pg_noreturn static void
Expected(const Parser *ps, const char *what)
{
	JsonDocError(ps->doc, ps->path, psprintf("%s at position %d of the formula", what, Position(ps, ps->p)));
}

static inline bool
IsDigit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
IsLetter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void
SkipSpace(Parser *ps)
{
	while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r')
		ps->p++;
}

/* Is this the next character? Then step over it. */
static bool
Accept(Parser *ps, char c)
{
	SkipSpace(ps);
	if (*ps->p != c)
		return false;
	ps->p++;
	return true;
}

static Op *
Emit(Parser *ps, OpCode code)
{
	Op		   *op;

	if (ps->n == FORMULA_MAX_NODES)
		JsonDocError(ps->doc, ps->path, psprintf("a formula of at most %d numbers, names and operations", FORMULA_MAX_NODES));
	op = &ps->ops[ps->n++];
	op->code = code;
	op->slot = 0;
	op->number = 0;
	ps->stack += code <= OP_SLOT ? 1 : code >= OP_ADD && code <= OP_MAX ? -1 : 0;
	Assert(ps->stack >= 1 && ps->stack <= FORMULA_STACK);
	return op;
}

static void
ParseNumber(Parser *ps)
{
	char		buf[FORMULA_MAX_WORD + 1];
	const char *p = ps->p;
	double		v;

	while (IsDigit(*p))
		p++;
	if (*p == '.')
	{
		p++;
		if (!IsDigit(*p))
			Expected(ps, "a number, such as 1, 0.5 or 1e3,");
		while (IsDigit(*p))
			p++;
	}
	if (*p == 'e' || *p == 'E')
	{
		p++;
		if (*p == '+' || *p == '-')
			p++;
		if (!IsDigit(*p))
			Expected(ps, "a number, such as 1, 0.5 or 1e3,");
		while (IsDigit(*p))
			p++;
	}
	if (IsLetter(*p) || *p == '.' || p - ps->p > FORMULA_MAX_WORD)
		Expected(ps, "a number, such as 1, 0.5 or 1e3,");
	memcpy(buf, ps->p, p - ps->p);
	buf[p - ps->p] = '\0';
	v = strtod(buf, NULL);
	if (!isfinite(v))
		Expected(ps, "a number below 1e308");
	Emit(ps, OP_NUMBER)->number = v;
	ps->p = p;
}

/* The arguments of a function: one, or for min and max one to FORMULA_MAX_ARGS; the parenthesis is open */
static void
ParseArguments(Parser *ps, OpCode code)
{
	int			n = 1;

	ParseSum(ps);
	if (code == OP_MIN || code == OP_MAX)
		while (Accept(ps, ','))
		{
			if (++n > FORMULA_MAX_ARGS)
			{
				ps->p--;
				Expected(ps, psprintf("at most %d arguments", FORMULA_MAX_ARGS));
			}
			ParseSum(ps);
			Emit(ps, code);
		}
	else
		Emit(ps, code);
	if (!Accept(ps, ')'))
		Expected(ps, code == OP_MIN || code == OP_MAX ? "an operator, \",\" or \")\"" : "an operator or \")\"");
}

static void
Enter(Parser *ps)
{
	if (++ps->depth > FORMULA_MAX_DEPTH)
		Expected(ps, psprintf("at most %d open parentheses", FORMULA_MAX_DEPTH));
}

/* A name, or a function */
static void
ParseWord(Parser *ps)
{
	const char *start = ps->p;
	char		word[FORMULA_MAX_WORD + 1];
	const char *p = start;
	int			slot;

	for (;;)
	{
		while (IsLetter(*p) || IsDigit(*p))
			p++;
		if (*p != '.' || !IsLetter(p[1]))
			break;
		p++;
	}
	if (p - start > FORMULA_MAX_WORD)
		Expected(ps, psprintf("a name of at most %d bytes", FORMULA_MAX_WORD));
	memcpy(word, start, p - start);
	word[p - start] = '\0';
	ps->p = p;
	if (Accept(ps, '('))
	{
		for (int i = 0; i < lengthof(functions); i++)
			if (strcmp(functions[i].name, word) == 0)
			{
				Enter(ps);
				ParseArguments(ps, functions[i].code);
				ps->depth--;
				return;
			}
		ps->p = start;
		Expected(ps, "one of the functions min, max, sqrt, ln, exp");
	}
	slot = ps->resolve ? ps->resolve(ps->arg, word) : -1;
	if (slot < 0)
		JsonDocFault(ps->doc, ps->path,
					 psprintf("an unknown name: \"%s\", at position %d of the formula", word, Position(ps, start)));
	Emit(ps, OP_SLOT)->slot = slot;
	ps->p = p;
}

static void
ParseUnary(Parser *ps)
{
	bool		negative = false;

	while (Accept(ps, '-'))
		negative = !negative;
	SkipSpace(ps);
	if (IsDigit(*ps->p))
		ParseNumber(ps);
	else if (IsLetter(*ps->p))
		ParseWord(ps);
	else if (*ps->p == '(')
	{
		Enter(ps);
		ps->p++;
		ParseSum(ps);
		if (!Accept(ps, ')'))
			Expected(ps, "an operator or \")\"");
		ps->depth--;
	}
	else
		Expected(ps, "a number, a name, a function or \"(\"");
	if (negative)
		Emit(ps, OP_NEGATE);
}

static void
ParseProduct(Parser *ps)
{
	ParseUnary(ps);
	for (;;)
	{
		OpCode		code;

		if (Accept(ps, '*'))
			code = OP_MULTIPLY;
		else if (Accept(ps, '/'))
			code = OP_DIVIDE;
		else
			return;
		ParseUnary(ps);
		Emit(ps, code);
	}
}

static void
ParseSum(Parser *ps)
{
	ParseProduct(ps);
	for (;;)
	{
		OpCode		code;

		if (Accept(ps, '+'))
			code = OP_ADD;
		else if (Accept(ps, '-'))
			code = OP_SUBTRACT;
		else
			return;
		ParseProduct(ps);
		Emit(ps, code);
	}
}

Formula *
FormulaCompile(const JsonDoc *doc, const json_t *json, const char *path, FormulaName resolve, void *arg)
{
	Parser	   *ps = palloc0(sizeof(Parser));
	Formula    *f;

	ps->doc = doc;
	ps->path = path;
	ps->resolve = resolve;
	ps->arg = arg;
	if (json_is_number(json))
		Emit(ps, OP_NUMBER)->number = json_number_value(json);
	else if (json_is_string(json))
	{
		if (json_string_length(json) > FORMULA_MAX_TEXT)
			JsonDocError(doc, path, psprintf("a formula of at most %d bytes", FORMULA_MAX_TEXT));
		ps->text = ps->p = json_string_value(json);
		ParseSum(ps);
		SkipSpace(ps);
		if (*ps->p != '\0')
			Expected(ps, "an operator or the end");
	}
	else
		JsonDocError(doc, path, "a number, or a formula as text");

	f = palloc(offsetof(Formula, ops) + ps->n * sizeof(Op));
	f->n = ps->n;
	memcpy(f->ops, ps->ops, ps->n * sizeof(Op));
	pfree(ps);
	return f;
}

/* min or max; NaN if either is, so that the order of the arguments does not matter */
static inline double
Extreme(double a, double b, bool min)
{
	if (isnan(a) || isnan(b))
		return NAN;
	return (a < b) == min ? a : b;
}

double
FormulaEval(const Formula *f, const double *slots)
{
	double		stack[FORMULA_STACK];
	int			n = 0;

	for (int i = 0; i < f->n; i++)
	{
		const Op   *op = &f->ops[i];

		if (op->code >= OP_ADD && op->code <= OP_MAX)
			n--;
		switch (op->code)
		{
			case OP_NUMBER:
				stack[n++] = op->number;
				break;
			case OP_SLOT:
				stack[n++] = isfinite(slots[op->slot]) ? slots[op->slot] : 0;
				break;
			case OP_NEGATE:
				stack[n - 1] = -stack[n - 1];
				break;
			case OP_ADD:
				stack[n - 1] += stack[n];
				break;
			case OP_SUBTRACT:
				stack[n - 1] -= stack[n];
				break;
			case OP_MULTIPLY:
				stack[n - 1] *= stack[n];
				break;
			case OP_DIVIDE:
				stack[n - 1] /= stack[n];
				break;
			case OP_MIN:
			case OP_MAX:
				stack[n - 1] = Extreme(stack[n - 1], stack[n], op->code == OP_MIN);
				break;
			case OP_SQRT:
				stack[n - 1] = sqrt(stack[n - 1]);
				break;
			case OP_LN:
				stack[n - 1] = log(stack[n - 1]);
				break;
			case OP_EXP:
				stack[n - 1] = exp(stack[n - 1]);
				break;
		}
	}
	return isfinite(stack[0]) ? stack[0] : 0;
}
