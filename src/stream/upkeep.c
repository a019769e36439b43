/*
 * upkeep.c
 *	  What a pass does after its events: subjects that were asked to be repaired, and timeouts that are due.
 */
#include "stream/pass.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define REPAIRS_PER_PASS	200
#define TIMEOUTS_PER_PASS	2000
#define STAGES_PER_PASS		2000

static SubjectKind
SubjectKindNamed(const char *name)
{
	for (int k = 0; k < SUBJECT_KINDS; k++)
		if (strcmp(name, SubjectKindName(k)) == 0)
			return k;
	elog(ERROR, "unknown kind of subject \"%s\"", name);
}

typedef struct Repair
{
	SubjectKind kind;
	Str			subject;
	TimestampTz since;
	int64		last_request;
} Repair;

/*
 * Events that are the subject's by now, or of whom it asks, may have answered its cards; and cards of moments that were retracted may have been locked
 * when they were to be cancelled.
 */
static void
SettleCards(Pass *pass, Datum kind, Datum subject)
{
	static SqlPlan open_cards = {
		"SELECT array_agg(t.moment_id) FILTER (WHERE m.retracted_at IS NULL), array_agg(t.moment_id) FILTER (WHERE m.retracted_at IS NOT NULL)"
		" FROM revops.task t JOIN revops.moment m USING (subject, moment_id)"
		" WHERE t.subject = $2 COLLATE \"C\" AND t.subject_kind = $1::text::revops.subject_kind AND t.status IN ('open', 'claimed')",
		2, {TEXTOID, TEXTOID}
	};
	static SqlPlan cancel = {"SELECT revops.cancel_tasks($1)", 1, {UUIDARRAYOID}};
	Datum		args[2] = {kind, subject};
	SPITupleTable *cards;
	Datum		standing,
				retracted;
	bool		none,
				none_retracted;

	SqlRun(&open_cards, args, NULL);
	cards = SPI_tuptable;
	standing = SPI_getbinval(cards->vals[0], cards->tupdesc, 1, &none);
	retracted = SPI_getbinval(cards->vals[0], cards->tupdesc, 2, &none_retracted);
	if (!none_retracted)
		SqlRun(&cancel, &retracted, NULL);
	if (!none)
		AnswerMoments(pass, standing);
	SPI_freetuptable(cards);
}

/* What people wrote who are of another account by now was the account's by them alone: it goes by the person from now on */
static void
LetIntentsGo(Datum account)
{
	static SqlPlan go = {
		"UPDATE revops.event_intent i SET account = NULL WHERE i.account = $1 COLLATE \"C\""
		" AND (SELECT coalesce(k.account, v.account) FROM revops.person v LEFT JOIN revops.person k ON k.person = v.identity"
		" WHERE v.person = i.person) IS DISTINCT FROM i.account"
		/* event by event (OFFSET 0): a join may be planned to read all of them */
		" AND EXISTS (SELECT FROM revops.event e WHERE e.event_id = i.event_id AND e.occurred_at = i.occurred_at AND e.account IS NULL OFFSET 0)",
		1, {TEXTOID}
	};

	SqlRun(&go, &account, NULL);
}

static void
RunRepair(Pass *pass, void *arg)
{
	Repair	   *r = arg;
	MomentPass *moments = MomentPassBegin(0, 1);
	Datum		args[3] = {CStringGetTextDatum(SubjectKindName(r->kind)), PointerGetDatum(cstring_to_text_with_len(r->subject.data, r->subject.len)), TimestampTzGetDatum(r->since)};

	ScoreRecompute(r->kind, r->subject, pass->consumed);
	if (r->since < DT_NOEND)
	{
		static SqlPlan replayed = {
			"DELETE FROM revops.late_event WHERE subject_kind = $1::text::revops.subject_kind AND subject = $2 COLLATE \"C\""
			" AND occurred_at >= $3",
			3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}
		};

		SqlRun(&replayed, args, NULL);
		MomentPassRepair(moments, r->kind, r->subject, r->since, pass->consumed);
		WriteMoments(pass, moments, NULL);
	}
	SettleCards(pass, args[0], args[1]);
	if (r->kind == SUBJECT_ACCOUNT)
		LetIntentsGo(args[1]);
	if (r->kind == SUBJECT_OPPORTUNITY)
		StageRecompute(&r->subject, 1, pass->consumed);
}

/*
 * Compute anew the subjects that were asked for; true if more wait. *after (NULL: none): requests up to it are done, for the next call
 * in the same transaction, which would only wade through the rows that this one has deleted.
 */
