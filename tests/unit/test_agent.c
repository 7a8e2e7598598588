/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent_kit.h"
#include "trips.h"

#define KEY "sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
#define BODY "Tq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa"
#define GIVEN "Qq7Zb1Kx9\"m3Lp5Vd8Rf2Hj6Ny4Gc0Sb"
#define PIN "48151623"

enum { E_KEY, E_BODY, E_PIN, E_GIVEN };

#define COMMON                                                                                    \
	"secrets:\n"                                                                              \
	"  KEY: { file: tokens, hosts: [api.example.test] }\n"                                    \
	"  BODY: { file: tokens, hosts: [api.example.test], inject: [header, body] }\n"           \
	"  PIN: { file: tokens, hosts: [api.example.test] }\n"
static const char made[] = COMMON;
static const char given[] = COMMON "  GIVEN: { file: tokens, hosts: [api.example.test], inject: [body], placeholder: DUMMY_GIVEN }\n";
static const char tokens[] = "KEY=" KEY "\nBODY=" BODY "\nPIN=" PIN "\nGIVEN=" GIVEN "\n";

static struct kit *ready(void **state, const char *yaml)
{
	struct kit *k = *state;

	kit_load(k, yaml, tokens);
	return k;
}

static int post(struct kit *k, unsigned flags, const char *fields, const char *chunk)
{
	kit_forget_stream(k);
	buf_reset(&k->log);
	kit_request_head(k, "POST", "/", fields);
	return kit_head(k, false, flags, chunk);
}

static int answer(struct kit *k, unsigned flags, const char *fields, const char *chunk)
{
	kit_forget_stream(k);
	buf_reset(&k->log);
	kit_response_head(k, 200, fields);
	return kit_head(k, true, flags, chunk);
}

static void clean_head__of_a_host_without_rules__may_be_remembered(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, EXCHANGE_F_BODYLESS | EXCHANGE_F_EOM, "", ""), ANSWER_PASS);
	assert_int_equal(k->a.flags, ANSWER_F_CACHE);
	assert_int_equal(answer(k, EXCHANGE_F_BODYLESS | EXCHANGE_F_EOM, "", ""), ANSWER_PASS);
	assert_int_equal(k->a.flags, ANSWER_F_CACHE);
	ready(state, given);
	assert_int_equal(post(k, 0, "", ""), ANSWER_PASS);
	assert_int_equal(k->a.flags, ANSWER_F_CHUNKED);
	assert_int_equal(answer(k, 0, "", ""), ANSWER_PASS);
	assert_int_equal(k->a.flags, ANSWER_F_CHUNKED);
}

static void body__of_a_request__is_rehydrated_where_inject_says_so(void **state)
{
	struct kit *k = ready(state, made);
	const char *text = kit_text("a %s b %s.", kit_fake(k, E_BODY), kit_fake(k, E_KEY));

	assert_int_equal(post(k, EXCHANGE_F_EOM, "content-length: 80\n", text), ANSWER_PASS);
	assert_string_equal(kit_output(k, text), kit_text("a " BODY " b %s.", kit_fake(k, E_KEY)));
	kit_assert_told(k, "head POST /; request body rehydrated BODY 1; request body inert_in_body KEY 1; ");
	assert_true(k->a.flags & ANSWER_F_AUDITED);
}

static void body__cut_at_every_offset__is_the_same(void **state)
{
	struct kit *k = ready(state, made);
	char text[64];
	size_t len = (size_t)sprintf(text, "x=%s;y", kit_fake(k, E_BODY));

	for (size_t cut = 0; cut <= len; cut++) {
		const char *first = kit_text("%.*s", (int)cut, text), *rest;
		char out[256];

		assert_int_equal(post(k, 0, "", first), ANSWER_PASS);
		strcpy(out, kit_output(k, first));
		rest = text + k->a.consumed;
		assert_int_equal(kit_chunk(k, false, EXCHANGE_F_EOM, rest), ANSWER_PASS);
		strcat(out, kit_output(k, rest));
		assert_string_equal(out, "x=" BODY ";y");
	}
}

static void secret_in_a_later_chunk__cuts(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, 0, "", "first. "), ANSWER_PASS);
	kit_assert_refused(k, kit_chunk(k, false, 0, "then " KEY " and"), ANSWER_CUT, "tripwire");
	kit_assert_told(k, "head POST /; request body tripped KEY 1; refusal tripwire; ");
	kit_assert_refused(k, post(k, EXCHANGE_F_WHOLE | EXCHANGE_F_EOM, "", "then " KEY " and"), ANSWER_REFUSE, "tripwire");
	kit_assert_refused(k, post(k, EXCHANGE_F_LATE_HEAD | EXCHANGE_F_EOM, "", "then " KEY " and"), ANSWER_CUT, "tripwire");
}

