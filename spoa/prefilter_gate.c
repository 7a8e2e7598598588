/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gate in portable C, and the choice among its forms.
 */
#include <limits.h>

#include "prefilter_internal.h"
#include "vector.h"

static bool always(void)
{
	return true;
}

static uint64_t events(const struct gate *g, struct span bytes, size_t block, size_t n)
{
	const uint8_t *p = bytes.p + block;
	uint64_t found = 0;
	size_t i = 0;

	for (; i < n && i + GATE_SLACK < bytes.len - block; i++)
		if (g->exact[0][p[i]] & g->exact[1][p[i + 1]] & g->exact[2][p[i + 2]] & g->exact[3][p[i + 3]])
			found |= (uint64_t)gate_event(g, bytes, block + i) << i;
	for (; i < n; i++)
		found |= (uint64_t)gate_event(g, bytes, block + i) << i;
	return found;
}

/* How many members stand in a row in front of `at`, as far as `most`. */
static size_t row_before(const struct gate *g, uint8_t gate_class, struct span bytes, size_t at, size_t most)
{
	size_t n = 0;

	while (n < at && n < most && g->run[bytes.p[at - n - 1]] & gate_class)
		n++;
	return n;
}

/* Does a run of `min` members or more end in the block? *row: members in a row in front of it, then behind it. */
static bool run_ends(const struct gate *g, uint8_t gate_class, size_t min, struct span bytes, size_t block, size_t n, size_t *row)
{
	size_t now = *row, longest = 0;

	for (size_t i = 0; i < n; i++) {
		size_t member = (g->run[bytes.p[block + i]] & gate_class) != 0;

		now = (now + 1) & -member; /* branches would be guessed wrong at each word's end */
		longest = now > longest ? now : longest;
	}
	*row = now;
	return min && longest >= min;
}

static bool any_break(const uint8_t *p)
{
	const vector16 v = vector16_load(p);

	return vector16_any((vector16)((v == '\n') | (v == '\r') | (v == '\\')));
}

static bool is_break(uint8_t c)
{
	return c == '\n' || c == '\r' || c == '\\';
}

size_t gate_next_break(struct span bytes, size_t from, size_t until)
{
	while (from < until) {
		size_t end = until - from < sizeof(vector16) ? until : from + sizeof(vector16);

		if (end - from == sizeof(vector16) && !any_break(bytes.p + from))
			from = end;
		for (; from < end; from++)
			if (is_break(bytes.p[from]))
				return from;
	}
	return from;
}

bool gate_has_break(struct span bytes, size_t block)
{
	size_t end = bytes.len - block < GATE_BLOCK + GATE_GRAM ? bytes.len : block + GATE_BLOCK + GATE_GRAM;

	return gate_next_break(bytes, block, end) < end;
}

