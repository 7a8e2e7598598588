/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "carry.h"
#include "prefilter_internal.h"
#include "spelling.h"

/* The longest spelling of a byte is four base64 characters for three bytes, each as a double unit; wraps are few. */
enum { BYTES_PER_BYTE = 17, SLACK = 64 };

/* Where a line break in front of `end` begins, if base64 may go on over it; else `end`. */
static size_t over_wrap(struct span bytes, size_t end, unsigned line)
{
	size_t at = end - 1;

	if (bytes.p[at] != '\n' && bytes.p[at] != '\r')
		return end;
	if (bytes.p[at] == '\n' && at && bytes.p[at - 1] == '\r')
		at--;
	return carry_line_at(bytes, at, line) >= CARRY_LINE_FULL ? at : end;
}

/* Nothing that begins before it can go on to the end. */
static size_t tail_start(const struct prefilter *p, struct span bytes, unsigned line)
{
	/* without escapes and breaks hex is the longest spelling; an escape shows by its first byte */
	size_t most = 2 * p->longest + 2 + SPELLING_UNIT_MAX, longer = BYTES_PER_BYTE * p->longest + SLACK, at = bytes.len, before;

	while (at && bytes.len - at < most) {
		uint8_t c = bytes.p[at - 1];

		before = at;
		at = p->tail[c] ? at - 1 : over_wrap(bytes, at, line);
		if (at == before)
			break;
		if (!p->tail[c] || (spelling_intro[c] && c != '+'))
			most = longer;
	}
	return at;
}

/* Where in the tail an open shape may begin in one coding and go on to the end. What is in front of `escape` is not judged: an escape or a
 * break stands behind it. */
struct tail {
	size_t start, text, hex, escape;
	size_t bit[4]; /* by half the phase of a byte in base64 */
};

static size_t back_while(const uint8_t *table, uint8_t any, size_t from, struct span bytes, size_t at)
{
	while (at > from && table[bytes.p[at - 1]] & any)
		at--;
	return at;
}

/* Bytes of one phase that are members, from the last whole one back. Bits are counted from the tail's beginning. */
static size_t phase_start(const struct prefilter *p, struct span bytes, const struct tail *t, unsigned phase)
{
	size_t bits = 6 * (bytes.len - t->start), at = bits < 8 ? 0 : bits - 8 - (bits - phase) % 8;

	if (bits < 8 + phase)
		return 0;
	for (;; at -= 8) {
		const uint8_t *c = bytes.p + t->start + at / 6;
		unsigned two = (unsigned)spelling_sextet[c[0]] << 6 | spelling_sextet[c[1]];

		if (c < bytes.p + t->escape || !p->open_member[two >> (4 - at % 6) & 255])
			return at + 8;
		if (at < 8)
			return at;
	}
}

static struct tail tail_of(const struct prefilter *p, struct span bytes, unsigned line)
{
	struct tail t = {.start = tail_start(p, bytes, line)};
	size_t longest = p->open_longest_shape;

	t.escape = bytes.len;
	while (t.escape > t.start && spelling_sextet[bytes.p[t.escape - 1]] != SPELLING_NO_SEXTET &&
	       (bytes.p[t.escape - 1] != '+' || !p->open_member[' ']))
		t.escape--;
	t.text = back_while(p->gate.run, GATE_TEXT, t.start, bytes, bytes.len);
	for (t.hex = bytes.len; t.hex > t.start && spelling_nibble[bytes.p[t.hex - 1]] < 16; t.hex--)
		;
	/* where there are no escapes each byte takes one, or two digits */
	if (t.text >= t.escape && bytes.len - t.text >= longest)
		t.text = bytes.len - longest + 1;
	if (bytes.len - t.hex >= 2 * longest)
		t.hex = bytes.len - 2 * longest + 1;
	for (unsigned i = 0; i < 4; i++)
		t.bit[i] = phase_start(p, bytes, &t, 2 * i);
	return t;
}

static unsigned open_codings(const struct tail *t, size_t at)
{
	unsigned codings = (at >= t->text || at < t->escape ? CODING_TEXT : 0) | (at >= t->hex ? CODING_HEX : 0);
	size_t bit = 6 * (at - t->start);

	if (at < t->escape)
		return codings | CODING_BASE64;
	for (unsigned offset = 0; offset < 6; offset += 2)
		if (bit + offset >= t->bit[(bit + offset) % 8 / 2])
			codings |= CODING_BASE64;
	return codings;
}

size_t prefilter_hold(const struct prefilter *p, struct span bytes, unsigned line)
{
	struct tail t;
	size_t at;

	if (bytes.len == 0 || p->longest == 0)
		return bytes.len;
	t = tail_of(p, bytes, line);
	for (at = t.start; at < bytes.len; at++) {
		unsigned codings = p->open.count ? open_codings(&t, at) : 0;

		if (codings && walk_begun(&p->open, bytes, at, line, codings))
			break;
		if (p->anchored.count && gate_begins(&p->gate, bytes, at, true) && walk_begun(&p->anchored, bytes, at, line, CODINGS_ALL))
			break;
	}
	return at;
}

bool prefilter_begins_in_bits(const struct prefilter *p, struct span bytes, unsigned bits, unsigned line)
{
	return bytes.len && ((walk_fits_from_bit(&p->open, bytes, bits, line, FIT_BEGUN) & FIT_BEGUN) ||
	                     (walk_fits_from_bit(&p->anchored, bytes, bits, line, FIT_BEGUN) & FIT_BEGUN));
}
