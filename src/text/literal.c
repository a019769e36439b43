/*
 * literal.c
 *	  Thousands of short texts in a short one, for a few instructions a byte.
 *
 * Of each literal one part, its key, is kept in a hash table; a text's keys are looked up, first in a bitmap that stays in the processor's cache and says no
 * most of the time. Where one is found, the literals that have it are compared in full. The key of a literal is the one that the fewest
 * literals have, so that few have to be compared: many patterns begin alike ("do you have ...").
 *
 * A literal of ASCII that matches whole words only, as all but those of Chinese do, is found by two words that follow each other, or by its only one: a text has few
 * words, and each is hashed once. Others are found by a part of a fixed length, a gram: of 6 bytes, or of 3, 2 or 1 where the literal has no more, at each
 * byte of the text at which some gram begins. Short grams are everywhere, so those of literals that begin with a word are looked up where words begin only.
 *
 * What is compared is seldom in the cache. So a text is looked through in blocks, and each block in steps, of which each asks the processor to fetch
 * what the next one reads: the misses of a block then take little longer than one does.
 *
 * The table is made when the patterns are loaded, in milliseconds, so it is stored nowhere.
 */
#include "text/literal.h"

#include "base/bytes.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define FILTER_BITS(n)	Min(Max(pg_ceil_log2_32(Max(n, 1)) + 4, 12), 20)	/* some 16 bits for a key */
#define BUCKET_BITS		3		/* of these bits of the filter share a place in the table */
#define MAX_OFFSET		100		/* where a gram may begin */
#define BLOCK			256		/* bytes of a text that are looked through together */
#define MAX_ENTRIES		512		/* literals that are compared together */

/* The tables: how long their grams are, and whether these are the beginnings of words; the last is of words */
#define TABLES			7
#define WORDS			TABLES
static const struct
{
	int			size;
	bool		word;
}			kinds[TABLES] = {{6, false}, {3, true}, {3, false}, {2, true}, {2, false}, {1, true}, {1, false}};

typedef struct Entry
{
	uint64		key;
	const char *text;
	int			id;
	uint16		len;
	uint16		offset:15;		/* of the key */
	uint16		border:1;
} Entry;

/* The literals of one kind */
typedef struct Table
{
	int			size;			/* of grams; 0: words */
	int			n;
	int			shift;			/* of a hash value, to its bit in the filter */
	uint64	   *filter;
	int		   *start;			/* of each bucket: its first entry; where the next one's begins it ends */
	Entry	   *entries;
} Table;

