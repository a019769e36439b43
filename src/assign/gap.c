#include "assign/solve.h"
double SolveGap(SolveControl *control, const SolveProblem *problem, uint64 seed, double good_enough, int32 *pair_of){return 0;}
