/*
 * predict_blob.c
 *	  A model of a yes-or-no question as it is stored: one piece without pointers, read where it lies.
 *
 * PredictBlobFault() looks at every number by which something is found, so that no bytes, whatever they are, lead outside.
 */
#include "learn/predict.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

static uint32
TextAt(StringInfo texts, const char *s)
{
	uint32		at = texts->len;

	appendBinaryStringInfo(texts, s, strlen(s) + 1);
	return at;
}

/* In the current context, sealed. */
PredictBlob *
PredictBlobBuild(const PredictModel *m)
{
	PredictBlob head = {PREDICT_MAGIC};
	PredictBlob *blob;
	StringInfoData texts;
	PredictColumn *columns = palloc0(Max(m->ncolumns, 1) * sizeof(PredictColumn));
	PredictInput *inputs = palloc0(Max(m->ninputs, 1) * sizeof(PredictInput));
	BlobTerm   *terms;
	uint32	   *names;
	pg_crc32c	crc;
	size_t		size;

	initStringInfo(&texts);
	appendStringInfoChar(&texts, '\0');
	for (int c = 0; c < m->ncolumns; c++)
	{
		columns[c].name = TextAt(&texts, m->column[c]);
		columns[c].kind = m->kind[c];
	}
	for (int i = 0; i < m->ninputs; i++)
	{
		const Binning *b = &m->binning[i];
		PredictInput *in = &inputs[i];

		in->column = m->input_column[i];
		in->part = m->input_part[i];
		in->category = b->category;
		in->ncodes = b->ncodes;
		in->first_code = head.ncodes;
		in->first_edge = head.nedges;
		in->nedges = b->nedges;
		in->first_slot = head.nslots;
		in->nlevels = b->nlevels;
		head.ncodes += b->ncodes;
		head.nedges += b->nedges;
		if (b->category)
		{
			in->nslots = 4;
			while (in->nslots < b->ncodes * 2)
				in->nslots *= 2;
			head.nslots += in->nslots;
		}
	}
	names = palloc0(Max(head.ncodes, 1) * sizeof(uint32));
	for (int i = 0; i < m->ninputs; i++)
		for (int c = 2; m->binning[i].category && c < m->binning[i].ncodes; c++)
			names[inputs[i].first_code + c] = TextAt(&texts, m->binning[i].name[c]);

	head.ncolumns = m->ncolumns;
	head.ninputs = m->ninputs;
	head.nterms = m->forest ? 0 : m->nterms;
	head.nweights = m->forest ? 0 : m->nweights;
	head.ntrees = m->forest ? m->forest->ntrees : 0;
	head.nnodes = m->forest ? m->forest->nnodes : 0;
	head.ntexts = texts.len;
	head.scale = m->scale;
	head.shift = m->shift;
	head.intercept = m->forest ? m->forest->base : m->weight[m->nweights];
	head.base_rate = m->base_rate;
	size = TYPEALIGN(64, sizeof(PredictBlob));
#define PART(field, bytes) (head.field = size, size = TYPEALIGN(64, size + (bytes)))
	PART(column_at, head.ncolumns * sizeof(PredictColumn));
	PART(input_at, head.ninputs * sizeof(PredictInput));
	PART(term_at, head.nterms * sizeof(BlobTerm));
	PART(weight_at, head.nweights * sizeof(double));
	PART(edge_at, head.nedges * sizeof(double));
	PART(level_at, head.ncodes);
	PART(rank_at, head.ncodes * sizeof(float));
	PART(name_at, head.ncodes * sizeof(uint32));
	PART(slot_at, head.nslots * sizeof(PredictSlot));
	PART(root_at, head.ntrees * sizeof(uint32));
	PART(node_at, (size_t) head.nnodes * sizeof(TreeNode));
	PART(text_at, texts.len);
	if (size > MaxAllocSize - 64)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model would have %zu MB, the most is %zu MB", size >> 20, MaxAllocSize >> 20),
				 errhint("Give a smaller \"depth\" or \"max_categories\".")));
	head.size = size;
	blob = palloc0(size);
	*blob = head;
	memcpy(BLOB_AT(blob, head.column_at), columns, head.ncolumns * sizeof(PredictColumn));
	memcpy(BLOB_AT(blob, head.input_at), inputs, head.ninputs * sizeof(PredictInput));
	terms = (BlobTerm *) BLOB_AT(blob, head.term_at);
	for (uint32 t = 0; t < head.nterms; t++)
		terms[t] = (BlobTerm) {m->term[t].a, m->term[t].b, m->term[t].offset, m->term[t].n};
	if (head.nweights > 0)
		memcpy(BLOB_AT(blob, head.weight_at), m->weight, head.nweights * sizeof(double));
	for (int i = 0; i < m->ninputs; i++)
	{
		const Binning *b = &m->binning[i];
		const PredictInput *in = &inputs[i];
		PredictSlot *slots = (PredictSlot *) BLOB_AT(blob, head.slot_at) + in->first_slot;

		if (b->nedges > 0)
			memcpy((double *) BLOB_AT(blob, head.edge_at) + in->first_edge, b->edge, b->nedges * sizeof(double));
		memcpy((uint8 *) BLOB_AT(blob, head.level_at) + in->first_code, b->level, b->ncodes);
		if (m->rank != NULL)
			memcpy((float *) BLOB_AT(blob, head.rank_at) + in->first_code, m->rank[i], b->ncodes * sizeof(float));
		for (int c = 2; b->category && c < b->ncodes; c++)
		{
			uint32		hash = hash_bytes((const unsigned char *) b->name[c], strlen(b->name[c]));
			uint32		s = hash & (in->nslots - 1);

			while (slots[s].code != 0)
				s = (s + 1) & (in->nslots - 1);
			slots[s] = (PredictSlot) {hash, c};
		}
	}
	memcpy(BLOB_AT(blob, head.name_at), names, head.ncodes * sizeof(uint32));
	if (m->forest != NULL)
	{
		memcpy(BLOB_AT(blob, head.root_at), m->forest->root, head.ntrees * sizeof(uint32));
		memcpy(BLOB_AT(blob, head.node_at), m->forest->node, (size_t) head.nnodes * sizeof(TreeNode));
	}
	memcpy(BLOB_AT(blob, head.text_at), texts.data, texts.len);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, (char *) blob + offsetof(PredictBlob, size), blob->size - offsetof(PredictBlob, size));
	FIN_CRC32C(crc);
	blob->crc = crc;
	return blob;
}

