/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The master's audit desk: events of the workers and log lines of HAProxy's go through the ledger into the file.
 */
#ifndef SLAPENIR_AUDITOR_H
#define SLAPENIR_AUDITOR_H

#include <ev.h>

#include "audit.h"
#include "audit_log.h"

struct auditor;

/* log_fd: a bound datagram socket for HAProxy's log lines, taken whatever happens. writable() is called when the file becomes
 * full and when it is not any more. path outlives the auditor. NULL: the reason is logged. */
struct auditor *auditor_new(struct ev_loop *loop, const char *path, int log_fd, void (*writable)(void *ctx, bool is), void *ctx);
void auditor_free(struct auditor *a); /* writes what is open */

void auditor_take(struct auditor *a, const struct audit_event *e);
bool auditor_settle(struct auditor *a); /* after each pass over all workers' pipes; true: make another soon */
void auditor_tick(struct auditor *a);   /* about once a second */
void auditor_reopen(struct auditor *a); /* somebody renamed the file */

const struct audit_log *auditor_log(const struct auditor *a);
struct audit_figures auditor_figures(const struct auditor *a);

#endif
