/*
 * lane_worker.c
 *	  The background worker of one lane of one database: wait, one pass in one transaction, and again.
 *
 * A worker may be told to end at any time. Between passes it ends quietly; within one it drops the pass, which loses nothing:
 * cursor and results commit together. It holds AccessShareLock on the extension during a pass, so that DROP EXTENSION waits for
 * the pass before it locks the first table, and neither deadlocks nor has to be retried.
 */
#include "worker/shmem.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "stream/stream.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define LONGEST_PASS_BACKOFF	(30 * USECS_PER_SEC)
#define LONGEST_START_BACKOFF	(300 * USECS_PER_SEC)
#define BUSY_NAPTIME			100 /* ms: revops.process() has the lane */
#define RATE_SECONDS			10.0	/* the rate's time constant, as in control.c */

typedef enum PassOutcome
{
	PASS_DONE,
	PASS_MORE,
	PASS_BUSY,
	PASS_PAUSED,
	PASS_FAILED,
	PASS_GONE					/* no extension, or no such lane any more */
} PassOutcome;

PGDLLEXPORT void LaneWorkerMain(Datum arg);

static WorkerStart my_start;
static DatabaseSlot *my_database = NULL;
static LaneSlot *my_lane = NULL;	/* NULL: not attached */
static int	my_lanes = 1;
static char *my_database_name;

static volatile sig_atomic_t end_requested = false;
static volatile sig_atomic_t may_die = true;	/* not waiting for work */

static bool failure_logged = false; /* since the last pass that succeeded */
static int64 my_idle = -1;		/* milliseconds from the last pass until something is due; -1: nothing is */

/* SIGTERM: end quietly from the wait for work; drop whatever else is being done. */
static void
LaneTerminate(SIGNAL_ARGS)
{
	int			save_errno = errno;

	end_requested = true;
	if (may_die)
		die(postgres_signal_arg);
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
SetActivity(LaneActivity activity)
{
	SpinLockAcquire(&my_lane->mutex);
	my_lane->stats.activity = activity;
	SpinLockRelease(&my_lane->mutex);
}

/* Give the lane back. Runs after this process has left the database, and before it gives up its latch. */
static void
LaneDetach(int code, Datum arg)
{
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	if (my_start.probe >= 0 && worker_shared->probe[my_start.probe].pid == MyProcPid)
		worker_shared->probe[my_start.probe].pid = 0;
	if (my_lane != NULL && my_lane->pid == MyProcPid)
	{
		pg_atomic_write_u32(&my_lane->awake, 1);
		my_lane->state = LANE_NONE;
		my_lane->pid = 0;
		my_lane->latch = NULL;
		if (code != 0 && !end_requested)
			my_lane->not_before = GetCurrentTimestamp() + WorkerBackoff(++my_lane->failures, LONGEST_START_BACKOFF);
		else
			my_lane->not_before = GetCurrentTimestamp() + worker_naptime * INT64CONST(1000);
	}
	LWLockRelease(worker_shared->lock);
	my_lane = NULL;
	ConditionVariableBroadcast(&worker_shared->changed);
	WakeLauncher();
}

/* Take the lane; false if its workers should not run (any more), or another process has it. */
static bool
LaneAttach(void)
{
	DatabaseSlot *db;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(my_start.dboid);
	if (db != NULL && DatabaseWanted(db, my_start.dboid) && db->lane[my_start.lane].state != LANE_RUNNING)
	{
		my_database = db;
		my_lane = &db->lane[my_start.lane];
		my_lane->state = LANE_RUNNING;
		my_lane->pid = MyProcPid;
		my_lane->latch = MyLatch;
	}
	else if (db != NULL && my_start.probe < 0 && db->lane[my_start.lane].state == LANE_STARTING)
		db->lane[my_start.lane].state = LANE_NONE;
	LWLockRelease(worker_shared->lock);
	if (my_lane == NULL)
		return false;
	SetActivity(LANE_WAITING);
	ConditionVariableBroadcast(&worker_shared->changed);
	return true;
}

/* Announce that we are about to enter a database that nobody knows yet; false if nobody waits for the answer. */
static bool
ProbeEnter(void)
{
	Probe	   *probe = &worker_shared->probe[my_start.probe];
	DatabaseSlot *db;
	bool		asked;

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(my_start.dboid);
	asked = probe->dboid == my_start.dboid && probe->pid == 0 && (db == NULL || db->held == 0);
	if (asked)
		probe->pid = MyProcPid;
	LWLockRelease(worker_shared->lock);
	return asked;
}

/* Look whether the extension is here, and tell. Takes the database's slot if it is. */
static bool
ProbeDatabase(void)
{
	Probe	   *probe = &worker_shared->probe[my_start.probe];
	DatabaseSlot *db = NULL;
	bool		present;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	present = ExtensionPresent();
	CommitTransactionCommand();

	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	if (present)
	{
		db = DatabaseFind(my_start.dboid);
		if (db == NULL)
		{
			/* it was here before us: not an extension that was made a moment ago, to be filled by a restore */
			db = DatabaseClaim(my_start.dboid);
			if (db != NULL)
				db->adopt = true;
		}
	}
	if (probe->pid == MyProcPid)
		probe->result = present && db != NULL ? PROBE_PRESENT : PROBE_WITHOUT;
	LWLockRelease(worker_shared->lock);
	if (present && db == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker of pg_revops for one more database: %d have theirs already", WORKER_MAX_DATABASES),
				 errhint("Call revops.process() from pg_cron in that database.")));
	return present && db != NULL;
}

