/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent_internal.h"

/* Below that a payload costs less than finding out what of it is new. */
enum { PATCHES_MIN = 2048 };

static void give_payload(struct exchange *x)
{
	const struct rewrite_step *step = &x->step;
	struct buf *patches = &x->a->scratch[SCRATCH_PATCHES];

	x->answer.flags |= ANSWER_F_PAYLOAD;
	x->answer.payload = buf_span(step->out);
	if (!(x->n->flags & EXCHANGE_F_PATCHES) || step->out->len != step->consumed || step->consumed < PATCHES_MIN ||
	    patches_encode(patches, span_of(step->in.p, step->consumed), buf_span(step->out)) < 0)
		return;
	x->answer.flags |= ANSWER_F_PATCHED;
	x->answer.payload = buf_span(patches);
}

int agent_take_chunk(struct exchange *x, size_t room)
{
	const struct notify *n = x->n;
	struct answer *answer = &x->answer;
	struct rewrite_scope scope = {.direction = x->response ? REWRITE_RESPONSE : REWRITE_REQUEST,
	                              .place = x->scope.place,
	                              .framing = x->scope.framing,
	                              .made_only = x->made_only,
	                              .decide = judge_match,
	                              .ctx = &x->judge};
	struct rewrite_step *step = &x->step;
	enum rewrite_result r;

	*step = (struct rewrite_step){.in = n->chunk, .last = n->flags & EXCHANGE_F_EOM, .carry_len = (unsigned)n->carry.len, .out = &x->a->scratch[SCRATCH_PAYLOAD]};
	if (n->carry.len)
		memcpy(step->carry, n->carry.p, n->carry.len);
	step->out->limit = room;
	x->judge.place = INJECT_BODY;
	r = rewrite_feed(policy_rewriter(x->p), &scope, step, &x->a->hits[AUDIT_IN_BODY]);
	step->out->limit = 0;
	if (r == REWRITE_STOPPED)
		return REFUSAL_TRIPWIRE;
	if (r == REWRITE_ERROR)
		return REFUSAL_AGENT_UNAVAILABLE; /* a carry that is none of ours: this stream's fault alone */
	if (step->consumed == 0 && r == REWRITE_ROOM)
		return REFUSAL_TOO_LARGE; /* the head has taken the room */
	if (step->consumed == 0 && n->chunk.len && (n->flags & EXCHANGE_F_FULL))
		return REFUSAL_PATTERN_TOO_LONG;
	if (r == REWRITE_ROOM)
		answer->flags |= ANSWER_F_RESCAN;
	if (step->changed)
		give_payload(x);
	answer->consumed = (uint32_t)step->consumed;
	answer->carry = span_of(step->carry, step->carry_len);
	return REFUSAL_NONE;
}
