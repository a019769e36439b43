/*
 * literal.c
 *	  Thousands of short texts in a short one, for a few instructions a byte.
 *
 * Of each literal one part of a fixed length, its gram, is kept in a hash table: of 6 bytes, or of 3, 2 or 1 where the literal has no more. At each byte
 * of a text its grams are looked up, first in a bitmap that stays in the processor's cache and says no most of the time. Where one is found,
 * the literals that have it are compared in full. The gram of a literal is the one that the fewest literals have, so that few have to be
 * compared: many patterns begin alike ("do you have ..."). Short grams are everywhere, so those of literals that begin with a word are looked up
 * where words begin only.
 *
 * What is compared is seldom in the cache. So a text is looked through in blocks, and each block in steps, of which each asks the processor to fetch
 * what the next one reads: the misses of a block then take little longer than one does.
 *
 * The table is made when the patterns are loaded, in milliseconds, so it is stored nowhere.
 */
#include "text/literal.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define FILTER_BITS(n)	Min(Max(pg_ceil_log2_32(Max(n, 1)) + 4, 12), 20)	/* some 16 bits for a literal */
#define MAX_OFFSET		100		/* where a gram may begin */
#define BLOCK			256		/* bytes of a text that are looked through together */
#define MAX_ENTRIES		512		/* literals that are compared together */

/* The tables: how long their grams are, and whether these are the beginnings of words */
#define TABLES			7
static const struct
{
	int			size;
	bool		word;
}			kinds[TABLES] = {{6, false}, {3, true}, {3, false}, {2, true}, {2, false}, {1, true}, {1, false}};

#ifdef __GNUC__
#define Fetch(p)		__builtin_prefetch(p)
#else
#define Fetch(p)		((void) 0)
#endif

typedef struct Entry
{
	uint64		gram;
	const char *text;
	int			len;
	int			offset;			/* of the gram */
	int			id;
	bool		border;
} Entry;

/* The literals of one kind */
typedef struct Table
{
	int			size;
	bool		word;
	int			n;
	int			shift;			/* of a hash value, to its bit in the filter */
	uint64	   *filter;
	int		   *start;			/* of each bit: its first entry; where the next bit's begins it ends */
	Entry	   *entries;
} Table;

struct LiteralSet
{
	uint8		begins[256];	/* the tables, as bits, that have grams with this first byte */
	uint8		words;			/* the tables of words */
	Table		tables[TABLES];
};

/* Eight bytes, of which the first `size` make a gram */
static inline uint64
GramOf(uint64 bytes, int size)
{
#ifdef WORDS_BIGENDIAN
	return bytes >> (64 - 8 * size);
#else
	return bytes & (~UINT64CONST(0) >> (64 - 8 * size));
#endif
}

static inline uint64
EightBytes(const char *p)
{
	uint64		bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return bytes;
}

/* Where there are no eight */
static uint64
LastBytes(const char *p, int n)
{
	char		bytes[8] = {0};

	memcpy(bytes, p, Min(n, 8));
	return EightBytes(bytes);
}

static inline uint64
GramHash(uint64 gram)
{
	return gram * UINT64CONST(0x9E3779B97F4A7C15);
}

/* The table of a literal */
static int
KindOf(const Literal *literal)
{
	bool		word = literal->border && IsWord(literal->text.data[0]);
	int			k = 0;

	while (kinds[k].size > literal->text.len || (kinds[k].word && !word))
		k++;
	return k;
}

/* The offsets that its gram may have */
static int
LastOffset(const Literal *literal, int kind)
{
	return kinds[kind].word ? 0 : Min(literal->text.len - kinds[kind].size, MAX_OFFSET);
}

static uint64
GramAt(Str text, int offset, int size)
{
	return GramOf(LastBytes(text.data + offset, text.len - offset), size);
}

/* Sort the literals of one kind into a table */
static void
MakeTable(Table *table, int kind, const Literal *literals, int n)
{
	int			size = kinds[kind].size,
				bits,
				nbits,
				sum = 0;
	int		   *rank,
			   *offsets;
	Size		room = 0;
	char	   *texts,
			   *at = NULL;
	const Literal *last = NULL;

	for (int i = 0; i < n; i++)
		if (KindOf(&literals[i]) == kind)
		{
			table->n++;
			room += literals[i].text.len;
		}
	if (table->n == 0)
		return;
	bits = FILTER_BITS(table->n);
	nbits = 1 << bits;
	table->shift = 64 - bits;
	table->filter = palloc0(Max(nbits / 64, 1) * sizeof(uint64));
	table->start = palloc0((nbits + 1) * sizeof(int));
	table->entries = palloc(table->n * sizeof(Entry));
	texts = MemoryContextAllocHuge(CurrentMemoryContext, room);
	rank = palloc0(nbits * sizeof(int));
	offsets = palloc0(n * sizeof(int));
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (KindOf(&literals[i]) == kind)
			for (int at = 0; at <= LastOffset(&literals[i], kind); at++)
				rank[GramHash(GramAt(literals[i].text, at, size)) >> table->shift]++;
	}
	for (int i = 0; i < n; i++)
	{
		int			least = PG_INT32_MAX;

		if (KindOf(&literals[i]) != kind)
			continue;
		for (int at = 0; at <= LastOffset(&literals[i], kind); at++)
		{
			int			others = rank[GramHash(GramAt(literals[i].text, at, size)) >> table->shift];

			if (others < least)
			{
				least = others;
				offsets[i] = at;
			}
		}
		table->start[GramHash(GramAt(literals[i].text, offsets[i], size)) >> table->shift]++;
	}
	/* each bit's end, which becomes its start as its entries are put before it */
	for (int b = 0; b <= nbits; b++)
	{
		sum += table->start[b];
		table->start[b] = sum;
	}
	for (int i = n - 1; i >= 0; i--)
	{
		const Literal *l = &literals[i];
		Entry	   *e;
		uint64		gram;
		int			bit;

		if (KindOf(l) != kind)
			continue;
		gram = GramAt(l->text, offsets[i], size);
		bit = (int) (GramHash(gram) >> table->shift);
		table->filter[bit / 64] |= UINT64CONST(1) << (bit % 64);
		e = &table->entries[--table->start[bit]];
		/* literals of one text follow each other */
		if (last == NULL || StrCmp(last->text, l->text) != 0)
		{
			memcpy(texts, l->text.data, l->text.len);
			at = texts;
			texts += l->text.len;
		}
		*e = (Entry) {gram, at, l->text.len, offsets[i], l->id, l->border};
		last = l;
	}
	pfree(rank);
	pfree(offsets);
}

