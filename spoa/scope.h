/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the agent decided at a head and needs again for each chunk of that direction. It travels with the stream, opaque to
 * the filter, so that any worker may answer any chunk.
 */
#ifndef SLAPENIR_SCOPE_H
#define SLAPENIR_SCOPE_H

#include "policy.h"
#include "rewrite.h"

struct scope {
	enum rewrite_place place;     /* of the body */
	enum rewrite_framing framing; /* of the body */
	bool opaque;                  /* nothing of the body is looked at */
	bool made_only;               /* the length was promised */
	struct policy_grant grant;    /* request: what may be rehydrated */
	bool granted;
};

/* Reads the fields of a head that say what its body is: content-type, content-encoding. *encoded: it has another encoding than
 * identity. -1: malformed. */
int scope_from_fields(struct scope *s, struct span fields, bool *encoded) __attribute__((warn_unused_result));

/* q NULL: a response. -1: out of memory. */
int scope_encode(const struct scope *s, const struct policy *p, const struct policy_request *q, struct buf *out);
/* -1: these are not bytes that scope_encode() gave for this generation and direction. */
int scope_decode(struct scope *s, const struct policy *p, bool response, struct span encoded) __attribute__((warn_unused_result));

#endif
