/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exchange.h"

enum {
	ANSWER_FLAGS_KNOWN = ANSWER_F_CHUNKED | ANSWER_F_CACHE | ANSWER_F_OPAQUE | ANSWER_F_RESCAN | ANSWER_F_PAYLOAD |
			     ANSWER_F_AUDITED | ANSWER_F_PATCHED,
	STATUS_MIN = 100,
	STATUS_MAX = 999,
	REFUSAL_MIN = 400, /* a refusal with 2xx would be taken for the upstream's answer */
	REFUSAL_MAX = 599,
	PATCH_BLOCK = 64,
	PATCH_BLOCKS_MAX = UINT16_MAX / PATCH_BLOCK,
};

/* Takers: read from the front of *in and shorten it. false, and *in is of no more use, when it is too short. */

static bool take_uint(struct span *in, unsigned bytes, uint32_t *v)
{
	if (in->len < bytes)
		return false;
	*v = 0;
	for (unsigned i = 0; i < bytes; i++)
		*v = *v << 8 | in->p[i];
	in->p += bytes;
	in->len -= bytes;
	return true;
}

/* a string behind a length of that many bytes */
static bool take_str(struct span *in, unsigned length_bytes, struct span *out)
{
	uint32_t len;

	return take_uint(in, length_bytes, &len) && span_take(in, len, out);
}

static int put_str8(struct buf *out, struct span s)
{
	if (s.len > UINT8_MAX || buf_reserve(out, 1 + s.len) < 0)
		return -1;
	return buf_putc(out, (uint8_t)s.len) < 0 ? -1 : buf_append_span(out, s);
}

static int put_str16(struct buf *out, struct span s)
{
	if (s.len > UINT16_MAX || buf_reserve(out, 2 + s.len) < 0)
		return -1;
	return buf_u16(out, (unsigned)s.len) < 0 ? -1 : buf_append_span(out, s);
}

static int put_str32(struct buf *out, struct span s)
{
	if (s.len > UINT32_MAX || buf_reserve(out, 4 + s.len) < 0)
		return -1;
	return buf_u32(out, (uint32_t)s.len) < 0 ? -1 : buf_append_span(out, s);
}

/* What was appended since `len` goes away again, so that a failed encoder leaves out as it was: nothing of it behind the end either, as
 * it may be a secret. */
static int undo(struct buf *out, size_t len)
{
	if (out->len > len)
		explicit_bzero(out->p + len, out->len - len);
	out->len = len;
	return -1;
}

int head_decode(struct head *h, struct span encoded)
{
	struct span in = encoded;
	uint32_t kind, v = 0, major = 0, minor = 0;

	*h = (struct head){0};
	if (!take_uint(&in, 1, &kind))
		return -1;
	switch (kind) {
	case HEAD_REQUEST:
		if (!take_str(&in, 1, &h->method) || !take_str(&in, 2, &h->uri) || !h->method.len)
			return -1;
		break;
	case HEAD_RESPONSE:
		if (!take_uint(&in, 2, &v) || v < STATUS_MIN || v > STATUS_MAX)
			return -1;
		h->status = v;
		break;
	case HEAD_TRAILERS:
		break;
	default:
		return -1;
	}
	if (kind != HEAD_TRAILERS && (!take_uint(&in, 1, &major) || !take_uint(&in, 1, &minor)))
		return -1;
	h->kind = (enum head_kind)kind;
	h->major = major;
	h->minor = minor;
	h->fields = in;
	return 0;
}

int head_next_field(struct head_field *f, struct span *rest)
{
	if (!rest->len)
		return 0;
	return take_str(rest, 2, &f->name) && f->name.len && take_str(rest, 2, &f->value) ? 1 : -1;
}

int head_encode_request(struct buf *out, struct span method, struct span uri, unsigned major, unsigned minor)
{
	size_t mark = out->len;

	if (!method.len || major > UINT8_MAX || minor > UINT8_MAX || buf_putc(out, HEAD_REQUEST) < 0 ||
	    put_str8(out, method) < 0 || put_str16(out, uri) < 0 || buf_putc(out, (uint8_t)major) < 0 ||
	    buf_putc(out, (uint8_t)minor) < 0)
		return undo(out, mark);
	return 0;
}

int head_encode_response(struct buf *out, unsigned status, unsigned major, unsigned minor)
{
	size_t mark = out->len;

	if (status < STATUS_MIN || status > STATUS_MAX || major > UINT8_MAX || minor > UINT8_MAX ||
	    buf_putc(out, HEAD_RESPONSE) < 0 || buf_u16(out, status) < 0 || buf_putc(out, (uint8_t)major) < 0 ||
	    buf_putc(out, (uint8_t)minor) < 0)
		return undo(out, mark);
	return 0;
}

int head_encode_trailers(struct buf *out)
{
	return buf_putc(out, HEAD_TRAILERS);
}

int head_encode_field(struct buf *out, struct span name, struct span value)
{
	size_t mark = out->len;

	if (!name.len || put_str16(out, name) < 0 || put_str16(out, value) < 0)
		return undo(out, mark);
	return 0;
}

static bool answer_take_header(struct answer *a, struct span *in)
{
	uint32_t version, verdict, flags;

	if (!take_uint(in, 1, &version) || version != EXCHANGE_VERSION || !take_uint(in, 1, &verdict) ||
	    verdict > ANSWER_CUT || !take_uint(in, 2, &flags) || (flags & ~(uint32_t)ANSWER_FLAGS_KNOWN) ||
	    !take_uint(in, 4, &a->seq) || !take_uint(in, 4, &a->consumed))
		return false;
	a->verdict = (enum answer_verdict)verdict;
	a->flags = flags;
	return true;
}

