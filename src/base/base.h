/*
 * base.h
 *	  What every room stands on: the clock, one door to SQL, GUCs, errors.
 */
#ifndef REVOPS_BASE_H
#define REVOPS_BASE_H

#include "base/compat.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

#define REVOPS_EXTENSION	"pg_revops"
#define REVOPS_SCHEMA		"revops"

/* Longest subject key (person, account, opportunity, rep) and name (kind, channel, object ...), in bytes. */
#define REVOPS_MAX_KEY		512
#define REVOPS_MAX_OBJECT	2000

/* A string that need not end in NUL; data NULL means SQL NULL. */
typedef struct Str
{
	const char *data;
	int			len;
} Str;

/* What state is kept for. The order is that of the SQL enum revops.subject_kind. */
typedef enum SubjectKind
{
	SUBJECT_PERSON,
	SUBJECT_ACCOUNT,
	SUBJECT_OPPORTUNITY,
	SUBJECT_REP
} SubjectKind;

#define SUBJECT_KINDS 4

extern void RevopsBaseInit(void);

extern void ClockInit(void);

/* clock.c: revops.as_of if it is set, otherwise the start of the statement */
extern TimestampTz RevopsNow(void);

/* clock.c: is it time to tell of progress again? *told: when that was last, or when the work began (NoticeStart()) */
extern TimestampTz NoticeStart(void);
extern bool NoticeDue(TimestampTz *told);

/* clock.c: the interval that a setting's text gives; false: it is none. Throws nothing, as the hooks that check settings must not. */
extern bool IntervalSetting(const char *text, Interval *interval);

/* sql.c: the one door to SQL */
typedef struct SqlPlan
{
	const char *sql;			/* every name schema-qualified; parameters $1.. */
	int			nargs;
	Oid			argtypes[16];
	SPIPlanPtr	plan;			/* NULL until first used in this backend */
	bool		large;			/* values may be: planned once without them, as a plan with them in it would hold many copies */
} SqlPlan;

extern int	SqlConnect(void);	/* SPI_connect with search_path = pg_catalog, pg_temp; returns a level ... */
extern void SqlFinish(int level);	/* ... to give back here */
extern uint64 SqlRun(SqlPlan *plan, const Datum *values, const bool *isnull);	/* result in SPI_tuptable */
extern int64 SqlInt8(SqlPlan *plan, const Datum *values, const bool *isnull, int64 otherwise);

/* log.c: errors that repeat are logged at growing intervals */
extern bool LogDue(const char *kind, const ErrorData *error, int64 *unlogged);

/* names.c: OIDs of our own objects, by name, InvalidOid where absent */
extern bool ExtensionPresent(void);
extern Oid	RevopsRelid(const char *table);
extern Relation RevopsTableOpen(const char *table, LOCKMODE lock, Oid *primary_key);	/* ERROR where the table or its primary key is
																						 * gone */
extern Oid	RevopsTypeOid(const char *type);
extern const char *SubjectKindName(SubjectKind kind);
extern SubjectKind SubjectKindFromOid(Oid enumvalue);
extern Oid	SubjectKindOid(SubjectKind kind);

static inline Str
StrFrom(const char *s)
{
	Str			r = {s, s ? (int) strlen(s) : 0};

	return r;
}

static inline bool
StrEq(Str a, Str b)
{
	return a.len == b.len && a.data != NULL && b.data != NULL &&
		memcmp(a.data, b.data, a.len) == 0;
}

static inline int
StrCmp(Str a, Str b)
{
	int			n = memcmp(a.data, b.data, Min(a.len, b.len));

	return n != 0 ? n : a.len - b.len;
}

#endif							/* REVOPS_BASE_H */
