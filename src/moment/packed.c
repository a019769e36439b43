/*
 * packed.c
 *	  A subject's states, packed in one value of revops.moment_state.
 */
#include "moment/pattern.h"

StoredState *
StoredStates(bytea *value, int *n)
{
	const char *p = VARDATA_ANY(value);
	const char *end = p + VARSIZE_ANY_EXHDR(value);
	StoredState *states = palloc(((end - p) / STORED_HEADER + 1) * sizeof(StoredState));

	*n = 0;
	while (p < end)
	{
		StoredState *s = &states[*n];

		if (end - p < STORED_HEADER)
			goto damaged;
		memcpy(&s->rule, p, 8);
		memcpy(&s->due, p + 8, 8);
		memcpy(&s->size, p + 16, 4);
		p += STORED_HEADER;
		if (s->size > end - p || (*n > 0 && s[-1].rule >= s->rule))
			goto damaged;
		s->data = p;
		p += s->size;
		(*n)++;
	}
	return states;
damaged:
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a stored state in revops.moment_state is damaged"),
			 errhint("Delete the row; then run SELECT revops.request_repair() for its subject.")));
}
