/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compiling shapes into a prefilter.
 */
#include <stdlib.h>

#include "carry.h"
#include "prefilter_internal.h"
#include "shape_set.h"
#include "spelling.h"

enum { HEAD_MIN = 12 }; /* shorter runs are too common in text to look for beginnings in them only */

static void add_text(bool set[256], const char *s)
{
	while (*s)
		set[(uint8_t)*s++] = true;
}

/* Bytes that a text or hex run of the members may hold, escapes included. */
static void spelled_with(const uint8_t member[256], bool text[256])
{
	const char *always = "\\%&#;uxXmp0123456789abcdefABCDEF"; /* those of &amp;#65; too */
	bool control = false;
	unsigned c;

	for (c = 0; c < 256; c++)
		text[c] = member[c];
	for (c = 0; c < 32; c++)
		control |= text[c];
	if (text['&'] || text['<'] || text['>'] || text['"'] || text['\''])
		add_text(text, "ampltgquos");
	add_text(text, always);
	text[0] = true;
	if (control)
		add_text(text, "bfnrt");
	if (text[' '])
		add_text(text, "+");
}

static void gate_runs_init(struct prefilter *p)
{
	struct gate *g = &p->gate;
	unsigned shortest = 0, i, c;
	bool text[256];

	for (i = 0; i < p->classes; i++) {
		const struct open_class *k = &p->open_class[i];

		shortest = shortest == 0 || k->length < shortest ? k->length : shortest;
		p->open_longest = k->length > p->open_longest ? k->length : p->open_longest;
		for (c = 0; c < 256; c++)
			p->open_member[c] |= k->member[c];
	}
	spelled_with(p->open_member, text);
	for (c = 0; c < 256; c++)
		g->run[c] = (uint8_t)((shortest && text[c] ? GATE_TEXT : 0) | (spelling_in_line((uint8_t)c) ? GATE_LINE : 0));
	g->text_min = shortest;
	g->breaks = shortest == 0;
	g->line_min = (8 * shortest + 5) / 6;
	if (shortest == 0 || g->line_min > CARRY_LINE_FULL)
		g->line_min = CARRY_LINE_FULL;
}

/* How many bytes at the beginning of each anchored shape are looked at, and the runs that they are spelled in. */
static void gate_heads_init(struct prefilter *p)
{
	uint8_t member[256] = {0};
	unsigned shortest = PREFILTER_DEPTH, alphabets = 0, k, c;
	bool text[256];
	uint32_t i;

	for (i = 0; i < p->anchored.count; i++)
		if (p->anchored.t[i].length < shortest)
			shortest = p->anchored.t[i].length;
	for (i = 0; i < p->anchored.count; i++)
		for (k = 0; k < shortest; k++) {
			const struct template *t = &p->anchored.t[i];

			if (t->symbol[k])
				member[t->symbol[k]] = 1;
			else
				alphabets |= 1u << t->alphabet;
		}
	for (c = 0; c < 256; c++)
		for (k = 0; k < SHAPE_ALPHABETS; k++)
			member[c] |= alphabets >> k & shape_alphabet_has((enum shape_alphabet)k, (uint8_t)c);
	spelled_with(member, text);
	if (shortest < HEAD_MIN || text[' '] || text['\n'] || p->anchored.count == 0)
		return;
	p->gate.head_min = shortest;
	for (c = 0; c < 256; c++)
		p->gate.run[c] |= text[c] || spelling_in_line((uint8_t)c) ? GATE_HEAD : 0;
}

static void open_add(struct prefilter *p, const struct template *t)
{
	struct open_class c = {.length = t->length}, *to;
	unsigned i;

	for (i = 0; i < t->length; i++)
		if (t->symbol[i])
			c.member[t->symbol[i]] = 1;
	for (i = 1; i < 256; i++)
		c.member[i] |= shape_alphabet_has((enum shape_alphabet)t->alphabet, (uint8_t)i);
	for (i = 0; i < p->classes && memcmp(p->open_class[i].member, c.member, sizeof(c.member)) != 0; i++)
		;
	if (i == PREFILTER_CLASSES)
		i--;
	to = &p->open_class[i];
	if (i == p->classes) {
		*to = c;
		p->classes++;
		return;
	}
	for (i = 0; i < 256; i++)
		to->member[i] |= c.member[i];
	to->length = c.length < to->length ? c.length : to->length;
}