static void weak_secret__first_hit__suspends_in_open_requests_too(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, 0, "", "first. "), ANSWER_PASS);
	kit_assert_refused(k, kit_chunk(k, false, 0, PIN "."), ANSWER_CUT, "tripwire");
	kit_assert_told(k, "head POST /; request body tripped PIN 1; suspend agent-1 PIN weak_secret; refusal tripwire; ");
	kit_assert_refused(k, kit_chunk(k, false, 0, "more"), ANSWER_CUT, "agent_suspended");
	kit_assert_refused(k, post(k, EXCHANGE_F_EOM, "", ""), ANSWER_REFUSE, "agent_suspended");
	k->cn = "agent-2";
	assert_int_equal(post(k, EXCHANGE_F_EOM, "", ""), ANSWER_PASS);
	k->cn = "agent-1";
	agent_suspend(k->agent, span_str("agent-1"), false);
	assert_int_equal(post(k, EXCHANGE_F_EOM, "", ""), ANSWER_PASS);
}

static void tripwire_suspend__any_hit_suspends(void **state)
{
	struct kit *k = ready(state, COMMON "tripwire: suspend\n");

	kit_assert_refused(k, post(k, EXCHANGE_F_EOM, "", KEY), ANSWER_REFUSE, "tripwire");
	kit_assert_told(k, "head POST /; request body tripped KEY 1; suspend agent-1 KEY tripwire; refusal tripwire; ");
}

static void tripwire__too_often__suspends(void **state)
{
	struct kit *k = ready(state, made);

	for (unsigned i = 1; i < TRIPS_MAX; i++)
		kit_assert_refused(k, post(k, EXCHANGE_F_EOM, "", KEY), ANSWER_REFUSE, "tripwire");
	assert_null(strstr(kit_string(&k->log), "suspend"));
	kit_assert_refused(k, post(k, EXCHANGE_F_EOM, "", KEY), ANSWER_REFUSE, "tripwire");
	assert_non_null(strstr(kit_string(&k->log), "suspend agent-1 KEY tripwire"));
}

static void encoded_body__of_a_request__passes_opaque(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, 0, "content-encoding: gzip\n", "\x1f\x8b" KEY), ANSWER_PASS);
	assert_int_equal(k->a.flags & (ANSWER_F_OPAQUE | ANSWER_F_PAYLOAD | ANSWER_F_AUDITED), ANSWER_F_OPAQUE | ANSWER_F_AUDITED);
	assert_int_equal(k->a.consumed, strlen("\x1f\x8b" KEY));
	kit_assert_told(k, "head POST /; note opaque_body; ");
	assert_int_equal(post(k, EXCHANGE_F_EOM, "content-encoding: identity\n", "x"), ANSWER_PASS);
	assert_false(k->a.flags & ANSWER_F_OPAQUE);
}

static void encoded_body__of_a_response__is_refused(void **state)
{
	struct kit *k = ready(state, made);

	kit_assert_refused(k, answer(k, 0, "content-encoding: identity, gzip\n", ""), ANSWER_REFUSE, "encoding_refused");
	assert_int_equal(k->why.status, 502);
	kit_assert_refused(k, answer(k, 0, "grpc-encoding: gzip\n", ""), ANSWER_REFUSE, "encoding_refused");
	kit_assert_refused(k, answer(k, EXCHANGE_F_LATE_HEAD, "content-encoding: br\n", "x"), ANSWER_CUT, "encoding_refused");
	assert_int_equal(answer(k, EXCHANGE_F_HEAD_REQUEST | EXCHANGE_F_BODYLESS | EXCHANGE_F_EOM, "content-encoding: gzip\n", ""), ANSWER_PASS);
}

