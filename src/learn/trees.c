/*
 * trees.c
 *	  Boosted trees, grown by libxgboost over the same codes that the logistic model uses.
 *
 * The library is loaded when the option "trees" is first used, and only grows: what it grew is read from its JSON into nodes of ours, which
 * are stored, checked and walked by predict_blob.c. So predicting needs no library, and no stored bytes reach it. It runs in one thread;
 * interrupts are looked for between rounds.
 */
#include "learn/predict.h"

#include <dlfcn.h>
#include <jansson.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define LIBRARY			"libxgboost.so.0"
#define PATIENCE		30		/* rounds without a better loss on the validation rows */
#define MAX_NODES		4096	/* of a tree */

typedef void *Handle;

static struct
{
	int			(*matrix_create) (const float *data, uint64 nrow, uint64 ncol, float missing, Handle *out, int nthread);
	int			(*matrix_set) (Handle matrix, const char *field, const float *array, uint64 len);
	int			(*matrix_free) (Handle matrix);
	int			(*create) (const Handle matrices[], uint64 len, Handle *out);
	int			(*set) (Handle booster, const char *name, const char *value);
	int			(*update) (Handle booster, int iter, Handle matrix);
	int			(*eval) (Handle booster, int iter, Handle matrices[], const char *names[], uint64 len, const char **out);
	int			(*save) (Handle booster, const char *config, uint64 *len, const char **out);
	int			(*free) (Handle booster);
	const char *(*last_error) (void);
}			lib;

static const struct
{
	const char *name;
	void	   *at;
}			symbols[] = {
	{"XGDMatrixCreateFromMat_omp", &lib.matrix_create},
	{"XGDMatrixSetFloatInfo", &lib.matrix_set},
	{"XGDMatrixFree", &lib.matrix_free},
	{"XGBoosterCreate", &lib.create},
	{"XGBoosterSetParam", &lib.set},
	{"XGBoosterUpdateOneIter", &lib.update},
	{"XGBoosterEvalOneIter", &lib.eval},
	{"XGBoosterSaveModelToBuffer", &lib.save},
	{"XGBoosterFree", &lib.free},
	{"XGBGetLastError", &lib.last_error},
};

/* Loads the library. */
const char *
TreesMissing(void)
{
	static bool loaded = false;
	void	   *so;

	if (loaded)
		return NULL;
	so = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		return LIBRARY " is not installed";
	for (int i = 0; i < lengthof(symbols); i++)
	{
		void	   *f = dlsym(so, symbols[i].name);

		if (f == NULL)
		{
			dlclose(so);
			return LIBRARY " is of another version than 1.6 or 1.7";
		}
		memcpy(symbols[i].at, &f, sizeof(f));
	}
	loaded = true;
	return NULL;
}

static void
Check(int rc)
{
	if (rc != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("libxgboost: %s", lib.last_error()),
				 errhint("Without the option \"trees\", the library is not used.")));
}

/* The number at `key`[i] of a tree, or ERROR. */
static double
Number(json_t *tree, const char *key, size_t i)
{
	json_t	   *x = json_array_get(json_object_get(tree, key), i);

	if (!json_is_number(x) && !json_is_boolean(x))
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("libxgboost gives a tree without %s", key)));
	return json_is_boolean(x) ? json_is_true(x) : json_number_value(x);
}

/* One tree into nodes, breadth first, so that a node's children are neighbours behind it. */
static void
ReadTree(json_t *tree, int ninputs, Forest *f)
{
	size_t		n = json_array_size(json_object_get(tree, "left_children"));
	int		   *theirs;
	double	   *cover;
	uint32		first = f->nnodes;
	uint32		count = 1;

	if (n < 1 || n > MAX_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("libxgboost gives a tree of %zu nodes", n)));
	theirs = palloc0(n * sizeof(int));
	cover = palloc0(n * sizeof(double));
	f->node = f->node == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, (first + n) * sizeof(TreeNode)) :
		repalloc_huge(f->node, (first + n) * sizeof(TreeNode));
	memset(f->node + first, 0, n * sizeof(TreeNode));
	for (uint32 i = 0; i < count; i++)
	{
		TreeNode   *node = &f->node[first + i];
		int			left = Number(tree, "left_children", theirs[i]);
		int			right = Number(tree, "right_children", theirs[i]);

		cover[i] = Number(tree, "sum_hessian", theirs[i]);
		if (left < 0)
		{
			node->leaf = true;
			node->value = Number(tree, "split_conditions", theirs[i]);
			continue;
		}
		if (count + 2 > n || left >= n || right < 0 || right >= n || Number(tree, "split_indices", theirs[i]) >= ninputs)
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("libxgboost gives a tree that is none")));
		node->input = Number(tree, "split_indices", theirs[i]);
		node->below = Number(tree, "split_conditions", theirs[i]);
		node->missing_left = Number(tree, "default_left", theirs[i]) != 0;
		node->left = first + count;
		theirs[count] = left;
		theirs[count + 1] = right;
		count += 2;
	}
	/* what the leaves below a node give on average, by the weight of the rows that reached them */
	for (int64 i = (int64) count - 1; i >= 0; i--)
	{
		TreeNode   *node = &f->node[first + i];
		uint32		left = node->left - first;

		if (!node->leaf)
			node->value = (cover[left] * f->node[node->left].value + cover[left + 1] * f->node[node->left + 1].value) /
				Max(cover[left] + cover[left + 1], 1e-30);
	}
	f->root[f->ntrees++] = first;
	f->nnodes += count;
	pfree(theirs);
	pfree(cover);
}