struct LiteralSet
{
	uint8		begins[256];	/* the tables, as bits, that have grams with this first byte */
	uint8		seconds[256];	/* those of less than three bytes that have grams with this second byte, or have no such */
	uint64		threes[1024];	/* by a hash of three bytes: do grams begin with these? */
	bool		is_word[256];
	uint8		words;			/* the tables of words' beginnings */
	Table		tables[TABLES + 1];
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

static inline unsigned char
ByteOf(uint64 bytes, int i)
{
#ifdef WORDS_BIGENDIAN
	return (unsigned char) (bytes >> (56 - 8 * i));
#else
	return (unsigned char) (bytes >> (8 * i));
#endif
}

/* Where there are no eight */
static uint64
LastBytes(const char *p, int n)
{
	char		bytes[8] = {0};

	memcpy(bytes, p, Min(n, 8));
	return EightBytes(bytes);
}

/* The bytes of a text from a place on, as many as there are, then zeros */
static inline uint64
BytesAt(const char *text, int len, int at)
{
	if (at + 8 <= len)
		return EightBytes(text + at);
#ifndef WORDS_BIGENDIAN
	if (len >= 8)
		return EightBytes(text + len - 8) >> (8 * (8 - (len - at)));
#endif
	return LastBytes(text + at, len - at);
}

/* Of the first three of these bytes, a number below 65536 */
static inline uint32
ThreeHash(uint64 bytes)
{
	return (uint32) GramOf(bytes, 3) * 0x9E3779B1u >> 16;
}

static inline uint64
KeyHash(uint64 key)
{
	return key * UINT64CONST(0x9E3779B97F4A7C15);
}

/* The key of the word at p, which is in a text [begin, end) */
static inline uint64
WordKey(const char *p, int n, const char *begin, const char *end)
{
	uint64		key = n;

	for (; n > 8; p += 8, n -= 8)
	{
		key = KeyHash(key ^ EightBytes(p));
		key ^= key >> 32;
	}
#ifndef WORDS_BIGENDIAN
	/* the bytes before a word at the end of a text are there to be read, too */
	if (end - p < 8 && begin + 8 <= p + n)
		return KeyHash(key ^ EightBytes(p + n - 8) >> (8 * (8 - n)));
#endif
	return KeyHash(key ^ GramOf(end - p >= 8 ? EightBytes(p) : LastBytes(p, n), n));
}

/* The key of two words that follow each other */
static inline uint64
PairKey(uint64 first, uint64 second)
{
	return KeyHash(first ^ first >> 29) + second;
}

/* The table of a literal */
static int
KindOf(const Literal *literal)
{
	bool		word = (literal->open & OPEN_LEFT) == 0 && IsWord(literal->text.data[0]);
	int			k = 0;

	if (literal->words)
		return WORDS;
	while (kinds[k].size > literal->text.len || (kinds[k].word && !word))
		k++;
	return k;
}

/* A key that a literal may be kept by */
typedef struct Key
{
	uint64		key;
	int			offset;			/* in the literal */
	int			len;
} Key;

/* The keys of whole words: of each two, or of the only one */
static int
WordKeys(Str text, int open, Key *keys)
{
	const char *end = text.data + text.len;
	int			n = 0;
	bool		only = true;
	Key			last = {0};

	for (int at = 0; at < text.len && n < MAX_OFFSET;)
	{
		int			from;
		Key			word;

		while (at < text.len && !IsWord(text.data[at]))
			at++;
		from = at;
		while (at < text.len && IsWord(text.data[at]))
			at++;
		if (at == from || (from == 0 && (open & OPEN_LEFT) != 0) || (at == text.len && (open & OPEN_RIGHT) != 0))
			continue;
		word = (Key) {WordKey(text.data + from, at - from, text.data, end), from, at - from};
		if (last.len > 0)
		{
			if (only)
				n = 0;
			only = false;
			keys[n++] = (Key) {PairKey(last.key, word.key), last.offset, at - last.offset};
		}
		else
			keys[n++] = word;
		last = word;
	}
	return n;
}

bool
LiteralHasWords(Str text, int open)
{
	Key			keys[MAX_OFFSET + 1];

	for (int i = 0; i < text.len; i++)
		if ((unsigned char) text.data[i] >= 0x80)
			return false;
	return WordKeys(text, open, keys) > 0;
}

/* All keys that a literal may have */
static int
KeysOf(const Literal *literal, int kind, Key *keys)
{
	int			n = 0,
				size;

	if (kind == WORDS)
		return WordKeys(literal->text, literal->open, keys);
	size = kinds[kind].size;
	do
		keys[n] = (Key) {GramOf(LastBytes(literal->text.data + n, literal->text.len - n), size), n, size};
	while (++n <= (kinds[kind].word ? 0 : Min(literal->text.len - size, MAX_OFFSET)));
	return n;
}

/* Sort the literals of one kind into a table */
static void
MakeTable(Table *table, int kind, const Literal *literals, const uint8 *kind_of, int n)
{
	int			bits,
				nbits,
				distinct = 0,
				sum = 0;
	int		   *rank;
	Key		   *chosen;
	Key			keys[MAX_OFFSET + 1];
	Size		room = 0;
	char	   *texts,
			   *at = NULL;
	const Literal *last = NULL;

	table->size = kind == WORDS ? 0 : kinds[kind].size;
	for (int i = 0; i < n; i++)
		if (kind_of[i] == kind)
		{
			table->n++;
			room += literals[i].text.len;
		}
	table->shift = 64 - FILTER_BITS(0);
	table->filter = palloc0((UINT64CONST(1) << FILTER_BITS(0)) / 8);
	if (table->n == 0)
		return;
	table->entries = palloc_extended(table->n * sizeof(Entry), MCXT_ALLOC_HUGE);
	texts = MemoryContextAllocHuge(CurrentMemoryContext, room);
	bits = FILTER_BITS(table->n);
	rank = palloc0(sizeof(int) << bits);
	chosen = MemoryContextAllocExtended(CurrentMemoryContext, n * sizeof(Key), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (kind_of[i] == kind)
			for (int k = KeysOf(&literals[i], kind, keys) - 1; k >= 0; k--)
				rank[KeyHash(keys[k].key) >> (64 - bits)]++;
	}
	for (int i = 0; i < n; i++)
	{
		int			nkeys,
					least = PG_INT32_MAX;

		if (kind_of[i] != kind)
			continue;
		nkeys = KeysOf(&literals[i], kind, keys);
		for (int k = 0; k < nkeys; k++)
		{
			int			others = rank[KeyHash(keys[k].key) >> (64 - bits)];

			/* of words that are as rare here, the longer ones are rarer elsewhere */
			if (others < least || (others == least && keys[k].len > chosen[i].len))
			{
				least = others;
				chosen[i] = keys[k];
			}
		}
	}
	/* many share a key, so the filter may be smaller, and stay in the cache */
	memset(rank, 0, sizeof(int) << bits);
	for (int i = 0; i < n; i++)
		if (kind_of[i] == kind && rank[KeyHash(chosen[i].key) >> (64 - bits)]++ == 0)
			distinct++;
	bits = FILTER_BITS(distinct);
	nbits = 1 << bits;
	table->shift = 64 - bits;
	table->filter = repalloc(table->filter, nbits / 8);
	memset(table->filter, 0, nbits / 8);
	table->start = palloc0(((nbits >> BUCKET_BITS) + 1) * sizeof(int));
	for (int i = 0; i < n; i++)
		if (kind_of[i] == kind)
			table->start[KeyHash(chosen[i].key) >> table->shift >> BUCKET_BITS]++;
	/* each bucket's end, which becomes its start as its entries are put before it */
	for (int b = 0; b <= nbits >> BUCKET_BITS; b++)
	{
		sum += table->start[b];
		table->start[b] = sum;
	}
	for (int i = n - 1; i >= 0; i--)
	{
		const Literal *l = &literals[i];
		Entry	   *e;
		int			bit;

		if (kind_of[i] != kind)
			continue;
		bit = (int) (KeyHash(chosen[i].key) >> table->shift);
		table->filter[bit / 64] |= UINT64CONST(1) << (bit % 64);
		e = &table->entries[--table->start[bit >> BUCKET_BITS]];
		/* literals of one text follow each other */
		if (last == NULL || StrCmp(last->text, l->text) != 0)
		{
			memcpy(texts, l->text.data, l->text.len);
			at = texts;
			texts += l->text.len;
		}
		*e = (Entry) {.key = chosen[i].key, .text = at, .id = l->id, .len = l->text.len, .offset = chosen[i].offset, .border = l->border};
		last = l;
	}
	pfree(rank);
	pfree(chosen);
}

static int
LiteralCmp(const void *a, const void *b)
{
	const Literal *x = a,
			   *y = b;
	int			c = StrCmp(x->text, y->text);

	return c != 0 ? c : x->border != y->border ? x->border - y->border : x->open != y->open ? x->open - y->open : (x->id > y->id) - (x->id < y->id);
}

LiteralSet *
LiteralSetMake(Literal *literals, int n)
{
	LiteralSet *set = palloc0(sizeof(LiteralSet));
	uint8	   *kind_of = palloc(n + 1);

	qsort(literals, n, sizeof(Literal), LiteralCmp);
	for (int i = 0; i < n; i++)
		kind_of[i] = KindOf(&literals[i]);
	for (int i = 0; i < 256; i++)
		set->is_word[i] = IsWord((char) i);
	for (int k = 0; k <= TABLES; k++)
	{
		CHECK_FOR_INTERRUPTS();
		MakeTable(&set->tables[k], k, literals, kind_of, n);
		if (k == WORDS)
			break;
		set->words |= kinds[k].word << k;
		for (int i = 0; i < set->tables[k].n; i++)
		{
			const Entry *e = &set->tables[k].entries[i];

			uint32		three = ThreeHash(LastBytes(e->text + e->offset, kinds[k].size));

			set->begins[(unsigned char) e->text[e->offset]] |= 1 << k;
			if (kinds[k].size >= 3)
				set->threes[three / 64] |= UINT64CONST(1) << (three % 64);
			else if (kinds[k].size == 2)
				set->seconds[(unsigned char) e->text[e->offset + 1]] |= 1 << k;
		}
		for (int i = 0; i < 256 && kinds[k].size == 1; i++)
			set->seconds[i] |= 1 << k;
	}
	pfree(kind_of);
	return set;
}

/* A key of a text that may be one of a table */
typedef struct Candidate
{
	const Table *table;
	uint64		key;
	int			bucket;
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

/* Compare the literals that have keys of the text with it; false: enough */
static bool
Resolve(const Candidate *candidates, int ncandidates, const char *text, int len, LiteralFound found, void *arg)
{
	Beginning	beginnings[MAX_ENTRIES];
	int			n = 0;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < ncandidates; i++)
		Fetch(&candidates[i].table->start[candidates[i].bucket]);
	for (int i = 0; i < ncandidates; i++)
		Fetch(&candidates[i].table->entries[candidates[i].table->start[candidates[i].bucket]]);
	for (int i = 0; i < ncandidates; i++)
	{
		const Candidate *c = &candidates[i];

		for (int k = c->table->start[c->bucket]; k < c->table->start[c->bucket + 1]; k++)
		{
			const Entry *e = &c->table->entries[k];

			if (e->key != c->key || c->at < e->offset || c->at - e->offset + e->len > len)
				continue;
			Fetch(e->text);
			beginnings[n++] = (Beginning) {e, c->at - e->offset};
			if (n < MAX_ENTRIES)
				continue;
			if (!Compare(beginnings, n, text, len, found, arg))
				return false;
			n = 0;
		}
	}
	return Compare(beginnings, n, text, len, found, arg);
}

/* Add what a filter does not rule out; returns the candidates */
static inline int
AddCandidate(const Table *table, uint64 key, int at, Candidate *candidates, int n)
{
	int			bit = (int) (KeyHash(key) >> table->shift);

	candidates[n] = (Candidate) {table, key, bit >> BUCKET_BITS, at};
	return n + (int) (table->filter[bit / 64] >> (bit % 64) & 1);
}

/* Look the grams [from, to) of a text up in the filters of the tables */
static int
Grams(const LiteralSet *set, const char *text, int len, int from, int to, Candidate *candidates)
{
	int			whole = len - 7,	/* where there are eight bytes */
				n = 0;

	for (int at = from; at < to; at++)
	{
		uint64		bytes = at < whole ? EightBytes(text + at) : BytesAt(text, len, at);
		uint32		three = ThreeHash(bytes);
		unsigned int tables = set->begins[ByteOf(bytes, 0)];

		/* three bytes rule most places out */
		if ((set->threes[three / 64] >> (three % 64) & 1) == 0)
			tables &= set->seconds[ByteOf(bytes, 1)];
		if (tables == 0)
			continue;
		if (at > 0 && IsWord(text[at - 1]))
			tables &= ~set->words;
		while (tables != 0)
		{
			const Table *table = &set->tables[pg_rightmost_one_pos32(tables)];

			tables &= tables - 1;
			if (at + table->size <= len)
				n = AddCandidate(table, GramOf(bytes, table->size), at, candidates, n);
		}
	}
	return n;
}

/* Look the words of a text up, from *at on, as many as there is room for; *last is the word before, *last_at where it begins, -1: there is none */
static int
Words(const LiteralSet *set, const char *text, int len, int *at, uint64 *last, int *last_at, Candidate *candidates, int room)
{
	const Table *table = &set->tables[WORDS];
	const bool *is_word = set->is_word;
	int			i = *at,
				n = 0;

	while (i < len && n + 2 < room)
	{
		int			from;
		uint64		key;

		while (i < len && !is_word[(unsigned char) text[i]])
			i++;
		if (i == len)
			break;
		from = i++;
		while (i < len && is_word[(unsigned char) text[i]])
			i++;
		key = WordKey(text + from, i - from, text, text + len);
		n = AddCandidate(table, key, from, candidates, n);
		if (*last_at >= 0)
			n = AddCandidate(table, PairKey(*last, key), *last_at, candidates, n);
		*last = key;
		*last_at = from;
	}
	*at = i;
	return n;
}

void
LiteralSetFind(const LiteralSet *set, const char *text, int len, LiteralFound found, void *arg)
{
	Candidate	candidates[BLOCK * TABLES + 1];
	uint64		last = 0;
	int			last_at = -1;

	if (set->tables[WORDS].n > 0)
		for (int at = 0; at < len;)
		{
			int			n = Words(set, text, len, &at, &last, &last_at, candidates, MAX_ENTRIES);

			if (n > 0 && !Resolve(candidates, n, text, len, found, arg))
				return;
		}
	for (int block = 0; block < len; block += BLOCK)
	{
		int			n = Grams(set, text, len, block, Min(block + BLOCK, len), candidates);

		if (n > 0 && !Resolve(candidates, n, text, len, found, arg))
			return;
	}
}
