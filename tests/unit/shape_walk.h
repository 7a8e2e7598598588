/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The definition of "fits the beginning of a shape", byte by byte and slow: what prefilter_hold() computes fast must equal this.
 */
#ifndef TESTS_SHAPE_WALK_H
#define TESTS_SHAPE_WALK_H

#include "carry.h"
#include "shape.h"
#include "spelling.h"

struct shape_walk {
	const struct shape *shape;
	struct span bytes;
	unsigned line;
};

static inline bool shape_admits(const struct shape_walk *w, size_t k, unsigned c)
{
	uint8_t public_byte = w->shape->template_[k];

	return public_byte ? public_byte == c : shape_alphabet_has(w->shape->alphabet, (uint8_t)c);
}

/* Is there a byte at place k whose highest `bits` bits are these? */
static inline bool shape_admits_high(const struct shape_walk *w, size_t k, unsigned high, unsigned bits)
{
	unsigned c;

	for (c = high << (8 - bits); c < (high + 1) << (8 - bits); c++)
		if (shape_admits(w, k, c))
			return true;
	return false;
}

static inline bool shape_walk_text(const struct shape_walk *w, size_t p, size_t k)
{
	const uint8_t *end = w->bytes.p + w->bytes.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	unsigned n, i;

	if (k == w->shape->length)
		return false;
	if (p == w->bytes.len)
		return true;
	n = spelling_units(w->bytes.p + p, end, units, &partial);
	if (partial)
		return true;
	if (shape_admits(w, k, w->bytes.p[p]) && shape_walk_text(w, p + 1, k + 1))
		return true;
	for (i = 0; i < n; i++)
		if (shape_admits(w, k, units[i].byte) && shape_walk_text(w, p + units[i].len, k + 1))
			return true;
	return false;
}

static inline bool shape_walk_hex(const struct shape_walk *w, size_t p)
{
	size_t k;

	for (k = 0; k < w->shape->length; k++, p += 2) {
		unsigned high, low;

		if (p == w->bytes.len)
			return true;
		high = spelling_nibble[w->bytes.p[p]];
		if (high > 15)
			return false;
		if (p + 1 == w->bytes.len)
			return shape_admits_high(w, k, high, 4);
		low = spelling_nibble[w->bytes.p[p + 1]];
		if (low > 15 || !shape_admits(w, k, high << 4 | low))
			return false;
	}
	return false;
}

/* acc holds `bits` bits (fewer than 8) of the byte at place k. */
static inline bool shape_walk_base64(const struct shape_walk *w, size_t p, size_t k, unsigned acc, unsigned bits, bool wrapped);

static inline bool shape_walk_sextet(const struct shape_walk *w, size_t p, size_t k, unsigned acc, unsigned bits, unsigned sextet)
{
	acc = acc << 6 | sextet;
	bits += 6;
	if (bits >= 8) {
		bits -= 8;
		if (!shape_admits(w, k, acc >> bits & 255))
			return false;
		k++;
	}
	return shape_walk_base64(w, p, k, acc & ((1u << bits) - 1), bits, false);
}

static inline bool shape_walk_base64(const struct shape_walk *w, size_t p, size_t k, unsigned acc, unsigned bits, bool wrapped)
{
	const uint8_t *at = w->bytes.p + p, *end = w->bytes.p + w->bytes.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false, cut_wrap = false;
	unsigned n, i, wrap;

	if (k == w->shape->length)
		return false;
	if (!shape_admits_high(w, k, acc, bits))
		return false;
	if (p == w->bytes.len)
		return true;
	if (spelling_sextet[*at] != SPELLING_NO_SEXTET)
		return shape_walk_sextet(w, p + 1, k, acc, bits, spelling_sextet[*at]);
	wrap = wrapped ? 0 : spelling_wrap(at, end, &cut_wrap);
	if ((wrap || cut_wrap) && carry_line_at(w->bytes, p, w->line) >= CARRY_LINE_FULL)
		if (cut_wrap || shape_walk_base64(w, p + wrap, k, acc, bits, true))
			return true;
	if (!spelling_intro[*at] || *at == 0)
		return false;
	n = spelling_units(at, end, units, &partial);
	if (partial)
		return true;
	for (i = 0; i < n; i++)
		if (spelling_sextet[units[i].byte] != SPELLING_NO_SEXTET && units[i].kind < SPELLING_PLUS &&
		    shape_walk_sextet(w, p + units[i].len, k, acc, bits, spelling_sextet[units[i].byte]))
			return true;
	return false;
}

/* The first character gives only its bits from `offset` on. */
static inline bool shape_walk_base64_start(const struct shape_walk *w, size_t p, unsigned offset)
{
	const uint8_t *at = w->bytes.p + p, *end = w->bytes.p + w->bytes.len;
	struct unit units[SPELLING_UNITS_AT];
	unsigned n, i, mask = (1u << (6 - offset)) - 1;
	bool partial = false;

	if (spelling_sextet[*at] != SPELLING_NO_SEXTET)
		return shape_walk_base64(w, p + 1, 0, spelling_sextet[*at] & mask, 6 - offset, false);
	if (!spelling_intro[*at] || *at == 0)
		return false;
	n = spelling_units(at, end, units, &partial);
	for (i = 0; i < n; i++)
		if (spelling_sextet[units[i].byte] != SPELLING_NO_SEXTET && units[i].kind < SPELLING_PLUS &&
		    shape_walk_base64(w, p + units[i].len, 0, spelling_sextet[units[i].byte] & mask, 6 - offset, false))
			return true;
	return partial;
}

/* Do bytes[from..] spell a proper beginning of the shape: as text units, as hex, or as base64 at one of three bit offsets? The last unit,
 * pair or character may be cut by the end. `line`: base64 characters of the current line in front of bytes. */
static inline bool shape_walk_fits(const struct shape *s, struct span bytes, size_t from, unsigned line)
{
	struct shape_walk w = {s, bytes, line};

	return shape_walk_text(&w, from, 0) || shape_walk_hex(&w, from) || shape_walk_base64_start(&w, from, 0) || shape_walk_base64_start(&w, from, 2) ||
	       shape_walk_base64_start(&w, from, 4);
}

/* The smallest such `from` over all shapes; bytes.len if there is none. */
static inline size_t shape_walk_hold(const struct shape *shapes, size_t count, struct span bytes, unsigned line)
{
	size_t from, i;

	for (from = 0; from < bytes.len; from++)
		for (i = 0; i < count; i++)
			if (shape_walk_fits(&shapes[i], bytes, from, line))
				return from;
	return bytes.len;
}

#endif
