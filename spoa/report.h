/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages to the person who wrote a file: FILE:LINE: what is wrong, and how to mend it. Never a secret's value.
 */
#ifndef SLAPENIR_REPORT_H
#define SLAPENIR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "buf.h"

struct report { /* zero-initialised */
	struct buf text; /* lines */
	unsigned errors, warnings;
	unsigned left_out; /* secrets that cannot be used; everything else works without them */
	bool no_warnings;  /* the caller's wish: they are counted only */
};

void report_error(struct report *r, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_warning(struct report *r, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_left_out(struct report *r, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The known word that was probably meant, or NULL. */
const char *report_near_miss(const char *word, const char *const *known, size_t count);
void report_print(const struct report *r, FILE *to);
void report_deinit(struct report *r);

#endif
