/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Heads and trailers, through the agent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "agent_kit.h"
#include "head_rewrite.h"

#define KEY "sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
#define MINE "Tq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa"
#define QUERY "Qq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sb"
#define PATHS "Pq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sc"
#define OTHER "ghp_9fKq2LmX7vRt4BnZ8cWy1HdJ5sPg3UaE6oQi"
#define ODD "ab?cd1efGH23ijKL45mnQ7xW2z"
#define QUOTED "a b/c&d=e Q3zX8pW1"

enum { E_KEY, E_MINE, E_QUERY, E_PATHS, E_OTHER, E_ODD, E_QUOTED };

static const char yaml[] = "secrets:\n"
                           "  KEY: { file: tokens, hosts: [api.example.test] }\n"
                           "  MINE: { file: tokens, hosts: [api.example.test], headers: [X-My-Key, Cookie] }\n"
                           "  QUERY: { file: tokens, hosts: [api.example.test], inject: [query] }\n"
                           "  PATHS: { file: tokens, hosts: [api.example.test], inject: [path] }\n"
                           "  OTHER: { file: tokens, hosts: [other.example.test] }\n"
                           "  ODD: { file: tokens, hosts: [other.example.test] }\n"
                           "  QUOTED: { file: tokens, hosts: [api.example.test], inject: [query, path], placeholder: DUMMY_QUOTED }\n"
                           "hosts:\n"
                           "  must.example.test: { require: true }\n"
                           "  plain.example.test: { http: allow }\n"
                           "drop_response_headers: [X-Debug-Token]\n";
static const char tokens[] = "KEY=" KEY "\nMINE=" MINE "\nQUERY=" QUERY "\nPATHS=" PATHS "\nOTHER=" OTHER "\nODD=" ODD "\nQUOTED=" QUOTED "\n";

static struct kit *ready(void **state)
{
	struct kit *k = *state;

	kit_load(k, yaml, tokens);
	return k;
}

static int request(struct kit *k, const char *method, const char *uri, const char *fields)
{
	kit_forget_stream(k);
	buf_reset(&k->log);
	kit_request_head(k, method, uri, fields);
	return kit_head(k, false, EXCHANGE_F_EOM | EXCHANGE_F_BODYLESS, "");
}

static int response(struct kit *k, unsigned status, const char *fields)
{
	kit_forget_stream(k);
	buf_reset(&k->log);
	kit_response_head(k, status, fields);
	return kit_head(k, true, EXCHANGE_F_EOM | EXCHANGE_F_BODYLESS, "");
}

static void credential_headers__placeholder__become_the_secret(void **state)
{
	static const char *const names[] = {"authorization", "x-api-key", "api-key", "private-token", "x-goog-api-key"};
	struct kit *k = ready(state);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(request(k, "GET", "/v1", kit_text("accept: */*\n%s: Bearer %s\n", names[i], kit_fake(k, E_KEY))), ANSWER_PASS);
		assert_string_equal(kit_edits(k), "value 1 Bearer " KEY "; ");
		kit_assert_told(k, "head GET /v1; request header rehydrated KEY 1; ");
		assert_true(k->a.flags & ANSWER_F_AUDITED);
	}
}

static void other_headers__placeholder__stays_inert_and_is_told(void **state)
{
	static const char *const names[] = {"user-agent", "origin", "referer", "x-request-id", "last-event-id", "sec-websocket-protocol", "cookie", "x-my-key", "x-anything"};
	struct kit *k = ready(state);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(request(k, "GET", "/", kit_text("%s: %s\n", names[i], kit_fake(k, E_KEY))), ANSWER_PASS);
		assert_string_equal(kit_edits(k), "");
		kit_assert_told(k, "head GET /; request header inert KEY 1; ");
	}
}

static void listed_headers__placeholder_of_that_secret__becomes_it(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(request(k, "GET", "/", kit_text("x-my-key: %s\ncookie: s=%s\n", kit_fake(k, E_MINE), kit_fake(k, E_MINE))), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "value 0 " MINE "; value 1 s=" MINE "; ");
	kit_assert_told(k, "head GET /; request header rehydrated MINE 2; ");
}

static void placeholder__of_another_host__stays_inert(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(request(k, "GET", "/", kit_text("authorization: %s\n", kit_fake(k, E_OTHER))), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "");
	kit_assert_told(k, "head GET /; request header inert OTHER 1; ");
}

static void placeholder__over_plain_http__stays_inert(void **state)
{
	struct kit *k = ready(state);

	k->host = "plain.example.test:80";
	kit_request_head(k, "GET", "/", kit_text("authorization: %s\n", kit_fake(k, E_KEY)));
	assert_int_equal(kit_head(k, false, EXCHANGE_F_PLAIN | EXCHANGE_F_EOM | EXCHANGE_F_BODYLESS, ""), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "");
}

