/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a head says about the rest of its message. It travels with the stream, opaque to HAProxy, so that any worker can go
 * on: at most EXCHANGE_SCOPE_MAX bytes.
 *
 *   u8 version   u8 'Q' or 'S'   u8 place   u8 framing   u8[8] generation   then, of a request, policy's grant
 */
#ifndef SLAPENIR_SCOPE_H
#define SLAPENIR_SCOPE_H

#include "exchange.h"
#include "policy.h"
#include "rewrite.h"

/* What the fields of a head say about the body. */
struct body_kind {
	enum rewrite_place place; /* by Content-Type: JSON or form, else raw */
	enum rewrite_framing framing;
	bool encoded;    /* Content-Encoding or grpc-encoding: its bytes cannot be looked into */
	bool has_length; /* Content-Length */
};

/* -1: the fields are malformed. */
int body_kind_of(struct body_kind *k, struct span fields) __attribute__((warn_unused_result));

struct scope {
	enum rewrite_place place;
	enum rewrite_framing framing;
	struct policy_grant grant; /* of a request: what may be rehydrated */
};

/* Appends. q: the request whose grant it is; NULL: a response. -1: out of memory. */
int scope_encode(struct buf *out, const struct body_kind *k, const struct policy *p, const struct policy_request *q)
	__attribute__((warn_unused_result));
/* -1: these are not bytes that scope_encode() gave for this direction under this generation. */
int scope_decode(struct scope *s, const struct policy *p, bool response, struct span encoded) __attribute__((warn_unused_result));

#endif
