/*
 * text.h
 *	  What people write shows intents: patterns that a sales team writes itself.
 */
#ifndef REVOPS_TEXT_H
#define REVOPS_TEXT_H

#include "event/event.h"

extern void SentimentInit(void);
extern void TextInit(void);

/* How a text feels by the lexicon and the model that are shipped, -1 to 1 (sentiment.c) */
extern double TextFeeling(const char *body, int len);

/*
 * Fill in the intents that the event's body shows, by the patterns that were published for its time, where this lane writes them or a condition
 * looks at them. Memory: the current context. SPI must be connected.
 */
extern void TextEvent(Event *e, int lane, int lanes);

/*
 * The same for the events of a list from *next on, until the current context has so many bytes; *next is then the first that was not looked at. Events
 * whose texts are the same share what these show.
 */
extern void TextEvents(EventList *list, int *next, Size max_bytes, int lane, int lanes);

/* Write the intents of the events [from, to) that are this lane's to write. */
extern void TextWrite(const EventList *list, int from, int to, int lane, int lanes);

#endif							/* REVOPS_TEXT_H */
