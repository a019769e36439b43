/*
 * team.c
 *	  The best team of k people that covers what is needed: team formation in a social network (Lappas, Liu, Terzi: "Finding a Team of
 *	  Experts in Social Networks", KDD 2009), where the loss of a team is what it lacks in likeness, acquaintance and skill.
 *
 *	  First a team is found: whoever covers the need with the fewest holders, best first (the paper's RarestFirst), then the best by
 *	  margin; then members are exchanged one by one while that helps. Then a depth-first branch and bound tries to outdo it. Candidates are
 *	  in the order of their own value, a team is extended only by later ones, and a branch is left when no team in it can be better:
 *
 *	  - values: the next candidates in order are the best that can still come;
 *	  - pairs: of the pairs still open, no more can be had than the strongest pairs of all;
 *	  - skills and needs: what all later candidates have together;
 *	  - room: the largest rooms among the later candidates.
 *
 *	  When the search has looked at max_nodes partial teams it stops, and the highest bound of all that it has left is the bound of the
 *	  result; otherwise the result is exact, and its own bound.
 */
#include "assign/people.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define EPSILON		1e-12

typedef struct Search
{
	const TeamProblem *p;
	int			k;
	int			n;				/* = p->n */
	int		   *order;			/* candidates by value, best first */
	double	   *value;			/* in that order, as are the next four */
	uint64	   *covers;
	int64	   *room;
	float	   *level;			/* n * nskills */
	float	   *pair;			/* n * n */
	double	   *value_sum;		/* of the first i */
	double	   *top_pairs;		/* sum of the j strongest pairs */
	uint64	   *later_covers;	/* of i and after */
	float	   *later_level;	/* (n + 1) * nskills */
	int64	   *later_room;		/* (n + 1) * (k + 1): the j largest of i and after */
	int		   *chosen;
	float	   *best_level;		/* (k + 1) * nskills: of the first j chosen */
	int64		nodes;
	int64		max_nodes;
	bool		cut;
	double		open_bound;		/* of what was left because of max_nodes */
	Team	   *team;			/* the best so far; members in the search's order */
} Search;

static double
PairMean(double sum, int k)
{
	return k < 2 ? 1.0 : sum / (k * (k - 1) / 2);
}

/* The score of a team, whatever it covers. */
double
TeamScore(const TeamProblem *p, const int *member, int k)
{
	double		value = 0,
				pairs = 0,
				skill = 0;

	for (int i = 0; i < k; i++)
	{
		value += p->value[member[i]];
		for (int j = 0; j < i; j++)
			pairs += p->pair[(size_t) member[i] * p->n + member[j]];
	}
	for (int s = 0; s < p->nskills; s++)
	{
		float		best = 0;

		for (int i = 0; i < k; i++)
			best = Max(best, p->level[(size_t) member[i] * p->nskills + s]);
		skill += p->skill_weight[s] * best;
	}
	return value / k + p->pair_weight * PairMean(pairs, k) + skill;
}

/* The sums of a part of a team, to which one more member is tried. */
typedef struct Part
{
	int			k;				/* members of the part */
	const int  *member;
	double		value;
	double		pairs;
	uint64		covered;
	int64		room;
	float		level[TEAM_MAX_NEEDS];
} Part;

static double
PairsWith(const TeamProblem *p, const Part *part, int m)
{
	double		sum = 0;

	for (int i = 0; i < part->k; i++)
		sum += p->pair[(size_t) m * p->n + part->member[i]];
	return sum;
}

static void
PartAdd(const TeamProblem *p, Part *part, int m)
{
	part->pairs += PairsWith(p, part, m);
	part->value += p->value[m];
	part->covered |= p->covers[m];
	part->room += p->room[m];
	for (int s = 0; s < p->nskills; s++)
		part->level[s] = Max(part->level[s], p->level[(size_t) m * p->nskills + s]);
	part->k++;
}

/* The score of a part and one more; its lack: needs uncovered, and the share of the room that is not there. 0: the team is allowed. */
static double
PartScore(const TeamProblem *p, const Part *part, int m, double *lack)
{
	double		skill = 0;
	int64		room = part->room + p->room[m];

	for (int s = 0; s < p->nskills; s++)
		skill += p->skill_weight[s] * Max(part->level[s], p->level[(size_t) m * p->nskills + s]);
	*lack = __builtin_popcountll(p->needed & ~(part->covered | p->covers[m]));
	if (room < p->room_needed)
		*lack += (double) (p->room_needed - room) / p->room_needed;
	return (part->value + p->value[m]) / (part->k + 1) +
		p->pair_weight * PairMean(part->pairs + PairsWith(p, part, m), part->k + 1) + skill;
}

