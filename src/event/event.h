/*
 * event.h
 *	  An event as the rooms see it, the stream's cursor arithmetic, and a subject's history.
 */
#ifndef REVOPS_EVENT_H
#define REVOPS_EVENT_H

#include "base/base.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Whose attributes an event carries: its person, account and opportunity, the first of SubjectKind */
#define EVENT_ATTRIBUTES	3

/* Properties of one owner that can be asked for by name; if more are, all are fetched. */
#define EVENT_MAX_WANTED	1000

/* An intent that an event's body shows; characters of the body */
typedef struct EventIntent
{
	Str			intent;
	double		confidence;
	int			from;
	int			to;
	Str			evidence;
	const char *method;			/* pattern, model or both */
} EventIntent;

/*
 * One event, decoded. Strings point into the memory of whoever read it. person and account are raw in the row; the resolved
 * ones are after identify() and the person's account.
 */
typedef struct Event
{
	pg_uuid_t	event_id;
	TimestampTz occurred_at;
	uint64		txid;
	int32		epoch;
	bool		ahead;			/* from the future beyond the tolerance: feeds nothing */
	int64		dwell;			/* microseconds, -1: NULL */
	Str			person;			/* resolved */
	Str			account;		/* resolved */
	Str			opportunity;
	Str			rep;
	Str			raw_person;		/* as in the row */
	Str			side;
	Str			channel;
	Str			kind;
	Str			object;
	Datum		body;			/* text, perhaps toasted; 0: NULL */
	Datum		properties;		/* jsonb, perhaps toasted; 0: NULL */
	Str			time_zone;		/* of the person, else of the account; data NULL: not known */
	Datum		attributes[EVENT_ATTRIBUTES];	/* jsonb of the person, account, opportunity; 0: none, or nobody wants them */
	bool		read;			/* its body was looked at: what it shows */
	int			nintents;
	EventIntent *intents;
} Event;

/* The order of time: (occurred_at, event_id). */
static inline int
EventPointCmp(TimestampTz at, const pg_uuid_t *aid, TimestampTz bt, const pg_uuid_t *bid)
{
	if (at != bt)
		return at < bt ? -1 : 1;
	return memcmp(aid->data, bid->data, UUID_LEN);
}

static inline Str
EventSubject(const Event *e, SubjectKind kind)
{
	switch (kind)
	{
		case SUBJECT_PERSON:
			return e->person;
		case SUBJECT_ACCOUNT:
			return e->account;
		case SUBJECT_OPPORTUNITY:
			return e->opportunity;
		default:
			return e->rep;
	}
}

/* A transaction snapshot, as pg_snapshot has it. xip ascending. */
typedef struct TxSnapshot
{
	uint64		xmin;
	uint64		xmax;
	int			nxip;
	uint64	   *xip;
} TxSnapshot;

extern TxSnapshot *TxSnapshotParse(const char *text);	/* palloc'd; ERROR on bad text */
extern char *TxSnapshotFormat(const TxSnapshot *snap);
extern bool TxSnapshotSees(const TxSnapshot *snap, uint64 txid);

/*
 * What a lane has taken: everything of past epochs; of its own epoch what `done` sees; of the open batch (what `target` sees,
 * NULL: none is open) what is not after the position. adopting: the open batch is all that is left of other epochs.
 */
typedef struct Consumed
{
	int32		epoch;
	TxSnapshot *done;
	TxSnapshot *target;
	bool		adopting;
	int32		current_epoch;	/* of this cluster and database */
	uint64		pos_txid;		/* 0: nothing of the open batch is taken yet */
	pg_uuid_t	pos_id;
	int			npast;
	int32	   *past;
	uint64		came_back;		/* where current_epoch is a past one, the last transaction of it that was taken; PG_UINT64_MAX: unknown */
	struct HTAB *failed;		/* event ids in quarantine, not taken; NULL: none */
} Consumed;

extern bool StreamHasPastUntil(void);
extern bool ConsumedHas(const Consumed *c, int32 epoch, uint64 txid, const pg_uuid_t *id);

/*
 * What the lane of a subject has taken, from revops.stream_lane and revops.failed_event, in the caller's snapshot. Memory: the
 * current context. lane < 0: the lane of the subject. SPI must be connected.
 */
extern Consumed *ConsumedLoad(int lane, SubjectKind kind, Str subject);

/* Which lane a subject is of, and this cluster's and database's epoch. */
extern int	SubjectLane(SubjectKind kind, Str subject, int lanes);
extern int32 StreamEpoch(void);

typedef struct EventList
{
	int			n;
	int			max;
	Event	   *events;
} EventList;

/*
 * A subject's events that `consumed` has (NULL: all), with since <= occurred_at < until, in the order of time. Memory: the current context.
 * Includes what other keys (a visitor's) have become the subject's. skewed (ahead) events are left out. SPI must be connected.
 */
extern EventList *EventHistory(SubjectKind kind, Str subject, TimestampTz since, TimestampTz until, const Consumed *consumed);

/* The columns that an Event is decoded from, in this order, as a SELECT list; and where they are in a leaf's row. */
#define EVENT_COLUMNS \
	"event_id, occurred_at, txid, epoch, ahead, dwell, person, account, opportunity, rep, side, channel, kind, object, body, properties"
#define EVENT_NCOLUMNS	16

extern void EventColumnMap(TupleDesc desc, AttrNumber *map);	/* EVENT_NCOLUMNS entries, 1-based */

/* Decode a row; strings point into the row. map NULL: the columns are in the order of EVENT_COLUMNS. */
extern void EventDecode(const Datum *values, const bool *isnull, const AttrNumber *map, Event *e);

/* Add the rows of SPI_tuptable (EVENT_COLUMNS) that `consumed` has (NULL: all), copied, and free it. */
extern void EventListTakeResult(EventList *list, const Consumed *consumed);

/*
 * Fill in who the events' persons are known as, their accounts and time zones, and the attributes that anybody in this backend
 * wants. Memory: the current context; events of the same person, account or opportunity share its attributes. SPI must be connected.
 */
extern void EventResolve(EventList *list);

/*
 * From now on, in this backend, events carry the attributes of this owner (a SubjectKind below EVENT_ATTRIBUTES): its columns, and of its
 * properties those that were asked for by name (a key, or a dotted path; data NULL: none).
 */
extern void EventAttributesWant(SubjectKind owner, Str property);

/*
 * Who reads the words of events fills in their intents: of a history's when conditions look at them, which EventIntentsWant() says.
 * EventListRead() does so for a list that is read back; the stream reads its batch itself. SPI must be connected.
 */
typedef void (*EventReader) (Event *e);
extern EventReader event_reader;

/* How a body feels, -1 to 1, by word lists that only a release changes: else the same whenever it is asked. Who reads words leaves it here. */
typedef double (*EventFeeler) (const char *body, int len);
extern EventFeeler event_feeler;
extern void EventIntentsWant(void);
extern bool EventIntentsWanted(void);
extern void EventListRead(EventList *list);

extern Event *EventListAdd(EventList *list);

#endif							/* REVOPS_EVENT_H */