/* Settings of this process, whatever the database's are. */
static void
ApplySettings(void)
{
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", worker_synchronous_commit ? "on" : "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#if PG_VERSION_NUM >= 170000	/* 17 ends whole transactions, whoever's they are */
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#endif
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("session_replication_role", "origin", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
PassErrorContext(void *arg)
{
	errcontext("lane %d of pg_revops in database \"%s\"", my_start.lane, my_database_name);
}

/* Keep the error where revops.stream_status shows it, and log it unless one like it was logged a moment ago. */
static void
PassFailed(MemoryContext context)
{
	TimestampTz now = GetCurrentTimestamp();
	ErrorData  *edata;
	char		message[WORKER_ERROR_SIZE];
	int64		unlogged;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	strlcpy(message, edata->message ? edata->message : "", sizeof(message));
	if (LogDue("pass", edata, &unlogged))
	{
		if (unlogged > 0)
			errcontext("it came " INT64_FORMAT " times more since it was last logged", unlogged);
		EmitErrorReport();
		failure_logged = true;
	}
	FlushErrorState();
	FreeErrorData(edata);
	AbortCurrentTransaction();

	SpinLockAcquire(&my_lane->mutex);
	memcpy(my_lane->stats.last_error, message, sizeof(message));
	my_lane->stats.last_error_at = now;
	SpinLockRelease(&my_lane->mutex);
}

static void
RecordPass(const PassResult *result, TimestampTz began)
{
	TimestampTz now = GetCurrentTimestamp();
	LaneStats  *stats = &my_lane->stats;
	double		seconds;
	double		keep;

	SpinLockAcquire(&my_lane->mutex);
	seconds = Max(now - (stats->last_pass_at ? stats->last_pass_at : began), 1) / (double) USECS_PER_SEC;
	keep = exp(-seconds / RATE_SECONDS);
	stats->rate = stats->rate * keep + result->events / seconds * (1 - keep);
	stats->events += result->events;
	stats->last_pass_at = now;
	stats->memory = Max(stats->memory, (int64) result->memory);
	if (result->events > 0)
		stats->pass_time = now - began;
	SpinLockRelease(&my_lane->mutex);
}

/* Lane 0 tells the launcher, and wakers, how many lanes there are. */
static void
TellLanes(void)
{
	static bool warned = false;
	int			lanes = my_lanes;

	if (lanes > WORKER_MAX_LANES)
	{
		if (!warned)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("the stream has %d lanes, but only %d get a background worker", lanes, WORKER_MAX_LANES),
					 errhint("Use fewer lanes, or call revops.process() for the others.")));
		warned = true;
		lanes = WORKER_MAX_LANES;
	}
	if (my_start.lane != 0 || my_database->lanes == lanes)
		return;
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	my_database->lanes = lanes;
	LWLockRelease(worker_shared->lock);
	WakeLauncher();
}

