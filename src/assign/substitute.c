/*
 * substitute.c
 *	  SQL face of substitution: who may take over (candidates.c), which units and teams they make (compose.c), in which order.
 */
#include "assign/substitute.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#define MAX_TOP			20

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
		Substitute *plans = palloc0((nunits + 1) * sizeof(Substitute));
		Substitute	team = {0};
		bool		have;

		for (int u = 0; u < nunits; u++)
		{
			Substitute *p = &plans[u];

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
			Substitute *best = NULL;

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