/* An upstream that echoes what the agent sends can be made to say any length: the border of a message may stand anywhere in a secret. */
static void grpc_answer__whose_lengths_lie__is_sanitized_across_them(void **state)
{
	struct kit *k = ready(state, made);
	const size_t len = strlen(KEY);

	for (size_t cut = 1; cut < len; cut++) {
		char one[5 + sizeof(KEY)] = {0}, want[sizeof(one)] = {0};
		struct span first = span_of(one, 5 + cut), rest;

		one[4] = want[4] = (char)cut; /* a whole message, if one believes it */
		memcpy(one + 5, KEY, len);
		memcpy(want + 5, kit_fake(k, E_KEY), len);
		kit_forget_stream(k);
		kit_response_head(k, 200, "content-type: application/grpc\n");
		assert_int_equal(kit_exchange(k, true, EXCHANGE_F_HEAD, buf_span(&k->head), first), ANSWER_PASS);
		assert_int_equal(k->a.consumed, 5);
		assert_false(k->a.flags & ANSWER_F_PAYLOAD);
		rest = span_of(one + 5, len);
		assert_int_equal(kit_exchange(k, true, EXCHANGE_F_EOM, span_of(NULL, 0), rest), ANSWER_PASS);
		assert_int_equal(k->a.consumed, len);
		assert_true((k->a.flags & ANSWER_F_PAYLOAD) && span_eq(k->a.payload, span_of(want + 5, len)));
		/* and in one piece */
		kit_forget_stream(k);
		assert_int_equal(kit_exchange(k, true, EXCHANGE_F_HEAD | EXCHANGE_F_EOM, buf_span(&k->head), span_of(one, 5 + len)), ANSWER_PASS);
		assert_true((k->a.flags & ANSWER_F_PAYLOAD) && span_eq(k->a.payload, span_of(want, 5 + len)));
	}
}

static void partial_response__is_refused_unless_ranges_are_allowed(void **state)
{
	struct kit *k = ready(state, COMMON "hosts:\n  files.example.test: { ranges: allow }\n");

	kit_response_head(k, 206, "");
	kit_assert_refused(k, kit_head(k, true, 0, "x"), ANSWER_REFUSE, "partial_refused");
	k->host = "files.example.test:443";
	assert_int_equal(kit_head(k, true, 0, "x."), ANSWER_PASS);
	kit_response_head(k, 101, "");
	kit_assert_refused(k, kit_head(k, true, 0, ""), ANSWER_REFUSE, "upgrade_refused");
}

static void given_placeholder__only_where_the_length_may_change(void **state)
{
	struct kit *k = ready(state, given);

	assert_int_equal(answer(k, EXCHANGE_F_EOM, "content-length: 33\n", GIVEN "."), ANSWER_PASS);
	assert_true(k->a.flags & ANSWER_F_CHUNKED);
	assert_string_equal(kit_output(k, ""), "DUMMY_GIVEN.");
	assert_int_equal(answer(k, EXCHANGE_F_LATE_HEAD | EXCHANGE_F_LENGTH_PROMISED | EXCHANGE_F_EOM, "content-length: 33\n", GIVEN "."), ANSWER_PASS);
	assert_int_equal(k->a.payload.len, strlen(GIVEN "."));
	/* the body of a request: escaped for JSON, and inert where that would break a promise */
	assert_int_equal(post(k, EXCHANGE_F_EOM, "content-type: application/json\n", "\"DUMMY_GIVEN\""), ANSWER_PASS);
	assert_string_equal(kit_output(k, ""), "\"Qq7Zb1Kx9\\\"m3Lp5Vd8Rf2Hj6Ny4Gc0Sb\"");
	assert_int_equal(post(k, EXCHANGE_F_LATE_HEAD | EXCHANGE_F_LENGTH_PROMISED | EXCHANGE_F_EOM, "", "\"DUMMY_GIVEN\""), ANSWER_PASS);
	kit_assert_told(k, "head POST /; request body inert_in_body GIVEN 1; ");
	/* to HEAD the length of what GET would get is told */
	assert_int_equal(answer(k, EXCHANGE_F_HEAD_REQUEST | EXCHANGE_F_BODYLESS | EXCHANGE_F_EOM, "content-length: 33\n", ""), ANSWER_PASS);
	assert_true(k->a.flags & ANSWER_F_CHUNKED);
}

static void late_head__is_judged_and_not_edited(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, EXCHANGE_F_LATE_HEAD, kit_text("x-api-key: %s\n", kit_fake(k, E_KEY)), "x."), ANSWER_PASS);
	assert_int_equal(k->a.edit_count, 0);
	kit_assert_told(k, "head POST /; request header inert KEY 1; ");
	k->host = "nowhere.example.test:443";
	kit_assert_refused(k, post(k, EXCHANGE_F_LATE_HEAD, "", "x."), ANSWER_CUT, "host_denied");
}