int answer_decode(struct answer *a, struct span encoded)
{
	struct span in = encoded, gen, rest;
	struct edit e;
	uint32_t edits;

	*a = (struct answer){0};
	if (!answer_take_header(a, &in) || !span_take(&in, EXCHANGE_GEN_BYTES, &gen) ||
	    !take_str(&in, 1, &a->carry) || a->carry.len > EXCHANGE_CARRY_MAX ||
	    !take_str(&in, 2, &a->scope) || a->scope.len > EXCHANGE_SCOPE_MAX || !take_uint(&in, 2, &edits))
		return -1;
	memcpy(a->gen, gen.p, EXCHANGE_GEN_BYTES);
	a->edit_count = edits;
	rest = in;
	for (uint32_t i = 0; i < edits; i++)
		if (answer_next_edit(&e, &rest) != 1)
			return -1;
	a->edits = span_of(in.p, in.len - rest.len);
	in = rest;
	return take_str(&in, 4, &a->payload) && !in.len ? 0 : -1;
}

int answer_next_edit(struct edit *e, struct span *rest)
{
	uint32_t op, field;

	if (!rest->len)
		return 0;
	*e = (struct edit){0};
	if (!take_uint(rest, 1, &op) || op < EDIT_VALUE || op > EDIT_URI || !take_uint(rest, 2, &field) ||
	    !take_str(rest, 2, &e->name) || !take_str(rest, 2, &e->value))
		return -1;
	e->op = (enum edit_op)op;
	e->field = field;
	return 1;
}

int answer_encode(struct buf *out, const struct answer *a)
{
	size_t mark = out->len;

	if (a->carry.len > EXCHANGE_CARRY_MAX || a->scope.len > EXCHANGE_SCOPE_MAX || a->edit_count > UINT16_MAX ||
	    (a->flags & ~(unsigned)ANSWER_FLAGS_KNOWN))
		return -1;
	if (buf_putc(out, EXCHANGE_VERSION) < 0 || buf_putc(out, (uint8_t)a->verdict) < 0 ||
	    buf_u16(out, a->flags) < 0 || buf_u32(out, a->seq) < 0 || buf_u32(out, a->consumed) < 0 ||
	    buf_append(out, a->gen, EXCHANGE_GEN_BYTES) < 0 || put_str8(out, a->carry) < 0 ||
	    put_str16(out, a->scope) < 0 || buf_u16(out, a->edit_count) < 0 ||
	    buf_append_span(out, a->edits) < 0 || put_str32(out, a->payload) < 0)
		return undo(out, mark);
	return 0;
}

int edit_encode(struct buf *out, const struct edit *e)
{
	size_t mark = out->len;

	if (e->op < EDIT_VALUE || e->op > EDIT_URI || buf_putc(out, (uint8_t)e->op) < 0 || buf_u16(out, e->field) < 0 ||
	    put_str16(out, e->name) < 0 || put_str16(out, e->value) < 0)
		return undo(out, mark);
	return 0;
}

static size_t block_end(size_t at, size_t len)
{
	return len - at < PATCH_BLOCK ? len : at + PATCH_BLOCK;
}

/* Where the run of blocks that differ ends. */
static size_t patch_end(struct span before, struct span after, size_t at)
{
	for (unsigned blocks = 0; at < before.len && blocks < PATCH_BLOCKS_MAX; blocks++) {
		size_t end = block_end(at, before.len);

		if (memcmp(before.p + at, after.p + at, end - at) == 0)
			break;
		at = end;
	}
	return at;
}

int patches_encode(struct buf *out, struct span before, struct span after)
{
	size_t mark = out->len, at = 0;

	while (at < before.len) {
		size_t end = patch_end(before, after, at);

		if (end == at) {
			at = block_end(at, before.len);
			continue;
		}
		if (out->len - mark + end - at > before.len / 2 || buf_u32(out, (uint32_t)at) < 0 ||
		    put_str16(out, span_of(after.p + at, end - at)) < 0)
			return undo(out, mark);
		at = end;
	}
	return 0;
}

int patch_next(struct patch *p, struct span *rest, size_t consumed)
{
	uint32_t at;

	if (!rest->len)
		return 0;
	if (!take_uint(rest, 4, &at) || !take_str(rest, 2, &p->bytes) || at > consumed || p->bytes.len > consumed - at)
		return -1;
	p->at = at;
	return 1;
}

int refusal_decode(struct refusal_body *r, struct span payload)
{
	struct span in = payload;

	*r = (struct refusal_body){0};
	if (!take_uint(&in, 2, &r->status) || r->status < REFUSAL_MIN || r->status > REFUSAL_MAX ||
	    !take_str(&in, 1, &r->code) || !r->code.len || !take_str(&in, 4, &r->json) || in.len)
		return -1;
	return 0;
}

int refusal_encode(struct buf *out, const struct refusal_body *r)
{
	size_t mark = out->len;

	if (r->status < REFUSAL_MIN || r->status > REFUSAL_MAX || !r->code.len || buf_u16(out, r->status) < 0 ||
	    put_str8(out, r->code) < 0 || put_str32(out, r->json) < 0)
		return undo(out, mark);
	return 0;
}
