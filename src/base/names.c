/*
 * names.c
 *	  Our own objects by name.
 */
#include "base/base.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static const char *const kind_names[SUBJECT_KINDS] = {"person", "account", "opportunity", "rep"};

bool
ExtensionPresent(void)
{
	return OidIsValid(get_extension_oid(REVOPS_EXTENSION, true));
}

Oid
RevopsRelid(const char *table)
{
	Oid			nsp = get_namespace_oid(REVOPS_SCHEMA, true);

	return OidIsValid(nsp) ? get_relname_relid(table, nsp) : InvalidOid;
}

Relation
RevopsTableOpen(const char *table, LOCKMODE lock, Oid *primary_key)
{
	Oid			relid = RevopsRelid(table);
	Relation	rel;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table revops.%s does not exist", table),
				 errhint("Reinstall the extension pg_revops.")));
	rel = table_open(relid, lock);
	*primary_key = REVOPS_PRIMARY_KEY(rel);
	if (!OidIsValid(*primary_key))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table revops.%s has lost its primary key", table)));
	return rel;
}

Oid
RevopsTypeOid(const char *type)
{
	Oid			nsp = get_namespace_oid(REVOPS_SCHEMA, true);

	if (!OidIsValid(nsp))
		return InvalidOid;
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, PointerGetDatum(type), ObjectIdGetDatum(nsp));
}

const char *
SubjectKindName(SubjectKind kind)
{
	return kind_names[kind];
}

SubjectKind
SubjectKindFromOid(Oid enumvalue)
{
	HeapTuple	tup = SearchSysCache1(ENUMOID, ObjectIdGetDatum(enumvalue));
	SubjectKind kind = SUBJECT_KINDS;

	if (HeapTupleIsValid(tup))
	{
		Form_pg_enum form = (Form_pg_enum) GETSTRUCT(tup);

		for (int i = 0; i < SUBJECT_KINDS; i++)
			if (strcmp(NameStr(form->enumlabel), kind_names[i]) == 0)
				kind = i;
		ReleaseSysCache(tup);
	}
	if (kind == SUBJECT_KINDS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%u is not a value of revops.subject_kind", enumvalue)));
	return kind;
}

Oid
SubjectKindOid(SubjectKind kind)
{
	Oid			type = RevopsTypeOid("subject_kind");
	Oid			value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
										CStringGetDatum(kind_names[kind]));

	if (!OidIsValid(value))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type revops.subject_kind lacks the value \"%s\"", kind_names[kind]),
				 errhint("Reinstall the extension pg_revops.")));
	return value;
}
