/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

#include "exchange.h"

enum { GENERATIONS_MAX = 8, SUSPENDED_MAX = 256, CN_MAX = 64 };

struct agent {
	const struct policy *gen[GENERATIONS_MAX];
	size_t gens;
	struct audit_sink *sink;
	char suspended[SUSPENDED_MAX][CN_MAX + 1];
	size_t suspended_count;
	struct buf out, edits, answer, scope, value;
};

struct notify {
	struct span id, gen, agent, host, scope, carry, head, chunk, end, serial, authority;
	uint64_t seq, flags, direction;
};

struct state { /* of one exchange */
	struct agent *a;
	const struct policy *p;
	const struct notify *n;
	bool response;
	struct policy_request q;
	struct policy_grant grant;
	bool has_grant;
	unsigned inject;    /* where we are */
	struct span header; /* lower name when in a header */
	bool may;           /* header that may carry credentials */
	struct rewrite_hits hits;
	int tripped; /* entry, -1 */
	unsigned edits;
	bool replaced_credential;
};

struct agent *agent_new(const struct policy *const *generations, size_t count, struct audit_sink *sink)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	for (size_t i = 0; i < count && i < GENERATIONS_MAX; i++)
		a->gen[a->gens++] = generations[i];
	a->sink = sink;
	return a;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	buf_deinit(&a->out);
	buf_deinit(&a->edits);
	buf_deinit(&a->answer);
	buf_deinit(&a->scope);
	buf_deinit(&a->value);
	free(a);
}

static bool is_suspended(const struct agent *a, struct span cn)
{
	for (size_t i = 0; i < a->suspended_count; i++)
		if (span_is(cn, a->suspended[i]))
			return true;
	return false;
}

void agent_suspend(struct agent *a, struct span cn, bool suspended)
{
	if (cn.len > CN_MAX)
		return;
	for (size_t i = 0; i < a->suspended_count; i++)
		if (span_is(cn, a->suspended[i])) {
			if (!suspended)
				memcpy(a->suspended[i], a->suspended[--a->suspended_count], CN_MAX + 1);
			return;
		}
	if (suspended && a->suspended_count < SUSPENDED_MAX) {
		memcpy(a->suspended[a->suspended_count], cn.p, cn.len);
		a->suspended[a->suspended_count++][cn.len] = '\0';
	}
}

static int decode(struct notify *n, unsigned args, struct span *rest)
{
	struct { const char *name; struct span *s; uint64_t *u; } slot[] = {
		{"id", &n->id, NULL}, {"gen", &n->gen, NULL}, {"agent", &n->agent, NULL}, {"host", &n->host, NULL},
		{"scope", &n->scope, NULL}, {"carry", &n->carry, NULL}, {"head", &n->head, NULL}, {"chunk", &n->chunk, NULL},
		{"end", &n->end, NULL}, {"serial", &n->serial, NULL}, {"authority", &n->authority, NULL},
		{"seq", NULL, &n->seq}, {"flags", NULL, &n->flags}, {"direction", NULL, &n->direction}};

	*n = (struct notify){0};
	for (unsigned i = 0; i < args; i++) {
		struct span name;
		struct spop_value v;
		int r = frame_next_arg(&name, &v, rest);

		if (r != 1)
			return -1;
		for (size_t k = 0; k < sizeof(slot) / sizeof(slot[0]); k++) {
			if (!span_is(name, slot[k].name))
				continue;
			if (slot[k].u)
				*slot[k].u = v.u;
			else if (v.type == SPOP_STR || v.type == SPOP_BIN)
				*slot[k].s = v.bytes;
		}
	}
	return 0;
}

static enum rewrite_verdict decide(void *ctx, enum rewrite_match match, unsigned *entry)
{
	struct state *s = ctx;
	unsigned e = *entry, next;

	if (s->response) {
		for (;;) {
			if (policy_agent_may_use(s->p, s->n->agent, e)) {
				*entry = e;
				return REWRITE_REPLACE;
			}
			next = rewriter_next_same(policy_rewriter(s->p), match, e);
			if (next == e)
				return REWRITE_REPLACE;
			e = next;
		}
	}
	if (match == MATCH_SECRET) {
		s->tripped = (int)e;
		return REWRITE_STOP;
	}
	for (;;) {
		if (s->has_grant && s->inject && policy_grants(s->p, &s->grant, e, s->inject) &&
		    (s->inject != INJECT_HEADER || policy_secret_takes_header(s->p, e, s->header))) {
			*entry = e;
			s->replaced_credential = true;
			return REWRITE_REPLACE;
		}
		next = rewriter_next_same(policy_rewriter(s->p), match, e);
		if (next == e)
			return REWRITE_KEEP;
		e = next;
	}
}

