/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *who = "slapenir";

void log_name(const char *name)
{
	who = name;
	/* gmtime_r() reads the time zone's file once, which a worker may not */
	tzset();
}

/* One write() per line, so that the lines of several processes do not mix. */
static void line(const char *level, const char *fmt, va_list ap)
{
	char text[1024];
	struct timespec now;
	struct tm tm;
	size_t len;
	int saved = errno, n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(text + len, sizeof(text) - len, ".%03ldZ %s %s: ", now.tv_nsec / 1000000, who, level);
	len += n > 0 ? (size_t)n : 0;
	errno = saved; /* for %m */
	n = vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
	len += n > 0 ? (size_t)n : 0;
	if (len > sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, len) < 0)
		errno = saved; /* nowhere left to say it */
	errno = saved;
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("info", fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("warning", fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("error", fmt, ap);
	va_end(ap);
}
