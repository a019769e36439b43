/*
 * field.h
 *	  The fields of an event that a document may name, as the files of this room see them.
 */
#ifndef REVOPS_PREDICATE_FIELD_H
#define REVOPS_PREDICATE_FIELD_H

#include "predicate/predicate.h"

/* The order is that of the cost of a look at it. */
typedef enum Field
{
	FIELD_KIND,
	FIELD_SIDE,
	FIELD_CHANNEL,
	FIELD_OBJECT,
	FIELD_PERSON,
	FIELD_ACCOUNT,
	FIELD_OPPORTUNITY,
	FIELD_REP,
	FIELD_DWELL,
	FIELD_LOCAL_TIME,
	FIELD_PROPERTY,
	FIELD_BODY
} Field;

/* The field that is a column of that name; -1: none */
extern int	FieldNamed(const char *name);

/* A column of text but the body; data NULL: absent */
extern Str	EventText(const Event *e, Field field);

/* The property of that name: a key of the object itself, else a dotted path into it; false: absent, or null. */
extern bool PropertyFind(Jsonb *properties, Str name, JsonbValue *value);

#endif							/* REVOPS_PREDICATE_FIELD_H */
