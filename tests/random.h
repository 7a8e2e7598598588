/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers that are the same at each run: Marsaglia's xorshift64 (Xorshift RNGs, 2003).
 */
#ifndef SLAPENIR_TESTS_RANDOM_H
#define SLAPENIR_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 88172645463325252u;

/* 0 to n - 1 */
static inline unsigned below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 16) % n);
}

#endif