/* Share the extension with DROP EXTENSION: PASS_DONE if we hold it now. Needs a transaction. */
static PassOutcome
LockExtension(void)
{
	Oid			extension = get_extension_oid(REVOPS_EXTENSION, true);
	LOCKTAG		tag;

	if (!OidIsValid(extension))
		return PASS_GONE;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return PASS_BUSY;
	AcceptInvalidationMessages();
	return get_extension_oid(REVOPS_EXTENSION, true) == extension ? PASS_DONE : PASS_BUSY;
}

/* One pass in one transaction. */
static PassOutcome
RunPass(MemoryContext context)
{
	volatile PassOutcome outcome = PASS_DONE;
	PassResult	result = {.idle = -1};
	ErrorContextCallback callback;
	TimestampTz began = GetCurrentTimestamp();
	uint32		announcements = my_database->announcements;

	/* whoever commits from here on wakes us: pairs with WorkerWake() */
	pg_atomic_write_u32(&my_lane->awake, 0);
	pg_memory_barrier();

	callback.callback = PassErrorContext;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		outcome = LockExtension();
		if (outcome == PASS_DONE)
		{
			my_lanes = StreamLanes();
			if (my_start.lane >= my_lanes)
				outcome = PASS_GONE;
			else
			{
				result = StreamPass(my_start.lane, 0, my_database->adopt, true);
				/* the first pass may have made the lanes */
				my_lanes = StreamLanes();
				outcome = result.paused ? PASS_PAUSED : result.busy ? PASS_BUSY : result.more ? PASS_MORE : PASS_DONE;
			}
		}
		else if (outcome == PASS_GONE)
			my_lanes = 0;
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		PassFailed(context);
		outcome = PASS_FAILED;
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(context);

	if (outcome == PASS_GONE && my_lanes == 0)
	{
		/* unless CREATE EXTENSION has announced it again meanwhile */
		LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
		if (my_database->announcements == announcements)
			my_database->state = DATABASE_GONE;
		LWLockRelease(worker_shared->lock);
	}
	else if (outcome != PASS_FAILED)
		TellLanes();
	if (outcome == PASS_DONE || outcome == PASS_MORE)
	{
		RecordPass(&result, began);
		my_lane->failures = 0;
	}
	my_idle = result.idle;
	return outcome;
}

/* Report to pg_stat_activity what this worker is doing. */
static void
ReportActivity(BackendState state, const char *what)
{
	char		text[NAMEDATALEN + 64];

	snprintf(text, sizeof(text), "pg_revops lane %d of %d: %s", my_start.lane, Max(my_lanes, 1), what);
	pgstat_report_activity(state, text);
}

/* The same, from within a pass. */
static void
ReportPass(const char *what, int64 n)
{
	char		text[NAMEDATALEN];

	snprintf(text, sizeof(text), "%s (" INT64_FORMAT ")", what, n);
	ReportActivity(STATE_RUNNING, text);
}

