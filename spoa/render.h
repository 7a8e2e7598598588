/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Policy -> HAProxy's part of it, in STATE/haproxy:
 *
 *   hosts.cfg           resolvers; one backend per distinct trust anchor, so that a private CA signs for its own hosts only
 *   hosts.map           name:port -> backend|address|port|words (address and port of `connect:`, words: http ranges)
 *   limits.map          CN -> streams|requests per second
 *   anchors/            copies of the policy's `ca:` files
 *   crt-list, leaves/   interception certificates
 *   refusals.map        code -> body of the refusal
 *   own-addresses.lst   this machine's addresses, which no name may lead to
 *   paths.env           what the start script puts into HAProxy's environment
 *
 * All is first written to STATE/haproxy/next and then moved file by file: what fails while writing leaves the old.
 */
#ifndef SLAPENIR_RENDER_H
#define SLAPENIR_RENDER_H

#include "policy.h"

/* Writes STATE/haproxy/next, complete but for good leaves, which are linked from where they are. group_reads: for a HAProxy that is
 * not started by root, its group may read all of it, keys of leaves included. -1: reasons in the report. */
int render_stage(const struct policy *p, const char *state, bool group_reads, struct report *r) __attribute__((warn_unused_result));

/* Moves what was staged into place. */
int render_commit(const char *state, struct report *r) __attribute__((warn_unused_result));

/* Puts back what the last commit replaced. */
int render_undo(const char *state, struct report *r) __attribute__((warn_unused_result));

#endif
