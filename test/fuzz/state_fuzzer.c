/*
 * state_fuzzer.c
 *	  libFuzzer target: any bytes as what the extension keeps in tables. The first byte says as what:
 *
 *	  m  a subject's state of one of a few rules (the second byte), which is then stepped over events and written again
 *	  k  all states of a subject, in one value
 *	  t  a model of texts, which then classifies texts
 *	  p  a yes-or-no model, which then scores rows
 *	  s  a model of stages, which then filters symbols
 *	  b  the state of an analysts' aggregate, which is then merged, worked out and written again
 *
 * Models carry a checksum, which is made to fit, so that all behind it is reached. Whatever the bytes, they are refused as damaged or
 * nothing that is done with them leaves them. FUZZ_SEEDS names a directory to which sound ones are written first.
 */
#include "state.h"

#include <math.h>

#include "analysis/analysis.h"
#include "common/hashfn.h"
#include "learn/predict.h"
#include "port/pg_crc32c.h"
#include "stage/model.h"
#include "utils/memutils.h"

#define MAX_BYTES	65536

extern Datum revops_event_buffer_recv(PG_FUNCTION_ARGS);
extern Datum revops_event_buffer_send(PG_FUNCTION_ARGS);
extern Datum revops_event_buffer_in(PG_FUNCTION_ARGS);
extern Datum revops_event_buffer_out(PG_FUNCTION_ARGS);

static const char *const texts[] = {
	"the price is far too high for us", "价格太贵了，能便宜一点吗", "", "a", "ＡＢＣ price Price 12,000 \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF", "\xED\x95\x9C\xEA\xB5\xAD"
};

static void
Seal(char *blob, Size size)
{
	uint64		size64 = size;
	pg_crc32c	crc;

	StaticAssertStmt(offsetof(ModelBlob, crc) == offsetof(PredictBlob, crc) && offsetof(ModelBlob, size) == offsetof(PredictBlob, size), "both begin alike");
	memcpy(blob + offsetof(ModelBlob, size), &size64, sizeof(size64));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, blob + offsetof(ModelBlob, size), size - offsetof(ModelBlob, size));
	FIN_CRC32C(crc);
	memcpy(blob + offsetof(ModelBlob, crc), &crc, sizeof(crc));
}

static void
TryModel(const char *data, Size size, uint32 magic)
{
	char	   *bytes;

	/* the reader of the table looks at this much before */
	if (size < sizeof(ModelBlob))
		return;
	bytes = palloc(size);
	memcpy(bytes, data, size);
	memcpy(bytes, &magic, sizeof(magic));
	Seal(bytes, size);
	if (BlobFault((ModelBlob *) bytes, size) != NULL)
		return;
	if (magic == BLOB_MAGIC)
	{
		const ModelBlob *blob = (ModelBlob *) bytes;
		Scratch		scratch = {0};
		uint32		sum = 0;

		/* what a model may ask for is bounded by the memory that training may take, not by its bytes */
		if (blob->kinds.words < 0 || blob->kinds.words > 2)
			return;
		for (int i = 0; i < lengthof(texts); i++)
			(void) BlobScore(blob, &scratch, texts[i], strlen(texts[i]));
		for (uint32 k = 0; k < blob->nlabels; k++)
		{
			int			len;
			const char *label = BlobLabel(blob, k, &len);

			sum ^= hash_bytes((const unsigned char *) label, len);
		}
		if (sum == 0x12345678)
			fputs("", stderr);
	}
	else
	{
		const PredictBlob *blob = (PredictBlob *) bytes;
		const PredictInput *in = PREDICT_INPUTS(blob);
		uint16	   *code = palloc0((blob->ninputs + 1) * sizeof(uint16));
		double	   *by_input = palloc((blob->ninputs + 1) * sizeof(double));
		double	   *by_term = palloc((blob->nterms + 1) * sizeof(double));
		double		intercept;

		for (int round = 0; round < 4; round++)
		{
			for (uint32 i = 0; i < blob->ninputs; i++)
			{
				if (in[i].category)
					code[i] = PredictCategory(blob, &in[i], texts[round], strlen(texts[round]));
				else
					code[i] = BinCode((const double *) BLOB_AT(blob, blob->edge_at) + in[i].first_edge, in[i].nedges,
									  round == 0 ? NAN : round == 1 ? 1e300 : round == 2 ? -1e300 : 0);
				if (code[i] >= in[i].ncodes)
					Fail("a code that there is not");
			}
			(void) PredictScore(blob, code);
			PredictContributions(blob, code, by_input, by_term, &intercept);
		}
		for (uint32 c = 0; c < blob->ncolumns; c++)
			(void) pstrdup(PREDICT_TEXT(blob, PREDICT_COLUMNS(blob)[c].name));
	}
}

