/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy_fixture.h"
#include "scope.h"

static void content_type__decides_place_and_framing(void **state)
{
	static const struct { const char *type; enum rewrite_place place; enum rewrite_framing framing; } cases[] = {
		{"application/json", PLACE_JSON, FRAMING_NONE},
		{"Application/JSON; charset=utf-8", PLACE_JSON, FRAMING_NONE},
		{"application/vnd.api+json;v=1", PLACE_JSON, FRAMING_NONE},
		{"application/x-ndjson", PLACE_JSON, FRAMING_NONE},
		{"application/jsonx", PLACE_RAW, FRAMING_NONE},
		{"application/x-www-form-urlencoded ; charset=utf-8", PLACE_FORM, FRAMING_NONE},
		{"multipart/form-data; boundary=json", PLACE_RAW, FRAMING_NONE},
		{"application/grpc", PLACE_RAW, FRAMING_GRPC},
		{"application/grpc+json", PLACE_RAW, FRAMING_GRPC},
		{"application/grpc-web+proto", PLACE_RAW, FRAMING_GRPC},
		{"application/grpc-web-text", PLACE_RAW, FRAMING_NONE},
		{"", PLACE_RAW, FRAMING_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf fields = {0};
		struct body_kind k;

		head_encode_field(&fields, span_str("accept"), span_str("application/json"));
		head_encode_field(&fields, span_str("content-type"), span_str(cases[i].type));
		assert_int_equal(body_kind_of(&k, buf_span(&fields)), 0);
		assert_int_equal(k.place, cases[i].place);
		assert_int_equal(k.framing, cases[i].framing);
		assert_false(k.encoded || k.has_length);
		buf_deinit(&fields);
	}
}

static void encodings__but_identity__are_encoded(void **state)
{
	static const struct { const char *name, *value; bool encoded; } cases[] = {
		{"content-encoding", "gzip", true}, {"content-encoding", "identity", false}, {"content-encoding", " Identity ,", false},
		{"content-encoding", "identity, br", true}, {"content-encoding", "", false}, {"content-encoding", "identityx", true},
		{"grpc-encoding", "gzip", true}, {"grpc-encoding", "identity", false}, {"connect-content-encoding", "gzip", true}, {"accept-encoding", "gzip", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf fields = {0};
		struct body_kind k;

		head_encode_field(&fields, span_str(cases[i].name), span_str(cases[i].value));
		head_encode_field(&fields, span_str("content-length"), span_str("1"));
		assert_int_equal(body_kind_of(&k, buf_span(&fields)), 0);
		assert_int_equal(k.encoded, cases[i].encoded);
		assert_true(k.has_length);
		assert_int_equal(body_kind_of(&k, span_of(fields.p, fields.len - 1)), -1);
		buf_deinit(&fields);
	}
}

static void scope__decodes_for_its_direction_and_generation_only(void **state)
{
	static const char yaml[] = "secrets:\n  K: { file: tokens, hosts: [api.example.test] }\n";
	struct fixture *f = *state;
	struct policy *p = fixture_load(f, yaml, "K=Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0\n"), *other = fixture_compile(f, yaml, "K=Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua1\n", NULL);
	struct policy_request q = {span_str("agent-1"), span_str("api.example.test:443"), span_str("GET"), span_str("/"), false};
	struct body_kind k = {.place = PLACE_FORM, .framing = FRAMING_GRPC};
	struct buf b = {0};
	struct scope s;

	assert_int_equal(scope_encode(&b, &k, p, &q), 0);
	assert_true(b.len <= EXCHANGE_SCOPE_MAX);
	assert_int_equal(scope_decode(&s, p, false, buf_span(&b)), 0);
	assert_true(s.place == PLACE_FORM && s.framing == FRAMING_GRPC && policy_grants(p, &s.grant, 0, INJECT_HEADER));
	assert_int_equal(scope_decode(&s, other, false, buf_span(&b)), -1);
	assert_int_equal(scope_decode(&s, p, true, buf_span(&b)), -1);
	for (size_t len = 0; len < 12 + 8; len++)
		assert_int_equal(scope_decode(&s, p, false, span_of(b.p, len)), -1);
	buf_reset(&b);
	assert_int_equal(scope_encode(&b, &k, p, NULL), 0);
	assert_int_equal(scope_decode(&s, other, true, buf_span(&b)), 0);
	assert_int_equal(scope_decode(&s, p, false, buf_span(&b)), -1);
	buf_putc(&b, 0);
	assert_int_equal(scope_decode(&s, p, true, buf_span(&b)), -1);
	buf_deinit(&b);
	policy_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_type__decides_place_and_framing),
		cmocka_unit_test(encodings__but_identity__are_encoded),
		cmocka_unit_test_setup_teardown(scope__decodes_for_its_direction_and_generation_only, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("scope", tests, NULL, NULL);
}
