/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent_internal.h"

enum { STATUS_SWITCHING = 101, STATUS_PARTIAL = 206 };

static void head_work_init(struct exchange *x, struct head_work *w)
{
	struct agent *a = x->a;

	*w = (struct head_work){.judge = &x->judge,
	                        .shortest_run = x->g->shortest_run,
	                        .fixed = x->n->flags & EXCHANGE_F_LATE_HEAD,
	                        .part = &a->scratch[SCRATCH_PART],
	                        .name = &a->scratch[SCRATCH_NAME],
	                        .hits = a->hits,
	                        .edits = &a->scratch[SCRATCH_EDITS]};
}

static int take_edits(struct exchange *x, const struct head_work *w, enum head_result r)
{
	switch (r) {
	case HEAD_OK:
		x->answer.edit_count = w->edit_count;
		x->answer.edits = buf_span(w->edits);
		return REFUSAL_NONE;
	case HEAD_TRIPPED: return REFUSAL_TRIPWIRE;
	case HEAD_CREDENTIAL_REQUIRED: return REFUSAL_CREDENTIAL_REQUIRED;
	case HEAD_TOO_LARGE: return REFUSAL_TOO_LARGE;
	case HEAD_ERROR: break;
	}
	return AGENT_MALFORMED;
}

/* q NULL: of a response. */
static int keep_scope(struct exchange *x, const struct body_kind *k, const struct policy_request *q)
{
	struct buf *scope = &x->a->scratch[SCRATCH_SCOPE];

	if (scope_encode(scope, k, x->p, q) < 0 || scope_decode(&x->scope, x->p, x->response, buf_span(scope)) < 0)
		return AGENT_MALFORMED;
	x->answer.scope = buf_span(scope);
	return REFUSAL_NONE;
}

static bool has_body(const struct notify *n)
{
	return !(n->flags & (EXCHANGE_F_BODYLESS | EXCHANGE_F_HEAD_REQUEST));
}

/* May the length change? It is promised by a Content-Length that has left, or that leaves as it is. */
static void decide_length(struct exchange *x, const struct body_kind *k, bool changes)
{
	if (x->n->flags & EXCHANGE_F_LATE_HEAD)
		return; /* EXCHANGE_F_LENGTH_PROMISED says it */
	if (changes)
		x->answer.flags |= ANSWER_F_CHUNKED;
	else
		x->made_only |= k->has_length;
}

/* --- requests --- */

static int judge_body_of_request(struct exchange *x, const struct head *h)
{
	struct body_kind k;
	bool changes;

	if (body_kind_of(&k, h->fields) < 0)
		return AGENT_MALFORMED;
	if (keep_scope(x, &k, &x->q) != REFUSAL_NONE)
		return AGENT_MALFORMED;
	x->judge.grant = &x->scope.grant;
	changes = policy_request_length_changes(x->p, &x->scope.grant);
	if (!changes && policy_host_is_plain_sailing(x->p, x->n->agent, x->n->host))
		x->answer.flags |= ANSWER_F_CACHE;
	if (k.encoded && has_body(x->n)) {
		x->opaque = true;
		x->answer.flags |= ANSWER_F_OPAQUE;
		return agent_tell_note(x, "opaque_body");
	}
	decide_length(x, &k, changes && has_body(x->n));
	return REFUSAL_NONE;
}

static int request_head(struct exchange *x, const struct head *h)
{
	struct head_work w;
	int r;

	x->q.method = h->method;
	x->q.path = head_uri_split(h->uri).path;
	r = agent_tell_head(x, x->q.method, x->q.path);
	if (r == REFUSAL_NONE && agent_is_suspended(x->a, x->n->agent))
		r = REFUSAL_AGENT_SUSPENDED;
	if (r == REFUSAL_NONE)
		r = (int)policy_request(x->p, &x->q);
	if (r == REFUSAL_NONE)
		r = judge_body_of_request(x, h);
	if (r != REFUSAL_NONE)
		return r;
	head_work_init(x, &w);
	w.require = policy_host_requires(x->p, x->n->host) && !w.fixed;
	return take_edits(x, &w, head_rewrite_request(&w, h));
}

/* --- responses --- */

static int judge_kind_of_response(struct exchange *x, const struct head *h, struct body_kind *k)
{
	const struct policy_host *host = policy_host_find(x->p, x->n->host, x->n->flags & EXCHANGE_F_PLAIN);

	if (body_kind_of(k, h->fields) < 0)
		return AGENT_MALFORMED;
	/* The bytes of an answer are the upstream's, and perhaps an echo of the agent's: a message's length that lies would cut a secret in
	 * two. So nothing but the end of the stream releases what is held. */
	k->framing = FRAMING_NONE;
	if (h->status == STATUS_SWITCHING)
		return REFUSAL_UPGRADE_REFUSED;
	if (h->status == STATUS_PARTIAL && !(host && host->ranges))
		return REFUSAL_PARTIAL_REFUSED;
	return k->encoded && has_body(x->n) ? REFUSAL_ENCODING_REFUSED : REFUSAL_NONE;
}

static int response_head(struct exchange *x, const struct head *h)
{
	bool changes = policy_response_length_changes(x->p);
	struct body_kind k;
	struct head_work w;
	int r = REFUSAL_NONE;

	/* its request was clean and had no exchange: who asked for what is not known yet */
	if (!x->n->scope.len)
		r = agent_tell_head(x, x->n->method, x->n->path);
	if (r == REFUSAL_NONE)
		r = judge_kind_of_response(x, h, &k);
	if (r == REFUSAL_NONE)
		r = keep_scope(x, &k, NULL);
	if (r != REFUSAL_NONE)
		return r;
	/* to HEAD the length of what GET would get is told */
	decide_length(x, &k, changes && (has_body(x->n) || (x->n->flags & EXCHANGE_F_HEAD_REQUEST)));
	if (!changes && policy_host_is_plain_sailing(x->p, x->n->agent, x->n->host))
		x->answer.flags |= ANSWER_F_CACHE;
	if (x->n->flags & EXCHANGE_F_LATE_HEAD)
		return REFUSAL_NONE; /* it has left */
	head_work_init(x, &w);
	return take_edits(x, &w, head_rewrite_response(&w, h));
}

int agent_take_head(struct exchange *x)
{
	struct head_work w;
	struct head h;

	if (head_decode(&h, x->n->head) < 0)
		return AGENT_MALFORMED;
	if (x->n->flags & EXCHANGE_F_TRAILERS) {
		if (h.kind != HEAD_TRAILERS)
			return AGENT_MALFORMED;
		head_work_init(x, &w);
		return take_edits(x, &w, head_rewrite_trailers(&w, &h));
	}
	if (h.kind != (x->response ? HEAD_RESPONSE : HEAD_REQUEST))
		return AGENT_MALFORMED;
	return x->response ? response_head(x, &h) : request_head(x, &h);
}