static void output__that_does_not_fit_the_frame__is_asked_for_again(void **state)
{
	struct kit *k = ready(state, made);
	const char *fake = kit_fake(k, E_BODY);
	char *body = calloc(1, 8192), *got = calloc(1, 8192);
	size_t at = 0, got_len = 0, len;
	unsigned rounds = 0;

	for (len = 0; len < 6000; len += strlen(body + len))
		sprintf(body + len, "%s. ", fake);
	k->room = 2048;
	assert_int_equal(post(k, EXCHANGE_F_EOM, "", body), ANSWER_PASS);
	for (;;) {
		assert_true(k->ack.len <= k->room);
		assert_true(k->a.consumed > 0);
		memcpy(got + got_len, k->a.payload.p, k->a.payload.len);
		got_len += k->a.payload.len;
		at += k->a.consumed;
		rounds++;
		if (!(k->a.flags & ANSWER_F_RESCAN))
			break;
		assert_int_equal(kit_chunk(k, false, EXCHANGE_F_EOM, body + at), ANSWER_PASS);
	}
	assert_int_equal(at, len);
	assert_true(rounds > 2);
	for (at = 0; at < len; at += strlen(BODY ". "))
		assert_memory_equal(got + at, BODY ". ", strlen(BODY ". "));
	free(body);
	free(got);
}

static void chunk__that_is_full_and_held_whole__is_refused(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, 0, "", ""), ANSWER_PASS);
	assert_int_equal(kit_chunk(k, false, 0, "sk-proj-"), ANSWER_PASS);
	assert_int_equal(k->a.consumed, 0);
	kit_assert_refused(k, kit_chunk(k, false, EXCHANGE_F_FULL, "sk-proj-"), ANSWER_CUT, "pattern_too_long");
}

static void request__keeps_its_generation_and_a_response_does_not(void **state)
{
	struct kit *k = ready(state, made);
	struct policy *older = fixture_compile(k->f, made, "KEY=" KEY "\nBODY=Zq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sz\n", NULL);
	const struct policy *both[] = {k->f->p, older};
	const char *fake = kit_fake(k, E_BODY);

	assert_non_null(older);
	kit_start(k, both, 2);
	assert_int_equal(post(k, 0, "", "a."), ANSWER_PASS);
	assert_memory_equal(k->a.gen, policy_generation(k->f->p), 8);
	/* as if an older worker had judged the head */
	kit_start(k, both + 1, 1);
	assert_int_equal(post(k, 0, "", "a."), ANSWER_PASS);
	agent_free(k->agent);
	k->agent = agent_new(both, 2, &k->sink);
	assert_int_equal(kit_chunk(k, false, EXCHANGE_F_EOM, fake), ANSWER_PASS);
	assert_string_equal(kit_output(k, ""), "Zq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sz");
	kit_response_head(k, 200, "");
	assert_int_equal(kit_head(k, true, EXCHANGE_F_EOM, BODY "."), ANSWER_PASS);
	assert_string_equal(kit_output(k, ""), kit_text("%s.", fake));
	/* a worker that has never heard of it */
	agent_free(k->agent);
	k->agent = agent_new(both, 1, &k->sink);
	assert_int_equal(kit_chunk(k, false, EXCHANGE_F_EOM, "x"), ANSWER_UNKNOWN_GENERATION);
	assert_int_equal(kit_chunk(k, true, EXCHANGE_F_EOM, "x"), ANSWER_UNKNOWN_GENERATION);
	agent_free(k->agent);
	k->agent = NULL;
	policy_free(older);
}

static void scope__of_another_generation_or_broken__cuts(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(post(k, 0, "", ""), ANSWER_PASS);
	for (size_t i = 0; i < 12; i++) {
		k->scope[0].p[i] ^= 0x55;
		kit_assert_refused(k, kit_chunk(k, false, EXCHANGE_F_EOM, kit_fake(k, E_BODY)), ANSWER_CUT, "agent_unavailable");
		k->scope[0].p[i] ^= 0x55;
	}
	buf_reset(&k->scope[0]);
	kit_assert_refused(k, kit_chunk(k, false, EXCHANGE_F_EOM, "x"), ANSWER_CUT, "agent_unavailable");
	buf_append(&k->carry[1], "\xff\xff\xff\xff", 4);
	kit_response_head(k, 200, "");
	kit_assert_refused(k, kit_head(k, true, 0, "x"), ANSWER_REFUSE, "agent_unavailable");
}

