/*
 * when.h
 *	  What the dates of both languages share. Words are in UTF-8, folded, with a bar between them.
 */
#ifndef REVOPS_TEXT_WHEN_H
#define REVOPS_TEXT_WHEN_H

#include "text/extract.h"

#define JUST_GONE		60		/* days: a date without a year that lies back no more than that is past */

/* The number of the first of the words that stands here, and its end; else -1. Says: of one word */
extern int	SaysOne(const Letters *t, int at, const char *words, int *end);
extern bool Says(const Letters *t, int at, const char *word, int *end);

/* The first place from here that is no space */
extern int	Spaces(const Letters *t, int i);

extern void SetDay(When *w, int day);

/* Days of months first..last of a year; months may be below 1 or above 12 */
extern void SetMonths(When *w, int year, int first, int last);

extern bool ValidDay(int y, int m, int d);

/* The year of what is said without one: the next, but this one if it lies back no more than some days. d 0: of a month */
extern int	YearOf(int today, int y, int m, int d, int gone);

/* Its early (0), middle (1) or late (2) part */
extern bool PartOf(When *w, int part);

/* So many months after a day; -1: too far */
extern int	MonthsOn(int day, int months);

/* A day that does not exist, as 30 February: it is read, and says nothing. True */
extern bool NoSuchDay(When *w, int end);

/* ", 2026", " of 2026", " FY27" after a month, a quarter or a day; -1: next year; 0: none, and *end is as it was */
extern int	YearAfter(const Letters *t, int at, int *end);

/* 2026-03-31, 2026/3/31, 2026.3.31; 2026-03; 2027 Q2, FY27-H1 */
extern bool NumericDate(const Letters *t, int at, When *w);

/* when_zh.c, when_en.c: the date in words that begins here */
extern bool HanWhen(const Letters *t, int at, int today, When *w);
extern bool EnglishWhen(const Letters *t, int at, int today, When *w);

#endif							/* REVOPS_TEXT_WHEN_H */
