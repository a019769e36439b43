/*
 * sentiment.c
 *	  revops.sentiment(): how a text feels, from -1 to 1, on a database where nothing has been trained.
 *
 * Words and phrases weigh by a lexicon (lexicon_zh.h, lexicon_en.h). A word of feeling is turned by the negations and multiplied by the boosters
 * before it in its clause; what stands before a "but" counts less than what follows; a question counts half. To their sum comes what the model
 * that is shipped makes of the text (feeling.c), so that a text without such words is felt too where the model is sure. The sum s becomes
 * s / sqrt(s^2 + a), as in VADER (Hutto and Gilbert, ICWSM 2014). A deployed model named "sentiment" answers in its place.
 */
#include "text/text.h"
#include "text/trie.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "learn/learn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "text/feeling.h"
#include "text/fold.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#define SENTIMENT_MODEL		"sentiment"
#define NORMALIZE_BY		30.0	/* a */
#define NORMALIZE_WORDS		9.0 /* the same for the words alone, in what models are told; stored models know it */
#define MODEL_COUNTS		2.0 /* the model's -1 to 1, against the weights of words */
#define MODEL_SURE			0.2 /* what it must say at least of a text without a word of the lexicon */
#define NEGATED				(-0.75)
#define BEFORE_CONTRAST		0.6
#define AFTER_CONTRAST		1.3
#define ASKED				0.5
#define EXCLAIMED			0.1 /* for each mark, up to three */
#define MAX_NEGATOR_REACH	6	/* characters between a Chinese negation and what it turns; English: words */
#define MAX_NEGATOR_WORDS	3

typedef enum WordKind
{
	WORD_FEELING,
	WORD_NEGATOR,
	WORD_BOOSTER,
	WORD_CONTRAST,
	WORD_NEUTRAL
} WordKind;

/* Words of one kind and weight, with commas between them */
typedef struct LexiconGroup
{
	WordKind	kind;
	double		weight;
	const char *words;
} LexiconGroup;

#include "text/lexicon_en.h"
#include "text/lexicon_zh.h"

/* Both languages, Chinese, English */
typedef enum Tongue
{
	TONGUE_ANY,
	TONGUE_ZH,
	TONGUE_EN
} Tongue;

static Trie *tries[3] = {NULL, NULL, NULL};

PG_FUNCTION_INFO_V1(revops_sentiment);
extern Datum revops_sentiment_score(PG_FUNCTION_ARGS);

static const LexiconGroup *
GroupOf(int value)
{
	return value < lengthof(lexicon_zh) ? &lexicon_zh[value] : &lexicon_en[value - lengthof(lexicon_zh)];
}

static void
AddGroups(Trie *t, const LexiconGroup *groups, int n, int first)
{
	for (int g = 0; g < n; g++)
		for (const char *p = groups[g].words; *p != '\0';)
		{
			const char *end = strchr(p, ',');
			int			len = end == NULL ? (int) strlen(p) : (int) (end - p);

			TrieAdd(t, p, len, first + g);
			p += len + (end != NULL);
		}
}

/* The words of a language, kept for the life of the backend. */
static const Trie *
Words(Tongue tongue)
{
	if (tries[tongue] == NULL)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "revops sentiment", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		Trie	   *t = TrieMake();

		if (tongue != TONGUE_EN)
			AddGroups(t, lexicon_zh, lengthof(lexicon_zh), 0);
		if (tongue != TONGUE_ZH)
			AddGroups(t, lexicon_en, lengthof(lexicon_en), lengthof(lexicon_zh));
		MemoryContextSwitchTo(old);
		MemoryContextSetParent(context, TopMemoryContext);
		tries[tongue] = t;
	}
	return tries[tongue];
}

static bool
EndsClause(uint32 c)
{
	return c == ',' || c == '.' || c == ';' || c == '!' || c == '?' || c == '\n' || c == 0x3002 || c == 0x3001 || c == 0x2026 || c == '~';
}

/* What the lexicon says of a text, for models: numbers below LEARN_FEELINGS, which stored models know. */
typedef struct Said
{
	uint8	   *say;
	int			n;
	int			most;
} Said;

#define SAY_WORD		0		/* + strength of the word, from 0 (the worst) to 7 (the best); as it stands */
#define SAY_TURNED		8		/* the same, turned by a negation */
#define SAY_GOOD		16		/* with its negations it is good, or bad */
#define SAY_BAD			17
#define SAY_BELOW		18		/* + i: the whole is below the i-th of SAY_LEVELS steps, or above */
#define SAY_ABOVE		28
#define SAY_LEVELS		10

static void
Say(Said *said, int number)
{
	if (said->n < said->most)
		said->say[said->n++] = number;
}

