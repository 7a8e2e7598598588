/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefilter_internal.h"

#include <string.h>

static int symbol_at(const struct template *t, unsigned depth)
{
	if (depth >= t->length)
		return -1;
	return t->symbol[depth] ? t->symbol[depth] : 256 + t->alphabet;
}

int template_compare(const void *a, const void *b)
{
	const struct template *x = a, *y = b;
	unsigned depth = 0;
	int sx, sy;

	do {
		sx = symbol_at(x, depth);
		sy = symbol_at(y, depth++);
	} while (sx == sy && sx >= 0);
	return sx < sy ? -1 : sx > sy;
}

void tree_init(struct tree *tr, const struct template *t, uint32_t count)
{
	memset(tr, 0, sizeof(*tr));
	tr->t = t;
	tr->count = count;
	for (uint32_t i = 0; i < count; i++) {
		int s = symbol_at(&t[i], 0);

		if (tr->end[s] == 0)
			tr->first[s] = i;
		tr->end[s] = i + 1;
	}
}

/* First of lo..hi whose symbol at `depth` is `symbol` or more. */
static uint32_t lower(const struct tree *tr, uint32_t lo, uint32_t hi, unsigned depth, int symbol)
{
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (symbol_at(&tr->t[mid], depth) < symbol)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Takes in the templates lo..hi, which have just matched symbol number s->depth - 1; those that end there come first. */
static void state_add(const struct tree *tr, struct state *s, uint32_t lo, uint32_t hi)
{
	while (lo < hi && tr->t[lo].length == s->depth) {
		s->whole = true;
		lo++;
	}
	if (lo == hi)
		return;
	if (s->count == STATE_RANGES) {
		s->overflow = true;
		return;
	}
	s->r[s->count++] = (struct range){lo, hi};
}

static bool tree_start(const struct tree *tr, uint8_t c, struct state *s)
{
	unsigned a;

	s->count = 0;
	s->depth = 1;
	s->whole = s->overflow = false;
	if (c == 0)
		return false;
	if (tr->end[c] > tr->first[c])
		state_add(tr, s, tr->first[c], tr->end[c]);
	for (a = 0; a < SHAPE_ALPHABETS; a++)
		if (tr->end[256 + a] > tr->first[256 + a] && shape_alphabet_has((enum shape_alphabet)a, c))
			state_add(tr, s, tr->first[256 + a], tr->end[256 + a]);
	return s->count > 0;
}

bool tree_step(const struct tree *tr, const struct state *from, uint8_t c, struct state *to)
{
	unsigned depth = from->depth, i, a;

	if (depth == 0)
		return tree_start(tr, c, to);
	to->count = 0;
	to->depth = depth + 1;
	to->whole = false;
	to->overflow = from->overflow;
	for (i = 0; c && i < from->count; i++) {
		struct range r = from->r[i];
		int first = symbol_at(&tr->t[r.lo], depth);

		if (first == symbol_at(&tr->t[r.hi - 1], depth)) {
			if (first < 256 ? first == c : shape_alphabet_has((enum shape_alphabet)(first - 256), c))
				state_add(tr, to, r.lo, r.hi);
			continue;
		}
		state_add(tr, to, lower(tr, r.lo, r.hi, depth, c), lower(tr, r.lo, r.hi, depth, c + 1));
		for (a = 0; a < SHAPE_ALPHABETS; a++)
			if (shape_alphabet_has((enum shape_alphabet)a, c))
				state_add(tr, to, lower(tr, r.lo, r.hi, depth, 256 + (int)a), lower(tr, r.lo, r.hi, depth, 257 + (int)a));
	}
	return to->count > 0 || to->overflow;
}

bool tree_admits_high(const struct tree *tr, const struct state *s, unsigned high, unsigned bits)
{
	struct state to;
	unsigned c;

	for (c = high << (8 - bits); c < (high + 1) << (8 - bits); c++)
		if (tree_step(tr, s, (uint8_t)c, &to) || to.whole)
			return true;
	return false;
}
