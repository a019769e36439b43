/*
 * shmem.c
 *	  The one piece of shared memory: a slot for each database that has pg_revops, with a slot for each of its lanes.
 *
 * Everything is guarded by one LWLock, taken for a few instructions and never while waiting for anything, but for two things
 * that happen thousands of times a second: a lane's figures (its spinlock), and waking it (one atomic flag: only the first
 * writer that commits after a pass began pays for a signal).
 */
#include "worker/shmem.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define TRANCHE		"pg_revops"

WorkerShared *worker_shared = NULL;

void
WorkerShmemRequest(void)
{
	RequestAddinShmemSpace(sizeof(WorkerShared));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

void
WorkerShmemStartup(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	worker_shared = ShmemInitStruct(TRANCHE, sizeof(WorkerShared), &found);
	if (!found)
	{
		memset(worker_shared, 0, sizeof(WorkerShared));
		worker_shared->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
		ConditionVariableInit(&worker_shared->changed);
		for (int i = 0; i < WORKER_MAX_DATABASES; i++)
			for (int j = 0; j < WORKER_MAX_LANES; j++)
			{
				LaneSlot   *lane = &worker_shared->database[i].lane[j];

				pg_atomic_init_u32(&lane->awake, 1);
				SpinLockInit(&lane->mutex);
			}
	}
	LWLockRelease(AddinShmemInitLock);
}

/* The slot of a database, or NULL. The lock is held. */
DatabaseSlot *
DatabaseFind(Oid dboid)
{
	for (int i = 0; i < WORKER_MAX_DATABASES; i++)
		if (worker_shared->database[i].dboid == dboid)
			return &worker_shared->database[i];
	return NULL;
}

/* The slot of a database, a fresh one if it has none; NULL if all are taken. The lock is held exclusively. */
DatabaseSlot *
DatabaseClaim(Oid dboid)
{
	DatabaseSlot *db = DatabaseFind(dboid);

	if (db != NULL)
		return db;
	db = DatabaseFind(InvalidOid);
	if (db == NULL)
		return NULL;
	db->state = DATABASE_PRESENT;
	db->adopt = db->stopped = db->unwanted = false;
	db->held = 0;
	db->announcements = db->kicks = 0;
	db->lanes = 1;
	for (int i = 0; i < WORKER_MAX_LANES; i++)
	{
		LaneSlot   *lane = &db->lane[i];

		lane->state = LANE_NONE;
		lane->not_before = 0;
		lane->failures = 0;
		lane->pid = 0;
		lane->latch = NULL;
		pg_atomic_write_u32(&lane->awake, 1);
		SpinLockAcquire(&lane->mutex);
		memset(&lane->stats, 0, sizeof(LaneStats));
		SpinLockRelease(&lane->mutex);
	}
	pg_write_barrier();
	db->dboid = dboid;
	return db;
}

/* The lock is held exclusively, and no lane has a worker. */
void
DatabaseFree(DatabaseSlot *db)
{
	db->dboid = InvalidOid;
}

/* Whether a database's workers should run. Workers read it without the lock: they look again soon. */
bool
DatabaseWanted(const DatabaseSlot *db, Oid dboid)
{
	const volatile DatabaseSlot *d = db;

	return worker_enabled && d->dboid == dboid && d->state == DATABASE_PRESENT &&
		!d->stopped && !d->unwanted && d->held == 0;
}

/* Make all of a database's workers look around. The lock is held. */
void
WakeLanes(DatabaseSlot *db)
{
	for (int i = 0; i < WORKER_MAX_LANES; i++)
		if (db->lane[i].latch != NULL)
			SetLatch(db->lane[i].latch);
}

void
WakeLauncher(void)
{
	Latch	   *latch = *(Latch *volatile *) &worker_shared->launcher_latch;

	if (latch != NULL)
		SetLatch(latch);
}

/*
 * Wait until a database has no worker of ours in it; false if it still has after `timeout` seconds. A worker ends by itself
 * between two passes; after `patience` seconds it is told to drop the pass, which loses nothing.
 */
bool
WaitForNoWorker(Oid dboid, int patience, int timeout)
{
	TimestampTz start = GetCurrentTimestamp();
	bool		gone;
	bool		told = false;

	ConditionVariablePrepareToSleep(&worker_shared->changed);
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		DatabaseSlot *db;
		bool		tell = !told && now >= start + patience * USECS_PER_SEC;

		gone = true;
		LWLockAcquire(worker_shared->lock, LW_SHARED);
		db = DatabaseFind(dboid);
		for (int i = 0; db != NULL && i < WORKER_MAX_LANES; i++)
			if (db->lane[i].state != LANE_NONE)
			{
				gone = false;
				if (tell && db->lane[i].pid != 0)
					kill(db->lane[i].pid, SIGTERM);
			}
		for (int i = 0; i < WORKER_MAX_PROBES; i++)
		{
			Probe	   *probe = &worker_shared->probe[i];

			if (probe->dboid == dboid && probe->pid != 0)
				gone = false;
		}
		LWLockRelease(worker_shared->lock);
		told |= tell;
		if (gone || now >= start + timeout * USECS_PER_SEC)
			break;
		(void) ConditionVariableTimedSleep(&worker_shared->changed, 100, WorkerWaitEvent(WAIT_STOP));
	}
	ConditionVariableCancelSleep();
	return gone;
}

/*
 * Wake this database's workers: the writer's side, right after its commit. No lock; a process that took over a latch from a
 * worker that has ended only wakes once for nothing.
 */
void
WorkerWake(void)
{
	static DatabaseSlot *mine = NULL;
	int			lanes;

	if (mine == NULL || mine->dboid != MyDatabaseId)
	{
		mine = DatabaseFind(MyDatabaseId);
		if (mine == NULL)
			return;
	}
	/* the commit before the flag: pairs with the worker's barrier between the flag and its snapshot */
	pg_memory_barrier();
	lanes = Min(*(volatile int *) &mine->lanes, WORKER_MAX_LANES);
	for (int i = 0; i < lanes; i++)
	{
		LaneSlot   *lane = &mine->lane[i];

		if (pg_atomic_read_u32(&lane->awake) == 0 && pg_atomic_exchange_u32(&lane->awake, 1) == 0)
		{
			Latch	   *latch = *(Latch *volatile *) &lane->latch;

			if (latch != NULL)
				SetLatch(latch);
		}
	}
}

/* How long to wait after so many failures in a row, in microseconds: 1 s, 2 s, 4 s ... */
int64
WorkerBackoff(int failures, int64 longest)
{
	return Min(USECS_PER_SEC << Min(Max(failures - 1, 0), 20), longest);
}
