/*
 * publication.h
 *	  The patterns that are published, by the time of what is looked at with them.
 */
#ifndef REVOPS_TEXT_PUBLICATION_H
#define REVOPS_TEXT_PUBLICATION_H

#include "text/matcher.h"
#include "text/voice.h"

typedef struct TextPublication
{
	int			no;
	TimestampTz from;
	TimestampTz until;
	MemoryContext context;		/* NULL: its matcher is not made */
	Matcher    *matcher;		/* NULL: its patterns do not compile any more */
	Voice	   *voice;			/* NULL: no model is named */
	Size		size;			/* what these take */
	uint64		used;
	TimestampTz used_in;		/* when the last transaction that did began */
	TimestampTz made_in;		/* when the transaction in which its matcher was made began */
	bool		doubtful;		/* that was rolled back, in part at least: its number may be another's by now */
} TextPublication;

/*
 * The publication for texts of that time, with its matcher made; NULL: none. SPI must be connected. It stays until another one is asked for, and
 * until the transaction ends.
 */
extern TextPublication *PublicationFor(TimestampTz at);

/* The publication for texts of now, for callers without SPI, of whom most find it made */
extern TextPublication *PublicationNow(void);

extern void PublicationInit(void);

#endif							/* REVOPS_TEXT_PUBLICATION_H */
