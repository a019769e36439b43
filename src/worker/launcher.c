/*
 * launcher.c
 *	  One background worker for the server, that starts all the others.
 *
 * It keeps two kinds of knowledge. In shared memory, the databases that have pg_revops: that outlives the launcher. In its own
 * memory, the databases that it looked into and found without, and the handles of workers that have not attached yet: lost when
 * it ends, and found out again.
 */
#include "worker/shmem.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define LAUNCHER_RESTART		5	/* seconds */
#define ATTACH_TIMEOUT			10	/* seconds: for workers that a launcher before this one registered */
#define LONGEST_BACKOFF			(300 * USECS_PER_SEC)
#define SHORTAGE_OVER			(180 * USECS_PER_SEC)	/* without a worker being refused: the next time is worth saying again */
#define PROBE_PATIENCE			10	/* refused probes before that is worth saying: others end in a moment */
#define INVALID_DATABASE		(-2)	/* datconnlimit after an interrupted DROP DATABASE */

/* A database of the last scan. */
typedef struct ScannedDatabase
{
	Oid			dboid;
	NameData	name;
	bool		usable;			/* not a template, and may be connected to */
} ScannedDatabase;

/* A database that has no slot: one that we looked into, look into now, or could not look into. */
typedef struct SeenDatabase
{
	Oid			dboid;			/* hash key */
	bool		without;
	bool		probing;
	bool		in_scan;
	int			failures;		/* probes that ended without an answer, in a row */
	int			refused;		/* probes that got no background worker, in a row */
	TimestampTz next_probe;
} SeenDatabase;

PGDLLEXPORT void LauncherMain(Datum arg);

static HTAB *seen_databases;
static BackgroundWorkerHandle *lane_handles[WORKER_MAX_DATABASES][WORKER_MAX_LANES];
static BackgroundWorkerHandle *probe_handles[WORKER_MAX_PROBES];
static TimestampTz refused_at = 0;
static bool warned_no_slot = false;

/* The one door to background workers: the launcher (start NULL; registered statically) and what it starts. */
static bool
RegisterWorker(const WorkerStart *start, const char *dbname, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker.bgw_library_name, REVOPS_EXTENSION, sizeof(worker.bgw_library_name));
	if (start == NULL)
	{
		worker.bgw_restart_time = LAUNCHER_RESTART;
		strlcpy(worker.bgw_function_name, "LauncherMain", sizeof(worker.bgw_function_name));
		strlcpy(worker.bgw_name, "pg_revops launcher", BGW_MAXLEN);
		strlcpy(worker.bgw_type, "pg_revops launcher", BGW_MAXLEN);
		RegisterBackgroundWorker(&worker);
		return true;
	}
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(start->lane);
	strlcpy(worker.bgw_function_name, "LaneWorkerMain", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "pg_revops lane %d of database \"%s\"", start->lane, dbname);
	strlcpy(worker.bgw_type, "pg_revops worker", BGW_MAXLEN);
	StaticAssertStmt(sizeof(WorkerStart) <= BGW_EXTRALEN, "WorkerStart does not fit into bgw_extra");
	memcpy(worker.bgw_extra, start, sizeof(WorkerStart));
	if (RegisterDynamicBackgroundWorker(&worker, handle))
		return true;
	*handle = NULL;
	return false;
}

/* max_worker_processes is too low: said once for as long as it is. */
static void
WarnRefused(const char *dbname)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= refused_at + SHORTAGE_OVER)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free for pg_revops in database \"%s\"", dbname),
				 errdetail("Its events wait, and so do its cards' escalations. pg_revops tries again every %d ms.", worker_naptime),
				 errhint("Raise max_worker_processes and restart the server, or call revops.process().")));
	refused_at = now;
}

void
LauncherRegister(void)
{
	RegisterWorker(NULL, NULL, NULL);
}

static void
LauncherDetach(int code, Datum arg)
{
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	if (worker_shared->launcher_pid == MyProcPid)
	{
		worker_shared->launcher_latch = NULL;
		worker_shared->launcher_pid = 0;
	}
	LWLockRelease(worker_shared->lock);
}

/* All databases, in the current memory context. */
static List *
ScanDatabases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tup;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tup = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tup);
		MemoryContext old = MemoryContextSwitchTo(context);
		ScannedDatabase *db = palloc0(sizeof(ScannedDatabase));

		db->dboid = form->oid;
		db->name = form->datname;
		db->usable = form->datallowconn && !form->datistemplate && form->datconnlimit != INVALID_DATABASE;
		result = lappend(result, db);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

static ScannedDatabase *
Scanned(List *scan, Oid dboid)
{
	ListCell   *lc;

	foreach(lc, scan)
	{
		if (((ScannedDatabase *) lfirst(lc))->dboid == dboid)
			return lfirst(lc);
	}
	return NULL;
}

static bool
HandleStopped(BackgroundWorkerHandle *handle)
{
	pid_t		pid;

	return GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
}