static void repeated_headers__each_is_rewritten(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(request(k, "GET", "/", kit_text("x-api-key: %s\nx-api-key: a\nx-api-key: %s;\n", kit_fake(k, E_KEY), kit_fake(k, E_KEY))), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "value 0 " KEY "; value 2 " KEY ";; ");
}

static const char *basic(const char *field, const char *credentials)
{
	unsigned char room[512];

	EVP_EncodeBlock(room, (const unsigned char *)credentials, (int)strlen(credentials));
	return kit_text("%s: Basic %s\n", field, room);
}

static void basic__placeholder_inside__is_encoded_again(void **state)
{
	struct kit *k = ready(state);

	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(request(k, "GET", "/", basic("authorization", kit_text("%.*s:%s", n, "usr", kit_fake(k, E_KEY)))), ANSWER_PASS);
		assert_string_equal(kit_text("%s", kit_edits(k)), kit_text("value 0 %.*s; ", (int)strlen(basic("", kit_text("%.*s:" KEY, n, "usr"))) - 3,
		                                                           basic("", kit_text("%.*s:" KEY, n, "usr")) + 2));
		kit_assert_told(k, "head GET /; request header rehydrated KEY 1; ");
		assert_int_equal(request(k, "GET", "/", basic("x-anything", kit_text("%.*s:%s", n, "usr", kit_fake(k, E_KEY)))), ANSWER_PASS);
		kit_assert_told(k, "head GET /; request header inert KEY 1; ");
	}
}

static void secret__in_any_part_of_a_request__trips_the_wire(void **state)
{
	static const char *const fields[] = {
		"authorization: " KEY "\n", "user-agent: x " KEY "\n", "x-anything: " OTHER "\n", "authorization: Basic dTp4c2stcHJvai1aeDgxa1FtNFRuVmI3THIyV2NZZDlIczNQZ0pmNlVhMA==\n",
		"sk-proj-zx81kqm4tnvb7lr2wcyd9hs3pgjf6ua0: 1\n", "x-Tq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa: 1\n",
	};
	struct kit *k = ready(state);

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		kit_assert_refused(k, request(k, "GET", "/", fields[i]), ANSWER_REFUSE, "tripwire");
	kit_assert_refused(k, request(k, "GET", "/a/" KEY "/b", ""), ANSWER_REFUSE, "tripwire");
	assert_null(strstr(kit_string(&k->log), KEY));
	assert_non_null(strstr(kit_string(&k->log), "request path tripped KEY 1"));
	kit_assert_refused(k, request(k, "GET", "/?q=" KEY, ""), ANSWER_REFUSE, "tripwire");
	assert_non_null(strstr(kit_string(&k->log), "request query tripped KEY 1"));
	kit_assert_refused(k, request(k, "GET", "/?q=sk%2Dproj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0", ""), ANSWER_REFUSE, "tripwire");
	kit_assert_refused(k, request(k, "GET", "/" ODD, ""), ANSWER_REFUSE, "tripwire"); /* across the question mark */
	kit_assert_refused(k, request(k, "GET", "https://api.example.test/" KEY, ""), ANSWER_REFUSE, "tripwire");
	kit_assert_refused(k, request(k, MINE, "/", ""), ANSWER_REFUSE, "tripwire");
	assert_null(strstr(kit_string(&k->log), MINE));
}

static void tripwire__names_the_secret_and_tells_only_that(void **state)
{
	struct kit *k = ready(state);

	kit_assert_refused(k, request(k, "GET", "/", kit_text("authorization: %s\nx-anything: " OTHER "\n", kit_fake(k, E_KEY))), ANSWER_REFUSE, "tripwire");
	kit_assert_told(k, "head GET /; request header tripped OTHER 1; refusal tripwire; ");
	assert_int_equal(k->why.status, 403);
	assert_non_null(memmem(k->why.json.p, k->why.json.len, "\"secret\":\"OTHER\"", 16));
	assert_null(memmem(k->ack.p, k->ack.len, KEY, strlen(KEY)));
	assert_null(memmem(k->ack.p, k->ack.len, OTHER, strlen(OTHER)));
}

static void query_and_path__only_where_inject_says_so(void **state)
{
	struct kit *k = ready(state);
	const char *q = kit_fake(k, E_QUERY), *p = kit_fake(k, E_PATHS);

	assert_int_equal(request(k, "GET", kit_text("/%s/x?a=%s", p, q), ""), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "uri /" PATHS "/x?a=" QUERY "; ");
	kit_assert_told(k, kit_text("head GET /%s/x; request query rehydrated QUERY 1; request path rehydrated PATHS 1; ", p));
	assert_int_equal(request(k, "GET", kit_text("/%s/x?a=%s", q, p), ""), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "");
	kit_assert_told(k, kit_text("head GET /%s/x; request query inert PATHS 1; request path inert QUERY 1; ", q));
	assert_int_equal(request(k, "GET", kit_text("https://api.example.test/%s?a=1", p), ""), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "uri https://api.example.test/" PATHS "?a=1; ");
}

