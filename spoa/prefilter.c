/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compiling shapes into a prefilter.
 */
#include <stdlib.h>

#include "carry.h"
#include "prefilter_internal.h"
#include "shape_set.h"
#include "spelling.h"

/* Sets of bytes, one for each of the four characters of a gram. */
struct gram {
	uint64_t set[GATE_GRAM][4];
};

enum { BUCKETS = 8, BUCKET_BACKSLASH = 0, BUCKET_PERCENT = 1, BUCKET_ZERO = 2, BUCKET_FIRST = 3 };

struct buckets {
	struct gram g[BUCKETS];
	bool used[BUCKETS];
};

static void set_add(uint64_t set[4], unsigned c)
{
	set[c >> 6] |= UINT64_C(1) << (c & 63);
}

static bool set_has(const uint64_t set[4], unsigned c)
{
	return set[c >> 6] >> (c & 63) & 1;
}

static void set_add_text(uint64_t set[4], const char *s)
{
	while (*s)
		set_add(set, (uint8_t)*s++);
}

static void set_fill(uint64_t set[4])
{
	memset(set, 255, 4 * sizeof(*set));
}

/* How many places of ordinary text it would hit, roughly: lower case letters count four times. */
static double gram_cost(const struct gram *g)
{
	const uint64_t lower = UINT64_C(0x07fffffe00000000);
	double cost = 1;

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		const uint64_t *s = g->set[k];

		cost *= __builtin_popcountll(s[0]) + __builtin_popcountll(s[1]) + 3 * __builtin_popcountll(s[1] & lower) +
		        (__builtin_popcountll(s[2]) + __builtin_popcountll(s[3])) / 16.0;
	}
	return cost;
}

static struct gram gram_union(const struct gram *a, const struct gram *b)
{
	struct gram u;

	for (unsigned k = 0; k < GATE_GRAM; k++)
		for (unsigned i = 0; i < 4; i++)
			u.set[k][i] = a->set[k][i] | b->set[k][i];
	return u;
}

/* Into the bucket that grows least by it. */
static void bucket_add(struct buckets *b, const struct gram *g)
{
	unsigned best = BUCKET_FIRST, i;
	double least = -1;

	for (i = BUCKET_FIRST; i < BUCKETS; i++) {
		struct gram u = gram_union(&b->g[i], g);
		double grown = gram_cost(&u) - (b->used[i] ? gram_cost(&b->g[i]) : 0);

		if (least < 0 || grown < least) {
			least = grown;
			best = i;
		}
	}
	b->g[best] = gram_union(&b->g[best], g);
	b->used[best] = true;
}

/* The bytes that a template's first four places may hold. */
static struct gram head_of(const struct template *t)
{
	struct gram g = {0};

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		struct span all = shape_alphabet_bytes((enum shape_alphabet)t->alphabet);

		if (k >= t->length)
			set_fill(g.set[k]);
		else if (t->symbol[k])
			set_add(g.set[k], t->symbol[k]);
		else
			for (size_t i = 0; i < all.len; i++)
				set_add(g.set[k], all.p[i]);
	}
	return g;
}

static struct gram gram_hex(const struct gram *head)
{
	struct gram g = {0};

	for (unsigned c = 0; c < 512; c++) {
		unsigned byte = c & 255, k = c >> 8;

		if (!set_has(head->set[k], byte))
			continue;
		for (unsigned d = 0; d < 128; d++) {
			if (spelling_nibble[d] == byte >> 4)
				set_add(g.set[2 * k], d);
			if (spelling_nibble[d] == (byte & 15))
				set_add(g.set[2 * k + 1], d);
		}
	}
	return g;
}

/* Can character j of base64, which begins `offset` bits in front of the bytes, have this value? */
static bool sextet_fits(const struct gram *head, unsigned offset, unsigned j, unsigned value)
{
	int first = 6 * (int)j - (int)offset; /* bit of the bytes that is the value's highest */

	for (int k = first < 0 ? 0 : first / 8; 8 * k < first + 6 && k < GATE_GRAM; k++) {
		unsigned mask = 0, want = 0, c;

		for (int bit = 8 * k; bit < 8 * k + 8; bit++) {
			if (bit < first || bit >= first + 6)
				continue;
			mask |= 1u << (7 - bit % 8);
			want |= (value >> (5 - (bit - first)) & 1) << (7 - bit % 8);
		}
		for (c = 0; c < 256 && (!set_has(head->set[k], c) || (c & mask) != want); c++)
			;
		if (c == 256)
			return false;
	}
	return true;
}

static struct gram gram_base64(const struct gram *head, unsigned length, unsigned offset)
{
	struct gram g = {0};

	for (unsigned j = 0; j < GATE_GRAM; j++) {
		uint64_t fits = 0;

		if (6 * j >= 8 * length + offset) { /* behind the end of a very short one */
			set_fill(g.set[j]);
			continue;
		}
		for (unsigned value = 0; value < 64; value++)
			fits |= (uint64_t)sextet_fits(head, offset, j, value) << value;
		for (unsigned c = 0; c < 256; c++)
			if (spelling_sextet[c] != SPELLING_NO_SEXTET && fits >> spelling_sextet[c] & 1)
				set_add(g.set[j], c);
	}
	return g;
}

