/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent_internal.h"
#include "exchange.h"
#include "head_rewrite.h"
#include "scope.h"

enum {
	ANSWER_OVERHEAD = 128,  /* of an answer and its variable, without scope, edits and payload */
	PAYLOAD_ROOM_MIN = 4096, /* less room than this is not worth a body chunk: it is asked for again, alone */
	STATUS_SWITCHING = 101,
	STATUS_PARTIAL = 206,
};

struct exchange {
	struct agent *a;
	const struct notify *n;
	const struct policy *p;
	bool response;
	uint64_t now_ms;
	bool quiet; /* the canary's: nothing of it is audited */
	struct policy_request q;
	struct scope scope;
	struct head_work work;
	struct answer answer;
	struct rewrite_hits body_hits;
};

/* --- audit --- */

static int emit(struct exchange *x, struct audit_event *e)
{
	if (x->quiet)
		return 0;
	memcpy(e->id, x->n->id.p, sizeof(e->id));
	e->direction = x->response;
	e->seq = x->n->seq;
	e->agent = x->n->agent;
	e->host = x->n->host;
	return x->a->sink->emit(x->a->sink, e);
}

static enum audit_what what_happened(const struct exchange *x, const struct rewrite_hit *h, enum audit_where where)
{
	if (h->verdict == REWRITE_STOP)
		return AUDIT_TRIPPED;
	if (h->verdict == REWRITE_REPLACE)
		return x->response ? AUDIT_REDACTED : AUDIT_REHYDRATED;
	return where == AUDIT_IN_BODY ? AUDIT_INERT_IN_BODY : AUDIT_INERT;
}

static bool same_event(const struct exchange *x, const struct rewrite_hit *a, const struct rewrite_hit *b, enum audit_where where)
{
	return what_happened(x, a, where) == what_happened(x, b, where) &&
	       strcmp(policy_secret_name(x->p, a->entry), policy_secret_name(x->p, b->entry)) == 0;
}

/* The ledger takes a second event of the same (name, where, what) in one exchange for a retry, so equal ones are added up: made
 * and given placeholder of a secret, and a value that is kept for grace, are several hits and one event. */
static int emit_hits(struct exchange *x, const struct rewrite_hits *hits, enum audit_where where)
{
	for (unsigned i = 0; i < hits->used; i++) {
		struct audit_event e = {.kind = AUDIT_HITS, .where = where, .what = what_happened(x, &hits->hit[i], where)};
		bool counted = false;

		for (unsigned k = 0; k < hits->used; k++) {
			if (!same_event(x, &hits->hit[i], &hits->hit[k], where))
				continue;
			counted = counted || k < i;
			e.count += hits->hit[k].count;
		}
		if (counted)
			continue;
		e.secret = span_str(policy_secret_name(x->p, hits->hit[i].entry));
		if (emit(x, &e) < 0)
			return -1;
		if (!x->quiet)
			x->answer.flags |= ANSWER_F_AUDITED;
	}
	return 0;
}

static int emit_all_hits(struct exchange *x)
{
	for (unsigned where = 0; where <= AUDIT_IN_TRAILER; where++)
		if (emit_hits(x, &x->work.hits[where], where) < 0)
			return -1;
	return emit_hits(x, &x->body_hits, AUDIT_IN_BODY);
}

/* The filter sends no END of a response whose last exchange was answered. */
static int emit_end(struct exchange *x)
{
	return emit(x, &(struct audit_event){.kind = AUDIT_END, .end = span_str("complete")});
}

/* The path is logged as a response would show it: placeholders where secrets stood. */
static int emit_head(struct exchange *x)
{
	struct rewrite_scope clean = {.direction = REWRITE_RESPONSE, .place = PLACE_PATH};
	struct audit_event e = {.kind = AUDIT_HEAD, .method = x->q.method};
	struct buf *path = &x->a->scratch[SCRATCH_VALUE];
	struct rewrite_hits ignored = {0};
	bool changed;

	buf_reset(path);
	if (rewrite_whole(policy_rewriter(x->p), &clean, x->q.path, false, path, &changed, &ignored) == REWRITE_OK)
		e.path = buf_span(path);
	return emit(x, &e);
}

/* --- answers --- */

static int send(struct exchange *x, struct buf *ack)
{
	struct buf *encoded = &x->a->scratch[SCRATCH_ANSWER];
	struct spop_value v = {.type = SPOP_BIN};

	x->answer.seq = x->n->seq;
	memcpy(x->answer.gen, policy_generation(x->p), sizeof(x->answer.gen));
	buf_reset(encoded);
	if (answer_encode(encoded, &x->answer) < 0)
		return -1;
	v.bytes = buf_span(encoded);
	return frame_set_var(ack, SPOP_TXN, "answer", &v);
}

