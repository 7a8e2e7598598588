/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "carry.h"
#include "spelling.h"

/* Units are read from exactly sized memory, so that a sanitizer sees a look behind the end. */
static unsigned units_of(const char *text, size_t len, struct unit *out, bool *partial)
{
	uint8_t *exact = malloc(len);
	unsigned n;

	memcpy(exact, text, len);
	*partial = false;
	n = spelling_units(exact, exact + len, out, partial);
	free(exact);
	return n;
}

static const struct {
	const char *text;
	uint8_t len, byte, kind;
} spelled[] = {
	{"\\\"", 2, '"', SPELLING_JSON}, {"\\/x", 2, '/', SPELLING_JSON}, {"\\n", 2, '\n', SPELLING_JSON},
	{"\\u0041", 6, 'A', SPELLING_JSON}, {"\\u007a", 6, 'z', SPELLING_JSON}, {"\\u007A", 6, 'z', SPELLING_JSON},
	{"%41", 3, 'A', SPELLING_PERCENT}, {"%2b", 3, '+', SPELLING_PERCENT}, {"%e9", 3, 0xe9, SPELLING_PERCENT},
	{"&#65;", 5, 'A', SPELLING_HTML}, {"&#00065;", 8, 'A', SPELLING_HTML}, {"&#x41;", 6, 'A', SPELLING_HTML},
	{"&#X0041;", 8, 'A', SPELLING_HTML}, {"&amp;", 5, '&', SPELLING_HTML}, {"&quot;", 6, '"', SPELLING_HTML},
	{"+", 1, ' ', SPELLING_PLUS},
	{"\\\\u0041", 7, 'A', SPELLING_JSON}, {"\\\\\\\"", 4, '"', SPELLING_JSON}, {"\\\\n", 3, '\n', SPELLING_JSON},
	{"%2541", 5, 'A', SPELLING_PERCENT}, {"%25%34%31", 9, 'A', SPELLING_PERCENT}, {"%5Cu0041", 8, 'A', SPELLING_JSON | SPELLING_PERCENT},
	{"\\&quot;", 7, '"', SPELLING_JSON | SPELLING_HTML}, {"\\u0026#65;", 10, 'A', SPELLING_JSON | SPELLING_HTML},
	{"&amp;#65;", 9, 'A', SPELLING_HTML}, {"%26%2365%3B", 11, 'A', SPELLING_PERCENT | SPELLING_HTML},
};

static void every_spelling__whole__is_its_byte(void **state)
{
	struct unit u[SPELLING_UNITS_AT];
	bool partial, found;
	unsigned n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++) {
		n = units_of(spelled[i].text, strlen(spelled[i].text), u, &partial);
		for (found = false; n--;)
			found |= u[n].len == spelled[i].len && u[n].byte == spelled[i].byte && u[n].kind == spelled[i].kind;
		if (!found)
			fail_msg("%s", spelled[i].text);
	}
}

static void every_spelling__cut_anywhere__is_partial(void **state)
{
	struct unit u[SPELLING_UNITS_AT];
	bool partial;
	size_t i, cut;

	(void)state;
	for (i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++)
		for (cut = 1; cut < spelled[i].len; cut++) {
			units_of(spelled[i].text, cut, u, &partial);
			if (!partial)
				fail_msg("%.*s", (int)cut, spelled[i].text);
		}
}

static void no_spelling__is_none(void **state)
{
	static const char *const none[] = {
		"\\x41", "\\u0141", "\\u0000", "\\u00g1", "%4g", "%00", "&#;", "&#x;", "&#256;", "&#0000065;", "&#x100041;", "&nbsp;", "a", "&#6a;", "%25g1", "&#128;",
	};
	struct unit u[SPELLING_UNITS_AT];
	bool partial;
	unsigned n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		n = units_of(none[i], strlen(none[i]), u, &partial);
		if (partial || (n && !(n == 1 && u[0].byte == '%'))) /* %25 is a percent sign whatever follows */
			fail_msg("%s", none[i]);
	}
}

static void utf16__both_orders__is_a_unit_of_two(void **state)
{
	struct unit u[SPELLING_UNITS_AT];
	bool partial;

	(void)state;
	assert_int_equal(units_of("A\0", 2, u, &partial), 1);
	assert_int_equal(u[0].byte, 'A');
	assert_int_equal(units_of("\0A", 2, u, &partial), 1);
	assert_int_equal(u[0].byte, 'A');
	assert_int_equal(units_of("\0\0", 2, u, &partial), 0);
	assert_int_equal(units_of("\0", 1, u, &partial), 0);
	assert_true(partial);
}

