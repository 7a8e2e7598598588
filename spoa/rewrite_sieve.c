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
	sc->s = s;
	sc->in = in;
	sc->line = line;
	sc->at = 0;
	sc->spaces = 0;
	sc->found = (struct prefilter_region){0, 0};
	for (unsigned big = 0; big < 2; big++)
		sc->path[big].head = sc->path[big].count = 0;
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

#pragma GCC unroll 4
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
 * newline is not asked: it may be a carriage return. No branches: newlines come as they like. */
static INLINE uint64_t long_lines(const struct marks *m, uint64_t before)
{
	unsigned __int128 near = ((unsigned __int128)m->space << 64 | before) << 2;

	near |= near << 1;
	near |= near << 2;
	near |= near << 4;
	near |= near << 8;
	near |= near << 16;
	near |= near << 7;
	return m->newline & ~(uint64_t)(near >> 64);
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
	uint64_t before = *spaces;

	for (; at < end; at += SIEVE_BLOCK) {
		struct marks m = marks(&s, p + at);
		uint64_t special = m.escape | long_lines(&m, before);
		unsigned known = windows(&s, p + at, step);

		before = m.space;
		if (special | known) {
			*seen = (struct seen){special, known};
			break;
		}
	}
	*spaces = before;
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

bool sieve_known_at(const struct sieve *s, struct span in, size_t at)
{
	uint8_t room[SIEVE_WIDTH_MAX] = {0};

	if (at + s->width > in.len)
		return false;
	if (at + sizeof(room) <= in.len)
		return sieve_knows(s, sieve_window(in.p + at));
	memcpy(room, in.p + at, in.len - at);
	return sieve_knows(s, sieve_window(room));
}

bool sieve_beginning(const struct sieve *s, struct span in, size_t at, struct prefilter_region *r)
{
	size_t low = at, high = at;

	while (low && at - low + 1 < s->step && sieve_known_at(s, in, low - 1))
		low--;
	while (high - at + 1 < s->step && sieve_known_at(s, in, high + 1))
		high++;
	if (high - low + 1 < s->step)
		return false;
	*r = (struct prefilter_region){low ? low - 1 : 0, high - s->step + 2};
	return true;
}

void sieve_widen(struct prefilter_region *r, size_t begin, size_t end)
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
		if (sieve_known_at(sc->s, sc->in, at) && sieve_beginning(sc->s, sc->in, at, &one))
			sieve_widen(r, one.begin, one.end);
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
		sieve_escape(sc, at + (size_t)__builtin_ctzll(seen.special), r);
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
		if (pending.begin < pending.end && at > pending.end + sc->s->back) {
			sc->found = now;
			break;
		}
		sieve_widen(&pending, now.begin, now.end);
	}
	*r = pending;
	return pending.begin < pending.end;
}
