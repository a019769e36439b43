/*
 * control.c
 *	  The workers' SQL face: revops.announce(), start_worker(), stop_worker(), worker_stats().
 */
#include "worker/shmem.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

#define START_TIMEOUT	10		/* seconds that start_worker() waits for lane 0 */
#define STOP_PATIENCE	5		/* seconds until a worker must drop its pass */
#define STOP_TIMEOUT	60
#define RATE_SECONDS	10.0	/* the rate's time constant, as in lane_worker.c */

static Oid	announced = InvalidOid; /* by this transaction */
static bool announced_adopt;	/* what stood there before */

static void
AnnounceXactCallback(XactEvent event, void *arg)
{
	DatabaseSlot *db;

	if (!OidIsValid(announced) ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(announced);
	if (db != NULL)
	{
		if (event == XACT_EVENT_ABORT)
		{
			db->adopt = announced_adopt;
			if (db->state == DATABASE_PENDING)
				db->state = DATABASE_GONE;
		}
		else
		{
			db->state = DATABASE_PRESENT;
			db->stopped = false;
			db->announcements++;
			db->kicks++;
			for (int i = 0; i < WORKER_MAX_LANES; i++)
			{
				db->lane[i].not_before = 0;
				db->lane[i].failures = 0;
			}
			WakeLanes(db);
		}
	}
	LWLockRelease(worker_shared->lock);
	announced = InvalidOid;
	WakeLauncher();
}

void
ControlInit(void)
{
	RegisterXactCallback(AnnounceXactCallback, NULL);
}

static void
WarnNoSlot(int elevel)
{
	ereport(elevel,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker for database \"%s\": %d databases have theirs already",
					get_database_name(MyDatabaseId), WORKER_MAX_DATABASES),
			 errhint("Call revops.process() from pg_cron in this database.")));
}

/*
 * revops.announce(): CREATE EXTENSION's last step. The slot is taken at once, so that no probe that sees the extension first can
 * decide to adopt: what comes next may be a restore's data.
 */
PG_FUNCTION_INFO_V1(revops_announce);
Datum
revops_announce(PG_FUNCTION_ARGS)
{
	DatabaseSlot *db;

	if (worker_shared == NULL || !IsUnderPostmaster)
		PG_RETURN_VOID();
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(MyDatabaseId);
	if (db == NULL)
	{
		db = DatabaseClaim(MyDatabaseId);
		if (db != NULL)
			db->state = DATABASE_PENDING;
	}
	else if (db->state == DATABASE_GONE)
		db->state = DATABASE_PENDING;
	if (db != NULL)
	{
		if (announced != MyDatabaseId)
			announced_adopt = db->adopt;
		announced = MyDatabaseId;
		db->adopt = false;
	}
	LWLockRelease(worker_shared->lock);
	if (db == NULL)
		WarnNoSlot(WARNING);
	PG_RETURN_VOID();
}

static void
RequirePreload(void)
{
	if (worker_shared == NULL || !IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_revops has no background workers on this server"),
				 errdetail("The library is not in shared_preload_libraries."),
				 errhint("Add pg_revops to shared_preload_libraries and restart the server, or call revops.process() instead, by hand or from pg_cron.")));
}

/* revops.start_worker() -> boolean: whether the worker of lane 0 runs now */
PG_FUNCTION_INFO_V1(revops_start_worker);
Datum
revops_start_worker(PG_FUNCTION_ARGS)
{
	TimestampTz deadline = GetCurrentTimestamp() + START_TIMEOUT * USECS_PER_SEC;
	DatabaseSlot *db;
	bool		pending = false;
	bool		unwanted = false;
	bool		running = false;

	RequirePreload();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("background workers of pg_revops do not run on a standby"),
				 errhint("They start by themselves when it is promoted.")));
	if (!worker_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("background workers of pg_revops are switched off"),
				 errhint("Set revops.worker = on in postgresql.conf and reload.")));

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseClaim(MyDatabaseId);
	if (db != NULL)
	{
		pending = db->state == DATABASE_PENDING;
		unwanted = db->unwanted;
		if (!pending)
			db->state = DATABASE_PRESENT;
		db->stopped = false;
		db->adopt = true;
		db->kicks++;
		for (int i = 0; i < WORKER_MAX_LANES; i++)
		{
			db->lane[i].not_before = 0;
			db->lane[i].failures = 0;
		}
		WakeLanes(db);
	}
	LWLockRelease(worker_shared->lock);
	if (db == NULL)
		WarnNoSlot(ERROR);
	if (unwanted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" gets no background worker of pg_revops", get_database_name(MyDatabaseId)),
				 errdetail("It is a template, or does not allow connections."),
				 errhint("ALTER DATABASE ... IS_TEMPLATE false ALLOW_CONNECTIONS true, then call revops.start_worker() again.")));
	WakeLauncher();
	if (pending)
	{
		ereport(NOTICE, (errmsg("the worker starts when this transaction commits")));
		PG_RETURN_BOOL(false);
	}

	ConditionVariablePrepareToSleep(&worker_shared->changed);
	for (;;)
	{
		LWLockAcquire(worker_shared->lock, LW_SHARED);
		db = DatabaseFind(MyDatabaseId);
		running = db != NULL && db->lane[0].state == LANE_RUNNING;
		LWLockRelease(worker_shared->lock);
		if (running || GetCurrentTimestamp() >= deadline)
			break;
		(void) ConditionVariableTimedSleep(&worker_shared->changed, 100, WorkerWaitEvent(WAIT_START));
	}
	ConditionVariableCancelSleep();
	if (!running)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker of database \"%s\" has not started within %d seconds",
						get_database_name(MyDatabaseId), START_TIMEOUT),
				 errhint("The server's log tells why; perhaps max_worker_processes is too low. pg_revops keeps trying.")));
	PG_RETURN_BOOL(running);
}

