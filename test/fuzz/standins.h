/*
 * standins.h
 *	  What the fuzzer asks of the stand-ins for the server.
 */
#ifndef REVOPS_STANDINS_H
#define REVOPS_STANDINS_H

#include "base/base.h"

/* The last ERROR */
typedef struct StandinError
{
	int			code;
	char		message[4096];
	char		detail[4096];
} StandinError;

extern StandinError standin_error;
extern int	StandinContexts;	/* memory contexts that there are */

#endif							/* REVOPS_STANDINS_H */
