/*
 * store.h
 *	  The pipelines' deployed models, as this backend has loaded them.
 */
#ifndef REVOPS_STAGE_STORE_H
#define REVOPS_STAGE_STORE_H

#include "base/base.h"
#include "stage/model.h"
#include "utils/hsearch.h"

#define STAGE_MAX_NAME		200 /* bytes of a pipeline's, stage's or symbol's name */
#define STAGE_MAX_LOADED	32	/* models a backend keeps */

typedef struct StoredStages
{
	MemoryContext context;		/* all that follows lives there; NULL: a free entry */
	char		pipeline[STAGE_MAX_NAME + 1];
	int			version;
	pg_uuid_t	id;
	int			nstages;
	char	  **stages;
	HTAB	   *symbols;		/* by name */
	bool		intents;		/* it knows symbols that are intents */
	StageModel	model;
	uint64		used;
} StoredStages;

/* The deployed model of a pipeline, NULL where none is. Good until the next call. SPI must be connected. */
extern const StoredStages *StagesDeployed(const char *pipeline);

/* The number of a symbol; that of all others, where the model has not learned it. */
extern int	StageSymbol(const StoredStages *m, const char *name, int len);

#endif							/* REVOPS_STAGE_STORE_H */
