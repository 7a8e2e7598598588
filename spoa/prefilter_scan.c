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

/* Is it a hit by the exact sets, too? The vector forms may say more. */
static bool is_gram(const struct gate *g, struct span bytes, size_t at)
{
	uint8_t buckets = 255;

	for (unsigned k = 0; k < GATE_GRAM && at + k < bytes.len; k++)
		buckets &= g->gram[k][bytes.p[at + k]];
	return buckets;
}

/* A hit is a gram at its place, or an escape up to three characters behind the beginning; the last place of a block stands for escapes
 * behind the block as well. */
static void search_anchored(struct prefilter_scan *s, size_t from)
{
	const struct gate *g = &s->p->gate;

	for (; s->grams; s->grams &= s->grams - 1) {
		size_t hit = s->block + (size_t)__builtin_ctzll(s->grams), at = hit;

		if (hit + 2 < s->bytes.len && !(s->bytes.p[hit] | s->bytes.p[hit + 1] | s->bytes.p[hit + 2]))
			continue; /* no spelling has three zero bytes in a row */
		if (hit == s->block + GATE_BLOCK - 1 || spelling_intro[s->bytes.p[hit]])
			at = hit > GATE_SLACK ? hit - GATE_SLACK : 0;
		else if (!is_gram(g, s->bytes, hit))
			continue;
		for (at = at < from ? from : at; at <= hit; at++)
			if (g->gram[0][s->bytes.p[at]] && walk_fits(&s->p->anchored, s->bytes, at, s->line, FIT_WHOLE) & FIT_WHOLE) {
				s->next[ANCHORED] = (struct prefilter_region){at, at + 1};
				return;
			}
	}
}

static void search_text(struct prefilter_scan *s)
{
	const struct gate *g = &s->p->gate;
	size_t begin, end, until;

	if (!g->text_min)
		return;
	while (s->text < s->quiet && empty(&s->next[TEXT])) {
		if (!find_run(g, GATE_TEXT, g->text_min, s->bytes, s->text, s->quiet, PREFILTER_WINDOW + 2 * s->p->open_longest, &begin, &end)) {
			s->text = s->quiet;
			return;
		}
		until = end - begin > PREFILTER_WINDOW ? begin + PREFILTER_WINDOW : end;
		s->next[TEXT] = open_text(s->p, s->bytes, begin, until, end);
		s->text = until;
	}
}

static void search_base64(struct prefilter_scan *s)
{
	const struct gate *g = &s->p->gate;
	size_t begin, end;

	while (s->base64 < s->quiet && empty(&s->next[BASE64])) {
		if (!s->more) {
			if (!g->line_min)
				return;
			if (!find_run(g, GATE_LINE, g->line_min, s->bytes, s->base64, s->quiet, g->line_min, &begin, &end)) {
				s->base64 = s->quiet;
				return;
			}
			s->base64 = begin;
		}
		s->next[BASE64] = open_base64(s->p, s->bytes, s->line, &s->base64, &s->more);
	}
}

/* Takes the next block in, or what is left at the end. */
static void next_block(struct prefilter_scan *s)
{
	const struct gate *g = &s->p->gate;
	struct gate_find find;
	size_t back, i;

	if (!s->p->form->next(g, s->bytes, s->quiet, &find))
		find.grams = gate_grams(g, s->bytes, find.block);
	s->block = find.block;
	s->grams = find.grams;
	s->quiet = s->bytes.len - find.block > GATE_BLOCK ? find.block + GATE_BLOCK : s->bytes.len;
	/* an escape at the beginning of the next block may belong to a beginning just in front of it */
	for (i = 0; s->p->gate.grams && i < GATE_SLACK && s->quiet + i < s->bytes.len; i++)
		if (spelling_intro[s->bytes.p[s->quiet + i]])
			s->grams |= UINT64_C(1) << (GATE_BLOCK - 1);
	/* a run may have begun in front of the block that shows it */
	back = find.block > g->text_min + GATE_BLOCK ? find.block - g->text_min - GATE_BLOCK : 0;
	if (s->text < back)
		s->text = back;
	back = find.block > g->line_min + GATE_BLOCK ? find.block - g->line_min - GATE_BLOCK : 0;
	if (s->base64 < back && !s->more)
		s->base64 = back;
}

/* A base64 line that began in front of these bytes may be shorter here than a run has to be. */
static void first_line(struct prefilter_scan *s)
{
	size_t n;

	for (n = 0; n < s->bytes.len && n < CARRY_LINE_FULL && !s->more; n++) {
		uint8_t c = s->bytes.p[n];

		s->more = s->line + n >= CARRY_LINE_FULL && (c == '\n' || c == '\r' || c == '\\');
		if (!spelling_in_line(c))
			break;
	}
}

void prefilter_scan_init(struct prefilter_scan *s, const struct prefilter *p, struct span bytes, unsigned line)
{
	*s = (struct prefilter_scan){.p = p, .bytes = bytes, .line = line};
	if (line && p->gate.line_min)
		first_line(s);
	if (p->longest == 0)
		s->quiet = bytes.len;
}

static void skip_to(struct prefilter_scan *s, size_t from)
{
	for (unsigned i = 0; i < 3; i++)
		if (s->next[i].begin < from)
			s->next[i].begin = from;
	if (s->quiet < from) {
		s->quiet = from;
		s->grams = 0;
	}
	if (s->text < from)
		s->text = from;
	if (s->base64 < from)
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
		search_base64(s);
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
