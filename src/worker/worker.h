/*
 * worker.h
 *	  The launcher, and the background workers that run the stream behind the writers.
 */
#ifndef REVOPS_WORKER_H
#define REVOPS_WORKER_H

#include "base/base.h"

/* Databases with pg_revops that have workers, and lanes of one of them, at most. */
#define WORKER_MAX_DATABASES	64
#define WORKER_MAX_LANES		16

/* revops.naptime, in milliseconds: an idle worker, and the launcher, look for work this often even if nobody wakes them. */
#define WORKER_DEFAULT_NAPTIME	1000
#define WORKER_MIN_NAPTIME		10
#define WORKER_MAX_NAPTIME		60000

extern void WorkerInit(void);

#endif							/* REVOPS_WORKER_H */
