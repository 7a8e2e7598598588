/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent.h"

#include <stdlib.h>
#include <sys/random.h>

#include "agent_internal.h"
#include "head_name.h"

enum {
	/* of an answer and its variable, without scope, edits and payload */
	ANSWER_OVERHEAD = 128,
};

/* --- an agent --- */

struct agent *agent_new(const struct policy *const *generations, size_t count, struct audit_sink *sink)
{
	struct agent *a;

	if (count == 0 || count > AGENT_GENERATIONS_MAX)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		a->generation[i].policy = generations[i];
		a->generation[i].shortest_run = head_name_shortest_run(policy_rewriter(generations[i]));
	}
	a->generations = count;
	a->sink = sink;
	if (getrandom(a->connect_id, sizeof(a->connect_id), 0) != sizeof(a->connect_id)) {
		free(a);
		return NULL;
	}
	return a;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < SCRATCH_COUNT; i++)
		buf_deinit(&a->scratch[i]);
	buf_deinit(&a->suspended);
	free(a);
}

/* The list is short, and rarely is anything in it. */
static size_t find_suspended(const struct agent *a, struct span cn)
{
	for (size_t at = 0; at < a->suspended.len; at += 1u + a->suspended.p[at])
		if (span_eq(cn, span_of(a->suspended.p + at + 1, a->suspended.p[at])))
			return at;
	return SIZE_MAX;
}

bool agent_is_suspended(const struct agent *a, struct span cn)
{
	return a->all_suspended || find_suspended(a, cn) != SIZE_MAX;
}

void agent_suspend(struct agent *a, struct span cn, bool suspended)
{
	size_t at = find_suspended(a, cn);

	if (suspended && at == SIZE_MAX) {
		if (cn.len > UINT8_MAX || buf_reserve(&a->suspended, 1 + cn.len) < 0 || buf_putc(&a->suspended, (uint8_t)cn.len) < 0 ||
		    buf_append_span(&a->suspended, cn) < 0)
			a->all_suspended = true;
	} else if (!suspended && at != SIZE_MAX) {
		memmove(a->suspended.p + at, a->suspended.p + at + 1 + cn.len, a->suspended.len - at - 1 - cn.len);
		a->suspended.len -= 1 + cn.len;
	}
}

static const struct agent_generation *find_generation(const struct agent *a, struct span id)
{
	for (size_t i = 0; i < a->generations; i++)
		if (span_eq(id, span_of(policy_generation(a->generation[i].policy), EXCHANGE_GEN_BYTES)))
			return &a->generation[i];
	return NULL;
}

static void begin(struct agent *a)
{
	for (size_t i = 0; i < AGENT_PLACES; i++)
		a->hits[i].used = a->hits[i].lost = 0;
}

static void forget(struct agent *a)
{
	for (size_t i = 0; i < SCRATCH_COUNT; i++)
		buf_wipe(&a->scratch[i]);
}

/* --- answers --- */

static int send_answer(struct exchange *x, struct buf *ack)
{
	struct buf *encoded = &x->a->scratch[SCRATCH_ANSWER];
	struct spop_value v = {.type = SPOP_BIN};

	x->answer.seq = x->n->seq;
	memcpy(x->answer.gen, policy_generation(x->p), sizeof(x->answer.gen));
	if (answer_encode(encoded, &x->answer) < 0)
		return -1;
	v.bytes = buf_span(encoded);
	return frame_set_var(ack, SPOP_TXN, "answer", &v);
}

int agent_refusal_json(struct exchange *x, const struct policy_request *q, enum refusal_code code, struct buf *out)
{
	const char *secret = code == REFUSAL_TRIPWIRE ? policy_secret_name(x->p, (unsigned)x->judge.tripped) : NULL;
	struct buf *rule = &x->a->scratch[SCRATCH_PART];

	buf_wipe(rule);
	if (q && (policy_rule(x->p, q, code, rule) < 0 || (rule->len && buf_putc(rule, '\0') < 0)))
		return -1;
	return refusal_json(out, code, rule->len ? (const char *)rule->p : NULL, secret);
}

/* While the head is held a refusal refuses everything; later it can only cut. */
static enum answer_verdict refusing_verdict(const struct notify *n)
{
	return (n->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_LATE_HEAD)) == EXCHANGE_F_HEAD ? ANSWER_REFUSE : ANSWER_CUT;
}

static int refuse(struct exchange *x, enum refusal_code code, struct buf *ack)
{
	const struct refusal *r = refusal_get(code);
	struct refusal_body body = {.status = r->status, .code = span_str(r->code)};
	struct buf *payload = &x->a->scratch[SCRATCH_PAYLOAD], *json = &x->a->scratch[SCRATCH_NAME];

	forget(x->a); /* what was to be sent is not */
	if (code == REFUSAL_TRIPWIRE)
		agent_tell_tripped(x);
	agent_tell_refusal(x, code);
	if (agent_refusal_json(x, x->response ? NULL : &x->q, code, json) < 0)
		return -1;
	body.json = buf_span(json);
	if (refusal_encode(payload, &body) < 0)
		return -1;
	x->answer = (struct answer){.verdict = refusing_verdict(x->n), .flags = x->answer.flags & ANSWER_F_AUDITED, .payload = buf_span(payload)};
	return send_answer(x, ack);
}

/* --- exchanges --- */

/* A request keeps the generation that judged its head. A response is sanitized by the newest; a worker that does not even know the
 * request's is older than that, and must not answer. */
