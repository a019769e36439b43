/*
 * options.c
 *	  The options of revops.train().
 */
#include "learn/gather.h"
#include "learn/tally.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

typedef struct NumberOption
{
	const char *name;
	double		min;
	double		max;
	double	   *value;
	bool		whole;
	double		from;			/* the default */
} NumberOption;

static double words,
			char_min,
			char_max,
			cost,
			tolerance,
			max_epochs,
			seed,
			min_count,
			held_out,
			keep,
			folds,
			networks,
			hidden;

static const NumberOption numbers[] = {
	{"words", 0, 2, &words, true, 1},
	{"char_min", 1, LEARN_MAX_CHAR_GRAM, &char_min, true, 2},
	{"char_max", 0, LEARN_MAX_CHAR_GRAM, &char_max, true, 5},
	{"cost", 1e-4, 1e4, &cost, false, 1},
	{"tolerance", 1e-6, 1, &tolerance, false, 0.1},
	{"max_epochs", 1, 10000, &max_epochs, true, 100},
	{"seed", 0, 2147483647, &seed, true, 0},
	{"min_count", 1, 1000000, &min_count, true, 1},
	{"held_out", 0, 0.5, &held_out, false, 0.2},
	{"keep", 0.5, 1, &keep, false, 0.985},
	{"folds", 0, LEARN_MAX_FOLDS, &folds, true, 0},
	{"networks", 0, NETWORK_MAX, &networks, true, 0},
	{"hidden", LEARN_BLOCK, NETWORK_MAX_HIDDEN, &hidden, true, 64},
};

pg_noreturn static void BadOption(const char *name, const char *expected);

static void
BadOption(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the option \"%s\" of revops.train() is not %s", name, expected)));
}

void
LearnOptionsRead(LearnOptions *o, Datum jsonb)
{
	Jsonb	   *doc = DatumGetJsonbP(jsonb);
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	char	   *key = NULL;

	memset(o, 0, sizeof(LearnOptions));
	o->kinds.also = FEATURE_PAIRS | FEATURE_FEELING;
	strcpy(o->out_of_scope, "oos");
	for (int i = 0; i < lengthof(numbers); i++)
		*numbers[i].value = numbers[i].from;
	if (!JB_ROOT_IS_OBJECT(doc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the options of revops.train() are not a JSON object")));
	it = JsonbIteratorInit(&doc->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		const NumberOption *number = NULL;

		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		if (token != WJB_VALUE)
			continue;
		for (int i = 0; i < lengthof(numbers); i++)
			if (strcmp(numbers[i].name, key) == 0)
				number = &numbers[i];
		if (number != NULL)
		{
			double		x = v.type == jbvNumeric ?
				DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v.val.numeric))) : NAN;

			if (!(x >= number->min && x <= number->max) || (number->whole && x != floor(x)))
				BadOption(key, psprintf("%s from %g to %g", number->whole ? "a whole number" : "a number", number->min, number->max));
			*number->value = x;
			o->keep_given |= number->value == &keep;
		}
		else if (strcmp(key, "pairs") == 0 || strcmp(key, "feeling") == 0)
		{
			uint32		bit = *key == 'p' ? FEATURE_PAIRS : FEATURE_FEELING;

			if (v.type != jbvBool)
				BadOption(key, "true or false");
			o->kinds.also = v.val.boolean ? o->kinds.also | bit : o->kinds.also & ~bit;
			o->feeling_given |= bit == FEATURE_FEELING;
		}
		else if (strcmp(key, "loss") == 0)
		{
			char	   *s = v.type == jbvString ? pnstrdup(v.val.string.val, v.val.string.len) : "";

			if (strcmp(s, "squared_hinge") == 0)
				o->solver.loss = LOSS_SQUARED_HINGE;
			else if (strcmp(s, "logistic") == 0)
				o->solver.loss = LOSS_LOGISTIC;
			else
				BadOption(key, "\"squared_hinge\" or \"logistic\"");
		}
		else if (strcmp(key, "out_of_scope") == 0)
		{
			if (v.type != jbvString || v.val.string.len < 1 || v.val.string.len > LEARN_MAX_NAME)
				BadOption(key, psprintf("a label of 1 to %d bytes", LEARN_MAX_NAME));
			memcpy(o->out_of_scope, v.val.string.val, v.val.string.len);
			o->out_of_scope[v.val.string.len] = '\0';
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("revops.train() has no option \"%s\"", key),
					 errhint("The options are words, pairs, feeling, char_min, char_max, min_count, loss, cost, tolerance, max_epochs, seed, held_out, keep, folds, networks, hidden and out_of_scope.")));
	}
	if (char_max > 0 && char_max < char_min)
		BadOption("char_max", "0 or at least \"char_min\"");
	if ((int) hidden % LEARN_BLOCK != 0)
		BadOption("hidden", psprintf("a multiple of %d", LEARN_BLOCK));
	if (folds == 1)
		BadOption("folds", "0 or at least 2");
	if (words == 0 && char_max == 0 && !(o->kinds.also & FEATURE_PAIRS) && !((o->kinds.also & FEATURE_FEELING) && o->feeling_given))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the options of revops.train() leave no features")));
	o->kinds.words = words;
	o->kinds.char_min = char_min;
	o->kinds.char_max = char_max;
	o->solver.cost = cost;
	o->solver.tolerance = tolerance;
	o->solver.max_epochs = max_epochs;
	o->solver.seed = seed;
	o->min_count = min_count;
	o->held_out = held_out;
	o->keep = keep;
	o->folds = folds;
	o->networks = networks;
	o->hidden = hidden;
}