/* What is wrong with the parts, once their places are known to be inside. */
static const char *
PartsFault(const PredictBlob *b)
{
	const PredictColumn *column = PREDICT_COLUMNS(b);
	const PredictInput *in = PREDICT_INPUTS(b);
	const BlobTerm *term = PREDICT_TERMS(b);
	const uint8 *level = (const uint8 *) BLOB_AT(b, b->level_at);
	const uint32 *name = (const uint32 *) BLOB_AT(b, b->name_at);
	const PredictSlot *slot = (const PredictSlot *) BLOB_AT(b, b->slot_at);
	const uint32 *root = (const uint32 *) BLOB_AT(b, b->root_at);
	const TreeNode *node = (const TreeNode *) BLOB_AT(b, b->node_at);
	const double *weight = (const double *) BLOB_AT(b, b->weight_at);

	if (b->ntexts < 1 || PREDICT_TEXT(b, 0)[0] != '\0' || PREDICT_TEXT(b, b->ntexts - 1)[0] != '\0')
		return "its texts are damaged";
	for (uint32 c = 0; c < b->ncolumns; c++)
		if (column[c].name >= b->ntexts || column[c].kind > COLUMN_TIME)
			return "its columns are damaged";
	for (uint32 c = 0; c < b->ncodes; c++)
		if (name[c] >= b->ntexts)
			return "its texts are damaged";
	for (uint32 i = 0; i < b->ninputs; i++)
	{
		uint32		used = 0;

		if (in[i].column >= b->ncolumns || in[i].part > PART_HOUR || in[i].category > 1 || in[i].ncodes < 2 || in[i].ncodes > PG_UINT16_MAX ||
			in[i].first_code > b->ncodes || in[i].ncodes > b->ncodes - in[i].first_code ||
			in[i].first_edge > b->nedges || in[i].nedges > b->nedges - in[i].first_edge || in[i].nedges + 2 > in[i].ncodes ||
			in[i].first_slot > b->nslots || in[i].nslots > b->nslots - in[i].first_slot ||
			in[i].nlevels < 1 || in[i].nlevels > PREDICT_MAX_LEVELS || (in[i].category != 0) != (in[i].nslots != 0) ||
			(in[i].nslots & (in[i].nslots - 1)) != 0 || (in[i].category != 0) != (column[in[i].column].kind == COLUMN_CATEGORY))
			return "its inputs are damaged";
		for (uint32 c = 0; c < in[i].ncodes; c++)
			if (level[in[i].first_code + c] >= in[i].nlevels)
				return "its inputs are damaged";
		for (uint32 s = 0; s < in[i].nslots; s++)
		{
			used += slot[in[i].first_slot + s].code != 0;
			if (slot[in[i].first_slot + s].code >= in[i].ncodes)
				return "its categories are damaged";
		}
		if (in[i].nslots > 0 && used >= in[i].nslots)
			return "its categories are damaged";
	}
	for (uint32 t = 0; t < b->nterms; t++)
	{
		uint64		n;

		if (term[t].a < 0 || term[t].a >= (int64) b->ninputs || term[t].b < -1 || term[t].b >= (int64) b->ninputs)
			return "its terms are damaged";
		n = term[t].b < 0 ? in[term[t].a].ncodes : (uint64) in[term[t].a].nlevels * in[term[t].b].nlevels;
		if (term[t].offset > b->nweights || n > b->nweights - term[t].offset)
			return "its terms are damaged";
	}
	for (uint32 w = 0; w < b->nweights; w++)
		if (!isfinite(weight[w]))
			return "its weights are damaged";
	for (uint32 t = 0; t < b->ntrees; t++)
		if (root[t] >= b->nnodes)
			return "its trees are damaged";
	/* children lie behind their parents, so that every walk ends */
	for (uint32 n = 0; n < b->nnodes; n++)
		if (!isfinite(node[n].value) ||
			(!node[n].leaf && (node[n].input >= b->ninputs || node[n].left <= n || node[n].left >= b->nnodes - 1)))
			return "its trees are damaged";
	return NULL;
}

