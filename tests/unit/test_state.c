/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What lies in the state directory: paths, placeholder key, suspended agents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "key.h"
#include "state.h"
#include "suspended.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_state.XXXXXX");
	unsetenv("SLAPENIR_KEY_FILE");
	unsetenv("SLAPENIR_STATE");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void path__relative_and_absolute__are_one_place(void **state)
{
	char a[PATH_MAX], b[PATH_MAX], cwd[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(state_path(a, sizeof(a), "st//", STATE_AUDIT_LOG), 0);
	assert_int_equal(state_create("st"), 0);
	assert_int_equal(state_path(b, sizeof(b), "./st", STATE_AUDIT_LOG), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_string_equal(a, b);
	assert_string_equal(a + strlen(dir), "/st/audit.log");
}

static void path__too_long__is_an_error(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(state_path(out, sizeof(out), dir, STATE_AUDIT_LOG), -1);
}

static void run_dir__long_state__is_elsewhere_and_fits_a_socket(void **state)
{
	char deep[PATH_MAX], run[PATH_MAX], other[PATH_MAX];

	(void)state;
	if (geteuid() != 0)
		setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	assert_int_equal(state_path(run, sizeof(run), dir, STATE_RUN_DIR), 0);
	assert_memory_equal(run, dir, strlen(dir));
	snprintf(deep, sizeof(deep), "%s/%080d", dir, 0);
	assert_int_equal(state_path(run, sizeof(run), deep, STATE_SPOA_SOCK), 0);
	assert_memory_equal(run, "/run/", 5);
	assert_true(strlen(run) + sizeof(".2147483647.tmp") <= sizeof(((struct sockaddr_un *)0)->sun_path));
	snprintf(deep, sizeof(deep), "%s/%081d", dir, 0);
	assert_int_equal(state_path(other, sizeof(other), deep, STATE_SPOA_SOCK), 0);
	assert_string_not_equal(run, other);
}

static void state__created__lets_others_pass_but_not_read(void **state)
{
	char deep[PATH_MAX];
	struct stat st;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
	assert_int_equal(state_create(deep), 0);
	assert_int_equal(state_create(deep), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0711);
}

static void key__made_once__stays_and_is_private(void **state)
{
	uint8_t a[KEY_BYTES], b[KEY_BYTES];
	char path[PATH_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(key_load(a, NULL, dir), 0);
	assert_int_equal(key_load(b, NULL, dir), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(state_path(path, sizeof(path), dir, STATE_PLACEHOLDER_KEY), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, KEY_BYTES);
}

static void key__made_by_many_at_once__is_one(void **state)
{
	enum { MAKERS = 8 };
	uint8_t keys[MAKERS][KEY_BYTES];
	int pipes[MAKERS][2];

	(void)state;
	for (unsigned i = 0; i < MAKERS; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		if (fork() == 0) {
			int rc = key_load(keys[i], NULL, dir);

			_exit(rc == 0 && write(pipes[i][1], keys[i], KEY_BYTES) == KEY_BYTES ? 0 : 1);
		}
	}
	for (unsigned i = 0; i < MAKERS; i++) {
		close(pipes[i][1]);
		assert_int_equal(read(pipes[i][0], keys[i], KEY_BYTES), KEY_BYTES);
		close(pipes[i][0]);
		assert_memory_equal(keys[i], keys[0], KEY_BYTES);
	}
	while (wait(NULL) > 0)
		;
}

static void key__of_another_length_or_missing__is_refused(void **state)
{
	uint8_t key[KEY_BYTES];
	char path[PATH_MAX];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/given.key", dir);
	assert_int_equal(key_load(key, path, dir), -1);
	for (unsigned len = KEY_BYTES - 1; len <= KEY_BYTES + 1; len++) {
		f = fopen(path, "w");
		assert_non_null(f);
		fprintf(f, "%0*d", (int)len, 7);
		fclose(f);
		assert_int_equal(key_load(key, path, dir), len == KEY_BYTES ? 0 : -1);
	}
	setenv("SLAPENIR_KEY_FILE", path, 1);
	assert_int_equal(key_load(key, NULL, dir), -1); /* the variable counts, and its file is too long */
	unsetenv("SLAPENIR_KEY_FILE");
}

static void suspended__set__outlives_the_process(void **state)
{
	char path[PATH_MAX];
	struct suspended *s;

	(void)state;
	assert_int_equal(state_path(path, sizeof(path), dir, STATE_SUSPENDED), 0);
	s = suspended_open(path);
	assert_non_null(s);
	assert_int_equal(suspended_set(s, span_str("agent-1"), true), 1);
	assert_int_equal(suspended_set(s, span_str("agent-1"), true), 0);
	assert_int_equal(suspended_set(s, span_str("agent.2"), true), 1);
	assert_int_equal(suspended_set(s, span_str("agent-1"), false), 1);
	assert_int_equal(suspended_set(s, span_str("agent-1"), false), 0);
	suspended_free(s);
	s = suspended_open(path);
	assert_int_equal(suspended_count(s), 1);
	assert_string_equal(suspended_get(s, 0), "agent.2");
	suspended_free(s);
}

static void suspended__no_cn__is_refused(void **state)
{
	static const char *const names[] = {"", "a b", "a\nb", "caf\xc3\xa9", "a/b",
	                                    "12345678901234567890123456789012345678901234567890123456789012345"};
	char path[PATH_MAX];
	struct suspended *s;

	(void)state;
	assert_int_equal(state_path(path, sizeof(path), dir, STATE_SUSPENDED), 0);
	s = suspended_open(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(suspended_set(s, span_str(names[i]), true), -1);
	assert_int_equal(suspended_count(s), 0);
	suspended_free(s);
}

static void suspended__unreadable_list__does_not_open(void **state)
{
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/loop", dir);
	assert_int_equal(symlink("loop", path), 0); /* not even root can open it */
	assert_null(suspended_open(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(path__relative_and_absolute__are_one_place, setup, teardown),
		cmocka_unit_test_setup_teardown(path__too_long__is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(run_dir__long_state__is_elsewhere_and_fits_a_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(state__created__lets_others_pass_but_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(key__made_once__stays_and_is_private, setup, teardown),
		cmocka_unit_test_setup_teardown(key__made_by_many_at_once__is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(key__of_another_length_or_missing__is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(suspended__set__outlives_the_process, setup, teardown),
		cmocka_unit_test_setup_teardown(suspended__no_cn__is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(suspended__unreadable_list__does_not_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
