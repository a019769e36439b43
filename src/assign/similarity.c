/*
 * similarity.c
 *	  Vectors of hashed features: what a customer is like, what somebody's customers are like, and how alike two are.
 *
 *	  Each feature goes to eight signed places (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009), so that two
 *	  that meet in one place differ in the others. A vector is kept as signed bytes, of length about 127.
 */
#include "assign/people.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MAX_FEATURES	1000

PG_FUNCTION_INFO_V1(revops_profile_vector);
PG_FUNCTION_INFO_V1(revops_profile_add);
PG_FUNCTION_INFO_V1(revops_profile_merge);
PG_FUNCTION_INFO_V1(revops_profile_result);
PG_FUNCTION_INFO_V1(revops_profile_similarity);

/* A vector of length 127 in the direction of the sum; NULL if it has none. */
static bytea *
Quantized(const double *sum)
{
	double		norm = 0;
	bytea	   *result;
	int8	   *v;

	for (int i = 0; i < PROFILE_DIMS; i++)
		norm += sum[i] * sum[i];
	if (!(norm > 1e-12) || isinf(norm))
		return NULL;
	norm = 127 / sqrt(norm);
	result = palloc(VARHDRSZ + PROFILE_DIMS);
	SET_VARSIZE(result, VARHDRSZ + PROFILE_DIMS);
	v = (int8 *) VARDATA(result);
	for (int i = 0; i < PROFILE_DIMS; i++)
		v[i] = (int8) rint(sum[i] * norm);
	return result;
}

static const int8 *
VectorOf(bytea *b)
{
	if (VARSIZE_ANY_EXHDR(b) != PROFILE_DIMS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a profile vector has %d bytes, not %d", PROFILE_DIMS, (int) VARSIZE_ANY_EXHDR(b)),
				 errhint("Make vectors with revops.profile_vector() or revops.profile_sum().")));
	return (const int8 *) VARDATA_ANY(b);
}

/* profile_vector(features, weights): NULL features and weights of 0 are left out. */
Datum
revops_profile_vector(PG_FUNCTION_ARGS)
{
	Datum	   *features,
			   *weights;
	bool	   *fnull,
			   *wnull;
	int			nf,
				nw;
	double		sum[PROFILE_DIMS] = {0};
	bytea	   *result;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &features, &fnull, &nf);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &weights, &wnull, &nw);
	if (nf != nw || nf > MAX_FEATURES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a vector needs as many weights as features, and at most %d of them", MAX_FEATURES)));
	for (int i = 0; i < nf; i++)
	{
		double		w = wnull[i] ? 0 : DatumGetFloat8(weights[i]);
		text	   *t;
		uint64		h;

		if (fnull[i] || w == 0)
			continue;
		if (isnan(w) || fabs(w) > 1e6)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the weight of a feature must lie between -1e6 and 1e6")));
		t = DatumGetTextPP(features[i]);
		h = DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), 0));
		for (int k = 0; k < 8; k++, h >>= 8)
			sum[h & 127] += (h & 128) ? -w : w;
	}
	result = Quantized(sum);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

/* The state of profile_sum() is PROFILE_DIMS float8, behind a header that is padded to 8 bytes. */
#define STATE_SIZE	(8 + PROFILE_DIMS * sizeof(double))

static double *
StateOf(bytea **b)
{
	if (VARSIZE_ANY(*b) != STATE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this is no state of revops.profile_sum()")));
	if ((uintptr_t) *b % 8 != 0)
		*b = memcpy(palloc(STATE_SIZE), *b, STATE_SIZE);
	return (double *) ((char *) *b + 8);
}

Datum
revops_profile_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	bool		own = AggCheckCallContext(fcinfo, &context) != 0;
	bytea	   *state;
	double	   *sum;
	const int8 *v;
	double		w;

	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAllocZero(own ? context : CurrentMemoryContext, STATE_SIZE);
		SET_VARSIZE(state, STATE_SIZE);
	}
	else
		state = own ? PG_GETARG_BYTEA_P(0) : PG_GETARG_BYTEA_P_COPY(0);
	sum = StateOf(&state);
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
	{
		v = VectorOf(PG_GETARG_BYTEA_PP(1));
		w = PG_GETARG_FLOAT8(2);
		if (isnan(w) || isinf(w))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the weight of a vector must be a number, not %g", w)));
		for (int i = 0; i < PROFILE_DIMS; i++)
			sum[i] += w * v[i];
	}
	PG_RETURN_BYTEA_P(state);
}

Datum
revops_profile_merge(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	bool		own = AggCheckCallContext(fcinfo, &context) != 0;
	bytea	   *merged;
	double	   *sum;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	merged = MemoryContextAllocZero(own ? context : CurrentMemoryContext, STATE_SIZE);
	SET_VARSIZE(merged, STATE_SIZE);
	sum = StateOf(&merged);
	for (int arg = 0; arg < 2; arg++)
		if (!PG_ARGISNULL(arg))
		{
			bytea	   *b = PG_GETARG_BYTEA_P(arg);
			double	   *add = StateOf(&b);

			for (int i = 0; i < PROFILE_DIMS; i++)
				sum[i] += add[i];
		}
	PG_RETURN_BYTEA_P(merged);
}

Datum
revops_profile_result(PG_FUNCTION_ARGS)
{
	bytea	   *state = PG_GETARG_BYTEA_P(0);
	bytea	   *result = Quantized(StateOf(&state));

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

double
ProfileSimilarity(const int8 *a, const int8 *b)
{
	int32		ab = 0,
				aa = 0,
				bb = 0;

	for (int i = 0; i < PROFILE_DIMS; i++)
	{
		ab += a[i] * b[i];
		aa += a[i] * a[i];
		bb += b[i] * b[i];
	}
	return ab <= 0 ? 0 : Min(1.0, ab / sqrt((double) aa * bb));
}

Datum
revops_profile_similarity(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(ProfileSimilarity(VectorOf(PG_GETARG_BYTEA_PP(0)), VectorOf(PG_GETARG_BYTEA_PP(1))));
}
