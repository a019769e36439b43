/*
 * mapping.c
 *	  The mapping of an attachment: what of a source's row becomes which field of ours, checked, and as SQL.
 *
 * An entry's expression is parsed alone, as exactly one expression, before it becomes part of a statement: so nothing in it can
 * end the statement or add to it. It may name the columns of the row and functions that are not volatile; subqueries,
 * aggregates, window functions and functions that return sets are refused. Whoever reads a source runs it as the table's owner.
 */
#include "attach/attach.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Columns of ours that are not a source's to write. */
static const char *const own_columns[] = {
	"person.identity", "event.ahead", "event.epoch", "event.txid", "event.received_at"
};

/* What a mapping cannot be without. */
static const char *const needed[][2] = {
	{"account", "account"}, {"person", "person"}, {"rep", "rep"}, {"opportunity", "opportunity"}, {"event", "kind"}, {"event", "occurred_at"}
};

static char *
JsonText(const JsonbValue *v)
{
	return pnstrdup(v->val.string.val, v->val.string.len);
}

/* The columns that may be mapped, for a hint. */
static char *
MappableColumns(const char *kind)
{
	Relation	rel = relation_open(RevopsRelid(kind), AccessShareLock);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), i);
		bool		own = a->attisdropped;

		for (int k = 0; k < lengthof(own_columns); k++)
			own = own || strcmp(psprintf("%s.%s", kind, NameStr(a->attname)), own_columns[k]) == 0;
		if (!own)
			appendStringInfo(&list, "%s%s", list.len ? ", " : "", NameStr(a->attname));
	}
	relation_close(rel, AccessShareLock);
	return list.data;
}

static void
AddEntry(Mapping *m, const char *name, bool property, const JsonbValue *v)
{
	MapEntry   *e;

	if (v->type != jbvString || v->val.string.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("mapping entry \"%s\" is not a text", name),
				 errhint("Give a column of the source, or an SQL expression over its columns, as a JSON string; constants too: \"'web'\".")));
	if (v->val.string.len > ATTACH_MAX_EXPRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the expression of mapping entry \"%s\" is longer than %d bytes", name, ATTACH_MAX_EXPRESSION)));
	m->entries = m->entries == NULL ? palloc(sizeof(MapEntry)) : repalloc(m->entries, (m->n + 1) * sizeof(MapEntry));
	e = &m->entries[m->n++];
	e->name = pstrdup(name);
	e->property = property;
	e->expression = JsonText(v);
	if (property)
	{
		/* any type is taken as JSON has it */
		e->typid = InvalidOid;
		e->typmod = -1;
		e->type = NULL;
	}
	else
	{
		Oid			relid = RevopsRelid(m->kind);
		AttrNumber	attno = get_attnum(relid, name);
		Oid			collation;

		for (int i = 0; i < lengthof(own_columns); i++)
			if (strcmp(psprintf("%s.%s", m->kind, name), own_columns[i]) == 0)
				attno = InvalidAttrNumber;
		if (attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("mapping entry \"%s\" is no field of kind \"%s\"", name, m->kind),
					 errhint("There are: %s. Put anything else below \"properties\".", MappableColumns(m->kind))));
		get_atttypetypmodcoll(relid, attno, &e->typid, &e->typmod, &collation);
		e->type = format_type_extended(e->typid, e->typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	}
}

Mapping *
MappingRead(const char *kind, Jsonb *document)
{
	Mapping    *m = palloc0(sizeof(Mapping));
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	int			properties = 0;

	m->kind = pstrdup(kind);
	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the mapping is not a JSON object"),
				 errhint("Give our fields and where they come from: {\"account\": \"id\", \"name\": \"company\"}.")));
	it = JsonbIteratorInit(&document->root);
	(void) JsonbIteratorNext(&it, &v, false);
	while ((token = JsonbIteratorNext(&it, &v, true)) == WJB_KEY)
	{
		char	   *name = JsonText(&v);

		(void) JsonbIteratorNext(&it, &v, true);
		if (strcmp(name, "where") == 0)
		{
			if (v.type != jbvString || v.val.string.len == 0 || v.val.string.len > ATTACH_MAX_EXPRESSION)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("mapping entry \"where\" is not a text of at most %d bytes", ATTACH_MAX_EXPRESSION)));
			m->where = JsonText(&v);
		}
		else if (strcmp(name, "properties") == 0 && v.type == jbvBinary && JsonContainerIsObject(v.val.binary.data))
		{
			JsonbIterator *inner = JsonbIteratorInit(v.val.binary.data);
			JsonbValue	p;

			(void) JsonbIteratorNext(&inner, &p, false);
			while (JsonbIteratorNext(&inner, &p, true) == WJB_KEY)
			{
				char	   *key = JsonText(&p);

				(void) JsonbIteratorNext(&inner, &p, true);
				if (++properties > ATTACH_MAX_PROPERTIES)
					ereport(ERROR,
							(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							 errmsg("a mapping has at most %d properties", ATTACH_MAX_PROPERTIES),
							 errhint("Give one expression for all of them: \"properties\": \"to_jsonb(...)\".")));
				AddEntry(m, key, true, &p);
			}
		}
		else
			AddEntry(m, name, false, &v);
	}
	for (int i = 0; i < lengthof(needed); i++)
	{
		bool		there = strcmp(needed[i][0], kind) != 0;

		for (int k = 0; k < m->n && !there; k++)
			there = !m->entries[k].property && strcmp(m->entries[k].name, needed[i][1]) == 0;
		if (!there)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the mapping has no entry \"%s\"", needed[i][1]),
					 errdetail("Kind \"%s\" cannot be without it.", kind),
					 errhint("Say which column or expression of the source it is.")));
	}
	return m;
}

