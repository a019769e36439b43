/*
 * document_fuzzer.c
 *	  libFuzzer target: any bytes as what administrators and analysts write besides rules. The first byte says as what:
 *
 *	  i  the definition of an intent, as put_intent() gets it
 *	  s  the number of conditions, a line with a pattern of sequence_match(), then rows of two bytes: the time since the row before, what holds
 *	  b  the zone, slots and holidays of a calendar, then an instant and two durations
 *
 * What is refused has a place in it. Matches are as many as by trying all rows for all items; business time adds up.
 */
#include "target.h"

#include "analysis/analysis.h"
#include "calendar/calendar.h"
#include "mb/pg_wchar.h"
#include "predicate/predicate.h"
#include "utils/builtins.h"

#define MAX_BYTES	16384
#define MAX_ROWS	64

extern Datum check_intent(PG_FUNCTION_ARGS);

/* What the server lets in as text */
static bool
IsText(const char *data, int size)
{
	return memchr(data, '\0', size) == NULL && pg_encoding_verifymbstr(PG_UTF8, data, size) == size;
}

static void
TryIntent(const char *data, int size)
{
	if (IsText(data, size))
		(void) DirectFunctionCall2(check_intent, PointerGetDatum(cstring_to_text_with_len("fuzz", 4)), PointerGetDatum(cstring_to_text_with_len(data, size)));
}

/* An interval in quotes: here a whole number of microseconds */
static bool
Duration(const char *text, int len, int position, int64 *usecs)
{
	*usecs = 0;
	for (int i = 0; i < len && i < 15; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		*usecs = *usecs * 10 + (text[i] - '0');
	}
	return position > 0;
}

/* The matches of a pattern, by its definition */
static int64
CountAll(const SequencePattern *pattern, const BufferRow *rows, int n)
{
	static bool ends[ANALYSIS_MAX_ITEMS][MAX_ROWS]; /* the items up to i can be taken so that i takes row r */
	int64		count = 0;
	int			from = 0;

	for (int r = 0; r < n; r++)
	{
		for (int i = 0; i < pattern->nitems; i++)
		{
			const SequenceItem *item = &pattern->items[i];
			bool		preceded = i == 0;

			for (int p = from; p < r && !preceded; p++)
			{
				int64		after = rows[r].at - rows[p].at;

				preceded = ends[i - 1][p] && (item->timed ? after >= item->lo && after <= item->hi : item->gap || p == r - 1);
			}
			ends[i][r] = preceded && (item->condition < 0 || (rows[r].bits >> item->condition & 1));
		}
		if (ends[pattern->nitems - 1][r])
		{
			count++;
			from = r + 1;
		}
	}
	return count;
}

static void
TrySequence(const char *data, int size)
{
	SequencePattern pattern;
	SequenceError error;
	BufferRow	rows[MAX_ROWS];
	const char *line;
	int64		count;
	int			conditions,
				n = 0;

	if (size < 1)
		return;
	conditions = (unsigned char) *data % ANALYSIS_MAX_CONDITIONS + 1;
	data++;
	size--;
	line = memchr(data, '\n', size);
	if (line == NULL)
		line = data + size;
	if (!SequenceParse(data, line - data, conditions, Duration, &pattern, &error))
	{
		if (error.position < 1 || error.position > line - data + 1 || error.message == NULL)
			Fail("an error without a place");
		return;
	}
	for (const char *p = line + 1; p + 1 < data + size && n < MAX_ROWS; p += 2)
	{
		rows[n].at = (n > 0 ? rows[n - 1].at : 0) + (unsigned char) p[0] * USECS_PER_SEC / 4;
		rows[n++].bits = (unsigned char) p[1];
	}
	count = SequenceCount(&pattern, rows, n, false);
	if (count != CountAll(&pattern, rows, n))
		Fail("other matches than by trying all rows");
	if (SequenceCount(&pattern, rows, n, true) != (count > 0))
		Fail("whether there is a match and how many contradict each other");
}

