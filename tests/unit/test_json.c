/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json.h"

static void string__each_kind_of_byte__is_valid_json(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\n\x01\x7f", "\"\\u000a\\u0001\\u007f\""},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
		{"\x80", "\"\xef\xbf\xbd\""},
		{"\xc3", "\"\xef\xbf\xbd\""},                     /* cut */
		{"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},     /* overlong */
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
		{"\xf5\x80\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xf0\x80\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = {0};

		assert_int_equal(json_string(&b, span_str(cases[i].in)), 0);
		assert_true(span_is(buf_span(&b), cases[i].out));
		buf_deinit(&b);
	}
}

static void string__written__unescapes_to_itself(void **state)
{
	uint8_t all[127];
	struct buf b = {0}, back = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i + 1);
	assert_int_equal(json_string(&b, span_of(all, sizeof(all))), 0);
	assert_int_equal(json_unescape(&back, span_of(b.p + 1, b.len - 2)), 0);
	assert_true(span_eq(buf_span(&back), span_of(all, sizeof(all))));
	buf_deinit(&b);
	buf_deinit(&back);
}

static void unescape__each_escape__is_understood(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"}, {"\\u0041", "A"},      {"\\u00e9", "\xc3\xa9"},
		{"\\u20AC", "\xe2\x82\xac"},                       {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
		{"\\ud83d", "\xef\xbf\xbd"},                       {"\\ude00x", "\xef\xbf\xbdx"},
	};
	static const char *const bad[] = {"\\", "\\x", "\\u", "\\u12", "\\u12g4"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = {0};

		assert_int_equal(json_unescape(&b, span_str(cases[i].in)), 0);
		assert_true(span_is(buf_span(&b), cases[i].out));
		buf_deinit(&b);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf b = {0};

		assert_int_equal(json_unescape(&b, span_str(bad[i])), -1);
		buf_deinit(&b);
	}
}

static void object__flat__gives_its_members(void **state)
{
	struct span rest = span_str(" { \"a\" : \"x\\\"y\", \"b\":12 , \"c\":true } ");
	struct json_member m;

	(void)state;
	assert_int_equal(json_next(&m, &rest), 1);
	assert_true(span_is(m.key, "a") && span_is(m.value, "x\\\"y") && m.is_string);
	assert_int_equal(json_next(&m, &rest), 1);
	assert_true(span_is(m.key, "b") && span_is(m.value, "12") && !m.is_string);
	assert_int_equal(json_next(&m, &rest), 1);
	assert_true(span_is(m.key, "c") && span_is(m.value, "true"));
	assert_int_equal(json_next(&m, &rest), 0);
}

static void object__malformed_or_cut__is_refused(void **state)
{
	static const char whole[] = "{\"a\":\"b\",\"c\":1}";
	static const char *const bad[] = {"", "x", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":1 \"b\":2}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span rest = span_str(bad[i]);
		struct json_member m;
		int more;

		while ((more = json_next(&m, &rest)) > 0)
			;
		assert_int_equal(more, -1);
	}
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char *copy = malloc(len ? len : 1);
		struct span rest = span_of(copy, len);
		struct json_member m;
		int more;

		memcpy(copy, whole, len);
		while ((more = json_next(&m, &rest)) > 0)
			;
		free(copy);
		assert_int_equal(more, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(string__each_kind_of_byte__is_valid_json),
		cmocka_unit_test(string__written__unescapes_to_itself),
		cmocka_unit_test(unescape__each_escape__is_understood),
		cmocka_unit_test(object__flat__gives_its_members),
		cmocka_unit_test(object__malformed_or_cut__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
