/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rewrite.h"

#include <strings.h>

#include "framing.h"
#include "rewrite_internal.h"

enum { STEP_MAX = 1 << 30 }; /* positions are 32 bits wide */

size_t rewriter_entries(const struct rewriter *r)
{
	return r->count;
}

const struct rewrite_entry *rewriter_entry(const struct rewriter *r, unsigned entry)
{
	return &r->entries[entry];
}

unsigned rewriter_next_same(const struct rewriter *r, enum rewrite_match match, unsigned entry)
{
	return r->next_same[match][entry];
}

static enum rewrite_verdict replace_all(void *ctx, enum rewrite_match match, unsigned *entry)
{
	(void)ctx, (void)match, (void)entry;
	return REWRITE_REPLACE;
}

/* in[e->at..end) as far as it can be decided; last: nothing that goes on with it follows at `end`. */
static enum rewrite_result feed_part(struct emitter *e, struct scratch *s, size_t end, bool last)
{
	enum rewrite_result result;

	e->in.len = end;
	e->last = last;
	e->hold_known = false;
	result = scan(e, s);
	return result == REWRITE_OK ? emit_clean(e, emit_hold(e)) : result;
}

/* A message that has ended releases all that was held of it. */
static enum rewrite_result feed_messages(struct emitter *e, struct scratch *s, struct span in, bool last, struct carry *c)
{
	enum rewrite_result result = REWRITE_OK;

	while (e->at < in.len && result == REWRITE_OK) {
		struct framing_part part = framing_part(c, in, e->at);
		size_t before = e->at;

		result = part.message ? feed_part(e, s, part.end, part.whole || last) : emit_clean(e, part.end);
		framing_advance(c, span_of(in.p + before, e->at - before));
		if (e->at < part.end)
			break;
	}
	return result;
}

/* The character that begins these bytes was decided in part. */
static int take_decided(struct emitter *e, const struct carry *c)
{
	if (!(c->flags & CARRY_F_DECIDED))
		return 0;
	if (e->in.len)
		e->shared = base64_unit(e->in.p, e->in.p + e->in.len);
	e->bits = c->decided_bits;
	e->value = c->decided;
	return e->shared.len ? 0 : -1;
}

enum rewrite_result rewrite_feed(const struct rewriter *r, const struct rewrite_scope *scope, struct rewrite_step *step,
                                 struct rewrite_hits *hits)
{
	struct rewrite_scope asked = *scope;
	struct emitter e = {.rewriter = r, .automaton = &r->automata[scope->direction], .scope = &asked, .hits = hits, .out = step->out};
	bool last = step->last, framed = scope->framing == FRAMING_GRPC;
	enum rewrite_result result;
	struct scratch s;
	struct carry c;

	step->consumed = 0;
	step->changed = false;
	if (!asked.decide)
		asked.decide = replace_all;
	asked.made_only |= framed; /* a message's length is promised */
	if (carry_decode(&c, step->carry, step->carry_len) < 0 || framing_check(&c) < 0)
		return REWRITE_ERROR;
	e.in = step->in;
	if (e.in.len > STEP_MAX) {
		e.in.len = STEP_MAX;
		last = false;
	}
	e.line = c.line;
	if (take_decided(&e, &c) < 0)
		return REWRITE_ERROR; /* not what we left unconsumed */
	scratch_init(&s);
	result = framed ? feed_messages(&e, &s, e.in, last, &c) : feed_part(&e, &s, e.in.len, last);
	scratch_deinit(&s);
	if (result == REWRITE_ERROR)
		return result;
	step->consumed = e.at;
	step->changed = e.changed;
	c.line = (uint8_t)carry_line_at(step->in, e.at, c.line);
	c.flags = (uint8_t)((e.bits ? CARRY_F_DECIDED : 0) | (framed ? CARRY_F_FRAMING : 0));
	c.decided_bits = (uint8_t)e.bits;
	c.decided = (uint8_t)(e.bits ? e.value : 0);
	step->carry_len = carry_encode(&c, step->carry);
	return result;
}

