/*
 * share.c
 *	  Models in the server's memory.
 *
 * A copy is a dynamic shared memory segment, pinned, so that it outlives the session that made it, and mapped read-only by every session that
 * uses it. A fixed array of slots in the main shared memory says which there are; one lock guards it, taken when a model is mapped, made,
 * put out or let go, never while a text is looked at. Together the copies take at most revops.model_memory, but for the one that is being made:
 * the least recently used are put out first. A session that has one mapped goes on with it until its next look at a model, or the end of its
 * transaction, where it lets it go; the memory is free when the last one has.
 *
 * A session that ends, by an error too, lets go in the segment's detach callback. After a crash the server starts anew with no copy. Times are not kept:
 * the order of use is a counter, moved when a session comes to a model and now and then while it uses it.
 */
#include "learn/share.h"

#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define TRANCHE		"pg_revops models"

typedef struct ShareSlot
{
	Oid			dboid;			/* InvalidOid: free */
	pg_uuid_t	id;
	dsm_handle	handle;
	uint64		size;
	int			sessions;
	pg_atomic_uint64 generation;	/* moves when the slot's copy is put out */
	pg_atomic_uint64 used;
} ShareSlot;

typedef struct ShareControl
{
	LWLock	   *lock;
	pg_atomic_uint64 clock;
	ShareSlot	slot[SHARE_MODELS];
} ShareControl;

/* What a segment begins with; the model follows. */
typedef struct ShareHeader
{
	pg_uuid_t	id;
	uint64		size;
	char		pad[40];
} ShareHeader;

StaticAssertDecl(sizeof(ShareHeader) == 64, "the model that follows must be aligned");