static void
LaneLoop(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_revops lane", ALLOCSET_DEFAULT_SIZES);
	TimestampTz not_before = 0;
	uint32		kicks = my_database->kicks;
	int			failures = 0,
				stuck = 0;		/* passes in a row after which something was due already */
	bool		told_paused = false;

	while (!end_requested && DatabaseWanted(my_database, my_start.dboid))
	{
		TimestampTz now = GetCurrentTimestamp();
		long		timeout = worker_naptime;

		my_idle = -1;
		may_die = true;
		/* the clock was set back */
		if (not_before > now + Max(worker_naptime * INT64CONST(1000), LONGEST_PASS_BACKOFF))
			not_before = 0;
		if (kicks != my_database->kicks)
		{
			kicks = my_database->kicks;
			not_before = 0;
		}
		if (now >= not_before)
		{
			PassOutcome outcome;

			ReportActivity(STATE_RUNNING, "looking for events");
			SetActivity(LANE_WORKING);
			MemoryContextReset(context);
			outcome = RunPass(context);
			now = GetCurrentTimestamp();
			not_before = 0;
			if ((outcome == PASS_DONE || outcome == PASS_MORE) && failure_logged)
			{
				ereport(LOG, (errmsg("lane %d of pg_revops in database \"%s\" works again", my_start.lane, my_database_name)));
				failure_logged = false;
			}
			if (outcome != PASS_FAILED)
				failures = 0;
			if (outcome != PASS_PAUSED && outcome != PASS_BUSY)
				told_paused = false;
			switch (outcome)
			{
				case PASS_GONE:
					return;
				case PASS_DONE:
				case PASS_MORE:
					SetActivity(LANE_WAITING);
					ReportActivity(STATE_IDLE, "waiting for events");
					break;
				case PASS_BUSY:
					SetActivity(LANE_BUSY);
					ReportActivity(STATE_IDLE, "waiting for another session that has the lane");
					not_before = now + BUSY_NAPTIME * INT64CONST(1000);
					break;
				case PASS_PAUSED:
					SetActivity(LANE_PAUSED);
					ReportActivity(STATE_IDLE, "paused after a restore");
					not_before = now + worker_naptime * INT64CONST(1000);
					if (!told_paused)
						ereport(LOG,
								(errmsg("lane %d of pg_revops in database \"%s\" is paused: its data comes from another cluster or database",
										my_start.lane, my_database_name),
								 errhint("SELECT revops.start_worker() after the restore.")));
					told_paused = true;
					break;
				case PASS_FAILED:
					SetActivity(LANE_FAILING);
					ReportActivity(STATE_IDLE, "waiting after an error");
					not_before = now + WorkerBackoff(++failures, LONGEST_PASS_BACKOFF);
					break;
			}
			pgstat_report_stat(false);
			if (outcome == PASS_MORE)
				timeout = 0;
		}

		/*
		 * a due time is looked for by the clock of the pass: not in a row without a pause, and what cannot be done yet (a client has the
		 * card locked) is come back to ever later
		 */
		stuck = my_idle == 0 ? Min(stuck + 1, 20) : 0;
		if (timeout > 0 && my_idle >= 0)
			timeout = Min(timeout, Max(my_idle, 1L << (stuck > 0 ? stuck - 1 : 0)));
		if (not_before != 0)
			timeout = Max((not_before - now + 999) / 1000, 1);
		may_die = false;
		if (end_requested)
			return;
		if (timeout > 0)
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, WorkerWaitEvent(WAIT_WORK));
		ResetLatch(MyLatch);
		QueryCancelPending = false; /* nothing runs that it could be for */
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			ApplySettings();
		}
	}
}

void
LaneWorkerMain(Datum arg)
{
	memcpy(&my_start, MyBgworkerEntry->bgw_extra, sizeof(WorkerStart));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, LaneTerminate);
	/* before the connection, so that it runs after this process has left the database */
	on_shmem_exit(LaneDetach, 0);
	BackgroundWorkerUnblockSignals();

	if (my_start.probe >= 0 ? !ProbeEnter() : !LaneAttach())
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(my_start.dboid, InvalidOid, 0);
	if (my_start.probe >= 0 && (!ProbeDatabase() || !LaneAttach()))
		proc_exit(0);

	ApplySettings();
	stream_report = ReportPass;
	pgstat_report_appname("pg_revops");
	StartTransactionCommand();
	my_database_name = MemoryContextStrdup(TopMemoryContext, get_database_name(MyDatabaseId));
	CommitTransactionCommand();

	LaneLoop();
	proc_exit(0);
}
