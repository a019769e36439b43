/*
 * backtest.c
 *	  A rule over the events that are kept, writing nothing: by the same engine, subject by subject.
 *
 * The events of the span are read in the order of (subject, time), sorted by the server, so that one state is held at a time and memory is
 * bounded, whatever the span.
 */
#include "moment/rule.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define FETCH_ROWS			5000

/* The subject of an event e, with its person's row v and that row's identity k, as EventResolve() has it */
static const char *const subject_sql[SUBJECT_KINDS] = {
	[SUBJECT_PERSON] = "coalesce(v.identity, e.person)",
	[SUBJECT_ACCOUNT] = "coalesce(e.account, k.account, v.account)",
	[SUBJECT_OPPORTUNITY] = "e.opportunity",
	[SUBJECT_REP] = "e.rep"
};

typedef struct Backtest
{
	const MomentRule *rule;
	TimestampTz now;
	ReturnSetInfo *rsinfo;
	MemoryContext context;		/* of the subject's state and key */
	PatternState *state;		/* NULL: no subject yet */
	Str			subject;
	int64		events;
	int64		moments;
	int64		subjects;
} Backtest;

static void
Return(Backtest *b, const MomentHit *hit)
{
	Datum		values[5];
	bool		isnull[5] = {false};
	Datum	   *ids = palloc(hit->nevidence * sizeof(Datum));

	for (int i = 0; i < hit->nevidence; i++)
		ids[i] = UUIDPGetDatum(&hit->evidence[i]);
	values[0] = ObjectIdGetDatum(SubjectKindOid(b->rule->per));
	values[1] = PointerGetDatum(cstring_to_text_with_len(b->subject.data, b->subject.len));
	values[2] = TimestampTzGetDatum(hit->at);
	values[3] = Float8GetDatum(hit->strength);
	values[4] = PointerGetDatum(construct_array(ids, hit->nevidence, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	tuplestore_putvalues(b->rsinfo->setResult, b->rsinfo->setDesc, values, isnull);
	b->moments++;
}

static void
EndSubject(Backtest *b)
{
	MomentHit	hit;

	while (b->state != NULL && PatternTimeout(b->rule, b->state, b->now + 1, &hit))
		Return(b, &hit);
	b->state = NULL;
	MemoryContextReset(b->context);
}

static void
StepEvent(Backtest *b, Event *e)
{
	Str			subject = EventSubject(e, b->rule->per);
	MomentRoles roles;
	MomentHit	hit;

	CHECK_FOR_INTERRUPTS();
	if (subject.data == NULL)
		return;
	if (b->state != NULL && !StrEq(subject, b->subject))
		EndSubject(b);
	if ((roles = MomentRuleRoles(b->rule, e)) == 0)
		return;
	if (b->state == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(b->context);

		b->subject = subject;
		b->subject.data = pnstrdup(subject.data, subject.len);
		b->state = PatternNew(b->rule);
		b->subjects++;
		MemoryContextSwitchTo(old);
	}
	while (PatternTimeout(b->rule, b->state, e->occurred_at, &hit))
		Return(b, &hit);
	if (PatternStep(b->rule, b->state, e, roles, &hit))
		Return(b, &hit);
}

/* The kinds of event that the rule looks at, as text[]; false: any */
static bool
RuleKinds(const MomentRule *rule, Datum *kinds)
{
	const Predicate *preds[2 * RULE_MAX_STEPS + 2];
	int			n = 0;
	const Sequence *q = rule->sequence;
	ArrayBuildState *array = NULL;
	const Str  *some;

	if (PredicateKinds(rule->when, &some), some != NULL || q == NULL || q->strict)
		preds[n++] = rule->when;
	else
	{
		for (int i = 0; i < q->n; i++)
		{
			preds[n++] = q->steps[i].when;
			if (q->steps[i].absent != NULL)
				preds[n++] = q->steps[i].absent;
		}
		if (q->until != NULL)
			preds[n++] = q->until;
	}
	if (rule->once_until != NULL)
		preds[n++] = rule->once_until;
	for (int i = 0; i < n; i++)
	{
		int			k = PredicateKinds(preds[i], &some);

		if (some == NULL)
			return false;
		for (int j = 0; j < k; j++)
			array = accumArrayResult(array, PointerGetDatum(cstring_to_text_with_len(some[j].data, some[j].len)), false, TEXTOID,
									 CurrentMemoryContext);
	}
	*kinds = array != NULL ? makeArrayResult(array, CurrentMemoryContext) : PointerGetDatum(construct_empty_array(TEXTOID));
	return true;
}

static void
Run(Backtest *b, TimestampTz since, TimestampTz until)
{
	Oid			types[3] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID};
	Datum		args[3] = {TimestampTzGetDatum(since), TimestampTzGetDatum(until)};
	bool		some = RuleKinds(b->rule, &args[2]);
	const char *subject = subject_sql[b->rule->per];
	StringInfoData sql;
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "revops backtest batch", ALLOCSET_DEFAULT_SIZES);
	TimestampTz told = NoticeStart();
	int64		total;
	bool		isnull;
	Portal		portal;

	/* whole spans are read: the kinds of scan are the planner's to choose */
	(void) set_config_option("enable_seqscan", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	initStringInfo(&sql);
	appendStringInfo(&sql, "FROM revops.event e LEFT JOIN revops.person v ON v.person = e.person LEFT JOIN revops.person k ON k.person = v.identity"
					 " WHERE NOT e.ahead AND e.occurred_at >= $1 AND e.occurred_at < $2%s AND %s IS NOT NULL",
					 some ? " AND e.kind = ANY ($3)" : "", subject);
	if (SPI_execute_with_args(psprintf("SELECT count(*) %s", sql.data), some ? 3 : 2, types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count the events of a backtest");
	total = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	portal = SPI_cursor_open_with_args(NULL, psprintf("SELECT e.event_id, e.occurred_at, e.txid, e.epoch, e.ahead, e.dwell, e.person, e.account, e.opportunity,"
													  " e.rep, e.side, e.channel, e.kind, e.object, e.body, e.properties %s"
													  " ORDER BY %s COLLATE \"C\", e.occurred_at, e.event_id", sql.data, subject),
									   some ? 3 : 2, types, args, NULL, true, 0);
	for (;;)
	{
		MemoryContext old;
		EventList	list = {0};
		int64		n;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		n = SPI_processed;
		if (n == 0)
			break;
		old = MemoryContextSwitchTo(batch);
		EventListTakeResult(&list, NULL);
		EventResolve(&list);
		EventListRead(&list);
		for (int i = 0; i < list.n; i++)
			StepEvent(b, &list.events[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(batch);
		b->events += n;
		if (NoticeDue(&told))
			ereport(NOTICE,
					(errmsg("backtest: " INT64_FORMAT " of " INT64_FORMAT " events, " INT64_FORMAT " moments", b->events, total, b->moments)));
	}
	SPI_cursor_close(portal);
	EndSubject(b);
}

PG_FUNCTION_INFO_V1(revops_backtest);

/* backtest(definition json, since, until) -> (subject_kind, subject, occurred_at, strength, evidence) */
Datum
revops_backtest(PG_FUNCTION_ARGS)
{
	Backtest	b = {0};
	char	   *definition = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(2);
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	b.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	b.now = RevopsNow();
	if (until <= b.now)
		b.now = until - 1;
	b.context = AllocSetContextCreate(CurrentMemoryContext, "revops backtest subject", ALLOCSET_DEFAULT_SIZES);
	level = SqlConnect();
	b.rule = MomentRuleCompile("backtest", 1, definition, since, until);
	Run(&b, since, until);
	SqlFinish(level);
	return (Datum) 0;
}
