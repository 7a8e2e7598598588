/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines to standard error: what the processes do and what goes wrong, once, where its cause is known. Callers pass names, paths,
 * counts and reasons, never bytes of a stream, so no value can be printed.
 */
#ifndef SLAPENIR_LOG_H
#define SLAPENIR_LOG_H

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Who speaks, in each line from now on: "master", "worker 1". Static or long-lived. */
void log_name(const char *name);

#endif
