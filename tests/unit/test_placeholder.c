/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "placeholder.h"

static const uint8_t key[KEY_BYTES] = {7};

/* Is either in the other? */
static bool overlap(struct span a, struct span b)
{
	return a.len >= b.len ? memmem(a.p, a.len, b.p, b.len) != NULL : memmem(b.p, b.len, a.p, a.len) != NULL;
}

static void made__same_key_name_and_shape__is_the_same_and_no_function_of_the_value(void **state)
{
	uint8_t room[2][32], made[3][32];
	struct shape a, b;

	(void)state;
	shape_of(&a, span_str("ghp_aB3dE6gH9"), span_of(NULL, 0), room[0]);
	shape_of(&b, span_str("ghp_zZ1yX2wV8"), span_of(NULL, 0), room[1]);
	assert_int_equal(placeholder_make(made[0], key, span_str("TOKEN"), &a, 0), 0);
	assert_int_equal(placeholder_make(made[1], key, span_str("TOKEN"), &b, 0), 0);
	assert_int_equal(placeholder_make(made[2], key, span_str("OTHER"), &a, 0), 0);
	assert_memory_equal(made[0], made[1], a.length);
	assert_memory_not_equal(made[0], made[2], a.length);
}

static void made__every_byte__is_public_or_has_a_code_point_of_two_digits(void **state)
{
	uint8_t room[64], made[64];
	struct shape s;

	(void)state;
	shape_of(&s, span_str("xoxb-abcDEF123456789012345678"), span_of(NULL, 0), room);
	assert_int_equal(placeholder_make(made, key, span_str("T"), &s, 0), 0);
	for (size_t i = 0; i < s.length; i++)
		assert_true(room[i] ? made[i] == room[i] : made[i] <= 99 && shape_alphabet_has(s.alphabet, made[i]));
}

/* Two digits: placeholders would often meet another's value if nobody looked. */
static void made_all__crowded__none_equals_or_lies_in_another(void **state)
{
	enum { N = 40 };
	struct placeholder_entry e[N];
	uint8_t room[N][4], made[N][4];
	char value[N][4], name[N][4];
	size_t culprit, i, k;

	(void)state;
	for (i = 0; i < N; i++) {
		value[i][0] = (char)('0' + i / 10);
		value[i][1] = (char)('0' + i % 10);
		name[i][0] = (char)('A' + i);
		e[i] = (struct placeholder_entry){.name = span_of(name[i], 1), .value = span_of(value[i], 2), .made = made[i]};
		shape_of(&e[i].shape, e[i].value, span_of(NULL, 0), room[i]);
	}
	assert_int_equal(placeholder_make_all(key, e, N, &culprit), 0);
	for (i = 0; i < N; i++)
		for (k = 0; k < N; k++) {
			assert_false(overlap(span_of(made[i], 2), e[k].value));
			assert_true(i == k || !overlap(span_of(made[i], 2), span_of(made[k], 2)));
		}
}

static void made_all__nothing_free__names_the_culprit(void **state)
{
	struct placeholder_entry e = {.name = span_str("A"), .value = span_str("----")};
	uint8_t room[4], made[4];
	size_t culprit;

	(void)state;
	e.made = made;
	shape_of(&e.shape, e.value, span_of(NULL, 0), room);
	assert_int_equal(placeholder_make_all(key, &e, 1, &culprit), 1);
	assert_int_equal(culprit, 0);
}

static void guess__random_and_repeated__differ(void **state)
{
	uint8_t room[64];
	struct shape s;

	(void)state;
	shape_of(&s, span_str("q7Zk29XmPw4TbR81"), span_of(NULL, 0), room);
	assert_true(placeholder_guess_bits(&s, span_str("q7Zk29XmPw4TbR81")) >= PLACEHOLDER_WEAK_BITS);
	assert_true(placeholder_guess_bits(&s, span_str("aaaaaaaaaaaaaaaa")) < PLACEHOLDER_WEAK_BITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made__same_key_name_and_shape__is_the_same_and_no_function_of_the_value),
		cmocka_unit_test(made__every_byte__is_public_or_has_a_code_point_of_two_digits),
		cmocka_unit_test(made_all__crowded__none_equals_or_lies_in_another),
		cmocka_unit_test(made_all__nothing_free__names_the_culprit),
		cmocka_unit_test(guess__random_and_repeated__differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
