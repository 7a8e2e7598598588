/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "secret.h"

static void arena__alloc_until_full__is_aligned_and_then_null(void **state)
{
	struct secret_arena *a = secret_arena_new(4096);
	uint8_t *p = secret_arena_alloc(a, 10), *q = secret_arena_dup(a, "abc", 3);

	(void)state;
	assert_true((uintptr_t)p % 64 == 0 && (uintptr_t)q % 64 == 0);
	assert_string_equal((char *)q, "abc");
	assert_null(secret_arena_alloc(a, 4096));
	assert_non_null(secret_arena_alloc(a, 4096 - 128));
	assert_int_equal(secret_arena_lock(a), 0);
	secret_arena_free(a);
}

static int child_status(void (*run)(struct secret_arena *, uint8_t *), struct secret_arena *a, uint8_t *p)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		run(a, p);
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}

static void write_it(struct secret_arena *a, uint8_t *p)
{
	(void)a;
	signal(SIGSEGV, SIG_DFL);
	*(volatile uint8_t *)p = 1;
}

static void free_it(struct secret_arena *a, uint8_t *p)
{
	(void)p;
	secret_arena_free(a);
}

static void arena__sealed__cannot_be_written(void **state)
{
	struct secret_arena *a = secret_arena_new(4096);
	uint8_t *p = secret_arena_dup(a, "secret", 6);

	(void)state;
	assert_int_equal(secret_arena_seal(a), 0);
	assert_true(WIFSIGNALED(child_status(write_it, a, p)) || WEXITSTATUS(child_status(write_it, a, p)) != 0);
	secret_arena_free(a);
}

static void arena__freed_by_a_child__stays_whole_for_its_maker(void **state)
{
	struct secret_arena *a = secret_arena_new(4096);
	uint8_t *p = secret_arena_dup(a, "secret", 6);

	(void)state;
	assert_int_equal(child_status(free_it, a, p), 0);
	assert_string_equal((char *)p, "secret");
	secret_arena_free(a);
}

static void buf__past_its_limit__stays_as_it_was(void **state)
{
	struct buf b = {.limit = 4};

	(void)state;
	assert_int_equal(buf_append(&b, "abc", 3), 0);
	assert_int_equal(buf_append(&b, "de", 2), -1);
	assert_true(span_is(buf_span(&b), "abc"));
	assert_int_equal(buf_u16(&b, 65536), -1);
	buf_deinit(&b);
	assert_int_equal(b.limit, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena__alloc_until_full__is_aligned_and_then_null),
		cmocka_unit_test(arena__sealed__cannot_be_written),
		cmocka_unit_test(arena__freed_by_a_child__stays_whole_for_its_maker),
		cmocka_unit_test(buf__past_its_limit__stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
