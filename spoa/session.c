/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include "frame.h"

enum {
	LENGTH_BYTES = 4,
	FRAME_SIZE_MIN = 256, /* of the protocol */
};

enum spop_status {
	STATUS_NORMAL = 0,
	STATUS_TOO_BIG = 3,
	STATUS_INVALID = 4,
	STATUS_NO_VERSION = 5,
	STATUS_NO_FRAME_SIZE = 6,
	STATUS_NO_CAPABILITIES = 7,
	STATUS_BAD_VERSION = 8,
	STATUS_BAD_FRAME_SIZE = 9,
	STATUS_FRAGMENTED = 10,
	STATUS_RESOURCES = 13,
};

static const char *const status_text[] = {
	[STATUS_NORMAL] = "normal",
	[STATUS_TOO_BIG] = "frame is too big",
	[STATUS_INVALID] = "invalid frame received",
	[STATUS_NO_VERSION] = "version value not found",
	[STATUS_NO_FRAME_SIZE] = "max-frame-size value not found",
	[STATUS_NO_CAPABILITIES] = "capabilities value not found",
	[STATUS_BAD_VERSION] = "unsupported version",
	[STATUS_BAD_FRAME_SIZE] = "max-frame-size too big or too small",
	[STATUS_FRAGMENTED] = "payload fragmentation is not supported",
	[STATUS_RESOURCES] = "resource allocation error",
};

void session_init(struct session *s, struct session_handler *handler)
{
	*s = (struct session){.handler = handler, .phase = SESSION_HELLO, .max_frame = SESSION_HELLO_MAX};
}

static void disconnect(struct session *s, struct buf *out, enum spop_status status)
{
	struct spop_value code = {.type = SPOP_UINT32, .u = status};
	struct spop_value text = {.type = SPOP_STR, .bytes = span_str(status_text[status])};
	size_t mark;

	s->phase = SESSION_CLOSED;
	if (status != STATUS_NORMAL)
		s->error = status_text[status];
	if (frame_begin(out, &mark, FRAME_AGENT_DISCONNECT, 0, 0) < 0)
		return; /* closing without a word is as good */
	if (frame_kv(out, "status-code", &code) < 0 || frame_kv(out, "message", &text) < 0 || frame_end(out, mark) < 0)
		out->len = mark;
}

void session_drain(struct session *s, struct buf *out)
{
	if (s->phase != SESSION_CLOSED)
		disconnect(s, out, STATUS_NORMAL);
}

/* Walks a comma-separated list; spaces do not count. */
static bool next_item(struct span *list, struct span *item)
{
	const uint8_t *comma;
	size_t len;

	if (list->len == 0)
		return false;
	comma = memchr(list->p, ',', list->len);
	len = comma ? (size_t)(comma - list->p) : list->len;
	*item = span_of(list->p, len);
	len += comma ? 1 : 0;
	*list = span_of(list->p + len, list->len - len);
	while (item->len && item->p[0] == ' ') {
		item->p++;
		item->len--;
	}
	while (item->len && item->p[item->len - 1] == ' ')
		item->len--;
	return true;
}

static bool list_has(struct span list, const char *what)
{
	struct span item;

	while (next_item(&list, &item))
		if (span_is(item, what))
			return true;
	return false;
}

static bool list_has_major_2(struct span list)
{
	struct span item;

	while (next_item(&list, &item))
		if (item.len >= 3 && item.p[0] == '2' && item.p[1] == '.')
			return true;
	return false;
}

struct hello {
	struct span versions, capabilities;
	uint64_t max_frame;
	bool has_versions, has_capabilities, has_max_frame, healthcheck;
};

static int hello_decode(struct hello *h, struct span rest)
{
	struct spop_value v;
	struct span name;
	int more;

	*h = (struct hello){0};
	while ((more = frame_next_arg(&name, &v, &rest)) > 0) {
		if (span_is(name, "supported-versions") && v.type == SPOP_STR) {
			h->versions = v.bytes;
			h->has_versions = true;
		} else if (span_is(name, "capabilities") && v.type == SPOP_STR) {
			h->capabilities = v.bytes;
			h->has_capabilities = true;
		} else if (span_is(name, "max-frame-size") && v.type == SPOP_UINT32) {
			h->max_frame = v.u;
			h->has_max_frame = true;
		} else if (span_is(name, "healthcheck") && v.type == SPOP_BOOL) {
			h->healthcheck = v.b;
		}
	}
	return more;
}

