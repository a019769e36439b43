/*
 * board.c
 *	  Settings of the boards, which are views otherwise, the local time that they show, and scheduled queries with the rights of who scheduled them.
 */
#include "board/board.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
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

PG_FUNCTION_INFO_V1(revops_keep_schedule);

/*
 * Write a row of model_schedule, as its owner, for the role whose rights are in force. Not for the one that logged in: that may be a superuser whose
 * ANALYZE or worker runs a function of somebody who could not schedule with such rights.
 */
Datum
revops_keep_schedule(PG_FUNCTION_ARGS)
{
	static SqlPlan keep = {
		"INSERT INTO revops.model_schedule (model, query, label, options, every, scheduled_by) VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT ON CONSTRAINT model_schedule_pkey DO UPDATE SET query = EXCLUDED.query, label = EXCLUDED.label, options = EXCLUDED.options,"
		" every = EXCLUDED.every, scheduled_by = EXCLUDED.scheduled_by",
		6, {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INTERVALOID, TEXTOID}
	};
	Relation	rel = table_open(RevopsRelid("model_schedule"), RowExclusiveLock);
	Datum		v[6];
	Oid			user;
	int			context,
				level = SqlConnect();

	for (int i = 0; i < 5; i++)
		v[i] = PG_GETARG_DATUM(i);
	GetUserIdAndSecContext(&user, &context);
	v[5] = CStringGetTextDatum(GetUserNameFromId(user, false));
	SetUserIdAndSecContext(rel->rd_rel->relowner, context | SECURITY_LOCAL_USERID_CHANGE);
	SqlRun(&keep, v, NULL);
	SetUserIdAndSecContext(user, context);
	SqlFinish(level);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(revops_calibrate_scheduled);

/*
 * calibrate_model() as the role that scheduled it: the query is that role's, and whoever runs the job, a superuser as a rule, lends it nothing.
 * After an error the (sub)transaction's end gives back the rights that were there before. Nor do the query's settings stay.
 */
Datum
revops_calibrate_scheduled(PG_FUNCTION_ARGS)
{
	static SqlPlan scheduler = {"SELECT scheduled_by FROM revops.model_schedule WHERE model = $1 COLLATE \"C\"", 1, {TEXTOID}};
	Oid			types[1] = {TEXTOID};
	Datum		model = PG_GETARG_DATUM(0);
	char	   *name;
	Oid			role,
				user;
	int			context,
				settings,
				level = SqlConnect();
	bool		isnull;
	Datum		result;

	if (SqlRun(&scheduler, &model, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" is not scheduled", TextDatumGetCString(model)),
				 errhint("revops.schedule_training() does that.")));
	name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	role = get_role_oid(name, true);
	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" was scheduled by role \"%s\", which is not there", TextDatumGetCString(model), name),
				 errhint("Call revops.schedule_training() again, as the role that the query is to run as.")));
	SqlFinish(level);

	/* not SqlConnect(): its settings are not for the query of somebody else */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	settings = NewGUCNestLevel();
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(role, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (SPI_execute_with_args("SELECT revops.calibrate_model($1)", 1, types, &model, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not train a scheduled model");
	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(user, context);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	result = SPI_datumTransfer(result, false, -1);
	SPI_finish();
	PG_RETURN_DATUM(result);
}