static int
LiteralCmp(const void *a, const void *b)
{
	const Literal *x = a,
			   *y = b;
	int			c = StrCmp(x->text, y->text);

	return c != 0 ? c : x->border != y->border ? x->border - y->border : (x->id > y->id) - (x->id < y->id);
}

LiteralSet *
LiteralSetMake(Literal *literals, int n)
{
	LiteralSet *set = palloc0(sizeof(LiteralSet));

	qsort(literals, n, sizeof(Literal), LiteralCmp);
	for (int k = 0; k < TABLES; k++)
	{
		set->tables[k].size = kinds[k].size;
		set->tables[k].word = kinds[k].word;
		MakeTable(&set->tables[k], k, literals, n);
		set->words |= kinds[k].word << k;
		for (int i = 0; i < set->tables[k].n; i++)
		{
			const Entry *e = &set->tables[k].entries[i];

			set->begins[(unsigned char) e->text[e->offset]] |= 1 << k;
		}
	}
	return set;
}

/* A gram of a text that may be one of a table */
typedef struct Candidate
{
	const Table *table;
	uint64		gram;
	int			bit;
	int			at;
} Candidate;

/* A literal that may begin at this place */
typedef struct Beginning
{
	const Entry *entry;
	int			from;
} Beginning;

/* Compare literals with the text, in the order of their grams; false: enough */
static bool
Compare(const Beginning *beginnings, int n, const char *text, int len, LiteralFound found, void *arg)
{
	bool		same = false;

	for (int i = 0; i < n; i++)
	{
		const Entry *e = beginnings[i].entry;
		int			from = beginnings[i].from;
		int			to = from + e->len;

		if (i == 0 || e->text != beginnings[i - 1].entry->text || from != beginnings[i - 1].from)
			same = memcmp(text + from, e->text, e->len) == 0;
		if (!same)
			continue;
		if (e->border && BreaksWord(text, len, from, to))
			continue;
		if (!found(e->id, from, to, arg))
			return false;
	}
	return true;
}

/* Look the grams [from, to) of a text up in the filters of the tables */
static int
Candidates(const LiteralSet *set, const char *text, int len, int from, int to, Candidate *candidates)
{
	int			n = 0;

	for (int at = from; at < to; at++)
	{
		uint64		bytes = at + 8 <= len ? EightBytes(text + at) : LastBytes(text + at, len - at);
		unsigned int tables = set->begins[(unsigned char) text[at]];

		if (at > 0 && IsWord(text[at - 1]))
			tables &= ~set->words;
		while (tables != 0)
		{
			const Table *table = &set->tables[pg_rightmost_one_pos32(tables)];
			uint64		gram = GramOf(bytes, table->size);
			int			bit = (int) (GramHash(gram) >> table->shift);

			tables &= tables - 1;
			candidates[n] = (Candidate) {table, gram, bit, at};
			n += (table->filter[bit / 64] >> (bit % 64) & 1) != 0 && at + table->size <= len;
		}
	}
	return n;
}

void
LiteralSetFind(const LiteralSet *set, const char *text, int len, LiteralFound found, void *arg)
{
	Candidate	candidates[BLOCK * TABLES + 1];
	Beginning	beginnings[MAX_ENTRIES];

	for (int block = 0; block < len; block += BLOCK)
	{
		int			ncandidates = Candidates(set, text, len, block, Min(block + BLOCK, len), candidates);
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < ncandidates; i++)
			Fetch(&candidates[i].table->start[candidates[i].bit]);
		for (int i = 0; i < ncandidates; i++)
			Fetch(&candidates[i].table->entries[candidates[i].table->start[candidates[i].bit]]);
		for (int i = 0; i < ncandidates; i++)
		{
			const Candidate *c = &candidates[i];

			for (int k = c->table->start[c->bit]; k < c->table->start[c->bit + 1]; k++)
			{
				const Entry *e = &c->table->entries[k];

				if (e->gram != c->gram || c->at < e->offset || c->at - e->offset + e->len > len)
					continue;
				Fetch(e->text);
				beginnings[n++] = (Beginning) {e, c->at - e->offset};
				if (n < MAX_ENTRIES)
					continue;
				if (!Compare(beginnings, n, text, len, found, arg))
					return;
				n = 0;
			}
		}
		if (!Compare(beginnings, n, text, len, found, arg))
			return;
	}
}
