/*
 * node.c
 *	  The row that follows, or precedes, a chain of events which starts at a base row.
 */
#include "analysis/analysis.h"

/*
 * The index of the row next to the chain, or -1. There is one base row: the first or the last of all, or the first or the last
 * one that is marked as base and on which the first condition holds. From there on, without a gap, the conditions must hold in
 * turn; backward, on the rows before it. Rows sorted.
 */
int
NodeNext(const BufferRow *rows, int n, int nconditions, int modes)
{
	int			direction = modes & NODE_BACKWARD ? -1 : 1,
				base = -1,
				next;

	if (modes & (NODE_HEAD | NODE_TAIL))
	{
		base = modes & NODE_HEAD ? 0 : n - 1;
		if (n == 0 || !(rows[base].node & ROW_BASE))
			return -1;
	}
	else
	{
		bool		first = (modes & NODE_FIRST_MATCH) != 0;

		for (int i = 0; i < n && base < 0; i++)
		{
			int			at = first ? i : n - 1 - i;

			if ((rows[at].node & ROW_BASE) && (rows[at].bits & 1))
				base = at;
		}
		if (base < 0)
			return -1;
	}
	next = base;
	for (int i = 0; i < nconditions; i++, next += direction)
	{
		if (next < 0 || next >= n || !(rows[next].bits & ((uint32) 1 << i)))
			return -1;
	}
	return next >= 0 && next < n ? next : -1;
}
