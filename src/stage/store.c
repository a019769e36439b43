/*
 * store.c
 *	  The pipelines' deployed models, as this backend has loaded them. Which version is deployed is asked each time; parameters are read once.
 */
#include "stage/store.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct SymbolEntry
{
	char		name[STAGE_MAX_NAME + 1];
	int			number;
} SymbolEntry;

static StoredStages loaded[STAGE_MAX_LOADED];
static uint64 clock_hand = 0;

static void
Unload(StoredStages *m)
{
	if (m->context != NULL)
		MemoryContextDelete(m->context);
	memset(m, 0, sizeof(StoredStages));
}

static void
Load(StoredStages *m, const char *pipeline, const pg_uuid_t *id)
{
	static SqlPlan read = {"SELECT version, stages, symbols, parameters FROM revops.stage_model WHERE version_id = $1", 1, {UUIDOID}};
	Datum		arg = UUIDPGetDatum(id);
	HASHCTL		ctl = {.keysize = STAGE_MAX_NAME + 1, .entrysize = sizeof(SymbolEntry)};
	MemoryContext old;
	HeapTuple	tup;
	TupleDesc	desc;
	Datum	   *names;
	bytea	   *stored;
	int			n;
	bool		null;
	char	   *copy;
	size_t		size;
	StoredStages fresh = {0};

	if (SqlRun(&read, &arg, NULL) != 1)
		elog(ERROR, "the model of pipeline \"%s\" is gone", pipeline);
	tup = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	fresh.context = AllocSetContextCreate(CacheMemoryContext, "revops stage model", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		old = MemoryContextSwitchTo(fresh.context);
		ctl.hcxt = fresh.context;
		strlcpy(fresh.pipeline, pipeline, sizeof(fresh.pipeline));
		fresh.id = *id;
		fresh.version = DatumGetInt32(SPI_getbinval(tup, desc, 1, &null));
		deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(tup, desc, 2, &null)), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &fresh.nstages);
		fresh.stages = palloc(Max(fresh.nstages, 1) * sizeof(char *));
		for (int i = 0; i < fresh.nstages; i++)
			fresh.stages[i] = TextDatumGetCString(names[i]);
		deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(tup, desc, 3, &null)), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &n);
		fresh.symbols = hash_create("revops stage symbols", Max(n, 1), &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
		for (int i = 0; i < n; i++)
		{
			char		key[STAGE_MAX_NAME + 1] = {0};
			SymbolEntry *entry;

			strlcpy(key, TextDatumGetCString(names[i]), sizeof(key));
			entry = hash_search(fresh.symbols, key, HASH_ENTER, NULL);
			entry->number = i;
			fresh.intents |= strncmp(key, "intent:", 7) == 0;
		}
		stored = DatumGetByteaPP(SPI_getbinval(tup, desc, 4, &null));
		size = null ? 0 : VARSIZE_ANY_EXHDR(stored);
		copy = palloc(size + 1);
		if (size > 0)
			memcpy(copy, VARDATA_ANY(stored), size);
		if (!StageModelOpen(&fresh.model, copy, size) || fresh.model.h->stages != fresh.nstages || fresh.model.h->symbols != n + 1)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the stored model of pipeline \"%s\" is damaged", pipeline),
					 errhint("Run SELECT revops.train_stages() for it again.")));
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		MemoryContextDelete(fresh.context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	SPI_freetuptable(SPI_tuptable);
	*m = fresh;
}

const StoredStages *
StagesDeployed(const char *pipeline)
{
	static SqlPlan which = {
		"SELECT m.version_id FROM revops.pipeline p JOIN revops.stage_model m ON m.pipeline = p.pipeline AND m.version = p.deployed"
		" WHERE p.pipeline = $1 COLLATE \"C\"", 1, {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(pipeline);
	StoredStages *entry = &loaded[0];
	pg_uuid_t	id;
	bool		null;

	if (SqlRun(&which, &arg, NULL) != 1)
		return NULL;
	id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < STAGE_MAX_LOADED; i++)
	{
		if (loaded[i].context != NULL && memcmp(&loaded[i].id, &id, sizeof(id)) == 0)
		{
			loaded[i].used = ++clock_hand;
			return &loaded[i];
		}
		if (loaded[i].context != NULL && strcmp(loaded[i].pipeline, pipeline) == 0)
			Unload(&loaded[i]);
		if (loaded[i].used < entry->used)
			entry = &loaded[i];
	}
	Unload(entry);
	Load(entry, pipeline, &id);
	entry->used = ++clock_hand;
	return entry;
}

int
StageSymbol(const StoredStages *m, const char *name, int len)
{
	char		key[STAGE_MAX_NAME + 1];
	SymbolEntry *entry;

	if (len > STAGE_MAX_NAME)
		return m->model.h->symbols - 1;
	memcpy(key, name, len);
	key[len] = '\0';
	entry = hash_search(m->symbols, key, HASH_FIND, NULL);
	return entry != NULL ? entry->number : m->model.h->symbols - 1;
}
