/*
 * lookup.h
 *	  Columns of a table of ours for many keys at once, without a statement.
 */
#ifndef REVOPS_LOOKUP_H
#define REVOPS_LOOKUP_H

#include "base/base.h"

/* Columns that can be asked for at once */
#define LOOKUP_MAX_COLUMNS	8

/* A table of so few pages for each key is read through, rather than its index being asked for each: a page has as many rows as cost about four look-ups */
#define LOOKUP_KEYS_A_PAGE	4

/*
 * Look n distinct keys up in a table whose primary key is one text column in collation "C". values: ncolumns for each key, copies in the current
 * context; data NULL where a text column is NULL, or the table has no such key. What this transaction wrote so far is seen. ERROR where the current user may
 * not read the table, or a column is missing.
 */
extern void TableLookup(const char *table, const Str *keys, int n, const char *const *columns, int ncolumns, Str *values);

#endif							/* REVOPS_LOOKUP_H */
