/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exchange.h"

static const uint8_t big[UINT16_MAX + 1];

/* A copy of its own size: reading past it is seen by ASan. */
static struct span exact(struct span s)
{
	uint8_t *p = malloc(s.len ? s.len : 1);

	assert_non_null(p);
	if (s.len)
		memcpy(p, s.p, s.len);
	return span_of(p, s.len);
}

static void drop(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

static void expect_fields(struct head *h, const char *const *pairs)
{
	struct head_field f;

	for (; *pairs; pairs += 2) {
		assert_int_equal(head_next_field(&f, &h->fields), 1);
		assert_true(span_is(f.name, pairs[0]));
		assert_true(span_is(f.value, pairs[1]));
	}
	assert_int_equal(head_next_field(&f, &h->fields), 0);
}

static void request_head__with_repeats_and_empty_values__comes_back(void **state)
{
	static const char *const fields[] = {"host", "a", "x", "", "x", "1", NULL};
	struct buf b = {0};
	struct head h;

	(void)state;
	assert_int_equal(head_encode_request(&b, span_str("GET"), span_str("/a?b"), 1, 1), 0);
	for (size_t i = 0; fields[i]; i += 2)
		assert_int_equal(head_encode_field(&b, span_str(fields[i]), span_str(fields[i + 1])), 0);
	assert_int_equal(head_decode(&h, buf_span(&b)), 0);
	assert_int_equal(h.kind, HEAD_REQUEST);
	assert_true(span_is(h.method, "GET") && span_is(h.uri, "/a?b"));
	assert_int_equal(h.major * 10 + h.minor, 11);
	expect_fields(&h, fields);
	buf_deinit(&b);
}

static void response_head_and_trailers__come_back(void **state)
{
	static const char *const fields[] = {"set-cookie", "a=b", NULL};
	struct buf b = {0};
	struct head h;

	(void)state;
	assert_int_equal(head_encode_response(&b, 404, 2, 0), 0);
	assert_int_equal(head_encode_field(&b, span_str("set-cookie"), span_str("a=b")), 0);
	assert_int_equal(head_decode(&h, buf_span(&b)), 0);
	assert_int_equal(h.status, 404);
	assert_int_equal(h.major, 2);
	expect_fields(&h, fields);
	buf_reset(&b);
	assert_int_equal(head_encode_trailers(&b), 0);
	assert_int_equal(head_encode_field(&b, span_str("set-cookie"), span_str("a=b")), 0);
	assert_int_equal(head_decode(&h, buf_span(&b)), 0);
	assert_int_equal(h.kind, HEAD_TRAILERS);
	expect_fields(&h, fields);
	buf_deinit(&b);
}

static void parts_too_long_for_their_length__are_refused_and_leave_nothing(void **state)
{
	struct span u8 = span_of(big, 256), u16 = span_of(big, sizeof(big)), ok = span_str("x");
	struct buf b = {0};
	struct edit e = {.op = EDIT_ADD, .name = ok, .value = u16};
	struct answer carry = {.carry = span_of(big, EXCHANGE_CARRY_MAX + 1)}, scope = {.scope = span_of(big, EXCHANGE_SCOPE_MAX + 1)};

	(void)state;
	assert_int_equal(head_encode_request(&b, u8, ok, 1, 1), -1);
	assert_int_equal(head_encode_request(&b, ok, u16, 1, 1), -1);
	assert_int_equal(head_encode_request(&b, span_str(""), ok, 1, 1), -1);
	assert_int_equal(head_encode_request(&b, ok, ok, 256, 1), -1);
	assert_int_equal(head_encode_response(&b, 99, 1, 1), -1);
	assert_int_equal(head_encode_response(&b, 1000, 1, 1), -1);
	assert_int_equal(head_encode_field(&b, u16, ok), -1);
	assert_int_equal(head_encode_field(&b, ok, u16), -1);
	assert_int_equal(head_encode_field(&b, span_str(""), ok), -1);
	assert_int_equal(edit_encode(&b, &e), -1);
	assert_int_equal(answer_encode(&b, &carry), -1);
	assert_int_equal(answer_encode(&b, &scope), -1);
	assert_int_equal(refusal_encode(&b, &(struct refusal_body){.status = 200, .code = ok}), -1);
	assert_int_equal(refusal_encode(&b, &(struct refusal_body){.status = 403, .code = u8}), -1);
	assert_int_equal(b.len, 0);
	buf_deinit(&b);
}

static void out_of_room__every_limit__leaves_the_buffer_as_it_was(void **state)
{
	struct edit e = {.op = EDIT_VALUE, .field = 3, .name = span_str("n"), .value = span_str("v")};
	struct answer a = {.seq = 1, .carry = span_str("c"), .scope = span_str("s"), .payload = span_str("pay")};

	(void)state;
	for (size_t limit = 1; limit < 64; limit++) {
		struct buf b = {.limit = limit};
		int fits = answer_encode(&b, &a);

		assert_int_equal(b.len, fits == 0 ? 29 + 5 : 0);
		buf_reset(&b);
		fits = edit_encode(&b, &e);
		assert_int_equal(b.len, fits == 0 ? 9 : 0);
		buf_deinit(&b);
	}
}

static size_t sample_answer(struct buf *out)
{
	struct buf edits = {0};
	struct answer a = {
		.verdict = ANSWER_PASS,
		.flags = ANSWER_F_PAYLOAD | ANSWER_F_CACHE,
		.seq = 0x01020304,
		.consumed = 7,
		.gen = "genera",
		.carry = span_str("carry"),
		.scope = span_str("scope"),
		.edit_count = 2,
		.payload = span_str("payload"),
	};

	assert_int_equal(edit_encode(&edits, &(struct edit){.op = EDIT_VALUE, .field = 3, .value = span_str("v")}), 0);
	assert_int_equal(edit_encode(&edits, &(struct edit){.op = EDIT_URI, .value = span_str("/u")}), 0);
	a.edits = buf_span(&edits);
	assert_int_equal(answer_encode(out, &a), 0);
	buf_deinit(&edits);
	return out->len;
}

static void answer__with_all_parts__comes_back(void **state)
{
	struct buf b = {0};
	struct answer a;
	struct edit e;

	(void)state;
	sample_answer(&b);
	assert_int_equal(answer_decode(&a, buf_span(&b)), 0);
	assert_int_equal(a.verdict, ANSWER_PASS);
	assert_int_equal(a.flags, ANSWER_F_PAYLOAD | ANSWER_F_CACHE);
	assert_int_equal(a.seq, 0x01020304);
	assert_int_equal(a.consumed, 7);
	assert_memory_equal(a.gen, "genera\0", 8);
	assert_true(span_is(a.carry, "carry") && span_is(a.scope, "scope") && span_is(a.payload, "payload"));
	assert_int_equal(answer_next_edit(&e, &a.edits), 1);
	assert_true(e.op == EDIT_VALUE && e.field == 3 && span_is(e.value, "v") && !e.name.len);
	assert_int_equal(answer_next_edit(&e, &a.edits), 1);
	assert_true(e.op == EDIT_URI && span_is(e.value, "/u"));
	assert_int_equal(answer_next_edit(&e, &a.edits), 0);
	buf_deinit(&b);
}

static void answer__cut_at_every_byte_or_with_one_more__is_refused(void **state)
{
	struct buf b = {0};
	size_t len = sample_answer(&b);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		struct span part = exact(span_of(b.p, i));

		assert_int_equal(answer_decode(&a, part), -1);
		drop(part);
	}
	assert_int_equal(buf_putc(&b, 0), 0);
	assert_int_equal(answer_decode(&a, buf_span(&b)), -1);
	buf_deinit(&b);
}

