/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path.h"

static char room[PATH_MAX_BYTES + 1];

static enum path_result normalize(const char *raw, enum path_view view, bool *dotted)
{
	enum path_result rc;
	size_t len;

	*dotted = false;
	rc = path_normalize(span_str(raw), view, room, &len, dotted);
	assert_true(len <= strlen(raw));
	room[len] = 0;
	return rc;
}

static void path__is_decoded_once_and_loses_dot_segments(void **state)
{
	static const struct {
		const char *raw, *separated, *literal;
		bool dotted;
	} cases[] = {
		{"/", "/", "/", false},
		{"/v1/models", "/v1/models", "/v1/models", false},
		{"/v1/", "/v1/", "/v1/", false},
		{"//v1///x", "//v1///x", "//v1///x", false},
		{"/%76%31/x", "/v1/x", "/v1/x", false},
		{"/v1%2Fx", "/v1/x", "/v1%2Fx", false},
		{"/v1%2fx%5Cy\\z", "/v1/x/y/z", "/v1%2Fx\\y\\z", false},
		{"/v1/%252e%25/%zz%", "/v1/%2e%/%zz%", "/v1/%2e%/%zz%", false},
		{"/a/./b/.", "/a/b/", "/a/b/", false},
		{"/a/b/..", "/a/", "/a/", true},
		{"/a/b/../c", "/a/c", "/a/c", true},
		{"/a/%2e%2E/c", "/c", "/c", true},
		{"/x/..%2Fv1/a", "/v1/a", "/x/..%2Fv1/a", true},
		{"/x/..%5cv1/a", "/v1/a", "/x/..\\v1/a", true},
		{"/compare/a...b", "/compare/a...b", "/compare/a...b", false},
		{"/compare/a..b", "/compare/a..b", "/compare/a..b", false},
		{"/...", "/...", "/...", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool dotted, also;

		assert_int_equal(normalize(cases[i].raw, PATH_SEPARATED, &dotted), PATH_OK);
		assert_string_equal(room, cases[i].separated);
		assert_int_equal(normalize(cases[i].raw, PATH_LITERAL, &also), PATH_OK);
		assert_string_equal(room, cases[i].literal);
		assert_int_equal(dotted || also, cases[i].dotted);
	}
}

static void path__that_still_holds_a_parent__climbs(void **state)
{
	static const char *const cases[] = {
		"/..", "/../x", "/a/../../x", "/./../x", "/%2e%2e/x", "/v1//../admin", "/v1/..;/admin", "/v1/..;x=y/admin", "/v1/..%3b/admin",
		"/v1/%252e%252e/admin", "/v1/.%252e/admin", "/v1/%25252e%25252e/admin", "/v1/..%20/admin", "/v1/.. /admin", "/a/..%2f..",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool dotted;

		if (normalize(cases[i], PATH_SEPARATED, &dotted) != PATH_CLIMBS)
			fail_msg("%s was taken", cases[i]);
	}
}

static void path__without_slash_or_with_nul__is_invalid(void **state)
{
	bool dotted;

	(void)state;
	assert_int_equal(normalize("", PATH_SEPARATED, &dotted), PATH_INVALID);
	assert_int_equal(normalize("*", PATH_SEPARATED, &dotted), PATH_INVALID);
	assert_int_equal(normalize("v1", PATH_SEPARATED, &dotted), PATH_INVALID);
	assert_int_equal(normalize("/v1%00/x", PATH_SEPARATED, &dotted), PATH_INVALID);
}

static bool under(const char *path, const char *prefix)
{
	return path_under(span_str(path), span_str(prefix));
}

static void prefix__matches_itself_or_below(void **state)
{
	(void)state;
	assert_true(under("/v1/", "/v1/"));
	assert_true(under("/v1/x", "/v1/"));
	assert_false(under("/v1", "/v1/"));
	assert_false(under("/v1x", "/v1/"));
	assert_true(under("/v1", "/v1"));
	assert_true(under("/v1/x", "/v1"));
	assert_false(under("/v10", "/v1"));
	assert_true(under("/anything", "/"));
	assert_false(under("/V1/x", "/v1/"));
	assert_false(path_under(span_str("/x"), (struct span){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path__is_decoded_once_and_loses_dot_segments),
		cmocka_unit_test(path__that_still_holds_a_parent__climbs),
		cmocka_unit_test(path__without_slash_or_with_nul__is_invalid),
		cmocka_unit_test(prefix__matches_itself_or_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
