/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate with SSSE3: two shuffles by nibble stand for a lookup.
 */
#include "prefilter_internal.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("ssse3"))), apply_to = function)
#else
#pragma GCC target("ssse3")
#endif

#include <immintrin.h>

enum { WIDTH = 16 };

typedef __m128i vector;

struct tables {
	vector gram_low[2][GATE_GRAM], gram_high[2][GATE_GRAM];
	vector run_low, run_high, run_bits[2];
};

static inline vector row_load(const uint8_t *p)
{
	return _mm_loadu_si128((const void *)p);
}

static inline struct tables tables_load(const struct gate *g)
{
	struct tables t;

	for (unsigned k = 0; k < GATE_GRAM; k++)
		for (unsigned i = 0; i < 2; i++) {
			t.gram_low[i][k] = row_load(g->gram_low[i][k]);
			t.gram_high[i][k] = row_load(g->gram_high[i][k]);
		}
	t.run_low = row_load(g->run_low);
	t.run_high = row_load(g->run_high);
	for (unsigned i = 0; i < 2; i++)
		t.run_bits[i] = _mm_set1_epi8((char)g->run_bits[i]);
	return t;
}

struct nibbles {
	vector low, high;
};

static inline struct nibbles nibbles_load(const uint8_t *p)
{
	const vector fifteen = _mm_set1_epi8(15);
	vector v = _mm_loadu_si128((const void *)p);

	return (struct nibbles){_mm_and_si128(v, fifteen), _mm_and_si128(_mm_srli_epi16(v, 4), fifteen)};
}

static inline vector lookup(vector low, vector high, struct nibbles n)
{
	return _mm_and_si128(_mm_shuffle_epi8(low, n.low), _mm_shuffle_epi8(high, n.high));
}

/* Of each byte the buckets that it hits. */
static inline __attribute__((always_inline)) vector buckets(const struct tables *t, unsigned sets, const uint8_t *p)
{
	vector hit[2];

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		struct nibbles n = nibbles_load(p + k);

		for (unsigned i = 0; i < sets; i++) {
			vector here = lookup(t->gram_low[i][k], t->gram_high[i][k], n);

			hit[i] = k ? _mm_and_si128(hit[i], here) : here;
		}
	}
	return sets > 1 ? _mm_or_si128(hit[0], hit[1]) : hit[0];
}

/* All ones where a byte is no member. */
static inline vector class_out(const struct tables *t, unsigned i, vector x)
{
	return _mm_cmpeq_epi8(_mm_and_si128(x, t->run_bits[i]), _mm_setzero_si128());
}

/* One bit for each group of four bytes that are all members. */
static inline uint64_t members(const struct tables *t, unsigned i, vector x)
{
	return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(class_out(t, i, x), _mm_setzero_si128())));
}

static inline uint64_t class_word(const struct tables *t, const uint8_t *p, unsigned i)
{
	uint64_t out = 0;

	for (unsigned part = 0; part < GATE_BLOCK / WIDTH; part++) {
		vector x = lookup(t->run_low, t->run_high, nibbles_load(p + part * WIDTH));

		out |= (uint64_t)(uint32_t)_mm_movemask_epi8(class_out(t, i, x)) << part * WIDTH;
	}
	return ~out;
}

static inline __attribute__((always_inline)) void block_read(const struct tables *t, const uint8_t *p, unsigned grams, bool text, uint64_t *hits,
                                                             uint64_t groups[2], unsigned i)
{
	uint64_t none = 0;

	for (unsigned part = 0; part < GATE_BLOCK / WIDTH; part++, p += WIDTH) {
		vector x = lookup(t->run_low, t->run_high, nibbles_load(p));
		unsigned at = 16 * i + part * WIDTH / 4;

		if (grams)
			none |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(buckets(t, grams, p), _mm_setzero_si128())) << part * WIDTH;
		if (text)
			groups[0] |= members(t, 0, x) << at;
		groups[1] |= members(t, 1, x) << at;
	}
	*hits = ~none;
}

#include "prefilter_gate_vector.inc"

static bool runs_here(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct gate_form gate_ssse3 = {"ssse3", runs_here, next};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
