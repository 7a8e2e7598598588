/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent_internal.h"

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
	if (step->changed) {
		answer->flags |= ANSWER_F_PAYLOAD;
		answer->payload = buf_span(step->out);
	}
	answer->consumed = (uint32_t)step->consumed;
	answer->carry = span_of(step->carry, step->carry_len);
	return REFUSAL_NONE;
}
