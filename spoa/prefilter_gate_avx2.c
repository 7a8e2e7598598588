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

enum { WIDTH = 32, PARTS = GATE_BLOCK / WIDTH, LEAD = GATE_BLOCK };

typedef __m256i vector;

struct grams {
	vector low[2][GATE_GRAM], high[2][GATE_GRAM];
};

struct tables {
	struct grams grams;
	vector run_low, run_high, other_bits[2];
};

static inline vector row_load(const uint8_t *p)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

/* The tables hold what is out, not what is in: of a byte from 128 on the shuffle takes no low nibble, and zero is out of nothing. */
static inline __attribute__((always_inline)) vector row_load_out(const uint8_t *p)
{
	return _mm256_xor_si256(row_load(p), _mm256_set1_epi8(-1));
}

static inline __attribute__((always_inline)) void grams_load(struct grams *t, const struct gate_nibbles *n)
{
#pragma GCC unroll 4
	for (unsigned k = 0; k < GATE_GRAM; k++)
#pragma GCC unroll 2
		for (unsigned i = 0; i < 2; i++) {
			t->low[i][k] = row_load_out(n->low[i][k]);
			t->high[i][k] = row_load_out(n->high[i][k]);
		}
}

static inline __attribute__((always_inline)) struct tables tables_load(const struct gate *g)
{
	struct tables t;

	grams_load(&t.grams, &g->nibbles);
	t.run_low = row_load_out(g->run_low);
	t.run_high = row_load_out(g->run_high);
#pragma GCC unroll 2
	for (unsigned i = 0; i < 2; i++)
		t.other_bits[i] = _mm256_set1_epi8((char)~g->run_bits[i]);
	return t;
}

struct nibbles {
	vector low, high;
};

static inline struct nibbles nibbles_load(const uint8_t *p)
{
	const vector fifteen = _mm256_set1_epi8(15);
	vector v = _mm256_loadu_si256((const void *)p);

	return (struct nibbles){v, _mm256_and_si256(_mm256_srli_epi16(v, 4), fifteen)};
}

/* Buckets, or bits of classes, that the byte is out of. */
static inline vector lookup(vector low, vector high, struct nibbles n)
{
	return _mm256_or_si256(_mm256_shuffle_epi8(low, n.low), _mm256_shuffle_epi8(high, n.high));
}

/* The hits in a block, whose buckets are in so many sets. A table is loaded once for all parts. */
static inline __attribute__((always_inline)) uint64_t grams_read(const struct grams *t, unsigned sets, const uint8_t *p)
{
	vector out[2][PARTS];
	uint64_t none = 0;

#pragma GCC unroll 4
	for (unsigned k = 0; k < GATE_GRAM; k++) {
		struct nibbles n[PARTS];

#pragma GCC unroll 4
		for (unsigned part = 0; part < PARTS; part++)
			n[part] = nibbles_load(p + part * WIDTH + k);
#pragma GCC unroll 2
		for (unsigned i = 0; i < sets; i++)
#pragma GCC unroll 4
			for (unsigned part = 0; part < PARTS; part++) {
				vector here = lookup(t->low[i][k], t->high[i][k], n[part]);

				out[i][part] = k ? _mm256_or_si256(out[i][part], here) : here;
			}
	}
#pragma GCC unroll 4
	for (unsigned part = 0; part < PARTS; part++) {
		vector all = sets > 1 ? _mm256_and_si256(out[0][part], out[1][part]) : out[0][part];

		none |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(all, _mm256_set1_epi8(-1))) << part * WIDTH;
	}
	return ~none;
}

static uint64_t coded_read(const struct gate *g, const uint8_t *p)
{
	struct grams t;

	grams_load(&t, &g->coded);
	return g->coded.wide ? grams_read(&t, 2, p) : grams_read(&t, 1, p);
}

/* All ones where a byte is no member. */
static inline __attribute__((always_inline)) vector class_out(const struct tables *t, unsigned i, vector x)
{
	return _mm256_cmpeq_epi8(_mm256_or_si256(x, t->other_bits[i]), _mm256_set1_epi8(-1));
}

/* One bit for each group of four bytes that are all members. */
static inline __attribute__((always_inline)) uint64_t members(const struct tables *t, unsigned i, vector x)
{
	return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(class_out(t, i, x), _mm256_setzero_si256())));
}

static inline __attribute__((always_inline)) uint64_t class_word(const struct tables *t, const uint8_t *p, unsigned i)
{
	uint64_t out = 0;

#pragma GCC unroll 4
	for (unsigned part = 0; part < PARTS; part++) {
		vector x = lookup(t->run_low, t->run_high, nibbles_load(p + part * WIDTH));

		out |= (uint64_t)(uint32_t)_mm256_movemask_epi8(class_out(t, i, x)) << part * WIDTH;
	}
	return ~out;
}

static inline __attribute__((always_inline)) void runs_read(const struct tables *t, const uint8_t *p, bool text, uint64_t groups[2], unsigned i)
{
#pragma GCC unroll 4
	for (unsigned part = 0; part < PARTS; part++) {
		vector x = lookup(t->run_low, t->run_high, nibbles_load(p + part * WIDTH));
		unsigned at = 16 * i + part * WIDTH / 4;

		if (text)
			groups[0] |= members(t, 0, x) << at;
		groups[1] |= members(t, 1, x) << at;
	}
}

static inline __attribute__((always_inline)) void block_read(const struct tables *t, const uint8_t *p, unsigned grams, bool text, uint64_t *hits,
                                                             uint64_t groups[2], unsigned i)
{
	*hits = grams ? grams_read(&t->grams, grams, p) : 0;
	runs_read(t, p + LEAD, text, groups, i);
}

static inline bool breaks(struct span bytes, size_t block, const uint8_t *p)
{
	const vector lf = _mm256_set1_epi8('\n'), cr = _mm256_set1_epi8('\r'), backslash = _mm256_set1_epi8('\\');
	vector any = _mm256_setzero_si256();

	(void)bytes, (void)block;
	for (unsigned part = 0; part <= PARTS; part++) {
		vector v = _mm256_loadu_si256((const void *)(p + part * WIDTH));

		any = _mm256_or_si256(any, _mm256_or_si256(_mm256_cmpeq_epi8(v, lf), _mm256_or_si256(_mm256_cmpeq_epi8(v, cr), _mm256_cmpeq_epi8(v, backslash))));
	}
	return _mm256_movemask_epi8(any);
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
