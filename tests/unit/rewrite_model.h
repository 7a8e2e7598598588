/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The obvious replacer that the engine is compared with: at every place, in every spelling, try every pattern; take the leftmost
 * start, then the longest, then the first in file order. Needs the whole input and time that grows with everything.
 */
#ifndef TESTS_REWRITE_MODEL_H
#define TESTS_REWRITE_MODEL_H

#include "rewrite_kit.h"

enum model_lane { MODEL_TEXT, MODEL_HEX, MODEL_BASE64 };

struct model_unit {
	size_t at;
	struct unit unit; /* kind 0: one raw byte; byte is its sextet's character in base64; len of a wrap with byte '\n' */
};

struct model_match {
	size_t start, end;
	unsigned start_bit, end_bit, pattern;
	enum model_lane lane;
	size_t units;
	struct model_unit unit[600];
};

struct model_pattern {
	struct span from, to;
};

struct model {
	struct span in;
	const struct model_pattern *pattern;
	size_t patterns;
	struct model_match try, best;
	bool found;
	struct span want;
};

static inline bool model_better(const struct model_match *a, const struct model_match *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	if (a->start_bit != b->start_bit)
		return a->start_bit < b->start_bit;
	if (a->end != b->end)
		return a->end > b->end;
	if (a->end_bit != b->end_bit)
		return a->end_bit > b->end_bit;
	return a->pattern < b->pattern;
}

static inline void model_take(struct model *m, size_t end, unsigned end_bit)
{
	m->try.end = end;
	m->try.end_bit = end_bit;
	if (!m->found || model_better(&m->try, &m->best))
		m->best = m->try;
	m->found = true;
}

static inline void model_text(struct model *m, size_t at, size_t k)
{
	struct unit u[SPELLING_UNITS_AT + 1];
	bool partial = false;
	unsigned n, i;

	if (k == m->want.len) {
		m->try.units = k;
		model_take(m, at, 0);
		return;
	}
	if (at == m->in.len)
		return;
	n = spelling_units(m->in.p + at, m->in.p + m->in.len, u, &partial);
	u[n++] = (struct unit){.byte = m->in.p[at], .len = 1};
	for (i = 0; i < n; i++) {
		if (u[i].byte != m->want.p[k])
			continue;
		if (m->in.p[at] == 0 && k && (m->try.unit[k - 1].unit.kind != SPELLING_UTF16 || m->in.p[m->try.unit[k - 1].at] != 0))
			continue; /* big endian: from its beginning on, or after another such unit */
		m->try.unit[k] = (struct model_unit){at, u[i]};
		model_text(m, at + u[i].len, k + 1);
	}
}

static inline unsigned model_bit(struct span s, size_t bit)
{
	return s.p[bit / 8] >> (7 - bit % 8) & 1;
}

/* bit: of want, that comes next; skip: bits of this character in front of it. */
static inline void model_base64(struct model *m, size_t at, size_t unit, size_t bit, unsigned skip, unsigned line)
{
	struct unit u[SPELLING_UNITS_AT + 1];
	bool partial = false;
	unsigned n, i, b, wrap;

	if (at == m->in.len)
		return;
	n = spelling_units(m->in.p + at, m->in.p + m->in.len, u, &partial);
	u[n++] = (struct unit){.byte = m->in.p[at], .len = 1};
	wrap = spelling_wrap(m->in.p + at, m->in.p + m->in.len, &partial);
	if (wrap && unit && m->try.unit[unit - 1].unit.byte != '\n' && carry_line_at(m->in, at, 0) >= CARRY_LINE_FULL) {
		m->try.unit[unit] = (struct model_unit){at, {.byte = '\n', .len = (uint8_t)wrap}};
		model_base64(m, at + wrap, unit + 1, bit, skip, 0);
	}
	for (i = 0; i < n; i++) {
		unsigned sextet = spelling_sextet[u[i].byte];
		size_t next = bit;

		if (sextet > 63 || (u[i].kind & (SPELLING_PLUS | SPELLING_UTF16)))
			continue;
		for (b = skip; b < 6 && next < 8 * m->want.len && model_bit(m->want, next) == (sextet >> (5 - b) & 1); b++)
			next++;
		m->try.unit[unit] = (struct model_unit){at, u[i]};
		if (next == 8 * m->want.len) {
			m->try.units = unit + 1;
			model_take(m, at + u[i].len, b);
		} else if (b == 6) {
			model_base64(m, at + u[i].len, unit + 1, next, 0, line + 1);
		}
	}
}

