/*
 * board.h
 *	  Boards: settings, and a customer's local time. The room itself is SQL (board.sql).
 */
#ifndef REVOPS_BOARD_H
#define REVOPS_BOARD_H

#include "base/base.h"

/* revops.board_days: how far back the boards look */
#define BOARD_DEFAULT_DAYS	30
#define BOARD_MIN_DAYS		1
#define BOARD_MAX_DAYS		36500

extern void BoardInit(void);

#endif							/* REVOPS_BOARD_H */
