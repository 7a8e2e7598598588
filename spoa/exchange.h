/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the HAProxy filter and the agent say to each other inside SPOE's NOTIFY and ACK frames: constants and the pure
 * codec of head, answer and refusal. docs/protocol.md is the meaning. Linked by both sides, knows no secret.
 */
#ifndef SLAPENIR_EXCHANGE_H
#define SLAPENIR_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum {
	EXCHANGE_VERSION = 1,
	EXCHANGE_ID_BYTES = 12,
	EXCHANGE_GEN_BYTES = 8,
	EXCHANGE_CARRY_MAX = 16,
	EXCHANGE_SCOPE_MAX = 512,
	EXCHANGE_ENDED_BYTES = EXCHANGE_ID_BYTES + 1, /* a request's id and the direction */
	EXCHANGE_ENDED_MAX = 8,                       /* of them in one exchange */
};

enum exchange_flag { /* of a NOTIFY */
	EXCHANGE_F_HEAD = 1 << 0,
	EXCHANGE_F_TRAILERS = 1 << 1,
	EXCHANGE_F_EOM = 1 << 2,
	EXCHANGE_F_WHOLE = 1 << 3,
	EXCHANGE_F_LATE_HEAD = 1 << 4,
	EXCHANGE_F_FULL = 1 << 5,
	EXCHANGE_F_PLAIN = 1 << 6,
	EXCHANGE_F_HEAD_REQUEST = 1 << 7,
	EXCHANGE_F_BODYLESS = 1 << 8,
	EXCHANGE_F_LENGTH_PROMISED = 1 << 9,
	EXCHANGE_F_TRAILERS_FOLLOW = 1 << 10, /* with EOM: nothing of the body follows, but the message goes on */
	EXCHANGE_F_PATCHES = 1 << 11,         /* a payload may come as patches */
};

enum answer_verdict { ANSWER_PASS, ANSWER_REFUSE, ANSWER_UNKNOWN_GENERATION, ANSWER_CUT };

enum answer_flag {
	ANSWER_F_CHUNKED = 1 << 0,
	ANSWER_F_CACHE = 1 << 1,
	ANSWER_F_OPAQUE = 1 << 2,
	ANSWER_F_RESCAN = 1 << 3,
	ANSWER_F_PAYLOAD = 1 << 4,
	ANSWER_F_AUDITED = 1 << 5, /* something of this request is in the audit log: tell its END */
	ANSWER_F_PATCHED = 1 << 6, /* with PAYLOAD: it is patches of the consumed bytes, whose length stays */
};

enum edit_op { EDIT_VALUE = 1, EDIT_FIELD, EDIT_REMOVE, EDIT_ADD, EDIT_URI };

enum head_kind { HEAD_REQUEST = 'Q', HEAD_RESPONSE = 'S', HEAD_TRAILERS = 'T' };

/* A decoded head: spans point into the encoded bytes. Fields are walked with head_next_field(). */
struct head {
	enum head_kind kind;
	struct span method, uri; /* request */
	unsigned status;         /* response */
	unsigned major, minor;
	struct span fields; /* encoded rest */
};

struct head_field {
	struct span name, value;
};

/* All decoders return 0, or -1 for malformed bytes; they read only inside the span that they are given. */
int head_decode(struct head *h, struct span encoded) __attribute__((warn_unused_result));
/* 1: a field, 0: the end, -1: malformed. Takes the field off the front of *rest. */
int head_next_field(struct head_field *f, struct span *rest) __attribute__((warn_unused_result));

/* Encoders append to out; -1 when a part is too long for its length field or memory is out. */
int head_encode_request(struct buf *out, struct span method, struct span uri, unsigned major, unsigned minor);
int head_encode_response(struct buf *out, unsigned status, unsigned major, unsigned minor);
int head_encode_trailers(struct buf *out);
int head_encode_field(struct buf *out, struct span name, struct span value);

struct answer {
	enum answer_verdict verdict;
	unsigned flags;
	uint32_t seq, consumed;
	uint8_t gen[EXCHANGE_GEN_BYTES];
	struct span carry, scope;
	unsigned edit_count;
	struct span edits; /* encoded; walk with answer_next_edit() */
	struct span payload;
};

struct edit {
	enum edit_op op;
	unsigned field;
	struct span name, value;
};

int answer_decode(struct answer *a, struct span encoded) __attribute__((warn_unused_result));
int answer_next_edit(struct edit *e, struct span *rest) __attribute__((warn_unused_result)); /* as head_next_field */
int answer_encode(struct buf *out, const struct answer *a);
int edit_encode(struct buf *out, const struct edit *e);

struct patch {
	size_t at; /* of the consumed bytes */
	struct span bytes;
};

/* What `after` has other than `before`, of the same length, in blocks. -1, with nothing appended: that would not be much less than all. */
int patches_encode(struct buf *out, struct span before, struct span after) __attribute__((warn_unused_result));
/* As head_next_field; -1 too when a patch does not lie within `consumed` bytes. */
int patch_next(struct patch *p, struct span *rest, size_t consumed) __attribute__((warn_unused_result));

struct refusal_body {
	unsigned status;
	struct span code, json;
};
int refusal_decode(struct refusal_body *r, struct span payload) __attribute__((warn_unused_result));
int refusal_encode(struct buf *out, const struct refusal_body *r);

#endif