static void given_placeholder__in_query_and_path__is_escaped(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(request(k, "GET", "/DUMMY_QUOTED/x?k=DUMMY_QUOTED&l=1", ""), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "uri /a%20b%2Fc%26d%3De%20Q3zX8pW1/x?k=a%20b%2Fc%26d%3De%20Q3zX8pW1&l=1; ");
}

static void required__every_credential_header_needs_a_placeholder(void **state)
{
	static const char must[] = "secrets:\n  KEY: { file: tokens, hosts: [must.example.test] }\nhosts:\n  must.example.test: { require: true }\n";
	struct kit *k = *state;
	const char *fake;

	kit_load(k, must, "KEY=" KEY "\n");
	k->host = "must.example.test:443";
	fake = kit_fake(k, 0);
	assert_int_equal(request(k, "GET", "/", "accept: */*\n"), ANSWER_PASS);
	assert_false(k->a.flags & ANSWER_F_CACHE);
	assert_int_equal(request(k, "GET", "/", kit_text("authorization: Bearer %s\n", fake)), ANSWER_PASS);
	kit_assert_refused(k, request(k, "GET", "/", "authorization: Bearer their-own\n"), ANSWER_REFUSE, "credential_required");
	assert_non_null(memmem(k->why.json.p, k->why.json.len, "require", 7));
	kit_assert_refused(k, request(k, "GET", "/", kit_text("authorization: Bearer %s\nx-api-key: their-own\n", fake)), ANSWER_REFUSE, "credential_required");
	kit_assert_refused(k, request(k, "GET", "/", kit_text("x-api-key: their-own\nx-api-key: %s\n", fake)), ANSWER_REFUSE, "credential_required");
	kit_assert_refused(k, request(k, "GET", "/", "x-api-key: their-own\nx: " KEY "\n"), ANSWER_REFUSE, "tripwire");
}

