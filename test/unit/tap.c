/*
 * tap.c
 *		What a test program says, in the Test Anything Protocol.
 */
#include <stdarg.h>
#include <stdio.h>

#include "tap.h"

static int	tested = 0;
static int	failed = 0;

bool
tap_ok(bool passed, const char *name, ...)
{
	va_list		arguments;

	tested++;
	if (!passed)
		failed++;
	printf("%s %d - ", passed ? "ok" : "not ok", tested);
	va_start(arguments, name);
	vprintf(name, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);				/* a crash must not swallow what went before */
	return passed;
}

void
tap_skip(const char *reason, ...)
{
	va_list		arguments;

	tested++;
	printf("ok %d # SKIP ", tested);
	va_start(arguments, reason);
	vprintf(reason, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

void
tap_note(const char *remark, ...)
{
	va_list		arguments;

	fputs("# ", stderr);
	va_start(arguments, remark);
	vfprintf(stderr, remark, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

int
tap_finish(void)
{
	printf("1..%d\n", tested);
	return failed > 0 || tested == 0;
}
