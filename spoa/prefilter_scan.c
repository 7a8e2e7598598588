/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Three searches side by side, block after block as the gate names them: grams of anchored shapes, runs of text and of base64. What they
 * find is handed out in order of beginning.
 */
#include "carry.h"
#include "prefilter_internal.h"
#include "spelling.h"

enum { ANCHORED, TEXT, BASE64 };

static bool empty(const struct prefilter_region *r)
{
	return r->begin >= r->end;
}

/* The first beginning in from..until of `min` members in a row. *end: of the run, or `cap` bytes from its beginning. */
static bool find_run(const struct gate *g, unsigned gate_class, size_t min, struct span bytes, size_t from, size_t until, size_t cap,
                     size_t *begin, size_t *end)
{
	size_t b = from, i;

	while (b < until && bytes.len - b >= min) {
		/* from the back: what is no member there settles all beginnings in front of it */
		for (i = b + min; i > b && g->run[bytes.p[i - 1]] & gate_class; i--)
			;
		if (i > b) {
			b = i;
			continue;
		}
		for (i = b + min; i < bytes.len && i - b < cap && g->run[bytes.p[i]] & gate_class; i++)
			;
		*begin = b;
		*end = i;
		return true;
	}
	return false;
}

/* An event is a gram at its place, or an escape up to three bytes behind the beginning. */
static void search_anchored(struct prefilter_scan *s, size_t from)
{
	for (; s->events; s->events &= s->events - 1) {
		size_t event = s->block + (size_t)__builtin_ctzll(s->events), at = event;

		if (spelling_intro[s->bytes.p[event]])
			at = event > GATE_SLACK ? event - GATE_SLACK : 0;
		for (at = at < from ? from : at; at <= event; at++) {
			if (!gate_begins(&s->p->gate, s->bytes, at, false) ||
			    !(walk_fits(&s->p->anchored, s->bytes, at, s->line, FIT_WHOLE) & FIT_WHOLE))
				continue;
			s->next[ANCHORED] = (struct prefilter_region){at, at + 1};
			if (at >= s->quiet) /* an escape in the next block may belong to a beginning in front of this one */
				s->next[ANCHORED] = (struct prefilter_region){s->quiet, s->seen};
			return;
		}
	}
}

static void search_text(struct prefilter_scan *s)
{
	const struct gate *g = &s->p->gate;
	size_t begin, end, until;

	while (s->text < s->text_end && empty(&s->next[TEXT])) {
		if (!find_run(g, GATE_TEXT, g->text_min, s->bytes, s->text, s->text_end, PREFILTER_WINDOW + 2 * s->p->open_longest, &begin, &end)) {
			s->text = s->text_end;
			return;
		}
		until = end - begin > PREFILTER_WINDOW ? begin + PREFILTER_WINDOW : end;
		s->next[TEXT] = open_text(s->p, s->bytes, begin, until, end);
		s->text = until;
	}
}

/* A run is searched from its beginning on, which may lie in front of `from`. */
static void clip(struct prefilter_region *r, size_t from)
{
	if (r->begin < from)
		r->begin = from;
}

static void search_base64(struct prefilter_scan *s, size_t from)
{
	const struct gate *g = &s->p->gate;
	size_t begin, end;

	while (s->base64 < (s->more ? s->quiet : s->line_end) && empty(&s->next[BASE64])) {
		if (!s->more) {
			if (!find_run(g, GATE_LINE, g->line_min, s->bytes, s->base64, s->line_end, g->line_min, &begin, &end)) {
				s->base64 = s->line_end;
				return;
			}
			s->base64 = begin;
		}
		s->next[BASE64] = open_base64(s->p, s->bytes, s->line, &s->base64, &s->more);
		clip(&s->next[BASE64], from);
	}
}

/* Anchored shapes in base64 whose first characters a line break cuts: the gate sees no gram there. */
static void search_breaks(struct prefilter_scan *s, size_t from)
{
	for (; empty(&s->next[BASE64]) && (s->base64 = gate_next_break(s->bytes, s->base64, s->line_end)) < s->line_end; s->base64++) {
		open_break(s->p, s->bytes, s->line, s->base64, &s->next[BASE64]);
		clip(&s->next[BASE64], from);
	}
}

/* Whatever the block deserves a look for, all runs that begin in front of `quiet` are searched: what begins later is handed out later. */
static void take_runs(struct prefilter_scan *s, const struct gate_find *find)
{
	const struct gate *g = &s->p->gate;
	size_t back;

	/* a run may have begun in front of the block that shows it */
	back = find->block > g->text_min + GATE_BLOCK ? find->block - g->text_min - GATE_BLOCK : 0;
	if (s->text < back)
		s->text = back;
	back = find->block > g->line_min + GATE_BLOCK ? find->block - g->line_min - GATE_BLOCK : 0;
	if (s->base64 < back && !s->more)
		s->base64 = back;
	s->text_end = s->line_end = s->quiet;
}

/* A break just behind the block belongs to beginnings in it. */
static void take_breaks(struct prefilter_scan *s, const struct gate_find *find)
{
	if (!find->line)
		return;
	if (s->base64 < find->block)
		s->base64 = find->block;
	s->line_end = s->bytes.len - find->block > GATE_BLOCK + GATE_GRAM ? find->block + GATE_BLOCK + GATE_GRAM : s->bytes.len;
}

