/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate in portable C, and the choice among its forms.
 */
#include "prefilter_internal.h"

static bool always(void)
{
	return true;
}

uint64_t gate_grams(const struct gate *g, struct span bytes, size_t block)
{
	size_t n = bytes.len - block, i, k;
	uint64_t hits = 0;

	if (n > GATE_BLOCK)
		n = GATE_BLOCK;
	for (i = 0; i < n; i++) {
		uint8_t buckets = 255;

		/* what lies behind the end could be anything */
		for (k = 0; k < GATE_GRAM && buckets && i + k < bytes.len - block; k++)
			buckets &= g->gram[k][bytes.p[block + i + k]];
		hits |= (uint64_t)(buckets != 0) << i;
	}
	return hits;
}

/* Bytes of at most 64 that are in a run of `min` members, which may begin `min` bytes in front of the block. */
static bool run_touches(const struct gate *g, unsigned gate_class, unsigned min, struct span bytes, size_t block)
{
	size_t from = block > min ? block - min : 0, until = block + GATE_BLOCK, b = from, i;

	while (b < until && bytes.len - b >= min) {
		for (i = b + min; i > b && g->run[bytes.p[i - 1]] & gate_class; i--)
			;
		if (i == b)
			return min > 0;
		b = i;
	}
	return false;
}

static bool portable_next(const struct gate *g, struct span bytes, size_t from, struct gate_find *find)
{
	for (; from + GATE_BLOCK + GATE_SLACK <= bytes.len; from += GATE_BLOCK) {
		find->grams = g->grams ? gate_grams(g, bytes, from) : 0;
		find->block = from;
		if (find->grams || (g->text_min && run_touches(g, GATE_TEXT, g->text_min, bytes, from)) ||
		    (g->line_min && run_touches(g, GATE_LINE, g->line_min, bytes, from)))
			return true;
	}
	find->block = from;
	return false;
}

const struct gate_form gate_portable = {"portable", always, portable_next};

const struct gate_form *gate_best(void)
{
#if defined(__x86_64__)
	const struct gate_form *forms[] = {&gate_avx512, &gate_avx2, &gate_ssse3};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i]->runs_here())
			return forms[i];
#endif
	return &gate_portable;
}

/* A run of n bytes holds at least (n - 3) / 4 groups of four in a row, wherever it begins. 1, 2, 4, 8 and a rest leave of groups in
 * a row those behind which as many stand; 16 are enough for any. */
static void run_finish(struct gate *g, unsigned i, unsigned min)
{
	unsigned groups = min < 7 ? 0 : (min - 3) / 4, have = 1, step = 0;

	g->always[i] = min && groups == 0;
	if (groups > 16)
		groups = 16;
	for (; step < 4 && have < groups; step++) {
		unsigned by = 2 * have <= groups ? have : groups - have;

		g->shift[i][step] = (uint8_t)by;
		have += by;
	}
}

void gate_finish(struct gate *g)
{
	const unsigned min[2] = {g->text_min, g->line_min};
	unsigned c, k, i;

	for (c = 0; c < 256; c++) {
		for (k = 0; k < GATE_GRAM; k++) {
			g->gram_low[k][c & 15] |= g->gram[k][c];
			g->gram_high[k][c >> 4] |= g->gram[k][c];
			g->gram_ascii[k][c & 127] |= g->gram[k][c];
		}
		g->grams |= g->gram[0][c] != 0;
		g->gram_above |= c >= 128 && g->gram[0][c];
		if (c < 128)
			g->run_out[c] = (uint8_t)~g->run[c];
		for (i = 0; i < 2; i++) {
			if (!(g->run[c] & (GATE_TEXT << i)))
				continue;
			if (c < 128)
				g->run_row[i][c & 15] |= (uint8_t)(1 << (c >> 4));
			else
				g->run_above[i] = 255;
		}
	}
	for (i = 0; i < 2; i++)
		run_finish(g, i, min[i]);
}
