/*
 * committee.c
 *	  The networks of a model: trained one after the other, so that memory holds one of them, and weighed against the linear scores.
 *
 * They know the features that are in two texts at least, which are a third or so of all: one that is in a single text teaches nothing of others.
 */
#include "learn/gather.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EPOCHS_MOST		12
#define EPOCHS_LEAST	4
#define STEPS			240000	/* as many passes as come to this, within these bounds */
#define CACHE_LINE		64

/* What the mean of the networks' scores may count beside the linear ones */
static const float mixes[] = {0, 0.06, 0.12, 0.2, 0.35};

typedef struct Progress
{
	const char *model;
	int			network;
	int			networks;
	TimestampTz told;
} Progress;

static void
Tell(void *arg, int epoch)
{
	Progress   *p = arg;

	if (NoticeDue(&p->told))
		ereport(NOTICE,
				(errmsg("model \"%s\": network %d of %d has seen the examples %d times", p->model, p->network, p->networks, epoch)));
}

static int
Outputs(const Dataset *data)
{
	for (int i = 0; i < data->n; i++)
		if (data->label[i] < 0)
			return data->nlabels + 1;
	return data->nlabels;
}

static size_t
CommitteeBytes(const Dataset *data, const Vocabulary *v, const LearnOptions *options)
{
	return (size_t) v->ncommon * ((options->hidden + 1) * sizeof(float) + (size_t) options->networks * options->hidden) +
		(size_t) options->networks * (options->hidden + 1) * NetworkWidth(data->nlabels + 1) * 2 * sizeof(float) + data->n * sizeof(uint32);
}

static void
Round(const Network *net, RoundedNetworks *r, int number)
{
	int			units = r->n * r->hidden;
	int			first = number * r->hidden;

	for (int u = 0; u < net->hidden; u++)
	{
		float		most = 0;
		float		unit;

		CHECK_FOR_INTERRUPTS();
		for (size_t f = 0; f < net->nfeatures; f++)
			most = Max(most, fabsf(net->in[f * net->hidden + u]));
		unit = most > 0 ? most / 127 : 1;
		r->unit[first + u] = unit;
		r->bias[first + u] = net->in_bias[u];
		for (size_t f = 0; f < net->nfeatures; f++)
			r->in[f * units + first + u] = (int8) rintf(net->in[f * net->hidden + u] / unit);
	}
	memcpy(r->out + (size_t) number * (net->hidden + 1) * net->width, net->out, (size_t) (net->hidden + 1) * net->width * sizeof(float));
}

void
CommitteeTrain(Examples *e, const char *model, const Dataset *data, const Vocabulary *v, const LearnOptions *options,
			   const bool *use, int nheld, float *scores, RoundedNetworks *r)
{
	Network		net = {.hidden = options->hidden, .outputs = Outputs(data), .nfeatures = v->ncommon};
	size_t		nout;
	size_t		bytes = CommitteeBytes(data, v, options);
	int			epochs = Min(EPOCHS_MOST, Max(EPOCHS_LEAST, STEPS / Max(data->n, 1)));
	int			units = options->networks * options->hidden;
	char	   *room;
	float	   *score;
	Progress	progress = {model, 0, options->networks, NoticeStart()};

	LearnCharge(e, bytes);
	net.width = NetworkWidth(net.outputs);
	nout = (size_t) (net.hidden + 1) * net.width;
	room = MemoryContextAllocHuge(CurrentMemoryContext, (size_t) net.nfeatures * net.hidden * sizeof(float) + CACHE_LINE);
	net.in = (float *) TYPEALIGN(CACHE_LINE, room);
	net.in_sum = MemoryContextAllocHuge(CurrentMemoryContext, Max(net.nfeatures, 1) * sizeof(float));
	net.in_bias = palloc(net.hidden * sizeof(float));
	net.in_bias_sum = palloc(net.hidden * sizeof(float));
	net.out = palloc(nout * sizeof(float));
	net.out_sum = palloc((net.hidden + 1) * sizeof(float));
	score = palloc(2 * net.width * sizeof(float));
	if (r != NULL)
	{
		r->n = options->networks;
		r->hidden = net.hidden;
		r->outputs = net.outputs;
		r->nfeatures = net.nfeatures;
		r->in = MemoryContextAllocHuge(CurrentMemoryContext, Max((size_t) net.nfeatures * units, 1));
		r->unit = palloc(units * sizeof(float));
		r->bias = palloc(units * sizeof(float));
		r->out = MemoryContextAllocHuge(CurrentMemoryContext, r->n * nout * sizeof(float));
	}
	for (int m = 0; m < options->networks; m++)
	{
		int			h = 0;

		progress.network = m + 1;
		NetworkInit(&net, options->solver.seed * NETWORK_MAX + m);
		NetworkTrain(data, use, &net, epochs, 1, Tell, &progress);
		for (int i = 0; i < data->n && h < nheld; i++)
		{
			if (use[i])
				continue;
			NetworkScores(data, i, &net, score);
			for (int k = 0; k < data->nlabels; k++)
				scores[(size_t) h * data->nlabels + k] += score[k] / options->networks;
			h++;
		}
		if (r == NULL)
			continue;
		/* what was held out is learned too */
		NetworkTrain(data, NULL, &net, (epochs + 1) / 2, 0.5, Tell, &progress);
		Round(&net, r, m);
	}
	pfree(room);
	pfree(net.in_sum);
	pfree(net.in_bias);
	pfree(net.in_bias_sum);
	pfree(net.out);
	pfree(net.out_sum);
	pfree(score);
	e->used -= bytes - (r != NULL ? (size_t) net.nfeatures * units : 0);
}

/* Of what the networks may count, that by which held-out labels are likeliest; their scores are added to the linear ones accordingly. */
float
CommitteeMix(float *scores, const float *network_scores, const int32 *label, int n, int nlabels)
{
	size_t		cells = (size_t) n * nlabels;
	float	   *sum = MemoryContextAllocHuge(CurrentMemoryContext, Max(cells, 1) * sizeof(float));
	double		least = INFINITY;
	float		mix = 0;

	for (int m = 0; m < lengthof(mixes); m++)
	{
		double		loss;

		for (size_t i = 0; i < cells; i++)
			sum[i] = scores[i] + mixes[m] * network_scores[i];
		loss = CalibrateLoss(sum, label, n, nlabels, CalibrateScale(sum, label, n, nlabels));
		if (loss < least)
		{
			least = loss;
			mix = mixes[m];
		}
	}
	for (size_t i = 0; i < cells; i++)
		scores[i] += mix * network_scores[i];
	pfree(sum);
	return mix;
}
