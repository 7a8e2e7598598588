/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A policy from the command line: `slapenir run --secret NAME@host,host --allow host`. Values come from the caller's
 * environment and are not written anywhere.
 */
#ifndef SLAPENIR_QUICK_POLICY_H
#define SLAPENIR_QUICK_POLICY_H

#include <stddef.h>

#include "buf.h"

/* Appends YAML. secrets: NAME@host[,host…]; hosts: host. -1: one is malformed, and why is logged. */
int quick_policy_write(struct buf *out, const char *const *secrets, size_t secret_count, const char *const *hosts, size_t host_count);

#endif
