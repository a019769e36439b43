/*
 * write.c
 *	  What a pass found, kept until it is written: moments, retractions, events that came too late, and counts.
 */
#include "moment/run.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "moment/rule.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* 128 bits of (rule, version, subject, last event, whether a timeout completed it), as a version 8 UUID. */
pg_uuid_t
MomentId(const MomentRule *rule, SubjectKind kind, Str subject, const pg_uuid_t *last, bool timeout)
{
	pg_uuid_t	id;
	uint64		h[2];

	for (int i = 0; i < 2; i++)
	{
		h[i] = hash_bytes_extended((const unsigned char *) subject.data, subject.len,
								   rule->digest + i * UINT64CONST(0x9e3779b97f4a7c15) + kind + (timeout ? SUBJECT_KINDS : 0));
		h[i] = hash_bytes_extended(last->data, UUID_LEN, h[i]);
	}
	memcpy(id.data, h, UUID_LEN);
	id.data[6] = (id.data[6] & 0x0f) | 0x80;
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}

static Str
KeepStr(MomentPass *pass, Str s)
{
	Str			r = s;

	if (s.data != NULL)
		r.data = memcpy(MemoryContextAlloc(pass->context, s.len + 1), s.data, s.len);
	return r;
}

/* What a moment takes over from its last event. */
static void
TakeOver(MomentPass *pass, Found *f, const Event *e)
{
	f->last = *e;
	f->last.person = KeepStr(pass, e->person);
	f->last.account = KeepStr(pass, e->account);
	f->last.opportunity = KeepStr(pass, e->opportunity);
	f->last.channel = KeepStr(pass, e->channel);
	f->last.object = KeepStr(pass, e->object);
}

/* Keep a hit until it is written; everything it points to is copied. */
void
KeepHit(MomentPass *pass, SubjectKind kind, Str subject, const MomentHit *hit)
{
	Found	   *f;

	if (pass->nfound == pass->maxfound)
	{
		pass->maxfound = pass->maxfound ? 2 * pass->maxfound : 64;
		pass->found = pass->found ? repalloc_huge(pass->found, pass->maxfound * sizeof(Found)) :
			MemoryContextAllocHuge(pass->context, pass->maxfound * sizeof(Found));
	}
	f = &pass->found[pass->nfound++];
	f->id = MomentId(hit->rule, kind, subject, &hit->last_id, hit->timeout);
	f->kind = kind;
	f->subject = KeepStr(pass, subject);
	f->hit = *hit;
	memset(&f->last, 0, sizeof(Event));
	if (hit->event != NULL)
		TakeOver(pass, f, hit->event);
	f->hit.evidence = memcpy(MemoryContextAlloc(pass->context, hit->nevidence * sizeof(pg_uuid_t)),
							 hit->evidence, hit->nevidence * sizeof(pg_uuid_t));
}

void
KeepRetracted(MomentPass *pass, const pg_uuid_t *id)
{
	if (pass->nretract == pass->maxretract)
	{
		pass->maxretract = pass->maxretract ? 2 * pass->maxretract : 64;
		pass->retract = pass->retract ? repalloc(pass->retract, pass->maxretract * sizeof(Datum)) :
			MemoryContextAlloc(pass->context, pass->maxretract * sizeof(Datum));
	}
	pass->retract[pass->nretract++] =
		PointerGetDatum(memcpy(MemoryContextAlloc(pass->context, UUID_LEN), id->data, UUID_LEN));
}

void
KeepLate(MomentPass *pass, const Step *step, int64 behind)
{
	LateEvent  *late;

	if (pass->nlate == pass->maxlate)
	{
		pass->maxlate = pass->maxlate ? 2 * pass->maxlate : 64;
		pass->late = pass->late ? repalloc_huge(pass->late, pass->maxlate * sizeof(LateEvent)) :
			MemoryContextAllocHuge(pass->context, pass->maxlate * sizeof(LateEvent));
	}
	late = &pass->late[pass->nlate++];
	late->id = step->e->event_id;
	late->at = step->e->occurred_at;
	late->rule = step->rule;
	late->kind = step->kind;
	late->subject = KeepStr(pass, step->subject);
	late->behind = behind;
}

static Datum
StrDatum(Str s, bool *isnull)
{
	*isnull = s.data == NULL;
	return *isnull ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(s.data, s.len));
}