static unsigned portable_next(const struct gate *g, struct span bytes, size_t from, struct gate_find find[GATE_FINDS], size_t *end)
{
	size_t text = row_before(g, GATE_TEXT, bytes, from, g->text_min), line = row_before(g, GATE_LINE, bytes, from, g->line_min), n;

	for (; from < bytes.len; from += GATE_BLOCK) {
		n = bytes.len - from < GATE_BLOCK ? bytes.len - from : GATE_BLOCK;
		find->block = from;
		find->events = g->grams ? events(g, bytes, from, n) : 0;
		find->text = g->text_min && run_ends(g, GATE_TEXT, g->text_min, bytes, from, n, &text);
		find->line = run_ends(g, GATE_LINE, g->line_min, bytes, from, n, &line) && (!g->breaks || gate_has_break(bytes, from));
		*end = from + n;
		if (find->events || find->text || find->line)
			return 1;
	}
	return 0;
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

/* 1, 2, 4, … and rests, each 1 at least, that leave of members in a row those in front of which `count - 1` stand. */
static void doublings(uint8_t *shift, unsigned steps, unsigned count)
{
	for (unsigned have = 1, step = 0; step < steps && have < count; step++) {
		unsigned left = steps - step - 1, most = count - have > left ? count - have - left : 1;

		shift[step] = (uint8_t)(have < most ? have : most);
		have += shift[step];
	}
}

static unsigned groups_in(unsigned min)
{
	return min < 7 ? 0 : (min - 3) / 4;
}

/* A run of n bytes holds at least (n - 3) / 4 groups of four in a row, wherever it begins; 16 are enough for any. */
static void run_finish(struct gate *g, unsigned i, unsigned min)
{
	unsigned groups = groups_in(min);

	g->always[i] = min && groups == 0;
	doublings(g->shift[i], 4, groups < 16 ? groups : 16);
}

/* Members as pairs of a set of high nibbles and one of low nibbles, which belong to some classes; a bit for each pair. */
struct pair {
	unsigned high, low, classes;
};

struct pairs {
	struct pair pair[16 * 8];
	unsigned count;
};

static struct pair pair_join(const struct pair *a, const struct pair *b)
{
	return (struct pair){a->high | b->high, a->low | b->low, a->classes | b->classes};
}

/* How many say more than is true of one pair's bytes. */
static unsigned pair_wrong(const struct gate *g, const struct pair *p)
{
	unsigned wrong = 0;

	for (unsigned c = 0; c < 256; c++)
		if (p->high >> (c >> 4) & p->low >> (c & 15) & 1)
			wrong += (unsigned)__builtin_popcount(p->classes & ~g->run[c]);
	return wrong;
}

static void pairs_add(struct pairs *p, unsigned high, unsigned low, unsigned classes)
{
	unsigned i;

	for (i = 0; i < p->count && (p->pair[i].low != low || p->pair[i].classes != classes); i++)
		;
	if (i == p->count)
		p->pair[p->count++] = (struct pair){0, low, classes};
	p->pair[i].high |= 1u << high;
}

/* More than there is room for: those are joined that say least that is not true. */
static void pairs_reduce(const struct gate *g, struct pairs *p, unsigned most)
{
	while (p->count > most) {
		unsigned best = UINT_MAX, a = 0, b = 1;

		for (unsigned i = 0; i < p->count; i++)
			for (unsigned j = i + 1; j < p->count; j++) {
				struct pair both = pair_join(&p->pair[i], &p->pair[j]);
				unsigned wrong = pair_wrong(g, &both);

				if (wrong < best) {
					best = wrong;
					a = i;
					b = j;
				}
			}
		p->pair[a] = pair_join(&p->pair[a], &p->pair[b]);
		p->pair[b] = p->pair[--p->count];
	}
}

static void runs_finish(struct gate *g)
{
	struct pairs pairs = {.count = 0};
	unsigned high, classes, c, i;

	for (high = 0; high < 16; high++)
		for (classes = 1; classes < 1 << GATE_CLASSES; classes++) {
			unsigned low = 0;

			for (c = 0; c < 16; c++)
				low |= (unsigned)(g->run[16 * high + c] == classes) << c;
			if (low)
				pairs_add(&pairs, high, low, classes);
		}
	pairs_reduce(g, &pairs, 8);
	memset(g->run_low, 255, sizeof(g->run_low));
	memset(g->run_high, 255, sizeof(g->run_high));
	for (i = 0; i < pairs.count; i++) {
		for (c = 0; c < 16; c++) {
			g->run_low[c] &= (uint8_t)~((pairs.pair[i].low >> c & 1) << i);
			g->run_high[c] &= (uint8_t)~((pairs.pair[i].high >> c & 1) << i);
		}
		for (c = 0; c < GATE_CLASSES; c++)
			g->run_bits[c] |= (uint8_t)((pairs.pair[i].classes >> c & 1) << i);
	}
}

void gate_finish(struct gate *g)
{
	unsigned c, k, i;

	for (c = 0; c < 256; c++) {
		for (k = 0; k < GATE_GRAM; k++)
			g->gram_ascii[k][c & 127] |= g->gram[k][c];
		g->gram_above |= c >= 128 && g->gram[0][c];
		if (c < 128)
			g->run_out[c] = (uint8_t)~g->run[c];
		for (i = 0; i < 2; i++)
			if (c >= 128 && g->run[c] & (GATE_TEXT << i))
				g->run_above[i] = 255;
	}
	runs_finish(g);
	run_finish(g, 0, g->text_min);
	run_finish(g, 1, g->line_min);
	g->head_groups = groups_in(g->head_min);
	doublings(g->shift[2], 4, g->head_groups);
}
