/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shapes file, integers big endian:
 *
 *	magic 8 | version u32 | length u32, of the whole file | generation 8 | epoch u64 | flags u32 | count u32
 *	count times: kind u16 (0 shape, 1 literal) | alphabet u16 | length u16 | prefix length u16 | template
 *	checksum u64 of all before it
 */
#include <stdlib.h>

#include "shape_set.h"

static const uint8_t magic[8] = "SLPSHAPE";

enum { FILE_VERSION = 1, FILE_PREFILTER = 1, HEADER_BYTES = 40, MEMBER_BYTES = 8, CHECKSUM_BYTES = 8 };

/* FNV-1a: finds torn and damaged files. Whoever may write the file is trusted, so it need not resist an attacker. */
static uint64_t checksum(const uint8_t *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static int put_u64(struct buf *out, uint64_t v)
{
	return buf_u32(out, (uint32_t)(v >> 32)) < 0 ? -1 : buf_u32(out, (uint32_t)v);
}

static int member_encode(struct buf *out, const struct shape_member *m)
{
	if (buf_u16(out, m->literal) < 0 || buf_u16(out, m->shape.alphabet) < 0 || buf_u16(out, m->shape.length) < 0 ||
	    buf_u16(out, m->shape.prefix_length) < 0)
		return -1;
	return buf_append(out, m->shape.template_, m->shape.length);
}

int shape_set_encode(struct buf *out, const struct shape_set *s, const struct shape_file_header *h)
{
	size_t start = out->len, length = HEADER_BYTES + CHECKSUM_BYTES, i;

	for (i = 0; i < s->count; i++)
		length += MEMBER_BYTES + s->member[i].shape.length;
	if (length > UINT32_MAX || buf_reserve(out, length) < 0)
		return -1;
	if (buf_append(out, magic, sizeof(magic)) < 0 || buf_u32(out, FILE_VERSION) < 0 || buf_u32(out, (uint32_t)length) < 0 ||
	    buf_append(out, h->generation, sizeof(h->generation)) < 0 || put_u64(out, h->epoch) < 0 ||
	    buf_u32(out, h->prefilter ? FILE_PREFILTER : 0) < 0 || buf_u32(out, (uint32_t)s->count) < 0)
		return -1;
	for (i = 0; i < s->count; i++)
		if (member_encode(out, &s->member[i]) < 0)
			return -1;
	return put_u64(out, checksum(out->p + start, out->len - start));
}

static const char *member_check(const struct shape_member *m)
{
	const struct shape *s = &m->shape;

	if (s->length == 0 || s->length > SHAPE_LENGTH_MAX)
		return "a shape's length is out of range";
	if ((unsigned)s->alphabet >= SHAPE_ALPHABETS)
		return "a shape's alphabet is unknown";
	if (s->prefix_length > s->length || memchr(s->template_, 0, s->prefix_length))
		return "a shape's prefix does not fit its template";
	if (m->literal && s->prefix_length != s->length)
		return "a literal is not literal";
	if (memchr(s->template_, '\n', s->length) && !m->literal)
		return "a shape has more than one line";
	return NULL;
}

static const char *members_decode(struct shape_set *s, const uint8_t *p, const uint8_t *end, size_t count)
{
	for (; count; count--) {
		struct shape_member m;
		const char *wrong;

		if ((size_t)(end - p) < MEMBER_BYTES)
			return "a shape is cut";
		if (get(p, 2) > 1)
			return "a member's kind is unknown";
		m = (struct shape_member){
			.shape = {.alphabet = (enum shape_alphabet)get(p + 2, 2), .length = (uint16_t)get(p + 4, 2),
		                  .prefix_length = (uint16_t)get(p + 6, 2), .template_ = p + MEMBER_BYTES},
			.literal = p[1],
		};
		p += MEMBER_BYTES;
		if ((size_t)(end - p) < m.shape.length)
			return "a shape is cut";
		p += m.shape.length;
		wrong = member_check(&m);
		if (wrong)
			return wrong;
		if ((m.literal ? shape_set_add_literal(s, span_of(m.shape.template_, m.shape.length)) : shape_set_add(s, &m.shape)) < 0)
			return "out of memory";
	}
	return p == end ? NULL : "bytes are left over";
}

static const char *header_check(struct span file)
{
	size_t body;

	if (file.len < HEADER_BYTES + CHECKSUM_BYTES || memcmp(file.p, magic, sizeof(magic)) != 0)
		return "not a shapes file";
	if (get(file.p + 8, 4) != FILE_VERSION)
		return "another version of the shapes file";
	if (get(file.p + 12, 4) != file.len)
		return "the shapes file has another length than it says";
	body = file.len - CHECKSUM_BYTES;
	if (checksum(file.p, body) != get(file.p + body, 8))
		return "the shapes file's checksum is wrong";
	if (get(file.p + 32, 4) > FILE_PREFILTER)
		return "the shapes file has unknown flags";
	return NULL;
}

struct shape_set *shape_set_decode(struct span file, struct shape_file_header *h, const char **why)
{
	struct shape_set *s;

	*why = header_check(file);
	if (*why)
		return NULL;
	s = shape_set_new();
	*why = s ? members_decode(s, file.p + HEADER_BYTES, file.p + file.len - CHECKSUM_BYTES, get(file.p + 36, 4)) : "out of memory";
	if (*why) {
		shape_set_free(s);
		return NULL;
	}
	memcpy(h->generation, file.p + 16, sizeof(h->generation));
	h->epoch = get(file.p + 24, 8);
	h->prefilter = get(file.p + 32, 4) & FILE_PREFILTER;
	return s;
}