static inline void model_hex(struct model *m, size_t at)
{
	size_t k;

	for (k = 0; k < m->want.len; k++)
		if (at + 2 * k + 2 > m->in.len || spelling_nibble[m->in.p[at + 2 * k]] != m->want.p[k] >> 4 ||
		    spelling_nibble[m->in.p[at + 2 * k + 1]] != (m->want.p[k] & 15))
			return;
	model_take(m, at + 2 * k, 0);
}

/* The best occurrence that starts at `at`; in base64 only from bit `bit` on when only_base64. */
static inline bool model_at(struct model *m, size_t at, bool only_base64, unsigned bit)
{
	unsigned p, b;

	m->found = false;
	for (p = 0; p < m->patterns; p++) {
		m->want = m->pattern[p].from;
		m->try.start = at;
		m->try.pattern = p;
		m->try.start_bit = 0;
		if (!only_base64) {
			m->try.lane = MODEL_TEXT;
			model_text(m, at, 0);
			m->try.lane = MODEL_HEX;
			m->try.units = 0;
			model_hex(m, at);
		}
		m->try.lane = MODEL_BASE64;
		for (b = only_base64 ? bit : 0; b < 6; b += 2) {
			m->try.start_bit = b;
			model_base64(m, at, 0, 0, b, 0);
		}
	}
	return m->found;
}

static inline void model_write_base64(const struct model_match *m, struct span to, uint8_t *out)
{
	size_t i, b, bit = 0;
	bool url = false;

	for (i = 0; i < m->units; i++)
		for (b = 0; b < m->unit[i].unit.len; b++)
			url |= out[m->unit[i].at + b] == '-' || out[m->unit[i].at + b] == '_';
	for (i = 0; i < m->units; i++) {
		const struct model_unit *u = &m->unit[i];
		struct unit now = u->unit;
		uint8_t c;
		unsigned old, value = 0;

		if (u->unit.byte == '\n')
			continue;
		/* what the character is by now: an earlier occurrence may share it */
		if (u->unit.len == 1) {
			now.byte = out[u->at];
		} else {
			struct unit again[SPELLING_UNITS_AT];
			bool partial = false;
			unsigned n = spelling_units(out + u->at, out + u->at + u->unit.len, again, &partial);

			while (n--)
				if (again[n].len == u->unit.len)
					now = again[n];
		}
		old = spelling_sextet[now.byte];
		for (b = 0; b < 6; b++) {
			unsigned one = old >> (5 - b) & 1;

			if ((i > 0 || b >= m->start_bit) && bit < 8 * to.len)
				one = model_bit(to, bit++);
			value = value << 1 | one;
		}
		c = value == old ? now.byte : spelling_sextet_char(value, url);
		if (u->unit.kind == 0)
			out[u->at] = c;
		else if (!spelling_respell(out + u->at, &u->unit, c))
			spelling_respell(out + u->at, &u->unit, 'A');
	}
}

static inline void model_write(const struct model_match *m, struct span to, uint8_t *out)
{
	size_t i;
	char hex[3];

	for (i = 0; i < m->units && m->lane == MODEL_TEXT; i++) {
		if (m->unit[i].unit.kind == 0)
			out[m->unit[i].at] = to.p[i];
		else
			spelling_respell(out + m->unit[i].at, &m->unit[i].unit, to.p[i]);
	}
	for (i = 0; i < to.len && m->lane == MODEL_HEX; i++) {
		snprintf(hex, sizeof(hex), "%02x", to.p[i]);
		memcpy(out + m->start + 2 * i, hex, 2);
	}
	if (m->lane == MODEL_BASE64)
		model_write_base64(m, to, out);
}

/* out: in.len bytes. Replaces everything by bytes of the same length. Returns the number of replacements. */
static inline unsigned model_replace(struct model *m, const struct model_pattern *pattern, size_t patterns, struct span in, uint8_t *out)
{
	size_t at = 0, shared_len = 0;
	unsigned count = 0, bit = 0;

	m->in = in;
	m->pattern = pattern;
	m->patterns = patterns;
	memcpy(out, in.p, in.len);
	while (at < in.len) {
		if (!model_at(m, at, bit != 0, bit)) {
			at += bit ? shared_len : 1;
			bit = 0;
			continue;
		}
		model_write(&m->best, pattern[m->best.pattern].to, out);
		count++;
		at = m->best.end;
		bit = 0;
		if (m->best.lane == MODEL_BASE64 && m->best.end_bit < 6) {
			at = m->best.unit[m->best.units - 1].at;
			shared_len = m->best.unit[m->best.units - 1].unit.len;
			bit = m->best.end_bit;
		}
	}
	return count;
}

#endif