/* --- whole strings --- */

static enum rewrite_result whole_plain(const struct rewriter *r, const struct rewrite_scope *scope, struct span value, struct buf *out,
                                       bool *changed, struct rewrite_hits *hits)
{
	struct rewrite_step step = {.in = value, .last = true, .out = out};
	enum rewrite_result result = rewrite_feed(r, scope, &step, hits);

	if (result != REWRITE_OK)
		return result;
	*changed |= step.changed;
	if (!step.changed && buf_append_span(out, value) < 0)
		return REWRITE_ROOM;
	return REWRITE_OK;
}

static int basic_decode(struct buf *out, struct span token)
{
	unsigned acc = 0, bits = 0;
	size_t i;

	for (i = 0; i < token.len && token.p[i] != '='; i++) {
		if (spelling_sextet[token.p[i]] == SPELLING_NO_SEXTET)
			return 1;
		acc = acc << 6 | spelling_sextet[token.p[i]];
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (buf_putc(out, (uint8_t)(acc >> bits)) < 0)
				return -1;
		}
	}
	while (i < token.len && token.p[i] == '=')
		i++;
	return i < token.len;
}

static int basic_encode(struct buf *out, struct span plain)
{
	size_t i;

	for (i = 0; i < plain.len; i += 3) {
		size_t n = plain.len - i < 3 ? plain.len - i : 3, j;
		unsigned acc = 0;
		uint8_t four[4];

		for (j = 0; j < 3; j++)
			acc = acc << 8 | (j < n ? plain.p[i + j] : 0);
		for (j = 0; j < 4; j++)
			four[j] = j <= n ? spelling_sextet_char(acc >> (18 - 6 * j) & 63, false) : '=';
		if (buf_append(out, four, 4) < 0)
			return -1;
	}
	return 0;
}

/* value[0..scheme) is "Basic" and spaces. Appends the whole value only if something in the credentials changed; otherwise *changed
 * stays and nothing is appended. */
static enum rewrite_result whole_basic(const struct rewriter *r, const struct rewrite_scope *scope, struct span value, size_t scheme,
                                       struct buf *out, bool *changed, struct rewrite_hits *hits)
{
	struct rewrite_scope inside = *scope;
	enum rewrite_result result = REWRITE_OK;
	struct buf plain = {0}, replaced = {0};
	bool inner = false;
	int decoded;

	inside.place = PLACE_RAW;
	inside.made_only = false;
	decoded = basic_decode(&plain, span_of(value.p + scheme, value.len - scheme));
	if (decoded < 0)
		result = REWRITE_ERROR;
	else if (decoded == 0)
		result = whole_plain(r, &inside, buf_span(&plain), &replaced, &inner, hits);
	if (result == REWRITE_OK && inner) {
		*changed = true;
		if (buf_append(out, value.p, scheme) < 0 || basic_encode(out, buf_span(&replaced)) < 0)
			result = REWRITE_ROOM;
	}
	buf_deinit(&plain);
	buf_deinit(&replaced);
	return result;
}

enum rewrite_result rewrite_whole(const struct rewriter *r, const struct rewrite_scope *scope, struct span value, bool basic,
                                  struct buf *out, bool *changed, struct rewrite_hits *hits)
{
	size_t scheme = 5;
	enum rewrite_result result;

	*changed = false;
	if (basic && value.len > scheme && strncasecmp((const char *)value.p, "basic", scheme) == 0 && value.p[scheme] == ' ') {
		while (scheme < value.len && value.p[scheme] == ' ')
			scheme++;
		result = whole_basic(r, scope, value, scheme, out, changed, hits);
		if (result != REWRITE_OK || *changed)
			return result;
	}
	return whole_plain(r, scope, value, out, changed, hits);
}
