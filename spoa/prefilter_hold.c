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

size_t prefilter_hold(const struct prefilter *p, struct span bytes, unsigned line)
{
	size_t at;

	if (bytes.len == 0)
		return 0;
	for (at = tail_start(p, bytes, line); at < bytes.len; at++)
		if (walk_fits(&p->open, bytes, at, line, FIT_BEGUN) & FIT_BEGUN ||
		    walk_fits(&p->anchored, bytes, at, line, FIT_BEGUN) & FIT_BEGUN)
			break;
	return at;
}

bool prefilter_begins_in_bits(const struct prefilter *p, struct span bytes, unsigned bits, unsigned line)
{
	return bytes.len && ((walk_fits_from_bit(&p->open, bytes, bits, line, FIT_BEGUN) & FIT_BEGUN) ||
	                     (walk_fits_from_bit(&p->anchored, bytes, bits, line, FIT_BEGUN) & FIT_BEGUN));
}
