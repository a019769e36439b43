/*
 * standins.c
 *	  What the rule compiler uses of the server, in as few lines as do, so that it runs under a fuzzer with AddressSanitizer.
 *
 * Each palloc is a malloc of its own, so that a byte read or written too far is seen. An ERROR jumps as in the server. Strings,
 * hashes, encodings and number formats are the server's own, from libpgcommon and libpgport. Numbers of jsonb are doubles here;
 * there is no jsonb, no catalog, and a few time zones that are all UTC.
 */
#include "standins.h"

#include <math.h>

#include "common/unicode_norm.h"
#include "event/event.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* ---------- memory ---------- */

/* The context is right before the bytes, where PostgreSQL 15 looks for it */
typedef struct Chunk
{
	struct Chunk *prev;
	struct Chunk *next;
	Size		size;
	MemoryContext context;
} Chunk;

typedef struct Context
{
	MemoryContextData base;
	Chunk		head;			/* of a ring */
} Context;

MemoryContext CurrentMemoryContext = NULL;
MemoryContext TopMemoryContext = NULL;
MemoryContext CacheMemoryContext = NULL;
int			StandinContexts = 0;

static inline Chunk *
ChunkOf(void *p)
{
	return (Chunk *) p - 1;
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	Context    *c = (Context *) context;
	Chunk	   *chunk;

	if (!AllocSizeIsValid(size))
		abort();
	chunk = malloc(sizeof(Chunk) + size);
	chunk->size = size;
	chunk->context = context;
	chunk->next = c->head.next;
	chunk->prev = &c->head;
	chunk->next->prev = chunk->prev->next = chunk;
	/* what is not set is not zero either */
	memset(chunk + 1, 0x7F, size);
	return chunk + 1;
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return memset(MemoryContextAlloc(context, size), 0, size);
}

void *
MemoryContextAllocZeroAligned(MemoryContext context, Size size)
{
	return MemoryContextAllocZero(context, size);
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return MemoryContextAllocZero(context, size);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return MemoryContextAlloc(context, size);
}

void *
palloc(Size size)
{
	return MemoryContextAlloc(CurrentMemoryContext, size);
}

void *
palloc0(Size size)
{
	return MemoryContextAllocZero(CurrentMemoryContext, size);
}

void *
palloc_extended(Size size, int flags)
{
	return palloc0(size);
}

void
pfree(void *p)
{
	Chunk	   *chunk = ChunkOf(p);

	chunk->prev->next = chunk->next;
	chunk->next->prev = chunk->prev;
	free(chunk);
}

void *
repalloc(void *p, Size size)
{
	void	   *r = MemoryContextAlloc(ChunkOf(p)->context, size);

	memcpy(r, p, Min(size, ChunkOf(p)->size));
	pfree(p);
	return r;
}

void *
repalloc_huge(void *p, Size size)
{
	return repalloc(p, size);
}

char *
pnstrdup(const char *s, Size len)
{
	Size		n = strnlen(s, len);
	char	   *r = palloc(n + 1);

	memcpy(r, s, n);
	r[n] = '\0';
	return r;
}

char *
pstrdup(const char *s)
{
	return pnstrdup(s, strlen(s));
}

char *
MemoryContextStrdup(MemoryContext context, const char *s)
{
	return strcpy(MemoryContextAlloc(context, strlen(s) + 1), s);
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size init, Size max)
{
	Context    *c = calloc(1, sizeof(Context));

	c->base.type = T_AllocSetContext;
	c->base.name = name;
	c->head.prev = c->head.next = &c->head;
	c->base.parent = parent;
	if (parent != NULL)
	{
		c->base.nextchild = parent->firstchild;
		if (parent->firstchild != NULL)
			parent->firstchild->prevchild = &c->base;
		parent->firstchild = &c->base;
	}
	StandinContexts++;
	return &c->base;
}

