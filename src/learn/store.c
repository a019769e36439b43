/*
 * store.c
 *	  The models that this backend has at hand.
 *
 * A version never changes, so a copy of it is good for as long as it is kept. Where pg_revops was preloaded, copies are in the server's memory, one
 * for all sessions (share.c); otherwise, and where the server has no room, in the backend's own. Its own take at most revops.model_memory: the
 * least recently used go first, all but the one that is asked for.
 *
 * A name and a version (0: whichever is deployed) stand for the id of a version. A change of revops.model or revops.model_version
 * invalidates: the next call asks again, and loads only what it has not.
 */
#include "learn/share.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#define STORE_ENTRIES	64
#define TOUCH_EVERY		4096	/* looks, after which others are told that a shared copy is in use */

typedef struct Copy
{
	pg_uuid_t	id;
	const ModelBlob *blob;		/* NULL: a free entry */
	ShareMapping mapping;		/* segment NULL: it is the backend's own */
	uint64		used;
} Copy;

typedef struct KnownName
{
	char		model[LEARN_MAX_NAME + 1];	/* empty: a free entry */
	int			version;		/* as asked for */
	pg_uuid_t	id;				/* of the version that it is */
	bool		current;		/* nothing has changed since */
	uint64		used;
} KnownName;

int			learn_train_memory = LEARN_DEFAULT_TRAIN_MEMORY;
int			learn_model_memory = LEARN_DEFAULT_TRAIN_MEMORY / 4;

static Copy copies[STORE_ENTRIES];
static KnownName names[STORE_ENTRIES];
static uint64 clock_hand = 0;
static Oid	model_relid = InvalidOid;
static Oid	version_relid = InvalidOid;
static Copy *latest = NULL;
static KnownName *latest_name = NULL;
static uint64 changes = 0;
static TimestampTz good_within = 0; /* read with an older snapshot, good for the transaction that began then only; 0: for all */

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != model_relid && relid != version_relid)
		return;
	changes++;
	for (int i = 0; i < STORE_ENTRIES; i++)
		names[i].current = false;
}

static void
Unload(Copy *copy)
{
	if (copy->mapping.segment != NULL)
		ShareDetach(&copy->mapping);
	else if (copy->blob != NULL)
		pfree((void *) copy->blob);
	copy->blob = NULL;
	if (latest == copy)
		latest = NULL;
}

/* Shared copies that were put out are let go, so that their memory comes free. */
static void
TransactionEnds(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PARALLEL_COMMIT && event != XACT_EVENT_PARALLEL_ABORT)
		return;
	for (int i = 0; i < STORE_ENTRIES; i++)
		if (copies[i].mapping.segment != NULL && !ShareStands(&copies[i].mapping))
			Unload(&copies[i]);
}

static void
Listen(void)
{
	static bool listening = false;

	if (listening)
		return;
	CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
	RegisterXactCallback(TransactionEnds, NULL);
	listening = true;
}

/* A free entry, once the backend's own copies leave room for one of this size. */
static Copy *
MakeRoom(size_t size)
{
	for (;;)
	{
		size_t		total = size;
		Copy	   *oldest = NULL;
		Copy	   *oldest_own = NULL;
		Copy	   *unused = NULL;

		for (int i = 0; i < STORE_ENTRIES; i++)
		{
			Copy	   *copy = &copies[i];

			if (copy->blob == NULL)
			{
				unused = copy;
				continue;
			}
			if (oldest == NULL || copy->used < oldest->used)
				oldest = copy;
			if (copy->mapping.segment != NULL)
				continue;
			total += copy->blob->size;
			if (oldest_own == NULL || copy->used < oldest_own->used)
				oldest_own = copy;
		}
		if (size > 0 && oldest_own != NULL && total > (size_t) learn_model_memory * 1024)
			Unload(oldest_own);
		else if (unused == NULL)
			Unload(oldest);
		else
			return unused;
	}
}

pg_noreturn static void NoModel(const char *model, int version);

static void
NoModel(const char *model, int version)
{
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no model \"%s\"", model),
				 errhint("revops.train() makes one; revops.model lists those that are there.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no version %d", model, version),
			 errhint("revops.model_version lists those that are there.")));
}

