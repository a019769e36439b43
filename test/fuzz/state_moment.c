/*
 * state_moment.c
 *	  What state_fuzzer.c does with the states of moments: apart, since rules and models have types of the same names.
 */
#include "state.h"

#include "common/hashfn.h"
#include "moment/pattern.h"

static const char *const rules[] = {
	"{\"when\": {\"kind\": \"w\"}, \"count\": {\"at_least\": 3, \"within\": \"2 days\"}, \"sum\": {\"of\": \"dwell\", \"at_least\": \"1 h\", \"within\": \"2 days\"},"
	" \"distinct\": {\"of\": \"object\", \"at_least\": 5, \"within\": \"3 days\"}}",
	"{\"when\": {\"kind\": \"w\"}, \"streak\": {\"days\": 2, \"each\": {\"sum\": {\"of\": \"dwell\", \"at_least\": \"20 min\"}}}}",
	"{\"sequence\": {\"steps\": [{\"as\": \"x\", \"when\": {\"kind\": \"w\"}, \"times\": {\"at_least\": 2}},"
	" {\"when\": {\"kind\": \"v\"}, \"where\": {\"dwell\": {\"gt\": \"x.dwell\"}}, \"optional\": true}, {\"when\": {\"kind\": \"u\"}},"
	" {\"absent\": {\"kind\": \"t\"}, \"for\": \"1 min\"}], \"within\": \"3 days\", \"skip\": \"to_next\"}}",
	"{\"sequence\": {\"steps\": [{\"as\": \"x\", \"when\": {\"kind\": \"w\"}}, {\"when\": {\"kind\": \"u\"}, \"same\": [\"object\"]}], \"within\": \"30 days\"}}",
};

static pg_uuid_t
Id(int i)
{
	pg_uuid_t	id = {{0}};

	memcpy(id.data, &i, sizeof(i));
	return id;
}

/* The i-th of the events that states are stepped over */
static Event
EventNumber(int i, TimestampTz from)
{
	static const char *const kinds[] = {"w", "w", "v", "u", "w", "t"};
	static const char *const objects[] = {"o1", "o2", "o3", "o4", "o5", "o6", "o7"};
	Event		e = {0};

	e.kind = StrFrom(kinds[i % lengthof(kinds)]);
	e.object = StrFrom(objects[i % lengthof(objects)]);
	e.person = StrFrom("p");
	e.dwell = (i % 4) * 10 * USECS_PER_MINUTE;
	e.occurred_at = from + i * USECS_PER_HOUR;
	e.event_id = Id(i);
	return e;
}

static void
Step(const MomentRule *rule, PatternState *state, TimestampTz from, int n)
{
	MomentHit	hit;

	for (int i = 0; i < n; i++)
	{
		Event		e = EventNumber(i, from);
		MomentRoles roles = MomentRuleRoles(rule, &e);

		while (PatternTimeout(rule, state, e.occurred_at, &hit))
			;
		if (roles != 0)
			(void) PatternStep(rule, state, &e, roles, &hit);
	}
}

static char *
Written(const MomentRule *rule, const PatternState *state, Size *size)
{
	char	   *bytes;

	*size = PatternSize(rule, state);
	bytes = palloc(*size);
	PatternWrite(rule, state, bytes);
	return bytes;
}

static MomentRule *
Rule(int i)
{
	return MomentRuleCompile("fuzz", 1, rules[i % lengthof(rules)], DT_NOBEGIN, DT_NOEND);
}

void
TryMoment(const char *data, Size size)
{
	const MomentRule *rule;
	PatternState *state;
	TimestampTz at = 0;
	pg_uuid_t	id;
	char	   *bytes,
			   *again;
	Size		n,
				m;

	if (size == 0)
		return;
	rule = Rule((unsigned char) data[0]);
	state = PatternRead(rule, data + 1, size - 1);
	bytes = Written(rule, state, &n);
	again = Written(rule, PatternRead(rule, bytes, n), &m);
	if (n != m || memcmp(bytes, again, n) != 0)
		Fail("a state is not what was written");
	(void) PatternDue(rule, state);
	if (PatternFrontier(state, &at, &id) && at > DT_NOEND / 2)
		at = 0;
	Step(rule, state, at, 24);
	bytes = Written(rule, state, &n);
	(void) PatternRead(rule, bytes, n);
}

void
TryStates(const char *data, Size size)
{
	bytea	   *value = palloc(VARHDRSZ + size);
	StoredState *states;
	int			n;
	uint32		sum = 0;

	SET_VARSIZE(value, VARHDRSZ + size);
	memcpy(VARDATA(value), data, size);
	states = StoredStates(value, &n);
	for (int i = 0; i < n; i++)
		sum ^= hash_bytes((const unsigned char *) states[i].data, states[i].size);
	if (sum == 0x12345678)
		fputs("", stderr);
}

/* Of each rule, states after a few events */
void
SeedMoments(void)
{
	for (int r = 0; r < lengthof(rules); r++)
		for (int n = 0; n < 20; n += 5)
		{
			const MomentRule *rule = Rule(r);
			PatternState *state = PatternNew(rule);
			Size		size;
			char	   *bytes;
			char		file[32];

			Step(rule, state, 0, n + 1);
			bytes = Written(rule, state, &size);
			snprintf(file, sizeof(file), "m%d-%d", r, n);
			Seed(file, 'm', r, bytes, size);
			if (n == 15)
			{
				char	   *packed = palloc(STORED_HEADER + size);
				uint64		digest = r + 1;
				uint32		size32 = size;

				memcpy(packed, &digest, 8);
				memset(packed + 8, 0, 8);
				memcpy(packed + 16, &size32, 4);
				memcpy(packed + STORED_HEADER, bytes, size);
				file[0] = 'k';
				Seed(file, 'k', -1, packed, STORED_HEADER + size);
			}
		}
}

void
MomentTargetInit(void)
{
	PredicateInit();
}
