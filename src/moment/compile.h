/*
 * compile.h
 *	  What the files of the rule compiler share.
 */
#ifndef REVOPS_MOMENT_COMPILE_H
#define REVOPS_MOMENT_COMPILE_H

#include "moment/rule.h"

typedef struct RuleCompiler
{
	const JsonDoc *doc;
	MomentRule *rule;
} RuleCompiler;

static inline bool
JsonIs(const json_t *json, const char *s)
{
	return json_is_string(json) && strcmp(json_string_value(json), s) == 0;
}

/* rule.c: errors at the path unless the key is there, the value a boolean */
extern json_t *RuleRequired(const JsonDoc *doc, const json_t *json, const char *path, const char *key);
extern bool RuleBoolean(const JsonDoc *doc, const json_t *json, const char *path);

/* sequence.c */
extern void CompileSequence(RuleCompiler *c, const json_t *json);

/* The slot of a value that chains are to remember */
extern int	SequenceRemember(RuleCompiler *c, int step, bool first, FieldRef *field, const char *path);

/* The step of that name among the first n; -1: none */
extern int	SequenceStepNamed(const Sequence *q, int n, const char *name, size_t len);

#endif							/* REVOPS_MOMENT_COMPILE_H */
