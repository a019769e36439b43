/*
 * assign.h
 *	  Who gets what: assignment of tasks to units.
 */
#ifndef REVOPS_ASSIGN_H
#define REVOPS_ASSIGN_H

extern void AssignInit(void);

#endif							/* REVOPS_ASSIGN_H */
