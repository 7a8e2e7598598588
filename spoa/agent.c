/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent.h"

#include <stdlib.h>
#include <sys/random.h>

#include "agent_internal.h"
#include "exchange.h"
#include "head_name.h"

struct agent *agent_new(const struct policy *const *generations, size_t count, struct audit_sink *sink)
{
	struct agent *a;

	if (count == 0 || count > AGENT_GENERATIONS_MAX)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	memcpy(a->generation, generations, count * sizeof(*generations));
	a->generations = count;
	for (size_t i = 0; i < count; i++)
		a->shortest_run[i] = head_name_shortest_run(policy_rewriter(generations[i]));
	a->sink = sink;
	return a;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < sizeof(a->scratch) / sizeof(a->scratch[0]); i++)
		buf_deinit(&a->scratch[i]);
	buf_deinit(&a->suspended);
	free(a);
}

/* The list is CNs, each behind a byte of its length: short, and rarely anything in it. */
static size_t find_suspended(const struct agent *a, struct span cn)
{
	for (size_t at = 0; at < a->suspended.len; at += 1u + a->suspended.p[at])
		if (span_eq(cn, span_of(a->suspended.p + at + 1, a->suspended.p[at])))
			return at;
	return SIZE_MAX;
}

bool agent_is_suspended(const struct agent *a, struct span cn)
{
	return find_suspended(a, cn) != SIZE_MAX;
}

void agent_suspend(struct agent *a, struct span cn, bool suspended)
{
	size_t at = find_suspended(a, cn);

	if (suspended && at == SIZE_MAX && cn.len <= UINT8_MAX) {
		/* out of memory: this worker forgets it, the master does not, and it says so to the next one */
		if (buf_putc(&a->suspended, (uint8_t)cn.len) == 0 && buf_append_span(&a->suspended, cn) < 0)
			a->suspended.len--;
	} else if (!suspended && at != SIZE_MAX) {
		memmove(a->suspended.p + at, a->suspended.p + at + 1 + cn.len, a->suspended.len - at - 1 - cn.len);
		a->suspended.len -= 1 + cn.len;
	}
}

const struct policy *agent_generation(const struct agent *a, struct span id)
{
	for (size_t i = 0; i < a->generations; i++)
		if (span_eq(id, span_of(policy_generation(a->generation[i]), EXCHANGE_GEN_BYTES)))
			return a->generation[i];
	return NULL;
}

/* --- CONNECT: stock variables, because HAProxy's own rules read them --- */

static int set_text(struct buf *ack, const char *name, struct span text)
{
	struct spop_value v = {.type = SPOP_STR, .bytes = text};

	return frame_set_var(ack, SPOP_SESS, name, &v);
}

/* A refused CONNECT is a record of its own, under an id of its own. */
static int audit_connect(struct agent *a, const struct notify *n, enum refusal_code code)
{
	struct audit_event e = {.kind = AUDIT_HEAD, .agent = n->agent, .host = n->authority, .method = span_str("CONNECT")};

	if (getrandom(e.id, sizeof(e.id), 0) != sizeof(e.id) || a->sink->emit(a->sink, &e) < 0)
		return -1;
	e.kind = AUDIT_REFUSAL;
	e.code = span_str(refusal_get(code)->code);
	return a->sink->emit(a->sink, &e);
}

static int answer_connect(struct agent *a, const struct notify *n, struct buf *ack)
{
	struct policy_request q = {.agent = n->agent, .host = n->authority, .method = span_str("CONNECT"), .path = span_str("/")};
	enum refusal_code code = agent_is_suspended(a, n->agent) ? REFUSAL_AGENT_SUSPENDED : policy_connect(a->generation[0], n->agent, n->authority);
	struct buf *json = &a->scratch[SCRATCH_VALUE];
	struct spop_value status = {.type = SPOP_UINT32};

	if (code == REFUSAL_NONE)
		return set_text(ack, "verdict", span_str("allow"));
	audit_connect(a, n, code); /* refused it is in any case */
	status.u = refusal_get(code)->status;
	if (agent_refusal_json(a, a->generation[0], &q, code, NULL) < 0 || set_text(ack, "verdict", span_str(refusal_get(code)->code)) < 0 ||
	    frame_set_var(ack, SPOP_SESS, "status", &status) < 0)
		return -1;
	return set_text(ack, "json", buf_span(json));
}

/* --- END --- */

static int take_end(struct agent *a, const struct notify *n)
{
	struct audit_event e = {.kind = AUDIT_END, .direction = n->direction, .end = n->end};

	if (n->id.len != sizeof(e.id) || n->direction > 1)
		return -1;
	memcpy(e.id, n->id.p, sizeof(e.id));
	/* an END that cannot be recorded refuses nothing: the record closes by itself */
	a->sink->emit(a->sink, &e);
	return 0;
}

/* Rehydrated bytes are not left lying about between frames. The large buffers are wiped where they were used. */
static void wipe(struct agent *a)
{
	for (size_t i = 0; i < SCRATCH_COUNT; i++) {
		struct buf *b = &a->scratch[i];

		if (b->p && (b->len || b->cap <= 8192))
			explicit_bzero(b->p, b->cap);
		buf_reset(b);
	}
}

static int dispatch(struct agent *a, struct span message, unsigned args, struct span *rest, struct buf *ack, uint64_t now_ms)
{
	struct notify n;

	if (notify_decode(&n, args, rest) < 0)
		return -1;
	if (span_is(message, "slapenir-request"))
		return agent_exchange(a, &n, false, ack, now_ms);
	if (span_is(message, "slapenir-response"))
		return agent_exchange(a, &n, true, ack, now_ms);
	if (span_is(message, "slapenir-connect"))
		return answer_connect(a, &n, ack);
	if (span_is(message, "slapenir-end-request") || span_is(message, "slapenir-end-response"))
		return take_end(a, &n);
	return -1;
}

int agent_message(struct agent *a, struct span message, unsigned args, struct span *rest, struct buf *ack, uint64_t now_ms)
{
	int rc = dispatch(a, message, args, rest, ack, now_ms);

	wipe(a);
	return rc;
}
