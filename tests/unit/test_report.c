/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json.h"
#include "refusal.h"
#include "report.h"

static void messages__of_each_kind__are_counted_and_have_their_line(void **state)
{
	struct report r = {0}, quiet = {.no_warnings = true};

	(void)state;
	report_error(&r, "p.yaml", 3, "%s: is wrong", "x");
	report_warning(&r, "p.yaml", 4, "y");
	report_left_out(&r, "p.yaml", 5, "z");
	report_error(&r, "p.yaml", 0, "cannot be opened");
	assert_int_equal(buf_putc(&r.text, 0), 0);
	assert_string_equal((char *)r.text.p, "p.yaml:3: x: is wrong\np.yaml:4: warning: y\np.yaml:5: left out: z\np.yaml: cannot be opened\n");
	assert_int_equal(r.errors, 2);
	assert_int_equal(r.warnings, 1);
	assert_int_equal(r.left_out, 1);
	report_warning(&quiet, "p.yaml", 4, "y");
	assert_int_equal(quiet.warnings, 1);
	assert_int_equal(quiet.text.len, 0);
	report_deinit(&r);
	report_deinit(&quiet);
}

static void near_miss__is_found__far_word_is_not(void **state)
{
	static const char *const known[] = {"hosts", "http", "headers", "methods", "ca"};

	(void)state;
	assert_string_equal(report_near_miss("hots", known, 5), "hosts");
	assert_string_equal(report_near_miss("hsots", known, 5), "hosts");
	assert_string_equal(report_near_miss("host", known, 5), "hosts");
	assert_string_equal(report_near_miss("metods", known, 5), "methods");
	assert_string_equal(report_near_miss("Headers", known, 5), "headers");
	assert_null(report_near_miss("colour", known, 5));
	assert_null(report_near_miss("", known, 4));
	assert_null(report_near_miss("a-word-that-is-much-longer-than-any-row-of-the-comparison", known, 5));
}

static void refusal__as_json__is_an_object_without_what_is_unknown(void **state)
{
	struct buf out = {0};

	(void)state;
	assert_int_equal(refusal_json(&out, REFUSAL_HOST_DENIED, "hosts", NULL), 0);
	assert_int_equal(buf_putc(&out, 0), 0);
	assert_non_null(strstr((char *)out.p, "{\"code\":\"host_denied\",\"rule\":\"hosts\",\"how_to_mend\":\""));
	assert_null(strstr((char *)out.p, "\"secret\""));
	buf_reset(&out);
	assert_int_equal(refusal_json(&out, REFUSAL_TRIPWIRE, "a \"quoted\"\nrule", "API_KEY"), 0);
	for (struct span rest = buf_span(&out);;) {
		struct json_member m;
		int rc = json_next(&m, &rest);

		assert_int_not_equal(rc, -1);
		if (rc == 0)
			break;
		assert_true(m.is_string);
	}
	out.limit = out.len + 10;
	assert_int_equal(refusal_json(&out, REFUSAL_TRIPWIRE, NULL, NULL), -1);
	assert_int_equal(out.len, out.limit - 10);
	buf_deinit(&out);
}

static void each_refusal__has_its_status(void **state)
{
	static const struct {
		enum refusal_code code;
		unsigned status;
	} others[] = {
		{REFUSAL_AUTHORITY_MISMATCH, 421}, {REFUSAL_DNS_FAILED, 502}, {REFUSAL_UPSTREAM_TLS, 502}, {REFUSAL_ENCODING_REFUSED, 502},
		{REFUSAL_PARTIAL_REFUSED, 502}, {REFUSAL_TRACE_REFUSED, 405}, {REFUSAL_TOO_LARGE, 413}, {REFUSAL_AGENT_UNAVAILABLE, 503},
		{REFUSAL_OVERLOADED, 503}, {REFUSAL_AUDIT_UNAVAILABLE, 503},
	};

	(void)state;
	for (unsigned c = REFUSAL_NONE + 1; c < REFUSAL_COUNT; c++) {
		const struct refusal *r = refusal_get(c);
		unsigned status = 403;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			if (others[i].code == c)
				status = others[i].status;
		assert_non_null(r->code);
		assert_int_equal(r->status, status);
		assert_true(strlen(r->meaning) > 10 && strlen(r->how_to_mend) > 10);
	}
}

static void docs_refusals__is_the_table(void **state)
{
	struct buf wanted = {0}, text = {0};
	FILE *f = fopen("docs/refusals.md", "r");
	int c;

	(void)state;
	if (!f)
		fail_msg("docs/refusals.md cannot be read: run this from the project's root");
	while ((c = getc(f)) != EOF)
		assert_int_equal(buf_putc(&text, (uint8_t)c), 0);
	fclose(f);
	assert_int_equal(refusal_document(&wanted), 0);
	if (!span_eq(buf_span(&text), buf_span(&wanted)))
		fail_msg("docs/refusals.md differs from the table: build/slapenir refusals > docs/refusals.md");
	buf_deinit(&wanted);
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages__of_each_kind__are_counted_and_have_their_line),
		cmocka_unit_test(near_miss__is_found__far_word_is_not),
		cmocka_unit_test(refusal__as_json__is_an_object_without_what_is_unknown),
		cmocka_unit_test(each_refusal__has_its_status),
		cmocka_unit_test(docs_refusals__is_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