/* A first team: the rarest needs first, then the best by margin. */
static void
Greedy(const TeamProblem *p, int k, int *member)
{
	bool	   *taken = palloc0(p->n * sizeof(bool));
	Part		part = {.member = member};

	for (int m = 0; m < k; m++)
	{
		uint64		want = p->needed & ~part.covered,
					rarest = 0;
		int			fewest = INT_MAX,
					best = -1;
		double		best_score = -1;

		for (int b = 0; b < 64; b++)
			if (want & (UINT64CONST(1) << b))
			{
				int			holders = 0;

				for (int i = 0; i < p->n; i++)
					holders += !taken[i] && (p->covers[i] & (UINT64CONST(1) << b)) != 0;
				if (holders > 0 && holders < fewest)
				{
					fewest = holders;
					rarest = UINT64CONST(1) << b;
				}
			}
		for (int i = 0; i < p->n; i++)
			if (!taken[i] && (p->covers[i] & rarest) == rarest)
			{
				double		lack,
							score = PartScore(p, &part, i, &lack) - lack * 0.1;

				if (best < 0 || score > best_score)
				{
					best_score = score;
					best = i;
				}
			}
		PartAdd(p, &part, best);
		member[m] = best;
		taken[best] = true;
	}
	pfree(taken);
}

/* Exchange one member at a time while that lacks less, or scores more. Returns whether the team is allowed. */
static bool
Exchange(const TeamProblem *p, int k, int *member)
{
	bool	   *taken = palloc0(p->n * sizeof(bool));
	double		lack = 0;
	bool		better = true;

	for (int i = 0; i < k; i++)
		taken[member[i]] = true;
	for (int round = 0; better && round < 16; round++)
	{
		better = false;
		for (int m = 0; m < k; m++)
		{
			int			others[TEAM_MAX_SIZE];
			Part		part = {.member = others};
			double		score;
			int			best = member[m];

			/* the others first, then whoever goes best with them */
			for (int i = 0; i < k; i++)
				if (i != m)
				{
					PartAdd(p, &part, member[i]);
					others[part.k - 1] = member[i];
				}
			score = PartScore(p, &part, member[m], &lack);
			for (int i = 0; i < p->n; i++)
			{
				double		l,
							s;

				if (taken[i])
					continue;
				s = PartScore(p, &part, i, &l);
				if (l < lack - EPSILON || (l <= lack && s > score + EPSILON))
				{
					best = i;
					lack = l;
					score = s;
				}
			}
			if (best != member[m])
			{
				taken[member[m]] = false;
				taken[best] = true;
				member[m] = best;
				better = true;
			}
			CHECK_FOR_INTERRUPTS();
		}
	}
	pfree(taken);
	return lack == 0;
}

/* No team that extends the j chosen ones by candidates from `from` on scores higher; -1: none is allowed. */
static double
Bound(const Search *s, int from, int j, double value, double pairs, uint64 covered, int64 room)
{
	int			left = s->k - j,
				open = s->k * (s->k - 1) / 2 - j * (j - 1) / 2;
	double		skill = 0;
	const float *have = &s->best_level[(size_t) j * s->p->nskills],
			   *later = &s->later_level[(size_t) from * s->p->nskills];

	if (left > s->n - from || (s->p->needed & ~(covered | (left > 0 ? s->later_covers[from] : 0))) != 0 ||
		room + s->later_room[(size_t) from * (s->k + 1) + left] < s->p->room_needed)
		return -1;
	for (int i = 0; i < s->p->nskills; i++)
		skill += s->p->skill_weight[i] * (left > 0 ? Max(have[i], later[i]) : have[i]);
	return (value + s->value_sum[from + left] - s->value_sum[from]) / s->k +
		s->p->pair_weight * (s->k < 2 ? 1.0 : PairMean(pairs + s->top_pairs[open], s->k)) + skill;
}