/* The parameters of a version as they are stored, checked; NULL with *fault set. SPI is connected. */
static const ModelBlob *
ReadVersion(const pg_uuid_t *id, const char **fault)
{
	static SqlPlan plan = {"SELECT parameters FROM revops.model_version WHERE version_id = $1", 1, {UUIDOID}};
	Datum		value = UUIDPGetDatum(id);
	ModelBlob  *blob;
	bytea	   *stored;
	bool		null;
	size_t		size;

	model_relid = RevopsRelid("model");
	version_relid = RevopsRelid("model_version");
	*fault = "it is gone";
	if (SqlRun(&plan, &value, NULL) != 1)
		return NULL;
	stored = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	size = null ? 0 : VARSIZE_ANY_EXHDR(stored);
	*fault = "it is too short";
	if (size < sizeof(ModelBlob))
		return NULL;
	blob = (ModelBlob *) VARDATA_ANY(stored);
	/* what is stored aligned is read where it lies */
	if ((uintptr_t) blob % sizeof(uint64) != 0)
	{
		blob = MemoryContextAllocHuge(CurrentMemoryContext, size);
		memcpy(blob, VARDATA_ANY(stored), size);
	}
	*fault = BlobFault(blob, size);
	return *fault == NULL ? blob : NULL;
}

/* Get a version that this backend has not at hand: another session's copy, else the stored one. NULL with *fault set. */
static Copy *
LoadVersion(const pg_uuid_t *id, const char **fault)
{
	Copy	   *copy = MakeRoom(0);
	ShareMapping mapping = {NULL};
	MemoryContext caller = CurrentMemoryContext;
	const ModelBlob *blob = NULL;
	LOCKTAG		tag;
	int			level;

	*fault = NULL;
	if (ShareAvailable())
	{
		blob = ShareAttach(id, &mapping);
		if (blob == NULL)
		{
			/* one session reads it, the others wait for what it makes */
			SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0x72766c6d, hash_bytes(id->data, UUID_LEN), 3);
			(void) LockAcquire(&tag, ExclusiveLock, false, false);
			blob = ShareAttach(id, &mapping);
			if (blob == NULL)
			{
				level = SqlConnect();
				blob = ReadVersion(id, fault);
				if (blob != NULL)
				{
					const ModelBlob *shared = SharePut(id, blob, &mapping);

					if (shared == NULL)
					{
						copy = MakeRoom(blob->size);
						shared = memcpy(MemoryContextAllocHuge(CacheMemoryContext, blob->size), blob, blob->size);
					}
					blob = shared;
				}
				SqlFinish(level);
			}
			LockRelease(&tag, ExclusiveLock, false);
		}
	}
	else
	{
		level = SqlConnect();
		blob = ReadVersion(id, fault);
		if (blob != NULL)
		{
			copy = MakeRoom(blob->size);
			blob = memcpy(MemoryContextAllocHuge(CacheMemoryContext, blob->size), blob, blob->size);
		}
		SqlFinish(level);
	}
	MemoryContextSwitchTo(caller);
	if (blob == NULL)
		return NULL;
	copy->id = *id;
	copy->blob = blob;
	copy->mapping = mapping;
	return copy;
}

const ModelBlob *
ModelFind(const pg_uuid_t *id, const char **fault)
{
	Copy	   *copy = latest;

	Listen();
	*fault = NULL;
	if (copy == NULL || memcmp(&copy->id, id, sizeof(pg_uuid_t)) != 0)
	{
		copy = NULL;
		for (int i = 0; i < STORE_ENTRIES && copy == NULL; i++)
			if (copies[i].blob != NULL && memcmp(&copies[i].id, id, sizeof(pg_uuid_t)) == 0)
				copy = &copies[i];
	}
	if (copy != NULL && copy->mapping.segment != NULL && !ShareStands(&copy->mapping))
	{
		Unload(copy);
		copy = NULL;
	}
	if (copy == NULL && (copy = LoadVersion(id, fault)) == NULL)
		return NULL;
	copy->used = ++clock_hand;
	if (clock_hand % TOUCH_EVERY == 0 && copy->mapping.segment != NULL)
		ShareTouch(&copy->mapping);
	latest = copy;
	return copy->blob;
}

