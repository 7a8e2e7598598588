/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which part of a head is rewritten by which rule, as edits. docs/heads.md says why.
 */
#ifndef SLAPENIR_HEAD_REWRITE_H
#define SLAPENIR_HEAD_REWRITE_H

#include "audit.h"
#include "exchange.h"
#include "judge.h"
#include "policy.h"
#include "rewrite.h"

enum head_result {
	HEAD_OK,
	HEAD_TRIPPED,              /* a real secret in a request: `tripped` */
	HEAD_CREDENTIAL_REQUIRED,  /* `require: true`, and a credential header without a placeholder that was rehydrated */
	HEAD_ERROR = -1,           /* malformed, or out of memory */
};

struct head_work {
	struct judge judge;
	bool require;                 /* `require: true` holds for this host */
	bool trailers;                /* placeholders stay inert there */
	struct buf *edits, *scratch, *name;
	unsigned edit_count;
	/* by audit_where: header, query, path, trailer */
	struct rewrite_hits hits[AUDIT_IN_TRAILER + 1];
};

/* The path and query of a uri, whatever its form. */
struct span head_uri_path(struct span uri);

enum head_result head_rewrite_request(struct head_work *w, const struct head *h) __attribute__((warn_unused_result));
enum head_result head_rewrite_response(struct head_work *w, const struct head *h) __attribute__((warn_unused_result));
/* Also for trailers of both directions. */
enum head_result head_rewrite_fields(struct head_work *w, struct span fields) __attribute__((warn_unused_result));

#endif