void
MemoryContextDelete(MemoryContext context)
{
	Context    *c = (Context *) context;

	if (context == CurrentMemoryContext)
		abort();
	while (context->firstchild != NULL)
		MemoryContextDelete(context->firstchild);
	while (context->reset_cbs != NULL)
	{
		MemoryContextCallback *cb = context->reset_cbs;

		context->reset_cbs = cb->next;
		cb->func(cb->arg);
	}
	while (c->head.next != &c->head)
		pfree(c->head.next + 1);
	if (context->prevchild != NULL)
		context->prevchild->nextchild = context->nextchild;
	else if (context->parent != NULL)
		context->parent->firstchild = context->nextchild;
	if (context->nextchild != NULL)
		context->nextchild->prevchild = context->prevchild;
	free(c);
	StandinContexts--;
}

void
MemoryContextSetParent(MemoryContext context, MemoryContext parent)
{
	if (context->prevchild != NULL)
		context->prevchild->nextchild = context->nextchild;
	else if (context->parent != NULL)
		context->parent->firstchild = context->nextchild;
	if (context->nextchild != NULL)
		context->nextchild->prevchild = context->prevchild;
	context->parent = parent;
	context->prevchild = context->nextchild = NULL;
	if (parent == NULL)
		return;
	context->nextchild = parent->firstchild;
	if (parent->firstchild != NULL)
		parent->firstchild->prevchild = context;
	parent->firstchild = context;
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *cb)
{
	cb->next = context->reset_cbs;
	context->reset_cbs = cb;
}

#if PG_VERSION_NUM >= 160000
MemoryContext
GetMemoryChunkContext(void *p)
{
	return ChunkOf(p)->context;
}
#endif

/* ---------- errors ---------- */

sigjmp_buf *PG_exception_stack = NULL;
ErrorContextCallback *error_context_stack = NULL;
StandinError standin_error;

static bool
Start(int elevel)
{
	if (elevel < ERROR)
		return false;
	memset(&standin_error, 0, sizeof(standin_error));
	standin_error.code = ERRCODE_INTERNAL_ERROR;
	return true;
}

bool
errstart(int elevel, const char *domain)
{
	return Start(elevel);
}

bool
errstart_cold(int elevel, const char *domain)
{
	return Start(elevel);
}

/* Whoever catches an ERROR finds himself in ErrorContext. */
void
errfinish(const char *filename, int lineno, const char *funcname)
{
	static MemoryContext error_context = NULL;

	if (error_context == NULL)
	{
		error_context = AllocSetContextCreateInternal(NULL, "ErrorContext", 0, 0, 0);
		StandinContexts--;
	}
	CurrentMemoryContext = error_context;
	pg_re_throw();
}

void
pg_re_throw(void)
{
	if (PG_exception_stack == NULL)
		abort();
	siglongjmp(*PG_exception_stack, 1);
}

int
errcode(int sqlerrcode)
{
	standin_error.code = sqlerrcode;
	return 0;
}

#define FORMAT(into) \
	do { \
		va_list		args; \
		va_start(args, fmt); \
		vsnprintf(into, sizeof(into), fmt, args); \
		va_end(args); \
	} while (0)

int
errmsg(const char *fmt,...)
{
	FORMAT(standin_error.message);
	return 0;
}

int
errmsg_internal(const char *fmt,...)
{
	FORMAT(standin_error.message);
	return 0;
}

int
errdetail(const char *fmt,...)
{
	FORMAT(standin_error.detail);
	return 0;
}

int
errhint(const char *fmt,...)
{
	return 0;
}

#if PG_VERSION_NUM >= 160000
void
ExceptionalCondition(const char *condition, const char *file, int line)
#else
void
ExceptionalCondition(const char *condition, const char *type, const char *file, int line)
#endif
{
	fprintf(stderr, "Assert failed: %s, %s:%d\n", condition, file, line);
	abort();
}

/* ---------- encodings: UTF-8 all over ---------- */

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

char *
pg_any_to_server(const char *s, int len, int encoding)
{
	if (pg_encoding_verifymbstr(PG_UTF8, s, len) != len)
		abort();
	return unconstify(char *, s);
}