static Datum
UuidArray(Datum *ids, int n)
{
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* The last event of a timeout's moment lies in the past: read it back. */
static void
FindLast(MomentPass *pass, Found *f)
{
	static SqlPlan find = {
		"SELECT " EVENT_COLUMNS " FROM revops.event WHERE occurred_at = $1 AND event_id = $2", 2, {TIMESTAMPTZOID, UUIDOID}
	};
	Datum		args[2] = {TimestampTzGetDatum(f->hit.last_at), UUIDPGetDatum(&f->hit.last_id)};
	EventList	list = {0};

	SqlRun(&find, args, NULL);
	EventListTakeResult(&list, NULL);
	EventResolve(&list);
	if (list.n > 0)
		TakeOver(pass, f, &list.events[0]);
}

static void
WriteLate(MomentPass *pass)
{
	static SqlPlan put = {
		"INSERT INTO revops.late_event (event_id, occurred_at, rule, version, subject_kind, subject, behind)"
		" VALUES ($1, $2, $3, $4, $5::text::revops.subject_kind, $6, $7 * interval '1 microsecond') ON CONFLICT DO NOTHING",
		7, {UUIDOID, TIMESTAMPTZOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT8OID}
	};

	for (int i = 0; i < pass->nlate; i++)
	{
		const LateEvent *late = &pass->late[i];
		const MomentRule *rule = pass->set->rules[late->rule];
		Datum		v[7];

		v[0] = UUIDPGetDatum(&late->id);
		v[1] = TimestampTzGetDatum(late->at);
		v[2] = CStringGetTextDatum(rule->name);
		v[3] = Int32GetDatum(rule->version);
		v[4] = CStringGetTextDatum(SubjectKindName(late->kind));
		v[5] = PointerGetDatum(cstring_to_text_with_len(late->subject.data, late->subject.len));
		v[6] = Int64GetDatum(late->behind);
		SqlRun(&put, v, NULL);
	}
}

static void
WriteCounts(MomentPass *pass)
{
	static SqlPlan add = {
		"INSERT INTO revops.rule_count AS c (rule, version, lane, capped) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (rule, version, lane) DO UPDATE SET capped = c.capped + excluded.capped",
		4, {TEXTOID, INT4OID, INT4OID, INT8OID}
	};

	for (int i = 0; i < pass->set->n; i++)
		if (pass->capped[i] > 0)
		{
			Datum		v[4];

			v[0] = CStringGetTextDatum(pass->set->rules[i]->name);
			v[1] = Int32GetDatum(pass->set->rules[i]->version);
			v[2] = Int32GetDatum(pass->lane);
			v[3] = Int64GetDatum(pass->capped[i]);
			SqlRun(&add, v, NULL);
		}
}

void
MomentPassWrite(MomentPass *pass, Datum *opened, int *nopened, Datum *retracted, int *nretracted)
{
	/* a moment that stands already, and is found again by a replay, is no news */
	static SqlPlan put = {
		"INSERT INTO revops.moment AS m (moment_id, rule, version, subject_kind, subject, person, account, opportunity,"
		" occurred_at, detected_at, strength, channel, object, evidence, playbook, by_timer)"
		" VALUES ($1, $2, $3, $4::text::revops.subject_kind, $5, $6, $7, $8, $9, revops.now(), $10, $11, $12, $13, $14, $15)"
		" ON CONFLICT (subject, moment_id) DO NOTHING",
		15, {UUIDOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, FLOAT8OID, TEXTOID, TEXTOID,
		UUIDARRAYOID, TEXTOID, BOOLOID}
	};
	static SqlPlan stand_again = {
		"UPDATE revops.moment SET retracted_at = NULL"
		" WHERE subject = $1 COLLATE \"C\" AND moment_id = $2 AND retracted_at IS NOT NULL", 2, {TEXTOID, UUIDOID}
	};
	static SqlPlan refresh = {
		"UPDATE revops.moment SET strength = $3, evidence = $4, person = $5, account = $6"
		" WHERE subject = $1 COLLATE \"C\" AND moment_id = $2"
		" AND (strength, evidence, person, account) IS DISTINCT FROM ($3, $4, $5, $6)",
		6, {TEXTOID, UUIDOID, FLOAT8OID, UUIDARRAYOID, TEXTOID, TEXTOID}
	};
	static SqlPlan undo = {
		"UPDATE revops.moment SET retracted_at = revops.now() WHERE moment_id = ANY ($1)", 1, {UUIDARRAYOID}
	};
	Datum	   *news = palloc((pass->nfound + 1) * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < pass->nfound; i++)
	{
		Found	   *f = &pass->found[i];
		const MomentRule *rule = f->hit.rule;
		Datum		v[15];
		bool		null[15] = {false};
		Datum	   *evidence = palloc(f->hit.nevidence * sizeof(Datum));

		if (f->hit.event == NULL)
			FindLast(pass, f);
		v[0] = UUIDPGetDatum(&f->id);
		v[1] = CStringGetTextDatum(rule->name);
		v[2] = Int32GetDatum(rule->version);
		v[3] = CStringGetTextDatum(SubjectKindName(f->kind));
		v[4] = StrDatum(f->subject, &null[4]);
		v[5] = StrDatum(f->last.person, &null[5]);
		v[6] = StrDatum(f->last.account, &null[6]);
		v[7] = StrDatum(f->last.opportunity, &null[7]);
		v[8] = TimestampTzGetDatum(f->hit.at);
		v[9] = Float8GetDatum(f->hit.strength);
		v[10] = StrDatum(f->last.channel, &null[10]);
		v[11] = StrDatum(f->last.object, &null[11]);
		for (int k = 0; k < f->hit.nevidence; k++)
			evidence[k] = UUIDPGetDatum(&f->hit.evidence[k]);
		v[12] = UuidArray(evidence, f->hit.nevidence);
		null[13] = rule->playbook == NULL;
		v[13] = null[13] ? (Datum) 0 : CStringGetTextDatum(rule->playbook);
		v[14] = BoolGetDatum(f->hit.timeout);
		if (SqlRun(&put, v, null) > 0)
			news[n++] = UUIDPGetDatum(&f->id);
		else
		{
			Datum		u[6] = {v[4], v[0], v[9], v[12], v[5], v[6]};
			bool		unull[6] = {false, false, false, false, null[5], null[6]};

			if (SqlRun(&stand_again, u, unull) > 0)
				news[n++] = UUIDPGetDatum(&f->id);
			SqlRun(&refresh, u, unull);
		}
	}
	*nopened = n;
	*opened = n > 0 ? UuidArray(news, n) : (Datum) 0;
	*nretracted = pass->nretract;
	*retracted = pass->nretract > 0 ? UuidArray(pass->retract, pass->nretract) : (Datum) 0;
	if (pass->nretract > 0)
		SqlRun(&undo, retracted, NULL);
	WriteLate(pass);
	WriteCounts(pass);
}
