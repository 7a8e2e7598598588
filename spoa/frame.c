/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame.h"

enum {
	SPOP_TYPE_MASK = 0x0f,
	SPOP_FLAG_TRUE = 0x10,
	ACTION_SET_VAR = 1,
	SET_VAR_ARGS = 3,
	LENGTH_BYTES = 4,
};

static int take_u8(struct span *rest, uint8_t *v)
{
	struct span one;

	if (!span_take(rest, 1, &one))
		return -1;
	*v = one.p[0];
	return 0;
}

/* The encoding of HAProxy's peers protocol: the first byte holds 4 bits from 240 on, each further one 7 bits, always
 * added, so that every number has one spelling. The tenth byte would shift out of 64 bits. */
static int take_varint(struct span *rest, uint64_t *v)
{
	unsigned shift = 4;
	uint8_t b;

	if (take_u8(rest, &b) < 0)
		return -1;
	*v = b;
	if (b < 240)
		return 0;
	do {
		if (shift > 60 || take_u8(rest, &b) < 0)
			return -1;
		if (shift == 60 && b > 15)
			return -1;
		if (__builtin_add_overflow(*v, (uint64_t)b << shift, v))
			return -1;
		shift += 7;
	} while (b >= 128);
	return 0;
}

static int put_varint(struct buf *out, uint64_t v)
{
	uint8_t room[10];
	size_t n = 0;

	if (v < 240)
		return buf_putc(out, (uint8_t)v);
	room[n++] = (uint8_t)(v | 240);
	v = (v - 240) >> 4;
	while (v >= 128) {
		room[n++] = (uint8_t)(v | 128);
		v = (v - 128) >> 7;
	}
	room[n++] = (uint8_t)v;
	return buf_append(out, room, n);
}

static int take_string(struct span *rest, struct span *out)
{
	uint64_t len;

	if (take_varint(rest, &len) < 0 || len > rest->len)
		return -1;
	return span_take(rest, (size_t)len, out) ? 0 : -1;
}

static int put_string(struct buf *out, struct span s)
{
	return put_varint(out, s.len) < 0 || buf_append_span(out, s) < 0 ? -1 : 0;
}

static int take_value(struct span *rest, struct spop_value *v)
{
	uint8_t type;

	*v = (struct spop_value){0};
	if (take_u8(rest, &type) < 0)
		return -1;
	v->type = type & SPOP_TYPE_MASK;
	switch (v->type) {
	case SPOP_NULL:
		return 0;
	case SPOP_BOOL:
		v->b = type & SPOP_FLAG_TRUE;
		return 0;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		return take_varint(rest, &v->u);
	case SPOP_IPV4:
		return span_take(rest, 4, &v->bytes) ? 0 : -1;
	case SPOP_IPV6:
		return span_take(rest, 16, &v->bytes) ? 0 : -1;
	case SPOP_STR:
	case SPOP_BIN:
		return take_string(rest, &v->bytes);
	default:
		return -1;
	}
}

static int put_value(struct buf *out, const struct spop_value *v)
{
	uint8_t type = (uint8_t)v->type;

	if (v->type == SPOP_BOOL && v->b)
		type |= SPOP_FLAG_TRUE;
	if (buf_putc(out, type) < 0)
		return -1;
	switch (v->type) {
	case SPOP_NULL:
	case SPOP_BOOL:
		return 0;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		return put_varint(out, v->u);
	case SPOP_IPV4:
	case SPOP_IPV6:
		return v->bytes.len == (v->type == SPOP_IPV4 ? 4 : 16) ? buf_append_span(out, v->bytes) : -1;
	default:
		return put_string(out, v->bytes);
	}
}

static bool known_type(uint8_t type)
{
	return (type >= FRAME_HAPROXY_HELLO && type <= FRAME_NOTIFY) || (type >= FRAME_AGENT_HELLO && type <= FRAME_ACK);
}

int frame_decode(struct frame *f, struct span bytes)
{
	struct span rest = bytes, flags;
	uint8_t type;

	if (take_u8(&rest, &type) < 0 || !known_type(type) || !span_take(&rest, 4, &flags))
		return -1;
	f->type = type;
	f->flags = (uint32_t)flags.p[0] << 24 | (uint32_t)flags.p[1] << 16 | (uint32_t)flags.p[2] << 8 | flags.p[3];
	if (take_varint(&rest, &f->stream_id) < 0 || take_varint(&rest, &f->frame_id) < 0)
		return -1;
	f->payload = rest;
	return 0;
}

int frame_next_message(struct span *name, unsigned *args, struct span *rest)
{
	uint8_t count;

	if (rest->len == 0)
		return 0;
	if (take_string(rest, name) < 0 || take_u8(rest, &count) < 0)
		return -1;
	*args = count;
	return 1;
}

int frame_next_arg(struct span *name, struct spop_value *v, struct span *rest)
{
	if (rest->len == 0)
		return 0;
	return take_string(rest, name) < 0 || take_value(rest, v) < 0 ? -1 : 1;
}

int frame_begin(struct buf *out, size_t *mark, enum frame_type type, uint64_t stream_id, uint64_t frame_id)
{
	*mark = out->len;
	if (buf_u32(out, 0) < 0 || buf_putc(out, (uint8_t)type) < 0 || buf_u32(out, FRAME_FIN) < 0 ||
	    put_varint(out, stream_id) < 0 || put_varint(out, frame_id) < 0) {
		out->len = *mark;
		return -1;
	}
	return 0;
}

int frame_set_var(struct buf *out, enum spop_scope scope, const char *name, const struct spop_value *v)
{
	uint8_t action[] = {ACTION_SET_VAR, SET_VAR_ARGS, (uint8_t)scope};
	size_t mark = out->len;

	if (buf_append(out, action, sizeof(action)) < 0 || put_string(out, span_str(name)) < 0 || put_value(out, v) < 0) {
		out->len = mark;
		return -1;
	}
	return 0;
}

int frame_kv(struct buf *out, const char *name, const struct spop_value *v)
{
	size_t mark = out->len;

	if (put_string(out, span_str(name)) < 0 || put_value(out, v) < 0) {
		out->len = mark;
		return -1;
	}
	return 0;
}

int frame_end(struct buf *out, size_t mark)
{
	size_t len = out->len - mark - LENGTH_BYTES;

	if (len > UINT32_MAX)
		return -1;
	for (unsigned i = 0; i < LENGTH_BYTES; i++)
		out->p[mark + i] = (uint8_t)(len >> (24 - 8 * i));
	return 0;
}