static void
ReadForest(json_t *doc, int rounds, int ninputs, Forest *f)
{
	json_t	   *learner = json_object_get(doc, "learner");
	json_t	   *model = json_object_get(json_object_get(learner, "gradient_booster"), "model");
	json_t	   *trees = json_object_get(model, "trees");
	const char *base = json_string_value(json_object_get(json_object_get(learner, "learner_model_param"), "base_score"));
	double		p = base ? atof(base + (base[0] == '[')) : 0.5;

	memset(f, 0, sizeof(Forest));
	if (json_array_size(trees) < rounds || !(p > 0 && p < 1))
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("libxgboost gives a model without its trees")));
	f->base = log(p / (1 - p));
	f->root = palloc(Max(rounds, 1) * sizeof(uint32));
	for (int t = 0; t < rounds; t++)
	{
		CHECK_FOR_INTERRUPTS();
		ReadTree(json_array_get(trees, t), ninputs, f);
	}
}

void
TreesGrow(const float *x, const uint8 *label, int nfit, int nvalid, int ninputs, const TreesOptions *o, Forest *forest)
{
	float	   *y = MemoryContextAllocHuge(CurrentMemoryContext, (size_t) Max(nfit + nvalid, 1) * sizeof(float));
	volatile Handle fit = NULL;
	volatile Handle valid = NULL;
	volatile Handle booster = NULL;
	json_t	   *volatile doc = NULL;

	for (int i = 0; i < nfit + nvalid; i++)
		y[i] = label[i];
	PG_TRY();
	{
		Handle		h = NULL;
		int			best = 0;
		double		best_loss = INFINITY;
		const char *settings[][2] = {
			{"booster", "gbtree"}, {"objective", "binary:logistic"}, {"tree_method", "hist"}, {"nthread", "1"}, {"verbosity", "0"},
			{"eval_metric", "logloss"}, {"subsample", "0.8"}, {"colsample_bytree", "0.8"}, {"min_child_weight", "5"}, {"lambda", "2"},
			{"seed", psprintf("%d", o->seed)}, {"max_depth", psprintf("%d", o->depth)}, {"eta", psprintf("%.9g", o->rate)},
		};
		uint64		len = 0;
		const char *out = NULL;
		json_error_t error;

		CHECK_FOR_INTERRUPTS();
		Check(lib.matrix_create(x, nfit, ninputs, NAN, &h, 1));
		fit = h;
		Check(lib.matrix_set(fit, "label", y, nfit));
		if (nvalid > 0)
		{
			Check(lib.matrix_create(x + (size_t) nfit * ninputs, nvalid, ninputs, NAN, &h, 1));
			valid = h;
			Check(lib.matrix_set(valid, "label", y + nfit, nvalid));
		}
		Check(lib.create((const Handle[]) {fit, valid}, nvalid > 0 ? 2 : 1, &h));
		booster = h;
		for (int i = 0; i < lengthof(settings); i++)
			Check(lib.set(booster, settings[i][0], settings[i][1]));
		for (int r = 0; r < o->rounds; r++)
		{
			CHECK_FOR_INTERRUPTS();
			Check(lib.update(booster, r, fit));
			if (nvalid > 0)
			{
				double		loss;

				Check(lib.eval(booster, r, (Handle[]) {valid}, (const char *[]) {"valid"}, 1, &out));
				out = strrchr(out, ':');
				loss = out ? atof(out + 1) : NAN;
				if (loss < best_loss)
				{
					best_loss = loss;
					best = r + 1;
				}
				if (r + 1 - best >= PATIENCE)
					break;
			}
		}
		Check(lib.save(booster, "{\"format\": \"json\"}", &len, &out));
		doc = json_loadb(out, len, JSON_ALLOW_NUL, &error);
		if (doc == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("libxgboost gives a model that is not JSON: %s", error.text)));
		ReadForest(doc, nvalid > 0 ? best : o->rounds, ninputs, forest);
	}
	PG_FINALLY();
	{
		if (doc != NULL)
			json_decref(doc);
		if (booster != NULL)
			lib.free(booster);
		if (valid != NULL)
			lib.matrix_free(valid);
		if (fit != NULL)
			lib.matrix_free(fit);
	}
	PG_END_TRY();
	pfree(y);
}
