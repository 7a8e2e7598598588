/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "placeholder.h"

#include <math.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 32, ATTEMPTS_MAX = 256 };

/* The PRF as a stream of bytes: HMAC-SHA-256 over the context and a block counter. */
struct stream {
	const uint8_t *key;
	struct buf message; /* context, then 4 bytes of counter */
	uint8_t block[BLOCK_BYTES];
	unsigned used;
	uint32_t counter;
};

static int stream_init(struct stream *st, const uint8_t *key, struct span name, const struct shape *shape, uint32_t attempt)
{
	*st = (struct stream){.key = key, .used = BLOCK_BYTES};
	if (buf_append(&st->message, "slapenir placeholder 1", 23) < 0 || buf_u32(&st->message, (uint32_t)name.len) < 0 ||
	    buf_append_span(&st->message, name) < 0 || buf_u32(&st->message, shape->alphabet) < 0 ||
	    buf_u32(&st->message, shape->length) < 0 || buf_append(&st->message, shape->template_, shape->length) < 0 ||
	    buf_u32(&st->message, attempt) < 0)
		return -1;
	return buf_reserve(&st->message, 4);
}

static int stream_byte(struct stream *st, uint8_t *out)
{
	size_t context = st->message.len;

	if (st->used == BLOCK_BYTES) {
		if (buf_u32(&st->message, st->counter++) < 0 ||
		    !HMAC(EVP_sha256(), st->key, KEY_BYTES, st->message.p, st->message.len, st->block, NULL))
			return -1;
		st->message.len = context;
		st->used = 0;
	}
	*out = st->block[st->used++];
	return 0;
}

static size_t two_digit_part(enum shape_alphabet a, uint8_t part[64])
{
	struct span all = shape_alphabet_bytes(a);
	size_t n = 0;

	for (size_t i = 0; i < all.len; i++)
		if (all.p[i] <= 99)
			part[n++] = all.p[i];
	return n;
}

int placeholder_make(uint8_t *out, const uint8_t key[KEY_BYTES], struct span name, const struct shape *shape, uint32_t attempt)
{
	uint8_t part[64], byte = 0;
	size_t n = two_digit_part(shape->alphabet, part), i;
	struct stream st;
	int rc = stream_init(&st, key, name, shape, attempt);

	for (i = 0; rc == 0 && i < shape->length; i++) {
		if (shape->template_[i]) {
			out[i] = shape->template_[i];
			continue;
		}
		/* bytes above the last multiple of n would prefer the first letters */
		do
			rc = stream_byte(&st, &byte);
		while (rc == 0 && byte >= 256 / n * n);
		out[i] = part[byte % n];
	}
	buf_deinit(&st.message);
	explicit_bzero(st.block, sizeof(st.block));
	return rc;
}

/* One string that must stand apart from the others. owner: entry number; made: it is that entry's made placeholder. */
struct text {
	struct span s;
	uint32_t owner;
	bool made;
};

/* All texts, found by a hash of their first `gram` bytes (the length of the shortest text, at most 8). */
struct index {
	struct text *text;
	size_t count, gram;
	uint32_t *slot; /* number of the first text with that hash plus 1 */
	uint32_t *next; /* of the next one */
	uint64_t mask;
};

static uint64_t gram_hash(const uint8_t *p, size_t gram)
{
	uint64_t v = 0;

	memcpy(&v, p, gram);
	v *= 0x9e3779b97f4a7c15u;
	return v ^ v >> 32;
}

static void index_fill(struct index *x)
{
	memset(x->slot, 0, (x->mask + 1) * sizeof(*x->slot));
	for (size_t i = x->count; i-- > 0;) {
		uint32_t *slot = &x->slot[gram_hash(x->text[i].s.p, x->gram) & x->mask];

		x->next[i] = *slot;
		*slot = (uint32_t)i + 1;
	}
}

static size_t text_lines(struct text *out, struct span whole, const struct shape *shape, uint32_t owner, bool made)
{
	struct shape line;
	size_t at = 0, offset, n = 0;

	while (shape_next_line(shape, &at, &line, &offset)) {
		if (out)
			out[n] = (struct text){span_of(whole.p + offset, line.length), owner, made};
		n++;
	}
	return n;
}

