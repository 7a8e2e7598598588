/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of the engine share: small rewriters, random spellings, feeding in cuts.
 */
#ifndef TESTS_REWRITE_KIT_H
#define TESTS_REWRITE_KIT_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "carry.h"
#include "rewrite.h"
#include "spelling.h"

enum { KIT_ENTRIES = 8, KIT_BYTES = 4096 };

static inline unsigned kit_random(uint64_t *state, unsigned below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned)((*state >> 16) % below);
}

struct kit {
	struct secret_arena *arena;
	struct rewriter *rewriter;
	struct rewrite_entry entry[KIT_ENTRIES];
	uint8_t bytes[KIT_ENTRIES][2][KIT_BYTES]; /* made, template */
	size_t count;
};

static inline void kit_init(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	k->arena = secret_arena_new(1 << 22);
	assert(k->arena);
}

/* The made placeholder: public bytes repeated, the rest is counted from `seed` on in the letters that placeholders may have. */
static inline void kit_add(struct kit *k, const char *name, const char *value, const char *given, unsigned seed)
{
	static const char letters[] = "0123456789abcABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct rewrite_entry *e = &k->entry[k->count];
	uint8_t *made = k->bytes[k->count][0], *room = k->bytes[k->count][1];
	uint64_t state = 88172645463325252u + seed;
	size_t i;

	assert(k->count < KIT_ENTRIES && strlen(value) < KIT_BYTES);
	e->name = name;
	e->value = span_str(value);
	e->given = span_str(given);
	shape_of(&e->shape, e->value, span_of(NULL, 0), room);
	for (i = 0; i < e->value.len; i++) {
		do
			made[i] = room[i] ? room[i] : (uint8_t)letters[kit_random(&state, sizeof(letters) - 1)];
		while (!room[i] && !shape_alphabet_has(e->shape.alphabet, made[i]));
	}
	e->made = span_of(made, e->value.len);
	k->count++;
}

static inline void kit_build(struct kit *k)
{
	const char *why;

	k->rewriter = rewriter_new(k->arena, k->entry, k->count, &why);
	if (!k->rewriter)
		fprintf(stderr, "rewriter_new: %s\n", why);
	assert(k->rewriter);
}

static inline void kit_deinit(struct kit *k)
{
	rewriter_free(k->rewriter);
	secret_arena_free(k->arena);
}

/* Feeds `in` in pieces: cut(ctx, presented) says how many bytes come next. Room of `room` bytes per call (0: no limit). Returns false
 * when the engine says error or stop; *stopped_at is what was consumed. Records (consumed, output length, carry) into trace if given. */
struct kit_cuts {
	size_t (*next)(struct kit_cuts *c, size_t presented);
	size_t fixed, room;
	uint64_t random;
	struct buf *trace;
};

static inline size_t kit_fixed(struct kit_cuts *c, size_t presented)
{
	(void)presented;
	return c->fixed;
}

static inline size_t kit_first(struct kit_cuts *c, size_t presented)
{
	return presented ? SIZE_MAX : c->fixed;
}

static inline size_t kit_any(struct kit_cuts *c, size_t presented)
{
	(void)presented;
	return 1 + kit_random(&c->random, (unsigned)c->fixed);
}

static inline enum rewrite_result kit_feed(const struct rewriter *r, const struct rewrite_scope *scope, struct span in,
                                           struct kit_cuts *cuts, struct buf *out, struct rewrite_hits *hits, size_t *consumed)
{
	struct rewrite_step step = {.carry_len = 0};
	size_t have = 0, at = 0, idle = 0;

	for (;;) {
		size_t more = cuts->next(cuts, have), before;
		enum rewrite_result result;
		struct buf piece = {.limit = cuts->room};
		uint8_t *exact;
		unsigned i;

		have = more > in.len - have ? in.len : have + more;
		exact = malloc(have - at + 1); /* so that a sanitizer sees a read behind the end */
		assert(exact);
		memcpy(exact, in.p + at, have - at);
		do {
			step.in = span_of(exact, have - at);
			step.last = have == in.len;
			step.out = &piece;
			before = piece.len;
			result = rewrite_feed(r, scope, &step, hits);
			if (result < 0)
				break;
			if (step.changed)
				buf_append(out, piece.p + before, piece.len - before);
			else
				buf_append(out, step.in.p, step.consumed);
			for (i = 0; cuts->trace && i < step.carry_len; i++)
				buf_printf(cuts->trace, "%02x", step.carry[i]);
			if (cuts->trace)
				buf_printf(cuts->trace, " %zu+%zu ", step.consumed, piece.len - before);
			at += step.consumed;
			memmove(exact, exact + step.consumed, have - at);
			idle = step.consumed ? 0 : idle + 1;
			piece.len = 0;
		} while (result == REWRITE_ROOM && idle < 3);
		free(exact);
		buf_deinit(&piece);
		*consumed = at;
		if (result != REWRITE_OK || (have == in.len && at == in.len))
			return result;
		if (have == in.len)
			return REWRITE_ERROR; /* the last step left something over */
	}
}

