/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../random.h"
#include "ac.h"

static const struct ac *build(struct secret_arena *arena, const struct span *patterns, size_t count)
{
	const char *why = NULL;
	const struct ac *a = ac_new(arena, patterns, count, &why);

	if (!a)
		fail_msg("%s", why);
	return a;
}

/* All that ends behind each byte, longest first, the first number of equal ones: found by looking. */
static void check(const struct ac *a, const struct span *patterns, size_t count, struct span text)
{
	uint32_t state = AC_ROOT;
	size_t end, i, len;

	for (end = 1; end <= text.len; end++) {
		uint32_t at;
		size_t depth = 0;

		state = ac_step(a, state, text.p[end - 1]);
		at = state;
		for (len = a->longest; len; len--) {
			for (i = 0; i < count; i++)
				if (patterns[i].len == len && len <= end && memcmp(text.p + end - len, patterns[i].p, len) == 0)
					break;
			if (i < count)
				assert_int_equal(ac_next_pattern(a, &at), i);
		}
		assert_int_equal(ac_next_pattern(a, &at), AC_NO_PATTERN);
		for (i = 0; i < count; i++)
			for (len = patterns[i].len; len > depth; len--)
				if (len <= end && memcmp(text.p + end - len, patterns[i].p, len) == 0)
					depth = len;
		assert_int_equal(ac_depth(a, state), depth);
	}
}

static void patterns__within_one_another__are_all_reported(void **unused)
{
	const struct span patterns[] = {span_str("he"), span_str("she"), span_str("his"), span_str("hers"), span_str("ushers"), span_str("s"), span_str("he")};
	struct secret_arena *arena = secret_arena_new(1 << 20);
	const struct ac *a = build(arena, patterns, 7);

	(void)unused;
	check(a, patterns, 7, span_str("ushers his hhehers shushers"));
	secret_arena_free(arena);
}

static void random_sets__random_texts__equal_looking(void **unused)
{
	static const char letters[] = "aab\xff";
	unsigned round, i, j;

	(void)unused;
	for (round = 0; round < 400; round++) {
		struct secret_arena *arena = secret_arena_new(1 << 20);
		unsigned count = 1 + below(20), n = 1 + below(300);
		static uint8_t bytes[20][40], text[300];
		struct span patterns[20];

		for (i = 0; i < count; i++) {
			patterns[i] = span_of(bytes[i], 1 + below(i % 3 ? 8 : 39));
			for (j = 0; j < patterns[i].len; j++)
				bytes[i][j] = (uint8_t)letters[below(4)];
		}
		for (j = 0; j < n; j++)
			text[j] = (uint8_t)letters[below(4)];
		check(build(arena, patterns, count), patterns, count, span_of(text, n));
		secret_arena_free(arena);
	}
}

/* Each state fails to one of another pattern, at any depth, before or behind it in order. */
static void suffixes_of_one_text__any_order__equal_looking(void **unused)
{
	static uint8_t text[40];
	struct span patterns[80];
	unsigned round, i;

	(void)unused;
	for (round = 0; round < 20; round++) {
		struct secret_arena *arena = secret_arena_new(1 << 20);

		for (i = 0; i < sizeof(text); i++)
			text[i] = (uint8_t)('a' + below(1 + round));
		for (i = 0; i < 80; i++) {
			size_t begin = below(sizeof(text));

			patterns[i] = span_of(text + begin, i % 2 ? sizeof(text) - begin : 1 + below((unsigned)(sizeof(text) - begin)));
		}
		check(build(arena, patterns, 80), patterns, 80, span_of(text, sizeof(text)));
		secret_arena_free(arena);
	}
}

/* The bound: moves back are never more than moves forward, over the whole text. */
static void text_of_beginnings__any_length__takes_two_moves_per_byte(void **unused)
{
	struct secret_arena *arena = secret_arena_new(1 << 20);
	static uint8_t pattern[200], text[20000];
	const struct span patterns[] = {span_of(pattern, 200), span_of(pattern, 100)};
	size_t moves = 0, i;
	uint32_t state = AC_ROOT;
	const struct ac *a;

	(void)unused;
	memset(pattern, 'a', sizeof(pattern));
	pattern[199] = 'b';
	memset(text, 'a', sizeof(text));
	a = build(arena, patterns, 2);
	for (i = 0; i < sizeof(text); i++) {
		size_t before = ac_depth(a, state);

		state = ac_step(a, state, text[i]);
		moves += 1 + (before + 1 - ac_depth(a, state)); /* each fail makes it shallower by one at least */
	}
	assert_true(moves <= 2 * sizeof(text));
	secret_arena_free(arena);
}

static void ten_thousand_patterns__random__fit_sixteen_mebibytes(void **unused)
{
	enum { COUNT = 20000, LEN = 65 };
	struct secret_arena *arena = secret_arena_new(1 << 26);
	struct span *patterns = calloc(COUNT, sizeof(*patterns));
	uint8_t *bytes = malloc(COUNT * LEN);
	const struct ac *a;
	uint32_t state = AC_ROOT, at;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT * LEN; i++)
		bytes[i] = (uint8_t)('0' + below(62));
	for (i = 0; i < COUNT; i++)
		patterns[i] = span_of(bytes + i * LEN, LEN);
	a = build(arena, patterns, COUNT);
	assert_true(secret_arena_used(arena) < 16u << 20);
	for (i = 0; i < COUNT * LEN; i++) {
		state = ac_step(a, state, bytes[i]);
		at = state;
		if (i % LEN == LEN - 1)
			assert_int_equal(ac_next_pattern(a, &at), i / LEN);
	}
	free(bytes);
	free(patterns);
	secret_arena_free(arena);
}

static void arena__too_small__is_an_error(void **unused)
{
	static uint8_t pattern[100000];
	const struct span patterns[] = {span_of(pattern, sizeof(pattern))};
	struct secret_arena *arena = secret_arena_new(8192);
	const char *why = NULL;

	(void)unused;
	assert_null(ac_new(arena, patterns, 1, &why));
	assert_non_null(why);
	secret_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns__within_one_another__are_all_reported),
		cmocka_unit_test(random_sets__random_texts__equal_looking),
		cmocka_unit_test(suffixes_of_one_text__any_order__equal_looking),
		cmocka_unit_test(text_of_beginnings__any_length__takes_two_moves_per_byte),
		cmocka_unit_test(ten_thousand_patterns__random__fit_sixteen_mebibytes),
		cmocka_unit_test(arena__too_small__is_an_error),
	};

	return cmocka_run_group_tests_name("ac", tests, NULL, NULL);
}
