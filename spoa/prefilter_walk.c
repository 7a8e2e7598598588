/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "carry.h"
#include "prefilter_internal.h"
#include "spelling.h"

/* Readings of one place multiply only where public bytes are themselves escape characters. Past so many steps the answer is yes. */
enum { STEPS_MAX = 1 << 14 };

static const struct state root; /* depth 0 */

struct walk {
	const struct tree *tr;
	struct span bytes;
	unsigned line, want, found, steps;
};

static bool walk_done(struct walk *w)
{
	if (++w->steps > STEPS_MAX)
		w->found |= FIT_WHOLE | FIT_BEGUN;
	return w->found & w->want;
}

/* One byte on. false: this walk is over. */
static bool walk_step(struct walk *w, const struct state *from, uint8_t c, struct state *to)
{
	bool more = tree_step(w->tr, from, c, to);

	if (to->whole || (more && to->depth == PREFILTER_DEPTH) || to->overflow)
		w->found |= FIT_WHOLE;
	return more && !walk_done(w);
}

static void walk_text(struct walk *w, size_t p, const struct state *start)
{
	const uint8_t *end = w->bytes.p + w->bytes.len;
	struct state s[2];
	unsigned now = 0, n, i;

	s[0] = *start;
	for (;; p++, now ^= 1) {
		struct unit units[SPELLING_UNITS_AT];
		bool partial = false;

		if (p == w->bytes.len) {
			w->found |= FIT_BEGUN;
			return;
		}
		n = spelling_units(w->bytes.p + p, end, units, &partial);
		if (partial)
			w->found |= FIT_BEGUN;
		for (i = 0; i < n; i++)
			if (walk_step(w, &s[now], units[i].byte, &s[now ^ 1]))
				walk_text(w, p + units[i].len, &s[now ^ 1]);
		if (walk_done(w) || !walk_step(w, &s[now], w->bytes.p[p], &s[now ^ 1]))
			return;
	}
}

static void walk_hex(struct walk *w, size_t p)
{
	struct state s[2];
	unsigned now = 0;

	s[0] = root;
	for (;; p += 2, now ^= 1) {
		unsigned high, low;

		if (p == w->bytes.len) {
			w->found |= FIT_BEGUN;
			return;
		}
		high = spelling_nibble[w->bytes.p[p]];
		if (high > 15)
			return;
		if (p + 1 == w->bytes.len) {
			if (tree_admits_high(w->tr, &s[now], high, 4))
				w->found |= FIT_BEGUN;
			return;
		}
		low = spelling_nibble[w->bytes.p[p + 1]];
		if (low > 15 || !walk_step(w, &s[now], (uint8_t)(high << 4 | low), &s[now ^ 1]))
			return;
	}
}

/* A walk through base64 in front of character p: acc holds `bits` bits, fewer than 8, of the next byte. */
struct sextets {
	size_t p;
	unsigned acc, bits;
	bool wrapped; /* the last thing was a line break */
};

static void walk_base64(struct walk *w, struct sextets at, const struct state *start);

static bool take_sextet(struct walk *w, struct sextets *at, unsigned len, unsigned sextet, const struct state *from, struct state *to)
{
	at->p += len;
	at->acc = at->acc << 6 | sextet;
	at->bits += 6;
	at->wrapped = false;
	if (at->bits < 8) {
		*to = *from;
		return true;
	}
	at->bits -= 8;
	if (!walk_step(w, from, (uint8_t)(at->acc >> at->bits), to))
		return false;
	at->acc &= (1u << at->bits) - 1;
	return true;
}

