/*
 * pg_revops.c
 *	  Calls each room's init, nothing else.
 */
#include "access/access.h"
#include "assign/assign.h"
#include "assign/people.h"
#include "base/base.h"
#include "board/board.h"
#include "capture/capture.h"
#include "learn/learn.h"
#include "moment/moment.h"
#include "predicate/predicate.h"
#include "stream/stream.h"
#include "task/task.h"
#include "text/text.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	RevopsBaseInit();
	PredicateInit();
	LearnInit();
	CaptureInit();
	AccessInit();
	TextInit();
	MomentInit();
	TaskInit();
	AssignInit();
	PeopleInit();
	BoardInit();
	StreamInit();
	WorkerInit();
}