static void plain_init(struct prefilter *p)
{
	unsigned i, c;

	for (i = 0; i < p->classes; i++)
		for (c = 0; c < 256; c++)
			p->open_class[i].plain[c] = p->open_class[i].member[c] && !spelling_intro[c];
}

static bool is_anchored(const struct template *t)
{
	unsigned n = 0;

	while (n < t->length && t->symbol[n])
		n++;
	return n >= PREFILTER_ANCHOR_MIN;
}

/* Open ones from the front, anchored ones from the back; each kind is then sorted. Returns the number of open ones. */
static size_t copy_templates(struct prefilter *p, const struct shape_set *s)
{
	size_t front = 0, back = s->count, i;
	uint8_t *pool = p->pool;

	for (i = 0; i < s->count; i++) {
		const struct shape *sh = &s->member[i].shape;
		struct template t = {pool, sh->length, (uint8_t)sh->alphabet};

		memcpy(pool, sh->template_, sh->length);
		pool += sh->length;
		if (is_anchored(&t))
			p->template[--back] = t;
		else
			p->template[front++] = t;
		if (sh->length > p->longest)
			p->longest = sh->length;
		if (sh->length < p->shortest || !p->shortest)
			p->shortest = sh->length;
	}
	qsort(p->template, front, sizeof(*p->template), template_compare);
	qsort(p->template + front, s->count - front, sizeof(*p->template), template_compare);
	return front;
}

static void tail_init(struct prefilter *p, const struct shape_set *s)
{
	size_t i, k;

	for (i = 0; i < 256; i++)
		p->tail[i] = spelling_in_line((uint8_t)i) || i == 0;
	for (i = 0; i < s->count; i++)
		for (k = 0; k < s->member[i].shape.length; k++)
			if (s->member[i].shape.template_[k])
				p->tail[s->member[i].shape.template_[k]] = 1;
}

struct prefilter *prefilter_new(const struct shape_set *s)
{
	struct prefilter *p = calloc(1, sizeof(*p));
	size_t bytes = 0, open, i;

	if (!p)
		return NULL;
	p->form = gate_best();
	if (s->count == 0)
		return p;
	for (i = 0; i < s->count; i++)
		bytes += s->member[i].shape.length;
	p->pool = malloc(bytes);
	p->template = malloc(s->count * sizeof(*p->template));
	if (!p->pool || !p->template) {
		prefilter_free(p);
		return NULL;
	}
	open = copy_templates(p, s);
	tree_init(&p->open, p->template, (uint32_t)open);
	tree_init(&p->anchored, p->template + open, (uint32_t)(s->count - open));
	for (i = 0; i < open; i++) {
		open_add(p, &p->template[i]);
		if (p->template[i].length > p->open_longest_shape)
			p->open_longest_shape = p->template[i].length;
	}
	plain_init(p);
	tail_init(p, s);
	gate_runs_init(p);
	gate_heads_init(p);
	if (gate_grams_init(&p->gate, &p->anchored) < 0) {
		prefilter_free(p);
		return NULL;
	}
	gate_finish(&p->gate);
	return p;
}

void prefilter_free(struct prefilter *p)
{
	if (!p)
		return;
	free(p->pool);
	free(p->template);
	free(p);
}

bool prefilter_candidate(const struct prefilter *p, struct span bytes, bool last)
{
	struct prefilter_region r;
	struct prefilter_scan s;

	/* what came before is not known here: perhaps a long base64 line */
	prefilter_scan_init(&s, p, bytes, CARRY_LINE_FULL);
	return prefilter_next(&s, 0, &r) || (!last && prefilter_hold(p, bytes, CARRY_LINE_FULL) < bytes.len);
}