static size_t collect(struct text *out, const struct placeholder_entry *entries, size_t count)
{
	size_t n = 0, i;

	for (i = 0; i < count; i++) {
		const struct placeholder_entry *e = &entries[i];

		n += text_lines(out ? out + n : NULL, span_of(e->made, e->shape.length), &e->shape, (uint32_t)i, true);
		n += text_lines(out ? out + n : NULL, e->value, &e->shape, (uint32_t)i, false);
		if (e->given.len) {
			if (out)
				out[n] = (struct text){e->given, (uint32_t)i, false};
			n++;
		}
	}
	return n;
}

static int index_init(struct index *x, const struct placeholder_entry *entries, size_t count)
{
	size_t i;

	*x = (struct index){.count = collect(NULL, entries, count), .gram = 8, .mask = 15};
	while (x->mask < 2 * x->count)
		x->mask = 2 * x->mask + 1;
	x->text = calloc(x->count ? x->count : 1, sizeof(*x->text));
	x->next = calloc(x->count ? x->count : 1, sizeof(*x->next));
	x->slot = calloc(x->mask + 1, sizeof(*x->slot));
	if (!x->text || !x->next || !x->slot)
		return -1;
	collect(x->text, entries, count);
	for (i = 0; i < x->count; i++)
		if (x->text[i].s.len < x->gram)
			x->gram = x->text[i].s.len;
	return 0;
}

static void index_deinit(struct index *x)
{
	free(x->text);
	free(x->next);
	free(x->slot);
}

/* Marks the entries whose made placeholder has to change: of two that overlap the later made one. true: there is one. */
static bool find_overlaps(const struct index *x, bool *again)
{
	bool any = false;

	for (size_t i = 0; i < x->count; i++) {
		const struct text *big = &x->text[i];

		for (size_t at = 0; at + x->gram <= big->s.len; at++) {
			uint32_t k = x->slot[gram_hash(big->s.p + at, x->gram) & x->mask];

			for (; k; k = x->next[k - 1]) {
				const struct text *small = &x->text[k - 1], *late;

				if (small == big || (!small->made && !big->made) || small->s.len > big->s.len - at ||
				    memcmp(small->s.p, big->s.p + at, small->s.len) != 0)
					continue;
				late = !small->made || (big->made && big->owner > small->owner) ? big : small;
				again[late->owner] = any = true;
			}
		}
	}
	return any;
}

int placeholder_make_all(const uint8_t key[KEY_BYTES], struct placeholder_entry *entries, size_t count, size_t *culprit)
{
	bool *again = malloc(count + 1), any = true;
	struct index x = {0};
	uint32_t attempt;
	size_t i;
	int rc = -1;

	*culprit = count;
	if (!again || index_init(&x, entries, count) < 0)
		goto out;
	memset(again, true, count);
	for (attempt = 0; any && attempt < ATTEMPTS_MAX; attempt++) {
		for (i = 0; i < count; i++)
			if (again[i] && placeholder_make(entries[i].made, key, entries[i].name, &entries[i].shape, attempt) < 0)
				goto out;
		memset(again, false, count);
		index_fill(&x);
		any = find_overlaps(&x, again);
	}
	rc = any;
	for (i = 0; any && i < count; i++)
		if (again[i]) {
			*culprit = i;
			break;
		}
out:
	index_deinit(&x);
	free(again);
	return rc;
}

unsigned placeholder_guess_bits(const struct shape *shape, struct span value)
{
	double each = log2((double)shape_alphabet_bytes(shape->alphabet).len), bits = 0;
	int before = -1;

	for (size_t i = 0; i < shape->length; i++) {
		if (shape->template_[i])
			continue;
		/* aaaa, 1234, cba: a guesser tries those first */
		bits += before >= 0 && abs((int)value.p[i] - before) <= 1 ? 1 : each;
		before = value.p[i];
	}
	return (unsigned)bits;
}
