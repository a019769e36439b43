/*
 * attach.c
 *	  Attaching a table, reading its rows as its owner, and writing back to it.
 *
 * A mapping's expressions are the table owner's, so they run as the owner, in a restricted operation: a pass of the stream lends
 * them none of its own rights. All that is applied, and in which order, is in attach.sql; this file has what only C can do.
 */
#include "attach/attach.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

/* An attachment's source, open and locked. */
typedef struct Source
{
	Relation	rel;
	Mapping    *mapping;
	SourceKey	key;
	bool		write_back;
} Source;

static const char *const kinds[] = {"account", "person", "rep", "opportunity", "event"};

/* Open what an attachment is of. Needs SPI. */
static Source *
SourceOpen(int32 attachment, LOCKMODE mode)
{
	static SqlPlan load = {"SELECT a.source::oid, a.kind, a.mapping, a.write_back FROM revops.attached a WHERE a.attachment = $1", 1, {INT4OID}};
	Datum		arg = Int32GetDatum(attachment);
	Source	   *s = palloc0(sizeof(Source));
	Oid			relid;
	bool		isnull;
	HeapTuple	row;
	TupleDesc	desc;

	if (SqlRun(&load, &arg, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no attachment %d", attachment)));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	relid = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
	s->mapping = MappingRead(SPI_getvalue(row, desc, 2), DatumGetJsonbPCopy(SPI_getbinval(row, desc, 3, &isnull)));
	s->write_back = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	SPI_freetuptable(SPI_tuptable);
	s->rel = try_relation_open(relid, mode);
	if (s->rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the source of attachment %d does not exist any more", attachment)));
	if (!SourceKeyFind(s->rel, &s->key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" has no primary key any more", RelationGetRelationName(s->rel)),
				 errhint("Its rows are told apart by it. Add one, or revops.detach() the table.")));
	return s;
}

/* Be the source's owner for a while, with the time zone that expressions are read in. */
static void
BecomeOwner(const Source *s, Oid *user, int *context)
{
	const char *zone = GetConfigOption("revops.time_zone", true, false);

	if (zone != NULL && *zone != '\0')
		(void) set_config_option("TimeZone", zone, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(user, context);
	SetUserIdAndSecContext(s->rel->rd_rel->relowner, *context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

PG_FUNCTION_INFO_V1(revops_attach);
Datum
revops_attach(PG_FUNCTION_ARGS)
{
	static SqlPlan exists = {"SELECT count(*) FROM revops.attached WHERE source = $1 AND kind = $2", 2, {REGCLASSOID, TEXTOID}};
	static SqlPlan insert = {
		"INSERT INTO revops.attached (source, kind, mapping, write_back, event_space)"
		" VALUES ($1, $2, $3, $4, (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1))"
		" RETURNING attachment::bigint",
		4, {REGCLASSOID, TEXTOID, JSONBOID, BOOLOID}
	};
	static SqlPlan equip = {"SELECT revops.equip_attachment($1)", 1, {INT4OID}};
	static SqlPlan backfill = {"INSERT INTO revops.attachment_change (attachment, scope, n) VALUES ($1, 'all', 0)", 1, {INT4OID}};
	Oid			relid;
	char	   *kind;
	bool		known = false,
				write_back;
	Relation	rel,
				own;
	Mapping    *mapping;
	SourceKey	key;
	Oid			user;
	int			context,
				level;
	Datum		v[4],
				id;

	for (int i = 0; i < 5; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("no argument of revops.attach() may be NULL")));
	relid = PG_GETARG_OID(0);
	kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	write_back = PG_GETARG_BOOL(4);
	for (int i = 0; i < lengthof(kinds); i++)
		known = known || strcmp(kind, kinds[i]) == 0;
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no kind that a table can be attached as", kind),
				 errhint("There are account, person, rep, opportunity and event.")));
	if (write_back && strcmp(kind, "event") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events are not written back"), errhint("Leave write_back out.")));

	/* the lock of CREATE TRIGGER: whoever writes now ends first, so that nobody slips between the backfill and the triggers */
	rel = try_relation_open(relid, ShareRowExclusiveLock);
	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with OID %u", relid)));
	if ((rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) ||
		rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table that can be attached", RelationGetRelationName(rel)),
				 errdetail("Views, foreign and temporary tables tell nobody of their changes."),
				 errhint("Attach the table that it is made of, and put the rest into the mapping's expressions.")));
	own = table_open(RevopsRelid("attached"), AccessShareLock);
	if (RelationGetNamespace(rel) == RelationGetNamespace(own) || relid < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a table of the system or of pg_revops itself", RelationGetRelationName(rel))));
	if (!REVOPS_OWNS_RELATION(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
	if (rel->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partition", RelationGetRelationName(rel)),
				 errhint("Attach the partitioned table: writes to its partitions count too.")));
	if (!SourceKeyFind(rel, &key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" has no primary key", RelationGetRelationName(rel)),
				 errdetail("Its rows are told apart by a key of at most %d columns.", ATTACH_MAX_KEY_COLUMNS),
				 errhint("Add a primary key, or name a unique index of it with ALTER TABLE ... REPLICA IDENTITY USING INDEX.")));

	level = SqlConnect();
	mapping = MappingRead(kind, PG_GETARG_JSONB_P(2));
	MappingCheck(mapping, rel);

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(own->rd_rel->relowner, context | SECURITY_LOCAL_USERID_CHANGE);
	v[0] = ObjectIdGetDatum(relid);
	v[1] = PG_GETARG_DATUM(1);
	v[2] = PG_GETARG_DATUM(2);
	v[3] = BoolGetDatum(write_back);
	if (SqlInt8(&exists, v, NULL, 0) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is attached as \"%s\" already", RelationGetRelationName(rel), kind),
				 errhint("revops.detach() it first to attach it in another way.")));
	id = Int32GetDatum((int32) SqlInt8(&insert, v, NULL, 0));
	SqlRun(&equip, &id, NULL);
	if (PG_GETARG_BOOL(3))
		SqlRun(&backfill, &id, NULL);
	SetUserIdAndSecContext(user, context);
	SqlFinish(level);
	relation_close(own, NoLock);
	relation_close(rel, NoLock);
	if (PG_GETARG_BOOL(3))
		AttachQueued();
	PG_RETURN_INT32(DatumGetInt32(id));
}

/* The rows of some keys as the mapping has them; keys that are not there give none. */
PG_FUNCTION_INFO_V1(revops_attachment_rows);
Datum
revops_attachment_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[1] = {TEXTARRAYOID};
	Datum		keys = PG_GETARG_DATUM(1);
	Source	   *s;
	char	   *sql;
	Oid			user;
	int			context,
				level;

	InitMaterializedSRF(fcinfo, 0);
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), AccessShareLock);
	sql = MappingRowsSql(s->mapping, s->rel, &s->key);
	BecomeOwner(s, &user, &context);
	if (SPI_execute_with_args(sql, 1, types, &keys, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read an attached table");
	SetUserIdAndSecContext(user, context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		v[2];
		bool		null[2];

		for (int k = 0; k < 2; k++)
			v[k] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, k + 1, &null[k]);
		tuplestore_putvalues(result->setResult, result->setDesc, v, null);
	}
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	return (Datum) 0;
}

