/*
 * analysis.h
 *	  Aggregates for analysts: funnels, sequences, sessions, streaks, retention, next node. Over any table, in any plan.
 *
 * A group's state is an EventBuffer: one flat varlena that holds the call's settings and the packed rows, in the SQL type
 * revops.event_buffer. It is no "internal" state, so partial states travel as they are: between parallel workers, between the
 * nodes of a distributed database, through text and binary.
 *
 * A transition appends in place while there is room, and returns the same pointer. When the buffer is full it makes one of
 * twice the size in the current (per-tuple) context: the executor copies that into the aggregate's context and frees the old
 * one. So a row costs amortised O(1), and a group one chunk of memory: 128 bytes for the first few rows. VARSIZE includes the
 * slack, which is always zero; text and binary output leave it out.
 *
 * Rows may come in any order. The buffer remembers whether they came sorted; if not, the final function sorts them, by
 * everything that a row holds (time, conditions, node). What is equal in all of that is interchangeable, so no result depends
 * on the order of arrival or on the plan. Sorting a state in place changes nothing that it says: final functions do so, and
 * may still share a state or be called again as rows go on to come (window frames).
 */
#ifndef REVOPS_ANALYSIS_H
#define REVOPS_ANALYSIS_H

#include "base/base.h"

#include "pgtime.h"
#include "utils/array.h"

#define ANALYSIS_MAX_CONDITIONS	32
#define ANALYSIS_MAX_ITEMS		64	/* events in a sequence pattern */
#define ANALYSIS_MAX_PATTERN	8192	/* bytes of a sequence pattern */

typedef enum BufferKind
{
	BUFFER_FUNNEL = 1,
	BUFFER_SEQUENCE,
	BUFFER_SESSION,
	BUFFER_STREAK,
	BUFFER_NODE
} BufferKind;

typedef struct BufferRow
{
	TimestampTz at;				/* BUFFER_STREAK: the local day */
	union
	{
		struct
		{
			uint32		bits;	/* bit n: condition n + 1 holds */
			uint32		node;	/* BUFFER_NODE: base flag and where the node's text is */
		};
		int64		sum;		/* BUFFER_STREAK: microseconds of that day */
	};
} BufferRow;

#define ROW_BASE		((uint32) 1 << 31)
#define ROW_NODE(row)	((row)->node & ~ROW_BASE)	/* 0: NULL; else its distance from the end of the buffer */

/* The head of a state. After it come the pattern or the node cache, then the rows; node texts fill the buffer from its end. */
typedef struct EventBuffer
{
	int32		vl_len_;
	uint8		kind;
	uint8		nconditions;
	uint8		modes;			/* BUFFER_FUNNEL: FunnelMode; BUFFER_NODE: NodeMode; BUFFER_SESSION: heartbeats count */
	bool		sorted;
	int32		nrows;
	int32		extra;			/* bytes between head and rows, a multiple of 8 */
	int32		pattern;		/* BUFFER_SEQUENCE: of those, bytes of the pattern */
	uint32		texts;			/* bytes of node texts at the end, a multiple of 8 */
	int64		setting[3];		/* microseconds: window; gap, ping, visit; at least a day */
} EventBuffer;

#define BufferExtra(b)	((char *) (b) + sizeof(EventBuffer))
#define BufferRows(b)	((BufferRow *) (BufferExtra(b) + (b)->extra))

/* buffer.c */
extern EventBuffer *BufferMake(BufferKind kind, int nconditions, int modes, const int64 *setting, const char *pattern, int pattern_len);
extern EventBuffer *BufferReserve(EventBuffer *b, int nrows, Size text_len);
extern EventBuffer *BufferAppend(EventBuffer *b, TimestampTz at, uint32 bits);
extern EventBuffer *BufferAppendNode(EventBuffer *b, TimestampTz at, uint32 bits, bool base, const char *text, int len);
extern EventBuffer *BufferAddDay(EventBuffer *b, int64 day, int64 usecs);
extern EventBuffer *BufferMerge(EventBuffer *a, const EventBuffer *b);
extern void BufferSort(EventBuffer *b);
extern bool BufferSameSettings(const EventBuffer *a, const EventBuffer *b);
extern Str	BufferNodeText(const EventBuffer *b, const BufferRow *row);

