/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate with SSSE3.
 */
#include "prefilter_internal.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("ssse3"))), apply_to = function)
#else
#pragma GCC target("ssse3")
#endif

#include <immintrin.h>

#define VEC(name) _mm_##name
#define VEC_ALL(name) _mm_##name##_si128
#define VEC_FLOATS _mm_castsi128_ps

enum { WIDTH = 16 };

typedef __m128i vector;

static inline vector row_load(const uint8_t *p)
{
	return _mm_loadu_si128((const void *)p);
}

#include "prefilter_gate_nibble.inc"

static bool runs_here(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct gate_form gate_ssse3 = {"ssse3", runs_here, next};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