/* Lanes whose worker ended before it attached. */
static void
ReapLanes(TimestampTz now)
{
	bool		changed = false;

	for (int i = 0; i < WORKER_MAX_DATABASES; i++)
	{
		DatabaseSlot *db = &worker_shared->database[i];

		for (int j = 0; OidIsValid(db->dboid) && j < WORKER_MAX_LANES; j++)
		{
			LaneSlot   *lane = &db->lane[j];
			BackgroundWorkerHandle *handle = lane_handles[i][j];
			bool		stopped;

			if (lane->state != LANE_STARTING)
			{
				if (handle != NULL)
					pfree(handle);
				lane_handles[i][j] = NULL;
				continue;
			}
			stopped = handle != NULL ? HandleStopped(handle) : now >= lane->since + ATTACH_TIMEOUT * USECS_PER_SEC;
			if (!stopped)
				continue;
			LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
			if (lane->state == LANE_STARTING)
			{
				lane->state = LANE_NONE;
				/* one that was turned away because the database is held or stopped has not failed */
				if (DatabaseWanted(db, db->dboid))
					lane->not_before = now + WorkerBackoff(++lane->failures, LONGEST_BACKOFF);
				changed = true;
			}
			LWLockRelease(worker_shared->lock);
		}
	}
	if (changed)
		ConditionVariableBroadcast(&worker_shared->changed);
}

/* What the probes have found out. */
static void
ReapProbes(TimestampTz now)
{
	for (int i = 0; i < WORKER_MAX_PROBES; i++)
	{
		Probe	   *probe = &worker_shared->probe[i];
		SeenDatabase *seen;
		ProbeResult result;
		bool		stopped;

		if (probe_handles[i] == NULL)
			continue;
		stopped = HandleStopped(probe_handles[i]);
		LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
		result = probe->result;
		if (result == PROBE_RUNNING && !stopped)
		{
			LWLockRelease(worker_shared->lock);
			continue;
		}
		seen = hash_search(seen_databases, &probe->dboid, HASH_FIND, NULL);
		probe->dboid = InvalidOid;
		probe->pid = 0;
		LWLockRelease(worker_shared->lock);
		pfree(probe_handles[i]);
		probe_handles[i] = NULL;
		if (seen == NULL)
			continue;
		seen->probing = false;
		seen->without = result == PROBE_WITHOUT;
		if (result == PROBE_RUNNING)
			seen->next_probe = now + WorkerBackoff(++seen->failures, LONGEST_BACKOFF);
	}
}

/*
 * Compare the slots, as they were before the scan, with the databases of the scan: free those of dropped databases and of those
 * that lost the extension, and mark those that should have no worker.
 */
static void
SyncSlots(List *scan, const Oid *before)
{
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < WORKER_MAX_DATABASES; i++)
	{
		DatabaseSlot *db = &worker_shared->database[i];
		ScannedDatabase *scanned;
		bool		busy = false;

		if (!OidIsValid(db->dboid) || db->dboid != before[i])
			continue;
		scanned = Scanned(scan, db->dboid);
		for (int j = 0; j < WORKER_MAX_LANES; j++)
			busy |= db->lane[j].state != LANE_NONE;
		if (scanned != NULL && db->unwanted != !scanned->usable)
		{
			db->unwanted = !scanned->usable;
			WakeLanes(db);
		}
		if (busy || db->held > 0)
			continue;
		if (scanned == NULL)
			DatabaseFree(db);
		else if (db->state == DATABASE_GONE)
		{
			SeenDatabase *seen = hash_search(seen_databases, &db->dboid, HASH_ENTER, NULL);

			seen->without = seen->in_scan = true;
			seen->probing = false;
			seen->failures = seen->refused = 0;
			seen->next_probe = 0;
			DatabaseFree(db);
		}
	}
	LWLockRelease(worker_shared->lock);
}

/* Look into the databases that we know nothing of. */
static void
StartProbes(List *scan, TimestampTz now)
{
	HASH_SEQ_STATUS status;
	SeenDatabase *seen;
	ListCell   *lc;

	hash_seq_init(&status, seen_databases);
	while ((seen = hash_seq_search(&status)) != NULL)
		seen->in_scan = false;
	foreach(lc, scan)
	{
		ScannedDatabase *db = lfirst(lc);
		WorkerStart start = {db->dboid, 0, -1};
		bool		found;
		bool		has_slot;

		LWLockAcquire(worker_shared->lock, LW_SHARED);
		has_slot = DatabaseFind(db->dboid) != NULL;
		LWLockRelease(worker_shared->lock);
		if (has_slot || !db->usable)
			continue;
		seen = hash_search(seen_databases, &db->dboid, HASH_ENTER, &found);
		if (!found)
		{
			seen->without = seen->probing = false;
			seen->failures = seen->refused = 0;
			seen->next_probe = 0;
		}
		seen->in_scan = true;
		if (!worker_enabled || seen->without || seen->probing || now < seen->next_probe)
			continue;
		for (int i = 0; i < WORKER_MAX_PROBES && start.probe < 0; i++)
			if (probe_handles[i] == NULL)
				start.probe = i;
		if (start.probe < 0)
			continue;
		LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
		worker_shared->probe[start.probe].dboid = db->dboid;
		worker_shared->probe[start.probe].pid = 0;
		worker_shared->probe[start.probe].result = PROBE_RUNNING;
		LWLockRelease(worker_shared->lock);
		if (!RegisterWorker(&start, NameStr(db->name), &probe_handles[start.probe]))
		{
			if (++seen->refused >= PROBE_PATIENCE)
				WarnRefused(NameStr(db->name));
			LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
			worker_shared->probe[start.probe].dboid = InvalidOid;
			LWLockRelease(worker_shared->lock);
			seen->next_probe = now + worker_naptime * INT64CONST(1000);
			continue;
		}
		seen->refused = 0;
		seen->probing = true;
	}
	/* dropped meanwhile, or they have a slot now */
	hash_seq_init(&status, seen_databases);
	while ((seen = hash_seq_search(&status)) != NULL)
		if (!seen->in_scan && !seen->probing)
			hash_search(seen_databases, &seen->dboid, HASH_REMOVE, NULL);
}

