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

/* Who we were before BecomeOwner(). */
typedef struct Self
{
	Oid			user;
	int			context;
	int			settings;
} Self;

/* Be the source's owner for a while, with the time zone that expressions are read in. After an error the (sub)transaction's end does BeSelf(). */
static Self
BecomeOwner(const Source *s)
{
	const char *zone = GetConfigOption("revops.time_zone", true, false);
	Self		self;

	self.settings = NewGUCNestLevel();
	if (zone != NULL && *zone != '\0')
		(void) set_config_option("TimeZone", zone, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&self.user, &self.context);
	SetUserIdAndSecContext(s->rel->rd_rel->relowner, self.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	return self;
}

/* Be who we were. What the owner's code has set goes: a search_path that stayed would bend what we run next, with our rights. */
static void
BeSelf(Self self)
{
	AtEOXact_GUC(false, self.settings);
	SetUserIdAndSecContext(self.user, self.context);
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
	Self		self;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), AccessShareLock);
	sql = MappingRowsSql(s->mapping, s->rel, &s->key);
	self = BecomeOwner(s);
	if (SPI_execute_with_args(sql, 1, types, &keys, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read an attached table");
	BeSelf(self);
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
	Self		self;
	int			level;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), AccessShareLock);
	sql = SourceKeysSql(s->rel, &s->key);
	self = BecomeOwner(s);
	/* a key's text is that which the triggers give it */
	(void) set_config_option("TimeZone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
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
	BeSelf(self);
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	return (Datum) 0;
}

/* Why a value was not written back; no message: it was. */
typedef struct Refusal
{
	char	   *message;
	char	   *detail;			/* or NULL */
	char	   *hint;
} Refusal;

/* Values for one field of rows of a source, told by their keys. */
typedef struct WriteBack
{
	int			n;
	Datum	   *keys;			/* text */
	Datum	   *values;			/* text; NULL where novalue */
	bool	   *novalue;
	char	  **known;			/* what we have read there last; NULL: nothing */
	Datum	   *written;		/* jsonb, in the memory of the statement that wrote it */
	Refusal    *refused;
} WriteBack;

static const char *
Quoted(const char *value)
{
	return value ? psprintf("\"%s\"", value) : "empty";
}

/* The texts of rows i for which chosen[i], as an array for SQL. */
static Datum
ChosenTexts(const WriteBack *w, const Datum *texts, const bool *nulls, const bool *chosen, int nchosen)
{
	Datum	   *elems = palloc((nchosen + 1) * sizeof(Datum));
	bool	   *none = palloc0((nchosen + 1) * sizeof(bool));
	int			lower = 1,
				k = 0;

	for (int i = 0; i < w->n; i++)
	{
		if (!chosen[i])
			continue;
		none[k] = nulls != NULL && nulls[i];
		elems[k++] = texts[i];
	}
	return PointerGetDatum(construct_md_array(elems, none, 1, &nchosen, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Run SQL that returns (place in the arrays, something). */
static void
RunOnRows(const char *sql, int nargs, Datum *args, int expected)
{
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};

	if (SPI_execute_with_args(sql, nargs, types, args, NULL, false, 0) != expected)
		elog(ERROR, "could not write to an attached table");
}

/*
 * Set one field of rows, where it is read from a plain column, and that has the value that we know; of the others refused[] says why not.
 * False: the field is not one that can be written. To be called as the source's owner.
 */
static bool
WriteRows(const Source *s, const char *field, WriteBack *w)
{
	const MapEntry *entry = NULL;
	const char *column = s->write_back ? MappingPlainColumn(s->mapping, s->rel, field, &entry) : NULL,
			   *name = quote_identifier(RelationGetRelationName(s->rel)),
			   *table = RelationGetRelationName(s->rel);
	bool	   *chosen = palloc(w->n * sizeof(bool));
	int		   *place = palloc(w->n * sizeof(int));
	int			nchosen = 0;
	Form_pg_attribute a;
	char	   *condition,
			   *read;
	Datum		args[2];

	if (column == NULL || *column == '\0')
		return false;
	a = TupleDescAttr(RelationGetDescr(s->rel), get_attnum(RelationGetRelid(s->rel), column) - 1);
	condition = SourceKeyCondition(s->rel, &s->key, "revops_k.revops_key");
	read = psprintf("%s.%s", name, quote_identifier(column));
	if (!entry->property)
		read = psprintf("CAST(%s AS %s)", read, entry->type);

	/* lock them, in the order given, and see what they have by now */
	memset(chosen, true, w->n * sizeof(bool));
	args[0] = ChosenTexts(w, w->keys, NULL, chosen, w->n);
	for (int i = 0; i < w->n; i++)
	{
		w->refused[i].message = psprintf("\"%s\" was not written back: the row is not in table \"%s\" any more", field, table);
		w->refused[i].detail = NULL;
		w->refused[i].hint = "It is taken over from there in a moment.";
		chosen[i] = false;
	}
	RunOnRows(psprintf("SELECT revops_k.revops_n, to_jsonb(%s) #>> '{}' FROM unnest($1) WITH ORDINALITY AS revops_k (revops_key, revops_n) JOIN %s ON %s"
					   " ORDER BY revops_k.revops_n FOR NO KEY UPDATE OF %s", read, SourceName(s->rel), condition, name),
			  1, args, SPI_OK_SELECT);
	for (uint64 r = 0; r < SPI_processed; r++)
	{
		bool		isnull;
		int			i = (int) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 1, &isnull)) - 1;
		char	   *found = SPI_getvalue(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 2),
				   *known = w->known[i];

		if ((found == NULL) == (known == NULL) && (found == NULL || strcmp(found, known) == 0))
		{
			w->refused[i].message = psprintf("\"%s\" was not written back: table \"%s\" did not take it", field, table);
			w->refused[i].hint = "A trigger or a policy of the table keeps its owner from writing the row.";
			chosen[i] = true;
			continue;
		}
		w->refused[i].message = psprintf("\"%s\" was not written back: it has been changed in table \"%s\" since", field, table);
		w->refused[i].detail = psprintf("It was %s and is %s there now.", Quoted(known), Quoted(found));
		w->refused[i].hint = "The newer value stands. It is taken over from there in a moment.";
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < w->n; i++)
		if (chosen[i])
			place[nchosen++] = i;
	if (nchosen == 0)
		return true;

	args[0] = ChosenTexts(w, w->keys, NULL, chosen, nchosen);
	args[1] = ChosenTexts(w, w->values, w->novalue, chosen, nchosen);
	RunOnRows(psprintf("UPDATE %s SET %s = CAST(revops_k.revops_value AS %s) FROM unnest($1, $2) WITH ORDINALITY AS revops_k (revops_key, revops_value, revops_n)"
					   " WHERE %s RETURNING revops_k.revops_n, to_jsonb(%s)", SourceName(s->rel), quote_identifier(column),
					   format_type_extended(a->atttypid, a->atttypmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY), condition, read),
			  2, args, SPI_OK_UPDATE_RETURNING);
	for (uint64 r = 0; r < SPI_processed; r++)
	{
		bool		isnull;
		int			i = place[DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 1, &isnull)) - 1];

		w->written[i] = SPI_getbinval(SPI_tuptable->vals[r], SPI_tuptable->tupdesc, 2, &isnull);
		if (isnull)
			w->written[i] = DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
		w->refused[i].message = NULL;
	}
	return true;
}

