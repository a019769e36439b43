/*
 * attach.h
 *	  A company's own tables as the source of accounts, people, reps, opportunities and events.
 */
#ifndef REVOPS_ATTACH_H
#define REVOPS_ATTACH_H

#include "base/base.h"

#include "utils/jsonb.h"
#include "utils/rel.h"

/* Key columns of a source, entries below "properties", and bytes of an expression, at most. */
#define ATTACH_MAX_KEY_COLUMNS	8
#define ATTACH_MAX_PROPERTIES	50
#define ATTACH_MAX_EXPRESSION	10000

/* One entry of a mapping: a field of ours, or a key of its properties, and the expression over the source's row that it is read by. */
typedef struct MapEntry
{
	char	   *name;
	bool		property;		/* below "properties" */
	char	   *expression;
	char	   *type;			/* what it is cast to, as SQL */
	Oid			typid;
	int32		typmod;
} MapEntry;

typedef struct Mapping
{
	char	   *kind;
	int			n;
	MapEntry   *entries;
	char	   *where;			/* rows that it does not hold for are as if not there; NULL: all are */
} Mapping;

/* The columns by which a source's rows are told apart. */
typedef struct SourceKey
{
	int			n;
	AttrNumber	columns[ATTACH_MAX_KEY_COLUMNS];
} SourceKey;

/* Apply some of what attached tables have queued; true if more waits that can be applied now. by_hand: also what a restore brought */
extern bool AttachApply(bool by_hand);

/* Called once, right after the commit of a transaction that changed attached tables; must neither throw nor touch the catalogs. */
extern void (*attach_wake_hook) (void);

/* trigger.c: have it called at the end of this transaction */
extern void AttachQueued(void);

/* mapping.c: the document as entries (column types of revops.<kind> are looked up); an error names the entry that is wrong */
extern Mapping *MappingRead(const char *kind, Jsonb *document);
extern void MappingCheck(const Mapping *mapping, Relation source);

/* mapping.c: the column that a field is read from as it is, "" where it is an expression; NULL where the field is not mapped */
extern const char *MappingPlainColumn(const Mapping *mapping, Relation source, const char *field, const MapEntry **entry);

/* mapping.c: SQL over the source. The rows of the keys $1 (text[]) as (key, jsonb); the keys of all rows; the condition key = $1 */
extern char *MappingRowsSql(const Mapping *mapping, Relation source, const SourceKey *key);
extern char *SourceKeysSql(Relation source, const SourceKey *key);
extern char *SourceKeyCondition(Relation source, const SourceKey *key, const char *value);
extern char *SourceName(Relation source);

/* mapping.c: the primary key, else the replica identity's index; false where there is none */
extern bool SourceKeyFind(Relation source, SourceKey *key);

#endif							/* REVOPS_ATTACH_H */
