/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A shape set from the inside, for those who compile or store it.
 */
#ifndef SLAPENIR_SHAPE_SET_H
#define SLAPENIR_SHAPE_SET_H

#include "shape.h"

/* A literal is a member whose template has no position of the alphabet, and whose `literal` is set. */
struct shape_member {
	struct shape shape;
	bool literal;
};

struct shape_set {
	struct shape_member *member; /* templates are the set's own */
	size_t count, room;
	uint32_t *index; /* open addressing: number of a member plus 1, 0: empty */
	size_t index_size;
};

#endif
