/*
 * worker.c
 *	  Init of the room: settings, shared memory, the launcher.
 *
 * Who does what
 *	  launcher		one for the server, connected to no database. It scans pg_database every revops.naptime; into each database
 *					that it does not know it sends a probe, a worker that looks whether the extension is there. It starts lane
 *					workers, and starts them again when they end: the postmaster never does.
 *	  lane worker	one for each lane of each database that has pg_revops. A probe that finds the extension becomes lane 0, which
 *					tells the launcher how many lanes there are. It runs one pass of the stream in one transaction, again and
 *					again, woken by the commit of whoever wrote events.
 *	  sessions		CREATE EXTENSION announces its database (control.c); DROP DATABASE and its like hold the workers off (hold.c).
 *
 * A slot in shared memory (shmem.c) is a database known to have pg_revops. Whether its workers should run is one predicate,
 * DatabaseWanted(); whoever changes what it says wakes the launcher and the workers, and they draw the consequences.
 *
 * The room's timers, backoffs and figures are about this machine, so they read the machine's clock and not revops.now().
 */
#include "worker/shmem.h"

#include "attach/attach.h"
#include "capture/capture.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

bool		worker_enabled = true;
int			worker_naptime = WORKER_DEFAULT_NAPTIME;
bool		worker_synchronous_commit = false;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* The event's number, which the server keeps by its name. */
uint32
WorkerWaitEvent(WorkerWait wait)
{
	static uint32 ids[4];

	switch (wait)
	{
		case WAIT_WORK:
			return REVOPS_WAIT_EVENT(ids[WAIT_WORK], "RevopsWorkerMain");
		case WAIT_LAUNCH:
			return REVOPS_WAIT_EVENT(ids[WAIT_LAUNCH], "RevopsLauncherMain");
		case WAIT_START:
			return REVOPS_WAIT_EVENT(ids[WAIT_START], "RevopsWorkerStart");
		case WAIT_STOP:
			return REVOPS_WAIT_EVENT(ids[WAIT_STOP], "RevopsWorkerStop");
	}
	return PG_WAIT_EXTENSION;
}

static void
ShmemRequest(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	WorkerShmemRequest();
}

static void
ShmemStartup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	WorkerShmemStartup();
}

void
WorkerInit(void)
{
	DefineCustomBoolVariable("revops.worker",
							 "Runs background workers in the databases that have pg_revops.",
							 "Off, the stream moves when revops.process() is called. Only where pg_revops is in shared_preload_libraries.",
							 &worker_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("revops.naptime",
							"How often an idle background worker looks for work, and for cards to escalate, when nobody wakes it.",
							"The launcher looks for new databases as often.",
							&worker_naptime, WORKER_DEFAULT_NAPTIME, WORKER_MIN_NAPTIME, WORKER_MAX_NAPTIME,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("revops.worker_synchronous_commit",
							 "Background workers wait until their commits are on disk.",
							 "Off is safe: a crash loses results and cursor together, and the worker does the pass again.",
							 &worker_synchronous_commit, false, PGC_SIGHUP, 0, NULL, NULL, NULL);

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = ShmemRequest;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = ShmemStartup;
	capture_wake_hook = WorkerWake;
	attach_wake_hook = WorkerWake;
	ControlInit();
	HoldInit();
	LauncherRegister();
}
