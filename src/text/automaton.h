/*
 * automaton.h
 *	  One regular expression, looked for in a part of a text. Knows nothing of patterns.
 */
#ifndef REVOPS_TEXT_AUTOMATON_H
#define REVOPS_TEXT_AUTOMATON_H

#include "base/base.h"

typedef struct Automaton Automaton;

/* Told of each end of a match, ascending, with the leftmost start that leads there; false: enough. May throw. */
typedef bool (*AutomatonFound) (int from, int to, void *arg);

/*
 * The automaton of a folded regular expression; border: no match begins inside a word. NULL: it has something that only the library knows, or
 * matches the empty text, or is none. Memory: the current context.
 */
extern Automaton *AutomatonMake(const char *folded, bool border);

/* The most bytes that a match has; 0: there is no bound */
extern int	AutomatonWidth(const Automaton *a);

/*
 * Find all matches that lie within the bytes [from, to) of a text. text[from] begins a character. Takes time in proportion to that part, and at most to the size of the
 * expression. Not to be called again by `found`.
 */
extern void AutomatonFind(const Automaton *a, const char *text, int len, int from, int to, AutomatonFound found, void *arg);

#endif							/* REVOPS_TEXT_AUTOMATON_H */
