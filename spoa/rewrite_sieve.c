/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking through a sieve, in blocks of 64 bytes: windows, and characters that may change how a beginning is written.
 */
#include "rewrite_sieve.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define INLINE inline __attribute__((always_inline)) /* into forms for several processors */

void sieve_scan_init(struct sieve_scan *sc, const struct sieve *s, struct span in, unsigned line)
{
	*sc = (struct sieve_scan){.s = s, .in = in, .line = line, .run_over = true};
}

static bool is_special(const struct sieve *s, uint8_t c)
{
	return c == '\\' || c == '%' || c == '&' || c == '\n' || c == 0 || (c == '+' && s->space);
}

/* Of a block, bit by bit: what may begin or be part of an escape; newlines; what ends a line of base64, however it is escaped. */
struct marks {
	uint64_t escape, newline, space;
};

static struct marks marks_few(const struct sieve *s, const uint8_t *p, size_t n)
{
	struct marks m = {0, 0, 0};
	size_t i;

	for (i = 0; i < n; i++) {
		m.escape |= (uint64_t)(p[i] != '\n' && is_special(s, p[i])) << i;
		m.newline |= (uint64_t)(p[i] == '\n') << i;
		m.space |= (uint64_t)(p[i] <= ' ') << i;
	}
	return m;
}

static INLINE struct marks marks(const struct sieve *s, const uint8_t *p)
{
#ifdef __SSE2__
	const __m128i plus = _mm_set1_epi8(s->space ? '+' : 0), space = _mm_set1_epi8(' ');
	struct marks m = {0, 0, 0};
	unsigned i;

	for (i = 0; i < SIEVE_BLOCK; i += 16) {
		__m128i v = _mm_loadu_si128((const void *)(p + i)), e;

		e = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), _mm_cmpeq_epi8(v, plus));
		e = _mm_or_si128(e, _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('%')), _mm_cmpeq_epi8(v, _mm_set1_epi8('&'))));
		e = _mm_or_si128(e, _mm_cmpeq_epi8(v, _mm_setzero_si128()));
		m.escape |= (uint64_t)(unsigned)_mm_movemask_epi8(e) << i;
		m.newline |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))) << i;
		m.space |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, space), v)) << i;
	}
	return m;
#else
	return marks_few(s, p, SIEVE_BLOCK);
#endif
}

/* Newlines that end a line long enough for base64, as far as spaces tell; `before` are those of the block in front. The byte just before a
 * newline is not asked: it may be a carriage return. */
static INLINE uint64_t long_lines(const struct marks *m, uint64_t before)
{
	uint64_t found = 0, rest;

	for (rest = m->newline; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);
		uint64_t line = i >= CARRY_LINE_FULL ? m->space >> (i - CARRY_LINE_FULL) :
		                m->space << (CARRY_LINE_FULL - i) | before >> (SIEVE_BLOCK - CARRY_LINE_FULL + i);

		if ((line & ((UINT64_C(1) << (CARRY_LINE_FULL - 1)) - 1)) == 0)
			found |= rest & -rest;
	}
	return found;
}

/* Is one of the windows that are looked up in a whole block known? Eight bytes follow the block. */
static INLINE unsigned windows(const struct sieve *s, const uint8_t *p, unsigned step)
{
	unsigned known = 0, i;

#pragma GCC unroll 64
	for (i = 0; i < SIEVE_BLOCK; i += step)
		known |= (unsigned)sieve_knows(s, sieve_window(p + i));
	return known;
}

/* What a block shows. */
struct seen {
	uint64_t special;
	unsigned known;
};

/* The first block that shows something, or `end`: the last block begins in front of it. */
static INLINE size_t search_by(const struct sieve *sieve, const uint8_t *p, size_t at, size_t end, uint64_t *spaces, struct seen *seen, unsigned step)
{
	const struct sieve s = *sieve;

	for (; at < end; at += SIEVE_BLOCK) {
		struct marks m = marks(&s, p + at);

		seen->special = m.escape | (m.newline ? long_lines(&m, *spaces) : 0);
		seen->known = windows(&s, p + at, step);
		*spaces = m.space;
		if (seen->special | seen->known)
			break;
	}
	return at;
}

