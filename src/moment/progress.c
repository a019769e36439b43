/*
 * progress.c
 *	  Who is how far in which rule: the stored states, read as a person would.
 */
#include "moment/pattern.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

/* What is left of the windows at `now`; false: nothing has begun */
static bool
WindowsProgress(const MomentRule *rule, const PatternState *state, TimestampTz now, MomentProgress *p)
{
	double		least = 2;
	int			unmet = 0;

	for (int i = 0; i < rule->nmeasures; i++)
	{
		const Measure *m = &rule->measures[i];
		const Window *w = &state->windows[i];
		int64		have = 0;
		double		unit = m->kind == MEASURE_SUM ? 1e6 : 1;
		TimestampTz oldest = DT_NOEND;

		if (m->session == 0 || !state->relevant || now - state->relevant_at < m->session)
			for (int k = w->first; k < w->first + w->n; k++)
				if (w->entries[k].at > now - m->within)
				{
					oldest = Min(oldest, w->entries[k].at);
					have += m->kind == MEASURE_SUM ? w->entries[k].value : 1;
				}
		if (have >= m->at_least)
			continue;
		unmet++;
		if ((double) have / m->at_least >= least)
			continue;
		least = (double) have / m->at_least;
		p->have = have / unit;
		p->need = m->at_least / unit;
		p->close = m->kind == MEASURE_SUM ? 2 * have >= m->at_least : have == m->at_least - 1;
		p->until = TIMESTAMP_IS_NOEND(oldest) ? DT_NOEND : TimeAfter(oldest, m->within);
		if (m->kind == MEASURE_COUNT)
			p->missing = psprintf(INT64_FORMAT " more event(s)", m->at_least - have);
		else if (m->kind == MEASURE_DISTINCT)
			p->missing = psprintf(INT64_FORMAT " more different value(s)", m->at_least - have);
		else
			p->missing = psprintf("%g more%s", (m->at_least - have) / unit, m->sum.property.data == NULL ? " seconds" : "");
	}
	if (unmet != 1)
		p->close = false;
	return unmet > 0 && p->have > 0;
}

static bool
StreakProgress(const MomentRule *rule, const PatternState *state, TimestampTz now, MomentProgress *p)
{
	const Streak *s = &rule->streak;
	const Window *w = &state->windows[0];
	int64		total[RULE_MAX_DAYS + 1] = {0};
	int64		need = s->need == DAY_MAX ? 1 : s->at_least;
	int32		last;
	int			start,
				run = 0;

	/* a day without an event has passed for sure */
	if (w->n == 0 || now - w->entries[w->first + w->n - 1].at > (s->weekdays ? 4 : 2) * USECS_PER_DAY)
		return false;
	last = w->entries[w->first + w->n - 1].day;
	for (int i = w->first; i < w->first + w->n; i++)
		if (last - w->entries[i].day >= 0 && last - w->entries[i].day <= s->days)
			total[last - w->entries[i].day] += w->entries[i].value;
	start = total[0] >= need ? 0 : 1;
	while (start + run < s->days && total[start + run] >= need)
		run++;
	p->have = run;
	p->need = s->days;
	p->close = run == s->days - 1;
	p->missing = psprintf("%d more day(s) in a row", s->days - run);
	p->until = DT_NOEND;
	return run > 0 && run < s->days;
}

/* Events that a chain still needs at least */
static int
Remaining(const Sequence *q, const Chain *chain, int *next)
{
	int			step = chain->events[chain->n - 1].step;
	int			left = Max(q->steps[step].min - ChainCount(chain, step), 0);

	*next = left > 0 ? step : -1;
	for (int t = step + 1; t < q->n; t++)
	{
		if (q->steps[t].optional)
			continue;
		left += q->steps[t].min;
		if (*next < 0)
			*next = t;
	}
	return left;
}