/* Every unit, every byte: what is written is read as that byte, is as long, and shows nothing of what stood there. */
static void respell__every_byte_into_every_unit__reads_back(void **state)
{
	struct unit u[SPELLING_UNITS_AT], again[SPELLING_UNITS_AT];
	bool partial;
	unsigned byte, n, m;
	uint8_t room[SPELLING_UNIT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++) {
		n = units_of(spelled[i].text, strlen(spelled[i].text), u, &partial);
		while (u[n - 1].len != spelled[i].len)
			n--;
		for (byte = 1; byte < 128; byte++) {
			memcpy(room, spelled[i].text, u[n - 1].len);
			if (!spelling_respell(room, &u[n - 1], (uint8_t)byte)) {
				assert_memory_equal(room, spelled[i].text, u[n - 1].len);
				continue;
			}
			m = units_of((const char *)room, u[n - 1].len, again, &partial);
			while (m && (again[m - 1].len != u[n - 1].len || again[m - 1].byte != byte || again[m - 1].kind != u[n - 1].kind))
				m--;
			if (!m)
				fail_msg("%s as %02x: %.*s", spelled[i].text, byte, u[n - 1].len, room);
		}
	}
}

static void respell__hex_digits__have_one_case(void **state)
{
	static const char *const pairs[][2] = {{"\\u004A", "\\u004a"}, {"%4a", "%4A"}, {"&#x4A;", "&#x4a;"}, {"\\\\u004A", "\\\\u004a"}, {"%254a", "%254A"}};
	struct unit u[SPELLING_UNITS_AT];
	uint8_t room[SPELLING_UNIT_MAX];
	bool partial;
	unsigned n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		n = units_of(pairs[i][0], strlen(pairs[i][0]), u, &partial);
		memcpy(room, pairs[i][0], u[n - 1].len);
		assert_true(spelling_respell(room, &u[n - 1], 'J'));
		assert_memory_equal(room, pairs[i][1], u[n - 1].len);
	}
}

static void respell__a_letter_that_has_no_room__is_refused(void **state)
{
	struct unit slash = {.byte = '/', .len = 2, .kind = SPELLING_JSON}, two = {.byte = 'A', .len = 5, .kind = SPELLING_HTML};
	uint8_t escaped[] = "\\/", decimal[] = "&#65;";

	(void)state;
	assert_false(spelling_respell(escaped, &slash, 'a'));
	assert_false(spelling_respell(decimal, &two, 'd'));
	assert_true(spelling_respell(decimal, &two, 'c'));
	assert_string_equal((char *)decimal, "&#99;");
}

static void wrap__every_break__has_its_length(void **state)
{
	static const char *const breaks[] = {"\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "\\\\r\\\\n"};
	bool partial;
	size_t i, cut;

	(void)state;
	for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		const uint8_t *p = (const uint8_t *)breaks[i];

		partial = false;
		assert_int_equal(spelling_wrap(p, p + strlen(breaks[i]), &partial), strlen(breaks[i]));
		for (cut = 1; cut < strlen(breaks[i]); cut++) {
			partial = false;
			assert_int_equal(spelling_wrap(p, p + cut, &partial), 0);
			assert_true(partial);
		}
	}
}

static void line__counted_in_pieces__equals_the_whole(void **state)
{
	static const char text[] = "abc def+/ABC%2B0123456789012345678901234567890123456789\nabc \\u0041bcdefghijkl";
	size_t cut, at, len = sizeof(text) - 1;

	(void)state;
	for (cut = 0; cut <= len; cut++)
		for (at = cut; at <= len; at++) {
			unsigned before = carry_line_at(span_of(text, len), cut, 0);

			assert_int_equal(carry_line_at(span_of(text + cut, len - cut), at - cut, before), carry_line_at(span_of(text, len), at, 0));
		}
	assert_int_equal(carry_line_at(span_of(text, len), 3, 0), 3);
	assert_int_equal(carry_line_at(span_of(text, len), 4, 0), 0);
}

static void carry__of_others__is_refused(void **state)
{
	static const uint8_t bad[][4] = {{4}, {1, 0, 0, 0}, {1, 0, 3, 0}, {1, 0, 2, 4}, {0, 41}, {0, 0, 2, 1}};
	struct carry c;
	uint8_t bytes[CARRY_MAX] = {0}, back[CARRY_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(carry_decode(&c, bad[i], 4), -1);
	bytes[15] = 1;
	assert_int_equal(carry_decode(&c, bytes, 16), -1);
	bytes[15] = 0;
	bytes[0] = CARRY_F_DECIDED;
	bytes[1] = 17;
	bytes[2] = 4;
	bytes[3] = 13;
	assert_int_equal(carry_decode(&c, bytes, 16), 0);
	assert_int_equal(carry_encode(&c, back), 4);
	assert_memory_equal(back, bytes, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling__whole__is_its_byte),
		cmocka_unit_test(every_spelling__cut_anywhere__is_partial),
		cmocka_unit_test(no_spelling__is_none),
		cmocka_unit_test(utf16__both_orders__is_a_unit_of_two),
		cmocka_unit_test(respell__every_byte_into_every_unit__reads_back),
		cmocka_unit_test(respell__hex_digits__have_one_case),
		cmocka_unit_test(respell__a_letter_that_has_no_room__is_refused),
		cmocka_unit_test(wrap__every_break__has_its_length),
		cmocka_unit_test(line__counted_in_pieces__equals_the_whole),
		cmocka_unit_test(carry__of_others__is_refused),
	};

	return cmocka_run_group_tests_name("spelling", tests, NULL, NULL);
}