static INLINE size_t search_any(const struct sieve *s, const uint8_t *p, size_t at, size_t end, uint64_t *spaces, struct seen *seen)
{
	switch (s->step) {
	case 16:
		return search_by(s, p, at, end, spaces, seen, 16);
	case 8:
		return search_by(s, p, at, end, spaces, seen, 8);
	default:
		return search_by(s, p, at, end, spaces, seen, s->step);
	}
}

static size_t search_plain(const struct sieve *s, const uint8_t *p, size_t at, size_t end, uint64_t *spaces, struct seen *seen)
{
	return search_any(s, p, at, end, spaces, seen);
}

#ifdef __x86_64__
/* The same code for a processor that shifts and counts bits faster. */
__attribute__((target("avx2,bmi,bmi2,lzcnt"))) static size_t search_avx2(const struct sieve *s, const uint8_t *p, size_t at, size_t end,
                                                                         uint64_t *spaces, struct seen *seen)
{
	return search_any(s, p, at, end, spaces, seen);
}
#endif

static size_t search(const struct sieve *s, const uint8_t *p, size_t at, size_t end, uint64_t *spaces, struct seen *seen)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		return search_avx2(s, p, at, end, spaces, seen);
#endif
	return search_plain(s, p, at, end, spaces, seen);
}

/* A window that may reach behind the end. */
static bool known_at(const struct sieve *s, struct span in, size_t at)
{
	uint8_t room[SIEVE_WIDTH_MAX] = {0};

	if (at + s->width > in.len)
		return false;
	if (at + sizeof(room) <= in.len)
		return sieve_knows(s, sieve_window(in.p + at));
	memcpy(room, in.p + at, in.len - at);
	return sieve_knows(s, sieve_window(room));
}

/* Do the windows around a known one make up a beginning? Then it is at one of these places. */
static bool beginning(const struct sieve *s, struct span in, size_t at, struct prefilter_region *r)
{
	size_t low = at, high = at;

	while (low && at - low + 1 < s->step && known_at(s, in, low - 1))
		low--;
	while (high - at + 1 < s->step && known_at(s, in, high + 1))
		high++;
	if (high - low + 1 < s->step)
		return false;
	*r = (struct prefilter_region){low ? low - 1 : 0, high - s->step + 2};
	return true;
}

static void widen(struct prefilter_region *r, size_t begin, size_t end)
{
	if (r->begin >= r->end) {
		*r = (struct prefilter_region){begin, end};
		return;
	}
	if (begin < r->begin)
		r->begin = begin;
	if (end > r->end)
		r->end = end;
}

static void look(const struct sieve_scan *sc, size_t from, size_t until, struct prefilter_region *r)
{
	struct prefilter_region one;
	size_t at;

	for (at = from; at < until; at += sc->s->step)
		if (known_at(sc->s, sc->in, at) && beginning(sc->s, sc->in, at, &one))
			widen(r, one.begin, one.end);
}

static size_t back_from(const struct sieve_scan *sc, size_t at)
{
	return at > sc->s->back ? at - sc->s->back : 0;
}

static size_t wrap_end(const struct sieve_scan *sc, size_t at)
{
	bool partial = false;

	return at + spelling_wrap(sc->in.p + at, sc->in.p + sc->in.len, &partial);
}

/* The windows around a line break inside base64, as if it were not there. Escapes behind it are told by themselves; with one in front
 * of it nothing is known. */
