/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shapes without a beginning to look for: long runs of their class, as text, as hex and as base64 in any phase.
 */
#include "carry.h"
#include "prefilter_internal.h"
#include "spelling.h"
#include "vector.h"

enum { LENGTH_MAX = 1024 }; /* of a run that is asked for; longer shapes are found by their first bytes */

static void widen(struct prefilter_region *r, size_t begin, size_t end)
{
	if (begin >= end)
		return;
	if (r->begin >= r->end) {
		*r = (struct prefilter_region){begin, end};
		return;
	}
	if (begin < r->begin)
		r->begin = begin;
	if (end > r->end)
		r->end = end;
}

static unsigned wanted(const struct open_class *c)
{
	return c->length < LENGTH_MAX ? c->length : LENGTH_MAX;
}

/* A byte may belong to a run when it is a member, or part of a unit that spells one. */
static void text_runs(const struct open_class *c, struct span bytes, size_t from, size_t until, size_t end, struct prefilter_region *r)
{
	size_t start = from, covered = from, i, n = wanted(c), last = end < bytes.len ? end : bytes.len - 1;

	for (i = from;; i++) {
		while (i < last && c->plain[bytes.p[i]] && bytes.p[i + 1] != 0)
			i++;
		if (i < end) {
			uint8_t b = bytes.p[i];

			if (spelling_intro[b] || (i + 1 < bytes.len && bytes.p[i + 1] == 0)) {
				struct unit units[SPELLING_UNITS_AT];
				bool partial = false;
				unsigned count = spelling_units(bytes.p + i, bytes.p + bytes.len, units, &partial);

				if (partial)
					covered = bytes.len;
				while (count--)
					if (c->member[units[count].byte] && i + units[count].len > covered)
						covered = i + units[count].len;
			}
			if (c->member[b] || i < covered)
				continue;
		}
		if (i - start >= n)
			widen(r, start, i - n + 1 < until ? i - n + 1 : until);
		if (i >= end || i >= until)
			return;
		start = i + 1;
	}
}

/* Bytes of a class, two digits each, in both phases. */
static void hex_runs(const struct open_class *c, struct span bytes, size_t from, size_t until, size_t end, struct prefilter_region *r)
{
	size_t n = 2 * (size_t)wanted(c), i, start, phase;

	for (start = from; start < until && end - start >= n; start = i + 1) {
		/* from the back: what is no digit there settles all beginnings in front of it */
		for (i = start + n; i > start && spelling_nibble[bytes.p[i - 1]] < 16; i--)
			;
		if (i > start) {
			i--;
			continue;
		}
		for (phase = 0; phase < 2; phase++) {
			size_t first = start + phase, at;

			for (at = first; at + 1 < end && spelling_nibble[bytes.p[at]] < 16 && spelling_nibble[bytes.p[at + 1]] < 16; at += 2) {
				if (c->member[spelling_nibble[bytes.p[at]] << 4 | spelling_nibble[bytes.p[at + 1]]])
					continue;
				if (at - first >= n)
					widen(r, first, at - n + 1 < until ? at - n + 1 : until);
				first = at + 2;
			}
			if (at - first >= n)
				widen(r, first, at - n + 1 < until ? at - n + 1 : until);
			i = at;
		}
	}
}

struct prefilter_region open_text(const struct prefilter *p, struct span bytes, size_t from, size_t until, size_t end)
{
	struct prefilter_region r = {0, 0};

	for (unsigned i = 0; i < p->classes; i++) {
		text_runs(&p->open_class[i], bytes, from, until, end, &r);
		hex_runs(&p->open_class[i], bytes, from, until, end, &r);
	}
	return r;
}

/* ---- base64 ---- */

enum { OVERLAP_MAX = LENGTH_MAX * 4 / 3 + 8, SEXTETS = PREFILTER_WINDOW + OVERLAP_MAX, UNIT_SEXTETS = 12 };

