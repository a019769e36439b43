/*
 * condition.h
 *	  Compiled conditions and the fields that they look at, as the files of this room see them.
 */
#ifndef REVOPS_PREDICATE_CONDITION_H
#define REVOPS_PREDICATE_CONDITION_H

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
	FIELD_ATTRIBUTE,			/* of the event's person, account or opportunity */
	FIELD_PROPERTY,				/* of the event; intent and sentiment too */
	FIELD_BODY
} Field;

/* What a field is compared with. */
typedef enum ValueClass
{
	CLASS_TEXT,
	CLASS_DURATION,
	CLASS_NUMBER,
	CLASS_BOOLEAN,
	CLASS_ANY					/* text, number or boolean */
} ValueClass;

/* A field as a document names it. */
typedef struct Target
{
	Field		field;
	ValueClass	class;
	SubjectKind owner;			/* FIELD_ATTRIBUTE: whose */
	bool		nested;			/* FIELD_ATTRIBUTE: one of its properties */
	bool		detected;		/* FIELD_PROPERTY: what the event's body shows counts like its property */
	bool		felt;			/* FIELD_PROPERTY: where it is absent, how the body feels */
	Str			name;			/* FIELD_ATTRIBUTE, FIELD_PROPERTY */
} Target;

#define INTENTS_PROPERTY	"intents"

typedef enum Test
{
	TEST_IN,
	TEST_LIKE,
	TEST_PREFIX,
	TEST_GT,
	TEST_GTE,
	TEST_LT,
	TEST_LTE,
	TEST_EXISTS
} Test;

typedef enum ConditionType
{
	COND_AND,
	COND_OR,
	COND_NOT,
	COND_LEAF
} ConditionType;

/* A value that a property or an attribute is compared with. */
typedef struct JsonbScalar
{
	enum jbvType type;			/* jbvString, jbvNumeric, jbvBool */
	Str			string;
	Datum		number;
	bool		boolean;
} JsonbScalar;

typedef struct Condition
{
	ConditionType type;
	int			cost;			/* highest field below */
	int			n;				/* children, or values of a leaf */
	struct Condition **kids;
	/* leaf */
	struct Condition *also;		/* of a list, the element that passes has to pass this leaf too; NULL: no more */
	Target		target;
	Test		test;
	union
	{
		Str		   *strings;	/* TEST_IN: ascending; one otherwise */
		int64	   *durations;
		JsonbScalar *scalars;
		LocalTime  *local_time;
	}			v;
} Condition;

struct Predicate
{
	Condition  *root;
	int			nkinds;
	Str		   *kinds;			/* NULL: any */
};

/* field.c: the column of an event of that name; -1: none. A column of text but the body; data NULL: absent */
extern int	FieldNamed(const char *name);
extern Str	EventText(const Event *e, Field field);

/* The property of that name: a key of the object itself, else a dotted path into it; false: absent, or null. */
extern bool PropertyFind(JsonbContainer *properties, Str name, JsonbValue *value);

extern int	CompareStr(const void *a, const void *b);
extern int	CompareInt64(const void *a, const void *b);

#endif							/* REVOPS_PREDICATE_CONDITION_H */
