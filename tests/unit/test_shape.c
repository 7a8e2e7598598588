/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shape.h"
#include "token_formats.h"

static struct shape shape(const char *value, const char *prefix, uint8_t *room)
{
	struct shape s;

	shape_of(&s, span_str(value), span_str(prefix), room);
	return s;
}

static void shape__known_prefix_and_dashes__are_public(void **state)
{
	uint8_t room[64];
	struct shape s = shape("sk-proj-ab-CD9", "", room);

	(void)state;
	assert_int_equal(s.alphabet, SHAPE_ALNUM);
	assert_int_equal(s.prefix_length, 8);
	assert_memory_equal(room, "sk-proj-\0\0-\0\0\0", 14);
}

static void shape__smallest_alphabet_that_holds_all__is_taken(void **state)
{
	static const struct {
		const char *value;
		enum shape_alphabet alphabet;
	} cases[] = {{"12-34", SHAPE_DIGIT}, {"12ab", SHAPE_HEX_LOWER}, {"12AB", SHAPE_HEX_UPPER}, {"12xy", SHAPE_LOWER},
	             {"12XY", SHAPE_UPPER}, {"aB12", SHAPE_ALNUM}};
	uint8_t room[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(shape(cases[i].value, "", room).alphabet, cases[i].alphabet);
}

static void shape__given_prefix__counts_only_if_the_value_has_it(void **state)
{
	uint8_t room[64];

	(void)state;
	assert_int_equal(shape("abcd1234", "abc", room).prefix_length, 3);
	assert_int_equal(shape("abcd1234", "xyz", room).prefix_length, 0);
}

static void prefix__of_the_table__longest_wins_and_never_the_whole_value(void **state)
{
	(void)state;
	assert_int_equal(token_prefix_length(span_str("sk-ant-api03-x")), 13);
	assert_int_equal(token_prefix_length(span_str("sk-ant-x")), 7);
	assert_int_equal(token_prefix_length(span_str("sk-")), 0);
}

static void lines__of_a_key_file__leave_the_armour_out(void **state)
{
	const char *pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END KEY-----";
	uint8_t room[128];
	struct shape whole = shape(pem, "", room), line;
	size_t at = 0, offset;

	(void)state;
	assert_true(shape_next_line(&whole, &at, &line, &offset));
	assert_int_equal(offset, 20);
	assert_int_equal(line.length, 20);
	assert_false(shape_next_line(&whole, &at, &line, &offset));
}

static struct shape_set *some_set(void)
{
	struct shape_set *s = shape_set_new();
	uint8_t room[64];
	struct shape a = shape("ghp_abcdef", "", room);

	assert_non_null(s);
	assert_int_equal(shape_set_add(s, &a), 0);
	assert_int_equal(shape_set_add(s, &a), 0);
	assert_int_equal(shape_set_add_literal(s, span_str("DUMMY_GITHUB")), 0);
	return s;
}

static void file__encoded__decodes_to_the_same(void **state)
{
	struct shape_file_header in = {.generation = {1, 2, 3}, .epoch = 77, .prefilter = true}, out;
	struct shape_set *s = some_set(), *t;
	struct buf one = {0}, two = {0};
	const char *why;

	(void)state;
	assert_int_equal(shape_set_count(s), 2);
	assert_int_equal(shape_set_encode(&one, s, &in), 0);
	t = shape_set_decode(buf_span(&one), &out, &why);
	assert_non_null(t);
	assert_memory_equal(in.generation, out.generation, 8);
	assert_true(out.epoch == 77 && out.prefilter);
	assert_int_equal(shape_set_encode(&two, t, &out), 0);
	assert_true(span_eq(buf_span(&one), buf_span(&two)));
	buf_deinit(&one);
	buf_deinit(&two);
	shape_set_free(s);
	shape_set_free(t);
}

static void file__any_byte_damaged_or_cut__is_refused(void **state)
{
	struct shape_file_header h = {.epoch = 1};
	struct shape_set *s = some_set();
	struct buf file = {0};
	const char *why;
	size_t i;

	(void)state;
	assert_int_equal(shape_set_encode(&file, s, &h), 0);
	for (i = 0; i < file.len; i++) {
		file.p[i] ^= 1;
		assert_null(shape_set_decode(buf_span(&file), &h, &why));
		assert_non_null(why);
		file.p[i] ^= 1;
		assert_null(shape_set_decode(span_of(file.p, i), &h, &why));
	}
	buf_deinit(&file);
	shape_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shape__known_prefix_and_dashes__are_public),
		cmocka_unit_test(shape__smallest_alphabet_that_holds_all__is_taken),
		cmocka_unit_test(shape__given_prefix__counts_only_if_the_value_has_it),
		cmocka_unit_test(prefix__of_the_table__longest_wins_and_never_the_whole_value),
		cmocka_unit_test(lines__of_a_key_file__leave_the_armour_out),
		cmocka_unit_test(file__encoded__decodes_to_the_same),
		cmocka_unit_test(file__any_byte_damaged_or_cut__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