/* revops.stop_worker() -> boolean: whether any worker was running; returns when none is */
PG_FUNCTION_INFO_V1(revops_stop_worker);
Datum
revops_stop_worker(PG_FUNCTION_ARGS)
{
	DatabaseSlot *db;
	bool		ran = false;

	RequirePreload();
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseClaim(MyDatabaseId);
	if (db != NULL)
	{
		db->stopped = true;
		for (int i = 0; i < WORKER_MAX_LANES; i++)
			ran |= db->lane[i].state != LANE_NONE;
		WakeLanes(db);
	}
	LWLockRelease(worker_shared->lock);
	if (db == NULL)
		WarnNoSlot(ERROR);
	WakeLauncher();
	if (!WaitForNoWorker(MyDatabaseId, STOP_PATIENCE, STOP_TIMEOUT))
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker of database \"%s\" has not stopped within %d seconds",
						get_database_name(MyDatabaseId), STOP_TIMEOUT),
				 errhint("It stops as soon as it can; pg_stat_activity shows what it waits for.")));
	PG_RETURN_BOOL(ran);
}

static const char *
LaneStateName(const DatabaseSlot *db, const LaneSlot *lane, LaneActivity activity)
{
	static const char *const activities[] = {"waiting", "working", "paused", "busy", "failing"};

	if (lane->state == LANE_RUNNING)
		return activities[activity];
	if (db->stopped)
		return "stopped";
	if (!worker_enabled || db->unwanted)
		return "off";
	if (db->held > 0)
		return "held";
	return lane->failures > 0 ? "failing" : "starting";
}

/* revops.worker_stats(): the lanes of this database; no row where pg_revops is not preloaded or the database has no worker yet */
PG_FUNCTION_INFO_V1(revops_worker_stats);
Datum
revops_worker_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();
	DatabaseSlot *db;
	DatabaseSlot *copy = NULL;

	InitMaterializedSRF(fcinfo, 0);
	if (worker_shared == NULL)
		return (Datum) 0;
	copy = palloc(sizeof(DatabaseSlot));
	LWLockAcquire(worker_shared->lock, LW_SHARED);
	db = DatabaseFind(MyDatabaseId);
	if (db != NULL)
		memcpy(copy, db, sizeof(DatabaseSlot));
	LWLockRelease(worker_shared->lock);
	for (int i = 0; db != NULL && i < copy->lanes && i < WORKER_MAX_LANES; i++)
	{
		LaneSlot   *lane = &copy->lane[i];
		LaneStats	stats;
		Datum		values[10] = {0};
		bool		nulls[10] = {0};
		int			n = 0;

		SpinLockAcquire(&db->lane[i].mutex);
		memcpy(&stats, &db->lane[i].stats, sizeof(LaneStats));
		SpinLockRelease(&db->lane[i].mutex);

		values[n++] = Int32GetDatum(i);
		nulls[n] = lane->pid == 0;
		values[n++] = Int32GetDatum(lane->pid);
		values[n++] = CStringGetTextDatum(LaneStateName(copy, lane, stats.activity));
		values[n++] = Int64GetDatum(stats.events);
		values[n++] = Float8GetDatum(stats.rate * exp(-Max(now - stats.last_pass_at, 0) / (RATE_SECONDS * USECS_PER_SEC)));
		nulls[n] = stats.last_pass_at == 0;
		values[n++] = TimestampTzGetDatum(stats.last_pass_at);
		if (stats.events > 0)
		{
			Interval   *interval = palloc0(sizeof(Interval));

			interval->time = stats.pass_time;
			values[n++] = IntervalPGetDatum(interval);
		}
		else
			nulls[n++] = true;
		values[n++] = Int64GetDatum(stats.memory);
		nulls[n] = stats.last_error[0] == '\0';
		values[n++] = CStringGetTextDatum(stats.last_error);
		nulls[n] = stats.last_error[0] == '\0';
		values[n++] = TimestampTzGetDatum(stats.last_error_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