static void answer__each_byte_changed__is_refused_or_another_answer(void **state)
{
	struct buf b = {0};
	size_t len = sample_answer(&b);

	(void)state;
	for (size_t i = 0; i < len; i++)
		for (unsigned v = 0; v < 256; v++) {
			uint8_t old = b.p[i];
			struct span copy;
			struct answer a;

			b.p[i] = (uint8_t)v;
			copy = exact(buf_span(&b));
			if (answer_decode(&a, copy) == 0) {
				struct edit e;
				unsigned n = 0;

				assert_true(a.carry.len <= EXCHANGE_CARRY_MAX && a.scope.len <= EXCHANGE_SCOPE_MAX);
				while (answer_next_edit(&e, &a.edits) == 1)
					n++;
				assert_int_equal(n, a.edit_count);
			}
			drop(copy);
			b.p[i] = old;
		}
	buf_deinit(&b);
}

static void answer__of_another_version_or_with_unknown_flags__is_refused(void **state)
{
	struct buf b = {0};
	struct answer a;

	(void)state;
	sample_answer(&b);
	b.p[0] = EXCHANGE_VERSION + 1;
	assert_int_equal(answer_decode(&a, buf_span(&b)), -1);
	b.p[0] = EXCHANGE_VERSION;
	b.p[1] = ANSWER_CUT + 1;
	assert_int_equal(answer_decode(&a, buf_span(&b)), -1);
	b.p[1] = ANSWER_PASS;
	b.p[2] = 0x80;
	assert_int_equal(answer_decode(&a, buf_span(&b)), -1);
	buf_deinit(&b);
}

