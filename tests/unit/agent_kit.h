/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HAProxy's part of a conversation with the agent: keeps what a stream keeps, writes down what the sink hears.
 */
#ifndef SLAPENIR_AGENT_KIT_H
#define SLAPENIR_AGENT_KIT_H

#include "agent.h"
#include "exchange.h"
#include "policy_fixture.h"

struct kit {
	struct audit_sink sink; /* first */
	struct fixture *f;
	struct agent *agent;
	const char *cn, *host;
	size_t room; /* of the ACK, 0: unlimited */
	uint64_t now_ms;
	uint32_t seq[2];
	bool deaf; /* the sink takes nothing */

	struct buf message, ack, head, log, text;
	struct buf scope[2], carry[2], gen;
	struct answer a;
	struct refusal_body why;
};

static inline int kit_emit(struct audit_sink *s, const struct audit_event *e)
{
	static const char *const what[] = {"rehydrated", "redacted", "tripped", "inert", "inert_in_body"};
	static const char *const where[] = {"header", "query", "path", "body", "trailer"};
	struct kit *k = (struct kit *)s;
	struct buf *l = &k->log;

	if (k->deaf)
		return -1;
	switch (e->kind) {
	case AUDIT_HEAD:
		buf_printf(l, "head %.*s %.*s", (int)e->method.len, (const char *)e->method.p, (int)e->path.len, (const char *)e->path.p);
		break;
	case AUDIT_HITS:
		buf_printf(l, "%s %s %s %.*s %u", e->direction ? "response" : "request", where[e->where], what[e->what], (int)e->secret.len,
		           (const char *)e->secret.p, e->count);
		break;
	case AUDIT_REFUSAL: buf_printf(l, "refusal %.*s", (int)e->code.len, (const char *)e->code.p); break;
	case AUDIT_NOTE: buf_printf(l, "note %.*s", (int)e->code.len, (const char *)e->code.p); break;
	case AUDIT_END: buf_printf(l, "end %u %.*s", e->direction, (int)e->end.len, (const char *)e->end.p); break;
	case AUDIT_SUSPEND:
		buf_printf(l, "suspend %.*s %.*s %.*s", (int)e->agent.len, (const char *)e->agent.p, (int)e->secret.len, (const char *)e->secret.p,
		           (int)e->code.len, (const char *)e->code.p);
		break;
	}
	return buf_printf(l, "; ");
}

static inline const char *kit_string(struct buf *b)
{
	assert_int_equal(buf_putc(b, 0), 0);
	b->len--;
	return (const char *)b->p;
}

/* What was told since the last call. */
#define kit_assert_told(k, expected)                                        \
	do {                                                                \
		assert_string_equal(kit_string(&(k)->log), expected);       \
		buf_reset(&(k)->log);                                       \
	} while (0)

static inline void kit_forget_stream(struct kit *k)
{
	for (unsigned d = 0; d < 2; d++) {
		k->seq[d] = 0;
		buf_reset(&k->scope[d]);
		buf_reset(&k->carry[d]);
	}
	buf_reset(&k->gen);
}

static inline void kit_start(struct kit *k, const struct policy *const *generations, size_t count)
{
	agent_free(k->agent);
	k->agent = agent_new(generations, count, &k->sink);
	assert_non_null(k->agent);
	kit_forget_stream(k);
}

static inline void kit_load(struct kit *k, const char *yaml, const char *tokens)
{
	const struct policy *p = fixture_load(k->f, yaml, tokens);

	kit_start(k, &p, 1);
}

static inline int kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));
	void *f;

	fixture_setup(&f);
	*k = (struct kit){.sink.emit = kit_emit, .f = f, .cn = "agent-1", .host = "api.example.test:443", .now_ms = 1000};
	*state = k;
	return 0;
}