/* Where the gate goes on. After a jump it starts somewhat in front: a run that ends just behind shows in the block of its last whole group. */
static size_t gate_from(const struct prefilter_scan *s)
{
	if (s->seen <= s->gate_end)
		return s->gate_end;
	return s->seen > GATE_GRAM ? s->seen - GATE_GRAM : 0;
}

/* The next block that deserves a look and what shows in it reaches behind `seen`, which is a little more than itself; NULL: there is none. */
static const struct gate_find *next_find(struct prefilter_scan *s)
{
	for (;;) {
		const struct gate_find *find = &s->find[s->finds_taken];

		if (s->finds_taken == s->finds) {
			s->finds_taken = 0;
			s->finds = s->p->form->next(&s->p->gate, s->bytes, gate_from(s), s->find, &s->gate_end);
			if (!s->finds)
				return NULL;
			continue;
		}
		s->finds_taken++;
		if (find->block + GATE_BLOCK + GATE_SLACK >= s->seen)
			return find;
	}
}

/* Takes the next block in, or what is left at the end. */
static void next_block(struct prefilter_scan *s)
{
	const struct gate *g = &s->p->gate;
	const struct gate_find *find = next_find(s);
	size_t seen, quiet;

	s->events = 0;
	if (!find) {
		s->quiet = s->seen = s->bytes.len;
		return;
	}
	s->block = find->block;
	s->events = find->events;
	seen = s->bytes.len - find->block > GATE_BLOCK ? find->block + GATE_BLOCK : s->bytes.len;
	quiet = seen < s->bytes.len ? seen - GATE_SLACK : seen;
	if (s->seen < seen)
		s->seen = seen;
	if (s->quiet < quiet)
		s->quiet = quiet;
	if (g->breaks)
		take_breaks(s, find);
	else
		take_runs(s, find);
}

/* A base64 line that began in front of these bytes may be shorter here than a run has to be. Returns the place of a break that may be in it. */
static size_t first_break(const struct prefilter_scan *s)
{
	for (size_t n = 0; n < s->bytes.len && n < CARRY_LINE_FULL; n++) {
		uint8_t c = s->bytes.p[n];

		if (s->line + n >= CARRY_LINE_FULL && (c == '\n' || c == '\r' || c == '\\'))
			return n;
		if (!spelling_in_line(c))
			break;
	}
	return CARRY_LINE_FULL;
}

static void first_line(struct prefilter_scan *s)
{
	size_t n = first_break(s), at;

	if (n == CARRY_LINE_FULL)
		return;
	for (at = 0; s->p->gate.grams && at < CARRY_LINE_FULL && at < s->bytes.len && empty(&s->next[ANCHORED]); at++)
		if (gate_begins(&s->p->gate, s->bytes, at, false) && walk_fits(&s->p->anchored, s->bytes, at, s->line, FIT_WHOLE) & FIT_WHOLE)
			s->next[ANCHORED] = (struct prefilter_region){at, at + CARRY_LINE_FULL < s->bytes.len ? CARRY_LINE_FULL : s->bytes.len};
	s->more = !s->p->gate.breaks;
	if (s->p->gate.breaks)
		s->line_end = s->bytes.len < CARRY_LINE_FULL ? s->bytes.len : CARRY_LINE_FULL;
}

void prefilter_scan_init(struct prefilter_scan *s, const struct prefilter *p, struct span bytes, unsigned line)
{
	*s = (struct prefilter_scan){.p = p, .bytes = bytes, .line = line};
	if (p->longest == 0 || bytes.len < p->shortest) { /* no spelling is shorter than what it spells */
		s->quiet = s->seen = bytes.len;
		return;
	}
	if (line)
		first_line(s);
}

static void skip_to(struct prefilter_scan *s, size_t from)
{
	for (unsigned i = 0; i < 3; i++)
		clip(&s->next[i], from);
	if (s->quiet < from)
		s->quiet = from;
	if (s->seen < from) {
		s->seen = from;
		s->events = 0;
	}
	if (s->text < from)
		s->text = from;
	/* a base64 run that began in front of `from` still decides about a line break behind it, so it goes on there */
	if (s->base64 < from && s->more)
		s->base64 = from;
}

bool prefilter_next(struct prefilter_scan *s, size_t from, struct prefilter_region *r)
{
	skip_to(s, from);
	for (;;) {
		const struct prefilter_region *best = NULL;

		if (empty(&s->next[ANCHORED]))
			search_anchored(s, from);
		search_text(s);
		if (s->p->gate.breaks)
			search_breaks(s, from);
		else
			search_base64(s, from);
		for (unsigned i = 0; i < 3; i++)
			if (!empty(&s->next[i]) && (!best || s->next[i].begin < best->begin))
				best = &s->next[i];
		if (best && (best->begin < s->quiet || s->quiet == s->bytes.len)) {
			*r = *best;
			return true;
		}
		if (s->quiet == s->bytes.len)
			return false;
		next_block(s);
	}
}