/* Appends byte b in a random spelling; kinds: SPELLING_ bits that are allowed. */
static inline void kit_spell(struct buf *out, uint8_t b, unsigned kinds, uint64_t *random)
{
	char one[8], two[64];
	size_t i, n = 0;
	bool doubled = kit_random(random, 4) == 0;

	switch (1u << kit_random(random, 5) & kinds) {
	case SPELLING_JSON:
		snprintf(one, sizeof(one), kit_random(random, 2) ? "\\u%04x" : "\\u%04X", b);
		if (doubled) {
			buf_printf(out, "\\%s", one);
			return;
		}
		break;
	case SPELLING_PERCENT:
		snprintf(one, sizeof(one), kit_random(random, 2) ? "%%%02x" : "%%%02X", b);
		if (doubled) {
			buf_printf(out, "%%25%s", one + 1);
			return;
		}
		break;
	case SPELLING_HTML:
		snprintf(one, sizeof(one), kit_random(random, 2) ? "&#x%02x;" : "&#x%X;", b);
		for (i = 0; doubled && one[i]; i++)
			n += (size_t)snprintf(two + n, sizeof(two) - n, i ? "%c" : "%%26", one[i]);
		if (doubled) {
			buf_append(out, two, n);
			return;
		}
		break;
	case SPELLING_UTF16:
		buf_putc(out, b);
		buf_putc(out, 0);
		return;
	default:
		buf_putc(out, b);
		return;
	}
	buf_append(out, one, strlen(one));
}

static inline void kit_base64(struct buf *out, struct span plain, bool url, size_t wrap, const char *line_break, unsigned kinds,
                              uint64_t *random)
{
	unsigned acc = 0, bits = 0;
	size_t i, line = 0;

	for (i = 0; i < plain.len || bits; ) {
		while (bits < 6) {
			acc = acc << 8 | (i < plain.len ? plain.p[i] : 0);
			i++;
			bits += 8;
		}
		bits -= 6;
		if (wrap && line == wrap) {
			buf_append(out, line_break, strlen(line_break));
			line = 0;
		}
		kit_spell(out, spelling_sextet_char(acc >> bits & 63, url), kinds, random);
		line++;
		if (i >= plain.len && bits <= 8 * (i - plain.len))
			break;
	}
}

static inline void kit_hex(struct buf *out, struct span plain, uint64_t *random)
{
	size_t i;

	for (i = 0; i < plain.len; i++)
		buf_printf(out, kit_random(random, 2) ? "%02x" : "%02X", plain.p[i]);
}

/* Bytes 0x80..0x8b stand for a whole secret in one of a few spellings, so that chance finds them. */
static inline void kit_expand(struct buf *in, const struct kit *k, const uint8_t *data, size_t size)
{
	struct buf plain = {0};
	uint64_t random = 7;
	size_t i, j;

	for (i = 0; i < size && in->len < 8192; i++) {
		struct span v = k->entry[data[i] % k->count].value;

		switch (data[i]) {
		case 0x80: case 0x81: case 0x82: case 0x83:
			buf_append_span(in, v);
			break;
		case 0x84: case 0x85:
			for (j = 0; j < v.len; j++)
				buf_printf(in, j % 3 == i % 3 ? "\\u%04x" : j % 3 == 1 ? "%%%02X" : "%c", v.p[j]);
			break;
		case 0x86: case 0x87: case 0x88: case 0x89:
			buf_reset(&plain);
			buf_append(&plain, "\x7f\xfe", i % 3);
			buf_append_span(&plain, v);
			buf_append_span(&plain, k->entry[(data[i] + 1) % k->count].value);
			kit_base64(in, buf_span(&plain), false, 0, "", 0, &random);
			break;
		case 0x8a: case 0x8b:
			for (j = 0; j < v.len; j++)
				buf_printf(in, "%02x", v.p[j]);
			break;
		default:
			buf_putc(in, data[i]);
		}
	}
	buf_deinit(&plain);
}

#endif
