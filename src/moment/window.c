/*
 * window.c
 *	  Sliding windows of counts, sums and distinct values, and days in a row.
 *
 * Of a window only what can decide something is kept: of a count the newest at_least events, of a sum the fewest newest events
 * that reach at_least, of distinct values the newest event of each of the newest at_least values, of a streak's day the first
 * events that give it what it needs. No value is negative, and none counts for more than at_least: so what is kept reaches
 * at_least whenever the full window does, and sums neither round nor overflow. Of a sum or a streak, the newest
 * PATTERN_MAX_ENTRIES are kept.
 */
#include "moment/pattern.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

int
WindowCount(const MomentRule *rule)
{
	return rule->pattern == PATTERN_WINDOW ? rule->nmeasures : rule->pattern == PATTERN_STREAK ? 1 : 0;
}

static inline void
DropOldest(Window *w)
{
	w->sum -= w->entries[w->first].value;
	w->n--;
	w->first = w->n == 0 ? 0 : w->first + 1;
}

/* Drop one from the middle */
static void
DropAt(Window *w, int i)
{
	w->sum -= w->entries[w->first + i].value;
	memmove(&w->entries[w->first + i], &w->entries[w->first + i + 1], (w->n - 1 - i) * sizeof(Entry));
	w->n--;
}

void
WindowAdd(PatternState *state, Window *w, const Entry *entry)
{
	if (w->first + w->n == w->max)
	{
		if (w->first > w->n)
			memcpy(w->entries, w->entries + w->first, w->n * sizeof(Entry));
		else
		{
			int			max = Max(w->n * 2, 4);
			Entry	   *entries = MemoryContextAlloc(GetMemoryChunkContext(state), max * sizeof(Entry));

			if (w->entries != NULL)
			{
				memcpy(entries, w->entries + w->first, w->n * sizeof(Entry));
				pfree(w->entries);
			}
			w->entries = entries;
			w->max = max;
		}
		w->first = 0;
	}
	w->entries[w->first + w->n++] = *entry;
	w->sum += entry->value;
}

void
WindowsClear(PatternState *state)
{
	for (int i = 0; i < RULE_MAX_MEASURES; i++)
		state->windows[i].first = state->windows[i].n = state->windows[i].sum = 0;
}

/* A digest of the value of a field; false: it has none */
static bool
DistinctValue(const Measure *m, const Event *e, int64 *digest)
{
	FieldValue	v;
	uint64		bits;

	EventField(m->of, e, &v);
	if (v.type == VALUE_NONE)
		return false;
	if (v.type == VALUE_TEXT || v.hash != 0)
		bits = v.hash;
	else
		memcpy(&bits, &v.number, sizeof(bits));
	/* small, so that the window's sum of them does not overflow */
	*digest = (int64) (hash_bytes_extended((const unsigned char *) &bits, sizeof(bits), v.type) >> 12);
	return true;
}

/* Give up what cannot decide anything any more. */
static void
Trim(PatternState *state, const Measure *m, Window *w)
{
	if (m->kind != MEASURE_SUM)
		while (w->n > m->at_least)
			DropOldest(w);
	else
		while (w->n > 0 && w->sum - w->entries[w->first].value >= m->at_least)
			DropOldest(w);
	while (w->n > PATTERN_MAX_ENTRIES)
	{
		DropOldest(w);
		state->capped++;
	}
}