int agent_refusal_json(struct agent *a, const struct policy *p, const struct policy_request *q, enum refusal_code code, const char *secret)
{
	struct buf *rule = &a->scratch[SCRATCH_NAME], *json = &a->scratch[SCRATCH_VALUE];

	buf_reset(rule);
	buf_reset(json);
	if (q && policy_rule(p, q, code, rule) < 0)
		return -1;
	if (rule->len && buf_putc(rule, '\0') < 0)
		return -1;
	return refusal_json(json, code, rule->len ? (const char *)rule->p : NULL, secret);
}

/* Everything is refused while nothing has left: the head is here and held, or the whole body is. */
static bool nothing_has_left(const struct notify *n)
{
	return (n->flags & EXCHANGE_F_WHOLE) || ((n->flags & EXCHANGE_F_HEAD) && !(n->flags & EXCHANGE_F_LATE_HEAD));
}

static int refuse(struct exchange *x, struct buf *ack, enum refusal_code code)
{
	struct agent *a = x->a;
	const struct refusal *r = refusal_get(code);
	struct refusal_body body = {.status = r->status, .code = span_str(r->code)};
	struct audit_event e = {.kind = AUDIT_REFUSAL, .code = body.code};
	const char *secret = code == REFUSAL_TRIPWIRE ? policy_secret_name(x->p, (unsigned)x->work.judge.tripped) : NULL;
	struct buf *payload = &a->scratch[SCRATCH_PAYLOAD];

	if (secret)
		e.secret = span_str(secret);
	/* that it cannot be recorded is no reason to let it pass */
	emit(x, &e);
	if (agent_refusal_json(a, x->p, x->response ? NULL : &x->q, code, secret) < 0)
		return -1;
	body.json = buf_span(&a->scratch[SCRATCH_VALUE]);
	buf_reset(payload);
	payload->limit = 0;
	if (refusal_encode(payload, &body) < 0)
		return -1;
	x->answer = (struct answer){.verdict = nothing_has_left(x->n) ? ANSWER_REFUSE : ANSWER_CUT, .payload = buf_span(payload)};
	return send(x, ack);
}

/* A guess that was right. With `tripwire: suspend`, for a secret that could be found by guessing, and after many of them, the agent
 * is out from now on. */
static int tripped(struct exchange *x, struct buf *ack)
{
	unsigned entry = (unsigned)x->work.judge.tripped;
	bool weak = policy_secret_weak(x->p, entry);

	if (emit_all_hits(x) < 0)
		return refuse(x, ack, REFUSAL_AUDIT_UNAVAILABLE);
	if (trips_count(&x->a->trips, x->n->agent, x->now_ms) || weak || policy_tripwire_suspends(x->p)) {
		struct audit_event e = {.kind = AUDIT_SUSPEND, .secret = span_str(policy_secret_name(x->p, entry)),
		                        .code = span_str(weak ? "weak_secret" : "tripwire")};

		agent_suspend(x->a, x->n->agent, true);
		emit(x, &e);
	}
	return refuse(x, ack, REFUSAL_TRIPWIRE);
}

/* --- heads --- */

static bool has_body(const struct notify *n)
{
	return !(n->flags & (EXCHANGE_F_BODYLESS | EXCHANGE_F_HEAD_REQUEST));
}

static int opaque(struct exchange *x)
{
	struct audit_event e = {.kind = AUDIT_NOTE, .code = span_str("opaque_body")};

	x->scope.opaque = true;
	x->answer.flags |= ANSWER_F_OPAQUE;
	if (!x->quiet)
		x->answer.flags |= ANSWER_F_AUDITED;
	return emit(x, &e);
}

/* REFUSAL_NONE: go on; REFUSAL_COUNT: malformed, or out of memory. */
static enum refusal_code request_head(struct exchange *x, const struct head *h)
{
	struct buf *scope = &x->a->scratch[SCRATCH_SCOPE];
	enum refusal_code code;
	bool encoded;

