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

static uint64_t members(const struct gate *g, const uint8_t *p, unsigned gate_class)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < GATE_BLOCK; i++)
		m |= (uint64_t)((g->run[p[i]] & gate_class) != 0) << i;
	return m;
}

/* A run of n or more bytes holds, whatever its place, a whole group of eight that begins at a multiple of eight if n >= 15; and of a
 * shorter one all that can be said is that a member is there. */
static bool may_run(uint64_t members, unsigned min)
{
	if (min == 0)
		return false;
	if (min < 15)
		return members != 0;
	for (; members; members >>= 8)
		if ((members & 255) == 255)
			return true;
	return false;
}

static bool portable_next(const struct gate *g, struct span bytes, size_t from, struct gate_find *find)
{
	for (; from + GATE_BLOCK + GATE_SLACK <= bytes.len; from += GATE_BLOCK) {
		find->grams = gate_grams(g, bytes, from);
		find->runs = may_run(members(g, bytes.p + from, GATE_TEXT), g->text_min) ||
		             may_run(members(g, bytes.p + from, GATE_LINE), g->line_min);
		find->block = from;
		if (find->grams || find->runs)
			return true;
	}
	find->block = from;
	return false;
}

const struct gate_form gate_portable = {"portable", always, portable_next};

const struct gate_form *gate_best(void)
{
#if defined(__x86_64__) && 0
	const struct gate_form *forms[] = {&gate_avx512, &gate_avx2, &gate_ssse3};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i]->runs_here())
			return forms[i];
#endif
	return &gate_portable;
}

void gate_finish(struct gate *g)
{
	for (unsigned c = 0; c < 256; c++) {
		for (unsigned k = 0; k < GATE_GRAM; k++) {
			g->gram_low[k][c & 15] |= g->gram[k][c];
			g->gram_high[k][c >> 4] |= g->gram[k][c];
		}
		if (c < 128) {
			if (g->run[c] & GATE_TEXT)
				g->text_row[c & 15] |= (uint8_t)(1 << (c >> 4));
			if (g->run[c] & GATE_LINE)
				g->line_row[c & 15] |= (uint8_t)(1 << (c >> 4));
			continue;
		}
		if (g->run[c] & GATE_TEXT)
			g->text_above = 255;
		if (g->run[c] & GATE_LINE)
			g->line_above = 255;
	}
}
