/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hostname.h"

static const char *parse(struct hostname *h, const char *text, bool wildcard)
{
	const char *why = NULL;

	if (hostname_parse(h, span_str(text), 443, wildcard, &why) == 0)
		return NULL;
	assert_non_null(why);
	return why;
}

static void name__in_any_writing__has_one_canonical_form(void **state)
{
	static const char *const cases[][2] = {
		{"api.openai.com", "api.openai.com:443"},
		{"API.OpenAI.com", "api.openai.com:443"},
		{"api.openai.com.", "api.openai.com:443"},
		{"API.OPENAI.COM.:8443", "api.openai.com:8443"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example:443"},
		{"a_b.example.com:1", "a_b.example.com:1"},
		{"localhost:65535", "localhost:65535"},
		{"1.2.3.4.example", "1.2.3.4.example:443"},
	};
	struct hostname h;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(parse(&h, cases[i][0], false));
		assert_string_equal(h.text, cases[i][1]);
	}
}

static void text__that_names_no_host__is_refused(void **state)
{
	static const char *const cases[] = {
		"", ".", "..", "a..b", ".a", "-a.com", "a-.com", "a b.com", "a.com:", "a.com:0", "a.com:65536", "a.com:08", "a.com:8x", "a.com:99999999",
		"https://a.com", "a.com/x", "a@b.com", "b\xc3\xbc" "cher.example", "*.example.com", "a*.example.com", "a.com:1:2", "a\r\n.com",
	};
	struct hostname h;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!parse(&h, cases[i], false))
			fail_msg("\"%s\" was taken", cases[i]);
}

static void address__in_any_notation__is_no_name(void **state)
{
	static const char *const cases[] = {
		"127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "1.2.3.0x4", "0", "[::1]", "[::1]:443", "::1",
		"::ffff:127.0.0.1", "fe80::1%25eth0", "169.254.169.254:80", "1.1", "0X7F.1", "127.0.0.1:443",
	};
	struct hostname h;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!parse(&h, cases[i], true))
			fail_msg("\"%s\" was taken", cases[i]);
}

static void nul_byte__in_a_name__is_refused(void **state)
{
	const char *why;
	struct hostname h;

	(void)state;
	assert_int_equal(hostname_parse(&h, span_of("good.com\0.evil.com", 18), 443, false, &why), -1);
}

static void longest_name__with_longest_port__fits(void **state)
{
	char text[HOSTNAME_MAX + 8];
	struct hostname h;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	strcpy(text + 253, ":65535");
	assert_null(parse(&h, text, false));
	assert_string_equal(h.text, text);
	strcpy(text + 253, "a:65535");
	assert_non_null(parse(&h, text, false));
	memset(text, 'a', 64);
	strcpy(text + 64, ".com");
	assert_non_null(parse(&h, text, false));
	strcpy(text + 63, ".com");
	assert_null(parse(&h, text, false));
}

static void wildcard__is_one_label_with_two_behind(void **state)
{
	struct hostname h, w;

	(void)state;
	assert_null(parse(&h, "*.GitHubUserContent.com", true));
	assert_true(h.wildcard);
	assert_string_equal(h.text, "*.githubusercontent.com:443");
	assert_non_null(parse(&h, "*.com", true));
	assert_non_null(parse(&h, "*", true));
	assert_non_null(parse(&h, "*.*.example.com", true));
	assert_non_null(parse(&h, "x.*.example.com", true));
	assert_null(parse(&h, "raw.githubusercontent.com:8443", true));
	assert_true(hostname_wildcard(&h, &w));
	assert_string_equal(w.text, "*.githubusercontent.com:8443");
	assert_int_equal(w.name_length, strlen("*.githubusercontent.com"));
	assert_null(parse(&h, "localhost", true));
	assert_false(hostname_wildcard(&h, &w));
}

static void connect__takes_addresses_only(void **state)
{
	(void)state;
	assert_true(hostname_is_address("127.0.0.1:9444"));
	assert_true(hostname_is_address("[::1]:9444"));
	assert_false(hostname_is_address("localhost:9444"));
	assert_false(hostname_is_address("127.0.0.1"));
	assert_false(hostname_is_address("127.0.0.1:0"));
	assert_false(hostname_is_address("::1:9444"));
	assert_false(hostname_is_address("127.1:80"));
	assert_false(hostname_is_address(":80"));
	assert_false(hostname_is_address(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name__in_any_writing__has_one_canonical_form),
		cmocka_unit_test(text__that_names_no_host__is_refused),
		cmocka_unit_test(address__in_any_notation__is_no_name),
		cmocka_unit_test(nul_byte__in_a_name__is_refused),
		cmocka_unit_test(longest_name__with_longest_port__fits),
		cmocka_unit_test(wildcard__is_one_label_with_two_behind),
		cmocka_unit_test(connect__takes_addresses_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