static inline int kit_teardown(void **state)
{
	struct kit *k = *state;
	struct buf *all[] = {&k->message, &k->ack, &k->head, &k->log, &k->text, &k->scope[0], &k->scope[1], &k->carry[0], &k->carry[1], &k->gen};
	void *f = k->f;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_deinit(all[i]);
	agent_free(k->agent);
	fixture_teardown(&f);
	free(k);
	return 0;
}

/* --- heads --- */

/* fields: "name: value\n" each. */
static inline void kit_fields(struct kit *k, const char *fields)
{
	while (*fields) {
		const char *colon = strchr(fields, ':'), *end = strchr(fields, '\n');

		assert_true(colon && end && colon < end);
		assert_int_equal(head_encode_field(&k->head, span_of(fields, (size_t)(colon - fields)), span_of(colon + 2, (size_t)(end - colon - 2))), 0);
		fields = end + 1;
	}
}

static inline void kit_request_head(struct kit *k, const char *method, const char *uri, const char *fields)
{
	buf_reset(&k->head);
	assert_int_equal(head_encode_request(&k->head, span_str(method), span_str(uri), 1, 1), 0);
	kit_fields(k, fields);
}

static inline void kit_response_head(struct kit *k, unsigned status, const char *fields)
{
	buf_reset(&k->head);
	assert_int_equal(head_encode_response(&k->head, status, 1, 1), 0);
	kit_fields(k, fields);
}

static inline void kit_trailers(struct kit *k, const char *fields)
{
	buf_reset(&k->head);
	assert_int_equal(head_encode_trailers(&k->head), 0);
	kit_fields(k, fields);
}

/* --- exchanges --- */

static inline void kit_put(struct kit *k, const char *name, enum spop_data type, struct span bytes)
{
	struct spop_value v = {.type = type, .bytes = bytes};

	assert_int_equal(frame_kv(&k->message, name, &v), 0);
}

static inline void kit_put_number(struct kit *k, const char *name, uint64_t n)
{
	struct spop_value v = {.type = SPOP_INT64, .u = n};

	assert_int_equal(frame_kv(&k->message, name, &v), 0);
}

static inline int kit_message(struct kit *k, const char *name, unsigned args)
{
	struct span rest = buf_span(&k->message);

	buf_reset(&k->ack);
	k->ack.limit = k->room;
	return agent_message(k->agent, span_str(name), args, &rest, &k->ack, k->now_ms);
}

/* The value of the first variable that the ACK sets. */
static inline struct spop_value kit_variable(struct span *rest, struct span *name)
{
	struct spop_value v;

	assert_true(rest->len > 3);
	*rest = span_of(rest->p + 3, rest->len - 3);
	assert_int_equal(frame_next_arg(name, &v, rest), 1);
	return v;
}

static inline void kit_keep(struct buf *b, struct span s)
{
	buf_reset(b);
	assert_int_equal(buf_append_span(b, s), 0);
}

static inline int kit_repeat(struct kit *k, bool response, unsigned flags, struct span head, struct span chunk)
{
	static const uint8_t id[EXCHANGE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 1};
	unsigned d = response;
	struct span rest, name;
	struct spop_value v;

	buf_reset(&k->message);
	kit_put(k, "id", SPOP_BIN, span_of(id, sizeof(id)));
	kit_put_number(k, "seq", k->seq[d]);
	kit_put(k, "gen", SPOP_BIN, buf_span(&k->gen));
	kit_put_number(k, "flags", flags);
	kit_put(k, "agent", SPOP_STR, span_str(k->cn));
	kit_put(k, "host", SPOP_STR, span_str(k->host));
	kit_put(k, "scope", SPOP_BIN, buf_span(&k->scope[response && k->scope[1].len]));
	kit_put(k, "carry", SPOP_BIN, buf_span(&k->carry[d]));
	kit_put(k, "head", SPOP_BIN, head);
	kit_put(k, "chunk", SPOP_BIN, chunk);
	if (kit_message(k, response ? "slapenir-response" : "slapenir-request", 10) < 0)
		return -1;
	rest = buf_span(&k->ack);
	v = kit_variable(&rest, &name);
	assert_true(span_is(name, "answer") && v.type == SPOP_BIN && !rest.len);
	assert_int_equal(answer_decode(&k->a, v.bytes), 0);
	assert_int_equal(k->a.seq, k->seq[d]);
	if (k->a.verdict == ANSWER_REFUSE || k->a.verdict == ANSWER_CUT)
		assert_int_equal(refusal_decode(&k->why, k->a.payload), 0);
	if (k->a.verdict == ANSWER_PASS) {
		kit_keep(&k->carry[d], k->a.carry);
		if (k->a.scope.len)
			kit_keep(&k->scope[d], k->a.scope);
		if (!response && !k->gen.len)
			kit_keep(&k->gen, span_of(k->a.gen, sizeof(k->a.gen)));
	}
	return (int)k->a.verdict;
}

