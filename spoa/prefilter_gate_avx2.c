/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate with AVX2: two shuffles by nibble stand for a lookup.
 */
#include "prefilter_internal.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#include <immintrin.h>

enum { WIDTH = 32 };

struct tables {
	__m256i gram_low[GATE_GRAM], gram_high[GATE_GRAM];
	__m256i row[2], above[2], bit; /* bit: by high nibble, the bit of a row */
};

static inline __m256i row_load(const uint8_t *p)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
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
		t.above[i] = _mm256_set1_epi8((char)g->run_above[i]);
	}
	t.bit = row_load(bit);
	return t;
}

static inline __m256i high_nibble(__m256i v)
{
	return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}

static inline __m256i buckets(const struct tables *t, unsigned k, const uint8_t *p)
{
	__m256i v = _mm256_loadu_si256((const void *)(p + k)), low = _mm256_and_si256(v, _mm256_set1_epi8(15));

	return _mm256_and_si256(_mm256_shuffle_epi8(t->gram_low[k], low), _mm256_shuffle_epi8(t->gram_high[k], high_nibble(v)));
}

/* One bit for each group of four bytes that are all members. */
static inline unsigned members(const struct tables *t, unsigned i, __m256i v, __m256i bit)
{
	const __m256i zero = _mm256_setzero_si256();
	/* of bytes from 128 on the shuffle takes no row at all */
	__m256i out = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(t->row[i], v), bit), zero);

	out = _mm256_andnot_si256(_mm256_and_si256(t->above[i], _mm256_cmpgt_epi8(zero, v)), out);
	return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(out, zero)));
}

static inline __attribute__((always_inline)) void block_read(const struct tables *t, const uint8_t *p, bool grams, bool text, uint64_t *hits,
                                                             uint64_t groups[2], unsigned i)
{
	*hits = 0;
	for (unsigned part = 0; part < GATE_BLOCK / WIDTH; part++, p += WIDTH) {
		__m256i v = _mm256_loadu_si256((const void *)p), bit = _mm256_shuffle_epi8(t->bit, high_nibble(v));
		unsigned at = 16 * i + part * WIDTH / 4;

		if (grams) {
			__m256i b = _mm256_and_si256(_mm256_and_si256(buckets(t, 0, p), buckets(t, 1, p)), _mm256_and_si256(buckets(t, 2, p), buckets(t, 3, p)));
			unsigned none = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, _mm256_setzero_si256()));

			*hits |= (uint64_t)(UINT32_MAX & ~none) << part * WIDTH;
		}
		if (text)
			groups[0] |= (uint64_t)members(t, 0, v, bit) << at;
		groups[1] |= (uint64_t)members(t, 1, v, bit) << at;
	}
}

#include "prefilter_gate_vector.inc"

static bool runs_here(void)
{
	return __builtin_cpu_supports("avx2");
}

const struct gate_form gate_avx2 = {"avx2", runs_here, next};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
