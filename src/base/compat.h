/*
 * compat.h
 *	  What differs between PostgreSQL 15 and 18, in one place.
 */
#ifndef REVOPS_COMPAT_H
#define REVOPS_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "pg_revops needs PostgreSQL 15 or later"
#endif

/* 16 moved the varlena macros and split varatt.h out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 has pg_noreturn in front, and no pg_attribute_noreturn() behind */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18 added the instrumentation argument */
#if PG_VERSION_NUM >= 180000
#define REVOPS_INDEX_BEGINSCAN(heap, index, snap, nkeys) \
	index_beginscan(heap, index, snap, NULL, nkeys, 0)
#else
#define REVOPS_INDEX_BEGINSCAN(heap, index, snap, nkeys) \
	index_beginscan(heap, index, snap, nkeys, 0)
#endif

/* 18 asks whether a deferrable key will do */
#if PG_VERSION_NUM >= 180000
#define REVOPS_PRIMARY_KEY(rel)	RelationGetPrimaryKeyIndex(rel, false)
#else
#define REVOPS_PRIMARY_KEY(rel)	RelationGetPrimaryKeyIndex(rel)
#endif

/* 16 checks ownership of any object by one function */
#if PG_VERSION_NUM >= 160000
#define REVOPS_OWNS_RELATION(relid, role)	object_ownercheck(RelationRelationId, relid, role)
#else
#define REVOPS_OWNS_RELATION(relid, role)	pg_class_ownercheck(relid, role)
#endif

/* 16 added the soft error context */
#if PG_VERSION_NUM >= 160000
#define REVOPS_MAKE_RANGE(type, lower, upper, empty) \
	make_range(type, lower, upper, empty, NULL)
#define REVOPS_RANGE_SERIALIZE(type, lower, upper, empty) \
	range_serialize(type, lower, upper, empty, NULL)
#else
#define REVOPS_MAKE_RANGE(type, lower, upper, empty) \
	make_range(type, lower, upper, empty)
#define REVOPS_RANGE_SERIALIZE(type, lower, upper, empty) \
	range_serialize(type, lower, upper, empty)
#endif

/* 17 has names for the wait events of extensions; id is a static uint32 that keeps the event's number */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define REVOPS_WAIT_EVENT(id, name) ((id) != 0 ? (id) : ((id) = WaitEventExtensionNew(name)))
#else
#define REVOPS_WAIT_EVENT(id, name) ((void) (id), PG_WAIT_EXTENSION)
#endif

#endif							/* REVOPS_COMPAT_H */