static void head__cut_at_every_byte__never_reads_past_it(void **state)
{
	struct buf b = {0};
	struct head_field f;
	struct head h;

	(void)state;
	assert_int_equal(head_encode_request(&b, span_str("POST"), span_str("/"), 1, 1), 0);
	assert_int_equal(head_encode_field(&b, span_str("a"), span_str("b")), 0);
	for (size_t i = 0; i < b.len; i++) {
		struct span part = exact(span_of(b.p, i));
		int more = head_decode(&h, part) < 0 ? -1 : 1;

		while (more == 1)
			more = head_next_field(&f, &h.fields);
		/* whole only where the fields begin, which is a head without any */
		assert_int_equal(more, i == b.len - 6 ? 0 : -1);
		drop(part);
	}
	buf_deinit(&b);
}

static void patches__of_any_change__restore_it(void **state)
{
	uint8_t before[5000], after[5000];
	struct buf b = {0};
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(before), changes = (size_t)rand_r(&seed) % 40;
		struct span rest;
		struct patch p;
		int more, rc;

		for (size_t i = 0; i < len; i++)
			before[i] = after[i] = (uint8_t)rand_r(&seed);
		for (size_t i = 0; i < changes && len; i++)
			after[(size_t)rand_r(&seed) % len]++;
		buf_reset(&b);
		rc = patches_encode(&b, span_of(before, len), span_of(after, len));
		assert_true(rc == 0 ? b.len <= len / 2 + 6 * changes : b.len == 0 && changes);
		rest = buf_span(&b);
		while (rc == 0 && (more = patch_next(&p, &rest, len)) != 0) {
			assert_int_equal(more, 1);
			memcpy(before + p.at, p.bytes.p, p.bytes.len);
		}
		assert_true(rc < 0 || memcmp(before, after, len) == 0);
	}
	buf_deinit(&b);
}

static void patches__cut_or_past_the_end__are_refused(void **state)
{
	static const uint8_t one[] = {0, 0, 0, 3, 0, 2, 'a', 'b'};
	struct patch p;

	(void)state;
	for (size_t i = 1; i <= sizeof(one); i++) {
		struct span part = exact(span_of(one, i)), rest = part;

		assert_int_equal(patch_next(&p, &rest, 5), i == sizeof(one) ? 1 : -1);
		rest = part;
		assert_int_equal(patch_next(&p, &rest, 4), -1);
		rest = part;
		assert_int_equal(patch_next(&p, &rest, 2), -1);
		drop(part);
	}
}

static void refusal__of_any_status__only_errors_come_back(void **state)
{
	struct refusal_body in = {.code = span_str("tripwire"), .json = span_str("{}")}, out;

	(void)state;
	for (unsigned status = 0; status < 1000; status++) {
		struct buf b = {0};
		bool error = status >= 400 && status <= 599;

		in.status = status;
		assert_int_equal(refusal_encode(&b, &in), error ? 0 : -1);
		if (error) {
			assert_int_equal(refusal_decode(&out, buf_span(&b)), 0);
			assert_int_equal(out.status, status);
			assert_true(span_is(out.code, "tripwire") && span_is(out.json, "{}"));
			b.p[0] = 0;
			b.p[1] = 200;
			assert_int_equal(refusal_decode(&out, buf_span(&b)), -1);
		}
		buf_deinit(&b);
	}
	assert_int_equal(refusal_decode(&out, span_str("")), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_head__with_repeats_and_empty_values__comes_back),
		cmocka_unit_test(response_head_and_trailers__come_back),
		cmocka_unit_test(parts_too_long_for_their_length__are_refused_and_leave_nothing),
		cmocka_unit_test(out_of_room__every_limit__leaves_the_buffer_as_it_was),
		cmocka_unit_test(answer__with_all_parts__comes_back),
		cmocka_unit_test(answer__cut_at_every_byte_or_with_one_more__is_refused),
		cmocka_unit_test(answer__each_byte_changed__is_refused_or_another_answer),
		cmocka_unit_test(answer__of_another_version_or_with_unknown_flags__is_refused),
		cmocka_unit_test(head__cut_at_every_byte__never_reads_past_it),
		cmocka_unit_test(patches__of_any_change__restore_it),
		cmocka_unit_test(patches__cut_or_past_the_end__are_refused),
		cmocka_unit_test(refusal__of_any_status__only_errors_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
