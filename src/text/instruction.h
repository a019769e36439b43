/*
 * instruction.h
 *	  What an automaton is made of: for automaton.c, which makes it, and simulate.c, which looks with it.
 */
#ifndef REVOPS_TEXT_INSTRUCTION_H
#define REVOPS_TEXT_INSTRUCTION_H

#include "text/automaton.h"
#include "text/pattern.h"

#define MAX_INSTRUCTIONS	(6 * TEXT_MAX_STATES)
#define NO_CHARACTER	PG_UINT32_MAX	/* the end, or no UTF-8 */

typedef enum Operation
{
	OP_CHARACTER,
	OP_CLASS,
	OP_SPLIT,					/* go on at x, or at y */
	OP_JUMP,					/* go on at x */
	OP_MATCH
} Operation;

/* Characters: those of ASCII as bits */
typedef struct Class
{
	uint64		ascii[2];
	int			nranges;
	uint32	   *ranges;			/* pairs, ascending */
} Class;

typedef struct Instruction
{
	uint64		first[2];		/* characters of ASCII that a match may go on with here */
	uint32		x;				/* where to go on; or the character, or the class */
	uint16		y;				/* of what takes a character: where to go on then */
	uint8		operation;
	bool		first_other;	/* or one beyond ASCII */
	bool		matches;		/* a match may end here */
} Instruction;

struct Automaton
{
	bool		border;
	int			width;
	int			n;
	int			first;
	Instruction *code;
	Class	   *classes;
};

/* The character of so many bytes */
static inline uint32
CharacterAt(const char *s, int len)
{
	const unsigned char *p = (const unsigned char *) s;
	uint32		c;

	switch (len)
	{
		case 1:
			return p[0] < 0x80 ? p[0] : NO_CHARACTER;
		case 2:
			return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
		case 3:
			c = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
			return c >= 0x800 ? c : NO_CHARACTER;
		default:
			c = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
			return c >= 0x10000 && c < 0x110000 ? c : NO_CHARACTER;
	}
}

#endif							/* REVOPS_TEXT_INSTRUCTION_H */
