/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sixteen bytes at a time, in the compiler's own vector types, for short searches. What is worth a form for each processor is elsewhere
 * (prefilter_gate*).
 */
#ifndef SLAPENIR_VECTOR_H
#define SLAPENIR_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t vector16 __attribute__((vector_size(16)));

static inline vector16 vector16_load(const uint8_t *p)
{
	vector16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Is any byte not zero? */
static inline bool vector16_any(vector16 v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof(half));
	return half[0] | half[1];
}

#endif