static void
TryStages(const char *data, Size size)
{
	char	   *stored = palloc(size + 1);
	StageModel	m;
	StageFilter f;
	double		after[STAGE_MAX_STAGES];
	double		step[STAGE_MAX_STAGES * STAGE_MAX_STAGES];

	memcpy(stored, data, size);
	/* its length is what it is */
	if (size >= sizeof(StageHeader))
	{
		int64		size64 = size;

		memcpy(stored + offsetof(StageHeader, size), &size64, sizeof(size64));
	}
	if (!StageModelOpen(&m, stored, size))
		return;
	StageFilterStart(&m, &f);
	for (int i = 0; i < 20; i++)
	{
		int			symbol = i * 7 % m.h->symbols;

		(void) StageFilterStep(&m, &f, symbol, i * i * USECS_PER_HOUR);
		StagePredict(&m, f.p, i % 2 == 0 ? USECS_PER_DAY : PG_INT64_MAX, after);
		if (m.h->kind == STAGE_RENEWAL)
			StageStepMatrix(&m, i % (m.h->symbols + 1), symbol, USECS_PER_DAY, step);
	}
}

static EventBuffer *
Received(const char *data, Size size)
{
	StringInfoData in = {unconstify(char *, data), (int) size, (int) size, 0};

	LOCAL_FCINFO(fcinfo, 1);

	memset(fcinfo, 0, SizeForFunctionCallInfo(1));
	fcinfo->args[0].value = PointerGetDatum(&in);
	return (EventBuffer *) DatumGetPointer(revops_event_buffer_recv(fcinfo));
}

/* In the place of arguments.c: a number is seconds, and nothing else is an interval */
bool
DurationFromText(const char *text, int len, int position, int64 *usecs)
{
	*usecs = 0;
	for (int i = 0; i < len; i++)
	{
		if (text[i] < '0' || text[i] > '9' || i > 8)
			return false;
		*usecs = *usecs * 10 + (text[i] - '0') * USECS_PER_SEC;
	}
	return len > 0;
}

static void
TryBuffer(const char *data, Size size)
{
	EventBuffer *b = Received(data, size);
	EventBuffer *other = Received(data, size);
	bytea	   *sent = DatumGetByteaPP(DirectFunctionCall1(revops_event_buffer_send, PointerGetDatum(b)));
	char	   *out = DatumGetCString(DirectFunctionCall1(revops_event_buffer_out, PointerGetDatum(b)));
	EventBuffer *again = (EventBuffer *) DatumGetPointer(DirectFunctionCall1(revops_event_buffer_in, CStringGetDatum(out)));
	bytea	   *sent2 = DatumGetByteaPP(DirectFunctionCall1(revops_event_buffer_send, PointerGetDatum(again)));
	VisitSession session;
	SequencePattern pattern;
	SequenceError error;

	if (VARSIZE_ANY(sent) != VARSIZE_ANY(sent2) || memcmp(VARDATA_ANY(sent), VARDATA_ANY(sent2), VARSIZE_ANY_EXHDR(sent)) != 0)
		Fail("an aggregate's state is not what was written");
	b = BufferMerge(b, other);
	BufferSort(b);
	switch (b->kind)
	{
		case BUFFER_FUNNEL:
			(void) FunnelLevel(BufferRows(b), b->nrows, b->nconditions, b->setting[0], b->modes);
			break;
		case BUFFER_SEQUENCE:
			if (!SequenceParse(BufferExtra(b), b->pattern, b->nconditions, DurationFromText, &pattern, &error))
				Fail("the pattern of a state cannot be read");
			(void) SequenceCount(&pattern, BufferRows(b), b->nrows, false);
			break;
		case BUFFER_SESSION:
			for (int i = 0; i < b->nrows;)
			{
				int			next = SessionNext(BufferRows(b), b->nrows, i, b, &session);

				if (next <= i)
					Fail("sessions do not go on");
				i = next;
			}
			break;
		case BUFFER_STREAK:
			(void) StreakLongest(BufferRows(b), b->nrows, b->setting[0] > 0, b->setting[0]);
			break;
		case BUFFER_NODE:
			{
				int			n = NodeNext(BufferRows(b), b->nrows, b->nconditions, b->modes);

				if (n >= b->nrows)
					Fail("a node that there is not");
				if (n >= 0)
				{
					Str			node = BufferNodeText(b, &BufferRows(b)[n]);

					if (node.data != NULL)
						(void) pnstrdup(node.data, node.len);
				}
				break;
			}
	}
}