char *
pg_server_to_any(const char *s, int len, int encoding)
{
	return unconstify(char *, s);
}

int
pg_encoding_mbcliplen(int encoding, const char *s, int len, int limit)
{
	int			n = 0;

	while (n < len && s[n] != '\0')
	{
		int			l = pg_encoding_mblen(encoding, s + n);

		if (n + l > limit)
			break;
		n += l;
	}
	return n;
}

bool
pg_verifymbstr(const char *s, int len, bool no_error)
{
	bool		valid = pg_encoding_verifymbstr(PG_UTF8, s, len) == len;

	if (!valid && !no_error)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("invalid byte sequence")));
	return valid;
}

int
pg_mblen(const char *s)
{
	return pg_encoding_mblen(PG_UTF8, s);
}

int
pg_mbcliplen(const char *s, int len, int limit)
{
	return pg_encoding_mbcliplen(PG_UTF8, s, len, limit);
}

/* libpgcommon's gives malloc'd memory, the server's palloc'd (run.sh has the linker put this one in its place) */
extern pg_wchar *__real_unicode_normalize(UnicodeNormalizationForm form, const pg_wchar *input);
extern pg_wchar *__wrap_unicode_normalize(UnicodeNormalizationForm form, const pg_wchar *input);

pg_wchar *
__wrap_unicode_normalize(UnicodeNormalizationForm form, const pg_wchar *input)
{
	pg_wchar   *normal = __real_unicode_normalize(form, input);
	pg_wchar   *copy;
	Size		n = 0;

	while (normal[n] != 0)
		n++;
	copy = palloc((n + 1) * sizeof(pg_wchar));
	memcpy(copy, normal, (n + 1) * sizeof(pg_wchar));
	free(normal);
	return copy;
}

/* ---------- the binary form of values: in network order ---------- */

const char *
pq_getmsgbytes(StringInfo in, int n)
{
	if (n < 0 || n > in->len - in->cursor)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("insufficient data left in message")));
	in->cursor += n;
	return in->data + in->cursor - n;
}

static uint64
Number(StringInfo in, int bytes)
{
	const unsigned char *p = (const unsigned char *) pq_getmsgbytes(in, bytes);
	uint64		v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

int
pq_getmsgbyte(StringInfo in)
{
	return (int) Number(in, 1);
}

unsigned int
pq_getmsgint(StringInfo in, int bytes)
{
	return (unsigned int) Number(in, bytes);
}

int64
pq_getmsgint64(StringInfo in)
{
	return (int64) Number(in, 8);
}

#if PG_VERSION_NUM < 160000
typedef char void_or_char;
#else
typedef void void_or_char;
#endif

void
pq_sendbytes(StringInfo out, const void_or_char *data, int n)
{
	appendBinaryStringInfo(out, data, n);
}

void
pq_begintypsend(StringInfo out)
{
	initStringInfo(out);
	appendBinaryStringInfo(out, "\0\0\0\0", 4);
}

bytea *
pq_endtypsend(StringInfo out)
{
	SET_VARSIZE(out->data, out->len);
	return (bytea *) out->data;
}

static int
HexDigit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid hexadecimal digit")));
}

uint64
hex_encode(const char *from, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++)
	{
		to[2 * i] = "0123456789abcdef"[(unsigned char) from[i] >> 4];
		to[2 * i + 1] = "0123456789abcdef"[(unsigned char) from[i] & 15];
	}
	return 2 * n;
}

uint64
hex_decode(const char *from, size_t n, char *to)
{
	for (size_t i = 0; i < n / 2; i++)
		to[i] = (char) (HexDigit(from[2 * i]) << 4 | HexDigit(from[2 * i + 1]));
	return n / 2;
}

/* ---------- time ---------- */

/* a zone that is five hours behind, and after 180 days four, and so on; the others are UTC */
#define CHANGING_ZONE	"Test/Changing"
#define CHANGING_SECS	(180 * SECS_PER_DAY)