uint64
ModelChanges(void)
{
	Listen();
	return changes;
}

/* Which version a name stands for. */
static KnownName *
Resolve(KnownName *name, const char *model, int version)
{
	static SqlPlan plan = {
		"SELECT v.version_id FROM revops.model m JOIN revops.model_version v USING (model)"
		" WHERE m.model = $1 AND v.version = CASE WHEN $2 = 0 THEN m.deployed ELSE $2 END", 2, {TEXTOID, INT4OID}
	};
	Datum		values[2];
	bool		null;
	int			level;

	values[0] = CStringGetTextDatum(model);
	values[1] = Int32GetDatum(version);
	level = SqlConnect();
	model_relid = RevopsRelid("model");
	version_relid = RevopsRelid("model_version");
	if (SqlRun(&plan, values, NULL) != 1)
		NoModel(model, version);
	if (name == NULL)
		for (int i = 0; i < STORE_ENTRIES; i++)
			if (name == NULL || names[i].used < name->used)
				name = &names[i];
	name->id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	strlcpy(name->model, model, sizeof(name->model));
	name->version = version;
	SqlFinish(level);
	return name;
}

const ModelBlob *
ModelGet(const char *model, int version)
{
	KnownName  *name = latest_name;
	const ModelBlob *blob;
	const char *fault;

	Listen();
	if (good_within != 0 && good_within != GetCurrentTransactionStartTimestamp())
	{
		good_within = 0;
		for (int i = 0; i < STORE_ENTRIES; i++)
			names[i].current = false;
	}
	if (name == NULL || name->version != version || strcmp(name->model, model) != 0)
	{
		name = NULL;
		for (int i = 0; i < STORE_ENTRIES && name == NULL; i++)
			if (names[i].used > 0 && names[i].version == version && strcmp(names[i].model, model) == 0)
				name = &names[i];
	}
	if (name == NULL || !name->current)
	{
		uint64		before = changes;

		if (strlen(model) > LEARN_MAX_NAME)
			NoModel(model, version);
		name = Resolve(name, model, version);
		/* what changed while it was read may be what it did not see yet */
		name->current = changes == before;
		if (IsolationUsesXactSnapshot())
			good_within = GetCurrentTransactionStartTimestamp();
	}
	blob = ModelFind(&name->id, &fault);
	if (blob == NULL)
	{
		name->current = false;
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored model \"%s\" cannot be used: %s", model, fault),
				 errhint("Train it again, or deploy another version.")));
	}
	name->used = ++clock_hand;
	latest_name = name;
	return blob;
}

/* loaded_models() -> setof (version_id, bytes, shared, sessions): of this database, the server's copies and this session's own */
PG_FUNCTION_INFO_V1(loaded_models);
Datum
loaded_models(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ShareStatus list[SHARE_MODELS];
	int			n = ShareAvailable() ? ShareList(list) : 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n + STORE_ENTRIES; i++)
	{
		const Copy *own = i < n ? NULL : &copies[i - n];
		Datum		values[4];
		bool		nulls[4] = {false};

		if (own != NULL && (own->blob == NULL || own->mapping.segment != NULL))
			continue;
		values[0] = UUIDPGetDatum(own != NULL ? &own->id : &list[i].id);
		values[1] = Int64GetDatum(own != NULL ? own->blob->size : list[i].size);
		values[2] = BoolGetDatum(own == NULL);
		values[3] = Int32GetDatum(own != NULL ? 1 : list[i].sessions);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

void
LearnInit(void)
{
	DefineCustomIntVariable("revops.train_memory",
							"The most memory that one training may take.",
							"Training that needs more ends with an error that says so.",
							&learn_train_memory, LEARN_DEFAULT_TRAIN_MEMORY, LEARN_MIN_TRAIN_MEMORY, LEARN_MAX_TRAIN_MEMORY,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("revops.model_memory",
							"The memory that loaded models may take: in the server where pg_revops is preloaded, otherwise in each session.",
							"The least recently used are unloaded first; the model in use is always loaded.",
							&learn_model_memory, LEARN_DEFAULT_TRAIN_MEMORY / 4, LEARN_MIN_TRAIN_MEMORY, LEARN_MAX_TRAIN_MEMORY,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	ShareInit();
}
