/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the parts of the agent: agent.c (messages, answers, refusals), agent_head.c (verdicts on heads), agent_body.c (chunks),
 * agent_connect.c, agent_audit.c (what is told to the sink).
 *
 *   notify ──▶ verdict on the head ──▶ its edits ──▶ chunk ──▶ events ──▶ answer
 *                      └──────────────────┴────────────┴─────────┴──▶ refusal
 */
#ifndef SLAPENIR_AGENT_INTERNAL_H
#define SLAPENIR_AGENT_INTERNAL_H

#include "agent.h"
#include "head_rewrite.h"
#include "notify.h"
#include "scope.h"
#include "trips.h"

enum { AGENT_GENERATIONS_MAX = 16, AGENT_PLACES = AUDIT_IN_TRAILER + 1 };

struct agent_generation {
	const struct policy *policy;
	size_t shortest_run; /* head_name_shortest_run() */
};

/* What an exchange writes into. Kept, so that no message allocates, and wiped after each. */
enum agent_scratch { SCRATCH_PART, SCRATCH_NAME, SCRATCH_EDITS, SCRATCH_SCOPE, SCRATCH_PAYLOAD, SCRATCH_PATCHES, SCRATCH_ANSWER, SCRATCH_COUNT };

struct agent {
	struct agent_generation generation[AGENT_GENERATIONS_MAX]; /* [0] is the newest */
	size_t generations;
	struct audit_sink *sink;
	struct buf suspended; /* CNs, each behind a byte of its length */
	bool all_suspended;   /* one found no room: then all are out */
	struct trips trips;
	uint64_t connects; /* refused ones */
	uint8_t connect_id[6];

	struct buf scratch[SCRATCH_COUNT];
	struct rewrite_hits hits[AGENT_PLACES]; /* by enum audit_where */
};

struct exchange {
	struct agent *a;
	const struct notify *n;
	bool response;
	const struct agent_generation *g;
	const struct policy *p; /* g->policy */
	bool quiet;             /* the canary's: nothing of it is audited */
	uint64_t now_ms;

	struct policy_request q; /* method and path only with a head */
	struct judge judge;
	struct scope scope;
	bool opaque;    /* an encoded request body */
	bool made_only; /* the length of the body is promised */
	struct rewrite_step step;
	struct answer answer;
};

/* These return REFUSAL_NONE: go on; why it is refused; or AGENT_MALFORMED, for a bug or out of memory. */
enum { AGENT_MALFORMED = -1 };

int agent_take_head(struct exchange *x) __attribute__((warn_unused_result));
/* room: bytes for the payload, not 0. */
int agent_take_chunk(struct exchange *x, size_t room) __attribute__((warn_unused_result));

int agent_connect(struct agent *a, const struct notify *n, uint64_t now_ms, struct buf *ack) __attribute__((warn_unused_result));

bool agent_is_suspended(const struct agent *a, struct span cn);
/* Appends the JSON of a refusal; after the tripwire it names the secret. q: by whose rule, or NULL. */
int agent_refusal_json(struct exchange *x, const struct policy_request *q, enum refusal_code code, struct buf *out)
	__attribute__((warn_unused_result));

/* --- events. Those with a result return REFUSAL_NONE or REFUSAL_AUDIT_UNAVAILABLE. --- */
int agent_tell_head(struct exchange *x, struct span method, struct span path) __attribute__((warn_unused_result));
int agent_tell_note(struct exchange *x, const char *code) __attribute__((warn_unused_result));
int agent_tell_hits(struct exchange *x) __attribute__((warn_unused_result));
void agent_tell_end(struct exchange *x, struct span how);
/* Of other requests, which are complete. */
void agent_tell_ended(struct agent *a, struct span ended);
void agent_tell_refusal(struct exchange *x, enum refusal_code code);
/* A request holds a real secret. Suspends the agent where it must. */
void agent_tell_tripped(struct exchange *x);

#endif