pg_tz *
pg_tzset(const char *name)
{
	static const char *const names[] = {"UTC", "Asia/Shanghai", "Asia/Tokyo", "America/New_York", CHANGING_ZONE};

	for (int i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(names[i], name) == 0)
			return (pg_tz *) names[i];
	return NULL;
}

bool
pg_tz_acceptable(pg_tz *tz)
{
	return true;
}

int
pg_next_dst_boundary(const pg_time_t *at, long int *before_offset, int *before_dst, pg_time_t *boundary, long int *after_offset, int *after_dst, const pg_tz *tz)
{
	pg_time_t	period = *at / CHANGING_SECS - (*at % CHANGING_SECS < 0);

	*before_offset = 0;
	*before_dst = 0;
	if (strcmp((const char *) tz, CHANGING_ZONE) != 0)
		return 0;
	*before_offset = (period % 2 == 0 ? -5 : -4) * SECS_PER_HOUR;
	*after_offset = (period % 2 == 0 ? -4 : -5) * SECS_PER_HOUR;
	*after_dst = 0;
	*boundary = (period + 1) * CHANGING_SECS;
	return 1;
}

int
j2day(int julian)
{
	return (julian + 1) % 7;
}

/* Days before the year, in the proleptic Gregorian calendar */
static int64
DaysBefore(int64 year)
{
	year--;
	return year * 365 + year / 4 - year / 100 + year / 400;
}

int
date2j(int year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return (int) (DaysBefore(year) - DaysBefore(2000)) + before[month - 1] + (leap && month > 2) + day - 1 + POSTGRES_EPOCH_JDATE;
}

const int	day_tab[2][13] = {
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
	{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}
};

void
j2date(int julian, int *year, int *month, int *day)
{
	int64		days = (int64) julian - POSTGRES_EPOCH_JDATE + DaysBefore(2000);

	*year = (int) (days / 366);
	while (DaysBefore(*year + 1) <= days)
		(*year)++;
	*month = 12;
	while (date2j(*year, *month, 1) > julian)
		(*month)--;
	*day = julian - date2j(*year, *month, 1) + 1;
}

int
timestamp2tm(Timestamp t, int *offset, struct pg_tm *tm, fsec_t *fsec, const char **name, pg_tz *zone)
{
	int64		day = t / USECS_PER_DAY - (t % USECS_PER_DAY < 0);
	int64		rest = t - day * USECS_PER_DAY;
	int			year = 2000 + (int) (day / 366);

	if (day < 0 || day > 366 * 1000)
		return -1;
	while (DaysBefore(year + 1) - DaysBefore(2000) <= day)
		year++;
	tm->tm_year = year;
	tm->tm_mon = 12;
	while (date2j(year, tm->tm_mon, 1) - POSTGRES_EPOCH_JDATE > day)
		tm->tm_mon--;
	tm->tm_mday = (int) (day - (date2j(year, tm->tm_mon, 1) - POSTGRES_EPOCH_JDATE)) + 1;
	tm->tm_hour = rest / USECS_PER_HOUR;
	tm->tm_min = rest / USECS_PER_MINUTE % 60;
	tm->tm_sec = rest / USECS_PER_SEC % 60;
	*fsec = rest % USECS_PER_SEC;
	*offset = 0;
	return 0;
}

/* ---------- functions by Datum, numbers ---------- */

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum a)
{
	LOCAL_FCINFO(fcinfo, 1);

	memset(fcinfo, 0, SizeForFunctionCallInfo(1));
	fcinfo->args[0].value = a;
	return func(fcinfo);
}

Datum
DirectFunctionCall2Coll(PGFunction func, Oid collation, Datum a, Datum b)
{
	LOCAL_FCINFO(fcinfo, 2);

	memset(fcinfo, 0, SizeForFunctionCallInfo(2));
	fcinfo->args[0].value = a;
	fcinfo->args[1].value = b;
	return func(fcinfo);
}

