/*
 * log.c
 *	  Errors that repeat do not flood the server's log: each is logged at once, then after 1, 2, 4 ... minutes, at most every hour,
 *	  with how many like it were not. Two errors are alike if they have the same kind and SQLSTATE and come from the same place in
 *	  the code. Each process counts for itself, and forgets an error that has not come for an hour longer than it was silenced.
 */
#include "base/base.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#define LOG_KINDS			32	/* errors that are told apart; of more, the oldest is forgotten */
#define LOG_FIRST_INTERVAL	(60 * USECS_PER_SEC)
#define LOG_LAST_INTERVAL	(3600 * USECS_PER_SEC)

typedef struct LoggedError
{
	uint64		key;			/* 0: free */
	TimestampTz next;			/* not logged before */
	TimestampTz seen;
	int64		interval;
	int64		unlogged;
} LoggedError;

static LoggedError logged[LOG_KINDS];

/* Whether to log this error now (kind: what failed); *unlogged: how many like it were not since the last one that was. */
bool
LogDue(const char *kind, const ErrorData *error, int64 *unlogged)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		key = hash_bytes_extended((const unsigned char *) kind, strlen(kind), error->sqlerrcode);
	LoggedError *entry = NULL;

	if (error->filename != NULL)
		key = hash_bytes_extended((const unsigned char *) error->filename, strlen(error->filename), key + error->lineno);
	key |= 1;
	for (int i = 0; i < LOG_KINDS; i++)
	{
		if (logged[i].key == key)
		{
			entry = &logged[i];
			break;
		}
		if (entry == NULL || logged[i].seen < entry->seen)
			entry = &logged[i];
	}
	*unlogged = 0;
	/* a new one, one that was gone for long, or the clock was set back */
	if (entry->key != key || now > entry->next + LOG_LAST_INTERVAL || entry->next > now + LOG_LAST_INTERVAL)
	{
		entry->key = key;
		entry->interval = LOG_FIRST_INTERVAL;
		entry->next = now + entry->interval;
		entry->seen = now;
		entry->unlogged = 0;
		return true;
	}
	entry->seen = now;
	if (now < entry->next)
	{
		entry->unlogged++;
		return false;
	}
	*unlogged = entry->unlogged;
	entry->unlogged = 0;
	entry->interval = Min(entry->interval * 2, LOG_LAST_INTERVAL);
	entry->next = now + entry->interval;
	return true;
}