/* Set one field of a source's row. Returns what the column has then, as JSON; NULL if the field is not one that can be written; an error if it is refused. */
PG_FUNCTION_INFO_V1(revops_attachment_update);
Datum
revops_attachment_update(PG_FUNCTION_ARGS)
{
	Datum		key,
				value,
				written = (Datum) 0;
	bool		novalue = PG_ARGISNULL(3),
				writable;
	char	   *known = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	Refusal		refused = {0};
	WriteBack	w = {1, &key, &value, &novalue, &known, &written, &refused};
	Source	   *s;
	Self		self;
	int			level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	key = PG_GETARG_DATUM(1);
	value = novalue ? (Datum) 0 : PG_GETARG_DATUM(3);
	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), RowExclusiveLock);
	self = BecomeOwner(s);
	writable = WriteRows(s, text_to_cstring(PG_GETARG_TEXT_PP(2)), &w);
	BeSelf(self);
	if (writable && refused.message != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", refused.message),
				 refused.detail ? errdetail("%s", refused.detail) : 0,
				 errhint("%s", refused.hint)));
	if (writable)
		written = SPI_datumTransfer(written, false, -1);
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	if (!writable)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(written);
}

/* The same for many rows: those refused are returned with the reason, and the others are written. */
PG_FUNCTION_INFO_V1(revops_attachment_update_rows);
Datum
revops_attachment_update_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WriteBack	w = {0};
	Datum	   *known;
	bool	   *nokey,
			   *unknown;
	int			nvalues,
				nknown;
	Source	   *s;
	Self		self;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &w.keys, &nokey, &w.n);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT, &w.values, &w.novalue, &nvalues);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), TEXTOID, -1, false, TYPALIGN_INT, &known, &unknown, &nknown);
	if (nvalues != w.n || nknown != w.n || array_contains_nulls(PG_GETARG_ARRAYTYPE_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("each key needs a value and what is known")));
	w.known = palloc((w.n + 1) * sizeof(char *));
	for (int i = 0; i < w.n; i++)
		w.known[i] = unknown[i] ? NULL : TextDatumGetCString(known[i]);
	w.written = palloc0((w.n + 1) * sizeof(Datum));
	w.refused = palloc0((w.n + 1) * sizeof(Refusal));

	level = SqlConnect();
	s = SourceOpen(PG_GETARG_INT32(0), RowExclusiveLock);
	self = BecomeOwner(s);
	if (w.n > 0 && WriteRows(s, text_to_cstring(PG_GETARG_TEXT_PP(2)), &w))
	{
		for (int i = 0; i < w.n; i++)
		{
			const Refusal *r = &w.refused[i];
			Datum		v[3] = {w.keys[i], w.written[i], (Datum) 0};
			bool		null[3] = {false, r->message != NULL, r->message == NULL};

			if (r->message != NULL)
				v[2] = CStringGetTextDatum(r->detail ? psprintf("%s. %s", r->message, r->detail) : r->message);
			tuplestore_putvalues(result->setResult, result->setDesc, v, null);
		}
	}
	BeSelf(self);
	relation_close(s->rel, NoLock);
	SqlFinish(level);
	return (Datum) 0;
}

bool
AttachApply(bool by_hand)
{
	static SqlPlan waiting = {"SELECT EXISTS (SELECT FROM revops.attachment_change)::int::bigint", 0};
	static SqlPlan apply = {"SELECT revops.apply_attachments_behind($1)::int::bigint", 1, {BOOLOID}};
	Datum		arg = BoolGetDatum(by_hand);

	return SqlInt8(&waiting, NULL, NULL, 0) > 0 && SqlInt8(&apply, &arg, NULL, 0) > 0;
}