/* What is wrong with a stored model, whatever its bytes; NULL: nothing, and no access through it leaves it. */
const char *
PredictBlobFault(const PredictBlob *b, size_t size)
{
	pg_crc32c	crc;

	if (size < sizeof(PredictBlob) || b->size != size)
		return "its size does not fit";
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, (const char *) b + offsetof(PredictBlob, size), size - offsetof(PredictBlob, size));
	FIN_CRC32C(crc);
	if (b->crc != crc)
		return "its checksum does not fit";
	if (b->ncolumns > PREDICT_MAX_COLUMNS || b->ninputs > PREDICT_MAX_INPUTS || b->nweights > PREDICT_MAX_WEIGHTS ||
		b->nterms > PREDICT_MAX_INPUTS + PREDICT_MAX_PAIRS || b->ntrees > PREDICT_MAX_TREES ||
		!isfinite(b->scale) || !isfinite(b->shift) || !isfinite(b->intercept))
		return "its header is damaged";
	{
		uint64		need[] = {
			b->column_at, b->ncolumns * sizeof(PredictColumn),
			b->input_at, b->ninputs * sizeof(PredictInput),
			b->term_at, b->nterms * sizeof(BlobTerm),
			b->weight_at, b->nweights * sizeof(double),
			b->edge_at, b->nedges * sizeof(double),
			b->level_at, b->ncodes,
			b->rank_at, b->ncodes * sizeof(float),
			b->name_at, b->ncodes * sizeof(uint32),
			b->slot_at, b->nslots * sizeof(PredictSlot),
			b->root_at, b->ntrees * sizeof(uint32),
			b->node_at, b->nnodes * sizeof(TreeNode),
			b->text_at, b->ntexts,
		};

		for (int i = 0; i < lengthof(need); i += 2)
			if (need[i] % 64 != 0 || need[i] > size || need[i + 1] > size - need[i])
				return "its header is damaged";
	}
	return PartsFault(b);
}

