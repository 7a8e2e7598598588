/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SPOP 2.0 on the wire (HAProxy's doc/SPOE.txt, section 3): pure encoder and decoder, no I/O, no allocation. Decoders read only
 * inside the span they are given and return -1 for anything malformed: an unbounded varint, a length past the end, an
 * unknown type.
 */
#ifndef SLAPENIR_FRAME_H
#define SLAPENIR_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum frame_type {
	FRAME_HAPROXY_HELLO = 1, FRAME_HAPROXY_DISCONNECT = 2, FRAME_NOTIFY = 3,
	FRAME_AGENT_HELLO = 101, FRAME_AGENT_DISCONNECT = 102, FRAME_ACK = 103,
};

enum spop_data { SPOP_NULL, SPOP_BOOL, SPOP_INT32, SPOP_UINT32, SPOP_INT64, SPOP_UINT64, SPOP_IPV4, SPOP_IPV6, SPOP_STR, SPOP_BIN };
enum spop_scope { SPOP_PROC, SPOP_SESS, SPOP_TXN, SPOP_REQ, SPOP_RES };

struct frame { /* after the 4-byte length */
	enum frame_type type;
	uint32_t flags;
	uint64_t stream_id, frame_id;
	struct span payload;
};

struct spop_value {
	enum spop_data type;
	bool b;
	uint64_t u;        /* all integer types, sign-extended */
	struct span bytes; /* STR, BIN, IPV4, IPV6 */
};

enum { FRAME_FIN = 1 << 0, FRAME_ABORT = 1 << 1 }; /* of frame.flags */

int frame_decode(struct frame *f, struct span bytes) __attribute__((warn_unused_result));
/* 1, 0 at the end, -1 malformed. Each takes what it reads off the front of *rest. */
int frame_next_message(struct span *name, unsigned *args, struct span *rest) __attribute__((warn_unused_result));
int frame_next_arg(struct span *name, struct spop_value *v, struct span *rest) __attribute__((warn_unused_result)); /* also KV lists of HELLO */

/* Encoders append; frame_begin writes room for the length, frame_end fills it in. -1: out of room. */
int frame_begin(struct buf *out, size_t *mark, enum frame_type type, uint64_t stream_id, uint64_t frame_id);
int frame_set_var(struct buf *out, enum spop_scope scope, const char *name, const struct spop_value *v); /* ACK action */
int frame_kv(struct buf *out, const char *name, const struct spop_value *v);                            /* HELLO, DISCONNECT */
int frame_end(struct buf *out, size_t mark);

#endif
