/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "generations.h"
#include "report.h"

struct fixture {
	char dir[64], policy[96], shapes[96];
	struct generations *g;
};

static const uint8_t key[KEY_BYTES] = "0123456789abcdef0123456789abcdef";

static struct generations *make(struct fixture *f)
{
	struct generations_options o = {.policy = f->policy, .shapes = f->shapes, .shapes_group = (gid_t)-1};

	return generations_new(&o, key);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test_generations.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->policy, sizeof(f->policy), "%s/policy.yaml", f->dir);
	snprintf(f->shapes, sizeof(f->shapes), "%s/shapes", f->dir);
	f->g = make(f);
	*state = f;
	return f->g ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	generations_free(f->g);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

/* A policy with one secret: its value has a length of its own, so each has a shape of its own. */
static void write_policy(struct fixture *f, unsigned n)
{
	char path[96];
	FILE *out;

	snprintf(path, sizeof(path), "%s/tokens", f->dir);
	out = fopen(path, "w");
	assert_non_null(out);
	fprintf(out, "SECRET_%u=", n);
	for (unsigned i = 0; i < 30 + n; i++)
		fputc("aZ3xQ7"[i % 6], out);
	fputc('\n', out);
	fclose(out);
	chmod(path, 0600);
	out = fopen(f->policy, "w");
	assert_non_null(out);
	fprintf(out, "secrets:\n  SECRET_%u: { file: tokens, hosts: [api.example.test] }\n", n);
	fclose(out);
}

static struct policy *compile(struct fixture *f, unsigned n)
{
	struct report r = {0};
	struct policy *p;

	write_policy(f, n);
	p = generations_compile(f->g, &r);
	if (!p)
		report_print(&r, stderr);
	report_deinit(&r);
	assert_non_null(p);
	return p;
}

static struct shape_set *read_shapes(struct fixture *f, struct shape_file_header *h)
{
	static uint8_t bytes[1 << 16];
	FILE *in = fopen(f->shapes, "r");
	struct shape_set *set;
	const char *why;
	size_t n;

	assert_non_null(in);
	n = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	set = shape_set_decode(span_of(bytes, n), h, &why);
	assert_non_null(set);
	return set;
}

/* Does the file hold every shape of p? */
static bool published(struct fixture *f, const struct policy *p)
{
	struct shape_file_header h;
	struct shape_set *set = read_shapes(f, &h);
	size_t count = shape_set_count(set);
	bool all;

	assert_int_equal(shape_set_merge(set, policy_shapes(p)), 0);
	all = shape_set_count(set) == count;
	shape_set_free(set);
	return all;
}

static bool unused(void *ctx, const struct policy *p)
{
	(void)ctx;
	(void)p;
	return false;
}

static bool in_use(void *ctx, const struct policy *p)
{
	return ctx == p;
}

static void publish__next_policy__is_in_the_union_under_the_serving_name(void **state)
{
	struct fixture *f = *state;
	struct policy *a = compile(f, 1), *b;
	struct shape_file_header h;
	bool grown;

	assert_int_equal(generations_publish(f->g, a, &grown), 0);
	assert_false(grown); /* nothing was there that HAProxy could have judged by */
	generations_push(f->g, a, 0);
	b = compile(f, 2);
	assert_int_equal(generations_publish(f->g, b, &grown), 0);
	assert_true(grown);
	assert_true(published(f, a) && published(f, b));
	shape_set_free(read_shapes(f, &h));
	assert_memory_equal(h.generation, policy_generation(a), sizeof(h.generation));
	assert_int_equal(generations_publish(f->g, b, &grown), 0);
	assert_false(grown);
	generations_push(f->g, b, 1000);
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	shape_set_free(read_shapes(f, &h));
	assert_memory_equal(h.generation, policy_generation(b), sizeof(h.generation));
}

static void publish__each_time__has_a_later_epoch(void **state)
{
	struct fixture *f = *state;
	struct shape_file_header first, second;
	bool grown;

	generations_push(f->g, compile(f, 1), 0);
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	shape_set_free(read_shapes(f, &first));
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	shape_set_free(read_shapes(f, &second));
	assert_true(second.epoch > first.epoch);
	assert_true(second.epoch == generations_epoch(f->g));
}