static void
SayWord(Said *said, double weight, bool turned)
{
	double		size = fabs(weight);
	int			strength = (size >= 1.6) + (size >= 2.3) + (size >= 2.9);

	Say(said, (turned ? SAY_TURNED : SAY_WORD) + (weight > 0 ? 4 + strength : 3 - strength));
	Say(said, (weight > 0) != turned ? SAY_GOOD : SAY_BAD);
}

/* From -1 to 1 */
static inline double
Bounded(double sum, double a)
{
	return sum / sqrt(sum * sum + a);
}

/* What a text's words add up to. */
static double
FeelingSum(const Trie *words, const Letters *text, Said *said)
{
	double		sum = 0;		/* of the sentences that have ended */
	double		before = 0;		/* of this sentence, before its contrast */
	double		clause = 0;		/* of this clause */
	double		boost = 1;
	bool		contrasted = false;
	int			negated_at = -1;	/* where the last negation ended */
	int			negations = 0;
	int			words_since = 0;	/* English words since it */
	int			marks = 0;
	int			end;

	for (int i = 0; i <= text->n;)
	{
		uint32		c = i < text->n ? text->c[i] : '.';
		bool		point = c == '.' && i < text->n && i > 0 && IsDigit(text->c[i - 1]) && IsDigit(text->c[i + 1]);
		int			found;

		if (EndsClause(c) && !point && (i == text->n || TrieFind(words, text, i, &end) < 0))
		{
			if (c == '?')
				clause *= ASKED;
			if (c == '!')
				marks++;
			before += clause * (contrasted ? AFTER_CONTRAST : 1);
			if (c != ',' && c != 0x3001)
			{
				sum += before;
				before = 0;
				contrasted = false;
			}
			clause = 0;
			boost = 1;
			negations = 0;
			negated_at = -1;
			i++;
			continue;
		}
		if (c == ' ')
		{
			i++;
			continue;
		}
		found = TrieFind(words, text, i, &end);
		if (found >= 0)
		{
			const LexiconGroup *g = GroupOf(found);
			bool		near = negations > 0 && (IsHan(c) ? i - negated_at <= MAX_NEGATOR_REACH : words_since < MAX_NEGATOR_WORDS);

			switch (g->kind)
			{
				case WORD_FEELING:
					{
						double		w = g->weight * boost;

						if (near && negations % 2 == 1)
							w *= NEGATED;
						if (said != NULL)
							SayWord(said, g->weight, near && negations % 2 == 1);
						clause += w;
						boost = 1;
						negations = 0;
						break;
					}
				case WORD_NEGATOR:
					negations = near || negations == 0 ? negations + 1 : 1;
					negated_at = end;
					words_since = -1;
					break;
				case WORD_BOOSTER:
					boost = Min(boost * g->weight, 2.5);
					break;
				case WORD_CONTRAST:
					before = (before + clause) * BEFORE_CONTRAST;
					clause = 0;
					contrasted = true;
					boost = 1;
					negations = 0;
					break;
				case WORD_NEUTRAL:
					break;
			}
			words_since++;
			i = end;
			continue;
		}
		if (IsWordLetter(c))
		{
			while (IsWordLetter(text->c[i]))
				i++;
			if (text->c[i - 1] == 'n' && text->c[i] == '\'' && text->c[i + 1] == 't' && !IsWordLetter(text->c[i + 2]))
			{
				negations++;
				negated_at = i += 2;
				words_since = -1;
			}
			words_since++;
			if (words_since > 1)
				boost = 1;
			continue;
		}
		/* a booster reaches over a few characters of Chinese */
		if (boost != 1 && IsHan(c) && i > 2 && IsHan(text->c[i - 1]) && IsHan(text->c[i - 2]) && TrieFind(words, text, i - 2, &end) < 0)
			boost = 1;
		i++;
	}
	return sum * (1 + EXCLAIMED * Min(marks, 3));
}

/* What a text's words add up to; and for models of feeling: the words, and where the whole stands among ten steps from -0.9 to 0.9. */
static double
SayAll(const Trie *words, const Letters *text, Said *said)
{
	int			most = said->most;
	double		sum;
	double		felt;

	said->most = most - SAY_LEVELS;
	sum = FeelingSum(words, text, said);
	said->most = most;
	felt = Bounded(sum, NORMALIZE_WORDS);
	/* of a text without such words there is nothing to say: what its own words show counts */
	for (int i = 0; i < SAY_LEVELS && said->n > 0; i++)
		Say(said, (felt < 0.2 * i - 0.9 ? SAY_BELOW : SAY_ABOVE) + i);
	return sum;
}

/*
 * The text with spaces for the letters of the other language; what is of neither stays. Memory: the current context.
 */
