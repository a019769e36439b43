/*
 * shmem.h
 *	  What launcher, lane workers and the SQL functions tell each other through shared memory. Inside this room only.
 */
#ifndef REVOPS_WORKER_SHMEM_H
#define REVOPS_WORKER_SHMEM_H

#include "worker/worker.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#define WORKER_MAX_PROBES		4
#define WORKER_ERROR_SIZE		256

typedef enum LaneState
{
	LANE_NONE,
	LANE_STARTING,				/* registered by the launcher, not attached yet */
	LANE_RUNNING
} LaneState;

typedef enum LaneActivity
{
	LANE_WAITING,
	LANE_WORKING,
	LANE_PAUSED,				/* restored data waits for revops.start_worker() */
	LANE_BUSY,					/* revops.process() has the lane */
	LANE_FAILING
} LaneActivity;

/* Figures of a lane since the server started or the database's slot was taken; under the lane's spinlock. */
typedef struct LaneStats
{
	LaneActivity activity;
	int64		events;
	double		rate;			/* events a second, smoothed, at last_pass_at */
	TimestampTz last_pass_at;	/* 0: none yet */
	int64		pass_time;		/* microseconds of the last pass that took events */
	int64		memory;
	TimestampTz last_error_at;
	char		last_error[WORKER_ERROR_SIZE];
} LaneStats;

typedef struct LaneSlot
{
	LaneState	state;
	TimestampTz since;			/* when it became LANE_STARTING */
	TimestampTz not_before;		/* the launcher starts it no sooner */
	int			failures;		/* exits with an error, in a row */
	pid_t		pid;
	Latch	   *latch;
	pg_atomic_uint32 awake;		/* 1: somebody woke it, or nobody is there */
	slock_t		mutex;
	LaneStats	stats;
} LaneSlot;

typedef enum DatabaseState
{
	DATABASE_PENDING,			/* CREATE EXTENSION has not committed yet */
	DATABASE_PRESENT,
	DATABASE_GONE				/* the extension is; the launcher frees the slot */
} DatabaseState;

typedef struct DatabaseSlot
{
	Oid			dboid;			/* InvalidOid: the slot is free */
	DatabaseState state;
	bool		adopt;			/* workers take over a stream that was restored from another cluster */
	bool		stopped;		/* by revops.stop_worker() */
	bool		unwanted;		/* a template, or nobody may connect */
	int			held;			/* sessions that need the database to themselves */
	uint32		announcements;	/* of CREATE EXTENSION */
	uint32		kicks;			/* of start_worker(): end pauses and backoffs */
	int			lanes;			/* as lane 0 knows */
	LaneSlot	lane[WORKER_MAX_LANES];
} DatabaseSlot;

typedef enum ProbeResult
{
	PROBE_RUNNING,
	PROBE_WITHOUT,
	PROBE_PRESENT
} ProbeResult;

typedef struct Probe
{
	Oid			dboid;			/* InvalidOid: free */
	pid_t		pid;			/* 0: not in the database yet, or gone */
	ProbeResult result;
} Probe;

typedef struct WorkerShared
{
	LWLock	   *lock;			/* everything here but stats and awake */
	ConditionVariable changed;	/* a worker started or ended */
	Latch	   *launcher_latch;
	pid_t		launcher_pid;
	Probe		probe[WORKER_MAX_PROBES];
	DatabaseSlot database[WORKER_MAX_DATABASES];
} WorkerShared;

/* What the launcher hands a new worker, in bgw_extra. */
typedef struct WorkerStart
{
	Oid			dboid;
	int			lane;
	int			probe;			/* -1, or which probe it is: find out whether the extension is there */
} WorkerStart;

/* What a process of ours waits for, as pg_stat_activity shows it from PostgreSQL 17 on. */
typedef enum WorkerWait
{
	WAIT_WORK,
	WAIT_LAUNCH,
	WAIT_START,
	WAIT_STOP
} WorkerWait;

/* worker.c */
extern bool worker_enabled;
extern int	worker_naptime;
extern bool worker_synchronous_commit;
extern uint32 WorkerWaitEvent(WorkerWait wait);

/* shmem.c */
extern WorkerShared *worker_shared; /* NULL: not preloaded */
extern void WorkerShmemRequest(void);
extern void WorkerShmemStartup(void);
extern DatabaseSlot *DatabaseFind(Oid dboid);
extern DatabaseSlot *DatabaseClaim(Oid dboid);
extern void DatabaseFree(DatabaseSlot *db);
extern bool DatabaseWanted(const DatabaseSlot *db, Oid dboid);
extern void WakeLanes(DatabaseSlot *db);
extern void WakeLauncher(void);
extern bool WaitForNoWorker(Oid dboid, int patience, int timeout);
extern void WorkerWake(void);
extern int64 WorkerBackoff(int failures, int64 longest);

/* hold.c */
extern void HoldInit(void);

/* control.c */
extern void ControlInit(void);

/* launcher.c */
extern void LauncherRegister(void);

#endif							/* REVOPS_WORKER_SHMEM_H */
