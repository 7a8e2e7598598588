/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit.h"

enum { EVENT_VERSION = 1 };

/* The strings of an event in the order of the wire, and how much of each is kept. */
static const struct {
	size_t offset;
	size_t max;
} strings[] = {
	{offsetof(struct audit_event, agent), 64},   {offsetof(struct audit_event, host), 300},
	{offsetof(struct audit_event, method), 32},  {offsetof(struct audit_event, path), 1024},
	{offsetof(struct audit_event, secret), 256}, {offsetof(struct audit_event, code), 64},
	{offsetof(struct audit_event, end), 32},
};

enum { STRINGS = sizeof(strings) / sizeof(strings[0]) };

int audit_event_encode(struct buf *out, const struct audit_event *e)
{
	uint8_t fixed[] = {EVENT_VERSION, (uint8_t)e->kind, (uint8_t)e->direction, (uint8_t)e->where, (uint8_t)e->what};
	size_t mark = out->len;
	int rc = 0;

	rc |= buf_append(out, fixed, sizeof(fixed));
	rc |= buf_append(out, e->id, sizeof(e->id));
	rc |= buf_u32(out, e->seq);
	rc |= buf_u32(out, e->count);
	for (size_t i = 0; i < STRINGS; i++) {
		const struct span *s = (const struct span *)((const char *)e + strings[i].offset);
		size_t len = s->len < strings[i].max ? s->len : strings[i].max;

		rc |= buf_u16(out, (unsigned)len);
		rc |= buf_append(out, s->p, len);
	}
	if (rc != 0)
		out->len = mark;
	return rc != 0 ? -1 : 0;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int audit_event_decode(struct audit_event *e, struct span bytes)
{
	struct span head, length;
	const uint8_t *p;

	*e = (struct audit_event){0};
	if (!span_take(&bytes, 5 + sizeof(e->id) + 8, &head))
		return -1;
	p = head.p;
	if (p[0] != EVENT_VERSION || p[1] > AUDIT_SUSPEND || p[2] > 1 || p[3] > AUDIT_IN_TRAILER || p[4] > AUDIT_INERT_IN_BODY)
		return -1;
	e->kind = p[1];
	e->direction = p[2];
	e->where = p[3];
	e->what = p[4];
	memcpy(e->id, p + 5, sizeof(e->id));
	e->seq = be32(p + 5 + sizeof(e->id));
	e->count = be32(p + 9 + sizeof(e->id));
	for (size_t i = 0; i < STRINGS; i++) {
		struct span *s = (struct span *)((char *)e + strings[i].offset);

		if (!span_take(&bytes, 2, &length) || !span_take(&bytes, (size_t)length.p[0] << 8 | length.p[1], s) ||
		    s->len > strings[i].max)
			return -1;
	}
	return bytes.len ? -1 : 0;
}
