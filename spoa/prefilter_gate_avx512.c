/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate with AVX-512 (VBMI): a permutation looks up all bytes below 128 at once.
 */
#include "prefilter_internal.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
#endif

#include <immintrin.h>

struct tables {
	__m512i gram[GATE_GRAM][2];
	__m512i out[2];       /* classes that do not hold the byte */
	__m512i out_above;    /* the same for bytes from 128 on */
	__mmask64 gram_above; /* all ones if a gram may begin with a byte from 128 on */
};

static inline struct tables tables_load(const struct gate *g)
{
	struct tables t;

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		t.gram[k][0] = _mm512_loadu_si512(g->gram_ascii[k]);
		t.gram[k][1] = _mm512_loadu_si512(g->gram_ascii[k] + 64);
	}
	t.out[0] = _mm512_loadu_si512(g->run_out);
	t.out[1] = _mm512_loadu_si512(g->run_out + 64);
	t.out_above = _mm512_set1_epi8((char)((g->run_above[0] ? 0 : GATE_TEXT) | (g->run_above[1] ? 0 : GATE_LINE)));
	t.gram_above = g->gram_above ? UINT64_MAX : 0;
	return t;
}

static inline __attribute__((always_inline)) void block_read(const struct tables *t, const uint8_t *p, bool grams, bool text, unsigned line,
                                                             uint64_t *hits, uint64_t groups[2], unsigned i)
{
	__m512i v = _mm512_loadu_si512(p), out;
	__mmask64 above = _mm512_movepi8_mask(v);

	(void)line; /* always base64's */
	if (grams) {
		__m512i a = _mm512_permutex2var_epi8(t->gram[0][0], v, t->gram[0][1]);
		__m512i b = _mm512_permutex2var_epi8(t->gram[1][0], _mm512_loadu_si512(p + 1), t->gram[1][1]);
		__m512i c = _mm512_permutex2var_epi8(t->gram[2][0], _mm512_loadu_si512(p + 2), t->gram[2][1]);
		__m512i d = _mm512_permutex2var_epi8(t->gram[3][0], _mm512_loadu_si512(p + 3), t->gram[3][1]);

		*hits = _mm512_test_epi8_mask(_mm512_ternarylogic_epi64(a, b, c, 128), d) & (~above | t->gram_above);
	}
	out = _mm512_permutex2var_epi8(t->out[0], v, t->out[1]);
	out = _mm512_mask_mov_epi8(out, above, t->out_above);
	if (text)
		groups[0] |= (uint64_t)_mm512_testn_epi32_mask(out, _mm512_set1_epi8(GATE_TEXT)) << 16 * i;
	groups[1] |= (uint64_t)_mm512_testn_epi32_mask(out, _mm512_set1_epi8(GATE_LINE)) << 16 * i;
}

enum { LEAD = 0, HEADS = 0 }; /* looking up whole bytes costs as little as finding runs */

static inline void runs_read(const struct tables *t, const uint8_t *p, bool text, unsigned line, uint64_t groups[2], unsigned i)
{
	uint64_t hits;

	block_read(t, p, false, text, line, &hits, groups, i);
}

static inline uint64_t grams_at(const struct gate_nibbles *t, const uint8_t *p, uint64_t places)
{
	(void)t, (void)p, (void)places;
	return 0;
}

static inline bool breaks(struct span bytes, size_t block, const uint8_t *p)
{
	(void)p;
	return gate_has_break(bytes, block);
}

static inline uint64_t class_word(const struct tables *t, const uint8_t *p, unsigned i)
{
	__m512i v = _mm512_loadu_si512(p), out = _mm512_permutex2var_epi8(t->out[0], v, t->out[1]);

	out = _mm512_mask_mov_epi8(out, _mm512_movepi8_mask(v), t->out_above);
	return _mm512_testn_epi8_mask(out, _mm512_set1_epi8(i ? GATE_LINE : GATE_TEXT));
}

#include "prefilter_gate_vector.inc"

static bool runs_here(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
}

const struct gate_form gate_avx512 = {"avx512", runs_here, next};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
