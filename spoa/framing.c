/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "framing.h"

enum { PREFIX = 5 };

static uint32_t left_get(const struct carry *c)
{
	const uint8_t *p = c->framing + 1;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void left_set(struct carry *c, uint32_t left)
{
	for (unsigned i = 0; i < 4; i++)
		c->framing[1 + i] = (uint8_t)(left >> (24 - 8 * i));
}

struct framing_part framing_part(const struct carry *c, struct span bytes, size_t at)
{
	struct framing_part part = {.message = c->framing[0] == PREFIX};
	size_t left = part.message ? left_get(c) : (size_t)PREFIX - c->framing[0];

	part.whole = left <= bytes.len - at;
	part.end = part.whole ? at + left : bytes.len;
	return part;
}

void framing_advance(struct carry *c, struct span bytes)
{
	uint32_t left = left_get(c);
	size_t i;

	if (c->framing[0] == PREFIX) {
		left -= (uint32_t)bytes.len;
	} else {
		for (i = 0; i < bytes.len; i++)
			if (c->framing[0]++ > 0)
				left = left << 8 | bytes.p[i];
	}
	if (left == 0 && c->framing[0] == PREFIX)
		c->framing[0] = 0;
	left_set(c, left);
}

int framing_check(const struct carry *c)
{
	if (c->framing[0] > PREFIX || (c->framing[0] == PREFIX && left_get(c) == 0))
		return -1;
	/* a length that is known in part has no more bytes than have been read of it */
	if (c->framing[0] < PREFIX && c->framing[0] > 0)
		return left_get(c) >> 8 * (c->framing[0] - 1) ? -1 : 0;
	return c->framing[0] == 0 && left_get(c) ? -1 : 0;
}