static void expire__old_generation__leaves_when_over_its_time_and_unused(void **state)
{
	struct fixture *f = *state;
	struct policy *a = compile(f, 1), *b;
	size_t count;
	bool grown;

	generations_push(f->g, a, 0);
	b = compile(f, 2);
	generations_push(f->g, b, 1000);
	assert_false(generations_expire(f->g, 1000 + GENERATIONS_KEEP_MS - 1, in_use, a));
	generations_list(f->g, &count);
	assert_int_equal(count, 2);
	assert_true(generations_expire(f->g, 1000 + GENERATIONS_KEEP_MS, in_use, a));
	generations_list(f->g, &count);
	assert_int_equal(count, 1);
	/* a worker holds it still: what it may rehydrate has to stay published */
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	assert_true(published(f, a));
	assert_false(generations_expire(f->g, 1000 + GENERATIONS_KEEP_MS, unused, NULL));
	assert_ptr_equal(generations_newest(f->g), b);
}

static void push__ninth_old_generation__drops_the_oldest(void **state)
{
	struct fixture *f = *state;
	size_t count;

	for (unsigned i = 0; i < 2 + GENERATIONS_OLD_MAX; i++)
		generations_push(f->g, compile(f, i), i);
	generations_list(f->g, &count);
	assert_int_equal(count, 1 + GENERATIONS_OLD_MAX);
}

static void publish__file_of_another_master__keeps_its_shapes(void **state)
{
	struct fixture *f = *state;
	struct generations *other = make(f);
	struct report r = {0};
	struct policy *a = compile(f, 1), *b;
	bool grown;

	generations_push(f->g, a, 0);
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	write_policy(f, 2);
	b = generations_compile(other, &r);
	assert_non_null(b);
	generations_push(other, b, 0);
	assert_int_equal(generations_publish(other, NULL, &grown), 0);
	assert_true(grown);
	assert_true(published(f, a) && published(f, b));
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	assert_true(published(f, a) && published(f, b));
	generations_free(other);
	report_deinit(&r);
}

static void publish__damaged_file__is_replaced(void **state)
{
	struct fixture *f = *state;
	struct policy *a = compile(f, 1);
	FILE *out = fopen(f->shapes, "w");
	bool grown;

	fputs("no shapes at all", out);
	fclose(out);
	generations_push(f->g, a, 0);
	assert_int_equal(generations_publish(f->g, NULL, &grown), 0);
	assert_true(published(f, a));
}

static void publish__directory_gone__is_an_error(void **state)
{
	struct fixture *f = *state;
	struct policy *a = compile(f, 1);
	char nowhere[128];
	struct generations_options o = {.policy = f->policy, .shapes = nowhere, .shapes_group = (gid_t)-1};
	struct generations *g;
	bool grown;

	snprintf(nowhere, sizeof(nowhere), "%s/gone/shapes", f->dir);
	g = generations_new(&o, key);
	assert_int_equal(generations_publish(g, a, &grown), -1);
	generations_free(g);
	policy_free(a);
}

static struct span canary_of(const struct policy *p)
{
	const struct rewriter *r = policy_rewriter(p);

	return rewriter_entry(r, (unsigned)rewriter_entries(r) - 1)->value;
}

static void compile__by_another_instance__has_the_same_canary(void **state)
{
	struct fixture *f = *state;
	struct generations *other = make(f);
	struct report r = {0};
	struct policy *a = compile(f, 1), *b = generations_compile(other, &r);

	assert_non_null(b);
	assert_true(canary_of(a).len > 0);
	assert_true(span_eq(canary_of(a), canary_of(b)));
	policy_free(a);
	policy_free(b);
	generations_free(other);
	report_deinit(&r);
}

static void key__in_a_forked_child__is_blank(void **state)
{
	struct fixture *f = *state;
	struct report r = {0};
	struct policy *a = compile(f, 1);
	uint8_t id[8];
	int status;

	memcpy(id, policy_generation(a), sizeof(id));
	policy_free(a);
	if (fork() == 0) {
		struct policy *b = generations_compile(f->g, &r);

		/* the id is an HMAC under the key */
		_exit(b && memcmp(policy_generation(b), id, sizeof(id)) != 0 ? 0 : 1);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(publish__next_policy__is_in_the_union_under_the_serving_name, setup, teardown),
		cmocka_unit_test_setup_teardown(publish__each_time__has_a_later_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(expire__old_generation__leaves_when_over_its_time_and_unused, setup, teardown),
		cmocka_unit_test_setup_teardown(push__ninth_old_generation__drops_the_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(publish__file_of_another_master__keeps_its_shapes, setup, teardown),
		cmocka_unit_test_setup_teardown(publish__damaged_file__is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(publish__directory_gone__is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(compile__by_another_instance__has_the_same_canary, setup, teardown),
		cmocka_unit_test_setup_teardown(key__in_a_forked_child__is_blank, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
