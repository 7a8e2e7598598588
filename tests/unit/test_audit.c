/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "audit.h"

static struct audit_event full_event(void)
{
	return (struct audit_event){
		.kind = AUDIT_HITS, .id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, .direction = 1, .seq = 0x01020304,
		.agent = span_str("agent-1"), .host = span_str("api.example.test:443"), .method = span_str("POST"),
		.path = span_str("/v1/x"), .secret = span_str("API_KEY"), .where = AUDIT_IN_BODY, .what = AUDIT_REDACTED,
		.count = 70000, .code = span_str("opaque_body"), .end = span_str("complete"),
	};
}

static void event__encoded__decodes_to_the_same(void **state)
{
	struct audit_event in = full_event(), out;
	struct buf b = {0};

	(void)state;
	assert_int_equal(audit_event_encode(&b, &in), 0);
	assert_int_equal(audit_event_decode(&out, buf_span(&b)), 0);
	assert_int_equal(out.kind, in.kind);
	assert_memory_equal(out.id, in.id, sizeof(in.id));
	assert_int_equal(out.direction, 1);
	assert_int_equal(out.seq, in.seq);
	assert_int_equal(out.where, in.where);
	assert_int_equal(out.what, in.what);
	assert_int_equal(out.count, in.count);
	assert_true(span_eq(out.agent, in.agent) && span_eq(out.host, in.host) && span_eq(out.method, in.method));
	assert_true(span_eq(out.path, in.path) && span_eq(out.secret, in.secret) && span_eq(out.code, in.code));
	assert_true(span_eq(out.end, in.end));
	buf_deinit(&b);
}

static void event__cut_or_longer__is_refused(void **state)
{
	struct audit_event in = full_event(), out;
	struct buf b = {0};

	(void)state;
	assert_int_equal(audit_event_encode(&b, &in), 0);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, b.p, len);
		assert_int_equal(audit_event_decode(&out, span_of(copy, len)), -1);
		free(copy);
	}
	assert_int_equal(buf_putc(&b, 0), 0);
	assert_int_equal(audit_event_decode(&out, buf_span(&b)), -1);
	buf_deinit(&b);
}

static void event__fields_out_of_range__is_refused(void **state)
{
	/* version, kind, direction, where, what: the first value of each that means nothing */
	static const uint8_t beyond[] = {2, AUDIT_SUSPEND + 1, 2, AUDIT_IN_TRAILER + 1, AUDIT_INERT_IN_BODY + 1};
	struct audit_event in = full_event(), out;
	struct buf b = {0};

	(void)state;
	assert_int_equal(audit_event_encode(&b, &in), 0);
	for (size_t i = 0; i < sizeof(beyond); i++) {
		uint8_t was = b.p[i];

		b.p[i] = beyond[i];
		assert_int_equal(audit_event_decode(&out, buf_span(&b)), -1);
		b.p[i] = was;
	}
	assert_int_equal(audit_event_decode(&out, buf_span(&b)), 0);
	buf_deinit(&b);
}

static void event__strings_of_any_length__fits_one_write(void **state)
{
	static uint8_t longest[100000];
	struct span s = span_of(longest, sizeof(longest));
	struct audit_event in = {.agent = s, .host = s, .method = s, .path = s, .secret = s, .code = s, .end = s}, out;
	struct buf b = {0};

	(void)state;
	assert_int_equal(audit_event_encode(&b, &in), 0);
	assert_true(b.len <= AUDIT_EVENT_MAX);
	assert_int_equal(audit_event_decode(&out, buf_span(&b)), 0);
	assert_int_equal(out.path.len, 1024);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event__encoded__decodes_to_the_same),
		cmocka_unit_test(event__cut_or_longer__is_refused),
		cmocka_unit_test(event__fields_out_of_range__is_refused),
		cmocka_unit_test(event__strings_of_any_length__fits_one_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