static bool
ChainsProgress(const MomentRule *rule, const PatternState *state, TimestampTz now, MomentProgress *p)
{
	const Sequence *q = rule->sequence;
	int			best = INT_MAX;
	int			need = 0;

	for (int t = 0; t < q->n; t++)
		need += q->steps[t].optional ? 0 : q->steps[t].min;
	for (int i = 0; i < state->nchains; i++)
	{
		const Chain *chain = state->chains[i];
		int			next;
		int			left;

		if (chain->waiting)
		{
			TimestampTz due = TimeAfter(chain->events[chain->n - 1].at, q->wait);

			if (best == 0 && due >= p->until)
				continue;
			best = 0;
			p->missing = "time without the event";
			p->until = due;
			continue;
		}
		left = Remaining(q, chain, &next);
		if (now - chain->events[0].at >= q->within || left >= best || next < 0 || (chain->open & (1u << next)) == 0)
			continue;
		best = left;
		p->missing = q->steps[next].name ? psprintf("%d event(s), next: %s", left, q->steps[next].name) :
			psprintf("%d event(s), next: step %d", left, next + 1);
		p->until = TimeAfter(chain->events[0].at, q->within);
	}
	if (best == INT_MAX)
		return false;
	p->need = need;
	p->have = Max(need - best, 0);
	p->close = best <= 1;
	return true;
}

bool
PatternProgress(const MomentRule *rule, const PatternState *state, TimestampTz now, MomentProgress *p)
{
	memset(p, 0, sizeof(MomentProgress));
	p->until = DT_NOEND;
	if (state->disarmed || PatternCooling(rule, state, now))
		return false;
	switch (rule->pattern)
	{
		case PATTERN_WINDOW:
			return WindowsProgress(rule, state, now, p);
		case PATTERN_STREAK:
			return StreakProgress(rule, state, now, p);
		case PATTERN_SEQUENCE:
			return ChainsProgress(rule, state, now, p);
		default:
			return false;
	}
}

PG_FUNCTION_INFO_V1(revops_moment_progress);

/* moment_progress() -> (subject_kind, subject, rule, version, have, need, one_step, missing, until), of the rules in force at revops.now() */
Datum
revops_moment_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const MomentRuleSet *set;
	TimestampTz now = RevopsNow();
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "revops progress row", ALLOCSET_DEFAULT_SIZES);
	int			level;
	Portal		portal;

	InitMaterializedSRF(fcinfo, 0);
	level = SqlConnect();
	set = MomentRules();
	portal = SPI_cursor_open_with_args(NULL, "SELECT subject_kind, subject, states FROM revops.moment_state WHERE (SELECT revops.caller_bound()) IS NULL OR "
									   "CASE subject_kind WHEN 'person' THEN subject IN (SELECT revops.rep_sees_persons((SELECT revops.caller_bound()))) OR "
									   "revops.is_stranger(subject) "
									   "WHEN 'account' THEN subject IN (SELECT revops.rep_sees_accounts((SELECT revops.caller_bound()))) "
									   "WHEN 'opportunity' THEN subject IN (SELECT revops.rep_sees_opportunities((SELECT revops.caller_bound()))) "
									   "ELSE subject IN (SELECT revops.rep_sees_reps((SELECT revops.caller_bound()))) END", 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, 1000);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tup = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			MemoryContext old = MemoryContextSwitchTo(row);
			bool		isnull;
			Datum		kind = SPI_getbinval(tup, desc, 1, &isnull);
			Datum		subject = SPI_getbinval(tup, desc, 2, &isnull);
			StoredState *stored;
			int			n;

			CHECK_FOR_INTERRUPTS();
			stored = StoredStates(DatumGetByteaP(SPI_getbinval(tup, desc, 3, &isnull)), &n);
			for (int k = 0; k < n; k++)
			{
				int			r = MomentRuleByDigest(set, stored[k].rule);
				const MomentRule *rule = r >= 0 ? set->rules[r] : NULL;
				MomentProgress p;
				Datum		values[9];
				bool		nulls[9] = {false};

				if (rule == NULL || now < rule->valid_from || now >= rule->valid_to ||
					!PatternProgress(rule, PatternRead(rule, stored[k].data, stored[k].size), now, &p))
					continue;
				values[0] = kind;
				values[1] = subject;
				values[2] = CStringGetTextDatum(rule->name);
				values[3] = Int32GetDatum(rule->version);
				values[4] = Float8GetDatum(p.have);
				values[5] = Float8GetDatum(p.need);
				values[6] = BoolGetDatum(p.close);
				values[7] = CStringGetTextDatum(p.missing);
				values[8] = TimestampTzGetDatum(p.until);
				nulls[8] = TIMESTAMP_IS_NOEND(p.until);
				tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
			}
			MemoryContextSwitchTo(old);
			MemoryContextReset(row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SqlFinish(level);
	return (Datum) 0;
}
