/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The search that all vector forms share. A form includes this inside its target, after struct tables and block_read(), which gives
 * of a block the hits of grams and, for each class of run, which of its 16 groups of four bytes are all members.
 */

/* Groups that end a row of as many as are enough. before[]: the words of the last call, step by step. */
static inline uint64_t rows(const uint8_t shift[4], uint64_t groups, uint64_t before[4])
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t shifted = shift[i] ? groups << shift[i] | before[i] >> (64 - shift[i]) : groups;

		before[i] = groups;
		groups &= shifted;
	}
	return groups;
}

/* Four blocks at a time, so that their groups fill a word. */
static inline __attribute__((always_inline)) bool search(const struct gate *g, struct span bytes, size_t from, struct gate_find *find, bool grams,
                                                         bool text)
{
	const struct tables t = tables_load(g);
	uint64_t before[2][4] = {{0}}, hits[4], groups[2] = {0, 0}, ends[2];
	unsigned n, i;

	if (from >= GATE_BLOCK) {
		block_read(&t, bytes.p + from - GATE_BLOCK, false, text, &hits[0], groups, 3);
		rows(g->shift[0], text ? groups[0] : 0, before[0]);
		rows(g->shift[1], groups[1], before[1]);
	}
	while (from + GATE_BLOCK + GATE_SLACK <= bytes.len) {
		n = 4;
		if (from + 4 * GATE_BLOCK + GATE_SLACK > bytes.len)
			n = (unsigned)((bytes.len - GATE_SLACK - from) / GATE_BLOCK);
		groups[0] = groups[1] = 0;
		if (n == 4) {
			for (i = 0; i < 4; i++)
				block_read(&t, bytes.p + from + i * GATE_BLOCK, grams, text, &hits[i], groups, i);
		} else {
			for (i = 0; i < n; i++)
				block_read(&t, bytes.p + from + i * GATE_BLOCK, grams, text, &hits[i], groups, i);
			for (; i < 4; i++)
				hits[i] = 0;
		}
		ends[0] = text ? rows(g->shift[0], groups[0], before[0]) : 0;
		ends[1] = rows(g->shift[1], groups[1], before[1]);
		if (g->always[0] || g->always[1])
			ends[1] = UINT64_MAX;
		if ((grams && (hits[0] | hits[1] | hits[2] | hits[3])) | ends[0] | ends[1]) {
			for (i = 0; i < n; i++) {
				find->block = from + i * GATE_BLOCK;
				find->grams = grams ? hits[i] : 0;
				if (find->grams || ((ends[0] | ends[1]) >> 16 * i & 65535))
					return true;
			}
		}
		from += n * GATE_BLOCK;
	}
	find->block = from;
	return false;
}

static bool next(const struct gate *g, struct span bytes, size_t from, struct gate_find *find)
{
	if (g->grams)
		return g->text_min ? search(g, bytes, from, find, true, true) : search(g, bytes, from, find, true, false);
	return search(g, bytes, from, find, false, true);
}