	x->q.method = h->method;
	x->q.path = head_uri_path(h->uri);
	for (size_t i = 0; i < x->q.path.len; i++)
		if (x->q.path.p[i] == '?' || x->q.path.p[i] == '#')
			x->q.path.len = i;
	if (emit_head(x) < 0)
		return REFUSAL_AUDIT_UNAVAILABLE;
	code = policy_request(x->p, &x->q);
	if (code != REFUSAL_NONE)
		return code;
	if (scope_from_fields(&x->scope, h->fields, &encoded) < 0)
		return REFUSAL_COUNT;
	if (encoded && has_body(x->n) && opaque(x) < 0)
		return REFUSAL_AUDIT_UNAVAILABLE;
	if (scope_encode(&x->scope, x->p, &x->q, scope) < 0 || scope_decode(&x->scope, x->p, false, buf_span(scope)) < 0)
		return REFUSAL_COUNT;
	/* a head that has gone takes no more edits: what stands in it stays inert */
	x->work.judge.grant = x->n->flags & EXCHANGE_F_LATE_HEAD ? NULL : &x->scope.grant;
	x->work.require = policy_host_requires(x->p, x->n->host);
	if (policy_request_length_changes(x->p, &x->scope.grant))
		x->answer.flags |= ANSWER_F_CHUNKED;
	else if (policy_host_is_plain_sailing(x->p, x->n->agent, x->n->host))
		x->answer.flags |= ANSWER_F_CACHE;
	switch (head_rewrite_request(&x->work, h)) {
	case HEAD_OK: return REFUSAL_NONE;
	case HEAD_TRIPPED: return REFUSAL_TRIPWIRE;
	case HEAD_CREDENTIAL_REQUIRED: return REFUSAL_CREDENTIAL_REQUIRED;
	default: return REFUSAL_COUNT;
	}
}

static enum refusal_code response_head(struct exchange *x, const struct head *h)
{
	const struct policy_host *host = policy_host_find(x->p, x->n->host, x->n->flags & EXCHANGE_F_PLAIN);
	bool encoded, changes = policy_response_length_changes(x->p);

	if (h->status == STATUS_SWITCHING)
		return REFUSAL_UPGRADE_REFUSED;
	if (h->status == STATUS_PARTIAL && !(host && host->ranges))
		return REFUSAL_PARTIAL_REFUSED;
	if (scope_from_fields(&x->scope, h->fields, &encoded) < 0)
		return REFUSAL_COUNT;
	if (encoded && has_body(x->n))
		return REFUSAL_ENCODING_REFUSED;
	/* a length that has gone, or stays as it is under this generation, is kept under each that follows */
	x->scope.made_only = !changes || (x->n->flags & EXCHANGE_F_LENGTH_PROMISED);
	if (scope_encode(&x->scope, x->p, NULL, &x->a->scratch[SCRATCH_SCOPE]) < 0)
		return REFUSAL_COUNT;
	x->answer.flags |= changes ? ANSWER_F_CHUNKED : ANSWER_F_CACHE;
	return head_rewrite_response(&x->work, h) == HEAD_OK ? REFUSAL_NONE : REFUSAL_COUNT;
}

static enum refusal_code trailers(struct exchange *x, const struct head *h)
{
	x->work.trailers = true;
	switch (head_rewrite_fields(&x->work, h->fields)) {
	case HEAD_OK: return REFUSAL_NONE;
	case HEAD_TRIPPED: return REFUSAL_TRIPWIRE;
	default: return REFUSAL_COUNT;
	}
}

static enum refusal_code take_head(struct exchange *x)
{
	struct head h;

	if (head_decode(&h, x->n->head) < 0)
		return REFUSAL_COUNT;
	if (x->n->flags & EXCHANGE_F_TRAILERS)
		return h.kind == HEAD_TRAILERS ? trailers(x, &h) : REFUSAL_COUNT;
	if (h.kind != (x->response ? HEAD_RESPONSE : HEAD_REQUEST))
		return REFUSAL_COUNT;
	return x->response ? response_head(x, &h) : request_head(x, &h);
}

/* --- bodies --- */

static int take_chunk(struct exchange *x, struct buf *ack)
{
	struct answer *ans = &x->answer;
	struct buf *out = &x->a->scratch[SCRATCH_PAYLOAD];
	size_t taken = ANSWER_OVERHEAD + ans->scope.len + ans->edits.len, room = ack->limit ? ack->limit - ack->len : SIZE_MAX;
	struct rewrite_scope scope = {.direction = x->response ? REWRITE_RESPONSE : REWRITE_REQUEST,
	                              .place = x->scope.place,
	                              .framing = x->scope.framing,
	                              .made_only = x->scope.made_only,
	                              .decide = judge_match,
	                              .ctx = &x->work.judge};
	struct rewrite_step step = {.in = x->n->chunk, .last = x->n->flags & EXCHANGE_F_EOM, .carry_len = (unsigned)x->n->carry.len, .out = out};
	enum rewrite_result r;

	if (taken >= room)
		return refuse(x, ack, REFUSAL_TOO_LARGE);
	if (x->n->chunk.len && room - taken < PAYLOAD_ROOM_MIN) {
		ans->flags |= ANSWER_F_RESCAN;
		ans->carry = x->n->carry;
		return send(x, ack);
	}
	if (x->n->carry.len)
		memcpy(step.carry, x->n->carry.p, x->n->carry.len);
	buf_reset(out);
	out->limit = room == SIZE_MAX ? 0 : room - taken;
	x->work.judge.place = INJECT_BODY;
	if (!x->response)
		x->work.judge.grant = &x->scope.grant;
	r = rewrite_feed(policy_rewriter(x->p), &scope, &step, &x->body_hits);
	if (r == REWRITE_STOPPED)
		return tripped(x, ack);
	if (r == REWRITE_ERROR)
		return refuse(x, ack, REFUSAL_AGENT_UNAVAILABLE);
	if (step.consumed == 0 && step.in.len && r == REWRITE_OK && (x->n->flags & EXCHANGE_F_FULL))
		return refuse(x, ack, REFUSAL_PATTERN_TOO_LONG);
	if (emit_all_hits(x) < 0 || (x->response && step.last && step.consumed == step.in.len && r == REWRITE_OK && emit_end(x) < 0))
		return refuse(x, ack, REFUSAL_AUDIT_UNAVAILABLE);
	if (r == REWRITE_ROOM)
		ans->flags |= ANSWER_F_RESCAN;
	if (step.changed) {
		ans->flags |= ANSWER_F_PAYLOAD;
		ans->payload = buf_span(out);
	}
	ans->consumed = (uint32_t)step.consumed;
	ans->carry = span_of(step.carry, step.carry_len);
	return send(x, ack);
}

