/*
 * access.c
 *	  Who asks, and what they may see.
 *
 * The policies are read with the rights of whoever asks, who may read neither reps nor permissions. So these functions take the role that asks
 * first, and then look it up as the owner of our tables. They take no role as an argument: nobody can ask what another one sees.
 */
#include "access/access.h"

#include "capture/capture.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(revops_current_rep);
PG_FUNCTION_INFO_V1(revops_sees_all);
PG_FUNCTION_INFO_V1(revops_seen);
PG_FUNCTION_INFO_V1(revops_sees);
PG_FUNCTION_INFO_V1(revops_caller_sees);
PG_FUNCTION_INFO_V1(revops_caller_bound);

/* What is needed to go back to the role that asked. */
typedef struct Asker
{
	Oid			role;
	int			context;
	int			level;
	Datum		login;			/* name of the role */
} Asker;

/* From here on, with the rights of the owner of our tables; after an error the (sub)transaction's end gives back what was before. */
static void
ActAsOwner(Asker *asker, Oid role)
{
	Relation	rep;

	GetUserIdAndSecContext(&asker->role, &asker->context);
	asker->login = CStringGetTextDatum(GetUserNameFromId(role, false));
	rep = table_open(RevopsRelid("rep"), AccessShareLock);
	SetUserIdAndSecContext(rep->rd_rel->relowner, asker->context | SECURITY_LOCAL_USERID_CHANGE);
	table_close(rep, NoLock);
	asker->level = SqlConnect();
}

static void
ActAsBefore(const Asker *asker)
{
	SqlFinish(asker->level);
	SetUserIdAndSecContext(asker->role, asker->context);
}

/*
 * The rep of a role, in the caller's memory: the one whose login it is, or else, where it is no rep's, the one whose login began the session.
 * So no rep gets rid of what bounds them by SET ROLE to a role they are a member of, nor by a function that such a role owns.
 */
static text *
RepOf(SqlPlan *plan, Oid role)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[2];
	Asker		asker;
	text	   *rep = NULL;

	values[1] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	ActAsOwner(&asker, role);
	values[0] = asker.login;
	if (SqlRun(plan, values, NULL) > 0)
	{
		bool		null;
		Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);

		MemoryContextSwitchTo(context);
		rep = DatumGetTextPCopy(d);
	}
	ActAsBefore(&asker);
	return rep;
}

#define REP_OF_LOGINS \
	"(SELECT r.rep FROM revops.rep r WHERE r.login IN ($1 COLLATE \"C\", $2 COLLATE \"C\") ORDER BY r.login <> $1 COLLATE \"C\" LIMIT 1)"

Datum
revops_current_rep(PG_FUNCTION_ARGS)
{
	static SqlPlan plan = {"SELECT r.rep FROM " REP_OF_LOGINS " r", 2, {TEXTOID, TEXTOID}};
	text	   *rep = RepOf(&plan, GetUserId());

	if (rep == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(rep);
}

/* Whether no rep bounds a role whatever its login: superusers, administrators, and the owner of our tables, as whom our functions run. */
static bool
IsUnbound(Oid role)
{
	Oid			admin = get_role_oid("revops_admin", true);
	Oid			table = RevopsRelid("rep");

	return superuser_arg(role) || (OidIsValid(admin) && has_privs_of_role(role, admin)) ||
		(OidIsValid(table) && REVOPS_OWNS_RELATION(table, role));
}

/*
 * The rep whose sight bounds a role; NULL: none. That is so for administrators, for roles that are no rep's in sessions that are no rep's (an
 * application, a report: their grants bound them) and for reps who may see everything.
 */
static text *
BoundRep(Oid role)
{
	static SqlPlan plan = {"SELECT r.rep FROM " REP_OF_LOGINS " r WHERE NOT revops.rep_sees_all(r.rep)", 2, {TEXTOID, TEXTOID}};

	return IsUnbound(role) ? NULL : RepOf(&plan, role);
}

Datum
revops_sees_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(BoundRep(GetUserId()) == NULL);
}

static SqlPlan seen_plans[SUBJECT_KINDS] = {
	{"SELECT revops.rep_sees_persons($1)", 1, {TEXTOID}},
	{"SELECT revops.rep_sees_accounts($1)", 1, {TEXTOID}},
	{"SELECT revops.rep_sees_opportunities($1)", 1, {TEXTOID}},
	{"SELECT revops.rep_sees_reps($1)", 1, {TEXTOID}},
};

