/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between agent.c (messages, suspended agents) and agent_exchange.c (heads and chunks).
 */
#ifndef SLAPENIR_AGENT_INTERNAL_H
#define SLAPENIR_AGENT_INTERNAL_H

#include "agent.h"
#include "notify.h"
#include "trips.h"

enum { AGENT_GENERATIONS_MAX = 16 };

/* What an exchange writes into, kept from one to the next so that a frame allocates nothing. */
enum agent_scratch { SCRATCH_VALUE, SCRATCH_NAME, SCRATCH_EDITS, SCRATCH_SCOPE, SCRATCH_PAYLOAD, SCRATCH_ANSWER, SCRATCH_COUNT };

struct agent {
	const struct policy *generation[AGENT_GENERATIONS_MAX]; /* [0] is the newest */
	size_t generations;
	struct audit_sink *sink;
	struct buf suspended;
	struct trips trips;
	size_t shortest_run[AGENT_GENERATIONS_MAX]; /* head_name_shortest_run() of each generation */
	struct buf scratch[SCRATCH_COUNT];
};

bool agent_is_suspended(const struct agent *a, struct span cn);
const struct policy *agent_generation(const struct agent *a, struct span id); /* NULL: not known here */

/* Leaves the JSON of a refusal in SCRATCH_VALUE. secret: a name, or NULL. */
int agent_refusal_json(struct agent *a, const struct policy *p, const struct policy_request *q, enum refusal_code code, const char *secret);

/* A head, a chunk, or trailers: appends the answer to ack. -1 as agent_message(). */
int agent_exchange(struct agent *a, const struct notify *n, bool response, struct buf *ack, uint64_t now_ms);

#endif
