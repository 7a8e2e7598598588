/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A small tmpfs is the disk that fills up; a file size limit makes write() stop in the middle of a line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit_log.h"

struct fixture {
	char dir[64], path[96], moved[96];
	struct audit_log *log;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test_audit_log.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/audit.log", f->dir);
	snprintf(f->moved, sizeof(f->moved), "%s/audit.log.1", f->dir);
	signal(SIGXFSZ, SIG_IGN);
	*state = f;
	return 0;
}

static void limit(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	limit(RLIM_INFINITY);
	audit_log_close(f->log);
	unlink(f->path);
	unlink(f->moved);
	rmdir(f->dir);
	free(f);
	return 0;
}

static char *content(const char *path)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	assert_true(fd >= 0 && n >= 0);
	close(fd);
	text[n] = '\0';
	return text;
}

static void put(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int write_text(struct fixture *f, const char *text)
{
	return audit_log_write(f->log, span_str(text));
}

static void lines__written__are_there_and_nobody_else_may_read(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	f->log = audit_log_open(f->path);
	assert_non_null(f->log);
	assert_true(audit_log_writable(f->log));
	assert_int_equal(write_text(f, "{\"a\":1}\n"), 0);
	assert_int_equal(write_text(f, "{\"b\":2}\n"), 0);
	assert_string_equal(content(f->path), "{\"a\":1}\n{\"b\":2}\n");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	audit_log_close(f->log);
	f->log = NULL;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 16);
}

static void log__opened_again__appends(void **state)
{
	struct fixture *f = *state;

	put(f->path, "{\"old\":1}\n");
	f->log = audit_log_open(f->path);
	assert_int_equal(write_text(f, "{\"new\":1}\n"), 0);
	assert_string_equal(content(f->path), "{\"old\":1}\n{\"new\":1}\n");
}

static void half_a_line__left_by_a_killed_master__does_not_swallow_the_next(void **state)
{
	struct fixture *f = *state;

	put(f->path, "{\"old\":");
	f->log = audit_log_open(f->path);
	assert_int_equal(write_text(f, "{\"new\":1}\n"), 0);
	assert_string_equal(content(f->path), "{\"old\":\n{\"new\":1}\n");
}

static void full__is_known_while_lines_still_fit(void **state)
{
	struct fixture *f = *state;
	char line[1001];
	unsigned written = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", f->dir, "tmpfs", 0, "size=256k") < 0)
		skip();
	memset(line, 'x', sizeof(line));
	line[999] = '\n';
	line[1000] = '\0';
	f->log = audit_log_open(f->path);
	while (audit_log_writable(f->log) && written < 1000) {
		assert_int_equal(write_text(f, line), 0);
		written++;
	}
	/* requests that were let in before are still written */
	for (unsigned i = 0; i < 50; i++, written++)
		assert_int_equal(write_text(f, line), 0);
	assert_int_equal(strlen(content(f->path)), written * 1000);
	assert_false(audit_log_writable(f->log));
	audit_log_close(f->log);
	f->log = NULL;
	umount(f->dir);
}

static void full__lines_are_kept_and_written_when_there_is_room(void **state)
{
	struct fixture *f = *state;

	f->log = audit_log_open(f->path);
	limit(10);
	assert_int_equal(write_text(f, "{\"a\":1}\n"), 0);
	assert_int_equal(write_text(f, "{\"b\":2}\n"), 0); /* only 2 bytes of it fit, and are taken off again */
	assert_int_equal(write_text(f, "{\"c\":3}\n"), 0);
	assert_false(audit_log_writable(f->log));
	assert_string_equal(content(f->path), "{\"a\":1}\n");
	audit_log_tick(f->log);
	assert_false(audit_log_writable(f->log));
	limit(RLIM_INFINITY);
	audit_log_tick(f->log);
	assert_true(audit_log_writable(f->log));
	assert_string_equal(content(f->path), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
}

static void file__renamed__goes_on_in_a_new_one(void **state)
{
	struct fixture *f = *state;

	f->log = audit_log_open(f->path);
	assert_int_equal(write_text(f, "{\"a\":1}\n"), 0);
	assert_int_equal(rename(f->path, f->moved), 0);
	assert_int_equal(write_text(f, "{\"b\":2}\n"), 0);
	audit_log_reopen(f->log);
	assert_int_equal(write_text(f, "{\"c\":3}\n"), 0);
	assert_string_equal(content(f->moved), "{\"a\":1}\n{\"b\":2}\n");
	assert_string_equal(content(f->path), "{\"c\":3}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines__written__are_there_and_nobody_else_may_read, setup, teardown),
		cmocka_unit_test_setup_teardown(log__opened_again__appends, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_line__left_by_a_killed_master__does_not_swallow_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(full__is_known_while_lines_still_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(full__lines_are_kept_and_written_when_there_is_room, setup, teardown),
		cmocka_unit_test_setup_teardown(file__renamed__goes_on_in_a_new_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
