/*
 * replay.c
 *	  One rule over one subject's history again, from where an event was missed.
 *
 * A replay starts one horizon back (no older event can matter to the pattern), or at the last standing moment before the event that was
 * missed, if a moment spends all events before it. What else a state holds is that moment itself (cooldown), and, for rules with
 * `once`, what happened since it, so those start there at the latest. Moments that the replay finds at or after the missed event are
 * kept; those that stood there and are not found again are retracted. A moment's id is a digest of rule, version, subject and
 * the event that completed it: found again, it is the same.
 */
#include "moment/run.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "moment/rule.h"
#include "utils/builtins.h"

StandingList *
StandingLoad(SubjectKind kind, Datum subject, const MomentRuleSet *set)
{
	static SqlPlan plan = {
		"SELECT moment_id, rule, version, occurred_at, evidence[cardinality(evidence)], by_timer FROM revops.moment"
		" WHERE subject = $1 COLLATE \"C\" AND subject_kind = $2::text::revops.subject_kind AND retracted_at IS NULL",
		2, {TEXTOID, TEXTOID}
	};
	StandingList *list = palloc0(sizeof(StandingList));
	Datum		args[2] = {subject, CStringGetTextDatum(SubjectKindName(kind))};
	uint64		n = SqlRun(&plan, args, NULL);

	list->moments = palloc((n + 1) * sizeof(Standing));
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Standing   *m = &list->moments[list->n++];
		bool		isnull;

		m->id = *DatumGetUUIDP(SPI_getbinval(tup, desc, 1, &isnull));
		m->rule = MomentRuleDigest(SPI_getvalue(tup, desc, 2), DatumGetInt32(SPI_getbinval(tup, desc, 3, &isnull)));
		m->at = DatumGetTimestampTz(SPI_getbinval(tup, desc, 4, &isnull));
		m->timeout = DatumGetBool(SPI_getbinval(tup, desc, 6, &isnull));
		m->point = m->timeout ? PatternTimeoutId : *DatumGetUUIDP(SPI_getbinval(tup, desc, 5, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return list;
}

static inline TimestampTz
TimeBefore(TimestampTz at, int64 duration)
{
	return at < DT_NOBEGIN + 1 + duration ? DT_NOBEGIN : at - duration;
}

void
ReplayPrepare(MomentPass *pass, Replay *r, const StandingList *standing)
{
	const MomentRule *rule = pass->set->rules[r->rule];

	r->before = NULL;
	for (int i = 0; i < standing->n; i++)
	{
		const Standing *m = &standing->moments[i];

		if (m->rule == rule->digest && EventPointCmp(m->at, &m->point, r->late_at, &r->late_id) < 0 &&
			(r->before == NULL || EventPointCmp(m->at, &m->point, r->before->at, &r->before->point) > 0))
			r->before = m;
	}
	r->start = TimeBefore(r->late_at, rule->horizon);
	if (r->before == NULL)
		return;
	if (rule->retains)
	{
		if (rule->once != ONCE_NOT)
			r->start = Min(r->start, TimeBefore(r->before->at, rule->horizon));
	}
	else if (rule->once != ONCE_NOT || r->before->at >= r->start)
	{
		r->start = r->before->at;
		r->after_moment = true;
	}
}

/* The replay has come to what was missed: timeouts from before it are over. */
static void
Unmute(const Replay *r, const MomentRule *rule, PatternState *state)
{
	MomentHit	hit;

	while (PatternTimeout(rule, state, r->late_at, &hit))
		;
	PatternMute(state, false);
}

PatternState *
ReplayRun(MomentPass *pass, const Replay *r, SubjectKind kind, Str subject, const StandingList *standing, EventList *history)
{
	const MomentRule *rule = pass->set->rules[r->rule];
	PatternState *state = PatternNew(rule);
	const Standing *before = r->before;
	int			first = pass->nfound;
	TimestampTz timeouts = DT_NOBEGIN;
	bool		early = true;	/* before what was missed */
	MomentHit	hit;

	/*
	 * Up to what was missed the moments are those that stand: what else would complete there now (attributes have changed since, or an
	 * event that came too late is among the others) is none, and must neither spend events nor begin a cooldown.
	 */
	PatternMute(state, true);

	/* a moment before the start, or at it, is in the state from the beginning */
	if (before != NULL && (r->after_moment || before->at < r->start))
	{
		PatternFired(rule, state, before->at, &before->point);
		if (!r->after_moment)
			before = NULL;
	}
	for (int i = 0; i < history->n; i++)
	{
		Event	   *e = &history->events[i];
		MomentRoles roles;

		CHECK_FOR_INTERRUPTS();
		if (e->occurred_at < r->start)
			continue;
		if (before != NULL && r->after_moment &&
			EventPointCmp(e->occurred_at, &e->event_id, before->at, &before->point) <= 0)
			continue;
		if (!StrEq(EventSubject(e, kind), subject) || (roles = MomentRuleRoles(rule, e)) == 0)
			continue;
		if (before != NULL && !r->after_moment &&
			EventPointCmp(e->occurred_at, &e->event_id, before->at, &before->point) > 0)
		{
			while (PatternTimeout(rule, state, before->at + before->timeout, &hit))
				;
			PatternFired(rule, state, before->at, &before->point);
			before = NULL;
		}
		if (early && EventPointCmp(e->occurred_at, &e->event_id, r->late_at, &r->late_id) >= 0)
		{
			early = false;
			Unmute(r, rule, state);
		}
		while (PatternTimeout(rule, state, e->occurred_at, &hit))
			if (EventPointCmp(hit.at, &PatternTimeoutId, r->late_at, &r->late_id) >= 0)
				KeepHit(pass, kind, subject, &hit);
		if (PatternStep(rule, state, e, roles, &hit) &&
			EventPointCmp(e->occurred_at, &e->event_id, r->late_at, &r->late_id) >= 0)
			KeepHit(pass, kind, subject, &hit);
	}
	if (before != NULL && !r->after_moment)
	{
		while (PatternTimeout(rule, state, before->at + before->timeout, &hit))
			;
		PatternFired(rule, state, before->at, &before->point);
	}
	if (early)
		Unmute(r, rule, state);

	/* the state knows nothing from before the horizon, so an event from before the replay has to be late */
	if (!TIMESTAMP_NOT_FINITE(r->late_at))
		PatternSeen(state, r->late_at, &r->late_id);

	/* timeouts that had come to pass when they were found come to pass again; what is due since waits for its turn */
	for (int i = 0; i < standing->n; i++)
		if (standing->moments[i].rule == rule->digest && standing->moments[i].timeout)
			timeouts = Max(timeouts, standing->moments[i].at);
	if (!TIMESTAMP_IS_NOBEGIN(timeouts))
		while (PatternTimeout(rule, state, timeouts + 1, &hit))
			if (EventPointCmp(hit.at, &PatternTimeoutId, r->late_at, &r->late_id) >= 0)
				KeepHit(pass, kind, subject, &hit);

	for (int i = 0; i < standing->n; i++)
	{
		const Standing *m = &standing->moments[i];
		bool		again = false;

		if (m->rule != rule->digest || EventPointCmp(m->at, &m->point, r->late_at, &r->late_id) < 0)
			continue;
		for (int f = first; f < pass->nfound && !again; f++)
			again = memcmp(pass->found[f].id.data, m->id.data, UUID_LEN) == 0;
		if (!again)
			KeepRetracted(pass, &m->id);
	}
	return state;
}
