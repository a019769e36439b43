/*
 * sql.c
 *	  The one door to SQL: saved plans, parameters, a pinned search_path.
 */
#include "base/base.h"

#include "miscadmin.h"
#include "utils/guc.h"

/*
 * Connect to SPI with nothing but pg_catalog in the search_path, so that no object of a user's can stand in for ours.
 * Returns what SqlFinish wants; after an error the (sub)transaction's end undoes both.
 */
int
SqlConnect(void)
{
	int			guc_nest_level;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	guc_nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* plans are kept for long, and may be made while a table is new and small: what has an index goes by it */
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return guc_nest_level;
}

void
SqlFinish(int guc_nest_level)
{
	AtEOXact_GUC(true, guc_nest_level);
	SPI_finish();
}

/* Run a statement, planned once per backend. Rows are in SPI_tuptable; returns how many. Keeps the caller's memory context. */
uint64
SqlRun(SqlPlan *plan, const Datum *values, const bool *isnull)
{
	char		nulls[lengthof(plan->argtypes)];
	int			rc;
	MemoryContext context = CurrentMemoryContext;

	if (plan->plan == NULL)
	{
		SPIPlanPtr	p = SPI_prepare_cursor(plan->sql, plan->nargs, plan->argtypes, plan->large ? CURSOR_OPT_GENERIC_PLAN : 0);

		if (p == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", plan->sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(p);
		plan->plan = p;
	}
	for (int i = 0; i < plan->nargs; i++)
		nulls[i] = isnull != NULL && isnull[i] ? 'n' : ' ';
	rc = SPI_execute_plan(plan->plan, (Datum *) values, nulls, false, 0);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", plan->sql, SPI_result_code_string(rc));
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

/* The first column of the first row as int8, or the default where there is none. */
int64
SqlInt8(SqlPlan *plan, const Datum *values, const bool *isnull, int64 otherwise)
{
	bool		null;
	Datum		d;

	if (SqlRun(plan, values, isnull) == 0)
		return otherwise;
	d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	return null ? otherwise : DatumGetInt64(d);
}
