/*
 * share.h
 *	  Models in the server's memory, one copy for all sessions. Inside this room only.
 */
#ifndef REVOPS_LEARN_SHARE_H
#define REVOPS_LEARN_SHARE_H

#include "learn/learn.h"

#include "storage/dsm.h"

#define SHARE_MODELS	64		/* of all databases */

/* One backend's view of a shared copy */
typedef struct ShareMapping
{
	dsm_segment *segment;		/* NULL: none */
	int			slot;
	uint64		generation;		/* of the slot; another one: the copy was put out */
} ShareMapping;

/* A shared copy of this database, for the view */
typedef struct ShareStatus
{
	pg_uuid_t	id;
	uint64		size;
	int			sessions;
} ShareStatus;

extern void ShareInit(void);

/* Is there memory of the server for models? Only where the library was preloaded. */
extern bool ShareAvailable(void);

/* Map the copy of a version; NULL: there is none */
extern const ModelBlob *ShareAttach(const pg_uuid_t *id, ShareMapping *mapping);

/* Make a copy for all, putting out what was not used for longest, and map it; NULL: the server has no memory for it, which is told in the log */
extern const ModelBlob *SharePut(const pg_uuid_t *id, const ModelBlob *blob, ShareMapping *mapping);

/* Has the copy not been put out? */
extern bool ShareStands(const ShareMapping *mapping);

/* It was used */
extern void ShareTouch(const ShareMapping *mapping);

extern void ShareDetach(ShareMapping *mapping);

/* The copies of this database; up to SHARE_MODELS */
extern int	ShareList(ShareStatus *list);

#endif							/* REVOPS_LEARN_SHARE_H */