/* Extend the j chosen candidates by those from `from` on. */
static void
Extend(Search *s, int from, int j, double value, double pairs, uint64 covered, int64 room)
{
	int			ns = s->p->nskills;

	if (j == s->k)
	{
		/* its bound is its score, and better than the best */
		s->team->score = Bound(s, from, j, value, pairs, covered, room);
		s->team->found = true;
		memcpy(s->team->member, s->chosen, s->k * sizeof(int));
		return;
	}
	for (int i = from; i <= s->n - (s->k - j); i++)
	{
		double		all = Bound(s, i, j, value, pairs, covered, room),
					with,
					p = pairs;
		float	   *best = &s->best_level[(size_t) (j + 1) * ns];

		/* all that begins with i or a later one: later ones are no better */
		if (all < 0 || (s->team->found && all <= s->team->score + EPSILON))
			return;
		if (s->nodes >= s->max_nodes)
		{
			s->cut = true;
			s->open_bound = Max(s->open_bound, all);
			return;
		}
		if ((++s->nodes & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int c = 0; c < j; c++)
			p += s->pair[(size_t) i * s->n + s->chosen[c]];
		for (int x = 0; x < ns; x++)
			best[x] = Max(s->best_level[(size_t) j * ns + x], s->level[(size_t) i * ns + x]);
		s->chosen[j] = i;
		with = Bound(s, i + 1, j + 1, value + s->value[i], p, covered | s->covers[i], room + s->room[i]);
		if (with >= 0 && (!s->team->found || with > s->team->score + EPSILON))
			Extend(s, i + 1, j + 1, value + s->value[i], p, covered | s->covers[i], room + s->room[i]);
	}
}

static const double *sort_values;

static int
ByValue(const void *a, const void *b)
{
	double		x = sort_values[*(const int *) a],
				y = sort_values[*(const int *) b];

	if (x != y)
		return x > y ? -1 : 1;
	return *(const int *) a - *(const int *) b;
}

static int
FloatDescending(const void *a, const void *b)
{
	float		x = *(const float *) a,
				y = *(const float *) b;

	return x > y ? -1 : x < y;
}

static int
IntAscending(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* The tables that bounds are read from. */
static void
Prepare(Search *s)
{
	const TeamProblem *p = s->p;
	int			n = s->n,
				k = s->k,
				ns = p->nskills,
				npairs = 0,
				most = k * (k - 1) / 2;
	float	   *all = palloc(((size_t) n * (n - 1) / 2 + 1) * sizeof(float));
	int64	   *largest = palloc0((k + 1) * sizeof(int64));

	s->order = palloc(n * sizeof(int));
	s->value = palloc(n * sizeof(double));
	s->covers = palloc(n * sizeof(uint64));
	s->room = palloc(n * sizeof(int64));
	s->level = palloc(((size_t) n * ns + 1) * sizeof(float));
	s->pair = palloc((size_t) n * n * sizeof(float));
	s->value_sum = palloc0((n + 1) * sizeof(double));
	s->top_pairs = palloc0((most + 1) * sizeof(double));
	s->later_covers = palloc0((n + 1) * sizeof(uint64));
	s->later_level = palloc0(((size_t) (n + 1) * ns + 1) * sizeof(float));
	s->later_room = palloc0((size_t) (n + 1) * (k + 1) * sizeof(int64));
	s->chosen = palloc(k * sizeof(int));
	s->best_level = palloc0(((size_t) (k + 1) * ns + 1) * sizeof(float));

	for (int i = 0; i < n; i++)
		s->order[i] = i;
	sort_values = p->value;
	qsort(s->order, n, sizeof(int), ByValue);
	for (int i = 0; i < n; i++)
	{
		int			c = s->order[i];

		s->value[i] = p->value[c];
		s->covers[i] = p->covers[c];
		s->room[i] = p->room[c];
		s->value_sum[i + 1] = s->value_sum[i] + s->value[i];
		memcpy(&s->level[(size_t) i * ns], &p->level[(size_t) c * ns], ns * sizeof(float));
		for (int j = 0; j < n; j++)
			s->pair[(size_t) i * n + j] = p->pair[(size_t) c * n + s->order[j]];
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			all[npairs++] = s->pair[(size_t) i * n + j];
	qsort(all, npairs, sizeof(float), FloatDescending);
	for (int i = 0; i < most; i++)
		s->top_pairs[i + 1] = s->top_pairs[i] + (i < npairs ? all[i] : 0);
	for (int i = n - 1; i >= 0; i--)
	{
		int64		room = s->room[i];

		s->later_covers[i] = s->later_covers[i + 1] | s->covers[i];
		for (int x = 0; x < ns; x++)
			s->later_level[(size_t) i * ns + x] = Max(s->later_level[(size_t) (i + 1) * ns + x], s->level[(size_t) i * ns + x]);
		/* insert into the k largest */
		for (int j = 0; j < k; j++)
			if (room > largest[j])
			{
				int64		t = largest[j];

				largest[j] = room;
				room = t;
			}
		for (int j = 0; j < k; j++)
			s->later_room[(size_t) i * (k + 1) + j + 1] = s->later_room[(size_t) i * (k + 1) + j] + largest[j];
	}
	pfree(all);
	pfree(largest);
}

void
TeamSearch(const TeamProblem *p, int k, Team *team)
{
	Search		s = {.p = p, .k = k, .n = p->n, .max_nodes = p->max_nodes, .team = team};
	MemoryContext mine,
				old;
	int			first[TEAM_MAX_SIZE];
	double		root;

	Assert(k >= 1 && k <= TEAM_MAX_SIZE && p->n <= TEAM_MAX_POOL && p->nskills <= TEAM_MAX_NEEDS);
	memset(team, 0, sizeof(Team));
	team->k = k;
	if (k > p->n)
	{
		team->exact = true;
		return;
	}
	mine = AllocSetContextCreate(CurrentMemoryContext, "team search", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(mine);
	Prepare(&s);
	Greedy(p, k, first);
	if (Exchange(p, k, first))
	{
		int		   *place = palloc(p->n * sizeof(int));

		for (int i = 0; i < p->n; i++)
			place[s.order[i]] = i;
		team->found = true;
		team->score = TeamScore(p, first, k);
		for (int i = 0; i < k; i++)
			team->member[i] = place[first[i]];
	}
	root = Bound(&s, 0, 0, 0, 0, 0, 0);
	if (root >= 0)
		Extend(&s, 0, 0, 0, 0, 0, 0);
	for (int i = 0; i < k && team->found; i++)
		team->member[i] = s.order[team->member[i]];
	qsort(team->member, team->found ? k : 0, sizeof(int), IntAscending);
	team->exact = !s.cut;
	team->bound = s.cut ? Max(s.open_bound, team->found ? team->score : 0) : team->score;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(mine);
}
