/*
 * substitute.c
 *	  SQL face of substitution: who may take over (substitute.sql lists them), which units and teams they make (team.c), in which order.
 */
#include "assign/people.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#define MAX_TOP			20
#define MAX_CANDIDATES	4096
#define MAX_KNOWN		300		/* of those who know the customers: how many are considered */
#define MAX_LIKELY		8		/* existing units that are looked at closely */

typedef struct Need
{
	char	   *skill;			/* NULL: languages */
	char	  **languages;
	int			nlanguages;
	char	   *label;
	int			level;
	double		weight;
	bool		required;
} Need;

typedef struct Candidate
{
	char	   *rep;
	char	   *unit;			/* NULL: none */
	bool		whole;
	double		similarity;
	double		familiarity;
	bool		unlimited;
	int64		room;
	int64		served;
	char	  **languages;
	int			nlanguages;
	uint64		covers;
	float		level[TEAM_MAX_NEEDS];	/* of skills, in the order of needs */
	int			pool;			/* place in the pool; -1: not in it */
	bool		used;			/* by a plan of a higher rank */
} Candidate;

typedef struct Case
{
	char	   *kind;
	Datum		lost;
	int			nlost;
	Datum		customers;
	int			ncustomers;
	int64		total;
	Datum		vector;
	bool		no_vector;
	int			nneeds;
	Need		needs[TEAM_MAX_NEEDS];
	int			nskills;		/* the first ones */
	double		skill_weight;	/* sum */
	int			n;
	Candidate  *all;
	int			npool;			/* those whose acquaintance with each other is known */
	int			pool[TEAM_MAX_POOL];
	float	   *pair;			/* npool * npool */
	double		w[3];
} Case;

typedef struct Substitute
{
	int			n;
	int		   *member;			/* of Case.all */
	char	   *unit;
	double		score;
	double		factor[3];
	bool		exact;
	double		bound;
} Substitute;

