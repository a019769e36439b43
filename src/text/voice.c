/*
 * voice.c
 *	  What a model says of a text's intents, next to the patterns.
 *
 * A publication names a version, which never changes, so the same is found in a replay as in the stream. A model that is missing or damaged is no
 * reason for events to wait: it is left out, with one warning in each backend, and asked for again when revops.model or revops.model_version changes.
 */
#include "text/voice.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include <math.h>

Voice *
VoiceMake(const pg_uuid_t *id, const char *name, int version)
{
	Voice	   *v = palloc0(sizeof(Voice));

	v->id = *id;
	v->name = pstrdup(name);
	v->version = version;
	v->nlabels = -1;
	return v;
}

typedef struct NamedIntent
{
	Str			name;
	int			intent;
} NamedIntent;

static int
NamedIntentCmp(const void *a, const void *b)
{
	return StrCmp(((const NamedIntent *) a)->name, ((const NamedIntent *) b)->name);
}

/* Which intent each label is */
static void
MapLabels(Voice *v, const Matcher *m, const ModelBlob *blob)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(v));
	int			n = MatcherIntents(m);
	NamedIntent *names = palloc((n + 1) * sizeof(NamedIntent));

	for (int i = 0; i < n; i++)
		names[i] = (NamedIntent) {MatcherIntent(m, i)->name, i};
	qsort(names, n, sizeof(NamedIntent), NamedIntentCmp);
	v->intent = palloc(blob->nlabels * sizeof(int));
	v->p = palloc(blob->nlabels * sizeof(double));
	v->least = palloc(blob->nlabels * sizeof(double));
	v->said = palloc(blob->nlabels * sizeof(TextMatch));
	for (int k = 0; k < blob->nlabels; k++)
	{
		NamedIntent key,
				   *found;

		key.name.data = BlobLabel(blob, k, &key.name.len);
		found = bsearch(&key, names, n, sizeof(NamedIntent), NamedIntentCmp);
		v->intent[k] = found != NULL ? found->intent : -1;
		/* a little below, since what is said is rounded */
		v->least[k] = found != NULL ? Max(MatcherIntent(m, found->intent)->threshold - 0.0001, 0.00001) : INFINITY;
	}
	pfree(names);
	v->nlabels = blob->nlabels;
	MemoryContextSwitchTo(old);
}

static const ModelBlob *
VoiceModel(Voice *v)
{
	const char *fault;
	const ModelBlob *blob;
	uint64		changes = ModelChanges();

	if (v->silent && v->silent_since == changes)
		return NULL;
	blob = ModelFind(&v->id, &fault);
	if (blob == NULL)
	{
		if (!v->silent)
			ereport(WARNING,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("version %d of model \"%s\" is left out of what texts show: %s", v->version, v->name, fault),
					 errdetail("The patterns are used without it."),
					 errhint("Train it again and SELECT revops.deploy(), or SELECT revops.use_model(NULL).")));
		v->silent_since = changes;
	}
	v->silent = blob == NULL;
	return blob;
}

static int
MatchIntentCmp(const void *a, const void *b)
{
	return ((const TextMatch *) a)->intent - ((const TextMatch *) b)->intent;
}

int
VoiceHear(Voice *v, const Matcher *m, const char *body, int len, Str side, Str channel, const TextMatch **said)
{
	const ModelBlob *blob;
	int			best,
				n = 0;

	/* such a database may hold what is no text */
	if (len <= 0 || (GetDatabaseEncoding() == PG_SQL_ASCII && !pg_verify_mbstr(PG_UTF8, body, len, true)))
		return 0;
	if ((blob = VoiceModel(v)) == NULL)
		return 0;
	if (v->nlabels != (int) blob->nlabels)
		MapLabels(v, m, blob);
	*said = v->said;
	if (!ModelPredict(blob, body, len, v->p, &best))
		return 0;
	for (int k = 0; k < v->nlabels; k++)
	{
		double		p;

		/* nearly all labels of a text */
		if (!(v->p[k] >= v->least[k]))
			continue;
		p = rint(v->p[k] * 10000) / 10000;
		if (p <= 0 || p < MatcherIntent(m, v->intent[k])->threshold || !MatcherConcerns(m, v->intent[k], side, channel) ||
			MatcherVetoes(m, v->intent[k]))
			continue;
		v->said[n++] = (TextMatch) {v->intent[k], p, k, k};
	}
	if (n > 1)
		qsort(v->said, n, sizeof(TextMatch), MatchIntentCmp);
	return n;
}

void
VoicePlace(Voice *v, const TextMatch *match, const char *body, int len, int characters, int *from, int *to)
{
	const ModelBlob *blob = VoiceModel(v);

	if (blob != NULL && ModelEvidence(blob, body, len, match->from, from, to))
	{
		*to = Min(*to, characters);
		*from = Min(*from, *to);
		return;
	}
	*from = 0;
	*to = characters;
}