/* Characters behind a window that decide about the beginnings in it. */
static size_t overlap(const struct prefilter *p)
{
	return p->open_longest < LENGTH_MAX ? p->open_longest * 4 / 3 + 8 : OVERLAP_MAX;
}

struct sextet_run {
	size_t count;
	bool odd;                 /* an escape is among them: a beginning inside of it shifts the bits of what follows */
	uint8_t value[SEXTETS + 2];
	uint32_t at[SEXTETS + 1]; /* where each begins, relative to the window's beginning; and where the run goes on */
};

/* 1: a sextet of *len bytes; 0: a line break of *len bytes that may stand there; -1: the run ends. */
static int next_sextet(struct span bytes, unsigned line, size_t at, unsigned *len, unsigned *value)
{
	const uint8_t *p = bytes.p + at, *end = bytes.p + bytes.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	unsigned n;

	*len = 1;
	*value = spelling_sextet[*p];
	if (*value != SPELLING_NO_SEXTET)
		return 1;
	*len = spelling_wrap(p, end, &partial);
	if (*len)
		return carry_line_at(bytes, at, line) >= CARRY_LINE_FULL ? 0 : -1;
	if (!spelling_intro[*p] || *p == 0)
		return -1;
	n = spelling_units(p, end, units, &partial);
	while (n--) {
		*len = units[n].len;
		*value = spelling_sextet[units[n].byte];
		if (*value != SPELLING_NO_SEXTET && units[n].kind < SPELLING_PLUS)
			return 1;
	}
	return -1;
}

void open_break(const struct prefilter *p, struct span bytes, unsigned line, size_t at, struct prefilter_region *r)
{
	size_t from = at > GATE_SLACK ? at - GATE_SLACK : 0;
	bool partial = false;

	if (!spelling_wrap(bytes.p + at, bytes.p + bytes.len, &partial) || carry_line_at(bytes, at, line) < CARRY_LINE_FULL)
		return;
	for (; from < at; from++)
		if (gate_begins(&p->gate, bytes, from, false) && walk_fits(&p->anchored, bytes, from, line, FIT_WHOLE) & FIT_WHOLE)
			widen(r, from, from + 1);
}

/* All ones where a byte is a character of base64. */
static vector16 sextets(const uint8_t *p)
{
	const vector16 v = vector16_load(p), letter = (v | 0x20) - 'a', digit = v - '0';

	return (vector16)((letter < 26) | (digit < 10) | (v == '+') | (v == '/') | (v == '-') | (v == '_'));
}

/* How many characters are written plainly from p on. */
static size_t plain_sextets(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (n - i >= sizeof(vector16) && !vector16_any(~sextets(p + i)))
		i += sizeof(vector16);
	while (i < n && spelling_sextet[p[i]] != SPELLING_NO_SEXTET)
		i++;
	return i;
}

/* Characters that are written plainly, from *at on, but the last one that there is room for: next_sextet() says how the run goes on there. false:
 * there is none. */
static bool plain_fill(struct span bytes, size_t from, size_t *at, struct sextet_run *w, size_t most)
{
	size_t room = bytes.len - *at < most - w->count ? bytes.len - *at : most - w->count;
	size_t count = plain_sextets(bytes.p + *at, room - 1), i;

	for (i = 0; i < count; i++) {
		w->at[w->count + i] = (uint32_t)(*at + i - from);
		w->value[w->count + i] = spelling_sextet[bytes.p[*at + i]];
	}
	w->count += count;
	*at += count;
	return count;
}

/* As many characters as `most`. Does the run go on behind them? */
static bool run_fill(const struct prefilter *p, struct span bytes, unsigned line, size_t from, struct sextet_run *w, size_t most,
                        struct prefilter_region *r)
{
	size_t at = from;
	int kind = 0;