/* funnel.c */
typedef enum FunnelMode
{
	FUNNEL_STRICT_ORDER = 1,
	FUNNEL_STRICT_DEDUP = 2,
	FUNNEL_STRICT_INCREASE = 4,
	FUNNEL_ONCE = 8,
	FUNNEL_ALLOW_REENTRY = 16
} FunnelMode;

#define FUNNEL_MODES	31

extern int	FunnelLevel(const BufferRow *rows, int n, int nsteps, int64 window, int modes);

/* sequence.c */
typedef struct SequenceItem
{
	int			condition;		/* from 0; -1 is any row */
	bool		gap;			/* other rows may lie between the item before and this one */
	bool		timed;			/* and the time between the two is from lo to hi */
	int64		lo;
	int64		hi;
} SequenceItem;

typedef struct SequencePattern
{
	int			nitems;
	SequenceItem items[ANALYSIS_MAX_ITEMS];
} SequencePattern;

typedef struct SequenceError
{
	int			position;		/* in characters from 1 */
	const char *message;
	const char *hint;
} SequenceError;

/* Reads an interval's text (not terminated), found at a position of the pattern, as microseconds; false if its length is not fixed. */
typedef bool (*SequenceDuration) (const char *text, int len, int position, int64 *usecs);

extern bool SequenceParse(const char *text, int len, int nconditions, SequenceDuration duration, SequencePattern *pattern, SequenceError *error);
extern int64 SequenceCount(const SequencePattern *pattern, const BufferRow *rows, int n, bool first_only);

/* session.c */
typedef struct VisitSession
{
	TimestampTz started_at;
	TimestampTz ended_at;
	int			events;
	int64		engaged;		/* microseconds */
} VisitSession;

#define SESSION_HEARTBEATS	1	/* modes: engaged time from pings */
#define SESSION_PING		1	/* bits: the row is a ping */

extern int	SessionNext(const BufferRow *rows, int n, int from, const EventBuffer *settings, VisitSession *session);

/* streak.c */
typedef struct DayClock DayClock;

extern DayClock *DayClockMake(void);
extern void DayClockSetZone(DayClock *clock, pg_tz *tz);
extern bool DayClockSetZoneName(DayClock *clock, const char *zone, int len);
extern bool DayClockLocalDay(DayClock *clock, TimestampTz at, int64 *day);
extern int	StreakLongest(const BufferRow *days, int n, bool bounded, int64 at_least);

#define STREAK_SUMS			1	/* modes: a day needs a sum */

/* node.c */
typedef enum NodeMode
{
	NODE_BACKWARD = 1,
	NODE_HEAD = 2,
	NODE_TAIL = 4,
	NODE_FIRST_MATCH = 8,
	NODE_LAST_MATCH = 16
} NodeMode;

#define NODE_MODES	31

extern int	NodeNext(const BufferRow *rows, int n, int nconditions, int modes);

/* arguments.c */
typedef struct Conditions
{
	int			first;			/* their first argument */
	int			n;
	bool		array;			/* called with VARIADIC and an array */
} Conditions;

extern void ConditionsInit(FunctionCallInfo fcinfo, int first, Conditions *conditions);
extern uint32 ConditionsRead(FunctionCallInfo fcinfo, Conditions *conditions);
extern int64 DurationArg(FunctionCallInfo fcinfo, int argno, const char *what);
extern int64 DwellArg(FunctionCallInfo fcinfo, int argno);
extern bool DurationFromText(const char *text, int len, int position, int64 *usecs);
extern int	FunnelModesArg(ArrayType *names);
extern int	NodeModesArg(text *direction, text *base);

#endif							/* REVOPS_ANALYSIS_H */
