/*
 * store.c
 *	  The loaded models of this backend.
 *
 * An entry is a name and a version (0: whichever is deployed) and the model that it stood for. A change of revops.model or
 * revops.model_version invalidates: the next call asks which version it is now, and loads only what it has not. What is loaded is bounded by
 * revops.model_memory: the least recently used go first, all but the one that is asked for.
 */
#include "learn/learn.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#define STORE_ENTRIES	64

typedef struct Loaded
{
	char		model[LEARN_MAX_NAME + 1];
	int			version;		/* as asked for */
	pg_uuid_t	id;				/* of the version that it is */
	bool		current;		/* nothing has changed since */
	ModelBlob  *blob;			/* NULL: a free entry */
	uint64		used;
} Loaded;

int			learn_train_memory = LEARN_DEFAULT_TRAIN_MEMORY;
int			learn_model_memory = LEARN_DEFAULT_TRAIN_MEMORY / 4;

static Loaded entries[STORE_ENTRIES];
static uint64 clock_hand = 0;
static Oid	model_relid = InvalidOid;
static Oid	version_relid = InvalidOid;
static Loaded *latest = NULL;
static uint64 changes = 0;
static TimestampTz good_within = 0;	/* read with an older snapshot, good for the transaction that began then only; 0: for all */

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != model_relid && relid != version_relid)
		return;
	changes++;
	for (int i = 0; i < STORE_ENTRIES; i++)
		entries[i].current = false;
}

static void
Unload(Loaded *entry)
{
	if (entry->blob != NULL)
		pfree(entry->blob);
	entry->blob = NULL;
	if (latest == entry)
		latest = NULL;
}

/* Room for a model of this size: the entry that takes it. */
static Loaded *
MakeRoom(Loaded *mine, size_t size)
{
	for (;;)
	{
		size_t		total = size;
		Loaded	   *oldest = NULL;
		Loaded	   *unused = mine;

		for (int i = 0; i < STORE_ENTRIES; i++)
		{
			Loaded	   *entry = &entries[i];

			if (entry->blob == NULL)
			{
				if (unused == NULL)
					unused = entry;
				continue;
			}
			total += entry->blob->size;
			if (oldest == NULL || entry->used < oldest->used)
				oldest = entry;
		}
		if (oldest == NULL || (unused != NULL && total <= (size_t) learn_model_memory * 1024))
			return unused;
		Unload(oldest);
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

/* Read a version into memory of its own, checked. */
static ModelBlob *
Load(const char *model, const pg_uuid_t *id)
{
	static SqlPlan plan = {"SELECT parameters FROM revops.model_version WHERE version_id = $1", 1, {UUIDOID}};
	Datum		value = UUIDPGetDatum(id);
	MemoryContext context = CurrentMemoryContext;
	ModelBlob  *blob;
	bytea	   *stored;
	const char *fault = "it is too short";
	bool		null;
	size_t		size;

	if (SqlRun(&plan, &value, NULL) != 1)
		elog(ERROR, "model \"%s\" is gone", model);
	stored = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	size = null ? 0 : VARSIZE_ANY_EXHDR(stored);
	blob = MemoryContextAllocHuge(CacheMemoryContext, Max(size, sizeof(ModelBlob)));
	if (size >= sizeof(ModelBlob))
	{
		memcpy(blob, VARDATA_ANY(stored), size);
		fault = BlobFault(blob, size);
	}
	MemoryContextSwitchTo(context);
	if (fault != NULL)
	{
		pfree(blob);
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored model \"%s\" cannot be used: %s", model, fault),
				 errhint("Train it again, or deploy another version.")));
	}
	return blob;
}

/* Which version it is, and load it if it is not the one that is loaded. */
static Loaded *
Refresh(Loaded *entry, const char *model, int version)
{
	static SqlPlan plan = {
		"SELECT v.version_id FROM revops.model m JOIN revops.model_version v USING (model)"
		" WHERE m.model = $1 AND v.version = CASE WHEN $2 = 0 THEN m.deployed ELSE $2 END", 2, {TEXTOID, INT4OID}
	};
	Datum		values[2];
	pg_uuid_t	id;
	bool		null;
	int			level;

	values[0] = CStringGetTextDatum(model);
	values[1] = Int32GetDatum(version);
	level = SqlConnect();
	model_relid = RevopsRelid("model");
	version_relid = RevopsRelid("model_version");
	if (SqlRun(&plan, values, NULL) != 1)
		NoModel(model, version);
	id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	if (entry == NULL || entry->blob == NULL || memcmp(&entry->id, &id, sizeof(id)) != 0)
	{
		ModelBlob  *blob = Load(model, &id);

		if (entry != NULL)
			Unload(entry);
		entry = MakeRoom(entry, blob->size);
		entry->blob = blob;
		entry->id = id;
		strlcpy(entry->model, model, sizeof(entry->model));
		entry->version = version;
	}
	SqlFinish(level);
	return entry;
}

const ModelBlob *
ModelGet(const char *model, int version)
{
	static bool listening = false;
	Loaded	   *entry = latest;

	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		listening = true;
	}
	if (good_within != 0 && good_within != GetCurrentTransactionStartTimestamp())
	{
		good_within = 0;
		for (int i = 0; i < STORE_ENTRIES; i++)
			entries[i].current = false;
	}
	if (entry == NULL || entry->version != version || strcmp(entry->model, model) != 0)
	{
		entry = NULL;
		for (int i = 0; i < STORE_ENTRIES && entry == NULL; i++)
			if (entries[i].blob != NULL && entries[i].version == version && strcmp(entries[i].model, model) == 0)
				entry = &entries[i];
	}
	if (entry == NULL || !entry->current)
	{
		uint64		before = changes;

		if (strlen(model) > LEARN_MAX_NAME)
			NoModel(model, version);
		entry = Refresh(entry, model, version);
		/* what changed while it was read may be what it did not see yet */
		entry->current = changes == before;
		if (IsolationUsesXactSnapshot())
			good_within = GetCurrentTransactionStartTimestamp();
	}
	entry->used = ++clock_hand;
	latest = entry;
	return entry->blob;
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
							"The memory that loaded models may take in one session.",
							"The least recently used are unloaded first; the model in use is always loaded.",
							&learn_model_memory, LEARN_DEFAULT_TRAIN_MEMORY / 4, LEARN_MIN_TRAIN_MEMORY, LEARN_MAX_TRAIN_MEMORY,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
}
