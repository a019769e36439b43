/*
 * decay.c
 *	  Forward decay for SQL.
 */
#include "decay/decay.h"

#include "utils/timestamp.h"

/* An interval as seconds > 0, months taken as 30 days. */
static double
Seconds(Interval *iv)
{
	double		s = iv->time / 1e6 + 86400.0 * (iv->day + 30.0 * iv->month);

	if (!(s > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a half-life must be longer than zero")));
	return s;
}

/* decayed(logsum, half_life, at): the decayed sum at a time */
PG_FUNCTION_INFO_V1(decayed);
Datum
decayed(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(DecayAt(PG_GETARG_FLOAT8(0), PG_GETARG_TIMESTAMPTZ(2), Seconds(PG_GETARG_INTERVAL_P(1))));
}
