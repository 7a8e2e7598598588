/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where whole occurrences may begin, by the patterns themselves: what keeps the automaton away from nearly all bytes. It is made of secrets and
 * lives in their arena; the prefilter (shape.h) answers the same by shapes alone.
 *
 *   pattern        s k - a b c d e f g h i j k l …        as text, as hex, and as base64 at three bit offsets
 *   its windows    |--width--|                            the first `step` of each spelling, all in one set of hashes
 *                    |--width--|
 *                      |--width--|
 *   input          …  .  .  .  q  .  .  .  q  .  …        one window in `step` is looked up: no occurrence can slip between two of them
 *
 * A window that is known counts when the windows around it make up the beginning of a spelling, `step` in a row. This finds beginnings that are
 * written plainly; those with an escape or a line break among their first characters are told by these (`\`, `%`, `&`, `+` when a pattern
 * has a space, a zero byte, a newline).
 */
#ifndef SLAPENIR_REWRITE_SIEVE_H
#define SLAPENIR_REWRITE_SIEVE_H

#include "rewrite_internal.h"

enum { SIEVE_STEP_MAX = 16, SIEVE_WIDTH_MAX = 8, SIEVE_SHORTEST = 4, SIEVE_BLOCK = 64 };

struct sieve {
	uint64_t *known; /* by sieve_hash() */
	uint64_t mask;   /* of the bytes of a window */
	unsigned shift;  /* of a hash, leaves the index of a word */
	unsigned step, width;
	unsigned back;     /* regions begin at most so far in front of what shows them */
	unsigned shortest; /* bytes of the shortest pattern */
	bool space;        /* some pattern has one, which + may spell */
	uint8_t member[256]; /* bytes of patterns, and characters of base64 */
};

/* *out stays NULL without an error when the patterns are too short for it, or for other reasons do not suit. Otherwise a static reason. */
const char *sieve_new(struct sieve **out, struct secret_arena *arena, const struct pattern *patterns, size_t count);

enum { SIEVE_PATH = 2 * (SIEVE_STEP_MAX + SIEVE_WIDTH_MAX) };

/* Bytes as escapes spell them, from one on. */
struct sieve_path {
	size_t at[3 * SIEVE_PATH]; /* where each is written: head..head + count */
	uint8_t byte[3 * SIEVE_PATH];
	unsigned head, count;
	size_t next;               /* where it goes on */
	bool over, unsure, big;    /* it ends there; because there are several ways; the last byte had a zero byte in front of it */
};

/* Runs once over the bytes, forwards; owns nothing. */
struct sieve_scan {
	const struct sieve *s;
	struct span in;
	unsigned line;   /* base64 characters of the current line in front of the bytes */
	size_t at;       /* the next block */
	uint64_t spaces; /* of the block in front of it */
	struct prefilter_region found; /* not yet handed out */
	struct sieve_path path[2];     /* the second: big endian from its beginning on */
};

void sieve_scan_init(struct sieve_scan *sc, const struct sieve *s, struct span in, unsigned line);
/* As prefilter_next(). */
bool sieve_next(struct sieve_scan *sc, size_t from, struct prefilter_region *r);

/* Adds beginnings that the escape or newline at `at` concerns (rewrite_sieve_escape.c). */
void sieve_escape(struct sieve_scan *sc, size_t at, struct prefilter_region *r);

/* Is the window at `at`, which may reach behind the end, known? */
bool sieve_known_at(const struct sieve *s, struct span in, size_t at);
/* Do the windows around a known one make up a beginning? Then it is at one of these places. */
bool sieve_beginning(const struct sieve *s, struct span in, size_t at, struct prefilter_region *r);
void sieve_widen(struct prefilter_region *r, size_t begin, size_t end);

/* Eight bytes, the first lowest; letter case is folded, because hex has both. */
static inline __attribute__((always_inline)) uint64_t sieve_window(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x | UINT64_C(0x2020202020202020);
}

/* A window is two bits of one word. */
static inline __attribute__((always_inline)) uint64_t sieve_hash(const struct sieve *s, uint64_t window)
{
	return (window & s->mask) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline __attribute__((always_inline)) uint64_t sieve_knows(const struct sieve *s, uint64_t window)
{
	uint64_t h = sieve_hash(s, window), word = s->known[h >> s->shift];

	return word >> (h >> 32 & 63) & word >> (h >> 38 & 63) & 1;
}

#endif
