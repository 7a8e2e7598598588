/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every allocation fails once: compiling and feeding say so, leave nothing behind and never let a secret through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rewrite_kit.h"

/* glibc's own, under the sanitizers' hands they cannot be replaced */
#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
#define CAN_FAIL 1
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
static long countdown = -1; /* allocations until one fails; negative: none does */

static int fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}
#else
#define CAN_FAIL 0
static long countdown;
#endif

static const char secret[] = "sk-abcdefGHIJKL0123456";

static void kit_fill(struct kit *k)
{
	kit_init(k);
	kit_add(k, "A", secret, "DUMMY_TOKEN", 1);
	kit_add(k, "B", "aaaaaaaaaaaaaaaaaaaaaaaab", "", 2);
}

static void compile__nth_allocation_fails__says_so(void **state)
{
	struct rewriter *r = NULL;
	const char *why;
	unsigned n;

	(void)state;
	for (n = 0; CAN_FAIL && !r; n++) {
		struct kit k;

		assert_true(n < 1000);
		kit_fill(&k);
		why = NULL;
		countdown = n;
		r = rewriter_new(k.arena, k.entry, k.count, &why);
		countdown = -1;
		if (!r)
			assert_non_null(why);
		k.rewriter = r;
		kit_deinit(&k);
	}
	assert_true(!CAN_FAIL || n > 3);
}

static void compile__arena_too_small__says_so(void **state)
{
	static struct kit k;
	struct rewriter *r = NULL;
	size_t pages;

	(void)state;
	kit_fill(&k);
	kit_add(&k, "C", "sk-0000000000000000000000000000000000000000000000000000", "", 3);
	for (pages = 1; !r && pages < 100; pages++) {
		struct secret_arena *arena = secret_arena_new(pages * 4096);
		const char *why = NULL;

		r = rewriter_new(arena, k.entry, k.count, &why);
		if (!r)
			assert_string_equal(why, "the memory for secrets is full");
		rewriter_free(r);
		secret_arena_free(arena);
	}
	assert_non_null(r);
	assert_true(pages > 2);
	k.rewriter = NULL;
	kit_deinit(&k);
}

/* Many escapes and many occurrences without a pause: more than the room that the engine has without allocating. */
static void feed__nth_allocation_fails__is_an_error_or_right(void **state)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_RESPONSE, .made_only = true};
	struct buf in = {0}, want = {0}, out = {0};
	enum rewrite_result result = REWRITE_ERROR;
	struct kit k;
	unsigned n, i, j;

	(void)state;
	kit_fill(&k);
	kit_build(&k);
	for (i = 0; i < 200; i++)
		for (j = 0; j < k.entry[i % 2].value.len; j++) {
			buf_printf(&in, "%%%02X", k.entry[i % 2].value.p[j]);
			buf_printf(&want, "%%%02X", k.entry[i % 2].made.p[j]);
		}
	for (n = 0; result == REWRITE_ERROR; n++) {
		struct rewrite_step step = {.in = buf_span(&in), .last = true, .out = &out};

		assert_true(n < 1000);
		buf_deinit(&out);
		countdown = n;
		result = rewrite_feed(k.rewriter, &scope, &step, NULL);
		countdown = -1;
	}
	assert_int_equal(result, REWRITE_OK);
	assert_true(span_eq(buf_span(&out), buf_span(&want)));
	assert_true(!CAN_FAIL || n > 3);
	buf_deinit(&in);
	buf_deinit(&want);
	buf_deinit(&out);
	kit_deinit(&k);
}

static void whole_basic__nth_allocation_fails__is_an_error_or_right(void **state)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_REQUEST};
	static const char user[] = "user:DUMMY_TOKEN", password[] = "user:sk-abcdefGHIJKL0123456";
	struct buf in = {0}, want = {0}, out = {0};
	enum rewrite_result result = REWRITE_ERROR;
	bool changed = false;
	uint64_t random = 1;
	struct kit k;
	unsigned n;

	(void)state;
	kit_fill(&k);
	kit_build(&k);
	buf_append_span(&in, span_str("Basic "));
	buf_append_span(&want, span_str("Basic "));
	kit_base64(&in, span_str(user), false, 0, "", 0, &random);
	kit_base64(&want, span_str(password), false, 0, "", 0, &random);
	for (n = 0; result != REWRITE_OK; n++) {
		assert_true(n < 100);
		buf_deinit(&out);
		countdown = n;
		result = rewrite_whole(k.rewriter, &scope, buf_span(&in), true, &out, &changed, NULL);
		countdown = -1;
	}
	assert_true(changed);
	assert_true(out.len >= want.len && memcmp(out.p, want.p, want.len) == 0); /* then there may be padding */
	assert_true(!CAN_FAIL || n > 3);
	buf_deinit(&in);
	buf_deinit(&want);
	buf_deinit(&out);
	kit_deinit(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compile__nth_allocation_fails__says_so),
		cmocka_unit_test(compile__arena_too_small__says_so),
		cmocka_unit_test(feed__nth_allocation_fails__is_an_error_or_right),
		cmocka_unit_test(whole_basic__nth_allocation_fails__is_an_error_or_right),
	};

	return cmocka_run_group_tests_name("rewrite_memory", tests, NULL, NULL);
}
