/*
 * config.c
 *	  Tells every backend's cache that a configuration table has changed.
 */
#include "base/base.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(revops_config_changed);

/* Statement trigger: a relcache invalidation of its table, which the compiled forms of its rows listen to. */
Datum
revops_config_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("revops.config_changed() was not called as a trigger")));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation));
	PG_RETURN_POINTER(NULL);
}