static int report(struct state *s, enum audit_where where)
{
	for (unsigned i = 0; i < s->hits.used; i++) {
		struct rewrite_hit *h = &s->hits.hit[i];
		struct audit_event e = {.kind = AUDIT_HITS, .direction = s->response, .seq = (uint32_t)s->n->seq, .where = where, .count = h->count};

		if (span_is(s->n->agent, POLICY_CANARY_AGENT))
			continue;
		memcpy(e.id, s->n->id.p, sizeof(e.id));
		e.secret = span_str(policy_secret_name(s->p, h->entry));
		e.what = h->verdict == REWRITE_STOP ? AUDIT_TRIPPED : h->verdict == REWRITE_KEEP ? (where == AUDIT_IN_BODY ? AUDIT_INERT_IN_BODY : AUDIT_INERT) :
		         s->response ? AUDIT_REDACTED : AUDIT_REHYDRATED;
		if (s->a->sink->emit(s->a->sink, &e) < 0)
			return -1;
	}
	s->hits = (struct rewrite_hits){0};
	return 0;
}

static int ack(struct agent *a, struct buf *out, const struct answer *ans)
{
	struct spop_value v = {.type = SPOP_BIN};

	buf_reset(&a->answer);
	if (answer_encode(&a->answer, ans) < 0)
		return -1;
	v.bytes = buf_span(&a->answer);
	return frame_set_var(out, SPOP_TXN, "answer", &v);
}

static int refuse(struct state *s, struct buf *out, enum refusal_code code, bool cut)
{
	struct agent *a = s->a;
	struct answer ans = {.verdict = cut ? ANSWER_CUT : ANSWER_REFUSE, .seq = (uint32_t)s->n->seq};
	struct refusal_body body = {.status = refusal_get(code)->status, .code = span_str(refusal_get(code)->code)};
	struct audit_event e = {.kind = AUDIT_REFUSAL, .direction = s->response, .seq = (uint32_t)s->n->seq, .code = body.code};

	buf_reset(&a->value);
	if (refusal_json(&a->value, code, NULL, s->tripped >= 0 ? policy_secret_name(s->p, (unsigned)s->tripped) : NULL) < 0)
		return -1;
	body.json = buf_span(&a->value);
	buf_reset(&a->out);
	if (refusal_encode(&a->out, &body) < 0)
		return -1;
	ans.payload = buf_span(&a->out);
	memcpy(ans.gen, policy_generation(s->p), sizeof(ans.gen));
	memcpy(e.id, s->n->id.p, sizeof(e.id));
	a->sink->emit(a->sink, &e);
	return ack(a, out, &ans);
}

static int edit_value(struct state *s, enum edit_op op, unsigned field, struct span name, struct span value)
{
	struct edit e = {.op = op, .field = field, .name = name, .value = value};

	s->edits++;
	return edit_encode(&s->a->edits, &e);
}

/* -1 error, 0 fine, 1 tripped */
static int whole(struct state *s, struct span value, enum rewrite_place place, bool basic, bool *changed)
{
	struct rewrite_scope sc = {.direction = s->response ? REWRITE_RESPONSE : REWRITE_REQUEST, .place = place, .decide = decide, .ctx = s};
	enum rewrite_result r;

	buf_reset(&s->a->value);
	r = rewrite_whole(policy_rewriter(s->p), &sc, value, basic, &s->a->value, changed, &s->hits);
	if (r == REWRITE_STOPPED)
		return 1;
	return r == REWRITE_OK ? 0 : -1;
}

static bool reflected(struct span n)
{
	return span_is(n, "user-agent") || span_is(n, "origin") || span_is(n, "referer") || span_is(n, "x-request-id") || span_is(n, "last-event-id") ||
	       (n.len > 14 && memcmp(n.p, "sec-websocket-", 14) == 0);
}

