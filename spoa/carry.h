/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What of a stream's past decides about its next bytes, in at most 16 bytes that travel with the stream. Nothing in it is a bit of a
 * secret: counts, and bits of a base64 character that were replaced already. Pure; linked by the agent and the filter.
 *
 *   byte 0      CARRY_F_ flags; not 0: the next chunk is never clean
 *   byte 1      base64 characters in the current line so far, at most CARRY_LINE_FULL
 *   byte 2, 3   decided: how many high bits (2 or 4) of the first base64 character are replaced already, and by what
 *   byte 4..8   framing, see framing.h
 * Trailing zero bytes are not sent: an empty carry is the beginning of a stream.
 */
#ifndef SLAPENIR_CARRY_H
#define SLAPENIR_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { CARRY_MAX = 16, CARRY_LINE_FULL = 40, CARRY_FRAMING_BYTES = 5 };
enum { CARRY_F_DECIDED = 1, CARRY_F_FRAMING = 2 };

struct carry {
	uint8_t flags, line, decided_bits, decided;
	uint8_t framing[CARRY_FRAMING_BYTES];
};

/* -1: not one of ours. */
int carry_decode(struct carry *c, const uint8_t *bytes, unsigned len) __attribute__((warn_unused_result));
unsigned carry_encode(const struct carry *c, uint8_t out[CARRY_MAX]);

/* Length of the base64 line in front of bytes.p[at], counted from `before` characters in front of the span. */
unsigned carry_line_at(struct span bytes, size_t at, unsigned before);

/* These bytes were forwarded as they are, without an exchange. Only for a carry whose byte 0 is 0. */
void carry_skip(uint8_t carry[CARRY_MAX], unsigned *carry_len, struct span bytes);

#endif