/* The one expression that a text is; errors are the parser's own, or say what else it is. */
static Node *
ParseOne(const char *text)
{
	List	   *raw = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *s = linitial_node(SelectStmt, list_make1(linitial_node(RawStmt, raw)->stmt));
	ResTarget  *target;

	target = list_length(s->targetList) == 1 ? linitial_node(ResTarget, s->targetList) : NULL;
	if (target == NULL || target->name != NULL || target->indirection != NIL || s->distinctClause != NIL || s->intoClause != NULL ||
		s->fromClause != NIL || s->whereClause != NULL || s->groupClause != NIL || s->havingClause != NULL || s->windowClause != NIL ||
		s->sortClause != NIL || s->limitCount != NULL || s->limitOffset != NULL || s->lockingClause != NIL || s->op != SETOP_NONE ||
		(IsA(target->val, ColumnRef) && IsA(llast(((ColumnRef *) target->val)->fields), A_Star)))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("it is not one expression")));
	return target->val;
}

/* The expression over a row of the source, with its type; errors if it is not of a kind that a mapping may have. */
static Node *
Analyze(Relation source, const char *text)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node	   *raw = ParseOne(text),
			   *node;

	item = addRangeTableEntryForRelation(pstate, source, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, true, true, true);
	node = transformExpr(pstate, raw, EXPR_KIND_OTHER);
	if (pstate->p_hasSubLinks)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("it has a subquery, and may look at its own row alone")));
	if (pstate->p_hasAggs || pstate->p_hasWindowFuncs || expression_returns_set(node))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("it has %s, and must give one value for one row",
							   pstate->p_hasAggs ? "an aggregate" : pstate->p_hasWindowFuncs ? "a window function" : "a function that returns a set")));
	if (contain_volatile_functions(node))
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("it calls a volatile function, and must give the same value each time the row is read")));
	return node;
}

/* The type must be one that an INSERT would take. */
static void
CheckType(Node *node, Oid typid, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Oid			has = exprType(node);

	node = coerce_to_target_type(pstate, node, has, typid, typmod, COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (node == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("it is of type %s and must be %s", format_type_be(has), format_type_be(typid)),
				 errhint("Cast it, such as (...)::%s.", format_type_be(typid))));
	assign_expr_collations(pstate, node);
}

static void
CheckEntry(Relation source, const char *name, const char *expression, Oid typid, int32 typmod)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		Node	   *node = Analyze(source, expression);

		if (OidIsValid(typid))
			CheckType(node, typid, typmod);
	}
	PG_CATCH();
	{
		ErrorData  *e;

		MemoryContextSwitchTo(context);
		e = CopyErrorData();
		if (e->sqlerrcode == ERRCODE_QUERY_CANCELED || ERRCODE_TO_CATEGORY(e->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(e->sqlerrcode),
				 errmsg("mapping entry \"%s\": %s", name, e->message),
				 errdetail("It is: %s", expression),
				 e->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION || e->sqlerrcode == ERRCODE_UNDEFINED_OBJECT ?
				 errhint("Functions and types outside pg_catalog are written with their schema.") :
				 e->hint ? errhint("%s", e->hint) : 0));
	}
	PG_END_TRY();
}

void
MappingCheck(const Mapping *mapping, Relation source)
{
	for (int i = 0; i < mapping->n; i++)
		CheckEntry(source, mapping->entries[i].name, mapping->entries[i].expression, mapping->entries[i].typid, mapping->entries[i].typmod);
	if (mapping->where != NULL)
		CheckEntry(source, "where", mapping->where, BOOLOID, -1);
}

const char *
MappingPlainColumn(const Mapping *mapping, Relation source, const char *field, const MapEntry **entry)
{
	bool		own = get_attnum(RevopsRelid(mapping->kind), field) > 0;

	for (int i = 0; i < mapping->n; i++)
	{
		const MapEntry *e = &mapping->entries[i];
		Node	   *node;

		if (strcmp(e->name, field) != 0 || e->property == own)
			continue;
		*entry = e;
		node = Analyze(source, e->expression);
		if (IsA(node, Var) && ((Var *) node)->varattno > 0)
		{
			Form_pg_attribute a = TupleDescAttr(RelationGetDescr(source), ((Var *) node)->varattno - 1);

			if (a->attgenerated == '\0')
				return pstrdup(NameStr(a->attname));
		}
		return "";
	}
	return NULL;
}