static int fields(struct state *s, struct span rest)
{
	struct head_field f;
	unsigned i = 0;
	int r;

	while ((r = head_next_field(&f, &rest)) == 1) {
		bool changed = false, changed_name = false;
		int t;

		s->header = f.name;
		s->inject = !s->response && !reflected(f.name) ? INJECT_HEADER : 0;
		if (s->response) {
			t = whole(s, f.name, PLACE_HEADER, false, &changed_name);
			if (t)
				return t;
			if (changed_name) {
				struct buf name = {0};

				if (buf_append_span(&name, buf_span(&s->a->value)) < 0)
					return -1;
				t = whole(s, f.value, PLACE_HEADER, true, &changed);
				if (t == 0)
					t = edit_value(s, EDIT_FIELD, i, buf_span(&name), buf_span(&s->a->value));
				buf_deinit(&name);
				if (t)
					return t;
				i++;
				continue;
			}
		} else {
			s->inject = 0;
			t = whole(s, f.name, PLACE_HEADER, false, &changed_name);
			if (t)
				return t;
			s->inject = !reflected(f.name) ? INJECT_HEADER : 0;
		}
		t = whole(s, f.value, PLACE_HEADER, s->response || span_is(f.name, "authorization"), &changed);
		if (t)
			return t;
		if (changed && edit_value(s, EDIT_VALUE, i, span_of(NULL, 0), buf_span(&s->a->value)) < 0)
			return -1;
		i++;
	}
	s->inject = 0;
	return r;
}

static int body(struct state *s, struct buf *out, struct answer *ans)
{
	const struct notify *n = s->n;
	struct rewrite_scope sc = {.direction = s->response ? REWRITE_RESPONSE : REWRITE_REQUEST, .place = PLACE_RAW, .decide = decide, .ctx = s};
	struct rewrite_step st = {.in = n->chunk, .last = n->flags & EXCHANGE_F_EOM, .out = &s->a->out};
	enum rewrite_result r;

	s->inject = INJECT_BODY;
	buf_reset(&s->a->out);
	s->a->out.limit = out->limit > out->len + 2048 ? out->limit - out->len - 2048 : 0;
	if (n->carry.len > sizeof(st.carry))
		return -1;
	memcpy(st.carry, n->carry.p, n->carry.len);
	st.carry_len = (unsigned)n->carry.len;
	r = rewrite_feed(policy_rewriter(s->p), &sc, &st, &s->hits);
	if (report(s, AUDIT_IN_BODY) < 0)
		return refuse(s, out, REFUSAL_AUDIT_UNAVAILABLE, true);
	if (r == REWRITE_STOPPED)
		return refuse(s, out, REFUSAL_TRIPWIRE, !(n->flags & EXCHANGE_F_HEAD));
	if (r == REWRITE_ERROR)
		return -1;
	if (n->flags & EXCHANGE_F_FULL && st.consumed == 0)
		return refuse(s, out, REFUSAL_PATTERN_TOO_LONG, true);
	ans->consumed = (uint32_t)st.consumed;
	ans->flags |= (r == REWRITE_ROOM ? ANSWER_F_RESCAN : 0) | (st.changed ? ANSWER_F_PAYLOAD : 0);
	ans->payload = buf_span(&s->a->out);
	ans->carry = span_of(st.carry, st.carry_len);
	ans->seq = (uint32_t)n->seq;
	memcpy(ans->gen, policy_generation(s->p), sizeof(ans->gen));
	ans->scope = buf_span(&s->a->scope);
	ans->edit_count = s->edits;
	ans->edits = buf_span(&s->a->edits);
	return ack(s->a, out, ans);
}

static int request_head(struct state *s, const struct head *h, struct buf *out, bool *done)
{
	struct audit_event e = {.kind = AUDIT_HEAD, .seq = (uint32_t)s->n->seq, .agent = s->n->agent, .host = s->n->host, .method = h->method};
	const uint8_t *q;
	enum refusal_code code;
	struct span path = h->uri;
	int t;

	*done = true;
	if (path.len && path.p[0] != '/') {
		const uint8_t *sl = memmem(path.p, path.len, "://", 3);

		if (sl) {
			sl = memchr(sl + 3, '/', path.len - (size_t)(sl + 3 - path.p));
			path = sl ? span_of(sl, path.len - (size_t)(sl - path.p)) : span_str("/");
		}
	}
	q = memchr(path.p, '?', path.len);
	s->q = (struct policy_request){.agent = s->n->agent, .host = s->n->host, .method = h->method, .path = q ? span_of(path.p, (size_t)(q - path.p)) : path, .plain = s->n->flags & EXCHANGE_F_PLAIN};
	memcpy(e.id, s->n->id.p, sizeof(e.id));
	e.path = s->q.path;
	if (!span_is(s->n->agent, POLICY_CANARY_AGENT) && s->a->sink->emit(s->a->sink, &e) < 0)
		return refuse(s, out, REFUSAL_AUDIT_UNAVAILABLE, false);
	if (is_suspended(s->a, s->n->agent))
		return refuse(s, out, REFUSAL_AGENT_SUSPENDED, false);
	code = policy_request(s->p, &s->q);
	if (code != REFUSAL_NONE)
		return refuse(s, out, code, false);
	if (policy_grant_encode(s->p, &s->q, &s->a->scope) < 0)
		return -1;
	s->has_grant = policy_grant_decode(s->p, buf_span(&s->a->scope), &s->grant) != NULL;
	{
		bool changed;

		s->inject = INJECT_QUERY;
		t = whole(s, h->uri, PLACE_QUERY, false, &changed);
		if (t == 0 && changed && edit_value(s, EDIT_URI, 0, span_of(NULL, 0), buf_span(&s->a->value)) < 0)
			return -1;
		if (t == 0)
			t = fields(s, h->fields);
	}
	if (report(s, AUDIT_IN_HEADER) < 0)
		return refuse(s, out, REFUSAL_AUDIT_UNAVAILABLE, false);
	if (t == 1)
		return refuse(s, out, REFUSAL_TRIPWIRE, false);
	if (t < 0)
		return -1;
	*done = false;
	return 0;
}

