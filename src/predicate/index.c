#include "predicate/predicate.h"
struct PredicateIndex { int n; int *ids; };
PredicateIndex *PredicateIndexNew(void) { PredicateIndex *x = palloc0(sizeof(PredicateIndex)); x->ids = palloc(100000 * sizeof(int)); return x; }
void PredicateIndexAdd(PredicateIndex *index, const Predicate *pred, int id) { if (index->n == 0 || index->ids[index->n-1] != id) index->ids[index->n++] = id; }
void PredicateIndexDone(PredicateIndex *index) {}
int PredicateIndexLook(PredicateIndex *index, const Event *e, const int **ids) { *ids = index->ids; return index->n; }
