/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Secrets in names: HAProxy lowers the names of fields and of hosts, so a secret in one is found whatever the case of its
 * letters. The engine, which knows secrets in their own case, cannot.
 */
#ifndef SLAPENIR_HEAD_NAME_H
#define SLAPENIR_HEAD_NAME_H

#include "rewrite.h"

/* The shortest run of letters and digits that names must hold to be looked at, by public shapes alone: each secret, or line of
 * one, has such a run. SIZE_MAX: there is no secret. Costs a pass over all entries, so ask once. */
size_t head_name_shortest_run(const struct rewriter *r);

struct head_name_hit {
	size_t at, len;
	unsigned entry;
	size_t offset; /* of the bytes in the entry's value */
};

/* The leftmost, then longest occurrence at or behind `from`. */
bool head_name_find(const struct rewriter *r, size_t shortest_run, struct span name, size_t from, struct head_name_hit *hit);

/* Appends the name with secrets as their made placeholders, lowered. Counts the hits as REWRITE_REPLACE. 1: it changed, 0: it did
 * not, -1: out of memory. */
int head_name_sanitize(const struct rewriter *r, size_t shortest_run, struct span name, struct buf *out, struct rewrite_hits *hits);

#endif
