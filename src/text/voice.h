/*
 * voice.h
 *	  What a model says of a text's intents, next to the patterns.
 */
#ifndef REVOPS_TEXT_VOICE_H
#define REVOPS_TEXT_VOICE_H

#include "learn/learn.h"
#include "text/matcher.h"

/* A model of a publication: one version for all of its time */
typedef struct Voice
{
	pg_uuid_t	id;				/* of the version */
	const char *name;			/* for messages */
	int			version;
	int			nlabels;		/* -1: it was not looked at yet */
	int		   *intent;			/* of each label: in the matcher; -1: the label is no intent */
	double	   *p;
	double	   *least;			/* p below which a label is not said, whatever else */
	TextMatch  *said;			/* room for all intents */
	bool		silent;			/* it cannot be used, which was told ... */
	uint64		silent_since;	/* ... unless models have changed since */
} Voice;

/* A model's part of a publication; memory: the current context */
extern Voice *VoiceMake(const pg_uuid_t *id, const char *name, int version);

/*
 * The intents that the model finds in a text of the database's encoding, in the order of the intents and without places, and the labels
 * they come from in match.from; good until the next call. Says nothing, after one warning, where the model is gone or damaged.
 */
extern int	VoiceHear(Voice *v, const Matcher *m, const char *body, int len, Str side, Str channel, const TextMatch **said);

/* Where the words lie that a match of VoiceHear() rests on, in characters; the whole text of `characters` where none stand out */
extern void VoicePlace(Voice *v, const TextMatch *match, const char *body, int len, int characters, int *from, int *to);

#endif							/* REVOPS_TEXT_VOICE_H */