bool
Repairs(Pass *pass, int64 *after)
{
	/*
	 * The oldest requests, and what else is asked for their subjects: costs the same however many wait. The planner would take waiting
	 * and lane for rare things and sort them all; behind OFFSET 0 and a constant LIMIT it goes along the index.
	 */
	static SqlPlan wanted = {
		"WITH first AS MATERIALIZED (SELECT request_id, subject_kind, subject FROM (SELECT * FROM revops.repair_request"
		" WHERE request_id > $3 ORDER BY request_id OFFSET 0) w"
		" WHERE error IS NULL AND revops.subject_lane(subject_kind, subject, $2) = $1 LIMIT " CppAsString2(REPAIRS_PER_PASS) ")"
		" SELECT o.subject_kind::text, o.subject, a.since, a.last, (SELECT count(*) FROM first), (SELECT max(request_id) FROM first)"
		" FROM (SELECT subject_kind, subject, min(request_id) AS n FROM first GROUP BY 1, 2) o"
		" CROSS JOIN LATERAL (SELECT min(r.since) AS since, max(r.request_id) AS last FROM revops.repair_request r"
		" WHERE r.subject = o.subject AND r.subject_kind = o.subject_kind AND r.error IS NULL) a ORDER BY o.n",
		3, {INT4OID, INT4OID, INT8OID}
	};
	static SqlPlan done = {
		"DELETE FROM revops.repair_request WHERE subject = $1 COLLATE \"C\" AND subject_kind = $2::text::revops.subject_kind"
		" AND request_id <= $3 AND error IS NULL",
		3, {TEXTOID, TEXTOID, INT8OID}
	};
	static SqlPlan failed = {
		"UPDATE revops.repair_request SET error = $4 WHERE subject = $1 COLLATE \"C\" AND subject_kind = $2::text::revops.subject_kind"
		" AND request_id <= $3 AND error IS NULL",
		4, {TEXTOID, TEXTOID, INT8OID, TEXTOID}
	};
	Datum		args[4] = {Int32GetDatum(pass->lane), Int32GetDatum(pass->lanes), Int64GetDatum(after != NULL ? *after : 0)};
	int			n = (int) SqlRun(&wanted, args, NULL);
	Repair	   *repairs = palloc((n + 1) * sizeof(Repair));
	TupleDesc	desc = SPI_tuptable->tupdesc;
	int64		requests = 0;
	bool		isnull;

	for (int i = 0; i < n; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];

		repairs[i].kind = SubjectKindNamed(SPI_getvalue(tup, desc, 1));
		repairs[i].subject = StrFrom(pstrdup(SPI_getvalue(tup, desc, 2)));
		repairs[i].since = DatumGetTimestampTz(SPI_getbinval(tup, desc, 3, &isnull));
		repairs[i].last_request = DatumGetInt64(SPI_getbinval(tup, desc, 4, &isnull));
		requests = DatumGetInt64(SPI_getbinval(tup, desc, 5, &isnull));
		if (after != NULL)
			*after = DatumGetInt64(SPI_getbinval(tup, desc, 6, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	if (n > 0 && stream_report != NULL)
		stream_report("repairing subjects", n);
	for (int i = 0; i < n; i++)
	{
		ErrorData  *error;
		int64		unlogged;
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops repair", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		error = Guarded(pass, RunRepair, &repairs[i]);
		args[0] = PointerGetDatum(cstring_to_text_with_len(repairs[i].subject.data, repairs[i].subject.len));
		args[1] = CStringGetTextDatum(SubjectKindName(repairs[i].kind));
		args[2] = Int64GetDatum(repairs[i].last_request);
		if (error != NULL)
		{
			args[3] = CStringGetTextDatum(error->message ? error->message : "unknown error");
			if (LogDue("repair", error, &unlogged))
				ereport(LOG,
						(errmsg("pg_revops: a repair of %s \"%s\" failed: %s", SubjectKindName(repairs[i].kind),
								repairs[i].subject.data, error->message ? error->message : "unknown error"),
						 unlogged > 0 ? errdetail(INT64_FORMAT " more like it were not logged.", unlogged) : 0,
						 errhint("See revops.repair_request; when the cause is mended, SELECT revops.retry_failed().")));
		}
		SqlRun(error != NULL ? &failed : &done, args, NULL);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	return requests == REPAIRS_PER_PASS;
}

typedef struct Stages
{
	int			n;
	const Str  *opportunities;
} Stages;

static void
RunStages(Pass *pass, void *arg)
{
	Stages	   *s = arg;

	StageRecompute(s->opportunities, s->n, pass->consumed);
}

/* Filter anew the opportunities that were asked for; true if more wait. All at once; if that fails, one by one. */
bool
StageRequests(Pass *pass)
{
	Str		   *opportunities;
	Datum	   *requests;
	int			n = StageRequested(pass->lane, pass->lanes, STAGES_PER_PASS, &opportunities, &requests);
	Stages		all = {n, opportunities};
	bool		failed;

	if (n == 0)
		return false;
	failed = Guarded(pass, RunStages, &all) != NULL;
	for (int i = 0; i < n; i++)
	{
		Stages		one = {1, &opportunities[i]};
		ErrorData  *error = failed ? Guarded(pass, RunStages, &one) : NULL;
		const char *message = error == NULL ? NULL : error->message ? error->message : "unknown error";

		CHECK_FOR_INTERRUPTS();
		if (message != NULL)
			ereport(LOG,
					(errmsg("pg_revops: the stage of opportunity \"%s\" was not estimated: %s", opportunities[i].data, message),
					 errhint("See revops.stage_request; when the cause is mended, SELECT revops.rebuild_stages().")));
		StageRequestDone(opportunities[i], requests[i], message);
	}
	return true;
}

typedef struct TimedSubject
{
	SubjectKind kind;
	Str			subject;
} TimedSubject;

typedef struct Timeouts
{
	int			n;
	TimedSubject *subjects;
	TimestampTz now;
} Timeouts;

static void
RunTimeouts(Pass *pass, void *arg)
{
	Timeouts   *t = arg;
	MomentPass *moments = MomentPassBegin(pass->lane, pass->lanes);

	for (int i = 0; i < t->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MomentPassTimeouts(moments, t->subjects[i].kind, t->subjects[i].subject, t->now);
	}
	WriteMoments(pass, moments, NULL);
}

/*
 * Moments that come since time has passed, where no event is left to take; true if more are due. A subject whose state fails is put to
 * the failed repairs, and is due no more.
 */
bool
FireTimeouts(Pass *pass)
{
	static SqlPlan due = {
		"SELECT subject_kind::text, subject FROM revops.moment_state"
		" WHERE due_at <= $1 AND revops.subject_lane(subject_kind, subject, $3) = $2 ORDER BY due_at LIMIT $4",
		4, {TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID}
	};
	static SqlPlan give_up = {
		"UPDATE revops.moment_state SET due_at = NULL WHERE subject_kind = $1::text::revops.subject_kind AND subject = $2 COLLATE \"C\"",
		2, {TEXTOID, TEXTOID}
	};
	static SqlPlan failed = {
		"INSERT INTO revops.repair_request (subject_kind, subject, since, error) VALUES ($1::text::revops.subject_kind, $2, '-infinity', $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Timeouts	t = {0};
	Datum		args[4];
	ErrorData  *error;

	t.now = RevopsNow();
	args[0] = TimestampTzGetDatum(t.now);
	args[1] = Int32GetDatum(pass->lane);
	args[2] = Int32GetDatum(pass->lanes);
	args[3] = Int32GetDatum(TIMEOUTS_PER_PASS);
	t.n = (int) SqlRun(&due, args, NULL);
	t.subjects = palloc((t.n + 1) * sizeof(TimedSubject));
	for (int i = 0; i < t.n; i++)
	{
		t.subjects[i].kind = SubjectKindNamed(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		t.subjects[i].subject = StrFrom(pstrdup(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2)));
	}
	SPI_freetuptable(SPI_tuptable);
	if (t.n == 0)
		return false;
	if (stream_report != NULL)
		stream_report("firing timeouts", t.n);

	/* all at once; if that fails, one by one */
	if ((error = Guarded(pass, RunTimeouts, &t)) != NULL)
		for (int i = 0; i < t.n; i++)
		{
			Timeouts	one = {1, &t.subjects[i], t.now};
			int64		unlogged;

			if ((error = Guarded(pass, RunTimeouts, &one)) == NULL)
				continue;
			args[0] = CStringGetTextDatum(SubjectKindName(one.subjects->kind));
			args[1] = PointerGetDatum(cstring_to_text_with_len(one.subjects->subject.data, one.subjects->subject.len));
			args[2] = CStringGetTextDatum(error->message ? error->message : "unknown error");
			SqlRun(&give_up, args, NULL);
			SqlRun(&failed, args, NULL);
			if (LogDue("timeout", error, &unlogged))
				ereport(LOG,
						(errmsg("pg_revops: timeouts of %s \"%s\" failed: %s", SubjectKindName(one.subjects->kind), one.subjects->subject.data,
								error->message ? error->message : "unknown error"),
						 unlogged > 0 ? errdetail(INT64_FORMAT " more like it were not logged.", unlogged) : 0,
						 errhint("See revops.repair_request; when the cause is mended, SELECT revops.retry_failed().")));
		}
	return t.n == TIMEOUTS_PER_PASS;
}
