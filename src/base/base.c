/*
 * base.c
 *	  Init of the ground floor.
 */
#include "base/base.h"

#include "utils/guc.h"

void
RevopsBaseInit(void)
{
	ClockInit();
}
