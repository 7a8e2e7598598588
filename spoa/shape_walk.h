/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The definition of "fits the beginning of a shape", byte by byte and slow: what prefilter_hold() computes fast must equal this.
 * Pure, no secret.
 */
#ifndef SLAPENIR_SHAPE_WALK_H
#define SLAPENIR_SHAPE_WALK_H

#include "shape.h"

/* Do bytes[from..] spell a proper beginning of the shape: as text units, as hex, or as base64 at one of three bit offsets? The last unit,
 * pair or character may be cut by the end. `line`: base64 characters of the current line in front of bytes. */
bool shape_walk_fits(const struct shape *s, struct span bytes, size_t from, unsigned line);

/* The smallest such `from` over all shapes; bytes.len if there is none. */
size_t shape_walk_hold(const struct shape *shapes, size_t count, struct span bytes, unsigned line);

#endif
