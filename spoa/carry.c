/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "carry.h"

#include "spelling.h"

int carry_decode(struct carry *c, const uint8_t *bytes, unsigned len)
{
	uint8_t full[CARRY_MAX] = {0};
	size_t i;

	if (len > sizeof(full))
		return -1;
	memcpy(full, bytes, len);
	c->flags = full[0];
	c->line = full[1];
	c->decided_bits = full[2];
	c->decided = full[3];
	memcpy(c->framing, full + 4, sizeof(c->framing));
	for (i = 4 + sizeof(c->framing); i < sizeof(full); i++)
		if (full[i])
			return -1;
	if ((c->flags & ~(CARRY_F_DECIDED | CARRY_F_FRAMING)) || c->line > CARRY_LINE_FULL)
		return -1;
	if (!(c->flags & CARRY_F_DECIDED))
		return c->decided_bits || c->decided ? -1 : 0;
	if (c->decided_bits != 2 && c->decided_bits != 4)
		return -1;
	return c->decided >> c->decided_bits ? -1 : 0;
}

unsigned carry_encode(const struct carry *c, uint8_t out[CARRY_MAX])
{
	unsigned len = 4 + CARRY_FRAMING_BYTES;

	out[0] = c->flags;
	out[1] = c->line;
	out[2] = c->decided_bits;
	out[3] = c->decided;
	memcpy(out + 4, c->framing, sizeof(c->framing));
	while (len && out[len - 1] == 0)
		len--;
	return len;
}

/* Escapes count by their bytes, and a JSON-escaped line break does not start the count anew: whether the byte behind a backslash
 * is an `n` may be a matter of a secret's value, and a line that counts too long is only held more often. */
unsigned carry_line_at(struct span bytes, size_t at, unsigned before)
{
	size_t i = at;

	while (i && at - i < CARRY_LINE_FULL && spelling_in_line(bytes.p[i - 1]))
		i--;
	if (i == 0 && before + at < CARRY_LINE_FULL)
		return before + (unsigned)at;
	return i == 0 || at - i >= CARRY_LINE_FULL ? CARRY_LINE_FULL : (unsigned)(at - i);
}

void carry_skip(uint8_t carry[CARRY_MAX], unsigned *carry_len, struct span bytes)
{
	unsigned before = *carry_len > 1 ? carry[1] : 0;

	if (*carry_len == 0)
		carry[0] = 0;
	carry[1] = (uint8_t)carry_line_at(bytes, bytes.len, before);
	*carry_len = carry[1] ? 2 : 0;
}
