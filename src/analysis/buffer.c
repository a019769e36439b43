/*
 * buffer.c
 *	  The aggregates' state: making, growing, appending, merging, sorting. See analysis.h.
 */
#include "analysis/analysis.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define FIRST_SIZE		128		/* bytes, the whole of an allocation */
#define NODE_CACHE		16		/* nodes that an append can find again, by hash */

typedef struct NodeText
{
	int32		len;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} NodeText;

static inline int
CompareRows(const BufferRow *a, const BufferRow *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->bits < b->bits ? -1 : a->bits > b->bits;
}

#define ST_SORT SortRows
#define ST_ELEMENT_TYPE BufferRow
#define ST_COMPARE(a, b) CompareRows(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Rows of BUFFER_NODE: by base flag and text as well. */
static int
CompareNodeRows(const BufferRow *a, const BufferRow *b, void *buffer)
{
	Str			x,
				y;
	int			cmp = CompareRows(a, b);

	if (cmp != 0 || a->node == b->node)
		return cmp;
	if ((a->node & ROW_BASE) != (b->node & ROW_BASE))
		return a->node & ROW_BASE ? 1 : -1;
	x = BufferNodeText(buffer, a);
	y = BufferNodeText(buffer, b);
	if (x.data == NULL || y.data == NULL)
		return (x.data == NULL) - (y.data == NULL);
	return StrCmp(x, y);
}

#define ST_SORT SortNodeRows
#define ST_ELEMENT_TYPE BufferRow
#define ST_COMPARE(a, b, buffer) CompareNodeRows(a, b, buffer)
#define ST_COMPARE_ARG_TYPE void
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline Size
UsedFront(const EventBuffer *b)
{
	return sizeof(EventBuffer) + b->extra + sizeof(BufferRow) * (Size) b->nrows;
}

/* A new state in the current context. setting has three numbers. */
EventBuffer *
BufferMake(BufferKind kind, int nconditions, int modes, const int64 *setting, const char *pattern, int pattern_len)
{
	int			extra = kind == BUFFER_NODE ? NODE_CACHE * sizeof(uint32) : TYPEALIGN(8, pattern_len);
	Size		size = FIRST_SIZE;
	EventBuffer *b;

	while (size < sizeof(EventBuffer) + extra + 2 * sizeof(BufferRow))
		size *= 2;
	b = palloc0(size);
	SET_VARSIZE(b, size);
	b->kind = kind;
	b->nconditions = nconditions;
	b->modes = modes;
	b->sorted = true;
	b->extra = extra;
	memcpy(b->setting, setting, sizeof(b->setting));
	if (pattern_len > 0)
	{
		b->pattern = pattern_len;
		memcpy(BufferExtra(b), pattern, pattern_len);
	}
	return b;
}

/* Room for so many more rows and bytes of text: the same buffer, or a larger one in the current context. */
EventBuffer *
BufferReserve(EventBuffer *b, int nrows, Size text_len)
{
	Size		size = VARSIZE(b),
				front = UsedFront(b),
				need = front + sizeof(BufferRow) * (Size) nrows + b->texts + text_len;
	EventBuffer *larger;

	if (likely(need <= size))
		return b;
	if (need > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many events in one group"),
				 errdetail("A group's state can take up to 1 GB: 16 bytes for each event, and the texts of nodes."),
				 errhint("Group by more columns, or filter the events with WHERE or FILTER.")));
	while (size < need)
		size *= 2;
	size = Min(size, MaxAllocSize & ~(Size) 7);
	size = Max(size, need);
	larger = palloc(size);
	memcpy(larger, b, front);
	memset((char *) larger + front, 0, size - front - b->texts);
	if (b->texts > 0)
		memcpy((char *) larger + size - b->texts, (char *) b + VARSIZE(b) - b->texts, b->texts);
	SET_VARSIZE(larger, size);
	return larger;
}

/* Append a row; of BUFFER_FUNNEL, BUFFER_SEQUENCE and BUFFER_SESSION. */
EventBuffer *
BufferAppend(EventBuffer *b, TimestampTz at, uint32 bits)
{
	BufferRow  *row;

	b = BufferReserve(b, 1, 0);
	row = BufferRows(b) + b->nrows;
	row->at = at;
	row->bits = bits;
	row->node = 0;
	if (b->nrows > 0 && b->sorted && CompareRows(row - 1, row) > 0)
		b->sorted = false;
	b->nrows++;
	return b;
}

/* The text of a row's node; data NULL for NULL. */
Str
BufferNodeText(const EventBuffer *b, const BufferRow *row)
{
	Str			s = {NULL, 0};

	if (ROW_NODE(row) != 0)
	{
		const NodeText *text = (const NodeText *) ((const char *) b + VARSIZE(b) - ROW_NODE(row));

		s.data = text->data;
		s.len = text->len;
	}
	return s;
}