/* A category's code; CODE_OTHER for one that the model does not know. */
int
PredictCategory(const PredictBlob *blob, const PredictInput *in, const char *value, int len)
{
	const PredictSlot *slots = (const PredictSlot *) BLOB_AT(blob, blob->slot_at) + in->first_slot;
	const uint32 *name = (const uint32 *) BLOB_AT(blob, blob->name_at) + in->first_code;
	uint32		hash = hash_bytes((const unsigned char *) value, len);

	for (uint32 s = hash & (in->nslots - 1); slots[s].code != 0; s = (s + 1) & (in->nslots - 1))
		if (slots[s].hash == hash)
		{
			const char *known = PREDICT_TEXT(blob, name[slots[s].code]);

			if (strncmp(known, value, len) == 0 && known[len] == '\0')
				return slots[s].code;
		}
	return CODE_OTHER;
}

/* The number, in its term, of the weight of a row's codes. */
static inline uint32
TermCell(const PredictInput *in, const uint8 *level, const BlobTerm *t, const uint16 *code)
{
	if (t->b < 0)
		return code[t->a];
	return level[in[t->a].first_code + code[t->a]] * in[t->b].nlevels + level[in[t->b].first_code + code[t->b]];
}

static inline uint32
NextNode(const PredictInput *in, const float *rank, const TreeNode *n, const uint16 *code)
{
	float		x = rank[in[n->input].first_code + code[n->input]];
	bool		left = isnan(x) ? n->missing_left != 0 : x < n->below;

	return n->left + !left;
}

double
PredictScore(const PredictBlob *blob, const uint16 *code)
{
	const PredictInput *in = PREDICT_INPUTS(blob);
	const BlobTerm *term = PREDICT_TERMS(blob);
	const double *weight = (const double *) BLOB_AT(blob, blob->weight_at);
	const uint8 *level = (const uint8 *) BLOB_AT(blob, blob->level_at);
	const float *rank = (const float *) BLOB_AT(blob, blob->rank_at);
	const uint32 *root = (const uint32 *) BLOB_AT(blob, blob->root_at);
	const TreeNode *node = (const TreeNode *) BLOB_AT(blob, blob->node_at);
	double		score = blob->intercept;

	for (uint32 t = 0; t < blob->nterms; t++)
		score += weight[term[t].offset + TermCell(in, level, &term[t], code)];
	for (uint32 t = 0; t < blob->ntrees; t++)
	{
		uint32		n = root[t];

		while (!node[n].leaf)
			n = NextNode(in, rank, &node[n], code);
		score += node[n].value;
	}
	return blob->scale * score + blob->shift;
}

/*
 * The log-odds, taken apart: intercept + by_term + by_input. Of a tree, each step of the way gives its input the change of the average
 * (Saabas 2014).
 */
void
PredictContributions(const PredictBlob *blob, const uint16 *code, double *by_input, double *by_term, double *intercept)
{
	const PredictInput *in = PREDICT_INPUTS(blob);
	const BlobTerm *term = PREDICT_TERMS(blob);
	const double *weight = (const double *) BLOB_AT(blob, blob->weight_at);
	const uint8 *level = (const uint8 *) BLOB_AT(blob, blob->level_at);
	const float *rank = (const float *) BLOB_AT(blob, blob->rank_at);
	const uint32 *root = (const uint32 *) BLOB_AT(blob, blob->root_at);
	const TreeNode *node = (const TreeNode *) BLOB_AT(blob, blob->node_at);
	double		start = blob->intercept;

	memset(by_input, 0, blob->ninputs * sizeof(double));
	memset(by_term, 0, blob->nterms * sizeof(double));
	for (uint32 t = 0; t < blob->nterms; t++)
	{
		double		w = blob->scale * weight[term[t].offset + TermCell(in, level, &term[t], code)];

		if (term[t].b < 0)
			by_input[term[t].a] += w;
		else
			by_term[t] = w;
	}
	for (uint32 t = 0; t < blob->ntrees; t++)
	{
		uint32		n = root[t];

		start += node[n].value;
		while (!node[n].leaf)
		{
			uint32		next = NextNode(in, rank, &node[n], code);

			by_input[node[n].input] += blob->scale * ((double) node[next].value - node[n].value);
			n = next;
		}
	}
	*intercept = blob->scale * start + blob->shift;
}