/* Where the next character is not one of base64 itself: a line break, or an escape that spells one. */
static void walk_odd(struct walk *w, struct sextets at, const struct state *s)
{
	const uint8_t *p = w->bytes.p + at.p, *end = w->bytes.p + w->bytes.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false, cut_wrap = false;
	unsigned n, i, wrap = at.wrapped ? 0 : spelling_wrap(p, end, &cut_wrap);
	struct state to;

	if ((wrap || cut_wrap) && carry_line_at(w->bytes, at.p, w->line) >= CARRY_LINE_FULL) {
		if (cut_wrap)
			w->found |= FIT_BEGUN;
		if (wrap)
			walk_base64(w, (struct sextets){at.p + wrap, at.acc, at.bits, true}, s);
	}
	if (walk_done(w) || !spelling_intro[*p] || *p == 0)
		return;
	n = spelling_units(p, end, units, &partial);
	if (partial)
		w->found |= FIT_BEGUN;
	for (i = 0; i < n && !walk_done(w); i++) {
		struct sextets next = at;

		if (units[i].kind < SPELLING_PLUS && spelling_sextet[units[i].byte] != SPELLING_NO_SEXTET &&
		    take_sextet(w, &next, units[i].len, spelling_sextet[units[i].byte], s, &to))
			walk_base64(w, next, &to);
	}
}

static void walk_base64(struct walk *w, struct sextets at, const struct state *start)
{
	struct state s[2];
	unsigned now = 0, sextet;

	s[0] = *start;
	for (;;) {
		if (at.p == w->bytes.len) {
			if (at.bits == 0 || tree_admits_high(w->tr, &s[now], at.acc, at.bits))
				w->found |= FIT_BEGUN;
			return;
		}
		sextet = spelling_sextet[w->bytes.p[at.p]];
		if (sextet == SPELLING_NO_SEXTET) {
			if (at.bits == 0 || tree_admits_high(w->tr, &s[now], at.acc, at.bits))
				walk_odd(w, at, &s[now]);
			return;
		}
		if (!take_sextet(w, &at, 1, sextet, &s[now], &s[now ^ 1]))
			return;
		now ^= 1;
	}
}

/* The first character gives only its bits from `offset` on. */
static void walk_base64_start(struct walk *w, size_t p, unsigned offset)
{
	const uint8_t *at = w->bytes.p + p;
	unsigned mask = (1u << (6 - offset)) - 1, n, i;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;

	if (spelling_sextet[*at] != SPELLING_NO_SEXTET) {
		walk_base64(w, (struct sextets){p + 1, spelling_sextet[*at] & mask, 6 - offset, false}, &root);
		return;
	}
	if (!spelling_intro[*at] || *at == 0)
		return;
	n = spelling_units(at, w->bytes.p + w->bytes.len, units, &partial);
	for (i = 0; i < n && !walk_done(w); i++) {
		unsigned sextet = spelling_sextet[units[i].byte];

		if (sextet != SPELLING_NO_SEXTET && units[i].kind < SPELLING_PLUS)
			walk_base64(w, (struct sextets){p + units[i].len, sextet & mask, 6 - offset, false}, &root);
	}
}

unsigned walk_fits(const struct tree *tr, struct span bytes, size_t from, unsigned line, unsigned want)
{
	struct walk w = {.tr = tr, .bytes = bytes, .line = line, .want = want};
	unsigned offset;

	if (tr->count == 0)
		return 0;
	walk_text(&w, from, &root);
	if (!(w.found & want))
		walk_hex(&w, from);
	for (offset = 0; offset < 6 && !(w.found & want); offset += 2)
		walk_base64_start(&w, from, offset);
	return w.found;
}

bool walk_begun(const struct tree *tr, struct span bytes, size_t from, unsigned line, unsigned codings)
{
	struct walk w = {.tr = tr, .bytes = bytes, .line = line, .want = FIT_BEGUN};
	unsigned offset;

	if (codings & CODING_TEXT)
		walk_text(&w, from, &root);
	if (codings & CODING_HEX && !(w.found & FIT_BEGUN))
		walk_hex(&w, from);
	for (offset = 0; offset < 6 && codings & CODING_BASE64 && !(w.found & FIT_BEGUN); offset += 2)
		walk_base64_start(&w, from, offset);
	return w.found & FIT_BEGUN;
}

unsigned walk_fits_from_bit(const struct tree *tr, struct span bytes, unsigned bit, unsigned line, unsigned want)
{
	struct walk w = {.tr = tr, .bytes = bytes, .line = line, .want = want};

	for (; tr->count && bit < 6 && !(w.found & want); bit += 2)
		walk_base64_start(&w, 0, bit);
	return w.found;
}