/* The keys of all rows of a source. */
PG_FUNCTION_INFO_V1(revops_attachment_keys);
Datum
revops_attachment_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Source	   *s;
	Portal		portal;
	char	   *sql;
	Oid			user;
	int			context,
				level;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), AccessShareLock);
	sql = SourceKeysSql(s->rel, &s->key);
	BecomeOwner(s, &user, &context);
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, 10000);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			Datum		key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			tuplestore_putvalues(result->setResult, result->setDesc, &key, &isnull);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SetUserIdAndSecContext(user, context);
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	return (Datum) 0;
}

/*
 * Set one field of a source's row, if it is read from a plain column and has the value there that we know. Returns what the column has
 * then, as JSON; NULL if the field is not one that can be written.
 */
PG_FUNCTION_INFO_V1(revops_attachment_update);
Datum
revops_attachment_update(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	char	   *field;
	Datum		v[2];
	char		null[2] = {' ', ' '};
	const MapEntry *entry = NULL;
	const char *column,
			   *read;
	char	   *condition;
	Source	   *s;
	Form_pg_attribute a;
	Oid			user;
	int			context,
				level;
	bool		isnull;
	char	   *found,
			   *known = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	Datum		written;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	field = text_to_cstring(PG_GETARG_TEXT_PP(2));
	v[0] = PG_GETARG_DATUM(1);
	v[1] = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
	null[1] = PG_ARGISNULL(3) ? 'n' : ' ';
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), RowExclusiveLock);
	BecomeOwner(s, &user, &context);
	column = s->write_back ? MappingPlainColumn(s->mapping, s->rel, field, &entry) : NULL;
	if (column == NULL || *column == '\0')
	{
		SetUserIdAndSecContext(user, context);
		relation_close(s->rel, NoLock);
		SqlFinish(level);
		PG_RETURN_NULL();
	}
	a = TupleDescAttr(RelationGetDescr(s->rel), get_attnum(RelationGetRelid(s->rel), column) - 1);
	condition = SourceKeyCondition(s->rel, &s->key, "$1");
	read = entry->property ? quote_identifier(column) : psprintf("CAST(%s AS %s)", quote_identifier(column), entry->type);

	if (SPI_execute_with_args(psprintf("SELECT to_jsonb(%s) #>> '{}' FROM %s WHERE %s FOR NO KEY UPDATE", read, SourceName(s->rel), condition),
							  1, types, v, null, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a row of an attached table");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" was not written back: the row is not in table \"%s\" any more", field, RelationGetRelationName(s->rel)),
				 errhint("It is taken over from there in a moment.")));
	found = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if ((found == NULL) != (known == NULL) || (found != NULL && strcmp(found, known) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" was not written back: it has been changed in table \"%s\" since", field, RelationGetRelationName(s->rel)),
				 errdetail("It was %s%s%s and is %s%s%s there now.", known ? "\"" : "", known ? known : "empty", known ? "\"" : "",
						   found ? "\"" : "", found ? found : "empty", found ? "\"" : ""),
				 errhint("The newer value stands. It is taken over from there in a moment.")));
	if (SPI_execute_with_args(psprintf("UPDATE %s SET %s = CAST($2 AS %s) WHERE %s RETURNING to_jsonb(%s)", SourceName(s->rel),
									   quote_identifier(column),
									   format_type_extended(a->atttypid, a->atttypmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
									   condition, read),
							  2, types, v, null, false, 0) != SPI_OK_UPDATE_RETURNING || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" was not written back: table \"%s\" did not take it", field, RelationGetRelationName(s->rel)),
				 errhint("A trigger or a policy of the table keeps its owner from writing the row.")));
	SetUserIdAndSecContext(user, context);
	written = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		written = DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
	written = SPI_datumTransfer(written, false, -1);
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	PG_RETURN_DATUM(written);
}

bool
AttachApply(bool by_hand)
{
	static SqlPlan waiting = {"SELECT EXISTS (SELECT FROM revops.attachment_change)::int::bigint", 0};
	static SqlPlan apply = {"SELECT revops.apply_attachments_behind($1)::int::bigint", 1, {BOOLOID}};
	Datum		arg = BoolGetDatum(by_hand);

	return SqlInt8(&waiting, NULL, NULL, 0) > 0 && SqlInt8(&apply, &arg, NULL, 0) > 0;
}