static char *
OneTongue(const char *utf8, int len, Tongue tongue)
{
	char	   *to = palloc(Max(len, 1));
	const char *end = utf8 + len;

	for (const char *p = utf8; p < end;)
	{
		int			k = Utf8Length(p, end);
		bool		other = k == 1 ? tongue == TONGUE_ZH && IsWordLetter((unsigned char) *p | 0x20) && !IsDigit((unsigned char) *p) :
			tongue == TONGUE_EN && k >= 3 && IsHan(utf8_to_unicode((const unsigned char *) p));

		if (other)
			memset(to + (p - utf8), ' ', k);
		else
			memcpy(to + (p - utf8), p, k);
		p += k;
	}
	return to;
}

/* How a text in the database's encoding feels, from -1 to 1: the lexicon and the model that are shipped. */
static double
Felt(const char *body, int len, Tongue tongue)
{
	char	   *utf8 = (char *) body;
	char	   *part;
	uint8		say[LEARN_MAX_FELT];
	Said		said = {say, 0, LEARN_MAX_FELT};
	Letters		letters;
	double		sum;
	double		model;

	/* what is longer does not count */
	if (len > LETTERS_MAX * MAX_MULTIBYTE_CHAR_LEN)
		len = pg_mbcliplen(body, len, LETTERS_MAX * MAX_MULTIBYTE_CHAR_LEN);
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		utf8 = pg_server_to_any(body, len, PG_UTF8);
		len = utf8 == body ? len : (int) strlen(utf8);
	}
	letters = LettersOfUtf8(utf8, len);
	sum = SayAll(Words(tongue), &letters, &said);
	part = tongue == TONGUE_ANY ? utf8 : OneTongue(utf8, len, tongue);
	model = FeelingByModel(part, len, say, said.n);
	if (part != utf8)
		pfree(part);
	if (utf8 != body)
		pfree(utf8);
	if (said.n > 0 || fabs(model) >= MODEL_SURE)
		sum += MODEL_COUNTS * model;
	return Bounded(sum, NORMALIZE_BY);
}

static Oid	model_relid = InvalidOid;
static bool model_known = false;	/* model_there is true to the table */
static bool model_there = false;

static void
RelationChanged(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == model_relid)
		model_known = false;
}

/* Has this database a model of its own? */
static bool
OwnModel(void)
{
	static SqlPlan plan = {"SELECT count(*) FROM revops.model m WHERE m.model = '" SENTIMENT_MODEL "' AND m.task = 'classify'", 0};
	static bool listening = false;
	int			level;
	bool		there;

	if (model_known)
		return model_there;
	if (!listening)
	{
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		listening = true;
	}
	level = SqlConnect();
	model_relid = RevopsRelid("model");
	model_known = true;			/* what changes from here on makes it unknown again */
	PG_TRY();
	{
		there = SqlInt8(&plan, NULL, NULL, 0) > 0;
	}
	PG_CATCH();
	{
		model_known = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	SqlFinish(level);
	model_there = there;
	/* an old snapshot says nothing about later ones */
	if (IsolationUsesXactSnapshot())
		model_known = false;
	return there;
}

/* By what is shipped, whatever model there is: what conditions ask for must be the same when a subject is replayed */
double
TextFeeling(const char *body, int len)
{
	return Felt(body, len, TONGUE_ANY);
}

/* sentiment(body text, lang text): -1 to 1 */
Datum
revops_sentiment(PG_FUNCTION_ARGS)
{
	text	   *body;
	Tongue		tongue = TONGUE_ANY;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (OwnModel())
		return DirectFunctionCall2(revops_sentiment_score, CStringGetTextDatum(SENTIMENT_MODEL), PG_GETARG_DATUM(0));
	if (!PG_ARGISNULL(1))
	{
		text	   *lang = PG_GETARG_TEXT_PP(1);
		Str			l = {VARDATA_ANY(lang), (int) VARSIZE_ANY_EXHDR(lang)};

		if (StrEq(l, StrFrom("zh")))
			tongue = TONGUE_ZH;
		else if (StrEq(l, StrFrom("en")))
			tongue = TONGUE_EN;
	}
	body = PG_GETARG_TEXT_PP(0);
	PG_RETURN_FLOAT8(Felt(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), tongue));
}

static int
ReadFeeling(const char *utf8, int len, uint8 *say, int most)
{
	Letters		letters = LettersOfUtf8(utf8, len);
	Said		said = {say, 0, most};

	StaticAssertStmt(SAY_ABOVE + SAY_LEVELS <= LEARN_FEELINGS, "every number is below LEARN_FEELINGS");
	SayAll(Words(TONGUE_ANY), &letters, &said);
	return said.n;
}

void
SentimentInit(void)
{
	feeling_reader = ReadFeeling;
}