static int pass_opaque(struct exchange *x, struct buf *ack)
{
	if (emit_all_hits(x) < 0)
		return refuse(x, ack, REFUSAL_AUDIT_UNAVAILABLE);
	x->answer.consumed = (uint32_t)x->n->chunk.len;
	return send(x, ack);
}

/* --- an exchange --- */

static int begin(struct exchange *x, struct agent *a, const struct notify *n, bool response, uint64_t now_ms)
{
	*x = (struct exchange){.a = a, .n = n, .response = response, .p = a->generation[0], .now_ms = now_ms};
	if (n->id.len != EXCHANGE_ID_BYTES || (n->gen.len && n->gen.len != EXCHANGE_GEN_BYTES))
		return -1;
	for (size_t i = 0; i < SCRATCH_COUNT; i++)
		buf_reset(&a->scratch[i]);
	x->quiet = span_is(n->agent, POLICY_CANARY_AGENT);
	x->q = (struct policy_request){.agent = n->agent, .host = n->host, .plain = n->flags & EXCHANGE_F_PLAIN};
	x->work = (struct head_work){.edits = &a->scratch[SCRATCH_EDITS],
	                             .scratch = &a->scratch[SCRATCH_VALUE],
	                             .name = &a->scratch[SCRATCH_NAME]};
	return 0;
}

/* A request keeps the generation that judged its head. A response is sanitized by the newest; a worker that does not even know the
 * request's is older than that, and must not answer. */
static bool choose_generation(struct exchange *x)
{
	const struct policy *judged = x->n->gen.len ? agent_generation(x->a, x->n->gen) : x->p;

	if (!judged)
		return false;
	if (!x->response)
		x->p = judged;
	for (size_t i = 0; i < x->a->generations; i++)
		if (x->a->generation[i] == x->p)
			x->work.shortest_run = x->a->shortest_run[i];
	judge_init(&x->work.judge, x->p, x->response ? REWRITE_RESPONSE : REWRITE_REQUEST, x->n->agent);
	return true;
}

int agent_exchange(struct agent *a, const struct notify *n, bool response, struct buf *ack, uint64_t now_ms)
{
	enum refusal_code code = REFUSAL_NONE;
	struct exchange x;

	if (begin(&x, a, n, response, now_ms) < 0)
		return -1;
	if (!choose_generation(&x)) {
		x.answer.verdict = ANSWER_UNKNOWN_GENERATION;
		return send(&x, ack);
	}
	if (n->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS))
		code = take_head(&x);
	else if (scope_decode(&x.scope, x.p, response, n->scope) < 0)
		code = REFUSAL_COUNT;
	if (!response && code == REFUSAL_NONE && agent_is_suspended(a, n->agent))
		code = REFUSAL_AGENT_SUSPENDED;
	if (code == REFUSAL_COUNT) /* only this stream is at fault: the connection serves others */
		code = REFUSAL_AGENT_UNAVAILABLE;
	if (code == REFUSAL_TRIPWIRE)
		return tripped(&x, ack);
	if (code != REFUSAL_NONE)
		return refuse(&x, ack, code);
	x.answer.edits = buf_span(&a->scratch[SCRATCH_EDITS]);
	x.answer.edit_count = x.work.edit_count;
	x.answer.scope = buf_span(&a->scratch[SCRATCH_SCOPE]);
	return x.scope.opaque || (n->flags & EXCHANGE_F_TRAILERS) ? pass_opaque(&x, ack) : take_chunk(&x, ack);
}
