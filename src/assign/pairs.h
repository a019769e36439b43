/*
 * pairs.h
 *	  What the queries of an assignment give: keys, pairs and capacities.
 */
#ifndef REVOPS_PAIRS_H
#define REVOPS_PAIRS_H

#include "assign/solve.h"

#define PAIRS_CHUNK		16384

/* Keys of tasks or units, numbered as they come: whole numbers as such, all else as text. */
typedef struct Keys
{
	const char *what;			/* "task", "unit" */
	MemoryContext context;
	bool		known;			/* the type is */
	bool		whole;
	int			n;
	int			size;
	uint32	   *slot;			/* number + 1; open addressing */
	uint32		mask;
	int64	   *number;			/* whole: the key */
	size_t	   *at;				/* otherwise: its place in `bytes`, up to that of the next one */
	char	   *bytes;
	size_t		nbytes;
	size_t		bytes_size;
	uint32	   *next;			/* the key that came after this one the last time: the first guess */
	uint32		last;
} Keys;

typedef struct Pair
{
	uint32		task;
	uint32		unit;
	double		benefit;
} Pair;

typedef struct Pairs
{
	SolveControl *control;
	Keys		tasks;
	Keys		units;
	bool		has_load;
	int64		n;
	int			nchunks;
	Pair	  **chunk;
	double	  **load;			/* chunks of loads, where there are any */
	double	   *capacity;		/* by unit; NULL: no query of capacities */
} Pairs;

#define PAIR(pairs, k)		((pairs)->chunk[(k) / PAIRS_CHUNK][(k) % PAIRS_CHUNK])
#define PAIR_LOAD(pairs, k)	((pairs)->load[(k) / PAIRS_CHUNK][(k) % PAIRS_CHUNK])

/* Run the queries with the caller's rights, read-only. capacity_query may be NULL. */
extern void PairsRead(Pairs *pairs, SolveControl *control, const char *query, const char *capacity_query);
extern void PairsFreeChunk(Pairs *pairs, int chunk);
extern char *KeyText(const Keys *keys, uint32 n);

/* The order in which the solvers see the keys: place of each, by a digest of seed and key. */
extern int32 *KeysShuffle(const Keys *keys, SolveControl *control, uint64 seed);

#endif							/* REVOPS_PAIRS_H */