static enum spop_status hello_judge(const struct hello *h)
{
	if (!h->has_versions)
		return STATUS_NO_VERSION;
	if (!h->has_max_frame)
		return STATUS_NO_FRAME_SIZE;
	if (!h->has_capabilities)
		return STATUS_NO_CAPABILITIES;
	if (!list_has_major_2(h->versions))
		return STATUS_BAD_VERSION;
	if (h->max_frame < FRAME_SIZE_MIN)
		return STATUS_BAD_FRAME_SIZE;
	return STATUS_NORMAL;
}

static void take_hello(struct session *s, const struct frame *f, struct buf *out)
{
	struct spop_value version = {.type = SPOP_STR, .bytes = span_str("2.0")};
	struct spop_value size = {.type = SPOP_UINT32}, capabilities = {.type = SPOP_STR};
	enum spop_status status;
	struct hello h;
	size_t mark;

	status = hello_decode(&h, f->payload) < 0 ? STATUS_INVALID : hello_judge(&h);
	if (status != STATUS_NORMAL) {
		disconnect(s, out, status);
		return;
	}
	s->max_frame = h.max_frame < SESSION_FRAME_MAX ? (uint32_t)h.max_frame : SESSION_FRAME_MAX;
	s->pipelining = list_has(h.capabilities, "async");
	size.u = s->max_frame;
	capabilities.bytes = span_str(s->pipelining ? "pipelining" : "");
	if (frame_begin(out, &mark, FRAME_AGENT_HELLO, 0, 0) < 0 || frame_kv(out, "version", &version) < 0 ||
	    frame_kv(out, "max-frame-size", &size) < 0 || frame_kv(out, "capabilities", &capabilities) < 0 ||
	    frame_end(out, mark) < 0) {
		s->phase = SESSION_CLOSED;
		s->error = status_text[STATUS_RESOURCES];
		return;
	}
	s->phase = h.healthcheck ? SESSION_CLOSED : SESSION_OPEN;
}

static int answer(struct session *s, const struct frame *f, struct buf *out, uint64_t now_ms)
{
	struct span rest = f->payload, name;
	unsigned args;
	int more;

	while ((more = frame_next_message(&name, &args, &rest)) > 0)
		if (s->handler->message(s->handler, name, args, &rest, out, now_ms) < 0)
			return -1;
	return more;
}

static void take_notify(struct session *s, const struct frame *f, struct buf *out, uint64_t now_ms)
{
	size_t mark;
	int rc;

	if (!(f->flags & FRAME_FIN)) {
		disconnect(s, out, STATUS_FRAGMENTED);
		return;
	}
	if (f->flags & FRAME_ABORT)
		return;
	s->notifies++;
	if (!s->pipelining && out->len) {
		explicit_bzero(out->p, out->len);
		buf_reset(out);
		s->dropped++;
	}
	out->limit = out->len + LENGTH_BYTES + s->max_frame;
	if (frame_begin(out, &mark, FRAME_ACK, f->stream_id, f->frame_id) < 0) {
		rc = -1;
	} else {
		rc = answer(s, f, out, now_ms);
		if (rc == 0)
			rc = frame_end(out, mark);
	}
	out->limit = 0;
	if (rc < 0) {
		explicit_bzero(out->p + mark, out->len - mark);
		out->len = mark;
		disconnect(s, out, STATUS_INVALID);
	}
}

static void take_frame(struct session *s, struct span bytes, struct buf *out, uint64_t now_ms)
{
	struct frame f;

	if (frame_decode(&f, bytes) < 0)
		disconnect(s, out, STATUS_INVALID);
	else if (f.type == FRAME_HAPROXY_DISCONNECT)
		disconnect(s, out, STATUS_NORMAL);
	else if (f.type == FRAME_HAPROXY_HELLO && s->phase == SESSION_HELLO)
		take_hello(s, &f, out);
	else if (f.type == FRAME_NOTIFY && s->phase == SESSION_OPEN)
		take_notify(s, &f, out, now_ms);
	else
		disconnect(s, out, STATUS_INVALID);
}

void session_feed(struct session *s, struct span *in, struct buf *out, uint64_t now_ms)
{
	while (s->phase != SESSION_CLOSED && in->len >= LENGTH_BYTES && out->len < SESSION_UNSENT_MAX) {
		const uint8_t *p = in->p;
		uint32_t len = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

		if (len > s->max_frame) {
			disconnect(s, out, STATUS_TOO_BIG);
			return;
		}
		if (len > in->len - LENGTH_BYTES)
			return;
		*in = span_of(p + LENGTH_BYTES + len, in->len - LENGTH_BYTES - len);
		take_frame(s, span_of(p + LENGTH_BYTES, len), out, now_ms);
	}
}
