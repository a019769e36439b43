/*
 * target.c
 *	  What the targets share.
 */
#include "target.h"

#include "utils/memutils.h"

MemoryContext lasting = NULL;

void
Fail(const char *what)
{
	fprintf(stderr, "%s\n%s\n", what, standin_error.message);
	abort();
}

void
Seed(const char *name, char mode, int second, const void *data, Size size)
{
	char		path[MAXPGPATH];
	FILE	   *f;

	if (getenv("FUZZ_SEEDS") == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", getenv("FUZZ_SEEDS"), name);
	if ((f = fopen(path, "w")) == NULL)
		abort();
	fputc(mode, f);
	if (second >= 0)
		fputc(second, f);
	fwrite(data, 1, size, f);
	fclose(f);
}

void
Lasting(void)
{
	lasting = AllocSetContextCreate(NULL, "lasting", ALLOCSET_DEFAULT_SIZES);
	TopMemoryContext = CacheMemoryContext = lasting;
}

/* A context and those in it */
static int
CountContexts(MemoryContext context)
{
	int			n = 1;

	if (context == NULL)
		return 0;
	for (MemoryContext c = context->firstchild; c != NULL; c = c->nextchild)
		n += CountContexts(c);
	return n;
}

MemoryContext
Enter(void)
{
	MemoryContext context = AllocSetContextCreate(NULL, "fuzz", ALLOCSET_DEFAULT_SIZES);

	CurrentMemoryContext = context;
	return context;
}

void
Leave(MemoryContext context)
{
	CurrentMemoryContext = NULL;
	MemoryContextDelete(context);
	if (StandinContexts != CountContexts(lasting))
		Fail("memory is left over");
}

int
Take(const uint8_t *data, size_t size, size_t max, Taker take, void (*refused) (char mode))
{
	MemoryContext context;
	char	   *bytes;

	if (size == 0 || size > max)
		return -1;
	context = Enter();
	/* a block of exactly these bytes, so that one too far is seen */
	bytes = palloc(size - 1);
	memcpy(bytes, data + 1, size - 1);
	PG_TRY();
	{
		take((char) data[0], bytes, size - 1);
	}
	PG_CATCH();
	{
		if (standin_error.code == ERRCODE_INTERNAL_ERROR)
			Fail("an internal error");
		if (refused != NULL)
			refused((char) data[0]);
	}
	PG_END_TRY();
	Leave(context);
	return 0;
}
