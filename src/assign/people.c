/*
 * people.c
 *	  Settings of substitution, and how far two calendars' hours overlap.
 */
#include "assign/people.h"

#include "catalog/pg_type.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define MINUTES_PER_WEEK	(7 * 24 * 60)
#define MAX_SLOTS			512

double		substitution_weight_similarity = 0.4;
double		substitution_weight_collaboration = 0.3;
double		substitution_weight_skill = 0.3;
int			substitution_nodes = 20000;
static double substitution_overlap = 0.5;	/* read through current_setting() */

void
PeopleInit(void)
{
	DefineCustomRealVariable("revops.substitution_weight_similarity",
							 "Weight of customer similarity in the score of a substitute.",
							 NULL, &substitution_weight_similarity, 0.4, 0, 1, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("revops.substitution_weight_collaboration",
							 "Weight of past collaboration in the score of a substitute.",
							 NULL, &substitution_weight_collaboration, 0.3, 0, 1, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("revops.substitution_weight_skill",
							 "Weight of the skills that the customers need in the score of a substitute.",
							 NULL, &substitution_weight_skill, 0.3, 0, 1, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("revops.substitution_nodes",
							"Partial teams that the exact search looks at before it settles for the best one found.",
							NULL, &substitution_nodes, 20000, 0, 100000000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("revops.substitution_overlap",
							 "Share of the working hours that a substitute must share with whom he stands in for.",
							 NULL, &substitution_overlap, 0.5, 0, 1, PGC_USERSET, 0, NULL, NULL, NULL);
}

/* The slots of a calendar in UTC minutes of a week at that time, cut at its end; how many. One slot of the whole week: round the clock. */
static int
UtcSlots(FunctionCallInfo fcinfo, int arg, TimestampTz at, int32 slots[][2])
{
	Datum	   *elems;
	int			nelems,
				n = 0,
				offset;
	char	   *zone;
	pg_tz	   *tz;
	struct pg_tm tm;
	fsec_t		fsec;

	if (PG_ARGISNULL(arg) || PG_ARGISNULL(arg + 1))
	{
		slots[0][0] = 0;
		slots[0][1] = MINUTES_PER_WEEK;
		return 1;
	}
	zone = text_to_cstring(PG_GETARG_TEXT_PP(arg));
	tz = strlen(zone) <= TZ_STRLEN_MAX ? pg_tzset(zone) : NULL;
	if (tz == NULL || timestamp2tm(at, &offset, &tm, &fsec, NULL, tz) != 0)
		return 0;
	offset /= 60;				/* minutes west of UTC */
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg + 1), INT4OID, sizeof(int32), true, TYPALIGN_INT, &elems, NULL, &nelems);
	for (int i = 0; i + 1 < nelems && n + 1 < MAX_SLOTS; i += 2)
	{
		int64		from = DatumGetInt32(elems[i]),
					to = DatumGetInt32(elems[i + 1]);

		if (from < 0 || to > MINUTES_PER_WEEK || from >= to)
			continue;
		from = ((from + offset) % MINUTES_PER_WEEK + MINUTES_PER_WEEK) % MINUTES_PER_WEEK;
		to = from + DatumGetInt32(elems[i + 1]) - DatumGetInt32(elems[i]);
		slots[n][0] = (int32) from;
		slots[n++][1] = (int32) Min(to, MINUTES_PER_WEEK);
		if (to > MINUTES_PER_WEEK)
		{
			slots[n][0] = 0;
			slots[n++][1] = (int32) (to - MINUTES_PER_WEEK);
		}
	}
	return n;
}

PG_FUNCTION_INFO_V1(revops_hours_overlap);

/* hours_overlap(time_zone, week, other_time_zone, other_week, at): minutes open in both, over those of the first; NULL if it has none. */
Datum
revops_hours_overlap(PG_FUNCTION_ARGS)
{
	int32		a[MAX_SLOTS][2],
				b[MAX_SLOTS][2];
	int			na,
				nb;
	int64		all = 0,
				both = 0;

	if (PG_ARGISNULL(4) || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(4)))
		PG_RETURN_NULL();
	na = UtcSlots(fcinfo, 0, PG_GETARG_TIMESTAMPTZ(4), a);
	nb = UtcSlots(fcinfo, 2, PG_GETARG_TIMESTAMPTZ(4), b);
	for (int i = 0; i < na; i++)
	{
		all += a[i][1] - a[i][0];
		for (int j = 0; j < nb; j++)
			both += Max(0, Min(a[i][1], b[j][1]) - Max(a[i][0], b[j][0]));
	}
	if (all == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) both / all);
}
