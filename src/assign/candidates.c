/*
 * candidates.c
 *	  Who may take over: what substitute.sql lists of the case and of people, and the pool of those whom teams are composed of.
 */
#include "assign/substitute.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"

#define MAX_CANDIDATES	4096
#define MAX_KNOWN		300		/* of those who know the customers: how many are considered */

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

Datum
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
void
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
void
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
double
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

void
AddToPool(Case *c, int i)
{
	if (c->all[i].pool < 0 && c->npool < TEAM_MAX_POOL)
	{
		c->all[i].pool = c->npool;
		c->pool[c->npool++] = i;
	}
}

/* How well the members of the pool know each other. */
void
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

/* Those whom teams are composed of: the best by themselves, and for each need the best three who cover it. */
void
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
