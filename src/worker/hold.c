/*
 * hold.c
 *	  Commands that need a database to themselves, and would fail or wait because of our workers: DROP DATABASE, ALTER DATABASE
 *	  RENAME and SET TABLESPACE, CREATE DATABASE from it as template. The session asks the workers to leave, waits until they
 *	  have, and holds the database until its transaction ends; then the launcher starts them again if the database is still there.
 */
#include "worker/shmem.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#define HOLD_PATIENCE	1		/* seconds until a worker must drop its pass */
#define HOLD_TIMEOUT	10		/* then the command itself says who is in its way */

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static Oid	held_database = InvalidOid; /* by this session */

static void
HoldRelease(void)
{
	DatabaseSlot *db;

	if (!OidIsValid(held_database))
		return;
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(held_database);
	if (db != NULL && db->held > 0)
	{
		db->held--;
		for (int i = 0; i < WORKER_MAX_LANES; i++)
			db->lane[i].not_before = 0;
	}
	LWLockRelease(worker_shared->lock);
	held_database = InvalidOid;
	WakeLauncher();
}

static void
HoldXactCallback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		HoldRelease();
}

/* Whether the user could do such a thing with the database at all: nobody else may stop its workers. */
static bool
MayHold(Oid dboid)
{
	HeapTuple	tup = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool		may = false;

	if (HeapTupleIsValid(tup))
	{
		may = has_privs_of_role(GetUserId(), ((Form_pg_database) GETSTRUCT(tup))->datdba);
		ReleaseSysCache(tup);
	}
	return may;
}

static void
Hold(const char *dbname)
{
	Oid			dboid = get_database_oid(dbname, true);
	DatabaseSlot *db;

	if (!OidIsValid(dboid) || dboid == MyDatabaseId || !MayHold(dboid))
		return;
	HoldRelease();
	LWLockAcquire(worker_shared->lock, LW_EXCLUSIVE);
	db = DatabaseFind(dboid);
	if (db != NULL)
	{
		db->held++;
		held_database = dboid;
		WakeLanes(db);
	}
	LWLockRelease(worker_shared->lock);
	(void) WaitForNoWorker(dboid, HOLD_PATIENCE, HOLD_TIMEOUT);
}

/* The database that a command needs to itself, or NULL. */
static const char *
DatabaseNeeded(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) stmt)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) stmt)->subname;
			break;
		case T_AlterDatabaseStmt:
			foreach(lc, ((AlterDatabaseStmt *) stmt)->options)
			{
				if (strcmp(((DefElem *) lfirst(lc))->defname, "tablespace") == 0)
					return ((AlterDatabaseStmt *) stmt)->dbname;
			}
			break;
		case T_CreatedbStmt:
			foreach(lc, ((CreatedbStmt *) stmt)->options)
			{
				DefElem    *option = lfirst(lc);

				if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
					return defGetString(option);
			}
			return "template1";
		default:
			break;
	}
	return NULL;
}

static void
HoldProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				   ProcessUtilityContext context, ParamListInfo params,
				   QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (worker_shared != NULL)
	{
		const char *dbname = DatabaseNeeded(pstmt->utilityStmt);

		if (dbname != NULL)
			Hold(dbname);
	}
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

void
HoldInit(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = HoldProcessUtility;
	RegisterXactCallback(HoldXactCallback, NULL);
}