static const struct policy *find(const struct agent *a, struct span gen)
{
	for (size_t i = 0; i < a->gens; i++)
		if (gen.len == 8 && memcmp(policy_generation(a->gen[i]), gen.p, 8) == 0)
			return a->gen[i];
	return NULL;
}

static int exchange(struct agent *a, const struct notify *n, bool response, struct buf *out)
{
	struct state s = {.a = a, .n = n, .response = response, .p = a->gen[0], .tripped = -1};
	struct answer ans = {.verdict = ANSWER_PASS};
	struct head h;

	buf_reset(&a->scope);
	buf_reset(&a->edits);
	if (n->id.len != EXCHANGE_ID_BYTES)
		return -1;
	if (!response && n->gen.len) {
		s.p = find(a, n->gen);
		if (!s.p) {
			ans = (struct answer){.verdict = ANSWER_UNKNOWN_GENERATION, .seq = (uint32_t)n->seq};
			return ack(a, out, &ans);
		}
	}
	if (n->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS)) {
		bool done = false;
		int r;

		if (head_decode(&h, n->head) < 0)
			return -1;
		if (!response && n->flags & EXCHANGE_F_HEAD) {
			r = request_head(&s, &h, out, &done);
			if (r < 0 || done)
				return r;
		} else {
			r = fields(&s, h.fields);
			if (report(&s, n->flags & EXCHANGE_F_TRAILERS ? AUDIT_IN_TRAILER : AUDIT_IN_HEADER) < 0)
				return refuse(&s, out, REFUSAL_AUDIT_UNAVAILABLE, true);
			if (r == 1)
				return refuse(&s, out, REFUSAL_TRIPWIRE, true);
			if (r < 0)
				return -1;
		}
	} else if (!response) {
		s.has_grant = policy_grant_decode(s.p, n->scope, &s.grant) != NULL;
		if (!s.has_grant)
			return -1;
	}
	return body(&s, out, &ans);
}

static int connect_message(struct agent *a, const struct notify *n, struct buf *out)
{
	enum refusal_code code = is_suspended(a, n->agent) ? REFUSAL_AGENT_SUSPENDED : policy_connect(a->gen[0], n->agent, n->authority);
	struct spop_value v = {.type = SPOP_STR, .bytes = span_str(code ? refusal_get(code)->code : "allow")};

	if (frame_set_var(out, SPOP_SESS, "verdict", &v) < 0)
		return -1;
	if (!code)
		return 0;
	buf_reset(&a->value);
	if (refusal_json(&a->value, code, NULL, NULL) < 0)
		return -1;
	v.bytes = buf_span(&a->value);
	if (frame_set_var(out, SPOP_SESS, "json", &v) < 0)
		return -1;
	v = (struct spop_value){.type = SPOP_UINT32, .u = refusal_get(code)->status};
	return frame_set_var(out, SPOP_SESS, "status", &v);
}

int agent_message(struct agent *a, struct span message, unsigned args, struct span *rest, struct buf *out, uint64_t now_ms)
{
	struct notify n;

	(void)now_ms;
	if (decode(&n, args, rest) < 0)
		return -1;
	if (span_is(message, "slapenir-request"))
		return exchange(a, &n, false, out);
	if (span_is(message, "slapenir-response"))
		return exchange(a, &n, true, out);
	if (span_is(message, "slapenir-connect"))
		return connect_message(a, &n, out);
	if (span_is(message, "slapenir-end-request") || span_is(message, "slapenir-end-response")) {
		struct audit_event e = {.kind = AUDIT_END, .direction = (unsigned)n.direction, .end = n.end};

		if (n.id.len != sizeof(e.id))
			return -1;
		memcpy(e.id, n.id.p, sizeof(e.id));
		a->sink->emit(a->sink, &e);
		return 0;
	}
	return -1;
}
