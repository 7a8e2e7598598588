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

struct tables {
	__m128i gram_low[GATE_GRAM], gram_high[GATE_GRAM];
	__m128i row[2], above[2], bit; /* bit: by high nibble, the bit of a row */
};

static inline __m128i row_load(const uint8_t *p)
{
	return _mm_loadu_si128((const void *)p);
}

static inline struct tables tables_load(const struct gate *g)
{
	static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128};
	struct tables t;

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		t.gram_low[k] = row_load(g->gram_low[k]);
		t.gram_high[k] = row_load(g->gram_high[k]);
	}
	for (unsigned i = 0; i < 2; i++) {
		t.row[i] = row_load(g->run_row[i]);
		t.above[i] = _mm_set1_epi8((char)g->run_above[i]);
	}
	t.bit = row_load(bit);
	return t;
}

static inline __m128i high_nibble(__m128i v)
{
	return _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));
}

static inline __m128i buckets(const struct tables *t, unsigned k, const uint8_t *p)
{
	__m128i v = _mm_loadu_si128((const void *)(p + k)), low = _mm_and_si128(v, _mm_set1_epi8(15));

	return _mm_and_si128(_mm_shuffle_epi8(t->gram_low[k], low), _mm_shuffle_epi8(t->gram_high[k], high_nibble(v)));
}

/* One bit for each group of four bytes that are all members. */
static inline unsigned members(const struct tables *t, unsigned i, __m128i v, __m128i bit)
{
	const __m128i zero = _mm_setzero_si128();
	/* of bytes from 128 on the shuffle takes no row at all */
	__m128i out = _mm_cmpeq_epi8(_mm_and_si128(_mm_shuffle_epi8(t->row[i], v), bit), zero);

	out = _mm_andnot_si128(_mm_and_si128(t->above[i], _mm_cmpgt_epi8(zero, v)), out);
	return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(out, zero)));
}

static inline __attribute__((always_inline)) void block_read(const struct tables *t, const uint8_t *p, bool grams, bool text, uint64_t *hits,
                                                             uint64_t groups[2], unsigned i)
{
	*hits = 0;
	for (unsigned part = 0; part < GATE_BLOCK / WIDTH; part++, p += WIDTH) {
		__m128i v = _mm_loadu_si128((const void *)p), bit = _mm_shuffle_epi8(t->bit, high_nibble(v));
		unsigned at = 16 * i + part * WIDTH / 4;

		if (grams) {
			__m128i b = _mm_and_si128(_mm_and_si128(buckets(t, 0, p), buckets(t, 1, p)), _mm_and_si128(buckets(t, 2, p), buckets(t, 3, p)));
			unsigned none = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(b, _mm_setzero_si128()));

			*hits |= (uint64_t)(UINT16_MAX & ~none) << part * WIDTH;
		}
		if (text)
			groups[0] |= (uint64_t)members(t, 0, v, bit) << at;
		groups[1] |= (uint64_t)members(t, 1, v, bit) << at;
	}
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
