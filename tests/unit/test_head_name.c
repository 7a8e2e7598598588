/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "head_name.h"
#include "policy_fixture.h"

#define LONG "Zx81kQm4-TnVb7Lr2WcYd9Hs3PgJf6Ua0"
#define INNER "TnVb7Lr2WcYd"

static const char yaml[] = "secrets:\n  LONG: { file: tokens, hosts: [] }\n  INNER: { file: tokens, hosts: [] }\n";
static const char tokens[] = "LONG=" LONG "\nINNER=" INNER "\n";

static void name__of_a_secret_in_any_case__is_found(void **state)
{
	const struct rewriter *r = policy_rewriter(fixture_load(*state, yaml, tokens));
	size_t run = head_name_shortest_run(r);
	struct head_name_hit hit;

	assert_int_equal(run, strlen(INNER));
	assert_true(head_name_find(r, run, span_str("x-zx81kqm4-tnvb7lr2wcyd9hs3pgjf6ua0-y"), 0, &hit));
	assert_true(hit.at == 2 && hit.len == strlen(LONG) && hit.entry == 0);
	assert_true(head_name_find(r, run, span_str(LONG), 0, &hit));
	assert_true(head_name_find(r, run, span_str("ztnvb7lr2wcyd"), 0, &hit));
	assert_true(hit.at == 1 && hit.entry == 1);
	assert_false(head_name_find(r, run, span_str("x-zx81kqm4-tnvb7lr2wcy9hs3pgjf6ua0"), 0, &hit));
	assert_false(head_name_find(r, run, span_str("strict-transport-security"), 0, &hit));
	assert_false(head_name_find(r, run, span_of(NULL, 0), 0, &hit));
}

static void sanitize__replaces_each_by_its_lowered_placeholder(void **state)
{
	struct fixture *f = *state;
	const struct rewriter *r = policy_rewriter(fixture_load(f, yaml, tokens));
	size_t run = head_name_shortest_run(r);
	struct rewrite_hits hits = {.used = 0};
	struct buf out = {0};

	assert_int_equal(head_name_sanitize(r, run, span_str("a-tnvb7lr2wcyd-TNVB7LR2WCYD-zx81kqm4-tnvb7lr2wcyd9hs3pgjf6ua0"), &out, &hits), 1);
	assert_int_equal(buf_putc(&out, 0), 0);
	assert_null(strcasestr((const char *)out.p, INNER));
	assert_int_equal(out.len - 1, strlen("a-tnvb7lr2wcyd-TNVB7LR2WCYD-") + strlen(LONG));
	for (size_t i = 0; i < out.len; i++)
		assert_false(out.p[i] >= 'A' && out.p[i] <= 'Z');
	assert_int_equal(hits.used, 2);
	assert_int_equal(hits.hit[0].count + hits.hit[1].count, 3);
	buf_reset(&out);
	assert_int_equal(head_name_sanitize(r, run, span_str("Content-Type"), &out, &hits), 0);
	assert_true(span_is(buf_span(&out), "Content-Type"));
	buf_deinit(&out);
}

static void no_secrets__nothing_is_looked_at(void **state)
{
	const struct rewriter *r = policy_rewriter(fixture_load(*state, "hosts:\n  a.example.test: {}\n", ""));
	struct head_name_hit hit;

	assert_true(head_name_shortest_run(r) == SIZE_MAX);
	assert_false(head_name_find(r, SIZE_MAX, span_str("x-abcdefghijklmnopqrstuvwxyz"), 0, &hit));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(name__of_a_secret_in_any_case__is_found),
		TEST(sanitize__replaces_each_by_its_lowered_placeholder),
		TEST(no_secrets__nothing_is_looked_at),
	};

	return cmocka_run_group_tests_name("head_name", tests, NULL, NULL);
}
