/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shape.h"

#include <stdlib.h>

#include "shape_set.h"
#include "token_formats.h"

enum { LINE_MIN = 16 }; /* shorter lines of a multi-line secret are no patterns */

static const struct {
	const char *bytes;
	unsigned count;
} alphabets[SHAPE_ALPHABETS] = {
	[SHAPE_DIGIT] = {"0123456789", 10},
	[SHAPE_HEX_LOWER] = {"0123456789abcdef", 16},
	[SHAPE_HEX_UPPER] = {"0123456789ABCDEF", 16},
	[SHAPE_LOWER] = {"0123456789abcdefghijklmnopqrstuvwxyz", 36},
	[SHAPE_UPPER] = {"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 36},
	[SHAPE_ALNUM] = {"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 62},
};

static bool is_alnum(unsigned c)
{
	return c - '0' < 10 || (c | 0x20) - 'a' < 26;
}

bool shape_alphabet_has(enum shape_alphabet a, uint8_t c)
{
	return c && strchr(alphabets[a].bytes, c);
}

struct span shape_alphabet_bytes(enum shape_alphabet a)
{
	return span_of(alphabets[a].bytes, alphabets[a].count);
}

/* End of the line that begins at `from`; *next: beginning of the one after it. */
static size_t line_end(struct span text, size_t from, size_t *next)
{
	const uint8_t *nl = memchr(text.p + from, '\n', text.len - from);
	size_t end = nl ? (size_t)(nl - text.p) : text.len;

	*next = nl ? end + 1 : text.len;
	return end > from && text.p[end - 1] == '\r' ? end - 1 : end;
}

/* Armour of a multi-line secret, the same in every one of its kind: BEGIN and END lines, `Name: value` lines. */
static bool line_is_public(struct span line)
{
	const uint8_t *colon = memchr(line.p, ':', line.len);

	return (line.len >= 5 && memcmp(line.p, "-----", 5) == 0) ||
	       (colon && (size_t)(colon - line.p) + 1 < line.len && colon[1] == ' ');
}

static void mark_public_lines(struct span value, uint8_t *room)
{
	size_t from, end, next;

	for (from = 0; from < value.len; from = next) {
		end = line_end(value, from, &next);
		if (line_is_public(span_of(value.p + from, end - from)))
			memcpy(room + from, value.p + from, end - from);
	}
}

void shape_of(struct shape *out, struct span value, struct span prefix, uint8_t *room)
{
	bool present[256] = {false};
	size_t literal = token_prefix_length(value), i, a;

	if (prefix.len > literal && prefix.len <= value.len && memcmp(prefix.p, value.p, prefix.len) == 0)
		literal = prefix.len;
	memset(room, 0, value.len);
	if (memchr(value.p, '\n', value.len))
		mark_public_lines(value, room);
	for (i = 0; i < value.len; i++) {
		if (i < literal || !is_alnum(value.p[i]))
			room[i] = value.p[i];
		else if (!room[i])
			present[value.p[i]] = true;
	}
	for (a = 0; a < SHAPE_ALNUM; a++) {
		for (i = 0; i < 256 && (!present[i] || shape_alphabet_has(a, (uint8_t)i)); i++)
			;
		if (i == 256)
			break;
	}
	*out = (struct shape){
		.alphabet = (enum shape_alphabet)a,
		.length = (uint16_t)value.len,
		.prefix_length = (uint16_t)literal,
		.template_ = room,
	};
}

size_t shape_free_bytes(const struct shape *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->length; i++)
		n += s->template_[i] == 0;
	return n;
}

bool shape_next_line(const struct shape *whole, size_t *at, struct shape *line, size_t *offset)
{
	struct span text = span_of(whole->template_, whole->length);
	size_t from, end;

	if (!memchr(text.p, '\n', text.len)) {
		*line = *whole;
		*offset = 0;
		if (*at)
			return false;
		*at = text.len;
		return true;
	}
	for (from = *at; from < text.len; from = *at) {
		end = line_end(text, from, at);
		*offset = from;
		*line = (struct shape){
			.alphabet = whole->alphabet, .length = (uint16_t)(end - from), .template_ = whole->template_ + from};
		if (line->length >= LINE_MIN && shape_free_bytes(line) > 0)
			return true;
	}
	return false;
}