static bool choose_generation(struct exchange *x)
{
	const struct agent_generation *judged = x->n->gen.len ? find_generation(x->a, x->n->gen) : &x->a->generation[0];

	x->g = x->response || !judged ? &x->a->generation[0] : judged;
	x->p = x->g->policy;
	return judged != NULL;
}

static bool is_malformed(const struct notify *n)
{
	unsigned heads = n->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS);

	return n->id.len != EXCHANGE_ID_BYTES || n->seq == 0 || (n->gen.len && n->gen.len != EXCHANGE_GEN_BYTES) ||
	       heads == (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS) || ((n->flags & EXCHANGE_F_TRAILERS) && n->chunk.len) ||
	       ((n->flags & EXCHANGE_F_LATE_HEAD) && !(n->flags & EXCHANGE_F_HEAD)) || n->chunk.len > UINT32_MAX ||
	       n->ended.len % EXCHANGE_ENDED_BYTES;
}

/* A chunk or trailers: the head said what is to be known. */
static int resume(struct exchange *x)
{
	if (!x->response && agent_is_suspended(x->a, x->n->agent))
		return REFUSAL_AGENT_SUSPENDED;
	if (scope_decode(&x->scope, x->p, x->response, x->n->scope) < 0)
		return REFUSAL_AGENT_UNAVAILABLE;
	if (!x->response)
		x->judge.grant = &x->scope.grant;
	return REFUSAL_NONE;
}

/* Bytes for the payload; 0: there is no room. */
static size_t payload_room(const struct exchange *x, const struct buf *ack)
{
	size_t taken = ANSWER_OVERHEAD + x->answer.scope.len + x->answer.edits.len, room = ack->limit ? ack->limit - ack->len : SIZE_MAX;

	return room > taken ? room - taken : 0;
}

static int judge_exchange(struct exchange *x, const struct buf *ack)
{
	size_t room;
	int r = REFUSAL_NONE;

	if (!(x->n->flags & EXCHANGE_F_HEAD))
		r = resume(x);
	if (r == REFUSAL_NONE && (x->n->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS)))
		r = agent_take_head(x);
	if (r != REFUSAL_NONE)
		return r;
	room = payload_room(x, ack);
	if (!room)
		return REFUSAL_TOO_LARGE;
	if (x->opaque)
		x->answer.consumed = (uint32_t)x->n->chunk.len;
	else if (!(x->n->flags & EXCHANGE_F_TRAILERS))
		r = agent_take_chunk(x, room);
	return r == REFUSAL_NONE ? agent_tell_hits(x) : r;
}

/* The last bytes of a response are the end of the transaction; a request's come too early for that. */
static bool is_end(const struct exchange *x)
{
	return x->response && (x->n->flags & EXCHANGE_F_EOM) && !(x->n->flags & EXCHANGE_F_TRAILERS_FOLLOW) &&
	       !(x->answer.flags & ANSWER_F_RESCAN);
}

static int take_exchange(struct agent *a, const struct notify *n, bool response, uint64_t now_ms, struct buf *ack)
{
	struct exchange x = {.a = a, .n = n, .response = response, .now_ms = now_ms};
	int r;

	if (is_malformed(n))
		return -1;
	agent_tell_ended(a, n->ended);
	x.quiet = span_is(n->agent, POLICY_CANARY_AGENT);
	x.made_only = n->flags & EXCHANGE_F_LENGTH_PROMISED;
	x.q = (struct policy_request){.agent = n->agent, .host = n->host, .plain = n->flags & EXCHANGE_F_PLAIN};
	if (!choose_generation(&x)) {
		x.answer.verdict = ANSWER_UNKNOWN_GENERATION;
		return send_answer(&x, ack);
	}
	judge_init(&x.judge, x.p, response ? REWRITE_RESPONSE : REWRITE_REQUEST, n->agent);
	r = judge_exchange(&x, ack);
	if (r == AGENT_MALFORMED)
		return -1;
	if (r != REFUSAL_NONE)
		return refuse(&x, (enum refusal_code)r, ack);
	if (is_end(&x))
		agent_tell_end(&x, span_str("complete"));
	return send_answer(&x, ack);
}

static int take_end(struct agent *a, const struct notify *n, bool response)
{
	struct exchange x = {.a = a, .n = n, .response = response};

	if (n->id.len != EXCHANGE_ID_BYTES)
		return -1;
	agent_tell_end(&x, n->end);
	return 0;
}

static int dispatch(struct agent *a, struct span message, const struct notify *n, struct buf *ack, uint64_t now_ms)
{
	if (span_is(message, "slapenir-request") || span_is(message, "slapenir-response"))
		return take_exchange(a, n, span_is(message, "slapenir-response"), now_ms, ack);
	if (span_is(message, "slapenir-connect"))
		return agent_connect(a, n, now_ms, ack);
	if (span_is(message, "slapenir-end-request") || span_is(message, "slapenir-end-response"))
		return take_end(a, n, span_is(message, "slapenir-end-response"));
	return -1;
}

int agent_message(struct agent *a, struct span message, unsigned args, struct span *rest, struct buf *ack, uint64_t now_ms)
{
	struct notify n;
	int rc;

	if (notify_decode(&n, args, rest) < 0)
		return -1;
	begin(a);
	rc = dispatch(a, message, &n, ack, now_ms);
	forget(a);
	return rc;
}
