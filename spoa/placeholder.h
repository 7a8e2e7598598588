/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Made placeholders: a function of key, name and shape, so the same on every host and across a rotation that keeps the
 * shape. Public bytes are repeated; the rest comes from the alphabet's part in 0-9, A-Z, a-c, whose code points have two
 * decimal digits, so that every spelling of a secret has a spelling of its placeholder of the same length.
 */
#ifndef SLAPENIR_PLACEHOLDER_H
#define SLAPENIR_PLACEHOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "key.h"
#include "shape.h"

/* Writes shape->length bytes. `attempt` gives other bytes for each number. -1: HMAC failed. */
int placeholder_make(uint8_t *out, const uint8_t key[KEY_BYTES], struct span name, const struct shape *shape, uint32_t attempt)
	__attribute__((warn_unused_result));

/* A name of the policy, in file order; `made` is written (shape.length bytes, caller's memory). */
struct placeholder_entry {
	struct span name, value, given; /* given: empty if none */
	struct shape shape;
	uint8_t *made;
};

/* Makes them all, so that no made placeholder equals, contains or lies in a value, a given or another made one (of a multi-line
 * secret: no line of it). Attempts are counted up in file order, so the result depends on nothing else.
 * 0; -1: out of memory or HMAC failed (*culprit = count); 1: entry *culprit has too few free bytes to find one. */
int placeholder_make_all(const uint8_t key[KEY_BYTES], struct placeholder_entry *entries, size_t count, size_t *culprit)
	__attribute__((warn_unused_result));

/* Bits that a guesser who knows the whole shape still lacks, estimated from above by the shape and lowered for repeats and
 * sequences in the value. Under PLACEHOLDER_WEAK_BITS a secret counts as weak. */
enum { PLACEHOLDER_WEAK_BITS = 64 };
unsigned placeholder_guess_bits(const struct shape *shape, struct span value);

#endif
