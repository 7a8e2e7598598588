/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The audit file: appended to by the master alone, one whole line per write. Room for the next lines is reserved ahead, so that a
 * full disk is known before a line is lost: requests that are under way can still be written, new ones are refused
 * (`audit: required`). Lines reach the disk (fdatasync) within a second.
 */
#ifndef SLAPENIR_AUDIT_LOG_H
#define SLAPENIR_AUDIT_LOG_H

#include <stdbool.h>

#include "buf.h"

struct audit_log;

/* Creates the file with mode 0600 if need be. NULL: the reason is logged. path outlives the log. */
struct audit_log *audit_log_open(const char *path);
void audit_log_close(struct audit_log *log); /* NULL is allowed */

/* A line that cannot be written is kept (up to 16 MiB of them) until it can. -1: it is lost. ctx is a struct audit_log. */
int audit_log_write(void *ctx, struct span line);

/* Once a second: writes what was kept, reserves, syncs. */
void audit_log_tick(struct audit_log *log);

/* Opens the path again, after somebody renamed the file. On failure the old one stays. */
void audit_log_reopen(struct audit_log *log);

/* Will the next lines find room? */
bool audit_log_writable(const struct audit_log *log);

#endif
