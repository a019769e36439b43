/*
 * compose.c
 *	  Plans of substitution: existing units that could take over, and teams composed of the pool (team.c searches them).
 */
#include "assign/substitute.h"

#define MAX_LIKELY		8		/* existing units that are looked at closely */

/* The problem of choosing among these members of the pool. */
static void
MakeProblem(const Case *c, const int *who, int n, TeamProblem *p)
{
	double	   *value = palloc((n + 1) * sizeof(double));
	float	   *pair = palloc(((size_t) n * n + 1) * sizeof(float));
	double	   *weight = palloc((c->nskills + 1) * sizeof(double));
	float	   *level = palloc(((size_t) n * c->nskills + 1) * sizeof(float));
	uint64	   *covers = palloc((n + 1) * sizeof(uint64));
	int64	   *room = palloc((n + 1) * sizeof(int64));

	memset(p, 0, sizeof(*p));
	for (int s = 0; s < c->nskills; s++)
		weight[s] = c->w[2] * c->needs[s].weight / c->skill_weight;
	for (int i = 0; i < n; i++)
	{
		const Candidate *k = &c->all[who[i]];

		/* where nothing is needed, everybody has all of it */
		value[i] = OwnValue(c, k) + (c->nskills == 0 ? c->w[2] : 0);
		covers[i] = k->covers;
		room[i] = Min(k->room, c->total);
		memcpy(&level[(size_t) i * c->nskills], k->level, c->nskills * sizeof(float));
		for (int j = 0; j < n; j++)
			pair[(size_t) i * n + j] = c->pair[(size_t) k->pool * c->npool + c->all[who[j]].pool];
		p->needed |= k->covers;
	}
	for (int i = 0; i < c->nneeds; i++)
		if (!c->needs[i].required)
			p->needed &= ~(UINT64CONST(1) << i);
	p->n = n;
	p->value = value;
	p->pair = pair;
	p->pair_weight = c->w[1] / 2;
	p->nskills = c->nskills;
	p->skill_weight = weight;
	p->level = level;
	p->covers = covers;
	p->room = room;
	p->room_needed = c->total;
	p->max_nodes = substitution_nodes;
}

/* The three factors of a plan. */
void
Factors(const Case *c, Substitute *plan)
{
	double		similarity = 0,
				familiarity = 0,
				pairs = 0,
				skill = 0;

	for (int i = 0; i < plan->n; i++)
	{
		const Candidate *k = &c->all[plan->member[i]];

		similarity += k->similarity;
		familiarity += k->familiarity;
		for (int j = 0; j < i; j++)
			pairs += c->pair[(size_t) k->pool * c->npool + c->all[plan->member[j]].pool];
	}
	for (int s = 0; s < c->nskills; s++)
	{
		double		best = 0;

		for (int i = 0; i < plan->n; i++)
			best = Max(best, c->all[plan->member[i]].level[s]);
		skill += c->needs[s].weight * best;
	}
	plan->factor[0] = similarity / plan->n;
	plan->factor[1] = (familiarity / plan->n + (plan->n < 2 ? 1 : pairs / (plan->n * (plan->n - 1) / 2))) / 2;
	plan->factor[2] = c->nskills == 0 ? 1 : skill / c->skill_weight;
	plan->score = c->w[0] * plan->factor[0] + c->w[1] * plan->factor[1] + c->w[2] * plan->factor[2];
}

static int
IntAscending(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* The best team of `size` of these people, or, size 0, of as many as are lost, or more where they have no room; false: there is none. */
bool
Compose(const Case *c, const int *who, int n, int size, Substitute *plan)
{
	TeamProblem p;
	Team	   *team = palloc(sizeof(Team));
	int			first = size > 0 ? size : Min(Min(c->nlost, n), TEAM_MAX_SIZE),
				last = size > 0 ? size : Min(Min(first + 16, n), TEAM_MAX_SIZE);

	if (n < first || first < 1)
		return false;
	MakeProblem(c, who, n, &p);
	for (int k = first; k <= last; k++)
	{
		TeamSearch(&p, k, team);
		if (team->found)
		{
			plan->n = k;
			plan->member = palloc(k * sizeof(int));
			for (int i = 0; i < k; i++)
				plan->member[i] = who[team->member[i]];
			qsort(plan->member, k, sizeof(int), IntAscending);	/* by key */
			plan->unit = NULL;
			Factors(c, plan);
			plan->exact = team->exact;
			plan->bound = Max(team->bound, plan->score);
			return true;
		}
	}
	return false;
}

static int
ByGuess(const void *a, const void *b)
{
	const Likely *x = a,
			   *y = b;

	if (x->guess != y->guess)
		return x->guess > y->guess ? -1 : 1;
	return strcmp(x->unit, y->unit);
}

static const Case *unit_case;

static int
ByUnit(const void *a, const void *b)
{
	const Candidate *x = &unit_case->all[*(const int *) a],
			   *y = &unit_case->all[*(const int *) b];
	int			n = strcmp(x->unit, y->unit);

	return n != 0 ? n : strcmp(x->rep, y->rep);
}

/* The existing units with room for all these customers, the likeliest first. */
int
LikelyUnits(Case *c, int size, Likely **result)
{
	int		   *by_unit = palloc((c->n + 1) * sizeof(int));
	Likely	   *units = palloc((c->n + 1) * sizeof(Likely));
	int			n = 0,
				found = 0;

	for (int i = 0; i < c->n; i++)
		if (c->all[i].whole && c->all[i].unit != NULL)
			by_unit[n++] = i;
	unit_case = c;
	qsort(by_unit, n, sizeof(int), ByUnit);
	for (int from = 0, to; from < n; from = to)
	{
		Likely	   *u = &units[found];
		int64		room = 0;
		double		value = 0,
					skill = 0;

		for (to = from; to < n && strcmp(c->all[by_unit[to]].unit, c->all[by_unit[from]].unit) == 0; to++)
		{
			room += Min(c->all[by_unit[to]].room, c->total);
			value += OwnValue(c, &c->all[by_unit[to]]);
		}
		if (room < c->total || to - from > TEAM_MAX_SIZE || (size > 0 && to - from < size))
			continue;
		for (int s = 0; s < c->nskills; s++)
		{
			double		best = 0;

			for (int i = from; i < to; i++)
				best = Max(best, c->all[by_unit[i]].level[s]);
			skill += c->needs[s].weight * best / c->skill_weight;
		}
		u->unit = c->all[by_unit[from]].unit;
		u->n = to - from;
		u->member = &by_unit[from];
		u->guess = value / u->n + c->w[1] / 2 + c->w[2] * (c->nskills == 0 ? 1 : skill);
		u->used = false;
		found++;
	}
	qsort(units, found, sizeof(Likely), ByGuess);
	*result = units;
	return Min(found, MAX_LIKELY);
}