/* Start the workers that should run and do not. Returns when to look again at the latest. */
static TimestampTz
StartLanes(List *scan, TimestampTz now)
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < WORKER_MAX_DATABASES; i++)
	{
		DatabaseSlot *db = &worker_shared->database[i];
		ScannedDatabase *scanned = OidIsValid(db->dboid) ? Scanned(scan, db->dboid) : NULL;

		if (scanned == NULL || !scanned->usable)
			continue;
		for (int j = 0; j < Min(db->lanes, WORKER_MAX_LANES); j++)
		{
			LaneSlot   *lane = &db->lane[j];
			WorkerStart start = {scanned->dboid, j, -1};
			bool		wanted;

			LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
			wanted = DatabaseWanted(db, start.dboid) && lane->state == LANE_NONE;
			if (wanted && now < lane->not_before)
			{
				next = Min(next, lane->not_before);
				wanted = false;
			}
			if (wanted)
			{
				lane->state = LANE_STARTING;
				lane->since = now;
			}
			LWLockRelease(worker_shared->lock);
			if (!wanted)
				continue;
			if (lane_handles[i][j] != NULL)
				pfree(lane_handles[i][j]);
			lane_handles[i][j] = NULL;
			if (!RegisterWorker(&start, NameStr(scanned->name), &lane_handles[i][j]))
			{
				WarnRefused(NameStr(scanned->name));
				LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
				lane->state = LANE_NONE;
				lane->not_before = now + worker_naptime * INT64CONST(1000);
				LWLockRelease(worker_shared->lock);
				ConditionVariableBroadcast(&worker_shared->changed);
			}
		}
	}
	return next;
}

/* More databases with the extension than slots: said once. */
static void
WarnIfFull(void)
{
	bool		full;

	LWLockAcquire(worker_shared->lock, LW_SHARED);
	full = DatabaseFind(InvalidOid) == NULL;
	LWLockRelease(worker_shared->lock);
	if (full && !warned_no_slot)
		ereport(LOG,
				(errmsg("pg_revops runs workers in %d databases, and in no more", WORKER_MAX_DATABASES),
				 errhint("In further databases, call revops.process() from pg_cron.")));
	warned_no_slot = full;
}

void
LauncherMain(Datum arg)
{
	HASHCTL		ctl = {0};
	MemoryContext loop_context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("pg_revops launcher");

	before_shmem_exit(LauncherDetach, 0);
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	worker_shared->launcher_latch = MyLatch;
	worker_shared->launcher_pid = MyProcPid;
	for (int i = 0; i < WORKER_MAX_PROBES; i++)
		worker_shared->probe[i].dboid = InvalidOid;
	LWLockRelease(worker_shared->lock);

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SeenDatabase);
	ctl.hcxt = TopMemoryContext;
	seen_databases = hash_create("pg_revops databases", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	loop_context = AllocSetContextCreate(TopMemoryContext, "pg_revops launcher", ALLOCSET_DEFAULT_SIZES);

	while (!ShutdownRequestPending)
	{
		TimestampTz now;
		TimestampTz next;
		Oid			before[WORKER_MAX_DATABASES];
		List	   *scan;
		long		timeout;

		QueryCancelPending = false; /* nothing runs that it could be for */
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}

		MemoryContextSwitchTo(loop_context);
		for (int i = 0; i < WORKER_MAX_DATABASES; i++)
			before[i] = worker_shared->database[i].dboid;
		scan = ScanDatabases();
		/* handles outlive this round */
		MemoryContextSwitchTo(TopMemoryContext);
		now = GetCurrentTimestamp();
		ReapLanes(now);
		ReapProbes(now);
		SyncSlots(scan, before);
		StartProbes(scan, now);
		next = StartLanes(scan, now);
		WarnIfFull();
		MemoryContextReset(loop_context);

		timeout = worker_naptime;
		if (next != DT_NOEND)
			timeout = Min(timeout, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1);
		pgstat_report_activity(STATE_IDLE, "watching for databases with pg_revops");
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, WorkerWaitEvent(WAIT_LAUNCH));
		ResetLatch(MyLatch);
	}
	/* not 0: the postmaster would take that for the end of its duty */
	proc_exit(1);
}
