/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages to the person who wrote a file: FILE:LINE: what is wrong, and how to mend it. Never a secret's value.
 */
#ifndef SLAPENIR_REPORT_H
#define SLAPENIR_REPORT_H

#include <stdio.h>

#include "buf.h"

struct report {
	struct buf text; /* lines */
	unsigned errors, warnings;
};

void report_error(struct report *r, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_warning(struct report *r, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_print(const struct report *r, FILE *to);
void report_deinit(struct report *r);

#endif
