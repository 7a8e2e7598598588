/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Beginnings that an escape or a line break near them changes: the windows are looked up as they are when it is decoded.
 *
 *   input     … a  b  c  d  %  4  1  f  \  /  g …
 *   joined      a  b  c  d  A        f  /     g          plain bytes in front of the first escape, and the path from it on
 *
 * The path is what units and line breaks spell as long as there is one way to read them; where there are more nothing is known, and each beginning in
 * reach may be one. It is kept from one escape to the next, so that every byte is read once.
 */
#include "rewrite_sieve.h"

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

struct reading {
	size_t len;
	uint8_t byte;
	bool wrap, big; /* a line break: no byte; a zero byte in front of the byte */
};

static size_t wrap_at(const struct sieve_scan *sc, size_t at)
{
	bool partial = false;
	size_t len;

	if (at == 0 || !spelling_in_line(sc->in.p[at - 1]))
		return 0;
	len = spelling_wrap(sc->in.p + at, sc->in.p + sc->in.len, &partial);
	return len && carry_line_at(sc->in, at, sc->line) >= CARRY_LINE_FULL ? len : 0;
}

/* Ways to read what stands at `at` other than raw that matter: a byte of a pattern or of base64, or a line break inside base64. *r: one of them. */
static unsigned readings(const struct sieve_scan *sc, size_t at, bool big, struct reading *r)
{
	const uint8_t *p = sc->in.p + at, *end = sc->in.p + sc->in.len;
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	unsigned count = 0, n;
	size_t wrap;

	if (*p == 0 ? big : (spelling_intro[*p] && unit_possible(sc, at)) || (p + 1 < end && p[1] == 0)) {
		for (n = spelling_units(p, end, units, &partial); n--;)
			if (sc->s->member[units[n].byte]) {
				*r = (struct reading){.len = units[n].len, .byte = units[n].byte, .big = *p == 0};
				count++;
			}
	}
	wrap = *p == '\n' || *p == '\r' || *p == '\\' ? wrap_at(sc, at) : 0;
	if (wrap) {
		*r = (struct reading){.len = wrap, .wrap = true};
		count++;
	}
	return count;
}

static void path_add(struct sieve_path *path, size_t at, const struct reading *r)
{
	if (!r->wrap) {
		path->at[path->head + path->count] = at;
		path->byte[path->head + path->count++] = r->byte;
	}
	path->next = at + r->len;
	path->big = r->big;
}

/* Nothing but itself may be read where this byte stands: no escape, line break or zero byte begins with it or follows. */
static bool is_plain(const struct sieve_scan *sc, size_t at)
{
	uint8_t c = sc->in.p[at];

	return !spelling_intro[c] && c != '\n' && c != '\r' && at + 1 < sc->in.len && sc->in.p[at + 1] != 0;
}

/* The one way to read what comes next on a path. Else 0: there is none; 2: there are several. */
static unsigned next_reading(const struct sieve_scan *sc, const struct sieve_path *path, struct reading *r)
{
	size_t at = path->next;
	struct reading raw;
	unsigned n;

	if (at >= sc->in.len)
		return 0;
	raw = (struct reading){.len = 1, .byte = sc->in.p[at]};
	n = is_plain(sc, at) ? 0 : readings(sc, at, path->big, r);
	if (!sc->s->member[raw.byte] || (n && at + 1 < sc->in.len && sc->in.p[at + 1] == 0)) /* with the zero byte it is the same byte */
		return n;
	if (n == 0)
		*r = raw;
	return n + 1;
}

static void path_go_on(struct sieve_scan *sc, struct sieve_path *path, unsigned count)
{
	struct reading r;

	while (path->count < count && !path->over) {
		unsigned n = next_reading(sc, path, &r);

		path->over = n != 1;
		path->unsure = n > 1;
		if (n == 1)
			path_add(path, path->next, &r);
	}
}

/* Makes the path begin with r, which stands at `at`; what is known of it already stays. */
static void path_from(struct sieve_path *path, size_t at, const struct reading *r)
{
	size_t first = r->wrap ? at + r->len : at;

	while (path->count && path->at[path->head] < first) {
		path->head++;
		path->count--;
	}
	if (path->head > SIEVE_PATH) {
		memmove(path->at, path->at + path->head, path->count * sizeof(path->at[0]));
		memmove(path->byte, path->byte + path->head, path->count);
		path->head = 0;
	}
	if (path->count && path->at[path->head] == first)
		return;
	path->head = path->count = 0;
	path->over = path->unsure = false;
	path_add(path, at, r);
}

/* Beginnings at `at` or in front of it, whose first byte that is not written plainly stands at `at` and is r. */
static void look_around(struct sieve_scan *sc, size_t at, const struct reading *r, struct prefilter_region *region)
{
	uint8_t room[2 * SIEVE_PATH];
	const struct sieve *s = sc->s;
	struct sieve_path *path = &sc->path[r->big];
	size_t reach = s->step + s->width, before = r->big ? 0 : at < reach ? at : reach, from = at - before, behind, i;
	struct prefilter_region one;
	struct span joined;

	path_from(path, at, r);
	path_go_on(sc, path, (unsigned)reach + 1);
	if (path->unsure && path->count <= reach) {
		sieve_widen(region, at > s->back ? at - s->back : 0, at + 1);
		return;
	}
	behind = path->count <= reach ? path->count : reach + 1;
	memcpy(room, sc->in.p + from, before);
	memcpy(room + before, path->byte + path->head, behind);
	joined = span_of(room, before + behind);
	for (i = 0; i <= before + s->step; i += s->step)
		if (sieve_known_at(s, joined, i) && sieve_beginning(s, joined, i, &one) && from + one.begin <= at)
			sieve_widen(region, from + one.begin, from + one.end <= at ? from + one.end : at + 1);
}

static void look_from(struct sieve_scan *sc, size_t at, bool big, struct prefilter_region *region)
{
	struct reading r;
	unsigned n = readings(sc, at, big, &r);

	if (n == 1)
		look_around(sc, at, &r, region);
	else if (n > 1)
		sieve_widen(region, at > sc->s->back ? at - sc->s->back : 0, at + 1);
}

void sieve_escape(struct sieve_scan *sc, size_t at, struct prefilter_region *region)
{
	const uint8_t *p = sc->in.p + at;

	if (*p == 0) {
		if (at && p[-1])
			look_from(sc, at - 1, false, region);
		if (at + 1 < sc->in.len && p[1])
			look_from(sc, at, true, region);
		return;
	}
	if (*p == '\n' && at && p[-1] == '\r')
		at--;
	look_from(sc, at, false, region);
}
