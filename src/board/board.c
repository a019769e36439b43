/*
 * board.c
 *	  Settings of the boards, which are views otherwise, and the local time that they show.
 */
#include "board/board.h"

#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* All are read through current_setting(). The defaults are repeated in board.sql, for sessions that have not loaded the library yet. */
static int	board_days = BOARD_DEFAULT_DAYS;
static char *conversion_kinds = NULL;
static char *contact_kinds = NULL;

void
BoardInit(void)
{
	DefineCustomIntVariable("revops.board_days",
							"How many days back moment_board, moment_heatmap and touchpoint_audit look.",
							NULL, &board_days, BOARD_DEFAULT_DAYS, BOARD_MIN_DAYS, BOARD_MAX_DAYS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("revops.conversion_kinds",
							   "Kinds of event that count as a conversion, beside a won opportunity; separated by commas.",
							   NULL, &conversion_kinds, "purchase,order,contract_signed",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("revops.contact_kinds",
							   "Kinds of event by which a visitor leaves a contact; separated by commas.",
							   NULL, &contact_kinds, "form_submit,sign_up,contact_left",
							   PGC_USERSET, 0, NULL, NULL, NULL);
}

PG_FUNCTION_INFO_V1(revops_local_time);

/* What clocks in a zone show at an instant; NULL where there is no such zone, or the instant is infinite. */
Datum
revops_local_time(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	text	   *name = PG_GETARG_TEXT_PP(1);
	char		zone[TZ_STRLEN_MAX + 1];
	Size		len = VARSIZE_ANY_EXHDR(name);
	pg_tz	   *tz;
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	Timestamp	local;

	if (TIMESTAMP_NOT_FINITE(at) || len == 0 || len > TZ_STRLEN_MAX)
		PG_RETURN_NULL();
	memcpy(zone, VARDATA_ANY(name), len);
	zone[len] = '\0';
	tz = pg_tzset(zone);
	if (tz == NULL || timestamp2tm(at, &offset, &tm, &fsec, NULL, tz) != 0 || tm2timestamp(&tm, fsec, NULL, &local) != 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMP(local);
}