static void content_length__that_equals_a_secret__is_a_number(void **state)
{
	struct kit *k = *state;

	kit_load(k, "secrets:\n  PIN: { file: tokens, hosts: [api.example.test] }\n", "PIN=48151623\n");
	assert_int_equal(request(k, "GET", "/", "content-length: 48151623\n"), ANSWER_PASS);
	assert_int_equal(response(k, 200, "content-length: 48151623\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "");
	kit_assert_refused(k, request(k, "GET", "/", "x: 48151623\n"), ANSWER_REFUSE, "tripwire");
}

static void response__names_and_values__are_sanitized(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(response(k, 200, "date: x\nset-cookie: a=" KEY "\nset-cookie: b=" OTHER "\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), kit_text("value 1 a=%s; value 2 b=%s; ", kit_fake(k, E_KEY), kit_fake(k, E_OTHER)));
	kit_assert_told(k, "head  ; response header redacted KEY 1; response header redacted OTHER 1; end 1 complete; ");
	assert_int_equal(response(k, 200, "x-" KEY ": 1\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), kit_text("field 0 x-%s 1; ", kit_fake(k, E_KEY)));
	assert_int_equal(response(k, 200, "x-sk-proj-zx81kqm4tnvb7lr2wcyd9hs3pgjf6ua0: 1\n"), ANSWER_PASS);
	assert_null(strcasestr(kit_edits(k), KEY));
	assert_int_equal(k->a.edit_count, 1);
	assert_int_equal(response(k, 200, "x: \xff\xfe" KEY "\x80\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), kit_text("value 0 \xff\xfe%s\x80; ", kit_fake(k, E_KEY)));
}

static void response__secret_of_a_basic_header__is_replaced_inside(void **state)
{
	struct kit *k = ready(state);

	/* u:QUOTED's value; its given placeholder has another length */
	assert_int_equal(response(k, 200, "x: Basic dTphIGIvYyZkPWUgUTN6WDhwVzE=\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "value 0 Basic dTpEVU1NWV9RVU9URUQ=; ");
}

static void response__digests_and_listed_fields__are_removed(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(response(k, 200, "content-md5: x\netag: y\ndigest: x\nx-debug-token: x\ncontent-digest: x\nrepr-digest: x\nalt-svc: h3\n"), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "remove 0; remove 2; remove 3; remove 4; remove 5; remove 6; ");
}

static void trailers__of_both_directions(void **state)
{
	struct kit *k = ready(state);

	assert_int_equal(request(k, "POST", "/", "a: b\n"), ANSWER_PASS);
	buf_reset(&k->log);
	kit_trailers(k, kit_text("x-api-key: %s\n", kit_fake(k, E_KEY)));
	assert_int_equal(kit_exchange(k, false, EXCHANGE_F_TRAILERS | EXCHANGE_F_EOM, buf_span(&k->head), span_of(NULL, 0)), ANSWER_PASS);
	assert_string_equal(kit_edits(k), "");
	kit_assert_told(k, "request trailer inert KEY 1; ");
	kit_trailers(k, "x: " KEY "\n");
	kit_assert_refused(k, kit_exchange(k, false, EXCHANGE_F_TRAILERS | EXCHANGE_F_EOM, buf_span(&k->head), span_of(NULL, 0)), ANSWER_CUT, "tripwire");
	assert_int_equal(response(k, 200, "a: b\n"), ANSWER_PASS);
	buf_reset(&k->log);
	kit_trailers(k, "grpc-message: " KEY "\nx-" OTHER ": 1\n");
	assert_int_equal(kit_exchange(k, true, EXCHANGE_F_TRAILERS | EXCHANGE_F_EOM, buf_span(&k->head), span_of(NULL, 0)), ANSWER_PASS);
	assert_string_equal(kit_edits(k), kit_text("value 0 %s; field 1 x-%s 1; ", kit_fake(k, E_KEY), kit_fake(k, E_OTHER)));
	kit_assert_told(k, "response trailer redacted KEY 1; response trailer redacted OTHER 1; end 1 complete; ");
}

static void uri__is_split_whatever_its_form(void **state)
{
	static const struct { const char *uri, *authority, *path, *query; } cases[] = {
		{"/a/b?c=d?e", "", "/a/b", "?c=d?e"}, {"/", "", "/", ""}, {"*", "", "*", ""}, {"", "", "", ""}, {"/a?", "", "/a", "?"},
		{"https://h:443/a?b", "https://h:443", "/a", "?b"}, {"http://h", "http://h", "", ""}, {"http://h?x/y", "http://h", "", "?x/y"},
		{"/a://b/c", "", "/a://b/c", ""}, {"x://", "x://", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct head_uri u = head_uri_split(span_str(cases[i].uri));

		assert_true(span_is(u.authority, cases[i].authority) && span_is(u.path, cases[i].path) && span_is(u.query, cases[i].query));
	}
}

static void malformed_heads__answer_nothing(void **state)
{
	struct kit *k = ready(state);
	struct buf whole = {0};

	kit_request_head(k, "GET", "/", "a: b\nc: d\n");
	buf_append_span(&whole, buf_span(&k->head));
	for (size_t len = 0; len < whole.len; len++) {
		/* exactly so many bytes, so that the sanitizer sees a read behind them */
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, whole.p, len);
		kit_forget_stream(k);
		assert_true(kit_exchange(k, false, EXCHANGE_F_HEAD | EXCHANGE_F_EOM, span_of(copy, len), span_of(NULL, 0)) == -1 || k->a.verdict == ANSWER_PASS);
		free(copy);
	}
	kit_response_head(k, 200, "");
	assert_int_equal(kit_exchange(k, false, EXCHANGE_F_HEAD, buf_span(&k->head), span_of(NULL, 0)), -1);
	kit_trailers(k, "");
	assert_int_equal(kit_exchange(k, true, EXCHANGE_F_HEAD, buf_span(&k->head), span_of(NULL, 0)), -1);
	buf_deinit(&whole);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(credential_headers__placeholder__become_the_secret),
		TEST(other_headers__placeholder__stays_inert_and_is_told),
		TEST(listed_headers__placeholder_of_that_secret__becomes_it),
		TEST(placeholder__of_another_host__stays_inert),
		TEST(placeholder__over_plain_http__stays_inert),
		TEST(repeated_headers__each_is_rewritten),
		TEST(basic__placeholder_inside__is_encoded_again),
		TEST(secret__in_any_part_of_a_request__trips_the_wire),
		TEST(tripwire__names_the_secret_and_tells_only_that),
		TEST(query_and_path__only_where_inject_says_so),
		TEST(given_placeholder__in_query_and_path__is_escaped),
		TEST(required__every_credential_header_needs_a_placeholder),
		TEST(content_length__that_equals_a_secret__is_a_number),
		TEST(response__names_and_values__are_sanitized),
		TEST(response__secret_of_a_basic_header__is_replaced_inside),
		TEST(response__digests_and_listed_fields__are_removed),
		TEST(trailers__of_both_directions),
		TEST(uri__is_split_whatever_its_form),
		TEST(malformed_heads__answer_nothing),
	};

	return cmocka_run_group_tests_name("head_rewrite", tests, NULL, NULL);
}
