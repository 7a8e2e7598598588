/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Length-prefixed messages of gRPC: one byte of flags, four of length (big endian), then the message. Pure. What the state of a stream
 * keeps lies in carry.framing:
 *
 *   byte 0      how many of the five prefix bytes have gone
 *   byte 1..4   bytes left of the message, or the part of its length that is known
 */
#ifndef SLAPENIR_FRAMING_H
#define SLAPENIR_FRAMING_H

#include "carry.h"

struct framing_part {
	size_t end;   /* in bytes; not behind their end */
	bool message; /* else a prefix */
	bool whole;   /* the part is over there */
};

/* What bytes[at..) begin with. at < bytes.len. */
struct framing_part framing_part(const struct carry *c, struct span bytes, size_t at);
/* These bytes of one part are decided. */
void framing_advance(struct carry *c, struct span bytes);
/* -1: not a state of ours. */
int framing_check(const struct carry *c) __attribute__((warn_unused_result));

#endif
