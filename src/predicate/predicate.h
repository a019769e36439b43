/*
 * predicate.h
 *	  A condition on one event, compiled from JSON; and JSON documents whose errors name their place.
 */
#ifndef REVOPS_PREDICATE_H
#define REVOPS_PREDICATE_H

#include "event/event.h"

#include "pgtime.h"
#include "utils/fmgrprotos.h"

/*
 * The server has SQL functions that are named json_typeof and json_object in C: their prototypes come before jansson's macro of
 * the first name; jansson's function of the second, for which the server's would be called, is out of reach. We only read.
 */
#define json_object jansson_object_new
#include <jansson.h>
#undef json_object

/* A JSON document being compiled: its text, its name for messages, and the path to where the compiler is ("$.when.dwell"). */
typedef struct JsonDoc
{
	const char *what;			/* "rule \"x\"", "signal \"y\"" */
	const char *text;
	json_t	   *root;			/* released by a callback on the context it was opened in */
} JsonDoc;

typedef struct Predicate Predicate;

/* ERROR with line and column on a syntax error, duplicate keys, depth, size */
extern JsonDoc *JsonDocOpen(const char *what, const char *text);

pg_noreturn extern void JsonDocError(const JsonDoc *doc, const char *path, const char *expected);	/* names line, column, path */

/* The same, where the fault is not one of type or range; `fault` is UTF-8 */
pg_noreturn extern void JsonDocFault(const JsonDoc *doc, const char *path, const char *fault);

/* ERROR at the key `key` of the object at `path`: it is not known there; expected lists those that are */
pg_noreturn extern void JsonDocKeyError(const JsonDoc *doc, const char *path, const char *key, const char *expected);

/* "$.a" and "b" -> "$.a.b"; "$.a" and 3 -> "$.a[3]"; memory: the document's */
extern const char *JsonPath(const JsonDoc *doc, const char *path, const char *key);
extern const char *JsonPathAt(const JsonDoc *doc, const char *path, size_t index);

/* ERROR unless `node` is an object with no other keys than these (NULL ends the list) */
extern void JsonKeys(const JsonDoc *doc, const json_t *node, const char *path, const char *const *keys);

/* A string of 1 to max bytes, in the database's encoding; memory: the current context */
extern char *JsonString(const JsonDoc *doc, const json_t *node, const char *path, int max, const char *expected);
extern int64 JsonInteger(const JsonDoc *doc, const json_t *node, const char *path, int64 min, int64 max);

/* Compile the object at `node` (path as above); memory: the current context. An empty object, or NULL, matches every event. */
extern Predicate *PredicateCompile(const JsonDoc *doc, const json_t *node, const char *path);
extern bool PredicateMatches(const Predicate *pred, const Event *e);

/*
 * index.c: what an event must have for the predicate to match at all: each event that matches carries at least one of the anchors.
 * 0, with NULL: any event may match. Memory: the current context, and the predicate's.
 */
typedef struct PredicateAnchor
{
	int			field;			/* a Field (condition.h) */
	Str			property;		/* of a property, its name */
	bool		prefix;			/* the value begins with this, else equals it */
	Str			value;			/* a number: its hash, in text */
} PredicateAnchor;

extern int	PredicateAnchors(const Predicate *pred, PredicateAnchor **anchors);

/*
 * Predicates by their anchors. Ids are from 0 on, and dense; one that is added with several predicates is a candidate when one of
 * these is. pred NULL: matches any event. Memory: the current context of PredicateIndexNew().
 */
typedef struct PredicateIndex PredicateIndex;

extern PredicateIndex *PredicateIndexNew(void);
extern void PredicateIndexAdd(PredicateIndex *index, const Predicate *pred, int id);
extern void PredicateIndexDone(PredicateIndex *index);

/* The ids whose predicates the event may match, ascending, each once; good until the next look. What it cannot match costs nothing. */
extern int	PredicateIndexLook(PredicateIndex *index, const Event *e, const int **ids);