static void retry__of_the_same_number__says_the_same(void **state)
{
	struct kit *k = ready(state, made);
	const char *text = kit_text("a %s b.", kit_fake(k, E_BODY));
	struct buf before = {0};

	assert_int_equal(post(k, EXCHANGE_F_EOM, "", text), ANSWER_PASS);
	buf_append_span(&before, buf_span(&k->ack));
	kit_keep(&k->gen, span_of(NULL, 0));
	kit_keep(&k->scope[0], span_of(NULL, 0));
	kit_keep(&k->carry[0], span_of(NULL, 0));
	assert_int_equal(kit_repeat(k, false, EXCHANGE_F_HEAD | EXCHANGE_F_EOM, buf_span(&k->head), span_str(text)), ANSWER_PASS);
	assert_true(span_eq(buf_span(&before), buf_span(&k->ack)));
	buf_deinit(&before);
}

static void audit__that_takes_nothing__refuses(void **state)
{
	struct kit *k = ready(state, made);

	k->deaf = true;
	kit_assert_refused(k, post(k, EXCHANGE_F_EOM, "", "x"), ANSWER_REFUSE, "audit_unavailable");
	assert_int_equal(k->why.status, 503);
	k->deaf = false;
	assert_int_equal(post(k, 0, "", "x."), ANSWER_PASS);
	k->deaf = true;
	kit_assert_refused(k, kit_chunk(k, false, 0, kit_text("%s.", kit_fake(k, E_BODY))), ANSWER_CUT, "audit_unavailable");
}

static void end_of_a_response__is_told_once_all_is_decided(void **state)
{
	struct kit *k = ready(state, made);

	assert_int_equal(answer(k, 0, "", "a."), ANSWER_PASS);
	kit_assert_told(k, "head  ; ");
	assert_int_equal(kit_chunk(k, true, EXCHANGE_F_EOM, "b"), ANSWER_PASS);
	kit_assert_told(k, "end 1 complete; ");
	buf_reset(&k->message);
	kit_put(k, "id", SPOP_BIN, span_str("123456789012"));
	kit_put_number(k, "direction", 0);
	kit_put(k, "end", SPOP_STR, span_str("client_abort"));
	assert_int_equal(kit_message(k, "slapenir-end-request", 3), 0);
	assert_int_equal(k->ack.len, 0);
	kit_assert_told(k, "end 0 client_abort; ");
}

static int exchange_with_ended(struct kit *k, struct span ended)
{
	buf_reset(&k->message);
	kit_put(k, "id", SPOP_BIN, span_str("123456789012"));
	kit_put_number(k, "seq", 1);
	kit_put_number(k, "flags", EXCHANGE_F_HEAD | EXCHANGE_F_EOM | EXCHANGE_F_BODYLESS);
	kit_put(k, "agent", SPOP_STR, span_str(k->cn));
	kit_put(k, "host", SPOP_STR, span_str(k->host));
	kit_put(k, "ended", SPOP_BIN, ended);
	kit_put(k, "head", SPOP_BIN, buf_span(&k->head));
	return kit_message(k, "slapenir-request", 7);
}

static void ends_of_other_requests__are_told_with_an_exchange(void **state)
{
	static const uint8_t ended[] = "aaaaaaaaaaaa\0bbbbbbbbbbbb\1";
	struct kit *k = ready(state, made);

	kit_request_head(k, "GET", "/", "");
	assert_int_equal(exchange_with_ended(k, span_of(ended, sizeof(ended) - 1)), 0);
	kit_assert_told(k, "end 0 complete; end 1 complete; head GET /; ");
	assert_int_equal(exchange_with_ended(k, span_of(NULL, 0)), 0);
	kit_assert_told(k, "head GET /; ");
	assert_int_equal(exchange_with_ended(k, span_of(ended, 14)), -1);
}

static int connect(struct kit *k, const char *authority, char *verdict)
{
	struct span rest, name;
	struct spop_value v;

	buf_reset(&k->message);
	buf_reset(&k->log);
	kit_put(k, "agent", SPOP_STR, span_str(k->cn));
	kit_put(k, "serial", SPOP_STR, span_str("01"));
	kit_put(k, "authority", SPOP_STR, span_str(authority));
	if (kit_message(k, "slapenir-connect", 3) < 0)
		return -1;
	rest = buf_span(&k->ack);
	v = kit_variable(&rest, &name);
	assert_true(span_is(name, "verdict"));
	sprintf(verdict, "%.*s", (int)v.bytes.len, (const char *)v.bytes.p);
	if (!rest.len)
		return 0;
	v = kit_variable(&rest, &name);
	assert_true(span_is(name, "status"));
	return (int)v.u;
}