char *
SourceName(Relation source)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(source)), RelationGetRelationName(source));
}

bool
SourceKeyFind(Relation source, SourceKey *key)
{
	List	   *indexes = RelationGetIndexList(source);
	Oid			identity = source->rd_replidindex,
				found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indisvalid && form->indnkeyatts <= ATTACH_MAX_KEY_COLUMNS &&
			(form->indisprimary || (RelationGetRelid(index) == identity && !OidIsValid(found))))
		{
			found = RelationGetRelid(index);
			key->n = form->indnkeyatts;
			for (int i = 0; i < key->n; i++)
				key->columns[i] = form->indkey.values[i];
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return OidIsValid(found);
}

/* The type of a key's column as SQL. */
static char *
KeyType(Relation source, const SourceKey *key, int i)
{
	Form_pg_attribute a = TupleDescAttr(RelationGetDescr(source), key->columns[i] - 1);

	return format_type_extended(a->atttypid, a->atttypmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

static const char *
KeyColumn(Relation source, const SourceKey *key, int i)
{
	return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(source), key->columns[i] - 1)->attname));
}

char *
SourceKeyCondition(Relation source, const SourceKey *key, const char *value)
{
	const char *table = quote_identifier(RelationGetRelationName(source));
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < key->n; i++)
	{
		Oid			type = TupleDescAttr(RelationGetDescr(source), key->columns[i] - 1)->atttypid;
		Oid			equal = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
		HeapTuple	tup = SearchSysCache1(OPEROID, ObjectIdGetDatum(equal));

		/*
		 * the type's own, wherever it lives: the search_path has pg_catalog alone. But a kind of text (citext) is compared as text, so
		 * that a key that is spelt anew is another one
		 */
		if (!HeapTupleIsValid(tup))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("type %s of a key has no equality operator", format_type_be(type))));
		if (IsBinaryCoercible(type, TEXTOID))
			appendStringInfo(&sql, "%s%s.%s = ", i ? " AND " : "", table, KeyColumn(source, key, i));
		else
			appendStringInfo(&sql, "%s%s.%s OPERATOR(%s.%s) ", i ? " AND " : "", table, KeyColumn(source, key, i),
							 quote_identifier(get_namespace_name(((Form_pg_operator) GETSTRUCT(tup))->oprnamespace)),
							 NameStr(((Form_pg_operator) GETSTRUCT(tup))->oprname));
		ReleaseSysCache(tup);
		if (key->n == 1)
			appendStringInfo(&sql, "CAST(%s AS %s)", value, KeyType(source, key, i));
		else
			appendStringInfo(&sql, "CAST((CAST(%s AS text[]))[%d] AS %s)", value, i + 1, KeyType(source, key, i));
	}
	return sql.data;
}

/* A key is the value's own text; of several columns, the text of an array of theirs. */
char *
SourceKeysSql(Relation source, const SourceKey *key)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, key->n > 1 ? "SELECT CAST(ARRAY[" : "SELECT ");
	for (int i = 0; i < key->n; i++)
		appendStringInfo(&sql, "%sformat('%%s', %s)", i ? ", " : "", KeyColumn(source, key, i));
	appendStringInfo(&sql, "%s FROM %s", key->n > 1 ? "] AS text)" : "", SourceName(source));
	return sql.data;
}

/* The object of a row: the fields, or the properties. A newline ends a comment that an expression may end in. */
static int
AppendObject(StringInfo sql, const Mapping *mapping, bool property)
{
	int			n = 0;

	for (int i = 0; i < mapping->n; i++)
	{
		const MapEntry *e = &mapping->entries[i];

		if (e->property != property)
			continue;
		appendStringInfo(sql, "%s%s, ", n++ ? ", " : "jsonb_build_object(", quote_literal_cstr(e->name));
		if (property)
			appendStringInfo(sql, "(%s\n)", e->expression);
		else
			appendStringInfo(sql, "CAST((%s\n) AS %s)", e->expression, e->type);
	}
	return n;
}

char *
MappingRowsSql(const Mapping *mapping, Relation source, const SourceKey *key)
{
	StringInfoData sql,
				properties;

	initStringInfo(&sql);
	initStringInfo(&properties);
	appendStringInfoString(&sql, "SELECT revops_k.revops_key, revops_x.revops_row FROM unnest($1) AS revops_k (revops_key), LATERAL (SELECT ");
	(void) AppendObject(&sql, mapping, false);
	if (AppendObject(&properties, mapping, true) > 0)
		appendStringInfo(&sql, ", 'properties', %s)", properties.data);
	appendStringInfo(&sql, ") AS revops_row FROM %s WHERE %s", SourceName(source), SourceKeyCondition(source, key, "revops_k.revops_key"));
	if (mapping->where != NULL)
		appendStringInfo(&sql, " AND (%s\n)", mapping->where);
	appendStringInfoString(&sql, ") AS revops_x");
	return sql.data;
}
