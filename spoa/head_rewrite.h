/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A head, or trailers, and what must become of it: edits for HAProxy. Which parts may hold what, and why, is told in docs/heads.md.
 * Nothing is ever half done: with another result than HEAD_OK the message goes no further.
 */
#ifndef SLAPENIR_HEAD_REWRITE_H
#define SLAPENIR_HEAD_REWRITE_H

#include "audit.h"
#include "exchange.h"
#include "judge.h"

enum head_result {
	HEAD_OK,
	HEAD_TRIPPED,             /* a real secret in a request: judge.tripped */
	HEAD_CREDENTIAL_REQUIRED, /* `require: true`, and a credential header without a placeholder that became a secret */
	HEAD_TOO_LARGE,           /* a changed part is too long for an edit */
	HEAD_ERROR = -1,          /* malformed, or out of memory */
};

struct head_work {
	struct judge *judge;
	size_t shortest_run;        /* head_name_shortest_run() of the policy's rewriter */
	bool require;               /* `require: true` holds for this host */
	bool fixed;                 /* the head has left already: it is looked at, and not changed */
	struct buf *part, *name;    /* scratch */
	struct rewrite_hits *hits;  /* by enum audit_where */

	struct buf *edits; /* out: encoded, appended */
	unsigned edit_count;
};

enum head_result head_rewrite_request(struct head_work *w, const struct head *h) __attribute__((warn_unused_result));
enum head_result head_rewrite_response(struct head_work *w, const struct head *h) __attribute__((warn_unused_result));
/* Of either direction. Placeholders stay as they are. */
enum head_result head_rewrite_trailers(struct head_work *w, const struct head *h) __attribute__((warn_unused_result));

/* The parts of a request's uri: "https://host" of an absolute one, path, and query with its question mark. */
struct head_uri {
	struct span authority, path, query;
};
struct head_uri head_uri_split(struct span uri);

/* Appends what of these bytes may be logged: secrets in any spelling become placeholders. -1: out of memory. */
int head_logged(const struct policy *p, struct span bytes, struct buf *out) __attribute__((warn_unused_result));

#endif
