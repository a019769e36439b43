/*
 * task.c
 *	  Settings of the task room, which is SQL otherwise: each of its functions is one set-based pass.
 */
#include "task/task.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

static char *task_max_age = NULL;	/* both are read through current_setting() */
static char *fallback_rep = NULL;

/* Accept a positive interval without months. */
static bool
CheckMaxAge(char **newval, void **extra, GucSource source)
{
	Interval	i;

	if (IntervalSetting(*newval, &i) && i.month == 0 && i.day >= 0 && i.time >= 0 && (i.day > 0 || i.time > 0))
		return true;
	GUC_check_errdetail("\"%s\" is not a span of days, hours and minutes.", *newval);
	GUC_check_errhint("Give it as '24 hours', for example.");
	return false;
}

void
TaskInit(void)
{
	DefineCustomStringVariable("revops.task_max_age",
							   "A moment that is older when it is found makes no task card.",
							   NULL, &task_max_age, "24 hours", PGC_SUSET, 0,
							   CheckMaxAge, NULL, NULL);
	DefineCustomStringVariable("revops.fallback_rep",
							   "The rep who gets the cards that nobody owns and no unit is on duty for; empty leaves them unowned.",
							   NULL, &fallback_rep, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
}