static ShareControl *control = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
ShareShmemRequest(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(sizeof(ShareControl));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
ShareShmemStartup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	control = ShmemInitStruct(TRANCHE, sizeof(ShareControl), &found);
	if (!found)
	{
		memset(control, 0, sizeof(ShareControl));
		control->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
		pg_atomic_init_u64(&control->clock, 1);
		for (int i = 0; i < SHARE_MODELS; i++)
		{
			pg_atomic_init_u64(&control->slot[i].generation, 1);
			pg_atomic_init_u64(&control->slot[i].used, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
ShareInit(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = ShareShmemRequest;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = ShareShmemStartup;
}

bool
ShareAvailable(void)
{
	return control != NULL && IsUnderPostmaster;
}

/* Whole pages of a segment, which nothing else lies on, become read-only for this process, or writable again. Best effort. */
static void
Protect(dsm_segment *segment, bool read_only)
{
	uintptr_t	page = sysconf(_SC_PAGESIZE);
	uintptr_t	from = TYPEALIGN(page, (uintptr_t) dsm_segment_address(segment));
	uintptr_t	to = TYPEALIGN_DOWN(page, (uintptr_t) dsm_segment_address(segment) + dsm_segment_map_length(segment));

	if (to > from)
		(void) mprotect((void *) from, to - from, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* The slot of a version, -1: none. The lock is held. */
static int
FindSlot(const pg_uuid_t *id)
{
	for (int i = 0; i < SHARE_MODELS; i++)
		if (control->slot[i].dboid == MyDatabaseId && memcmp(&control->slot[i].id, id, sizeof(pg_uuid_t)) == 0)
			return i;
	return -1;
}

/* A segment is unmapped: by ShareDetach(), or since the session ends */
static void
Detached(dsm_segment *segment, Datum arg)
{
	const ShareHeader *header = dsm_segment_address(segment);
	int			slot;

	/* its memory may go back to a pool that is written to */
	Protect(segment, false);
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	slot = FindSlot(&header->id);
	if (slot >= 0 && control->slot[slot].handle == dsm_segment_handle(segment) && control->slot[slot].sessions > 0)
		control->slot[slot].sessions--;
	LWLockRelease(control->lock);
}

/* Put a slot's copy out. The lock is held exclusively. */
static void
PutOut(ShareSlot *slot)
{
	dsm_unpin_segment(slot->handle);
	slot->dboid = InvalidOid;
	slot->sessions = 0;
	pg_atomic_fetch_add_u64(&slot->generation, 1);
}

/* This session uses the copy of a slot from now on, by a segment that is mapped for as long as it does. */
static const ModelBlob *
Use(dsm_segment *segment, int slot, uint64 generation, ShareMapping *mapping)
{
	dsm_pin_mapping(segment);
	Protect(segment, true);
	mapping->segment = segment;
	mapping->slot = slot;
	mapping->generation = generation;
	ShareTouch(mapping);
	return (const ModelBlob *) ((char *) dsm_segment_address(segment) + sizeof(ShareHeader));
}

const ModelBlob *
ShareAttach(const pg_uuid_t *id, ShareMapping *mapping)
{
	dsm_segment *segment;
	const ShareHeader *header;
	dsm_handle	handle = 0;
	uint64		generation = 0;
	int			slot;

	mapping->segment = NULL;
	LWLockAcquire(control->lock, LW_SHARED);
	slot = FindSlot(id);
	if (slot >= 0)
	{
		handle = control->slot[slot].handle;
		generation = pg_atomic_read_u64(&control->slot[slot].generation);
	}
	LWLockRelease(control->lock);
	if (slot < 0 || dsm_find_mapping(handle) != NULL || (segment = dsm_attach(handle)) == NULL)
		return NULL;
	header = dsm_segment_address(segment);
	on_dsm_detach(segment, Detached, (Datum) 0);
	/* counted if it is still there; put out meanwhile, its number may be another's by now */
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u64(&control->slot[slot].generation) == generation)
		control->slot[slot].sessions++;
	else
		slot = -1;
	LWLockRelease(control->lock);
	if (slot < 0 || dsm_segment_map_length(segment) < sizeof(ShareHeader) || memcmp(&header->id, id, sizeof(pg_uuid_t)) != 0)
	{
		dsm_detach(segment);
		return NULL;
	}
	return Use(segment, slot, generation, mapping);
}

/* A segment of that size; NULL where the server has no room for one, such as in a small /dev/shm: that is no error, and told in the log */
static dsm_segment *
CreateSegment(Size size)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner before = CurrentResourceOwner;
	ResourceOwner own = ResourceOwnerCreate(before, "revops shared model");
	dsm_segment *volatile segment = NULL;

	CurrentResourceOwner = own;
	PG_TRY();
	{
		segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment != NULL)
			dsm_pin_mapping(segment);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		CurrentResourceOwner = before;
		ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		ResourceOwnerRelease(own, RESOURCE_RELEASE_LOCKS, false, false);
		ResourceOwnerRelease(own, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
		ResourceOwnerDelete(own);
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		ereport(LOG,
				(errmsg("pg_revops: a model of %zu bytes is loaded by each session for itself: %s", size, error->message),
				 errhint("Give the server more dynamic shared memory: a larger /dev/shm, or min_dynamic_shared_memory.")));
		FreeErrorData(error);
		return NULL;
	}
	PG_END_TRY();
	CurrentResourceOwner = before;
	ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_LOCKS, true, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_AFTER_LOCKS, true, false);
	ResourceOwnerDelete(own);
	return segment;
}

/* Put out what was not used for longest until a copy of that size fits; the free slot. The lock is held exclusively. */
static int
MakeRoomFor(Size size)
{
	for (;;)
	{
		uint64		total = size;
		int			unused = -1,
					oldest = -1;

		for (int i = 0; i < SHARE_MODELS; i++)
		{
			ShareSlot  *slot = &control->slot[i];

			if (slot->dboid == InvalidOid)
			{
				unused = i;
				continue;
			}
			total += slot->size;
			if (oldest < 0 || pg_atomic_read_u64(&slot->used) < pg_atomic_read_u64(&control->slot[oldest].used))
				oldest = i;
		}
		if (oldest < 0 || (unused >= 0 && total <= (uint64) learn_model_memory * 1024))
			return unused;
		PutOut(&control->slot[oldest]);
	}
}

const ModelBlob *
SharePut(const pg_uuid_t *id, const ModelBlob *blob, ShareMapping *mapping)
{
	Size		size = sizeof(ShareHeader) + blob->size;
	dsm_segment *segment = CreateSegment(size);
	ShareHeader *header;
	ShareSlot  *slot;
	uint64		generation;
	int			n;

	mapping->segment = NULL;
	if (segment == NULL)
		return NULL;
	header = dsm_segment_address(segment);
	memset(header, 0, sizeof(ShareHeader));
	header->id = *id;
	header->size = blob->size;
	memcpy(header + 1, blob, blob->size);
	on_dsm_detach(segment, Detached, (Datum) 0);
	dsm_pin_segment(segment);
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	/* a session of the same group of parallel workers may have been as quick */
	if ((n = FindSlot(id)) >= 0)
		PutOut(&control->slot[n]);
	n = MakeRoomFor(size);
	slot = &control->slot[n];
	slot->dboid = MyDatabaseId;
	slot->id = *id;
	slot->handle = dsm_segment_handle(segment);
	slot->size = size;
	slot->sessions = 1;
	generation = pg_atomic_read_u64(&slot->generation);
	pg_atomic_write_u64(&slot->used, pg_atomic_fetch_add_u64(&control->clock, 1));
	LWLockRelease(control->lock);
	return Use(segment, n, generation, mapping);
}

bool
ShareStands(const ShareMapping *mapping)
{
	return pg_atomic_read_u64(&control->slot[mapping->slot].generation) == mapping->generation;
}

void
ShareTouch(const ShareMapping *mapping)
{
	if (ShareStands(mapping))
		pg_atomic_write_u64(&control->slot[mapping->slot].used, pg_atomic_fetch_add_u64(&control->clock, 1));
}

void
ShareDetach(ShareMapping *mapping)
{
	if (mapping->segment != NULL)
		dsm_detach(mapping->segment);
	mapping->segment = NULL;
}

int
ShareList(ShareStatus *list)
{
	int			n = 0;

	LWLockAcquire(control->lock, LW_SHARED);
	for (int i = 0; i < SHARE_MODELS; i++)
		if (control->slot[i].dboid == MyDatabaseId)
			list[n++] = (ShareStatus) {control->slot[i].id, control->slot[i].size, control->slot[i].sessions};
	LWLockRelease(control->lock);
	return n;
}
