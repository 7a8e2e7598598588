/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tokens.h"

struct fixture {
	char dir[32], path[64];
	struct secret_arena *arena;
	struct tokens *tokens;
	struct report r;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/tokens-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->arena = secret_arena_new(1 << 20);
	f->tokens = tokens_new(f->arena);
	assert_non_null(f->tokens);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tokens_free(f->tokens);
	secret_arena_free(f->arena);
	report_deinit(&f->r);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void put_file(struct fixture *f, const char *name, const char *text, size_t len)
{
	FILE *out;

	snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
	out = fopen(f->path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	fclose(out);
	chmod(f->path, 0600);
}

static void expect(struct fixture *f, const char *name, const char *value)
{
	const char *why;
	struct span v;

	if (!tokens_find(f->tokens, f->path, name, &v, &why, &f->r))
		fail_msg("%s: %s", name, why);
	assert_int_equal(v.len, strlen(value));
	assert_memory_equal(v.p, value, v.len);
}

static void dotenv__all_forms__give_their_values(void **state)
{
	static const char text[] = "\xef\xbb\xbf# comment\n\nPLAIN=abc=def#no comment\n  export EXPORTED=x y \nSINGLE='a\\n\"b'\n"
	                           "DOUBLE=\"a\\nb\\\"c\\\\d\\te\"\r\nCR=value\r\nEMPTY=\nOPEN=\"half\nSPACED =v\nQUOTE=\"\nLAST=end";
	struct fixture *f = *state;

	put_file(f, "real_tokens", text, sizeof(text) - 1);
	expect(f, "PLAIN", "abc=def#no comment");
	expect(f, "EXPORTED", "x y ");
	expect(f, "SINGLE", "a\\n\"b");
	expect(f, "DOUBLE", "a\nb\"c\\d\\te");
	expect(f, "CR", "value");
	expect(f, "EMPTY", "");
	expect(f, "OPEN", "\"half");
	expect(f, "SPACED", "v");
	expect(f, "QUOTE", "\"");
	expect(f, "LAST", "end");
	assert_int_equal(f->r.errors, 0);
}

static void dotenv__key_twice_or_no_equals_sign__is_an_error_with_its_line(void **state)
{
	static const char text[] = "A=first-value\nsecret-without-key\nB=2\nA=other-value\n=nothing\n";
	struct fixture *f = *state;

	put_file(f, "real_tokens", text, sizeof(text) - 1);
	expect(f, "B", "2");
	assert_int_equal(f->r.errors, 3);
	assert_int_equal(buf_putc(&f->r.text, 0), 0);
	assert_non_null(strstr((char *)f->r.text.p, "real_tokens:2: "));
	assert_non_null(strstr((char *)f->r.text.p, "real_tokens:4: A is given a second time, the first is on line 1"));
	assert_non_null(strstr((char *)f->r.text.p, "real_tokens:5: "));
	assert_null(strstr((char *)f->r.text.p, "secret-without-key"));
	assert_null(strstr((char *)f->r.text.p, "other-value"));
}

static void pem__is_the_whole_file_less_one_newline(void **state)
{
	struct fixture *f = *state;

	put_file(f, "key.pem", "-----BEGIN X-----\nabc\n\n", 23);
	expect(f, "ANY", "-----BEGIN X-----\nabc\n");
}

static void file__that_is_no_file__is_named_in_the_reason(void **state)
{
	struct fixture *f = *state;
	const char *why;
	struct span v;

	assert_false(tokens_find(f->tokens, "/tmp", "A", &v, &why, &f->r));
	assert_string_equal(why, "/tmp cannot be read: Is a directory");
	assert_false(tokens_find(f->tokens, "/nowhere/tokens", "A", &v, &why, &f->r));
	assert_string_equal(why, "/nowhere/tokens cannot be read: No such file or directory");
	assert_false(tokens_find(f->tokens, "/dev/null", "A", &v, &why, &f->r));
	assert_int_equal(f->r.errors, 0);
}

static void file__that_everybody_can_read__is_warned_of(void **state)
{
	struct fixture *f = *state;

	put_file(f, "real_tokens", "A=1\n", 4);
	chmod(f->path, 0644);
	expect(f, "A", "1");
	expect(f, "A", "1");
	assert_int_equal(f->r.warnings, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dotenv__all_forms__give_their_values, setup, teardown),
		cmocka_unit_test_setup_teardown(dotenv__key_twice_or_no_equals_sign__is_an_error_with_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(pem__is_the_whole_file_less_one_newline, setup, teardown),
		cmocka_unit_test_setup_teardown(file__that_is_no_file__is_named_in_the_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(file__that_everybody_can_read__is_warned_of, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
