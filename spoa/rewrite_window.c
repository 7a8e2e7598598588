/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rewrite_window.h"

#include "vector.h"

/* May more than the byte itself be read at in.p[at]? A line break matters only where base64 may go on over it, a plus only if a pattern has a
 * space: scan_plain(), which stops more often, need not be as exact. */
static bool is_odd(const struct windows *w, struct span in, size_t at)
{
	uint8_t c = in.p[at];

	if (c == '\n' || c == '\r')
		return at == 0 || spelling_in_line(in.p[at - 1]);
	return c == '\\' || c == '%' || c == '&' || c == 0 || c == w->plus;
}

static bool may_be_odd(const struct windows *w, const uint8_t *p)
{
	const vector16 v = vector16_load(p);

	return vector16_any((vector16)((v <= '\r') | (v == '\\') | (v - '%' <= '&' - '%') | (v == w->plus)));
}

static size_t find_odd(const struct windows *w, struct span in, size_t at, size_t until)
{
	while (at < until) {
		size_t end = until - at < sizeof(vector16) ? until : at + sizeof(vector16);

		if (end - at == sizeof(vector16) && !may_be_odd(w, in.p + at))
			at = end;
		for (; at < end; at++)
			if (is_odd(w, in, at))
				return at;
	}
	return until;
}

/* n is a vector's at least. */
static void fold(uint8_t *to, const uint8_t *from, size_t n)
{
	size_t i = 0;

	for (;;) {
		const vector16 v = vector16_load(from + i), minus = (vector16)(v == '-') & ('-' ^ '+'), line = (vector16)(v == '_') & ('_' ^ '/');
		const vector16 folded = (v ^ minus ^ line) | 0x20;

		memcpy(to + i, &folded, sizeof(folded));
		if (i + sizeof(vector16) == n)
			return;
		i = n - i < 2 * sizeof(vector16) ? n - sizeof(vector16) : i + sizeof(vector16);
	}
}

static bool known_at(const struct windows *w, struct span block, size_t at, enum window_coding coding)
{
	return block.len - at >= window_width(coding) && window_known(w, window_hash(w, block.p + at, coding));
}

/* A known window of a block: are so many neighbours known that it may be one of a beginning? *end: behind the places where the first may be; all of a
 * longer row, or each of its places would be looked at from here again. */
static bool row_at(const struct windows *w, struct span block, size_t at, enum window_coding coding, size_t *end)
{
	size_t low = at, high = at;

	while (low && at - low + 1 < WINDOW_STEP && known_at(w, block, low - 1, coding))
		low--;
	while (known_at(w, block, high + 1, coding))
		high++;
	if (high - low + 1 < WINDOW_STEP)
		return false;
	if (high + 2 - WINDOW_STEP > *end)
		*end = high + 2 - WINDOW_STEP;
	return true;
}

static bool rows_at(const struct windows *w, struct span block, size_t at, size_t *end)
{
	bool chars = known_at(w, block, at, WINDOW_CHARS) && row_at(w, block, at, WINDOW_CHARS, end);
	bool hex = known_at(w, block, at, WINDOW_HEX) && row_at(w, block, at, WINDOW_HEX, end);

	return chars || hex;
}

/* The first place in a block where the windows of a beginning are, or may be; behind the last such place in *end. block.len: there is none. */
static size_t find_row(const struct windows *windows, struct span block, size_t *end)
{
	const struct windows w = *windows; /* so that it stays in registers */
	size_t at;

	*end = 0;
	for (at = 0; at + window_width(WINDOW_HEX) <= block.len; at += WINDOW_STEP) {
		bool chars = window_known(&w, window_hash(&w, block.p + at, WINDOW_CHARS));
		bool hex = window_known(&w, window_hash(&w, block.p + at, WINDOW_HEX));

		if ((chars | hex) && rows_at(windows, block, at, end))
			return at;
	}
	for (; at + window_width(WINDOW_CHARS) <= block.len; at += WINDOW_STEP)
		if (rows_at(windows, block, at, end))
			return at;
	return block.len;
}

void window_scan_init(struct window_scan *s, const struct windows *w, struct span in, size_t from)
{
	s->w = w;
	s->in = in;
	s->left = (struct prefilter_region){from, from};
	s->plain_end = from;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Hands out what is left up to `end`. */
static bool hand_out(struct window_scan *s, size_t begin, size_t end, struct prefilter_region *part)
{
	*part = (struct prefilter_region){begin, min_size(end, s->left.end)};
	s->left.begin = part->end;
	return part->begin < part->end;
}

/* Beginnings of which all that the windows need is plain. What is handed out begins where that of later windows may begin, too: as far in
 * front of the first one as any pattern has it, and the first may stand some places in front of the one that was looked up. */
static bool next_in_block(struct window_scan *s, size_t len, struct prefilter_region *part)
{
	size_t from = s->left.begin, back = s->w->back + WINDOW_STEP - 1, row, begin, end;

	fold(s->folded, s->in.p + from, len);
	row = find_row(s->w, span_of(s->folded, len), &end);
	if (row == len) {
		s->left.begin = min_size(from + len - s->w->reach + 1, s->left.end);
		return false;
	}
	begin = row > back ? from + row - back : from;
	return hand_out(s, min_size(begin, s->left.end), from + end, part);
}

/* Notes how far bytes are plain from left.begin on, looking no farther than `until`. */
static void find_plain_end(struct window_scan *s, size_t until)
{
	if (s->plain_end < s->left.begin)
		s->plain_end = s->left.begin;
	if (s->plain_end < until)
		s->plain_end = find_odd(s->w, s->in, s->plain_end, until);
}

void window_scan_take(struct window_scan *s, const struct prefilter_region *r, size_t more)
{
	size_t until = r->end + more;

	s->left = *r;
	if (!s->w || !more)
		return;
	find_plain_end(s, min_size(until - 1 + s->w->reach, s->in.len));
	if (s->plain_end + 1 > s->left.end + s->w->reach)
		s->left.end = min_size(until, s->plain_end + 1 - s->w->reach);
}

bool window_scan_next(struct window_scan *s, struct prefilter_region *part)
{
	while (s->left.begin < s->left.end) {
		size_t from = s->left.begin, until;

		if (!s->w)
			return hand_out(s, from, s->left.end, part);
		until = min_size(s->left.end - 1 + s->w->reach, s->in.len);
		find_plain_end(s, until);
		until = min_size(s->plain_end, until);
		if (until - from < s->w->reach)
			return hand_out(s, from, until + 1, part);
		if (next_in_block(s, min_size(until - from, WINDOW_BLOCK), part))
			return true;
	}
	return false;
}
