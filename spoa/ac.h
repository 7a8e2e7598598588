/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Aho-Corasick over byte strings, in a compact form: 5 bytes per state.
 *
 *   patterns sk-ab, sk-cd, kx           state numbers are in preorder, so that the first child of s is s + 1
 *
 *   root ─s─▶ 3 ─k─▶ 4 ─-─▶ 5 ─a─▶ 6 ─b─▶ (7)
 *     │               ┊        └──c─▶ 8 ─d─▶ (9)        further children: a hash table keyed by (parent, byte)
 *     └──k─▶ 1 ─x─▶ (2)     ┊ fail: the longest proper suffix that is a prefix of a pattern: 4 ┈▶ 1
 *
 * Immutable once built; all memory is the arena's. A step costs one move forward and as many moves back (fail) as were forward
 * before: at most two per byte over any input.
 */
#ifndef SLAPENIR_AC_H
#define SLAPENIR_AC_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "secret.h"

enum { AC_ROOT = 0, AC_NO_PATTERN = -1 };

/* In link[]: the fail state above these flags. */
enum {
	AC_LEAF = 1,   /* no child */
	AC_MORE = 2,   /* children besides s + 1 */
	AC_END = 4,    /* a pattern ends here */
	AC_SUFFIX = 8, /* a pattern ends in a proper suffix of this state */
	AC_FLAG_BITS = 4,
};

struct ac_end {
	uint32_t state, pattern, length;
};

struct ac {
	uint8_t *byte;  /* byte[s]: on the edge from its parent into s */
	uint32_t *link; /* fail << AC_FLAG_BITS | flags */
	uint32_t states;
	uint32_t root_next[256];
	uint64_t *child, *suffix; /* open addressing, ac_pair: (parent, byte) to child; (state, 0) to the next one in its fail chain with AC_END */
	uint32_t child_mask, suffix_mask;
	struct ac_end *end; /* ascending by state */
	uint32_t ends;
	size_t longest;
};

/* One word of a table: state (28 bits), byte (8), value (28); 0: empty. Tables are at most half full, so that every search ends. */
enum { AC_STATE_BITS = 32 - AC_FLAG_BITS };

static inline uint64_t ac_pair_key(uint32_t s, uint8_t c)
{
	return ((uint64_t)s << 8 | c) << AC_STATE_BITS;
}

static inline uint32_t ac_pair_place(uint64_t key)
{
	return (uint32_t)((key >> AC_STATE_BITS) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* AC_ROOT: none. */
static inline uint32_t ac_pair_find(const uint64_t *table, uint32_t mask, uint32_t s, uint8_t c)
{
	uint64_t key = ac_pair_key(s, c), e;
	uint32_t i = ac_pair_place(key);

	while ((e = table[i++ & mask]) != 0)
		if ((e ^ key) >> AC_STATE_BITS == 0)
			return (uint32_t)(e ^ key);
	return AC_ROOT;
}

/* Patterns must not be empty; of equal ones the first number is reported. NULL and a static reason in *why: too many bytes, or out
 * of memory. */
struct ac *ac_new(struct secret_arena *arena, const struct span *patterns, size_t count, const char **why);

uint32_t ac_child(const struct ac *a, uint32_t s, uint8_t c); /* AC_ROOT: none. s is not the root, and has AC_MORE */

static inline uint32_t ac_step(const struct ac *a, uint32_t s, uint8_t c)
{
	while (s != AC_ROOT) {
		uint32_t l = a->link[s], t;

		if (!(l & AC_LEAF) && a->byte[s + 1] == c)
			return s + 1;
		if (l & AC_MORE) {
			t = ac_child(a, s, c);
			if (t != AC_ROOT)
				return t;
		}
		s = l >> AC_FLAG_BITS;
	}
	return a->root_next[c];
}

/* Does any pattern end in state s? */
static inline int ac_hit(const struct ac *a, uint32_t s)
{
	return a->link[s] & (AC_END | AC_SUFFIX);
}

/* Length of the string that s stands for. */
size_t ac_depth(const struct ac *a, uint32_t s);

/* Patterns that end in s, longest first: `at` begins as s and becomes AC_ROOT after the last. */
int ac_next_pattern(const struct ac *a, uint32_t *at);

#endif
