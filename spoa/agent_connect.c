/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CONNECT is answered in stock variables, because HAProxy's own rules read them.
 */
#include "agent_internal.h"
#include "head_name.h"

static int set_text(struct buf *ack, const char *name, struct span text)
{
	struct spop_value v = {.type = SPOP_STR, .bytes = text};

	return frame_set_var(ack, SPOP_SESS, name, &v);
}

/* HAProxy numbers requests, not CONNECTs. */
static void number(struct agent *a, uint8_t id[EXCHANGE_ID_BYTES])
{
	uint64_t n = ++a->connects;

	memcpy(id, a->connect_id, sizeof(a->connect_id));
	for (size_t i = EXCHANGE_ID_BYTES; i > sizeof(a->connect_id); n >>= 8)
		id[--i] = (uint8_t)n;
}

/* HAProxy leaves it to us to log what the policy refuses. */
static void tell(struct exchange *x, enum refusal_code code)
{
	if (agent_tell_head(x, span_str("CONNECT"), span_of(NULL, 0)) != REFUSAL_NONE)
		return;
	if (code == REFUSAL_TRIPWIRE)
		agent_tell_tripped(x);
	agent_tell_refusal(x, code);
}

/* A secret in a host's name would reach the name servers. Leaves the name without it in SCRATCH_NAME. */
static enum refusal_code judge(struct exchange *x, struct span authority)
{
	const struct rewriter *r = policy_rewriter(x->p);
	struct rewrite_hits hits = {.used = 0};
	struct head_name_hit hit;

	if (head_name_sanitize(r, x->g->shortest_run, authority, &x->a->scratch[SCRATCH_NAME], &hits) < 0)
		return REFUSAL_AGENT_UNAVAILABLE;
	if (agent_is_suspended(x->a, x->n->agent))
		return REFUSAL_AGENT_SUSPENDED;
	if (!head_name_find(r, x->g->shortest_run, authority, 0, &hit))
		return policy_connect(x->p, x->n->agent, authority);
	x->judge.tripped = (int)hit.entry;
	return REFUSAL_TRIPWIRE;
}

int agent_connect(struct agent *a, const struct notify *notify, uint64_t now_ms, struct buf *ack)
{
	const struct agent_generation *g = &a->generation[0];
	uint8_t id[EXCHANGE_ID_BYTES];
	struct notify n = *notify;
	struct exchange x = {.a = a, .n = &n, .g = g, .p = g->policy, .now_ms = now_ms};
	struct policy_request q = {.agent = n.agent, .host = n.authority, .method = span_str("CONNECT"), .path = span_str("/")};
	enum refusal_code code = judge(&x, n.authority);
	struct spop_value status = {.type = SPOP_UINT32, .u = refusal_get(code)->status};
	struct buf *json = &a->scratch[SCRATCH_PAYLOAD];

	if (code == REFUSAL_NONE)
		return set_text(ack, "verdict", span_str("allow"));
	number(a, id);
	n.id = span_of(id, sizeof(id));
	n.host = buf_span(&a->scratch[SCRATCH_NAME]);
	tell(&x, code);
	if (agent_refusal_json(&x, &q, code, json) < 0 || set_text(ack, "verdict", span_str(refusal_get(code)->code)) < 0 ||
	    frame_set_var(ack, SPOP_SESS, "status", &status) < 0)
		return -1;
	return set_text(ack, "json", buf_span(json));
}
