/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A running HAProxy that serves from STATE: made to take what was rendered anew.
 */
#ifndef SLAPENIR_GATEWAY_H
#define SLAPENIR_GATEWAY_H

#include "report.h"

/* Renders the policy file into STATE, has HAProxy check the result, and then makes the running one use it: over its runtime API if
 * only hosts and certificates differ, else by its own hitless reload. -1: reasons in the report; unless they say that
 * files could not be moved, HAProxy and STATE/haproxy are as before. */
int gateway_reload(const char *policy, const char *state, struct report *r) __attribute__((warn_unused_result));

/* Takes the last gateway_reload() back: the files of before, and HAProxy told so. */
int gateway_reload_undo(const char *state, struct report *r) __attribute__((warn_unused_result));

/* Makes leaves anew that are about to expire, and hands them to the running HAProxy. Meant to be called every few hours.
 * -1: reasons in the report; the old ones stay. */
int gateway_renew(const char *state, struct report *r) __attribute__((warn_unused_result));

#endif
