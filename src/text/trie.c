/*
 * trie.c
 *	  Words by their folded characters: one hash table of (node, character) for all nodes.
 */
#include "text/trie.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "text/fold.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct TrieEdge
{
	uint64		key;			/* node << 32 | character; 0: free, since no character is 0 */
	int32		to;
} TrieEdge;

typedef struct TrieNode
{
	int32		value;			/* -1: no word ends here */
	bool		stem;			/* and any letters may follow */
} TrieNode;

struct Trie
{
	MemoryContext context;
	TrieNode   *node;
	int			nodes;
	int			nodes_max;
	TrieEdge   *edge;
	uint32		slots;			/* a power of two, at most half of them taken */
};

static uint32 *letters = NULL;
static bool *capitals = NULL;

/* The first characters of UTF-8, folded. */
static int
Decode(const char *p, const char *end, uint32 *to, bool *capital, int most)
{
	int			n = 0;

	while (p < end && n < most)
	{
		int			k = Utf8Length(p, end);
		uint32		c = (unsigned char) *p;

		if (k > 1)
			c = utf8_to_unicode((const unsigned char *) p);
		else if (c >= 0x80)
			c = 0xFFFD;
		p += k;
		if (capital != NULL)
			capital[n] = c >= 'A' && c <= 'Z';
		to[n++] = c == 0 ? ' ' : FoldCharacter(c);
	}
	return n;
}

Letters
LettersOfUtf8(const char *utf8, int len)
{
	Letters		text;

	if (letters == NULL)
	{
		capitals = MemoryContextAllocZero(TopMemoryContext, LETTERS_MAX + 1);
		letters = MemoryContextAlloc(TopMemoryContext, (LETTERS_MAX + LETTERS_AHEAD) * sizeof(uint32));
	}
	text.c = letters;
	text.capital = capitals;
	text.n = Decode(utf8, utf8 + len, letters, capitals, LETTERS_MAX);
	memset(letters + text.n, 0, LETTERS_AHEAD * sizeof(uint32));
	return text;
}

Letters
LettersOf(const char *s, int len)
{
	Letters		text;
	char	   *utf8 = (char *) s;

	/* a longer one would be converted for nothing */
	if (len > LETTERS_MAX * MAX_MULTIBYTE_CHAR_LEN)
		len = pg_mbcliplen(s, len, LETTERS_MAX * MAX_MULTIBYTE_CHAR_LEN);
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
		utf8 = pg_server_to_any(s, len, PG_UTF8);
	text = LettersOfUtf8(utf8, utf8 == s ? len : (int) strlen(utf8));
	if (utf8 != s)
		pfree(utf8);
	return text;
}

text *
LettersEvidence(const char *s, int len, int from, int to)
{
	const char *end = s + len;
	const char *p = s;
	const char *start;
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII;

	for (int i = 0; i < from && p < end; i++)
		p += utf8 ? Utf8Length(p, end) : Min(pg_mblen(p), end - p);
	start = p;
	for (int i = from; i < to && p < end; i++)
		p += utf8 ? Utf8Length(p, end) : Min(pg_mblen(p), end - p);
	return cstring_to_text_with_len(start, (int) (p - start));
}

static int
NewNode(Trie *t)
{
	if (t->nodes == t->nodes_max)
		t->node = repalloc(t->node, (t->nodes_max *= 2) * sizeof(TrieNode));
	t->node[t->nodes].value = -1;
	t->node[t->nodes].stem = false;
	return t->nodes++;
}

Trie *
TrieMake(void)
{
	Trie	   *t = palloc0(sizeof(Trie));

	t->context = CurrentMemoryContext;
	t->nodes_max = 1024;
	t->node = palloc(t->nodes_max * sizeof(TrieNode));
	t->slots = 2048;
	t->edge = palloc0(t->slots * sizeof(TrieEdge));
	NewNode(t);
	return t;
}

/* Where the edge is, or would be. */
static inline TrieEdge *
Edge(const Trie *t, int node, uint32 c)
{
	uint64		key = (uint64) node << 32 | c;
	uint32		at = (uint32) ((key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) & (t->slots - 1);

	while (t->edge[at].key != 0 && t->edge[at].key != key)
		at = (at + 1) & (t->slots - 1);
	return &t->edge[at];
}

static void
Grow(Trie *t)
{
	TrieEdge   *was = t->edge;
	uint32		n = t->slots;

	t->slots *= 2;
	t->edge = MemoryContextAllocZero(t->context, t->slots * sizeof(TrieEdge));
	for (uint32 i = 0; i < n; i++)
		if (was[i].key != 0)
			*Edge(t, (int) (was[i].key >> 32), (uint32) was[i].key) = was[i];
	pfree(was);
}

void
TrieAdd(Trie *t, const char *utf8, int len, int value)
{
	const char *end = utf8 + len;
	bool		stem = len > 1 && end[-1] == '*';
	int			node = 0;

	for (const char *p = utf8; p < end - stem;)
	{
		uint32		c;
		TrieEdge   *e;

		p += Decode(p, end, &c, NULL, 1) * Utf8Length(p, end);
		if ((uint32) t->nodes * 2 >= t->slots)
			Grow(t);
		e = Edge(t, node, c);
		if (e->key == 0)
		{
			e->key = (uint64) node << 32 | c;
			e->to = NewNode(t);
		}
		node = e->to;
	}
	if (node != 0)
	{
		t->node[node].value = value;
		t->node[node].stem = stem;
	}
}

int
TrieFind(const Trie *t, const Letters *text, int at, int *end)
{
	const uint32 *c = text->c;
	int			node = 0;
	int			found = -1;

	if (at > 0 && IsWordLetter(c[at]) && IsWordLetter(c[at - 1]))
		return -1;
	for (int i = at; i < text->n; i++)
	{
		const TrieEdge *e = Edge(t, node, c[i]);
		const TrieNode *n;

		if (e->key == 0)
			break;
		node = e->to;
		n = &t->node[node];
		if (n->value >= 0 && (n->stem || !IsWordLetter(c[i]) || !IsWordLetter(c[i + 1])))
		{
			found = n->value;
			*end = i + 1;
			if (n->stem && IsWordLetter(c[i]))
				while (IsWordLetter(c[*end]))
					(*end)++;
		}
	}
	return found;
}
