/*
 * bin.c
 *	  A column's values as a few codes.
 *
 * A number's bins hold about as many rows each; a value that is frequent by itself has a bin of its own, so that "0" is not mixed with what
 * is next to it.
 */
#include "learn/predict.h"

/* Between two values, above the first and not above the second. */
static double
Between(double low, double high)
{
	double		middle = low + (high - low) / 2;

	if (isinf(low) && isinf(high))
		middle = 0;
	else if (isinf(low))
		middle = high;
	else if (isinf(high))
		middle = low + Max(1, fabs(low));
	return middle > low && middle <= high ? middle : high;
}

/* The edges of at most `bins` bins over sorted numbers without NaN; edge has room for bins - 1. Returns how many. */
int
BinEdges(const double *sorted, int n, int bins, double *edge)
{
	int			distinct = 0;
	int			heavy = 0;
	int64		heavy_rows = 0;
	int			nedges = 0;
	int			in_bin = 0;
	double		share;
	bool		before_heavy = false;

	if (n == 0)
		return 0;
	for (int i = 0; i < n;)
	{
		int			j = i + 1;

		while (j < n && sorted[j] == sorted[i])
			j++;
		distinct++;
		if ((int64) (j - i) * bins >= n)
		{
			heavy++;
			heavy_rows += j - i;
		}
		i = j;
	}
	share = distinct <= bins ? 0 : (double) (n - heavy_rows) / Max(bins - heavy, 1);
	for (int i = 0; i < n;)
	{
		int			j = i + 1;
		bool		is_heavy;

		while (j < n && sorted[j] == sorted[i])
			j++;
		is_heavy = (int64) (j - i) * bins >= n;
		if (i > 0 && nedges < bins - 1 && (is_heavy || before_heavy || in_bin >= share))
		{
			edge[nedges++] = Between(sorted[i - 1], sorted[i]);
			in_bin = 0;
		}
		in_bin += j - i;
		before_heavy = is_heavy;
		i = j;
	}
	return nedges;
}

/*
 * Levels for interactions, from the rows of each code: missing values are level 0 with what is rare; a number's bins are put together in
 * their order, of a category the most frequent values stand alone. Returns how many levels there are.
 */
int
BinLevels(const double *rows, int ncodes, bool category, uint8 *level)
{
	int			most = PREDICT_MAX_LEVELS - 1;
	double		total = 0;
	double		sum = 0;

	memset(level, 0, ncodes);
	if (category)
	{
		int			n = 1;

		for (; n <= most; n++)
		{
			int			best = -1;

			for (int c = 2; c < ncodes; c++)
				if (level[c] == 0 && rows[c] > 0 && (best < 0 || rows[c] > rows[best]))
					best = c;
			if (best < 0)
				break;
			level[best] = n;
		}
		return n;
	}
	for (int c = 1; c < ncodes; c++)
		total += rows[c];
	for (int c = 1; c < ncodes; c++)
	{
		/* by the middle of its rows; few codes keep themselves */
		level[c] = ncodes - 1 <= most || total == 0 ? Min(c, most) : 1 + Min(most - 1, (int) ((sum + rows[c] / 2) / total * most));
		sum += rows[c];
	}
	return 1 + Min(most, ncodes - 1);
}