Datum
DirectFunctionCall3Coll(PGFunction func, Oid collation, Datum a, Datum b, Datum c)
{
	LOCAL_FCINFO(fcinfo, 3);

	memset(fcinfo, 0, SizeForFunctionCallInfo(3));
	fcinfo->args[0].value = a;
	fcinfo->args[1].value = b;
	fcinfo->args[2].value = c;
	return func(fcinfo);
}

static Datum
NumberDatum(double v)
{
	double	   *p = palloc(sizeof(double));

	*p = v;
	return PointerGetDatum(p);
}

#define NUMBER(i)	(*(double *) PG_GETARG_POINTER(i))

Numeric
int64_to_numeric(int64 v)
{
	return (Numeric) DatumGetPointer(NumberDatum((double) v));
}

Datum
numeric_in(PG_FUNCTION_ARGS)
{
	char	   *end;
	double		v = strtod(PG_GETARG_CSTRING(0), &end);

	if (*end != '\0' || isnan(v))
		abort();
	return NumberDatum(v);
}

Datum
numeric_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(NUMBER(0) < NUMBER(1) ? -1 : NUMBER(0) > NUMBER(1));
}

Datum
numeric_mul(PG_FUNCTION_ARGS)
{
	return NumberDatum(NUMBER(0) * NUMBER(1));
}

Datum
numeric_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) NUMBER(0));
}

Datum
numeric_float8_no_overflow(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(NUMBER(0));
}

Datum
float8_numeric(PG_FUNCTION_ARGS)
{
	return NumberDatum(PG_GETARG_FLOAT8(0));
}

Datum
hash_numeric(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) fmod(fabs(NUMBER(0)), 65536));
}

Datum
hash_numeric_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64((uint64) fmod(fabs(NUMBER(0)), 4294967296.0));
}

/* ---------- the rest ---------- */

/* the longer, the better */
static double
Feel(const char *body, int len)
{
	return (len % 21) / 10.0 - 1;
}

EventFeeler event_feeler = Feel;

volatile sig_atomic_t InterruptPending = false;

void
ProcessInterrupts(void)
{
}

void
check_stack_depth(void)
{
}

struct varlena *
pg_detoast_datum(struct varlena *d)
{
	return d;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *d)
{
	return d;
}

text *
cstring_to_text_with_len(const char *s, int len)
{
	text	   *t = palloc(VARHDRSZ + len);

	SET_VARSIZE(t, VARHDRSZ + len);
	memcpy(VARDATA(t), s, len);
	return t;
}

char *
text_to_cstring(const text *t)
{
	return pnstrdup(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

char	   *GUC_check_errdetail_string;
char	   *GUC_check_errhint_string;

void
pre_format_elog_string(int errnumber, const char *domain)
{
}

char *
format_elog_string(const char *fmt,...)
{
	return NULL;
}

/* revops.time_zone is UTC */
void
DefineCustomStringVariable(const char *name, const char *short_desc, const char *long_desc, char **value, const char *boot, GucContext context,
						   int flags, GucStringCheckHook check, GucStringAssignHook assign, GucShowHook show)
{
	*value = unconstify(char *, boot);
}

/* Events have no properties here. */
JsonbValue *
getKeyJsonValueFromContainer(JsonbContainer *container, const char *key, int len, JsonbValue *result)
{
	abort();
}

JsonbValue *
getIthJsonbValueFromContainer(JsonbContainer *container, uint32 i)
{
	abort();
}

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	abort();
}

JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **it, JsonbValue *value, bool skip)
{
	abort();
}

void
EventAttributesWant(SubjectKind owner, Str property)
{
	if (owner < 0 || owner >= EVENT_ATTRIBUTES)
		abort();
}

void
EventIntentsWant(void)
{
}

const char *
SubjectKindName(SubjectKind kind)
{
	static const char *const names[SUBJECT_KINDS] = {"person", "account", "opportunity", "rep"};

	return names[kind];
}