static bool known_over_wrap(const struct sieve_scan *sc, size_t at, size_t len)
{
	uint8_t room[2 * (SIEVE_STEP_MAX + SIEVE_WIDTH_MAX + SPELLING_UNIT_MAX)];
	const struct sieve *s = sc->s;
	size_t from = back_from(sc, at), n = at - from, i;
	struct prefilter_region r;
	struct span joined;

	for (i = from; i < at; i++)
		if (is_special(s, sc->in.p[i]))
			return true;
	memcpy(room, sc->in.p + from, n);
	for (i = at + len; i < sc->in.len && i - at - len < s->back && !is_special(s, sc->in.p[i]); i++)
		room[n++] = sc->in.p[i];
	joined = span_of(room, n);
	for (i = 0; i < n; i += s->step)
		if (known_at(s, joined, i) && beginning(s, joined, i, &r))
			return true;
	return false;
}

/* A line break that may stand inside base64 begins here, or one byte before. */
static void look_at_wrap(const struct sieve_scan *sc, size_t at, struct prefilter_region *r)
{
	size_t end;

	if (at && sc->in.p[at] == '\n' && sc->in.p[at - 1] == '\r')
		at--;
	if (at == 0 || !spelling_in_line(sc->in.p[at - 1]))
		return;
	end = wrap_end(sc, at);
	if (end > at && carry_line_at(sc->in, at, sc->line) >= CARRY_LINE_FULL && known_over_wrap(sc, at, end - at))
		widen(r, back_from(sc, at), at);
}