/* The kinds of event that can match at all: NULL in *kinds means any. For indexing rules by what they look at. */
extern int	PredicateKinds(const Predicate *pred, const Str **kinds);

/* "90s", "3 minutes", "24 hours" -> microseconds > 0; JsonDocError if not */
extern int64 JsonDuration(const JsonDoc *doc, const json_t *node, const char *path);

/* The same, with 0 allowed where zero is set. The longest is JSON_MAX_DURATION. */
extern int64 JsonDurationFrom(const JsonDoc *doc, const json_t *node, const char *path, bool zero);

/* A number of the event's properties (a top-level key, else a dotted path) in millionths, within 0 .. max; false: absent, no number, or not above 0 */
extern bool EventPropertyMicros(const Event *e, Str name, int64 max, int64 *micros);

/*
 * local_time.c: {"from": "22:00", "to": "06:00", "days": [...], "time_zone": ...}, by the zone of the document, else of the event's
 * person, else of its account, else revops.time_zone. Memory: the current context.
 */
typedef struct LocalTime LocalTime;

extern LocalTime *LocalTimeCompile(const JsonDoc *doc, const json_t *json, const char *path);
extern bool LocalTimeHolds(const LocalTime *lt, const Event *e);
extern pg_tz *JsonTimeZone(const JsonDoc *doc, const json_t *json, const char *path);	/* ERROR unless a zone */

/* The local calendar day, in days since 2000-01-01. zone NULL: the event's, else revops.time_zone. False: no zone, or no finite time */
extern bool EventLocalDay(const Event *e, pg_tz *zone, int32 *day);

/* field.c: a field that a document names, to count, add up and compare its values. Memory: the current context. */
typedef struct FieldRef FieldRef;

typedef enum ValueType
{
	VALUE_NONE,					/* absent, null, or a list or object */
	VALUE_TEXT,
	VALUE_NUMBER,
	VALUE_BOOLEAN
} ValueType;

typedef struct FieldValue
{
	ValueType	type;
	uint64		hash;			/* VALUE_TEXT: of its bytes */
	double		number;			/* VALUE_NUMBER (dwell in microseconds), VALUE_BOOLEAN (0, 1) */
} FieldValue;

/* kind .. rep, body, dwell, properties.x; the name is UTF-8, as it is in the document. ERROR at path otherwise */
extern FieldRef *FieldRefCompile(const JsonDoc *doc, const char *name, const char *path);
extern bool FieldRefEqual(const FieldRef *a, const FieldRef *b);
extern bool FieldRefIsText(const FieldRef *f);	/* neither dwell nor a property */
extern bool FieldRefIsProperty(const FieldRef *f);
extern void EventField(const FieldRef *f, const Event *e, FieldValue *value);

/*
 * formula.c (pure): numbers, + - * /, parentheses, min, max, sqrt, ln, exp, and names. `json` is a number or a string; `resolve` gives
 * the slot of a name (letters, digits and _, with dots between), or -1. Memory: the current context.
 */
typedef struct Formula Formula;
typedef int (*FormulaName) (void *arg, const char *name);

extern Formula *FormulaCompile(const JsonDoc *doc, const json_t *json, const char *path, FormulaName resolve, void *arg);
extern double FormulaEval(const Formula *f, const double *slots);	/* 0 if the result, or a slot, is no finite number */

extern void PredicateInit(void);

/* Documents: the longest, in bytes, and the deepest */
#define JSON_MAX_TEXT		(256 * 1024)
#define JSON_MAX_DEPTH		32
#define JSON_MAX_DURATION	(INT64CONST(3660) * 86400 * 1000000)

/* A predicate: conditions in all, values in one list, bytes of a pattern or prefix */
#define PREDICATE_MAX_NODES		1000
#define PREDICATE_MAX_VALUES	1000
#define PREDICATE_MAX_PATTERN	2000

/* A formula: bytes, operations, nested parentheses and functions */
#define FORMULA_MAX_TEXT		2000
#define FORMULA_MAX_NODES		500
#define FORMULA_MAX_DEPTH		32

#endif							/* REVOPS_PREDICATE_H */
