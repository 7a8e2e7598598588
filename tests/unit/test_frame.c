/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frame.h"

/* The numbers at the borders of the encoding, with the lengths that HAProxy's doc/SPOE.txt gives. */
static const struct {
	uint64_t value;
	size_t bytes;
} numbers[] = {
	{0, 1},          {239, 1},         {240, 2},          {2287, 2},        {2288, 3},
	{264431, 3},     {264432, 4},      {33818863, 4},     {33818864, 5},    {4328786159, 5},
	{4328786160, 6}, {UINT32_MAX, 5},  {INT64_MAX, 10},   {UINT64_MAX, 10},
};

static void number__each_length__comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct spop_value in = {.type = SPOP_UINT64, .u = numbers[i].value}, out;
		struct buf b = {0};
		struct span rest, name;

		assert_int_equal(frame_kv(&b, "", &in), 0);
		assert_int_equal(b.len, 2 + numbers[i].bytes); /* empty name, type */
		rest = buf_span(&b);
		assert_int_equal(frame_next_arg(&name, &out, &rest), 1);
		assert_true(out.u == numbers[i].value);
		assert_int_equal(rest.len, 0);
		buf_deinit(&b);
	}
}

static void number__beyond_64_bits__is_refused(void **state)
{
	static const uint8_t endless[] = {0, SPOP_UINT64, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0};
	static const uint8_t too_big[] = {0, SPOP_UINT64, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127};
	struct spop_value v;
	struct span name, rest = span_of(endless, sizeof(endless));

	(void)state;
	assert_int_equal(frame_next_arg(&name, &v, &rest), -1);
	rest = span_of(too_big, sizeof(too_big));
	assert_int_equal(frame_next_arg(&name, &v, &rest), -1);
}

static size_t sample(struct buf *b)
{
	struct spop_value values[] = {
		{.type = SPOP_NULL},
		{.type = SPOP_BOOL, .b = true},
		{.type = SPOP_BOOL},
		{.type = SPOP_INT32, .u = (uint64_t)-5},
		{.type = SPOP_IPV4, .bytes = span_of("\x7f\0\0\1", 4)},
		{.type = SPOP_IPV6, .bytes = span_of("0123456789abcdef", 16)},
		{.type = SPOP_STR, .bytes = span_of("text", 4)},
		{.type = SPOP_BIN, .bytes = span_of("\0\1\2", 3)},
	};
	size_t count = sizeof(values) / sizeof(values[0]);

	for (size_t i = 0; i < count; i++)
		assert_int_equal(frame_kv(b, "name", &values[i]), 0);
	return count;
}

static void value__each_type__comes_back(void **state)
{
	struct buf b = {0};
	struct spop_value v[8];
	struct span rest, name;
	size_t count = sample(&b);

	(void)state;
	rest = buf_span(&b);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(frame_next_arg(&name, &v[i], &rest), 1);
		assert_true(span_is(name, "name"));
	}
	assert_int_equal(frame_next_arg(&name, &v[0], &rest), 0);
	assert_true(v[1].b);
	assert_false(v[2].b);
	assert_true(v[3].u == (uint64_t)-5);
	assert_int_equal(v[4].bytes.p[0], 127);
	assert_int_equal(v[5].bytes.len, 16);
	assert_true(span_is(v[6].bytes, "text"));
	assert_int_equal(v[7].bytes.p[2], 2);
	buf_deinit(&b);
}

/* The copy is exactly as long as what is given, so that the sanitizer sees a read past it. */
static void arguments__cut_anywhere__never_read_past_the_end(void **state)
{
	struct buf b = {0};

	(void)state;
	sample(&b);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);
		struct span name, rest = span_of(copy, len);
		struct spop_value v;
		int more;

		memcpy(copy, b.p, len);
		while ((more = frame_next_arg(&name, &v, &rest)) > 0)
			;
		free(copy);
		assert_true(more <= 0);
	}
	buf_deinit(&b);
}

static void frame__encoded__decodes_to_the_same(void **state)
{
	struct spop_value v = {.type = SPOP_BIN, .bytes = span_of("abc", 3)};
	struct buf b = {0};
	struct frame f;
	size_t mark;

	(void)state;
	assert_int_equal(buf_append(&b, "before", 6), 0);
	assert_int_equal(frame_begin(&b, &mark, FRAME_ACK, 1234567, 89), 0);
	assert_int_equal(frame_set_var(&b, SPOP_TXN, "answer", &v), 0);
	assert_int_equal(frame_end(&b, mark), 0);
	assert_int_equal(b.p[mark + 3], b.len - mark - 4);
	assert_int_equal(frame_decode(&f, span_of(b.p + mark + 4, b.len - mark - 4)), 0);
	assert_int_equal(f.type, FRAME_ACK);
	assert_int_equal(f.flags, FRAME_FIN);
	assert_true(f.stream_id == 1234567 && f.frame_id == 89);
	/* set-var: 1, three arguments, scope 2 = txn, name, type and bytes */
	assert_memory_equal(f.payload.p, "\x01\x03\x02\x06" "answer\x09\x03" "abc", f.payload.len);
	buf_deinit(&b);
}

static void frame__unknown_type_or_short__is_refused(void **state)
{
	uint8_t bytes[] = {FRAME_NOTIFY, 0, 0, 0, 1, 0, 0};
	struct frame f;

	(void)state;
	assert_int_equal(frame_decode(&f, span_of(bytes, sizeof(bytes))), 0);
	for (size_t len = 0; len < sizeof(bytes); len++)
		assert_int_equal(frame_decode(&f, span_of(bytes, len)), -1);
	for (unsigned type = 0; type < 256; type++) {
		bool known = (type >= 1 && type <= 3) || (type >= 101 && type <= 103);

		bytes[0] = (uint8_t)type;
		assert_int_equal(frame_decode(&f, span_of(bytes, sizeof(bytes))), known ? 0 : -1);
	}
}

static void encoder__out_of_room__leaves_the_buffer_as_it_was(void **state)
{
	struct spop_value v = {.type = SPOP_BIN, .bytes = span_of("0123456789", 10)};
	struct buf b = {.limit = 16};
	size_t mark;

	(void)state;
	assert_int_equal(frame_begin(&b, &mark, FRAME_ACK, 1, 1), 0);
	assert_int_equal(b.len, 11);
	assert_int_equal(frame_set_var(&b, SPOP_TXN, "answer", &v), -1);
	assert_int_equal(frame_kv(&b, "k", &v), -1);
	assert_int_equal(b.len, 11);
	assert_int_equal(frame_begin(&b, &mark, FRAME_ACK, 1, 1), -1);
	assert_int_equal(b.len, 11);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number__each_length__comes_back),
		cmocka_unit_test(number__beyond_64_bits__is_refused),
		cmocka_unit_test(value__each_type__comes_back),
		cmocka_unit_test(arguments__cut_anywhere__never_read_past_the_end),
		cmocka_unit_test(frame__encoded__decodes_to_the_same),
		cmocka_unit_test(frame__unknown_type_or_short__is_refused),
		cmocka_unit_test(encoder__out_of_room__leaves_the_buffer_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
