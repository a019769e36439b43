/*
 * writer.h
 *	  Keyed rows read and written straight through the table and its indexes: what a pass does by the hundred thousand.
 */
#ifndef REVOPS_WRITER_H
#define REVOPS_WRITER_H

#include "base/base.h"

#include "access/genam.h"
#include "executor/executor.h"

typedef struct TableWriter
{
	MemoryContext context;		/* in which it was opened */
	Relation	rel;
	Relation	pk;
	int			nkeys;
	EState	   *estate;
	ResultRelInfo *rri;
	EPQState	epqstate;
	IndexScanDesc scan;
	ScanKeyData keys[INDEX_MAX_KEYS];
	TupleTableSlot *found;		/* the row that TableWriterFind found */
	TupleTableSlot *slot;		/* the row to write */
	bool		singly;			/* triggers and the like want rows one at a time */
	bool		plain_indexes;	/* their entries need no more than the row */
	int			nadded;
	Size		added_bytes;
	TupleTableSlot **added;		/* rows that wait to be written together; NULL: none yet */
	struct Tuplesortstate **sorts;	/* of each index, entries that wait to be sorted; NULL: none do */
} TableWriter;

/* Rows and bytes that wait to be written together at most */
#define WRITER_MAX_ROWS		500
#define WRITER_MAX_BYTES	(64 * 1024)

/* What the entries of an index that wait to be sorted may take, in kB; beyond it they go to a temporary file */
#define WRITER_SORT_MEMORY	(16 * 1024)

/*
 * Open a table of ours for keyed writes by its primary key. The caller alone writes the keys that it touches (the lane lock).
 * A key may be written once between two TableWriterClose.
 */
extern TableWriter *TableWriterOpen(const char *table);
extern bool TableWriterFind(TableWriter *w, const Datum *key);	/* row in w->found, all attributes deformed */
extern void TableWriterPut(TableWriter *w, bool update, const Datum *values, const bool *isnull);	/* update: the row found last */
extern void TableWriterAdd(TableWriter *w, const Datum *values, const bool *isnull);	/* a new row, copied; found after Close only */
extern void TableWriterDelete(TableWriter *w);	/* the row found last */
extern void TableWriterClose(TableWriter *w);

#endif							/* REVOPS_WRITER_H */