/* seen(kind): keys of what the current role sees; nothing for one that no rep bounds, since sees_all() speaks for those. */
Datum
revops_seen(PG_FUNCTION_ARGS)
{
	SubjectKind kind = SubjectKindFromOid(PG_GETARG_OID(0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		rep = PointerGetDatum(BoundRep(GetUserId()));
	Asker		asker;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (DatumGetPointer(rep) == NULL)
		return (Datum) 0;
	ActAsOwner(&asker, GetUserId());
	SqlRun(&seen_plans[kind], &rep, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		null;
		Datum		d = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);

		CHECK_FOR_INTERRUPTS();
		if (!null)
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &d, &null);
	}
	ActAsBefore(&asker);
	return (Datum) 0;
}

/* sees(kind, key): one subject, for functions; the policies go by seen(), once for each query. */
static bool
Sees(Oid role, SubjectKind kind, Datum key)
{
	static SqlPlan plan = {"SELECT revops.rep_sees($1, $2, $3)::int::int8", 3, {TEXTOID, INT4OID, TEXTOID}};
	Datum		values[3] = {PointerGetDatum(BoundRep(role)), Int32GetDatum(kind), key};
	Asker		asker;
	bool		seen;

	if (DatumGetPointer(values[0]) == NULL)
		return true;
	ActAsOwner(&asker, role);
	seen = SqlInt8(&plan, values, NULL, 0) != 0;
	ActAsBefore(&asker);
	return seen;
}

Datum
revops_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Sees(GetUserId(), SubjectKindFromOid(PG_GETARG_OID(0)), PG_GETARG_DATUM(1)));
}

/* The same, asked inside a function that runs as its owner: of the role that called it. */
Datum
revops_caller_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(Sees(GetOuterUserId(), SubjectKindFromOid(PG_GETARG_OID(0)), PG_GETARG_DATUM(1)));
}

/* caller_bound(): the rep who bounds the role that called the function; NULL: none. */
Datum
revops_caller_bound(PG_FUNCTION_ARGS)
{
	text	   *rep = BoundRep(GetOuterUserId());

	if (rep == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(rep);
}

/*
 * Who writes events, found out once for each transaction: whether no rep bounds the role (unbound: superusers, administrators, the owner), and
 * else the rep who does, if one does.
 */
typedef struct Writer
{
	TimestampTz transaction;	/* that it holds for */
	Oid			role;
	Oid			session;
	bool		unbound;
	Str			rep;			/* data NULL: none */
	char		last[SUBJECT_KINDS][REVOPS_MAX_KEY + 1];	/* keys that were seen last */
	int			last_len[SUBJECT_KINDS];
} Writer;

static const Writer *
CurrentWriter(Writer *w)
{
	Oid			role = GetOuterUserId();
	text	   *rep;

	if (w->transaction == GetCurrentTransactionStartTimestamp() && w->role == role && w->session == GetSessionUserId())
		return w;
	w->transaction = 0;
	if (w->rep.data != NULL)
		pfree((char *) w->rep.data);
	w->rep = StrFrom(NULL);
	for (int k = 0; k < SUBJECT_KINDS; k++)
		w->last_len[k] = -1;
	w->unbound = IsUnbound(role);
	rep = w->unbound ? NULL : BoundRep(role);
	if (rep != NULL)
		w->rep = StrFrom(MemoryContextStrdup(TopMemoryContext, text_to_cstring(rep)));
	w->role = role;
	w->session = GetSessionUserId();
	w->transaction = GetCurrentTransactionStartTimestamp();
	return w;
}

/* Does the rep who writes see this key? */
static void
CheckKey(Writer *w, SubjectKind kind, Datum key)
{
	text	   *t = DatumGetTextPP(key);
	int			len = VARSIZE_ANY_EXHDR(t);

	if (len == w->last_len[kind] && memcmp(w->last[kind], VARDATA_ANY(t), len) == 0)
		return;
	if (!Sees(w->role, kind, PointerGetDatum(t)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("you may not write an event of %s \"%s\"", SubjectKindName(kind), text_to_cstring(t)),
				 errhint("A rep writes events of customers whom they see.")));
	w->last_len[kind] = len;
	memcpy(w->last[kind], VARDATA_ANY(t), len);
}

/* A rep writes in their own name, of customers whom they see */
static bool
CheckWriter(const Datum *keys, const bool *isnull)
{
	static Writer writer;
	static const SubjectKind kinds[] = {SUBJECT_PERSON, SUBJECT_ACCOUNT, SUBJECT_OPPORTUNITY};
	const Writer *w = CurrentWriter(&writer);

	if (w->rep.data == NULL)
		return w->unbound;
	if (!isnull[3] && !StrEq(StrFrom(text_to_cstring(DatumGetTextPP(keys[3]))), w->rep))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("you may not write an event of another rep than \"%s\"", w->rep.data)));
	for (int k = 0; k < lengthof(kinds); k++)
		if (!isnull[k])
			CheckKey(&writer, kinds[k], keys[k]);
	return false;
}

void
AccessInit(void)
{
	capture_writer_hook = CheckWriter;
}
