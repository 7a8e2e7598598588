/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where in a region no occurrence can begin, although the shapes say so. Of each pattern, in each coding (text, hex, base64 at three bit
 * offsets), four *windows* of characters in a row are known by a keyed hash. An occurrence that is written plainly has one of them at
 * every fourth place, so one window in four bytes is looked up, and its neighbours if it is known:
 *
 *   pattern   p r e f i x ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ?     ?: not public
 *   windows           └─────── 16, hex 24 ────┘
 *                       └─────── 16, hex 24 ────┘                   and so on: four, each one character on
 *
 * Each holds WINDOW_BITS_MIN bits at least that are not public, so the time that this takes tells nothing to whoever does not guess so many bits
 * right at once. Patterns that are too short or too public for it have no windows.
 *
 * The hash folds a product of 128 bits of two words, each with a key on it, as wyhash does (Wang Yi, 2019). It is not linear: whoever sees by the time that a
 * window is known must not learn the keys from what else is, or is not. Keys are drawn for each direction and each set anew, because windows of
 * placeholders, which the agent knows, are in that of requests only.
 */
#ifndef SLAPENIR_REWRITE_WINDOW_H
#define SLAPENIR_REWRITE_WINDOW_H

#include "rewrite_internal.h"

enum { WINDOW_STEP = 4, WINDOW_BITS_MIN = 40, WINDOW_WORD = 8, WINDOW_BLOCK = 1024, WINDOW_CHARS_WIDTH = 16, WINDOW_HEX_WIDTH = 24 };
enum window_coding { WINDOW_CHARS, WINDOW_HEX };

/* Immutable once built; in the arena. */
struct windows {
	uint64_t key[4];
	uint64_t *known; /* a window is two bits of one word */
	unsigned shift;  /* of a hash, to its word */
	uint8_t plus;    /* '+' if it may spell a byte of a pattern, else 0, which is odd anyway */
	size_t back;     /* the first window stands at most so many characters behind the beginning */
	size_t reach;    /* all windows end at most so many characters behind it */
};

/* Notes in each pattern whether it can have windows. *out stays NULL when none can. NULL, or a static reason. */
const char *windows_new(struct windows **out, struct secret_arena *arena, struct pattern *patterns, size_t count,
                        const struct rewrite_entry *entries);

/* Narrows regions that come in order. Owns nothing. */
struct window_scan {
	const struct windows *w; /* NULL: nothing is narrowed */
	struct span in;
	struct prefilter_region left; /* of the region; behind its end nothing has been looked at */
	size_t plain_end; /* bytes in front of it, from left.begin on, are plain */
	uint8_t folded[WINDOW_BLOCK];
};

void window_scan_init(struct window_scan *s, const struct windows *w, struct span in, size_t from);
/* Only when window_scan_next() has said that the last one is used up. What follows the region is added as far as windows alone decide there, `more`
 * bytes at most. */
void window_scan_take(struct window_scan *s, const struct prefilter_region *r, size_t more);
/* The next part of the region in which an occurrence may begin. false: it is used up. */
bool window_scan_next(struct window_scan *s, struct prefilter_region *part);

static inline unsigned window_width(enum window_coding coding)
{
	return coding == WINDOW_HEX ? WINDOW_HEX_WIDTH : WINDOW_CHARS_WIDTH;
}

/* Both base64 alphabets and both cases of hex digits become one. */
static inline uint8_t window_fold(uint8_t c)
{
	return (uint8_t)((c == '-' ? '+' : c == '_' ? '/' : c) | 0x20);
}

static inline uint64_t window_word(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint64_t window_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of folded characters. */
static inline uint64_t window_hash(const struct windows *w, const uint8_t *p, enum window_coding coding)
{
	uint64_t h = window_mix(window_word(p) ^ w->key[0], window_word(p + WINDOW_WORD) ^ w->key[1]);

	return coding == WINDOW_HEX ? window_mix(h ^ w->key[2], window_word(p + 2 * WINDOW_WORD) ^ w->key[3]) : h;
}

/* The two bits of its word. */
static inline uint64_t window_bits(uint64_t hash)
{
	return UINT64_C(1) << (hash >> 32 & 63) | UINT64_C(1) << (hash >> 38 & 63);
}

static inline bool window_known(const struct windows *w, uint64_t hash)
{
	return !(window_bits(hash) & ~w->known[hash >> w->shift]);
}

#endif
