/*
 * capture.h
 *	  Where events enter: the leaf trigger and event ids.
 */
#ifndef REVOPS_CAPTURE_H
#define REVOPS_CAPTURE_H

#include "base/base.h"

/* revops.clock_tolerance, in seconds: how far ahead of the clock an event may lie. */
#define CAPTURE_DEFAULT_TOLERANCE	300
#define CAPTURE_MIN_TOLERANCE		0
#define CAPTURE_MAX_TOLERANCE		(30 * 24 * 3600)

extern void CaptureInit(void);

/* Called once, right after the commit of a transaction that wrote events; must neither throw nor touch the catalogs. */
extern void (*capture_wake_hook) (void);

/*
 * Whether the role that writes may move the clock by revops.as_of; ERROR where it is a rep's, who writes of others than their own customers. keys: person, account,
 * opportunity and rep of the event, NULL where it has none. Set by the access room; NULL: everybody may.
 */
extern bool (*capture_writer_hook) (const Datum *keys, const bool *isnull);

/* uuid.c: true once for the id that this backend generated last, in this very statement: nobody else can have used it */
extern bool UuidTakeFresh(const pg_uuid_t *id);

#endif							/* REVOPS_CAPTURE_H */
