/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agents that are refused until an operator lifts it; kept in a file, so that no restart lifts it by itself.
 */
#ifndef SLAPENIR_SUSPENDED_H
#define SLAPENIR_SUSPENDED_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct suspended;

/* Reads the file, one CN per line; absent is empty. path outlives it. NULL: the reason is logged. */
struct suspended *suspended_open(const char *path);
void suspended_free(struct suspended *s);

/* 1: changed, 0: it was so before, -1: no CN, or the change could not be written (it holds all the same until the end of the
 * process; logged). */
int suspended_set(struct suspended *s, struct span cn, bool on);

size_t suspended_count(const struct suspended *s);
const char *suspended_get(const struct suspended *s, size_t i);

#endif