static void
TryBusiness(const char *data, int size)
{
	static const char *const zones[] = {"UTC", "Test/Changing"};
	BusinessHours hours = {0};
	int32		week[14];
	DateADT		holidays[16];
	TimestampTz start,
				end,
				later;
	int64		duration,
				between;
	uint32		word[3];

	if (size < 2 + (int) sizeof(word))
		return;
	hours.tz = pg_tzset(zones[data[0] & 1]);
	hours.nslots = ((unsigned char) data[0] >> 1) % (lengthof(week) / 2 + 1);
	hours.nholidays = (unsigned char) data[1] % (lengthof(holidays) + 1);
	data += 2;
	size -= 2;
	if (size < 2 * hours.nslots + hours.nholidays + (int) sizeof(word))
		return;
	/* ascending, within the week, as what the server checks */
	for (int i = 0; i < 2 * hours.nslots; i++)
	{
		int			minute = (i > 0 ? week[i - 1] : 0) + (unsigned char) *data++ * 8;

		week[i] = Min(minute, 7 * 24 * 60);
	}
	for (int i = 0; i < hours.nholidays; i++)
		holidays[i] = (i > 0 ? holidays[i - 1] : 9000) + (unsigned char) *data++ % 8;
	hours.week = week;
	hours.holidays = holidays;
	memcpy(word, data, sizeof(word));
	start = INT64CONST(8990) * USECS_PER_DAY + (int64) word[0] * 1000;
	duration = (int64) word[1] * 100;
	later = start + (int64) word[2] * 1000;

	between = BusinessTimeBetween(&hours, start, later);
	if (between < 0 || between > later - start)
		Fail("more business time than time");
	if (BusinessTimeBetween(&hours, later, start) != -between)
		Fail("business time back is not as long as forth");
	if (hours.nslots == 0 && hours.tz != NULL)
		return;
	if (BusinessTimeAdd(&hours, start, duration, &end) != BUSINESS_OK)
		return;
	if (end < start || BusinessTimeBetween(&hours, start, end) != duration)
		Fail("adding business time does not end where it is over");
	if (duration > 0 && BusinessTimeBetween(&hours, start, end - 1) >= duration)
		Fail("adding business time ends too late");
	if (between + BusinessTimeBetween(&hours, later, end) != duration)
		Fail("business time does not add up");
}

#define SEED(name, mode, bytes)	Seed(name, mode, -1, bytes, sizeof(bytes) - 1)

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	Lasting();
	SEED("i1", 'i', "{\"title\": \"Price\", \"topic\": \"price\", \"sides\": [\"customer\", \"rep\"], \"channels\": [\"email\"], \"threshold\": 0.5, \"first\": true, \"intent\": \"fuzz\"}");
	SEED("i2", 'i', "{\"patterns\": [{\"include\": \"too expensive\", \"lang\": \"en\"}, {\"exclude\": \"not too\", \"near\": \"price\", \"within\": 5}, {\"regex\": \"(ask|need) (for )?a discount\"},"
		 " {\"exclude_regex\": \"x[^a]{1,3}y|\\\\bz+\\\\d\"}]}");
	SEED("i3", 'i', "{\"examples\": {\"en\": {\"positive\": [\"It is too much\"], \"negative\": [\"fine\"]}, \"zh\": {\"positive\": [\"\xE5\xA4\xAA\xE8\xB4\xB5\"]}}, \"description\": \"d\"}");
	SEED("s1", 's', "\x03(?1).*(?2)(?t<=60)(?3)\n\x10\x01\x20\x02\x30\x04\x10\x01\x20\x02\x30\x04");
	SEED("s2", 's', "\x01(?1)(?t>1)(?t<'9000000')(?2).(?1)\n\x10\x01\x20\x02\x30\x04\x10\x01");
	SEED("s3", 's', "\x07 .*(?1)(?2).*.(?t==0.25)(?8)\n\x01\x01\x01\x02\x01\x04\x01\x80");
	SEED("b1", 'b', "\x0A\x02\x40\x80\x10\x80\x01\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03");
	SEED("b2", 'b', "\x0D\x04\x40\x80\x10\x80\x20\x20\x40\x80\x10\x80\x20\x20\x01\x02\x03\x01\x44\x33\x22\x11\x00\xFF\x00\x02\xFF\x00\x00\x03");
	return 0;
}

static void
TryDocument(char mode, const char *bytes, Size size)
{
	switch (mode)
	{
		case 'i':
			TryIntent(bytes, (int) size);
			break;
		case 's':
			TrySequence(bytes, (int) size);
			break;
		case 'b':
			TryBusiness(bytes, (int) size);
			break;
	}
}

static void
Refused(char mode)
{
	if (mode != 'i' || strncmp(standin_error.message, "intent \"fuzz\", line ", 20) != 0)
		Fail("an error without a place");
	if (!IsText(standin_error.detail, strlen(standin_error.detail)))
		Fail("a detail that is no UTF-8");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return Take(data, size, MAX_BYTES, TryDocument, Refused);
}