bool
WindowsStep(const MomentRule *rule, PatternState *state, const Event *e, bool *holds)
{
	bool		adds = false;

	*holds = true;
	for (int i = 0; i < rule->nmeasures; i++)
	{
		const Measure *m = &rule->measures[i];
		Window	   *w = &state->windows[i];
		Entry		entry = {e->occurred_at, e->event_id, 1, 0};
		bool		mine = true;

		if (m->session > 0 && state->relevant && e->occurred_at - state->relevant_at >= m->session)
			w->first = w->n = w->sum = 0;
		while (w->n > 0 && w->entries[w->first].at <= e->occurred_at - m->within)
			DropOldest(w);
		if (m->kind == MEASURE_SUM)
			mine = (entry.value = SummandValue(&m->sum, e)) > 0;
		else if (m->kind == MEASURE_DISTINCT)
		{
			mine = DistinctValue(m, e, &entry.value);
			for (int k = 0; mine && k < w->n; k++)
				if (w->entries[w->first + k].value == entry.value)
				{
					DropAt(w, k);
					break;
				}
		}
		if (mine)
		{
			WindowAdd(state, w, &entry);
			Trim(state, m, w);
			adds = true;
		}
		if (m->kind == MEASURE_SUM ? w->sum < m->at_least : w->n < m->at_least)
			*holds = false;
	}
	state->relevant = true;
	state->relevant_at = e->occurred_at;
	return adds;
}

/*
 * Sets *holds: the days that end with the event's all have what they need; *goes_on: they, or those that end with the day before.
 */
bool
StreakStep(const MomentRule *rule, PatternState *state, const Event *e, bool *holds, bool *goes_on)
{
	const Streak *s = &rule->streak;
	Window	   *w = &state->windows[0];
	int64		total[RULE_MAX_DAYS + 1] = {0}; /* of the event's day, the day before, and so on */
	int64		need = s->need == DAY_MAX ? 1 : s->at_least;
	Entry		entry = {e->occurred_at, e->event_id, 1, 0};
	int			run = 0;
	int			start;

	*holds = *goes_on = false;
	if (!StreakDay(s, e, &entry.day))
		return false;
	if (s->need != DAY_COUNT)
		entry.value = SummandValue(&s->sum, e);
	if (s->need == DAY_MAX)
		entry.value = entry.value >= s->at_least;

	/* the days of events in other zones may lie two before this one's */
	while (w->n > 0 && w->entries[w->first].day < entry.day - s->days - 2)
		DropOldest(w);
	for (int i = 0; i < w->n; i++)
	{
		int			ago = entry.day - w->entries[w->first + i].day;

		if (ago >= 0 && ago <= s->days)
			total[ago] += w->entries[w->first + i].value;
	}
	if (entry.value > 0 && total[0] < need)
	{
		WindowAdd(state, w, &entry);
		total[0] += entry.value;
		while (w->n > PATTERN_MAX_ENTRIES)
		{
			DropOldest(w);
			state->capped++;
		}
	}
	start = total[0] >= need ? 0 : 1;
	while (start + run <= s->days && total[start + run] >= need)
		run++;
	*goes_on = run >= s->days;
	*holds = start == 0 && run >= s->days;
	return entry.value > 0;
}

static int
EntryCmp(const void *a, const void *b)
{
	const Entry *x = a,
			   *y = b;

	return EventPointCmp(x->at, &x->id, y->at, &y->id);
}

Entry *
WindowsEvidence(const MomentRule *rule, const PatternState *state, const Event *e, int *n)
{
	int			max = 1;
	Entry	   *all;
	int32		day = 0;
	int			kept = 0;

	for (int i = 0; i < WindowCount(rule); i++)
		max += state->windows[i].n;
	all = palloc(max * sizeof(Entry));
	if (rule->pattern == PATTERN_STREAK)
		(void) StreakDay(&rule->streak, e, &day);
	*n = 0;
	for (int i = 0; i < WindowCount(rule); i++)
	{
		const Window *w = &state->windows[i];

		for (int k = w->first; k < w->first + w->n; k++)
			if (rule->pattern != PATTERN_STREAK || (w->entries[k].day <= day && w->entries[k].day > day - rule->streak.days))
				all[(*n)++] = w->entries[k];
	}
	all[*n].at = e->occurred_at;
	all[*n].value = 0;
	all[(*n)++].id = e->event_id;
	qsort(all, *n, sizeof(Entry), EntryCmp);
	for (int i = 0; i < *n; i++)
		if (i == 0 || EntryCmp(&all[i], &all[kept - 1]) != 0)
			all[kept++] = all[i];
		else
			all[kept - 1].value = Max(all[kept - 1].value, all[i].value);
	*n = kept;
	return all;
}