static void connect__is_allowed_or_refused_and_told(void **state)
{
	struct kit *k = ready(state, made);
	char verdict[64];

	assert_int_equal(connect(k, "api.example.test:443", verdict), 0);
	assert_string_equal(verdict, "allow");
	kit_assert_told(k, "");
	assert_int_equal(connect(k, "nowhere.example.test:443", verdict), 403);
	assert_string_equal(verdict, "host_denied");
	kit_assert_told(k, "head CONNECT ; refusal host_denied; ");
	assert_int_equal(connect(k, "tq7zb1kx9wm3lp5vd8rf2hj6ny4gc0sa.example.test:443", verdict), 403);
	assert_string_equal(verdict, "tripwire");
	kit_assert_told(k, "head CONNECT ; request header tripped BODY 1; refusal tripwire; ");
	agent_suspend(k->agent, span_str("agent-1"), true);
	assert_int_equal(connect(k, "api.example.test:443", verdict), 403);
	assert_string_equal(verdict, "agent_suspended");
}

static void messages__that_are_none_of_ours__close_the_connection(void **state)
{
	struct kit *k = ready(state, made);

	buf_reset(&k->message);
	assert_int_equal(kit_message(k, "slapenir-unknown", 0), -1);
	assert_int_equal(kit_message(k, "slapenir-request", 0), -1);
	assert_int_equal(kit_message(k, "slapenir-request", 1), -1);
	kit_put_number(k, "id", 7);
	assert_int_equal(kit_message(k, "slapenir-request", 1), -1);
	buf_reset(&k->message);
	kit_put(k, "seq", SPOP_STR, span_str("1"));
	assert_int_equal(kit_message(k, "slapenir-request", 1), -1);
	kit_request_head(k, "GET", "/", "");
	assert_int_equal(kit_exchange(k, false, EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS, buf_span(&k->head), span_of(NULL, 0)), -1);
	assert_int_equal(kit_exchange(k, false, EXCHANGE_F_LATE_HEAD, buf_span(&k->head), span_of(NULL, 0)), -1);
}

static void trips__window_and_agents(void **state)
{
	struct trips t = {0};
	char cn[32];

	(void)state;
	for (unsigned i = 1; i < TRIPS_MAX; i++)
		assert_false(trips_count(&t, span_str("a"), 1000));
	assert_false(trips_count(&t, span_str("b"), 1000));
	assert_true(trips_count(&t, span_str("a"), 1000 + TRIPS_WINDOW_MS));
	assert_false(trips_count(&t, span_str("a"), 1001 + 2 * TRIPS_WINDOW_MS));
	for (unsigned i = 0; i < 3 * TRIPS_AGENTS; i++) {
		snprintf(cn, sizeof(cn), "agent-%u", i);
		assert_false(trips_count(&t, span_str(cn), 500000 + i));
	}
	assert_true(trips_count(&t, span_of(NULL, 0), 1));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(clean_head__of_a_host_without_rules__may_be_remembered),
		TEST(body__of_a_request__is_rehydrated_where_inject_says_so),
		TEST(body__cut_at_every_offset__is_the_same),
		TEST(secret_in_a_later_chunk__cuts),
		TEST(weak_secret__first_hit__suspends_in_open_requests_too),
		TEST(tripwire_suspend__any_hit_suspends),
		TEST(tripwire__too_often__suspends),
		TEST(encoded_body__of_a_request__passes_opaque),
		TEST(encoded_body__of_a_response__is_refused),
		TEST(grpc_answer__whose_lengths_lie__is_sanitized_across_them),
		TEST(partial_response__is_refused_unless_ranges_are_allowed),
		TEST(given_placeholder__only_where_the_length_may_change),
		TEST(late_head__is_judged_and_not_edited),
		TEST(output__that_does_not_fit_the_frame__is_asked_for_again),
		TEST(chunk__that_is_full_and_held_whole__is_refused),
		TEST(request__keeps_its_generation_and_a_response_does_not),
		TEST(scope__of_another_generation_or_broken__cuts),
		TEST(retry__of_the_same_number__says_the_same),
		TEST(audit__that_takes_nothing__refuses),
		TEST(ends_of_other_requests__are_told_with_an_exchange),
		TEST(end_of_a_response__is_told_once_all_is_decided),
		TEST(connect__is_allowed_or_refused_and_told),
		TEST(messages__that_are_none_of_ours__close_the_connection),
		TEST(trips__window_and_agents),
	};

	return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