static Datum
Column(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static char *
TextColumn(uint64 row, int column)
{
	bool		isnull;
	Datum		d = Column(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(d);
}

/* The texts of an array column; NULL elements are left out. */
static char **
TextsColumn(uint64 row, int column, int *n)
{
	bool		isnull;
	Datum		d = Column(row, column, &isnull);
	Datum	   *elems;
	bool	   *nulls;
	int			all;
	char	  **texts;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &all);
	texts = palloc((all + 1) * sizeof(char *));
	for (int i = 0; i < all; i++)
		if (!nulls[i])
			texts[(*n)++] = TextDatumGetCString(elems[i]);
	return texts;
}

static Datum
TextArray(char **texts, int n)
{
	Datum	   *elems = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elems[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(n == 0 ? construct_empty_array(TEXTOID) : construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static bool
InList(char **list, int n, const char *text)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

/* Whom we replace, and what their customers need. */
static void
LoadCase(Case *c, Datum unit)
{
	static SqlPlan find = {
		"SELECT kind, lost, customers, total, vector FROM revops.substitution_case($1)", 1, {TEXTOID}
	};
	static SqlPlan ask = {
		"SELECT skill, languages, level, weight, required FROM revops.substitution_needs($1)", 1, {TEXTARRAYOID}
	};
	bool		isnull;
	uint64		rows;

	SqlRun(&find, &unit, NULL);
	c->kind = TextColumn(0, 1);
	c->lost = datumCopy(Column(0, 2, &isnull), false, -1);
	c->nlost = ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(c->lost)), ARR_DIMS(DatumGetArrayTypeP(c->lost)));
	c->customers = datumCopy(Column(0, 3, &isnull), false, -1);
	c->ncustomers = ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(c->customers)), ARR_DIMS(DatumGetArrayTypeP(c->customers)));
	c->total = DatumGetInt64(Column(0, 4, &isnull));
	c->vector = Column(0, 5, &c->no_vector);
	if (!c->no_vector)
		c->vector = datumCopy(c->vector, false, -1);
	SPI_freetuptable(SPI_tuptable);

	rows = SqlRun(&ask, &c->customers, NULL);
	for (uint64 r = 0; r < rows && c->nneeds < TEAM_MAX_NEEDS; r++)
	{
		Need	   *need = &c->needs[c->nneeds++];

		need->skill = TextColumn(r, 1);
		need->languages = TextsColumn(r, 2, &need->nlanguages);
		need->level = DatumGetInt32(Column(r, 3, &isnull));
		need->weight = DatumGetFloat8(Column(r, 4, &isnull));
		need->required = DatumGetBool(Column(r, 5, &isnull));
		if (need->skill != NULL)
		{
			c->nskills = c->nneeds;
			c->skill_weight += need->weight;
			need->label = psprintf("%s %d", need->skill, need->level);
		}
		else
		{
			StringInfoData s;

			initStringInfo(&s);
			appendStringInfoString(&s, "language ");
			for (int i = 0; i < need->nlanguages; i++)
				appendStringInfo(&s, "%s%s", i > 0 ? " or " : "", need->languages[i]);
			need->label = s.data;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

static int
ByRep(const void *a, const void *b)
{
	return strcmp(((const Candidate *) a)->rep, ((const Candidate *) b)->rep);
}

static Candidate *
FindCandidate(Case *c, char *rep)
{
	Candidate	key = {.rep = rep};

	return bsearch(&key, c->all, c->n, sizeof(Candidate), ByRep);
}

typedef struct Known
{
	char	   *rep;
	double		points;
	int64		served;
} Known;

static int
ByPoints(const void *a, const void *b)
{
	const Known *x = a,
			   *y = b;

	if (x->points != y->points)
		return x->points > y->points ? -1 : 1;
	return strcmp(x->rep, y->rep);
}

static int
ByKnownRep(const void *a, const void *b)
{
	return strcmp(((const Known *) a)->rep, ((const Known *) b)->rep);
}

/* From weeks of work, decayed, to 0..1 */
static double
Strength(double points)
{
	return isinf(points) ? 1 : points / (1 + points);
}

/* Who may take over, and what of the needs each covers. */
static void
LoadCandidates(Case *c)
{
	static SqlPlan find = {"SELECT rep, points, served FROM revops.substitution_known($1, $2)", 2, {TEXTARRAYOID, TEXTARRAYOID}};
	static SqlPlan list = {
		"SELECT rep, unit, whole, similarity, room, languages FROM revops.substitution_candidates($1, $2, $3, $4, $5, $6)",
		6, {TEXTARRAYOID, TEXTARRAYOID, BYTEAOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID}
	};
	static SqlPlan levels = {
		"SELECT s.rep, n.place::int, s.level FROM unnest($1) AS c (rep) JOIN revops.rep_skill s ON s.rep = c.rep COLLATE \"C\""
		" JOIN unnest($2) WITH ORDINALITY AS n (skill, place) ON n.skill = s.skill COLLATE \"C\"", 2, {TEXTARRAYOID, TEXTARRAYOID}
	};
	char	   *skills[TEAM_MAX_NEEDS];
	Datum		least[TEAM_MAX_NEEDS];
	Datum		args[6];
	bool		null[6] = {false, false, c->no_vector, false, false, false};
	char	  **reps;
	Known	   *known;
	char	   *best[MAX_KNOWN];
	int			nknown;
	uint64		rows;
	bool		isnull;

	for (int i = 0; i < c->nskills; i++)
	{
		skills[i] = c->needs[i].skill;
		least[i] = Int32GetDatum(c->needs[i].level);
	}
	args[0] = c->lost;
	args[1] = c->customers;
	nknown = (int) SqlRun(&find, args, NULL);
	known = palloc((nknown + 1) * sizeof(Known));
	for (int r = 0; r < nknown; r++)
	{
		known[r].rep = TextColumn(r, 1);
		known[r].points = DatumGetFloat8(Column(r, 2, &isnull));
		known[r].served = DatumGetInt64(Column(r, 3, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(known, nknown, sizeof(Known), ByPoints);
	for (int i = 0; i < Min(nknown, MAX_KNOWN); i++)
		best[i] = known[i].rep;
	qsort(known, nknown, sizeof(Known), ByKnownRep);

	args[2] = c->no_vector ? (Datum) 0 : c->vector;
	args[3] = TextArray(skills, c->nskills);
	args[4] = PointerGetDatum(c->nskills == 0 ? construct_empty_array(INT4OID) :
							  construct_array(least, c->nskills, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[5] = TextArray(best, Min(nknown, MAX_KNOWN));
	rows = SqlRun(&list, args, null);
	c->all = palloc0((Min(rows, MAX_CANDIDATES) + 1) * sizeof(Candidate));
	for (uint64 r = 0; r < rows && c->n < MAX_CANDIDATES; r++)
	{
		Candidate  *k = &c->all[c->n++];

		k->rep = TextColumn(r, 1);
		k->unit = TextColumn(r, 2);
		k->whole = DatumGetBool(Column(r, 3, &isnull));
		k->similarity = DatumGetFloat8(Column(r, 4, &isnull));
		k->room = DatumGetInt64(Column(r, 5, &k->unlimited));
		if (k->unlimited)
			k->room = c->total;
		k->languages = TextsColumn(r, 6, &k->nlanguages);
		{
			Known		key = {.rep = k->rep};
			Known	   *found = bsearch(&key, known, nknown, sizeof(Known), ByKnownRep);

			k->familiarity = found != NULL ? Strength(found->points) : 0;
			k->served = found != NULL ? found->served : 0;
		}
		k->pool = -1;
		for (int i = c->nskills; i < c->nneeds; i++)
			for (int l = 0; l < k->nlanguages; l++)
				if (InList(c->needs[i].languages, c->needs[i].nlanguages, k->languages[l]))
					k->covers |= UINT64CONST(1) << i;
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(c->all, c->n, sizeof(Candidate), ByRep);
	if (c->n == 0 || c->nskills == 0)
		return;

	reps = palloc(c->n * sizeof(char *));
	for (int i = 0; i < c->n; i++)
		reps[i] = c->all[i].rep;
	args[0] = TextArray(reps, c->n);
	args[1] = args[3];
	rows = SqlRun(&levels, args, NULL);
	for (uint64 r = 0; r < rows; r++)
	{
		Candidate  *k = FindCandidate(c, TextColumn(r, 1));
		int			place = DatumGetInt32(Column(r, 2, &isnull)) - 1;
		int			level = DatumGetInt32(Column(r, 3, &isnull));

		if (k == NULL)
			continue;
		k->level[place] = Min(1.0, (double) level / c->needs[place].level);
		if (level >= c->needs[place].level)
			k->covers |= UINT64CONST(1) << place;
	}
	SPI_freetuptable(SPI_tuptable);
}

/* What a candidate brings by itself */
static double
OwnValue(const Case *c, const Candidate *k)
{
	return c->w[0] * k->similarity + c->w[1] * k->familiarity / 2;
}

/* Candidates with the highest own value first; a tie by a hash of the key, not by the key */
static const Case *sort_case;

static int
ByOwnValue(const void *a, const void *b)
{
	const Candidate *x = &sort_case->all[*(const int *) a],
			   *y = &sort_case->all[*(const int *) b];
	double		vx = OwnValue(sort_case, x),
				vy = OwnValue(sort_case, y);
	uint32		hx,
				hy;

	if (vx != vy)
		return vx > vy ? -1 : 1;
	hx = string_hash(x->rep, 1024);
	hy = string_hash(y->rep, 1024);
	return hx != hy ? (hx > hy ? 1 : -1) : strcmp(x->rep, y->rep);
}

static void
AddToPool(Case *c, int i)
{
	if (c->all[i].pool < 0 && c->npool < TEAM_MAX_POOL)
	{
		c->all[i].pool = c->npool;
		c->pool[c->npool++] = i;
	}
}

/* How well the members of the pool know each other. */
static void
LoadPairs(Case *c)
{
	static SqlPlan pairs = {
		"SELECT c.rep, c.other, revops.decayed(c.rank, s.half_life, revops.now()) FROM revops.collaboration_state s"
		" CROSS JOIN unnest($1) AS u (rep) JOIN revops.collaboration c ON c.rep = u.rep COLLATE \"C\""
		" WHERE c.rep < c.other", 1, {TEXTARRAYOID}
	};
	char	   *reps[TEAM_MAX_POOL];
	Datum		arg;
	uint64		rows;

	c->pair = palloc0((size_t) Max(c->npool, 1) * Max(c->npool, 1) * sizeof(float));
	for (int i = 0; i < c->npool; i++)
		reps[i] = c->all[c->pool[i]].rep;
	arg = TextArray(reps, c->npool);
	rows = SqlRun(&pairs, &arg, NULL);
	for (uint64 r = 0; r < rows; r++)
	{
		bool		isnull;
		Candidate  *a = FindCandidate(c, TextColumn(r, 1)),
				   *b = FindCandidate(c, TextColumn(r, 2));
		double		points = DatumGetFloat8(Column(r, 3, &isnull));

		/* picked out here: a look-up for each pair would be dearer by far */
		if (a == NULL || b == NULL || a->pool < 0 || b->pool < 0)
			continue;
		c->pair[(size_t) a->pool * c->npool + b->pool] = c->pair[(size_t) b->pool * c->npool + a->pool] =
			(float) Strength(points);
	}
	SPI_freetuptable(SPI_tuptable);
}

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
static void
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
static bool
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

typedef struct Likely
{
	char	   *unit;
	int			n;
	int		   *member;
	double		guess;			/* its score if its members knew each other perfectly */
	bool		used;
} Likely;

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
static int
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

/* Those whom teams are composed of: the best by themselves, and for each need the best three who cover it. */
static void
ChoosePool(Case *c, int target)
{
	int		   *order = palloc((c->n + 1) * sizeof(int));

	for (int i = 0; i < c->n; i++)
		order[i] = i;
	sort_case = c;
	qsort(order, c->n, sizeof(int), ByOwnValue);
	for (int s = 0; s < c->nneeds; s++)
	{
		int			holders = 0;

		for (int i = 0; i < c->n && holders < 3; i++)
			if (c->all[order[i]].covers & (UINT64CONST(1) << s))
			{
				AddToPool(c, order[i]);
				holders++;
			}
	}
	for (int i = 0; i < c->n && c->npool < target; i++)
		AddToPool(c, order[i]);
}

static void
Emit(const Case *c, const Substitute *plan, int rank, text *asked, ReturnSetInfo *rsinfo)
{
	Datum		v[16];
	bool		null[16] = {false};
	Datum		weights[3];
	char	  **members = palloc(plan->n * sizeof(char *)),
			  **served = palloc(plan->n * sizeof(char *)),
			   *missing[TEAM_MAX_NEEDS],
			  **reasons = palloc((plan->n + 8) * sizeof(char *));
	int			nserved = 0,
				nmissing = 0,
				nreasons = 0;
	uint64		covered = 0;
	int64		room = 0;
	bool		unlimited = false;
	StringInfoData json;

	for (int i = 0; i < plan->n; i++)
	{
		const Candidate *k = &c->all[plan->member[i]];

		members[i] = k->rep;
		covered |= k->covers;
		unlimited = unlimited || k->unlimited;
		room += k->room;
		if (k->served > 0)
			served[nserved++] = k->rep;
	}
	reasons[nreasons++] = psprintf("customers like these: %.2f; acquaintance: %.2f; skills: %.2f", plan->factor[0], plan->factor[1], plan->factor[2]);
	for (int i = 0; i < c->nneeds; i++)
		if (c->needs[i].required && (covered & (UINT64CONST(1) << i)) == 0)
			missing[nmissing++] = c->needs[i].label;
	for (int i = 0; i < plan->n && nreasons < 6; i++)
		if (c->all[plan->member[i]].served > 0)
			reasons[nreasons++] = psprintf("%s has served " INT64_FORMAT " of these customers", c->all[plan->member[i]].rep, c->all[plan->member[i]].served);
	reasons[nreasons++] = unlimited ? psprintf("room without limit for " INT64_FORMAT " customers", c->total) :
		psprintf("room for " INT64_FORMAT " more customers; there are " INT64_FORMAT, room, c->total);
	if (plan->unit == NULL)
		reasons[nreasons++] = plan->exact ? pstrdup("composed: the best of all teams of this size") :
			psprintf("composed: no team of this size scores above %.4f", plan->bound);

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"for\": ");
	escape_json(&json, text_to_cstring(asked));
	appendStringInfoString(&json, ", \"unit\": ");
	if (plan->unit != NULL)
		escape_json(&json, plan->unit);
	else
		appendStringInfoString(&json, "null");
	appendStringInfoString(&json, ", \"members\": [");
	for (int i = 0; i < plan->n; i++)
	{
		appendStringInfoString(&json, i > 0 ? ", " : "");
		escape_json(&json, members[i]);
	}
	appendStringInfo(&json, "], \"score\": %.6f}", plan->score);

	for (int i = 0; i < 3; i++)
		weights[i] = Float8GetDatum(c->w[i]);
	v[0] = Int32GetDatum(rank);
	null[1] = plan->unit == NULL;
	v[1] = null[1] ? (Datum) 0 : CStringGetTextDatum(plan->unit);
	v[2] = TextArray(members, plan->n);
	v[3] = Float8GetDatum(plan->score);
	for (int i = 0; i < 3; i++)
		v[4 + i] = Float8GetDatum(plan->factor[i]);
	v[7] = PointerGetDatum(construct_array(weights, 3, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	null[8] = unlimited;
	v[8] = Int64GetDatum(room);
	v[9] = Int64GetDatum(c->total);
	v[10] = TextArray(served, nserved);
	v[11] = TextArray(missing, nmissing);
	/* a unit is what it is: there is nothing to search for */
	null[12] = null[13] = plan->unit != NULL;
	v[12] = BoolGetDatum(plan->exact);
	v[13] = Float8GetDatum(plan->bound);
	v[14] = TextArray(reasons, nreasons);
	v[15] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
}

PG_FUNCTION_INFO_V1(revops_substitute_units);

/* substitute_units(unit, top, size): the best plans, no person in two of them. Errors: no such unit, no reps, no customers, bad arguments. */
Datum
revops_substitute_units(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Case	   *c = palloc0(sizeof(Case));
	MemoryContext context = CurrentMemoryContext;
	Likely	   *units;
	int			nunits,
				top,
				size,
				level,
				target;
	double		sum = substitution_weight_similarity + substitution_weight_collaboration + substitution_weight_skill;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("say which unit or territory is to be replaced, and how many plans are wanted")));
	top = PG_GETARG_INT32(1);
	size = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (top < 1 || top > MAX_TOP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ask for 1 to %d plans, not %d", MAX_TOP, top)));
	if (!PG_ARGISNULL(2) && (size < 1 || size > TEAM_MAX_SIZE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a team has 1 to %d members, not %d", TEAM_MAX_SIZE, size)));
	if (!(sum > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("all weights of substitution are zero"),
				 errhint("Set revops.substitution_weight_similarity, _collaboration or _skill above 0.")));
	c->w[0] = substitution_weight_similarity / sum;
	c->w[1] = substitution_weight_collaboration / sum;
	c->w[2] = substitution_weight_skill / sum;

	level = SqlConnect();
	MemoryContextSwitchTo(context);
	/* long lists of names are no help to the planner, and dear */
	(void) set_config_option("plan_cache_mode", "force_generic_plan", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* nor are other processes, for what takes milliseconds */
	(void) set_config_option("max_parallel_workers_per_gather", "0", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	LoadCase(c, PG_GETARG_DATUM(0));
	LoadCandidates(c);
	nunits = LikelyUnits(c, size, &units);

	/* people for as many teams as are asked for, and then some; the members of the units beside them */
	target = (size > 0 ? size : Min(c->nlost, TEAM_MAX_SIZE)) * Min(top, 5) + 24;
	ChoosePool(c, Min(Max(target, 48), TEAM_MAX_POOL));
	for (int u = 0; u < nunits; u++)
	{
		if (c->npool + units[u].n > TEAM_MAX_POOL)
		{
			nunits = u;
			break;
		}
		for (int i = 0; i < units[u].n; i++)
			AddToPool(c, units[u].member[i]);
	}
	LoadPairs(c);
	SqlFinish(level);
	MemoryContextSwitchTo(context);

	{
		Substitute	   *plans = palloc0((nunits + 1) * sizeof(Substitute));
		Substitute		team = {0};
		bool		have;

		for (int u = 0; u < nunits; u++)
		{
			Substitute	   *p = &plans[u];

			if (size > 0 && units[u].n > size)
				units[u].used = !Compose(c, units[u].member, units[u].n, size, p);
			else
			{
				p->n = units[u].n;
				p->member = units[u].member;
				Factors(c, p);
			}
			p->unit = units[u].unit;
		}
		for (int rank = 1; rank <= top; rank++)
		{
			Substitute	   *best = NULL;

			for (int u = 0; u < nunits; u++)
			{
				for (int i = 0; !units[u].used && i < plans[u].n; i++)
					units[u].used = c->all[plans[u].member[i]].used;
				if (!units[u].used && (best == NULL || plans[u].score > best->score))
					best = &plans[u];
			}
			{
				int			who[TEAM_MAX_POOL],
							n = 0;

				/* of whoever is free, and what these can do: both shrink with each plan */
				for (int i = 0; i < c->npool; i++)
					if (!c->all[c->pool[i]].used)
						who[n++] = c->pool[i];
				have = Compose(c, who, n, size, &team);
			}
			if (have && (best == NULL || team.score > best->score))
				best = &team;
			if (best == NULL)
			{
				if (rank == 1)
					ereport(NOTICE,
							(errmsg("nobody can take over the " INT64_FORMAT " customers of \"%s\"", c->total, text_to_cstring(PG_GETARG_TEXT_PP(0))),
							 errdetail("%d reps are free, present and allowed to; no %s has room for all of these customers.", c->n,
									   size > 0 ? psprintf("unit, and no team of %d,", size) : "unit, and no team,")));
				break;
			}
			Emit(c, best, rank, PG_GETARG_TEXT_PP(0), rsinfo);
			for (int i = 0; i < best->n; i++)
				c->all[best->member[i]].used = true;
		}
	}
	return (Datum) 0;
}
