/*
 * buffer_io.c
 *	  revops.event_buffer as text and binary. The text is the binary form in hex. What comes in is believed in nothing.
 *
 * The form, all numbers in network order: version, kind, conditions, modes (a byte each); rows (int32); three settings (int64);
 * length of the pattern (int32) and the pattern; then each row: time (int64), and of a streak the sum (int64), else the
 * conditions (int32), and of next_node also a byte of flags and, if there is a node, its length (int32) and text.
 */
#include "analysis/analysis.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define FORM_VERSION	1
#define NODE_IS_BASE	1
#define NODE_HAS_TEXT	2

PG_FUNCTION_INFO_V1(revops_event_buffer_in);
PG_FUNCTION_INFO_V1(revops_event_buffer_out);
PG_FUNCTION_INFO_V1(revops_event_buffer_recv);
PG_FUNCTION_INFO_V1(revops_event_buffer_send);

static void
Write(const EventBuffer *b, StringInfo out)
{
	const BufferRow *rows = BufferRows(b);

	pq_sendbyte(out, FORM_VERSION);
	pq_sendbyte(out, b->kind);
	pq_sendbyte(out, b->nconditions);
	pq_sendbyte(out, b->modes);
	pq_sendint32(out, b->nrows);
	for (int i = 0; i < 3; i++)
		pq_sendint64(out, b->setting[i]);
	pq_sendint32(out, b->pattern);
	pq_sendbytes(out, BufferExtra(b), b->pattern);
	for (int i = 0; i < b->nrows; i++)
	{
		if ((i & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		pq_sendint64(out, rows[i].at);
		if (b->kind == BUFFER_STREAK)
			pq_sendint64(out, rows[i].sum);
		else
			pq_sendint32(out, rows[i].bits);
		if (b->kind == BUFFER_NODE)
		{
			Str			node = BufferNodeText(b, &rows[i]);

			pq_sendbyte(out, (rows[i].node & ROW_BASE ? NODE_IS_BASE : 0) | (node.data != NULL ? NODE_HAS_TEXT : 0));
			if (node.data != NULL)
			{
				pq_sendint32(out, node.len);
				pq_sendbytes(out, node.data, node.len);
			}
		}
	}
}

pg_noreturn static void
Invalid(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid value for type revops.event_buffer"),
			 errdetail("%s", detail),
			 errhint("Such a value is only ever made by the aggregates of pg_revops.")));
}

static inline void
Need(StringInfo in, int64 bytes)
{
	if (in->len - in->cursor < bytes)
		Invalid("It ends too early.");
}

/* Could a call have given these settings? */
static bool
SettingsPossible(BufferKind kind, int nconditions, int modes, const int64 *setting)
{
	bool		has_conditions = nconditions >= 1 && nconditions <= ANALYSIS_MAX_CONDITIONS;
	int			base = modes & ~NODE_BACKWARD;

	if (setting[0] < 0 || setting[1] < 0 || setting[2] < 0)
		return false;
	switch (kind)
	{
		case BUFFER_FUNNEL:
			return has_conditions && (modes & ~FUNNEL_MODES) == 0 && setting[1] == 0 && setting[2] == 0 &&
				(!(modes & FUNNEL_ALLOW_REENTRY) || (modes & FUNNEL_STRICT_ORDER));
		case BUFFER_SEQUENCE:
			return has_conditions && modes == 0 && setting[0] == 0 && setting[1] == 0 && setting[2] == 0;
		case BUFFER_SESSION:
			return nconditions == 0 &&
				(modes == SESSION_HEARTBEATS ? setting[1] > 0 : modes == 0 && setting[1] == 0 && setting[2] == 0);
		case BUFFER_STREAK:
			return nconditions == 0 && (modes == STREAK_SUMS || (modes == 0 && setting[0] == 0)) && setting[1] == 0 && setting[2] == 0;
		case BUFFER_NODE:
			return has_conditions && (modes & ~NODE_MODES) == 0 && setting[0] == 0 && setting[1] == 0 && setting[2] == 0 &&
				(base == NODE_HEAD || base == NODE_TAIL || base == NODE_FIRST_MATCH || base == NODE_LAST_MATCH);
	}
	return false;
}