	w->count = 0;
	w->odd = false;
	while (w->count < most && at < bytes.len) {
		unsigned len, value;

		if (plain_fill(bytes, from, &at, w, most))
			continue;
		kind = next_sextet(bytes, line, at, &len, &value);
		if (kind < 0)
			break;
		if (kind == 0) {
			open_break(p, bytes, line, at, r);
			w->odd |= bytes.p[at] == '\\';
		} else {
			w->odd |= len > 1;
			w->at[w->count] = (uint32_t)(at - from);
			w->value[w->count++] = (uint8_t)value;
		}
		at += len;
	}
	w->at[w->count] = (uint32_t)(at - from);
	w->value[w->count] = w->value[w->count + 1] = 0;
	return kind >= 0 && at < bytes.len;
}

static bool member_at(const struct open_class *c, const struct sextet_run *w, size_t bit)
{
	size_t i = bit / 6;
	unsigned three = (unsigned)w->value[i] << 12 | (unsigned)w->value[i + 1] << 6 | w->value[i + 2];

	return c->member[three >> (10 - bit % 6) & 255];
}

/* Bytes of the class in one of the four phases; begun is told in characters. */
static void phase_runs(const struct open_class *c, const struct sextet_run *w, unsigned phase, size_t n, struct prefilter_region *chars)
{
	size_t bits = 6 * w->count, start = phase, at, probe;

	while (start + 8 * n <= bits) {
		for (probe = start + 8 * n; probe > start && member_at(c, w, probe - 8); probe -= 8)
			;
		if (probe > start) {
			start = probe;
			continue;
		}
		for (at = start + 8 * n; at + 8 <= bits && member_at(c, w, at); at += 8)
			;
		widen(chars, start / 6, (at - 8 * n) / 6 + 1);
		start = at + 8;
	}
}

/* A run that ends plainly before any class has enough of it. */
static bool too_short(const struct prefilter *p, struct span bytes, size_t from, size_t *end)
{
	size_t shortest = p->gate.text_min < LENGTH_MAX ? p->gate.text_min : LENGTH_MAX, most = shortest * 4 / 3;
	size_t room = bytes.len - from < most ? bytes.len - from : most;
	size_t count = plain_sextets(bytes.p + from, room);

	*end = from + count;
	return count && count < room && !spelling_intro[bytes.p[*end]] && bytes.p[*end] != '\n' && bytes.p[*end] != '\r';
}

struct prefilter_region open_base64(const struct prefilter *p, struct span bytes, unsigned line, size_t *at, bool *more)
{
	struct prefilter_region r = {0, 0}, chars = {0, 0};
	struct sextet_run w;
	size_t from = *at, most = PREFILTER_WINDOW + overlap(p), limit;

	if (too_short(p, bytes, from, at)) {
		*more = spelling_in_line(bytes.p[*at]);
		return r;
	}
	*at = from;
	limit = run_fill(p, bytes, line, from, &w, most, &r) && w.count == most ? PREFILTER_WINDOW : w.count;
	*at = limit ? from + w.at[limit] : from + 1;
	/* the count of the line goes on over a lone backslash, so a break behind it may be a wrap, however near */
	*more = *at < bytes.len && spelling_in_line(bytes.p[*at]);
	for (unsigned i = 0; i < p->classes; i++) {
		size_t n = wanted(&p->open_class[i]);

		if (w.odd)
			n = n > UNIT_SEXTETS ? n - UNIT_SEXTETS : 1;
		for (unsigned phase = 0; phase < 8; phase += 2)
			phase_runs(&p->open_class[i], &w, phase, n, &chars);
	}
	if (chars.begin < chars.end && chars.begin < limit) {
		if (chars.end > limit)
			chars.end = limit;
		if (w.odd) /* beginnings in front of what was found, and inside of units */
			widen(&r, from, *at);
		else
			widen(&r, from + w.at[chars.begin], from + w.at[chars.end - 1] + 1);
	}
	return r;
}
