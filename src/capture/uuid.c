/*
 * uuid.c
 *	  Event ids: UUID version 7 (RFC 9562, section 5.7).
 *
 * The leading 60 bits that are not version are a clock: 48 bits of milliseconds and, in rand_a, 12 bits of their fraction
 * (RFC 9562, section 6.2, method 3). A clock that did not advance since the last id of this backend is moved on by one, so
 * that a backend's ids always ascend. The other 62 bits are random.
 */
#include "capture/capture.h"

#include "access/xact.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define UNIX_EPOCH_SHIFT	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

#define RANDOM_WORDS	512

static uint64 last_tick = 0;	/* the 60 bits of clock in the last id */
static uint64 random_words[RANDOM_WORDS];
static int	random_left = 0;

static pg_uuid_t fresh_id;
static TimestampTz fresh_statement = 0; /* 0: there is no fresh id */

/* 64 random bits; drawn from the system in large pieces, since each draw costs more than the rest of an id. */
static uint64
RandomWord(void)
{
	if (random_left == 0)
	{
		if (!pg_strong_random(random_words, sizeof(random_words)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not draw random bits for an event id")));
		random_left = RANDOM_WORDS;
	}
	return random_words[--random_left];
}

bool
UuidTakeFresh(const pg_uuid_t *id)
{
	if (fresh_statement == 0 || memcmp(id, &fresh_id, sizeof(pg_uuid_t)) != 0)
		return false;
	/* one use; and an id of an earlier statement may have gone out to a client and come back through another session */
	if (fresh_statement != GetCurrentStatementStartTimestamp())
	{
		fresh_statement = 0;
		return false;
	}
	fresh_statement = 0;
	return true;
}

PG_FUNCTION_INFO_V1(revops_uuid_v7);
Datum
revops_uuid_v7(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	int64		usecs = RevopsNow() + UNIX_EPOCH_SHIFT;
	uint64		tick;
	uint64		high;
	uint64		low;

	if (usecs < 0)
		usecs = 0;
	tick = ((uint64) (usecs / 1000) << 12) | ((uint64) (usecs % 1000) * 4096 / 1000);
	if (tick <= last_tick)
		tick = last_tick + 1;
	last_tick = tick;

	high = pg_hton64(((tick >> 12) << 16) | UINT64CONST(0x7000) | (tick & 0xFFF));
	low = pg_hton64((RandomWord() & UINT64CONST(0x3FFFFFFFFFFFFFFF)) | UINT64CONST(0x8000000000000000));
	memcpy(id->data, &high, 8);
	memcpy(id->data + 8, &low, 8);

	fresh_id = *id;
	fresh_statement = GetCurrentStatementStartTimestamp();
	PG_RETURN_UUID_P(id);
}