static EventBuffer *
Read(StringInfo in)
{
	int			kind,
				nconditions,
				modes,
				nrows,
				pattern_len;
	int64		setting[3];
	const char *pattern;
	uint32		mask;
	EventBuffer *b;

	Need(in, 36);
	if (pq_getmsgbyte(in) != FORM_VERSION)
		Invalid("Its version is unknown.");
	kind = pq_getmsgbyte(in);
	nconditions = pq_getmsgbyte(in);
	modes = pq_getmsgbyte(in);
	nrows = (int32) pq_getmsgint(in, 4);
	for (int i = 0; i < 3; i++)
		setting[i] = pq_getmsgint64(in);
	pattern_len = (int32) pq_getmsgint(in, 4);
	if (!SettingsPossible(kind, nconditions, modes, setting))
		Invalid("Its settings are not those of any call.");
	if (kind == BUFFER_SEQUENCE ? pattern_len < 1 || pattern_len > ANALYSIS_MAX_PATTERN : pattern_len != 0)
		Invalid("Its pattern has no possible length.");
	Need(in, pattern_len);
	pattern = pq_getmsgbytes(in, pattern_len);
	if (kind == BUFFER_SEQUENCE)
	{
		SequencePattern parsed;
		SequenceError error;

		pg_verifymbstr(pattern, pattern_len, false);
		if (!SequenceParse(pattern, pattern_len, nconditions, DurationFromText, &parsed, &error))
			Invalid("Its pattern has an error.");
	}
	if (nrows < 0)
		Invalid("Its number of rows is negative.");
	Need(in, (int64) nrows * (kind == BUFFER_STREAK ? 16 : kind == BUFFER_NODE ? 13 : 12));

	mask = kind == BUFFER_SESSION ? SESSION_PING : nconditions == 0 ? 0 : PG_UINT32_MAX >> (32 - nconditions);
	b = BufferMake(kind, nconditions, modes, setting, pattern, pattern_len);
	b = BufferReserve(b, nrows, 0);
	for (int i = 0; i < nrows; i++)
	{
		int64		at;
		uint32		bits;

		if ((i & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		Need(in, 12);
		at = pq_getmsgint64(in);
		if (kind == BUFFER_STREAK)
		{
			Need(in, 8);
			if (at < PG_INT32_MIN || at > PG_INT32_MAX)
				Invalid("A day is out of range.");
			b = BufferAddDay(b, at, pq_getmsgint64(in));
			continue;
		}
		bits = pq_getmsgint(in, 4);
		if (bits & ~mask)
			Invalid("A row has a condition that there is not.");
		if (kind == BUFFER_NODE)
		{
			const char *text = NULL;
			int			flags,
						len = 0;

			Need(in, 1);
			flags = pq_getmsgbyte(in);
			if (flags & ~(NODE_IS_BASE | NODE_HAS_TEXT))
				Invalid("A row has an unknown flag.");
			if (flags & NODE_HAS_TEXT)
			{
				Need(in, 4);
				len = (int32) pq_getmsgint(in, 4);
				if (len < 0)
					Invalid("A node's length is negative.");
				Need(in, len);
				text = pq_getmsgbytes(in, len);
				pg_verifymbstr(text, len, false);
			}
			b = BufferAppendNode(b, at, bits, (flags & NODE_IS_BASE) != 0, text, len);
		}
		else
			b = BufferAppend(b, at, bits);
	}
	if (in->cursor != in->len)
		Invalid("There is something after its end.");
	return b;
}

/* event_buffer_in(cstring): \x and hex digits */
Datum
revops_event_buffer_in(PG_FUNCTION_ARGS)
{
	const char *hex = PG_GETARG_CSTRING(0);
	size_t		len = strlen(hex);
	StringInfoData in;

	if (len < 2 || hex[0] != '\\' || hex[1] != 'x' || len % 2 != 0)
		Invalid("It is not \\x followed by pairs of hexadecimal digits.");
	initStringInfo(&in);
	enlargeStringInfo(&in, len / 2);
	in.len = hex_decode(hex + 2, len - 2, in.data);
	PG_RETURN_POINTER(Read(&in));
}

/* event_buffer_recv(internal) */
Datum
revops_event_buffer_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(Read((StringInfo) PG_GETARG_POINTER(0)));
}

/* event_buffer_out(event_buffer): \x and hex digits; states of more than some 300 MB fit the binary form only */
Datum
revops_event_buffer_out(PG_FUNCTION_ARGS)
{
	EventBuffer *b = (EventBuffer *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	StringInfoData form;
	char	   *hex;

	initStringInfo(&form);
	Write(b, &form);
	if ((Size) form.len * 2 + 3 > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the state of a group is too large for its text form"),
				 errhint("Group by more columns, or use the binary form.")));
	hex = palloc((Size) form.len * 2 + 3);
	hex[0] = '\\';
	hex[1] = 'x';
	hex[2 + hex_encode(form.data, form.len, hex + 2)] = '\0';
	PG_RETURN_CSTRING(hex);
}

/* event_buffer_send(event_buffer) */
Datum
revops_event_buffer_send(PG_FUNCTION_ARGS)
{
	EventBuffer *b = (EventBuffer *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	StringInfoData out;

	pq_begintypsend(&out);
	Write(b, &out);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}