/* What \n and the like spell. */
static const uint8_t short_escape[256] = {['"'] = '"', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* May two bytes begin an escape of one level? */
static bool escape_possible(const uint8_t *p)
{
	switch (p[0]) {
	case '\\':
		return short_escape[p[1]] || p[1] == 'u' || p[1] == '\\';
	case '%':
		return spelling_nibble[p[1]] < 16;
	case '&':
		return p[1] == '#' || p[1] == 'a' || p[1] == 'l' || p[1] == 'g' || p[1] == 'q';
	default:
		return false;
	}
}

/* No unit at `at` counts when this is false: by its first bytes, because most of what looks like an escape in source text is none. */
static bool unit_possible(const struct sieve_scan *sc, size_t at)
{
	const uint8_t *p = sc->in.p + at, *member = sc->s->member;
	unsigned value;

	if (sc->in.len - at < 3 || *p == 0 || *p == '+' || p[1] == 0)
		return true;
	if (p[0] == '\\' && p[1] == '\\')
		return member['\\'] || member[short_escape[p[2]]] || p[2] == 'u' || spelling_intro[p[2]];
	if (spelling_intro[p[1]]) /* its second character is escaped, or it is none */
		return escape_possible(p + 1);
	if (!escape_possible(p))
		return false;
	switch (*p) {
	case '\\':
		return p[1] == 'u' || member[short_escape[p[1]]];
	case '%':
		value = (unsigned)spelling_nibble[p[1]] << 4 | spelling_nibble[p[2]];
		return spelling_intro[p[2]] || (spelling_nibble[p[2]] < 16 && (member[value] || spelling_intro[value]));
	default:
		return p[1] == '#' || spelling_intro[p[2]] || p[2] == (p[1] == 'q' ? 'u' : p[1] == 'a' ? 'm' : 't') || (p[1] == 'a' && p[2] == 'p');
	}
}

/* The end of what units beginning at `at` spell of the patterns or of base64; `at`: of nothing. */
static size_t unit_end(const struct sieve_scan *sc, size_t at)
{
	const uint8_t *p = sc->in.p + at, *end = sc->in.p + sc->in.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	size_t longest = 0;
	unsigned n;

	if (!spelling_intro[*p] && !(p + 1 < end && p[1] == 0))
		return at;
	n = spelling_units(p, end, units, &partial);
	while (n--)
		if (sc->s->member[units[n].byte] && units[n].len > longest)
			longest = units[n].len;
	return at + longest;
}

/* How many bytes from `at` on an occurrence may have, or enough for one. A run that was followed before is gone on with, so that all runs
 * together take time for each byte once. */
static size_t run_from(struct sieve_scan *sc, size_t at)
{
	if (at < sc->run || at > sc->run_end || (at == sc->run_end && sc->run_over)) {
		sc->run = sc->run_end = sc->covered = at;
		sc->run_over = false;
	}
	while (!sc->run_over && sc->run_end < sc->in.len && sc->run_end - at < sc->s->shortest) {
		size_t unit = unit_end(sc, sc->run_end), wrap = wrap_end(sc, sc->run_end), end = unit > wrap ? unit : wrap;

		if (end > sc->covered)
			sc->covered = end;
		if (sc->s->member[sc->in.p[sc->run_end]] || sc->run_end < sc->covered)
			sc->run_end++;
		else
			sc->run_over = true;
	}
	return sc->run_end - at;
}

/* Bytes in front of `at` that an occurrence may have there, none of them in a unit, or `enough`. */
static size_t run_before(const struct sieve_scan *sc, size_t at, size_t enough)
{
	size_t n = 0;

	while (n < at && n < enough) {
		uint8_t c = sc->in.p[at - n - 1];

		if (!sc->s->member[c] && c != '\\' && c != '\n' && c != '\r')
			break;
		n++;
	}
	return n;
}

/* May an occurrence have a unit here that is its first one other than raw? */
static bool unit_counts(struct sieve_scan *sc, size_t at)
{
	size_t n;

	if (!unit_possible(sc, at) || unit_end(sc, at) == at)
		return false;
	n = run_from(sc, at);
	return n >= sc->s->shortest || n + run_before(sc, at, sc->s->shortest - n) >= sc->s->shortest;
}

static void look_at_special(struct sieve_scan *sc, size_t at, struct prefilter_region *r)
{
	uint8_t c = sc->in.p[at];

	if (c == '\n' || c == '\\')
		look_at_wrap(sc, at, r);
	if (c == '\n')
		return;
	if (unit_counts(sc, at) || (c == 0 && at && sc->in.p[at - 1] && unit_counts(sc, at - 1)))
		widen(r, back_from(sc, at), at + 1);
}

/* Beginnings in the next block that shows any, and what comes before it is passed. Returns where the block begins. */
static size_t next_block(struct sieve_scan *sc, struct prefilter_region *r)
{
	size_t left = sc->in.len - sc->at, n = SIEVE_BLOCK, at;
	struct seen seen = {0, 0};

	*r = (struct prefilter_region){0, 0};
	if (left >= SIEVE_BLOCK + SIEVE_WIDTH_MAX) {
		size_t end = sc->at + (left - SIEVE_WIDTH_MAX) / SIEVE_BLOCK * SIEVE_BLOCK;

		at = search(sc->s, sc->in.p, sc->at, end, &sc->spaces, &seen);
		sc->at = at < end ? at + SIEVE_BLOCK : end;
		if (at == end)
			return at;
	} else {
		struct marks m;

		at = sc->at;
		n = left < SIEVE_BLOCK ? left : SIEVE_BLOCK;
		m = marks_few(sc->s, sc->in.p + at, n);
		seen.special = m.escape | long_lines(&m, sc->spaces);
		seen.known = true;
		sc->spaces = m.space;
		sc->at = at + n;
	}
	if (seen.known)
		look(sc, at, at + n, r);
	for (; seen.special; seen.special &= seen.special - 1)
		look_at_special(sc, at + (size_t)__builtin_ctzll(seen.special), r);
	return at;
}

bool sieve_next(struct sieve_scan *sc, size_t from, struct prefilter_region *r)
{
	struct prefilter_region pending = sc->found, now;
	size_t at;

	if (sc->at < from) {
		sc->at = from - from % SIEVE_BLOCK;
		sc->spaces = 0;
	}
	if (pending.begin < from)
		pending.begin = from;
	sc->found = (struct prefilter_region){0, 0};
	while (sc->at < sc->in.len) {
		at = next_block(sc, &now);
		if (now.begin < from)
			now.begin = from;
		if (now.begin >= now.end)
			continue;
		/* what comes later begins at most so far in front of its block */
		if (pending.begin < pending.end && back_from(sc, at) > pending.end) {
			sc->found = now;
			break;
		}
		widen(&pending, now.begin, now.end);
	}
	*r = pending;
	return pending.begin < pending.end;
}
