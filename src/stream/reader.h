/*
 * reader.h
 *	  Reads the events that a lane has not taken, in the order of (txid, event_id), over all leaves of revops.event.
 */
#ifndef REVOPS_READER_H
#define REVOPS_READER_H

#include "event/event.h"

/*
 * At most max_events (and about max_bytes) of what the open batch (consumed->target, consumed->adopting) still holds after the
 * position. *exhausted: there is no more. Events and their strings: the current context.
 */
extern EventList *ReadBatch(const Consumed *consumed, int64 max_events, Size max_bytes, bool *exhausted);

#endif							/* REVOPS_READER_H */
