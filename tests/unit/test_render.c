/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy.h"
#include "render.h"
#include "report.h"

static char dir[64], text[64 * 1024];
static struct report report;

/* NAME.crt in dir, a self-signed CA */
static void make_ca(const char *name)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command),
	         "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -days 2 -keyout %s/k -out %s/%s.crt 2>/dev/null",
	         dir, dir, name);
	assert_int_equal(system(command), 0);
}

static const char *slurp(const char *name)
{
	char path[PATH_MAX];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/state/haproxy/%s", dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

static void write_policy(const char *yaml)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy.yaml", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(yaml, f);
	assert_int_equal(fclose(f), 0);
}

/* 0 or -1, as render_stage() and render_commit() say */
static int render_for(const char *yaml, bool group_reads)
{
	static const uint8_t key[32] = "a key of 32 bytes for this test";
	char file[PATH_MAX], state[PATH_MAX];
	struct policy_options options = {.file = file, .key = key};
	struct policy *p;
	int rc;

	write_policy(yaml);
	snprintf(file, sizeof(file), "%s/policy.yaml", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	report_deinit(&report);
	memset(&report, 0, sizeof(report));
	p = policy_load(&options, &report);
	assert_non_null(p);
	rc = render_stage(p, state, group_reads, &report) == 0 && render_commit(state, &report) == 0 ? 0 : -1;
	policy_free(p);
	return rc;
}

static int render(const char *yaml)
{
	return render_for(yaml, false);
}

static int make_dir(void **state)
{
	char command[PATH_MAX];

	(void)state;
	strcpy(dir, "/tmp/test-render-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "ca/dev-ca.sh init %s/state 127.0.0.1", dir);
	assert_int_equal(system(command), 0);
	make_ca("one");
	make_ca("two");
	snprintf(command, sizeof(command), "cp %s/one.crt %s/same.crt", dir, dir);
	assert_int_equal(system(command), 0);
	unsetenv("SLAPENIR_DNS");
	return 0;
}

static int remove_dir(void **state)
{
	char command[PATH_MAX];

	(void)state;
	report_deinit(&report);
	memset(&report, 0, sizeof(report));
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* The backend that hosts.map gives a host, up to the first `|`. */
static void backend_of(const char *map, const char *host, char out[64])
{
	const char *at = strstr(map, host);

	assert_non_null(at);
	at += strlen(host);
	assert_int_equal(*at, ' ');
	snprintf(out, 64, "%.*s", (int)strcspn(at + 1, "|"), at + 1);
}

static void render__of_private_cas__gives_each_a_backend_of_its_own(void **state)
{
	char one[64], two[64], same[64], public[64], line[256];
	const char *map, *cfg;

	(void)state;
	assert_int_equal(render("hosts:\n  one.test: { ca: one.crt }\n  two.test: { ca: two.crt }\n  same.test: { ca: same.crt }\n"
	                        "  public.test: {}\n"), 0);
	map = slurp("hosts.map");
	backend_of(map, "one.test:443", one);
	backend_of(map, "two.test:443", two);
	backend_of(map, "same.test:443", same);
	backend_of(map, "public.test:443", public);
	assert_string_not_equal(one, two);
	assert_string_equal(one, same);
	assert_string_equal(public, "system");
	cfg = slurp("hosts.cfg");
	snprintf(line, sizeof(line), "\nbackend %s\n", one);
	assert_non_null(strstr(cfg, line));
	snprintf(line, sizeof(line), "ca-file \"${SLAPENIR_RENDERED}/anchors/%s.pem\" sni var(txn.name) verifyhost no-sni.invalid", two);
	assert_non_null(strstr(cfg, line));
	assert_non_null(strstr(cfg, "ca-file @system-ca"));
}

static void render__of_addresses_and_words__puts_them_into_the_map(void **state)
{
	const char *map;

	(void)state;
	assert_int_equal(render("hosts:\n  a.test: { connect: \"127.0.0.1:9444\" }\n  b.test:8443: { connect: \"[::1]:9445\", ranges: allow }\n"
	                        "  c.test: { http: allow }\n  \"*.wild.test\": {}\n"), 0);
	map = slurp("hosts.map");
	assert_non_null(strstr(map, "a.test:443 system|127.0.0.1|9444|\n"));
	assert_non_null(strstr(map, "b.test:8443 system|::1|9445|ranges\n"));
	assert_non_null(strstr(map, "c.test:80 clear|||http\n"));
	assert_non_null(strstr(map, "*.wild.test:443 system|||\n"));
	assert_non_null(strstr(slurp("crt-list"), "_.wild.test.pem\n"));
	assert_null(strstr(slurp("crt-list"), "127"));
}

static void render__that_cannot_read_a_ca__leaves_the_old(void **state)
{
	(void)state;
	assert_int_equal(render("hosts:\n  old.test: {}\n"), 0);
	assert_int_equal(render("hosts:\n  new.test: { ca: absent.crt }\n"), -1);
	assert_true(report.errors > 0);
	assert_non_null(strstr(slurp("hosts.map"), "old.test:443"));
	assert_non_null(strstr(slurp("crt-list"), "old.test.pem"));
}

static void render__again__keeps_good_leaves(void **state)
{
	char path[PATH_MAX];
	struct stat before, after;

	(void)state;
	snprintf(path, sizeof(path), "%s/state/haproxy/leaves/a.test.pem", dir);
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(render("hosts:\n  a.test: {}\n  b.test: {}\n"), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static mode_t mode_of(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/state/haproxy/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void render__for_a_group__lets_it_read_all_also_what_was_kept(void **state)
{
	static const char *const files[] = {"hosts.cfg", "hosts.map", "paths.env", "crt-list", "leaves/a.test.pem", "leaves/b.test.pem"};

	(void)state;
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	assert_int_equal(mode_of("leaves/a.test.pem"), 0600);
	if (geteuid() != 0 || !getgrnam("haproxy")) {
		assert_int_equal(render_for("hosts:\n  a.test: {}\n", true), -1);
		return;
	}
	assert_int_equal(render_for("hosts:\n  a.test: {}\n  b.test: {}\n", true), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(mode_of(files[i]), 0640);
	assert_int_equal(mode_of("leaves"), 0750);
}

static void render__without_hosts__still_has_a_certificate(void **state)
{
	(void)state;
	assert_int_equal(render("hosts: {}\n"), 0);
	assert_string_equal(slurp("crt-list"), "slapenir.invalid.pem\n");
}

static void render__of_settings__reaches_the_backends(void **state)
{
	const char *cfg;

	(void)state;
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	cfg = slurp("hosts.cfg");
	assert_non_null(strstr(cfg, "http-reuse safe"));
	assert_non_null(strstr(cfg, "retry-on conn-failure\n"));
	assert_int_equal(render("hosts:\n  a.test: {}\nisolation: strict\ndrop_response_headers: [X-Debug-Token]\n"), 0);
	cfg = slurp("hosts.cfg");
	assert_non_null(strstr(cfg, "http-reuse never"));
	assert_non_null(strstr(cfg, "http-response del-header x-debug-token\n"));
}

static void render__with_a_name_server_given__asks_no_other(void **state)
{
	const char *cfg, *at;

	(void)state;
	setenv("SLAPENIR_DNS", "127.0.0.1:5353", 1);
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	unsetenv("SLAPENIR_DNS");
	cfg = slurp("hosts.cfg");
	at = strstr(cfg, "nameserver ");
	assert_non_null(at);
	assert_non_null(strstr(cfg, "nameserver given 127.0.0.1:5353\n"));
	assert_null(strstr(at + 1, "nameserver "));
}

/* What `slapenir reload` renders must ask the same server as what the start script rendered. */
static void render__with_a_name_server_left_by_the_start__asks_it(void **state)
{
	char path[PATH_MAX];
	FILE *f;

	(void)state;
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	snprintf(path, sizeof(path), "%s/state/haproxy/name-server", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("127.0.0.1:5354\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(render("hosts:\n  a.test: {}\n"), 0);
	assert_non_null(strstr(slurp("hosts.cfg"), "nameserver given 127.0.0.1:5354\n"));
}

static void render__of_limits__lists_agents_that_have_some(void **state)
{
	(void)state;
	assert_int_equal(render("hosts:\n  a.test: {}\nagents:\n  one: { limits: { streams: 3 } }\n  two: {}\n"
	                        "  three: { limits: { streams: 4, requests_per_second: 5 } }\n"), 0);
	assert_non_null(strstr(slurp("limits.map"), "one 3|1000000000\n"));
	assert_non_null(strstr(slurp("limits.map"), "three 4|5\n"));
	assert_null(strstr(slurp("limits.map"), "two"));
}

/* Each code of the table has its line, and the body is one line of JSON. */
static void render__of_refusals__has_each_code(void **state)
{
	const char *map;
	char start[64];

	(void)state;
	assert_int_equal(render("hosts: {}\n"), 0);
	map = slurp("refusals.map");
	for (int code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++) {
		snprintf(start, sizeof(start), "%s {\"code\":\"%s\"", refusal_get(code)->code, refusal_get(code)->code);
		assert_non_null(strstr(map, start));
	}
	assert_null(strstr(map, "\n\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(render__of_private_cas__gives_each_a_backend_of_its_own, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__of_addresses_and_words__puts_them_into_the_map, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__that_cannot_read_a_ca__leaves_the_old, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__again__keeps_good_leaves, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__for_a_group__lets_it_read_all_also_what_was_kept, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__without_hosts__still_has_a_certificate, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__of_settings__reaches_the_backends, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__with_a_name_server_given__asks_no_other, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__with_a_name_server_left_by_the_start__asks_it, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__of_limits__lists_agents_that_have_some, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(render__of_refusals__has_each_code, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
