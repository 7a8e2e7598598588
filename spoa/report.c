/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void put_line(struct report *r, const char *file, unsigned line, const char *kind, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	if (line)
		buf_printf(&r->text, "%s:%u: %s%s\n", file, line, kind, text ? text : "out of memory");
	else
		buf_printf(&r->text, "%s: %s%s\n", file, kind, text ? text : "out of memory");
	free(text);
}

void report_error(struct report *r, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line(r, file, line, "", fmt, ap);
	va_end(ap);
	r->errors++;
}

void report_warning(struct report *r, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	r->warnings++;
	if (r->no_warnings)
		return;
	va_start(ap, fmt);
	put_line(r, file, line, "warning: ", fmt, ap);
	va_end(ap);
}

void report_left_out(struct report *r, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line(r, file, line, "left out: ", fmt, ap);
	va_end(ap);
	r->left_out++;
}

/* Levenshtein distance with transpositions of neighbours, one row at a time. Words longer than the rows are simply far away. */
static unsigned distance(const char *a, const char *b)
{
	enum { WORD_MAX = 40 };
	unsigned row[3][WORD_MAX + 1] = {{0}};
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[la % 3][lb];
}

const char *report_near_miss(const char *word, const char *const *known, size_t count)
{
	const char *best = NULL;
	unsigned best_distance = strlen(word) < 5 ? 2 : 3; /* must be less */

	for (size_t i = 0; i < count; i++) {
		unsigned d = distance(word, known[i]);

		if (d < best_distance) {
			best_distance = d;
			best = known[i];
		}
	}
	return best;
}

void report_print(const struct report *r, FILE *to)
{
	if (r->text.len)
		fwrite(r->text.p, 1, r->text.len, to);
}

void report_deinit(struct report *r)
{
	buf_deinit(&r->text);
}