/* An enum answer_verdict, or -1: the connection would be closed. */
static inline int kit_exchange(struct kit *k, bool response, unsigned flags, struct span head, struct span chunk)
{
	k->seq[response]++;
	return kit_repeat(k, response, flags, head, chunk);
}

/* The head in k->head with a first chunk. */
static inline int kit_head(struct kit *k, bool response, unsigned flags, const char *chunk)
{
	return kit_exchange(k, response, flags | EXCHANGE_F_HEAD, buf_span(&k->head), span_str(chunk));
}

static inline int kit_chunk(struct kit *k, bool response, unsigned flags, const char *chunk)
{
	return kit_exchange(k, response, flags, span_of(NULL, 0), span_str(chunk));
}

/* What stands in place of the consumed bytes of `chunk`. */
static inline const char *kit_output(struct kit *k, const char *chunk)
{
	buf_reset(&k->text);
	buf_append_span(&k->text, k->a.flags & ANSWER_F_PAYLOAD ? k->a.payload : span_of(chunk, k->a.consumed));
	return kit_string(&k->text);
}

static inline const char *kit_edits(struct kit *k)
{
	static const char *const op[] = {"", "value", "field", "remove", "add", "uri"};
	struct span rest = k->a.edits;
	struct edit e;

	buf_reset(&k->text);
	while (answer_next_edit(&e, &rest) == 1) {
		buf_printf(&k->text, "%s", op[e.op]);
		if (e.op != EDIT_URI)
			buf_printf(&k->text, " %u", e.field);
		if (e.name.len)
			buf_printf(&k->text, " %.*s", (int)e.name.len, (const char *)e.name.p);
		if (e.value.len)
			buf_printf(&k->text, " %.*s", (int)e.value.len, (const char *)e.value.p);
		buf_printf(&k->text, "; ");
	}
	return kit_string(&k->text);
}

/* A refusal with that code. */
#define kit_assert_refused(k, got, verdict, expected)                       \
	do {                                                                \
		assert_int_equal(got, verdict);                             \
		assert_memory_equal((k)->why.code.p, expected, (k)->why.code.len); \
		assert_int_equal((k)->why.code.len, strlen(expected));      \
	} while (0)

/* The placeholder of an exported entry, NUL-terminated, in a ring of eight. */
static inline const char *kit_fake(struct kit *k, unsigned entry)
{
	static char ring[8][512];
	static unsigned at;
	struct span s = policy_secret_placeholder(k->f->p, entry);
	char *out = ring[at++ % 8];

	assert_true(s.len < sizeof(ring[0]));
	memcpy(out, s.p, s.len);
	out[s.len] = 0;
	return out;
}

static inline const char *kit_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline const char *kit_text(const char *format, ...)
{
	static char ring[16][4096];
	static unsigned at;
	char *out = ring[at++ % 16];
	va_list args;

	va_start(args, format);
	vsnprintf(out, sizeof(ring[0]), format, args);
	va_end(args);
	return out;
}

#endif
