/*
 * occasion.c
 *	  Which intents concern what a side says in a channel.
 *
 * Nearly all texts come with one of a few sides and channels, so the answers for those met first are remembered, a byte for each intent.
 */
#include "text/expression.h"

static bool
Among(const Str *list, int n, Str s)
{
	if (s.data == NULL || n == 0)
		return true;
	for (int i = 0; i < n; i++)
		if (StrEq(list[i], s))
			return true;
	return false;
}

bool
MatcherConcerns(const Matcher *m, int intent, Str side, Str channel)
{
	const TextIntent *t = &m->intents[intent];

	return Among(t->sides, t->nsides, side) && Among(t->channels, t->nchannels, channel);
}

static bool
Named(const OccasionName *name, Str s)
{
	return s.data == NULL ? name->len < 0 : name->len == s.len && memcmp(name->data, s.data, s.len) == 0;
}

static OccasionName
NameOf(Str s)
{
	OccasionName name = {.len = s.data == NULL ? -1 : s.len};

	if (s.data != NULL)
		memcpy(name.data, s.data, s.len);
	return name;
}

const bool *
MatcherConcerned(Matcher *m, Str side, Str channel)
{
	Occasion   *o = &m->occasions[m->last_occasion];
	bool	   *concerned;

	if (m->noccasions > 0 && Named(&o->side, side) && Named(&o->channel, channel))
		return &m->concerned[(Size) m->last_occasion * m->nintents];
	for (int i = 0; i < m->noccasions; i++)
		if (Named(&m->occasions[i].side, side) && Named(&m->occasions[i].channel, channel))
		{
			m->last_occasion = i;
			return &m->concerned[(Size) i * m->nintents];
		}
	if (m->noccasions == MAX_OCCASIONS || (side.data != NULL && side.len > MAX_OCCASION_NAME) || (channel.data != NULL && channel.len > MAX_OCCASION_NAME))
		return NULL;
	concerned = &m->concerned[(Size) m->noccasions * m->nintents];
	for (int i = 0; i < m->nintents; i++)
		concerned[i] = MatcherConcerns(m, i, side, channel);
	m->occasions[m->noccasions] = (Occasion) {NameOf(side), NameOf(channel)};
	m->last_occasion = m->noccasions++;
	return concerned;
}
