/*
 * predicate.h
 *	  A condition on one event, compiled from JSON; and JSON documents whose errors name their place.
 */
#ifndef REVOPS_PREDICATE_H
#define REVOPS_PREDICATE_H

#include "event/event.h"

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

extern JsonDoc *JsonDocOpen(const char *what, const char *text);	/* ERROR with line and column on a syntax error, duplicate keys, depth, size */
pg_noreturn extern void JsonDocError(const JsonDoc *doc, const char *path, const char *expected);	/* names line, column, path */

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

/* The kinds of event that can match at all: NULL in *kinds means any. For indexing rules by what they look at. */
extern int	PredicateKinds(const Predicate *pred, const Str **kinds);

/* "90s", "3 minutes", "24 hours" -> microseconds > 0; JsonDocError if not */
extern int64 JsonDuration(const JsonDoc *doc, const json_t *node, const char *path);

/* The same, with 0 allowed where zero is set. The longest is JSON_MAX_DURATION. */
extern int64 JsonDurationFrom(const JsonDoc *doc, const json_t *node, const char *path, bool zero);

/* A number of the event's properties (a top-level key, else a dotted path) in millionths, within 0 .. max; false: absent, no number, or not above 0 */
extern bool EventPropertyMicros(const Event *e, Str name, int64 max, int64 *micros);

/* Documents: the longest, in bytes, and the deepest */
#define JSON_MAX_TEXT		(256 * 1024)
#define JSON_MAX_DEPTH		32
#define JSON_MAX_DURATION	(INT64CONST(3660) * 86400 * 1000000)

/* A predicate: conditions in all, values in one list */
#define PREDICATE_MAX_NODES		1000
#define PREDICATE_MAX_VALUES	1000

#endif							/* REVOPS_PREDICATE_H */
