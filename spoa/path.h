/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Paths of requests as rules compare them: percent-decoded once, without dot segments. Servers disagree on whether %2F, %5C and \ are
 * separators, so there are two views:
 *
 *                        /v1%2Fa       /x/..%2Fv1/a
 *   PATH_SEPARATED       /v1/a         /v1/a            they are
 *   PATH_LITERAL         /v1%2Fa       /x/..%2Fv1/a     they are bytes of a segment
 *
 * A rule is judged by the first; only where a dot segment could lead elsewhere in one of the views, both must match. Pure.
 */
#ifndef SLAPENIR_PATH_H
#define SLAPENIR_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum { PATH_MAX_BYTES = 32768 };

enum path_view { PATH_SEPARATED, PATH_LITERAL };

enum path_result {
	PATH_OK,
	PATH_CLIMBS = -1,  /* still holds a `..`, or something that a server may take for it */
	PATH_INVALID = -2, /* does not begin with a slash, is too long or holds a NUL byte */
};

/* raw: without a query. Writes at most raw.len + 1 bytes. *dotted: a `..` segment was taken away. */
enum path_result path_normalize(struct span raw, enum path_view view, char *out, size_t *len, bool *dotted)
	__attribute__((warn_unused_result));

/* Does a normalised path lie under a normalised prefix? One that ends in a slash matches what is below it, any other itself and what
 * is below it. */
bool path_under(struct span path, struct span prefix);

#endif
