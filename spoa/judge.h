/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The decision at a match: may this placeholder become its secret here, and which of several names of the same bytes is meant.
 * Heads and bodies of both directions decide by it.
 */
#ifndef SLAPENIR_JUDGE_H
#define SLAPENIR_JUDGE_H

#include "policy.h"
#include "rewrite.h"

enum { JUDGE_NOT_TRIPPED = -1 };

struct judge {
	const struct policy *policy;
	enum rewrite_direction direction;
	struct span agent;
	const struct policy_grant *grant; /* of a request; NULL: every placeholder stays as it is */
	unsigned place;                   /* the INJECT_ bit of where the bytes stand; 0: a place without secrets */
	struct span field;                /* INJECT_HEADER: its name in lower case */

	unsigned replaced; /* placeholders that became secrets so far */
	int tripped;       /* entry of the real secret that a request holds, or JUDGE_NOT_TRIPPED */
};

void judge_init(struct judge *j, const struct policy *p, enum rewrite_direction direction, struct span agent);

/* A rewrite_decide_cb; ctx is the judge. */
enum rewrite_verdict judge_match(void *ctx, enum rewrite_match match, unsigned *entry);

#endif
