/*
 * access.h
 *	  Who asks, and what they may see and write.
 */
#ifndef REVOPS_ACCESS_H
#define REVOPS_ACCESS_H

extern void AccessInit(void);

#endif							/* REVOPS_ACCESS_H */