/* Escapes that may stand among the first characters, which are `needed`: \u0 %7 &#, and doubled; zero bytes of UTF-16. The first
 * places are kept apart, so that they stay exact as nibbles, too. */
static void buckets_escapes(struct buckets *b, const uint64_t needed[4])
{
	static const char json[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
	struct gram *back = &b->g[BUCKET_BACKSLASH], *percent = &b->g[BUCKET_PERCENT], *zero = &b->g[BUCKET_ZERO];
	bool short_json = false;
	unsigned c, k;

	set_add_text(back->set[0], "\\");
	set_add_text(back->set[1], "u\\%&");
	set_add_text(back->set[2], "0123456789abcdefABCDEF\\%&#ulgq");
	for (c = 0; c < 8; c++)
		if (set_has(needed, (uint8_t)meaning[c])) {
			set_add(back->set[1], (uint8_t)json[c]);
			short_json = true;
		}
	if (short_json)
		set_fill(back->set[2]);
	set_add_text(percent->set[0], "%&");
	set_add_text(percent->set[1], "0123456789abcdefABCDEF\\%&#lgq");
	set_add_text(percent->set[2], "0123456789abcdefABCDEF\\%&#uxXmptlgq");
	set_add(zero->set[0], 0);
	set_add(zero->set[1], 0);
	set_add_text(zero->set[1], "\\%&+");
	for (k = 0; k < 4; k++)
		zero->set[1][k] |= needed[k];
	set_fill(zero->set[2]);
	for (k = BUCKET_BACKSLASH; k <= BUCKET_ZERO; k++) {
		set_fill(b->g[k].set[3]);
		b->used[k] = true;
	}
}

static void gate_grams_init(struct gate *g, const struct tree *tr)
{
	struct buckets b = {0};
	struct gram head, before = {0}, part;
	uint64_t needed[4] = {0};
	unsigned i, k, c, offset;

	for (i = 0; i < tr->count; i++) {
		head = head_of(&tr->t[i]);
		if (i && memcmp(&head, &before, sizeof(head)) == 0)
			continue;
		before = head;
		for (k = 0; k < GATE_GRAM; k++)
			for (c = 0; c < 4; c++)
				needed[c] |= head.set[k][c];
		bucket_add(&b, &head);
		part = gram_hex(&head);
		bucket_add(&b, &part);
		for (offset = 0; offset < 6; offset += 2) {
			part = gram_base64(&head, tr->t[i].length, offset);
			bucket_add(&b, &part);
			if (set_has(part.set[0], '/') || set_has(part.set[1], '/') || set_has(part.set[2], '/') || set_has(part.set[3], '/'))
				set_add(needed, '/');
		}
	}
	if (tr->count)
		buckets_escapes(&b, needed);
	for (k = 0; k < GATE_GRAM; k++)
		for (c = 0; c < 256; c++)
			for (i = 0; i < BUCKETS; i++)
				if (b.used[i] && set_has(b.g[i].set[k], c))
					g->gram[k][c] |= (uint8_t)(1 << i);
}

/* Bytes that a text or hex run of the open classes may hold, escapes included. */
static void gate_runs_init(struct prefilter *p)
{
	const char *always = "\\%&#;uxX0123456789abcdefABCDEF";
	bool named = false, control = false;
	struct gate *g = &p->gate;
	unsigned shortest = 0, i, c;
	uint64_t text[4] = {0};

	for (i = 0; i < p->classes; i++) {
		const struct open_class *k = &p->open_class[i];

		shortest = shortest == 0 || k->length < shortest ? k->length : shortest;
		p->open_longest = k->length > p->open_longest ? k->length : p->open_longest;
		for (c = 0; c < 256; c++)
			if (k->member[c])
				set_add(text, c);
	}
	for (c = 0; c < 32; c++)
		control |= set_has(text, c);
	named = set_has(text, '&') || set_has(text, '<') || set_has(text, '>') || set_has(text, '"') || set_has(text, '\'');
	set_add_text(text, always);
	set_add(text, 0);
	if (named)
		set_add_text(text, "ampltgquos");
	if (control)
		set_add_text(text, "bfnrt");
	if (set_has(text, ' '))
		set_add_text(text, "+");
	for (c = 0; c < 256; c++)
		g->run[c] = (uint8_t)((shortest && set_has(text, c) ? GATE_TEXT : 0) | (spelling_in_line((uint8_t)c) ? GATE_LINE : 0));
	g->text_min = shortest;
	g->line_min = (8 * shortest + 5) / 6;
	if (shortest == 0 || g->line_min > CARRY_LINE_FULL)
		g->line_min = CARRY_LINE_FULL;
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
	for (i = 0; i < open; i++)
		open_add(p, &p->template[i]);
	tail_init(p, s);
	gate_runs_init(p);
	gate_grams_init(&p->gate, &p->anchored);
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