/* ---------- sound ones to begin with ---------- */

static void
SeedBuffer(const char *name, BufferKind kind, int nconditions, int modes, int64 a, int64 b, int64 c, const char *pattern)
{
	int64		setting[3] = {a, b, c};
	EventBuffer *buffer = BufferMake(kind, nconditions, modes, setting, pattern, pattern ? strlen(pattern) : 0);
	bytea	   *sent;

	for (int i = 0; i < 12; i++)
		if (kind == BUFFER_STREAK)
			buffer = BufferAddDay(buffer, i + i / 5, USECS_PER_HOUR);
		else if (kind == BUFFER_NODE)
			buffer = BufferAppendNode(buffer, i * USECS_PER_MINUTE, i % 3, i % 4 == 0, i % 5 == 0 ? NULL : texts[i % 2], strlen(texts[i % 2]));
		else
			buffer = BufferAppend(buffer, i * USECS_PER_MINUTE, kind == BUFFER_SESSION ? i % 2 : 1 << i % nconditions);
	sent = DatumGetByteaPP(DirectFunctionCall1(revops_event_buffer_send, PointerGetDatum(buffer)));
	Seed(name, 'b', -1, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
}

static void
Seeds(void)
{
	FeatureKinds kinds = {2, 1, 2, 3};
	char	   *labels[] = {"no", "price", "yes"};
	Features	f = {0};
	uint32		hash[200];
	int			nhash = 0;
	float	   *idf = palloc0(200 * sizeof(float)),
			   *unit = palloc0(16 * sizeof(float));
	int8	   *weight = palloc0(200 * 16);
	RoundedNetworks networks = {.n = 2, .hidden = LEARN_BLOCK, .outputs = 4, .nfeatures = 20};
	ModelBlob  *blob;
	double		edge[] = {1, 2, 5};
	char	   *name[] = {NULL, NULL, "red", "价格太贵了，能便宜一点吗"};
	uint8		level[] = {0, 0, 1, 1, 1};
	Binning		binning[] = {{false, 5, 3, edge, NULL, 2, level}, {true, 4, 0, NULL, name, 2, level}};
	char	   *columns[] = {"visits", "colour"};
	ColumnKind	column_kind[] = {COLUMN_NUMBER, COLUMN_CATEGORY};
	int			input_column[] = {0, 1};
	InputPart	part[] = {PART_VALUE, PART_VALUE};
	PredictTerm terms[] = {{0, -1, 0, 5}, {1, -1, 5, 4}, {0, 1, 9, 4}};
	double		weights[14];
	PredictModel m = {0};
	PredictBlob *predict;

	SeedMoments();
	FeaturesExtract(&f, &kinds, texts[0], strlen(texts[0]));
	for (int i = 0; i < f.n && nhash < 200; i++)
	{
		bool		known = false;

		for (int k = 0; k < nhash; k++)
			known |= hash[k] == f.hash[i];
		if (!known)
			hash[nhash++] = f.hash[i];
	}
	for (int i = 0; i < nhash; i++)
	{
		idf[i] = 1 + i % 3;
		weight[i * BlobStride(3) + i % 3] = i % 5;
	}
	for (int k = 0; k < 3; k++)
		unit[k] = 0.01;
	networks.in = palloc0(20 * 2 * LEARN_BLOCK);
	networks.unit = palloc0(2 * LEARN_BLOCK * sizeof(float));
	networks.bias = palloc0(2 * LEARN_BLOCK * sizeof(float));
	networks.out = palloc0(2 * (LEARN_BLOCK + 1) * LEARN_BLOCK * sizeof(float));
	for (int i = 0; i < 20 * 2 * LEARN_BLOCK; i++)
		networks.in[i] = i % 11 - 5;
	for (int i = 0; i < 2 * LEARN_BLOCK; i++)
		networks.unit[i] = 0.1;
	for (int i = 0; i < 2 * (LEARN_BLOCK + 1) * LEARN_BLOCK; i++)
		networks.out[i] = i % 7 - 3;
	for (int with = 0; with < 2; with++)
	{
		const RoundedNetworks none = {.outputs = 3};

		blob = BlobBuild(&kinds, 3, labels, nhash, hash, idf, weight, unit, unit, with ? &networks : &none);
		blob->mix = with;
		blob->scale = 1;
		blob->threshold = -INFINITY;
		BlobSeal(blob);
		if (BlobFault(blob, blob->size) != NULL)
			Fail("the model to begin with is damaged");
		Seed(with ? "n" : "t", 't', -1, blob, blob->size);
	}

	for (int i = 0; i < lengthof(weights); i++)
		weights[i] = i * 0.1;
	m.ncolumns = m.ninputs = 2;
	m.column = columns;
	m.kind = column_kind;
	m.input_column = input_column;
	m.input_part = part;
	m.binning = binning;
	m.nterms = lengthof(terms);
	m.term = terms;
	m.nweights = lengthof(weights) - 1;
	m.weight = weights;
	m.scale = 1;
	predict = PredictBlobBuild(&m);
	if (PredictBlobFault(predict, predict->size) != NULL)
		Fail("the yes-or-no model to begin with is damaged");
	Seed("p", 'p', -1, predict, predict->size);

	for (int kind = STAGE_CONTINUOUS; kind <= STAGE_RENEWAL; kind++)
	{
		StageModel	s;
		double		q[] = {-1e-9, 1e-9, 0, 0};

		StageModelMake(&s, kind, 2, 2, kind == STAGE_RENEWAL ? 2 : 0);
		StageSetGenerator(&s, q);
		s.initial[0] = 1;
		for (int i = 0; i < s.h->npairs; i++)
			s.key[i] = i;
		s.seen[0] = 1;
		Seed(kind == STAGE_RENEWAL ? "s-renewal" : "s-continuous", 's', -1, s.h, s.h->size);
	}

	SeedBuffer("b-funnel", BUFFER_FUNNEL, 3, 0, USECS_PER_HOUR, 0, 0, NULL);
	SeedBuffer("b-sequence", BUFFER_SEQUENCE, 2, 0, 0, 0, 0, "(?1).*(?2)");
	SeedBuffer("b-session", BUFFER_SESSION, 0, SESSION_HEARTBEATS, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_MINUTE, NULL);
	SeedBuffer("b-streak", BUFFER_STREAK, 0, STREAK_SUMS, USECS_PER_HOUR, 0, 0, NULL);
	SeedBuffer("b-node", BUFFER_NODE, 2, NODE_FIRST_MATCH, 0, 0, 0, NULL);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	MomentTargetInit();
	if (getenv("FUZZ_SEEDS") != NULL)
	{
		MemoryContext context = Enter();

		Seeds();
		Leave(context);
	}
	return 0;
}

static void
TryStored(char mode, const char *bytes, Size size)
{
	switch (mode)
	{
		case 'm':
			TryMoment(bytes, size);
			break;
		case 'k':
			TryStates(bytes, size);
			break;
		case 't':
			TryModel(bytes, size, BLOB_MAGIC);
			break;
		case 'p':
			TryModel(bytes, size, PREDICT_MAGIC);
			break;
		case 's':
			TryStages(bytes, size);
			break;
		case 'b':
			TryBuffer(bytes, size);
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return Take(data, size, MAX_BYTES, TryStored, NULL);
}
