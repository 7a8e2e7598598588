/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate with AVX2, and the instructions on single bits that all processors with AVX2 have.
 */
#include "prefilter_internal.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi,bmi2,lzcnt")
#endif

#include <immintrin.h>

#define VEC(name) _mm256_##name
#define VEC_ALL(name) _mm256_##name##_si256
#define VEC_FLOATS _mm256_castsi256_ps

enum { WIDTH = 32 };

typedef __m256i vector;

static inline vector row_load(const uint8_t *p)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

#include "prefilter_gate_nibble.inc"

static bool runs_here(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
}

const struct gate_form gate_avx2 = {"avx2", runs_here, next};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
