/*
 * task.h
 *	  Task cards: settings. The room itself is SQL (task.sql).
 */
#ifndef REVOPS_TASK_H
#define REVOPS_TASK_H

#include "base/base.h"

extern void TaskInit(void);

#endif							/* REVOPS_TASK_H */
