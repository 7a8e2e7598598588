/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stage.h"

static const char *const subdirs[] = {"leaves", NULL};
static char dir[64];

static int fresh(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-stage-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int clean(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void expect_file(const char *name, const char *text)
{
	char path[PATH_MAX], got[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	assert_true((f != NULL) == (text != NULL));
	if (!f)
		return;
	assert_true(fread(got, 1, sizeof(got) - 1, f) < sizeof(got));
	fclose(f);
	assert_string_equal(got, text);
}

static void stage__written__leaves_what_is_there_until_moved(void **state)
{
	struct stage s;

	(void)state;
	write_file("map", "old");
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_write(&s, "map", span_str("new")), 0);
	expect_file("map", "old");
	assert_true(stage_differs(&s, "map"));
	assert_int_equal(stage_move(&s, "map"), 0);
	expect_file("map", "new");
	stage_close(&s);
}

static void expect_mode(const char *name, mode_t mode)
{
	char path[4200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, mode);
}

static void stage__shared__the_group_reads_and_only_then(void **state)
{
	struct stage s;

	(void)state;
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_write(&s, "map", span_str("x")), 0);
	expect_mode("next/map", 0600);
	expect_mode("next/leaves", 0700);
	assert_int_equal(stage_share(&s, getgid(), subdirs), 0);
	assert_int_equal(stage_write(&s, "map", span_str("x")), 0);
	assert_int_equal(stage_write(&s, "leaves/a", span_str("x")), 0);
	write_file("kept", "old");
	assert_int_equal(stage_keep(&s, "kept"), 0);
	expect_mode("next/kept", 0640);
	expect_mode("next/map", 0640);
	expect_mode("next/leaves", 0750);
	expect_mode("next/leaves/a", 0640);
	stage_close(&s);
}

static void stage__same_bytes__do_not_differ(void **state)
{
	struct stage s;

	(void)state;
	write_file("map", "same");
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_write(&s, "map", span_str("same")), 0);
	assert_false(stage_differs(&s, "map"));
	assert_true(stage_differs(&s, "absent"));
	stage_close(&s);
}

static void stage_undo__after_moves__gives_files_and_directories_back(void **state)
{
	char leaves[PATH_MAX];
	struct stage s;

	(void)state;
	snprintf(leaves, sizeof(leaves), "%s/leaves", dir);
	assert_int_equal(mkdir(leaves, 0700), 0);
	write_file("leaves/a", "old leaf");
	write_file("map", "old");
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_write(&s, "leaves/b", span_str("new leaf")), 0);
	assert_int_equal(stage_write(&s, "map", span_str("new")), 0);
	assert_int_equal(stage_move(&s, "leaves"), 0);
	assert_int_equal(stage_move(&s, "map"), 0);
	expect_file("leaves/b", "new leaf");
	expect_file("leaves/a", NULL);
	assert_int_equal(stage_undo(&s, "leaves"), 0);
	assert_int_equal(stage_undo(&s, "map"), 0);
	expect_file("leaves/a", "old leaf");
	expect_file("leaves/b", NULL);
	expect_file("map", "old");
	stage_close(&s);
}

static void stage_keep__of_a_file__outlives_the_move_of_its_directory(void **state)
{
	char leaves[PATH_MAX];
	struct stage s;

	(void)state;
	snprintf(leaves, sizeof(leaves), "%s/leaves", dir);
	assert_int_equal(mkdir(leaves, 0700), 0);
	write_file("leaves/a", "kept");
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_keep(&s, "leaves/a"), 0);
	assert_int_equal(stage_move(&s, "leaves"), 0);
	expect_file("leaves/a", "kept");
	stage_close(&s);
}

/* What a crash left behind must not become part of the next one. */
static void stage_open__over_leftovers__empties_them(void **state)
{
	struct stage s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
		expect_file("next/leaves/b", NULL);
		expect_file("next/map", NULL);
		assert_int_equal(stage_write(&s, "leaves/b", span_str("x")), 0);
		assert_int_equal(stage_write(&s, "map", span_str("x")), 0);
		stage_close(&s);
	}
}

static void stage_slurp__of_what_cannot_be_read__is_no_empty_file(void **state)
{
	char path[PATH_MAX];
	struct buf out = {0};
	struct stage s;

	(void)state;
	write_file("map", "some text");
	write_file("empty", "");
	snprintf(path, sizeof(path), "%s/opens", dir); /* and then read() says EISDIR */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(stage_open(&s, dir, 0700, subdirs, true), 0);
	assert_int_equal(stage_slurp(s.dir, "map", &out), 0);
	assert_true(span_is(buf_span(&out), "some text"));
	buf_reset(&out);
	assert_int_equal(stage_slurp(s.dir, "empty", &out), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(stage_slurp(s.dir, "opens", &out), -1);
	assert_int_equal(stage_slurp(s.dir, "absent", &out), -1);
	assert_int_equal(stage_slurp(s.next, "map", &out), -1);
	assert_int_equal(stage_write(&s, "map", span_str("some text")), 0);
	assert_int_equal(mkdirat(s.next, "opens", 0700), 0);
	assert_true(stage_differs(&s, "opens"));
	stage_close(&s);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stage__written__leaves_what_is_there_until_moved, fresh, clean),
		cmocka_unit_test_setup_teardown(stage__same_bytes__do_not_differ, fresh, clean),
		cmocka_unit_test_setup_teardown(stage_undo__after_moves__gives_files_and_directories_back, fresh, clean),
		cmocka_unit_test_setup_teardown(stage_keep__of_a_file__outlives_the_move_of_its_directory, fresh, clean),
		cmocka_unit_test_setup_teardown(stage__shared__the_group_reads_and_only_then, fresh, clean),
		cmocka_unit_test_setup_teardown(stage_open__over_leftovers__empties_them, fresh, clean),
		cmocka_unit_test_setup_teardown(stage_slurp__of_what_cannot_be_read__is_no_empty_file, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