/* Append a row of BUFFER_NODE. A text that the cache still knows is not stored again. */
EventBuffer *
BufferAppendNode(EventBuffer *b, TimestampTz at, uint32 bits, bool base, const char *text, int len)
{
	BufferRow  *row;
	uint32		node = 0;

	if (text != NULL)
	{
		uint32		slot = DatumGetUInt32(hash_any((const unsigned char *) text, len)) % NODE_CACHE;
		BufferRow	known = {.node = ((uint32 *) BufferExtra(b))[slot]};
		Str			s = BufferNodeText(b, &known);

		if (s.data != NULL && s.len == len && memcmp(s.data, text, len) == 0)
			node = known.node;
		else
		{
			Size		size = TYPEALIGN(8, sizeof(int32) + (Size) len);
			NodeText   *stored;

			b = BufferReserve(b, 1, size);
			b->texts += size;
			node = b->texts;
			stored = (NodeText *) ((char *) b + VARSIZE(b) - node);
			stored->len = len;
			memcpy(stored->data, text, len);
			((uint32 *) BufferExtra(b))[slot] = node;
		}
	}
	b = BufferReserve(b, 1, 0);
	row = BufferRows(b) + b->nrows;
	row->at = at;
	row->bits = bits;
	row->node = node | (base ? ROW_BASE : 0);
	if (b->nrows > 0 && b->sorted && CompareNodeRows(row - 1, row, b) > 0)
		b->sorted = false;
	b->nrows++;
	return b;
}

static inline void
AddToSum(BufferRow *day, int64 usecs)
{
	if (pg_add_s64_overflow(day->sum, usecs, &day->sum))
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("a day's sum of intervals is out of range")));
}

/* Sort a buffer of days, and make one row of each day's rows. */
static void
CompactDays(EventBuffer *b)
{
	BufferRow  *rows = BufferRows(b);
	int			n = 0;

	SortRows(rows, b->nrows);
	for (int i = 1; i < b->nrows; i++)
	{
		if (rows[i].at == rows[n].at)
			AddToSum(&rows[n], rows[i].sum);
		else
			rows[++n] = rows[i];
	}
	memset(rows + n + 1, 0, sizeof(BufferRow) * (b->nrows - n - 1));
	b->nrows = n + 1;
	b->sorted = true;
}

/* Add to a day. A day that comes twice in a row is kept once, and others are made one before the buffer would grow. */
EventBuffer *
BufferAddDay(EventBuffer *b, int64 day, int64 usecs)
{
	BufferRow  *last = BufferRows(b) + b->nrows - 1;

	if (b->nrows > 0 && last->at != day && !b->sorted && UsedFront(b) + sizeof(BufferRow) > VARSIZE(b))
	{
		CompactDays(b);
		/* if most days were there once, the next time would come too soon */
		if (UsedFront(b) > VARSIZE(b) / 2)
			b = BufferReserve(b, b->nrows, 0);
		last = BufferRows(b) + b->nrows - 1;
	}
	if (b->nrows > 0)
	{
		if (last->at == day)
		{
			AddToSum(last, usecs);
			return b;
		}
		if (last->at > day)
			b->sorted = false;
	}
	b = BufferReserve(b, 1, 0);
	last = BufferRows(b) + b->nrows++;
	last->at = day;
	last->sum = usecs;
	return b;
}

/* Two states can become one only if the calls had the same settings. */
bool
BufferSameSettings(const EventBuffer *a, const EventBuffer *b)
{
	return a->kind == b->kind && a->nconditions == b->nconditions && a->modes == b->modes &&
		memcmp(a->setting, b->setting, sizeof(a->setting)) == 0 &&
		a->pattern == b->pattern && memcmp(BufferExtra(a), BufferExtra(b), a->pattern) == 0;
}

/* All rows of b go into a, which is changed in place or replaced by a larger one. */
EventBuffer *
BufferMerge(EventBuffer *a, const EventBuffer *b)
{
	const BufferRow *rows = BufferRows(b);

	if (b->nrows == 0)
		return a;
	if (a->kind == BUFFER_NODE)
	{
		for (int i = 0; i < b->nrows; i++)
		{
			Str			s = BufferNodeText(b, &rows[i]);

			a = BufferAppendNode(a, rows[i].at, rows[i].bits, (rows[i].node & ROW_BASE) != 0, s.data, s.len);
			if ((i & 0xffff) == 0xffff)
				CHECK_FOR_INTERRUPTS();
		}
		return a;
	}
	a = BufferReserve(a, b->nrows, 0);
	memcpy(BufferRows(a) + a->nrows, rows, sizeof(BufferRow) * (Size) b->nrows);
	if (a->nrows > 0)
	{
		const BufferRow *next = BufferRows(a) + a->nrows;

		/* a day must not stand twice in a sorted buffer */
		a->sorted = a->sorted && b->sorted &&
			(a->kind == BUFFER_STREAK ? next[-1].at < next->at : CompareRows(next - 1, next) <= 0);
	}
	else
		a->sorted = b->sorted;
	a->nrows += b->nrows;
	return a;
}

/* Bring the rows into their order. */
void
BufferSort(EventBuffer *b)
{
	if (b->sorted)
		return;
	if (b->kind == BUFFER_STREAK)
		CompactDays(b);
	else if (b->kind == BUFFER_NODE)
		SortNodeRows(BufferRows(b), b->nrows, b);
	else
		SortRows(BufferRows(b), b->nrows);
	b->sorted = true;
}
